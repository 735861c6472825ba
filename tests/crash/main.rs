//! Processes that end in the middle: killed, told to stop, or without room to write. Whatever the instant, the store
//! holds the old state or the new one, every image is whole, and the next command does its work.
//!
//! `builds` kills builds, `transfers` loads, pulls, pushes and servers; `signals` has the exit codes of commands that
//! are told to stop, `full` those of commands that cannot write, `outputs` has servers whose output is not read. `check` says what whole
//! means. `durable` looks at the order of system calls (`trace`): what was written lasts when the power fails.

mod builds;
mod check;
mod durable;
mod full;
mod outputs;
mod process;
mod proxy;
mod resumed;
mod signals;
mod trace;
mod transfers;

use testkit::sandbox;

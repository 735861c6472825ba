//! Exit codes: part of the interface, listed in every man page, never renumbered.

use crate::app::StopSignal;

/// Returns the code of a command that a signal stopped.
pub(crate) fn of_signal(signal: StopSignal) -> u8 {
    match signal {
        StopSignal::Interrupt => INTERRUPTED,
        StopSignal::Terminate => TERMINATED,
    }
}

/// Done.
pub const DONE: u8 = 0;
/// Anything that has no code of its own: local input and output, mostly.
pub const FAILED: u8 = 1;
/// Authentication or permission refused, or no credential found where one is needed.
pub const AUTH: u8 = 2;
/// Network: unreachable, dropped, TLS trust.
pub const NETWORK: u8 = 3;
/// Image, tag or context not found or invalid.
pub const IMAGE: u8 = 4;
/// The registry refused or answered wrongly.
pub const REGISTRY: u8 = 5;
/// A deadline passed.
pub const DEADLINE: u8 = 6;
/// The command line is wrong (`EX_USAGE` of sysexits).
pub const USAGE: u8 = 64;
/// A bug in this program (`EX_SOFTWARE`).
pub const BUG: u8 = 70;
/// Interrupted by SIGINT.
pub const INTERRUPTED: u8 = 130;
/// The reader of standard output left before everything was written: what a shell has for a program that SIGPIPE ended, so
/// that a truncated archive does not pass `pipefail`.
pub const OUTPUT_CLOSED: u8 = 141;
/// Ended by SIGTERM.
pub const TERMINATED: u8 = 143;

/// The table as help and man pages show it.
pub(crate) const TABLE: &str = "Exit codes:
  0    done
  1    anything not below
  2    authentication or permission refused, or no credential found where one is needed
  3    network: unreachable, dropped, TLS trust
  4    image, tag or context not found or invalid
  5    the registry refused or answered wrongly
  6    a deadline passed
  64   usage; 70 bug; 130 SIGINT; 141 standard output closed; 143 SIGTERM";

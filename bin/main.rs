//! The executable: captures the surroundings and hands over to the library.

use std::process::ExitCode;

use std::sync::atomic::{AtomicBool, Ordering};

use idpbuilder_oci::{cli, env::Env};

/// Whether the program was started with its standard output closed (`>&-`).
static OUTPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Rust's runtime opens `/dev/null` for standard streams that are closed, before `main`: what would be written there
/// would be lost in silence. Only what runs before the runtime can still see it.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the attribute alone is: the function is safe, and called once, before any thread")]
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_RUNTIME: extern "C" fn() = note_closed_output;

#[cfg(target_os = "linux")]
extern "C" fn note_closed_output() {
    let is_closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()) == Err(rustix::io::Errno::BADF);
    OUTPUT_IS_CLOSED.store(is_closed, Ordering::Relaxed);
}

fn main() -> ExitCode {
    let stdout_is_closed = OUTPUT_IS_CLOSED.load(Ordering::Relaxed);
    cli::main(Env { stdout_is_closed, ..Env::capture() })
}

//! What a panic says, and where.

use std::io::{self, Write as _};

use super::access_log::AccessLog;

/// A panic is a bug of ours: say so, and how to report it, before the bare message. A standard error that
/// cannot be written to must not make it a second panic, which would abort the process.
pub(crate) fn explain_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = writeln!(io::stderr().lock(), "{}", bug());
        default(info);
    }));
}

/// Reports panics in a log, whose writer may wait where the panicking thread must not, until this is dropped.
pub(crate) struct PanicsLogged;

pub(crate) fn log_panics(log: AccessLog) -> PanicsLogged {
    let _ = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        log.line(crate::text::escaped_lines(&format!("{}\n{info}", bug())).into_owned());
    }));
    PanicsLogged
}

impl Drop for PanicsLogged {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::panic::take_hook();
            explain_panics();
        }
    }
}

fn bug() -> &'static str {
    concat!(
        "error: this is a bug in idpbuilder-oci ",
        env!("CARGO_PKG_VERSION"),
        "; please report it with the lines below"
    )
}

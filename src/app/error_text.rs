//! Errors as text for people.

use std::error::Error;
use std::io;

use crate::text::without_numbers;
use crate::tls::classify;

/// Returns an error's text for people. The system's error number is left out, and an error of the TLS library is put into
/// the words of its classification.
pub(crate) fn error_text(error: &(dyn Error + 'static)) -> String {
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let is_of_tls =
        error.is::<rustls::Error>() || inside.and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
    match classify(error).filter(|_| is_of_tls) {
        Some(fault) => fault.to_string(),
        None => without_numbers(&error.to_string()).into_owned(),
    }
}

/// Returns the texts of an error and of its causes in one line.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error_text(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {}", error_text(error));
        cause = error.source();
    }
    text
}

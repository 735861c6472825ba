//! Workflows that bring several operations together. They return values and typed errors, tell and ask through
//! [`Console`], and neither print nor read the environment.

pub(crate) mod base_image;
pub mod connect;
mod console;
mod error_text;
mod expiry;
mod surroundings;

pub use console::{Console, ConsoleError, Echo, StopSignal, Work};
pub(crate) use error_text::{error_text, in_one_line};
pub(crate) use expiry::ends_soon;
pub(crate) use surroundings::now;
pub use surroundings::{RecordError, Surroundings};

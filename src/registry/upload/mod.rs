//! Uploads: what a session means, what one request carries, and the driver that performs them.

mod ceiling;
mod driver;
mod limits;
mod open;
mod range;
mod recovery;
mod resume;
mod session;
mod transfer;

pub use driver::Uploaded;
pub use limits::Limits;
pub(super) use limits::{Learned, Pace};

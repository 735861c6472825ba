//! Uploads: what a session means, what one request carries, and the driver that performs them.

mod attempts;
pub(super) mod commit_gate;
pub(super) mod content_check;
mod driver;
pub(super) mod journal;
mod limits;
mod open;
mod range;
mod recovery;
mod request_sizing;
mod resume;
mod session;
pub(super) mod single_flight;
mod size_limit;
mod state;
mod transfer;

pub(super) use limits::Capabilities;
pub use limits::Limits;
pub(super) use request_sizing::RequestSizing;
pub use state::Uploaded;

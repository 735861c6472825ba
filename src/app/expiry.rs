//! When a certificate is about to end.

use jiff::{Timestamp, ToSpan as _};

/// Returns whether a certificate has expired or expires within 30 days.
pub(crate) fn ends_soon(not_after: Timestamp, now: Timestamp) -> bool {
    now.checked_add((30 * 24).hours()).is_ok_and(|soon| not_after < soon)
}

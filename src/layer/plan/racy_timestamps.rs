//! Whether a file's times would tell if it changed again.

use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::context::{Entry, Kind};
use crate::fs;

/// How long a file must have been left alone before it is read for its layer to be kept: longer than a tick of the
/// clock that its file system takes times from. What is written within the same tick would look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RacyWindow {
    /// Where nothing is known of the clock.
    pub coarse: Duration,
    /// On the local file systems that keep fractions of a second.
    pub fine: Duration,
}

/// Waiting for longer would cost more than packing a layer again.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// FAT keeps every other second. Linux' clock ticks a hundred times a second at least.
impl Default for RacyWindow {
    fn default() -> Self {
        Self { coarse: Duration::from_secs(2), fine: LONGEST_WAIT }
    }
}

/// How long files of one directory have to be left alone.
#[derive(Debug, Clone, Copy)]
pub struct RacyTimestamps {
    settling: RacyWindow,
    /// The device whose files are known to have fine times.
    fine: Option<u64>,
}

impl RacyTimestamps {
    /// For the files below `root`, as far as no other file system is mounted there.
    pub fn below(root: BorrowedFd<'_>, settling: RacyWindow) -> Self {
        Self { settling, fine: device_with_fine_times(root) }
    }

    /// Returns how long to wait at `now` until all have been left alone for long enough and then can be read; `None`
    /// where that is longer than 20 ms, or never: times that lie in the future, or are none, say nothing about changes.
    pub fn wait(&self, entries: &[&Entry], now: SystemTime) -> Option<Duration> {
        let now = now.duration_since(UNIX_EPOCH).ok()?;
        let mut longest = Duration::ZERO;
        for entry in entries {
            // All that the layer has of directories and links, the walk has read.
            let Kind::File { stamp, .. } = &entry.kind else { continue };
            // One second, and not a fraction of it, is what file systems without fractions have.
            let is_fine = self.fine == Some(stamp.identity.0) && stamp.changed.1 % 1_000_000 != 0;
            let alone = if is_fine { self.settling.fine } else { self.settling.coarse };
            if stamp.changed <= (0, 0) {
                return None;
            }
            for time in [stamp.modified, stamp.changed] {
                let Some(time) = since_epoch(time) else { continue };
                let age = now.checked_sub(time)?;
                longest = longest.max(alone.saturating_sub(age));
            }
        }
        (longest <= LONGEST_WAIT).then_some(longest)
    }
}

/// Returns a time that a file has; `None` if it is before 1970.
fn since_epoch((seconds, nanoseconds): (i64, i64)) -> Option<Duration> {
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?))
}

fn device_with_fine_times(root: BorrowedFd<'_>) -> Option<u64> {
    if !fs::has_fine_times(root) {
        return None;
    }
    Some(rustix::fs::fstat(root).ok()?.st_dev)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::context::Stamp;

    fn stamp() -> Stamp {
        Stamp { identity: (1, 2), size: 3, modified: (100, 5_000_000), changed: (200, 7_000_000) }
    }

    fn wait(settled: RacyTimestamps, stamp: Stamp, now: SystemTime) -> Option<Duration> {
        let file = Entry { path: (*b"a").into(), mode: 0o644, kind: Kind::File { stamp, links: 1 } };
        let directory = Entry { path: (*b"d").into(), mode: 0o755, kind: Kind::Directory };
        settled.wait(&[&directory, &file], now)
    }

    fn at(seconds: u64, milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(milliseconds)
    }

    #[test]
    fn files_are_settled_when_nothing_happened_to_them_for_long_enough() {
        let of = |stamp, now| wait(RacyTimestamps { settling: RacyWindow::default(), fine: None }, stamp, now);
        assert_eq!(of(stamp(), at(202, 7)), Some(Duration::ZERO));
        // A tick of a fine clock is worth to wait for, whatever the file's own is.
        assert_eq!(of(stamp(), at(202, 0)), Some(Duration::from_millis(7)));
        assert_eq!(of(stamp(), at(201, 986)), None);
        assert_eq!(of(stamp(), at(200, 7)), None);
        // A clock that was set back, and one that never ran.
        assert_eq!(of(stamp(), at(150, 0)), None);
        assert_eq!(of(stamp(), UNIX_EPOCH), None);
        assert_eq!(of(stamp(), UNIX_EPOCH - Duration::from_secs(2)), None);
        assert_eq!(of(Stamp { modified: (300, 0), ..stamp() }, at(202, 7)), None);
        assert_eq!(of(Stamp { changed: (0, 0), ..stamp() }, at(202, 7)), None);
        assert_eq!(of(Stamp { modified: (-5, 0), ..stamp() }, at(202, 7)), Some(Duration::ZERO));
    }

    #[test]
    fn fine_times_settle_sooner() {
        let of = |device, stamp, now| {
            wait(RacyTimestamps { settling: RacyWindow::default(), fine: Some(device) }, stamp, now)
        };
        let fine = Stamp { changed: (200, 7_000_001), ..stamp() };
        assert_eq!(of(1, fine, at(200, 28)), Some(Duration::ZERO));
        assert_eq!(of(1, fine, at(200, 8)), Some(Duration::from_millis(19) + Duration::from_nanos(1)));
        assert_eq!(of(1, fine, at(200, 7)), None, "a time in the future");
        // Another file system is mounted there; and one that keeps no fractions.
        assert_eq!(of(9, fine, at(200, 28)), None);
        assert_eq!(of(1, Stamp { changed: (200, 0), ..stamp() }, at(201, 28)), None);
        assert_eq!(of(1, stamp(), at(200, 28)), None);
    }

    #[test]
    fn the_file_system_below_a_directory_is_asked() {
        let of = |path: &str| {
            let directory = std::fs::File::open(path).expect("there");
            RacyTimestamps::below(directory.as_fd(), RacyWindow::default()).fine
        };
        assert_eq!(of("/proc"), None);
        let here = tempfile::tempdir().expect("a directory");
        let device = std::os::unix::fs::MetadataExt::dev(&std::fs::metadata(here.path()).expect("there"));
        let fine = of(here.path().to_str().expect("UTF-8"));
        assert!(fine.is_none_or(|fine| fine == device), "{fine:?}");
    }
}

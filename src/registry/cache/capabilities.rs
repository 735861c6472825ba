//! Keeps what registries showed of themselves for some days, so that the next push knows it from the start.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fs;
use crate::registry::upload::Capabilities;

/// What is older is found out again: registries and proxies are configured anew.
const AGE: Duration = Duration::from_hours(7 * 24);
/// A file of ours is shorter.
const MAX_FILE_BYTES: u64 = 16 << 10;

/// The file about one registry.
#[derive(Debug)]
pub(in crate::registry) struct CapabilityCache {
    path: PathBuf,
    host: String,
    since: i64,
    written: Capabilities,
}

#[derive(Serialize, Deserialize)]
struct File {
    host: String,
    /// Seconds since 1970.
    since: i64,
    learned: Capabilities,
}

impl CapabilityCache {
    /// Reads what is known of `host` at `now`. What cannot be read is not known.
    pub(in crate::registry) fn open(state: &Path, host: &str, now: jiff::Timestamp) -> Self {
        let path = state.join("cache/registries").join(format!("{}.json", file_name(host)));
        let known = read(&path).filter(|file| {
            let age = now.as_second().saturating_sub(file.since);
            file.host == host && (0..i64::try_from(AGE.as_secs()).unwrap_or(i64::MAX)).contains(&age)
        });
        let (since, written) =
            known.map_or_else(|| (now.as_second(), Capabilities::of_host(host)), |file| (file.since, file.learned));
        Self { path, host: host.to_owned(), since, written }
    }

    pub(in crate::registry) fn capabilities(&self) -> Capabilities {
        self.written
    }

    /// Saves what is new. A failure is not reported, because the next run learns it again.
    pub(in crate::registry) fn keep(&mut self, learned: &Capabilities) {
        if *learned == self.written {
            return;
        }
        self.written = *learned;
        let file = File { host: self.host.clone(), since: self.since, learned: *learned };
        let text = serde_json::to_vec(&file).expect("plain fields");
        let _ = fs::check_limit(&text, MAX_FILE_BYTES)
            .and_then(|()| fs::create_private_dir(fs::parent(&self.path)))
            .and_then(|()| replace(&self.path, &text));
    }
}

/// Replaces a file whose loss costs little: whole or not at all for other processes, but not durable. Requests are on
/// their way meanwhile, which must wait neither for the disk nor for the reader of a pipe of that name.
pub(in crate::registry) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(fs::TEMPORARY_PREFIX).tempfile_in(fs::parent(path))?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error).map(drop)
}

/// Returns a readable name for the file about a host. Two hosts may share a name; the file says which host it is about.
pub(in crate::registry) fn file_name(host: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
    let name: String = host.chars().take(100).map(plain).collect();
    format!("at-{name}")
}

fn read(path: &Path) -> Option<File> {
    let bytes = fs::read_regular(path, MAX_FILE_BYTES, fs::Links::Follow).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn what_was_learned_is_known_the_next_time_and_for_a_week() {
        let state = tempfile::tempdir().expect("a directory");
        let open = |host, time: &str| CapabilityCache::open(state.path(), host, at(time));
        let mut capability_cache = open("reg:5000", "2030-01-01T00:00:00Z");
        assert_eq!(capability_cache.capabilities(), Capabilities::default());
        let learned = Capabilities { single: Some(true), ..Capabilities::default() };
        capability_cache.keep(&learned);
        assert_eq!(open("reg:5000", "2030-01-07T23:00:00Z").capabilities(), learned);
        assert_eq!(open("reg_5000", "2030-01-01T00:00:00Z").capabilities(), Capabilities::default());
        assert_eq!(open("reg:5000", "2030-01-08T00:00:00Z").capabilities(), Capabilities::default());
        assert_eq!(open("reg:5000", "2029-12-31T00:00:00Z").capabilities(), Capabilities::default());
        // A new capability does not extend the life of the others.
        let mut later = open("reg:5000", "2030-01-05T00:00:00Z");
        later.keep(&Capabilities { finds: true, ..learned });
        assert_eq!(open("reg:5000", "2030-01-08T00:00:00Z").capabilities(), Capabilities::default());
    }

    #[test]
    fn a_damaged_file_is_no_knowledge() {
        let state = tempfile::tempdir().expect("a directory");
        let path = state.path().join("cache/registries/at-r.json");
        fs::create_private_dir(fs::parent(&path)).expect("made");
        for text in ["", "{", "[]", r#"{"host":"r","since":"x"}"#, &"[".repeat(100_000)] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(
                CapabilityCache::open(state.path(), "r", at("2030-01-01T00:00:00Z")).capabilities(),
                Capabilities::default()
            );
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_the_file_is_not_waited_for() {
        let state = tempfile::tempdir().expect("a directory");
        let path = state.path().join("cache/registries/at-r.json");
        fs::create_private_dir(fs::parent(&path)).expect("made");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        let now = at("2030-01-01T00:00:00Z");
        let learned = Capabilities { single: Some(true), ..Capabilities::default() };
        let mut capability_cache = CapabilityCache::open(state.path(), "r", now);
        let (done, outcome) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            capability_cache.keep(&learned);
            done.send(())
        });
        outcome.recv_timeout(Duration::from_mins(1)).expect("nothing is waited for");
        assert_eq!(CapabilityCache::open(state.path(), "r", now).capabilities(), learned);
    }

    #[test]
    fn hosts_do_not_lead_out_of_the_directory() {
        for host in ["..", "../../x", "a/b", "[::1]:5000", ""] {
            let name = file_name(host);
            assert!(!name.contains('/') && name.starts_with("at-"), "{name}");
        }
    }
}

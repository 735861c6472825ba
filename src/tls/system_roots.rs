//! The system's roots: their location, and their certificates, which are read once and shared.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::fs::{Links, Unreadable, open_regular, read_limited};

/// The most bytes of one file of roots.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// The most bytes of all files of roots together.
const MAX_BYTES: u64 = 64 << 20;
/// The most entries of one directory of roots.
const MAX_ENTRIES: usize = 10_000;
/// The most failures that are kept for messages.
const MAX_FAILURES: usize = 20;

/// The roots of the system, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead. Clones share what was read.
///
/// Files that the variables name are read as regular files within limits: pipes and devices are refused.
#[derive(Debug, Clone, Default)]
pub struct SystemRoots(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    file: Option<PathBuf>,
    directories: Vec<PathBuf>,
    read: OnceLock<ReadRoots>,
    wanted: AtomicBool,
}

/// The certificates that were read.
#[derive(Debug, Default)]
pub struct ReadRoots {
    /// The certificates, each once, sorted.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The files that could not be read, with the reason, up to a limit.
    pub failures: Vec<UnreadRoots>,
}

/// A file or directory of roots that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read certificates from `{}`: {reason}", path.display())]
pub struct UnreadRoots {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl SystemRoots {
    /// Returns the roots in `file` and `directories`; the platform's own where neither is given.
    pub fn new(file: Option<PathBuf>, directories: Vec<PathBuf>) -> Self {
        Self(Arc::new(Shared { file, directories, ..Shared::default() }))
    }

    /// Reads the roots, unless they were read before. Blocks on the disk, so it must not run on a thread of the
    /// asynchronous runtime.
    pub fn read(&self) -> &ReadRoots {
        self.0.read.get_or_init(|| {
            if self.are_named() {
                return Reader::default().read(self.0.file.as_deref(), &self.0.directories);
            }
            let found = rustls_native_certs::load_native_certs();
            let failures = found.errors.into_iter().take(MAX_FAILURES).map(UnreadRoots::from).collect();
            ReadRoots { certificates: found.certs, failures }
        })
    }

    /// Reads the roots on another thread, and waits for it.
    pub(super) async fn read_elsewhere(&self) {
        if self.0.read.get().is_none() {
            let roots = self.clone();
            let reading = tokio::task::spawn_blocking(move || {
                roots.read();
            });
            reading.await.expect("reading certificates does not panic");
        }
    }

    /// Returns the roots if they were read; otherwise records that they are needed.
    pub(super) fn known(&self) -> Option<&ReadRoots> {
        let known = self.0.read.get();
        if known.is_none() {
            self.0.wanted.store(true, Ordering::Release);
        }
        known
    }

    /// Returns whether the roots were wanted before they were read.
    pub(super) fn are_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Acquire)
    }

    pub(super) fn are_known(&self) -> bool {
        self.0.read.get().is_some()
    }

    /// Returns whether the user named the files or directories.
    pub(super) fn are_named(&self) -> bool {
        self.0.file.is_some() || !self.0.directories.is_empty()
    }
}

impl From<rustls_native_certs::Error> for UnreadRoots {
    fn from(error: rustls_native_certs::Error) -> Self {
        match error.kind {
            rustls_native_certs::ErrorKind::Io { inner, path } => Self { path, reason: inner.to_string() },
            _ => Self { path: PathBuf::new(), reason: error.to_string() },
        }
    }
}

/// Reads roots from the files and directories that the user named. A file is read once even if several links lead to
/// it, as `openssl rehash` makes them.
#[derive(Default)]
struct Reader {
    seen: HashSet<(u64, u64)>,
    bytes: u64,
    found: ReadRoots,
}

impl Reader {
    fn read(mut self, file: Option<&Path>, directories: &[PathBuf]) -> ReadRoots {
        if let Some(file) = file
            && let Err(error) = self.file(file)
        {
            self.fail(file, &error);
        }
        for directory in directories {
            if let Err(error) = self.directory(directory) {
                self.fail(directory, &error);
            }
        }
        self.found.certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        self.found.certificates.dedup();
        self.found
    }

    fn directory(&mut self, path: &Path) -> io::Result<()> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(path)? {
            if paths.len() == MAX_ENTRIES {
                return Err(io::Error::other(format!("it has more than {MAX_ENTRIES} entries")));
            }
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            match self.file(&path) {
                // Subdirectories are skipped, and dangling links are ignored.
                Err(error) if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::NotFound) => {}
                Err(error) => self.fail(&path, &error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let file = open_regular(path, Links::Follow)?;
        let metadata = file.metadata()?;
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        let limit = MAX_FILE_BYTES.min(MAX_BYTES - self.bytes);
        let text = read_limited(&file, limit)?;
        self.bytes += text.len() as u64;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            match certificate {
                Ok(certificate) => self.found.certificates.push(certificate),
                Err(error) => self.fail(path, &error),
            }
        }
        Ok(())
    }

    fn fail(&mut self, path: &Path, reason: &(dyn std::error::Error + 'static)) {
        if self.found.failures.len() < MAX_FAILURES {
            let reason = match reason.downcast_ref::<io::Error>().and_then(Unreadable::of) {
                Some(unreadable) => unreadable.to_string(),
                None => reason.to_string(),
            };
            self.found.failures.push(UnreadRoots { path: path.to_owned(), reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn pem(name: &str) -> String {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("signed").cert.pem()
    }

    #[test]
    fn named_places_are_read_as_regular_files_each_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let (one, two) = (pem("one.example"), pem("two.example"));
        std::fs::write(at("bundle"), format!("{one}# a comment\n{two}")).expect("written");
        std::fs::create_dir_all(at("roots/deeper")).expect("made");
        std::fs::write(at("roots/two.pem"), &two).expect("written");
        std::fs::write(at("roots/three.pem"), pem("three.example")).expect("written");
        symlink("three.pem", at("roots/0a1b2c3d.0")).expect("linked");
        symlink("nowhere", at("roots/dangling")).expect("linked");
        let count = |file: Option<&str>, directories: &[&str]| {
            let roots = SystemRoots::new(file.map(at), directories.iter().map(|name| at(name)).collect());
            let read = roots.read();
            (read.certificates.len(), read.failures.clone())
        };
        assert_eq!(count(Some("bundle"), &[]), (2, vec![]));
        assert_eq!(count(None, &["roots"]), (2, vec![]));
        assert_eq!(count(Some("bundle"), &["roots", "roots"]), (3, vec![]));
        for (file, directories) in [(Some("absent"), vec![]), (None, vec!["absent"]), (Some("roots"), vec![])] {
            let (found, failures) = count(file, &directories);
            assert_eq!((found, failures.len()), (0, 1), "{failures:?}");
        }
    }

    #[test]
    fn what_is_no_file_is_named_and_not_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("roots")).expect("made");
        for pipe in ["pipe", "roots/pipe"] {
            rustix::fs::mknodat(rustix::fs::CWD, at(pipe), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        }
        symlink("/dev/zero", at("roots/zero")).expect("linked");
        std::fs::write(at("roots/a.pem"), pem("a.example")).expect("written");
        std::fs::write(at("damaged"), "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n").expect("written");
        std::fs::File::create(at("large")).and_then(|file| file.set_len(MAX_FILE_BYTES + 1)).expect("made");
        for (name, reason) in [
            ("pipe", "it is a pipe, not a regular file"),
            ("/dev/zero", "it is a device"),
            ("large", "it has more than the 16777216 bytes"),
            ("damaged", ""),
        ] {
            let roots = SystemRoots::new(Some(at(name)), vec![]);
            let read = roots.read();
            assert_eq!((read.certificates.len(), read.failures.len()), (0, 1), "{read:?}");
            let told = read.failures[0].to_string();
            assert!(told.contains(&format!("{name}`: {reason}")), "{told}");
        }
        let roots = SystemRoots::new(None, vec![at("roots")]);
        let read = roots.read();
        assert_eq!(read.certificates.len(), 1);
        let told: Vec<String> = read.failures.iter().map(ToString::to_string).collect();
        assert!(
            matches!(&told[..], [one, other] if one.contains("roots/pipe`: it is a pipe")
                && other.contains("roots/zero`: it is a device")),
            "{told:?}"
        );
    }

    #[test]
    fn the_files_of_a_directory_have_a_limit_together() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = MAX_BYTES / MAX_FILE_BYTES;
        for number in 0..=files {
            let file = std::fs::File::create(dir.path().join(number.to_string())).expect("made");
            file.set_len(if number == files { 1 } else { MAX_FILE_BYTES }).expect("sized");
        }
        let roots = SystemRoots::new(None, vec![dir.path().to_owned()]);
        let failures = &roots.read().failures;
        assert!(
            matches!(&failures[..], [one] if one.to_string().contains("/4`: it has more than the 0 bytes")),
            "{failures:?}"
        );
    }

    #[test]
    fn failures_that_are_told_are_few() {
        let dir = tempfile::tempdir().expect("a directory");
        for number in 0..=MAX_FAILURES {
            symlink("/dev/zero", dir.path().join(number.to_string())).expect("linked");
        }
        let roots = SystemRoots::new(None, vec![dir.path().to_owned()]);
        assert_eq!(roots.read().failures.len(), MAX_FAILURES);
    }

    #[tokio::test]
    async fn clones_share_what_was_read() {
        let roots = SystemRoots::new(Some("/nowhere".into()), vec![]);
        let clone = roots.clone();
        assert!(!roots.are_wanted());
        assert!(clone.known().is_none());
        assert!(roots.are_wanted() && !roots.are_known());
        roots.read_elsewhere().await;
        assert!(clone.known().is_some() && clone.are_known());
    }
}

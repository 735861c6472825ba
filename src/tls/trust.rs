//! The certificates trusted for one host, each with the reason why.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use super::error::{Origin, TlsError};
use super::identity::ClientIdentity;
use super::pem::{certificates_of, read};
use super::system_roots::SystemRoots;
use crate::image::Digest;

/// The most certificate files of one directory.
const MAX_FILES: usize = 100;

/// A trusted certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// Why it is trusted.
    pub origin: Origin,
}

/// Omits the certificate's bytes.
impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// A certificate that was configured for one host, in a form for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// `sha256:` and the hexadecimal SHA-256 of its DER form.
    pub fingerprint: String,
    /// Why it is trusted.
    pub origin: Origin,
}

/// The certificates that are trusted for one host. A new store is empty.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    anchors: Vec<Anchor>,
    sources: Vec<(Origin, usize)>,
    failures: Vec<String>,
    identity: Option<ClientIdentity>,
    /// The system's roots, if they are trusted but not read yet.
    system_at_need: Option<SystemRoots>,
}

impl TrustStore {
    /// Returns a store that trusts no certificate.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds the system's roots, and blocks on the disk unless they were read before.
    ///
    /// A system may have none, or damaged ones: see [`Self::failures`].
    pub fn add_system_roots(&mut self, roots: &SystemRoots) {
        self.system_at_need = None;
        let read = roots.read();
        self.failures.extend(read.failures.iter().map(ToString::to_string));
        self.add(Origin::System, read.certificates.clone());
    }

    /// Trusts the system's roots, which are read only if no other certificate is sufficient.
    ///
    /// They are hundreds of files, and a registry whose own certificate is known needs none of them.
    pub fn use_system_roots_at_need(&mut self, roots: &SystemRoots) {
        self.system_at_need = Some(roots.clone());
    }

    /// Returns the system's roots if they are trusted but not read yet.
    pub(super) fn system_roots_at_need(&self) -> Option<&SystemRoots> {
        self.system_at_need.as_ref()
    }

    /// Adds every certificate of a PEM file and returns their number.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, is too large, or holds a damaged certificate or none.
    pub fn add_file(&mut self, path: &Path) -> Result<usize, TlsError> {
        self.add_pem(&read(path)?, Origin::File(path.to_owned()))
    }

    /// Adds every `*.crt` and `*.pem` of a directory that holds certificates for this host, and returns their number.
    ///
    /// A missing directory adds none.
    ///
    /// # Errors
    ///
    /// Fails if the directory has too many files, or if one of them cannot be used.
    pub fn add_kept(&mut self, path: &Path) -> Result<usize, TlsError> {
        let origin = Origin::Directory(path.to_owned());
        let failed = |source| TlsError::Read { path: path.to_owned(), source };
        let listing = match std::fs::read_dir(path) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.sources.push((origin, 0));
                return Ok(0);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in listing {
            let file = entry.map_err(failed)?.path();
            if !file.extension().is_some_and(|ending| ending == "crt" || ending == "pem") {
                continue;
            }
            if files.len() == MAX_FILES {
                return Err(TlsError::TooMany { origin, limit: MAX_FILES });
            }
            files.push(file);
        }
        files.sort();
        if files.is_empty() {
            self.sources.push((origin, 0));
        }
        files.iter().map(|file| self.add_pem(&read(file)?, Origin::Kept(file.clone()))).sum()
    }

    /// Adds a directory in the `certs.d` form of containers and Docker: `*.crt` are trusted, the first `*.cert` with
    /// its `*.key` becomes the client certificate.
    ///
    /// Returns the errors of files that cannot be used; the others are in use.
    pub fn add_client_directory(&mut self, path: &Path) -> Vec<TlsError> {
        let mut errors = Vec::new();
        let files = match files_of(path) {
            Ok(files) => files,
            Err(error) => return vec![error],
        };
        let ends = |file: &Path, ending: &str| file.extension().is_some_and(|found| found == ending);
        for file in &files {
            if ends(file, "crt") {
                errors.extend(self.add_file(file).err());
            } else if ends(file, "cert") {
                let key = file.with_extension("key");
                match ClientIdentity::read(file, &key) {
                    Ok(_) if self.identity.is_some() => {}
                    Ok(identity) => self.identity = Some(identity),
                    Err(error) => errors.push(error),
                }
            } else if ends(file, "key") && !files.contains(&file.with_extension("cert")) {
                errors.push(TlsError::Unpaired { path: file.clone(), other: file.with_extension("cert") });
            }
        }
        errors
    }

    /// Returns the client certificate for a host that asks for one.
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    /// Sets the client certificate from PEM texts that the caller read; `place` names them in messages.
    ///
    /// # Errors
    ///
    /// Fails if either is damaged, or they are no pair.
    pub fn set_identity(&mut self, certificate: &[u8], key: &[u8], place: &Path) -> Result<(), TlsError> {
        self.identity = Some(ClientIdentity::from_pem(certificate, key, place)?);
        Ok(())
    }

    /// Adds certificates from a PEM text that the caller read, and returns their number.
    ///
    /// # Errors
    ///
    /// Fails if the text is too large, or holds a damaged certificate or none.
    pub fn add_pem(&mut self, text: &[u8], origin: Origin) -> Result<usize, TlsError> {
        let certificates = certificates_of(text, &origin)?;
        Ok(self.add(origin, certificates))
    }

    /// Adds certificates in order of use. The system's roots always stay last: they are the least specific to the host.
    fn add(&mut self, origin: Origin, certificates: Vec<CertificateDer<'static>>) -> usize {
        let count = certificates.len();
        let (mut anchors, mut sources) = (self.anchors.len(), self.sources.len());
        if origin != Origin::System {
            anchors = self.anchors.iter().position(|anchor| anchor.origin == Origin::System).unwrap_or(anchors);
            sources = self.sources.iter().position(|(origin, _)| *origin == Origin::System).unwrap_or(sources);
        }
        let anchor = |certificate| Anchor { certificate, origin: origin.clone() };
        self.anchors.splice(anchors..anchors, certificates.into_iter().map(anchor));
        self.sources.insert(sources, (origin, count));
        count
    }

    /// Returns the trust that also applies to another origin: without the client certificate, and with the cluster's
    /// certificate only at the host that it was issued for.
    #[must_use]
    pub(super) fn lent(&self, same_host: bool) -> Self {
        let counts = |anchor: &&Anchor| same_host || !matches!(anchor.origin, Origin::Cluster(_));
        Self {
            anchors: self.anchors.iter().filter(counts).cloned().collect(),
            system_at_need: self.system_at_need.clone(),
            ..Self::default()
        }
    }

    /// Returns only the certificates from one origin.
    #[must_use]
    pub fn only(&self, origin: &Origin) -> Self {
        let of_origin = |anchor: &&Anchor| anchor.origin == *origin;
        Self { anchors: self.anchors.iter().filter(of_origin).cloned().collect(), ..Self::default() }
    }

    /// Returns every trusted certificate, in the order of use.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Returns the trusted certificates other than the system's roots, in the order of use.
    pub fn chosen(&self) -> Vec<Chosen> {
        let chosen = self.anchors.iter().filter(|anchor| anchor.origin != Origin::System);
        let told = |anchor: &Anchor| Chosen {
            fingerprint: Digest::of(&anchor.certificate).to_string(),
            origin: anchor.origin.clone(),
        };
        chosen.map(told).collect()
    }

    /// Returns the places that were searched, in order, with the number of certificates from each.
    pub fn sources(&self) -> &[(Origin, usize)] {
        &self.sources
    }

    /// Returns why some of the system's roots could not be read. The others are in use.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }
}

/// Returns the files of a directory, sorted.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        if files.len() == MAX_FILES {
            return Err(TlsError::TooMany { origin: Origin::Directory(path.to_owned()), limit: MAX_FILES });
        }
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::certificate::CertificateFacts;
    use super::super::pem::{MAX_CERTIFICATES, MAX_PEM_BYTES, to_pem};
    use super::*;

    fn pem(name: &str) -> String {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("signed").cert.pem()
    }

    #[test]
    fn files_and_directories_say_why_each_certificate_is_trusted() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("roots.txt");
        std::fs::write(&file, format!("a comment\n{}\n{}", pem("a.example"), pem("b.example"))).expect("written");
        let certs = dir.path().join("certs");
        std::fs::create_dir(&certs).expect("made");
        std::fs::write(certs.join("two.pem"), pem("d.example")).expect("written");
        std::fs::write(certs.join("one.crt"), pem("c.example")).expect("written");
        std::fs::write(certs.join("client.key"), "ignored").expect("written");
        let absent = dir.path().join("absent");

        let mut trust = TrustStore::empty();
        assert_eq!(trust.add_file(&file).expect("read"), 2);
        assert_eq!(trust.add_kept(&certs).expect("read"), 2);
        assert_eq!(trust.add_kept(&absent).expect("nothing there"), 0);
        let found: Vec<_> = trust
            .anchors()
            .iter()
            .map(|anchor| {
                let facts = CertificateFacts::from_der(&anchor.certificate).expect("readable");
                (facts.names[0].clone(), anchor.origin.clone())
            })
            .collect();
        let named = Origin::File(file);
        assert_eq!(
            found,
            [
                ("a.example".to_owned(), named.clone()),
                ("b.example".to_owned(), named.clone()),
                ("c.example".to_owned(), Origin::Kept(certs.join("one.crt"))),
                ("d.example".to_owned(), Origin::Kept(certs.join("two.pem"))),
            ]
        );
        assert_eq!(trust.sources().first(), Some(&(named, 2)));
        assert_eq!(trust.sources().last(), Some(&(Origin::Directory(absent), 0)));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_apart() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).expect("written");
            TrustStore::empty().add_file(&path).expect_err("refused")
        };
        let key = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        assert!(matches!(file("key", key.as_bytes()), TlsError::NoCertificate { .. }));
        assert!(matches!(file("empty", b""), TlsError::NoCertificate { .. }));
        let cut = &pem("a.example")[..200];
        assert!(matches!(file("cut", cut.as_bytes()), TlsError::Pem { .. }));
        let hollow = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(file("hollow", hollow), TlsError::Certificate { number: 1, .. }));
        let long = vec![b'\n'; usize::try_from(MAX_PEM_BYTES).expect("fits") + 1];
        let error = file("long", &long);
        assert!(matches!(error, TlsError::TooLarge { .. }));
        assert!(error.to_string().contains("/long` is larger"), "{error}");
        let many = pem("a.example").repeat(MAX_CERTIFICATES + 1);
        let limits = many.len() as u64 <= MAX_PEM_BYTES;
        assert!(limits, "the count is reached before the size");
        assert!(matches!(file("many", many.as_bytes()), TlsError::TooMany { .. }));
        let absent = TrustStore::empty().add_file(&dir.path().join("absent")).expect_err("refused");
        assert!(matches!(absent, TlsError::Read { .. }));
        let directory = TrustStore::empty().add_file(dir.path()).expect_err("refused");
        assert!(matches!(directory, TlsError::Read { .. }));
    }

    #[test]
    fn a_directory_gives_a_limited_number_of_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = pem("a.example");
        let write = |name: String| std::fs::write(dir.path().join(name), &text).expect("written");
        (0..MAX_FILES).for_each(|number| write(format!("{number}.crt")));
        assert_eq!(TrustStore::empty().add_kept(dir.path()).expect("as many as are read"), MAX_FILES);
        let mut trust = TrustStore::empty();
        assert!(trust.add_client_directory(dir.path()).is_empty());
        assert_eq!(trust.anchors().len(), MAX_FILES);
        // Any file counts where all of them are listed, and a certificate where those are.
        write("notes".to_owned());
        TrustStore::empty().add_kept(dir.path()).expect("notes are not read");
        let mut trust = TrustStore::empty();
        let errors = trust.add_client_directory(dir.path());
        assert!(matches!(errors[..], [TlsError::TooMany { limit: MAX_FILES, .. }]), "{errors:?}");
        assert!(trust.anchors().is_empty());
        write("one-more.crt".to_owned());
        let error = TrustStore::empty().add_kept(dir.path()).expect_err("one too many");
        assert!(matches!(error, TlsError::TooMany { limit: MAX_FILES, .. }), "{error:?}");
    }

    #[test]
    fn a_directory_gives_files_of_a_limited_size() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = pem("a.example");
        let path = dir.path().join("a.crt");
        let most = usize::try_from(MAX_PEM_BYTES).expect("fits");
        for (size, read) in [(most, true), (most + 1, false)] {
            std::fs::write(&path, format!("{text}{}", "\n".repeat(size - text.len()))).expect("written");
            let kept = TrustStore::empty().add_kept(dir.path());
            let errors = TrustStore::empty().add_client_directory(dir.path());
            assert_eq!((kept.is_ok(), errors.is_empty()), (read, read), "{size}: {kept:?} {errors:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = pem("a.example") + &pem("b.example");
        let certificates = certificates_of(text.as_bytes(), &Origin::System).expect("PEM");
        let written = to_pem(&certificates);
        assert_eq!(certificates_of(written.as_bytes(), &Origin::System).expect("PEM"), certificates);
        assert!(written.lines().all(|line| line.len() <= 64), "{written}");
    }

    #[test]
    fn the_systems_roots_are_asked_last() {
        let mut trust = TrustStore::empty();
        trust.add_pem(pem("root.example").as_bytes(), Origin::System).expect("added");
        let cluster = Origin::Cluster("Secret".into());
        trust.add_pem(pem("a.example").as_bytes(), cluster.clone()).expect("added");
        let origins: Vec<_> = trust.anchors().iter().map(|anchor| &anchor.origin).collect();
        assert_eq!(origins, [&cluster, &Origin::System]);
        assert_eq!(trust.sources(), [(cluster.clone(), 1), (Origin::System, 1)]);
        assert_eq!(trust.only(&cluster).anchors(), &trust.anchors()[..1]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(before: Vec<u8>, inside: Vec<u8>) {
            let _ = TrustStore::empty().add_pem(&before, Origin::System);
            let armoured = [&b"-----BEGIN CERTIFICATE-----\n"[..], &inside, b"\n-----END CERTIFICATE-----"].concat();
            let _ = TrustStore::empty().add_pem(&armoured, Origin::System);
        }
    }
}

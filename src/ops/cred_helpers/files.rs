//! The files themselves: behind links, bounded, and shown as differences.

use std::io;
use std::path::{Path, PathBuf};

use similar::TextDiff;
use zeroize::Zeroizing;

use super::CredHelperError;
use super::document::Document;
use crate::credentials::MAX_CONFIG_BYTES;
use crate::fs::{Links, Unreadable, parent, read_regular};

/// Links that are followed to a file.
const MAX_LINKS: usize = 16;
/// Lines around a change that are shown.
const CONTEXT: usize = 3;

/// What a file has; `None` where there is none.
pub(super) type Content = Option<Zeroizing<Vec<u8>>>;

/// Returns the file behind a name: a link leads to it, also where it is not there yet. Its directory has one spelling,
/// so that two names of the same file are seen to be.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, CredHelperError> {
    let failed = |source| CredHelperError::Io { action: "read", path: path.to_owned(), source };
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        if let Ok(directory) = parent(&target).canonicalize() {
            target = directory.join(target.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?);
        }
        match std::fs::read_link(&target) {
            Ok(next) => target = parent(&target).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(failed(rustix::io::Errno::LOOP.into()))
}

/// Returns the content of a file of bounded size.
pub(super) fn read(target: &Path) -> Result<Content, CredHelperError> {
    match read_regular(target, MAX_CONFIG_BYTES, Links::Follow) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => match Unreadable::of(&source) {
            Some(Unreadable::TooLarge { .. }) => Err(CredHelperError::TooLarge(target.to_owned())),
            _ => Err(CredHelperError::Io { action: "read", path: target.to_owned(), source }),
        },
    }
}

/// Returns the directories that a file needs and that are not there, the outermost first.
pub(super) fn missing_directories(target: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> =
        target.ancestors().skip(1).take_while(|directory| !directory.exists()).map(Path::to_owned).collect();
    missing.reverse();
    missing
}

/// Returns a unified diff in which every string that may be a secret is hidden; empty where nothing is shown to differ.
pub(super) fn diff(path: &Path, before: Option<&Document>, after: Option<&Document>) -> String {
    let shown = |side: Option<&Document>| side.map(Document::redacted).unwrap_or_default();
    let name = |side: Option<&Document>| side.map_or_else(|| "/dev/null".to_owned(), |_| path.display().to_string());
    let (old, new) = (shown(before), shown(after));
    let difference = TextDiff::from_lines(old.as_str(), new.as_str());
    difference.unified_diff().context_radius(CONTEXT).header(&name(before), &name(after)).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("there");
        let at = |name: &str| root.join(name);
        std::fs::create_dir_all(at("dotfiles/docker")).expect("made");
        std::fs::create_dir(at("home")).expect("made");
        symlink("../dotfiles/docker", at("home/.docker")).expect("linked");
        symlink("real.json", at("dotfiles/docker/config.json")).expect("linked");
        let real = at("dotfiles/docker/real.json");
        assert_eq!(resolve(&at("home/.docker/config.json")).expect("resolved"), real, "a link to nothing as well");
        std::fs::write(&real, "{}").expect("written");
        assert_eq!(resolve(&at("home/../home/.docker/config.json")).expect("resolved"), real);
        assert_eq!(resolve(&at("no/such/file")).expect("resolved"), at("no/such/file"));
        symlink("loop", at("loop")).expect("linked");
        assert!(matches!(resolve(&at("loop")), Err(CredHelperError::Io { .. })));
        assert_eq!(missing_directories(&at("no/such/file")), [at("no"), at("no/such")]);
        assert_eq!(missing_directories(&real), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn only_files_of_a_sensible_size_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        assert_eq!(read(&path).expect("nothing"), None);
        std::fs::write(&path, "x").expect("written");
        assert_eq!(read(&path).expect("read").expect("there").as_slice(), b"x");
        std::fs::write(&path, vec![b' '; usize::try_from(MAX_CONFIG_BYTES).expect("fits") + 1]).expect("written");
        assert!(matches!(read(&path), Err(CredHelperError::TooLarge(told)) if told == path));
        assert!(matches!(read(dir.path()), Err(CredHelperError::Io { action: "read", .. })));
    }

    #[test]
    fn differences_show_no_secret() {
        let before = Document::parse(b"{\n\t\"auths\": {\n\t\t\"r\": {\"auth\": \"hunter2\"}\n\t}\n}").expect("JSON");
        let mut after = before.clone();
        after.set("r:1", "idpbuilder");
        assert_eq!(
            diff(Path::new("/c.json"), Some(&before), Some(&after)),
            "--- /c.json\n+++ /c.json\n@@ -1,5 +1,8 @@\n {\n \t\"auths\": {\n \t\t\"r\": {\"auth\": \"[hidden]\"}\n+\t},\n\
             +\t\"credHelpers\": {\n+\t\t\"r:1\": \"idpbuilder\"\n \t}\n }\n\\ No newline at end of file\n"
        );
        assert_eq!(diff(Path::new("/c.json"), Some(&before), Some(&before)), "");
        let gone = diff(Path::new("/c.json"), Some(&Document::parse(b"{}\n").expect("JSON")), None);
        assert_eq!(gone, "--- /c.json\n+++ /dev/null\n@@ -1 +0,0 @@\n-{}\n");
    }
}

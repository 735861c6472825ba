//! Use case: what of a directory would go into an image, and why the rest would not. Nothing is built or changed.

use std::path::{Component, Path, PathBuf};

use crate::context::{Context, ContextError, Entry, IGNORE_FILES, Kind, LeaveOut, Listing, SecretFiles, advice, real};
use crate::layer::removes;
use crate::progress::Interrupt;

/// Which directory by which rules.
#[derive(Debug, Clone)]
pub struct ExplainConfig {
    /// The build context.
    pub context: PathBuf,
    /// The ignore file; without one, the context's own.
    pub ignore_file: Option<PathBuf>,
    /// Further ignore patterns, after those of the file.
    pub exclude: Vec<String>,
    /// Directories that never go into an image: the store, and where credentials are kept.
    pub private: Vec<PathBuf>,
}

/// Why a path is in or out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Relative to the context.
    pub path: PathBuf,
    /// Whether something is there.
    pub exists: bool,
    /// Whether it stays out.
    pub excluded: bool,
    /// Whether it is in a directory that never goes into an image, whatever the rules say.
    pub private: bool,
    /// Whether a build refuses it unless it stays out: its name would remove files of the layers below.
    pub removes: bool,
    /// Where the deciding rule was written, and what was written; none if no rule matches.
    pub rule: Option<(String, String)>,
}

/// What a context holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// What would go into the image, sorted by path.
    pub kept: Vec<Kept>,
    /// What the rules decide, in their order.
    pub decided: Vec<DecidedBy>,
    /// Directories that stay out whatever the rules say.
    pub skipped: Vec<PathBuf>,
    /// The Dockerfile in the root, by name.
    pub dockerfile: Option<&'static str>,
    /// The warning about files that look like secrets, if there are any.
    pub secrets: Option<String>,
    /// A sentence for sockets that stay out, and for each large directory that is probably not meant.
    pub advice: Vec<String>,
}

/// Something that would go into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Relative to the context; any bytes.
    pub path: Box<[u8]>,
    /// `file`, `directory` or `link`.
    pub kind: &'static str,
    /// Bytes of content.
    pub size: u64,
    /// Whether a build refuses it: its name would remove files of the layers below.
    pub removes: bool,
    /// Whether it looks like a secret.
    pub secret: bool,
}

/// What one rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedBy {
    /// Where it was written.
    pub origin: String,
    /// What was written.
    pub written: String,
    /// Whether it brings back what an earlier rule leaves out; else it leaves out.
    pub exception: bool,
    /// Files, links and others, directories not counted.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// A path that is not in the context.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The context's reason.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The path leads elsewhere.
    #[error("`{}` is not below the build context `{}`", path.display(), context.display())]
    Outside {
        /// What was asked for.
        path: PathBuf,
        /// The context.
        context: PathBuf,
    },
}

/// Says for each path, which need not exist, whether it would go into the image and which rule decides. Paths are
/// relative to the context, or absolute.
pub fn explain(config: &ExplainConfig, paths: &[PathBuf]) -> Result<Vec<Explanation>, ExplainError> {
    let context = Context::open(&config.context)?;
    let file = context.ignore_file(config.ignore_file.as_deref())?;
    let rules = context.rules(file.as_deref(), &config.exclude)?;
    let private = real(&config.private);
    let explained = paths.iter().map(|path| {
        let relative = relative(&context, path)?;
        let verdict = rules.decide(relative.as_os_str().as_encoded_bytes());
        let place = context.root().join(&relative);
        Ok(Explanation {
            exists: context.has(&relative),
            private: private.iter().any(|private| place.starts_with(private)),
            excluded: verdict.excluded,
            removes: removes(relative.as_os_str().as_encoded_bytes()),
            rule: verdict.rule.map(|rule| (rule.origin.to_string(), rule.written.clone())),
            path: relative,
        })
    });
    explained.collect()
}

/// Lists what would go into the image, and counts what each rule decides.
pub fn contents(config: &ExplainConfig, interrupt: &Interrupt) -> Result<Contents, ContextError> {
    let context = Context::open(&config.context)?;
    let file = context.ignore_file(config.ignore_file.as_deref())?;
    let rules = context.rules(file.as_deref(), &config.exclude)?;
    let private = real(&config.private);
    let counted = context.rule_stats(&rules, &private, interrupt)?;
    let decided = rules.rules().iter().zip(counted).map(|(rule, decided)| DecidedBy {
        origin: rule.origin.to_string(),
        written: rule.written.clone(),
        exception: rule.exception,
        entries: decided.entries,
        bytes: decided.bytes,
    });
    let decided = decided.collect();
    let listing = context.list(&rules, &private, interrupt)?;
    let sockets = listing.socket_warning(&context);
    let Listing { entries, skipped, .. } = listing;
    let advice = sockets.into_iter().chain(advice(&entries, None)).collect();
    let found = context.secrets(&entries);
    let own = context.shown(Path::new(IGNORE_FILES[1]));
    let secrets = found.iter().collect::<SecretFiles>().warning(
        Some(&format!("`{}`", context.given().display())),
        LeaveOut::IgnoreFile(file.as_deref().unwrap_or(&own)),
    );
    let kept = entries.iter().map(|entry| kept(entry, found.binary_search(&&*entry.path).is_ok())).collect();
    Ok(Contents { kept, secrets, decided, skipped, dockerfile: context.dockerfile(), advice })
}

fn kept(entry: &Entry, secret: bool) -> Kept {
    let kind = match entry.kind {
        Kind::Directory => "directory",
        Kind::File { .. } => "file",
        Kind::Symlink { .. } => "link",
    };
    Kept { path: entry.path.clone(), kind, size: entry.size(), removes: removes(&entry.path), secret }
}

/// Returns the path below the context, by its text: links on the way are not followed, as on the walk.
fn relative(context: &Context, path: &Path) -> Result<PathBuf, ExplainError> {
    let outside = || ExplainError::Outside { path: path.to_owned(), context: context.given().to_owned() };
    let inner = if path.is_absolute() { path.strip_prefix(context.root()).map_err(|_| outside())? } else { path };
    let mut clean = PathBuf::new();
    for component in inner.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir if clean.pop() => {}
            _ => return Err(outside()),
        }
    }
    if clean.as_os_str().is_empty() { Err(outside()) } else { Ok(clean) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> (tempfile::TempDir, ExplainConfig) {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, content) in [("a/b", "12345"), ("a/c", "1"), (".dockerignore", "# note\na\n!a/c\n"), ("top", "x")] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, content).expect("written");
        }
        let config = ExplainConfig {
            context: directory.path().to_owned(),
            ignore_file: None,
            exclude: vec!["*.tmp".to_owned()],
            private: Vec::new(),
        };
        (directory, config)
    }

    #[test]
    fn the_rule_that_decides_is_named() {
        let (directory, config) = context();
        let paths = ["a/b", "./a/x/../c", "top", "missing.tmp"].map(PathBuf::from);
        let told: Vec<_> = explain(&config, &paths)
            .expect("inside")
            .into_iter()
            .map(|told| (told.exists, told.excluded, told.rule.map(|(_, written)| written)))
            .collect();
        let rule = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [(true, true, rule("a")), (true, false, rule("!a/c")), (true, false, None), (false, true, rule("*.tmp"))]
        );
        let absolute =
            explain(&config, &[directory.path().canonicalize().expect("there").join("a/b")]).expect("inside");
        assert!(absolute[0].rule.as_ref().is_some_and(|(origin, _)| origin.starts_with("line 2 of ")), "{absolute:?}");
        for path in ["../x", "/etc/passwd", ".", "a/../.."] {
            explain(&config, &[PathBuf::from(path)]).expect_err(path);
        }
    }

    #[test]
    fn names_that_remove_are_told() {
        let (directory, config) = context();
        std::fs::write(directory.path().join(".wh.top"), "").expect("written");
        let told = explain(&config, &[".wh.top".into(), "x/.wh.y".into(), "top".into()]).expect("inside");
        assert_eq!(told.iter().map(|told| told.removes).collect::<Vec<_>>(), [true, true, false]);
        let contents = contents(&config, &Interrupt::default()).expect("listed");
        let removing: Vec<_> = contents.kept.iter().filter(|kept| kept.removes).map(|kept| &*kept.path).collect();
        assert_eq!(removing, [b".wh.top"]);
    }

    #[test]
    fn contents_are_what_a_build_takes_and_what_each_rule_costs() {
        let (_directory, config) = context();
        let contents = contents(&config, &Interrupt::default()).expect("listed");
        let kept: Vec<String> = contents.kept.iter().map(|kept| String::from_utf8_lossy(&kept.path).into()).collect();
        assert_eq!(kept, [".dockerignore", "a", "a/c", "top"]);
        let decided = contents.decided.iter().map(|by| (by.written.as_str(), by.exception, by.entries, by.bytes));
        assert_eq!(decided.collect::<Vec<_>>(), [("a", false, 1, 5), ("!a/c", true, 1, 1), ("*.tmp", false, 0, 0)]);
    }

    #[test]
    fn what_is_private_stays_out_whatever_the_rules_say() {
        let (directory, config) = context();
        let config = ExplainConfig { private: vec![directory.path().join("a"), "/no/such".into()], ..config };
        let told = explain(&config, &["a/c".into(), "a".into(), "top".into()]).expect("inside");
        assert_eq!(told.iter().map(|told| told.private).collect::<Vec<_>>(), [true, true, false]);
        std::fs::remove_file(directory.path().join(".dockerignore")).expect("removed");
        let contents = contents(&config, &Interrupt::default()).expect("listed");
        assert_eq!(contents.kept.iter().map(|kept| &*kept.path).collect::<Vec<_>>(), [b"top"]);
        assert_eq!(contents.skipped, [directory.path().canonicalize().expect("there").join("a")]);
    }
}

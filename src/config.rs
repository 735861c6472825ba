//! Settings in layers: flag, environment, settings file, default; each value knows where it came from.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fs::{Links, read_regular};

/// The largest settings file we read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The settings file.
    File(PathBuf),
    /// No source sets the value.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "{name}"),
            Self::Environment(name) => write!(f, "${name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Its source.
    pub source: Source,
}

impl<T> Setting<T> {
    fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }
}

/// Where stored credentials go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The keyring; where none answers, the file.
    #[default]
    Auto,
    /// The keyring only.
    Keyring,
    /// The file only.
    File,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Keyring => "keyring",
            Self::File => "file",
        })
    }
}

/// The settings file, `config.toml` in the program's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    store: Option<PathBuf>,
    default_registry: Option<String>,
    credential_store: Option<StoreKind>,
}

/// Why there is no home directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHome {
    /// It would depend on the current directory.
    #[error("HOME is `{}`, which is not an absolute path", .0.display())]
    Relative(PathBuf),
    /// There is no HOME, and the system's database of users has nothing in its place.
    #[error("HOME is not set, and the system knows no home directory of this user")]
    Unknown,
    /// HOME is not set, and the directory of the account does not exist.
    #[error("HOME is not set, and this user's home directory `{}` does not exist", .0.display())]
    Absent(PathBuf),
}

/// Returns the home directory: the value of HOME if it is set, else `account`, the entry in the system's database of
/// users. The result never depends on the current directory, where a login must not be written.
///
/// # Errors
///
/// Fails if neither is an absolute path, or the database names a directory that is not there.
pub fn home_of(
    variable: Option<&OsStr>,
    account: Option<&Path>,
    is_directory: impl Fn(&Path) -> bool,
) -> Result<PathBuf, NoHome> {
    match variable.map(Path::new) {
        Some(home) if home.is_absolute() => return Ok(home.to_owned()),
        Some(home) => return Err(NoHome::Relative(home.to_owned())),
        None => {}
    }
    match account.filter(|home| home.is_absolute()) {
        Some(home) if is_directory(home) => Ok(home.to_owned()),
        Some(home) => Err(NoHome::Absent(home.to_owned())),
        None => Err(NoHome::Unknown),
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no directory for anything of ours.
    #[error(transparent)]
    NoHome(#[from] NoHome),
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or has a setting we do not know.
    #[error("`{}` is not a valid settings file", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's reason with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
}

/// What flags and environment say; `None` where they say nothing.
#[derive(Debug, Clone, Default)]
pub struct ConfigInputs {
    /// The program's directory: `IDPBUILDER_HOME`.
    pub home: Option<PathBuf>,
    /// The user's home directory, or why there is none; not asked for where `home` is given.
    pub user_home: Option<Result<PathBuf, NoHome>>,
    /// `--store`.
    pub store_flag: Option<PathBuf>,
    /// `IDPBUILDER_STORE`.
    pub store_variable: Option<PathBuf>,
    /// `IDPBUILDER_REGISTRY`.
    pub registry_variable: Option<String>,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The program's directory, `~/.idpbuilder`.
    pub home: Setting<PathBuf>,
    /// The image store, `images` in the program's directory.
    pub store: Setting<PathBuf>,
    /// The registry that a reference without one means.
    pub default_registry: Option<Setting<String>>,
    /// Where credentials are kept that a person stores.
    pub credential_store: Setting<StoreKind>,
}

impl Settings {
    /// Layers flag over environment over file over default.
    pub fn resolve(given: ConfigInputs) -> Result<Self, ConfigError> {
        let home = match (given.home, given.user_home) {
            (Some(home), _) => Setting::new(home, Source::Environment("IDPBUILDER_HOME")),
            (None, Some(user)) => Setting::new(user?.join(".idpbuilder"), Source::Default),
            (None, None) => return Err(NoHome::Unknown.into()),
        };
        let path = home.value.join("config.toml");
        let file = read(&path)?;
        let store = given
            .store_flag
            .map(|path| Setting::new(path, Source::Flag("--store")))
            .or_else(|| given.store_variable.map(|path| Setting::new(path, Source::Environment("IDPBUILDER_STORE"))))
            .or_else(|| file.store.map(|store| Setting::new(home.value.join(store), Source::File(path.clone()))))
            .unwrap_or_else(|| Setting::new(home.value.join("images"), Source::Default));
        let default_registry = given
            .registry_variable
            .map(|registry| Setting::new(registry, Source::Environment("IDPBUILDER_REGISTRY")))
            .or_else(|| file.default_registry.map(|registry| Setting::new(registry, Source::File(path.clone()))));
        let credential_store = match file.credential_store {
            Some(kind) => Setting::new(kind, Source::File(path)),
            None => Setting::new(StoreKind::default(), Source::Default),
        };
        Ok(Self { home, store, default_registry, credential_store })
    }
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let io = |source| ConfigError::Io { path: path.to_owned(), source };
    let bytes = match read_regular(path, MAX_FILE_BYTES, Links::Follow) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(source) => return Err(io(source)),
    };
    let text = String::from_utf8(bytes)
        .map_err(|error| io(std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error())))?;
    toml::from_str(&text).map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fs::Unreadable;

    #[test]
    fn the_nearer_layer_wins() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().to_owned();
        let given = || ConfigInputs { home: Some(home.clone()), ..ConfigInputs::default() };
        let plain = Settings::resolve(given()).expect("no file");
        assert_eq!(plain.store, Setting::new(home.join("images"), Source::Default));
        assert_eq!(plain.default_registry, None);
        assert_eq!(plain.credential_store, Setting::new(StoreKind::Auto, Source::Default));

        std::fs::write(home.join("config.toml"), "store = \"/data\"\ndefault_registry = \"reg:5000\"\n")
            .expect("written");
        let from_file = Settings::resolve(given()).expect("a file");
        let source = Source::File(home.join("config.toml"));
        assert_eq!(from_file.store, Setting::new(PathBuf::from("/data"), source.clone()));
        assert_eq!(from_file.default_registry, Some(Setting::new("reg:5000".into(), source)));

        let variables =
            ConfigInputs { store_variable: Some("/env".into()), registry_variable: Some("env:1".into()), ..given() };
        let from_variables = Settings::resolve(variables.clone()).expect("variables");
        assert_eq!(from_variables.store.value, PathBuf::from("/env"));
        assert_eq!(from_variables.default_registry.expect("set").source.to_string(), "$IDPBUILDER_REGISTRY");

        let flags = ConfigInputs { store_flag: Some("/flag".into()), ..variables };
        assert_eq!(Settings::resolve(flags).expect("flags").store.source.to_string(), "--store");
    }

    #[test]
    fn home_is_never_below_the_current_directory() {
        let (home, account) = (|path: &str| Ok(PathBuf::from(path)), Some("/home/account"));
        let absent = || Err(NoHome::Absent("/nonexistent".into()));
        let relative = |path: &str| Err(NoHome::Relative(path.into()));
        for (variable, account, expected) in [
            (Some("/home/u"), account, home("/home/u")),
            (Some("/home/u"), None, home("/home/u")),
            // A HOME that is to be made counts too, as it always did.
            (Some("/nonexistent"), account, home("/nonexistent")),
            (Some("/"), None, home("/")),
            (None, account, home("/home/account")),
            (None, Some("/"), home("/")),
            (None, Some("/nonexistent"), absent()),
            (None, Some(""), Err(NoHome::Unknown)),
            (None, Some("home"), Err(NoHome::Unknown)),
            (None, None, Err(NoHome::Unknown)),
            (Some("."), account, relative(".")),
            (Some("home/u"), account, relative("home/u")),
            (Some("~"), None, relative("~")),
        ] {
            let found =
                home_of(variable.map(OsStr::new), account.map(Path::new), |path| path != Path::new("/nonexistent"));
            assert_eq!(found, expected, "{variable:?} {account:?}");
        }
    }

    #[test]
    fn without_a_home_directory_there_are_no_settings() {
        let resolve = |home: Option<&str>, user_home| {
            let given = ConfigInputs { home: home.map(PathBuf::from), user_home, ..ConfigInputs::default() };
            Settings::resolve(given).map(|settings| settings.home.value)
        };
        let found = resolve(None, Some(Ok("/nowhere/u".into()))).expect("a home");
        assert_eq!(found, Path::new("/nowhere/u/.idpbuilder"));
        let found = resolve(Some("/nowhere/own"), Some(Err(NoHome::Unknown))).expect("a directory of its own");
        assert_eq!(found, Path::new("/nowhere/own"));
        for none in [None, Some(Err(NoHome::Unknown)), Some(Err(NoHome::Relative(".".into())))] {
            assert!(matches!(resolve(None, none), Err(ConfigError::NoHome(_))));
        }
    }

    #[test]
    fn the_credential_store_is_one_of_three() {
        let dir = tempfile::tempdir().expect("a directory");
        let given = || ConfigInputs { home: Some(dir.path().to_owned()), ..ConfigInputs::default() };
        for kind in [StoreKind::Auto, StoreKind::Keyring, StoreKind::File] {
            std::fs::write(dir.path().join("config.toml"), format!("credential_store = \"{kind}\"\n"))
                .expect("written");
            assert_eq!(Settings::resolve(given()).expect("a file").credential_store.value, kind);
        }
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("config.toml"), "stroe = 1\n").expect("written");
        let given = || ConfigInputs { home: Some(dir.path().to_owned()), ..ConfigInputs::default() };
        let Err(ConfigError::Syntax { source, .. }) = Settings::resolve(given()) else { panic!("accepted") };
        assert!(source.to_string().contains("stroe"), "{source}");
        std::fs::write(dir.path().join("config.toml"), "credential_store = \"vault\"\n").expect("written");
        let Err(ConfigError::Syntax { source, .. }) = Settings::resolve(given()) else { panic!("accepted") };
        assert!(source.to_string().contains("vault"), "{source}");
    }

    #[test]
    fn a_settings_file_is_a_regular_file_of_bounded_size_perhaps_behind_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        let resolve = || {
            let given = ConfigInputs { home: Some(dir.path().to_owned()), ..ConfigInputs::default() };
            let (done, outcome) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let _ = done.send(Settings::resolve(given));
            });
            outcome.recv_timeout(std::time::Duration::from_mins(1)).expect("nothing is waited for")
        };
        let refused = || match resolve() {
            Err(ConfigError::Io { source, .. }) => Unreadable::of(&source).expect("a reason of ours"),
            other => panic!("{other:?}"),
        };
        std::fs::write(dir.path().join("dotfile"), "default_registry = \"r:1\"\n").expect("written");
        std::os::unix::fs::symlink("dotfile", &path).expect("linked");
        assert_eq!(resolve().expect("a link").default_registry.expect("set").value, "r:1");
        std::fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("linked");
        assert_eq!(refused(), Unreadable::Kind("device"));
        std::fs::remove_file(&path).expect("removed");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        assert_eq!(refused(), Unreadable::Kind("pipe"));
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("made");
        assert_eq!(refused(), Unreadable::Kind("directory"));
        std::fs::remove_dir(&path).expect("removed");
        std::fs::File::create(&path).and_then(|file| file.set_len(MAX_FILE_BYTES + 1)).expect("made");
        assert_eq!(refused(), Unreadable::TooLarge { limit: MAX_FILE_BYTES });
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,200}") {
            let _ = toml::from_str::<File>(&text);
        }
    }
}

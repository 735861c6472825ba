use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Mutex;

use super::*;
use crate::context::Context;
use crate::progress::{Event, Outcome, Silent};

mod again;
mod bases;
mod cache;
mod edits;
mod layers;
mod sources;

/// Remembers what it heard, one line each.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn emit(&self, event: Event<'_>) {
        self.0.lock().expect("no holder of the lock panicked").push(format!("{event:?}"));
    }
}

impl Heard {
    fn lines(&self, what: &str) -> Vec<String> {
        self.0
            .lock()
            .expect("no holder of the lock panicked")
            .iter()
            .filter(|line| line.starts_with(what))
            .cloned()
            .collect()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    store: ImageStore,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("app")).expect("made");
        let store = ImageStore::open(&dir.path().join("images")).expect("a new store");
        Self { dir, store }
    }

    fn context(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    fn config(&self) -> BuildConfig {
        BuildConfig {
            packs_dockerfile: false,
            context: self.context(),
            names: vec![name("app:v1")],
            base: None,
            platform: Platform::new("linux", "amd64", None),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            ignore_file: None,
            exclude: Vec::new(),
            runtime: ContainerConfig::default(),
            sources: Sources::default(),
            resets: Resets::default(),
            copy_to: "/".into(),
            owner: Owner::default(),
            mode: None,
            timestamp: DEFAULT_TIMESTAMP,
            compression: Compression::default(),
            layers: Layers::Auto,
            private: Vec::new(),
            cache: None,
            built_at: "2026-01-02T03:04:05Z".into(),
            conditions: None,
            stored: StoredLayers::default(),
        }
    }

    fn build(&self, config: &BuildConfig) -> Result<BuildOutcome, BuildError> {
        build(config, &self.store, &Silent, &Interrupt::default())
    }

    /// Names in the image's layers, in order.
    fn names(&self, outcome: &BuildOutcome) -> Vec<String> {
        let mut names = Vec::new();
        for layer in &outcome.layers {
            let blob = self.store.read_blob(&layer.descriptor).expect("stored");
            let mut tar = Vec::new();
            flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut tar).expect("gzip");
            assert_eq!((Digest::of(&tar), tar.len() as u64), (layer.diff_id, layer.uncompressed));
            for entry in tar::Archive::new(&tar[..]).entries().expect("an archive") {
                names.push(String::from_utf8_lossy(&entry.expect("an entry").path_bytes()).into_owned());
            }
        }
        names
    }
}

fn name(text: &str) -> Reference {
    text.parse().expect("a reference")
}

/// A small tree with one of everything, modes set whatever the umask is.
fn fill(root: &Path, reverse: bool) {
    let mut files = vec![("bin/run", "#!/bin/sh\n", 0o755), ("etc/app.conf", "a=1\n", 0o640), ("empty", "", 0o600)];
    if reverse {
        files.reverse();
    }
    for (path, content, mode) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("inside")).expect("made");
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("mode");
    }
    for directory in ["bin", "etc"] {
        fs::set_permissions(root.join(directory), Permissions::from_mode(0o755)).expect("mode");
    }
    symlink("../bin/run", root.join("etc/link")).expect("linked");
    fs::hard_link(root.join("bin/run"), root.join("bin/start")).expect("linked");
    fs::write(root.join(format!("{}.txt", "long".repeat(50))), "x".repeat(1000)).expect("written");
    fs::set_permissions(root.join(format!("{}.txt", "long".repeat(50))), Permissions::from_mode(0o644)).expect("mode");
}

#[test]
fn a_directory_becomes_a_named_image() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    let mut config = bench.config();
    config.names = vec![name("app:v1"), name("localhost:5000/team/app"), name("app:v1")];
    config.labels = BTreeMap::from([("who".into(), "me".into())]);
    config.annotations = BTreeMap::from([("note".into(), "n".into())]);
    config.runtime.entrypoint = vec!["/srv/bin/run".into()];
    config.runtime.labels = BTreeMap::from([("who".into(), "you".into()), ("kept".into(), "k".into())]);
    config.copy_to = "srv".into();
    let heard = Heard::default();
    let outcome = build(&config, &bench.store, &heard, &Interrupt::default()).expect("built");
    assert_eq!(outcome.names, [name("app:v1"), name("localhost:5000/team/app:latest")]);
    assert_eq!((outcome.files, outcome.directories, outcome.excluded), (6, 2, 0));
    assert_eq!(outcome.context_bytes, 1014);
    assert!(outcome.replaced.is_empty() && outcome.ignore_file.is_none());
    for text in ["app:v1", "localhost:5000/team/app"] {
        let selection = bench.store.resolve(text).expect(text);
        assert_eq!(selection.descriptor.digest, outcome.document.digest());
        assert_eq!(selection.entries[0].created.as_deref(), Some("2026-01-02T03:04:05Z"));
    }
    let tree = bench.store.tree(&outcome.document.descriptor).expect("whole");
    let blobs: u64 = tree.blobs.iter().map(|blob| blob.size).sum();
    assert_eq!(outcome.size, blobs + outcome.document.descriptor.size);
    let image = bench.store.image("app", &outcome.document.descriptor, None).expect("there");
    assert_eq!(image.manifest.config.digest, outcome.image_id);
    assert_eq!(image.manifest.layers[0].media_type, media_type::IMAGE_LAYER_GZIP);
    assert_eq!(image.manifest.annotations, Some(config.annotations));
    assert_eq!(
        String::from_utf8(image.config_bytes).expect("text"),
        format!(
            concat!(
                r#"{{"created":"1980-01-01T00:00:01Z","architecture":"amd64","os":"linux","#,
                r#""config":{{"Entrypoint":["/srv/bin/run"],"Labels":{{"kept":"k","who":"me"}}}},"#,
                r#""rootfs":{{"type":"layers","diff_ids":["{}"]}},"#,
                r#""history":[{{"created":"1980-01-01T00:00:01Z","created_by":"idpbuilder-build COPY . /srv"}}]}}"#
            ),
            outcome.layers[0].diff_id
        )
    );
    let long = format!("srv/{}.txt", "long".repeat(50));
    let expected = [
        "srv/",
        "srv/bin/",
        "srv/bin/run",
        "srv/bin/start",
        "srv/empty",
        "srv/etc/",
        "srv/etc/app.conf",
        "srv/etc/link",
    ];
    assert_eq!(bench.names(&outcome), expected.into_iter().chain([&*long]).collect::<Vec<_>>());
    assert_eq!(heard.lines("Begin").len(), 1);
    assert!(heard.lines("Begin")[0].contains("total: Some(1014)"), "{:?}", heard.lines(""));
    assert_eq!(heard.lines("End"), [r#"End { key: "context", outcome: Done }"#]);
    assert!(heard.lines("Warning").is_empty());
}

#[test]
fn the_same_tree_gives_the_same_image_anywhere() {
    let one = Bench::new();
    fill(&one.context(), false);
    let first = one.build(&one.config()).expect("built");
    let other = Bench::new();
    fill(&other.context(), true);
    let moved = other.dir.path().join("elsewhere");
    fs::rename(other.context(), &moved).expect("moved");
    fs::File::open(moved.join("empty")).expect("there").set_modified(std::time::UNIX_EPOCH).expect("set");
    fs::set_permissions(&moved, Permissions::from_mode(0o700)).expect("mode");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(moved.join("bin/run"), Some(1234), Some(4321)).expect("root may");
        fs::set_permissions(moved.join("bin/run"), Permissions::from_mode(0o755)).expect("mode");
    }
    let mut config = BuildConfig { context: moved, ..other.config() };
    config.built_at = "2030-01-01T00:00:00Z".into();
    config.names = vec![name("another:name")];
    let second = other.build(&config).expect("built");
    assert_eq!(first.document.bytes, second.document.bytes);
    // Who owns the files is the configuration's to say, and shows.
    config.owner = Owner { uid: 1000, gid: 1000 };
    assert_ne!(other.build(&config).expect("built").layers, second.layers);
}

/// A change here changes every image that people have built: `diff_id` must never change, the blob's
/// digest only with the compressor, and with `FORMAT` in `layer/plan/fingerprint`, so that no old layer is taken for a
/// new one.
#[test]
fn golden_digests() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    let outcome = bench.build(&bench.config()).expect("built");
    let digests = [outcome.layers[0].diff_id, outcome.layers[0].descriptor.digest, outcome.document.digest()];
    assert_eq!(
        digests.map(|digest| digest.to_string()),
        [
            "sha256:ed02bb6bb3984aa288bfa4cd2749c3c64731734e3ebc1913f15292030d5d733d",
            "sha256:370e9a2ca5b1296308675b04a0f1d0a0f77d53d1306ca9330a0ba635775aad62",
            "sha256:a481c87a70ad54c24ef0a87624d5e6171266b696429d6ef79059e334813685da",
        ]
    );
}

#[test]
fn ignore_rules_count_and_are_named() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    fs::write(bench.context().join(".dockerignore"), "etc\n*.txt\n!etc/app.conf\n").expect("written");
    let mut config = bench.config();
    config.exclude = vec!["empty".into()];
    let outcome = bench.build(&config).expect("built");
    assert_eq!(bench.names(&outcome), [".dockerignore", "bin/", "bin/run", "bin/start", "etc/", "etc/app.conf"]);
    assert_eq!((outcome.excluded, outcome.ignore_file), (3, Some(bench.context().join(".dockerignore"))));
    fs::write(bench.context().join(".dockerignore"), "ok\n[\n").expect("written");
    let error = bench.build(&config).expect_err("malformed");
    assert!(matches!(error, BuildError::Context(ContextError::Rule(_))), "{error:?}");
    assert!(bench.store.resolve("app:v1").is_ok(), "the image built before is still there");
}

#[test]
fn nothing_to_pack_is_an_empty_layer_and_a_warning() {
    let bench = Bench::new();
    let warned = |config: &BuildConfig| {
        let heard = Heard::default();
        let outcome = build(config, &bench.store, &heard, &Interrupt::default()).expect("built");
        assert_eq!((outcome.files, outcome.directories, outcome.layers[0].uncompressed), (0, 0, 1024));
        heard.lines("Warning").join("\n")
    };
    assert!(warned(&bench.config()).contains("is empty"));
    fill(&bench.context(), false);
    let config = BuildConfig { exclude: vec!["*".into()], ..bench.config() };
    assert!(warned(&config).contains("exclude everything"));
}

#[test]
fn a_store_inside_the_context_stays_out() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    let config = BuildConfig { context: bench.dir.path().to_owned(), copy_to: "/".into(), ..bench.config() };
    let heard = Heard::default();
    let first = build(&config, &bench.store, &heard, &Interrupt::default()).expect("built");
    assert!(bench.names(&first).iter().all(|name| name.starts_with("app/")), "{:?}", bench.names(&first));
    assert_eq!(heard.lines("Warning").len(), 1);
    let again = bench.build(&config).expect("built");
    assert_eq!(first.document.digest(), again.document.digest());
    let heard = Heard::default();
    let excluding = BuildConfig { exclude: vec!["images".into()], ..config.clone() };
    build(&excluding, &bench.store, &heard, &Interrupt::default()).expect("built");
    assert!(heard.lines("Warning").is_empty());
    let own = BuildConfig { context: bench.store.root().to_owned(), ..config };
    assert!(matches!(bench.build(&own), Err(BuildError::ContextIsStore(_))));
}

#[test]
fn what_is_private_never_goes_into_an_image() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    let own = bench.context().join("own");
    fs::create_dir(&own).expect("made");
    fs::write(own.join("credentials.json"), "secret").expect("written");
    let config = BuildConfig { private: vec![own.clone()], ..bench.config() };
    let heard = Heard::default();
    let outcome = build(&config, &bench.store, &heard, &Interrupt::default()).expect("built");
    assert!(bench.names(&outcome).iter().all(|name| !name.contains("own")), "{:?}", bench.names(&outcome));
    assert!(heard.lines("Warning").iter().any(|line| line.contains("credentials")), "{:?}", heard.lines("Warning"));
    let copied = CopySource { path: bench.context(), destination: "/srv/".into(), owner: None, mode: None };
    let sources = Sources { copies: vec![copied], ..Sources::default() };
    let outcome = bench.build(&BuildConfig { sources, ..config.clone() }).expect("built");
    assert!(bench.names(&outcome).iter().all(|name| !name.contains("own")), "{:?}", bench.names(&outcome));
    let refused = bench.build(&BuildConfig { context: own, ..config });
    assert!(matches!(refused, Err(BuildError::ContextIsPrivate(_))), "{refused:?}");
}

#[test]
fn a_name_taken_from_an_image_is_told() {
    let bench = Bench::new();
    let first = bench.build(&bench.config()).expect("built");
    fill(&bench.context(), false);
    let second = bench.build(&bench.config()).expect("built");
    assert_eq!(second.replaced, [first.document.digest()]);
    assert!(bench.build(&bench.config()).expect("built").replaced.is_empty());
}

/// Removes a file when packing begins.
struct Remover(PathBuf);
impl Progress for Remover {
    fn emit(&self, event: Event<'_>) {
        match event {
            Event::Begin { .. } => fs::remove_file(&self.0).expect("removed"),
            Event::End { outcome, .. } => assert_eq!(outcome, Outcome::Failed),
            _ => {}
        }
    }
}

/// Interrupts when packing begins.
struct Stop(Interrupt);
impl Progress for Stop {
    fn emit(&self, event: Event<'_>) {
        if let Event::Begin { .. } = event {
            self.0.request();
        }
    }
}

#[test]
fn failures_leave_the_store_as_it_was() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    let blobs = || walk_files(bench.store.root());
    let before = blobs();
    let pipe = bench.context().join("pipe");
    let made = rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0);
    made.expect("a pipe");
    let special = bench.build(&bench.config());
    assert!(matches!(special, Err(BuildError::Context(ContextError::Special { .. }))));
    fs::remove_file(pipe).expect("removed");
    let remover = Remover(bench.context().join("empty"));
    let vanished = build(&bench.config(), &bench.store, &remover, &Interrupt::default());
    assert!(matches!(vanished, Err(BuildError::Layer(LayerError::Vanished { path })) if path == remover.0));
    let interrupt = Interrupt::default();
    let stopped = build(&bench.config(), &bench.store, &Stop(interrupt.clone()), &interrupt);
    assert!(matches!(stopped, Err(BuildError::Interrupted)));
    assert!(matches!(build(&bench.config(), &bench.store, &Silent, &interrupt), Err(BuildError::Interrupted)));
    assert_eq!(blobs(), before);
}

/// All files except the lock.
fn walk_files(root: &Path) -> Vec<PathBuf> {
    let listing = Context::open(root).and_then(|context| {
        let rules = context.rules(None, &[".lease.lock".to_owned()])?;
        context.list(&rules, &[], &Interrupt::default())
    });
    listing.expect("listed").entries.iter().map(|entry| entry.relative().to_owned()).collect()
}

#[test]
fn configurations_that_make_no_sense_are_refused() {
    let bench = Bench::new();
    let refused = |change: &dyn Fn(&mut BuildConfig)| {
        let mut config = bench.config();
        change(&mut config);
        bench.build(&config).expect_err("refused")
    };
    let digest = Digest::of(b"");
    assert!(matches!(refused(&|config| config.names.clear()), BuildError::NoName));
    let pinned = refused(&|config| config.names = vec![name(&format!("app@{digest}"))]);
    assert!(matches!(pinned, BuildError::DigestInName(_)));
    let empty = || BTreeMap::from([(String::new(), "v".to_owned())]);
    assert!(matches!(refused(&|config| config.labels = empty()), BuildError::EmptyLabel(_)));
    assert!(matches!(refused(&|config| config.annotations = empty()), BuildError::EmptyAnnotation(_)));
    assert!(matches!(refused(&|config| config.copy_to = "/a/../..".into()), BuildError::Destination { .. }));
    for timestamp in [-1, i64::MIN, i64::MAX, 253_402_300_800] {
        assert!(matches!(refused(&|config| config.timestamp = timestamp), BuildError::Timestamp(_)), "{timestamp}");
    }
    assert!(matches!(
        refused(&|config| config.context.push("missing")),
        BuildError::Context(ContextError::NotFound { .. })
    ));
    let chosen = refused(&|config| config.ignore_file = Some("/nonexistent/file".into()));
    assert!(matches!(chosen, BuildError::Context(ContextError::IgnoreFile { .. })));
}

#[test]
fn every_second_that_is_promised_can_be_built() {
    let bench = Bench::new();
    for (timestamp, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (DEFAULT_TIMESTAMP, "1980-01-01T00:00:01Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (253_402_207_201, "9999-12-30T22:00:01Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
    ] {
        let outcome = bench.build(&BuildConfig { timestamp, ..bench.config() }).expect(expected);
        assert_eq!(rfc3339(timestamp).as_deref(), Some(expected));
        assert_eq!(outcome.layers.len(), 1);
    }
}

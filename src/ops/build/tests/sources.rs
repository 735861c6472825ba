//! Images of several sources.

use super::*;

/// A tar archive of files with their contents.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_bytes()).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

fn copy(path: PathBuf, destination: &str) -> CopySource {
    CopySource { path, destination: destination.into(), owner: None, mode: None }
}

fn file_archive(bench: &Bench, name: &str, bytes: &[u8], destination: &str) -> ArchiveSource {
    let path = bench.dir.path().join(name);
    fs::write(&path, bytes).expect("written");
    ArchiveSource {
        input: ArchiveInput::File(path),
        destination: destination.into(),
        keep: false,
        owner: None,
        mode: None,
    }
}

fn steps(bench: &Bench, outcome: &BuildOutcome) -> Vec<String> {
    let image = bench.store.image("app", &outcome.document.descriptor, None).expect("there");
    image.config.history.into_iter().map(|step| step.created_by.expect("said")).collect()
}

/// Modes, owners and names in the layers, in order.
fn attributes(bench: &Bench, outcome: &BuildOutcome) -> Vec<String> {
    let mut lines = Vec::new();
    for layer in &outcome.layers {
        let blob = bench.store.read_blob(&layer.descriptor).expect("stored");
        let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(blob));
        for entry in archive.entries().expect("an archive") {
            let entry = entry.expect("an entry");
            let header = entry.header();
            let (mode, uid) = (header.mode().expect("a mode"), header.uid().expect("an id"));
            lines.push(format!("{mode:o} {uid} {}", String::from_utf8_lossy(&entry.path_bytes())));
        }
    }
    lines
}

fn put(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("inside")).expect("made");
    fs::write(path, content).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o644)).expect("mode");
}

#[test]
fn each_source_is_a_layer_over_those_before() {
    let bench = Bench::new();
    put(&bench.context().join("srv/index"), "context");
    fs::set_permissions(bench.context().join("srv"), Permissions::from_mode(0o700)).expect("mode");
    let more = bench.dir.path().join("more");
    put(&more.join("one"), "1");
    put(&more.join("two"), "2");
    put(&more.join(".dockerignore"), "two\n.dockerignore\n");
    put(&bench.dir.path().join("conf"), "c");
    symlink("conf", bench.dir.path().join("link")).expect("linked");
    let mut config = bench.config();
    config.mode = Some(0o750);
    config.owner = Owner { uid: 3, gid: 3 };
    config.sources.copies = vec![
        copy(more, "/srv/more"),
        CopySource {
            owner: Some(Owner { uid: 7, gid: 7 }),
            mode: Some(0o400),
            ..copy(bench.dir.path().join("link"), "/srv/etc/")
        },
        copy(bench.dir.path().join("conf"), "/srv/index"),
    ];
    config.sources.archives = vec![file_archive(&bench, "a.tar", &archive(&[("x/y", "tar")]), "/srv/more/deep")];
    let outcome = bench.build(&config).expect("built");
    assert_eq!(
        attributes(&bench, &outcome),
        [
            "750 3 srv/",
            "750 3 srv/index",
            // What is there keeps its permissions and owner.
            "750 3 srv/",
            "755 3 srv/more/",
            "750 3 srv/more/one",
            "750 3 srv/",
            "755 3 srv/etc/",
            "400 7 srv/etc/link",
            "750 3 srv/",
            "750 3 srv/index",
            "750 3 srv/",
            "755 3 srv/more/",
            "755 3 srv/more/deep/",
            "750 3 srv/more/deep/x/",
            "750 3 srv/more/deep/x/y",
        ]
    );
    assert_eq!(outcome.layers.len(), 5);
    assert_eq!(
        steps(&bench, &outcome),
        [
            "idpbuilder-build COPY . /",
            "idpbuilder-build COPY . /srv/more",
            "idpbuilder-build COPY link /srv/etc/link",
            "idpbuilder-build COPY index /srv/index",
            "idpbuilder-build ADD tar /srv/more/deep",
        ]
    );
    assert_eq!((outcome.files, outcome.directories, outcome.context_bytes), (5, 2, 7 + 1 + 1 + 1 + 3));
    assert_eq!(bench.build(&config).expect("built").document.bytes, outcome.document.bytes);
}

#[test]
fn a_stream_can_stand_for_the_context() {
    let bench = Bench::new();
    let bytes = archive(&[("a", "1"), (".dockerignore", "a"), ("b", "2")]);
    let streamed = |exclude: &[&str]| {
        let mut config = bench.config();
        config.exclude = exclude.iter().map(|&pattern| pattern.to_owned()).collect();
        config.copy_to = "/srv".into();
        let stream = Stream::new(std::io::Cursor::new(bytes.clone()));
        config.sources.context = ContextSource::Archive(ArchiveInput::Stream(stream));
        config
    };
    let heard = Heard::default();
    let config = streamed(&["b"]);
    let outcome = build(&config, &bench.store, &heard, &Interrupt::default()).expect("built");
    assert_eq!(bench.names(&outcome), ["srv/", "srv/a", "srv/.dockerignore"]);
    assert_eq!((outcome.excluded, outcome.files), (1, 2));
    assert_eq!(steps(&bench, &outcome), ["idpbuilder-build COPY . /srv"]);
    assert_eq!(heard.lines("Warning").len(), 1);
    assert!(heard.lines("Begin")[0].contains("label: \"-\""), "{:?}", heard.lines("Begin"));
    assert!(matches!(bench.build(&config), Err(BuildError::StreamTwice)));
    let again = bench.build(&streamed(&["b"])).expect("built");
    assert_eq!(again.document.bytes, outcome.document.bytes);
}

#[test]
fn layers_of_copies_are_kept_like_the_contexts() {
    let bench = Bench::new();
    let more = bench.dir.path().join("more");
    put(&more.join("one"), "1");
    put(&bench.dir.path().join("elsewhere/file"), "1");
    let mut config = bench.cached();
    config.sources.copies = vec![copy(more.clone(), "/a"), copy(bench.dir.path().join("elsewhere/file"), "/b")];
    config.sources.archives = vec![file_archive(&bench, "a.tar", &archive(&[("x", "tar")]), "/")];
    let reused = |config: &BuildConfig| -> Vec<bool> {
        super::cache::settle(&more);
        super::cache::settle(&bench.dir.path().join("elsewhere"));
        bench.build(config).expect("built").layers.iter().map(|layer| layer.reused).collect()
    };
    assert_eq!(reused(&config), [false; 4]);
    assert_eq!(reused(&config), [true, true, true, false]);
    put(&more.join("one"), "2");
    assert_eq!(reused(&config), [true, false, true, false]);
    config.sources.copies[0].mode = Some(0o600);
    config.sources.copies[1].destination = "/b/".into();
    assert_eq!(reused(&config), [true, false, false, false]);
}

#[test]
fn sources_that_are_not_there_stop_the_build_before_anything_is_packed() {
    let bench = Bench::new();
    put(&bench.context().join("file"), "x");
    let before = walk_files(bench.store.root());
    let refused = |change: &dyn Fn(&mut Sources)| {
        let mut config = bench.config();
        change(&mut config.sources);
        let heard = Heard::default();
        let error = build(&config, &bench.store, &heard, &Interrupt::default()).map(drop).expect_err("refused");
        (error, heard.lines("Begin").len())
    };
    let missing = bench.dir.path().join("missing");
    let (error, begun) = refused(&|sources| sources.copies = vec![copy(missing.clone(), "/")]);
    assert!(matches!(error, BuildError::NoSource(path) if path == missing));
    assert_eq!(begun, 0);
    let (error, begun) = refused(&|sources| {
        let input = ArchiveInput::File(missing.clone());
        sources.archives = vec![ArchiveSource { input, destination: "/".into(), keep: false, owner: None, mode: None }];
    });
    assert!(matches!(error, BuildError::NoSource(path) if path == missing));
    assert_eq!(begun, 0);
    let upward = |sources: &mut Sources| sources.copies = vec![copy(bench.context(), "/a/../b")];
    assert!(matches!(refused(&upward).0, BuildError::Destination { .. }));
    let store = |sources: &mut Sources| sources.copies = vec![copy(bench.store.root().to_owned(), "/")];
    assert!(matches!(refused(&store).0, BuildError::ContextIsStore(_)));
    let _socket = std::os::unix::net::UnixListener::bind(bench.dir.path().join("socket")).expect("bound");
    let socket = |sources: &mut Sources| sources.copies = vec![copy(bench.dir.path().join("socket"), "/")];
    assert!(matches!(refused(&socket).0, BuildError::Context(ContextError::Special { .. })));
    assert_eq!(walk_files(bench.store.root()), before);
    // A damaged archive is met later; what was packed before it has no name.
    let damaged = file_archive(&bench, "a.tar", &archive(&[("x", "tar")])[..700], "/");
    let (error, _) = refused(&|sources| sources.archives = vec![damaged.clone()]);
    assert!(matches!(error, BuildError::Archive { .. }), "{error:?}");
    assert!(bench.store.resolve("app:v1").is_err());
    assert!(walk_files(bench.store.root()).iter().all(|path| path.parent() != Some(Path::new(".tmp"))));
}

#[test]
fn a_torn_stream_leaves_nothing_wherever_it_is_torn() {
    let bench = Bench::new();
    let bytes = archive(&[("a", &"1".repeat(3000)), ("b", "2")]);
    let before = walk_files(bench.store.root());
    for end in (0..bytes.len() - 1024).step_by(97).chain((0..bytes.len() - 1024).step_by(512)) {
        let mut config = bench.config();
        let stream = Stream::new(std::io::Cursor::new(bytes[..end].to_vec()));
        config.sources.context = ContextSource::Archive(ArchiveInput::Stream(stream));
        let error = bench.build(&config).map(drop).expect_err("torn");
        assert!(matches!(error, BuildError::Archive { .. }), "{end}: {error:?}");
        let now = walk_files(bench.store.root());
        let now: Vec<_> = now.into_iter().filter(|path| *path != Path::new(".tmp")).collect();
        assert!(now.iter().all(|path| before.contains(path)), "{end}: {now:?}");
    }
}

#[test]
fn too_many_layers_are_told() {
    let bench = Bench::new();
    put(&bench.dir.path().join("file"), "x");
    let mut config = bench.config();
    config.sources.copies = vec![copy(bench.dir.path().join("file"), "/"); 126];
    let warned = |config: &BuildConfig| {
        let heard = Heard::default();
        let outcome = build(config, &bench.store, &heard, &Interrupt::default()).expect("built");
        (outcome.layers.len(), heard.lines("Warning").join("").contains("127"))
    };
    assert_eq!(warned(&config), (127, false));
    config.sources.copies.push(copy(bench.dir.path().join("file"), "/"));
    assert_eq!(warned(&config), (128, true));
}

#[test]
fn without_a_context_its_directory_is_not_looked_at() {
    let bench = Bench::new();
    put(&bench.dir.path().join("file"), "x");
    let mut config = bench.config();
    config.context.push("missing");
    config.sources.context = ContextSource::Absent;
    config.sources.copies = vec![copy(bench.dir.path().join("file"), "/")];
    let outcome = bench.build(&config).expect("built");
    assert_eq!(bench.names(&outcome), ["file"]);
    assert_eq!((outcome.layers.len(), outcome.ignore_file.is_none()), (1, true));
}

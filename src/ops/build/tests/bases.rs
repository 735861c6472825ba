//! Images on bases: what the base has of directories and links, wherever a source lands.

use tar::{EntryType, Header};

use super::*;
use crate::layer::{Decoder, MAX_NAMES, TocError};

/// Entries of a tar archive: `d MODE UID TIME PATH`, `l PATH TARGET`, `f PATH`.
fn archive(lines: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let mut header = Header::new_gnu();
        header.set_size(0);
        match words[..] {
            ["d", mode, uid, time, path] => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(u32::from_str_radix(mode, 8).expect("a mode"));
                header.set_uid(uid.parse().expect("a number"));
                header.set_gid(0);
                header.set_mtime(time.parse().expect("a number"));
                builder.append_data(&mut header, format!("{path}/"), io::empty()).expect("in memory");
            }
            ["l", path, target] => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                builder.append_link(&mut header, path, target).expect("in memory");
            }
            ["f", path] => {
                header.set_mode(0o644);
                builder.append_data(&mut header, path, io::empty()).expect("in memory");
            }
            _ => panic!("{line}"),
        }
    }
    builder.into_inner().expect("in memory")
}

const DEBIAN: [&str; 10] = [
    "d 755 0 11 usr",
    "d 755 0 12 usr/bin",
    "d 1777 0 13 tmp",
    "d 700 0 14 root",
    "d 750 33 15 var/lib/app",
    "l bin usr/bin",
    "l loop loop",
    "f usr/bin/sh",
    "f etc",
    "d 755 0 16 gone",
];

impl Bench {
    /// A base of these layers as others might write them.
    fn base(&self, layers: &[(&str, Vec<u8>)]) -> Base {
        let lease = self.store.lease().expect("free");
        let put = |(kind, bytes): &(&str, Vec<u8>)| self.store.put(&lease, kind, bytes).expect("stored");
        let diff_id = |(kind, bytes): &(&str, Vec<u8>)| {
            let mut content = Vec::new();
            let format = Format::of(kind).unwrap_or(Format::None);
            Decoder::new(format, &bytes[..]).and_then(|mut layer| layer.read_to_end(&mut content)).expect("whole");
            Digest::of(&content)
        };
        let diff_ids = layers.iter().map(diff_id).collect();
        let layers: Vec<Descriptor> = layers.iter().map(put).collect();
        let config = ImageConfig {
            created: None,
            author: None,
            architecture: "amd64".into(),
            variant: None,
            os: "linux".into(),
            config: ContainerConfig::default(),
            rootfs: RootFs { kind: "layers".into(), diff_ids },
            history: Vec::new(),
            extra: BTreeMap::new(),
        };
        Base { name: None, digest: Digest::of(b"base"), layers, config }
    }

    fn debian(&self) -> Base {
        let gzip = |bytes: &[u8]| {
            let mut packed = Vec::new();
            flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut packed).expect("gzip");
            packed
        };
        let second = archive(&["f .wh.gone", "d 755 7 17 usr/share"]);
        self.base(&[
            (media_type::IMAGE_LAYER_GZIP, gzip(&archive(&DEBIAN))),
            (media_type::IMAGE_LAYER_ZSTD, zstd::bulk::compress(&second, 1).expect("in memory")),
            (media_type::IMAGE_LAYER, archive(&["d 711 0 18 opt"])),
        ])
    }

    fn on(&self, base: Base, copies: &[(&str, &str)]) -> BuildConfig {
        let mut config = BuildConfig { base: Some(base), ..self.config() };
        config.sources.context = ContextSource::Absent;
        let copy = |(path, destination): &(&str, &str)| CopySource {
            path: self.dir.path().join(path),
            destination: (*destination).to_owned(),
            owner: None,
            mode: None,
        };
        config.sources.copies = copies.iter().map(copy).collect();
        config
    }

    /// One line an entry of the layers that were made: mode, owner, time, name and link.
    fn listed(&self, outcome: &BuildOutcome) -> Vec<String> {
        let mut lines = Vec::new();
        for layer in &outcome.layers {
            let blob = self.store.read_blob(&layer.descriptor).expect("stored");
            let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(blob));
            for entry in archive.entries().expect("an archive") {
                let entry = entry.expect("an entry");
                let header = entry.header();
                let (mode, owner) = (header.mode().expect("a mode"), header.uid().expect("an id"));
                let time = header.mtime().expect("a time").to_string().replace(&DEFAULT_TIMESTAMP.to_string(), "-");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (name, target) = (text(&entry.path_bytes()), entry.link_name_bytes().unwrap_or_default());
                lines.push(format!("{mode:o} {owner} {time} {name} {}", text(&target)).trim_end().to_owned());
            }
        }
        lines
    }
}

/// `tool`, and a directory `tree` with `bin/tool` and a link to it of the kind that keeps its content.
fn plant(bench: &Bench) {
    let root = bench.dir.path();
    fs::create_dir_all(root.join("tree/bin")).expect("made");
    for path in ["tool", "tree/bin/tool"] {
        fs::write(root.join(path), "tool").expect("written");
        fs::set_permissions(root.join(path), Permissions::from_mode(0o755)).expect("mode");
    }
    fs::set_permissions(root.join("tree/bin"), Permissions::from_mode(0o775)).expect("mode");
    fs::hard_link(root.join("tree/bin/tool"), root.join("tree/again")).expect("linked");
}

#[test]
fn sources_land_as_the_base_has_it() {
    let bench = Bench::new();
    plant(&bench);
    let listed = |copies: &[(&str, &str)]| {
        let outcome = bench.build(&bench.on(bench.debian(), copies)).expect("built");
        bench.listed(&outcome)
    };
    assert_eq!(listed(&[("tool", "/tmp/x")]), ["1777 0 13 tmp/", "755 0 - tmp/x"]);
    assert_eq!(listed(&[("tool", "/tmp")]), ["1777 0 13 tmp/", "755 0 - tmp/tool"]);
    let in_bin = ["755 0 11 usr/", "755 0 12 usr/bin/", "755 0 - usr/bin/tool"];
    for destination in ["/bin/tool", "/bin/", "/bin"] {
        assert_eq!(listed(&[("tool", destination)]), in_bin, "{destination}");
    }
    // `var` and `var/lib` are there without anybody having said how.
    assert_eq!(
        listed(&[("tool", "/var/lib/app/deep/x"), ("tool", "/opt/y"), ("tool", "/usr/share/z"), ("tool", "/gone/w")]),
        [
            "755 0 - var/",
            "755 0 - var/lib/",
            "750 33 15 var/lib/app/",
            "755 0 - var/lib/app/deep/",
            "755 0 - var/lib/app/deep/x",
            "711 0 18 opt/",
            "755 0 - opt/y",
            "755 0 11 usr/",
            "755 7 17 usr/share/",
            "755 0 - usr/share/z",
            "755 0 - gone/",
            "755 0 - gone/w",
        ]
    );
    // A directory of the base is as the source says if it is in the source, and as the base says if the source lands in it.
    assert_eq!(
        listed(&[("tree", "/")]),
        ["755 0 - again", "755 0 11 usr/", "755 0 12 usr/bin/", "755 0 - usr/bin/tool again"]
    );
    assert_eq!(
        listed(&[("tree", "/usr")]),
        ["755 0 11 usr/", "755 0 - usr/again", "775 0 - usr/bin/", "755 0 - usr/bin/tool usr/again"]
    );
    // Links and directories of the sources before count as well.
    symlink("/tmp", bench.dir.path().join("tree/bin/link")).expect("linked");
    let over = listed(&[("tree", "/usr"), ("tool", "/usr/bin/link/x")]);
    assert_eq!(over[over.len() - 2..], ["1777 0 13 tmp/", "755 0 - tmp/x"]);
}

#[test]
fn archives_land_as_the_base_has_it() {
    let bench = Bench::new();
    let listed = |lines: &[&str], destination: &str| {
        let mut config = bench.on(bench.debian(), &[]);
        let input = ArchiveInput::Stream(Stream::new(io::Cursor::new(archive(lines))));
        config.sources.archives =
            vec![ArchiveSource { input, destination: destination.into(), keep: false, owner: None, mode: None }];
        let heard = Heard::default();
        let outcome = build(&config, &bench.store, &heard, &Interrupt::default());
        (outcome.map(|outcome| bench.listed(&outcome)), heard.lines("Warning").len())
    };
    let made = |lines: &[&str], destination: &str| {
        let (outcome, warnings) = listed(lines, destination);
        (outcome.expect("built"), warnings)
    };
    assert_eq!(made(&["f x"], "/tmp").0, ["1777 0 13 tmp/", "644 0 - tmp/x"]);
    // Directories that it has something in and does not have come last, when it is known that it has them not.
    let in_bin = ["644 0 - usr/bin/tool", "755 0 11 usr/", "755 0 12 usr/bin/"];
    let on_link = |lines: &[&str]| made(lines, "/");
    assert_eq!(on_link(&["f bin/tool"]), (in_bin.map(str::to_owned).to_vec(), 1));
    assert_eq!(on_link(&["d 777 1 1 bin", "f bin/tool"]), (in_bin.map(str::to_owned).to_vec(), 1));
    assert_eq!(
        on_link(&["f usr/bin/a", "d 750 1 1 usr", "f tmp/b", "f var/c"]).0,
        [
            "644 0 - usr/bin/a",
            "750 0 - usr/",
            "644 0 - tmp/b",
            "755 0 - var/",
            "644 0 - var/c",
            "1777 0 13 tmp/",
            "755 0 12 usr/bin/"
        ]
    );
    assert_eq!(made(&["f tool"], "/bin").0, ["755 0 11 usr/", "755 0 12 usr/bin/", "644 0 - usr/bin/tool"]);
    // A link of its own replaces the base's, and nothing is behind it.
    assert_eq!(made(&["l bin opt"], "/").0, ["777 0 - bin opt"]);
    for lines in [
        &["l bin /root", "f bin/x"][..],
        &["f bin/tool", "f usr/bin/tool"],
        &["f usr/bin/tool", "f bin/tool"],
        &["f bin/tool", "l usr /opt"],
        &["f bin/tool", "l bin opt"],
        &["l usr /opt", "f usr/bin/x"],
    ] {
        let (refused, _) = listed(lines, "/");
        let Err(BuildError::Archive { source, .. }) = refused else { panic!("{lines:?}: {refused:?}") };
        assert!(matches!(*source, ForeignError::Name { .. }), "{lines:?}: {source:?}");
    }
    let (refused, _) = listed(&["f x"], "/etc/app");
    let Err(BuildError::Archive { source, .. }) = refused else { panic!("{refused:?}") };
    assert!(matches!(*source, ForeignError::Placement(_)), "{source:?}");
}

#[test]
fn what_is_in_the_way_is_named() {
    let bench = Bench::new();
    plant(&bench);
    let refused = |copies: &[(&str, &str)]| match bench.build(&bench.on(bench.debian(), copies)) {
        Err(BuildError::Placement { destination, source, .. }) => format!("{destination}: {source}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[("tool", "/etc/app/tool")]), "/etc/app/tool: `/etc` is not a directory in the layers below");
    assert_eq!(refused(&[("tree", "/etc")]), "/etc: `/etc` is not a directory in the layers below");
    assert_eq!(refused(&[("tool", "/loop/tool")]), "/loop/tool: `/loop/tool` leads through more than 40 links");
    fs::create_dir_all(bench.dir.path().join("tree/usr/bin")).expect("made");
    fs::write(bench.dir.path().join("tree/usr/bin/tool"), "").expect("written");
    let twice = refused(&[("tree", "/")]);
    assert!(twice.starts_with("/: `usr/bin/tool` and something else of the source land at `/usr/bin/tool`"), "{twice}");
}

#[test]
fn the_names_of_all_layers_count() {
    let bench = Bench::new();
    plant(&bench);
    // Half of the names that are allowed, and some more, in few entries.
    let layer = |top: &str| {
        let lines = (0..=MAX_NAMES / 512).map(|number| format!("d 755 0 1 {top}{number}/{}d", "d/".repeat(254)));
        let lines: Vec<String> = lines.collect();
        (media_type::IMAGE_LAYER, archive(&lines.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let built = |layers: &[(&str, Vec<u8>)]| bench.build(&bench.on(bench.base(layers), &[("tool", "/bin/tool")]));
    built(&[layer("a")]).expect("built");
    let refused = built(&[layer("a"), layer("b")]);
    assert!(matches!(refused, Err(BuildError::BaseLayer { source: TocError::TooLarge, .. })), "{refused:?}");
}

#[test]
fn outlines_are_kept_and_never_believed_without_proof() {
    let bench = Bench::new();
    plant(&bench);
    let base = bench.debian();
    let cache = CacheConfig { state: bench.dir.path().join("home"), reuse: true, settling: super::cache::TICKS };
    let config = BuildConfig { cache: Some(cache.clone()), ..bench.on(base.clone(), &[("tool", "/bin/tool")]) };
    let trees = bench.dir.path().join("home/cache/trees");
    let digest = |config: &BuildConfig| bench.build(config).expect("built").document.digest();
    let expected = digest(&BuildConfig { cache: None, ..config.clone() });
    assert!(!trees.exists());
    assert_eq!(digest(&config), expected);
    let files = || {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&trees).expect("kept").map(|entry| entry.expect("one").path()).collect();
        files.sort();
        files
    };
    assert_eq!(files().len(), 3);
    assert_eq!(fs::metadata(&files()[0]).expect("there").permissions().mode() & 0o777, 0o600);
    // The build does not read the base's layers again, even if their blobs are gone.
    let blob = bench.store.blob_path(base.layers[0].digest);
    let layer = fs::read(&blob).expect("there");
    fs::write(&blob, vec![0; layer.len()]).expect("written");
    assert_eq!(digest(&config), expected);
    let anew = BuildConfig { cache: Some(CacheConfig { reuse: false, ..cache }), ..config.clone() };
    assert!(matches!(bench.build(&anew), Err(BuildError::Store(StoreError::BlobDigest { .. }))));
    fs::write(&blob, &layer).expect("written");
    assert_eq!(digest(&anew), expected);
    // One under another's name, one that is cut short, and one with a byte changed.
    let kept = fs::read(&files()[0]).expect("kept");
    let mut changed = kept.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    for bytes in [fs::read(&files()[1]).expect("kept"), kept[..kept.len() - 1].to_vec(), changed, Vec::new()] {
        fs::write(&files()[0], bytes).expect("written");
        assert_eq!(digest(&config), expected);
        assert_eq!(fs::read(&files()[0]).expect("kept"), kept, "it is made anew");
    }
    // Where the program's directory is itself a source, nothing is kept in it.
    fs::remove_dir_all(bench.dir.path().join("home")).expect("removed");
    let inside = CacheConfig { state: bench.dir.path().join("tree/home"), reuse: true, settling: super::cache::TICKS };
    let config = BuildConfig { cache: Some(inside), ..bench.on(base, &[("tree", "/srv")]) };
    digest(&config);
    assert!(!bench.dir.path().join("tree/home").exists());
}

#[test]
fn a_base_is_read_when_it_matters_only() {
    let bench = Bench::new();
    plant(&bench);
    let base = bench.base(&[(media_type::IMAGE_LAYER, vec![7; 2048])]);
    let root = |copies: &[(&str, &str)]| bench.build(&bench.on(base.clone(), copies)).map(drop);
    root(&[("tool", "/")]).expect("nothing of the base is needed");
    let error = root(&[("tool", "/usr/tool")]).expect_err("damaged");
    assert!(matches!(error, BuildError::BaseLayer { .. }), "{error:?}");
    fs::write(bench.store.blob_path(base.layers[0].digest), [0; 2048]).expect("written");
    let error = root(&[("tree", "/")]).expect_err("damaged");
    assert!(matches!(error, BuildError::Store(StoreError::BlobDigest { .. })), "{error:?}");
    // A layer of an unknown media type has no directories, and causes a warning.
    let encrypted = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    let base = bench.base(&[(encrypted, b"secret".to_vec()), (media_type::IMAGE_LAYER, archive(&DEBIAN))]);
    let heard = Heard::default();
    let config = bench.on(base, &[("tool", "/bin/tool")]);
    let outcome = build(&config, &bench.store, &heard, &Interrupt::default()).expect("built");
    assert_eq!(bench.listed(&outcome).len(), 3);
    assert!(heard.lines("Warning")[0].contains(encrypted), "{:?}", heard.lines("Warning"));
}

#[test]
fn a_layer_is_what_the_configuration_of_its_base_says() {
    let bench = Bench::new();
    plant(&bench);
    let base = bench.debian();
    let cache = CacheConfig { state: bench.dir.path().join("home"), reuse: true, settling: super::cache::TICKS };
    let on = |base: &Base| {
        let config = bench.on(base.clone(), &[("tool", "/bin/tool")]);
        bench.build(&BuildConfig { cache: Some(cache.clone()), ..config })
    };
    let mut other = base.clone();
    other.config.rootfs.diff_ids[1] = Digest::of(b"other");
    // Neither read for the first time nor known from a base that has it rightly.
    for _ in 0..2 {
        let refused = on(&other).expect_err("damaged");
        let BuildError::BaseDiffId { digest, expected, found } = refused else { panic!("{refused:?}") };
        let right = base.config.rootfs.diff_ids[1];
        assert_eq!((digest, expected, found), (base.layers[1].digest, Digest::of(b"other"), right));
        on(&base).expect("built");
    }
}

#[test]
fn an_image_on_a_base_is_the_same_in_other_conditions() {
    let bench = Bench::new();
    plant(&bench);
    let cache = CacheConfig { state: bench.dir.path().join("home"), reuse: true, settling: super::cache::TICKS };
    let config = BuildConfig { cache: Some(cache), ..bench.on(bench.debian(), &[("tree", "/"), ("tool", "/tmp/x")]) };
    super::cache::settle(&bench.dir.path().join("tree"));
    let outcome = bench.build(&config).expect("built");
    let scratch = ImageStore::open(&bench.dir.path().join("scratch")).expect("a store");
    let again = build_again(&config, &bench.store, &scratch, &Silent, &Interrupt::default()).expect("built");
    assert_eq!(again.document.bytes, outcome.document.bytes);
    // Layers are those of the same base: on another one they are packed again.
    let reused = |config: &BuildConfig| -> Vec<bool> {
        bench.build(config).expect("built").layers.iter().map(|layer| layer.reused).collect()
    };
    assert_eq!(reused(&config), [true, true]);
    let other = bench.base(&[(media_type::IMAGE_LAYER, archive(&["d 700 0 1 tmp"]))]);
    let moved = BuildConfig { base: Some(other), ..config.clone() };
    assert_eq!(reused(&moved), [false, false]);
    assert_eq!((reused(&moved), reused(&config)), (vec![true, true], vec![true, true]));
}

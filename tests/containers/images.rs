//! Images for other programs to read, made through the library.

use std::collections::BTreeMap;
use std::path::Path;

use flate2::write::GzEncoder;
use idpbuilder_oci::image::{
    ContainerConfig, Descriptor, Digest, Document, ImageConfig, Manifest, Platform, Reference, RootFs, media_type,
};
use idpbuilder_oci::ops::build::{self, BuildConfig, Compression, DEFAULT_TIMESTAMP, Layers, Owner, StoredLayers};
use idpbuilder_oci::progress::{Interrupt, Silent};
use idpbuilder_oci::store::ImageStore;

/// A store in a directory of its own, which goes with it.
pub(crate) struct Sandbox {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: ImageStore,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        Self { directory, store }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}

/// A name that no other test, and no other run of this one, uses.
pub(crate) fn unique(name: &str) -> String {
    static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("idpbuilder-test/{name}-{}-{number}:v1", std::process::id())
}

/// The platform of the engine that runs on this machine.
pub(crate) fn here() -> Platform {
    Platform::new("linux", std::env::consts::ARCH, None)
}

/// One layer's tar: the content of `root`, names sorted, owned by nobody in particular.
fn layer(root: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, node) in super::trees::snapshot(root) {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(315_532_801);
        header.set_size(0);
        match node {
            super::trees::Node::Directory { mode } => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(mode);
                builder.append_data(&mut header, &path, std::io::empty()).expect("written");
            }
            super::trees::Node::Symlink { target } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                builder.append_link(&mut header, &path, target).expect("written");
            }
            super::trees::Node::File { mode, first, .. } if first != path => {
                header.set_mode(mode);
                header.set_entry_type(tar::EntryType::Link);
                builder.append_link(&mut header, &path, first).expect("written");
            }
            super::trees::Node::File { mode, size, .. } => {
                header.set_mode(mode);
                header.set_size(size);
                let content = std::fs::File::open(root.join(&path)).expect("opened");
                builder.append_data(&mut header, &path, content).expect("written");
            }
        }
    }
    builder.into_inner().expect("finished")
}

/// Stores an image of one gzip layer a directory.
pub(crate) fn image(store: &ImageStore, roots: &[&Path], config: ContainerConfig, names: &[&str]) -> Document {
    let lease = store.lease().expect("a lease");
    let mut diff_ids = Vec::new();
    let mut layers: Vec<Descriptor> = Vec::new();
    for root in roots {
        let tar = layer(root);
        diff_ids.push(Digest::of(&tar));
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        std::io::copy(&mut tar.as_slice(), &mut encoder).expect("compressed");
        let blob = encoder.finish().expect("compressed");
        layers.push(store.put(&lease, media_type::IMAGE_LAYER_GZIP, &blob).expect("stored"));
    }
    let platform = here();
    let config = ImageConfig {
        created: Some("1980-01-01T00:00:01Z".into()),
        author: None,
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        config,
        rootfs: RootFs { kind: "layers".into(), diff_ids },
        history: vec![],
        extra: BTreeMap::new(),
    };
    let config = store.put(&lease, media_type::IMAGE_CONFIG, &config.to_bytes()).expect("stored");
    let document = Document::from_manifest(Manifest::new(config, layers, BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    let names: Vec<Reference> =
        names.iter().map(|name| name.parse::<Reference>().expect("a reference").with_default_tag()).collect();
    store.publish(&lease, &document, &names, None).expect("published");
    document
}

/// Builds an image of a directory, as `idpbuilder-build` does.
pub(crate) fn build(sandbox: &Sandbox, context: &Path, runtime: ContainerConfig, names: &[&str]) -> Document {
    build_as(sandbox, context, runtime, names, (Compression::default(), Layers::Auto))
}

/// What to build of a directory, for this machine.
pub(crate) fn config_of(context: &Path, runtime: ContainerConfig, names: &[&str]) -> BuildConfig {
    BuildConfig {
        packs_dockerfile: false,
        context: context.to_owned(),
        names: names.iter().map(|name| name.parse().expect("a reference")).collect(),
        base: None,
        platform: here(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        ignore_file: None,
        exclude: Vec::new(),
        private: Vec::new(),
        runtime,
        sources: build::Sources::default(),
        resets: build::Resets::default(),
        copy_to: "/".into(),
        owner: Owner::default(),
        mode: None,
        timestamp: DEFAULT_TIMESTAMP,
        compression: Compression::default(),
        layers: Layers::default(),
        cache: None,
        built_at: "2026-01-02T03:04:05Z".into(),
        conditions: None,
        stored: StoredLayers::default(),
    }
}

/// The same with another compression and number of layers.
pub(crate) fn build_as(
    sandbox: &Sandbox,
    context: &Path,
    runtime: ContainerConfig,
    names: &[&str],
    (compression, layers): (Compression, Layers),
) -> Document {
    let config = BuildConfig { compression, layers, ..config_of(context, runtime, names) };
    build::build(&config, &sandbox.store, &Silent, &Interrupt::default()).expect("built").document
}

/// An image that runs Debian's statically linked busybox.
pub(crate) fn busybox(sandbox: &Sandbox, names: &[&str], command: &[&str]) -> Document {
    let root = sandbox.path("busybox");
    std::fs::create_dir_all(root.join("bin")).expect("created");
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    let config = ContainerConfig {
        entrypoint: vec!["/bin/busybox".into()],
        cmd: command.iter().map(|&word| word.to_owned()).collect(),
        env: vec!["GREETING=hello from the image".into()],
        ..ContainerConfig::default()
    };
    build(sandbox, &root, config, names)
}

/// An image of a tree with every kind of file, and a second layer over it.
pub(crate) fn tree(sandbox: &Sandbox, names: &[&str]) -> (std::path::PathBuf, Document) {
    let (root, over) = (sandbox.path("tree"), sandbox.path("over"));
    super::trees::plant(&root);
    std::fs::create_dir_all(over.join("added")).expect("created");
    std::fs::write(over.join("added/later"), "second layer").expect("written");
    let document = image(&sandbox.store, &[&root, &over], ContainerConfig::default(), names);
    // What both layers make together.
    std::fs::rename(over.join("added"), root.join("added")).expect("moved");
    (root, document)
}

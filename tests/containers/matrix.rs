//! Every way to cut a context into layers, in every format, unpacked by everybody who reads images: what comes
//! out is the source, and nothing else.
//!
//! Some programs that are still in use do not read zstd. They have to say so, and get the same layers as gzip;
//! Docker gets them as tars.

use std::fs::{self, File};
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::Builder;

use idpbuilder_oci::image::{ContainerConfig, Digest, Document, Manifest};
use idpbuilder_oci::ops::archive::ArchiveFormat;
use idpbuilder_oci::ops::build::{self, BuildConfig, Compression, DEFAULT_TIMESTAMP, Format, Layers, Owner};
use idpbuilder_oci::progress::{Interrupt, Silent};

use super::docker::Loaded;
use super::images::{Sandbox, config_of, unique};
use super::podman;
use super::programs::{run, save_file, save_into, text};
use super::skopeo;
use super::trees::{CAPABILITY, Tree, assert_same, digest, of_tar, plant, plant_oddities, survey};

/// Of how many layers each is.
const CUTS: [(&str, Layers, RangeInclusive<usize>); 3] =
    [("single", Layers::AtMost(1), 1..=1), ("auto", Layers::Auto, 6..=32), ("five", Layers::AtMost(5), 3..=5)];

const FORMATS: [Format; 3] = [Format::Gzip, Format::Zstd, Format::None];

/// How somebody unpacks an image.
type Unpack = fn(&Variant) -> Tree;

const CLIENTS: [(&str, Unpack); 4] =
    [("skopeo", by_skopeo), ("umoci", by_umoci), ("docker", by_docker), ("podman", by_podman)];

/// Neither root nor who runs this.
const OWNER: Owner = Owner { uid: 1234, gid: 567 };

/// `cap_net_bind_service=ep`.
const MAY_BIND: &[u8] = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// What Docker puts into every container.
const DOCKERS: [&str; 12] = [
    ".dockerenv",
    "dev",
    "dev/console",
    "dev/pts",
    "dev/shm",
    "etc",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "proc",
    "sys",
];

/// An image, with room for what becomes of it.
struct Variant {
    sandbox: Sandbox,
    name: String,
    format: Format,
    document: Document,
}

impl Variant {
    fn build(root: &Path, layers: Layers, format: Format) -> Self {
        let sandbox = Sandbox::new();
        let name = unique("matrix");
        let compression = Compression::new(format, None).expect("the default level");
        let config = config_of(root, ContainerConfig::default(), &[&name]);
        let config = BuildConfig { owner: OWNER, compression, layers, ..config };
        let outcome = build::build(&config, &sandbox.store, &Silent, &Interrupt::default()).expect("built");
        Self { sandbox, name, format, document: outcome.document }
    }

    fn manifest(&self) -> &Manifest {
        self.document.manifest().expect("an image")
    }

    /// The store's image as skopeo calls it.
    fn source(&self) -> String {
        format!("oci:{}:{}", self.sandbox.store.root().display(), self.name)
    }

    /// The image with layers of gzip, in a layout for one of the clients.
    fn as_gzip(&self, client: &str) -> PathBuf {
        let layout = self.sandbox.path(&format!("gzip-for-{client}"));
        let destination = format!("oci:{}:{}", layout.display(), self.name);
        run(skopeo::skopeo().args(["copy", "--dest-compress-format", "gzip", &self.source(), &destination]));
        layout
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Every kind of file, of more bytes than an image of one layer has of its own accord.
fn source(root: &Path) {
    plant(root);
    let path = |name: &str| root.join(name);
    for directory in ["m", "zz"] {
        fs::create_dir(path(directory)).expect("created");
    }
    // The larger ones are layers by themselves, and of the others there is enough for more than one.
    let mut random = fastrand::Rng::with_seed(7);
    let mut page = [0; 4096];
    random.fill(&mut page);
    for (name, bytes) in [("m/large", 33 << 19), ("m/plain", 17 << 19)] {
        let mut file = File::create(path(name)).expect("created");
        for number in 0..bytes / page.len() {
            page[..8].copy_from_slice(&number.to_be_bytes());
            file.write_all(&page).expect("written");
        }
    }
    let mut noise = vec![0; 1 << 20];
    for number in 0..16 {
        random.fill(&mut noise);
        if number % 4 == 3 {
            // Nothing repeats, but some bytes are more frequent than others.
            for byte in &mut noise {
                *byte = b'@' | (*byte >> 2);
            }
        }
        fs::write(path(&format!("m/noise-{number}")), &noise).expect("written");
    }
    fs::write(path("m/rest"), "rest\n").expect("written");
    let sparse = File::create(path("m/sparse-file")).expect("created");
    sparse.set_len(17 << 19).expect("made longer");
    for offset in [1_000_000, (17 << 19) - 9] {
        sparse.write_all_at(b"no hole\n", offset).expect("written");
    }
    let metadata = sparse.metadata().expect("there");
    assert!(metadata.blocks() * 512 < metadata.len(), "the file has no holes");
    plant_oddities(&path("odd"), &path("m/large"));
    fs::hard_link(path("d/script"), path("zz/script")).expect("linked");
    if is_root() {
        xattr::set(path("d/script"), CAPABILITY, MAY_BIND).expect("set");
    }
}

/// What unpacks with the rights of who runs it only makes that user's files.
fn without_others_owners(mut tree: Tree) -> Tree {
    if !is_root() {
        for item in tree.values_mut() {
            item.owner = (OWNER.uid, OWNER.gid);
        }
    }
    tree
}

/// Skopeo copies, and the archivers that everybody has unpack.
fn by_skopeo(variant: &Variant) -> Tree {
    let (plain, layout) = (variant.sandbox.path("plain"), variant.sandbox.path("layout"));
    for destination in [format!("dir:{}", plain.display()), format!("oci:{}:copy", layout.display())] {
        // Otherwise it compresses what is not.
        run(skopeo::skopeo().args(["copy", "--preserve-digests", &variant.source(), &destination]));
    }
    let manifest = variant.manifest();
    let blob = |digest: Digest| layout.join("blobs/sha256").join(digest.hex());
    let copied = |path: PathBuf| digest(File::open(path).expect("copied"));
    for expected in manifest.layers.iter().chain([&manifest.config]).map(|blob| blob.digest) {
        assert_eq!((copied(plain.join(expected.hex())), copied(blob(expected))), (expected, expected));
    }
    let expected = variant.document.digest();
    assert_eq!((copied(plain.join("manifest.json")), copied(blob(expected))), (expected, expected));
    let root = variant.sandbox.path("applied");
    fs::create_dir(&root).expect("created");
    for layer in &manifest.layers {
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--preserve-permissions", "--numeric-owner", "--xattrs", "--xattrs-include=*"]);
        // Entries are sorted by their whole paths: something may stand between a directory and what is in it.
        tar.arg("--delay-directory-restore");
        match variant.format {
            Format::Gzip => tar.arg("--use-compress-program=gzip"),
            Format::Zstd => tar.arg("--use-compress-program=zstd"),
            Format::None => &mut tar,
        };
        run(tar.arg("--directory").arg(&root).arg("--file").arg(blob(layer.digest)));
    }
    without_others_owners(survey(&root))
}

fn by_umoci(variant: &Variant) -> Tree {
    let unpack = |layout: &Path, bundle: &Path| {
        let mut umoci = Command::new("umoci");
        umoci.arg("unpack").args((!is_root()).then_some("--rootless"));
        umoci.args(["--image", &format!("{}:{}", layout.display(), variant.name)]).arg(bundle);
        umoci
    };
    let mut bundle = variant.sandbox.path("bundle");
    let mut in_place = unpack(variant.sandbox.store.root(), &bundle);
    if variant.format == Format::Zstd {
        let output = in_place.output().expect("umoci is installed");
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            let refusal = "blob is not correct mediatype: application/vnd.oci.image.layer.v1.tar+zstd";
            assert!(told.trim_end().ends_with(refusal), "{told}");
            bundle = variant.sandbox.path("bundle-of-gzip");
            run(&mut unpack(&variant.as_gzip("umoci"), &bundle));
        }
    } else {
        run(&mut in_place);
    }
    without_others_owners(survey(&bundle.join("rootfs")))
}

fn by_docker(variant: &Variant) -> Tree {
    let Variant { name, .. } = variant;
    let docker = || Command::new("docker");
    let archive = variant.sandbox.path("docker.tar");
    save_file(&variant.sandbox.store, &[name], ArchiveFormat::Docker, &archive);
    let loaded = Loaded(name.clone());
    // Engines read layers of zstd from version 23 on; there are none in what is saved for them.
    let output = docker().args(["load", "--input"]).arg(&archive).output().expect("docker is installed");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("Loaded image: {name}")), "{output:?}");
    let container = text(docker().args(["create", name, "/never-started"]));
    let export = docker().args(["export", &container]).output().expect("docker is installed");
    run(docker().args(["rm", &container]));
    drop(loaded);
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    let mut tree = of_tar(&export.stdout);
    for path in DOCKERS {
        tree.remove(Path::new(path));
    }
    tree
}

fn by_podman(variant: &Variant) -> Tree {
    let podman = || podman::podman(&variant.sandbox);
    save_into(&variant.sandbox.store, &[&variant.name], ArchiveFormat::Oci, podman().arg("load"));
    let container = text(podman().args(["create", &variant.name, "/never-started"]));
    of_tar(&run(podman().args(["export", &container])))
}

#[test]
#[ignore = "needs skopeo, umoci, Podman, zstd and a Docker Engine; bin/test runs it"]
fn everybody_unpacks_every_variant_to_its_source() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("tree");
    source(&root);
    let mut expected = survey(&root);
    for item in expected.values_mut() {
        item.owner = (OWNER.uid, OWNER.gid);
        item.modified = DEFAULT_TIMESTAMP;
    }
    let mut failed = Vec::new();
    for (cut, layers, counts) in CUTS {
        let mut configs = Vec::new();
        for format in FORMATS {
            let variant = Variant::build(&root, layers, format);
            let count = variant.manifest().layers.len();
            assert!(counts.contains(&count), "{cut}, {format:?}: {count} layers");
            // The format is all that differs: the same tars, and so the same configuration.
            configs.push(variant.manifest().config.digest);
            std::thread::scope(|scope| {
                let cells = CLIENTS.map(|(client, unpack)| {
                    let cell = format!("{cut}, {format:?}, {client}");
                    let (variant, expected) = (&variant, &expected);
                    let check = move || assert_same(&unpack(variant), expected);
                    (cell.clone(), Builder::new().name(cell).spawn_scoped(scope, check).expect("a thread"))
                });
                failed.extend(cells.into_iter().filter_map(|(cell, thread)| thread.join().is_err().then_some(cell)));
            });
        }
        configs.dedup();
        assert_eq!(configs.len(), 1, "{cut}");
    }
    assert!(failed.is_empty(), "of {} these failed: {failed:#?}", CUTS.len() * FORMATS.len() * CLIENTS.len());
}

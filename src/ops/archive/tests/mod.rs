//! Images made through the store's own API, written to archives and read back into another store.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use crate::image::{
    ContainerConfig, Descriptor, Digest, Document, ImageConfig, Index, Manifest, Platform, Reference, RootFs,
    annotation, media_type,
};
use crate::progress::{Interrupt, Silent};
use crate::store::ImageStore;

use super::*;

mod artifacts;
mod damaged;
mod foreign;
mod partial;
mod unpacked;

fn open() -> (tempfile::TempDir, ImageStore) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&dir.path().join("images")).expect("a new store");
    (dir, store)
}

/// Headers and content of files, without the end of the archive.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, path, *content).expect("written");
    }
    let mut bytes = builder.into_inner().expect("finished");
    bytes.truncate(bytes.len() - 1024);
    bytes
}

/// One file as the tar of a layer.
fn layer_of(content: &str) -> Vec<u8> {
    [tar_of(&[("file", content.as_bytes())]), vec![0; 1024]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn config_of(architecture: &str, diff_ids: Vec<Digest>) -> Vec<u8> {
    let config = ImageConfig {
        created: None,
        author: None,
        architecture: architecture.into(),
        variant: None,
        os: "linux".into(),
        config: ContainerConfig::default(),
        rootfs: RootFs { kind: "layers".into(), diff_ids },
        history: vec![],
        extra: BTreeMap::new(),
    };
    config.to_bytes()
}

fn name(text: &str) -> Reference {
    text.parse::<Reference>().expect("a reference").with_default_tag()
}

/// Stores an image whose gzip layers hold one file each; not in the index.
fn stored(store: &ImageStore, architecture: &str, contents: &[&str]) -> Document {
    let lease = store.lease().expect("a lease");
    let tars: Vec<Vec<u8>> = contents.iter().map(|content| layer_of(content)).collect();
    let layers = tars.iter().map(|tar| store.put(&lease, media_type::IMAGE_LAYER_GZIP, &gzip(tar)).expect("stored"));
    let layers = layers.collect();
    let config = config_of(architecture, tars.iter().map(|tar| Digest::of(tar)).collect());
    let config = store.put(&lease, media_type::IMAGE_CONFIG, &config).expect("stored");
    let document = Document::from_manifest(Manifest::new(config, layers, BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    document
}

fn publish(store: &ImageStore, document: &Document, names: &[&str]) {
    let lease = store.lease().expect("a lease");
    let names: Vec<Reference> = names.iter().map(|text| name(text)).collect();
    store.publish(&lease, document, &names, Some("2026-01-02T03:04:05Z")).expect("published");
}

fn image(store: &ImageStore, contents: &[&str], names: &[&str]) -> Document {
    let document = stored(store, "amd64", contents);
    publish(store, &document, names);
    document
}

/// An index over two images, one a platform.
fn multi(store: &ImageStore, names: &[&str]) -> (Document, [Document; 2]) {
    let images = ["amd64", "arm64"].map(|architecture| stored(store, architecture, &[architecture]));
    let manifests = images.iter().zip(["amd64", "arm64"]).map(|(image, architecture)| Descriptor {
        platform: Some(Platform::new("linux", architecture, None)),
        ..image.descriptor.clone()
    });
    let index = Index { manifests: manifests.collect(), ..Index::default() };
    let bytes = serde_json::to_vec(&index).expect("serialises");
    let lease = store.lease().expect("a lease");
    let descriptor = store.put(&lease, media_type::IMAGE_INDEX, &bytes).expect("stored");
    let document = store.document(&descriptor).expect("reads");
    publish(store, &document, names);
    (document, images)
}

fn saved(store: &ImageStore, names: &[&str], format: ArchiveFormat, platform: Option<&Platform>) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut bytes = Vec::new();
    let outcome =
        save(store, &names, format, platform, &mut bytes, &Silent, &Interrupt::default()).expect("an archive");
    assert_eq!(outcome.bytes, bytes.len() as u64);
    assert_eq!(bytes.len() % 512, 0);
    bytes
}

fn loaded(store: &ImageStore, archive: &[u8]) -> Result<Vec<(Option<String>, Digest)>, ArchiveError> {
    let outcome = load(store, archive, "2026-01-02T03:04:05Z", None, &Silent, &Interrupt::default())?;
    Ok(outcome.images.into_iter().map(|(name, digest)| (name.map(|name| name.to_string()), digest)).collect())
}

/// Paths and contents of an archive, read by the tar crate.
fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("an entry");
        assert_eq!(
            (entry.header().uid().ok(), entry.header().gid().ok(), entry.header().mtime().ok()),
            (Some(0), Some(0), Some(315_532_801))
        );
        let path = entry.path().expect("a path").to_str().expect("text").to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        (path, content)
    });
    entries.collect()
}

fn json(archive: &[u8], path: &str) -> serde_json::Value {
    let (_, content) = entries(archive).into_iter().find(|(name, _)| name == path).expect(path);
    serde_json::from_slice(&content).expect("JSON")
}

#[test]
fn a_docker_archive_lists_names_and_shares_blobs() {
    let (_dir, store) = open();
    let one = image(&store, &["shared", "one"], &["app:v1", "app:latest", "localhost:5000/app:x"]);
    let two = image(&store, &["shared", "two"], &["other"]);
    let archive = saved(&store, &["app:v1", "app", "other", "app:v1"], ArchiveFormat::Docker, None);
    let path = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
    let expected = |document: &Document, names: &[&str]| {
        let manifest = document.manifest().expect("a manifest");
        serde_json::json!({
            "Config": path(manifest.config.digest),
            "RepoTags": names,
            "Layers": manifest.layers.iter().map(|layer| path(layer.digest)).collect::<Vec<_>>(),
        })
    };
    assert_eq!(
        json(&archive, "manifest.json"),
        serde_json::json!([expected(&one, &["app:v1", "app:latest"]), expected(&two, &["other:latest"])])
    );
    let names: Vec<String> = entries(&archive).into_iter().map(|(name, _)| name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(names, sorted);
    // Two directories, two configurations, three layers, one document.
    assert_eq!(names.len(), 8);
}

#[test]
fn an_image_chosen_by_id_has_no_name() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app:v1"]);
    let id = one.digest().short();
    let archive = saved(&store, &[&id], ArchiveFormat::Docker, None);
    assert_eq!(json(&archive, "manifest.json")[0]["RepoTags"], serde_json::Value::Null);
    let archive = saved(&store, &[&id], ArchiveFormat::Oci, None);
    assert_eq!(json(&archive, "index.json")["manifests"][0].get("annotations"), None);
    let (_other_dir, other) = open();
    assert_eq!(loaded(&other, &archive).expect("loads"), [(None, one.digest())]);
    other.prune().expect("pruned");
    other.tree(&other.resolve(&id).expect("still there").descriptor).expect("whole");
}

#[test]
fn an_oci_archive_is_a_layout_of_the_chosen_images() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app:v1", "app:v2"]);
    image(&store, &["two"], &["other"]);
    let archive = saved(&store, &["app:v1", "app:v2"], ArchiveFormat::Oci, None);
    assert_eq!(json(&archive, "oci-layout"), serde_json::json!({"imageLayoutVersion": "1.0.0"}));
    let index: Index = serde_json::from_value(json(&archive, "index.json")).expect("an index");
    let names: Vec<_> = index.manifests.iter().map(|m| m.annotation(annotation::REF_NAME)).collect();
    assert_eq!(names, [Some("app:v1"), Some("app:v2")]);
    let names: Vec<_> = index.manifests.iter().map(|m| m.annotation("io.containerd.image.name")).collect();
    assert_eq!(names, [Some("docker.io/library/app:v1"), Some("docker.io/library/app:v2")]);
    let wall_clock = |m: &Descriptor| m.annotation(annotation::CREATED).map(str::to_owned);
    assert!(index.manifests.iter().all(|m| m.digest == one.digest() && wall_clock(m).is_none()));
    for (path, content) in entries(&archive) {
        if let Some(hex) = path.strip_prefix("blobs/sha256/").filter(|hex| !hex.is_empty()) {
            assert_eq!(Digest::of(&content).hex(), hex);
        }
    }
}

#[test]
fn what_containerd_calls_an_image_is_its_whole_name_and_comes_back_as_it_was() {
    let names = [
        ("app:v1", "docker.io/library/app:v1"),
        ("team/app:v1", "docker.io/team/app:v1"),
        ("docker.io/app:v2", "docker.io/library/app:v2"),
        ("docker.io/library/app:v3", "docker.io/library/app:v3"),
        ("gitea.cnoe.localtest.me:8443/giteaadmin/app:v1", "gitea.cnoe.localtest.me:8443/giteaadmin/app:v1"),
        ("localhost/app:v1", "localhost/app:v1"),
    ];
    let (_dir, store) = open();
    let own: Vec<&str> = names.iter().map(|(own, _)| *own).collect();
    image(&store, &["one"], &own);
    let archive = saved(&store, &own, ArchiveFormat::Oci, None);
    let index: Index = serde_json::from_value(json(&archive, "index.json")).expect("an index");
    let found: Vec<_> = index.manifests.iter().map(|m| m.annotation("io.containerd.image.name")).collect();
    assert_eq!(found, names.map(|(_, full)| Some(full)));
    let (_other_dir, other) = open();
    let mut back: Vec<String> =
        loaded(&other, &archive).expect("loads").into_iter().filter_map(|(name, _)| name).collect();
    let mut own: Vec<String> = own.into_iter().map(str::to_owned).collect();
    back.sort();
    own.sort();
    assert_eq!(back, own);
}

#[test]
fn archives_of_the_same_images_are_the_same() {
    let ((_a, one), (_b, two)) = (open(), open());
    image(&one, &["x", "y"], &["app"]);
    image(&two, &["noise"], &["noise"]);
    image(&two, &["x", "y"], &["app"]);
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        assert_eq!(saved(&one, &["app"], format, None), saved(&two, &["app"], format, None));
    }
}

#[test]
fn both_formats_survive_the_round_trip() {
    let (_dir, store) = open();
    let one = image(&store, &["shared", "one"], &["app:v1", "app"]);
    let two = image(&store, &["shared", "two"], &["reg.example:5000/team/other:v2"]);
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        let archive = saved(&store, &["app:v1", "app", "reg.example:5000/team/other:v2"], format, None);
        for archive in [archive.clone(), gzip(&archive)] {
            let (_other_dir, other) = open();
            let images = loaded(&other, &archive).expect("loads");
            let named = |name: &str, document: &Document| (Some(name.to_owned()), document.digest());
            assert_eq!(
                images,
                [named("app:v1", &one), named("app:latest", &one), named("reg.example:5000/team/other:v2", &two)]
            );
            for document in [&one, &two] {
                let tree = other.tree(&document.descriptor).expect("whole");
                for blob in &tree.blobs {
                    std::io::copy(&mut other.read_blob(blob).expect("opens"), &mut std::io::sink()).expect("undamaged");
                }
            }
        }
    }
}

#[test]
fn a_platform_is_picked_out_of_an_index() {
    let (_dir, store) = open();
    let (index, [amd64, arm64]) = multi(&store, &["multi"]);
    let arm: Platform = "linux/arm64".parse().expect("a platform");
    let (_all_dir, all) = open();
    let archive = saved(&store, &["multi"], ArchiveFormat::Oci, None);
    assert_eq!(loaded(&all, &archive).expect("loads"), [(Some("multi:latest".into()), index.digest())]);
    for (format, platform, expected) in [
        (ArchiveFormat::Oci, Some(&arm), &arm64),
        (ArchiveFormat::Docker, Some(&arm), &arm64),
        (ArchiveFormat::Docker, None, &amd64),
    ] {
        let (_one_dir, one) = open();
        let archive = saved(&store, &["multi"], format, platform);
        assert_eq!(loaded(&one, &archive).expect("loads"), [(Some("multi:latest".into()), expected.digest())]);
    }
}

#[test]
fn a_damaged_blob_is_never_saved_as_whole() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app"]);
    let layer = &one.manifest().expect("a manifest").layers[0];
    let path = store.blob_path(layer.digest);
    let mut bytes = std::fs::read(&path).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("damaged");
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        let mut archive = Vec::new();
        let refused = save(&store, &["app".into()], format, None, &mut archive, &Silent, &Interrupt::default());
        assert!(matches!(refused, Err(ArchiveError::Store(crate::store::StoreError::BlobDigest { .. }))));
        let (_other_dir, other) = open();
        loaded(&other, &archive).expect_err("the archive is not whole");
    }
}

#[test]
fn saving_stops_when_asked_and_when_nobody_reads() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_dir, store) = open();
    image(&store, &["one"], &["app"]);
    let stop = Interrupt::default();
    let go = |names: &[String], stop: &Interrupt| {
        save(&store, names, ArchiveFormat::Oci, None, Closed, &Silent, stop).expect_err("not written")
    };
    match go(&["app".into()], &stop) {
        ArchiveError::Write(error) => assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
    assert!(matches!(go(&[], &stop), ArchiveError::NoImages));
    assert!(matches!(go(&["nope".into()], &stop), ArchiveError::Store(_)));
    stop.request();
    let stopped = save(&store, &["app".into()], ArchiveFormat::Oci, None, Vec::new(), &Silent, &stop);
    assert!(matches!(stopped, Err(ArchiveError::Interrupted)));
    let archive = saved(&store, &["app"], ArchiveFormat::Oci, None);
    assert!(matches!(
        load(&store, archive.as_slice(), "2026-01-02T03:04:05Z", None, &Silent, &stop),
        Err(ArchiveError::Interrupted)
    ));
}

#[test]
fn progress_adds_up_to_the_blobs() {
    use crate::progress::{Event, Outcome, Progress};
    #[derive(Default)]
    struct Sum(std::sync::Mutex<BTreeMap<String, (u64, u64, bool)>>);
    impl Progress for Sum {
        fn emit(&self, event: Event<'_>) {
            let mut sums = self.0.lock().expect("one thread");
            match event {
                Event::Begin { key, total, .. } => {
                    sums.insert(key.to_owned(), (total.expect("known"), 0, false));
                }
                Event::Advance { key, bytes } => sums.get_mut(key).expect("begun").1 += bytes,
                Event::End { key, outcome } => sums.get_mut(key).expect("begun").2 = outcome == Outcome::Done,
                _ => {}
            }
        }
    }
    let (_dir, store) = open();
    image(&store, &["one", "two"], &["app"]);
    let (writing, reading, mut archive) = (Sum::default(), Sum::default(), Vec::new());
    let stop = Interrupt::default();
    save(&store, &["app".into()], ArchiveFormat::Oci, None, &mut archive, &writing, &stop).expect("saved");
    load(&store, archive.as_slice(), "2026-01-02T03:04:05Z", None, &reading, &stop).expect("loaded");
    for sums in [writing, reading] {
        let sums = sums.0.into_inner().expect("one thread");
        assert_eq!(sums.len(), 4);
        assert!(sums.values().all(|(total, moved, done)| total == moved && *done), "{sums:?}");
    }
}

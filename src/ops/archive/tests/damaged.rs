//! Archives that are broken or mean harm: refused by a typed error, with the index as it was.

use proptest::prelude::*;

use super::*;
use crate::layer::tar::read::{TarError, archives};

/// Loads into a store that has an image, and checks that the refusal changed nothing of it.
fn error_response(archive: &[u8]) -> ArchiveError {
    let (_dir, store) = open();
    image(&store, &["kept"], &["kept"]);
    let before = std::fs::read(store.root().join("index.json")).expect("read");
    let blobs = std::fs::read_dir(store.root().join("blobs/sha256")).expect("listed").count();
    let error = loaded(&store, archive).expect_err("refused");
    assert_eq!(std::fs::read(store.root().join("index.json")).expect("read"), before);
    assert_eq!(std::fs::read_dir(store.root().join("blobs/sha256")).expect("listed").count(), blobs);
    assert_eq!(std::fs::read_dir(store.root().join(".tmp")).expect("listed").count(), 0);
    error
}

fn special(path: &str, kind: tar::EntryType, target: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A Docker archive of one image with one layer, with other bytes where the test wants them.
fn docker(layer: &[u8], diff_id: Digest, manifest: Option<&str>) -> Vec<u8> {
    let config = config_of("amd64", vec![diff_id]);
    let manifest = manifest.unwrap_or(r#"[{"Config":"c.json","RepoTags":["app:v1"],"Layers":["l.tar"]}]"#);
    [tar_of(&[("c.json", &config), ("l.tar", layer), ("manifest.json", manifest.as_bytes())]), vec![0; 1024]].concat()
}

#[test]
fn paths_that_leave_the_archive() {
    for path in ["../x", "/etc/passwd", "a/../../x", "a/..", "a\\b", "a\u{7}", "."] {
        let archive = [special(path, tar::EntryType::Symlink, "x"), vec![0; 1024]].concat();
        assert!(matches!(error_response(&archive), ArchiveError::Path(_)), "{path}");
    }
    let mut bytes = special("x", tar::EntryType::Symlink, "x");
    bytes[0] = 0xff;
    let header = tar::Header::from_byte_slice(&bytes).clone();
    let mut header = header;
    header.set_cksum();
    assert!(matches!(error_response(header.as_bytes()), ArchiveError::Path(_)));
    let long = "names/".repeat(200);
    assert!(matches!(error_response(&tar_of(&[(&format!("{long}x"), b"")])), ArchiveError::Path(_)));
}

#[test]
fn an_image_that_cannot_be_listed_is_not_loaded() {
    let layer = layer_of("x");
    let bytes = br#"{"rootfs":{"type":"layers","diff_ids":7}}"#;
    let config = Descriptor::of(media_type::IMAGE_CONFIG, bytes);
    let layer_blob = Descriptor::of(media_type::IMAGE_LAYER, &layer);
    let manifest = Document::from_manifest(Manifest::new(config.clone(), vec![layer_blob.clone()], BTreeMap::new()));
    let index = Index { schema_version: 2, manifests: vec![manifest.descriptor.clone()], ..Index::default() };
    let index = serde_json::to_vec(&index).expect("serialises");
    let (config_path, layer_path, manifest_path) =
        (blob_path(config.digest), blob_path(layer_blob.digest), blob_path(manifest.digest()));
    let files: Vec<(&str, &[u8])> = vec![
        (&config_path, bytes),
        (&layer_path, &layer),
        (&manifest_path, &manifest.bytes),
        ("index.json", &index),
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
    ];
    let archive = [tar_of(&files), vec![0; 1024]].concat();
    let error = error_response(&archive);
    assert!(matches!(&error, ArchiveError::Document { path, .. } if *path == config_path), "{error:?}");
}

#[test]
fn more_names_than_an_archive_may_have() {
    let layer = layer_of("x");
    let manifest = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("app:v{number}")).collect();
        serde_json::json!([{ "Config": "c.json", "RepoTags": names, "Layers": ["l.tar"] }]).to_string()
    };
    let diff_id = Digest::of(&layer);
    let refused = error_response(&docker(&layer, diff_id, Some(&manifest(4097))));
    assert!(matches!(refused, ArchiveError::TooMany { what: "names", limit: 4096 }), "{refused:?}");
    let (_dir, store) = open();
    assert_eq!(loaded(&store, &docker(&layer, diff_id, Some(&manifest(4096)))).expect("loaded").len(), 4096);
}

#[test]
fn links_and_special_files() {
    for target in ["../x", "/etc/passwd", "a/../../../x", ""] {
        let archive = special("l", tar::EntryType::Symlink, target);
        assert!(matches!(error_response(&archive), ArchiveError::Link { .. }), "{target}");
    }
    for kind in [tar::EntryType::Char, tar::EntryType::Fifo, tar::EntryType::new(b'Z')] {
        assert!(matches!(error_response(&special("x", kind, "y")), ArchiveError::Kind { .. }), "{kind:?}");
    }
    let manifest = r#"[{"Config":"c","RepoTags":null,"Layers":[]}]"#;
    let circle = [special("c", tar::EntryType::Symlink, "d"), special("d", tar::EntryType::Symlink, "c")].concat();
    let archive = [circle, tar_of(&[("manifest.json", manifest.as_bytes())])].concat();
    assert!(matches!(error_response(&archive), ArchiveError::Missing(_)));
}

#[test]
fn the_same_path_twice() {
    let archive = tar_of(&[("a/x", b"1"), ("./a//x", b"2")]);
    assert!(matches!(error_response(&archive), ArchiveError::Duplicate(path) if path == "a/x"));
    let archive = tar_of(&[("manifest.json", b"[]"), ("manifest.json", b"[ ]")]);
    assert!(matches!(error_response(&archive), ArchiveError::Duplicate(_)));
}

#[test]
fn sizes_and_counts() {
    let mut header = tar::Header::new_gnu();
    header.set_path("big").expect("short");
    header.set_size(1 << 62);
    header.set_cksum();
    assert!(matches!(error_response(header.as_bytes()), ArchiveError::TooLarge { .. }));
    header.set_path("index.json").expect("short");
    header.set_size(5 << 20);
    header.set_cksum();
    assert!(matches!(error_response(header.as_bytes()), ArchiveError::TooLarge { .. }));
    let many: Vec<u8> =
        (0..=(16 << 10)).flat_map(|n| special(&format!("l{n}"), tar::EntryType::Symlink, "x")).collect();
    assert!(matches!(error_response(&many), ArchiveError::TooMany { what: "entries", .. }));
    let images = format!("[{}]", vec![r#"{"Config":"c"}"#; 1025].join(","));
    let archive = tar_of(&[("manifest.json", images.as_bytes())]);
    assert!(matches!(error_response(&archive), ArchiveError::TooMany { what: "images", .. }));
}

#[test]
fn links_lead_on_so_often() {
    let (_dir, store) = open();
    let config = config_of("amd64", vec![]);
    let chain = |links: usize| {
        let link = |number: usize| special(&format!("l{number}"), tar::EntryType::Symlink, &format!("l{}", number + 1));
        let manifest = br#"[{"Config":"l0","RepoTags":["app"],"Layers":[]}]"#;
        let files = tar_of(&[(&format!("l{links}"), &config), ("manifest.json", manifest)]);
        [(0..links).flat_map(link).collect(), files, vec![0; 1024]].concat()
    };
    loaded(&store, &chain(8)).expect("as many as are followed");
    assert!(matches!(error_response(&chain(9)), ArchiveError::Missing(_)));
}

#[test]
fn paths_have_so_many_bytes() {
    let archive = |length: usize| {
        let name = "n".repeat(length);
        let manifest = format!(r#"[{{"Config":"{name}","RepoTags":["app"],"Layers":[]}}]"#);
        [tar_of(&[(&name, &config_of("amd64", vec![])), ("manifest.json", manifest.as_bytes())]), vec![0; 1024]]
            .concat()
    };
    let (_dir, store) = open();
    loaded(&store, &archive(1024)).expect("as long as allowed");
    assert!(matches!(error_response(&archive(1025)), ArchiveError::Path(_)));
}

#[test]
fn cut_off_anywhere() {
    let (_dir, store) = open();
    image(&store, &["one"], &["app"]);
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        let archive = saved(&store, &["app"], format, None);
        let content = archive.len() - 1024;
        for end in (0..content).step_by(311) {
            let (_other_dir, other) = open();
            loaded(&other, &archive[..end]).expect_err("cut off");
            assert!(other.entries().expect("entries").is_empty());
        }
        let packed = gzip(&archive);
        assert!(matches!(error_response(&packed[..packed.len() - 1]), ArchiveError::Tar(TarError::Truncated(_))));
    }
}

#[test]
fn not_an_image_archive() {
    assert!(matches!(error_response(b""), ArchiveError::Tar(TarError::Empty)));
    assert!(matches!(error_response(&tar_of(&[("README", b"text")])), ArchiveError::NotAnImageArchive));
    assert!(matches!(error_response(&b"<html>".repeat(200)), ArchiveError::Tar(TarError::Header(0))));
    for (start, name) in [(b"BZh91A", "bzip2"), (b"\xfd7zXZ\0", "xz")] {
        assert!(matches!(error_response(start), ArchiveError::Compression { compression, .. } if compression == name));
    }
}

#[test]
fn documents_that_do_not_hold() {
    for (path, text) in [("manifest.json", "{"), ("index.json", "[]"), ("oci-layout", "x"), ("manifest.json", "[{}]")] {
        assert!(matches!(error_response(&tar_of(&[(path, text.as_bytes())])), ArchiveError::Json { .. }), "{path}");
    }
    let layout = tar_of(&[("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#), ("index.json", b"{}")]);
    assert!(matches!(error_response(&layout), ArchiveError::LayoutVersion(version) if version == "2.0.0"));
    let tar = layer_of("x");
    let manifest = |text: &str| error_response(&docker(&tar, Digest::of(&tar), Some(text)));
    assert!(matches!(
        manifest(r#"[{"Config":"nope.json","Layers":["l.tar"]}]"#),
        ArchiveError::Missing(path) if path == "nope.json"
    ));
    assert!(matches!(manifest(r#"[{"Config":"../c.json","Layers":["l.tar"]}]"#), ArchiveError::Path(_)));
    assert!(matches!(manifest(r#"[{"Config":"c.json","Layers":["m.tar"]}]"#), ArchiveError::Missing(_)));
    assert!(matches!(manifest(r#"[{"Config":"l.tar","Layers":["l.tar"]}]"#), ArchiveError::Json { .. }));
    assert!(matches!(
        manifest(r#"[{"Config":"c.json","Layers":null}]"#),
        ArchiveError::LayerCount { diff_ids: 1, layers: 0, .. }
    ));
}

#[test]
fn layers_that_are_not_what_the_configuration_means() {
    let (tar, other) = (layer_of("x"), layer_of("y"));
    for layer in [tar.clone(), gzip(&tar)] {
        assert!(matches!(error_response(&docker(&layer, Digest::of(&other), None)), ArchiveError::DiffId { .. }));
    }
    let mut torn = gzip(&tar);
    torn.truncate(torn.len() - 4);
    assert!(matches!(error_response(&docker(&torn, Digest::of(&tar), None)), ArchiveError::Decompress { .. }));
    let zstd = b"\x28\xb5\x2f\xfd______";
    assert!(matches!(error_response(&docker(zstd, Digest::of(&tar), None)), ArchiveError::Decompress { .. }));
    let xz = b"\xfd7zXZ\0______";
    assert!(matches!(error_response(&docker(xz, Digest::of(&tar), None)), ArchiveError::Compression { .. }));
}

#[test]
fn blobs_that_are_not_what_their_path_says() {
    let path = format!("blobs/sha256/{}", Digest::of(b"this").hex());
    match error_response(&tar_of(&[(&path, b"that")])) {
        ArchiveError::Damaged { path: named, found } => {
            assert_eq!((named, found), (path, Digest::of(b"that")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_oci_archive_without_one_of_its_blobs() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app"]);
    let layer = one.manifest().expect("a manifest").layers[0].digest;
    let mut files = entries(&saved(&store, &["app"], ArchiveFormat::Oci, None));
    files.retain(|(path, _)| !path.ends_with('/') && !path.ends_with(&layer.hex()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    assert!(matches!(error_response(&tar_of(&files)), ArchiveError::Missing(path) if path == blob_path(layer)));
}

#[test]
fn what_readers_read_otherwise_is_no_image_archive() {
    let (_dir, store) = open();
    for (note, archive, is_refused) in archives() {
        let error = loaded(&store, &archive).expect_err("there is no image in it");
        assert_eq!(matches!(error, ArchiveError::Tar(_)), is_refused, "{note}");
    }
}

#[test]
fn one_large_configuration_for_many_images() {
    let mut config = config_of("amd64", vec![]);
    config.resize(3 << 20, b' ');
    let manifest = |images: usize| {
        let images = vec![r#"{"Config":"c.json","RepoTags":null,"Layers":[]}"#; images].join(",");
        [tar_of(&[("c.json", &config), ("manifest.json", format!("[{images}]").as_bytes())]), vec![0; 1024]].concat()
    };
    match error_response(&manifest(100)) {
        ArchiveError::TooLarge { path, size, limit } => {
            assert_eq!((&path[..], size, limit), ("c.json", 86 * (3 << 20), 256 << 20));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_are_none() {
    let tar = layer_of("x");
    let manifest = r#"[{"Config":"c.json","RepoTags":["App:v1"],"Layers":["l.tar"]}]"#;
    let (_dir, store) = open();
    let archive = docker(&tar, Digest::of(&tar), Some(manifest));
    let outcome = load(&store, &archive[..], "now", None, &Silent, &Interrupt::default()).expect("by its digest");
    let digest = outcome.images[0].1;
    assert_eq!(outcome.images, [(None, digest)]);
    assert_eq!(outcome.notes, [LoadNote::Unusable { name: "App:v1".into(), digest }]);
    let other = config_of("arm64", vec![]);
    let manifest =
        r#"[{"Config":"c.json","RepoTags":["app"],"Layers":["l.tar"]},{"Config":"o.json","RepoTags":["app:latest"]}]"#;
    let archive = [tar_of(&[("o.json", &other)]), docker(&tar, Digest::of(&tar), Some(manifest))].concat();
    assert!(matches!(error_response(&archive), ArchiveError::NameTwice(name) if name == "app:latest"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let (_dir, store) = open();
        let _ = loaded(&store, &bytes);
    }

    #[test]
    fn changed_archives_are_refused_or_whole(
        docker in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (_dir, store) = open();
        image(&store, &["one", "two"], &["app"]);
        let format = if docker { ArchiveFormat::Docker } else { ArchiveFormat::Oci };
        let mut archive = saved(&store, &["app"], format, None);
        for (at, byte) in changes {
            let at = at.index(archive.len());
            archive[at] = byte;
            let block = at / 512 * 512;
            let mut header = tar::Header::from_byte_slice(&archive[block..block + 512]).clone();
            if header.as_gnu().is_some() {
                header.set_cksum();
                archive[block..block + 512].copy_from_slice(header.as_bytes());
            }
        }
        let (_other_dir, other) = open();
        if loaded(&other, &archive).is_ok() {
            for entry in other.entries().expect("entries") {
                other.tree(&entry.descriptor).expect("whole");
            }
        } else {
            prop_assert!(other.entries().expect("entries").is_empty());
        }
    }
}

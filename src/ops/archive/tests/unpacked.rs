//! Layers of zstd, which Docker's archives have as tars.

use super::*;
use crate::layer::MARK_BYTES;

/// Compressed in two frames, as blocks are.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let (start, rest) = bytes.split_at(bytes.len() / 2);
    [start, rest].map(|part| zstd::bulk::compress(part, 3).expect("in memory")).concat()
}

/// An image of a layer of gzip, one of zstd and one that is not compressed, with these digests of their tars.
fn mixed(store: &ImageStore, diff_ids: impl FnOnce([Digest; 3]) -> Vec<Digest>, names: &[&str]) -> Document {
    let lease = store.lease().expect("a lease");
    let tars = ["gzip", "zstd", "plain"].map(layer_of);
    let put = |kind: &str, bytes: &[u8]| store.put(&lease, kind, bytes).expect("stored");
    let layers = vec![
        put(media_type::IMAGE_LAYER_GZIP, &gzip(&tars[0])),
        put(media_type::IMAGE_LAYER_ZSTD, &zstd(&tars[1])),
        put(media_type::IMAGE_LAYER, &tars[2]),
    ];
    let config = config_of("amd64", diff_ids([0, 1, 2].map(|at: usize| Digest::of(&tars[at]))));
    let config = put(media_type::IMAGE_CONFIG, &config);
    let document = Document::from_manifest(Manifest::new(config, layers, BTreeMap::new()));
    put(media_type::IMAGE_MANIFEST, &document.bytes);
    publish(store, &document, names);
    document
}

#[test]
fn a_docker_archive_has_the_tars_of_layers_of_zstd() {
    let (_dir, store) = open();
    let document = mixed(&store, Vec::from, &["app:v1"]);
    let manifest = document.manifest().expect("a manifest");
    let tar = layer_of("zstd");
    let archive = saved(&store, &["app:v1"], ArchiveFormat::Docker, None);
    let path = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
    let expected = [path(manifest.layers[0].digest), path(Digest::of(&tar)), path(manifest.layers[2].digest)];
    assert_eq!(json(&archive, "manifest.json")[0]["Layers"], serde_json::json!(expected));
    let found = entries(&archive);
    assert!(found.iter().any(|(name, content)| *name == expected[1] && *content == tar), "the tar is there");
    assert!(!found.iter().any(|(name, _)| *name == path(manifest.layers[1].digest)), "the layer is not");
    for (_, content) in &found {
        assert_ne!(crate::layer::detect(&content[..content.len().min(MARK_BYTES)]), Ok(crate::layer::Format::Zstd));
    }
    assert_eq!(saved(&store, &["app:v1"], ArchiveFormat::Docker, None), archive, "the same bytes each time");

    let (_other_dir, other) = open();
    loaded(&other, &archive).expect("loads");
    let again = other.resolve("app:v1").expect("named").descriptor;
    let image = other.image("app:v1", &again, None).expect("whole");
    assert_eq!(image.manifest.config.digest, manifest.config.digest, "the same id");
    assert_eq!(image.manifest.layers[1].media_type, media_type::IMAGE_LAYER);
}

#[test]
fn an_oci_archive_keeps_layers_of_zstd() {
    let (_dir, store) = open();
    let document = mixed(&store, Vec::from, &["app:v1"]);
    let archive = saved(&store, &["app:v1"], ArchiveFormat::Oci, None);
    let (_other_dir, other) = open();
    assert_eq!(loaded(&other, &archive).expect("loads"), [(Some("app:v1".to_owned()), document.digest())]);
}

#[test]
fn a_tar_that_two_images_have_is_there_once() {
    let (_dir, store) = open();
    mixed(&store, Vec::from, &["app:v1"]);
    // The same layer as a tar, before and after it in the archive.
    let plain = |name: &str| {
        let lease = store.lease().expect("a lease");
        let tar = layer_of("zstd");
        let layer = store.put(&lease, media_type::IMAGE_LAYER, &tar).expect("stored");
        let config = config_of(name, vec![Digest::of(&tar)]);
        let config = store.put(&lease, media_type::IMAGE_CONFIG, &config).expect("stored");
        let document = Document::from_manifest(Manifest::new(config, vec![layer], BTreeMap::new()));
        store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
        drop(lease);
        publish(&store, &document, &[name]);
    };
    plain("amd64");
    for names in [["app:v1", "amd64"], ["amd64", "app:v1"]] {
        let archive = saved(&store, &names, ArchiveFormat::Docker, None);
        let path = format!("blobs/sha256/{}", Digest::of(&layer_of("zstd")).hex());
        let found: Vec<Vec<u8>> =
            entries(&archive).into_iter().filter(|(name, _)| *name == path).map(|(_, content)| content).collect();
        assert_eq!(found, [layer_of("zstd")], "{names:?}");
    }
}

fn refused(store: &ImageStore) -> ArchiveError {
    let names = ["app:v1".to_owned()];
    let mut bytes = Vec::new();
    let result = save(store, &names, ArchiveFormat::Docker, None, &mut bytes, &Silent, &Interrupt::default());
    assert!(!bytes.windows(13).any(|part| part == b"manifest.json"), "what is refused is no archive");
    result.expect_err("refused")
}

#[test]
fn a_tar_that_is_not_what_the_configuration_says_is_refused() {
    let (_dir, store) = open();
    let wrong = Digest::of(b"something else");
    mixed(&store, |[gzip, _, plain]| vec![gzip, wrong, plain], &["app:v1"]);
    let error = refused(&store);
    let found = Digest::of(&layer_of("zstd"));
    assert!(matches!(error, ArchiveError::LayerDiffers { expected, found: f, .. } if (expected, f) == (wrong, found)));

    let (_dir, store) = open();
    mixed(&store, |[gzip, zstd, _]| vec![gzip, zstd], &["app:v1"]);
    assert!(matches!(refused(&store), ArchiveError::LayersDiffer { diff_ids: 2, layers: 3, .. }));
}

#[test]
fn a_torn_or_damaged_layer_is_refused() {
    let (_dir, store) = open();
    let lease = store.lease().expect("a lease");
    let tar = layer_of("zstd");
    let mut torn = zstd(&tar);
    torn.pop();
    let layer = store.put(&lease, media_type::IMAGE_LAYER_ZSTD, &torn).expect("stored");
    let config = store.put(&lease, media_type::IMAGE_CONFIG, &config_of("amd64", vec![Digest::of(&tar)]));
    let document = Document::from_manifest(Manifest::new(config.expect("stored"), vec![layer], BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    drop(lease);
    publish(&store, &document, &["app:v1"]);
    assert!(matches!(refused(&store), ArchiveError::TornLayer { .. }));

    let (_dir, store) = open();
    let document = mixed(&store, Vec::from, &["app:v1"]);
    let layer = &document.manifest().expect("a manifest").layers[1];
    let path = store.blob_path(layer.digest);
    let mut bytes = std::fs::read(&path).expect("there");
    // Only the digest can find a fault in the checksum at the end.
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&path, bytes).expect("damaged");
    assert!(matches!(refused(&store), ArchiveError::Store(_) | ArchiveError::TornLayer { .. }));
}

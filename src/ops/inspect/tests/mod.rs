//! Images made through the store's own API and looked into.

use std::collections::BTreeMap;
use std::io::Write;

use super::*;
use crate::image::{Descriptor, Index, Manifest, Reference, media_type};
use crate::layer::tar::read::{EntryKind, TarEntry};

mod first;

fn open() -> (tempfile::TempDir, ImageStore) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&dir.path().join("images")).expect("a new store");
    (dir, store)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn layer() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o4750);
    header.set_uid(1000);
    header.set_gid(100);
    header.set_mtime(315_532_801);
    header.set_size(5);
    header.set_cksum();
    builder.append_data(&mut header, "bin/tool", b"hello".as_slice()).expect("written");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_cksum();
    builder.append_link(&mut header, "bin/alias", "/bin/tool").expect("written");
    builder.into_inner().expect("finished")
}

/// An image with `blobs` as layers and a history of one empty step and one step for the first layer.
fn image(store: &ImageStore, architecture: &str, blobs: &[(&str, Vec<u8>)], diff_ids: &[Digest]) -> Document {
    let lease = store.lease().expect("a lease");
    let layers = blobs.iter().map(|(media_type, bytes)| store.put(&lease, media_type, bytes).expect("stored"));
    let layers = layers.collect();
    let config = serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "created": "1980-01-01T00:00:01Z",
        "config": {"Entrypoint": ["/bin/tool"], "Labels": {"a": "b"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "ENV X=y", "empty_layer": true}, {"created_by": "COPY . /", "comment": "c"}],
    });
    let config = store.put(&lease, media_type::IMAGE_CONFIG, config.to_string().as_bytes()).expect("stored");
    let annotations = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let document = Document::from_manifest(Manifest::new(config, layers, annotations));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    document
}

fn publish(store: &ImageStore, document: &Document, names: &[&str]) {
    let lease = store.lease().expect("a lease");
    let names: Vec<Reference> =
        names.iter().map(|text| text.parse::<Reference>().expect("a reference").with_default_tag()).collect();
    store.publish(&lease, document, &names, Some("2026-01-02T03:04:05Z")).expect("published");
}

/// `app` with the same content in a gzip layer of two members and in a plain one.
fn app(store: &ImageStore) -> Document {
    let tar = layer();
    let members = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
    let blobs = [(media_type::IMAGE_LAYER_GZIP, members), (media_type::IMAGE_LAYER, tar.clone())];
    let document = image(store, "amd64", &blobs, &[Digest::of(&tar); 2]);
    publish(store, &document, &["app", "app:v1"]);
    document
}

fn layers_of(store: &ImageStore, name: &str) -> Vec<LayerInfo> {
    layers(store, name, None, Uncompressed::Skip, &Interrupt::default()).expect("layers")
}

#[test]
fn an_overview_of_one_image() {
    let (_dir, store) = open();
    let document = app(&store);
    let manifest = document.manifest().expect("a manifest");
    let overview = overview(&store, "app:v1", None).expect("an overview");
    assert_eq!(overview.names, ["app:latest", "app:v1"]);
    assert_eq!((overview.digest, overview.id), (document.digest(), manifest.config.digest));
    assert_eq!((overview.index, overview.platforms.len(), overview.layers), (None, 0, 2));
    assert_eq!(overview.platform, "linux/amd64");
    assert_eq!(overview.created.as_deref(), Some("1980-01-01T00:00:01Z"));
    assert_eq!(overview.tagged.as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!(overview.size, document.descriptor.size + manifest.blobs().map(|blob| blob.size).sum::<u64>());
    assert_eq!(overview.config.entrypoint, ["/bin/tool"]);
    assert_eq!(overview.annotations["k"], "v");
    assert_eq!(serde_json::to_value(&overview).expect("serialises")["id"], manifest.config.digest.to_string());
}

#[test]
fn documents_are_byte_exact() {
    let (_dir, store) = open();
    let document = app(&store);
    let id = document.manifest().expect("a manifest").config.digest;
    assert_eq!(manifest(&store, "app", None).expect("there").bytes, document.bytes);
    assert_eq!(Digest::of(&config(&store, "app", None).expect("there")), id);
    assert!(matches!(manifest(&store, "nope", None), Err(InspectError::Store(StoreError::NotFound { .. }))));
}

#[test]
fn a_platform_is_picked_out_of_an_index() {
    let (_dir, store) = open();
    let tar = layer();
    let images = ["amd64", "arm64"]
        .map(|name| image(&store, name, &[(media_type::IMAGE_LAYER, tar.clone())], &[Digest::of(&tar)]));
    let child = |image: &Document, os: &str, architecture: &str| Descriptor {
        platform: Some(Platform::new(os, architecture, None)),
        ..image.descriptor.clone()
    };
    let manifests = vec![
        child(&images[1], "unknown", "unknown"),
        child(&images[0], "linux", "amd64"),
        child(&images[1], "linux", "arm64"),
    ];
    let bytes = serde_json::to_vec(&Index { manifests, ..Index::default() }).expect("serialises");
    let lease = store.lease().expect("a lease");
    let descriptor = store.put(&lease, media_type::IMAGE_INDEX, &bytes).expect("stored");
    publish(&store, &store.document(&descriptor).expect("reads"), &["multi"]);
    let arm: Platform = "linux/arm64".parse().expect("a platform");
    let first = overview(&store, "multi", None).expect("there");
    assert_eq!((first.digest, first.platforms), (images[0].digest(), vec!["linux/amd64".into(), "linux/arm64".into()]));
    let picked = overview(&store, "multi", Some(&arm)).expect("there");
    assert_eq!((picked.digest, picked.index), (images[1].digest(), Some(descriptor.digest)));
    assert_eq!((picked.platform.as_str(), picked.names), ("linux/arm64", vec!["multi:latest".into()]));
    assert_eq!(manifest(&store, "multi", None).expect("there").bytes, bytes);
    assert_eq!(manifest(&store, "multi", Some(&arm)).expect("there").bytes, images[1].bytes);
    let none: Platform = "linux/s390x".parse().expect("a platform");
    assert!(matches!(config(&store, "multi", Some(&none)), Err(InspectError::Store(StoreError::Platform { .. }))));
}

#[test]
fn history_gives_layers_to_the_steps_that_made_them() {
    let (_dir, store) = open();
    let document = app(&store);
    let layers = &document.manifest().expect("a manifest").layers;
    let steps = history(&store, "app", None).expect("a history");
    let told: Vec<_> = steps.iter().map(|step| (step.created_by.as_deref(), step.layer, step.size)).collect();
    assert_eq!(
        told,
        [
            (Some("ENV X=y"), None, 0),
            (Some("COPY . /"), Some(layers[0].digest), layers[0].size),
            // The second layer has no step in the configuration.
            (None, Some(layers[1].digest), layers[1].size),
        ]
    );
}

#[test]
fn layers_and_their_uncompressed_sizes() {
    let (_dir, store) = open();
    app(&store);
    let tar = layer();
    let stop = Interrupt::default();
    let measured = layers(&store, "app", None, Uncompressed::Measure, &stop).expect("layers");
    let sizes: Vec<_> = measured.iter().map(|layer| (layer.number, layer.uncompressed_size)).collect();
    assert_eq!(sizes, [(1, Some(tar.len() as u64)), (2, Some(tar.len() as u64))]);
    assert!(measured.iter().all(|layer| layer.diff_id == Some(Digest::of(&tar))));
    assert!(layers_of(&store, "app").iter().all(|layer| layer.uncompressed_size.is_none()));
    for (wanted, number) in [("1", 1), ("2", 2), (&measured[0].digest.to_string(), 1), (&measured[1].digest.short(), 2)]
    {
        assert_eq!(find_layer(&measured, wanted).expect(wanted).number, number, "{wanted}");
    }
    let by_diff_id = find_layer(&measured[..1], &Digest::of(&tar).short()).expect("the gzip layer");
    assert_eq!(by_diff_id.number, 1);
    for wanted in ["0", "3", "abc", "", "sha256:"] {
        assert!(matches!(find_layer(&measured, wanted), Err(InspectError::NoLayer { count: 2, .. })), "{wanted}");
    }
    stop.request();
    let stopped = layers(&store, "app", None, Uncompressed::Measure, &stop);
    assert!(matches!(stopped, Err(InspectError::Interrupted)));
}

#[test]
fn files_of_compressed_and_plain_layers() {
    let (_dir, store) = open();
    app(&store);
    for layer in layers_of(&store, "app") {
        let files: Vec<TarEntry> = files(&store, &layer).expect("opens").map(|file| file.expect("an entry")).collect();
        let [tool, alias] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!((tool.path.as_slice(), tool.kind, tool.size), (b"bin/tool".as_slice(), EntryKind::File, 5));
        assert_eq!((tool.mode, tool.uid, tool.gid, tool.mtime), (0o4750, 1000, 100, 315_532_801));
        assert_eq!((alias.kind, alias.link.as_deref()), (EntryKind::Symlink, Some(b"/bin/tool".as_slice())));
    }
}

/// The only error the layer's listing ends with.
fn failure(store: &ImageStore, media_type: &str, bytes: Vec<u8>) -> InspectError {
    let document = image(store, "amd64", &[(media_type, bytes)], &[]);
    publish(store, &document, &["bad"]);
    let layer = layers_of(store, "bad").remove(0);
    let mut listing = match files(store, &layer) {
        Ok(files) => files,
        Err(error) => return error,
    };
    let error = Iterator::by_ref(&mut listing).find_map(Result::err).expect("a failure");
    assert!(listing.next().is_none());
    error
}

#[test]
fn layers_that_cannot_be_listed() {
    let (_dir, store) = open();
    let tar = layer();
    let torn = gzip(&tar);
    let torn = torn[..torn.len() - 3].to_vec();
    assert!(matches!(
        failure(&store, media_type::IMAGE_LAYER_GZIP, torn),
        InspectError::Tar { source: TarError::Truncated(_), .. }
    ));
    let broken = [&gzip(&tar)[..10], &[0xff; 100]].concat();
    assert!(matches!(failure(&store, media_type::IMAGE_LAYER, broken), InspectError::Decompress { .. }));
    assert!(matches!(failure(&store, media_type::IMAGE_LAYER, gzip(&[7; 2000])), InspectError::Tar { .. }));
    let bzip2 = failure(&store, media_type::IMAGE_LAYER_GZIP, b"BZh91AY".to_vec());
    assert!(matches!(&bzip2, InspectError::Decompress { source, .. } if source.to_string().contains("bzip2")));
    assert!(matches!(failure(&store, "application/x-other", tar), InspectError::MediaType { .. }));
}

#[test]
fn layers_are_read_by_their_first_bytes() {
    let (_dir, store) = open();
    let tar = layer();
    let zstd = zstd::bulk::compress(&tar, 3).expect("in memory");
    let kinds = [media_type::IMAGE_LAYER, media_type::IMAGE_LAYER_GZIP, media_type::IMAGE_LAYER_ZSTD];
    for media_type in kinds {
        for bytes in [tar.clone(), gzip(&tar), zstd.clone()] {
            let diff_id = Digest::of(&tar);
            let document = image(&store, "amd64", &[(media_type, bytes.clone())], &[diff_id]);
            publish(&store, &document, &["odd"]);
            let layer = layers_of(&store, "odd").remove(0);
            let names: Vec<Vec<u8>> =
                files(&store, &layer).expect("opens").map(|file| file.expect("an entry").path).collect();
            assert_eq!(names, [b"bin/tool".to_vec(), b"bin/alias".to_vec()], "{media_type}");
            let stop = Interrupt::default();
            let measured = layers(&store, "odd", None, Uncompressed::Measure, &stop).expect("measured");
            assert_eq!(measured[0].uncompressed_size, Some(tar.len() as u64));
            // Whatever it is called, it has to be the layer that the configuration means.
            let other = image(&store, "amd64", &[(media_type, bytes)], &[Digest::of(b"other")]);
            publish(&store, &other, &["other"]);
            let layer = layers_of(&store, "other").remove(0);
            let error = files(&store, &layer).expect("opens").find_map(Result::err).expect("found out");
            assert!(matches!(error, InspectError::Differs { found, .. } if found == diff_id), "{error:?}");
            let error = layers(&store, "other", None, Uncompressed::Measure, &stop).expect_err("found out");
            assert!(matches!(error, InspectError::Differs { .. }), "{error:?}");
        }
    }
}

#[test]
fn a_damaged_layer_is_found_at_its_end() {
    let (_dir, store) = open();
    app(&store);
    let layer = layers_of(&store, "app").remove(1);
    let path = store.blob_path(layer.digest);
    let mut bytes = std::fs::read(&path).expect("read");
    // Behind the content of the first file.
    bytes[1023] = 1;
    std::fs::write(&path, bytes).expect("damaged");
    let results: Vec<_> = files(&store, &layer).expect("opens").collect();
    assert_eq!(results.len(), 3);
    assert!(matches!(results[2], Err(InspectError::Store(StoreError::BlobDigest { .. }))), "{results:?}");
}

/// A layer with these files, and for names that end in `@TARGET` links.
fn files_layer(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(1);
        if let Some((path, target)) = path.split_once('@') {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_cksum();
            builder.append_link(&mut header, path, target).expect("written");
        } else {
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, path, content.as_bytes()).expect("written");
        }
    }
    builder.into_inner().expect("finished")
}

#[test]
fn images_are_compared_as_they_would_be_unpacked() {
    let (_dir, store) = open();
    let tar = |entries: &[(&str, &str)]| (media_type::IMAGE_LAYER, files_layer(entries));
    let base = tar(&[("etc/a", "1"), ("etc/b", "2"), ("old/x", "3"), ("opaque/y", "4"), ("link@etc/a", "")]);
    let first = image(&store, "amd64", std::slice::from_ref(&base), &[Digest::of(&base.1)]);
    publish(&store, &first, &["first"]);
    // In two layers, of which the upper one hides what the lower one had.
    let upper =
        tar(&[("etc/a", "22"), ("old/.wh.x", ""), ("opaque/.wh..wh..opq", ""), ("opaque/z", "5"), ("link@etc/b", "")]);
    let second = image(&store, "amd64", &[base.clone(), upper.clone()], &[Digest::of(&base.1), Digest::of(&upper.1)]);
    publish(&store, &second, &["second"]);
    let compare = |one: &str, other: &str| diff(&store, one, other, None, &Interrupt::default()).expect("compared");
    assert_eq!(compare("first", "first"), []);
    let told: Vec<String> = compare("first", "second")
        .iter()
        .map(|found| {
            let aspects: Vec<&str> = found.aspects.iter().map(|aspect| aspect.name).collect();
            format!("{:?} {} {}", found.change, found.place, aspects.join(","))
        })
        .collect();
    assert_eq!(
        told,
        ["Changed etc/a size,content", "Changed link target", "Removed old/x ", "Removed opaque/y ", "Added opaque/z ",]
    );
}

#[test]
fn the_same_tree_in_other_layers_is_no_difference() {
    let (_dir, store) = open();
    let tar = |entries: &[(&str, &str)]| (media_type::IMAGE_LAYER, files_layer(entries));
    let (a, b, both) = (tar(&[("a", "1")]), tar(&[("b", "2")]), tar(&[("a", "1"), ("b", "2")]));
    let two = image(&store, "amd64", &[a.clone(), b.clone()], &[Digest::of(&a.1), Digest::of(&b.1)]);
    publish(&store, &two, &["two"]);
    let one = image(&store, "amd64", std::slice::from_ref(&both), &[Digest::of(&both.1)]);
    publish(&store, &one, &["one"]);
    assert_eq!(diff(&store, "two", "one", None, &Interrupt::default()).expect("compared"), []);
}

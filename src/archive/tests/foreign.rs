//! Archives as other programs write them.

use super::*;

/// A symbolic link's header.
fn link(path: &str, target: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_path(path).expect("short");
    header.set_link_name_literal(target).expect("short");
    header.set_size(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn end() -> Vec<u8> {
    vec![0; 10240]
}

#[test]
fn docker_before_version_25() {
    let tar = layer_of("content");
    let config = config_of("amd64", vec![Digest::of(&tar), Digest::of(&tar)]);
    let hex = Digest::of(&config).hex();
    let manifest =
        format!(r#"[{{"Config":"{hex}.json","RepoTags":["app:v1"],"Layers":["a/layer.tar","b/layer.tar"]}}]"#);
    let archive = [
        tar_of(&[("a/VERSION", b"1.0"), ("a/json", b"{}"), ("a/layer.tar", &tar), ("b/VERSION", b"1.0")]),
        link("b/layer.tar", "../a/layer.tar"),
        tar_of(&[
            (&format!("{hex}.json"), &config),
            ("manifest.json", manifest.as_bytes()),
            ("repositories", br#"{"app":{"v1":"b"}}"#),
        ]),
        end(),
    ]
    .concat();
    let (_dir, store) = open();
    let images = loaded(&store, &archive).expect("loads");
    assert_eq!(images[0].0.as_deref(), Some("app:v1"));
    let image = store.image("app", &store.resolve("app:v1").expect("there").descriptor, None).expect("reads");
    assert_eq!(image.config_bytes, config);
    assert_eq!(image.manifest.config.media_type, media_type::IMAGE_CONFIG);
    let layer = Descriptor::of(media_type::IMAGE_LAYER, &tar);
    assert_eq!(image.manifest.layers, [layer.clone(), layer]);
    // Neither `repositories` nor the old `json` files became blobs.
    let blobs = std::fs::read_dir(store.root().join("blobs/sha256")).expect("listed").count();
    assert_eq!(blobs, 3);
}

#[test]
fn crane_with_compressed_layers_and_the_manifest_first() {
    let (tar, other) = (layer_of("content"), layer_of("other"));
    let config = config_of("amd64", vec![Digest::of(&tar), Digest::of(&other)]);
    let name = Digest::of(&config).to_string();
    let manifest =
        format!(r#"[{{"Config":"{name}","RepoTags":["reg.example/app:v1"],"Layers":["x.tar.gz","y.tar.gz"]}}]"#);
    // A layer of two gzip members is one stream.
    let (first, second) = other.split_at(100);
    let members = [gzip(first), gzip(second)].concat();
    let archive = [
        tar_of(&[("manifest.json", manifest.as_bytes()), (&name, &config)]),
        tar_of(&[("x.tar.gz", &gzip(&tar)), ("y.tar.gz", &members)]),
        end(),
    ]
    .concat();
    let (_dir, store) = open();
    loaded(&store, &archive).expect("loads");
    let selection = store.resolve("reg.example/app:v1").expect("there");
    let image = store.image("app", &selection.descriptor, None).expect("reads");
    assert_eq!(image.manifest.layers[1], Descriptor::of(media_type::IMAGE_LAYER_GZIP, &members));
}

/// An OCI archive together with Docker's manifest.json, as engines since version 25 write it.
fn hybrid(store: &ImageStore, name: &str, config: Digest, layers: &[Descriptor], without: &[Digest]) -> Vec<u8> {
    let mut files = entries(&saved(store, &[name], ArchiveFormat::Oci, None));
    files.retain(|(path, _)| !path.ends_with('/') && !without.iter().any(|digest| path.ends_with(&digest.hex())));
    let manifest = serde_json::json!([{
        "Config": blob_path(config),
        "RepoTags": ["app:v1"],
        "Layers": layers.iter().map(|layer| blob_path(layer.digest)).collect::<Vec<_>>(),
        "LayerSources": {},
    }]);
    files.push(("manifest.json".into(), manifest.to_string().into_bytes()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    [tar_of(&files), end()].concat()
}

#[test]
fn docker_since_version_25_keeps_its_manifest() {
    let (_dir, store) = open();
    let plain = image(&store, &["one"], &["plain"]);
    let manifest = plain.manifest().expect("a manifest");
    // Annotations exist in the layout only: the digest shows that its manifest was taken.
    let annotated = Document::from_manifest(Manifest {
        annotations: Some(BTreeMap::from([("a".into(), "b".into())])),
        ..manifest.clone()
    });
    let lease = store.lease().expect("a lease");
    store.put(&lease, media_type::IMAGE_MANIFEST, &annotated.bytes).expect("stored");
    publish(&store, &annotated, &["annotated"]);
    let archive = hybrid(&store, "annotated", manifest.config.digest, &manifest.layers, &[]);
    let (_other_dir, other) = open();
    assert_eq!(loaded(&other, &archive).expect("loads"), [(Some("app:v1".into()), annotated.digest())]);
}

#[test]
fn docker_saves_one_platform_of_an_index() {
    let (_dir, store) = open();
    let (index, [amd64, arm64]) = multi(&store, &["multi"]);
    let manifest = amd64.manifest().expect("a manifest");
    let whole = hybrid(&store, "multi", manifest.config.digest, &manifest.layers, &[]);
    let (_whole_dir, other) = open();
    assert_eq!(loaded(&other, &whole).expect("loads"), [(Some("app:v1".into()), index.digest())]);
    let absent: Vec<Digest> = arm64.manifest().expect("a manifest").blobs().map(|blob| blob.digest).collect();
    let partial = hybrid(&store, "multi", manifest.config.digest, &manifest.layers, &absent);
    let (_partial_dir, other) = open();
    assert_eq!(loaded(&other, &partial).expect("loads"), [(Some("app:v1".into()), amd64.digest())]);
}

#[test]
fn an_image_that_is_listed_many_times_is_kept_once() {
    let (_dir, store) = open();
    let document = image(&store, &["one"], &["app"]);
    let manifest = document.manifest().expect("a manifest");
    let mut files = entries(&saved(&store, &["app"], ArchiveFormat::Oci, None));
    files.retain(|(path, _)| !path.ends_with('/'));
    let listed = |tag: usize| {
        serde_json::json!({
            "Config": blob_path(manifest.config.digest),
            "RepoTags": [format!("app:v{tag}")],
            "Layers": manifest.layers.iter().map(|layer| blob_path(layer.digest)).collect::<Vec<_>>(),
        })
    };
    let docker: Vec<_> = (0..100).map(listed).collect();
    files.push(("manifest.json".into(), serde_json::to_vec(&docker).expect("serialises")));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let archive = [tar_of(&files), end()].concat();
    let (_other_dir, other) = open();
    let lease = other.lease().expect("a lease");
    let found = unpack(&other, &lease, &archive[..], &Silent, &Interrupt::default()).expect("an archive");
    assert_eq!((found.len(), found[0].names.len(), found[0].document.digest()), (1, 100, document.digest()));
}

#[test]
fn an_archive_that_is_two_images_under_one_name_is_refused() {
    let (_dir, store) = open();
    let (good, evil) = (image(&store, &["one"], &["good"]), image(&store, &["two"], &["evil"]));
    let archive = |name: &str, image: &Document| {
        let manifest = image.manifest().expect("a manifest");
        let mut files = entries(&saved(&store, &["good"], ArchiveFormat::Oci, None));
        files.extend(entries(&saved(&store, &["evil"], ArchiveFormat::Oci, None)));
        files.retain(|(path, _)| path.starts_with("blobs/sha256/") && !path.ends_with('/'));
        files.sort();
        files.dedup();
        let annotations = Some(BTreeMap::from([("io.containerd.image.name".to_owned(), name.to_owned())]));
        let index =
            Index { manifests: vec![Descriptor { annotations, ..good.descriptor.clone() }], ..Index::default() };
        let docker = serde_json::json!([{
            "Config": blob_path(manifest.config.digest),
            "RepoTags": ["app:v1"],
            "Layers": manifest.layers.iter().map(|layer| blob_path(layer.digest)).collect::<Vec<_>>(),
        }]);
        files.push(("index.json".into(), serde_json::to_vec(&index).expect("serialises")));
        files.push(("manifest.json".into(), docker.to_string().into_bytes()));
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
        [tar_of(&files), end()].concat()
    };
    // `manifest.json` names the image `app:v1`.
    for (name, image, fits) in [
        ("docker.io/library/app:v1", &good, true),
        ("docker.io/library/app:v1", &evil, false),
        ("docker.io/app:v1", &evil, false),
        ("docker.io/library/app:v2", &evil, true),
        ("reg.example/app:v1", &evil, true),
    ] {
        let (_other_dir, other) = open();
        match loaded(&other, &archive(name, image)) {
            Ok(_) => assert!(fits, "{name}"),
            Err(ArchiveError::NameDiffers(refused)) => {
                assert_eq!((refused.as_str(), fits), ("app:v1", false), "{name}");
            }
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
}

#[test]
fn buildx_names_images_in_containerds_annotation() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app"]);
    let mut files = entries(&saved(&store, &["app"], ArchiveFormat::Oci, None));
    files.retain(|(path, _)| !path.ends_with('/'));
    for (path, content) in &mut files {
        if path == "index.json" {
            let mut index: Index = serde_json::from_slice(content).expect("an index");
            index.manifests[0].annotations = Some(BTreeMap::from([
                ("io.containerd.image.name".into(), "docker.io/library/app:v1".into()),
                (annotation::REF_NAME.into(), "v1".into()),
            ]));
            *content = serde_json::to_vec(&index).expect("serialises");
        }
        path.insert_str(0, "./");
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let (_other_dir, other) = open();
    let images = loaded(&other, &[tar_of(&files), end()].concat()).expect("loads");
    assert_eq!(images, [(Some("docker.io/library/app:v1".into()), one.digest())]);
}

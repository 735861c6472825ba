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
    let found = unpack(&other, &lease, &archive[..], &Silent, &Interrupt::default()).expect("an archive").images;
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

/// An entry of another type than a file, with any target.
fn special(path: &str, kind: tar::EntryType, target: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path(path).expect("short");
    header.set_link_name_literal(target).expect("short");
    header.set_size(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Two images that share a layer, as older engines and other tools write them: the layer, and whatever is in `between`.
fn sharing(between: &[u8]) -> Vec<u8> {
    let tar = layer_of("shared");
    let configs = ["amd64", "arm64"].map(|architecture| config_of(architecture, vec![Digest::of(&tar)]));
    let manifest = br#"[{"Config":"a.json","RepoTags":["a:1"],"Layers":["x/layer.tar"]},
        {"Config":"b.json","RepoTags":["b:1"],"Layers":["x/layer.tar"]}]"#;
    let files = tar_of(&[("a.json", &configs[0]), ("x/layer.tar", &tar)]);
    [files, between.to_vec(), tar_of(&[("b.json", &configs[1]), ("manifest.json", manifest)]), end()].concat()
}

#[test]
fn the_same_entry_twice_is_one_entry() {
    let tar = layer_of("shared");
    let link = |path: &str, target: &str| special(path, tar::EntryType::Symlink, target);
    let hard = |path: &str, target: &str| special(path, tar::EntryType::Link, target);
    let config = config_of("amd64", vec![Digest::of(&tar)]);
    let directory = special("x/", tar::EntryType::Directory, "");
    for (note, between, fits) in [
        ("nothing", Vec::new(), true),
        ("the layer again", tar_of(&[("./x//layer.tar", &tar)]), true),
        ("a configuration again", tar_of(&[("a.json", &config)]), true),
        ("its directory twice", [directory.clone(), directory].concat(), true),
        ("another layer", tar_of(&[("x/layer.tar", &layer_of("other"))]), false),
        ("a layer that is longer", tar_of(&[("x/layer.tar", &[&tar[..], &[0; 512]].concat())]), false),
        ("a link in its place", link("x/layer.tar", "../a.json"), false),
        ("one link twice", [link("l", "a.json"), link("l", "./a.json")].concat(), true),
        ("two links", [link("l", "a.json"), link("l", "b.json")].concat(), false),
        ("a file in a link's place", [link("l", "a.json"), tar_of(&[("l", b"x")])].concat(), false),
        ("a hard link to itself", hard("x/layer.tar", "x/layer.tar"), true),
        ("a hard link to the same", [tar_of(&[("y", &tar)]), hard("x/layer.tar", "y")].concat(), true),
        ("a hard link to another", hard("x/layer.tar", "a.json"), false),
        ("one document twice", tar_of(&[("oci-layout", &br#"{"imageLayoutVersion":"1.0.0"}"#[..]); 2]), true),
    ] {
        let (_dir, store) = open();
        match loaded(&store, &sharing(&between)) {
            Ok(images) => {
                assert!(fits, "{note}");
                assert_eq!(images.len(), 2, "{note}");
            }
            Err(ArchiveError::Duplicate(_)) => assert!(!fits, "{note}"),
            Err(error) => panic!("{note}: {error:?}"),
        }
    }
}

#[test]
fn hard_links_are_the_files_they_lead_to() {
    let tar = layer_of("x");
    let config = config_of("amd64", vec![Digest::of(&tar)]);
    let blob = blob_path(Digest::of(&tar));
    let manifest = format!(
        r#"[{{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}},{{"Config":"c.json","Layers":["{blob}"]}}]"#
    );
    let hard = |path: &str, target: &str| special(path, tar::EntryType::Link, target);
    let files = tar_of(&[("d/config", &config), ("d/layer", &tar), ("d/manifest", manifest.as_bytes())]);
    let archive = |links: &[(&str, &str)]| {
        let links: Vec<u8> = links.iter().flat_map(|(path, target)| hard(path, target)).collect();
        [files.clone(), links, end()].concat()
    };
    let (_dir, store) = open();
    let links = [("c.json", "./d/config"), ("l.tar", "/d/layer"), (&*blob, "l.tar"), ("manifest.json", "d/manifest")];
    let images = loaded(&store, &archive(&links)).expect("loads");
    assert_eq!(images[0].0.as_deref(), Some("a:1"));
    // The name of a blob is a promise, by whatever link.
    let other = blob_path(Digest::of(b"other"));
    for (path, target, refused) in [
        (&*other, "d/layer", "damaged"),
        ("c.json", "nowhere", "not in front of it"),
        ("c.json", "../d/config", "unsafe path"),
        ("c.json", "", "not in front of it"),
        ("manifest.json", "d/layer", "not valid"),
    ] {
        let (_dir, store) = open();
        let error = loaded(&store, &archive(&[(path, target)])).expect_err(path).to_string();
        assert!(error.contains(refused), "{path} {target}: {error}");
    }
}

#[test]
fn holes_in_files_are_zeros() {
    // GNU tar's old format: a map in the header, of one piece of 512 bytes and one at the end, without content.
    let sparse = |path: &str, content: &[u8], size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).expect("short");
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_size(512);
        let octal = |field: &mut [u8], number: u64| field.copy_from_slice(format!("{number:011o}\0").as_bytes());
        let gnu = header.as_gnu_mut().expect("of GNU");
        octal(&mut gnu.sparse[0].offset, size - 512);
        octal(&mut gnu.sparse[0].numbytes, 512);
        octal(&mut gnu.sparse[1].offset, size);
        octal(&mut gnu.sparse[1].numbytes, 0);
        octal(&mut gnu.realsize, size);
        header.set_cksum();
        [header.as_bytes(), content].concat()
    };
    let mut tar = vec![0; 1 << 20];
    let layer = layer_of("x");
    tar[..layer.len()].copy_from_slice(&layer);
    let archive = |holes: Vec<u8>, layer: &[u8]| {
        let config = config_of("amd64", vec![Digest::of(layer)]);
        let manifest = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]"#;
        [holes, tar_of(&[("c.json", &config), ("manifest.json", manifest.as_bytes())]), end()].concat()
    };
    let mut holed = vec![0; 1 << 20];
    holed[(1 << 20) - 512..].copy_from_slice(&[7; 512]);
    let (_dir, store) = open();
    let images = loaded(&store, &archive(sparse("l.tar", &[7; 512], 1 << 20), &holed)).expect("loads");
    let document = store.document(&store.resolve("a:1").expect("there").descriptor).expect("a manifest");
    assert_eq!((images.len(), document.manifest().expect("a manifest").layers[0].size), (1, 1 << 20));
    // Holes cost nothing in an archive, so they are bounded by themselves.
    let (_dir, store) = open();
    let error = loaded(&store, &archive(sparse("l.tar", &[7; 512], (4 << 30) + 1024), &holed)).expect_err("too much");
    assert!(matches!(error, ArchiveError::TooLarge { limit: 0x1_0000_0000, .. }), "{error:?}");
}

#[test]
fn a_layout_in_a_directory_is_read_like_its_archive() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app:v1"]);
    multi(&store, &["multi"]);
    let load_from = |root: &std::path::Path| {
        let (dir, other) = open();
        let stream = LayoutStream::open(root).expect("a directory");
        let outcome = load(&other, stream, "now", None, &Silent, &Interrupt::default());
        outcome.map(|outcome| (dir, other, outcome.images))
    };
    let (_other_dir, other, images) = load_from(store.root()).expect("loads");
    assert_eq!((images.len(), images[0].1), (2, one.digest()));
    for entry in other.entries().expect("entries") {
        other.tree(&entry.descriptor).expect("whole");
    }
    // What is no blob by its name is not read, and a link is not followed.
    std::fs::write(store.root().join("blobs/sha256/other"), "x").expect("written");
    load_from(store.root()).expect("loads");
    let layer = store.blob_path(one.manifest().expect("a manifest").layers[0].digest);
    let aside = store.root().join("aside");
    std::fs::rename(&layer, &aside).expect("moved");
    std::os::unix::fs::symlink(&aside, &layer).expect("linked");
    let Err(error) = load_from(store.root()) else { panic!("a link was followed") };
    assert!(matches!(error, ArchiveError::Tar(_)), "{error:?}");
    let empty = tempfile::tempdir().expect("a directory");
    let Err(error) = load_from(empty.path()) else { panic!("nothing is an image") };
    assert!(matches!(error, ArchiveError::NotAnImageArchive), "{error:?}");
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

//! Archives that have some images of an index, and names that the store cannot give.

use super::*;

/// An OCI archive of `name` without some blobs.
fn without(store: &ImageStore, name: &str, absent: &[Digest]) -> Vec<u8> {
    let mut files = entries(&saved(store, &[name], ArchiveFormat::Oci, None));
    files.retain(|(path, _)| !path.ends_with('/') && !absent.iter().any(|digest| path.ends_with(&digest.hex())));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    [tar_of(&files), vec![0; 1024]].concat()
}

/// The layer of an image.
fn layer(image: &Document) -> Digest {
    image.manifest().expect("a manifest").layers[0].digest
}

fn outcome(
    archive: &[u8],
    platform: Option<&str>,
) -> Result<(tempfile::TempDir, ImageStore, LoadOutcome), ArchiveError> {
    let (dir, store) = open();
    let platform = platform.map(|text| text.parse::<Platform>().expect(text));
    let outcome = load(&store, archive, "now", platform.as_ref(), &Silent, &Interrupt::default())?;
    for entry in store.entries().expect("entries") {
        store.tree(&entry.descriptor).expect("whole");
    }
    Ok((dir, store, outcome))
}

/// An index of images for three platforms; the last one attests to the first.
fn three(store: &ImageStore) -> (Vec<Document>, Document) {
    let images: Vec<Document> =
        ["amd64", "arm64", "riscv64"].iter().map(|architecture| stored(store, architecture, &[architecture])).collect();
    let mut manifests: Vec<Descriptor> = ["amd64", "arm64", "riscv64"]
        .iter()
        .zip(&images)
        .map(|(architecture, image)| Descriptor {
            platform: Some(Platform::new("linux", architecture, None)),
            ..image.descriptor.clone()
        })
        .collect();
    let proof = stored(store, "unknown", &["proof"]);
    manifests.push(Descriptor {
        platform: Some(Platform::new("unknown", "unknown", None)),
        annotations: Some(BTreeMap::from([
            ("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned()),
            ("vnd.docker.reference.digest".to_owned(), images[0].digest().to_string()),
        ])),
        ..proof.descriptor.clone()
    });
    let document = Document::from_index(Index { manifests, ..Index::default() });
    let lease = store.lease().expect("a lease");
    store.put(&lease, media_type::IMAGE_INDEX, &document.bytes).expect("stored");
    publish(store, &document, &["three"]);
    (images, document)
}

#[test]
fn what_is_whole_is_kept_and_the_rest_is_told() {
    let (_dir, store) = open();
    let (images, index) = three(&store);
    let [amd64, arm64, riscv64] = [&images[0], &images[1], &images[2]];
    let texts = |platforms: &[&str]| platforms.iter().map(|text| format!("linux/{text}")).collect::<Vec<String>>();
    // Absent: layers of images, or the manifest itself.
    for (absent, kept, lacks) in [
        (vec![], &["amd64", "arm64", "riscv64"][..], &[][..]),
        (vec![layer(amd64)], &["arm64", "riscv64"], &["amd64"]),
        (vec![arm64.digest()], &["amd64", "riscv64"], &["arm64"]),
        (vec![layer(amd64), riscv64.digest()], &["arm64"], &["amd64", "riscv64"]),
        (vec![layer(arm64), layer(riscv64)], &["amd64"], &["arm64", "riscv64"]),
    ] {
        let archive = without(&store, "three", &absent);
        let (_dir, other, outcome) = outcome(&archive, None).expect("loads");
        let digest = outcome.images[0].1;
        assert_eq!(outcome.images, [(Some(name("three")), digest)]);
        if lacks.is_empty() {
            assert_eq!((digest, &outcome.notes[..]), (index.digest(), &[][..]));
        } else {
            let index = "three:latest".to_owned();
            assert_eq!(outcome.notes, [LoadNote::Partial { index, kept: texts(kept), absent: texts(lacks) }]);
        }
        let document = other.document(&other.resolve("three").expect("there").descriptor).expect("reads");
        match (&document.content, kept) {
            (crate::image::Content::Manifest(_), [only]) => {
                let image = other.image("three", &document.descriptor, None).expect("an image");
                assert_eq!(image.config.architecture, **only);
            }
            (crate::image::Content::Index(index), kept) => {
                let attested = usize::from(kept.contains(&"amd64"));
                assert_eq!(index.manifests.len(), kept.len() + attested, "{kept:?}");
            }
            (content, _) => panic!("{content:?}"),
        }
    }
    let nothing: Vec<Digest> = images.iter().map(layer).collect();
    assert!(matches!(outcome(&without(&store, "three", &nothing), None), Err(ArchiveError::Missing(_))));
}

#[test]
fn one_platform_can_be_asked_for() {
    let (_dir, store) = open();
    let (images, _) = three(&store);
    for (absent, platform, expected) in [
        (vec![], "linux/arm64", Some(1)),
        (vec![layer(&images[0])], "linux/arm64/v8", Some(1)),
        (vec![layer(&images[0]), layer(&images[2])], "linux/arm64", Some(1)),
        (vec![layer(&images[1])], "linux/amd64/v3", Some(0)),
        (vec![layer(&images[1])], "linux/arm64", None),
        (vec![], "linux/s390x", None),
    ] {
        match outcome(&without(&store, "three", &absent), Some(platform)) {
            Ok((_dir, _, outcome)) => {
                let expected = expected.expect(platform);
                assert_eq!(outcome.images, [(Some(name("three")), images[expected].digest())], "{platform}");
            }
            Err(ArchiveError::Store(crate::store::StoreError::Platform { available, .. })) => {
                assert_eq!((expected, available.is_empty()), (None, false), "{platform}");
            }
            Err(error) => panic!("{platform}: {error:?}"),
        }
    }
}

#[test]
fn images_that_are_not_there_do_not_hide_the_others() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["one"]);
    let two = image(&store, &["two"], &["two"]);
    let mut files = entries(&saved(&store, &["one", "two"], ArchiveFormat::Oci, None));
    files.retain(|(path, _)| !path.ends_with('/') && !path.ends_with(&layer(&two).hex()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let (_dir, _, outcome) = outcome(&[tar_of(&files), vec![0; 1024]].concat(), None).expect("loads");
    assert_eq!(outcome.images, [(Some(name("one")), one.digest())]);
    assert_eq!(outcome.notes, [LoadNote::Absent { image: "two:latest".into() }]);
}

#[test]
fn names_that_cannot_be_given_are_told_and_the_images_kept() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app"]);
    let digest = one.digest();
    let hex = digest.hex();
    for (given, usable) in [
        ("app:v2", true),
        ("v1.0+build5", false),
        ("", false),
        ("App", false),
        ("sha256:abc", false),
        (&*digest.to_string(), false),
        (&*hex, false),
    ] {
        let mut files = entries(&saved(&store, &["app"], ArchiveFormat::Oci, None));
        files.retain(|(path, _)| !path.ends_with('/'));
        for (_, content) in files.iter_mut().filter(|(path, _)| path == "index.json") {
            let mut index: Index = serde_json::from_slice(content).expect("an index");
            index.manifests[0].annotations = Some(BTreeMap::from([(annotation::REF_NAME.into(), given.into())]));
            *content = serde_json::to_vec(&index).expect("serialises");
        }
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
        let (_dir, _, outcome) = outcome(&[tar_of(&files), vec![0; 1024]].concat(), None).expect(given);
        assert_eq!(outcome.images, [(usable.then(|| name(given)), digest)], "{given:?}");
        let note = LoadNote::Unusable { name: given.into(), digest };
        assert_eq!(outcome.notes, if usable { vec![] } else { vec![note] }, "{given:?}");
    }
}

#[test]
fn names_that_an_archive_cannot_keep_are_told() {
    let (_dir, store) = open();
    let one = image(&store, &["one"], &["app:v1"]);
    let (pinned, bare) = (format!("app:v2@{}", one.digest()), format!("app@{}", one.digest()));
    let lease = store.lease().expect("a lease");
    let both = [&pinned, &bare].map(|text| text.parse::<Reference>().expect("a reference"));
    store.publish(&lease, &one, &both, None).expect("published");
    for (format, unnamed) in [(ArchiveFormat::Docker, vec![bare.clone()]), (ArchiveFormat::Oci, vec![])] {
        let names = ["app:v1".to_owned(), pinned.clone(), bare.clone()];
        let mut archive = Vec::new();
        let stop = Interrupt::default();
        let outcome = save(&store, &names, format, None, &mut archive, &Silent, &stop).expect("saved");
        assert_eq!(outcome.unnamed, unnamed, "{format:?}");
        let (_other_dir, other) = open();
        let images = loaded(&other, &archive).expect("loads");
        assert_eq!(images.len(), names.len() - unnamed.len(), "{images:?}");
    }
}

use super::*;
use crate::image::{Manifest, media_type};

fn store() -> (tempfile::TempDir, ImageStore) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&directory.path().join("images")).expect("a store");
    (directory, store)
}

/// An image for a platform, in the store under no name.
fn image(store: &ImageStore, config: &str, platform: &str) -> Descriptor {
    let lease = store.lease().expect("a lease");
    let config = store.put(&lease, media_type::IMAGE_CONFIG, config.as_bytes()).expect("stored");
    let document = Document::from_manifest(Manifest::new(config, Vec::new(), BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    let platform = platform
        .split_once('/')
        .map(|(os, architecture)| Platform { os: os.into(), ..Platform::new(os, architecture, None) });
    Descriptor { platform, ..document.descriptor }
}

fn name(text: &str) -> Reference {
    text.parse().expect("a reference")
}

fn publish_index(store: &ImageStore, text: &str, manifests: Vec<Descriptor>) {
    let lease = store.lease().expect("a lease");
    let document = Document::from_index(Index { manifests, ..Index::default() });
    store.put(&lease, media_type::IMAGE_INDEX, &document.bytes).expect("stored");
    store.publish(&lease, &document, &[name(text)], None).expect("published");
}

#[test]
fn what_attests_to_an_image_goes_with_it() {
    let (_directory, store) = store();
    let amd = image(&store, r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}"#, "linux/amd64");
    let arm = image(&store, r#"{"architecture":"arm64","os":"linux","rootfs":{"type":"layers"}}"#, "linux/arm64");
    let mut proof = image(&store, "{}", "unknown/unknown");
    proof.annotations = Some([(ATTESTS_TO.to_owned(), arm.digest.to_string())].into());
    // Each image has its own, and all of these are for no platform.
    let mut other = image(&store, r#"{"x":1}"#, "unknown/unknown");
    other.annotations = Some([(ATTESTS_TO.to_owned(), amd.digest.to_string())].into());
    publish_index(&store, "a:1", vec![amd.clone(), arm.clone(), proof.clone(), other.clone()]);
    let outcome = create(&store, &name("b:1"), &["a:1".into()], "now").expect("made");
    assert_eq!(outcome.added, [amd.clone(), arm, proof, other.clone()]);
    let outcome = add(&store, &name("b:1"), &["a:1".into()], "now").expect("all there");
    assert_eq!((outcome.added.len(), outcome.removed.len()), (0, 0));
    let outcome = remove(&store, &name("b:1"), &["linux/arm64".into()], "now").expect("removed");
    let Content::Index(index) = outcome.document.content else { panic!("an index") };
    assert_eq!(index.manifests, [amd, other]);
}

#[test]
fn a_variant_that_goes_without_saying_is_the_same_platform() {
    let (_directory, store) = store();
    let plain = r#"{"architecture":"arm64","os":"linux","rootfs":{"type":"layers"}}"#;
    let said = r#"{"architecture":"arm64","variant":"v8","os":"linux","rootfs":{"type":"layers"}}"#;
    let (one, two) = (image(&store, plain, "linux/arm64").digest, image(&store, said, "linux/arm64").digest);
    for digest in [one, two] {
        let lease = store.lease().expect("a lease");
        let size = store.blob_size(digest).expect("asked").expect("stored");
        let document = store.document(&Descriptor::new("", digest, size)).expect("a manifest");
        store.publish(&lease, &document, &[], None).expect("kept");
    }
    let both = [one.to_string(), two.to_string()];
    let error = create(&store, &name("a:1"), &both, "now").expect_err("twice");
    assert!(matches!(error, IndexError::PlatformTwice { .. }), "{error:?}");
    create(&store, &name("a:1"), &both[..1], "now").expect("made");
    let outcome = add(&store, &name("a:1"), &both[1..], "now").expect("replaced");
    assert_eq!((outcome.added.len(), outcome.removed.len()), (1, 1));
    assert!(matches!(remove(&store, &name("a:1"), &both[1..], "now"), Err(IndexError::Empty(_))));
}
#[test]
fn a_platform_means_its_own_entry_alone() {
    let entry = |text: &str| {
        let mut entry = Descriptor::of(media_type::IMAGE_MANIFEST, text.as_bytes());
        entry.platform = (text != "none").then(|| text.parse().expect(text));
        entry
    };
    let has = [
        "linux/amd64/v3",
        "linux/amd64",
        "linux/arm/v7",
        "linux/arm/v6",
        "none",
        "windows(10.0.17763)/amd64",
        "windows(10.0.20348)/amd64",
        "windows(10.0.20348)/arm64",
        "linux/386",
    ];
    let entries = has.map(entry);
    for (wanted, found) in [
        ("linux/amd64", &["linux/amd64"][..]),
        ("linux/amd64/v1", &["linux/amd64"]),
        ("linux/x86_64/v3", &["linux/amd64/v3"]),
        ("amd64", &["linux/amd64"]),
        ("linux/amd64/v2", &[]),
        ("linux/arm", &["linux/arm/v7"]),
        ("linux/arm/v6", &["linux/arm/v6"]),
        ("linux/arm/v5", &[]),
        ("linux/arm64", &[]),
        ("windows(10.0.17763)/amd64", &["windows(10.0.17763)/amd64"]),
        ("windows(10.0.17763.1)/amd64", &[]),
        ("windows/arm64", &["windows(10.0.20348)/arm64"]),
        ("nonsense", &[]),
    ] {
        let places = fitting(&entries, wanted).expect(wanted);
        assert_eq!(places.into_iter().map(|place| has[place]).collect::<Vec<_>>(), found, "{wanted}");
    }
    let several = fitting(&entries, "windows/amd64").expect_err("two");
    assert_eq!(several, ["windows(10.0.17763)/amd64", "windows(10.0.20348)/amd64"]);
    assert_eq!(fitting(&entries, &entries[4].digest.to_string()), Ok(vec![4]));
}

#[test]
fn images_of_an_index_that_says_no_platforms_are_read() {
    let (_directory, store) = store();
    let configs = ["amd64", "arm64"].map(|architecture| {
        format!(r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"type":"layers"}}}}"#)
    });
    let bare = [image(&store, &configs[0], ""), image(&store, &configs[1], "")];
    publish_index(&store, "inner:1", bare.to_vec());
    let inner = store.resolve("inner:1").expect("there").descriptor;
    publish_index(&store, "outer:1", vec![Descriptor { annotations: None, ..inner }]);
    for name_of in ["inner:1", "outer:1"] {
        let outcome = create(&store, &name("new:1"), &[name_of.to_owned()], "now").expect("made");
        let platforms: Vec<String> =
            outcome.added.iter().map(|entry| entry.platform.as_ref().expect("said").to_string()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"], "{name_of}");
    }
    let outcome = remove(&store, &name("inner:1"), &["linux/arm64".into()], "now").expect("removed");
    let Content::Index(index) = outcome.document.content else { panic!("an index") };
    assert_eq!(index.manifests, bare[..1]);
    let error = remove(&store, &name("outer:1"), &["linux/arm64".into()], "now").expect_err("an index in it");
    assert!(error.to_string().contains("sha256:"), "{error}");
    let twice = add(&store, &name("inner:1"), &["inner:1".to_owned()], "now").expect("nothing new");
    assert_eq!((twice.added.len(), twice.removed.len()), (0, 0));
}

#[test]
fn entries_are_counted_before_they_are_compared() {
    let (_directory, store) = store();
    let one = image(&store, r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}"#, "linux/amd64");
    let entry = |number: usize| Descriptor {
        platform: Some(Platform::new("linux", &format!("a{number}"), None)),
        ..one.clone()
    };
    publish_index(&store, "most:1", (0..MAX_IMAGES).map(entry).collect());
    publish_index(&store, "more:1", (0..=MAX_IMAGES).map(entry).collect());
    create(&store, &name("a:1"), &["most:1".into()], "now").expect("made");
    let refused = |outcome: Result<IndexOutcome, IndexError>| matches!(outcome, Err(IndexError::TooMany));
    assert!(refused(create(&store, &name("a:1"), &["more:1".into()], "now")));
    assert!(refused(add(&store, &name("a:1"), &["more:1".into()], "now")));
    assert!(refused(add(&store, &name("more:1"), &["a:1".into()], "now")));
    let without = remove(&store, &name("more:1"), &["linux/a7".into()], "now").expect("smaller then");
    assert_eq!(without.removed.len(), 1);
}

//! Two stores with what should be the same image in each.

use std::io::Read as _;

use super::*;
use crate::layer::Decoder;

const PLAIN: &str = media_type::IMAGE_LAYER;

fn place(one: &[(&str, Vec<u8>)], architecture: &str, other: &[(&str, Vec<u8>)]) -> Option<Place> {
    let ((_one, first), (_other, second)) = (open(), open());
    let diff_id = |bytes: &[u8]| {
        let mut tar = Vec::new();
        Decoder::detecting(bytes).and_then(|mut decoder| decoder.read_to_end(&mut tar)).expect("a layer");
        Digest::of(&tar)
    };
    let diff_ids = |layers: &[(&str, Vec<u8>)]| layers.iter().map(|(_, layer)| diff_id(layer)).collect::<Vec<_>>();
    let before = image(&first, "amd64", one, &diff_ids(one));
    let after = image(&second, architecture, other, &diff_ids(other));
    let (before, after) = ((&first, &before.descriptor), (&second, &after.descriptor));
    first_difference(before, after, &Interrupt::default()).expect("compared")
}

fn plain(entries: &[(&str, &str)]) -> (&'static str, Vec<u8>) {
    (PLAIN, files_layer(entries))
}

#[test]
fn images_that_are_the_same_differ_nowhere() {
    let layers = [plain(&[("a", "1")]), plain(&[("b", "2")])];
    assert_eq!(place(&layers, "amd64", &layers), None);
}

#[test]
fn the_first_layer_that_differs_names_its_first_path() {
    let base = plain(&[("a", "1")]);
    let one = [base.clone(), plain(&[("b", "1"), ("c", "1"), ("d", "1")])];
    let other = [base, plain(&[("b", "1"), ("c", "22"), ("e", "1")])];
    let Some(Place::Path { layer: 2, difference }) = place(&one, "arm64", &other) else { panic!("a path of layer 2") };
    let aspects: Vec<&str> = difference.aspects.iter().map(|aspect| aspect.name).collect();
    assert_eq!((difference.place.as_str(), difference.change), ("c", Change::Changed));
    assert_eq!(aspects, ["size", "content"]);
}

#[test]
fn a_layer_may_differ_in_its_bytes_alone() {
    let (a, b) = (("a", "1"), ("b", "2"));
    assert_eq!(place(&[plain(&[a, b])], "amd64", &[plain(&[b, a])]), Some(Place::Bytes { layer: 1 }));
    let tar = files_layer(&[a]);
    let packed = (media_type::IMAGE_LAYER_GZIP, gzip(&tar));
    assert_eq!(place(&[(PLAIN, tar)], "amd64", &[packed]), Some(Place::Bytes { layer: 1 }));
}

#[test]
fn there_may_be_more_layers() {
    let one = [plain(&[("a", "1")])];
    let other = [one[0].clone(), plain(&[("b", "2")])];
    assert_eq!(place(&one, "amd64", &other), Some(Place::Count { first: 1, second: 2 }));
}

#[test]
fn fields_come_after_layers() {
    let layers = [plain(&[("a", "1")])];
    let Some(Place::Configuration(difference)) = place(&layers, "arm64", &layers) else { panic!("a field") };
    assert_eq!((difference.place.as_str(), &*difference.aspects[0].to), ("architecture", "\"arm64\""));
}

#[test]
fn the_manifest_comes_last() {
    let (_dir, store) = open();
    let before = image(&store, "amd64", &[plain(&[("a", "1")])], &[]);
    let manifest = before.manifest().expect("a manifest").clone();
    let annotations = BTreeMap::from([("k".to_owned(), "w".to_owned())]);
    let after = Document::from_manifest(Manifest::new(manifest.config, manifest.layers, annotations));
    let lease = store.lease().expect("a lease");
    store.put(&lease, media_type::IMAGE_MANIFEST, &after.bytes).expect("stored");
    let spaced = [&before.bytes[..], b"\n"].concat();
    let spaced = store.put(&lease, media_type::IMAGE_MANIFEST, &spaced).expect("stored");
    let place = |other: &Descriptor| {
        first_difference((&store, &before.descriptor), (&store, other), &Interrupt::default()).expect("compared")
    };
    let Some(Place::Manifest(difference)) = place(&after.descriptor) else { panic!("a field of the manifest") };
    assert_eq!(difference.place, "annotations.k");
    assert_eq!(place(&spaced), Some(Place::Writing));
}

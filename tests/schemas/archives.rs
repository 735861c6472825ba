//! OCI archives, and the store after Docker's archives were loaded into it.

use std::collections::BTreeMap;

use idpbuilder_oci::image::{Document, Manifest, Reference, media_type};
use idpbuilder_oci::ops::archive::{ArchiveFormat, load, save};
use idpbuilder_oci::progress::{Interrupt, Silent};
use idpbuilder_oci::store::ImageStore;

use crate::configurations;
use crate::schemas::check_layout;

#[test]
#[ignore = "needs the image specification's schemas; bin/test installs them"]
fn archives_are_valid_on_both_sides() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = ImageStore::open(&dir.path().join("images")).expect("a store");
    let lease = store.lease().expect("a lease");
    let layer = store.put(&lease, media_type::IMAGE_LAYER, &[0; 1024]).expect("stored");
    let [_, config] = configurations(layer.digest);
    let config = store.put(&lease, media_type::IMAGE_CONFIG, &config.to_bytes()).expect("stored");
    let document = Document::from_manifest(Manifest::new(config, vec![layer], BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    let names = ["app:v1", "r.example:5000/team/app:v1"].map(|name| name.parse::<Reference>().expect("a reference"));
    store.publish(&lease, &document, &names, None).expect("published");
    let archive = |names: &[&str], format| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut bytes = Vec::new();
        save(&store, &names, format, None, &mut bytes, &Silent, &Interrupt::default()).expect("saved");
        bytes
    };
    let id = document.digest().to_string();
    for (number, names) in [vec!["app:v1", "r.example:5000/team/app:v1"], vec![&id]].into_iter().enumerate() {
        let unpacked = dir.path().join(format!("unpacked-{number}"));
        let bytes = archive(&names, ArchiveFormat::Oci);
        tar::Archive::new(bytes.as_slice()).unpack(&unpacked).expect("unpacked");
        // The layout file, the index, and the image's manifest, configuration and layer.
        assert_eq!(check_layout(&unpacked), Ok(2 + 3), "{names:?}");
        for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
            let other = ImageStore::open(&dir.path().join(format!("{format:?}-{number}"))).expect("a store");
            load(
                &other,
                archive(&names, format).as_slice(),
                "2026-01-02T03:04:05Z",
                None,
                &Silent,
                &Interrupt::default(),
            )
            .expect("loaded");
            assert_eq!(check_layout(other.root()), Ok(2 + 3), "{format:?} {names:?}");
        }
    }
}

//! Manifests that refer to others: the registry lists them, or we do.

use std::collections::BTreeMap;

use idpbuilder_oci::image::{Content, Document, Manifest, media_type};
use idpbuilder_oci::registry::Target;

use crate::fixture::registry;
use crate::lab::profile;
use crate::lab::script::Op;
use crate::lab::serve::Setup;
use crate::pushing::Pushing;

/// The image's manifest about another, in the store under the same name.
fn about(pushing: &Pushing, subject: &Document) -> Document {
    let store = &pushing.local.store;
    let lease = store.lease().expect("a lease");
    let manifest = pushing.image.manifest().expect("an image").clone();
    let manifest = Manifest { subject: Some(subject.descriptor.clone()), ..manifest };
    let document = Document::from_manifest(manifest);
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    store.publish(&lease, &document, &["app".parse().expect("a name")], None).expect("published");
    document
}

#[tokio::test]
async fn what_refers_to_another_is_listed_where_the_registry_does_not() {
    for profile in profile::ALL {
        let pushing = Pushing::of(Setup::of(*profile), &[1000]);
        let config = idpbuilder_oci::image::Descriptor::of(media_type::IMAGE_CONFIG, b"{}");
        let subject = Document::from_manifest(Manifest::new(config, Vec::new(), BTreeMap::new()));
        let document = about(&pushing, &subject);
        let pushed = pushing.push().await;
        pushed.unwrap_or_else(|error| panic!("{}: {error:?}\n{}", profile.name, pushing.lab.lines().join("\n")));
        let tag = subject.digest().to_string().replace(':', "-");
        let puts = pushing.of_op(Op::PutManifest);
        let lists = puts.iter().filter(|put| put.target.ends_with(&tag)).count();
        assert_eq!(lists, usize::from(!profile.referrers), "{}: {:?}", profile.name, pushing.lab.lines());
        if !profile.referrers {
            let list = registry(&pushing.lab.host(), None).get_manifest("team/app", Target::Tag(&tag)).await;
            let Content::Index(index) = list.expect("there").content else { panic!("an index") };
            assert_eq!(index.manifests, [document.as_referrer()], "{}", profile.name);
        }
    }
}

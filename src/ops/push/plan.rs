//! Decides what a push has to do, before anything is done: pure data.

use std::collections::BTreeMap;

use super::{Destination, Group, PushError};
use crate::image::{Descriptor, Digest, Document, Reference};

/// What a push has to do in one repository: pure data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PushPlan {
    /// Each blob once, in the image's order.
    pub(super) steps: Vec<(Descriptor, BlobStep)>,
}

/// What to do about a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlobStep {
    /// The repository has it.
    Skip,
    /// The registry is asked to take it from another repository; if it does not, it is sent.
    Upload,
}

impl PushPlan {
    /// Decides from what the registry says to have: sizes in bytes by digest.
    ///
    /// A blob there with another size is damaged or a different thing: it is sent again.
    pub(super) fn new(blobs: &[Descriptor], present: &BTreeMap<Digest, u64>) -> Self {
        let mut steps: Vec<(Descriptor, BlobStep)> = Vec::new();
        for blob in blobs {
            if steps.iter().any(|(seen, _)| seen.digest == blob.digest) {
                continue;
            }
            let step = match present.get(&blob.digest) {
                Some(size) if *size == blob.size => BlobStep::Skip,
                _ => BlobStep::Upload,
            };
            steps.push((blob.clone(), step));
        }
        Self { steps }
    }
}

/// What a repository was found to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Sizes in bytes of the blobs it has.
    pub(super) blobs: BTreeMap<Digest, u64>,
    /// What its tags stand for, and the manifests it has by digest.
    pub(super) manifests: BTreeMap<String, Digest>,
}

impl Survey {
    /// Returns whether the image is there under all `names`, tags or its digest: then there is nothing to do.
    pub(super) fn is_complete(&self, plan: &PushPlan, documents: &[Document], names: &[String]) -> bool {
        let Some((root, children)) = documents.split_last() else { return false };
        let stands_for = |name: &str, digest| self.stands_for(name) == Some(digest);
        // The survey does not ask whether lists of referrers have the image, so an image with a subject is pushed
        // again.
        let refers = documents.iter().any(|document| document.subject().is_some());
        !refers
            && plan.steps.iter().all(|(_, step)| *step == BlobStep::Skip)
            && children.iter().all(|child| stands_for(&child.digest().to_string(), child.digest()))
            && names.iter().all(|name| stands_for(name, root.digest()))
    }
}

impl Survey {
    /// Returns what a tag or digest stands for in the repository.
    pub(super) fn stands_for(&self, name: &str) -> Option<Digest> {
        self.manifests.get(name).copied()
    }
}

/// Groups the destinations of an image by registry and repository, in the order given.
pub(super) fn groups(destinations: &[Destination], image: Digest) -> Result<Vec<Group<'_>>, PushError> {
    for Destination { reference, .. } in destinations {
        if reference.digest().is_some_and(|digest| digest != image) {
            return Err(PushError::DigestDiffers { destination: Box::new(reference.clone()), image });
        }
    }
    groups_of(destinations)
}

/// Groups the destinations of an image whose digest is not known yet.
pub(super) fn groups_of(destinations: &[Destination]) -> Result<Vec<Group<'_>>, PushError> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for destination in destinations {
        let reference = &destination.reference;
        if reference.registry().is_none() {
            return Err(PushError::NoRegistry(reference.clone()));
        }
        match groups.iter_mut().find(|group| group[0].reference.name() == reference.name()) {
            Some(group) => group.push(destination),
            None => groups.push(vec![destination]),
        }
    }
    Ok(groups)
}

/// Returns the names that the destinations give the image, tags complete.
pub(super) fn references(group: &[&Destination]) -> Vec<Reference> {
    group.iter().map(|destination| destination.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Content, Manifest};
    use crate::tls::TlsPolicy;

    fn blob(content: &str) -> Descriptor {
        Descriptor::of("application/octet-stream", content.as_bytes())
    }

    #[test]
    fn plans_skip_what_is_there_and_send_each_blob_once() {
        let (a, b, c) = (blob("a"), blob("bb"), blob("ccc"));
        let present = BTreeMap::from([(a.digest, 1), (c.digest, 4)]);
        let plan = PushPlan::new(&[a.clone(), b.clone(), a.clone(), c.clone(), b.clone()], &present);
        assert_eq!(plan.steps, [(a, BlobStep::Skip), (b, BlobStep::Upload), (c, BlobStep::Upload)]);
    }

    #[test]
    fn only_an_image_that_is_there_under_every_name_is_complete() {
        let (config, layer) = (blob("{}"), blob("layer"));
        let of = |layers| Document::from_manifest(Manifest::new(config.clone(), layers, BTreeMap::new()));
        let (child, root) = (of(Vec::new()), of(vec![layer.clone()]));
        let documents = [child.clone(), root.clone()];
        let names = ["v1".to_owned(), "v2".to_owned()];
        let blobs = BTreeMap::from([(config.digest, config.size), (layer.digest, layer.size)]);
        let manifests = BTreeMap::from([
            (child.digest().to_string(), child.digest()),
            ("v1".to_owned(), root.digest()),
            ("v2".to_owned(), root.digest()),
        ]);
        let whole = Survey { blobs, manifests };
        let complete = |survey: &Survey| {
            survey.is_complete(&PushPlan::new(&[config.clone(), layer.clone()], &survey.blobs), &documents, &names)
        };
        assert!(complete(&whole));
        for name in [child.digest().to_string(), "v1".to_owned(), "v2".to_owned()] {
            let mut survey = whole.clone();
            survey.manifests.insert(name, Digest::of(b"other"));
            assert!(!complete(&survey));
        }
        let mut survey = whole.clone();
        survey.blobs.remove(&layer.digest);
        assert!(!complete(&survey));
        let nothing = PushPlan::new(&[], &whole.blobs);
        assert!(!whole.is_complete(&nothing, &[], &names), "an image has a document at least");
        // The survey does not know whether the list of its subject's referrers has an image, so the image is sent
        // again. So is a child.
        for at in 0..2 {
            let mut documents = documents.clone();
            let mut manifest = documents[at].manifest().expect("a manifest").clone();
            manifest.subject = Some(blob("subject"));
            documents[at] = Document::from_manifest(manifest);
            let mut survey = whole.clone();
            let digest = documents[at].digest();
            survey.manifests.insert(digest.to_string(), digest);
            if at == 1 {
                survey.manifests.extend(names.iter().map(|name| (name.clone(), digest)));
            }
            let plan = PushPlan::new(&[config.clone(), layer.clone()], &survey.blobs);
            assert!(!survey.is_complete(&plan, &documents, &names));
            // Without the subject it would be complete.
            let bare = documents.clone().map(|document| Document {
                content: match document.content {
                    Content::Manifest(manifest) => Content::Manifest(Manifest { subject: None, ..manifest }),
                    index @ Content::Index(_) => index,
                },
                ..document
            });
            assert!(survey.is_complete(&plan, &bare, &names));
        }
    }

    fn destination(reference: &str) -> Destination {
        Destination { reference: reference.parse().expect(reference), policy: TlsPolicy::Plaintext, credential: None }
    }

    #[test]
    fn destinations_of_one_repository_go_together() {
        let given = ["r.io/a:1", "r.io/b:1", "r.io/a:2", "s.io/a:1"].map(destination);
        let groups = groups(&given, Digest::of(b"")).expect("all have a registry");
        let names: Vec<Vec<String>> =
            groups.iter().map(|group| group.iter().map(|d| d.reference.to_string()).collect()).collect();
        assert_eq!(names, [vec!["r.io/a:1", "r.io/a:2"], vec!["r.io/b:1"], vec!["s.io/a:1"]]);
    }

    #[test]
    fn destinations_that_cannot_be() {
        let image = Digest::of(b"image");
        let local = destination("a:1");
        let refused = groups(std::slice::from_ref(&local), image);
        assert!(matches!(refused, Err(PushError::NoRegistry(_))), "{refused:?}");
        let other = destination(&format!("r.io/a@{}", Digest::of(b"other")));
        let refused = groups(std::slice::from_ref(&other), image);
        assert!(matches!(refused, Err(PushError::DigestDiffers { .. })), "{refused:?}");
        groups(&[destination(&format!("r.io/a@{image}"))], image).expect("the same image");
    }
}

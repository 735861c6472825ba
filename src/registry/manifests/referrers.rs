//! Lists of referrers where the registry keeps none (distribution-spec, "Pushing Manifests with Subject" and "Referrers
//! Tag Schema"): an index under a tag made from the subject's digest, kept by the clients.

use oci_client::errors::OciErrorCode;

use super::Target;
use crate::image::{Content, Digest, Document, Index};
use crate::registry::{Registry, RegistryError};

/// Times the list is written again because another client wrote it at the same time.
const MAX_ROUNDS: usize = 4;

/// Returns the tag of the list for a subject: its digest with a dash for the colon.
fn list_tag(subject: Digest) -> String {
    subject.to_string().replacen(':', "-", 1)
}

impl Registry {
    /// Sees to it that the list of its subject's referrers has `document`, which the repository has already. A document
    /// without a subject needs nothing.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Referrers`] where the list cannot be brought up to date; any other fault of the requests.
    pub async fn add_referrer(&self, repository: &str, document: &Document) -> Result<(), RegistryError> {
        let Some(subject) = document.subject() else { return Ok(()) };
        let tag = list_tag(subject.digest);
        let target = Target::Tag(&tag);
        for round in 0..=MAX_ROUNDS {
            // The list has no lock: the client that wrote last may not have seen what was written before.
            let mut index = self.referrers(repository, target, &tag).await?;
            if index.manifests.iter().any(|referrer| referrer.digest == document.digest()) {
                return Ok(());
            }
            if round < MAX_ROUNDS {
                index.manifests.push(document.as_referrer());
                self.put_manifest(repository, target, &Document::from_index(index)).await?;
            }
        }
        Err(lost(repository, &tag, "another client replaces it at the same time"))
    }

    async fn referrers(&self, repository: &str, target: Target<'_>, tag: &str) -> Result<Index, RegistryError> {
        match self.get_manifest(repository, target).await {
            Ok(Document { content: Content::Index(index), .. }) => Ok(index),
            // The tag stands for something else, which must not be replaced.
            Ok(_) => Err(lost(repository, tag, "something that is no index has its tag")),
            Err(error) if is_absent(&error) => Ok(Index::default()),
            Err(error) => Err(error),
        }
    }
}

/// Returns whether there is no such manifest; not every registry says that with 404.
fn is_absent(error: &RegistryError) -> bool {
    let unknown = |code: &OciErrorCode| matches!(code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown);
    matches!(error, RegistryError::NotFound(_))
        || error
            .error_response()
            .is_some_and(|refused| refused.response.errors.iter().any(|error| unknown(&error.code)))
}

fn lost(repository: &str, tag: &str, why: &'static str) -> RegistryError {
    RegistryError::Referrers { repository: repository.to_owned(), tag: tag.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_named_after_the_subject() {
        let tag = list_tag(Digest::of(b""));
        assert_eq!(tag, "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

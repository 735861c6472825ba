//! Tags that a registry keeps in lower case, as Gitea does: `V1` and `v1` are one tag there, and a push of one replaces the
//! other.

use super::run::Run;
use crate::image::Digest;
use crate::progress::Event;
use crate::registry::{RegistryError, Target};

/// What the lower-case form of a tag stood for before the push.
pub(super) struct LowerCase {
    tag: String,
    before: Option<Digest>,
}

/// What became of the lower-case form of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folding {
    /// It is another tag.
    Apart,
    /// It is the tag that was pushed.
    Same,
    /// It is the tag that was pushed, and stood for another image.
    Replaced(Digest),
}

/// Decides by what the lower-case form stood for before and after `pushed` got the tag.
fn folding(before: Option<Digest>, after: Option<Digest>, pushed: Digest) -> Folding {
    match (before, after) {
        (_, after) if after != Some(pushed) => Folding::Apart,
        // The lower-case tag stood for this image before, so the push replaced nothing.
        (Some(before), _) if before == pushed => Folding::Apart,
        (Some(before), _) => Folding::Replaced(before),
        (None, _) => Folding::Same,
    }
}

impl Run<'_> {
    /// Asks what the lower-case form of a tag stands for, where the tag has upper-case letters. Not knowing is no error.
    pub(super) async fn lower_case(&self, tag: Option<&str>) -> Result<Option<LowerCase>, RegistryError> {
        let Some(tag) = tag.filter(|tag| tag.bytes().any(|byte| byte.is_ascii_uppercase())) else { return Ok(None) };
        let tag = tag.to_ascii_lowercase();
        let before = self.digest_of(&tag).await?;
        Ok(Some(LowerCase { tag, before }))
    }

    /// Reports what the push of `tag` did to its lower-case form.
    pub(super) async fn report_case(&self, tag: &str, lower: LowerCase, pushed: Digest) -> Result<(), RegistryError> {
        let LowerCase { tag: lower, before } = lower;
        match folding(before, self.digest_of(&lower).await?, pushed) {
            Folding::Apart => {}
            Folding::Same => self
                .progress
                .emit(Event::Detail(&format!("the registry keeps tags in lower case: `{tag}` is `{lower}` there"))),
            Folding::Replaced(before) => self.progress.emit(Event::Warning(&format!(
                "the registry keeps tags in lower case: `{tag}` replaced `{lower}`, which stood for {before}"
            ))),
        }
        Ok(())
    }

    async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, RegistryError> {
        match self.registry.head_manifest(self.repository, Target::Tag(tag)).await {
            Ok(head) => Ok(head.and_then(|head| head.digest)),
            Err(RegistryError::Interrupted) => Err(RegistryError::Interrupted),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_the_lower_case_form() {
        let [old, new] = [b"old", b"new"].map(|bytes| Digest::of(bytes));
        for (before, after, expected) in [
            (None, None, Folding::Apart),
            (Some(old), Some(old), Folding::Apart),
            (Some(old), None, Folding::Apart),
            (None, Some(old), Folding::Apart),
            (None, Some(new), Folding::Same),
            (Some(old), Some(new), Folding::Replaced(old)),
            (Some(new), Some(new), Folding::Apart),
        ] {
            assert_eq!(folding(before, after, new), expected, "{before:?} {after:?}");
        }
    }
}

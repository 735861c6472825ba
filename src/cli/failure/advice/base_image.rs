//! Advice about base images.

use std::path::Path;

use super::conversion;
use crate::app::base_image::BaseImageError;
use crate::cli::failure::{Failure, Kind};

impl From<BaseImageError> for Failure {
    fn from(error: BaseImageError) -> Self {
        let again = |path: &Path| format!("write the image layout `{}` again, from where it came", path.display());
        match error {
            BaseImageError::Connect(error) => Self::from(*error),
            BaseImageError::NotLocated { name, asked, source } => Self::from(*source).hint(format!(
                "the local store has no `{name}` either; an image of Docker Hub is written with its registry: \
                 docker.io/library/{asked}"
            )),
            BaseImageError::Console(error) => error.into(),
            BaseImageError::Reference(error) => error.into(),
            BaseImageError::Store(error) => error.into(),
            BaseImageError::Base(error) => error.into(),
            BaseImageError::Pull(error) => error.into(),
            BaseImageError::Unpack(error) => error.into(),
            BaseImageError::NoPath(_) => Self::new(Kind::Usage, error)
                .hint("write oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]"),
            BaseImageError::BlobHost(_) => Self::new(Kind::Usage, error).hint("give --blobs-from as HOST or HOST:PORT"),
            BaseImageError::NotALayout { .. } => Self::new(Kind::Image, error)
                .hint("an image layout is a directory with the files oci-layout and index.json"),
            BaseImageError::Archive { .. } => Self::new(Kind::Image, error),
            BaseImageError::Absent { ref names, .. } => {
                let hint = format!("it has {}", listed(names));
                Self::new(Kind::Image, error).hint(hint)
            }
            BaseImageError::Several { ref names, .. } => {
                let hint = format!("add a colon and one of these: {}", listed(names));
                Self::new(Kind::Image, error).hint(hint)
            }
            BaseImageError::Document { ref source, .. } => {
                let hint = conversion(source);
                hint.into_iter().fold(Self::new(Kind::Image, error), Self::hint)
            }
            BaseImageError::MissingBlob { ref path, .. }
            | BaseImageError::BlobSize { ref path, .. }
            | BaseImageError::BlobDigest { ref path, .. } => {
                let hint = again(path);
                Self::new(Kind::Image, error).hint(hint)
            }
        }
    }
}

fn listed(names: &[String]) -> String {
    const MAX: usize = 8;
    if names.is_empty() {
        return "(none)".to_owned();
    }
    names.iter().take(MAX).cloned().collect::<Vec<_>>().join(", ")
}

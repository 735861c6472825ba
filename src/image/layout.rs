//! The marker file of an image layout (OCI image-spec, "oci-layout file").

use serde::Deserialize;

use super::strict::{Field, Shape, StrictDocument};

/// What the file `oci-layout` holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutMarker {
    /// Version of the layout.
    pub image_layout_version: String,
}

impl StrictDocument for LayoutMarker {
    const SHAPE: Shape = Shape::Object(&[Field::new("imageLayoutVersion", Shape::Text)]);
}

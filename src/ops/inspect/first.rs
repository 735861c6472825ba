//! Where two images that should be one begin to differ: layers in their order, then the configuration, then what the
//! manifest says besides.

use super::diff::{Tree, documents, paths, unpack};
use super::{Difference, InspectError, Inspected, LayerInfo, layer_infos};
use crate::image::Descriptor;
use crate::progress::Interrupt;
use crate::store::ImageStore;

/// The first thing that is not the same. Layers are numbered from 1, base first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A path in a layer.
    Path {
        /// The layer.
        layer: usize,
        /// The first path that differs, and how.
        difference: Difference,
    },
    /// A layer holds the same files in other bytes: in another order, or compressed otherwise.
    Bytes {
        /// The layer.
        layer: usize,
    },
    /// All layers of one image are the first ones of the other.
    Count {
        /// Layers of the first image.
        first: usize,
        /// Layers of the second.
        second: usize,
    },
    /// A field of the configuration.
    Configuration(Difference),
    /// A field of the manifest.
    Manifest(Difference),
    /// The same fields, written in other bytes.
    Writing,
}

/// Returns where the image of the second manifest begins to differ from that of the first, if it does. Only layers that
/// differ are read, so that a store need not have the others.
pub fn first_difference(
    first: (&ImageStore, &Descriptor),
    second: (&ImageStore, &Descriptor),
    interrupt: &Interrupt,
) -> Result<Option<Place>, InspectError> {
    if first.1.digest == second.1.digest {
        return Ok(None);
    }
    let image = |(store, manifest): (&ImageStore, &Descriptor)| {
        let name = manifest.digest.to_string();
        store.image(&name, manifest, None).map(Inspected::from)
    };
    let (one, other) = (image(first)?, image(second)?);
    let (layers, others) = (layer_infos(&one), layer_infos(&other));
    let same =
        |(one, other): &(&LayerInfo, &LayerInfo)| (one.digest, &one.media_type) == (other.digest, &other.media_type);
    if let Some((one, other)) = layers.iter().zip(&others).find(|pair| !same(pair)) {
        let tree = |store: &ImageStore, layer: &LayerInfo| -> Result<Tree, InspectError> {
            let mut tree = Tree::new();
            unpack(store, layer, &mut tree, interrupt)?;
            Ok(tree)
        };
        let layer = one.number;
        let found = paths(&tree(first.0, one)?, &tree(second.0, other)?).into_iter().next();
        return Ok(Some(found.map_or(Place::Bytes { layer }, |difference| Place::Path { layer, difference })));
    }
    if layers.len() != others.len() {
        return Ok(Some(Place::Count { first: layers.len(), second: others.len() }));
    }
    let of = |before: &[u8], after: &[u8]| documents(before, after).into_iter().next();
    let configuration = of(&one.config_bytes, &other.config_bytes).map(Place::Configuration);
    let manifest = || of(&one.document.bytes, &other.document.bytes).map(Place::Manifest);
    Ok(Some(configuration.or_else(manifest).unwrap_or(Place::Writing)))
}

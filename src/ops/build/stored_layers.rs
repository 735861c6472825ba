//! Layers that a build has stored, for a push that begins before the image is whole.

use tokio::sync::mpsc;

use crate::image::Descriptor;

/// Passes on the layers that a build has stored, to a receiver if there is one.
///
/// The receiver gets each layer as soon as it is whole in the store, in the order in which the layers are stored; a
/// layer that occurs twice comes twice. The stream ends when the last copy of this value is dropped.
#[derive(Debug, Clone, Default)]
pub struct StoredLayers(Option<mpsc::UnboundedSender<Descriptor>>);

impl StoredLayers {
    /// Returns a value that passes layers on, and their receiver.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Descriptor>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Some(sender)), receiver)
    }

    /// Passes a layer on. A receiver that is gone, as after a push that failed, does not stop the build.
    pub(super) fn put(&self, layer: &Descriptor) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(layer.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_arrive_in_order_and_a_lost_receiver_stops_nothing() {
        let layers = ["a", "b"].map(|text| Descriptor::of("application/octet-stream", text.as_bytes()));
        let (stored, mut received) = StoredLayers::channel();
        for layer in &layers {
            stored.put(layer);
        }
        assert_eq!([received.try_recv(), received.try_recv()], layers.clone().map(Ok));
        drop(received);
        stored.put(&layers[0]);
        StoredLayers::default().put(&layers[0]);
    }
}

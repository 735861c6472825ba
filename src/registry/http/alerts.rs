//! A TLS connection's last word. With TLS 1.3 a server refuses the client's certificate, or its absence, after the
//! client's side of the handshake is done; the task that drives the connection may hear that before a request is
//! given to it, and keeps the reason to itself.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};

use super::wire::Wire;
use crate::tls::{self, HandshakeFault};

/// The last refusal that any connection of a client met.
#[derive(Debug, Clone, Default)]
pub(super) struct PeerAlerts(Arc<Mutex<Option<HandshakeFault>>>);

impl PeerAlerts {
    /// Returns the last alert, and forgets it.
    pub(super) fn take(&self) -> Option<HandshakeFault> {
        self.slot().take()
    }

    fn note(&self, error: &io::Error) {
        if let Some(fault @ HandshakeFault::PeerRefused(_)) = tls::classify(error) {
            *self.slot() = Some(fault);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<HandshakeFault>> {
        // A panic elsewhere cannot leave it half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that notes how the peer refused it.
pub(super) struct Noting {
    pub(super) stream: MaybeHttpsStream<Wire>,
    pub(super) alerts: PeerAlerts,
}

impl Connection for Noting {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Noting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Err(error)) = &result {
            self.alerts.note(error);
        }
        result
    }
}

impl Write for Noting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_is_noted_and_told_once() {
        let alerts = PeerAlerts::default();
        alerts.note(&io::ErrorKind::ConnectionReset.into());
        assert_eq!(alerts.take(), None);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        alerts.note(&io::Error::new(io::ErrorKind::InvalidData, alert));
        let fault = alerts.take().expect("noted");
        assert_eq!(fault, HandshakeFault::PeerRefused("CertificateRequired".to_owned()));
        assert_eq!(alerts.take(), None);
    }
}

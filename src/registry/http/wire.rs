//! A TCP connection whose state outlives it, and which still reads when it cannot write.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The state of a connection: whether it is dropped, and whether it has answered a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Life(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    over: AtomicBool,
    answered: AtomicBool,
}

impl Life {
    /// Returns whether the connection is dropped: it is neither read nor written any more.
    pub(super) fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }

    /// Notes that the connection has answered a request.
    pub(super) fn answer(&self) {
        self.0.answered.store(true, Ordering::Release);
    }

    /// Returns whether the connection has answered a request. The peer may then have closed it just as it was used
    /// again.
    pub(super) fn has_answered(&self) -> bool {
        self.0.answered.load(Ordering::Acquire)
    }
}

/// A TCP connection on which a failing write does not hide an answer that has already arrived: the write side then
/// stays silent and the read side reports how the connection ends.
pub(super) struct Wire {
    io: TokioIo<TcpStream>,
    proxied: bool,
    deaf: bool,
    life: Life,
}

impl Wire {
    pub(super) fn new(io: TokioIo<TcpStream>, proxied: bool) -> Self {
        Self { io, proxied, deaf: false, life: Life::default() }
    }

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error))
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                self.deaf = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            other => other,
        }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.proxied).extra(self.life.clone())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.life.0.over.store(true, Ordering::Release);
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_tells_when_it_is_let_go() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(server.local_addr().expect("bound")).await.expect("connected");
        let wire = Wire::new(TokioIo::new(stream), false);
        let mut extras = http::Extensions::new();
        wire.connected().get_extras(&mut extras);
        let life = extras.get::<Life>().expect("every connection has one").clone();
        assert!(!life.is_over());
        drop(wire);
        assert!(life.is_over());
    }
}

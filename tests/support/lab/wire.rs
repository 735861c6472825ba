//! A TCP connection that can be ended in more ways than a program usually has.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// How long a side that has ended goes on to swallow what still comes.
const LINGER: Duration = Duration::from_secs(5);

/// One end of a connection, of which others may hold a handle.
#[derive(Debug, Clone)]
pub struct Wire(pub Arc<TcpStream>);

impl Wire {
    /// Wraps an accepted connection.
    pub fn new(stream: TcpStream) -> Self {
        // Nothing measured or broken here should wait for more bytes to come.
        let _ = stream.set_nodelay(true);
        Self(Arc::new(stream))
    }

    /// From now on, the last handle that is dropped resets the connection.
    pub fn reset(&self) {
        // A peer that is gone already has nothing to be reset.
        let _ = self.0.set_zero_linger();
    }

    /// Ends this direction only.
    pub fn half_close(&self) -> bool {
        let handle = self.0.as_fd().try_clone_to_owned().map(std::net::TcpStream::from);
        handle.and_then(|handle| handle.shutdown(Shutdown::Write)).is_ok()
    }

    /// Ends this direction; the other one is swallowed until the peer has gone, so that what was sent arrives.
    pub async fn finish(&self) {
        if self.half_close() {
            let _ = tokio::time::timeout(LINGER, self.swallow()).await;
        }
    }

    async fn swallow(&self) {
        let mut buffer = vec![0; 64 << 10];
        while self.0.readable().await.is_ok() {
            match self.0.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Left to [`Wire::finish`], which does not lose an answer to a peer that still sends.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Waits until the peer has gone, reading nothing.
pub async fn gone(wire: &Wire) {
    while let Ok(ready) = wire.0.ready(Interest::ERROR | Interest::READABLE).await {
        if ready.is_read_closed() || ready.is_error() {
            return;
        }
        // Unread bytes keep it readable.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

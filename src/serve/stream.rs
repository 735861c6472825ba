//! A stream with a minimum write rate, which drains unread bytes before it closes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client that is still sending may take to notice that we have answered and closed.
const LINGER: Duration = Duration::from_secs(1);

/// A stream whose writes fail when the client takes fewer than `least` bytes in `idle`, and whose shutdown swallows
/// what is still on its way: closing on unread bytes resets the connection, and the client would lose the answer that
/// told it to stop.
pub(super) struct Patient<S> {
    inner: S,
    idle: Duration,
    least: u64,
    /// Whether the client has bytes to take.
    writing: Arc<AtomicBool>,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Bytes taken since `stalled` began.
    taken: u64,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(inner: S, idle: Duration, least: u64, writing: Arc<AtomicBool>) -> Self {
        Self { inner, idle, least, writing, stalled: None, taken: 0, lingering: None }
    }

    /// Passes an answer to a write on; too few bytes for too long are an error.
    fn written(&mut self, cx: &mut Context<'_>, answer: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = answer {
            self.taken += count as u64;
            if self.taken >= self.least {
                self.restart();
            }
        }
        self.watch(cx, answer)
    }

    fn restart(&mut self) {
        self.stalled = None;
        self.taken = 0;
        self.writing.store(false, Ordering::Relaxed);
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, answer: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if answer.is_ready() {
            return answer;
        }
        self.writing.store(true, Ordering::Relaxed);
        let idle = self.idle;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let answer = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, answer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let answer = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.written(cx, answer)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.inner).poll_flush(cx);
        if answer.is_ready() {
            // Everything was passed to the system.
            self.restart();
        }
        self.watch(cx, answer)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut scratch = [0; 8192];
        loop {
            if lingering.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn patient<S>(inner: S, idle: Duration, least: u64) -> Patient<S> {
        Patient::new(inner, idle, least, Arc::default())
    }

    #[tokio::test]
    async fn a_reader_that_takes_too_little_is_left() {
        let (ours, mut theirs) = tokio::io::duplex(1);
        let reader = tokio::spawn(async move { while theirs.read_u8().await.is_ok() {} });
        // The reader takes every byte at once, and all of them together are too few.
        let mut stream = patient(ours, Duration::from_millis(20), u64::MAX);
        let writing = Arc::clone(&stream.writing);
        let mut outcome = Ok(());
        while outcome.is_ok() {
            outcome = stream.write_all(&[0; 64]).await;
        }
        let error = outcome.expect_err("too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(writing.load(Ordering::Relaxed));
        stream.flush().await.expect("flushed");
        assert!(!writing.load(Ordering::Relaxed));
        drop(stream);
        reader.await.expect("ran");
        // One byte is enough for the time to begin again.
        let (ours, mut theirs) = tokio::io::duplex(1);
        let reader = tokio::spawn(async move { theirs.read_exact(&mut [0; 5000]).await.map(drop) });
        let mut stream = patient(ours, Duration::from_secs(20), 1);
        stream.write_all(&[0; 5000]).await.expect("taken");
        assert!(stream.stalled.is_none());
        reader.await.expect("ran").expect("read");
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_left() {
        let (ours, theirs) = tokio::io::duplex(16);
        let mut stream = patient(ours, Duration::from_millis(5), 1);
        let error = stream.write_all(&[0; 64]).await.expect_err("the peer does not read");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn shutting_down_swallows_what_was_on_its_way() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut stream = patient(ours, Duration::from_secs(30), 1);
        let client = tokio::spawn(async move {
            // More than the pipe holds: this ends only when the other side reads.
            theirs.write_all(&[1; 10_000]).await.expect("still taken");
            let mut answer = String::new();
            theirs.shutdown().await.expect("closed");
            theirs.read_to_string(&mut answer).await.expect("answer");
            answer
        });
        stream.write_all(b"enough").await.expect("written");
        stream.shutdown().await.expect("closed");
        drop(stream);
        assert_eq!(client.await.expect("ran"), "enough");
    }
}

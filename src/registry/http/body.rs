//! Request bodies: nothing, bytes, or a part of a blob streamed from a source that can be opened again.
//!
//! A part is read by a blocking thread in fixed-size pieces through a short queue, so a push holds a
//! few pieces in memory whatever the size of the blob. Bytes are hashed on the way, and the piece that
//! would complete a blob is handed out only when the digest is right: the registry never has all of a
//! damaged one.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::buffers::PieceBuffers;
use crate::image::Digest;
use crate::registry::meter::Meter;
use crate::registry::retry::rates::Throttle;
use crate::registry::upload::content_check::ContentCheck;

/// Bytes read from a source at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// How often a slow transfer looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(100);
/// Pieces that wait for the connection.
const QUEUE: usize = 1;

/// Where a blob's bytes come from, from any offset and as often as it takes.
pub trait BlobSource: Send + Sync {
    /// Opens the blob for reading from `offset` on.
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;

    /// Returns whether the content is known to have the blob's digest, so that it need not be hashed while it is sent.
    /// Such a source refuses to open what has changed since.
    fn is_verified(&self) -> bool {
        false
    }
}

impl<F> BlobSource for F
where
    F: Fn(u64) -> io::Result<Box<dyn Read + Send>> + Send + Sync,
{
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self(offset)
    }
}

/// Why a part could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum SendFault {
    #[error("the source cannot be read")]
    Source(#[source] io::Error),
    #[error("the content hashes to {found}")]
    Digest { expected: Digest, found: Digest },
    #[error("the answer came before the body was sent")]
    Abandoned,
}

/// A part of a blob.
#[derive(Clone)]
pub(in crate::registry) struct Part {
    pub(in crate::registry) source: Arc<dyn BlobSource>,
    pub(in crate::registry) start: u64,
    pub(in crate::registry) end: u64,
    /// Has seen everything before `start`.
    pub(in crate::registry) hasher: ContentCheck,
    /// The blob's digest, and whether the part is its last.
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) last: bool,
    pub(in crate::registry) meter: Meter,
    /// Where the hasher at `end` is put when the part has been read.
    pub(in crate::registry) advanced: Arc<Mutex<Option<ContentCheck>>>,
}

/// What to send; can be sent again.
#[derive(Clone)]
pub(in crate::registry) enum Payload {
    Empty,
    Bytes(Bytes),
    /// Bytes with a secret among them, for one origin alone.
    Secret(Bytes),
    Part(Part),
}

impl Payload {
    pub(in crate::registry) fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) | Self::Secret(bytes) => bytes.len() as u64,
            Self::Part(part) => part.end - part.start,
        }
    }
}

/// What is known of a body while the transport has it.
#[derive(Default)]
pub(in crate::registry) struct Sending {
    handed: AtomicU64,
    complete: AtomicBool,
    abandoned: AtomicBool,
    waker: AtomicWaker,
    fault: Mutex<Option<SendFault>>,
}

impl Sending {
    /// Returns the bytes handed to the connection so far.
    pub(in crate::registry) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }

    /// Returns whether all bytes were handed to the connection.
    pub(in crate::registry) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    /// Lets the body end in an error at its next step, which closes the connection.
    pub(in crate::registry) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(in crate::registry) fn take_fault(&self) -> Option<SendFault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// One sending of a payload.
pub(in crate::registry) struct SendBody {
    pieces: Pieces,
    remaining: u64,
    meter: Option<Meter>,
    sending: Arc<Sending>,
}

enum Pieces {
    Ready(Option<Bytes>),
    Read(mpsc::Receiver<Result<Bytes, SendFault>>),
}

impl SendBody {
    /// Starts reading the payload. Must be called within the runtime.
    pub(in crate::registry) fn start(payload: &Payload, throttle: &Arc<Throttle>) -> (Self, Arc<Sending>) {
        let sending = Arc::new(Sending::default());
        let remaining = payload.len();
        let (pieces, meter) = match payload {
            Payload::Empty => (Pieces::Ready(None), None),
            Payload::Bytes(bytes) | Payload::Secret(bytes) => {
                (Pieces::Ready(Some(bytes.clone()).filter(|bytes| !bytes.is_empty())), None)
            }
            Payload::Part(part) => {
                part.meter.detour(part.start);
                let (sender, receiver) = mpsc::channel(QUEUE);
                let meter = part.meter.clone();
                let (part, throttle) = (part.clone(), Arc::clone(throttle));
                tokio::task::spawn_blocking(move || {
                    if let Err(fault) = feed(part, &sender, &throttle) {
                        // A receiver that is gone had its reason.
                        let _ = sender.blocking_send(Err(fault));
                    }
                });
                (Pieces::Read(receiver), Some(meter))
            }
        };
        sending.complete.store(remaining == 0, Ordering::Relaxed);
        (Self { pieces, remaining, meter, sending: Arc::clone(&sending) }, sending)
    }

    fn fail(&mut self, fault: SendFault) -> io::Error {
        let text = fault.to_string();
        *self.sending.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        io::Error::other(text)
    }
}

/// Reads a part to its end; `Ok` also when its receiver is gone.
fn feed(part: Part, sender: &mpsc::Sender<Result<Bytes, SendFault>>, throttle: &Throttle) -> Result<(), SendFault> {
    let Part { source, start, end, mut hasher, digest, last, advanced, .. } = part;
    let mut reader = source.open(start).map_err(SendFault::Source)?;
    let mut at = start;
    let most = throttle.piece(PIECE_BYTES);
    let buffers = PieceBuffers::new();
    loop {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(most);
        if !pause(throttle.bytes(want, Instant::now()), sender) {
            return Ok(());
        }
        let piece = buffers.read(&mut reader, want).map_err(SendFault::Source)?;
        hasher.update(&piece);
        at += want as u64;
        if at == end {
            if last {
                let found = hasher.digest(digest);
                if found != digest {
                    return Err(SendFault::Digest { expected: digest, found });
                }
            }
            *advanced.lock().unwrap_or_else(PoisonError::into_inner) = Some(hasher);
            if want > 0 {
                let _ = sender.blocking_send(Ok(piece));
            }
            return Ok(());
        }
        if sender.blocking_send(Ok(piece)).is_err() {
            return Ok(());
        }
    }
}

/// Waits on the reading thread; false when the receiver of the bytes is gone.
fn pause(wait: Duration, sender: &mpsc::Sender<Result<Bytes, SendFault>>) -> bool {
    let end = Instant::now() + wait;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if sender.is_closed() {
            return false;
        }
        std::thread::sleep(left.min(PAUSE));
    }
}

impl http_body::Body for SendBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        self.sending.waker.register(cx.waker());
        if self.sending.abandoned.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(self.fail(SendFault::Abandoned))));
        }
        let next = match &mut self.pieces {
            Pieces::Ready(bytes) => bytes.take().map(Ok),
            Pieces::Read(receiver) => match receiver.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next,
            },
        };
        match next {
            Some(Ok(piece)) => {
                let bytes = piece.len() as u64;
                self.remaining = self.remaining.saturating_sub(bytes);
                self.sending.handed.fetch_add(bytes, Ordering::Relaxed);
                self.sending.complete.store(self.remaining == 0, Ordering::Relaxed);
                if let Some(meter) = &self.meter {
                    meter.advance(bytes);
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Err(fault)) => Poll::Ready(Some(Err(self.fail(fault)))),
            None => {
                let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
                Poll::Ready(Some(Err(self.fail(SendFault::Source(ended)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body::Body;

    use super::*;

    fn part(content: &'static [u8], size: u64, start: u64, end: u64) -> Part {
        let source = move |offset: u64| {
            let offset = usize::try_from(offset).expect("small").min(content.len());
            Ok(Box::new(&content[offset..]) as Box<dyn Read + Send>)
        };
        let mut hasher = ContentCheck::new(false);
        hasher.update(&content[..usize::try_from(start).expect("small")]);
        Part {
            source: Arc::new(source),
            start,
            end,
            hasher,
            digest: Digest::of(b"hello, world"),
            last: end == size,
            meter: Meter::silent(),
            advanced: Arc::default(),
        }
    }

    async fn drain(payload: &Payload) -> (Vec<u8>, Result<(), io::Error>, Arc<Sending>) {
        let (mut body, sending) = SendBody::start(payload, &Arc::default());
        let mut bytes = Vec::new();
        loop {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                None => return (bytes, Ok(()), sending),
                Some(Ok(frame)) => bytes.extend_from_slice(&frame.into_data().expect("data")),
                Some(Err(error)) => return (bytes, Err(error), sending),
            }
        }
    }

    #[tokio::test]
    async fn a_part_is_sent_and_the_hash_carried_on() {
        let first = part(b"hello, world", 12, 0, 5);
        let (bytes, result, sending) = drain(&Payload::Part(first.clone())).await;
        result.expect("sent");
        assert_eq!(bytes, b"hello");
        assert!(sending.is_complete());
        let hasher = first.advanced.lock().expect("unpoisoned").clone().expect("advanced");
        let second = Part { hasher, ..part(b"hello, world", 12, 5, 12) };
        let (bytes, result, _) = drain(&Payload::Part(second)).await;
        result.expect("the digest is right");
        assert_eq!(bytes, b", world");
    }

    #[tokio::test]
    async fn the_last_piece_of_a_damaged_blob_is_withheld() {
        let (bytes, result, sending) = drain(&Payload::Part(part(b"hello, w0rld", 12, 0, 12))).await;
        result.expect_err("damaged");
        assert!(bytes.is_empty());
        assert!(matches!(sending.take_fault(), Some(SendFault::Digest { .. })));
    }

    #[tokio::test]
    async fn what_its_source_vouches_for_is_not_hashed() {
        let trusted = Part { hasher: ContentCheck::new(true), ..part(b"hello, w0rld", 12, 0, 12) };
        let (bytes, result, _) = drain(&Payload::Part(trusted.clone())).await;
        result.expect("sent as it is: the registry compares the digest");
        assert_eq!(bytes, b"hello, w0rld");
        let advanced = trusted.advanced.lock().expect("unpoisoned").clone().expect("advanced");
        assert_eq!((advanced.count(), advanced.restarted().count()), (12, 0));
    }

    #[tokio::test]
    async fn a_source_that_ends_early_is_an_error() {
        let (_, result, sending) = drain(&Payload::Part(part(b"hello", 12, 0, 12))).await;
        result.expect_err("short");
        assert!(matches!(sending.take_fault(), Some(SendFault::Source(_))));
        assert!(!sending.is_complete());
    }

    #[tokio::test]
    async fn an_abandoned_body_ends_in_an_error() {
        let (mut body, sending) = SendBody::start(&Payload::Bytes(Bytes::from_static(b"x")), &Arc::default());
        sending.abandon();
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(matches!(frame, Some(Err(_))));
    }

    #[tokio::test]
    async fn empty_parts_are_checked_too() {
        let mut empty = part(b"", 0, 0, 0);
        empty.digest = Digest::of(b"");
        let (bytes, result, sending) = drain(&Payload::Part(empty)).await;
        result.expect("empty");
        assert!(bytes.is_empty() && sending.is_complete());
    }
}

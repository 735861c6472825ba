//! Events that long work reports while it runs. A listener can neither slow the work down nor make it fail.

/// What a transfer does with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the context and compressing it into a layer.
    Pack,
    /// Reading a layer that others will go over.
    Read,
    /// Sending a blob.
    Upload,
    /// Receiving a blob.
    Download,
    /// Reading a blob back after it was sent.
    Verify,
    /// Writing a blob into an archive.
    Save,
    /// Reading a blob out of an archive.
    Load,
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All bytes moved.
    Done,
    /// The other side had the blob.
    Exists,
    /// The other side took the blob from another of its repositories.
    Mounted,
    /// It failed; the error is reported separately.
    Failed,
}

/// One report. `key` names a transfer within one run and is unique among those that overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A transfer begins.
    Begin {
        /// The transfer.
        key: &'a str,
        /// What to call it: a shortened digest, `config`, a directory.
        label: &'a str,
        /// What happens.
        phase: Phase,
        /// Bytes to move, when known.
        total: Option<u64>,
    },
    /// Bytes moved since the last report of this transfer.
    Advance {
        /// The transfer.
        key: &'a str,
        /// Bytes since the last report.
        bytes: u64,
    },
    /// The transfer starts over at `offset` bytes.
    Rewind {
        /// The transfer.
        key: &'a str,
        /// Bytes that count as moved.
        offset: u64,
    },
    /// A transfer ended.
    End {
        /// The transfer.
        key: &'a str,
        /// How.
        outcome: Outcome,
    },
    /// The transfer goes on where an earlier run stopped.
    Resume {
        /// The transfer.
        key: &'a str,
        /// Bytes that count as moved.
        offset: u64,
    },
    /// Something failed and is tried again after a wait.
    Retry {
        /// The transfer, if it belongs to one.
        key: Option<&'a str>,
        /// What failed, for people.
        cause: &'a str,
        /// How long until the next attempt.
        wait: std::time::Duration,
        /// Which attempt that is since the last progress, from 1.
        attempt: u32,
        /// How many there are.
        of: u32,
    },
    /// The registry, or what stands in front of it, is away. All transfers wait for it.
    Away {
        /// What a probe met, for people.
        cause: &'a str,
        /// The longest time that it is waited for.
        limit: std::time::Duration,
    },
    /// The registry no longer knows the upload that an earlier run began: the transfer begins at the first byte.
    Expired {
        /// The transfer.
        key: &'a str,
    },
    /// A transfer failed, and the registry keeps its first `offset` bytes for the next run.
    Kept {
        /// The transfer.
        key: &'a str,
        /// Bytes.
        offset: u64,
    },
    /// A request to a registry has ended.
    Exchange(&'a Exchange),
    /// A push to one destination is done.
    Summary(&'a Summary),
    /// Something a person should know although the work goes on.
    Warning(&'a str),
    /// Something a person may want to know (`-v`).
    Detail(&'a str),
}

/// The result of a push to one destination. Numbers other than `requests` are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The destination.
    pub destination: String,
    /// The digest it stands for.
    pub digest: String,
    /// Requests.
    pub requests: u64,
    /// All bytes of bodies handed to connections, those that had to be sent again among them.
    pub sent: u64,
    /// Of blobs: sent, each byte once.
    pub uploaded: u64,
    /// Of blobs: there already.
    pub skipped: u64,
    /// Of blobs: taken from another repository.
    pub mounted: u64,
    /// Of blobs: sent by an earlier push.
    pub resumed: u64,
}

/// An HTTP request and what became of it, without anything secret: what is not known to be harmless in
/// queries and headers is hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What the request is called, by us and in its `X-Request-Id`.
    pub id: String,
    /// When it began, in nanoseconds since 1970.
    pub began: i128,
    /// The method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// `HTTP/1.1` or `HTTP/2.0`, once there was an answer.
    pub protocol: Option<String>,
    /// The answer's status.
    pub status: Option<u16>,
    /// Why there was no answer, or no whole one.
    pub fault: Option<String>,
    /// Headers of the request.
    pub request: Vec<(String, String)>,
    /// Headers of the answer.
    pub response: Vec<(String, String)>,
    /// Bytes of the request's body that were handed to the connection.
    pub sent: u64,
    /// Bytes of the answer's body that were read.
    pub received: u64,
    /// How long the answer's head took to come.
    pub answered: Option<std::time::Duration>,
    /// How long all of it took.
    pub took: std::time::Duration,
}

/// Receives events from any thread.
pub trait Progress: Send + Sync {
    /// Takes one report.
    fn emit(&self, event: Event<'_>);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn emit(&self, _event: Event<'_>) {}
}

/// A request to stop, shared between signal handlers and the work.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Interrupt {
    /// Asks the work to stop at its next step.
    pub fn request(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Returns whether a stop was requested. Long loops ask between reads.
    pub fn requested(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

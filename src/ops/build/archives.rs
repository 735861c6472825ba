//! Tar archives as sources: each is read once and becomes one layer.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{BuildError, Counts, LayerOutcome, StoredLayers};
use crate::context::{ContextError, IgnoreRules};
use crate::image::Descriptor;
use crate::layer::{
    Compression, Compressors, Destination, ForeignError, ForeignPlan, Imported, LayerError, LowerTree, Monitor, Owner,
    Packed, Style, import,
};
use crate::progress::{Event, Interrupt, Outcome, Phase, Progress};
use crate::store::{ImageStore, Lease, StoreError};

/// Where an archive comes from.
#[derive(Debug, Clone)]
pub enum ArchiveInput {
    /// A file.
    File(PathBuf),
    /// Something that can be read once.
    Stream(Stream),
}

/// A tar archive that is plain or compressed with gzip or zstd.
#[derive(Debug, Clone)]
pub struct ArchiveSource {
    /// Where it comes from.
    pub input: ArchiveInput,
    /// The directory of the image where it lands.
    pub destination: String,
    /// Whether its entries keep their owners, times and permissions, whatever holds for others.
    pub keep: bool,
    /// Who owns its entries, if not who owns everything.
    pub owner: Option<Owner>,
    /// Permission bits of all its files and directories; without them, those of everything.
    pub mode: Option<u32>,
}

/// A stream that can be read once, shared by clones: the first one to read takes it.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<Option<Box<dyn Read + Send>>>>);

impl Stream {
    /// Returns what `reader` reads.
    pub fn new(reader: impl Read + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(reader)))))
    }

    fn take(&self) -> Option<Box<dyn Read + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl ArchiveInput {
    /// Returns what messages call it.
    pub(super) fn shown(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Stream(_) => PathBuf::from("-"),
        }
    }

    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>, BuildError> {
        match self {
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BuildError::NoSource(path.clone())),
                Err(source) => Err(BuildError::Layer(LayerError::Unreadable { path: path.clone(), source })),
            },
            Self::Stream(stream) => stream.take().ok_or(BuildError::StreamTwice),
        }
    }
}

/// An archive that was opened.
pub(super) struct Opened {
    pub(super) key: String,
    pub(super) shown: PathBuf,
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) destination: Destination,
    pub(super) style: Style,
    pub(super) keep: bool,
    pub(super) takes_dockerfile: bool,
    pub(super) rules: IgnoreRules,
    pub(super) step: String,
}

/// Where its layer goes.
pub(super) struct Importing<'a> {
    pub(super) compression: Compression,
    /// How many threads compress; none for as many as the machine has.
    pub(super) threads: Option<usize>,
    pub(super) store: &'a ImageStore,
    pub(super) lease: &'a Lease,
    /// Gets each layer that is whole in the store.
    pub(super) stored: &'a StoredLayers,
    pub(super) progress: &'a dyn Progress,
    pub(super) interrupt: &'a Interrupt,
}

impl Importing<'_> {
    /// Stores the archive's layer over those of `below`, and what it has in there.
    pub(super) fn put(&self, archive: Opened, below: &mut LowerTree) -> Result<(LayerOutcome, Imported), BuildError> {
        let label = archive.shown.display().to_string();
        let key = archive.key.clone();
        self.progress.emit(Event::Begin { key: &key, label: &label, phase: Phase::Pack, total: None });
        let imported = self.import(archive, below);
        let outcome = if imported.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.progress.emit(Event::End { key: &key, outcome });
        imported
    }

    fn import(&self, archive: Opened, below: &mut LowerTree) -> Result<(LayerOutcome, Imported), BuildError> {
        let Opened { key, shown, reader, destination, style, keep, takes_dockerfile, rules, .. } = archive;
        let plan = ForeignPlan { destination: &destination, style, keep, takes_dockerfile, rules: &rules };
        let unwritten = |source| StoreError::io("write a blob in", self.store.root(), source);
        let compressors = match self.threads {
            Some(threads) => Compressors::on_threads(self.compression, threads),
            None => Compressors::new(self.compression),
        };
        let compressors = compressors.map_err(unwritten)?;
        let sink = self.store.draft_blob(self.lease)?;
        let mut monitor = Monitor::new(self.progress, &key, self.interrupt);
        let (packed, imported) =
            import(reader, &plan, &compressors, sink, &mut monitor, below).map_err(|error| match error {
                ForeignError::Write(source) => BuildError::Store(unwritten(source)),
                ForeignError::Interrupted => BuildError::Interrupted,
                ForeignError::Dockerfile(name) => BuildError::Dockerfile(name.into()),
                ForeignError::IsDockerfile => ContextError::IsDockerfile { path: shown }.into(),
                source => BuildError::Archive { path: shown, source: Box::new(source) },
            })?;
        let Packed { diff_id, uncompressed, digest, size, inner } = packed;
        inner.commit(digest)?;
        let descriptor = Descriptor::new(self.compression.media_type(), digest, size);
        self.stored.put(&descriptor);
        Ok((LayerOutcome { descriptor, diff_id, uncompressed, reused: false }, imported))
    }
}

impl From<&Imported> for Counts {
    fn from(imported: &Imported) -> Self {
        let Imported { files, directories, bytes, .. } = *imported;
        Self { files, directories, bytes }
    }
}

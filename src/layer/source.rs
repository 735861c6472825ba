//! Files of a context, opened for packing: a file that changed since the walk is an error.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use xattr::FileExt;

use super::tar::entry::CAPABILITY;
use super::{LayerError, Monitor};
use crate::context::{Context, Entry, Stamp};

/// The most bytes a capability attribute has (Linux knows 12, 20 and 24).
const MAX_CAPABILITY_BYTES: usize = 64;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// The files of a context.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    context: &'a Context,
}

impl<'a> Source<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Opens the file of an entry; its content must be what `stamp` says.
    pub(super) fn open(self, entry: &Entry, stamp: Stamp) -> Result<OpenFile, LayerError> {
        let path = self.context.shown(entry.relative());
        match self.context.open_file(entry) {
            Ok(file) => OpenFile::new(file, stamp, &path),
            Err(error) => Err(LayerError::opening(path, error)),
        }
    }

    pub(super) fn changed(self, entry: &Entry) -> LayerError {
        LayerError::Changed { path: self.context.shown(entry.relative()) }
    }

    pub(super) fn unreadable(self, entry: &Entry, source: io::Error) -> LayerError {
        LayerError::Unreadable { path: self.context.shown(entry.relative()), source }
    }
}

/// Why the content of a file was not copied.
#[derive(Debug)]
pub(super) enum CopyError {
    /// It ended early, or goes on.
    Changed,
    /// It could not be read.
    Read(io::Error),
    /// It could not be written on.
    Write(io::Error),
    /// The work was asked to stop.
    Interrupted,
}

pub(super) struct OpenFile {
    file: File,
    stamp: Stamp,
}

impl OpenFile {
    fn new(file: File, stamp: Stamp, path: &Path) -> Result<Self, LayerError> {
        let metadata = file.metadata().map_err(|source| LayerError::Unreadable { path: path.to_owned(), source })?;
        if !metadata.is_file() || Stamp::of(&metadata) != stamp {
            return Err(LayerError::Changed { path: path.to_owned() });
        }
        Ok(Self { file, stamp })
    }

    /// Returns the file's capabilities as the system keeps them.
    pub(super) fn capability(&self) -> io::Result<Option<Vec<u8>>> {
        match self.file.get_xattr(CAPABILITY) {
            Ok(Some(value)) if value.len() > MAX_CAPABILITY_BYTES => Err(io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            result => result,
        }
    }

    /// Copies the content and makes sure that it was all, and the same throughout.
    pub(super) fn copy(mut self, out: &mut impl Fill, monitor: &mut Monitor<'_>) -> Result<(), CopyError> {
        // The attributes show afterwards whether the file grew.
        copy_exactly(&mut (&mut self.file).take(self.stamp.size), self.stamp.size, out, monitor)?;
        let metadata = self.file.metadata().map_err(CopyError::Read)?;
        if Stamp::of(&metadata) == self.stamp { Ok(()) } else { Err(CopyError::Changed) }
    }
}

/// Takes bytes where a reader puts them, without a buffer between.
pub(super) trait Fill {
    /// Reads once, `most` bytes at most. Returns their number, 0 at the end of the reader.
    fn fill(&mut self, from: &mut impl Read, most: usize) -> Result<usize, CopyError>;
}

/// Copies `size` bytes from a reader that has no more and no fewer.
pub(super) fn copy_exactly(
    from: &mut impl Read,
    size: u64,
    out: &mut impl Fill,
    monitor: &mut Monitor<'_>,
) -> Result<(), CopyError> {
    let mut left = size;
    loop {
        if monitor.stopped() {
            return Err(CopyError::Interrupted);
        }
        let count = match out.fill(from, READ_BYTES) {
            Err(CopyError::Read(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            Ok(0) if left == 0 => return Ok(()),
            Ok(0) => return Err(CopyError::Changed),
            Ok(count) => count,
        };
        left = left.checked_sub(count as u64).ok_or(CopyError::Changed)?;
        monitor.advance(count as u64);
    }
}

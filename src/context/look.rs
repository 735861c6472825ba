//! Looking at what a walk finds, by threads of their own: that takes as long as finding it.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::{Context, ContextError, Entry, Kind, SpecialKind, Stamp};
use crate::progress::Interrupt;
use crate::threads::spawn_scoped;

/// Paths that a thread takes at a time. A context with fewer is looked at without one.
const SHARE: usize = 512;

/// Shares that wait for a thread, for each core. The walk looks at what is beyond that itself: paths take more memory than
/// entries do.
const WAITING: usize = 4;

/// Paths with their place among all shares.
type Share = (usize, Vec<PathBuf>);

/// The entries of a share, sorted by path.
type Looked = (usize, Result<Vec<Entry>, ContextError>);

/// Threads that look at paths, and the paths that none has yet.
pub(super) struct Lookers<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    sight: &'env Sight<'env>,
    cores: usize,
    threads: Vec<ScopedJoinHandle<'scope, Vec<Looked>>>,
    shares: SyncSender<Share>,
    next: Share,
    /// What the walk has looked at itself.
    looked: Vec<Looked>,
}

/// What all threads need.
struct Sight<'a> {
    context: &'a Context,
    interrupt: &'a Interrupt,
    shares: Mutex<Receiver<Share>>,
}

impl Lookers<'_, '_> {
    /// Runs `walk`, which hands over paths; answers their entries, of which runs are sorted. Of several errors the
    /// walk's own is told, or that of the path which came first.
    pub(super) fn watch(
        context: &Context,
        interrupt: &Interrupt,
        walk: impl FnOnce(&mut Lookers<'_, '_>) -> Result<(), ContextError>,
    ) -> Result<Vec<Entry>, ContextError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (shares, taken) = sync_channel(cores * WAITING);
        let sight = Sight { context, interrupt, shares: Mutex::new(taken) };
        let mut looked = std::thread::scope(|scope| {
            let mut lookers = Lookers {
                scope,
                sight: &sight,
                cores,
                threads: Vec::new(),
                shares,
                next: (0, Vec::new()),
                looked: Vec::new(),
            };
            walk(&mut lookers)?;
            let Lookers { threads, shares, next, mut looked, .. } = lookers;
            drop(shares);
            // The last share, and then those that are still waiting for a thread.
            looked.push(sight.look(next));
            looked.append(&mut sight.work());
            for thread in threads {
                looked.append(&mut thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            Ok::<_, ContextError>(looked)
        })?;
        looked.sort_unstable_by_key(|(number, _)| *number);
        let mut entries = Vec::new();
        for (_, share) in looked {
            entries.append(&mut share?);
        }
        Ok(entries)
    }

    /// Has the path looked at sooner or later.
    pub(super) fn look_at(&mut self, path: PathBuf) {
        self.next.1.push(path);
        if self.next.1.len() < SHARE {
            return;
        }
        let number = self.next.0;
        let full = std::mem::replace(&mut self.next, (number + 1, Vec::with_capacity(SHARE)));
        // The receiver lives as long as this.
        if let Err(TrySendError::Full(share) | TrySendError::Disconnected(share)) = self.shares.try_send(full) {
            self.looked.push(self.sight.look(share));
        }
        // The thread that walks helps at the end, but has enough to do before.
        if self.threads.len() < self.cores {
            let sight = self.sight;
            match spawn_scoped(self.scope, || sight.work()) {
                Ok(thread) => self.threads.push(thread),
                // Those that there are do the work, or the one that walks in the end.
                Err(_) => self.cores = 0,
            }
        }
    }
}

impl Sight<'_> {
    /// Looks at shares until there are no more.
    fn work(&self) -> Vec<Looked> {
        let take = || self.shares.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        std::iter::from_fn(take).map(|share| self.look(share)).collect()
    }

    fn look(&self, (number, paths): Share) -> Looked {
        let look = |path: &PathBuf| {
            if self.interrupt.requested() { Err(ContextError::Interrupted) } else { entry(self.context, path) }
        };
        let mut entries: Result<Vec<Entry>, ContextError> = paths.iter().map(look).collect();
        if let Ok(entries) = &mut entries {
            entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        }
        (number, entries)
    }
}

pub(super) fn entry(context: &Context, relative: &Path) -> Result<Entry, ContextError> {
    let failed = |source| unreadable(context.shown(relative), source);
    let found = context.root().join(relative);
    let metadata = std::fs::symlink_metadata(&found).map_err(failed)?;
    let kind = if metadata.is_dir() {
        Kind::Directory
    } else if metadata.is_symlink() {
        let target = std::fs::read_link(&found).map_err(failed)?;
        Kind::Symlink { target: target.as_os_str().as_bytes().into() }
    } else if metadata.is_file() {
        Kind::File { stamp: Stamp::of(&metadata), links: metadata.nlink() }
    } else {
        let kind = SpecialKind::of(metadata.file_type());
        return Err(ContextError::Special { path: context.shown(relative), kind });
    };
    let path = relative.as_os_str().as_bytes().into();
    Ok(Entry { path, mode: metadata.permissions().mode() & 0o7777, kind })
}

pub(super) fn unreadable(path: PathBuf, source: io::Error) -> ContextError {
    match source.kind() {
        io::ErrorKind::NotFound => ContextError::Vanished { path },
        _ => ContextError::Unreadable { path, source },
    }
}

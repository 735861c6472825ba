//! The walk through a context: what the rules exclude is not looked into unless an exception may match below it, and
//! links are never followed.
//!
//! Threads share the directories: each lists one at a time and looks at what is in it by its name there, since the way
//! from the root to each file would take longer than the look itself. A directory is opened from the context's root
//! without following links, and closed before the next one is opened: a thread has one descriptor at a time.

use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, fstat, statat};

use super::entry::{MAX_DEPTH, relative};
use super::lstat::{entry, unreadable};
use super::pattern::text;
use super::rules::Hits;
use super::{Context, ContextError, Entry, IgnoreRules, Kind, SpecialKind};
use crate::fs::{DIRECTORY, open_beneath};
use crate::progress::Interrupt;
use crate::threads::spawn_scoped;

/// Entries that one thread finds as fast as several.
const FEW: usize = 512;

/// Sockets that a warning names.
const MAX_SOCKETS: usize = 3;

/// What a context holds.
#[derive(Debug, Clone)]
pub struct Listing {
    /// What goes into the image, sorted by the bytes of the path.
    pub entries: Vec<Entry>,
    /// How many things the rules excluded; a directory not looked into counts once.
    pub excluded: u64,
    /// The paths to skip that were met, sorted.
    pub skipped: Vec<PathBuf>,
    /// Sockets, which no image can hold, sorted: they stay out, as docker and buildah have it.
    pub sockets: Vec<Box<[u8]>>,
}

impl Listing {
    /// Returns the warning about sockets that stay out, if there are any.
    pub fn socket_warning(&self, context: &Context) -> Option<String> {
        let shown = |path: &[u8]| format!("`{}`", context.shown(relative(path)).display());
        let first: Vec<String> = self.sockets.iter().take(MAX_SOCKETS).map(|path| shown(path)).collect();
        match (self.sockets.len(), first.join(", ")) {
            (0, _) => None,
            (1, socket) => Some(format!("{socket} is a socket, which an image cannot hold, and stays out")),
            (count, first) if count <= MAX_SOCKETS => {
                Some(format!("sockets stay out, which an image cannot hold: {first}"))
            }
            (count, first) => {
                let more = count - MAX_SOCKETS;
                Some(format!("sockets stay out, which an image cannot hold: {first} and {more} more"))
            }
        }
    }
}

pub(super) fn walk(
    context: &Context,
    rules: &IgnoreRules,
    skip: &[PathBuf],
    interrupt: &Interrupt,
    before: &Before<'_>,
) -> Result<Listing, ContextError> {
    // A directory that was removed lists nothing, without an error.
    if fstat(context.handle()).is_ok_and(|stat| stat.st_nlink == 0) {
        return Err(ContextError::Vanished { path: context.given().to_owned() });
    }
    let skip = relative_to(context.root(), skip);
    let walk = Walk { context, rules, skip, interrupt, before, queue: Mutex::default(), wake: Condvar::new() };
    walk.queue().waiting.push(Directory::default());
    let found = walk.run();
    if interrupt.requested() {
        return Err(ContextError::Interrupted);
    }
    found.listing()
}

/// Returns the paths to skip that are below `root`, relative to it; by components: `/srv/app2/x` is not below
/// `/srv/app`.
pub(super) fn relative_to(root: &Path, skip: &[PathBuf]) -> Vec<Vec<u8>> {
    let below = |path: &PathBuf| path.strip_prefix(root).ok().map(|below| below.as_os_str().as_bytes().to_vec());
    skip.iter().filter_map(below).collect()
}

/// Returns a directory's path for the system's calls; the root has none.
pub(super) fn place(path: &[u8]) -> &Path {
    if path.is_empty() { Path::new(".") } else { relative(path) }
}

/// Called with the path of each directory before it is opened: tests change the tree there.
pub(super) type Before<'a> = dyn Fn(&Path) + Sync + 'a;

/// A directory to list.
#[derive(Default)]
struct Directory {
    /// Relative to the root, which has none.
    path: Box<[u8]>,
    /// The rules that match it or one above it; none for the root.
    hits: Option<Hits>,
    /// Itself, if it is excluded.
    excluded: Option<Arc<OnTheWay>>,
    /// How many directories it is below the root.
    depth: usize,
}

/// A directory that is excluded but may hold something that is not.
struct OnTheWay {
    entry: Entry,
    /// The excluded directory it is in.
    above: Option<Arc<Self>>,
    /// Whether something in it is included, which includes the directory too.
    needed: AtomicBool,
}

impl OnTheWay {
    fn need(&self) {
        // Who was first goes on to those above.
        if !self.needed.swap(true, Ordering::Relaxed)
            && let Some(above) = &self.above
        {
            above.need();
        }
    }
}

struct Walk<'a> {
    context: &'a Context,
    rules: &'a IgnoreRules,
    /// Paths below the root that are left out.
    skip: Vec<Vec<u8>>,
    interrupt: &'a Interrupt,
    before: &'a Before<'a>,
    queue: Mutex<Queue>,
    /// Wakes idle threads when the queue changes.
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Directory>,
    /// Directories that are being listed: more may come of them.
    taken: usize,
    /// Threads without one.
    idle: usize,
}

/// A directory that a thread has taken, and those it has found in it.
struct Turn<'a> {
    walk: &'a Walk<'a>,
    directory: Directory,
    inside: Vec<Directory>,
}

impl Drop for Turn<'_> {
    /// Runs also when the thread panics, since the other threads would wait forever.
    fn drop(&mut self) {
        let mut queue = self.walk.queue();
        queue.waiting.append(&mut self.inside);
        queue.taken -= 1;
        if queue.idle > 0 {
            self.walk.wake.notify_all();
        }
    }
}

impl Walk<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists everything, with further threads once there is enough to do.
    fn run(&self) -> Found {
        let mut wanted = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let mut helpers = Vec::new();
            let mut found = self.work(|found| {
                if helpers.len() < wanted && found.entries.len() > FEW {
                    match spawn_scoped(scope, || self.work(|_| {})) {
                        Ok(helper) => helpers.push(helper),
                        // Those that there are do the work.
                        Err(_) => wanted = 0,
                    }
                }
            });
            for helper in helpers {
                found.add(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            found
        })
    }

    /// Lists directories until there are no more; `after` sees what there is after each.
    fn work(&self, mut after: impl FnMut(&Found)) -> Found {
        let mut found = Found::default();
        while let Some(mut turn) = self.next() {
            self.list(&mut turn, &mut found);
            drop(turn);
            after(&found);
        }
        // Each thread sorts its own: then they only have to be merged.
        found.entries.sort_unstable_by(by_path);
        found
    }

    /// Returns the next directory, waiting for one; none once all are listed or the walk is stopped.
    fn next(&self) -> Option<Turn<'_>> {
        let mut queue = self.queue();
        loop {
            if self.interrupt.requested() {
                return None;
            }
            if let Some(directory) = queue.waiting.pop() {
                queue.taken += 1;
                return Some(Turn { walk: self, directory, inside: Vec::new() });
            }
            if queue.taken == 0 {
                return None;
            }
            queue.idle += 1;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn list(&self, turn: &mut Turn<'_>, found: &mut Found) {
        let path = &*turn.directory.path;
        let failed = |error: rustix::io::Errno| {
            let shown =
                if path.is_empty() { self.context.given().to_owned() } else { self.context.shown(relative(path)) };
            (path.into(), unreadable(shown, error))
        };
        (self.before)(place(path));
        let mut names = match open_beneath(self.context.handle(), place(path), DIRECTORY).and_then(Dir::new) {
            Ok(names) => names,
            Err(error) => return found.fail(failed(error)),
        };
        let mut path = path.to_vec();
        while let Some(name) = names.read() {
            if self.interrupt.requested() {
                return;
            }
            let (name, opened) = match name.and_then(|name| Ok((name, names.fd()?))) {
                Ok(both) => both,
                Err(error) => return found.fail(failed(error)),
            };
            if matches!(name.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            path.truncate(turn.directory.path.len());
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.file_name().to_bytes());
            match self.meet(&turn.directory, opened, &name, &path, found) {
                Ok(inside) => turn.inside.extend(inside),
                Err(error) => found.fail((path.as_slice().into(), error)),
            }
        }
    }

    /// Reads the entry at `path`, which has this name in `directory`. Returns the directory to list, if it is one.
    fn meet(
        &self,
        directory: &Directory,
        opened: BorrowedFd<'_>,
        name: &DirEntry,
        path: &[u8],
        found: &mut Found,
    ) -> Result<Option<Directory>, ContextError> {
        let above = directory.hits.as_ref();
        let shown = if self.rules.rules().is_empty() { None } else { Some(text(path)) };
        let decided_by = shown.as_ref().and_then(|shown| self.rules.last(above, shown));
        let excluded_by = decided_by.filter(|_| self.rules.verdict(decided_by).excluded);
        if let (Some(index), Some(shown)) = (excluded_by, &shown) {
            found.excluded += 1;
            if !is_directory(opened, name) || !self.rules.may_return_below(shown, index) {
                return Ok(None);
            }
        }
        if self.skip.iter().any(|skip| skip == path) {
            found.skipped.push(self.context.root().join(relative(path)));
            return Ok(None);
        }
        let entry = match entry(self.context, opened, name.file_name(), path) {
            Err(ContextError::Special { kind: SpecialKind::Socket, .. }) => {
                found.sockets.push(path.into());
                return Ok(None);
            }
            entry => entry?,
        };
        let depth = directory.depth + 1;
        if depth > MAX_DEPTH {
            return Err(ContextError::TooDeep { path: self.context.shown(relative(path)) });
        }
        let inside = (entry.kind == Kind::Directory).then(|| Directory {
            path: path.into(),
            hits: shown.map(|shown| self.rules.hits(above, &shown)),
            excluded: None,
            depth,
        });
        if excluded_by.is_none() {
            if let Some(excluded) = &directory.excluded {
                excluded.need();
            }
            found.entries.push(entry);
            return Ok(inside);
        }
        let needed = AtomicBool::new(false);
        let excluded = Arc::new(OnTheWay { entry, above: directory.excluded.clone(), needed });
        found.on_the_way.push(Arc::clone(&excluded));
        Ok(inside.map(|inside| Directory { excluded: Some(excluded), ..inside }))
    }
}

/// Where something went wrong, and what.
type Failure = (Box<[u8]>, ContextError);

/// What one thread found.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    on_the_way: Vec<Arc<OnTheWay>>,
    excluded: u64,
    skipped: Vec<PathBuf>,
    sockets: Vec<Box<[u8]>>,
    /// The failure at the least path, so that the reported error does not depend on which thread was faster.
    failed: Option<Failure>,
}

impl Found {
    fn fail(&mut self, failure: Failure) {
        if self.failed.as_ref().is_none_or(|(path, _)| failure.0 < *path) {
            self.failed = Some(failure);
        }
    }

    fn add(&mut self, mut other: Self) {
        self.entries.append(&mut other.entries);
        self.on_the_way.append(&mut other.on_the_way);
        self.excluded += other.excluded;
        self.skipped.append(&mut other.skipped);
        self.sockets.append(&mut other.sockets);
        if let Some(failure) = other.failed {
            self.fail(failure);
        }
    }

    fn listing(self) -> Result<Listing, ContextError> {
        let Self { mut entries, on_the_way, excluded, mut skipped, mut sockets, failed } = self;
        if let Some((_, error)) = failed {
            return Err(error);
        }
        let found = entries.len();
        let needed = on_the_way.iter().filter(|directory| directory.needed.load(Ordering::Relaxed));
        entries.extend(needed.map(|directory| directory.entry.clone()));
        let excluded = excluded - (entries.len() - found) as u64;
        // This sort knows what is sorted already.
        entries.sort_by(by_path);
        skipped.sort_unstable();
        sockets.sort_unstable();
        Ok(Listing { entries, excluded, skipped, sockets })
    }
}

fn by_path(one: &Entry, other: &Entry) -> std::cmp::Ordering {
    one.path.cmp(&other.path)
}

/// Returns whether the name is a directory's; one that cannot be looked at is none.
pub(super) fn is_directory(opened: BorrowedFd<'_>, name: &DirEntry) -> bool {
    let kind = match name.file_type() {
        // Not every file system says it with the name.
        FileType::Unknown => statat(opened, name.file_name(), AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
        kind => kind,
    };
    kind == FileType::Directory
}

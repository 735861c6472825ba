//! The walk through a context: what the rules exclude is not looked into unless an exception may
//! match below it, and links are never followed.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ignore::{DirEntry, WalkBuilder};

use super::look::{Lookers, unreadable};
use super::pattern::text;
use super::rules::Hits;
use super::{Context, ContextError, Entry, IgnoreRules};
use crate::progress::Interrupt;

/// What a context holds.
#[derive(Debug, Clone)]
pub struct Listing {
    /// What goes into the image, sorted by the bytes of the path.
    pub entries: Vec<Entry>,
    /// How many things the rules excluded; a directory not looked into counts once.
    pub excluded: u64,
    /// The paths to skip that were met.
    pub skipped: Vec<PathBuf>,
}

pub(super) fn walk(
    context: &Context,
    rules: IgnoreRules,
    skip: &[PathBuf],
    interrupt: &Interrupt,
) -> Result<Listing, ContextError> {
    let root = context.root();
    let gate = Arc::new(Mutex::new(Gate::new(root.to_owned(), rules, skip.to_vec())));
    let keeper = Arc::clone(&gate);
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .follow_links(false)
        .filter_entry(move |entry| locked(&keeper).admits(entry))
        .build();
    let mut entries = Lookers::watch(context, interrupt, |lookers| {
        // Excluded directories on the way to what is being looked at: they go in once something below does.
        let mut waiting: Vec<PathBuf> = Vec::new();
        let mut returned = 0;
        for found in walk {
            if interrupt.requested() {
                return Err(ContextError::Interrupted);
            }
            let found = found.map_err(|error| walk_error(context, error))?;
            if found.depth() == 0 {
                continue;
            }
            let relative = relative(root, &found).to_owned();
            waiting.retain(|directory| relative.starts_with(directory));
            if locked(&gate).is_provisional(&relative) {
                waiting.push(relative);
            } else {
                returned += waiting.len() as u64;
                waiting.drain(..).chain([relative]).for_each(|path| lookers.look_at(path));
            }
        }
        locked(&gate).excluded -= returned;
        Ok(())
    })?;
    // Each share is sorted: only they have to be merged.
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut gate = locked(&gate);
    Ok(Listing { entries, excluded: gate.excluded, skipped: std::mem::take(&mut gate.skipped) })
}

/// Nobody panics while holding it; the lock only satisfies the walker's bounds.
fn locked<T>(gate: &Mutex<T>) -> MutexGuard<'_, T> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path below `root`, by its bytes: the walker puts names after the path it was given.
fn relative<'a>(root: &Path, entry: &'a DirEntry) -> &'a Path {
    let path = entry.path().as_os_str().as_bytes();
    let below = path.strip_prefix(root.as_os_str().as_bytes()).unwrap_or(path);
    Path::new(OsStr::from_bytes(below.strip_prefix(b"/").unwrap_or(below)))
}

/// Decides, entry by entry, what the walk looks at.
struct Gate {
    root: PathBuf,
    rules: IgnoreRules,
    skip: Vec<PathBuf>,
    /// The rules that match the directories on the way to the last entry.
    trail: Vec<(PathBuf, Hits)>,
    /// Directories that are excluded but may hold something that is not.
    provisional: HashSet<PathBuf>,
    excluded: u64,
    skipped: Vec<PathBuf>,
}

impl Gate {
    fn new(root: PathBuf, rules: IgnoreRules, skip: Vec<PathBuf>) -> Self {
        Self { root, rules, skip, trail: Vec::new(), provisional: HashSet::new(), excluded: 0, skipped: Vec::new() }
    }

    fn admits(&mut self, entry: &DirEntry) -> bool {
        let admitted = self.rules_admit(entry);
        if admitted && self.skip.iter().any(|skip| skip.as_os_str() == entry.path().as_os_str()) {
            self.skipped.push(entry.path().to_owned());
            return false;
        }
        admitted
    }

    /// Whether the directory was let in for what may be below it; answers so once.
    fn is_provisional(&mut self, directory: &Path) -> bool {
        !self.provisional.is_empty() && self.provisional.remove(directory)
    }

    fn rules_admit(&mut self, entry: &DirEntry) -> bool {
        if self.rules.rules().is_empty() {
            return true;
        }
        let relative = relative(&self.root, entry);
        let path = text(relative.as_os_str().as_bytes());
        let parent = relative.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.follow(parent);
        let parent = self.trail.last().map(|(_, hits)| hits);
        let decided_by = self.rules.last(parent, &path);
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        match decided_by {
            Some(index) if self.rules.verdict(decided_by).excluded => {
                self.excluded += 1;
                let looked_into = is_directory && self.rules.may_return_below(&path, index);
                if looked_into {
                    self.provisional.insert(relative.to_owned());
                }
                looked_into
            }
            _ => true,
        }
    }

    /// Makes the trail end at `directory`.
    fn follow(&mut self, directory: Option<&Path>) {
        let Some(directory) = directory else {
            self.trail.clear();
            return;
        };
        if self.trail.last().is_some_and(|(last, _)| last.as_os_str() == directory.as_os_str()) {
            return;
        }
        while self.trail.last().is_some_and(|(last, _)| !directory.starts_with(last)) {
            self.trail.pop();
        }
        let known = self.trail.last().map_or(0, |(last, _)| last.components().count());
        let mut path: PathBuf = directory.components().take(known).collect();
        for name in directory.components().skip(known) {
            path.push(name);
            let parent = self.trail.last().map(|(_, hits)| hits);
            let hits = self.rules.hits(parent, &text(path.as_os_str().as_bytes()));
            self.trail.push((path.clone(), hits));
        }
    }
}

/// The walker's error with the path it is about.
fn walk_error(context: &Context, error: ignore::Error) -> ContextError {
    let path = match error_path(&error) {
        Some(path) => match path.strip_prefix(context.root()) {
            Ok(relative) if relative.as_os_str().is_empty() => context.given().to_owned(),
            Ok(relative) => context.shown(relative),
            Err(_) => path.to_owned(),
        },
        None => context.given().to_owned(),
    };
    let text = error.to_string();
    unreadable(path, error.into_io_error().unwrap_or_else(|| io::Error::other(text)))
}

fn error_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error_path(err),
        ignore::Error::Partial(errors) => errors.iter().find_map(error_path),
        _ => None,
    }
}

//! What goes into an image, in the order in which later sources win: the context, further files and directories, tar
//! archives.
//!
//! Each source makes layers of its own over those of the sources before it. All of them are looked at before
//! anything is packed.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::archives::{ArchiveInput, ArchiveSource, Importing, Opened};
use super::layers::Layering;
use super::lower_tree;
use super::warnings::warnings;
use super::{BuildConfig, BuildError, Counts, LayerOutcome, Request, store_root};
use crate::context::{Context, ContextError, Entry, IgnoreRules, Kind, LeaveOut, Listing, SecretFiles, real, rules};
use crate::layer::split;
use crate::layer::{Destination, Imported, LowerTree, Owner, Placement, Style};
use crate::progress::{Event, Interrupt, Progress};
use crate::store::{ImageStore, Lease};

/// The most layers that Docker's usual storage driver can put over one another.
const MOST_LAYERS: usize = 127;

/// What goes into the image besides the directory that is the context.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What the context is.
    pub context: ContextSource,
    /// Further files and directories, over the context.
    pub copies: Vec<CopySource>,
    /// Tar archives, over those.
    pub archives: Vec<ArchiveSource>,
}

impl Sources {
    /// Returns these sources with a directory as the context.
    #[must_use]
    pub fn with_directory(self) -> Self {
        Self { context: ContextSource::Directory, ..self }
    }
}

/// What the context is.
#[derive(Debug, Clone, Default)]
pub enum ContextSource {
    /// A directory.
    #[default]
    Directory,
    /// A tar archive, of which the ignore file inside does not count: it may come after what it is about.
    Archive(ArchiveInput),
    /// There is none.
    Absent,
}

/// A file, or a directory whose content counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// Where it is. A link to it will do.
    pub path: PathBuf,
    /// Where in the image it lands, from its root: of a directory, its content; of a file, the file itself, or the file
    /// under its own name if there is a slash at the end.
    pub destination: String,
    /// Who owns it, if not who owns everything.
    pub owner: Option<Owner>,
    /// Permission bits of all files and directories of it; without them, those of everything.
    pub mode: Option<u32>,
}

/// What all sources came to.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) layers: Vec<LayerOutcome>,
    /// What made each layer, for the history.
    pub(super) steps: Vec<String>,
    pub(super) counts: Counts,
    /// Things that the context's rules excluded.
    pub(super) excluded: u64,
    /// The context's ignore file.
    pub(super) ignore_file: Option<PathBuf>,
}

/// A source of files whose entries are listed.
struct ListedSource {
    key: String,
    label: String,
    context: Context,
    entries: Vec<Entry>,
    destination: Destination,
    style: Style,
    step: String,
}

/// Stores the layers of all sources.
pub(super) fn gather(
    config: &BuildConfig,
    request: &Request,
    store: &ImageStore,
    lease: &Lease,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Gathered, BuildError> {
    let conditions = config.conditions.as_ref();
    let store_root = store_root(conditions.map_or(store, |conditions| &conditions.store).root())?;
    let threads = conditions.map(|conditions| conditions.threads);
    let private = real(&config.private);
    let look = Look { config, request, store_root, private, progress, interrupt };
    let mut gathered = Gathered::default();
    let mut first = None;
    let mut sources = Vec::new();
    match &config.sources.context {
        ContextSource::Directory => sources.push(look.context(&mut gathered)?),
        ContextSource::Archive(input) => first = Some(look.archived_context(input, &mut gathered)?),
        ContextSource::Absent => {}
    }
    for (number, copy) in config.sources.copies.iter().enumerate() {
        sources.push(look.copy(number + 1, copy)?);
    }
    let archives = config.sources.archives.iter().enumerate();
    let archives =
        archives.map(|(number, archive)| look.archive(number + 1, archive)).collect::<Result<Vec<_>, _>>()?;
    for layer in config.base.iter().flat_map(|base| &base.layers) {
        config.stored.put(layer);
    }
    let needs_below = first.is_some() || !archives.is_empty() || sources.iter().any(ListedSource::needs_below);
    let mut below = match &config.base {
        Some(base) if needs_below => {
            let cache = config.cache.as_ref().filter(|cache| !sources.iter().any(|source| source.has(&cache.state)));
            let store = conditions.map_or(store, |conditions| &conditions.store);
            lower_tree::of_base(base, store, cache, progress, interrupt)?
        }
        _ => LowerTree::default(),
    };
    let stored = &config.stored;
    let importing = Importing { compression: request.compression, threads, store, lease, stored, progress, interrupt };
    if let Some(archive) = first {
        let imported = gathered.take(archive, LeaveOut::Patterns, &importing, &mut below)?;
        gathered.excluded = imported.excluded;
        if imported.ignore_file && config.ignore_file.is_none() {
            progress.emit(Event::Warning(
                "the ignore file in the tar stream does not count; name one with --ignorefile, or give patterns",
            ));
        }
    }
    let mut sources = sources.into_iter().peekable();
    while let Some(source) = sources.next() {
        let placement = source.placement(&below, progress)?;
        if sources.peek().is_some() || !archives.is_empty() {
            placement.lay_over(&source.entries, &mut below);
        }
        gathered.counts.add(&Counts::of(&source.entries));
        let layering = Layering {
            key: &source.key,
            label: &source.label,
            context: &source.context,
            placement: &placement,
            style: source.style,
            compression: request.compression,
            store,
            lease,
            cache: config.cache.as_ref().filter(|cache| !source.has(&cache.state)),
            threads,
            stored: &config.stored,
            progress,
            interrupt,
        };
        let layers = layering.put(&split(&source.entries, config.layers))?;
        gathered.steps.extend(std::iter::repeat_n(source.step, layers.len()));
        gathered.layers.extend(layers);
    }
    for archive in archives {
        gathered.take(archive, LeaveOut::Archive, &importing, &mut below)?;
    }
    let count = gathered.layers.len() + config.base.as_ref().map_or(0, |base| base.layers.len());
    if count > MOST_LAYERS {
        let warning = format!("the image has {count} layers; Docker runs no image with more than {MOST_LAYERS}");
        progress.emit(Event::Warning(&warning));
    }
    Ok(gathered)
}

impl Gathered {
    /// Stores the layer of an archive, and warns of its secrets, which are left out in this way.
    fn take(
        &mut self,
        archive: Opened,
        how: LeaveOut<'_>,
        importing: &Importing<'_>,
        below: &mut LowerTree,
    ) -> Result<Imported, BuildError> {
        let step = archive.step.clone();
        let shown = format!("`{}`", archive.shown.display());
        let (layer, imported) = importing.put(archive, below)?;
        self.steps.push(step);
        self.layers.push(layer);
        self.counts.add(&Counts::from(&imported));
        if let Some(key) = &imported.dropped {
            let warning =
                format!("{shown} has extended attributes ({key}), and of these only capabilities go into the image");
            importing.progress.emit(Event::Warning(&warning));
        }
        if let Some(warning) = imported.secrets.warning(Some(&shown), how) {
            importing.progress.emit(Event::Warning(&warning));
        }
        Ok(imported)
    }
}

impl ListedSource {
    /// Returns whether the source needs the tree of the lower layers: for a directory, and for a file whose destination
    /// may be one.
    fn needs_below(&self) -> bool {
        !self.destination.is_root() || self.entries.iter().any(|entry| entry.kind == Kind::Directory)
    }

    /// Returns whether the program's directory is in it, so that to keep something would itself change the source.
    fn has(&self, state: &Path) -> bool {
        // What does not exist yet would be made where its first parent that does exist is.
        let real = state.ancestors().find_map(|path| std::fs::canonicalize(path).ok());
        !self.destination.is_file() && real.is_none_or(|real| real.starts_with(self.context.root()))
    }

    /// Returns where it lands over the layers below.
    fn placement(&self, below: &LowerTree, progress: &dyn Progress) -> Result<Placement, BuildError> {
        let refused = |source| BuildError::Placement {
            label: self.label.clone(),
            destination: self.destination.to_string(),
            source,
        };
        let mut placement = Placement::new(&self.destination, self.style, below).map_err(refused)?;
        for followed in placement.follow(&self.entries, below).map_err(refused)? {
            progress.emit(Event::Warning(&followed.to_string()));
        }
        Ok(placement)
    }
}

/// What looking at a source takes.
struct Look<'a> {
    config: &'a BuildConfig,
    request: &'a Request,
    store_root: PathBuf,
    private: Vec<PathBuf>,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Look<'_> {
    /// Returns the directory that is the context.
    fn context(&self, gathered: &mut Gathered) -> Result<ListedSource, BuildError> {
        let config = self.config;
        let context = Context::open(&config.context)?;
        if let Some(name) = context.dockerfile().filter(|_| !config.packs_dockerfile) {
            return Err(BuildError::Dockerfile(context.shown(Path::new(name))));
        }
        gathered.ignore_file = context.ignore_file(config.ignore_file.as_deref())?;
        let listing = self.list(&context, gathered.ignore_file.as_deref(), &config.exclude)?;
        gathered.excluded = listing.excluded;
        self.warn(&warnings(&listing, &context, gathered.ignore_file.as_deref(), false, &self.store_root));
        Ok(ListedSource {
            key: "context".to_owned(),
            label: context.given().display().to_string(),
            context,
            entries: listing.entries,
            destination: self.request.destination.clone(),
            style: self.request.style,
            step: format!("idpbuilder-build COPY . {}", self.request.destination),
        })
    }

    /// Returns the archive that stands for the context.
    fn archived_context(&self, input: &ArchiveInput, gathered: &mut Gathered) -> Result<Opened, BuildError> {
        let config = self.config;
        gathered.ignore_file.clone_from(&config.ignore_file);
        Ok(Opened {
            key: "context".to_owned(),
            shown: input.shown(),
            rules: rules(config.ignore_file.as_deref(), &config.exclude)?,
            reader: input.open()?,
            destination: self.request.destination.clone(),
            style: self.request.style,
            keep: false,
            takes_dockerfile: config.packs_dockerfile,
            step: format!("idpbuilder-build COPY . {}", self.request.destination),
        })
    }

    /// Returns the `number`th archive.
    fn archive(&self, number: usize, archive: &ArchiveSource) -> Result<Opened, BuildError> {
        let ArchiveSource { input, destination, keep, owner, mode } = archive;
        let destination = Destination::parse(destination)
            .map_err(|source| BuildError::Destination { path: destination.clone(), source })?;
        Ok(Opened {
            key: format!("archive {number}"),
            shown: input.shown(),
            reader: input.open()?,
            step: format!("idpbuilder-build ADD tar {destination}"),
            destination,
            // What is kept as it is in the archive is not as it is for everything.
            style: if *keep { Style { mode: None, ..self.request.style } } else { self.style_of(*owner, *mode) },
            keep: *keep,
            takes_dockerfile: true,
            rules: IgnoreRules::default(),
        })
    }

    /// Returns the `number`th further file or directory.
    fn copy(&self, number: usize, copy: &CopySource) -> Result<ListedSource, BuildError> {
        let refused = |source| BuildError::Destination { path: copy.destination.clone(), source };
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => BuildError::NoSource(copy.path.clone()),
            _ => ContextError::Unreadable { path: copy.path.clone(), source }.into(),
        };
        let is_directory = std::fs::metadata(&copy.path).map_err(unreadable)?.is_dir();
        let (context, entries, destination, what) = if is_directory {
            let destination = Destination::parse(&copy.destination).map_err(refused)?;
            let context = Context::open(&copy.path)?;
            let ignore_file = context.ignore_file(None)?;
            let listing = self.list(&context, ignore_file.as_deref(), &[])?;
            self.warn(&warnings(&listing, &context, ignore_file.as_deref(), true, &self.store_root));
            (context, listing.entries, destination, ".".to_owned())
        } else {
            let own = copy.path.file_name().unwrap_or_default().as_bytes();
            let destination = Destination::parse_file(&copy.destination, own).map_err(refused)?;
            let (context, name) = beside(&copy.path).map_err(unreadable)?;
            let entry = context.entry(Path::new(&name))?;
            let is_secret = !context.secrets(std::slice::from_ref(&entry)).is_empty();
            let secrets: SecretFiles = is_secret.then(|| copy.path.as_os_str().as_bytes()).into_iter().collect();
            self.warn(secrets.warning(None, LeaveOut::Source).as_slice());
            // Where the file is does not show, and what it is called only where it keeps the name.
            let what = destination.to_string().rsplit('/').next().unwrap_or_default().to_owned();
            (context, vec![entry], destination, what)
        };
        Ok(ListedSource {
            key: format!("copy {number}"),
            label: copy.path.display().to_string(),
            step: format!("idpbuilder-build COPY {what} {destination}"),
            context,
            entries,
            destination,
            style: self.style_of(copy.owner, copy.mode),
        })
    }

    /// Returns the style of a source for itself: what it does not say is as it is for everything.
    fn style_of(&self, owner: Option<Owner>, mode: Option<u32>) -> Style {
        let all = self.request.style;
        Style {
            owner: owner.unwrap_or(all.owner),
            above: owner.map(|_| all.owner),
            mode: mode.or(all.mode),
            modified: all.modified,
        }
    }

    fn list(&self, context: &Context, file: Option<&Path>, exclude: &[String]) -> Result<Listing, BuildError> {
        let rules = context.rules(file, exclude)?;
        if self.store_root == context.root() {
            return Err(BuildError::ContextIsStore(context.given().to_owned()));
        }
        if self.private.iter().any(|private| private == context.root()) {
            return Err(BuildError::ContextIsPrivate(context.given().to_owned()));
        }
        let skip = [std::slice::from_ref(&self.store_root), &self.private].concat();
        Ok(context.list(&rules, &skip, self.interrupt)?)
    }

    fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.progress.emit(Event::Warning(warning));
        }
    }
}

/// Returns the directory that a file really is in, and its name there: nothing follows links when the file is packed.
fn beside(path: &Path) -> io::Result<(Context, Box<OsStr>)> {
    let real = if path.is_symlink() { std::fs::canonicalize(path)? } else { path.to_owned() };
    let name = real.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = real.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = Context::open(directory).map_err(io::Error::other)?;
    Ok((context, name.into()))
}

//! What `idpbuilder-build` puts into the image besides its context, as it is typed.

use std::path::{Path, PathBuf};

use super::values::{mode, owner};
use crate::cli::args::image_config::absolute;
use crate::cli::failure::Failure;
use crate::cli::terminal::Ui;
use crate::ops::build::{ArchiveInput, ArchiveSource, ContextSource, CopySource, Owner, Sources, Stream};

/// Further sources, each a layer or more over those before it.
#[derive(Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// Permissions of all files and directories alike, in octal, as docker's COPY --chmod
    #[arg(long, value_name = "MODE")]
    chmod: Option<String>,
    /// Further file, or the content of a directory, in layers over the context's; repeatable, later ones win. DEST is
    /// an absolute path of the image, through the links of the layers below: for a file its new name, or the directory
    /// if it is one or ends with a slash. A directory's own ignore file counts, --exclude and --ignorefile do not. Without
    /// CONTEXT there is no context then
    #[arg(long, value_name = "SRC[:DEST][,chown=UID[:GID]][,chmod=MODE]")]
    copy: Vec<String>,
    /// Tar archive, plain or compressed with gzip or zstd, as a layer over all others; `-` is standard input; repeatable,
    /// later ones win. DEST is an absolute directory of the image. Entries get the owner and the time of all files, and
    /// --chmod's permissions, unless `keep` is given. Without CONTEXT there is no context then
    #[arg(long, value_name = "FILE[:DEST][,keep|,chown=UID[:GID]][,chmod=MODE]", allow_hyphen_values = true)]
    add_tar: Vec<String>,
}

impl SourceArgs {
    /// Whether nothing but the context goes in.
    pub(crate) fn is_empty(&self) -> bool {
        self.copy.is_empty() && self.add_tar.is_empty()
    }

    /// What the permissions of everything are.
    pub(crate) fn mode(&self) -> Result<Option<u32>, Failure> {
        self.chmod.as_deref().map(|text| mode("--chmod", text)).transpose()
    }

    /// All sources; `context` is the one that was given, and each source is read as `reading` says.
    pub(crate) fn resolve(&self, ui: &Ui, context: Option<&PathBuf>, reading: Reading) -> Result<Sources, Failure> {
        let copies = self.copy.iter().map(|text| copy(text)).collect::<Result<Vec<_>, _>>()?;
        let archives = self.add_tar.iter().map(|text| archive(text)).collect::<Result<Vec<_>, _>>()?;
        let context = match context {
            Some(path) if is_standard_input(path) => ContextSource::Archive(input(path)),
            Some(_) => ContextSource::Directory,
            None => ContextSource::Absent,
        };
        let inputs = archives.iter().map(|archive| &archive.input);
        let mut streams = inputs.filter(|input| matches!(input, ArchiveInput::Stream(_))).count();
        streams += usize::from(matches!(context, ContextSource::Archive(_)));
        if streams > 0 && ui.env.stdin_is_terminal {
            return Err(Failure::usage("there is no archive on a terminal")
                .hint("pipe one, for example: tar -C DIR -c . | idpbuilder-build - -t NAME"));
        }
        // The first reader would take the other's bytes: part of an archive would be sent as a password.
        if streams * reading.times + usize::from(streams > 0 && reading.password) > 1 {
            return Err(Failure::usage("standard input can be read only once")
                .hint("keep the archive in a file, or unpack it and name the directory"));
        }
        Ok(Sources { context, copies, archives })
    }
}

/// Who reads the sources, and what else is read where they may come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// How often each source is read.
    pub(crate) times: usize,
    /// Whether standard input has a password.
    pub(crate) password: bool,
}

/// `SRC[:DEST]` and what follows it behind commas.
struct Place<'a> {
    source: &'a str,
    destination: String,
    options: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Place<'a> {
    /// Takes apart what `flag` was given; `form` is how it should look.
    fn parse(flag: &str, form: &str, text: &'a str, known: &[&str]) -> Result<Self, Failure> {
        let wrong = || Failure::usage(format!("{flag} takes {form}, not `{text}`"));
        let mut rest = text;
        let mut options = Vec::new();
        while let Some((before, option)) = rest.rsplit_once(',') {
            let (key, value) = option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value)));
            if !known.contains(&key) {
                // A comma of the path, unless it looks like a mistyped option.
                if value.is_some() && key.bytes().all(|byte| byte.is_ascii_lowercase()) {
                    return Err(Failure::usage(format!("{flag} has no option `{key}`"))
                        .hint(format!("options are {}", known.join(", "))));
                }
                break;
            }
            if options.iter().any(|(other, _)| *other == key) {
                return Err(Failure::usage(format!("{flag} has `{key}` twice in `{text}`")));
            }
            options.push((key, value));
            rest = before;
        }
        // A destination is absolute, so that a colon alone may be part of the source's name.
        let (source, destination) = match rest.rsplit_once(":/") {
            Some((source, destination)) => (source, absolute(flag, &format!("/{destination}"))?),
            // What is there under that name is what was meant.
            None if rest.contains(':') && Path::new(rest).exists() => {
                return Err(wrong().hint(format!("the file's name has a colon; write DEST behind it: {rest}:/srv/")));
            }
            None if rest.contains(':') => {
                return Err(wrong().hint("DEST is an absolute path of the image, for example /srv/"));
            }
            None => (rest, "/".to_owned()),
        };
        if source.is_empty() {
            return Err(wrong());
        }
        Ok(Self { source, destination, options })
    }

    /// What the option has for a value, if it is there.
    fn option(&self, wanted: &str) -> Option<&'a str> {
        self.options.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.unwrap_or_default())
    }

    /// What `chown` and `chmod` say.
    fn attributes(&self, flag: &str) -> Result<(Option<Owner>, Option<u32>), Failure> {
        let owner = self.option("chown").map(|value| owner(&format!("{flag}'s chown"), value)).transpose()?;
        let mode = self.option("chmod").map(|value| mode(&format!("{flag}'s chmod"), value)).transpose()?;
        Ok((owner, mode))
    }
}

/// Whether the path is the dash that stands for standard input.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn input(path: &Path) -> ArchiveInput {
    if is_standard_input(path) {
        ArchiveInput::Stream(Stream::new(std::io::stdin()))
    } else {
        ArchiveInput::File(path.to_owned())
    }
}

fn archive(text: &str) -> Result<ArchiveSource, Failure> {
    let form = "FILE[:DEST][,keep] or FILE[:DEST][,chown=UID[:GID]][,chmod=MODE]";
    let place = Place::parse("--add-tar", form, text, &["keep", "chown", "chmod"])?;
    let (owner, mode) = place.attributes("--add-tar")?;
    if place.options.iter().any(|(key, value)| *key == "keep" && value.is_some()) {
        return Err(Failure::usage(format!("--add-tar takes {form}, not `{text}`")));
    }
    let keep = place.option("keep").is_some();
    if keep && (owner.is_some() || mode.is_some()) {
        return Err(Failure::usage(format!("--add-tar cannot both keep and change what `{text}` has"))
            .hint("leave out `keep`, which leaves owners, times and permissions as they are in the archive"));
    }
    Ok(ArchiveSource { input: input(Path::new(place.source)), destination: place.destination, keep, owner, mode })
}

fn copy(text: &str) -> Result<CopySource, Failure> {
    let form = "SRC[:DEST][,chown=UID[:GID]][,chmod=MODE]";
    let place = Place::parse("--copy", form, text, &["chown", "chmod"])?;
    let (owner, mode) = place.attributes("--copy")?;
    Ok(CopySource { path: place.source.into(), destination: place.destination, owner, mode })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn copies_are_taken_apart_from_the_end() {
        let parse = |text: &str| copy(text).expect(text);
        let plain = |path: &str, destination: &str| CopySource {
            path: path.into(),
            destination: destination.into(),
            owner: None,
            mode: None,
        };
        assert_eq!(parse("site"), plain("site", "/"));
        assert_eq!(parse("a,b"), plain("a,b", "/"));
        assert_eq!(parse("site:/srv/"), plain("site", "/srv/"));
        assert_eq!(parse("a:b:/srv"), plain("a:b", "/srv"));
        let owner = Some(Owner { uid: 5, gid: 6 });
        assert_eq!(parse("a:/b,chown=5:6"), CopySource { owner, ..plain("a", "/b") });
        assert_eq!(parse("a,chmod=0640,chown=5:6"), CopySource { owner, mode: Some(0o640), ..plain("a", "/") });
        for wrong in [
            "",
            ":/srv",
            ",chmod=644",
            "a:srv",
            "a:",
            "a,chmod=",
            "a,chmod=9",
            "a,chown=me",
            "a,mode=7",
            "a,chmod=1,chmod=2",
        ] {
            assert!(copy(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn archives_are_taken_apart_likewise() {
        for (text, file, destination, keep) in [
            ("a.tar", "a.tar", "/", false),
            ("a.tar:/srv", "a.tar", "/srv", false),
            ("a.tar:/srv,keep", "a.tar", "/srv", true),
            ("a,b.tar,keep", "a,b.tar", "/", true),
        ] {
            let parsed = archive(text).expect(text);
            assert!(matches!(&parsed.input, ArchiveInput::File(path) if path == Path::new(file)), "{text}");
            assert_eq!((parsed.destination.as_str(), parsed.keep), (destination, keep), "{text}");
        }
        assert!(matches!(archive("-").expect("valid").input, ArchiveInput::Stream(_)));
        let changed = archive("a.tar:/opt,chmod=0755,chown=5:6").expect("valid");
        assert_eq!((changed.destination.as_str(), changed.keep), ("/opt", false));
        assert_eq!((changed.owner, changed.mode), (Some(Owner { uid: 5, gid: 6 }), Some(0o755)));
        for wrong in [
            "",
            ":/srv",
            "a.tar:srv",
            "a.tar,keep=1",
            "a.tar,keep,keep",
            "a.tar,chown=me",
            "a.tar,chmod",
            "a.tar,keep,chown=1",
            "a.tar,chmod=644,keep",
        ] {
            assert!(archive(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_typed(text in "[a:/,=. chmodwn0-9-]{0,40}") {
            if let Ok(copy) = copy(&text) {
                prop_assert!(copy.destination.starts_with('/') && !copy.path.as_os_str().is_empty());
            }
        }
    }
}

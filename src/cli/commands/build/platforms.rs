//! `idpbuilder-build` for several platforms: an index of one image each.

use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::image::Platform;
use crate::ops::build::IndexOutcome;
use crate::text;

/// `--platform` as a list, in which none comes twice by whatever name.
pub(crate) fn platforms(text: &str) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in text.split(',') {
        let platform = text.trim().parse::<Platform>()?.canonical();
        if platforms.iter().any(|other| other.is_same(&platform)) {
            return Err(Failure::usage(format!("--platform names {platform} twice")));
        }
        platforms.push(platform);
    }
    Ok(platforms)
}

/// `PLATFORM=DIR` arguments, each for one of `platforms`.
pub(crate) fn contexts(given: &[String], platforms: &[Platform]) -> Result<Vec<(Platform, PathBuf)>, Failure> {
    let mut contexts: Vec<(Platform, PathBuf)> = Vec::new();
    for text in given {
        let (platform, directory) = text
            .split_once('=')
            .filter(|(_, directory)| !directory.is_empty())
            .ok_or_else(|| Failure::usage(format!("--context-for takes PLATFORM=DIR, not `{text}`")))?;
        let asked = platform.parse::<Platform>()?;
        let Some(platform) = platforms.iter().find(|other| other.is_same(&asked)).cloned() else {
            let platform = asked;
            return Err(Failure::usage(format!("--context-for names {platform}, which is not built"))
                .hint(format!("add it to --platform, for example --platform linux/amd64,{platform}")));
        };
        if contexts.iter().any(|(other, _)| *other == platform) {
            return Err(Failure::usage(format!("--context-for names {platform} twice")));
        }
        contexts.push((platform, PathBuf::from(directory)));
    }
    Ok(contexts)
}

pub(crate) fn summary(outcome: &IndexOutcome, store: &Path) -> String {
    let saved = outcome.names.iter().map(|name| format!("Index saved to local store: {name}"));
    let mut lines: Vec<String> = saved.collect();
    lines.push(format!("  digest    {}", outcome.document.digest()));
    for (platform, image) in &outcome.images {
        lines.push(format!("  image     {platform} {} ({})", image.document.digest(), text::size(image.size)));
    }
    lines.push(format!("  store     {}", store.display()));
    lines.join("\n")
}

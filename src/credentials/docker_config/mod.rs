//! Credentials in files of Docker's form: `config.json`, and the containers tools' `auth.json`.
//!
//! This module chooses the entry and the helper; `entry` interprets an entry. `docker_credential`'s own way of running
//! helpers is not used, because it has no limits.

mod entry;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use entry::{Damaged, read_entry};

use super::helper::{self, Helpers, OWN_HELPER};
use super::host::is_hub;
use super::{Answer, Credential, CredentialError, CredentialSource, HostKey, MAX_CONFIG_BYTES, Secret};
use crate::fs::{Links, Unreadable, read_regular};
use crate::image::host_and_port;

/// The port of https, which addresses have when they name none, and the port of http.
const HTTPS_PORT: u16 = 443;
const PLAIN_PORT: u16 = 80;

/// Docker Hub's key in `auths` and its name for helpers.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Credentials in a configuration of Docker's form.
#[derive(Debug)]
pub struct DockerConfig {
    place: Place,
    helpers: Helpers,
    /// Whether a missing file is an error.
    named: bool,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Variable(String, Secret),
}

/// The parts that matter; everything else is left alone.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    creds_store: Option<String>,
}

impl DockerConfig {
    /// Returns a source that reads the file at `path` for each question; a missing file has no credentials.
    pub fn file(path: PathBuf, helpers: Helpers) -> Self {
        Self { place: Place::File(path), helpers, named: false }
    }

    /// Returns a source for a file that was named explicitly; a missing file is an error.
    pub fn named_file(path: PathBuf, helpers: Helpers) -> Self {
        Self { place: Place::File(path), helpers, named: true }
    }

    /// Returns a source for a configuration in a variable's value (`DOCKER_AUTH_CONFIG`).
    pub fn variable(name: &str, value: Secret, helpers: Helpers) -> Self {
        Self { place: Place::Variable(name.to_owned(), value), helpers, named: false }
    }

    /// Reads the file or variable; an empty one (also `null` and `/dev/null`) counts as missing.
    fn load(&self) -> Result<Option<Config>, CredentialError> {
        let bytes = match &self.place {
            Place::File(path) if path == Path::new("/dev/null") => return Ok(None),
            Place::File(path) => {
                let failed = |source| CredentialError::Read { path: path.clone(), source };
                match read(path) {
                    Ok(bytes) => bytes,
                    Err(error) if error.kind() == io::ErrorKind::NotFound && !self.named => return Ok(None),
                    Err(error) if matches!(Unreadable::of(&error), Some(Unreadable::TooLarge { .. })) => {
                        return Err(CredentialError::TooLarge { origin: self.name() });
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
            Place::Variable(_, value) => Zeroizing::new(value.expose().as_bytes().to_vec()),
        };
        if bytes.len() as u64 > MAX_CONFIG_BYTES {
            return Err(CredentialError::TooLarge { origin: self.name() });
        }
        // The parser's message may quote a secret.
        let syntax = |error: serde_json::Error| CredentialError::Syntax {
            origin: self.name(),
            line: error.line(),
            column: error.column(),
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&bytes).map_err(syntax)
    }

    fn search(&self, registry: &str, repository: &str) -> Result<Answer, CredentialError> {
        let Some(config) = self.load()? else { return Ok(Answer::NotFound) };
        let names = names(registry, repository);
        let helper = config.helper(&names);
        match &helper {
            // The helper is this program, whose sources are in the chain.
            Some(Helper { name: OWN_HELPER, .. }) => return Ok(Answer::Own(self.entry(&config, &names)?)),
            None => {}
            Some(Helper { name, for_all }) => match self.ask(name, registry) {
                Answer::NotFound => {}
                // A helper for every registry (`credsStore`) that fails does not end the search.
                Answer::Failed(error) if *for_all && !error.is_interrupt() => {
                    return Ok(Answer::Doubtful(error, self.entry(&config, &names)?));
                }
                answer => return Ok(answer),
            },
        }
        Ok(self.entry(&config, &names)?.map_or(Answer::NotFound, Answer::Found))
    }

    fn ask(&self, helper: &str, registry: &str) -> Answer {
        if !helper::is_name(helper) {
            let helper = helper.chars().take(64).collect();
            return Answer::Failed(CredentialError::HelperName { origin: self.name(), helper });
        }
        let asked = |server: &str| helper::ask(helper, server, &self.helpers);
        let Ok(key) = registry.parse::<HostKey>() else { return asked(registry) };
        if is_hub(key.host()) && key.port() == HTTPS_PORT {
            return asked(HUB_KEY);
        }
        // The login may be stored under either form of the address, as the user typed it.
        match (asked(registry), other_form(registry, &key)) {
            (Answer::NotFound, Some(other)) => asked(&other),
            (answer, _) => answer,
        }
    }

    /// Returns the entry that the file itself has.
    fn entry(&self, config: &Config, names: &[String]) -> Result<Option<Credential>, CredentialError> {
        let Some(auths) = &config.auths else { return Ok(None) };
        for (name, entry) in lookup(auths, names) {
            let damaged = || CredentialError::Entry { origin: self.name(), registry: name.clone() };
            if let Some(credential) = read_entry(entry).map_err(|Damaged| damaged())? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

impl CredentialSource for DockerConfig {
    fn name(&self) -> String {
        match &self.place {
            Place::File(path) => format!("`{}`", path.display()),
            Place::Variable(name, _) => format!("`{name}`"),
        }
    }

    fn exposed(&self, registry: &str, repository: &str) -> Option<PathBuf> {
        let Place::File(path) = &self.place else { return None };
        if !is_readable_by_others(path) {
            return None;
        }
        // If a helper has the secret, the file may be readable.
        let config = self.load().ok()??;
        let entry = self.entry(&config, &names(registry, repository));
        entry.is_ok_and(|entry| entry.is_some()).then(|| path.clone())
    }

    fn find(&self, registry: &str, repository: &str) -> Answer {
        match self.search(registry, repository) {
            Ok(answer) => answer,
            // A file that was named explicitly must exist. One that cannot be parsed says nothing about this registry.
            Err(error @ CredentialError::Read { .. }) if self.named => Answer::Failed(error),
            Err(error) => Answer::Doubtful(error, None),
        }
    }
}

/// Returns the address with or without the port of https, whichever `registry` is not.
fn other_form(registry: &str, key: &HostKey) -> Option<String> {
    let full = format!("{}:{}", key.host(), key.port());
    match key.port() {
        HTTPS_PORT if registry.eq_ignore_ascii_case(&full) => Some(key.host().to_owned()),
        HTTPS_PORT => Some(full),
        _ => None,
    }
}

/// A helper that applies.
struct Helper<'a> {
    name: &'a str,
    /// Whether it is the helper for every registry (`credsStore`).
    for_all: bool,
}

impl Config {
    /// Returns the helper to ask, as Docker chooses it: the registry's, else the one for all. An empty name
    /// for the registry says to use none.
    fn helper(&self, names: &[String]) -> Option<Helper<'_>> {
        let own = self.cred_helpers.as_ref().and_then(|helpers| lookup(helpers, names).next());
        let helper = match own {
            Some((_, name)) => Helper { name: name.as_deref().unwrap_or_default(), for_all: false },
            None => Helper { name: self.creds_store.as_deref()?, for_all: true },
        };
        (!helper.name.is_empty()).then_some(helper)
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_regular(path, MAX_CONFIG_BYTES, Links::Follow).map(Zeroizing::new)
}

/// Returns whether the mode of a file lets users read it that are not its owner.
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| there.mode() & 0o077 != 0)
}

/// Returns the keys that concern a repository, most specific first: the containers tools also keep
/// credentials by `host/namespace`.
fn names(registry: &str, repository: &str) -> Vec<String> {
    let as_typed = registry.trim().to_ascii_lowercase();
    let registry = normalise(registry).remove(0);
    let mut names = Vec::new();
    let mut path = repository.trim_matches('/');
    while !path.is_empty() {
        names.push(format!("{registry}/{path}"));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    // A key with the registry's exact spelling precedes an equivalent one.
    names.extend(Some(as_typed).filter(|typed| *typed != registry));
    names.push(registry);
    names
}

/// Returns a key as people and tools write it, in the one form that is compared: without scheme, API path, trailing
/// slash and the port of https, the host in lower case, Docker Hub under one name. A key with `http://` and no port is
/// for the name without one, as Docker takes it, and for port 80: two forms.
fn normalise(key: &str) -> Vec<String> {
    #[cfg(test)]
    crate::work::add(key.len() + 1);
    let key = key.trim();
    let scheme = |scheme: &str| {
        key.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|start| &key[start.len()..])
    };
    let plain = scheme("http://");
    let key = match scheme("https://").or(plain) {
        Some(url) => url.split('/').next().unwrap_or(url),
        None => key.trim_end_matches('/'),
    };
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let (written, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    let Some((host, port)) = host_and_port(written) else {
        return vec![format!("{}{path}", written.to_ascii_lowercase())];
    };
    let is_bare = !written.rsplit(']').next().unwrap_or_default().contains(':');
    let host = if port == HTTPS_PORT && is_hub(&host) { "docker.io" } else { &host };
    let with = |port: u16| if port == HTTPS_PORT { format!("{host}{path}") } else { format!("{host}:{port}{path}") };
    match plain {
        Some(_) if is_bare || port == PLAIN_PORT => vec![with(HTTPS_PORT), with(PLAIN_PORT)],
        _ => vec![with(port)],
    }
}

/// Returns the entries whose keys are one of the names, or are another way to write it, in the order of the names. Each
/// key is read once: there may be many keys, and a repository has many names.
fn lookup<'a, 'n, T>(
    entries: &'a BTreeMap<String, T>,
    names: &'n [String],
) -> impl Iterator<Item = (&'n String, &'a T)> {
    let mut others = HashMap::with_capacity(entries.len());
    for (key, entry) in entries {
        for form in normalise(key) {
            others.entry(form).or_insert(entry);
        }
    }
    names.iter().filter_map(move |name| {
        let entry = entries.get(name).or_else(|| others.get(name).copied())?;
        Some((name, entry))
    })
}

#[cfg(test)]
mod tests;

//! `docker-credential-idpbuilder`: Docker's credential helper protocol.
//!
//! Callers compare what is on standard output letter by letter and take any other text for a broken helper, some of
//! them fatally. So everything that is not a credential is "not found" there, and the reason goes to standard error.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::app::connect::{ClusterConnection, ClusterOptions, credential_store, kept};
use crate::audit::Event;
use crate::cli::failure::Failure;
use crate::cli::failure::advice::cluster;
use crate::cli::terminal::Ui;
use crate::cluster::KnownHosts;
use crate::credentials::{Credential, HostKey, MAX_FIELD_BYTES, Secret};
use crate::text;

/// The name that Docker and the others find the helper by.
pub(crate) const NAME: &str = "docker-credential-idpbuilder";

/// The protocol's words for "none".
const NOT_FOUND: &str = "credentials not found in native keychain";
const NO_SERVER: &str = "no credentials server URL";
const NO_USERNAME: &str = "no credentials username";
/// The user name that marks a secret as an identity token.
const TOKEN_USERNAME: &str = "<token>";

/// Bytes of an address that are read.
const MAX_SERVER_BYTES: u64 = 4 * 1024;
/// Bytes of a credential that are read: both fields, every byte of them escaped, and some room.
const MAX_CREDENTIAL_BYTES: u64 = 16 * MAX_FIELD_BYTES as u64;

/// How long a cluster may take. Builds ask at every run, and some callers ask several times.
const CLUSTER_LIMIT: Duration = Duration::from_millis(900);

/// Answer docker, podman and skopeo who they are to a registry
///
/// A credential helper: docker, podman, skopeo and others call it by itself where credHelpers in
/// ~/.docker/config.json or in containers' auth.json says idpbuilder. Every verb but version reads standard input:
/// get and erase a registry's address, store a JSON object with ServerURL, Username and Secret.
///
/// get answers with what was stored for the registry, else with the user and the token of the idpbuilder cluster
/// whose registry it is, read from the cluster at that moment. For any other registry it says at once that it has
/// nothing, and asks no cluster; a cluster is asked for names below localtest.me, for names that were accepted for its
/// context before (~/.idpbuilder/cache), and for default_registry. A cluster that does not answer within a second has
/// nothing. store keeps a credential in the system's keyring, or in a file of mode 0600 where there is none; erase
/// forgets it; list names what is kept and the clusters' registries, without secrets.
///
/// Every answer, "not found" too, is on standard output, as the protocol wants it; reasons, and the name of the cluster
/// that answered, are on standard error.
/// The exit code is 0 or 1.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// What to do
    #[arg(value_name = "VERB", value_enum)]
    verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Answer with the credential of a registry
    Get,
    /// Keep a credential
    Store,
    /// Forget a credential
    Erase,
    /// Name the registries that there are credentials for
    List,
    /// Print the version
    Version,
}

/// What goes to standard output, and whether it is a success.
type Answer = Result<String, String>;

/// Runs the verb; answers the exit code.
pub(crate) fn run(arguments: &[OsString], ui: &mut Ui) -> u8 {
    let usage = format!("Usage: {NAME} <store|get|erase|list|version>");
    let answer = match arguments.get(1..) {
        Some([verb]) => match verb.to_str() {
            Some("get") => get(ui, std::io::stdin().lock()),
            Some("store") => store(ui, std::io::stdin().lock()),
            Some("erase") => Ok(erase(ui, std::io::stdin().lock())),
            Some("list") => Ok(list(ui)),
            Some("version" | "--version" | "-v" | "-V") => {
                Ok(format!("{NAME} ({}) v{}", crate::cli::command::EXECUTABLE, env!("CARGO_PKG_VERSION")))
            }
            Some("help" | "--help" | "-h") => Ok(usage),
            _ => Err(format!("{NAME}: unknown action: {}", printable(&verb.to_string_lossy()))),
        },
        _ => Err(usage),
    };
    let (text, code) = match answer {
        Ok(text) => (Zeroizing::new(text), 0),
        Err(text) => (Zeroizing::new(text), 1),
    };
    if text.is_empty() || ui.data_verbatim(&text).is_ok() { code } else { 1 }
}

fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

/// Standard input up to `limit` bytes; `None` where there is more, or it cannot be read.
fn input(stdin: impl Read, limit: u64) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    stdin.take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}

fn not_found<T>() -> Result<T, String> {
    Err(NOT_FOUND.to_owned())
}

/// Tells why there is nothing, where the protocol lets a person see it.
fn explain(ui: &Ui, failure: &Failure) {
    ui.warn(&format!("{NAME}: {}", failure.summary()));
    for hint in failure.hints() {
        ui.advise(hint);
    }
}

#[derive(Serialize)]
struct Given<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

fn get(ui: &Ui, stdin: impl Read) -> Answer {
    let Some(bytes) = input(stdin, MAX_SERVER_BYTES) else { return not_found() };
    let Ok(server) = std::str::from_utf8(&bytes).map(str::trim) else { return not_found() };
    if server.is_empty() {
        return Err(NO_SERVER.to_owned());
    }
    let Ok(key) = server.parse::<HostKey>() else { return not_found() };
    let found = match stored(ui, &key) {
        // A stored credential that cannot be read is not replaced by another source's.
        Err(failure) => {
            explain(ui, &failure);
            None
        }
        Ok(Some(credential)) => Some((credential, "the stored credentials".to_owned())),
        Ok(None) => of_cluster(ui, &key),
    };
    let Some((credential, source)) = found else { return not_found() };
    let (username, secret) = match &credential {
        Credential::Basic { username, secret } | Credential::TokenOrPassword { username, token: secret, .. } => {
            (username.as_str(), secret)
        }
        Credential::IdentityToken { token, .. } => (TOKEN_USERNAME, token),
        Credential::RegistryToken(_) => {
            ui.warn(&format!("{NAME}: what was stored for {key} is a token that the protocol has no words for"));
            return not_found();
        }
    };
    if let Err(error) = ui.surroundings.audit(Event::Credential, &key.to_string(), Some(&source), None) {
        ui.warn(&Failure::from(error).summary());
    }
    let given = Given { server, username, secret: secret.expose() };
    Ok(serde_json::to_string(&given).expect("a credential has only strings"))
}

fn stored(ui: &Ui, key: &HostKey) -> Result<Option<Credential>, Failure> {
    Ok(credential_store(ui.session())?.get(key)?)
}

/// The credential of the cluster whose registry it is, and where it came from.
fn of_cluster(ui: &Ui, key: &HostKey) -> Option<(Credential, String)> {
    let settings = ui.surroundings.settings(None).ok()?;
    let configured =
        settings.default_registry.is_some_and(|setting| setting.value.parse().is_ok_and(|own: HostKey| own == *key));
    if !configured && !KnownHosts::new(&settings.home.value).may_serve(key) {
        return None;
    }
    let cluster = ClusterConnection::new(ui.session(), ClusterOptions::default());
    let found = match cluster.find_within(CLUSTER_LIMIT) {
        Ok(Ok(cluster)) => cluster,
        Ok(Err(error)) => {
            explain(ui, &cluster::failure(error));
            return None;
        }
        Err(error) => {
            explain(ui, &error.into());
            return None;
        }
    };
    let name = found.name_of(&key.to_string())?;
    // For a registry that a person configured, what is at stake is the cluster's own credential.
    if !configured {
        match cluster.serving(name, false) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => {
                explain(ui, &error.into());
                return None;
            }
        }
    }
    cluster.print_use(found, name);
    match &found.login {
        Ok(login) => Some((found.credential()?, format!("cluster {} ({})", found.context, login.origin))),
        Err(error) => {
            explain(ui, &cluster::failure(error));
            None
        }
    }
}

#[derive(Deserialize)]
struct Kept {
    #[serde(rename = "ServerURL", default)]
    server: String,
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: Zeroizing<String>,
}

fn store(ui: &Ui, stdin: impl Read) -> Answer {
    let Some(bytes) = input(stdin, MAX_CREDENTIAL_BYTES) else {
        return Err(format!("the credential is longer than {}", text::size(MAX_CREDENTIAL_BYTES)));
    };
    // The parser's own message may quote a value.
    let mut given: Kept = serde_json::from_slice(&bytes)
        .map_err(|error| format!("not a credential (line {}, column {})", error.line(), error.column()))?;
    let server = given.server.trim();
    if server.is_empty() {
        return Err(NO_SERVER.to_owned());
    }
    if given.username.is_empty() {
        return Err(NO_USERNAME.to_owned());
    }
    let key: HostKey = server.parse().map_err(|error| Failure::from(error).summary())?;
    let secret = Secret::new(std::mem::take(&mut *given.secret));
    let credential = match given.username.as_str() {
        TOKEN_USERNAME => Credential::IdentityToken { username: String::new(), token: secret },
        _ => Credential::Basic { username: given.username.clone(), secret },
    };
    let put = credential_store(ui.session())
        .map_err(Failure::from)
        .and_then(|entries| Ok(entries.put(&key, server, &credential)?));
    match put {
        Ok(place) => {
            kept(ui.session(), &place);
            Ok(String::new())
        }
        Err(failure) => {
            explain(ui, &failure);
            Err(failure.summary())
        }
    }
}

/// Always a success: podman and skopeo die of anything else.
fn erase(ui: &Ui, stdin: impl Read) -> String {
    let bytes = input(stdin, MAX_SERVER_BYTES);
    let key = bytes.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse::<HostKey>().ok());
    if let Some(key) = key {
        let erased = credential_store(ui.session()).map_err(Failure::from).and_then(|entries| Ok(entries.erase(&key)?));
        if let Err(failure) = erased {
            explain(ui, &failure);
        }
    }
    String::new()
}

/// Always a JSON object of addresses and user names. Asks no cluster and no keyring.
fn list(ui: &Ui) -> String {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut keys: Vec<HostKey> = Vec::new();
    match credential_store(ui.session()).map_err(Failure::from).and_then(|entries| Ok(entries.list()?)) {
        Ok(entries) => {
            for entry in entries {
                let username = if entry.username.is_empty() { TOKEN_USERNAME.to_owned() } else { entry.username };
                names.insert(entry.server, username);
                keys.push(entry.key);
            }
        }
        Err(failure) => explain(ui, &failure),
    }
    if let Ok(settings) = ui.surroundings.settings(None) {
        for cluster in KnownHosts::new(&settings.home.value).clusters().into_values() {
            let Some(username) = cluster.username else { continue };
            for name in cluster.names {
                if name.parse().is_ok_and(|key: HostKey| !keys.contains(&key)) {
                    names.entry(name).or_insert_with(|| username.clone());
                }
            }
        }
    }
    serde_json::to_string(&names).expect("names are strings")
}

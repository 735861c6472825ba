//! Credentials in files of Docker's form: `config.json`, and the containers tools' `auth.json`.
//!
//! Which entry and which helper applies is decided here; what an entry means is `docker_credential`'s
//! matter, which gets nothing but that entry. Its own way of running helpers has no limits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::helper::{self, HelperEnvironment, OWN_HELPER};
use super::{Answer, Credential, CredentialError, CredentialSource, Secret};

/// Bytes a credentials file may have.
pub const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// Docker Hub's key in `auths` and its name for helpers.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Credentials that Docker or a tool of its habits keeps.
#[derive(Debug)]
pub struct DockerConfig {
    place: Place,
    helpers: HelperEnvironment,
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
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

impl DockerConfig {
    /// The file at `path`, read afresh for each question; a file that is not there knows nobody.
    pub fn file(path: PathBuf, helpers: HelperEnvironment) -> Self {
        Self { place: Place::File(path), helpers }
    }

    /// The same content in the value of a variable (`DOCKER_AUTH_CONFIG`).
    pub fn variable(name: &str, value: Secret, helpers: HelperEnvironment) -> Self {
        Self { place: Place::Variable(name.to_owned(), value), helpers }
    }

    fn load(&self) -> Result<Option<Config>, CredentialError> {
        let bytes = match &self.place {
            Place::File(path) => {
                let failed = |source| CredentialError::Read { path: path.clone(), source };
                match read(path) {
                    Ok(bytes) => bytes,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(failed(error)),
                }
            }
            Place::Variable(_, value) => Zeroizing::new(value.expose().as_bytes().to_vec()),
        };
        if bytes.len() as u64 > MAX_CONFIG_BYTES {
            return Err(CredentialError::TooLarge { origin: self.name() });
        }
        // The parser's own message may quote a value.
        let syntax = |error: serde_json::Error| CredentialError::Syntax {
            origin: self.name(),
            line: error.line(),
            column: error.column(),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(syntax)
    }

    fn search(&self, registry: &str, repository: &str) -> Result<Option<Credential>, CredentialError> {
        let Some(config) = self.load()? else { return Ok(None) };
        let names = names(registry, repository);
        if let Some(helper) = config.helper(&names) {
            if !helper::is_name(helper) {
                let helper = helper.chars().take(64).collect();
                return Err(CredentialError::HelperName { origin: self.name(), helper });
            }
            let server = if is_hub(registry) { HUB_KEY } else { registry };
            match helper::ask(helper, server, &self.helpers, helper::PATIENCE) {
                Answer::Found(credential) => return Ok(Some(credential)),
                Answer::Failed(error) => return Err(error),
                Answer::NotFound => {}
            }
        }
        let auths = config.auths.unwrap_or_default();
        for name in &names {
            let Some(entry) = lookup(&auths, name) else { continue };
            let damaged = || CredentialError::Entry { origin: self.name(), registry: registry.to_owned() };
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

    fn find(&self, registry: &str, repository: &str) -> Answer {
        match self.search(registry, repository) {
            Ok(Some(credential)) => Answer::Found(credential),
            Ok(None) => Answer::NotFound,
            Err(error) => Answer::Failed(error),
        }
    }
}

impl Config {
    /// The helper to ask, as Docker chooses it: the registry's, else the one for all. An empty name
    /// for the registry says to use none, and our own says that we know better than to ask.
    fn helper(&self, names: &[String]) -> Option<&str> {
        let helpers = self.cred_helpers.iter();
        let own = names.iter().find_map(|name| helpers.clone().find_map(|helpers| lookup(helpers, name)));
        own.or(self.creds_store.as_ref()).map(String::as_str).filter(|name| !name.is_empty() && *name != OWN_HELPER)
    }
}

fn read(path: &PathBuf) -> io::Result<Zeroizing<Vec<u8>>> {
    // Opening a FIFO would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The keys that concern a repository, most specific first: the containers tools also keep
/// credentials by `host/namespace`.
fn names(registry: &str, repository: &str) -> Vec<String> {
    let registry = normalise(registry);
    let mut names = Vec::new();
    let mut path = repository.trim_matches('/');
    while !path.is_empty() {
        names.push(format!("{registry}/{path}"));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    names.push(registry);
    names
}

/// A key as people and tools write it, in the one form that is compared: without scheme, API path
/// and trailing slash, the host in lower case, Docker Hub under one name.
fn normalise(key: &str) -> String {
    let key = key.trim();
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = match bare {
        Some(url) => url.split('/').next().unwrap_or(url),
        None => key.trim_end_matches('/'),
    };
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    let host = host.to_ascii_lowercase();
    let host = if is_hub(&host) { "docker.io" } else { &host };
    format!("{host}{path}")
}

fn is_hub(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

/// The entry whose key is `name`, or is another way to write it.
fn lookup<'a, T>(entries: &'a BTreeMap<String, T>, name: &str) -> Option<&'a T> {
    let other = || entries.iter().find(|(key, _)| normalise(key) == name).map(|(_, entry)| entry);
    entries.get(name).or_else(other)
}

/// An entry that is there but cannot be understood.
struct Damaged;

fn read_entry(entry: &Value) -> Result<Option<Credential>, Damaged> {
    let Value::Object(entry) = entry else { return Err(Damaged) };
    // Docker leaves empty texts and empty entries where a helper has the secret.
    let present = |(_, value): &(&String, &Value)| !value.is_null() && value.as_str() != Some("");
    let entry: Map<String, Value> =
        entry.iter().filter(present).map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(token) = entry.get("registrytoken") {
        let token = token.as_str().ok_or(Damaged)?;
        return Ok(Some(Credential::RegistryToken(Secret::new(token.to_owned()))));
    }
    let credential = match interpret(&entry)? {
        None => return Ok(None),
        Some(DockerCredential::IdentityToken(secret)) => {
            let mut rest = entry;
            rest.remove("identitytoken");
            let username = match interpret(&rest) {
                Ok(Some(DockerCredential::UsernamePassword(username, _))) => username,
                _ => String::new(),
            };
            Credential::IdentityToken { username, token: Secret::new(secret) }
        }
        Some(DockerCredential::UsernamePassword(username, secret)) => {
            // Old versions of Docker padded what they encoded.
            let secret = Secret::new(secret.trim_end_matches('\0').to_owned());
            if username.is_empty() && secret.expose().is_empty() {
                return Ok(None);
            }
            Credential::Basic { username, secret }
        }
    };
    Ok(Some(credential))
}

fn interpret(entry: &Map<String, Value>) -> Result<Option<DockerCredential>, Damaged> {
    let alone = Zeroizing::new(json!({ "auths": { "it": entry } }).to_string());
    match get_credential_from_reader(alone.as_bytes(), "it") {
        Ok(credential) => Ok(Some(credential)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(_) => Err(Damaged),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::credentials::helper::tests::{environment, script};

    fn basic(text: &str) -> String {
        BASE64_STANDARD.encode(text)
    }

    fn variable(content: &str) -> DockerConfig {
        DockerConfig::variable("DOCKER_AUTH_CONFIG", Secret::new(content.to_owned()), HelperEnvironment::default())
    }

    /// The answer in words.
    fn told(answer: Answer) -> String {
        match answer {
            Answer::NotFound => "nothing".into(),
            Answer::Failed(error) => error.to_string(),
            Answer::Found(Credential::Basic { username, secret }) => format!("basic {username} {}", secret.expose()),
            Answer::Found(Credential::IdentityToken { username, token }) => {
                format!("identity {username} {}", token.expose())
            }
            Answer::Found(Credential::RegistryToken(token)) => format!("registry {}", token.expose()),
        }
    }

    fn find(content: &str, registry: &str) -> String {
        told(variable(content).find(registry, ""))
    }

    #[test]
    fn keys_are_found_however_they_are_written() {
        let config = |key: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"{}"}}}}}}"#, basic("u:p:q"));
        for key in [
            "r.example:5000",
            "R.Example:5000",
            "https://r.example:5000",
            "http://r.example:5000/",
            "https://r.example:5000/v2/",
            "r.example:5000/v1/",
        ] {
            assert_eq!(find(&config(key), "r.example:5000"), "basic u p:q", "{key}");
        }
        for key in ["r.example", "r.example:5001", "xr.example:5000", "r.example:5000/other"] {
            assert_eq!(find(&config(key), "r.example:5000"), "nothing", "{key}");
        }
        for key in [HUB_KEY, "docker.io", "https://registry-1.docker.io/v2/", "index.docker.io"] {
            for registry in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
                assert_eq!(find(&config(key), registry), "basic u p:q", "{key} {registry}");
            }
        }
    }

    #[test]
    fn the_most_specific_key_wins() {
        let entry = |user: &str| format!(r#"{{"auth":"{}"}}"#, basic(&format!("{user}:p")));
        let config = format!(
            r#"{{"auths":{{"r.example":{},"r.example/team":{},"r.example/team/app":{}}}}}"#,
            entry("all"),
            entry("team"),
            entry("app")
        );
        let find = |repository| told(variable(&config).find("r.example", repository));
        assert_eq!(find("team/app"), "basic app p");
        assert_eq!(find("team/other/deep"), "basic team p");
        assert_eq!(find("elsewhere"), "basic all p");
        assert_eq!(find(""), "basic all p");
    }

    #[test]
    fn entries_have_several_forms() {
        let auth = basic("u:p");
        let padded = basic("u:p\0\0");
        for (entry, expected) in [
            (format!(r#"{{"auth":"{auth}"}}"#), "basic u p"),
            (format!(r#"{{"auth":"{padded}"}}"#), "basic u p"),
            (r#"{"username":"u","password":"p"}"#.into(), "basic u p"),
            (format!(r#"{{"auth":"{auth}","username":"u","password":"p"}}"#), "basic u p"),
            (format!(r#"{{"auth":"{}","identitytoken":"t"}}"#, basic("u:")), "identity u t"),
            (r#"{"identitytoken":"t"}"#.into(), "identity  t"),
            (r#"{"registrytoken":"t"}"#.into(), "registry t"),
            ("{}".into(), "nothing"),
            (r#"{"auth":"","email":"x@example"}"#.into(), "nothing"),
            (format!(r#"{{"auth":"{}"}}"#, basic(":")), "nothing"),
        ] {
            assert_eq!(find(&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#), "r.example"), expected, "{entry}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_failure_that_quotes_nothing() {
        for entry in [r#"{"auth":"hunter2"}"#, r#"{"auth":["hunter2"]}"#, r#""hunter2""#, r#"{"registrytoken":22222}"#]
        {
            let config = variable(&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#));
            let Answer::Failed(error) = config.find("r.example", "") else { panic!("failed: {entry}") };
            assert_eq!(error.to_string(), "the entry for r.example in `DOCKER_AUTH_CONFIG` is not a credential");
            assert!(!format!("{error:?} {config:?}").contains("hunter2"), "{error:?}");
            assert!(matches!(config.find("other.example", ""), Answer::NotFound), "others are not affected");
        }
        for config in [r#"{"auths":"hunter2"}"#, "hunter2", "[5]", "", r#"{"credHelpers":{"hunter2":5}}"#] {
            let Answer::Failed(error) = variable(config).find("r.example", "") else { panic!("failed: {config}") };
            assert!(matches!(error, CredentialError::Syntax { line: 0 | 1, .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        assert_eq!(find(r#"{"auths":null,"credHelpers":null,"credsStore":null,"x":1}"#, "r.example"), "nothing");
    }

    #[test]
    fn files_are_read_when_asked_and_errors_name_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.json");
        let config = DockerConfig::file(path.clone(), HelperEnvironment::default());
        assert!(matches!(config.find("r.example", ""), Answer::NotFound));
        std::fs::write(&path, r#"{"auths":{"r.example":{"username":"u","password":"p"}}}"#).expect("written");
        assert_eq!(told(config.find("r.example", "")), "basic u p");
        std::fs::write(&path, "{").expect("written");
        let name = format!("`{}`", path.display());
        assert_eq!(config.name(), name);
        let error = told(config.find("r.example", ""));
        assert_eq!(error, format!("{name} is not a Docker config file (line 1, column 1)"));
        let long = vec![b' '; usize::try_from(MAX_CONFIG_BYTES).expect("fits") + 1];
        std::fs::write(&path, long).expect("written");
        assert!(matches!(config.find("r", ""), Answer::Failed(CredentialError::TooLarge { origin }) if origin == name));
        let directory = DockerConfig::file(dir.path().to_owned(), HelperEnvironment::default());
        assert!(matches!(directory.find("r", ""), Answer::Failed(CredentialError::Read { .. })));
    }

    #[test]
    fn helpers_are_asked_before_entries() {
        let dir = tempfile::tempdir().expect("a directory");
        script(dir.path(), "here", r#"printf '{"Username":"here","Secret":"%s"}' "$(cat)""#);
        script(dir.path(), "store", r#"printf '{"Username":"store","Secret":"%s"}' "$(cat)""#);
        script(dir.path(), "none", "echo credentials not found in native keychain; exit 1");
        script(dir.path(), "broken", "exit 1");
        script(dir.path(), "idpbuilder", "echo '{\"Username\":\"ourselves\",\"Secret\":\"x\"}'");
        let auths: Vec<_> = ["here", "own", "off", "none", "docker.io", "x"]
            .map(|host| format!(r#""{host}.example":{{"username":"file","password":"p"}}"#))
            .into();
        let helpers = r#"{"https://here.example/v2/":"here","own.example":"idpbuilder","off.example":"",
            "none.example":"none","bad.example":"../here","broken.example":"broken","index.docker.io":"here"}"#;
        let find = |store: &str, registry: &str| {
            let text = format!(r#"{{"auths":{{{}}},"credHelpers":{helpers},"credsStore":"{store}"}}"#, auths.join(","));
            let config = DockerConfig::variable("V", Secret::new(text), environment(dir.path()));
            told(config.find(registry, "team/app"))
        };
        assert_eq!(find("store", "here.example"), "basic here here.example");
        assert_eq!(find("store", "x.example"), "basic store x.example");
        assert_eq!(find("store", "y.example"), "basic store y.example");
        assert_eq!(find("store", "docker.io"), "basic here https://index.docker.io/v1/");
        assert_eq!(find("store", "own.example"), "basic file p", "our own helper is not started");
        assert_eq!(find("idpbuilder", "x.example"), "basic file p", "nor as the one for all");
        assert_eq!(find("store", "off.example"), "basic file p", "an empty name means no helper");
        assert_eq!(find("store", "none.example"), "basic file p", "the file may know what the helper does not");
        assert_eq!(find("store", "broken.example"), "the credential helper `docker-credential-broken` failed (exit 1)");
        assert_eq!(find("", "x.example"), "basic file p");
        let refused = find("store", "bad.example");
        assert_eq!(refused, r#"`V` names "../here" as credential helper, which is not a name"#);
        assert_eq!(find("absent", "x.example"), "cannot start the credential helper `docker-credential-absent`");
    }

    proptest! {
        #[test]
        fn any_content_is_answered(bytes: Vec<u8>, registry in ".{0,40}", repository in ".{0,40}") {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("config.json");
            std::fs::write(&path, bytes).expect("written");
            let _ = DockerConfig::file(path, HelperEnvironment::default()).find(&registry, &repository);
        }

        /// Valid JSON of about the right form reaches the code behind the parser.
        #[test]
        fn any_entry_is_answered(key in ".{0,20}", name in "auth|username|password|identitytoken|registrytoken", value in ".{0,20}") {
            let hosts = json!({ &key: { &name: &value, "auth": &value }, "r.example": { &name: &value } });
            let config = variable(&json!({ "auths": hosts }).to_string());
            let _ = config.find("r.example", "");
            let _ = config.find(&key, &value);
        }
    }
}

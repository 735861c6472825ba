//! One entry of `auths`. `docker_credential` interprets it, and receives only that entry.

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::credentials::{Credential, Secret};

/// An entry that is there but cannot be understood.
#[derive(Debug)]
pub(super) struct Damaged;

/// Returns the credential of an entry; `None` for one that has none, as where a helper has the secret.
pub(super) fn read_entry(entry: &Value) -> Result<Option<Credential>, Damaged> {
    let entry = match entry {
        Value::Null => return Ok(None),
        Value::Object(entry) => entry,
        _ => return Err(Damaged),
    };
    // Docker writes empty values and empty entries if a helper has the secret.
    let present = |(_, value): &(&String, &Value)| !value.is_null() && value.as_str() != Some("");
    let mut entry: Map<String, Value> =
        entry.iter().filter(present).map(|(name, value)| (name.clone(), value.clone())).collect();
    // Go's decoder ignores line breaks, which `base64 FILE` writes.
    if let Some(Value::String(auth)) = entry.get_mut("auth") {
        auth.retain(|letter| !matches!(letter, '\r' | '\n'));
    }
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
            // Old versions of Docker padded the text with zero bytes.
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

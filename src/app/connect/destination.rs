//! Destinations and addresses as people type them.

use super::error::ConnectError;
use crate::image::{Reference, ReferenceError};
use crate::tls::RegistryHost;

/// A destination as it was typed.
pub(super) enum Place {
    Registry(String),
    Reference(Reference),
}

/// Reads `host[:port]`.
pub(crate) fn address(text: &str) -> Result<RegistryHost, ConnectError> {
    Ok(text.parse::<RegistryHost>()?)
}

/// Returns `host[:port]` of an address as people copy it: with a scheme, with a trailing slash.
pub(crate) fn bare_registry(text: &str) -> Result<String, ConnectError> {
    let text = text.trim();
    let scheme = |scheme: &&str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let scheme = ["https://", "http://", "docker://"].into_iter().find(scheme).unwrap_or_default();
    let bare = text[scheme.len()..].trim_end_matches('/');
    let bare = bare.strip_suffix("/v2").unwrap_or(bare);
    // The reference grammar decides what an address looks like.
    Reference::from_parts(Some(bare), "x", None).map_err(|error| match error {
        ReferenceError::UserInfo { .. } => error.into(),
        _ => ConnectError::NotAnAddress(crate::text::without_user_info(bare)),
    })?;
    Ok(bare.to_owned())
}

/// Reads a registry alone (`https://host:port`, `host:5000`, `localhost`) or a full reference.
pub(super) fn place(text: &str) -> Result<Place, ConnectError> {
    let with_scheme = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let bare = with_scheme.unwrap_or(text).trim_end_matches('/');
    if !bare.contains('/') {
        let (host, port) = bare.rsplit_once(':').unwrap_or((bare, ""));
        let address = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let host_like = host == "localhost" || host.contains('.') || host.starts_with('[');
        if with_scheme.is_some() || bare == "localhost" || (address && host_like) {
            return Ok(Place::Registry(bare_registry(bare)?));
        }
    }
    Ok(Place::Reference(text.parse()?))
}

/// Returns whether a destination names an image, and not a registry alone.
pub(crate) fn names_image(text: &str) -> Result<bool, ConnectError> {
    Ok(matches!(place(text)?, Place::Reference(_)))
}

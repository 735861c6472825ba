//! Origins, and what a request may carry from one to another.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

use super::address::{Zone, literal};

/// Scheme, host and port: what credentials are bound to (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Returns the origin of an absolute http or https URI.
    pub fn of(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        Some(Self { https, host, port })
    }

    /// Returns the port.
    pub(in crate::registry) fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the port is the one that the scheme has without one.
    pub(in crate::registry) fn has_default_port(&self) -> bool {
        self.port == if self.https { 443 } else { 80 }
    }

    /// Returns whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Returns the host without its port; IPv6 addresses keep their brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns whether both are one machine and port, whatever the scheme.
    pub(in crate::registry) fn is_at(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }

    /// Returns whether this is the host of `own` at the port that an address without one has, while `own` is at another
    /// port: what a registry says of itself that does not know its port, as behind a proxy that passes only the host
    /// on.
    pub(in crate::registry) fn lost_the_port_of(&self, own: &Self) -> bool {
        self.host == own.host && self.port != own.port && self.has_default_port()
    }

    /// Returns `host:port`, and `host` alone for the scheme's own port.
    pub(in crate::registry) fn short_authority(&self) -> String {
        match (self.https, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// Returns `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.https { "https" } else { "http" }, self.host, self.port)
    }
}

/// Why a `Location` or realm is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misdirection {
    /// Not a URI reference, or not http(s).
    #[error("the address is not valid")]
    Malformed,
    /// From TLS to plain http.
    #[error("it leads from https to plain http at {0}")]
    Downgrade(Origin),
    /// To an address that only this machine or its network reaches, where the registry is not.
    #[error("it leads to {to}, which is at the internal address {address}")]
    Internal {
        /// Where it leads.
        to: Origin,
        /// Where that is.
        address: IpAddr,
    },
    /// With a secret in the body of the request, to another origin.
    #[error("the request carries a secret in its body, which must not go to {0}")]
    Secret(Origin),
    /// To another host, without TLS, on the word of an answer that came without TLS.
    #[error("{from}, asked without TLS, leads to another host without TLS, {to}")]
    Unprotected {
        /// Who said so.
        from: Origin,
        /// Where it leads.
        to: Origin,
    },
}

/// What a request carries, or what is kept of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Carried {
    /// Nothing secret: a question, a manifest, the bytes of a blob.
    Content,
    /// A credential in a header.
    Header,
    /// A secret in the body, as the refresh token of an identity.
    Body,
    /// The client certificate that was chosen for an origin.
    ClientCertificate,
    /// The address of a session, in the journal. An address elsewhere lets in by itself.
    JournalAddress,
}

/// What happens to the things that a request carries when it is led from one origin to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Passage {
    /// It goes along.
    Carry,
    /// It stays behind, and the request goes without it.
    Drop,
    /// The request is not sent.
    Refuse,
}

/// Decides what may be carried from `from` to `to`: to headers, bodies, client certificates and addresses alike, wherever
/// a redirection, the `Location` of an upload or the journal leads.
pub(in crate::registry) fn passage(carried: Carried, from: &Origin, to: &Origin) -> Passage {
    if from == to {
        return Passage::Carry;
    }
    if from.https && !to.https {
        return Passage::Refuse;
    }
    match carried {
        Carried::Content => Passage::Carry,
        Carried::Header | Carried::ClientCertificate | Carried::JournalAddress => Passage::Drop,
        Carried::Body => Passage::Refuse,
    }
}

/// Returns whether what is bound to `own` may go along to `uri`.
pub(in crate::registry) fn carries(carried: Carried, own: &Origin, uri: &Uri) -> bool {
    Origin::of(uri).is_some_and(|to| passage(carried, own, &to) == Passage::Carry)
}

/// Returns whether a name means this machine even without DNS: idpbuilder's domain and `localhost`.
pub fn is_loopback_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ["localhost", "localtest.me"]
        .iter()
        .any(|name| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// Returns whether the host is this machine, by name or by address.
pub(in crate::registry) fn is_loopback(host: &str) -> bool {
    is_loopback_name(host) || literal(host).is_some_and(|address| Zone::of(address) == Zone::Machine)
}

/// Returns whether the host (without port, IPv6 in brackets) names this machine or an address that the internet does
/// not route. What other names resolve to is seen when they are connected to.
pub fn is_internal(host: &str) -> bool {
    is_loopback_name(host) || literal(host).is_some_and(|address| Zone::of(address) != Zone::Public)
}

/// Fails when a registry at `own` must not send us to `target`. Where the target's host may be is decided when it is
/// connected to (`http/admission`): only then is its address known.
pub(super) fn admit(own: &Origin, target: &Origin) -> Result<(), Misdirection> {
    if own.https && !target.https {
        return Err(Misdirection::Downgrade(target.clone()));
    }
    Ok(())
}

/// Fails when credentials for the registry at `own` must not go to the token service at `realm`, as an answer from
/// `from` asks for.
///
/// Over TLS, the answer is from the registry itself. Without TLS, it may be from an attacker on the way, who could as
/// well ask for the password at the registry's own address. So the password must not go where more people could read it
/// than before: to another host without TLS, unless both are this machine.
pub(in crate::registry) fn admit_realm(own: &Origin, from: &Origin, realm: &Origin) -> Result<(), Misdirection> {
    admit(own, realm)?;
    let vouched = own.https && from.https;
    let here = is_loopback(&own.host) && is_loopback(&realm.host);
    if vouched || realm.https || realm.host == own.host || here {
        return Ok(());
    }
    Err(Misdirection::Unprotected { from: from.clone(), to: realm.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().expect(text)
    }

    fn origin(text: &str) -> Origin {
        Origin::of(&uri(text)).expect(text)
    }

    #[test]
    fn credentials_go_to_no_other_host_without_tls() {
        let tls = "https://reg.example/";
        let plain = "http://reg.example:5000/";
        let here = "http://127.0.0.1:5000/";
        for (own, from, realm, admitted) in [
            (tls, tls, "https://auth.example/", true),
            (tls, tls, "http://auth.example/", false),
            // The connection refuses it.
            (tls, tls, "https://127.0.0.1/", true),
            // The registry redirected the request, and the answer has no more authority than the registry itself.
            (tls, "https://cdn.example/", "https://auth.example/", true),
            (plain, plain, "http://reg.example:5001/", true),
            (plain, plain, "https://reg.example/", true),
            (plain, plain, "https://auth.example/", true),
            (plain, plain, "http://auth.example/", false),
            (plain, plain, "http://127.0.0.1:5001/", false),
            (plain, "https://cdn.example/", "http://auth.example/", false),
            ("http://10.0.0.1/", "http://10.0.0.1/", "http://10.0.0.2/", false),
            ("http://10.0.0.1/", "http://10.0.0.1/", "http://127.0.0.1/", false),
            // A forwarded port of Gitea, which knows itself by its name outside.
            (here, here, "https://gitea.cnoe.localtest.me:8443/", true),
            (here, here, "http://localhost:5001/", true),
            (here, here, "http://[::1]:5001/", true),
            (here, here, "https://auth.example/", true),
            (here, here, "http://auth.example/", false),
            (here, here, "http://10.0.0.2/", false),
            (here, here, "http://127.1:5001/", true),
            (here, here, "http://[::ffff:7f00:1]:5001/", true),
            (here, here, "http://167772162/", false),
        ] {
            let found = admit_realm(&origin(own), &origin(from), &origin(realm));
            assert_eq!(found.is_ok(), admitted, "{own} {from} {realm}: {found:?}");
        }
    }

    #[test]
    fn what_may_go_where() {
        use Carried::{Body, ClientCertificate, Content, Header, JournalAddress};
        use Passage::{Carry, Drop, Refuse};
        let here = "https://reg.example:8443/";
        for (from, to, content, header, body) in [
            (here, "https://reg.example:8443/other", Carry, Carry, Carry),
            (here, "https://REG.example:8443/", Carry, Carry, Carry),
            (here, "https://reg.example/", Carry, Drop, Refuse),
            (here, "https://reg.example:8444/", Carry, Drop, Refuse),
            (here, "https://auth.example:8443/", Carry, Drop, Refuse),
            (here, "https://sub.reg.example:8443/", Carry, Drop, Refuse),
            (here, "https://reg.example.:8443/", Carry, Drop, Refuse),
            (here, "http://reg.example:8443/", Refuse, Refuse, Refuse),
            (here, "http://auth.example/", Refuse, Refuse, Refuse),
            ("http://reg.example/", "http://reg.example:80/", Carry, Carry, Carry),
            ("http://reg.example/", "https://reg.example/", Carry, Drop, Refuse),
            ("http://reg.example/", "http://reg.example:81/", Carry, Drop, Refuse),
            ("http://reg.example/", "http://auth.example/", Carry, Drop, Refuse),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/", Carry, Drop, Refuse),
        ] {
            let found = |carried| passage(carried, &origin(from), &origin(to));
            assert_eq!([found(Content), found(Header), found(Body)], [content, header, body], "{from} {to}");
            for like_a_header in [ClientCertificate, JournalAddress] {
                assert_eq!(found(like_a_header), header, "{like_a_header:?} {from} {to}");
                assert_eq!(carries(like_a_header, &origin(from), &uri(to)), header == Carry, "{from} {to}");
            }
        }
        assert!(!carries(Header, &origin(here), &uri("/relative")));
    }

    #[test]
    fn loopback_names() {
        for name in ["localhost", "LOCALHOST.", "a.localhost", "localtest.me", "gitea.cnoe.localtest.me"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["notlocalhost", "localtest.me.evil.example", "mylocaltest.me", ""] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[test]
    fn internal_hosts_by_their_text() {
        for host in ["127.1", "2130706433", "10.0.0.1.", "[fc00::1]", "[fe80::1]", "100.64.0.1", "a.localhost", "0"] {
            assert!(is_internal(host), "{host}");
        }
        for host in ["reg.example", "8.8.8.8", "[2a00::1]", "100.128.0.1", ""] {
            assert!(!is_internal(host), "{host}");
        }
    }

    #[test]
    fn addresses_that_lost_the_port() {
        for (own, to, expected) in [
            ("https://a.example:8443/", "https://a.example/", true),
            ("https://a.example:8443/", "https://A.example:443/", true),
            ("http://a.example:3000/", "http://a.example/", true),
            ("http://a.example:3000/", "https://a.example/", true),
            ("http://[::1]:3000/", "http://[::1]/", true),
            ("https://a.example:8443/", "https://a.example:8443/", false),
            ("https://a.example:8443/", "https://a.example:9000/", false),
            ("https://a.example:8443/", "https://b.example/", false),
            ("https://a.example/", "https://a.example:8443/", false),
        ] {
            assert_eq!(origin(to).lost_the_port_of(&origin(own)), expected, "{own} to {to}");
        }
    }

    #[test]
    fn default_ports_make_no_difference() {
        assert_eq!(origin("https://A.example/"), origin("https://a.example:443/"));
        assert_ne!(origin("https://a.example/"), origin("https://a.example:8443/"));
        assert_ne!(origin("http://a.example/"), origin("https://a.example/"));
    }

    #[test]
    fn a_registry_is_remembered_by_one_address() {
        for (uris, expected) in [
            (&["https://r.example/v2/", "https://R.example:443/v2/"][..], "r.example"),
            (&["http://r.example/v2/", "http://R.example:80/v2/"], "r.example"),
            (&["https://r.example:80/"], "r.example:80"),
            (&["https://r.example:8443/", "https://R.EXAMPLE:8443/v2/"], "r.example:8443"),
            (&["https://[::1]:5000/"], "[::1]:5000"),
        ] {
            for uri in uris {
                let origin = Origin::of(&uri.parse().expect("a URI")).expect("an origin");
                assert_eq!(origin.short_authority(), expected, "{uri}");
            }
        }
    }
}

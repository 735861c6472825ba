//! Advice about a registry's certificate: from what a handshake met to the fix.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::Duration;

use crate::cluster::DEFAULT_NAMES;
use crate::registry::is_loopback_name;
use crate::threads::spawn;
use crate::tls::{CertificateFacts, Chosen, HandshakeFault, Origin, RegistryHost, Unverifiable};

/// Chosen certificates that are told apart from the one shown.
const MAX_CHOSEN: usize = 3;
/// Names of a certificate that are looked up, and how long all of them may take.
const MAX_LOOKUPS: usize = 3;
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// What this program offers a server, in the terms of a server's settings.
const OFFERED: &str = "this program speaks TLS 1.3, and TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305, and \
                       verifies keys of RSA (2048 bits or more), P-256, P-384, Ed25519 and, with TLS 1.3, P-521: the registry's \
                       settings have to allow one of each (nginx: ssl_protocols, ssl_ciphers, ssl_certificate)";

/// What helps against a fault of the certificate that a registry showed, where `chosen` are trusted for it.
pub(crate) fn handshake(
    host: &str,
    fault: &HandshakeFault,
    chain: &[CertificateFacts],
    chosen: &[Chosen],
) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(shown) = chain.first().filter(|_| !matches!(fault, HandshakeFault::NoNames { .. })) {
        hints.push(format!(
            "it showed a certificate for {} with fingerprint {}",
            if shown.names.is_empty() { "no name".to_owned() } else { shown.names.join(", ") },
            shown.fingerprint
        ));
    }
    match fault {
        HandshakeFault::UnknownIssuer | HandshakeFault::CaUsedAsEndEntity | HandshakeFault::MissingIssuer { .. }
            if !chosen.is_empty() =>
        {
            let missing = match fault {
                HandshakeFault::MissingIssuer { issuer } => Some(issuer.as_str()),
                _ => None,
            };
            another_is_chosen(host, chosen, missing, &mut hints);
        }
        fault => hints.extend(remedy(host, fault)),
    }
    hints
}

/// What helps where a chain ends before a trusted certificate. Whether the missing one is an intermediate authority's
/// or a root cannot be told from here.
fn missing_issuer(host: &str, issuer: &str, chosen: &[Chosen]) -> [String; 2] {
    let sent = format!(
        "if `{issuer}` is an intermediate authority, the registry has to send its certificate too, after its own \
         (a full chain; nginx: ssl_certificate)"
    );
    let trusted = match chosen.first() {
        Some(first) => format!("or add the certificate of `{issuer}` to {}", first.origin),
        None => format!(
            "if `{issuer}` is your own authority, trust it: idpbuilder-trust add {host} FILE, with its \
             certificate in FILE; or repeat this command with --ca-file FILE"
        ),
    };
    [sent, trusted]
}

/// Returns hints for a certificate that is not the chosen one. A renewal and an attacker look alike from here, so no
/// hint ends with trusting the shown certificate. `missing` is the authority whose certificate is missing from the chain.
fn another_is_chosen(host: &str, chosen: &[Chosen], missing: Option<&str>, hints: &mut Vec<String>) {
    for Chosen { fingerprint, origin } in chosen.iter().take(MAX_CHOSEN) {
        hints.push(format!("another one is trusted for it, with fingerprint {fingerprint} ({origin})"));
    }
    let is_cluster = |chosen: &Chosen| matches!(chosen.origin, Origin::Cluster(_));
    if chosen.iter().any(is_cluster) {
        hints.push(format!(
            "the cluster itself does not know the one shown: see what listens on the port of {host}, for example \
             another cluster (docker ps)"
        ));
        return;
    }
    hints.extend(missing.into_iter().flat_map(|issuer| missing_issuer(host, issuer, chosen)));
    hints.push(
        "either the registry has a new certificate, or something else answers in its place: ask its operator for its \
         fingerprint before trusting what was shown"
            .to_owned(),
    );
    if chosen.iter().any(|chosen| matches!(chosen.origin, Origin::Kept(_))) {
        hints.push(format!(
            "to replace the kept one, give the fingerprint you were told: idpbuilder-trust add {host} \
             --from-server --fingerprint sha256:..."
        ));
        hints.push(format!(
            "or, if it is your idpbuilder cluster's, take the cluster's word: idpbuilder-trust add {host} \
             --from-cluster"
        ));
        return;
    }
    // The server's certificate is no authority, and would not stand in for one.
    if missing.is_some() {
        return;
    }
    hints
        .extend(chosen.first().map(|first| format!("if it is the right one, put it in the place of {}", first.origin)));
}

/// What helps against a fault of a registry's certificate where nothing was chosen for it.
pub(crate) fn remedy(host: &str, fault: &HandshakeFault) -> Vec<String> {
    let hint = match fault {
        HandshakeFault::UnknownIssuer | HandshakeFault::CaUsedAsEndEntity => {
            format!(
                "if it is yours, trust it: idpbuilder-trust add {host} --from-server; or repeat this command with --ca-file FILE"
            )
        }
        HandshakeFault::MissingIssuer { issuer } => return missing_issuer(host, issuer, &[]).into(),
        HandshakeFault::NotValidForName { names } => names_advice(host, names),
        HandshakeFault::NoNames { .. } => format!(
            "make the certificate anew with the registry's name, for example: openssl req -x509 ... -addext \
             subjectAltName={}",
            entry(host)
        ),
        HandshakeFault::Unverifiable(what) => match **what {
            Unverifiable::Signature(_) => "have the authority sign the certificate with SHA-256 or better".to_owned(),
            Unverifiable::Key(_) | Unverifiable::AuthorityKey { .. } => {
                "make it anew with a key of RSA with 2048 bits or more, of P-256, P-384 or P-521, or Ed25519, for \
                 example: openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 ..."
                    .to_owned()
            }
        },
        HandshakeFault::Expired { .. } => {
            "renew the registry's certificate; idpbuilder makes a new one when the cluster is created again".to_owned()
        }
        HandshakeFault::NotYetValid { .. } => "check the clocks of this machine and of the registry".to_owned(),
        HandshakeFault::NotTls => "if the registry speaks plain http, say so with --plain-http".to_owned(),
        HandshakeFault::PeerRefused(alert) => match alert.as_str() {
            "CertificateRequired" | "NoCertificate" => {
                "give a directory with client.cert and client.key: --cert-dir DIR".to_owned()
            }
            "HandshakeFailure" | "InsufficientSecurity" | "ProtocolVersion" => OFFERED.to_owned(),
            "UnrecognisedName" => format!("check the name {host}"),
            _ => return Vec::new(),
        },
        HandshakeFault::UnreadableRoots(_) => "see what SSL_CERT_FILE and SSL_CERT_DIR name".to_owned(),
        HandshakeFault::Incompatible(_) => OFFERED.to_owned(),
        HandshakeFault::Other(_) => return Vec::new(),
    };
    vec![hint]
}

fn names_advice(host: &str, names: &[String]) -> String {
    if names.contains(&format!("DNS:{}", bare(host))) {
        return format!(
            "it has the address as a name; an address needs an entry of its own: subjectAltName={}",
            entry(host)
        );
    }
    match fitting_name(host, names) {
        Some(name) => format!("it is for {name} too, which leads to the same machine: use that in place of {host}"),
        None => "use one of the names the certificate is for".to_owned(),
    }
}

/// The entry that a certificate needs for a registry (`openssl x509v3_config`).
fn entry(host: &str) -> String {
    let host = bare(host);
    let kind = if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!("{kind}:{host}")
}

/// The host without port and brackets.
fn bare(host: &str) -> String {
    let parsed = host.parse::<RegistryHost>();
    let name = parsed.as_ref().map_or(host, RegistryHost::host);
    name.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// The first of a certificate's names that leads to the same machine as the registry's address does, with the
/// registry's port. Names are looked up only where the registry was named by an address: any other name that fits
/// would have been as easy to type.
pub(crate) fn fitting_name(host: &str, names: &[String]) -> Option<String> {
    let registry: RegistryHost = host.parse().ok()?;
    let here = bare(host);
    let with_port = |name: &String| match registry.port() {
        443 => name.clone(),
        port => format!("{name}:{port}"),
    };
    let candidates = candidates(names);
    let address = here.parse::<IpAddr>().ok();
    if address.is_some_and(|address| address.is_loopback()) || is_loopback_name(&here) {
        return candidates.iter().find(|name| is_loopback_name(name)).map(with_port);
    }
    let address = address?;
    let (sender, receiver) = mpsc::channel();
    let asked: Vec<String> = candidates.into_iter().take(MAX_LOOKUPS).collect();
    spawn("lookup", move || {
        for name in asked {
            let found =
                (name.as_str(), 0).to_socket_addrs().is_ok_and(|mut all| all.any(|found| found.ip() == address));
            if found && sender.send(name).is_err() {
                return;
            }
        }
    })
    .ok()?;
    receiver.recv_timeout(LOOKUP_LIMIT).ok().as_ref().map(with_port)
}

/// The host names that a certificate is for. For a wildcard, what idpbuilder gives Gitea below it.
fn candidates(names: &[String]) -> Vec<String> {
    let of_wildcard = |base: &str| {
        let known = DEFAULT_NAMES.iter().filter_map(|name| name.split(':').next());
        let fits = |name: &&str| name.split_once('.').is_some_and(|(_, rest)| rest == base);
        known.clone().find(fits).map_or_else(|| format!("gitea.{base}"), str::to_owned)
    };
    let wild = names.iter().filter_map(|name| name.strip_prefix("*.")).map(of_wildcard);
    let plain = names.iter().filter(|name| !name.starts_with("*.") && !name.contains(':')).cloned();
    let mut seen = BTreeSet::new();
    wild.chain(plain).filter(|name| name.parse::<IpAddr>().is_err() && seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_name_of_the_certificate_that_leads_here_is_offered() {
        let own = ["cnoe.localtest.me", "*.cnoe.localtest.me"];
        for (host, shown, expected) in [
            ("127.0.0.1:8443", &own[..], Some("gitea.cnoe.localtest.me:8443")),
            ("localhost:8443", &own, Some("gitea.cnoe.localtest.me:8443")),
            ("[::1]:8443", &own, Some("gitea.cnoe.localtest.me:8443")),
            ("127.0.0.1", &own[..1], Some("cnoe.localtest.me")),
            ("127.0.0.1:8443", &["*.dev.localtest.me"], Some("gitea.dev.localtest.me:8443")),
            ("127.0.0.1:5000", &["localhost"], Some("localhost:5000")),
            ("127.0.0.1:5000", &["DNS:127.0.0.1", "10.0.0.1"], None),
            ("127.0.0.1:5000", &["registry.example"], None),
            ("registry.example", &own, None),
            ("127.0.0.1:5000", &[], None),
        ] {
            assert_eq!(fitting_name(host, &names(shown)).as_deref(), expected, "{host} {shown:?}");
        }
    }

    #[test]
    fn each_fault_has_its_fix() {
        let issuer = || "CN=Intermediate".to_owned();
        let file = || Chosen { fingerprint: "sha256:aa".into(), origin: Origin::File("root.pem".into()) };
        let told =
            |fault: &HandshakeFault, chosen: &[Chosen]| handshake("r.example:8443", fault, &[], chosen).join("\n");
        let missing = HandshakeFault::MissingIssuer { issuer: issuer() };
        let with_root = told(&missing, &[file()]);
        assert!(with_root.contains("has to send its certificate too"), "{with_root}");
        assert!(with_root.contains("add the certificate of `CN=Intermediate` to `root.pem`"), "{with_root}");
        assert!(!with_root.contains("in the place of"), "the server's certificate is no authority's: {with_root}");
        let alone = told(&missing, &[]);
        assert!(alone.contains("idpbuilder-trust add r.example:8443 FILE"), "{alone}");
        let replaced = told(&HandshakeFault::UnknownIssuer, &[file()]);
        assert!(replaced.contains("in the place of `root.pem`"), "{replaced}");
        for (host, expected) in
            [("r.example:8443", "DNS:r.example"), ("10.0.0.1", "IP:10.0.0.1"), ("[::1]:1", "IP:::1")]
        {
            let hints = remedy(host, &HandshakeFault::NoNames { subject: String::new() }).join("");
            assert!(hints.ends_with(&format!("subjectAltName={expected}")), "{hints}");
        }
        let of_address = HandshakeFault::NotValidForName { names: names(&["DNS:10.0.0.1"]) };
        assert!(remedy("10.0.0.1:8443", &of_address)[0].ends_with("subjectAltName=IP:10.0.0.1"));
        let here = HandshakeFault::NotValidForName { names: names(&["*.cnoe.localtest.me"]) };
        assert_eq!(
            remedy("127.0.0.1:8443", &here),
            ["it is for gitea.cnoe.localtest.me:8443 too, which leads to the same machine: use that in place of \
              127.0.0.1:8443"]
        );
        for alert in ["HandshakeFailure", "ProtocolVersion"] {
            assert!(told(&HandshakeFault::PeerRefused(alert.into()), &[]).contains("ssl_ciphers"), "{alert}");
        }
    }
}

//! Which proxy a request goes through: the usual variables, read as Go's `httpproxy` and curl read them.
//!
//! | entry of `NO_PROXY` | hosts that are reached directly |
//! |---|---|
//! | `*` | all |
//! | `example.com` | the domain and everything below it |
//! | `.example.com`, `*.example.com` | what is below the domain |
//! | `10.1.2.3`, `fd00::1` | that address |
//! | `10.0.0.0/8`, `fd00::/8` | the addresses of that network |
//!
//! A name or an address may have a port (`example.com:8443`, `[fd00::1]:8443`), which then has to be the request's.
//! `localhost`, loopback addresses and names that mean this machine are never reached through a proxy.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::header::HeaderValue;
use zeroize::Zeroizing;

use super::origin::is_loopback;
use crate::registry::Proxies;
use crate::text;

/// Characters shown of a proxy's address.
const MAX_SHOWN: usize = 100;

/// Why a proxy's address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is set to `{address}`, which {problem}")]
pub struct ProxyAddressError {
    /// The variable, in upper case.
    pub variable: &'static str,
    /// The address without user name and password.
    pub address: String,
    /// What is wrong with the address.
    pub problem: ProxyProblem,
}

/// What is wrong with a proxy's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProblem {
    /// Neither `host:port` nor a URL.
    #[error("is not the URL of a proxy")]
    Malformed,
    /// A proxy that is spoken to otherwise than by HTTP without TLS.
    #[error("names a kind of proxy that is not supported")]
    Scheme,
}

/// A proxy that is spoken to by HTTP without TLS.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::registry) struct Proxy {
    /// `http://host:port`, without user name and password.
    pub(in crate::registry) uri: Uri,
    /// `Proxy-Authorization`.
    pub(in crate::registry) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Returns `host:port`.
    pub(in crate::registry) fn name(&self) -> String {
        self.uri.authority().map(ToString::to_string).unwrap_or_default()
    }
}

/// The proxies of one command.
#[derive(Clone)]
pub(in crate::registry) struct ProxyTable {
    http: Option<Result<Proxy, ProxyAddressError>>,
    https: Option<Result<Proxy, ProxyAddressError>>,
    direct: NoProxy,
}

impl ProxyTable {
    pub(in crate::registry) fn new(proxies: &Proxies) -> Self {
        let parse = |variable, address: &Option<String>| {
            let address = address.as_deref().map(str::trim).filter(|address| !address.is_empty())?;
            Some(parse(address).map_err(|problem| {
                let address = text::plain(&text::without_user_info(address), MAX_SHOWN);
                ProxyAddressError { variable, address, problem }
            }))
        };
        Self {
            http: parse("HTTP_PROXY", &proxies.http),
            https: parse("HTTPS_PROXY", &proxies.https),
            direct: NoProxy::parse(proxies.no.as_deref().unwrap_or_default()),
        }
    }

    /// Returns the proxy for a request to `uri`; none where it is reached directly.
    ///
    /// # Errors
    /// The request has to go through a proxy whose address cannot be used.
    pub(in crate::registry) fn route(&self, uri: &Uri) -> Result<Option<&Proxy>, ProxyAddressError> {
        let https = uri.scheme_str() == Some("https");
        let proxy = if https { &self.https } else { &self.http };
        let (Some(proxy), Some(host)) = (proxy, uri.host()) else { return Ok(None) };
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        if is_loopback(host) || self.direct.has(host, port) {
            return Ok(None);
        }
        proxy.as_ref().map(Some).map_err(Clone::clone)
    }
}

/// Reads the address of a proxy. Without a scheme it is `http`.
fn parse(address: &str) -> Result<Proxy, ProxyProblem> {
    let text = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let (scheme, rest) = text.split_once("://").ok_or(ProxyProblem::Malformed)?;
    if !scheme.eq_ignore_ascii_case("http") {
        let known = ["https", "socks", "socks4", "socks4a", "socks5", "socks5h"];
        let is_known = known.iter().any(|name| scheme.eq_ignore_ascii_case(name));
        return Err(if is_known { ProxyProblem::Scheme } else { ProxyProblem::Malformed });
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user_info, host) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, authority),
    };
    let uri: Uri = format!("http://{host}").parse().map_err(|_| ProxyProblem::Malformed)?;
    // A URI may have any digits, or none, for its port.
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if uri.host().is_none_or(str::is_empty) || has_port && uri.port_u16().is_none() {
        return Err(ProxyProblem::Malformed);
    }
    let authorization = user_info.map(basic).transpose()?;
    Ok(Proxy { uri, authorization })
}

/// `Proxy-Authorization` of a URL's user name and password, which are percent-encoded there.
fn basic(user_info: &str) -> Result<HeaderValue, ProxyProblem> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let mut pair = Zeroizing::new(percent_encoding::percent_decode_str(user).collect::<Vec<u8>>());
    pair.push(b':');
    pair.extend(percent_encoding::percent_decode_str(password));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*pair)));
    let mut value = HeaderValue::from_str(&text).map_err(|_| ProxyProblem::Malformed)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The hosts that are reached directly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct NoProxy {
    all: bool,
    addresses: Vec<(IpAddr, Option<String>)>,
    networks: Vec<(IpAddr, u8)>,
    domains: Vec<Domain>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Domain {
    /// With a dot in front.
    suffix: String,
    /// Whether the domain itself is meant too.
    itself: bool,
    port: Option<String>,
}

impl NoProxy {
    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for entry in text.split(',').map(|entry| entry.trim().to_lowercase()).filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                return Self { all: true, ..Self::default() };
            }
            if let Some(network) = network(&entry) {
                found.networks.push(network);
                continue;
            }
            let (host, port) = match split_port(&entry) {
                Some((host, port)) => (host, Some(port.to_owned())),
                None => (entry.as_str(), None),
            };
            if let Ok(address) = host.parse::<IpAddr>() {
                found.addresses.push((address.to_canonical(), port));
                continue;
            }
            let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
            if name.is_empty() {
                continue;
            }
            let itself = !name.starts_with('.');
            let suffix = if itself { format!(".{name}") } else { name.to_owned() };
            found.domains.push(Domain { suffix, itself, port });
        }
        found
    }

    /// Returns whether that host is reached directly at that port. IPv6 addresses may be in brackets.
    fn has(&self, host: &str, port: u16) -> bool {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_lowercase();
        let port = port.to_string();
        let at = |wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| *wanted == port);
        if self.all {
            return true;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            return self.addresses.iter().any(|(known, port)| *known == address && at(port))
                || self.networks.iter().any(|network| contains(*network, address));
        }
        self.domains.iter().any(|Domain { suffix, itself, port }| {
            (host.ends_with(suffix.as_str()) || *itself && host == suffix[1..]) && at(port)
        })
    }
}

/// Returns a network in CIDR form.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if bits.is_empty() || !bits.bytes().all(|digit| digit.is_ascii_digit()) || (bits.len() > 1 && bits.starts_with('0'))
    {
        return None;
    }
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
    Some((address, bits))
}

fn contains((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// Splits `host:port` and `[address]:port`, as Go's `SplitHostPort` does: nothing where there is no port, where an
/// address without brackets has colons, or where the host is missing.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.contains(['[', ']'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const TABLE: &str = include_str!("../../../fixtures/no-proxy.jsonl");
    const EXCEPTIONS: &str = include_str!("../../../fixtures/no-proxy-exceptions.jsonl");

    #[derive(Deserialize)]
    struct Row {
        no_proxy: String,
        proxied: BTreeMap<String, bool>,
    }

    #[derive(Deserialize)]
    struct Exception {
        url: String,
    }

    fn table(no_proxy: &str) -> ProxyTable {
        let proxy = Some("http://proxy.example:3128".to_owned());
        ProxyTable::new(&Proxies { http: proxy.clone(), https: proxy, no: Some(no_proxy.to_owned()) })
    }

    fn is_proxied(table: &ProxyTable, url: &str) -> bool {
        table.route(&url.parse().expect(url)).expect("a usable proxy").is_some()
    }

    #[test]
    fn requests_are_proxied_as_go_has_it() {
        let kept: BTreeSet<String> =
            EXCEPTIONS.lines().map(|line| serde_json::from_str::<Exception>(line).expect("an exception").url).collect();
        let mut rows = 0;
        for line in TABLE.lines() {
            let row: Row = serde_json::from_str(line).expect("a row");
            let table = table(&row.no_proxy);
            for (url, expected) in row.proxied {
                rows += 1;
                let expected = expected && !kept.contains(&url);
                assert_eq!(is_proxied(&table, &url), expected, "`{}` and {url}", row.no_proxy);
            }
        }
        assert_eq!(rows, 26 * 16);
    }

    #[test]
    fn entries_that_the_table_does_not_have() {
        for (no_proxy, url, proxied) in [
            ("*.example.test:8443", "https://a.example.test:8443/", false),
            ("*.example.test:8443", "https://a.example.test/", true),
            ("10.1.2.3:8443", "https://10.1.2.3:8443/", false),
            ("10.1.2.3:8443", "https://10.1.2.3/", true),
            ("[fd00::1]:443", "https://[fd00::1]/", false),
            ("[fd00::1]:80", "https://[fd00::1]/", true),
            ("[fd00::1]", "https://[fd00::1]/", true),
            ("fd00::1", "https://[fd00:0::1]/", false),
            ("::ffff:10.1.2.3", "https://10.1.2.3/", false),
            ("0.0.0.0/0", "https://10.1.2.3/", false),
            ("::/0", "https://10.1.2.3/", true),
            ("::/0", "https://[fd00::1]/", false),
            ("10.1.2.3/32", "https://10.1.2.4/", true),
            ("10.0.0.0/08", "https://10.1.2.3/", true),
            (":8443", "https://example.test:8443/", true),
            ("example.test:443", "https://example.test/", false),
            ("example.test:80", "http://example.test/", false),
            ("other.test;example.test", "https://example.test/", true),
            ("example.test example.com", "https://example.test/", true),
            (".2.3", "https://10.1.2.3/", true),
        ] {
            assert_eq!(is_proxied(&table(no_proxy), url), proxied, "`{no_proxy}` and {url}");
        }
    }

    #[test]
    fn this_machine_is_never_behind_a_proxy() {
        for url in ["http://localhost/", "https://a.localhost/", "https://127.1/", "https://x.localtest.me:8443/"] {
            assert!(!is_proxied(&table(""), url), "{url}");
        }
    }

    #[test]
    fn addresses_of_proxies() {
        let uri = |text: &str| Ok::<Uri, ProxyProblem>(text.parse().expect(text));
        for (address, expected) in [
            ("http://proxy.example:3128", uri("http://proxy.example:3128")),
            ("proxy.example:3128", uri("http://proxy.example:3128")),
            ("proxy.example", uri("http://proxy.example")),
            ("HTTP://10.0.0.1:8080/path", uri("http://10.0.0.1:8080")),
            ("http://[fd00::1]:3128/", uri("http://[fd00::1]:3128")),
            ("http://user:p%40ss@proxy.example:3128", uri("http://proxy.example:3128")),
            ("https://proxy.example:3128", Err(ProxyProblem::Scheme)),
            ("socks5://proxy.example:1080", Err(ProxyProblem::Scheme)),
            ("ftp://proxy.example", Err(ProxyProblem::Malformed)),
            ("http://", Err(ProxyProblem::Malformed)),
            ("http://proxy.example:", Err(ProxyProblem::Malformed)),
            ("http://proxy.example:99999", Err(ProxyProblem::Malformed)),
            ("http://proxy.example:port", Err(ProxyProblem::Malformed)),
            ("http://pro xy", Err(ProxyProblem::Malformed)),
            ("://", Err(ProxyProblem::Malformed)),
        ] {
            assert_eq!(parse(address).map(|proxy| proxy.uri), expected, "{address}");
        }
        let proxy = parse("http://user:p%40ss%3A@proxy.example").unwrap_or_else(|problem| panic!("{problem}"));
        let sent = proxy.authorization.expect("a credential");
        assert_eq!(sent.to_str().expect("text"), format!("Basic {}", STANDARD.encode("user:p@ss:")));
        assert!(sent.is_sensitive());
    }

    #[test]
    fn an_address_that_cannot_be_used_is_an_error_where_it_is_needed() {
        let proxies = Proxies {
            http: Some(String::new()),
            https: Some("socks5://user:hunter2@proxy.example:1080".into()),
            no: Some("direct.test".into()),
        };
        let table = ProxyTable::new(&proxies);
        let route = |url: &str| table.route(&url.parse().expect(url)).map(|proxy| proxy.is_some());
        for direct in ["http://example.test/", "https://direct.test/", "https://localhost:5000/"] {
            assert_eq!(route(direct), Ok(false), "{direct}");
        }
        let error = route("https://example.test/").expect_err("no proxy of ours").to_string();
        assert_eq!(
            error,
            "HTTPS_PROXY is set to `[hidden]@proxy.example:1080`, which names a kind of proxy that is not supported"
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(no in "[*.:,/\\[\\]a-c0-9 ]{0,40}", address in "\\PC{0,40}", host in "[a-c0-9.:]{1,20}") {
            let _ = parse(&address);
            let _ = NoProxy::parse(&no).has(&host, 443);
        }
    }
}

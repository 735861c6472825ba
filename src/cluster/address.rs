//! The names under which the registry can be reached, and the one for references. No I/O.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::documents::BuildCustomization;
use crate::image::Reference;

/// The path prefix of Gitea under path routing.
const PATH_PREFIX: &str = "gitea";
/// The host name that a Gitea of its own name has before the cluster's.
const SUBDOMAIN: &str = "gitea.";
/// The one host name that Gitea's chart serves whatever was asked for.
const FIXED_HOST: &str = "gitea.cnoe.localtest.me";

/// The addresses that idpbuilder makes unless told otherwise, with a name of Gitea's own and with path routing.
pub const DEFAULT_NAMES: [&str; 2] = ["gitea.cnoe.localtest.me:8443", "cnoe.localtest.me:8443"];

/// The most names of one registry. A cluster of idpbuilder has two.
const MAX_NAMES: usize = 16;
/// Characters of a host name (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Whether the registry uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTPS.
    Https,
    /// Plain HTTP.
    Http,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "https" => Some(Self::Https),
            "http" => Some(Self::Http),
            _ => None,
        }
    }

    /// Returns the port of addresses without one.
    pub(super) fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// The registry's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    /// Lower case; the one that nodes pull from.
    pub(super) host: String,
    /// Further host names of the registry.
    pub(super) aliases: Vec<String>,
    pub(super) port: u16,
    pub(super) path_prefix: Option<&'static str>,
}

impl Address {
    /// Returns the address that the flags of `idpbuilder create` make.
    pub(super) fn of_customization(customization: &BuildCustomization) -> Option<Self> {
        let text = |value: &Option<String>| {
            value.as_deref().map(str::trim).filter(|value| !value.is_empty()).map(str::to_ascii_lowercase)
        };
        let base = text(&customization.host)?;
        let scheme = text(&customization.protocol).map_or(Some(Scheme::Https), |protocol| Scheme::parse(&protocol))?;
        let port = match text(&customization.port) {
            Some(port) => number(&port)?,
            None => scheme.default_port(),
        };
        let path_routing = customization.use_path_routing == Some(true);
        let host = |base: &str| if path_routing { base.to_owned() } else { format!("{SUBDOMAIN}{base}") };
        let ingress = text(&customization.ingress_host).filter(|ingress| *ingress != base);
        let address = Self {
            scheme,
            host: host(&base),
            aliases: ingress.iter().map(|ingress| host(ingress)).collect(),
            port,
            path_prefix: path_routing.then_some(PATH_PREFIX),
        };
        address.checked()
    }

    /// Returns the address that Gitea's own URL has.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let scheme = Scheme::parse(scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, number(port)?),
            _ => (authority, scheme.default_port()),
        };
        let path_prefix = match path.trim_matches('/') {
            "" => None,
            PATH_PREFIX => Some(PATH_PREFIX),
            _ => return None,
        };
        Self { scheme, host: host.to_ascii_lowercase(), aliases: Vec::new(), port, path_prefix }.checked()
    }

    /// Returns the address that Gitea's Ingresses and the controller's Service have together.
    pub(super) fn of_routes(routes: &[(String, Vec<String>)], entrance: Option<(String, u16)>) -> Option<Self> {
        let (scheme, port) = match entrance {
            Some((protocol, port)) => (Scheme::parse(&protocol)?, port),
            None => (Scheme::Https, Scheme::Https.default_port()),
        };
        let prefixed = |path: &String| path.strip_prefix('/').is_some_and(|path| path.starts_with(PATH_PREFIX));
        let by_path = |paths: &[String]| paths.iter().any(prefixed);
        let path_routing = routes.iter().any(|(_, paths)| by_path(paths));
        let mut hosts: Vec<String> = Vec::new();
        for (host, paths) in routes {
            let host = host.to_ascii_lowercase();
            let fits = if path_routing { by_path(paths) && host != "localhost" } else { true };
            if fits && !host.starts_with('*') && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        // A stable sort: the chart's default name goes last, since the cluster may use another one.
        hosts.sort_by_key(|host| host == FIXED_HOST);
        let mut hosts = hosts.into_iter();
        let host = hosts.next()?;
        Self { scheme, host, aliases: hosts.collect(), port, path_prefix: path_routing.then_some(PATH_PREFIX) }
            .checked()
    }

    /// Returns the names as references have them, `host:port`, the preferred one first.
    pub(super) fn names(&self) -> Vec<String> {
        std::iter::once(&self.host).chain(&self.aliases).map(|host| format!("{host}:{}", self.port)).collect()
    }

    fn checked(self) -> Option<Self> {
        let hosts = || std::iter::once(&self.host).chain(&self.aliases);
        let valid = |name: &String| Reference::from_parts(Some(name), "x", None).is_ok();
        let usable = self.port != 0
            && self.aliases.len() < MAX_NAMES
            && hosts().all(|host| is_host(host))
            && self.names().iter().all(valid);
        usable.then_some(self)
    }
}

/// Returns a port in digits alone.
fn number(port: &str) -> Option<u16> {
    port.bytes().all(|digit| digit.is_ascii_digit()).then(|| port.parse().ok())?
}

/// Returns whether `host` is a name or an address in the one form that every program reads alike. Resolvers also take
/// `2130706433`, `0x7f.1` and `127.1` for addresses, and a name with a final dot for the name without it.
fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[') {
        return inside.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(allowed)
    };
    // By the URL standard, a name whose last label is a number is an IPv4 address (section 3.6).
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    host.len() <= MAX_HOST && host.split('.').all(label) && !number
}

/// Returns a registry's names under both kinds of routing, as references may contain them: `host:port`, and `host`
/// alone for the scheme's default port.
pub(super) fn under_either_routing(names: &[String], scheme: Scheme, path_routing: bool) -> Vec<String> {
    let mut every: Vec<String> = Vec::new();
    for name in names {
        let other = match name.strip_prefix(SUBDOMAIN) {
            _ if path_routing => Some(format!("{SUBDOMAIN}{name}")),
            Some(base) => Some(base.to_owned()),
            None => None,
        };
        every.extend(std::iter::once(name.clone()).chain(other));
    }
    as_written(&every, scheme)
}

/// Returns each name as references may have it: `host:port`, and `host` alone for the scheme's own port.
pub(super) fn as_written(names: &[String], scheme: Scheme) -> Vec<String> {
    let bare = |name: &String| name.strip_suffix(&format!(":{}", scheme.default_port())).map(str::to_owned);
    let mut every: Vec<String> =
        names.iter().flat_map(|name| std::iter::once(name.clone()).chain(bare(name))).collect();
    let mut seen = std::collections::HashSet::new();
    every.retain(|name| seen.insert(name.clone()));
    every
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn customization(host: &str, ingress: &str, port: &str, path_routing: bool) -> BuildCustomization {
        BuildCustomization {
            protocol: Some("https".into()),
            host: Some(host.into()),
            ingress_host: Some(ingress.into()),
            port: Some(port.into()),
            use_path_routing: Some(path_routing),
            self_signed_cert: None,
        }
    }

    #[test]
    fn flags_of_create_make_the_names() {
        let names = |customization: &BuildCustomization| {
            Address::of_customization(customization).map(|address| (address.names(), address.path_prefix))
        };
        let host = "cnoe.localtest.me";
        for (customization, expected, prefix) in [
            (customization(host, host, "8443", false), vec!["gitea.cnoe.localtest.me:8443"], None),
            (customization(host, host, "443", true), vec!["cnoe.localtest.me:443"], Some("gitea")),
            (
                customization("Dev.example", "out.example", "8443", false),
                vec!["gitea.dev.example:8443", "gitea.out.example:8443"],
                None,
            ),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(names(&customization), Some((expected, prefix)));
        }
        assert_eq!(names(&customization("", host, "8443", false)), None);
        assert_eq!(names(&customization(host, host, "port", false)), None);
        assert_eq!(names(&customization("a b", host, "8443", false)), None);
        let bare = BuildCustomization { host: Some("h.example".into()), ..BuildCustomization::default() };
        assert_eq!(names(&bare), Some((vec!["gitea.h.example:443".into()], None)));
    }

    #[test]
    fn urls_make_the_names() {
        for (url, expected, prefix) in [
            ("https://gitea.cnoe.localtest.me:8443", "gitea.cnoe.localtest.me:8443", None),
            ("https://cnoe.localtest.me:8443/gitea/", "cnoe.localtest.me:8443", Some("gitea")),
            ("http://gitea.x.example", "gitea.x.example:80", None),
        ] {
            let address = Address::of_url(url).expect(url);
            assert_eq!((address.names(), address.path_prefix), (vec![expected.to_owned()], prefix), "{url}");
        }
        for url in ["", "gitea.x", "ftp://x", "https://", "https://x/other", "https://x:y", "https://u:p@x/"] {
            assert_eq!(Address::of_url(url), None, "{url}");
        }
    }

    #[test]
    fn hosts_that_programs_read_differently_are_refused() {
        let host = |url: &str| Address::of_url(url).map(|address| address.names().remove(0));
        for (url, expected) in [
            ("https://127.0.0.2:7001", "127.0.0.2:7001"),
            ("https://[::1]:7001", "[::1]:7001"),
            ("https://GITEA.X.example", "gitea.x.example:443"),
            ("https://xn--bcher-kva.example", "xn--bcher-kva.example:443"),
            ("https://localhost:1", "localhost:1"),
        ] {
            assert_eq!(host(url).as_deref(), Some(expected), "{url}");
        }
        for url in [
            "https://2130706433:7001",
            "https://0x7f.1:7001",
            "https://127.0x1",
            "https://127.1:7001",
            "https://127.0.0.01:7001",
            "https://0177.0.0.1",
            "https://gitea.x.example.:443",
            "https://.x.example",
            "https://a..b",
            "https://-a.example",
            "https://a_b.example",
            "https://b\u{fc}cher.example",
            "https://a.example:0",
            "https://a.example:65536",
            "https://a.example:+443",
            "https://user@a.example",
            "https://a.example@evil.example",
            "https://a.example?b",
            "https://a.example#b",
            "https://a.example\\@evil.example",
            "https://[::1",
            "https://[fe80::1%25eth0]",
            "https://[127.0.0.1]",
        ] {
            assert_eq!(host(url), None, "{url}");
        }
        let long = format!("https://{}.example", "a.".repeat(123) + "aa");
        assert_eq!(host(&long), None);
    }

    #[test]
    fn a_registry_has_a_limited_number_of_names() {
        let routes = |count: usize| {
            let route = |number| (format!("gitea.h{number}.example"), vec!["/".to_owned()]);
            (0..count).map(route).collect::<Vec<_>>()
        };
        let names = |count| Address::of_routes(&routes(count), None).map(|address| address.names().len());
        assert_eq!([names(MAX_NAMES), names(MAX_NAMES + 1)], [Some(MAX_NAMES), None]);
    }

    #[test]
    fn ingresses_make_the_names() {
        let route = |host: &str, path: &str| (host.to_owned(), vec![path.to_owned()]);
        let entrance = || Some(("https".to_owned(), 8443));
        let subdomain = [route("gitea.cnoe.localtest.me", "/"), route("gitea.dev.example", "/")];
        let address = Address::of_routes(&subdomain, entrance()).expect("an address");
        assert_eq!(address.names(), ["gitea.dev.example:8443", "gitea.cnoe.localtest.me:8443"]);
        let paths = [
            route("dev.example", "/v2"),
            route("localhost", "/gitea(/|$)(.*)"),
            route("dev.example", "/gitea(/|$)(.*)"),
            route("gitea.cnoe.localtest.me", "/"),
        ];
        let address = Address::of_routes(&paths, entrance()).expect("an address");
        assert_eq!((address.names(), address.path_prefix), (vec!["dev.example:8443".to_owned()], Some("gitea")));
        assert_eq!(Address::of_routes(&[], entrance()), None);
        let address = Address::of_routes(&subdomain[..1], None).expect("an address");
        assert_eq!(address.names(), ["gitea.cnoe.localtest.me:443"]);
    }

    #[test]
    fn names_under_the_other_routing() {
        let every = |names: &[&str], scheme, path_routing| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            under_either_routing(&names, scheme, path_routing)
        };
        assert_eq!(every(&DEFAULT_NAMES[..1], Scheme::Https, false), DEFAULT_NAMES);
        assert_eq!(
            every(&["cnoe.localtest.me:8443"], Scheme::Https, true),
            ["cnoe.localtest.me:8443", DEFAULT_NAMES[0]]
        );
        assert_eq!(
            every(&["gitea.x:443", "gitea.y:443"], Scheme::Https, false),
            ["gitea.x:443", "gitea.x", "x:443", "x", "gitea.y:443", "gitea.y", "y:443", "y"]
        );
        assert_eq!(every(&["gitea.x:80"], Scheme::Https, false), ["gitea.x:80", "x:80"]);
        assert_eq!(every(&["x:80"], Scheme::Http, true), ["x:80", "x", "gitea.x:80", "gitea.x"]);
        // A host that happens to be called so is not a foreign one without it.
        assert_eq!(every(&["gitea.corp.example:443"], Scheme::Https, true)[2], "gitea.gitea.corp.example:443");
        assert_eq!(every(&["git.x:1"], Scheme::Https, false), ["git.x:1"]);
    }

    proptest! {
        #[test]
        fn urls_never_panic(url in "\\PC{0,60}", rest in "[a-z0-9:/.@\\[\\]-]{0,40}") {
            let _ = Address::of_url(&url);
            let _ = Address::of_url(&format!("https://{rest}"));
        }
    }
}

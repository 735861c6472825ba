//! The one form of a registry's address, however it is written.

use std::net::Ipv6Addr;

use super::Reference;

/// The port of https.
const HTTPS_PORT: u16 = 443;
/// The port of http.
const HTTP_PORT: u16 = 80;

/// Host and port of an address: `host`, `host:port`, or a URL of a registry as people copy it, with `/v1`, `/v2` or a
/// slash behind it. The host is in lower case, an IPv6 address in its shortest form and in brackets; an address without
/// a port has the one of its scheme, which is https unless it is written otherwise.
///
/// `None` for anything else: another scheme, a user name, a path, a name with a final dot.
pub fn host_and_port(text: &str) -> Option<(String, u16)> {
    let lower = text.trim().to_ascii_lowercase();
    let (port, bare) = match lower.split_once("://") {
        Some(("https", bare)) => (HTTPS_PORT, bare),
        Some(("http", bare)) => (HTTP_PORT, bare),
        Some(_) => return None,
        None => (HTTPS_PORT, lower.as_str()),
    };
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    // References have the one grammar of addresses; none of it can leave a directory.
    Reference::from_parts(Some(bare), "x", None).ok()?;
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (bare, port),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::parse::<Ipv6Addr>);
    let host = match address {
        Some(address) => format!("[{}]", address.ok()?),
        None => host.to_owned(),
    };
    (port != 0).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_to_write_an_address_has_one_form() {
        for (texts, host, port) in [
            (
                &[
                    "r.example",
                    "R.Example",
                    "r.example:443",
                    "r.example/",
                    "https://r.example",
                    "HTTPS://R.example:443/",
                    "https://r.example/v2/",
                    "r.example/v1",
                    " r.example\n",
                    "r.example:0443",
                ][..],
                "r.example",
                443,
            ),
            (&["http://r.example", "http://r.example:80/", "r.example:80", "https://r.example:80"], "r.example", 80),
            (&["r.example:8443", "https://r.example:8443///", "http://R.example:8443"], "r.example", 8443),
            (&["[::1]", "[::1]:443", "https://[::1]/", "[0:0:0:0:0:0:0:1]", "[0000::0001]"], "[::1]", 443),
            (&["[2001:DB8::1]:5000", "[2001:db8:0::1]:5000"], "[2001:db8::1]", 5000),
            (&["127.0.0.1"], "127.0.0.1", 443),
            (&["localhost:5000"], "localhost", 5000),
        ] {
            for text in texts {
                assert_eq!(host_and_port(text), Some((host.to_owned(), port)), "{text:?}");
            }
        }
        for text in [
            "",
            "/",
            "..",
            "../x",
            "a b",
            "a/b",
            "a/b/v2",
            "u:p@a",
            "u@a",
            "a:0",
            "a:99999",
            "a:b",
            "a:",
            "a:+443",
            "ftp://a",
            "docker://a",
            "a\0",
            "a.example.",
            "a.example.:443",
            ".a",
            "a..b",
            "[::1",
            "::1",
            "[127.0.0.1]",
            "[fe80::1%eth0]",
        ] {
            assert_eq!(host_and_port(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_stable(text in "\\PC{0,60}") {
            if let Some((host, port)) = host_and_port(&text) {
                prop_assert_eq!(host_and_port(&format!("{host}:{port}")), Some((host, port)));
            }
        }
    }
}

//! The test that one registry is one registry wherever its address is looked up, however it is written.

use std::path::Path;

use super::audience::same_registry;
use super::destination::bare_registry;
use crate::credentials::{Answer, CredentialSource as _, DockerConfig, Helpers, HostKey, Secret};
use crate::tls::RegistryHost;

/// Ways to write an address, by the registry that they mean.
const FORMS: [&[&str]; 5] = [
    &[
        "r.example",
        "R.Example",
        "r.example:443",
        "https://r.example",
        "https://r.example/",
        "HTTPS://R.EXAMPLE:443/",
        "https://r.example/v2/",
        " r.example ",
    ],
    &["r.example:8443", "R.example:8443", "https://r.example:8443/", "https://r.example:8443/v2"],
    &["[::1]", "[::1]:443", "https://[::1]/", "[0:0:0:0:0:0:0:1]"],
    &["[2001:db8::1]:5000", "[2001:DB8:0::1]:5000"],
    &["127.0.0.1:5000", "https://127.0.0.1:5000"],
];
/// Addresses of registries without TLS, for which a trust store has no directory.
const PLAIN: [&str; 4] = ["http://r.example", "http://r.example:80", "r.example:80", "HTTP://R.example/"];
/// No address of a registry to anything.
const NONE: [&str; 8] =
    ["", "a b", "a/b", "r.example.", "r.example.:443", "u:p@r.example", "r.example:0", "ftp://r.example"];

fn entry(key: &str, registry: &str) -> bool {
    let text = serde_json::json!({"auths": {key: {"username": "u", "password": "p"}}}).to_string();
    let config = DockerConfig::variable("V", Secret::new(text), Helpers::default());
    matches!(config.find(registry, "team/app"), Answer::Found(_))
}

#[test]
fn an_address_is_one_in_the_trust_store_the_credentials_and_dockers_files() {
    for (row, forms) in FORMS.iter().enumerate() {
        for one in *forms {
            let (host, key): (RegistryHost, HostKey) = (one.parse().expect(one), one.parse().expect(one));
            bare_registry(one).expect(one);
            for other in *forms {
                assert_eq!(other.parse(), Ok(host.clone()), "trust: {one} {other}");
                assert_eq!(other.parse(), Ok(key.clone()), "credentials: {one} {other}");
                assert!(same_registry(one, other), "{one} {other}");
                assert!(entry(one, &bare_registry(other).expect(other)), "Docker's file: {one} {other}");
                let directories = other.parse::<RegistryHost>().expect(other).directories(Path::new("/c"));
                assert_eq!(directories, host.directories(Path::new("/c")), "certs.d: {one} {other}");
            }
            for (stranger, others) in FORMS.iter().enumerate().filter(|(number, _)| *number != row) {
                for other in *others {
                    assert!(!same_registry(one, other) && !entry(one, other), "{row} {stranger}: {one} {other}");
                }
            }
        }
    }
    for one in PLAIN {
        for other in PLAIN {
            assert!(same_registry(one, other) && entry(one, "r.example:80"), "{one} {other}");
        }
        assert!(!same_registry(one, "r.example"), "{one}");
        assert_eq!(one.parse::<RegistryHost>().is_err(), one.contains("://"), "{one}");
    }
    for none in NONE {
        assert!(none.parse::<RegistryHost>().is_err() && none.parse::<HostKey>().is_err(), "{none}");
        assert!(!entry(none, "r.example"), "{none}");
    }
}

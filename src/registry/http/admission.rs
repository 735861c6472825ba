//! Which addresses a connection may go to: judged by the address itself, after resolution and before a byte is sent.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::address::Zone;
use super::origin::{Origin, is_loopback_name};
use crate::registry::blobs::hosts::BlobHosts;

/// What is known of where the registry is.
#[derive(Debug, Clone)]
pub(super) struct Home(Arc<Known>);

#[derive(Debug)]
struct Known {
    own: Origin,
    /// Hosts that the person named for blobs, which may be anywhere.
    open: BlobHosts,
    /// Zones of the addresses at which the registry was met, with TLS where it has TLS.
    zones: Mutex<Vec<Zone>>,
}

/// The addresses that a connection may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admitted {
    /// All: the person named the registry, or the proxy.
    Any,
    /// Those of the internet, and those that something in one of the zones may lead to.
    From(Vec<Zone>),
    /// Those of this machine.
    Machine,
}

impl Admitted {
    /// Returns whether that address is among them.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let zone = Zone::of(address);
        match self {
            Self::Any => true,
            Self::From(zones) => zone == Zone::Public || zones.iter().any(|from| from.may_lead_to(zone)),
            Self::Machine => zone == Zone::Machine,
        }
    }
}

impl Home {
    pub(super) fn new(own: Origin) -> Self {
        Self::with_blobs_at(own, BlobHosts::default())
    }

    /// Returns the rules for requests for blobs, which may go to `open` wherever those hosts are.
    pub(super) fn with_blobs_at(own: Origin, open: BlobHosts) -> Self {
        Self(Arc::new(Known { own, open, zones: Mutex::default() }))
    }

    /// Returns the addresses that a connection to `target` may go to.
    ///
    /// The registry's own host and port may be anywhere. A name that means this machine was let through without TLS
    /// because it does, so that it has to.
    pub(super) fn admitted(&self, target: &Origin) -> Admitted {
        if target.is_at(&self.0.own) || self.0.open.has(target) {
            return Admitted::Any;
        }
        let zones = self.0.zones.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !target.is_https() && is_loopback_name(target.host()) {
            let leads_there = zones.iter().any(|zone| zone.may_lead_to(Zone::Machine));
            return if leads_there { Admitted::Machine } else { Admitted::From(Vec::new()) };
        }
        Admitted::From(zones)
    }

    /// Notes that a connection to `target` was made, TLS included, and that its peer has the address `peer`.
    pub(super) fn met(&self, target: &Origin, peer: IpAddr) {
        let zone = Zone::of(peer);
        let mut zones = self.0.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if *target == self.0.own && !zones.contains(&zone) {
            zones.push(zone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(&text.parse().expect(text)).expect(text)
    }

    #[test]
    fn hosts_that_are_named_for_blobs_may_be_anywhere() {
        let named = BlobHosts::parse(&["storage.example:9000".to_owned()]).expect("a host");
        let home = Home::with_blobs_at(origin("https://reg.example/"), named);
        home.met(&origin("https://reg.example/"), "93.184.215.14".parse().expect("an address"));
        let inside = "10.0.0.9".parse().expect("an address");
        assert!(home.admitted(&origin("http://storage.example:9000/")).has(inside));
        for other in ["http://storage.example/", "https://other.example:9000/"] {
            assert!(!home.admitted(&origin(other)).has(inside), "{other}");
        }
    }

    /// Returns whether a registry that was met at `own_address` may lead to `target`, which is at `address`.
    fn may_lead(own: &str, own_address: Option<&str>, target: &str, address: &str) -> bool {
        let own = origin(own);
        let home = Home::new(own.clone());
        if let Some(address) = own_address {
            home.met(&own, address.parse().expect(address));
        }
        home.admitted(&origin(target)).has(address.parse().expect(address))
    }

    #[test]
    fn where_a_registry_may_lead() {
        let (public, private, here) = (Some("8.8.8.8"), Some("10.0.0.1"), Some("127.0.0.1"));
        for (own_address, target, address, admitted) in [
            // The registry itself, wherever it is; its other ports are where it is.
            (None, "https://reg.example/", "127.0.0.1", true),
            (public, "https://reg.example/", "10.0.0.1", true),
            (public, "https://reg.example:8443/", "10.0.0.1", false),
            (private, "https://reg.example:8443/", "10.0.0.1", true),
            // Names that resolve inward.
            (public, "https://cdn.example/", "9.9.9.9", true),
            (public, "https://cdn.example/", "10.0.0.1", false),
            (public, "https://cdn.example/", "127.0.0.1", false),
            (public, "https://cdn.example/", "169.254.169.254", false),
            (public, "https://cdn.example/", "::ffff:127.0.0.1", false),
            (public, "https://cdn.example/", "64:ff9b::a00:1", false),
            // A registry inside may name what is inside, but not this machine.
            (private, "https://store.example/", "10.9.9.9", true),
            (private, "https://store.example/", "fc00::1", true),
            (private, "https://store.example/", "127.0.0.1", false),
            (private, "https://store.example/", "169.254.169.254", false),
            (here, "https://store.example/", "127.0.0.1", true),
            (here, "https://store.example/", "::1", true),
            (here, "https://store.example/", "10.0.0.1", true),
            (here, "https://store.example/", "169.254.169.254", false),
            // Behind a proxy, the registry's address is unknown.
            (None, "https://store.example/", "10.0.0.1", false),
            (None, "https://store.example/", "8.8.8.8", true),
            // A host that is asked without TLS because its name means this machine is this machine.
            (here, "http://gitea.localtest.me:8080/", "127.0.0.1", true),
            (here, "http://gitea.localtest.me:8080/", "10.0.0.1", false),
            (here, "http://gitea.localtest.me:8080/", "8.8.8.8", false),
            (public, "http://gitea.localtest.me:8080/", "127.0.0.1", false),
            (here, "https://gitea.localtest.me:8443/", "8.8.8.8", true),
        ] {
            let found = may_lead("https://reg.example/", own_address, target, address);
            assert_eq!(found, admitted, "from {own_address:?} to {target} at {address}");
        }
    }

    #[test]
    fn only_the_registry_itself_says_where_it_is() {
        let home = Home::new(origin("https://reg.example/"));
        for other in ["https://cdn.example/", "https://reg.example:8443/", "http://reg.example:443/"] {
            home.met(&origin(other), "127.0.0.1".parse().expect("an address"));
        }
        assert_eq!(home.admitted(&origin("https://cdn.example/")), Admitted::From(Vec::new()));
    }
}

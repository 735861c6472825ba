//! TLS by origin: the registry has the policy that was chosen for it, and no other origin has it.

use std::sync::{Arc, Mutex, PoisonError};

use super::origin::{Carried, Origin, Passage, passage};
use crate::tls::{self, ClientTls, RegistryHost, TlsError, TlsPolicy, TrustSources};

/// Origins whose configuration is kept; a registry leads to one or two.
const MAX_ORIGINS: usize = 16;

/// The client side of TLS, one configuration an origin.
#[derive(Debug, Clone)]
pub(super) struct OriginTls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    home: Origin,
    policy: TlsPolicy,
    own: Option<ClientTls>,
    sources: TrustSources,
    others: Mutex<Vec<(Origin, ClientTls)>>,
}

impl OriginTls {
    pub(super) fn new(home: Origin, policy: &TlsPolicy, sources: TrustSources) -> Result<Self, TlsError> {
        let own = tls::client(policy)?;
        let policy = policy.clone();
        Ok(Self(Arc::new(Shared { home, policy, own, sources, others: Mutex::default() })))
    }

    /// Returns the registry's own; `None` when it is used without TLS.
    pub(super) fn own(&self) -> Option<&ClientTls> {
        self.0.own.as_ref()
    }

    /// Returns what connections to `origin` were made with, if there were any.
    pub(super) fn known(&self, origin: &Origin) -> Option<ClientTls> {
        if passage(Carried::ClientCertificate, &self.0.home, origin) == Passage::Carry {
            return self.0.own.clone();
        }
        let others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.iter().find(|(known, _)| known == origin).map(|(_, tls)| tls.clone())
    }

    /// Returns what connections to `origin` are made with; `None` when it is used without TLS.
    pub(super) async fn of(&self, origin: &Origin) -> Result<Option<ClientTls>, TlsError> {
        if let Some(known) = self.known(origin) {
            return Ok(Some(known));
        }
        let (shared, target) = (Arc::clone(&self.0), origin.clone());
        // Reads files.
        let made = tokio::task::spawn_blocking(move || {
            let host = target.authority().parse::<RegistryHost>().ok();
            tls::client(&shared.sources.policy(host.as_ref(), &shared.policy, shared.home.host()))
        });
        let Some(made) = made.await.expect("reading certificates does not panic")? else { return Ok(None) };
        let mut others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|(known, _)| known != origin);
        if others.len() == MAX_ORIGINS {
            others.remove(0);
        }
        others.push((origin.clone(), made.clone()));
        Ok(Some(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(&text.parse().expect(text)).expect(text)
    }

    #[tokio::test]
    async fn no_other_origin_has_the_registrys_policy() {
        let home = origin("https://reg.example:8443/");
        let tls = OriginTls::new(home.clone(), &TlsPolicy::SkipVerify, TrustSources::default()).expect("set up");
        let own = tls.of(&home).await.expect("set up").expect("with TLS");
        for other in ["https://reg.example/", "https://auth.example:8443/"] {
            let other = origin(other);
            assert!(tls.known(&other).is_none());
            let found = tls.of(&other).await.expect("set up").expect("with TLS");
            assert!(!Arc::ptr_eq(&found.config, &own.config), "{other}");
            let again = tls.known(&other).expect("kept");
            assert!(Arc::ptr_eq(&found.config, &again.config), "{other}");
        }
        let plain = OriginTls::new(origin("http://reg.example/"), &TlsPolicy::Plaintext, TrustSources::default());
        let plain = plain.expect("set up");
        assert!(plain.own().is_none());
        assert!(plain.of(&origin("https://auth.example/")).await.expect("set up").is_some());
    }

    #[tokio::test]
    async fn few_origins_are_kept() {
        let home = origin("https://reg.example/");
        let tls = OriginTls::new(home, &TlsPolicy::SkipVerify, TrustSources::default()).expect("set up");
        for port in 1..40 {
            tls.of(&origin(&format!("https://other.example:{port}/"))).await.expect("set up");
        }
        assert_eq!(tls.0.others.lock().expect("unpoisoned").len(), MAX_ORIGINS);
        assert!(tls.known(&origin("https://other.example:39/")).is_some());
    }
}

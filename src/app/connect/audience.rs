//! Which roles a registry has in this command, and the flags that name no registry.

use std::cell::{OnceCell, RefCell};

use super::error::ConnectError;
use super::{Session, sources::variable};
use crate::app::Echo;
use crate::credentials::{Environment, ExplicitCredential, HostKey, Secret, SecretOrigin};

/// What a command uses a registry for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It writes to it, or it has nothing else to do with registries.
    Destination,
    /// It reads a base image from it.
    Base,
}

/// The registries that secrets without an address belong to. The first destination and the first registry of a base
/// are kept: a secret is shown to one registry, however many the command names.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    destination: RefCell<Option<String>>,
    base: RefCell<Option<String>>,
    /// The flags for bases, read once.
    for_base: OnceCell<Option<ExplicitCredential>>,
}

impl Audience {
    /// Notes what `registry` is used for; the first of each use stays.
    pub(crate) fn note(&self, registry: &str, used: Use) {
        if used == Use::Base {
            self.base.borrow_mut().get_or_insert_with(|| registry.to_owned());
        }
        // In a command without a destination, the first registry it reads from has that role.
        self.destination.borrow_mut().get_or_insert_with(|| registry.to_owned());
    }

    pub(crate) fn is_destination(&self, registry: &str) -> bool {
        self.destination.borrow().as_ref().is_some_and(|first| same_registry(first, registry))
    }

    pub(crate) fn is_base(&self, registry: &str) -> bool {
        self.base.borrow().as_ref().is_some_and(|first| same_registry(first, registry))
    }

    /// Returns the credential of `--from-creds`. A password that the flag does not have comes from
    /// `IDPBUILDER_FROM_PASSWORD` or `IDPBUILDER_FROM_TOKEN`, or is asked for on the terminal, once.
    pub(crate) fn for_base(
        &self,
        session: Session<'_>,
        flag: Option<&str>,
    ) -> Result<Option<ExplicitCredential>, ConnectError> {
        if let Some(given) = self.for_base.get() {
            return Ok(given.clone());
        }
        let given = match flag {
            None => None,
            Some(flag) => Some(from_flag(session, flag)?),
        };
        Ok(self.for_base.get_or_init(|| given).clone())
    }
}

fn from_flag(session: Session<'_>, flag: &str) -> Result<ExplicitCredential, ConnectError> {
    let usage = || ConnectError::FromCredsForm;
    let (username, password) = match flag.split_once(':') {
        Some((_, "")) => return Err(usage()),
        Some((username, password)) => (username, Some(password.to_owned())),
        None => (flag, None),
    };
    if username.is_empty() {
        return Err(usage());
    }
    let variable = || {
        ["IDPBUILDER_FROM_TOKEN", "IDPBUILDER_FROM_PASSWORD"].iter().find_map(|name| session.surroundings.text(name))
    };
    let secret = match password.or_else(|| variable().map(str::to_owned)) {
        Some(password) => Secret::new(password),
        None => match session
            .console
            .ask_line(&format!("Password or token of {username} for the base image: "), Echo::Off)?
        {
            Some(line) if !line.is_empty() => Secret::new(line.to_string()),
            Some(_) => return Err(ConnectError::NothingTyped),
            None => {
                return Err(ConnectError::FromCredsPassword);
            }
        },
    };
    Ok(ExplicitCredential { username: username.to_owned(), secret, for_base: true })
}

/// Returns an error if a credential from flags would be for several registries.
pub(crate) fn check_one_registry<'a>(registries: impl IntoIterator<Item = &'a str>) -> Result<(), ConnectError> {
    let mut seen: Vec<&str> = Vec::new();
    for registry in registries {
        if !seen.iter().any(|other| same_registry(other, registry)) {
            seen.push(registry);
        }
    }
    if seen.len() < 2 {
        return Ok(());
    }
    Err(ConnectError::SeveralRegistries(seen.into_iter().map(str::to_owned).collect()))
}

/// Whether two addresses are one registry's: in any case, with the port of https or without it.
pub(crate) fn same_registry(one: &str, other: &str) -> bool {
    match (one.parse::<HostKey>(), other.parse::<HostKey>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Whether a variable of this origin is set.
pub(crate) fn has_variable(session: Session<'_>, origin: SecretOrigin) -> bool {
    use crate::credentials::CredentialSource as _;
    Environment::sources(|name| variable(session, name)).iter().any(|source| source.origin() == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_use_is_kept() {
        let audience = Audience::default();
        audience.note("a.example", Use::Destination);
        audience.note("b.example:8443", Use::Base);
        audience.note("c.example", Use::Base);
        audience.note("d.example", Use::Destination);
        let roles = |registry| (audience.is_destination(registry), audience.is_base(registry));
        for name in ["a.example", "A.Example", "a.example:443"] {
            assert_eq!(roles(name), (true, false), "{name}");
        }
        for name in ["b.example:8443", "B.example:8443"] {
            assert_eq!(roles(name), (false, true), "{name}");
        }
        for name in ["a.example:80", "a.example:8443", "b.example", "c.example", "d.example", "", "a b"] {
            assert_eq!(roles(name), (false, false), "{name}");
        }
        let alone = Audience::default();
        alone.note("a.example", Use::Base);
        assert!(alone.is_destination("a.example") && alone.is_base("a.example"));
    }

    #[test]
    fn one_credential_is_for_one_registry() {
        check_one_registry([]).expect("none");
        check_one_registry(["a.example", "A.example:443", "a.example"]).expect("one, however it is written");
        let refused = check_one_registry(["a.example", "a.example:5000", "b.example"]).expect_err("three");
        assert_eq!(
            refused.to_string(),
            "one credential was given for 3 registries: a.example, a.example:5000, b.example"
        );
    }
}

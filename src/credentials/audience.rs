//! Which registries may see a secret, decided by where the secret came from.
//!
//! A user name and a password in a flag or a variable do not name a registry. Without a rule, every registry that a
//! command contacts would receive them, including the registry of a public base image.

/// Where a secret came from, which decides which registries may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOrigin {
    /// `--creds`, or `--username` with a password.
    Flags,
    /// `--from-creds`.
    BaseFlags,
    /// `IDPBUILDER_REGISTRY_*` and `REGISTRY_*`.
    Variables,
    /// `IDPBUILDER_FROM_*`.
    BaseVariables,
    /// `GITEA_*`.
    GiteaVariables,
    /// The Secret of an idpbuilder cluster.
    ClusterSecret,
    /// A file, a helper or a keyring entry that names the registry itself.
    NamedEntry,
}

/// The role of a registry in a command. One registry can have several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryRole {
    /// The registry that the command writes to. In a command without one, the first registry that it reads from.
    Destination,
    /// The registry that base images are read from.
    Base,
    /// The cluster's own registry.
    Cluster,
    /// The registry of `--registry`, `IDPBUILDER_REGISTRY` or `default_registry`.
    Default,
    /// Any other registry.
    Other,
}

/// Returns whether a registry in this role may see a secret of this origin.
pub fn may_see(origin: SecretOrigin, role: RegistryRole) -> bool {
    match origin {
        SecretOrigin::Flags | SecretOrigin::Variables => role == RegistryRole::Destination,
        SecretOrigin::BaseFlags | SecretOrigin::BaseVariables => role == RegistryRole::Base,
        SecretOrigin::GiteaVariables => matches!(role, RegistryRole::Cluster | RegistryRole::Default),
        SecretOrigin::ClusterSecret => role == RegistryRole::Cluster,
        SecretOrigin::NamedEntry => true,
    }
}

/// The roles that one registry has in one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistryRoles {
    /// [`RegistryRole::Destination`].
    pub destination: bool,
    /// [`RegistryRole::Base`].
    pub base: bool,
    /// [`RegistryRole::Cluster`].
    pub cluster: bool,
    /// [`RegistryRole::Default`].
    pub default: bool,
}

impl RegistryRoles {
    /// Returns whether the registry may see a secret of this origin in any of its roles.
    pub fn may_see(self, origin: SecretOrigin) -> bool {
        let held = [
            (self.destination, RegistryRole::Destination),
            (self.base, RegistryRole::Base),
            (self.cluster, RegistryRole::Cluster),
            (self.default, RegistryRole::Default),
            (true, RegistryRole::Other),
        ];
        held.into_iter().any(|(holds, role)| holds && may_see(origin, role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINS: [SecretOrigin; 7] = [
        SecretOrigin::Flags,
        SecretOrigin::BaseFlags,
        SecretOrigin::Variables,
        SecretOrigin::BaseVariables,
        SecretOrigin::GiteaVariables,
        SecretOrigin::ClusterSecret,
        SecretOrigin::NamedEntry,
    ];
    const ROLES: [RegistryRole; 5] = [
        RegistryRole::Destination,
        RegistryRole::Base,
        RegistryRole::Cluster,
        RegistryRole::Default,
        RegistryRole::Other,
    ];

    #[test]
    fn the_whole_table() {
        // destination, base, cluster, default, other
        let table = [
            (SecretOrigin::Flags, [true, false, false, false, false]),
            (SecretOrigin::BaseFlags, [false, true, false, false, false]),
            (SecretOrigin::Variables, [true, false, false, false, false]),
            (SecretOrigin::BaseVariables, [false, true, false, false, false]),
            (SecretOrigin::GiteaVariables, [false, false, true, true, false]),
            (SecretOrigin::ClusterSecret, [false, false, true, false, false]),
            (SecretOrigin::NamedEntry, [true, true, true, true, true]),
        ];
        assert_eq!(table.map(|(origin, _)| origin), ORIGINS);
        for (origin, expected) in table {
            assert_eq!(ROLES.map(|role| may_see(origin, role)), expected, "{origin:?}");
        }
    }

    #[test]
    fn a_registry_sees_what_any_of_its_roles_may_see() {
        for bits in 0_u8..16 {
            let [destination, base, cluster, default] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let roles = RegistryRoles { destination, base, cluster, default };
            let sees = ORIGINS.map(|origin| roles.may_see(origin));
            assert_eq!(sees, [destination, base, destination, base, cluster || default, cluster, true], "{roles:?}");
        }
    }
}

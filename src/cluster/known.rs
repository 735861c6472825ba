//! A cache of the hosts that belong to clusters, so that no cluster has to be contacted.
//!
//! Docker calls a credential helper for every configured registry at every build. For most of them the helper has to
//! answer "not found" at once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ClusterRegistry;
use super::reach::HostClaim;
use crate::credentials::HostKey;
use crate::fs::{self, FileLock, Hold};

/// The most bytes of the file that are read.
const MAX_BYTES: u64 = 256 * 1024;
/// The number of clusters that are remembered, deleted ones included.
const MAX_CLUSTERS: usize = 64;
/// The most accepted names for each context; the oldest are removed.
const MAX_ACCEPTED: usize = 32;
/// How long to wait for another process that writes. The file is a cache, so the wait is short.
const PATIENCE: Duration = Duration::from_millis(500);

/// The cached facts of one cluster, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCluster {
    /// `host:port` of every address of its registry that the cluster may claim.
    pub names: Vec<String>,
    /// `host:port` outside idpbuilder's own domain that the user accepted for the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// The user whose credential it gives, case kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// The hosts of clusters that were met before, by context, in `cache/clusters.json` of the program's directory.
#[derive(Debug, Clone)]
pub struct KnownHosts {
    path: PathBuf,
}

impl KnownHosts {
    /// Returns the hosts remembered below `home` (`~/.idpbuilder`).
    pub fn new(home: &Path) -> Self {
        Self { path: home.join("cache").join("clusters.json") }
    }

    /// Returns whether `key` can be a cluster's: a name that idpbuilder gives, or one that a cluster had.
    pub fn may_serve(&self, key: &HostKey) -> bool {
        HostClaim::of(key.host(), &[]) == HostClaim::OwnDomain
            || self.clusters().values().flat_map(|cluster| &cluster.names).any(|name| same(name, key))
    }

    /// Returns every cluster that is remembered, by context. A file that is damaged remembers none: it is a cache.
    pub fn clusters(&self) -> BTreeMap<String, KnownCluster> {
        self.read().ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Returns the names that were accepted for a context.
    pub fn accepted(&self, context: &str) -> Vec<String> {
        self.clusters().remove(context).map(|cluster| cluster.accepted).unwrap_or_default()
    }

    /// Stores a cluster's facts in place of earlier ones, and adds `accepted` to the names accepted for its
    /// context. Names that the cluster may not claim are left out.
    pub fn remember(&self, cluster: &ClusterRegistry, accepted: Option<&str>) -> io::Result<()> {
        let mut names = self.accepted(&cluster.context);
        names.retain(|before| Some(before.as_str()) != accepted);
        names.extend(accepted.map(str::to_owned));
        names.drain(..names.len().saturating_sub(MAX_ACCEPTED));
        let speaks_for =
            |name: &&String| matches!(HostClaim::of(name, &names), HostClaim::OwnDomain | HostClaim::Accepted);
        let known = KnownCluster {
            names: cluster.names.iter().filter(speaks_for).cloned().collect(),
            username: cluster.login.as_ref().ok().map(|login| login.username.clone()),
            accepted: names,
        };
        self.note(&cluster.context, known)
    }

    fn note(&self, context: &str, known: KnownCluster) -> io::Result<()> {
        if self.clusters().get(context) == Some(&known) {
            return Ok(());
        }
        fs::create_private_dir(fs::parent(&self.path))?;
        let lock = self.path.with_file_name(".clusters.lock");
        let _lock = FileLock::acquire(&lock, Hold::Exclusive, PATIENCE).map_err(io::Error::other)?;
        let mut clusters = self.clusters();
        if clusters.len() >= MAX_CLUSTERS && !clusters.contains_key(context) {
            clusters.clear();
        }
        clusters.insert(context.to_owned(), known);
        let mut bytes = serde_json::to_vec_pretty(&clusters).expect("names are strings");
        if bytes.len() as u64 > MAX_BYTES {
            // A file above the limit could never be read again.
            clusters.retain(|name, _| name == context);
            bytes = serde_json::to_vec_pretty(&clusters).expect("names are strings");
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fs::replace_private_file(&self.path, &bytes)
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        fs::read_regular(&self.path, MAX_BYTES, fs::Links::Follow)
    }
}

fn same(name: &str, key: &HostKey) -> bool {
    name.parse::<HostKey>().is_ok_and(|known| known == *key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::registry::tests::registry;
    use super::*;

    fn key(text: &str) -> HostKey {
        text.parse().expect("an address")
    }

    fn known(names: &[&str]) -> KnownCluster {
        KnownCluster {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            accepted: Vec::new(),
            username: Some("giteaAdmin".into()),
        }
    }

    #[test]
    fn names_that_idpbuilder_gives_need_no_memory() {
        let home = tempfile::tempdir().expect("a directory");
        let hosts = KnownHosts::new(home.path());
        for name in ["gitea.cnoe.localtest.me:8443", "https://CNOE.localtest.me/v2/", "localtest.me"] {
            assert!(hosts.may_serve(&key(name)), "{name}");
        }
        for name in
            ["docker.io", "localhost:5000", "127.0.0.1:8443", "notlocaltest.me", "localtest.me.evil", "gitea.dev"]
        {
            assert!(!hosts.may_serve(&key(name)), "{name}");
        }
    }

    #[test]
    fn other_names_are_remembered_by_context() {
        let home = tempfile::tempdir().expect("a directory");
        let hosts = KnownHosts::new(&home.path().join("home"));
        hosts.note("kind-a", known(&["gitea.dev.example:443", "dev.example:8443"])).expect("noted");
        hosts.note("kind-b", known(&["b.example:8443"])).expect("noted");
        for name in ["gitea.dev.example", "Dev.example:8443", "b.example:8443"] {
            assert!(hosts.may_serve(&key(name)), "{name}");
        }
        assert!(!hosts.may_serve(&key("dev.example")), "another port");
        hosts.note("kind-a", known(&["new.example:443"])).expect("noted");
        assert!(!hosts.may_serve(&key("gitea.dev.example")), "what the cluster was is over");
        assert_eq!(hosts.clusters().keys().collect::<Vec<_>>(), ["kind-a", "kind-b"]);
        for number in 0..2 * MAX_CLUSTERS {
            hosts.note(&format!("kind-{number}"), known(&["x.example:1"])).expect("noted");
        }
        assert!(hosts.clusters().len() <= MAX_CLUSTERS);
    }

    #[test]
    fn names_outside_the_own_domain_are_remembered_once_accepted() {
        let home = tempfile::tempdir().expect("a directory");
        let hosts = KnownHosts::new(home.path());
        let names = ["gitea.cnoe.localtest.me:8443", "gitea.dev.example:8443", "gitea.out.example:8443"];
        let cluster = registry(&names, None);
        let now = |hosts: &KnownHosts| {
            let known = hosts.clusters().remove(&cluster.context).expect("noted");
            (known.names, known.accepted)
        };
        hosts.remember(&cluster, None).expect("noted");
        assert_eq!(now(&hosts), (vec![names[0].into()], vec![]));
        assert!(!hosts.may_serve(&key(names[1])));
        hosts.remember(&cluster, Some(names[1])).expect("noted");
        hosts.remember(&cluster, Some(names[1])).expect("noted");
        hosts.remember(&cluster, None).expect("noted");
        assert_eq!(now(&hosts), (vec![names[0].into(), names[1].into()], vec![names[1].into()]));
        assert!(hosts.may_serve(&key(names[1])) && !hosts.may_serve(&key(names[2])));
        assert_eq!(hosts.accepted("another context"), Vec::<String>::new());
        // What earlier versions wrote says nothing about acceptance.
        hosts.note(&cluster.context, known(&names)).expect("noted");
        assert_eq!(hosts.accepted(&cluster.context), Vec::<String>::new());
        for number in 0..2 * MAX_ACCEPTED {
            hosts.remember(&cluster, Some(&format!("h{number}.example:1"))).expect("noted");
        }
        assert_eq!(hosts.accepted(&cluster.context).len(), MAX_ACCEPTED);
        assert_eq!(hosts.accepted(&cluster.context).last().map(String::as_str), Some("h63.example:1"));
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let home = tempfile::tempdir().expect("a directory");
        let hosts = KnownHosts::new(home.path());
        let of_length = |bytes: u64| {
            let mut one = known(&["a.example:1"]);
            one.username = Some("u".repeat(usize::try_from(bytes).expect("small")));
            one
        };
        hosts.note("kind-a", of_length(MAX_BYTES / 2)).expect("noted");
        hosts.note("kind-b", of_length(MAX_BYTES / 4)).expect("noted");
        assert_eq!(hosts.clusters().len(), 2);
        hosts.note("kind-c", of_length(MAX_BYTES / 2)).expect("noted");
        assert_eq!(hosts.clusters().into_keys().collect::<Vec<_>>(), ["kind-c"]);
        hosts.note("kind-d", of_length(MAX_BYTES)).expect_err("too large");
        assert_eq!(hosts.clusters().into_keys().collect::<Vec<_>>(), ["kind-c"]);
        // A file of the limit is read, one with a byte more is not.
        for (size, read) in [(MAX_BYTES, true), (MAX_BYTES + 1, false)] {
            let text = r#"{"kind-a":{"names":[]}}"#;
            let padding = " ".repeat(usize::try_from(size).expect("small") - text.len());
            std::fs::write(&hosts.path, format!("{text}{padding}")).expect("written");
            assert_eq!(!hosts.clusters().is_empty(), read, "{size}");
        }
    }

    #[test]
    fn damage_is_forgotten() {
        let home = tempfile::tempdir().expect("a directory");
        let hosts = KnownHosts::new(home.path());
        std::fs::create_dir(home.path().join("cache")).expect("made");
        for content in ["", "[]", "{\"a\":1}", &" ".repeat(300 * 1024)] {
            std::fs::write(&hosts.path, content).expect("written");
            assert!(hosts.clusters().is_empty());
            hosts.note("kind-a", known(&["a.example:1"])).expect("noted");
            assert!(hosts.may_serve(&key("a.example:1")));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_content_is_read(bytes: Vec<u8>) {
            let home = tempfile::tempdir().expect("a directory");
            let hosts = KnownHosts::new(home.path());
            std::fs::create_dir(home.path().join("cache")).expect("made");
            std::fs::write(&hosts.path, bytes).expect("written");
            prop_assert!(!hosts.may_serve(&key("r.example")));
        }
    }
}

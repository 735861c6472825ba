//! Which hosts can be a cluster's, without asking one.
//!
//! A credential helper is asked for every registry that Docker knows, at every build: it has to say at once that most
//! of them are none of its business.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ClusterRegistry;
use crate::credentials::HostKey;
use crate::fs::{self, FileLock, Hold};

/// The domain of the names that idpbuilder gives when nobody says otherwise. All of it is this machine.
const DOMAIN: &str = "localtest.me";
/// Bytes of the file that are read.
const MAX_BYTES: u64 = 256 * 1024;
/// Clusters that are remembered; more were made and deleted than anybody has.
const MAX_CLUSTERS: usize = 64;
/// How long to wait for others that write. What is remembered is worth no longer wait.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is remembered of one cluster. No secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCluster {
    /// `host:port` of every way to its registry.
    pub names: Vec<String>,
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
    /// The hosts remembered below `home` (`~/.idpbuilder`).
    pub fn new(home: &Path) -> Self {
        Self { path: home.join("cache").join("clusters.json") }
    }

    /// Whether `key` can be a cluster's: a name that idpbuilder gives, or one that a cluster had.
    pub fn may_serve(&self, key: &HostKey) -> bool {
        let given = key.host().strip_suffix(DOMAIN).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        given || self.clusters().values().flat_map(|cluster| &cluster.names).any(|name| same(name, key))
    }

    /// Every cluster that is remembered, by context. A file that is damaged remembers none: it is a cache.
    pub fn clusters(&self) -> BTreeMap<String, KnownCluster> {
        self.read().ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Remembers what a cluster said, in place of what it said before.
    pub fn remember(&self, cluster: &ClusterRegistry) -> io::Result<()> {
        let username = cluster.login.as_ref().ok().map(|login| login.username.clone());
        self.note(&cluster.context, KnownCluster { names: cluster.names.clone(), username })
    }

    fn note(&self, context: &str, known: KnownCluster) -> io::Result<()> {
        if self.clusters().get(context) == Some(&known) {
            return Ok(());
        }
        fs::create_private_dir(fs::parent(&self.path))?;
        let lock = self.path.with_file_name(".clusters.lock");
        let _lock = FileLock::acquire(&lock, Hold::Exclusive, PATIENCE).map_err(io::Error::other)?;
        let mut clusters = self.clusters();
        if clusters.len() >= MAX_CLUSTERS {
            clusters.clear();
        }
        clusters.insert(context.to_owned(), known);
        let bytes = serde_json::to_vec_pretty(&clusters).expect("names are strings");
        fs::replace_private_file(&self.path, &bytes)
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        // Opening a FIFO would wait for a writer.
        if !std::fs::metadata(&self.path)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&self.path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }
}

fn same(name: &str, key: &HostKey) -> bool {
    name.parse::<HostKey>().is_ok_and(|known| known == *key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> HostKey {
        text.parse().expect("an address")
    }

    fn known(names: &[&str]) -> KnownCluster {
        KnownCluster {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
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

//! Loads the kubeconfig and chooses its context.

use std::io;
use std::path::{Path, PathBuf};

use kube::config::{Cluster, Kubeconfig, KubeconfigError};
use zeroize::Zeroizing;

use super::error::{ClusterError, Part};
use crate::fs::{Links, parent, read_regular};
use crate::tls::SystemRoots;

/// The largest kubeconfig, in bytes.
pub const MAX_KUBECONFIG_BYTES: u64 = 4 << 20;
/// The context of idpbuilder's cluster under its default name, as kind names it.
const DEFAULT_CONTEXT: &str = "kind-localdev";
/// The prefix of kind's context names.
const KIND: &str = "kind-";
/// The most documents of one file. Merging each of them takes time in proportion to all before it.
const MAX_DOCUMENTS: usize = 100;
/// The most contexts that are asked whether they serve Localbuilds.
const MAX_CANDIDATES: usize = 8;

/// The kubeconfig and context in which the cluster is searched for.
#[derive(Debug, Clone)]
pub struct Query {
    /// A kubeconfig that has to be there; it is then the only one.
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfigs to merge, first wins; missing files are skipped.
    pub files: Vec<PathBuf>,
    /// The context.
    pub context: Option<String>,
    /// The cluster's name as idpbuilder has it.
    pub cluster_name: Option<String>,
    /// The system's roots, which verify an API server whose authority no kubeconfig names.
    pub system: SystemRoots,
}

/// Reads and merges the files.
pub(super) fn load(query: &Query) -> Result<Kubeconfig, ClusterError> {
    if let Some(path) = &query.kubeconfig {
        return read(path);
    }
    let mut merged: Option<Kubeconfig> = None;
    for path in &query.files {
        let next = match read(path) {
            Ok(next) => next,
            Err(ClusterError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        merged = Some(match merged {
            None => next,
            Some(first) => first.merge(next).map_err(|error| unusable(path, "", error))?,
        });
    }
    merged.ok_or_else(|| ClusterError::NoKubeconfig { tried: query.files.clone() })
}

/// Reads one file. An empty file and `/dev/null` count as an empty kubeconfig, as for kubectl.
fn read(path: &Path) -> Result<Kubeconfig, ClusterError> {
    if path == Path::new("/dev/null") {
        return Ok(Kubeconfig::default());
    }
    let failed = |source| ClusterError::Read { path: path.to_owned(), source };
    let bytes = read_regular(path, MAX_KUBECONFIG_BYTES, Links::Follow).map(Zeroizing::new).map_err(failed)?;
    let text = text(&bytes).ok_or_else(|| ClusterError::Syntax { path: path.to_owned(), place: None })?;
    if text.trim().is_empty() {
        return Ok(Kubeconfig::default());
    }
    if documents(&text) > MAX_DOCUMENTS {
        return Err(ClusterError::Syntax { path: path.to_owned(), place: None });
    }
    let mut config = Kubeconfig::from_yaml(&text).map_err(|error| unusable(path, "", error))?;
    resolve_paths(&mut config, parent(path));
    Ok(config)
}

/// Returns how many documents a text has at most: one more than its lines that begin or end one (YAML 1.2, section
/// 9.1).
fn documents(text: &str) -> usize {
    let marks = |line: &&str| {
        #[cfg(test)]
        crate::work::add(line.len() + 1);
        ["---", "..."].iter().any(|mark| line.strip_prefix(mark).is_some_and(|rest| !rest.starts_with(['-', '.'])))
    };
    1 + text.split(['\n', '\r']).filter(marks).count()
}

/// Returns a kubeconfig's text, in any encoding that kubectl reads.
fn text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok().filter(|_| bytes.len().is_multiple_of(2))
    };
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => std::str::from_utf8(rest).ok().map(str::to_owned),
        _ => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    text.map(Zeroizing::new)
}

/// Resolves paths of files, and of programs with a slash in their name, against the kubeconfig's directory.
fn resolve_paths(config: &mut Kubeconfig, directory: &Path) {
    let resolve = |path: &mut Option<String>| {
        if let Some(relative) = path.as_deref().filter(|path| !path.is_empty())
            && let Some(absolute) = directory.join(relative).to_str()
        {
            *path = Some(absolute.to_owned());
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        resolve(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        resolve(&mut user.client_certificate);
        resolve(&mut user.client_key);
        resolve(&mut user.token_file);
        if let Some(exec) = &mut user.exec
            && exec.command.as_ref().is_some_and(|command| command.contains('/'))
        {
            resolve(&mut exec.command);
        }
    }
}

/// Converts an error in a kubeconfig. Texts of the library are left out: they quote the file.
pub(super) fn unusable(path: &Path, context: &str, error: KubeconfigError) -> ClusterError {
    let incomplete = |part| ClusterError::Incomplete { context: context.to_owned(), part };
    match error {
        KubeconfigError::ReadConfig(source, path) => ClusterError::Read { path, source },
        KubeconfigError::Parse(error) => {
            let place = error.location().map(|place| (place.line(), place.column()));
            ClusterError::Syntax { path: path.to_owned(), place }
        }
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            incomplete(Part::Authority)
        }
        KubeconfigError::LoadClientCertificate(_) => incomplete(Part::ClientCertificate),
        KubeconfigError::LoadClientKey(_) => incomplete(Part::ClientKey),
        KubeconfigError::ParseProxyUrl(_) => incomplete(Part::Proxy),
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => incomplete(Part::Files),
        _ => incomplete(Part::Server),
    }
}

/// Returns the contexts to ask, the preferred one first. More than one: the first that serves Localbuilds.
///
/// Contexts that the user did not name are asked only if they are kind's, as every cluster of idpbuilder is: asking a
/// context runs its credential plugin and sends it the user's credentials.
pub(super) fn candidates(config: &Kubeconfig, query: &Query) -> Result<Vec<String>, ClusterError> {
    let known: Vec<String> = config.contexts.iter().map(|context| context.name.clone()).collect();
    let named = query.context.clone().or_else(|| query.cluster_name.as_ref().map(|name| format!("{KIND}{name}")));
    if let Some(name) = named {
        return if known.contains(&name) { Ok(vec![name]) } else { Err(ClusterError::NoSuchContext { name, known }) };
    }
    if known.iter().any(|name| name == DEFAULT_CONTEXT) {
        return Ok(vec![DEFAULT_CONTEXT.to_owned()]);
    }
    let current = config.current_context.clone().filter(|name| !name.is_empty());
    let mut candidates: Vec<String> = current.iter().filter(|name| known.contains(name)).cloned().collect();
    let mut others: Vec<String> =
        known.iter().filter(|name| name.starts_with(KIND) && !candidates.contains(name)).cloned().collect();
    others.sort();
    candidates.append(&mut others);
    candidates.truncate(MAX_CANDIDATES);
    match (candidates.is_empty(), current) {
        (false, _) => Ok(candidates),
        (true, Some(name)) => Err(ClusterError::NoSuchContext { name, known }),
        (true, None) => Err(ClusterError::NoContext { known }),
    }
}

/// Returns which of the candidates it is, by whether each serves Localbuilds: the current one if it does, else
/// the only one that does, else the first.
pub(super) fn select(candidates: &[String], serves: &[bool], current: Option<&str>) -> Result<usize, ClusterError> {
    let serving: Vec<usize> = (0..candidates.len()).filter(|at| serves.get(*at) == Some(&true)).collect();
    match serving[..] {
        [] => Ok(0),
        [at] => Ok(at),
        [first, ..] if Some(candidates[first].as_str()) == current => Ok(first),
        _ => {
            Err(ClusterError::SeveralClusters { contexts: serving.iter().map(|at| candidates[*at].clone()).collect() })
        }
    }
}

/// Returns the name that idpbuilder gave the cluster, as far as the context's name tells.
pub(super) fn cluster_name(context: &str) -> Option<&str> {
    context.strip_prefix(KIND)
}

/// Returns the cluster of a context.
pub(super) fn cluster<'a>(config: &'a Kubeconfig, context: &str) -> Option<&'a Cluster> {
    let context = config.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    config.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(current: &str, contexts: &[&str]) -> Kubeconfig {
        let contexts: Vec<String> =
            contexts.iter().map(|name| format!("{{name: {name}, context: {{cluster: c, user: u}}}}")).collect();
        let text = format!("current-context: {current}\ncontexts: [{}]\n", contexts.join(", "));
        Kubeconfig::from_yaml(&text).expect(&text)
    }

    fn query(context: Option<&str>, cluster_name: Option<&str>) -> Query {
        Query {
            kubeconfig: None,
            files: Vec::new(),
            context: context.map(str::to_owned),
            cluster_name: cluster_name.map(str::to_owned),
            system: SystemRoots::default(),
        }
    }

    #[test]
    fn what_is_named_wins_then_localdev_then_the_current_context() {
        let all = ["prod", "kind-b", "kind-localdev", "kind-a"];
        let chosen = |current: &str, contexts: &[&str], query: &Query| candidates(&config(current, contexts), query);
        for (query, expected) in [
            (query(Some("prod"), None), "prod"),
            (query(None, Some("b")), "kind-b"),
            (query(None, None), "kind-localdev"),
        ] {
            assert_eq!(chosen("prod", &all, &query).expect("there"), [expected]);
        }
        let unnamed = query(None, None);
        assert_eq!(
            chosen("prod", &["kind-b", "prod", "other", "kind-a"], &unnamed).expect("there"),
            ["prod", "kind-a", "kind-b"]
        );
        assert_eq!(chosen("\"\"", &["kind-b", "other"], &unnamed).expect("there"), ["kind-b"]);
        assert_eq!(chosen("gone", &["kind-b"], &unnamed).expect("there"), ["kind-b"]);
    }

    #[test]
    fn contexts_that_are_not_there_are_named() {
        let config = config("gone", &["prod"]);
        for (query, expected) in
            [(query(Some("x"), None), "x"), (query(None, Some("x")), "kind-x"), (query(None, None), "gone")]
        {
            let error = candidates(&config, &query).expect_err("not there");
            assert!(
                matches!(&error, ClusterError::NoSuchContext { name, known } if name == expected && known == &["prod"]),
                "{error:?}"
            );
        }
        let none = candidates(&Kubeconfig::default(), &query(None, None)).expect_err("none");
        assert!(matches!(none, ClusterError::NoContext { .. }), "{none:?}");
    }

    #[test]
    fn of_several_the_one_that_serves_is_taken() {
        let three = ["prod", "kind-a", "kind-b"].map(str::to_owned);
        for (serves, expected) in
            [([false, false, false], 0), ([true, true, true], 0), ([false, true, false], 1), ([false, false, true], 2)]
        {
            assert_eq!(select(&three, &serves, Some("prod")).expect("one"), expected, "{serves:?}");
        }
        for (serves, current) in [([false, true, true], Some("prod")), ([true, true, false], None)] {
            let error = select(&three, &serves, current).expect_err("two");
            assert!(matches!(&error, ClusterError::SeveralClusters { contexts } if contexts.len() == 2), "{error:?}");
        }
    }

    #[test]
    fn files_are_merged_and_faults_are_told_without_their_text() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let one = write("one", "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n");
        let two = write("two", "current-context: b\ncontexts: [{name: b, context: {cluster: c}}]\n");
        let absent = dir.path().join("absent");
        let mut query = query(None, None);
        query.files = vec![absent.clone(), one, two];
        let merged = load(&query).expect("merged");
        assert_eq!((merged.current_context.as_deref(), merged.contexts.len()), (Some("a"), 2));

        query.files = vec![absent.clone()];
        let error = load(&query).expect_err("none");
        assert!(
            matches!(&error, ClusterError::NoKubeconfig { tried } if tried == std::slice::from_ref(&absent)),
            "{error:?}"
        );
        query.kubeconfig = Some(absent);
        assert!(matches!(load(&query).expect_err("must be there"), ClusterError::Read { .. }));

        query.kubeconfig = Some(write("broken", "users:\n- name: u\n  user: {token: hunter2\n"));
        let error = load(&query).expect_err("broken");
        assert!(matches!(error, ClusterError::Syntax { place: Some(_), .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        query.kubeconfig = Some(dir.path().to_owned());
        assert!(matches!(load(&query).expect_err("a directory"), ClusterError::Read { .. }));
    }

    #[test]
    fn what_a_kubeconfig_names_is_named_from_its_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config");
        let text = "clusters: [{name: c, cluster: {certificate-authority: ca}}]\n\
            users: [{name: u, user: {client-certificate: /abs/crt, client-key: sub/key, tokenFile: token, \
            exec: {command: ./plugin}}}, {name: v, user: {exec: {command: plugin}}}]\n";
        let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for bytes in [text.as_bytes().to_vec(), [&b"\xEF\xBB\xBF"[..], text.as_bytes()].concat(), utf16] {
            std::fs::write(&path, bytes).expect("written");
            let config = read(&path).expect("read");
            let below = |name: &str| Some(dir.path().join(name).display().to_string());
            assert_eq!(config.clusters[0].cluster.as_ref().expect("one").certificate_authority, below("ca"));
            let user = config.auth_infos[0].auth_info.as_ref().expect("one");
            assert_eq!(user.client_certificate.as_deref(), Some("/abs/crt"));
            assert_eq!((&user.client_key, &user.token_file), (&below("sub/key"), &below("token")));
            let plugin = |at: usize| config.auth_infos[at].auth_info.as_ref()?.exec.as_ref()?.command.clone();
            assert_eq!((plugin(0), plugin(1)), (below("./plugin"), Some("plugin".to_owned())));
        }
        for bytes in [&b"\xFF\xFE\x61"[..], b"\xFF\x61", b"\xFF\xFE\x00\xD8"] {
            std::fs::write(&path, bytes).expect("written");
            assert!(matches!(read(&path), Err(ClusterError::Syntax { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn documents_made_to_cost_much_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config");
        let deep = format!("contexts: {}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        let maps = format!("contexts: {}", "{a: ".repeat(1 << 19));
        let mut aliases = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            aliases.push(format!("a{level}: &a{level} [{below}]"));
        }
        aliases.push("contexts: *a11\n".to_owned());
        let aliases = aliases.join("\n");
        for text in [deep, maps, aliases] {
            std::fs::write(&path, &text).expect("written");
            assert!(matches!(read(&path), Err(ClusterError::Syntax { .. })), "{}", &text[..40]);
        }
        let fits = usize::try_from(MAX_KUBECONFIG_BYTES).expect("small");
        std::fs::write(&path, "#".repeat(fits)).expect("written");
        read(&path).expect("a file of the limit is read");
        std::fs::write(&path, "#".repeat(fits + 1)).expect("written");
        assert!(matches!(read(&path), Err(ClusterError::Read { .. })));
    }

    #[test]
    fn documents_of_one_file_are_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config");
        for mark in ["---\n", "--- # next\n", "---\r\n", "...\n"] {
            for (count, fits) in [(MAX_DOCUMENTS, true), (MAX_DOCUMENTS + 1, false)] {
                let one = |number| format!("contexts: [{{name: c{number}, context: {{cluster: c}}}}]\n");
                let text: Vec<String> = (0..count).map(one).collect();
                std::fs::write(&path, text.join(mark)).expect("written");
                match read(&path) {
                    Ok(config) => assert!(fits && config.contexts.len() == count, "{mark:?}: {count}"),
                    Err(error) => assert!(!fits, "{mark:?}: {error:?}"),
                }
            }
        }
        // What only looks like a mark is none.
        assert_eq!(documents("-----BEGIN\n ---\n....\n"), 1);
        crate::work::grows_with_size(1000, |lines| documents(&"--- \na: b\n".repeat(lines)));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,200}", current in "\\PC{0,20}") {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("config");
            std::fs::write(&path, format!("current-context: {current}\ncontexts: {text}\n")).expect("written");
            let query = Query { kubeconfig: Some(path), ..query(None, None) };
            if let Ok(config) = load(&query) {
                let _ = candidates(&config, &query);
            }
        }
    }
}

//! Reads the files and runs the credential plugin that a kubeconfig names, within limits.
//!
//! The results are passed on as data, so that no later step waits for a pipe, reads an endless device, or starts a
//! program.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Cluster, ExecAuthCluster, ExecConfig, Kubeconfig, NamedAuthInfo, NamedCluster};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::error::{ClusterError, Part, PluginFault};
use crate::children::{self, NoAnswer};
use crate::credentials::SECRET_VARIABLES;
use crate::fs::{Links, read_regular};
use crate::progress::Interrupt;
use crate::tls::{ReadRoots, SystemRoots, to_pem};

/// The most bytes of a file that a kubeconfig names.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most bytes of a credential plugin's output.
const MAX_PLUGIN_BYTES: usize = 256 * 1024;
/// The most characters of a command that a message quotes.
const MAX_SHOWN: usize = 100;

/// The time limit of a plugin, and the interrupts that end it.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    pub(super) limit: Duration,
    pub(super) deadline: Instant,
    pub(super) interrupt: Interrupt,
    /// Requested when the answer is no longer awaited.
    pub(super) abandoned: Interrupt,
}

/// Reduces a kubeconfig to one context, with the content of every file and the credential of the plugin in it. It
/// blocks on files and may run a program, so it must not run on a thread of the asynchronous runtime.
pub(super) fn read_inputs(
    mut config: Kubeconfig,
    context: &str,
    patience: &Patience,
) -> Result<Kubeconfig, ClusterError> {
    config.contexts.retain(|named| named.name == context);
    let (cluster, user) = match config.contexts.first().and_then(|named| named.context.as_ref()) {
        Some(context) => (context.cluster.clone(), context.user.clone()),
        None => return Ok(config),
    };
    config.clusters.retain(|named| named.name == cluster);
    config.auth_infos.retain(|named| Some(&named.name) == user.as_ref());
    config.clusters.truncate(1);
    config.auth_infos.truncate(1);
    let cluster = match config.clusters.first_mut() {
        Some(NamedCluster { cluster: Some(cluster), .. }) => {
            read_authority(cluster, context)?;
            Some(&*cluster)
        }
        _ => None,
    };
    if let Some(NamedAuthInfo { auth_info: Some(user), .. }) = config.auth_infos.first_mut() {
        read_user(user, context)?;
        let has_credential = user.username.is_some() && user.password.is_some() || user.token.is_some();
        if let Some(exec) = user.exec.take().filter(|_| !has_credential) {
            ask_plugin(&exec, cluster, context, patience)?.give(user);
        }
    }
    Ok(config)
}

/// Returns the bytes of a base64 text, which may have line breaks, as Go's decoder takes it.
pub(super) fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(Zeroizing::new(unbroken(text)).as_bytes()).ok().map(Zeroizing::new)
}

/// Returns a text without its line breaks.
fn unbroken(text: &str) -> String {
    text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect()
}

fn read_authority(cluster: &mut Cluster, context: &str) -> Result<(), ClusterError> {
    if let Some(data) = &mut cluster.certificate_authority_data {
        *data = unbroken(data);
    }
    if let Some(path) = cluster.certificate_authority.take()
        && cluster.certificate_authority_data.is_none()
    {
        let text = read(&path, context, Part::Authority)?;
        cluster.certificate_authority_data = Some(STANDARD.encode(text.as_slice()));
    }
    Ok(())
}

/// Fills in the system's roots if the kubeconfig, reduced to one context, names no authority: kube's client would read
/// them without limits.
pub(super) fn name_authority(config: &mut Kubeconfig, context: &str, system: &SystemRoots) -> Result<(), ClusterError> {
    let cluster = config.clusters.first_mut().and_then(|named| named.cluster.as_mut());
    let Some(cluster) = cluster.filter(|cluster| cluster.certificate_authority_data.is_none()) else { return Ok(()) };
    let ReadRoots { certificates, failures } = system.read();
    if let Some(failure) = failures.first().filter(|_| certificates.is_empty()) {
        return Err(ClusterError::ReadNamed {
            context: context.to_owned(),
            part: Part::Authority,
            path: failure.path.clone(),
            source: std::io::Error::other(failure.reason.clone()),
        });
    }
    cluster.certificate_authority_data = Some(STANDARD.encode(to_pem(certificates)));
    Ok(())
}

fn read_user(user: &mut AuthInfo, context: &str) -> Result<(), ClusterError> {
    // Auth providers run programs and contact servers, which is not supported.
    if user.auth_provider.is_some() {
        return Err(ClusterError::Incomplete { context: context.to_owned(), part: Part::AuthProvider });
    }
    if let Some(path) = user.client_certificate.take()
        && user.client_certificate_data.is_none()
    {
        let text = read(&path, context, Part::ClientCertificate)?;
        user.client_certificate_data = Some(STANDARD.encode(text.as_slice()));
    }
    if let Some(path) = user.client_key.take()
        && user.client_key_data.is_none()
    {
        let text = read(&path, context, Part::ClientKey)?;
        user.client_key_data = Some(STANDARD.encode(text.as_slice()).into());
    }
    if let Some(path) = user.token_file.take()
        && user.token.is_none()
    {
        let bytes = read(&path, context, Part::TokenFile)?;
        let token = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
        if token.is_empty() {
            return Err(ClusterError::Incomplete { context: context.to_owned(), part: Part::TokenFile });
        }
        user.token = Some(token.to_owned().into());
    }
    Ok(())
}

fn read(path: &str, context: &str, part: Part) -> Result<Zeroizing<Vec<u8>>, ClusterError> {
    let path = Path::new(path);
    read_regular(path, MAX_FILE_BYTES, Links::Follow).map(Zeroizing::new).map_err(|source| ClusterError::ReadNamed {
        context: context.to_owned(),
        part,
        path: path.to_owned(),
        source,
    })
}

/// `client.authentication.k8s.io` `ExecCredential`: the fields that plugins return.
#[derive(Deserialize)]
struct ExecCredential {
    status: Option<ExecStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecStatus {
    token: Option<Zeroizing<String>>,
    client_certificate_data: Option<String>,
    client_key_data: Option<Zeroizing<String>>,
}

impl ExecStatus {
    fn is_usable(&self) -> bool {
        let token = self.token.as_ref().is_some_and(|token| !token.is_empty());
        token || self.client_certificate_data.is_some() && self.client_key_data.is_some()
    }

    /// Puts the credential where a kubeconfig has one.
    fn give(self, user: &mut AuthInfo) {
        if let (Some(certificate), Some(key)) = (self.client_certificate_data, self.client_key_data) {
            user.client_certificate_data = Some(STANDARD.encode(certificate));
            user.client_key_data = Some(STANDARD.encode(key.as_str()).into());
        }
        if let Some(token) = self.token.filter(|token| !token.is_empty()) {
            user.token = Some(token.as_str().to_owned().into());
        }
    }
}

/// Runs the credential plugin without a terminal: a prompting plugin would compete with this command for input.
fn ask_plugin(
    exec: &ExecConfig,
    cluster: Option<&Cluster>,
    context: &str,
    patience: &Patience,
) -> Result<ExecStatus, ClusterError> {
    let program = exec.command.as_deref().unwrap_or_default();
    let shown: String = program.chars().take(MAX_SHOWN).collect();
    let failed = |fault| ClusterError::Plugin { context: context.to_owned(), command: shown.clone(), fault };
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten());
    let variables = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    command.envs(variables);
    command.env("KUBERNETES_EXEC_INFO", exec_info(exec, cluster, context)?);
    // The plugin does not inherit variables with registry credentials.
    for variable in SECRET_VARIABLES {
        command.env_remove(variable);
    }
    let over = || {
        if patience.interrupt.requested() || patience.abandoned.requested() {
            return Some(ClusterError::Interrupted);
        }
        let late = Instant::now() >= patience.deadline;
        late.then(|| failed(PluginFault::Deadline { limit: patience.limit }))
    };
    let answered = children::answer(&mut command, b"", MAX_PLUGIN_BYTES, over).map_err(|none| match none {
        NoAnswer::Start(source) => {
            ClusterError::PluginStart { context: context.to_owned(), command: shown.clone(), source }
        }
        NoAnswer::Read(_) => failed(PluginFault::Answer),
        NoAnswer::TooLong => failed(PluginFault::TooLong { limit: MAX_PLUGIN_BYTES }),
        NoAnswer::Over(error) => error,
    })?;
    if !answered.status.success() {
        return Err(failed(PluginFault::Exit { code: answered.status.code() }));
    }
    // client-go accepts YAML too.
    let answer: ExecCredential = serde_saphyr::from_slice(&answered.output).map_err(|_| failed(PluginFault::Answer))?;
    answer.status.filter(ExecStatus::is_usable).ok_or_else(|| failed(PluginFault::Answer))
}

/// Returns the value of `KUBERNETES_EXEC_INFO` for a plugin.
fn exec_info(exec: &ExecConfig, cluster: Option<&Cluster>, context: &str) -> Result<String, ClusterError> {
    let mut spec = json!({"interactive": false});
    if exec.provide_cluster_info {
        let incomplete = || ClusterError::Incomplete { context: context.to_owned(), part: Part::Server };
        let cluster = ExecAuthCluster::try_from(cluster.ok_or_else(incomplete)?).map_err(|_| incomplete())?;
        spec["cluster"] = serde_json::to_value(cluster).map_err(|_| incomplete())?;
    }
    let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    Ok(info.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::fs::Unreadable;

    fn patience() -> Patience {
        Patience {
            limit: Duration::from_mins(1),
            deadline: Instant::now() + Duration::from_mins(1),
            interrupt: Interrupt::default(),
            abandoned: Interrupt::default(),
        }
    }

    fn config(cluster: &serde_json::Value, user: &serde_json::Value) -> Kubeconfig {
        let text = json!({
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}},
                {"name": "b", "context": {"cluster": "d", "user": "v"}}],
            "clusters": [{"name": "c", "cluster": cluster}, {"name": "d", "cluster": {"certificate-authority": "/dev/zero"}}],
            "users": [{"name": "u", "user": user}, {"name": "v", "user": {"tokenFile": "/dev/zero"}}],
        });
        Kubeconfig::from_yaml(&text.to_string()).expect("YAML")
    }

    fn outcome(cluster: &serde_json::Value, user: &serde_json::Value) -> Result<Kubeconfig, ClusterError> {
        read_inputs(config(cluster, user), "a", &patience())
    }

    fn user(config: &Kubeconfig) -> &AuthInfo {
        config.auth_infos[0].auth_info.as_ref().expect("a user")
    }

    #[test]
    fn files_become_data_and_other_contexts_are_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
            dir.path().join(name)
        };
        let (authority, certificate, key, token) =
            (file("ca", "authority"), file("crt", "certificate"), file("key", "key"), file("token", " t0k3n\n"));
        let read = outcome(
            &json!({"certificate-authority": authority}),
            &json!({"client-certificate": certificate, "client-key": key, "tokenFile": token}),
        )
        .expect("read");
        assert_eq!((read.contexts.len(), read.clusters.len(), read.auth_infos.len()), (1, 1, 1));
        let cluster = read.clusters[0].cluster.as_ref().expect("a cluster");
        assert_eq!(cluster.certificate_authority_data, Some(STANDARD.encode("authority")));
        assert!(cluster.certificate_authority.is_none());
        let read = serde_json::to_value(user(&read)).expect("serialised");
        assert_eq!(read["client-certificate-data"], STANDARD.encode("certificate"));
        assert_eq!(read["client-key-data"], STANDARD.encode("key"));
        assert_eq!(read["token"], "t0k3n");
        for path in ["client-certificate", "client-key", "tokenFile"] {
            assert!(read.get(path).is_none(), "{read}");
        }
        // Data is preferred, and then the file is not looked at.
        outcome(
            &json!({"certificate-authority": "/dev/zero", "certificate-authority-data": "YQ=="}),
            &json!({"tokenFile": "/dev/zero", "token": "t"}),
        )
        .expect("data");
    }

    #[test]
    fn what_cannot_be_read_to_its_end_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("a pipe");
        let large = dir.path().join("large");
        std::fs::File::create(&large).and_then(|file| file.set_len(MAX_FILE_BYTES + 1)).expect("written");
        let whole = dir.path().join("whole");
        std::fs::write(&whole, "a".repeat(usize::try_from(MAX_FILE_BYTES).expect("small"))).expect("written");
        let parts = [
            ("certificate-authority", Part::Authority),
            ("client-certificate", Part::ClientCertificate),
            ("client-key", Part::ClientKey),
            ("tokenFile", Part::TokenFile),
        ];
        for (field, part) in parts {
            let of = |path: &PathBuf| outcome(&json!({ field: path }), &json!({ field: path }));
            of(&whole).expect("a file of the limit is read");
            for path in [&pipe, &large, &PathBuf::from("/dev/zero"), &dir.path().to_owned(), &dir.path().join("absent")]
            {
                let error = of(path).expect_err("not readable");
                let named = |error: &ClusterError| {
                    matches!(error, ClusterError::ReadNamed { part: found, path: named, .. }
                        if *found == part && named == path)
                };
                assert!(named(&error), "{error:?}");
            }
            let Err(ClusterError::ReadNamed { source, .. }) = of(&large) else { panic!("too large") };
            assert_eq!(Unreadable::of(&source), Some(Unreadable::TooLarge { limit: MAX_FILE_BYTES }));
        }
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "\n").expect("written");
        let error = outcome(&json!({}), &json!({"tokenFile": empty})).expect_err("empty");
        assert!(matches!(error, ClusterError::Incomplete { part: Part::TokenFile, .. }), "{error:?}");
        let error =
            outcome(&json!({}), &json!({"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/true"}}}))
                .expect_err("not supported");
        assert!(matches!(error, ClusterError::Incomplete { part: Part::AuthProvider, .. }), "{error:?}");
    }

    fn plugin(script: &str) -> serde_json::Value {
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
            "env": [{"name": "GIVEN", "value": "given"}], "interactiveMode": "Always", "provideClusterInfo": true}})
    }

    fn asked(script: &str) -> Result<Kubeconfig, ClusterError> {
        outcome(&json!({"server": "https://h:1", "certificate-authority-data": "YQ=="}), &plugin(script))
    }

    #[test]
    fn a_plugin_is_asked_as_kubectl_asks() {
        let script = r#"printf '{"status":{"token":"%s %s"}}' "$GIVEN" \
            "$(printf %s "$KUBERNETES_EXEC_INFO" | base64 -w0)""#;
        let read = serde_json::to_value(user(&asked(script).expect("a token"))).expect("serialised");
        let (given, info) = read["token"].as_str().and_then(|token| token.split_once(' ')).expect("both");
        assert_eq!(given, "given");
        let info: serde_json::Value = serde_json::from_slice(&STANDARD.decode(info).expect("base64")).expect("JSON");
        assert_eq!((&info["kind"], &info["spec"]["interactive"]), (&json!("ExecCredential"), &json!(false)));
        assert_eq!(info["spec"]["cluster"]["server"], "https://h:1");
        assert!(read.get("exec").is_none(), "it is run once: {read}");
        let yaml = "printf 'status:\\n  clientCertificateData: c\\n  clientKeyData: k\\n'";
        let read = serde_json::to_value(user(&asked(yaml).expect("a certificate"))).expect("serialised");
        assert_eq!((&read["client-certificate-data"], &read["client-key-data"]), (&json!("Yw=="), &json!("aw==")));
        let mut both = plugin("exit 1");
        both["token"] = json!("t");
        outcome(&json!({}), &both).expect("a token needs no plugin");
    }

    #[test]
    fn a_plugin_that_gives_no_credential_is_named() {
        let fault = |script: &str| match asked(script) {
            Err(ClusterError::Plugin { command, fault, .. }) if command == "sh" => fault,
            other => panic!("{other:?}"),
        };
        assert_eq!(fault("exit 3"), PluginFault::Exit { code: Some(3) });
        assert_eq!(fault("kill -9 $$"), PluginFault::Exit { code: None });
        for answer in ["", "hunter2: {", r#"{"status":{}}"#, r#"{"status":{"token":""}}"#, "[[[[", r#"{"status":1}"#] {
            assert_eq!(fault(&format!("printf '{answer}'")), PluginFault::Answer, "{answer}");
        }
        assert_eq!(fault("exec cat /dev/zero"), PluginFault::TooLong { limit: MAX_PLUGIN_BYTES });
        let absent = outcome(&json!({}), &json!({"exec": {"command": "/nowhere/plugin"}}));
        assert!(
            matches!(&absent, Err(ClusterError::PluginStart { command, .. }) if command == "/nowhere/plugin"),
            "{absent:?}"
        );
    }

    #[test]
    fn a_plugin_that_hangs_is_ended() {
        let hanging = || config(&json!({}), &json!({"exec": {"command": "sleep", "args": ["600"]}}));
        let over = Patience { deadline: Instant::now(), ..patience() };
        let error = read_inputs(hanging(), "a", &over).expect_err("late");
        assert!(matches!(&error, ClusterError::Plugin { fault: PluginFault::Deadline { .. }, .. }), "{error:?}");
        for stopped in
            [Patience { interrupt: requested(), ..patience() }, Patience { abandoned: requested(), ..patience() }]
        {
            let error = read_inputs(hanging(), "a", &stopped).expect_err("stopped");
            assert!(matches!(error, ClusterError::Interrupted), "{error:?}");
        }
    }

    fn requested() -> Interrupt {
        let interrupt = Interrupt::default();
        interrupt.request();
        interrupt
    }
}

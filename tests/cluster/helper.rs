//! The credential helper and the cluster: what it gives, what it asks, how long it waits.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api_server::{ApiServer, CREDENTIAL, LOCALBUILDS, secret};
use crate::fixture::{HOST, PASSWORD, SUBDOMAIN, TOKEN, USER, answers, api, registry, sandbox, write_kubeconfig};
use crate::sandbox::{Output, Sandbox};

const CONTEXT: &str = "kind-localdev";
const NOT_FOUND: &str = "credentials not found in native keychain\n";

pub(crate) fn ask(sandbox: &Sandbox, verb: &str, input: &str) -> Output {
    let words = ["docker-credential-idpbuilder", verb];
    let output = assert_cmd::Command::from_std(sandbox.command(&words)).write_stdin(input).output().expect("it runs");
    let stderr = sandbox.neutral(&output.stderr);
    assert!(!stderr.contains(PASSWORD) && !stderr.contains(TOKEN), "{stderr}");
    Output {
        line: words.join(" "),
        code: output.status.code(),
        stdout: sandbox.neutral(&output.stdout),
        stderr,
        raw: output.stdout,
    }
}

/// User and secret that the helper gives for an address.
#[track_caller]
fn given(sandbox: &Sandbox, server: &str) -> (String, String) {
    let output = ask(sandbox, "get", server);
    let host: String = server.to_lowercase().replace("https://", "").split('/').take(1).collect();
    let said = format!("Using registry {host} (cluster {CONTEXT})\n");
    assert!(output.stderr.is_empty() || output.stderr == said, "{output}");
    let answer: serde_json::Value = serde_json::from_str(&output.success()).expect("JSON");
    assert_eq!(answer["ServerURL"], server);
    let text = |name: &str| answer[name].as_str().expect("text").to_owned();
    (text("Username"), text("Secret"))
}

#[track_caller]
fn not_found(sandbox: &Sandbox, server: &str) -> String {
    let output = ask(sandbox, "get", server);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), NOT_FOUND), "{output}");
    output.stderr
}

/// What names the cluster's registry as Docker's helper, and keeps an old password beside it.
fn docker_config(sandbox: &Sandbox, host: &str) {
    let folder = sandbox.home().join(".docker");
    std::fs::create_dir_all(&folder).expect("a directory");
    let config =
        json!({"auths": {host: {"username": "old", "password": "forgotten"}}, "credHelpers": {host: "idpbuilder"}});
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
}

#[test]
fn the_clusters_own_registry_is_answered_live_under_every_spelling() {
    for (path_routing, host) in [(false, SUBDOMAIN), (true, HOST)] {
        let sandbox = sandbox();
        let first = api(&sandbox, answers(&sandbox, "8443", path_routing));
        for server in [
            format!("{host}:8443"),
            format!("https://{host}:8443"),
            format!("https://{host}:8443/v2/"),
            format!("{}:8443/", host.to_uppercase()),
        ] {
            assert_eq!(given(&sandbox, &server), (USER.into(), TOKEN.into()), "{server}");
        }
        assert_eq!(not_found(&sandbox, &format!("{host}:5000")), "", "another port");
        drop(first);
        // A new token, and a password for as long as there is no token.
        let mut later = answers(&sandbox, "8443", path_routing);
        later.insert(CREDENTIAL.into(), (200, secret(&[("username", USER), ("password", PASSWORD), ("token", "new")])));
        let second = api(&sandbox, later.clone());
        assert_eq!(given(&sandbox, &format!("{host}:8443")).1, "new");
        drop(second);
        later.insert(CREDENTIAL.into(), (200, secret(&[("username", USER), ("password", PASSWORD)])));
        let _third = api(&sandbox, later);
        assert_eq!(given(&sandbox, &format!("{host}:8443")).1, PASSWORD);
        let audit = std::fs::read_to_string(sandbox.home().join(".idpbuilder/audit.jsonl")).expect("there");
        assert!(!audit.contains(TOKEN) && !audit.contains(PASSWORD));
        let last: serde_json::Value = serde_json::from_str(audit.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["source"], "cluster kind-localdev (Secret gitea/gitea-credential, key password)");
    }
}

#[test]
fn a_persons_own_entry_wins_until_it_is_erased() {
    let sandbox = sandbox();
    let _api = api(&sandbox, answers(&sandbox, "8443", false));
    let server = format!("{SUBDOMAIN}:8443");
    let entry = json!({"ServerURL": server, "Username": "Demo", "Secret": "own"}).to_string();
    let stored = ask(&sandbox, "store", &entry);
    assert_eq!(stored.code, Some(0), "{stored}");
    assert_eq!(given(&sandbox, &server), ("Demo".into(), "own".into()));
    let _ = ask(&sandbox, "erase", &server).success();
    assert_eq!(given(&sandbox, &server), (USER.into(), TOKEN.into()));
    let _ = ask(&sandbox, "erase", &server).success();
    assert_eq!(given(&sandbox, &server), (USER.into(), TOKEN.into()), "the cluster's cannot be erased");
}

#[test]
fn registries_of_others_are_none_of_the_clusters_business() {
    let sandbox = sandbox();
    let api = api(&sandbox, answers(&sandbox, "8443", false));
    for server in ["https://index.docker.io/v1/", "quay.io", "localhost:5000", "127.0.0.1:8443", "gitea.example:8443"] {
        assert_eq!(not_found(&sandbox, server), "", "{server}");
    }
    assert_eq!(ask(&sandbox, "list", "unused").success(), "{}\n");
    assert_eq!(api.seen(), Vec::<String>::new());
}

#[test]
fn names_that_a_cluster_was_met_under_are_remembered_for_the_helper() {
    let sandbox = sandbox();
    let mut custom = answers(&sandbox, "8443", false);
    let text = custom[LOCALBUILDS].1.to_string().replace("cnoe.localtest.me", "dev.example");
    custom.insert(LOCALBUILDS.into(), (200, serde_json::from_str(&text).expect("JSON")));
    let api = api(&sandbox, custom);
    assert_eq!(not_found(&sandbox, "gitea.dev.example:8443"), "");
    assert_eq!(api.seen().len(), 0);
    // A command for which the context is named; this one then fails, because nothing listens there.
    let push = ["idpbuilder-push", "app:v1", "--timeout", "1", "--context", CONTEXT];
    assert_ne!(sandbox.run(&push).code, Some(0));
    assert_eq!(given(&sandbox, "gitea.dev.example:8443"), (USER.into(), TOKEN.into()));
    assert_eq!(ask(&sandbox, "list", "unused").success(), format!("{{\"gitea.dev.example:8443\":\"{USER}\"}}\n"));
    let remembered = std::fs::read_to_string(sandbox.home().join(".idpbuilder/cache/clusters.json")).expect("there");
    assert!(!remembered.contains(TOKEN) && !remembered.contains(PASSWORD), "{remembered}");

    // So are names that somebody configured.
    std::fs::remove_dir_all(sandbox.home().join(".idpbuilder/cache")).expect("removed");
    assert_eq!(not_found(&sandbox, "gitea.dev.example:8443"), "");
    std::fs::write(sandbox.home().join(".idpbuilder/config.toml"), "default_registry = \"gitea.dev.example:8443\"\n")
        .expect("written");
    assert_eq!(given(&sandbox, "gitea.dev.example:8443"), (USER.into(), TOKEN.into()));
}

#[test]
fn a_dead_cluster_has_nothing_and_is_not_waited_for() {
    let sandbox = sandbox();
    let server = ApiServer::start(answers(&sandbox, "8443", false));
    let mut context = server.context(CONTEXT);
    // The kernel takes the connection, and nobody ever reads from it.
    let hole = TcpListener::bind("127.0.0.1:0").expect("loopback");
    context.cluster["server"] = json!(format!("https://{}", hole.local_addr().expect("bound")));
    write_kubeconfig(&sandbox, CONTEXT, &[context.clone()]);
    let begun = Instant::now();
    let told = not_found(&sandbox, &format!("{SUBDOMAIN}:8443"));
    let took = begun.elapsed();
    // It promises a second; the rest is for a machine that has much else to do.
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(told.contains("warning: docker-credential-idpbuilder: ") && told.contains("hint: "), "{told}");

    // Answers that are no answers.
    for change in [json!({"server": "https://127.0.0.1:1"}), json!({})] {
        context.cluster = change;
        write_kubeconfig(&sandbox, CONTEXT, &[context.clone()]);
        assert!(not_found(&sandbox, &format!("{SUBDOMAIN}:8443")).contains("hint: "));
    }
    std::fs::write(sandbox.home().join(".kube/config"), format!("token: {{{TOKEN}")).expect("written");
    assert!(not_found(&sandbox, &format!("{SUBDOMAIN}:8443")).contains("hint: "));
    std::fs::remove_dir_all(sandbox.home().join(".kube")).expect("removed");
    assert!(not_found(&sandbox, &format!("{SUBDOMAIN}:8443")).contains("there is no kubeconfig"));
    let mut ill = answers(&sandbox, "8443", false);
    ill.insert(CREDENTIAL.into(), (200, secret(&[("token", TOKEN)])));
    let _api = api(&sandbox, ill);
    assert!(not_found(&sandbox, &format!("{SUBDOMAIN}:8443")).contains("gitea-credential"));
}

#[test]
fn a_config_that_names_our_helper_is_answered_in_this_process() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let host = format!("{SUBDOMAIN}:{port}");
    docker_config(&sandbox, &host);
    // No such program is on PATH: starting one would fail.
    let output = sandbox.run(&["idpbuilder-push", "app:v1", "--jobs", "1", "-v"]);
    assert!(output.stderr.contains(&format!("credential for {host} from cluster kind-localdev")), "{output}");
    let _ = output.success();
    let entry = json!({"ServerURL": host, "Username": "Demo", "Secret": "own"}).to_string();
    assert_eq!(ask(&sandbox, "store", &entry).code, Some(0));
    let refused = sandbox.run(&["idpbuilder-push", "app:v1", "--jobs", "1", "-v"]);
    assert!(refused.stderr.contains(&format!("credential for {host} from the stored credentials")), "{refused}");
    let _ = ask(&sandbox, "erase", &host).success();
    std::fs::remove_dir_all(sandbox.home().join(".kube")).expect("removed");
    let config =
        sandbox.run(&["idpbuilder-push", "app:v1", &format!("{host}/team/app:v1"), "--ca-file", "ca.pem", "-v"]);
    assert!(config.stderr.contains(".docker/config.json`"), "what the file has is the last resort: {config}");
}

#[test]
fn credential_plugins_do_not_inherit_our_secrets() {
    let mut sandbox = sandbox();
    sandbox.set("IDPBUILDER_REGISTRY_PASSWORD", PASSWORD);
    sandbox.set("GITEA_TOKEN", TOKEN);
    sandbox.set("KEPT", "kept");
    let server = ApiServer::start(answers(&sandbox, "8443", false));
    let mut context = server.context(CONTEXT);
    context.user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
        "args": ["-c", format!("env > {}; exit 1", sandbox.work().join("env").display())],
        "interactiveMode": "Never"}});
    write_kubeconfig(&sandbox, CONTEXT, &[context]);
    let told = not_found(&sandbox, &format!("{SUBDOMAIN}:8443"));
    let inherited = std::fs::read_to_string(sandbox.work().join("env")).expect("the plugin ran");
    assert!(inherited.contains("KEPT=kept"), "{inherited}{told}");
    assert!(!inherited.contains(PASSWORD) && !inherited.contains(TOKEN), "{inherited}");
}

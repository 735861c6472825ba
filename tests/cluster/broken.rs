use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api_server::{
    Answers, ApiServer, CERTIFICATE, CREDENTIAL, LOCALBUILDS, Validity, forbidden, localbuild, secret,
};
use crate::fixture::{PASSWORD, SUBDOMAIN, USER, answers, api, registry, sandbox, snapshot, write_kubeconfig};
use crate::sandbox::{Output, Sandbox};

const PUSH: [&str; 4] = ["idpbuilder-push", "app:v1", "--jobs", "1"];
const CONTEXT: &str = "kind-localdev";

/// A push of `app:v1` against a cluster that answers so.
fn push_against(sandbox: &Sandbox, answers: Answers) -> Output {
    let _api = api(sandbox, answers);
    sandbox.run(&PUSH)
}

#[test]
fn who_may_not_read_is_told_what() {
    let sandbox = sandbox();
    let nothing = [LOCALBUILDS, CREDENTIAL, CERTIFICATE].map(|path| (path.to_owned(), forbidden()));
    snapshot("forbidden", &push_against(&sandbox, Answers::from(nothing)), &[]);
    let mut no_secret = answers(&sandbox, "8443", false);
    no_secret.insert(CREDENTIAL.to_owned(), forbidden());
    snapshot("forbidden_secret", &push_against(&sandbox, no_secret), &[]);
    let nobody = Answers::from([(LOCALBUILDS.to_owned(), (401, json!({"kind": "Status", "code": 401})))]);
    snapshot("unauthorized", &push_against(&sandbox, nobody), &[]);
}

#[test]
fn a_registry_whose_certificate_the_cluster_does_not_know_gets_nothing() {
    let sandbox = sandbox();
    let (server, port) = registry(&sandbox, SUBDOMAIN);
    // The file of the one that runs is gone, so that another certificate is in the cluster's Secret.
    std::fs::remove_file(sandbox.work().join("ca.pem")).expect("written");
    let output = push_against(&sandbox, answers(&sandbox, &port, false));
    snapshot("another_certificate", &output, &[(&port, "[PORT]")]);
    let log = std::fs::read_to_string(sandbox.work().join("serve.log")).expect("a log");
    assert!(!log.contains("/v2/"), "{}: {log}", server.address);
}

#[test]
fn a_registry_without_tls_is_never_used_silently() {
    let sandbox = sandbox();
    let mut plain = answers(&sandbox, "8080", false);
    let mut build = localbuild("8080", false);
    build["items"][0]["spec"]["buildCustomization"]["protocol"] = json!("http");
    plain.insert(LOCALBUILDS.to_owned(), (200, build));
    snapshot("no_tls", &push_against(&sandbox, plain), &[]);
}

#[test]
fn what_the_cluster_lacks_is_named() {
    let sandbox = sandbox();
    let mut no_secret = answers(&sandbox, "8443", false);
    no_secret.remove(CREDENTIAL);
    snapshot("missing_secret", &push_against(&sandbox, no_secret), &[]);
    let mut half = answers(&sandbox, "8443", false);
    half.insert(CREDENTIAL.to_owned(), (200, secret(&[("token", PASSWORD)])));
    snapshot("half_a_secret", &push_against(&sandbox, half), &[]);
    let mut young = answers(&sandbox, "8443", false);
    let mut build = localbuild("8443", false);
    build["items"][0]["status"] = json!({"observedGeneration": 1});
    young.insert(LOCALBUILDS.to_owned(), (200, build));
    young.insert(CREDENTIAL.to_owned(), (200, secret(&[("username", USER), ("password", PASSWORD)])));
    snapshot("gitea_not_ready", &push_against(&sandbox, young), &[]);
    snapshot("no_gitea", &push_against(&sandbox, Answers::new()), &[]);
    let garbage = Answers::from([(LOCALBUILDS.to_owned(), (200, json!("hello")))]);
    snapshot("garbage", &push_against(&sandbox, garbage), &[]);
    let ill = Answers::from([(LOCALBUILDS.to_owned(), (500, json!({"kind": "Status", "code": 500})))]);
    snapshot("internal_error", &push_against(&sandbox, ill), &[]);
}

#[test]
fn an_api_server_that_cannot_be_trusted_is_asked_nothing() {
    let sandbox = sandbox();
    let expired = ApiServer::start_with(answers(&sandbox, "8443", false), Validity::Over);
    write_kubeconfig(&sandbox, CONTEXT, &[expired.context(CONTEXT)]);
    snapshot("expired", &sandbox.run(&PUSH), &[(&expired.host(), "[API]")]);

    let other = ApiServer::start(answers(&sandbox, "8443", false));
    let mut context = expired.context(CONTEXT);
    context.cluster["server"] = json!(format!("https://{}", other.host()));
    write_kubeconfig(&sandbox, CONTEXT, &[context.clone()]);
    snapshot("another_authority", &sandbox.run(&PUSH), &[(&other.host(), "[API]")]);

    context.cluster["insecure-skip-tls-verify"] = json!(true);
    write_kubeconfig(&sandbox, CONTEXT, &[context.clone()]);
    snapshot("unverified", &sandbox.run(&PUSH), &[]);
    context.cluster = json!({"server": format!("http://{}", other.host())});
    write_kubeconfig(&sandbox, CONTEXT, &[context]);
    assert!(sandbox.run(&PUSH).failure(1).contains("does not verify"));
    assert_eq!((expired.seen().len(), other.seen().len()), (0, 0));

    // Nor does it answer somebody without a certificate of its authority.
    let mut stranger = other.context(CONTEXT);
    stranger.user = json!({});
    write_kubeconfig(&sandbox, CONTEXT, &[stranger]);
    assert!(sandbox.run(&PUSH).failure(2).contains("does not accept the credential"));
    assert_eq!(other.seen().len(), 0);
}

#[test]
fn kubeconfigs_that_cannot_be_used_are_told_without_their_text() {
    let sandbox = sandbox();
    let server = ApiServer::start(Answers::new());
    let mut context = server.context(CONTEXT);
    context.cluster["certificate-authority-data"] = json!("!");
    write_kubeconfig(&sandbox, CONTEXT, &[context.clone()]);
    snapshot("damaged_authority", &sandbox.run(&PUSH), &[]);
    context.cluster = json!({});
    write_kubeconfig(&sandbox, CONTEXT, &[context.clone()]);
    snapshot("no_server", &sandbox.run(&PUSH), &[]);
    context.cluster = json!({"server": "https://127.0.0.1:1", "proxy-url": "http://u:p@proxy:3128"});
    write_kubeconfig(&sandbox, CONTEXT, &[context]);
    snapshot("proxied", &sandbox.run(&PUSH), &[]);
    std::fs::write(sandbox.home().join(".kube/config"), format!("users:\n- user: {{token: {PASSWORD}\n"))
        .expect("written");
    snapshot("not_yaml", &sandbox.run(&PUSH), &[]);
    std::fs::write(sandbox.home().join(".kube/config"), "kind: Config\n").expect("written");
    snapshot("no_context", &sandbox.run(&PUSH), &[]);
}

/// The address of an API server that does not run.
fn nobody() -> String {
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").to_string()
}

fn point_at(sandbox: &Sandbox, address: &str) {
    let server = ApiServer::start(Answers::new());
    let mut context = server.context(CONTEXT);
    context.cluster["server"] = json!(format!("https://{address}"));
    write_kubeconfig(sandbox, CONTEXT, &[context]);
}

#[test]
fn a_dead_cluster_is_told_where_it_is_needed_and_only_there() {
    let sandbox = sandbox();
    let address = nobody();
    point_at(&sandbox, &address);
    snapshot("refused", &sandbox.run(&PUSH), &[(&address, "[API]")]);

    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let destination = format!("{SUBDOMAIN}:{port}/giteaadmin/app:v1");
    let login = format!("{USER}:{}", crate::fixture::TOKEN);
    let words = ["idpbuilder-push", "app:v1", &destination, "--ca-file", "ca.pem", "--jobs", "1"];
    // The command line is the one place where the secret is shown: by the test itself.
    let with_login = |extra: &[&'static str]| {
        let mut words = words.to_vec();
        words.extend(["--creds", &login]);
        words.extend(extra);
        sandbox.run(&words)
    };
    let output = with_login(&[]);
    assert_eq!((output.code, output.stderr.contains("cluster")), (Some(0), false), "{}", output.stderr);
    let output = with_login(&["-v"]);
    assert!(output.stderr.contains("nothing from a cluster: the API server"), "{}", output.stderr);
    let output = with_login(&["--context", CONTEXT]);
    assert!(output.stderr.contains("warning: nothing from a cluster"), "{}", output.stderr);
}

#[test]
fn a_cluster_that_swallows_everything_costs_no_more_than_the_deadline() {
    let sandbox = sandbox();
    // The kernel takes the connection, and nobody ever reads from it.
    let hole = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = hole.local_addr().expect("bound").to_string();
    point_at(&sandbox, &address);
    let begun = Instant::now();
    let output = sandbox.run(&PUSH);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    snapshot("black_hole", &output, &[(&address, "[API]")]);
}

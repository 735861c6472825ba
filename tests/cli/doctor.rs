//! Every line of a healthy cluster, and twelve ways in which one is not: each with its own diagnosis and fix.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::api_server::{
    Answers, ApiServer, CERTIFICATE, CREDENTIAL, LOCALBUILDS, forbidden, kubeconfig, localbuild, secret,
};
use crate::impostor::{Identity, Impostor};
use crate::sandbox::{Output, SECRETS, Sandbox};
use crate::scripted::{self, Reply, Scripted};
use crate::server::{Server, send};

const TOKEN: &str = SECRETS[1];
const USER: &str = "giteaAdmin";
const HOST: &str = "gitea.cnoe.localtest.me";
const DOCTOR: [&str; 1] = ["idpbuilder-doctor"];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    let hash = bcrypt::hash(TOKEN, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("{USER}:{hash}\n"));
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    sandbox
}

/// Writes `ca.pem` and `key.pem`: a certificate of idpbuilder's kind for `name`, valid in those years.
fn certificate(sandbox: &Sandbox, name: &str, years: (i32, i32)) -> String {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("signed").pem();
    sandbox.file("ca.pem", &pem);
    sandbox.file("key.pem", key.serialize_pem());
    pem
}

/// A registry with `ca.pem`, a password and further arguments; answers its port.
fn registry(sandbox: &Sandbox, more: &[&str]) -> (Server, String) {
    let mut arguments = vec!["--tls-cert", "ca.pem", "--tls-key", "key.pem", "--htpasswd", "htpasswd"];
    arguments.extend(more);
    serve(sandbox, &arguments)
}

fn serve(sandbox: &Sandbox, arguments: &[&str]) -> (Server, String) {
    let server = Server::start(sandbox, arguments);
    let port = server.address.rsplit(':').next().expect("a port").to_owned();
    (server, port)
}

fn answers(port: &str, pem: &str, token: &str) -> Answers {
    let ok = |path: &str, value: Value| (path.to_owned(), (200, value));
    Answers::from([
        ok(LOCALBUILDS, localbuild(port, false)),
        ok(CREDENTIAL, secret(&[("username", USER), ("token", token)])),
        ok(CERTIFICATE, secret(&[("ca.crt", pem)])),
    ])
}

fn cluster(sandbox: &Sandbox, answers: Answers) -> ApiServer {
    let api = ApiServer::start(answers);
    point_at(sandbox, &api, &api.host());
    api
}

fn point_at(sandbox: &Sandbox, api: &ApiServer, address: &str) {
    let mut context = api.context("kind-localdev");
    context.cluster["server"] = json!(format!("https://{address}"));
    std::fs::create_dir_all(sandbox.home().join(".kube")).expect("a directory");
    std::fs::write(sandbox.home().join(".kube/config"), kubeconfig("kind-localdev", &[context])).expect("written");
}

/// A port that was free a moment ago.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").port().to_string()
}

/// Ports, fingerprints and sizes differ from run to run, resolvers from machine to machine.
fn snapshot(name: &str, output: &Output, port: &str) {
    let filters = [
        (port, "[PORT]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
        (r"(sha256:)?[0-9a-f]{64}", "[DIGEST]"),
        (r"[0-9.]+ [KMGTP]?i?B of [0-9.]+ [KMGTP]?i?B free", "[ROOM] free"),
        (
            r"(127\.0\.0\.1|::1)(, (127\.0\.0\.1|::1))*( \(DNS has none; the name means this machine\))?\n",
            "[LOOPBACK]\n",
        ),
        (r"system's roots \(\d+\)", "system's roots ([COUNT])"),
        (r"does not resolve: .*", "does not resolve: [REASON]"),
    ];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(name, output) });
}

/// A whole cluster, its servers running while the value lives.
fn healthy(sandbox: &Sandbox) -> (Server, ApiServer, String) {
    let pem = certificate(sandbox, HOST, (2020, 2999));
    let (server, port) = registry(sandbox, &[]);
    let api = cluster(sandbox, answers(&port, &pem, TOKEN));
    (server, api, port)
}

#[test]
fn a_healthy_cluster_is_all_green() {
    let sandbox = sandbox();
    let (_server, _api, port) = healthy(&sandbox);
    let output = sandbox.run(&DOCTOR);
    snapshot("doctor_healthy", &output, &port);
    assert_eq!(output.code, Some(0), "{output}");
    let served = std::fs::read_to_string(sandbox.work().join("served/index.json")).expect("a layout");
    assert!(!served.contains("doctor"), "{served}");
    let uploads = sandbox.work().join("served/blobs/sha256");
    assert_eq!(std::fs::read_dir(uploads).expect("a layout").count(), 0);

    let output = sandbox.run(&["idpbuilder-doctor", "--format", "json", "--deep"]);
    let lines: Vec<Value> = serde_json::from_slice(&output.raw).expect("JSON");
    assert_eq!(lines.len(), 13, "{output}");
    assert!(lines.iter().all(|line| line["status"] == "ok" || line["check"] == "Gitea"), "{output}");
    assert!(lines[11]["found"].as_str().expect("text").ends_with("all hashed"), "{output}");
}

#[test]
fn settings_come_with_their_sources() {
    let mut sandbox = sandbox();
    sandbox.set("IDPBUILDER_REGISTRY", "registry.example:5000");
    let output = sandbox.run(&["idpbuilder-doctor", "--settings", "--store", "elsewhere"]);
    snapshot("doctor_settings", &output, "[0-9]{6}");
    let output = sandbox.run(&["idpbuilder-doctor", "--settings", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_slice(&output.raw).expect("JSON");
    let registry = rows.iter().find(|row| row["setting"] == "registry").expect("a registry");
    assert_eq!(registry["source"], "$IDPBUILDER_REGISTRY");
}

#[test]
fn without_a_kubeconfig_nobody_says_which_registry() {
    snapshot("doctor_no_kubeconfig", &sandbox().run(&DOCTOR), "[0-9]{6}");
}

#[test]
fn the_api_server_refuses_the_connection() {
    let sandbox = sandbox();
    let api = ApiServer::start(Answers::new());
    point_at(&sandbox, &api, &format!("127.0.0.1:{}", nobody()));
    snapshot("doctor_api_refused", &sandbox.run(&DOCTOR), "[0-9]{6}");
}

#[test]
fn the_api_server_forbids() {
    let sandbox = sandbox();
    let nothing = [LOCALBUILDS, CREDENTIAL, CERTIFICATE].map(|path| (path.to_owned(), forbidden()));
    let _api = cluster(&sandbox, Answers::from(nothing));
    snapshot("doctor_forbidden", &sandbox.run(&DOCTOR), "[0-9]{6}");
}

#[test]
fn the_secrets_may_not_be_read() {
    let sandbox = sandbox();
    let pem = certificate(&sandbox, HOST, (2020, 2999));
    let (_server, port) = registry(&sandbox, &[]);
    let mut answers = answers(&port, &pem, TOKEN);
    answers.extend([CREDENTIAL, CERTIFICATE].map(|path| (path.to_owned(), forbidden())));
    let _api = cluster(&sandbox, answers);
    snapshot("doctor_secrets_forbidden", &sandbox.run(&DOCTOR), &port);
}

#[test]
fn gitea_is_not_ready() {
    let sandbox = sandbox();
    let port = nobody();
    let pem = certificate(&sandbox, HOST, (2020, 2999));
    let mut young = answers(&port, &pem, TOKEN);
    let mut build = localbuild(&port, false);
    build["items"][0]["status"] = json!({"observedGeneration": 1});
    young.insert(LOCALBUILDS.to_owned(), (200, build));
    young.remove(CREDENTIAL);
    let _api = cluster(&sandbox, young);
    snapshot("doctor_gitea_not_ready", &sandbox.run(&DOCTOR), &port);
}

#[test]
fn the_name_is_unknown() {
    snapshot("doctor_dns", &sandbox().run(&["idpbuilder-doctor", "registry.invalid:5000"]), "[0-9]{6}");
}

#[test]
fn nothing_listens() {
    let port = nobody();
    snapshot("doctor_refused", &sandbox().run(&["idpbuilder-doctor", &format!("127.0.0.1:{port}")]), &port);
}

#[test]
fn plain_http_answers_where_tls_is_expected() {
    let sandbox = sandbox();
    let (_server, port) = serve(&sandbox, &[]);
    snapshot("doctor_not_tls", &sandbox.run(&["idpbuilder-doctor", &format!("127.0.0.1:{port}")]), &port);
}

#[test]
fn the_certificate_of_another_cluster_is_pinned() {
    let sandbox = sandbox();
    let old = certificate(&sandbox, HOST, (2020, 2999));
    certificate(&sandbox, HOST, (2020, 2999));
    let (_server, port) = registry(&sandbox, &[]);
    let address = format!("{HOST}:{port}");
    let folder = sandbox.home().join(".idpbuilder/certs").join(&address);
    std::fs::create_dir_all(&folder).expect("a directory");
    std::fs::write(folder.join("ca.crt"), old).expect("written");
    snapshot("doctor_another_cluster", &sandbox.run(&["idpbuilder-doctor", &address]), &port);
}

#[test]
fn the_certificate_is_for_another_name() {
    let sandbox = sandbox();
    certificate(&sandbox, "gitea.other.example", (2020, 2999));
    let (_server, port) = registry(&sandbox, &[]);
    let address = format!("{HOST}:{port}");
    snapshot("doctor_wrong_name", &sandbox.run(&["idpbuilder-doctor", &address, "--ca-file", "ca.pem"]), &port);
}

#[test]
fn the_certificate_has_expired() {
    let sandbox = sandbox();
    let pem = certificate(&sandbox, HOST, (2020, 2021));
    let (_server, port) = registry(&sandbox, &[]);
    let _api = cluster(&sandbox, answers(&port, &pem, TOKEN));
    snapshot("doctor_expired", &sandbox.run(&DOCTOR), &port);
}

#[test]
fn the_certificate_is_not_valid_yet() {
    let sandbox = sandbox();
    let pem = certificate(&sandbox, HOST, (2998, 2999));
    let (_server, port) = registry(&sandbox, &[]);
    let _api = cluster(&sandbox, answers(&port, &pem, TOKEN));
    snapshot("doctor_not_valid_yet", &sandbox.run(&DOCTOR), &port);
}

#[test]
fn the_registry_wants_a_client_certificate() {
    let sandbox = sandbox();
    let client = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).expect("signed").cert.pem();
    let server = Impostor::demanding(Identity::of_idpbuilder("127.0.0.1").valid(2020, 2999), client.as_bytes());
    sandbox.file("ca.pem", &server.pem);
    let port = server.address.rsplit(':').next().expect("a port");
    let words = ["idpbuilder-doctor", &server.address, "--ca-file", "ca.pem"];
    snapshot("doctor_client_certificate", &sandbox.run(&words), port);
    assert_eq!(server.received(), 0);
}

#[test]
fn gitea_tells_its_version() {
    let sandbox = sandbox();
    let server = Scripted::start(|request| match (request.method.as_str(), request.path()) {
        (_, "/api/v1/version") => scripted::answer(200, r#"{"version":"1.24.3"}"#),
        ("POST", _) => scripted::with(202, "Location", "/v2/team/app/blobs/uploads/1"),
        _ => scripted::answer(200, ""),
    });
    let output = sandbox.run(&["idpbuilder-doctor", &server.host(), "--plain-http", "--repository", "team/app"]);
    assert!(output.stdout.contains("\nok    Gitea            1.24.3\n"), "{output}");
    output.success();
}

/// A registry that takes connections and requests and never answers.
fn silent() -> Scripted {
    Scripted::start(|_| Reply::Silence)
}

#[test]
fn a_registry_that_never_answers_costs_no_more_than_the_limit() {
    let sandbox = sandbox();
    let server = silent();
    let port = server.host().rsplit(':').next().expect("a port").to_owned();
    let begun = Instant::now();
    let output = sandbox.run(&["idpbuilder-doctor", &server.host(), "--plain-http"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    snapshot("doctor_silence", &output, &port);
}

#[test]
fn the_diagnosis_ends_with_the_interrupt() {
    let sandbox = sandbox();
    for (signal, code, said) in [
        (rustix::process::Signal::INT, 130, "error: interrupted\n"),
        (rustix::process::Signal::TERM, 143, "error: terminated\n"),
    ] {
        let server = silent();
        let mut command = sandbox.command(&["idpbuilder-doctor", &server.host(), "--plain-http", "--timeout", "600"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        server.wait_for(|request| request.path() == "/v2/");
        send(&child, signal);
        let begun = Instant::now();
        let output = child.wait_with_output().expect("it ends");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert_eq!(output.status.code(), Some(code));
        let shown = sandbox.neutral(&output.stderr);
        assert!(output.stdout.is_empty() && shown.ends_with(said), "{shown}");
    }
}

#[test]
fn the_password_is_wrong() {
    let sandbox = sandbox();
    let pem = certificate(&sandbox, HOST, (2020, 2999));
    let (_server, port) = registry(&sandbox, &[]);
    let _api = cluster(&sandbox, answers(&port, &pem, SECRETS[0]));
    snapshot("doctor_wrong_password", &sandbox.run(&DOCTOR), &port);
}

#[test]
fn the_registry_takes_no_push() {
    let sandbox = sandbox();
    let pem = certificate(&sandbox, HOST, (2020, 2999));
    let (_server, port) = registry(&sandbox, &["--read-only"]);
    let _api = cluster(&sandbox, answers(&port, &pem, TOKEN));
    snapshot("doctor_read_only", &sandbox.run(&DOCTOR), &port);
}

#[test]
fn a_blob_of_the_store_is_damaged() {
    let sandbox = sandbox();
    let (_server, _api, port) = healthy(&sandbox);
    let blobs = std::fs::read_dir(sandbox.store().join("blobs/sha256")).expect("a store");
    let largest = blobs.map(|entry| entry.expect("an entry").path()).find(|path| {
        let bytes = std::fs::read(path).expect("a blob");
        !bytes.starts_with(b"{")
    });
    let layer = largest.expect("a layer");
    let mut bytes = std::fs::read(&layer).expect("a blob");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&layer, &bytes).expect("written");
    assert_eq!(sandbox.run(&DOCTOR).code, Some(0), "the same size: only hashing tells");
    snapshot("doctor_damaged_blob", &sandbox.run(&["idpbuilder-doctor", "--deep"]), &port);
    std::fs::remove_file(&layer).expect("removed");
    snapshot("doctor_missing_blob", &sandbox.run(&DOCTOR), &port);
}

use std::os::unix::fs::PermissionsExt as _;

use crate::api_server::{Answers, ApiServer, CERTIFICATE, CREDENTIAL, LOCALBUILDS, kubeconfig, localbuild, secret};
use crate::impostor::Identity;
use crate::sandbox::{Output, SECRETS, Sandbox};
use crate::server::Server;

fn snapshot(name: &str, output: &Output, address: &str) {
    let address = address.replace('.', "\\.");
    insta::with_settings!({filters => vec![
        (address.as_str(), "[REGISTRY]"),
        (r"sha256:0{64}", "[WRONG]"),
        (r"sha256:[0-9a-f]{64}", "[FINGERPRINT]"),
        (r"\d{4}-\d\d-\d\d(T[0-9:.]+Z)?", "[DAY]"),
        (r"HOST +FINGERPRINT +NAMES", "HOST FINGERPRINT NAMES"),
        (r"roots: \d+", "roots: [COUNT]"),
        (r#"(the system's roots",\s+"count": )\d+"#, "${1}[COUNT]"),
        (r" {3,}", "   "),
    ]}, {
        insta::assert_snapshot!(name, output);
    });
}

const HOST: &str = "gitea.cnoe.localtest.me";

/// A cluster whose registry is at that port, and the kubeconfig that leads to it.
fn cluster(sandbox: &Sandbox, port: &str, pem: &str) -> ApiServer {
    let api = ApiServer::start(Answers::from([
        (LOCALBUILDS.to_owned(), (200, localbuild(port, false))),
        (CREDENTIAL.to_owned(), (200, secret(&[("username", "giteaAdmin"), ("token", SECRETS[1])]))),
        (CERTIFICATE.to_owned(), (200, secret(&[("ca.crt", pem)]))),
    ]));
    std::fs::create_dir(sandbox.home().join(".kube")).expect("a directory");
    let config = kubeconfig("kind-localdev", &[api.context("kind-localdev")]);
    std::fs::write(sandbox.home().join(".kube/config"), config).expect("written");
    api
}

fn tls_server(sandbox: &Sandbox, pem: &str, storage: &str) -> Server {
    Server::start(sandbox, &["--tls", "--tls-cert-out", pem, "--storage", storage])
}

pub(crate) fn fingerprint(sandbox: &Sandbox, pem: &str) -> String {
    use rustls::pki_types::pem::PemObject as _;
    let text = std::fs::read(sandbox.work().join(pem)).expect("written");
    let der = rustls::pki_types::CertificateDer::from_pem_slice(&text).expect("PEM");
    idpbuilder_oci::image::Digest::of(&der).to_string()
}

fn image(sandbox: &Sandbox) {
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
}

#[test]
fn a_certificate_is_pinned_after_its_fingerprint_was_compared() {
    let sandbox = Sandbox::new();
    image(&sandbox);
    let server = tls_server(&sandbox, "ca.pem", "served");
    let address = server.address.as_str();
    let right = fingerprint(&sandbox, "ca.pem");
    let add = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-trust", "add", address, "--from-server"];
        words.extend(rest);
        sandbox.run(&words)
    };
    let store = sandbox.home().join(".idpbuilder/certs");
    snapshot("nobody_to_ask", &add(&[]), address);
    let wrong = format!("sha256:{}", "0".repeat(64));
    snapshot("another_fingerprint", &add(&["--fingerprint", &wrong]), address);
    snapshot("no_fingerprint", &add(&["--fingerprint", "sha256:12"]), address);
    assert!(!store.exists(), "nothing is kept of what nobody confirmed");
    snapshot("show_untrusted", &sandbox.run(&["idpbuilder-trust", "show", address]), address);

    snapshot("added_from_server", &add(&["--fingerprint", &right]), address);
    let file = store.join(address).join("ca.crt");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&store.join(address))), (0o600, 0o700));
    let destination = format!("{address}/team/app:v1");
    sandbox.run(&["idpbuilder-push", "app:v1", &destination, "-q"]).success();
    snapshot("list", &sandbox.run(&["idpbuilder-trust", "list"]), address);
    let json = sandbox.run(&["idpbuilder-trust", "list", "--format", "json"]).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((json[0]["host"].as_str(), json[0]["fingerprint"].as_str()), (Some(address), Some(right.as_str())));
    snapshot("show_trusted", &sandbox.run(&["idpbuilder-trust", "show", address]), address);
    let shown = sandbox.run(&["idpbuilder-trust", "show", address, "--format", "json"]);
    snapshot("show_json", &shown, address);

    snapshot("removed", &sandbox.run(&["idpbuilder-trust", "remove", address]), address);
    let log = std::fs::read_to_string(sandbox.home().join(".idpbuilder/audit.jsonl")).expect("written");
    for event in ["trust-add", "trust-remove"] {
        assert!(log.lines().any(|line| line.contains(event) && line.contains(address)), "{event}: {log}");
    }
    snapshot("nothing_to_remove", &sandbox.run(&["idpbuilder-trust", "remove", address]), address);
    sandbox.run(&["idpbuilder-push", "app:v1", &destination, "-q"]).failure(3);
    assert_eq!(sandbox.run(&["idpbuilder-trust", "list", "--format", "json"]).success(), "[]\n");
}

#[test]
fn somebody_else_under_the_same_name_is_refused() {
    let sandbox = Sandbox::new();
    image(&sandbox);
    let _real = tls_server(&sandbox, "real.pem", "served");
    let impostor = tls_server(&sandbox, "impostor.pem", "other");
    let address = impostor.address.as_str();
    // The certificate of the real one is what is kept for the address at which the impostor listens.
    snapshot("added_file", &sandbox.run(&["idpbuilder-trust", "add", address, "real.pem"]), address);
    let push = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{address}/app:v1"), "--jobs", "1", "-q"]);
    snapshot("impostor", &push, address);
    snapshot("show_impostor", &sandbox.run(&["idpbuilder-trust", "show", address]), address);
    let right = fingerprint(&sandbox, "real.pem");
    let pinning = ["idpbuilder-trust", "add", address, "--from-server", "--fingerprint", &right];
    sandbox.run(&pinning).failure(3);
    let kept = sandbox.run(&["idpbuilder-trust", "list"]).success();
    assert!(kept.contains(&right), "what was kept stays: {kept}");
}

#[test]
fn mistakes_have_their_own_words() {
    let sandbox = Sandbox::new();
    sandbox.file("not.pem", "hello");
    let run = |words: &[&str]| sandbox.run(&[&["idpbuilder-trust"], words].concat());
    snapshot("add_no_certificate", &run(&["add", "registry.example", "not.pem"]), "unused.invalid");
    snapshot("add_no_source", &run(&["add", "registry.example"]), "unused.invalid");
    snapshot("add_no_host", &run(&["add", "../x", "not.pem"]), "unused.invalid");
    snapshot("add_no_cluster", &run(&["add", "registry.example", "--from-cluster"]), "unused.invalid");
    snapshot("list_empty", &run(&["list"]), "unused.invalid");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound").to_string();
    snapshot("add_refused", &run(&["add", &closed, "--from-server"]), &closed);
    snapshot("show_unreachable", &run(&["show", &closed]), &closed);
    let plain = Server::start(&sandbox, &[]);
    snapshot("add_plain_http", &run(&["add", &plain.address, "--from-server"]), &plain.address);

    let damaged = sandbox.home().join(".idpbuilder/certs/registry.example:443");
    std::fs::create_dir_all(&damaged).expect("made");
    std::fs::write(damaged.join("ca.crt"), "hello").expect("written");
    snapshot("list_damaged", &run(&["list"]), "unused.invalid");
}

#[test]
fn the_clusters_certificate_is_kept_for_its_own_names_only() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--tls", "--tls-name", HOST, "--tls-cert-out", "ca.pem"]);
    let port = server.address.rsplit(':').next().expect("a port");
    let pem = std::fs::read_to_string(sandbox.work().join("ca.pem")).expect("written");
    let _api = cluster(&sandbox, port, &pem);
    let address = format!("{HOST}:{port}");
    snapshot("show_cluster", &sandbox.run(&["idpbuilder-trust", "show", &address]), &address);
    let other = sandbox.run(&["idpbuilder-trust", "add", "registry.example", "--from-cluster"]);
    snapshot("add_of_another_cluster", &other, &address);
    snapshot("added_from_cluster", &sandbox.run(&["idpbuilder-trust", "add", &address, "--from-cluster"]), &address);
    let kept = sandbox.run(&["idpbuilder-trust", "list"]).success();
    assert!(kept.contains(&fingerprint(&sandbox, "ca.pem")), "{kept}");
}

#[test]
fn everything_that_is_trusted_is_listed_with_its_source() {
    let sandbox = Sandbox::new();
    let made = |name: &str| Identity::of_idpbuilder(name).valid(2020, 2999).pem;
    for (name, file) in [("kept.example", "kept.pem"), ("theirs.example", "theirs.pem"), (HOST, "cluster.pem")] {
        sandbox.file(file, made(name));
    }
    sandbox.run(&["idpbuilder-trust", "add", "kept.example", "kept.pem"]).success();
    let theirs = sandbox.home().join(".config/containers/certs.d/theirs.example:5000");
    std::fs::create_dir_all(&theirs).expect("made");
    std::fs::copy(sandbox.work().join("theirs.pem"), theirs.join("ca.crt")).expect("copied");
    std::fs::copy(sandbox.work().join("theirs.pem"), theirs.join("ignored.pem")).expect("copied");
    // Without a cluster the rest is listed.
    let alone = sandbox.run(&["idpbuilder-trust", "list", "--all"]);
    assert!(alone.stderr.starts_with("Nothing from a cluster: there is no kubeconfig"), "{alone}");
    alone.success();
    let pem = std::fs::read_to_string(sandbox.work().join("cluster.pem")).expect("written");
    let _api = cluster(&sandbox, "8443", &pem);

    let listed = sandbox.run(&["idpbuilder-trust", "list", "--all", "--format", "json"]).success();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("JSON");
    let row = |host: &str| rows.iter().filter(|row| row["host"] == host).collect::<Vec<_>>();
    let kept = sandbox.home().join(".idpbuilder/certs/kept.example:443/ca.crt").display().to_string();
    for (host, file, origin) in [
        ("kept.example:443", "kept.pem", sandbox.neutral(format!("`{kept}`").as_bytes())),
        ("theirs.example:5000", "theirs.pem", sandbox.neutral(format!("`{}/ca.crt`", theirs.display()).as_bytes())),
        (
            "gitea.cnoe.localtest.me:8443",
            "cluster.pem",
            "the cluster's Secret default/idpbuilder-cert (kind-localdev)".to_owned(),
        ),
    ] {
        let [only] = row(host)[..] else { panic!("{host}: {listed}") };
        assert_eq!(
            (only["origin"].as_str(), &only["fingerprint"]),
            (Some(&*origin), &fingerprint(&sandbox, file).into())
        );
    }
    let system = rows.last().expect("the system's");
    assert!(
        system["origin"] == "the system's roots" && system["count"].is_u64() && system["host"].is_null(),
        "{system}"
    );

    // People see the same.
    let table = sandbox.run(&["idpbuilder-trust", "list", "--all"]).success();
    assert!(table.lines().next().is_some_and(|heading| heading.ends_with("FROM")), "{table}");
    for text in ["kept.example:443 ", "certs.d/theirs.example:5000/ca.crt", "(kind-localdev)", "(every host)"] {
        assert_eq!(table.matches(text).count(), 1, "{text}: {table}");
    }
    let own = sandbox.run(&["idpbuilder-trust", "list"]).success();
    assert_eq!(own.lines().count(), 2, "{own}");
}

#[test]
fn the_whole_chain_is_shown() {
    let sandbox = Sandbox::new();
    let identity = Identity::of_an_authority("127.0.0.1");
    sandbox.file("cert.pem", identity.chain_pem());
    sandbox.file("key.pem", identity.key.serialize_pem());
    let server = Server::start(&sandbox, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let add = ["idpbuilder-trust", "add", &server.address, "--from-server"];
    snapshot("chain", &sandbox.run(&add), &server.address);
    // What is kept is the server's own certificate, and by itself it is enough.
    let own = fingerprint(&sandbox, "cert.pem");
    sandbox.run(&[&add[..], &["--fingerprint", &own]].concat()).success();
    image(&sandbox);
    sandbox.run(&["idpbuilder-push", "app:v1", &format!("{}/app:v1", server.address), "-q"]).success();
}

#[test]
fn directories_of_other_tools_are_trusted_and_their_mistakes_are_warnings() {
    let sandbox = Sandbox::new();
    image(&sandbox);
    let server = tls_server(&sandbox, "ca.pem", "served");
    let address = server.address.as_str();
    let destination = format!("{address}/team/app:v1");
    let push = |rest: &[&str]| sandbox.run(&[&["idpbuilder-push", "app:v1", &destination, "-q"], rest].concat());
    let pem = std::fs::read_to_string(sandbox.work().join("ca.pem")).expect("written");
    push(&[]).failure(3);
    sandbox.file("certs/registry.crt", &pem);
    push(&["--cert-dir", "certs"]).success();
    snapshot("cert_dir_missing", &push(&["--cert-dir", "absent"]), address);

    let theirs = sandbox.home().join(".config/containers/certs.d").join(address);
    std::fs::create_dir_all(&theirs).expect("made");
    std::fs::write(theirs.join("ca.crt"), &pem).expect("written");
    let silent = push(&[]);
    assert_eq!(silent.stderr, "", "{silent}");
    silent.success();
    std::fs::write(theirs.join("client.cert"), &pem).expect("written");
    snapshot("certs_d_without_key", &push(&[]), address);
    let shown = sandbox.run(&["idpbuilder-trust", "show", address]).success();
    assert!(shown.contains(".config/containers/certs.d"), "{shown}");
}

#[test]
fn a_kept_certificate_that_is_over_is_warned_of_once_a_command() {
    let sandbox = Sandbox::new();
    image(&sandbox);
    let server = tls_server(&sandbox, "ca.pem", "served");
    let address = server.address.as_str();
    let mut params = rcgen::CertificateParams::new(vec!["old.example".to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let old = params.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("signed").pem();
    let pem = std::fs::read_to_string(sandbox.work().join("ca.pem")).expect("written");
    sandbox.file("both.pem", pem + &old);
    sandbox.run(&["idpbuilder-trust", "add", address, "both.pem"]).success();
    let destinations = [format!("{address}/team/app:v1"), format!("{address}/team/app:v2")];
    let push = sandbox.run(&["idpbuilder-push", "app:v1", &destinations[0], &destinations[1], "-q"]);
    snapshot("kept_is_over", &push, address);
    let listed = sandbox.run(&["idpbuilder-trust", "list"]).success();
    assert!(listed.contains("2001-01-01 (expired)"), "{listed}");
}

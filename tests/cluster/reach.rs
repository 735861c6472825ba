//! How far the word of a cluster reaches: hosts, Secrets, certificates.

use serde_json::{Value, json};

use crate::api_server::{Answers, ApiServer, CERTIFICATE, CREDENTIAL, LOCALBUILDS, PROVIDERS, localbuild, secret};
use crate::fixture::{PASSWORD, SUBDOMAIN, TOKEN, USER, answers, api, registry, sandbox};
use crate::helper::ask;
use crate::sandbox::{Output, Sandbox};
use crate::terminal::Terminal;

const PUSH: [&str; 4] = ["idpbuilder-push", "app:v1", "--jobs", "1"];
const NAMED: [&str; 6] = ["idpbuilder-push", "app:v1", "--jobs", "1", "--context", "kind-localdev"];
const FOREIGN: &str = "/api/v1/namespaces/prod/secrets/db-credential";

/// A Localbuild of v0.6, which has nothing but a status.
fn status_only(url: &str, namespace: &str, name: &str) -> Value {
    let gitea = json!({"available": true, "externalURL": url, "adminUserSecretNameecret": name,
        "adminUserSecretNamespace": namespace});
    json!({"apiVersion": "idpbuilder.cnoe.io/v1alpha1", "kind": "LocalbuildList",
        "items": [{"metadata": {"name": "localdev"}, "status": {"gitea": gitea}}]})
}

/// A cluster that says its registry is at `url`.
fn claiming(sandbox: &Sandbox, url: &str) -> Answers {
    let mut answers = answers(sandbox, "8443", false);
    answers.insert(LOCALBUILDS.to_owned(), (200, status_only(url, "gitea", "gitea-credential")));
    answers
}

fn push(sandbox: &Sandbox, more: &[&str]) -> Output {
    sandbox.run(&[&PUSH[..], more].concat())
}

/// Whether the registry saw a request.
fn asked(sandbox: &Sandbox) -> bool {
    std::fs::read_to_string(sandbox.work().join("serve.log")).is_ok_and(|log| log.contains("/v2/"))
}

#[test]
fn only_the_secrets_of_gitea_are_read() {
    let sandbox = sandbox();
    let foreign = || (FOREIGN.to_owned(), (200, secret(&[("username", "db"), ("password", PASSWORD)])));
    let mut localbuild = answers(&sandbox, "8443", false);
    let gitea = status_only("https://127.0.0.2:7001", "prod", "db-credential");
    localbuild.extend([foreign(), (LOCALBUILDS.to_owned(), (200, gitea))]);
    let mut provider = answers(&sandbox, "8443", false);
    provider.remove(LOCALBUILDS);
    let status = json!({"endpoint": format!("https://{SUBDOMAIN}:8443"),
        "credentialsSecretRef": {"namespace": "prod", "name": "db-credential"}});
    provider.extend([foreign(), (PROVIDERS.to_owned(), (200, json!({"items": [{"status": status}]})))]);
    for answers in [localbuild, provider] {
        let api = api(&sandbox, answers);
        for words in [&PUSH[..], &NAMED] {
            let output = sandbox.run(words);
            assert!([Some(2), Some(64)].contains(&output.code), "{output}");
            assert!(!api.seen().iter().any(|path| path.contains("/prod/")), "{output}{:?}", api.seen());
        }
        let named = sandbox.run(&NAMED);
        assert!(named.stderr.contains("the Secret prod/db-credential, which is not read"), "{named}");
    }
}

#[test]
fn a_host_of_others_is_not_used_unless_the_context_is_named() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, "127.0.0.1");
    let host = format!("127.0.0.1:{port}");
    let _api = api(&sandbox, claiming(&sandbox, &format!("https://{host}")));
    let refused = push(&sandbox, &[]);
    assert!(refused.stderr.contains("name the context once: --context kind-localdev"), "{refused}");
    let _ = refused.failure(64);
    // A person who writes the host does not write whose it is.
    let written = push(&sandbox, &[&format!("{host}/giteaadmin/app:v1")]);
    assert!(written.stderr.contains("nothing of the cluster is used for it"), "{written}");
    assert_ne!(written.code, Some(0), "{written}");
    // Nor does who configures it.
    std::fs::write(sandbox.home().join(".idpbuilder/config.toml"), format!("default_registry = \"{host}\"\n"))
        .expect("written");
    assert_ne!(push(&sandbox, &[]).code, Some(0));
    std::fs::remove_file(sandbox.home().join(".idpbuilder/config.toml")).expect("removed");
    assert!(!asked(&sandbox), "the registry was asked");

    let named = sandbox.run(&NAMED);
    assert!(named.stderr.contains(&format!("Using registry {host} (cluster kind-localdev)\n")), "{named}");
    let _ = named.success();
    // From then on the context has that host, at that port.
    let _ = push(&sandbox, &[]).success();
    let _ = push(&sandbox, &[&format!("{host}/giteaadmin/app:v1")]).success();
    let (_other, port) = registry(&sandbox, "127.0.0.1");
    let _moved = api(&sandbox, claiming(&sandbox, &format!("https://127.0.0.1:{port}")));
    let _ = push(&sandbox, &[]).failure(64);
}

#[test]
fn a_person_on_a_terminal_is_asked_once() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, "127.0.0.1");
    let host = format!("127.0.0.1:{port}");
    let _api = api(&sandbox, claiming(&sandbox, &format!("https://{host}")));
    let answered = |answer: &str| {
        let mut terminal = Terminal::start(sandbox.command(&PUSH));
        terminal.wait_for(&format!("its registry is {host}, outside localtest.me"));
        terminal.wait_for("[y/N]");
        terminal.write(answer);
        terminal.end()
    };
    let (status, shown) = answered("n\n");
    assert_eq!(status.code(), Some(64), "{shown}");
    assert!(!asked(&sandbox), "{shown}");
    let (status, shown) = answered("y\n");
    assert_eq!(status.code(), Some(0), "{shown}");
    let (status, shown) = Terminal::start(sandbox.command(&PUSH)).end();
    assert!(status.success() && !shown.contains("[y/N]"), "{shown}");
}

#[test]
fn no_cluster_speaks_for_a_public_registry() {
    let sandbox = sandbox();
    for (host, url) in [("ghcr.io", "https://ghcr.io"), ("gitea.docker.io", "https://gitea.docker.io:8443")] {
        let _api = api(&sandbox, claiming(&sandbox, url));
        let refused = sandbox.run(&NAMED);
        assert!(refused.stderr.contains("which is a public registry"), "{refused}");
        let _ = refused.failure(64);
        let output = sandbox.run(&["idpbuilder-trust", "add", host, "--from-cluster", "--context", "kind-localdev"]);
        assert_ne!(output.code, Some(0), "{output}");
        for context in [&[][..], &["--context", "kind-localdev"]] {
            let words = ["idpbuilder-oci", "install", "--dir", "bin", "--docker", "--podman"];
            let output = sandbox.run(&[&words[..], context].concat());
            assert_ne!(output.code, Some(0), "{output}");
            for file in [".docker/config.json", ".config/containers/auth.json"] {
                let text = std::fs::read_to_string(sandbox.home().join(file)).unwrap_or_default();
                assert!(!text.contains(host), "{text}");
            }
        }
    }
}

#[test]
fn other_programs_are_given_names_that_the_cluster_may_speak_for() {
    let sandbox = sandbox();
    let mut build = localbuild("443", false);
    build["items"][0]["spec"]["buildCustomization"]["ingressHost"] = json!("evil.example");
    let mut both = answers(&sandbox, "443", false);
    both.insert(LOCALBUILDS.to_owned(), (200, build));
    let _api = api(&sandbox, both);
    let config = || std::fs::read_to_string(sandbox.home().join(".docker/config.json")).expect("written");
    let install = ["idpbuilder-oci", "install", "--dir", "bin", "--docker"];
    let output = sandbox.run(&install);
    assert!(output.stderr.contains("gitea.evil.example:443, outside localtest.me"), "{output}");
    let _ = output.success();
    assert!(config().contains("\"cnoe.localtest.me\"") && !config().contains("evil.example"), "{}", config());
    let _ = sandbox.run(&[&install[..], &["--context", "kind-localdev"]].concat()).success();
    assert!(config().contains("\"gitea.evil.example\""), "{}", config());
    assert!(!config().contains("\"evil.example"), "the other routing was not accepted: {}", config());
}

#[test]
fn the_helper_does_not_answer_for_hosts_of_others() {
    let sandbox = sandbox();
    let api = api(&sandbox, claiming(&sandbox, "https://gitea.dev.example:8443"));
    // As an earlier version would have remembered it.
    let cache = sandbox.home().join(".idpbuilder/cache");
    std::fs::create_dir_all(&cache).expect("a directory");
    let known = json!({"kind-localdev": {"names": ["gitea.dev.example:8443"], "username": USER}});
    std::fs::write(cache.join("clusters.json"), known.to_string()).expect("written");
    let output = ask(&sandbox, "get", "gitea.dev.example:8443");
    assert_eq!(output.code, Some(1), "{output}");
    assert!(!output.stdout.contains(TOKEN) && !output.stdout.contains(PASSWORD), "{output}");
    assert!(output.stderr.contains("name the context once"), "{output}");
    assert_eq!(api.seen()[0], LOCALBUILDS);
}

#[test]
fn a_kept_certificate_is_not_replaced_by_the_word_of_a_cluster() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let host = format!("{SUBDOMAIN}:{port}");
    let whole = answers(&sandbox, &port, false);
    let mut other = whole.clone();
    let stranger = rcgen::generate_simple_self_signed(vec![SUBDOMAIN.to_owned()]).expect("signed").cert.pem();
    other.insert(CERTIFICATE.to_owned(), (200, secret(&[("ca.crt", &stranger)])));

    // The registry has what was kept, the cluster says otherwise.
    let _ = sandbox.run(&["idpbuilder-trust", "add", &host, "ca.pem"]).success();
    let contradicting = api(&sandbox, other.clone());
    let refused = push(&sandbox, &[]);
    assert!(refused.stderr.contains(&format!("the certificate kept for {host} is not the one")), "{refused}");
    let _ = refused.failure(3);
    assert!(!asked(&sandbox), "the registry was asked");
    let shown = sandbox.run(&["idpbuilder-trust", "show", &host]);
    assert!(shown.stderr.contains("is not the one that cluster"), "{shown}");
    assert!(!shown.stdout.contains("(kind-localdev)"), "{shown}");
    drop(contradicting);
    let agreeing = api(&sandbox, whole.clone());
    let _ = push(&sandbox, &[]).success();
    drop(agreeing);

    // The cluster says what the registry has, and something else was kept or named.
    let kept = sandbox.home().join(format!(".idpbuilder/certs/{host}/ca.crt"));
    std::fs::write(&kept, &stranger).expect("written");
    let _api = api(&sandbox, whole);
    let _ = push(&sandbox, &[]).failure(3);
    std::fs::remove_file(&kept).expect("removed");
    sandbox.file("stranger.pem", &stranger);
    let named = push(&sandbox, &["--ca-file", "stranger.pem"]);
    assert!(named.stderr.contains("do not vouch for the one that cluster kind-localdev has"), "{named}");
    let _ = named.failure(3);
    let _ = push(&sandbox, &[]).success();
}

#[test]
fn other_credentials_do_not_go_out_on_the_clusters_certificate_alone() {
    let mut sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, "127.0.0.1");
    let host = format!("127.0.0.1:{port}");
    let _api = api(&sandbox, claiming(&sandbox, &format!("https://{host}")));
    let named = |more: &[&str]| sandbox.run(&[&NAMED[..], more].concat());
    let flags = ["--creds", &format!("{USER}:{TOKEN}")];
    let withheld = format!("does not count for {host}");

    let output = named(&flags);
    assert!(output.stderr.contains(&withheld), "{output}");
    let _ = output.failure(3);
    let folder = sandbox.home().join(".docker");
    std::fs::create_dir_all(&folder).expect("a directory");
    let config = json!({"auths": {&host: {"username": USER, "password": TOKEN}}}).to_string();
    std::fs::write(folder.join("config.json"), config).expect("written");
    let output = named(&[]);
    assert!(output.stderr.contains(&withheld), "{output}");
    let _ = output.failure(3);
    assert!(!asked(&sandbox), "the registry was asked");
    // A certificate that a person keeps is enough for any.
    let add = ["idpbuilder-trust", "add", &host, "--from-cluster", "--context", "kind-localdev"];
    let _ = sandbox.run(&add).success();
    let _ = named(&[]).success();
    let _ = named(&flags).success();
    let _ = sandbox.run(&["idpbuilder-trust", "remove", &host]).success();
    std::fs::remove_dir_all(&folder).expect("removed");
    let _ = named(&[]).success();
    sandbox.set("GITEA_USERNAME", USER);
    sandbox.set("GITEA_TOKEN", TOKEN);
    let output = sandbox.run(&[&NAMED[..], &["-v"]].concat());
    assert!(output.stderr.contains("GITEA_TOKEN"), "{output}");
    let _ = output.success();
}

#[test]
fn a_claim_that_was_not_accepted_gets_no_variable_of_the_clusters() {
    let mut sandbox = sandbox();
    sandbox.set("GITEA_USERNAME", USER);
    sandbox.set("GITEA_TOKEN", TOKEN);
    let (_registry, port) = registry(&sandbox, "127.0.0.1");
    let host = format!("127.0.0.1:{port}");
    let _api = api(&sandbox, claiming(&sandbox, &format!("https://{host}")));
    // The registry takes that token, so a push that shows it succeeds.
    let output = push(&sandbox, &[&format!("{host}/giteaadmin/app:v1"), "--ca-file", "ca.pem"]);
    assert!(output.stderr.contains("nothing of the cluster is used for it"), "{output}");
    let _ = output.failure(2);
}

#[test]
fn the_use_of_a_clusters_word_is_always_said() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let host = format!("{SUBDOMAIN}:{port}");
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let said = format!("Using registry {host} (cluster kind-localdev)\n");
    let destination = format!("{host}/giteaadmin/app:v1");
    for more in [&[][..], &["-q"], &[&destination], &[&destination, "-q"], &[&host, "--quiet"]] {
        let output = push(&sandbox, more);
        assert_eq!(output.stderr.matches(&said).count(), 1, "{output}");
        let _ = output.success();
    }
    let output = ask(&sandbox, "get", &host);
    assert_eq!(output.stderr, said, "{output}");
    let _ = output.success();
}

#[test]
fn one_of_several_localbuilds_is_used_or_none() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let mut answers = answers(&sandbox, &port, false);
    let mut several = |names: [&str; 2]| {
        let mut build = localbuild(&port, false);
        let own = build["items"][0].clone();
        let mut other = own.clone();
        other["spec"]["buildCustomization"]["host"] = json!("other.localtest.me");
        build["items"] = json!([other, own]);
        for (at, name) in names.iter().enumerate() {
            build["items"][at]["metadata"]["name"] = json!(name);
        }
        answers.insert(LOCALBUILDS.to_owned(), (200, build));
        answers.clone()
    };
    let chosen = api(&sandbox, several(["other", "localdev"]));
    let output = push(&sandbox, &[]);
    assert!(output.stderr.contains("more than one Localbuild; localdev is used"), "{output}");
    assert!(output.success().starts_with(&format!("{SUBDOMAIN}:{port}/")));
    drop(chosen);
    for names in [["other", "another"], ["localdev", "localdev"]] {
        let _api = api(&sandbox, several(names));
        let output = push(&sandbox, &[]);
        assert!(output.stderr.contains(&format!("has 2 Localbuilds: {}", names.join(", "))), "{output}");
        let _ = output.failure(64);
    }
}

#[test]
fn an_object_of_another_kind_is_named() {
    let sandbox = sandbox();
    let pod = || json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "localdev"}});
    for (answer, kind) in [
        (json!({"kind": "LocalbuildList", "items": [pod()]}), "Pod"),
        (json!({"kind": "PodList", "items": [pod()]}), "PodList"),
        (pod(), "Pod"),
        (json!({"kind": "Status", "status": "Failure"}), "Status"),
    ] {
        let mut answers = answers(&sandbox, "8443", false);
        answers.insert(LOCALBUILDS.to_owned(), (200, answer));
        let server = ApiServer::start(answers);
        crate::fixture::write_kubeconfig(&sandbox, "kind-localdev", &[server.context("kind-localdev")]);
        let output = push(&sandbox, &[]);
        assert!(
            output.stderr.contains(&format!("answered for Localbuilds with an object of kind {kind}\n")),
            "{output}"
        );
        assert!(!output.stderr.contains("not ready"), "{output}");
        let _ = output.failure(1);
    }
    let mut answers = answers(&sandbox, "8443", false);
    let config_map = json!({"kind": "ConfigMap", "data": {"username": "dQ==", "token": "dA=="}});
    answers.insert(CREDENTIAL.to_owned(), (200, config_map));
    let _api = api(&sandbox, answers);
    let output = push(&sandbox, &[]);
    assert!(output.stderr.contains("with an object of kind ConfigMap"), "{output}");
}

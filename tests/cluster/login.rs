//! A login for the cluster's registry, and other programs told of it, by its names alone.

use crate::api_server::ApiServer;
use crate::fixture::{HOST, PASSWORD, SUBDOMAIN, TOKEN, USER, answers, api, registry, sandbox, write_kubeconfig};

#[test]
fn the_clusters_registry_is_what_a_login_is_for() {
    let sandbox = sandbox();
    std::fs::create_dir_all(sandbox.home().join(".idpbuilder")).expect("made");
    std::fs::write(sandbox.home().join(".idpbuilder/config.toml"), "credential_store = \"file\"\n").expect("written");
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    // Its certificate is the cluster's too.
    let login = ["idpbuilder-login", "-u", USER, "--password-stdin"];
    let output = sandbox.run_with_input(&login, TOKEN.as_bytes());
    assert!(output.stderr.contains(&format!("Using registry {SUBDOMAIN}:{port} (cluster kind-localdev)")), "{output}");
    let told = output.success();
    assert!(told.starts_with(&format!("Logged in to {SUBDOMAIN}:{port} as {USER} (kept in `")), "{told}");
    sandbox.run_with_input(&login, b"wrong").failure(2);
    let told = sandbox.run(&["idpbuilder-logout"]).success();
    assert_eq!(told, format!("Logged out of {SUBDOMAIN}:{port}\n"));
}

#[test]
fn helpers_are_wired_for_every_name_of_the_cluster() {
    for path_routing in [false, true] {
        let mut sandbox = sandbox();
        let runtime = sandbox.path().join("run");
        sandbox.set("XDG_RUNTIME_DIR", runtime);
        let _api = api(&sandbox, answers(&sandbox, "443", path_routing));
        let words = ["idpbuilder-oci", "install", "--dir", "bin", "--docker", "--podman"];
        sandbox.run(&words).success();
        for file in [".docker/config.json", ".config/containers/auth.json"] {
            let text = std::fs::read_to_string(sandbox.home().join(file)).expect("written");
            let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let helpers = document["credHelpers"].as_object().expect("an object");
            assert_eq!(helpers.len(), 4, "{text}");
            for host in [SUBDOMAIN, HOST] {
                assert_eq!(
                    (&helpers[host], &helpers[&format!("{host}:443")]),
                    (&"idpbuilder".into(), &"idpbuilder".into())
                );
            }
        }
        sandbox.run(&["idpbuilder-oci", "uninstall", "--dir", "bin", "--docker", "--podman"]).success();
        assert!(!sandbox.home().join(".docker").exists() && !sandbox.home().join(".config").exists());
    }
}

#[test]
fn the_password_of_the_secret_counts_where_its_token_is_refused() {
    let sandbox = sandbox();
    let hash = bcrypt::hash(PASSWORD, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("{USER}:{hash}\n"));
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let told = format!(
        "warning: {SUBDOMAIN}:{port} does not accept the token of Secret gitea/gitea-credential; the password there is \
         used instead\n"
    );
    for words in [&["idpbuilder-push", "app:v1"][..], &["idpbuilder-pull", "app:v1", "--store", "pulled"]] {
        let output = sandbox.run(words);
        assert_eq!(output.stderr.matches(&told).count(), 1, "{output}");
        let _ = output.success();
    }
    let doctor = sandbox.run(&["idpbuilder-doctor"]);
    assert!(doctor.stdout.contains("the access token is not accepted, the password beside it is"), "{doctor}");

    // Neither of them.
    sandbox.file("htpasswd", format!("{USER}:{}\n", bcrypt::hash("other", 4).expect("bcrypt")));
    let (_stranger, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let output = sandbox.run(&["idpbuilder-push", "app:v1"]);
    assert_eq!(output.stderr.matches("the password there is used instead").count(), 1, "{output}");
    assert!(output.failure(2).contains("does not accept the credential"));
}

#[test]
fn an_api_server_may_be_its_own_authority() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let api = ApiServer::its_own_authority(answers(&sandbox, &port, false));
    write_kubeconfig(&sandbox, "kind-localdev", &[api.context("kind-localdev")]);
    let output = sandbox.run(&["idpbuilder-push", "app:v1"]);
    assert!(output.stdout.starts_with(&format!("{SUBDOMAIN}:{port}/giteaadmin/app@sha256:")), "{output}");

    // Another one with a certificate like it is none.
    let other = ApiServer::its_own_authority(answers(&sandbox, &port, false));
    let mut context = other.context("kind-localdev");
    context.cluster["certificate-authority-data"] =
        api.context("kind-localdev").cluster["certificate-authority-data"].clone();
    write_kubeconfig(&sandbox, "kind-localdev", &[context]);
    let told = sandbox.run(&["idpbuilder-push", "app:v1"]).failure(3);
    assert!(told.contains("its certificate is not signed by the kubeconfig's authority"), "{told}");
    assert!(other.seen().is_empty());
}

#[test]
fn what_was_asked_for_by_name_is_what_failed() {
    let sandbox = sandbox();
    for (words, expected) in [
        (&["--kubeconfig", "/nope"][..], "error: cannot read `/nope`\n"),
        (&["--kubeconfig", "/dev/null"], "error: the kubeconfig has no current context\n"),
        (&["--context", "nope"], "error: there is no kubeconfig"),
    ] {
        let words: Vec<&str> = ["idpbuilder-push", "app:v1"].into_iter().chain(words.iter().copied()).collect();
        let output = sandbox.run(&words);
        assert!(output.stderr.starts_with(expected), "{output}");
        assert!(!output.stderr.contains("does not say which registry"), "{output}");
    }
    let output = sandbox.run(&["idpbuilder-push", "app:v1"]);
    assert!(output.stderr.starts_with("error: `app:v1` does not say which registry\n"), "{output}");
}

#[test]
fn a_certificate_that_the_cluster_alone_vouches_for_is_kept_before_it_is_given_to_others() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let host = format!("{SUBDOMAIN}:{port}");
    let install = ["idpbuilder-trust", "install", &host, "--podman"];
    let output = sandbox.run(&install);
    let told = format!(
        "hint: only cluster kind-localdev vouches for it; keep its certificate first: idpbuilder-trust add {host} \
         --from-cluster\n"
    );
    assert!(output.stderr.contains(&told), "{output}");
    sandbox.run(&["idpbuilder-trust", "add", &host, "--from-cluster"]).success();
    let _ = sandbox.run(&install).success();
}

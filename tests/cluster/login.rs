//! A login for the cluster's registry, and other programs told of it, by its names alone.

use crate::fixture::{HOST, SUBDOMAIN, TOKEN, USER, answers, api, registry, sandbox};

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

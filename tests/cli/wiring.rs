use std::os::unix::fs::PermissionsExt;

use crate::sandbox::{Output, SECRETS, Sandbox};

/// A sandbox whose runtime directory is its own.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let runtime = sandbox.path().join("run");
    sandbox.set("XDG_RUNTIME_DIR", runtime);
    sandbox
}

fn docker_config(sandbox: &Sandbox, content: &str) {
    let path = sandbox.home().join(".docker/config.json");
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, content).expect("written");
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn snapshot(name: &str, output: &Output) {
    insta::with_settings!({filters => vec![(r"(?m)^  .*/(here|root)/bin/[a-z-]+( -> .*)?\n", "")]}, {
        insta::assert_snapshot!(name, output);
    });
}

fn with_credentials() -> String {
    format!("{{\n\t\"auths\": {{\n\t\t\"reg.example\": {{\n\t\t\t\"auth\": \"{}\"\n\t\t}}\n\t}}\n}}", SECRETS[0])
}

#[test]
fn other_programs_ask_us_and_stop_asking() {
    let sandbox = sandbox();
    let content = with_credentials();
    docker_config(&sandbox, &content);
    let install = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-oci", "install", "--dir", "bin"];
        words.extend(rest);
        sandbox.run(&words)
    };
    let uninstall = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-oci", "uninstall", "--dir", "bin"];
        words.extend(rest);
        sandbox.run(&words)
    };
    let both = ["--docker", "--podman"];
    snapshot("dry_run", &install(&[&both[..], &["--dry-run"]].concat()));
    assert!(!sandbox.home().join(".config").exists() && !sandbox.home().join(".idpbuilder").exists());
    assert_eq!(text(&sandbox, "home/.docker/config.json"), content, "a dry run changes nothing");
    snapshot("install", &install(&both));
    snapshot("again", &install(&both));
    let audit = text(&sandbox, "home/.idpbuilder/audit.jsonl");
    assert_eq!(audit.matches("\"helper-install\"").count(), 4, "{audit}");
    for (file, secret) in [("home/.idpbuilder/wiring.json", SECRETS[0]), ("home/.idpbuilder/audit.jsonl", SECRETS[0])] {
        assert!(!text(&sandbox, file).contains(secret), "{file}");
    }
    snapshot("uninstall_of_links_alone", &uninstall(&["--dry-run"]));
    snapshot("uninstall_dry_run", &uninstall(&[&both[..], &["--dry-run"]].concat()));
    snapshot("uninstall", &uninstall(&both));
    assert_eq!(text(&sandbox, "home/.docker/config.json"), content);
    assert!(!sandbox.home().join(".config").exists());
    snapshot("uninstalled", &uninstall(&both));
}

#[test]
fn registries_are_named_or_their_cluster_is() {
    let sandbox = sandbox();
    let install = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-oci", "install", "--dir", "bin"];
        words.extend(rest);
        sandbox.run(&words)
    };
    snapshot("for_nobody", &install(&["--registry", "reg.example"]));
    snapshot("no_registry", &install(&["--docker", "--registry", "not a host"]));
    snapshot("no_such_cluster", &install(&["--docker", "--context", "kind-other"]));
    assert!(!sandbox.home().join(".docker").exists() && !sandbox.work().join("bin").exists(), "nothing was changed");
    install(&["--docker", "--registry", "https://Reg.Example:5000/", "--registry", "other.example"]).success();
    assert_eq!(
        text(&sandbox, "home/.docker/config.json"),
        "{\n\t\"credHelpers\": {\n\t\t\"reg.example:5000\": \"idpbuilder\",\n\t\t\"other.example\": \"idpbuilder\"\n\t}\n}\n"
    );
}

#[test]
fn files_are_where_the_programs_look() {
    let mut sandbox = sandbox();
    let (docker, runtime) = (sandbox.path().join("docker"), sandbox.path().join("run/containers"));
    sandbox.set("DOCKER_CONFIG", docker);
    sandbox.set("XDG_CONFIG_HOME", sandbox.path().join("xdg"));
    std::fs::create_dir_all(&runtime).expect("made");
    std::fs::write(runtime.join("auth.json"), "{\"auths\":{}}").expect("written");
    let words = ["idpbuilder-oci", "install", "--dir", "bin", "--docker", "--podman", "--registry", "r.example"];
    snapshot("places", &sandbox.run(&words));
    sandbox.set("REGISTRY_AUTH_FILE", "auth.json");
    snapshot("place_of_its_own", &sandbox.run(&words));
    let mode = sandbox.work().join("auth.json").metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What was changed is known without the variables that led there.
    let mut later = sandbox.command(&["idpbuilder-oci", "uninstall", "--dir", "bin", "--docker", "--podman"]);
    for name in ["DOCKER_CONFIG", "XDG_CONFIG_HOME", "REGISTRY_AUTH_FILE"] {
        later.env_remove(name);
    }
    snapshot("places_again", &sandbox.finish(&["idpbuilder-oci", "uninstall", "--docker", "--podman"], later, b""));
    assert_eq!(std::fs::read_to_string(runtime.join("auth.json")).expect("kept"), "{\"auths\":{}}");
    for gone in ["docker", "xdg", "here/auth.json"] {
        assert!(!sandbox.path().join(gone).exists(), "{gone}");
    }
}

#[test]
fn what_cannot_be_done_is_not_begun() {
    let sandbox = sandbox();
    let install = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-oci", "install", "--dir", "bin", "--docker", "--podman"];
        words.extend(rest);
        sandbox.run(&words)
    };
    docker_config(&sandbox, "{\"credHelpers\": {\"cnoe.localtest.me:8443\": \"ecr-login\"}}\n");
    snapshot("foreign", &install(&[]));
    docker_config(&sandbox, &format!("{{\n  \"auths\": {{\"r\": {{\"auth\": \"{}\"}},}}\n}}", SECRETS[0]));
    snapshot("not_json", &install(&["--force"]));
    assert!(!sandbox.work().join("bin").exists() && !sandbox.home().join(".config").exists());
    docker_config(&sandbox, "{\"credHelpers\": {\"cnoe.localtest.me:8443\": \"ecr-login\"}}\n");
    snapshot("forced", &install(&["--force", "--dry-run"]));
}

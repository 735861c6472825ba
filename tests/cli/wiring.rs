use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

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

/// `docker login` as docker writes it: the file is read, and a new one is renamed into place.
fn log_in(config: &std::path::Path, number: usize) {
    let text = std::fs::read(config).expect("there");
    let mut value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    value["auths"][format!("r{number}.example")] = serde_json::json!({"auth": "eDp5"});
    let new = config.with_file_name(format!("config.json{number}"));
    std::fs::write(&new, value.to_string()).expect("written");
    std::fs::rename(&new, config).expect("renamed");
}

#[test]
fn a_login_at_the_same_time_is_not_lost() {
    let sandbox = sandbox();
    docker_config(&sandbox, r#"{"auths":{}}"#);
    let config = sandbox.home().join(".docker/config.json");
    let words = |verb| ["idpbuilder-oci", verb, "--dir", "bin", "--docker"];
    let (mut number, mut during) = (0, 0);
    while during < 24 {
        for verb in ["install", "uninstall"] {
            let mut child =
                sandbox.command(&words(verb)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
            let status = loop {
                log_in(&config, number);
                number += 1;
                during += 1;
                if let Some(status) = child.try_wait().expect("waited for") {
                    break status;
                }
            };
            // It may give up against a program that never stops writing; it says so then.
            assert!(matches!(status.code(), Some(0 | 1)), "{status}");
        }
    }
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).expect("there")).expect("JSON");
    let auths = value["auths"].as_object().expect("logins");
    let lost: Vec<usize> = (0..number).filter(|number| !auths.contains_key(&format!("r{number}.example"))).collect();
    assert_eq!(lost, Vec::<usize>::new(), "of {number}");
    let names = std::fs::read_dir(config.parent().expect("a directory")).expect("listed").count();
    assert_eq!(names, 1, "no temporary file stays");
    let _ = sandbox.run(&words("install")).success();
    assert!(text(&sandbox, "home/.docker/config.json").contains("credHelpers"));
}

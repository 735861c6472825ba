//! Settings of an image as they are typed: variables, labels, owners, times, signals, health checks; and the dash.

use serde_json::{Value, json};

use crate::sandbox::{Output, Sandbox};

const BUILD: [&str; 6] = ["idpbuilder-build", "app", "-t", "app:v1", "-q", "--no-cache"];

fn build(sandbox: &Sandbox, words: &[&str]) -> Output {
    sandbox.run(&[&BUILD, words].concat())
}

fn config(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.run(&["idpbuilder-inspect", name, "--config"]).success();
    serde_json::from_str::<Value>(&text).expect("JSON")["config"].take()
}

#[test]
fn settings_that_cannot_be_are_mistakes() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    let mistakes: Vec<String> = [
        &["--label", "a"][..],
        &["--annotation", "a"],
        &["--chown", "4294967295"],
        &["--copy", "app:/x,chown=0:4294967295"],
        &["--stop-signal", "SIGNOPE"],
        &["--healthcheck-cmd", "x", "--healthcheck-interval", "30"],
        &["--healthcheck-cmd", "x", "--health-timeout=1us"],
        &["--health-cmd", "x", "--health-retries", "-1"],
        &["--health-cmd", "none", "--health-timeout", "3s"],
        &["--health-timeout", "3s"],
    ]
    .iter()
    .map(|words| {
        let output = build(&sandbox, words);
        assert_eq!(output.code, Some(64), "{output}");
        output.to_string()
    })
    .collect();
    insta::assert_snapshot!("mistakes", mistakes.join("\n"));
    assert!(sandbox.run(&["idpbuilder-list", "-q"]).success().is_empty(), "nothing was built");
}

#[test]
fn what_is_said_is_in_the_configuration() {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    sandbox.set("HERE", "a b");
    sandbox.set("EMPTY", "");
    let check = ["--health-cmd", "curl -f /", "--health-interval", "1m30s", "--health-timeout", "0.5s"];
    let more = ["--health-start-period", "2s", "--health-start-interval", "500ms", "--health-retries", "4"];
    let words = ["--env", "HERE", "--env", "EMPTY", "--env", "UNSET", "--label", "a=", "--stop-signal", "sigrtmin+3"];
    build(&sandbox, &[&check[..], &more, &words].concat()).success();
    let expected = json!({
        "Env": ["HERE=a b", "EMPTY="],
        "Healthcheck": {
            "Test": ["CMD-SHELL", "curl -f /"],
            "Interval": 90_000_000_000_i64,
            "Timeout": 500_000_000,
            "StartPeriod": 2_000_000_000_i64,
            "StartInterval": 500_000_000,
            "Retries": 4,
        },
        "Labels": {"a": ""},
        "StopSignal": "SIGRTMIN+3",
    });
    assert_eq!(config(&sandbox, "app:v1"), expected);
    // A setting alone goes over the base's check; no check takes it away.
    let on = |name: &str, words: &[&str]| {
        let start = ["idpbuilder-build", "--from", "app:v1", "-t", name, "-q"];
        sandbox.run(&[&start, words].concat()).success();
        config(&sandbox, name)["Healthcheck"].clone()
    };
    let slower = on("slower:1", &["--health-interval", "5m"]);
    assert_eq!((&slower["Interval"], &slower["Retries"]), (&json!(300_000_000_000_i64), &json!(4)));
    assert_eq!(slower["Test"], json!(["CMD-SHELL", "curl -f /"]));
    assert_eq!(on("none:1", &["--no-healthcheck"]), json!({"Test": ["NONE"]}));
}

#[test]
fn the_last_second_of_9999_can_be_built() {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    sandbox.set("SOURCE_DATE_EPOCH", "253402300799");
    build(&sandbox, &[]).success();
    let text = sandbox.run(&["idpbuilder-inspect", "app:v1", "--config"]).success();
    assert!(text.contains("\"created\":\"9999-12-31T23:59:59Z\""), "{text}");
    sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]).success();
    sandbox.run(&["idpbuilder-build", "--from", "app:v1", "app", "-t", "app:v2", "-q"]).success();
    sandbox.set("SOURCE_DATE_EPOCH", "253402300800");
    assert_eq!(build(&sandbox, &[]).code, Some(64));
}

#[test]
fn a_dash_is_the_standard_stream() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    build(&sandbox, &[]).success();
    for format in ["docker-archive", "oci-archive"] {
        let archive = sandbox.run(&["idpbuilder-save", "app:v1", "--format", format, "-o", "-"]);
        assert_eq!(archive.code, Some(0), "{archive}");
        assert!(archive.raw.len() > 1024);
        let words = ["idpbuilder-load", "-i", "-", "--store", format];
        let loaded = sandbox.run_with_input(&words, &archive.raw).success();
        assert_eq!(loaded, "Loaded image: app:v1\n");
        assert!(!sandbox.work().join("-").exists());
    }
}

#[test]
fn an_id_that_fits_several_images_removes_them_all_by_force() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    build(&sandbox, &[]).success();
    sandbox.run(&["idpbuilder-tag", "app:v1", "app:v2"]).success();
    // Another compression: another manifest of the same configuration.
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:zstd", "-q", "--compression", "zstd"]).success();
    let ids = sandbox.run(&["idpbuilder-list", "-q", "--no-trunc"]).success();
    let id = ids.lines().next().expect("an id");
    assert_eq!(ids.lines().count(), 1, "{ids}");
    insta::assert_snapshot!("rm_id_of_two", sandbox.run(&["idpbuilder-rm", id]));
    insta::assert_snapshot!("rm_id_of_two_forced", sandbox.run(&["idpbuilder-rm", "-f", id]));
    assert!(sandbox.run(&["idpbuilder-list", "-q"]).success().is_empty());
}

#[test]
fn an_ignore_file_that_leads_nowhere_is_a_mistake() {
    let sandbox = Sandbox::new();
    sandbox.file("app/secret", "x");
    std::os::unix::fs::symlink("../shared/.dockerignore", sandbox.work().join("app/.dockerignore")).expect("a link");
    insta::assert_snapshot!("dangling_ignore_file", build(&sandbox, &[]));
    assert_ne!(build(&sandbox, &["--copy", "app:/x"]).code, Some(0));
    assert_ne!(sandbox.run(&["idpbuilder-build", "app", "--list-context"]).code, Some(0));
}

//! One sweep for secrets: every way to give one, with a marker in its place, through every command that takes it. The
//! marker is nowhere but where it is listed here: in what the person wrote, in the file of credentials (0600), on the
//! helper's standard output, and in requests to the registry that it is for.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api_server::{Answers, ApiServer, CREDENTIAL, LOCALBUILDS, kubeconfig, localbuild, secret};
use crate::sandbox::{Output, Sandbox};
use crate::scripted::{Reply, Request, Scripted};

/// Part of every secret of this suite.
const MARKER: &str = "zq9marker4secret";
/// The user's name, which is no secret.
const USER: &str = "demo";

/// The forms in which the marker can be met.
fn forms() -> [String; 4] {
    let pair = format!("{USER}:{MARKER}");
    [MARKER.to_owned(), STANDARD.encode(&pair), STANDARD.encode(MARKER), format!("{MARKER}-issued")]
}

/// How a secret is given.
#[derive(Default)]
struct Way {
    name: &'static str,
    flags: Vec<String>,
    variables: Vec<(&'static str, String)>,
    input: String,
    /// Files below the home directory.
    files: Vec<(&'static str, String)>,
    /// Whether the cluster has it.
    cluster: bool,
}

fn auths(host: &str, entry: &serde_json::Value) -> String {
    serde_json::json!({ "auths": { host: entry } }).to_string()
}

fn ways(host: &str, sandbox: &Sandbox) -> Vec<Way> {
    let pair = serde_json::json!({ "auth": STANDARD.encode(format!("{USER}:{MARKER}")) });
    let identity = serde_json::json!({ "auth": STANDARD.encode(format!("{USER}:")), "identitytoken": MARKER });
    let token = serde_json::json!({ "registrytoken": MARKER });
    let flags = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let helper = serde_json::json!({ "credHelpers": { host: "recording" } }).to_string();
    let own = sandbox.home().join("given.json").display().to_string();
    let mut ways = vec![
        Way { name: "-u -p", flags: flags(&["-u", USER, "-p", MARKER]), ..Way::default() },
        Way { name: "--creds", flags: flags(&["--creds", &format!("{USER}:{MARKER}")]), ..Way::default() },
        Way {
            name: "--password-stdin",
            flags: flags(&["-u", USER, "--password-stdin"]),
            input: format!("{MARKER}\n"),
            ..Way::default()
        },
        Way {
            name: "--authfile",
            flags: flags(&["--authfile", &own]),
            files: vec![("given.json", auths(host, &pair))],
            ..Way::default()
        },
        Way {
            name: "REGISTRY_AUTH_FILE",
            variables: vec![("REGISTRY_AUTH_FILE", own.clone())],
            files: vec![("given.json", auths(host, &identity))],
            ..Way::default()
        },
        Way { name: "docker's file", files: vec![(".docker/config.json", auths(host, &pair))], ..Way::default() },
        Way {
            name: "containers' file",
            files: vec![(".config/containers/auth.json", auths(host, &pair))],
            ..Way::default()
        },
        Way {
            name: "a helper",
            // Of another registry's secret the helper learns nothing either.
            variables: vec![("GITEA_TOKEN", MARKER.to_owned())],
            files: vec![(".docker/config.json", helper)],
            ..Way::default()
        },
        Way { name: "the cluster's Secret", cluster: true, ..Way::default() },
    ];
    for (name, password) in [
        ("IDPBUILDER_REGISTRY_USER", "IDPBUILDER_REGISTRY_PASSWORD"),
        ("IDPBUILDER_REGISTRY_USERNAME", "IDPBUILDER_REGISTRY_TOKEN"),
        ("GITEA_USERNAME", "GITEA_PASSWORD"),
        ("GITEA_USERNAME", "GITEA_TOKEN"),
        ("REGISTRY_USERNAME", "REGISTRY_PASSWORD"),
    ] {
        let variables =
            vec![(name, USER.to_owned()), (password, MARKER.to_owned()), ("IDPBUILDER_REGISTRY", host.to_owned())];
        ways.push(Way { name: password, variables, ..Way::default() });
    }
    for entry in [&pair, &identity, &token] {
        let variables = vec![("DOCKER_AUTH_CONFIG", auths(host, entry))];
        ways.push(Way { name: "DOCKER_AUTH_CONFIG", variables, ..Way::default() });
    }
    ways
}

/// A registry with a token service, which says back what it was shown in every refusal.
fn registry() -> Scripted {
    Scripted::start(|request: &Request| {
        let shown = request.header("authorization").unwrap_or_default().to_owned();
        let host = request.header("host").unwrap_or_default();
        let realm = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
        let body = |text: String| text.into_bytes();
        match request.path() {
            "/token" => {
                let answer = serde_json::json!({
                    "token": format!("{MARKER}-issued"), "refresh_token": format!("{MARKER}-issued"),
                });
                Reply::Answer(200, Vec::new(), body(answer.to_string()))
            }
            _ if shown.is_empty() => Reply::Answer(401, vec![("WWW-Authenticate", realm)], Vec::new()),
            _ => {
                let error =
                    serde_json::json!({ "errors": [{ "code": "DENIED", "message": format!("not with {shown}") }] });
                Reply::Answer(403, vec![("X-Shown", shown.clone())], body(error.to_string()))
            }
        }
    })
}

/// Files below `directory`, but not those that the person wrote.
fn files(directory: &Path, given: &[PathBuf], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("listed") {
        let path = entry.expect("an entry").path();
        let kind = std::fs::symlink_metadata(&path).expect("there").file_type();
        if kind.is_dir() {
            files(&path, given, found);
        } else if kind.is_file() && !given.contains(&path) {
            found.push(path);
        }
    }
}

#[track_caller]
fn sweep(sandbox: &Sandbox, way: &str, given: &[PathBuf], output: &Output) {
    for form in forms() {
        let told = output.stdout.contains(&form) || output.stderr.contains(&form);
        assert!(!told, "{way}: the secret is told as {form}\n{output}");
        let mut all = Vec::new();
        files(sandbox.path(), given, &mut all);
        for path in all {
            let bytes = std::fs::read(&path).expect("read");
            let has = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!has, "{way}: `{}` holds the secret as {form}\n{output}", path.display());
        }
    }
}

#[test]
fn a_secret_is_nowhere_but_where_it_belongs() {
    let registry = registry();
    let host = registry.host();
    let image = format!("{host}/team/app:v1");
    let pushed = format!("--push={image}");
    let commands: [&[&str]; 6] = [
        &["idpbuilder-push", "app:v1", &image, "--plain-http", "--trace", "trace.jsonl", "-v"],
        &["idpbuilder-push", "app:v1", &image, "--plain-http", "--trace", "trace.jsonl", "-v", "--progress", "json"],
        &["idpbuilder-pull", &image, "--plain-http", "--trace", "trace.jsonl", "-v"],
        &["idpbuilder-build", "app", "-t", "app:v2", &pushed, "--plain-http", "--trace", "trace.jsonl", "-v"],
        &["idpbuilder-build", "app", "-t", "app:v2", "--from", &image, "--pull", "--plain-http", "-v"],
        &["idpbuilder-doctor", &image, "--plain-http", "-v"],
    ];
    for number in 0..ways(&host, &Sandbox::new()).len() {
        let before = registry.seen().len();
        let mut sandbox = Sandbox::new();
        let way = ways(&host, &sandbox).remove(number);
        sandbox.file("app/file", "content");
        sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
        let temporary = sandbox.path().join("tmp");
        std::fs::create_dir(&temporary).expect("made");
        sandbox.set("TMPDIR", &temporary);
        // The secret has to come from somewhere; the record of its argv and environment must not have it.
        let programs = sandbox.path().join("programs");
        std::fs::create_dir(&programs).expect("made");
        let helper = programs.join("docker-credential-recording");
        let record = sandbox.path().join("helper.log");
        let script = format!(
            "#!/bin/sh\ncat > /dev/null\n{{ env; echo \"$@\"; tr '\\0' ' ' < /proc/$PPID/cmdline; }} >> {}\n\
             printf '{{\"Username\":\"{USER}\",\"Secret\":\"{MARKER}\"}}'\n",
            record.display()
        );
        std::fs::write(&helper, script).expect("written");
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("executable");
        sandbox.set("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        let mut given = vec![helper];
        for (name, content) in &way.files {
            let path = sandbox.home().join(name);
            std::fs::create_dir_all(path.parent().expect("below")).expect("made");
            std::fs::write(&path, content).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
            given.push(path);
        }
        for (name, value) in &way.variables {
            sandbox.set(name, value);
        }
        let api = way.cluster.then(|| {
            let answers = [
                (LOCALBUILDS.to_owned(), (200, localbuild("1", false))),
                (CREDENTIAL.to_owned(), (200, secret(&[("username", USER), ("password", MARKER), ("token", MARKER)]))),
            ];
            let api = ApiServer::start(Answers::from(answers));
            let config = kubeconfig("kind-localdev", &[api.context("kind-localdev")]);
            sandbox.file("kubeconfig", config);
            sandbox.set("KUBECONFIG", sandbox.work().join("kubeconfig"));
            api
        });
        for words in commands {
            let mut words: Vec<&str> = words.to_vec();
            if way.cluster {
                words.retain(|word| *word != image && *word != "--plain-http");
            }
            words.extend(way.flags.iter().map(String::as_str));
            if words[0] != "idpbuilder-doctor" {
                words.extend(["--retry", "0"]);
            }
            let output = sandbox.run_with_input(&words, way.input.as_bytes());
            assert_ne!(output.code, Some(70), "{output}");
            sweep(&sandbox, way.name, &given, &output);
        }
        // It was really in use: the registry was shown it, or the API server asked for it.
        let asked = api.map_or_else(
            || {
                let shown = |request: &Request| request.header("authorization").is_some() || request.method == "POST";
                registry.seen()[before..].iter().any(shown)
            },
            |api| api.seen().iter().any(|path| path == CREDENTIAL),
        );
        assert!(asked, "{}: nobody asked for the secret", way.name);
        let had_helper = way.name == "a helper";
        assert_eq!(std::fs::metadata(&record).is_ok(), had_helper, "{}", way.name);
    }
}

#[test]
fn a_login_is_kept_in_the_file_of_credentials_alone() {
    let sandbox = Sandbox::new();
    let server = Scripted::start(|request: &Request| match request.header("authorization") {
        None => Reply::Answer(401, vec![("WWW-Authenticate", "Basic realm=\"r\"".to_owned())], Vec::new()),
        Some(_) => Reply::Answer(200, Vec::new(), b"{}".to_vec()),
    });
    let host = server.host();
    let kept = sandbox.home().join(".idpbuilder/credentials.json");
    let settings = sandbox.home().join(".idpbuilder");
    std::fs::create_dir_all(&settings).expect("made");
    std::fs::write(settings.join("config.toml"), "credential_store = \"file\"\n").expect("written");
    let login = ["idpbuilder-login", &host, "--plain-http", "-u", USER, "--password-stdin"];
    let output = sandbox.run_with_input(&login, format!("{MARKER}\n").as_bytes());
    sweep(&sandbox, "login", std::slice::from_ref(&kept), &output);
    let _ = output.success();
    assert_eq!(std::fs::metadata(&kept).expect("kept").permissions().mode() & 0o777, 0o600);
    // The protocol of helpers has the secret on standard output, and nowhere else.
    let got = sandbox.run_with_input(&["docker-credential-idpbuilder", "get"], host.as_bytes());
    assert!(got.stdout.contains(MARKER) && !got.stderr.contains(MARKER), "the helper's answer");
    let listed = sandbox.run_with_input(&["docker-credential-idpbuilder", "list"], b"");
    sweep(&sandbox, "list", std::slice::from_ref(&kept), &listed);
    let output = sandbox.run(&["idpbuilder-logout", &host]);
    sweep(&sandbox, "logout", &[], &output);
    let _ = output.success();
}

//! Which registry is shown which secret, for every way to give one.

use base64::Engine as _;

use crate::sandbox::{Output, SECRETS, Sandbox};
use crate::scripted::{Reply, Scripted};

/// A registry that wants a login, accepts none, and keeps what it was shown.
fn registry() -> Scripted {
    Scripted::start(|_| Reply::Answer(401, vec![("WWW-Authenticate", "Basic realm=\"r\"".to_owned())], Vec::new()))
}

/// The credentials that a registry was shown, as `user:password`, each once.
fn shown(registry: &Scripted) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for request in registry.seen() {
        let Some(value) = request.header("authorization") else { continue };
        let encoded = value.strip_prefix("Basic ").expect("Basic");
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
        let text = String::from_utf8(decoded).expect("text");
        if !shown.contains(&text) {
            shown.push(text);
        }
    }
    shown
}

fn sandbox(variables: &[(&str, &str)]) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    for (name, value) in variables {
        sandbox.set(name, *value);
    }
    sandbox
}

fn run(sandbox: &Sandbox, words: &[&str], registries: &[&str]) -> Output {
    let mut line: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    for (name, address) in ["BASE", "DEST", "LAST"].iter().zip(registries) {
        for word in &mut line {
            *word = word.replace(name, address);
        }
    }
    line.extend(["--plain-http", "--retry", "0", "-v"].map(str::to_owned));
    sandbox.run(&line.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Flags, and variables.
type Way = (&'static [&'static str], &'static [(&'static str, &'static str)]);

const SECRET: &str = SECRETS[0];
const OTHER: &str = SECRETS[1];
const BUILD: &[&str] =
    &["idpbuilder-build", "app", "-t", "app:v2", "--from", "BASE/a:t", "--pull", "--push=DEST/team/app:v1"];
const BUILD_ALONE: &[&str] = &["idpbuilder-build", "app", "-t", "app:v2", "--from", "BASE/a:t", "--pull"];
const PUSH: &[&str] = &["idpbuilder-push", "app:v1", "DEST/team/app:v1"];
const PULL: &[&str] = &["idpbuilder-pull", "DEST/team/app:v1"];

/// Every way to give a secret without an address: flags, and variables.
const WAYS: [Way; 5] = [
    (&["--creds", "u:correct-horse-battery"], &[]),
    (&["-u", "u", "-p", SECRET], &[]),
    (&[], &[("IDPBUILDER_REGISTRY_USERNAME", "u"), ("IDPBUILDER_REGISTRY_PASSWORD", SECRET)]),
    (&[], &[("IDPBUILDER_REGISTRY_USER", "u"), ("IDPBUILDER_REGISTRY_TOKEN", SECRET)]),
    (&[], &[("REGISTRY_USERNAME", "u"), ("REGISTRY_PASSWORD", SECRET)]),
];

#[test]
fn flags_and_variables_are_for_the_destination() {
    let credential = format!("u:{SECRET}");
    for (flags, variables) in WAYS {
        let sandbox = sandbox(variables);
        let (base, destination) = (registry(), registry());
        let hosts = [base.host(), destination.host()];
        let hosts = [hosts[0].as_str(), hosts[1].as_str()];
        let output = run(&sandbox, &[BUILD, flags].concat(), &hosts);
        assert_eq!(output.code, Some(2), "{output}");
        assert_eq!(shown(&base), Vec::<String>::new(), "a base beside a push: {flags:?} {variables:?}");
        let name = if flags.is_empty() { "the environment" } else { "the command line" };
        let withheld = format!("is not for {} and is not sent there", base.host());
        assert!(output.stderr.contains(name) && output.stderr.contains(&withheld), "{output}");
        assert!(output.stderr.contains(&format!("no credential for {}", base.host())), "{output}");

        let _ = run(&sandbox, &[BUILD_ALONE, flags].concat(), &hosts);
        assert_eq!(shown(&base), std::slice::from_ref(&credential), "a base alone: {flags:?} {variables:?}");
        for words in [PUSH, PULL] {
            let destination = registry();
            let _ = run(&sandbox, &[words, flags].concat(), &[hosts[0], &destination.host()]);
            assert_eq!(shown(&destination), std::slice::from_ref(&credential), "{words:?} {flags:?} {variables:?}");
        }
        let doctor = registry();
        let host = doctor.host();
        let _ = sandbox.run(&[&["idpbuilder-doctor", &host, "--plain-http"][..], flags].concat());
        assert_eq!(shown(&doctor), std::slice::from_ref(&credential), "doctor: {flags:?} {variables:?}");
    }
}

#[test]
fn a_base_at_the_destination_is_the_destination() {
    for (flags, variables) in WAYS {
        let sandbox = sandbox(variables);
        let both = registry();
        let port = both.host().rsplit(':').next().expect("a port").to_owned();
        let words = [BUILD, flags].concat();
        // Another spelling of the same registry.
        let _ = run(&sandbox, &words, &[&format!("LOCALHOST:{port}"), &format!("localhost:{port}")]);
        assert_eq!(shown(&both), [format!("u:{SECRET}")], "{flags:?} {variables:?}");
    }
}

#[test]
fn several_destinations_do_not_share_a_secret() {
    let words = [PUSH, &["LAST/team/app:v1"]].concat();
    for (flags, variables) in WAYS {
        let sandbox = sandbox(variables);
        let (first, last) = (registry(), registry());
        let (first_host, last_host) = (first.host(), last.host());
        let output = run(&sandbox, &[&words, flags].concat(), &["-", &first_host, &last_host]);
        if flags.is_empty() {
            assert_eq!(shown(&first), [format!("u:{SECRET}")], "{variables:?}");
            let told = format!("is not for {last_host} and is not sent there");
            assert!(output.stderr.contains(&told), "{output}");
        } else {
            assert_eq!(output.code, Some(64), "{output}");
            assert!(output.stderr.contains("one credential was given for 2 registries"), "{output}");
            assert!(first.seen().is_empty() && last.seen().is_empty(), "nothing was asked");
        }
        assert_eq!(shown(&last), Vec::<String>::new(), "{flags:?} {variables:?}");
        let two = format!("--push={last_host}/team/app:v1");
        let _ = run(&sandbox, &[BUILD, &[&two], flags].concat(), &[&last_host, &first_host]);
        assert_eq!(shown(&last), Vec::<String>::new(), "--push twice: {flags:?} {variables:?}");
    }
}

#[test]
fn giteas_variables_are_for_the_default_registry() {
    for variables in [
        vec![("GITEA_TOKEN", SECRET)],
        vec![("GITEA_USERNAME", "token"), ("GITEA_PASSWORD", SECRET)],
        vec![("GITEA_USERNAME", "token"), ("GITEA_TOKEN", SECRET), ("GITEA_PASSWORD", OTHER)],
    ] {
        let mut sandbox = sandbox(&variables);
        let (base, destination) = (registry(), registry());
        let hosts = [base.host(), destination.host()];
        let hosts = [hosts[0].as_str(), hosts[1].as_str()];
        for words in [BUILD, BUILD_ALONE, PUSH, PULL] {
            let output = run(&sandbox, words, &hosts);
            assert_eq!(output.code, Some(2), "{output}");
        }
        let _ = sandbox.run(&["idpbuilder-doctor", hosts[1], "--plain-http"]);
        let nothing: Vec<String> = Vec::new();
        assert_eq!((shown(&base), shown(&destination)), (nothing.clone(), nothing.clone()), "{variables:?}");

        sandbox.set("IDPBUILDER_REGISTRY", destination.host());
        let expected = [format!("token:{SECRET}")];
        let _ = run(&sandbox, BUILD, &hosts);
        assert_eq!(shown(&base), nothing, "{variables:?}");
        for words in [PUSH, PULL] {
            let _ = run(&sandbox, words, &hosts);
            assert_eq!(shown(&destination), expected, "{words:?} {variables:?}");
        }
        // A base at the default registry is still at the default registry.
        sandbox.set("IDPBUILDER_REGISTRY", base.host());
        let _ = run(&sandbox, BUILD, &hosts);
        assert_eq!(shown(&base), expected, "{variables:?}");
    }
}

#[test]
fn a_set_of_variables_that_is_withheld_does_not_hide_the_next() {
    let sandbox = sandbox(&[("GITEA_USERNAME", "half"), ("REGISTRY_USERNAME", "u"), ("REGISTRY_PASSWORD", SECRET)]);
    let destination = registry();
    let _ = run(&sandbox, PUSH, &["-", &destination.host()]);
    assert_eq!(shown(&destination), [format!("u:{SECRET}")]);
}

#[test]
fn credentials_for_bases_are_for_bases() {
    let named: &[_] = &[("IDPBUILDER_FROM_PASSWORD", OTHER)];
    let whole: &[_] = &[("IDPBUILDER_FROM_USERNAME", "b"), ("IDPBUILDER_FROM_TOKEN", OTHER)];
    let ways: [Way; 3] =
        [(&["--from-creds", "b:s3cr3t-t0k3n-f0r-t3sts"], &[]), (&["--from-creds", "b"], named), (&[], whole)];
    for (flags, variables) in ways {
        let mut sandbox = sandbox(variables);
        sandbox.set("REGISTRY_USERNAME", "u");
        sandbox.set("REGISTRY_PASSWORD", SECRET);
        let expected = [format!("b:{OTHER}")];
        for words in [BUILD, BUILD_ALONE] {
            let base = registry();
            let _ = run(&sandbox, &[words, flags].concat(), &[&base.host(), "127.0.0.1:1"]);
            assert_eq!(shown(&base), expected, "{words:?} {flags:?} {variables:?}");
        }
        let destination = registry();
        if flags.is_empty() {
            let _ = run(&sandbox, PUSH, &["-", &destination.host()]);
            assert_eq!(shown(&destination), [format!("u:{SECRET}")], "{variables:?}");
        }
    }
    let sandbox = sandbox(&[]);
    for flag in ["--from-creds=", "--from-creds=:x", "--from-creds=b:", "--from-creds=b"] {
        let output = run(&sandbox, &[BUILD_ALONE, &[flag]].concat(), &["127.0.0.1:1"]);
        assert_eq!(output.code, Some(64), "{output}");
    }
}

#[test]
fn a_password_on_standard_input_is_read_once() {
    let sandbox = sandbox(&[]);
    let both = registry();
    let host = both.host();
    let (from, push) = (format!("{host}/a:t"), format!("--push={host}/team/app:v1"));
    let words = ["idpbuilder-build", "app", "-t", "app:v2", "--from", &from, "--pull", &push];
    let flags = ["-u", "u", "--password-stdin", "--plain-http", "--retry", "0"];
    let output = sandbox.run_with_input(&[&words[..], &flags].concat(), format!("{SECRET}\n").as_bytes());
    assert_eq!((output.code, shown(&both)), (Some(2), vec![format!("u:{SECRET}")]), "{output}");
}

#[test]
fn the_credential_helper_does_not_answer_from_variables() {
    let mut sandbox = sandbox(&[("GITEA_TOKEN", SECRET), ("REGISTRY_USERNAME", "u"), ("REGISTRY_PASSWORD", SECRET)]);
    sandbox.set("IDPBUILDER_REGISTRY", "registry.example:5000");
    for server in
        ["other.example", "https://index.docker.io/v1/", "registry.example:5000", "gitea.cnoe.localtest.me:8443"]
    {
        let output = sandbox.run_with_input(&["docker-credential-idpbuilder", "get"], server.as_bytes());
        assert_eq!(output.stdout, "credentials not found in native keychain\n", "{output}");
    }
}

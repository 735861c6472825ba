use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::sandbox::{Output, SECRETS, Sandbox, executable};
use crate::server::Server;
use crate::terminal::Terminal;

const USER: &str = "giteaAdmin";
const PASSWORD: &str = SECRETS[0];

fn snapshot(name: &str, output: &Output, address: &str) {
    let port = address.rsplit(':').next().expect("a port");
    let patterns = [(address.replace('.', "\\."), "[REGISTRY]"), (port.to_owned(), "[PORT]")];
    let mut filters: Vec<(&str, &str)> = patterns.iter().map(|(text, name)| (text.as_str(), *name)).collect();
    filters.push((r"no keyring answers here \(.*\)", "no keyring answers here ([REASON])"));
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(name, output) });
}

/// A registry that asks for a login, and a sandbox whose keyring is a file.
fn with_registry() -> (Sandbox, Server) {
    let mut sandbox = Sandbox::new();
    let hash = bcrypt::hash(PASSWORD, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("{USER}:{hash}\n"));
    let server = Server::start(&sandbox, &["--tls", "--tls-cert-out", "ca.pem", "--htpasswd", "htpasswd"]);
    sandbox.run(&["idpbuilder-trust", "add", &server.address, "ca.pem"]).success();
    settings(&sandbox, "credential_store = \"file\"\n");
    sandbox.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/no-bus", sandbox.path().display()));
    (sandbox, server)
}

fn settings(sandbox: &Sandbox, text: &str) {
    std::fs::write(sandbox.home().join(".idpbuilder/config.toml"), text).expect("written");
}

fn kept(sandbox: &Sandbox) -> serde_json::Value {
    let path = sandbox.home().join(".idpbuilder/credentials.json");
    match std::fs::read(&path) {
        Ok(bytes) => {
            assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
            serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON")["entries"].take()
        }
        Err(_) => serde_json::json!({}),
    }
}

#[test]
fn a_login_is_checked_kept_and_forgotten() {
    let (sandbox, server) = with_registry();
    let address = server.address.as_str();
    let login = |input: &str, rest: &[&str]| {
        let mut words = vec!["idpbuilder-login"];
        words.extend(rest);
        sandbox.run_with_input(&words, input.as_bytes())
    };
    let given = [address, "-u", USER, "--password-stdin"];
    snapshot("wrong_password", &login("wrong\n", &given), address);
    snapshot("no_terminal", &login("", &[address]), address);
    snapshot("no_terminal_for_the_password", &login("", &[address, "-u", USER]), address);
    snapshot("no_host", &login(PASSWORD, &["-u", USER, "--password-stdin"]), address);
    snapshot("not_a_host", &login(PASSWORD, &["not a host", "-u", USER, "--password-stdin"]), address);
    snapshot("nobody_there", &login(PASSWORD, &["127.0.0.1:1", "-u", USER, "--password-stdin"]), "nowhere:65536");
    assert_eq!(kept(&sandbox), serde_json::json!({}), "nothing that was not accepted is kept");

    snapshot("logged_in", &login(&format!("{PASSWORD}\n"), &given), address);
    let entries = kept(&sandbox);
    assert_eq!((&entries[address]["username"], entries.as_object().map(serde_json::Map::len)), (&USER.into(), Some(1)));
    snapshot("wrong_password_later", &login("wrong\n", &given), address);
    assert_eq!(kept(&sandbox), entries, "the one before is kept");
    settings(&sandbox, &format!("credential_store = \"file\"\ndefault_registry = \"{address}\"\n"));
    snapshot("default_registry", &login(PASSWORD, &["--creds", &format!("{USER}:x")]), address);
    snapshot("logged_out_of_the_default", &sandbox.run(&["idpbuilder-logout"]), address);
    assert_eq!(kept(&sandbox), serde_json::json!({}));
    snapshot("logged_out_before", &sandbox.run(&["idpbuilder-logout", address]), address);

    let audit = std::fs::read_to_string(sandbox.home().join(".idpbuilder/audit.jsonl")).expect("written");
    let events = ["\"event\":\"login\"", "\"event\":\"logout\""].map(|event| audit.matches(event).count());
    assert_eq!(events, [1, 1], "{audit}");
    assert!(!audit.contains(PASSWORD));
}

#[test]
fn a_login_that_another_source_goes_before_is_said_to_be_unused() {
    let (mut sandbox, server) = with_registry();
    let address = server.address.clone();
    let login = ["idpbuilder-login", &address, "-u", USER, "--password-stdin"];
    let output = sandbox.run_with_input(&login, PASSWORD.as_bytes());
    assert!(!output.stderr.contains("will not be used"), "{output}");
    let config = sandbox.home().join(".docker/config.json");
    std::fs::create_dir_all(config.parent().expect("a folder")).expect("made");
    let entry = serde_json::json!({"username": "other", "password": "x"});
    std::fs::write(&config, serde_json::json!({"auths": {address.clone(): entry}}).to_string()).expect("written");
    let output = sandbox.run_with_input(&login, PASSWORD.as_bytes());
    let told = "warning: this login will not be used: `[SANDBOX]/home/.docker/config.json` has another credential, which \
                goes before the stored one; remove it there if the stored one is meant";
    assert!(output.stderr.contains(told), "{output}");
    let _ = output.success();
    let doctor = sandbox.run(&["idpbuilder-doctor", &address]);
    assert!(doctor.stdout.contains("goes before the stored one"), "{doctor}");

    // Docker and Podman that ask our helper lead to the stored one.
    let helpers = serde_json::json!({"credHelpers": {address.clone(): "idpbuilder"}});
    std::fs::write(&config, helpers.to_string()).expect("written");
    let output = sandbox.run_with_input(&login, PASSWORD.as_bytes());
    assert!(!output.stderr.contains("will not be used"), "{output}");
    sandbox.set("IDPBUILDER_REGISTRY_USERNAME", "other");
    sandbox.set("IDPBUILDER_REGISTRY_PASSWORD", "x");
    let output = sandbox.run_with_input(&login, PASSWORD.as_bytes());
    assert!(output.stderr.contains("unset the variables"), "{output}");
}

#[test]
fn logins_are_forgotten_all_at_once() {
    let (sandbox, server) = with_registry();
    let port = server.address.rsplit(':').next().expect("a port");
    let other = format!("localhost:{port}");
    for host in [&server.address, &other] {
        let words = ["idpbuilder-login", host, "-u", USER, "--password-stdin", "--ca-file", "ca.pem"];
        sandbox.run_with_input(&words, PASSWORD.as_bytes()).success();
    }
    assert_eq!(kept(&sandbox).as_object().map(serde_json::Map::len), Some(2));
    snapshot("all", &sandbox.run(&["idpbuilder-logout", "--all"]), &server.address);
    assert_eq!(kept(&sandbox), serde_json::json!({}));
    snapshot("none_left", &sandbox.run(&["idpbuilder-logout", "--all"]), &server.address);
}

#[test]
fn without_a_keyring_a_file_is_warned_of_or_refused() {
    let (sandbox, server) = with_registry();
    let words = ["idpbuilder-login", &server.address, "-u", USER, "--password-stdin"];
    settings(&sandbox, "");
    snapshot("kept_in_a_file", &sandbox.run_with_input(&words, PASSWORD.as_bytes()), &server.address);
    sandbox.run(&["idpbuilder-logout", "--all"]).success();
    settings(&sandbox, "credential_store = \"keyring\"\n");
    snapshot("keyring_or_nowhere", &sandbox.run_with_input(&words, PASSWORD.as_bytes()), &server.address);
    assert_eq!(kept(&sandbox), serde_json::json!({}));
}

#[test]
fn a_registry_that_asks_nobody_cannot_say_whether_a_login_is_good() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    std::fs::create_dir_all(sandbox.home().join(".idpbuilder")).expect("made");
    settings(&sandbox, "credential_store = \"file\"\n");
    let words = ["idpbuilder-login", &server.address, "-u", USER, "--password-stdin", "--plain-http"];
    snapshot("not_asked", &sandbox.run_with_input(&words, PASSWORD.as_bytes()), &server.address);
}

/// A login on a terminal that is its own session's: there, Ctrl-C is a signal.
fn on_a_terminal(sandbox: &Sandbox, words: &[&str]) -> Terminal {
    let prepared = sandbox.command(&["idpbuilder-oci"]);
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(executable()).arg("login").args(words);
    command.env_clear().envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(sandbox.work());
    Terminal::start(command)
}

#[test]
fn a_terminal_is_asked_and_shows_no_password() {
    let (sandbox, server) = with_registry();
    let mut terminal = on_a_terminal(&sandbox, &[&server.address]);
    terminal.wait_for(&format!("User name for {}: ", server.address));
    assert!(terminal.echoes());
    terminal.write(&format!("{USER}\n"));
    terminal.wait_for(&format!("Password or token of {USER}: "));
    assert!(!terminal.echoes());
    terminal.write(&format!("{PASSWORD}\n"));
    terminal.wait_for(&format!("Logged in to {} as {USER}", server.address));
    assert!(terminal.echoes());
    let (status, shown) = terminal.end();
    assert!(status.success() && !shown.contains(PASSWORD), "{status} {shown}");
    assert_eq!(kept(&sandbox)[&server.address]["username"], USER);
}

#[test]
fn ctrl_c_at_a_question_leaves_the_terminal_as_it_was() {
    let (sandbox, server) = with_registry();
    let mut terminal = on_a_terminal(&sandbox, &[&server.address, "-u", USER]);
    terminal.wait_for("Password or token");
    terminal.write("half a pass");
    terminal.write("\u{3}");
    terminal.wait_for("interrupted");
    assert!(terminal.echoes());
    let (status, shown) = terminal.end();
    assert!(status.code() == Some(130) && !shown.contains("half a pass"), "{status} {shown}");
    // Nothing typed is no password.
    let mut terminal = on_a_terminal(&sandbox, &[&server.address, "-u", USER]);
    terminal.wait_for("Password or token");
    terminal.write("\u{4}");
    terminal.wait_for("no password was typed");
    assert!(terminal.echoes());
    assert_eq!(terminal.end().0.code(), Some(64));
    assert_eq!(kept(&sandbox), serde_json::json!({}));
}

/// Waits until the process is in a state, or echoes or not: there is no event for either.
#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_question_that_is_stopped_or_ended_leaves_the_terminal_as_it_was() {
    use rustix::process::Signal;
    let (sandbox, server) = with_registry();
    let start = || {
        let terminal = Terminal::start(sandbox.command(&["idpbuilder-login", &server.address, "-u", USER]));
        terminal.wait_for("Password or token of giteaAdmin: ");
        wait_until("hidden", || !terminal.echoes());
        terminal
    };
    let mut terminal = start();
    for _ in 0..2 {
        // What Ctrl-Z sends. The shell prompt that follows shows what is typed.
        terminal.signal(Signal::TSTP);
        wait_until("shown while stopped", || terminal.echoes());
        wait_until("stopped", || terminal.is_stopped());
        terminal.signal(Signal::CONT);
        wait_until("hidden again", || !terminal.echoes());
    }
    // Stopped from outside, the shell may have set the terminal to anything.
    terminal.signal(Signal::STOP);
    wait_until("stopped", || terminal.is_stopped());
    terminal.echo();
    terminal.signal(Signal::CONT);
    wait_until("hidden again", || !terminal.echoes());
    terminal.write(&format!(
        "{PASSWORD}
"
    ));
    let (status, shown) = terminal.end();
    assert!(status.success() && !shown.contains(PASSWORD), "{shown}");
    for signal in [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP] {
        let terminal = start();
        terminal.signal(signal);
        wait_until("shown at the end", || terminal.echoes());
        let (status, _) = terminal.end();
        assert!(!status.success(), "{signal:?}");
    }
}

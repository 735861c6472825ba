use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::sandbox::{Output, SECRETS, Sandbox, executable};
use crate::server::Server;

const USER: &str = "giteaAdmin";
const PASSWORD: &str = SECRETS[0];
/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

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

/// A terminal of our own with the executable on it.
struct Terminal {
    keyboard: File,
    /// The other side; whatever the executable did to the terminal can be asked here.
    device: File,
    seen: Arc<Mutex<Vec<u8>>>,
    child: std::process::Child,
}

impl Terminal {
    fn run(sandbox: &Sandbox, words: &[&str]) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).expect("granted");
        unlockpt(&keyboard).expect("unlocked");
        let name = ptsname(&keyboard, Vec::new()).expect("a name").into_bytes();
        let flags = i32::try_from(OFlags::NOCTTY.bits()).expect("a flag");
        let device = File::options()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(std::ffi::OsString::from_vec(name))
            .expect("opened");
        let side = || Stdio::from(device.try_clone().expect("cloned"));
        let mut command = Command::new("setsid");
        // A session of its own on that terminal: then Ctrl-C is a signal.
        command.args(["--ctty", "--wait"]).arg(executable()).args(words);
        let prepared = sandbox.command(&["idpbuilder-oci"]);
        command.env_clear().envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(sandbox.work()).stdin(side()).stdout(side()).stderr(side());
        let child = command.spawn().expect("setsid runs");
        let keyboard = File::from(keyboard);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, writing) = (keyboard.try_clone().expect("cloned"), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut part = [0; 1024];
            while let Ok(count @ 1..) = screen.read(&mut part) {
                writing.lock().expect("unpoisoned").extend_from_slice(&part[..count]);
            }
        });
        Self { keyboard, device, seen, child }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("unpoisoned")).into_owned()
    }

    fn shows(&self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.screen().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} never came: {}", self.screen());
            std::thread::yield_now();
        }
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("typed");
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.device).expect("a terminal").local_modes.contains(LocalModes::ECHO)
    }

    fn ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.screen());
            std::thread::yield_now();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_terminal_is_asked_and_shows_no_password() {
    let (sandbox, server) = with_registry();
    let mut terminal = Terminal::run(&sandbox, &["login", &server.address]);
    terminal.shows(&format!("User name for {}: ", server.address));
    assert!(terminal.echoes());
    terminal.type_in(&format!("{USER}\n"));
    terminal.shows(&format!("Password or token of {USER}: "));
    assert!(!terminal.echoes());
    terminal.type_in(&format!("{PASSWORD}\n"));
    let status = terminal.ends();
    terminal.shows(&format!("Logged in to {} as {USER}", server.address));
    let screen = terminal.screen();
    assert!(status.success() && terminal.echoes(), "{status} {screen}");
    assert!(!screen.contains(PASSWORD), "{screen}");
    assert_eq!(kept(&sandbox)[&server.address]["username"], USER);
}

#[test]
fn ctrl_c_at_a_question_leaves_the_terminal_as_it_was() {
    let (sandbox, server) = with_registry();
    let mut terminal = Terminal::run(&sandbox, &["login", &server.address, "-u", USER]);
    terminal.shows("Password or token");
    terminal.type_in("half a pass");
    terminal.type_in("\u{3}");
    let status = terminal.ends();
    terminal.shows("interrupted");
    let screen = terminal.screen();
    assert_eq!(status.code(), Some(130), "{screen}");
    assert!(terminal.echoes() && !screen.contains("half a pass"), "{screen}");
    // Nothing typed is no password.
    let mut terminal = Terminal::run(&sandbox, &["login", &server.address, "-u", USER]);
    terminal.shows("Password or token");
    terminal.type_in("\u{4}");
    assert_eq!(terminal.ends().code(), Some(64));
    assert!(terminal.echoes());
    assert_eq!(kept(&sandbox), serde_json::json!({}));
}

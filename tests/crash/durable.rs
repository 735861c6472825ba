//! What commands have written lasts: the order of the system calls of the real executable, by strace.

use std::path::PathBuf;
use std::process::Stdio;

use crate::process::noise;
use crate::sandbox::Sandbox;
use crate::trace::{Expected, broken, traced};
use crate::transfers::Serve;

/// A sandbox with an image `app:v1` of several layers in its store, an archive of it, and a context for another.
fn scene() -> Sandbox {
    let mut sandbox = Sandbox::new();
    for number in 0..12 {
        sandbox.file(&format!("app/{number}"), noise(number, 300_000));
        sandbox.file(&format!("new/{number}"), noise(number + 50, 300_000));
    }
    let _ = sandbox.run(&["idpbuilder-build", "app", "-q", "-t", "app:v1", "--layers", "4"]).success();
    let _ = sandbox.run(&["idpbuilder-save", "app:v1", "-q", "-o", "app.tar"]).success();
    sandbox.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/no-bus", sandbox.path().display()));
    std::fs::write(sandbox.home().join(".idpbuilder/config.toml"), "credential_store = \"file\"\n").expect("written");
    sandbox
}

/// Runs a command under strace; answers the promises that it breaks.
#[track_caller]
fn run(sandbox: &Sandbox, line: &str, input: &str, code: i32, expected: Expected) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let log = sandbox.path().join("trace");
    let audit = sandbox.home().join(".idpbuilder/audit.jsonl");
    let new: Vec<PathBuf> = if audit.exists() { vec![] } else { vec![audit] };
    let output = sandbox.finish(&words, traced(sandbox, &words, &log), input.as_bytes());
    assert_eq!(output.code, Some(code), "{output}");
    let trace = std::fs::read_to_string(&log).expect("strace has written it");
    assert!(trace.contains("+++ exited with"), "strace saw the end");
    broken(&trace, &new, expected)
}

#[test]
fn what_a_command_has_written_lasts() {
    let sandbox = scene();
    let server = Serve::start(&sandbox, "served");
    let image = server.image();
    let _ = sandbox.run(&["idpbuilder-push", "app:v1", &image, "--plain-http", "-q"]).success();
    let certificate = rcgen::generate_simple_self_signed(["h.example".to_owned()]).expect("a certificate");
    sandbox.file("ca.pem", certificate.cert.pem());
    let audited = Expected { audited: true };
    let pull = format!("idpbuilder-pull {image} --plain-http -q --store pulled");
    let login = format!("idpbuilder-login {} --plain-http -u somebody --password-stdin", server.address);
    let logout = format!("idpbuilder-logout {}", server.address);
    for (line, input, code, expected) in [
        ("idpbuilder-build new -q -t new:v1 --layers 4", "", 0, Expected::default()),
        ("idpbuilder-build new -q -t new:v2 --layers 4 --no-cache --store other", "", 0, Expected::default()),
        ("idpbuilder-tag new:v1 second:v1", "", 0, Expected::default()),
        ("idpbuilder-index create both:v1 new:v1", "", 0, Expected::default()),
        ("idpbuilder-load -q -i app.tar --store loaded", "", 0, Expected::default()),
        (&pull, "", 0, Expected::default()),
        ("idpbuilder-rm -f new:v1 second:v1 both:v1 --prune", "", 0, Expected::default()),
        ("idpbuilder-pull --insecure 127.0.0.1:1/a/b:v1 -q", "", 3, audited),
        ("idpbuilder-trust add h.example ca.pem", "", 0, audited),
        ("idpbuilder-trust remove h.example", "", 0, audited),
        (&login, "password", 0, audited),
        (&logout, "", 0, audited),
    ] {
        assert_eq!(run(&sandbox, line, input, code, expected), Vec::<String>::new(), "{line}");
    }
    server.stop(rustix::process::Signal::TERM);
}

#[test]
fn the_first_line_of_the_audit_log_lasts_with_the_name_of_the_log() {
    let sandbox = Sandbox::new();
    let line = "idpbuilder-pull --insecure 127.0.0.1:1/a/b:v1 -q";
    assert_eq!(run(&sandbox, line, "", 3, Expected { audited: true }), Vec::<String>::new());
}

#[test]
fn what_a_server_has_accepted_lasts() {
    let sandbox = scene();
    let log = sandbox.path().join("trace");
    let words = ["idpbuilder-serve", "--listen", "127.0.0.1:0", "--quiet", "--store", "served"];
    let mut command = traced(&sandbox, &words, &log);
    command.stdin(Stdio::null());
    let mut process = crate::process::Process::start(command);
    let line = process.line("Serving on http://").expect("it starts");
    let address = line.rsplit('/').next().expect("an address");
    let image = format!("{address}/team/app:v1");
    let _ = sandbox.run(&["idpbuilder-push", "app:v1", &image, "--plain-http", "-q"]).success();
    // strace passes the signal's effect on: the server is its child.
    let trace = std::fs::read_to_string(&log).expect("written");
    let server =
        trace.split_whitespace().next().and_then(|id| id.parse().ok()).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(server.expect("its id"), rustix::process::Signal::TERM).expect("it may be told");
    let (status, text) = process.end();
    assert_eq!(status.code(), Some(0), "{text}");
    let trace = std::fs::read_to_string(&log).expect("written");
    assert_eq!(broken(&trace, &[], Expected::default()), Vec::<String>::new());
}

//! `docker-credential-idpbuilder` as Docker and the others call it: one verb, standard input, both streams, exit code.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;

use crate::sandbox::{Output, SECRETS, Sandbox};

const HELPER: &str = "docker-credential-idpbuilder";
const NOT_FOUND: &str = "credentials not found in native keychain\n";
const PASSWORD: &str = SECRETS[0];

/// Runs a verb; what goes to standard error never holds a secret.
fn ask(sandbox: &Sandbox, verb: &[&str], input: &[u8]) -> Output {
    let words: Vec<&str> = std::iter::once(HELPER).chain(verb.iter().copied()).collect();
    let output = assert_cmd::Command::from_std(sandbox.command(&words)).write_stdin(input).output().expect("it runs");
    let stderr = sandbox.neutral(&output.stderr);
    assert!(!SECRETS.iter().any(|secret| stderr.contains(secret)), "{stderr}");
    Output {
        line: words.join(" "),
        code: output.status.code(),
        stdout: sandbox.neutral(&output.stdout),
        stderr,
        raw: output.stdout,
    }
}

/// A sandbox that keeps credentials in the file, and says so.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    settings(&sandbox, "credential_store = \"file\"\n");
    sandbox
}

fn settings(sandbox: &Sandbox, text: &str) {
    let home = sandbox.home().join(".idpbuilder");
    std::fs::create_dir_all(&home).expect("a directory");
    std::fs::write(home.join("config.toml"), text).expect("written");
}

fn credential(server: &str, username: &str, secret: &str) -> Vec<u8> {
    serde_json::json!({"ServerURL": server, "Username": username, "Secret": secret}).to_string().into_bytes()
}

#[test]
fn every_verb_keeps_the_protocol() {
    let huge = vec![b'a'; 2 << 20];
    let mut text = String::new();
    for (what, verb, input) in [
        ("an address nobody knows", &["get"][..], &b"r.example:5000"[..]),
        ("nothing", &["get"], b""),
        ("white space", &["get"], b" \r\n\t"),
        ("no address", &["get"], b"not an address"),
        ("a namespace", &["get"], b"r.example/team"),
        ("NUL bytes", &["get"], b"r.example\0\0"),
        ("no UTF-8", &["get"], b"\xff\xfe"),
        ("2 MiB", &["get"], &huge),
        ("nothing", &["store"], b""),
        ("no JSON", &["store"], b"r.example"),
        ("other JSON", &["store"], b"[1,2]"),
        ("no server", &["store"], br#"{"ServerURL":"","Username":"u","Secret":"s"}"#),
        ("no user", &["store"], br#"{"ServerURL":"r.example","Username":"","Secret":"s"}"#),
        ("fields of another type", &["store"], br#"{"ServerURL":"r.example","Username":"u","Secret":5}"#),
        ("no address", &["store"], br#"{"ServerURL":"r example","Username":"u","Secret":"s"}"#),
        ("NUL bytes", &["store"], b"{\"ServerURL\":\"r\0\",\"Username\":\"u\"}"),
        ("no UTF-8", &["store"], b"{\"ServerURL\":\"\xff\"}"),
        ("2 MiB", &["store"], &huge),
        ("an address nobody knows", &["erase"], b"r.example"),
        ("nothing", &["erase"], b""),
        ("no UTF-8", &["erase"], b"\xff\xfe\0"),
        ("2 MiB", &["erase"], &huge),
        ("what docker sends", &["list"], b"unused"),
        ("nothing", &["list"], b""),
        ("2 MiB", &["list"], &huge),
        ("nothing", &["version"], b""),
        ("nothing", &["--version"], b""),
        ("nothing", &["-v"], b""),
        ("nothing", &["--help"], b""),
        ("nothing", &["-h"], b""),
        ("nothing", &[], b""),
        ("nothing", &["get", "r.example"], b""),
        ("nothing", &["GET"], b""),
        ("nothing", &["--verbose\u{1b}[31m"], b""),
    ] {
        let sandbox = sandbox();
        let output = ask(&sandbox, verb, input);
        writeln!(text, "{output}stdin\n  {what}\n").expect("a string takes everything");
    }
    insta::assert_snapshot!(
        "protocol",
        text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]").replace('\u{1b}', "[ESC]")
    );
}

#[test]
fn what_is_stored_is_given_back_for_every_spelling_until_it_is_erased() {
    let sandbox = sandbox();
    assert_eq!(
        ask(&sandbox, &["store"], &credential("https://R.example:8443/v2/", "giteaAdmin", PASSWORD)).success(),
        ""
    );
    for spelling in [
        "r.example:8443",
        "R.EXAMPLE:8443\n",
        "https://r.example:8443",
        "https://r.example:8443/v2/",
        "r.example:8443/",
    ] {
        let answer: serde_json::Value =
            serde_json::from_str(&ask(&sandbox, &["get"], spelling.as_bytes()).success()).expect("JSON");
        let expected = serde_json::json!({"ServerURL": spelling.trim(), "Username": "giteaAdmin", "Secret": PASSWORD});
        assert_eq!(answer, expected);
    }
    let output = ask(&sandbox, &["get"], b"r.example:8443");
    assert_eq!(output.stderr, "");
    assert!(output.stdout.starts_with("{\"ServerURL\":") && output.stdout.lines().count() == 1, "one line");
    for other in ["r.example", "r.example:5000", "x.r.example:8443", "http://r.example"] {
        let output = ask(&sandbox, &["get"], other.as_bytes());
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(1), NOT_FOUND, ""), "{other}");
    }
    let listed = ask(&sandbox, &["list"], b"unused").success();
    assert_eq!(listed, "{\"https://R.example:8443/v2/\":\"giteaAdmin\"}\n");

    let audit = std::fs::read_to_string(sandbox.home().join(".idpbuilder/audit.jsonl")).expect("there");
    assert_eq!(audit.lines().count(), 6, "one line for each credential given out: {audit}");
    let last: serde_json::Value = serde_json::from_str(audit.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["event"], &last["host"]), (&"credential".into(), &"r.example:8443".into()));
    assert_eq!((&last["command"], &last["source"]), (&"credential".into(), &"the stored credentials".into()));
    assert!(!audit.contains(PASSWORD));

    assert_eq!(ask(&sandbox, &["erase"], b"r.example:8443").success(), "");
    assert_eq!(ask(&sandbox, &["get"], b"r.example:8443").stdout, NOT_FOUND);
    assert_eq!(ask(&sandbox, &["erase"], b"r.example:8443").success(), "");
    let kept = std::fs::read_to_string(sandbox.home().join(".idpbuilder/credentials.json")).expect("there");
    assert!(!kept.contains(PASSWORD), "{kept}");
}

#[test]
fn identity_tokens_keep_their_mark() {
    let sandbox = sandbox();
    let _ = ask(&sandbox, &["store"], &credential("r.example", "<token>", PASSWORD)).success();
    let answer = ask(&sandbox, &["get"], b"r.example").success();
    assert_eq!(answer, format!("{{\"ServerURL\":\"r.example\",\"Username\":\"<token>\",\"Secret\":\"{PASSWORD}\"}}\n"));
    assert_eq!(ask(&sandbox, &["list"], b"").success(), "{\"r.example\":\"<token>\"}\n");
}

#[test]
fn without_a_keyring_a_private_file_keeps_it_with_one_warning() {
    let sandbox = Sandbox::new();
    let output = ask(&sandbox, &["store"], &credential("r.example", "u", PASSWORD));
    insta::with_settings!({filters => [(r"\(zbus error.*\); the", "([REASON]); the")]}, {
        insta::assert_snapshot!("stored_in_a_file", output);
    });
    let path = sandbox.home().join(".idpbuilder/credentials.json");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let given = ask(&sandbox, &["get"], b"r.example");
    assert_eq!(given.stderr, "", "no keyring is asked for what is in the file");
    assert!(given.success().contains("\"Username\":\"u\""));
    let erased = ask(&sandbox, &["erase"], b"r.example");
    assert_eq!((erased.stderr.as_str(), erased.code), ("", Some(0)));

    settings(&sandbox, "credential_store = \"keyring\"\n");
    let refused = ask(&sandbox, &["store"], &credential("r.example", "u", PASSWORD));
    assert!(refused.stdout.starts_with("no keyring answers here"), "{refused}");
    assert!(refused.stderr.contains("credential_store = \"file\""), "{refused}");
    assert_eq!(refused.code, Some(1));
    assert!(!std::fs::read_to_string(&path).expect("there").contains(PASSWORD));
}

#[test]
fn trouble_of_ours_is_not_found_for_callers_and_told_to_people() {
    let sandbox = sandbox();
    let _ = ask(&sandbox, &["store"], &credential("r.example", "u", PASSWORD)).success();
    let path = sandbox.home().join(".idpbuilder/credentials.json");
    std::fs::write(&path, format!("{{{PASSWORD}")).expect("written");
    let told =
        |output: &Output| output.stderr.contains("credentials.json` is damaged") && output.stderr.contains("hint: ");
    let get = ask(&sandbox, &["get"], b"r.example");
    assert_eq!((get.code, get.stdout.as_str(), told(&get)), (Some(1), NOT_FOUND, true), "{get}");
    let list = ask(&sandbox, &["list"], b"");
    assert_eq!((list.code, list.stdout.as_str(), told(&list)), (Some(0), "{}\n", true), "{list}");
    let erase = ask(&sandbox, &["erase"], b"r.example");
    assert_eq!((erase.code, erase.stdout.as_str(), told(&erase)), (Some(0), "", true), "{erase}");
    let store = ask(&sandbox, &["store"], &credential("r.example", "u", PASSWORD));
    assert_eq!((store.code, told(&store)), (Some(1), true), "{store}");

    settings(&sandbox, "stroe = 1\n");
    for (verb, code, stdout) in [("get", 1, NOT_FOUND), ("list", 0, "{}\n"), ("erase", 0, "")] {
        let output = ask(&sandbox, &[verb], b"r.example");
        assert_eq!((output.code, output.stdout.as_str()), (Some(code), stdout), "{output}");
        assert!(output.stderr.contains("config.toml"), "{output}");
    }
}

/// Bytes that look random and are the same in every run (xorshift).
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("small")
    }

    /// An input: nothing but chance, or something valid with changes.
    fn input(&mut self) -> Vec<u8> {
        let seeds: [&[u8]; 4] = [
            b"https://r.example:8443/v2/",
            br#"{"ServerURL":"https://r.example","Username":"u","Secret":"s"}"#,
            br#"{"ServerURL":"[::1]:1","Username":"<token>","Secret":"\u0000"}"#,
            b"unused",
        ];
        let mut bytes = match self.below(5) {
            0 => (0..self.below(200)).map(|_| self.next().to_le_bytes()[0]).collect(),
            seed => seeds[seed - 1].to_vec(),
        };
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(3) {
                0 => bytes.insert(at, self.next().to_le_bytes()[0]),
                1 => bytes.truncate(at),
                _ => bytes.extend_from_slice(&seeds[self.below(4)].repeat(self.below(3))),
            }
        }
        bytes
    }
}

#[test]
fn no_input_brings_a_verb_out_of_the_protocol() {
    let sandbox = sandbox();
    let mut bytes = Bytes(0x1d0b_111d_e40c_1f05);
    for round in 0..120 {
        for verb in ["get", "store", "erase", "list", "version"] {
            let input = bytes.input();
            let output = ask(&sandbox, &[verb], &input);
            let shown = || format!("round {round}: {:?}\n{output}", String::from_utf8_lossy(&input));
            let text = output.stdout.as_str();
            let kept = match (verb, output.code) {
                ("get", Some(0)) => {
                    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|answer| answer["Secret"].is_string())
                }
                ("get", Some(1)) => [NOT_FOUND, "no credentials server URL\n"].contains(&text),
                ("store" | "erase", Some(0)) => text.is_empty(),
                ("store", Some(1)) => text.lines().count() == 1,
                ("list", Some(0)) => serde_json::from_str::<std::collections::BTreeMap<String, String>>(text).is_ok(),
                ("version", Some(0)) => true,
                _ => false,
            };
            assert!(kept, "{}", shown());
            assert_eq!(output.stderr, "", "{}", shown());
        }
    }
}

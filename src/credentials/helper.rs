//! Runs credential helpers: the `get` of Docker's credential helper protocol.

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Answer, Credential, CredentialError, SECRET_VARIABLES, Secret};
use crate::children::{self, Answered, NoAnswer};
use crate::progress::Interrupt;
use crate::text::plain;

/// The name of our own helper, which is never run: its sources are asked in this process.
pub const OWN_HELPER: &str = "idpbuilder";

/// The most bytes of an answer that are read.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long a helper may take. Some helpers ask the user.
pub const HELPER_LIMIT: Duration = Duration::from_secs(30);

/// How helpers run: their environment, their time limit, and the interrupt that ends a wait.
#[derive(Clone)]
pub struct Helpers {
    variables: Vec<(OsString, OsString)>,
    patience: Duration,
    interrupt: Interrupt,
}

impl Default for Helpers {
    fn default() -> Self {
        Self::new([])
    }
}

impl Helpers {
    /// Returns helpers that inherit these variables, except those with secrets ([`SECRET_VARIABLES`]).
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let inherited = |(name, _): &(OsString, OsString)| !SECRET_VARIABLES.iter().any(|secret| name == secret);
        let variables = variables.into_iter().filter(inherited).collect();
        Self { variables, patience: HELPER_LIMIT, interrupt: Interrupt::default() }
    }

    /// Returns the helpers with an interrupt that ends a wait.
    #[must_use]
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Returns the helpers with `patience` as the limit on each run.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// Shows only the variables' names; their values may be secrets.
impl std::fmt::Debug for Helpers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

/// Asks `docker-credential-HELPER` for the credential of `server`.
pub(super) fn ask(helper: &str, server: &str, helpers: &Helpers) -> Answer {
    let program = format!("docker-credential-{helper}");
    match run(&program, server, helpers) {
        Ok(answered) => interpret(program, &answered),
        Err(error) => Answer::Failed(error),
    }
}

/// Returns whether `name` can follow `docker-credential-` in a program's name.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

fn run(program: &str, server: &str, helpers: &Helpers) -> Result<Answered, CredentialError> {
    let name = || program.to_owned();
    let started = Instant::now();
    let over = || {
        if helpers.interrupt.requested() {
            return Some(CredentialError::HelperInterrupted { program: name() });
        }
        let waited = helpers.patience;
        (started.elapsed() >= waited).then(|| CredentialError::HelperDeadline { program: name(), waited })
    };
    let mut command = Command::new(program);
    command.arg("get").env_clear().envs(helpers.variables.iter().cloned());
    children::answer(&mut command, server.as_bytes(), MAX_ANSWER_BYTES, over).map_err(|none| match none {
        NoAnswer::Start(source) | NoAnswer::Read(source) => CredentialError::HelperStart { program: name(), source },
        NoAnswer::TooLong => CredentialError::HelperAnswer { program: name() },
        NoAnswer::Over(error) => error,
    })
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// The protocol's own words for "none", on standard output.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// The user name that marks a secret as an identity token.
const TOKEN_USERNAME: &str = "<token>";

/// The most characters of a helper's own reason that are kept.
const MAX_REASON: usize = 200;

/// Returns the first line of a failed helper's output: of standard output, where the protocol puts the reason, or else
/// of standard error. Text that may be a credential is left out.
fn reason(answered: &Answered) -> Option<String> {
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?.to_owned();
        (!line.starts_with(['{', '[', '"'])).then(|| plain(&line, MAX_REASON))
    };
    line(&answered.output).or_else(|| line(&answered.complaint))
}

fn interpret(program: String, answered: &Answered) -> Answer {
    let (status, output) = (answered.status, answered.output.as_slice());
    if !status.success() {
        return match std::str::from_utf8(output) {
            Ok(text) if text.trim() == NOT_FOUND => Answer::NotFound,
            _ => {
                let reason = reason(answered);
                Answer::Failed(CredentialError::HelperFailed { program, status: status.code(), reason })
            }
        };
    }
    let Ok(Output { username, secret }) = serde_json::from_slice(output) else {
        return Answer::Failed(CredentialError::HelperAnswer { program });
    };
    let secret = Secret::new(secret);
    if username == TOKEN_USERNAME {
        Answer::Found(Credential::IdentityToken { username: String::new(), token: secret })
    } else if username.is_empty() && secret.expose().is_empty() {
        Answer::NotFound
    } else {
        Answer::Found(Credential::Basic { username, secret })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::Stdio;

    use super::*;

    /// Puts `docker-credential-NAME` with a shell script's body into `directory`. Another process
    /// writes it: a file this one has open for writing cannot be run while a sibling test forks.
    pub(in crate::credentials) fn script(directory: &Path, name: &str, body: &str) {
        let path = directory.join(format!("docker-credential-{name}"));
        let mut writer = Command::new("sh")
            .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut stdin = writer.stdin.take().expect("a pipe");
        stdin.write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).expect("written");
        drop(stdin);
        assert!(writer.wait().expect("ended").success());
    }

    /// An environment in which programs of `directory` are found before those of the system.
    pub(in crate::credentials) fn helpers(directory: &Path) -> Helpers {
        Helpers::new([("PATH".into(), format!("{}:/usr/bin:/bin", directory.display()).into())])
    }

    fn answer(body: &str, patience: Duration) -> Answer {
        let dir = tempfile::tempdir().expect("a directory");
        script(dir.path(), "fake", body);
        ask("fake", "r.example:5000", &helpers(dir.path()).with_patience(patience))
    }

    #[test]
    fn a_helper_is_asked_as_the_protocol_says() {
        let body = r#"[ "$1" = get ] && printf '{"ServerURL":"x","Username":"u","Secret":"%s"}' "$(cat)""#;
        let Answer::Found(Credential::Basic { username, secret }) = answer(body, HELPER_LIMIT) else { panic!("found") };
        assert_eq!((username.as_str(), secret.expose()), ("u", "r.example:5000"));
        let token = answer(r#"echo '{"Username":"<token>","Secret":"t"}'"#, HELPER_LIMIT);
        let Answer::Found(Credential::IdentityToken { token, .. }) = token else { panic!("{token:?}") };
        assert_eq!(token.expose(), "t");
    }

    #[test]
    fn none_is_told_from_failure() {
        assert!(matches!(answer(&format!("echo '{NOT_FOUND}'; exit 1"), HELPER_LIMIT), Answer::NotFound));
        assert!(matches!(answer(r#"echo '{"Username":"","Secret":""}'"#, HELPER_LIMIT), Answer::NotFound));
        let secret = r#"echo '{"Secret":"hunter2"}'; echo '{"Secret":"hunter2"}' >&2; exit 7"#;
        let Answer::Failed(error) = answer(secret, HELPER_LIMIT) else { panic!("failed") };
        assert!(matches!(error, CredentialError::HelperFailed { status: Some(7), reason: None, .. }), "{error:?}");
        let Answer::Failed(malformed) = answer("echo '{\"Secret\":\"hunter2\"}'", HELPER_LIMIT) else {
            panic!("failed")
        };
        assert!(matches!(malformed, CredentialError::HelperAnswer { .. }), "{malformed:?}");
        for error in [error, malformed] {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let absent = ask("absent", "r", &helpers(Path::new("/nowhere")));
        assert!(matches!(absent, Answer::Failed(CredentialError::HelperStart { .. })), "{absent:?}");
    }

    #[test]
    fn a_helpers_own_reason_is_its_first_line() {
        let long = "x".repeat(MAX_REASON + 100);
        for (body, expected) in [
            ("echo 'not logged in'; echo more; exit 1", Some("not logged in")),
            ("echo; echo '  the agent is locked'; exit 1", Some("the agent is locked")),
            ("echo 'no project is set' >&2; echo more >&2; exit 1", Some("no project is set")),
            ("echo out; echo err >&2; exit 1", Some("out")),
            ("printf 'bell\\007 \\033[31mred'; exit 1", Some("bell [31mred")),
            ("exit 1", None),
        ] {
            let Answer::Failed(CredentialError::HelperFailed { reason, .. }) = answer(body, HELPER_LIMIT) else {
                panic!("failed: {body}")
            };
            let reason = reason.map(|reason| reason.replace('\u{fffd}', ""));
            assert_eq!(reason.as_deref(), expected, "{body}");
        }
        let Answer::Failed(error) = answer(&format!("echo {long}; exit 1"), HELPER_LIMIT) else { panic!("failed") };
        assert!(error.to_string().len() < MAX_REASON + 100, "{error}");
    }

    #[test]
    fn a_helper_cannot_hold_us_up_or_flood_us() {
        let moment = Duration::from_millis(50);
        let silent = answer("exec sleep 600", moment);
        assert!(matches!(silent, Answer::Failed(CredentialError::HelperDeadline { .. })), "{silent:?}");
        let lingering = answer("exec >&-; exec sleep 600", moment);
        assert!(matches!(lingering, Answer::Failed(CredentialError::HelperDeadline { .. })), "{lingering:?}");
        let lingering = answer("sleep 600 2>&2 >&- & echo gone; exit 1", HELPER_LIMIT);
        assert!(matches!(lingering, Answer::Failed(CredentialError::HelperFailed { .. })), "{lingering:?}");
        let loud = answer("yes 2>/dev/null | head -c 1000000 >&2; echo why; exit 1", HELPER_LIMIT);
        assert!(matches!(loud, Answer::Failed(CredentialError::HelperFailed { .. })), "{loud:?}");
        let endless = answer("exec yes", HELPER_LIMIT);
        assert!(matches!(endless, Answer::Failed(CredentialError::HelperAnswer { .. })), "{endless:?}");
    }

    #[test]
    fn the_wait_for_a_helper_can_be_interrupted() {
        let dir = tempfile::tempdir().expect("a directory");
        let started = dir.path().join("started");
        script(dir.path(), "fake", &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", started.display()));
        let interrupt = Interrupt::default();
        let stopped = std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask("fake", "r", &helpers(dir.path()).with_interrupt(interrupt.clone())));
            let begun = Instant::now();
            while !started.exists() && begun.elapsed() < HELPER_LIMIT {
                std::thread::yield_now();
            }
            interrupt.request();
            asked.join().expect("answered")
        });
        assert!(matches!(stopped, Answer::Failed(CredentialError::HelperInterrupted { .. })), "{stopped:?}");
        let process = std::fs::read_to_string(&started).expect("it was started");
        assert!(!Path::new("/proc").join(process.trim()).exists(), "it was ended");
    }

    #[test]
    fn a_helper_inherits_everything_but_our_secrets() {
        let dir = tempfile::tempdir().expect("a directory");
        script(
            dir.path(),
            "fake",
            r#"printf '{"Username":"u","Secret":"%s"}' "$(env | cut -d= -f1 | sort | tr '\n' ' ')""#,
        );
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let ours = SECRET_VARIABLES.iter().map(|name| (*name, "hunter2"));
        let variables =
            [("PATH", path.as_str()), ("HOME", "/home/hunter2"), ("AWS_PROFILE", "p")].into_iter().chain(ours);
        let inherited = Helpers::new(variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(format!("{inherited:?}"), r#"["PATH", "HOME", "AWS_PROFILE"]"#);
        let Answer::Found(Credential::Basic { secret, .. }) = ask("fake", "r", &inherited) else { panic!("found") };
        // The shell itself adds `PWD`, and some shells `OLDPWD`, `SHLVL` and `_`.
        let own = ["PWD", "OLDPWD", "SHLVL", "_"];
        let names: Vec<_> = secret.expose().split_whitespace().filter(|name| !own.contains(name)).collect();
        assert_eq!(names, ["AWS_PROFILE", "HOME", "PATH"]);
    }

    #[test]
    fn names_cannot_leave_the_search_path() {
        for name in ["pass", "ecr-login", "osxkeychain", "a.b_c"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "../../tmp/x", "a b", "a/b", "x\0", &"x".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}

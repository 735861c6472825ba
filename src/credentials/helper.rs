//! Another program that keeps credentials: the `get` of Docker's credential helper protocol.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Answer, Credential, CredentialError, Secret};

/// Our own helper's name. It is answered in process: asking it would be asking ourselves.
pub const OWN_HELPER: &str = "idpbuilder";

/// Bytes of an answer that are read.
pub const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// How long a helper may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The variables that a helper inherits: where programs, files, the session's keyring and cloud
/// profiles are.
pub const HELPER_VARIABLES: [&str; 20] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "DOCKER_CONFIG",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "CLOUDSDK_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
];

/// What a helper gets to know of our environment: [`HELPER_VARIABLES`] and nothing else.
#[derive(Clone, Default)]
pub struct HelperEnvironment(Vec<(&'static str, OsString)>);

impl HelperEnvironment {
    /// Takes the variables that helpers inherit.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        Self(HELPER_VARIABLES.into_iter().filter_map(|name| variable(name).map(|value| (name, value))).collect())
    }
}

/// Values may tell of accounts; only names are shown.
impl std::fmt::Debug for HelperEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Asks `docker-credential-HELPER` for the credential of `server`.
pub(super) fn ask(helper: &str, server: &str, environment: &HelperEnvironment, patience: Duration) -> Answer {
    let program = format!("docker-credential-{helper}");
    match run(&program, server, environment, patience) {
        Ok((status, output)) => interpret(program, status, &output),
        Err(error) => Answer::Failed(error),
    }
}

/// Whether `name` can follow `docker-credential-` in a program's name.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

fn run(
    program: &str,
    server: &str,
    environment: &HelperEnvironment,
    patience: Duration,
) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), CredentialError> {
    let failed = |source| CredentialError::HelperStart { program: program.to_owned(), source };
    let started = Instant::now();
    let mut child = Command::new(program)
        .arg("get")
        .env_clear()
        .envs(environment.0.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a helper says there may hold secrets and is not ours to show.
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A server's name fits the pipe. A helper that does not read it may still answer.
        let _ = stdin.write_all(server.as_bytes());
    }
    let stdout = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    // Not joined: a grandchild that keeps the pipe open could hold us past the deadline.
    std::thread::spawn(move || {
        let mut output = Zeroizing::new(Vec::new());
        let read = stdout.map(|stdout| stdout.take(MAX_ANSWER_BYTES + 1).read_to_end(&mut output));
        let _ = sender.send(read.transpose().map(|_| output));
    });
    let deadline = || CredentialError::HelperDeadline { program: program.to_owned(), waited: patience };
    let output = match receiver.recv_timeout(patience) {
        Ok(Ok(output)) => output,
        Ok(Err(source)) => {
            stop(&mut child);
            return Err(failed(source));
        }
        Err(_) => {
            stop(&mut child);
            return Err(deadline());
        }
    };
    if output.len() as u64 > MAX_ANSWER_BYTES {
        stop(&mut child);
        return Err(CredentialError::HelperAnswer { program: program.to_owned() });
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((status, output)),
            // The standard library has no wait with a deadline.
            Ok(None) if started.elapsed() < patience => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                stop(&mut child);
                return Err(deadline());
            }
            Err(source) => {
                stop(&mut child);
                return Err(failed(source));
            }
        }
    }
}

/// Ends the child and takes its exit status, so that it does not stay behind.
fn stop(child: &mut Child) {
    // Both fail only when it is gone already.
    let _ = child.kill();
    let _ = child.wait();
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

fn interpret(program: String, status: ExitStatus, output: &[u8]) -> Answer {
    if !status.success() {
        return match std::str::from_utf8(output) {
            Ok(text) if text.trim() == NOT_FOUND => Answer::NotFound,
            _ => Answer::Failed(CredentialError::HelperFailed { program, status: status.code() }),
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
    use std::path::Path;

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
    pub(in crate::credentials) fn environment(directory: &Path) -> HelperEnvironment {
        let path = format!("{}:/usr/bin:/bin", directory.display());
        HelperEnvironment::new(|name| (name == "PATH").then(|| path.clone().into()))
    }

    fn answer(body: &str, patience: Duration) -> Answer {
        let dir = tempfile::tempdir().expect("a directory");
        script(dir.path(), "fake", body);
        ask("fake", "r.example:5000", &environment(dir.path()), patience)
    }

    #[test]
    fn a_helper_is_asked_as_the_protocol_says() {
        let body = r#"[ "$1" = get ] && printf '{"ServerURL":"x","Username":"u","Secret":"%s"}' "$(cat)""#;
        let Answer::Found(Credential::Basic { username, secret }) = answer(body, PATIENCE) else { panic!("found") };
        assert_eq!((username.as_str(), secret.expose()), ("u", "r.example:5000"));
        let token = answer(r#"echo '{"Username":"<token>","Secret":"t"}'"#, PATIENCE);
        let Answer::Found(Credential::IdentityToken { token, .. }) = token else { panic!("{token:?}") };
        assert_eq!(token.expose(), "t");
    }

    #[test]
    fn none_is_told_from_failure() {
        assert!(matches!(answer(&format!("echo '{NOT_FOUND}'; exit 1"), PATIENCE), Answer::NotFound));
        assert!(matches!(answer(r#"echo '{"Username":"","Secret":""}'"#, PATIENCE), Answer::NotFound));
        let Answer::Failed(error) = answer("echo hunter2; echo hunter2 >&2; exit 7", PATIENCE) else {
            panic!("failed");
        };
        assert!(matches!(error, CredentialError::HelperFailed { status: Some(7), .. }), "{error:?}");
        let Answer::Failed(malformed) = answer("echo '{\"Secret\":\"hunter2\"}'", PATIENCE) else { panic!("failed") };
        assert!(matches!(malformed, CredentialError::HelperAnswer { .. }), "{malformed:?}");
        for error in [error, malformed] {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let absent = ask("absent", "r", &environment(Path::new("/nowhere")), PATIENCE);
        assert!(matches!(absent, Answer::Failed(CredentialError::HelperStart { .. })), "{absent:?}");
    }

    #[test]
    fn a_helper_cannot_hold_us_up_or_flood_us() {
        let moment = Duration::from_millis(50);
        let silent = answer("exec sleep 600", moment);
        assert!(matches!(silent, Answer::Failed(CredentialError::HelperDeadline { .. })), "{silent:?}");
        let lingering = answer("exec >&-; exec sleep 600", moment);
        assert!(matches!(lingering, Answer::Failed(CredentialError::HelperDeadline { .. })), "{lingering:?}");
        let endless = answer("exec yes", PATIENCE);
        assert!(matches!(endless, Answer::Failed(CredentialError::HelperAnswer { .. })), "{endless:?}");
    }

    #[test]
    fn a_helper_inherits_the_named_variables_only() {
        let dir = tempfile::tempdir().expect("a directory");
        script(
            dir.path(),
            "fake",
            r#"printf '{"Username":"u","Secret":"%s"}' "$(env | cut -d= -f1 | sort | tr '\n' ' ')""#,
        );
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let inherited = HelperEnvironment::new(|name| match name {
            "PATH" => Some(path.clone().into()),
            "HOME" => Some("/home/hunter2".into()),
            _ => None,
        });
        assert_eq!(format!("{inherited:?}"), r#"["PATH", "HOME"]"#);
        let Answer::Found(Credential::Basic { secret, .. }) = ask("fake", "r", &inherited, PATIENCE) else {
            panic!("found");
        };
        // The shell itself adds `PWD`, and some shells `OLDPWD`, `SHLVL` and `_`.
        let own = ["PWD", "OLDPWD", "SHLVL", "_"];
        let names: Vec<_> = secret.expose().split_whitespace().filter(|name| !own.contains(name)).collect();
        assert_eq!(names, ["HOME", "PATH"]);
        assert!(!HELPER_VARIABLES.iter().any(|name| name.contains("PASSWORD") && !name.ends_with("_DIR")));
        assert!(!HELPER_VARIABLES.iter().any(|name| name.contains("TOKEN") || name.contains("SECRET")));
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

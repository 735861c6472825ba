//! The flags that say how the image runs, turned into the configuration's terms.

mod health;
mod stop_signal;

use std::ffi::{OsStr, OsString};

use crate::cli::failure::Failure;
use crate::cli::terminal::Ui;
use crate::image::ContainerConfig;
use crate::ops::build::Resets;
use health::HealthArgs;

/// How the image runs.
#[derive(Debug, clap::Args)]
pub(crate) struct RuntimeArgs {
    /// Command that always runs: a JSON array, or words as a shell splits them; [] takes that of the base away
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Default arguments: a JSON array, or words as a shell splits them; [] takes those of the base away
    #[arg(long, value_name = "ARGUMENTS")]
    cmd: Option<String>,
    /// Environment variable; without a value it is taken from this environment; repeatable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// User and group the command runs as
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Directory the command starts in
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// Port the command listens on, or a range; repeatable
    #[arg(long, value_name = "PORT[-PORT][/tcp|udp|sctp]")]
    expose: Vec<String>,
    /// Path that holds data of its own; repeatable
    #[arg(long, value_name = "PATH")]
    volume: Vec<String>,
    /// Signal that asks the container to stop
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    #[command(flatten)]
    health: HealthArgs,
}

impl RuntimeArgs {
    /// What is to be empty although the base has something.
    pub(crate) fn resets(&self) -> Resets {
        let empty = |text: &Option<String>| text.as_deref().is_some_and(is_empty_list);
        Resets { entrypoint: empty(&self.entrypoint), cmd: empty(&self.cmd) }
    }

    pub(crate) fn resolve(&self, ui: &Ui) -> Result<ContainerConfig, Failure> {
        let mut config = ContainerConfig {
            entrypoint: command("--entrypoint", self.entrypoint.as_deref())?,
            cmd: command("--cmd", self.cmd.as_deref())?,
            user: self.user.as_deref().map(user).transpose()?,
            working_dir: self.workdir.as_deref().map(|path| absolute("--workdir", path)).transpose()?,
            stop_signal: self.stop_signal.as_deref().map(signal).transpose()?,
            healthcheck: self.health.resolve()?,
            ..ContainerConfig::default()
        };
        for text in &self.env {
            set_variable(|name| ui.env.vars.get(OsStr::new(name)).cloned(), &mut config.env, text)?;
        }
        for text in &self.expose {
            config.exposed_ports.extend(ports(text)?);
        }
        for path in &self.volume {
            config.volumes.insert(absolute("--volume", path)?);
        }
        Ok(config)
    }
}

fn is_empty_list(text: &str) -> bool {
    serde_json::from_str::<Vec<String>>(text).is_ok_and(|words| words.is_empty())
}

fn command(flag: &str, given: Option<&str>) -> Result<Vec<String>, Failure> {
    match given {
        Some(text) if !is_empty_list(text) => words(flag, text),
        _ => Ok(Vec::new()),
    }
}

fn words(flag: &str, text: &str) -> Result<Vec<String>, Failure> {
    let words = if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<String>>(text)
            .map_err(|error| Failure::usage(format!("{flag} `{text}` is not a JSON array of strings: {error}")))?
    } else {
        shlex::split(text).ok_or_else(|| Failure::usage(format!("{flag} `{text}` has an open quote")))?
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(Failure::usage(format!("{flag} is empty")));
    }
    Ok(words)
}

/// Sets `NAME=VALUE`, or `NAME` with the value that `variable` finds.
fn set_variable(
    variable: impl Fn(&str) -> Option<OsString>,
    variables: &mut Vec<String>,
    text: &str,
) -> Result<(), Failure> {
    let name = text.split('=').next().unwrap_or_default();
    if name.is_empty() || name.contains(char::is_whitespace) || text.contains('\0') {
        return Err(Failure::usage(format!("--env takes NAME or NAME=VALUE, not `{text}`")));
    }
    let assignment = if text.contains('=') {
        text.to_owned()
    } else {
        // As docker has it: a variable that is not set here is not set there, and one that is empty is empty.
        let Some(value) = variable(name) else { return Ok(()) };
        let value = value.into_string().map_err(|_| {
            Failure::usage(format!("the value of {name} is not UTF-8 text, which an image cannot hold"))
        })?;
        format!("{name}={value}")
    };
    variables.retain(|other| other.split('=').next() != Some(name));
    variables.push(assignment);
    Ok(())
}

fn user(text: &str) -> Result<String, Failure> {
    let part = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    if text.splitn(2, ':').all(part) && text.matches(':').count() <= 1 {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!("--user takes USER[:GROUP], not `{text}`")))
}

/// A path of the image.
pub(crate) fn absolute(flag: &str, path: &str) -> Result<String, Failure> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(path.to_owned());
    }
    Err(Failure::usage(format!("{flag} takes an absolute path of the image, not `{path}`")))
}

fn ports(text: &str) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::usage(format!("--expose takes PORT[-PORT][/tcp|udp|sctp], not `{text}`"));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(wrong());
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(wrong());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn signal(text: &str) -> Result<String, Failure> {
    stop_signal::parse(text).ok_or_else(|| {
        Failure::usage(format!("--stop-signal takes a signal of Linux, not `{text}`"))
            .hint("give a name such as SIGTERM, QUIT or SIGRTMIN+3, or a number from 1 to 64")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_json_or_shell_words() {
        let ok = |text| words("--cmd", text).expect(text);
        assert_eq!(ok(r#"["/a b","c"]"#), ["/a b", "c"]);
        assert_eq!(ok("/app --name 'two words'"), ["/app", "--name", "two words"]);
        for text in ["", "  ", "[1]", "[]", "'open", r#"[""]"#] {
            assert!(words("--cmd", text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables_come_from_here_unless_they_have_a_value() {
        use std::os::unix::ffi::OsStringExt as _;
        let here = |name: &str| match name {
            "SET" => Some(OsString::from("a=b")),
            "EMPTY" => Some(OsString::new()),
            "BYTES" => Some(OsString::from_vec(vec![0xff])),
            _ => None,
        };
        let mut variables = Vec::new();
        for text in ["SET", "EMPTY", "UNSET", "A=1", "B=", "A=2", "C=x y"] {
            set_variable(here, &mut variables, text).expect(text);
        }
        assert_eq!(variables, ["SET=a=b", "EMPTY=", "B=", "A=2", "C=x y"]);
        for text in ["", "=x", "A B=1", "BYTES"] {
            set_variable(here, &mut variables, text).expect_err(text);
        }
    }

    #[test]
    fn ports_and_ranges() {
        assert_eq!(ports("80").expect("a port"), ["80/tcp"]);
        assert_eq!(ports("53/UDP").expect("a port"), ["53/udp"]);
        assert_eq!(ports("8000-8002/sctp").expect("a range"), ["8000/sctp", "8001/sctp", "8002/sctp"]);
        for text in ["", "0", "65536", "80/icmp", "9-8", "a", "80-", "-80"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_users_and_paths() {
        assert_eq!(signal("sigterm").expect("a signal"), "SIGTERM");
        assert!(signal("SIGNAL").is_err());
        for (text, good) in
            [("app", true), ("1000:1000", true), ("", false), ("a:b:c", false), ("a b", false), ("a:", false)]
        {
            assert_eq!(user(text).is_ok(), good, "{text}");
        }
        assert!(absolute("--workdir", "app").is_err());
    }
}

//! The flags that say how the image runs, turned into the configuration's terms.

use super::failure::Failure;
use super::ui::Ui;
use crate::build::Resets;
use crate::image::{ContainerConfig, HealthCheck};

/// How the image runs.
#[derive(Debug, clap::Args)]
pub(super) struct RuntimeArgs {
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
    /// Command that tells whether the container is healthy: a JSON array, text for its shell, or none
    #[arg(long, value_name = "COMMAND")]
    healthcheck_cmd: Option<String>,
}

impl RuntimeArgs {
    /// What is to be empty although the base has something.
    pub(super) fn resets(&self) -> Resets {
        let empty = |text: &Option<String>| text.as_deref().is_some_and(is_empty_list);
        Resets { entrypoint: empty(&self.entrypoint), cmd: empty(&self.cmd) }
    }

    pub(super) fn resolve(&self, ui: &Ui) -> Result<ContainerConfig, Failure> {
        let mut config = ContainerConfig {
            entrypoint: command("--entrypoint", self.entrypoint.as_deref())?,
            cmd: command("--cmd", self.cmd.as_deref())?,
            user: self.user.as_deref().map(user).transpose()?,
            working_dir: self.workdir.as_deref().map(|path| absolute("--workdir", path)).transpose()?,
            stop_signal: self.stop_signal.as_deref().map(signal).transpose()?,
            healthcheck: self.healthcheck_cmd.as_deref().map(healthcheck).transpose()?,
            ..ContainerConfig::default()
        };
        for text in &self.env {
            set_variable(ui, &mut config.env, text)?;
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

fn set_variable(ui: &Ui, variables: &mut Vec<String>, text: &str) -> Result<(), Failure> {
    let name = text.split('=').next().unwrap_or_default();
    if name.is_empty() || name.contains(char::is_whitespace) || text.contains('\0') {
        return Err(Failure::usage(format!("--env takes NAME or NAME=VALUE, not `{text}`")));
    }
    let assignment = match (text.contains('='), ui.env.var(name)) {
        (true, _) => text.to_owned(),
        (false, Some(value)) => format!("{name}={value}"),
        // As docker has it: a variable that is not set here is not set there.
        (false, None) => return Ok(()),
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
pub(super) fn absolute(flag: &str, path: &str) -> Result<String, Failure> {
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
    let number = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let name = name.len() >= 2
        && name.len() <= 12
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-'));
    if number || name {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!("--stop-signal takes a name such as SIGTERM or a number, not `{text}`")))
}

fn healthcheck(text: &str) -> Result<HealthCheck, Failure> {
    let words = if text.eq_ignore_ascii_case("none") {
        vec!["NONE".to_owned()]
    } else if text.trim_start().starts_with('[') {
        std::iter::once("CMD".to_owned()).chain(self::words("--healthcheck-cmd", text)?).collect()
    } else if text.trim().is_empty() {
        return Err(Failure::usage("--healthcheck-cmd is empty").hint("--healthcheck-cmd none turns a check off"));
    } else {
        vec!["CMD-SHELL".to_owned(), text.to_owned()]
    };
    Ok(HealthCheck { test: words, ..HealthCheck::default() })
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
        for text in ["SIGTERM", "TERM", "9", "SIGRTMIN+3"] {
            assert!(signal(text).is_ok(), "{text}");
        }
        for text in ["", "sigterm", "0", "65", "S IG"] {
            assert!(signal(text).is_err(), "{text}");
        }
        for (text, good) in
            [("app", true), ("1000:1000", true), ("", false), ("a:b:c", false), ("a b", false), ("a:", false)]
        {
            assert_eq!(user(text).is_ok(), good, "{text}");
        }
        assert!(absolute("--workdir", "app").is_err());
    }

    #[test]
    fn health_checks() {
        let test = |text| healthcheck(text).expect(text).test;
        assert_eq!(test("none"), ["NONE"]);
        assert_eq!(test("curl -f /"), ["CMD-SHELL", "curl -f /"]);
        assert_eq!(test(r#"["/app","health"]"#), ["CMD", "/app", "health"]);
        assert!(healthcheck(" ").is_err());
    }
}

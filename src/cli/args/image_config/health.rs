//! The flags about health checks, as `docker run`, Docker's `HEALTHCHECK` and `buildah config` have them.

use serde_json::Value;

use super::super::go_duration;
use crate::cli::failure::Failure;
use crate::image::HealthCheck;

/// The shortest time that Docker accepts, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

/// How a container's health is checked.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct HealthArgs {
    /// Command that tells whether the container is healthy: a JSON array, text for its shell, or none
    #[arg(long, visible_alias = "health-cmd", value_name = "COMMAND")]
    healthcheck_cmd: Option<String>,
    /// Time between two checks, for example 30s or 1m30s
    #[arg(long, visible_alias = "health-interval", value_name = "TIME", allow_hyphen_values = true)]
    healthcheck_interval: Option<String>,
    /// Longest time that a check may take
    #[arg(long, visible_alias = "health-timeout", value_name = "TIME", allow_hyphen_values = true)]
    healthcheck_timeout: Option<String>,
    /// Time to start up, in which a check that fails does not count
    #[arg(long, visible_alias = "health-start-period", value_name = "TIME", allow_hyphen_values = true)]
    healthcheck_start_period: Option<String>,
    /// Time between two checks while the container starts up
    #[arg(long, visible_alias = "health-start-interval", value_name = "TIME", allow_hyphen_values = true)]
    healthcheck_start_interval: Option<String>,
    /// Checks that have to fail one after the other until the container is unhealthy
    #[arg(long, visible_alias = "health-retries", value_name = "NUMBER", allow_hyphen_values = true)]
    healthcheck_retries: Option<String>,
    /// No health check, whatever the base has
    #[arg(long, conflicts_with = "healthcheck_cmd")]
    no_healthcheck: bool,
}

impl HealthArgs {
    /// The check that the flags ask for, if any. Without a command it has no test: the base's holds.
    pub(crate) fn resolve(&self) -> Result<Option<HealthCheck>, Failure> {
        let mut check = match &self.healthcheck_cmd {
            _ if self.no_healthcheck => none(),
            Some(text) => test(text)?,
            None => HealthCheck::default(),
        };
        let times = [
            ("Interval", "--healthcheck-interval", &self.healthcheck_interval),
            ("Timeout", "--healthcheck-timeout", &self.healthcheck_timeout),
            ("StartPeriod", "--healthcheck-start-period", &self.healthcheck_start_period),
            ("StartInterval", "--healthcheck-start-interval", &self.healthcheck_start_interval),
        ];
        for (key, flag, text) in times {
            let Some(text) = text else { continue };
            refuse_for_none(&check, flag)?;
            // Zero is how Docker writes what is left to the runtime.
            if let time @ 1.. = time(flag, text)? {
                check.extra.insert(key.to_owned(), Value::from(time));
            }
        }
        if let Some(text) = &self.healthcheck_retries {
            refuse_for_none(&check, "--healthcheck-retries")?;
            if let count @ 1.. = retries(text)? {
                check.extra.insert("Retries".to_owned(), Value::from(count));
            }
        }
        Ok((check != HealthCheck::default()).then_some(check))
    }
}

fn none() -> HealthCheck {
    HealthCheck { test: vec!["NONE".to_owned()], ..HealthCheck::default() }
}

/// The check's command.
fn test(text: &str) -> Result<HealthCheck, Failure> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(none());
    }
    let words = if text.trim_start().starts_with('[') {
        std::iter::once("CMD".to_owned()).chain(super::words("--healthcheck-cmd", text)?).collect()
    } else if text.trim().is_empty() {
        return Err(Failure::usage("--healthcheck-cmd is empty").hint("--no-healthcheck turns a check off"));
    } else {
        vec!["CMD-SHELL".to_owned(), text.to_owned()]
    };
    Ok(HealthCheck { test: words, ..HealthCheck::default() })
}

fn refuse_for_none(check: &HealthCheck, flag: &str) -> Result<(), Failure> {
    if check.test == ["NONE"] {
        return Err(Failure::usage(format!("{flag} is about a health check, and there is to be none")));
    }
    Ok(())
}

/// A time in nanoseconds, as Docker reads it.
fn time(flag: &str, text: &str) -> Result<i64, Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!("{flag} is `{text}`, {why}"))
            .hint("write a number and a unit, for example 500ms, 30s or 1m30s")
    };
    match go_duration::parse(text) {
        None => Err(wrong("which is not a time")),
        Some(time) if time < 0 => Err(wrong("which is less than nothing")),
        Some(time) if time != 0 && time < SHORTEST => Err(wrong("less than the 1ms that Docker takes")),
        Some(time) => Ok(time),
    }
}

fn retries(text: &str) -> Result<i32, Failure> {
    text.parse::<i32>().ok().filter(|count| *count >= 0).ok_or_else(|| {
        Failure::usage(format!("--healthcheck-retries takes a number from 0 to {}, not `{text}`", i32::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let test = |text| super::test(text).expect(text).test;
        assert_eq!(test("none"), ["NONE"]);
        assert_eq!(test("curl -f /"), ["CMD-SHELL", "curl -f /"]);
        assert_eq!(test(r#"["/app","health"]"#), ["CMD", "/app", "health"]);
        assert!(super::test(" ").is_err());
        let args = HealthArgs { no_healthcheck: true, ..HealthArgs::default() };
        assert_eq!(args.resolve().expect("valid"), Some(none()));
        assert_eq!(HealthArgs::default().resolve().expect("valid"), None);
    }

    #[test]
    fn times_and_retries_are_dockers() {
        let resolve = |interval: &str, retries: &str| {
            let args = HealthArgs {
                healthcheck_cmd: Some("x".into()),
                healthcheck_interval: Some(interval.into()),
                healthcheck_start_period: Some("1m30s".into()),
                healthcheck_retries: Some(retries.into()),
                ..HealthArgs::default()
            };
            args.resolve().map(|check| check.expect("a check").extra)
        };
        let found = resolve("1.5s", "3").expect("valid");
        let found: Vec<_> =
            found.iter().map(|(key, value)| (key.as_str(), value.as_i64().expect("a number"))).collect();
        assert_eq!(found, [("Interval", 1_500_000_000), ("Retries", 3), ("StartPeriod", 90_000_000_000)]);
        // Zero leaves it to the runtime.
        let found = resolve("0s", "0").expect("valid");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["StartPeriod"]);
        assert_eq!(resolve("1ms", "1").expect("valid").len(), 3);
        for (interval, retries) in
            [("30", "1"), ("", "1"), ("999us", "1"), ("-1s", "1"), ("1s", "-1"), ("1s", "x"), ("1s", ""), ("1d", "1")]
        {
            resolve(interval, retries).expect_err(interval);
        }
    }

    #[test]
    fn settings_of_no_check_are_mistakes() {
        let args = |cmd: Option<&str>, off| HealthArgs {
            healthcheck_cmd: cmd.map(str::to_owned),
            healthcheck_timeout: Some("3s".into()),
            no_healthcheck: off,
            ..HealthArgs::default()
        };
        assert!(args(Some("none"), false).resolve().is_err() && args(None, true).resolve().is_err());
        // Without a command, it is the base's check that gets the setting.
        let check = args(None, false).resolve().expect("valid").expect("a check");
        assert_eq!((check.test.len(), check.extra.len()), (0, 1));
    }
}

//! Signals of Linux by the names that container engines know.

/// Names without their `SIG`, synonyms included, but for those of real-time signals.
const NAMES: [&str; 35] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN",
];

/// How far real-time signals are counted from the first one, and from the last one.
const FROM_FIRST: u8 = 15;
const FROM_LAST: u8 = 14;

/// Returns the signal as an image has it: a number from 1 to 64, or a name in upper case, `SIG` in front of it or not.
pub(crate) fn parse(text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse::<u8>().ok()?;
        return (1..=64).contains(&number).then(|| text.to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let counted = |start: &str, most: u8| {
        let digits = name.strip_prefix(start)?;
        let number = digits.parse::<u8>().ok()?;
        ((1..=most).contains(&number) && digits == number.to_string()).then_some(())
    };
    let is_real_time =
        name == "RTMAX" || counted("RTMIN+", FROM_FIRST).is_some() || counted("RTMAX-", FROM_LAST).is_some();
    (is_real_time || NAMES.contains(&name)).then_some(upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_linux() {
        for (text, expected) in [
            ("SIGTERM", "SIGTERM"),
            ("TERM", "TERM"),
            ("sigterm", "SIGTERM"),
            ("SigQuit", "SIGQUIT"),
            ("hup", "HUP"),
            ("SIGWINCH", "SIGWINCH"),
            ("SIGRTMIN", "SIGRTMIN"),
            ("SIGRTMIN+3", "SIGRTMIN+3"),
            ("rtmin+15", "RTMIN+15"),
            ("SIGRTMAX", "SIGRTMAX"),
            ("SIGRTMAX-14", "SIGRTMAX-14"),
            ("1", "1"),
            ("9", "9"),
            ("64", "64"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "0",
            "65",
            "256",
            "-9",
            "+9",
            "1.5",
            "SIG",
            "SIGNOPE",
            "SIGTERM ",
            " TERM",
            "S IG",
            "SIGSIGTERM",
            "KIL",
            "SIGRTMIN+0",
            "SIGRTMIN+16",
            "SIGRTMIN+03",
            "SIGRTMIN-1",
            "SIGRTMAX-0",
            "SIGRTMAX-15",
            "SIGRTMAX+1",
            "RTMIN+",
            "TERMINATE",
            "SIGUNUSED",
            "\u{17f}IGTERM",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

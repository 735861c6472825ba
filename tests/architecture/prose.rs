//! Rules for people who read the sources: files of a length that one can keep in mind, and words that name the actor.

/// The longest file, in lines, its tests included.
const MOST_LINES: usize = 450;

/// Longer files, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// Words that hide who acts. docs/STYLE.md says what to write instead.
const BANNED: [&str; 6] = ["nobody", "somebody", "whoever", "whom", "is told", "is said"];

/// Everything that is wrong with the length and the words of a source file.
pub(crate) fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    let reason = LONGER.iter().find(|(longer, _)| *longer == path);
    match (lines > MOST_LINES, reason) {
        (true, None) => found.push(format!("{path}: {lines} lines; the most are {MOST_LINES}")),
        (false, Some(_)) => found.push(format!("{path}: {lines} lines need no exception")),
        _ => {}
    }
    for (index, line) in text.lines().enumerate() {
        if let Some(banned) = BANNED.into_iter().find(|banned| has(line, banned)) {
            found.push(format!("{path}:{}: says \"{banned}\"", index + 1));
        }
    }
    found
}

/// Whether `line` has the word or words, in any case, where they end at word boundaries.
fn has(line: &str, words: &str) -> bool {
    let line = line.to_lowercase();
    let letter = |next: Option<char>| next.is_some_and(|next| next.is_alphanumeric() || next == '_');
    line.match_indices(words)
        .any(|(at, _)| !letter(line[..at].chars().next_back()) && !letter(line[at + words.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_words_are_seen() {
        assert_eq!(complaints("src/x.rs", &"\n".repeat(MOST_LINES)), [""; 0]);
        assert_eq!(complaints("src/x.rs", &"\n".repeat(451)), ["src/x.rs: 451 lines; the most are 450"]);
        let text = "/// Nobody asks.\nlet nobody_else = 1;\n// What is said, is told.\n\"for whom\"";
        let expected = ["src/x.rs:1: says \"nobody\"", "src/x.rs:3: says \"is told\"", "src/x.rs:4: says \"whom\""];
        assert_eq!(complaints("src/x.rs", text), expected);
    }
}

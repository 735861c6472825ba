use proptest::prelude::*;

use super::super::pattern::MAX_PATTERN_BYTES;
use super::*;

std::thread_local! {
    /// How many directories the rules were asked about in this thread.
    pub(super) static DIRECTORIES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn rules(content: &[u8]) -> Result<IgnoreRules, RuleError> {
    let mut rules = IgnoreRules::default();
    rules.add_file(&Arc::new(PathBuf::from(".dockerignore")), content)?;
    Ok(rules)
}

fn excluded(content: &[u8], path: &[u8]) -> bool {
    let shown = String::from_utf8_lossy(content).into_owned();
    rules(content).unwrap_or_else(|error| panic!("{shown:?}: {error}")).decide(path).excluded
}

fn fault(content: &[u8]) -> (Origin, PatternError) {
    match rules(content) {
        Err(RuleError::Pattern { origin, source, .. }) => (origin, source),
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(content)),
    }
}

/// Pattern, paths it excludes, paths it leaves.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const ANCHORED: &[Case] = &[
    ("foo", &["foo", "foo/a", "foo/a/b"], &["a/foo", "foobar", "FOO", "fo"]),
    ("/foo", &["foo", "foo/a"], &["a/foo"]),
    ("foo/", &["foo", "foo/a"], &["a/foo"]),
    ("./foo", &["foo"], &["a/foo"]),
    ("a/../foo", &["foo"], &["a", "a/foo"]),
    ("a//b/.", &["a/b", "a/b/c"], &["a", "a/c"]),
    ("  foo\t ", &["foo"], &[" foo"]),
    ("../foo", &[], &["foo", "a/foo"]),
    (".", &[], &["a", "a/b"]),
    ("/", &[], &["a"]),
    ("a/b", &["a/b", "a/b/c"], &["a", "a/bc", "b", "c/a/b"]),
    (".foo", &[".foo"], &["afoo", "a.foo"]),
];

const WILDCARDS: &[Case] = &[
    ("*", &["a", "a/b", ".a", "é"], &[]),
    ("*.log", &["a.log", ".log", "d.log/x"], &["a/b.log", "a.logs"]),
    ("*/*.log", &["a/b.log"], &["b.log", "a/b/c.log"]),
    ("*/temp*", &["a/temporary", "a/temp/x"], &["temporary", "a/b/temporary"]),
    ("a*b", &["ab", "axxb"], &["a/b", "ax/b"]),
    ("a?c", &["abc", "aéc", "a☺c", "a.c"], &["ac", "a/c", "abbc"]),
    ("a??c", &["abbc"], &["aéc"]),
    ("a.b", &["a.b"], &["axb"]),
    ("a+(b)|{c}$^", &["a+(b)|{c}$^"], &["a", "b"]),
    ("^a*", &["^a", "^ab"], &["a", "ab"]),
    ("{a,b}", &["{a,b}"], &["a", "b"]),
    ("{a,b}*", &["{a,b}c"], &["a", "b"]),
    ("a}*", &["a}", "a}b"], &["a"]),
];

const DOUBLE_STARS: &[Case] = &[
    ("**", &["a", "a/b/c", ".a"], &[]),
    ("**/", &["a", "a/b"], &[]),
    ("**/**", &["a", "a/b"], &[]),
    ("**/foo", &["foo", "a/foo", "a/b/foo", "a/foo/b"], &["afoo", "a/xfoo", "foob"]),
    // Without the slash it is a plain suffix, as long as nothing else is special.
    ("**foo", &["foo", "afoo", "a/foo", "a/xfoo"], &["foob"]),
    ("**/*.md", &["a.md", "a/b.md", "a/b/c.md"], &["a.mdx"]),
    ("**/.git", &[".git", "a/.git", "a/.git/x"], &["a.git"]),
    ("foo**", &["foo", "foobar", "foo/a", "foobar/x/y"], &["a/foo", "fo"]),
    ("foo/**", &["foo/a", "foo/a/b"], &["foo", "foobar"]),
    ("a**b", &["ab", "ax/b", "a/x/y/b"], &["axb", "axb/c"]),
    ("a/**/b", &["a/b", "a/x/b", "a/x/y/b", "a/b/c"], &["ab", "a/xb", "x/a/b"]),
    ("a**/*.txt", &["a/f.txt", "a/d/f.txt", "ab/f.txt", "a.txt"], &["b/f.txt"]),
    ("**/a/**", &["a/b", "x/a/b"], &["a", "x/a"]),
    ("**/a**c", &["ac", "x/ac", "x/ab/c"], &["x/abc"]),
    ("***", &["a", "a/b"], &[]),
];

const CLASSES: &[Case] = &[
    ("[ab]", &["a", "b"], &["c", "ab", "x/a"]),
    ("a[b-d]e", &["abe", "ace"], &["ae", "aae", "a-e"]),
    ("a[^b-d]e", &["aae", "a☺e", "a/e"], &["ace", "ae"]),
    ("a[!b]c", &["a!c", "abc"], &["axc"]),
    ("[α-ω]*", &["αx"], &["a"]),
    (r"[\]a]", &["]", "a"], &["\\"]),
    (r"[x\-z]", &["x", "-", "z"], &["y"]),
    (r"[\^a]", &["^", "a"], &["b"]),
    ("[*?]", &["*", "?"], &["a"]),
    ("[a.&&b~~]x", &["ax", ".x", "&x", "~x"], &["ex"]),
    ("x]", &["x]"], &["x"]),
    ("[[]", &["["], &["]"]),
    ("v[[:digit:]]", &["v1"], &["vd", "v:", "v1]"]),
    ("v[[:digit:]a-b]", &["v1", "vb"], &["vc"]),
    ("v[[:digit:]-z]", &["v1", "v-", "vz"], &["vc"]),
    ("v[^[:alpha:]]", &["v1"], &["va"]),
];

const ESCAPES: &[Case] = &[
    (r"\#a", &["#a"], &["a"]),
    (r"\!a", &["!a"], &["a"]),
    (r"a\*b", &["a*b"], &["axb", "ab"]),
    (r"a\?", &["a?"], &["ab"]),
    (r"a\\", &[r"a\"], &["a"]),
    (r"\d", &["d"], &["1"]),
    (r"\[a]", &["[a]"], &["a"]),
    ("!!a\n*", &["a"], &[]),
];

#[test]
fn single_patterns() {
    for (pattern, out, left) in [ANCHORED, WILDCARDS, DOUBLE_STARS, CLASSES, ESCAPES].concat() {
        for path in out {
            assert!(excluded(pattern.as_bytes(), path.as_bytes()), "`{pattern}` should exclude `{path}`");
        }
        for path in left {
            assert!(!excluded(pattern.as_bytes(), path.as_bytes()), "`{pattern}` should leave `{path}`");
        }
    }
}

#[test]
fn rules_apply_in_order_to_a_path_and_its_parents() {
    for (content, path, out) in [
        ("*\n!docs", "docs/x/y", false),
        ("*\n!docs", "other", true),
        ("!a/b/c\na", "a/b/c", true),
        ("a\n!a/b/c", "a/b/c", false),
        ("a\n!a/b/c", "a/b/d", true),
        ("a/b\n!a", "a/b", false),
        ("**\n!util/web", "util/web/foo", false),
        ("**\n!util/web\nutil/web/foo", "util/web/foo", true),
        ("**\n!util/web\nutil/web/foo", "util/web/bar", false),
        ("*.md\n!README.md", "README.md", false),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
        ("docs\n ! docs/README.md", "docs/README.md", false),
        ("docs/\n!docs/README.md", "docs/README.md", false),
        ("!a", "a", false),
        ("a\n!/a", "a", false),
    ] {
        assert_eq!(excluded(content.as_bytes(), path.as_bytes()), out, "{content:?} on {path}");
    }
}

#[test]
fn lines_comments_and_marks() {
    for (content, path, out) in [
        (&b"# a\n#b\n"[..], &b"#b"[..], false),
        (b" # a", b"# a", true),
        (b"a\r\nb\r\n", b"a", true),
        (b"a\r\nb\r\n", b"b", true),
        (b"\xef\xbb\xbfa", b"a", true),
        (b"\xef\xbb\xbf#a", b"#a", false),
        (b"x\n\xef\xbb\xbfa", b"a", false),
        (b"\n\n  \n\t\na", b"a", true),
        (b"\xc2\xa0a", b"a", true),
        (b"", b"a", false),
    ] {
        assert_eq!(excluded(content, path), out, "{content:?} on {path:?}");
    }
}

#[test]
fn names_that_are_not_text() {
    for (content, path, out) in [
        (&b"caf\xe9"[..], &b"caf\xe9"[..], true),
        (b"caf\xe9", b"caf\xe8", false),
        (b"caf\xe9*", b"caf\xe9.txt", true),
        (b"caf\xe9*", b"caf\xe8.txt", false),
        (b"*.txt", b"\xff\xfe.txt", true),
        (b"caf?", b"caf\xe9", true),
        (b"caf??", b"caf\xe9", false),
        // The same letter in UTF-8 is one rune of two bytes.
        (b"caf??", b"caf\xc3\xa9", false),
        (b"[^a]", b"\xe9", true),
        (b"a/**", b"a/\xff\n/b", true),
        (b"**/x*", b"a\nb/xy", true),
    ] {
        assert_eq!(excluded(content, path), out, "{content:?} on {path:?}");
    }
}

#[test]
fn malformed_patterns_name_file_and_line() {
    let line = |line| Origin::File { path: Arc::new(PathBuf::from(".dockerignore")), line };
    assert_eq!(fault(b"a\n# [\n\n!\n"), (line(4), PatternError::BareException));
    assert_eq!(fault(b"! "), (line(1), PatternError::BareException));
    assert_eq!(fault(b"!/"), (line(1), PatternError::BareException));
    assert_eq!(fault(b"a\\"), (line(1), PatternError::TrailingBackslash));
    for pattern in ["[", "[^", "[a", "a[", "a*[", "[]a]", "[^]a]", "[-]", "[-x]", "[x-]", "[a-b-c]", "[a\\", "*[\\]"] {
        assert_eq!(fault(pattern.as_bytes()), (line(1), PatternError::Class), "{pattern}");
    }
    assert_eq!(fault(b"[\xff]").1, PatternError::Class);
    assert_eq!(fault(b"[z-a]").1, PatternError::Range('z', 'a'));
    assert_eq!(fault(b"[[:letter:]]").1, PatternError::ClassName("letter".into()));
    let error = rules(b"x\n[").expect_err("malformed");
    assert_eq!(error.to_string(), "`[` (line 2 of `.dockerignore`) is not a valid ignore pattern");
}

#[test]
fn sizes_are_bounded() {
    let long = vec![b'a'; MAX_PATTERN_BYTES + 1];
    assert_eq!(fault(&long).1, PatternError::TooLong(MAX_PATTERN_BYTES + 1));
    assert!(excluded(&long[1..], &long[1..]));
    assert_eq!(fault(&b"?".repeat(MAX_PATTERN_BYTES)).1, PatternError::TooComplex);
    let many = b"a*\n".repeat(MAX_RULES);
    assert_eq!(rules(&many).expect("as many as allowed").rules().len(), MAX_RULES);
    assert!(matches!(rules(&[&many[..], b"a"].concat()), Err(RuleError::TooMany(Origin::File { line: 4097, .. }))));
}

#[test]
fn the_rule_that_decided_is_known() {
    let mut rules = rules(b"# first\n*.log\n\n!keep.log  \n").expect("valid");
    rules.add_pattern(1, b"#x").expect("valid");
    let decided = |path: &str| {
        let verdict = rules.decide(path.as_bytes());
        (verdict.excluded, verdict.rule.map(|rule| (rule.written.clone(), rule.origin.to_string())))
    };
    let rule = |written: &str, origin: &str| Some((written.to_owned(), origin.to_owned()));
    assert_eq!(decided("a.log"), (true, rule("*.log", "line 2 of `.dockerignore`")));
    assert_eq!(decided("a.log/b"), (true, rule("*.log", "line 2 of `.dockerignore`")));
    assert_eq!(decided("keep.log"), (false, rule("!keep.log", "line 4 of `.dockerignore`")));
    assert_eq!(decided("#x"), (true, rule("#x", "exclude pattern 1")));
    assert_eq!(decided("other"), (false, None));
}

#[test]
fn a_directory_is_left_alone_when_nothing_in_it_can_return() {
    let pruned = |content: &str, directory: &str| {
        let rules = rules(content.as_bytes()).expect("valid");
        let decided_by = rules.last(None, directory).filter(|index| rules.verdict(Some(*index)).excluded);
        !rules.may_return_below(directory, decided_by.expect("excluded"))
    };
    for (content, directory, prune) in [
        ("a", "a", true),
        ("a\n!b", "a", true),
        ("a\n!a/b", "a", false),
        ("!a/b\na", "a", true),
        ("*\n!docs", "node_modules", true),
        ("*\n!docs/api/x", "docs", false),
        ("**\n!docs/api/x", "docs/api", false),
        ("**\n!docs/api/x", "docs/src", true),
        ("*\n!docs/**", "src", true),
        ("*\n!**/*.md", "src", false),
        ("*\n!*/keep", "src", false),
        ("**\n!*/keep", "src/a", true),
        ("*\n![a]/b", "src", false),
        ("*\n!s\\rc/b", "src", false),
    ] {
        assert_eq!(pruned(content, directory), prune, "{content:?} on {directory}");
    }
}

/// The meaning of a pattern spelled out by trial, for short inputs.
fn by_trial(pattern: &str, path: &str) -> bool {
    fn here(pattern: &[u8], path: &[u8]) -> bool {
        let somewhere = |rest: &[u8], fits: &dyn Fn(usize) -> bool| {
            (0..=path.len()).any(|end| fits(end) && here(rest, &path[end..]))
        };
        match pattern {
            [] => path.is_empty(),
            [b'*', b'*', rest @ ..] => {
                let rest = rest.strip_prefix(b"/").unwrap_or(rest);
                rest.is_empty() || somewhere(rest, &|end| end == 0 || path[end - 1] == b'/')
            }
            [b'*', rest @ ..] => somewhere(rest, &|end| !path[..end].contains(&b'/')),
            [b'?', rest @ ..] => path.first().is_some_and(|c| *c != b'/') && here(rest, &path[1..]),
            [literal, rest @ ..] => path.first() == Some(literal) && here(rest, &path[1..]),
        }
    }
    let path = path.as_bytes();
    match pattern.strip_prefix("**") {
        Some(suffix) if !suffix.contains(['*', '?']) => {
            path.ends_with(suffix.as_bytes()) || here(pattern.as_bytes(), path)
        }
        _ => here(pattern.as_bytes(), path),
    }
}

/// A relative path of short names.
const PATH: &str = "[ab.]{1,3}(/[ab]{1,2}){0,3}";

#[test]
fn neighbours_are_asked_about_from_where_they_part() {
    let rules = rules(b"**/x\n!a/d/**/y").expect("rules");
    let work = |names: usize| {
        let before = DIRECTORIES.get();
        let mut trail = RuleCache::default();
        for number in 0..names {
            let path = format!("a/{}{number}", "d/".repeat(50));
            assert!(!rules.decide_along(path.as_bytes(), &mut trail).excluded);
        }
        DIRECTORIES.get() - before
    };
    assert_eq!((work(100), work(200)), (51, 51));
}

proptest! {
    #[test]
    fn a_trail_changes_no_decision(
        patterns in proptest::collection::vec("!?(\\*\\*/)?[ab*]{1,2}(/[ab*]{1,2}){0,2}", 0..6),
        paths in proptest::collection::vec("[ab]{1,2}(/[ab]{1,2}){0,4}", 0..20),
    ) {
        let rules = rules(patterns.join("\n").as_bytes()).expect("rules");
        let mut trail = RuleCache::default();
        for path in paths {
            let (along, alone) = (rules.decide_along(path.as_bytes(), &mut trail), rules.decide(path.as_bytes()));
            prop_assert_eq!(along.excluded, alone.excluded);
            prop_assert_eq!(along.rule.map(|rule| &rule.written), alone.rule.map(|rule| &rule.written));
        }
    }


    #[test]
    fn reading_never_panics(content: Vec<u8>, path: Vec<u8>) {
        if let Ok(rules) = rules(&content) {
            rules.decide(&path);
        }
    }

    #[test]
    fn reading_patterns_never_panics(content in r"([\[\]\\!^*?/.a:-]{0,9}\n){0,4}", path in PATH) {
        if let Ok(rules) = rules(content.as_bytes()) {
            rules.decide(path.as_bytes());
        }
    }

    #[test]
    fn a_pattern_means_what_trial_says(pattern in r"[ab.*?/]{1,7}", path in PATH) {
        let cleaned = String::from_utf8(clean(pattern.as_bytes())).expect("text");
        let cleaned = cleaned.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&cleaned);
        let pattern = Pattern::new(cleaned.as_bytes()).expect("nothing to get wrong");
        prop_assert_eq!(pattern.matches(&path), by_trial(cleaned, &path), "{} on {}", cleaned, path);
    }

    #[test]
    fn nothing_returns_below_a_pruned_directory(
        content in r"(!?[ab.*?/]{1,6}\n){1,5}",
        directory in PATH,
        below in "[ab]{1,2}(/[ab]{1,2}){0,2}",
    ) {
        if let Ok(rules) = rules(content.as_bytes()) {
            let parents = directory
                .match_indices('/')
                .fold(None, |hits, (end, _)| Some(rules.hits(hits.as_ref(), &directory[..end])));
            let decided_by = rules.last(parents.as_ref(), &directory);
            if let Some(index) = decided_by.filter(|_| rules.verdict(decided_by).excluded)
                && !rules.may_return_below(&directory, index)
            {
                let path = format!("{directory}/{below}");
                prop_assert!(rules.decide(path.as_bytes()).excluded, "{:?} on {}", content, path);
            }
        }
    }
}

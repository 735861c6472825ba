//! Just enough of Rust's lexical grammar to tell code from comments and literals.

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword, without `r#`.
    Word(String),
    /// `::`
    Path,
    /// Any other single character that is not part of a literal.
    Mark(char),
}

/// A piece of code and its line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

/// The code of `text`. Literals and comments are left out.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text, line: 1, tokens: Vec::new() };
    while let Some(next) = lexer.rest.chars().next() {
        lexer.step(next);
    }
    lexer.tokens
}

impl Lexer<'_> {
    fn skip(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn skip_past(&mut self, end: &str) {
        let bytes = self.rest.find(end).map_or(self.rest.len(), |at| at + end.len());
        self.skip(bytes);
    }

    fn push(&mut self, kind: Kind, bytes: usize) {
        self.tokens.push(Token { kind, line: self.line });
        self.skip(bytes);
    }

    fn step(&mut self, next: char) {
        if self.rest.starts_with("//") {
            self.skip_past("\n");
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if next == '"' {
            self.text(1);
        } else if next == '\'' {
            self.quote();
        } else if next.is_ascii_digit() {
            let end = self.rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            self.skip(end.unwrap_or(self.rest.len()));
        } else if next.is_alphabetic() || next == '_' {
            self.word_or_literal();
        } else if self.rest.starts_with("::") {
            self.push(Kind::Path, 2);
        } else if next.is_whitespace() {
            self.skip(next.len_utf8());
        } else {
            self.push(Kind::Mark(next), next.len_utf8());
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else if let Some(next) = self.rest.chars().next() {
                self.skip(next.len_utf8());
            }
            if depth == 0 || self.rest.is_empty() {
                return;
            }
        }
    }

    /// A text whose quote is the last of `opening` bytes.
    fn text(&mut self, opening: usize) {
        self.skip(opening);
        while let Some(next) = self.rest.chars().next() {
            let escaped = if next == '\\' { self.rest.chars().nth(1).map_or(0, char::len_utf8) } else { 0 };
            self.skip(next.len_utf8() + escaped);
            if next == '"' {
                return;
            }
        }
    }

    /// A character, or the name of a lifetime.
    fn quote(&mut self) {
        let mut letters = self.rest.chars().skip(1);
        let (first, second) = (letters.next(), letters.next());
        if first == Some('\\') {
            self.skip(2 + self.rest[2..].chars().next().map_or(0, char::len_utf8));
            self.skip_past("'");
        } else if second == Some('\'') {
            self.skip(2 + first.map_or(0, char::len_utf8));
        } else {
            self.skip(1);
        }
    }

    fn word_or_literal(&mut self) {
        let end = self.rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let end = end.unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at(end);
        let hashes = after.len() - after.trim_start_matches('#').len();
        let quoted = after[hashes..].starts_with('"');
        if matches!(word, "r" | "br" | "cr") && quoted {
            self.skip(end + hashes + 1);
            self.skip_past(&format!("\"{}", "#".repeat(hashes)));
        } else if word == "r" && hashes == 1 {
            self.skip(2);
        } else if matches!(word, "b" | "c") && after.starts_with('"') {
            self.text(2);
        } else if word == "b" && after.starts_with('\'') {
            self.skip(1);
            self.quote();
        } else {
            self.push(Kind::Word(word.to_owned()), end);
        }
    }
}

#[test]
fn code_is_told_from_comments_and_literals() {
    let source = r##"
        // line
        /* block /* nested */ still */ one
        "text \" more" 'c' '\'' '\u{1f}' b'x' '"' b"bytes" r"raw" r#"raw " more"# two
        fn f<'a>(x: &'a str) 1.0e5 r#three std::io
    "##;
    let words: Vec<String> = tokens(source).iter().filter_map(|token| token.word().map(str::to_owned)).collect();
    assert_eq!(words, ["one", "two", "fn", "f", "a", "x", "a", "str", "three", "std", "io"]);
    let lines: Vec<usize> = tokens("a\n/*\n*/ b \"\n\" c").iter().map(|token| token.line).collect();
    assert_eq!(lines, [1, 3, 4]);
    for unfinished in ["/*", "/* /* */", "\"", "'", "'\\", "r#\"", "b'", "\"\\"] {
        assert_eq!(tokens(unfinished), tokens(unfinished), "ends: {unfinished}");
    }
}

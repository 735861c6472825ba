//! The paths that a file names, with groups taken apart and `super` resolved.

use crate::lexer::{Kind, Token, tokens};

/// A path as written from its first segment: `["crate", "store", "blob"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// The module a file is, as segments below the crate: `src/store/blob.rs` is `store`, `blob`.
pub(crate) fn module(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// Every path that `text` names. Those that start with `self` or `super` are returned as if they
/// had been written from `crate`.
pub(crate) fn named(path: &str, text: &str) -> Vec<Named> {
    let tokens = tokens(text);
    let mut modules = module(path);
    // Which open braces are those of a module, so that `super` is counted from the right place.
    let mut braces = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let inline = token.word() == Some("mod") && tokens.get(at + 2).is_some_and(|token| token.is('{'));
        if let (true, Some(name)) = (inline, tokens.get(at + 1).and_then(Token::word)) {
            modules.push(name.to_owned());
            braces.push(true);
            at += 3;
            continue;
        }
        if token.is('{') {
            braces.push(false);
        } else if token.is('}') && braces.pop() == Some(true) {
            modules.pop();
        }
        // After generic arguments a path goes on; after a leading `::` it starts.
        let goes_on = at > 1 && tokens[at - 1].kind == Kind::Path && tokens[at - 2].is('>');
        if token.word().is_some() && !goes_on {
            at = tree(&tokens, at, &mut Vec::new(), &mut |segments| {
                found.push(Named { segments: absolute(&modules, segments), line: token.line });
            });
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one branch of a path tree at `at`, reports its leaves, and answers where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, leaf: &mut impl FnMut(&[String])) -> usize {
    let depth = prefix.len();
    while let Some(word) = tokens.get(at).and_then(Token::word) {
        prefix.push(word.to_owned());
        at += 1;
        if tokens.get(at).is_none_or(|token| token.kind != Kind::Path) {
            leaf(prefix);
            prefix.truncate(depth);
            return at;
        }
        at += 1;
    }
    if tokens.get(at).is_some_and(|token| token.is('{')) {
        at += 1;
        while tokens.get(at).is_some_and(|token| !token.is('}')) {
            let before = at;
            at = tree(tokens, at, prefix, leaf);
            // `as name`, commas, and whatever is no path.
            while at == before || tokens.get(at).is_some_and(|token| !token.is('}') && !token.is(',')) {
                at += 1;
            }
            if tokens.get(at).is_some_and(|token| token.is(',')) {
                at += 1;
            }
        }
        at += 1;
    } else {
        // A glob, or generic arguments: the path as far as it goes.
        if tokens.get(at).is_some_and(|token| token.is('*')) {
            prefix.push("*".to_owned());
            at += 1;
        }
        leaf(prefix);
    }
    prefix.truncate(depth);
    at
}

fn absolute(modules: &[String], segments: &[String]) -> Vec<String> {
    let own = usize::from(segments.first().is_some_and(|first| first == "self"));
    let up = segments[own..].iter().take_while(|segment| *segment == "super").count();
    let relative = own + up;
    // `self` alone is a value, and `super` alone a visibility.
    if relative == 0 || segments.len() == 1 {
        return segments.to_vec();
    }
    let kept = &modules[..modules.len().saturating_sub(up)];
    let mut absolute = vec!["crate".to_owned()];
    absolute.extend(kept.iter().chain(&segments[relative..]).cloned());
    absolute
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &str, text: &str) -> Vec<String> {
        let paths = named(path, text).into_iter().map(|named| named.segments.join("::"));
        paths.filter(|path| path.contains("::")).collect()
    }

    #[test]
    fn groups_are_taken_apart() {
        let text = "use crate::{fs, image::{Digest, config::*}, store as s, self}; use a::b;";
        let expected =
            ["crate::fs", "crate::image::Digest", "crate::image::config::*", "crate::store", "crate::self", "a::b"];
        assert_eq!(all("src/push.rs", text), expected);
    }

    #[test]
    fn relative_paths_are_counted_from_their_module() {
        let text = "use super::error; mod tests { use super::super::x; mod deep { use super::super::super::y; } }
            use super::super::z; use self::own; use super::{super::w, v};";
        let expected = [
            "crate::store::error",
            "crate::store::x",
            "crate::store::y",
            "crate::z",
            "crate::store::blob::own",
            "crate::w",
            "crate::store::v",
        ];
        assert_eq!(all("src/store/blob.rs", text), expected);
    }

    #[test]
    fn paths_in_code_count_too() {
        let text = "fn f(x: &crate::store::ImageStore) -> Vec<crate::image::Digest> { crate::fs::sync_dir::<u8>(x) }";
        let expected = ["crate::store::ImageStore", "crate::image::Digest", "crate::fs::sync_dir"];
        assert_eq!(all("src/push.rs", text), expected);
        assert_eq!(all("src/push.rs", "pub(crate) fn f() { self.x() } pub(in crate::store) mod y;"), ["crate::store"]);
    }
}

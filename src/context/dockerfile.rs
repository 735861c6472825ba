//! Recognizes a Dockerfile by its first line that counts.

use std::io::{self, Read};
use std::path::Path;

use crate::fs::{Links, open_regular};

/// Names under which a builder looks for a Dockerfile in a context's root: docker's, its fallback, and podman's.
pub const DOCKERFILES: [&str; 3] = ["Dockerfile", "dockerfile", "Containerfile"];

/// The most bytes of a text that are read to find its first instruction: comments may come before it.
const MAX_HEAD_BYTES: u64 = 8 << 10;

/// Bytes of a tar header. The last ones are zeros, so a text shows within so many bytes that it is none.
const TAR_HEADER_BYTES: u64 = 512;

/// The instructions of the Dockerfile reference.
const INSTRUCTIONS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The parser directives, which only a Dockerfile has in its first comments.
const DIRECTIVES: [&str; 3] = ["syntax", "escape", "check"];

/// Appends to `head` what tells a Dockerfile from an archive: the size of a tar header, and of a text at most 8 KiB.
///
/// # Errors
/// What `source` fails with.
pub fn read_head(source: &mut impl Read, head: &mut Vec<u8>) -> io::Result<()> {
    for limit in [TAR_HEADER_BYTES, MAX_HEAD_BYTES] {
        if head.contains(&0) {
            break;
        }
        let missing = limit.saturating_sub(head.len() as u64);
        source.by_ref().take(missing).read_to_end(head)?;
    }
    Ok(())
}

/// Returns whether the path is a regular file, or a link to one, that reads like a Dockerfile.
pub fn is_dockerfile(path: &Path) -> bool {
    let mut head = Vec::new();
    open_regular(path, Links::Follow).is_ok_and(|mut file| read_head(&mut file, &mut head).is_ok())
        && reads_like_dockerfile(&head)
}

/// Returns whether a file that begins with `head` reads like a Dockerfile: a text whose first line is an instruction,
/// behind any comments and blank lines, or that has a parser directive such as `# syntax=` among its first comments.
pub fn reads_like_dockerfile(head: &[u8]) -> bool {
    if head.contains(&0) {
        return false;
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut may_be_directive = true;
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        match line.strip_prefix(b"#") {
            Some(comment) if may_be_directive && is_directive(comment) => return true,
            Some(_) => {}
            None if line.is_empty() => {}
            None => {
                let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
                return INSTRUCTIONS.iter().any(|instruction| word.eq_ignore_ascii_case(instruction.as_bytes()));
            }
        }
        // A shebang may come before the directives; anything else ends them.
        may_be_directive = may_be_directive && line.starts_with(b"#!");
    }
    false
}

fn is_directive(comment: &[u8]) -> bool {
    let Some(equals) = comment.iter().position(|byte| *byte == b'=') else { return false };
    let (name, value) = (comment[..equals].trim_ascii(), comment[equals + 1..].trim_ascii());
    !value.is_empty() && DIRECTIVES.iter().any(|directive| name.eq_ignore_ascii_case(directive.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_known_by_its_first_instruction() {
        let long_comment = format!("# {}\n", "x".repeat(4_000));
        for (text, expected) in [
            ("FROM alpine\nRUN true\n", true),
            ("from alpine", true),
            ("FROM\talpine", true),
            ("FROM \\\n  alpine", true),
            ("ARG VERSION=1\r\nFROM alpine:$VERSION\r\n", true),
            ("\n\n  # a comment\n\tFROM scratch\n", true),
            ("\u{feff}FROM alpine\n", true),
            ("# syntax=docker/dockerfile:1\n", true),
            ("#syntax = docker/dockerfile:1\n", true),
            ("#!/usr/bin/env docker\n# escape=`\n", true),
            ("COPY . /\n", true),
            (&format!("{long_comment}FROM alpine\n"), true),
            ("", false),
            ("# only a comment\n", false),
            ("# a comment\n# syntax=docker/dockerfile:1\n", false),
            ("# syntax=\n", false),
            ("From: someone@example.com\n", false),
            ("FROMAGE\n", false),
            ("apiVersion: v1\n", false),
            ("#!/bin/sh\necho FROM\n", false),
            ("FROM alpine\0\0", false),
        ] {
            assert_eq!(reads_like_dockerfile(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn little_of_a_stream_is_read_and_of_an_archive_its_first_header() {
        for (content, read) in [
            (vec![b'#'; 100_000], 8 << 10),
            (vec![b'#'; 700], 700),
            ([vec![b'x'; 100], vec![0; 100_000]].concat(), 512),
            (Vec::new(), 0),
        ] {
            let mut head = Vec::new();
            let mut source = &content[..];
            read_head(&mut source, &mut head).expect("a slice");
            assert_eq!((head.len(), &head[..], source.len()), (read, &content[..read], content.len() - read));
        }
    }
}

//! What Go, Python and GNU tar read in small archives, and what we do.
//!
//! Where all three agree, we read what they read; where they do not, we refuse. The exceptions are listed beside the
//! table, each with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::Deserialize;

use super::super::*;
use crate::image::Digest;

const TABLE: &str = include_str!("../../../../../fixtures/tar-readers.jsonl");
const EXCEPTIONS: &str = include_str!("../../../../../fixtures/tar-readers-exceptions.jsonl");

/// One archive with three readings.
#[derive(Debug, Deserialize)]
struct Row {
    note: String,
    tar_gz: String,
    go: Reading,
    python: Reading,
    gnu_tar: Names,
}

#[derive(Debug, Deserialize)]
struct Reading {
    #[serde(default)]
    entries: Vec<Entry>,
    #[serde(default)]
    error: bool,
}

#[derive(Debug, Deserialize)]
struct Names {
    names: Vec<String>,
    #[serde(default)]
    error: bool,
}

/// Numbers are what the readers say, however large.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    size: f64,
    #[serde(default)]
    link: String,
    sha256: Option<String>,
    mode: Option<i64>,
    uid: Option<i64>,
    gid: Option<i64>,
    mtime: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    note: String,
    /// What we do although the rule says otherwise: `refused` or `accepted`.
    we: String,
    reason: String,
}

impl Entry {
    /// What all readers say of an entry: Python drops slashes of directories, and links matter where there are some.
    fn common(&self) -> (String, String, String, String, Option<String>) {
        let is_link = matches!(self.kind.as_str(), "1" | "2");
        let link = if is_link { self.link.clone() } else { String::new() };
        let kind = if self.kind == "7" { "0" } else { &self.kind };
        (
            self.name.trim_end_matches('/').to_owned(),
            kind.to_owned(),
            link,
            self.size.to_string(),
            self.sha256.clone().filter(|_| self.size > 0.0),
        )
    }
}

impl Row {
    fn archive(&self) -> Vec<u8> {
        use base64::Engine;
        let packed = base64::engine::general_purpose::STANDARD.decode(&self.tar_gz).expect("base64");
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("gzip");
        bytes
    }

    /// Go's entries without those that are about all others.
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.go.entries.iter().filter(|entry| entry.kind != "g")
    }

    fn do_readers_agree(&self) -> bool {
        let common: Vec<_> = self.entries().map(Entry::common).collect();
        let python: Vec<_> = self.python.entries.iter().map(Entry::common).collect();
        // GNU tar's names are lines.
        let lines = |names: Vec<&str>| names.join("\n").replace("/\n", "\n").trim_end_matches(['/', '\n']).to_owned();
        let names = lines(common.iter().map(|entry| &entry.0[..]).collect());
        let listed = lines(self.gnu_tar.names.iter().map(String::as_str).collect());
        let errors = self.go.error || self.python.error || self.gnu_tar.error;
        !errors && common == python && names == listed
    }
}

/// The archives of the table, and whether the reader refuses them.
pub(crate) fn archives() -> Vec<(String, Vec<u8>, bool)> {
    let archives = rows().into_iter().map(|row| (row.archive(), row.note));
    archives.map(|(archive, note)| (note, archive.clone(), ours(&archive).is_err())).collect()
}

fn rows() -> Vec<Row> {
    TABLE.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn exceptions() -> BTreeMap<String, Exception> {
    let exceptions = EXCEPTIONS.lines().map(|line| serde_json::from_str::<Exception>(line).expect("an exception"));
    exceptions.map(|exception| (exception.note.clone(), exception)).collect()
}

/// Our reading in Go's words.
fn ours(archive: &[u8]) -> Result<Vec<Entry>, TarError> {
    let mut reader = TarReader::new(archive);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = vec![0; usize::try_from(entry.size).expect("small")];
        let whole = [(0, entry.stored)];
        for (begin, length) in entry.pieces.as_deref().unwrap_or(&whole) {
            let piece = usize::try_from(*begin).expect("small")..usize::try_from(begin + length).expect("small");
            reader.read_exact(&mut content[piece]).map_err(|error| reader.explain(error))?;
        }
        assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
        let kind = match entry.kind {
            EntryKind::File => b'0',
            EntryKind::HardLink => b'1',
            EntryKind::Symlink => b'2',
            EntryKind::CharDevice => b'3',
            EntryKind::BlockDevice => b'4',
            EntryKind::Directory => b'5',
            EntryKind::Fifo => b'6',
            EntryKind::Other(flag) => flag,
        };
        #[expect(clippy::cast_precision_loss, reason = "sizes here are small")]
        entries.push(Entry {
            name: String::from_utf8_lossy(&entry.path).into_owned(),
            kind: char::from(kind).to_string(),
            size: entry.size as f64,
            link: String::from_utf8_lossy(entry.link.as_deref().unwrap_or_default()).into_owned(),
            sha256: (entry.size > 0).then(|| Digest::of(&content).hex()[..16].to_owned()),
            mode: Some(i64::from(entry.mode)),
            uid: Some(entry.uid.cast_signed()),
            gid: Some(entry.gid.cast_signed()),
            mtime: Some(entry.mtime),
        });
    }
    reader.finish()?;
    Ok(entries)
}

/// What differs between our reading and the rule, if anything does.
fn verdict(row: &Row) -> Result<(), String> {
    let read = ours(&row.archive());
    let same = read.as_ref().is_ok_and(|read| {
        read.len() == row.entries().count()
            && row.entries().zip(read).all(|(go, ours)| {
                go.common() == ours.common()
                    && go.mode.map(|mode| mode & 0o7777) == ours.mode
                    && (go.uid, go.gid, go.mtime) == (ours.uid, ours.gid, ours.mtime)
            })
    });
    match (row.do_readers_agree(), &read) {
        (true, Ok(_)) if same => Ok(()),
        (true, Ok(read)) => Err(format!("read otherwise: {read:?}")),
        (true, Err(_)) => Err("refused".into()),
        (false, Ok(_)) if same => Err("accepted".into()),
        (false, Ok(read)) => Err(format!("accepted, and read otherwise than by Go: {read:?}")),
        (false, Err(_)) => Ok(()),
    }
}

#[test]
fn archives_are_read_as_others_read_them_or_refused() {
    let exceptions = exceptions();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for row in rows() {
        match (verdict(&row), exceptions.get(&row.note)) {
            (Ok(()), _) => {}
            (Err(found), Some(exception)) if exception.we == found => {
                used.insert(row.note);
            }
            (Err(found), _) => wrong.push(format!("{}: {found} ({:?})", row.note, ours(&row.archive()).err())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused: Vec<_> = exceptions.keys().filter(|note| !used.contains(*note)).collect();
    assert!(unused.is_empty(), "not exceptions any more: {unused:?}");
    assert!(exceptions.values().all(|exception| !exception.reason.is_empty()));
    let accepted = exceptions.values().filter(|exception| exception.we == "accepted").count();
    assert_eq!(accepted, 0, "where readers differ, nothing is accepted");
}

#[test]
fn most_of_what_readers_agree_on_is_read() {
    let agreed: Vec<Row> = rows().into_iter().filter(Row::do_readers_agree).collect();
    let read = agreed.iter().filter(|row| ours(&row.archive()).is_ok()).count();
    assert!(read * 10 > agreed.len() * 8, "{read} of {}", agreed.len());
}

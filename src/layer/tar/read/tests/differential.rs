//! Archives with something unusual in them, read by us, by Python's tarfile and by GNU tar: what we accept, both read
//! alike.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::super::*;
use super::record;
use crate::image::Digest;

/// The archives are the same in every run; another number makes others.
const SEED: u64 = 1;

/// How many archives are made.
const ARCHIVES: usize = 1500;

/// Makes archives; the seed decides everything.
struct Maker(fastrand::Rng);

impl Maker {
    fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.0.usize(..choices.len())]
    }

    /// Whether something that happens in one of so many cases does.
    fn rarely(&mut self, cases: u32) -> bool {
        self.0.u32(..cases) == 0
    }

    fn archive(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.0.usize(1..4) {
            for _ in 0..4 {
                if self.rarely(5) {
                    let extension = self.extension();
                    bytes.extend(extension);
                }
            }
            let entry = self.entry();
            bytes.extend(entry);
            if self.rarely(20) {
                bytes.extend([0; BLOCK]);
            }
        }
        bytes.resize(bytes.len() + BLOCK * self.0.usize(0..3), 0);
        if self.rarely(6) {
            self.damage(&mut bytes);
        }
        if self.rarely(20) {
            bytes.truncate(self.0.usize(..bytes.len()));
        }
        if self.rarely(20) {
            bytes.extend(self.entry());
        }
        bytes
    }

    /// Changes a byte, mostly as if it had been written so.
    fn damage(&mut self, bytes: &mut [u8]) {
        let at = if self.0.bool() { self.0.usize(..BLOCK.min(bytes.len())) } else { self.0.usize(..bytes.len()) };
        bytes[at] = *self.one_of(&[&0, &b'/', &b' ', &b'7', &b'9', &b'-', &b'=', &0x80, &0xff, &b'\n']);
        let start = at / BLOCK * BLOCK;
        if !self.rarely(8)
            && let Some(block) = bytes.get_mut(start..start + BLOCK)
        {
            checksum(block, false);
        }
    }

    fn entry(&mut self) -> Vec<u8> {
        let flags: [&u8; 20] = [
            &b'0', &b'0', &b'0', &b'0', &b'0', &0, &0, &b'1', &b'2', &b'2', &b'3', &b'5', &b'5', &b'6', &b'7', &b'S',
            &b'D', &b'V', &b'X', &b'z',
        ];
        let flag = *self.one_of(&flags);
        let has_content = matches!(flag, 0 | b'0' | b'7' | b'S') != self.rarely(12);
        let content = if has_content { self.content() } else { Vec::new() };
        let name = match flag {
            b'5' => self.one_of(&["d", "d/", "e/f", "./d/", "d//"]),
            // GNU tar lists no label without a name.
            b'V' => "label",
            _ if self.rarely(10) => self.one_of(&["", "a/", "/a", "../a", "."]),
            _ => self.one_of(&["a", "b", "./c", "d/e", "\u{e9}", "d//f"]),
        };
        let mut block = header(name.as_bytes(), flag, content.len());
        let is_link = matches!(flag, b'1' | b'2');
        if is_link || self.rarely(8) {
            block[157..158].copy_from_slice(self.one_of(&["t", "u", "v"]).as_bytes());
        }
        self.dialect(&mut block, flag);
        if flag == b'S' && !self.rarely(6) {
            self.old_map(&mut block, content.len());
        }
        if self.rarely(6) {
            self.number(&mut block);
        }
        checksum(&mut block, self.0.u32(..10) == 0);
        [&block[..], &padded(content)].concat()
    }

    /// A number as some writer might have it.
    fn number(&mut self, block: &mut [u8]) {
        let (start, end) =
            *self.one_of(&[&(100, 108), &(108, 116), &(116, 124), &(124, 136), &(136, 148), &(329, 337), &(337, 345)]);
        let field = &mut block[start..end];
        let text: &[u8] = match self.0.u32(..14) {
            0 => b"       ",
            1 => b"",
            2 => b"-1",
            3 => b"+1",
            4 => b" 3",
            5 => b"3 ",
            6 => b"\x80",
            7 => b"\x81",
            8 => b"3x",
            9 => b"\x003",
            10 => b"0003\0x",
            11 => b"1_0",
            12 => b"0o3",
            _ => &[0xff; 12],
        };
        field.fill(if self.rarely(3) { b' ' } else { 0 });
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text[..length]);
    }

    fn dialect(&mut self, block: &mut [u8], flag: u8) {
        let magic: &[u8; 8] = match flag {
            b'S' if !self.rarely(6) => b"ustar  \0",
            _ => self.one_of(&[
                b"ustar\x0000",
                b"ustar\x0000",
                b"ustar  \0",
                b"ustar  \0",
                b"\0\0\0\0\0\0\0\0",
                b"ustar\x0011",
                b"ustar x\0",
            ]),
        };
        block[257..265].copy_from_slice(magic);
        if self.rarely(12) {
            block[508..512].copy_from_slice(b"tar\0");
        }
        if self.rarely(8) {
            let prefix: &[u8] = self.one_of(&[b"p", b"p/q", b"00000000001", b"/", &[b'p'; 140]]);
            block[345..345 + prefix.len()].copy_from_slice(prefix);
        }
    }

    fn old_map(&mut self, block: &mut [u8], stored: usize) {
        let first = if stored > BLOCK { BLOCK } else { stored } / if self.rarely(8) { 2 } else { 1 };
        let (begin, gap, end) = (self.0.usize(..40), self.0.usize(..40), self.0.usize(..40));
        let second = begin + first + gap;
        let size = second + (stored - first) + end + usize::from(self.rarely(12));
        let all = [(begin, first), (second, stored - first), (second + stored - first + end, 0)];
        let used = |piece: &&(usize, usize)| piece.1 > 0 || piece.0 == all[2].0;
        let dropped = usize::from(self.rarely(8));
        for (at, (begin, length)) in all.iter().filter(used).skip(dropped).enumerate() {
            let text = format!("{begin:011o}\0{length:011o}\0");
            block[386 + 24 * at..410 + 24 * at].copy_from_slice(text.as_bytes());
        }
        block[483..495].copy_from_slice(format!("{size:011o}\0").as_bytes());
    }

    fn content(&mut self) -> Vec<u8> {
        match self.0.u32(..6) {
            0 => Vec::new(),
            // A reader that skips the entry reads its content as entries.
            1 => [header(b"inner", b'0', 0).to_vec(), vec![0; 512]].concat(),
            2 => vec![b'c'; 512],
            3 => b"1\n0\n3\n".iter().copied().chain(vec![0; 506]).chain(*b"abc").collect(),
            _ => b"hi\n".to_vec(),
        }
    }

    fn extension(&mut self) -> Vec<u8> {
        let flag = *self.one_of(&[&b'x', &b'x', &b'x', &b'x', &b'g', &b'L', &b'L', &b'K']);
        let mut content = match flag {
            b'x' => self.records(),
            b'g' => record(self.one_of(&["comment", "hdrcharset", "path", "uid", "SCHILY.xattr.user.x"]), b"7"),
            _ => match self.0.u32(..6) {
                0 => Vec::new(),
                1 => b"long\0more\0".to_vec(),
                2 => b"long/\0".to_vec(),
                _ => [vec![b'n'; 120], vec![0]].concat(),
            },
        };
        let mut block = header(b"extension", flag, content.len());
        self.dialect(&mut block, flag);
        if self.rarely(12) {
            self.number(&mut block);
        }
        checksum(&mut block, false);
        let length = content.len();
        content = padded(content);
        if self.rarely(12)
            && let Some(first) = content.get_mut(length)
        {
            *first = b'9';
        }
        [&block[..], &content].concat()
    }

    fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        if self.rarely(8) {
            let sets: [&[(&str, &str)]; 6] = [
                &[("size", "5"), ("numblocks", "1"), ("map", "2,3")],
                &[("size", "5"), ("numblocks", "1"), ("offset", "2"), ("numbytes", "3")],
                &[("major", "1"), ("minor", "0"), ("name", "s"), ("realsize", "4")],
                &[("major", "0"), ("minor", "1"), ("size", "5"), ("numblocks", "1"), ("map", "0,3")],
                &[("size", "5"), ("map", "2,3"), ("numblocks", "1")],
                &[("realsize", "5"), ("numblocks", "1"), ("map", "2,3")],
            ];
            for (key, value) in self.one_of(&sets) {
                records.extend(record(&format!("GNU.sparse.{key}"), value.as_bytes()));
            }
        }
        for _ in 0..self.0.usize(..3) {
            let key = self.one_of(&[
                "path",
                "path",
                "linkpath",
                "size",
                "uid",
                "gid",
                "mtime",
                "atime",
                "comment",
                "hdrcharset",
                "uname",
                "SCHILY.xattr.user.x",
                "GNU.sparse.name",
                "",
            ]);
            let values: &[&str] = match key {
                "path" | "linkpath" | "uname" | "GNU.sparse.name" => &["p", "p/q", "p/", "", "/p", "p\0q"],
                "size" => &["3", "3", "0", "512", "03", "+3", "-3", "", "x"],
                "uid" | "gid" => &["3", "70000", "4294967295", "4294967296", "-1", "", "1_0"],
                "mtime" | "atime" => &["3", "3.5", "-3.5", "3.", "", "1e3", "x", "inf"],
                _ => &["BINARY", "x=y", "x\ny", "10 path=q\n", "22 GNU.sparse.offset=5\n"],
            };
            let value = self.one_of(values);
            let mut one = record(key, value.as_bytes());
            if self.rarely(12) {
                one.insert(0, b'0');
            }
            records.extend(one);
        }
        if self.rarely(16) {
            records.push(0);
        }
        records
    }
}

fn header(name: &[u8], flag: u8, size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    let numbers = format!("0000644\x000000000\x000000000\0{size:011o}\x0000000000001\0");
    block[100..148].copy_from_slice(numbers.as_bytes());
    block[156] = flag;
    checksum(&mut block, false);
    block
}

fn checksum(block: &mut [u8], signed: bool) {
    block[148..156].fill(b' ');
    let sum: i64 = block.iter().map(|byte| if signed { i64::from(byte.cast_signed()) } else { i64::from(*byte) }).sum();
    block[148..156].copy_from_slice(format!("{:06o}\0 ", sum.max(0)).as_bytes());
}

fn padded(mut content: Vec<u8>) -> Vec<u8> {
    content.resize(content.len().next_multiple_of(BLOCK), 0);
    content
}

#[derive(Debug, PartialEq, Deserialize)]
struct Reading {
    entries: Vec<Entry>,
    error: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Entry {
    name: String,
    kind: String,
    size: i64,
    link: String,
    sha256: String,
}

/// The names, and all files' content one after the other.
type Listing = (Vec<Vec<u8>>, Vec<u8>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("in memory");
        text
    })
}

/// Our entries in Python's words, and in GNU tar's.
fn ours(archive: &[u8]) -> Result<(Reading, Listing), TarError> {
    let mut reader = TarReader::new(archive);
    let (mut entries, mut names, mut contents) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(entry) = reader.next_entry()? {
        let mut content = vec![0; usize::try_from(entry.size).expect("small")];
        let whole = [(0, entry.stored)];
        for (begin, length) in entry.pieces.as_deref().unwrap_or(&whole) {
            let piece = usize::try_from(*begin).expect("small")..usize::try_from(begin + length).expect("small");
            reader.read_exact(&mut content[piece]).map_err(|error| reader.explain(error))?;
        }
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
        entries.push(Entry {
            name: hex(trimmed(&entry.path)),
            kind: char::from(kind).to_string(),
            size: entry.size.cast_signed(),
            link: hex(entry.link.as_deref().unwrap_or_default()),
            sha256: Digest::of(&content).hex(),
        });
        names.push(trimmed(&entry.path).to_vec());
        contents.extend(content);
    }
    reader.finish()?;
    Ok((Reading { entries, error: None }, (names, contents)))
}

fn trimmed(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    &name[..end]
}

/// What Python reads in each of the files, in our words.
fn python(files: &[&Path]) -> Vec<Reading> {
    let mut child = Command::new("python3")
        .args(["-c", include_str!("../../../../../fixtures/tar-readers.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed for this test (Debian's package python3)");
    let list = files.iter().map(|file| file.to_str().expect("text")).collect::<Vec<_>>().join("\n");
    let mut input = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || input.write_all(list.as_bytes()));
    let output = child.wait_with_output().expect("python3");
    writer.join().expect("no panic").expect("written");
    let lines = String::from_utf8(output.stdout).expect("JSON");
    let readings: Vec<Reading> = lines
        .lines()
        .map(|line| {
            let mut reading: Reading = serde_json::from_str(line).expect("JSON");
            for entry in &mut reading.entries {
                while entry.name.ends_with("2f") && entry.name.len().is_multiple_of(2) {
                    entry.name.truncate(entry.name.len() - 2);
                }
                if !matches!(entry.kind.as_str(), "1" | "2") {
                    entry.link.clear();
                }
                if matches!(entry.kind.as_str(), "7" | "\0" | "S") {
                    entry.kind = "0".into();
                }
            }
            reading
        })
        .collect();
    assert_eq!(readings.len(), files.len());
    readings
}

/// What GNU tar reads; the error's text where it refuses.
fn gnu_tar(file: &Path) -> Result<Listing, String> {
    let output = Command::new("tar")
        .args(["-xvPO", "--quoting-style=literal", "--no-auto-compress", "--warning=none", "-f"])
        .arg(file)
        .current_dir(file.parent().expect("a directory"))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .expect("GNU tar is needed for this test");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let lines = output.stderr.split_inclusive(|byte| *byte == b'\n');
    // It says that it writes `.` where there is no name, and lists none all the same.
    let names = lines
        .filter(|line| !line.starts_with(b"tar: Substituting"))
        .map(|name| trimmed(name.strip_suffix(b"\n").unwrap_or(name)).to_vec())
        .collect();
    Ok((names, output.stdout))
}

#[test]
fn what_is_accepted_others_read_alike() {
    let mut maker = Maker(fastrand::Rng::with_seed(SEED));
    let directory = tempfile::tempdir().expect("a directory");
    let mut accepted = Vec::new();
    for number in 0..ARCHIVES {
        let archive = maker.archive();
        if let Ok(ours) = ours(&archive) {
            let file = directory.path().join(format!("{number}.tar"));
            std::fs::write(&file, &archive).expect("written");
            accepted.push((file, archive, ours));
        }
    }
    let files: Vec<&Path> = accepted.iter().map(|(file, ..)| file.as_path()).collect();
    let mut wrong = String::new();
    for ((file, archive, (ours, (names, contents))), python) in accepted.iter().zip(python(&files)) {
        let is_alike = match gnu_tar(file) {
            Err(error) => Err(error),
            Ok((listed, _)) if listed != *names => {
                Err(format!("{:?}", listed.iter().map(|name| name.escape_ascii().to_string()).collect::<Vec<_>>()))
            }
            Ok((_, written)) if written != *contents => Err("other content".to_owned()),
            Ok(_) if *ours != python => Err("the same".to_owned()),
            Ok(_) => Ok(()),
        };
        if let Err(gnu) = is_alike {
            let blocks: Vec<_> = archive.chunks(BLOCK).map(|block| block.escape_ascii().to_string()).collect();
            let blocks = blocks.join("\n  ").replace("\\x00\\x00\\x00\\x00", "");
            writeln!(wrong, "seed {SEED}, we: {ours:?}\npython: {python:?}\ngnu: {gnu}\n  {blocks}\n")
                .expect("in memory");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(accepted.len() * 5 > ARCHIVES, "only {} of {ARCHIVES} are accepted", accepted.len());
}

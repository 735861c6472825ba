//! System calls of a real run, as strace writes them down, and the promises that their order has to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::Sandbox;

/// Calls that the promises are about.
const CALLS: &str = "trace=openat,write,pwrite64,writev,ftruncate,copy_file_range,sendfile,fsync,fdatasync,rename,renameat,\
                     renameat2,flock,close,mkdir,mkdirat,unlink,unlinkat";

/// A command line that runs under strace, which writes to `log`.
pub(crate) fn traced(sandbox: &Sandbox, words: &[&str], log: &Path) -> Command {
    let plain = sandbox.command(words);
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "0", "-e", CALLS, "-o"]).arg(log).arg(plain.get_program());
    command.arg(words[0].trim_start_matches("idpbuilder-")).args(plain.get_args());
    command.current_dir(sandbox.work()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// One call that succeeded. Lines of a trace are its clock.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: Vec<String>,
    result: String,
    began: usize,
    ended: usize,
}

/// The calls of a trace, in the order in which they ended.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (number, start.to_owned()));
            continue;
        }
        let (began, text) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => {
                let (began, start) = unfinished.remove(thread).expect("a call that goes on has begun");
                (began, start + end)
            }
            None => (number, rest.to_owned()),
        };
        let Some((call, result)) = text.rsplit_once(" = ") else { continue };
        let Some((name, arguments)) = call.trim_end().strip_suffix(')').and_then(|call| call.split_once('(')) else {
            continue;
        };
        if !result.starts_with('-') {
            let arguments = arguments.split(", ").map(|argument| argument.trim().to_owned()).collect();
            calls.push(Call { name: name.to_owned(), arguments, result: result.to_owned(), began, ended: number });
        }
    }
    calls
}

/// The path that strace shows with a descriptor.
fn opened(descriptor: &str) -> PathBuf {
    let path = descriptor.split_once('<').map_or("", |(_, path)| path);
    PathBuf::from(path.trim_end_matches("(deleted)").trim_end_matches('>'))
}

/// The path that a name means in a directory.
fn at(directory: &str, name: &str) -> PathBuf {
    opened(directory).join(name.trim_matches('"'))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// What would be lost if the machine lost power now, and what was broken up to now.
#[derive(Default)]
struct Disk {
    /// Files with bytes that are not on the disk, and when the last came.
    files: BTreeMap<PathBuf, usize>,
    /// Directories with names that are not on the disk.
    names: BTreeMap<PathBuf, BTreeMap<PathBuf, usize>>,
    /// Lock files that are held by descriptor, with the descriptor.
    locks: BTreeSet<(String, PathBuf)>,
    broken: Vec<String>,
}

/// What is expected of a trace besides the promises that all keep.
#[derive(Clone, Copy, Default)]
pub(crate) struct Expected {
    /// Whether the last line of the audit log has to be on the disk before its lock is released.
    pub(crate) audited: bool,
}

/// Returns the promises that a trace breaks. `new` are files that did not exist before.
pub(crate) fn broken(trace: &str, new: &[PathBuf], expected: Expected) -> Vec<String> {
    let mut disk = Disk::default();
    // Whether the last line of the audit log was on the disk when its lock was released.
    let mut audited = None;
    for call in calls(trace) {
        let arguments: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
        match (call.name.as_str(), &arguments[..]) {
            ("openat", [_, _, flags, ..]) if flags.contains("O_CREAT") => {
                let path = opened(&call.result);
                if flags.contains("O_EXCL") || new.contains(&path) && !disk.files.contains_key(&path) {
                    disk.files.insert(path.clone(), call.ended);
                    disk.named(&path, call.ended);
                }
            }
            ("write" | "pwrite64" | "writev" | "ftruncate" | "sendfile", [file, ..])
            | ("copy_file_range", [_, _, file, ..]) => {
                let path = opened(file);
                if path.ends_with("audit.jsonl") {
                    disk.needs_lock(&path, ".audit.lock");
                }
                disk.files.insert(path, call.ended);
            }
            ("fsync" | "fdatasync", [file]) => disk.synced(&opened(file), call.began),
            ("rename", [from, to]) => disk.renamed(&at("", from), &at("", to), call.ended),
            ("renameat" | "renameat2", [here, from, there, to, ..]) => {
                disk.renamed(&at(here, from), &at(there, to), call.ended);
            }
            ("mkdir", [name, ..]) => disk.named(&at("", name), call.ended),
            ("mkdirat", [directory, name, ..]) => disk.named(&at(directory, name), call.ended),
            ("unlink", [name]) => disk.removed(&at("", name)),
            ("unlinkat", [directory, name, ..]) => disk.removed(&at(directory, name)),
            ("flock", [file, how]) if how.contains("LOCK_EX") => {
                disk.locks.insert(((*file).to_owned(), opened(file)));
            }
            ("close", [file]) => {
                let released = disk.locks.remove(&((*file).to_owned(), opened(file)));
                if released && opened(file).ends_with(".audit.lock") {
                    audited = Some(!disk.is_lost(&opened(file).with_file_name("audit.jsonl")));
                }
            }
            _ => {}
        }
    }
    disk.at_the_end();
    if expected.audited && audited != Some(true) {
        let what = audited.map_or("has no line", |_| "is released before its line is on the disk");
        disk.broken.push(format!("the audit log {what}"));
    }
    disk.broken
}

impl Disk {
    /// Whether a power loss would take the file, or its name.
    fn is_lost(&self, path: &Path) -> bool {
        self.files.contains_key(path) || self.names.get(&parent(path)).is_some_and(|names| names.contains_key(path))
    }

    fn named(&mut self, path: &Path, when: usize) {
        self.names.entry(parent(path)).or_default().insert(path.to_owned(), when);
    }

    /// What came before the call began is on the disk; what came meanwhile may not be.
    fn synced(&mut self, path: &Path, began: usize) {
        if self.files.get(path).is_some_and(|when| *when < began) {
            self.files.remove(path);
        }
        if let Some(names) = self.names.get_mut(path) {
            names.retain(|_, when| *when >= began);
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path, when: usize) {
        if let Some(names) = self.names.get_mut(&parent(from)) {
            names.remove(from);
        }
        let lost = self.files.remove(from);
        // What is kept to be faster can be made anew.
        if to.components().any(|part| part.as_os_str() == "cache" || part.as_os_str() == ".verified") {
            return;
        }
        if lost.is_some() {
            self.broken.push(format!("{} gets its name before its bytes are on the disk", shown(to)));
        }
        if to.ends_with("index.json") {
            self.needs_lock(to, ".index.lock");
            let store = parent(to);
            for (directory, names) in &self.names {
                if directory.starts_with(&store) && !names.is_empty() && *directory != store {
                    self.broken.push(format!("index.json changes before the names in {} last", shown(directory)));
                }
            }
        }
        self.named(to, when);
    }

    /// A blob goes when no index on the disk refers to it.
    fn removed(&mut self, path: &Path) {
        let directory = parent(path);
        if let Some(names) = self.names.get_mut(&directory) {
            names.remove(path);
        }
        if directory.ends_with("blobs/sha256") {
            let index = directory.parent().and_then(Path::parent).map(|store| store.join("index.json"));
            if index.is_some_and(|index| self.is_lost(&index)) {
                self.broken.push("a blob is removed before the index without it is on the disk".to_owned());
            }
        }
    }

    fn needs_lock(&mut self, path: &Path, lock: &str) {
        let lock = path.with_file_name(lock);
        if !self.locks.iter().any(|(_, held)| *held == lock) {
            self.broken.push(format!("{} changes without its lock", shown(path)));
        }
    }

    fn at_the_end(&mut self) {
        for (directory, names) in &self.names {
            for name in names.keys() {
                // Locks and temporary files are nothing that lasts.
                let passing = name.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                if !passing
                    && !directory.components().any(|part| {
                        part.as_os_str() == "cache" || part.as_os_str() == ".tmp" || part.as_os_str() == ".verified"
                    })
                {
                    self.broken.push(format!("the name {} is not on the disk", shown(name)));
                }
            }
        }
    }
}

/// The last component, blobs by their kind alone.
fn shown(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.len() == 64 { "a blob".to_owned() } else { name.into_owned() }
}

#[test]
fn broken_promises_are_seen() {
    let good = "\
1 openat(AT_FDCWD</w>, \"/h/.idpbuilder/audit.jsonl\", O_RDWR|O_CREAT|O_APPEND, 0600) = 4</h/audit.jsonl>
1 flock(3</h/.audit.lock>, LOCK_EX|LOCK_NB) = 0
1 write(4</h/audit.jsonl>, \"\"..., 9) = 9
1 fdatasync(4</h/audit.jsonl>) = 0
1 close(3</h/.audit.lock>) = 0
1 openat(5</s/.tmp>, \"blob-a\", O_RDWR|O_CREAT|O_EXCL, 0600) = 6</s/.tmp/blob-a>
1 write(6</s/.tmp/blob-a>, \"\"..., 9) = 9
2 fsync(6</s/.tmp/blob-a> <unfinished ...>
1 close(9</x>) = 0
2 <... fsync resumed>) = 0
1 renameat(5</s/.tmp>, \"blob-a\", 7</s/blobs/sha256>, \"abc\") = 0
1 fsync(7</s/blobs/sha256>) = 0
1 flock(8</s/.index.lock>, LOCK_EX|LOCK_NB) = 0
1 openat(AT_FDCWD</w>, \"/s/.tmp-1\", O_RDWR|O_CREAT|O_EXCL, 0600) = 6</s/.tmp-1>
1 fsync(6</s/.tmp-1>) = 0
1 renameat(AT_FDCWD</w>, \"/s/.tmp-1\", AT_FDCWD</w>, \"/s/index.json\") = 0
1 fsync(6</s>) = 0
1 unlinkat(7</s/blobs/sha256>, \"def\", 0) = 0
";
    let all = Expected { audited: true };
    assert_eq!(broken(good, &[], all), Vec::<String>::new());
    // Each line that makes something last is missed, and each lock.
    for (number, line) in good.lines().enumerate() {
        if !line.contains("sync(") && !line.contains("flock(") {
            continue;
        }
        let others: Vec<&str> =
            good.lines().enumerate().filter(|(other, _)| *other != number).map(|(_, line)| line).collect();
        let others = others.join("\n").replace(
            "2 <... fsync resumed>) = 0\n",
            if line.contains("unfinished") { "" } else { "2 <... fsync resumed>) = 0\n" },
        );
        assert!(!broken(&others, &[], all).is_empty(), "without {line}");
    }
    let early = "1 unlinkat(7</s/blobs/sha256>, \"def\", 0) = 0\n";
    let early = good.replace(early, "").replace("1 fsync(6</s>) = 0\n", &format!("{early}1 fsync(6</s>) = 0\n"));
    assert_eq!(broken(&early, &[], all), ["a blob is removed before the index without it is on the disk"]);
    // What is written while the disk takes the rest is not on it.
    let meanwhile = good.replace("1 close(9</x>) = 0", "1 write(6</s/.tmp/blob-a>, \"\"..., 9) = 9");
    assert_eq!(broken(&meanwhile, &[], all), ["abc gets its name before its bytes are on the disk"]);
    assert_eq!(broken(good, &["/h/audit.jsonl".into()], all).len(), 2, "its name is not on the disk");
}

//! Extension headers in the format of POSIX: records about the entry that follows them, or about all.

use super::TarError;
use super::number::{decimal, seconds};
use super::sparse::Records;

/// The most bytes a capability attribute has (Linux knows 12, 20 and 24).
const MAX_CAPABILITY_BYTES: usize = 64;

/// The key of a file's capabilities.
const CAPABILITY: &[u8] = b"SCHILY.xattr.security.capability";

/// What records say about the entry that follows them.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) capability: Option<Vec<u8>>,
    /// The key of the first attribute that no layer of ours has.
    pub(super) dropped: Option<Vec<u8>>,
    pub(super) sparse: Records,
}

impl Overrides {
    /// Reads the records of one header; of two with one key the later counts.
    pub(super) fn read(bytes: &[u8], offset: u64) -> Result<Self, TarError> {
        let malformed = || TarError::Field { offset, field: "pax record" };
        let id = |value| decimal(value).filter(|id| u32::try_from(*id).is_ok()).ok_or_else(malformed);
        let mut overrides = Self { sparse: Records::new(bytes), ..Self::default() };
        for record in records(bytes) {
            let (key, value) = record.ok_or_else(malformed)?;
            match key {
                // Where there is nothing, Go keeps what the header says and Python does not.
                b"path" | b"linkpath" if value.is_empty() => return Err(malformed()),
                b"path" => overrides.path = Some(value.to_vec()),
                b"linkpath" => overrides.link = Some(value.to_vec()),
                b"size" => overrides.size = Some(decimal(value).ok_or_else(malformed)?),
                b"uid" => overrides.uid = Some(id(value)?),
                b"gid" => overrides.gid = Some(id(value)?),
                b"mtime" => overrides.mtime = Some(seconds(value).ok_or_else(malformed)?),
                // Not needed, but refused by some readers.
                b"atime" | b"ctime" => drop(seconds(value).ok_or_else(malformed)?),
                CAPABILITY if value.len() > MAX_CAPABILITY_BYTES => {
                    return Err(TarError::Field { offset, field: "capability" });
                }
                CAPABILITY => overrides.capability = (!value.is_empty()).then(|| value.to_vec()),
                _ if is_attribute(key) => {
                    overrides.dropped.get_or_insert_with(|| key.to_vec());
                }
                _ => {
                    if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                        overrides.sparse.read(key, value).ok_or_else(|| super::sparse::malformed(offset))?;
                    }
                }
            }
        }
        Ok(overrides)
    }
}

/// Checks the records of a header about all entries that follow. Go passes over all of it, Python and GNU tar do not:
/// nothing in it may be about names, content or owners. Returns the key of the first attribute that no layer of ours has.
pub(super) fn check_global(bytes: &[u8], offset: u64) -> Result<Option<Vec<u8>>, TarError> {
    let mut dropped = None;
    for record in records(bytes) {
        let (key, _) = record.ok_or(TarError::Field { offset, field: "pax record" })?;
        if matters(key) {
            let what = "a global pax record about names, sizes, owners, times or capabilities";
            return Err(TarError::Ambiguous { offset, what });
        }
        if is_attribute(key) {
            dropped.get_or_insert_with(|| key.to_vec());
        }
    }
    Ok(dropped)
}

/// Returns whether a record is an extended attribute or an access list, however an archiver calls it.
fn is_attribute(key: &[u8]) -> bool {
    let starts: [&[u8]; 4] = [b"SCHILY.xattr.", b"LIBARCHIVE.xattr.", b"SCHILY.acl.", b"RHT.security."];
    key != CAPABILITY && starts.iter().any(|start| key.starts_with(start))
}

/// Returns whether some reader acts on a record about all entries.
fn matters(key: &[u8]) -> bool {
    let names: [&[u8]; 9] = [b"path", b"linkpath", b"size", b"uid", b"gid", b"uname", b"gname", b"mtime", CAPABILITY];
    names.contains(&key) || key.starts_with(b"GNU.")
}

/// Returns the keys and values of `length key=value\n` records; the value may hold any byte. Ends with `None` where
/// something is no record to one of the readers.
fn records(mut rest: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| {
            let record = first(rest);
            rest = record.map_or(&[][..], |(_, _, length)| &rest[length..]);
            record.map(|(key, value, _)| (key, value))
        })
    })
}

/// Returns the key, the value and the length of the first record.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    #[cfg(test)]
    crate::work::count();
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok().filter(|length| *length <= bytes.len())?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    #[cfg(test)]
    crate::work::add(record.len());
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    // A NUL ends a text for some and not for others.
    let is_text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname" | b"GNU.sparse.name");
    let has_nul = key.contains(&0) || is_text && value.contains(&0);
    (!key.is_empty() && !has_nul).then_some((key, value, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_split_by_their_lengths() {
        let read = |bytes: &[u8]| -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
            records(bytes).map(|record| record.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        };
        assert_eq!(read(b""), Some(Vec::new()));
        assert_eq!(read(b"5 a=\n011 b=c\nd=\n"), Some(vec![(b"a".into(), b"".into()), (b"b".into(), b"c\nd=".into())]));
        for bytes in [
            &b"8 path=x\n"[..],
            b"x path=x\n",
            b"+9 path=x\n",
            b"9 path=x\n\0",
            b"9 path=x ",
            b"11 path=x\n",
            b"4 a\n",
            b"4 =\n",
            b"3 \n",
            b"7 a\0=b\n",
            b"11 path=b\0\n",
            b"12 uname=b\0\n",
            b"99999999999999999999 a=b\n",
            b"00000000000000000000000005 a=\n",
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn twice_the_records_are_twice_the_work() {
        let piece = "23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=0\n";
        for record in ["5 a=\n", "9 path=x\n", "15 mtime=1.000\n", "18 comment=5 a=\n\n\n", piece] {
            crate::work::grows_with_size(1000, |records| {
                Overrides::read(record.repeat(records).as_bytes(), 0).expect("records")
            });
        }
        for record in ["5 a=\n", "18 comment=5 a=\n\n\n"] {
            crate::work::grows_with_size(1000, |records| {
                check_global(record.repeat(records).as_bytes(), 0).expect("records");
            });
        }
        // One long record, with a separator and without.
        crate::work::grows_with_size(10_000, |length| {
            let record = |text: String| format!("{} {text}\n", text.len() + 7);
            for text in [format!("a={}", "x".repeat(length)), "x".repeat(length)] {
                let _ = Overrides::read(record(text).as_bytes(), 0);
            }
        });
    }

    #[test]
    fn attributes_that_are_dropped_are_known_by_their_keys() {
        for key in [
            "SCHILY.xattr.user.x",
            "SCHILY.xattr.security.selinux",
            "LIBARCHIVE.xattr.user.x",
            "SCHILY.acl.access",
            "RHT.security.selinux",
        ] {
            assert!(is_attribute(key.as_bytes()), "{key}");
        }
        for key in ["comment", "SCHILY.dev", "LIBARCHIVE.creationtime", "SCHILY.fflags", "path"] {
            assert!(!is_attribute(key.as_bytes()), "{key}");
        }
        assert!(!is_attribute(CAPABILITY));
        let records = b"25 SCHILY.xattr.user.x=y\n25 SCHILY.xattr.user.z=y\n";
        let dropped = Overrides::read(records, 0).expect("records").dropped;
        assert_eq!(dropped.as_deref(), Some(&b"SCHILY.xattr.user.x"[..]));
        assert_eq!(check_global(records, 0).expect("records"), dropped);
        assert_eq!(check_global(b"13 comment=x\n", 0).expect("records"), None);
    }

    #[test]
    fn what_a_global_record_may_be_about() {
        for key in
            ["path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "GNU.sparse.map", "GNU.volume.size"]
        {
            assert!(matters(key.as_bytes()), "{key}");
        }
        assert!(matters(CAPABILITY));
        for key in
            ["comment", "hdrcharset", "SCHILY.xattr.user.x", "LIBARCHIVE.creationtime", "atime", "ctime", "paths"]
        {
            assert!(!matters(key.as_bytes()), "{key}");
        }
    }
}

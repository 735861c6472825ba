//! Extension headers: what they say of the entry that follows them.

use super::TarError;
use super::sparse::{Map, malformed as malformed_map};

/// The most bytes a capability attribute has (Linux knows 12, 20 and 24).
const MAX_CAPABILITY_BYTES: usize = 64;

/// What extension headers say about the entry that follows them.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) stored: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) capability: Option<Vec<u8>>,
    pub(super) sparse: Map,
}

impl Overrides {
    /// Reads `length key=value\n` records (POSIX pax); the value may hold any byte.
    pub(super) fn read_pax(&mut self, mut records: &[u8], offset: u64) -> Result<(), TarError> {
        let malformed = || TarError::Field { offset, field: "pax record" };
        let whole = |value: &[u8]| std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        while records.first().is_some_and(|byte| *byte != 0) {
            let space = records.iter().take(20).position(|byte| *byte == b' ').ok_or_else(malformed)?;
            let length = whole(&records[..space]).and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| (space + 3..=records.len()).contains(length)).ok_or_else(malformed)?;
            let record = records[space + 1..length].strip_suffix(b"\n").ok_or_else(malformed)?;
            records = &records[length..];
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(malformed)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let number = || whole(value).ok_or_else(malformed);
            match key {
                // Names with a NUL mean different files to different readers.
                b"path" | b"linkpath" | b"GNU.sparse.name" if value.contains(&0) => return Err(malformed()),
                b"path" | b"GNU.sparse.name" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.stored = Some(number()?),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.size = Some(number()?),
                b"SCHILY.xattr.security.capability" => {
                    if value.len() > MAX_CAPABILITY_BYTES {
                        return Err(TarError::Field { offset, field: "capability" });
                    }
                    self.capability = Some(value.to_vec());
                }
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                b"mtime" => {
                    let seconds = value.split(|byte| *byte == b'.').next().unwrap_or_default();
                    let seconds = std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
                    self.mtime = Some(seconds.ok_or_else(malformed)?);
                }
                _ => {
                    if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                        self.sparse.read_record(key, value).ok_or_else(|| malformed_map(offset))?;
                    }
                }
            }
        }
        Ok(())
    }
}

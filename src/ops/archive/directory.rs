//! An image layout in a directory, read as the archive it would be (image-spec, "Image Layout").

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::Path;

use super::contents::DOCUMENTS;
use crate::fs::Directory;
use crate::image::Digest;

/// Length of tar's header and unit of padding, in bytes.
const BLOCK: u64 = 512;

/// A tar stream of the files of a layout. No link in the directory is followed.
#[derive(Debug)]
pub struct LayoutStream {
    waiting: VecDeque<(Directory, String, String)>,
    current: Option<Entry>,
    end: io::Take<io::Repeat>,
}

/// A header, a file, and what fills up its last block.
type Entry = io::Chain<io::Chain<Cursor<Vec<u8>>, io::Take<File>>, io::Take<io::Repeat>>;

impl LayoutStream {
    /// Opens the layout at `path`; a link there is followed. Its blobs come before the documents that name them.
    ///
    /// # Errors
    /// What the system says of the directory. A file that cannot be read is an error when its turn comes.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = Directory::open(path)?;
        let mut waiting = VecDeque::new();
        let blobs = match root.child("blobs").and_then(|blobs| blobs.child("sha256")) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            blobs => Some(blobs?),
        };
        if let Some(blobs) = blobs {
            let names = blobs.names()?.into_iter().filter_map(|found| found.name.into_string().ok());
            let mut names: Vec<String> = names.filter(|name| Digest::from_hex(name).is_ok()).collect();
            names.sort();
            waiting.extend(names.into_iter().map(|name| (blobs.clone(), format!("blobs/sha256/{name}"), name)));
        }
        for name in DOCUMENTS.iter().filter(|name| root.has(name)) {
            waiting.push_back((root.clone(), (*name).to_owned(), (*name).to_owned()));
        }
        Ok(Self { waiting, current: None, end: io::repeat(0).take(2 * BLOCK) })
    }
}

fn entry(directory: &Directory, path: &str, name: &str) -> io::Result<Entry> {
    let file = directory.open_regular(name)?;
    let size = file.metadata()?.len();
    let mut header = tar::Header::new_gnu();
    // Every path is made above and shorter than the field's 100 bytes.
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    let padding = io::repeat(0).take((BLOCK - size % BLOCK) % BLOCK);
    Ok(Cursor::new(header.as_bytes().to_vec()).chain(file.take(size)).chain(padding))
}

impl Read for LayoutStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(current) = &mut self.current {
                let count = current.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
            }
            let Some((directory, path, name)) = self.waiting.pop_front() else {
                self.current = None;
                return self.end.read(buffer);
            };
            self.current = Some(entry(&directory, &path, &name)?);
        }
    }
}

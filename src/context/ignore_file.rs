//! Reading an ignore file, which may be a pipe or a device, within limits of size and time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{ContextError, MAX_IGNORE_FILE_BYTES};

/// How long an ignore file that is a pipe may take to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Reads an ignore file of any kind, such as a shell's `<(...)`, within limits of size and time.
pub(super) fn read(path: &Path, patience: Duration) -> Result<Vec<u8>, ContextError> {
    let failed = |source| ContextError::IgnoreFile { path: path.to_owned(), source };
    // To open a pipe that has no writer yet would otherwise wait for one.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let mut file = File::from(file).take(MAX_IGNORE_FILE_BYTES + 1);
    let deadline = Instant::now() + patience;
    let mut content = Vec::new();
    loop {
        // Also before the first byte: a pipe without a writer looks like the end of one.
        wait_for_input(file.get_ref(), deadline).map_err(failed)?;
        match file.read_to_end(&mut content) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if content.len() as u64 > MAX_IGNORE_FILE_BYTES {
        return Err(ContextError::IgnoreFileSize { path: path.to_owned() });
    }
    Ok(content)
}

/// Waits until there is something to read, the end included.
fn wait_for_input(file: &File, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn pipes_and_devices_are_read_within_limits() {
        let dir = tempfile::tempdir().expect("a directory");
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RWXU, 0).expect("made");
        let late = |result| matches!(result, Err(ContextError::IgnoreFile { source, .. }) if source.kind() == io::ErrorKind::TimedOut);
        assert!(late(read(&pipe, SHORT)), "no writer");
        let mut endless = File::options().read(true).write(true).open(&pipe).expect("opened");
        endless.write_all(b"a\n").expect("written");
        assert!(late(read(&pipe, SHORT)), "a writer that never ends");
        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(b"b\n").expect("written");
        drop(writer);
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        assert_eq!(read(Path::new(&path), SHORT).expect("read"), b"b\n");
        assert_eq!(read(Path::new("/dev/null"), SHORT).expect("read"), b"");
        let endless = read(Path::new("/dev/zero"), PATIENCE);
        assert!(matches!(endless, Err(ContextError::IgnoreFileSize { .. })), "{endless:?}");
    }
}

//! Log lines of a server, written by a thread of their own.
//!
//! Standard error may be a pipe that is never read, a full disk, or closed. A request must not wait
//! for it or fail because of it, so lines wait in a bounded channel. A line that finds the channel
//! full, or cannot be written, is dropped and counted; the count is logged before the next line.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use crate::threads;

/// Lines that wait for the writer at most.
const CAPACITY: usize = 1024;

/// Bytes of one line at most; a longer line is cut.
const MAX_LINE_BYTES: usize = 8 << 10;

/// Adds lines to a log; clones add to the same log.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

/// Ends with the writer's thread.
#[derive(Debug)]
pub(crate) struct Writing(Receiver<()>);

impl AccessLog {
    /// Starts the thread that writes to `output`.
    pub(crate) fn start(output: impl Write + Send + 'static) -> io::Result<(Self, Writing)> {
        Self::with_capacity(output, CAPACITY)
    }

    fn with_capacity(output: impl Write + Send + 'static, capacity: usize) -> io::Result<(Self, Writing)> {
        let (lines, waiting) = sync_channel(capacity);
        let (ended, end) = channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        threads::spawn("log", move || {
            write(output, &waiting, &counter);
            drop(ended);
        })?;
        Ok((Self { lines, dropped }, Writing(end)))
    }

    /// Adds a line, or counts it as dropped. Never waits.
    pub(crate) fn line(&self, mut text: String) {
        if text.len() > MAX_LINE_BYTES {
            text.truncate(text.floor_char_boundary(MAX_LINE_BYTES));
        }
        if self.lines.try_send(text).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writing {
    /// Waits until all lines are written, at most for `patience`. Every [`AccessLog`] must be dropped before.
    pub(crate) fn finish(self, patience: Duration) {
        // Nothing is ever sent: the thread's end disconnects the channel.
        let _ = self.0.recv_timeout(patience);
    }
}

fn write(mut output: impl Write, lines: &Receiver<String>, dropped: &AtomicU64) {
    // Whether the output ends in the middle of a line, because the disk was full there.
    let mut torn = false;
    let mut put = |text: &str| {
        let mut bytes = Vec::with_capacity(text.len() + 2);
        if torn {
            bytes.push(b'\n');
        }
        let text_start = bytes.len();
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        let written = write_counted(&mut output, &bytes);
        match written {
            Ok(()) => torn = false,
            Err(0) => {}
            Err(count) => torn = count > text_start,
        }
        written.is_ok()
    };
    for line in lines {
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 && !put(&format!("{missing} log lines were dropped")) {
            dropped.fetch_add(missing + 1, Ordering::Relaxed);
            continue;
        }
        if !put(&line) {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
    // Lines dropped behind the last one that had room.
    let missing = dropped.swap(0, Ordering::Relaxed);
    if missing > 0 {
        put(&format!("{missing} log lines were dropped"));
    }
}

/// Writes all of `bytes`; an error holds how many were written before it.
fn write_counted(output: &mut impl Write, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => return Err(written),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(written),
        }
    }
    output.flush().map_err(|_| written)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::Sender;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// An output with so many bytes of room, whose writes wait for `open` to be dropped.
    struct Output {
        room: Arc<Mutex<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
        open: Receiver<()>,
        entered: Sender<()>,
        left: Sender<()>,
    }

    impl Output {
        fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().expect("unpoisoned");
            let count = bytes.len().min(*room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= count;
            self.written.lock().expect("unpoisoned").extend_from_slice(&bytes[..count]);
            Ok(count)
        }
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.entered.send(());
            let _ = self.open.recv();
            let taken = self.take(bytes);
            let _ = self.left.send(());
            taken
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Ends {
        room: Arc<Mutex<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
        open: Option<Sender<()>>,
        entered: Receiver<()>,
        left: Receiver<()>,
    }

    fn output(room: usize) -> (Output, Ends) {
        let (room, written) = (Arc::new(Mutex::new(room)), Arc::default());
        let (open, opened) = channel();
        let (enter, entered) = channel();
        let (leave, left) = channel();
        let output = Output {
            room: Arc::clone(&room),
            written: Arc::clone(&written),
            open: opened,
            entered: enter,
            left: leave,
        };
        (output, Ends { room, written, open: Some(open), entered, left })
    }

    fn text(ends: &Ends) -> String {
        String::from_utf8(ends.written.lock().expect("unpoisoned").clone()).expect("text")
    }

    #[test]
    fn a_writer_that_blocks_costs_lines_and_no_time() {
        let (blocked, mut ends) = output(usize::MAX);
        let (log, writing) = AccessLog::with_capacity(blocked, 2).expect("a thread");
        log.line("first".to_owned());
        ends.entered.recv_timeout(PATIENCE).expect("the writer has the first line");
        for number in 0..10 {
            log.line(number.to_string());
        }
        drop(ends.open.take());
        drop(log);
        writing.finish(PATIENCE);
        assert_eq!(text(&ends), "first\n8 log lines were dropped\n0\n1\n");
    }

    #[test]
    fn a_disk_with_room_again_gets_the_count_on_a_line_of_its_own() {
        let (full, mut ends) = output(8);
        drop(ends.open.take());
        let (log, writing) = AccessLog::start(full).expect("a thread");
        let wait = |ends: &Ends| ends.left.recv_timeout(PATIENCE).expect("written to");
        log.line("first".to_owned());
        wait(&ends);
        // Two of seven bytes fit, then none.
        log.line("second".to_owned());
        (0..2).for_each(|_| wait(&ends));
        log.line("third".to_owned());
        wait(&ends);
        *ends.room.lock().expect("unpoisoned") = 1000;
        log.line("fourth".to_owned());
        drop(log);
        writing.finish(PATIENCE);
        assert_eq!(text(&ends), "first\nse\n2 log lines were dropped\nfourth\n");
    }

    #[test]
    fn finishing_does_not_wait_for_an_output_that_is_stuck() {
        let (stuck, ends) = output(usize::MAX);
        let (log, writing) = AccessLog::start(stuck).expect("a thread");
        log.line("stuck".to_owned());
        ends.entered.recv_timeout(PATIENCE).expect("written to");
        drop(log);
        writing.finish(Duration::from_millis(5));
        assert_eq!(text(&ends), "");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let (open, mut ends) = output(usize::MAX);
        drop(ends.open.take());
        let (log, writing) = AccessLog::start(open).expect("a thread");
        log.line(format!("x{}", "é".repeat(MAX_LINE_BYTES)));
        drop(log);
        writing.finish(PATIENCE);
        assert_eq!(text(&ends).len(), MAX_LINE_BYTES);
    }
}

//! Standard error, as the lines of progress and the messages of a command share it.
//!
//! Standard error may be a pipe whose reader is slow or gone for a while, and a transfer must not wait for it. The first
//! line that would have to wait starts a thread that writes, and from then on everything is queued for it. Lines of
//! progress that find the queue full are left out and counted. Messages are never left out: the end of the process waits
//! for them.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FileType;

use crate::threads;

/// Queued bytes above which lines that the next one makes old are left out.
const MAX_PASSING_BYTES: usize = 64 << 10;
/// Queued bytes above which any line of progress is left out, and messages wait.
const MAX_BYTES: usize = 4 << 20;
/// Bytes that are written at once by the thread.
const BATCH_BYTES: usize = 64 << 10;
/// Bytes for which a pipe has room that says it has any (`PIPE_BUF` of Linux; POSIX allows less, and so has macOS).
const ROOM_BYTES: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Says how many lines were left out, in the form of the lines.
pub(crate) type LeftOut = fn(u64) -> String;

/// Adds lines to standard error; clones add to the same.
#[derive(Clone, Default)]
pub(crate) struct StatusLines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<String>,
    /// Of the lines that wait, and of those that are being written.
    bytes: usize,
    left_out: Option<(u64, LeftOut)>,
    writer: Writer,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Everything is written at once.
    #[default]
    None,
    Thread,
    /// The system gave no thread.
    Missing,
}

impl Queue {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    /// Queues how many lines were left out.
    fn settle_left_out(&mut self) {
        if let Some((count, text)) = self.left_out.take() {
            self.push(text(count) + "\n");
        }
    }

    fn batch(&mut self) -> String {
        let mut batch = String::new();
        while let Some(line) = self.lines.front()
            && (batch.is_empty() || batch.len() + line.len() <= BATCH_BYTES)
        {
            batch.push_str(line);
            self.lines.pop_front();
        }
        batch
    }
}

impl StatusLines {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line of progress that the next one of its kind makes old. Never waits.
    pub(crate) fn passing(&self, line: &str, left_out: LeftOut) {
        self.progress(line, MAX_PASSING_BYTES, left_out);
    }

    /// Adds a line of progress that says something once. Never waits.
    pub(crate) fn lasting(&self, line: &str, left_out: LeftOut) {
        self.progress(line, MAX_BYTES, left_out);
    }

    fn progress(&self, line: &str, limit: usize, left_out: LeftOut) {
        let mut queue = self.queue();
        if !self.is_queued(&mut queue, line.len() + 1) {
            return write_now(&format!("{line}\n"));
        }
        if queue.bytes > 0 && queue.bytes + line.len() > limit {
            let count = queue.left_out.map_or(0, |(count, _)| count);
            queue.left_out = Some((count + 1, left_out));
            return;
        }
        queue.settle_left_out();
        queue.push(format!("{line}\n"));
        self.0.changed.notify_all();
    }

    /// Writes a message, behind what is queued. Waits only where a reader left megabytes of messages unread.
    pub(crate) fn message(&self, text: String) {
        let mut queue = self.queue();
        if !self.is_queued(&mut queue, text.len()) {
            return write_now(&text);
        }
        while queue.bytes > MAX_BYTES {
            queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.settle_left_out();
        queue.push(text);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, at most for `patience` where there is one.
    pub(crate) fn settle(&self, patience: Option<Duration>) {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut queue = self.queue();
        if queue.left_out.is_some() {
            queue.settle_left_out();
            self.0.changed.notify_all();
        }
        while queue.bytes > 0 {
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            queue = match until {
                Some(_) => self.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Whether so many bytes have to be queued: they would be waited for, or others were.
    fn is_queued(&self, queue: &mut Queue, bytes: usize) -> bool {
        if queue.writer == Writer::None && !has_room(&io::stderr(), bytes) {
            queue.writer = match self.start(io::stderr()) {
                Ok(()) => Writer::Thread,
                Err(_) => Writer::Missing,
            };
        }
        queue.writer == Writer::Thread
    }

    fn start(&self, output: impl Write + Send + 'static) -> io::Result<()> {
        let lines = self.clone();
        threads::spawn("status", move || lines.write(output)).map(drop)
    }

    /// Writes what is queued, for ever: the process ends without waiting for this thread.
    fn write(&self, mut output: impl Write) {
        let mut queue = self.queue();
        loop {
            let batch = queue.batch();
            if batch.is_empty() {
                queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(queue);
            // A closed standard error does not stop the command.
            let _ = output.write_all(batch.as_bytes()).and_then(|()| output.flush());
            queue = self.queue();
            queue.bytes -= batch.len();
            self.0.changed.notify_all();
        }
    }
}

/// Whether so many bytes can be written without waiting. A closed pipe has room: writing to it fails at once.
fn has_room(output: &impl AsFd, bytes: usize) -> bool {
    let mut asked = [PollFd::new(output, PollFlags::OUT)];
    let ready = rustix::event::poll(&mut asked, Some(&Timespec::default()));
    ready.is_ok_and(|count| count > 0) && (bytes <= ROOM_BYTES || !is_pipe(output))
}

fn is_pipe(output: &impl AsFd) -> bool {
    rustix::fs::fstat(output).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

fn write_now(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn count(lines: u64) -> String {
        format!("{lines} left out")
    }

    /// An output whose writes wait for `open` to be dropped.
    struct Output {
        written: Arc<Mutex<String>>,
        open: Receiver<()>,
        entered: Sender<()>,
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.entered.send(());
            let _ = self.open.recv();
            self.written.lock().expect("unpoisoned").push_str(std::str::from_utf8(bytes).expect("text"));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Ends {
        written: Arc<Mutex<String>>,
        open: Sender<()>,
        entered: Receiver<()>,
    }

    fn blocked() -> (StatusLines, Ends) {
        let written = Arc::default();
        let ((open, opened), (enter, entered)) = (channel(), channel());
        let lines = StatusLines::default();
        lines.start(Output { written: Arc::clone(&written), open: opened, entered: enter }).expect("a thread");
        lines.queue().writer = Writer::Thread;
        (lines, Ends { written, open, entered })
    }

    #[test]
    fn a_reader_that_is_away_costs_lines_of_progress_and_no_message() {
        let (lines, ends) = blocked();
        lines.lasting("begin", count);
        ends.entered.recv_timeout(PATIENCE).expect("it is being written");
        let long = "x".repeat(1 << 10);
        for _ in 0..100 {
            lines.passing(&long, count);
        }
        lines.lasting("end", count);
        lines.message("warning: kept\n".to_owned());
        lines.passing(&long, count);
        assert_eq!(lines.queue().left_out.map(|(count, _)| count), Some(1), "the count so far is queued already");
        assert!(lines.queue().bytes <= MAX_PASSING_BYTES + 100);
        lines.settle(Some(Duration::from_millis(1)));
        assert_eq!(*ends.written.lock().expect("unpoisoned"), "", "it waits no longer than the limit");
        drop(ends.open);
        lines.settle(None);
        let written = ends.written.lock().expect("unpoisoned");
        let told: Vec<&str> = written.lines().filter(|line| *line != long).collect();
        // 64 KiB have room for 63 lines behind the first.
        assert_eq!(told, ["begin", "37 left out", "end", "warning: kept", "1 left out"]);
        assert_eq!(written.lines().count() - told.len(), 63);
    }

    #[test]
    fn what_is_said_once_has_room_and_a_limit_too() {
        let (lines, ends) = blocked();
        lines.lasting("begin", count);
        ends.entered.recv_timeout(PATIENCE).expect("it is being written");
        let long = "x".repeat(1 << 20);
        for _ in 0..5 {
            lines.lasting(&long, count);
        }
        assert_eq!(lines.queue().left_out.map(|(count, _)| count), Some(2));
        drop(ends.open);
        lines.settle(None);
        assert_eq!(ends.written.lock().expect("unpoisoned").lines().filter(|line| *line == long).count(), 3);
    }

    #[test]
    fn one_line_is_written_whatever_its_length() {
        let (lines, ends) = blocked();
        drop(ends.open);
        let long = "x".repeat(MAX_BYTES + 1);
        lines.passing(&long, count);
        lines.settle(None);
        assert_eq!(ends.written.lock().expect("unpoisoned").len(), MAX_BYTES + 2);
    }

    #[test]
    fn a_pipe_has_room_until_it_is_full_and_when_nobody_reads() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        assert!(has_room(&writer, ROOM_BYTES));
        assert!(!has_room(&writer, ROOM_BYTES + 1), "it may have no more");
        rustix::io::ioctl_fionbio(&writer, true).expect("set");
        while writer.write(&[b'.'; 512]).is_ok() {}
        assert!(!has_room(&writer, 1));
        drop(reader);
        assert!(has_room(&writer, 1), "what is written to it fails at once");
        let file = tempfile::tempfile().expect("a file");
        assert!(has_room(&file, MAX_BYTES));
    }

    #[test]
    fn nothing_to_write_is_waited_for() {
        StatusLines::default().settle(None);
        blocked().0.settle(None);
    }
}

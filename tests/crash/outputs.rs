//! A server whose standard output or error is closed, full or never read: requests are answered, and it ends when told.
//! Transfers go on too, and what a command says at its end waits for the reader.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::check::whole;
use crate::process::wait_until;
use crate::proxy::{Relay, Way};
use crate::sandbox::Sandbox;
use crate::transfers::{LARGE, Serve, filled};

/// A server on a port that was free a moment ago.
struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Serving {
    fn start(sandbox: &Sandbox, outputs: impl FnOnce(&mut Command)) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let mut command = sandbox.command(&["idpbuilder-serve", "--listen", &address.to_string(), "--store", "served"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        outputs(&mut command);
        Self { child: command.spawn().expect("it runs"), address }
    }

    /// Sends requests for `path` and expects an answer to each.
    #[track_caller]
    fn answers(&self, count: usize, path: &str) {
        let mut stream = None;
        wait_until("a connection", || {
            stream = TcpStream::connect(self.address).ok();
            stream.is_some()
        });
        let mut stream = stream.expect("connected");
        stream.set_read_timeout(Some(crate::process::PATIENCE)).expect("set");
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        for number in 0..count {
            stream.write_all(request.as_bytes()).expect("sent");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("request {number}: {error}"));
                head.push(byte[0]);
            }
            assert!(head.starts_with(b"HTTP/1.1 "), "{head:?}");
        }
    }

    /// Tells it to stop; answers how it ended.
    #[track_caller]
    fn stop(mut self) -> ExitStatus {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, Signal::TERM).expect("it may be told");
        let mut ended = None;
        wait_until("the end of the server", || {
            ended = self.child.try_wait().expect("a child of ours");
            ended.is_some()
        });
        ended.expect("just seen")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_closed_standard_error_costs_the_log_alone() {
    let sandbox = Sandbox::new();
    let mut serving = Serving::start(&sandbox, |command| {
        command.stderr(Stdio::piped());
    });
    drop(serving.child.stderr.take());
    serving.answers(3, "/v2/");
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_full_disk_behind_standard_error_costs_the_log_alone() {
    let sandbox = Sandbox::new();
    let serving = Serving::start(&sandbox, |command| {
        command.stderr(OpenOptions::new().write(true).open("/dev/full").expect("a device"));
    });
    serving.answers(3, "/v2/");
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_standard_error_that_is_never_read_holds_up_neither_requests_nor_the_end() {
    let sandbox = Sandbox::new();
    let mut serving = Serving::start(&sandbox, |command| {
        command.stderr(Stdio::piped());
    });
    let unread = serving.child.stderr.take();
    // More than a pipe holds, and more lines than wait for it.
    serving.answers(3000, &format!("/v2/{}", "x".repeat(250)));
    assert_eq!(serving.stop().code(), Some(0));
    drop(unread);
}

#[test]
fn a_standard_error_that_is_read_late_says_how_many_lines_it_lost() {
    let sandbox = Sandbox::new();
    let mut serving = Serving::start(&sandbox, |command| {
        command.stderr(Stdio::piped());
    });
    let mut unread = serving.child.stderr.take().expect("piped");
    serving.answers(3000, &format!("/v2/{}", "x".repeat(250)));
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        unread.read_to_string(&mut text).map(|_| text)
    });
    assert_eq!(serving.stop().code(), Some(0));
    let text = reading.join().expect("read").expect("text");
    let requests = text.lines().filter(|line| line.contains(" HEAD ")).count();
    let lost = text.lines().filter_map(|line| line.strip_suffix(" log lines were dropped"));
    let lost: usize = lost.map(|count| count.parse::<usize>().expect("a count")).sum();
    assert!(requests < 3000 && lost > 0, "{requests} lines are there, {lost} lost");
    assert!((3000..=3001).contains(&(requests + lost)), "{requests} lines are there, {lost} lost");
}

#[test]
fn a_closed_standard_output_costs_the_address_alone() {
    let sandbox = Sandbox::new();
    let mut serving = Serving::start(&sandbox, |command| {
        command.stdout(Stdio::piped());
    });
    drop(serving.child.stdout.take());
    serving.answers(3, "/v2/");
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn commands_whose_standard_error_is_closed_end_as_they_would() {
    let sandbox = Sandbox::new();
    for words in [&["idpbuilder-inspect", "nothing"][..], &["idpbuilder-rm", "nothing"]] {
        let mut command = sandbox.command(words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        drop(child.stderr.take());
        let mut ended = None;
        wait_until("the end", || {
            ended = child.try_wait().expect("a child of ours");
            ended.is_some()
        });
        assert_eq!(ended.expect("just seen").code(), Some(4), "{words:?}");
    }
}

/// A pipe that has no room, and what reads it.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("set");
    while writer.write(&[b'.'; 512]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("set");
    (reader, writer)
}

/// A command whose standard error is a full pipe.
struct Unheard {
    child: Child,
    reader: std::io::PipeReader,
}

impl Unheard {
    fn start(sandbox: &Sandbox, words: &[&str]) -> Self {
        let (reader, writer) = full_pipe();
        let mut command = sandbox.command(words);
        let child = command.stdout(Stdio::null()).stderr(writer).spawn().expect("it runs");
        Self { child, reader }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("it may be told");
    }

    /// Waits for its end; answers how it ended.
    #[track_caller]
    fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("the end of the command", || {
            ended = self.child.try_wait().expect("a child of ours");
            ended.is_some()
        });
        ended.expect("just seen")
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_transfer_goes_on_while_standard_error_is_not_read_and_loses_no_message() {
    for mode in ["plain", "json", "none"] {
        let sandbox = filled();
        let server = Serve::start(&sandbox, "served");
        let image = server.image();
        let words = ["idpbuilder-push", "app:v1", &image, "--plain-http", "-v", "--progress", mode];
        let mut push = Unheard::start(&sandbox, &words);
        wait_until("the image in the registry", || !whole(&sandbox, &server.store).is_empty());
        assert!(push.child.try_wait().expect("a child of ours").is_none(), "its last words were not read yet");
        let mut reader = push.reader.try_clone().expect("another handle");
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        assert_eq!(push.end().code(), Some(0));
        let text = reading.join().expect("read").expect("text");
        let text = text.trim_start_matches('.');
        assert!(text.contains("warning: ") && text.contains("is used without TLS"), "{mode}: {text}");
        assert!(text.contains("Pushed "), "{mode}: {text}");
        assert_eq!(text.contains(": uploaded ") || text.contains(r#""event":"end""#), mode != "none", "{mode}: {text}");
        server.stop(Signal::INT);
    }
}

#[test]
fn one_signal_ends_a_command_whose_standard_error_is_not_read() {
    let sandbox = filled();
    let server = Serve::start(&sandbox, "served");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // In the middle of a transfer.
        let half = Relay::start(server.address, Way::ToServer, LARGE as u64 / 2);
        let to = format!("{}/team/app:v1", half.host());
        let words = ["idpbuilder-push", "app:v1", &to, "--plain-http", "-v", "--progress", "plain"];
        let mut push = Unheard::start(&sandbox, &words);
        wait_until("half of the blob", || half.passed() >= LARGE as u64 / 2);
        push.signal(signal);
        assert_eq!(push.end().code(), Some(code));
    }
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // When nothing is left to do but to say so.
        let image = format!("{}/team/app:v{code}", server.address);
        let words = ["idpbuilder-push", "app:v1", &image, "--plain-http", "-v", "--progress", "plain"];
        let mut push = Unheard::start(&sandbox, &words);
        let name = format!("team/app:v{code}");
        wait_until("the image in the registry", || {
            whole(&sandbox, &server.store).iter().any(|it| it.0.contains(&name))
        });
        push.signal(signal);
        assert_eq!(push.end().code(), Some(code));
    }
    server.stop(Signal::INT);
}

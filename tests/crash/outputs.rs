//! A server whose standard output or error is closed, full or never read: requests are answered, and it ends when told.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::wait_until;
use crate::sandbox::Sandbox;

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

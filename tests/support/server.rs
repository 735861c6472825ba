//! `idpbuilder-serve` as a child process on a free loopback port, stopped by pid.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::sandbox::Sandbox;

/// A running embedded registry.
pub struct Server {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Server {
    /// Starts the registry with further arguments; it answers when this returns.
    pub fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut words = vec!["idpbuilder-serve", "--listen", "127.0.0.1:0"];
        if !arguments.contains(&"--storage") {
            words.extend(["--storage", "served"]);
        }
        words.extend(arguments);
        let log = std::fs::File::create(sandbox.work().join("serve.log")).expect("a file");
        let mut command = sandbox.command(&words);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it runs");
        let mut line = String::new();
        // The address is the first line, or the end of the stream says that there is none.
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("read");
        let log = || std::fs::read_to_string(sandbox.work().join("serve.log")).unwrap_or_default();
        let url = line.trim().strip_prefix("Serving on ").unwrap_or_else(|| panic!("`{line}`: {}", log()));
        let address = url.split("://").nth(1).expect("a URL").to_owned();
        Self { child, address }
    }

    /// Ends the registry with a signal and answers its exit code.
    pub fn signal(mut self, signal: rustix::process::Signal) -> Option<i32> {
        send(&self.child, signal);
        self.child.wait().expect("it ends").code()
    }
}

/// A child that does not outlive the test, however the test ends.
pub struct Reaped(pub Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a child that has not been waited for.
pub fn send(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).expect("it runs");
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

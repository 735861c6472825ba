//! A command on a terminal: what a person sees, and what they type.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::server::{Reaped, send};

const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// A running command; killed when dropped.
pub struct Terminal {
    child: Reaped,
    keyboard: File,
    screen: Arc<Screen>,
}

#[derive(Default)]
struct Screen {
    shown: Mutex<(String, bool)>,
    changed: Condvar,
}

impl Terminal {
    /// Starts the command with all its streams on a new terminal.
    pub fn start(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("ours");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let stream = || {
            File::from(rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("the other end"))
        };
        let child: Child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().expect("it runs");
        // The command has the only other ends from here on, so that its end is the terminal's.
        drop(command);
        let keyboard = File::from(master);
        let screen = Arc::new(Screen::default());
        let mut light = keyboard.try_clone().expect("a second handle");
        let lit = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                // A terminal that nobody has open answers with an error.
                let read = light.read(&mut bytes).unwrap_or(0);
                let mut shown = lit.shown.lock().expect("unpoisoned");
                shown.0.push_str(&String::from_utf8_lossy(&bytes[..read]).replace('\r', ""));
                shown.1 = read == 0;
                lit.changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self { child: Reaped(child), keyboard, screen }
    }

    /// Waits until that is on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let seen = self.screen(|(shown, ended)| *ended || shown.contains(text));
        assert!(seen.contains(text), "`{text}` did not appear:\n{seen}");
    }

    /// Types.
    pub fn write(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    /// Whether it shows what is typed.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.keyboard).expect("a terminal").local_modes.contains(LocalModes::ECHO)
    }

    /// Shows what is typed, whatever the command set.
    pub fn echo(&self) {
        let mut modes = tcgetattr(&self.keyboard).expect("a terminal");
        modes.local_modes.insert(LocalModes::ECHO);
        tcsetattr(&self.keyboard, OptionalActions::Now, &modes).expect("set");
    }

    /// Whether a signal stopped the command.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.0.id())).expect("it runs");
        stat.rsplit(") ").next().is_some_and(|state| state.starts_with('T'))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        send(&self.child.0, signal);
    }

    /// Waits for the end; answers the status and all that was shown.
    pub fn end(mut self) -> (ExitStatus, String) {
        let shown = self.screen(|(_, ended)| *ended);
        (self.child.0.wait().expect("it ended"), shown)
    }

    #[track_caller]
    fn screen(&self, enough: impl Fn(&(String, bool)) -> bool) -> String {
        let deadline = Instant::now() + WAIT_LIMIT;
        let mut shown = self.screen.shown.lock().expect("unpoisoned");
        while !enough(&shown) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen = shown.0.clone();
                drop(shown);
                panic!("it takes too long; on the screen:\n{seen}");
            }
            shown = self.screen.changed.wait_timeout(shown, left).expect("unpoisoned").0;
        }
        shown.0.clone()
    }
}

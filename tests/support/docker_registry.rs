//! Debian's `docker-registry` as a child process on a free loopback port.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = "docker-registry";
const START_LIMIT: Duration = Duration::from_secs(20);
/// Another process may take the free port before the registry does.
const ATTEMPTS: usize = 5;

/// How to start one.
#[derive(Default)]
pub struct Options {
    /// User and password it asks for.
    pub login: Option<(&'static str, &'static str)>,
    /// PEM of its certificate and key.
    pub tls: Option<(String, String)>,
}

/// A running registry; killed when dropped.
pub struct DockerRegistry {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one and waits until it answers.
    pub fn start(options: &Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for _ in 0..ATTEMPTS {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("an address");
            drop(listener);
            let config = directory.path().join("config.yml");
            fs::write(&config, configuration(directory.path(), address, options)).expect("written");
            let mut child = Command::new(BINARY)
                .arg("serve")
                .arg(&config)
                .env("OTEL_TRACES_EXPORTER", "none")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(directory.path().join("log")).expect("created"))
                .spawn()
                .unwrap_or_else(|error| {
                    panic!(
                        "cannot run `{BINARY}` ({error}): install Debian's package docker-registry, as bin/test does"
                    )
                });
            if answers(&mut child, address) {
                return Self { child, address, _directory: directory };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        panic!("`{BINARY}` did not start {ATTEMPTS} times, at last saying: {log}");
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(child: &mut Child, address: SocketAddr) -> bool {
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if child.try_wait().expect("a child of ours").is_some() {
            return false;
        }
        if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

fn configuration(directory: &Path, address: SocketAddr, options: &Options) -> String {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
        path("data")
    );
    if let Some((user, password)) = options.login {
        let hash = bcrypt::hash_with_result(password, 4).expect("hashed").format_for_version(bcrypt::Version::TwoY);
        fs::write(directory.join("htpasswd"), format!("{user}:{hash}\n")).expect("written");
        text = format!("{text}auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path("htpasswd"));
    }
    text = format!("{text}http:\n  addr: {address}\n");
    if let Some((certificate, key)) = &options.tls {
        fs::write(directory.join("tls.crt"), certificate).expect("written");
        fs::write(directory.join("tls.key"), key).expect("written");
        text = format!("{text}  tls: {{certificate: {}, key: {}}}\n", path("tls.crt"), path("tls.key"));
    }
    text
}

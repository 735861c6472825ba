//! Debian's nginx as a child process on a free loopback port, set up as idpbuilder's ingress: a limit on bodies, requests
//! buffered before they are passed on, time limits. All smaller than there, so that tests meet them.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = "nginx";
const START_LIMIT: Duration = Duration::from_secs(20);
/// Another process may take the free port before nginx does.
const ATTEMPTS: usize = 5;

/// What is scaled down.
#[derive(Clone, Default)]
pub struct Options {
    /// Bytes that one request may have; 1 GiB there.
    pub max_body: u64,
    /// Seconds that the registry may take for an answer; 60 there.
    pub read_timeout: u32,
    /// HTTP/2 over TLS instead of HTTP/1.1 without.
    pub http2: Option<Http2>,
}

/// HTTP/2 over TLS.
#[derive(Clone)]
pub struct Http2 {
    /// Certificate and key, in PEM.
    pub pair: (String, String),
    /// Requests after which a connection is ended with GOAWAY; 1000 there.
    pub requests: u32,
}

/// A running nginx; killed when dropped.
pub struct Nginx {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Nginx {
    /// Starts one before `upstream` and waits until it answers.
    pub fn start(upstream: SocketAddr, options: &Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for _ in 0..ATTEMPTS {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("an address");
            drop(listener);
            let config = directory.path().join("nginx.conf");
            fs::write(&config, configuration(directory.path(), address, upstream, options)).expect("written");
            let log = fs::File::create(directory.path().join("log")).expect("created");
            let mut child = Command::new(BINARY)
                .args(["-e", "stderr", "-p"])
                .arg(directory.path())
                .arg("-c")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap_or_else(|error| {
                    panic!("cannot run `{BINARY}` ({error}): install Debian's package nginx-light, as bin/test does")
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nginx {
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

/// One process, so that killing it ends all of it.
fn configuration(directory: &Path, address: SocketAddr, upstream: SocketAddr, options: &Options) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", directory.join(kind).display()))
        .join("\n  ");
    let Options { max_body, read_timeout, http2 } = options;
    let (listen, requests) = match http2 {
        None => (format!("listen {address};"), 1000),
        Some(Http2 { pair: (certificate, key), requests }) => {
            let files = [("certificate", certificate), ("certificate_key", key)].map(|(name, pem)| {
                let file = directory.join(name);
                fs::write(&file, pem).expect("written");
                format!("ssl_{name} {};", file.display())
            });
            (format!("listen {address} ssl http2;\n    {}", files.join("\n    ")), *requests)
        }
    };
    format!(
        "daemon off;
master_process off;
pid {pid};
error_log stderr error;
events {{ worker_connections 256; }}
http {{
  access_log off;
  {temporary}
  client_body_timeout {read_timeout}s;
  proxy_read_timeout {read_timeout}s;
  proxy_send_timeout {read_timeout}s;
  keepalive_requests {requests};
  server {{
    {listen}
    client_max_body_size {max_body};
    location / {{
      proxy_pass http://{upstream};
      proxy_http_version 1.1;
      proxy_request_buffering on;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_next_upstream error timeout;
      proxy_next_upstream_tries 3;
    }}
  }}
}}
",
        pid = directory.join("pid").display(),
    )
}

//! A server that does what a test tells it: answers early, wrongly, slowly or not at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// A request as it came, its body if it was read.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target, query and all.
    pub target: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn length(&self) -> u64 {
        self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// What to do with a request.
pub enum Reply {
    /// Read the body, then answer.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Answer without reading the body, and close.
    Early(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Announce more bytes than are sent, and close.
    Short(u64, Vec<u8>),
    /// Announce nothing, send this, and close.
    Unframed(Vec<u8>),
    /// Announce more bytes than are sent, and wait.
    Stall(u64, Vec<u8>),
    /// Announce more bytes than anybody waits for, and send one now and then.
    Drip(u16),
    /// Say that again and again, and nothing else.
    Repeat(&'static str),
    /// Take the body and never answer.
    Silence,
    /// Close without an answer.
    Close,
    /// Say something that is not HTTP.
    Garbage,
}

/// How often a byte drips.
const DRIP: std::time::Duration = std::time::Duration::from_millis(20);

/// How long a server that answered early waits for the client to go.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// What it reads meanwhile, at most.
const MAX_LINGER_BYTES: u64 = 1 << 20;

/// An answer with a body and no further headers.
pub fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(status, Vec::new(), body.as_bytes().to_vec())
}

/// An answer with one header.
pub fn with(status: u16, name: &'static str, value: impl Into<String>) -> Reply {
    Reply::Answer(status, vec![(name, value.into())], Vec::new())
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    /// Whether the script sees bodies.
    reading: bool,
    seen: Mutex<Vec<Request>>,
    changed: Condvar,
    stop: AtomicBool,
}

/// A running server; stops listening when dropped.
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Scripted {
    /// Starts one. The script sees each request before its body is read.
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(false, script)
    }

    /// Starts one whose script sees each request with its body.
    pub fn start_reading(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(true, script)
    }

    fn with(reading: bool, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            reading,
            seen: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || {
                    // A client that goes away is part of many tests.
                    let _ = converse(stream, &shared);
                });
            }
        });
        Self { address, shared }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().expect("unpoisoned").clone()
    }

    /// Methods and paths of all requests so far.
    pub fn log(&self) -> Vec<String> {
        self.seen().iter().map(|request| format!("{} {}", request.method, request.path())).collect()
    }

    /// Waits for a request.
    pub fn wait_for(&self, wanted: impl Fn(&Request) -> bool) {
        let deadline = Instant::now() + WAIT_LIMIT;
        let mut seen = self.shared.seen.lock().expect("unpoisoned");
        while !seen.iter().any(&wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the request did not come; seen: {seen:?}");
            seen = self.shared.changed.wait_timeout(seen, left).expect("unpoisoned").0;
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(mut request) = read_head(&mut reader)? {
        if shared.reading {
            (&mut reader).take(request.length()).read_to_end(&mut request.body)?;
        }
        let reply = (shared.script)(&request);
        let reads = !shared.reading && !matches!(reply, Reply::Early(..) | Reply::Close);
        if reads {
            (&mut reader).take(request.length()).read_to_end(&mut request.body)?;
        }
        let is_head = request.method == "HEAD";
        shared.seen.lock().expect("unpoisoned").push(request);
        shared.changed.notify_all();
        let (announced, body, last) = match reply {
            Reply::Answer(status, headers, body) => {
                write_head(&mut writer, status, &headers, body.len() as u64)?;
                if !is_head {
                    writer.write_all(&body)?;
                }
                continue;
            }
            Reply::Early(status, headers, body) => {
                write_head(&mut writer, status, &headers, body.len() as u64)?;
                writer.write_all(&body)?;
                // Closing with bytes unread resets the connection, and the answer may be lost with it: wait until
                // the client has gone, as servers that answer early do.
                writer.shutdown(std::net::Shutdown::Write)?;
                writer.set_read_timeout(Some(LINGER))?;
                std::io::copy(&mut reader.take(MAX_LINGER_BYTES), &mut std::io::sink())?;
                return Ok(());
            }
            Reply::Short(announced, body) => (announced, body, true),
            Reply::Stall(announced, body) => (announced, body, false),
            Reply::Drip(status) => {
                write_head(&mut writer, status, &[], 1 << 20)?;
                // Until the client gives up.
                loop {
                    writer.write_all(b"x")?;
                    std::thread::sleep(DRIP);
                }
            }
            Reply::Unframed(body) => {
                writer.write_all(b"HTTP/1.1 200 Scripted\r\nConnection: close\r\n\r\n")?;
                return writer.write_all(&body);
            }
            Reply::Repeat(text) => loop {
                writer.write_all(text.as_bytes())?;
                std::thread::sleep(DRIP);
            },
            Reply::Silence => {
                // Until the client gives up.
                let _ = reader.read(&mut [0; 1])?;
                return Ok(());
            }
            Reply::Close => return Ok(()),
            Reply::Garbage => return writer.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        };
        write_head(&mut writer, 200, &[], announced)?;
        writer.write_all(&body)?;
        if last {
            return Ok(());
        }
        let _ = reader.read(&mut [0; 1])?;
    }
    Ok(())
}

fn read_head(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let headers = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Some(Request { method, target, headers, body: Vec::new() }))
}

fn write_head(writer: &mut TcpStream, status: u16, headers: &[(&str, String)], length: u64) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head = format!("{head}{name}: {value}\r\n");
    }
    let told = ["content-length", "transfer-encoding"];
    if !headers.iter().any(|(name, _)| told.contains(&name.to_ascii_lowercase().as_str())) && status != 204 {
        head = format!("{head}Content-Length: {length}\r\n");
    }
    head.push_str("\r\n");
    writer.write_all(head.as_bytes())
}

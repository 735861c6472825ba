//! A server in this process, a client that says exactly what it is told, and images to push.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use idpbuilder_oci::image::{Descriptor, Digest, Document, Manifest, media_type};
use idpbuilder_oci::serve::{AccessLine, Limits, ServeConfig, ServeError, ServeTls, Server};
use idpbuilder_oci::store::ImageStore;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The one user of servers with a password, and the password.
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "correct horse";

/// What a server is started with.
pub(crate) struct Setup {
    pub(crate) tls: ServeTls,
    pub(crate) password: bool,
    pub(crate) read_only: bool,
    pub(crate) limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self { tls: ServeTls::Off, password: false, read_only: false, limits: Limits::default() }
    }
}

/// A running server; stopped when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) pem: Option<String>,
    pub(crate) store: ImageStore,
    pub(crate) directory: tempfile::TempDir,
    log: Arc<Mutex<Vec<AccessLine>>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Result<(), ServeError>>>,
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::start_with(Setup::default())
    }

    pub(crate) fn start_with(setup: Setup) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ImageStore::open(&directory.path().join("images")).expect("a store");
        Self::over(directory, store, setup)
    }

    pub(crate) fn over(directory: tempfile::TempDir, store: ImageStore, setup: Setup) -> Self {
        let htpasswd = setup.password.then(|| {
            let path = directory.path().join("htpasswd");
            let hash = bcrypt::hash(PASSWORD, 4).expect("hashed");
            std::fs::write(&path, format!("{USER}:{hash}\n")).expect("written");
            path
        });
        let config = ServeConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: setup.tls,
            htpasswd,
            read_only: setup.read_only,
            store: store.clone(),
        };
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let lines = Arc::clone(&log);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let server = Server::bind_with(config, setup.limits).await?;
                let facts = (server.address(), server.url(), server.certificate_pem().map(str::to_owned));
                tell.send(facts).expect("the test waits");
                let record = move |line: &AccessLine| lines.lock().expect("unpoisoned").push(line.clone());
                let stopped = async {
                    let _ = stopped.await;
                };
                server.run(stopped, Arc::new(record)).await
            })
        });
        let (address, url, pem) = told.recv().expect("the server starts");
        let scheme = if pem.is_some() { "https" } else { "http" };
        assert_eq!(url, format!("{scheme}://{address}"));
        Self { address, pem, store, directory, log, stop: Some(stop), thread: Some(thread) }
    }

    /// Another server over the store, as after a restart.
    pub(crate) fn again(&self) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::over(directory, self.store.clone(), Setup::default())
    }

    /// Tells the server to stop; answers when it has.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server does not panic").expect("the server ends well");
        }
    }

    /// Tells the server to stop and does not wait.
    pub(crate) fn begin_to_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_write_timeout(Some(PATIENCE)).expect("set");
        Connection { stream, host: self.address.to_string() }
    }

    /// One request on a connection of its own.
    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send(method, path, headers, body);
        connection.answer(method)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    /// Uploads a blob in one request.
    pub(crate) fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let answer = self.call("POST", &format!("/v2/{repository}/blobs/uploads/?digest={digest}"), &[], content);
        answer.is(201);
        digest
    }

    /// Uploads an image's blobs and then its manifest as `reference`.
    pub(crate) fn push(&self, repository: &str, reference: &str, image: &Image) -> Answer {
        for blob in &image.blobs {
            self.push_blob(repository, blob);
        }
        self.put_manifest(repository, reference, &image.manifest)
    }

    pub(crate) fn put_manifest(&self, repository: &str, reference: &str, document: &Document) -> Answer {
        let headers = [("content-type", document.descriptor.media_type.as_str())];
        self.call("PUT", &format!("/v2/{repository}/manifests/{reference}"), &headers, &document.bytes)
    }

    /// Waits until an upload's request is being served: its blob has a file then.
    #[track_caller]
    pub(crate) fn is_receiving(&self) {
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_dir(self.store.root().join(".tmp")).expect("listed").count() == 0 {
            assert!(Instant::now() < deadline, "the request is not taken up");
            std::thread::yield_now();
        }
    }

    /// The log once `wanted` accepts it.
    pub(crate) fn log_when(&self, wanted: impl Fn(&[AccessLine]) -> bool) -> Vec<AccessLine> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = self.log.lock().expect("unpoisoned").clone();
            if wanted(&lines) {
                return lines;
            }
            assert!(Instant::now() < deadline, "the log is still {lines:#?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// One connection, spoken to in plain HTTP/1.1.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) host: String,
}

impl Connection {
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.send_head(method, path, headers, Some(body.len()));
        // A server that has refused may close before it has read everything.
        let _ = self.stream.write_all(body);
    }

    pub(crate) fn send_head(&mut self, method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            let _ = write!(head, "host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(length) = length {
            let _ = write!(head, "content-length: {length}\r\n");
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes()).expect("sent");
    }

    /// Reads one answer to a request of `method`.
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let count = self.stream.read(&mut byte).unwrap_or_else(|error| panic!("{error} after {head:?}"));
            assert_eq!(count, 1, "closed after {:?}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let text = String::from_utf8(head).expect("a head is ASCII");
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let status = status.parse().expect("a status");
        let mut body = Vec::new();
        if method != "HEAD" && status != 204 {
            let length = headers.get("content-length").unwrap_or_else(|| panic!("no length in {text}"));
            let length: u64 = length.parse().expect("a number");
            (&mut self.stream).take(length).read_to_end(&mut body).expect("the body");
            assert_eq!(body.len() as u64, length, "the body is cut");
        }
        Answer { status, headers, body }
    }

    /// Whether the server has closed its side, at the latest when the time is over.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0)) || self.stream.take_error().is_ok_and(|error| error.is_some())
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }

    /// Refused with this status and code, in a whole envelope.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Self {
        self.is(status);
        let errors = self.json()["errors"].as_array().expect("errors").clone();
        assert!(!errors.is_empty());
        for error in errors {
            assert_eq!(error["code"], code, "{error}");
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
            assert!(error.get("detail").is_some(), "{error}");
        }
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("docker-distribution-api-version"), "registry/2.0");
        self
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// An image that was not pushed yet.
pub(crate) struct Image {
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) manifest: Document,
}

impl Image {
    /// One layer with one file of `content`, as real tools want it.
    pub(crate) fn new(content: &str) -> Self {
        let tar = tar_of(content);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&tar).expect("compressed");
        let layer = encoder.finish().expect("compressed");
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&tar)] },
        });
        let config = config.to_string().into_bytes();
        let manifest = Document::from_manifest(Manifest::new(
            Descriptor::of(media_type::IMAGE_CONFIG, &config),
            vec![Descriptor::of(media_type::IMAGE_LAYER_GZIP, &layer)],
            BTreeMap::new(),
        ));
        Self { blobs: vec![config, layer], manifest }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.manifest.digest()
    }

    /// Puts the image into a layout that other tools can read.
    pub(crate) fn save(&self, store: &ImageStore, name: &str) {
        let lease = store.lease().expect("a lease");
        for blob in &self.blobs {
            store.put(&lease, "application/octet-stream", blob).expect("stored");
        }
        store.put(&lease, &self.manifest.descriptor.media_type, &self.manifest.bytes).expect("stored");
        let name = name.parse().expect("a name");
        store.publish(&lease, &self.manifest, &[name], None).expect("published");
    }
}

/// A tar archive with the file `hello.txt`.
pub(crate) fn tar_of(content: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1);
    builder.append_data(&mut header, "hello.txt", content.as_bytes()).expect("appended");
    builder.into_inner().expect("finished")
}

/// Bytes that do not compress and differ by seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A real client's run.
pub(crate) struct Run {
    pub(crate) success: bool,
    pub(crate) output: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        assert!(self.success, "{}", self.output);
        self.output
    }
}

/// Runs a real client.
pub(crate) fn client(program: &str, arguments: &[&str]) -> Run {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); bin/test installs the clients that this suite needs")
    });
    let text = [output.stdout, output.stderr].concat();
    Run { success: output.status.success(), output: String::from_utf8_lossy(&text).into_owned() }
}

/// A file below `directory` with `content`.
pub(crate) fn file(directory: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(&path, content).expect("written");
    path
}

//! Starting, stopping, and what the store sees of it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use idpbuilder_oci::fs::{FileLock, Hold};
use idpbuilder_oci::image::Digest;
use idpbuilder_oci::serve::{
    CertificateError, HashKind, HtpasswdError, Limits, ServeConfig, ServeError, ServeTls, Server,
};
use idpbuilder_oci::store::{ImageStore, StoreError};

use crate::support::{Image, PATIENCE, Running, Setup, file, noise};

fn config(directory: &std::path::Path) -> ServeConfig {
    ServeConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: ServeTls::Off,
        htpasswd: None,
        read_only: false,
        store: ImageStore::open(&directory.join("images")).expect("a store"),
    }
}

fn refused(config: ServeConfig) -> ServeError {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(Server::bind(config)).expect_err("refused")
}

#[test]
fn what_cannot_be_started_says_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let running = Running::start();
    let taken = refused(ServeConfig { listen: running.address, ..config(directory.path()) });
    assert!(matches!(taken, ServeError::Listen { address, .. } if address == running.address));
    let users = |path: PathBuf| refused(ServeConfig { htpasswd: Some(path), ..config(directory.path()) });
    assert!(matches!(users(directory.path().join("none")), ServeError::ReadUsers { .. }));
    let md5 = users(file(directory.path(), "md5", b"# users\na:$apr1$x$y\n"));
    let ServeError::Users { source, .. } = md5 else { panic!("{md5:?}") };
    assert_eq!(source, HtpasswdError::HashKind { line: 2, kind: HashKind::ApacheMd5 });
    let tls = |tls: ServeTls| refused(ServeConfig { tls, ..config(directory.path()) });
    let names = vec!["not a name".to_owned()];
    assert!(matches!(
        tls(ServeTls::SelfSigned { names }),
        ServeError::Certificate(CertificateError::Name(name)) if name == "not a name"
    ));
    let none = directory.path().join("none");
    assert!(matches!(
        tls(ServeTls::Files { certificate: none.clone(), key: none }),
        ServeError::Certificate(CertificateError::Read { .. })
    ));
}

#[test]
fn files_that_are_no_files_are_refused_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    let large = directory.path().join("large");
    std::fs::File::create(&large).and_then(|file| file.set_len((1 << 20) + 1)).expect("made");
    for path in [pipe, PathBuf::from("/dev/zero"), directory.path().to_owned(), large] {
        let htpasswd = refused(ServeConfig { htpasswd: Some(path.clone()), ..config(directory.path()) });
        assert!(matches!(htpasswd, ServeError::ReadUsers { .. }), "{}: {htpasswd:?}", path.display());
        let tls = ServeTls::Files { certificate: path.clone(), key: path.clone() };
        let tls = refused(ServeConfig { tls, ..config(directory.path()) });
        let read = matches!(tls, ServeError::Certificate(CertificateError::Read { .. }));
        assert!(read, "{}: {tls:?}", path.display());
    }
}

#[test]
fn nothing_is_pruned_under_a_server() {
    let mut server = Running::start();
    let image = Image::new("x");
    for blob in &image.blobs {
        server.push_blob("app", blob);
    }
    let impatient = server.store.clone().with_patience(Duration::ZERO);
    assert!(matches!(impatient.prune(), Err(StoreError::Lock(_))));
    server.put_manifest("app", "v1", &image.manifest).is(201);
    server.stop();
    assert_eq!(impatient.prune().expect("alone").blobs, 0);
}

#[test]
fn stopping_lets_requests_finish() {
    let mut server = Running::start();
    let content = noise(1, 400_000);
    let mut connection = server.connect();
    let path = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(&content));
    connection.send_head("POST", &path, &[], Some(content.len()));
    connection.stream.write_all(&content[..200_000]).expect("sent");
    server.log_when(<[_]>::is_empty);
    // The request is being served once its blob has a file.
    let deadline = Instant::now() + PATIENCE;
    let files = || std::fs::read_dir(server.store.root().join(".tmp")).expect("listed").count();
    while files() == 0 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    server.begin_to_stop();
    let address = server.address;
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "new connections are still taken");
        std::thread::yield_now();
    }
    connection.stream.write_all(&content[200_000..]).expect("sent");
    connection.answer("POST").is(201);
    server.stop();
    assert_eq!(server.store.blob_size(Digest::of(&content)).expect("read"), Some(400_000));
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let limits = Limits { grace: Duration::from_millis(50), ..Limits::default() };
    let mut server = Running::start_with(Setup { limits, ..Setup::default() });
    let mut connection = server.connect();
    connection.send_head("POST", "/v2/app/blobs/uploads/?digest=sha256:", &[], None);
    connection.answer("POST").is(400);
    let path = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"x"));
    connection.send_head("POST", &path, &[], Some(100));
    connection.stream.write_all(b"x").expect("sent");
    server.stop();
    assert!(connection.is_closed());
    let impatient = server.store.clone().with_patience(PATIENCE);
    impatient.prune().expect("the lease is given back");
    assert_eq!(std::fs::read_dir(server.store.root().join(".tmp")).expect("listed").count(), 0);
}

#[test]
fn a_lock_of_another_process_holds_up_no_other_request() {
    let server = Running::start();
    let image = Image::new("x");
    for blob in &image.blobs {
        server.push_blob("app", blob);
    }
    let lock = server.store.root().join(".index.lock");
    let lock = FileLock::acquire(&lock, Hold::Exclusive, PATIENCE).expect("free");
    // More than there are threads that serve connections.
    let mut waiting = Vec::new();
    for tag in ["v1", "v2", "v3", "v4"] {
        let mut connection = server.connect();
        let headers = [("content-type", image.manifest.descriptor.media_type.as_str())];
        connection.send("PUT", &format!("/v2/app/manifests/{tag}"), &headers, &image.manifest.bytes);
        waiting.push(connection);
    }
    // What they do before they need the lock is done.
    let deadline = Instant::now() + PATIENCE;
    while server.store.blob_size(image.digest()).expect("read").is_none() {
        assert!(Instant::now() < deadline, "no manifest is stored");
        std::thread::yield_now();
    }
    server.get("/v2/").is(200);
    server.get(&format!("/v2/app/blobs/{}", Digest::of(&image.blobs[0]))).is(200);
    server.push_blob("app", b"another");
    let answered = server.log_when(|lines| !lines.is_empty());
    assert!(answered.iter().all(|line| line.method != "PUT"), "{answered:#?}");
    drop(lock);
    for mut connection in waiting {
        connection.answer("PUT").is(201);
    }
}

#[test]
fn each_request_is_told_once() {
    let server = Running::start();
    let content = noise(2, 300_000);
    let digest = server.push_blob("app", &content);
    server.get(&format!("/v2/app/blobs/{digest}?secret=hunter2")).is(200);
    let lines = server.log_when(|lines| lines.len() == 2);
    let find = |method: &str| lines.iter().find(|line| line.method == method).expect(method);
    let (push, pull) = (find("POST"), find("GET"));
    assert_eq!((push.status, push.received), (Some(201), 300_000));
    assert_eq!((pull.status, pull.sent), (Some(200), 300_000));
    assert_eq!(pull.path, format!("/v2/app/blobs/{digest}"));
    assert!(pull.peer.ip().is_loopback());
}

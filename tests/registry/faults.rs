//! Registries, proxies and networks that fail.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use idpbuilder_oci::image::{Descriptor, Digest};
use idpbuilder_oci::ops::push::PushError;
use idpbuilder_oci::progress::{Event, Interrupt, Progress};
use idpbuilder_oci::registry::{
    Meter, NetworkFault, Proxies, Registry, RegistryConfig, RegistryError, Target, Timeouts, Violation, Wait,
};

use crate::fixture::{TestStore, login, noise, persistent, push_config, registry, registry_config, source, upload};
use crate::scripted::{Reply, Request, Scripted, answer, with};

const NGINX_413: &str = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>x</body></html>";

fn html(status: u16, body: &str) -> Reply {
    let headers = vec![("Content-Type", "text/html".to_owned()), ("Server", "nginx".to_owned())];
    Reply::Answer(status, headers, body.as_bytes().to_vec())
}

/// A registry whose sessions take anything, except where `before` answers.
fn taking(before: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |request| {
        before(request).unwrap_or_else(|| match request.method.as_str() {
            "POST" | "PATCH" => with(202, "Location", "/v2/team/app/blobs/uploads/1"),
            "PUT" => answer(201, ""),
            "DELETE" => answer(204, ""),
            _ => answer(404, ""),
        })
    })
}

async fn manifest_error(reply: impl Fn() -> Reply + Send + Sync + 'static) -> RegistryError {
    let server = Scripted::start(move |_| reply());
    registry(&server.host(), None).get_manifest("team/app", Target::Tag("v1")).await.expect_err("refused")
}

#[tokio::test]
async fn every_kind_of_body_is_told() {
    let error = manifest_error(|| html(502, "<html><h1>502 Bad Gateway</h1></html>")).await;
    assert!(matches!(&error, RegistryError::Unavailable(refused) if refused.response.by_proxy), "{error:?}");
    assert!(error.to_string().contains("502 Bad Gateway (answered by a proxy, nginx, not by the registry)"), "{error}");

    let error = manifest_error(|| answer(403, "reqToken")).await;
    assert!(matches!(&error, RegistryError::Denied(_)), "{error:?}");
    assert!(error.to_string().contains("/v2/team/app/manifests/v1: 403 Forbidden: reqToken"), "{error}");

    let error = manifest_error(|| answer(500, "")).await;
    assert!(error.to_string().contains("500 Internal Server Error, without explanation"), "{error}");

    let error = manifest_error(|| with(429, "Retry-After", "7")).await;
    assert!(matches!(error, RegistryError::RateLimited(_)), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));

    let long = "x".repeat(10 << 20);
    let error = manifest_error(move || answer(400, &long)).await;
    assert!(error.to_string().len() < 2000, "{}", error.to_string().len());
}

#[tokio::test]
async fn an_early_413_is_read_and_teaches_smaller_requests() {
    const CEILING: u64 = 2 << 20;
    let content = noise(40, 7 << 20);
    let server = taking(|request| {
        let length: u64 = request.header("content-length")?.parse().ok()?;
        let headers = vec![("Content-Type", "text/html".to_owned()), ("Connection", "close".to_owned())];
        (length > CEILING).then(|| Reply::Early(413, headers, NGINX_413.into()))
    });
    let registry = registry(&server.host(), None);
    upload(&registry, &content).await.expect("sent in chunks");
    let methods: Vec<String> = server.seen().into_iter().map(|request| request.method).collect();
    // 7 MiB and half of them are too much, a quarter is not; each refused session is cancelled.
    let expected =
        ["POST", "PUT", "DELETE", "POST", "PATCH", "DELETE", "POST", "PATCH", "PATCH", "PATCH", "PATCH", "PUT"];
    assert_eq!(methods, expected);
    let sent: Vec<u8> = server.seen().into_iter().skip(7).flat_map(|request| request.body).collect();
    assert!(sent == content);
    // What was learned stays.
    upload(&registry, &noise(41, 5 << 20)).await.expect("sent in chunks");
    assert_eq!(server.seen()[13].method, "PATCH");
}

/// Lets the peer answer and close just before a later piece is written.
struct Hold {
    pieces: AtomicUsize,
    holding: mpsc::Sender<()>,
    closed: Mutex<mpsc::Receiver<()>>,
}

impl Progress for Hold {
    fn emit(&self, event: Event<'_>) {
        if matches!(event, Event::Advance { .. }) && self.pieces.fetch_add(1, Ordering::Relaxed) == 3 {
            self.holding.send(()).expect("awaited");
            self.closed.lock().expect("unpoisoned").recv_timeout(Duration::from_secs(20)).expect("closed");
        }
    }
}

#[tokio::test]
async fn an_answer_is_read_although_the_next_write_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (holding, held) = mpsc::channel();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        // Leaves bytes unread, so that closing resets the connection.
        stream.read_exact(&mut [0; 10]).expect("a request");
        held.recv().expect("held");
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").expect("answered");
        drop(stream);
        sender.send(()).expect("awaited");
    });
    let server =
        taking(move |request| (request.method == "POST").then(|| with(202, "Location", format!("http://{address}/u"))));
    let meter =
        Meter::new(Arc::new(Hold { pieces: AtomicUsize::new(0), holding, closed: Mutex::new(receiver) }), "key");
    let content = noise(52, 8 << 20);
    let blob = Descriptor::of("application/octet-stream", &content);
    // After the 413 it is tried again in chunks, and nobody listens there any more.
    let error = registry(&server.host(), None).upload_blob("a/b", &blob, source(content), &meter).await;
    let Err(RegistryError::Network { fault: NetworkFault::Refused, .. }) = error else { panic!("{error:?}") };
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_not_asked_for_ever() {
    let server = taking(|request| (request.method != "POST").then(|| Reply::Early(413, Vec::new(), Vec::new())));
    let error = upload(&persistent(&server.host()).0, &noise(42, 300_000)).await.expect_err("nothing is taken");
    assert!(matches!(error, RegistryError::TooLarge(_)), "{error:?}");
}

#[tokio::test]
async fn an_early_401_is_answered_and_the_bytes_sent_again() {
    let content = noise(43, 8 << 20);
    let server = taking(|request| {
        if request.path() == "/token" {
            return Some(answer(200, "{\"token\":\"t\"}"));
        }
        let host = request.header("host").unwrap_or_default();
        let challenge = vec![("WWW-Authenticate", format!("Bearer realm=\"http://{host}/token\""))];
        match (request.method.as_str(), request.header("authorization")) {
            // Sessions are for everybody, bytes are not.
            ("PUT", None) => Some(Reply::Early(401, challenge, Vec::new())),
            _ => None,
        }
    });
    upload(&registry(&server.host(), None), &content).await.expect("sent");
    let last = server.seen().pop().expect("asked");
    assert_eq!((last.method.as_str(), last.header("authorization")), ("PUT", Some("Bearer t")));
    assert!(last.body == content);
}

#[tokio::test]
async fn a_failed_upload_is_cancelled() {
    let server = taking(|request| (request.method == "PUT").then(|| answer(500, "")));
    let error = upload(&registry(&server.host(), None), &noise(44, 1000)).await.expect_err("refused");
    assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
    let last = server.log().pop();
    assert_eq!(last.as_deref(), Some("DELETE /v2/team/app/blobs/uploads/1"));
}

#[tokio::test]
async fn a_registry_that_counts_otherwise_is_not_believed() {
    let server = taking(|request| {
        let headers = vec![("Location", "/u".to_owned()), ("Range", "0-99".to_owned())];
        (request.method == "PATCH").then(|| Reply::Answer(202, headers, Vec::new()))
    });
    let config = registry_config(&server.host(), None);
    let limits = idpbuilder_oci::registry::Limits::chunks_of(64 << 10);
    let registry = Registry::open(RegistryConfig { limits, ..config }).expect("an address");
    let content = noise(45, 200_000);
    upload(&registry, &content).await.expect("sent");
    // Chunks are not its way: one is enough to see that, and what it got of it is given up.
    let patches = server.log().iter().filter(|line| line.starts_with("PATCH ")).count();
    let last = server.seen().pop().expect("asked");
    assert_eq!((patches, last.method.as_str()), (1, "PUT"));
    assert!(last.header("content-range").is_none() && last.body == content);
}

#[tokio::test]
async fn a_registry_that_counts_otherwise_and_takes_nothing_whole_is_told() {
    let server = taking(|request| match request.method.as_str() {
        "PATCH" => Some(with(202, "Range", "0-99".to_owned())),
        "PUT" => Some(answer(413, "")),
        _ => None,
    });
    let config = registry_config(&server.host(), None);
    let limits = idpbuilder_oci::registry::Limits::chunks_of(64 << 10);
    let registry = Registry::open(RegistryConfig { limits, ..config }).expect("an address");
    let error = upload(&registry, &noise(45, 200_000)).await.expect_err("miscounted");
    let RegistryError::Protocol { violation, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*violation, Violation::Offset { expected: 65536, found: 100 });
}

#[tokio::test]
async fn another_digest_is_noticed() {
    let other = Digest::of(b"other");
    let server =
        taking(move |request| (request.method == "PUT").then(|| with(201, "Docker-Content-Digest", other.to_string())));
    let error = upload(&registry(&server.host(), None), b"content").await.expect_err("another digest");
    let RegistryError::DigestMismatch { expected, found, .. } = error else { panic!("{error:?}") };
    assert_eq!((expected, found), (Digest::of(b"content"), other));
}

/// A registry may take a small blob with the POST, and a large one from another repository: neither counts if it is
/// another blob.
#[tokio::test]
async fn another_digest_is_noticed_where_no_session_was_opened() {
    for size in [7, 1 << 20] {
        let other = Digest::of(b"other");
        let server = taking(move |request| {
            (request.method == "POST").then(|| with(201, "Docker-Content-Digest", other.to_string()))
        });
        let content = noise(47, size);
        let error = upload(&registry(&server.host(), None), &content).await.expect_err("another digest");
        let RegistryError::DigestMismatch { expected, found, .. } = error else { panic!("{size}: {error:?}") };
        assert_eq!((expected, found), (Digest::of(&content), other));
    }
}

#[tokio::test]
async fn a_tag_that_stands_for_something_else_is_not_a_push() {
    let other = Digest::of(b"other");
    let server = taking(move |request| {
        let is_tag = request.path().ends_with("/manifests/v1");
        (request.method == "HEAD" && is_tag).then(|| with(200, "Docker-Content-Digest", other.to_string()))
    });
    let local = TestStore::new();
    let image = local.image("app", &[noise(46, 10)]);
    let error = local.push(push_config("app", &[&format!("{}/team/app:v1", server.host())], None)).await;
    let Err(PushError::NotVerified { expected, found, .. }) = error else { panic!("{error:?}") };
    assert_eq!((expected, found), (image.digest(), Some(other)));
    let puts: Vec<String> = server.log().into_iter().filter(|line| line.contains("/manifests/")).collect();
    let by_digest = format!("PUT /v2/team/app/manifests/{}", image.digest());
    let tag = ["HEAD /v2/team/app/manifests/v1", "PUT /v2/team/app/manifests/v1"];
    assert_eq!(puts, [tag[0], &by_digest, tag[1], tag[0]]);
}

#[tokio::test]
async fn blobs_that_are_not_what_they_should_be() {
    let blob = Descriptor::of("application/octet-stream", b"hello");
    for (body, announced) in [("hellO", 5), ("hell", 4), ("hello!", 6), ("hel", 5)] {
        let server = Scripted::start(move |_| Reply::Short(announced, body.into()));
        let registry = registry(&server.host(), None);
        let mut download = registry.get_blob("a/b", &blob).await.expect("begun");
        let error = loop {
            match download.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("`{body}` was taken for `hello`"),
                Err(error) => break error,
            }
        };
        let told = match body {
            "hellO" => matches!(error, RegistryError::DigestMismatch { .. }),
            "hell" => {
                matches!(error, RegistryError::Protocol { violation: Violation::Size { expected: 5, found: 4 }, .. })
            }
            "hello!" => matches!(error, RegistryError::Protocol { violation: Violation::TooLong(5), .. }),
            _ => matches!(error, RegistryError::Network { fault: NetworkFault::Closed, .. }),
        };
        assert!(told, "{body}: {error:?}");
    }
}

#[tokio::test]
async fn a_manifest_that_never_ends_is_cut() {
    let server = Scripted::start(|_| Reply::Stall(1 << 40, vec![b' '; 5 << 20]));
    let error = registry(&server.host(), None).get_manifest("a/b", Target::Tag("v1")).await.expect_err("too long");
    assert!(matches!(&error, RegistryError::Protocol { violation: Violation::TooLong(_), .. }), "{error:?}");
}

fn fault(error: RegistryError) -> NetworkFault {
    match error {
        RegistryError::Network { fault, .. } => fault,
        other => panic!("not the network's: {other:?}"),
    }
}

#[tokio::test]
async fn the_networks_faults_are_told_apart() {
    let ping = |host: String| async move { fault(registry(&host, None).ping().await.expect_err("no answer")) };
    let gone = Scripted::start(|_| Reply::Close);
    let closed = ping(gone.host()).await;
    assert!(matches!(closed, NetworkFault::Closed | NetworkFault::Reset), "{closed:?}");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let refused = ping(free).await;
    assert!(matches!(refused, NetworkFault::Refused), "{refused:?}");
    let unknown = ping("registry.invalid:5000".to_owned()).await;
    assert!(matches!(unknown, NetworkFault::Dns), "{unknown:?}");
    let ssh = Scripted::start(|_| Reply::Garbage);
    let garbage = ping(ssh.host()).await;
    assert!(matches!(garbage, NetworkFault::NotHttp), "{garbage:?}");
    let many = Scripted::start(|_| Reply::Answer(200, vec![("X-Many", "x".to_owned()); 200], Vec::new()));
    let verbose = ping(many.host()).await;
    assert!(matches!(verbose, NetworkFault::Verbose), "{verbose:?}");
}

/// Nothing takes that long.
const DEADLINE: Duration = Duration::from_mins(1);

fn impatient(host: &str) -> Registry {
    let short = Duration::from_millis(1500);
    let timeouts = Timeouts { connect: short, answer: short, stall: short };
    Registry::open(RegistryConfig { timeouts, ..registry_config(host, None) }).expect("an address")
}

#[tokio::test]
async fn silence_is_not_waited_for() {
    let mute = Scripted::start(|_| Reply::Silence);
    let answer = fault(impatient(&mute.host()).ping().await.expect_err("silence"));
    assert!(matches!(answer, NetworkFault::Timeout { wait: Wait::Answer, .. }), "{answer:?}");

    let slow = Scripted::start(|_| Reply::Stall(5, b"hel".to_vec()));
    let blob = Descriptor::of("application/octet-stream", b"hello");
    let registry = impatient(&slow.host());
    let mut download = registry.get_blob("a/b", &blob).await.expect("begun");
    assert_eq!(download.chunk().await.expect("three bytes").as_deref(), Some(&b"hel"[..]));
    let stall = fault(download.chunk().await.expect_err("silence"));
    assert!(matches!(stall, NetworkFault::Timeout { wait: Wait::Stall, .. }), "{stall:?}");
}

#[tokio::test]
async fn a_refusal_that_drips_is_not_heard_out() {
    let server = Scripted::start(|_| Reply::Drip(403));
    let registry = impatient(&server.host());
    let asked = registry.get_manifest("a/b", Target::Tag("v1"));
    let error = tokio::time::timeout(DEADLINE, asked).await.expect("it comes to an end").expect_err("refused");
    let text = error.error_response().and_then(|refused| refused.response.text.clone());
    assert!(text.is_some_and(|text| text.starts_with('x')), "{error:?}");

    // What nobody wants to read is not waited for either.
    let server = Scripted::start(|_| Reply::Drip(200));
    let ping = impatient(&server.host());
    tokio::time::timeout(DEADLINE, ping.ping()).await.expect("it comes to an end").expect("an answer");
}

#[tokio::test]
async fn a_document_that_drips_is_a_stall() {
    let drips = |error: RegistryError| {
        let text = error.to_string();
        let fault = fault(error);
        assert!(matches!(fault, NetworkFault::Timeout { wait: Wait::Slow, .. }), "{fault:?}");
        assert!(text.contains("the answer arrives too slowly"), "{text}");
    };
    let server = Scripted::start(|_| Reply::Drip(200));
    let registry = impatient(&server.host());
    let manifest = tokio::time::timeout(DEADLINE, registry.get_manifest("a/b", Target::Tag("v1"))).await;
    drips(manifest.expect("it comes to an end").expect_err("one byte now and then"));

    // A configuration, or any other blob.
    let blob = Descriptor { size: 1 << 20, ..Descriptor::of("application/octet-stream", b"x") };
    let mut download = registry.get_blob("a/b", &blob).await.expect("begun");
    let end = tokio::time::timeout(DEADLINE, async {
        loop {
            match download.chunk().await {
                Ok(piece) => assert!(piece.is_some(), "it has no end"),
                Err(error) => return error,
            }
        }
    });
    drips(end.await.expect("it comes to an end"));

    // A token.
    let server = Scripted::start(|request| match request.path() {
        "/token" => Reply::Drip(200),
        _ => with(401, "WWW-Authenticate", "Bearer realm=\"/token\""),
    });
    let registry = impatient(&server.host());
    let asked = tokio::time::timeout(DEADLINE, registry.head_blob("a/b", Digest::of(b"x"))).await;
    drips(asked.expect("it comes to an end").expect_err("one byte now and then"));
}

#[tokio::test]
async fn an_answer_that_never_begins_is_not_waited_for() {
    // Interim answers, a status line or a header without an end.
    for text in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
        "H",
        "HTTP/1.1 200 OK\r\nA: b",
    ] {
        let server = Scripted::start(move |_| Reply::Repeat(text));
        let registry = impatient(&server.host());
        let asked = tokio::time::timeout(DEADLINE, registry.ping()).await;
        let error = asked.unwrap_or_else(|_| panic!("{text:?} has no end")).expect_err("no answer");
        assert!(matches!(error, RegistryError::Network { .. }), "{text:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_download_without_a_length_that_ends_early_is_gone_on_with() {
    let content = noise(60, 5000);
    let (whole, blob) = (content.clone(), Descriptor::of("application/octet-stream", &content));
    // As HTTP/1.0 servers do it: the end of the connection is the end of the body.
    let server = Scripted::start(move |request| match request.header("range") {
        None => Reply::Unframed(whole[..2000].to_vec()),
        Some("bytes=2000-") => {
            let range = vec![("Content-Range", "bytes 2000-4999/5000".to_owned())];
            Reply::Answer(206, range, whole[2000..].to_vec())
        }
        Some(other) => panic!("{other}"),
    });
    let (registry, _) = persistent(&server.host());
    let mut download = registry.get_blob("team/app", &blob).await.expect("found");
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await.expect("goes on") {
        bytes.extend_from_slice(&chunk);
    }
    assert!(bytes == content, "{} bytes", bytes.len());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_blob_whose_size_is_not_told_is_measured() {
    let sized = |headers: &'static [(&'static str, &'static str)], status: u16| {
        Scripted::start(move |request| {
            if request.method == "HEAD" {
                return with(200, "Transfer-Encoding", "chunked");
            }
            assert_eq!(request.header("range"), Some("bytes=0-0"));
            let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            Reply::Answer(status, headers, b"x".to_vec())
        })
    };
    for (headers, status, expected) in [
        (&[("Content-Range", "bytes 0-0/4711")][..], 206, Some(4711)),
        (&[("Content-Range", "bytes 0-0/*")][..], 206, None),
        (&[], 206, None),
        (&[], 200, Some(1)),
        (&[], 404, None),
        (&[], 416, None),
    ] {
        let server = sized(headers, status);
        let size = registry(&server.host(), None).head_blob("a/b", Digest::of(b"x")).await.expect("an answer");
        assert_eq!(size, expected, "{headers:?} {status}");
    }
}

#[tokio::test]
async fn a_peer_that_takes_no_more_bytes_is_given_up() {
    // Accepts connections in the kernel and reads nothing: the second blob goes there. The first one shows that the link
    // is fast, so that the second goes in requests that are larger than what the kernel keeps.
    let sink = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = sink.local_addr().expect("an address");
    let posts = AtomicUsize::new(0);
    let server = taking(move |request| {
        let is_second = request.method == "POST" && posts.fetch_add(1, Ordering::Relaxed) == 1;
        is_second.then(|| with(202, "Location", format!("http://{address}/u")))
    });
    let registry = impatient(&server.host());
    upload(&registry, &noise(46, 4 << 20)).await.expect("taken");
    let error = upload(&registry, &noise(47, 64 << 20)).await.expect_err("nothing is taken");
    let stall = fault(error);
    assert!(matches!(stall, NetworkFault::Timeout { wait: Wait::Stall, .. }), "{stall:?}");
}

#[tokio::test]
async fn an_interrupt_ends_an_upload_and_its_session() {
    let server = taking(|request| (request.method == "PUT").then_some(Reply::Silence));
    let interrupt = Interrupt::default();
    let config = RegistryConfig { interrupt: interrupt.clone(), ..registry_config(&server.host(), None) };
    let registry = Registry::open(config).expect("an address");
    let content = noise(48, 1000);
    let uploading = upload(&registry, &content);
    let interrupting = tokio::task::spawn_blocking({
        let host = server.host();
        move || {
            server.wait_for(|request| request.method == "PUT");
            interrupt.request();
            server.wait_for(|request| request.method == "DELETE");
            host
        }
    });
    let (uploaded, interrupted) = tokio::join!(uploading, interrupting);
    assert!(matches!(uploaded, Err(RegistryError::Interrupted)), "{uploaded:?}");
    interrupted.expect("the session was cancelled");
}

#[tokio::test]
async fn the_first_failure_stops_the_other_blobs() {
    let server = taking(|request| match request.method.as_str() {
        "PUT" if request.header("content-length") == Some("100") => Some(answer(500, "")),
        "PUT" => Some(Reply::Silence),
        _ => None,
    });
    let local = TestStore::new();
    local.image("app", &[noise(49, 1000), noise(50, 100), noise(51, 2000)]);
    let error = local.push(push_config("app", &[&format!("{}/team/app", server.host())], None)).await;
    let Err(PushError::Registry { source: RegistryError::Unavailable(_), .. }) = error else { panic!("{error:?}") };
    assert!(server.log().iter().all(|line| !line.contains("PUT /v2/team/app/manifests")));
}

#[tokio::test]
async fn a_proxy_is_used_but_not_for_this_machine() {
    let proxy = Scripted::start(|_| answer(200, "{}"));
    let proxies = Proxies {
        http: Some(format!("http://u:hunter2@{}", proxy.host())),
        https: None,
        no: Some("direct.invalid".into()),
    };
    let open = |host: &str| {
        let config = RegistryConfig { proxies: proxies.clone(), ..registry_config(host, Some(login("a", "b"))) };
        Registry::open(config).expect("an address")
    };
    open("registry.invalid:5000").ping().await.expect("through the proxy");
    let seen = proxy.seen().remove(0);
    assert_eq!(seen.target, "http://registry.invalid:5000/v2/");
    assert!(seen.header("proxy-authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert!(matches!(fault(open("direct.invalid").ping().await.expect_err("direct")), NetworkFault::Dns));
    let here = Scripted::start(|_| answer(200, "{}"));
    open(&here.host()).ping().await.expect("without the proxy");
    assert_eq!((proxy.seen().len(), here.seen().len()), (1, 1));
    assert!(!format!("{proxies:?}").contains("hunter2"));
}

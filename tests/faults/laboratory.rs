//! The instruments themselves, by raw HTTP: a laboratory that does not do what it says proves nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use idpbuilder_oci::image::Digest;

use crate::fixture::noise;
use crate::lab::access::Login;
use crate::lab::profile::{self, Profile};
use crate::lab::proxy::{Cut, FaultProxy, Link, Way};
use crate::lab::record::{Site, blob_bytes};
use crate::lab::script::{self, Answer, Break, Fault, Lie, Op};
use crate::lab::serve::{Lab, Setup};

/// A connection that says exactly what it is told.
struct Raw {
    stream: TcpStream,
    host: String,
}

struct Told {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Raw {
    fn to(host: &str) -> Self {
        let stream = TcpStream::connect(host).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        Self { stream, host: host.to_owned() }
    }

    fn head(&mut self, method: &str, target: &str, headers: &[(&str, &str)], length: usize) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n", self.host);
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        self.stream.write_all(format!("{head}\r\n").as_bytes()).expect("sent");
    }

    fn answer(&mut self, method: &str) -> std::io::Result<Told> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut told = Told { status, head, body: Vec::new() };
        let length = told.header("content-length").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        if method != "HEAD" {
            told.body = vec![0; length];
            self.stream.read_exact(&mut told.body)?;
        }
        Ok(told)
    }

    fn call(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Told> {
        self.head(method, target, headers, body.len());
        self.stream.write_all(body)?;
        self.answer(method)
    }

    fn done(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        self.call(method, target, headers, body).expect("an answer")
    }
}

const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

/// The path of a Location.
fn path(told: &Told) -> String {
    let location = told.header("location").expect("a Location");
    match location.split_once("://") {
        Some((_, rest)) => rest[rest.find('/').expect("a path")..].to_owned(),
        None => location.to_owned(),
    }
}

fn with_digest(address: &str, content: &[u8]) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}digest={}", Digest::of(content))
}

fn start(profile: Profile, rules: impl IntoIterator<Item = script::Rule>) -> (Lab, Raw) {
    let lab = Lab::start(Setup::of(profile).script(rules));
    let raw = Raw::to(&lab.host());
    (lab, raw)
}

#[test]
fn a_blob_in_chunks_is_kept_by_every_profile_that_takes_chunks() {
    for profile in profile::ALL.iter().filter(|profile| profile.patch.later == profile::Later::Taken) {
        let (lab, mut raw) = start(*profile, []);
        lab.state().repository("team/app");
        let content = noise(1, 3 << 20);
        let mut address = path(&raw.done("POST", UPLOADS, &[], b""));
        for (number, chunk) in content.chunks(1 << 20).enumerate() {
            let range = format!("{}-{}", number << 20, ((number + 1) << 20) - 1);
            let told = raw.done("PATCH", &address, &[("content-range", &range)], chunk);
            assert_eq!(told.status, profile.patch.status, "{}: {}", profile.name, told.head);
            address = path(&told);
        }
        let told = raw.done("PUT", &with_digest(&address, &content), &[], b"");
        assert_eq!(told.status, 201, "{}: {}", profile.name, told.head);
        let blob = raw.done("GET", &format!("/v2/team/app/blobs/{}", Digest::of(&content)), &[], b"");
        assert!(blob.body == content, "{}", profile.name);
        assert_eq!(blob_bytes(&lab.seen()), 3 << 20);
    }
}

#[test]
fn a_cut_is_at_its_byte_and_of_its_kind() {
    for how in [Break::Reset, Break::Close, Break::Stall] {
        let (lab, mut raw) = start(profile::PLAIN, [script::at_byte(1000, how)]);
        let address = path(&raw.done("POST", UPLOADS, &[], b""));
        raw.stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
        let error = raw.call("PATCH", &address, &[("content-range", "0-4095")], &[7; 4096]).err().expect("no answer");
        let expected: &[ErrorKind] = match how {
            Break::Reset => &[ErrorKind::ConnectionReset, ErrorKind::BrokenPipe],
            Break::Close => &[ErrorKind::UnexpectedEof],
            Break::Stall => &[ErrorKind::WouldBlock, ErrorKind::TimedOut],
        };
        assert!(expected.contains(&error.kind()), "{how:?}: {error:?}");
        let patch = lab.seen().pop().expect("recorded");
        assert_eq!((patch.received, patch.status), (1000, None), "{how:?}");
        let mut again = Raw::to(&lab.host());
        let told = again.done("GET", &address, &[], b"");
        assert_eq!(told.header("range"), Some("0-999"), "what has arrived is kept here");
    }
}

#[test]
fn torn_sessions_end_as_each_registry_ends_them() {
    for (profile, status, put) in [
        (profile::GITEA_1_24_3, 204, 500),
        (profile::GITEA_1_22, 204, 500),
        (profile::DISTRIBUTION_2_8, 404, 404),
        (profile::DISTRIBUTION_3, 204, 201),
        (profile::GHCR, 404, 404),
        (profile::ZOT, 404, 404),
        (profile::QUAY, 204, 201),
    ] {
        let (lab, mut raw) = start(profile, [script::at_byte(6000, Break::Reset)]);
        let content = noise(2, 8192);
        let address = path(&raw.done("POST", UPLOADS, &[], b""));
        let told = raw.done("PATCH", &address, &[("content-range", "0-4095")], &content[..4096]);
        let address = path(&told);
        let _ = raw.call("PATCH", &address, &[("content-range", "4096-8191")], &content[4096..]);
        let mut raw = Raw::to(&lab.host());
        let told = raw.done("GET", &address, &[], b"");
        assert_eq!(told.status, status, "{}", profile.name);
        let offset = match (profile.name, told.header("range")) {
            ("gitea 1.22", range) => {
                assert_eq!(range, Some("0-4096"), "one too many");
                4096
            }
            ("gitea 1.24.3", range) => {
                assert_eq!(range, Some("0-4095"), "as if nothing had happened");
                4096
            }
            (_, Some(range)) => range.trim_start_matches("0-").parse::<usize>().expect("digits") + 1,
            (_, None) => 8192,
        };
        let address = told.header("location").map_or(address, |_| path(&told));
        let told = raw.done("PUT", &with_digest(&address, &content), &[], &content[offset..]);
        assert_eq!(told.status, put, "{}: {}", profile.name, told.head);
    }
}

#[test]
fn answers_come_early_late_cut_or_changed() {
    let digest = Digest::of(b"x");
    let (lab, mut raw) = start(
        profile::PLAIN,
        [
            script::first(Op::Open, Fault::Refuse(Answer::nginx(502, "Bad Gateway"))),
            script::nth(Op::Open, 2, Fault::Refuse(Answer::json(429, "TOOMANYREQUESTS").with("Retry-After", "3"))),
            script::nth(Op::Open, 3, Fault::Lie(Lie::LocationElsewhere)),
            script::first(Op::Patch, Fault::Early(100, Answer::plain(413, "too much"))),
            script::nth(Op::Patch, 2, Fault::Lie(Lie::RangeBy(7))),
            script::first(Op::Commit, Fault::Lost(Break::Reset)),
            script::first(Op::GetBlob, Fault::Truncate(0)),
        ],
    );
    assert!(String::from_utf8_lossy(&raw.done("POST", UPLOADS, &[], b"").body).contains("502 Bad Gateway"));
    assert_eq!(raw.done("POST", UPLOADS, &[], b"").header("retry-after"), Some("3"));
    let elsewhere = raw.done("POST", UPLOADS, &[], b"");
    let elsewhere = elsewhere.header("location").expect("a Location");
    assert!(elsewhere.starts_with("http://127.0.0.1:") && !elsewhere.contains(&lab.host()), "{elsewhere}");
    let address = path(&raw.done("POST", UPLOADS, &[], b""));
    raw.head("PATCH", &address, &[], 1 << 20);
    raw.stream.write_all(&[0; 5000]).expect("sent");
    let told = raw.answer("PATCH").expect("an early answer");
    assert_eq!((told.status, lab.seen().pop().expect("recorded").received), (413, 100));
    let mut raw = Raw::to(&lab.host());
    assert_eq!(raw.done("PATCH", &address, &[], b"x").header("range"), Some("0-7"));
    raw.call("PUT", &with_digest(&address, b"x"), &[], b"").err().expect("no answer");
    let mut raw = Raw::to(&lab.host());
    let blob = format!("/v2/team/app/blobs/{digest}");
    raw.call("GET", &blob, &[], b"").err().expect("half an answer");
    let mut raw = Raw::to(&lab.host());
    assert_eq!(raw.done("GET", &blob, &[], b"").body, b"x", "the work was done all the same");
    assert_eq!(lab.registry().playing.lock().expect("unpoisoned").unmet(), []);
}

#[test]
fn gitea_says_no_in_its_own_ways() {
    let login = Login::new("giteaAdmin", "hunter2");
    let basic = login.basic();
    let lab = Lab::start(Setup::of(profile::GITEA_1_24_3).login(login));
    let mut raw = Raw::to(&lab.host());
    let told = raw.done("GET", "/v2/", &[], b"");
    let challenge = told.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer realm=") && challenge.ends_with("scope=\"*\""), "{challenge}");
    let told = raw.done("GET", "/v2/", &[("authorization", &basic)], b"");
    assert_eq!((told.status, told.header("www-authenticate"), &told.body[..]), (401, None, &b"authGroup.Verify\n"[..]));
    assert_eq!(raw.done("POST", "/v2/token", &[], b"grant_type=password").status, 404);
    let told = raw.done("GET", "/v2/token", &[("authorization", &basic)], b"");
    let answer: serde_json::Value = serde_json::from_slice(&told.body).expect("JSON");
    let token = answer["token"].as_str().expect("a token");
    assert_eq!((answer.as_object().expect("an object").len(), token.split('.').count()), (1, 3));
    let bearer = format!("Bearer {token}");
    assert_eq!(raw.done("POST", UPLOADS, &[("authorization", &bearer)], b"").status, 202);
    lab.add(script::first(Op::Open, Fault::Expire));
    let told = raw.done("POST", UPLOADS, &[("authorization", &bearer)], b"");
    assert_eq!((told.status, told.header("www-authenticate")), (401, None), "expired, and no challenge");
}

#[test]
fn anonymous_mounts_search_all_of_gitea_and_none_of_distribution() {
    for (profile, anonymous, named) in
        [(profile::GITEA_1_24_3, 201, 201), (profile::DISTRIBUTION_3, 202, 201), (profile::ECR, 202, 202)]
    {
        let (lab, mut raw) = start(profile, []);
        lab.state().seed("other/app", b"shared");
        lab.state().repository("team/app");
        let digest = Digest::of(b"shared");
        let told = raw.done("POST", &format!("{UPLOADS}?mount={digest}&from=other/app"), &[], b"");
        assert_eq!(told.status, named, "{}", profile.name);
        let mounted = raw.done("HEAD", &format!("/v2/team/app/blobs/{digest}"), &[], b"").status == 200;
        assert_eq!(mounted, named == 201, "{}", profile.name);
        let told = raw.done("POST", &format!("{UPLOADS}?mount={digest}"), &[], b"");
        assert_eq!(told.status, anonymous, "{}", profile.name);
    }
}

#[test]
fn the_proxy_counts_and_breaks_at_the_byte() {
    for how in [Break::Reset, Break::Close, Break::Stall] {
        let lab = Lab::start(Setup::of(profile::PLAIN));
        let cut = Cut { way: Way::ToServer, after: 2000, how };
        let proxy = FaultProxy::start(lab.address(), Link { cuts: vec![cut], ..Link::default() });
        let mut raw = Raw::to(&proxy.host());
        raw.stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
        raw.call("POST", UPLOADS, &[], &[0; 4096]).err().expect("no answer");
        assert_eq!((proxy.passed(Way::ToServer), proxy.broken(), proxy.connections()), (2000, 1, 1), "{how:?}");
        let mut raw = Raw::to(&proxy.host());
        let told = raw.done("POST", UPLOADS, &[], b"");
        assert!(told.header("location").is_some_and(|location| location.starts_with("/v2/")), "{}", told.head);
        proxy.heal();
        proxy.wait_for(Way::ToClient, 1);
    }
}

#[test]
fn both_origins_are_one_registry_and_told_apart_in_the_record() {
    let (lab, mut raw) = start(profile::PLAIN, [script::first(Op::Open, Fault::Lie(Lie::LocationElsewhere))]);
    let told = raw.done("POST", UPLOADS, &[], b"");
    let location = told.header("location").expect("a Location");
    let (host, _) = location.trim_start_matches("http://").split_once('/').expect("a path");
    let mut elsewhere = Raw::to(host);
    assert_eq!(elsewhere.done("PUT", &with_digest(&path(&told), b"content"), &[], b"content").status, 201);
    let sites: Vec<Site> = lab.seen().iter().map(|exchange| exchange.site).collect();
    assert_eq!(sites, [Site::Registry, Site::Elsewhere]);
    assert!(lab.state().has("team/app", Digest::of(b"content")));
}

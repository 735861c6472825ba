//! What the system and the libraries say, in words; and where nothing may be kept.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::impostor::{Identity, Impostor, Version};
use crate::sandbox::{Output, Sandbox};
use crate::server::Server;
use crate::with_image;

/// Names out of programs, and the system's numbers.
const FORBIDDEN: [&str; 9] = [
    "Other(",
    "OtherError",
    "os error",
    "zbus",
    "CaUsedAsEndEntity",
    "InvalidContentType",
    "UnknownIssuer",
    "HandshakeFailure",
    "1.2.840",
];

fn assert_plain(output: &Output) {
    for text in FORBIDDEN {
        assert!(!format!("{}{}", output.stdout, output.stderr).contains(text), "{text}: {output}");
    }
}

#[test]
fn common_failures_are_told_in_words() {
    let mut sandbox = with_image();
    sandbox.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/no-bus", sandbox.path().display()));
    let tls = Server::start(&sandbox, &["--tls", "--storage", "a"]);
    let plain = Server::start(&sandbox, &["--storage", "b"]);
    let closing = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let closing_at = closing.local_addr().expect("bound").to_string();
    std::thread::spawn(move || closing.incoming().for_each(drop));
    sandbox.file("no.pem", "nothing");
    sandbox.file("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB!\n-----END CERTIFICATE-----\n");
    let to = |address: &str| format!("{address}/team/app:v1");
    for words in [
        &["idpbuilder-push", "app:v1", &to("127.0.0.1:1")][..],
        &["idpbuilder-push", "app:v1", &to("127.0.0.1:1"), "--plain-http"],
        &["idpbuilder-push", "app:v1", &to(&tls.address)],
        &["idpbuilder-push", "app:v1", &to(&tls.address), "--plain-http"],
        &["idpbuilder-push", "app:v1", &to(&plain.address)],
        &["idpbuilder-push", "app:v1", &to(&closing_at), "--retry", "0"],
        &["idpbuilder-push", "app:v1", &to(&tls.address), "--ca-file", "absent.pem"],
        &["idpbuilder-push", "app:v1", &to(&tls.address), "--ca-file", "no.pem"],
        &["idpbuilder-push", "app:v1", &to(&tls.address), "--ca-file", "cut.pem"],
        &["idpbuilder-push", "app:v1", &to("no-such-host.invalid")],
        &["idpbuilder-push", "app:v1", "--kubeconfig", "/nope"],
        &["idpbuilder-pull", &to("127.0.0.1:1")],
        &["idpbuilder-doctor", "127.0.0.1:1"],
        &["idpbuilder-doctor", &tls.address],
        &["idpbuilder-doctor", &plain.address],
        &["idpbuilder-doctor", &closing_at],
        &["idpbuilder-trust", "show", "127.0.0.1:1"],
        &["idpbuilder-trust", "show", &plain.address],
        &["idpbuilder-trust", "show", &closing_at],
        &["idpbuilder-trust", "add", &plain.address, "--from-server"],
        &["idpbuilder-login", &plain.address, "-u", "demo", "-p", "x", "--plain-http"],
        &["idpbuilder-build", "absent", "-t", "x:1"],
        &["idpbuilder-load", "-i", "absent.tar"],
        &["idpbuilder-list", "--store", "no.pem"],
    ] {
        assert_plain(&sandbox.run(words));
    }
}

#[test]
fn without_home_nothing_is_kept_in_the_current_directory() {
    let mut sandbox = Sandbox::new();
    for relative in [".", "home", "~"] {
        sandbox.set("HOME", relative);
        let output = sandbox.run(&["idpbuilder-list"]);
        assert_eq!(output.code, Some(1), "{output}");
        assert!(output.stderr.starts_with(&format!("error: HOME is `{relative}`, which is not an absolute path\n")));
        assert!(output.stderr.contains("hint: set IDPBUILDER_HOME"), "{output}");
    }
    // What the account has depends on the machine; it is read here and not written to.
    for set in [true, false] {
        if set {
            sandbox.set("HOME", "");
        } else {
            sandbox.unset("HOME");
        }
        let output = sandbox.run(&["idpbuilder-doctor", "--settings"]);
        let home = output.stdout.lines().find_map(|line| line.strip_prefix("home")).map(str::trim);
        match home {
            Some(home) => assert!(home.starts_with('/') && !home.contains("[SANDBOX]"), "{output}"),
            None => assert!(output.stderr.contains("hint: set IDPBUILDER_HOME"), "{output}"),
        }
    }
    sandbox.set("IDPBUILDER_HOME", "own");
    assert_eq!(sandbox.run(&["idpbuilder-list", "-q"]).code, Some(0));
    let found: Vec<_> =
        std::fs::read_dir(sandbox.work()).expect("there").map(|entry| entry.expect("one").file_name()).collect();
    assert_eq!(found, ["own"], "only what was asked for");
}

/// `openssl s_server` with a certificate of its own making; killed when dropped.
struct OpensslServer {
    child: Child,
    address: String,
}

impl OpensslServer {
    fn start(sandbox: &Sandbox, key: &[&str], name: &str, arguments: &[&str]) -> Self {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-nodes",
                "-subj",
                "/CN=127.0.0.1",
                "-days",
                "2",
                "-keyout",
                "key.pem",
                "-out",
                "own.pem",
            ])
            .args(key)
            .args(if name.is_empty() { vec![] } else { vec!["-addext", name] })
            .current_dir(sandbox.work())
            .output()
            .expect("openssl: install it, as bin/test does");
        assert!(made.status.success(), "{key:?}: {}", String::from_utf8_lossy(&made.stderr));
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "own.pem", "-key", "key.pem", "-www"])
            .args(arguments)
            .current_dir(sandbox.work())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut lines = stdout.lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).expect("it listens");
        // A pipe that is full would hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn servers_with_any_key_are_verified_or_told_what_is_wrong() {
    let sandbox = with_image();
    let address = "subjectAltName=IP:127.0.0.1";
    let curve = |name| format!("ec_paramgen_curve:{name}");
    let (p384, p521, koblitz) = (curve("P-384"), curve("P-521"), curve("secp256k1"));
    let ec = |curve| vec!["-newkey", "ec", "-pkeyopt", curve];
    let rsa = |bits| vec!["-newkey", bits];
    let in_common = "it shares no cipher suite or kind of key with this program";
    for (key, name, arguments, expected) in [
        (ec(p521.as_str()), address, &[][..], "Accepted: it is exactly"),
        // With TLS 1.2 the curve would have to be one for the exchange of keys, too (RFC 8422 section 5.1).
        (ec(&p521), address, &["-tls1_2"], in_common),
        (ec(&p384), address, &["-sigalgs", "ECDSA+SHA384"], "Accepted: it is exactly"),
        (vec!["-newkey", "ed25519"], address, &[], "Accepted: it is exactly"),
        (rsa("rsa:2048"), address, &[], "Accepted: it is exactly"),
        (
            rsa("rsa:1024"),
            address,
            &["-cipher", "DEFAULT@SECLEVEL=0"],
            "Refused: its certificate has an RSA key of 1024 bits instead of at least 2048, which cannot be verified",
        ),
        (ec(&koblitz), address, &[], in_common),
        (rsa("rsa:2048"), address, &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"], in_common),
        (
            rsa("rsa:2048"),
            address,
            &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
            "it speaks neither TLS 1.2 nor TLS 1.3",
        ),
        (rsa("rsa:2048"), "", &[], "Refused: its certificate is for no host name or address"),
        (
            rsa("rsa:2048"),
            "subjectAltName=DNS:127.0.0.1",
            &[],
            "Refused: its certificate is for another name (DNS:127.0.0.1)",
        ),
    ] {
        let server = OpensslServer::start(&sandbox, &key, name, arguments);
        let shown = sandbox.run(&["idpbuilder-trust", "show", &server.address, "--ca-file", "own.pem"]);
        assert!(shown.stdout.contains(expected), "{key:?} {arguments:?}: {shown}");
        assert_plain(&shown);
        if expected.starts_with("Accepted") {
            continue;
        }
        let destination = format!("{}/team/app:v1", server.address);
        let pushed = sandbox.run(&["idpbuilder-push", "app:v1", &destination, "--ca-file", "own.pem", "--retry", "0"]);
        assert_eq!(pushed.code, Some(3), "{pushed}");
        assert!(pushed.stderr.contains("hint: "), "what to do is said: {pushed}");
        assert_plain(&pushed);
    }
}

#[test]
fn names_are_checked_before_a_certificate_is_kept() {
    let sandbox = with_image();
    let registry = Impostor::start(Identity::of_idpbuilder("*.cnoe.localtest.me"), Version::Any);
    let named = format!("gitea.cnoe.localtest.me:{}", registry.port());
    sandbox.file("shown.pem", &registry.pem);
    let print = crate::trust::fingerprint(&sandbox, "shown.pem");
    let added = ["idpbuilder-trust", "add", &registry.address, "--from-server", "--fingerprint", &print];
    for words in [&added[..4], &added] {
        let output = sandbox.run(words);
        assert_eq!(output.code, Some(3), "{output}");
        assert!(output.stderr.contains("its certificate is for another name (*.cnoe.localtest.me)"), "{output}");
        assert!(output.stderr.contains(&format!("idpbuilder-trust add {named} --from-server")), "{output}");
    }
    assert!(!sandbox.home().join(".idpbuilder/certs").exists(), "nothing is kept");
    let pushed = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{}/team/app:v1", registry.address)]);
    let told = format!(
        "hint: it is for {named} too, which leads to the same machine: use that in place of {}\n",
        registry.address
    );
    assert!(pushed.stderr.contains(&told), "{pushed}");
    assert!(!pushed.stderr.contains("idpbuilder-trust add"), "the name comes first: {pushed}");
    sandbox.run(&["idpbuilder-trust", "add", &named, "--from-server", "--fingerprint", &print]).success();
    let _ = sandbox.run(&["idpbuilder-trust", "show", &named]).success();
}

//! Who is believed to be the registry, and what anybody else gets: nothing.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::impostor::{Identity, Impostor, Version};
use crate::sandbox::{Output, RATE, SECRETS};
use crate::server::Server;
use crate::with_image;

fn snapshot(name: &str, output: &Output, address: &str) {
    let address = address.replace('.', "\\.");
    insta::with_settings!({filters => vec![
        (address.as_str(), "[REGISTRY]"),
        (r"localtest\.me:\d+ too", "localtest.me:[PORT] too"),
        (r"sha256:[0-9a-f]{64}", "[SHA256]"),
        (RATE, ""),
        (r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", "[TIME]"),
        (r"HOST {3,}FINGERPRINT {3,}", "HOST   FINGERPRINT   "),
        (r"roots: \d+ authorities", "roots: [COUNT] authorities"),
    ]}, {
        insta::assert_snapshot!(name, output);
    });
}

#[test]
fn whoever_is_on_the_way_gets_nothing() {
    let mut sandbox = with_image();
    sandbox.set("REGISTRY_USERNAME", "demo");
    sandbox.set("REGISTRY_PASSWORD", SECRETS[0]);
    for version in [Version::Tls12, Version::Tls13] {
        // Somebody else's certificate for the very names that are pinned.
        let impostor = Impostor::start(Identity::of_idpbuilder("127.0.0.1"), version);
        sandbox.file("pinned.pem", &Identity::of_idpbuilder("127.0.0.1").pem);
        sandbox.run(&["idpbuilder-trust", "add", &impostor.address, "pinned.pem"]).success();
        let push = ["idpbuilder-push", "app:v1", &format!("{}/app:v1", impostor.address)];
        snapshot("impostor", &sandbox.run(&push), &impostor.address);
        let mut insecure = push.to_vec();
        insecure.push("--insecure");
        snapshot("insecure_pinned", &sandbox.run(&insecure), &impostor.address);
        assert_eq!(impostor.received(), 0, "{version:?}: nothing is sent before the certificate is verified");
        let log = std::fs::read_to_string(sandbox.home().join(".idpbuilder/audit.jsonl")).expect("a log");
        assert!(!log.contains("\"insecure\"") && !log.contains(SECRETS[0]), "{log}");
    }
    for (name, identity) in [
        ("refused_expired", Identity::of_idpbuilder("127.0.0.1").valid(1980, 2001)),
        ("refused_not_yet", Identity::of_idpbuilder("127.0.0.1").valid(3000, 4000)),
        ("refused_name", Identity::of_idpbuilder("gitea.cnoe.localtest.me")),
        ("refused_unknown", Identity::of_an_authority("127.0.0.1")),
    ] {
        let trusted = sandbox.file("trusted.pem", &identity.pem);
        let file = if name == "refused_unknown" { "pinned.pem" } else { "trusted.pem" };
        assert!(trusted.exists());
        let impostor = Impostor::start(identity, Version::Any);
        let words = ["idpbuilder-push", "app:v1", &format!("{}/app:v1", impostor.address), "--ca-file", file];
        snapshot(name, &sandbox.run(&words), &impostor.address);
        assert_eq!(impostor.received(), 0, "{name}");
    }
}

#[test]
fn client_certificates_of_every_kind_of_key() {
    let sandbox = with_image();
    let shell = |script: &str| assert!(sandbox.shell(script).status().expect("bash runs").success(), "{script}");
    for (name, make) in [
        ("pkcs1", "openssl genrsa -traditional -out client.key 2048 2>/dev/null"),
        ("sec1", "openssl ecparam -name prime256v1 -genkey -noout -out client.key"),
        ("pkcs8", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out client.key"),
    ] {
        let directory = format!("certs-{name}");
        shell(&format!(
            "mkdir {directory}; cd {directory}; umask 077; {make}; openssl req -x509 -new -key client.key -subj /CN=client -days 2 -out client.cert"
        ));
        let client = std::fs::read(sandbox.work().join(&directory).join("client.cert")).expect("made");
        let server = Impostor::demanding(Identity::of_idpbuilder("127.0.0.1"), &client);
        std::fs::write(sandbox.work().join(&directory).join("ca.crt"), &server.pem).expect("written");
        let destination = format!("{}/app:v1", server.address);
        let push = |rest: &[&str]| {
            let mut words = vec!["idpbuilder-push", "app:v1", &destination, "--jobs", "1"];
            words.extend(rest);
            sandbox.run(&words)
        };
        let without = push(&["--ca-file", &format!("{directory}/ca.crt")]);
        if name == "pkcs8" {
            snapshot("client_certificate_demanded", &without, &server.address);
        }
        without.failure(3);
        assert_eq!(server.received(), 0, "{name}");
        // The server answers nothing useful; that it was asked shows that it was satisfied.
        push(&["--cert-dir", &directory]).failure(5);
        assert!(server.received() > 0, "{name}");
    }
    let exposed = sandbox.work().join("certs-pkcs8/client.key");
    std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o644)).expect("mode");
    let words = ["idpbuilder-push", "app:v1", "127.0.0.1:1/app:v1", "--cert-dir", "certs-pkcs8"];
    snapshot("exposed_key", &sandbox.run(&words), "nowhere:0");
    std::fs::remove_file(exposed).expect("removed");
    snapshot("missing_key", &sandbox.run(&words), "nowhere:0");
    let words = ["idpbuilder-push", "app:v1", "127.0.0.1:1/app:v1", "--cert-dir", "absent"];
    snapshot("missing_directory", &sandbox.run(&words), "nowhere:0");
}

#[test]
fn a_name_of_this_machine_needs_no_dns_and_stays_what_is_asked_for() {
    let sandbox = with_image();
    let host = "gitea.cnoe.localtest.me";
    let server = Impostor::start(Identity::of_idpbuilder("*.cnoe.localtest.me"), Version::Any);
    sandbox.file("ca.pem", &server.pem);
    let address = format!("{host}:{}", server.port());
    let words = ["idpbuilder-push", "app:v1", &format!("{address}/app:v1"), "--ca-file", "ca.pem", "--jobs", "1"];
    sandbox.run(&words).failure(5);
    let (name, head) = server.last();
    assert_eq!(name.as_deref(), Some(host));
    assert!(head.to_ascii_lowercase().contains(&format!("\r\nhost: {address}\r\n")), "{head}");
    let (name, count) = (name.expect("one"), server.received());
    // Neither does a look at the certificate, after which nothing is sent.
    let shown = sandbox.run(&["idpbuilder-trust", "show", &address]).success();
    assert!(shown.contains("*.cnoe.localtest.me") && name == host, "{shown}");
    assert_eq!(server.received(), count);
}

#[test]
fn the_systems_roots_are_what_the_variables_name() {
    let mut sandbox = with_image();
    let identity = Identity::of_an_authority("127.0.0.1");
    sandbox.file("cert.pem", identity.chain_pem());
    sandbox.file("key.pem", identity.key.serialize_pem());
    let authority = sandbox.file("roots/authority.pem", identity.authority.as_ref().expect("one"));
    let server = Server::start(&sandbox, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let destination = format!("{}/app:v1", server.address);
    let push = ["idpbuilder-push", "app:v1", &destination, "-q"];
    sandbox.run(&push).failure(3);
    let hashed = Command::new("openssl").arg("rehash").arg(authority.parent().expect("one")).status();
    assert!(hashed.expect("openssl runs").success());
    for (variable, value) in
        [("SSL_CERT_FILE", authority.clone()), ("SSL_CERT_DIR", authority.parent().expect("one").into())]
    {
        sandbox.set(variable, value);
        sandbox.run(&push).success();
        let shown = sandbox.run(&["idpbuilder-trust", "show", &server.address]).success();
        assert!(shown.ends_with("Accepted: an authority of the system's roots vouches for it\n"), "{shown}");
        sandbox.unset(variable);
    }
    sandbox.run(&push).failure(3);
}

#[test]
fn an_end_is_told_thirty_days_ahead() {
    let sandbox = with_image();
    for (days, warned) in [(29, 1), (31, 0)] {
        let identity = Identity::of_idpbuilder("127.0.0.1").ending_in(days);
        let cert = format!("{days}.pem");
        sandbox.file(&cert, &identity.pem);
        sandbox.file("key.pem", identity.key.serialize_pem());
        let storage = format!("served-{days}");
        let server = Server::start(&sandbox, &["--tls-cert", &cert, "--tls-key", "key.pem", "--storage", &storage]);
        let destination = format!("{}/app:v1", server.address);
        let push = |rest: &[&str]| {
            let pushed = sandbox.run(&[&["idpbuilder-push", "app:v1", &destination, "-q"], rest].concat());
            assert_eq!(pushed.stderr.matches(" ends on ").count(), warned, "{days}: {pushed}");
            pushed.success();
        };
        push(&["--ca-file", &cert]);
        sandbox.run(&["idpbuilder-trust", "add", &server.address, &cert]).success();
        push(&[]);
        let doctor = sandbox.run(&["idpbuilder-doctor", &server.address, "--repository", "team/app"]);
        assert_eq!(doctor.stdout.matches("soon over").count(), warned, "{doctor}");
        doctor.success();
    }
}

#[test]
fn a_certificate_that_ends_soon_is_told_once() {
    let sandbox = with_image();
    let soon = Identity::of_idpbuilder("127.0.0.1").ending_in(10);
    sandbox.file("cert.pem", &soon.pem);
    sandbox.file("key.pem", soon.key.serialize_pem());
    let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let server = Server::start(&sandbox, &files);
    let destination = format!("{}/app:v1", server.address);
    let push = ["idpbuilder-push", "app:v1", &destination, "--jobs", "1", "-q", "--ca-file", "cert.pem"];
    snapshot("ends_soon", &sandbox.run(&push), &server.address);
    // Under an authority that goes on, only what the server shows ends.
    let authority = Identity::of_an_authority("127.0.0.1").ending_in(10);
    sandbox.file("cert.pem", authority.chain_pem());
    sandbox.file("key.pem", authority.key.serialize_pem());
    sandbox.file("authority.pem", authority.authority.as_ref().expect("one"));
    let server = Server::start(&sandbox, &[&files[..], &["--storage", "other"]].concat());
    let destination = format!("{}/app:v1", server.address);
    let words =
        |verb: &'static str| [verb, "app:v1", &destination, "--ca-file", "authority.pem", "-q"].map(str::to_owned);
    let pushed = sandbox.run(&words("idpbuilder-push").iter().map(String::as_str).collect::<Vec<_>>());
    snapshot("shown_ends_soon", &pushed, &server.address);
    let pulled =
        sandbox.run(&["idpbuilder-pull", &destination, "--ca-file", "authority.pem", "-q", "--store", "pulled"]);
    assert_eq!(pulled.stderr.matches("ends on").count(), 1, "{pulled}");
    pulled.success();
}

//! Roots that `SSL_CERT_FILE` and `SSL_CERT_DIR` name: what is no file holds nothing up and is named.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api_server::{Answers, ApiServer, kubeconfig};
use crate::impostor::Identity;
use crate::server::Server;
use crate::with_image;

#[test]
fn what_is_no_file_is_named_by_every_command_and_not_waited_for() {
    let mut sandbox = with_image();
    let identity = Identity::of_an_authority("127.0.0.1");
    sandbox.file("cert.pem", identity.chain_pem());
    sandbox.file("key.pem", identity.key.serialize_pem());
    let authority = sandbox.file("authority.pem", identity.authority.as_ref().expect("one"));
    let server = Server::start(&sandbox, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let image = format!("{}/app:v1", server.address);
    let push = ["idpbuilder-push", "app:v1", &image, "-q"];
    let pull = ["idpbuilder-pull", &image, "--store", "pulled", "-q"];
    let copy = ["idpbuilder-build", "app", "-t", "next:v1", "--from", &image, "-q"];
    let doctor = ["idpbuilder-doctor", "--registry", &server.address];
    let login = ["idpbuilder-login", &server.address, "-u", "demo", "--password-stdin"];

    std::fs::create_dir(sandbox.work().join("roots")).expect("made");
    for pipe in ["pipe", "roots/pipe"] {
        assert!(Command::new("mkfifo").arg(sandbox.work().join(pipe)).status().expect("mkfifo").success());
    }
    std::fs::create_dir(sandbox.work().join("devices")).expect("made");
    std::os::unix::fs::symlink("/dev/zero", sandbox.work().join("devices/zero.pem")).expect("linked");
    for (variable, value, named) in [
        ("SSL_CERT_FILE", "pipe", "pipe`: it is a pipe, not a regular file"),
        ("SSL_CERT_FILE", "/dev/zero", "/dev/zero`: it is a device, not a regular file"),
        ("SSL_CERT_DIR", "roots", "roots/pipe`: it is a pipe, not a regular file"),
        ("SSL_CERT_DIR", "devices", "devices/zero.pem`: it is a device, not a regular file"),
    ] {
        sandbox.set(variable, value);
        for words in [&push[..], &pull, &copy] {
            let failure = sandbox.run(words).failure(3);
            assert!(failure.contains(named), "{variable}={value}: {failure}");
            assert!(failure.contains("hint: see what SSL_CERT_FILE and SSL_CERT_DIR name"), "{failure}");
        }
        let output = sandbox.run_with_input(&login, b"x\n");
        assert!(output.stderr.contains(named), "{output}");
        assert_ne!(output.code, Some(0), "{output}");
        let output = sandbox.run(&doctor);
        assert_ne!(output.code, Some(0), "{output}");
        let verbose = sandbox.run(&[&push[..3], &["-v"]].concat());
        assert!(verbose.stderr.contains(named), "{verbose}");
        // What was chosen for the registry decides without them.
        let _ = sandbox.run(&[&push[..], &["--ca-file", "cert.pem"]].concat()).success();
        sandbox.unset(variable);
    }
    // What can be read beside it counts.
    sandbox.set("SSL_CERT_DIR", "roots");
    sandbox.set("SSL_CERT_FILE", authority);
    let _ = sandbox.run(&push).success();
    // Another one than the one that was chosen: the roots are read between two connections.
    sandbox.file("other.pem", &Identity::of_idpbuilder("127.0.0.1").pem);
    let _ = sandbox.run(&[&push[..], &["--ca-file", "other.pem"]].concat()).success();
}

#[test]
fn an_api_server_without_a_named_authority_is_verified_by_the_roots() {
    let mut sandbox = with_image();
    let server = ApiServer::start(Answers::new());
    let mut context = server.context("kind-localdev");
    let authority = context.cluster.as_object_mut().expect("an object").remove("certificate-authority-data");
    let authority = authority.as_ref().and_then(serde_json::Value::as_str).expect("one").to_owned();
    sandbox.file("kubeconfig", kubeconfig("kind-localdev", &[context]));
    let authority = STANDARD.decode(authority).expect("base64");
    let authority = sandbox.file("authority.pem", authority);
    let push = ["idpbuilder-push", "app:v1", "--kubeconfig", "kubeconfig"];
    sandbox.set("SSL_CERT_FILE", "/dev/zero");
    let failure = sandbox.run(&push).stderr;
    assert!(
        failure.contains("cannot read the certificate authority of context `kind-localdev`, `/dev/zero`"),
        "{failure}"
    );
    assert!(failure.contains("it is a device, not a regular file"), "{failure}");
    sandbox.set("SSL_CERT_FILE", authority);
    let verified = sandbox.run(&push).stderr;
    assert!(verified.contains("`kind-localdev` has no idpbuilder registry"), "{verified}");
}

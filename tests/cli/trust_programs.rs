//! What `install` wrote, read by the programs it is for.

use crate::sandbox::{Sandbox, executable};
use crate::server::Server;

/// A sandbox with a registry that has `app:v1`, and whose certificate is kept.
fn started() -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    let server = Server::start(&sandbox, &["--tls", "--tls-cert-out", "ca.pem"]);
    sandbox.run(&["idpbuilder-trust", "add", &server.address, "ca.pem"]).success();
    sandbox.run(&["idpbuilder-push", "app:v1", &format!("{}/app:v1", server.address), "-q"]).success();
    (sandbox, server)
}

#[test]
#[ignore = "needs Podman; bin/test runs it"]
fn podman_pulls_from_a_registry_it_was_told_of() {
    let (sandbox, server) = started();
    let image = format!("{}/app:v1", server.address);
    // Other storage than the user's; the vfs driver needs nothing of the kernel.
    let podman = "podman --storage-driver=vfs --root=\"$PWD/podman\" --runroot=\"$PWD/podman-run\"";
    let pull = || sandbox.finish(&["podman", "pull"], sandbox.shell(&format!("{podman} pull --quiet {image}")), b"");
    assert!(pull().failure(125).contains("x509"), "nobody told it");
    let install = ["idpbuilder-trust", "install", &server.address, "--podman"];
    sandbox.run(&install).success();
    assert_eq!(pull().success().trim().len(), 64, "it prints the image's number");
    sandbox.run(&[&install[..], &["--undo"]].concat()).success();
    assert!(pull().failure(125).contains("x509"), "it was taken back");
}

/// Runs a script as root over directories of the system that are its own, and gone after it.
fn with_a_system_of_its_own(sandbox: &Sandbox, script: &str) -> crate::sandbox::Output {
    let apart = "mount -t tmpfs none /usr/local/share/ca-certificates
        cp /etc/ssl/openssl.cnf openssl.cnf
        mount -t tmpfs none /etc/ssl
        mkdir /etc/ssl/certs
        cp openssl.cnf /etc/ssl/
        PATH=$PATH:/usr/sbin update-ca-certificates";
    let script = sandbox.file("script", format!("set -euo pipefail\n{apart}\n{script}"));
    let enter = if rustix::process::geteuid().is_root() { "unshare --mount" } else { "podman unshare" };
    sandbox.finish(&["script"], sandbox.shell(&format!("{enter} bash {}", script.display())), b"")
}

#[test]
#[ignore = "needs Debian's update-ca-certificates and a mount namespace; bin/test runs it"]
fn the_systems_own_program_takes_what_it_is_given() {
    let (sandbox, server) = started();
    let before = std::fs::read("/etc/ssl/certs/ca-certificates.crt").expect("Debian's");
    let (address, program) = (&server.address, executable());
    let script = format!(
        "trusted() {{ skopeo inspect --no-creds docker://{address}/app:v1 >/dev/null; }}
        refused() {{ if trusted; then exit 1; fi; }}
        install() {{ {program} trust install {address} --system \"$@\"; }}
        count() {{ grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; }}
        before=$(count)
        refused
        install --yes
        trusted
        test \"$(count)\" = $((before + 1))
        install --yes
        install --undo
        refused
        test \"$(count)\" = \"$before\"
        test -z \"$(ls /usr/local/share/ca-certificates)\"
        test -z \"$(find /etc/ssl/certs -name 'idpbuilder*')\"
        echo reached the end",
        program = program.display()
    );
    let output = with_a_system_of_its_own(&sandbox, &script);
    assert!(output.stdout.ends_with("reached the end\n"), "{output}");
    assert_eq!(output.stderr.matches("x509").count(), 2, "{output}");
    output.success();
    assert_eq!(
        std::fs::read("/etc/ssl/certs/ca-certificates.crt").expect("Debian's"),
        before,
        "the system's is as it was"
    );
}

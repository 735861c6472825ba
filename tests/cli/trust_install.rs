use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::impostor::Identity;
use crate::sandbox::{Output, RATE, Sandbox};
use crate::server::Server;
use crate::with_image;

fn snapshot(name: &str, output: &Output, address: &str) {
    let address = address.replace('.', "\\.");
    insta::with_settings!({filters => vec![
        (address.as_str(), "[REGISTRY]"),
        (r"sha256:[0-9a-f]{64}", "[SHA256]"),
        (RATE, ""),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]"),
        (r"HOST {3,}FINGERPRINT {3,}", "HOST   FINGERPRINT   "),
        (r"verification time \d+", "verification time [NOW]"),
        (r"\(\d+ seconds (ago|in future)\)", "([SECONDS] $1)"),
        (r"roots: \d+ authorities", "roots: [COUNT] authorities"),
    ]}, {
        insta::assert_snapshot!(name, output);
    });
}

fn serve(sandbox: &Sandbox) -> Server {
    Server::start(sandbox, &["--tls", "--tls-cert-out", "ca.pem"])
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn other_programs_are_told_and_told_again() {
    let sandbox = with_image();
    let server = serve(&sandbox);
    let address = server.address.as_str();
    let install = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-trust", "install", address];
        words.extend(rest);
        sandbox.run(&words)
    };
    let all = ["--docker", "--podman", "--containerd", "--root", "root"];
    snapshot("not_pinned", &install(&all), address);
    sandbox.run(&["idpbuilder-trust", "add", address, "ca.pem"]).success();
    sandbox.run(&["idpbuilder-push", "app:v1", &format!("{address}/app:v1"), "-q"]).success();
    snapshot("for_nobody", &install(&[]), address);
    snapshot("dry_run", &install(&[&all[..], &["--dry-run"]].concat()), address);
    let user = sandbox.home().join(".config");
    assert!(!sandbox.work().join("root").exists() && !user.exists(), "a dry run changes nothing");
    snapshot("install", &install(&all), address);
    snapshot("again", &install(&all), address);
    let hosts = sandbox.work().join("root/etc/containerd/certs.d").join(address).join("hosts.toml");
    assert_eq!(mode(&hosts), 0o644);
    let hosts: toml::Table = std::fs::read_to_string(&hosts).expect("written").parse().expect("TOML");
    let authority = hosts["host"][&format!("https://{address}")]["ca"].as_str().expect("a file");
    assert!(Path::new(authority).is_file(), "{authority}");

    // Somebody else's reading of it.
    let image = format!("docker://{address}/app:v1");
    let skopeo =
        || sandbox.shell(&format!("skopeo inspect --no-creds {image} >/dev/null 2>&1")).status().expect("bash");
    assert!(skopeo().success(), "skopeo trusts what was installed for podman");
    snapshot("undo", &install(&[&all[..], &["--undo"]].concat()), address);
    assert!(!skopeo().success());
    snapshot("undone", &install(&[&all[..], &["--undo"]].concat()), address);

    let docker = sandbox.file(&format!("root/etc/docker/certs.d/{address}/ca.crt"), "mine");
    snapshot("foreign", &install(&all), address);
    assert!(!user.join("containers/certs.d").join(address).join("ca.crt").exists(), "nothing was changed");
    snapshot("undo_foreign", &install(&["--docker", "--root", "root", "--undo"]), address);
    assert_eq!(std::fs::read_to_string(docker).expect("still there"), "mine");
}

#[test]
fn the_whole_system_is_told_by_its_own_program() {
    let sandbox = Sandbox::new();
    let host = "gitea.cnoe.localtest.me:8443";
    sandbox.file("ca.pem", Identity::of_idpbuilder("gitea.cnoe.localtest.me").pem);
    sandbox.run(&["idpbuilder-trust", "add", host, "ca.pem"]).success();
    let install = |rest: &[&str]| {
        let mut words = vec!["idpbuilder-trust", "install", host, "--system", "--root", "root"];
        words.extend(rest);
        sandbox.run(&words)
    };
    snapshot("system_none", &install(&["--yes"]), "nowhere:0");
    let log = sandbox.work().join("log");
    let program = |status: u8| {
        let script = format!("#!/bin/sh\necho \"ran $*\" >> {}\necho broken >&2\nexit {status}\n", log.display());
        let file = sandbox.file("root/usr/sbin/update-ca-certificates", script);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("mode");
    };
    program(0);
    let ran = || std::fs::read_to_string(&log).unwrap_or_default();
    snapshot("system_not_confirmed", &install(&[]), "nowhere:0");
    snapshot("system_dry_run", &install(&["--dry-run"]), "nowhere:0");
    assert_eq!(ran(), "");
    program(3);
    snapshot("system_fails", &install(&["--yes"]), "nowhere:0");
    let file = sandbox.work().join("root/usr/local/share/ca-certificates/idpbuilder-gitea.cnoe.localtest.me_8443.crt");
    assert!(!file.exists(), "what failed leaves nothing behind");
    program(0);
    snapshot("system", &install(&["--yes"]), "nowhere:0");
    let verified = Command::new("openssl").args(["x509", "-noout", "-in"]).arg(&file).status().expect("openssl runs");
    assert!(verified.success());
    install(&["--yes"]).success();
    assert_eq!(ran(), "ran \nran \n", "once more is not needed");
    snapshot("system_undo", &install(&["--undo"]), "nowhere:0");
    assert!(!file.exists());
    assert_eq!(ran(), "ran \nran \nran --fresh\n");
}

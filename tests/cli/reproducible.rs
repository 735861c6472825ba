use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{Mode, OFlags};

use crate::sandbox::{Output, Sandbox};
use crate::server::Server;

const BUILD: &[&str] = &["idpbuilder-build", "app", "-t", "app:v1", "--progress", "none", "--verify-reproducible"];

/// A small tree whose modes do not depend on the umask: they show in digests.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (path, content) in [("app/etc/app.conf", "a=1\n"), ("app/run", "#!/bin/sh\n")] {
        let file = sandbox.file(path, content);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("mode");
        fs::set_permissions(file.parent().expect("inside"), fs::Permissions::from_mode(0o755)).expect("mode");
    }
    sandbox
}

/// Runs a build and changes the context when its first image is there. The ignore file is a pipe, and another one for
/// the second build: whoever opens it for reading waits for this test, and the other way round.
fn changed_between(sandbox: &Sandbox, flags: &[&str], change: impl FnOnce() + Send) -> Output {
    let [first, second] = ["first", "second"].map(|name| {
        let path = sandbox.work().join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        path
    });
    let rules = sandbox.work().join("rules");
    symlink("first", &rules).expect("linked");
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let opened = File::options().write(true).open(&first).expect("the first build reads its rules");
            let next = sandbox.work().join("next");
            symlink("second", &next).expect("linked");
            fs::rename(next, &rules).expect("renamed");
            drop(opened);
            let opened = File::options().write(true).open(&second).expect("the second build reads its rules");
            change();
            drop(opened);
        });
        let output = sandbox.run(&[BUILD, &["--platform", "linux/amd64", "--ignorefile", "rules"], flags].concat());
        // A build that never came so far would leave the thread waiting.
        let readers = [&first, &second]
            .map(|path| rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).expect("opened"));
        changing.join().expect("changed");
        drop(readers);
        output
    })
}

fn digest(sandbox: &Sandbox, name: &str) -> String {
    sandbox.run(&["idpbuilder-inspect", name, "--format", "{{.Digest}}"]).success()
}

#[test]
fn a_second_build_confirms_the_first() {
    let sandbox = sandbox();
    let words = [BUILD, &["--platform", "linux/amd64"]].concat();
    insta::assert_snapshot!("verified", sandbox.run(&words));
    let first = digest(&sandbox, "app:v1");
    // Also from what was packed before, and silently.
    let again = sandbox.run(&[&words[..], &["-q", "--layers", "3"]].concat());
    assert_eq!(again.stderr, "", "{again}");
    again.success();
    sandbox.run(&["idpbuilder-build", "app", "-t", "plain", "-q", "--platform", "linux/amd64"]).success();
    assert_eq!(digest(&sandbox, "plain"), first);
    let left = fs::read_dir(sandbox.store().join(".tmp")).expect("there").count();
    assert_eq!(left, 0, "nothing is left of the second build");
}

#[test]
fn bases_and_platforms_are_verified_too() {
    let sandbox = sandbox();
    sandbox.run(&["idpbuilder-build", "app", "-t", "base", "-q", "--platform", "linux/amd64,linux/arm64"]).success();
    let words = [BUILD, &["--from", "base", "--copy-to", "/srv", "--platform", "linux/amd64,linux/arm64"]].concat();
    let verified = sandbox.run(&words);
    assert!(verified.stderr.starts_with("Built twice with the same digest: sha256:"), "{verified}");
    assert_eq!(verified.stderr.matches("sha256:").count(), 2, "{verified}");
    verified.success();
}

#[test]
fn what_changed_between_two_builds_is_named() {
    let sandbox = sandbox();
    let config = sandbox.work().join("app/etc/app.conf");
    let output = changed_between(&sandbox, &[], || fs::write(&config, "a=22\n").expect("written"));
    insta::assert_snapshot!("not_verified", output);
    assert!(digest(&sandbox, "app:v1").starts_with("sha256:"), "the first image stays");
    for name in ["first", "second", "rules"] {
        fs::remove_file(sandbox.work().join(name)).expect("removed");
    }
    let added = sandbox.work().join("app/etc/log");
    let output = changed_between(&sandbox, &["--iidfile", "id"], || fs::write(&added, "").expect("written"));
    let told = output.failure(1);
    assert!(told.contains("layer 1: etc/log is in the second build only"), "{told}");
    assert!(!sandbox.work().join("id").exists(), "nobody takes it for verified");
}

#[test]
fn a_registry_gets_no_image_that_is_not_verified() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    let name = |name: &str| format!("{}/team/{name}:v1", server.address);
    let pull = |name: &str| sandbox.run(&["idpbuilder-pull", name, "--plain-http", "-q", "--store", "pulled"]);
    let push = |name: &str| format!("--push={name}");
    let (good, bad) = (name("good"), name("bad"));
    sandbox.run(&[BUILD, &[&push(&good), "--plain-http"]].concat()).success();
    pull(&good).success();
    let config = sandbox.work().join("app/etc/app.conf");
    let change = || fs::write(&config, "a=22\n").expect("written");
    let told = changed_between(&sandbox, &[&push(&bad), "--plain-http"], change).failure(1);
    assert!(told.contains("a second build makes another image"), "{told}");
    assert_ne!(pull(&bad).code, Some(0));
}

#[test]
fn what_builds_nothing_is_not_verified() {
    let sandbox = sandbox();
    for other in [&["--list-context"][..], &["--explain", "run"], &["--rebase", "base"]] {
        let told = sandbox.run(&[BUILD, other].concat()).failure(64);
        assert!(told.contains("cannot be used with"), "{told}");
    }
}

//! Images on bases, run by an engine: on a base of ours, and on one that Docker built.

use std::process::Command;

use super::docker::Loaded;
use super::images::{self, busybox, unique};
use super::programs::{run, text};
use super::sandbox::Sandbox;

const PLATFORM: &str = "{{.Os}}/{{.Architecture}}";

/// Builds `app/` on a base with the executable, has Docker load it, and answers its name there.
fn built_on(sandbox: &Sandbox, base: &str, flags: &[&str]) -> Loaded {
    sandbox.file("app/etc/greeting", "hello from above\n");
    let name = unique("on-base");
    let words = ["idpbuilder-build", "app", "-t", &name, "-q", "--from", base];
    sandbox.run(&[&words[..], flags].concat()).success();
    sandbox.run(&["idpbuilder-save", &name, "-q", "-o", "image.tar"]).success();
    run(Command::new("docker").args(["load", "-q", "-i"]).arg(sandbox.work().join("image.tar")));
    Loaded(name)
}

fn docker(arguments: &[&str]) -> String {
    text(Command::new("docker").args(arguments))
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_runs_an_image_on_a_base_of_ours() {
    let below = images::Sandbox::new();
    busybox(&below, &["base:v1"], &["echo", "nothing"]);
    let base = format!("oci:{}:base:v1", below.store.root().display());
    let sandbox = Sandbox::new();
    let image = built_on(&sandbox, &base, &["--cmd", "cat /etc/greeting"]);
    assert_eq!(docker(&["run", "--rm", &image.0]), "hello from above");
    assert_eq!(docker(&["run", "--rm", &image.0, "sh", "-c", "echo $GREETING"]), "hello from the image");
    // On a newer base the same layer says the same.
    let newer = images::Sandbox::new();
    busybox(&newer, &["base:v2"], &["true"]);
    let (newer, moved) = (format!("oci:{}:base:v2", newer.store.root().display()), unique("moved"));
    sandbox.run(&["idpbuilder-build", "--rebase", &newer, &image.0, "-t", &moved, "-q", "--old-base", &base]).success();
    sandbox.run(&["idpbuilder-save", &moved, "-q", "-o", "image.tar"]).success();
    run(Command::new("docker").args(["load", "-q", "-i"]).arg(sandbox.work().join("image.tar")));
    let moved = Loaded(moved);
    assert_eq!(docker(&["run", "--rm", &moved.0]), "hello from above");
}

#[test]
#[ignore = "needs a Docker Engine; bin/test runs it"]
fn docker_runs_an_image_on_a_base_that_docker_built() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "base/Dockerfile",
        "FROM scratch\nCOPY busybox /bin/busybox\nENV GREETING=docker\nVOLUME /data\nSHELL [\"/bin/busybox\", \"sh\", \"-c\"]\n\
         HEALTHCHECK --interval=7s --retries=5 CMD [\"/bin/busybox\", \"true\"]\nONBUILD USER nobody\n\
         ENTRYPOINT [\"/bin/busybox\"]\nCMD [\"echo\", \"nothing\"]\n",
    );
    std::fs::copy("/bin/busybox", sandbox.work().join("base/busybox")).expect("busybox-static is installed");
    let base = Loaded(unique("docker-base"));
    run(Command::new("docker")
        .args(["build", "-q", "-t", &base.0])
        .arg(sandbox.work().join("base"))
        .env("DOCKER_BUILDKIT", "0"));
    run(Command::new("docker").args(["save", &base.0, "-o"]).arg(sandbox.work().join("base.tar")));
    let image = built_on(&sandbox, "docker-archive:base.tar", &["--cmd", "cat /etc/greeting", "-e", "MORE=1"]);
    assert_eq!(docker(&["run", "--rm", &image.0]), "hello from above");
    assert_eq!(docker(&["run", "--rm", &image.0, "sh", "-c", "echo $GREETING $MORE"]), "docker 1");
    for (what, expected) in [
        ("{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Retries}}", "7s 5"),
        ("{{json .Config.Volumes}}", r#"{"/data":{}}"#),
        ("{{json .Config.OnBuild}}", r#"["USER nobody"]"#),
        ("{{json .Config.Shell}}", r#"["/bin/busybox","sh","-c"]"#),
    ] {
        assert_eq!(docker(&["image", "inspect", "-f", what, &image.0]), expected, "{what}");
    }
    let platform = |name: &str| docker(&["image", "inspect", "-f", PLATFORM, name]);
    assert_eq!(platform(&image.0), platform(&base.0));
    let layers = |name: &str| docker(&["image", "inspect", "-f", "{{range .RootFS.Layers}}{{.}} {{end}}", name]);
    assert!(layers(&image.0).starts_with(&layers(&base.0)), "the base's layers come first");
}

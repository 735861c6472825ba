//! What `bin/test` asks for on machines that have some of what it needs, each played by a folder of programs.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// A machine by its programs.
struct Machine {
    programs: tempfile::TempDir,
}

impl Machine {
    /// One that has all but a compiler, a Docker client and an engine.
    fn new() -> Self {
        let machine = Self { programs: tempfile::tempdir().expect("a directory") };
        for tool in ["bash", "dirname", "timeout", "id", "ldd", "cat"] {
            let found = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(tool));
            let found = found.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{tool} is installed"));
            symlink(found, machine.programs.path().join(tool)).expect("a link");
        }
        for program in [
            "dbus-daemon",
            "docker-registry",
            "gnome-keyring-daemon",
            "nginx",
            "openssl",
            "podman",
            "python3",
            "skopeo",
            "strace",
            "umoci",
            "zstd",
        ] {
            machine.script(program, "exit 0");
        }
        machine.script("apt-cache", "exit 1");
        machine.script("dpkg-query", "exit 1");
        machine
    }

    fn script(&self, name: &str, body: &str) {
        let path = self.programs.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn with(self, name: &str, body: &str) -> Self {
        self.script(name, body);
        self
    }

    fn without(self, name: &str) -> Self {
        std::fs::remove_file(self.programs.path().join(name)).expect("it was there");
        self
    }

    /// The packages that `bin/test` asks for; what it looks for at fixed paths depends on the real machine.
    fn packages(&self) -> Vec<String> {
        let mut command = Command::new("/bin/bash");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("bin/test")).arg("--packages");
        command.env_clear().env("PATH", self.programs.path()).env("SYSTEM_PROGRAMS", "/nowhere");
        let output = command.env("IMAGE_SPEC_SCHEMAS", "/").output().expect("bash runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let fixed = ["busybox-static", "ca-certificates"];
        text.lines().filter(|line| !fixed.contains(line)).map(str::to_owned).collect()
    }
}

const LINKS: &str = "exit 0";
const ANSWERS: &str = "echo 27.0";
const NO_ENGINE: &str = "echo 'Cannot connect to the Docker daemon' >&2; exit 1";

#[test]
fn the_engine_is_asked_for_where_there_is_none() {
    let compiled = || Machine::new().with("cc", LINKS);
    let offers = |names: &str| format!("case $2 in {names}) exit 0;; esac; exit 1");
    for (machine, expected) in [
        // Nothing, on an older release and on a newer one.
        (Machine::new(), &["gcc", "libc6-dev", "docker.io"][..]),
        (compiled().with("apt-cache", &offers("docker-cli|docker.io")), &["docker-cli", "docker.io"]),
        // The client alone, which talks to no engine, to one elsewhere, and to one that can be started.
        (compiled().with("docker", NO_ENGINE), &["docker.io"]),
        (compiled().with("docker", ANSWERS), &[]),
        (compiled().with("docker", NO_ENGINE).with("dockerd", "exit 0"), &[]),
        // The engine without a client.
        (compiled().with("dockerd", "exit 0"), &["docker.io"]),
        (compiled().with("dockerd", "exit 0").with("apt-cache", &offers("docker-cli")), &["docker-cli"]),
        // Docker's own client keeps Debian's engine out.
        (
            compiled()
                .with("docker", NO_ENGINE)
                .with("dpkg-query", "echo installed")
                .with("apt-cache", &offers("docker-ce")),
            &["docker-ce"],
        ),
        // A compiler that finds nothing to link with.
        (
            Machine::new().with("docker", ANSWERS).with("cc", "echo 'cannot find Scrt1.o' >&2; exit 1"),
            &["gcc", "libc6-dev"],
        ),
        (compiled().with("docker", ANSWERS).without("skopeo").without("nginx"), &["nginx-light", "skopeo"]),
    ] {
        assert_eq!(machine.packages(), expected);
    }
}

#[test]
fn the_scripts_are_valid_and_take_no_other_argument() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for script in ["bin/test", "bin/quickstart"] {
        let status = Command::new("/bin/bash").arg("-n").arg(root.join(script)).status().expect("bash runs");
        assert!(status.success(), "{script}");
    }
    let output = Command::new("/bin/bash").arg(root.join("bin/test")).arg("--help").output().expect("bash runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the only argument is --packages"));
}

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::sandbox::{RATE, Sandbox, executable};
use crate::server::Reaped;

/// A small tree with the things that go wrong: modes, links, empty directories, odd names.
fn tree(root: &Path, reverse: bool) {
    let mut files: Vec<(&str, &str, u32)> = vec![
        ("bin/run", "#!/bin/sh\necho run\n", 0o755),
        ("etc/app.conf", "key = value\n", 0o640),
        ("etc/nested/deep/file", "deep", 0o600),
        ("readme", "text", 0o644),
    ];
    if reverse {
        files.reverse();
    }
    for (path, content, mode) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("below")).expect("a directory");
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
    }
    std::fs::create_dir_all(root.join("var/empty")).expect("a directory");
    for directory in ["bin", "etc", "etc/nested", "etc/nested/deep", "var", "var/empty"] {
        std::fs::set_permissions(root.join(directory), std::fs::Permissions::from_mode(0o755)).expect("mode");
    }
    symlink("bin/run", root.join("start")).expect("a link");
    symlink("/nowhere/at/all", root.join("dangling")).expect("a link");
    symlink("loop", root.join("loop")).expect("a link");
    std::fs::hard_link(root.join("readme"), root.join("var/readme-again")).expect("a link");
}

fn build(sandbox: &Sandbox, context: &str) -> String {
    sandbox.run(&["idpbuilder-build", context, "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success()
}

#[test]
fn a_build_says_what_it_made() {
    let sandbox = Sandbox::new();
    tree(&sandbox.work().join("app"), false);
    let output = sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-t", "other", "--platform", "linux/amd64"]);
    insta::with_settings!({filters => vec![(RATE, "")]}, {
        insta::assert_snapshot!("build", output);
    });
    insta::assert_snapshot!(
        "build_quiet",
        sandbox.run(&["idpbuilder-build", "--context", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64",])
    );
}

#[test]
fn compressions_are_chosen_and_read_back() {
    let sandbox = Sandbox::new();
    tree(&sandbox.work().join("app"), false);
    let listed = |flags: &[&str]| {
        let words = ["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"];
        sandbox.run(&[&words, flags].concat()).success();
        let manifest = sandbox.run(&["idpbuilder-inspect", "app:v1", "--manifest"]).success();
        (manifest, sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]).success())
    };
    let (default, files) = listed(&[]);
    assert!(default.contains("layer.v1.tar+gzip\""), "{default}");
    assert_eq!(listed(&["--compression-format", "gzip", "--compression-level", "1"]), (default, files.clone()));
    for (flags, media_type) in [
        (&["--compression-format", "zstd"][..], "layer.v1.tar+zstd\""),
        (&["--compression", "zstd", "--compression-level", "19"], "layer.v1.tar+zstd\""),
        (&["--compression-format=none", "--compression-level=3"], "layer.v1.tar\""),
    ] {
        let (manifest, same) = listed(flags);
        assert!(manifest.contains(media_type), "{manifest}");
        assert_eq!(same, files, "{flags:?}");
    }
    let refused = ["idpbuilder-build", "app", "-t", "app:v1", "--compression-level", "13"];
    insta::assert_snapshot!("compression_level", sandbox.run(&refused));
    let refused = ["idpbuilder-build", "app", "-t", "app:v1", "--compression-format", "xz"];
    insta::assert_snapshot!("compression_format", sandbox.run(&refused));
}

#[test]
fn the_same_tree_is_the_same_image() {
    let sandbox = Sandbox::new();
    let one = sandbox.work().join("one");
    let two = sandbox.work().join("elsewhere/deep/two");
    std::fs::create_dir_all(&two).expect("a directory");
    tree(&one, false);
    tree(&two, true);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    let file = std::fs::File::options().append(true).open(two.join("readme")).expect("opens");
    file.set_modified(old).expect("a time");
    std::fs::set_permissions(&two, std::fs::Permissions::from_mode(0o700)).expect("mode");
    let first = build(&sandbox, "one");

    // Another process umask, another user where this one may become one, another home and store.
    let mut other = Sandbox::new();
    other.set("TZ", "Asia/Tokyo");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    for path in [other.path().to_owned(), other.home(), other.work(), sandbox.path().to_owned(), sandbox.work()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("mode");
    }
    let words = ["idpbuilder-build", two.to_str().expect("UTF-8"), "-t", "app:v1", "-q", "--platform", "linux/amd64"];
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", r#"umask 077; exec "$0" build "$@""#]).arg(crate::sandbox::executable()).args(&words[1..]);
    shell.current_dir(other.work()).env_clear().env("HOME", other.home());
    if is_root {
        give(&two, 65534);
        // The executable's own directory may be closed to other users; a copy is not.
        let copy = other.work().join("executable");
        copy_executable(&copy);
        let mut as_nobody = std::process::Command::new("/bin/sh");
        as_nobody.args(["-c", r#"umask 077; exec "$0" build "$@""#]).arg(copy).args(&words[1..]);
        as_nobody.current_dir(other.work()).env_clear().env("HOME", other.home()).uid(65534).gid(65534);
        shell = as_nobody;
    }
    assert_eq!(other.finish(&words, shell, b"").success(), first);
    assert_eq!(build(&sandbox, "one"), first);
}

/// Changes the owner of everything below `path`.
fn give(path: &Path, owner: u32) {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).expect("root may");
    if path.symlink_metadata().expect("there").is_dir() {
        for entry in std::fs::read_dir(path).expect("listed") {
            give(&entry.expect("listed").path(), owner);
        }
    }
}

#[test]
fn every_option_reaches_the_image() {
    let sandbox = Sandbox::new();
    sandbox.file("app/run", "#!/bin/sh\n");
    let output = sandbox.run(&[
        "idpbuilder-build",
        "app",
        "-t",
        "app:v1",
        "--platform",
        "linux/arm/v7",
        "--label",
        "a=1",
        "--label",
        "b=",
        "--annotation",
        "org.opencontainers.image.title=App",
        "--entrypoint",
        r#"["/run", "x y"]"#,
        "--cmd",
        "serve --port '80 80'",
        "-e",
        "A=1",
        "-e",
        "A=2",
        "-e",
        "LC_ALL",
        "-e",
        "NOT_SET",
        "--user",
        "1000:1000",
        "-w",
        "/srv",
        "--expose",
        "80",
        "--expose",
        "90-91/udp",
        "--volume",
        "/data",
        "--stop-signal",
        "SIGINT",
        "--healthcheck-cmd",
        "curl -f localhost",
        "--copy-to",
        "/srv/app",
        "--chown",
        "5:6",
        "--timestamp",
        "86400",
        "--iidfile",
        "id",
        "--digestfile",
        "digest",
        "--metadata-file",
        "metadata.json",
        "--progress",
        "none",
    ]);
    output.success();
    insta::assert_snapshot!("every_option_config", sandbox.run(&["idpbuilder-inspect", "app:v1", "--config"]).stdout);
    insta::assert_snapshot!(
        "every_option_manifest",
        sandbox.run(&["idpbuilder-inspect", "app:v1", "--manifest"]).stdout
    );
    insta::assert_snapshot!("every_option_files", sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]));
    let read = |name: &str| std::fs::read_to_string(sandbox.work().join(name)).expect(name);
    assert!(read("id").starts_with("sha256:") && read("digest").starts_with("sha256:"));
    let metadata = read("metadata.json");
    assert!(metadata.contains(&read("id")) && metadata.contains(&read("digest")), "{metadata}");
}

#[test]
fn results_go_where_standard_output_goes() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    let id = build(&sandbox, "app");
    let build = format!("exec -a idpbuilder-build '{}' app -t app", crate::sandbox::executable().display());
    let script = format!("{{ echo before; ({build} --iidfile /dev/stdout -q); echo after; }} > log");
    assert!(sandbox.shell(&script).status().expect("it runs").success());
    let log = std::fs::read_to_string(sandbox.work().join("log")).expect("still a file");
    assert_eq!(log, format!("before\n{id}{id}\nafter\n", id = id.trim()));
}

#[test]
fn a_result_without_a_place_is_found_out_first() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    for flag in ["--iidfile", "--digestfile", "--metadata-file"] {
        let told = sandbox.run(&["idpbuilder-build", "app", "-t", "app", flag, "none/result"]).failure(1);
        assert_eq!(told, "error: cannot write `[SANDBOX]/here/none/result`: No such file or directory\n");
    }
    assert!(!sandbox.store().join("index.json").exists(), "nothing was built");
}

#[test]
fn the_epoch_variable_sets_the_time() {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    let default = build(&sandbox, "app");
    sandbox.set("SOURCE_DATE_EPOCH", "1700000000");
    assert_ne!(build(&sandbox, "app"), default);
    sandbox.set("SOURCE_DATE_EPOCH", "yesterday");
    insta::assert_snapshot!("bad_epoch", sandbox.run(&["idpbuilder-build", "app", "-t", "app"]));
}

#[test]
fn mistakes_are_explained() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    sandbox.file("plain", "x");
    let run = |words: &[&str]| sandbox.run(words);
    insta::assert_snapshot!("no_context", run(&["idpbuilder-build", "missing", "-t", "app"]));
    insta::assert_snapshot!("context_is_a_file", run(&["idpbuilder-build", "plain", "-t", "app"]));
    insta::assert_snapshot!("no_name", run(&["idpbuilder-build", "app"]));
    insta::assert_snapshot!(
        "push_apart",
        run(&["idpbuilder-build", "app", "-t", "app", "--push", "127.0.0.1:9/x/y:2"])
    );
    insta::assert_snapshot!("push_as_context", run(&["idpbuilder-build", "--push", "127.0.0.1:9/x/y:2"]));
    insta::assert_snapshot!("push_to_a_registry", run(&["idpbuilder-build", "app", "--push=127.0.0.1:9"]));
    insta::assert_snapshot!("upper_case", run(&["idpbuilder-build", "app", "-t", "giteaAdmin/app:v1"]));
    insta::assert_snapshot!("bad_chown", run(&["idpbuilder-build", "app", "-t", "app", "--chown", "www-data"]));
    insta::assert_snapshot!("relative_copy_to", run(&["idpbuilder-build", "app", "-t", "app", "--copy-to", "srv"]));
    insta::assert_snapshot!("missing_ignorefile", run(&["idpbuilder-build", "app", "-t", "app", "--ignorefile", "no"]));
    sandbox.file("app/.dockerignore", "fine\n[a-\n");
    insta::assert_snapshot!("bad_pattern", run(&["idpbuilder-build", "app", "-t", "app"]));
    assert!(run(&["idpbuilder-list", "-q"]).success().is_empty(), "nothing was saved");
}

#[test]
fn what_cannot_be_read_stops_the_build_and_can_be_excluded() {
    let sandbox = Sandbox::new();
    let secret = sandbox.file("app/secret", "x");
    sandbox.file("app/public", "x");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).expect("mode");
    let words = ["idpbuilder-build", "app", "-t", "app", "--progress", "none"];
    insta::assert_snapshot!("unreadable", run_as_nobody(&sandbox, &words));
    let excluding = ["idpbuilder-build", "app", "-t", "app", "--progress", "none", "--exclude", "secret"];
    run_as_nobody(&sandbox, &excluding).success();
}

/// Copies the executable to where every user may run it. Another process writes the copy: a descriptor of ours, open
/// for writing, could live on in a child that another test starts, and the copy could not be run.
fn copy_executable(to: &Path) {
    let copied = std::process::Command::new("cp").arg(crate::sandbox::executable()).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

/// Runs as a user whom permissions bind, which root is not.
fn run_as_nobody(sandbox: &Sandbox, words: &[&str]) -> crate::sandbox::Output {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root {
        return sandbox.run(words);
    }
    let copy = sandbox.work().join("executable");
    copy_executable(&copy);
    for path in [sandbox.path().to_owned(), sandbox.home(), sandbox.work()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("mode");
    }
    let mut command = std::process::Command::new(copy);
    command.arg0(words[0]).args(&words[1..]).current_dir(sandbox.work()).env_clear().env("HOME", sandbox.home());
    command.uid(65534).gid(65534);
    sandbox.finish(words, command, b"")
}

#[test]
fn sockets_stay_out_and_pipes_are_refused() {
    let sandbox = Sandbox::new();
    let socket = sandbox.file("app/file", "x").with_file_name("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    insta::assert_snapshot!(
        "socket",
        sandbox.run(&["idpbuilder-build", "app", "-t", "app", "-q", "--platform", "linux/amd64"])
    );
    let excluded = sandbox.run(&["idpbuilder-build", "app", "-t", "app", "-q", "--exclude", "socket"]);
    assert!(excluded.code == Some(0) && excluded.stderr.is_empty(), "{excluded}");
    let listed = sandbox.run(&["idpbuilder-build", "app", "--list-context"]);
    assert!(listed.code == Some(0) && listed.stderr.contains("is a socket"), "{listed}");
    assert!(sandbox.shell("mkfifo app/pipe").status().expect("mkfifo runs").success());
    assert_eq!(sandbox.run(&["idpbuilder-build", "app", "-t", "app"]).code, Some(4));
}

#[test]
fn an_empty_context_is_an_image_without_files() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.work().join("empty")).expect("a directory");
    insta::assert_snapshot!(
        "empty_context",
        sandbox.run(&["idpbuilder-build", "empty", "-t", "empty", "--platform", "linux/amd64", "--progress", "none",])
    );
    assert!(sandbox.run(&["idpbuilder-inspect", "empty", "--files"]).success().is_empty());
}

#[test]
fn odd_names_survive() {
    let sandbox = Sandbox::new();
    let long = "n".repeat(255);
    let deep: PathBuf = ["d".repeat(200), "e".repeat(200), long.clone()].iter().collect();
    sandbox.file(&format!("app/{}", deep.display()), "deep");
    sandbox.file(&format!("app/{}", "h".repeat(101)), "hundred and one");
    let raw = sandbox.work().join("app").join(OsStr::from_bytes(b"latin1-\xe9"));
    std::fs::write(raw, "bytes").expect("written");
    build(&sandbox, "app");
    let tar = std::process::Command::new(crate::sandbox::executable())
        .args(["save", "app:v1", "--format", "oci-archive"])
        .env_clear()
        .env("HOME", sandbox.home())
        .output()
        .expect("it runs");
    assert!(tar.status.success());
    let listed = sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]).success();
    assert!(listed.contains(&long), "{listed}");
    assert!(listed.contains("latin1-"), "{listed}");
    // GNU tar is the judge of the layer's format.
    let layer = layer_path(&sandbox);
    let out = sandbox.work().join("out");
    std::fs::create_dir(&out).expect("a directory");
    let unpacked =
        std::process::Command::new("tar").arg("-xzf").arg(layer).arg("-C").arg(&out).output().expect("tar runs");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    assert_eq!(std::fs::read(out.join(&deep)).expect("unpacked"), b"deep");
    assert_eq!(std::fs::read(out.join(OsStr::from_bytes(b"latin1-\xe9"))).expect("unpacked"), b"bytes");
}

/// The layer of `app:v1` in the sandbox's store.
fn layer_path(sandbox: &Sandbox) -> PathBuf {
    let manifest = sandbox.run(&["idpbuilder-inspect", "app:v1", "--manifest"]).success();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    sandbox.store().join("blobs/sha256").join(digest.strip_prefix("sha256:").expect("sha256"))
}

#[test]
fn ignore_rules_decide_what_goes_in() {
    let sandbox = Sandbox::new();
    for path in ["keep", "drop.log", "sub/drop.log", "sub/keep.log", "node_modules/x/y", "a/node_modules/z"] {
        sandbox.file(&format!("app/{path}"), path);
    }
    sandbox.file(
        "app/.dockerignore",
        "\u{feff}# comment\r\n**/*.log\r\n!sub/keep.log\r\nnode_modules/\r\n.dockerignore\r\n",
    );
    build(&sandbox, "app");
    let listed = sandbox.run(&["idpbuilder-inspect", "app:v1", "--files", "--format", "{{.Path}}"]).success();
    let paths: Vec<&str> = listed.lines().collect();
    assert_eq!(paths, ["a/", "a/node_modules/", "a/node_modules/z", "keep", "sub/", "sub/keep.log"], "{listed}");
    sandbox.file("app/.containerignore", "*\n!keep\n");
    build(&sandbox, "app");
    let listed = sandbox.run(&["idpbuilder-inspect", "app:v1", "--files", "--format", "{{.Path}}"]).success();
    assert_eq!(listed, "keep\n");
}

#[test]
fn an_interrupted_build_leaves_nothing_and_says_so() {
    let sandbox = Sandbox::new();
    let big = std::fs::File::create(sandbox.file("app/big", "").as_path()).expect("a file");
    // Sparse: hours of packing without a byte of disk.
    big.set_len(1 << 40).expect("a length");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let child = sandbox
            .command(&["idpbuilder-build", "app", "-t", "app:v1", "--progress", "json"])
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut child = Reaped(child);
        // The first report says that packing has begun.
        let mut errors = std::io::BufReader::new(child.0.stderr.take().expect("piped"));
        let mut line = String::new();
        std::io::BufRead::read_line(&mut errors, &mut line).expect("a report");
        assert!(line.contains("\"event\":\"begin\""), "{line}");
        crate::server::send(&child.0, signal);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut errors, &mut rest).expect("read");
        let status = child.0.wait().expect("it ends");
        assert_eq!(status.code(), Some(code), "{rest}");
        assert!(rest.contains("error: "), "{rest}");
        let temporary = std::fs::read_dir(sandbox.store().join(".tmp")).expect("the store").count();
        assert_eq!(temporary, 0, "{rest}");
    }
    assert!(sandbox.run(&["idpbuilder-list", "-q"]).success().is_empty());
}

#[test]
fn an_answer_is_about_the_context_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.file("other/file", "1");
    for question in [&["--list-context"][..], &["--explain", "file"]] {
        for source in [&["--copy", "other:/x"][..], &["--add-tar", "x.tar"], &["--context-for", "linux/amd64=other"]] {
            let without = sandbox.run(&[&["idpbuilder-build"], question, source].concat());
            assert_eq!(without.code, Some(64), "{without}");
            assert!(without.stderr.contains("about the context, and there is none"), "{without}");
            assert!(without.stderr.contains("idpbuilder-build DIR --list-context"), "{without}");
            let beside = sandbox.run(&[&["idpbuilder-build", "other"], question, source].concat());
            assert!(beside.stdout.contains("file"), "{beside}");
            assert!(beside.stderr.contains("about CONTEXT alone"), "{beside}");
        }
    }
}

#[test]
fn a_context_is_explained_without_building_anything() {
    let sandbox = Sandbox::new();
    sandbox.file("app/main.rs", "fn main() {}");
    sandbox.file("app/target/large", vec![0; 5000]);
    sandbox.file("app/target/keep", "k");
    sandbox.file("app/.dockerignore", "target\n!target/keep\n");
    let explained = ["idpbuilder-build", "app", "--explain", "main.rs", "--explain", "target/large", "--explain"];
    insta::assert_snapshot!("explain", sandbox.run(&[&explained[..], &["target/keep", "--explain", "gone"]].concat()));
    insta::assert_snapshot!("explain_outside", sandbox.run(&["idpbuilder-build", "app", "--explain", "../other"]));
    insta::assert_snapshot!("list_context", sandbox.run(&["idpbuilder-build", "app", "--list-context"]));
    insta::assert_snapshot!(
        "list_context_by_size",
        sandbox.run(&["idpbuilder-build", "app", "--list-context", "--sort", "size"])
    );
    assert!(!sandbox.store().exists(), "nothing was built");
}

#[test]
fn names_do_not_steer_the_terminal() {
    let sandbox = Sandbox::new();
    let name = "x\u{1b}]0;owned\u{7}\nerror: \u{202e}fake";
    sandbox.file("plain/file", "content");
    std::fs::create_dir_all(sandbox.work().join("odd")).expect("made");
    let pipe = sandbox.work().join("odd").join(name);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    std::fs::create_dir_all(sandbox.work().join(name)).expect("made");
    let refused = sandbox.run(&["idpbuilder-build", "odd", "-t", "odd:1"]);
    let warned = sandbox.run(&["idpbuilder-build", "plain", "-t", "app:1", "--copy", &format!("{name}:/")]);
    let label = format!("note={name}");
    sandbox.run(&["idpbuilder-build", "plain", "-t", "app:2", "-q", "--label", &label]).success();
    let inspected = sandbox.run(&["idpbuilder-inspect", "app:2"]);
    for output in [&refused, &warned, &inspected] {
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(text.contains("x\\x1b]0;owned\\x07\\x0aerror: \\xe2\\x80\\xaefake"), "{text}");
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("error: \\xe2")), "{text}");
    }
}

#[test]
fn a_limit_of_threads_is_told() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    // No limit counts for root, and nobody else has this user's threads. A shell copies: a file that is open for writing
    // here, inherited by a process that another test starts at that moment, could not be executed.
    let script = r#"
        cp "$2" program
        drop=
        if [ "$(id -u)" = 0 ]; then
            chmod -R a+rwX "$1"
            drop="setpriv --reuid=61235 --regid=61235 --clear-groups"
        fi
        ulimit -u 1
        exec $drop ./program build app -t app:1
    "#;
    let mut command = sandbox.shell(script);
    command.arg("bash").arg(sandbox.path()).arg(executable());
    insta::assert_snapshot!("no_threads", sandbox.finish(&["idpbuilder-build", "app", "-t", "app:1"], command, b""));
}

#[test]
fn what_is_remembered_in_the_home_never_goes_into_an_image() {
    let sandbox = Sandbox::new();
    sandbox.file("../home/notes", "x");
    sandbox.file("../home/.idpbuilder/credentials.json", "{}");
    let built = sandbox.run(&["idpbuilder-build", "../home", "-t", "app:v1", "--store", "elsewhere"]);
    assert!(built.stderr.contains("credentials and certificates are kept, is inside"), "{built}");
    let files = ["idpbuilder-inspect", "app:v1", "--store", "elsewhere", "--files", "--format", "{{.Path}}"];
    assert_eq!(sandbox.run(&files).success().trim_end(), "notes");
    let question = |flags: &[&str]| {
        sandbox.run(&[&["idpbuilder-build", "../home", "--exclude", "nothing", "--store", "elsewhere"], flags].concat())
    };
    insta::assert_snapshot!("explain_own", question(&["--explain", ".idpbuilder/credentials.json"]));
    insta::assert_snapshot!("list_context_own", question(&["--list-context"]));
    let own = sandbox.run(&["idpbuilder-build", "../home/.idpbuilder", "-t", "app:v1", "--store", "elsewhere"]);
    insta::assert_snapshot!("context_own", own);
}

#[test]
fn a_large_directory_is_told_wherever_it_comes_from() {
    let sandbox = Sandbox::new();
    sandbox.file("app/node_modules/x", vec![b'x'; 11 << 20]);
    let copied = sandbox.run(&["idpbuilder-build", "--copy", "app:/srv", "-t", "app:v1"]);
    insta::assert_snapshot!(
        "large_copied",
        copied.stderr.lines().filter(|line| line.starts_with("warning")).collect::<String>()
    );
    insta::assert_snapshot!("large_listed", sandbox.run(&["idpbuilder-build", "app", "--list-context"]));
}

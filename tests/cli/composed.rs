//! Images of several sources: further files, directories and archives, and an archive for a context.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::sandbox::{Output, Sandbox};

/// Whatever the umask is: modes show in digests.
fn file(sandbox: &Sandbox, path: &str, content: &str) {
    let file = sandbox.file(path, content);
    let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
    mode(&file, 0o644);
    mode(file.parent().expect("inside"), 0o755);
}

/// A tar archive of files, as archivers write it.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_uid(1000);
        header.set_gid(100);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_bytes()).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

const BUILD: [&str; 7] = ["idpbuilder-build", "-t", "app:v1", "--platform", "linux/amd64", "--progress", "none"];

fn build(sandbox: &Sandbox, flags: &[&str]) -> Output {
    sandbox.run(&[&BUILD, flags].concat())
}

fn files(sandbox: &Sandbox) -> String {
    sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]).success()
}

#[test]
fn sources_add_up_in_order() {
    let sandbox = Sandbox::new();
    file(&sandbox, "app/srv/index", "context");
    file(&sandbox, "more/one", "1");
    file(&sandbox, "more/two", "2");
    file(&sandbox, "more/.dockerignore", "two\n.dockerignore\n");
    file(&sandbox, "motd", "hello\n");
    sandbox.file("extra.tar", archive(&[("./x/y", "in a tar"), ("z", "")]));
    let flags = [
        "app",
        "--chmod",
        "0750",
        "--add-tar",
        "extra.tar:/opt",
        "--add-tar",
        "extra.tar:/kept,keep",
        "--copy",
        "more:/srv/more,chown=7",
        "--copy",
        "motd:/etc/",
        "--copy",
        "motd:/srv/index,chmod=0600,chown=5:6",
    ];
    insta::assert_snapshot!("build", build(&sandbox, &flags));
    insta::assert_snapshot!("files", files(&sandbox));
    insta::assert_snapshot!("config", sandbox.run(&["idpbuilder-inspect", "app:v1", "--config"]).stdout);
    build(&sandbox, &["--copy", "motd"]).success();
    assert!(files(&sandbox).lines().count() <= 2, "there is no context:\n{}", files(&sandbox));
}

#[test]
fn permissions_are_of_every_source_that_says_none() {
    let sandbox = Sandbox::new();
    file(&sandbox, "motd", "hello\n");
    sandbox.file("extra.tar", archive(&[("z", "")]));
    let flags = [
        "--chmod",
        "0600",
        "--chown",
        "9",
        "--copy",
        "motd:/plain",
        "--copy",
        "motd:/own,chmod=0444",
        "--add-tar",
        "extra.tar:/plain-tar",
        "--add-tar",
        "extra.tar:/own-tar,chmod=0755,chown=5:6",
        "--add-tar",
        "extra.tar:/kept-tar,keep",
    ];
    build(&sandbox, &flags).success();
    insta::assert_snapshot!("permissions", files(&sandbox));
}

#[test]
fn an_archive_on_standard_input_is_a_context() {
    let sandbox = Sandbox::new();
    let bytes = archive(&[("b", "2"), (".dockerignore", "b\n"), ("a", "1")]);
    let run = |flags: &[&str], input: &[u8]| sandbox.run_with_input(&[&BUILD, flags].concat(), input);
    insta::assert_snapshot!("piped", run(&["-", "--exclude", "b"], &bytes));
    insta::assert_snapshot!("piped_files", files(&sandbox));
    let zstd = zstd::bulk::compress(&bytes, 3).expect("in memory");
    let digest = |output: Output| output.success().lines().find(|line| line.contains("digest")).map(str::to_owned);
    let compressed = digest(run(&["--context", "-", "--exclude", "b"], &zstd));
    assert_eq!(compressed, digest(run(&["-", "--exclude", "b"], &bytes)));
    sandbox.file("rules", "a\n");
    run(&["-", "--ignorefile", "rules"], &bytes).success();
    assert!(!files(&sandbox).contains(" a\n"));
    run(&["--add-tar", "-:/srv"], &bytes).success();
    assert!(files(&sandbox).contains("srv/b"));

    insta::assert_snapshot!("nothing_piped", run(&["-"], b""));
    insta::assert_snapshot!("torn", run(&["-"], &bytes[..700]));
    insta::assert_snapshot!("leading_out", run(&["-"], &raw("../../etc/passwd")));
    insta::assert_snapshot!("compressed_otherwise", run(&["-"], b"\xfd7zXZ\0 and so on"));
    insta::assert_snapshot!("input_twice", run(&["-", "--add-tar", "-"], &bytes));
    // The archive would be sent as the password.
    for source in [&["-"][..], &["--add-tar", "-"]] {
        let login = ["-u", "demo", "--password-stdin", "--from", "127.0.0.1:9/x/y:1", "--plain-http"];
        let output = run(&[source, &login].concat(), &bytes);
        assert_eq!(output.code, Some(64), "{output}");
        assert!(output.stderr.contains("standard input can be read only once"), "{output}");
        assert!(!output.stderr.contains("127.0.0.1:9"), "nobody is asked: {output}");
    }
    let two = ["idpbuilder-build", "-", "-t", "app:v1", "--platform", "linux/amd64,linux/arm64"];
    insta::assert_snapshot!("input_for_two", sandbox.run_with_input(&two, &bytes));
    insta::assert_snapshot!("input_explained", run(&["-", "--list-context"], &bytes));
    let temporary = std::fs::read_dir(sandbox.store().join(".tmp")).expect("the store").count();
    assert_eq!(temporary, 0);
}

/// An archive of one file under a name that archivers would not write.
fn raw(name: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    [&header.as_bytes()[..], &[0; 1024]].concat()
}

#[test]
fn mistakes_are_explained() {
    let sandbox = Sandbox::new();
    file(&sandbox, "app/file", "x");
    let run = |flags: &[&str]| build(&sandbox, &[&["app"], flags].concat());
    insta::assert_snapshot!("no_source", run(&["--copy", "missing:/srv"]));
    insta::assert_snapshot!("no_archive", run(&["--add-tar", "missing.tar"]));
    insta::assert_snapshot!("empty_copy", run(&["--copy", ""]));
    insta::assert_snapshot!("relative_destination", run(&["--copy", "app:srv"]));
    file(&sandbox, "co:lon", "x");
    insta::assert_snapshot!("colon_in_the_name", run(&["--copy", "co:lon"]));
    run(&["--copy", "co:lon:/srv/"]).success();
    assert!(files(&sandbox).contains("srv/co:lon"));
    sandbox.run(&["idpbuilder-rm", "app:v1"]).success();
    insta::assert_snapshot!("upward_destination", run(&["--copy", "app:/srv/../.."]));
    insta::assert_snapshot!("unknown_option", run(&["--copy", "app:/srv,mode=0644"]));
    insta::assert_snapshot!("copy_chown", run(&["--copy", "app:/srv,chown=root"]));
    insta::assert_snapshot!("chmod", run(&["--chmod", "u+x"]));
    insta::assert_snapshot!("keep_and_chmod", run(&["--add-tar", "a.tar,keep,chmod=0755"]));
    for flags in [&["--copy-to", "/srv"][..], &["--exclude", "x"], &["--ignorefile", "rules"]] {
        let output = build(&sandbox, &[&["--copy", "app:/srv"], flags].concat());
        assert_eq!(output.code, Some(64), "{output}");
        assert!(output.stderr.contains(&format!("{} is about the context", flags[0])), "{output}");
    }
    // Two builds would need the stream twice.
    let twice = run(&["--add-tar", "-", "--verify-reproducible"]);
    assert_eq!(twice.code, Some(64), "{twice}");
    assert!(twice.stderr.contains("standard input can be read only once"), "{twice}");
    insta::assert_snapshot!("no_tar", run(&["--add-tar", "app/file"]));
    assert!(sandbox.run(&["idpbuilder-list", "-q"]).success().is_empty(), "nothing was saved");
}

//! Where sources land on a base: its directories stay as they are, its links lead on.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use tar::{EntryType, Header};

use crate::sandbox::{Output, Sandbox};

/// A tar archive of directories (mode, owner, name), then of links.
fn archive(directories: &[(u32, u64, &str)], links: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let header = |kind: EntryType, mode: u32, owner: u64| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_mtime(1_700_000_000);
        header.set_size(0);
        header
    };
    for (mode, owner, name) in directories {
        let mut header = header(EntryType::Directory, *mode, *owner);
        builder.append_data(&mut header, format!("{name}/"), std::io::empty()).expect("in memory");
    }
    for (name, target) in links {
        builder.append_link(&mut header(EntryType::Symlink, 0o777, 0), name, target).expect("in memory");
    }
    builder.append_data(&mut header(EntryType::Regular, 0o644, 0), "etc/passwd", std::io::empty()).expect("in memory");
    builder.into_inner().expect("in memory")
}

const BUILD: [&str; 7] = ["idpbuilder-build", "-t", "app:v1", "--platform", "linux/amd64", "--progress", "none"];

/// A sandbox with the image `base:v1`, a program `tool`, a context `app` with `bin/tool`, and `tool.tar` with the same.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let directories = [
        (0o755, 0, "usr"),
        (0o755, 0, "usr/bin"),
        (0o1777, 0, "tmp"),
        (0o700, 0, "root"),
        (0o755, 0, "var"),
        (0o750, 33, "var/www"),
    ];
    let links = [("bin", "usr/bin"), ("loop", "loop"), ("www", "/var/www")];
    sandbox.file("base.tar", archive(&directories, &links));
    let words =
        ["idpbuilder-build", "-t", "base:v1", "--platform", "linux/amd64", "-q", "--add-tar", "base.tar:/,keep"];
    sandbox.run(&words).success();
    let set =
        |path: &std::path::Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
    for path in ["tool", "app/bin/tool"] {
        set(&sandbox.file(path, "tool"), 0o755);
    }
    set(&sandbox.work().join("app/bin"), 0o755);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(4);
    builder.append_data(&mut header, "bin/tool", &b"tool"[..]).expect("in memory");
    sandbox.file("tool.tar", builder.into_inner().expect("in memory"));
    sandbox
}

fn build(sandbox: &Sandbox, flags: &[&str]) -> Output {
    sandbox.run(&[&BUILD[..], &["--from", "base:v1"], flags].concat())
}

/// What the layers over the base have.
fn own_files(sandbox: &Sandbox) -> String {
    let all = sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]).success();
    let base = sandbox.run(&["idpbuilder-inspect", "base:v1", "--files"]).success();
    all.split_inclusive('\n').skip(base.lines().count()).collect()
}

#[test]
fn directories_of_the_base_stay_as_they_are() {
    let sandbox = sandbox();
    let flags = ["--copy", "tool:/tmp/x", "--copy", "tool:/root/y,chown=7", "--copy", "app/bin:/www/z", "--add-tar"];
    let archive = ["tool.tar:/var/www/t"];
    build(&sandbox, &[&flags[..], &archive].concat()).success();
    insta::assert_snapshot!("directories_of_the_base", own_files(&sandbox));
    build(&sandbox, &["app", "--copy-to", "/var/www"]).success();
    insta::assert_snapshot!("context_in_a_directory_of_the_base", own_files(&sandbox));
}

#[test]
fn links_of_the_base_lead_on() {
    let sandbox = sandbox();
    let lands = |flags: &[&str]| {
        let output = build(&sandbox, flags);
        let told: Vec<String> =
            output.stderr.lines().filter(|line| line.starts_with("warning")).map(str::to_owned).collect();
        let _ = output.success();
        assert!(own_files(&sandbox).lines().any(|line| line.ends_with(" usr/bin/tool")), "{flags:?}");
        assert!(!own_files(&sandbox).lines().any(|line| line.ends_with(" bin/")), "{flags:?}");
        told.join(", ")
    };
    for flags in [["--copy", "tool:/bin/tool"], ["--copy", "tool:/bin/"], ["--copy", "tool:/bin"]] {
        assert_eq!(lands(&flags), "");
    }
    for flags in [
        &["app/bin", "--copy-to", "/bin"][..],
        &["--copy", "app/bin:/bin"],
        &["--add-tar", "tool.tar:/bin", "--copy", "tool:/bin/"],
    ] {
        assert_eq!(lands(flags), "");
    }
    // A directory of the content is not what was asked to be elsewhere: that is told.
    let told = "warning: `/bin` is a link to `/usr/bin` in the layers below: what belongs in it is put there";
    for flags in [&["app"][..], &["--copy", "app:/"], &["--add-tar", "tool.tar:/"]] {
        assert_eq!(lands(flags), told);
    }
    let _ = build(&sandbox, &["app", "--copy", "tool:/bin/other"]).success();
    insta::assert_snapshot!("context_on_a_link_of_the_base", own_files(&sandbox));
    // Twice the same, with and without what was kept.
    let digest = |flags: &[&str]| build(&sandbox, &[&["-q", "app"], flags].concat()).success();
    let first = digest(&[]);
    assert_eq!(digest(&["--no-cache"]), first);
    std::fs::remove_dir_all(sandbox.home().join(".idpbuilder/cache")).expect("there");
    assert_eq!(digest(&["--verify-reproducible"]), first);
}

#[test]
fn what_is_in_the_way_is_named() {
    let sandbox = sandbox();
    insta::assert_snapshot!("file_in_the_way", build(&sandbox, &["--copy", "tool:/etc/passwd/tool"]));
    insta::assert_snapshot!("links_in_a_circle", build(&sandbox, &["app", "--copy-to", "/loop"]));
    insta::assert_snapshot!("archive_on_a_file", build(&sandbox, &["--add-tar", "tool.tar:/etc/passwd"]));
    sandbox.file("app/usr/bin/tool", "another");
    insta::assert_snapshot!("two_in_one_place", build(&sandbox, &["app"]));
    assert_eq!(sandbox.run(&["idpbuilder-list", "-q"]).success().lines().count(), 1);
}

#[test]
fn names_that_remove_what_is_below_are_refused() {
    let sandbox = sandbox();
    for directory in ["file", "opaque", "directory", "single"] {
        std::fs::create_dir(sandbox.work().join(directory)).expect("made");
    }
    sandbox.file("file/.wh.tmp", "");
    sandbox.file("opaque/etc/.wh..wh..opq", "");
    sandbox.file("directory/.wh.d/file", "");
    sandbox.file("single/f", "content");
    insta::assert_snapshot!("whiteout_in_the_context", build(&sandbox, &["file"]));
    insta::assert_snapshot!("whiteout_in_a_copy", build(&sandbox, &["--copy", "opaque:/"]));
    insta::assert_snapshot!("whiteout_directory", build(&sandbox, &["directory"]));
    insta::assert_snapshot!("whiteout_copied_file", build(&sandbox, &["--copy", "single/f:/.wh.f"]));
    insta::assert_snapshot!("whiteout_destination", build(&sandbox, &["single", "--copy-to", "/.wh.f"]));
    assert_eq!(sandbox.run(&["idpbuilder-list", "-q"]).success().lines().count(), 1);
    insta::assert_snapshot!("whiteout_listed", sandbox.run(&["idpbuilder-build", "file", "--list-context"]));
    insta::assert_snapshot!("whiteout_explained", sandbox.run(&["idpbuilder-build", "file", "--explain", ".wh.tmp"]));
    // What stays out is no problem, nor is a file that gets another name.
    let _ = build(&sandbox, &["file", "--exclude", ".wh.*"]).success();
    let _ = build(&sandbox, &["--copy", "file/.wh.tmp:/tmp/plain"]).success();
}

#[test]
fn a_damaged_base_is_named() {
    let sandbox = sandbox();
    let text = sandbox.run(&["idpbuilder-inspect", "base:v1", "--manifest"]).success();
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let layer = &manifest["layers"][0];
    let hex = layer["digest"].as_str().expect("a digest").trim_start_matches("sha256:").to_owned();
    let size = usize::try_from(layer["size"].as_u64().expect("a size")).expect("small");
    std::fs::write(sandbox.store().join("blobs/sha256").join(hex), vec![0; size]).expect("written");
    insta::assert_snapshot!("damaged_base", build(&sandbox, &["--copy", "tool:/bin/"]));
}

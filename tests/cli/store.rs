use crate::sandbox::{Sandbox, executable};

/// Two images under three names.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("one/file", "one");
    sandbox.file("two/file", "two");
    for (context, names) in [("one", &["app:v1", "localhost:5000/team/app:v1"][..]), ("two", &["other"])] {
        let mut words = vec!["idpbuilder-build", context, "-q", "--platform", "linux/amd64", "--label", "team=web"];
        for name in names {
            words.extend(["-t", *name]);
        }
        sandbox.run(&words).success();
    }
    sandbox
}

/// Times differ from run to run; nothing else does.
fn snapshot(name: &str, output: impl std::fmt::Display) {
    insta::with_settings!({filters => vec![
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]"),
        (r"\d+ seconds? ago +", "[AGO]   "),
        (r"CREATED {2,}", "CREATED   "),
    ]}, {
        insta::assert_snapshot!(name, output);
    });
}

#[test]
fn listing_in_every_form() {
    let sandbox = filled();
    // Two builds in one second have no order by time; names decide then.
    let names = sandbox.run(&["idpbuilder-list", "--format", "{{.Name}}"]).success();
    let mut sorted: Vec<&str> = names.lines().collect();
    sorted.sort_unstable();
    assert_eq!(sorted, ["app:v1", "localhost:5000/team/app:v1", "other:latest"]);
    snapshot("list_table", sandbox.run(&["idpbuilder-list", "app"]));
    snapshot("list_digests", sandbox.run(&["idpbuilder-list", "--digests", "--no-trunc", "app:*"]));
    snapshot("list_json", sandbox.run(&["idpbuilder-list", "--format", "json", "other"]));
    snapshot("list_yaml", sandbox.run(&["idpbuilder-list", "-o", "yaml", "other"]));
    snapshot(
        "list_table_template",
        sandbox.run(&["idpbuilder-list", "app", "--format", "table {{.Name}}\\t{{.Platform}}"]),
    );
    snapshot("list_bad_field", sandbox.run(&["idpbuilder-list", "--format", "{{.Nmae}}"]));
    snapshot("list_bad_filter", sandbox.run(&["idpbuilder-list", "--filter", "color=red"]));
    let count = |words: &[&str]| sandbox.run(words).success().lines().count();
    assert_eq!(count(&["idpbuilder-list", "-q"]), 2, "one id an image");
    assert_eq!(count(&["idpbuilder-list", "-q", "--filter", "label=team=web"]), 2);
    assert_eq!(count(&["idpbuilder-list", "-q", "--filter", "label=team=ops"]), 0);
    assert_eq!(count(&["idpbuilder-list", "-q", "--filter", "dangling=true"]), 0);
}

#[test]
fn tagging_moves_names() {
    let sandbox = filled();
    snapshot("tag", sandbox.run(&["idpbuilder-tag", "app:v1", "app", "registry.example/app:v1"]));
    snapshot("tag_replaces", sandbox.run(&["idpbuilder-tag", "app:v1", "other"]));
    snapshot("tag_missing", sandbox.run(&["idpbuilder-tag", "app:v9", "app"]));
    snapshot("tag_bad_name", sandbox.run(&["idpbuilder-tag", "app:v1", "app:"]));
    let id = sandbox.run(&["idpbuilder-list", "-q", "app:v1"]).success();
    sandbox.run(&["idpbuilder-tag", id.trim(), "by-id"]).success();
    assert_eq!(sandbox.run(&["idpbuilder-list", "-q", "by-id"]).success(), id);
}

#[test]
fn removing_and_pruning() {
    let sandbox = filled();
    snapshot("rm_missing", sandbox.run(&["idpbuilder-rm", "no-such", "other"]));
    sandbox.run(&["idpbuilder-rm", "-f", "no-such"]).success();
    let id = sandbox.run(&["idpbuilder-list", "-q"]).success();
    snapshot("rm_several_names", sandbox.run(&["idpbuilder-rm", id.trim()]));
    snapshot("rm_prune", sandbox.run(&["idpbuilder-rm", "app:v1", "--prune"]));
    assert_eq!(sandbox.run(&["idpbuilder-list", "-q"]).success(), id, "the other name keeps the image");
    snapshot("rm_all_asks", sandbox.run(&["idpbuilder-rm", "--all"]));
    sandbox.run(&["idpbuilder-rm", "--all", "--force", "--prune"]).success();
    let blobs = std::fs::read_dir(sandbox.store().join("blobs/sha256")).expect("there").count();
    assert_eq!(blobs, 0);
}

#[test]
fn looking_inside() {
    let sandbox = filled();
    snapshot("inspect", sandbox.run(&["idpbuilder-inspect", "app:v1"]));
    snapshot("inspect_json", sandbox.run(&["idpbuilder-inspect", "app:v1", "--format", "json"]));
    snapshot("inspect_history", sandbox.run(&["idpbuilder-inspect", "app:v1", "--history"]));
    snapshot("inspect_layers", sandbox.run(&["idpbuilder-inspect", "app:v1", "--layers"]));
    sandbox.file("changed/file", "other content");
    sandbox
        .run(&["idpbuilder-build", "changed", "-t", "app:v2", "-q", "--platform", "linux/amd64", "--env", "A=b"])
        .success();
    snapshot("inspect_diff", sandbox.run(&["idpbuilder-inspect", "--diff", "app:v1", "app:v2"]));
    snapshot("inspect_diff_same", sandbox.run(&["idpbuilder-inspect", "--diff", "app:v1", "app:v1"]));
    snapshot("inspect_missing", sandbox.run(&["idpbuilder-inspect", "app:v9"]));
}

#[test]
fn archives_go_out_and_come_back() {
    let sandbox = filled();
    for format in ["docker-archive", "oci-archive"] {
        sandbox.run(&["idpbuilder-save", "app:v1", "other", "--format", format, "-o", "images.tar"]).success();
        let piped = sandbox.run(&["idpbuilder-save", "app:v1", "other", "--format", format]);
        let kept = std::fs::read(sandbox.work().join("images.tar")).expect("saved");
        assert!(piped.raw == kept, "{format}: a file and a pipe get the same bytes");
        let loaded = sandbox.run_with_input(&["idpbuilder-load", "--store", format, "--progress", "none"], &kept);
        snapshot(&format!("load_{format}"), &loaded);
        let id = |store: &str| sandbox.run(&["idpbuilder-list", "--store", store, "-q", "--no-trunc", "app"]).success();
        assert_eq!(id(format), id(sandbox.store().to_str().expect("UTF-8")), "{format} keeps the image id");
        sandbox.run_with_input(&["idpbuilder-load", "--store", "cut"], &kept[..kept.len() / 2]).failure(4);
        assert!(sandbox.run(&["idpbuilder-list", "--store", "cut", "-q"]).success().is_empty());
    }
    snapshot("load_garbage", sandbox.run_with_input(&["idpbuilder-load"], b"not an archive"));
    snapshot("save_missing", sandbox.run(&["idpbuilder-save", "app:v9", "-o", "x.tar"]));
    assert!(!sandbox.work().join("x.tar").exists());
}

#[test]
fn concurrent_builds_and_tags_lose_nothing() {
    let sandbox = filled();
    let rounds = 50;
    let script = |worker: u32| {
        let mut command = std::process::Command::new("/bin/sh");
        command
            .args([
                "-ec",
                r#"i=0; while [ $i -lt $2 ]; do i=$((i+1));
                "$0" build "one" -q -t "built:w$1-$i" --platform linux/amd64 >/dev/null
                "$0" tag app:v1 "tagged:w$1-$i" 2>/dev/null; done"#,
            ])
            .arg(executable())
            .args([worker.to_string(), rounds.to_string()])
            .current_dir(sandbox.work())
            .env_clear()
            .env("HOME", sandbox.home())
            .spawn()
            .expect("it runs")
    };
    let workers = [script(1), script(2)];
    for mut worker in workers {
        assert!(worker.wait().expect("it ends").success());
    }
    let count =
        |pattern: &str| sandbox.run(&["idpbuilder-list", "--format", "{{.Name}}", pattern]).success().lines().count();
    assert_eq!(count("built:*"), 2 * rounds);
    assert_eq!(count("tagged:*"), 2 * rounds);
    assert_eq!(count("*"), 4 * rounds + 3);
}

#[test]
fn other_tools_read_the_store_in_place() {
    let sandbox = filled();
    for tool in ["skopeo", "umoci"] {
        let found = std::process::Command::new(tool).arg("--version").output();
        assert!(found.is_ok(), "{tool} is missing: bin/test installs it");
    }
    let layout = format!("oci:{}:localhost:5000/team/app:v1", sandbox.store().display());
    let inspected = std::process::Command::new("skopeo").args(["inspect", &layout]).output().expect("it runs");
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
    assert!(String::from_utf8_lossy(&inspected.stdout).contains("\"team\": \"web\""));
    let listed =
        std::process::Command::new("umoci").args(["ls", "--layout"]).arg(sandbox.store()).output().expect("it runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.lines().any(|line| line == "other:latest"), "{listed}");
    let bundle = sandbox.work().join("bundle");
    let unpacked = std::process::Command::new("umoci")
        .args(["unpack", "--rootless", "--image", &format!("{}:other:latest", sandbox.store().display())])
        .arg(&bundle)
        .output()
        .expect("it runs");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    assert_eq!(std::fs::read(bundle.join("rootfs/file")).expect("unpacked"), b"two");
    // What the tools left in the directory does not disturb the store.
    assert_eq!(sandbox.run(&["idpbuilder-list", "-q"]).success().lines().count(), 2);
}

#[test]
fn a_store_that_is_none_is_refused_untouched() {
    let sandbox = Sandbox::new();
    sandbox.file("thesis/chapter1", "text");
    snapshot("foreign_store", sandbox.run(&["idpbuilder-list", "--store", "thesis"]));
    sandbox.file("broken/oci-layout", "{");
    snapshot("broken_store", sandbox.run(&["idpbuilder-list", "--store", "broken"]));
    std::fs::create_dir_all(sandbox.home().join(".idpbuilder")).expect("a directory");
    std::fs::write(sandbox.home().join(".idpbuilder/config.toml"), "stroe = 1\n").expect("written");
    snapshot("broken_settings", sandbox.run(&["idpbuilder-list"]));
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let mut sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    let build = |sandbox: &Sandbox, rest: &[&str]| {
        let mut words = vec!["idpbuilder-build", "app", "-t", "app", "-q"];
        words.extend(rest);
        sandbox.run(&words).success();
    };
    let is_store = |sandbox: &Sandbox, path: &str| sandbox.path().join(path).join("index.json").is_file();
    build(&sandbox, &[]);
    assert!(is_store(&sandbox, "home/.idpbuilder/images"));
    let home = sandbox.path().join("elsewhere");
    std::fs::create_dir(&home).expect("a directory");
    sandbox.set("IDPBUILDER_HOME", &home);
    build(&sandbox, &[]);
    assert!(is_store(&sandbox, "elsewhere/images"));
    std::fs::write(home.join("config.toml"), "store = \"by-file\"\n").expect("written");
    build(&sandbox, &[]);
    assert!(is_store(&sandbox, "elsewhere/by-file"));
    sandbox.set("IDPBUILDER_STORE", "by-variable");
    build(&sandbox, &[]);
    assert!(is_store(&sandbox, "here/by-variable"));
    build(&sandbox, &["--store", "by-flag"]);
    assert!(is_store(&sandbox, "here/by-flag"));
    let mode = |path: &str| {
        let metadata = std::fs::metadata(sandbox.path().join(path)).expect("there");
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
    };
    assert_eq!((mode("here/by-flag"), mode("here/by-flag/index.json")), (0o700, 0o600));
}

#[test]
fn a_time_is_the_same_in_a_list_and_in_an_inspection() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--timestamp", "86400"]).success();
    let created = sandbox.run(&["idpbuilder-inspect", "app:v1", "--format", "{{.Created}}"]).success();
    assert_eq!(created, "1970-01-02T00:00:00Z\n");
    assert_eq!(sandbox.run(&["idpbuilder-list", "--format", "{{.Created}}"]).success(), created);
    let since = sandbox.run(&["idpbuilder-list", "--format", "{{.CreatedSince}}"]).success();
    assert!(since.ends_with("ago\n"), "{since}");
    // One layer, one image, one blob: no plural for one.
    let told = sandbox.run(&["idpbuilder-inspect", "app:v1"]).success();
    assert!(told.contains(" in 1 layer\n"), "{told}");
}

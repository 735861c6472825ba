//! Several platforms under one name.

use serde_json::Value;

use crate::sandbox::{RATE, Sandbox};
use crate::server::Server;

/// A sandbox with a context for each of two platforms.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("amd64/arch", "amd64\n");
    sandbox.file("arm64/arch", "arm64\n");
    sandbox
}

fn image(sandbox: &Sandbox, platform: &str, name: &str) {
    let context = platform.rsplit('/').next().expect("an architecture");
    sandbox.run(&["idpbuilder-build", context, "-t", name, "--platform", platform, "-q"]).success();
}

fn manifest(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.run(&["idpbuilder-inspect", name, "--manifest"]).success();
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn an_index_is_made_changed_and_unmade() {
    let sandbox = sandbox();
    image(&sandbox, "linux/amd64", "app:amd64");
    image(&sandbox, "linux/arm64", "app:arm64");
    insta::assert_snapshot!(
        "index_create",
        sandbox.run(&["idpbuilder-index", "create", "app:v1", "app:amd64", "app:arm64"])
    );
    let shown = sandbox.run(&["idpbuilder-inspect", "app:v1"]).success();
    assert!(shown.contains("linux/amd64, linux/arm64"), "{shown}");
    insta::assert_snapshot!("index_rm", sandbox.run(&["idpbuilder-index", "rm", "app:v1", "linux/arm64"]));
    insta::assert_snapshot!("index_add", sandbox.run(&["idpbuilder-index", "add", "app:v1", "app:arm64"]));
    // Another image for the same platform takes its place; the same one changes nothing.
    sandbox.file("arm64/more", "more\n");
    image(&sandbox, "linux/arm64", "app:newer");
    insta::assert_snapshot!(
        "index_replace",
        sandbox.run(&["idpbuilder-index", "add", "app:v1", "app:newer", "app:amd64"])
    );
    // An index in an index is its images.
    sandbox.run(&["idpbuilder-index", "create", "other:v1", "app:v1", "-q"]).success();
    let digest = |name: &str| sandbox.run(&["idpbuilder-inspect", name, "--format", "{{.Digest}}"]).success();
    assert_eq!(digest("other:v1"), digest("app:v1"));
    let arm = digest("app:newer");
    sandbox.run(&["idpbuilder-index", "rm", "app:v1", arm.trim(), "-q"]).success();
}

#[test]
fn a_platform_is_asked_for_and_removed_exactly() {
    let sandbox = sandbox();
    for (number, platform) in ["linux/amd64/v3", "linux/amd64", "linux/arm/v6", "linux/arm64"].iter().enumerate() {
        sandbox.file(&format!("{number}/file"), platform);
        let (context, name) = (number.to_string(), format!("one:{number}"));
        let words = ["idpbuilder-build", &context, "-t", &name, "--platform", platform, "-q"];
        sandbox.run(&words).success();
    }
    let create = ["idpbuilder-index", "create", "-q", "base:v1", "one:0", "one:1", "one:2", "one:3"];
    sandbox.run(&create).success();
    // What is asked for, which image is taken, and what the image on it says.
    for (wanted, taken) in [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/x86_64/v2", "linux/amd64"),
        ("linux/amd64/v4", "linux/amd64/v3"),
        ("linux/arm/v7", "linux/arm/v6"),
        ("linux/arm64/v8", "linux/arm64"),
        ("arm64", "linux/arm64"),
    ] {
        let words = ["idpbuilder-build", "amd64", "-q", "-t", "on:1", "--from", "base:v1", "--platform", wanted];
        sandbox.run(&words).success();
        let shown = |words: &[&str]| {
            let format = ["--format", "{{.Platform}}"];
            sandbox.run(&[&["idpbuilder-inspect"], words, &format].concat()).success().trim().to_owned()
        };
        assert_eq!(shown(&["on:1"]), taken, "{wanted}");
        assert_eq!(shown(&["base:v1", "--platform", wanted]), taken, "{wanted}");
        let words = ["idpbuilder-save", "base:v1", "--platform", wanted, "-q", "-o", "one.tar"];
        sandbox.run(&words).success();
        sandbox.run(&["idpbuilder-load", "-i", "one.tar", "--store", "other", "-q"]).success();
        assert_eq!(shown(&["base:v1", "--store", "other"]), taken, "{wanted}");
    }
    insta::assert_snapshot!("index_rm_exactly", sandbox.run(&["idpbuilder-index", "rm", "base:v1", "linux/amd64"]));
    sandbox.run(&["idpbuilder-index", "rm", "base:v1", "linux/arm"]).failure(4);
    // An image alone is for its own platform.
    insta::assert_snapshot!(
        "save_of_another_platform",
        sandbox.run(&["idpbuilder-save", "one:3", "--platform", "linux/amd64", "-o", "none.tar"])
    );
}

#[test]
fn what_an_index_holds_needs_no_name() {
    let sandbox = sandbox();
    image(&sandbox, "linux/amd64", "app:v1");
    let output = sandbox.run(&["idpbuilder-index", "create", "app:v1", "app:v1"]);
    assert!(!output.stderr.contains("No name is left"), "{output}");
    let _ = output.success();
    // The index itself is held by nothing when another image has its name.
    sandbox.file("amd64/more", "more\n");
    let told = sandbox.run(&["idpbuilder-build", "amd64", "-t", "app:v1", "--platform", "linux/amd64"]);
    assert!(told.stderr.contains("No name is left"), "{told}");
    let _ = told.success();
}

#[test]
fn what_cannot_be_an_index_says_why() {
    let sandbox = sandbox();
    image(&sandbox, "linux/amd64", "app:amd64");
    sandbox.file("amd64/more", "more\n");
    image(&sandbox, "linux/amd64", "app:too");
    sandbox.run(&["idpbuilder-index", "create", "one", "app:amd64", "-q"]).success();
    for (name, words) in [
        ("index_platform_twice", &["create", "app:v1", "app:amd64", "app:too"][..]),
        ("index_not_an_index", &["add", "app:amd64", "app:too"]),
        ("index_nothing_fits", &["rm", "one", "linux/riscv64"]),
        ("index_empty", &["rm", "one", "linux/amd64"]),
        ("index_no_image", &["create", "app:v1", "nothing"]),
        ("index_no_index", &["add", "app:v1", "app:too"]),
    ] {
        insta::assert_snapshot!(name, sandbox.run(&[&["idpbuilder-index"], words].concat()));
    }
}

#[test]
fn a_build_for_several_platforms_is_an_index() {
    let sandbox = sandbox();
    let words = [
        "idpbuilder-build",
        "amd64",
        "-t",
        "app:v1",
        "--platform",
        "linux/amd64,linux/arm64",
        "--context-for",
        "linux/arm64=arm64",
    ];
    let files = ["--iidfile", "id", "--digestfile", "digest", "--metadata-file", "metadata.json"];
    insta::with_settings!({filters => vec![(RATE, "")]}, {
        insta::assert_snapshot!("build_platforms", sandbox.run(&[&words[..], &files].concat()));
    });
    let read = |name: &str| std::fs::read_to_string(sandbox.work().join(name)).expect(name);
    assert_eq!(read("id"), read("digest"));
    insta::assert_snapshot!("build_platforms_metadata", read("metadata.json"));
    let text =
        |platform: &str| sandbox.run(&["idpbuilder-inspect", "app:v1", "--platform", platform, "--config"]).success();
    assert!(text("linux/arm64").contains(r#""architecture":"arm64""#));
    // As if each had been built alone and put together.
    image(&sandbox, "linux/amd64", "app:amd64");
    image(&sandbox, "linux/arm64", "app:arm64");
    let digest = sandbox.run(&["idpbuilder-index", "create", "same:v1", "app:amd64", "app:arm64", "-q"]).success();
    assert_eq!(digest.trim(), read("digest"));
}

#[test]
fn each_platform_gets_the_base_of_its_platform_and_all_of_it_travels() {
    let sandbox = sandbox();
    let both = ["--platform", "linux/amd64,linux/arm64", "--plain-http", "-q"];
    let server = Server::start(&sandbox, &[]);
    let base = format!("{}/team/base:v1", server.address);
    let words = ["idpbuilder-build", "amd64", "-t", &base, "--context-for", "linux/arm64=arm64"];
    sandbox.run(&[&words[..], &both].concat()).success();
    sandbox.run(&["idpbuilder-push", &base, "--plain-http", "-q"]).success();
    let bases = manifest(&sandbox, &base);
    sandbox.run(&["idpbuilder-rm", &base, "--prune", "-q"]).success();
    sandbox.file("app/file", "app\n");
    let app = format!("{}/team/app:v1", server.address);
    sandbox.run(&[&["idpbuilder-build", "app", "-t", &app, "--from", &base][..], &both].concat()).success();
    for (place, platform) in ["linux/amd64", "linux/arm64"].iter().enumerate() {
        let words = ["idpbuilder-inspect", &app, "--platform", platform, "--manifest"];
        let image: Value = serde_json::from_str(&sandbox.run(&words).success()).expect("JSON");
        let expected = &bases["manifests"][place]["digest"];
        assert_eq!(&image["annotations"]["org.opencontainers.image.base.digest"], expected, "{platform}");
    }
    // The first pulled image keeps the name, and the other platform's is asked for again.
    let kept = sandbox.run(&["idpbuilder-inspect", &base, "--format", "{{.Digest}}"]).success();
    assert_eq!(bases["manifests"][0]["digest"], kept.trim());
    let words = ["idpbuilder-build", "app", "-t", "arm:v1", "--from", &base, "--platform", "linux/arm64", "-q"];
    sandbox.run(&[&words[..], &["--plain-http"]].concat()).success();
    assert_eq!(sandbox.run(&["idpbuilder-inspect", &base, "--format", "{{.Digest}}"]).success(), kept);
    let pushed = sandbox.run(&["idpbuilder-push", &app, "--plain-http", "-q"]).success();
    let pull = ["idpbuilder-pull", pushed.trim(), "--plain-http", "--all-platforms", "-q", "--store", "pulled"];
    assert_eq!(sandbox.run(&pull).success(), pushed);
    for format in ["docker-archive", "oci-archive"] {
        let words = ["idpbuilder-save", &app, "-o", "saved.tar", "--format", format, "-q", "--platform", "linux/arm64"];
        sandbox.run(&words).success();
    }
}

#[test]
fn platforms_and_contexts_have_to_fit() {
    let sandbox = sandbox();
    let build = |flags: &[&str]| sandbox.run(&[&["idpbuilder-build", "amd64", "-t", "app:v1"], flags].concat());
    let both = ["--platform", "linux/amd64,linux/arm64", "--context-for"];
    insta::assert_snapshot!("context_for_another", build(&[&both[..], &["linux/riscv64=arm64"]].concat()));
    insta::assert_snapshot!("context_for_nothing", build(&[&both[..], &["arm64"]].concat()));
    insta::assert_snapshot!("platforms_twice", build(&["--platform", "linux/arm64/v8,linux/arm64"]));
    insta::assert_snapshot!("platforms_with_a_gap", build(&["--platform", "linux/amd64,,linux/arm64"]));
    insta::with_settings!({filters => vec![(RATE, "")]}, {
        insta::assert_snapshot!("context_for_missing", build(&[&both[..], &["linux/arm64=nowhere"]].concat()));
    });
    assert_eq!(sandbox.run(&["idpbuilder-list", "-q"]).success(), "", "nothing is named unless all of it was built");
}

#[test]
fn every_image_of_an_index_gets_the_base_of_its_platform() {
    let sandbox = sandbox();
    let both = ["--platform", "linux/amd64,linux/arm64", "-q"];
    let build = |words: &[&str]| sandbox.run(&[&["idpbuilder-build"], words, &both].concat()).success();
    build(&["amd64", "-t", "base:v1", "--context-for", "linux/arm64=arm64"]);
    sandbox.file("amd64/more", "more\n");
    build(&["amd64", "-t", "base:v2", "--context-for", "linux/arm64=arm64"]);
    sandbox.file("app/file", "app\n");
    build(&["app", "-t", "app:v1", "--from", "base:v1", "-e", "A=1"]);
    insta::assert_snapshot!(
        "rebased_index",
        sandbox.run(&["idpbuilder-build", "--rebase", "base:v2", "app:v1", "-t", "app:v2"])
    );
    let digest = |name: &str| manifest(&sandbox, name)["manifests"].clone();
    let rebased = digest("app:v2");
    build(&["app", "-t", "app:there", "--from", "base:v2", "-e", "A=1"]);
    assert_eq!(digest("app:there"), rebased);
    let words =
        ["idpbuilder-build", "--rebase", "base:v2", "app:v1", "-t", "app:arm", "--platform", "linux/arm64", "-q"];
    sandbox.run(&words).success();
    let only = sandbox.run(&["idpbuilder-inspect", "app:arm", "--format", "{{.Digest}}"]).success();
    assert_eq!(rebased[1]["digest"], only.trim());
}

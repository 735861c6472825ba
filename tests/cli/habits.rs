//! What people type who know another builder, or nothing yet.

use crate::sandbox::{Output, Sandbox};

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";

/// A home directory with what must not go into an image.
fn home(sandbox: &Sandbox, directory: &str) {
    for (path, content) in [
        (".ssh/id_ed25519", KEY),
        (".ssh/id_ed25519.pub", "ssh-ed25519 AAAA"),
        (".aws/credentials", "[default]\naws_secret_access_key = x\n"),
        (".env", "PASSWORD=x\n"),
        (".env.example", "PASSWORD=\n"),
        ("tls/server.key", KEY),
        ("tls/ca.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("index.html", "<p>"),
    ] {
        sandbox.file(&format!("{directory}/{path}"), content);
    }
}

fn build(sandbox: &Sandbox, words: &[&str]) -> Output {
    sandbox.run(&[&["idpbuilder-build", "--platform", "linux/amd64", "-t", "app:v1", "-q"], words].concat())
}

#[test]
fn a_dockerfile_is_not_ignored_in_silence() {
    let sandbox = Sandbox::new();
    sandbox.file("app/Dockerfile", "FROM alpine\nCMD [\"sh\"]\n");
    insta::assert_snapshot!("dockerfile", sandbox.run(&["idpbuilder-build", "-t", "f:1", "app"]));
    for (number, name) in ["Dockerfile", "dockerfile", "Containerfile"].into_iter().enumerate() {
        let directory = format!("app{number}");
        sandbox.file(&format!("{directory}/{name}"), "FROM alpine\n");
        sandbox.file(&format!("{directory}/.dockerignore"), name);
        let refused = build(&sandbox, &[&directory]);
        assert_eq!(refused.code, Some(64), "{refused}");
        assert!(refused.stderr.contains(&format!("`{directory}/{name}`")), "{refused}");
        let refused = build(&sandbox, &["--context-for", &format!("linux/amd64={directory}")]);
        assert_eq!(refused.code, Some(64), "{refused}");
        build(&sandbox, &[&directory, "--no-dockerfile"]).success();
        // A further source is no context, as for Docker's COPY.
        build(&sandbox, &["--copy", &directory]).success();
        let listed = sandbox.run(&["idpbuilder-build", &directory, "--list-context"]);
        assert!(listed.stderr.contains(&format!("`{name}` is not built")), "{listed}");
    }
    // A link to a Dockerfile counts, a directory of its name does not.
    sandbox.file("directory/Dockerfile/x", "x");
    build(&sandbox, &["directory"]).success();
    std::fs::create_dir(sandbox.work().join("link")).expect("a directory");
    std::os::unix::fs::symlink("../app/Dockerfile", sandbox.work().join("link/Dockerfile")).expect("a link");
    assert_eq!(build(&sandbox, &["link"]).code, Some(64));
    // A stream is a context too, and so is one that a base is below.
    let tar = sandbox.shell("tar -C app -c .").output().expect("tar runs").stdout;
    let words = ["idpbuilder-build", "-", "-t", "app:v2"];
    insta::assert_snapshot!("dockerfile_piped", sandbox.run_with_input(&words, &tar));
    sandbox.run_with_input(&[&words[..], &["--no-dockerfile"]].concat(), &tar).success();
    let on_base = build(&sandbox, &["app", "--from", "app:v2"]);
    assert_eq!(on_base.code, Some(64), "{on_base}");
    build(&sandbox, &["app", "--from", "app:v2", "--no-dockerfile"]).success();
}

#[test]
fn a_dockerfile_in_the_place_of_an_archive_or_a_directory_is_named_as_what_it_is() {
    let sandbox = Sandbox::new();
    let dockerfile = "# a comment\n\nfrom alpine\nRUN true\n";
    sandbox.file("prod.Dockerfile", dockerfile);
    sandbox.file("notes.txt", "some notes\n");
    std::os::unix::fs::symlink("prod.Dockerfile", sandbox.work().join("link")).expect("a link");
    let piped = ["idpbuilder-build", "-t", "app", "-"];
    insta::assert_snapshot!("dockerfile_as_archive", sandbox.run_with_input(&piped, dockerfile.as_bytes()));
    let words = |words: &[&'static str]| [&["idpbuilder-build", "-t", "app"], words].concat();
    for (words, input, code) in [
        (words(&["--add-tar", "-"]), dockerfile, 64),
        (words(&["-", "--no-dockerfile"]), dockerfile, 64),
        (words(&["--add-tar", "prod.Dockerfile:/srv"]), "", 64),
        (words(&["prod.Dockerfile"]), "", 64),
        (words(&["link", "--list-context"]), "", 64),
        (words(&["-"]), "# syntax=docker/dockerfile:1\n", 64),
        (words(&["-"]), "some notes\n", 4),
        (words(&["-"]), "", 4),
        (words(&["notes.txt"]), "", 4),
        (words(&["--copy", "prod.Dockerfile"]), "", 0),
    ] {
        let run = sandbox.run_with_input(&words, input.as_bytes());
        assert_eq!(run.code, Some(code), "{words:?}: {run}");
        assert_eq!(run.stderr.contains("reads like a Dockerfile"), code == 64, "{words:?}: {run}");
    }
}

#[test]
fn flags_of_other_builders_get_an_answer() {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "x");
    let shown: Vec<String> = [
        &["-f", "Dockerfile.prod", "app"][..],
        &["app", "--build-arg", "A=1"],
        &["app", "--target=prod"],
        &["--secret", "id=x,src=y", "app"],
        &["--ssh", "default", "app"],
        &["--no-cache-filter", "x", "app"],
        &["--load", "app"],
        &["-o", "out", "app"],
    ]
    .iter()
    .map(|words| sandbox.run(&[&["idpbuilder-build", "-t", "app"], *words].concat()).to_string())
    .collect();
    insta::assert_snapshot!("flags_of_docker", shown.join("\n"));
    insta::assert_snapshot!("flag_of_docker_push", sandbox.run(&["idpbuilder-push", "-a", "app"]));
    let address = "https://git.example/app.git";
    insta::assert_snapshot!("context_is_an_address", sandbox.run(&["idpbuilder-build", address, "-t", "app"]));
}

#[test]
fn a_build_needs_to_be_told_what_to_pack() {
    let sandbox = Sandbox::new();
    sandbox.file("file", "x");
    sandbox.file("other/file", "x");
    insta::assert_snapshot!("no_context", sandbox.run(&["idpbuilder-build", "-t", "acc:1", "--push"]));
    for words in [&["--list-context"][..], &["--explain", "file"], &["--from", "scratch"], &["--label", "a=b"]] {
        let refused = sandbox.run(&[&["idpbuilder-build", "-t", "acc:1"], words].concat());
        assert_eq!(refused.code, Some(64), "{refused}");
        assert!(refused.stderr.contains("CONTEXT is missing"), "{refused}");
    }
    let partly = ["--platform", "linux/amd64,linux/arm64", "--context-for", "linux/amd64=other"];
    let refused = sandbox.run(&[&["idpbuilder-build", "-t", "acc:1"], &partly[..]].concat());
    insta::assert_snapshot!("no_context_for_one", refused);
    assert!(sandbox.run(&["idpbuilder-list", "-q"]).success().is_empty(), "nothing was built");
    build(&sandbox, &["."]).success();
    build(&sandbox, &["--copy", "other"]).success();
}

#[test]
fn a_base_alone_gets_another_configuration_and_no_layer() {
    let sandbox = Sandbox::new();
    sandbox.file("site/index.html", "<p>");
    sandbox.file("secret", "x");
    let words = ["idpbuilder-build", "site", "-t", "site:v3", "-q", "--platform", "linux/amd64", "--env", "A=1"];
    sandbox.run(&words).success();
    let words = ["idpbuilder-build", "--from", "site:v3", "--label", "a=b", "-t", "mut:1", "--platform", "linux/amd64"];
    insta::assert_snapshot!("base_alone", sandbox.run(&words));
    let layers = |name: &str| sandbox.run(&["idpbuilder-inspect", name, "--layers"]).success();
    assert_eq!(layers("mut:1"), layers("site:v3"));
    let config = sandbox.run(&["idpbuilder-inspect", "mut:1", "--config"]).success();
    assert!(config.contains("\"a\":\"b\"") && config.contains("\"A=1\""), "{config}");
    // It can be built on, saved and read by others like any image.
    build(&sandbox, &["--from", "mut:1", "site"]).success();
    sandbox.run(&["idpbuilder-save", "mut:1", "-o", "mut.tar", "-q"]).success();
    let flag = ["idpbuilder-build", "--from", "site:v3", "--exclude", "x", "-t", "mut:2"];
    assert_eq!(sandbox.run(&flag).code, Some(64));
}

#[test]
fn files_that_look_like_secrets_are_warned_of_in_every_source() {
    let sandbox = Sandbox::new();
    home(&sandbox, "home");
    let warned = |output: &Output| output.stderr.lines().filter(|line| line.contains("secret")).count();
    let context = build(&sandbox, &["home"]);
    insta::assert_snapshot!("secrets", context.stderr);
    // Layers of an earlier build have the same secrets.
    assert_eq!(build(&sandbox, &["home"]).stderr, context.stderr);
    insta::assert_snapshot!("secrets_copied", build(&sandbox, &["--copy", "home:/root"]).stderr);
    insta::assert_snapshot!("secret_copied_alone", build(&sandbox, &["--copy", "home/.ssh/id_ed25519:/root/k"]).stderr);
    let copied = build(&sandbox, &["--copy", "home/.aws:/root/"]);
    assert!(copied.stderr.contains("1 file that looks like a secret") && copied.code == Some(0), "{copied}");
    let tar = sandbox.shell("tar -C home -c .").output().expect("tar runs").stdout;
    sandbox.file("home.tar", &tar);
    insta::assert_snapshot!("secrets_added", build(&sandbox, &["--add-tar", "home.tar:/root"]).stderr);
    let piped = sandbox.run_with_input(&["idpbuilder-build", "-", "-t", "app:v1", "-q"], &tar);
    insta::assert_snapshot!("secrets_piped", piped.stderr);
    insta::assert_snapshot!("secrets_listed", sandbox.run(&["idpbuilder-build", "home", "--list-context"]));
    // The lines that the warning names leave them out, and nothing else.
    sandbox.file("home/.dockerignore", ".aws/credentials\n.env\n.ssh/id_ed25519\ntls/server.key\n");
    let clean = build(&sandbox, &["home"]);
    assert_eq!((warned(&clean), clean.code), (0, Some(0)), "{clean}");
    let files = sandbox.run(&["idpbuilder-inspect", "app:v1", "--files"]).success();
    assert!(files.contains(".ssh/id_ed25519.pub") && files.contains("tls/ca.pem"), "{files}");
    assert!(!files.contains("server.key"), "{files}");
}

//! The rules that the compiler does not know, held against the sources themselves: which module may
//! use which, who prints, who speaks HTTP, and that nothing is left unfinished.

mod circles;
mod documents;
mod lexer;
mod paths;
mod prose;
mod rules;
mod security;

use std::path::{Path, PathBuf};

use rules::{Levels, complaints};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn levels() -> Levels {
    Levels::parse(&std::fs::read_to_string(root().join("src/lib.rs")).expect("the crate's root"))
}

#[test]
fn every_source_keeps_the_rules() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("bin"), &mut files);
    assert!(files.len() > 20, "only {} sources were found", files.len());
    let levels = levels();
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).expect("below the root").to_str().expect("a name in UTF-8");
        found.extend(complaints(path, &std::fs::read_to_string(&file).expect("a source"), &levels));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let texts = files.iter().filter_map(|file| {
        let path = file.strip_prefix(root()).expect("below the root").to_str().expect("a name in UTF-8").to_owned();
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        (!is_test).then(|| (path, std::fs::read_to_string(file).expect("a source")))
    });
    let found = circles::circles(&texts.collect::<Vec<_>>());
    let lines: Vec<String> = found.iter().map(|members| members.join(" ")).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn every_source_is_short_and_names_the_actor() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).expect("below the root").to_str().expect("a name in UTF-8");
        found.extend(prose::complaints(path, &std::fs::read_to_string(&file).expect("a source")));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_table_names_every_module() {
    let levels = levels();
    let names: Vec<_> = levels.names().collect();
    let crate_root = std::fs::read_to_string(root().join("src/lib.rs")).expect("the crate's root");
    let modules = crate_root.lines().filter_map(|line| line.rsplit_once("mod ")?.1.strip_suffix(';'));
    assert_eq!(names, modules.collect::<Vec<_>>());
}

/// What `source` is told at `path`, without the path.
fn told(path: &str, source: &str) -> Vec<String> {
    let found = complaints(path, source, &levels());
    found.into_iter().map(|line| line.strip_prefix(path).expect("names the file").to_owned()).collect()
}

#[test]
fn arrows_that_point_up_or_sideways_are_seen() {
    let bad = [
        ("src/image/x.rs", "use crate::store::ImageStore;", ":1: `image` may not use `store`"),
        ("src/fs.rs", "use crate::progress::Progress;", ":1: `fs` may not use `progress`"),
        ("src/store/x.rs", "use crate::registry;", ":1: `store` may not use `registry`"),
        ("src/store/x.rs", "use crate::{image::Digest,\n fs, tls::TlsPolicy};", ":1: `store` may not use `tls`"),
        ("src/layer/x.rs", "use crate::credentials::Secret;", ":1: `layer` may not use `credentials`"),
        ("src/registry/mod.rs", "use crate::context::walk;", ":1: `registry` may not use `context`"),
        ("src/tls/x.rs", "\nuse crate::credentials::Secret;", ":2: `tls` may not use `credentials`"),
        ("src/tls/x.rs", "use crate::cluster::discover;", ":1: `tls` may not use `cluster`"),
        ("src/registry/x.rs", "use crate::cluster::discover;", ":1: `registry` may not use `cluster`"),
        ("src/cluster/x.rs", "use crate::context::walk;", ":1: `cluster` may not use `context`"),
        ("src/ops/push.rs", "use crate::ops::pull::pull;", ":1: `ops::push` may not use `ops::pull`"),
        ("src/ops/push.rs", "fn f(ui: &crate::cli::Ui) {}", ":1: `ops` may not use `cli`"),
        ("src/ops/push.rs", "use crate::env::Env;", ":1: `ops` may not use `env`"),
        ("src/ops/push/plan.rs", "use super::super::pull::x;", ":1: `ops::push` may not use `ops::pull`"),
        ("src/ops/push.rs", "use crate::later::x;", ":1: `ops` may not use `later`"),
        ("src/store/blob.rs", "use super::super::registry::x;", ":1: `store` may not use `registry`"),
        ("src/store/mod.rs", "use super::{fs, layer};", ":1: `store` may not use `layer`"),
        ("src/store/blob.rs", "mod t { use super::super::super::ops; }", ":1: `store` may not use `ops`"),
        ("src/store/mod.rs", "use crate::*;", ":1: names the crate as a whole"),
        ("src/store/mod.rs", "use super::{self, fs};", ":1: names the crate as a whole"),
    ];
    for (path, source, complaint) in bad {
        assert_eq!(told(path, source), [complaint], "{path}: {source}");
    }
    let good = [
        ("src/cli/commands/push.rs", "use crate::{env::Env, ops::push, registry::x, image::y, progress::z};"),
        ("src/ops/push.rs", "use crate::{store, registry, layer, tls, credentials, image, fs, progress};"),
        ("src/serve/mod.rs", "use crate::store::ImageStore; use super::store;"),
        ("src/registry/x.rs", "use crate::tls::a; use crate::credentials::b; use super::super::image; use super::y;"),
        ("src/cluster/x.rs", "use crate::tls::a; use crate::credentials::b; use crate::image::c;"),
        ("src/layer/x.rs", "use crate::context::walk; mod tests { use super::super::y; }"),
        ("src/store/x.rs", "// use crate::registry;\nconst X: &str = \"crate::registry::x\"; use crate::store::y;"),
        ("src/lib.rs", "pub use crate::cli::main;"),
    ];
    for (path, source) in good {
        assert_eq!(told(path, source), [""; 0], "{path}: {source}");
    }
}

#[test]
fn arrows_within_the_edge_that_point_up_are_seen() {
    let bad = [
        (
            "src/cli/terminal/x.rs",
            "use crate::cli::failure::Failure;",
            ":1: `cli::terminal` may not use `cli::failure`",
        ),
        ("src/cli/failure/x.rs", "use crate::cli::args::size;", ":1: `cli::failure` may not use `cli::args`"),
        ("src/cli/failure/mod.rs", "use super::render::x;", ":1: `cli::failure` may not use `cli::render`"),
        ("src/cli/args/mod.rs", "use super::render::x;", ":1: `cli::args` may not use `cli::render`"),
        ("src/cli/render/x.rs", "use crate::cli::commands::push;", ":1: `cli::render` may not use `cli::commands`"),
        ("src/app/x.rs", "use crate::cli::terminal::Ui;", ":1: `app` may not use `cli`"),
        ("src/app/x.rs", "use crate::env::Env;", ":1: `app` may not use `env`"),
        ("src/ops/push.rs", "use crate::app::Console;", ":1: `ops` may not use `app`"),
    ];
    for (path, source, complaint) in bad {
        assert_eq!(told(path, source), [complaint], "{path}: {source}");
    }
    let good = [
        ("src/cli/commands/x.rs", "use crate::cli::{args, command, exit, failure, render, terminal}; use super::push;"),
        ("src/cli/args/x.rs", "use crate::cli::{failure, terminal};"),
        ("src/cli/render/x.rs", "use crate::cli::{failure, terminal};"),
        ("src/cli/failure/x.rs", "use crate::cli::{exit, terminal};"),
        ("src/cli/mod.rs", "use crate::cli::{applet, commands};"),
        ("src/app/x.rs", "use crate::{ops, registry, tls, credentials, cluster, image};"),
    ];
    for (path, source) in good {
        assert_eq!(told(path, source), [""; 0], "{path}: {source}");
    }
}

#[test]
fn printing_exiting_and_reading_the_environment_are_seen() {
    let bad = [
        ("fn f() { println!(\"x\"); }", ":1: prints with `println!`"),
        ("fn f() { std::eprint!(\"x\"); }", ":1: prints with `eprint!`"),
        ("use std::env;", ":1: reads the environment"),
        ("use std::{io, env::{self, var}};", ":1: reads the environment"),
        ("fn f() { std::env::var(\"X\"); }", ":1: reads the environment"),
        ("fn f() { std::process::exit(1) }", ":1: ends the process"),
        ("use std::process; fn f() { process::abort() }", ":1: ends the process"),
        ("use std::process::{Command, exit};", ":1: ends the process"),
    ];
    for (source, complaint) in bad {
        assert_eq!(told("src/ops/push.rs", source).first().map(String::as_str), Some(complaint), "{source}");
        assert_eq!(told("src/cli/terminal/mod.rs", source), [""; 0], "the edge may: {source}");
        assert_eq!(told("bin/main.rs", source), [""; 0], "the edge may: {source}");
    }
    assert_eq!(told("src/env.rs", "use std::env;"), [""; 0]);
    for good in ["use std::process::Command;", "fn f(print: bool) { if print != x {} }", "// println!", "env!(\"X\")"] {
        assert_eq!(told("src/ops/push.rs", good), [""; 0], "{good}");
    }
}

#[test]
fn http_libraries_outside_their_files_are_seen() {
    for name in ["hyper", "hyper_util", "hyper_rustls", "http_body_util"] {
        for source in [format!("use {name}::x;"), format!("fn f(x: ::{name}::X) {{}}"), format!("use {{{name}, io}};")]
        {
            let source = source.as_str();
            for path in ["src/ops/push.rs", "src/registry/auth.rs", "src/cli/commands/push.rs", "src/serve/mod.rs"] {
                assert_eq!(told(path, source), [format!(":1: names `{name}`")], "{path}: {source}");
            }
            assert_eq!(told("src/registry/http/mod.rs", source), [""; 0]);
            assert_eq!(told("src/serve/http.rs", source), [""; 0]);
        }
    }
    assert_eq!(told("src/ops/push.rs", "use http::StatusCode;"), [":1: names `http`"]);
    assert_eq!(told("src/registry/auth.rs", "use http::StatusCode; mod http;"), [""; 0]);
}

#[test]
fn unfinished_work_is_seen() {
    for (source, complaint) in [
        ("fn f() { todo!() }", ":1: has a `todo!`"),
        ("fn f() { unimplemented!(\"x\") }", ":1: has a `unimplemented!`"),
        ("fn f() { dbg!(1); }", ":1: has a `dbg!`"),
        ("\n// TODO: later", ":2: has a TODO"),
        ("/// FIXME", ":1: has a FIXME"),
    ] {
        for path in ["src/ops/push.rs", "src/cli/terminal/mod.rs", "bin/main.rs"] {
            assert_eq!(told(path, source), [complaint], "{path}: {source}");
        }
    }
    assert_eq!(told("src/ops/push.rs", "fn todo() { f(todo != 1) } // the todo list"), [""; 0]);
}

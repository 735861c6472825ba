//! Files and programs that a kubeconfig names: nothing of them holds a command up.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::fixture::{SUBDOMAIN, answers, registry, sandbox, write_kubeconfig};
use crate::helper::ask;
use crate::sandbox::{Output, Sandbox};

const CONTEXT: &str = "kind-localdev";
const PUSH: [&str; 4] = ["idpbuilder-push", "app:v1", "--jobs", "1"];

/// Writes a kubeconfig with a changed cluster or user.
fn changed(sandbox: &Sandbox, server: &ApiServer, cluster: &[(&str, Value)], user: Option<Value>) {
    let mut context = server.context(CONTEXT);
    for (field, value) in cluster {
        context.cluster[*field] = value.clone();
    }
    context.cluster.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    if let Some(user) = user {
        context.user = user;
    }
    write_kubeconfig(sandbox, CONTEXT, &[context]);
}

/// Every command that asks a cluster, none of which may wait for ever.
fn every_command(sandbox: &Sandbox) -> Vec<Output> {
    let pull = ["idpbuilder-pull", "app:v1", "--store", "pulled"];
    let mut outputs = vec![sandbox.run(&PUSH), sandbox.run(&pull), sandbox.run(&["idpbuilder-doctor"])];
    outputs.push(ask(sandbox, "get", &format!("{SUBDOMAIN}:8443")));
    outputs
}

#[test]
fn files_that_are_no_files_are_named_by_every_command() {
    let sandbox = sandbox();
    let server = ApiServer::start(answers(&sandbox, "8443", false));
    let pipe = sandbox.work().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let authority = [("certificate-authority-data", Value::Null), ("certificate-authority", json!(pipe))];
    changed(&sandbox, &server, &authority, None);
    for output in every_command(&sandbox) {
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(told.contains("certificate authority of context `kind-localdev`"), "{output}");
        assert!(told.contains("it is a pipe, not a regular file"), "{output}");
        assert_ne!(output.code, Some(0), "{output}");
    }
    for (field, part) in
        [("tokenFile", "token file"), ("client-certificate", "client certificate"), ("client-key", "key of the client")]
    {
        for file in [json!("/dev/zero"), json!(pipe)] {
            changed(&sandbox, &server, &[], Some(json!({ field: file })));
            let output = sandbox.run(&PUSH);
            assert!(output.stderr.contains(&format!("cannot read the {part}")), "{output}");
            let _ = output.failure(1);
        }
    }
    // The kubeconfig itself.
    let kubeconfig = sandbox.home().join(".kube/config");
    std::fs::remove_file(&kubeconfig).expect("removed");
    std::fs::rename(&pipe, &kubeconfig).expect("moved");
    for output in every_command(&sandbox) {
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(told.contains("it is a pipe, not a regular file"), "{output}");
    }
}

#[test]
fn a_token_file_is_shown_to_the_api_server() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let server = ApiServer::start(answers(&sandbox, &port, false));
    // This API server goes by client certificates, here by files of the kubeconfig's directory.
    let context = server.context(CONTEXT);
    let folder = sandbox.home().join(".kube");
    std::fs::create_dir_all(&folder).expect("a directory");
    let file = |name: &str, data: &Value| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.decode(data.as_str().expect("text")).expect("base64");
        std::fs::write(folder.join(name), text).expect("written");
    };
    file("ca.pem", &context.cluster["certificate-authority-data"]);
    file("client.pem", &context.user["client-certificate-data"]);
    file("client.key", &context.user["client-key-data"]);
    std::fs::write(folder.join("token"), "t\n").expect("written");
    let authority = [("certificate-authority-data", Value::Null), ("certificate-authority", json!("ca.pem"))];
    let user = json!({"client-certificate": "client.pem", "client-key": "client.key", "tokenFile": "token"});
    changed(&sandbox, &server, &authority, Some(user));
    let _ = sandbox.run(&PUSH).success();
}

/// Whether a process of that number runs.
fn runs(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[test]
fn a_plugin_that_hangs_is_named_and_ended_with_all_it_started() {
    let sandbox = sandbox();
    let server = ApiServer::start(answers(&sandbox, "8443", false));
    let processes = sandbox.work().join("processes");
    let exec = |script: &str| {
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
            "interactiveMode": "Never"}})
    };
    let hang = format!("sleep 600 & echo $$ $! >> {}; wait", processes.display());
    changed(&sandbox, &server, &[], Some(exec(&hang)));
    let helper = ask(&sandbox, "get", &format!("{SUBDOMAIN}:8443"));
    assert_eq!(helper.code, Some(1), "{helper}");
    let named = "the credential plugin `sh` of context `kind-localdev` gave no credential within";
    for output in [helper, sandbox.run(&PUSH)] {
        assert!(output.stderr.contains(named), "{output}");
    }
    // A signal ends it too.
    let mut command = sandbox.command(&PUSH);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("it runs");
    let begun = Instant::now();
    let written = || std::fs::read_to_string(&processes).unwrap_or_default();
    while written().lines().count() < 3 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    crate::server::send(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().expect("it ended").code(), Some(130));
    let written = written();
    assert_eq!(written.lines().count(), 3, "{written}");
    for process in written.split_whitespace() {
        let begun = Instant::now();
        while runs(process) {
            assert!(begun.elapsed() < Duration::from_secs(20), "process {process} is left");
            std::thread::yield_now();
        }
    }
    changed(&sandbox, &server, &[], Some(exec("exec cat /dev/zero")));
    let endless = sandbox.run(&PUSH);
    assert!(endless.stderr.contains("printed more than 262144 bytes"), "{endless}");
    let _ = endless.failure(2);
}

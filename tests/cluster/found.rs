use serde_json::json;

use crate::api_server::{
    Answers, ApiServer, CERTIFICATE, CREDENTIAL, INGRESS_SERVICE, INGRESSES, LOCALBUILDS, PROVIDERS, forbidden,
    localbuild, secret,
};
use crate::fixture::{HOST, SUBDOMAIN, TOKEN, USER, answers, api, registry, sandbox, snapshot, write_kubeconfig};
use crate::sandbox::{Output, Sandbox};

const PUSH: [&str; 4] = ["idpbuilder-push", "app:v1", "--jobs", "1"];

/// Fails unless the push succeeded and the registry has the image under that name.
#[track_caller]
fn assert_pushed(sandbox: &Sandbox, output: Output, name: &str) {
    let printed = output.success();
    assert!(printed.trim().starts_with(&format!("{name}@sha256:")), "{printed}");
    let repository = name.split_once('/').expect("a registry").1;
    let index = std::fs::read_to_string(sandbox.work().join("served/index.json")).expect("a layout");
    assert!(index.contains(&format!("{repository}:v1")), "{repository} is not in {index}");
}

#[test]
fn build_and_push_need_no_flag() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let api = api(&sandbox, answers(&sandbox, &port, false));
    let output = sandbox.run(&PUSH);
    snapshot("push_without_flags", &output, &[(&port, "[PORT]")]);
    assert_pushed(&sandbox, output, &format!("{SUBDOMAIN}:{port}/giteaadmin/app"));
    let script = "idpbuilder-oci build app -t site:v1 -q --platform linux/amd64 && idpbuilder-oci push site:v1";
    let script = script.replace("idpbuilder-oci", &crate::sandbox::executable().display().to_string());
    let output = sandbox.finish(&["build", "and", "push"], sandbox.shell(&script), b"");
    let last = output.success().lines().last().expect("a line").to_owned();
    assert!(last.starts_with(&format!("{SUBDOMAIN}:{port}/giteaadmin/site@sha256:")), "{last}");

    let asked = |path: &str| api.seen().iter().filter(|seen| *seen == path).count();
    assert_eq!([LOCALBUILDS, CREDENTIAL, CERTIFICATE].map(asked), [2, 2, 2], "each once a command");
    assert!(!api.seen().iter().any(|path| path.contains("ingress-nginx/secrets") || path.contains("argocd")));

    let pulled = sandbox.run(&["idpbuilder-pull", "app:v1", "--store", "pulled", "--jobs", "1"]);
    snapshot("pull_without_flags", &pulled, &[(&port, "[PORT]")]);
    let verbose = sandbox.run(&["idpbuilder-push", "app:v1", "--jobs", "1", "-v"]);
    snapshot("push_verbose", &verbose, &[(&port, "[PORT]")]);
    let quiet = sandbox.run(&["idpbuilder-push", "app:v1", "-q"]);
    let said = format!("Using registry {SUBDOMAIN}:{port} (cluster kind-localdev)\n");
    assert_eq!(quiet.stderr, said, "{quiet}");
}

#[test]
fn owners_are_added_where_there_is_none() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let address = format!("{SUBDOMAIN}:{port}");
    for (destination, repository) in [
        (format!("{address}/app:v1"), "giteaadmin/app"),
        (address.clone(), "giteaadmin/app"),
        ("team/app:v1".to_owned(), "team/app"),
        (format!("{address}/team/sub/app:v1"), "team/sub/app"),
    ] {
        let output = sandbox.run(&["idpbuilder-push", "app:v1", &destination]);
        assert_pushed(&sandbox, output, &format!("{address}/{repository}"));
    }
    let upper = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{address}/giteaAdmin/app:v1")]);
    snapshot("upper_case_owner", &upper, &[(&port, "[PORT]")]);

    // Whoever is given owns what is pushed.
    let hash = bcrypt::hash(crate::fixture::PASSWORD, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("Demo:{hash}\n"));
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let words = ["idpbuilder-push", "app:v1", "-u", "Demo", "--password-stdin"];
    let output = sandbox.run_with_input(&words, crate::fixture::PASSWORD.as_bytes());
    assert_pushed(&sandbox, output, &format!("{SUBDOMAIN}:{port}/demo/app"));
}

#[test]
fn giteas_variables_are_for_the_clusters_registry() {
    let mut sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    sandbox.set("GITEA_USERNAME", USER);
    sandbox.set("GITEA_TOKEN", TOKEN);
    let own = format!("{SUBDOMAIN}:{port}");
    for destination in [own.clone(), own.to_uppercase().replace("LOCALTEST.ME", "localtest.ME")] {
        let output = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{destination}/team/app"), "-v"]);
        let source = "from the environment (GITEA_USERNAME, GITEA_TOKEN)";
        assert!(output.stderr.contains(&format!("credential for {destination} {source}")), "{output}");
        let _ = output.success();
    }
    // A half credential of theirs is no reason to fail elsewhere, and neither is sent there.
    for variable in ["GITEA_TOKEN", "GITEA_USERNAME"] {
        let output = sandbox.run(&["idpbuilder-push", "app:v1", "127.0.0.1:1/team/app", "--retry", "0", "-v"]);
        assert!(output.stderr.contains("is not for 127.0.0.1:1 and is not sent there"), "{output}");
        assert!(output.stderr.contains("no credential for 127.0.0.1:1"), "{output}");
        sandbox.unset(variable);
    }
}

#[test]
fn path_routing_has_one_name_and_a_prefix_that_means_nothing() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, HOST);
    let _api = api(&sandbox, answers(&sandbox, &port, true));
    let name = format!("{HOST}:{port}/giteaadmin/app");
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
    for prefixed in ["gitea/giteaadmin/app:v1", "gitea/app:v1"] {
        let output = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{HOST}:{port}/{prefixed}")]);
        assert_pushed(&sandbox, output, &name);
    }
}

#[test]
fn names_from_outside_are_told_what_deployments_use() {
    let sandbox = sandbox();
    let outside = "gitea.out.localtest.me";
    let (_registry, port) = registry(&sandbox, outside);
    let mut two_names = answers(&sandbox, &port, false);
    let mut build = localbuild(&port, false);
    build["items"][0]["spec"]["buildCustomization"]["ingressHost"] = json!("out.localtest.me");
    two_names.insert(LOCALBUILDS.to_owned(), (200, build));
    let _api = api(&sandbox, two_names);
    let output = sandbox.run(&["idpbuilder-push", "app:v1", &format!("{outside}:{port}/giteaadmin/app:v1")]);
    let inside = format!("Deployments in the cluster pull it as {SUBDOMAIN}:{port}/giteaadmin/app\n");
    assert!(output.stderr.contains(&inside), "{output}");
    assert_pushed(&sandbox, output, &format!("{outside}:{port}/giteaadmin/app"));
}

#[test]
fn the_registry_is_found_without_a_localbuild() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let number: u16 = port.parse().expect("a port");
    let name = format!("{SUBDOMAIN}:{port}/giteaadmin/app");
    let whole = answers(&sandbox, &port, false);

    // Only what every version has: Secrets, Ingresses, the controller's Service.
    let mut older = whole.clone();
    older.remove(LOCALBUILDS);
    let rule = json!({"host": SUBDOMAIN, "http": {"paths": [{"path": "/"}]}});
    older.insert(INGRESSES.to_owned(), (200, json!({"items": [{"spec": {"rules": [rule]}}]})));
    let ports = json!([{"name": "http", "port": 80}, {"name": format!("https-{port}"), "port": number}]);
    older.insert(INGRESS_SERVICE.to_owned(), (200, json!({"spec": {"ports": ports}})));
    let first = api(&sandbox, older.clone());
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
    drop(first);

    // The same where Localbuilds may not be read.
    older.insert(LOCALBUILDS.to_owned(), forbidden());
    let second = api(&sandbox, older);
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
    drop(second);

    // Newer: a provider with its own Secret.
    let mut newer = whole.clone();
    newer.remove(LOCALBUILDS);
    let credential = newer.remove(CREDENTIAL).expect("there");
    newer.insert("/api/v1/namespaces/gitea/secrets/admin".to_owned(), credential);
    let status = json!({"endpoint": format!("https://{SUBDOMAIN}:{port}"),
        "credentialsSecretRef": {"namespace": "gitea", "name": "admin", "key": "token"}});
    newer.insert(PROVIDERS.to_owned(), (200, json!({"items": [{"status": status}]})));
    let third = api(&sandbox, newer);
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
    drop(third);

    // Localbuilds of v0.6 have a status only; the certificate may be in the Localbuild alone.
    let pem = std::fs::read_to_string(sandbox.work().join("ca.pem")).expect("written");
    let mut old = whole;
    let mut build = localbuild(&port, false);
    build["items"][0]["spec"] = json!({"buildCustomization": {"selfSignedCert": pem}});
    old.insert(LOCALBUILDS.to_owned(), (200, build));
    old.remove(CERTIFICATE);
    let _fourth = api(&sandbox, old);
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
}

#[test]
fn the_right_one_of_several_clusters_is_asked() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let name = format!("{SUBDOMAIN}:{port}/giteaadmin/app");
    let ours = ApiServer::start(answers(&sandbox, &port, false));
    let other = ApiServer::start(Answers::new());
    let stranger = ApiServer::start(Answers::new());
    let contexts = [stranger.context("production"), other.context("staging"), ours.context("kind-dev")];

    // The current context is not idpbuilder's; others that are not kind's are left alone.
    write_kubeconfig(&sandbox, "staging", &contexts);
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
    assert_eq!((other.seen().as_slice(), stranger.seen().len()), ([LOCALBUILDS.to_owned()].as_slice(), 0));

    for flags in [["--context", "kind-dev"], ["--cluster-name", "dev"]] {
        let mut words = PUSH.to_vec();
        words.extend(flags);
        assert_pushed(&sandbox, sandbox.run(&words), &name);
    }
    assert_eq!(other.seen().len(), 1, "whoever is named is the only one asked");
    let unknown = sandbox.run(&["idpbuilder-push", "app:v1", "--cluster-name", "none"]);
    snapshot("no_such_context", &unknown, &[]);

    // Two that both serve: the current one, or a question.
    let twin = ApiServer::start(answers(&sandbox, &port, false));
    let contexts = [other.context("staging"), ours.context("kind-dev"), twin.context("kind-old")];
    write_kubeconfig(&sandbox, "kind-old", &contexts);
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
    write_kubeconfig(&sandbox, "staging", &contexts);
    snapshot("several_clusters", &sandbox.run(&PUSH), &[]);
}

#[test]
fn kubeconfigs_come_from_flag_variable_and_home() {
    let mut sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let name = format!("{SUBDOMAIN}:{port}/giteaadmin/app");
    let server = ApiServer::start(answers(&sandbox, &port, false));
    let path = sandbox.file("config", crate::api_server::kubeconfig("x", &[server.context("x")]));
    assert_pushed(&sandbox, sandbox.run(&["idpbuilder-push", "app:v1", "--kubeconfig", "config"]), &name);
    sandbox.set("KUBECONFIG", format!("absent:{}", path.display()));
    // A proxy of the environment is not for a cluster on this machine.
    sandbox.set("HTTPS_PROXY", "http://127.0.0.1:1");
    assert_pushed(&sandbox, sandbox.run(&PUSH), &name);
    let absent = sandbox.run(&["idpbuilder-push", "app:v1", "--kubeconfig", "absent"]);
    snapshot("kubeconfig_absent", &absent, &[]);
}

#[test]
fn credential_plugins_are_run() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let server = ApiServer::start(answers(&sandbox, &port, false));
    let mut context = server.context("kind-localdev");
    let status = json!({"clientCertificateData": decoded(&context.user["client-certificate-data"]),
        "clientKeyData": decoded(&context.user["client-key-data"])});
    let answer = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status});
    let answer = sandbox.file("answer.json", answer.to_string());
    let exec = |command: &str, arguments: &[&str]| {
        json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": arguments,
            "interactiveMode": "IfAvailable"}})
    };
    context.user = exec("cat", &[&answer.display().to_string()]);
    write_kubeconfig(&sandbox, "kind-localdev", &[context.clone()]);
    assert_pushed(&sandbox, sandbox.run(&PUSH), &format!("{SUBDOMAIN}:{port}/giteaadmin/app"));

    context.user = exec("no-such-plugin", &[]);
    write_kubeconfig(&sandbox, "kind-localdev", &[context.clone()]);
    snapshot("plugin_missing", &sandbox.run(&PUSH), &[]);
    context.user = exec("sh", &["-c", &format!("echo {TOKEN}; echo {TOKEN} >&2; exit 3")]);
    write_kubeconfig(&sandbox, "kind-localdev", &[context]);
    snapshot("plugin_fails", &sandbox.run(&PUSH), &[]);
}

fn decoded(value: &serde_json::Value) -> String {
    use base64::Engine as _;
    let text = value.as_str().expect("text");
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).expect("base64")).expect("PEM")
}

#[test]
fn a_cluster_is_no_authority_for_other_registries() {
    let sandbox = sandbox();
    let (_registry, port) = registry(&sandbox, SUBDOMAIN);
    let mut elsewhere = answers(&sandbox, "8443", false);
    elsewhere.insert(CREDENTIAL.to_owned(), (200, secret(&[("username", USER), ("token", TOKEN)])));
    let _api = api(&sandbox, elsewhere);
    let destination = format!("{SUBDOMAIN}:{port}/giteaadmin/app:v1");
    let output = sandbox.run(&["idpbuilder-push", "app:v1", &destination, "-v"]);
    assert!(output.stderr.contains("is not the registry of cluster kind-localdev"), "{output}");
    let untrusted = output.failure(3);
    assert!(untrusted.contains("trust it"), "{untrusted}");
    let output = sandbox.run(&["idpbuilder-push", "app:v1", &destination, "--ca-file", "ca.pem"]);
    assert_eq!(output.code, Some(2), "the cluster's credential is for its own registry: {output}");
}

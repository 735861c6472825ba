//! A cluster of idpbuilder's: registry, API server, kubeconfig, and one image to push.

use serde_json::Value;

use crate::api_server::{
    Answers, ApiServer, CERTIFICATE, CREDENTIAL, Context, LOCALBUILDS, kubeconfig, localbuild, secret,
};
use crate::sandbox::{Output, RATE, SECRETS, Sandbox};
use crate::server::Server;

pub(crate) const PASSWORD: &str = SECRETS[0];
pub(crate) const TOKEN: &str = SECRETS[1];
pub(crate) const USER: &str = "giteaAdmin";
pub(crate) const SUBDOMAIN: &str = "gitea.cnoe.localtest.me";
pub(crate) const HOST: &str = "cnoe.localtest.me";

/// A sandbox with the image `app:v1`.
pub(crate) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("app/file", "content");
    let hash = bcrypt::hash(TOKEN, 4).expect("bcrypt");
    sandbox.file("htpasswd", format!("{USER}:{hash}\n"));
    sandbox.run(&["idpbuilder-build", "app", "-t", "app:v1", "-q", "--platform", "linux/amd64"]).success();
    sandbox
}

/// The embedded registry under that name; answers its port.
pub(crate) fn registry(sandbox: &Sandbox, name: &str) -> (Server, String) {
    let arguments = ["--tls", "--tls-name", name, "--tls-cert-out", "ca.pem", "--htpasswd", "htpasswd"];
    let server = Server::start(sandbox, &arguments);
    let port = server.address.rsplit(':').next().expect("a port").to_owned();
    (server, port)
}

/// What a whole cluster answers.
pub(crate) fn answers(sandbox: &Sandbox, port: &str, path_routing: bool) -> Answers {
    let pem = std::fs::read_to_string(sandbox.work().join("ca.pem"))
        .unwrap_or_else(|_| rcgen::generate_simple_self_signed(vec![SUBDOMAIN.to_owned()]).expect("signed").cert.pem());
    let ok = |path: &str, value: Value| (path.to_owned(), (200, value));
    Answers::from([
        ok(LOCALBUILDS, localbuild(port, path_routing)),
        ok(CREDENTIAL, secret(&[("username", USER), ("password", PASSWORD), ("token", TOKEN)])),
        ok(CERTIFICATE, secret(&[("ca.crt", &pem)])),
    ])
}

/// Writes `~/.kube/config`.
pub(crate) fn write_kubeconfig(sandbox: &Sandbox, current: &str, contexts: &[Context]) {
    let folder = sandbox.home().join(".kube");
    std::fs::create_dir_all(&folder).expect("a directory");
    std::fs::write(folder.join("config"), kubeconfig(current, contexts)).expect("written");
}

/// Starts the API server and points the kubeconfig at it.
pub(crate) fn api(sandbox: &Sandbox, answers: Answers) -> ApiServer {
    let api = ApiServer::start(answers);
    write_kubeconfig(sandbox, "kind-localdev", &[api.context("kind-localdev")]);
    api
}

/// Ports and fingerprints differ from run to run.
pub(crate) fn snapshot(name: &str, output: &Output, replaced: &[(&str, &str)]) {
    let mut filters: Vec<(String, &str)> =
        replaced.iter().map(|(text, name)| (text.replace('.', "\\."), *name)).collect();
    filters.extend([
        (r"fingerprint sha256:[0-9a-f]{64}".to_owned(), "fingerprint [FINGERPRINT]"),
        (r"fingerprint  sha256:[0-9a-f]{64}".to_owned(), "fingerprint  [FINGERPRINT]"),
        (r"    sha256:[0-9a-f]{64}\n".to_owned(), "    [FINGERPRINT]\n"),
        (r"system's roots: \d+ certificates".to_owned(), "system's roots: [COUNT] certificates"),
        (RATE.to_owned(), ""),
        (r"; \d+ requests".to_owned(), "; [N] requests"),
        (r" *\[[0-9a-f]{8}-\d+\] .*\n".to_owned(), ""),
    ]);
    let filters: Vec<(&str, &str)> = filters.iter().map(|(text, name)| (text.as_str(), *name)).collect();
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(name, output) });
}

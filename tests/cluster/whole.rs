//! The whole way: Debian's docker-registry behind a certificate as idpbuilder makes it, and nothing given.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::Value;

use crate::docker_registry::{DockerRegistry, Options};
use crate::fixture::{HOST, SUBDOMAIN, TOKEN, USER, answers, api, sandbox, snapshot};

/// What `idpbuilder create` makes: an authority that names a host and all below it, served as it is.
fn certificate() -> (String, String) {
    let mut params = CertificateParams::new(vec![HOST.to_owned(), format!("*.{HOST}")]).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "cnoe.io");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2999, 1, 1);
    let key = KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
}

#[test]
fn a_cluster_needs_no_flag_no_login_and_no_certificate() {
    let sandbox = sandbox();
    let (pem, key) = certificate();
    sandbox.file("ca.pem", &pem);
    let registry = DockerRegistry::start(&Options { login: Some((USER, TOKEN)), tls: Some((pem, key)) });
    let port = registry.port().to_string();
    let _api = api(&sandbox, answers(&sandbox, &port, false));
    let script = "idpbuilder-oci build app -t app:v1 -q --platform linux/amd64 && idpbuilder-oci push app:v1";
    let script = script.replace("idpbuilder-oci", &crate::sandbox::executable().display().to_string());
    let output = sandbox.finish(&["build", "and", "push"], sandbox.shell(&script), b"");
    let last = output.success().lines().last().expect("a line").to_owned();
    assert!(last.starts_with(&format!("{SUBDOMAIN}:{port}/giteaadmin/app@sha256:")), "{last}");

    // What was printed is what a Deployment can pull.
    let pulled = sandbox.run(&["idpbuilder-pull", &last, "--store", "pulled", "-q"]);
    assert!(last.ends_with(pulled.success().trim().rsplit('@').next().expect("a digest")));

    let doctor = sandbox.run(&["idpbuilder-doctor", "--format", "json"]);
    let lines: Vec<Value> = serde_json::from_slice(&doctor.raw).expect("JSON");
    for line in &lines {
        // It is no Gitea.
        let expected = if line["check"] == "Gitea" { "skip" } else { "ok" };
        assert_eq!(line["status"], expected, "{doctor}");
    }
    assert_eq!((lines.len(), doctor.code, doctor.stderr.as_str()), (13, Some(0), ""), "{doctor}");
    snapshot(
        "whole_trust",
        &sandbox.run(&["idpbuilder-trust", "show", &format!("{SUBDOMAIN}:{port}")]),
        &[(&port, "[PORT]")],
    );
}

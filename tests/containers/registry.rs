//! A registry in a container whose image we built ourselves: pushed to by us and by skopeo, read back
//! by skopeo and by the engine.

use std::process::Command;
use std::sync::Arc;

use idpbuilder_oci::image::{ContainerConfig, Digest, Document, Reference};
use idpbuilder_oci::ops::archive::ArchiveFormat;
use idpbuilder_oci::ops::push::{DEFAULT_JOBS, Destination, PushConfig, PushOutcome, Uploaded, push};
use idpbuilder_oci::progress::{Interrupt, Silent};
use idpbuilder_oci::registry::{BlobHosts, Limits, Proxies, RateLimits, RetryPolicy, Timeouts};
use idpbuilder_oci::tls::{TlsPolicy, TrustSources};
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage};

use super::docker::Loaded;
use super::images::{Sandbox, build, tree, unique};
use super::programs::{run, save_into, text};

const PROGRAM: &str = "/usr/bin/docker-registry";

const CONFIGURATION: &str = "\
version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/registry
  delete:
    enabled: true
http:
  addr: :5000
";

/// Debian's registry, the libraries it names and a configuration, as a directory to build from.
fn image(sandbox: &Sandbox, name: &str) -> Document {
    let context = sandbox.path("registry");
    let put = |path: &str| {
        let to = context.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("created");
        std::fs::copy(path, &to).unwrap_or_else(|error| panic!("{path}: {error}"));
    };
    put(PROGRAM);
    // `name => /path (address)`, or the loader's own path; the kernel's library has none.
    let libraries = text(Command::new("ldd").arg(PROGRAM));
    let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    paths.for_each(put);
    for directory in ["etc", "var/lib/registry"] {
        std::fs::create_dir_all(context.join(directory)).expect("created");
    }
    std::fs::write(context.join("etc/registry.yml"), CONFIGURATION).expect("written");
    let config = ContainerConfig {
        entrypoint: vec![PROGRAM.into(), "serve".into(), "/etc/registry.yml".into()],
        exposed_ports: std::iter::once("5000/tcp".to_owned()).collect(),
        env: vec!["OTEL_TRACES_EXPORTER=none".into()],
        ..ContainerConfig::default()
    };
    build(sandbox, &context, config, &[name])
}

/// A registry that listens, with its address from here.
async fn start(name: &str) -> (ContainerAsync<GenericImage>, String) {
    let (repository, tag) = name.rsplit_once(':').expect("tagged");
    let container = GenericImage::new(repository, tag)
        .with_exposed_port(5000.tcp())
        .with_wait_for(WaitFor::message_on_either_std("listening on"))
        .start()
        .await
        .expect("the registry starts");
    let port = container.get_host_port_ipv4(5000).await.expect("published");
    (container, format!("127.0.0.1:{port}"))
}

async fn pushed(sandbox: &Sandbox, image: &str, destination: &str) -> PushOutcome {
    let config = PushConfig {
        image: image.to_owned(),
        destinations: vec![Destination {
            reference: destination.parse::<Reference>().expect("a reference"),
            policy: TlsPolicy::Plaintext,
            credential: None,
        }],
        elsewhere: TrustSources::default(),
        blob_hosts: BlobHosts::default(),
        jobs: DEFAULT_JOBS,
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        proxies: Proxies::default(),
        retry: RetryPolicy::default(),
        rates: RateLimits::default(),
        state: None,
        verify: true,
        wait: None,
    };
    let mut outcomes = push(config, &sandbox.store, Arc::new(Silent), &Interrupt::default()).await.expect("pushed");
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine; bin/test runs it"]
async fn a_registry_built_here_takes_our_images_and_gives_them_back() {
    let sandbox = Sandbox::new();
    let registry = unique("registry");
    image(&sandbox, &registry);
    let loaded = Loaded(registry.clone());
    save_into(&sandbox.store, &[&registry], ArchiveFormat::Docker, Command::new("docker").arg("load"));
    let (container, address) = start(&registry).await;
    let (_, document) = tree(&sandbox, &["tree"]);

    let destination = format!("{address}/team/tree:v1");
    let first = pushed(&sandbox, "tree", &destination).await;
    assert_eq!(first.digest, document.digest());
    assert!(first.blobs.iter().all(|blob| blob.how == Uploaded::Sent { resumed: 0 }));
    let again = pushed(&sandbox, "tree", &destination).await;
    assert_eq!((again.digest, again.totals().uploaded), (document.digest(), 0));

    // What another program reads there is what we pushed, bit by bit.
    let source = format!("docker://{destination}");
    let raw = run(Command::new("skopeo").args(["inspect", "--tls-verify=false", "--raw", &source]));
    assert_eq!(raw, document.bytes);
    let copy = sandbox.path("copy");
    let target = format!("oci:{}:tree:latest", copy.display());
    run(Command::new("skopeo").args(["--insecure-policy", "copy", "--src-tls-verify=false", &source, &target]));
    for blob in document.manifest().expect("a manifest").blobs() {
        let bytes = std::fs::read(copy.join("blobs/sha256").join(blob.digest.hex())).expect("copied");
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest, blob.size));
    }

    // The engine, which trusts loopback registries, pulls and runs what we pushed.
    let pulled = unique("pulled");
    let local = super::images::busybox(&sandbox, &[&pulled], &["echo", "pulled and run"]);
    let remote = format!("{address}/team/busybox:v1");
    assert_eq!(pushed(&sandbox, &pulled, &remote).await.digest, local.digest());
    let in_engine = Loaded(remote.clone());
    assert_eq!(text(Command::new("docker").args(["run", "--rm", &remote])), "pulled and run");
    container.rm().await.expect("removed");
    drop((in_engine, loaded));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine; bin/test runs it"]
async fn the_store_is_a_source_for_skopeo_in_place() {
    let sandbox = Sandbox::new();
    let registry = unique("registry");
    let document = image(&sandbox, &registry);
    let loaded = Loaded(registry.clone());
    save_into(&sandbox.store, &[&registry], ArchiveFormat::Docker, Command::new("docker").arg("load"));
    let (container, address) = start(&registry).await;
    let source = format!("oci:{}:{registry}", sandbox.store.root().display());
    let target = format!("docker://{address}/registry:v1");
    run(Command::new("skopeo").args(["--insecure-policy", "copy", "--dest-tls-verify=false", &source, &target]));
    let raw = run(Command::new("skopeo").args(["inspect", "--tls-verify=false", "--raw", &target]));
    assert_eq!(Digest::of(&raw), document.digest());
    container.rm().await.expect("removed");
    drop(loaded);
}

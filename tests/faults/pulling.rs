//! Pulls of one large blob that does not come in one piece.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use idpbuilder_oci::image::{Descriptor, Document};
use idpbuilder_oci::ops::pull::{PullConfig, PullError, PullOutcome, pull};
use idpbuilder_oci::ops::push::{Destination, PushConfig, PushError};
use idpbuilder_oci::progress::Interrupt;
use idpbuilder_oci::registry::{BlobHosts, Misdirection, RegistryError, RetryPolicy, Target, Violation};
use idpbuilder_oci::tls::TlsPolicy;

use crate::fixture::{TestStore, Told, pull_config, registry};
use crate::killed::Running;
use crate::lab::profile;
use crate::lab::proxy::{Cut, FaultProxy, Link, Way};
use crate::lab::record::Exchange;
use crate::lab::script::{Answer, Break, Fault, Lie, Nth, On, Op, Rule};
use crate::lab::serve::Setup;
use crate::pushing::{MIB, Pushing, the_login};
use crate::sandbox::Sandbox;

const SIZE: u64 = 3 * MIB;

/// A laboratory that has the image, and an empty store.
struct Pulling {
    from: Pushing,
    store: TestStore,
    told: Arc<Told>,
}

impl Pulling {
    async fn new() -> Self {
        let from = Pushing::of(Setup::of(profile::PLAIN), &[SIZE]);
        from.push().await.expect("pushed");
        Self { from, store: TestStore::new(), told: Arc::default() }
    }

    fn layer(&self) -> Descriptor {
        self.image().manifest().expect("a manifest").layers[0].clone()
    }

    fn image(&self) -> &Document {
        &self.from.image
    }

    /// The `nth` request for the layer meets `fault`.
    fn meets(&self, nth: u32, fault: Fault) {
        let on = On::At(Op::GetBlob, self.layer().digest.to_string());
        self.from.lab.add(Rule { on, nth: Nth::Only(nth), fault });
    }

    fn config(&self) -> PullConfig {
        pull_config(&self.from.name(), "copy:v1")
    }

    async fn pull_with(&self, config: PullConfig) -> Result<PullOutcome, PullError> {
        Box::pin(pull(config, &self.store.store, Arc::clone(&self.told) as _, &Interrupt::default())).await
    }

    async fn pull(&self) -> Result<PullOutcome, PullError> {
        self.pull_with(self.config()).await
    }

    fn lines(&self) -> Vec<String> {
        let retry = |line: &str| match line.split_once(": ") {
            Some((retry, _)) if retry.starts_with("retry") => retry.to_owned(),
            _ => line.to_owned(),
        };
        self.told.lines().iter().map(|line| retry(line)).collect()
    }

    /// The first byte that each request for the layer asked for.
    fn asked(&self) -> Vec<u64> {
        let digest = self.layer().digest.to_string();
        let first = |exchange: &Exchange| {
            let range = exchange.headers.iter().find(|(name, _)| name == "range");
            range.map_or(0, |(_, value)| {
                value.trim_start_matches("bytes=").trim_end_matches('-').parse::<u64>().expect("digits")
            })
        };
        let seen = self.from.lab.seen();
        let of = |exchange: &&Exchange| exchange.op == Op::GetBlob && exchange.target.contains(&digest);
        seen.iter().filter(of).map(first).collect()
    }

    /// Everything is there and right, and nothing is left over.
    #[track_caller]
    fn is_whole(&self) {
        let store = &self.store.store;
        let found = store.resolve("copy:v1").expect("named");
        assert_eq!(found.descriptor.digest, self.image().digest());
        let content = std::fs::read(store.blob_path(self.layer().digest)).expect("stored");
        assert_eq!(Descriptor::of(&self.layer().media_type, &content), self.layer());
        let left = std::fs::read_dir(store.root().join(".tmp")).expect("there").count();
        assert_eq!(left, 0);
        assert_eq!(self.from.lab.registry().playing.lock().expect("unpoisoned").unmet(), []);
    }
}

/// Where a store keeps what it has of a blob.
fn partial(store: &Path, blob: &Descriptor) -> PathBuf {
    store.join(".tmp").join(format!("download-{}", blob.digest.hex()))
}

#[tokio::test]
async fn a_body_that_breaks_again_and_again_goes_on_at_its_byte() {
    let pulling = Pulling::new().await;
    // More often than one retry budget has attempts: progress gives them back. Less than hyper keeps in a buffer would
    // be lost with the connection.
    for nth in 1..=6 {
        pulling.meets(nth, Fault::Truncate(500_000));
    }
    let outcome = pulling.pull().await.expect("pulled");
    pulling.is_whole();
    assert_eq!(pulling.asked(), (0..=6).map(|part| part * 500_000).collect::<Vec<_>>());
    assert_eq!(pulling.lines(), vec!["retry 1 of 5"; 6]);
    assert_eq!(outcome.bytes_downloaded, SIZE + pulling.image().manifest().expect("a manifest").config.size);
}

#[tokio::test]
async fn an_answer_with_everything_is_skipped_to_the_byte() {
    let pulling = Pulling::new().await;
    pulling.meets(1, Fault::Truncate(1_000_000));
    pulling.meets(2, Fault::Lie(Lie::NoRange));
    pulling.pull().await.expect("pulled");
    pulling.is_whole();
    assert_eq!(pulling.asked(), [0, 1_000_000]);
    assert_eq!(pulling.lines(), ["retry 1 of 5"]);
}

#[tokio::test]
async fn a_lie_about_the_range_means_once_more_from_the_first_byte() {
    for lie in [
        Fault::Lie(Lie::Header("Content-Range", "bytes 999999-3145727/3145728".into())),
        Fault::Lie(Lie::Header("Content-Range", "bytes 1000000-3145726/3145728".into())),
        Fault::Lie(Lie::Without("Content-Range")),
        Fault::Refuse(Answer::of(416)),
    ] {
        let pulling = Pulling::new().await;
        pulling.meets(1, Fault::Truncate(1_000_000));
        pulling.meets(2, lie.clone());
        pulling.pull().await.unwrap_or_else(|error| panic!("{lie:?}: {error:?}"));
        pulling.is_whole();
        assert_eq!(pulling.asked(), [0, 1_000_000, 0], "{lie:?}");
        assert_eq!(pulling.lines(), ["retry 1 of 5", "rewind to 0"], "{lie:?}");
    }
}

#[tokio::test]
async fn after_a_lie_no_range_is_asked_for_again() {
    let pulling = Pulling::new().await;
    pulling.meets(1, Fault::Truncate(1_000_000));
    pulling.meets(2, Fault::Lie(Lie::Without("Content-Range")));
    pulling.meets(3, Fault::Truncate(2_000_000));
    pulling.pull().await.expect("pulled");
    pulling.is_whole();
    assert_eq!(pulling.asked(), [0, 1_000_000, 0, 0]);
    assert_eq!(pulling.lines(), ["retry 1 of 5", "rewind to 0", "retry 1 of 5"]);
}

#[tokio::test]
async fn what_failed_goes_on_in_the_next_run() {
    let pulling = Pulling::new().await;
    pulling.meets(1, Fault::Truncate(1_500_000));
    let error = pulling.pull_with(PullConfig { retry: RetryPolicy::NEVER, ..pulling.config() }).await;
    let Err(PullError::Registry { source: RegistryError::Network { .. }, .. }) = error else { panic!("{error:?}") };
    let outcome = pulling.pull().await.expect("pulled");
    pulling.is_whole();
    assert_eq!(pulling.asked(), [0, 1_500_000]);
    assert_eq!(pulling.lines(), ["resume from 1500000"]);
    // The configuration came in the first run or in this one.
    assert!(outcome.bytes_downloaded < SIZE - 1_500_000 + 4096, "{}", outcome.bytes_downloaded);
}

#[tokio::test]
async fn a_damaged_beginning_costs_a_second_download_and_nothing_else() {
    let pulling = Pulling::new().await;
    let partial = partial(pulling.store.store.root(), &pulling.layer());
    // As many bytes as the blob has, fewer, and more.
    for (bytes, asked, lines) in [
        (SIZE, &[0][..], &["resume from 3145728", "rewind to 0"][..]),
        (1000, &[1000, 0], &["resume from 1000", "rewind to 0"]),
        (SIZE + 1, &[0], &[]),
    ] {
        let before = pulling.asked().len();
        let told = pulling.lines().len();
        std::fs::write(&partial, vec![0; usize::try_from(bytes).expect("small")]).expect("written");
        let _ = std::fs::remove_file(pulling.store.store.blob_path(pulling.layer().digest));
        pulling.pull().await.expect("pulled");
        pulling.is_whole();
        assert_eq!(&pulling.asked()[before..], asked, "{bytes}");
        assert_eq!(&pulling.lines()[told..], lines, "{bytes}");
    }
}

#[tokio::test]
async fn a_blob_that_is_wrong_twice_is_refused_and_not_kept() {
    let pulling = Pulling::new().await;
    let digest = pulling.layer().digest;
    {
        let mut state = pulling.from.lab.state();
        let blob = state.blobs.get_mut(&digest).expect("there");
        blob.bytes.as_mut().expect("kept")[2_000_000] ^= 1;
    }
    pulling.meets(1, Fault::Truncate(1_000_000));
    let error = pulling.pull().await.expect_err("damaged");
    let PullError::Registry { source: RegistryError::DigestMismatch { .. }, .. } = error else { panic!("{error:?}") };
    assert_eq!(pulling.asked(), [0, 1_000_000, 0]);
    assert_eq!(pulling.store.store.blob_size(digest).expect("asked"), None);
    assert!(!partial(pulling.store.store.root(), &pulling.layer()).exists());
    assert!(pulling.store.store.resolve("copy:v1").is_err());
}

#[tokio::test]
async fn a_killed_pull_goes_on_in_the_next() {
    let pulling = Pulling::new().await;
    let cuts = vec![Cut { way: Way::ToClient, after: 2 * MIB, how: Break::Stall }];
    let proxy = FaultProxy::start(pulling.from.lab.address(), Link { cuts, ..Link::default() });
    let sandbox = Sandbox::new();
    let command = |host: &str| {
        let name = format!("{host}/team/app:v1");
        sandbox.command(&["idpbuilder-pull", &name, "--plain-http", "-t", "copy:v1"])
    };
    let log = sandbox.work().join("pull.log");
    let stderr = File::create(&log).expect("created");
    let child = command(&proxy.host()).stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs");
    let mut running = Running(child);
    let partial = partial(&sandbox.store(), &pulling.layer());
    let written = || std::fs::metadata(&partial).map_or(0, |metadata| metadata.len());
    running.until(&log, || written() > MIB);
    running.0.kill().expect("it may be killed");
    running.0.wait().expect("a child of ours");
    let left = written();
    let output = sandbox.finish(&["pull"], command(&pulling.from.lab.host()), b"");
    assert!(output.stderr.contains("resumed from"), "{output}");
    let _ = output.success();
    assert_eq!(pulling.asked(), [0, left]);
    assert_eq!(written(), 0);
    let output = sandbox.run(&["idpbuilder-list", "-q"]);
    let _ = output.success();
    let store = idpbuilder_oci::store::ImageStore::open(&sandbox.store()).expect("a store");
    store.tree(&store.resolve("copy:v1").expect("named").descriptor).expect("whole");
}

/// A registry with TLS that keeps its blobs at another one without, and sends whoever pulls there.
async fn stored_elsewhere(setup: Setup) -> (Pulling, Pulling) {
    let storage = Pulling::new().await;
    let setup = setup.tls();
    let from = Pushing::of(setup, &[SIZE]);
    let destinations = from.config().destinations.into_iter();
    let destinations = destinations.map(|to| Destination { policy: TlsPolicy::SkipVerify, ..to }).collect();
    from.push_with(PushConfig { destinations, ..from.config() }).await.expect("pushed");
    let registry = Pulling { from, store: TestStore::new(), told: Arc::default() };
    let digest = registry.layer().digest;
    let location = format!("http://{}/v2/team/app/blobs/{digest}", by_name(&storage));
    for op in [Op::HeadBlob, Op::GetBlob] {
        registry.from.lab.add(Rule {
            on: On::At(op, digest.to_string()),
            nth: Nth::From(1),
            fault: Fault::Refuse(Answer::of(307).with("Location", location.clone())),
        });
    }
    (registry, storage)
}

/// The storage by another host than the registry's: `http` at the registry's own host would be taken for itself.
fn by_name(storage: &Pulling) -> String {
    format!("localhost:{}", storage.from.lab.address().port())
}

#[tokio::test]
async fn blobs_at_a_storage_without_tls_are_fetched_where_that_was_allowed() {
    let (registry, storage) = stored_elsewhere(Setup::of(profile::PLAIN).login(the_login())).await;
    let config = || PullConfig {
        policy: TlsPolicy::SkipVerify,
        credential: registry.from.credential(),
        retry: RetryPolicy::NEVER,
        ..registry.config()
    };
    let before = storage.from.lab.seen().len();
    let error = registry.pull_with(config()).await.expect_err("https leads to plain http");
    let PullError::Registry { source: RegistryError::Protocol { violation, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(violation, Violation::Location(Misdirection::Downgrade(_))), "{violation:?}");
    assert_eq!(storage.from.lab.seen().len(), before, "nothing was sent there");

    // Another host is no permission for this one.
    let hosts = |text: &str| BlobHosts::parse(&[text.to_owned()]).expect("a host");
    let other = PullConfig { blob_hosts: hosts("localhost:1"), ..config() };
    registry.pull_with(other).await.expect_err("not that one");

    let allowed = PullConfig { blob_hosts: hosts(&by_name(&storage)), ..config() };
    let outcome = registry.pull_with(allowed.clone()).await.expect("pulled");
    assert_eq!(outcome.descriptor.digest, registry.image().digest());
    let seen = storage.from.lab.seen();
    assert!(
        seen.len() > before && seen[before..].iter().all(|exchange| exchange.header("authorization").is_none()),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_push_asks_and_reads_back_at_a_storage_that_was_allowed() {
    let hosts = |text: &str| BlobHosts::parse(&[text.to_owned()]).expect("a host");
    for (name, login, verify, wait) in [
        ("a push of what is there", true, false, None),
        ("--verify", true, true, None),
        ("--wait", false, false, Some(std::time::Duration::from_secs(20))),
    ] {
        let setup = Setup::of(profile::PLAIN);
        let (registry, storage) = stored_elsewhere(if login { setup.login(the_login()) } else { setup }).await;
        let destinations = registry.from.config().destinations.into_iter();
        let destinations: Vec<_> = destinations.map(|to| Destination { policy: TlsPolicy::SkipVerify, ..to }).collect();
        let config = || PushConfig {
            destinations: destinations.clone(),
            retry: RetryPolicy::NEVER,
            verify,
            wait,
            ..registry.from.config()
        };
        let before = storage.from.lab.seen().len();
        for blob_hosts in [BlobHosts::default(), hosts("localhost:1")] {
            let error = registry.from.push_with(PushConfig { blob_hosts, ..config() }).await.expect_err(name);
            let PushError::Registry { source: RegistryError::Protocol { violation, .. }, .. } = &error else {
                panic!("{name}: {error:?}")
            };
            assert!(matches!(violation, Violation::Location(Misdirection::Downgrade(_))), "{name}: {violation:?}");
        }
        assert_eq!(storage.from.lab.seen().len(), before, "{name}: nothing was sent there");

        let allowed = PushConfig { blob_hosts: hosts(&by_name(&storage)), ..config() };
        let outcomes = registry.from.push_with(allowed).await.expect(name);
        assert_eq!(outcomes[0].totals().uploaded, 0, "{name}: the storage has it");
        let seen = storage.from.lab.seen();
        assert!(seen.len() > before, "{name}");
        assert!(seen[before..].iter().all(|exchange| exchange.header("authorization").is_none()), "{name}: {seen:?}");
    }
}

#[tokio::test]
async fn a_foreign_layer_is_named_with_where_it_is() {
    let pulling = Pulling::new().await;
    let layer = pulling.layer();
    let mut manifest = pulling.image().manifest().expect("a manifest").clone();
    manifest.layers[0].urls = Some(vec!["https://user:hunter2@foreign.example/layer".to_owned()]);
    let document = Document::from_manifest(manifest);
    let client = registry(&pulling.from.lab.host(), None);
    client.put_manifest("team/app", Target::Tag("foreign"), &document).await.expect("stored");
    let name = format!("{}/team/app:foreign", pulling.from.lab.host());
    pulling.pull_with(pull_config(&name, "kept")).await.expect("a registry may keep it all the same");
    let empty = Pulling { store: TestStore::new(), ..pulling };
    empty.meets(1, Fault::Refuse(Answer::json(404, "BLOB_UNKNOWN")));
    let error = empty.pull_with(pull_config(&name, "foreign")).await.expect_err("not there");
    assert_eq!(
        error.to_string(),
        format!(
            "layer {} of `{name}` is a foreign layer: the registry does not keep it, and leads to \
             [hidden]@foreign.example/layer",
            layer.digest
        )
    );
}

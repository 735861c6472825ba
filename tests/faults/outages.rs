//! A registry that is away for a while: all transfers wait, one line says so, and everything goes on from what the
//! registry acknowledged. The clock is not the machine's: its waits pass at once.

use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use idpbuilder_oci::image::{Descriptor, Digest};
use idpbuilder_oci::registry::{
    Absence, Clock, Limits, Meter, NetworkFault, Registry, RegistryConfig, RegistryError, RetryContext, RetryPolicy,
    Target,
};

use crate::fixture::{TestStore, Told, noise, registry_config, source};
use crate::lab::profile;
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Answer, Break, Fault, Op, Outage};
use crate::lab::serve::{Lab, Setup};
use crate::pushing::{KIB, MIB};

const CHUNK: u64 = 256 * KIB;

/// The steps of an upload in chunks, and which request for that.
const STEPS: [(Op, u32); 7] = [
    (Op::HeadBlob, 1),
    (Op::Open, 1),
    (Op::Patch, 1),
    (Op::Patch, 3),
    (Op::Commit, 1),
    (Op::PutManifest, 1),
    (Op::HeadManifest, 1),
];

/// A clock whose waits pass at once.
#[derive(Debug, Clone)]
struct FakeClock {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl FakeClock {
    fn new() -> Self {
        Self { start: Instant::now(), millis: Arc::default() }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let millis = u64::try_from(time.as_millis()).expect("short").max(1);
        Box::pin(async move {
            self.millis.fetch_add(millis, Ordering::SeqCst);
            tokio::task::yield_now().await;
        })
    }
}

struct Away {
    lab: Lab,
    registry: Registry,
    told: Arc<Told>,
    blobs: Vec<Vec<u8>>,
}

fn policy(away: Option<Duration>) -> RetryPolicy {
    RetryPolicy { delay: Duration::from_millis(1), away, ..RetryPolicy::default() }
}

fn client(host: &str, clock: FakeClock, away: Option<Duration>) -> (Registry, Arc<Told>) {
    let told = Arc::new(Told::default());
    let retry = RetryContext {
        policy: policy(away),
        progress: Arc::clone(&told) as _,
        clock: Arc::new(clock),
        ..RetryContext::default()
    };
    let config = RegistryConfig { limits: Limits::chunks_of(CHUNK), retry, ..registry_config(host, None) };
    (Registry::open(config).expect("an address"), told)
}

impl Away {
    /// A registry that is away for `seconds` from a request on.
    fn new(from: (Op, u32), seconds: u64, fault: Fault, transfers: u64, away: Option<Duration>) -> Self {
        let clock = FakeClock::new();
        let lab = Lab::start(Setup::of(profile::PLAIN));
        lab.state().repository("team/app");
        let outage =
            Outage { from, fault, lasts: seconds * 1000, clock: Arc::clone(&clock.millis), seen: 0, until: None };
        lab.registry().playing.lock().expect("unpoisoned").outage(outage);
        let (registry, told) = client(&lab.host(), clock, away);
        let blobs = (0..transfers).map(|seed| noise(seed + 1, usize::try_from(MIB).expect("small"))).collect();
        Self { lab, registry, told, blobs }
    }

    /// Uploads all blobs at the same time, then a manifest.
    async fn upload(&self) -> Result<(), RegistryError> {
        let uploads = self.blobs.iter().map(|bytes| async {
            let blob = Descriptor::of("application/octet-stream", bytes);
            self.registry.head_blob("team/app", blob.digest).await?;
            self.registry.upload_blob("team/app", &blob, source(bytes.clone()), &Meter::silent()).await
        });
        for uploaded in join_all(uploads).await {
            uploaded?;
        }
        let store = TestStore::new();
        let image = store.image("app", &[]);
        let config = image.manifest().expect("a manifest").config.clone();
        let mut bytes = Vec::new();
        let lease = store.store.lease().expect("a lease");
        std::io::Read::read_to_end(&mut store.store.read_blob(&config).expect("there"), &mut bytes).expect("read");
        drop(lease);
        self.registry.upload_blob("team/app", &config, source(bytes), &Meter::silent()).await?;
        self.registry.put_manifest("team/app", Target::Tag("v1"), &image).await?;
        let head = self.registry.head_manifest("team/app", Target::Tag("v1")).await?.expect("it is there");
        assert_eq!(head.digest, Some(image.digest()));
        Ok(())
    }

    fn lines(&self, what: &str) -> Vec<String> {
        self.told.lines().into_iter().filter(|line| line.starts_with(what)).collect()
    }

    /// Everything is there, one line said that the registry was away, and little was sent twice.
    fn is_whole(&self, what: &str) {
        assert_eq!(self.lines("away").len(), 1, "{what}: {:?}", self.told.lines());
        assert!(self.told.lines().len() <= 1 + self.blobs.len(), "{what}: {:?}", self.told.lines());
        let transfers = self.blobs.len() as u64;
        let sent = blob_bytes(&self.lab.seen());
        assert!(sent <= transfers * (MIB + CHUNK) + 2 * KIB, "{what}: {sent} bytes\n{}", self.lab.lines().join("\n"));
    }
}

fn nginx() -> Fault {
    Fault::Refuse(Answer::nginx(502, "Bad Gateway").with("server", "nginx/1.27.1"))
}

#[tokio::test]
async fn an_outage_at_any_step_is_sat_out() {
    for from in STEPS {
        for (seconds, transfers) in [(1, 1), (1, 3), (45, 1), (45, 3)] {
            let what = format!("{from:?} away for {seconds} s, {transfers} transfers");
            let away = Away::new(from, seconds, nginx(), transfers, None);
            away.registry.ping().await.expect("it answers");
            away.upload().await.unwrap_or_else(|error| panic!("{what}: {error}: {:?}", away.told.lines()));
            away.is_whole(&what);
            assert_eq!(away.lines("away"), ["away for 120 s: 502 from nginx"], "{what}");
        }
    }
}

#[tokio::test]
async fn an_outage_that_is_too_long_ends_all_transfers_with_one_reason() {
    for from in STEPS {
        for transfers in [1, 3] {
            let what = format!("{from:?}, {transfers} transfers");
            let away = Away::new(from, 130, nginx(), transfers, None);
            away.registry.ping().await.expect("it answers");
            let error = away.upload().await.expect_err("it is away");
            let text = "the registry is away (502 from nginx), and did not come back within 2 minutes";
            assert_eq!(error.to_string(), text, "{what}");
            assert_eq!(away.told.lines(), ["away for 120 s: 502 from nginx"], "{what}");
            // It is waited for as long as was asked for.
            let away = Away::new(from, 130, nginx(), transfers, Some(Duration::from_mins(3)));
            away.registry.ping().await.expect("it answers");
            away.upload().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            away.is_whole(&what);
        }
    }
}

#[tokio::test]
async fn whatever_says_so_a_registry_is_away() {
    let refused = |status| Fault::Refuse(Answer::of(status));
    for fault in [refused(503), refused(504), Fault::Cut(0, Break::Reset), Fault::Cut(0, Break::Close)] {
        let away = Away::new((Op::Patch, 2), 45, fault.clone(), 3, None);
        away.registry.ping().await.expect("it answers");
        away.upload().await.unwrap_or_else(|error| panic!("{fault:?}: {error}: {:?}", away.told.lines()));
        away.is_whole(&format!("{fault:?}"));
    }
}

#[tokio::test]
async fn what_one_blob_alone_meets_is_a_retry_of_that_blob() {
    let lab = Lab::start(Setup::of(profile::PLAIN).script([script::times(Op::Patch, 3, nginx())]));
    lab.state().repository("team/app");
    let (registry, told) = client(&lab.host(), FakeClock::new(), None);
    registry.ping().await.expect("it answers");
    let bytes = noise(1, usize::try_from(MIB).expect("small"));
    let blob = Descriptor::of("application/octet-stream", &bytes);
    registry.upload_blob("team/app", &blob, source(bytes), &Meter::silent()).await.expect("taken");
    let retries = told.lines().into_iter().filter(|line| line.starts_with("retry")).count();
    assert_eq!((retries, told.lines().len()), (3, 3), "{:?}", told.lines());
}

#[tokio::test]
async fn at_the_first_contact_a_registry_is_waited_for_when_asked() {
    let blob = Digest::of(b"blob");
    // Nothing listens there.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let (registry, told) = client(&free, FakeClock::new(), None);
    let error = registry.head_blob("team/app", blob).await.expect_err("nothing is there");
    assert!(matches!(error, RegistryError::Network { fault: NetworkFault::Refused, .. }), "{error:?}");
    assert_eq!(told.lines(), Vec::<String>::new());
    let (registry, told) = client(&free, FakeClock::new(), Some(Duration::from_secs(45)));
    let error = registry.head_blob("team/app", blob).await.expect_err("nothing is there");
    let RegistryError::Away { why, waited } = error else { panic!("{error:?}") };
    assert!(matches!(*why, Absence::Network(NetworkFault::Refused)), "{why:?}");
    assert_eq!(waited, Duration::from_secs(45));
    assert_eq!(told.lines(), ["away for 45 s: connection refused"]);
    // Something in front of it answers, and it comes.
    let away = Away::new((Op::HeadBlob, 1), 45, nginx(), 1, Some(Duration::from_mins(1)));
    away.upload().await.expect("it came");
    away.is_whole("the first contact");
    // Not asked for: the attempts are all there is.
    let away = Away::new((Op::HeadBlob, 1), 1000, nginx(), 1, None);
    let error = away.registry.head_blob("team/app", blob).await.expect_err("it is away");
    assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
    assert_eq!((away.lines("retry").len(), away.lines("away").len()), (5, 0), "{:?}", away.told.lines());
}

#[tokio::test]
async fn an_interrupt_ends_the_wait() {
    let away = Away::new((Op::Patch, 1), 100_000, nginx(), 3, Some(Duration::from_hours(20)));
    away.registry.ping().await.expect("it answers");
    let stop = async {
        while away.told.lines().is_empty() {
            tokio::task::yield_now().await;
        }
        away.registry.abandon();
    };
    let (result, ()) = tokio::join!(away.upload(), stop);
    assert!(matches!(result, Err(RegistryError::Interrupted)), "{result:?}");
}

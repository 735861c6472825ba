//! One image on its way to a laboratory.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use idpbuilder_oci::credentials::Credential;
use idpbuilder_oci::image::Document;
use idpbuilder_oci::ops::push::{PartialPush, PushConfig, PushError, PushOutcome, push};
use idpbuilder_oci::progress::{Interrupt, Progress};
use idpbuilder_oci::registry::{Limits, RegistryError};

use crate::fixture::{TestStore, Told, login, noise, push_config};
use crate::lab::access::Login;
use crate::lab::invariants;
use crate::lab::record::Exchange;
use crate::lab::script::{Op, Rule};
use crate::lab::serve::{Lab, Setup};

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;

/// Name and password of the laboratories that ask for them.
pub(crate) const USER: &str = "giteaAdmin";
pub(crate) const PASSWORD: &str = "correct-horse-battery";

pub(crate) fn the_login() -> Login {
    Login::new(USER, PASSWORD)
}

/// A laboratory, a store with `app` in it, and how to push.
pub(crate) struct Pushing {
    pub(crate) lab: Lab,
    pub(crate) local: TestStore,
    pub(crate) image: Document,
    pub(crate) limits: Limits,
    /// Where the client keeps what it learned and how far it got.
    pub(crate) state: tempfile::TempDir,
}

impl Pushing {
    /// An image of layers with so many bytes each.
    pub(crate) fn of(setup: Setup, layers: &[u64]) -> Self {
        let local = TestStore::new();
        let bytes = |(seed, size): (usize, &u64)| noise(seed as u64 + 1, usize::try_from(*size).expect("small"));
        let layers: Vec<Vec<u8>> = layers.iter().enumerate().map(bytes).collect();
        let image = local.image("app", &layers);
        let lab = Lab::start(setup);
        lab.state().repository("team/app");
        let state = tempfile::tempdir().expect("a directory");
        Self { lab, local, image, limits: Limits::default(), state }
    }

    pub(crate) fn in_chunks_of(mut self, bytes: u64) -> Self {
        self.limits = Limits::chunks_of(bytes);
        self
    }

    /// `host/team/app:v1`.
    pub(crate) fn name(&self) -> String {
        format!("{}/team/app:v1", self.lab.host())
    }

    pub(crate) fn config(&self) -> PushConfig {
        self.config_to(&[&self.name()])
    }

    /// For other names.
    pub(crate) fn config_to(&self, names: &[&str]) -> PushConfig {
        let config = push_config("app", names, self.credential().as_ref());
        PushConfig { limits: self.limits, state: Some(self.state.path().to_owned()), ..config }
    }

    pub(crate) fn credential(&self) -> Option<Credential> {
        self.lab.registry().login.as_ref().map(|found| login(&found.user, &found.password))
    }

    pub(crate) async fn push(&self) -> Result<PushOutcome, PushError> {
        self.push_with(self.config()).await.map(|mut outcomes| outcomes.remove(0))
    }

    /// With other settings. On the heap: a push is a large future.
    pub(crate) fn push_with(
        &self,
        config: PushConfig,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<PushOutcome>, PushError>> + '_>> {
        Box::pin(self.local.push(config))
    }

    /// Pushes with other settings; answers also what was told, a line each.
    pub(crate) async fn push_told(&self, config: PushConfig) -> (Result<Vec<PushOutcome>, PushError>, Vec<String>) {
        let told = Arc::new(Told::default());
        let (progress, interrupt) = (Arc::clone(&told) as Arc<dyn Progress>, Interrupt::default());
        let result =
            Box::pin(push(config, &self.local.store, progress, &interrupt)).await.map_err(PartialPush::into_first);
        (result, told.lines())
    }

    /// Sessions that got bytes of a layer, which is more than anybody sends with one POST.
    pub(crate) fn sessions(&self) -> usize {
        let large = self.lab.seen().into_iter().filter(|exchange| exchange.announced() > 128 * KIB);
        large.filter_map(|exchange| exchange.session).collect::<BTreeSet<_>>().len()
    }

    /// Pushes; everything that has to hold afterwards does.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> impl Future<Output = PushOutcome> {
        let caller = std::panic::Location::caller();
        async move {
            let outcome = match self.push().await {
                Ok(outcome) => outcome,
                Err(error) => panic!("{caller}: {error:?}\nseen:\n{}", self.lab.lines().join("\n")),
            };
            invariants::check(&self.lab, "team/app", "v1", &self.image);
            self.met();
            outcome
        }
    }

    /// Pushes, which the registry does not let happen.
    pub(crate) async fn fails(&self) -> RegistryError {
        let error = self.push().await.expect_err("it cannot work");
        let wrong = invariants::discreet(self.lab.registry(), &self.lab.seen());
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(self.lab.state().repository("team/app").tags.len(), 0, "nothing has got the name");
        crate::fixture::registry_error(error)
    }

    /// Every rule of the script has struck.
    pub(crate) fn met(&self) {
        let unmet: Vec<Rule> = self.lab.registry().playing.lock().expect("unpoisoned").unmet();
        assert!(unmet.is_empty(), "never struck: {unmet:?}; seen:\n{}", self.lab.lines().join("\n"));
    }

    /// The exchanges for that.
    pub(crate) fn of_op(&self, op: Op) -> Vec<Exchange> {
        self.lab.seen().into_iter().filter(|exchange| exchange.op == op).collect()
    }

    /// Bytes of all blobs of the image.
    pub(crate) fn size(&self) -> u64 {
        invariants::distinct_bytes(&self.image)
    }
}

//! Builds an image from a directory and pushes it, with the library alone.
//!
//!     cargo run --example push_directory -- ./site registry.example:5000/team/site:v1
//!
//! The registry's certificate must lead to the system's roots. `REGISTRY_USERNAME` and `REGISTRY_PASSWORD` are the login.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use idpbuilder_oci::credentials::{CredentialChain, Environment, RegistryRoles};
use idpbuilder_oci::image::Reference;
use idpbuilder_oci::ops::build::{BuildConfig, build};
use idpbuilder_oci::ops::push::{Destination, PartialPush, PushConfig, push};
use idpbuilder_oci::progress::{Interrupt, Silent};
use idpbuilder_oci::store::ImageStore;
use idpbuilder_oci::tls::{SystemRoots, TlsPolicy, TrustStore};

/// Builds `directory` into `store` and pushes it to `destination`. Returns the name by digest, as one deploys it.
pub(crate) async fn push_directory(
    directory: PathBuf,
    store: &Path,
    destination: Destination,
) -> Result<String, Box<dyn Error>> {
    let store = ImageStore::open(store)?;
    let name = destination.reference.clone();
    let interrupt = Interrupt::default();

    let config = BuildConfig::of_directory(directory, name.clone(), "linux/amd64".parse()?);
    let image = build(&config, &store, &Silent, &interrupt)?;

    let config = PushConfig::new(image.document.descriptor.digest.to_string(), destination);
    let pushed = push(config, &store, Arc::new(Silent), &interrupt).await.map_err(PartialPush::into_first)?;
    Ok(name.pinned(pushed[0].digest))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(name) => println!("{name}"),
        Err(error) => {
            eprintln!("error: {error}");
            for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
                eprintln!("caused by: {cause}");
            }
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Reads the arguments and the login, and pushes.
async fn run() -> Result<String, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, reference] = &arguments[..] else { return Err("usage: push_directory DIRECTORY REFERENCE".into()) };
    let reference: Reference = reference.parse()?;
    let registry = reference.registry().ok_or("the reference names no registry")?.to_owned();

    // Trust: the system's roots, read when the registry's chain needs them.
    let mut trust = TrustStore::empty();
    trust.use_system_roots_at_need(&SystemRoots::new(None, Vec::new()));

    // Credentials: the variables are for the registry that the command writes to.
    let variables = Environment::sources(|name| std::env::var(name).ok());
    let chain = variables.into_iter().fold(CredentialChain::new(), CredentialChain::with);
    let roles = RegistryRoles { destination: true, ..RegistryRoles::default() };
    let found = chain.resolve(&registry, reference.repository(), roles);
    if let Some((source, error)) = found.failure {
        return Err(format!("{source}: {error}").into());
    }

    let store = tempfile::tempdir()?;
    let destination = Destination { reference, policy: TlsPolicy::Verify(trust), credential: found.credential };
    push_directory(directory.into(), &store.path().join("images"), destination).await
}

//! The process's surroundings, as workflows take them.

use std::path::{Path, PathBuf};

use crate::app::Surroundings;
use crate::config::{ConfigInputs, home_of};
use crate::env::Env;
use crate::progress::Interrupt;
use crate::tls::SystemRoots;

/// Returns the surroundings that the environment describes.
pub(crate) fn of(env: &Env) -> Surroundings {
    let absolute = |name: &str| env.os(name).map(|path| env.cwd.join(path));
    Surroundings {
        directory: env.cwd.clone(),
        variables: env.vars.clone(),
        kubeconfigs: env.os("KUBECONFIG").map(|list| {
            let paths = std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty());
            paths.map(|path| env.cwd.join(path)).collect()
        }),
        config: ConfigInputs {
            home: absolute("IDPBUILDER_HOME"),
            user_home: Some(home_of(env.os("HOME"), env.account_home.as_deref(), Path::is_dir)),
            store_flag: None,
            store_variable: absolute("IDPBUILDER_STORE"),
            registry_variable: env.var("IDPBUILDER_REGISTRY").map(str::to_owned),
        },
        system_roots: system_roots(env),
        user: env.uid,
        command: "idpbuilder-oci",
        interrupt: Interrupt::default(),
    }
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's roots; the latter is a list, as OpenSSL has it.
fn system_roots(env: &Env) -> SystemRoots {
    let absolute = |path: PathBuf| env.cwd.join(path);
    let file = env.os("SSL_CERT_FILE").map(PathBuf::from).map(absolute);
    let directories = env.os("SSL_CERT_DIR").map(|list| std::env::split_paths(list).collect::<Vec<_>>());
    let directories = directories.into_iter().flatten().filter(|path| !path.as_os_str().is_empty());
    SystemRoots::new(file, directories.map(absolute).collect())
}

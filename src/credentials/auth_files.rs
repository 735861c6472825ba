//! Where the containers tools (podman, skopeo, buildah) keep credentials.

use std::path::PathBuf;

/// The surroundings that decide where `auth.json` is.
#[derive(Debug, Clone, Default)]
pub struct AuthPlaces {
    /// `XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The user's number, which names the directory for a session that has no `XDG_RUNTIME_DIR`.
    pub user: u32,
}

/// Returns the files in the order in which those tools read them.
pub fn auth_files(places: &AuthPlaces) -> Vec<PathBuf> {
    let session = match &places.runtime {
        Some(runtime) => runtime.join("containers"),
        None => PathBuf::from(format!("/run/containers/{}", places.user)),
    };
    let config = places.config.clone().or_else(|| places.home.as_ref().map(|home| home.join(".config")));
    let kept = config.map(|config| config.join("containers"));
    std::iter::once(session).chain(kept).map(|directory| directory.join("auth.json")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_session_comes_before_what_is_kept() {
        let places = AuthPlaces { home: Some("/home/u".into()), user: 1000, ..AuthPlaces::default() };
        let kept = Path::new("/home/u/.config/containers/auth.json");
        assert_eq!(auth_files(&places), [Path::new("/run/containers/1000/auth.json"), kept]);
        let session = AuthPlaces { runtime: Some("/run/user/1000".into()), ..places.clone() };
        assert_eq!(auth_files(&session), [Path::new("/run/user/1000/containers/auth.json"), kept]);
        let elsewhere = AuthPlaces { config: Some("/c".into()), ..session };
        assert_eq!(auth_files(&elsewhere)[1], Path::new("/c/containers/auth.json"));
        let empty = AuthPlaces::default();
        assert_eq!(auth_files(&empty), [Path::new("/run/containers/0/auth.json")]);
    }
}

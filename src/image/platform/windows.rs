//! Which versions of Windows run containers of which (Microsoft, "Windows container version compatibility").

/// Windows Server 2022: from this build on, a machine runs images of the releases since.
const FIRST_STABLE_BUILD: u16 = 20348;

/// Returns whether a machine with the version `host` runs an image for `image`; a version that is not given fits any.
pub(super) fn runs(host: &str, image: &str) -> bool {
    let (Some(host), false) = (parse(host), image.is_empty()) else { return true };
    let Some(image) = parse(image) else { return false };
    if (host.0, host.1) != (image.0, image.1) {
        return false;
    }
    if host.2 < FIRST_STABLE_BUILD {
        return host.2 == image.2;
    }
    (FIRST_STABLE_BUILD..=host.2).contains(&image.2)
}

/// Major and minor version, and the build.
fn parse(version: &str) -> Option<(u8, u8, u16)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_decides() {
        for (host, image, fits) in [
            ("", "", true),
            ("", "10.0.17763.1", true),
            ("10.0.17763", "", true),
            ("10.0", "10.0.17763", true),
            ("10.0.17763", "10.0.17763.5", true),
            ("10.0.17763.9", "10.0.17763.5", true),
            ("10.0.17763", "10.0.14393", false),
            ("10.0.17763", "10.0.20348", false),
            ("10.0.20348", "10.0.17763", false),
            ("10.0.20348", "10.0.20348.1", true),
            ("10.0.22621", "10.0.20348.1", true),
            ("10.0.26100", "10.0.26100", true),
            ("10.0.20348", "10.0.26100", false),
            ("10.0.20348", "6.1.20348", false),
            ("10.0.20348", "10.0", false),
            ("10.0.70000", "10.0.17763", true),
        ] {
            assert_eq!(runs(host, image), fits, "{host} {image}");
        }
    }
}

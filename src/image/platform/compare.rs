//! Which images a machine can run, and which of them suits it best.

use super::{Platform, windows};

/// Variants with a higher number are only equal to themselves: no processor has them.
const MAX_VERSION: u32 = 999;

/// How many steps 32-bit images are behind the last 64-bit one.
const OTHER_ARCHITECTURE: u32 = 10_000;

impl Platform {
    /// Returns how far an image for `have` is from what this platform asks for: 0 for an exact fit, more for images of
    /// older variants and of the 32-bit architecture that the processor runs as well; none where it does not run.
    pub fn distance(&self, have: &Self) -> Option<u32> {
        let (wanted, have) = (self.normalised(), have.normalised());
        let version = |platform: &Self| platform.os_version.clone().unwrap_or_default();
        if wanted.os != have.os
            || wanted.os == "windows" && !windows::runs(&version(&wanted), &version(&have))
            || !has_features(&wanted, &have)
        {
            return None;
        }
        let variant = |platform: &Self| platform.variant.clone().unwrap_or_default();
        processor_distance((&wanted.architecture, &variant(&wanted)), (&have.architecture, &variant(&have)))
    }

    /// Returns whether an image for `have` runs where this platform is asked for.
    pub fn accepts(&self, have: &Self) -> bool {
        self.distance(have).is_some()
    }

    /// Returns the place of the image that suits this platform best; of several that suit alike, the one with the
    /// most features, then the first.
    pub fn best<'a>(&self, have: impl IntoIterator<Item = &'a Self>) -> Option<usize> {
        let ranked = have.into_iter().enumerate().filter_map(|(place, have)| {
            let features = have.normalised().os_features.map_or(0, |features| features.len());
            Some(((self.distance(have)?, std::cmp::Reverse(features)), place))
        });
        ranked.min().map(|(_, place)| place)
    }

    /// Returns whether both are one platform, however they are written. Where this one names no version or features of
    /// the operating system, `other` may have any.
    pub fn is_same(&self, other: &Self) -> bool {
        let (one, other) = (self.normalised(), other.normalised());
        let fits = |asked: bool, same: bool| !asked || same;
        (&one.os, &one.architecture, &one.variant) == (&other.os, &other.architecture, &other.variant)
            && fits(one.os_version.is_some(), one.os_version == other.os_version)
            && fits(one.os_features.is_some(), one.os_features == other.os_features)
    }
}

/// Returns whether `wanted` has all features that `have` needs.
fn has_features(wanted: &Platform, have: &Platform) -> bool {
    let offered = wanted.os_features.as_deref().unwrap_or_default();
    have.os_features.iter().flatten().all(|feature| offered.contains(feature))
}

type Processor<'a> = (&'a str, &'a str);

/// Compares normalised architectures with their variants.
fn processor_distance(wanted: Processor<'_>, have: Processor<'_>) -> Option<u32> {
    if wanted == have {
        return Some(0);
    }
    match (wanted, have) {
        (("amd64", wanted), ("amd64", have)) => {
            let have = if have.is_empty() { "v1" } else { have };
            older(wanted, have, 1)
        }
        (("amd64", _), ("386", "")) => Some(OTHER_ARCHITECTURE),
        (("arm", wanted), ("arm", have)) => older(wanted, have, 5),
        (("arm64", wanted), ("arm64", have)) => older_arm64(wanted, have),
        (("arm64", wanted), ("arm", have)) => {
            // Processors of any arm64 run programs of arm/v8 and older.
            let is_arm64 = wanted.is_empty() || wanted.starts_with("v8.") || wanted.starts_with("v9.");
            let wanted = if is_arm64 { "v8" } else { wanted };
            let distance = if wanted == have { Some(0) } else { older(wanted, have, 5) };
            distance.map(|distance| OTHER_ARCHITECTURE + distance)
        }
        _ => None,
    }
}

/// Returns how many versions `have` is older, down to the version `first`.
fn older(wanted: &str, have: &str, first: u32) -> Option<u32> {
    let wanted = number(wanted.strip_prefix('v').unwrap_or(wanted))?;
    let have = number(have.strip_prefix('v')?)?;
    (first..wanted).contains(&have).then(|| wanted - have)
}

/// Returns how many versions `have` is older, for `v8`, `v8.1` and so on: `v9.x` has everything of `v8.{x+5}`, as far
/// as there is one (Arm ARM, A2.1).
fn older_arm64(wanted: &str, have: &str) -> Option<u32> {
    const LAST_V8: u32 = 9;
    match (level(wanted)?, level(have)?) {
        ((wanted, minor), (have, older)) if wanted == have => minor.checked_sub(older),
        ((9, minor), (8, older)) => {
            let newest = (minor + 5).min(LAST_V8);
            newest.checked_sub(older).map(|steps| minor + 1 + steps)
        }
        _ => None,
    }
}

/// Returns the two numbers of a normalised arm64 variant.
fn level(variant: &str) -> Option<(u32, u32)> {
    let digits = if variant.is_empty() { "8" } else { variant.strip_prefix('v')? };
    let (major, minor) = digits.split_once('.').unwrap_or((digits, "0"));
    // Two digits are no version that Arm has.
    let known = ["8", "9"].contains(&major) && minor.len() == 1;
    Some((number(major)?, number(minor)?)).filter(|_| known)
}

fn number(digits: &str) -> Option<u32> {
    let is_written = digits == "0" || !digits.starts_with('0');
    let is_number = is_written && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().filter(|number| *number <= MAX_VERSION)
}

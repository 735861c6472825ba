use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::image::PlatformError;

fn platform(text: &str) -> Platform {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A row of `fixtures/platform-parse.jsonl`: what containerd 1.0.0-rc.5 reads on linux/amd64.
#[derive(Deserialize)]
struct Parsed {
    text: String,
    #[serde(default)]
    error: bool,
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    shown: String,
}

fn rows<T: for<'de> Deserialize<'de>>(text: &'static str) -> Vec<T> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn platforms_are_read_as_containerd_reads_them() {
    let rows: Vec<Parsed> = rows(include_str!("../../../fixtures/platform-parse.jsonl"));
    assert_eq!(rows.len(), 238);
    for row in rows {
        let parsed = parse::parse(&row.text, "x86_64");
        assert_eq!(parsed.is_none(), row.error, "{}: {parsed:?}", row.text);
        let Some(parsed) = parsed else { continue };
        let found = (&*parsed.os, &*parsed.architecture, parsed.variant.as_deref().unwrap_or_default());
        assert_eq!(found, (&*row.os, &*row.architecture, &*row.variant), "{}", row.text);
        assert_eq!(parsed.to_string(), row.shown, "{}", row.text);
        assert_eq!(parsed.full().parse(), Ok(parsed), "{} is not read again", row.text);
    }
}

#[test]
fn options_of_an_operating_system_are_read_and_written() {
    let features = |text: &str| text.split(' ').filter(|text| !text.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    for (text, os, version, has, full) in [
        ("windows/amd64", "windows", "", "", "windows/amd64"),
        ("windows()/amd64", "windows", "", "", "windows/amd64"),
        ("windows(10.0.17763)/amd64", "windows", "10.0.17763", "", "windows(10.0.17763)/amd64"),
        ("windows(10.0.17763+win32k)/amd64", "windows", "10.0.17763", "win32k", "windows(10.0.17763+win32k)/amd64"),
        ("linux(+gpu)/amd64", "linux", "", "gpu", "linux(+gpu)/amd64"),
        ("linux(+unsorted+erofs)/arm", "linux", "", "unsorted erofs", "linux(+erofs+unsorted)/arm"),
        ("windows(10%2Bbuild.42)/amd64", "windows", "10+build.42", "", "windows(10%2Bbuild.42)/amd64"),
        ("windows(50%25done)/amd64", "windows", "50%done", "", "windows(50%25done)/amd64"),
        ("MacOS(1)/arm64", "darwin", "1", "", "darwin(1)/arm64"),
    ] {
        let parsed = platform(text);
        assert_eq!((&*parsed.os, parsed.os_version.as_deref().unwrap_or_default()), (os, version), "{text}");
        assert_eq!(parsed.os_features.clone().unwrap_or_default(), features(has), "{text}");
        assert_eq!(parsed.full(), full, "{text}");
        assert_eq!(full.parse::<Platform>().expect(full).full(), full);
    }
    for text in [
        "windows(/amd64",
        "windows)/amd64",
        "windows(1)x/amd64",
        "(1)/amd64",
        "linux(+)/amd64",
        "linux(1++2)/amd64",
        "linux(a b)/amd64",
        "linux(%)/amd64",
        "linux(%2)/amd64",
        "linux(%zz)/amd64",
        "linux(%ff)/amd64",
        "linux(%0a)/amd64",
        "linux.x/amd64",
        "arm64(1)",
        "*",
        "linux/*",
        "/linux/arm",
        "linux/arm/",
        "linux/&arm",
        "",
    ] {
        assert!(text.parse::<Platform>().is_err(), "{text}");
    }
}

#[test]
fn one_part_is_an_operating_system_or_an_architecture() {
    for (text, machine, shown) in [
        ("linux", "x86_64", "linux/amd64"),
        ("linux", "aarch64", "linux/arm64"),
        ("linux", "x86", "linux/386"),
        ("linux", "s390x", "linux/s390x"),
        ("linux", "loongarch64", "linux/loong64"),
        ("macOS", "x86_64", "darwin/amd64"),
        ("windows(10.0.17763)", "x86_64", "windows/amd64"),
        ("armel", "x86_64", "linux/arm/v6"),
        ("Aarch64", "x86_64", "linux/arm64"),
        ("i386", "x86_64", "linux/386"),
        ("ppc64le", "x86_64", "linux/ppc64le"),
    ] {
        assert_eq!(parse::parse(text, machine).expect(text).to_string(), shown, "{text} on {machine}");
    }
}

#[test]
fn every_limit_of_a_platform_holds_to_the_byte() {
    for (length, fits) in [(1, true), (64, true), (65, false)] {
        let word = "x".repeat(length);
        for text in [
            format!("{word}/amd64"),
            format!("linux/{word}"),
            format!("linux/arm/{word}"),
            format!("linux({word})/arm"),
            format!("linux(+{word})/arm"),
        ] {
            assert_eq!(text.parse::<Platform>().is_ok(), fits, "{text}");
        }
    }
    for (count, fits) in [(64, true), (65, false)] {
        assert_eq!(format!("linux({})/arm", "+x".repeat(count)).parse::<Platform>().is_ok(), fits, "{count}");
    }
    for (text, fits) in [("a", false), ("a/b", true), ("a/b/c", true), ("a/b/c/d", false), ("a/b/", false)] {
        assert_eq!(text.parse::<Platform>().is_ok(), fits, "{text}");
    }
    let error: PlatformError = "x".repeat(1000).parse::<Platform>().expect_err("no platform");
    assert!(error.to_string().starts_with(&format!("`{}` is not", "x".repeat(80))), "{error}");
}

/// A row of `fixtures/platform-match.jsonl`: what containerd's `Only` answers.
#[derive(Deserialize)]
struct Matched {
    want: String,
    have: Vec<String>,
    compatible: Vec<bool>,
    best: Option<String>,
}

#[test]
fn images_are_chosen_as_containerd_chooses_them() {
    let rows: Vec<Matched> = rows(include_str!("../../../fixtures/platform-match.jsonl"));
    assert_eq!(rows.len(), 95);
    for row in rows {
        let wanted = platform(&row.want);
        let have: Vec<Platform> = row.have.iter().map(|text| platform(text)).collect();
        let compatible: Vec<bool> = have.iter().map(|have| wanted.accepts(have)).collect();
        assert_eq!(compatible, row.compatible, "{} of {:?}", row.want, row.have);
        let best = wanted.best(&have).map(|place| row.have[place].clone());
        assert_eq!(best, row.best, "{} of {:?}", row.want, row.have);
    }
}

/// What is not in the table: for each platform all that run there, best first.
#[test]
fn the_order_of_what_runs_on_a_platform() {
    let have: Vec<String> = ["amd64", "amd64/v2", "amd64/v3", "amd64/v4", "amd64/v5", "386", "386/v7", "riscv64"]
        .into_iter()
        .map(|architecture| format!("linux/{architecture}"))
        .chain((4..=9).map(|version| format!("linux/arm/v{version}")))
        .chain((0..=10).map(|minor| format!("linux/arm64/v8.{minor}")))
        .chain((0..=4).map(|minor| format!("linux/arm64/v9.{minor}")))
        .chain(["linux/arm64/v10", "linux/arm64/x", "windows/amd64", "darwin/arm64"].map(str::to_owned))
        .collect();
    let order = |wanted: &str| {
        let wanted = platform(wanted);
        let mut found: BTreeMap<u32, &str> = BTreeMap::new();
        for text in &have {
            if let Some(distance) = wanted.distance(&platform(text)) {
                let other = found.insert(distance, text.strip_prefix("linux/").unwrap_or(text));
                assert_eq!(other, None, "{text} is as far from {wanted} as another");
            }
        }
        found.into_values().collect::<Vec<_>>().join(" ")
    };
    let arm = "arm/v8 arm/v7 arm/v6 arm/v5";
    let v8 = |from: usize| {
        (0..=from).rev().map(|minor| format!("arm64/v8.{minor}")).collect::<Vec<_>>().join(" ") + " " + arm
    };
    for (wanted, expected) in [
        ("linux/amd64", "amd64 386".to_owned()),
        ("linux/amd64/v3", "amd64/v3 amd64/v2 amd64 386".to_owned()),
        ("linux/amd64/v4", "amd64/v4 amd64/v3 amd64/v2 amd64 386".to_owned()),
        ("linux/amd64/x", "386".to_owned()),
        ("linux/386", "386".to_owned()),
        ("linux/arm", "arm/v7 arm/v6 arm/v5".to_owned()),
        ("linux/arm/6", "arm/v6 arm/v5".to_owned()),
        ("linux/arm/v4", "arm/v4".to_owned()),
        ("linux/arm64", v8(0)),
        ("linux/arm64/v8.4", v8(4)),
        ("linux/arm64/v9", format!("arm64/v9.0 {}", v8(5)).replace(arm, &format!("arm/v9 {arm}"))),
        ("linux/arm64/v9.1", format!("arm64/v9.1 arm64/v9.0 {}", v8(6))),
        ("linux/arm64/v9.4", format!("arm64/v9.4 arm64/v9.3 arm64/v9.2 arm64/v9.1 arm64/v9.0 {}", v8(9))),
        ("linux/arm64/v8.10", format!("arm64/v8.10 {arm}")),
        ("darwin/arm64", "darwin/arm64".to_owned()),
        ("linux/riscv64", "riscv64".to_owned()),
        ("linux/s390x", String::new()),
    ] {
        assert_eq!(order(wanted), expected, "{wanted}");
    }
    // A number that no processor has is no long way.
    assert_eq!(order("linux/amd64/v99999999999"), "386");
}

#[test]
fn versions_and_features_of_the_operating_system_count() {
    for (wanted, have, fits) in [
        ("windows/amd64", "windows(10.0.17763)/amd64", true),
        ("windows(10.0.17763)/amd64", "windows/amd64", true),
        ("windows(10.0.17763)/amd64", "windows(10.0.17763.5)/amd64", true),
        ("windows(10.0.17763)/amd64", "windows(10.0.20348)/amd64", false),
        ("windows(10.0.22621)/amd64", "windows(10.0.20348)/amd64", true),
        // Only Windows has versions that matter.
        ("linux(1)/amd64", "linux(2)/amd64", true),
        ("linux/amd64", "linux(+gpu)/amd64", false),
        ("linux(+gpu)/amd64", "linux/amd64", true),
        ("linux(+gpu+simd)/amd64", "linux(+simd)/amd64", true),
        ("linux(+gpu)/amd64", "linux(+gpu+simd)/amd64", false),
    ] {
        assert_eq!(platform(wanted).accepts(&platform(have)), fits, "{wanted} {have}");
    }
    let have = ["linux/amd64", "linux(+gpu)/amd64", "linux(+a+gpu)/amd64", "linux(+gpu)/386"].map(platform);
    for (wanted, best) in [("linux/amd64", 0), ("linux(+gpu)/amd64", 1), ("linux(+gpu+a)/amd64/v2", 2)] {
        assert_eq!(platform(wanted).best(&have), Some(best), "{wanted}");
    }
}

#[test]
fn one_platform_is_written_in_several_ways() {
    for (one, other, same) in [
        ("linux/amd64", "linux/amd64/v1", true),
        ("linux/amd64", "linux/amd64/v2", false),
        ("linux/arm", "linux/arm/v7", true),
        ("linux/armhf", "linux/arm", true),
        ("linux/arm/v6", "linux/arm", false),
        ("linux/arm64/v8", "linux/aarch64", true),
        ("linux/amd64", "linux/386", false),
        ("windows/amd64", "windows(10.0.17763)/amd64", true),
        ("windows(10.0.17763)/amd64", "windows/amd64", false),
        ("linux(+a)/amd64", "linux(+b)/amd64", false),
        ("linux(+b+a)/amd64", "linux(+a+b)/amd64", true),
    ] {
        assert_eq!(platform(one).is_same(&platform(other)), same, "{one} {other}");
    }
}

#[test]
fn what_an_image_says_is_shown_by_its_common_name() {
    let shown =
        |os: &str, architecture: &str, variant: Option<&str>| Platform::new(os, architecture, variant).to_string();
    assert_eq!(shown("linux", "arm64", Some("v8")), "linux/arm64");
    assert_eq!(shown("linux", "arm", Some("v7")), "linux/arm/v7");
    assert_eq!(shown("linux", "arm", None), "linux/arm");
    assert_eq!(shown("", "", None), "linux");
    let silent = Platform { os: String::new(), ..Platform::new("linux", "", None) };
    assert_eq!(silent.to_string(), "unknown");
    assert_eq!(platform("linux/arm64/v8").canonical().to_string(), "linux/arm64");
    assert_eq!(Platform::linux("x86").to_string(), "linux/386");
}

proptest! {
    #[test]
    fn parsing_never_panics_and_what_was_read_is_read_again(text in "[a-zA-Z0-9/().+%_ -]{0,40}|.{0,80}") {
        if let Ok(platform) = text.parse::<Platform>() {
            let again = platform.full().parse::<Platform>().map(|platform| platform.normalised());
            prop_assert_eq!(again, Ok(platform.normalised()));
            prop_assert_eq!(platform.distance(&platform.clone().without_features()), Some(0));
        }
    }
}

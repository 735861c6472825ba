use proptest::prelude::*;

use super::*;

fn parts(text: &str) -> (Option<String>, String, Option<String>, bool) {
    let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    (
        reference.registry().map(str::to_owned),
        reference.repository().to_owned(),
        reference.tag().map(str::to_owned),
        reference.digest().is_some(),
    )
}

#[test]
fn grammar() {
    let s = |text: &str| Some(text.to_owned());
    let digest = Digest::of(b"");
    for (text, expected) in [
        ("app", (None, "app".into(), None, false)),
        ("app:v1", (None, "app".into(), s("v1"), false)),
        ("team/app:v1", (None, "team/app".into(), s("v1"), false)),
        ("localhost/app", (s("localhost"), "app".into(), None, false)),
        ("localhost:5000/app:v1", (s("localhost:5000"), "app".into(), s("v1"), false)),
        (
            "gitea.cnoe.localtest.me:8443/giteaadmin/app:V1.2_x",
            (s("gitea.cnoe.localtest.me:8443"), "giteaadmin/app".into(), s("V1.2_x"), false),
        ),
        ("[::1]:5000/app", (s("[::1]:5000"), "app".into(), None, false)),
        ("docker://docker.io/library/app", (s("docker.io"), "library/app".into(), None, false)),
        ("https://reg.example/a/b:c", (s("reg.example"), "a/b".into(), s("c"), false)),
        ("a__b/c.d/e---f", (None, "a__b/c.d/e---f".into(), None, false)),
    ] {
        assert_eq!(parts(text), expected, "{text}");
    }
    assert_eq!(parts(&format!("r.io/app:v1@{digest}")), (s("r.io"), "app".into(), s("v1"), true));
}

#[test]
fn refusals() {
    let error = |text: &str| text.parse::<Reference>().expect_err(text);
    assert_eq!(error(""), ReferenceError::Empty);
    assert_eq!(
        error("giteaAdmin/app:v1"),
        ReferenceError::UpperCase { given: "giteaAdmin/app:v1".into(), lower: "giteaadmin/app:v1".into() }
    );
    for text in ["/app", "app/", "a//b", "-app", "app-", "a___b", "a._b", "app b", "é", "."] {
        assert!(matches!(error(text), ReferenceError::Repository { .. }), "{text}");
    }
    for text in ["app:", "app:-x", "app:a b", &format!("app:{}", "x".repeat(129))] {
        assert!(matches!(error(text), ReferenceError::Tag { .. }), "{text}");
    }
    for text in ["host:port/app", "h.x:0/app", "h.x:99999/app", "[::g]/app", "-a.b/app", "a..b/app", "[::1]x/app"] {
        assert!(matches!(error(text), ReferenceError::Registry { .. }), "{text}");
    }
    assert!(matches!(error("app@sha256:12"), ReferenceError::Digest { .. }));
    assert!(matches!(error(&"a".repeat(256)), ReferenceError::TooLong(256)));
}

#[test]
fn every_limit_of_a_reference_holds_to_the_byte() {
    let parse = |text: String| text.parse::<Reference>();
    let ok = |text: String| parse(text.clone()).unwrap_or_else(|error| panic!("{text}: {error}"));
    // Everything together: 1024 bytes without the scheme.
    let digest = |length: usize| format!("app@{}", "x".repeat(length - 4));
    for scheme in ["", "docker://", "https://"] {
        let long = parse(format!("{scheme}{}", digest(1024)));
        assert!(matches!(long, Err(ReferenceError::Digest { .. })), "{scheme}: {long:?}");
        assert_eq!(parse(format!("{scheme}{}", digest(1025))), Err(ReferenceError::TooLong(1025)));
    }
    // The repository: 255 bytes, however many components it has.
    for (part, count) in [("a", 255), ("a/", 127)] {
        let name = part.repeat(count) + if count == 127 { "a" } else { "" };
        assert_eq!(ok(name.clone()).repository().len(), 255);
        let longer = format!("{name}a");
        assert_eq!(parse(longer.clone()), Err(ReferenceError::TooLong(256)));
        assert_eq!(Reference::from_parts(None, &longer, None), Err(ReferenceError::TooLong(256)));
        assert_eq!(ok("app".into()).with_repository(&longer), Err(ReferenceError::TooLong(256)));
        assert!(ok("app".into()).with_repository(&name).is_ok());
    }
    // The tag: 128 bytes.
    for (length, fits) in [(0, false), (1, true), (128, true), (129, false)] {
        let tag = "t".repeat(length);
        assert_eq!(parse(format!("app:{tag}")).is_ok(), fits, "{length}");
        assert_eq!(Reference::from_parts(None, "app", Some(&tag)).is_ok(), fits, "{length}");
    }
    // The host: 253 bytes in labels of 63.
    let label = |length: usize| "h".repeat(length);
    let host = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
    for (host, fits) in [
        (format!("{}.x", label(63)), true),
        (format!("{}.x", label(64)), false),
        (format!("x.{}", label(64)), false),
        (host(61), true),
        (host(62), false),
    ] {
        assert_eq!(parse(format!("{host}/app")).is_ok(), fits, "{host}");
        assert_eq!(Reference::from_parts(Some(&host), "app", None).is_ok(), fits, "{host}");
        assert_eq!(ok("app".into()).at_registry(&host).is_ok(), fits, "{host}");
    }
    // The port: 1 to 65535.
    for (port, fits) in [("0", false), ("1", true), ("65535", true), ("65536", false), ("", false), ("+1", false)] {
        assert_eq!(parse(format!("h.x:{port}/app")).is_ok(), fits, "{port}");
        assert_eq!(parse(format!("[::1]:{port}/app")).is_ok(), fits, "{port}");
    }
    // What a message repeats: 200 characters.
    assert_eq!([200, 201].map(|length| shown(&"x".repeat(length)).len()), [200, 200]);
}

#[test]
fn messages_never_carry_userinfo() {
    for text in [
        "https://user:hunter2@host.example/App",
        "http://user:hunter2@host.example:5000/a/b:v1",
        "user:hunter2@host/a/b",
        "user@corp:hunter2@host/a/b:v1",
        "user:hunter2@host",
        "user:hunter2@host:5000",
    ] {
        let error = text.parse::<Reference>().expect_err("userinfo");
        assert!(matches!(&error, ReferenceError::UserInfo { rest } if rest.starts_with("host")), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error}");
    }
    assert_eq!(shown("http://user:hunter2@host/App"), "http://[hidden]@host/App");
    assert_eq!(shown("https://hunter2@a b"), "https://[hidden]@a b");
    assert_eq!(shown("docker://app@sha256:x"), "docker://app@sha256:x");
    let pinned = format!("app:v1@{}", Digest::of(b""));
    assert_eq!([shown(&pinned), shown("host:5000/app@x")], [pinned, "host:5000/app@x".to_owned()]);
    for registry in ["user:hunter2@host", "user:hunter2@host:5000"] {
        let error = Reference::from_parts(Some(registry), "x", None).expect_err("userinfo");
        assert!(!format!("{error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn twice_the_reference_is_twice_the_work() {
    for part in ["a", "A", "a/", "A/", "a:", "a@", "@/", "-", "a.", "[", "]", "//", "://", "é", "https://a:b@"] {
        for end in ["", "A", ":", "@sha256:"] {
            // What is too long is shown, too.
            for most in [120 / part.len(), 500 / part.len(), 2000] {
                crate::work::grows_with_size(most, |parts| (part.repeat(parts) + end).parse::<Reference>());
            }
        }
    }
}

#[test]
fn default_tag_only_where_nothing_was_written() {
    let tagged = |text: &str| text.parse::<Reference>().expect(text).with_default_tag().to_string();
    assert_eq!(tagged("app"), "app:latest");
    assert_eq!(tagged("app:v1"), "app:v1");
    let pinned = format!("app@{}", Digest::of(b""));
    assert_eq!(tagged(&pinned), pinned);
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,300}") {
        let _ = text.parse::<Reference>();
    }

    #[test]
    fn display_round_trips(text in "([a-z]{1,8}\\.[a-z]{2}(:[1-9][0-9]{1,3})?/)?[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,2}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,10})?") {
        let reference: Reference = text.parse().expect("the grammar generates references");
        prop_assert_eq!(reference.to_string(), text);
    }
}

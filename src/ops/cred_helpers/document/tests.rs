use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parsed(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault:?}: {text}"))
}

fn with(text: &str, registries: &[&str]) -> String {
    let mut document = parsed(text);
    for registry in registries {
        document.set(registry, "idpbuilder");
    }
    document.as_str().to_owned()
}

#[test]
fn habits_are_kept() {
    for (before, after) in [
        // An unusual layout.
        ("", "{\n\t\"credHelpers\": {\n\t\t\"r:1\": \"idpbuilder\"\n\t}\n}\n"),
        ("\n", "{\n\t\"credHelpers\": {\n\t\t\"r:1\": \"idpbuilder\"\n\t}\n}\n"),
        ("{}", "{\n\t\"credHelpers\": {\n\t\t\"r:1\": \"idpbuilder\"\n\t}\n}"),
        ("{\n}\n", "{\n\t\"credHelpers\": {\n\t\t\"r:1\": \"idpbuilder\"\n\t}\n}\n"),
        // Docker's.
        ("{\n\t\"auths\": {}\n}", "{\n\t\"auths\": {},\n\t\"credHelpers\": {\n\t\t\"r:1\": \"idpbuilder\"\n\t}\n}"),
        // A person's.
        (
            "{\r\n  \"a\" : 1,\r\n  \"b\" : [\"}\", \"\\\"\"]\r\n}\r\n",
            "{\r\n  \"a\" : 1,\r\n  \"b\" : [\"}\", \"\\\"\"],\r\n  \"credHelpers\" : {\r\n    \"r:1\" : \"idpbuilder\"\r\n  }\r\n}\r\n",
        ),
        ("{\"a\":1}", "{\"a\":1,\"credHelpers\":{\"r:1\":\"idpbuilder\"}}"),
        ("{ \"a\": 1, \"b\": 2 }", "{ \"a\": 1, \"b\": 2, \"credHelpers\": { \"r:1\": \"idpbuilder\" } }"),
        ("{\"a\": 1}", "{\"a\": 1, \"credHelpers\": {\"r:1\": \"idpbuilder\"}}"),
        // What is there is added to, or stays.
        (
            "{\n    \"credHelpers\": {\n        \"x\": \"y\"\n    }\n}",
            "{\n    \"credHelpers\": {\n        \"x\": \"y\",\n        \"r:1\": \"idpbuilder\"\n    }\n}",
        ),
        (
            "{\n    \"credHelpers\": {},\n    \"z\": 1\n}",
            "{\n    \"credHelpers\": {\n        \"r:1\": \"idpbuilder\"\n    },\n    \"z\": 1\n}",
        ),
        ("{\"credHelpers\":null}", "{\"credHelpers\":{\"r:1\":\"idpbuilder\"}}"),
        ("{\"credHelpers\":{\"r:1\" : \"other\"}}", "{\"credHelpers\":{\"r:1\" : \"idpbuilder\"}}"),
        (
            "{\"cred\\u0048elpers\":{\"\\u0072:1\":\"idpbuilder\"}}",
            "{\"cred\\u0048elpers\":{\"\\u0072:1\":\"idpbuilder\"}}",
        ),
    ] {
        assert_eq!(with(before, &["r:1"]), after);
        assert_eq!(with(after, &["r:1"]), after, "once more changes nothing");
    }
    let two = with("{\"a\":1}", &["r:1", "s:2"]);
    assert_eq!(two, "{\"a\":1,\"credHelpers\":{\"r:1\":\"idpbuilder\",\"s:2\":\"idpbuilder\"}}");
    let two = with("{}", &["r:1", "s:2"]);
    assert_eq!(two, "{\n\t\"credHelpers\": {\n\t\t\"r:1\": \"idpbuilder\",\n\t\t\"s:2\": \"idpbuilder\"\n\t}\n}");
}

#[test]
fn what_is_taken_away_leaves_no_gap() {
    for (before, gone, after) in [
        (
            "{\"credHelpers\": {\"a\": \"x\", \"b\": \"y\", \"c\": \"z\"}}",
            "a",
            "{\"credHelpers\": {\"b\": \"y\", \"c\": \"z\"}}",
        ),
        (
            "{\"credHelpers\": {\"a\": \"x\", \"b\": \"y\", \"c\": \"z\"}}",
            "b",
            "{\"credHelpers\": {\"a\": \"x\", \"c\": \"z\"}}",
        ),
        ("{\"credHelpers\": {\"a\": \"x\", \"b\": \"y\" }}", "b", "{\"credHelpers\": {\"a\": \"x\" }}"),
        ("{\"credHelpers\": {\"a\": \"x\"}, \"z\": 1}", "a", "{\"z\": 1}"),
        ("{\"z\": 1, \"credHelpers\": {\"a\": \"x\"}}", "a", "{\"z\": 1}"),
        ("{\"credHelpers\": {\"a\": \"x\"}}", "a", "{}"),
        ("{\"credHelpers\": {\"a\": \"x\"}}", "other", "{\"credHelpers\": {\"a\": \"x\"}}"),
        ("", "a", ""),
    ] {
        let mut document = parsed(before);
        document.remove(gone);
        document.remove_empty_helpers();
        assert_eq!(document.as_str(), after, "{before} without {gone}");
    }
}

#[test]
fn entries_are_found() {
    let document = parsed(r#"{"credHelpers":{"a":"idpbuilder","b":"x","c":"idpbuilder","d":""},"auths":{"e":{}}}"#);
    assert_eq!(document.helper("b").as_deref(), Some("x"));
    assert_eq!(document.helper("d").as_deref(), Some(""));
    assert_eq!(document.helper("e"), None);
    assert_eq!(document.registries_of("idpbuilder"), ["a", "c"]);
    for (text, empty, helpers) in [("", true, false), (" {} ", true, false), ("{\"credHelpers\":{}}", false, true)] {
        assert_eq!((parsed(text).is_empty(), parsed(text).has_helpers()), (empty, helpers), "{text}");
    }
}

#[test]
fn mistakes_have_a_place() {
    for (text, mistake, line, column) in [
        (&b"{\n  \"a\": 1,\n}"[..], Mistake::Syntax, 3, 1),
        (b"{\"a\": \"secret", Mistake::Syntax, 1, 13),
        (b"{} {}", Mistake::Syntax, 1, 4),
        (b"\xef\xbb\xbf{}", Mistake::Syntax, 1, 1),
        (b"{\n\"a\": \"\xff\"}", Mistake::Encoding, 2, 7),
        (b"\n []", Mistake::NoObject, 2, 2),
        (b"{\"a\": 1,\n \"credHelpers\": []}", Mistake::NoHelpers, 2, 17),
        (b"{\"credHelpers\": {\"a\": null}}", Mistake::NoName, 1, 23),
        (b"{\"credHelpers\": {\"a\": {\"x\": 1}}}", Mistake::NoName, 1, 23),
        (b"{\"credHelpers\": {\"a\": \"x\", \"a\": \"y\"}}", Mistake::Twice, 1, 28),
        (b"{\"credHelpers\": {},\n\"credHelpers\": {}}", Mistake::Twice, 2, 1),
    ] {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(Document::parse(text), Err(Fault { mistake, line, column }), "{shown}");
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let after = with(&format!("{{\"a\":{deep}}}"), &["r:1"]);
    assert_eq!(after, format!("{{\"a\":{deep},\"credHelpers\":{{\"r:1\":\"idpbuilder\"}}}}"), "depth is no matter");
}

#[test]
fn what_is_shown_has_no_secret() {
    let shown =
        format!("{:?}", parsed("{\"auths\": {\"r\": {\"auth\": \"hunter2\"}}, \"credHelpers\": {\"r:1\": \"x\"}}"));
    assert!(shown.contains("r:1") && !shown.contains("hunter2"), "{shown}");
    let text = "{\n\t\"auths\": {\"r\\\":\": {\"auth\": \"c2VjcmV0\", \"x\": [\"s\\\"\", 5, \"\"]}},\n\t\"HttpHeaders\" : \
                {\"Authorization\":\t\"Bearer t\"},\n\t\"credHelpers\": {\"a\": \"ecr-login\"}, \"credsStore\": \"d\"\n}";
    assert_eq!(
        parsed(text).redacted(),
        "{\n\t\"auths\": {\"r\\\":\": {\"auth\": \"[hidden]\", \"x\": [\"[hidden]\", 5, \"\"]}},\n\t\"HttpHeaders\" : \
         {\"Authorization\":\t\"[hidden]\"},\n\t\"credHelpers\": {\"a\": \"ecr-login\"}, \"credsStore\": \"[hidden]\"\n}"
    );
}

/// White space of any kind.
fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

/// Arbitrary JSON with blanks everywhere.
fn written(value: &Value, gaps: &mut impl Iterator<Item = String>) -> String {
    let mut gap = || gaps.next().unwrap_or_default();
    let (before, after) = (gap(), gap());
    let inside = match value {
        Value::Object(members) if !members.is_empty() => {
            let mut parts = Vec::new();
            for (name, value) in members {
                let (before, after) = (gaps.next().unwrap_or_default(), gaps.next().unwrap_or_default());
                parts.push(format!("{before}{}{after}:{}", Value::from(name.as_str()), written(value, gaps)));
            }
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) if !items.is_empty() => {
            let parts: Vec<String> = items.iter().map(|item| written(item, gaps)).collect();
            format!("[{}]", parts.join(","))
        }
        other => other.to_string(),
    };
    format!("{before}{inside}{after}")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        "[\"\\\\{}\\[\\]:,]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A document of Docker's form: any members, and maybe helpers.
fn configuration() -> impl Strategy<Value = Value> {
    let helpers = prop::option::of(prop::collection::btree_map("[a-z.]{1,4}(:[0-9]{1,2})?", "[a-z]{0,4}", 0..4));
    (prop::collection::btree_map("\\PC{0,6}", value(), 0..4), helpers).prop_map(|(members, helpers)| {
        let mut members: serde_json::Map<String, Value> = members.into_iter().collect();
        if let Some(helpers) = helpers {
            members.insert(HELPERS.to_owned(), json!(helpers));
        }
        Value::Object(members)
    })
}

proptest! {
    #[test]
    fn reading_never_panics(bytes: Vec<u8>, text in "[ \\n{}\\[\\]\",:\\\\a-e0-9-]{0,60}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            if let Ok(document) = Document::parse(bytes) {
                let _ = document.redacted();
            }
        }
    }

    #[test]
    fn a_change_changes_that_and_nothing_else(
        value in configuration(),
        gaps in prop::collection::vec(space(), 0..60),
        registries in prop::collection::vec("[a-z.]{1,4}:[0-9]", 1..4),
    ) {
        let text = written(&value, &mut gaps.into_iter());
        let before = Document::parse(text.as_bytes()).expect("JSON");
        let mut document = before.clone();
        let mut expected = value.clone();
        for registry in &registries {
            document.set(registry, "idpbuilder");
            expected[HELPERS][registry] = json!("idpbuilder");
        }
        let after: Value = serde_json::from_str(document.as_str()).expect("still JSON");
        prop_assert_eq!(&after, &expected);
        prop_assert_eq!(Document::parse(document.as_str().as_bytes()), Ok(document.clone()));
        // Everything of the text is still there, around one place.
        let had = before.registries_of("idpbuilder");
        let fresh = registries.iter().all(|registry| before.helper(registry).is_none());
        if fresh && !before.is_empty() && before.has_helpers() && !before.helpers().expect("there").members.is_empty() {
            let place = document.as_str().bytes().zip(text.bytes()).take_while(|(one, other)| one == other).count();
            prop_assert!(document.as_str().ends_with(&text[place..]), "{} from {text}", document.as_str());
        }
        for registry in &registries {
            if before.helper(registry).is_none() {
                document.remove(registry);
            }
        }
        if fresh {
            let undone: Value = serde_json::from_str(document.as_str()).expect("still JSON");
            let mut expected = value;
            if expected[HELPERS].is_null() {
                expected[HELPERS] = json!({});
            }
            prop_assert_eq!(undone, expected);
            prop_assert_eq!(document.registries_of("idpbuilder"), had);
        }
    }

    #[test]
    fn no_string_but_helpers_is_shown(value in configuration(), gaps in prop::collection::vec(space(), 0..60)) {
        fn strings(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::String(text) if !text.is_empty() => found.push(text.clone()),
                Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
                Value::Object(members) => members.values().for_each(|member| strings(member, found)),
                _ => {}
            }
        }
        let document = Document::parse(written(&value, &mut gaps.into_iter()).as_bytes()).expect("JSON");
        let mut shown: Value = serde_json::from_str(&document.redacted()).expect("still JSON");
        prop_assert_eq!(&shown[HELPERS], &value[HELPERS]);
        shown[HELPERS] = Value::Null;
        let mut found = Vec::new();
        strings(&shown, &mut found);
        prop_assert!(found.iter().all(|text| text == "[hidden]"), "{:?}", found);
    }
}

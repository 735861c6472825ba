use proptest::prelude::*;
use serde::Serialize;

use super::go::{self, Json, Type, Value};
use super::*;
use crate::image::{ImageConfig, Index, LayoutMarker, Manifest};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn manifest(fields: &str) -> String {
    let blob = format!(r#"{{"mediaType":"application/x","digest":"{DIGEST}","size":0}}"#);
    format!(r#"{{"schemaVersion":2,"config":{blob},"layers":[{blob}]{fields}}}"#)
}

fn config(fields: &str) -> String {
    format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}}{fields}}}"#)
}

fn refusal<T: StrictDocument + fmt::Debug>(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    match from_slice::<T>(text) {
        Ok(document) => panic!("{} was read as {document:?}", String::from_utf8_lossy(text)),
        Err(error) => error.to_string(),
    }
}

#[test]
fn twice_the_document_is_twice_the_work() {
    type Part = fn(usize) -> String;
    let parts: [(&str, Part); 6] = [
        ("", |number| format!(r#""x{number}":1"#)),
        (r#""annotations":"#, |number| format!(r#""x{number}":"y""#)),
        ("", |number| format!(r#""\u0078{number}":[null]"#)),
        ("", |number| format!(r#""X{number}":{{"a":1,"b":{{"a":1}}}}"#)),
        (r#""x":"#, |number| format!(r#""{}{number}":1.5"#, "k".repeat(50))),
        (r#""x":"#, |number| format!(r#""{number}":[{{}},{{"a":{{}}}}]"#)),
    ];
    for (key, part) in parts {
        crate::work::grows_with_size(2000, |count| {
            let fields = (0..count).map(part).collect::<Vec<_>>().join(",");
            let fields = if key.is_empty() { fields } else { format!("{key}{{{fields}}}") };
            check::<Manifest>(manifest(&format!(",{fields}")).as_bytes()).expect("a manifest");
        });
    }
    // Keys that differ from those of a field, in a list of objects.
    crate::work::grows_with_size(2000, |count| {
        let history = vec![r#"{"created_by":"a","empty_layer":true,"x":1}"#; count].join(",");
        check::<ImageConfig>(config(&format!(r#","history":[{history}]"#)).as_bytes()).expect("a configuration");
    });
}

#[test]
fn shapes_decide_which_values_are_allowed() {
    const LIST: Shape = Shape::List(&Shape::Text);
    const MAP: Shape = Shape::Map(&Shape::Text);
    const OBJECT: Shape = Shape::Object(&[]);
    let tokens = [
        Token::Null,
        Token::Flag,
        Token::Text,
        Token::Whole(-1),
        Token::Whole(0),
        Token::Number,
        Token::List,
        Token::Object,
    ];
    for (shape, allowed) in [
        (Shape::Any, [true; 8]),
        (Shape::Text, [false, false, true, false, false, false, false, false]),
        (Shape::Flag, [false, true, false, false, false, false, false, false]),
        (Shape::Count, [false, false, false, false, true, false, false, false]),
        (Shape::Whole, [false, false, false, true, true, false, false, false]),
        (Shape::Empty, [true, false, false, false, false, false, false, true]),
        (LIST, [false, false, false, false, false, false, true, false]),
        (MAP, [false, false, false, false, false, false, false, true]),
        (OBJECT, [false, false, false, false, false, false, false, true]),
        (Shape::Words, [false, false, true, false, false, false, true, false]),
        (Shape::OrNull(&LIST), [true, false, false, false, false, false, true, false]),
        (Shape::OrNull(&Shape::Text), [true, false, true, false, false, false, false, false]),
        (Shape::Elsewhere("x"), [false; 8]),
    ] {
        assert_eq!(tokens.map(|token| is_allowed(&shape, token)), allowed, "{shape:?}");
    }
}

#[test]
fn keys_are_known_unknown_or_refused() {
    const FIELDS: &[Field] = &[
        Field::new("Config", Shape::Any),
        Field::new("links", Shape::Any),
        Field::new("os.version", Shape::Any),
        Field::new("layers", Shape::Elsewhere("an image manifest")),
    ];
    for key in ["Config", "links", "os.version"] {
        assert!(matches!(decide(FIELDS, key), Key::Known(at) if FIELDS[at].name == key), "{key}");
    }
    for key in ["", "x", "config ", "configs", "os_version", "osversion", "confıgs", "Ⓒonfig", "link"] {
        assert!(matches!(decide(FIELDS, key), Key::Unknown), "{key}");
    }
    for key in [
        "config",
        "CONFIG",
        "confIg",
        "Links",
        "link\u{17f}",
        "lin\u{212a}s",
        "L\u{130}nks",
        "l\u{131}nks",
        "OS.Version",
        "o\u{17f}.ver\u{17f}ion",
        "layers",
        "Layers",
        "layer\u{17f}",
    ] {
        assert!(matches!(decide(FIELDS, key), Key::Refused(_)), "{key}");
    }
}

#[test]
fn no_object_has_more_fields_than_its_check_keeps_in_mind() {
    fn count(shape: &Shape) {
        match shape {
            Shape::Object(fields) => {
                assert!(fields.len() <= 64);
                for (at, field) in fields.iter().enumerate() {
                    assert!(
                        fields[..at].iter().all(|other| folded(other.name) != folded(field.name)),
                        "{}",
                        field.name
                    );
                    count(&field.shape);
                }
            }
            Shape::List(inner) | Shape::Map(inner) | Shape::OrNull(inner) => count(inner),
            _ => {}
        }
    }
    for shape in [&Manifest::SHAPE, &Index::SHAPE, &ImageConfig::SHAPE, &LayoutMarker::SHAPE] {
        count(shape);
    }
}

#[test]
fn what_readers_take_differently_is_refused_in_manifests() {
    from_slice::<Manifest>(manifest("").as_bytes()).expect("plain");
    let blob = format!(r#"{{"mediaType":"application/y","digest":"{DIGEST}","size":0}}"#);
    let in_blob = |field: &str| manifest(&format!(r#","subject":{{"mediaType":"a","digest":"{DIGEST}",{field}}}"#));
    for (text, reason) in [
        (manifest(&format!(r#","Config":{blob}"#)), "`Config` differs from the field `config` in nothing but case"),
        (manifest(&format!(r#","config":{blob}"#)), "the key `config` occurs twice"),
        (manifest(&format!(r#","co\u006efig":{blob}"#)), "the key `config` occurs twice"),
        (manifest(r#","LAYERS":[]"#), "`LAYERS` differs"),
        (manifest(r#","layer\u017f":[]"#), "`layerſ` differs"),
        (manifest(r#","manifests":[]"#), "`manifests` belongs to an index"),
        (manifest(r#","manifests":null"#), "`manifests` belongs to an index"),
        (manifest(r#","Manifests":[]"#), "`Manifests` differs"),
        (manifest(r#","fsLayers":[]"#), "`fsLayers` belongs to a manifest of schema 1"),
        (manifest(r#","history":[]"#), "`history` belongs to a manifest of schema 1"),
        (manifest(r#","x":1,"x":1"#), "the key `x` occurs twice"),
        (manifest(r#","x":1,"X":1"#), "the key `X` occurs twice"),
        (manifest(r#","x":{"y":1,"y":2}"#), "the key `y` occurs twice"),
        (manifest(r#","x":[[{"y":1,"y":2}]]"#), "the key `y` occurs twice"),
        (manifest(r#","annotations":{"a":"1","a":"2"}"#), "the key `a` occurs twice"),
        (manifest(r#","annotations":{"a":null}"#), "`a` must be a string"),
        (manifest(r#","annotations":{"a":1}"#), "`a` must be a string"),
        (manifest(r#","x":"\ud800""#), "hex escape"),
        (manifest(r#","x":{"\udc00":1}"#), "hex escape"),
        (manifest(r#","x":["\ud800\u0041"]"#), "hex escape"),
        (manifest("") + "{}", "trailing characters"),
        (manifest("") + "\0", "trailing characters"),
        ("\u{feff}".to_owned() + &manifest(""), "expected value"),
        (manifest(",\"x\":NaN"), "expected value"),
        (manifest(",\"x\":1,"), "trailing comma"),
        (manifest(&format!(r#","x":{}1{}"#, "[".repeat(200), "]".repeat(200))), "recursion limit"),
        (in_blob(r#""size":1.0"#), "`size` must be a whole number"),
        (in_blob(r#""size":1e3"#), "`size` must be a whole number"),
        (in_blob(r#""size":-0"#), "`size` must be a whole number"),
        (in_blob(r#""size":-1"#), "`size` must be a whole number"),
        (in_blob(r#""size":"1""#), "`size` must be a whole number"),
        (in_blob(r#""size":null"#), "`size` must be a whole number"),
        (in_blob(r#""size":9223372036854775808"#), "`size` must be a whole number"),
        (in_blob(r#""size":18446744073709551616"#), "`size` must be a whole number"),
        (in_blob(r#""size":1,"Size":2"#), "`Size` differs"),
        (in_blob(r#""size":1,"Digest":"x""#), "`Digest` differs"),
        (in_blob(r#""size":1,"platform":{"OS":"linux"}"#), "`OS` differs"),
        (in_blob(r#""size":1,"urls":[null]"#), "`urls` must be a string"),
        (manifest(&format!(r#","subject":["a","{DIGEST}",1]"#)), "`subject` must be an object"),
        (manifest("").replace(":2,", ":1,"), "`schemaVersion` must be 2"),
        (manifest("").replace(":2,", ":2.0,"), "`schemaVersion` must be a whole number"),
        ("[]".to_owned(), "`the document` must be an object"),
        ("null".to_owned(), "`the document` must be an object"),
    ] {
        let found = refusal::<Manifest>(&text);
        assert!(found.contains(reason), "{found:?} and not {reason:?}: {text}");
    }
    for bytes in [b"\"x\xff\"".as_slice(), b"\"\xed\xa0\x80\"", b"\"\xc0\xaf\""] {
        let text = [&manifest("").as_bytes()[..manifest("").len() - 1], b",\"x\":", bytes, b"}"].concat();
        assert!(refusal::<Manifest>(&text).contains("not valid UTF-8"));
    }
}

#[test]
fn what_readers_take_differently_is_refused_in_the_other_documents() {
    let index = |fields: &str| format!(r#"{{"schemaVersion":2,"manifests":[]{fields}}}"#);
    for (text, reason) in [
        (index(r#","config":{}"#), "`config` belongs to an image manifest"),
        (index(r#","layers":null"#), "`layers` belongs to an image manifest"),
        (index(r#","Manifests":[]"#), "`Manifests` differs"),
        (index(r#","fsLayers":[]"#), "`fsLayers` belongs to a manifest of schema 1"),
        (index(r#","mediaType":"application/vnd.oci.image.manifest.v1+json""#), "`mediaType` must be that of an index"),
        (index("").replace(":2,", ":3,"), "`schemaVersion` must be 2"),
    ] {
        let found = refusal::<Index>(&text);
        assert!(found.contains(reason), "{found:?} and not {reason:?}: {text}");
    }
    for (text, reason) in [
        (config(r#","config":{"env":["A=1"]}"#), "`env` differs from the field `Env`"),
        (config(r#","config":{"Cmd":{}}"#), "`Cmd` must be a list of strings or a string"),
        (config(r#","config":{"Env":"A=1"}"#), "`Env` must be a list"),
        (config(r#","config":{"Shell":1}"#), "`Shell` must be a list of strings or a string"),
        (config(r#","config":{"Entrypoint":["a",null]}"#), "`Entrypoint` must be a string"),
        (config(r#","config":{"EntryPoint":["a"]}"#), "`EntryPoint` differs"),
        (config(r#","config":{"Labels":{"a":null}}"#), "`a` must be a string"),
        (config(r#","config":{"ExposedPorts":["80/tcp"]}"#), "`ExposedPorts` must be an object"),
        (config(r#","config":{"Volumes":{"/data":1}}"#), "`/data` must be an empty object"),
        (config(r#","config":{"Healthcheck":{"test":["NONE"]}}"#), "`test` differs"),
        (config(r#","config":{"Healthcheck":{"Interval":1.5}}"#), "`Interval` must be a whole number"),
        (config(r#","config":{"onbuild":[]}"#), "`onbuild` differs"),
        (config(r#","container_config":{"cmd":[]}"#), "`cmd` differs"),
        (config(r#","Config":{}"#), "`Config` differs"),
        (config(r#","OS":"linux""#), "`OS` differs"),
        (config(r#","os.Features":[]"#), "`os.Features` differs"),
        (config(r#","history":[{"Empty_layer":true}]"#), "`Empty_layer` differs"),
        (config(r#","history":[{"empty_layer":1}]"#), "`empty_layer` must be true or false"),
        (config("").replace("diff_ids", "Diff_ids"), "`Diff_ids` differs"),
        (config(r#","rootfs":null"#), "the key `rootfs` occurs twice"),
    ] {
        let found = refusal::<ImageConfig>(&text);
        assert!(found.contains(reason), "{found:?} and not {reason:?}: {text}");
        check::<ImageConfig>(text.as_bytes()).expect_err("the check alone refuses it too");
    }
    let marker = r#"{"imageLayoutVersion":"1.0.0","ImageLayoutVersion":"2"}"#;
    assert!(refusal::<LayoutMarker>(marker).contains("`ImageLayoutVersion` differs"));
}

#[test]
fn what_all_readers_take_alike_is_allowed() {
    for fields in [
        r#","layers_":[],"x":{"a":1,"A":2},"y":[1.5,1e400,{"b":null}]"#.replace("1e400", "1e300").as_str(),
        r#","annotations":null,"subject":null,"mediaType":null,"artifactType":"""#,
        r#","annotations":{"a":"1","A":"2","config":"x","Config":"y"}"#,
    ] {
        from_slice::<Manifest>(manifest(fields).as_bytes()).unwrap_or_else(|error| panic!("{fields}: {error}"));
    }
    let empty =
        format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"a","digest":"{DIGEST}","size":0}},"layers":null}}"#);
    assert_eq!(from_slice::<Manifest>(empty.as_bytes()).expect("no layers").layers, []);
    assert_eq!(from_slice::<Index>(br#"{"schemaVersion":2,"manifests":null}"#).expect("none").manifests, []);
    for fields in [
        r#","config":null,"history":null,"created":null,"author":null,"variant":"","os.version":null,"os.features":null"#,
        r#","config":{"Env":null,"Labels":null,"Volumes":{"/a":{},"/b":null},"Healthcheck":null,"User":null}"#,
        r#","config":{"Healthcheck":{"Test":null,"Interval":30000000000,"Retries":0},"StopTimeout":-1}"#,
        r#","moby.buildkit.buildinfo.v1":"eyJ","x":{"Env":1,"env":2}"#,
        r#","config":{"Entrypoint":"/app","Cmd":"","Shell":"sh"}"#,
    ] {
        from_slice::<ImageConfig>(config(fields).as_bytes()).unwrap_or_else(|error| panic!("{fields}: {error}"));
    }
    for text in ["{}{}", "{} x", "{\"a\":1,\"a\":2}", "\u{feff}{}", "", "{\"config\":[]}"] {
        check::<ImageConfig>(text.as_bytes()).expect_err(text);
    }
    check::<ImageConfig>(b"{\"x\":\"\xff\"}").expect_err("not UTF-8");
    // What calls itself an image configuration need not have what an image needs.
    check::<ImageConfig>(b"{}").expect("nothing to take differently");
}

#[test]
fn messages_are_short_and_without_control_characters() {
    let key = format!("\\u001b[31m{}", "x".repeat(1000));
    let found = refusal::<Manifest>(manifest(&format!(r#","annotations":{{"{key}":1}}"#)));
    assert!(found.len() < 200 && !found.contains('\u{1b}'), "{found:?}");
}

/// What serde read, in the terms of the model: only what Go knows, and nothing that is empty.
fn ours(json: &serde_json::Value, kind: &'static Type) -> Value {
    go::decode(&Json::of(json), kind, Value::Zero).expect("what was read can be written for Go")
}

/// A change at one object of a document: which object, which field of it, what happens, with which value.
type Change = (prop::sample::Index, prop::sample::Index, u8, prop::sample::Index);

/// A document with a few random changes that readers might take differently.
fn changed(base: &str) -> impl Strategy<Value = Json> {
    let base = Json::of(&serde_json::from_str(base).expect("JSON"));
    let change = any::<Change>();
    proptest::collection::vec(change, 0..4).prop_map(move |changes| {
        let mut json = base.clone();
        for (object, field, what, value) in changes {
            let count = count(&json);
            let fields = nth_object(&mut json, &mut object.index(count)).expect("there are so many");
            change_one(fields, field, what, value);
        }
        json
    })
}

fn count(json: &Json) -> usize {
    match json {
        Json::Object(fields) => 1 + fields.iter().map(|(_, value)| count(value)).sum::<usize>(),
        Json::List(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

fn nth_object<'a>(json: &'a mut Json, left: &mut usize) -> Option<&'a mut Vec<(String, Json)>> {
    match json {
        Json::Object(fields) => {
            if *left == 0 {
                return Some(fields);
            }
            *left -= 1;
            fields.iter_mut().find_map(|(_, value)| nth_object(value, left))
        }
        Json::List(items) => items.iter_mut().find_map(|item| nth_object(item, left)),
        _ => None,
    }
}

fn change_one(fields: &mut Vec<(String, Json)>, field: prop::sample::Index, what: u8, value: prop::sample::Index) {
    let number = |literal: &str| Json::Number(literal.to_owned());
    let text = |text: &str| Json::Text(text.to_owned());
    let pool = [
        Json::Null,
        Json::Flag(true),
        number("0"),
        number("2"),
        number("1.0"),
        number("1e3"),
        number("-0"),
        number("-1"),
        number("9223372036854775808"),
        text(""),
        text("x"),
        text(DIGEST),
        Json::List(Vec::new()),
        Json::List(vec![text("a")]),
        Json::List(vec![Json::Null]),
        Json::Object(Vec::new()),
        Json::Object(vec![("a".to_owned(), text("b"))]),
        Json::Object(vec![("Env".to_owned(), Json::List(vec![text("A=2")]))]),
    ];
    let value = pool[value.index(pool.len())].clone();
    let names = ["manifests", "layers", "config", "Config", "mediaType", "size", "Size", "env", "Env", "x", "X"];
    if fields.is_empty() {
        fields.push((names[field.index(names.len())].to_owned(), value));
        return;
    }
    let at = field.index(fields.len());
    let recased = |key: &str| match what % 3 {
        0 => key.to_uppercase(),
        1 => key.replace(['s', 'S'], "\u{17f}").replace(['k', 'K'], "\u{212a}"),
        _ => key.to_lowercase(),
    };
    match what % 7 {
        0 => fields[at].0 = recased(&fields[at].0),
        1 => fields.push((fields[at].0.clone(), value)),
        2 => fields.push((recased(&fields[at].0), value)),
        3 => fields.insert(0, (recased(&fields[at].0), value)),
        4 => drop(fields.remove(at)),
        5 => fields[at].1 = value,
        _ => fields.push((names[field.index(names.len())].to_owned(), value)),
    }
}

fn agree<T: StrictDocument + Serialize>(json: &Json, kind: &'static Type) -> Result<(), TestCaseError> {
    let mut text = String::new();
    json.write(&mut text);
    if let Ok(read) = from_slice::<T>(text.as_bytes()) {
        let theirs = go::decode(json, kind, Value::Zero);
        let read = serde_json::to_value(&read).expect("JSON");
        prop_assert_eq!(Ok(ours(&read, kind)), theirs, "{}", text);
    }
    Ok(())
}

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":
    {"mediaType":"application/vnd.oci.image.config.v1+json","digest":
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":2,"annotations":{"k":"v"}},
    "layers":[{"mediaType":"l","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "size":3,"urls":["u"]}],"subject":{"mediaType":"s","digest":
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":4},"annotations":{"skis":"v"}}"#;

const INDEX: &str = r#"{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":5,"platform":
    {"architecture":"amd64","os":"windows","os.version":"10","os.features":["win32k"],"variant":"v2"},
    "artifactType":"a"}],"annotations":{"k":"v"}}"#;

const CONFIG: &str = r#"{"created":"2020-01-01T00:00:00Z","architecture":"arm","variant":"v7","os":"linux","config":
    {"User":"u","ExposedPorts":{"80/tcp":{}},"Env":["A=1"],"Entrypoint":["e"],"Cmd":["c"],"Healthcheck":
    {"Test":["CMD","true"],"Interval":5,"Retries":3},"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"links":"v"},
    "StopSignal":"TERM","OnBuild":["RUN x"],"Shell":["sh"],"StopTimeout":3},"rootfs":{"type":"layers","diff_ids":
    ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"history":
    [{"created_by":"x","empty_layer":true},{"comment":"y"}]}"#;

#[test]
fn the_model_reads_as_go_does() {
    let json = |text: &str| Json::of(&serde_json::from_str(text).expect("JSON"));
    let blob = |digest: &str| json(&format!(r#"{{"digest":"{digest}"}}"#));
    let twice = Json::Object(vec![("config".into(), blob("a")), ("Config".into(), blob("b"))]);
    let Value::Struct(read) = go::decode(&twice, &go::MANIFEST, Value::Zero).expect("Go reads it") else { panic!() };
    assert_eq!(read["config"], Value::Struct([("digest", Value::String("b".into()))].into()));
    let kelvin = Json::Object(vec![("layer\u{17f}".into(), Json::List(vec![blob("c")]))]);
    let Value::Struct(read) = go::decode(&kelvin, &go::MANIFEST, Value::Zero).expect("Go reads it") else { panic!() };
    assert!(read.contains_key("layers"));
    assert!(go::decode(&json(r#"{"schemaVersion":2.0}"#), &go::MANIFEST, Value::Zero).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_of_a_manifest_is_what_go_reads(json in changed(MANIFEST)) {
        agree::<Manifest>(&json, &go::MANIFEST)?;
    }

    #[test]
    fn what_is_read_of_an_index_is_what_go_reads(json in changed(INDEX)) {
        agree::<Index>(&json, &go::INDEX)?;
    }

    #[test]
    fn what_is_read_of_a_configuration_is_what_go_reads(json in changed(CONFIG)) {
        agree::<ImageConfig>(&json, &go::IMAGE)?;
    }

    #[test]
    fn reading_never_panics(bytes: Vec<u8>, text in "[\\[\\]{}\":,a-f0-9.\\\\u-]{0,80}") {
        let _ = from_slice::<Manifest>(&bytes);
        let _ = from_slice::<ImageConfig>(text.as_bytes());
        let _ = check::<Index>(text.as_bytes());
    }
}

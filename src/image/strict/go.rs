//! A model of what Go's `encoding/json` reads: keys match in any case, the last one wins, `null` changes nothing.

use std::collections::BTreeMap;

/// A JSON value with its keys in the order of the document, also where they occur twice.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Flag(bool),
    /// The literal.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn write(&self, out: &mut String) {
        let text = |text: &str| serde_json::to_string(text).expect("a string");
        match self {
            Self::Null => out.push_str("null"),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Number(literal) => out.push_str(literal),
            Self::Text(value) => out.push_str(&text(value)),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (at, (key, value)) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(&text(key));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    pub(super) fn of(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Flag(*flag),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Object(fields) => Self::Object(fields.iter().map(|(k, v)| (k.clone(), Self::of(v))).collect()),
        }
    }
}

/// A type of Go.
#[derive(Debug)]
pub(super) enum Type {
    String,
    Int64,
    Bool,
    /// `[]byte`, written as base64.
    Bytes,
    Slice(&'static Type),
    /// Docker's `strslice.StrSlice`: a string is a list of one.
    Words,
    Map(&'static Type),
    /// `struct{}`
    Empty,
    Struct(&'static [(&'static str, Type)]),
}

/// A value of Go; what is zero or empty is [`Value::Zero`], as `omitempty` has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Zero,
    String(String),
    Int64(i64),
    Bool(bool),
    Slice(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Struct(BTreeMap<&'static str, Value>),
}

/// Decodes as `json.Unmarshal` does; `Err` where it fails.
pub(super) fn decode(json: &Json, kind: &'static Type, before: Value) -> Result<Value, String> {
    let mismatch = || Err(format!("cannot unmarshal {json:?} into {kind:?}"));
    Ok(match (kind, json) {
        (_, Json::Null) => before,
        (Type::String, Json::Text(text)) if text.is_empty() => Value::Zero,
        (Type::String | Type::Bytes, Json::Text(text)) => Value::String(text.clone()),
        (Type::Int64, Json::Number(literal)) => match literal.parse::<i64>() {
            Ok(0) => Value::Zero,
            Ok(number) => Value::Int64(number),
            Err(_) => return mismatch(),
        },
        (Type::Bool, Json::Flag(flag)) => {
            if *flag {
                Value::Bool(true)
            } else {
                Value::Zero
            }
        }
        (Type::Slice(kind), Json::List(items)) => {
            let items = items.iter().map(|item| decode(item, kind, Value::Zero)).collect::<Result<Vec<_>, _>>()?;
            if items.is_empty() { Value::Zero } else { Value::Slice(items) }
        }
        (Type::Words, Json::Text(text)) => {
            Value::Slice(vec![decode(&Json::Text(text.clone()), &Type::String, Value::Zero)?])
        }
        (Type::Words, Json::List(_)) => decode(json, &Type::Slice(&Type::String), before)?,
        (Type::Map(kind), Json::Object(fields)) => {
            let mut map = if let Value::Map(map) = before { map } else { BTreeMap::new() };
            for (key, value) in fields {
                map.insert(key.clone(), decode(value, kind, Value::Zero)?);
            }
            if map.is_empty() { Value::Zero } else { Value::Map(map) }
        }
        (Type::Empty, Json::Object(_)) => Value::Zero,
        (Type::Struct(known), Json::Object(fields)) => {
            let mut made = if let Value::Struct(made) = before { made } else { BTreeMap::new() };
            for (key, value) in fields {
                let exact = known.iter().find(|(name, _)| name == key);
                let field = exact.or_else(|| known.iter().find(|(name, _)| fold(name) == fold(key)));
                if let Some((name, kind)) = field {
                    let before = made.remove(name).unwrap_or(Value::Zero);
                    made.insert(name, decode(value, kind, before)?);
                }
            }
            made.retain(|_, value| *value != Value::Zero);
            if made.is_empty() { Value::Zero } else { Value::Struct(made) }
        }
        _ => return mismatch(),
    })
}

/// `foldName` of `encoding/json`: the smallest rune that `unicode.SimpleFold` leads to.
fn fold(key: &str) -> String {
    let fold = |character: char| match character {
        'ſ' => 'S',
        '\u{212a}' => 'K',
        other => other.to_ascii_uppercase(),
    };
    key.chars().map(fold).collect()
}

const DESCRIPTOR: Type = Type::Struct(&[
    ("mediaType", Type::String),
    ("digest", Type::String),
    ("size", Type::Int64),
    ("urls", Type::Slice(&Type::String)),
    ("annotations", Type::Map(&Type::String)),
    ("data", Type::Bytes),
    ("platform", PLATFORM),
    ("artifactType", Type::String),
]);

const PLATFORM: Type = Type::Struct(&[
    ("architecture", Type::String),
    ("os", Type::String),
    ("os.version", Type::String),
    ("os.features", Type::Slice(&Type::String)),
    ("variant", Type::String),
]);

/// `v1.Manifest` of image-spec/specs-go.
pub(super) const MANIFEST: Type = Type::Struct(&[
    ("schemaVersion", Type::Int64),
    ("mediaType", Type::String),
    ("artifactType", Type::String),
    ("config", DESCRIPTOR),
    ("layers", Type::Slice(&DESCRIPTOR)),
    ("subject", DESCRIPTOR),
    ("annotations", Type::Map(&Type::String)),
]);

/// `v1.Index` of image-spec/specs-go.
pub(super) const INDEX: Type = Type::Struct(&[
    ("schemaVersion", Type::Int64),
    ("mediaType", Type::String),
    ("artifactType", Type::String),
    ("manifests", Type::Slice(&DESCRIPTOR)),
    ("subject", DESCRIPTOR),
    ("annotations", Type::Map(&Type::String)),
]);

/// `Image` of moby, which has more fields than `v1.Image` of image-spec/specs-go.
pub(super) const IMAGE: Type = Type::Struct(&[
    ("created", Type::String),
    ("author", Type::String),
    ("architecture", Type::String),
    ("variant", Type::String),
    ("os", Type::String),
    ("os.version", Type::String),
    ("os.features", Type::Slice(&Type::String)),
    ("config", CONFIG),
    ("rootfs", Type::Struct(&[("type", Type::String), ("diff_ids", Type::Slice(&Type::String))])),
    (
        "history",
        Type::Slice(&Type::Struct(&[
            ("created", Type::String),
            ("created_by", Type::String),
            ("author", Type::String),
            ("comment", Type::String),
            ("empty_layer", Type::Bool),
        ])),
    ),
]);

const CONFIG: Type = Type::Struct(&[
    ("User", Type::String),
    ("ExposedPorts", Type::Map(&Type::Empty)),
    ("Env", Type::Slice(&Type::String)),
    ("Entrypoint", Type::Words),
    ("Cmd", Type::Words),
    (
        "Healthcheck",
        Type::Struct(&[
            ("Test", Type::Slice(&Type::String)),
            ("Interval", Type::Int64),
            ("Timeout", Type::Int64),
            ("StartPeriod", Type::Int64),
            ("StartInterval", Type::Int64),
            ("Retries", Type::Int64),
        ]),
    ),
    ("Volumes", Type::Map(&Type::Empty)),
    ("WorkingDir", Type::String),
    ("Labels", Type::Map(&Type::String)),
    ("StopSignal", Type::String),
    ("OnBuild", Type::Slice(&Type::String)),
    ("Shell", Type::Words),
    ("StopTimeout", Type::Int64),
]);

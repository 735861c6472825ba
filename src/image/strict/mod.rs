//! The one reader of JSON documents that others wrote: manifests, indexes, configurations, layouts, archives.
//!
//! Two readers must not take different images from the same bytes. Go's `encoding/json` matches keys in any case and
//! lets the last one win; other readers match exactly, take the first one, or round numbers. A document that such
//! readers would take differently is refused; fields unknown here are allowed, and their keys are still unique.

mod shapes;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

pub use shapes::StrictDocument;
pub(crate) use shapes::{Field, Shape};

/// The longest part of a key or of a value that a message repeats, in characters.
const SHOWN_CHARACTERS: usize = 60;

/// Reads a document that means the same to every reader.
///
/// Takes time and memory in proportion to the length of `bytes`.
///
/// # Errors
/// What is not JSON in UTF-8, and what readers would take differently. The message names the key, the line and the
/// column.
pub fn from_slice<T: StrictDocument>(bytes: &[u8]) -> serde_json::Result<T> {
    let text = text(bytes)?;
    check_shape(text, &T::SHAPE)?;
    let document: T = serde_json::from_str(text)?;
    document.contradiction().map_or(Ok(document), |reason| Err(Error::custom(reason)))
}

/// Checks what [`from_slice`] does, but for fields that a `T` has to have and `bytes` lack.
///
/// # Errors
/// As for [`from_slice`].
pub fn check<T: StrictDocument>(bytes: &[u8]) -> serde_json::Result<()> {
    check_shape(text(bytes)?, &T::SHAPE)
}

/// Decodes the whole document at once: a replaced character would be another document.
pub(super) fn text(bytes: &[u8]) -> serde_json::Result<&str> {
    std::str::from_utf8(bytes)
        .map_err(|error| Error::custom(format!("byte {} is not valid UTF-8", error.valid_up_to())))
}

/// Checks the text against the shape in one pass that keeps nothing but the keys of open objects.
fn check_shape(text: &str, shape: &'static Shape) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Checked { shape, name: "the document" }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A JSON value, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Null,
    Flag,
    Text,
    /// A number written without fraction and exponent, where it is between the limits of `i64`.
    Whole(i64),
    /// Any other number.
    Number,
    List,
    Object,
}

/// Decides whether every reader takes the value as the shape says.
fn is_allowed(shape: &Shape, token: Token) -> bool {
    #[cfg(test)]
    crate::work::count();
    match shape {
        Shape::Any => true,
        Shape::Text => token == Token::Text,
        Shape::Flag => token == Token::Flag,
        Shape::Count => matches!(token, Token::Whole(number) if number >= 0),
        Shape::Whole => matches!(token, Token::Whole(_)),
        Shape::Empty => matches!(token, Token::Object | Token::Null),
        Shape::Words => matches!(token, Token::Text | Token::List),
        Shape::List(_) => token == Token::List,
        Shape::Map(_) | Shape::Object(_) => token == Token::Object,
        Shape::OrNull(inner) => token == Token::Null || is_allowed(inner, token),
        Shape::Elsewhere(_) => false,
    }
}

/// Returns the key as readers that ignore case compare it.
///
/// Go folds `ſ` and the Kelvin sign to ASCII letters; readers that convert to lower or upper case fold the dotted and
/// the dotless `i` as well.
fn folded(key: &str) -> String {
    #[cfg(test)]
    crate::work::add(key.len());
    let fold = |character| match character {
        'ſ' => 's',
        '\u{212a}' => 'k',
        'İ' | 'ı' => 'i',
        other => other,
    };
    key.chars().map(fold).flat_map(char::to_lowercase).collect()
}

/// What an object is to do with a key.
#[derive(Debug)]
enum Key {
    /// The field of this number.
    Known(usize),
    /// A field that has no meaning here.
    Unknown,
    /// Readers differ about it, for this reason.
    Refused(String),
}

/// Decides what a key of an object with known fields stands for.
fn decide(fields: &[Field], key: &str) -> Key {
    let known = fields.iter().position(|field| field.name == key);
    if let Some(at) = known {
        return match &fields[at].shape {
            Shape::Elsewhere(kind) => Key::Refused(format!("`{key}` belongs to {kind}, not to this document")),
            _ => Key::Known(at),
        };
    }
    let folded = folded(key);
    match fields.iter().find(|field| field.name.eq_ignore_ascii_case(&folded)) {
        Some(field) => {
            Key::Refused(format!("`{}` differs from the field `{}` in nothing but case", shown(key), field.name))
        }
        None => Key::Unknown,
    }
}

fn shown(text: &str) -> String {
    crate::text::plain(text, SHOWN_CHARACTERS)
}

/// A value that has to be of a shape.
#[derive(Clone, Copy)]
struct Checked<'a> {
    shape: &'static Shape,
    /// The key that the value has, for messages.
    name: &'a str,
}

impl Checked<'_> {
    fn take<E: Error>(self, token: Token) -> Result<(), E> {
        if is_allowed(self.shape, token) {
            return Ok(());
        }
        let expected = self.shape;
        Err(E::custom(format!("`{}` must be {expected}", shown(self.name))))
    }

    fn inner(self) -> &'static Shape {
        match self.shape {
            Shape::OrNull(inner) => inner,
            shape => shape,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.shape, formatter)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(Token::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.take(Token::Flag)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.take(Token::Text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.take(i64::try_from(number).map_or(Token::Number, Token::Whole))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.take(Token::Whole(number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.take(Token::Number)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.take(Token::List)?;
        let shape = match self.inner() {
            Shape::List(shape) => shape,
            Shape::Words => &Shape::Text,
            _ => &Shape::Any,
        };
        while list.next_element_seed(Checked { shape, ..self })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        self.take(Token::Object)?;
        let twice = |key: &str| A::Error::custom(format!("the key `{}` occurs twice", shown(key)));
        let (fields, values): (&[Field], _) = match self.inner() {
            Shape::Object(fields) => (fields, &Shape::Any),
            Shape::Map(values) => (&[], *values),
            _ => (&[], &Shape::Any),
        };
        let mut seen = 0u64;
        let mut others: HashSet<Other<'de>> = HashSet::new();
        while let Some(Text(key)) = object.next_key()? {
            let (shape, other) = match decide(fields, &key) {
                Key::Refused(reason) => return Err(A::Error::custom(reason)),
                Key::Known(at) if seen & 1 << at != 0 => return Err(twice(&key)),
                Key::Known(at) => {
                    seen |= 1 << at;
                    (&fields[at].shape, None)
                }
                // Where fields have names, an unknown one may be known to a reader that ignores case.
                Key::Unknown if !fields.is_empty() => (values, Some(Other(Cow::Owned(folded(&key))))),
                Key::Unknown => (values, Some(Other(key.clone()))),
            };
            if other.as_ref().is_some_and(|other| others.contains(other)) {
                return Err(twice(&key));
            }
            object.next_value_seed(Checked { shape, name: &key })?;
            others.extend(other);
        }
        Ok(())
    }
}

/// A key of an object that is not the name of a field, as it is compared with the others.
#[derive(Eq)]
struct Other<'de>(Cow<'de, str>);

impl PartialEq for Other<'_> {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        crate::work::count();
        self.0 == other.0
    }
}

impl Hash for Other<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        #[cfg(test)]
        crate::work::count();
        self.0.hash(hasher);
    }
}

/// A key, borrowed from the document unless it is written with escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl<'de> Visitor<'de> for Key {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(key)))
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Key)
    }
}

#[cfg(test)]
mod go;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

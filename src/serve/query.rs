//! Query strings, and the pages of lists they ask for (distribution-spec, "Listing Tags").

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error_response::{Code, ErrorResponse};

/// The most parameters that are read; no endpoint has more.
const MAX_PARAMETERS: usize = 32;

/// The characters that are percent-encoded in the query values that the server writes.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'~');

/// The parameters of a request; of several with one name, the first counts.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses a query string. Parameters that are not valid UTF-8 when decoded are left out.
    pub(super) fn parse(text: Option<&str>) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(key)?, decode(value)?))
        };
        Self(text.unwrap_or_default().split('&').take(MAX_PARAMETERS).filter_map(pair).collect())
    }

    /// Returns the value of `key`; an empty value counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The part of a sorted list that a client requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The most entries to return; may be zero.
    size: usize,
    /// Only entries that sort after this one.
    last: Option<String>,
}

impl Page {
    /// Reads `n` and `last`; `n` is limited to `limit`, which is also its default.
    pub(super) fn of(query: &Query, limit: usize) -> Result<Self, ErrorResponse> {
        let size = match query.get("n") {
            None => limit,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                // A number too large for the type is larger than the limit, too.
                text.parse().map_or(limit, |size: usize| size.min(limit))
            }
            Some(_) => {
                let message = "`n` is not a number of entries";
                return Err(ErrorResponse::bad(Code::PaginationNumberInvalid, message));
            }
        };
        Ok(Self { size, last: query.get("last").map(str::to_owned) })
    }

    /// Returns the page's part of `names`, which are sorted and distinct, and the `Link` to the next page.
    pub(super) fn cut(&self, names: Vec<String>, path: &str) -> (Vec<String>, Option<HeaderValue>) {
        let after = |name: &String| self.last.as_ref().is_none_or(|last| name > last);
        let mut names: Vec<String> = names.into_iter().filter(after).collect();
        if names.len() <= self.size {
            return (names, None);
        }
        names.truncate(self.size);
        let Some(last) = names.last() else { return (names, None) };
        let last = utf8_percent_encode(last, QUERY_VALUE);
        let link = format!("<{path}?n={}&last={last}>; rel=\"next\"", self.size);
        (names, HeaderValue::try_from(link).ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(query: &str) -> Page {
        Page::of(&Query::parse(Some(query)), 1000).expect("a page")
    }

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse(Some("digest=sha256%3Aab&mount=x&mount=y&empty=&flag"));
        assert_eq!(query.get("digest"), Some("sha256:ab"));
        assert_eq!(query.get("mount"), Some("x"));
        for absent in ["empty", "flag", "nothing"] {
            assert_eq!(query.get(absent), None);
        }
        assert_eq!(Query::parse(None).get("n"), None);
    }

    #[test]
    fn page_sizes_are_limited() {
        assert_eq!(page(""), Page { size: 1000, last: None });
        assert_eq!(page("n=7&last=a"), Page { size: 7, last: Some("a".into()) });
        assert_eq!(page("n=99999999999999999999999").size, 1000);
        for wrong in ["n=-1", "n=x", "n=1.5", "n=%20"] {
            let refusal = Page::of(&Query::parse(Some(wrong)), 1000).expect_err(wrong);
            assert_eq!(refusal.status, http::StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn pages_join_to_the_whole() {
        let all: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        for size in 1..=6 {
            let mut joined = Vec::new();
            let mut query = format!("n={size}");
            for _ in 0..10 {
                let (names, link) = page(&query).cut(all.clone(), "/v2/_catalog");
                joined.extend(names);
                let Some(link) = link else { break };
                let link = link.to_str().expect("ASCII").to_owned();
                let target =
                    link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).expect("a link");
                query = target.split_once('?').expect("a query").1.to_owned();
            }
            assert_eq!(joined, all, "{size}");
        }
        assert_eq!(page("n=0").cut(all, "/x"), (Vec::new(), None));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,200}") {
            let query = Query::parse(Some(&text));
            let _ = Page::of(&query, 10).map(|page| page.cut(vec![text.clone()], "/p"));
        }
    }
}

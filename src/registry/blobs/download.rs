//! Downloads blobs. A download that breaks continues at the next byte (distribution-spec, "Pulling blobs"; RFC 9110,
//! section 14).
//!
//! Every request goes to the registry itself and never to an address to which an earlier one was redirected: addresses
//! of storage hosts are signed and expire. Content that was put together from several answers is doubted as a whole:
//! where it is not the blob, or an answer is not about the requested range, the blob is downloaded once more from the
//! first byte and without ranges. A blob whose answer is encoded and does not have the right digest is downloaded once
//! more, too, and decoded.

use ::http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE, TRANSFER_ENCODING};
use ::http::{Method, StatusCode, Uri};
use bytes::{Buf as _, Bytes};

use crate::image::{Descriptor, Digest, Hasher};
use crate::registry::error::RequestFacts;
use crate::registry::http::Reply;
use crate::registry::http::encoding::{Decoder, Encoding};
use crate::registry::request::{Access, empty};
use crate::registry::retry::classification::{Operation, Recovery};
use crate::registry::retry::policy::Budget;
use crate::registry::{NetworkFault, Registry, RegistryError, Violation};

/// What comes of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The next bytes.
    Bytes(Bytes),
    /// Everything so far was wrong: the next bytes are the blob's first.
    Restart,
}

/// A download of a blob.
pub struct BlobDownload<'a> {
    registry: &'a Registry,
    repository: String,
    uri: Uri,
    digest: Digest,
    size: u64,
    /// The transfer under which waits are reported.
    key: String,
    /// Everything that was handed out, and what an earlier run had.
    hasher: Hasher,
    body: Option<Body>,
    budget: Budget,
    /// The most bytes there ever were: only getting further is progress.
    furthest: u64,
    /// Whether the bytes are of more than one answer.
    pieced: bool,
    /// Whether it began again for good, which happens once.
    restarted: bool,
    /// Whether an encoded answer is decoded: its bytes as they are were not the blob.
    decodes: bool,
}

/// The answer that is being read.
struct Body {
    reply: Reply,
    /// Bytes at its beginning that we have.
    skip: u64,
    /// What decodes it, where it is decoded, and what waits for that.
    decoder: Option<Decoder>,
    encoded: Bytes,
}

impl Body {
    /// Returns the next bytes of the content; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            if self.decoder.is_none() {
                return self.reply.chunk().await;
            }
            if self.encoded.is_empty() {
                match self.reply.chunk().await? {
                    Some(bytes) => self.encoded = bytes,
                    None => return self.finish(),
                }
            }
            let Some(decoder) = &mut self.decoder else { continue };
            let piece = self.encoded.split_to(self.encoded.len().min(decoder.piece()));
            match decoder.push(&piece) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes.into())),
                Err(_) => return Err(self.undecodable()),
            }
        }
    }

    /// Returns the bytes that the decoder has at the end of the answer.
    fn finish(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let Some(decoder) = self.decoder.take() else { return Ok(None) };
        match decoder.finish() {
            Ok(bytes) => Ok(Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty())),
            Err(_) => Err(self.undecodable()),
        }
    }

    fn undecodable(&self) -> RegistryError {
        RegistryError::Protocol {
            request: self.reply.facts(),
            violation: Violation::Encoding(Encoding::name_of(&self.reply.headers)),
        }
    }
}

impl Registry {
    /// Starts to receive a blob.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NotFound`]; any other fault of the first request.
    pub async fn get_blob(&self, repository: &str, blob: &Descriptor) -> Result<BlobDownload<'_>, RegistryError> {
        let mut download = self.resume_blob(repository, blob, Hasher::default())?;
        while download.body.is_none() {
            if let Err(error) = download.open().await {
                download.retry(error).await?;
            }
        }
        Ok(download)
    }

    /// Prepares to receive what comes after the bytes that `prefix` was fed; nothing is asked yet.
    pub fn resume_blob(
        &self,
        repository: &str,
        blob: &Descriptor,
        prefix: Hasher,
    ) -> Result<BlobDownload<'_>, RegistryError> {
        let offset = prefix.count();
        Ok(BlobDownload {
            registry: self,
            repository: repository.to_owned(),
            uri: self.uri(&format!("{repository}/blobs/{}", blob.digest))?,
            digest: blob.digest,
            size: blob.size,
            key: blob.digest.to_string(),
            hasher: prefix,
            body: None,
            budget: Budget::new(self.retry_context.policy),
            furthest: offset,
            pieced: offset > 0,
            restarted: false,
            decodes: false,
        })
    }
}

impl BlobDownload<'_> {
    /// Returns the next piece; `None` once the blob is whole and has the size and digest it should.
    ///
    /// # Errors
    ///
    /// The fault after which no further attempt is left; [`RegistryError::DigestMismatch`] where the content is not the
    /// blob.
    pub async fn next(&mut self) -> Result<Option<Piece>, RegistryError> {
        loop {
            let error = match self.step().await {
                Ok(Step::Bytes(bytes)) => return Ok(Some(Piece::Bytes(bytes))),
                Ok(Step::Whole) => return Ok(None),
                Ok(Step::Opened) => continue,
                Err(error) => error,
            };
            let body = self.body.take();
            if !self.decodes
                && is_doubtful(&error)
                && let Some(body) = body.filter(|body| !body.reply.encoding().is_identity())
            {
                if body.reply.encoding().decoder(self.size).is_none() {
                    return Err(body.undecodable());
                }
                (self.decodes, self.restarted, self.pieced) = (true, true, false);
                self.hasher = Hasher::default();
                return Ok(Some(Piece::Restart));
            }
            if self.pieced && !self.restarted && is_doubtful(&error) {
                self.restarted = true;
                self.pieced = false;
                self.hasher = Hasher::default();
                return Ok(Some(Piece::Restart));
            }
            self.retry(error).await?;
        }
    }

    /// Returns the next bytes, for a caller that keeps none of them; `None` as for [`Self::next`].
    ///
    /// # Errors
    ///
    /// The errors of [`Self::next`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            match self.next().await? {
                Some(Piece::Bytes(bytes)) => return Ok(Some(bytes)),
                Some(Piece::Restart) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits before the next request, or answers the error where there is none.
    async fn retry(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        let passes = self.registry.recovery(Operation::Ask, &error) == Recovery::Retry;
        if passes && self.registry.pause(&mut self.budget, Some(&self.key), &error).await? {
            return Ok(());
        }
        Err(error)
    }

    async fn step(&mut self) -> Result<Step, RegistryError> {
        let Some(body) = &mut self.body else {
            // The bytes of an earlier run, or those before the connection broke, may be the whole blob.
            if self.hasher.count() == self.size {
                let request = RequestFacts::of(&Method::GET, &self.uri);
                return self.whole(request);
            }
            return self.open().await.map(|()| Step::Opened);
        };
        let mut bytes = loop {
            let Some(mut bytes) = body.next().await? else { return self.end() };
            let known = bytes.len().min(usize::try_from(body.skip).unwrap_or(usize::MAX));
            bytes.advance(known);
            body.skip -= known as u64;
            if !bytes.is_empty() {
                break bytes;
            }
        };
        if self.hasher.count() + bytes.len() as u64 > self.size {
            let violation = Violation::TooLong(self.size);
            return Err(RegistryError::Protocol { request: body.reply.facts(), violation });
        }
        self.hasher.update(&bytes);
        if self.hasher.count() > self.furthest {
            self.furthest = self.hasher.count();
            self.budget.recover();
        }
        Ok(Step::Bytes(bytes.split_to(bytes.len())))
    }

    /// Decides what the end of the answer's body means.
    fn end(&self) -> Result<Step, RegistryError> {
        let Some(Body { reply, skip, .. }) = &self.body else { return Ok(Step::Opened) };
        let found = self.hasher.count() - skip;
        if found == self.size {
            return self.whole(reply.facts());
        }
        // Where the answer does not state its length, the end of the connection does not prove that the content is
        // complete.
        let framed = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| reply.headers.contains_key(name));
        if !framed {
            return Err(RegistryError::Network { request: reply.facts(), fault: NetworkFault::Closed, source: None });
        }
        let violation = Violation::Size { expected: self.size, found };
        Err(RegistryError::Protocol { request: reply.facts(), violation })
    }

    fn whole(&self, request: RequestFacts) -> Result<Step, RegistryError> {
        let (found, _) = self.hasher.clone().finish();
        if found == self.digest {
            return Ok(Step::Whole);
        }
        Err(RegistryError::DigestMismatch { request, expected: self.digest, found })
    }

    /// Asks for what is missing.
    async fn open(&mut self) -> Result<(), RegistryError> {
        let offset = self.hasher.count();
        let mut call = empty(Method::GET, self.uri.clone());
        // A registry that answered a wrong range is not asked for a range again; the bytes that are known are skipped.
        let ranged = offset > 0 && !self.restarted;
        if ranged {
            call.headers.insert(RANGE, range(offset));
        }
        self.pieced = offset > 0;
        let mut reply = self.registry.call(Access::Pull, &self.repository, call).await?;
        let skip = match reply.status {
            StatusCode::OK => offset,
            StatusCode::PARTIAL_CONTENT if ranged => {
                if !is_rest(&reply.headers, offset, self.size) {
                    let violation = Violation::Header("Content-Range");
                    return Err(RegistryError::Protocol { request: reply.facts(), violation });
                }
                0
            }
            _ => return Err(self.registry.refused(&mut reply).await),
        };
        let decoder = if self.decodes { reply.encoding().decoder(self.size.saturating_add(1)) } else { None };
        self.body = Some(Body { reply, skip, decoder, encoded: Bytes::new() });
        Ok(())
    }
}

enum Step {
    Bytes(Bytes),
    Opened,
    Whole,
}

/// Returns whether the bytes received so far may be wrong.
fn is_doubtful(error: &RegistryError) -> bool {
    match error {
        RegistryError::DigestMismatch { .. } => true,
        RegistryError::Protocol { violation, .. } => {
            matches!(violation, Violation::TooLong(_) | Violation::Size { .. } | Violation::Header("Content-Range"))
        }
        error => {
            error.error_response().is_some_and(|refused| refused.response.status == StatusCode::RANGE_NOT_SATISFIABLE)
        }
    }
}

fn range(offset: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("bytes={offset}-")).expect("digits")
}

/// Returns whether `Content-Range` is that of everything from `offset` on, of `size` bytes or of an unknown number.
fn is_rest(headers: &HeaderMap, offset: u64, size: u64) -> bool {
    let parse = || {
        let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (unit, rest) = value.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total_fits = total == "*" || total.parse::<u64>().ok()? == size;
        let last: u64 = last.parse().ok()?;
        Some(
            unit.eq_ignore_ascii_case("bytes")
                && total_fits
                && first.parse::<u64>().ok()? == offset
                && last.checked_add(1)? == size,
        )
    };
    parse().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rest(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_RANGE, HeaderValue::from_str(value).expect("a value"));
        is_rest(&headers, 5, 12)
    }

    #[test]
    fn only_the_range_that_was_asked_for_is_taken() {
        assert!(rest("bytes 5-11/12") && rest("Bytes 5-11/*"));
        for value in [
            "",
            "bytes",
            "bytes 5-11",
            "bytes 4-11/12",
            "bytes 6-11/12",
            "bytes 5-10/12",
            "bytes 5-12/12",
            "bytes 5-11/13",
            "bytes 5-18446744073709551615/12",
            "bytes */12",
            "items 5-11/12",
            "bytes -5-11/12",
        ] {
            assert!(!rest(value), "{value}");
        }
        assert!(!is_rest(&HeaderMap::new(), 5, 12));
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(value in "[ -~]{0,40}") {
            let _ = rest(&value);
        }
    }
}

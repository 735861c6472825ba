//! What a fault means for what was being done: one pure function, its whole table in the test below.

use http::StatusCode;
use oci_client::errors::OciErrorCode;

use crate::registry::error::{NetworkFault, RegistryError, Violation, Wait};

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Operation {
    /// HEAD, GET, ping: changes nothing.
    Ask,
    /// POST for an upload session.
    Open,
    /// PATCH of a chunk.
    Send,
    /// PUT that makes a session a blob.
    Commit,
    /// GET of a session's status.
    Status,
    /// PUT of a manifest: the same bytes under the same name any number of times.
    Name,
}

/// What went wrong, without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Fault {
    /// Name resolution, TCP or a proxy: no connection.
    Unreachable,
    /// A time limit passed.
    Late,
    /// The connection ended before the answer was complete.
    Cut,
    /// No TLS, no HTTP.
    Misplaced,
    /// An answer that says "taken" before everything was sent.
    Early,
    /// The registry's count of bytes does not follow ours.
    Miscounted,
    /// The digest of what arrived is not the digest it should have, by the registry's reckoning.
    Garbled,
    /// The registry does not accept how the session is used.
    Misused,
    /// The registry does not do this at all.
    Unsupported,
    /// A refusal.
    Status(StatusCode),
    /// An answer against the specification, another digest.
    Wrong,
    /// Our own blob, our own settings.
    Ours,
    /// Somebody asked to stop.
    Stopped,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Reaction {
    /// Nothing helps.
    Fail,
    /// The same again, after a wait.
    Again,
    /// Ask the registry how far it got, after a wait.
    Inquire,
    /// The same, although both are sure of different offsets: the second time means a new session.
    Realign,
    /// The session is gone.
    Gone,
    /// A new session from the first byte.
    Restart,
    /// The same in smaller requests.
    Shrink,
}

impl Fault {
    pub(in crate::registry) fn of(error: &RegistryError) -> Self {
        match error {
            RegistryError::Network { fault, .. } => match fault {
                // The proxy will say the same again.
                NetworkFault::Proxy { answer: Some(status), .. } if status.is_client_error() => Self::Ours,
                NetworkFault::Dns
                | NetworkFault::Refused
                | NetworkFault::Unreachable
                | NetworkFault::Proxy { .. }
                | NetworkFault::Timeout { wait: Wait::Connect, .. } => Self::Unreachable,
                NetworkFault::Timeout { wait: Wait::Stall | Wait::Answer | Wait::Slow, .. } => Self::Late,
                NetworkFault::Reset
                | NetworkFault::Closed
                | NetworkFault::Stale
                | NetworkFault::Unprocessed
                | NetworkFault::Http2(_)
                | NetworkFault::Http11Required
                | NetworkFault::Other(_) => Self::Cut,
                NetworkFault::Tls { .. } | NetworkFault::NotHttp | NetworkFault::Verbose => Self::Misplaced,
            },
            RegistryError::Protocol { violation, .. } => match violation {
                Violation::Offset { .. } => Self::Miscounted,
                Violation::Status(status) if status.is_success() => Self::Early,
                _ => Self::Wrong,
            },
            RegistryError::Source { .. }
            | RegistryError::SourceDigest { .. }
            | RegistryError::Address(_)
            | RegistryError::ProxyAddress(_)
            | RegistryError::Tls(_) => Self::Ours,
            RegistryError::Interrupted => Self::Stopped,
            RegistryError::Document { .. }
            | RegistryError::Misled { .. }
            | RegistryError::LostPort { .. }
            | RegistryError::DigestMismatch { .. }
            | RegistryError::Referrers { .. }
            | RegistryError::Stale { .. } => Self::Wrong,
            RegistryError::Overdue(_) => Self::Late,
            RegistryError::Away { .. } => Self::Unreachable,
            refused => refused.refusal().map_or(Self::Wrong, |refused| {
                let says = |code: &OciErrorCode| refused.refusal.names(code);
                let status = refused.refusal.status;
                match status {
                    // Bytes that do not fit now do not fit a second later, and each attempt takes up more room.
                    _ if refused.refusal.storage_full => Self::Status(StatusCode::INSUFFICIENT_STORAGE),
                    StatusCode::BAD_REQUEST if says(&OciErrorCode::DigestInvalid) => Self::Garbled,
                    StatusCode::BAD_REQUEST
                        if says(&OciErrorCode::BlobUploadInvalid) || says(&OciErrorCode::SizeInvalid) =>
                    {
                        Self::Misused
                    }
                    StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Self::Unsupported,
                    _ if says(&OciErrorCode::Unsupported) => Self::Unsupported,
                    status => Self::Status(status),
                }
            }),
        }
    }
}

/// What to do about `fault` during `operation`. `met` says whether the registry ever answered in this run:
/// where nobody ever did, a wrong address is likelier than a bad moment, and is told at once.
pub(in crate::registry) fn reaction(operation: Operation, fault: Fault, met: bool) -> Reaction {
    let transfer = matches!(operation, Operation::Send | Operation::Commit);
    let session = transfer || operation == Operation::Status;
    let passing = if transfer { Reaction::Inquire } else { Reaction::Again };
    match fault {
        Fault::Unreachable | Fault::Late if !met => Reaction::Fail,
        Fault::Unreachable | Fault::Late | Fault::Cut => passing,
        Fault::Early if transfer => Reaction::Inquire,
        Fault::Miscounted | Fault::Garbled | Fault::Misused if session => Reaction::Restart,
        Fault::Unsupported if operation == Operation::Send => Reaction::Restart,
        Fault::Early
        | Fault::Miscounted
        | Fault::Garbled
        | Fault::Misused
        | Fault::Unsupported
        | Fault::Misplaced
        | Fault::Wrong
        | Fault::Ours
        | Fault::Stopped => Reaction::Fail,
        Fault::Status(status) => match status.as_u16() {
            404 | 410 if session => Reaction::Gone,
            413 if transfer => Reaction::Shrink,
            416 if transfer => Reaction::Realign,
            // 499 and 52x are proxies that lost the registry.
            408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524 => passing,
            _ => Reaction::Fail,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use http::{HeaderMap, Method};

    use super::*;
    use crate::registry::error::RequestFacts;
    use crate::registry::http::error_response::Refusal;

    const OPERATIONS: [Operation; 6] =
        [Operation::Ask, Operation::Open, Operation::Send, Operation::Status, Operation::Commit, Operation::Name];

    #[test]
    fn the_whole_table() {
        let mut faults = vec![
            Fault::Unreachable,
            Fault::Late,
            Fault::Cut,
            Fault::Misplaced,
            Fault::Early,
            Fault::Miscounted,
            Fault::Garbled,
            Fault::Misused,
            Fault::Unsupported,
            Fault::Wrong,
            Fault::Ours,
            Fault::Stopped,
        ];
        let statuses =
            [301, 400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 416, 425, 429, 499, 500, 502, 503, 504, 507, 522];
        let status = |code| Fault::Status(StatusCode::from_u16(code).expect("a status"));
        faults.extend(statuses.map(status));
        let mut table = String::new();
        for met in [true, false] {
            let cells: Vec<String> = OPERATIONS.iter().map(|operation| format!("{operation:?}")).collect();
            let _ = writeln!(table, "{}", row(if met { "met before" } else { "never met" }, &cells));
            for fault in &faults {
                let reactions = OPERATIONS.map(|operation| reaction(operation, *fault, met));
                let same = OPERATIONS.map(|operation| reaction(operation, *fault, true)) == reactions;
                if met || !same {
                    let name = match fault {
                        Fault::Status(status) => status.as_str().to_owned(),
                        fault => format!("{fault:?}"),
                    };
                    let cells: Vec<String> = reactions.iter().map(|reaction| format!("{reaction:?}")).collect();
                    let _ = writeln!(table, "{}", row(&name, &cells));
                }
            }
        }
        insta::assert_snapshot!(table, @r"
        met before   Ask      Open     Send     Status   Commit   Name
        Unreachable  Again    Again    Inquire  Again    Inquire  Again
        Late         Again    Again    Inquire  Again    Inquire  Again
        Cut          Again    Again    Inquire  Again    Inquire  Again
        Misplaced    Fail     Fail     Fail     Fail     Fail     Fail
        Early        Fail     Fail     Inquire  Fail     Inquire  Fail
        Miscounted   Fail     Fail     Restart  Restart  Restart  Fail
        Garbled      Fail     Fail     Restart  Restart  Restart  Fail
        Misused      Fail     Fail     Restart  Restart  Restart  Fail
        Unsupported  Fail     Fail     Restart  Fail     Fail     Fail
        Wrong        Fail     Fail     Fail     Fail     Fail     Fail
        Ours         Fail     Fail     Fail     Fail     Fail     Fail
        Stopped      Fail     Fail     Fail     Fail     Fail     Fail
        301          Fail     Fail     Fail     Fail     Fail     Fail
        400          Fail     Fail     Fail     Fail     Fail     Fail
        401          Fail     Fail     Fail     Fail     Fail     Fail
        403          Fail     Fail     Fail     Fail     Fail     Fail
        404          Fail     Fail     Gone     Gone     Gone     Fail
        408          Again    Again    Inquire  Again    Inquire  Again
        409          Fail     Fail     Fail     Fail     Fail     Fail
        410          Fail     Fail     Gone     Gone     Gone     Fail
        412          Fail     Fail     Fail     Fail     Fail     Fail
        413          Fail     Fail     Shrink   Fail     Shrink   Fail
        415          Fail     Fail     Fail     Fail     Fail     Fail
        416          Fail     Fail     Realign  Fail     Realign  Fail
        425          Again    Again    Inquire  Again    Inquire  Again
        429          Again    Again    Inquire  Again    Inquire  Again
        499          Again    Again    Inquire  Again    Inquire  Again
        500          Again    Again    Inquire  Again    Inquire  Again
        502          Again    Again    Inquire  Again    Inquire  Again
        503          Again    Again    Inquire  Again    Inquire  Again
        504          Again    Again    Inquire  Again    Inquire  Again
        507          Fail     Fail     Fail     Fail     Fail     Fail
        522          Again    Again    Inquire  Again    Inquire  Again
        never met    Ask      Open     Send     Status   Commit   Name
        Unreachable  Fail     Fail     Fail     Fail     Fail     Fail
        Late         Fail     Fail     Fail     Fail     Fail     Fail
        ");
    }

    fn row(name: &str, cells: &[String]) -> String {
        cells.iter().fold(format!("{name:12}"), |line, cell| format!("{line} {cell:8}")).trim_end().to_owned()
    }

    fn refused(status: u16, body: &str) -> Fault {
        let status = StatusCode::from_u16(status).expect("a status");
        let refusal = Refusal::read(status, &HeaderMap::new(), body.as_bytes(), jiff::Timestamp::UNIX_EPOCH);
        let request = RequestFacts::of(&Method::PUT, &"http://h/u".parse().expect("a URI"));
        Fault::of(&RegistryError::refused(request, refusal, true))
    }

    #[test]
    fn a_bad_request_is_told_by_its_code() {
        let coded = |code: &str| refused(400, &format!(r#"{{"errors":[{{"code":"{code}","message":""}}]}}"#));
        assert_eq!(coded("DIGEST_INVALID"), Fault::Garbled);
        assert_eq!(coded("BLOB_UPLOAD_INVALID"), Fault::Misused);
        assert_eq!(coded("SIZE_INVALID"), Fault::Misused);
        assert_eq!(coded("UNSUPPORTED"), Fault::Unsupported);
        assert_eq!(coded("NAME_INVALID"), Fault::Status(StatusCode::BAD_REQUEST));
        assert_eq!(refused(500, "DIGEST_INVALID"), Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(refused(202, ""), Fault::Early);
        assert_eq!(refused(500, "no space left on device"), Fault::Status(StatusCode::INSUFFICIENT_STORAGE));
    }

    #[test]
    fn what_a_registry_does_not_do_is_told_by_status_or_code() {
        for status in [405, 501] {
            assert_eq!(refused(status, ""), Fault::Unsupported);
        }
    }
}

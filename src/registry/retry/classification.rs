//! Decides what a fault means for the operation that met it: one pure function, with its whole table in the test below.

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
    /// PUT of a manifest: it can be repeated any number of times.
    Name,
}

/// What went wrong, without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum FailureClass {
    /// Name resolution, TCP or a proxy: no connection.
    Unreachable,
    /// A time limit passed.
    TimedOut,
    /// The connection ended before the answer was complete.
    Disconnected,
    /// No TLS, no HTTP.
    WrongProtocol,
    /// An answer that says "taken" before everything was sent.
    EarlyAnswer,
    /// The registry's count of bytes does not follow ours.
    OffsetMismatch,
    /// The digest of what arrived is not the digest it should have, by the registry's reckoning.
    DigestMismatch,
    /// The registry does not accept how the session is used.
    SessionRejected,
    /// The registry does not do this at all.
    Unsupported,
    /// A refusal.
    Status(StatusCode),
    /// An answer against the specification, another digest.
    Violation,
    /// Our own blob, our own settings.
    Local,
    /// The work was asked to stop.
    Cancelled,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Recovery {
    /// Nothing helps.
    Fail,
    /// Repeat the request after a wait.
    Retry,
    /// Ask the registry how far it got, after a wait.
    QueryOffset,
    /// Ask for the offset after a wait, because the registry denies ours; the second time, start a new session.
    SyncOffset,
    /// The session is gone.
    SessionLost,
    /// A new session from the first byte.
    Restart,
    /// Send the bytes again in smaller requests.
    ShrinkRequests,
}

impl FailureClass {
    pub(in crate::registry) fn of(error: &RegistryError) -> Self {
        match error {
            RegistryError::Network { fault, .. } => match fault {
                // The proxy would refuse again.
                NetworkFault::Proxy { answer: Some(status), .. } if status.is_client_error() => Self::Local,
                NetworkFault::Dns
                | NetworkFault::Refused
                | NetworkFault::Unreachable
                | NetworkFault::Proxy { .. }
                | NetworkFault::Timeout { wait: Wait::Connect, .. } => Self::Unreachable,
                NetworkFault::Timeout { wait: Wait::Stall | Wait::Answer | Wait::Slow, .. } => Self::TimedOut,
                NetworkFault::Reset
                | NetworkFault::Closed
                | NetworkFault::Stale
                | NetworkFault::Unprocessed
                | NetworkFault::Http2(_)
                | NetworkFault::Http11Required
                | NetworkFault::Other(_) => Self::Disconnected,
                NetworkFault::Tls { .. } | NetworkFault::NotHttp | NetworkFault::Verbose => Self::WrongProtocol,
            },
            RegistryError::Protocol { violation, .. } => match violation {
                Violation::Offset { .. } => Self::OffsetMismatch,
                Violation::Status(status) if status.is_success() => Self::EarlyAnswer,
                _ => Self::Violation,
            },
            RegistryError::Source { .. }
            | RegistryError::SourceDigest { .. }
            | RegistryError::Address(_)
            | RegistryError::ProxyAddress(_)
            | RegistryError::Tls(_) => Self::Local,
            RegistryError::Interrupted => Self::Cancelled,
            RegistryError::Document { .. }
            | RegistryError::Misled { .. }
            | RegistryError::LostPort { .. }
            | RegistryError::DigestMismatch { .. }
            | RegistryError::Referrers { .. }
            | RegistryError::Stale { .. } => Self::Violation,
            RegistryError::Overdue(_) => Self::TimedOut,
            RegistryError::Away { .. } => Self::Unreachable,
            refused => refused.error_response().map_or(Self::Violation, |refused| {
                let says = |code: &OciErrorCode| refused.response.names(code);
                let status = refused.response.status;
                match status {
                    // Bytes that do not fit now do not fit a second later, and each attempt takes up more room.
                    _ if refused.response.storage_full => Self::Status(StatusCode::INSUFFICIENT_STORAGE),
                    StatusCode::BAD_REQUEST if says(&OciErrorCode::DigestInvalid) => Self::DigestMismatch,
                    StatusCode::BAD_REQUEST
                        if says(&OciErrorCode::BlobUploadInvalid) || says(&OciErrorCode::SizeInvalid) =>
                    {
                        Self::SessionRejected
                    }
                    StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Self::Unsupported,
                    _ if says(&OciErrorCode::Unsupported) => Self::Unsupported,
                    status => Self::Status(status),
                }
            }),
        }
    }
}

/// Returns what to do about `fault` during `operation`. `met` says whether the registry ever answered in this run: if
/// it never did, a wrong address is likelier than an outage, and the error is reported at once.
pub(in crate::registry) fn recovery(operation: Operation, fault: FailureClass, met: bool) -> Recovery {
    let transfer = matches!(operation, Operation::Send | Operation::Commit);
    let session = transfer || operation == Operation::Status;
    let passing = if transfer { Recovery::QueryOffset } else { Recovery::Retry };
    match fault {
        FailureClass::Unreachable | FailureClass::TimedOut if !met => Recovery::Fail,
        FailureClass::Unreachable | FailureClass::TimedOut | FailureClass::Disconnected => passing,
        FailureClass::EarlyAnswer if transfer => Recovery::QueryOffset,
        FailureClass::OffsetMismatch | FailureClass::DigestMismatch | FailureClass::SessionRejected if session => {
            Recovery::Restart
        }
        FailureClass::Unsupported if operation == Operation::Send => Recovery::Restart,
        FailureClass::EarlyAnswer
        | FailureClass::OffsetMismatch
        | FailureClass::DigestMismatch
        | FailureClass::SessionRejected
        | FailureClass::Unsupported
        | FailureClass::WrongProtocol
        | FailureClass::Violation
        | FailureClass::Local
        | FailureClass::Cancelled => Recovery::Fail,
        FailureClass::Status(status) => match status.as_u16() {
            404 | 410 if session => Recovery::SessionLost,
            413 if transfer => Recovery::ShrinkRequests,
            416 if transfer => Recovery::SyncOffset,
            // 499 and 52x are answers of proxies that lost the registry.
            408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524 => passing,
            _ => Recovery::Fail,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use http::{HeaderMap, Method};

    use super::*;
    use crate::registry::error::RequestFacts;
    use crate::registry::http::error_response::ErrorResponse;

    const OPERATIONS: [Operation; 6] =
        [Operation::Ask, Operation::Open, Operation::Send, Operation::Status, Operation::Commit, Operation::Name];

    #[test]
    fn the_whole_table() {
        let mut faults = vec![
            FailureClass::Unreachable,
            FailureClass::TimedOut,
            FailureClass::Disconnected,
            FailureClass::WrongProtocol,
            FailureClass::EarlyAnswer,
            FailureClass::OffsetMismatch,
            FailureClass::DigestMismatch,
            FailureClass::SessionRejected,
            FailureClass::Unsupported,
            FailureClass::Violation,
            FailureClass::Local,
            FailureClass::Cancelled,
        ];
        let statuses =
            [301, 400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 416, 425, 429, 499, 500, 502, 503, 504, 507, 522];
        let status = |code| FailureClass::Status(StatusCode::from_u16(code).expect("a status"));
        faults.extend(statuses.map(status));
        let mut table = String::new();
        for met in [true, false] {
            let cells: Vec<String> = OPERATIONS.iter().map(|operation| format!("{operation:?}")).collect();
            let _ = writeln!(table, "{}", row(if met { "met before" } else { "never met" }, &cells));
            for fault in &faults {
                let reactions = OPERATIONS.map(|operation| recovery(operation, *fault, met));
                let same = OPERATIONS.map(|operation| recovery(operation, *fault, true)) == reactions;
                if met || !same {
                    let name = match fault {
                        FailureClass::Status(status) => status.as_str().to_owned(),
                        fault => format!("{fault:?}"),
                    };
                    let cells: Vec<String> = reactions.iter().map(|reaction| format!("{reaction:?}")).collect();
                    let _ = writeln!(table, "{}", row(&name, &cells));
                }
            }
        }
        insta::assert_snapshot!(table, @r"
        met before      Ask            Open           Send           Status         Commit         Name
        Unreachable     Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        TimedOut        Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        Disconnected    Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        WrongProtocol   Fail           Fail           Fail           Fail           Fail           Fail
        EarlyAnswer     Fail           Fail           QueryOffset    Fail           QueryOffset    Fail
        OffsetMismatch  Fail           Fail           Restart        Restart        Restart        Fail
        DigestMismatch  Fail           Fail           Restart        Restart        Restart        Fail
        SessionRejected Fail           Fail           Restart        Restart        Restart        Fail
        Unsupported     Fail           Fail           Restart        Fail           Fail           Fail
        Violation       Fail           Fail           Fail           Fail           Fail           Fail
        Local           Fail           Fail           Fail           Fail           Fail           Fail
        Cancelled       Fail           Fail           Fail           Fail           Fail           Fail
        301             Fail           Fail           Fail           Fail           Fail           Fail
        400             Fail           Fail           Fail           Fail           Fail           Fail
        401             Fail           Fail           Fail           Fail           Fail           Fail
        403             Fail           Fail           Fail           Fail           Fail           Fail
        404             Fail           Fail           SessionLost    SessionLost    SessionLost    Fail
        408             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        409             Fail           Fail           Fail           Fail           Fail           Fail
        410             Fail           Fail           SessionLost    SessionLost    SessionLost    Fail
        412             Fail           Fail           Fail           Fail           Fail           Fail
        413             Fail           Fail           ShrinkRequests Fail           ShrinkRequests Fail
        415             Fail           Fail           Fail           Fail           Fail           Fail
        416             Fail           Fail           SyncOffset     Fail           SyncOffset     Fail
        425             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        429             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        499             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        500             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        502             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        503             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        504             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        507             Fail           Fail           Fail           Fail           Fail           Fail
        522             Retry          Retry          QueryOffset    Retry          QueryOffset    Retry
        never met       Ask            Open           Send           Status         Commit         Name
        Unreachable     Fail           Fail           Fail           Fail           Fail           Fail
        TimedOut        Fail           Fail           Fail           Fail           Fail           Fail
        ");
    }

    fn row(name: &str, cells: &[String]) -> String {
        cells.iter().fold(format!("{name:15}"), |line, cell| format!("{line} {cell:14}")).trim_end().to_owned()
    }

    fn refused(status: u16, body: &str) -> FailureClass {
        let status = StatusCode::from_u16(status).expect("a status");
        let refusal = ErrorResponse::read(status, &HeaderMap::new(), body.as_bytes(), jiff::Timestamp::UNIX_EPOCH);
        let request = RequestFacts::of(&Method::PUT, &"http://h/u".parse().expect("a URI"));
        FailureClass::of(&RegistryError::refused(request, refusal, true))
    }

    #[test]
    fn a_bad_request_is_told_by_its_code() {
        let coded = |code: &str| refused(400, &format!(r#"{{"errors":[{{"code":"{code}","message":""}}]}}"#));
        assert_eq!(coded("DIGEST_INVALID"), FailureClass::DigestMismatch);
        assert_eq!(coded("BLOB_UPLOAD_INVALID"), FailureClass::SessionRejected);
        assert_eq!(coded("SIZE_INVALID"), FailureClass::SessionRejected);
        assert_eq!(coded("UNSUPPORTED"), FailureClass::Unsupported);
        assert_eq!(coded("NAME_INVALID"), FailureClass::Status(StatusCode::BAD_REQUEST));
        assert_eq!(refused(500, "DIGEST_INVALID"), FailureClass::Status(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(refused(202, ""), FailureClass::EarlyAnswer);
        assert_eq!(refused(500, "no space left on device"), FailureClass::Status(StatusCode::INSUFFICIENT_STORAGE));
    }

    #[test]
    fn what_a_registry_does_not_do_is_told_by_status_or_code() {
        for status in [405, 501] {
            assert_eq!(refused(status, ""), FailureClass::Unsupported);
        }
    }
}

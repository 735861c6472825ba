//! Recognises that a registry, or a gateway in front of it, is away: for every request alike, and it may pass.

use super::classification::FailureClass;
use crate::registry::error::{Absence, RegistryError};

/// Returns why the registry may be away, if `error` can mean that.
///
/// One request that fails like this may have met a fault of its own. Only a request that asks for nothing in
/// particular, and fails like this as well, shows that the registry is away.
pub(in crate::registry) fn absence(error: &RegistryError) -> Option<Absence> {
    if let RegistryError::Network { fault, .. } = error {
        let passes = matches!(
            FailureClass::of(error),
            FailureClass::Unreachable | FailureClass::TimedOut | FailureClass::Disconnected
        );
        return (passes && !error.is_stale()).then(|| Absence::Network(fault.clone()));
    }
    let refused = error.error_response()?;
    Absence::answered(refused.response.status, refused.response.server.as_deref())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::SERVER;
    use http::{HeaderMap, HeaderValue, Method, StatusCode};

    use super::*;
    use crate::registry::error::{NetworkFault, RequestFacts, Violation, Wait};
    use crate::registry::http::error_response::ErrorResponse;

    fn request() -> RequestFacts {
        RequestFacts::of(&Method::PATCH, &"http://h/u".parse().expect("a URI"))
    }

    fn described(error: &RegistryError) -> Option<String> {
        absence(error).map(|absence| absence.to_string())
    }

    #[test]
    fn statuses() {
        for (status, server, expected) in [
            (502, "nginx", Some("502 from nginx")),
            (502, "nginx/1.27.1 (Ubuntu)", Some("502 from nginx")),
            (503, "", Some("503 Service Unavailable")),
            (504, "awselb/2.0", Some("504 from awselb")),
            (521, "cloudflare", Some("521 from cloudflare")),
            (400, "nginx", None),
            (401, "nginx", None),
            (404, "nginx", None),
            (408, "nginx", None),
            (413, "nginx", None),
            (429, "nginx", None),
            (500, "nginx", None),
            (501, "nginx", None),
            (507, "nginx", None),
            (524, "cloudflare", None),
        ] {
            let headers = HeaderMap::from_iter([(SERVER, HeaderValue::from_static(server))]);
            let code = StatusCode::from_u16(status).expect("a status");
            let refusal = ErrorResponse::read(code, &headers, b"<html>", jiff::Timestamp::UNIX_EPOCH);
            let error = RegistryError::refused(request(), refusal, true);
            assert_eq!(described(&error).as_deref(), expected, "{status}");
        }
    }

    #[test]
    fn faults_of_the_network() {
        let second = Duration::from_secs(1);
        let timeout = |wait| NetworkFault::Timeout { wait, limit: second };
        for (fault, expected) in [
            (NetworkFault::Refused, true),
            (NetworkFault::Unreachable, true),
            (NetworkFault::Dns, true),
            (NetworkFault::Reset, true),
            (NetworkFault::Closed, true),
            (NetworkFault::Proxy { proxy: "p:1".to_owned(), answer: None }, true),
            (NetworkFault::Other(String::new()), true),
            (timeout(Wait::Connect), true),
            (timeout(Wait::Answer), true),
            (timeout(Wait::Stall), true),
            (NetworkFault::Stale, false),
            (NetworkFault::NotHttp, false),
            (NetworkFault::Verbose, false),
        ] {
            let text = fault.to_string();
            let error = RegistryError::Network { request: request(), fault, source: None };
            assert_eq!(described(&error), expected.then_some(text), "{error:?}");
        }
        assert_eq!(described(&RegistryError::Interrupted), None);
        let violation = Violation::NoLocation;
        assert_eq!(described(&RegistryError::Protocol { request: request(), violation }), None);
    }
}

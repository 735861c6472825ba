//! Why a registry, or a gateway in front of it, is away.

use std::fmt;

use http::StatusCode;

use super::network::NetworkFault;

/// Why a registry could not be reached.
#[derive(Debug, Clone)]
pub enum Absence {
    /// There was no answer.
    Network(NetworkFault),
    /// What stands in front of the registry answered in its place.
    Answer {
        /// The status.
        status: StatusCode,
        /// The product that its `Server` header names.
        server: Option<String>,
    },
}

impl Absence {
    /// Returns the absence that an answer with `status` means, if it means one.
    pub(in crate::registry) fn answered(status: StatusCode, server: Option<&str>) -> Option<Self> {
        let product = |server: &str| server.split(['/', ' ']).next().unwrap_or_default().to_owned();
        let server = server.map(product).filter(|server| !server.is_empty());
        is_gateway_fault(status).then_some(Self::Answer { status, server })
    }
}

/// Returns whether gateways answer with `status` when they do not reach what is behind them. 520 to 523 are Cloudflare's.
pub(in crate::registry) fn is_gateway_fault(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502 | 503 | 504 | 520..=523)
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(fault) => fault.fmt(f),
            Self::Answer { status, server: Some(server) } => write!(f, "{} from {server}", status.as_u16()),
            Self::Answer { status, server: None } => status.fmt(f),
        }
    }
}

//! A tunnel through a proxy (CONNECT, RFC 9110 section 9.3.6), and what the proxy says where it makes none.

use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use bytes::Bytes;

/// Bytes that the head of a proxy's answer may have.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    /// The proxy answered, and did not connect.
    #[error("the proxy answered {0}")]
    Refused(StatusCode),
    /// The proxy did not answer in HTTP, or its connection ended.
    #[error("the proxy did not answer")]
    Http(#[from] hyper::Error),
    /// The other side spoke before it was spoken to.
    #[error("the proxy sent bytes of its own into the tunnel")]
    Early,
    /// The host of the registry cannot be put into a request.
    #[error("the address is not valid")]
    Address(#[from] http::Error),
}

/// Asks the proxy at the other end of `io` for a tunnel to `target`.
pub(super) async fn open(
    io: TokioIo<TcpStream>,
    target: &Uri,
    authorization: Option<HeaderValue>,
) -> Result<TokioIo<TcpStream>, TunnelError> {
    let host = target.host().unwrap_or_default();
    let authority = format!("{host}:{}", target.port_u16().unwrap_or(443));
    let mut request = Request::connect(authority.as_str()).header(HOST, authority.as_str());
    if let Some(authorization) = authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(io).await?;
    let driver = tokio::spawn(connection.with_upgrades());
    let answer = sender.send_request(request).await;
    let answer = match answer {
        Ok(answer) if answer.status().is_success() => answer,
        Ok(answer) => {
            driver.abort();
            return Err(TunnelError::Refused(answer.status()));
        }
        Err(error) => return Err(error.into()),
    };
    let upgraded = hyper::upgrade::on(answer).await?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("the connection was made of this stream");
    if parts.read_buf.is_empty() { Ok(parts.io) } else { Err(TunnelError::Early) }
}

//! A TLS server with any certificate, which counts what it is sent after the handshake.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme, StreamOwned};

/// A certificate made now, and its key.
pub struct Identity {
    params: CertificateParams,
    issuer: Option<CertifiedIssuer<'static, KeyPair>>,
    /// The certificate's key.
    pub key: KeyPair,
    /// The certificate, DER.
    der: CertificateDer<'static>,
    /// The certificate.
    pub pem: String,
    /// The authority's certificate, where it has one.
    pub authority: Option<String>,
}

impl Identity {
    /// idpbuilder's form: its own authority, shown as the server's certificate.
    pub fn of_idpbuilder(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "cnoe.io");
        Self::sign(params, None)
    }

    /// Signed by an authority of its own.
    pub fn of_an_authority(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        Self::sign(CertificateParams::new(vec![name.to_owned()]).expect("a name"), Some(issuer))
    }

    /// The same from the first day of one year to that of another.
    #[must_use]
    pub fn valid(mut self, from: i32, to: i32) -> Self {
        self.params.not_before = date_time_ymd(from, 1, 1);
        self.params.not_after = date_time_ymd(to, 1, 1);
        Self::sign(self.params, self.issuer)
    }

    /// The same until so many days from now.
    #[must_use]
    pub fn ending_in(mut self, days: i64) -> Self {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let end = today.saturating_add(jiff::Span::new().days(days));
        let part = |part: i8| u8::try_from(part).expect("positive");
        self.params.not_before = date_time_ymd(2020, 1, 1);
        self.params.not_after = date_time_ymd(i32::from(end.year()), part(end.month()), part(end.day()));
        Self::sign(self.params, self.issuer)
    }

    fn sign(params: CertificateParams, issuer: Option<CertifiedIssuer<'static, KeyPair>>) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = match &issuer {
            Some(issuer) => params.signed_by(&key, issuer).expect("signed"),
            None => params.self_signed(&key).expect("signed"),
        };
        let authority = issuer.as_ref().map(rcgen::CertifiedIssuer::pem);
        Self { params, issuer, key, der: certificate.der().clone(), pem: certificate.pem(), authority }
    }

    /// The certificate and its authority's.
    pub fn chain_pem(&self) -> String {
        format!("{}{}", self.pem, self.authority.as_deref().unwrap_or_default())
    }
}

/// The protocol versions that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
    /// TLS 1.2 and 1.3.
    Any,
}

struct Shared {
    config: Arc<ServerConfig>,
    received: AtomicUsize,
    /// The name that was asked for in the handshake, and the head of the request, of the last connection with one.
    last: Mutex<(Option<String>, String)>,
    stop: AtomicBool,
}

/// A running server; stops listening when dropped.
pub struct Impostor {
    /// `host:port`.
    pub address: String,
    /// The certificate that is shown.
    pub pem: String,
    socket: SocketAddr,
    shared: Arc<Shared>,
}

impl Impostor {
    /// Starts a server that shows `identity`.
    pub fn start(identity: Identity, version: Version) -> Self {
        Self::serve(identity, version, None)
    }

    /// Demands this client certificate (PEM) and no other.
    pub fn demanding(identity: Identity, client: &[u8]) -> Self {
        let client = CertificateDer::from_pem_slice(client).expect("a certificate");
        Self::serve(identity, Version::Any, Some(client))
    }

    fn serve(identity: Identity, version: Version, client: Option<CertificateDer<'static>>) -> Self {
        let versions = match version {
            Version::Tls12 => vec![&TLS12],
            Version::Tls13 => vec![&TLS13],
            Version::Any => vec![&TLS12, &TLS13],
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder = builder.expect("versions that the provider has");
        let builder = match client {
            Some(client) => builder.with_client_cert_verifier(Arc::new(Exactly(client))),
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let config = builder.with_single_cert(vec![identity.der.clone()], key).expect("a pair");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let socket = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            config: Arc::new(config),
            received: AtomicUsize::new(0),
            last: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if server.stop.load(Ordering::SeqCst) {
                    return;
                }
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.answer(stream));
            }
        });
        Self { address: socket.to_string(), pem: identity.pem, socket, shared }
    }

    /// The server name of the last handshake that a request followed, and the head of that request.
    pub fn last(&self) -> (Option<String>, String) {
        self.shared.last.lock().expect("unpoisoned").clone()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.socket.port()
    }

    /// Bytes that arrived after a handshake.
    pub fn received(&self) -> usize {
        self.shared.received.load(Ordering::SeqCst)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.socket);
    }
}

impl Shared {
    /// Reads a request's head and refuses it.
    fn answer(&self, stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
        let connection = ServerConnection::new(Arc::clone(&self.config)).expect("a configuration");
        let mut stream = StreamOwned::new(connection, stream);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            self.received.fetch_add(1, Ordering::SeqCst);
            head.push(byte[0]);
        }
        if !head.is_empty() {
            let name = stream.conn.server_name().map(str::to_owned);
            *self.last.lock().expect("unpoisoned") = (name, String::from_utf8_lossy(&head).into_owned());
        }
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.conn.send_close_notify();
        let _ = stream.flush();
        // Closed with unread bytes, a connection is reset, and what was said last may be lost.
        let _ = stream.sock.shutdown(std::net::Shutdown::Write);
        let mut rest = [0; 1024];
        while matches!(stream.sock.read(&mut rest), Ok(1..)) {}
    }
}

#[derive(Debug)]
struct Exactly(CertificateDer<'static>);

impl ClientCertVerifier for Exactly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if *shown == self.0 {
            return Ok(ClientCertVerified::assertion());
        }
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

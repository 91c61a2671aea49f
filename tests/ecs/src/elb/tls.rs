//! TLS of HTTPS listeners. The certificate is this process's own: the key of one that ACM made is nobody's to have. So a
//! client learns that the connection is encrypted, and nothing about the domain.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take to say hello.
const HELLO: Duration = Duration::from_secs(5);

/// Makes a certificate and the configuration that shows it, with TLS 1.2 and 1.3, which is all that rustls has and what every
/// policy since `ELBSecurityPolicy-TLS13-1-2-2021-06` allows. `openssl` writes the key to a pipe.
pub(crate) fn configuration() -> Result<Arc<ServerConfig>, String> {
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 365 -subj /CN=sandbox -keyout /dev/stdout";
    let output = Command::new("openssl")
        .args(words.split(' '))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("openssl: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("openssl: {}", said.trim()));
    }
    let wrong = |error: rustls::pki_types::pem::Error| error.to_string();
    let key = PrivateKeyDer::from_pem_slice(&output.stdout).map_err(wrong)?;
    let certificate = CertificateDer::from_pem_slice(&output.stdout).map_err(wrong)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
        });
    config.map(Arc::new).map_err(|error| error.to_string())
}

/// A socket whose connections are encrypted.
pub(super) struct Secured {
    socket: TcpListener,
    acceptor: TlsAcceptor,
}

impl Secured {
    pub(super) fn new(socket: TcpListener, config: Arc<ServerConfig>) -> Self {
        let acceptor = TlsAcceptor::from(config);
        Self { socket, acceptor }
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.socket).await;
            let secured = tokio::time::timeout(HELLO, self.acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = secured {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.socket.local_addr()
    }
}

/// The client's address.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, Secured>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Secured>) -> Self {
        Self(*stream.remote_addr())
    }
}

//! The hosts that the binaries call, all on one TLS server with a certificate of a private authority.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, ServerConfig, ServerConnection, StreamOwned};

/// How long a connection may stand idle.
const TIMEOUT: Duration = Duration::from_secs(300);

/// One request, whole.
pub(crate) struct Request {
    /// The host that the client named in its handshake.
    pub(crate) host: String,
    /// Method and path.
    pub(crate) line: String,
    /// The header lines, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The HTTP response of a host.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header lines, each with its end; the length is added.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// So many bytes of the body are announced and never sent.
    pub(crate) kept: usize,
}

impl From<(u16, &str, String)> for Answer {
    /// Status, content type, body.
    fn from((status, kind, body): (u16, &str, String)) -> Self {
        Self {
            status,
            head: format!("content-type: {kind}\r\n"),
            body: body.into_bytes(),
            kept: 0,
        }
    }
}

/// The outcome of one connection or request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request to this host was answered, and the answer written.
    Answered(String),
    /// The client named this host, then ended the handshake with this alert.
    Refused(String, AlertDescription),
}

pub(crate) struct Hosts {
    events: Arc<Mutex<Vec<Event>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hosts {
    /// Serves port 443 of `address`.
    pub(crate) fn start(
        address: Ipv4Addr,
        authority: &Authority,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 443)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let config = authority.server();
        let (events, stop) = (
            Arc::<Mutex<Vec<Event>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (log, end) = (events.clone(), stop.clone());
        let answer = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((socket, _)) => {
                        let (config, answer, log) = (config.clone(), answer.clone(), log.clone());
                        std::thread::spawn(move || converse(socket, config, &*answer, &log));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self {
            events,
            stop,
            thread: Some(thread),
        }
    }

    /// The events since the last call.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Speaks TLS and HTTP/1.1 with one client until it goes.
fn converse(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    answer: &dyn Fn(&Request) -> Answer,
    log: &Mutex<Vec<Event>>,
) {
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, socket));
    loop {
        // The first read shakes hands. A client judges the certificate after the server's part of that is over, so its
        // alert too arrives where a request is awaited.
        let request = read(&mut stream);
        let connection = &stream.get_ref().conn;
        let host = connection.server_name().unwrap_or("nobody").to_owned();
        match request {
            Ok(Some(request)) => {
                let answer = answer(&Request {
                    host: host.clone(),
                    ..request
                });
                if write(stream.get_mut(), &answer).is_err() {
                    return;
                }
                log.lock().unwrap().push(Event::Answered(host));
                if answer.kept > 0 {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                if let Some(rustls::Error::AlertReceived(alert)) = inner {
                    log.lock().unwrap().push(Event::Refused(host, *alert));
                }
                return;
            }
        }
    }
}

fn write(stream: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    let Answer { status, head, .. } = answer;
    let sent = answer.body.len().saturating_sub(answer.kept);
    let length = answer.body.len();
    // AWS dates every answer, and steps that judge by its time refuse without one.
    let now = time::OffsetDateTime::now_utc();
    let date = now
        .format(&time::format_description::well_known::Rfc2822)
        .map_err(std::io::Error::other)?
        .replace("+0000", "GMT");
    write!(
        stream,
        "HTTP/1.1 {status} Answer\r\n{head}date: {date}\r\ncontent-length: {length}\r\n\r\n"
    )?;
    stream.write_all(&answer.body[..sent])?;
    stream.flush()
}

/// The next request of a client, if it makes another one.
fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let (line, head) = head.split_once("\r\n").unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Request {
        host: String::new(),
        line,
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
    }))
}

/// A certificate authority nobody knows, and a certificate of it for every host.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn of(hosts: &[&str]) -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
        let config = format!(
            "[req]\ndistinguished_name = name\n[name]\n\
             [authority]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n\
             [hosts]\nbasicConstraints = CA:FALSE\nsubjectAltName = {}\n",
            names.join(", ")
        );
        std::fs::write(authority.file("config"), config).unwrap();
        authority.certify("authority", &[]);
        authority.certify(
            "hosts",
            &["-CA", "authority.pem", "-CAkey", "authority.key"],
        );
        authority
    }

    fn certify(&self, name: &str, signer: &[&str]) {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-config", "config", "-days", "2", "-noenc"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-subj", &format!("/CN=scratch {name}")])
            .args(["-extensions", name])
            .args(["-keyout", &format!("{name}.key")])
            .args(["-out", &format!("{name}.pem")])
            .args(signer)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The authority's own certificate, which a client that trusts it is given.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.file("authority.pem")
    }

    fn server(&self) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_file(self.file("hosts.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.file("hosts.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }
}

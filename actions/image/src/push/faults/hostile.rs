//! A proxy in front of a registry that does what networks and registries do at their worst. It speaks HTTP/1.1 by hand,
//! one request a connection, because servers that are kind to their clients cannot cut a connection where it hurts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A fault that the test injects into a request.
#[derive(Clone)]
pub(super) enum Act {
    /// Answer so, and do not ask the registry.
    Answer(u16, &'static str, String),
    /// Pass so many bytes of the body on, then drop both connections.
    Cut(usize),
    /// Pass the request on, and drop the answer.
    Lose,
    /// Pass it on, and answer with another status.
    Status(u16),
    /// Pass it on, and put a header in the answer, in place of its own.
    Header(&'static str, String),
    /// Pass it on without its query.
    NoQuery,
    /// Do something first.
    First(Arc<dyn Fn() + Send + Sync>),
    /// Never answer.
    Hang,
}

struct Rule {
    method: &'static str,
    path: String,
    skip: usize,
    times: usize,
    act: Act,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    /// Tokens that are let in, and what those that are not are told.
    tokens: Mutex<Vec<String>>,
    expired: Mutex<Option<(u16, String)>>,
    /// After so many further requests `tokens` loses its first.
    expires_after: Mutex<Option<usize>>,
}

#[derive(Clone)]
pub(super) struct Hostile {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Hostile {
    /// `login` is what the registry behind takes, as Basic wants it.
    pub(super) async fn new(behind: SocketAddr, login: String, tokens: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        *shared.tokens.lock().unwrap() = tokens.iter().map(|token| (*token).to_owned()).collect();
        let proxy = Self {
            address,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (shared, login) = (Arc::clone(&shared), login.clone());
                tokio::spawn(async move {
                    // A broken connection is what this is for.
                    let _ended = serve(client, behind, &login, &shared).await;
                });
            }
        });
        proxy
    }

    /// `act` on the next `times` requests like this.
    pub(super) fn rule(&self, method: &'static str, path: &str, times: usize, act: Act) {
        self.later(method, path, 0, times, act);
    }

    /// The same after `skip` requests like this.
    pub(super) fn later(
        &self,
        method: &'static str,
        path: &str,
        skip: usize,
        times: usize,
        act: Act,
    ) {
        self.shared.rules.lock().unwrap().push(Rule {
            method,
            path: path.to_owned(),
            skip,
            times,
            act,
        });
    }

    pub(super) fn peace(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// The first token ends after so many requests; who still uses it is told `status` and `body`.
    pub(super) fn expire(&self, after: usize, status: u16, body: &str) {
        *self.shared.expires_after.lock().unwrap() = Some(after);
        *self.shared.expired.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// How many requests like this came.
    pub(super) fn count(&self, method: &str, path: &str) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.method == method && seen.path.contains(path))
            .count()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(super) fn forget(&self) {
        self.shared.seen.lock().unwrap().clear();
    }
}

struct Head {
    first: String,
    headers: Vec<(String, String)>,
    /// The start of the body, read with the head.
    rest: Vec<u8>,
}

async fn head(stream: &mut TcpStream) -> std::io::Result<Head> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let mut block = [0; 16 << 10];
        let read = stream.read(&mut block).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&block[..read]);
    };
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    Ok(Head {
        first: lines.next().unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        rest: bytes[end + 4..].to_vec(),
    })
}

impl Head {
    fn get(&self, name: &str) -> Option<&str> {
        let is_it = |(there, _): &&(String, String)| there.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(is_it)
            .map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|(there, _)| !there.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.rest);
        bytes
    }
}

async fn serve(
    mut client: TcpStream,
    behind: SocketAddr,
    login: &str,
    shared: &Shared,
) -> std::io::Result<()> {
    let mut request = head(&mut client).await?;
    let mut words = request.first.split(' ').map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    shared.seen.lock().unwrap().push(Seen {
        method: method.clone(),
        path: path.clone(),
    });
    let act = decide(shared, &request, &method, &path);
    let mut cut = usize::MAX;
    match &act {
        Some(Act::Answer(status, header, body)) => {
            let answer = format!(
                "HTTP/1.1 {status} Asked For\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{}",
                body.len(),
                if method == "HEAD" { "" } else { body }
            );
            client.write_all(answer.as_bytes()).await?;
            client.shutdown().await?;
            return drain(&mut client).await;
        }
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::Cut(bytes)) => cut = *bytes,
        Some(Act::First(act)) => act(),
        Some(Act::NoQuery) => {
            let bare = path.split('?').next().unwrap_or(&path);
            request.first = format!("{method} {bare} HTTP/1.1");
        }
        _ => {}
    }
    request.set("Connection", "close");
    request.set("Authorization", login);
    let mut upstream = TcpStream::connect(behind).await?;
    request.rest.truncate(cut);
    let mut passed = request.rest.len();
    upstream.write_all(&request.bytes()).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_upstream, mut to_upstream) = upstream.split();
    let there = async {
        let mut block = vec![0; 16 << 10];
        loop {
            if passed >= cut {
                return;
            }
            let Ok(read @ 1..) = from_client.read(&mut block).await else {
                return std::future::pending().await;
            };
            let read = read.min(cut - passed);
            passed += read;
            if to_upstream.write_all(&block[..read]).await.is_err() {
                // It has answered before it had read everything.
                return std::future::pending().await;
            }
        }
    };
    let back = async {
        let mut all = Vec::new();
        from_upstream.read_to_end(&mut all).await?;
        if matches!(act, Some(Act::Lose)) {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        to_client.write_all(&changed(&all, act.as_ref())).await?;
        to_client.shutdown().await
    };
    tokio::select! {
        () = there => return Ok(()),
        done = back => done?,
    }
    drain(&mut client).await
}

/// Reads what is still on its way, or the answer would be lost with a reset.
async fn drain(client: &mut TcpStream) -> std::io::Result<()> {
    let mut block = [0; 16 << 10];
    while client.read(&mut block).await? > 0 {}
    Ok(())
}

fn decide(shared: &Shared, request: &Head, method: &str, path: &str) -> Option<Act> {
    let mut after = shared.expires_after.lock().unwrap();
    match *after {
        Some(0) => {
            shared.tokens.lock().unwrap().remove(0);
            *after = None;
        }
        Some(left) => *after = Some(left - 1),
        None => {}
    }
    let authorization = request.get("authorization").unwrap_or_default();
    let tokens = shared.tokens.lock().unwrap();
    if !tokens
        .iter()
        .any(|token| authorization == super::basic(token))
    {
        let expired = shared.expired.lock().unwrap().clone();
        let (status, body) = expired.unwrap_or((401, String::new()));
        return Some(Act::Answer(status, "", body));
    }
    let mut rules = shared.rules.lock().unwrap();
    for rule in rules.iter_mut() {
        if rule.times > 0
            && (rule.method == method || rule.method == "*")
            && path.contains(&rule.path)
        {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some(rule.act.clone());
        }
    }
    None
}

fn changed(answer: &[u8], act: Option<&Act>) -> Vec<u8> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return answer.to_vec();
    };
    let text = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    match act {
        Some(Act::Status(status)) => lines[0] = format!("HTTP/1.1 {status} Asked For"),
        Some(Act::Header(name, value)) => {
            let own = format!("{}:", name.to_lowercase());
            lines.retain(|line| !line.to_lowercase().starts_with(&own));
            lines.push(format!("{name}: {value}"));
        }
        _ => return answer.to_vec(),
    }
    let mut bytes = lines.join("\r\n").into_bytes();
    bytes.extend_from_slice(&answer[end..]);
    bytes
}

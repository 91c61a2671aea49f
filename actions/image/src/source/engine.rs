//! The Docker Engine, as far as images come from it (Docker Engine API, "Images").
//!
//! It is asked in HTTP/1.0: an answer then ends where the connection does, and the export is the socket's bytes and nothing
//! else. Blocking, since what reads it compresses on threads.

use super::contents::{Known, SMALL};
use kit::env::Env;
use kit::id::Digest;
use kit::{Error, Result};
use serde::Deserialize;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// For an answer that needs no work.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// For the export's next bytes. An engine with the classic store writes the whole export to its disk first (moby,
/// `image/tarexport/save.go`).
pub(super) const EXPORT: Duration = Duration::from_secs(1800);

/// More is not the head of an answer.
const HEAD: usize = 64 * 1024;

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Engine {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// The engine's answer about an image.
pub(super) struct Inspected {
    pub(super) id: String,
    /// Bottom layer first.
    pub(super) diff_ids: Vec<Digest>,
    /// `None` where the engine names the image by something else than its configuration.
    pub(super) known: Option<Known>,
    /// The folder of its topmost layer on the engine's machine, which may be this one.
    pub(super) upper: Option<PathBuf>,
}

impl Engine {
    /// The engine the Docker client would speak to: `DOCKER_HOST`'s, else the context's, else the usual socket's.
    ///
    /// # Errors
    /// It is one that cannot be reached from here (exit 2).
    pub(super) async fn find(env: &Env) -> Result<Self> {
        if let Some(host) = env.get("DOCKER_HOST") {
            return Self::at(host, "DOCKER_HOST", env);
        }
        match context(env).await {
            Some(host) => Self::at(&host, "the Docker context", env),
            None => Ok(Self::Unix(PathBuf::from("/var/run/docker.sock"))),
        }
    }

    fn at(host: &str, from: &str, env: &Env) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(format!("an image cannot be read from {host}, which {from} names"))
                .cause(why)
                .hint("build to an OCI layout instead: a docker-container builder (docker buildx create --use) with --builder buildx, or --layout")
        };
        if let Some(path) = host.strip_prefix("unix://") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let Some(address) = host.strip_prefix("tcp://") else {
            return Err(wrong("only unix:// and tcp:// are supported"));
        };
        if env.get("DOCKER_TLS_VERIFY").is_some() {
            return Err(wrong(
                "DOCKER_TLS_VERIFY asks for TLS, which this step does not support",
            ));
        }
        let address = address.trim_end_matches('/');
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (address, Some(2375)),
        };
        let ip = match host.trim_start_matches('[').trim_end_matches(']') {
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ip => ip.parse().ok(),
        };
        match (ip, port) {
            (Some(ip), Some(port)) => Ok(Self::Tcp(SocketAddr::new(ip, port))),
            _ => Err(wrong(
                "only an IP address or localhost, with a port, is supported",
            )),
        }
    }

    /// # Errors
    /// No engine answers, or it has no such image.
    pub(super) fn inspect(&self, image: &str) -> Result<Inspected> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Image {
            id: String,
            #[serde(rename = "RootFS")]
            root_fs: RootFs,
            /// Only of engines with containerd's image store.
            descriptor: Option<serde_json::Value>,
            graph_driver: Option<GraphDriver>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct GraphDriver {
            name: String,
            data: Option<Folders>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Folders {
            upper_dir: Option<PathBuf>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct RootFs {
            #[serde(default)]
            layers: Option<Vec<String>>,
        }
        let mut answer = self.ask("GET", &format!("/images/{}/json", path(image)?), ANSWER)?;
        let mut body = Vec::new();
        answer
            .by_ref()
            .take(SMALL)
            .read_to_end(&mut body)
            .map_err(|error| self.no_answer(error))?;
        let strange = || {
            Error::failed(format!(
                "the Docker Engine's answer about {image} is not understood"
            ))
            .hint("check that DOCKER_HOST names a Docker Engine")
        };
        let inspected: Image =
            serde_json::from_slice(&body).map_err(|error| strange().because(error))?;
        let config = Digest::parse(&inspected.id).map_err(|_| strange())?;
        let diff_ids: Vec<Digest> = inspected
            .root_fs
            .layers
            .unwrap_or_default()
            .iter()
            .map(|layer| Digest::parse(layer).map_err(|_| strange()))
            .collect::<Result<_>>()?;
        let upper = inspected
            .graph_driver
            .filter(|driver| {
                matches!(self, Self::Unix(_)) && driver.name == super::legacy_store::DRIVER
            })
            .and_then(|driver| driver.data?.upper_dir);
        Ok(Inspected {
            id: inspected.id,
            upper,
            known: inspected.descriptor.is_none().then(|| Known {
                config,
                diff_ids: diff_ids.clone(),
            }),
            diff_ids,
        })
    }

    /// The image as a tar, from its start.
    ///
    /// # Errors
    /// No engine answers, or it cannot export the image.
    pub(super) fn export(&self, image: &str) -> Result<impl Read + use<>> {
        self.ask("GET", &format!("/images/{}/get", path(image)?), EXPORT)
    }

    /// The body of a good answer to a request without one.
    pub(super) fn ask(&self, method: &str, target: &str, timeout: Duration) -> Result<Body> {
        let ask = || -> io::Result<(u16, Body)> {
            let mut stream = self.connect(timeout)?;
            write!(
                stream,
                "{method} {target} HTTP/1.0\r\nHost: docker\r\nUser-Agent: slipway\r\n\r\n"
            )?;
            answer(stream)
        };
        let (status, body) = ask().map_err(|error| self.no_answer(error))?;
        if matches!(status, 200 | 201) {
            return Ok(body);
        }
        let mut text = Vec::new();
        // As much of the reason as can be read; the failure itself is known.
        let _ = body.take(SMALL).read_to_end(&mut text);
        let reason = serde_json::from_slice::<serde_json::Value>(&text)
            .ok()
            .and_then(|answer| Some(answer.get("message")?.as_str()?.to_owned()));
        let error = Error::failed(format!(
            "the Docker Engine answers {status} to {method} {target}"
        ))
        .cause(reason.unwrap_or_else(|| "it gives no reason".to_owned()));
        Err(if status == 404 {
            error.hint("the image is gone since it was built, or the client builds with another engine: compare DOCKER_HOST with `docker context show`")
        } else {
            error.hint("look at the engine's log and at the free space of its disk")
        })
    }

    fn connect(&self, timeout: Duration) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(ANSWER))?;
                Ok(Box::new(stream))
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, ANSWER)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(ANSWER))?;
                Ok(Box::new(stream))
            }
        }
    }

    pub(super) fn no_answer(&self, error: io::Error) -> Error {
        let address_text = match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Tcp(address) => address.to_string(),
        };
        Error::failed(format!(
            "the Docker Engine at {address_text} does not answer"
        ))
        .because(error)
        .hint("start the engine, or point DOCKER_HOST at one; in CodeBuild set privileged mode")
        .hint("add this user to the group `docker`, or run the step as root")
    }
}

/// A connection to an engine.
pub(super) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// The body of an answer: what came with its head, and then the rest of the connection.
pub(super) type Body = io::Chain<io::Cursor<Vec<u8>>, Box<dyn Stream>>;

/// Reads status and head.
fn answer(mut stream: Box<dyn Stream>) -> io::Result<(u16, Body)> {
    let mut head = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece)?;
        head.extend_from_slice(&piece[..read]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&head) {
            Ok(httparse::Status::Complete(length)) => {
                let status = answer.code.unwrap_or_default();
                let chunked = answer
                    .headers
                    .iter()
                    .any(|header| header.name.eq_ignore_ascii_case("transfer-encoding"));
                if chunked {
                    return Err(io::Error::other(
                        "the answer to an HTTP/1.0 request is in chunks",
                    ));
                }
                let rest = head.split_off(length);
                return Ok((status, io::Cursor::new(rest).chain(stream)));
            }
            Ok(httparse::Status::Partial) if read > 0 && head.len() < HEAD => {}
            Ok(httparse::Status::Partial) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the answer breaks off in its head",
                ));
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// An image's name or ID as a part of a path, in which Docker's names need no escaping.
fn path(image: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    if !image.is_empty() && image.bytes().all(plain) && !image.contains("..") {
        return Ok(image);
    }
    Err(Error::usage(format!("`{image}` is not an image name"))
        .hint("a name is like registry/repository:tag, an ID like sha256:…"))
}

/// The endpoint of the client's current context, if there is a client.
async fn context(env: &Env) -> Option<String> {
    let output = Command::new("docker")
        .args([
            "context",
            "inspect",
            "--format",
            "{{.Endpoints.docker.Host}}",
        ])
        .env_clear()
        .envs(env.for_child())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
pub(super) mod tests;

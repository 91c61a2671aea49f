//! Lower bounds on this machine, each measured alone by the simplest program: the registry taking the ready blobs, the engine's export
//! thrown away, and deflate.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::contender::{Reading, Store, Tool};
use super::fresh::Fresh;
use super::images::{BenchImage, Kind};
use crate::bench::row::median;
use crate::fault::{Context, Fault, Result};
use crate::parts::Account;

/// Each is measured so often.
const ROUNDS: usize = 5;
/// Connections to the registry at once; the one with which it is quickest counts.
const CONNECTIONS: [usize; 3] = [2, 4, 8];

/// The floors of one image in one engine, in milliseconds.
pub(super) struct Floors {
    /// A build in which everything is cached.
    pub(super) build: f64,
    /// The registry taking the blobs as skopeo packed them.
    pub(super) registry: f64,
    /// The whole export, and of it the time until its first byte.
    pub(super) export: (f64, f64),
    /// Deflate of the layers at its fastest on one core; `None` where nothing is compressed.
    pub(super) deflate: Option<f64>,
}

impl Floors {
    /// Measures them. `build` takes a cached build's time, `fresh` starts a registry, `socket` is the engine's.
    pub(super) fn measure(
        image: &BenchImage,
        socket: &Path,
        account: &Account,
        mut build: impl FnMut() -> Result<f64>,
        mut fresh: impl FnMut() -> Result<Fresh>,
    ) -> Result<Self> {
        let blobs = blobs(&image.layout)?;
        let mut registry: Option<f64> = None;
        for connections in CONNECTIONS {
            let taken = repeated(|| {
                let fresh = fresh()?;
                millis(|| uploaded(&fresh.host, account, &blobs, connections))
            })?;
            registry = Some(registry.map_or(taken, |best| best.min(taken)));
        }
        let mut first = Vec::new();
        let export = repeated(|| {
            let (until_first, whole) = exported(socket, &image.reference)?;
            first.push(until_first);
            Ok(whole)
        })?;
        Ok(Self {
            build: repeated(&mut build)?,
            registry: registry.unwrap_or_default(),
            export: (export, median(&first).unwrap_or_default()),
            deflate: match image.kind {
                Kind::Random => None,
                Kind::Files => {
                    let layers = layers(image)?;
                    Some(repeated(|| millis(|| deflated(&layers)))?)
                }
            },
        })
    }

    /// The slowest of what ours has to wait for, with what cannot go on beside it.
    pub(super) fn of(
        &self,
        ours: Tool,
        store: Store,
        reading: Reading,
        cores: usize,
    ) -> Option<(&'static str, f64)> {
        let registry = ("the registry alone", self.registry);
        let export = ("the engine's export alone", self.export.0);
        let deflate = self
            .deflate
            .map(|deflate| ("deflate alone, on all cores", deflate / cores as f64));
        let parts = match (ours, store) {
            (Tool::Layout, _) => vec![registry],
            (Tool::Root, _) => [Some(registry), deflate].into_iter().flatten().collect(),
            (_, Store::Containerd) => vec![registry, export],
            (_, Store::Classic) => [Some(registry), Some(export), deflate]
                .into_iter()
                .flatten()
                .collect(),
        };
        let (name, slowest) = parts
            .into_iter()
            .max_by(|one, other| one.1.total_cmp(&other.1))?;
        match reading {
            Reading::Push => Some((name, slowest)),
            Reading::BuildAndPush => Some((name, slowest + self.build)),
            Reading::Unchanged => None,
        }
    }

    /// In words.
    pub(super) fn in_words(&self) -> String {
        let (export, first) = self.export;
        let mut text = format!(
            "cached build {:.0} ms; the registry alone {:.0} ms; the engine's export alone {export:.0} ms, its first byte after \
             {first:.0} ms",
            self.build, self.registry
        );
        if let Some(deflate) = self.deflate {
            text.push_str(&format!("; deflate level 1 on one core {deflate:.0} ms"));
        }
        text
    }
}

fn repeated(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    let figures: Result<Vec<f64>> = (0..ROUNDS).map(|_| once()).collect();
    median(&figures?).ok_or_else(|| Fault::new("nothing was measured"))
}

fn millis(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// The uncompressed layers, near enough: what the build put into them.
fn layers(image: &BenchImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(&image.context).context("reading a build context")? {
        let path = entry.context("reading a build context")?.path();
        if path.is_file() {
            File::open(&path)
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .context(format!("reading {}", path.display()))?;
        }
    }
    Ok(bytes)
}

fn deflated(layers: &[u8]) -> Result<()> {
    let mut packer = DeflateEncoder::new(io::sink(), Compression::new(1));
    packer
        .write_all(layers)
        .and_then(|()| packer.finish())
        .context("compressing")
        .map(drop)
}

/// The export as any client of the engine reads it, thrown away: milliseconds until its first byte, and in all.
fn exported(socket: &Path, reference: &str) -> Result<(f64, f64)> {
    let began = Instant::now();
    let read = || -> io::Result<(f64, f64)> {
        let mut stream = UnixStream::connect(socket)?;
        let request = format!("GET /images/{reference}/get HTTP/1.0\r\nHost: docker\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut stream = BufReader::with_capacity(256 * 1024, stream);
        let (status, _) = head(&mut stream)?;
        if status != 200 {
            return Err(io::Error::other(format!("the engine answers {status}")));
        }
        stream.fill_buf()?;
        let first = began.elapsed().as_secs_f64() * 1e3;
        io::copy(&mut stream, &mut io::sink())?;
        Ok((first, began.elapsed().as_secs_f64() * 1e3))
    };
    read().context("reading the engine's export")
}

/// The blobs of a layout: digest and bytes.
fn blobs(layout: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = layout.join("blobs/sha256");
    let read = || -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?;
        files.sort();
        files
            .iter()
            .map(|file| {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                Ok((format!("sha256:{name}"), fs::read(file)?))
            })
            .collect()
    };
    read().context(format!("reading {}", folder.display()))
}

/// Every blob by one POST and one PUT, over so many connections that stay open.
fn uploaded(
    host: &str,
    account: &Account,
    blobs: &[(String, Vec<u8>)],
    connections: usize,
) -> Result<()> {
    let login = STANDARD.encode(format!("AWS:{}", account.password));
    let left = Mutex::new(blobs.iter());
    let work = || -> io::Result<()> {
        let mut stream = BufReader::new(TcpStream::connect(host)?);
        stream.get_ref().set_nodelay(true)?;
        loop {
            let next = left
                .lock()
                .map_err(|_| io::Error::other("a thread died"))?
                .next();
            let Some((digest, bytes)) = next else {
                return Ok(());
            };
            let mut ask = |method: &str, target: &str, body: &[u8], wanted: u16| {
                let head = format!(
                    "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {login}\r\n\
                     Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.get_mut().write_all(head.as_bytes())?;
                stream.get_mut().write_all(body)?;
                let (status, location) = self::head(&mut stream)?;
                match status == wanted {
                    true => Ok(location),
                    false => Err(io::Error::other(format!(
                        "{method} is answered with {status}"
                    ))),
                }
            };
            let session = ask("POST", "/v2/floor/blobs/uploads/", &[], 202)?;
            let separator = if session.contains('?') { '&' } else { '?' };
            let target = format!("{session}{separator}digest={digest}");
            ask("PUT", &target, bytes, 201)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err(io::Error::other("a thread died")))
        })
    })
    .context("uploading blobs to the registry")
}

/// Reads the head of an answer without a body: its status and where it leads.
fn head(stream: &mut impl BufRead) -> io::Result<(u16, String)> {
    let mut status = None;
    let mut location = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        match (status, line.split_once(": ")) {
            (None, _) => status = line.split(' ').nth(1).and_then(|code| code.parse().ok()),
            (Some(status), _) if line.is_empty() => return Ok((status, location)),
            (_, Some((name, value))) if name.eq_ignore_ascii_case("location") => {
                location = value.to_owned();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_slowest_of_what_goes_on_at_once() {
        let floors = Floors {
            build: 100.0,
            registry: 400.0,
            export: (1400.0, 900.0),
            deflate: Some(1000.0),
        };
        let of = |ours, store, reading| floors.of(ours, store, reading, 2);
        let export = "the engine's export alone";
        let (push, both) = (Reading::Push, Reading::BuildAndPush);
        assert_eq!(of(Tool::User, Store::Classic, push), Some((export, 1400.0)));
        // A build comes before its push.
        assert_eq!(
            of(Tool::User, Store::Containerd, both),
            Some((export, 1500.0))
        );
        assert_eq!(
            of(Tool::Root, Store::Classic, push),
            Some(("deflate alone, on all cores", 500.0))
        );
        assert_eq!(
            of(Tool::Layout, Store::Classic, push),
            Some(("the registry alone", 400.0))
        );
        assert_eq!(of(Tool::User, Store::Classic, Reading::Unchanged), None);
    }

    #[test]
    fn the_head_of_an_answer_ends_at_an_empty_line() {
        let answer =
            b"HTTP/1.1 202 Accepted\r\nLocation: /v2/x?a=b\r\nContent-Length: 0\r\n\r\nbody";
        let mut stream = &answer[..];
        assert_eq!(head(&mut stream).unwrap(), (202, "/v2/x?a=b".to_owned()));
        assert_eq!(stream, b"body");
        assert!(head(&mut &b"HTTP/1.1 200 OK\r\n"[..]).is_err());
    }
}

//! The limits that no pusher gets below, each measured alone on the same bytes: the builder's answer that all is cached,
//! reading the layers' files, SHA-256 and gzip of the layers on one core, and the registry taking blobs. And the engine's
//! export, which whoever may not read the engine's store waits for first.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use ring::digest::{Context, SHA256};

use super::fresh::Fresh;
use super::pictures::Picture;
use super::watched::watched;
use crate::bench::measure::Call;
use crate::bench::row::median;
use crate::fault::{Doing, Fault, Result};
use crate::parts::{Account, engine};
use crate::place::{Place, sha256};

/// Each is measured so often.
const ROUNDS: usize = 3;

/// What each of them costs for an image, in milliseconds, at its own speed in MB/s.
pub(super) struct Limits {
    what: &'static str,
    builder: f64,
    alone: Vec<Limit>,
}

/// One part of a push, alone.
struct Limit {
    name: &'static str,
    millis: f64,
    megabytes: f64,
}

impl Limit {
    fn new(name: &'static str, bytes: usize, seconds: f64) -> Self {
        Self {
            name,
            millis: seconds * 1e3,
            megabytes: bytes as f64 / 1e6,
        }
    }

    fn speed(&self) -> f64 {
        self.megabytes * 1e3 / self.millis
    }
}

impl Limits {
    /// In words, and which of them a push that took `push` milliseconds is left with. Compressing goes on on all cores, so that
    /// it counts by as much less.
    pub(super) fn said(&self, push: f64, cores: usize) -> String {
        let parts: Vec<String> = self
            .alone
            .iter()
            .map(|limit| {
                let (name, millis, speed) = (limit.name, limit.millis, limit.speed());
                format!("{name} {millis:.0} ms ({speed:.0} MB/s)")
            })
            .collect();
        let mut text = format!(
            "limits for {}: cached build {:.0} ms; {}",
            self.what,
            self.builder,
            parts.join("; ")
        );
        let shared = |limit: &Limit| match limit.name {
            PACKING => limit.millis / cores as f64,
            _ => limit.millis,
        };
        let left = self
            .alone
            .iter()
            .filter(|limit| limit.name != EXPORT)
            .max_by(|one, other| shared(one).total_cmp(&shared(other)));
        if let Some(left) = left {
            text.push_str(&format!(
                ". Left of them for a push of {push:.0} ms: {}, {:.0} ms at {:.0} MB/s, {:.0} % of it",
                left.name,
                shared(left),
                left.megabytes * 1e3 / shared(left),
                100.0 * shared(left) / push
            ));
        }
        text
    }
}

const READING: &str = "reading the layers' files";
const EXPORT: &str = "the engine's export (without its store)";
const HASHING: &str = "SHA-256 on one core";
const PACKING: &str = "deflate level 1 on one core";
const TAKING: &str = "the registry taking the blobs (as skopeo packed them, all at once)";

/// Measures each of them for this image.
pub(super) fn measure(
    place: &Place,
    folder: &Path,
    account: &Account,
    picture: &Picture,
    build: &Call,
) -> Result<Limits> {
    let builder = repeated(|| Ok(watched(build)?.wall))?;
    let export = repeated(|| seconds(|| exported(picture)))?;
    let reading = repeated(|| seconds(|| layers(picture).map(drop)))?;
    let layers = layers(picture)?;
    let hashing = repeated(|| {
        seconds(|| {
            let mut hash = Context::new(&SHA256);
            hash.update(&layers);
            std::hint::black_box(hash.finish());
            Ok(())
        })
    })?;
    // What cannot be compressed is stored as it is.
    let packing = match picture.shrinks {
        true => Some(repeated(|| seconds(|| packed(&layers)))?),
        false => None,
    };
    let blobs = blobs(&picture.layout)?;
    let taking = repeated(|| {
        let fresh = Fresh::start(place, &folder.join("registry"), account)?;
        seconds(|| uploaded(&fresh, account, &blobs))
    })?;
    let stored: usize = blobs.iter().map(|(_, size)| size).sum();
    let mut alone = vec![
        Limit::new(READING, layers.len(), reading),
        Limit::new(EXPORT, layers.len(), export),
        Limit::new(HASHING, layers.len(), hashing),
        Limit::new(TAKING, stored, taking),
    ];
    alone.extend(packing.map(|packing| Limit::new(PACKING, layers.len(), packing)));
    Ok(Limits {
        what: picture.what,
        builder,
        alone,
    })
}

fn packed(layers: &[u8]) -> Result<()> {
    let mut packer = DeflateEncoder::new(std::io::sink(), Compression::new(1));
    packer
        .write_all(layers)
        .and_then(|()| packer.finish())
        .doing("compressing")
        .map(drop)
}

fn repeated(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    let figures: Result<Vec<f64>> = (0..ROUNDS).map(|_| once()).collect();
    median(&figures?).ok_or_else(|| Fault::new("nothing was measured"))
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64())
}

/// The uncompressed layers, near enough: what the build put into them.
fn layers(picture: &Picture) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(&picture.context)
        .doing("reading a build context")?
        .flatten()
    {
        File::open(entry.path())
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .doing(format!("reading {}", entry.path().display()))?;
    }
    Ok(bytes)
}

/// The export as any client of the engine reads it, thrown away.
fn exported(picture: &Picture) -> Result<()> {
    curl(Command::new("curl").args([
        "--unix-socket",
        engine::SOCKET,
        "--output",
        "/dev/null",
        &format!("http://docker/images/{}/get", picture.reference),
    ]))
    .map(drop)
}

/// The blobs of a layout with their sizes.
fn blobs(layout: &Path) -> Result<Vec<(std::path::PathBuf, usize)>> {
    let folder = layout.join("blobs/sha256");
    fs::read_dir(&folder)
        .doing(format!("reading {}", folder.display()))?
        .flatten()
        .map(|entry| {
            let size = entry.metadata().doing("reading a blob's size")?.len();
            Ok((entry.path(), usize::try_from(size).unwrap_or(usize::MAX)))
        })
        .collect()
}

/// Every blob by one PUT, all of them at once.
fn uploaded(fresh: &Fresh, account: &Account, blobs: &[(std::path::PathBuf, usize)]) -> Result<()> {
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let uploads: Vec<_> = blobs
            .iter()
            .map(|(file, _)| scope.spawn(|| upload(fresh, account, file)))
            .collect();
        uploads
            .into_iter()
            .map(|upload| {
                upload
                    .join()
                    .unwrap_or_else(|_| Err(Fault::new("an upload was lost")))
            })
            .collect()
    });
    outcomes.into_iter().collect()
}

fn upload(fresh: &Fresh, account: &Account, file: &Path) -> Result<()> {
    let user = format!("AWS:{}", account.password);
    let base = format!("http://{}", fresh.host);
    let begin = format!("{base}/v2/limit/blobs/uploads/");
    let session = curl(Command::new("curl").args([
        "--user",
        &user,
        "--request",
        "POST",
        "--output",
        "/dev/null",
        "--write-out",
        "%header{location}",
        &begin,
    ]))?;
    let name = file
        .file_name()
        .map_or_else(|| sha256(b""), |name| name.to_string_lossy().into_owned());
    let target = format!("{base}{session}&digest=sha256:{name}");
    let body = format!("{}", file.display());
    let kind = "Content-Type: application/octet-stream";
    curl(Command::new("curl").args([
        "--user",
        &user,
        "--header",
        kind,
        "--upload-file",
        &body,
        &target,
    ]))
    .map(drop)
}

fn curl(command: &mut Command) -> Result<String> {
    let output = command
        .args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
        .stdin(Stdio::null())
        .output()
        .doing("running curl")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Fault::new(format!(
        "curl ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_left_is_the_slowest_of_what_goes_on_at_once() {
        let mut limits = Limits {
            what: "an image",
            builder: 90.0,
            alone: vec![
                Limit::new(EXPORT, 200_000_000, 1.4),
                Limit::new(TAKING, 200_000_000, 0.4),
                Limit::new(PACKING, 200_000_000, 1.0),
            ],
        };
        let said = limits.said(800.0, 2);
        assert!(
            said.contains("the engine's export (without its store) 1400 ms (143 MB/s)"),
            "{said}"
        );
        let left = "push of 800 ms: deflate level 1 on one core, 500 ms at 400 MB/s, 62 % of it";
        assert!(said.contains(left), "{said}");
        limits.alone[1].millis = 600.0;
        let said = limits.said(800.0, 2);
        assert!(said.contains("800 ms: the registry"), "{said}");
    }
}

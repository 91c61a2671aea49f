//! One layer of an archive on its way to the targets that lack it, all from one reading.
//!
//! A small layer is held until its digest is known, and can then be asked for, mounted and tried again like any blob. A
//! larger one goes out while it is read; where that fails, only another reading of the archive has its bytes. One that the
//! archive names by its digest is asked for first, and not read where it is there or can be mounted.

use super::deliver::{self, Origin, Preparation};
use super::progress::{Board, Size};
use super::slow::Slow;
use super::target::{BlobTransfer, Target};
use crate::blob::{Chunk, Compression, Descriptor, Measured};
use crate::registry::{Body, Fault, Kind, Moved, Repo};
use bytes::Bytes;
use futures_util::future::{join, join_all};
use kit::id::Digest;
use kit::{Error, Result};
use reqwest::Url;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// The bytes that are held. Eight layers are on their way at once.
const SMALL: usize = 1 << 20;

/// A layer that is to be sent.
pub(super) struct Wanted {
    /// Its name in the archive.
    pub(super) path: String,
    /// Its diff ID, if it is known before the layer is read.
    pub(super) diff_id: Option<Digest>,
    /// The blob, if the archive holds it as it is to be stored.
    pub(super) blob: Option<Descriptor>,
    /// The layer's name for people.
    pub(super) description: String,
    /// Bytes as they are in the archive.
    pub(super) size: u64,
    /// The targets that it goes to.
    pub(super) targets: Vec<usize>,
}

/// The outcome of sending a layer.
pub(super) struct Streamed {
    /// Its name in the archive.
    pub(super) path: String,
    /// Where it was known before it was read; what came to its end is that layer.
    pub(super) diff_id: Option<Digest>,
    /// The layer's name for people.
    pub(super) description: String,
    /// The blob, if the layer was read to its end.
    pub(super) blob: Option<Descriptor>,
    /// By target.
    pub(super) results: Vec<(usize, Result<BlobTransfer, Fault>)>,
}

/// The parts of a reading that the targets share.
#[derive(Clone)]
enum Piece {
    Bytes(Bytes),
    End(Measured),
}

/// Sends a layer to those of the targets that want it.
pub(super) async fn stream(
    wanted: Wanted,
    mut chunks: mpsc::Receiver<Chunk>,
    targets: &[Target],
    at_once: &Semaphore,
    slow: &Slow,
    board: &Board,
) -> Streamed {
    let Wanted {
        path,
        diff_id,
        blob: named,
        description,
        size: unpacked,
        targets: wanted,
    } = wanted;
    let _permit = at_once.acquire().await;
    let shown = board.begin(description.clone(), Size::Unpacked(unpacked));
    let moved = &shown.moved;
    let (blob, results) = match start(&mut chunks).await {
        // The reading itself reports the reason.
        None => (None, Vec::new()),
        Some((held, Some(measured))) => {
            let blob = descriptor(&measured);
            let origin = Origin::Bytes(Bytes::from(held.concat()));
            drop(held);
            let results = bring(&blob, &origin, targets, wanted, slow, moved).await;
            (Some(blob), results)
        }
        Some((held, None)) => {
            let named = named.map(|blob| with_media_type(blob, &held));
            let named = named.as_ref();
            let (read, results) = tee(chunks, targets, &wanted, named, &held, slow, moved).await;
            // A layer that all targets have is not read to its end.
            let there = results.iter().any(|(_, result)| result.is_ok());
            let named = named.filter(|_| there).cloned();
            (read.or(named), results)
        }
    };
    Streamed {
        path,
        diff_id,
        description,
        blob,
        results,
    }
}

/// The layer's first bytes, or all of a small one with what was measured of it. `None` if the reading broke off.
async fn start(chunks: &mut mpsc::Receiver<Chunk>) -> Option<(Vec<Bytes>, Option<Measured>)> {
    let mut held: Vec<Bytes> = Vec::new();
    let mut size = 0;
    loop {
        match chunks.recv().await? {
            Chunk::Bytes(bytes) => {
                size += bytes.len();
                held.push(bytes);
                if size > SMALL {
                    return Some((held, None));
                }
            }
            Chunk::End(measured) => return Some((held, Some(measured))),
        }
    }
}

/// Brings a layer that is held to each of the targets.
async fn bring(
    blob: &Descriptor,
    origin: &Origin,
    targets: &[Target],
    wanted: Vec<usize>,
    slow: &Slow,
    moved: &Moved,
) -> Vec<(usize, Result<BlobTransfer, Fault>)> {
    let alone = wanted.len() == 1;
    join_all(wanted.into_iter().map(async |index| {
        let target = &targets[index];
        let bring = deliver::bring(target, blob, origin, !target.created, moved);
        let timed = async {
            if alone {
                return bring.await;
            }
            match tokio::time::timeout(slow_after(target), bring).await {
                Ok(done) => done,
                Err(_) => {
                    slow.leave(index);
                    std::future::pending().await
                }
            }
        };
        let brought = slow.unless_left(index, target, timed).await;
        (index, brought)
    }))
    .await
}

/// The blob with the media type that its first bytes tell.
fn with_media_type(blob: Descriptor, held: &[Bytes]) -> Descriptor {
    const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let compression = match held.first().is_some_and(|start| start.starts_with(&ZSTD)) {
        true => Compression::Zstd,
        false => Compression::Gzip,
    };
    Descriptor {
        media_type: compression.media_type().to_owned(),
        ..blob
    }
}

pub(super) fn descriptor(measured: &Measured) -> Descriptor {
    Descriptor {
        media_type: measured.media_type.clone(),
        digest: measured.digest.clone(),
        size: measured.size,
    }
}

/// Feeds one reading to several uploads. The reading continues for the others when an upload fails, and stops when all
/// have failed.
async fn tee(
    mut chunks: mpsc::Receiver<Chunk>,
    targets: &[Target],
    wanted: &[usize],
    named: Option<&Descriptor>,
    held: &[Bytes],
    slow: &Slow,
    moved: &Moved,
) -> (
    Option<Descriptor>,
    Vec<(usize, Result<BlobTransfer, Fault>)>,
) {
    let (mut feeds, uploads): (Vec<_>, Vec<_>) = wanted
        .iter()
        .map(|index| {
            let (feed, pieces) = mpsc::channel(1);
            let target = &targets[*index];
            let upload = upload(target, named, held, pieces, moved);
            ((*index, feed), slow.unless_left(*index, target, upload))
        })
        .unzip();
    let share = async move {
        let mut blob = None;
        while let Some(chunk) = chunks.recv().await {
            let (piece, last) = match chunk {
                Chunk::Bytes(bytes) => (Piece::Bytes(bytes), false),
                Chunk::End(measured) => {
                    blob = Some(descriptor(&measured));
                    (Piece::End(measured), true)
                }
            };
            let alone = feeds.len() == 1;
            let sent = join_all(feeds.iter().map(async |(index, feed)| {
                let sending = feed.send(piece.clone());
                if alone {
                    return sending.await.is_ok();
                }
                match tokio::time::timeout(slow_after(&targets[*index]), sending).await {
                    Ok(sent) => sent.is_ok(),
                    Err(_) => {
                        slow.leave(*index);
                        false
                    }
                }
            }))
            .await;
            let mut sent = sent.into_iter();
            feeds.retain(|_| sent.next().unwrap_or_default());
            if last || feeds.is_empty() {
                break;
            }
        }
        blob
    };
    let (blob, results) = join(share, join_all(uploads)).await;
    (blob, wanted.iter().copied().zip(results).collect())
}

/// How long the other targets wait for a slow one: less than the stall time, so that they do not stall themselves.
fn slow_after(target: &Target) -> Duration {
    target.repo.client.stall() / 2
}

async fn upload(
    target: &Target,
    named: Option<&Descriptor>,
    held: &[Bytes],
    mut pieces: mpsc::Receiver<Piece>,
    moved: &Moved,
) -> Result<BlobTransfer, Fault> {
    let repo = &target.repo;
    let (begun, pass) = repo
        .client
        .retry(async |pass| {
            let begun = match named {
                Some(blob) => deliver::begin(target, pass, blob, None, !target.created).await?,
                None => Preparation::Upload(target.settled(repo.begin(pass).await)?),
            };
            Ok((begun, pass.clone()))
        })
        .await?;
    let session = match begun {
        Preparation::Present(transfer) => return Ok(transfer),
        Preparation::Upload(session) => session,
    };
    let (feed, body) = Body::feed(moved);
    let pump = async move {
        for block in held {
            if !feed.send(block.clone()).await {
                return None;
            }
        }
        loop {
            match pieces.recv().await {
                Some(Piece::Bytes(block)) => {
                    if !feed.send(block).await {
                        return None;
                    }
                }
                Some(Piece::End(measured)) => {
                    feed.end();
                    return Some(measured);
                }
                None => return None,
            }
        }
    };
    let mut pump = std::pin::pin!(pump);
    let mut patch = std::pin::pin!(repo.patch(&pass, session, body));
    // A registry may refuse before it has read everything; nothing is to wait for the rest then.
    let (measured, patched) = tokio::select! {
        measured = &mut pump => (measured, patch.await),
        patched = &mut patch => match patched {
            Ok(session) => (pump.await, Ok(session)),
            Err(fault) => (None, Err(fault)),
        },
    };
    // A token that ended meanwhile is found again, and renewed, by the next upload's first request.
    let session = patched.map_err(|fault| match fault.kind {
        Kind::Login => fault.of_kind(Kind::Passing),
        _ => fault,
    })?;
    let Some(measured) = measured else {
        let error = Error::failed(format!(
            "a layer was not sent whole to {}",
            repo.reference()
        ))
        .about(repo.reference());
        return Err(Fault::new(Kind::Passing, error));
    };
    finish(repo, session, &measured.digest).await?;
    Ok(BlobTransfer::Pushed)
}

/// Names the bytes that were sent in the session.
async fn finish(repo: &Repo, session: Url, digest: &Digest) -> Result<(), Fault> {
    let mut tried = false;
    repo.client
        .retry(async |pass| {
            let again = std::mem::replace(&mut tried, true);
            if again && repo.has(pass, digest).await? {
                return Ok(());
            }
            let done = repo.finish(pass, session.clone(), digest).await;
            done.map_err(|fault| match fault.code.as_deref() {
                // The bytes that were sent in the session are gone with it.
                Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID") => fault.of_kind(Kind::Missing),
                _ => fault,
            })
        })
        .await
        .map_err(|fault| match fault.kind {
            Kind::Missing => fault.of_kind(Kind::Passing),
            _ => fault,
        })
}

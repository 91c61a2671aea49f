//! One layer of an archive on its way to the targets that lack it, all from one reading.
//!
//! A small layer is held until its digest is known, and can then be asked for, mounted and tried again like any blob. A
//! larger one goes out while it is read; where that fails, only another reading of the archive has its bytes. One that the
//! archive names by its digest is asked for first, and not read where it is there or can be mounted.

use super::deliver::{self, Origin};
use super::progress::{Board, Size};
use super::slow::Slow;
use super::streamed::{Piece, Start, Tell, upload};
use super::target::{BlobTransfer, Target};
use crate::blob::{Chunk, Compression, Descriptor, Measured};
use crate::registry::{Fault, Moved};
use bytes::Bytes;
use futures_util::future::{Either, FutureExt, join_all, select};
use kit::id::Digest;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

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
    /// Told once a target needs the bytes, if they are sent only then. The blob is known before.
    pub(super) tell: Option<oneshot::Sender<()>>,
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
        size,
        targets: wanted,
        tell,
    } = wanted;
    let _permit = at_once.acquire().await;
    let is_asked_first = tell.is_some();
    let size = match is_asked_first {
        true => Size::Unknown,
        false => Size::Unpacked(size),
    };
    let tell = Tell::new(tell);
    let shown = board.begin(description.clone(), size);
    let moved = &shown.moved;
    let begun = match is_asked_first {
        true => Some((Vec::new(), None)),
        false => start(&mut chunks).await,
    };
    let (blob, results) = match begun {
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
            let start = Start {
                named,
                held: &held,
                tell: &tell,
            };
            let (read, results) = tee(chunks, targets, &wanted, start, slow, moved).await;
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
    start: Start<'_>,
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
            let upload = upload(target, start, pieces, moved);
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
    let share = std::pin::pin!(share);
    let (blob, results) = match select(share, join_all(uploads)).await {
        Either::Left((blob, uploads)) => (blob, uploads.await),
        // A share that still waits for bytes waits for bytes that nobody needs.
        Either::Right((results, share)) => (share.now_or_never().flatten(), results),
    };
    (blob, wanted.iter().copied().zip(results).collect())
}

/// How long the other targets wait for a slow one: less than the stall time, so that they do not stall themselves.
fn slow_after(target: &Target) -> Duration {
    target.repo.client.stall() / 2
}

//! Bringing a whole image to one repository: what is missing of its blobs, its manifests from the leaves up, all of it
//! read back, the tags last.
//!
//! Each blob is delivered as one unit that can be retried from its start: ask whether the blob is there, mount it, or
//! upload it in a session of its own. If an answer is lost on the way, the retry finds the blob by asking.

use super::manifests::{put_missing, read_back, tag_as};
use super::progress::{Board, Size, short, size};
use super::target::{BlobTransfer, Counts, Target};
use crate::blob::Descriptor;
use crate::registry::{Body, Fault, Kind, Manifest, Mount, Moved, Pass, Repo};
use crate::source::Source;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use kit::host::Host;
use kit::id::Digest;
use kit::{Error, Result};
use reqwest::Url;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Uploads at once to one registry. More gain nothing against ECR's rate of new uploads.
const AT_ONCE: usize = 8;

/// How often the blobs of a manifest are looked up again after the registry missed one of them.
const ROUNDS: usize = 3;

/// The origin of a missing blob.
#[derive(Clone)]
pub(super) enum Origin {
    /// An OCI layout.
    Layout(Arc<Source>),
    /// Memory.
    Bytes(Bytes),
    /// Another repository, of this registry or of another.
    Repo(Repo),
    /// It was brought here before; if it is gone, the caller has to bring it again.
    Gone,
}

/// A blob of the image.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) descriptor: Descriptor,
    pub(super) origin: Origin,
    /// It was seen or uploaded a moment ago.
    pub(super) there: bool,
}

/// Everything that is to be in a repository at the end.
pub(super) struct Image {
    pub(super) pieces: Vec<Piece>,
    /// The blobs and manifests that a manifest names come before it.
    pub(super) manifests: Vec<Manifest>,
    /// The manifest that the tags name.
    pub(super) root: Digest,
    /// Tags that belong to other manifests: lists of referrers, older signers' tags.
    pub(super) other_tags: Vec<(String, Digest)>,
}

/// Why an image could not be delivered.
pub(super) enum Undelivered {
    Error(Box<Error>),
    /// Blobs without an origin are gone.
    Gone(HashSet<Digest>),
}

impl From<Error> for Undelivered {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<Fault> for Undelivered {
    fn from(fault: Fault) -> Self {
        Self::from(fault.error)
    }
}

/// Brings `image` to `target` and proves that it is there. `tags` at its end, each in its order.
pub(super) async fn deliver(
    host: &Host,
    target: &Target,
    image: &Image,
    uploads: &Semaphore,
) -> Result<Counts, Undelivered> {
    let mut counts = Counts::default();
    let mut doubted = false;
    for round in 1.. {
        blobs(host, target, &image.pieces, doubted, uploads, &mut counts).await?;
        match put_missing(target, &image.manifests).await {
            Ok(()) => break,
            Err(fault) if fault.kind == Kind::Incomplete && round < ROUNDS => {
                host.info(format!(
                    "{}: the registry lacks a blob that was there; checking again",
                    target.name()
                ));
                doubted = true;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    read_back(&target.repo, &image.manifests).await?;
    for (tag, digest) in &image.other_tags {
        tag_as(&target.repo, tag, manifest(image, digest)?).await?;
    }
    let root = manifest(image, &image.root)?;
    for tag in &target.tags {
        tag_as(&target.repo, tag, root).await?;
    }
    Ok(counts)
}

fn manifest<'a>(image: &'a Image, digest: &Digest) -> Result<&'a Manifest> {
    image
        .manifests
        .iter()
        .find(|manifest| manifest.digest == *digest)
        .ok_or_else(|| Error::failed(format!("manifest {digest} is not part of the image")))
}

/// Looks for all blobs, then brings those that are missing, the largest first.
async fn blobs(
    host: &Host,
    target: &Target,
    pieces: &[Piece],
    doubted: bool,
    uploads: &Semaphore,
    counts: &mut Counts,
) -> Result<(), Undelivered> {
    let mut missing = missing(target, pieces, doubted, counts).await?;
    let gone: HashSet<Digest> = missing
        .iter()
        .filter(|piece| matches!(piece.origin, Origin::Gone))
        .map(|piece| piece.descriptor.digest.clone())
        .collect();
    if !gone.is_empty() {
        return Err(Undelivered::Gone(gone));
    }
    let total = missing.iter().map(|piece| piece.descriptor.size).sum();
    host.info(format!(
        "{}: {} of {} blobs to push, {}",
        target.name(),
        missing.len(),
        pieces.len(),
        size(total)
    ));
    missing.sort_by_key(|piece| std::cmp::Reverse(piece.descriptor.size));
    let board = Board::new(Some(total));
    let count = missing.len();
    let brought = stream::iter(missing.into_iter().enumerate())
        .map(async |(index, piece)| -> Result<_, Fault> {
            let _permit = uploads.acquire().await;
            let blob = &piece.descriptor;
            let description = format!("blob {} of {count}, {}", index + 1, short(&blob.digest));
            let shown = board.begin(description.clone(), Size::Known(blob.size));
            let transfer = bring(target, blob, &piece.origin, false, &shown.moved).await?;
            host.info(format!(
                "{}: {description}, {}, {}",
                target.name(),
                transfer.label(),
                size(blob.size)
            ));
            Ok((transfer, blob.size))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>();
    let brought = board
        .reporting_progress(host, target.name(), brought)
        .await?;
    for (transfer, bytes) in brought {
        counts.count(transfer, bytes);
    }
    Ok(())
}

/// The blobs that the target does not have. Those that it has are counted, each once.
async fn missing<'p>(
    target: &Target,
    pieces: &'p [Piece],
    doubted: bool,
    counts: &mut Counts,
) -> Result<Vec<&'p Piece>, Undelivered> {
    let looked: Vec<(bool, &Piece)> = stream::iter(pieces)
        .map(async |piece| -> Result<_, Fault> {
            if piece.there && !doubted {
                return Ok((true, piece));
            }
            if target.created && !doubted {
                return Ok((false, piece));
            }
            let blob = &piece.descriptor.digest;
            let there = target
                .repo
                .client
                .retry(async |pass| target.settled(target.repo.has(pass, blob).await))
                .await;
            let there = unless_broken(there)?;
            Ok((there, piece))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut missing = Vec::new();
    for (there, piece) in looked {
        match there {
            // It was counted when it was found.
            true if doubted || piece.there => {}
            true => counts.count(BlobTransfer::Skipped, piece.descriptor.size),
            false => missing.push(piece),
        }
    }
    Ok(missing)
}

/// The result of preparing an upload.
pub(super) enum Preparation {
    /// None is needed.
    Present(BlobTransfer),
    /// Where the bytes go.
    Upload(Url),
}

/// Brings one blob from its origin to the target. `look`: the target was not asked for it yet.
pub(super) async fn bring(
    target: &Target,
    blob: &Descriptor,
    origin: &Origin,
    look: bool,
    moved: &Moved,
) -> Result<BlobTransfer, Fault> {
    let repo = &target.repo;
    let mut sent = false;
    let mut look = look;
    let done = repo.client.retry(async |pass| {
        let looked = std::mem::replace(&mut look, true);
        let session = match begin(target, pass, blob, Some(origin), looked).await? {
            // Where it was sent before, only the answer was lost.
            Preparation::Present(BlobTransfer::Skipped) if sent => return Ok(BlobTransfer::Pushed),
            Preparation::Present(transfer) => return Ok(transfer),
            Preparation::Upload(session) => session,
        };
        moved.restart();
        let body = open(blob, origin, moved).await?;
        sent = true;
        repo.put_whole(pass, session, &blob.digest, blob.size, body)
            .await?;
        Ok(BlobTransfer::Pushed)
    });
    done.await
}

/// Asks for a blob, if `look`, and then for a mount of it, before it is uploaded.
pub(super) async fn begin(
    target: &Target,
    pass: &Pass,
    blob: &Descriptor,
    origin: Option<&Origin>,
    look: bool,
) -> Result<Preparation, Fault> {
    let repo = &target.repo;
    if look && unless_broken(target.settled(repo.has(pass, &blob.digest).await))? {
        return Ok(Preparation::Present(BlobTransfer::Skipped));
    }
    if let Some(from) = mountable(target, pass, blob, origin).await? {
        match repo.mount(pass, &blob.digest, &from).await {
            Ok(Mount::Mounted) => return Ok(Preparation::Present(BlobTransfer::Mounted)),
            Ok(Mount::Upload(url)) => return Ok(Preparation::Upload(url)),
            // A mount is optional: a fault that forbids it need not forbid the upload.
            Err(fault) if matches!(fault.kind, Kind::Final | Kind::Login | Kind::Missing) => {}
            Err(fault) => return Err(fault),
        }
    }
    target
        .settled(repo.begin(pass).await)
        .map(Preparation::Upload)
}

/// Counts a blob as missing if the registry fails when it is asked: after its disk was full, a registry can keep a record
/// of a blob that it always fails on, which only another upload repairs (seen with CNCF distribution 2.8).
fn unless_broken(there: Result<bool, Fault>) -> Result<bool, Fault> {
    match there {
        Err(fault) if fault.broken => Ok(false),
        there => there,
    }
}

/// The first repository of the same registry that has the blob.
async fn mountable(
    target: &Target,
    pass: &Pass,
    blob: &Descriptor,
    origin: Option<&Origin>,
) -> Result<Option<String>, Fault> {
    let same = match origin {
        Some(Origin::Repo(repo)) if repo.client.is(&target.repo.client) => Some(repo.name.clone()),
        _ => None,
    };
    for name in same.iter().chain(&target.from) {
        if *name == target.repo.name {
            continue;
        }
        match target.repo.client.repo(name).has(pass, &blob.digest).await {
            Ok(true) => return Ok(Some(name.clone())),
            Ok(false) => {}
            Err(fault) if fault.kind == Kind::Passing => return Err(fault),
            // This role may not read that repository, or it does not exist.
            Err(_) => {}
        }
    }
    Ok(None)
}

/// The blob's bytes, from their start.
async fn open(blob: &Descriptor, origin: &Origin, moved: &Moved) -> Result<Body, Fault> {
    match origin {
        Origin::Bytes(bytes) => Ok(Body::bytes(vec![bytes.clone()], moved)),
        Origin::Layout(source) => {
            let Source::Layout(layout) = &**source else {
                return Err(Error::failed("the source is not a layout").into());
            };
            let found = layout.open(&blob.digest)?;
            if found.size != blob.size {
                return Err(Error::failed(format!(
                    "blob {} has {} bytes, its manifest says {}",
                    blob.digest, found.size, blob.size
                ))
                .hint("the layout is damaged or not yet written; make it again")
                .into());
            }
            Ok(Body::reader(
                found.reader,
                blob.digest.to_string(),
                blob.size,
                moved,
            ))
        }
        Origin::Repo(repo) => {
            // Inside the target's own tries, so that a download that breaks off begins anew with its upload.
            let response = repo
                .client
                .retry(async |pass| repo.get(pass, &blob.digest, moved).await)
                .await?;
            Ok(Body::answer(response, moved))
        }
        Origin::Gone => Err(Error::failed(format!("blob {} is gone", blob.digest)).into()),
    }
}

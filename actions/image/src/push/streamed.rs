//! The upload of one layer to one target, from bytes that come once.

use super::deliver::{self, Preparation};
use super::target::{BlobTransfer, Target};
use crate::blob::{Descriptor, Measured};
use crate::registry::{Body, Fault, Kind, Moved, Repo};
use bytes::Bytes;
use kit::Error;
use kit::id::Digest;
use reqwest::Url;
use std::sync::Mutex;
use tokio::sync::{mpsc, oneshot};

/// Where the first target that needs a layer's bytes says so.
pub(super) type Tell = Mutex<Option<oneshot::Sender<()>>>;

/// The parts of a reading that the targets share.
#[derive(Clone)]
pub(super) enum Piece {
    Bytes(Bytes),
    End(Measured),
}

/// What is known of a layer when its uploads begin.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) named: Option<&'a Descriptor>,
    /// Its first bytes.
    pub(super) held: &'a [Bytes],
    pub(super) tell: &'a Tell,
}

/// Uploads the pieces of a layer, unless the target has it or can mount it.
pub(super) async fn upload(
    target: &Target,
    start: Start<'_>,
    mut pieces: mpsc::Receiver<Piece>,
    moved: &Moved,
) -> Result<BlobTransfer, Fault> {
    let repo = &target.repo;
    let (begun, pass) = repo
        .client
        .retry(async |pass| {
            let begun = match start.named {
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
    let tell = start.tell.lock().ok().and_then(|mut tell| tell.take());
    if let Some(tell) = tell {
        // Without a sender of bytes, the pieces end.
        let _ = tell.send(());
    }
    let (feed, body) = Body::feed(moved);
    let pump = async move {
        for block in start.held {
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

//! The blobs and manifests that the engine sends in one push, and what becomes of each.

use super::super::contents::{Entry, SMALL};
use super::super::reading::SMALLS;
use super::{Begin, Offer};
use crate::blob::{Chunk, Compression, Measured};
use crate::digest::{digest, digest_of};
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use kit::Error;
use kit::id::Digest;
use ring::digest::{Context, SHA256};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// The start of a zstd frame (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// One push.
pub(super) struct Intake {
    config: Digest,
    state: Mutex<State>,
    reached: watch::Sender<bool>,
    whole: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    begin: Option<Begin>,
    blobs: HashMap<Digest, Blob>,
    received: Received,
    failure: Option<Error>,
}

enum Blob {
    /// It is being found out whether somebody needs it.
    Asked,
    /// Its bytes go here.
    Needed(mpsc::Sender<Chunk>),
    Coming,
    There,
}

/// What is left of a push when it is over.
#[derive(Default)]
pub(super) struct Received {
    pub(super) reached: bool,
    pub(super) config: Option<Bytes>,
    pub(super) manifests: HashMap<Digest, Bytes>,
    /// Layers that came whole, and layers that nobody needed.
    pub(super) layers: HashMap<Digest, Option<Layer>>,
}

/// A layer as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) size: u64,
    pub(super) is_zstd: bool,
}

/// Why something was not taken, for the engine.
pub(super) enum Refused {
    /// Its bytes are not the ones that the digest names.
    Digest,
    /// It was not asked for, or is too large.
    Unexpected,
    /// The connection broke off.
    Broken,
}

impl Intake {
    pub(super) fn new(config: Digest, begin: Begin) -> Self {
        Self {
            config,
            state: Mutex::new(State {
                begin: Some(begin),
                ..State::default()
            }),
            reached: watch::Sender::new(false),
            whole: watch::Sender::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the engine got here, with the login.
    pub(super) fn reach(&self) {
        self.reached.send_replace(true);
    }

    /// Waits until the engine gets here.
    pub(super) async fn reached(&self) {
        // The sender lives as long as this does.
        let _ = self.reached.subscribe().wait_for(|reached| *reached).await;
    }

    /// Waits for the manifest that the engine gives a tag, its last.
    pub(super) async fn whole(&self) {
        // The sender lives as long as this does.
        let _ = self.whole.subscribe().wait_for(|whole| *whole).await;
    }

    /// Returns whether that manifest came.
    pub(super) fn is_whole(&self) -> bool {
        *self.whole.borrow()
    }

    /// The reason why something was refused.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state().failure.clone()
    }

    /// Takes nothing more, and lets go of everybody who waits for bytes.
    pub(super) fn close(&self) -> Received {
        let mut state = self.state();
        state.begin = None;
        state.blobs.clear();
        let mut received = std::mem::take(&mut state.received);
        received.reached = *self.reached.borrow();
        received
    }

    /// Returns whether the engine does not have to send the blob.
    pub(super) async fn has(&self, blob: &Digest) -> bool {
        if *blob == self.config {
            return self.state().received.config.is_some();
        }
        let Some(Offer { chunks, needed }) = self.begin(blob) else {
            return !matches!(self.state().blobs.get(blob), Some(Blob::Needed(_)));
        };
        let is_needed = needed.await.is_ok();
        let mut state = self.state();
        if state.begin.is_none() {
            return true;
        }
        let now = match is_needed {
            true => Blob::Needed(chunks),
            false => {
                state.received.layers.insert(blob.clone(), None);
                Blob::There
            }
        };
        state.blobs.insert(blob.clone(), now);
        !is_needed
    }

    /// Asks for a layer's receiver, once.
    fn begin(&self, blob: &Digest) -> Option<Offer> {
        let mut state = self.state();
        if state.blobs.contains_key(blob) {
            return None;
        }
        let entry = Entry {
            path: format!("blobs/sha256/{}", blob.hex()),
            diff_id: None,
            // The engine says so only when it sends it.
            size: 0,
        };
        let offer = state.begin.as_mut()?(&entry);
        let now = match offer {
            Some(_) => Blob::Asked,
            None => {
                state.received.layers.insert(blob.clone(), None);
                Blob::There
            }
        };
        state.blobs.insert(blob.clone(), now);
        offer
    }

    /// Takes the bytes of a blob.
    pub(super) async fn take(&self, blob: &Digest, body: Incoming) -> Result<(), Refused> {
        let taken = if *blob == self.config {
            self.take_config(blob, body).await
        } else {
            self.take_layer(blob, body).await
        };
        if let Err(Refused::Digest) = taken {
            let error = Error::failed(format!(
                "the Docker Engine sends other bytes as blob {blob}"
            ))
            .hint("check the engine's disk, and build the image again");
            self.state().failure.get_or_insert(error);
        }
        taken
    }

    async fn take_config(&self, blob: &Digest, body: Incoming) -> Result<(), Refused> {
        let bytes = small(body).await?;
        if digest(&bytes) != *blob {
            return Err(Refused::Digest);
        }
        self.state().received.config = Some(bytes);
        Ok(())
    }

    async fn take_layer(&self, blob: &Digest, mut body: Incoming) -> Result<(), Refused> {
        let expected = {
            let mut state = self.state();
            match state.blobs.insert(blob.clone(), Blob::Coming) {
                Some(Blob::Needed(chunks)) => Some(chunks),
                _ => None,
            }
        };
        let chunks = expected.ok_or(Refused::Unexpected)?;
        let mut hash = Context::new(&SHA256);
        let mut start: Vec<u8> = Vec::new();
        let mut size = 0;
        let mut is_wanted = true;
        while let Some(piece) = piece(&mut body).await? {
            hash.update(&piece);
            size += piece.len() as u64;
            let missing = ZSTD.len().saturating_sub(start.len()).min(piece.len());
            start.extend_from_slice(&piece[..missing]);
            // The engine does not take an early refusal for an answer, so the rest is read and dropped.
            is_wanted = is_wanted && chunks.send(Chunk::Bytes(piece)).await.is_ok();
        }
        if digest_of(hash) != *blob {
            return Err(Refused::Digest);
        }
        let is_zstd = start == ZSTD;
        let compression = match is_zstd {
            true => Compression::Zstd,
            false => Compression::Gzip,
        };
        let measured = Measured {
            media_type: compression.media_type().to_owned(),
            digest: blob.clone(),
            size,
            diff_id: None,
        };
        // Those who wanted it may all have failed.
        let _ = chunks.send(Chunk::End(measured)).await;
        let mut state = self.state();
        let layer = Layer { size, is_zstd };
        state.received.layers.insert(blob.clone(), Some(layer));
        state.blobs.insert(blob.clone(), Blob::There);
        Ok(())
    }

    /// Takes a manifest. `true`: it is the one that a tag was to name, and the push is over.
    pub(super) async fn take_manifest(
        &self,
        reference: &str,
        body: Incoming,
    ) -> Result<bool, Refused> {
        let bytes = small(body).await?;
        let found = digest(&bytes);
        let named = Digest::parse(reference).ok();
        if named.as_ref().is_some_and(|named| *named != found) {
            return Err(Refused::Digest);
        }
        let mut state = self.state();
        let held: usize = state.received.manifests.values().map(Bytes::len).sum();
        if (held + bytes.len()) as u64 > SMALLS {
            return Err(Refused::Unexpected);
        }
        state.received.manifests.insert(found, bytes);
        drop(state);
        if named.is_none() {
            self.whole.send_replace(true);
        }
        Ok(named.is_none())
    }
}

/// The next bytes of a body, `None` at its end.
async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, Refused> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refused::Broken),
            // Trailers say nothing about a blob.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// A body that has to fit in memory.
async fn small(mut body: Incoming) -> Result<Bytes, Refused> {
    let mut bytes = Vec::new();
    while let Some(piece) = piece(&mut body).await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > SMALL {
            return Err(Refused::Unexpected);
        }
    }
    Ok(bytes.into())
}

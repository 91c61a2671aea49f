//! One reading of an archive: each layer to all targets that lack it, at once.

use super::super::layer::{self, Streamed, Wanted};
use super::super::progress::{Board, short, size};
use super::super::slow::Slow;
use super::{AT_ONCE, READINGS, Work};
use crate::blob::{Chunk, Compression, Descriptor};
use crate::registry::Kind;
use crate::source::{Contents, Entry, GivenUp, Offer, Source};
use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, StreamExt};
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

impl Work<'_> {
    /// Pauses before the retry after the `failed`-th reading, as long as the failed registries ask for.
    async fn pause_before_retry(&mut self, failed: usize) {
        let failed = u32::try_from(failed).unwrap_or(u32::MAX);
        let mut longest = Duration::ZERO;
        for index in self.incomplete() {
            let Some(fault) = &self.states[index].fault else {
                continue;
            };
            let client = &self.targets[index].repo.client;
            match client.pause(failed, Duration::ZERO, fault) {
                Some(pause) => longest = longest.max(pause),
                None => self.states[index].ended = Some(Err(fault.error.clone())),
            }
        }
        tokio::time::sleep(longest).await;
    }

    /// Reads the archive once, for the targets that need it.
    pub(super) async fn read(&mut self, reading: usize) {
        if reading > 1 {
            self.pause_before_retry(reading - 1).await;
        }
        let live = self.incomplete();
        if live.is_empty() {
            return;
        }
        if reading > 1 {
            self.host.info(format!(
                "reading the image again, for {}",
                self.names(&live)
            ));
        }
        let (streamed, contents) = self.stream(&live).await;
        match contents {
            Ok(contents) => {
                for layer in &contents.layers {
                    self.paths
                        .insert(layer.entry.path.clone(), layer.diff_id.clone());
                    if let Some(measured) = &layer.measured {
                        self.made
                            .insert(layer.diff_id.clone(), layer::descriptor(measured));
                    }
                }
                let diff_ids = contents.layers.into_iter().map(|layer| layer.diff_id);
                self.contents = Some((contents.config, diff_ids.collect()));
            }
            Err(error) => {
                let given_up = (reading < READINGS).then(|| self.give_up_shortcut());
                let instead = format!("{}; the engine's export is read instead", error.line());
                match given_up.flatten() {
                    Some(GivenUp::OutOfReach) => self.host.info(instead),
                    Some(GivenUp::Broken) => self.host.warn(instead),
                    None => {
                        for index in live {
                            self.states[index].ended = Some(Err(error.clone()));
                        }
                        return;
                    }
                }
            }
        }
        for layer in streamed {
            let Some(diff_id) = layer.diff_id.as_ref().or(self.paths.get(&layer.path)) else {
                continue;
            };
            // A layer that was read to its end is valid even if the reading failed later.
            if let Some(blob) = layer.blob {
                self.made.entry(diff_id.clone()).or_insert(blob);
            }
            let bytes = self.made.get(diff_id).map_or(0, |blob| blob.size);
            for (index, result) in layer.results {
                let state = &mut self.states[index];
                match result {
                    Ok(transfer) => {
                        if state.done.insert(diff_id.clone()) {
                            state.counts.count(transfer, bytes);
                        }
                    }
                    Err(fault) if fault.kind == Kind::Passing && reading < READINGS => {
                        state.fault = Some(fault);
                    }
                    Err(fault) => state.ended = Some(Err(fault.error)),
                }
            }
        }
        for index in live {
            if self.states[index].ended.is_none() && !self.is_complete(index) && reading == READINGS
            {
                let name = self.names(&[index]);
                let error = self.states[index].fault.take();
                let error = error.map(|fault| fault.error);
                self.states[index].ended = Some(Err(error.unwrap_or_else(|| {
                    Error::failed(format!("cannot upload a layer to {name}"))
                        .hint("run the step again: blobs that arrived are not sent again")
                })));
            }
        }
    }

    fn give_up_shortcut(&self) -> Option<GivenUp> {
        match &**self.source {
            Source::Archive(archive) => archive.give_up_shortcut(),
            Source::Layout(_) => None,
        }
    }

    /// The layers that arrived, even if the reading failed.
    async fn stream(&self, live: &[usize]) -> (Vec<Streamed>, Result<Contents>) {
        let Source::Archive(archive) = &**self.source else {
            return (
                Vec::new(),
                Err(Error::failed("the source is not an archive")),
            );
        };
        let (start, mut started) = mpsc::unbounded_channel();
        let mut wants = Wants {
            live: live
                .iter()
                .map(|index| (*index, self.states[*index].done.clone()))
                .collect(),
            known: self.known.keys().cloned().collect(),
            paths: self.named(),
            begun: HashSet::new(),
            order: archive
                .known()
                .map(|known| known.diff_ids.clone())
                .unwrap_or_default(),
            asked: 0,
        };
        if let Some(origin_text) = archive.origin_text() {
            self.host
                .info(format!("the layers are read from {origin_text}"));
        }
        let is_pushed = archive.push().is_some();
        let begin = move |entry: &Entry| {
            let mut wanted = wants.of(entry)?;
            let (chunks, receiver) = mpsc::channel::<Chunk>(2);
            let (tell, needed) = oneshot::channel();
            wanted.tell = is_pushed.then_some(tell);
            start.send((wanted, receiver)).ok()?;
            Some(Offer { chunks, needed })
        };
        let reading = read(Arc::clone(self.source), self.compression, begin);
        let at_once = Semaphore::new(AT_ONCE);
        let slow = Slow::none(self.targets.len());
        let board = Board::new(None);
        let drive = async {
            let mut running = FuturesUnordered::new();
            let mut streamed = Vec::new();
            let mut reads = true;
            while reads || !running.is_empty() {
                tokio::select! {
                    layer = started.recv(), if reads => match layer {
                        Some((wanted, chunks)) => running.push(layer::stream(
                            wanted, chunks, self.targets, &at_once, &slow, &board,
                        )),
                        None => reads = false,
                    },
                    Some(layer) = running.next(), if !running.is_empty() => {
                        self.report_layer(&layer);
                        streamed.push(layer);
                    }
                }
            }
            streamed
        };
        let names = self.names(live);
        let (contents, streamed) = board
            .reporting_progress(self.host, &names, join(reading, drive))
            .await;
        self.host.info(format!(
            "{names}: {} layers sent, {}",
            streamed.len(),
            size(board.bytes())
        ));
        (streamed, contents)
    }

    /// The layers by their paths in the archive: from earlier readings, and from earlier images for blobs that are named by their
    /// digest.
    fn named(&self) -> HashMap<String, Digest> {
        let known = self.known.iter().map(|(diff_id, blob)| {
            let path = format!("blobs/sha256/{}", blob.digest.hex());
            (path, diff_id.clone())
        });
        let read = self.paths.iter();
        known
            .chain(read.map(|(path, diff_id)| (path.clone(), diff_id.clone())))
            .collect()
    }

    /// Reports where a layer arrived. Targets that it did not reach are reported by the next reading, or at the end.
    fn report_layer(&self, layer: &Streamed) {
        let Some(blob) = &layer.blob else { return };
        for (index, result) in &layer.results {
            if let Ok(transfer) = result {
                self.host.info(format!(
                    "{}: {}, {} as {}, {}",
                    self.targets[*index].name(),
                    layer.description,
                    transfer.label(),
                    short(&blob.digest),
                    size(blob.size)
                ));
            }
        }
    }
}

/// Reads the archive on a thread, or has the engine push it. The receivers are dropped together with the caller, which ends
/// the reading.
async fn read(
    source: Arc<Source>,
    compression: Compression,
    mut begin: impl FnMut(&Entry) -> Option<Offer> + Send + 'static,
) -> Result<Contents> {
    let not_an_archive = || Error::failed("the source is not an archive");
    let Source::Archive(archive) = &*source else {
        return Err(not_an_archive());
    };
    if let Some(push) = archive.push().cloned() {
        return push.read(Box::new(begin)).await;
    }
    let source = Arc::clone(&source);
    tokio::task::spawn_blocking(move || {
        let Source::Archive(archive) = &*source else {
            return Err(not_an_archive());
        };
        archive.read(compression, &mut |entry| Some(begin(entry)?.chunks))
    })
    .await
    .unwrap_or_else(|_| Err(Error::failed("reading the image ended without a result")))
}

/// Decides which layers of a reading go to which targets.
struct Wants {
    /// Targets that lack something, with the layers they have.
    live: Vec<(usize, HashSet<Digest>)>,
    known: HashSet<Digest>,
    paths: HashMap<String, Digest>,
    /// Layers that were started: one that is in the image twice is sent once.
    begun: HashSet<Digest>,
    /// The image's layers, bottom first, where they are known before they are read.
    order: Vec<Digest>,
    /// Layers that were asked for.
    asked: usize,
}

impl Wants {
    /// The layer as it is to be sent, if a target lacks it.
    fn of(&mut self, entry: &Entry) -> Option<Wanted> {
        self.asked += 1;
        let diff_id = entry
            .diff_id
            .as_ref()
            .or_else(|| self.paths.get(&entry.path));
        let targets: Vec<usize> = match diff_id {
            None => self.live.iter().map(|(index, _)| *index).collect(),
            Some(known) if self.known.contains(known) || !self.begun.insert(known.clone()) => {
                Vec::new()
            }
            Some(diff_id) => self
                .live
                .iter()
                .filter(|(_, done)| !done.contains(diff_id))
                .map(|(index, _)| *index)
                .collect(),
        };
        let layer_index = diff_id.and_then(|diff_id| {
            let layer_index = self.order.iter().position(|layer| layer == diff_id)?;
            Some((layer_index, diff_id))
        });
        let description = match layer_index {
            Some((layer_index, diff_id)) => format!(
                "layer {} of {} ({})",
                layer_index + 1,
                self.order.len(),
                short(diff_id)
            ),
            None => format!("layer {}", self.asked),
        };
        (!targets.is_empty()).then(|| Wanted {
            path: entry.path.clone(),
            // Where the layers' own digests are known, a name that is none of them is a blob's.
            blob: (!self.order.is_empty()).then(|| named(entry)).flatten(),
            diff_id: entry.diff_id.clone(),
            description,
            size: entry.size,
            targets,
            tell: None,
        })
    }
}

/// The blob, if the archive holds it as it is to be stored: named by the digest of its own bytes, not by the layer's.
fn named(entry: &Entry) -> Option<Descriptor> {
    if entry.diff_id.is_some() {
        return None;
    }
    let hex = entry.path.strip_prefix("blobs/sha256/")?;
    Some(Descriptor {
        media_type: Compression::Gzip.media_type().to_owned(),
        digest: Digest::parse(&format!("sha256:{hex}")).ok()?,
        size: entry.size,
    })
}

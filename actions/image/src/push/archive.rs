//! Pushing an archive of Docker's: one stream of uncompressed layers, read as seldom as can be.
//!
//! Not at all, if a target holds the image already. Else once: layers whose compressed form earlier images of the first
//! target have are passed over, the others go to all targets that lack them. A layer that could not be uploaded, or that
//! is gone when the manifest comes, costs another reading.
//!
//! The image has one digest everywhere, so which blob stands for a layer is decided by the first target; the others get
//! that very blob from it.

use super::deliver::{self, How, Image, Origin, Piece, Undelivered};
use super::earlier::{self, Earlier, is_compressed};
use super::layer::{self, Streamed};
use super::layout::delivered;
use super::progress::{self, size};
use super::slow::Slow;
use super::{Counts, Delivered, Target, UPLOADS, tree};
use crate::registry::{Fault, Kind, Manifest, Moved, Repo, digest_of};
use crate::source::{Chunk, Compression, Contents, Descriptor, Entry, Known, Source};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use kit::host::Host;
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

/// Readings of the archive at most.
const READINGS: usize = 4;

/// Layers on their way at once.
const AT_ONCE: usize = 8;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(super) async fn push(
    host: &Host,
    source: &Arc<Source>,
    compression: Compression,
    targets: &[Target],
) -> Vec<Result<Delivered>> {
    let started = Instant::now();
    let known = match &**source {
        Source::Archive(archive) => archive.known(),
        Source::Layout(_) => None,
    };
    let seen = join_all(targets.iter().map(earlier::read)).await;
    if let Some(known) = known
        && let Some((holder, found)) = held(known, compression, targets, &seen).await
    {
        host.info(format!(
            "{} holds this image as {}; nothing is read from the builder",
            targets[holder].name(),
            found.manifest.digest
        ));
        let image = copied(found, &targets[holder].repo);
        let platforms = tree::platforms(
            &image.root,
            &found.manifest.bytes,
            Some(&found.config_bytes),
        );
        let uploads = Semaphore::new(UPLOADS);
        return join_all(targets.iter().zip(seen.iter()).map(|(target, seen)| {
            let (image, platforms, uploads) = (&image, &platforms, &uploads);
            async move {
                if let Err(fault) = seen {
                    return Err(fault.error.clone());
                }
                let counts = deliver::deliver(host, target, image, uploads).await;
                delivered(image, platforms, counts, started)
            }
        }))
        .await;
    }
    let mut work = Work::begin(host, source, compression, targets, known, seen, started).await;
    for reading in 1..=READINGS {
        if work.live().is_empty() {
            break;
        }
        work.read(reading).await;
        work.finish().await;
    }
    work.results()
}

/// The image, where a target has all of it.
async fn held<'a>(
    known: &Known,
    compression: Compression,
    targets: &[Target],
    seen: &'a [Result<Vec<Earlier>, Fault>],
) -> Option<(usize, &'a Earlier)> {
    for (index, images) in seen.iter().enumerate() {
        for image in images.iter().flatten() {
            if image.config.digest != known.config || !is_compressed(image, compression) {
                continue;
            }
            let there = join_all(image.blobs.iter().map(async |blob| {
                let repo = &targets[index].repo;
                repo.client
                    .persist(async |pass| repo.has(pass, &blob.digest).await)
                    .await
            }))
            .await;
            if there.iter().all(|there| matches!(there, Ok(true))) {
                return Some((index, image));
            }
        }
    }
    None
}

fn copied(found: &Earlier, from: &Repo) -> Image {
    Image {
        pieces: found
            .blobs
            .iter()
            .map(|blob| Piece {
                descriptor: blob.clone(),
                origin: Origin::Repo(from.clone()),
                there: false,
            })
            .collect(),
        root: found.manifest.digest.clone(),
        manifests: vec![found.manifest.clone()],
        other_tags: Vec::new(),
    }
}

/// A push under way.
struct Work<'a> {
    host: &'a Host,
    source: &'a Arc<Source>,
    compression: Compression,
    targets: &'a [Target],
    started: Instant,
    /// Layers by diff ID that the first target had before.
    known: HashMap<Digest, Descriptor>,
    /// The target that `known` is about.
    first: usize,
    /// Layers by diff ID as they came out of the archive.
    made: HashMap<Digest, Descriptor>,
    /// Configuration and diff IDs, once the archive was read.
    contents: Option<(Bytes, Vec<Digest>)>,
    /// Which path in the archive is which layer.
    paths: HashMap<String, Digest>,
    states: Vec<State>,
}

/// One target's part.
#[derive(Default)]
struct State {
    /// Layers, by diff ID, that were brought.
    done: HashSet<Digest>,
    counts: Counts,
    /// The last failure, while another reading may mend it.
    fault: Option<Fault>,
    ended: Option<Result<Delivered>>,
}

impl<'a> Work<'a> {
    async fn begin(
        host: &'a Host,
        source: &'a Arc<Source>,
        compression: Compression,
        targets: &'a [Target],
        image: Option<&Known>,
        seen: Vec<Result<Vec<Earlier>, Fault>>,
        started: Instant,
    ) -> Self {
        let first = seen.iter().position(Result::is_ok).unwrap_or_default();
        let mut known = HashMap::new();
        let mut states = Vec::new();
        for (index, seen) in seen.into_iter().enumerate() {
            let mut state = State::default();
            match seen {
                Ok(images) if index == first => known = earlier::layers(&images, compression),
                Ok(_) => {}
                Err(fault) => state.ended = Some(Err(fault.error)),
            }
            states.push(state);
        }
        if let Some(image) = image {
            known.retain(|diff_id, _| image.diff_ids.contains(diff_id));
        }
        if let Some(target) = targets.get(first) {
            known = still_there(target, known).await;
        }
        Self {
            host,
            source,
            compression,
            targets,
            started,
            known,
            first,
            made: HashMap::new(),
            contents: None,
            paths: HashMap::new(),
            states,
        }
    }

    fn live(&self) -> Vec<usize> {
        (0..self.states.len())
            .filter(|index| self.states[*index].ended.is_none())
            .collect()
    }

    /// Whether all of the image's layers are at the target, or can be had from another.
    fn is_complete(&self, index: usize) -> bool {
        self.contents.as_ref().is_some_and(|(_, layers)| {
            layers.iter().all(|layer| {
                self.known.contains_key(layer) || self.states[index].done.contains(layer)
            })
        })
    }

    /// Those that lack a layer.
    fn incomplete(&self) -> Vec<usize> {
        self.live()
            .into_iter()
            .filter(|index| !self.is_complete(*index))
            .collect()
    }

    /// Leaves the registries alone that failed, as each asks for, before the `failed`-th reading is tried again.
    async fn rest(&mut self, failed: usize) {
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

    /// Reads the archive once, for those who need it.
    async fn read(&mut self, reading: usize) {
        if reading > 1 {
            self.rest(reading - 1).await;
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
        let (streamed, contents) = match self.stream(&live).await {
            Ok(read) => read,
            Err(error) => {
                for index in live {
                    self.states[index].ended = Some(Err(error.clone()));
                }
                return;
            }
        };
        for layer in &contents.layers {
            self.paths
                .insert(layer.entry.path.clone(), layer.diff_id.clone());
            if let Some(measured) = &layer.measured {
                self.made
                    .insert(layer.diff_id.clone(), layer::descriptor(measured));
            }
        }
        self.contents = Some((
            contents.config,
            contents
                .layers
                .into_iter()
                .map(|layer| layer.diff_id)
                .collect(),
        ));
        for layer in streamed {
            let Some(diff_id) = self.paths.get(&layer.path) else {
                continue;
            };
            let bytes = self.made.get(diff_id).map_or(0, |blob| blob.size);
            for (index, result) in layer.results {
                let state = &mut self.states[index];
                match result {
                    Ok(how) => {
                        if state.done.insert(diff_id.clone()) {
                            state.counts.count(how, bytes);
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
                let error = self.states[index].fault.take();
                let error = error.map(|fault| fault.error);
                self.states[index].ended = Some(Err(error.unwrap_or_else(|| {
                    Error::failed("a layer could not be brought there")
                        .hint("run the step again; what is there is not sent again")
                })));
            }
        }
    }

    async fn stream(&self, live: &[usize]) -> Result<(Vec<Streamed>, Contents)> {
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut wants = Wants {
            live: live
                .iter()
                .map(|index| (*index, self.states[*index].done.clone()))
                .collect(),
            known: self.known.keys().cloned().collect(),
            paths: self.paths.clone(),
            begun: HashSet::new(),
        };
        let (source, compression) = (Arc::clone(self.source), self.compression);
        // When this future is dropped, so are the receivers, and the reading has nobody left to read for.
        let reading = tokio::task::spawn_blocking(move || {
            let Source::Archive(archive) = &*source else {
                return Err(Error::failed("the source is no archive"));
            };
            archive.read(compression, &mut |entry: &Entry| {
                let targets = wants.of(entry);
                if targets.is_empty() {
                    return None;
                }
                let (sender, receiver) = mpsc::channel::<Chunk>(2);
                tell.send((entry.path.clone(), receiver, targets)).ok()?;
                Some(sender)
            })
        });
        let at_once = Semaphore::new(AT_ONCE);
        let slow = Slow::none(self.targets.len());
        let moved = Moved::default();
        let drive = async {
            let mut running = FuturesUnordered::new();
            let mut streamed = Vec::new();
            let mut reads = true;
            while reads || !running.is_empty() {
                tokio::select! {
                    layer = told.recv(), if reads => match layer {
                        Some((path, chunks, wanted)) => running.push(layer::stream(
                            path, chunks, self.targets, wanted, &at_once, &slow, &moved,
                        )),
                        None => reads = false,
                    },
                    Some(layer) = running.next(), if !running.is_empty() => streamed.push(layer),
                }
            }
            streamed
        };
        let names = self.names(live);
        let streamed = progress::told(self.host, &names, &moved, None, drive).await;
        let contents = reading
            .await
            .map_err(|_| Error::failed("reading the image ended without a result"))??;
        self.host.info(format!(
            "{names}: {} layers sent, {}",
            streamed.len(),
            size(moved.bytes())
        ));
        Ok((streamed, contents))
    }

    fn names(&self, targets: &[usize]) -> String {
        let names: Vec<&str> = targets
            .iter()
            .map(|index| self.targets[*index].name())
            .collect();
        names.join(", ")
    }

    /// Brings manifest and tags to those that have all layers.
    async fn finish(&mut self) {
        let complete: Vec<usize> = self
            .live()
            .into_iter()
            .filter(|index| self.is_complete(*index))
            .collect();
        // The first target goes first: it is where the others find what it knew.
        let (head, rest): (Vec<usize>, Vec<usize>) =
            complete.into_iter().partition(|index| *index == self.first);
        for group in [head, rest] {
            let uploads = Semaphore::new(UPLOADS);
            let finished = join_all(group.iter().map(|index| {
                let (this, uploads) = (&*self, &uploads);
                async move { (*index, this.deliver(*index, uploads).await) }
            }))
            .await;
            for (index, result) in finished {
                self.end(index, result);
            }
        }
    }

    fn end(&mut self, index: usize, result: Result<Delivered, Undelivered>) {
        match result {
            Ok(delivered) => self.states[index].ended = Some(Ok(delivered)),
            Err(Undelivered::Error(error)) => self.states[index].ended = Some(Err(error)),
            Err(Undelivered::Gone(blobs)) => {
                let gone = |blob: Option<&Descriptor>| {
                    blob.is_some_and(|blob| blobs.contains(&blob.digest))
                };
                let made = &self.made;
                self.states[index]
                    .done
                    .retain(|diff_id| !gone(made.get(diff_id)));
                if index == self.first {
                    self.known.retain(|_, blob| !gone(Some(blob)));
                }
                let vanished = Error::failed(format!("{} blobs vanished while the image was pushed", blobs.len()))
                    .hint("something deletes from the repository while this runs; look at its lifecycle policy, and run the step again");
                self.states[index].fault = Some(Fault::new(Kind::Passing, vanished));
            }
        }
    }

    async fn deliver(&self, index: usize, uploads: &Semaphore) -> Result<Delivered, Undelivered> {
        let (image, config) = self.image(index)?;
        let counts = deliver::deliver(self.host, &self.targets[index], &image, uploads).await?;
        let mut counts = counts + self.states[index].counts;
        if index == self.first {
            for piece in image.pieces.iter().filter(|piece| piece.there) {
                let is_known = self
                    .known
                    .values()
                    .any(|blob| blob.digest == piece.descriptor.digest);
                if is_known {
                    counts.count(How::Skipped, piece.descriptor.size);
                }
            }
        }
        let platforms = self.manifest_platforms(&image, &config);
        delivered(&image, &platforms, Ok(counts), self.started).map_err(Undelivered::Error)
    }

    fn manifest_platforms(&self, image: &Image, config: &[u8]) -> Vec<(String, Digest)> {
        image
            .manifests
            .first()
            .map(|manifest| tree::platforms(&manifest.digest, &manifest.bytes, Some(config)))
            .unwrap_or_default()
    }

    /// The image as the target is to get it.
    fn image(&self, index: usize) -> Result<(Image, Bytes)> {
        let Some((config, layers)) = &self.contents else {
            return Err(Error::failed("the image was not read"));
        };
        // Once some target is complete, it has every blob.
        let complete = self
            .states
            .iter()
            .position(|state| matches!(state.ended, Some(Ok(_))));
        let mut pieces = Vec::new();
        let mut listed = Vec::new();
        let mut named = HashSet::new();
        for diff_id in layers {
            let blob = self
                .known
                .get(diff_id)
                .or_else(|| self.made.get(diff_id))
                .ok_or_else(|| Error::failed(format!("layer {diff_id} was not read")))?;
            listed.push(blob.clone());
            if !named.insert(blob.digest.clone()) {
                continue;
            }
            let here = self.states[index].done.contains(diff_id) || index == self.first;
            let origin = match (complete, here) {
                (Some(other), _) => Origin::Repo(self.targets[other].repo.clone()),
                (None, true) => Origin::Gone,
                (None, false) => Origin::Repo(self.targets[self.first].repo.clone()),
            };
            pieces.push(Piece {
                descriptor: blob.clone(),
                origin,
                there: here,
            });
        }
        let described = Descriptor {
            media_type: CONFIG.to_owned(),
            digest: digest_of(config)?,
            size: config.len() as u64,
        };
        let bytes = manifest(&described, &listed);
        pieces.push(Piece {
            descriptor: described,
            origin: Origin::Bytes(config.clone()),
            there: false,
        });
        let root = digest_of(&bytes)?;
        let image = Image {
            pieces,
            manifests: vec![Manifest {
                digest: root.clone(),
                media_type: MANIFEST.to_owned(),
                bytes,
            }],
            root,
            other_tags: Vec::new(),
        };
        Ok((image, config.clone()))
    }

    fn results(self) -> Vec<Result<Delivered>> {
        self.states
            .into_iter()
            .map(|state| {
                state.ended.unwrap_or_else(|| {
                    Err(state.fault.map_or_else(
                        || Error::failed("the image was not pushed"),
                        |fault| fault.error,
                    ))
                })
            })
            .collect()
    }
}

/// Which targets a layer goes to.
struct Wants {
    /// Targets that lack something, with the layers they have.
    live: Vec<(usize, HashSet<Digest>)>,
    known: HashSet<Digest>,
    paths: HashMap<String, Digest>,
    /// A layer that is in the image twice goes out once.
    begun: HashSet<Digest>,
}

impl Wants {
    fn of(&mut self, entry: &Entry) -> Vec<usize> {
        let diff_id = entry
            .diff_id
            .as_ref()
            .or_else(|| self.paths.get(&entry.path));
        let Some(diff_id) = diff_id else {
            return self.live.iter().map(|(index, _)| *index).collect();
        };
        if self.known.contains(diff_id) || !self.begun.insert(diff_id.clone()) {
            return Vec::new();
        }
        self.live
            .iter()
            .filter(|(_, done)| !done.contains(diff_id))
            .map(|(index, _)| *index)
            .collect()
    }
}

/// Those layers whose blobs the target still has. One that could not be asked for counts as gone.
async fn still_there(
    target: &Target,
    known: HashMap<Digest, Descriptor>,
) -> HashMap<Digest, Descriptor> {
    stream::iter(known)
        .map(async |(diff_id, blob)| {
            let repo = &target.repo;
            let there = repo
                .client
                .persist(async |pass| repo.has(pass, &blob.digest).await)
                .await;
            matches!(there, Ok(true)).then_some((diff_id, blob))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// The manifest's bytes: the same for the same layers, whenever and wherever it is made.
fn manifest(config: &Descriptor, layers: &[Descriptor]) -> Bytes {
    let entry = |blob: &Descriptor| {
        serde_json::json!({
            "mediaType": blob.media_type,
            "digest": blob.digest.as_str(),
            "size": blob.size,
        })
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": entry(config),
        "layers": layers.iter().map(entry).collect::<Vec<_>>(),
    });
    Bytes::from(manifest.to_string())
}

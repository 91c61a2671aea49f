//! Pushing an archive of Docker's: one stream of uncompressed layers, read as seldom as can be.
//!
//! Not at all, if a target holds the image already. Else once: layers whose compressed form earlier images of the first
//! target have are passed over, the others go to all targets that lack them (`reading`). A layer that could not be
//! uploaded, or that is gone when the manifest comes (`complete`), costs another reading.
//!
//! The image has one digest everywhere, so which blob stands for a layer is decided by the first target; the others get
//! that very blob from it.

mod complete;
mod reading;

use super::deliver::{self, Image, Origin, Piece};
use super::earlier::{self, Earlier, is_compressed};
use super::layout::delivered;
use super::target::{Counts, Delivered, Target, UPLOADS};
use super::tree;
use crate::blob::{Compression, Descriptor};
use crate::registry::{Fault, Repo};
use crate::source::{Known, Source};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use kit::host::Host;
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// Readings of the archive at most.
const READINGS: usize = 4;

/// Layers on their way at once.
const AT_ONCE: usize = 8;

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
                    .retry(async |pass| repo.has(pass, &blob.digest).await)
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
    /// The layer at each path of the archive.
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

    /// Returns whether all of the image's layers are at the target, or can be had from another.
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

    fn names(&self, targets: &[usize]) -> String {
        let names: Vec<&str> = targets
            .iter()
            .map(|index| self.targets[*index].name())
            .collect();
        names.join(", ")
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
                .retry(async |pass| repo.has(pass, &blob.digest).await)
                .await;
            matches!(there, Ok(true)).then_some((diff_id, blob))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

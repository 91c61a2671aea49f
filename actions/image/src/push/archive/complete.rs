//! From layers that arrived to an image: configuration, manifest and tags, for each target that has all of them.

use super::super::deliver::{self, Image, Origin, Piece, Undelivered};
use super::super::layout::delivered;
use super::super::target::{BlobTransfer, Delivered, UPLOADS};
use super::super::tree;
use super::Work;
use crate::blob::Descriptor;
use crate::digest::digest;
use crate::registry::{Fault, Kind, Manifest};
use bytes::Bytes;
use futures_util::future::join_all;
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::HashSet;
use tokio::sync::Semaphore;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl Work<'_> {
    /// Brings manifest and tags to those that have all layers.
    pub(super) async fn finish(&mut self) {
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
            Err(Undelivered::Error(error)) => self.states[index].ended = Some(Err(*error)),
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
                    counts.count(BlobTransfer::Skipped, piece.descriptor.size);
                }
            }
        }
        let platforms = self.manifest_platforms(&image, &config);
        delivered(&image, &platforms, Ok(counts), self.started).map_err(Undelivered::from)
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
            digest: digest(config),
            size: config.len() as u64,
        };
        let bytes = manifest(&described, &listed);
        pieces.push(Piece {
            descriptor: described,
            origin: Origin::Bytes(config.clone()),
            there: false,
        });
        let root = digest(&bytes);
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

//! The blobs of a repository's earlier images, by the layers that they hold. An archive names its layers by their
//! uncompressed bytes (diff IDs), a registry by the compressed ones; a configuration beside its manifest knows both.

use super::target::Target;
use super::tree;
use crate::blob::{Compression, Descriptor};
use crate::registry::{Fault, Kind, Manifest};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use kit::Result;
use kit::id::Digest;
use std::collections::HashMap;

/// How many images are looked at; each costs two small requests.
const MOST: usize = 8;

/// An image that is there.
pub(super) struct Earlier {
    pub(super) manifest: Manifest,
    pub(super) config: Descriptor,
    pub(super) config_bytes: bytes::Bytes,
    /// All blobs of the manifest, its configuration first.
    pub(super) blobs: Vec<Descriptor>,
}

/// The images that the target's earlier references name, one that is gone left out.
pub(super) async fn read(target: &Target) -> Result<Vec<Earlier>, Fault> {
    let repo = &target.repo;
    let mut wanted: Vec<(String, bool)> = Vec::new();
    for reference in target.tags.iter().chain(&target.earlier) {
        if !wanted.iter().any(|(there, _)| there == reference) {
            wanted.push((reference.clone(), false));
        }
    }
    let mut images: Vec<Manifest> = Vec::new();
    let mut next = 0;
    while next < wanted.len() && images.len() < MOST {
        let (reference, is_child) = &wanted[next];
        next += 1;
        let found = repo
            .client
            .retry(async |pass| repo.manifest(pass, reference).await)
            .await;
        let manifest = match found {
            Ok(Some(manifest)) => manifest,
            Ok(None) => continue,
            // The repository itself is not there (yet): the push will say so, or find it.
            Err(fault) if fault.kind == Kind::Missing => continue,
            Err(fault) => return Err(fault),
        };
        let Ok(parts) = tree::parts(&manifest.digest, &manifest.bytes) else {
            continue;
        };
        if parts.children.is_empty() {
            if !images.iter().any(|image| image.digest == manifest.digest) {
                images.push(manifest);
            }
        } else if !is_child {
            let children = parts.children.iter();
            wanted.extend(children.map(|child| (child.digest.to_string(), true)));
        }
    }
    stream::iter(images)
        .map(async |manifest| -> Result<Option<Earlier>, Fault> {
            let parts = tree::parts(&manifest.digest, &manifest.bytes)?;
            let Some(config) = parts.blobs.first().cloned() else {
                return Ok(None);
            };
            let read = repo
                .client
                .retry(async |pass| repo.small(pass, &config.digest).await)
                .await;
            match read {
                Ok(config_bytes) => Ok(Some(Earlier {
                    manifest,
                    config,
                    config_bytes,
                    blobs: parts.blobs,
                })),
                // An image that is damaged teaches nothing.
                Err(fault) if matches!(fault.kind, Kind::Final | Kind::Login | Kind::Missing) => {
                    Ok(None)
                }
                Err(fault) => Err(fault),
            }
        })
        .buffered(4)
        .try_filter_map(|earlier| std::future::ready(Ok(earlier)))
        .try_collect()
        .await
}

/// Layers by diff ID, as an OCI manifest names them, of those that are compressed as this image is to be. The first image's
/// word counts.
pub(super) fn layers(images: &[Earlier], compression: Compression) -> HashMap<Digest, Descriptor> {
    let mut known = HashMap::new();
    for image in images {
        let diff_ids = tree::diff_ids(&image.config_bytes);
        let layers = tree::layers(&image.manifest.bytes);
        if diff_ids.len() != layers.len() {
            continue;
        }
        for (diff_id, layer) in diff_ids.into_iter().zip(layers) {
            if let Some(media_type) = shared(&layer.media_type, compression) {
                known.entry(diff_id).or_insert(Descriptor {
                    media_type: media_type.to_owned(),
                    ..layer
                });
            }
        }
    }
    known
}

/// Returns whether all of the image's layers are compressed as asked. Layers that are not stored, such as foreign ones, are not checked.
pub(super) fn is_compressed(image: &Earlier, compression: Compression) -> bool {
    let layers = image.blobs.iter().skip(1);
    layers
        .into_iter()
        .all(|layer| shared(&layer.media_type, compression).is_some())
}

/// A layer's media type in OCI's words (OCI Image Specification, "Compatibility Matrix"), if it can stand for one that is
/// compressed so.
fn shared(media_type: &str, compression: Compression) -> Option<&'static str> {
    let same = match (media_type, compression) {
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::Gzip) => true,
        _ => media_type == compression.media_type(),
    };
    same.then(|| compression.media_type())
}

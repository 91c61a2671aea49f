//! From what the engine pushed to the contents of its image. Pure.

use super::super::contents::{Contents, Entry, Known, Read};
use super::super::manifest::diff_ids;
use super::intake::Received;
use crate::blob::{Compression, Measured};
use crate::json::list;
use kit::id::Digest;
use kit::{Error, Result};
use serde::Deserialize;

/// A manifest of an image, as far as it is needed.
#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    #[serde(default, deserialize_with = "list")]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
}

/// An index, as far as it is needed.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// Puts the layers in the order of the manifest. `root` is the manifest or index that the engine calls the image by.
///
/// # Errors
/// It is another image, or a layer was not sent.
pub(super) fn contents(known: &Known, root: &str, received: Received) -> Result<Contents> {
    let wrong = |why: &str| {
        Error::failed(format!(
            "the Docker Engine pushes something else than {root}"
        ))
        .cause(why)
    };
    let manifest = manifest(known, root, &received)
        .ok_or_else(|| wrong("no manifest has the image's configuration"))?;
    let config = received
        .config
        .ok_or_else(|| wrong("the configuration was not sent"))?;
    let diff_ids = diff_ids(&config).map_err(|error| wrong(&error.message))?;
    if diff_ids != known.diff_ids || diff_ids.len() != manifest.layers.len() {
        return Err(wrong("its layers are not those of the image"));
    }
    let mut layers = Vec::new();
    for (layer, diff_id) in manifest.layers.into_iter().zip(diff_ids) {
        let digest = Digest::parse(&layer.digest).map_err(|_| wrong("a layer has no digest"))?;
        let sent = received
            .layers
            .get(&digest)
            .ok_or_else(|| wrong(&format!("layer {digest} was not sent")))?;
        let is_zstd = layer.media_type.ends_with("zstd");
        let compression = match layer.media_type.as_str() {
            _ if is_zstd => Compression::Zstd,
            kind if kind.ends_with("gzip") => Compression::Gzip,
            kind => return Err(wrong(&format!("layer {digest} is {kind:?}"))),
        };
        if sent.is_some_and(|sent| sent.size != layer.size || sent.is_zstd != is_zstd) {
            return Err(wrong(&format!(
                "layer {digest} is not as its manifest has it"
            )));
        }
        layers.push(Read {
            entry: Entry {
                path: format!("blobs/sha256/{}", digest.hex()),
                diff_id: None,
                size: layer.size,
            },
            diff_id,
            measured: Some(Measured {
                media_type: compression.media_type().to_owned(),
                digest,
                size: layer.size,
                diff_id: None,
            }),
        });
    }
    Ok(Contents { config, layers })
}

/// The image's manifest: the root, or one that the root lists.
fn manifest(known: &Known, root: &str, received: &Received) -> Option<Manifest> {
    let bytes = |digest: &str| received.manifests.get(&Digest::parse(digest).ok()?);
    let read = |digest: &str| {
        let manifest: Manifest = serde_json::from_slice(bytes(digest)?).ok()?;
        (manifest.config.digest == known.config.as_str()).then_some(manifest)
    };
    read(root).or_else(|| {
        let index: Index = serde_json::from_slice(bytes(root)?).ok()?;
        index.manifests.iter().find_map(|entry| read(&entry.digest))
    })
}

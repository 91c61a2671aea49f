//! The metadata of a docker archive: `manifest.json` (moby, `image/spec/v1.2.md`) and the image's configuration.

use crate::digest::digest;
use crate::json::{list, malformed, without_mark};
use bytes::Bytes;
use kit::id::Digest;
use kit::{Error, Result};
use serde::Deserialize;

/// An image in a docker archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Manifest {
    /// The member that holds the configuration.
    pub(super) config: String,
    /// The members that hold the layers, bottom first.
    #[serde(default, deserialize_with = "list")]
    pub(super) layers: Vec<String>,
    /// Layers that are had from elsewhere, by diff ID.
    #[serde(default)]
    layer_sources: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Manifest {
    /// The only image in `manifest.json` of `source`.
    ///
    /// # Errors
    /// None, several, or one with layers that must not be given on (exit 2).
    pub(super) fn parse(bytes: &[u8], source: &str) -> Result<Self> {
        let mut images: Vec<Self> = serde_json::from_slice(&without_mark(Bytes::copy_from_slice(
            bytes,
        )))
        .map_err(|error| {
            Error::usage(format!(
                "manifest.json of {source} does not have the expected content"
            ))
            .cause(malformed(&error))
            .hint("write it again with `docker save` or `skopeo copy … docker-archive:FILE`")
        })?;
        let count = images.len();
        let (Some(image), None) = (images.pop(), images.pop()) else {
            return Err(Error::usage(format!("{source} holds {count} images"))
                .hint("save one image: docker save --output FILE IMAGE"));
        };
        if image
            .layer_sources
            .as_ref()
            .is_some_and(|sources| !sources.is_empty())
        {
            return Err(Error::usage(format!("{source} has foreign layers"))
                .cause("foreign layers come from their vendor, and a docker archive does not hold enough to refer to them")
                .hint("push it as an OCI layout: skopeo copy docker-daemon:IMAGE oci:DIR, then --layout DIR"));
        }
        Ok(image)
    }
}

/// An image's configuration, as far as a push needs it (OCI Image Specification, "Image Configuration").
#[derive(Debug)]
pub(super) struct Config {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    pub(super) diff_ids: Vec<Digest>,
}

impl Config {
    /// # Errors
    /// It is not a configuration, or does not fit the manifest (exit 2).
    pub(super) fn parse(bytes: Bytes, manifest: &Manifest, source: &str) -> Result<Self> {
        let damaged = || {
            Error::usage(format!(
                "the image's configuration {} of {source} is damaged",
                manifest.config
            ))
            .hint("write the archive again")
        };
        let diff_ids = diff_ids(&bytes).map_err(|error| damaged().cause(error.message))?;
        if diff_ids.len() != manifest.layers.len() {
            return Err(damaged().cause(format!(
                "it lists {} layers, the archive {}",
                diff_ids.len(),
                manifest.layers.len()
            )));
        }
        let found = digest(&bytes);
        // Builders name the file by its digest: `HEX.json`, or `blobs/sha256/HEX`.
        let named = manifest.config.rsplit('/').next().unwrap_or_default();
        let named = named.strip_suffix(".json").unwrap_or(named);
        if Digest::parse(&format!("sha256:{named}")).is_ok_and(|named| named != found) {
            return Err(damaged().cause(format!("its bytes are {found}")));
        }
        Ok(Self {
            bytes,
            digest: found,
            diff_ids,
        })
    }
}

/// The layers that a configuration lists, bottom first.
///
/// # Errors
/// It is not a configuration.
pub(super) fn diff_ids(config: &[u8]) -> Result<Vec<Digest>> {
    #[derive(Deserialize)]
    struct Image {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        #[serde(default, deserialize_with = "list")]
        diff_ids: Vec<String>,
    }
    let image: Image =
        serde_json::from_slice(config).map_err(|error| Error::usage(malformed(&error)))?;
    let listed = image.rootfs.diff_ids.iter();
    listed.map(|diff_id| Digest::parse(diff_id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_layers_has_null_where_others_have_a_list() {
        let manifest = br#"[{"Config":"c.json","RepoTags":null,"Layers":null}]"#;
        let manifest = Manifest::parse(manifest, "image.tar").unwrap();
        assert!(manifest.layers.is_empty());
        let config = Bytes::from_static(br#"{"rootfs":{"type":"layers","diff_ids":null}}"#);
        let config = Config::parse(config, &manifest, "image.tar").unwrap();
        assert!(config.diff_ids.is_empty());
    }
}

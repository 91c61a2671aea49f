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

#[cfg(test)]
mod tests {
    use super::super::intake::Layer;
    use super::*;
    use crate::digest::digest;
    use bytes::Bytes;
    use serde_json::{Value, json};

    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    /// An image of one layer as an engine pushed it.
    struct Pushed {
        known: Known,
        manifest: Value,
        received: Received,
        /// True if an index lists the manifest, and the engine calls the image by that.
        in_index: bool,
    }

    fn layer() -> Digest {
        digest(b"layer")
    }

    impl Pushed {
        fn new() -> Self {
            let diff_id = digest(b"unpacked");
            let config = json!({"rootfs": {"type": "layers", "diff_ids": [&diff_id]}}).to_string();
            let known = Known {
                config: digest(config.as_bytes()),
                diff_ids: vec![diff_id],
            };
            let manifest = json!({
                "config": {"digest": known.config},
                "layers": [{"mediaType": GZIP, "digest": layer(), "size": 5}],
            });
            let mut received = Received {
                config: Some(Bytes::from(config)),
                ..Received::default()
            };
            let sent = Layer {
                size: 5,
                is_zstd: false,
            };
            received.layers.insert(layer(), Some(sent));
            Self {
                known,
                manifest,
                received,
                in_index: false,
            }
        }

        fn contents(mut self) -> Result<Contents> {
            let mut put = |json: &Value| {
                let bytes = Bytes::from(json.to_string());
                let name = digest(&bytes);
                self.received.manifests.insert(name.clone(), bytes);
                name
            };
            let mut root = put(&self.manifest);
            if self.in_index {
                root = put(&json!({"manifests": [{"digest": digest(b"?")}, {"digest": root}]}));
            }
            contents(&self.known, root.as_str(), self.received)
        }
    }

    #[test]
    fn the_layers_are_those_of_the_manifest_that_has_the_configuration() {
        for (in_index, sent) in [(false, true), (true, true), (false, false)] {
            let mut pushed = Pushed::new();
            pushed.in_index = in_index;
            if !sent {
                // Nobody needed it, so its media type and size are the manifest's alone.
                pushed.received.layers.insert(layer(), None);
            }
            let contents = pushed.contents().unwrap();
            let measured = contents.layers[0].measured.clone().unwrap();
            assert_eq!((measured.digest, measured.size), (layer(), 5));
            assert_eq!(measured.media_type, GZIP);
        }
    }

    #[test]
    fn refuses_what_is_not_the_image() {
        type Change = fn(&mut Pushed);
        let changes: [(&str, Change); 8] = [
            ("no manifest has", |pushed| {
                pushed.manifest["config"]["digest"] = json!(digest(b"other"));
            }),
            ("configuration was not sent", |pushed| {
                pushed.received.config = None;
            }),
            ("its layers are not", |pushed| {
                pushed.known.diff_ids.push(digest(b"more"));
            }),
            ("its layers are not", |pushed| {
                pushed.manifest["layers"] = Value::Null;
            }),
            ("was not sent", |pushed| pushed.received.layers.clear()),
            ("is \"application/vnd.oci.image.layer.v1.tar\"", |pushed| {
                pushed.manifest["layers"][0]["mediaType"] =
                    json!("application/vnd.oci.image.layer.v1.tar");
            }),
            ("is not as its manifest", |pushed| {
                pushed.manifest["layers"][0]["size"] = json!(6);
            }),
            ("is not as its manifest", |pushed| {
                pushed.manifest["layers"][0]["mediaType"] = json!(GZIP.replace("gzip", "zstd"));
            }),
        ];
        for (why, change) in changes {
            let mut pushed = Pushed::new();
            change(&mut pushed);
            let error = pushed.contents().err().unwrap();
            assert!(error.line().contains(why), "{why}: {}", error.line());
        }
    }
}

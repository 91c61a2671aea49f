//! The parts of an image, read from its manifests. Pure.

use crate::blob::Descriptor;
use crate::json::malformed;
use kit::id::Digest;
use kit::{Error, Result};
use serde_json::Value;
use std::collections::HashSet;

/// The most manifests that one image may name, which is beyond any that ECR could hold.
pub(super) const MOST: usize = 2000;

/// The parts that one manifest names.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Configuration and layers, in their order.
    pub(crate) blobs: Vec<Descriptor>,
    /// The manifests of an index, in their order.
    pub(crate) children: Vec<Descriptor>,
    /// The manifest that this one refers to.
    pub(crate) subject: Option<Digest>,
}

/// Reads a manifest of any kind of the OCI Image Specification or Docker's version 2, by what it holds.
///
/// # Errors
/// Another kind, or a descriptor that is none.
pub(crate) fn parts(digest: &Digest, manifest: &[u8]) -> Result<Parts> {
    let wrong = |why: &str| {
        Error::failed(format!("manifest {digest} cannot be read"))
            .cause(why)
            .hint("an image needs a manifest or index of the OCI Image Specification, or of Docker's schema 2")
    };
    let json: Value =
        serde_json::from_slice(manifest).map_err(|error| wrong(&malformed(&error)))?;
    let list = |name: &str| -> Result<Option<Vec<(Descriptor, &Value)>>> {
        let Some(list) = json.get(name) else {
            return Ok(None);
        };
        list.as_array()
            .ok_or_else(|| wrong(&format!("its {name} is not a list")))?
            .iter()
            .map(|entry| {
                let descriptor = descriptor(entry)
                    .ok_or_else(|| wrong(&format!("an entry of its {name} is not a descriptor")))?;
                Ok((descriptor, entry))
            })
            .collect::<Result<_>>()
            .map(Some)
    };
    let subject = json
        .pointer("/subject/digest")
        .and_then(Value::as_str)
        .and_then(|text| Digest::parse(text).ok());
    if let Some(children) = list("manifests")? {
        return Ok(Parts {
            children: children.into_iter().map(|(child, _)| child).collect(),
            subject,
            ..Parts::default()
        });
    }
    let config = json.get("config").and_then(descriptor);
    let layers = match json.get("layers") {
        // Go's empty list: an image from `scratch` alone.
        Some(Value::Null) => Some(Vec::new()),
        _ => list("layers")?,
    };
    let (Some(config), Some(layers)) = (config, layers) else {
        return Err(wrong(
            "it has neither `manifests` nor `config` and `layers`",
        ));
    };
    let mut seen = HashSet::new();
    let blobs = std::iter::once(config)
        .chain(
            layers
                .into_iter()
                .filter(|(layer, _)| !is_foreign(&layer.media_type))
                .map(|(layer, _)| layer),
        )
        .filter(|blob| seen.insert(blob.digest.clone()))
        .collect();
    Ok(Parts {
        blobs,
        subject,
        ..Parts::default()
    })
}

fn descriptor(entry: &Value) -> Option<Descriptor> {
    Some(Descriptor {
        media_type: entry.get("mediaType")?.as_str()?.to_owned(),
        digest: Digest::parse(entry.get("digest")?.as_str()?).ok()?,
        size: entry.get("size")?.as_u64()?,
    })
}

/// Layers that are pulled from another server and that registries do not store (Docker's "foreign" layers; OCI's
/// "non-distributable" ones).
fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".foreign.") || media_type.contains(".nondistributable.")
}

/// The media types of an image's configuration.
const CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// How the media types of an image's layers begin.
const LAYERS: [&str; 2] = [
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
];

/// `None` for an image. Something else, with the type of the artifact that a manifest holds; an index holds none of its own.
pub(super) fn artifact(manifest: &[u8]) -> Option<Option<String>> {
    let json: Value = serde_json::from_slice(manifest).unwrap_or_default();
    if json.get("manifests").is_some() {
        return Some(None);
    }
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
    let config = text("/config/mediaType").unwrap_or_default();
    let layers = json.get("layers").and_then(Value::as_array);
    // Attestations and attached bills of materials may have the configuration of an image.
    let other = layers
        .into_iter()
        .flatten()
        .filter_map(|layer| layer.get("mediaType")?.as_str())
        .find(|kind| !LAYERS.iter().any(|layer| kind.starts_with(layer)));
    match (CONFIGS.contains(&config), other) {
        (true, None) => None,
        (_, other) => {
            let kind = text("/artifactType").or(other).unwrap_or(config);
            Some(Some(kind.to_owned()))
        }
    }
}

/// The diff IDs of an image's configuration (OCI Image Configuration, `rootfs`), bottom layer first.
pub(super) fn diff_ids(config: &[u8]) -> Vec<Digest> {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let ids = config.pointer("/rootfs/diff_ids").and_then(Value::as_array);
    ids.into_iter()
        .flatten()
        .filter_map(|id| Digest::parse(id.as_str()?).ok())
        .collect()
}

/// All layers with their media types, duplicates included, as a manifest lists them.
pub(super) fn layers(manifest: &[u8]) -> Vec<Descriptor> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let layers = manifest.get("layers").and_then(Value::as_array);
    layers
        .into_iter()
        .flatten()
        .filter_map(descriptor)
        .collect()
}

/// Each platform's digest: those of an index, or the one of a single image, which its configuration tells. An
/// attestation says `unknown` and is none.
pub(crate) fn platforms(
    digest: &Digest,
    manifest: &[u8],
    config: Option<&[u8]>,
) -> Vec<(String, Digest)> {
    let json: Value = serde_json::from_slice(manifest).unwrap_or_default();
    if let Some(entries) = json.get("manifests").and_then(Value::as_array) {
        return entries
            .iter()
            .filter_map(|entry| {
                let digest = Digest::parse(entry.get("digest")?.as_str()?).ok()?;
                Some((platform(entry.get("platform")?)?, digest))
            })
            .collect();
    }
    let config: Value = config
        .and_then(|config| serde_json::from_slice(config).ok())
        .unwrap_or_default();
    platform(&config)
        .map(|platform| (platform, digest.clone()))
        .into_iter()
        .collect()
}

fn platform(value: &Value) -> Option<String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let (os, architecture) = (text("os")?, text("architecture")?);
    if os == "unknown" || architecture == "unknown" {
        return None;
    }
    Some(
        match text("variant").filter(|variant| !variant.is_empty()) {
            Some(variant) => format!("{os}/{architecture}/{variant}"),
            None => format!("{os}/{architecture}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name(fill: char) -> String {
        format!("sha256:{}", String::from(fill).repeat(64))
    }

    fn entry(fill: char, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": name(fill), "size": 1})
    }

    fn read(manifest: &Value) -> Result<Parts> {
        parts(
            &Digest::parse(&name('9')).unwrap(),
            manifest.to_string().as_bytes(),
        )
    }

    #[test]
    fn artifacts_and_images_are_distinguished_by_configuration_and_layers() {
        let of = |config: &str, layer: &str| {
            let manifest =
                json!({"config": {"mediaType": config}, "layers": [{"mediaType": layer}]});
            artifact(manifest.to_string().as_bytes())
        };
        assert_eq!(of(CONFIGS[0], GZIP), None);
        assert_eq!(
            of(
                CONFIGS[1],
                "application/vnd.docker.image.rootfs.diff.tar.gzip"
            ),
            None
        );
        for (config, layer, kind) in [
            (
                "application/vnd.oci.empty.v1+json",
                "text/spdx+json",
                "text/spdx+json",
            ),
            (
                CONFIGS[0],
                "application/vnd.in-toto+json",
                "application/vnd.in-toto+json",
            ),
            (
                "application/vnd.cncf.helm.config.v1+json",
                GZIP,
                "application/vnd.cncf.helm.config.v1+json",
            ),
        ] {
            assert_eq!(of(config, layer), Some(Some(kind.to_owned())));
        }
        assert_eq!(artifact(br#"{"manifests": []}"#), Some(None));
    }

    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    #[test]
    fn an_image_s_blobs_are_named_once_and_foreign_ones_not_at_all() {
        let parts = read(&json!({
            "config": entry('a', "application/vnd.oci.image.config.v1+json"),
            "layers": [
                entry('b', GZIP),
                entry('c', "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
                entry('d', "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
                entry('b', GZIP),
                entry('e', "application/vnd.oci.image.layer.v1.tar+zstd"),
            ],
            "subject": entry('f', "x"),
        }))
        .unwrap();
        let blobs: Vec<_> = parts
            .blobs
            .iter()
            .map(|blob| blob.digest.to_string())
            .collect();
        assert_eq!(blobs, [name('a'), name('b'), name('e')]);
        assert!(parts.children.is_empty());
        assert_eq!(parts.subject.unwrap().as_str(), name('f'));
    }

    #[test]
    fn an_index_names_its_children_and_their_platforms() {
        let mut amd = entry('a', "m");
        amd["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let mut arm = entry('b', "m");
        arm["platform"] = json!({"os": "linux", "architecture": "arm", "variant": "v7"});
        let mut attestation = entry('c', "m");
        attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        let index = json!({"manifests": [amd, arm, attestation]});
        assert_eq!(read(&index).unwrap().children.len(), 3);
        let of = |manifest: &Value, config: Option<&[u8]>| {
            let digest = Digest::parse(&name('9')).unwrap();
            platforms(&digest, manifest.to_string().as_bytes(), config)
                .into_iter()
                .map(|(platform, digest)| format!("{platform} {digest}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of(&index, None),
            [
                format!("linux/amd64 {}", name('a')),
                format!("linux/arm/v7 {}", name('b'))
            ]
        );
        let config = br#"{"os":"linux","architecture":"arm64"}"#;
        assert_eq!(
            of(&json!({"config": {}}), Some(config)),
            [format!("linux/arm64 {}", name('9'))]
        );
        assert!(of(&json!({"config": {}}), None).is_empty());
    }

    #[test]
    fn an_image_without_layers_is_its_configuration() {
        for layers in [json!([]), Value::Null] {
            let parts = read(&json!({"config": entry('a', "c"), "layers": layers})).unwrap();
            assert_eq!(parts.blobs.len(), 1);
        }
    }

    #[test]
    fn refuses_what_is_not_a_manifest() {
        for (wrong, why) in [
            (json!({"schemaVersion": 1, "fsLayers": []}), "neither"),
            (json!({"manifests": {}}), "is not a list"),
            (
                json!({"manifests": [{"digest": "x"}]}),
                "is not a descriptor",
            ),
            (
                json!({"config": entry('a', "c"), "layers": [{}]}),
                "is not a descriptor",
            ),
            (json!({"config": {}, "layers": []}), "neither"),
        ] {
            let error = read(&wrong).unwrap_err();
            assert!(error.causes()[0].contains(why), "{error}");
            assert!(!error.hints.is_empty());
        }
    }
}

//! Where provenance is kept: a manifest beside the image, which names the image as its subject (OCI Image
//! Specification 1.1, "Guidelines for Artifact Usage") and has a tag of its own, so that it is found in a
//! registry that does not list what refers to an image, and in one call.

use crate::dsse::{Envelope, Malformed};
use crate::signature::decoded;
use crate::statement::PREDICATE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::id::{CommitId, Digest};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

/// The type of the artifact and of its only layer (in-toto/attestation, "Envelope layer": media type of a
/// DSSE envelope for this predicate).
const ARTIFACT: &str = "application/vnd.in-toto.provenance+dsse";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The configuration of an artifact that has none.
const NOTHING: &[u8] = b"{}";
/// The annotation with the commit, by which a copy of the artifact finds its tag.
const COMMIT: &str = "dev.slipway.commit";
/// How the tags begin.
const PREFIX: &str = "provenance-";
/// How much of a commit's hash a tag holds. Two whole SHA-256 hashes do not fit into a tag's 128
/// characters; the statement names the whole commit.
const COMMIT_DIGITS: usize = 40;

/// The image that an artifact belongs to.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its digest.
    pub digest: Digest,
    /// The media type of its manifest.
    pub media_type: String,
    /// The size of its manifest in bytes.
    pub size: usize,
}

/// Provenance as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The tag of the manifest.
    pub tag: String,
    /// The media type of the manifest.
    pub media_type: &'static str,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The manifest's digest.
    pub digest: Digest,
    /// The blobs it names, each with its media type.
    pub blobs: Vec<(&'static str, Vec<u8>)>,
}

/// The tag under which the provenance of an image for a commit is stored.
pub fn tag(image: &Digest, commit: &CommitId) -> String {
    let commit = commit.as_str();
    let commit = commit.get(..COMMIT_DIGITS).unwrap_or(commit);
    format!("{}{commit}", tag_prefix(image))
}

/// How the tags of all provenance of an image begin.
pub fn tag_prefix(image: &Digest) -> String {
    format!("{PREFIX}{}-", image.hex())
}

/// Returns whether a tag is one of provenance.
pub fn is_tag(tag: &str) -> bool {
    tag.starts_with(PREFIX)
}

impl Artifact {
    /// The artifact of `envelope`, which is about `image` and `commit`.
    pub fn new(image: &Image, commit: &CommitId, envelope: &Envelope) -> Self {
        let envelope = envelope.to_json().into_bytes();
        let mut layer = descriptor(ARTIFACT, &envelope);
        layer["annotations"] = json!({ "in-toto.io/predicate-type": PREDICATE });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": descriptor(EMPTY, NOTHING),
            "layers": [layer],
            "subject": {
                "mediaType": image.media_type,
                "digest": image.digest,
                "size": image.size,
            },
            "annotations": { (COMMIT): commit },
        })
        .to_string()
        .into_bytes();
        Self {
            tag: tag(&image.digest, commit),
            media_type: MANIFEST,
            digest: hash(&manifest),
            manifest,
            blobs: vec![(EMPTY, NOTHING.to_vec()), (ARTIFACT, envelope)],
        }
    }

    /// The artifact of a manifest that was read, which is the provenance of `image` for `commit`.
    ///
    /// # Errors
    /// It is another manifest.
    pub fn stored(manifest: Vec<u8>, image: &Digest, commit: &CommitId) -> Result<Self, Malformed> {
        Ok(Self {
            tag: tag(image, commit),
            media_type: MANIFEST,
            digest: hash(&manifest),
            blobs: vec![(EMPTY, NOTHING.to_vec()), (ARTIFACT, layer(&manifest)?)],
            manifest,
        })
    }
}

/// The envelope in a manifest. The manifest holds the whole of it, in the `data` of its layer's
/// descriptor (OCI Image Specification, "Descriptors"), so that no second request is needed.
///
/// # Errors
/// It is another manifest.
pub(crate) fn envelope(manifest: &[u8]) -> Result<Envelope, Malformed> {
    Envelope::parse(&layer(manifest)?)
}

/// The bytes of a manifest's only layer.
fn layer(manifest: &[u8]) -> Result<Vec<u8>, Malformed> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let wrong = |why: &str| Malformed::new(why);
    if manifest["artifactType"] != ARTIFACT {
        return Err(wrong("the manifest is not of provenance"));
    }
    manifest["layers"][0]["data"]
        .as_str()
        .and_then(decoded)
        .ok_or_else(|| wrong("the manifest does not hold it"))
}

/// The tag of a manifest that was found without one, if it is provenance of `image`.
pub fn tag_of(manifest: &[u8], image: &Digest) -> Option<String> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let commit = manifest["annotations"][COMMIT].as_str()?.parse().ok()?;
    (manifest["artifactType"] == ARTIFACT && manifest["subject"]["digest"] == image.as_str())
        .then(|| tag(image, &commit))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": hash(bytes),
        "size": bytes.len(),
        "data": STANDARD.encode(bytes),
    })
}

fn hash(bytes: &[u8]) -> Digest {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest::sha256(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provenance::sample;
    use crate::signature::Signature;
    use crate::statement::STATEMENT;

    fn artifact() -> (Artifact, Envelope) {
        let provenance = sample();
        let signature = Signature {
            keyid: None,
            sig: "MEQ=".to_owned(),
        };
        let envelope = Envelope::new(STATEMENT, provenance.to_json().as_bytes(), signature);
        let image = Image {
            digest: provenance.digest,
            media_type: MANIFEST.to_owned(),
            size: 7,
        };
        (
            Artifact::new(&image, &provenance.commit, &envelope),
            envelope,
        )
    }

    #[test]
    fn the_manifest_alone_holds_the_envelope() {
        let (artifact, envelope) = artifact();
        assert_eq!(super::envelope(&artifact.manifest).unwrap(), envelope);
        let manifest: Value = serde_json::from_slice(&artifact.manifest).unwrap();
        assert_eq!(manifest["subject"]["digest"], sample().digest.as_str());
        assert_eq!(
            manifest["config"]["digest"],
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        let named = [&manifest["config"], &manifest["layers"][0]];
        for (descriptor, (media_type, bytes)) in named.into_iter().zip(&artifact.blobs) {
            assert_eq!(descriptor["mediaType"], *media_type);
            assert_eq!(descriptor["digest"], hash(bytes).as_str());
            assert_eq!(descriptor["size"], bytes.len());
        }
        let tag = tag_of(&artifact.manifest, &sample().digest);
        assert_eq!(tag.as_ref(), Some(&artifact.tag));
        let again = Artifact::stored(
            artifact.manifest.clone(),
            &sample().digest,
            &sample().commit,
        );
        assert_eq!(again, Ok(artifact.clone()));
        let other = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
        assert_eq!(tag_of(&artifact.manifest, &other), None);
    }

    #[test]
    fn a_tag_fits_into_a_registry_whatever_the_hash() {
        let image: Digest = sample().digest;
        for digits in [40, 64] {
            let tag = tag(&image, &"c".repeat(digits).parse().unwrap());
            assert_eq!(tag.len(), 116);
            assert!(
                is_tag(&tag) && tag.starts_with(&tag_prefix(&image)),
                "{tag}"
            );
        }
    }

    #[test]
    fn other_manifests_hold_no_envelope() {
        let (artifact, _) = artifact();
        for (pointer, value) in [
            ("/artifactType", json!("application/spdx+json")),
            ("/layers", json!([])),
            ("/layers/0/data", Value::Null),
            ("/layers/0/data", json!("e30=")),
        ] {
            let mut manifest: Value = serde_json::from_slice(&artifact.manifest).unwrap();
            *manifest.pointer_mut(pointer).unwrap() = value;
            assert!(
                super::envelope(manifest.to_string().as_bytes()).is_err(),
                "{pointer}"
            );
        }
        assert!(super::envelope(b"x").is_err());
    }
}

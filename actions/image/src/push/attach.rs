//! Putting an artifact beside the image that it refers to.

use super::Target;
use super::deliver::{self, Origin};
use super::manifests;
use crate::blob::Descriptor;
use crate::digest::digest;
use crate::registry::{Kind, Manifest, Moved, Repo};
use attest::Artifact;
use bytes::Bytes;
use kit::Result;
use kit::id::Digest;

/// Puts `artifact`, which refers to the image `subject` of the repository, under its tag. `Some` is the digest of
/// another manifest that has the tag already, if the tag is immutable.
///
/// # Errors
/// The registry does not accept it.
pub(crate) async fn attach(
    repo: &Repo,
    subject: &Digest,
    artifact: &Artifact,
) -> Result<Option<Digest>> {
    let target = Target::new(repo.clone(), Vec::new());
    for (media_type, bytes) in &artifact.blobs {
        let blob = Descriptor {
            media_type: (*media_type).to_owned(),
            digest: digest(bytes),
            size: bytes.len() as u64,
        };
        let origin = Origin::Bytes(Bytes::from(bytes.clone()));
        deliver::bring(&target, &blob, &origin, true, &Moved::default()).await?;
    }
    let manifest = Manifest {
        digest: artifact.digest.clone(),
        media_type: artifact.media_type.to_owned(),
        bytes: Bytes::from(artifact.manifest.clone()),
    };
    let name = manifest.digest.as_str();
    let listed = repo
        .client
        .retry(async |pass| repo.put_manifest(pass, name, &manifest).await)
        .await?;
    if !listed {
        let added = repo
            .client
            .retry(async |pass| repo.list_referrer(pass, subject, &manifest).await)
            .await;
        // The list is a tag of its own. Where tags are immutable it can be written only once, and the
        // artifact's own tag is what it is looked up by.
        match added {
            Err(fault) if fault.kind != Kind::TagTaken => return Err(fault.error),
            Ok(()) | Err(_) => {}
        }
    }
    manifests::put_tag(repo, &artifact.tag, &manifest).await
}

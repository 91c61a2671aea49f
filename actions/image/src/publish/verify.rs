//! Verifying a publication at ECR's API, which is another way to the image than the one that it was pushed by.

use crate::digest::digest as digest_of;
use crate::ecr::{Ecr, Stored};
use kit::backoff::doubling;
use kit::id::Digest;
use kit::{Error, Result};
use std::time::Duration;

/// The pauses before ECR's API is asked for what its registry accepted.
fn seen_within() -> impl Iterator<Item = Duration> {
    let (first, last) = (Duration::from_millis(500), Duration::from_secs(4));
    std::iter::once(Duration::ZERO).chain(doubling(first, last, 4))
}

/// The image that `tag` names by ECR's API.
///
/// # Errors
/// It is missing, or not the image `digest`.
pub(super) async fn proven(ecr: &Ecr, tag: &str, digest: &Digest) -> Result<Stored> {
    let mut found = None;
    for pause in seen_within() {
        tokio::time::sleep(pause).await;
        found = ecr.tagged(&[tag.to_owned()]).await?.into_iter().next();
        if found.is_some() {
            break;
        }
    }
    let image = found.ok_or_else(|| {
        Error::failed(format!(
            "the image was pushed, but repository {} has no tag {tag}",
            ecr.repository
        ))
        .hint("check that the registry pushed to belongs to the account ECR was asked in")
    })?;
    if image.digest != *digest {
        return Err(Error::failed(format!(
            "tag {tag} names {}, but {digest} was published",
            image.digest
        ))
        .hint("another run published the same commit at the same time; run the step again, and it uses the image that is published"));
    }
    unbroken(image, digest)
}

/// An image whose manifest hashes to its digest.
///
/// # Errors
/// It does not.
pub(super) fn unbroken(image: Stored, digest: &Digest) -> Result<Stored> {
    let hash = digest_of(image.manifest.as_bytes());
    if hash != image.digest {
        return Err(Error::failed(format!(
            "the manifest that ECR's API gives for {digest} hashes to {hash}"
        ))
        .hint("the image was changed in transit; do not deploy it"));
    }
    Ok(image)
}

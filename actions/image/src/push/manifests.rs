//! Manifests and tags: put where they are missing, and read back.

use super::target::Target;
use crate::registry::{Fault, Kind, Manifest, Repo};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use kit::id::Digest;
use kit::{Error, Result};

/// Manifests that are read back at once.
const AT_ONCE: usize = 8;

/// Puts the manifests that are not there. One that is there is not put again: that would cost one of ECR's ten a second.
pub(super) async fn put_missing(target: &Target, manifests: &[Manifest]) -> Result<(), Fault> {
    let repo = &target.repo;
    for manifest in manifests {
        let parts = super::tree::parts(&manifest.digest, &manifest.bytes)?;
        let name = manifest.digest.as_str();
        let mut look = !target.created;
        repo.client
            .retry(async |pass| {
                let looked = std::mem::replace(&mut look, true);
                if looked && repo.digest(pass, name).await?.is_some() {
                    let referred = match &parts.subject {
                        // It may have been put by a run that ended before it was listed.
                        Some(subject) => repo
                            .referrers(pass, subject)
                            .await?
                            .contains(&manifest.digest),
                        None => true,
                    };
                    if referred {
                        return Ok(());
                    }
                }
                let listed = repo.put_manifest(pass, name, manifest).await?;
                match &parts.subject {
                    Some(subject) if !listed => repo.list_referrer(pass, subject, manifest).await,
                    _ => Ok(()),
                }
            })
            .await?;
    }
    Ok(())
}

/// Reads every manifest back by its digest and compares the bytes.
pub(super) async fn read_back(repo: &Repo, manifests: &[Manifest]) -> Result<()> {
    stream::iter(manifests)
        .map(async |manifest| -> Result<()> {
            let name = manifest.digest.as_str();
            let found = repo.client.retry(async |pass| {
                match repo.manifest(pass, name).await? {
                    Some(found) => Ok(found),
                    // A manifest that was just put may take a moment to be seen everywhere.
                    None => Err(Fault::new(
                        Kind::Passing,
                        Error::failed(format!(
                            "manifest {name} was put in {}, but is not there",
                            repo.reference()
                        ))
                        .about(repo.reference())
                        .hint("run the step again: blobs that arrived are not sent again"),
                    )),
                }
            });
            if found.await?.bytes == manifest.bytes {
                return Ok(());
            }
            Err(Error::failed(format!(
                "{} returns other bytes for manifest {name} than were sent",
                repo.reference()
            ))
            .about(repo.reference())
            .hint("the image was changed in transit; do not deploy it"))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Puts a tag on a manifest that is there.
///
/// # Errors
/// The tag is immutable and names another one (exit 3).
pub(super) async fn tag_as(repo: &Repo, tag: &str, manifest: &Manifest) -> Result<()> {
    match put_tag(repo, tag, manifest).await? {
        None => Ok(()),
        Some(there) => Err(Error::refused(format!(
            "tag {tag} of {} names {there} and is immutable; this image is {}",
            repo.reference(),
            manifest.digest
        ))
        .about(repo.reference())
        .hint("an immutable tag never moves: choose another tag, or take the image it names")),
    }
}

/// The same, and where the tag is immutable and names another image, that one's digest.
pub(crate) async fn put_tag(repo: &Repo, tag: &str, manifest: &Manifest) -> Result<Option<Digest>> {
    let done = repo
        .client
        .retry(async |pass| {
            if repo.digest(pass, tag).await?.as_ref() == Some(&manifest.digest) {
                return Ok(true);
            }
            repo.put_manifest(pass, tag, manifest).await.map(|_| false)
        })
        .await;
    let taken = match done {
        Err(fault) if fault.kind == Kind::TagTaken => true,
        Err(fault) => return Err(fault.error),
        Ok(true) => return Ok(None),
        Ok(false) => false,
    };
    let there = repo
        .client
        .retry(async |pass| repo.digest(pass, tag).await)
        .await?;
    match there {
        Some(there) if there == manifest.digest => Ok(None),
        Some(there) if taken => Ok(Some(there)),
        Some(there) => Err(Error::failed(format!(
            "tag {tag} of {} was put on {}, but names {there}",
            repo.reference(),
            manifest.digest
        ))
        .about(repo.reference())
        .hint("somebody else moved it at the same time; run the step again")),
        None => Err(Error::failed(format!(
            "tag {tag} was put on {} in {}, but is not there",
            manifest.digest,
            repo.reference()
        ))
        .about(repo.reference())
        .hint("run the step again: blobs that arrived are not sent again")),
    }
}

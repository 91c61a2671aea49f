//! Copying an image by digest with all that refers to it, and putting tags on it: manifests as the bytes they are.

use super::deliver::{self, Image, Origin, Piece};
use super::layout::delivered;
use super::manifests;
use super::target::{Outcome, Target, UPLOADS, outcomes};
use super::tree;
use crate::registry::{Kind, Manifest, Repo, list_tag, listed as listed_in, signer_tags};
use futures_util::future::join_all;
use kit::host::Host;
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::HashSet;
use std::time::Instant;
use tokio::sync::Semaphore;

/// Copies the image `digest` of `source` to every target. The outcomes are in the targets' order.
///
/// # Errors
/// The image cannot be read.
pub(crate) async fn copy(
    host: &Host,
    source: &Repo,
    digest: &Digest,
    targets: &[Target],
) -> Result<Vec<Outcome>> {
    let started = Instant::now();
    let image = read(host, source, digest).await?;
    let root = image
        .manifests
        .iter()
        .find(|manifest| manifest.digest == *digest);
    let platforms = match root {
        Some(root) => platforms(source, root).await?,
        None => Vec::new(),
    };
    host.info(format!(
        "{digest}: {} manifests, {} blobs",
        image.manifests.len(),
        image.pieces.len()
    ));
    let uploads = Semaphore::new(UPLOADS);
    let results = join_all(targets.iter().map(|target| {
        let (image, platforms, uploads) = (&image, &platforms, &uploads);
        async move {
            let counts = deliver::deliver(host, target, image, uploads).await;
            delivered(image, platforms, counts, started)
        }
    }))
    .await;
    Ok(outcomes(targets, results, started))
}

/// Puts `target`'s tags on the image `digest`, which its repository has.
///
/// # Errors
/// There is no such image, or a tag is immutable and names another one (exit 3).
pub(crate) async fn retag(target: &Target, digest: &Digest) -> Result<Manifest> {
    let manifest = needed(&target.repo, digest).await?;
    tag(&target.repo, &target.tags, &manifest).await?;
    Ok(manifest)
}

/// Puts tags, in their order, on a manifest that is there.
///
/// # Errors
/// One is immutable and names another image (exit 3).
pub(crate) async fn tag(repo: &Repo, tags: &[String], manifest: &Manifest) -> Result<()> {
    for tag in tags {
        manifests::tag_as(repo, tag, manifest).await?;
    }
    Ok(())
}

/// Each platform's digest of an image that is there; an image that is not an index names its own in its configuration.
///
/// # Errors
/// The image cannot be read.
pub(crate) async fn platforms(repo: &Repo, manifest: &Manifest) -> Result<Vec<(String, Digest)>> {
    let parts = tree::parts(&manifest.digest, &manifest.bytes)?;
    let config = match parts.blobs.first() {
        Some(config) => Some(small(repo, &config.digest).await?),
        None => None,
    };
    Ok(tree::platforms(
        &manifest.digest,
        &manifest.bytes,
        config.as_deref(),
    ))
}

async fn small(source: &Repo, blob: &Digest) -> Result<bytes::Bytes> {
    let read = source
        .client
        .retry(async |pass| source.small(pass, blob).await);
    Ok(read.await?)
}

/// The manifest of an image that has to be there.
///
/// # Errors
/// It is not (exit 2), or cannot be read.
pub(crate) async fn needed(source: &Repo, digest: &Digest) -> Result<Manifest> {
    there(source, digest.as_str()).await?.ok_or_else(|| {
        Error::usage(format!("{} has no image {digest}", source.reference())).hint(format!(
            "see what it has: aws ecr describe-images --repository-name {}",
            source.name
        ))
    })
}

/// Reads the manifests: what an index names, what refers to any of them, and what refers to that.
async fn read(host: &Host, source: &Repo, digest: &Digest) -> Result<Image> {
    let mut image = Image {
        pieces: Vec::new(),
        manifests: Vec::new(),
        root: digest.clone(),
        other_tags: Vec::new(),
    };
    let mut seen = HashSet::new();
    add(source, needed(source, digest).await?, &mut image, &mut seen).await?;
    // Referrers come after what they refer to, and may have referrers of their own.
    let mut next = 0;
    while next < image.manifests.len() {
        let subject = image.manifests[next].digest.clone();
        next += 1;
        for referrer in referrers(host, source, &subject).await? {
            if seen.contains(&referrer) {
                continue;
            }
            let name = referrer.as_str();
            match there(source, name).await? {
                Some(manifest) => {
                    provenance_tag(source, &manifest, &subject, &mut image).await?;
                    add(source, manifest, &mut image, &mut seen).await?;
                }
                // A list under a tag is not mended by who deletes what it names.
                None => host.warn(format!(
                    "{name} refers to {subject} by the list in {}, but is not there; it is not copied",
                    source.reference()
                )),
            }
        }
        for tag in signer_tags(&subject) {
            if let Some(signature) = there(source, &tag).await? {
                image.other_tags.push((tag, signature.digest.clone()));
                if !seen.contains(&signature.digest) {
                    add(source, signature, &mut image, &mut seen).await?;
                }
            }
        }
    }
    Ok(image)
}

/// Adds the tag of a referrer that is provenance, by which the copy's provenance is found too. Only the referrer that has
/// the tag at the source gets it, because everyone who can push can add others.
async fn provenance_tag(
    source: &Repo,
    referrer: &Manifest,
    subject: &Digest,
    image: &mut Image,
) -> Result<()> {
    if let Some(tag) = attest::tag_of(&referrer.bytes, subject)
        && there(source, &tag)
            .await?
            .is_some_and(|tagged| tagged.digest == referrer.digest)
    {
        image.other_tags.push((tag, referrer.digest.clone()));
    }
    Ok(())
}

/// The referrers of `subject`. Where the registry does not let its list be asked for, the list that writers keep counts.
async fn referrers(host: &Host, source: &Repo, subject: &Digest) -> Result<Vec<Digest>> {
    let listed = source
        .client
        .retry(async |pass| source.referrers(pass, subject).await)
        .await;
    match listed {
        Ok(referrers) => Ok(referrers),
        Err(fault) if matches!(fault.kind, Kind::Final | Kind::Login) => {
            let why = fault.error.causes().join(": ");
            host.warn(format!(
                "the referrers of {subject} in {} cannot be listed; only those that a tag names are copied: {why}; on ECR the role needs ecr:ListImageReferrers",
                source.reference()
            ));
            let list = there(source, &list_tag(subject)).await?;
            Ok(list.map(|list| listed_in(&list.bytes)).unwrap_or_default())
        }
        Err(fault) => Err(fault.error),
    }
}

async fn there(source: &Repo, reference: &str) -> Result<Option<Manifest>> {
    let found = source
        .client
        .retry(async |pass| source.manifest(pass, reference).await);
    Ok(found.await?)
}

/// Adds a manifest after what it names.
async fn add(
    source: &Repo,
    manifest: Manifest,
    image: &mut Image,
    seen: &mut HashSet<Digest>,
) -> Result<()> {
    // Depth first without recursion: a manifest is put down once its children are.
    let mut open = vec![(manifest, false)];
    while let Some((manifest, children_done)) = open.pop() {
        let parts = tree::parts(&manifest.digest, &manifest.bytes)?;
        if children_done {
            image.manifests.push(manifest);
            continue;
        }
        if !seen.insert(manifest.digest.clone()) {
            continue;
        }
        if seen.len() > tree::MOST {
            return Err(Error::failed(format!(
                "image {} and what refers to it are more than {} manifests and blobs",
                image.root,
                tree::MOST
            )));
        }
        for blob in parts.blobs {
            if seen.insert(blob.digest.clone()) {
                image.pieces.push(Piece {
                    descriptor: blob,
                    origin: Origin::Repo(source.clone()),
                    there: false,
                });
            }
        }
        open.push((manifest, true));
        for child in parts.children {
            if !seen.contains(&child.digest) {
                open.push((needed(source, &child.digest).await?, false));
            }
        }
    }
    Ok(())
}

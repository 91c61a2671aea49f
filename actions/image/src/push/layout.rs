//! Pushing an OCI layout: every blob has its name already, so each target is simply brought what it lacks.

use super::deliver::{self, Image, Origin, Piece, Undelivered};
use super::target::{Counts, Delivered, Target, UPLOADS};
use super::tree;
use crate::blob::Descriptor;
use crate::registry::Manifest;
use crate::source::{Layout, Source};
use futures_util::future::join_all;
use kit::host::Host;
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

pub(super) async fn push(
    host: &Host,
    source: &Arc<Source>,
    layout: &Layout,
    targets: &[Target],
) -> Vec<Result<Delivered>> {
    let (image, platforms) = match read(source, layout) {
        Ok(read) => read,
        Err(error) => return targets.iter().map(|_| Err(error.clone())).collect(),
    };
    let uploads = Semaphore::new(UPLOADS);
    join_all(targets.iter().map(|target| {
        let (image, platforms, uploads) = (&image, &platforms, &uploads);
        async move {
            let started = Instant::now();
            let counts = deliver::deliver(host, target, image, uploads).await;
            delivered(image, platforms, counts, started)
        }
    }))
    .await
}

/// The result of a delivery of an image with all its origins.
pub(super) fn delivered(
    image: &Image,
    platforms: &[(String, Digest)],
    counts: Result<Counts, Undelivered>,
    started: Instant,
) -> Result<Delivered> {
    let counts = counts.map_err(|undelivered| match undelivered {
        Undelivered::Error(error) => *error,
        Undelivered::Gone(blobs) => {
            Error::failed(format!("{} blobs of the image are gone", blobs.len()))
        }
    })?;
    let manifest = image
        .manifests
        .iter()
        .find(|manifest| manifest.digest == image.root)
        .ok_or_else(|| Error::failed("the image has no manifest of its own"))?;
    Ok(Delivered {
        manifest: manifest.clone(),
        platforms: platforms.to_vec(),
        counts,
        took: started.elapsed(),
    })
}

type Read = (Image, Vec<(String, Digest)>);

fn read(source: &Arc<Source>, layout: &Layout) -> Result<Read> {
    let root = layout.root();
    let mut image = Image {
        pieces: Vec::new(),
        manifests: Vec::new(),
        root: root.digest.clone(),
        other_tags: Vec::new(),
    };
    let mut seen = HashSet::new();
    collect(source, layout, root, &mut image, &mut seen)?;
    let bytes = layout.small(&root.digest)?;
    let config = tree::parts(&root.digest, &bytes)?
        .blobs
        .first()
        .filter(|config| config.size <= 4 << 20)
        .map(|config| layout.small(&config.digest))
        .transpose()?;
    let platforms = tree::platforms(&root.digest, &bytes, config.as_deref());
    Ok((image, platforms))
}

/// The digest that a source's image will have, where that is known before it is pushed.
pub(crate) fn digest(source: &Source) -> Option<&Digest> {
    match source {
        Source::Layout(layout) => Some(&layout.root().digest),
        Source::Archive(_) => None,
    }
}

/// Looks at all that will be pushed, before anything is changed for it.
///
/// # Errors
/// It is damaged, or not an image (exit 2).
pub(crate) fn check(source: &Arc<Source>) -> Result<()> {
    let Source::Layout(layout) = &**source else {
        // An archive's metadata was read when it was opened.
        return Ok(());
    };
    let (image, _) = read(source, layout)?;
    for piece in &image.pieces {
        let blob = layout.open(&piece.descriptor.digest)?;
        if blob.size != piece.descriptor.size {
            return Err(Error::usage(format!(
                "blob {} has {} bytes, and its manifest says {}",
                piece.descriptor.digest, blob.size, piece.descriptor.size
            ))
            .hint("the layout is damaged; write it again"));
        }
    }
    let mut artifact = None;
    for manifest in &image.manifests {
        match tree::artifact(&manifest.bytes) {
            // An attestation beside an image is a manifest of its own.
            None => return Ok(()),
            Some(kind) => artifact = kind.or(artifact),
        }
    }
    Err(Error::usage(format!(
        "--layout names an artifact, not an image: it holds {}",
        artifact.as_deref().unwrap_or("an empty index")
    ))
    .hint("a bill of materials or an attestation is attached to an image, for example with oras attach; name the image's own layout"))
}

/// Adds a manifest after what it names.
fn collect(
    source: &Arc<Source>,
    layout: &Layout,
    manifest: &Descriptor,
    image: &mut Image,
    seen: &mut HashSet<Digest>,
) -> Result<()> {
    if !seen.insert(manifest.digest.clone()) {
        return Ok(());
    }
    if seen.len() > tree::MOST {
        return Err(Error::failed(format!(
            "the image names more than {} manifests and blobs",
            tree::MOST
        )));
    }
    let bytes = layout.small(&manifest.digest)?;
    let parts = tree::parts(&manifest.digest, &bytes)?;
    for child in &parts.children {
        collect(source, layout, child, image, seen)?;
    }
    for blob in parts.blobs {
        if seen.insert(blob.digest.clone()) {
            image.pieces.push(Piece {
                descriptor: blob,
                origin: Origin::Layout(Arc::clone(source)),
                there: false,
            });
        }
    }
    image.manifests.push(Manifest {
        digest: manifest.digest.clone(),
        media_type: manifest.media_type.clone(),
        bytes,
    });
    Ok(())
}

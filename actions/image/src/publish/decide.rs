//! Deciding what is to be done, and finding out that it can be.

use super::observe::Observed;
use super::order::Order;
use crate::build::{self, Builder};
use crate::cache;
use crate::decide::{self, Publication};
use crate::key::ContentKey;
use crate::push;
use crate::replicas;
use crate::signing;
use crate::source::Source;
use kit::Result;
use kit::id::Digest;
use kit::step::Cx;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The work, with what it takes.
pub(super) enum Work {
    /// Build with this builder, which took so long to find, and push.
    Build(Builder, Duration),
    /// Push the image that `--layout` names.
    Push(Arc<Source>),
    /// Put these tags on the image that is published.
    Tag { digest: Digest, add: Vec<String> },
}

impl Work {
    /// The image's digest, where it is known before the work is done.
    fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag { digest, .. } => Some(digest),
            Self::Push(source) => push::digest(source),
            Self::Build(..) => None,
        }
    }
}

/// # Errors
/// A tag is taken, or a builder cannot do what is asked for.
pub(super) async fn decide(cx: &Cx, order: &Order, seen: &Observed) -> Result<Work> {
    let request = &order.request;
    let tags = request.tags();
    if let (Some(Err(why)), Some(image)) = (&seen.shown, seen.tags.get(request.commit.as_str())) {
        let repository = &seen.ecr.repository;
        return Err(signing::refusal(
            request.commit.as_str(),
            image,
            repository,
            why,
        ));
    }
    // The settings are applied before the tags are written.
    let mutability = seen.prepared.mutability_to_be();
    let publication = decide::publication(
        request.commit.as_str(),
        &tags,
        seen.key().map(ContentKey::tag).as_deref(),
        &seen.tags,
        &mutability,
        request.rebuild,
    )?;
    let work = match (publication, &order.layout) {
        (Publication::Published { digest, add }, _) => Work::Tag { digest, add },
        (Publication::Build, Some(source)) => Work::Push(Arc::clone(source)),
        // Only a build needs a builder; an image that is published is found without one.
        (Publication::Build, None) => {
            let (host, name) = (&seen.registry.host, &seen.ecr.repository);
            cache::writable(&request.cache_to, host, name, &mutability)?;
            let started = Instant::now();
            let builder = Builder::find(&cx.env, request.builder).await?;
            build::check(&cx.env, request, &builder).await?;
            Work::Build(builder, started.elapsed())
        }
    };
    replicas::free(
        &seen.replicas,
        &tags,
        work.digest(),
        request.commit.as_str(),
    )?;
    Ok(work)
}

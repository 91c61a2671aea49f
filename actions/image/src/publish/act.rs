//! Acting: the image goes to the primary repository and its replicas, then the notes, then the tags.

use super::decide::Work;
use super::observe::{Observed, known};
use super::order::Order;
use super::verify;
use crate::build::{self, Builder, Kept};
use crate::credentials::Logins;
use crate::ecr::{Ecr, Stored};
use crate::key::{self, Content};
use crate::push::{self, Delivered, Target};
use crate::registry::Repo;
use crate::source::Source;
use crate::{provenance, replicas, repository};
use futures_util::future::join;
use kit::id::Digest;
use kit::step::Cx;
use kit::{Error, Result};
use net::Net;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A published image, proven.
pub(super) struct Published {
    pub(super) image: Stored,
    pub(super) outcome: Outcome,
    pub(super) created: bool,
    pub(super) pull_accounts: BTreeSet<String>,
    pub(super) pulled_by: String,
    pub(super) content: Option<Content>,
    /// `os/architecture` and digest of each image.
    pub(super) platforms: Vec<(String, Digest)>,
    /// Each repository that the image was sent to in this run, by its name.
    pub(super) delivered: Vec<(String, Delivered)>,
}

/// How the image came to be where it is.
pub(super) enum Outcome {
    /// It was published before, for this commit or for another of the same content; these tags were added.
    Already {
        added: Vec<String>,
        built_for: Option<String>,
    },
    Built {
        builder: String,
        build: Duration,
        repeatable: bool,
    },
    /// Something else had built it.
    Given,
}

/// The image in the primary repository, and in the replicas that did not fail.
struct Arrived {
    repo: Repo,
    digest: Digest,
    /// The image as it was read back from the primary repository, where it was sent there in this run.
    read_back: Option<Delivered>,
    outcome: Outcome,
    /// The repositories that the image was sent to, with an outcome for each.
    targets: Vec<Target>,
    outcomes: Vec<push::Outcome>,
    /// Replicas that failed before.
    failed: Vec<push::Outcome>,
    /// The image in the builder's storage, which is removed beside everything that comes after the push.
    _left: Option<Kept>,
}

/// The repositories that the image goes to.
struct Delivery<'a> {
    cx: &'a Cx,
    order: &'a Order,
    ecr: &'a Ecr,
    repo: Repo,
    logins: Logins,
    /// The primary repository was created a moment ago.
    fresh: bool,
    replicas: Vec<Target>,
    /// Replicas that could not be made ready.
    failed: Vec<push::Outcome>,
}

pub(super) async fn act(
    cx: &Cx,
    net: &Net,
    order: &Order,
    seen: Observed,
    work: Work,
) -> Result<(Ecr, Published)> {
    let ready = repository::ensure(cx, &seen.ecr, &seen.prepared).await?;
    let repo = seen.ecr.repo_at(net, &seen.registry)?;
    let logins = seen.logins();
    let (replicas, failed) = replicas::ready(cx, net, seen.replicas).await;
    let is_unchanged =
        matches!(&work, Work::Tag { add, .. } if add.is_empty()) && order.destinations.is_empty();
    let tags = order.request.tags();
    let delivery = Delivery {
        cx,
        order,
        ecr: &seen.ecr,
        repo,
        logins,
        fresh: ready.fresh,
        replicas,
        failed,
    };
    // The image as it was seen a moment ago, where nothing is to be changed.
    let unchanged = seen.found.into_iter().find(|image| image.tag == tags[0]);
    let arrived = delivery.bring(work).await?;
    let repo = &arrived.repo;
    let (manifest, platforms) = match arrived.read_back {
        Some(done) => (done.manifest, done.platforms),
        None => {
            let manifest = push::needed(repo, &arrived.digest).await?;
            let platforms = push::platforms(repo, &manifest).await?;
            (manifest, platforms)
        }
    };
    let (image, delivered) = match unchanged.filter(|_| is_unchanged) {
        Some(image) => (verify::unbroken(image, &arrived.digest)?, Vec::new()),
        None => {
            // A second run takes the commit's tag for the end of all this, so it comes after the notes. It is put although
            // a replica failed.
            if let Some(key) = known(seen.content.as_ref()) {
                provenance::note_content(cx, repo, key, &manifest).await?;
                let first = first_commit(&arrived.outcome).unwrap_or(&order.request.commit);
                provenance::note_commit(
                    cx,
                    net,
                    &order.primary,
                    &order.request,
                    &manifest,
                    key,
                    first,
                )
                .await?;
            }
            push::tag(repo, &tags, &manifest).await?;
            let mut outcomes =
                replicas::tag(&arrived.targets, arrived.outcomes, &tags, &arrived.digest).await;
            outcomes.extend(arrived.failed);
            let names: Vec<String> = outcomes.iter().map(|one| one.name.clone()).collect();
            let delivered = names.into_iter().zip(push::all(outcomes)?).collect();
            let image = verify::proven(&seen.ecr, &tags[0], &arrived.digest).await?;
            (image, delivered)
        }
    };
    let published = Published {
        image,
        outcome: arrived.outcome,
        created: ready.created,
        pulled_by: seen.prepared.pulled_by(),
        pull_accounts: seen.prepared.wanted.pull,
        content: seen.content,
        platforms,
        delivered,
    };
    Ok((seen.ecr, published))
}

/// The commit that the image was built for, if it was another's.
fn first_commit(outcome: &Outcome) -> Option<&String> {
    match outcome {
        Outcome::Already { built_for, .. } => built_for.as_ref(),
        Outcome::Built { .. } | Outcome::Given => None,
    }
}

impl Delivery<'_> {
    /// Brings the image to all repositories.
    async fn bring(self, work: Work) -> Result<Arrived> {
        match work {
            Work::Tag { digest, add } => self.copy(digest, add).await,
            Work::Build(builder, found_in) => self.build(builder, found_in).await,
            Work::Push(source) => {
                // Nobody says from which repositories a prebuilt image's blobs come.
                let earlier = self.earlier().await;
                self.send(source, Vec::new(), earlier, Outcome::Given, None)
                    .await
            }
        }
    }

    /// The image is in the primary repository; the replicas get it from there.
    async fn copy(self, digest: Digest, add: Vec<String>) -> Result<Arrived> {
        let host = &self.cx.host;
        host.info(format!("already published as {digest}; nothing is built"));
        let built_for = match add.contains(&self.order.request.commit) {
            true => provenance::built_for(&self.repo, &digest).await?,
            false => None,
        };
        let outcomes = match self.replicas.is_empty() {
            true => Vec::new(),
            false => push::copy(host, &self.repo, &digest, &self.replicas).await?,
        };
        Ok(Arrived {
            repo: self.repo,
            digest,
            read_back: None,
            outcome: Outcome::Already {
                added: add,
                built_for,
            },
            targets: self.replicas,
            outcomes,
            failed: self.failed,
            _left: None,
        })
    }

    async fn build(self, builder: Builder, found_in: Duration) -> Result<Arrived> {
        let (cx, request) = (self.cx, &self.order.request);
        let build = build::run(&cx.host, &cx.env, &builder, request, &self.logins);
        let (built, earlier) = join(build, self.earlier()).await;
        let built = built?;
        let from = key::sources(request, &cx.env, self.repo.client.host());
        let outcome = Outcome::Built {
            builder: built.builder,
            build: found_in + built.took,
            repeatable: built.repeatable,
        };
        let source = Arc::new(built.source);
        self.send(source, from, earlier, outcome, built.image).await
    }

    /// Images of the primary repository whose layers this one may share.
    async fn earlier(&self) -> Vec<String> {
        match self.fresh {
            true => Vec::new(),
            false => self.ecr.newest().await,
        }
    }

    /// Pushes to all repositories at once. The tags follow once everything else is done. Blobs of the repositories `from`
    /// may be mounted.
    async fn send(
        self,
        source: Arc<Source>,
        from: Vec<String>,
        earlier: Vec<String>,
        outcome: Outcome,
        image: Option<Kept>,
    ) -> Result<Arrived> {
        let mut first = Target::new(self.repo.clone(), Vec::new());
        first.created = self.fresh;
        first.earlier = earlier;
        first.from = from;
        let targets: Vec<Target> = std::iter::once(first).chain(self.replicas).collect();
        let outcomes = {
            let _group = self.cx.host.group("push");
            let compression = self.order.request.compression;
            push::push(&self.cx.host, &source, compression, &targets).await
        };
        let left = image.map(Kept::begin);
        let read_back = match outcomes.first().map(|primary| &primary.result) {
            Some(Ok(done)) => done.clone(),
            Some(Err(_)) => return Err(push::failure(outcomes, self.failed)),
            None => return Err(Error::failed("the image has no destination")),
        };
        Ok(Arrived {
            repo: self.repo,
            digest: read_back.manifest.digest.clone(),
            read_back: Some(read_back),
            outcome,
            targets,
            outcomes,
            failed: self.failed,
            _left: left,
        })
    }
}

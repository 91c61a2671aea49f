//! Acting: the image goes to the primary repository and its replicas, then the notes, then the tags.

use super::decide::Work;
use super::observe::{Observed, known};
use super::order::Order;
use super::verify;
use crate::build::{self, Builder, Kept};
use crate::credentials::Logins;
use crate::ecr::{Ecr, Stored};
use crate::key::{self, Content, ContentKey};
use crate::push::{self, Delivered, Target};
use crate::registry::{Manifest, Repo};
use crate::signing::{About, Signing, attach_to_replicas};
use crate::source::Source;
use crate::{provenance, replicas, repository};
use futures_util::future::join;
use kit::aws::AccountId;
use kit::id::{CommitId, Digest};
use kit::step::Cx;
use kit::{Error, Lenient, Result};
use net::Net;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A published image, proven.
pub(super) struct Published {
    pub(super) image: Stored,
    pub(super) outcome: Outcome,
    pub(super) created: bool,
    pub(super) pull_accounts: BTreeSet<AccountId>,
    pub(super) pulled_by: String,
    pub(super) content: Option<Content>,
    /// The image's provenance, if a key is named.
    pub(super) provenance: Option<Proof>,
    /// `os/architecture` and digest of each image.
    pub(super) platforms: Vec<(String, Digest)>,
    /// Each repository that the image was sent to in this run, by its name.
    pub(super) delivered: Vec<(String, Delivered)>,
}

/// The provenance of a published image.
pub(super) struct Proof {
    /// The key that signed it, as it was named.
    pub(super) key: String,
    /// Its tag; `None` for an image that is not shown to be a commit's.
    pub(super) tag: Option<String>,
}

/// How the image came to be where it is.
pub(super) enum Outcome {
    /// It was published before, for this commit or for another of the same content; these tags were added.
    Already {
        added: Vec<String>,
        built_for: Option<Lenient<CommitId>>,
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
    let mut arrived = delivery.bring(work).await?;
    let (manifest, platforms) = match arrived.read_back.take() {
        Some(done) => (done.manifest, done.platforms),
        None => {
            let manifest = push::needed(&arrived.repo, &arrived.digest).await?;
            let platforms = push::platforms(&arrived.repo, &manifest).await?;
            (manifest, platforms)
        }
    };
    let known = Known {
        signing: seen.signing.as_ref(),
        is_proven: seen.shown.is_some(),
        content: known(seen.content.as_ref()),
        content_taken: seen.content_taken,
    };
    let (image, outcome, delivered) = match unchanged.filter(|_| is_unchanged) {
        Some(image) => {
            let image = verify::unbroken(image, &arrived.digest)?;
            (image, arrived.outcome, Vec::new())
        }
        None => {
            // A second run takes the commit's tag for the end of all this, so it comes after the provenance and the
            // notes. It is put although a replica failed.
            note(cx, net, order, &seen.ecr, &mut arrived, &manifest, &known).await?;
            push::tag(&arrived.repo, &tags, &manifest).await?;
            let mut outcomes =
                replicas::tag(&arrived.targets, arrived.outcomes, &tags, &arrived.digest).await;
            outcomes.extend(arrived.failed);
            let names: Vec<String> = outcomes.iter().map(|one| one.name.clone()).collect();
            let delivered = names.into_iter().zip(push::all(outcomes)?).collect();
            let image = verify::proven(&seen.ecr, &tags[0], &arrived.digest).await?;
            (image, arrived.outcome, delivered)
        }
    };
    let provenance = seen.signing.map(|signing| Proof {
        key: signing.key.to_string(),
        tag: order.request.provenance_tag(&image.digest),
    });
    let published = Published {
        image,
        outcome,
        created: ready.created,
        pulled_by: seen.prepared.pulled_by(),
        pull_accounts: seen.prepared.wanted.pull,
        content: seen.content,
        provenance,
        platforms,
        delivered,
    };
    Ok((seen.ecr, published))
}

/// The facts known before the image arrived.
struct Known<'a> {
    signing: Option<&'a Signing>,
    /// The image that has the commit's tag is shown to be the commit's.
    is_proven: bool,
    content: Option<&'a ContentKey>,
    content_taken: bool,
}

/// Puts the provenance beside the image wherever it arrived, then the content's tag, then the ledger's note.
async fn note(
    cx: &Cx,
    net: &Net,
    order: &Order,
    ecr: &Ecr,
    arrived: &mut Arrived,
    image: &Manifest,
    known: &Known<'_>,
) -> Result<()> {
    let request = &order.request;
    let built_for = first_commit(&arrived.outcome);
    if let Some(signing) = known.signing
        && request.is_commits()
        && !known.is_proven
    {
        let about = About {
            request,
            image,
            content: known.content,
            built_for,
        };
        let artifact = signing.attach(cx, ecr, &arrived.repo, &about).await?;
        let outcomes = std::mem::take(&mut arrived.outcomes);
        arrived.outcomes =
            attach_to_replicas(&arrived.targets, outcomes, &image.digest, &artifact).await;
    }
    let Some(key) = known.content else {
        return Ok(());
    };
    // An image without provenance is used by nobody for its content, and would have the tag for good.
    if known.signing.is_none() || (request.is_commits() && !known.content_taken) {
        provenance::note_content(cx, &arrived.repo, key, image).await?;
    }
    let first = match built_for {
        Some(labelled) => labelled.clone(),
        None => Lenient::Parsed(request.commit.clone()),
    };
    provenance::note_commit(cx, net, &order.primary, request, image, key, first).await
}

/// The commit that the image was built for, if it was another's.
fn first_commit(outcome: &Outcome) -> Option<&Lenient<CommitId>> {
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
                // The repositories that a prebuilt image's blobs come from are unknown.
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
        let built_for = match add
            .iter()
            .any(|tag| self.order.request.commit == tag.as_str())
        {
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

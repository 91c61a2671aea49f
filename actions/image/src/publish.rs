//! Publishing a commit: observe, decide, build, push to every place, put the tags, and read everything
//! back before success is said.

use crate::args::Publish;
use crate::build::{self, Builder, Kept};
use crate::cache;
use crate::credentials::Logins;
use crate::decide::{self, Publication};
use crate::ecr::{Ecr, Stored};
use crate::key::{self, Content, ContentKey};
use crate::place::Place;
use crate::push::{self, Delivered, Target};
use crate::registry::{self, Registry, Repo};
use crate::repository::{self, Prepared, Wanted};
use crate::request::{Request, given};
use crate::source::{Compression, Source};
use crate::{elsewhere, others, provenance, report};
use kit::id::Digest;
use kit::step::Cx;
use kit::{Error, Report, Result};
use net::Net;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long ECR's API is asked for what its registry took, in pauses of milliseconds.
const SEEN_WITHIN: [u64; 5] = [0, 500, 1000, 2000, 4000];

/// A published image, proven.
pub(crate) struct Published {
    pub(crate) image: Stored,
    pub(crate) outcome: Outcome,
    pub(crate) created: bool,
    pub(crate) pull_accounts: BTreeSet<String>,
    pub(crate) pulled_by: String,
    pub(crate) content: Option<Content>,
    /// `os/architecture` and digest of each image.
    pub(crate) platforms: Vec<(String, Digest)>,
    /// Each place the image was sent to in this run, by its name.
    pub(crate) delivered: Vec<(String, Delivered)>,
}

/// What is to be done, with what it takes.
pub(crate) enum Work {
    /// Build with this, which took so long to find, and push.
    Build(Builder, Duration),
    /// Push what is there.
    Push(Arc<Source>),
    /// Put these tags on what is published.
    Tag { digest: String, add: Vec<String> },
}

/// How the image came to be where it is.
pub(crate) enum Outcome {
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

/// A place the image goes to, with its repository.
struct Home {
    ecr: Ecr,
    prepared: Prepared,
}

pub(crate) async fn run(mut args: Box<Publish>, cx: &Cx) -> Result<Report> {
    let place = Place::new(&args.place, cx)?;
    let dry_run = args.dry_run;
    let settings = std::mem::take(&mut args.settings);
    let elsewhere = elsewhere::targets(
        &given(std::mem::take(&mut args.elsewhere.to)),
        &place.target,
    )?;
    let layout = args.layout.take();
    let mut request = Request::new(
        *args,
        cx,
        &place.repository,
        place.image.as_ref(),
        layout.is_some(),
    )?;
    let source = match &layout {
        Some(path) => {
            let source = Arc::new(Source::open(path, &cx.env)?);
            push::check(&source)?;
            Some(source)
        }
        None => None,
    };
    if let (Some(Source::Layout(_)), Compression::Zstd) = (source.as_deref(), request.compression) {
        return Err(Error::usage(
            "--compression zstd cannot be had of an OCI layout, whose layers are pushed as they are",
        )
        .hint("let whatever writes the layout compress it, and leave --compression out; or give a docker archive"));
    }
    let wanted = Wanted::new(settings, &place, crate::request::source(cx))?;
    wanted.has_key_for(&elsewhere)?;
    let net = Net::new(cx)?;

    let ecr = Ecr::new(&net.account(&place.target).await?, place.repository.clone());
    // Three questions that do not need one another's answers.
    let tags = request.tags();
    let (prepared, registry, tagged) = futures_util::future::join3(
        repository::prepare(cx, &net, &ecr, wanted.clone(), place.ledger.as_ref(), false),
        ecr.registry(),
        ecr.tagged_if_there(&tags),
    )
    .await;
    let prepared = prepared?;
    let (registry, found) = (registry?, tagged?);
    request.extra_tags.are_of(&registry.host)?;
    let home = Home { ecr, prepared };
    let others = others::observe(cx, &net, &place, &elsewhere, &wanted, &tags).await;
    let seen = digests(&found);
    let content = match &source {
        None if !request.rebuild && !seen.contains_key(&request.commit) => {
            Some(key::of(&net, &cx.env, &request, &logins(&registry)).await?)
        }
        _ => None,
    };
    let host = &registry.host;
    let work = decide_work(cx, &home, host, &request, seen, content.as_ref(), source).await?;
    let digest = match &work {
        Work::Tag { digest, .. } => Some(digest.as_str()),
        Work::Push(source) => push::digest(source).map(Digest::as_str),
        Work::Build(..) => None,
    };
    others::free(&others, &tags, digest, &request.commit)?;
    if dry_run {
        return Ok(report::publish_plan(
            &home.ecr,
            &request,
            &home.prepared,
            &work,
            content.as_ref(),
            &others::planned(others)?,
        ));
    }

    let ready = repository::ensure(cx, &home.ecr, &home.prepared).await?;
    let repo = home.ecr.repo_at(&net, &registry)?;
    let (mut targets, failed) = others::ready(cx, &net, others).await;
    let key = known(content.as_ref());
    // The key is over the base images that the registry has now. A builder that took an older one from its own storage would
    // make another content than the one its image is tagged with.
    request.pull |= key.is_some();
    // What the build left behind is removed beside all that comes after the push.
    let mut _left = None;
    // The image as it was seen a moment ago, where nothing is to be changed.
    let mut untouched = None;
    let (digest, outcome, outcomes) = match work {
        Work::Tag { digest, add } => {
            cx.host
                .info(format!("published already as {digest}; nothing is built"));
            let digest = Digest::parse(&digest)?;
            let built_for = match add.contains(&request.commit) {
                true => provenance::built_for(&repo, &digest).await?,
                false => None,
            };
            let outcomes = match targets.is_empty() {
                true => Vec::new(),
                false => push::copy(&cx.host, &repo, &digest, &targets).await?,
            };
            if add.is_empty() && elsewhere.is_empty() {
                untouched = found
                    .into_iter()
                    .find(|image| Some(&image.tag) == tags.first());
            }
            let outcome = Outcome::Already {
                added: add,
                built_for,
            };
            (digest, outcome, outcomes)
        }
        Work::Build(builder, found_in) => {
            let built =
                build::run(&cx.host, &cx.env, &builder, &request, &logins(&registry)).await?;
            let source = Arc::new(built.source);
            let from = key::sources(&request, &cx.env, repo.client.host());
            targets.insert(0, first(&home.ecr, &repo, ready.fresh, from).await);
            let outcomes = send(cx, &source, &request, &targets).await;
            _left = built.image.map(Kept::begin);
            let outcome = Outcome::Built {
                builder: built.builder,
                build: found_in + built.took,
                repeatable: built.repeatable,
            };
            match arrived(&outcomes) {
                Some(digest) => (digest, outcome, outcomes),
                None => return Err(push::failure(outcomes, failed)),
            }
        }
        Work::Push(source) => {
            // Whose blobs they are that something else put together, nobody says.
            targets.insert(0, first(&home.ecr, &repo, ready.fresh, Vec::new()).await);
            let outcomes = send(cx, &source, &request, &targets).await;
            match arrived(&outcomes) {
                Some(digest) => (digest, Outcome::Given, outcomes),
                None => return Err(push::failure(outcomes, failed)),
            }
        }
    };
    let manifest = push::needed(&repo, &digest).await?;
    let (image, delivered) = match untouched {
        Some(image) => (unbroken(image, &digest)?, Vec::new()),
        None => {
            // The commit's tag is what a second run takes for the end of all this, so it comes after the notes; and what
            // could not be brought elsewhere is no reason to leave it off here.
            if let Some(key) = key {
                provenance::note(cx, &net, &repo, &place, &request, &manifest, key, &outcome)
                    .await?;
            }
            push::tag(&repo, &tags, &manifest).await?;
            let mut outcomes = others::tag(&targets, outcomes, &tags, &digest).await;
            outcomes.extend(failed);
            let names: Vec<String> = outcomes.iter().map(|one| one.name.clone()).collect();
            let delivered = names.into_iter().zip(push::all(outcomes)?).collect();
            (proven(&home.ecr, &tags[0], &digest).await?, delivered)
        }
    };
    let platforms = push::platforms(&repo, &manifest).await?;
    let published = Published {
        image,
        outcome,
        created: ready.created,
        pulled_by: home.prepared.pulled_by(),
        pull_accounts: home.prepared.wanted.pull,
        content,
        platforms,
        delivered,
    };
    Ok(report::publish(&home.ecr, &registry, &request, &published))
}

/// What each tag names.
fn digests(found: &[Stored]) -> BTreeMap<String, String> {
    found
        .iter()
        .map(|image| (image.tag.clone(), image.digest.clone()))
        .collect()
}

async fn decide_work(
    cx: &Cx,
    home: &Home,
    host: &str,
    request: &Request,
    mut seen: BTreeMap<String, String>,
    content: Option<&Content>,
    source: Option<Arc<Source>>,
) -> Result<Work> {
    let tag = known(content).map(ContentKey::tag);
    if let Some(tag) = &tag {
        let found = home.ecr.tagged_if_there(std::slice::from_ref(tag)).await?;
        seen.extend(digests(&found));
    }
    // The settings are applied before the tags are written.
    let publication = decide::publication(
        &request.commit,
        &request.tags(),
        tag.as_deref(),
        &seen,
        &home.prepared.mutability_to_be(),
        request.rebuild,
    )?;
    match (publication, source) {
        (Publication::Published { digest, add }, _) => Ok(Work::Tag { digest, add }),
        (Publication::Build, Some(source)) => Ok(Work::Push(source)),
        // Only what will build needs a builder; what is published is found without one.
        (Publication::Build, None) => {
            cache::writable(
                &request.cache_to,
                host,
                &home.ecr.repository,
                &home.prepared.mutability_to_be(),
            )?;
            let started = Instant::now();
            let builder = Builder::find(&cx.env, request.builder).await?;
            build::check(&cx.env, request, &builder).await?;
            Ok(Work::Build(builder, started.elapsed()))
        }
    }
}

fn known(content: Option<&Content>) -> Option<&ContentKey> {
    match content {
        Some(Content::Known(key)) => Some(key),
        Some(Content::Unknown(_)) | None => None,
    }
}

fn logins(registry: &Registry) -> Logins {
    Logins::from([(registry.host.clone(), registry.login.clone())])
}

/// The first place to push to: the repository itself. Its tags are put when all else is done. What is in the repositories
/// `from` may be mounted.
async fn first(ecr: &Ecr, repo: &Repo, created: bool, from: Vec<String>) -> Target {
    let mut target = Target::new(repo.clone(), Vec::new());
    target.created = created;
    target.earlier = ecr.newest().await;
    target.from = from;
    target
}

async fn send(
    cx: &Cx,
    source: &Arc<Source>,
    request: &Request,
    targets: &[Target],
) -> Vec<push::Outcome> {
    let _group = cx.host.group("push");
    push::push(&cx.host, source, request.compression, targets).await
}

/// What the repository itself got, which is the first target.
fn arrived(outcomes: &[push::Outcome]) -> Option<Digest> {
    let done = outcomes.first()?.result.as_ref().ok()?;
    Some(done.manifest.digest.clone())
}

/// What ECR's API says the tag names, after the registry itself gave back what was pushed.
async fn proven(ecr: &Ecr, tag: &str, digest: &Digest) -> Result<Stored> {
    let mut found = None;
    for pause in SEEN_WITHIN {
        tokio::time::sleep(Duration::from_millis(pause)).await;
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
    if image.digest != digest.as_str() {
        return Err(Error::failed(format!(
            "tag {tag} names {}, but {digest} was published",
            image.digest
        ))
        .hint("two runs for one commit got in each other's way; run the step again, and it takes what is published"));
    }
    unbroken(image, digest)
}

/// An image whose manifest is what its digest says.
fn unbroken(image: Stored, digest: &Digest) -> Result<Stored> {
    let hash = registry::digest(image.manifest.as_bytes());
    if hash != image.digest {
        return Err(Error::failed(format!(
            "the manifest that ECR's API gives for {digest} hashes to {hash}"
        ))
        .hint("the image was changed on its way; do not deploy it"));
    }
    Ok(image)
}

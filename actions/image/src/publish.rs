//! Publishing a commit: observe, decide, build and push, put the tags, and read everything back
//! from the registry before success is said.

use crate::args::Publish;
use crate::decide::{self, Mutability, Publication};
use crate::docker::{Client, Docker, NotPushed, Pushed};
use crate::ecr::{Ecr, Stored};
use crate::place::Place;
use crate::pull::Pull;
use crate::registry::{self, Registry};
use crate::report;
use crate::repository;
use crate::request::Request;
use kit::step::Cx;
use kit::{Error, Report, Result};
use net::Net;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a push is tried while a repository that was just created is not yet known to the
/// registry, with the pause after each.
const NEW_REPOSITORY: [u64; 3] = [1, 4, 10];

/// A published image, proven.
pub(crate) struct Published {
    pub(crate) image: Stored,
    pub(crate) outcome: Outcome,
    pub(crate) created: bool,
    pub(crate) pull: Pull,
}

/// What is to be done, with what it takes.
pub(crate) enum Work {
    /// Build with this client, and push.
    Build(Client),
    /// Put these tags on what is published.
    Tag { digest: String, add: Vec<String> },
}

/// How the image came to be where it is.
pub(crate) enum Outcome {
    /// The commit was published before; these tags were added.
    Already { added: Vec<String> },
    Built {
        builder: String,
        build: Duration,
        push: Option<Duration>,
    },
}

pub(crate) async fn run(args: Box<Publish>, cx: &Cx) -> Result<Report> {
    let place = Place::new(&args.repository, cx)?;
    let dry_run = args.repository.dry_run;
    let request = Request::new(*args, cx, place.image.as_ref())?;
    let net = Net::new(cx)?;
    let ecr = Ecr::new(&net.account(&place.target).await?, place.repository);

    let seen = ecr.describe().await?;
    let pull = repository::pull(&ecr, place.pull, seen.is_some()).await?;
    // Only what will build needs a builder; what is published is found without Docker.
    let work = match decide_publication(&ecr, &request, seen.as_ref()).await? {
        Publication::Build => {
            let client = Client::find(&cx.env).await?;
            request.check_builder(&client.builder)?;
            client.check(&cx.env).await?;
            Work::Build(client)
        }
        Publication::Published { digest, add } => Work::Tag { digest, add },
    };
    if dry_run {
        return Ok(report::publish_plan(
            &ecr,
            &request,
            seen.as_ref(),
            &pull,
            &work,
        ));
    }

    let ready = repository::ensure(cx, &ecr, seen, &pull).await?;
    let registry = ecr.registry().await?;
    let (digest, outcome) = match work {
        Work::Build(client) => {
            let builder = client.name();
            let docker = Docker::new(&cx.host, &cx.env, client, &registry)?;
            let pushed = push(&docker, &ecr, &registry, &request, ready.created).await?;
            let outcome = Outcome::Built {
                builder,
                build: pushed.build,
                push: pushed.push,
            };
            (pushed.digest, outcome)
        }
        Work::Tag { digest, add } => {
            cx.host.info(format!(
                "commit {} is published as {digest}; nothing is built",
                request.commit
            ));
            (Some(digest), Outcome::Already { added: add })
        }
    };
    let image = proven(&net, &ecr, &registry, &request.commit, digest.as_deref()).await?;
    put_tags(&ecr, &request, &image, &ready.mutability).await?;
    let published = Published {
        image,
        outcome,
        created: ready.created,
        pull,
    };
    Ok(report::publish(&ecr, &registry, &request, &published))
}

async fn decide_publication(
    ecr: &Ecr,
    request: &Request,
    seen: Option<&Mutability>,
) -> Result<Publication> {
    let Some(mutability) = seen else {
        return Ok(Publication::Build);
    };
    let tags: BTreeMap<String, String> = ecr
        .tagged(&request.tags())
        .await?
        .into_iter()
        .map(|image| (image.tag, image.digest))
        .collect();
    decide::publication(
        &request.commit,
        &request.extra_tags,
        &tags,
        mutability,
        request.rebuild,
    )
}

async fn push(
    docker: &Docker<'_>,
    ecr: &Ecr,
    registry: &Registry,
    request: &Request,
    created: bool,
) -> Result<Pushed> {
    let reference = format!("{}/{}:{}", registry.host, ecr.repository, request.commit);
    let mut pauses = NEW_REPOSITORY.iter();
    loop {
        match docker.publish(request, &reference).await {
            Ok(pushed) => return Ok(pushed),
            Err(NotPushed::Failed(error)) => return Err(error),
            Err(NotPushed::NoRepository(error)) => match pauses.next() {
                Some(pause) if created => tokio::time::sleep(Duration::from_secs(*pause)).await,
                _ => return Err(error),
            },
            Err(NotPushed::TagTaken) => {
                let there = ecr.tagged(std::slice::from_ref(&request.commit)).await?;
                return Err(taken(&request.commit, there.first()));
            }
        }
    }
}

/// Another run published the commit while this one built it.
fn taken(commit: &str, there: Option<&Stored>) -> Error {
    let Some(there) = there else {
        return Error::refused(format!("the registry refused tag {commit} as immutable"));
    };
    Error::refused(format!(
        "tag {commit} was taken by {} while this run built another image for it",
        there.digest
    ))
    .hint("run the step again: it finds that image and builds nothing")
}

/// Reads the image back by tag from ECR and by digest from the registry, hashes both, and
/// compares with what was pushed.
async fn proven(
    net: &Net,
    ecr: &Ecr,
    registry: &Registry,
    tag: &str,
    pushed: Option<&str>,
) -> Result<Stored> {
    let mut found = None;
    for pause in [0, 500, 1000, 2000, 4000] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        found = ecr.tagged(&[tag.to_owned()]).await?.into_iter().next();
        if found.is_some() {
            break;
        }
    }
    let image = found.ok_or_else(|| {
        Error::failed(format!(
            "docker said it pushed, but repository {} has no tag {tag}",
            ecr.repository
        ))
        .hint("check that the registry pushed to belongs to the account ECR was asked in")
    })?;
    if let Some(pushed) = pushed
        && !registry::is_called(pushed, &image.digest, image.manifest.as_bytes())
    {
        return Err(Error::failed(format!(
            "tag {tag} names {}, but docker pushed {pushed}",
            image.digest
        ))
        .hint("two runs for one commit got in each other's way; run the step again, and it takes what is published"));
    }
    let served = registry
        .manifest(net, &ecr.repository, &image.digest)
        .await?;
    for (whose, bytes) in [
        ("ECR's API", image.manifest.as_bytes()),
        ("the registry", &served),
    ] {
        let hash = registry::digest(bytes);
        if hash != image.digest {
            return Err(Error::failed(format!(
                "the manifest that {whose} gives for {} hashes to {hash}",
                image.digest
            ))
            .hint("the image was changed on its way; do not deploy it"));
        }
    }
    Ok(image)
}

async fn put_tags(
    ecr: &Ecr,
    request: &Request,
    image: &Stored,
    mutability: &Mutability,
) -> Result<()> {
    if request.extra_tags.is_empty() {
        return Ok(());
    }
    for tag in &request.extra_tags {
        let there = ecr.tagged(std::slice::from_ref(tag)).await?;
        let there = there.first().map(|there| there.digest.as_str());
        if there == Some(&image.digest) {
            continue;
        }
        let refused = match there {
            Some(_) if !mutability.may_move(tag) => true,
            _ => !ecr.put_tag(image, tag).await?,
        };
        if refused {
            let there = ecr.tagged(std::slice::from_ref(tag)).await?;
            let there = there.first().map_or("another image", |there| &there.digest);
            return Err(decide::conflict(
                tag,
                there,
                Some(&image.digest),
                &request.commit,
            ));
        }
    }
    for there in ecr.tagged(&request.extra_tags).await? {
        if there.digest != image.digest {
            return Err(Error::failed(format!(
                "tag {} was put on {}, but names {}",
                there.tag, image.digest, there.digest
            )));
        }
    }
    Ok(())
}

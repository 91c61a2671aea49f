//! Pushing an image from its source to any number of repositories.
//!
//! Each target is brought to the same end for itself: a failing one names itself and the others finish, and a second run
//! sends only what is missing. No tag is put before everything it leads to was read back.

mod archive;
mod copy;
mod deliver;
mod earlier;
#[cfg(test)]
mod faults;
mod layer;
mod layout;
mod progress;
mod slow;
mod tree;

pub(crate) use copy::{copy, needed, platforms, retag, tag};
pub(crate) use deliver::put_tag;
pub(crate) use layout::{check, digest};
pub(crate) use progress::size;

use crate::registry::{Fault, Kind, Manifest, Repo};
use crate::source::{Compression, Source};
use deliver::How;
use kit::host::Host;
use kit::id::Digest;
use kit::{Error, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Uploads at once over all targets: each holds up to 0.75 MiB.
const UPLOADS: usize = 16;

/// A repository that an image goes to.
pub(crate) struct Target {
    pub(crate) repo: Repo,
    /// Put in their order, once all else is proven.
    pub(crate) tags: Vec<String>,
    /// Other repositories of the same registry, whose blobs may be mounted.
    pub(crate) from: Vec<String>,
    /// Tags or digests of images in the repository whose layers this one may share.
    pub(crate) earlier: Vec<String>,
    /// The repository was created a moment ago: nothing can be in it, so nothing is asked for before it is sent, and the
    /// registry may not know it yet.
    pub(crate) created: bool,
    name: String,
}

/// The bytes of a push's blobs, by what happened to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pushed: u64,
    pub(crate) skipped: u64,
    pub(crate) mounted: u64,
}

/// An image that is in a repository, proven.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub(crate) manifest: Manifest,
    /// `os/architecture` and digest; an image that is not an index has one.
    pub(crate) platforms: Vec<(String, Digest)>,
    pub(crate) counts: Counts,
    pub(crate) took: Duration,
}

/// How it went for one target.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `HOST/REPOSITORY`.
    pub(crate) name: String,
    pub(crate) result: Result<Delivered>,
}

impl Target {
    pub(crate) fn new(repo: Repo, tags: Vec<String>) -> Self {
        Self {
            name: repo.reference(),
            repo,
            tags,
            from: Vec::new(),
            earlier: Vec::new(),
            created: false,
        }
    }

    /// `HOST/REPOSITORY`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits for a repository that was just created: ECR says so before its registry knows.
    fn settled<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        answer.map_err(|fault| match fault.kind {
            Kind::Missing if self.created => fault.of_kind(Kind::Passing),
            _ => fault,
        })
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            pushed: self.pushed + other.pushed,
            skipped: self.skipped + other.skipped,
            mounted: self.mounted + other.mounted,
        }
    }
}

impl Counts {
    fn count(&mut self, how: How, bytes: u64) {
        *match how {
            How::Skipped => &mut self.skipped,
            How::Mounted => &mut self.mounted,
            How::Pushed => &mut self.pushed,
        } += bytes;
    }
}

/// Pushes `source` to every target. The outcomes are in the targets' order.
pub(crate) async fn push(
    host: &Host,
    source: &Arc<Source>,
    compression: Compression,
    targets: &[Target],
) -> Vec<Outcome> {
    let started = Instant::now();
    let results = match &**source {
        Source::Layout(layout) => layout::push(host, source, layout, targets).await,
        Source::Archive(_) => archive::push(host, source, compression, targets).await,
    };
    outcomes(targets, results, started)
}

fn outcomes(targets: &[Target], results: Vec<Result<Delivered>>, started: Instant) -> Vec<Outcome> {
    targets
        .iter()
        .zip(results)
        .map(|(target, result)| Outcome {
            name: target.name.clone(),
            result: result
                .map_err(|error| named(&target.name, error))
                .map(|mut done| {
                    done.took = done.took.min(started.elapsed());
                    done
                }),
        })
        .collect()
}

/// An error that names its place, unless it does already.
pub(crate) fn named(place: &str, mut error: Error) -> Error {
    if !error.message.contains(place) {
        error.message = format!("{place}: {}", error.message);
    }
    error
}

/// Why not all arrived.
pub(crate) fn failure(mut outcomes: Vec<Outcome>, failed: Vec<Outcome>) -> Error {
    outcomes.extend(failed);
    match all(outcomes) {
        Err(error) => error,
        Ok(_) => Error::failed("the image went nowhere"),
    }
}

/// The images where all arrived.
///
/// # Errors
/// The first failure, with the other targets' beside it, and who has the image all the same.
pub(crate) fn all(outcomes: Vec<Outcome>) -> Result<Vec<Delivered>> {
    let total = outcomes.len();
    let mut delivered = Vec::new();
    let mut failed: Option<Error> = None;
    let mut arrived = Vec::new();
    for outcome in outcomes {
        match outcome.result {
            Ok(done) => {
                arrived.push(outcome.name);
                delivered.push(done);
            }
            Err(error) => {
                failed = Some(match failed {
                    None => error,
                    Some(first) => first.and(error),
                });
            }
        }
    }
    match failed {
        None => Ok(delivered),
        Some(error) if total == 1 => Err(error),
        Some(error) if arrived.is_empty() => Err(error),
        Some(error) => Err(error.hint(format!(
            "the image is complete in {}; run the step again, and it completes the rest",
            arrived.join(", ")
        ))),
    }
}

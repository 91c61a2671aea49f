//! The repositories of a push, and the outcome for each.

use crate::registry::{Fault, Kind, Manifest, Repo};
use kit::Result;
use kit::id::Digest;
use std::time::{Duration, Instant};

/// Uploads at once over all targets: each holds up to 0.75 MiB.
pub(super) const UPLOADS: usize = 16;

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
    pub(super) name: String,
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

/// The outcome for one target.
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
    pub(super) fn settled<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
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
    pub(super) fn count(&mut self, transfer: BlobTransfer, bytes: u64) {
        *match transfer {
            BlobTransfer::Skipped => &mut self.skipped,
            BlobTransfer::Mounted => &mut self.mounted,
            BlobTransfer::Pushed => &mut self.pushed,
        } += bytes;
    }
}

/// How a blob got to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlobTransfer {
    Skipped,
    Mounted,
    Pushed,
}

impl BlobTransfer {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Skipped => "is there",
            Self::Mounted => "mounted",
            Self::Pushed => "pushed",
        }
    }
}

pub(super) fn outcomes(
    targets: &[Target],
    results: Vec<Result<Delivered>>,
    started: Instant,
) -> Vec<Outcome> {
    targets
        .iter()
        .zip(results)
        .map(|(target, result)| Outcome {
            name: target.name.clone(),
            result: result
                .map_err(|error| error.naming(&target.name))
                .map(|mut done| {
                    done.took = done.took.min(started.elapsed());
                    done
                }),
        })
        .collect()
}

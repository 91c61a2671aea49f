//! Pushing an image from its source to any number of repositories.
//!
//! Each target is brought to the same end for itself: a failing one names itself and the others finish, and a second run
//! sends only what is missing. No tag is put before everything it leads to was read back.

mod archive;
mod attach;
mod copy;
mod deliver;
mod earlier;
#[cfg(test)]
mod faults;
mod layer;
mod layout;
mod manifests;
mod progress;
mod slow;
mod streamed;
mod target;
mod tree;

pub(crate) use attach::attach;
pub(crate) use copy::{copy, needed, platforms, retag, tag};
pub(crate) use layout::{check, digest};
pub(crate) use manifests::put_tag;
pub(crate) use progress::size;
pub(crate) use target::{Counts, Delivered, Outcome, Target};

use crate::blob::Compression;
use crate::source::Source;
use kit::host::Host;
use kit::{Error, Result};
use std::sync::Arc;
use std::time::Instant;
use target::outcomes;

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

/// Why not all arrived.
pub(crate) fn failure(mut outcomes: Vec<Outcome>, failed: Vec<Outcome>) -> Error {
    outcomes.extend(failed);
    match all(outcomes) {
        Err(error) => error,
        Ok(_) => Error::failed("the image was pushed to no repository"),
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
                    Some(first) => first.with_second_failure(error),
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

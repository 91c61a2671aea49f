//! Slow targets: one reading serves all targets at the pace of the slowest. A target that accepts nothing for a while is left
//! behind, and gets a reading of its own.

use super::target::Target;
use crate::registry::{Fault, Kind};
use kit::Error;
use tokio::sync::watch;

/// The targets of one reading that were left behind.
pub(super) struct Slow(Vec<watch::Sender<bool>>);

impl Slow {
    pub(super) fn none(targets: usize) -> Self {
        Self((0..targets).map(|_| watch::Sender::new(false)).collect())
    }

    /// Leaves a target behind.
    pub(super) fn leave(&self, target: usize) {
        self.0[target].send_replace(true);
    }

    /// Does `work` for a target, unless that is left behind before.
    pub(super) async fn unless_left<T>(
        &self,
        index: usize,
        target: &Target,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut left_behind = self.0[index].subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as this does.
            _left = left_behind.wait_for(|left_behind| *left_behind) => Err(behind(target)),
            done = work => done,
        }
    }
}

fn behind(target: &Target) -> Fault {
    let seconds = target.repo.client.stall().as_secs() / 2;
    let error = Error::failed(format!(
        "{} accepted no data for {seconds} s, and the push went on without it",
        target.name()
    ))
    .hint("check the network between here and that registry; run the step again: blobs that arrived are not sent again");
    Fault::new(Kind::Passing, error)
}

//! How a hold ends: a state that the command could not write is rescued, and the lock goes back or
//! stays.

use super::holding::{Holding, Stage};
use super::opened::{expired, open};
use super::{handover, repair};
use crate::lease::Phase;
use crate::lock::{Changed, Held, Release};
use crate::rescue::{self, Origin};
use crate::shim;
use kit::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a hold is kept that says nothing else, as with `--max`.
const KEPT: Duration = Duration::from_secs(6 * 3600);

impl Holding<'_> {
    /// Gives the lock back after a failure, and says what became of it. While a command may be at work the lock stays: nobody
    /// is to come in until its lease has ended, which ends the command.
    pub(super) async fn release_after_failure(&mut self, error: Error, well: bool) -> Error {
        if self.stage == Stage::AtWork {
            let length = kit::clock::human(self.record.lease.length());
            return error.cause(format!(
                "the command may still be running, so the lock {} is kept until its lease of {length} ends",
                self.opened.lock.id
            ));
        }
        match self.release_or_keep(well).await {
            Ok(()) if self.record.lease.phase.is_broken() => {
                error.cause("the lock stays until its state is repaired")
            }
            Ok(()) => error.cause("the lock was released"),
            Err(mut back) => {
                let hints = std::mem::take(&mut back.hints);
                hints
                    .into_iter()
                    .fold(error.with_second_failure(back), Error::hint)
            }
        }
    }

    /// Gives the lock back, or to where it was; with new credentials where the old ones have ended.
    /// `well`: the command did what it was to do.
    pub(super) async fn release_or_keep(&mut self, well: bool) -> Result<()> {
        if self.adopted {
            let phase = if self.record.lease.phase.is_broken() && !well {
                Phase::NeedsRepair
            } else {
                Phase::Kept
            };
            return self.put(phase, None).await;
        }
        let mut released = self.opened.lock.release(&self.record).await;
        if released.as_ref().is_err_and(expired) {
            self.opened = open(self.located, self.opened.hold, self.cx).await?;
            released = self.opened.lock.release(&self.record).await;
        }
        let lock = &self.opened.lock;
        match released {
            Ok(Release::Released) => Ok(()),
            Ok(Release::Absent) => Err(self.lost(None)),
            Ok(Release::NotOurs(held)) => Err(self.lost(Some(&held))),
            Err(error) => Err(error
                .under(format!(
                    "the lock {} with ID {} could not be released",
                    lock.id, self.record.info.id
                ))
                .hint(format!(
                    "release it: {}",
                    lock.command(&format!("force-unlock --lock-id {}", self.record.info.id))
                ))),
        }
    }

    /// Writes another phase of the hold.
    pub(super) async fn put(&mut self, phase: Phase, rescued: Option<String>) -> Result<()> {
        let mut record = self.record.clone();
        record.lease = record.lease.renewed();
        record.lease.phase = phase;
        record.lease.add_rescued(rescued.as_ref());
        if phase == Phase::Kept {
            record.lease.rescued = None;
            // Nobody renews it from here on, and at a terminal no run's end is proof.
            let end = record.lease.until;
            record.lease.until = end.or_else(|| handover::until(KEPT, self.cx));
        }
        let mut changed = self.renew(&record).await?;
        // A renewal whose answer never came.
        if let Changed::Moved(Some(held)) = &changed
            && held.id() == record.info.id
        {
            changed = self.opened.lock.replace(held, &record).await?;
        }
        match changed {
            Changed::Done => {
                self.record = record;
                Ok(())
            }
            Changed::Moved(held) => Err(self.lost(held.as_ref())),
        }
    }

    /// The folder of a call in which Terraform could not have left a state.
    pub(super) fn unkept(&self) -> Option<PathBuf> {
        let mut worked = self.worked.iter();
        worked
            .find(|(folder, worked)| worked.creates && !rescue::can_be_left(folder))
            .map(|(folder, _)| folder.clone())
    }

    /// The command failed, and a state that it could not write would be nowhere but in its log: the
    /// lock stays, since that cannot be seen.
    pub(super) async fn unwritten(&mut self, verdict: Error, folder: &Path) -> Error {
        self.stage = Stage::Broken;
        let error = verdict
            .cause(format!(
                "Terraform can leave no errored.tfstate in {}: a state that it could not write would be lost",
                folder.display()
            ))
            .hint(rescue::IN_THE_LOG);
        self.mark(error, None).await
    }

    /// The command could not write its state: that is kept, and so is the lock, since whatever runs
    /// next would not know of what was created.
    pub(super) async fn rescue(&mut self, verdict: Error, files: &[PathBuf]) -> Error {
        self.stage = Stage::Broken;
        let backend = &self.located.backend;
        let id = self.record.info.id.clone();
        let files: Vec<Origin> = files.iter().map(|file| self.origin(file)).collect();
        let keep = |s3: aws_sdk_s3::Client| {
            let (files, id) = (&files, id.clone());
            async move { rescue::keep(&s3, backend, &id, files).await }
        };
        let mut kept = keep(self.opened.s3.clone()).await;
        if kept.is_err() {
            // Its credentials may be the very reason why the state was not written.
            if let Ok(opened) = open(self.located, self.opened.hold, self.cx).await {
                self.opened = opened;
                kept = keep(self.opened.s3.clone()).await;
            }
        }
        let mut error = verdict;
        for file in &files {
            error = error.cause(file.to_string());
        }
        let (error, place) = match kept {
            Ok(places) => {
                let places = places.join(", ");
                let error = match files.iter().all(|file| file.whole) {
                    true => error.cause(format!("rescued to {places}")),
                    false => error
                        .cause(format!("saved only a part of the state, at {places}"))
                        .hint(rescue::IN_THE_LOG),
                };
                (error, Some(places))
            }
            Err(lost) => (
                error
                    .cause(lost.line())
                    .hint("copy that file to a safe place before this machine is deleted"),
                None,
            ),
        };
        self.mark(error, place).await
    }

    /// Marks the lock as one whose state needs a repair; it was rescued to `place`.
    async fn mark(&mut self, error: Error, place: Option<String>) -> Error {
        let id = self.record.info.id.clone();
        let marked = self.put(Phase::NeedsRepair, place.clone()).await;
        let lock = &self.opened.lock;
        match marked {
            Ok(()) => error
                .cause(format!(
                    "the lock {} with ID {id} is kept, so that nothing else runs until the state is restored",
                    lock.id
                ))
                .hint(repair::repair(lock, &id, self.record.lease.rescued.as_deref())),
            Err(unmarked) => error.with_second_failure(unmarked)
            .hint(format!(
                "keep other runs away until the state is restored: the lock {} could not be kept, and expires after {} unless another run already has it",
                lock.id,
                kit::clock::human(self.record.lease.length())
            ))
            .hint(repair::repair(lock, &id, place.as_deref())),
        }
    }

    /// The state that a file was to become.
    fn origin(&self, file: &Path) -> Origin {
        let folder = file.parent().unwrap_or(Path::new("."));
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let state = match self.worked.get(&folder) {
            Some(worked) => worked.state.clone(),
            None => shim::state_in(&folder, self.located.backend.workspace.as_deref()),
        };
        Origin::new(file, state)
    }

    /// Somebody removed the lock while the command ran: two may have changed the state at once.
    pub(super) fn lost(&self, found: Option<&Held>) -> Error {
        let error = Error::failed(format!(
            "the lock {} was removed while the command ran",
            self.opened.lock.id
        ));
        match found {
            Some(held) => error.cause(format!("held by {held}")),
            None => error.cause(format!(
                "nobody holds it now: lock ID {} was removed with force-unlock",
                self.record.info.id
            )),
        }
        .hint("compare the state with what was planned before the next apply: terraform plan")
    }
}

//! The end of a hold: a state that the command could not write is rescued, and the lock is released or kept.

use super::held_lock::{HeldLock, Stage};
use super::opened::{expired, open};
use super::{handover, repair};
use crate::lease::Phase;
use crate::lock::{Changed, Held, Release};
use crate::rescue::{self, Copies, Origin};
use crate::shim;
use kit::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a hold is kept that says nothing else, as with `--max`.
const KEPT: Duration = Duration::from_secs(6 * 3600);

impl HeldLock<'_> {
    /// Releases the lock after a failure, and adds the outcome to the error. While a command may be running the lock is
    /// kept: no other run may acquire it until its lease has ended, which ends the command.
    pub(super) async fn release_after_failure(&mut self, error: Error, succeeded: bool) -> Error {
        if self.stage == Stage::AtWork {
            let length = kit::clock::human(self.record.lease.length());
            return error.cause(format!(
                "the command may still be running, so the lock {} is kept until its lease of {length} ends",
                self.opened.lock.id
            ));
        }
        match self.release_or_keep(succeeded).await {
            Ok(()) if self.record.lease.phase.is_broken() => {
                error.cause("the lock stays until its state is repaired")
            }
            Ok(()) => error.cause("the lock was released"),
            Err(mut release_error) => {
                let hints = std::mem::take(&mut release_error.hints);
                hints
                    .into_iter()
                    .fold(error.with_second_failure(release_error), Error::hint)
            }
        }
    }

    /// Releases the lock, or keeps it if it was adopted; with new credentials if the old ones have expired. `succeeded`:
    /// the command was successful.
    pub(super) async fn release_or_keep(&mut self, succeeded: bool) -> Result<()> {
        if self.adopted {
            let phase = if self.record.lease.phase.is_broken() && !succeeded {
                Phase::NeedsRepair
            } else {
                Phase::Kept
            };
            return self.put(phase, Copies::default()).await;
        }
        let mut released = self.opened.lock.release(&self.record).await;
        if released.as_ref().is_err_and(expired) {
            self.opened = open(self.located, self.opened.hold, self.cx).await?;
            released = self.opened.lock.release(&self.record).await;
        }
        let lock = &self.opened.lock;
        match released {
            Ok(Release::Released) => Ok(()),
            Ok(Release::Absent) => Err(self.lock_lost(None)),
            Ok(Release::NotOurs(held)) => Err(self.lock_lost(Some(&held))),
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
    pub(super) async fn put(&mut self, phase: Phase, rescued: Copies) -> Result<()> {
        let mut record = self.record.clone();
        record.lease = record.lease.renewed();
        record.lease.phase = phase;
        record.lease.rescued.add(rescued);
        if phase == Phase::Kept {
            record.lease.rescued = Copies::default();
            // From here on the lock is not renewed, and at a terminal there is no run whose end would be proof.
            let end = record.lease.until;
            record.lease.until = end.or_else(|| handover::hold_end(KEPT, self.cx));
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
            Changed::Moved(held) => Err(self.lock_lost(held.as_ref())),
        }
    }

    /// The folder of a call in which Terraform could not have left a state.
    pub(super) fn unwritable_folder(&self) -> Option<PathBuf> {
        let mut worked = self.calls.worked.iter();
        worked
            .find(|(folder, worked)| worked.creates && !rescue::can_write_state(folder))
            .map(|(folder, _)| folder.clone())
    }

    /// Keeps the lock after a command that failed and could leave no state file: whether it had a state that it could not
    /// write is unknown, because such a state would be in its log only.
    pub(super) async fn keep_for_unwritten_state(
        &mut self,
        verdict: Error,
        folder: &Path,
    ) -> Error {
        self.stage = Stage::Broken;
        let error = verdict
            .cause(format!(
                "Terraform can leave no errored.tfstate in {}: a state that it could not write would be lost",
                folder.display()
            ))
            .hint(rescue::IN_THE_LOG);
        self.mark_needs_repair(error, Copies::default()).await
    }

    /// Rescues a state that the command could not write, and keeps the lock, because the next command would not know what
    /// was created.
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
        let (error, copies) = match kept {
            Ok(copies) => {
                let error = match files.iter().all(|file| file.complete) {
                    true => error.cause(format!("rescued to {copies}")),
                    false => error
                        .cause(format!("saved only a part of the state, at {copies}"))
                        .hint(rescue::IN_THE_LOG),
                };
                (error, copies)
            }
            Err(lost) => (
                error
                    .cause(lost.line())
                    .hint("copy that file to a safe place before this machine is deleted"),
                Copies::default(),
            ),
        };
        self.mark_needs_repair(error, copies).await
    }

    /// Marks the lock as one whose state needs repair and has these copies.
    async fn mark_needs_repair(&mut self, error: Error, copies: Copies) -> Error {
        let id = self.record.info.id.clone();
        let marked = self.put(Phase::NeedsRepair, copies.clone()).await;
        let lock = &self.opened.lock;
        match marked {
            Ok(()) => error
                .cause(format!(
                    "the lock {} with ID {id} is kept, so that nothing else runs until the state is restored",
                    lock.id
                ))
                .hint(repair::repair(lock, &id, &self.record.lease.rescued)),
            Err(unmarked) => error.with_second_failure(unmarked)
            .hint(format!(
                "keep other runs away until the state is restored: the lock {} could not be kept, and expires after {} unless another run already has it",
                lock.id,
                kit::clock::human(self.record.lease.length())
            ))
            .hint(repair::repair(lock, &id, &copies)),
        }
    }

    /// The state that a file was to become.
    fn origin(&self, file: &Path) -> Origin {
        let folder = file.parent().unwrap_or(Path::new("."));
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let state = match self.calls.worked.get(&folder) {
            Some(worked) => worked.state.clone(),
            None => shim::state_in(&folder, self.located.backend.workspace.as_deref()),
        };
        Origin::new(file, state)
    }

    /// The error for a lock that was removed while the command ran: two runs may have changed the state at once.
    pub(super) fn lock_lost(&self, found: Option<&Held>) -> Error {
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

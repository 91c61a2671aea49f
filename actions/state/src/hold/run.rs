//! The lock around a command: taken or adopted, kept while the command runs, and released,
//! unless the command left a state that it could not write.

use super::held_lock::{Ended, Ending, HeldLock};
use super::opened::{Opened, open};
use super::{handover, take};
use crate::args::{Adopt, Wait};
use crate::backend::Hold;
use crate::dependencies::Notes;
use crate::folder::Folder;
use crate::history::explained;
use crate::lease::Phase;
use crate::locate::LocatedState;
use crate::lock::{Held, Location};
use crate::note;
use crate::object::Objects;
use crate::report;
use kit::child::{self, Program};
use kit::clock::uptime;
use kit::error::{Error, Result};
use kit::id::CommitId;
use kit::report::Report;
use kit::signal::unless_interrupted;
use kit::step::Cx;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The hint about a command that failed without a call to this step.
const AROUND: &str = "no call of terraform or tofu came to this step. A call by its full path, or through a folder that was put before the step's on PATH, waits for the very lock that this run holds: call the tool by its name, and append folders to PATH";

/// How often the lease is renewed before a command starts, where the answers are late.
const RENEWALS: u32 = 4;

/// A command to run under the lock, with its options.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) command: &'a [String],
    pub(crate) directory: Option<PathBuf>,
    pub(crate) override_backend: bool,
    pub(crate) wait: &'a Wait,
    pub(crate) hold: Option<Hold>,
    pub(crate) adopt: &'a Adopt,
    pub(crate) budget: Option<Duration>,
    pub(crate) base: Option<&'a CommitId>,
}

/// The verb `run`.
pub(crate) async fn run(located: &LocatedState, job: Job<'_>, cx: &Cx) -> Result<Report> {
    let directory = job
        .directory
        .clone()
        .or_else(|| located.directory.clone())
        .unwrap_or_else(|| PathBuf::from("."));
    if !directory.is_dir() {
        return Err(
            Error::usage(format!("`{}` is not a folder", directory.display()))
                .hint("give --directory DIR, or set `state.directory` in the contract"),
        );
    }
    let hold = job.hold.unwrap_or(Hold::Native);
    let data_dir = cx.env.get("TF_DATA_DIR").unwrap_or(".terraform");
    let mut located = located.clone();
    located.overrides = job.override_backend;
    // A command that locks for itself may do so wherever it likes.
    if hold == Hold::Native {
        located = located.agreed(&directory, cx)?;
    }
    let located = &located;
    let folder = match hold {
        Hold::Native => Some(Folder::before(&directory, data_dir, &located.backend)?),
        Hold::Beside => None,
    };
    let program = || located.program(job.command, &directory, cx);
    // A mistake in the command is found before anything is locked.
    program()?;
    let notes = Notes::of(located, &directory, job.base, cx)?;

    let mut held_lock = acquire(located, &job, hold, cx).await?;
    held_lock.free = true;
    let ended = match held_lock.ensure_credentials_last(job.budget).await {
        Ok(()) => {
            let program = held_lock.opened.access.account.add_credentials(program()?);
            held_lock.command(program).await
        }
        Err(error) => Err(error),
    };
    let program = program()?;
    let shown = program.shown();
    if let Err(error) = held_lock.conclude(shown, ended, folder.as_ref()).await {
        // A command that never called the tool did not fail at the state.
        return Err(match hold == Hold::Native && held_lock.calls.any {
            true => held_lock.explained(error).await,
            false => error,
        });
    }
    if let Some(folder) = folder {
        folder.after()?;
    }
    Ok(report::ran(
        shown,
        &held_lock.opened.lock,
        &held_lock.record,
        held_lock.adopted,
        &notes,
    ))
}

/// Takes the lock for a command, or adopts that of an earlier step.
async fn acquire<'a>(
    located: &'a LocatedState,
    job: &Job<'_>,
    hold: Hold,
    cx: &'a Cx,
) -> Result<HeldLock<'a>> {
    let length = job.wait.lease;
    if job.adopt.which.lock_id.is_none() {
        let opened = unless_interrupted(open(located, hold, cx)).await?;
        refuse_short_credentials(&opened, job.budget, cx)?;
        let record = take::record(&opened, "run", Phase::Running, length, cx);
        let since = take::take(&opened, &record, job.wait, located, cx).await?;
        return Ok(HeldLock::new(opened, record, since, located, cx));
    }
    let (opened, held) = unless_interrupted(handover::find(located, job.adopt, cx)).await?;
    require_hold(&opened, job.hold)?;
    require_both_halves(&opened, &held).await?;
    refuse_short_credentials(&opened, job.budget, cx)?;
    let record = handover::adopt(&opened, &held, Phase::Running, None, length, cx).await?;
    note::remember(located, &record.info.id, opened.hold, None, cx)?;
    let since = uptime();
    handover::put(&opened.lock, &held, &record).await?;
    cx.host.info(format!("adopted {}", opened.lock.id));
    Ok(HeldLock {
        adopted: true,
        ..HeldLock::new(opened, record, since, located, cx)
    })
}

/// Refuses a lock of an earlier step that is not of the requested kind.
fn require_hold(opened: &Opened, wanted: Option<Hold>) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != opened.hold => Err(Error::refused(format!(
            "the lock {} was taken as `{}`, and --hold says `{}`",
            opened.lock.id,
            opened.hold.name(),
            wanted.name()
        ))
        .hint("leave --hold out")),
        _ => Ok(()),
    }
}

/// Refuses a lock of an earlier step that is in the table only, if the code also locks in the file: a run that locks
/// in the file would not see it.
async fn require_both_halves(opened: &Opened, held: &Held) -> Result<()> {
    if !matches!(opened.lock.location, Location::Both { .. }) {
        return Ok(());
    }
    let places = opened.lock.places().await?;
    let there = |half: &Option<Held>| half.as_ref().is_some_and(|half| half.id() == held.id());
    if there(&places.item) && there(&places.object) {
        return Ok(());
    }
    let half = match there(&places.item) {
        true => "the lock table",
        false => "the lock file",
    };
    Err(Error::refused(format!(
        "the lock {} with ID {} is in {half} alone, and this state is locked in table and file",
        opened.lock.id,
        held.id()
    ))
    .hint("release it with `unlock`, then acquire it with `lock --locking both`"))
}

/// Refuses credentials that end before the command has had its time: what it creates after that
/// would be in no state.
fn refuse_short_credentials(opened: &Opened, budget: Option<Duration>, cx: &Cx) -> Result<()> {
    let Some(budget) = budget else {
        return Ok(());
    };
    let shown = kit::clock::human(budget);
    let Some(end) = opened.access.account.credentials.expiry() else {
        return Err(Error::refused(format!(
            "it is unknown whether these credentials last for {shown}"
        ))
        .hint("give --role or --environment: the step then opens the session itself and knows when it expires")
        .hint("or leave --budget out"));
    };
    let now = SystemTime::from(cx.clock.now());
    let remaining = end.duration_since(now).unwrap_or_default();
    if remaining < budget {
        return Err(Error::refused(format!(
            "these credentials end in {}, before the command has had its {shown}",
            kit::clock::human(remaining)
        ))
        .hint("raise the role's maximum session duration, or split the command"));
    }
    Ok(())
}

impl HeldLock<'_> {
    /// Runs a command with its streams untouched, the lease kept alive meanwhile.
    async fn command(&mut self, program: Program) -> Result<Ended> {
        // The command gets most of a lease, however long it took to get here. A renewal whose answer was late is
        // repeated, since its lease counts from before it was sent.
        for _ in 0..RENEWALS {
            if uptime().saturating_sub(self.since) < self.record.lease.length() / 4 {
                break;
            }
            self.renew_lease().await?;
        }
        let (program, watchers) = self.begin(program)?;
        let (running, watchers) =
            watchers.unless_failed(program.start(&self.cx.host), &self.cx.host)?;
        self.until_ended(running, watchers).await
    }

    /// Renews credentials that do not last for `budget` after the wait for the lock, and refuses new ones that do not either.
    async fn ensure_credentials_last(&mut self, budget: Option<Duration>) -> Result<()> {
        if refuse_short_credentials(&self.opened, budget, self.cx).is_err() {
            self.opened = open(self.located, self.opened.hold, self.cx).await?;
        }
        refuse_short_credentials(&self.opened, budget, self.cx)
    }

    /// The error with what the tool refused the state for.
    async fn explained(&self, error: Error) -> Error {
        let objects = Objects::of(self.located, &self.opened.access.state, self.cx);
        explained(error, &objects, &self.opened.lock).await
    }

    /// How a command ended; refused if the gate forbade one of its calls, whatever the command made of that.
    fn allowed(&self, shown: &str, verdict: Result<()>) -> Result<()> {
        let Some(forbidden) = &self.calls.forbidden else {
            return verdict;
        };
        let error = Error::refused(format!(
            "`{shown}` tried to change what only a permitted plan may change"
        ))
        .cause(forbidden.why.clone())
        .hint(forbidden.hint.clone());
        Err(match verdict {
            Ok(()) => error.cause(format!(
                "`{shown}` ignored the refusal and ended as if it had succeeded"
            )),
            Err(_) => error,
        })
    }

    /// Releases the lock after a command, or returns why it stays and what went wrong.
    async fn conclude(
        &mut self,
        shown: &str,
        ended: Result<Ended>,
        folder: Option<&Folder<'_>>,
    ) -> Result<()> {
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => return Err(self.release_after_failure(error, false).await),
        };
        let verdict = self.allowed(shown, child::verdict(shown, ended.status));
        let errored_states = self.errored_states();
        if !errored_states.is_empty() {
            let verdict = verdict
                .err()
                .unwrap_or_else(|| Error::failed(format!("`{shown}` left a state behind")));
            return Err(self.rescue(verdict, &errored_states).await);
        }
        let verdict = match (verdict, self.unwritable_folder()) {
            (Err(error), Some(unwritable)) => {
                return Err(self.keep_for_unwritten_state(error, &unwritable).await);
            }
            (verdict, _) => verdict,
        };
        if let Ending::LockLost(found) = &ended.ending {
            let lost = self.lock_lost(found.as_ref());
            return Err(match verdict {
                Ok(()) => lost,
                Err(mut error) => {
                    error.hints = Vec::new();
                    let hints = lost.hints.clone();
                    hints
                        .into_iter()
                        .fold(error.with_second_failure(lost), Error::hint)
                }
            });
        }
        let error = match (verdict, self.calls.lockfiles.take()) {
            (Ok(()), None) => return self.release_or_keep(true).await,
            (Ok(()), Some(moved)) => return Err(self.release_after_failure(moved, true).await),
            (Err(error), _) => error,
        };
        let error = match folder {
            Some(folder) if !self.calls.any && folder.has_backend() => error.hint(AROUND),
            _ => error,
        };
        let error = match ended.ending {
            Ending::NotRenewed => {
                error.cause("it was stopped, because the lock could not be renewed in time")
            }
            Ending::Interrupted => error.cause("it was interrupted"),
            Ending::Exited | Ending::LockLost(_) => error,
        };
        Err(self.release_after_failure(error, false).await)
    }
}

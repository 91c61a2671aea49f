//! Begins a deployment under a permit: reads the chain, and puts on record that the permit is used.

use super::{Attempt, Reason, Usable, in_force, overtaken, recorded, require_deployment, usable};
use crate::chain::Chain;
use crate::contention::{attempts, busy};
use crate::entry::Entry;
use crate::entry::Recorded;
use crate::record::{Actor, Record, Verdict};
use crate::store::{Append, LOOK_BACK, Ledger};
use kit::clock::rfc3339;
use kit::error::Result;
use time::OffsetDateTime;

/// A deployment that has begun on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The permit's record.
    pub permit: Recorded,
    /// The number of the `started` record.
    pub record: u64,
}

impl Ledger {
    /// The head, and the records since the newest deployment, newest first and with that one.
    ///
    /// # Errors
    /// As [`Ledger::recent`], and [`require_deployment`].
    pub async fn since_deployment(&self, chain: &Chain) -> Result<(Option<Entry>, Vec<Recorded>)> {
        let last = |entry: &Entry| {
            let record = entry.record(chain);
            record.is_ok_and(|record| record.is_deployment())
        };
        let any = |read: &[Entry]| read.iter().any(last);
        let entries = self.newest(chain, LOOK_BACK, any).await?;
        let head = entries.first().cloned();
        let records: Result<Vec<Recorded>> = entries
            .into_iter()
            .map(|entry| self.recorded(chain, entry))
            .collect();
        let records = records?;
        require_deployment(chain, &records)?;
        Ok((head, records))
    }

    /// Checks that the deployment may begin or go on by AWS's clock, or that this same run recorded it before. Writes nothing.
    ///
    /// # Errors
    /// It may not (exit 3), or that cannot be read.
    pub async fn usable(&self, chain: &Chain, attempt: &Attempt<'_>) -> Result<Usable> {
        let (_, records) = self.since_deployment(chain).await?;
        if let Some(record) = recorded(&records, attempt) {
            let number = record.seq;
            let is_permit = |record: &Record| record.seq == attempt.permit;
            let permit = self.recent(chain, LOOK_BACK, is_permit).await?;
            let permit = permit.into_iter().find(|it| is_permit(&it.record));
            if let Some(permit) = permit {
                return Ok(Usable {
                    permit,
                    started: None,
                    began: None,
                    over: false,
                    recorded: Some(number),
                });
            }
        }
        usable(&records, attempt, self.account.time()?)
            .map_err(|reason| reason.refusal(chain, attempt))
    }

    /// The record that overtook the deployment that began with record `started`, if there is one.
    ///
    /// # Errors
    /// As [`Ledger::since_deployment`].
    pub async fn overtaken(&self, chain: &Chain, started: u64) -> Result<Option<Record>> {
        let (_, records) = self.since_deployment(chain).await?;
        Ok(overtaken(&records, started).cloned())
    }

    /// Records that the deployment or a task before it begins, which uses the permit up, and the revision of the task definition that it is
    /// to run. A deployment that this same run began before goes on: without another record in the same attempt, and in a
    /// later one with a record of its own, so that the earlier one sees that it is over. Its time is AWS's.
    ///
    /// # Errors
    /// The deployment may not begin (exit 3), or the chain cannot be read or written.
    pub async fn start(
        &self,
        chain: &Chain,
        attempt: &Attempt<'_>,
        actor: &Actor,
        revision: &str,
    ) -> Result<Started> {
        for wait in attempts() {
            tokio::time::sleep(wait).await;
            let (head, records) = self.since_deployment(chain).await?;
            // Right after AWS answered.
            let now = self.account.time()?;
            let Usable {
                permit,
                started,
                began,
                over,
                ..
            } = usable(&records, attempt, now).map_err(|reason| reason.refusal(chain, attempt))?;
            if over {
                return Err(Reason::Over(began.unwrap_or_default()).refusal(chain, attempt));
            }
            let begins = begins(started.as_ref(), attempt, revision)
                .map_err(|reason| reason.refusal(chain, attempt))?;
            match begins {
                Begins::On(record) => return Ok(Started { permit, record }),
                // A deployment that began in time goes on, even after its permit expired: `over` says for how long.
                Begins::Again => {}
                Begins::Anew => in_force(&records, &permit.record, now)
                    .map_err(|reason| reason.refusal(chain, attempt))?,
            }
            let record = Record {
                task_definition: Some(revision.to_owned()),
                ..record(&permit.record, attempt, actor, now)
            };
            if let Append::Done(entry) = self.append(chain, head.as_ref(), record).await? {
                return Ok(Started {
                    permit,
                    record: entry.seq,
                });
            }
        }
        Err(busy(chain, "nothing was deployed"))
    }
}

/// How a deployment begins that may begin or go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// This attempt has begun it with the record of this number.
    On(u64),
    /// An earlier attempt of the run began it with the same revision.
    Again,
    /// Nobody began it, or with another command, or an earlier attempt did with another revision.
    Anew,
}

/// How the deployment of this revision begins, by the record with which this same run began one before.
///
/// # Errors
/// This same attempt began another revision: it is another job of it that deploys.
pub(super) fn begins(
    started: Option<&Recorded>,
    attempt: &Attempt<'_>,
    revision: &str,
) -> Result<Begins, Reason> {
    let Some(Recorded { record, .. }) = started else {
        return Ok(Begins::Anew);
    };
    let same_revision = record.task_definition.as_deref() == Some(revision);
    // Each command of a run is on record once.
    let same_command = record.command.as_deref() == attempt.command();
    match (record.run.as_deref() == attempt.run, same_revision) {
        (true, true) if same_command => Ok(Begins::On(record.seq)),
        (true, false) => Err(Reason::Started(Box::new(record.clone()))),
        (false, true) if same_command => Ok(Begins::Again),
        (true | false, true) | (false, false) => Ok(Begins::Anew),
    }
}

/// The record that a deployment begins under a permit.
pub(super) fn record(
    permit: &Record,
    attempt: &Attempt<'_>,
    actor: &Actor,
    now: OffsetDateTime,
) -> Record {
    Record {
        at: rfc3339(now),
        verdict: Verdict::Started,
        actor: actor.clone(),
        run: attempt.run.map(str::to_owned),
        task_definition: None,
        break_glass: None,
        reason: None,
        request: None,
        answers: None,
        permit: None,
        under: Some(attempt.permit),
        command: attempt.command().map(str::to_owned),
        ..permit.clone()
    }
}

//! Begins a deployment under a permit: reads the chain, and puts on record that the permit is used.

use super::{Attempt, Usable, usable};
use crate::chain::Chain;
use crate::contention::{attempts, busy};
use crate::entry::Entry;
use crate::record::{Actor, Record, Verdict};
use crate::store::{Append, Ledger, Recorded};
use kit::clock::{Clock, rfc3339};
use kit::error::Result;
use time::OffsetDateTime;

/// How many of a chain's newest records are searched for the newest deployment.
const LOOK_BACK: usize = 1000;

/// A deployment that has begun on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The permit's record.
    pub permit: Recorded,
    /// The number of the `started` record.
    pub record: u64,
    /// Whether this same run began it before.
    pub resumed: bool,
}

impl Ledger {
    /// The head, and the records since the newest deployment, newest first and with that one.
    ///
    /// # Errors
    /// As [`Ledger::recent`].
    pub async fn since_deployment(&self, chain: &Chain) -> Result<(Option<Entry>, Vec<Recorded>)> {
        let last = |entry: &Entry| {
            let record = entry.record(chain);
            record.is_ok_and(|record| record.is_deployment())
        };
        let entries = self.newest(chain, LOOK_BACK, last).await?;
        let head = entries.first().cloned();
        let records: Result<Vec<Recorded>> = entries
            .into_iter()
            .map(|entry| self.recorded(chain, entry))
            .collect();
        Ok((head, records?))
    }

    /// Whether the deployment may begin. Writes nothing.
    ///
    /// # Errors
    /// It may not (exit 3), or that cannot be read.
    pub async fn usable(
        &self,
        chain: &Chain,
        attempt: &Attempt<'_>,
        clock: Clock,
    ) -> Result<Usable> {
        let (_, records) = self.since_deployment(chain).await?;
        usable(&records, attempt, clock.now()).map_err(|reason| reason.refusal(chain, attempt))
    }

    /// Puts on record that the deployment begins, which uses the permit up, and which revision of the
    /// task definition it is to run. What this same run began before goes on without another record.
    ///
    /// # Errors
    /// It may not begin (exit 3), or that cannot be read or written.
    pub async fn start(
        &self,
        chain: &Chain,
        attempt: &Attempt<'_>,
        actor: &Actor,
        revision: &str,
        clock: Clock,
    ) -> Result<Started> {
        for wait in attempts() {
            tokio::time::sleep(wait).await;
            let (head, records) = self.since_deployment(chain).await?;
            let now = clock.now();
            let Usable { permit, started } =
                usable(&records, attempt, now).map_err(|reason| reason.refusal(chain, attempt))?;
            if let Some(started) = started {
                return Ok(Started {
                    permit,
                    record: started.record.seq,
                    resumed: true,
                });
            }
            let record = Record {
                task_definition: Some(revision.to_owned()),
                ..record(&permit.record, attempt, actor, now)
            };
            if let Append::Done(entry) = self.append(chain, head.as_ref(), record).await? {
                return Ok(Started {
                    permit,
                    record: entry.seq,
                    resumed: false,
                });
            }
        }
        Err(busy(chain, "nothing was deployed"))
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
        rollback: None,
        break_glass: None,
        reason: None,
        request: None,
        answers: None,
        permit: None,
        under: Some(attempt.permit),
        ..permit.clone()
    }
}

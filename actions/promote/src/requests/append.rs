//! Appends a request or an answer to an environment's chain.

use crate::environment_history::EnvironmentHistory;
use crate::record::healthy_until_now;
use kit::error::{Error, Result};
use ledger::{Append, Chain, Ledger, Record, Recorded};

/// The action that the chain's records call for.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing: this run, or another one, has written it.
    Already(Box<Recorded>),
    Write(Box<Record>),
}

/// The record in the chain after this run.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) recorded: Recorded,
    pub(crate) already: bool,
    /// The records with it.
    pub(crate) history: EnvironmentHistory,
}

/// Decides, and appends what is to be written. If another run appends first, it decides anew.
///
/// # Errors
/// `next` refuses, or the chain cannot be read or written.
pub(crate) async fn append(
    ledger: &Ledger,
    chain: &Chain,
    dry_run: bool,
    next: impl Fn(&EnvironmentHistory) -> Result<Next>,
) -> Result<Written> {
    for wait in ledger::attempts() {
        tokio::time::sleep(wait).await;
        // The append succeeds only if this is still the head, so nothing escapes the decision.
        let head = ledger.head(chain).await?;
        let history = EnvironmentHistory::read(ledger, chain).await?;
        let mut record = match next(&history)? {
            Next::Already(recorded) => {
                return Ok(Written {
                    recorded: *recorded,
                    already: true,
                    history,
                });
            }
            Next::Write(record) => *record,
        };
        if let Some(entry) = &head {
            let before = entry.record(chain).map_err(|fault| {
                Error::refused(format!("the ledger is broken in {chain}: {fault}"))
            })?;
            record.previous = healthy_until_now(&before);
            record.seq = before.seq + 1;
        } else {
            record.seq = 1;
        }
        let hash = match dry_run {
            true => String::new(),
            false => match ledger.append(chain, head.as_ref(), record.clone()).await? {
                Append::Done(entry) => entry.hash,
                Append::Conflict(_) => continue,
            },
        };
        let recorded = Recorded { hash, record };
        return Ok(Written {
            history: history.with(recorded.clone()),
            recorded,
            already: false,
        });
    }
    Err(ledger::busy(chain, "nothing was recorded"))
}

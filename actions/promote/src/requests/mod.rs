//! The requests for approval in an environment's chain: what was asked, who answered, and what still
//! counts. Pure.

mod append;
mod approvers;
mod binding;
mod state;
mod tally;
mod waiting;

pub(crate) use append::{Next, append};
pub(crate) use approvers::{Approvers, members};
pub(crate) use binding::{Parts, people_hash, range_hash};
pub(crate) use state::{RequestContext, State};
pub(crate) use tally::{Barred, Tally, needed, wanted};
pub(crate) use waiting::{Waiting, waiting};

use crate::environment_history::at;
use ledger::{Record, Recorded, Request, Verdict};
use time::OffsetDateTime;

/// A request with its answers.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The `requested` record.
    pub(crate) recorded: Recorded,
    pub(crate) request: Request,
    /// The approvals before its end, oldest first.
    pub(crate) approvals: Vec<Recorded>,
    /// The first rejection or withdrawal. Nothing after it counts.
    pub(crate) end: Option<Recorded>,
}

impl Asked {
    /// The requests among records, oldest first.
    pub(crate) fn all<'a>(records: impl Iterator<Item = &'a Recorded>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for recorded in records {
            let record = &recorded.record;
            if let (Verdict::Requested, Some(request)) = (record.verdict, &record.request) {
                all.push(Self {
                    recorded: recorded.clone(),
                    request: request.clone(),
                    approvals: Vec::new(),
                    end: None,
                });
                continue;
            }
            let answered =
                |asked: &&mut Self| Some(asked.number()) == record.answers && asked.end.is_none();
            let Some(asked) = all.iter_mut().find(answered) else {
                continue;
            };
            match record.verdict {
                Verdict::Approved => asked.approvals.push(recorded.clone()),
                Verdict::Rejected | Verdict::Withdrawn => asked.end = Some(recorded.clone()),
                _ => {}
            }
        }
        all
    }

    /// The number of its record, by which it is answered.
    pub(crate) fn number(&self) -> u64 {
        self.recorded.record.seq
    }

    pub(crate) fn record(&self) -> &Record {
        &self.recorded.record
    }

    /// Returns true if its time is over or cannot be read.
    pub(crate) fn expired(&self, now: OffsetDateTime) -> bool {
        at(&self.request.expires).is_none_or(|expires| expires <= now)
    }

    /// The person who ended it, and how, in words.
    pub(crate) fn ended(&self) -> Option<String> {
        let end = &self.end.as_ref()?.record;
        let why = match &end.reason {
            Some(reason) => format!(": {reason}"),
            None => String::new(),
        };
        let verb = match end.verdict {
            Verdict::Rejected => "rejected",
            _ => "withdrew",
        };
        Some(format!(
            "{} {verb} request {} at {}{why}",
            end.actor.login,
            self.number(),
            end.at
        ))
    }

    /// Describes the request in a few lines.
    pub(crate) fn lines(&self) -> String {
        let record = self.record();
        let request = &self.request;
        let since = match &request.base {
            Some(base) => format!(" since {base}"),
            None => String::new(),
        };
        let pulls: Vec<String> = request
            .pull_requests
            .iter()
            .map(|number| format!("#{number}"))
            .collect();
        let pulls = match pulls.as_slice() {
            [] => String::new(),
            some => format!(": {}", some.join(", ")),
        };
        let commits = kit::report::count(request.commits, "commit");
        let reason = record.reason.as_deref().unwrap_or_default();
        let seen = match &record.run {
            Some(run) => format!("\nshown in {run}"),
            None => String::new(),
        };
        let plan = match &request.plan {
            Some(plan) => format!("infrastructure plan {plan}\n"),
            None => String::new(),
        };
        format!(
            "digest {}\ncommit {}\n{plan}{commits}{since}{pulls}\nasked for by {} until {}: {reason}{seen}\n",
            record.digest, record.commit, record.actor.login, request.expires
        )
    }
}

#[cfg(test)]
pub(crate) mod tests;

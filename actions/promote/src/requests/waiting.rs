//! The requests that somebody waits for. Pure.

use super::{Approvers, Asked, Barred, RequestContext, Tally, wanted};
use crate::environment_history::EnvironmentHistory;
use crate::setting::Setting;
use kit::error::Result;
use kit::id::Digest;
use serde::Serialize;
use std::fmt;
use time::OffsetDateTime;

/// A request that is open, as far as ledger and contract show it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Waiting {
    /// The number of its record.
    request: u64,
    digest: Digest,
    by: String,
    reason: Option<String>,
    expires: String,
    approved: Vec<String>,
    /// How many approvals are missing.
    missing: usize,
    may_approve: Vec<String>,
    /// True if a team is among them, of which nobody counts the members here.
    #[serde(skip)]
    team: bool,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest: String = self.digest.as_str().chars().take(19).collect();
        let Self {
            request,
            by,
            expires,
            ..
        } = self;
        write!(f, "request {request} of {by} for {digest} ")?;
        match self.missing {
            0 => write!(f, "is approved until {expires}"),
            missing if self.team => {
                let may = self.may_approve.join(", ");
                write!(f, "waits for {missing} more of {may} until {expires}")
            }
            missing => f.write_str(&wanted(missing, &self.may_approve, expires)),
        }
    }
}

/// The open requests of an environment. Only `check`, which asks GitHub, sees whether the commits that
/// they bring are still the same.
///
/// # Errors
/// The contract's rules cannot be hashed.
pub(crate) fn waiting(
    setting: &Setting,
    history: &EnvironmentHistory,
    now: OffsetDateTime,
) -> Result<Vec<Waiting>> {
    let Some(approve) = &setting.gate.approve else {
        return Ok(Vec::new());
    };
    let context = RequestContext::of(setting, history)?;
    let persons = setting.persons();
    let all = Asked::all(history.records());
    let open = all.iter().filter(|asked| {
        asked.end.is_none() && !asked.expired(now) && context.changed(asked).is_none()
    });
    Ok(open
        .map(|asked| {
            let record = asked.record();
            let barred = Barred::by(asked, &persons);
            let approved = asked.approvals.iter().map(|it| &it.record.actor);
            let approvers = Approvers::recorded(approve, &persons, approved);
            let mut tally = Tally::of(&approvers, &persons, Some(asked), &barred);
            let teams = approve.teams.iter().map(|team| format!("the team {team}"));
            tally.may.extend(teams);
            Waiting {
                request: asked.number(),
                digest: record.digest.clone(),
                by: record.actor.login.clone(),
                reason: record.reason.clone(),
                expires: asked.request.expires.clone(),
                missing: tally.missing(approve),
                approved: tally.approved,
                may_approve: tally.may,
                team: !approve.teams.is_empty(),
            }
        })
        .collect())
}

//! The issues that notify people of requests: the text of each, and the calls that bring the issues in line with it.
//! Pure.

use crate::requests::{Approvers, Asked, RequestContext, State, Tally};
use crate::setting::Setting;
use github::{COMMENT_LIMIT, Issue, IssueChange};
use kit::contract::Approve;
use kit::markdown;
use time::OffsetDateTime;

/// Stands between what changes in an issue and what was asked, which stays.
const DETAILS: &str = "<!-- slipway request details -->";

/// How an issue is closed whose request was approved, or is over.
const COMPLETED: &str = "completed";
const NOT_PLANNED: &str = "not_planned";

/// The issue of one request as it should be.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The request's number in its chain.
    number: u64,
    marker: String,
    title: String,
    /// How it stands, in Markdown.
    status: String,
    /// The description of the request in Markdown, for an issue that does not have it yet.
    details: String,
    /// Why it is closed, if it is.
    closed: Option<&'static str>,
}

/// One change of the repository's issues.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Open { title: String, body: String },
    Change(u64, IssueChange),
}

/// The text that the issues of one environment's requests begin with.
pub(super) fn marker(setting: &Setting) -> String {
    format!(
        "<!-- slipway request {}/{} ",
        setting.service, setting.environment
    )
}

impl Wanted {
    /// The issue of a request as it stands. `details` replaces what can be said of it from the ledger
    /// alone.
    pub(super) fn of(
        setting: &Setting,
        approve: &Approve,
        approvers: &Approvers,
        context: &RequestContext,
        asked: &Asked,
        now: OffsetDateTime,
        details: Option<&str>,
    ) -> Self {
        let (state, tally) = context.state(setting, approve, approvers, asked, now);
        let number = asked.number();
        Self {
            number,
            marker: format!("{}{number} {} -->", marker(setting), asked.recorded.hash),
            title: format!(
                "Approve request {number} of {} in {}",
                setting.service, setting.environment
            ),
            status: status(approve, asked, &state, &tally),
            details: details.map_or_else(|| markdown::block("", &asked.lines()), str::to_owned),
            closed: match state {
                State::Open => None,
                State::Approved => Some(COMPLETED),
                State::Over(_) => Some(NOT_PLANNED),
            },
        }
    }

    fn body(&self, details: &str) -> String {
        let (marker, status) = (&self.marker, &self.status);
        let whole = format!("{marker}\n{status}\n{DETAILS}\n{details}");
        match whole.len() <= COMMENT_LIMIT {
            true => whole,
            false => format!(
                "{marker}\n{status}\n{DETAILS}\nWhat is asked is too long for an issue; the run that asked shows it.\n"
            ),
        }
    }

    /// The change that makes `issue` this one, if any.
    fn change(&self, issue: &Issue) -> Option<IssueChange> {
        let kept = issue.body.split_once(DETAILS).map(|(_, details)| details);
        let body = self.body(kept.unwrap_or(&self.details).trim());
        let state = if self.closed.is_some() {
            "closed"
        } else {
            "open"
        };
        let same_body = issue.body.trim() == body.trim();
        let same_state = issue.state == state
            && (self.closed.is_none() || issue.state_reason.as_deref() == self.closed);
        let change = IssueChange {
            title: (issue.title != self.title).then(|| self.title.clone()),
            body: (!same_body).then_some(body),
            state: (!same_state).then_some(state),
            state_reason: self.closed.filter(|_| !same_state),
        };
        (change != IssueChange::default()).then_some(change)
    }
}

/// How a request stands, in Markdown. People are mentioned who may still approve it; everything else is
/// text.
fn status(approve: &Approve, asked: &Asked, state: &State, tally: &Tally) -> String {
    let count = markdown::text(&tally.shown(approve));
    let expires = markdown::text(&asked.request.expires);
    match state {
        State::Open => {
            let may: Vec<String> = tally.may.iter().map(|name| format!("@{name}")).collect();
            let not = match tally.barred.as_slice() {
                [] => String::new(),
                some => markdown::text(&format!(" (not: {})", some.join(", "))),
            };
            format!(
                "**{count}**, until {expires}\n\nWho may approve: {}{not}\n\nA request ends by an answer, not by closing this issue.\n",
                may.join(", ")
            )
        }
        State::Approved => format!("**Approved:** {count}, to be promoted until {expires}\n"),
        State::Over(why) => format!("**Over:** {}\n", markdown::text(why)),
    }
}

/// The changes that give each request one issue that says how it stands. Only the request of this run gets a new one, if
/// somebody can answer it.
pub(super) fn plan_acts(issues: &[Issue], wanted: &[Wanted], own: u64) -> Vec<Act> {
    let mut acts = Vec::new();
    for one in wanted {
        let mut of_it = issues
            .iter()
            .filter(|issue| issue.body.starts_with(&one.marker));
        match of_it.next() {
            Some(kept) => acts.extend(one.change(kept).map(|it| Act::Change(kept.number, it))),
            None if one.number == own && one.closed.is_none() => acts.push(Act::Open {
                title: one.title.clone(),
                body: one.body(&one.details),
            }),
            None => {}
        }
        // Two runs that began at the same moment each opened one.
        acts.extend(of_it.filter_map(close));
    }
    let known = |issue: &&Issue| wanted.iter().any(|one| issue.body.starts_with(&one.marker));
    // Of a request that lies before what the ledger was read back to.
    acts.extend(issues.iter().filter(|it| !known(it)).filter_map(close));
    acts
}

fn close(issue: &Issue) -> Option<Act> {
    let change = IssueChange {
        state: Some("closed"),
        state_reason: Some(NOT_PLANNED),
        ..IssueChange::default()
    };
    (issue.state == "open").then_some(Act::Change(issue.number, change))
}

/// The page of a request's issue.
pub(super) fn page<'a>(issues: &'a [Issue], wanted: &[Wanted], own: u64) -> Option<&'a str> {
    let own = wanted.iter().find(|one| one.number == own)?;
    let mut of_it = issues
        .iter()
        .filter(|issue| issue.body.starts_with(&own.marker));
    Some(of_it.next()?.html_url.as_str())
}

#[cfg(test)]
mod tests;

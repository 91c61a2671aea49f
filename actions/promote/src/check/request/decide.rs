//! If a request is made: for what nobody was asked yet, and that enough people may approve. Pure.

use crate::check::answer::{Answer, Decision, not_asked};
use crate::check::approved::{NamedContributors, RULE, changed};
use crate::environment_history::EnvironmentHistory;
use crate::requests::{Approvers, Asked, Barred, Next, Parts, Tally};
use crate::setting::Setting;
use kit::contract::Approve;
use kit::error::{Error, Result};
use ledger::Record;
use time::OffsetDateTime;

/// Leaves two rules to the promotion: a request asks for the approvals, and another run promotes.
pub(super) fn defer_to_promotion(decision: &mut Decision) {
    for rule in &mut decision.rules {
        if rule.rule == RULE || (rule.rule == "run" && rule.answer != Answer::NotAsked) {
            *rule = not_asked("asked when it is promoted").named(rule.rule);
        }
    }
}

/// The request that is open for exactly this, or the one to write.
pub(super) fn next(
    history: &EnvironmentHistory,
    parts: &Parts,
    draft: &Record,
    now: OffsetDateTime,
) -> Result<Next> {
    if history.head() != parts.head {
        return Err(Error::refused(format!(
            "a deployment to {} was recorded meanwhile, so nothing was requested",
            draft.environment
        ))
        .hint("run this again"));
    }
    let all = Asked::all(history.records());
    Ok(match open(&all, parts, now) {
        Some(asked) => Next::Already(Box::new(asked.recorded.clone())),
        None => Next::Write(Box::new(draft.clone())),
    })
}

/// The open request for exactly this.
fn open<'a>(all: &'a [Asked], parts: &Parts, now: OffsetDateTime) -> Option<&'a Asked> {
    let digest = |asked: &&Asked| asked.record().digest == parts.digest;
    let newest = all.iter().rev().find(digest)?;
    let counts = newest.end.is_none() && !newest.expired(now) && changed(newest, parts).is_none();
    counts.then_some(newest)
}

/// Refuses a request that too few people may approve.
pub(super) fn refuse_too_few_approvers(
    setting: &Setting,
    approve: &Approve,
    approvers: &Approvers,
    draft: &Record,
) -> Result<()> {
    let Some(request) = &draft.request else {
        return Ok(());
    };
    let persons = setting.persons();
    let mut barred = Barred::default();
    barred.add(&persons, [&draft.actor], "asks for it");
    let contributors = NamedContributors {
        people: request.contributors.clone(),
        unattributed: request.unattributed.clone(),
    };
    barred.add_contributors(&persons, &contributors);
    let tally = Tally::of(approvers, &persons, None, &barred);
    let missing = tally.missing(approve);
    if missing <= tally.may.len() {
        return Ok(());
    }
    let why = tally
        .one_more()
        .map_or_else(String::new, |why| format!(", {why}"));
    let barred = match tally.barred.as_slice() {
        [] => String::new(),
        some => format!(": {}", some.join(", ")),
    };
    let mut error = Error::refused(format!(
        "{} needs {missing} approvals{why}, and {} of its approvers may approve this{barred}",
        setting.environment,
        tally.may.len(),
    ))
    .hint("list more people under `approve` of the gate");
    if approvers.name(&persons.of(&draft.actor)).is_some() {
        error = error.hint("have somebody else ask");
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::answer::{fail, pass};
    use crate::environment_history::at;
    use crate::environment_history::tests::{actor, deployed, history};
    use crate::requests::tests::{account, answered, asking, requested};
    use ledger::Verdict;

    #[test]
    fn only_an_open_request_for_exactly_this_is_found_again() {
        let setting = asking();
        let now = at("2026-11-21T20:00:00Z").unwrap();
        let ask = requested(&setting, 'b', "hash-1");
        let parts = Parts::of(&ask, ask.request.as_ref().unwrap()).unwrap();
        let found = |more: &[Record], parts: &Parts, now| {
            let records = [&[deployed('a'), ask.clone()], more].concat();
            let all = Asked::all(history(&records).records());
            open(&all, parts, now).map(Asked::number)
        };
        assert_eq!(found(&[], &parts, now), Some(2));
        let approved = answered(Verdict::Approved, 2, actor("ada"));
        assert_eq!(found(&[approved], &parts, now), Some(2));
        for verdict in [Verdict::Rejected, Verdict::Withdrawn] {
            let ended = answered(verdict, 2, actor("ada"));
            assert_eq!(found(&[ended], &parts, now), None);
        }
        let late = at("2026-11-22T12:00:00Z").unwrap();
        assert_eq!(found(&[], &parts, late), None);
        let mut other = parts.clone();
        other.range.push('x');
        assert_eq!(found(&[], &other, now), None);
        let mut other = parts.clone();
        other.digest = deployed('c').digest;
        assert_eq!(found(&[], &other, now), None);
        // The newest decides: what was asked for since is something else.
        let mut newer = requested(&setting, 'b', "hash-1");
        newer.commit = "c".repeat(40).parse().unwrap();
        assert_eq!(found(&[newer], &parts, now), None);
    }

    #[test]
    fn a_request_that_too_few_may_approve_is_not_made() {
        let setting = asking();
        let approve = setting.gate.approve.as_ref().unwrap();
        let made = |by, contributors: &[&str]| {
            let mut ask = requested(&setting, 'b', "hash-1");
            ask.actor = by;
            let request = ask.request.as_mut().unwrap();
            request.contributors = contributors.iter().map(|login| actor(login)).collect();
            let approvers = Approvers::of(approve, &setting.persons(), &[]);
            refuse_too_few_approvers(&setting, approve, &approvers, &ask)
        };
        made(actor("dora"), &["ada", "eve"]).unwrap();
        made(account("grace-admin", 22), &["eve"]).unwrap();
        let few = made(actor("dora"), &["ada", "linus"]).unwrap_err();
        assert_eq!(
            few.message,
            "production needs 2 approvals, and 1 of its approvers may approve this: ada wrote part of it, linus wrote part of it"
        );
        let other = "have somebody else ask";
        assert!(!few.hints.iter().any(|hint| hint == other), "{few:?}");
        let few = made(account("grace-admin", 22), &["ada"]).unwrap_err();
        assert!(
            few.message
                .contains("ada wrote part of it, grace asks for it"),
            "{few}"
        );
        assert!(few.hints.iter().any(|hint| hint == other), "{few:?}");
    }

    #[test]
    fn a_request_is_judged_without_its_approvals_and_the_run_that_promotes() {
        let mut decision = Decision {
            rules: vec![
                pass("x").named("digest"),
                fail("the workflow is approve.yml, not promote.yml", "y").named("run"),
                fail("nobody has asked", "y").named(RULE),
            ],
        };
        defer_to_promotion(&mut decision);
        assert!(decision.allowed());
        decision.rules.push(fail("frozen", "y").named("freeze"));
        defer_to_promotion(&mut decision);
        assert_eq!(decision.obstacle().unwrap().rule, "freeze");
    }
}

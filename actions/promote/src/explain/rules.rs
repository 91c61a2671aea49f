//! The rules of a gate explained, from the contract alone. Pure.

use crate::setting::Setting;
use kit::clock::human;
use kit::contract::{Freeze, Weekday};
use kit::report::count;
use serde::Serialize;
use std::time::Duration;

/// One rule, for people.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Explained {
    /// Its name, as `check` reports it.
    pub(super) rule: &'static str,
    /// True if the contract asks it.
    pub(super) asked: bool,
    /// Its question, or why it is not asked.
    pub(super) asks: String,
    /// The source of its facts, and the permission to read it.
    pub(super) reads: String,
    /// The step that lifts a refusal.
    pub(super) lifts: String,
}

/// Where facts come from, with the permission.
const LEDGER: &str = "the ledger: dynamodb:Query, role read of the build account";
const PULLS: &str = "GitHub: contents: read, pull-requests: read";
const MEMBERS: &str = "GitHub: members: read of the organization, which no job's token has";
const RUN: &str = "GitHub: actions: read; in CodeBuild the build's initiator, elsewhere the session in AWS, under `people`";

fn asked(
    rule: &'static str,
    asks: impl Into<String>,
    reads: &str,
    lifts: impl Into<String>,
) -> Explained {
    Explained {
        rule,
        asked: true,
        asks: asks.into(),
        reads: reads.to_owned(),
        lifts: lifts.into(),
    }
}

fn not_asked(rule: &'static str, why: impl Into<String>) -> Explained {
    Explained {
        rule,
        asked: false,
        asks: why.into(),
        reads: String::new(),
        lifts: String::new(),
    }
}

/// Every rule of `check`, in the order of its report.
pub(super) fn of(setting: &Setting) -> Vec<Explained> {
    let mut all = vec![provenance(setting), digest(setting)];
    all.extend(changes(setting));
    all.extend(run(setting));
    all.extend(times(setting));
    all.extend(records(setting));
    all.push(approved(setting));
    all
}

fn provenance(setting: &Setting) -> Explained {
    let name = "provenance";
    let Some(proofs) = &setting.proofs else {
        return not_asked(
            name,
            "the contract names no key under `build.keys.provenance`",
        );
    };
    let by = match &proofs.workflow {
        Some(workflow) => format!(" by {workflow}"),
        None => String::new(),
    };
    asked(
        name,
        format!(
            "a statement signed with {} says that the image was built{by} from the commit",
            proofs.key
        ),
        "the registry and KMS: ecr:BatchGetImage, kms:GetPublicKey, role read of the build account",
        "build and publish the commit again with slipway-image",
    )
}

fn digest(setting: &Setting) -> Explained {
    match &setting.follows {
        None => not_asked(
            "digest",
            format!("{} follows no environment", setting.environment),
        ),
        Some(before) => asked(
            "digest",
            format!("the newest record of the digest in {before} is healthy"),
            LEDGER,
            format!("deploy it to {before} until it is healthy there"),
        ),
    }
}

/// The rules about commits and pull requests.
fn changes(setting: &Setting) -> Vec<Explained> {
    let gate = &setting.gate;
    let branch = &gate.branch;
    let since = match &gate.since {
        Some(since) => format!(" (at the first promotion: since {since})"),
        None => String::new(),
    };
    let but = match gate.accepted_commits.len() {
        0 => String::new(),
        listed => format!(
            ", but for {} under `accepted-commits`",
            count(listed, "commit")
        ),
    };
    let formerly = gate.formerly.as_ref().map_or_else(String::new, |formerly| {
        format!(" (until {}: into {})", formerly.until, formerly.branch)
    });
    let by = match &gate.reviewers {
        Some(reviewers) => format!("those of {reviewers}"),
        None => "people".to_owned(),
    };
    let reads = match setting.reviewer_teams() {
        [] => PULLS.to_owned(),
        _ => format!("{PULLS}; {MEMBERS}"),
    };
    let approvals = match gate.approvals {
        0 => not_asked("approvals", "the contract asks for no approvals of changes"),
        needed => asked(
            "approvals",
            format!(
                "each pull request has {} of its final head by {by} with write access who contributed nothing to it, and no objection is open",
                number(needed, "approval")
            ),
            &reads,
            "have other people review the pull request that is named",
        ),
    };
    let checks = match gate.checks.as_slice() {
        [] => not_asked("checks", "the contract names no checks"),
        named => asked(
            "checks",
            format!(
                "on the head of each pull request these succeeded: {}",
                named.join(", ")
            ),
            "GitHub: checks: read",
            "run the check again, or correct what it found with another pull request",
        ),
    };
    vec![
        asked(
            "branch",
            format!("the commit is on {branch}, which was not set back"),
            "GitHub: contents: read",
            format!("merge it into {branch}"),
        ),
        asked(
            "pull request",
            format!("a pull request merged into {branch} ended in the commit"),
            PULLS,
            format!("merge the change into {branch} with a pull request"),
        ),
        asked(
            "range",
            format!(
                "every commit since the version that {} runs{since} came through a pull request merged into {branch}{formerly}{but}",
                setting.environment
            ),
            PULLS,
            "have the commit that is named reviewed, and list it under `accepted-commits`",
        ),
        asked(
            "merge",
            "each merge contains what merging the approved head gives, and nothing else",
            PULLS,
            "have the merge that is named reviewed, and list it under `accepted-commits`",
        ),
        approvals,
        checks,
    ]
}

/// The rules about who promotes, and by which run.
fn run(setting: &Setting) -> Vec<Explained> {
    let gate = &setting.gate;
    let branch = &gate.branch;
    let workflow = match &gate.workflow {
        Some(workflow) => format!("a dispatch of {workflow} on {branch}"),
        None => format!("on GitHub a dispatch of a workflow on {branch}"),
    };
    let separation = match gate.approvals {
        0 => not_asked(
            "separation",
            "the contract asks for no approvals of changes",
        ),
        _ => asked(
            "separation",
            "over all pull requests somebody other than the promoter approved",
            RUN,
            "have another person promote it",
        ),
    };
    vec![
        asked(
            "promoter",
            "people started the run, and ran it again if it was",
            RUN,
            "have a person start the promotion",
        ),
        separation,
        asked(
            "run",
            format!("the promotion is {workflow}"),
            "GitHub: actions: read",
            format!("start it on {branch}"),
        ),
        asked(
            "policy",
            format!("contract and workflow of the run are those of the newest commit of {branch}"),
            "GitHub: contents: read",
            "start a new run",
        ),
    ]
}

/// The rules about time and about what runs.
fn times(setting: &Setting) -> Vec<Explained> {
    let gate = &setting.gate;
    let environment = &setting.environment;
    let before = setting
        .follows
        .as_deref()
        .unwrap_or("the previous environment");
    let soak = match gate.soak {
        None => not_asked("soak", "the contract has no `soak`"),
        Some(seconds) => asked(
            "soak",
            format!(
                "the digest has been healthy in {before} for {}",
                human(Duration::from_secs(seconds))
            ),
            LEDGER,
            "wait",
        ),
    };
    let running = match gate.still_running {
        false => not_asked(
            "still running",
            "the contract does not say `still-running: true`",
        ),
        true => asked(
            "still running",
            format!("{before} runs the digest now, healthy"),
            match setting.function {
                Some(_) => "Lambda: lambda, role read of that account",
                None => "ECS: ecs and elasticloadbalancing, role read of that account",
            },
            format!("deploy it to {before} again, or promote what runs there"),
        ),
    };
    let freeze = match gate.freeze.as_slice() {
        [] => not_asked("freeze", "the contract has no freeze windows"),
        windows => {
            let windows: Vec<String> = windows.iter().map(window).collect();
            asked(
                "freeze",
                format!("none of these is now: {}", windows.join("; ")),
                "the clock",
                "wait until the window ends",
            )
        }
    };
    let calendar = match gate.calendars.as_slice() {
        [] => not_asked("calendar", "the contract names no change calendar"),
        named => asked(
            "calendar",
            format!(
                "each of these SSM Change Calendars is open: {}",
                named.join(", ")
            ),
            "SSM: ssm:GetCalendarState, role read of the environment's account",
            "wait until the calendar opens",
        ),
    };
    let forward = asked(
        "forward",
        format!("the commit contains the one that {environment} runs"),
        "GitHub: contents: read; and the ledger",
        "promote a newer digest; to go back there is `--rollback`",
    );
    vec![forward, soak, running, freeze, calendar]
}

/// The rules about what happened before.
fn records(setting: &Setting) -> [Explained; 2] {
    let environment = &setting.environment;
    [
        asked(
            "rolled back",
            format!(
                "{environment} was not rolled back from the digest, nor was the previous environment"
            ),
            LEDGER,
            "have somebody review it who neither promotes it nor contributed to it: slipway-promote review",
        ),
        asked(
            "debt",
            "somebody who did not contribute to it reviewed each break-glass",
            LEDGER,
            "have somebody else review it: slipway-promote review",
        ),
    ]
}

fn approved(setting: &Setting) -> Explained {
    let Some(approve) = &setting.gate.approve else {
        return not_asked(
            "approved",
            "the contract asks for no approvals of a promotion",
        );
    };
    let teams = approve
        .teams
        .iter()
        .map(|team| format!("the members of {team}"));
    let approvers: Vec<String> = approve.people.iter().cloned().chain(teams).collect();
    let reads = match approve.teams.is_empty() {
        true => LEDGER.to_owned(),
        false => format!("{LEDGER}; {MEMBERS}"),
    };
    let notification = match &approve.notify {
        Some(notify) => format!("; they are notified by {notify}"),
        None => String::new(),
    };
    let also = match &approve.repository {
        Some(repository) => format!("; they may answer in {repository}"),
        None => String::new(),
    };
    asked(
        "approved",
        format!(
            "{} of exactly this promotion, by {} who did not ask for it, promote it or contribute to it, {} after it was asked for at most{notification}{also}; one more if somebody unknown contributed to it",
            number(approve.count, "approval"),
            approvers.join(", "),
            human(Duration::from_secs(approve.expires)),
        ),
        &reads,
        format!(
            "ask for them: slipway-promote request --environment {} --reason TEXT",
            setting.environment
        ),
    )
}

/// Explains rollback, break-glass and, if the gate asks for one, the plan.
pub(super) fn besides(setting: &Setting) -> Vec<(&'static str, String)> {
    let gate = &setting.gate;
    let reviews = match gate.rollback_approvals {
        0 => "no review".to_owned(),
        needed => format!(
            "{} by other people: slipway-promote review",
            number(needed, "review")
        ),
    };
    let rollback = format!(
        "to a digest that was healthy in {}, with {reviews}; asks GitHub only whether the contract is the branch's",
        setting.environment
    );
    let glass = match &gate.break_glass {
        None => "nobody may override these rules".to_owned(),
        Some(glass) => format!(
            "{} may override these rules with a reason, for {}, but neither provenance nor a digest without a record; somebody who did not contribute to the change must review it before the next promotion",
            glass.people.join(", "),
            human(Duration::from_secs(glass.expires))
        ),
    };
    let mut all = vec![("rollback", rollback), ("break-glass", glass)];
    if gate.plan {
        let plan = "infrastructure is applied only as the plan that the permit names: slipway-state plan or slipway-stack plan, then grant --plan ID; a rollback leaves it alone";
        all.push(("plan", plan.to_owned()));
    }
    all
}

fn number(number: u32, noun: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

/// A window of `freeze` in words.
fn window(freeze: &Freeze) -> String {
    let mut parts = Vec::new();
    if let Some((first, last)) = &freeze.days {
        parts.push(format!("{first} to {last}"));
    }
    if !freeze.weekdays.is_empty() {
        let days: Vec<&str> = freeze.weekdays.iter().map(|day| day_name(*day)).collect();
        parts.push(format!("on {}", days.join(", ")));
    }
    if freeze.from.is_some() || freeze.to.is_some() {
        parts.push(format!(
            "from {} to {}",
            freeze.from.as_deref().unwrap_or("00:00"),
            freeze.to.as_deref().unwrap_or("24:00")
        ));
    }
    parts.push(format!("in {}", freeze.time_zone));
    if let Some(reason) = &freeze.reason {
        parts.push(format!("({reason})"));
    }
    parts.join(" ")
}

fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mondays",
        Weekday::Tuesday => "Tuesdays",
        Weekday::Wednesday => "Wednesdays",
        Weekday::Thursday => "Thursdays",
        Weekday::Friday => "Fridays",
        Weekday::Saturday => "Saturdays",
        Weekday::Sunday => "Sundays",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{names, tests::setting};
    use crate::requests::tests::asking;

    #[test]
    fn every_rule_of_a_check_is_explained_in_its_order() {
        let explained: Vec<&str> = of(&setting()).iter().map(|rule| rule.rule).collect();
        assert_eq!(explained, names());
    }

    #[test]
    fn each_rule_that_is_asked_names_what_it_reads_and_what_lifts_a_refusal() {
        for rule in of(&asking()) {
            assert_eq!(rule.asked, !rule.reads.is_empty(), "{rule:?}");
            assert_eq!(rule.asked, !rule.lifts.is_empty(), "{rule:?}");
            assert!(!rule.asks.is_empty(), "{rule:?}");
        }
    }

    #[test]
    fn approvals_of_a_promotion_name_how_many_and_who() {
        let explained = approved(&asking());
        assert_eq!(
            explained.asks,
            "2 approvals of exactly this promotion, by ada, grace, linus who did not ask for it, promote it or contribute to it, 1 d after it was asked for at most; one more if somebody unknown contributed to it"
        );
        assert!(!approved(&setting()).asked);
    }

    #[test]
    fn a_freeze_window_is_explained_in_words() {
        let mut freeze = Freeze {
            time_zone: "America/Toronto".to_owned(),
            weekdays: vec![Weekday::Friday],
            from: Some("16:00".to_owned()),
            to: None,
            days: None,
            reason: None,
        };
        assert_eq!(
            window(&freeze),
            "on Fridays from 16:00 to 24:00 in America/Toronto"
        );
        freeze.days = Some(("2026-12-20".to_owned(), "2027-01-03".to_owned()));
        freeze.reason = Some("holidays".to_owned());
        assert_eq!(
            window(&freeze),
            "2026-12-20 to 2027-01-03 on Fridays from 16:00 to 24:00 in America/Toronto (holidays)"
        );
    }
}

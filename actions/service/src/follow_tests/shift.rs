//! Deployments that shift traffic.

use super::*;
use ecs::{Hook, Strategy};

fn shifting(change: impl FnOnce(&mut Record)) -> Seen {
    changed(|seen| {
        seen.service.strategy = Strategy {
            kind: "CANARY".to_owned(),
            ..Strategy::default()
        };
        let mut record = Record {
            status: "IN_PROGRESS".to_owned(),
            stage: "BAKE_TIME".to_owned(),
            ..Record::default()
        };
        change(&mut record);
        seen.record = Some(record);
    })
}

#[test]
fn a_pause_ends_the_run_and_an_answered_hook_does_not() {
    let hook = |status: &str, is_pause| Hook {
        id: "ecs-pause-1".to_owned(),
        is_pause,
        status: status.to_owned(),
        expires_at: Some("2026-11-21T18:00:00Z".to_owned()),
        timeout_action: "ROLLBACK".to_owned(),
    };
    for (status, is_pause, pauses) in [
        ("AWAITING_ACTION", true, true),
        ("SUCCEEDED", true, false),
        ("TIMED_OUT", true, false),
        ("IN_PROGRESS", false, false),
        ("AWAITING_ACTION", false, false),
    ] {
        let seen =
            shifting(|record| record.hooks = vec![hook("SUCCEEDED", true), hook(status, is_pause)]);
        let next = follow().next(MINUTE, &seen);
        let found = matches!(&next, Next::Done(Verdict::Paused(pause)) if pause.stage == "BAKE_TIME" && pause.then == "ROLLBACK");
        assert_eq!(found, pauses, "{status} {is_pause}: {next:?}");
    }
    // A run that gave its deployment up waits for the rollback, whatever the hook waits for.
    let seen = shifting(|record| record.hooks = vec![hook("AWAITING_ACTION", true)]);
    let mut given_up = follow();
    assert!(!given_up.is_given_up());
    given_up.rolling_back(MINUTE, Why::Cancelled { signal: "SIGINT" });
    assert!(given_up.is_given_up());
    assert!(matches!(given_up.next(MINUTE, &seen), Next::Wait(_)));
    // ECS may show a hook as waiting for a moment after this run answered it.
    let mut answered = follow();
    answered.answered("ecs-pause-1".to_owned());
    assert!(matches!(answered.next(MINUTE, &seen), Next::Wait(_)));
}

#[test]
fn it_is_over_by_its_own_record_only() {
    let waits = |status: &str| {
        let seen = shifting(|record| record.status = status.to_owned());
        match follow().next(MINUTE, &seen) {
            Next::Wait(missing) => missing.join("; "),
            Next::Done(Verdict::Succeeded) => "succeeded".to_owned(),
            next => panic!("{next:?}"),
        }
    };
    assert_eq!(waits("SUCCESSFUL"), "succeeded");
    assert_eq!(
        waits("IN_PROGRESS"),
        "ECS's record of the deployment is IN_PROGRESS"
    );
    // One that replaces tasks is over without it.
    let rolling = changed(|seen| {
        seen.record = Some(Record {
            status: "IN_PROGRESS".to_owned(),
            ..Record::default()
        });
    });
    assert_eq!(
        follow().next(MINUTE, &rolling),
        Next::Done(Verdict::Succeeded)
    );
    // Without a record, as ECS forgets it after 90 days, the deployment itself says it.
    let mut without = shifting(|_| {});
    without.record = None;
    assert_eq!(
        follow().next(MINUTE, &without),
        Next::Done(Verdict::Succeeded)
    );
}

/// ECS may go back within the same deployment.
#[test]
fn a_record_of_a_rollback_counts_once_the_version_is_another_one() {
    let back = |revision: u64| {
        let mut seen = shifting(|record| record.status = "ROLLBACK_SUCCESSFUL".to_owned());
        seen.service.deployments[0].task_definition = samples::revision(revision);
        follow().next(MINUTE, &seen)
    };
    let begin = Next::Wait(vec!["ECS to begin the rollback".to_owned()]);
    assert_eq!(back(NEW), begin);
    let next = back(OLD);
    assert!(
        matches!(&next, Next::Done(Verdict::RolledBack { to, .. }) if to.revision() == OLD),
        "{next:?}"
    );
}

//! A run that is killed after its deployment began, and the same run again.

use serde_json::json;

use super::Setting;
use crate::support::{Started, TIMEOUT, ago, ends, log, until};

#[test]
fn a_run_that_is_killed_before_the_update_goes_on_under_its_permit() {
    let setting = Setting::new("production", "killed-before");
    let number = setting.permit(&json!({}));
    let permit = number.to_string();
    let before = setting.service()["taskDefinition"].clone();
    let fails = json!({"kind": "status", "status": 500, "code": "ServerException", "message": "Server error."});
    setting.fault("UpdateService", 1000, &fails);
    let killed = Started::new(&mut setting.deploy(&permit, &[]));
    until("the deployment is on record as begun", TIMEOUT, || {
        (setting.started(number).len() == 1).then_some(())
    });
    killed.kill();
    setting.no_fault();
    assert_eq!(setting.service()["taskDefinition"], before);

    ends(
        &mut setting.deploy_again(&permit),
        3,
        &["began a deployment under it"],
    );
    let expected = ["this run began the deployment before", "succeeded"];
    // The failed job, run again.
    let mut again = setting.deploy(&permit, &[]);
    ends(again.env("GITHUB_RUN_ATTEMPT", "3"), 0, &expected);
    assert!(setting.image().ends_with(&setting.digest));
    assert_eq!(setting.started(number).len(), 2, "one for each attempt");
}

#[test]
fn a_run_that_is_killed_after_the_update_follows_its_deployment() {
    let setting = Setting::new("staging", "killed-after");
    let number = setting.permit(&json!({}));
    let permit = number.to_string();
    let killed = Started::new(&mut setting.deploy(&permit, &[]));
    until("the service is updated", TIMEOUT, || {
        setting.image().ends_with(&setting.digest).then_some(())
    });
    killed.kill();
    let updated = setting.service()["taskDefinition"].clone();

    let expected = [
        "this run began the deployment before",
        "change nothing in the service",
        "succeeded",
    ];
    ends(&mut setting.deploy(&permit, &[]), 0, &expected);
    assert_eq!(setting.service()["taskDefinition"], updated);
    assert_eq!(setting.started(number).len(), 1);
}

/// An interrupted run that comes back after more than an hour: approvals may have been dismissed meanwhile.
#[test]
fn what_a_run_began_more_than_an_hour_ago_is_followed_and_not_begun_again() {
    let setting = Setting::new("staging", "came-back-late");
    let run = setting.chain()[0]["run"].clone();
    let begun = || {
        let permit = json!({"at": ago(62), "permit": {"expires": ago(2)}});
        let number = setting.permit(&permit);
        setting.plant(&json!({
            "verdict": "started", "under": number, "at": ago(61), "run": run, "task_definition": "storefront:1",
        }));
        number
    };
    let before = setting.service()["taskDefinition"].clone();
    let number = begun();
    let expected = [
        "this run began its deployment at 20",
        "more than an hour ago, so it has to be judged anew",
        "register a revision",
        "slipway-promote grant --environment staging --digest sha256:",
    ];
    ends(&mut setting.deploy(&number.to_string(), &[]), 3, &expected);
    assert_eq!(setting.service()["taskDefinition"], before);
    assert_eq!(setting.started(number).len(), 1);
    // Nor is a task.
    let mut task = setting.job.command(
        "slipway-service",
        &[
            "run-task",
            "--environment",
            "staging",
            "--digest",
            &setting.digest,
        ],
    );
    task.args(["--permit", &number.to_string(), "--", "true"]);
    ends(&mut task, 3, &["it expired at"]);

    // Where it brought its deployment about before it was interrupted, that is followed.
    setting.plant(&json!({"verdict": "failed", "under": number}));
    let fresh = setting.permit(&json!({})).to_string();
    ends(&mut setting.deploy(&fresh, &[]), 0, &["succeeded"]);
    setting.plant(&json!({"verdict": "failed", "under": 1}));
    let number = begun();
    let expected = [
        "so nothing is changed, only followed",
        "change nothing in the service",
        "succeeded",
    ];
    ends(&mut setting.deploy(&number.to_string(), &[]), 0, &expected);
    assert_eq!(setting.started(number).len(), 1);
}

/// The update was refused and repeated, and meanwhile somebody rolled back.
#[test]
fn an_update_that_a_rollback_overtook_fails_and_says_what_may_run() {
    let setting = Setting::new("staging", "overtaken");
    let number = setting.permit(&json!({}));
    let fails = json!({"kind": "status", "status": 500, "code": "ServerException", "message": "Server error."});
    setting.fault("UpdateService", 1000, &fails);
    let late = Started::new(&mut setting.deploy(&number.to_string(), &[]));
    until("the deployment is on record as begun", TIMEOUT, || {
        (setting.started(number).len() == 1).then_some(())
    });
    let back = setting.permit(&json!({"rollback": {}}));
    setting.plant(&json!({"verdict": "started", "under": back, "rollback": {}}));
    setting.no_fault();
    let output = late.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for piece in [
        "the service may run",
        "began another one",
        "grant --environment staging --rollback",
    ] {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
}

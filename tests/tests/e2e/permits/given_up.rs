//! Deployments under a permit that are given up, and tasks that run before a deployment under its permit: with the roles as the
//! documentation gives them.

use serde_json::json;

use super::Setting;
use super::roles::by_infrastructure;
use crate::support::{Started, TIMEOUT, ends, until};

impl Setting {
    fn run_task(&self, permit: &str, script: &str) -> std::process::Command {
        let command = ["--", "/bin/busybox", "sh", "-c", script];
        self.under("run-task", permit, &command)
    }
}

#[test]
fn a_deployment_under_a_permit_is_rolled_back_after_its_time_and_recorded_so() {
    let setting = Setting::silent("staging", "timed-out");
    let permit = setting.permit(&json!({})).to_string();
    let before = setting.service()["taskDefinition"].clone();
    let expected = ["did not become healthy within 6 s", "was rolled back"];
    ends(
        &mut setting.deploy(&permit, &["--timeout", "6s"]),
        9,
        &expected,
    );
    assert_eq!(setting.service()["taskDefinition"], before);
    let verdicts = step_job::entries(&setting.job.read("output"));
    let verdict = verdicts.iter().rfind(|(name, _)| name == "verdict");
    let verdict = &verdict.unwrap().1;
    assert_eq!(verdict, "rolled-back");
    ends(&mut setting.record(&permit, verdict), 0, &["written"]);
    assert_eq!(setting.chain()[0]["verdict"], "rolled_back");
}

/// The ledger proves that the run began the deployment, so it is the run's to roll back.
#[test]
fn an_attempt_that_goes_on_rolls_back_what_the_killed_one_began() {
    let setting = Setting::silent("production", "killed-silent");
    let permit = setting.permit(&json!({})).to_string();
    let before = setting.service()["taskDefinition"].clone();
    let killed = Started::new(&mut setting.deploy(&permit, &[]));
    until("the service is updated", TIMEOUT, || {
        setting.image().ends_with(&setting.digest).then_some(())
    });
    killed.kill();
    let expected = [
        "this run began the deployment before",
        "change nothing in the service",
        "was rolled back",
    ];
    let mut again = setting.deploy(&permit, &["--timeout", "6s"]);
    ends(again.env("GITHUB_RUN_ATTEMPT", "2"), 9, &expected);
    assert_eq!(setting.service()["taskDefinition"], before);
}

#[test]
fn a_task_uses_the_permit_up_and_the_deployment_of_the_run_goes_on_under_it() {
    let setting = Setting::new("staging", "migrated");
    setting.plant(&json!({"verdict": "healthy"}));
    // The permitted digest was never in dev; a rollback does not require that.
    let number = setting.permit(&json!({"rollback": {}}));
    let permit = number.to_string();
    let script = "echo migrating";
    let expected = ["staging has a gate", "slipway-promote grant"];
    ends(&mut setting.run_task("", script), 3, &expected);
    let used = format!("permit {permit} is used up by record");
    ends(
        &mut setting.run_task(&permit, script),
        0,
        &[&used, "| migrating"],
    );
    assert_eq!(setting.started(number).len(), 1);
    // Another run may neither migrate nor deploy under it.
    let mut other = setting.run_task(&permit, script);
    let other = other
        .env("GITHUB_RUN_ID", "4712")
        .env("GITHUB_ACTOR", "grace");
    ends(other, 3, &["began a deployment under it"]);
    ends(
        &mut setting.deploy_again(&permit),
        3,
        &["began a deployment under it"],
    );
    // A task is not the deployment, which begins with a record of its own, and may not be said to be healthy before.
    let expected = ["no deployment began under it"];
    ends(&mut setting.record(&permit, "healthy"), 3, &expected);
    let expected = ["it must begin before", "registered before", "succeeded"];
    ends(&mut setting.deploy(&permit, &[]), 0, &expected);
    let started = setting.started(number);
    assert_eq!(started.len(), 2);
    let commands = started.iter().filter(|it| it["command"].is_string());
    assert_eq!(commands.count(), 1);
    ends(&mut setting.record(&permit, "healthy"), 0, &["written"]);
    // After that there is nothing left to migrate.
    let expected = ["recorded its deployment as healthy"];
    ends(&mut setting.run_task(&permit, script), 3, &expected);
}

#[test]
fn code_of_the_infrastructure_cannot_run_a_task() {
    let setting = Setting::new("production", "no-task");
    let service = setting.service();
    let input = json!({
        "cluster": setting.cluster(), "launchType": "FARGATE", "taskDefinition": service["taskDefinition"],
        "networkConfiguration": service["networkConfiguration"],
    });
    let refused = by_infrastructure(&setting, "RunTask", &input).unwrap_err();
    assert!(
        refused.contains("AccessDenied") && refused.contains("ecs:RunTask"),
        "{refused}"
    );
}

//! Deployments that a run gives up, because its time is over or it is cancelled: they are rolled back, unless another run began
//! them or somebody wants them left.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::pair::Pair;
use super::{Setting, ends, fault};
use crate::record::{Call, calls};
use crate::support::{Started, TIMEOUT, log, until, wait};

/// A health check of a container that says nothing for minutes.
fn never() -> Value {
    json!({"healthCheck": {
        "command": ["CMD", "/bin/busybox", "sh", "-c", "false"],
        "interval": 5, "timeout": 2, "retries": 2, "startPeriod": 300,
    }})
}

/// A service of one task whose next deployment does not become healthy; and the digest to deploy.
fn slow<'a>(setting: &'a Setting, name: &'static str, more: &Value) -> (Pair<'a>, String) {
    let pair = Pair::new(setting, name, [100, 200], 1);
    let image = setting.image(&["/bin/busybox", "sleep", "700"]);
    pair.register(&image, more);
    (pair, image)
}

/// The revision that the service runs, once it runs nothing else.
fn settled(pair: &Pair<'_>) -> Value {
    until("the service runs one revision", TIMEOUT, || {
        let service = pair.service();
        let deployments = service["deployments"].as_array().unwrap();
        let one = deployments.len() == 1 && deployments[0]["rolloutState"] == "COMPLETED";
        one.then(|| service["taskDefinition"].clone())
    })
}

fn deploying(pair: &Pair<'_>, further: &[&str], digest: &str) -> Started {
    let started = Started::new(&mut pair.deploy(digest, further));
    until("the deployment begins", TIMEOUT, || {
        (pair.service()["deployments"].as_array().unwrap().len() == 2).then_some(())
    });
    started
}

/// Ends it by a signal, and expects exit 130 and these texts.
fn cancelled(started: Started, expected: &[&str]) -> String {
    started.signal(Signal::INT);
    interrupted(started, expected)
}

fn interrupted(started: Started, expected: &[&str]) -> String {
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    for piece in expected {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
    text
}

/// The verdict of the last run, as a later step of the job reads it.
fn verdict(setting: &Setting) -> Option<String> {
    let outputs = step_job::entries(&setting.job.read("output"));
    let mut verdicts = outputs.into_iter().filter(|(name, _)| name == "verdict");
    verdicts.next_back().map(|(_, value)| value)
}

#[test]
fn a_deployment_that_is_not_healthy_in_time_is_rolled_back_also_while_aws_throttles() {
    let setting = Setting::new("dev");
    let (pair, digest) = slow(&setting, "late", &never());
    let before = settled(&pair);
    let throttled = json!({"kind": "status", "status": 400, "code": "ThrottlingException", "message": "Rate exceeded"});
    fault(&setting, "ecs", "StopServiceDeployment", 2, &throttled);
    let expected = [
        "not healthy within 5 s: asked ECS to roll back deployment ecs-svc/",
        "did not become healthy within 5 s",
        "container web of task",
        "was rolled back: late:1 runs again",
        "\"verdict\": \"timed_out\"",
        "\"rollback\": \"completed\"",
    ];
    ends(
        &mut pair.deploy(&digest, &["--timeout", "5s", "--json"]),
        9,
        &expected,
    );
    assert_eq!(settled(&pair), before);
    assert_eq!(verdict(&setting).as_deref(), Some("rolled-back"));
}

#[test]
fn a_cancelled_run_has_its_deployment_rolled_back_and_waits_for_that() {
    let setting = Setting::new("dev");
    let (pair, digest) = slow(&setting, "cancelled", &never());
    let before = settled(&pair);
    let expected = [
        "interrupted by SIGINT: asked ECS to roll back deployment ecs-svc/",
        "was rolled back: cancelled:1 runs again",
    ];
    cancelled(deploying(&pair, &[], &digest), &expected);
    // Nothing has to be waited for.
    let service = pair.service();
    assert_eq!(service["taskDefinition"], before);
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(verdict(&setting).as_deref(), Some("rolled-back"));
}

/// A runner sends a second signal before it kills.
#[test]
fn a_second_signal_ends_the_run_while_ecs_goes_on_to_roll_back() {
    let setting = Setting::new("dev");
    let mut more = never();
    // Until it is killed the new task keeps the rollback from being complete.
    more["stopTimeout"] = json!(30);
    let (pair, digest) = slow(&setting, "twice", &more);
    let before = settled(&pair);
    let started = deploying(&pair, &[], &digest);
    started.signal(Signal::INT);
    until("ECS goes back", TIMEOUT, || {
        (pair.service()["taskDefinition"] == before).then_some(())
    });
    started.signal(Signal::TERM);
    let text = interrupted(
        started,
        &[
            "error: interrupted by SIGTERM",
            "ECS is rolling back deployment ecs-svc/",
            "the end was not seen",
            "slipway-service status",
        ],
    );
    assert!(!text.contains("runs again"), "{text}");
    assert_eq!(verdict(&setting), None, "nobody saw the end");
    assert_eq!(settled(&pair), before);
}

#[test]
fn a_deployment_is_left_where_that_is_wanted_and_by_a_run_that_did_not_begin_it() {
    let setting = Setting::new("staging");
    let (pair, digest) = slow(&setting, "left", &never());
    let count = || pair.service()["deployments"].as_array().unwrap().len();
    let expected = [
        "within 5 s",
        "continues in ECS, because of --no-rollback; a longer --timeout",
    ];
    let wanted = ["--timeout", "5s", "--no-rollback"];
    ends(&mut pair.deploy(&digest, &wanted), 9, &expected);
    assert_eq!(count(), 2);
    assert_eq!(verdict(&setting).as_deref(), Some("failed"));
    // The same deploy again follows the same deployment, which may be another run's.
    let expected = ["within 3 s", "this run did not begin it"];
    ends(
        &mut pair.deploy(&digest, &["--timeout", "3s"]),
        9,
        &expected,
    );
    let account = &setting.world.environment("staging").unwrap().account.id;
    // The first call that only a run makes which follows its deployment.
    let follow = || {
        let calls = wait(TIMEOUT, calls(setting.world));
        let of = |call: &&Call| call.account.as_ref() == Some(account);
        let calls = calls.iter().filter(of);
        calls
            .filter(|call| call.operation == "ListServiceDeployments")
            .count()
    };
    let earlier = follow();
    let following = Started::new(&mut pair.deploy(&digest, &["--no-rollback"]));
    let other = Started::new(&mut pair.deploy(&digest, &[]));
    until("both follow it", TIMEOUT, || {
        (follow() >= earlier + 2).then_some(())
    });
    cancelled(following, &["continues in ECS", "because of --no-rollback"]);
    cancelled(other, &["continues in ECS", "did not begin it"]);
    assert_eq!(count(), 2);
}

#[test]
fn a_rollback_that_ecs_refuses_is_reported_with_the_command_that_makes_it() {
    let setting = Setting::new("staging");
    let (pair, digest) = slow(&setting, "refused", &never());
    let denied = json!({"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "not you"});
    fault(&setting, "ecs", "StopServiceDeployment", 1, &denied);
    let expected = [
        "did not become healthy within 5 s",
        "it was not rolled back: cannot roll back service deployment arn:aws:ecs:",
        "the role needs ecs:StopServiceDeployment",
        "continues in ECS; stop it: aws ecs stop-service-deployment --stop-type ROLLBACK --service-deployment-arn arn:",
    ];
    ends(
        &mut pair.deploy(&digest, &["--timeout", "5s"]),
        9,
        &expected,
    );
    assert_eq!(verdict(&setting).as_deref(), Some("failed"));
}

/// ECS refuses because of the state of a deployment that goes on all the same.
#[test]
fn a_conflict_is_not_taken_for_the_end_of_a_deployment_that_ecs_says_is_in_progress() {
    let setting = Setting::new("staging");
    let (pair, digest) = slow(&setting, "conflict", &never());
    let conflict = json!({"kind": "status", "status": 400, "code": "ConflictException", "message": "conflict in the current state"});
    fault(&setting, "ecs", "StopServiceDeployment", 1, &conflict);
    let expected = [
        "it was not rolled back: ",
        "ConflictException: conflict in the current state",
        "continues in ECS; stop it: aws ecs stop-service-deployment",
    ];
    ends(
        &mut pair.deploy(&digest, &["--timeout", "4s"]),
        9,
        &expected,
    );
}

#[test]
fn a_deployment_that_another_one_replaces_is_superseded() {
    let setting = Setting::new("production");
    let (pair, digest) = slow(&setting, "superseded", &never());
    let before = settled(&pair);
    let ours = deploying(&pair, &[], &digest);
    setting.ecs(
        "UpdateService",
        &json!({"cluster": setting.cluster(), "service": "superseded", "taskDefinition": before}),
    );
    let output = ours.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(
        text.contains("another deployment superseded this one: ecs-svc/"),
        "{text}"
    );
    assert!(text.contains("of superseded:1"), "{text}");
    assert_eq!(verdict(&setting).as_deref(), Some("failed"));
}

//! A service that runs one task on each container instance, and one whose desired count changes while it is deployed.

use serde_json::{Value, json};

use super::pair::Pair;
use super::{Setting, ends};
use crate::support::{Started, TIMEOUT, until};

/// ECS wants as many tasks as there are instances, stops one before it starts another one there, and takes no desired count.
#[test]
fn a_daemon_is_deployed_without_a_desired_count() {
    let setting = Setting::new("staging");
    let pair = Pair::named(&setting, "agent");
    let image = setting.image(&["/bin/busybox", "sleep", "600"]);
    let definition = pair.register(&image, &json!({}));
    let network = setting.service()["networkConfiguration"].clone();
    setting.ecs(
        "CreateService",
        &json!({
            "cluster": setting.cluster(), "serviceName": "agent", "schedulingStrategy": "DAEMON",
            "launchType": "EC2", "taskDefinition": definition, "networkConfiguration": network,
            "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}},
        }),
    );
    let complete =
        || (pair.service()["deployments"][0]["rolloutState"] == "COMPLETED").then_some(());
    until("the daemon is complete", TIMEOUT, complete);
    let next = setting.image(&["/bin/busybox", "sleep", "605"]);
    ends(&mut pair.deploy(&next, &[]), 0, &["succeeded", "2 of 2"]);
    let crashing = setting.image(&["/bin/busybox", "sh", "-c", "exit 4"]);
    ends(&mut pair.deploy(&crashing, &[]), 5, &["was rolled back"]);
    assert_eq!(pair.service()["desiredCount"], 2);
}

/// Application Auto Scaling changes the desired count on its own: that is neither undone nor a failure.
#[test]
fn a_scale_out_in_the_middle_is_kept_and_is_not_a_failure() {
    let setting = Setting::new("staging");
    let pair = Pair::new(&setting, "scaled", [100, 200], 1);
    let next = setting.image(&["/bin/busybox", "sleep", "606"]);
    let running = Started::new(&mut pair.deploy(&next, &[]));
    let deployments = || pair.service()["deployments"].as_array().map_or(0, Vec::len);
    until("the deployment begins", TIMEOUT, || {
        (deployments() > 1).then_some(())
    });
    let more: Value = json!({"cluster": setting.cluster(), "service": "scaled", "desiredCount": 3});
    setting.ecs("UpdateService", &more);
    let ended = running.end(TIMEOUT);
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{text}");
    assert_eq!(pair.service()["desiredCount"], 3);
}

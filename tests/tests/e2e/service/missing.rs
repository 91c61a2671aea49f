//! Deploys that need something AWS does not have: the cluster, the service, an active revision of its task definition.

use serde_json::json;

use super::pair::Pair;
use super::{Setting, ends, fault};

#[test]
fn a_missing_cluster_or_service_is_named_by_its_arn() {
    let setting = Setting::new("staging");
    let account = &setting.world.environment("staging").unwrap().account.id;
    let cluster = format!(":{account}:cluster/{}", setting.cluster());
    let words = [
        "there is no service absent in cluster arn:aws:ecs:",
        &format!("{cluster} (MISSING)"),
        "see which there are: aws ecs list-services --cluster arn:aws:ecs:",
        "check the account and the region",
    ];
    ends(&mut setting.command("status", "absent", &[]), 1, &words);
    let missing = json!({"kind": "status", "status": 400, "code": "ClusterNotFoundException",
                         "message": "Cluster not found."});
    fault(&setting, "ecs", "DescribeServices", 1, &missing);
    let words = [
        "there is no cluster arn:aws:ecs:",
        &cluster,
        "see which there are: aws ecs list-clusters",
    ];
    ends(&mut setting.command("status", "absent", &[]), 1, &words);
}

/// Terraform deregisters what it replaces, and a cleaner whatever is old: the service goes on with its revision.
#[test]
fn a_deregistered_revision_is_still_what_the_next_one_is_made_from() {
    let setting = Setting::new("production");
    let pair = Pair::new(&setting, "deregistered", [100, 200], 1);
    let older = pair.service()["taskDefinition"].clone();
    let placeholder = setting.image(&["/bin/busybox", "sleep", "600"]);
    pair.register(&placeholder, &json!({"stopTimeout": 7}));
    let first = setting.image(&["/bin/busybox", "sleep", "606"]);
    ends(&mut pair.deploy(&first, &[]), 0, &["succeeded"]);
    // Of the three revisions only the oldest stays, which lacks what infrastructure brought since.
    let deregister = |arn: &serde_json::Value| {
        setting.ecs("DeregisterTaskDefinition", &json!({"taskDefinition": arn}));
    };
    let running = pair.service()["taskDefinition"].clone();
    deregister(&running);
    deregister(&json!("deregistered:2"));
    let next = setting.image(&["/bin/busybox", "sleep", "607"]);
    let expected = "deregistered:3, which the service uses, was deregistered";
    ends(&mut pair.deploy(&next, &[]), 0, &[expected, "succeeded"]);
    assert_eq!(pair.containers()[0]["stopTimeout"], 7);
    // None is active any more.
    deregister(&pair.service()["taskDefinition"]);
    deregister(&older);
    let last = setting.image(&["/bin/busybox", "sleep", "608"]);
    ends(
        &mut pair.deploy(&last, &[]),
        0,
        &["was deregistered", "succeeded"],
    );
    assert_eq!(pair.containers()[0]["stopTimeout"], 7);
}

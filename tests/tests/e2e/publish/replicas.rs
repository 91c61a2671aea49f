//! Publishing to replicas in other regions and accounts as well.

use super::checkout::Checkout;
use crate::support::{heavy, log};
use serde_json::json;

#[test]
fn replicas_get_the_image_and_one_that_fails_is_named() {
    let _turn = heavy();
    let mut checkout = Checkout::new("replicas");
    let staging = checkout.staging();
    let role = checkout.receiver(&staging);
    let commit = checkout.commit("first");
    let replicas = format!("eu-west-1\n{role}@ca-central-1");
    // ECR refuses every push to the other account.
    checkout.setting.tell(
        "faults",
        &json!({"service": "ecr", "operation": "InitiateLayerUpload", "account": staging.id, "times": 500,
                "fault": {"kind": "status", "status": 403, "code": "DENIED", "message": "not here"}}),
    );
    let failed = log(&checkout.run(&["--to", &replicas], 1));
    let other = checkout.registry(&staging, "ca-central-1");
    assert!(failed.contains(&format!("{other}/storefront")), "{failed}");
    assert!(failed.contains("the image is complete in"), "{failed}");
    let digest = checkout
        .tagged(&commit)
        .expect("the repository itself has it");
    let region = checkout.registry(&checkout.setting.world.build.clone(), "eu-west-1");
    assert_eq!(checkout.head(&region, &commit, None), Some(digest.clone()));
    assert_eq!(checkout.head(&other, &commit, Some(&staging)), None);

    checkout.clear_faults(&staging);
    let done = checkout.json(&["--to", &replicas], 0);
    assert_eq!(done["digest"], digest);
    assert_eq!(done["outcome"], "already published", "{done}");
    assert_eq!(done["to"].as_array().unwrap().len(), 2);
    for host in [&region, &other] {
        let account = (host == &other).then_some(&staging);
        assert_eq!(
            checkout.head(host, &commit, account),
            Some(digest.clone()),
            "{done}"
        );
    }
}

/// The engine keeps times, so that each of the two runs builds another image.
#[test]
fn no_replica_is_tagged_before_the_primary_repository() {
    let _turn = heavy();
    let mut checkout = Checkout::new("primary-fails");
    let build = checkout.setting.world.build.clone();
    let staging = checkout.staging();
    let role = checkout.receiver(&staging);
    let commit = checkout.commit("first");
    let replicas = format!("{role}@ca-central-1");
    checkout.setting.tell(
        "faults",
        &json!({"service": "ecr", "operation": "PutImage", "account": build.id, "times": 500,
                "fault": {"kind": "status", "status": 403, "code": "DENIED", "message": "not here"}}),
    );
    let arguments = ["--no-cache", "--to", &replicas];
    let failed = log(&checkout.run(&arguments, 1));
    assert!(failed.contains("DENIED"), "{failed}");
    let other = checkout.registry(&staging, "ca-central-1");
    assert_eq!(checkout.head(&other, &commit, Some(&staging)), None);

    checkout.clear_faults(&build);
    let done = checkout.json(&arguments, 0);
    assert_eq!(done["outcome"], "built", "{done}");
    let digest = done["digest"].as_str().unwrap().to_owned();
    assert_eq!(checkout.tagged(&commit), Some(digest.clone()));
    assert_eq!(checkout.head(&other, &commit, Some(&staging)), Some(digest));
}

#[test]
fn a_replica_that_cannot_be_reached_keeps_no_other_from_its_image() {
    let _turn = heavy();
    let mut checkout = Checkout::new("unreached");
    let build = checkout.setting.world.build.clone();
    let staging = checkout.staging();
    let commit = checkout.commit("first");
    let role = format!("arn:aws:iam::{}:role/slipway-receive", staging.id);
    let replicas = format!("{role}@ca-central-1\neu-west-1");
    let region = checkout.registry(&build, "eu-west-1");
    let other = checkout.registry(&staging, "ca-central-1");

    // The role is not there yet.
    let failed = log(&checkout.run(&["--to", &replicas], 3));
    for piece in [
        format!("storefront at {role}@ca-central-1"),
        format!("cannot assume {role}"),
        "the image is complete in".to_owned(),
    ] {
        assert!(failed.contains(&piece), "no {piece} in {failed}");
    }
    let digest = checkout.tagged(&commit).expect("the repository has it");
    assert_eq!(checkout.head(&region, &commit, None), Some(digest.clone()));

    // The calls made with that role fail in the same way.
    checkout.receiver(&staging);
    for operation in [
        "DescribeRepositories",
        "CreateRepository",
        "GetAuthorizationToken",
    ] {
        checkout.setting.tell(
            "faults",
            &json!({"service": "ecr", "operation": operation, "account": staging.id, "times": 500,
                    "fault": {"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "not here"}}),
        );
        let failed = log(&checkout.run(&["--to", &replicas], 1));
        assert!(
            failed.contains(&format!("storefront at {role}@ca-central-1")),
            "{failed}"
        );
        checkout.clear_faults(&staging);
    }
    assert_eq!(checkout.head(&other, &commit, Some(&staging)), None);

    let done = checkout.json(&["--to", &replicas], 0);
    assert_eq!(done["digest"], digest);
    assert_eq!(checkout.head(&other, &commit, Some(&staging)), Some(digest));
}

#[test]
fn an_immutable_tag_in_a_replica_is_refused_before_the_build() {
    let _turn = heavy();
    let mut checkout = Checkout::new("taken-there");
    let (theirs, _) = checkout.setting.first();
    let there = ["--to-repository", "storefront", "--to", "eu-west-1"];
    let there = [&there[..], &["--tag", "v1"]].concat();
    checkout.setting.image(&Checkout::copy(&theirs, &there), 0);
    let commit = checkout.commit("first");
    let before = checkout.newest_call();
    let refused = log(&checkout.run(&["--to", "eu-west-1", "--tag", "v1"], 3));
    let expected =
        format!("storefront at eu-west-1: tag v1 already names {theirs} and is immutable");
    assert!(refused.contains(&expected), "{refused}");
    assert!(!refused.contains("builds"), "{refused}");
    assert_eq!(checkout.changes_since(before), [""; 0]);
    assert_eq!(checkout.tagged(&commit), None);
}

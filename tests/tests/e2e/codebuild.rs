//! The demo by CodeBuild, and what it leaves on record in AWS.

use sandbox::demo::Host;

use crate::chains;
use crate::record::{self, calls, images, pushed};
use crate::support::{TIMEOUT, demo, wait};

/// The roles that the projects' builds start with, one a stage.
const STAGES: [&str; 3] = [
    "slipway-codebuild-dev",
    "slipway-codebuild-staging",
    "slipway-codebuild-production",
];

#[test]
fn every_call_is_made_in_the_account_and_by_the_role_of_its_purpose() {
    let ran = demo(Host::Codebuild);
    let calls = wait(TIMEOUT, calls(&ran.world));
    record::keeps_to_the_contract(&ran.world, &calls, &STAGES);
}

#[test]
fn no_step_lacks_a_permission() {
    let ran = demo(Host::Codebuild);
    wait(TIMEOUT, async {
        record::nothing_was_denied(&calls(&ran.world).await);
    });
}

#[test]
fn two_builds_make_what_three_environments_run() {
    let ran = demo(Host::Codebuild);
    let calls = wait(TIMEOUT, calls(&ran.world));
    let commits = [ran.shipped.first.as_str(), ran.shipped.second.as_str()];
    let wanted = wait(TIMEOUT, images(&ran.world, &commits));
    assert_eq!(pushed(&calls), wanted);
}

#[test]
fn production_gets_three_pull_requests_that_two_people_approved() {
    let ran = demo(Host::Codebuild);
    wait(TIMEOUT, chains::production_took_a_range(&ran.world));
}

#[test]
fn every_record_is_signed_and_anchored_and_every_decision_can_be_made_again() {
    wait(TIMEOUT, chains::all_are_sound(demo(Host::Codebuild)));
}

/// A step reads a secret's value for the migration alone; the service's tasks get theirs from their execution role.
#[test]
fn each_version_is_migrated_to_before_the_service_changes() {
    let ran = demo(Host::Codebuild);
    let calls = wait(TIMEOUT, calls(&ran.world));
    for environment in &ran.world.environments {
        let account = Some(environment.account.id.as_str());
        let ours = calls.iter().filter(|call| {
            let deploys = call.role() == Some("slipway-deploy");
            deploys && call.account.as_deref() == account && !call.failed()
        });
        let mut order: Vec<&str> = ours
            .filter_map(|call| match call.operation.as_str() {
                "GetParameters" | "GetSecretValue" | "BatchGetSecretValue" => Some("migrate"),
                "UpdateService" => Some("update"),
                _ => None,
            })
            .collect();
        order.dedup();
        // Two versions came; production went back from the second, which migrates nothing.
        let wanted = ["migrate", "update", "migrate", "update"];
        assert_eq!(order, wanted, "{}", environment.name);
    }
}

//! A team whose members approve promotions.

use serde_json::{Value, json};

use super::approvals::{OnGitHub, WHY};
use crate::support::{TIMEOUT, wait};

const APPROVE: [&str; 3] = ["approve", "--request", "2"];

/// The team's members, whom `readers` may see.
pub(super) fn team(scene: &OnGitHub, members: &[&str], readers: &[&str]) {
    let owner = scene.gate.world.repository.split('/').next().unwrap();
    let new = json!({"team": format!("{owner}/release"), "members": members, "readers": readers});
    wait(TIMEOUT, scene.hub.call("teams", &new)).unwrap();
}

#[test]
fn the_members_of_a_team_approve_as_they_are_now() {
    let scene = OnGitHub::approved_by("gate-team", "[OWNER/release]", "");
    // More than one page of them, and an app.
    let many: Vec<String> = (0..120).map(|number| format!("member-{number}")).collect();
    wait(TIMEOUT, async {
        for login in &many {
            scene.hub.user(login, "User").await.unwrap();
        }
    });
    let mut members: Vec<&str> = many.iter().map(String::as_str).collect();
    members.extend(["approver[bot]", "mallory", "dora", "ada"]);
    // The tests' token is grace's.
    team(&scene, &members, &["grace"]);
    let asked = scene.dispatched("linus", &["request", "--reason", WHY]);
    asked.is(0, &[]);
    let may = asked.json["may_approve"].as_array().unwrap();
    let has = |name: &str| may.iter().any(|one| one == name);
    assert!(
        has("member-119") && has("mallory") && has("dora"),
        "{may:?}"
    );
    assert!(
        !has("approver[bot]") && !has("ada") && !has("linus"),
        "{may:?}"
    );

    scene
        .dispatched("linus", &APPROVE)
        .is(3, &["linus may not approve for production"]);
    scene
        .dispatched("ada", &APPROVE)
        .is(3, &["ada wrote part of it, so somebody else must approve"]);
    // An account of somebody whom the contract does not know counts by its number.
    scene
        .dispatched("mallory", &APPROVE)
        .is(0, &["1 of 1 approvals (mallory)"]);
    scene
        .gate
        .check("linus")
        .is(0, &["1 of 1 approvals (mallory)"]);
    let status = scene.gate.run("linus", &["status"]);
    let waiting = &status.json["environments"][0]["requests"][0];
    assert_eq!(waiting["missing"], 0, "{}", status.text);

    // A person who left the team no longer counts.
    team(&scene, &["dora"], &["grace"]);
    let check = scene.gate.check("linus");
    check.is(
        3,
        &["the contract does not list mallory", "have 1 more of dora"],
    );
    assert_eq!(check.refusing(), ["approved"]);
    scene
        .dispatched("dora", &APPROVE)
        .is(0, &["1 of 1 approvals (dora)"]);
    scene.gate.check("linus").is(0, &[]);

    // A token that may not know of the team, and the token of a job.
    team(&scene, &["dora"], &["dora"]);
    let check = scene.gate.check("linus");
    check.is(3, &["it is not known who is in ", "404", "`members: read`"]);
    assert_eq!(check.refusing(), ["approved"]);
    scene.dispatched("dora", &APPROVE).is(
        3,
        &[
            "the approvers are not known, so nothing was recorded",
            "the token of a job never may",
        ],
    );
    let declared = "{actions: read, checks: read, contents: read, pull-requests: read}";
    let refused = scene.declaring(declared, "dora", &APPROVE);
    refused.is(3, &["403", "the token of a job never may"]);
    let found = wait(TIMEOUT, scene.hub.violations()).unwrap();
    assert_eq!(found, [] as [Value; 0]);
}

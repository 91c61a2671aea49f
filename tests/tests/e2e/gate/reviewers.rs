//! The people and teams whose reviews count, where the gate names them.

use sandbox::runner::hub::{Hub, number};
use sandbox::runner::story::REVIEWER;
use serde_json::json;

use super::{ALLOWED, Gate, digest};
use crate::support::{TIMEOUT, instance, wait};

#[test]
fn only_reviews_of_those_whom_the_gate_names_count() {
    let gate = Gate::new("gate-reviewers");
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    let check = || gate.run("linus", &["check", "--digest", &fix]);
    gate.declare(&format!(", reviewers: [dora, {REVIEWER}]"));
    check().is(0, &[ALLOWED]);
    let stranger = format!("{REVIEWER} is not one of the gate's `reviewers`");
    gate.declare(", reviewers: [dora, eve]");
    let refused = check();
    refused.is(
        3,
        &[&stranger, "have 1 more of dora, eve with write access"],
    );
    assert_eq!(refused.answer("approvals"), "fail");
    let explained = gate.run("linus", &["explain"]);
    explained.is(0, &["by those of dora, eve with write access"]);
    // The login alone is not the person.
    let other = format!(
        "{{id: {}, aws: [{}]}}",
        number(REVIEWER) + 1,
        gate.principal(REVIEWER)
    );
    gate.declare_knowing(REVIEWER, &other, &format!(", reviewers: [{REVIEWER}]"));
    let refused = check();
    refused.is(3, &[&stranger]);
    assert_eq!(refused.answer("approvals"), "fail");
}

#[test]
fn reviews_of_a_teams_members_count_as_the_team_is_now() {
    let gate = Gate::new("gate-reviewing-team");
    let hub = Hub::new(instance(), &gate.world.repository).unwrap();
    wait(TIMEOUT, hub.user("dora", "User")).unwrap();
    let team = format!(
        "{}/review",
        gate.world.repository.split('/').next().unwrap()
    );
    let has = |members: &[&str], readers: &[&str]| {
        let new = json!({"team": team, "members": members, "readers": readers});
        wait(TIMEOUT, hub.call("teams", &new)).unwrap();
    };
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare(&format!(", reviewers: [{team}]"));
    let check = || gate.run("linus", &["check", "--digest", &fix]);
    // The tests' token is the reviewer's.
    has(&[REVIEWER, "dora"], &[REVIEWER]);
    check().is(0, &[ALLOWED]);
    has(&["dora"], &[REVIEWER]);
    let left = check();
    left.is(3, &["is not one of the gate's `reviewers`"]);
    assert_eq!(left.answer("approvals"), "fail");
    has(&["dora"], &["dora"]);
    let unseen = check();
    unseen.is(3, &["it is not known who is in", "`members: read`"]);
    assert_eq!(unseen.answer("approvals"), "unknown");
    gate.run("linus", &["doctor"])
        .is(3, &[&format!("team {team}")]);
}

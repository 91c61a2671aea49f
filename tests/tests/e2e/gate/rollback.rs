//! Back to what was healthy while nothing of GitHub answers, and what stays refused afterwards.

use serde_json::json;

use super::permit::now;
use super::{ALLOWED, Gate, digest};
use crate::support::{PATIENCE, instance, wait};

const FROZEN: &str = ", freeze: [{time-zone: UTC, first: 2000-01-01, last: 2998-12-31}]";

#[test]
fn a_rollback_needs_neither_github_nor_an_open_window() {
    let gate = Gate::new("gate-rollback");
    wait(PATIENCE, gate.world.serve(instance())).unwrap();
    let [good, bad] = ["good", "bad"].map(|mark| gate.image(mark));
    gate.plant("staging", &[gate.healthy(&good, 0), gate.healthy(&bad, 1)]);
    let mut newest = gate.healthy(&bad, 1);
    newest["previous"] = json!(good);
    gate.plant("production", &[gate.healthy(&good, 0), newest]);
    gate.declare(FROZEN);

    let never = gate.without_github("linus", &["check", "--rollback", "--digest", &digest('9')]);
    never.is(3, &["never recorded as healthy in production"]);
    let both = gate.without_github("linus", &["check", "--rollback", "--from", "staging"]);
    both.is(2, &["--from does not apply to a rollback"]);

    // Nobody need say where it goes: to what ran before.
    let allowed = gate.without_github("linus", &["check", "--rollback"]);
    allowed.is(0, &[ALLOWED, &good]);
    let granted = gate.without_github("linus", &["grant", "--rollback"]);
    granted.is(0, &[ALLOWED, &good]);
    let permit = granted.permit();
    gate.begin(permit, "linus", None, &now());
    gate.deploy(&good);
    let permit = permit.to_string();
    let record = [
        "record",
        "--digest",
        &good,
        "--commit",
        &gate.commits[0],
        "--permit",
        &permit,
    ];
    let written = gate.without_github("linus", &record);
    written.is(0, &["record", "GitHub Deployment is not complete"]);
    let from = &written.json["record"]["rollback"]["from"];
    assert_eq!(*from, json!(bad), "{}", written.json);

    // The same run again writes nothing, although the head is its own record now.
    let again = gate.without_github("linus", &record);
    again.is(0, &[]);
    assert_eq!(again.json["already"], true, "{}", again.json);

    gate.declare("");
    let refused = gate.run("linus", &["check", "--digest", &bad]);
    refused.is(
        3,
        &[
            "production was rolled back from it",
            "slipway-promote review",
        ],
    );
    assert_eq!(refused.refusing(), ["rolled back"]);
    let undone = gate.without_github("linus", &["check", "--rollback", "--digest", &bad]);
    undone.is(3, &["nobody has reviewed that"]);
    let status = gate.run("linus", &["status"]);
    status.is(0, &["rolled back from", "not reviewed"]);

    let review = [
        "review",
        "--digest",
        &bad,
        "--reason",
        "the fault was the load test's",
    ];
    gate.run("mallory", &review)
        .is(3, &["does not list mallory@acme.example"]);
    gate.run("linus", &review).is(0, &["reviewed"]);
    let own = gate.run("linus", &["check", "--digest", &bad]);
    own.is(3, &["only linus has reviewed"]);
    gate.run("ada", &review).is(0, &["reviewed"]);
    let allowed = gate.run("linus", &["check", "--digest", &bad]);
    allowed.is(0, &["reviewed by ada"]);
    // Reviews deploy nothing, so they do not move the head.
    let head = &written.json["hash"];
    assert_eq!(allowed.json["head"]["hash"], *head);
}

#[test]
fn a_digest_that_staging_was_rolled_back_from_does_not_go_on() {
    let gate = Gate::new("gate-left");
    let [good, bad] = ['1', '2'].map(digest);
    let mut back = gate.healthy(&good, 0);
    back["rollback"] = json!({"from": bad});
    let staged = [gate.healthy(&good, 0), gate.healthy(&bad, 1), back];
    gate.plant("staging", &staged);
    gate.declare(", rollback: {approvals: 1}");
    let refused = gate.run("linus", &["check", "--digest", &bad]);
    refused.is(
        3,
        &[
            "staging was rolled back from it",
            "deploy this one to staging again",
        ],
    );
    assert_eq!(refused.refusing(), ["rolled back"]);

    // A rollback that needs a review by somebody else.
    gate.plant(
        "production",
        &[gate.healthy(&good, 0), gate.healthy(&bad, 1)],
    );
    let alone = gate.without_github("linus", &["check", "--rollback"]);
    alone.is(3, &["0 of 1 reviews", "slipway-promote review"]);
    let review = ["review", "--digest", &good, "--reason", "bring it back"];
    gate.without_github("grace", &review).is(0, &[]);
    let approved = gate.without_github("linus", &["check", "--rollback"]);
    approved.is(0, &["reviewed by grace"]);
    let own = gate.without_github("grace", &["check", "--rollback"]);
    own.is(3, &["0 of 1 reviews"]);
}

/// A run that is run again has the contract of its day, and nothing of GitHub is asked.
#[test]
fn a_rollback_by_an_earlier_gate_is_refused() {
    let gate = Gate::new("gate-earlier");
    let next = digest('3');
    gate.plant("staging", &[gate.healthy(&next, 2)]);
    let production = [gate.healthy(&digest('1'), 0), gate.healthy(&digest('2'), 1)];
    gate.plant("production", &production);
    let (grant, back) = (["grant", "--digest", &next], ["check", "--rollback"]);
    let (earlier, newer) = ("", ", soak: 1s");
    for declared in [earlier, newer] {
        gate.declare(declared);
        gate.without_github("linus", &back).is(0, &[ALLOWED]);
        gate.run("linus", &grant).is(0, &[ALLOWED]);
    }
    gate.without_github("linus", &back).is(0, &[ALLOWED]);
    gate.declare(earlier);
    let refused = gate.without_github("linus", &back);
    refused.is(3, &["is an earlier one", "start a new run on main"]);
    assert_eq!(refused.refusing(), ["policy"]);
    // It was changed back on purpose, which a promotion shows.
    gate.run("linus", &grant).is(0, &[ALLOWED]);
    gate.without_github("linus", &back).is(0, &[ALLOWED]);
}

/// Whoever may start a promotion can cancel hundreds of them, each of which is recorded.
#[test]
fn a_thousand_failures_do_not_hide_what_runs() {
    let gate = Gate::new("gate-failures");
    let next = digest('3');
    gate.plant("staging", &[gate.healthy(&next, 2)]);
    let mut failed = gate.healthy(&next, 2);
    failed["verdict"] = json!("failed");
    failed["previous"] = json!(digest('2'));
    let mut records = vec![gate.healthy(&digest('1'), 0), gate.healthy(&digest('2'), 1)];
    records.resize(1050, failed);
    gate.plant("production", &records);
    gate.declare("");
    gate.run("linus", &["check", "--digest", &next])
        .is(0, &[ALLOWED]);
    let back = gate.without_github("linus", &["check", "--rollback"]);
    back.is(0, &[ALLOWED, &digest('2')]);
}

//! Soak, freezes, calendars, what still runs, and the way forward.

use serde_json::json;

use super::{ALLOWED, Gate, digest};
use crate::support::{TIMEOUT, instance, now, until, wait};

#[test]
fn each_rule_refuses_by_itself_and_says_what_to_do() {
    let gate = Gate::new("gate-times");
    let [first, second, third] = ['1', '2', '3'].map(digest);
    let staged = [(&first, 0), (&second, 1), (&third, 2)];
    let mut staged: Vec<_> = staged
        .iter()
        .map(|(digest, commit)| gate.healthy(digest, *commit))
        .collect();
    staged[2]["at"] = "2999-01-01T00:00:00Z".into();
    gate.plant("staging", &staged);
    gate.plant("production", &[gate.healthy(&second, 1)]);
    let check = |more: &str, digest: &str| {
        gate.declare(more);
        gate.run("linus", &["check", "--digest", digest])
    };

    // The digest that already runs passes every rule.
    gate.calendar("sales", "OPEN", Some("2999-01-01T00:00:00Z"));
    let all = ", soak: 1h, calendars: [sales], freeze: [{time-zone: America/Toronto, first: 2999-01-01, last: 2999-01-02}]";
    let passes = check(all, &second);
    passes.is(0, &["sales is open until 2999-01-01T00:00:00Z"]);
    assert_eq!(passes.answer("soak"), "pass");
    assert_eq!(passes.answer("calendar"), "pass");
    assert_eq!(passes.answer("freeze"), "pass");
    assert_eq!(passes.answer("forward"), "pass");

    let older = check("", &first);
    older.is(
        3,
        &["is older than", "grant --environment production --rollback"],
    );
    assert_eq!(older.answer("forward"), "fail");

    let newer = check("", &third);
    newer.is(0, &[ALLOWED]);
    let unsoaked = check(", soak: 1h", &third);
    // Its record is from a future that only a wrong clock can have written.
    unsoaked.is(3, &["soak", "set the clocks"]);
    assert_eq!(unsoaked.refusing(), ["soak"]);
    let long = check(", soak: 9999d", &second);
    long.is(3, &["are asked", "promote it after"]);
    assert_eq!(long.refusing(), ["soak"]);

    let frozen = check(
        ", freeze: [{time-zone: UTC, first: 2000-01-01, last: 2998-12-31, reason: no sales}]",
        &third,
    );
    frozen.is(
        3,
        &["frozen: from 2000-01-01 to 2998-12-31 in UTC (no sales)"],
    );
    assert_eq!(frozen.refusing(), ["freeze"]);

    gate.calendar("payday", "CLOSED", Some("2998-12-31T12:00:00Z"));
    let closed = check(", calendars: [sales, payday]", &third);
    closed.is(
        3,
        &["payday is closed", "promote after 2998-12-31T12:00:00Z"],
    );
    assert_eq!(closed.refusing(), ["calendar"]);
    let unknown = check(", calendars: [nobody]", &third);
    unknown.is(
        3,
        &["cannot read change calendar nobody", "ssm:GetCalendarState"],
    );
    assert_eq!(unknown.answer("calendar"), "unknown");
}

/// A role that may write records may write any time into one, but not before the record that it follows, and not into S3.
#[test]
fn a_record_that_says_too_early_a_time_does_not_shorten_the_soak() {
    let gate = Gate::new("gate-antedated");
    let [running, planted] = ['1', '2'].map(digest);
    let mut before = gate.healthy(&running, 0);
    before["at"] = now().into();
    let antedated = gate.healthy(&planted, 1);
    let at = antedated["at"].as_str().unwrap().to_owned();
    let message = format!("which says {at} and was written at ");
    gate.plant("production", &[gate.healthy(&running, 0)]);
    let check = || {
        let check = gate.run("linus", &["check", "--digest", &planted]);
        check.is(3, &[&message, "promote it after"]);
        assert_eq!(check.refusing(), ["soak"]);
    };
    gate.plant("staging", &[before, antedated.clone()]);
    gate.declare(", soak: 1h");
    check();

    // The chain says one time throughout, and the anchor got it now.
    let one_time = [gate.healthy(&running, 0), antedated];
    gate.plant("staging", &one_time);
    gate.run("linus", &["check", "--digest", &planted])
        .is(0, &[ALLOWED]);
    gate.plant_anchored("staging", &one_time);
    gate.anchor();
    check();
}

#[test]
fn still_running_refuses_a_digest_that_staging_no_longer_runs() {
    let gate = Gate::new("gate-running");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let placeholder = wait(TIMEOUT, gate.world.placeholder(instance())).unwrap();
    let (_, running) = placeholder.split_once('@').unwrap();
    let gone = digest('1');
    gate.plant(
        "staging",
        &[gate.healthy(&gone, 0), gate.healthy(running, 1)],
    );
    gate.declare(", still-running: true");
    let refused = gate.run("linus", &["check", "--digest", &gone]);
    refused.is(3, &["staging does not run it healthy"]);
    assert_eq!(refused.refusing(), ["still running"]);
    // The service may still be starting.
    let there = until("staging runs the placeholder", TIMEOUT, || {
        let there = gate.run("linus", &["check", "--digest", running]);
        (there.answer("still running") == "pass").then_some(there)
    });
    there.is(0, &["staging runs it, healthy"]);

    let seen = gate.run("linus", &["doctor"]);
    seen.is(0, &["service in staging", "ledger of production"]);
    gate.declare(", still-running: true, calendars: [nobody]");
    let unseen = gate.run("linus", &["doctor"]);
    unseen.is(3, &["calendar nobody", "ssm:GetCalendarState"]);
    let stranger = gate.run("mallory", &["doctor"]);
    let principal = gate.principal("mallory");
    let unlisted = format!("the contract does not list {principal}");
    stranger.is(3, &[&unlisted, &format!("LOGIN: [{principal}]")]);
}

/// What runs came by a break-glass, so the commits of the older promotion were examined all the same.
#[test]
fn an_older_commit_than_what_a_break_glass_brought_does_not_go_on() {
    let gate = Gate::new("gate-older");
    let [first, second, third] = ['1', '2', '3'].map(digest);
    gate.plant("staging", &[gate.healthy(&second, 1)]);
    let by = json!({"login": "linus"});
    let mut glass = gate.healthy(&third, 2);
    glass["break_glass"] = json!({"reason": "down", "by": by, "expires": "2026-11-21T19:00:00Z"});
    let mut review = gate.healthy(&third, 2);
    review["verdict"] = json!("reviewed");
    review["actor"] = json!({"login": "dora"});
    review["reason"] = json!("right so");
    gate.plant("production", &[gate.healthy(&first, 0), glass, review]);
    gate.declare("");
    let older = gate.run("linus", &["check", "--digest", &second]);
    older.is(3, &["is older than"]);
    assert_eq!(older.refusing(), ["forward"], "{}", older.text);
}

/// A digest that was healthy in staging and failed there afterwards has its newest record against it.
#[test]
fn a_digest_that_failed_again_in_staging_does_not_go_on() {
    let gate = Gate::new("gate-failed-again");
    let fix = digest('2');
    let healthy = gate.healthy(&fix, 1);
    let mut failed = healthy.clone();
    failed["verdict"] = "failed".into();
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    let check = ["check", "--digest", &fix];
    gate.plant("staging", std::slice::from_ref(&healthy));
    gate.run("linus", &check).is(0, &[ALLOWED]);
    gate.plant("staging", &[healthy, failed]);
    let refused = gate.run("linus", &check);
    refused.is(3, &["failed"]);
    assert_eq!(refused.refusing(), ["digest"]);
}

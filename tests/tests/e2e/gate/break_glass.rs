//! Break-glass: who may, what is recorded, and the debt that follows.

use sandbox::runner::hub::Hub;
use serde_json::{Value, json};

use super::{ALLOWED, Gate, digest};
use crate::support::{TIMEOUT, instance, now, wait};

const REASON: &str = "the shop is down";

/// One story, as long as it has steps: each of them rests on the records of those before it.
#[test]
fn a_break_glass_is_recorded_and_refuses_until_another_person_reviews_it() {
    let gate = Gate::new("gate-glass");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let fix = gate.image("fix");
    let next = digest('3');
    gate.plant("staging", &[gate.healthy(&fix, 1), gate.healthy(&next, 2)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.calendar("sales", "CLOSED", None);
    let declare = |glass: &str| gate.declare(&format!(", calendars: [sales]{glass}"));
    let check = |person: &str, digest: &str| {
        gate.run(
            person,
            &["check", "--digest", digest, "--break-glass", REASON],
        )
    };

    declare("");
    let nobody = check("linus", &fix);
    nobody.is(
        3,
        &["the contract lets nobody use break-glass in production"],
    );
    declare(", break-glass: {people: [linus]}");
    let stranger = check("ada", &fix);
    stranger.is(
        3,
        &[
            "ada may not use break-glass",
            "have one of these people start the promotion: linus",
        ],
    );
    let unseen = check("linus", &digest('9'));
    unseen.is(3, &["no record of this digest in staging"]);
    let silent = gate.run("linus", &["check", "--digest", &fix, "--break-glass", " "]);
    silent.is(2, &["say why"]);

    let broken = check("linus", &fix);
    broken.is(0, &["BREAK-GLASS by linus: the shop is down"]);
    assert_eq!(broken.answer("calendar"), "break-glass");
    // Also while GitHub says nothing at all.
    let arguments = ["check", "--digest", &fix, "--break-glass", REASON];
    let dark = gate.without_github("linus", &arguments);
    dark.is(0, &["BREAK-GLASS by"]);
    assert_eq!(dark.answer("approvals"), "break-glass");
    assert_eq!(dark.answer("digest"), "pass");

    let granted = gate.run(
        "linus",
        &["grant", "--digest", &fix, "--break-glass", REASON],
    );
    let unverified = ["keys.ledger", "anchor", "keys.provenance"]
        .map(|name| format!("the contract names no `build.{name}`"));
    let mut lines: Vec<&str> = unverified.iter().map(String::as_str).collect();
    lines.push("BREAK-GLASS by linus: the shop is down");
    granted.is(0, &lines);
    let permit = granted.permit();
    gate.begin(permit, "linus", None, &now());
    // It is owed from here on, whatever is recorded.
    gate.run("grace", &["status"])
        .is(0, &["BREAK-GLASS by linus"]);
    gate.deploy(&fix);
    let record = ["record", "--digest", &fix, "--commit", &gate.commits[1]];
    let bare = gate.run("linus", &[&record[..], &["--break-glass", REASON]].concat());
    bare.is(3, &["production has a gate, and no permit is given"]);
    let permit = permit.to_string();
    let written = gate.run("linus", &[&record[..], &["--permit", &permit]].concat());
    written.is(0, &[]);
    let glass = &written.json["record"]["break_glass"];
    assert_eq!(glass["reason"], REASON, "{}", written.json);
    assert_eq!(glass["by"]["login"], "linus", "{}", written.json);
    assert!(glass["expires"].is_string(), "{}", written.json);
    gate.run("grace", &["status"])
        .is(0, &["BREAK-GLASS by linus"]);

    gate.calendar("sales", "OPEN", None);
    is_owed_until_another_reviews(&gate, &fix, &next);

    // Where every rule passes, break-glass is not needed and nothing to review.
    let whole = check("linus", &next);
    whole.is(0, &["break-glass is not needed"]);
    assert_eq!(whole.json["break_glass"], json!(null));
}

fn is_owed_until_another_reviews(gate: &Gate, fix: &str, next: &str) {
    let owed = gate.run("ada", &["check", "--digest", next]);
    owed.is(3, &["linus used break-glass", "somebody other than linus"]);
    assert_eq!(owed.refusing(), ["debt"]);
    let review = ["review", "--digest", fix, "--reason", "right to do so"];
    gate.run("linus", &review)
        .is(3, &["somebody else must review it"]);
    // The change is hers.
    gate.run("ada", &review).is(0, &["reviewed"]);
    let own = gate.run("linus", &["check", "--digest", next]);
    own.is(3, &["only ada, who contributed to it, has reviewed that"]);
    assert_eq!(own.refusing(), ["debt"]);
    gate.run("dora", &review).is(0, &["reviewed"]);
    let settled = gate.run("linus", &["check", "--digest", next]);
    settled.is(0, &[ALLOWED]);
    assert_eq!(settled.answer("debt"), "not asked");
}

/// Two pull requests that somebody merges by hand in one commit: GitHub shows both as merged, and the second one's head is none of
/// the first two parents.
#[test]
fn who_opened_a_pull_request_that_was_merged_by_hand_has_a_hand_in_it() {
    let mut gate = Gate::new("gate-octopus");
    let hub = Hub::new(instance(), &gate.world.repository).unwrap();
    let act = |action: &str, body: &Value| wait(TIMEOUT, hub.act(action, body)).unwrap();
    let open = |branch: &str, opener: &str| {
        let files = json!({(format!("{branch}.txt")): "x\n"});
        act(
            "push",
            &json!({"user": "grace", "branch": branch, "from": "main", "files": files}),
        );
        let pull = json!({"user": opener, "head": branch, "title": branch});
        act("pulls", &pull)["number"].as_u64().unwrap()
    };
    let (first, second) = (open("one", "grace"), open("two", "ada"));
    let by_hand = json!({"user": "grace", "along": [second]});
    let merged = act(&format!("pulls/{first}/merge"), &by_hand);
    gate.commits
        .push(merged["sha"].as_str().unwrap().to_owned());
    let (fix, next) = (digest('2'), digest('3'));
    gate.plant("staging", &[gate.healthy(&fix, 3), gate.healthy(&next, 3)]);
    let by = json!({"login": "linus"});
    let mut glass = gate.healthy(&fix, 3);
    glass["break_glass"] = json!({"reason": REASON, "by": by, "expires": "2026-11-21T19:00:00Z"});
    gate.plant("production", &[gate.healthy(&digest('1'), 2), glass]);
    gate.declare("");
    let review = ["review", "--digest", &fix, "--reason", "right to do so"];
    gate.run("ada", &review).is(0, &["reviewed"]);
    let check = ["check", "--digest", &next];
    let own = gate.run("linus", &check);
    own.is(3, &["only ada, who contributed to it, has reviewed that"]);
    assert_eq!(own.answer("debt"), "fail");
    gate.run("dora", &review).is(0, &["reviewed"]);
    assert_eq!(gate.run("linus", &check).answer("debt"), "not asked");
}

/// A person who used break-glass does not settle the debt with a second account.
#[test]
fn a_second_account_of_the_person_who_used_break_glass_is_not_another_person() {
    let gate = Gate::new("gate-second");
    let (fix, next) = (digest('2'), digest('3'));
    gate.plant("staging", &[gate.healthy(&fix, 1), gate.healthy(&next, 2)]);
    let mut glass = gate.healthy(&fix, 1);
    glass["actor"] = json!({"login": "grace", "id": 1001});
    glass["break_glass"] =
        json!({"reason": REASON, "by": glass["actor"], "expires": "2026-11-21T19:00:00Z"});
    let mut review = gate.healthy(&fix, 1);
    review["verdict"] = json!("reviewed");
    review["actor"] = json!({"login": "grace-admin", "id": 1002});
    review["reason"] = json!("right to do so");
    gate.plant(
        "production",
        &[gate.healthy(&digest('1'), 0), glass, review],
    );
    let known = format!(
        "{{id: 1001, accounts: {{grace-admin: 1002}}, aws: [{}]}}",
        gate.principal("grace")
    );
    gate.declare_knowing("grace", &known, "");
    let owed = gate.run("linus", &["check", "--digest", &next]);
    owed.is(
        3,
        &["grace used break-glass", "nobody else has reviewed it"],
    );
    assert_eq!(owed.refusing(), ["debt"]);
    let arguments = ["review", "--digest", &fix, "--reason", "once more"];
    let again = gate.run("grace", &arguments);
    again.is(3, &["somebody else must review it"]);
    gate.run("dora", &arguments).is(0, &["reviewed"]);
    gate.run("linus", &["check", "--digest", &next])
        .is(0, &[ALLOWED]);
}

//! Back to what was healthy while nothing of GitHub answers, and what stays refused afterwards.

use sandbox::runner::hub::Hub;
use serde_json::{Value, json};

use super::{ALLOWED, Gate, digest, ended};
use crate::support::{TIMEOUT, instance, now, wait};

const FROZEN: &str = ", freeze: [{time-zone: UTC, first: 2000-01-01, last: 2998-12-31}]";

#[test]
fn a_rollback_needs_neither_github_nor_an_open_window() {
    let gate = Gate::new("gate-rollback");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
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

    // The target is optional: it goes back to what ran before.
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
    gate.run("mallory", &review).is(
        3,
        &[&format!("does not list {}", gate.principal("mallory"))],
    );
    gate.run("linus", &review).is(0, &["reviewed"]);
    let own = gate.run("linus", &["check", "--digest", &bad]);
    own.is(3, &["only linus has reviewed"]);
    // The change is hers.
    gate.run("ada", &review).is(0, &["reviewed"]);
    let own = gate.run("linus", &["check", "--digest", &bad]);
    own.is(3, &["who contributed to it, has reviewed that"]);
    assert_eq!(own.refusing(), ["rolled back"]);
    gate.run("dora", &review).is(0, &["reviewed"]);
    let allowed = gate.run("linus", &["check", "--digest", &bad]);
    allowed.is(0, &["reviewed by dora"]);
    // Reviews deploy nothing, so they do not move the head.
    let head = &written.json["hash"];
    assert_eq!(allowed.json["head"]["hash"], *head);
}

/// A change by somebody else that leaves the image as it is: another commit with the same digest. Answers the commit.
fn unbuilt_change(gate: &Gate) -> String {
    let hub = Hub::new(instance(), &gate.world.repository).unwrap();
    let act = |action: &str, body: &Value| wait(TIMEOUT, hub.act(action, body)).unwrap();
    let files = json!({"README.md": "Read me\n"});
    let push = json!({"user": "grace", "branch": "readme", "from": "main", "files": files});
    act("push", &push);
    let open = json!({"user": "grace", "head": "readme", "title": "Say more"});
    let pull = act("pulls", &open);
    let check = json!({"ref": pull["head_sha"], "name": "test", "conclusion": "success"});
    act("check-runs", &check);
    let number = pull["number"].as_u64().unwrap();
    let review = json!({"user": "linus", "state": "APPROVED"});
    act(&format!("pulls/{number}/reviews"), &review);
    let merged = act(&format!("pulls/{number}/merge"), &json!({"user": "linus"}));
    merged["sha"].as_str().unwrap().to_owned()
}

/// The author of what was rolled back does not clear it under another commit, nor where the version before it is far back.
#[test]
fn a_second_commit_of_a_digest_does_not_hide_who_wrote_it() {
    let mut gate = Gate::new("gate-recommit");
    let (good, bad) = (digest('1'), digest('2'));
    let commit = unbuilt_change(&gate);
    gate.commits.push(commit);
    gate.plant("staging", &[gate.healthy(&bad, 3)]);
    gate.declare("");
    let reviewed = |digest: &str, commit: usize, by: &str| {
        let mut review = gate.healthy(digest, commit);
        review["verdict"] = json!("reviewed");
        review["actor"] = json!({"login": by});
        review["reason"] = json!("right so");
        review
    };
    let mut back = gate.healthy(&good, 0);
    back["rollback"] = json!({"from": bad});
    for between in [0, 12] {
        let mut records = vec![gate.healthy(&good, 0)];
        records.extend((0..between).map(|_| reviewed(&good, 0, "dora")));
        let then = [
            gate.healthy(&bad, 1),
            back.clone(),
            reviewed(&bad, 1, "ada"),
        ];
        records.extend(then);
        gate.plant("production", &records);
        let own = gate.run("linus", &["check", "--digest", &bad]);
        own.is(3, &["only ada, who contributed to it, has reviewed that"]);
        assert_eq!(own.refusing(), ["rolled back"], "{}", own.text);
    }
    let review = ["review", "--digest", &bad, "--reason", "it is mended"];
    gate.run("dora", &review).is(0, &["reviewed"]);
    gate.run("linus", &["check", "--digest", &bad])
        .is(0, &[ALLOWED]);
}

/// A rollback brings a digest back past no author's review either, where GitHub answers.
#[test]
fn a_rollback_asks_who_had_a_hand_in_what_comes_back() {
    let gate = Gate::new("gate-back-again");
    let [good, bad] = ['1', '2'].map(digest);
    let mut back = gate.healthy(&good, 0);
    back["rollback"] = json!({"from": bad});
    let records = [gate.healthy(&good, 0), gate.healthy(&bad, 1), back];
    gate.plant_anchored("production", &records);
    gate.declare("");
    gate.anchor();
    let review = ["review", "--digest", &bad, "--reason", "it is mended"];
    gate.run("ada", &review).is(0, &["reviewed"]);
    let again = ["grant", "--rollback", "--digest", &bad];
    let own = ended(&mut gate.built("linus", "1", &again));
    own.is(3, &["only ada, who contributed to it, has reviewed that"]);
    assert_eq!(own.refusing(), ["rolled back"]);
    let asked = ["check", "--rollback", "--digest", &bad];
    let outage = gate.without_github("linus", &asked);
    outage.is(0, &["GitHub did not tell who contributed to it"]);
    gate.run("dora", &review).is(0, &["reviewed"]);
    let granted = ended(&mut gate.built("linus", "1", &again));
    granted.is(0, &[ALLOWED, "reviewed by dora"]);
    let verified = gate.run("grace", &["verify"]);
    verified.is(0, &[]);
    assert_eq!(verified.json["decisions"]["followed"], 1);
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

/// Nobody else is awake to review the digest that is to come back.
#[test]
fn one_person_of_break_glass_goes_back_without_a_review_and_owes_one() {
    let gate = Gate::new("gate-alone");
    let next = digest('3');
    gate.plant("staging", &[gate.healthy(&next, 2)]);
    let production = [gate.healthy(&digest('1'), 0), gate.healthy(&digest('2'), 1)];
    gate.plant("production", &production);
    gate.declare(", rollback: {approvals: 1}, break-glass: {people: [linus]}");
    let past = |verb, person: &str, digest: &str| {
        let reason = ["--break-glass", "the shop is down"];
        let arguments = [&[verb, "--rollback", "--digest", digest][..], &reason].concat();
        gate.without_github(person, &arguments)
    };
    let stranger = past("check", "ada", &digest('1'));
    stranger.is(3, &["ada may not use break-glass"]);
    // A digest that was never healthy here does not come back.
    let never = past("check", "linus", &digest('9'));
    never.is(3, &["never recorded as healthy in production"]);
    let granted = past("grant", "linus", &digest('1'));
    granted.is(0, &["BREAK-GLASS by linus: the shop is down"]);
    assert_eq!(granted.answer("approvals"), "break-glass");
    gate.begin(granted.permit(), "linus", None, &now());
    let owed = gate.run("ada", &["check", "--digest", &next]);
    owed.is(3, &["linus used break-glass", "somebody other than linus"]);
    assert_eq!(owed.refusing(), ["debt"]);
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
    let (earlier, newer) = (
        ", break-glass: {people: [linus]}",
        ", soak: 1s, break-glass: {people: [linus]}",
    );
    for declared in [earlier, newer] {
        gate.declare(declared);
        gate.without_github("linus", &back).is(0, &[ALLOWED]);
        gate.run("linus", &grant).is(0, &[ALLOWED]);
    }
    gate.without_github("linus", &back).is(0, &[ALLOWED]);
    gate.declare(earlier);
    let refused = gate.without_github("linus", &back);
    refused.is(
        3,
        &[
            "is not the one that the newest promotion",
            "start a new run on main",
        ],
    );
    assert_eq!(refused.refusing(), ["policy"]);
    // It was changed back on purpose. GitHub knows that, if the branch has the contract that judges.
    let built = ended(&mut gate.built("linus", "1", &back));
    built.is(0, &[ALLOWED, "the newest commit of main"]);
    // Without GitHub, a person whom the contract lists overrides it on record.
    let past = |verb, person: &str| {
        gate.without_github(
            person,
            &[verb, "--rollback", "--break-glass", "GitHub is down"],
        )
    };
    let stranger = past("check", "ada");
    stranger.is(3, &["ada may not use break-glass"]);
    let granted = past("grant", "linus");
    granted.is(0, &["BREAK-GLASS by linus: GitHub is down"]);
    assert_eq!(granted.answer("policy"), "break-glass");
    let chain = gate.chain();
    let (permit, _) = chain.last().unwrap();
    assert_eq!(permit["break_glass"]["by"]["login"], "linus", "{permit}");
    assert!(permit["rollback"].is_object(), "{permit}");
    // Where every rule passes there is nothing to override.
    gate.declare(newer);
    let whole = past("grant", "linus");
    whole.is(0, &["so break-glass is not needed"]);
    assert_eq!(gate.chain().last().unwrap().0["break_glass"], json!(null));
    // A promotion by the gate at hand settles it as well.
    gate.declare(earlier);
    gate.run("linus", &grant).is(0, &[ALLOWED]);
    gate.without_github("linus", &back).is(0, &[ALLOWED]);
}

/// Nothing there needs a permit, and nothing takes one.
#[test]
fn a_rollback_where_there_is_no_gate_writes_nothing() {
    let gate = Gate::new("gate-none");
    let [good, bad] = ['1', '2'].map(digest);
    gate.plant(
        "production",
        &[gate.healthy(&good, 0), gate.healthy(&bad, 1)],
    );
    let contract = "version: 1\nservice: storefront\nimage: {repository: placeholder}\n\
        build: {account: var:BUILD_ACCOUNT_ID, region: ca-central-1}\n\
        environments:\n  production: {account: var:PRODUCTION_ACCOUNT_ID}\n";
    std::fs::write(gate.folder.path().join("delivery.yaml"), contract).unwrap();
    let granted = gate.without_github("linus", &["grant", "--rollback"]);
    granted.is(0, &[ALLOWED, &good]);
    assert_eq!(granted.json["permit"], json!(null), "{}", granted.json);
    assert_eq!(gate.chain().len(), 2);
}

/// A person who may start a promotion can cancel hundreds of them, each of which is recorded.
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

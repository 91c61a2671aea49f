//! The gate's times: freezes, soak, and who may use break-glass.

use super::*;
use crate::contract::model::{Approve, BreakGlass, Formerly, Freeze, Notify, Weekday};
use expect_test::expect;

fn gated(gate: &str) -> String {
    let people = "people: {ada: {id: 1}, mia: [arn:aws:iam::111111111111:user/mia]}\n";
    with(people).replace("follows: dev", &format!("follows: dev, gate: {{{gate}}}"))
}

fn gate(text: &str) -> Gate {
    resolved(&gated(text), "live").gate
}

fn mistake(gate: &str) -> String {
    let error = parse(path(), &gated(gate)).unwrap_err();
    let [only] = error.locations.as_slice() else {
        panic!("{error}");
    };
    only.message.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_gate_without_times_is_written_as_it_was_before_there_were_any() {
    expect![[r#"{"required":true,"branch":"main","approvals":2,"checks":[],"workflow":null}"#]]
        .assert_eq(&serde_json::to_string(&gate("approvals: 2")).unwrap());
}

#[test]
fn a_gate_says_whether_infrastructure_needs_a_permitted_plan() {
    assert!(gate("plan: true").plan);
    assert!(!gate("approvals: 2").plan);
    // The hash of a gate that does not ask for it stays what it was.
    expect![[r#"{"required":true,"branch":"main","approvals":1,"checks":[],"workflow":null}"#]]
        .assert_eq(&serde_json::to_string(&gate("plan: false")).unwrap());
}

#[test]
fn a_rollback_needs_as_many_people_as_approve_a_promotion_unless_the_gate_says_otherwise() {
    for (declared, wanted) in [
        ("checks: []", 0),
        ("approvals: 2", 0),
        ("approve: {people: [acme/release]}", 1),
        ("approve: {count: 2, people: [acme/release]}", 2),
        (
            "approve: {count: 2, people: [acme/release]}, rollback: {}",
            2,
        ),
        (
            "approve: {count: 2, people: [acme/release]}, rollback: {approvals: 1}",
            1,
        ),
        (
            "approve: {count: 2, people: [acme/release]}, rollback: {approvals: 0}",
            0,
        ),
        ("rollback: {approvals: 3}", 3),
        ("rollback: {approvals: 100}", 100),
    ] {
        assert_eq!(gate(declared).rollback_approvals, wanted, "{declared}");
    }
    // Where there is no gate, nothing is asked.
    let text = "version: 1\nservice: shop\nbuild: {account: \"012345678901\", region: eu-west-1}\n\
                environments: {dev: {account: \"111111111111\"}}\n";
    assert_eq!(super::resolved(text, "dev").gate.rollback_approvals, 0);
}

#[test]
fn a_gate_says_what_its_branch_was_called() {
    let found = gate("branch: trunk, formerly: {branch: main, until: 2026-11-20}");
    let formerly = Formerly {
        branch: "main".to_owned(),
        until: "2026-11-20".to_owned(),
    };
    assert_eq!(found.formerly, Some(formerly));
    let later = gate("branch: trunk, formerly: {branch: main, until: 2026-11-21}");
    assert_ne!(
        serde_json::to_string(&found).unwrap(),
        serde_json::to_string(&later).unwrap()
    );
    assert_eq!(
        mistake("formerly: {branch: main, until: 2026-02-30}"),
        "there is no day 2026-02-30"
    );
}

#[test]
fn times_are_resolved() {
    let found = gate(
        "soak: 1h30m, still-running: true, calendars: [freezes], rollback: {approvals: 1}, \
         break-glass: {people: [ada]}, freeze: [\
         {time-zone: America/Toronto, weekdays: [friday, sunday], from: \"16:00\", reason: the weekend}, \
         {time-zone: UTC, first: 2026-12-20, last: 2027-01-03}]",
    );
    assert_eq!(found.soak, Some(5400));
    assert!(found.still_running);
    assert_eq!(found.calendars, ["freezes"]);
    assert_eq!(found.rollback_approvals, 1);
    assert_eq!(
        found.break_glass,
        Some(BreakGlass {
            people: vec!["ada".to_owned()],
            expires: 3600
        })
    );
    let weekend = Freeze {
        time_zone: "America/Toronto".to_owned(),
        weekdays: vec![Weekday::Friday, Weekday::Sunday],
        from: Some("16:00".to_owned()),
        to: None,
        days: None,
        reason: Some("the weekend".to_owned()),
    };
    let holidays = Freeze {
        time_zone: "UTC".to_owned(),
        weekdays: Vec::new(),
        from: None,
        to: None,
        days: Some(("2026-12-20".to_owned(), "2027-01-03".to_owned())),
        reason: None,
    };
    assert_eq!(found.freeze, [weekend, holidays]);
    let day = gate("freeze: [{time-zone: UTC, first: 2026-12-20, last: 2026-12-20}]");
    assert_eq!(day.freeze.len(), 1);
}

#[test]
fn times_that_mean_nothing_are_mistakes() {
    for (gate, message) in [
        (
            "freeze: [{time-zone: America/Toronot, from: \"16:00\"}]",
            "there is no time zone `America/Toronot`",
        ),
        ("freeze: [{time-zone: UTC}]", "this freeze never ends"),
        (
            "freeze: [{time-zone: UTC, weekdays: []}]",
            "`weekdays` is empty, so this freezes nothing",
        ),
        (
            "freeze: [{time-zone: UTC, from: \"16:00\", to: \"16:00\"}]",
            "this ends when it begins",
        ),
        (
            "freeze: [{time-zone: UTC, first: 2026-12-20}]",
            "`last` is missing here",
        ),
        (
            "freeze: [{time-zone: UTC, last: 2026-12-20}]",
            "`first` is missing here",
        ),
        (
            "freeze: [{time-zone: UTC, first: 2026-02-30, last: 2026-03-01}]",
            "there is no day 2026-02-30",
        ),
        (
            "freeze: [{time-zone: UTC, first: 2027-01-03, last: 2026-12-20}]",
            "the last day is before the first",
        ),
        (
            "break-glass: {people: [ada], expires: 25h}",
            "this is not between 1s and 24h",
        ),
        (
            "break-glass: {people: [ada], expires: 0s}",
            "this is not between 1s and 24h",
        ),
        (
            "break-glass: {people: []}",
            "`people` is empty, so nobody may use break-glass",
        ),
        (
            "break-glass: {people: ['deploy[bot]']}",
            "deploy[bot] is not a person",
        ),
        (
            "break-glass: {people: [ada, eve]}",
            "`people` of the contract does not list eve",
        ),
        (
            "break-glass: {people: [ada, mia]}",
            "`people` of the contract gives mia no `id`, and the login can pass to somebody else",
        ),
        (
            "approve: {people: [ada, mia]}",
            "`people` of the contract gives mia no `id`, and the login can pass to somebody else",
        ),
        (
            "rollback: {approvals: 101}",
            "this is more than the highest number of approvals",
        ),
        ("soak: 2 hours", "`2 hours` is not a duration"),
    ] {
        assert_eq!(mistake(gate), message, "{gate}");
    }
}

/// A contract with people and this in the gate.
fn approved(approve: &str) -> String {
    let people = "people: {ada: {id: 1}, grace: {id: 2}}\n";
    let gate = format!("gate: {{approve: {{{approve}}}}}");
    with(people).replace("follows: dev", &format!("follows: dev, {gate}"))
}

#[test]
fn those_who_approve_are_resolved() {
    let approve = |text: &str| resolved(&approved(text), "live").gate.approve;
    let of = |count, people: &[&str], expires| {
        Some(Approve {
            count,
            people: people.iter().map(|login| (*login).to_owned()).collect(),
            teams: Vec::new(),
            expires,
            notify: None,
            repository: None,
        })
    };
    assert_eq!(approve("people: [ada]"), of(1, &["ada"], 86_400));
    for (text, wanted) in [
        ("issue", Notify::Issue),
        ("sns:approvals_1", Notify::Topic("approvals_1".to_owned())),
    ] {
        let resolved = approve(&format!("people: [ada], notify: {text}")).unwrap();
        assert_eq!(resolved.notify, Some(wanted), "{text}");
        assert_eq!(serde_json::json!(resolved)["notify"], text);
    }
    let teams = approve("count: 3, people: [acme/release, ada]").unwrap();
    assert_eq!((teams.count, teams.people), (3, vec!["ada".to_owned()]));
    assert_eq!(teams.teams, ["acme/release"]);
    let other_repository = approve("people: [ada], repository: acme/approvals").unwrap();
    assert_eq!(
        other_repository.repository.as_deref(),
        Some("acme/approvals")
    );
    let all = approve("count: 2, people: [ada, grace], expires: 7d");
    assert_eq!(all, of(2, &["ada", "grace"], 604_800));
}

#[test]
fn approvals_that_nobody_could_give_are_mistakes() {
    for (approve, message) in [
        (
            "people: [ada, gracie]",
            "`people` of the contract does not list gracie",
        ),
        ("people: [ada, ada]", "ada is named twice"),
        (
            "people: []",
            "`people` is empty, so nobody could approve anything",
        ),
        ("count: 0, people: [ada]", "no approvals are asked for here"),
        (
            "count: 3, people: [ada, grace]",
            "3 are asked to approve, and 2 may",
        ),
        (
            "people: [ada], expires: 8d",
            "this is not between 1m and 7d",
        ),
        (
            "people: [ada], expires: 59s",
            "this is not between 1m and 7d",
        ),
        (
            "people: [ada], repository: approvals",
            "`approvals` is not a repository on GitHub",
        ),
        (
            "people: [ada], repository: acme/approvals, notify: issue",
            "an issue in this repository does not reach approvers of another one",
        ),
        (
            "people: [ada], notify: mail",
            "`mail` is not a way to notify people of a request",
        ),
        (
            "people: [ada], notify: sns:topic.fifo",
            "`sns:topic.fifo` is not a way to notify people of a request",
        ),
        (
            "count: 1",
            "`environments.live.gate.approve` has no `people`",
        ),
    ] {
        let error = parse(path(), &approved(approve)).unwrap_err();
        let [only] = error.locations.as_slice() else {
            panic!("{error}");
        };
        assert_eq!(only.message.lines().next(), Some(message), "{approve}");
    }
}

#[test]
fn reviewers_are_people_or_teams_and_enough_of_them() {
    let gate = |text: &str| approved("people: [ada]").replace("approve: {people: [ada]}", text);
    let reviewers = |text: &str| resolved(&gate(text), "live").gate.reviewers;
    assert_eq!(reviewers("approvals: 2"), None);
    let named = reviewers("approvals: 3, reviewers: [ada, acme/release]").unwrap();
    assert_eq!(named.people, ["ada"]);
    assert_eq!(named.teams, ["acme/release"]);
    for (text, message) in [
        (
            "reviewers: [gracie]",
            "`people` of the contract does not list gracie",
        ),
        ("reviewers: [ada, ada]", "ada is named twice"),
        (
            "reviewers: []",
            "`reviewers` is empty, so no review could count",
        ),
        (
            "approvals: 2, reviewers: [ada]",
            "2 are asked to approve each pull request, and the reviews of 1 count",
        ),
        (
            "approvals: 0, reviewers: [ada]",
            "no review is asked for, so it does not matter whose would count",
        ),
    ] {
        let error = parse(path(), &gate(text)).unwrap_err();
        let [only] = error.locations.as_slice() else {
            panic!("{error}");
        };
        assert_eq!(only.message.lines().next(), Some(message), "{text}");
    }
}

#[test]
fn an_unknown_approver_is_shown_where_it_is() {
    assert_error(
        &approved("people: [ada, gracie]"),
        expect![[r#"
            error: `people` of the contract does not list gracie
             --> delivery.yaml:6:78
              |
            6 |   live: {account: 222222222222, follows: dev, gate: {approve: {people: [ada, gracie]}}}
              |                                                                              ^^^^^^
              |
              = hint: did you mean `grace`?

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

#[test]
fn an_approver_without_a_number_is_shown_with_what_tells_it() {
    assert_error(
        &gated("approve: {people: [ada, mia]}"),
        expect![[r#"
        error: `people` of the contract gives mia no `id`, and the login can pass to somebody else
         --> delivery.yaml:6:78
          |
        6 |   live: {account: 222222222222, follows: dev, gate: {approve: {people: [ada, mia]}}}
          |                                                                              ^^^
          |
          = hint: add the number of the account, `mia: { id: NUMBER }`; its number is what this prints: gh api users/mia --jq .id

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

#[test]
fn nothing_soaks_where_nothing_comes_before() {
    let first = with("").replace(
        "dev: {account: \"111111111111\"",
        "dev: {account: \"111111111111\", gate: {soak: 2h, still-running: true}",
    );
    let error = parse(path(), &first).unwrap_err();
    let messages: Vec<&str> = error
        .locations
        .iter()
        .filter_map(|location| location.message.lines().next())
        .collect();
    assert_eq!(
        messages,
        [
            "`soak` is about the previous environment, and this one follows none",
            "`still-running` is about the previous environment, and this one follows none",
        ]
    );
}

#[test]
fn a_mistyped_time_zone_is_shown_where_it_is() {
    assert_error(
        &gated("freeze: [{time-zone: Americas/Toronto, from: \"16:00\"}]"),
        expect![[r#"
            error: there is no time zone `Americas/Toronto`
             --> delivery.yaml:6:75
              |
            6 |   live: {account: 222222222222, follows: dev, gate: {freeze: [{time-zone: Americas/Toronto, from: "16:00"}]}}
              |                                                                           ^^^^^^^^^^^^^^^^
              |
              = hint: did you mean `America/Toronto`?

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

//! The answers for a pull request before its merge, by rows of a table.

use super::contract::ContractChange;
use super::decide::{LATER, decide};
use super::observe::PullRequestFacts;
use super::report;
use crate::check::answer::{Answer, Decision};
use crate::check::fact::Unknown;
use crate::check::names;
use crate::check::tests::Promotion;
use crate::setting::Setting;
use github::{Content, Pull, PullState};
use kit::contract::{Contract, StandsFor};
use kit::id::CommitId;
use std::path::Path;

/// An open pull request that everything is right with.
struct Proposal {
    setting: Setting,
    /// The head that the answer is for.
    head: Option<CommitId>,
    seen: PullRequestFacts,
}

impl Proposal {
    fn new() -> Self {
        let mut whole = Promotion::new();
        let pull = whole.pull();
        pull.merged = false;
        pull.merge_commit = None;
        Self {
            setting: whole.setting,
            head: None,
            seen: PullRequestFacts {
                state: Ok(PullState::Open),
                changes: whole.facts.changes,
                policy: whole.facts.policy,
                contract: Some(Ok(ContractChange::Unchanged)),
            },
        }
    }

    fn pull(&mut self) -> &mut Pull {
        &mut self.seen.changes.as_mut().unwrap()[0].pull
    }

    fn decide(&self) -> Decision {
        decide(&self.setting, 7, self.head.as_ref(), &self.seen)
    }
}

fn unseen() -> Unknown {
    Unknown::new("it was not seen", "let it be seen")
}

#[test]
fn an_open_approved_pull_request_passes_and_the_rest_is_left_to_the_promotion() {
    let proposal = Proposal::new();
    let decision = proposal.decide();
    assert!(decision.allowed(), "{decision:?}");
    let of = |name: &str| {
        decision
            .rules
            .iter()
            .find(|rule| rule.rule == name)
            .unwrap()
    };
    let judged = [
        "pull request",
        "contributors",
        "approvals",
        "checks",
        "policy",
        "contract",
    ];
    for name in judged {
        assert_eq!(of(name).answer, Answer::Pass, "{name}");
    }
    assert_eq!(
        of("contributors").fact,
        "alice, whose approval does not count"
    );
    for name in names().into_iter().filter(|name| !judged.contains(name)) {
        let rule = of(name);
        assert_eq!((rule.answer, rule.fact.as_str()), (Answer::NotAsked, LATER));
    }
    assert_eq!(decision.rules.len(), names().len() + 2);
    let report = report::report(&proposal.setting, 7, &proposal.seen, &decision).unwrap();
    let title =
        "production would allow #7, as far as it can be judged now\nAdd a thing, at its head 1111";
    assert!(report.text.starts_with(title), "{}", report.text);
    assert!(report.text.contains("\nnext: merge #7;"), "{}", report.text);
    let found = &report.json["pull_request"];
    assert_eq!(found["authors"], serde_json::json!(["alice"]));
    assert_eq!(found["approvers"], serde_json::json!(["bob"]));
}

/// One table, as long as there are cases.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn what_the_merge_would_not_survive_is_refused_with_its_next_step() {
    type Case = (
        fn(&mut Proposal),
        &'static str,
        Answer,
        &'static str,
        &'static str,
    );
    let cases: &[Case] = &[
        (
            |it| it.seen.state = Ok(PullState::Draft),
            "pull request",
            Answer::Fail,
            "#7 is a draft, which GitHub does not merge",
            "mark #7 as ready for review",
        ),
        (
            |it| it.seen.state = Ok(PullState::Closed),
            "pull request",
            Answer::Fail,
            "#7 was closed without a merge",
            "reopen #7",
        ),
        (
            |it| {
                it.seen.state = Ok(PullState::Merged);
                it.pull().merge_commit = Some("2".repeat(40));
            },
            "pull request",
            Answer::Fail,
            "#7 is merged already",
            "once staging runs 2222222222222222222222222222222222222222 or a later commit, check the promotion instead: slipway-promote check --environment production",
        ),
        (
            |it| {
                it.setting.follows = None;
                it.seen.state = Ok(PullState::Merged);
            },
            "pull request",
            Answer::Fail,
            "#7 is merged already",
            "slipway-promote check --environment production --digest DIGEST",
        ),
        (
            |it| it.pull().base_branch = "release".to_owned(),
            "pull request",
            Answer::Fail,
            "#7 goes to release, and production takes only what was merged into main",
            "point #7 at main",
        ),
        (
            |it| it.head = Some(CommitId::parse(&"2".repeat(40)).unwrap()),
            "pull request",
            Answer::Fail,
            "#7 has the head 1111111111111111111111111111111111111111 by now, which is not the one to judge",
            "look at the check of 1111",
        ),
        (
            |it| it.seen.state = Err(unseen()),
            "pull request",
            Answer::Unknown,
            "it was not seen",
            "let it be seen",
        ),
        (
            |it| it.seen.changes = Err(unseen()),
            "pull request",
            Answer::Unknown,
            "it was not seen",
            "let it be seen",
        ),
        (
            |it| it.pull().commits[0].author.account = None,
            "contributors",
            Answer::Unknown,
            "alice@acme.example, does not belong to a GitHub account",
            "list alice@acme.example under `people`",
        ),
        (
            |it| it.pull().reviews.clear(),
            "approvals",
            Answer::Fail,
            "#7 has 0 of 1 approvals",
            "have 1 more person with write access",
        ),
        (
            |it| it.seen.changes.as_mut().unwrap()[0].checks = Ok(Vec::new()),
            "checks",
            Answer::Fail,
            "`test` did not run on 1111111",
            "make `test` succeed",
        ),
        (
            |it| it.seen.policy = Some(Err(unseen())),
            "policy",
            Answer::Unknown,
            "it was not seen",
            "let it be seen",
        ),
        (
            |it| it.seen.contract = Some(Err(unseen())),
            "contract",
            Answer::Unknown,
            "it was not seen",
            "let it be seen",
        ),
        (
            |it| it.seen.contract = Some(Ok(ContractChange::Removed)),
            "contract",
            Answer::Fail,
            "#7 removes the contract",
            "put the contract back",
        ),
        (
            |it| {
                it.seen.contract = Some(Ok(ContractChange::Wrong(
                    "delivery.yaml is wrong".to_owned(),
                )))
            },
            "contract",
            Answer::Fail,
            "nobody can be judged by the contract of #7: delivery.yaml is wrong",
            "slipway-contract check",
        ),
    ];
    for (spoil, name, answer, fact, next) in cases {
        let mut proposal = Proposal::new();
        spoil(&mut proposal);
        let decision = proposal.decide();
        let rule = decision
            .rules
            .iter()
            .find(|rule| rule.rule == *name)
            .unwrap();
        assert_eq!(rule.answer, *answer, "{fact}: {decision:?}");
        assert!(rule.fact.contains(fact), "{fact}: {}", rule.fact);
        assert!(
            rule.next.as_ref().unwrap().contains(next),
            "{fact}: {rule:?}"
        );
        let error = report::report(&proposal.setting, 7, &proposal.seen, &decision).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused, "{fact}");
        assert_eq!(error.json.unwrap()["allowed"], false, "{fact}");
    }
}

#[test]
fn who_contributed_is_asked_only_where_approvals_depend_on_it() {
    let of = |proposal: &Proposal| {
        let mut rules = proposal.decide().rules.into_iter();
        rules.find(|rule| rule.rule == "contributors").unwrap()
    };
    let mut proposal = Proposal::new();
    let bot = crate::check::tests::user("ci[bot]");
    proposal.pull().author = Some(bot.clone());
    let found = of(&proposal);
    let words = "no person is known for ci[bot], so one more has to approve";
    assert!(found.fact.ends_with(words), "{}", found.fact);
    proposal.setting.apps.insert(bot.id, StandsFor::Nobody);
    let found = of(&proposal);
    assert_eq!(found.fact, "alice, whose approval does not count");
    proposal.pull().author = None;
    assert_eq!(of(&proposal).answer, Answer::Unknown);
    proposal.setting.gate.approvals = 0;
    assert_eq!(of(&proposal).answer, Answer::NotAsked);
}

#[test]
fn without_a_contract_the_arguments_judge() {
    let mut proposal = Proposal::new();
    proposal.seen.policy = None;
    proposal.seen.contract = None;
    let decision = proposal.decide();
    assert!(decision.allowed(), "{decision:?}");
    let not_asked = |name: &str| {
        let mut rules = decision.rules.iter();
        rules.any(|rule| rule.rule == name && rule.answer == Answer::NotAsked)
    };
    assert!(not_asked("policy") && not_asked("contract"), "{decision:?}");
}

const BEFORE: &str = "version: 1\nservice: shop\nimage: {repository: shop}\n\
    build: {account: '111111111111', region: eu-west-1}\nenvironments:\n  \
    dev: {account: '222222222222'}\n  production:\n    account: '333333333333'\n    follows: dev\n    \
    gate: {approvals: 2, checks: [test]}\n";

fn text(text: &str) -> Content {
    Content::Text {
        oid: text.to_owned(),
        text: text.to_owned(),
    }
}

fn between(before: &Content, after: &Content) -> ContractChange {
    let read = |text: &str| -> kit::error::Result<Contract> {
        kit::contract::parse(Path::new("delivery.yaml"), text)
    };
    ContractChange::between(before, after, "production", read)
}

/// The change of [`BEFORE`] that replaces one text by another.
fn to(old: &str, new: &str) -> ContractChange {
    assert!(BEFORE.contains(old), "{old}");
    between(&text(BEFORE), &text(&BEFORE.replace(old, new)))
}

fn changed(parts: &[&str]) -> ContractChange {
    both(parts, &[])
}

fn both(judged: &[&str], others: &[&str]) -> ContractChange {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    ContractChange::Changed {
        judged: owned(judged),
        others: owned(others),
    }
}

#[test]
fn what_a_contract_changes_of_the_gate_is_named() {
    assert_eq!(
        between(&text(BEFORE), &text(BEFORE)),
        ContractChange::Unchanged
    );
    let fewer = to("approvals: 2, checks: [test]", "approvals: 1, soak: 1h");
    let parts = [
        "gate.approvals from 2 to 1",
        "gate.checks from [\"test\"] to []",
        "gate.soak from nothing to 3600",
    ];
    assert_eq!(fewer, changed(&parts));
    assert!(fewer.is_about_the_gate());
    let people = "environments:\n";
    let listed = to(people, &format!("people:\n  bob: {{id: 7}}\n{people}"));
    assert_eq!(listed, changed(&["people"]));
    // The proofs of evidence are compared as they are written: no variable has to have a value.
    let key = "region: eu-west-1}";
    let signed = to(
        key,
        "region: eu-west-1, keys: {provenance: 'alias/{service}'}}",
    );
    let parts = ["build.keys.provenance from nothing to \"alias/shop\""];
    assert_eq!(signed, changed(&parts));
    let account = to("'111111111111'", "'var:BUILD'");
    let parts = ["build.account from \"111111111111\" to \"var:BUILD\""];
    assert_eq!(account, changed(&parts));
    assert_eq!(
        between(&text(BEFORE), &Content::Absent),
        ContractChange::Removed
    );
    for wrong in [
        to("approvals: 2", "approvals: many"),
        to("  production:\n", "  live:\n"),
        between(&text(BEFORE), &Content::Opaque("1".to_owned())),
    ] {
        assert!(matches!(wrong, ContractChange::Wrong(_)), "{wrong:?}");
    }
    // The first contract of a repository makes all of it.
    match between(&Content::Absent, &text(BEFORE)) {
        ContractChange::Changed { judged, others } => {
            assert!(judged.len() > 5, "{judged:?}");
            assert_eq!(others, ["build.region", "image.repository", "version"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_contract_that_changes_beside_the_gate_is_named() {
    let elsewhere = |names: &[&str]| both(&[], names);
    let comment = to("version: 1\n", "version: 1 # the first\n");
    assert_eq!(comment, elsewhere(&[]));
    // Where it is deployed to, and where it has to have been healthy before.
    let parts = ["account from \"333333333333\" to \"444444444444\""];
    assert_eq!(to("333333333333", "444444444444"), changed(&parts));
    let parts = ["environments.dev.account from \"222222222222\" to \"444444444444\""];
    assert_eq!(to("222222222222", "444444444444"), changed(&parts));
    let folder = to(
        "environments:\n",
        "state: {directory: other}\nenvironments:\n",
    );
    let parts = [
        "environments.dev.infrastructure from \"infra\" to \"other\"",
        "infrastructure from \"infra\" to \"other\"",
    ];
    assert_eq!(folder, both(&parts, &["state.directory"]));
    // A part of the contract that judges nobody here is named all the same.
    let test = "  test: {account: '555555555555'}\n  production:\n";
    let named = elsewhere(&["environments.test.account"]);
    assert_eq!(to("  production:\n", test), named);
    let roles = to(
        "follows: dev\n",
        "follows: dev\n    roles: {deploy: admin}\n",
    );
    assert_eq!(roles, elsewhere(&["environments.production.roles.deploy"]));
    assert!(!roles.is_about_the_gate());
    // An empty gate is a gate, also in an environment that does not come before this one.
    let test = "  test: {account: '555555555555'}\n  production:\n";
    let gated = test.replace("'}", "', gate: {}}");
    let before = BEFORE.replace("  production:\n", test);
    let after = BEFORE.replace("  production:\n", &gated);
    let named = elsewhere(&["environments.test.gate"]);
    assert_eq!(between(&text(&before), &text(&after)), named);
    // Other changes are named beside a change of the gate.
    let more = to(
        "approvals: 2, checks: [test]}\n",
        "approvals: 1, checks: [test]}\n    roles: {deploy: admin}\n",
    );
    let parts = ["gate.approvals from 2 to 1"];
    let roles = ["environments.production.roles.deploy"];
    assert_eq!(more, both(&parts, &roles));
}

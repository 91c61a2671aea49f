//! The contributors to a change, and how the answers name people.

use super::*;
use crate::check::decide::all;
use crate::check::people::contributors;

#[test]
fn a_hand_of_nobody_known_is_named_once() {
    let mut promotion = Promotion::new();
    promotion.pull().author = Some(user("ci[bot]"));
    promotion.pushed(&[("ci[bot]", HEAD), ("other[bot]", OLD)]);
    let setting = setting();
    let all = contributors(promotion.change(), &setting.persons()).unwrap();
    assert_eq!(all.unattributed, ["ci[bot]", "other[bot]"]);
    assert_eq!(all.names(), ["alice", "ci[bot]", "other[bot]"]);
}

#[test]
fn the_answers_name_who_approved_and_who_promotes() {
    let decision = Promotion::new().decide();
    let fact = |name: &str| {
        let mut rules = decision.rules.iter();
        rules.find(|rule| rule.rule == name).unwrap().fact.clone()
    };
    assert_eq!(
        fact("approvals"),
        "#7 at its final head 1111111: approved by bob"
    );
    assert_eq!(
        fact("promoter"),
        "dora, according to GitHub's record of run 5"
    );
    assert_eq!(fact("separation"), "bob approved #7 and does not promote");
}

/// The facts and next steps in the answers about the commits.
#[test]
fn the_answers_say_where_the_commits_begin_and_what_brought_them() {
    let of = |rule: &str, arrange: fn(&mut Promotion)| {
        let mut promotion = Promotion::new();
        arrange(&mut promotion);
        let rules = promotion.decide().rules;
        rules.into_iter().find(|it| it.rule == rule).unwrap()
    };
    let range = |arrange: fn(&mut Promotion)| of("range", arrange).fact;
    assert_eq!(
        range(|_| ()),
        "3 commits since 0123456 (record 3 of production) came through 1 pull request"
    );
    assert_eq!(
        range(|w| w.second("alice", "bob")),
        "5 commits since 0123456 (record 3 of production) came through 2 pull requests"
    );
    assert_eq!(
        range(|w| w.range().base = Base::Since(BASE.to_owned())),
        "3 commits since 0123456, which the contract names, came through 1 pull request"
    );
    assert_eq!(
        range(|w| w.range().base = Base::First(BASE.to_owned())),
        "nothing was healthy in production before: 3 commits since the branch's first one, 0123456, came through 1 pull request"
    );
    assert_eq!(
        range(|w| w.range().base = Base::Nothing),
        "nothing was healthy in production before"
    );
    let again = |w: &mut Promotion| {
        let commit = MERGE.to_owned();
        w.range().base = Base::Record {
            commit,
            seq: 3,
            runs: true,
        };
    };
    assert_eq!(range(again), "production runs 2222222 already");
    // A rollback or a break-glass followed the base.
    let before = |w: &mut Promotion| {
        w.not_running();
        w.range().status = "behind".to_owned();
    };
    assert_eq!(
        range(before),
        "2222222 came with the regular promotion of 0123456 before (record 3 of production)"
    );

    let merge = |arrange: fn(&mut Promotion)| of("merge", arrange).fact;
    let alike = "what was approved and nothing else";
    assert_eq!(merge(|_| ()), format!("the merge contains {alike}"));
    let two = merge(|w| w.second("alice", "bob"));
    assert_eq!(two, format!("the 2 merges contain {alike}"));
    let none = of("merge", |w| {
        w.setting.gate.accepted_commits = vec![MERGE.to_owned()];
    });
    assert_eq!(none.answer, Answer::Unknown);
    assert_eq!(none.fact, "there is no pull request to examine");

    let next = |arrange: fn(&mut Promotion)| of("range", arrange).next.unwrap();
    let stray = next(|w| w.range().commits.insert(0, on_branch("6666", "s", &[BASE])));
    assert!(
        stray.starts_with("have it reviewed, and list it"),
        "{stray}"
    );
    // A first promotion may begin after what nobody reviewed, but not with the promoted commit itself.
    let first = next(|w| {
        w.range().base = Base::First(BASE.to_owned());
        w.range().commits.insert(0, on_branch("6666", "s", &[BASE]));
        w.pull().merge_commit = Some("9".repeat(40));
    });
    let begin = format!("may run in production, begin there: write `since: \"{HEAD}\"` into");
    assert!(first.contains(&begin), "{first}");
}

#[test]
fn the_answer_about_approvals_says_how_many_people_are_missing() {
    for (needed, people) in [
        (2, "have 1 more person with"),
        (3, "have 2 more people with"),
    ] {
        let mut promotion = Promotion::new();
        promotion.setting.gate.approvals = needed;
        let next = promotion.decide().next().unwrap();
        assert!(next.starts_with(people), "{next}");
    }
}

#[test]
fn the_answer_about_approvals_names_those_whose_reviews_count() {
    let mut promotion = Promotion::new();
    reviewers(
        &mut promotion.setting,
        &["carol", "erin"],
        &["acme/release"],
    );
    let next = promotion.decide().next().unwrap();
    let named = "have 1 more of carol, erin, the members of acme/release with write access";
    assert!(next.starts_with(named), "{next}");
    // Those who are named may all have contributed, so that nobody could ever lift it.
    reviewers(&mut promotion.setting, &["alice"], &[]);
    let next = promotion.decide().next().unwrap();
    assert!(
        next.starts_with("too few of the gate's `reviewers`"),
        "{next}"
    );
    reviewers(&mut promotion.setting, &["alice", "bob", "carol"], &[]);
    promotion.setting.gate.approvals = 2;
    let next = promotion.decide().next().unwrap();
    assert!(next.starts_with("have 1 more of carol with"), "{next}");
}

#[test]
fn an_address_of_nobody_is_named_with_what_it_did() {
    let why = |spoil: fn(&mut Pull)| {
        let mut promotion = Promotion::new();
        spoil(promotion.pull());
        let setting = setting();
        let unknown = contributors(promotion.change(), &setting.persons()).unwrap_err();
        unknown.why
    };
    let author = why(|pull| pull.commits[0].author = nobody("x@acme.example"));
    assert_eq!(
        author,
        "the e-mail address of the author of 3333333, x@acme.example, does not belong to a GitHub account"
    );
    let committer = why(|pull| pull.commits[0].committer = Signer::default());
    assert!(
        committer.starts_with("the e-mail address of the committer of 3333333, nothing,"),
        "{committer}"
    );
}

/// The groups of rules are asked of an environment without a gate as well, and each says so.
#[test]
fn no_group_of_rules_asks_anything_where_there_is_no_gate() {
    let mut scene = crate::check::approved::tests::Scene::of(Promotion::new());
    scene.promotion.setting.proofs = Some(crate::check::provenance::tests::proofs());
    scene.promotion.setting.follows = None;
    scene.promotion.setting.gate.required = false;
    let conditions = scene.conditions();
    let Promotion {
        setting,
        subject,
        facts,
    } = &scene.promotion;
    for rule in all(setting, subject, facts, Some(&conditions), None).rules {
        assert_eq!(rule.answer, Answer::NotAsked, "{rule:?}");
        assert_eq!(rule.fact, "production has no gate");
    }
}

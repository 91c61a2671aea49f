use super::super::Evidence;
use super::*;
use crate::requests::range_hash;
use ledger::Actor;

#[test]
fn a_permit_rests_on_the_reviews_that_count() {
    let mut promotion = Promotion::new();
    promotion.second("bob", "carol");
    promotion.subject.base = Base::Since(BASE.to_owned());
    for (login, state, head) in [
        ("alice", "APPROVED", HEAD),
        ("dora", "COMMENTED", HEAD),
        ("erin", "APPROVED", OLD),
    ] {
        promotion.pull().reviews.push(review(login, state, head));
    }
    let Promotion {
        setting,
        subject,
        facts,
    } = &promotion;
    let found = Evidence::of(setting, subject, facts, None);
    let approver = |login: &str| Actor {
        login: login.to_owned(),
        id: Some(user(login).id),
    };
    let commits = facts.range.as_ref().unwrap().commits.iter();
    let wanted = Evidence {
        base: Some(BASE.into()),
        tip: Some("5".repeat(40).as_str().into()),
        range: Some(range_hash(commits.map(|commit| commit.sha.as_str()))),
        pulls: vec![7, 8],
        reviews: vec![user("bob").id, user("carol").id],
        approvers: vec![approver("bob"), approver("carol")],
        requests: Vec::new(),
        until: None,
    };
    assert_eq!(found, wanted);
    // Of the people who approved the promotion, it has the request and until when that holds.
    let scene = crate::check::approved::tests::Scene::of(Promotion::new());
    let Promotion {
        setting: own,
        subject: of,
        facts: seen,
    } = &scene.promotion;
    let granted = Evidence::of(own, of, seen, Some(&scene.conditions()));
    assert_eq!(granted.requests, [2]);
    assert_eq!(granted.until.as_deref(), Some("2026-11-22T12:00:00Z"));
    let nothing = Evidence::of(setting, subject, &Facts::none(), None);
    assert_eq!((nothing.base, nothing.pulls), (wanted.base, Vec::new()));
    assert_eq!(nothing.range, None);
}

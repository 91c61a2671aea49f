use super::*;
use crate::environment_history::at;
use crate::environment_history::tests::{actor, deployed, history};
use crate::requests::tests::{account, answered, asking, requested};
use ledger::{Record, Verdict};

/// The issues that these records ask for, of a chain with a deployment and dora's request.
fn wanted(more: &[Record]) -> Vec<Wanted> {
    let setting = asking();
    let mut ask = requested(&setting, 'b', "hash-1");
    ask.reason = Some("~~~\n@everyone **now** <!-- -->".to_owned());
    let records = [&[deployed('a'), ask], more].concat();
    let history = history(&records);
    let context = RequestContext::of(&setting, &history).unwrap();
    let approve = setting.gate.approve.as_ref().unwrap();
    let now = at("2026-11-21T20:00:00Z").unwrap();
    let approvers = Approvers::of(approve, &setting.persons(), &[]);
    let all = Asked::all(history.records());
    all.iter()
        .map(|asked| Wanted::of(&setting, approve, &approvers, &context, asked, now, None))
        .collect()
}

fn issue(number: u64, title: &str, body: &str, state: &str, reason: Option<&str>) -> Issue {
    serde_json::from_value(serde_json::json!({
        "number": number, "title": title, "body": body, "state": state, "state_reason": reason,
        "html_url": format!("https://github.com/acme/shop/issues/{number}"),
    }))
    .unwrap()
}

fn opened(wanted: &[Wanted]) -> Issue {
    match plan_acts(&[], wanted, 2).as_slice() {
        [Act::Open { title, body }] => issue(7, title, body, "open", None),
        other => panic!("{other:?}"),
    }
}

fn approved(by: &str) -> Record {
    answered(Verdict::Approved, 2, actor(by))
}

#[test]
fn a_request_has_one_issue_that_names_who_may_approve() {
    let wanted = wanted(&[]);
    let issue = opened(&wanted);
    assert_eq!(issue.title, "Approve request 2 of storefront in production");
    let first = issue.body.lines().next().unwrap();
    assert_eq!(
        first,
        "<!-- slipway request storefront/production 2 hash-2 -->"
    );
    assert!(
        issue.body.contains("**0 of 2 approvals**, until"),
        "{}",
        issue.body
    );
    assert!(
        issue.body.contains("@ada, @grace, @linus"),
        "{}",
        issue.body
    );
    assert_eq!(plan_acts(std::slice::from_ref(&issue), &wanted, 2), []);
    assert_eq!(
        page(&[issue], &wanted, 2),
        Some("https://github.com/acme/shop/issues/7")
    );
}

#[test]
fn user_text_in_an_issue_stays_in_its_block_and_mentions_nobody() {
    let issue = opened(&wanted(&[]));
    let (_, details) = issue.body.split_once(DETAILS).unwrap();
    let parts: Vec<&str> = details.split("~~~~").collect();
    let [before, inside, after] = parts.as_slice() else {
        panic!("{details}");
    };
    assert!(inside.contains("@everyone **now**"), "{details}");
    assert_eq!((before.trim(), after.trim()), ("", ""), "{details}");
}

#[test]
fn an_answer_changes_the_issue_and_keeps_what_was_asked() {
    let first = opened(&wanted(&[]));
    let mut seen = first.clone();
    seen.body = seen.body.replace("digest", "what the run showed, digest");
    let change = |more: &[Record]| match plan_acts(std::slice::from_ref(&seen), &wanted(more), 2)
        .as_slice()
    {
        [Act::Change(7, change)] => change.clone(),
        other => panic!("{other:?}"),
    };
    let one = change(&[approved("ada")]);
    let body = one.body.unwrap();
    assert!(body.contains("**1 of 2 approvals (ada)**"), "{body}");
    assert!(body.contains("Who may approve: @grace, @linus\n"), "{body}");
    assert!(body.contains("what the run showed"), "{body}");
    assert_eq!((one.state, one.title), (None, None));

    let both = change(&[approved("ada"), approved("linus")]);
    assert_eq!(
        (both.state, both.state_reason),
        (Some("closed"), Some(COMPLETED))
    );
    assert!(
        both.body
            .unwrap()
            .contains("**Approved:** 2 of 2 approvals (ada, linus)")
    );

    let hostile = Record {
        reason: Some("no, @everyone [x](https://evil.example)".to_owned()),
        ..answered(Verdict::Rejected, 2, account("ada", 1))
    };
    let rejected = change(&[hostile]);
    assert_eq!(
        (rejected.state, rejected.state_reason),
        (Some("closed"), Some(NOT_PLANNED))
    );
    let body = rejected.body.unwrap();
    let (status, _) = body.split_once(DETAILS).unwrap();
    assert!(
        status.contains("**Over:** ada rejected request 2"),
        "{status}"
    );
    assert!(!status.contains("@everyone"), "{status}");
    assert!(!status.contains("[x]("), "{status}");
}

#[test]
fn a_second_issue_is_closed_and_one_that_is_closed_already_is_left() {
    let wanted = wanted(&[]);
    let first = opened(&wanted);
    let mut second = first.clone();
    second.number = 9;
    let closes = |number| {
        let change = IssueChange {
            state: Some("closed"),
            state_reason: Some(NOT_PLANNED),
            ..IssueChange::default()
        };
        Act::Change(number, change)
    };
    let both = [first.clone(), second.clone()];
    assert_eq!(plan_acts(&both, &wanted, 2), [closes(9)]);
    // Of a request that the ledger was not read back to, or of another table.
    let other = "<!-- slipway request storefront/production 2 hash-9 -->\nold";
    let other = issue(5, "old", other, "open", None);
    assert_eq!(
        plan_acts(&[other.clone(), first.clone()], &wanted, 2),
        [closes(5)]
    );
    second.state = "closed".to_owned();
    assert_eq!(plan_acts(&[first, second], &wanted, 2), []);
}

#[test]
fn only_the_request_of_this_run_gets_an_issue_and_only_while_it_can_be_answered() {
    assert_eq!(plan_acts(&[], &wanted(&[]), 9), []);
    let rejected = answered(Verdict::Rejected, 2, actor("ada"));
    assert_eq!(plan_acts(&[], &wanted(&[rejected]), 2), []);
}

#[test]
fn details_that_are_too_long_for_an_issue_are_omitted() {
    let mut wanted = wanted(&[]);
    wanted[0].details = "x".repeat(70_000);
    let issue = opened(&wanted);
    assert!(issue.body.len() < 2000);
    assert!(
        issue.body.contains("too long for an issue"),
        "{}",
        issue.body
    );
    assert_eq!(plan_acts(&[issue], &wanted, 2), []);
}

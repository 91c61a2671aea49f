//! Rollbacks that are decided again.

use super::*;

/// The record of a digest that was healthy long ago is looked up separately, so it is checked against the digest once more.
#[test]
fn a_record_from_long_ago_counts_only_if_it_says_that_the_digest_was_healthy() {
    for (record, wanted) in [
        (deployed('a'), Answer::Pass),
        (failed('a'), Answer::Fail),
        (deployed('c'), Answer::Fail),
    ] {
        let setting = setting();
        let entries = stored(&[record.clone(), deployed('b')]);
        let went = RollbackInputs {
            digest: digest('a'),
            own: vec![entries[1].clone()],
            healthy: Some(entries[0].clone()),
            host: terminal(&setting),
            branch: Err(Unknown::new("GitHub does not answer", "wait")),
            contributors: None,
            passed: Passed::default(),
            promoter: Ok(vec![actor("dora")]),
            break_glass: None,
        };
        let chain = Chain::new("storefront", "production").unwrap();
        let history = EnvironmentHistory::of(vec![entries[1].recorded(&chain).unwrap()]);
        let judgement = went.judge(&setting, &history).unwrap();
        let digest = &judgement.decision.rules[0];
        assert_eq!((digest.rule, digest.answer), ("digest", wanted));
        let commit = judgement.subject.commit;
        assert_eq!(commit, (wanted == Answer::Pass).then_some(record.commit));
    }
}

/// The gate here is an earlier one by the ledger, and GitHub does not answer.
#[test]
fn a_rollback_past_an_earlier_gate_follows_with_its_reason_alone() {
    let setting = declared(
        &DORA.replace("dora: {", "dora: {id: 43, "),
        &format!(
            "follows: staging, gate: {{{GATE}, break-glass: {{people: [dora], expires: 1h}}}}"
        ),
    );
    let by = |policy: String, digit| Record {
        policy: Some(policy),
        ..deployed(digit)
    };
    let records = [
        by(setting.policy().unwrap(), 'a'),
        by("sha256:x".to_owned(), 'b'),
    ];
    let entries = stored(&records);
    let passed = || Passed {
        newest: Some(entries[1].clone()),
        own: Some(entries[0].clone()),
    };
    let why = wrong(&judged(&setting, &records, passed(), None)).unwrap();
    assert!(why.starts_with("policy refuses"), "{why}");
    let reason = "the shop is down";
    let mut case = judged(&setting, &records, passed(), Some(reason));
    assert!(wrong(&case).unwrap().contains("rules were overridden"));
    case.permit.break_glass = forced('a', "dora").break_glass;
    let why = wrong(&case).unwrap();
    let until = "overridden by dora until 2026-11-21T19:30:00Z";
    assert!(why.contains(until), "{why}");
    if let Some(glass) = &mut case.permit.break_glass {
        glass.expires = "2026-11-21T19:30:00Z".to_owned();
    }
    assert_eq!(wrong(&case), None);
    // It is not true that GitHub did not answer, or that somebody gave a reason.
    let mut other = case.kept.clone();
    if let DecisionInputs::Rollback(rollback) = &mut other.judged {
        other.host.run = OfHost::GitHub { id: Some(5) };
        rollback.github = Ok(Answers {
            repository: "acme/storefront".to_owned(),
            exchanges: Vec::new(),
        });
    }
    let mut altered = Case {
        kept: other,
        ..judged(&setting, &records, passed(), None)
    };
    altered.permit.break_glass = case.permit.break_glass.clone();
    let why = wrong(&altered).unwrap();
    assert!(why.contains("another run"), "{why}");
    let page = "https://github.com/acme/storefront/actions/runs/5/attempts/1";
    altered.permit.run = Some(page.to_owned());
    let why = wrong(&altered).unwrap();
    assert!(why.contains("this version asks GitHub"), "{why}");
    if let DecisionInputs::Rollback(rollback) = &mut case.kept.judged {
        rollback.break_glass = None;
    }
    assert!(wrong(&case).unwrap().contains("another break_glass"));
}

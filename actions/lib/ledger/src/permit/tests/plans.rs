//! Permits that name an infrastructure plan.

use super::*;

/// Checks that the permit of a plan lets it be applied at this time, or returns the reason why not.
fn applied(records: &[Record], of: Use<'_>, run: Option<&str>, time: &str) -> Result<(), Reason> {
    let account = account("1");
    let attempt = Attempt {
        permit: 2,
        of,
        account: &account,
        policy: "sha256:rules",
        contract_path: "delivery.yaml",
        run,
    };
    usable(&chain(records), &attempt, instant(time).unwrap()).map(drop)
}

#[test]
fn a_permit_and_a_request_without_a_plan_are_written_as_before_there_were_plans() {
    let text = serde_json::to_string(&permit(1)).unwrap();
    assert!(!text.contains("plan"), "{text}");
    let bare = r#"{"binding":"b","expires":"t","head":"h","commits":1,"range":"r","people":"p"}"#;
    let request: crate::record::Request = serde_json::from_str(bare).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), bare);
}

#[test]
fn a_plan_is_applied_only_under_a_permit_that_names_it_and_its_commit() {
    let planned = |plan: Option<&str>| {
        let mut record = permit(1);
        record.permit.as_mut().unwrap().plan = plan.map(str::to_owned);
        record
    };
    let commit = permit(1).commit;
    let (early, late) = ("2026-11-21T18:10:00Z", "2026-11-21T19:00:00Z");
    let own = Use::Apply {
        plan: "p",
        commit: &commit,
    };
    let granted = [deployed(), planned(Some("p"))];
    let then = |more: &[Record]| [&granted[..], more].concat();
    assert_eq!(applied(&granted, own, Some(RUN), early), Ok(()));
    assert_eq!(
        applied(&granted, own, Some(RUN), late),
        Err(Reason::Expired(late.to_owned()))
    );
    // One permit is for one plan of one commit, and one without a plan is for none.
    let other = Use::Apply {
        plan: "q",
        commit: &commit,
    };
    assert_eq!(
        applied(&granted, other, Some(RUN), early),
        Err(Reason::Plan(Some("p".to_owned())))
    );
    assert_eq!(
        applied(&[deployed(), planned(None)], own, Some(RUN), early),
        Err(Reason::Plan(None))
    );
    let never_planned = "d".repeat(40).parse().unwrap();
    let other_commit = Use::Apply {
        plan: "p",
        commit: &never_planned,
    };
    assert_eq!(
        applied(&granted, other_commit, Some(RUN), early),
        Err(Reason::Commit(commit.clone()))
    );
    // A deployment that this run began does not extend the permit, and one that another run began ends it.
    let began = then(&[started(2, Some(RUN))]);
    assert_eq!(applied(&began, own, Some(RUN), early), Ok(()));
    assert_eq!(
        applied(&began, own, Some(RUN), late),
        Err(Reason::Expired(late.to_owned()))
    );
    assert_eq!(
        applied(&began, own, Some(OTHER), early),
        Err(Reason::Started(at(&began, 3)))
    );
    let over = then(&[failed()]);
    assert_eq!(
        applied(&over, own, Some(RUN), early),
        Err(Reason::Newer(Some(at(&over, 3))))
    );
    for reason in [
        Reason::Plan(None),
        Reason::Plan(Some("p".to_owned())),
        Reason::Commit(commit.clone()),
    ] {
        let chain = Chain::new("storefront", "dev").unwrap();
        let account = account("1");
        let attempt = Attempt {
            permit: 2,
            of: own,
            account: &account,
            policy: "sha256:rules",
            contract_path: "delivery.yaml",
            run: None,
        };
        let error = reason.refusal(&chain, &attempt);
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert_eq!(
            error.message,
            "permit 2 does not let plan p be applied to dev"
        );
        let hints = error.hints.join("; ");
        assert!(hints.contains("--digest DIGEST --plan p"), "{hints}");
    }
}

//! Evidence whose settings differ from the contract's text.

use super::*;

/// Everything that a decision took from the contract is in the text that judged, or is named.
#[test]
fn each_member_that_the_contracts_text_says_otherwise_is_named() {
    type Change = fn(&mut Kept);
    let changes: [(&str, Change); 10] = [
        ("the contract's text says another `follows`", |it| {
            it.contract.follows = Some("dev".to_owned());
        }),
        ("the contract's text says another `account`", |it| {
            it.contract.account = Some("123456789012".parse().unwrap());
        }),
        ("the contract's text says another `people`", |it| {
            let dora = it.contract.people["dora"].clone();
            it.contract.people.insert("dora-admin".to_owned(), dora);
        }),
        ("the contract's text says another `people`", |it| {
            it.contract.people.get_mut("dora").unwrap().id = Some(7);
        }),
        ("the contract's text says another `apps`", |it| {
            it.contract.apps.insert(7, kit::contract::StandsFor::Nobody);
        }),
        ("the contract's text says another `provenance`", |it| {
            it.contract.provenance = None;
        }),
        ("the contract's text says another `provenance`", |it| {
            it.contract.provenance.as_mut().unwrap().prebuilt = true;
        }),
        ("the contract's text says another `provenance`", |it| {
            let asked = it.contract.provenance.as_mut().unwrap();
            asked.project = Some("another".to_owned());
        }),
        ("the contract's text says another `provenance`", |it| {
            let asked = it.contract.provenance.as_mut().unwrap();
            asked.key = "alias/another".parse().unwrap();
        }),
        ("the contract's text says another `lock_file`", |it| {
            it.host.lock_file = Some("elsewhere/.terraform.lock.hcl".to_owned());
        }),
    ];
    let asked = || {
        let mut setting = setting();
        let text = setting.contract.take().unwrap();
        let text = text.replace("var:PRODUCTION", "'333333333333'").replace(
            "ca-central-1}",
            "ca-central-1, keys: {provenance: alias/proof}}",
        );
        setting.contract = Some(text);
        setting.read.account = Some("333333333333".parse().unwrap());
        setting.proofs = Some(Proofs {
            key: "alias/proof".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            workflow: None,
            project: None,
            prebuilt: false,
        });
        judged(&setting, &records(), Passed::default(), None)
    };
    assert_eq!(wrong(&asked()), None);
    for (said, change) in changes {
        let mut case = asked();
        change(&mut case.kept);
        case.permit.account.clone_from(&case.kept.contract.account);
        assert_eq!(wrong(&case).as_deref(), Some(said));
    }
    // The gate is the record's `policy` too, so the permit is changed along.
    for gate in [
        "approvals: 0",
        "formerly: {branch: trunk, until: 2026-01-01}",
        "freeze: [{time-zone: Europe/Paris, weekdays: [sunday]}]",
    ] {
        let mut case = sound();
        let weaker = gated(&format!("{GATE}, {gate}"));
        case.kept.contract.gate = serde_json::to_string(&weaker.gate).unwrap();
        case.permit.policy = Some(weaker.policy().unwrap());
        let wanted = "the contract's text says another `gate`";
        assert_eq!(wrong(&case).as_deref(), Some(wanted), "{gate}");
    }
}

#[test]
fn a_text_that_is_not_a_contract_or_has_no_such_environment_says_nothing() {
    for (text, said) in [
        (
            "version: 1\n",
            "the contract's text: delivery.yaml is wrong: 3 mistakes",
        ),
        (
            "version: 1\nservice: storefront\nbuild: {account: var:BUILD, region: ca-central-1}\n\
             environments:\n  dev: {account: var:DEV}\n",
            "delivery.yaml has no environment `production`",
        ),
    ] {
        let setting = Setting {
            contract: Some(text.to_owned()),
            ..setting()
        };
        let case = judged(&setting, &records(), Passed::default(), None);
        assert_eq!(wrong(&case).as_deref(), Some(said));
    }
}

//! Evidence and permits in the name of a person or a run that the host does not name.

use super::*;

const LINUS: &str = "arn:aws:sts::333333333333:assumed-role/Operators/linus";

/// A promotion past rules while nobody asks GitHub, as its evidence, its record and its break-glass say it.
fn past_rules(evidence_says: &Value, record: &Value, glass: &Value) -> Chain {
    let gate = r#"{"required":true,"branch":"main","approvals":2,"checks":["ci"],"workflow":".github/workflows/promote.yml","break_glass":{"people":["linus"],"expires":3600}}"#;
    let text = chain::declared(
        "gate: {approvals: 2, checks: [ci], workflow: .github/workflows/promote.yml, rollback: {approvals: 0}, break-glass: {people: [linus]}}",
        &format!("linus: {{id: 7, aws: [\"{LINUS}\"]}}"),
    );
    let mut chain = Chain::default();
    chain.add('a', "healthy", &json!({}));
    let judged = json!({"promotion": {
        "break_glass": "down", "calendars": [], "missing_before": null, "provenance": null,
        "github": null,
    }});
    let broken = [
        "branch",
        "range",
        "pull request",
        "merge",
        "approvals",
        "checks",
        "promoter",
        "policy",
        "forward",
        "separation",
        "run",
    ];
    let passing = [];
    let rules = RULES.map(|rule| {
        let answer = match rule {
            rule if broken.contains(&rule) => "break-glass",
            rule if passing.contains(&rule) => "pass",
            _ => "not asked",
        };
        (rule, answer)
    });
    let rules = answers(&[&rules[..], &[("break-glass", "pass")]].concat());
    let mut kept = evidence(gate, &chain.newest_first(), 'e', &judged, &rules);
    kept["commit"] = json!(commit('e'));
    kept["host"] = build(LINUS);
    kept["contract"]["people"] = json!({
        "linus": {"id": 7, "accounts": {}, "emails": [], "aws": [LINUS]},
    });
    let mut kept = with(kept, evidence_says);
    kept["host"]["contract"]["text"] = json!(text);
    let (head, name) = (chain.head(), chain.keep(&kept));
    let glass = with(
        json!({"reason": "down", "by": {"login": "linus"}, "expires": "2024-11-21T19:30:00Z"}),
        glass,
    );
    let mut permit = json!({"expires": "2024-11-21T19:30:00Z", "head": head, "evidence": name});
    permit["base"] = json!(commit('a'));
    permit["contract"] = chain::contract(&text);
    let written = json!({
        "policy": policy(gate), "actor": {"login": "linus"}, "break_glass": glass, "permit": permit,
        "run": "https://console.example/build/shop%3A7",
    });
    chain.permit('e', &head, Some(&name), &with(written, record));
    chain
}

#[test]
fn rules_are_gone_past_in_the_name_of_whom_the_host_names() {
    let none = json!({});
    let report = verified(&past_rules(&none, &none, &none), &[], 0, "");
    assert_eq!(report["decisions"]["followed"], 1, "{report}");
    for (evidence, record, glass, words) in [
        (
            &none,
            &none,
            json!({"by": {"login": "ada"}}),
            "rules were overridden by linus until",
        ),
        (
            &none,
            &none,
            json!({"expires": "2099-01-01T00:00:00Z"}),
            "until 2024-11-21T19:30:00Z",
        ),
        (
            &none,
            &json!({"actor": {"login": "ada"}}),
            none.clone(),
            "ada is not who promoted",
        ),
        (
            &none,
            &json!({"run": "https://console.example/build/shop%3A8"}),
            none.clone(),
            "of another run",
        ),
        // On GitHub, nobody is known whom GitHub did not name.
        (
            &json!({"host": host()}),
            &json!({"run": chain::RUN}),
            none.clone(),
            "record 2 does not follow from its evidence: run refuses",
        ),
        (
            &json!({"host": build("arn:aws:sts::333333333333:assumed-role/Operators/ada")}),
            &none,
            none.clone(),
            "record 2 does not follow from its evidence: run refuses",
        ),
    ] {
        verified(&past_rules(evidence, record, &glass), &[], 3, words);
    }
}

#[test]
fn a_permit_is_of_the_run_and_the_person_of_its_evidence() {
    for (record, words) in [
        (
            json!({"run": "https://github.com/acme/shop/actions/runs/8/attempts/1"}),
            "of another run",
        ),
        (json!({"run": null}), "of another run"),
        (
            json!({"actor": {"login": "mallory"}}),
            "mallory is not who promoted",
        ),
        (
            json!({"previous": digest('a')}),
            "its `previous` is another one",
        ),
        (json!({"previous": null}), "its `previous` is another one"),
        (
            json!({"rollback": {"from": digest('c')}}),
            "its `rollback.from` is another one",
        ),
        (
            json!({"rollback": {"from": null}}),
            "its `rollback.from` is another one",
        ),
    ] {
        verified(&changed(&json!({}), &record), &[], 3, words);
    }
    let terminal = json!({"terminal": {"principal": {"who": "nobody", "source": "STS"}}});
    let changed_host = with(host(), &json!({"run": terminal}));
    verified(
        &changed(&json!({"host": changed_host}), &json!({})),
        &[],
        3,
        "of another run",
    );
    let other = json!({"path": "delivery.yaml", "text": "version: 1\n# Weaker.\n"});
    for (altered, words) in [
        (json!({"contract": null}), "of another contract"),
        (json!({"contract": other}), "of another contract"),
        (
            json!({"lock_file": null}),
            "its evidence names no file of the contract",
        ),
    ] {
        let changed_host = with(host(), &altered);
        let chain = changed(&json!({"host": changed_host}), &json!({}));
        verified(&chain, &[], 3, words);
    }
}

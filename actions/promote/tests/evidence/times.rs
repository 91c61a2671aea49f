//! Times that contradict each other: of a permit, of the records around it, and of what a soak counts from.

use super::*;

#[test]
fn a_time_that_nothing_can_be_added_to_is_not_one() {
    for now in ["9999-12-31T23:30:00Z", "9999-12-31T23:30:00-12:00"] {
        let record = json!({"at": now, "permit": {"expires": now, "head": "x"}});
        let evidence = json!({"now": now});
        verified(&changed(&evidence, &record), &[], 3, "record 3 ");
    }
    // Nor is a time that no calendar reaches in any contract.
    let soak = r#"{"required":true,"branch":"main","approvals":0,"checks":[],"workflow":null,"soak":18446744073709551615}"#;
    let text = chain::declared("follows: staging, gate: {approvals: 0, soak: 9999d}", "");
    let mut chain = Chain::default();
    chain.add('a', "healthy", &json!({}));
    let judged = json!({"promotion": {
        "break_glass": null, "calendars": [], "missing_before": null,
        "provenance": null, "github": null, "anchored": {"Ok": NOW},
    }});
    let rules = answers(&RULES.map(|rule| (rule, "pass")));
    let own = chain.newest_first();
    let mut kept = evidence(soak, &own, 'a', &judged, &rules);
    kept["contract"]["follows"] = json!("staging");
    kept["host"]["contract"]["text"] = json!(text);
    let mut staging = chain.lines[0].clone();
    let record = staging["record"]
        .as_str()
        .unwrap()
        .replace("production", "staging");
    staging["hash"] = json!(ledger::sha256(
        format!("{}{record}", chain::ZEROS).as_bytes()
    ));
    staging["record"] = json!(record);
    kept["before"] = json!([staging]);
    let (head, name) = (chain.head(), chain.keep(&kept));
    let permit = json!({
        "expires": "2024-11-21T19:30:00Z", "head": head, "evidence": name, "contract": chain::contract(&text),
    });
    let record = json!({"policy": policy(soak), "permit": permit});
    chain.permit('a', &head, Some(&name), &record);
    verified(&chain, &[], 3, "the contract's text says another `gate`");
}

#[test]
fn a_permit_is_not_from_another_time_than_the_records_around_it() {
    let granted = |at: &str, until: &str| {
        let expires = json!({"now": at});
        let mut chain = two_deployments();
        let evidence = with(rollback(&chain, &json!({})), &expires);
        let (head, name) = (chain.head(), chain.keep(&evidence));
        let contract = chain::contract(&chain::text());
        let permit =
            json!({"expires": until, "head": head, "evidence": name, "contract": contract});
        let record = with(rollback_permit(), &json!({"at": at, "permit": permit}));
        chain.permit('a', &head, Some(&name), &record);
        chain
    };
    let later = granted("3024-01-01T00:00:00Z", "3024-01-01T01:00:00Z");
    verified(&later, &[], 3, "has not come, by the clock of this machine");
    let early = granted("2024-11-21T17:50:00Z", "2024-11-21T18:50:00Z");
    verified(
        &early,
        &[],
        3,
        "is before that of record 2, which it follows",
    );
    let mut sound = granted("2024-11-21T17:58:00Z", "2024-11-21T18:58:00Z");
    verified(&sound, &[], 0, "");
    sound.add(
        'a',
        "healthy",
        &json!({"at": "2024-11-21T17:52:00Z", "rollback": {}}),
    );
    verified(
        &sound,
        &[],
        3,
        "is after that of record 4, which follows it",
    );
}

/// One more record beside a permit, with the same false time, hides nothing.
#[test]
fn a_permits_time_is_held_against_those_of_all_records() {
    let granted = |before: &[&str], at: &str, until: &str, after: &[&str]| {
        let mut chain = two_deployments();
        for at in before {
            chain.add('b', "reviewed", &json!({"at": at, "reason": "seen"}));
        }
        let evidence = with(rollback(&chain, &json!({})), &json!({"now": at}));
        let head = chain.lines[1]["hash"].as_str().unwrap().to_owned();
        let name = chain.keep(&evidence);
        let contract = chain::contract(&chain::text());
        let permit =
            json!({"expires": until, "head": head, "evidence": name, "contract": contract});
        let record = with(rollback_permit(), &json!({"at": at, "permit": permit}));
        chain.permit('a', &head, Some(&name), &record);
        for at in after {
            chain.add('b', "reviewed", &json!({"at": at, "reason": "seen"}));
        }
        chain
    };
    let (early, until) = ("2024-11-21T17:00:00Z", "2024-11-21T18:00:00Z");
    let antedated = granted(&[early], early, until, &[]);
    let words = "2024-11-21T17:00:00Z, is before that of record 2, which it follows";
    verified(&antedated, &[], 3, words);
    let (late, until) = ("2024-11-22T18:00:00Z", "2024-11-22T19:00:00Z");
    let postdated = granted(&[late], late, until, &[late, "2024-11-21T18:30:00Z"]);
    let words = "2024-11-22T18:00:00Z, is after that of record 6, which follows it";
    verified(&postdated, &[], 3, words);
    // A record whose time nobody can read is not a record.
    let unreadable = granted(
        &["some day"],
        "2024-11-21T18:30:00Z",
        "2024-11-21T19:30:00Z",
        &[],
    );
    verified(&unreadable, &[], 3, "record 3 was altered");
    let sound = granted(
        &["2024-11-21T18:04:00Z"],
        "2024-11-21T18:00:00Z",
        "2024-11-21T19:00:00Z",
        &["2024-11-21T17:58:00Z", "2024-11-21T18:40:00Z"],
    );
    verified(&sound, &[], 0, "");
}

/// A soak counts from when the anchor got a record, and not from what the record says.
#[test]
fn evidence_for_a_soak_says_when_the_record_was_anchored() {
    let gate = r#"{"required":true,"branch":"main","approvals":0,"checks":[],"workflow":null,"soak":3600}"#;
    let mut chain = Chain::default();
    let staged = chain.add('a', "healthy", &json!({"environment": "staging"}));
    chain.lines.clear();
    chain.add('b', "healthy", &json!({}));
    let judged = |anchored: Value| {
        let promotion = json!({
            "break_glass": null, "calendars": [], "missing_before": null, "provenance": null, "github": null,
        });
        json!({ "promotion": with(promotion, &anchored) })
    };
    let words = "does not say when record 1 of staging was anchored, and the gate asks for a soak";
    let anchored = json!({"anchored": {"Ok": "2024-11-21T18:00:01Z"}});
    for (judged, words) in [
        (judged(json!({})), words),
        (judged(json!({"anchored": null})), words),
        (judged(anchored), "the contract's text says another"),
    ] {
        let mut chain = chain.clone();
        let rules = answers(&RULES.map(|rule| (rule, "pass")));
        let mut kept = evidence(gate, &chain.newest_first(), 'a', &judged, &rules);
        kept["contract"]["follows"] = json!("staging");
        kept["before"] = json!([staged]);
        let (head, name) = (chain.head(), chain.keep(&kept));
        chain.permit('a', &head, Some(&name), &json!({"policy": policy(gate)}));
        verified(&chain, &[], 3, words);
    }
}

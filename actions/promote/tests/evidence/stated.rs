//! Evidence that says otherwise than the contract's text in it.

use super::*;

/// The settings that the decision took from the contract are those of the text that the permit names by its hash.
#[test]
fn a_decision_by_something_else_than_the_contracts_text_is_named() {
    let none = json!({});
    let weaker = chain::declared(
        "gate: {approvals: 0, freeze: [{time-zone: UTC, weekdays: [monday]}]}",
        "",
    );
    let others = chain::declared("gate: {approvals: 0}", "eve: {id: 7}");
    let elsewhere = chain::declared("gate: {approvals: 0}", "").replace(ACCOUNT, "444444444444");
    let second = chain::declared("follows: staging, gate: {approvals: 0}", "");
    let signed = chain::text().replace(
        "ca-central-1",
        "ca-central-1, keys: {provenance: alias/proof}",
    );
    let moved = format!("{}state: {{directory: elsewhere}}\n", chain::text());
    for (text, words) in [
        (weaker.as_str(), "the contract's text says another `gate`"),
        (&others, "the contract's text says another `people`"),
        (&elsewhere, "the contract's text says another `account`"),
        (&second, "the contract's text says another `follows`"),
        (&signed, "the contract's text says another `provenance`"),
        (&moved, "the contract's text says another `lock_file`"),
        (
            "version: 1\n",
            "the contract's text: delivery.yaml is wrong",
        ),
    ] {
        let mut told = host();
        told["contract"]["text"] = json!(text);
        let mut chain = two_deployments();
        let evidence = with(rollback(&chain, &none), &json!({ "host": told }));
        let (head, name) = (chain.head(), chain.keep(&evidence));
        let permit = json!({
            "expires": "2024-11-21T19:30:00Z", "head": head, "evidence": name, "contract": chain::contract(text),
        });
        chain.permit(
            'a',
            &head,
            Some(&name),
            &with(rollback_permit(), &json!({ "permit": permit })),
        );
        verified(&chain, &[], 3, words);
        // Evidence of another version that this one cannot read is left to a person.
        if text == "version: 1\n" {
            verified(&chain, &["--undecided-up-to", "9"], 3, words);
        }
    }
    // Comments and the order of members say nothing else.
    let reordered = format!("# The shop.\n{}", chain::text());
    let mut told = host();
    told["contract"]["text"] = json!(reordered);
    let mut chain = two_deployments();
    let evidence = with(rollback(&chain, &none), &json!({ "host": told }));
    let (head, name) = (chain.head(), chain.keep(&evidence));
    let permit = json!({
        "expires": "2024-11-21T19:30:00Z", "head": head, "evidence": name, "contract": chain::contract(&reordered),
    });
    chain.permit(
        'a',
        &head,
        Some(&name),
        &with(rollback_permit(), &json!({ "permit": permit })),
    );
    verified(&chain, &[], 0, "");
}

//! The evidence of a rollback whose gate GitHub judged, since the ledger alone would refuse it.

use serde_json::{Value, json};

use super::evidence::{instead, lied};
use super::{ALLOWED, Gate, digest, ended};

/// Nobody else reviewed the digest, and GitHub does not answer.
#[test]
fn a_rollback_past_missing_reviews_follows_from_its_evidence_or_is_named() {
    let gate = Gate::new("evidence-alone");
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare(", rollback: {approvals: 1}, break-glass: {people: [linus]}");
    gate.anchor();
    let back = ["grant", "--rollback", "--digest", &digest('1')];
    let past = [&back[..], &["--break-glass", "the shop is down"]].concat();
    let granted = gate.without_github("linus", &past);
    granted.is(0, &["BREAK-GLASS by linus: the shop is down"]);
    assert_eq!(granted.answer("approvals"), "break-glass");
    let all = json!({"permits": 1, "followed": 1, "left": [], "otherwise": []});
    let online = gate.run("grace", &["verify"]);
    online.is(0, &[]);
    assert_eq!(online.json["decisions"], all, "{}", online.text);
    let (export, evidence) = gate.exported("alone");
    gate.verified(&export, &evidence).is(0, &[]);
    assert_eq!(gate.second(&export, &evidence)["faults"], json!([]));

    let overridden = r#""rule":"approvals","answer":"break-glass""#;
    for (from, to, why, known) in [
        // As if somebody had reviewed it, or had not said why it went on without a review.
        (
            overridden,
            r#""rule":"approvals","answer":"pass""#,
            "whether rules were overridden",
            true,
        ),
        (
            r#""break_glass":"the shop is down""#,
            r#""break_glass":"a drill""#,
            "another break_glass",
            true,
        ),
        // The second verifier knows no rules.
        (
            r#""rule":"digest","answer":"pass""#,
            r#""rule":"digest","answer":"not asked""#,
            "digest answers pass",
            false,
        ),
    ] {
        let forged = lied(&export, &evidence, 2, instead(from, to));
        let found = gate.verified(&forged, &evidence);
        found.is(3, &["does not follow from its evidence", why]);
        let second = match known {
            true => json!([["decision-differs", 2]]),
            false => json!([]),
        };
        assert_eq!(gate.second(&forged, &evidence)["faults"], second, "{why}");
    }
}

/// By the ledger alone it would be refused: a newer promotion passed another gate.
#[test]
fn a_rollback_that_github_judged_follows_from_its_evidence_or_is_named() {
    let gate = Gate::new("evidence-back");
    let next = digest('3');
    gate.plant_anchored("staging", &[gate.healthy(&next, 2)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    let earlier = ", break-glass: {people: [linus]}";
    for declared in [
        earlier,
        ", soak: 1s, break-glass: {people: [linus]}",
        earlier,
    ] {
        gate.declare(declared);
        gate.anchor();
        if gate.chain().len() < 3 {
            gate.run("linus", &["grant", "--digest", &next])
                .is(0, &[ALLOWED]);
        }
    }
    let back = ["grant", "--rollback", "--digest", &digest('1')];
    gate.without_github("linus", &back)
        .is(3, &["is not the one that the newest promotion"]);
    let mut build = gate.built("linus", "1", &back);
    build.env("CODEBUILD_RESOLVED_SOURCE_VERSION", &gate.commits[1]);
    let granted = ended(&mut build);
    granted.is(0, &[ALLOWED, "the same in"]);
    assert_eq!(granted.permit(), 4);
    // The first promotion passed the gate as it was in between.
    let all = json!({"permits": 3, "followed": 3, "left": [], "otherwise": [{"seq": 3, "members": ["gate"]}]});
    let online = gate.run("grace", &["verify"]);
    online.is(0, &[]);
    assert_eq!(online.json["decisions"], all, "{}", online.text);
    let (export, evidence) = gate.exported("back");
    let offline = gate.verified(&export, &evidence);
    offline.is(0, &[]);
    assert_eq!(offline.json["decisions"]["followed"], 3, "{}", offline.text);
    assert_eq!(gate.second(&export, &evidence)["faults"], json!([]));

    let (commit, other) = (gate.commits[1].as_str(), &gate.commits[0]);
    let of = |name: &str, value: &str| format!(r#""{name}":"{value}""#);
    let (this, another) = (of("commit", commit), of("commit", other));
    let (back, forth) = (of("digest", &digest('1')), of("digest", &next));
    let lies: [(&str, &dyn Fn(String) -> String); 8] = [
        // Forged answers of GitHub: the run's commit is not on the branch, or has another contract than the branch.
        (
            "policy refuses",
            &instead(r#"\"status\":\"ahead\""#, r#"\"status\":\"diverged\""#),
        ),
        ("policy refuses", &|text| {
            let (before, oid) = text.rsplit_once(r#"\"oid\":\""#).unwrap();
            let digit = if oid.starts_with('0') { "1" } else { "0" };
            format!(r#"{before}\"oid\":\"{digit}{}"#, &oid[1..])
        }),
        // A forged failure of GitHub is refused too: the ledger's own part of the evidence is missing then.
        ("", &|text| {
            let mut judged: Value = serde_json::from_str(&text).unwrap();
            judged["judged"]["rollback"]["github"] = json!({"Err": {"why": "GitHub does not answer", "next": "wait", "permission": null}});
            judged.to_string()
        }),
        (
            "policy answers pass",
            &instead(
                r#""rule":"policy","answer":"pass""#,
                r#""rule":"policy","answer":"not asked""#,
            ),
        ),
        ("of another digest", &instead(&back, &forth)),
        (
            "is not what it was judged by",
            &instead(r#""own":[{"seq":3"#, r#""own":[{"seq":9"#),
        ),
        ("of another rollback", &|text| {
            let mut judged: Value = serde_json::from_str(&text).unwrap();
            judged["judged"] = json!({"promotion": {
                "break_glass": null, "calendars": [], "missing_before": null,
                "provenance": null, "github": null,
            }});
            judged.to_string()
        }),
        // A question that GitHub was not asked has no answer.
        ("", &instead(&this, &another)),
    ];
    for (why, lie) in lies {
        let forged = lied(&export, &evidence, 4, lie);
        let found = gate.verified(&forged, &evidence);
        found.is(3, &["does not follow from its evidence", why]);
    }
}

//! The evidence of a rollback whose gate GitHub judged, since the ledger alone would refuse it.

use serde_json::{Value, json};

use super::evidence::{instead, lied};
use super::{ALLOWED, Gate, digest, ended};

/// By the ledger alone it would be refused: a newer promotion passed another gate.
#[test]
fn a_rollback_that_github_judged_follows_from_its_evidence_or_is_named() {
    let gate = Gate::new("evidence-back");
    let next = digest('3');
    gate.plant("staging", &[gate.healthy(&next, 2)]);
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

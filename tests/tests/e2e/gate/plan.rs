//! A gate with `plan: true`: what is asked for, approved and permitted names one infrastructure plan.

use serde_json::json;

use super::approvals::{WHY, asking, next};
use super::{ALLOWED, digest};

const GATE: &str = ", plan: true, approve: {count: 1, people: [grace, dora]}";

#[test]
fn approvals_and_permits_are_for_one_plan() {
    let gate = asking("gate-plan");
    let [plan, other] = ["a", "b"].map(|digit| digit.repeat(64));
    // Where the gate does not ask for one, nothing would hold anybody to it.
    gate.declare("");
    gate.run("linus", &["grant", "--plan", &plan])
        .is(2, &["does not say `plan: true`", "omit --plan"]);

    gate.declare(GATE);
    gate.anchor();
    let make = "slipway-state plan --environment production";
    let missing = ["no plan is named", make];
    gate.run("linus", &["grant"]).is(3, &missing);
    gate.run("linus", &["request", "--reason", WHY])
        .is(3, &missing);
    gate.run("linus", &["grant", "--plan", "new"])
        .is(2, &["`new` is not the ID of a plan"]);
    // To look needs none: whoever plans asks first which commit that is for.
    let check = gate.run("linus", &["check"]);
    check.is(0, &[ALLOWED, make]);
    assert_eq!(check.answer("approved"), "not asked");

    let ask = |plan: &str| gate.run("linus", &["request", "--plan", plan, "--reason", WHY]);
    let asked = ask(&plan);
    asked.is(0, &[]);
    assert_eq!(asked.json["record"]["seq"], 2, "{}", asked.text);
    assert_eq!(asked.json["record"]["request"]["plan"], plan.as_str());
    gate.run("grace", &["approve", "--request", "2"])
        .is(0, &["1 of 1 approvals (grace)"]);
    // Another plan of the same promotion is another thing to approve.
    let changed = "request 2 is void: since it was made, the infrastructure plan changed";
    let grant = |plan: &str| gate.run("linus", &["grant", "--plan", plan]);
    let unapproved = grant(&other);
    unapproved.is(3, &[changed, &format!("--plan {other} --reason TEXT")]);
    assert_eq!(unapproved.refusing(), ["approved"], "{}", unapproved.text);

    let granted = grant(&plan);
    granted.is(0, &[ALLOWED]);
    let permit = granted.permit();
    assert_eq!(granted.json["permit"]["plan"], plan.as_str());
    let (record, _) = gate.chain().pop().unwrap();
    assert_eq!(record["seq"], permit, "{record}");
    assert_eq!(record["permit"]["plan"], plan.as_str(), "{record}");
    assert_eq!(record["digest"], next().as_str(), "{record}");
    // The decision can be made again from what it was made of.
    let verified = gate.run("grace", &["verify"]);
    verified.is(0, &[]);
    assert_eq!(
        verified.json["decisions"]["followed"], 1,
        "{}",
        verified.text
    );
    // And it is of no other plan.
    let (export, evidence) = gate.exported("planned");
    let name = record["permit"]["evidence"].as_str().unwrap();
    let file = evidence.join(format!("{}.json", name.strip_prefix("sha256:").unwrap()));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(&format!("\"plan\":\"{plan}\"")), "{text}");
    gate.verified(&export, &evidence).is(0, &[]);
    assert_eq!(gate.second(&export, &evidence)["faults"], json!([]));
    let history = gate.run("grace", &["history"]);
    history.is(0, &[&plan]);
    let explained = gate.run("grace", &["explain"]);
    explained.is(0, &["applied only as the plan that the permit names"]);

    // A rollback leaves the infrastructure as it is.
    let back = ["grant", "--rollback", "--digest", &digest('1')];
    gate.run("linus", &[&back[..], &["--plan", &plan]].concat())
        .is(2, &["--plan does not apply to a rollback"]);
}

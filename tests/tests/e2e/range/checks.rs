//! The checks that a gate names: nothing but a success on the final head counts.

use sandbox::runner::story::AUTHOR;
use serde_json::{Value, json};

use super::Scene;

/// Others took a check that had not ended, or that never ran, for one that did not object.
#[test]
fn a_check_counts_only_once_it_succeeded() {
    let scene = Scene::new("range-checks");
    scene.contract(", checks: [quality]", "");
    let change = |branch: &str, run: Option<Value>| {
        let head = scene.push(AUTHOR, branch, branch, &json!({"from": "main"}));
        let number = scene.open(AUTHOR, branch);
        if let Some(mut run) = run {
            run["ref"] = json!(head);
            run["name"] = json!("quality");
            scene.act("check-runs", &run);
        }
        scene.approve(number);
        (head, scene.merge(number, "squash"))
    };
    let (_, tip) = change("succeeded", Some(json!({"conclusion": "success"})));
    scene.check(&tip).passes();
    for (branch, run, words) in [
        ("never", None, "`quality` did not run on"),
        (
            "pending",
            Some(json!({"status": "in_progress"})),
            "is in_progress",
        ),
        (
            "skipped",
            Some(json!({"conclusion": "skipped"})),
            "is skipped",
        ),
        (
            "neutral",
            Some(json!({"conclusion": "neutral"})),
            "is neutral",
        ),
    ] {
        let (head, tip) = change(branch, run);
        let answer = scene.check(&tip);
        answer.refused("checks", "fail", words);
        let fact = answer.rule("checks")["fact"].as_str().unwrap();
        assert!(fact.contains(&head[..7]), "{fact}");
    }
    scene.no_violations();
}

/// Two workflows may have a job of one name. So a run that failed has to be run again, and no other run's success stands for it.
#[test]
fn a_success_in_another_run_does_not_hide_a_failure() {
    let scene = Scene::new("range-check-runs");
    scene.contract(", checks: [quality]", "");
    let number = scene.propose(AUTHOR, "flaky");
    let report = |suite: u64, conclusion: &str| {
        let run =
            json!({"ref": "flaky", "name": "quality", "suite": suite, "conclusion": conclusion});
        scene.act("check-runs", &run);
    };
    report(1, "failure");
    report(2, "success");
    scene.approve(number);
    let tip = scene.merge(number, "squash");
    let answer = scene.check(&tip);
    answer.refused("checks", "fail", "is failure in one of 2 runs");
    let next = answer.rule("checks")["next"].as_str().unwrap();
    assert!(
        next.contains("run again the one that did not succeed"),
        "{next}"
    );
    // The next attempt of the run that failed.
    report(1, "success");
    scene.check(&tip).passes();
    scene.no_violations();
}

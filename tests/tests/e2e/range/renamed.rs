//! Merges by a queue, reverts, and branches that get another name.

use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER};
use serde_json::json;

use super::Scene;
use crate::support::{TIMEOUT, wait};

impl Scene {
    fn rename(&self, branch: &str, to: &str) {
        let body = json!({"user": RELEASER, "branch": branch, "to": to});
        self.act("branches/rename", &body);
    }
}

/// The queue merges what was approved, one pull request after the other, and names the app behind it as the one who merged.
#[test]
fn changes_that_a_queue_merged_pass() {
    let scene = Scene::new("range-queue");
    let queue = "github-merge-queue[bot]";
    wait(TIMEOUT, scene.story.hub.user(queue, "Bot")).unwrap();
    for method in ["merge", "squash"] {
        let queued = [1, 2].map(|index| {
            let number = scene.propose(AUTHOR, &format!("{method}-{index}"));
            scene.approve(number);
            number
        });
        let merged = queued.map(|number| {
            let body = json!({"user": queue, "method": method, "queue": true});
            scene.act(&format!("pulls/{number}/merge"), &body)
        });
        for merged in &merged {
            scene.check(merged["sha"].as_str().unwrap()).passes();
        }
    }
    // A queued pull request needs an approval as well.
    let number = scene.propose(AUTHOR, "hasty");
    let body = json!({"user": queue, "queue": true});
    let merged = scene.act(&format!("pulls/{number}/merge"), &body);
    let answer = scene.check(merged["sha"].as_str().unwrap());
    answer.refused("approvals", "fail", "has 0 of 1 approvals");
    scene.no_violations();
}

/// Taking a change back is a change.
#[test]
fn a_revert_is_reviewed_like_any_change() {
    let scene = Scene::new("range-revert");
    let tip = scene.change("one", "squash");
    let revert = |branch: &str| {
        let message = format!("Revert \"Add one (#1)\"\n\nThis reverts commit {tip}.");
        let more = json!({"from": "main", "files": {"one": null}, "message": message});
        scene.push(AUTHOR, branch, "one", &more);
        scene.open(AUTHOR, branch)
    };
    let number = revert("revert-1-one");
    let reverted = scene.merge(number, "squash");
    let answer = scene.check(&reverted);
    answer.refused("approvals", "fail", "has 0 of 1 approvals");
    scene.approve(number);
    scene.check(&reverted).passes();
    assert_eq!(scene.git(&["ls-tree", "main", "one"]), "");
    // Without a pull request it is refused like any push.
    scene.act(
        "push",
        &json!({"user": RELEASER, "branch": "main", "files": {"one": "one\n"}}),
    );
    let pushed = scene.git(&["rev-parse", "main"]);
    let answer = scene.check(&pushed);
    assert_eq!(answer.exit, Some(3), "{}", answer.shown);
    assert_eq!(answer.rule("range")["answer"], "fail", "{}", answer.shown);
}

/// GitHub closes the pull request of a branch that is renamed; a merged one keeps the name that the branch had.
#[test]
fn a_head_branch_with_another_name_is_another_pull_request() {
    let scene = Scene::new("range-head");
    let number = scene.propose(AUTHOR, "merged");
    scene.approve(number);
    let tip = scene.merge(number, "merge");
    scene.rename("merged", "kept");
    scene.check(&tip).passes();

    let first = scene.propose(AUTHOR, "draft");
    scene.approve(first);
    scene.rename("draft", "final");
    let number = scene.open(AUTHOR, "final");
    let tip = scene.merge(number, "merge");
    let answer = scene.check(&tip);
    answer.refused("approvals", "fail", &format!("#{number} has 0 of 1"));
    scene.review(number, REVIEWER, "APPROVED");
    scene.check(&tip).passes();
    scene.no_violations();
}

/// After a rename, what was merged under the old name counts until the day that the contract names.
#[test]
fn a_base_branch_with_another_name_keeps_its_pull_requests() {
    let scene = Scene::new("range-base");
    scene.change("one", "merge");
    let open = scene.propose(AUTHOR, "two");
    scene.approve(open);
    scene.rename("main", "trunk");
    // It follows the branch, and the approval was for the other one.
    let tip = scene.merge(open, "squash");
    let now = ", branch: trunk";
    let until = |day: &str| format!("{now}, formerly: {{branch: main, until: {day}}}");
    let (now_is, yesterday) = (crate::support::now(), "2000-01-01");
    let today = &now_is[..10];
    let answer = |gate: &str| {
        scene.contract(gate, "");
        scene.check(&tip)
    };
    for gate in [now.to_owned(), until(yesterday)] {
        let refused = answer(&gate);
        let words = "no pull request merged into trunk brought ";
        assert_eq!(refused.exit, Some(3), "{}", refused.shown);
        let fact = refused.rule("range")["fact"].as_str().unwrap();
        assert!(fact.contains(words), "{}", refused.shown);
    }
    let words = format!("{REVIEWER} approved it for main, before it was pointed at trunk");
    let early = answer(&until("2999-12-31"));
    assert_eq!(early.exit, Some(3), "{}", early.shown);
    let fact = early.rule("range")["fact"].as_str().unwrap();
    assert!(fact.contains("which is still to come"), "{}", early.shown);
    answer(&until(today)).refused("approvals", "fail", &words);
    scene.approve(open);
    scene.check(&tip).passes();
    scene.no_violations();
}

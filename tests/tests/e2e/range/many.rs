//! Ranges of more commits and pull requests than GitHub answers at once.

use std::process::{Command, Stdio};

use sandbox::runner::hub::depth;
use sandbox::runner::story::{AUTHOR, git_folder};
use serde_json::{Value, json};

use super::Scene;
use crate::support::{TIMEOUT, instance, wait};

impl Scene {
    /// Puts this many commits, one second apart, on a branch that continues main, without GitHub's seeing it.
    pub(super) fn import(&self, branch: &str, commits: u32, since: u32) {
        let mut parent = format!("from {}\n", self.git(&["rev-parse", "main"]));
        let mut stream = String::new();
        for index in 0..commits {
            stream.push_str(&format!(
                "commit refs/heads/{branch}\ncommitter {AUTHOR} <{AUTHOR}@acme.example> {} +0000\ndata 1\nx\n{parent}M 644 inline many.txt\ndata 5\n{index:04}\n\n",
                since + index
            ));
            parent.clear();
        }
        let file = self.setting.job.file("stream");
        std::fs::write(&file, stream).unwrap();
        let imported = Command::new("git")
            .arg("-C")
            .arg(git_folder(instance(), &self.setting.world))
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::from(std::fs::File::open(&file).unwrap()))
            .status()
            .unwrap();
        assert!(imported.success());
    }
}

#[test]
fn more_commits_than_github_lists_are_unknown_and_many_pages_are_read() {
    let scene = Scene::new("range-many");
    // More than a comparison without pages and a pull request list.
    scene.import("many", 260, 1_790_000_000);
    scene.act("push", &json!({"user": AUTHOR, "branch": "many"}));
    let number = scene.open(AUTHOR, "many");
    scene.approve(number);
    let tip = scene.merge(number, "merge");
    let answer = scene.check(&tip);
    answer.refused(
        "range",
        "unknown",
        "is not among the 250 commits that GitHub lists of it",
    );
}

/// Each answer takes so long that two calls of which neither needs the other overlap, however slow the machine is.
fn checked_from_afar(scene: &Scene, tip: &str) -> Vec<Value> {
    let repository = &scene.setting.world.repository;
    let owner = repository.split_once('/').unwrap().0;
    for fault in [
        json!({"path": format!("/repos/{repository}"), "times": 100_000, "delay_ms": 700}),
        json!({"path": "/graphql", "holds": format!("\"owner\":\"{owner}\""), "times": 100_000, "delay_ms": 700}),
    ] {
        wait(TIMEOUT, scene.story.hub.call("faults", &fault)).unwrap();
    }
    let before = wait(TIMEOUT, scene.story.hub.calls()).unwrap().len();
    let answer = scene.check(tip);
    let about = json!({"about": owner});
    wait(TIMEOUT, scene.story.hub.call("faults/clear", &about)).unwrap();
    answer.passes();
    let commits = answer.json["commits"].as_array().unwrap().len();
    let changes = answer.json["changes"].as_array().unwrap().len();
    assert_eq!(commits, 2 * changes, "{}", answer.json);
    let mut calls = wait(TIMEOUT, scene.story.hub.calls()).unwrap();
    calls.split_off(before)
}

#[test]
fn two_hundred_pull_requests_are_read_in_few_queries_and_rounds() {
    let scene = Scene::new("range-200");
    let mut tip = String::new();
    for index in 0..200 {
        tip = scene.change(&format!("change-{index}"), "merge");
    }
    let calls = checked_from_afar(&scene, &tip);
    let queries = calls.iter().filter(|call| call["path"] == "/graphql");
    // 1 for the branch, 1 for its contract, 1 for the lock files, 4 for the commits' pull requests, 20 for those.
    assert_eq!(queries.count(), 27);
    let rounds = depth(&calls);
    assert!(rounds <= 15, "{rounds} rounds of {} calls", calls.len());
    scene.no_violations();
}

/// Calls that can be made at the same time are.
#[test]
fn twenty_pull_requests_are_read_in_few_rounds() {
    let scene = Scene::new("range-20");
    let mut tip = String::new();
    for index in 0..20 {
        tip = scene.change(&format!("change-{index}"), "merge");
    }
    let calls = checked_from_afar(&scene, &tip);
    let rounds = depth(&calls);
    assert!(
        rounds <= 8,
        "{rounds} rounds of {} calls: {calls:#?}",
        calls.len()
    );
    assert!(calls.len() > 20, "{calls:#?}");
}

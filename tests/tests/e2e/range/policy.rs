//! A run that waited, or is run again, is not judged by the contract of the day it was started on.

use sandbox::instance::port;
use sandbox::runner::hub::Run;
use sandbox::runner::story::{AUTHOR, RELEASER};
use serde_json::{Value, json};

use super::{Answer, DIGEST, Scene};
use crate::support::{TIMEOUT, instance, wait};

pub(super) const WORKFLOW: &str = ".github/workflows/promote.yml";
pub(super) const TEXT: &str = "on: workflow_dispatch\npermissions: {actions: read, checks: read, contents: read, pull-requests: read}\n\
    jobs:\n  promote:\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'true'\n";

impl Scene {
    pub(super) fn start(&self, more: &Value) -> Run {
        let mut body =
            json!({"workflow": WORKFLOW, "event": "workflow_dispatch", "actor": RELEASER});
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        wait(TIMEOUT, self.story.hub.start(&body)).unwrap()
    }

    /// The check in a job of a workflow run, while the branch has the contract of the folder.
    pub(super) fn check_in(&self, run: &Run) -> Answer {
        self.with_contract(|| self.check_in_as_is(run))
    }

    /// The check in a job of a workflow run, whose checkout is of the run's commit. The token is a person's, as the run's own ends with it.
    fn check_in_as_is(&self, run: &Run) -> Answer {
        let arguments = [
            "check",
            "--environment",
            "dev",
            "--digest",
            DIGEST,
            "--json",
        ];
        let job = &self.setting.job;
        let mut command = job.command("slipway-promote", &arguments);
        let github = instance().url(port::GITHUB);
        command
            .env("GITHUB_REPOSITORY", &self.setting.world.repository)
            .env("GITHUB_TOKEN", &self.token)
            .env("GITHUB_API_URL", &github)
            .env("GITHUB_GRAPHQL_URL", format!("{github}/graphql"))
            .env("GITHUB_RUN_ID", run.run_id.to_string())
            .env("GITHUB_RUN_ATTEMPT", run.run_attempt.to_string())
            .env("GITHUB_SHA", &run.sha);
        Answer::of(&job.run(&mut command))
    }
}

impl Scene {
    /// The contract in the folder.
    fn text(&self) -> String {
        self.setting.job.read("delivery.yaml")
    }
}

#[test]
fn a_run_of_another_contract_than_the_branchs_is_refused() {
    let scene = Scene::new("range-policy");
    let files = json!({WORKFLOW: TEXT, "delivery.yaml": scene.text()});
    let first = scene.reviewed("workflow", &files);
    let run = scene.start(&json!({}));
    assert_eq!(run.sha, first);
    let passed = scene.check_in_as_is(&run);
    passed.passes();
    let fact = passed.rule("policy")["fact"].as_str().unwrap();
    assert!(
        fact.ends_with("of main, whose delivery.yaml judged"),
        "{fact}"
    );

    // A merge lands meanwhile, and touches neither the contract nor the workflow.
    scene.change("meanwhile", "merge");
    let waited = scene.check_in_as_is(&run);
    waited.passes();
    let fact = waited.rule("policy")["fact"].as_str().unwrap();
    let same = format!("delivery.yaml and {WORKFLOW} are the same in");
    assert!(fact.contains(&same), "{fact}");
    scene.fault(json!({"status": 200, "body": {"data": null}, "asks": ":delivery.yaml"}));
    let words = format!("cannot read delivery.yaml and {WORKFLOW} as the branch has them");
    scene
        .check_in_as_is(&run)
        .refused("policy", "unknown", &words);

    // The gate is tightened.
    let before = scene.text();
    let tighter = format!("{before}\n# Two approvals from now on.\n");
    let tip = scene.reviewed("tighten", &json!({"delivery.yaml": tighter}));
    let words = scene.is_not_the_branchs(&tip);
    scene.check_in_as_is(&run).refused("policy", "fail", &words);
    wait(TIMEOUT, scene.story.hub.finish(&run, "failure", &[].into())).unwrap();
    let path = format!("runs/{}/rerun", run.run_id);
    let again = wait(
        TIMEOUT,
        scene.story.hub.call(&path, &json!({"user": RELEASER})),
    );
    let again: Run = serde_json::from_value(again.unwrap()).unwrap();
    assert_eq!((again.run_attempt, &again.sha), (2, &first));
    scene
        .check_in_as_is(&again)
        .refused("policy", "fail", &words);
    // CodeBuild's build of that commit has the old contract too, and so has a new run that keeps the old file.
    scene.check_as_is(&first).refused("policy", "fail", &words);
    let new = scene.start(&json!({}));
    scene.check_in_as_is(&new).refused("policy", "fail", &words);
    let file = scene.setting.job.file("delivery.yaml");
    std::fs::write(&file, &tighter).unwrap();
    scene.check_in_as_is(&new).passes();

    // The workflow itself.
    let other = TEXT.replace("'true'", "'false'");
    let run = scene.start(&json!({}));
    scene.reviewed("other", &json!({WORKFLOW: other}));
    let words = format!("{WORKFLOW} differs between {}", &tip[..7]);
    scene.check_in_as_is(&run).refused("policy", "fail", &words);
    scene.no_violations();
}

impl Scene {
    /// The message about the folder's contract where the branch has another one.
    fn is_not_the_branchs(&self, tip: &str) -> String {
        let file = self.setting.job.file("delivery.yaml");
        let own = self.git(&["hash-object", &file.to_string_lossy()]);
        let newest = self.git(&["rev-parse", "main:delivery.yaml"]);
        format!(
            "delivery.yaml, as it judged here (blob {}), is not the one in {}, the newest commit of main (blob {})",
            &own[..7],
            &tip[..7],
            &newest[..7]
        )
    }
}

/// A commit that asks for no approvals of itself: the job checks it out, as that of what it promotes, and its contract judges.
#[test]
fn a_contract_edited_in_the_promoted_commit_does_not_judge() {
    let scene = Scene::new("range-edited");
    let contract = scene.text();
    let first = scene.reviewed(
        "workflow",
        &json!({WORKFLOW: TEXT, "delivery.yaml": contract}),
    );
    assert!(contract.contains("approvals: 1"), "{contract}");
    let weaker = contract.replace("approvals: 1", "approvals: 0");
    let more = json!({"from": "main", "files": {"delivery.yaml": weaker}});
    let promoted = scene.push(AUTHOR, "weaker", "delivery.yaml", &more);
    let own = scene.git(&["rev-parse", &format!("{promoted}:delivery.yaml")]);
    let file = scene.setting.job.file("delivery.yaml");
    std::fs::write(&file, &weaker).unwrap();
    // The run itself is of the branch's newest commit.
    let run = scene.start(&json!({}));
    assert_eq!(run.sha, first);
    let words = scene.is_not_the_branchs(&first);
    assert!(words.contains(&own[..7]), "{words}");
    scene.check_in_as_is(&run).refused("policy", "fail", &words);
    scene.check_as_is(&first).refused("policy", "fail", &words);
    // The same file elsewhere is not the branch's either.
    std::fs::write(&file, &contract).unwrap();
    scene.check_in_as_is(&run).passes();
    scene.git(&[
        "update-ref",
        "refs/heads/main",
        &scene.without_a_contract(&first),
    ]);
    let gone = scene.check_in_as_is(&run);
    gone.refused("policy", "fail", "is not in");
}

impl Scene {
    /// A commit after this one in which the contract is gone.
    fn without_a_contract(&self, commit: &str) -> String {
        self.git(&["read-tree", commit]);
        let remove = [
            "--work-tree=.",
            "update-index",
            "--force-remove",
            "delivery.yaml",
        ];
        self.git(&remove);
        let tree = self.git(&["write-tree"]);
        let name = ["-c", "user.name=ada", "-c", "user.email=ada@acme.example"];
        let after = [
            "commit-tree",
            &tree,
            "-p",
            commit,
            "-m",
            "Move the contract",
        ];
        self.git(&[&name[..], &after[..]].concat())
    }
}

/// A workflow runs as the run's commit has it. One that was edited in what is promoted is not the branch's.
#[test]
fn a_workflow_edited_in_the_promoted_commit_does_not_promote() {
    let scene = Scene::new("range-workflow");
    let files = json!({WORKFLOW: TEXT, "delivery.yaml": scene.text()});
    let first = scene.reviewed("workflow", &files);
    let edited = TEXT.replace("'true'", "'curl example.org'");
    let more = json!({"from": "main", "files": {WORKFLOW: edited}});
    let promoted = scene.push(AUTHOR, "edited", WORKFLOW, &more);
    let run = scene.start(&json!({"branch": "edited", "sha": promoted}));
    let answer = scene.check_in_as_is(&run);
    assert_eq!(answer.exit, Some(3), "{}", answer.shown);
    let fact = |rule: &str| answer.rule(rule)["fact"].as_str().unwrap().to_owned();
    for (rule, words) in [
        ("run", "the workflow comes from edited"),
        ("policy", "is not on the branch main"),
    ] {
        assert_eq!(answer.rule(rule)["answer"], "fail", "{}", answer.shown);
        assert!(fact(rule).contains(words), "{}", answer.shown);
    }
    // Once merged, it is the branch's, and a run from before is not.
    let run = scene.start(&json!({}));
    assert_eq!(run.sha, first);
    let number = scene.open(AUTHOR, "edited");
    scene.approve(number);
    let tip = scene.merge(number, "squash");
    let words = format!(
        "{WORKFLOW} differs between {} and {}",
        &first[..7],
        &tip[..7]
    );
    scene.check_in_as_is(&run).refused("policy", "fail", &words);
}

/// `workflow_dispatch` takes a tag as well, and GitHub then calls it the run's branch.
#[test]
fn a_tag_with_the_branchs_name_is_not_the_branch() {
    let scene = Scene::new("range-tag");
    let files = json!({WORKFLOW: TEXT, "delivery.yaml": scene.text()});
    scene.reviewed("workflow", &files);
    let evil = scene.push(RELEASER, "evil", "evil.txt", &json!({"from": "main"}));
    scene.git(&["tag", "main", &evil]);
    let run = scene.start(&json!({"branch": "main", "tag": true, "sha": evil}));
    let answer = scene.check_in_as_is(&run);
    assert_eq!(answer.exit, Some(3), "{}", answer.shown);
    assert_eq!(answer.rule("run")["answer"], "pass", "{}", answer.shown);
    assert_eq!(answer.rule("policy")["answer"], "fail", "{}", answer.shown);
    assert_eq!(answer.rule("branch")["answer"], "fail", "{}", answer.shown);
}

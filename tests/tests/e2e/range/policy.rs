//! A run that waited, or is run again, is not judged by the contract of the day it was started on.

use sandbox::instance::port;
use sandbox::runner::hub::Run;
use sandbox::runner::story::RELEASER;
use serde_json::{Value, json};

use super::{Answer, DIGEST, Scene};
use crate::support::{PATIENCE, instance, wait};

pub(super) const WORKFLOW: &str = ".github/workflows/promote.yml";
pub(super) const TEXT: &str = "on: workflow_dispatch\npermissions: {actions: read, checks: read, contents: read, pull-requests: read}\n\
    jobs:\n  promote:\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'true'\n";

impl Scene {
    pub(super) fn start(&self, more: &Value) -> Run {
        let mut body =
            json!({"workflow": WORKFLOW, "event": "workflow_dispatch", "actor": RELEASER});
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        wait(PATIENCE, self.story.hub.start(&body)).unwrap()
    }

    /// The check in a job of a workflow run, whose checkout is of the run's commit. The token is a person's, as the run's own ends with it.
    pub(super) fn check_in(&self, run: &Run) -> Answer {
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

#[test]
fn a_run_of_another_contract_than_the_branchs_is_refused() {
    let scene = Scene::new("range-policy");
    let first = scene.reviewed("workflow", &json!({WORKFLOW: TEXT}));
    let run = scene.start(&json!({}));
    assert_eq!(run.sha, first);
    scene.check_in(&run).passes();

    // A merge lands meanwhile, and touches neither the contract nor the workflow.
    scene.change("meanwhile", "merge");
    let waited = scene.check_in(&run);
    waited.passes();
    let fact = waited.rule("policy")["fact"].as_str().unwrap();
    let same = format!("delivery.yaml and {WORKFLOW} are the same in");
    assert!(fact.contains(&same), "{fact}");
    scene.fault(json!({"status": 200, "body": {"data": null}, "asks": ":delivery.yaml"}));
    let words = format!("cannot read delivery.yaml and {WORKFLOW} as this run");
    scene.check_in(&run).refused("policy", "unknown", &words);

    // The gate is tightened.
    let contract = scene.git(&["show", "main:delivery.yaml"]);
    let tighter = format!("{contract}\n# Two approvals from now on.\n");
    let tip = scene.reviewed("tighten", &json!({"delivery.yaml": tighter}));
    let words = format!(
        "delivery.yaml differs between {} and {}, the newest commit of main",
        &first[..7],
        &tip[..7]
    );
    scene.check_in(&run).refused("policy", "fail", &words);
    wait(
        PATIENCE,
        scene.story.hub.finish(&run, "failure", &[].into()),
    )
    .unwrap();
    let path = format!("runs/{}/rerun", run.run_id);
    let again = wait(
        PATIENCE,
        scene.story.hub.call(&path, &json!({"user": RELEASER})),
    );
    let again: Run = serde_json::from_value(again.unwrap()).unwrap();
    assert_eq!((again.run_attempt, &again.sha), (2, &first));
    scene.check_in(&again).refused("policy", "fail", &words);
    // CodeBuild's build of that commit has the old contract too.
    scene.check(&first).refused("policy", "fail", &words);
    scene.check_in(&scene.start(&json!({}))).passes();

    // The workflow itself.
    let other = TEXT.replace("'true'", "'false'");
    let run = scene.start(&json!({}));
    scene.reviewed("other", &json!({WORKFLOW: other}));
    let words = format!("{WORKFLOW} differs between {}", &tip[..7]);
    scene.check_in(&run).refused("policy", "fail", &words);
    scene.no_violations();
}

/// `workflow_dispatch` takes a tag as well, and GitHub then calls it the run's branch.
#[test]
fn a_tag_with_the_branchs_name_is_not_the_branch() {
    let scene = Scene::new("range-tag");
    scene.reviewed("workflow", &json!({WORKFLOW: TEXT}));
    let evil = scene.push(RELEASER, "evil", "evil.txt", &json!({"from": "main"}));
    scene.git(&["tag", "main", &evil]);
    let run = scene.start(&json!({"branch": "main", "tag": true, "sha": evil}));
    let answer = scene.check_in(&run);
    assert_eq!(answer.exit, Some(3), "{}", answer.shown);
    assert_eq!(answer.rule("run")["answer"], "pass", "{}", answer.shown);
    assert_eq!(answer.rule("policy")["answer"], "fail", "{}", answer.shown);
    assert_eq!(answer.rule("branch")["answer"], "fail", "{}", answer.shown);
}

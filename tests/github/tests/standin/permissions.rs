//! The job that calls, and its permissions.

use serde_json::{Value, json};

use crate::support::{World, run};

const WORKFLOW: &str = "
name: Promote
on:
  workflow_dispatch:
    inputs: {environment: {type: string, required: true}}
permissions: {contents: read}
jobs:
  check:
    runs-on: ubuntu-latest
    permissions: {actions: read, pull-requests: read}
    steps: [{run: 'true'}]
  deploy:
    runs-on: ubuntu-latest
    environment: ${{ inputs.environment }}
    permissions: {deployments: write, id-token: write}
    steps: [{run: 'true'}]
  plain:
    runs-on: ubuntu-latest
    steps: [{run: 'true'}]
";

fn dispatch(world: &World, environment: &str) -> Value {
    json!({
        "workflow": ".github/workflows/promote.yml", "event": "workflow_dispatch", "actor": "ana",
        "inputs": {"environment": environment}, "workflows": {".github/workflows/promote.yml": WORKFLOW}, "branch": world.git(&["symbolic-ref", "--short", "HEAD"]),
    })
}

#[test]
fn a_job_may_what_it_declared_and_no_more() {
    let world = World::new();
    let run = world.start(dispatch(&world, "staging"));
    let own = format!("actions/runs/{}", run.id);
    assert_eq!(
        world.by_job(&run, "check", "GET", &own, None).expect(200)["actor"]["id"],
        101
    );
    let refused = world.by_job(&run, "check", "GET", "deployments", None);
    assert_eq!(
        refused.headers["x-accepted-github-permissions"],
        "deployments=read"
    );
    assert_eq!(
        refused.expect(403)["message"],
        "Resource not accessible by integration"
    );
    assert_eq!(
        world
            .by_job(&run, "check", "GET", "commits/main", None)
            .status,
        403,
        "what is not named is none"
    );
    assert_eq!(
        world
            .by_job(&run, "plain", "GET", "commits/main", None)
            .status,
        200,
        "the workflow's own permissions"
    );
    assert_eq!(world.by_job(&run, "plain", "GET", &own, None).status, 403);
    let body = json!({"ref": "main", "auto_merge": false, "required_contexts": [], "environment": "staging"});
    assert_eq!(
        world
            .by_job(&run, "plain", "POST", "deployments", Some(body.clone()))
            .status,
        403
    );
    let made = world
        .by_job(&run, "deploy", "POST", "deployments", Some(body))
        .expect(201);
    assert_eq!(made["creator"]["login"], "github-actions[bot]");
    assert_eq!(
        world.by_job(&run, "plain", "GET", "", None).status,
        200,
        "metadata is always there"
    );
    assert_eq!(
        world.by_job(&run, "plain", "GET", "/user", None).status,
        403
    );
    assert_eq!(
        world
            .by_job(
                &run,
                "plain",
                "GET",
                &format!("issues/{}/comments", 1),
                None
            )
            .headers["x-accepted-github-permissions"],
        "issues=read; pull_requests=read"
    );
}

#[test]
fn a_caller_that_is_not_a_job_of_the_run_is_refused_with_the_reason() {
    let world = World::new();
    let run = world.start(dispatch(&world, "staging"));
    let nobody = world.server.curl(
        &[],
        Some(&run.token),
        "GET",
        &format!("/repos/{}", world.repository),
        None,
    );
    assert_eq!(nobody.status, 403);
    assert!(
        nobody.headers["x-standin-reason"].contains("GITHUB_JOB"),
        "{:?}",
        nobody.headers
    );
    let other = world.by_job(&run, "absent", "GET", "", None);
    assert!(
        other.headers["x-standin-reason"].contains("has no job 'absent'"),
        "{:?}",
        other.headers
    );
    let calls = world.calls();
    assert!(
        calls[0]["permission"]
            .as_str()
            .unwrap()
            .starts_with("refused: "),
        "{:#}",
        calls[0]
    );
    assert_eq!(calls[0]["caller"], format!("run {}", run.id));
}

#[test]
fn a_token_ends_with_its_run_and_a_rerun_brings_another() {
    let world = World::new();
    let first = world.start(dispatch(&world, "staging"));
    assert_eq!(world.by_job(&first, "check", "GET", "", None).status, 200);
    world.server.control(
        &format!("runs/{}/finish", first.id),
        json!({"conclusion": "failure", "jobs": {"check": "success"}}),
    );
    assert_eq!(
        world.by_job(&first, "check", "GET", "", None).expect(401)["message"],
        "Bad credentials"
    );

    let second = run(&world
        .server
        .control(&format!("runs/{}/rerun", first.id), json!({"user": "ben"})));
    let seen = world
        .by_job(
            &second,
            "check",
            "GET",
            &format!("actions/runs/{}", second.id),
            None,
        )
        .expect(200);
    assert_eq!(
        (
            &seen["run_attempt"],
            &seen["actor"]["login"],
            &seen["triggering_actor"]["login"]
        ),
        (&json!(2), &json!("ana"), &json!("ben"))
    );
    let earlier = world
        .get(&format!("actions/runs/{}/attempts/1", first.id))
        .expect(200);
    assert_eq!(
        (
            &earlier["triggering_actor"]["login"],
            &earlier["conclusion"]
        ),
        (&json!("ana"), &json!("failure"))
    );
    assert_eq!(
        world
            .get(&format!("actions/runs/{}/attempts/3", first.id))
            .status,
        404
    );
    let jobs = world
        .get(&format!("actions/runs/{}/jobs?filter=all", first.id))
        .expect(200);
    assert_eq!(jobs["total_count"], 6);
    let checks = world
        .get("commits/main/check-runs?check_name=check&filter=all")
        .expect(200);
    assert_eq!(
        checks["total_count"], 2,
        "each job is a check run of its commit"
    );
}

#[test]
fn a_stranger_sees_nothing_and_a_reader_changes_nothing() {
    let world = World::new();
    let path = format!("/repos/{}", world.repository);
    assert_eq!(
        world.server.curl(&[], None, "GET", &path, None).status,
        404,
        "a private repository is not there"
    );
    assert_eq!(
        world
            .server
            .curl(&[], Some("ghp_wrong"), "GET", &path, None)
            .status,
        401
    );
    let rita = world.server.control("tokens", json!({"login": "rita"}))["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        world
            .server
            .curl(&[], Some(&rita), "GET", &path, None)
            .status,
        200
    );
    let body = json!({"ref": "main", "auto_merge": false, "required_contexts": []});
    assert_eq!(
        world
            .server
            .curl(
                &[],
                Some(&rita),
                "POST",
                &format!("{path}/deployments"),
                Some(&body)
            )
            .status,
        404
    );
    let other = World::new();
    let run = other.start(dispatch(&other, "staging"));
    let across = other.server.curl(
        &[("GITHUB_JOB", "check"), ("GITHUB_RUN_ID", &run.id)],
        Some(&run.token),
        "GET",
        &path,
        None,
    );
    assert_eq!(across.status, 404, "another repository's run");
}

#[test]
fn an_environment_keeps_a_job_from_starting() {
    let world = World::new();
    world.push("ana", "topic", &[("a.txt", "a\n")]);
    world.act(
        "environments",
        json!({"name": "staging", "branch_patterns": ["main"]}),
    );
    world.act(
        "environments",
        json!({"name": "production", "reviewers": ["ben", "ana"], "prevent_self_review": true}),
    );
    let mut body = dispatch(&world, "staging");
    body["branch"] = json!("topic");
    let from_topic = world.start(body);
    let refused = world.by_job(&from_topic, "deploy", "GET", "", None);
    assert!(
        refused.headers["x-standin-reason"]
            .contains("Branch \"topic\" is not allowed to deploy to staging"),
        "{:?}",
        refused.headers
    );

    let waiting = world.start(dispatch(&world, "production"));
    assert!(
        world.by_job(&waiting, "deploy", "GET", "", None).headers["x-standin-reason"]
            .contains("waits for a review")
    );
    let approvals = format!("/_sandbox/runs/{}/approvals", waiting.id);
    let approve = |user: &str| {
        world
            .server
            .curl(
                &[],
                None,
                "POST",
                &approvals,
                Some(&json!({"user": user, "environments": ["production"], "state": "approved"})),
            )
            .status
    };
    assert_eq!(
        (approve("ana"), approve("rita"), approve("ben")),
        (403, 403, 201),
        "not whoever started it, not whoever is not a reviewer"
    );
    assert_eq!(
        world.by_job(&waiting, "deploy", "GET", "", None).status,
        200
    );
    let seen = world
        .get(&format!("actions/runs/{}/approvals", waiting.id))
        .expect(200);
    assert_eq!(
        (&seen[0]["user"]["id"], &seen[0]["environments"][0]["name"]),
        (&json!(102), &json!("production"))
    );
}

#[test]
fn a_job_with_an_environment_is_deployed_by_github_itself() {
    let world = World::new();
    let run = world.start(dispatch(&world, "staging"));
    assert_eq!(world.get("deployments").expect(200), json!([]));
    world.by_job(&run, "deploy", "GET", "", None).expect(200);
    world.by_job(&run, "deploy", "GET", "", None).expect(200);
    let made = world.get("deployments").expect(200);
    assert_eq!(
        (made.as_array().unwrap().len(), &made[0]["environment"]),
        (1, &json!("staging"))
    );
    world.server.control(
        &format!("runs/{}/finish", run.id),
        json!({"conclusion": "success"}),
    );
    let states = world
        .get(&format!("deployments/{}/statuses", made[0]["id"]))
        .expect(200);
    assert_eq!(
        (&states[0]["state"], &states[1]["state"]),
        (&json!("success"), &json!("in_progress"))
    );
}

#[test]
fn a_called_workflow_cannot_take_more_than_its_caller_gives() {
    let world = World::new();
    let caller = "on: workflow_dispatch\njobs: {go: {permissions: {contents: read}, uses: 'slipway-delivery/slipway/.github/workflows/x.yml@v1'}}";
    let called = "on: workflow_call\njobs: {deploy: {runs-on: x, permissions: {id-token: write}}}";
    let body = json!({
        "workflow": "p.yml", "event": "workflow_dispatch", "actor": "ana",
        "workflows": {"p.yml": caller, "slipway-delivery/slipway/.github/workflows/x.yml@v1": called},
    });
    let (status, message) = world.refused("runs", body);
    assert_eq!(status, 422);
    assert!(
        message.contains("requesting 'id-token: write', but is only allowed 'id-token: none'"),
        "{message}"
    );
}

#[test]
fn a_user_agent_and_a_known_media_type_are_needed() {
    let world = World::new();
    let raw = |header: &str| {
        let output = std::process::Command::new("curl")
            .args([
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-H",
                header,
                &format!("{}/repos/{}", world.server.url, world.repository),
            ])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(raw("User-Agent:"), "403");
    assert_eq!(raw("Accept: text/html"), "415");
}

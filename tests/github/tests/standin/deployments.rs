//! Deployments and environments, in the sequence GitHub documents.

use serde_json::{Value, json};

use crate::support::World;

fn deploy(world: &World, environment: &str) -> u64 {
    let body = json!({"ref": "main", "auto_merge": false, "required_contexts": [], "environment": environment, "payload": {"digest": "sha256:1"}});
    world.call("POST", "deployments", Some(body)).expect(201)["id"]
        .as_u64()
        .unwrap()
}

fn status(world: &World, id: u64, state: &str) -> Value {
    let body =
        json!({"state": state, "environment_url": "http://127.0.0.1:4100", "description": "done"});
    world
        .call("POST", &format!("deployments/{id}/statuses"), Some(body))
        .expect(201)
}

fn states(world: &World, id: u64) -> Vec<String> {
    let all = world.get(&format!("deployments/{id}/statuses")).expect(200);
    all.as_array()
        .unwrap()
        .iter()
        .map(|one| one["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_success_makes_older_successes_of_its_environment_inactive() {
    let world = World::new();
    let (failed, first, other, second) = (
        deploy(&world, "staging"),
        deploy(&world, "staging"),
        deploy(&world, "dev"),
        deploy(&world, "staging"),
    );
    for (id, state) in [
        (failed, "failure"),
        (first, "in_progress"),
        (first, "success"),
        (other, "success"),
        (second, "success"),
    ] {
        status(&world, id, state);
    }
    assert_eq!(
        states(&world, first),
        ["inactive", "success", "in_progress"],
        "newest first"
    );
    assert_eq!(states(&world, failed), ["failure"]);
    assert_eq!(states(&world, other), ["success"]);
    let newest = world.get("deployments?environment=staging").expect(200);
    assert_eq!(
        (
            newest[0]["id"].as_u64(),
            &newest[0]["payload"]["digest"],
            newest.as_array().unwrap().len()
        ),
        (Some(second), &json!("sha256:1"), 3)
    );
}

#[test]
fn older_production_deployments_stay_active() {
    let world = World::new();
    let (first, second) = (deploy(&world, "production"), deploy(&world, "production"));
    status(&world, first, "success");
    status(&world, second, "success");
    assert_eq!(states(&world, first), ["success"]);
    assert_eq!(
        world.get(&format!("deployments/{first}")).expect(200)["production_environment"],
        true
    );
}

#[test]
fn a_deployment_waits_for_its_contexts() {
    let world = World::new();
    world.act(
        "statuses",
        json!({"ref": "main", "context": "ci", "state": "pending"}),
    );
    let body = json!({"ref": "main", "auto_merge": false, "environment": "staging"});
    let conflict = world
        .call("POST", "deployments", Some(body.clone()))
        .expect(409);
    assert_eq!(conflict["errors"][0]["contexts"][0]["context"], "ci");
    world.act(
        "statuses",
        json!({"ref": "main", "context": "ci", "state": "success"}),
    );
    world.call("POST", "deployments", Some(body)).expect(201);
    let named = json!({"ref": "main", "auto_merge": false, "required_contexts": ["absent"]});
    assert_eq!(world.call("POST", "deployments", Some(named)).status, 409);
}

#[test]
fn a_branch_behind_main_is_merged_first_unless_auto_merge_is_off() {
    let world = World::new();
    let topic = world.push("ana", "topic", &[("t.txt", "t\n")]);
    world.push("ana", "main", &[("m.txt", "m\n")]);
    let message = world
        .call(
            "POST",
            "deployments",
            Some(json!({"ref": "topic", "required_contexts": []})),
        )
        .expect(202)["message"]
        .clone();
    assert_eq!(message, "Auto-merged main into topic on deployment.");
    assert_ne!(
        world.git(&["rev-parse", "topic"]),
        Some(topic.clone()),
        "the branch was changed"
    );
    assert_eq!(world.get("deployments").expect(200), json!([]));
    world.push("ana", "main", &[("m.txt", "n\n")]);
    let made = world
        .call(
            "POST",
            "deployments",
            Some(json!({"ref": topic, "auto_merge": false, "required_contexts": []})),
        )
        .expect(201);
    assert_eq!(made["sha"], topic);
}

#[test]
fn deployment_input_that_github_rejects_is_refused() {
    let world = World::new();
    let id = deploy(&world, "staging");
    let refused = |body: Value| {
        world
            .call("POST", &format!("deployments/{id}/statuses"), Some(body))
            .status
    };
    assert_eq!(refused(json!({"state": "deployed"})), 422);
    assert_eq!(refused(json!({})), 422);
    assert_eq!(
        refused(json!({"state": "success", "description": "x".repeat(141)})),
        422
    );
    assert_eq!(
        refused(json!({"state": "success", "log_url": "file:///x"})),
        422
    );
    assert_eq!(
        world
            .call("POST", "deployments", Some(json!({"ref": "absent"})))
            .status,
        422
    );
    assert_eq!(
        world
            .call(
                "POST",
                "deployments/1/statuses",
                Some(json!({"state": "success"}))
            )
            .status,
        404
    );
    assert_eq!(states(&world, id), Vec::<String>::new());
}

#[test]
fn an_environment_shows_its_guards() {
    let world = World::new();
    assert_eq!(world.get("environments/staging").status, 404);
    deploy(&world, "staging");
    assert_eq!(
        world.get("environments/staging").expect(200)["protection_rules"],
        json!([]),
        "made by its first deployment"
    );
    world.act("environments", json!({"name": "production", "reviewers": ["ben"], "prevent_self_review": true, "wait_timer": 5, "branch_patterns": ["main"]}));
    let production = world.get("environments/production").expect(200);
    let kinds: Vec<_> = production["protection_rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["type"].clone())
        .collect();
    assert_eq!(kinds, ["wait_timer", "required_reviewers", "branch_policy"]);
    assert_eq!(
        production["protection_rules"][1]["prevent_self_review"],
        true
    );
    assert_eq!(
        production["deployment_branch_policy"],
        json!({"protected_branches": false, "custom_branch_policies": true})
    );
}

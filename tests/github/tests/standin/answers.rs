//! GitHub's description judges every answer; what breaks it, or is not implemented, is found out.

use std::sync::OnceLock;

use serde_json::json;

use crate::support::{Server, World};

/// A stand-in whose violations are wanted; the shared one must have none.
fn broken() -> &'static Server {
    static BROKEN: OnceLock<Server> = OnceLock::new();
    BROKEN.get_or_init(Server::start)
}

fn violations(world: &World) -> Vec<serde_json::Value> {
    let path = format!("/_sandbox/violations?repository={}", world.repository);
    world
        .server
        .curl(&[], None, "GET", &path, None)
        .expect(200)
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn a_broken_answer_becomes_a_500_that_names_the_place() {
    let world = std::mem::ManuallyDrop::new(World::with(broken(), json!({})));
    let path = format!("/repos/{}/commits/main", world.repository);
    world.get("commits/main").expect(200);
    world.server.control(
        "faults",
        json!({"path": path, "remove": "/commit/tree/sha"}),
    );
    let answer = world.get("commits/main").expect(500);
    assert!(
        answer["message"].as_str().unwrap().contains("/commit/tree"),
        "{answer:#}"
    );
    let found = violations(&world);
    assert_eq!(
        (found.len(), &found[0]["pointer"]),
        (1, &json!("/commit/tree"))
    );
    assert!(
        found[0]["message"].as_str().unwrap().contains("sha"),
        "{:#}",
        found[0]
    );
    assert!(
        world
            .server
            .standin
            .violations()
            .iter()
            .any(|one| one.repository.as_deref() == Some(&world.repository))
    );
    world.get("commits/main").expect(200);
}

#[test]
fn unimplemented_requests_are_recorded_as_violations() {
    let world = std::mem::ManuallyDrop::new(World::with(broken(), json!({})));
    world.get("releases").expect(501);
    world.get("activity?time_period=day").expect(501);
    world.get("commits/main?unheard_of=1").expect(200);
    let found = violations(&world);
    assert_eq!(
        found
            .iter()
            .map(|one| one["pointer"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["this path and method", "the query parameter time_period"]
    );
}

#[test]
fn faults_play_as_often_as_asked() {
    let world = World::new();
    let path = format!("/repos/{}/deployments", world.repository);
    let fault = json!({"path": path, "method": "POST", "status": 502, "after": true, "times": 1});
    world.server.control("faults", fault);
    let body = json!({"ref": "main", "auto_merge": false, "required_contexts": []});
    assert_eq!(world.get("deployments").status, 200, "another method");
    assert_eq!(
        world.call("POST", "deployments", Some(body.clone())).status,
        502
    );
    assert_eq!(
        world
            .get("deployments")
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1,
        "only the answer was lost"
    );
    assert_eq!(world.call("POST", "deployments", Some(body)).status, 201);

    world.server.control("faults", json!({"path": path, "status": 403, "headers": {"retry-after": "7"}, "body": {"message": "You have exceeded a secondary rate limit"}, "times": 2}));
    let limited = world.get("deployments");
    assert_eq!(
        (limited.status, limited.headers["retry-after"].as_str()),
        (403, "7")
    );
    assert_eq!(world.get("deployments").status, 403);
    assert_eq!(world.get("deployments").status, 200);

    let asked = std::time::Instant::now();
    world
        .server
        .control("faults", json!({"path": path, "delay_ms": 400}));
    assert_eq!(world.get("deployments").status, 200);
    assert!(asked.elapsed().as_millis() >= 400);
}

#[test]
fn every_call_is_recorded_without_its_token() {
    let world = World::new();
    let before = world.get("");
    assert!(
        before.headers["x-ratelimit-remaining"]
            .parse::<u64>()
            .unwrap()
            < 5000
    );
    world.get("commits/main/pulls");
    let calls = world.calls();
    assert_eq!(
        calls
            .iter()
            .map(|call| call["path"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>(),
        ["", "/commits/main/pulls"].map(|path| format!("/repos/{}{path}", world.repository))
    );
    assert_eq!(
        (
            &calls[0]["caller"],
            &calls[0]["permission"],
            &calls[0]["status"]
        ),
        (
            &json!("user ana"),
            &json!("allowed: ana has role write"),
            &json!(200)
        )
    );
    assert!(!json!(calls).to_string().contains(&world.token));
}

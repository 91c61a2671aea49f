//! Issues, which share their numbers with pull requests.

use serde_json::json;

use crate::support::World;

#[test]
fn issues_are_opened_listed_among_pull_requests_changed_and_closed() {
    let world = World::new();
    let pull = world.pull("ana", "topic");
    let made = world
        .call(
            "POST",
            "issues",
            Some(json!({"title": "Approve it", "body": "<!-- m -->"})),
        )
        .expect(201);
    let number = made["number"].as_u64().unwrap();
    assert_ne!(made["number"], pull);
    let all = world.get("issues?state=all&direction=asc").expect(200);
    let numbers: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["number"])
        .collect();
    assert_eq!(numbers, [&json!(pull), &json!(number)]);
    assert_eq!(all[1]["body"], "<!-- m -->");
    assert!(all[0]["pull_request"].is_object() && all[1]["pull_request"].is_null());
    let none = world
        .get("issues?state=all&since=2100-01-01T00:00:00Z")
        .expect(200);
    assert_eq!(none, json!([]));

    let change = json!({"body": "done", "state": "closed", "state_reason": "not_planned"});
    let path = format!("issues/{number}");
    let closed = world.call("PATCH", &path, Some(change)).expect(200);
    assert_eq!(
        (&closed["state"], &closed["title"]),
        (&json!("closed"), &json!("Approve it"))
    );
    assert_eq!(closed["state_reason"], "not_planned");
    let open = world.get("issues").expect(200);
    assert_eq!(open.as_array().unwrap().len(), 1);
    let again = world
        .call("PATCH", &path, Some(json!({"state": "open"})))
        .expect(200);
    assert_eq!(
        (&again["state"], &again["state_reason"]),
        (&json!("open"), &json!("reopened"))
    );
    let blank = world.call("POST", "issues", Some(json!({"title": " "})));
    assert_eq!(blank.status, 422);
    let long = json!({"title": "t", "body": "x".repeat(65_537)});
    assert_eq!(world.call("POST", "issues", Some(long)).status, 422);
    // The next pull request goes on from there.
    assert_eq!(world.pull("ana", "next"), number + 1);
}

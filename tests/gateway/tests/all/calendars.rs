//! Change calendars: their settings, and the answer to a call for several of them.

use serde_json::{Value, json};

use crate::support::{REGION, World, world};

async fn tell(world: &World, name: &str, state: &str, next: Option<&str>) -> u16 {
    let setting = json!({"account": world.build_id, "region": REGION, "name": name, "state": state, "next": next});
    world.control("calendars", &setting).await.0
}

async fn ask(world: &World, names: &Value) -> (u16, Value) {
    let headers = [
        ("x-amz-target", "AmazonSSM.GetCalendarState"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let input = json!({"CalendarNames": names}).to_string();
    let (status, answer) = world.call(&world.build, "ssm", &headers, &input).await;
    (status, serde_json::from_str(&answer).unwrap())
}

#[tokio::test]
async fn calendars_are_open_only_together() {
    let world = world().await;
    let (early, late) = ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z");
    for (name, state, next) in [
        ("sales", "OPEN", Some(early)),
        ("payday", "CLOSED", Some(late)),
        ("audit", "CLOSED", None),
    ] {
        assert_eq!(tell(&world, name, state, next).await, 204);
    }
    let arn = format!("arn:aws:ssm:{REGION}:{}:document/sales", world.build_id);
    for (names, state, next) in [
        (json!(["sales"]), "OPEN", json!(early)),
        (json!([arn]), "OPEN", json!(early)),
        (json!(["sales", "payday"]), "CLOSED", json!(late)),
        (json!(["audit"]), "CLOSED", Value::Null),
    ] {
        let (status, answer) = ask(&world, &names).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["State"], state, "{answer}");
        assert_eq!(answer["NextTransitionTime"], next, "{answer}");
    }
}

#[tokio::test]
async fn unknown_calendars_and_states_are_refused() {
    let world = world().await;
    assert_eq!(tell(&world, "sales", "AJAR", None).await, 400);
    for (names, code) in [
        (json!(["sales"]), "InvalidDocument"),
        (json!("sales"), "ValidationException"),
    ] {
        let (status, answer) = ask(&world, &names).await;
        assert_eq!(
            (status, answer["__type"].clone()),
            (400, json!(code)),
            "{answer}"
        );
    }
}

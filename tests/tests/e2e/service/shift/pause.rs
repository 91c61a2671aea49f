//! A deployment that pauses ends one run, and another one continues it.

use super::*;

#[test]
fn a_pause_ends_the_run_and_another_run_continues_the_deployment() {
    let setting = Setting::new("production");
    let shifting = Shifting::new(&setting, "paused", &blue_green(0));
    let mut configuration = blue_green(0);
    configuration["lifecycleHooks"] = json!([
        {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}
    ]);
    shifting.configure(&configuration);
    let first = shifting.runs();
    let next = shifting.version("2");
    let paused = [
        "is paused at POST_TEST_TRAFFIC_SHIFT and waits for an answer",
        "without an answer ECS rolls it back at 20",
        "slipway-service continue --cluster",
        "\"verdict\": \"paused\"",
    ];
    ends(&mut shifting.deploy(&next, &["--json"]), 8, &paused);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("paused"));
    assert!(output(&setting, "deployment-id").is_some());
    // The same deployment again ends there again, and another one is not deployed over it.
    ends(&mut shifting.deploy(&next, &[]), 8, &paused[..3]);
    let other = shifting.version("3");
    let over = [
        "is paused at POST_TEST_TRAFFIC_SHIFT",
        "nothing was deployed over it",
    ];
    ends(&mut shifting.deploy(&other, &[]), 4, &over);
    ends(&mut shifting.deploy(&first, &[]), 4, &over);

    let proceed = |further: &[&str]| shifting.run("continue", further);
    ends(
        &mut proceed(&["--digest", &other]),
        3,
        &["is of another version", "was not continued"],
    );
    let wrong = ["--digest", &next, "--hook", "ecs-pause-other"];
    let waits = [
        "does not wait for an answer",
        "waits for an answer at POST_TEST_TRAFFIC_SHIFT",
    ];
    ends(&mut proceed(&wrong), 3, &waits);
    ends(
        &mut proceed(&["--digest", &next, "--dry-run"]),
        0,
        &["would continue", "answer hook"],
    );
    assert_eq!(
        shifting.record()["lifecycleHookDetails"][0]["status"],
        "AWAITING_ACTION"
    );
    ends(
        &mut proceed(&["--digest", &next]),
        0,
        &["answer hook ecs-pause-", "succeeded"],
    );
    assert_eq!(shifting.runs(), next);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("healthy"));
    // Nothing waits any more: what runs is verified.
    ends(
        &mut proceed(&["--digest", &next]),
        0,
        &["nothing waits for an answer", "succeeded"],
    );
    // A pause that is not wanted is rolled back.
    ends(&mut shifting.deploy(&other, &[]), 8, &paused[..1]);
    ends(
        &mut shifting.run("rollback", &[]),
        0,
        &["stop the deployment of paused:", "rolled back"],
    );
    assert_eq!(shifting.runs(), next);
}

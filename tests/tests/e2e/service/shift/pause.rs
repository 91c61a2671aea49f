//! A deployment that pauses ends one run, and another one continues it.

use super::*;

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one deployment from its first pause to its rollback"
)]
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
        &format!("--digest {next} --hook ecs-pause-"),
        "\"verdict\": \"paused\"",
    ];
    ends(&mut shifting.deploy(&next, &["--json"]), 8, &paused);
    let hook = output(&setting, "hook").unwrap();
    assert_eq!(
        shifting.record()["lifecycleHookDetails"][0]["hookId"],
        *hook
    );
    assert_eq!(output(&setting, "digest").as_ref(), Some(&next));
    assert_eq!(output(&setting, "verdict").as_deref(), Some("paused"));
    assert!(output(&setting, "deployment-id").is_some());
    // The same deployment again ends there again, and another one is not deployed over it.
    ends(&mut shifting.deploy(&next, &[]), 8, &paused[..3]);
    let other = shifting.version("3");
    let over = [
        "is paused at POST_TEST_TRAFFIC_SHIFT",
        "nothing was deployed over it",
        &format!("--digest {next} --hook {hook}"),
    ];
    ends(&mut shifting.deploy(&other, &[]), 4, &over);
    ends(&mut shifting.deploy(&first, &[]), 4, &over);

    let compared = [
        "does not run this completely yet",
        "is paused at POST_TEST_TRAFFIC_SHIFT",
    ];
    ends(
        &mut shifting.run("diff", &["--digest", &next]),
        0,
        &compared,
    );
    // Neither does a task run for a version that is not this one.
    let task = ["--digest", &other, "--", "/bin/busybox", "true"];
    let beside = [over[0], "no task was started beside it"];
    ends(&mut shifting.run("run-task", &task), 4, &beside);

    let proceed = |digest: &str, further: &[&str]| {
        let named = ["--digest", digest, "--hook", &hook];
        shifting.run("continue", &[&named[..], further].concat())
    };
    ends(
        &mut proceed(&other, &[]),
        3,
        &["is of another version", "was not continued"],
    );
    let wrong = ["--digest", &next, "--hook", "ecs-pause-other"];
    let waits = [
        "does not wait for an answer",
        "waits for an answer at POST_TEST_TRAFFIC_SHIFT",
    ];
    ends(&mut shifting.run("continue", &wrong), 3, &waits);
    ends(
        &mut shifting.run("continue", &["--digest", &next]),
        2,
        &["--hook <ID>"],
    );
    ends(
        &mut proceed(&next, &["--dry-run"]),
        0,
        &["would continue", "answer hook"],
    );
    assert_eq!(
        shifting.record()["lifecycleHookDetails"][0]["status"],
        "AWAITING_ACTION"
    );
    ends(
        &mut proceed(&next, &[]),
        0,
        &["answer hook ecs-pause-", "succeeded"],
    );
    assert_eq!(shifting.runs(), next);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("healthy"));
    // Nothing waits any more: what runs is verified.
    ends(
        &mut proceed(&next, &[]),
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
    assert_eq!(output(&setting, "verdict").as_deref(), Some("rolled-back"));
    assert_eq!(output(&setting, "digest"), Some(other));
}

/// A run that is repeated after it answered a hook ends at the next one, which nobody looked at yet.
#[test]
fn a_run_that_is_repeated_after_its_answer_answers_no_other_hook() {
    let setting = Setting::new("production");
    let shifting = Shifting::new(&setting, "repeated", &blue_green(0));
    let mut configuration = blue_green(0);
    configuration["lifecycleHooks"] = json!([
        {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]},
        {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]},
    ]);
    shifting.configure(&configuration);
    let next = shifting.version("2");
    let first = ["is paused at POST_SCALE_UP"];
    ends(&mut shifting.deploy(&next, &[]), 8, &first);
    let answered = output(&setting, "hook").unwrap();
    let proceed = |hook: &str| {
        let named = ["--digest", &next, "--hook", hook];
        shifting.run("continue", &named)
    };
    let second = ["is paused at POST_TEST_TRAFFIC_SHIFT"];
    for _ in 0..2 {
        ends(&mut proceed(&answered), 8, &second);
        assert_ne!(output(&setting, "hook").as_ref(), Some(&answered));
    }
    let waits = output(&setting, "hook").unwrap();
    ends(&mut proceed(&waits), 0, &["succeeded"]);
    assert_eq!(shifting.runs(), next);
}

/// The run that answers takes the deployment over, and its time may be over within the bake.
#[test]
fn a_deployment_that_was_continued_is_rolled_back_when_the_time_is_over_within_the_bake() {
    let setting = Setting::new("production");
    let shifting = Shifting::new(&setting, "bakes", &blue_green(0));
    let first = shifting.runs();
    let mut configuration = blue_green(100);
    configuration["lifecycleHooks"] = json!([
        {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}
    ]);
    shifting.configure(&configuration);
    let next = shifting.version("2");
    ends(
        &mut shifting.deploy(&next, &[]),
        8,
        &["is paused at POST_SCALE_UP"],
    );
    let hook = output(&setting, "hook").unwrap();
    let continued = ["--digest", &next, "--hook", &hook, "--timeout", "10s"];
    let over = [
        "did not become healthy within 10 s",
        "bake time",
        "was rolled back: bakes:1 runs again",
    ];
    ends(&mut shifting.run("continue", &continued), 9, &over);
    assert_eq!(shifting.runs(), first);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("rolled-back"));
}

//! A deployment that shifts traffic is followed to one end, by whichever run.

use rustix::process::Signal;

use super::*;

#[test]
fn a_canary_is_followed_through_its_steps_and_too_short_a_timeout_is_refused() {
    let setting = Setting::new("production");
    let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 2,
        "canaryConfiguration": {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 3},
        "deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let shifting = Shifting::new(&setting, "canary", &canary);
    let next = shifting.version("2");
    let before = shifting.records().len();
    ends(
        &mut shifting.deploy(&next, &["--timeout", "5m"]),
        2,
        &[
            "--timeout is 5 min",
            "waits for 5 min by its configuration",
            "CANARY",
        ],
    );
    assert_eq!(shifting.records().len(), before);
    let expected = [
        "20% of production traffic",
        "bake time · 100% of production traffic",
        "succeeded",
    ];
    ends(&mut shifting.deploy(&next, &[]), 0, &expected);
    assert_eq!(shifting.runs(), next);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("healthy"));
    // The difference to what runs is none, and to another version one.
    ends(
        &mut shifting.run("diff", &["--exit-code"]),
        0,
        &["no difference"],
    );
    ends(
        &mut shifting.run("diff", &["--digest", &next, "--exit-code"]),
        0,
        &["no difference"],
    );
    let third = shifting.version("3");
    let different = ["container web runs", "canary:2"];
    ends(
        &mut shifting.run("diff", &["--digest", &third, "--exit-code"]),
        6,
        &different,
    );
    ends(
        &mut shifting.run("diff", &["--digest", &third]),
        0,
        &different,
    );
}

#[test]
fn a_run_that_is_killed_at_any_stage_leaves_a_deployment_that_the_next_run_ends() {
    let setting = Setting::new("production");
    let shifting = Shifting::new(&setting, "killed", &blue_green(3));
    for stage in [
        "SCALE_UP",
        "POST_TEST_TRAFFIC_SHIFT",
        "BAKE_TIME",
        "CLEAN_UP",
    ] {
        let next = shifting.version(stage);
        let before = shifting.records().len();
        let started = Started::new(&mut shifting.deploy(&next, &[]));
        // Some stages are short: then the next one will do.
        until(stage, TIMEOUT, || {
            let record = shifting.record();
            let began = shifting.records().len() > before;
            let seen = record["lifecycleStage"] == stage || record["status"] == "SUCCESSFUL";
            (began && seen).then_some(())
        });
        started.kill();
        ends(&mut shifting.deploy(&next, &[]), 0, &["succeeded"]);
        assert_eq!(shifting.runs(), next, "{stage}");
        assert_eq!(shifting.records().len(), before + 1, "{stage}");
    }
}

#[test]
fn an_alarm_a_signal_and_a_timeout_end_at_the_version_before() {
    let setting = Setting::new("production");
    let mut configuration = blue_green(100);
    configuration["alarms"] = json!({"alarmNames": ["errors"], "enable": true, "rollback": true});
    let mut quick = configuration.clone();
    quick["bakeTimeInMinutes"] = json!(0);
    alarm(&setting, "OK");
    let shifting = Shifting::new(&setting, "alarmed", &quick);
    let first = shifting.runs();
    shifting.configure(&configuration);

    let next = shifting.version("2");
    let started = Started::new(&mut shifting.deploy(&next, &["--json"]));
    shifting.at_stage("BAKE_TIME");
    alarm(&setting, "ALARM");
    let over = started.end(TIMEOUT);
    let json = String::from_utf8_lossy(&over.stdout);
    let text = format!("{json}{}", crate::support::log(&over));
    assert_eq!(over.status.code(), Some(5), "{text}");
    for piece in [
        "alarms that went off: errors",
        "alarmed:1 runs again",
        "\"alarms\": [",
    ] {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
    assert_eq!(shifting.runs(), first);

    // It is still in ALARM: ECS would say nothing, and watches no alarm of the next deployment.
    let started = Started::new(&mut shifting.deploy(&next, &[]));
    shifting.at_stage("BAKE_TIME");
    ends(&mut shifting.run("rollback", &[]), 0, &["rolled back"]);
    let text = crate::support::log(&started.end(TIMEOUT));
    let unwatched = "ECS watches none of the service's alarms during this deployment";
    assert!(text.contains(unwatched), "{text}");
    alarm(&setting, "OK");

    // The last deployment failed, and the service stays deployable.
    let started = Started::new(&mut shifting.deploy(&next, &[]));
    shifting.at_stage("BAKE_TIME");
    started.signal(Signal::INT);
    let over = started.end(TIMEOUT);
    let text = crate::support::log(&over);
    assert_eq!(over.status.code(), Some(130), "{text}");
    assert!(
        text.contains("was rolled back: alarmed:1 runs again"),
        "{text}"
    );
    assert_eq!(shifting.runs(), first);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("rolled-back"));
}

/// Sets the state of the alarm `errors`.
fn alarm(setting: &Setting, state: &str) {
    let version = "2010-08-01";
    let made = [
        ("AlarmName", "errors"),
        ("Namespace", "shop"),
        ("MetricName", "errors"),
        ("Statistic", "Sum"),
        ("ComparisonOperator", "GreaterThanThreshold"),
        ("EvaluationPeriods", "1"),
        ("Period", "60"),
        ("Threshold", "1"),
    ];
    let put = setting
        .aws
        .query("monitoring", version, "PutMetricAlarm", &made);
    wait(TIMEOUT, put).unwrap().unwrap();
    let set = [
        ("AlarmName", "errors"),
        ("StateValue", state),
        ("StateReason", "test"),
    ];
    let set = setting
        .aws
        .query("monitoring", version, "SetAlarmState", &set);
    wait(TIMEOUT, set).unwrap().unwrap();
}

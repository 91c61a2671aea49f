//! Ends of a deployment to a function: in steps, rolled back, superseded, cancelled, killed, and while AWS does not answer.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::Setting;
use crate::support::{Started, TIMEOUT, ends, log, until, wait};

pub(super) fn alarm(setting: &Setting, name: &str, state: &str) {
    let version = "2010-08-01";
    let made = [
        ("AlarmName", name),
        ("MetricName", "Errors"),
        ("Namespace", "AWS/Lambda"),
        ("Period", "60"),
        ("EvaluationPeriods", "1"),
        ("Statistic", "Sum"),
        ("Threshold", "1"),
        ("ComparisonOperator", "GreaterThanThreshold"),
    ];
    let set = [
        ("AlarmName", name),
        ("StateValue", state),
        ("StateReason", "test"),
    ];
    wait(TIMEOUT, async {
        let put = setting
            .aws
            .query("monitoring", version, "PutMetricAlarm", &made);
        put.await.unwrap().unwrap();
        let set = setting
            .aws
            .query("monitoring", version, "SetAlarmState", &set);
        set.await.unwrap().unwrap();
    });
}

/// A deployment whose traffic has begun to move to version 2.
pub(super) fn moving(setting: &Setting, further: &[&str]) -> Started {
    let digest = setting.image("second");
    moving_to(setting, &digest, further)
}

pub(super) fn moving_to(setting: &Setting, digest: &str, further: &[&str]) -> Started {
    let started = Started::new(&mut setting.deploy(digest, further));
    until("the traffic moves", TIMEOUT, || {
        (setting.serves().1 == json!({"2": 0.25})).then_some(())
    });
    started
}

pub(super) const SLOWLY: [&str; 2] = ["--shift", "linear:25:1h"];
const BEFORE: &str = "1";

pub(super) fn went_back(setting: &Setting) {
    assert_eq!(setting.serves(), (BEFORE.to_owned(), Value::Null));
    assert_eq!(setting.invoke(), "first 1");
}

#[test]
fn traffic_moves_in_steps_and_both_versions_answer_meanwhile() {
    let setting = Setting::new("steps");
    let started = moving(&setting, &["--shift", "linear:25:8s"]);
    until("version 2 answers", TIMEOUT, || {
        (setting.invoke() == "second 2").then_some(())
    });
    until("version 1 answers", TIMEOUT, || {
        (setting.invoke() == "first 1").then_some(())
    });
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for step in ["25% of", "50% of", "75% of", "all of the traffic"] {
        assert!(
            text.contains(&format!("version 2 has {step}")),
            "{step}: {text}"
        );
    }
    assert_eq!(setting.serves(), ("2".to_owned(), Value::Null));
}

#[test]
fn an_alarm_that_goes_off_rolls_back_and_one_that_rang_before_does_not() {
    let setting = Setting::new("alarms");
    alarm(&setting, "errors", "OK");
    alarm(&setting, "old", "ALARM");
    let further = [
        &SLOWLY[..],
        &["--alarm", "errors", "--alarm", "old", "--json"],
    ]
    .concat();
    let started = moving(&setting, &further);
    alarm(&setting, "errors", "ALARM");
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(5), "{text}");
    for piece in [
        "alarm old is in ALARM already",
        "alarms went off: errors",
        "serves version 1 again",
    ] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["details"]["alarms_not_watched"], json!(["old"]));
    assert_eq!(setting.verdict().as_deref(), Some("rolled-back"));
    went_back(&setting);
    let digest = setting.image("second");
    let expected = ["there is no alarm absent"];
    ends(
        &mut setting.deploy(&digest, &["--alarm", "absent"]),
        3,
        &expected,
    );
}

#[test]
fn a_cancelled_run_goes_back_unless_it_is_told_not_to() {
    let setting = Setting::new("cancelled");
    let started = moving(&setting, &SLOWLY);
    started.signal(Signal::TERM);
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("serves version 1 again"), "{text}");
    assert_eq!(setting.verdict().as_deref(), Some("rolled-back"));
    went_back(&setting);

    let digest = setting.image("second");
    let left = [&SLOWLY[..], &["--no-rollback"]].concat();
    let started = moving_to(&setting, &digest, &left);
    started.signal(Signal::TERM);
    let output = started.end(TIMEOUT);
    assert_eq!(output.status.code(), Some(130), "{}", log(&output));
    assert_eq!(setting.serves(), (BEFORE.to_owned(), json!({"2": 0.25})));
    // Another digest is not deployed over it, until it is ended.
    let third = setting.image("third");
    ends(
        &mut setting.deploy(&third, &[]),
        4,
        &["moves to another version", "rollback"],
    );
    ends(
        &mut setting.command("status", &[]),
        0,
        &["25% of the traffic", "not healthy"],
    );
    ends(
        &mut setting.command("rollback", &[]),
        0,
        &["serves version 1 alone again"],
    );
    // The verdict is that of the digest that was left.
    assert_eq!(setting.output("digest").as_deref(), Some(&*digest));
    went_back(&setting);
}

#[test]
fn somebody_elses_change_of_the_alias_supersedes_the_deployment() {
    let setting = Setting::new("superseded");
    let started = moving(&setting, &SLOWLY);
    let back = json!({"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {}}});
    setting.call("PUT", "/aliases/live", Some(&back));
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains("the alias serves version 1"), "{text}");
    went_back(&setting);
}

#[test]
fn a_run_that_was_killed_goes_on_when_it_is_run_again() {
    let setting = Setting::new("killed");
    let digest = setting.image("second");
    moving_to(&setting, &digest, &SLOWLY).kill();
    let expected = [
        "moves to version 2 already; that goes on",
        "all of the traffic",
    ];
    ends(
        &mut setting.deploy(&digest, &["--shift", "linear:25:1s"]),
        0,
        &expected,
    );
    assert_eq!(setting.serves(), ("2".to_owned(), Value::Null));
    assert_eq!(setting.versions(), 2);
    let account = &setting.world.environment("dev").unwrap().account.id;
    for (word, operation) in [
        ("third", "UpdateFunctionCode"),
        ("fourth", "PublishVersion"),
        ("fifth", "UpdateAlias"),
    ] {
        let digest = setting.image(word);
        let mut command = setting.deploy(&digest, &[]);
        crate::gateway::killed(account, "lambda", operation, &mut command);
        let versions = setting.versions();
        ends(&mut setting.deploy(&digest, &[]), 0, &[]);
        assert!(setting.versions() <= versions + 1, "{operation}");
        assert!(
            setting.invoke().as_str().unwrap().starts_with(word),
            "{operation}"
        );
    }
}

#[test]
fn throttling_and_lost_answers_are_never_a_verdict() {
    let setting = Setting::new("throttled");
    let throttled = json!({"kind": "status", "status": 429, "code": "TooManyRequestsException", "message": "Rate exceeded"});
    for operation in [
        "GetFunction",
        "UpdateFunctionCode",
        "PublishVersion",
        "UpdateAlias",
        "GetAlias",
    ] {
        setting.fault(operation, 3, &throttled);
    }
    let digest = setting.image("second");
    ends(
        &mut setting.deploy(&digest, &[]),
        0,
        &["TooManyRequestsException", "trying again"],
    );
    let lost = json!({"kind": "lost_answer"});
    for operation in ["UpdateFunctionCode", "PublishVersion", "UpdateAlias"] {
        setting.fault(operation, 1, &lost);
    }
    let digest = setting.image("third");
    ends(&mut setting.deploy(&digest, &[]), 0, &[]);
    assert_eq!(setting.versions(), 3);
    assert_eq!(setting.invoke(), "third 3");
}

#[test]
fn provisioned_concurrency_is_waited_for_and_keeps_traffic_from_moving_in_steps() {
    let setting = Setting::new("provisioned");
    let path = format!(
        "/2019-09-30/functions/{}/provisioned-concurrency?Qualifier=live",
        setting.function
    );
    let input = json!({"ProvisionedConcurrentExecutions": 1});
    let put = setting.aws.rest("lambda", "PUT", &path, Some(&input));
    wait(TIMEOUT, put).unwrap().unwrap();
    let digest = setting.image("second");
    let expected = ["is being moved or made", "IN_PROGRESS"];
    ends(&mut setting.deploy(&digest, &[]), 4, &expected);
    let ready = || {
        until("the provisioned concurrency is ready", TIMEOUT, || {
            let get = setting.aws.rest("lambda", "GET", &path, None);
            let found = wait(TIMEOUT, get).unwrap().unwrap();
            (found["Status"] == "READY").then_some(())
        });
    };
    ready();
    let expected = ["provisioned concurrency", "cannot move in steps"];
    ends(&mut setting.deploy(&digest, &SLOWLY), 3, &expected);
    let expected = ["waiting for", "0 of 1 available"];
    ends(&mut setting.deploy(&digest, &[]), 0, &expected);
    assert_eq!(setting.serves(), ("2".to_owned(), Value::Null));
    assert_eq!(setting.invoke(), "second 2");
    // Until Lambda has moved it, version 1 has the traffic, and another deployment would go back to one that never had it.
    let back = json!({"FunctionVersion": "1"});
    setting.call("PUT", "/aliases/live", Some(&back));
    ready();
    setting.call(
        "PUT",
        "/aliases/live",
        Some(&json!({"FunctionVersion": "2"})),
    );
    let third = setting.image("third");
    let expected = ["is being moved or made", "version 1 for 100%"];
    ends(&mut setting.deploy(&third, &[]), 4, &expected);
    ends(&mut setting.command("rollback", &[]), 4, &expected);
    assert_eq!(setting.versions(), 2);
}

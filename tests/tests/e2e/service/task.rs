//! One-off tasks: their log, their end, and what is left of one whose run is killed or cancelled.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Setting, ends, fault};
use crate::record::calls;
use crate::support::{Started, TIMEOUT, log, until, wait};

/// A command of the service's container, with an image that has a shell.
fn task(setting: &Setting, digest: &str, further: &[&str], command: &[&str]) -> Command {
    let mut all = vec!["--digest", digest];
    all.extend(further);
    all.push("--");
    all.extend(command);
    setting.command("run-task", &setting.world.service, &all)
}

fn shell(setting: &Setting, digest: &str, further: &[&str], script: &str) -> Command {
    let words = ["/bin/busybox", "sh", "-c", script];
    task(setting, digest, further, &words)
}

/// The digest of an image that serves, and that no other test has.
fn digest(setting: &Setting, mark: &str) -> String {
    let script = "exec busybox httpd -f -p 8080 -h /www";
    setting.image(&["/bin/busybox", "sh", "-c", script, mark])
}

/// The tasks that were started alone, whether they run or have stopped.
fn tasks(setting: &Setting, status: &str) -> Vec<Value> {
    let listed = setting.ecs(
        "ListTasks",
        &json!({"cluster": setting.cluster(), "startedBy": "slipway-run-task", "desiredStatus": status}),
    );
    let arns = listed["taskArns"].as_array().unwrap();
    if arns.is_empty() {
        return Vec::new();
    }
    let found = setting.ecs(
        "DescribeTasks",
        &json!({"cluster": setting.cluster(), "tasks": arns}),
    );
    found["tasks"].as_array().unwrap().clone()
}

/// How many revisions were registered in the environment's account, and whether its tasks were listed since.
fn registered(setting: &Setting) -> (usize, bool) {
    let environment = setting.world.environment(setting.environment).unwrap();
    let account = Some(&environment.account.id);
    let calls = wait(TIMEOUT, calls(setting.world));
    let calls = calls.iter().filter(|call| call.account.as_ref() == account);
    calls.fold((0, false), |(count, listed), call| {
        match call.operation.as_str() {
            "RegisterTaskDefinition" => (count + 1, false),
            "ListTasks" => (count, true),
            _ => (count, listed),
        }
    })
}

fn running(setting: &Setting) -> Value {
    until("the task runs", TIMEOUT, || {
        let mut tasks = tasks(setting, "RUNNING").into_iter();
        tasks.find(|task| task["lastStatus"] == "RUNNING")
    })
}

#[test]
fn a_task_has_the_image_the_network_and_the_secrets_of_the_service_and_its_log_is_shown() {
    let setting = Setting::new("dev");
    let digest = digest(&setting, "task-log");
    let before = setting.service();
    let script =
        "echo migrating $ENVIRONMENT; echo url $DATABASE_URL; sleep 3; echo ::warning::done";
    let output = ends(
        &mut shell(&setting, &digest, &["--json"], script),
        0,
        &[
            "runs the command in container storefront",
            "| migrating dev",
            "| url ***",
            "| ::warning::done",
            "\"exit_code\": 0",
            &digest,
        ],
    );
    let secret = setting.secret();
    assert!(!output.contains(&secret), "{output}");
    let ran = tasks(&setting, "STOPPED");
    let ran = ran.first().unwrap();
    let subnets = &before["networkConfiguration"]["awsvpcConfiguration"]["subnets"];
    assert!(
        subnets
            .as_array()
            .is_some_and(|subnets| !subnets.is_empty())
    );
    assert_eq!(ran["launchType"], before["launchType"]);
    let image = ran["containers"][0]["image"].as_str().unwrap();
    assert!(image.ends_with(&digest), "{image}");
    assert!(setting.job.read("output").contains("task-arn"));
    // The service is as it was; its next deployment runs the revision that was registered for the task.
    assert_eq!(
        setting.service()["taskDefinition"],
        before["taskDefinition"]
    );
    let deployed = ends(&mut setting.deploy(&digest, &[]), 0, &["registered before"]);
    let revision = ran["taskDefinitionArn"].as_str().unwrap();
    let revision = revision.rsplit('/').next().unwrap();
    assert!(deployed.contains(revision), "{deployed}");
}

#[test]
fn the_exit_code_of_the_command_is_kept_and_a_command_that_does_not_run_fails() {
    let setting = Setting::new("dev");
    let digest = digest(&setting, "task-code");
    for code in [3, 126] {
        let expected = format!("the command failed with exit code {code}");
        let script = format!("echo no; exit {code}");
        ends(
            &mut shell(&setting, &digest, &[], &script),
            code,
            &[&expected, "| no"],
        );
    }
    let missing = format!("sha256:{}", "0".repeat(64));
    let expected = ["names no exit code", "CannotPullContainerError"];
    ends(&mut shell(&setting, &missing, &[], "true"), 1, &expected);
    // A workflow has a script, which the container's own shell runs.
    let mut script = setting.job.command("slipway-service", &[]);
    script.envs([
        ("INPUT_COMMAND", "run-task"),
        ("INPUT_CLUSTER", &setting.cluster()),
        ("INPUT_SERVICE", &setting.world.service),
        ("INPUT_DIGEST", &digest),
        ("INPUT_RUN", "echo first\nfalse\necho never"),
    ]);
    let output = ends(&mut script, 1, &["| first", "exit code 1"]);
    assert!(!output.contains("| never"), "{output}");
}

#[test]
fn a_task_that_is_not_over_in_time_or_whose_run_is_cancelled_is_stopped() {
    let setting = Setting::new("staging");
    let digest = digest(&setting, "task-stopped");
    let script = "echo begun; sleep 600";
    let expected = [
        "| begun",
        "was not over within 8 s and was stopped",
        "exit code 137",
    ];
    ends(
        &mut shell(&setting, &digest, &["--timeout", "8s"], script),
        9,
        &expected,
    );
    assert!(tasks(&setting, "RUNNING").is_empty());

    let started = Started::new(&mut shell(&setting, &digest, &[], script));
    running(&setting);
    started.signal(Signal::INT);
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(
        text.contains("interrupted by SIGINT: stopping the task"),
        "{text}"
    );
    assert!(tasks(&setting, "RUNNING").is_empty());
    let reason = tasks(&setting, "STOPPED");
    let reason = reason
        .iter()
        .filter(|task| task["stoppedReason"] == "slipway-service run-task: interrupted by SIGINT");
    assert_eq!(reason.count(), 1);
}

/// A command that is told to end may do so with 0, half-way.
#[test]
fn a_command_that_somebody_else_stopped_is_not_done_whatever_its_exit_code() {
    let setting = Setting::new("dev");
    let digest = digest(&setting, "task-foreign");
    let script = "trap 'echo half; exit 0' TERM; sleep 600 & wait";
    let started = Started::new(&mut shell(&setting, &digest, &[], script));
    let task = running(&setting)["taskArn"].clone();
    setting.ecs(
        "StopTask",
        &json!({"cluster": setting.cluster(), "task": task, "reason": "ada stopped it"}),
    );
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for words in [
        "was stopped, and not by this run",
        "UserInitiated: ada stopped it",
        "the command ended with exit code 0",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_second_signal_ends_the_step_while_the_task_is_being_started() {
    let setting = Setting::new("dev");
    let digest = digest(&setting, "task-twice");
    let slow = json!({"kind": "delay", "millis": 20_000});
    fault(&setting, "ecs", "RunTask", 1, &slow);
    let earlier = registered(&setting).0;
    let started = Started::new(&mut shell(&setting, &digest, &[], "true"));
    // The call before the one that starts the task.
    until("the task is being started", TIMEOUT, || {
        let (count, listed) = registered(&setting);
        (count > earlier && listed).then_some(())
    });
    started.signal(Signal::INT);
    started.signal(Signal::TERM);
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(
        text.contains("the task was being started, so it may run"),
        "{text}"
    );
}

/// Two migrations at once would be worse than none.
#[test]
fn a_run_that_is_killed_leaves_its_task_and_the_same_run_again_follows_it() {
    let setting = Setting::new("staging");
    let digest = digest(&setting, "task-killed");
    let script = "echo once; sleep 20; echo over";
    let killed = Started::new(&mut shell(&setting, &digest, &[], script));
    let task = running(&setting)["taskArn"].as_str().unwrap().to_owned();
    killed.kill();
    let expected = [
        &format!("task {task} runs the same command"),
        "| once",
        "| over",
    ];
    ends(&mut shell(&setting, &digest, &[], script), 0, &expected);
    let mut stopped = tasks(&setting, "STOPPED");
    stopped.retain(|task| task["overrides"].to_string().contains("echo once"));
    assert_eq!(stopped.len(), 1);
}

#[test]
fn a_task_that_cannot_be_started_or_whose_log_cannot_be_read_is_reported() {
    let setting = Setting::new("production");
    let digest = digest(&setting, "task-refused");
    let denied = |operation: &str, service: &str| {
        let denied = json!({"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "not you"});
        fault(&setting, service, operation, 1, &denied);
    };
    denied("RunTask", "ecs");
    let expected = [
        "cannot run a task of storefront",
        "the role needs ecs:RunTask",
    ];
    ends(&mut shell(&setting, &digest, &[], "true"), 1, &expected);
    denied("GetLogEvents", "logs");
    let expected = [
        "the log of the task is not shown",
        "logs:GetLogEvents",
        "aws logs tail /ecs/",
    ];
    ends(&mut shell(&setting, &digest, &[], "true"), 0, &expected);
    // ECS takes the request again and again, and starts one task.
    let throttled = json!({"kind": "status", "status": 400, "code": "ThrottlingException", "message": "Rate exceeded"});
    fault(&setting, "ecs", "RunTask", 2, &throttled);
    ends(
        &mut shell(&setting, &digest, &[], "echo thrice"),
        0,
        &["| thrice"],
    );
    let expected = ["would run a task", "run a task of it, with the command"];
    ends(
        &mut shell(&setting, &digest, &["--dry-run"], "true"),
        0,
        &expected,
    );
}

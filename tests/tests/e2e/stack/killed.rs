//! Runs that are killed, interrupted, or that AWS keeps waiting.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::permitted::gated;
use super::{DEADLINE, Stacked, TEMPLATE, shows};
use crate::gateway;
use crate::govern::permitted::Planned;
use crate::support::Started;

impl Stacked {
    /// Sets a fault that the next calls of an operation meet.
    fn fault(&self, operation: &str, times: u32, fault: &Value) {
        gateway::tell(
            "faults",
            &json!({"service": "cloudformation", "operation": operation, "account": self.account(),
                    "times": times, "fault": fault}),
        );
    }

    fn killed(&self, job: &crate::job::Job, arguments: &[&str], operation: &str) {
        let mut command = self.step(job, arguments);
        gateway::killed(self.account(), "cloudformation", operation, &mut command);
    }
}

#[test]
fn a_plan_that_was_killed_is_made_again() {
    let stack = Stacked::alone("killedplan");
    let job = stack.job(TEMPLATE, "");
    for operation in [
        "GetTemplateSummary",
        "CreateChangeSet",
        "DescribeChangeSet",
        "GetTemplate",
    ] {
        stack.killed(&job, &["plan"], operation);
    }
    let plan = stack.planned(&job, &[]);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &["CREATE_COMPLETE"]);
}

#[test]
fn an_apply_that_was_killed_ends_in_the_next_run() {
    let stack = Stacked::alone("killedapply");
    let job = stack.job(TEMPLATE, ", termination-protection: true");
    let plan = stack.planned(&job, &[]);
    let apply = ["apply", "--plan", &plan];
    // Before anything happens, while it is begun, while it is followed, and before the stack is protected.
    stack.killed(&job, &apply, "ListChangeSets");
    stack.killed(&job, &apply, "ExecuteChangeSet");
    stack.killed(&job, &apply, "DescribeStackEvents");
    stack.killed(&job, &apply, "UpdateTerminationProtection");
    stack.ends(&job, &apply, 0, &["CREATE_COMPLETE"]);
    assert!(
        stack
            .described()
            .contains("<EnableTerminationProtection>true")
    );
    let update = stack.job(
        &TEMPLATE.replace("one", "two"),
        ", termination-protection: false",
    );
    let plan = stack.planned(&update, &[]);
    let apply = ["apply", "--plan", &plan];
    stack.killed(&update, &apply, "UpdateTerminationProtection");
    stack.killed(&update, &apply, "ExecuteChangeSet");
    stack.ends(&update, &apply, 0, &["UPDATE_COMPLETE"]);
    assert!(
        stack
            .described()
            .contains("<EnableTerminationProtection>false")
    );
}

#[test]
fn an_interrupted_apply_says_that_cloudformation_goes_on() {
    let stack = Stacked::new("signal");
    let job = stack.job(TEMPLATE, "");
    let plan = stack.planned(&job, &[]);
    stack.strike("Topic", "create", &json!({"delay": 5000}));
    let arguments = ["apply", "--plan", &plan];
    let started = Started::new(&mut stack.step(&job, &arguments));
    stack.becomes("CREATE_IN_PROGRESS");
    started.signal(Signal::TERM);
    shows(
        &started.end(DEADLINE),
        &arguments,
        130,
        &[
            "interrupted by SIGTERM",
            "CloudFormation goes on with the change set",
            "run the same apply again",
        ],
    );
    stack.ends(&job, &arguments, 0, &["CREATE_COMPLETE"]);
}

#[test]
fn throttling_and_lost_answers_are_no_verdict() {
    let stack = Stacked::alone("throttled");
    let job = stack.job(TEMPLATE, "");
    let throttled =
        json!({"kind": "status", "status": 400, "code": "Throttling", "message": "Rate exceeded"});
    let lost = json!({"kind": "lost_answer"});
    for operation in [
        "DescribeStacks",
        "GetTemplateSummary",
        "CreateChangeSet",
        "DescribeChangeSet",
        "GetTemplate",
    ] {
        stack.fault(operation, 4, &throttled);
    }
    stack.fault("CreateChangeSet", 1, &lost);
    let plan = stack.planned(&job, &[]);
    for operation in [
        "ListChangeSets",
        "DescribeStackEvents",
        "ExecuteChangeSet",
        "DescribeStacks",
    ] {
        stack.fault(operation, 4, &throttled);
    }
    stack.fault("ExecuteChangeSet", 1, &lost);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &["CREATE_COMPLETE"]);
}

#[test]
fn a_permission_that_is_missing_is_named_and_nothing_is_taken_for_an_end() {
    let stack = Stacked::alone("denied");
    let job = stack.job(TEMPLATE, "");
    let plan = stack.planned(&job, &[]);
    let denied = json!({"kind": "status", "status": 403, "code": "AccessDenied",
        "message": "not authorized to perform: cloudformation:DescribeStackEvents"});
    stack.strike("Topic", "create", &json!({"delay": 3000}));
    let mut command = stack.step(&job, &["apply", "--plan", &plan]);
    let started = Started::new(&mut command);
    stack.becomes("CREATE_IN_PROGRESS");
    stack.fault("DescribeStackEvents", 1, &denied);
    shows(
        &started.end(DEADLINE),
        &[],
        9,
        &[
            "cloudformation:DescribeStackEvents",
            "the end of the operation cannot be seen",
        ],
    );
    stack.ends(&job, &["apply", "--plan", &plan], 0, &["CREATE_COMPLETE"]);
}

#[test]
fn an_apply_under_a_permit_that_is_killed_at_any_write_is_done_once_and_closed() {
    let settings = ", termination-protection: true";
    let prepared = |name: &str| {
        let stack = Stacked::permitted(name);
        let ledger = Planned::new(stack.world, name);
        let job = gated(&stack, settings);
        let plan = stack.planned(&job, &[]);
        let permit = ledger.permit(&plan, &json!({}));
        (stack, ledger, job, plan, permit)
    };
    // The calls that write something, where nothing disturbs it.
    let points = ["ExecuteChangeSet", "UpdateTerminationProtection"];
    {
        let (stack, ledger, job, plan, permit) = prepared("calm-permit");
        let before = ledger.so_far();
        let apply = ["apply", "--plan", &plan, "--permit", &permit];
        stack.ends(&job, &apply, 0, &["CREATE_COMPLETE"]);
        let written = ledger.written(before).into_iter();
        let mut written: Vec<String> = written
            .filter(|(service, ..)| service == "cloudformation")
            .map(|(_, operation, _)| operation)
            .collect();
        written.dedup();
        assert_eq!(written, points);
    }
    let (stack, ledger, job, plan, permit) = prepared("killed-permit");
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    stack.killed(&job, &apply, "ListChangeSets");
    stack.killed(&job, &apply, points[0]);
    stack.killed(&job, &apply, "DescribeStackEvents");
    stack.killed(&job, &apply, points[1]);
    stack.ends(&job, &apply, 0, &["termination protection switched on"]);
    let done = ledger.written(0);
    let done = done
        .iter()
        .filter(|(_, operation, _)| operation == points[0]);
    assert_eq!(done.count(), 1, "executed more than once");
    stack.ends(&job, &apply, 0, &["an earlier run executed plan"]);
    // The record closes the permit of whatever was not applied.
    let left = stack.planned(&job, &[]);
    let permit = ledger.permit(&left, &json!({}));
    ledger.closed();
    let late = ["apply", "--plan", &left, "--permit", &permit];
    stack.ends(&job, &late, 3, &["another deployment was recorded"]);
    ledger.verifies(&job);
}

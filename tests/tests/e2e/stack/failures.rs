//! Operations that fail: the verdict, the exit code and the root cause.

use serde_json::json;

use super::{Stacked, TEMPLATE};
use crate::job::Job;

#[test]
fn a_failed_update_is_rolled_back_with_the_root_cause_first() {
    let stack = Stacked::new("rolled");
    stack.applied(&stack.job(TEMPLATE, ""));
    let job = stack.job(&TEMPLATE.replace("one", "two"), ", parameters: {Delay: 7}");
    let plan = stack.planned(&job, &[]);
    stack.strike("Queue", "update", &json!({"reason": "the queue says no"}));
    let text = stack.ends(
        &job,
        &["apply", "--plan", &plan],
        5,
        &[
            "was rolled back: UPDATE_ROLLBACK_COMPLETE",
            "root cause: UPDATE_FAILED Queue (AWS::SQS::Queue)",
            "the queue says no",
        ],
    );
    assert!(!text.contains("root cause: UPDATE_FAILED Topic"), "{text}");
    assert!(job.read("summary").contains("the queue says no"));
    stack.ends(
        &job,
        &["status"],
        0,
        &[
            "UPDATE_ROLLBACK_COMPLETE",
            "root cause",
            "the queue says no",
        ],
    );
    // The same again says the same.
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        5,
        &["root cause: UPDATE_FAILED Queue"],
    );
    stack.applied(&job);
}

#[test]
fn a_stack_that_never_worked_has_to_be_deleted_by_a_person() {
    let stack = Stacked::new("never");
    let job = stack.job(TEMPLATE, ", termination-protection: true");
    let plan = stack.planned(&job, &[]);
    stack.strike("Topic", "create", &json!({"reason": "the topic says no"}));
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        5,
        &[
            "was rolled back: ROLLBACK_COMPLETE",
            "root cause: CREATE_FAILED Topic",
            "the topic says no",
            "delete-stack",
        ],
    );
    // A stack that has to be deleted is not protected from it.
    assert!(
        !stack
            .described()
            .contains("<EnableTerminationProtection>true")
    );
    stack.ends(
        &job,
        &["plan"],
        3,
        &["cannot be changed: ROLLBACK_COMPLETE", "delete-stack"],
    );
    stack.call("DeleteStack", &[("StackName", &stack.name)]);
    let named = [("StackName", stack.name.as_str())];
    crate::support::until("the deletion", super::DEADLINE, || {
        let call = stack
            .aws
            .query("cloudformation", super::VERSION, "DescribeStacks", &named);
        let answer = super::wait(super::DEADLINE, call).unwrap();
        answer.is_err().then_some(())
    });
    // A new stack of the same name is another one: the old plan is not for it.
    let again = stack.planned(&job, &[]);
    stack.ends(&job, &["apply", "--plan", &plan], 3, &["there is no plan"]);
    stack.ends(
        &job,
        &["apply", "--plan", &again],
        0,
        &["CREATE_COMPLETE", "termination protection switched on"],
    );
}

/// A plan whose execution fails, and whose rollback fails too.
fn stuck(stack: &Stacked) -> (Job, String) {
    stack.applied(&stack.job(TEMPLATE, ""));
    // The queue changes after the topic, so that the topic has to be changed back.
    let chained = TEMPLATE.replace(
        "Type: AWS::SQS::Queue",
        "Type: AWS::SQS::Queue\n    DependsOn: Topic",
    );
    let job = stack.job(&chained.replace("one", "two"), ", parameters: {Delay: 7}");
    let plan = stack.planned(&job, &[]);
    stack.strike("Queue", "update", &json!({"reason": "the queue says no"}));
    stack.strike("Topic", "rollback", &json!({"reason": "the topic stays"}));
    (job, plan)
}

#[test]
fn a_rollback_that_fails_is_not_reported_as_one() {
    let stack = Stacked::new("stuck");
    let (job, plan) = stuck(&stack);
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        1,
        &[
            "failed: UPDATE_ROLLBACK_FAILED",
            "root cause: UPDATE_FAILED Queue",
            "not rolled back: UPDATE_FAILED Topic",
            "the topic stays",
        ],
    );
    stack.ends(&job, &["plan"], 3, &["slipway-stack recover"]);
    stack.ends(
        &job,
        &["status"],
        0,
        &["UPDATE_ROLLBACK_FAILED", "the topic stays"],
    );
    // Only what could not be rolled back is left out of it, and only by its name.
    stack.ends(
        &job,
        &["recover", "--skip", "Queue"],
        2,
        &["--skip names what could be rolled back", "Topic"],
    );
    let nested = format!("{}-Inner.Topic", stack.name);
    stack.ends(
        &job,
        &["recover", "--skip", &nested],
        2,
        &[
            &format!("or is not there: {nested}"),
            "only these could not be rolled back: Topic",
            "STACK.LOGICAL-ID",
        ],
    );
    stack.strike("Topic", "rollback", &json!({"reason": "it still stays"}));
    stack.ends(
        &job,
        &["recover"],
        1,
        &[
            "failed again",
            "not rolled back: UPDATE_FAILED Topic",
            "it still stays",
            "--skip Topic",
        ],
    );
    stack.ends(
        &job,
        &["recover", "--skip", "Topic"],
        0,
        &[
            "and leaving as it is: Topic",
            "UPDATE_ROLLBACK_COMPLETE",
            "left as it is",
            "slipway-stack drift",
        ],
    );
    let over = "has no rollback that failed";
    stack.ends(&job, &["recover"], 3, &[over]);
    stack.ends(&job, &["plan"], 0, &[]);
}

#[test]
fn a_rollback_that_a_killed_run_let_go_on_is_followed() {
    let stack = Stacked::new("followed");
    let (job, plan) = stuck(&stack);
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        1,
        &["UPDATE_ROLLBACK_FAILED"],
    );
    stack.strike("Topic", "rollback", &json!({"delay": 8000}));
    let short = ["recover", "--timeout", "2s"];
    stack.ends(&job, &short, 9, &["did not reach an end within"]);
    // What it skips was decided when it began.
    let other = ["recover", "--skip", "Topic"];
    stack.ends(&job, &other, 4, &["skips other resources than --skip"]);
    let followed = [
        "an earlier run let the rollback go on",
        "UPDATE_ROLLBACK_COMPLETE",
    ];
    stack.ends(&job, &["recover"], 0, &followed);
}

#[test]
fn a_timeout_fails_and_the_next_run_follows_on() {
    let stack = Stacked::new("slow");
    let job = stack.job(TEMPLATE, "");
    let plan = stack.planned(&job, &[]);
    stack.strike("Topic", "create", &json!({"delay": 8000}));
    stack.ends(
        &job,
        &["apply", "--plan", &plan, "--timeout", "2s"],
        9,
        &[
            "did not reach an end within",
            "CREATE_IN_PROGRESS",
            "Topic",
            "CloudFormation goes on with it",
        ],
    );
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        0,
        &["an earlier run executed plan", "CREATE_COMPLETE"],
    );
}

#[test]
fn an_update_that_somebody_cancels_is_rolled_back_whatever_token_that_has() {
    for token in [None, Some("theirs")] {
        let stack = Stacked::new(&format!("cancel{}", token.unwrap_or_default()));
        stack.applied(&stack.job(TEMPLATE, ""));
        let job = stack.job(&TEMPLATE.replace("one", "two"), "");
        let plan = stack.planned(&job, &[]);
        stack.strike("Topic", "update", &json!({"delay": 3000}));
        let apply = ["apply", "--plan", &plan];
        let running = crate::support::Started::new(&mut stack.step(&job, &apply));
        stack.becomes("UPDATE_IN_PROGRESS");
        let mut parameters = vec![("StackName", stack.name.as_str())];
        parameters.extend(token.map(|token| ("ClientRequestToken", token)));
        stack.call("CancelUpdateStack", &parameters);
        let rolled = "was rolled back: UPDATE_ROLLBACK_COMPLETE";
        let text = super::shows(&running.end(super::DEADLINE), &apply, 5, &[rolled]);
        let other = text.contains("another operation began: UPDATE_ROLLBACK_IN_PROGRESS");
        assert_eq!(other, token.is_some(), "{text}");
    }
}

#[test]
fn what_a_change_leaves_behind_is_reported() {
    let stack = Stacked::new("left");
    stack.applied(&stack.job(TEMPLATE, ""));
    let without = TEMPLATE.replace(
        "  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: one}\n",
        "",
    );
    let job = stack.job(&without, "");
    let plan = stack.planned(&job, &[]);
    stack.strike("Topic", "delete", &json!({"reason": "the topic stays"}));
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        0,
        &[
            "UPDATE_COMPLETE",
            "left behind, outside of the stack: DELETE_FAILED Topic",
            "the topic stays",
        ],
    );
}

#[test]
fn what_somebody_else_changed_since_is_not_what_was_planned() {
    let stack = Stacked::new("since");
    let job = stack.job(TEMPLATE, "");
    let plan = stack.planned(&job, &[]);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &[]);
    stack.applied(&stack.job(&TEMPLATE.replace("one", "two"), ""));
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        7,
        &["another operation changed the stack", "UPDATE_COMPLETE"],
    );
}

/// CloudFormation that does not answer says nothing of the operation: neither that it failed nor that it was refused.
#[test]
fn an_end_that_cannot_be_seen_is_not_a_verdict() {
    let stack = Stacked::alone("unseen");
    for (number, status, code, seen) in [
        (1, 400, "Throttling", "was not seen within 5 s"),
        (2, 503, "ServiceUnavailable", "was not seen within 5 s"),
        (3, 403, "AccessDenied", "cannot be seen"),
    ] {
        let job = stack.job(&TEMPLATE.replace("one", &format!("number {number}")), "");
        let plan = stack.planned(&job, &[]);
        let operation = if number == 1 { "create" } else { "update" };
        stack.strike("Topic", operation, &json!({"delay": 2000}));
        let apply = ["apply", "--plan", &plan, "--timeout", "5s"];
        let running = crate::support::Started::new(&mut stack.step(&job, &apply));
        stack.becomes(&format!("{}_IN_PROGRESS", operation.to_uppercase()));
        crate::gateway::tell(
            "faults",
            &json!({"service": "cloudformation", "operation": "DescribeStackEvents",
                    "account": stack.account(), "times": 1000,
                    "fault": {"kind": "status", "status": status, "code": code, "message": "no"}}),
        );
        let status = "see how it stands: slipway-stack status --environment dev";
        let expected = [seen, code, "nothing was cancelled", status];
        super::shows(&running.end(super::DEADLINE), &apply, 9, &expected);
        crate::gateway::clear_faults(stack.account());
        let follows = ["an earlier run executed plan", "applied"];
        stack.ends(&job, &["apply", "--plan", &plan], 0, &follows);
    }
}

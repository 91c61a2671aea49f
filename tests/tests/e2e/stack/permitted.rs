//! Plans in an environment whose gate says `plan: true`.

use serde_json::json;

use sandbox::world::aws::Aws;

use super::{DEADLINE, Stacked, TEMPLATE, VERSION, shows};
use crate::gateway;
use crate::govern::permitted::Planned;
use crate::job::Job;
use crate::permits::roles::assumed;
use crate::support::{clocked, instance, wait};

/// A job in dev, whose gate asks for a permit.
pub(super) fn gated(stack: &Stacked, settings: &str) -> Job {
    let job = stack.job(TEMPLATE, settings);
    let contract = job.file("delivery.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    let dev = "dev: {account: var:DEV_ACCOUNT_ID";
    let text = text.replace(dev, &format!("{dev}, gate: {{plan: true}}"));
    std::fs::write(&contract, text).unwrap();
    job
}

#[test]
fn nothing_is_opened_under_a_plan_that_was_executed() {
    let stack = Stacked::permitted("reopened");
    let ledger = Planned::new(stack.world, "of-a-protected-stack");
    let settings = ", termination-protection: true, policy: policy.json";
    let job = gated(&stack, settings);
    let policy =
        r#"{"Statement":[{"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*"}]}"#;
    std::fs::write(job.file("policy.json"), policy).unwrap();
    let grant = "slipway-promote grant --environment dev --digest DIGEST --plan";
    stack.ends(&job, &["plan"], 0, &[grant, "--permit NUMBER"]);
    let plan = stack.planned(&job, &[]);
    let permit = ledger.permit(&plan, &json!({}));
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    stack.ends(&job, &apply, 0, &["termination protection switched on"]);
    let is_protected = || {
        stack
            .described()
            .contains("<EnableTerminationProtection>true")
    };
    // Another contract opens nothing, even under a permit that is valid.
    let other = gated(&stack, &settings.replace("true", "false"));
    std::fs::write(other.file("policy.json"), policy.replace("Deny", "Allow")).unwrap();
    let another = "was applied with another protection of the stack";
    stack.ends(&other, &apply, 3, &[another]);
    assert!(is_protected());
    let set = stack.call("GetStackPolicy", &[("StackName", &stack.name)]);
    assert!(set.contains("Deny"), "{set}");
    // Where nothing has to be set, a run only looks; where something does, it needs a permit for that.
    let foreign = ledger.permit(&"9".repeat(64), &json!({}));
    let unpermitted = ["apply", "--plan", &plan, "--permit", &foreign];
    stack.ends(&job, &unpermitted, 0, &["an earlier run executed plan"]);
    stack.call(
        "UpdateTerminationProtection",
        &[
            ("StackName", &stack.name),
            ("EnableTerminationProtection", "false"),
        ],
    );
    stack.ends(
        &job,
        &unpermitted,
        3,
        &["does not let plan", "the stack is not protected as it says"],
    );
    assert!(!is_protected());
    stack.ends(&job, &apply, 0, &["termination protection switched on"]);
    assert!(is_protected());
}

#[test]
fn where_the_gate_asks_for_it_a_plan_is_applied_only_under_a_permit_that_names_it() {
    let stack = Stacked::permitted("permitted");
    let ledger = Planned::new(stack.world, "of-a-stack");
    let job = gated(&stack, "");
    let plan = stack.planned(&job, &[]);
    let grant = "slipway-promote grant --environment dev --digest DIGEST --plan";
    let apply = |more: &[&str], exit: i32, expected: &[&str]| {
        stack.ends(
            &job,
            &[&["apply", "--plan", &plan], more].concat(),
            exit,
            expected,
        )
    };
    apply(&[], 3, &["the gate of dev says `plan: true`", grant]);
    let other = ledger.permit(&"9".repeat(64), &json!({}));
    apply(
        &["--permit", &other],
        3,
        &["does not let plan", "it permits plan 9999"],
    );
    let zeros = "0".repeat(40);
    let commit = ledger.permit(&plan, &json!({"commit": zeros}));
    apply(&["--permit", &commit], 3, &["it permits commit 0000"]);
    // The plan itself has to be of the commit too.
    let mut unknown = gated(&stack, "");
    unknown.set("GITHUB_SHA", "");
    for (planning, more, expected) in [
        (&job, &["--commit", &zeros][..], "made from commit 0000"),
        (&unknown, &[], "does not say which commit"),
    ] {
        let other = stack.planned(planning, more);
        let permit = ledger.permit(&other, &json!({}));
        let apply = ["apply", "--plan", &other, "--permit", &permit];
        stack.ends(&job, &apply, 3, &["cannot be applied", expected]);
    }
    assert!(stack.described().contains("REVIEW_IN_PROGRESS"));
    let permit = ledger.permit(&plan, &json!({}));
    let under = format!("{permit}, granted by linus");
    apply(&["--permit", &permit], 0, &["CREATE_COMPLETE", &under]);
    // An operation that it began may be followed after the permit is over.
    apply(&["--permit", &permit], 0, &["an earlier run executed plan"]);
    let nothing = stack.planned(&job, &[]);
    stack.ends(
        &job,
        &["apply", "--plan", &nothing],
        3,
        &["the gate of dev says `plan: true`"],
    );
    let permit = ledger.permit(&nothing, &json!({}));
    stack.ends(
        &job,
        &["apply", "--plan", &nothing, "--permit", &permit],
        0,
        &["no changes"],
    );
}

#[test]
fn a_plan_that_lay_about_for_a_day_is_not_applied() {
    let stack = Stacked::alone("old");
    let job = stack.job(TEMPLATE, "");
    let plan = stack.planned(&job, &[]);
    let day = 24 * 3600 + 60;
    let apply = ["apply", "--plan", &plan];
    // A day later, by the last answer before the plan is judged. The machine's clock is right.
    gateway::tell(
        "faults",
        &json!({"service": "cloudformation", "operation": "GetTemplate", "account": stack.account(),
                "fault": {"kind": "date", "seconds": day}}),
    );
    let expected = ["cannot be applied", "its time was over at", "plan again"];
    stack.ends(&job, &apply, 3, &expected);
    assert!(stack.described().contains("REVIEW_IN_PROGRESS"));
    // A machine's clock that is a day ahead makes no plan old.
    std::fs::write(job.file("clock"), day.to_string()).unwrap();
    let ahead = clocked(&job.file("clock"), &stack.step(&job, &apply));
    shows(&job.run(&mut { ahead }), &apply, 0, &["CREATE_COMPLETE"]);
}

/// The names of the stack's change sets.
fn names(stack: &Stacked) -> Vec<String> {
    let listed = stack.change_sets();
    let parts = listed.split("<ChangeSetName>").skip(1);
    parts
        .map(|part| part.split('<').next().unwrap().to_owned())
        .collect()
}

/// Executes a change set by its name or its ARN in this session; answers the refusal.
#[track_caller]
fn denied(session: &Aws, stack: &Stacked, set: &str) {
    let mut asked = vec![("ChangeSetName", set)];
    if !set.starts_with("arn:") {
        asked.push(("StackName", &stack.name));
    }
    let call = session.query("cloudformation", VERSION, "ExecuteChangeSet", &asked);
    let refused = format!("{:?}", wait(DEADLINE, call).unwrap().unwrap_err());
    for piece in ["AccessDenied", "cloudformation:ExecuteChangeSet"] {
        assert!(refused.contains(piece), "{set}: {refused}");
    }
}

/// The deploy role by itself executes nothing; in the session of a permit it executes the change set of that one.
#[test]
fn the_role_that_deploys_executes_a_change_set_only_in_the_session_of_a_permit() {
    let stack = Stacked::permitted("tagged");
    let ledger = Planned::new(stack.world, "of-a-tagged-stack");
    let job = gated(&stack, "");
    let reviewed = stack.planned(&job, &[]);
    let first = names(&stack).remove(0);
    // Somebody makes another change set beside it.
    std::fs::write(
        job.file("stack.yaml"),
        TEMPLATE.replace("Default: 5", "Default: 9"),
    )
    .unwrap();
    stack.planned(&job, &[]);
    let other = names(&stack).into_iter().find(|name| *name != first);
    let other = other.unwrap();

    let account = stack.account();
    let build = &stack.world.build.id;
    let deploy = format!("arn:aws:iam::{account}:role/slipway-deploy");
    let keys = stack.stage.clone();
    let stage = stack.world.caller(instance(), keys).unwrap();
    let code = assumed(stack.world, &stage, &deploy, None).unwrap();
    for set in [&first, &other] {
        denied(&code, &stack, set);
        let described = stack.call(
            "DescribeChangeSet",
            &[("ChangeSetName", set), ("StackName", &stack.name)],
        );
        let arn = crate::support::element(&described, "ChangeSetId").unwrap();
        denied(&code, &stack, &arn);
    }
    // Nor does it change the stack's protection.
    for (action, more) in [
        (
            "UpdateTerminationProtection",
            ("EnableTerminationProtection", "false"),
        ),
        ("SetStackPolicy", ("StackPolicyBody", "{\"Statement\":[]}")),
    ] {
        let asked = [("StackName", stack.name.as_str()), more];
        let call = code.query("cloudformation", VERSION, action, &asked);
        let refused = format!("{:?}", wait(DEADLINE, call).unwrap().unwrap_err());
        assert!(refused.contains("AccessDenied"), "{action}: {refused}");
    }
    // Only the permit role sets the tag, and no other tag with it.
    let tag = Some(("slipway-change-set", first.as_str()));
    let refused = assumed(stack.world, &stage, &deploy, tag).err().unwrap();
    assert!(refused.contains("sts:TagSession"), "{refused}");
    let permit = format!("arn:aws:iam::{build}:role/slipway-permit-dev");
    let permit = assumed(stack.world, &stage, &permit, None).unwrap();
    let refused = assumed(stack.world, &permit, &deploy, Some(("other", "1")));
    assert!(refused.err().unwrap().contains("AccessDenied"));
    let session = assumed(stack.world, &permit, &deploy, tag).unwrap();
    denied(&session, &stack, &other);
    assert!(stack.described().contains("REVIEW_IN_PROGRESS"));

    // The step opens such a session under the permit.
    let number = ledger.permit(&reviewed, &json!({}));
    let apply = ["apply", "--plan", &reviewed, "--permit", &number];
    stack.ends(&job, &apply, 0, &["CREATE_COMPLETE"]);
}

/// Where the roles do not let the permit's tag through, nothing was changed, and the step says which two policies it takes.
#[test]
fn a_session_that_is_refused_changes_nothing() {
    let stack = Stacked::alone("untagged");
    let ledger = Planned::new(stack.world, "of-an-untagged-stack");
    let job = gated(&stack, ", termination-protection: true");
    let plan = stack.planned(&job, &[]);
    let permit = ledger.permit(&plan, &json!({}));
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    let expected = [
        "with the session tag slipway-change-set=slipway-",
        "nothing was executed",
        "sts:TagSession",
    ];
    stack.ends(&job, &apply, 3, &expected);
    assert!(stack.described().contains("REVIEW_IN_PROGRESS"));
}

/// A plan that only protects the stack has no change set, and its session executes none.
#[test]
fn the_protection_alone_is_set_in_the_session_of_a_permit() {
    let stack = Stacked::permitted("guarded");
    let ledger = Planned::new(stack.world, "of-a-guarded-stack");
    let job = gated(&stack, "");
    let plan = stack.planned(&job, &[]);
    let permit = ledger.permit(&plan, &json!({}));
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    stack.ends(&job, &apply, 0, &["CREATE_COMPLETE"]);
    let job = gated(&stack, ", termination-protection: true");
    let plan = stack.planned(&job, &[]);
    let permit = ledger.permit(&plan, &json!({}));
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    let expected = ["no changes", "termination protection switched on"];
    stack.ends(&job, &apply, 0, &expected);
    assert!(
        stack
            .described()
            .contains("<EnableTerminationProtection>true")
    );
}

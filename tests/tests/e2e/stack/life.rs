//! A stack from its creation on: planned, applied, changed, and left as it is.

use super::{Stacked, TEMPLATE};
use crate::support::element;

#[test]
fn a_stack_is_planned_applied_and_shown() {
    let stack = Stacked::new("life");
    let job = stack.job(
        TEMPLATE,
        ", termination-protection: true, tags: {team: shop}",
    );
    let text = stack.ends(
        &job,
        &["plan"],
        0,
        &[
            "2 to add",
            "a new stack",
            "add Queue (AWS::SQS::Queue)",
            "DelaySeconds: 5",
            "add Topic (AWS::SNS::Topic)",
            "tag team: \"shop\" (new)",
            "termination protection: off → on",
            "apply it: slipway-stack apply --environment dev --plan",
        ],
    );
    assert!(!text.contains("LOSES DATA"), "{text}");
    let outputs = job.read("output");
    assert!(
        outputs.contains("has-changes") && outputs.contains("plan-id"),
        "{outputs}"
    );
    assert!(job.read("summary").contains("add Queue (AWS::SQS::Queue)"));
    // A second plan of a stack that was only planned is another one, and either may be applied.
    let plan = stack.planned(&job, &[]);
    let applied = stack.json(&job, &["apply", "--plan", &plan]);
    assert_eq!(applied["status"], "CREATE_COMPLETE");
    let url = applied["outputs"]["QueueUrl"].as_str().unwrap();
    assert!(url.contains("sqs") || url.starts_with("http"), "{url}");
    assert_eq!(applied["enforced"][0], "termination protection switched on");
    assert!(
        stack
            .described()
            .contains("<EnableTerminationProtection>true")
    );
    let status = stack.json(&job, &["status"]);
    assert_eq!(status["status"], "CREATE_COMPLETE");
    assert_eq!(status["termination_protection"], true);
    assert_eq!(status["tags"]["team"], "shop");
    assert_eq!(status["outputs"]["QueueUrl"], url);
    // The same again: the plan was applied, and this says so.
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        0,
        &["an earlier run executed plan", "CREATE_COMPLETE"],
    );
}

#[test]
fn an_update_is_shown_property_by_property_and_changes_only_that() {
    let stack = Stacked::new("update");
    stack.applied(&stack.job(TEMPLATE, ""));
    let before = element(&stack.described(), "CreationTime").unwrap();
    let job = stack.job(
        &TEMPLATE.replace("DisplayName: one", "DisplayName: two"),
        ", parameters: {Delay: 7}",
    );
    let text = stack.ends(
        &job,
        &["plan"],
        0,
        &[
            "2 to modify",
            "modify Queue (AWS::SQS::Queue)",
            "DelaySeconds: 5 → 7",
            "DisplayName: one → two",
            "parameter Delay: \"5\" → \"7\"",
        ],
    );
    assert!(!text.contains("to add"), "{text}");
    let plan = stack.planned(&job, &[]);
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        0,
        &[
            "UPDATE_IN_PROGRESS Queue (AWS::SQS::Queue)",
            "UPDATE_COMPLETE",
            "QueueUrl",
        ],
    );
    assert_eq!(element(&stack.described(), "CreationTime").unwrap(), before);
    // The parameter is not given any more: the template's default is what counts, and the plan says so.
    let job = stack.job(
        &TEMPLATE.replace("DisplayName: one", "DisplayName: two"),
        "",
    );
    stack.ends(&job, &["plan"], 0, &["parameter Delay: \"7\" → \"5\""]);
    stack.ends(
        &job,
        &["plan", "--keep-parameter", "Delay"],
        0,
        &["no changes"],
    );
}

#[test]
fn a_value_does_not_look_like_another_line_of_the_plan() {
    let stack = Stacked::new("lines");
    let forged = "\"one\\nadd Role (AWS::IAM::Role)\"";
    let job = stack.job(
        &TEMPLATE.replace("DisplayName: one", &format!("DisplayName: {forged}")),
        "",
    );
    let shown = "DisplayName: one\\nadd Role (AWS::IAM::Role)";
    let text = stack.ends(&job, &["plan"], 0, &[shown]);
    assert!(!text.contains("\nadd Role"), "{text}");
    assert!(!job.read("summary").contains("\nadd Role"));
}

#[test]
fn a_plan_without_changes_is_a_success_that_still_protects() {
    let stack = Stacked::new("same");
    stack.applied(&stack.job(TEMPLATE, ""));
    let policy =
        r#"{"Statement":[{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"}]}"#;
    let job = stack.job(
        TEMPLATE,
        ", termination-protection: true, policy: policy.json",
    );
    std::fs::write(job.file("policy.json"), policy).unwrap();
    stack.ends(
        &job,
        &["plan"],
        0,
        &[
            "no changes",
            "termination protection: off → on",
            "stack policy (new)",
            "apply it: slipway-stack apply --environment dev --plan",
        ],
    );
    assert!(job.read("output").contains("has-changes"));
    let planned = stack.json(&job, &["plan"]);
    assert_eq!(planned["changes"].as_array().unwrap().len(), 0);
    let plan = planned["plan_id"].as_str().unwrap();
    stack.ends(
        &job,
        &["apply", "--plan", plan],
        0,
        &[
            "no changes",
            "termination protection switched on",
            "stack policy set",
        ],
    );
    let described = stack.described();
    assert!(
        described.contains("<EnableTerminationProtection>true"),
        "{described}"
    );
    let set = stack.call("GetStackPolicy", &[("StackName", &stack.name)]);
    assert!(set.contains("Update:*"), "{set}");
    // The change sets that CloudFormation found empty are gone.
    assert!(
        !stack.change_sets().contains("FAILED"),
        "{}",
        stack.change_sets()
    );
    // Nothing is left to do.
    let text = stack.ends(&job, &["apply", "--plan", plan], 0, &["no changes"]);
    assert!(!text.contains("switched on"), "{text}");
}

#[test]
fn two_runs_that_apply_one_plan_end_alike() {
    let stack = Stacked::new("twice");
    let job = stack.job(TEMPLATE, "");
    let plan = stack.planned(&job, &[]);
    let other = stack.job(TEMPLATE, "");
    let arguments = ["apply", "--plan", &plan];
    let runs = [&job, &other].map(|job| {
        let mut command = stack.step(job, &arguments);
        crate::support::Started::new(&mut command)
    });
    for run in runs {
        let ended = run.end(super::DEADLINE);
        super::shows(&ended, &arguments, 0, &["CREATE_COMPLETE"]);
    }
}

#[test]
fn the_steps_arguments_alone_are_enough() {
    let stack = Stacked::new("alone");
    let mut job = stack.job(TEMPLATE, "");
    let keys = super::wait(
        super::DEADLINE,
        super::session(stack.world, "dev", "slipway-deploy"),
    );
    for (name, value) in keys.variables() {
        job.set(&name, &value);
    }
    let role = format!("arn:aws:iam::{}:role/{}", stack.account(), stack.role);
    let arguments = [
        "plan",
        "--json",
        "--name",
        &stack.name,
        "--template",
        "stack.yaml",
        "--parameter",
        "Delay=9",
        "--role",
        &role,
    ];
    let ended = job.run(&mut job.command("slipway-stack", &arguments));
    super::shows(&ended, &arguments, 0, &[]);
    let planned: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let plan = planned["plan_id"].as_str().unwrap();
    let arguments = ["apply", "--name", &stack.name, "--plan", plan];
    let ended = job.run(&mut job.command("slipway-stack", &arguments));
    super::shows(&ended, &arguments, 0, &["CREATE_COMPLETE"]);
}

#[test]
fn a_plan_that_is_given_no_role_names_the_one_that_the_stack_has() {
    let stack = Stacked::new("role");
    let job = stack.job(TEMPLATE, "");
    let role = format!("arn:aws:iam::{}:role/{}", stack.account(), stack.role);
    stack.ends(&job, &["plan"], 0, &[&format!("role: {role} (new)")]);
    stack.applied(&job);
    // Another contract of the same stack, without a role.
    let job = stack.job(
        &TEMPLATE.replace("DisplayName: one", "DisplayName: two"),
        "",
    );
    let contract = job.file("delivery.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    let named = format!(", role: {}", stack.role);
    assert!(text.contains(&named), "{text}");
    std::fs::write(&contract, text.replace(&named, "")).unwrap();
    let said = format!("role: {role}, which the stack has from before, because none was given");
    stack.ends(&job, &["plan"], 0, &[&said]);
    let planned = stack.json(&job, &["plan"]);
    assert_eq!(planned["role"], role.as_str());
    assert_eq!(planned["role_kept"], true);
    let plan = planned["plan_id"].as_str().unwrap();
    stack.ends(&job, &["apply", "--plan", plan], 0, &["UPDATE_COMPLETE"]);
}

//! One stack in two regions, changed one after the other.

use super::{Stacked, TEMPLATE};
use crate::job::Job;
use serde_json::json;

const SECOND: &str = "eu-west-1";

/// A job whose contract names two regions.
fn in_two(stack: &Stacked, template: &str) -> Job {
    let first = &stack.world.region;
    stack.job(template, &format!(", regions: [{first}, {SECOND}]"))
}

#[test]
fn one_plan_changes_both_regions_and_can_be_run_again() {
    let stack = Stacked::new("regions");
    let job = in_two(&stack, TEMPLATE);
    let first = stack.world.region.clone();
    let planned = stack.json(&job, &["plan"]);
    assert_eq!(planned["regions"].as_array().unwrap().len(), 2, "{planned}");
    let plan = planned["plan_id"].as_str().unwrap();
    let apply = ["apply", "--plan", plan];
    let text = stack.ends(
        &job,
        &apply,
        0,
        &[
            &format!("region 1 of 2: {first}"),
            &format!("region 2 of 2: {SECOND}"),
            "applied, CREATE_COMPLETE",
        ],
    );
    assert!(
        text.find(&format!("2: {first}")) < text.find(&format!("2: {SECOND}")),
        "{text}"
    );
    assert!(job.read("summary").contains(SECOND));
    let again = stack.json(&job, &apply);
    let urls = &again["regions"];
    assert!(urls[1]["outputs"]["QueueUrl"].is_string(), "{again}");
    let status = stack.json(&job, &["status"]);
    assert_eq!(status["regions"][1]["region"], SECOND);
    // What changes in one region alone is a plan of that one.
    let two = TEMPLATE.replace("DisplayName: one", "DisplayName: two");
    let job = in_two(&stack, &two);
    let only = ["--region", SECOND];
    let plan = stack.planned(&job, &only);
    let apply = ["apply", "--plan", &plan, "--region", SECOND];
    stack.ends(&job, &apply, 0, &["UPDATE_COMPLETE"]);
    stack.ends(&job, &["plan"], 0, &["1 to modify", "no changes"]);
    let plan = stack.planned(&job, &[]);
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        0,
        &["applied, UPDATE_COMPLETE", "no changes, UPDATE_COMPLETE"],
    );
    // Nothing is left to change in any of them.
    let plan = stack.planned(&job, &[]);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &["no changes"]);
}

#[test]
fn a_region_that_fails_stops_the_others_before_they_begin() {
    let stack = Stacked::new("halted");
    let job = in_two(&stack, TEMPLATE);
    let plan = stack.planned(&job, &[]);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &[]);
    let job = in_two(
        &stack,
        &TEMPLATE.replace("DisplayName: one", "DisplayName: two"),
    );
    let plan = stack.planned(&job, &[]);
    stack.strike("Topic", "update", &json!({"reason": "the topic says no"}));
    let first = stack.world.region.clone();
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        5,
        &[
            &format!("{first}: the stack"),
            "the topic says no",
            "not started",
            &format!("nothing was begun in {SECOND}"),
        ],
    );
    assert!(job.read("summary").contains("not started"));
    let status = stack.json(&job, &["status", "--region", SECOND]);
    assert_eq!(status["status"], "CREATE_COMPLETE");
}

/// What was reviewed together is applied together, and only while each region is as it was then.
#[test]
fn a_plan_of_several_regions_is_one_thing() {
    let stack = Stacked::new("whole");
    let job = in_two(&stack, TEMPLATE);
    let first = stack.world.region.clone();
    let plan = stack.planned(&job, &[]);
    let only = ["apply", "--plan", &plan, "--region", SECOND];
    let of = format!("is of {first}, then {SECOND}, and not of {SECOND}");
    let all = format!("--region {first} --region {SECOND}");
    stack.ends(&job, &only, 3, &[&of, &all]);
    let only = ["apply", "--plan", &plan, "--region", &first];
    stack.ends(&job, &only, 3, &["there is no plan"]);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &[]);

    // A plan of one region is not one of both.
    let named = |name: &str| in_two(&stack, &TEMPLATE.replace("one", name));
    let job = named("two");
    let plan = stack.planned(&job, &["--region", SECOND]);
    let of = format!("is of {SECOND}, and not of {first}, then {SECOND}");
    stack.ends(&job, &["apply", "--plan", &plan], 3, &[&of]);
    let apply = ["apply", "--plan", &plan, "--region", SECOND];
    stack.ends(&job, &apply, 0, &["UPDATE_COMPLETE"]);

    // The second region has no changes in the plan, and somebody changes it before the plan is applied.
    let plan = stack.planned(&job, &[]);
    let other = named("three");
    let theirs = stack.planned(&other, &["--region", SECOND]);
    let apply = ["apply", "--plan", &theirs, "--region", SECOND];
    stack.ends(&other, &apply, 0, &["UPDATE_COMPLETE"]);
    let moved = [
        format!("in {SECOND} is not as it was when plan {plan} was made"),
        "the plan showed no changes there".to_owned(),
    ];
    let moved: Vec<&str> = moved.iter().map(String::as_str).collect();
    stack.ends(&job, &["apply", "--plan", &plan], 3, &moved);
    let status = stack.json(&job, &["status", "--region", &first]);
    assert_eq!(status["status"], "CREATE_COMPLETE", "{status}");
}

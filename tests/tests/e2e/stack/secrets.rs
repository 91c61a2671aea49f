//! Values that nobody may see.

use super::{DEADLINE, Stacked, shows};

const SECRET: &str = "correct-horse-battery";
const TEMPLATE: &str = r"
Parameters:
  Note: {Type: String, NoEcho: true}
Resources:
  Setting:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: !Ref Note, Description: a note}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !Ref Note}
Outputs:
  Topic: {Value: !Ref Topic}
";

#[test]
fn a_secret_parameter_reaches_the_resource_and_nothing_else() {
    let stack = Stacked::new("secret");
    let mut job = stack.job(TEMPLATE, ", secret-parameters: {Note: NOTE}");
    stack.ends(
        &job,
        &["plan"],
        2,
        &["the variable NOTE, which holds the parameter Note, is not set"],
    );
    job.set("NOTE", SECRET);
    let mut texts = Vec::new();
    let ended = job.run(&mut stack.step(&job, &["plan", "--verbose"]));
    texts.push(shows(
        &ended,
        &["plan"],
        0,
        &[
            "parameter Note: a secret that this plan was given",
            "add Setting",
        ],
    ));
    let ended = job.run(&mut stack.step(&job, &["plan", "--json", "--verbose"]));
    texts.push(shows(&ended, &["plan", "--json"], 0, &[]));
    let planned: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let plan = planned["plan_id"].as_str().unwrap();
    // Only the plan needs the value.
    job.set("NOTE", "");
    texts.push(stack.ends(
        &job,
        &["apply", "--plan", plan, "--verbose"],
        0,
        &["CREATE_COMPLETE"],
    ));
    texts.push(stack.ends(&job, &["status", "--json"], 0, &[]));
    for name in ["output", "env", "state", "summary"] {
        texts.push(job.read(name));
    }
    for text in texts {
        // The runner is told what to hide.
        let shown = text.replace(&format!("::add-mask::{SECRET}"), "");
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let shown = stack.json(&job, &["status"]);
    let arn = shown["outputs"]["Topic"].as_str().unwrap();
    let named = [("TopicArn", arn)];
    let call = stack
        .aws
        .query("sns", "2010-03-31", "GetTopicAttributes", &named);
    let attributes = super::wait(DEADLINE, call).unwrap().unwrap();
    assert!(attributes.contains(SECRET), "{attributes}");
}

#[test]
fn an_optional_secret_that_is_missing_leaves_the_default_and_the_plan_says_so() {
    let stack = Stacked::new("optional");
    let template = TEMPLATE.replace("NoEcho: true", "NoEcho: true, Default: none");
    let job = stack.job(&template, ", secret-parameters: {Note: NOTE}");
    let contract = job.file("delivery.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    let optional = "NOTE: {from: \"env:NOTE\", to: [exec], required: false}";
    std::fs::write(&contract, text.replace("NOTE: env:NOTE", optional)).unwrap();
    let note = "parameter Note: the template's default, because the variable NOTE is not set";
    stack.ends(&job, &["plan"], 0, &[note]);
}

#[test]
fn a_parameter_that_is_a_secret_by_its_name_is_not_shown() {
    let stack = Stacked::new("named");
    let template = TEMPLATE.replace(
        "Note: {Type: String, NoEcho: true}",
        "DbPassword: {Type: String}",
    );
    let template = template.replace("!Ref Note", "!Ref DbPassword");
    let job = stack.job(&template, ", parameters: {DbPassword: from-a-person}");
    let text = stack.ends(
        &job,
        &["plan"],
        0,
        &["parameter DbPassword: \"(hidden)\" (new)"],
    );
    assert!(!text.contains("parameter DbPassword: \"from"), "{text}");
    stack.applied(&job);
    let status = stack.json(&job, &["status"]);
    assert_eq!(status["parameters"]["DbPassword"], "(hidden)");
}

#[test]
fn a_secret_is_not_taken_where_it_could_be_seen() {
    let stack = Stacked::new("seen");
    let job = stack.job(TEMPLATE, "");
    stack.ends(
        &job,
        &["plan", "--parameter", "Note=x"],
        2,
        &[
            "the parameter `Note` is NoEcho",
            "--secret-parameter Note=VARIABLE",
        ],
    );
    let mut job = stack.job(
        &TEMPLATE.replace(", NoEcho: true", ""),
        ", secret-parameters: {Note: NOTE}",
    );
    job.set("NOTE", SECRET);
    let text = stack.ends(
        &job,
        &["plan"],
        2,
        &[
            "CloudFormation would show its value to everybody",
            "NoEcho: true",
        ],
    );
    assert!(
        !text
            .replace(&format!("::add-mask::{SECRET}"), "")
            .contains(SECRET),
        "{text}"
    );
}

#[test]
fn a_secret_is_kept_only_if_the_plan_says_so() {
    let stack = Stacked::new("kept");
    let mut job = stack.job(TEMPLATE, ", secret-parameters: {Note: NOTE}");
    job.set("NOTE", SECRET);
    stack.applied(&job);
    let job = stack.job(&TEMPLATE.replace("a note", "another"), "");
    stack.ends(
        &job,
        &["plan"],
        2,
        &["the parameter `Note` has no value", "--keep-parameter Note"],
    );
    stack.ends(
        &job,
        &["plan", "--keep-parameter", "Note"],
        0,
        &[
            "parameter Note: kept as the stack has it",
            "Description: a note → another",
        ],
    );
}

#[test]
fn a_parameter_that_loses_its_no_echo_keeps_no_hidden_value_and_is_marked() {
    let stack = Stacked::new("readable");
    let mut job = stack.job(TEMPLATE, ", secret-parameters: {Note: NOTE}");
    job.set("NOTE", SECRET);
    stack.applied(&job);
    let plain = TEMPLATE.replace(", NoEcho: true", "");
    let job = stack.job(&plain, "");
    let text = stack.ends(
        &job,
        &["plan", "--keep-parameter", "Note"],
        2,
        &[
            "the parameter `Note` keeps a value that the stack hides",
            "add `NoEcho: true` to the parameter Note again",
        ],
    );
    assert!(!text.contains(SECRET), "{text}");
    assert!(!stack.change_sets().contains("AVAILABLE"));
    // Another value may be shown, and the plan says that it will be.
    let given = ["plan", "--parameter", "Note=anybody-may-read-this"];
    let marked = "[READABLE] parameter Note: everybody who may describe the stack";
    let text = stack.ends(&job, &given, 0, &[marked]);
    assert!(!text.contains(SECRET), "{text}");
    let planned = stack.json(&job, &given);
    assert_eq!(planned["readable"][0], "Note");
    let plan = planned["plan_id"].as_str().unwrap();
    stack.ends(&job, &["apply", "--plan", plan], 0, &["UPDATE_COMPLETE"]);
}

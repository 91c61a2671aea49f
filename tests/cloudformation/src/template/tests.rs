//! Tests of what a template declares and what its functions give.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::resolve::{Inputs, KNOWN_AFTER_APPLY, Resolver, Seen};
use super::{Template, graph, parameters};

fn template(text: &str) -> Template {
    Template::read(text).expect(text)
}

/// The inputs that a template is resolved with: these parameters, and the exports of another stack.
pub(crate) fn inputs(template: &Template, given: &[(&str, &str)]) -> Inputs {
    let given: Vec<Value> = given
        .iter()
        .map(|(name, value)| json!({"ParameterKey": name, "ParameterValue": value}))
        .collect();
    Inputs {
        account: "111122223333".to_owned(),
        region: "ca-central-1".to_owned(),
        stack_name: "shop".to_owned(),
        stack_id: "arn:stack".to_owned(),
        notification_arns: Vec::new(),
        parameters: parameters::assign(template, &given, &[]).expect("parameters"),
        exports: BTreeMap::from([("vpc".to_owned(), "vpc-1".to_owned())]),
    }
}

const FUNCTIONS: &str = r#"
Parameters:
  Stage: {Type: String, Default: dev}
  Zones: {Type: CommaDelimitedList, Default: 'a, b'}
  Secret: {Type: String, NoEcho: true, Default: hush}
Mappings:
  Sizes: {dev: {small: 1}, prod: {small: 8}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Dev: !Not [!Condition Prod]
  Either: !Or [!Condition Prod, !Condition Dev]
  Both: !And [!Condition Prod, !Condition Dev]
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Later: {Type: AWS::SQS::Queue}
  Value:
    Type: AWS::SSM::Parameter
    Properties:
      Value: VALUE
"#;

/// The value of a function, in a stack that has the queue already.
fn value(function: &str, given: &[(&str, &str)], hide: bool) -> Result<Option<Value>, String> {
    let template = template(&FUNCTIONS.replace("VALUE", function));
    let inputs = inputs(&template, given);
    let attributes = Map::from_iter([("Arn".to_owned(), json!("arn:queue"))]);
    let seen = |id: &str| match id {
        "Queue" => Some(Seen::There("https://queue", &attributes)),
        "Later" => Some(Seen::Later),
        _ => None,
    };
    let resolver = Resolver {
        template: &template,
        inputs: &inputs,
        seen: &seen,
        hide,
    };
    let found = resolver.properties("Value")?;
    Ok(found.get("Value").cloned())
}

#[test]
fn functions_have_their_values() {
    for (function, wanted) in [
        ("!Ref Stage", json!("dev")),
        ("!Ref Zones", json!(["a", "b"])),
        ("!Ref AWS::AccountId", json!("111122223333")),
        ("!Ref Queue", json!("https://queue")),
        ("!GetAtt Queue.Arn", json!("arn:queue")),
        ("!Ref Later", json!(KNOWN_AFTER_APPLY)),
        (
            "!Sub '${Stage}-${Queue.Arn}-${!Literal}-${AWS::Region}'",
            json!("dev-arn:queue-${Literal}-ca-central-1"),
        ),
        (
            "!Sub ['${a}/${Stage}', {a: !Ref Zones}]",
            json!("[\"a\",\"b\"]/dev"),
        ),
        ("!Join ['-', [!Ref Stage, x]]", json!("dev-x")),
        ("!Join ['', !Ref Zones]", json!("ab")),
        ("!Select [1, !Ref Zones]", json!("b")),
        ("!Split [',', 'x,y']", json!(["x", "y"])),
        ("!FindInMap [Sizes, !Ref Stage, small]", json!(1)),
        ("!Base64 hello", json!("aGVsbG8=")),
        ("!ImportValue vpc", json!("vpc-1")),
        ("!If [Prod, big, small]", json!("small")),
        ("!If [Either, !If [Both, 1, 2], 3]", json!(2)),
        (
            "!GetAZs ''",
            json!(["ca-central-1a", "ca-central-1b", "ca-central-1c"]),
        ),
    ] {
        assert_eq!(value(function, &[], false), Ok(Some(wanted)), "{function}");
    }
    assert_eq!(value("!Ref AWS::NoValue", &[], false), Ok(None));
    assert_eq!(
        value("!If [Prod, big, !Ref AWS::NoValue]", &[], false),
        Ok(None)
    );
    assert_eq!(
        value("!If [Prod, big, small]", &[("Stage", "prod")], false),
        Ok(Some(json!("big")))
    );
    assert_eq!(
        value("!Sub 'a ${Secret}'", &[], false),
        Ok(Some(json!("a hush")))
    );
    assert_eq!(
        value("!Sub 'a ${Secret}'", &[], true),
        Ok(Some(json!("a ****")))
    );
}

#[test]
fn a_function_without_a_value_says_why() {
    for (function, wanted) in [
        (
            "!FindInMap [Sizes, !Ref Stage, large]",
            "Unable to get mapping for Sizes::dev::large",
        ),
        ("!Select [7, !Ref Zones]", "cannot select nonexistent value"),
        ("!ImportValue nobody", "No export named nobody found."),
        (
            "!GetAtt Queue.Colour",
            "does not support attribute type Colour",
        ),
        ("!Join [x]", "Fn::Join"),
    ] {
        let refused = value(function, &[], false).expect_err(function);
        assert!(refused.contains(wanted), "{function}: {refused}");
    }
}

#[test]
fn a_template_is_refused_for_what_it_cannot_mean() {
    let with = |more: &str| format!("{more}\nResources: {{A: {{Type: AWS::SQS::Queue}}}}");
    for (text, wanted) in [
        (
            with("Resource: {}"),
            "Invalid template property or properties [Resource]",
        ),
        (
            with("Transform: AWS::Serverless-2016-10-31"),
            "does not implement the section Transform",
        ),
        (
            with("AWSTemplateFormatVersion: '2011-01-01'"),
            "Unsupported template version",
        ),
        (
            with("Parameters: {P: {Type: Sting}}"),
            "Unrecognized parameter type: Sting",
        ),
        (
            with("Parameters: {P: {Type: AWS::EC2::VPC::Id}}"),
            "does not implement parameters of type AWS::EC2::VPC::Id",
        ),
        (
            with("Parameters: {P: {Default: 1}}"),
            "must contain a Type member",
        ),
        (
            with("Conditions: {C: !Equals [!Ref Nobody, x]}"),
            "Unresolved dependencies [Nobody]",
        ),
        (
            with("Outputs: {O: {Value: !Ref Nobody}}"),
            "Unresolved resource dependencies [Nobody] in the Outputs block",
        ),
        (
            with("Outputs: {O: {Value: x, Condition: Nobody}}"),
            "Unresolved condition dependency Nobody",
        ),
        (
            with("Outputs: {O: {Value: !Length [a, 1, 2]}}"),
            "Encountered unsupported function: Fn::Length",
        ),
        (
            "Resources: {a-b: {Type: AWS::SQS::Queue}}".to_owned(),
            "Resource name a-b is non alphanumeric",
        ),
        (
            "Resources: {A: {Properties: {}}}".to_owned(),
            "must contain a Type member",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, DeletionPolicy: Keep}}".to_owned(),
            "Unrecognized DeletionPolicy",
        ),
        ("[]".to_owned(), "unsupported structure"),
    ] {
        let refused = Template::read(&text).expect_err(&text);
        assert!(refused.contains(wanted), "{text}: {refused}");
    }
}

#[test]
fn parameters_are_held_against_their_rules() {
    let template = template(
        "Parameters:\n  Name: {Type: String, MinLength: 2, MaxLength: 4, AllowedPattern: '[a-z]+'}\n  Count: {Type: Number, Default: 2, MaxValue: 5}\n  \
         Stage: {Type: String, Default: dev, AllowedValues: [dev, prod], ConstraintDescription: dev or prod}\n\
         Resources: {A: {Type: AWS::SQS::Queue}}",
    );
    let before = parameters::assign(
        &template,
        &[json!({"ParameterKey": "Name", "ParameterValue": "abc"})],
        &[],
    );
    let before = before.expect("the defaults fit");
    let given = |name: &str, value: &str| json!({"ParameterKey": name, "ParameterValue": value});
    let previous = |name: &str| json!({"ParameterKey": name, "UsePreviousValue": true});
    for (call, wanted) in [
        (vec![], "Parameters: [Name] must have values"),
        (
            vec![given("Name", "a")],
            "must contain at least 2 characters",
        ),
        (
            vec![given("Name", "ab1")],
            "Parameter 'Name' must match pattern [a-z]+",
        ),
        (
            vec![given("Name", "abcde")],
            "must contain at most 4 characters",
        ),
        (
            vec![given("Name", "abc"), given("Count", "x")],
            "Parameter 'Count' must be a number.",
        ),
        (
            vec![given("Name", "abc"), given("Count", "6")],
            "must be a number not greater than 5",
        ),
        (
            vec![given("Name", "abc"), given("Stage", "x")],
            "failed to satisfy constraint: dev or prod",
        ),
        (
            vec![given("Name", "abc"), given("Nmae", "x")],
            "Parameters: [Nmae] do not exist in the template",
        ),
    ] {
        let refused = parameters::assign(&template, &call, &[]).expect_err(wanted);
        assert!(refused.contains(wanted), "{refused}");
    }
    let again = parameters::assign(&template, &[previous("Name"), given("Count", "3")], &before);
    let values: Vec<String> = again
        .expect("they fit")
        .into_iter()
        .map(|it| it.value)
        .collect();
    assert_eq!(values, ["abc", "3", "dev"]);
    assert!(parameters::assign(&template, &[previous("Name")], &[]).is_err());
}

#[test]
fn resources_come_after_what_they_need() {
    let template = template(
        "Resources:\n  A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${B.QueueName}-x'}}\n  \
         B: {Type: AWS::SQS::Queue, DependsOn: C}\n  C: {Type: AWS::SQS::Queue}\n",
    );
    let order = graph::order(&template).expect("no circle");
    assert_eq!(order, ["C", "B", "A"]);
}

#[test]
fn capabilities_depend_on_names() {
    let role =
        |more: &str| format!("Resources: {{R: {{Type: AWS::IAM::Role, Properties: {{{more}}}}}}}");
    for (text, wanted) in [
        (role(""), Some("CAPABILITY_IAM")),
        (role("RoleName: x"), Some("CAPABILITY_NAMED_IAM")),
        ("Resources: {A: {Type: AWS::SQS::Queue}}".to_owned(), None),
    ] {
        let found = template(&text)
            .capabilities()
            .map(|(capability, _)| capability);
        assert_eq!(found, wanted, "{text}");
    }
}

//! Tests of what a change set lists.

use serde_json::{Map, json};

use super::{Wanted, beside_resources, changes};
use crate::change::Change;
use crate::schema::Schemas;
use crate::state::{Resource, Stack};
use crate::template::Template;
use crate::template::resolve::{Resolver, Seen};
use crate::template::tests::inputs;
use crate::{ids, tags};

const BEFORE: &str = r#"
Parameters:
  Size: {Type: Number, Default: 1}
  Word: {Type: String, NoEcho: true, Default: hush}
Resources:
  First: {Type: AWS::SQS::Queue, Properties: {QueueName: first, DelaySeconds: !Ref Size}}
  Named: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !GetAtt First.Arn}}
  Url: {Type: AWS::SSM::Parameter, Properties: {Name: url, Type: String, Value: !Ref First}}
  Taken: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${First.QueueName}-x'}}
  Secret: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !Ref Word}}
  Kept: {Type: AWS::SQS::Queue, DeletionPolicy: Retain}
Outputs:
  Url: {Value: !Ref First}
"#;

fn schemas() -> Schemas {
    let queue = json!({
        "properties": {
            "QueueName": {"type": "string"}, "DelaySeconds": {"type": "integer"}, "Tags": {"type": "array"},
            "Arn": {"type": "string"},
        },
        "createOnlyProperties": ["/properties/QueueName"],
        "tagging": {"taggable": true, "tagProperty": "/properties/Tags"},
    });
    let parameter = json!({
        "properties": {"Name": {"type": "string"}, "Type": {"type": "string"}, "Value": {"type": "string"}},
        "createOnlyProperties": ["/properties/Name"],
    });
    Schemas::of([
        ("AWS::SQS::Queue", queue),
        ("AWS::SSM::Parameter", parameter),
    ])
}

/// A stack that was made from the template.
fn stack() -> Stack {
    let template = Template::read(BEFORE).expect("a template");
    let inputs = inputs(&template, &[]);
    let schemas = schemas();
    let mut stack = Stack::of("shop", "arn:stack");
    stack.parameters.clone_from(&inputs.parameters);
    for (id, declared) in &template.resources {
        let physical = format!("{}-1", id.to_lowercase());
        let attributes = Map::from_iter([
            ("Arn".to_owned(), json!(format!("arn:{physical}"))),
            ("QueueName".to_owned(), json!("first")),
        ]);
        let resources = stack.resources.clone();
        let seen = |id: &str| {
            let found: &Resource = crate::template::find(&resources, id)?;
            Some(Seen::There(&found.physical, &found.attributes))
        };
        let resolver = Resolver {
            template: &template,
            inputs: &inputs,
            seen: &seen,
            hide: false,
        };
        let properties = resolver.properties(id).expect("properties");
        let schema = schemas.get(&declared.kind).expect("a schema");
        let resource = Resource {
            declared: declared.clone(),
            physical,
            attributes,
            properties: tags::with(schema, schema.normalized(properties), &[]),
            status: "CREATE_COMPLETE",
            reason: None,
            changed: ids::now(),
            drift: None,
        };
        stack.resources.push((id.clone(), resource));
    }
    stack.template = Some(template);
    stack
}

/// The changes, and whether anything beside resources changes.
fn diff(text: &str, given: &[(&str, &str)], tags: &[(String, String)]) -> (Vec<Change>, bool) {
    let template = Template::read(text).expect(text);
    let inputs = inputs(&template, given);
    let wanted = Wanted {
        template: &template,
        inputs: &inputs,
        tags,
    };
    let stack = stack();
    let found = changes(&stack, &wanted, &schemas()).expect("they can be compared");
    (found, beside_resources(&stack, &wanted))
}

/// `Action ID Replacement: attribute.name source(cause) recreation evaluation, …`
fn shown(change: &Change) -> String {
    let details: Vec<String> = change
        .details
        .iter()
        .map(|detail| {
            format!(
                "{}{} {}{} {} {}",
                detail.attribute,
                detail
                    .name
                    .as_ref()
                    .map(|name| format!(".{name}"))
                    .unwrap_or_default(),
                detail.source,
                detail
                    .cause
                    .as_ref()
                    .map(|cause| format!("({cause})"))
                    .unwrap_or_default(),
                detail.recreation.name(),
                if detail.dynamic { "Dynamic" } else { "Static" },
            )
        })
        .collect();
    let replacement = change.replacement.unwrap_or("-");
    format!(
        "{} {} {replacement}: {}",
        change.action,
        change.id,
        details.join(", ")
    )
}

#[test]
fn a_change_set_lists_what_changes_and_nothing_else() {
    const DIRECT: &str = "DirectModification";
    for (text, given, wanted) in [
        (BEFORE.to_owned(), vec![], vec![]),
        // A number and its text are the same value.
        (BEFORE.replace("!Ref Size", "'1'"), vec![], vec![]),
        (
            BEFORE.to_owned(),
            vec![("Size", "2")],
            vec![
                format!("Modify First False: Properties.DelaySeconds ParameterReference(Size) Never Static, Properties.DelaySeconds {DIRECT} Never Dynamic"),
                "Modify Named False: Properties.Value ResourceAttribute(First.Arn) Never Dynamic".to_owned(),
                "Modify Taken Conditional: Properties.QueueName ResourceAttribute(First.QueueName) Always Dynamic".to_owned(),
            ],
        ),
        (
            BEFORE.replace("QueueName: first", "QueueName: other"),
            vec![],
            vec![
                format!("Modify First True: Properties.QueueName {DIRECT} Always Static"),
                "Modify Named False: Properties.Value ResourceAttribute(First.Arn) Never Dynamic".to_owned(),
                "Modify Url False: Properties.Value ResourceReference(First) Never Dynamic".to_owned(),
                "Modify Taken Conditional: Properties.QueueName ResourceAttribute(First.QueueName) Always Dynamic".to_owned(),
            ],
        ),
        (
            BEFORE.replace("Name: url,", "Name: link,"),
            vec![],
            vec![format!("Modify Url True: Properties.Name {DIRECT} Always Static")],
        ),
        (
            BEFORE.replace("DeletionPolicy: Retain", "Metadata: {a: 1}"),
            vec![],
            vec![format!("Modify Kept False: Metadata {DIRECT} Never Static, DeletionPolicy {DIRECT} Never Static")],
        ),
        (
            BEFORE.replace("  Kept: {Type: AWS::SQS::Queue, DeletionPolicy: Retain}\n", "  New: {Type: AWS::SQS::Queue}\n"),
            vec![],
            vec!["Add New -: ".to_owned(), "Remove Kept -: ".to_owned()],
        ),
    ] {
        let (found, _) = diff(&text, &given, &[]);
        let found: Vec<String> = found.iter().map(shown).collect();
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn a_retained_resource_is_reported() {
    let without = BEFORE.replace(
        "  Kept: {Type: AWS::SQS::Queue, DeletionPolicy: Retain}\n",
        "",
    );
    let (found, _) = diff(&without, &[], &[]);
    assert_eq!(found[0].policy_action, Some("Retain"));
    let replaced = BEFORE.replace("{Name: url,", "{Name: link,");
    let (found, _) = diff(&replaced, &[], &[]);
    assert_eq!(found[0].policy_action, Some("ReplaceAndDelete"));
}

#[test]
fn values_of_hidden_parameters_are_never_shown() {
    let (found, _) = diff(BEFORE, &[("Word", "whisper")], &[]);
    let shown = format!("{found:?}");
    assert!(shown.contains("****"), "{shown}");
    assert!(
        !shown.contains("hush") && !shown.contains("whisper"),
        "{shown}"
    );
    let without = BEFORE.replace(
        "  Secret: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !Ref Word}}\n",
        "",
    );
    let (found, _) = diff(&without, &[], &[]);
    let shown = format!("{found:?}");
    assert!(
        shown.contains("Secret") && !shown.contains("hush"),
        "{shown}"
    );
}

#[test]
fn tags_and_outputs_are_changes_too() {
    let team = [("team".to_owned(), "a".to_owned())];
    let (found, beside) = diff(BEFORE, &[], &team);
    let queues: Vec<&str> = found.iter().map(|change| change.id.as_str()).collect();
    assert!(beside);
    assert!(
        ["First", "Taken", "Kept"]
            .iter()
            .all(|id| queues.contains(id)),
        "{queues:?}"
    );
    assert_eq!(found[0].details[0].attribute, "Tags");
    let (found, beside) = diff(
        &BEFORE.replace("Url: {Value: !Ref First}", "Url: {Value: x}"),
        &[],
        &[],
    );
    assert!(found.is_empty() && beside);
    let (found, beside) = diff(BEFORE, &[], &[]);
    assert!(found.is_empty() && !beside);
}

#[test]
fn another_type_of_a_resource_is_refused() {
    let text = BEFORE.replace(
        "Kept: {Type: AWS::SQS::Queue,",
        "Kept: {Type: AWS::SSM::Parameter,",
    );
    let template = Template::read(&text).expect("a template");
    let inputs = inputs(&template, &[]);
    let wanted = Wanted {
        template: &template,
        inputs: &inputs,
        tags: &[],
    };
    let refused = changes(&stack(), &wanted, &schemas()).expect_err("another type");
    assert!(
        refused.starts_with("Update of resource type is not permitted."),
        "{refused}"
    );
}

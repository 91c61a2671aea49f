//! Pure: the checks of a template that need nothing but the template: its sections, its functions, its references.

use serde_json::{Map, Value};

use super::Template;
use super::graph::{self, Reference};

/// Parameters that CloudFormation itself gives to every template.
pub(crate) const PSEUDO: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// The functions that this stand-in resolves.
pub(crate) const FUNCTIONS: [&str; 15] = [
    "Fn::And",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
];

/// Refuses sections that are unknown, and those that this stand-in does not act on.
pub(super) fn sections(root: &Map<String, Value>) -> Result<(), String> {
    const KNOWN: [&str; 8] = [
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
    ];
    for section in root.keys() {
        if ["Transform", "Rules", "Hooks"].contains(&section.as_str()) {
            return Err(format!(
                "the sandbox's CloudFormation does not implement the section {section}"
            ));
        }
        if !KNOWN.contains(&section.as_str()) {
            return Err(format!(
                "Invalid template property or properties [{section}]"
            ));
        }
    }
    if let Some(version) = root.get("AWSTemplateFormatVersion")
        && version != "2010-09-09"
    {
        let version = version.as_str().map_or(version.to_string(), str::to_owned);
        return Err(format!(
            "Template format error: Unsupported template version: {version}"
        ));
    }
    let some = root.get("Resources").and_then(Value::as_object);
    if some.is_none_or(Map::is_empty) {
        return Err(
            "Template format error: At least one Resources member must be defined.".to_owned(),
        );
    }
    Ok(())
}

/// Checks that everything a template refers to is there, and that resources do not wait for each other.
pub(super) fn references(template: &Template) -> Result<(), String> {
    let conditions: Vec<&Value> = template.conditions.values().collect();
    for condition in conditions {
        functions(condition)?;
        for reference in graph::references(condition)? {
            let Reference::Ref(name) = &reference else {
                return Err(
                    "Template format error: Conditions can only refer to parameters".to_owned(),
                );
            };
            if template.parameter(name).is_none() && !PSEUDO.contains(&name.as_str()) {
                return Err(format!(
                    "Template format error: Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template"
                ));
            }
        }
        known_conditions(template, condition, "Conditions")?;
    }
    let mut missing = Vec::new();
    for (_, declared) in &template.resources {
        let properties = Value::Object(declared.properties.clone());
        functions(&properties)?;
        known_conditions(template, &properties, "Resources")?;
        for id in &declared.depends_on {
            if template.resource(id).is_none() {
                missing.push(id.clone());
            }
        }
        missing.extend(unresolved(template, &properties)?);
        known(template, declared.condition.as_deref(), "Resources")?;
    }
    refuse(missing, "Resources")?;
    let mut missing = Vec::new();
    for (_, output) in &template.outputs {
        for value in std::iter::once(&output.value).chain(&output.export) {
            functions(value)?;
            known_conditions(template, value, "Outputs")?;
            missing.extend(unresolved(template, value)?);
        }
        known(template, output.condition.as_deref(), "Outputs")?;
    }
    refuse(missing, "Outputs")?;
    graph::order(template).map(drop)
}

fn refuse(mut missing: Vec<String>, block: &str) -> Result<(), String> {
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Template format error: Unresolved resource dependencies [{}] in the {block} block of the template",
        missing.join(", ")
    ))
}

fn unresolved(template: &Template, value: &Value) -> Result<Vec<String>, String> {
    let found = graph::references(value)?;
    Ok(found
        .into_iter()
        .filter_map(|reference| match reference {
            Reference::Ref(name) => {
                let known = template.resource(&name).is_some()
                    || template.parameter(&name).is_some()
                    || PSEUDO.contains(&name.as_str());
                (!known).then_some(name)
            }
            Reference::Attribute(id, _) => template.resource(&id).is_none().then_some(id),
        })
        .collect())
}

fn known(template: &Template, condition: Option<&str>, block: &str) -> Result<(), String> {
    match condition {
        Some(name) if !template.conditions.contains_key(name) => Err(format!(
            "Template format error: Unresolved condition dependency {name} in the {block} block of the template"
        )),
        _ => Ok(()),
    }
}

/// Checks the conditions that `Fn::If` and `Condition` name.
fn known_conditions(template: &Template, value: &Value, block: &str) -> Result<(), String> {
    match value {
        Value::Object(members) => {
            if let Some(Value::Array(parts)) = members.get("Fn::If") {
                known(template, parts.first().and_then(Value::as_str), block)?;
            }
            if block == "Conditions" && members.len() == 1 {
                known(
                    template,
                    members.get("Condition").and_then(Value::as_str),
                    block,
                )?;
            }
            members
                .values()
                .try_for_each(|value| known_conditions(template, value, block))
        }
        Value::Array(items) => items
            .iter()
            .try_for_each(|value| known_conditions(template, value, block)),
        _ => Ok(()),
    }
}

/// Refuses functions that are unknown or that this stand-in does not resolve.
fn functions(value: &Value) -> Result<(), String> {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                if name.starts_with("Fn::") && !FUNCTIONS.contains(&name.as_str()) {
                    return Err(format!(
                        "Template format error: Encountered unsupported function: {name} Supported functions are: [{}]",
                        FUNCTIONS.join(", ")
                    ));
                }
                functions(inner)?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(functions),
        _ => Ok(()),
    }
}

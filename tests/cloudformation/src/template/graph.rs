//! Pure: which resources a value refers to, and the order in which resources are made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Template;

/// Something that a value refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// `Ref`: a parameter or a resource.
    Ref(String),
    /// `Fn::GetAtt`: a resource and its attribute.
    Attribute(String, String),
}

/// Everything that a value refers to, each once.
///
/// # Errors
/// CloudFormation's message for a reference that is not written as one.
pub(crate) fn references(value: &Value) -> Result<BTreeSet<Reference>, String> {
    let mut found = BTreeSet::new();
    collect(value, &mut found)?;
    Ok(found)
}

fn collect(value: &Value, found: &mut BTreeSet<Reference>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, found)),
        Value::Object(members) => {
            for (name, inner) in members {
                match name.as_str() {
                    "Ref" if members.len() == 1 => {
                        let name = inner
                            .as_str()
                            .ok_or("Template format error: All Refs must have a string value.")?;
                        found.insert(Reference::Ref(name.to_owned()));
                    }
                    "Fn::GetAtt" => {
                        let (id, attribute) = attribute(inner)?;
                        found.insert(Reference::Attribute(id, attribute));
                    }
                    "Fn::Sub" => substituted(inner, found)?,
                    _ => collect(inner, found)?,
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The resource and the attribute of `Fn::GetAtt`, which is a list of two texts or `ID.ATTRIBUTE`.
pub(crate) fn attribute(value: &Value) -> Result<(String, String), String> {
    let parts = match value {
        Value::String(text) => text
            .split_once('.')
            .map(|(id, attribute)| (id.to_owned(), attribute.to_owned())),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(id), Value::String(attribute)] => Some((id.clone(), attribute.clone())),
            _ => None,
        },
        _ => None,
    };
    parts.ok_or_else(|| {
        "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute".to_owned()
    })
}

fn substituted(value: &Value, found: &mut BTreeSet<Reference>) -> Result<(), String> {
    let (text, own) = match value {
        Value::String(text) => (text, None),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(text), Value::Object(own)] => (text, Some(own)),
            _ => return Err(SUB.to_owned()),
        },
        _ => return Err(SUB.to_owned()),
    };
    for name in placeholders(text) {
        if own.is_some_and(|own| own.contains_key(name)) {
            continue;
        }
        found.insert(match name.split_once('.') {
            Some((id, attribute)) => Reference::Attribute(id.to_owned(), attribute.to_owned()),
            None => Reference::Ref(name.to_owned()),
        });
    }
    own.into_iter()
        .flat_map(serde_json::Map::values)
        .try_for_each(|value| collect(value, found))
}

pub(crate) const SUB: &str = "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. \
     Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string";

/// The names between `${` and `}`, without those that are written literally as `${!NAME}`.
pub(crate) fn placeholders(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        rest = &rest[start + 2..];
        let Some(end) = rest.find('}') else { break };
        if !rest.starts_with('!') {
            found.push(rest[..end].trim());
        }
        rest = &rest[end + 1..];
    }
    found
}

/// The resources that each resource needs first.
pub(crate) fn needs(template: &Template) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut all = BTreeMap::new();
    for (id, declared) in &template.resources {
        let mut needed: BTreeSet<String> = declared.depends_on.iter().cloned().collect();
        for value in declared.properties.values() {
            for reference in references(value)? {
                let (Reference::Ref(name) | Reference::Attribute(name, _)) = reference;
                if template.resource(&name).is_some() {
                    needed.insert(name);
                }
            }
        }
        all.insert(id.clone(), needed);
    }
    Ok(all)
}

/// The resources in an order in which each comes after those that it needs.
///
/// # Errors
/// CloudFormation's message for resources that wait for each other.
pub(crate) fn order(template: &Template) -> Result<Vec<String>, String> {
    let needs = needs(template)?;
    let mut done: Vec<String> = Vec::new();
    loop {
        let ready =
            template.resources.iter().map(|(id, _)| id).find(|id| {
                !done.contains(id) && needs[*id].iter().all(|needed| done.contains(needed))
            });
        match ready {
            Some(id) => done.push(id.clone()),
            None => break,
        }
    }
    let stuck: Vec<&str> = needs
        .keys()
        .filter(|id| !done.contains(id))
        .map(String::as_str)
        .collect();
    if stuck.is_empty() {
        return Ok(done);
    }
    Err(format!(
        "Circular dependency between resources: [{}]",
        stuck.join(", ")
    ))
}

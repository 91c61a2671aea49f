//! Pure: what a new template and new parameters change in a stack's resources, as a change set lists it.
//! Source: AWS CloudFormation API Reference, `ResourceChange`, `ResourceChangeDetail` and `ResourceTargetDefinition`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::change::{Change, Detail};
use crate::handlers;
use crate::schema::{Recreation, Schemas};
use crate::state::{Resource, Stack};
use crate::tags;
use crate::template::graph::{Reference, references};
use crate::template::parameters::Given;
use crate::template::resolve::{Inputs, Resolver, Seen};
use crate::template::{Declaration, Template, find, graph};

/// The wanted content of a stack.
pub(crate) struct Wanted<'a> {
    pub(crate) template: &'a Template,
    pub(crate) inputs: &'a Inputs,
    pub(crate) tags: &'a [(String, String)],
}

/// The state of a comparison of the resources, in the order in which they would be changed.
struct Comparison<'a> {
    stack: &'a Stack,
    wanted: &'a Wanted<'a>,
    schemas: &'a Schemas,
    /// Those that get another physical ID, surely or perhaps.
    replaced: BTreeSet<String>,
    modified: BTreeSet<String>,
}

/// The changes from a stack's resources to what is wanted, additions and modifications in the order in which they would be made.
///
/// # Errors
/// CloudFormation's message for what cannot be compared, such as a resource whose type changes.
pub(crate) fn changes(
    stack: &Stack,
    wanted: &Wanted<'_>,
    schemas: &Schemas,
) -> Result<Vec<Change>, String> {
    let mut comparison = Comparison {
        stack,
        wanted,
        schemas,
        replaced: BTreeSet::new(),
        modified: BTreeSet::new(),
    };
    let nothing = |_: &str| None;
    let conditions = comparison.resolver(&nothing, false);
    let mut included = BTreeSet::new();
    let mut retyped = Vec::new();
    for (id, declared) in &wanted.template.resources {
        if !conditions.included(declared.condition.as_ref())? {
            continue;
        }
        included.insert(id.as_str());
        if stack
            .resource(id)
            .is_some_and(|old| old.declared.kind != declared.kind)
        {
            retyped.push(id.as_str());
        }
    }
    if !retyped.is_empty() {
        return Err(format!(
            "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
            retyped.join(", ")
        ));
    }
    let mut found = Vec::new();
    for id in graph::order(wanted.template)? {
        let Some(declared) = wanted.template.resource(&id) else {
            continue;
        };
        if !included.contains(id.as_str()) {
            continue;
        }
        match stack.resource(&id) {
            None => found.push(comparison.added(&id, declared)?),
            Some(old) => found.extend(comparison.modified(&id, old, declared)?),
        }
    }
    for (id, old) in &stack.resources {
        if !included.contains(id.as_str()) {
            found.push(removed(stack, id, old));
        }
    }
    Ok(found)
}

impl<'a> Comparison<'a> {
    fn resolver<'b>(
        &'b self,
        seen: &'b dyn Fn(&str) -> Option<Seen<'b>>,
        hide: bool,
    ) -> Resolver<'b> {
        Resolver {
            template: self.wanted.template,
            inputs: self.wanted.inputs,
            seen,
            hide,
        }
    }

    /// The properties that a resource would have, as far as they can be known.
    fn properties(&self, id: &str, kind: &str, hide: bool) -> Result<Map<String, Value>, String> {
        let seen = |id: &str| {
            self.wanted.template.resource(id)?;
            Some(match self.stack.resource(id) {
                Some(old) if !self.replaced.contains(id) => {
                    Seen::There(&old.physical, &old.attributes)
                }
                _ => Seen::Later,
            })
        };
        let properties = self.resolver(&seen, hide).properties(id)?;
        Ok(match self.schemas.get(kind) {
            Some(schema) => {
                let tags = handlers::tags_for(kind, self.wanted.tags);
                tags::with(schema, schema.normalized(properties), tags)
            }
            None => properties,
        })
    }

    fn added(&self, id: &str, declared: &Declaration) -> Result<Change, String> {
        let after = self.properties(id, &declared.kind, true)?;
        Ok(Change {
            action: "Add",
            id: id.to_owned(),
            kind: declared.kind.clone(),
            physical: None,
            replacement: None,
            policy_action: None,
            details: Vec::new(),
            change_set: None,
            before: None,
            after: Some(json!({"Properties": after})),
        })
    }

    fn modified(
        &mut self,
        id: &str,
        old: &Resource,
        declared: &Declaration,
    ) -> Result<Option<Change>, String> {
        let new = self.properties(id, &declared.kind, false)?;
        let shown = Shown {
            before: hidden(self.stack, &old.declared, &old.properties),
            after: self.properties(id, &declared.kind, true)?,
        };
        let mut names: Vec<&String> = old.properties.keys().collect();
        names.extend(
            new.keys()
                .filter(|name| !old.properties.contains_key(*name)),
        );
        let mut details = Vec::new();
        for name in names {
            details.extend(self.property(id, name, old, declared, &new, &shown)?);
        }
        details.extend(attributes(&old.declared, declared));
        if details.is_empty() {
            return Ok(None);
        }
        let replacement = replacement(&details);
        self.modified.insert(id.to_owned());
        if replacement != "False" {
            self.replaced.insert(id.to_owned());
        }
        Ok(Some(Change {
            action: "Modify",
            id: id.to_owned(),
            kind: declared.kind.clone(),
            physical: Some(old.physical.clone()),
            replacement: Some(replacement),
            policy_action: match old.declared.update_replace_policy.as_deref() {
                _ if replacement != "True" => None,
                Some("Retain") => Some("ReplaceAndRetain"),
                Some("Snapshot") => Some("ReplaceAndSnapshot"),
                _ => Some("ReplaceAndDelete"),
            },
            details,
            change_set: None,
            before: Some(json!({"Properties": shown.before})),
            after: Some(json!({"Properties": shown.after})),
        }))
    }

    fn property(
        &self,
        id: &str,
        name: &str,
        old: &Resource,
        declared: &Declaration,
        new: &Map<String, Value>,
        shown: &Shown,
    ) -> Result<Vec<Detail>, String> {
        let (none, raw) = (Value::Null, declared.properties.get(name));
        let (before, after) = (
            old.properties.get(name).unwrap_or(&none),
            new.get(name).unwrap_or(&none),
        );
        let schema = self.schemas.get(&declared.kind);
        let recreation = schema.map_or(Recreation::Never, |it| it.recreation(name, before, after));
        let in_tags = schema.and_then(crate::schema::Schema::tag_property) == Some(name);
        let detail = |dynamic: bool, source: &'static str, cause: Option<String>| Detail {
            attribute: if in_tags { "Tags" } else { "Properties" },
            name: (!in_tags).then(|| name.to_owned()),
            recreation,
            before: shown.before.get(name).map(plain),
            after: shown.after.get(name).map(plain),
            dynamic,
            source,
            cause,
        };
        let mut found = Vec::new();
        let mut of_parameters = false;
        for reference in references(raw.unwrap_or(&none))? {
            match reference {
                Reference::Ref(name) if before != after && self.parameter_changes(&name) => {
                    of_parameters = true;
                    found.push(detail(false, "ParameterReference", Some(name)));
                }
                Reference::Ref(name) if self.replaced.contains(&name) => {
                    found.push(detail(true, "ResourceReference", Some(name)));
                }
                Reference::Attribute(name, attribute)
                    if name != id && self.modified.contains(&name) =>
                {
                    let cause = format!("{name}.{attribute}");
                    found.push(detail(true, "ResourceAttribute", Some(cause)));
                }
                _ => {}
            }
        }
        // A value that only a reference changes is not modified directly, unless its text is another one too.
        let rewritten = old.declared.properties.get(name) != raw;
        if before != after && (found.is_empty() || of_parameters || rewritten) {
            found.push(detail(!found.is_empty(), "DirectModification", None));
        }
        Ok(found)
    }

    /// Returns true if the name is one of a parameter, whose value changes.
    fn parameter_changes(&self, name: &str) -> bool {
        let value = |given: &[Given]| {
            let found = given.iter().find(|given| given.name == name).cloned();
            found.map(|given| (given.value, given.resolved))
        };
        self.wanted.template.parameter(name).is_some()
            && value(&self.stack.parameters) != value(&self.wanted.inputs.parameters)
    }
}

/// The properties that people may see: values of `NoEcho` parameters are hidden.
struct Shown {
    before: Map<String, Value>,
    after: Map<String, Value>,
}

/// A resource's present properties, with each one hidden that a `NoEcho` parameter went into.
fn hidden(
    stack: &Stack,
    declared: &Declaration,
    properties: &Map<String, Value>,
) -> Map<String, Value> {
    let secret = |name: &str| {
        let template = stack.template.as_ref();
        let raw = declared.properties.get(name);
        let found = raw
            .map(|raw| references(raw).unwrap_or_default())
            .unwrap_or_default();
        found.iter().any(|reference| match reference {
            Reference::Ref(name) => template
                .and_then(|template| template.parameter(name))
                .is_some_and(|declared| declared.no_echo),
            Reference::Attribute(..) => false,
        })
    };
    let mut shown = properties.clone();
    for (name, value) in &mut shown {
        if secret(name) {
            *value = Value::from(crate::template::parameters::HIDDEN);
        }
    }
    shown
}

/// A value in `BeforeValue` and `AfterValue`: a text is itself, everything else is JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The changes of what is beside the properties.
fn attributes(old: &Declaration, new: &Declaration) -> Vec<Detail> {
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let pairs = [
        ("Metadata", old.metadata.clone(), new.metadata.clone()),
        (
            "DeletionPolicy",
            text(&old.deletion_policy),
            text(&new.deletion_policy),
        ),
        (
            "UpdateReplacePolicy",
            text(&old.update_replace_policy),
            text(&new.update_replace_policy),
        ),
        (
            "CreationPolicy",
            old.creation_policy.clone(),
            new.creation_policy.clone(),
        ),
        (
            "UpdatePolicy",
            old.update_policy.clone(),
            new.update_policy.clone(),
        ),
    ];
    pairs
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(attribute, old, new)| Detail {
            attribute,
            name: None,
            recreation: Recreation::Never,
            before: old.as_ref().map(plain),
            after: new.as_ref().map(plain),
            dynamic: false,
            source: "DirectModification",
            cause: None,
        })
        .collect()
}

/// The replacement of the resource: certain by a static change that always recreates it, possible by others.
fn replacement(details: &[Detail]) -> &'static str {
    let certain = |detail: &Detail| detail.recreation == Recreation::Always && !detail.dynamic;
    if details.iter().any(certain) {
        "True"
    } else if details
        .iter()
        .any(|detail| detail.recreation > Recreation::Never)
    {
        "Conditional"
    } else {
        "False"
    }
}

fn removed(stack: &Stack, id: &str, old: &Resource) -> Change {
    Change {
        action: "Remove",
        id: id.to_owned(),
        kind: old.declared.kind.clone(),
        physical: Some(old.physical.clone()),
        replacement: None,
        policy_action: Some(match old.declared.deletion_policy.as_deref() {
            Some("Retain" | "RetainExceptOnCreate") => "Retain",
            Some("Snapshot") => "Snapshot",
            _ => "Delete",
        }),
        details: Vec::new(),
        change_set: None,
        before: Some(json!({"Properties": hidden(stack, &old.declared, &old.properties)})),
        after: None,
    }
}

/// Returns true if anything but resources changes: the outputs or the stack's tags.
pub(crate) fn beside_resources(stack: &Stack, wanted: &Wanted<'_>) -> bool {
    let outputs = |template: &Template| template.outputs.clone();
    let before = stack.template.as_ref().map(outputs).unwrap_or_default();
    let same_outputs = before == wanted.template.outputs
        && before
            .iter()
            .all(|(name, _)| find(&wanted.template.outputs, name).is_some());
    let tags: BTreeMap<_, _> = stack.tags.iter().cloned().collect();
    let new: BTreeMap<_, _> = wanted.tags.iter().cloned().collect();
    !same_outputs || tags != new
}

#[cfg(test)]
mod tests;

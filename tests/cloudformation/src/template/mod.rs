//! Pure: what a template declares, checked as `ValidateTemplate` checks it. Functions that have no value before a
//! deployment are resolved in [`resolve`].
//! Source: AWS CloudFormation User Guide, "Template reference"; the messages are the service's.

pub(crate) mod check;
mod cidr;
pub(crate) mod graph;
pub(crate) mod parameters;
pub(crate) mod resolve;
pub(crate) mod text;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The logical IDs of a section, in the template's order.
pub(crate) type Section<T> = Vec<(String, T)>;

/// A template that is well formed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    /// The bytes that were sent, which `GetTemplate` answers.
    pub(crate) text: String,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Option<Value>,
    pub(crate) version: Option<String>,
    pub(crate) parameters: Section<parameters::Declared>,
    pub(crate) mappings: Map<String, Value>,
    pub(crate) conditions: Map<String, Value>,
    pub(crate) resources: Section<Declaration>,
    pub(crate) outputs: Section<Output>,
}

/// One resource as the template declares it, with its functions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declaration {
    pub(crate) kind: String,
    pub(crate) properties: Map<String, Value>,
    pub(crate) depends_on: Vec<String>,
    pub(crate) condition: Option<String>,
    pub(crate) metadata: Option<Value>,
    pub(crate) deletion_policy: Option<String>,
    pub(crate) update_replace_policy: Option<String>,
    pub(crate) creation_policy: Option<Value>,
    pub(crate) update_policy: Option<Value>,
}

/// One output as the template declares it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    pub(crate) value: Value,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<Value>,
    pub(crate) condition: Option<String>,
}

impl Template {
    /// Reads a template and checks its structure and its references.
    ///
    /// # Errors
    /// CloudFormation's message.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let Value::Object(root) = text::parse(text)? else {
            return Err("Template format error: unsupported structure.".to_owned());
        };
        check::sections(&root)?;
        let mut template = Self {
            text: text.to_owned(),
            description: root
                .get("Description")
                .and_then(Value::as_str)
                .map(str::to_owned),
            metadata: root.get("Metadata").cloned(),
            version: root
                .get("AWSTemplateFormatVersion")
                .and_then(Value::as_str)
                .map(str::to_owned),
            parameters: Vec::new(),
            mappings: section(&root, "Mappings")?,
            conditions: section(&root, "Conditions")?,
            resources: Vec::new(),
            outputs: Vec::new(),
        };
        for (name, declared) in section(&root, "Parameters")? {
            let declared = parameters::Declared::read(&name, &declared)?;
            template.parameters.push((name, declared));
        }
        for (name, declared) in section(&root, "Resources")? {
            let declared = declaration(&name, &declared)?;
            template.resources.push((name, declared));
        }
        for (name, declared) in section(&root, "Outputs")? {
            let declared = output(&name, &declared)?;
            template.outputs.push((name, declared));
        }
        check::references(&template)?;
        Ok(template)
    }

    pub(crate) fn resource(&self, id: &str) -> Option<&Declaration> {
        find(&self.resources, id)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&parameters::Declared> {
        find(&self.parameters, name)
    }

    /// The capabilities that the template needs, and the resources that are the reason.
    /// Source: AWS CloudFormation API Reference, `CreateChangeSet`, "Capabilities".
    pub(crate) fn capabilities(&self) -> Option<(&'static str, String)> {
        const NAMES: [(&str, &str); 6] = [
            ("AWS::IAM::Group", "GroupName"),
            ("AWS::IAM::InstanceProfile", "InstanceProfileName"),
            ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
            ("AWS::IAM::Role", "RoleName"),
            ("AWS::IAM::User", "UserName"),
            ("AWS::IAM::AccessKey", ""),
        ];
        const PLAIN: [&str; 2] = ["AWS::IAM::Policy", "AWS::IAM::UserToGroupAddition"];
        let mut kinds = BTreeMap::new();
        for (_, declared) in &self.resources {
            let named = NAMES
                .iter()
                .find(|(kind, _)| *kind == declared.kind)
                .map(|(_, name)| declared.properties.contains_key(*name));
            match named {
                Some(named) => *kinds.entry(&declared.kind).or_insert(false) |= named,
                None if PLAIN.contains(&&*declared.kind) => {
                    kinds.entry(&declared.kind).or_insert(false);
                }
                None => {}
            }
        }
        let named = kinds.values().any(|named| *named);
        let listed: Vec<&str> = kinds.keys().map(|kind| kind.as_str()).collect();
        let capability = match named {
            true => "CAPABILITY_NAMED_IAM",
            false => "CAPABILITY_IAM",
        };
        (!listed.is_empty()).then(|| {
            let why = format!(
                "The following resource(s) require capabilities: [{}]",
                listed.join(", ")
            );
            (capability, why)
        })
    }
}

pub(crate) fn find<'a, T>(section: &'a [(String, T)], name: &str) -> Option<&'a T> {
    section
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, found)| found)
}

fn section(root: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, String> {
    match root.get(name) {
        None => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members.clone()),
        Some(_) => Err(format!(
            "Template format error: [/{name}] '{name}' must be an object."
        )),
    }
}

fn declaration(name: &str, declared: &Value) -> Result<Declaration, String> {
    const MEMBERS: [&str; 9] = [
        "Type",
        "Properties",
        "DependsOn",
        "Condition",
        "Metadata",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "CreationPolicy",
        "UpdatePolicy",
    ];
    if !alphanumeric(name) {
        return Err(format!(
            "Template format error: Resource name {name} is non alphanumeric."
        ));
    }
    let members = declared.as_object().ok_or_else(|| {
        "Template format error: Every Resources member must be an object.".to_owned()
    })?;
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return Err(format!("Invalid template resource property '{unknown}'"));
    }
    let word = |member: &str| members.get(member).and_then(Value::as_str);
    let kind = word("Type").ok_or_else(|| {
        format!(
            "Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    })?;
    let properties = match members.get("Properties") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(properties)) => properties.clone(),
        Some(_) => {
            return Err(format!(
                "Template format error: [/Resources/{name}/Properties] 'Properties' must be an object."
            ));
        }
    };
    let depends_on = match members.get("DependsOn") {
        None => Vec::new(),
        Some(Value::String(id)) => vec![id.clone()],
        Some(Value::Array(ids)) => ids
            .iter()
            .map(|id| id.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("Template format error: DependsOn must be a string or list of strings.")?,
        Some(_) => {
            return Err(
                "Template format error: DependsOn must be a string or list of strings.".to_owned(),
            );
        }
    };
    for (member, allowed) in [
        (
            "DeletionPolicy",
            &["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"][..],
        ),
        ("UpdateReplacePolicy", &["Delete", "Retain", "Snapshot"][..]),
    ] {
        let given = members.get(member);
        if given.is_some_and(|given| !given.as_str().is_some_and(|it| allowed.contains(&it))) {
            return Err(format!(
                "Template format error: Unrecognized {member} {} for resource {name}",
                given.unwrap_or(&Value::Null)
            ));
        }
    }
    Ok(Declaration {
        kind: kind.to_owned(),
        properties,
        depends_on,
        condition: word("Condition").map(str::to_owned),
        metadata: members.get("Metadata").cloned(),
        deletion_policy: word("DeletionPolicy").map(str::to_owned),
        update_replace_policy: word("UpdateReplacePolicy").map(str::to_owned),
        creation_policy: members.get("CreationPolicy").cloned(),
        update_policy: members.get("UpdatePolicy").cloned(),
    })
}

fn output(name: &str, declared: &Value) -> Result<Output, String> {
    if !alphanumeric(name) {
        return Err(format!(
            "Template format error: Output name {name} is non alphanumeric."
        ));
    }
    let members = declared.as_object().ok_or_else(|| {
        "Template format error: Every Outputs member must be an object.".to_owned()
    })?;
    let known = ["Value", "Description", "Export", "Condition"];
    if let Some(unknown) = members.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("Invalid template output property '{unknown}'"));
    }
    let value = members.get("Value").ok_or_else(|| {
        format!(
            "Template format error: [/Outputs/{name}] Every Outputs member must contain a Value object"
        )
    })?;
    let word = |member: &str| members.get(member).and_then(Value::as_str);
    let export = match members.get("Export") {
        None => None,
        Some(export) => Some(export.get("Name").cloned().ok_or_else(|| {
            format!("Template format error: [/Outputs/{name}/Export] Export must contain a Name")
        })?),
    };
    Ok(Output {
        value: value.clone(),
        description: word("Description").map(str::to_owned),
        export,
        condition: word("Condition").map(str::to_owned),
    })
}

fn alphanumeric(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
pub(crate) mod tests;

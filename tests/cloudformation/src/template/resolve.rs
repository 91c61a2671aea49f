//! Pure: the values of a template's functions, from parameters and from what is known of the resources.
//! Source: AWS CloudFormation User Guide, "Intrinsic function reference".

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::parameters::{Given, HIDDEN, text};
use super::{Template, graph};

/// The text that a change set shows for a value that only its execution gives.
pub(crate) const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// Where a stack is and what it was given.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) stack_name: String,
    pub(crate) stack_id: String,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) parameters: Vec<Given>,
    /// The exports of the account and region.
    pub(crate) exports: BTreeMap<String, String>,
}

/// The knowledge about a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// It is there.
    There(&'a str, &'a Map<String, Value>),
    /// It will be made, or made anew.
    Later,
}

/// Resolves the functions of one template.
pub(crate) struct Resolver<'a> {
    pub(crate) template: &'a Template,
    pub(crate) inputs: &'a Inputs,
    /// The knowledge about each resource; `None` where the stack has none of that name.
    pub(crate) seen: &'a dyn Fn(&str) -> Option<Seen<'a>>,
    /// True if `NoEcho` parameters are hidden, for people.
    pub(crate) hide: bool,
}

impl Resolver<'_> {
    /// A resource's properties; those that are `AWS::NoValue` are left out.
    pub(crate) fn properties(&self, id: &str) -> Result<Map<String, Value>, String> {
        let declared = self.template.resource(id);
        let all = declared.map(|declared| Value::Object(declared.properties.clone()));
        match self.value(&all.unwrap_or_default())? {
            Some(Value::Object(properties)) => Ok(properties),
            _ => Ok(Map::new()),
        }
    }

    /// A value without functions; `None` is `AWS::NoValue`.
    pub(crate) fn value(&self, value: &Value) -> Result<Option<Value>, String> {
        Ok(Some(match value {
            Value::Array(items) => {
                let mut found = Vec::new();
                for item in items {
                    found.extend(self.value(item)?);
                }
                Value::Array(found)
            }
            Value::Object(members) => {
                if let Some((name, inner)) = members.iter().next()
                    && members.len() == 1
                    && (name == "Ref" || name.starts_with("Fn::"))
                {
                    return self.function(name, inner);
                }
                let mut found = Map::new();
                for (name, member) in members {
                    if let Some(member) = self.value(member)? {
                        found.insert(name.clone(), member);
                    }
                }
                Value::Object(found)
            }
            scalar => scalar.clone(),
        }))
    }

    /// Returns true if a condition holds.
    pub(crate) fn condition(&self, name: &str) -> Result<bool, String> {
        match self.template.conditions.get(name) {
            Some(condition) => self.truth(condition),
            None => Err(format!("Unresolved condition dependency {name}")),
        }
    }

    /// Returns true if a resource or output with this condition is part of the stack.
    pub(crate) fn included(&self, condition: Option<&String>) -> Result<bool, String> {
        condition.map_or(Ok(true), |name| self.condition(name))
    }

    fn truth(&self, value: &Value) -> Result<bool, String> {
        let (name, inner) = value
            .as_object()
            .filter(|members| members.len() == 1)
            .and_then(|members| members.iter().next())
            .ok_or("Template format error: Every Conditions member must be a function.")?;
        let parts = inner.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name.as_str(), parts) {
            ("Condition", _) => self.condition(inner.as_str().unwrap_or_default()),
            ("Fn::Equals", [one, other]) => {
                let one = self.value(one)?.map(|value| text(&value));
                let other = self.value(other)?.map(|value| text(&value));
                Ok(one == other)
            }
            ("Fn::Not", [one]) => Ok(!self.truth(one)?),
            ("Fn::And", parts) if (2..=10).contains(&parts.len()) => parts
                .iter()
                .try_fold(true, |all, part| Ok(all & self.truth(part)?)),
            ("Fn::Or", parts) if (2..=10).contains(&parts.len()) => parts
                .iter()
                .try_fold(false, |any, part| Ok(any | self.truth(part)?)),
            (name, _) => Err(format!(
                "Template error: every {name} object requires its arguments as a list"
            )),
        }
    }

    fn function(&self, name: &str, inner: &Value) -> Result<Option<Value>, String> {
        let parts = inner.as_array().map(Vec::as_slice).unwrap_or_default();
        let wrong = || format!("Template error: every {name} object requires other arguments");
        Ok(Some(match (name, parts) {
            ("Ref", _) => return self.reference(inner.as_str().unwrap_or_default()),
            ("Fn::GetAtt", _) => {
                let (id, attribute) = graph::attribute(inner)?;
                self.attribute(&id, &attribute)?
            }
            ("Fn::If", [condition, yes, no]) => {
                let name = condition.as_str().ok_or_else(wrong)?;
                return self.value(if self.condition(name)? { yes } else { no });
            }
            ("Fn::Sub", _) => Value::from(self.substituted(inner)?),
            ("Fn::Join", [Value::String(between), list]) => {
                let list = self.list(list)?.ok_or_else(wrong)?;
                let texts: Vec<String> = list.iter().map(text).collect();
                Value::from(texts.join(between))
            }
            ("Fn::Select", [index, list]) => {
                let list = self.list(list)?.ok_or_else(wrong)?;
                let index = self.value(index)?.map(|index| text(&index));
                let index: usize = index.and_then(|it| it.parse().ok()).ok_or_else(wrong)?;
                list.get(index).cloned().ok_or(
                    "Template error: Fn::Select cannot select nonexistent value at that index",
                )?
            }
            ("Fn::Split", [Value::String(between), whole]) => {
                let whole = self.value(whole)?.ok_or_else(wrong)?;
                Value::from(text(&whole).split(between.as_str()).collect::<Vec<_>>())
            }
            ("Fn::FindInMap", [map, top, second]) => self.mapped([map, top, second])?,
            ("Fn::Base64", _) => {
                let plain = self.value(inner)?.ok_or_else(wrong)?;
                Value::from(STANDARD.encode(text(&plain)))
            }
            ("Fn::Cidr", [range, count, bits]) => {
                let word = |value: &Value| -> Result<String, String> {
                    Ok(text(&self.value(value)?.ok_or_else(wrong)?))
                };
                let number = |value: &Value| word(value)?.parse::<u32>().map_err(|_| wrong());
                Value::from(super::cidr::divided(
                    &word(range)?,
                    number(count)?,
                    number(bits)?,
                )?)
            }
            ("Fn::GetAZs", _) => {
                let asked = self.value(inner)?.map(|region| text(&region));
                let region = asked
                    .filter(|region| !region.is_empty())
                    .unwrap_or_else(|| self.inputs.region.clone());
                Value::from(
                    ["a", "b", "c"]
                        .map(|zone| format!("{region}{zone}"))
                        .to_vec(),
                )
            }
            ("Fn::ImportValue", _) => {
                let export = self.value(inner)?.map(|name| text(&name));
                let export = export.unwrap_or_default();
                let value = self.inputs.exports.get(&export);
                Value::from(
                    value
                        .cloned()
                        .ok_or_else(|| format!("No export named {export} found."))?,
                )
            }
            _ => return Err(wrong()),
        }))
    }

    fn list(&self, value: &Value) -> Result<Option<Vec<Value>>, String> {
        Ok(match self.value(value)? {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        })
    }

    fn reference(&self, name: &str) -> Result<Option<Value>, String> {
        let inputs = self.inputs;
        let pseudo = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => inputs.account.clone(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::Region" => inputs.region.clone(),
            "AWS::StackId" => inputs.stack_id.clone(),
            "AWS::StackName" => inputs.stack_name.clone(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::NotificationARNs" => {
                return Ok(Some(Value::from(inputs.notification_arns.clone())));
            }
            _ => return self.named(name).map(Some),
        };
        Ok(Some(Value::from(pseudo)))
    }

    fn named(&self, name: &str) -> Result<Value, String> {
        if let Some(declared) = self.template.parameter(name) {
            let given = self.inputs.parameters.iter().find(|it| it.name == name);
            return match given {
                Some(_) if self.hide && declared.no_echo => Ok(Value::from(HIDDEN)),
                Some(given) => Ok(declared.value(given)),
                None => Err(format!("Parameters: [{name}] must have values")),
            };
        }
        match (self.seen)(name) {
            Some(Seen::There(physical, _)) => Ok(Value::from(physical)),
            Some(Seen::Later) => Ok(Value::from(KNOWN_AFTER_APPLY)),
            None => Err(unresolved(name)),
        }
    }

    fn attribute(&self, id: &str, attribute: &str) -> Result<Value, String> {
        match (self.seen)(id) {
            Some(Seen::There(_, attributes)) => attributes.get(attribute).cloned().ok_or_else(|| {
                format!(
                    "Template error: resource {id} does not support attribute type {attribute} in Fn::GetAtt"
                )
            }),
            Some(Seen::Later) => Ok(Value::from(KNOWN_AFTER_APPLY)),
            None => Err(unresolved(id)),
        }
    }

    fn substituted(&self, value: &Value) -> Result<String, String> {
        let (whole, own) = match value {
            Value::String(whole) => (whole, None),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(whole), Value::Object(own)] => (whole, Some(own)),
                _ => return Err(graph::SUB.to_owned()),
            },
            _ => return Err(graph::SUB.to_owned()),
        };
        let mut out = String::new();
        let mut rest = whole.as_str();
        while let Some(start) = rest.find("${") {
            out.push_str(&rest[..start]);
            let Some(end) = rest[start..].find('}') else {
                return Err(graph::SUB.to_owned());
            };
            let name = rest[start + 2..start + end].trim();
            rest = &rest[start + end + 1..];
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let found = match own.and_then(|own| own.get(name)) {
                Some(value) => self.value(value)?,
                None => match name.split_once('.') {
                    Some((id, attribute)) => Some(self.attribute(id, attribute)?),
                    None => self.reference(name)?,
                },
            };
            out.push_str(&found.map(|value| text(&value)).unwrap_or_default());
        }
        out.push_str(rest);
        Ok(out)
    }

    fn mapped(&self, keys: [&Value; 3]) -> Result<Value, String> {
        let mut found = Value::Object(self.template.mappings.clone());
        let mut path = Vec::new();
        for key in keys {
            let key = self.value(key)?.map(|key| text(&key)).unwrap_or_default();
            found = found[&key].take();
            path.push(key);
        }
        if found.is_null() {
            return Err(format!(
                "Template error: Unable to get mapping for {}",
                path.join("::")
            ));
        }
        Ok(found)
    }
}

fn unresolved(name: &str) -> String {
    format!(
        "Template format error: Unresolved resource dependencies [{name}] in the Resources block of the template"
    )
}

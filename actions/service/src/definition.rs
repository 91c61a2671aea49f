//! Task definitions without loss: the answer of DescribeTaskDefinition is edited as text in one
//! place, the image of one container, and everything else goes back byte for byte.

use crate::object::Object;
use kit::error::{Context, Error, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeSet;

/// What DescribeTaskDefinition answers and RegisterTaskDefinition does not take: the members of
/// `TaskDefinition` that `RegisterTaskDefinitionRequest` lacks in the ECS API's model.
const OUTPUT_ONLY: &[&str] = &[
    "compatibilities",
    "deleteRequestedAt",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
];

/// A registered task definition with its tags.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    members: Object,
    containers: Vec<Object>,
    tags: Vec<Box<RawValue>>,
}

impl Definition {
    /// Reads the body of DescribeTaskDefinition's answer, asked with `include: [TAGS]`.
    ///
    /// # Errors
    /// Something else than that.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            task_definition: Object,
            #[serde(default)]
            tags: Vec<Box<RawValue>>,
        }
        let wrong = "ECS answered with something that is no task definition";
        let answer: Answer = serde_json::from_slice(body).context(wrong)?;
        let containers = match answer.task_definition.get("containerDefinitions") {
            Some(list) => serde_json::from_str(list.get()).context(wrong)?,
            None => Vec::new(),
        };
        Ok(Self {
            members: answer.task_definition,
            containers,
            tags: answer.tags,
        })
    }

    pub(crate) fn arn(&self) -> String {
        self.members.text("taskDefinitionArn").unwrap_or_default()
    }

    pub(crate) fn family(&self) -> String {
        self.members.text("family").unwrap_or_default()
    }

    /// Names of the containers, in their order.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.containers
            .iter()
            .filter_map(|container| container.text("name"))
            .collect()
    }

    /// The image of one container.
    pub(crate) fn image(&self, container: &str) -> Option<String> {
        self.container(container)?.text("image")
    }

    /// Containers that have a health check of their own.
    pub(crate) fn health_checked(&self) -> BTreeSet<String> {
        self.containers
            .iter()
            .filter(|container| {
                container
                    .get("healthCheck")
                    .is_some_and(|check| check.get() != "null")
            })
            .filter_map(|container| container.text("name"))
            .collect()
    }

    fn container(&self, name: &str) -> Option<&Object> {
        self.containers
            .iter()
            .find(|container| container.text("name").as_deref() == Some(name))
    }

    /// The same definition with another image in one container.
    ///
    /// # Errors
    /// No such container.
    pub(crate) fn with_image(&self, container: &str, image: &str) -> Result<Registration> {
        if self.image(container).is_none() {
            return Err(Error::failed(format!(
                "{} has no container {container}",
                self.arn()
            )));
        }
        let unwritten = "cannot write the task definition";
        let image = to_raw_value(image).context(unwritten)?;
        let mut containers = self.containers.clone();
        for edited in &mut containers {
            if edited.text("name").as_deref() == Some(container) {
                edited.set("image", image.clone());
            }
        }
        let mut members = self.members.clone();
        members
            .0
            .retain(|(name, _)| !OUTPUT_ONLY.contains(&name.as_str()));
        members.set(
            "containerDefinitions",
            to_raw_value(&containers).context(unwritten)?,
        );
        let tags: Vec<_> = self.tags.iter().filter(|tag| !reserved(tag)).collect();
        // ECS refuses an empty list of tags.
        if !tags.is_empty() {
            members
                .0
                .push(("tags".to_owned(), to_raw_value(&tags).context(unwritten)?));
        }
        Ok(Registration {
            family: self.family(),
            body: serde_json::to_string(&members).context(unwritten)?,
        })
    }

    /// What would have been asked for to get this definition, as a value to compare with.
    fn comparable(&self) -> Value {
        let mut value: Value = serde_json::to_value(&self.members).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.retain(|name, _| !OUTPUT_ONLY.contains(&name.as_str()));
            let tags: Vec<Value> = self
                .tags
                .iter()
                .filter(|tag| !reserved(tag))
                .filter_map(|tag| serde_json::from_str(tag.get()).ok())
                .collect();
            if !tags.is_empty() {
                object.insert("tags".to_owned(), Value::Array(tags));
            }
        }
        value
    }
}

/// Tags with this prefix are AWS's own (CloudFormation writes them) and are refused in requests.
fn reserved(tag: &RawValue) -> bool {
    serde_json::from_str::<Object>(tag.get())
        .ok()
        .and_then(|tag| tag.text("key"))
        .is_some_and(|key| key.to_ascii_lowercase().starts_with("aws:"))
}

/// The body of a RegisterTaskDefinition request.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) family: String,
    pub(crate) body: String,
}

impl Registration {
    /// Where `found` is not what this asks for, as JSON paths; values are left out because an
    /// environment variable may hold anything.
    pub(crate) fn differences(&self, found: &Definition) -> Vec<String> {
        let mut asked: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let mut found = found.comparable();
        for side in [&mut asked, &mut found] {
            // ECS promises no order of tags.
            if let Some(tags) = side.get_mut("tags").and_then(Value::as_array_mut) {
                tags.sort_by_key(ToString::to_string);
            }
        }
        let mut paths = Vec::new();
        compare("", &asked, &found, &mut paths);
        paths
    }
}

fn compare(path: &str, asked: &Value, found: &Value, paths: &mut Vec<String>) {
    match (asked, found) {
        (Value::Object(asked), Value::Object(found)) => {
            let names: BTreeSet<&String> = asked.keys().chain(found.keys()).collect();
            for name in names {
                let null = &Value::Null;
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                compare(
                    &path,
                    asked.get(name).unwrap_or(null),
                    found.get(name).unwrap_or(null),
                    paths,
                );
            }
        }
        (Value::Array(asked), Value::Array(found)) if asked.len() == found.len() => {
            for (index, (asked, found)) in asked.iter().zip(found).enumerate() {
                compare(&format!("{path}[{index}]"), asked, found, paths);
            }
        }
        (Value::Number(asked), Value::Number(found)) if asked.as_f64() == found.as_f64() => {}
        _ if asked == found => {}
        _ => paths.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "a.example/web:1";
    const NEW: &str = "a.example/web@sha256:ab";

    /// Odd on purpose: empty strings, unknown members, spellings of numbers, an order of its own.
    const ODD: &str = r#"{"zeta":{"b":1.0,"a":1e3},"containerDefinitions":[
        {"name":"log","image":"a.example/web:1","command":[]},
        {"image":"a.example/web:1","name":"web","command":["sh","-c",""],"entryPoint":[""],"cpu":0,
         "environment":[{"name":"EMPTY","value":""},{"value":"\u00fc \/","name":"B"}],"unheardOf":[null,{}]}
        ],"family":"web","networkMode":"awsvpc","volumes":[],"big":12345678901234567890123"#;

    fn describe(more: &str, tags: &str) -> Definition {
        Definition::parse(
            format!("{{\"taskDefinition\":{ODD}{more}}},\"tags\":{tags}}}").as_bytes(),
        )
        .unwrap()
    }

    const OUTPUT: &str = r#","taskDefinitionArn":"arn:x:task-definition/web:7","revision":7,"status":"ACTIVE",
        "requiresAttributes":[{"name":"x"}],"compatibilities":["EC2"],"registeredAt":1.7e9,"registeredBy":"arn:me",
        "deregisteredAt":1,"deleteRequestedAt":2"#;

    #[test]
    fn everything_but_one_image_stays_byte_for_byte() {
        let definition = describe(OUTPUT, "[]");
        let body = definition.with_image("web", NEW).unwrap().body;
        for kept in [
            r#""zeta":{"b":1.0,"a":1e3}"#,
            r#""command":[]"#,
            r#""command":["sh","-c",""]"#,
            r#""entryPoint":[""]"#,
            r#"{"name":"EMPTY","value":""},{"value":"\u00fc \/","name":"B"}"#,
            r#""unheardOf":[null,{}]"#,
            r#""volumes":[]"#,
            r#""big":12345678901234567890123"#,
        ] {
            assert!(body.contains(kept), "{kept} in {body}");
        }
        assert!(body.starts_with(r#"{"zeta":"#));
        assert_eq!(body.matches(NEW).count(), 1);
        assert_eq!(
            body.matches(OLD).count(),
            1,
            "the other container keeps its image"
        );
        for gone in OUTPUT_ONLY {
            assert!(!body.contains(&format!("\"{gone}\":")), "{gone}");
        }
        assert!(
            !body.contains("\"tags\""),
            "an empty list of tags is refused by ECS"
        );
    }

    #[test]
    fn tags_are_kept_and_those_of_aws_left_out() {
        let tags =
            r#"[{"key":"team","value":""},{"key":"aws:cloudformation:stack-id","value":"x"}]"#;
        let body = describe(OUTPUT, tags).with_image("web", NEW).unwrap().body;
        assert!(
            body.ends_with(r#","tags":[{"key":"team","value":""}]}"#),
            "{body}"
        );
    }

    #[test]
    fn a_container_that_is_not_there_is_named() {
        let error = describe(OUTPUT, "[]").with_image("api", NEW).unwrap_err();
        assert!(error.message.ends_with("web:7 has no container api"));
    }

    #[test]
    fn reading_back_finds_what_was_lost_by_its_path() {
        let asked = describe(
            OUTPUT,
            r#"[{"key":"b","value":"1"},{"key":"a","value":"2"}]"#,
        )
        .with_image("web", NEW)
        .unwrap();
        let back = |change: &dyn Fn(String) -> String, tags: &str| {
            let text = change(format!("{ODD}{OUTPUT}}}").replacen(
                r#"{"image":"a.example/web:1""#,
                &format!(r#"{{"image":"{NEW}""#),
                1,
            ));
            let body = format!("{{\"taskDefinition\":{text},\"tags\":{tags}}}");
            asked.differences(&Definition::parse(body.as_bytes()).unwrap())
        };
        let tags = r#"[{"key":"a","value":"2"},{"key":"b","value":"1"}]"#;
        assert_eq!(back(&|text| text, tags), Vec::<String>::new());
        assert_eq!(
            back(
                &|text| text.replace(r#"["sh","-c",""]"#, r#"["sh","-c"]"#),
                tags
            ),
            ["containerDefinitions[1].command"]
        );
        assert_eq!(
            back(
                &|text| text
                    .replace(r#""value":"","#, "")
                    .replace(r#""name":"EMPTY","value":"""#, r#""name":"EMPTY""#),
                tags
            ),
            ["containerDefinitions[1].environment[0].value"]
        );
        assert_eq!(
            back(&|text| text.replace(r#""cpu":0"#, r#""cpu":0.0"#), tags),
            Vec::<String>::new()
        );
        assert_eq!(back(&|text| text, "[]"), ["tags"]);
    }

    #[test]
    fn containers_with_a_health_check_are_known() {
        let body = br#"{"taskDefinition":{"containerDefinitions":[{"name":"a","healthCheck":{"command":[]}},{"name":"b"}]}}"#;
        let definition = Definition::parse(body).unwrap();
        assert_eq!(
            definition.health_checked(),
            BTreeSet::from(["a".to_owned()])
        );
        assert_eq!(definition.containers(), ["a", "b"]);
    }

    #[test]
    fn another_answer_is_an_error() {
        assert!(Definition::parse(b"<html>").is_err());
        assert!(Definition::parse(b"{}").is_err());
    }
}

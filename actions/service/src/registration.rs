//! The next revision of a task definition: one answer of DescribeTaskDefinition with another image in some of its
//! containers. Everything else goes back byte for byte.

use crate::compare::{Difference, differences};
use ecs::{Definition, Object};
use kit::error::{Context, Error, Result};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// The members that DescribeTaskDefinition returns and RegisterTaskDefinition does not accept: those of `TaskDefinition`
/// that `RegisterTaskDefinitionRequest` lacks in the ECS API's model.
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

/// The body of a RegisterTaskDefinition request.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) family: String,
    pub(crate) body: String,
}

impl Registration {
    /// `base` with `image` in `containers`.
    ///
    /// # Errors
    /// One of the containers is not there.
    pub(crate) fn new(base: &Definition, containers: &[String], image: &str) -> Result<Self> {
        for name in containers {
            if base.image(name).is_none() {
                return Err(Error::failed(format!(
                    "{} has no container {name}",
                    base.arn
                )));
            }
        }
        let unwritten = "cannot write the task definition";
        let image = to_raw_value(image).context(unwritten)?;
        let mut definitions = base.container_definitions.clone();
        for edited in &mut definitions {
            if edited
                .text("name")
                .is_some_and(|name| containers.contains(&name))
            {
                edited.set("image", image.clone());
            }
        }
        let mut members = base.members.clone();
        members
            .0
            .retain(|(name, _)| !OUTPUT_ONLY.contains(&name.as_str()));
        members.set(
            "containerDefinitions",
            to_raw_value(&definitions).context(unwritten)?,
        );
        let tags: Vec<_> = base.tags.iter().filter(|tag| !reserved(tag)).collect();
        // ECS refuses an empty list of tags.
        if !tags.is_empty() {
            members
                .0
                .push(("tags".to_owned(), to_raw_value(&tags).context(unwritten)?));
        }
        Ok(Self {
            family: base.family(),
            body: serde_json::to_string(&members).context(unwritten)?,
        })
    }

    /// Where this is not what `before` is.
    pub(crate) fn differences(&self, before: &Definition) -> Vec<Difference> {
        let asked: Value = serde_json::from_str(&self.body).unwrap_or_default();
        differences(&comparable(before), &asked)
    }
}

/// The registration that would have produced this definition.
fn comparable(definition: &Definition) -> Value {
    let mut value: Value = serde_json::to_value(&definition.members).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| !OUTPUT_ONLY.contains(&name.as_str()));
        let tags: Vec<Value> = definition
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

/// Tags with this prefix are AWS's own (CloudFormation writes them) and are refused in requests.
fn reserved(tag: &RawValue) -> bool {
    serde_json::from_str::<Object>(tag.get())
        .ok()
        .and_then(|tag| tag.text("key"))
        .is_some_and(|key| key.to_ascii_lowercase().starts_with("aws:"))
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

    const OUTPUT: &str = r#","taskDefinitionArn":"arn:aws:ecs:eu-west-1:111111111111:task-definition/web:7","revision":7,"status":"ACTIVE",
        "requiresAttributes":[{"name":"x"}],"compatibilities":["EC2"],"registeredAt":1.7e9,"registeredBy":"arn:me",
        "deregisteredAt":1,"deleteRequestedAt":2"#;

    fn registration(definition: &Definition) -> Registration {
        Registration::new(definition, &["web".to_owned()], NEW).unwrap()
    }

    #[test]
    fn everything_but_one_image_stays_byte_for_byte() {
        let definition = describe(OUTPUT, "[]");
        let body = registration(&definition).body;
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
        let body = registration(&describe(OUTPUT, tags)).body;
        assert!(
            body.ends_with(r#","tags":[{"key":"team","value":""}]}"#),
            "{body}"
        );
    }

    #[test]
    fn a_container_that_is_not_there_is_named() {
        let error =
            Registration::new(&describe(OUTPUT, "[]"), &["api".to_owned()], NEW).unwrap_err();
        assert!(error.message.ends_with("web:7 has no container api"));
    }

    #[test]
    fn reading_back_finds_what_was_lost_by_its_path() {
        let asked = registration(&describe(
            OUTPUT,
            r#"[{"key":"b","value":"1"},{"key":"a","value":"2"}]"#,
        ));
        let back = |change: &dyn Fn(String) -> String, tags: &str| {
            let text = change(format!("{ODD}{OUTPUT}}}").replacen(
                r#"{"image":"a.example/web:1""#,
                &format!(r#"{{"image":"{NEW}""#),
                1,
            ));
            let body = format!("{{\"taskDefinition\":{text},\"tags\":{tags}}}");
            let back = Definition::parse(body.as_bytes()).unwrap();
            asked
                .differences(&back)
                .into_iter()
                .map(|difference| difference.path)
                .collect::<Vec<_>>()
        };
        let tags = r#"[{"key":"a","value":"2"},{"key":"b","value":"1"}]"#;
        assert_eq!(back(&|text| text, tags), Vec::<String>::new());
        assert_eq!(
            back(
                &|text| text.replace(r#"["sh","-c",""]"#, r#"["sh","-c"]"#),
                tags
            ),
            ["containerDefinitions[web].command"]
        );
        assert_eq!(
            back(
                &|text| text
                    .replace(r#""value":"","#, "")
                    .replace(r#""name":"EMPTY","value":"""#, r#""name":"EMPTY""#),
                tags
            ),
            ["containerDefinitions[web].environment[EMPTY].value"]
        );
        assert_eq!(
            back(&|text| text.replace(r#""cpu":0"#, r#""cpu":0.0"#), tags),
            Vec::<String>::new()
        );
        assert_eq!(back(&|text| text, "[]"), ["tags[a]", "tags[b]"]);
    }
}

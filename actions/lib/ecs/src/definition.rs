//! A registered task definition as ECS sent it, without loss.

use crate::object::Object;
use kit::aws::TaskDefinitionArn;
use kit::error::{Context, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// A registered task definition with its tags.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its ARN.
    pub arn: TaskDefinitionArn,
    /// Its members.
    pub members: Object,
    /// Its container definitions.
    pub container_definitions: Vec<Object>,
    /// Its tags.
    pub tags: Vec<Box<RawValue>>,
}

impl Definition {
    /// Reads the body of DescribeTaskDefinition's answer, asked with `include: [TAGS]`.
    ///
    /// # Errors
    /// Something else than that.
    pub fn parse(body: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            task_definition: Object,
            #[serde(default)]
            tags: Vec<Box<RawValue>>,
        }
        let wrong = "ECS answered with something that is not a task definition";
        let answer: Answer = serde_json::from_slice(body).context(wrong)?;
        let container_definitions = match answer.task_definition.get("containerDefinitions") {
            Some(list) => serde_json::from_str(list.get()).context(wrong)?,
            None => Vec::new(),
        };
        let arn = answer.task_definition.text("taskDefinitionArn");
        Ok(Self {
            arn: arn.unwrap_or_default().parse().context(wrong)?,
            members: answer.task_definition,
            container_definitions,
            tags: answer.tags,
        })
    }

    /// Returns true if a deployment of it may still be started. A deregistered one goes on running where a service uses it.
    pub fn is_active(&self) -> bool {
        self.members.text("status").as_deref() == Some("ACTIVE")
    }

    /// Its family.
    pub fn family(&self) -> String {
        self.members.text("family").unwrap_or_default()
    }

    /// Names of the containers, in their order.
    pub fn containers(&self) -> Vec<String> {
        self.container_definitions
            .iter()
            .filter_map(|container| container.text("name"))
            .collect()
    }

    /// The image of one container.
    pub fn image(&self, container: &str) -> Option<String> {
        self.container(container)?.text("image")
    }

    pub(crate) fn container(&self, name: &str) -> Option<&Object> {
        let mut containers = self.container_definitions.iter();
        containers.find(|found| found.text("name").as_deref() == Some(name))
    }

    /// Containers that have a health check of their own.
    pub fn health_checked(&self) -> BTreeSet<String> {
        self.container_definitions
            .iter()
            .filter(|container| {
                container
                    .get("healthCheck")
                    .is_some_and(|check| check.get() != "null")
            })
            .filter_map(|container| container.text("name"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_with_a_health_check_are_known() {
        let body = br#"{"taskDefinition":{"taskDefinitionArn":"arn:aws:ecs:eu-west-1:111111111111:task-definition/web:7","containerDefinitions":[{"name":"a","healthCheck":{"command":[]}},{"name":"b"}]}}"#;
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
        assert!(Definition::parse(br#"{"taskDefinition":{"taskDefinitionArn":"web:7"}}"#).is_err());
    }
}

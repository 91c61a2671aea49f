//! Names in ECS: clusters, services and revisions of task definitions (Amazon ECS Developer Guide,
//! "Amazon ECS resources"; API reference, CreateCluster and CreateService).

use super::Arn;
use crate::id::{Invalid, parsed_text};
use std::str::FromStr;

/// The longest name of a cluster, a service or a family.
const LONGEST: usize = 255;

fn is_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The part after `KIND/` in an ARN of ECS.
fn resource<'a>(arn: &'a Arn, kind: &str) -> Option<&'a str> {
    let rest = arn.resource.strip_prefix(kind)?.strip_prefix('/')?;
    (arn.service == "ecs" && arn.account.is_some()).then_some(rest)
}

/// A cluster, by its name or its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterName(String);

parsed_text!(ClusterName, 0);

impl FromStr for ClusterName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let arn = || {
            text.parse()
                .is_ok_and(|arn| resource(&arn, "cluster").is_some_and(is_name))
        };
        if is_name(text) || arn() {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("`{text}` is not the name or ARN of an ECS cluster"),
            &[
                "a name has up to 255 letters, digits, hyphens and underscores; list them: aws ecs list-clusters",
            ],
        ))
    }
}

/// A service, by its name or its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(String);

parsed_text!(ServiceName, 0);

impl FromStr for ServiceName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Older ARNs of services do not name the cluster.
        let arn = || {
            text.parse().is_ok_and(|arn| {
                resource(&arn, "service").is_some_and(|rest| rest.split('/').all(is_name))
            })
        };
        if is_name(text) || arn() {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("`{text}` is not the name or ARN of an ECS service"),
            &[
                "a name has up to 255 letters, digits, hyphens and underscores; list them: aws ecs list-services --cluster NAME",
            ],
        ))
    }
}

/// The ARN of a revision of a task definition, `…:task-definition/FAMILY:REVISION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDefinitionArn {
    text: String,
    revision: u64,
}

parsed_text!(TaskDefinitionArn, text);

impl TaskDefinitionArn {
    /// The number of the revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The short name, `FAMILY:REVISION`.
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for TaskDefinitionArn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || {
            let arn: Arn = text.parse().ok()?;
            let (family, revision) = resource(&arn, "task-definition")?.split_once(':')?;
            let revision = revision.parse().ok().filter(|_| is_name(family))?;
            Some(Self {
                text: text.to_owned(),
                revision,
            })
        };
        parse().ok_or_else(|| {
            Invalid::new(
                format!("`{text}` is not the ARN of a revision of a task definition"),
                &[],
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECS: &str = "arn:aws:ecs:eu-west-1:111111111111:";

    #[test]
    fn clusters_and_services_go_by_name_or_arn() {
        let arn = |rest: &str| format!("{ECS}{rest}");
        for (text, cluster, service) in [
            ("storefront-dev_1".to_owned(), true, true),
            (arn("cluster/dev"), true, false),
            (arn("service/web"), false, true),
            (arn("service/dev/web"), false, true),
            (arn("service/dev/"), false, false),
            (arn("task/dev/web"), false, false),
            ("arn:aws:s3:::cluster/dev".to_owned(), false, false),
            ("dev web".to_owned(), false, false),
            ("dev/web".to_owned(), false, false),
            (String::new(), false, false),
            ("x".repeat(256), false, false),
        ] {
            assert_eq!(text.parse::<ClusterName>().is_ok(), cluster, "{text}");
            assert_eq!(text.parse::<ServiceName>().is_ok(), service, "{text}");
        }
    }

    #[test]
    fn a_revision_has_a_name_and_a_number() {
        let revision = |rest: &str| {
            let arn = format!("{ECS}task-definition/{rest}").parse();
            arn.ok()
                .map(|arn: TaskDefinitionArn| (arn.name().to_owned(), arn.revision()))
        };
        assert_eq!(revision("web:7"), Some(("web:7".to_owned(), 7)));
        for wrong in ["web", "web:", "web:x", "w b:7", ":7"] {
            assert_eq!(revision(wrong), None, "{wrong}");
        }
    }
}

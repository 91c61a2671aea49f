//! What a deploy will change: from what was seen to a plan. Pure.

use crate::definition::{Definition, Registration};
use crate::seen::{Rollout, Service, revision};
use kit::error::{Error, Result};

/// Which revision of the task definition will run.
#[derive(Debug)]
pub(crate) enum Revision {
    /// The service's own already has the image.
    Keep,
    /// A registered one is what would be registered.
    Reuse(String),
    /// A new one, made from the service's own.
    Register(Registration),
}

/// What happens to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    /// Nothing: the running deployment is followed, or only verified.
    None,
    /// A new deployment of the revision.
    Deploy,
    /// A new deployment of the same revision, because its last one failed.
    Again,
}

/// A deploy, before anything is changed.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The task definition the service uses.
    pub(crate) base: String,
    pub(crate) container: String,
    pub(crate) image_before: String,
    pub(crate) image: String,
    pub(crate) revision: Revision,
    pub(crate) update: Update,
}

/// Refuses what cannot end in a verified success.
///
/// # Errors
/// The service is not active, is deployed by somebody else, or wants no tasks.
pub(crate) fn deployable(service: &Service) -> Result<()> {
    let name = &service.name;
    if service.status != "ACTIVE" {
        return Err(Error::failed(format!(
            "service {name} is {}",
            service.status
        )));
    }
    if service.controller != "ECS" {
        return Err(Error::refused(format!(
            "service {name} is deployed by {}, not by ECS",
            service.controller
        ))
        .hint("set the service's deployment controller to ECS"));
    }
    if let Some(balancer) = &service.classic {
        return Err(Error::refused(format!(
            "service {name} is behind the classic load balancer {balancer}, whose targets cannot be verified"
        ))
        .hint("move it to an application or network load balancer"));
    }
    if service.desired == 0 {
        return Err(Error::failed(format!(
            "service {name} has a desired count of 0: nothing would run, so nothing could be verified"
        ))
        .hint(format!(
            "scale it first: aws ecs update-service --cluster {} --service {name} --desired-count 1",
            service.cluster_arn
        )));
    }
    Ok(())
}

/// The container that gets the image: the one named, else the only one.
///
/// # Errors
/// None by that name, or several to choose from (exit 2).
pub(crate) fn container(named: Option<String>, definition: &Definition) -> Result<String> {
    let there = definition.containers();
    let list = || format!("{} has: {}", revision(&definition.arn()), there.join(", "));
    match (named, there.as_slice()) {
        (Some(named), _) if there.contains(&named) => Ok(named),
        (Some(named), _) => {
            Err(Error::usage(format!("the task definition has no container {named}")).hint(list()))
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Error::usage(
            "--container is missing and the task definition has several",
        )
        .hint(list())),
    }
}

/// What to change so that `container` runs `image`.
///
/// # Errors
/// The container has no image to replace.
pub(crate) fn decide(
    service: &Service,
    base: &Definition,
    latest: Option<&Definition>,
    container: &str,
    image: &str,
) -> Result<Plan> {
    let image_before = base.image(container).unwrap_or_default();
    let (revision, update) = if image_before == image {
        let update = match service.primary() {
            Some(primary) if primary.rollout != Rollout::Failed => Update::None,
            _ => Update::Again,
        };
        (Revision::Keep, update)
    } else {
        let registration = base.with_image(container, image)?;
        let same = latest.filter(|latest| registration.differences(latest).is_empty());
        let revision = match same {
            Some(latest) => Revision::Reuse(latest.arn()),
            None => Revision::Register(registration),
        };
        (revision, Update::Deploy)
    };
    Ok(Plan {
        base: base.arn(),
        container: container.to_owned(),
        image_before,
        image: image.to_owned(),
        revision,
        update,
    })
}

impl Plan {
    /// The plan as lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let base = revision(&self.base);
        let mut lines = vec![match &self.revision {
            Revision::Keep => format!(
                "keep {base}: container {} has {}",
                self.container, self.image
            ),
            Revision::Reuse(arn) => format!(
                "use {}, registered before: {base} with {} in container {}",
                revision(arn),
                self.image,
                self.container
            ),
            Revision::Register(registration) => format!(
                "register a revision of {}: {base} with {} in container {} (was {})",
                registration.family, self.image, self.container, self.image_before
            ),
        }];
        lines.push(
            match self.update {
                Update::None => "change nothing in the service: verify its running deployment",
                Update::Deploy => "update the service to that revision",
                Update::Again => "deploy the same revision again: its last deployment failed",
            }
            .to_owned(),
        );
        lines
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let (revision, arn) = match &self.revision {
            Revision::Keep => ("keep", Some(&self.base)),
            Revision::Reuse(arn) => ("reuse", Some(arn)),
            Revision::Register(_) => ("register", None),
        };
        serde_json::json!({
            "dry_run": true,
            "base": self.base,
            "container": self.container,
            "image_before": self.image_before,
            "image": self.image,
            "revision": revision,
            "task_definition": arn,
            "update": match self.update {
                Update::None => "none",
                Update::Deploy => "deploy",
                Update::Again => "again",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Deployment;
    use kit::Exit;

    fn definition(revision: u32, image: &str, more: &str) -> Definition {
        let body = format!(
            r#"{{"taskDefinition":{{"taskDefinitionArn":"arn:aws:ecs:r:1:task-definition/web:{revision}","family":"web","revision":{revision},"containerDefinitions":[{{"name":"web","image":"{image}"}}]{more}}}}}"#
        );
        Definition::parse(body.as_bytes()).unwrap()
    }

    fn service(rollout: Rollout) -> Service {
        Service {
            name: "web".to_owned(),
            status: "ACTIVE".to_owned(),
            controller: "ECS".to_owned(),
            desired: 2,
            deployments: vec![Deployment {
                primary: true,
                rollout,
                ..Deployment::default()
            }],
            ..Service::default()
        }
    }

    #[test]
    fn a_new_image_is_registered_and_deployed_unless_an_equal_revision_is_there() {
        let service = service(Rollout::Completed);
        let base = definition(7, "a.example/web:1", "");
        let other = definition(8, "a.example/web:2", r#","cpu":"512""#);
        let equal = definition(8, "a.example/web:2", "");
        let plan = |latest| decide(&service, &base, latest, "web", "a.example/web:2").unwrap();
        for latest in [None, Some(&other)] {
            let plan = plan(latest);
            assert!(matches!(plan.revision, Revision::Register(_)));
            assert_eq!(plan.update, Update::Deploy);
        }
        let plan = plan(Some(&equal));
        assert!(matches!(&plan.revision, Revision::Reuse(arn) if arn.ends_with("web:8")));
        assert_eq!(plan.update, Update::Deploy);
    }

    #[test]
    fn the_same_image_changes_nothing_unless_its_deployment_failed() {
        let base = definition(7, "a.example/web:1", "");
        for (rollout, update) in [
            (Rollout::Completed, Update::None),
            (Rollout::InProgress, Update::None),
            (Rollout::Failed, Update::Again),
        ] {
            let plan = decide(&service(rollout), &base, None, "web", "a.example/web:1").unwrap();
            assert!(matches!(plan.revision, Revision::Keep));
            assert_eq!(plan.update, update);
        }
    }

    #[test]
    fn what_cannot_be_verified_is_not_begun() {
        let with = |change: &dyn Fn(&mut Service)| {
            let mut service = service(Rollout::Completed);
            change(&mut service);
            deployable(&service).map_err(|error| (error.exit, error.hints.len()))
        };
        assert_eq!(with(&|_| {}), Ok(()));
        assert_eq!(with(&|service| service.desired = 0), Err((Exit::Failed, 1)));
        assert_eq!(
            with(&|service| service.status = "INACTIVE".to_owned()),
            Err((Exit::Failed, 0))
        );
        assert_eq!(
            with(&|service| service.controller = "CODE_DEPLOY".to_owned()),
            Err((Exit::Refused, 1))
        );
        assert_eq!(
            with(&|service| service.classic = Some("old".to_owned())),
            Err((Exit::Refused, 1))
        );
    }

    #[test]
    fn the_container_is_the_one_named_or_the_only_one() {
        let one = definition(7, "x", "");
        let two = Definition::parse(
            br#"{"taskDefinition":{"taskDefinitionArn":"a/web:7","containerDefinitions":[{"name":"web","image":"x"},{"name":"log","image":"y"}]}}"#,
        )
        .unwrap();
        assert_eq!(container(None, &one).unwrap(), "web");
        assert_eq!(container(Some("log".to_owned()), &two).unwrap(), "log");
        assert_eq!(
            container(None, &two).unwrap_err().hints,
            ["web:7 has: web, log"]
        );
        assert_eq!(
            container(Some("api".to_owned()), &two).unwrap_err().exit,
            Exit::Usage
        );
    }
}

//! Decides what a deploy will change: makes a plan from the observed service. Pure.
//!
//! Infrastructure owns the task definition, a deploy owns the images of its containers. So the base is the newest active
//! revision of the family, whatever the service uses, and the next revision is that with the new image.

use crate::compare::Difference;
use crate::registration::Registration;
use ecs::{Definition, Rollout, Selection, Service};
use kit::aws::TaskDefinitionArn;
use kit::error::{Error, Result};

/// The revision of the task definition that will run.
#[derive(Debug)]
pub(crate) enum Revision {
    /// The one in use is what would be registered.
    Keep,
    /// The newest one is what would be registered.
    Reuse(TaskDefinitionArn),
    /// A new one, made from the newest.
    Register(Registration),
}

/// The change to the service.
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
    pub(crate) running: TaskDefinitionArn,
    /// The newest one of its family, from which the next is made.
    pub(crate) base: TaskDefinitionArn,
    /// It was deregistered, and none that is newer is active.
    pub(crate) deregistered: bool,
    pub(crate) selection: Selection,
    /// Each container's image as it runs, in the order of the containers.
    pub(crate) images_before: Vec<String>,
    pub(crate) image: String,
    /// Infrastructure's changes since the revision in use, which this deploy brings with it.
    pub(crate) changes: Vec<Difference>,
    pub(crate) revision: Revision,
    pub(crate) update: Update,
}

/// Refuses what cannot end in a verified success, whatever is deployed.
///
/// # Errors
/// The service is not active, is deployed by somebody else, or wants no tasks.
pub(crate) fn deployable(service: &Service, allow_zero_tasks: bool) -> Result<()> {
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
    if service.desired == 0 && service.daemon && !allow_zero_tasks {
        return Err(Error::refused(format!(
            "service {name} runs one task on each container instance, and none of its cluster fits: nothing would run, so nothing could be verified"
        ))
        .hint(format!(
            "see the instances: aws ecs list-container-instances --cluster {}",
            service.cluster_arn
        ))
        .hint("or deploy without verification, before there is one: --allow-zero-tasks"));
    }
    if service.desired == 0 && !allow_zero_tasks {
        return Err(Error::refused(format!(
            "service {name} has a desired count of 0: nothing would run, so nothing could be verified"
        ))
        .hint(format!(
            "scale it first: aws ecs update-service --cluster {} --service {name} --desired-count 1",
            service.cluster_arn
        ))
        .hint("or deploy without verification, before the service is scaled up: --allow-zero-tasks"));
    }
    Ok(())
}

/// Refuses a rolling update that ECS could never begin: its minimum keeps every old task, and its maximum leaves no room
/// for a new one (ECS, "Deployment configuration": the minimum is rounded up, the maximum down).
///
/// # Errors
/// It is so now (exit 3).
pub(crate) fn can_roll(service: &Service) -> Result<()> {
    let Some((least_percent, most_percent)) = service.percent else {
        return Ok(());
    };
    let desired = i64::from(service.desired);
    let least = (desired * i64::from(least_percent) + 99) / 100;
    let most = desired * i64::from(most_percent) / 100;
    // A service that has lost tasks has room for new ones.
    let room = i64::from(service.running) + i64::from(service.pending) < most;
    if desired == 0 || most > desired || least < desired || room {
        return Ok(());
    }
    let name = &service.name;
    Err(Error::refused(format!(
        "service {name} can never replace a task: with {desired} desired, a minimum of {least_percent}% keeps {least} running and a maximum of {most_percent}% allows {most}"
    ))
    .cause("ECS rounds the minimum up and the maximum down, so it may neither stop an old task nor start a new one")
    .hint(format!(
        "start before stopping: aws ecs update-service --cluster {} --service {name} --deployment-configuration minimumHealthyPercent=100,maximumPercent=200",
        service.cluster_arn
    ))
    .hint("or stop before starting: minimumHealthyPercent=0"))
}

/// As [`plan`], for a deployment.
///
/// # Errors
/// As for that, or a rolling update that could never begin.
pub(crate) fn decide(
    service: &Service,
    running: &Definition,
    newest: Option<&Definition>,
    selection: Selection,
    image: &str,
) -> Result<Plan> {
    let plan = plan(service, running, newest, selection, image)?;
    if plan.update != Update::None {
        can_roll(service)?;
    }
    Ok(plan)
}

/// The changes after which the selected containers run `image`. `newest` is the family's newest revision if that is not the one in use.
///
/// # Errors
/// A container that does not exist.
pub(crate) fn plan(
    service: &Service,
    running: &Definition,
    newest: Option<&Definition>,
    selection: Selection,
    image: &str,
) -> Result<Plan> {
    let base = newest.unwrap_or(running);
    let registration = Registration::new(base, &selection.containers, image)?;
    let differences = registration.differences(running);
    let (revision, update) = if differences.is_empty() {
        match service.primary() {
            Some(primary) if primary.rollout != Rollout::Failed => (Revision::Keep, Update::None),
            // ECS deploys no revision that was deregistered.
            _ if !running.is_active() => (Revision::Register(registration), Update::Deploy),
            _ => (Revision::Keep, Update::Again),
        }
    } else if newest.is_some_and(|newest| registration.differences(newest).is_empty()) {
        (Revision::Reuse(base.arn.clone()), Update::Deploy)
    } else {
        (Revision::Register(registration), Update::Deploy)
    };
    let ours: Vec<String> = selection
        .containers
        .iter()
        .map(|name| format!("containerDefinitions[{name}].image"))
        .collect();
    Ok(Plan {
        running: running.arn.clone(),
        base: base.arn.clone(),
        deregistered: !base.is_active(),
        images_before: selection
            .containers
            .iter()
            .map(|name| running.image(name).unwrap_or_default())
            .collect(),
        selection,
        image: image.to_owned(),
        changes: differences
            .into_iter()
            .filter(|difference| !ours.contains(&difference.path))
            .collect(),
        revision,
        update,
    })
}

impl Plan {
    /// The plan as lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.revision_lines();
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

    /// The part of it that is about the revision.
    pub(crate) fn revision_lines(&self) -> Vec<String> {
        let (running, base) = (self.running.name(), self.base.name());
        let containers = &self.selection.containers;
        let names = match containers.as_slice() {
            [only] => format!("container {only}"),
            several => format!(
                "containers {}, which run the same repository",
                several.join(", ")
            ),
        };
        let mut lines = vec![match &self.revision {
            Revision::Keep => format!("keep {running}: {names}: {}", self.image),
            Revision::Reuse(_) => format!("use {base}, registered before: {names}: {}", self.image),
            Revision::Register(registration) => format!(
                "register a revision of {}: {base} with {} in {names}",
                registration.family, self.image
            ),
        }];
        for (name, before) in containers.iter().zip(&self.images_before) {
            if *before != self.image {
                lines.push(format!("container {name} runs {before} now"));
            }
        }
        if !self.selection.left_out.is_empty() {
            lines.push(format!(
                "left as they are, because --container names others of the same repository: {}",
                self.selection.left_out.join(", ")
            ));
        }
        if self.deregistered {
            lines.push(format!(
                "{base}, which the service uses, was deregistered, and no newer revision is active"
            ));
        }
        if !self.changes.is_empty() {
            lines.push(format!(
                "{base} is newer than {running}, which the service uses; this deploy brings its changes:"
            ));
            lines.extend(
                self.changes
                    .iter()
                    .map(|change| format!("  {}", change.line())),
            );
        }
        lines
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let (revision, arn) = match &self.revision {
            Revision::Keep => ("keep", Some(&self.running)),
            Revision::Reuse(arn) => ("reuse", Some(arn)),
            Revision::Register(_) => ("register", None),
        };
        let containers = self.selection.containers.iter().zip(&self.images_before);
        serde_json::json!({
            "dry_run": true,
            "running": self.running,
            "base": self.base,
            "containers": containers.map(|(name, before)| serde_json::json!({
                "name": name, "image_before": before,
            })).collect::<Vec<_>>(),
            "image": self.image,
            "changes": self.changes.iter().map(Difference::json).collect::<Vec<_>>(),
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
    use crate::samples;
    use ecs::Deployment;
    use kit::Exit;
    use serde_json::value::to_raw_value;

    fn definition(revision: u32, image: &str, more: &str) -> Definition {
        let body = format!(
            r#"{{"taskDefinition":{{"taskDefinitionArn":"arn:aws:ecs:eu-west-1:111111111111:task-definition/web:{revision}","family":"web","revision":{revision},"status":"ACTIVE","containerDefinitions":[{{"name":"web","image":"{image}"}}]{more}}}}}"#
        );
        Definition::parse(body.as_bytes()).unwrap()
    }

    fn service(rollout: Rollout) -> Service {
        Service {
            desired: 2,
            running: 2,
            deployments: vec![Deployment {
                primary: true,
                rollout,
                ..samples::deployment()
            }],
            ..samples::service()
        }
    }

    fn web() -> Selection {
        Selection {
            containers: vec!["web".to_owned()],
            left_out: Vec::new(),
        }
    }

    const OLD: &str = "a.example/web:1";
    const NEW: &str = "a.example/web:2";
    const MORE: &str = r#","cpu":"512""#;

    #[test]
    fn the_newest_revision_is_the_base_and_an_equal_one_is_used() {
        let running = definition(7, OLD, "");
        // Image asked for, newest revision, what happens to the revision, and what infrastructure brings.
        for (image, newest, wanted, changes) in [
            (OLD, None, "keep", 0),
            (NEW, None, "register", 0),
            (NEW, Some(definition(8, NEW, "")), "reuse", 0),
            (NEW, Some(definition(8, "other", "")), "register", 0),
            // A deployment that failed left a revision behind, and what runs is asked for again.
            (OLD, Some(definition(8, NEW, "")), "keep", 0),
            (NEW, Some(definition(8, OLD, MORE)), "register", 1),
            (NEW, Some(definition(8, NEW, MORE)), "reuse", 1),
            // The image runs already; infrastructure's change does not.
            (OLD, Some(definition(8, OLD, MORE)), "reuse", 1),
            (OLD, Some(definition(8, "placeholder", MORE)), "register", 1),
        ] {
            let service = service(Rollout::Completed);
            let plan = decide(&service, &running, newest.as_ref(), web(), image).unwrap();
            let json = plan.json();
            assert_eq!(json["revision"], wanted, "{image} {newest:?}");
            assert_eq!(plan.changes.len(), changes, "{image} {newest:?}");
            let update = if wanted == "keep" { "none" } else { "deploy" };
            assert_eq!(json["update"], update);
            assert!(!plan.lines().join("\n").contains("left as they are"));
            if let Revision::Register(registration) = &plan.revision {
                assert_eq!(registration.body.contains("512"), changes == 1);
                assert!(registration.body.contains(image));
            }
            let lines = plan.lines().join("\n");
            assert_eq!(
                lines.contains("web:8 is newer than web:7") && lines.contains("cpu: added, 512"),
                changes == 1,
                "{lines}"
            );
        }
    }

    #[test]
    fn the_running_image_is_deployed_again_only_after_a_failed_deployment() {
        let running = definition(7, OLD, "");
        for (rollout, update) in [
            (Rollout::Completed, Update::None),
            (Rollout::InProgress, Update::None),
            (Rollout::Failed, Update::Again),
        ] {
            let plan = decide(&service(rollout), &running, None, web(), OLD).unwrap();
            assert!(matches!(plan.revision, Revision::Keep));
            assert_eq!(plan.update, update);
        }
        // A revision that was deregistered runs on, and cannot be deployed again.
        let mut gone = running;
        gone.members
            .set("status", to_raw_value("INACTIVE").unwrap());
        let decide = |rollout| decide(&service(rollout), &gone, None, web(), OLD).unwrap();
        assert_eq!(decide(Rollout::Completed).update, Update::None);
        let plan = decide(Rollout::Failed);
        assert!(matches!(plan.revision, Revision::Register(_)));
        assert_eq!(plan.update, Update::Deploy);
        let lines = plan.lines().join("\n");
        assert!(
            lines.contains("web:7, which the service uses, was deregistered"),
            "{lines}"
        );
    }

    #[test]
    fn containers_of_one_repository_are_all_updated_even_if_their_images_differ() {
        let body = br#"{"taskDefinition":{"taskDefinitionArn":"arn:aws:ecs:eu-west-1:111111111111:task-definition/web:7","family":"web","containerDefinitions":[{"name":"web","image":"a.example/web:2"},{"name":"worker","image":"a.example/web:1"}]}}"#;
        let running = Definition::parse(body).unwrap();
        let both = Selection {
            containers: running.containers(),
            left_out: Vec::new(),
        };
        let plan = decide(&service(Rollout::Completed), &running, None, both, NEW).unwrap();
        let Revision::Register(registration) = &plan.revision else {
            panic!("{plan:?}");
        };
        assert_eq!(registration.body.matches(NEW).count(), 2);
        let lines = plan.lines().join("\n");
        assert!(
            lines.contains("containers web, worker, which run the same repository")
                && lines.contains("container worker runs a.example/web:1 now"),
            "{lines}"
        );
    }

    #[test]
    fn a_deployment_that_cannot_be_verified_is_refused() {
        let with = |change: &dyn Fn(&mut Service), allow: bool| {
            let mut service = service(Rollout::Completed);
            change(&mut service);
            deployable(&service, allow).map_err(|error| (error.exit(), error.hints.len()))
        };
        assert_eq!(with(&|_| {}, false), Ok(()));
        let zero = |service: &mut Service| service.desired = 0;
        assert_eq!(with(&zero, false), Err((Exit::Refused, 2)));
        assert_eq!(with(&zero, true), Ok(()));
        assert_eq!(
            with(&|service| service.status = "INACTIVE".to_owned(), true),
            Err((Exit::Failed, 0))
        );
        assert_eq!(
            with(
                &|service| service.controller = "CODE_DEPLOY".to_owned(),
                true
            ),
            Err((Exit::Refused, 1))
        );
        assert_eq!(
            with(&|service| service.classic = Some("old".to_owned()), true),
            Err((Exit::Refused, 1))
        );
    }

    #[test]
    fn a_rolling_update_that_can_never_begin_is_refused() {
        // Desired, running, minimum, maximum in percent, and whether ECS can begin.
        for (desired, running, least, most, begins) in [
            (1, 1, 50, 150, false),
            (1, 1, 100, 100, false),
            (1, 1, 1, 199, false),
            (2, 2, 51, 149, false),
            (3, 3, 100, 133, false),
            (1, 1, 100, 200, true),
            (1, 1, 0, 100, true),
            (2, 2, 50, 100, true),
            (3, 3, 66, 133, true),
            (3, 3, 100, 134, true),
            (4, 4, 100, 125, true),
            (0, 0, 100, 100, true),
            // There are more tasks than are wanted, and still fewer than may be once those have stopped.
            (1, 2, 100, 200, true),
            // All tasks are lost: there is room for a new one.
            (1, 0, 50, 150, true),
        ] {
            let service = Service {
                desired,
                running,
                percent: Some((least, most)),
                ..service(Rollout::Completed)
            };
            let answer = can_roll(&service).map_err(|error| error.exit());
            let wanted = if begins { Ok(()) } else { Err(Exit::Refused) };
            assert_eq!(answer, wanted, "{desired} {least} {most}");
        }
        // A task on its way takes the room.
        let replacing = Service {
            desired: 1,
            running: 0,
            pending: 1,
            percent: Some((50, 150)),
            ..service(Rollout::Completed)
        };
        assert_eq!(can_roll(&replacing).unwrap_err().exit(), Exit::Refused);
        // Other strategies do not count by these.
        can_roll(&service(Rollout::Completed)).unwrap();
        // An image that runs already is only verified, even in a service whose rolling update could never begin.
        let stuck = Service {
            desired: 1,
            running: 1,
            percent: Some((100, 100)),
            ..service(Rollout::Completed)
        };
        let running = definition(7, OLD, "");
        decide(&stuck, &running, None, web(), OLD).unwrap();
        decide(&stuck, &running, None, web(), NEW).unwrap_err();
    }
}

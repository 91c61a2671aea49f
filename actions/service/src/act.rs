//! The two changes a deploy makes: a revision of the task definition, and the service's update to it.

use crate::decide::{Plan, Revision, Update};
use crate::locate::status_hint;
use crate::registration::Registration;
use aws_smithy_types::body::SdkBody;
use ecs::{Client, Definition, Seen};
use kit::aws::TaskDefinitionArn;
use kit::error::{Context, Error, Failure, Result};

/// How often a registration is repeated because another revision was registered at the same moment.
const ATTEMPTS: u32 = 4;

/// The revision to run, registered if need be.
///
/// # Errors
/// As for [`register`], or others register all the time.
pub(crate) async fn revise(
    client: &Client,
    plan: &Plan,
    registered: impl Fn(&TaskDefinitionArn),
) -> Result<TaskDefinitionArn> {
    let mut registration = match &plan.revision {
        Revision::Keep => return Ok(plan.running.clone()),
        Revision::Reuse(arn) => return Ok(arn.clone()),
        Revision::Register(registration) => registration.clone(),
    };
    let mut base = plan.base.revision();
    for _ in 0..ATTEMPTS {
        let arn = register(client, &registration).await?;
        registered(&arn);
        // A revision that infrastructure registered in between is now older than ours, and its changes would never be deployed.
        let between = between(client, &registration, base, arn.revision()).await?;
        let Some(newer) = between else {
            return Ok(arn);
        };
        base = newer.arn.revision();
        registration = Registration::new(&newer, &plan.selection.containers, &plan.image)?;
    }
    Err(Error::failed(format!(
        "other revisions of {} were registered during all {ATTEMPTS} attempts; the service was not changed",
        registration.family
    ))
    .hint("run this again when they are done"))
}

/// The newest active revision between two, if it is not what `registration` asks for.
async fn between(
    client: &Client,
    registration: &Registration,
    base: u64,
    ours: u64,
) -> Result<Option<Definition>> {
    for between in (base + 1..ours).rev() {
        let name = format!("{}:{between}", registration.family);
        match client.definition(&name).await {
            Ok(found) if found.is_active() => {
                let differs = !registration.differences(&found).is_empty();
                return Ok(differs.then_some(found));
            }
            Ok(_) => {}
            // A number may be without a revision: ECS deletes those that are deregistered.
            Err(error) if error.failure == Failure::Rejected => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Registers exactly `registration` and reads back that ECS keeps exactly that; returns its ARN.
///
/// # Errors
/// ECS refuses it, or keeps something else (the members that differ are named). The service is
/// untouched then.
async fn register(client: &Client, registration: &Registration) -> Result<TaskDefinitionArn> {
    let call = client
        .ecs
        .register_task_definition()
        .family(&registration.family);
    let answer = client
        .call(
            "ecs:RegisterTaskDefinition",
            &format!("register a revision of {}", registration.family),
            || {
                let body = registration.body.clone();
                call.clone()
                    .customize()
                    .mutate_request(move |request| {
                        *request.body_mut() = SdkBody::from(body.as_str());
                        request
                            .headers_mut()
                            .insert("content-length", body.len().to_string());
                    })
                    .send()
            },
        )
        .await?;
    let arn = answer
        .task_definition
        .and_then(|definition| definition.task_definition_arn)
        .ok_or_else(|| Error::failed("ECS registered a task definition without naming it"))?;
    let arn: TaskDefinitionArn = arn
        .parse()
        .context("ECS returned a task definition in an undocumented format")?;
    let differences = registration.differences(&client.definition(arn.as_str()).await?);
    if differences.is_empty() {
        return Ok(arn);
    }
    let differences = differences.into_iter();
    Err(Error::failed(format!(
        "{arn} is not what ECS was asked to register; the service was not changed"
    ))
    .with_causes(differences.map(|difference| format!("different: {}", difference.path)))
    .hint(format!(
        "compare: aws ecs describe-task-definition --task-definition {arn}"
    )))
}

/// Starts the deployment, or finds the one to verify; returns its ID.
///
/// # Errors
/// ECS refuses the update, or names no deployment of the revision.
pub(crate) async fn update(
    client: &Client,
    plan: &Plan,
    before: &Seen,
    task_definition: &TaskDefinitionArn,
) -> Result<String> {
    let (cluster, service) = (&client.cluster, &client.service);
    let found = if plan.update == Update::None {
        before.service.primary().map(|primary| primary.id.clone())
    } else {
        // Cluster, service and task definition only: whatever else is sent would be set, the
        // desired count above all. The same revision starts a new deployment only when it is forced to.
        let call = client
            .ecs
            .update_service()
            .cluster(cluster)
            .service(service)
            .task_definition(task_definition.as_str())
            .set_force_new_deployment((plan.update == Update::Again).then_some(true));
        let answer = client
            .call(
                "ecs:UpdateService",
                &format!("update service {service} in cluster {cluster}"),
                || call.clone().send(),
            )
            .await?;
        answer
            .service
            .and_then(|service| service.deployments)
            .unwrap_or_default()
            .into_iter()
            .find(|deployment| {
                deployment.status() == Some("PRIMARY")
                    && deployment.task_definition() == Some(task_definition.as_str())
            })
            .and_then(|deployment| deployment.id)
    };
    found.ok_or_else(|| {
        Error::failed(format!(
            "service {service} was updated to {} and ECS names no deployment of it",
            task_definition.name()
        ))
        .hint(status_hint(client))
    })
}

//! Asks ECS to roll back one deployment, and no other.

use ecs::{Client, Error};

/// The answer to that.
pub(crate) enum Stop {
    /// ECS took the request.
    Asked,
    /// There is nothing to roll back; with what was seen instead.
    Ended(String),
}

/// Asks for the rollback of `deployment`, if the service still works on it.
///
/// The record is read from the answer in which the deployment is the primary one, so it belongs to it and not to one that came
/// after. It is named in the request, and a deployment that was replaced meanwhile has ended: ECS then refuses.
///
/// # Errors
/// ECS does not answer, or refuses for another reason.
pub(crate) async fn stop(client: &Client, deployment: &str) -> Result<Stop, Error> {
    let service = client.service().await?;
    if service.primary().is_none_or(|it| it.id != deployment) {
        return Ok(Stop::Ended(format!(
            "deployment {deployment} is not the service's primary one any more"
        )));
    }
    let Some(record) = service.current else {
        return Ok(Stop::Ended(
            "ECS has no deployment of the service in progress".to_owned(),
        ));
    };
    match client.roll_back(&record).await {
        Ok(()) => Ok(Stop::Asked),
        Err(error) if error.code() == Some("ConflictException") => Ok(Stop::Ended(error.line())),
        Err(error) => Err(error),
    }
}

//! ECS's own record of a service's deployments.

use crate::client::Client;
use crate::convert::record_of;
use crate::error::Error;
use crate::history::NEWEST;
use crate::seen::{Record, Service};
use aws_sdk_ecs::types::{
    DeploymentLifecycleHookAction, ServiceDeployment, StopServiceDeploymentStopType,
};
use kit::aws::{Arn, TaskDefinitionArn};
use kit::error::Context;

/// The parts of ECS's record of a deployment that do not change, as far as earlier looks found them.
#[derive(Debug, Default)]
pub struct KnownRecord {
    /// The newest record before the deployment began, which is not its own although it may be of the same task definition.
    older: Option<Arn>,
    /// ARN of the record.
    arn: Option<Arn>,
    /// The service revision that ECS goes back to, and its task definition.
    rollback: Option<(String, TaskDefinitionArn)>,
}

impl KnownRecord {
    /// Of a deployment that began when this record was the newest one.
    pub fn after(older: Option<Arn>) -> Self {
        Self {
            older,
            ..Self::default()
        }
    }

    /// The newest record before the deployment began, where one is known.
    pub fn older(&self) -> Option<&Arn> {
        self.older.as_ref()
    }

    /// Returns true if this record of the same task definition may be the deployment's.
    fn takes(&self, newest: &Arn) -> bool {
        self.older.as_ref() != Some(newest)
    }
}

/// Returns true if a deployment whose record has this status is over (Amazon ECS API Reference, `ServiceDeployment`).
pub fn is_over(status: &str) -> bool {
    matches!(
        status,
        "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED"
    )
}

/// A deployment that ECS works on.
#[derive(Debug, Clone)]
pub struct InProgress {
    /// ARN of the record.
    pub arn: Arn,
    /// The record.
    pub record: Record,
    /// The task definition that it deploys, where ECS shows it.
    pub deploys: Option<TaskDefinitionArn>,
}

/// ECS's newest record, as far as it tells which deployment is the primary one.
pub(crate) struct NewestRecord {
    pub(crate) status: String,
    pub(crate) deploys: Option<TaskDefinitionArn>,
    /// The task definition that ECS goes back to, where it does.
    pub(crate) goes_back_to: Option<TaskDefinitionArn>,
}

impl Client {
    pub(crate) async fn newest_record(&self) -> Result<Option<NewestRecord>, Error> {
        let Some((arn, _)) = self.newest().await? else {
            return Ok(None);
        };
        let Some((record, deploys)) = self.record_at(&arn).await? else {
            return Ok(None);
        };
        Ok(Some(NewestRecord {
            status: record.status,
            deploys,
            goes_back_to: self.went_back_to(&arn).await?,
        }))
    }

    /// ECS's record of the deployment that runs `task_definition`, with the task definition that ECS goes back to, if it does.
    ///
    /// # Errors
    /// An account, region or role may lack this API.
    pub async fn record(
        &self,
        task_definition: &TaskDefinitionArn,
        known: &mut KnownRecord,
    ) -> Result<Option<Record>, Error> {
        if known.arn.is_none() {
            let found = self.find_record(task_definition).await?;
            known.arn = found.filter(|found| known.takes(found));
        }
        let Some(arn) = &known.arn else {
            return Ok(None);
        };
        let Some(found) = self.described_record(arn).await? else {
            return Ok(None);
        };
        let rollback = found.rollback.as_ref();
        let revision = rollback.and_then(|rollback| rollback.service_revision_arn.clone());
        let mut record = record_of(found);
        if let Some(revision) = revision {
            if known.rollback.as_ref().is_none_or(|it| it.0 != revision) {
                let found = self.revision(&revision).await?;
                known.rollback = found.map(|found| (revision, found));
            }
            record.rollback = known.rollback.as_ref().map(|it| it.1.clone());
        }
        Ok(Some(record))
    }

    /// ECS's record of the newest deployment, whatever it runs. A rollback shows nowhere else: the deployment that failed
    /// is gone from the service.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn last_record(&self) -> Result<Option<Record>, Error> {
        match self.newest().await? {
            Some((arn, _)) => Ok(self.described_record(&arn).await?.map(record_of)),
            None => Ok(None),
        }
    }

    /// The status of a deployment's record; `None` if ECS does not show it.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn status_of(&self, arn: &Arn) -> Result<Option<String>, Error> {
        Ok(self
            .described_record(arn)
            .await?
            .map(|it| record_of(it).status))
    }

    /// Asks ECS to stop a deployment and to go back to the version before it. ECS does so without a circuit breaker too
    /// (Amazon ECS Developer Guide, "Stop service deployments").
    ///
    /// # Errors
    /// ECS refuses; with `ConflictException` where the state of the deployment does not allow it, such as one that has ended.
    pub async fn roll_back(&self, arn: &Arn) -> Result<(), Error> {
        let call = self
            .ecs
            .stop_service_deployment()
            .service_deployment_arn(arn.as_str())
            .stop_type(StopServiceDeploymentStopType::Rollback);
        let doing = format!("roll back service deployment {arn}");
        self.call("ecs:StopServiceDeployment", &doing, || call.clone().send())
            .await?;
        Ok(())
    }

    /// The task definition to which ECS went back from the deployment with this record, if it did.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn went_back_to(&self, arn: &Arn) -> Result<Option<TaskDefinitionArn>, Error> {
        let found = self.described_record(arn).await?;
        let rollback = found.and_then(|found| found.rollback);
        match rollback.and_then(|rollback| rollback.service_revision_arn) {
            Some(revision) => self.revision(&revision).await,
            None => Ok(None),
        }
    }

    /// Answers the pause hook of a deployment, so that it goes on (Amazon ECS API Reference, `ContinueServiceDeployment`).
    ///
    /// # Errors
    /// ECS refuses, such as where the hook awaits no answer any more.
    pub async fn proceed(&self, arn: &Arn, hook: &str) -> Result<(), Error> {
        let call = self
            .ecs
            .continue_service_deployment()
            .service_deployment_arn(arn.as_str())
            .hook_id(hook)
            .action(DeploymentLifecycleHookAction::Continue);
        let doing = format!("continue service deployment {arn}");
        let answer = self.call("ecs:ContinueServiceDeployment", &doing, || {
            call.clone().send()
        });
        answer.await?;
        Ok(())
    }

    /// ECS's record with this ARN, and the task definition that it deploys.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn record_at(
        &self,
        arn: &Arn,
    ) -> Result<Option<(Record, Option<TaskDefinitionArn>)>, Error> {
        let Some(found) = self.described_record(arn).await? else {
            return Ok(None);
        };
        let target = found.target_service_revision.as_ref();
        let target = target.and_then(|target| target.arn.clone());
        let deploys = match target {
            Some(target) => self.revision(&target).await?,
            None => None,
        };
        Ok(Some((record_of(found), deploys)))
    }

    /// The deployment that ECS works on, with its record and the task definition that it deploys; `None` if it works on none.
    ///
    /// ECS names it at the service (`currentServiceDeployment`). That need not be there yet when a deployment has begun, nor be
    /// gone when it is over, so the record decides, and without a name the newest one.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn in_progress(&self, service: &Service) -> Result<Option<InProgress>, Error> {
        if let Some(arn) = &service.current
            && let Some(found) = self.unless_over(arn).await?
        {
            return Ok(Some(found));
        }
        match self.newest().await? {
            Some((arn, _)) if service.current.as_ref() != Some(&arn) => {
                self.unless_over(&arn).await
            }
            _ => Ok(None),
        }
    }

    async fn unless_over(&self, arn: &Arn) -> Result<Option<InProgress>, Error> {
        let found = self.record_at(arn).await?;
        let found = found.filter(|(record, _)| !is_over(&record.status));
        Ok(found.map(|(record, deploys)| InProgress {
            arn: arn.clone(),
            record,
            deploys,
        }))
    }

    pub(crate) async fn described_record(
        &self,
        arn: &Arn,
    ) -> Result<Option<ServiceDeployment>, Error> {
        let call = self
            .ecs
            .describe_service_deployments()
            .service_deployment_arns(arn.as_str());
        let answer = self
            .call(
                "ecs:DescribeServiceDeployments",
                &format!("describe service deployment {arn}"),
                || call.clone().send(),
            )
            .await?;
        let found = answer.service_deployments.unwrap_or_default();
        Ok(found.into_iter().next())
    }

    /// ECS's newest record of a deployment of the service.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn newest_arn(&self) -> Result<Option<Arn>, Error> {
        Ok(self.newest().await?.map(|(arn, _)| arn))
    }

    /// ARN and target revision of the newest deployment ECS has a record of.
    async fn newest(&self) -> Result<Option<(Arn, String)>, Error> {
        let newest = self.listed(NEWEST).await?.into_iter().next();
        Ok(newest.map(|it| (it.arn, it.revision)))
    }

    async fn find_record(&self, task_definition: &TaskDefinitionArn) -> Result<Option<Arn>, Error> {
        let Some((arn, revision)) = self.newest().await? else {
            return Ok(None);
        };
        let found = self.revision(&revision).await?;
        Ok((found.as_ref() == Some(task_definition)).then_some(arn))
    }

    /// The task definition of a service revision, if ECS shows it.
    async fn revision(&self, revision: &str) -> Result<Option<TaskDefinitionArn>, Error> {
        const ACTION: &str = "ecs:DescribeServiceRevisions";
        let call = self
            .ecs
            .describe_service_revisions()
            .service_revision_arns(revision);
        let doing = format!("describe the revisions of service {}", self.service);
        let answer = self.call(ACTION, &doing, || call.clone().send()).await?;
        let found = answer.service_revisions.unwrap_or_default().into_iter();
        let named = found.into_iter().next().and_then(|it| it.task_definition);
        let Some(named) = named else {
            return Ok(None);
        };
        let parsed: kit::error::Result<TaskDefinitionArn> = named
            .parse()
            .context("ECS returned a task definition in an undocumented format");
        let parsed = parsed.map_err(|error| Error::unreadable(ACTION, error))?;
        Ok(Some(parsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_an_earlier_deployment_of_the_same_revision_is_not_ours() {
        let arn = |id: &str| -> Arn {
            let arn =
                format!("arn:aws:ecs:eu-west-1:111111111111:service-deployment/main/web/{id}");
            arn.parse().unwrap()
        };
        let known = KnownRecord::after(Some(arn("1")));
        assert!(!known.takes(&arn("1")));
        assert!(known.takes(&arn("2")));
        assert!(KnownRecord::default().takes(&arn("1")));
    }
}

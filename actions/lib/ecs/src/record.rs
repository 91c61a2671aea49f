//! ECS's own record of a service's deployments.

use crate::client::Client;
use crate::convert::{arn, record_of};
use crate::error::Error;
use crate::seen::Record;
use aws_sdk_ecs::types::StopServiceDeploymentStopType;
use kit::aws::{Arn, TaskDefinitionArn};

impl Client {
    /// ECS's record of the deployment that runs `task_definition`. `known` is its ARN where an earlier look found it.
    ///
    /// # Errors
    /// An account, region or role may lack this API.
    pub async fn record(
        &self,
        task_definition: &TaskDefinitionArn,
        known: &mut Option<Arn>,
    ) -> Result<Option<Record>, Error> {
        if known.is_none() {
            *known = self.find_record(task_definition).await?;
        }
        match known {
            Some(arn) => self.record_at(arn).await,
            None => Ok(None),
        }
    }

    /// ECS's record of the newest deployment, whatever it runs. A rollback shows nowhere else: the deployment that failed
    /// is gone from the service.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn last_record(&self) -> Result<Option<Record>, Error> {
        match self.newest().await? {
            Some((arn, _)) => self.record_at(&arn).await,
            None => Ok(None),
        }
    }

    /// Asks ECS to stop a deployment and to go back to the version before it. ECS does so without a circuit breaker too
    /// (Amazon ECS Developer Guide, "Stop service deployments").
    ///
    /// # Errors
    /// ECS refuses; with `ConflictException` because the deployment has ended.
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

    async fn record_at(&self, arn: &Arn) -> Result<Option<Record>, Error> {
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
        Ok(found.into_iter().next().map(record_of))
    }

    /// ARN and target revision of the newest deployment ECS has a record of.
    async fn newest(&self) -> Result<Option<(Arn, String)>, Error> {
        const ACTION: &str = "ecs:ListServiceDeployments";
        let call = self
            .ecs
            .list_service_deployments()
            .cluster(&self.cluster)
            .service(&self.service);
        let answer = self
            .call(
                ACTION,
                &format!("list the deployments of service {}", self.service),
                || call.clone().send(),
            )
            .await?;
        let mut found: Vec<_> = answer
            .service_deployments
            .unwrap_or_default()
            .into_iter()
            .filter_map(|brief| {
                Some((
                    brief.created_at.map_or(0, |at| at.secs()),
                    brief.service_deployment_arn?,
                    brief.target_service_revision_arn?,
                ))
            })
            .collect();
        found.sort();
        let Some((_, named, revision)) = found.pop() else {
            return Ok(None);
        };
        let arn = arn(Some(named), "a service deployment");
        let arn = arn.map_err(|error| Error::unreadable(ACTION, error))?;
        Ok(Some((arn, revision)))
    }

    async fn find_record(&self, task_definition: &TaskDefinitionArn) -> Result<Option<Arn>, Error> {
        let Some((arn, revision)) = self.newest().await? else {
            return Ok(None);
        };
        let call = self
            .ecs
            .describe_service_revisions()
            .service_revision_arns(revision);
        let answer = self
            .call(
                "ecs:DescribeServiceRevisions",
                &format!("describe the revisions of service {}", self.service),
                || call.clone().send(),
            )
            .await?;
        let revisions = answer.service_revisions.unwrap_or_default();
        let ours = revisions
            .iter()
            .any(|revision| revision.task_definition() == Some(task_definition.as_str()));
        Ok(ours.then_some(arn))
    }
}

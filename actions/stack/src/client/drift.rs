//! The calls that list a stack's resources and compare them with its template.

use super::Client;
use super::convert::{time, word};
use aws_sdk_cloudformation::types::{
    StackResourceDrift, StackResourceDriftStatus, StackResourceSummary,
};
use kit::error::{Error, Result};

/// How a detection stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Detection {
    /// `DETECTION_IN_PROGRESS`, `DETECTION_COMPLETE` or `DETECTION_FAILED`.
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    /// `IN_SYNC`, `DRIFTED` or another, once it is complete.
    pub(crate) drift: Option<String>,
}

/// A resource that is not as the template says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Drifted {
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) kind: String,
    /// `MODIFIED` or `DELETED`.
    pub(crate) status: String,
    pub(crate) differences: Vec<Difference>,
    pub(crate) at: Option<String>,
}

/// A resource of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) kind: String,
    pub(crate) status: String,
    /// `IN_SYNC`, `MODIFIED`, `DELETED`, `NOT_CHECKED` or another; empty if there was no detection.
    pub(crate) drift: String,
}

/// One property that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// A JSON pointer within the properties.
    pub(crate) path: String,
    pub(crate) expected: Option<String>,
    pub(crate) actual: Option<String>,
}

impl Client {
    /// Begins to compare a stack's resources with its template; returns the detection's ID.
    pub(crate) async fn detect_drift(&self, stack: &str) -> Result<String> {
        let call = async || self.api.detect_stack_drift().stack_name(stack).send().await;
        let action = format!("detect the drift of the stack {stack}");
        let answer = self.retried(&action, call).await?;
        answer
            .stack_drift_detection_id
            .ok_or_else(|| Error::failed("CloudFormation did not name the drift detection"))
    }

    /// How a detection stands.
    pub(crate) async fn detection(&self, id: &str) -> Result<Detection> {
        let call = async || {
            let call = self.api.describe_stack_drift_detection_status();
            call.stack_drift_detection_id(id).send().await
        };
        let answer = self.retried("describe the drift detection", call).await?;
        Ok(Detection {
            status: word(answer.detection_status).unwrap_or_default(),
            reason: answer.detection_status_reason,
            drift: word(answer.stack_drift_status),
        })
    }

    /// The resources that a detection found to differ.
    pub(crate) async fn drifted(&self, stack: &str) -> Result<Vec<Drifted>> {
        let (mut found, mut next) = (Vec::new(), None);
        let action = format!("describe the drift of the stack {stack}");
        loop {
            let call = async || {
                let call = self.api.describe_stack_resource_drifts().stack_name(stack);
                call.stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
                    .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
                    .set_next_token(next.clone())
                    .send()
                    .await
            };
            let page = self.retried(&action, call).await?;
            found.extend(
                page.stack_resource_drifts
                    .unwrap_or_default()
                    .into_iter()
                    .map(drifted),
            );
            next = page.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// The resources of a stack that are there or were begun.
    pub(crate) async fn resources(&self, stack: &str) -> Result<Vec<Resource>> {
        let found = self.summaries(stack).await?.into_iter();
        Ok(found
            .map(|found| {
                let drift = found.drift_information;
                let drift = drift.and_then(|drift| drift.stack_resource_drift_status);
                Resource {
                    logical_id: found.logical_resource_id.unwrap_or_default(),
                    physical_id: found.physical_resource_id,
                    kind: found.resource_type.unwrap_or_default(),
                    status: word(found.resource_status).unwrap_or_default(),
                    drift: word(drift).unwrap_or_default(),
                }
            })
            .collect())
    }

    async fn summaries(&self, stack: &str) -> Result<Vec<StackResourceSummary>> {
        let (mut found, mut next) = (Vec::new(), None);
        let action = format!("list the resources of the stack {stack}");
        loop {
            let call = async || {
                let call = self.api.list_stack_resources().stack_name(stack);
                call.set_next_token(next.clone()).send().await
            };
            let page = self.retried(&action, call).await?;
            found.extend(page.stack_resource_summaries.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}

fn drifted(drift: StackResourceDrift) -> Drifted {
    Drifted {
        logical_id: drift.logical_resource_id.unwrap_or_default(),
        physical_id: drift.physical_resource_id,
        kind: drift.resource_type.unwrap_or_default(),
        status: word(drift.stack_resource_drift_status).unwrap_or_default(),
        differences: drift
            .property_differences
            .unwrap_or_default()
            .into_iter()
            .map(|difference| Difference {
                path: difference.property_path.unwrap_or_default(),
                expected: difference.expected_value,
                actual: difference.actual_value,
            })
            .collect(),
        at: time(drift.timestamp),
    }
}

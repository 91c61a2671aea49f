//! The lock item in DynamoDB: taken, looked at and given back, each conditionally.
//! Source: terraform `internal/backend/remote-state/s3/client.go`.

use crate::info::LockInfo;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use kit::error::{Error, Result};
use net::AwsContext;
use std::collections::HashMap;

type Item = HashMap<String, AttributeValue>;

/// The lock of one state object.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    pub(crate) client: Client,
    pub(crate) table: String,
    /// `bucket/key`, the item's key.
    pub(crate) id: String,
}

/// What stands at the lock's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A lock in Terraform's form, and the run that holds it if it is one of ours.
    Known {
        info: Box<LockInfo>,
        run: Option<String>,
    },
    /// An item without readable `Info`, which Terraform cannot unlock either.
    Unreadable,
}

/// How an attempt to take the lock ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    Taken,
    Held(Holder),
}

/// How giving it back ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// It was ours and is gone.
    Released,
    /// Nothing was there.
    Absent,
    /// Somebody else's stands there.
    NotOurs(Holder),
}

impl Lock {
    /// One conditional write. An item with our own ID counts as taken: the answer to an earlier
    /// attempt was lost, and the SDK tried again.
    ///
    /// # Errors
    /// DynamoDB's, with the table named.
    pub(crate) async fn take(&self, info: &LockInfo, run: Option<&str>) -> Result<Attempt> {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let mut item = Item::from([
            ("LockID".to_owned(), text(&self.id)),
            ("Info".to_owned(), text(&info.to_json())),
        ]);
        if let Some(run) = run {
            // Apart from `Info`, which has to stay Terraform's own.
            item.insert("SlipwayRun".to_owned(), text(run));
        }
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(LockID)")
            // The holder comes with the refusal, so that it cannot slip away between two calls.
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Attempt::Taken),
            Err(error) => match refused(&error) {
                Some(item) => match holder(item) {
                    Holder::Known { info: held, .. } if held.id == info.id => Ok(Attempt::Taken),
                    held => Ok(Attempt::Held(held)),
                },
                None => Err(self.not_taken(&error)),
            },
        }
    }

    /// The command that gives the lock back, as it can be typed.
    pub(crate) fn unlock_command(&self, id: &str) -> String {
        let (bucket, key) = self.id.split_once('/').unwrap_or((&self.id, ""));
        format!(
            "slipway-state unlock --lock-id {id} --bucket {bucket} --key {key} --table {}",
            self.table
        )
    }

    /// Who stands there now.
    ///
    /// # Errors
    /// DynamoDB's.
    pub(crate) async fn look(&self) -> Result<Option<Holder>> {
        Ok(self.item().await?.as_ref().map(holder))
    }

    /// Removes the item if it holds the lock `id`, on the condition of the very bytes seen.
    ///
    /// # Errors
    /// DynamoDB's.
    pub(crate) async fn release(&self, id: &str) -> Result<Release> {
        let Some(item) = self.item().await? else {
            return Ok(Release::Absent);
        };
        let held = holder(&item);
        let (Holder::Known { info, .. }, Some(bytes)) = (&held, item.get("Info")) else {
            return Ok(Release::NotOurs(held));
        };
        if info.id != id {
            return Ok(Release::NotOurs(held));
        }
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("LockID", AttributeValue::S(self.id.clone()))
            .condition_expression("Info = :info")
            .expression_attribute_values(":info", bytes.clone())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Release::Released),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(match self.look().await? {
                    Some(other) => Release::NotOurs(other),
                    None => Release::Absent,
                })
            }
            Err(error) => Err(error).cannot(format!("release {} in {}", self.id, self.table)),
        }
    }

    async fn item(&self) -> Result<Option<Item>> {
        Ok(self
            .client
            .get_item()
            .table_name(&self.table)
            .key("LockID", AttributeValue::S(self.id.clone()))
            .consistent_read(true)
            .send()
            .await
            .cannot(format!("read {} in {}", self.id, self.table))?
            .item)
    }

    fn not_taken(&self, error: &SdkError<PutItemError>) -> Error {
        let failed = net::cannot(error, &format!("take the lock in {}", self.table));
        if net::code(error) == Some("ResourceNotFoundException") {
            return failed
                .hint(
                    "are account and region the right ones? A second table would be a second lock",
                )
                .hint("if it was never made: slipway-state bootstrap");
        }
        failed
    }
}

/// The item that refused a conditional write, if that is why it failed.
fn refused(error: &SdkError<PutItemError>) -> Option<&Item> {
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(refusal) => refusal.item(),
        _ => None,
    }
}

fn holder(item: &Item) -> Holder {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    match text("Info").and_then(|info| LockInfo::from_json(info)) {
        Some(info) => Holder::Known {
            info: Box::new(info),
            run: text("SlipwayRun").cloned(),
        },
        None => Holder::Unreadable,
    }
}

impl Holder {
    /// Whether this is the lock `id`.
    pub(crate) fn is(&self, id: &str) -> bool {
        matches!(self, Holder::Known { info, .. } if info.id == id)
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Holder::Known { info, run } => {
                write!(
                    f,
                    "{} ({}) since {}, lock ID {}",
                    info.who, info.operation, info.created, info.id
                )?;
                match run {
                    Some(run) => write!(f, ", {run}"),
                    None if info.info.is_empty() => Ok(()),
                    None => write!(f, ", {}", info.info),
                }
            }
            Holder::Unreadable => f.write_str("an item without readable lock information"),
        }
    }
}

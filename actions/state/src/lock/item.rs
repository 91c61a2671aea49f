//! The lock's item in DynamoDB.

use super::seen::{Changed, Held, ObservedItem, Put, Record, Release, Witness};
use crate::info::LockInfo;
use crate::lease::Lease;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use kit::backoff::doubling;
use kit::error::{Failure, Result};
use net::AwsContext;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::time::Duration;

pub(super) type Attributes = HashMap<String, AttributeValue>;

/// The lock item's location.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) client: Client,
    pub(crate) table: String,
    /// The item's key.
    pub(crate) id: String,
}

impl ObservedItem {
    /// The item as the write of `record` left it.
    pub(super) fn of(record: &Record) -> Self {
        Self {
            info: Some(record.info.to_json()),
            rvn: Some(record.lease.rvn.clone()),
        }
    }

    /// The condition that the item is still like this.
    fn condition(&self) -> (String, Option<Attributes>) {
        let mut parts = vec!["attribute_exists(LockID)".to_owned()];
        let mut values = Attributes::new();
        for (name, value) in [("Info", &self.info), ("Rvn", &self.rvn)] {
            match value {
                Some(value) => {
                    let placeholder = format!(":{}", name.to_lowercase());
                    parts.push(format!("{name} = {placeholder}"));
                    values.insert(placeholder, text(value));
                }
                None => parts.push(format!("attribute_not_exists({name})")),
            }
        }
        (
            parts.join(" AND "),
            Some(values).filter(|values| !values.is_empty()),
        )
    }
}

/// How often a release that got no answer is tried again.
const RELEASES: usize = 3;

impl Item {
    pub(crate) fn queue_id(&self) -> String {
        format!("{}#q", self.id)
    }

    /// One conditional write. An item with our own ID counts as taken: the answer to an earlier
    /// attempt was lost, and the SDK tried again. No transaction: one under way would make
    /// DynamoDB refuse what Terraform writes at that moment, its unlock among it.
    pub(super) async fn put_new(&self, record: &Record) -> Result<Put> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(self.attributes(record)))
            .condition_expression("attribute_not_exists(LockID)")
            // The refusal returns the holder, which could be gone before a second call.
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match answer {
            Ok(_) => return Ok(Put::Taken),
            Err(error) => error,
        };
        if let Some(PutItemError::ConditionalCheckFailedException(refusal)) =
            error.as_service_error()
        {
            let held = held_item(&refusal.item().cloned().unwrap_or_default());
            return Ok(if held.is(record) {
                Put::Taken
            } else {
                Put::Held(held)
            });
        }
        let failed = net::cannot(error, &format!("take the lock in {}", self.table));
        Err(if failed.failure() == Some(Failure::Missing) {
            failed
                .hint("check account and region: a second table would be a second lock")
                .hint("if it was never created: slipway-state bootstrap")
        } else {
            failed
        })
    }

    pub(super) async fn read(&self) -> Result<Option<Held>> {
        Ok(get(&self.client, &self.table, &self.id)
            .await?
            .as_ref()
            .map(held_item))
    }

    /// Replaces `seen` by `record` with a conditional write of the whole item, because Terraform does not have the
    /// permission that an update needs.
    pub(super) async fn replace(&self, seen: &ObservedItem, record: &Record) -> Result<Changed> {
        let (condition, values) = seen.condition();
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(self.attributes(record)))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Changed::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                    let held = refusal.item().map(held_item);
                    // The answer to an earlier attempt was lost.
                    Ok(match held {
                        Some(held) if held.is_exactly(record) => Changed::Done,
                        held => Changed::Moved(held),
                    })
                }
                _ => Err(error).cannot(format!("renew {} in {}", self.id, self.table)),
            },
        }
    }

    /// Removes the item that was seen, with the lock ID `id`. The SDK does not try this one again by itself: after an
    /// answer that was lost, that nothing is there any more is our own doing, and otherwise not.
    pub(super) async fn remove(&self, seen: &ObservedItem, id: &str) -> Result<Changed> {
        let (condition, values) = seen.condition();
        let once = aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled());
        let mut unanswered = None;
        let mut pauses = doubling(Duration::from_millis(200), Duration::from_secs(2), RELEASES);
        loop {
            let answer = self
                .client
                .delete_item()
                .table_name(&self.table)
                .key("LockID", text(&self.id))
                .condition_expression(&condition)
                .set_expression_attribute_values(values.clone())
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .customize()
                .config_override(once.clone())
                .send()
                .await;
            let error = match answer {
                Ok(_) => return Ok(Changed::Done),
                Err(error) => error,
            };
            if let Some(DeleteItemError::ConditionalCheckFailedException(refusal)) =
                error.as_service_error()
            {
                return Ok(match refusal.item().map(held_item) {
                    // Somebody who waited may have it already.
                    held if unanswered.is_some()
                        && held.as_ref().is_none_or(|held| held.id() != id) =>
                    {
                        Changed::Done
                    }
                    held => Changed::Moved(held),
                });
            }
            // Nothing was removed. The SDK measured how far the clock is off, which may have jumped while the command ran, and
            // signs the next attempt with AWS's time.
            let skewed = net::failure(&error) == Failure::Skewed;
            let refused = !skewed
                && error.raw_response().is_some_and(|response| {
                    response.status().as_u16() < 500
                        && net::code(&error).is_some_and(|code| !is_transient(code))
                });
            let failure = Err(error).cannot(format!("release {} in {}", self.id, self.table));
            if refused {
                return failure;
            }
            let Some(pause) = pauses.next() else {
                return failure;
            };
            if !skewed {
                unanswered = Some(failure);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Removes the item if it is the one that `record` wrote: one call where nothing went wrong.
    pub(super) async fn remove_ours(&self, record: &Record) -> Result<Release> {
        let mut observed = ObservedItem::of(record);
        let mut tries = 0;
        loop {
            let held = match self.remove(&observed, &record.info.id).await? {
                Changed::Done => return Ok(Release::Released),
                Changed::Moved(None) => return Ok(Release::Absent),
                Changed::Moved(Some(held)) => held,
            };
            tries += 1;
            match &held.witness {
                // Ours with another number: a renewal whose answer never came.
                Witness::Item(now) if held.is(record) && tries < 3 => observed = now.clone(),
                _ => return Ok(Release::NotOurs(held)),
            }
        }
    }

    fn attributes(&self, record: &Record) -> Attributes {
        let mut item = attributes(&record.lease);
        item.insert("LockID".to_owned(), text(&self.id));
        item.insert("Info".to_owned(), text(&record.info.to_json()));
        item
    }
}

/// Returns true if the same call may succeed a moment later (DynamoDB Developer Guide, "Error handling").
pub(super) fn is_transient(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "InternalServerError"
                | "TransactionConflictException"
        )
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn attributes(lease: &Lease) -> Attributes {
    lease
        .fields()
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::String(value) => Some((name, AttributeValue::S(value))),
            Value::Number(value) => Some((name, AttributeValue::N(value.to_string()))),
            _ => None,
        })
        .collect()
}

pub(super) fn lease(item: &Attributes) -> Option<Lease> {
    let mut fields = Map::new();
    for (name, value) in item {
        let value = match value {
            AttributeValue::S(value) => Value::String(value.clone()),
            AttributeValue::N(value) => match value.parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => continue,
            },
            _ => continue,
        };
        fields.insert(name.clone(), value);
    }
    Lease::from_fields(fields)
}

fn held_item(item: &Attributes) -> Held {
    let attribute = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let info = attribute("Info");
    Held {
        info: info.as_deref().and_then(LockInfo::from_json).map(Box::new),
        lease: lease(item).map(Box::new),
        witness: Witness::Item(ObservedItem {
            info,
            rvn: attribute("Rvn"),
        }),
    }
}

pub(super) async fn get(client: &Client, table: &str, id: &str) -> Result<Option<Attributes>> {
    Ok(client
        .get_item()
        .table_name(table)
        .key("LockID", text(id))
        .consistent_read(true)
        .send()
        .await
        .cannot(format!("read {id} in {table}"))?
        .item)
}

/// Why a transaction of two writes was cancelled: for each write whose condition failed, the item that was there. Two
/// times `None`: it conflicted with another transaction. `None`: it failed for another reason.
pub(super) fn cancelled<R>(
    error: &SdkError<aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError, R>,
) -> Option<[Option<Attributes>; 2]> {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as Failed;
    let reasons = match error.as_service_error()? {
        Failed::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
        Failed::TransactionInProgressException(_) => return Some([None, None]),
        _ => return None,
    };
    let mut found = [None, None];
    let mut conflict = false;
    for (reason, found) in reasons.iter().zip(&mut found) {
        match reason.code() {
            Some("ConditionalCheckFailed") => {
                *found = Some(reason.item().cloned().unwrap_or_default());
            }
            Some("TransactionConflict") => conflict = true,
            _ => {}
        }
    }
    (conflict || found.iter().any(Option::is_some)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Phase;
    use crate::lease::tests::lease as sample;

    #[test]
    fn a_lease_survives_the_table_beside_somebody_elses_attributes() {
        let wanted = sample(Phase::Parked);
        let mut item = attributes(&wanted);
        item.insert("LockID".into(), text("b/k"));
        item.insert("Info".into(), text("{}"));
        item.insert("Extra".into(), AttributeValue::Bool(true));
        assert_eq!(lease(&item), Some(wanted));
    }

    #[test]
    fn a_write_is_conditional_on_exactly_what_was_seen() {
        let seen = |info: Option<&str>, rvn: Option<&str>| ObservedItem {
            info: info.map(str::to_owned),
            rvn: rvn.map(str::to_owned),
        };
        for (info, rvn, wanted) in [
            (
                Some("i"),
                Some("r"),
                "attribute_exists(LockID) AND Info = :info AND Rvn = :rvn",
            ),
            (
                Some("i"),
                None,
                "attribute_exists(LockID) AND Info = :info AND attribute_not_exists(Rvn)",
            ),
            (
                None,
                None,
                "attribute_exists(LockID) AND attribute_not_exists(Info) AND attribute_not_exists(Rvn)",
            ),
        ] {
            assert_eq!(seen(info, rvn).condition().0, wanted);
        }
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for code in [
            "ThrottlingException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "InternalServerError",
            "TransactionConflictException",
        ] {
            assert!(is_transient(code), "{code}");
        }
        for code in ["AccessDeniedException", "ResourceNotFoundException"] {
            assert!(!is_transient(code), "{code}");
        }
    }
}

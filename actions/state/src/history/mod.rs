//! What stood in the bucket: versions of the state, the digest Terraform compares it with, and the
//! way back to an earlier version.

pub(crate) mod args;
mod difference;
mod digest;
mod report;
mod rollback;
mod versions;

pub(crate) use digest::{repair, verify};
pub(crate) use rollback::rollback;
pub(crate) use versions::versions;

use crate::hold::Holding;
use crate::lock::Item;
use crate::object::{Objects, StateFile, kept_digest};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use kit::error::{Error, Result};
use net::AwsContext;

/// The lock's item, beside which the digest is.
fn item<'a>(item: &'a Option<Item>, what: &str) -> Result<&'a Item> {
    item.as_ref().ok_or_else(|| {
        Error::usage(format!("without a lock table there is no digest to {what}"))
            .hint("Terraform keeps one only where it locks by a table")
    })
}

/// Writes the digest of `state`, in one transaction with the proof that this run holds the lock.
///
/// # Errors
/// DynamoDB's, or a lock that was taken away (exit 1).
async fn write_digest(holding: &Holding<'_>, item: &Item, state: &StateFile) -> Result<()> {
    let text = |value: String| AttributeValue::S(value);
    let bad = |error| Error::failed("bad request").because(&error);
    let proof = ConditionCheck::builder()
        .table_name(&item.table)
        .key("LockID", text(item.id.clone()))
        .condition_expression("Info = :info")
        .expression_attribute_values(":info", text(holding.info().to_json()))
        .build()
        .map_err(bad)?;
    let digest = Put::builder()
        .table_name(&item.table)
        .item("LockID", text(format!("{}-md5", item.id)))
        .item("Digest", text(state.digest()))
        .build()
        .map_err(bad)?;
    item.client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().condition_check(proof).build())
        .transact_items(TransactWriteItem::builder().put(digest).build())
        .send()
        .await
        .cannot(format!(
            "write the digest {}-md5 in {}",
            item.id, item.table
        ))
        .map(drop)
}

/// Looks at the source: the state is `wanted` and its digest says so.
///
/// # Errors
/// It is not (exit 1).
async fn stands(objects: &Objects, item: Option<&Item>, wanted: &StateFile) -> Result<()> {
    let found = objects.read(None).await?;
    if found.as_ref().map(|it| &it.bytes) != Some(&wanted.bytes) {
        return Err(Error::failed(format!(
            "{} is not what was written a moment ago",
            objects.name()
        ))
        .hint("somebody writes without the lock: slipway-state versions"));
    }
    if let Some(item) = item
        && kept_digest(item).await? != Some(wanted.digest())
    {
        return Err(Error::failed(format!(
            "the digest of {} is not what was written a moment ago",
            objects.name()
        ))
        .hint("slipway-state verify-digest says how they stand"));
    }
    Ok(())
}

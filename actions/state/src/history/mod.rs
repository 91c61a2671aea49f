//! The history of a state in its bucket: its versions, the digest Terraform compares it with, and the rollback to an earlier version.

mod agree;
pub(crate) mod args;
mod difference;
mod digest;
mod report;
mod rollback;
mod seen;
mod versions;

pub(crate) use agree::{explained, require_agreement, warn_of_missing};
pub(crate) use digest::{repair, verify};
pub(crate) use rollback::rollback;
pub(crate) use versions::versions;

use crate::hold::HeldLock;
use crate::lock::Item;
use crate::object::{Objects, StateFile, kept_digest};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem};
use kit::error::{Error, Result};
use net::AwsContext;

/// The lock's item, beside which the digest is.
fn item<'a>(item: Option<&'a Item>, action: &str) -> Result<&'a Item> {
    item.ok_or_else(|| {
        Error::usage(format!(
            "without a lock table there is no digest to {action}"
        ))
        .hint("Terraform keeps one only where it locks by a table")
    })
}

/// A change of the digest, as one part of a transaction.
enum Change<'a> {
    /// Written, whatever it was before.
    Write(&'a StateFile),
    /// Written, if it is still what was seen.
    Replace(Option<&'a str>, &'a StateFile),
    /// Removed, if it is still what was seen.
    Remove(&'a str),
}

/// Changes the digest, in one transaction with the proof that this run holds the lock.
///
/// # Errors
/// DynamoDB's, a digest that is another by now, or a lock that was removed (exit 1).
async fn change_digest(held_lock: &HeldLock<'_>, item: &Item, change: Change<'_>) -> Result<()> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let bad = |error| Error::failed("bad request").because(error);
    let (table, id) = (&item.table, format!("{}-md5", item.id));
    let proof = ConditionCheck::builder()
        .table_name(table)
        .key("LockID", text(&item.id))
        .condition_expression("Info = :info")
        .expression_attribute_values(":info", text(&held_lock.info().to_json()))
        .build()
        .map_err(bad)?;
    let put = |state: &StateFile| {
        Put::builder()
            .table_name(table)
            .item("LockID", text(&id))
            .item("Digest", text(&state.digest()))
    };
    let step = TransactWriteItem::builder();
    let step = match change {
        Change::Write(state) => step.put(put(state).build().map_err(bad)?),
        Change::Replace(seen, state) => {
            let put = put(state)
                .condition_expression(match seen {
                    Some(_) => "Digest = :seen",
                    None => "attribute_not_exists(Digest) OR Digest = :seen",
                })
                .expression_attribute_values(":seen", text(seen.unwrap_or_default()));
            step.put(put.build().map_err(bad)?)
        }
        Change::Remove(seen) => {
            let delete = Delete::builder()
                .table_name(table)
                .key("LockID", text(&id))
                .condition_expression("Digest = :seen")
                .expression_attribute_values(":seen", text(seen));
            step.delete(delete.build().map_err(bad)?)
        }
    };
    item.client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().condition_check(proof).build())
        .transact_items(step.build())
        .send()
        .await
        .cannot(format!("change the digest {id} in {table}"))
        .map(drop)
}

/// Reads the bucket and the table again: the state is `wanted`, and the digest is that of `wanted`.
///
/// # Errors
/// It is not (exit 1).
async fn verify_written(objects: &Objects, item: Option<&Item>, wanted: &StateFile) -> Result<()> {
    let found = objects.read().await?;
    if found.as_ref().map(|it| &it.bytes) != Some(&wanted.bytes) {
        return Err(Error::failed(format!(
            "{} changed right after this step wrote it",
            objects.name()
        ))
        .hint(format!(
            "another client writes without the lock; list the versions: {}",
            objects.command("versions")
        )));
    }
    if let Some(item) = item
        && kept_digest(item).await? != Some(wanted.digest())
    {
        return Err(Error::failed(format!(
            "the digest of {} changed right after this step wrote it",
            objects.name()
        ))
        .hint(format!(
            "compare them: {}",
            objects.command("verify-digest")
        )));
    }
    Ok(())
}

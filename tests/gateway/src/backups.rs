//! Point-in-time recovery, which DynamoDB Local does not know: whether it is on is remembered here, nothing is recovered.
//! Source: DynamoDB API reference, `UpdateContinuousBackups` and `DescribeContinuousBackups`.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::answer::Answer;
use crate::error::AwsError;
use crate::lock;

/// How long after a table was made recovery cannot be turned on yet. In AWS it takes a while.
const UNAVAILABLE: f64 = 1.5;
/// The age up to which a table counts as new: the first call is refused, however long the caller needed for it.
const NEW: f64 = 600.0;

/// The tables that have it on, and those that were refused once, with account and region in front of their names.
#[derive(Default)]
pub(crate) struct Backups(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    /// With the days that they can be recovered to.
    on: HashMap<String, u64>,
    refused: HashSet<String>,
}

/// Answers either call; `table` is what DynamoDB Local says of the table.
pub(crate) fn answer(
    backups: &Backups,
    operation: &str,
    input: &Value,
    table: &Answer,
) -> Result<Answer, AwsError> {
    let name = input["TableName"].as_str().unwrap_or_default().to_owned();
    let described: Value = serde_json::from_str(&table.text()).unwrap_or_default();
    if !table.status.is_success() {
        return Err(AwsError::new(
            400,
            "TableNotFoundException",
            "Table not found",
        ));
    }
    if operation == "UpdateContinuousBackups" {
        let made = described["Table"]["CreationDateTime"]
            .as_f64()
            .unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() as f64 / 1e9;
        let age = now - made;
        let mut tables = lock(&backups.0);
        let first = tables.refused.insert(name.clone());
        if age < UNAVAILABLE || (age < NEW && first) {
            return Err(AwsError::new(
                400,
                "ContinuousBackupsUnavailableException",
                "Backups are being enabled for the table. Please retry later",
            ));
        }
        let on = input["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] == true;
        if on {
            let days = &input["PointInTimeRecoverySpecification"]["RecoveryPeriodInDays"];
            tables.on.insert(name.clone(), days.as_u64().unwrap_or(35));
        } else {
            tables.on.remove(&name);
        }
    }
    let recovery = match lock(&backups.0).on.get(&name) {
        Some(days) => json!({"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": days}),
        None => json!({"PointInTimeRecoveryStatus": "DISABLED"}),
    };
    Ok(Answer::json(&json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": recovery,
    }})))
}

//! The lock table's parts: looked at and made.

use super::{Finding, Found, Part, Site, bad, change, retry, unread};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    ScalarAttributeType, TableDescription, TableStatus,
};
use kit::backoff::spread;
use kit::error::{Error, Result};
use std::time::Duration;

/// The one key that Terraform's items have (terraform `internal/backend/remote-state/s3/client.go`).
const KEY: &str = "LockID";

impl Site<'_> {
    pub(super) async fn look_at_table(&self) -> Result<Vec<Finding>> {
        let table = &self.store.table;
        let answer = self
            .dynamodb
            .describe_table()
            .table_name(table)
            .send()
            .await;
        let found = match answer {
            Ok(answer) => answer.table,
            Err(error) if net::code(&error) == Some("ResourceNotFoundException") => {
                let none = |part| (part, Found::Missing("there is no table".to_owned()));
                return Ok(vec![
                    (Part::Table, Found::Missing("there is none".to_owned())),
                    none(Part::Recovery),
                    none(Part::Protected),
                ]);
            }
            Err(error) => {
                let unknown = unread(error, "dynamodb:DescribeTable", "the lock table")?;
                return Ok(vec![(Part::Table, unknown)]);
            }
        };
        let Some(found) = found else {
            return Err(Error::failed(format!(
                "DynamoDB's answer does not describe {table}"
            )));
        };
        let is = found
            .table_status
            .as_ref()
            .map_or("no status", TableStatus::as_str);
        let there = if has_the_key(&found) {
            Found::of(found.table_status == Some(TableStatus::Active), table, is)
        } else {
            Found::Wrong(format!(
                "{table} has another key; a table's key cannot be changed"
            ))
        };
        let mode = found
            .billing_mode_summary
            .as_ref()
            .and_then(|it| it.billing_mode.clone())
            .unwrap_or(BillingMode::Provisioned);
        let protected = found.deletion_protection_enabled == Some(true);
        Ok(vec![
            (Part::Table, there),
            (
                Part::Billing,
                Found::of(
                    mode == BillingMode::PayPerRequest,
                    mode.as_str(),
                    mode.as_str(),
                ),
            ),
            (Part::Recovery, self.recovery().await?),
            (Part::Protected, Found::of(protected, "on", "off")),
        ])
    }

    async fn recovery(&self) -> Result<Found> {
        let answer = self
            .dynamodb
            .describe_continuous_backups()
            .table_name(&self.store.table)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let status = answer
                    .continuous_backups_description
                    .and_then(|it| it.point_in_time_recovery_description)
                    .and_then(|it| it.point_in_time_recovery_status);
                let on = status.is_some_and(|status| status.as_str() == "ENABLED");
                Ok(Found::of(on, "on", "off"))
            }
            Err(error) => unread(
                error,
                "dynamodb:DescribeContinuousBackups",
                "the lock table's backups",
            ),
        }
    }

    pub(super) async fn make_of_table(&self, part: Part) -> Result<()> {
        let table = &self.store.table;
        let operation = format!("{} ({table})", part.act());
        match part {
            Part::Table => self.create_table().await?,
            Part::Recovery => {
                let on = PointInTimeRecoverySpecification::builder()
                    .point_in_time_recovery_enabled(true)
                    .build()
                    .map_err(bad)?;
                let call = self
                    .dynamodb
                    .update_continuous_backups()
                    .table_name(table)
                    .point_in_time_recovery_specification(on);
                change(&operation, async || call.clone().send().await).await?;
            }
            _ => {
                let call = self.dynamodb.update_table().table_name(table);
                let call = match part {
                    Part::Billing => call.billing_mode(BillingMode::PayPerRequest),
                    _ => call.deletion_protection_enabled(true),
                };
                change(&operation, async || call.clone().send().await).await?;
            }
        }
        // A table that is being changed takes no other change.
        self.ready().await
    }

    async fn create_table(&self) -> Result<()> {
        let table = &self.store.table;
        let call = self
            .dynamodb
            .create_table()
            .table_name(table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(KEY)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .map_err(bad)?,
            )
            .key_schema(
                KeySchemaElement::builder()
                    .attribute_name(KEY)
                    .key_type(KeyType::Hash)
                    .build()
                    .map_err(bad)?,
            );
        match call.send().await {
            Ok(_) => Ok(()),
            // Another run was faster.
            Err(error) if net::code(&error) == Some("ResourceInUseException") => Ok(()),
            Err(error) => Err(net::cannot(error, &format!("create the table {table}"))),
        }
    }

    async fn ready(&self) -> Result<()> {
        let table = &self.store.table;
        let operation = format!("look at the table {table}");
        for _ in 0..60 {
            let call = self.dynamodb.describe_table().table_name(table);
            let answer = retry(&operation, async || call.clone().send().await);
            let status = answer.await?.table.and_then(|it| it.table_status);
            if status == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(spread(Duration::from_secs(2))).await;
        }
        Err(Error::failed(format!(
            "the table {table} was not ready after a minute"
        )))
    }
}

fn has_the_key(table: &TableDescription) -> bool {
    let keys = table.key_schema();
    let text = table
        .attribute_definitions()
        .iter()
        .any(|it| it.attribute_name == KEY && it.attribute_type == ScalarAttributeType::S);
    text && keys.len() == 1 && keys[0].attribute_name == KEY && keys[0].key_type == KeyType::Hash
}

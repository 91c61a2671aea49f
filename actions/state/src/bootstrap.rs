//! Bucket and table as state needs them. Each part is looked at and then brought to what it
//! should be, so that two runs at once, or one that died half way, end the same.

use crate::place::Store;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    ScalarAttributeType, TableStatus,
};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, ObjectOwnership,
    OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration,
    VersioningConfiguration,
};
use kit::error::{Error, Result};
use kit::report::{Report, text_table};
use kit::step::Cx;
use net::{Account, AwsContext};
use std::time::Duration;

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    bucket: bool,
    versioned: bool,
    private: bool,
    owned: bool,
    table: bool,
    recovery: bool,
    protected: bool,
}

/// One thing to do, in order. Encryption is not among them: S3 encrypts every new object by
/// itself since January 2023, and a bucket cannot turn that off (S3 User Guide, "Setting default
/// server-side encryption behavior").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Todo {
    CreateBucket,
    Version,
    BlockPublic,
    OwnObjects,
    CreateTable,
    Recovery,
    Protect,
}

impl Todo {
    fn words(self) -> &'static str {
        match self {
            Todo::CreateBucket => "create the bucket",
            Todo::Version => "keep old versions of objects",
            Todo::BlockPublic => "block public access",
            Todo::OwnObjects => "let the bucket's owner own every object",
            Todo::CreateTable => "create the table, billed by request",
            Todo::Recovery => "keep the table recoverable to a point in time",
            Todo::Protect => "protect the table from deletion",
        }
    }
}

fn decide(seen: &Seen) -> Vec<Todo> {
    let mut todo = Vec::new();
    let mut unless = |there: bool, what: Todo| {
        if !there {
            todo.push(what);
        }
    };
    unless(seen.bucket, Todo::CreateBucket);
    unless(seen.bucket && seen.versioned, Todo::Version);
    unless(seen.bucket && seen.private, Todo::BlockPublic);
    unless(seen.bucket && seen.owned, Todo::OwnObjects);
    unless(seen.table, Todo::CreateTable);
    unless(seen.table && seen.recovery, Todo::Recovery);
    unless(seen.table && seen.protected, Todo::Protect);
    todo
}

struct Clients<'a> {
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    backend: &'a Store,
    account: &'a Account,
}

/// Brings bucket and table to what they should be, or shows what it would do.
///
/// # Errors
/// Somebody else's bucket, or a call that fails; what was done stays and a second run goes on.
pub(crate) async fn run(
    account: &Account,
    backend: &Store,
    dry_run: bool,
    cx: &Cx,
) -> Result<Report> {
    let s3 = aws_sdk_s3::config::Builder::from(&account.config)
        .force_path_style(net::path_style(&cx.env))
        .build();
    let clients = Clients {
        s3: aws_sdk_s3::Client::from_conf(s3),
        dynamodb: aws_sdk_dynamodb::Client::new(&account.config),
        backend,
        account,
    };
    let todo = decide(&clients.observe().await?);
    if !dry_run {
        for what in &todo {
            cx.host.info(what.words());
            clients.act(*what).await?;
        }
        let left = decide(&clients.observe().await?);
        if !left.is_empty() {
            let words: Vec<&str> = left.iter().map(|what| what.words()).collect();
            return Err(
                Error::failed("bucket and table are still not as they should be")
                    .cause(words.join(", ")),
            );
        }
    }
    let rows: Vec<Vec<String>> = todo
        .iter()
        .map(|what| vec![what.words().to_owned()])
        .collect();
    let verb = if dry_run { "would" } else { "did" };
    let text = if rows.is_empty() {
        format!(
            "{} and {} are as they should be",
            backend.bucket, backend.table
        )
    } else {
        text_table(&[verb], &rows)
    };
    Ok(Report {
        text,
        json: serde_json::json!({
            "bucket": backend.bucket,
            "table": backend.table,
            "dry_run": dry_run,
            "changes": todo.iter().map(|what| what.words()).collect::<Vec<_>>(),
        }),
        ..Report::default()
    })
}

impl Clients<'_> {
    async fn observe(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        let bucket = &self.backend.bucket;
        let head = self
            .s3
            .head_bucket()
            .bucket(bucket)
            .expected_bucket_owner(&self.account.id)
            .send()
            .await;
        match head {
            Ok(_) => seen.bucket = true,
            Err(error) if error.as_service_error().is_some_and(|it| it.is_not_found()) => {}
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|it| it.status().as_u16() == 403) =>
            {
                return Err(Error::refused(format!(
                    "the bucket {bucket} is not account {}'s, or may not be looked at",
                    self.account.id
                ))
                .hint("bucket names are global: choose another, or grant s3:ListBucket"));
            }
            Err(error) => return Err(error).cannot(format!("look at the bucket {bucket}")),
        }
        if seen.bucket {
            let versioning = self.s3.get_bucket_versioning().bucket(bucket).send().await;
            seen.versioned = versioning
                .cannot(format!("read the versioning of {bucket}"))?
                .status
                == Some(BucketVersioningStatus::Enabled);
            seen.private = match self
                .s3
                .get_public_access_block()
                .bucket(bucket)
                .send()
                .await
            {
                Ok(answer) => answer
                    .public_access_block_configuration
                    .is_some_and(|block| {
                        [
                            block.block_public_acls,
                            block.block_public_policy,
                            block.ignore_public_acls,
                            block.restrict_public_buckets,
                        ]
                        .iter()
                        .all(|part| *part == Some(true))
                    }),
                Err(error) if net::code(&error) == Some("NoSuchPublicAccessBlockConfiguration") => {
                    false
                }
                Err(error) => {
                    return Err(error).cannot(format!("read the public access block of {bucket}"));
                }
            };
            seen.owned = match self
                .s3
                .get_bucket_ownership_controls()
                .bucket(bucket)
                .send()
                .await
            {
                Ok(answer) => answer.ownership_controls.is_some_and(|controls| {
                    controls
                        .rules
                        .iter()
                        .any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced)
                }),
                Err(error) if net::code(&error) == Some("OwnershipControlsNotFoundError") => false,
                Err(error) => {
                    return Err(error).cannot(format!("read who owns objects in {bucket}"));
                }
            };
        }
        let table = &self.backend.table;
        match self
            .dynamodb
            .describe_table()
            .table_name(table)
            .send()
            .await
        {
            Ok(answer) => {
                let found = answer.table;
                seen.table = found
                    .as_ref()
                    .is_some_and(|it| it.table_status == Some(TableStatus::Active));
                seen.protected =
                    found.is_some_and(|it| it.deletion_protection_enabled == Some(true));
                let recovery = self
                    .dynamodb
                    .describe_continuous_backups()
                    .table_name(table)
                    .send()
                    .await
                    .cannot(format!("read the backups of {table}"))?;
                seen.recovery = recovery
                    .continuous_backups_description
                    .and_then(|it| it.point_in_time_recovery_description)
                    .and_then(|it| it.point_in_time_recovery_status)
                    .is_some_and(|status| status.as_str() == "ENABLED");
            }
            Err(error) if net::code(&error) == Some("ResourceNotFoundException") => {}
            Err(error) => return Err(error).cannot(format!("look at the table {table}")),
        }
        Ok(seen)
    }

    async fn act(&self, what: Todo) -> Result<()> {
        let bucket = &self.backend.bucket;
        let table = &self.backend.table;
        match what {
            Todo::CreateBucket => self.create_bucket().await,
            Todo::Version => self
                .s3
                .put_bucket_versioning()
                .bucket(bucket)
                .versioning_configuration(
                    VersioningConfiguration::builder()
                        .status(BucketVersioningStatus::Enabled)
                        .build(),
                )
                .send()
                .await
                .cannot(format!("turn on versions in {bucket}"))
                .map(drop),
            Todo::BlockPublic => self
                .s3
                .put_public_access_block()
                .bucket(bucket)
                .public_access_block_configuration(
                    PublicAccessBlockConfiguration::builder()
                        .block_public_acls(true)
                        .block_public_policy(true)
                        .ignore_public_acls(true)
                        .restrict_public_buckets(true)
                        .build(),
                )
                .send()
                .await
                .cannot(format!("block public access to {bucket}"))
                .map(drop),
            Todo::OwnObjects => self.own_objects().await,
            Todo::CreateTable => self.create_table().await,
            Todo::Recovery => self.recoverable().await,
            Todo::Protect => self
                .dynamodb
                .update_table()
                .table_name(table)
                .deletion_protection_enabled(true)
                .send()
                .await
                .cannot(format!("protect {table} from deletion"))
                .map(drop),
        }
    }

    async fn create_bucket(&self) -> Result<()> {
        let bucket = &self.backend.bucket;
        let mut request = self.s3.create_bucket().bucket(bucket);
        // The first region takes no location (S3 API reference, CreateBucket).
        if self.backend.region != "us-east-1" {
            request = request.create_bucket_configuration(
                CreateBucketConfiguration::builder()
                    .location_constraint(BucketLocationConstraint::from(
                        self.backend.region.as_str(),
                    ))
                    .build(),
            );
        }
        match request.send().await {
            Ok(_) => Ok(()),
            // Another run was faster: the rest still has to be done.
            Err(error) if net::code(&error) == Some("BucketAlreadyOwnedByYou") => Ok(()),
            Err(error) => Err(error).cannot(format!("create the bucket {bucket}")),
        }
    }

    /// A table that was just made cannot be told yet: its backups are being enabled, and AWS says to try again (DynamoDB API
    /// Reference, `ContinuousBackupsUnavailableException`).
    async fn recoverable(&self) -> Result<()> {
        let table = &self.backend.table;
        let specification = PointInTimeRecoverySpecification::builder()
            .point_in_time_recovery_enabled(true)
            .build()
            .map_err(|error| Error::failed("bad request").because(&error))?;
        let mut pauses = [1, 2, 4, 8, 15, 30].into_iter();
        loop {
            let answer = self
                .dynamodb
                .update_continuous_backups()
                .table_name(table)
                .point_in_time_recovery_specification(specification.clone())
                .send()
                .await;
            match (answer, pauses.next()) {
                (Err(error), Some(pause))
                    if net::code(&error) == Some("ContinuousBackupsUnavailableException") =>
                {
                    tokio::time::sleep(std::time::Duration::from_secs(pause)).await;
                }
                (answer, _) => {
                    return answer.cannot(format!("keep {table} recoverable")).map(drop);
                }
            }
        }
    }

    async fn own_objects(&self) -> Result<()> {
        let bad = |error| Error::failed("bad request").because(&error);
        let rule = OwnershipControlsRule::builder()
            .object_ownership(ObjectOwnership::BucketOwnerEnforced)
            .build()
            .map_err(bad)?;
        let controls = OwnershipControls::builder()
            .rules(rule)
            .build()
            .map_err(bad)?;
        self.s3
            .put_bucket_ownership_controls()
            .bucket(&self.backend.bucket)
            .ownership_controls(controls)
            .send()
            .await
            .cannot(format!("set who owns objects in {}", self.backend.bucket))
            .map(drop)
    }

    async fn create_table(&self) -> Result<()> {
        let table = &self.backend.table;
        let bad = |error| Error::failed("bad request").because(&error);
        let created = self
            .dynamodb
            .create_table()
            .table_name(table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name("LockID")
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .map_err(bad)?,
            )
            .key_schema(
                KeySchemaElement::builder()
                    .attribute_name("LockID")
                    .key_type(KeyType::Hash)
                    .build()
                    .map_err(bad)?,
            )
            .send()
            .await;
        match created {
            Ok(_) => {}
            Err(error) if net::code(&error) == Some("ResourceInUseException") => {}
            Err(error) => return Err(error).cannot(format!("create the table {table}")),
        }
        for _ in 0..60 {
            let found = self
                .dynamodb
                .describe_table()
                .table_name(table)
                .send()
                .await;
            let active = found
                .cannot(format!("look at the table {table}"))?
                .table
                .is_some_and(|it| it.table_status == Some(TableStatus::Active));
            if active {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(Error::failed(format!(
            "the table {table} was not ready after a minute"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_done() {
        assert_eq!(decide(&Seen::default()).len(), 7);
        let all = Seen {
            bucket: true,
            versioned: true,
            private: true,
            owned: true,
            table: true,
            recovery: true,
            protected: true,
        };
        assert!(decide(&all).is_empty());
        let half = Seen {
            private: false,
            recovery: false,
            ..all
        };
        assert_eq!(decide(&half), [Todo::BlockPublic, Todo::Recovery]);
    }
}

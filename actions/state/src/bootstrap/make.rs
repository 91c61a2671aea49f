//! The bucket's parts, made as they should be.

use super::lifecycle::{plans_rule, removes_plans, removes_versions, versions_rule};
use super::{Part, Site, bad, change, of_bucket, policy, retry};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLocationConstraint, BucketVersioningStatus,
    CreateBucketConfiguration, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use kit::error::{Error, Result};

impl Site<'_> {
    pub(super) async fn make(&self, part: Part) -> Result<()> {
        let bucket = &self.store.bucket;
        let operation = format!("{} ({bucket})", part.act());
        match part {
            Part::Bucket => self.create_bucket().await,
            Part::Versions => {
                let versioning = VersioningConfiguration::builder()
                    .status(BucketVersioningStatus::Enabled)
                    .build();
                let call =
                    of_bucket!(self.put_bucket_versioning).versioning_configuration(versioning);
                change(&operation, async || call.clone().send().await).await
            }
            Part::Private => {
                let block = PublicAccessBlockConfiguration::builder()
                    .block_public_acls(true)
                    .block_public_policy(true)
                    .ignore_public_acls(true)
                    .restrict_public_buckets(true)
                    .build();
                let call = of_bucket!(self.put_public_access_block)
                    .public_access_block_configuration(block);
                change(&operation, async || call.clone().send().await).await
            }
            Part::Owned => {
                let rule = OwnershipControlsRule::builder()
                    .object_ownership(ObjectOwnership::BucketOwnerEnforced)
                    .build()
                    .map_err(bad)?;
                let controls = OwnershipControls::builder()
                    .rules(rule)
                    .build()
                    .map_err(bad)?;
                let call =
                    of_bucket!(self.put_bucket_ownership_controls).ownership_controls(controls);
                change(&operation, async || call.clone().send().await).await
            }
            Part::Encrypted => self.encrypt(&operation).await,
            Part::Tls => self.deny_without_tls(&operation).await,
            Part::Lifecycle => self.add_rules(&operation).await,
            Part::Table | Part::Billing | Part::Recovery | Part::Protected => {
                self.make_of_table(part).await
            }
        }
    }

    async fn create_bucket(&self) -> Result<()> {
        let bucket = &self.store.bucket;
        let mut call = self.s3.create_bucket().bucket(bucket);
        // The first region takes no location (S3 API reference, CreateBucket).
        if self.store.region != "us-east-1" {
            let location = BucketLocationConstraint::from(self.store.region.as_str());
            call = call.create_bucket_configuration(
                CreateBucketConfiguration::builder()
                    .location_constraint(location)
                    .build(),
            );
        }
        let operation = format!("create the bucket {bucket}");
        let made = retry(&operation, async || {
            match call.clone().send().await {
                // Another run was faster: the rest still has to be done.
                Err(error) if net::code(&error) == Some("BucketAlreadyOwnedByYou") => Ok(()),
                other => other.map(drop),
            }
        });
        made.await.map_err(|error| {
            let code = error.service().and_then(|service| service.code.as_deref());
            if code == Some("BucketAlreadyExists") {
                return error.hint(
                    "bucket names are global and this one is somebody else's: choose another",
                );
            }
            error
        })
    }

    async fn encrypt(&self, operation: &str) -> Result<()> {
        let by_default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::AwsKms)
            .set_kms_master_key_id(self.kms_key().map(str::to_owned))
            .build()
            .map_err(bad)?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default)
            // One call to KMS for many objects.
            .bucket_key_enabled(true)
            .build();
        let configuration = ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()
            .map_err(bad)?;
        let call = of_bucket!(self.put_bucket_encryption)
            .server_side_encryption_configuration(configuration);
        change(operation, async || call.clone().send().await).await
    }

    async fn deny_without_tls(&self, operation: &str) -> Result<()> {
        let bucket = &self.store.bucket;
        let there = self.policy().await?.known()?;
        let policy =
            policy::with_tls_only(there.as_deref(), bucket, self.partition()).map_err(|error| {
                Error::refused(format!("the policy of {bucket} cannot be read")).because(error)
            })?;
        let call = of_bucket!(self.put_bucket_policy).policy(policy);
        change(operation, async || call.clone().send().await).await
    }

    async fn add_rules(&self, operation: &str) -> Result<()> {
        let mut rules = self.rules().await?.known()?.unwrap_or_default();
        for (present, rule) in [
            (removes_versions(&rules), versions_rule()?),
            (removes_plans(&rules), plans_rule()?),
        ] {
            if !present {
                rules.retain(|other| other.id != rule.id);
                rules.push(rule);
            }
        }
        let configuration = BucketLifecycleConfiguration::builder()
            .set_rules(Some(rules))
            .build()
            .map_err(bad)?;
        let call = of_bucket!(self.put_bucket_lifecycle_configuration)
            .lifecycle_configuration(configuration);
        change(operation, async || call.clone().send().await).await
    }
}

//! The bucket's parts as they are.

use super::lifecycle::{removes_plans, removes_versions};
use super::{Finding, Found, Part, Site, of_bucket, policy, unread};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, LifecycleRule, ObjectOwnership};
use kit::aws::{Arn, Partition};
use kit::error::{Error, Result};

/// A setting of the bucket as it was seen.
pub(super) enum Setting<T> {
    Set(T),
    /// The bucket has none.
    Unset,
    Unknown(Found),
}

impl<T> Setting<T> {
    fn map<U>(self, part: impl FnOnce(T) -> U) -> Setting<U> {
        match self {
            Setting::Set(value) => Setting::Set(part(value)),
            Setting::Unset => Setting::Unset,
            Setting::Unknown(unknown) => Setting::Unknown(unknown),
        }
    }

    /// The finding about the setting; `unset` is the message if the bucket does not have it.
    fn found(self, unset: &str, judge: impl FnOnce(T) -> Found) -> Found {
        match self {
            Setting::Set(value) => judge(value),
            Setting::Unset => Found::Missing(unset.to_owned()),
            Setting::Unknown(unknown) => unknown,
        }
    }

    /// The setting, to be changed.
    ///
    /// # Errors
    /// It could not be read (exit 3).
    pub(super) fn known(self) -> Result<Option<T>> {
        match self {
            Setting::Set(value) => Ok(Some(value)),
            Setting::Unset => Ok(None),
            Setting::Unknown(unknown) => Err(Error::refused(unknown.detail())),
        }
    }
}

/// Looks at one setting. `unset` is the code by which S3 says that the bucket has none.
///
/// # Errors
/// S3's, where it is not a missing permission.
async fn seen<T, E>(
    call: impl Future<Output = std::result::Result<T, SdkError<E>>>,
    unset: &str,
    permission: &str,
    subject: &str,
) -> Result<Setting<T>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match call.await {
        Ok(answer) => Ok(Setting::Set(answer)),
        Err(error) if net::code(&error) == Some(unset) => Ok(Setting::Unset),
        Err(error) => unread(error, permission, subject).map(Setting::Unknown),
    }
}

impl Site<'_> {
    pub(super) async fn look_at_bucket(&self) -> Result<Vec<Finding>> {
        let bucket = &self.store.bucket;
        let head = of_bucket!(self.head_bucket).send().await;
        match head {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(|it| it.is_not_found()) => {
                let mut found = vec![(Part::Bucket, Found::Missing("there is none".to_owned()))];
                for part in [
                    Part::Versions,
                    Part::Private,
                    Part::Owned,
                    Part::Tls,
                    Part::Lifecycle,
                ] {
                    found.push((part, Found::Missing("there is no bucket".to_owned())));
                }
                if self.kms_key().is_some() {
                    found.push((Part::Encrypted, Found::Missing("there is no bucket".into())));
                }
                return Ok(found);
            }
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|it| it.status().as_u16() == 403) =>
            {
                return Err(Error::refused(format!(
                    "the bucket {bucket} does not belong to account {}, or this role may not list it",
                    self.account.id
                ))
                .hint("bucket names are global: choose another, or grant s3:ListBucket"));
            }
            Err(error) => return Err(net::cannot(error, &format!("look at the bucket {bucket}"))),
        }
        Ok(vec![
            (Part::Bucket, Found::Fine(bucket.clone())),
            (Part::Versions, self.versions().await?),
            (Part::Private, self.private().await?),
            (Part::Owned, self.owned().await?),
            (Part::Encrypted, self.encrypted().await?),
            (Part::Tls, self.tls().await?),
            (Part::Lifecycle, self.lifecycle().await?),
        ])
    }

    async fn versions(&self) -> Result<Found> {
        let call = of_bucket!(self.get_bucket_versioning).send();
        let seen = seen(
            call,
            "",
            "s3:GetBucketVersioning",
            "the bucket's versioning",
        )
        .await?;
        Ok(seen.found("off", |answer| {
            let on = answer.status == Some(BucketVersioningStatus::Enabled);
            Found::of(on, "on", "off")
        }))
    }

    async fn private(&self) -> Result<Found> {
        let seen = seen(
            of_bucket!(self.get_public_access_block).send(),
            "NoSuchPublicAccessBlockConfiguration",
            "s3:GetBucketPublicAccessBlock",
            "the bucket's public access block",
        );
        Ok(seen.await?.found("nothing is blocked", |answer| {
            let parts = answer
                .public_access_block_configuration
                .map_or([None; 4], |block| {
                    [
                        block.block_public_acls,
                        block.block_public_policy,
                        block.ignore_public_acls,
                        block.restrict_public_buckets,
                    ]
                });
            let set = parts.iter().filter(|part| **part == Some(true)).count();
            let is = format!("{set} of 4 blocks are set");
            Found::of(set == 4, &is, &is)
        }))
    }

    async fn owned(&self) -> Result<Found> {
        let seen = seen(
            of_bucket!(self.get_bucket_ownership_controls).send(),
            "OwnershipControlsNotFoundError",
            "s3:GetBucketOwnershipControls",
            "who owns the bucket's objects",
        );
        Ok(seen.await?.found("no rule", |answer| {
            let rule = answer
                .ownership_controls
                .and_then(|controls| controls.rules.into_iter().next())
                .map(|rule| rule.object_ownership);
            let is = rule.as_ref().map_or("no rule", ObjectOwnership::as_str);
            Found::of(rule == Some(ObjectOwnership::BucketOwnerEnforced), is, is)
        }))
    }

    /// S3 encrypts every new object by itself since January 2023, and a bucket cannot turn that off
    /// (S3 User Guide, "Setting default server-side encryption behavior").
    async fn encrypted(&self) -> Result<Found> {
        let seen = seen(
            of_bucket!(self.get_bucket_encryption).send(),
            "ServerSideEncryptionConfigurationNotFoundError",
            "s3:GetEncryptionConfiguration",
            "the bucket's encryption",
        );
        let key = match seen.await? {
            Setting::Set(answer) => answer
                .server_side_encryption_configuration
                .and_then(|it| it.rules.into_iter().next())
                .and_then(|rule| rule.apply_server_side_encryption_by_default)
                .and_then(|it| it.kms_master_key_id),
            Setting::Unset => None,
            Setting::Unknown(unknown) => return Ok(unknown),
        };
        let is = match &key {
            Some(key) => format!("with {key}"),
            None => "with S3's own keys".to_owned(),
        };
        let fine = match (self.kms_key(), &key) {
            (None, _) => true,
            (Some(wanted), Some(key)) => is_same_key(key, wanted),
            (Some(_), None) => false,
        };
        Ok(Found::of(fine, &is, &is))
    }

    /// The key that the bucket is to encrypt with by itself.
    pub(super) fn kms_key(&self) -> Option<&str> {
        self.store.encryption.kms_key()
    }

    pub(super) fn partition(&self) -> Partition {
        self.account.arn.partition
    }

    /// The policy as it is. No policy is another answer than none that may be read: who takes the
    /// second for the first writes over somebody's rules.
    pub(super) async fn policy(&self) -> Result<Setting<String>> {
        let seen = seen(
            of_bucket!(self.get_bucket_policy).send(),
            "NoSuchBucketPolicy",
            "s3:GetBucketPolicy",
            "the bucket's policy",
        );
        Ok(seen.await?.map(|answer| answer.policy.unwrap_or_default()))
    }

    async fn tls(&self) -> Result<Found> {
        let seen = self.policy().await?;
        Ok(seen.found("there is no policy", |text| {
            match policy::is_tls_only(&text, &self.store.bucket, self.partition()) {
                Ok(fine) => Found::of(fine, "it does", "the policy does not"),
                Err(why) => Found::Wrong(format!("the policy cannot be read: {why}")),
            }
        }))
    }

    pub(super) async fn rules(&self) -> Result<Setting<Vec<LifecycleRule>>> {
        let seen = seen(
            of_bucket!(self.get_bucket_lifecycle_configuration).send(),
            "NoSuchLifecycleConfiguration",
            "s3:GetLifecycleConfiguration",
            "the bucket's lifecycle",
        );
        Ok(seen.await?.map(|answer| answer.rules.unwrap_or_default()))
    }

    async fn lifecycle(&self) -> Result<Found> {
        let rules = match self.rules().await? {
            Setting::Set(rules) => rules,
            Setting::Unset => Vec::new(),
            Setting::Unknown(unknown) => return Ok(unknown),
        };
        let missing: Vec<&str> = [
            (removes_versions(&rules), "no rule removes old versions"),
            (removes_plans(&rules), "no rule removes old plans"),
        ]
        .into_iter()
        .filter(|(present, _)| !present)
        .map(|(_, problem)| problem)
        .collect();
        Ok(Found::of(
            missing.is_empty(),
            "rules for both",
            &missing.join(", "),
        ))
    }
}

/// Returns true if two names are those of one KMS key: an ARN, or the ID at its end.
fn is_same_key(first: &str, second: &str) -> bool {
    let named = |arn: &Arn, id: &str| arn.resource.rsplit('/').next() == id.rsplit('/').next();
    match (first.parse::<Arn>(), second.parse::<Arn>()) {
        (Ok(arn), Err(_)) => named(&arn, second),
        (Err(_), Ok(arn)) => named(&arn, first),
        _ => first == second,
    }
}

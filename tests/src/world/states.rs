//! States of the environments in the build account: what a team would have made there.

use serde_json::json;

use super::policy::Role;
use super::{Environment, World, account};
use crate::fault::Result;
use crate::instance::Instance;

/// Bucket and table in the build account.
pub struct States {
    /// The bucket. Its policy accepts only objects that ask for [`States::key`].
    pub bucket: String,
    /// The lock table.
    pub table: String,
    /// The ARN of a key of KMS.
    pub key: String,
}

impl World {
    /// Makes a bucket and a table in the build account for an environment's state. Its roles `slipway-read` and
    /// `slipway-deploy` may assume `states-read-ENVIRONMENT` and `states-ENVIRONMENT` there, and `slipway-deploy` reaches
    /// the bucket by itself too.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn states(
        &self,
        instance: &Instance,
        environment: &Environment,
        name: &str,
    ) -> Result<States> {
        let aws = self.administrator(instance, &self.build).await?;
        let states = States {
            bucket: format!("{name}-{}", self.name),
            table: format!("{name}-{}", self.name),
            key: self.arn(
                &self.build.id,
                "kms",
                "key/0d1f5c2e-8a4b-4c1d-9e55-3b7a60c2f914",
            ),
        };
        account::bucket(self, &aws, &states.bucket).await?;
        account::table(&aws, &states.table, &[("LockID", "S", "HASH")]).await?;
        let of_environment = |role: &str| {
            format!(
                "arn:aws:iam::{}:role/slipway-{role}",
                environment.account.id
            )
        };
        let objects = format!("arn:aws:s3:::{}/*", states.bucket);
        let own = self.administrator(instance, &environment.account).await?;
        for (role, by) in [("states-read", "read"), ("states", "deploy")] {
            // The role of the environment's account has to be allowed what the other account allows it.
            let arn = format!(
                "arn:aws:iam::{}:role/{role}-{}",
                self.build.id, environment.name
            );
            let bucket = format!("arn:aws:s3:::{}", states.bucket);
            let may = json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn},
                {"Effect": "Allow", "Action": "s3:*", "Resource": [bucket, objects]},
            ]})
            .to_string();
            let name = format!("slipway-{by}");
            let put = [
                ("RoleName", name.as_str()),
                ("PolicyName", states.bucket.as_str()),
                ("PolicyDocument", may.as_str()),
            ];
            let answer = own
                .query("iam", "2010-05-08", "PutRolePolicy", &put)
                .await?;
            super::aws::unless_there(answer, "allowing the way to the states", &[])?;
            let trust = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": of_environment(by)}});
            let allowed =
                json!({"Effect": "Allow", "Action": ["s3:*", "dynamodb:*"], "Resource": "*"});
            let role = Role {
                name: format!("{role}-{}", environment.name),
                trust: json!({"Version": "2012-10-17", "Statement": [trust]}),
                permissions: json!({"Version": "2012-10-17", "Statement": [allowed]}),
            };
            account::make_role(&aws, &role).await?;
        }
        self.reach_states(instance, environment, &states.bucket)
            .await?;
        let denied = |name: &str, value: &str| {
            json!({
                "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": objects,
                "Condition": {"StringNotEquals": {format!("s3:x-amz-server-side-encryption{name}"): value}},
            })
        };
        let policy = json!({"Version": "2012-10-17", "Statement": [
            denied("", "aws:kms"),
            denied("-aws-kms-key-id", &states.key),
            {"Effect": "Allow", "Principal": {"AWS": of_environment("deploy")}, "Action": "s3:*",
                "Resource": [format!("arn:aws:s3:::{}", states.bucket), objects]},
        ]});
        let answer = aws
            .put(&format!("/{}?policy", states.bucket), policy.to_string())
            .await?;
        super::aws::unless_there(answer, "setting the bucket's policy", &[])?;
        Ok(states)
    }

    /// Permits the roles of an environment, on their side, to reach a state in the build account: the roles there, and for
    /// `slipway-deploy` the bucket itself.
    async fn reach_states(
        &self,
        instance: &Instance,
        environment: &Environment,
        bucket: &str,
    ) -> Result<()> {
        let aws = self.administrator(instance, &environment.account).await?;
        for (role, there, objects) in [
            ("slipway-read", "states-read", false),
            ("slipway-deploy", "states", true),
        ] {
            let name = format!("{there}-{}", environment.name);
            let arn = format!("arn:aws:iam::{}:role/{name}", self.build.id);
            let mut statements =
                vec![json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn})];
            if objects {
                let bucket = format!("arn:aws:s3:::{bucket}");
                let all = [bucket.clone(), format!("{bucket}/*")];
                statements.push(json!({"Effect": "Allow", "Action": "s3:*", "Resource": all}));
            }
            let document = json!({"Version": "2012-10-17", "Statement": statements});
            // A world may have several buckets of states.
            account::permit(&aws, role, &format!("{there}-{bucket}"), &document).await?;
        }
        Ok(())
    }
}

//! The ways to credentials: GitHub's identity token for a role, a role from the credentials at
//! hand, or those as they are.

use crate::config::sdk;
use crate::http::Net;
use crate::keys::guard_credentials;
use crate::oidc;
use crate::session::{SessionTag, session_name};
use crate::target::Target;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use kit::aws::{AccountId, Arn, Region, RoleArn};
use kit::error::{Error, ErrorKind, Failure, Result};
use kit::host::Kind;
use std::time::SystemTime;

impl Net {
    /// New credentials for `target`, and whose they are where STS was asked.
    pub(crate) async fn mint(
        &self,
        target: &Target,
        region: &Region,
    ) -> Result<(Credentials, Option<Caller>)> {
        let has_token = self.env.get("ACTIONS_ID_TOKEN_REQUEST_URL").is_some()
            && self.host.kind() == Kind::GitHub;
        match &target.role {
            Some(role) if has_token => Ok((self.web_identity(role, region).await?, None)),
            Some(role) => self.chained(role, target, region).await,
            None => {
                let (credentials, caller) = self.ambient(target, region).await?;
                Ok((credentials, Some(caller)))
            }
        }
    }

    async fn web_identity(&self, role: &RoleArn, region: &Region) -> Result<Credentials> {
        let token = oidc::id_token(self, "sts.amazonaws.com").await?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.aws.clone())
            .region(sdk(region))
            .no_credentials()
            .load()
            .await;
        let answer = aws_sdk_sts::Client::new(&config)
            .assume_role_with_web_identity()
            .role_arn(role.as_str())
            .role_session_name(session_name(&self.env))
            .web_identity_token(token.expose())
            .send()
            .await
            .map_err(|error| not_trusted(error, role))?;
        let credentials = temporary(answer.credentials, role)?;
        self.owners.add(credentials.access_key_id(), role.account());
        Ok(credentials)
    }

    async fn chained(
        &self,
        role: &RoleArn,
        target: &Target,
        region: &Region,
    ) -> Result<(Credentials, Option<Caller>)> {
        let (credentials, caller) = self.ambient(target, region).await?;
        if role.is_behind(&caller.arn) {
            return Ok((credentials, Some(caller)));
        }
        let assumed = self
            .assume(role, credentials, &caller.arn, region, None)
            .await?;
        Ok((assumed, None))
    }

    /// `role` by the credentials of `caller`, in a session with this tag, if any.
    pub(crate) async fn assume(
        &self,
        role: &RoleArn,
        credentials: Credentials,
        caller: &Arn,
        region: &Region,
        tag: Option<&SessionTag>,
    ) -> Result<Credentials> {
        let config = self.config(region, Some(credentials)).await;
        let mut call = aws_sdk_sts::Client::new(&config)
            .assume_role()
            .role_arn(role.as_str())
            .role_session_name(session_name(&self.env));
        if let Some(tag) = tag {
            // Transitive: no session that is opened from this one can have another value.
            call = call.tags(tag.for_sts()?).transitive_tag_keys(tag.key);
        }
        let answer = call
            .send()
            .await
            .map_err(|error| not_chained(error, role, caller, tag))?;
        let credentials = temporary(answer.credentials, role)?;
        self.owners.add(credentials.access_key_id(), role.account());
        Ok(credentials)
    }

    async fn ambient(&self, target: &Target, region: &Region) -> Result<(Credentials, Caller)> {
        let config = self.config(region, None).await;
        let provider = config.credentials_provider().ok_or_else(no_credentials)?;
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| match error {
                // The chain's own words list every place that was looked at.
                CredentialsError::CredentialsNotLoaded(_) => no_credentials(),
                other => no_credentials().because(other),
            })?;
        guard_credentials(&credentials, &target.allow_long_lived_keys)?;
        // Of these very ones, which a provider need not give twice.
        let config = self.config(region, Some(credentials.clone())).await;
        let caller = caller_of(&config).await?;
        self.owners.add(credentials.access_key_id(), &caller.id);
        Ok((credentials, caller))
    }
}

/// The identity behind credentials, as STS names it.
pub(crate) struct Caller {
    pub(crate) id: AccountId,
    pub(crate) arn: Arn,
}

pub(crate) async fn caller_of(config: &SdkConfig) -> Result<Caller> {
    let caller = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| {
            let rejected = matches!(
                crate::error::code(&error),
                Some("InvalidClientTokenId" | "ExpiredToken" | "SignatureDoesNotMatch")
            );
            let error = crate::error::cannot(error, "ask STS whose credentials these are");
            if rejected && error.failure() != Some(Failure::Skewed) {
                return error.hint("get new credentials; at a terminal: eval \"$(aws configure export-credentials --format env)\"");
            }
            error
        })?;
    let strange =
        |invalid| Error::failed("STS did not say whose credentials these are").because(invalid);
    Ok(Caller {
        id: caller
            .account()
            .unwrap_or_default()
            .parse()
            .map_err(strange)?,
        arn: caller.arn().unwrap_or_default().parse().map_err(strange)?,
    })
}

fn no_credentials() -> Error {
    Error::new(ErrorKind::NoCredentials, "there are no AWS credentials")
        .hint("in GitHub: give the job `permissions: {id-token: write}`, and the step an environment of the contract (--environment)")
        .hint("in CodeBuild: the project's service role; at a terminal: eval \"$(aws configure export-credentials --format env)\"")
}

/// STS refused one role to another, or could not be asked.
fn not_chained(
    error: SdkError<AssumeRoleError, HttpResponse>,
    role: &RoleArn,
    arn: &Arn,
    tag: Option<&SessionTag>,
) -> Error {
    let tagged = tag.map_or_else(String::new, |tag| format!(" with the session tag {tag}"));
    let mut failed = crate::error::cannot(error, &format!("assume {role} as {arn}{tagged}"));
    if failed.failure() == Some(Failure::Denied) {
        failed.kind = ErrorKind::Refused;
        let caller = role_of(arn).map_or_else(|| arn.to_string(), String::from);
        failed.hints = vec![match tag {
            None => format!(
                "two must allow it: the trust policy of {role} must name {caller} or its account, and {caller} needs sts:AssumeRole on that role"
            ),
            Some(tag) => format!(
                "two must allow it: the trust policy of {role} must allow {caller} sts:AssumeRole and sts:TagSession with the transitive tag {}, and {caller} needs both on that role",
                tag.key
            ),
        }];
    }
    failed
}

/// The role behind a session, as a policy names it; without its path, which STS leaves out.
fn role_of(caller: &Arn) -> Option<RoleArn> {
    let (account, name) = caller.session_role()?;
    RoleArn::new(caller.partition, account, name).ok()
}

/// STS refused this job's identity, or could not be asked.
fn not_trusted(
    error: SdkError<AssumeRoleWithWebIdentityError, HttpResponse>,
    role: &RoleArn,
) -> Error {
    let refused = matches!(
        crate::error::code(&error),
        Some("AccessDenied" | "InvalidIdentityToken")
    );
    let mut error = crate::error::cannot(
        error,
        &format!("assume {role} with this job's GitHub identity"),
    );
    if refused {
        error.kind = ErrorKind::Refused;
        error.hints = vec![
            "the role's trust policy does not accept this repository, branch, environment or workflow"
                .to_owned(),
        ];
    }
    error
}

fn temporary(
    credentials: Option<aws_sdk_sts::types::Credentials>,
    role: &RoleArn,
) -> Result<Credentials> {
    let found = credentials
        .ok_or_else(|| Error::failed(format!("STS answered without credentials for {role}")))?;
    Ok(Credentials::new(
        found.access_key_id,
        found.secret_access_key,
        Some(found.session_token),
        SystemTime::try_from(found.expiration).ok(),
        "slipway",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_another_may_not_assume_is_refused_and_both_policies_are_named() {
        use aws_smithy_runtime_api::http::StatusCode;
        let answer = |code: &str| {
            let meta = aws_smithy_types::error::ErrorMetadata::builder().code(code);
            SdkError::service_error(
                AssumeRoleError::generic(meta.build()),
                HttpResponse::new(
                    StatusCode::try_from(403).unwrap(),
                    aws_smithy_types::body::SdkBody::empty(),
                ),
            )
        };
        let caller = "arn:aws:sts::111111111111:assumed-role/build/gh-1"
            .parse()
            .unwrap();
        let role = "arn:aws:iam::222222222222:role/deploy".parse().unwrap();
        let error = not_chained(answer("AccessDenied"), &role, &caller, None);
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert_eq!(error.hints.len(), 1, "{error}");
        for piece in [
            "the trust policy of arn:aws:iam::222222222222:role/deploy",
            "arn:aws:iam::111111111111:role/build needs sts:AssumeRole",
        ] {
            assert!(error.hints[0].contains(piece), "{error}");
        }
        let error = not_chained(answer("ExpiredToken"), &role, &caller, None);
        assert_eq!(error.exit(), kit::Exit::Failed);
        let tag = SessionTag {
            key: "slipway-revision",
            value: "arn:aws:ecs:r:1:task-definition/web:7".to_owned(),
        };
        let error = not_chained(answer("AccessDenied"), &role, &caller, Some(&tag));
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert!(
            error.message.ends_with(
                " with the session tag slipway-revision=arn:aws:ecs:r:1:task-definition/web:7"
            ),
            "{error}"
        );
        for piece in [
            "the trust policy of arn:aws:iam::222222222222:role/deploy must allow arn:aws:iam::111111111111:role/build sts:AssumeRole and sts:TagSession",
            "arn:aws:iam::111111111111:role/build needs both on that role",
        ] {
            assert!(error.hints[0].contains(piece), "{error}");
        }
    }
}

//! Credentials for one account and one purpose, minted in memory, and the guard that makes sure
//! they are what the contract says before anything uses them.

use crate::error::AwsContext;
use crate::http::Net;
use crate::oidc;
use crate::renew::{self, Renewing};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use kit::Secret;
use kit::child::Program;
use kit::contract::{AccountId, Resolved};
use kit::error::{Error, Result};
use kit::host::Kind;
use std::time::SystemTime;

/// What credentials are for; each purpose has a role of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Looking at an environment.
    Read,
    /// Changing an environment's infrastructure and service.
    Deploy,
    /// Creating repositories and pushing images, in the build account.
    Publish,
    /// Reading and appending to the ledger, in the build account.
    Permit,
}

/// The account, role and region that credentials must be for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The account they must belong to, if known.
    pub account: Option<String>,
    /// The role to assume; `None` uses the ambient credentials as they are.
    pub role: Option<String>,
    /// The region to work in; `None` takes the environment's.
    pub region: Option<String>,
    /// Access key IDs without an end that are allowed all the same.
    pub allow_long_lived_keys: Vec<String>,
}

impl Target {
    /// What the contract says for `purpose`.
    pub fn of(resolved: &Resolved, purpose: Purpose) -> Self {
        let (account, role, region) = match purpose {
            Purpose::Read => (&resolved.account, &resolved.roles.read, &resolved.region),
            Purpose::Deploy => (&resolved.account, &resolved.roles.deploy, &resolved.region),
            Purpose::Publish => (
                &resolved.build.account,
                &resolved.build.publish,
                &resolved.build.region,
            ),
            Purpose::Permit => (
                &resolved.build.account,
                &resolved.build.permit,
                &resolved.build.region,
            ),
        };
        Self {
            account: Some(account.to_string()),
            role: Some(role.clone()),
            region: Some(region.clone()),
            allow_long_lived_keys: resolved.allow_long_lived_keys.clone(),
        }
    }

    /// What the contract says for `purpose`, or without one the credentials at hand; a role or
    /// region that was named replaces the contract's.
    ///
    /// # Errors
    /// A role that is no ARN of a role (exit 2).
    pub fn chosen(
        resolved: Option<&Resolved>,
        purpose: Purpose,
        role: Option<&str>,
        region: Option<&str>,
    ) -> Result<Self> {
        let mut target = resolved.map_or_else(Self::ambient, |it| Self::of(it, purpose));
        if let Some(role) = role {
            if !is_role(role) {
                return Err(Error::usage(format!("--role {role:?} is no ARN of a role"))
                    .hint("arn:aws:iam::123456789012:role/NAME"));
            }
            target.role = Some(role.to_owned());
        }
        if let Some(region) = region {
            target.region = Some(region.to_owned());
        }
        Ok(target)
    }

    /// Whatever credentials the process already has.
    pub fn ambient() -> Self {
        Self {
            account: None,
            role: None,
            region: None,
            allow_long_lived_keys: Vec::new(),
        }
    }
}

/// Checked credentials for one account.
#[derive(Debug, Clone)]
pub struct Account {
    /// For the service clients; carries credentials, region, HTTP client and endpoint overrides.
    pub config: SdkConfig,
    /// The credentials as they were first minted, for a child process that needs them. Clients of `config` go on with
    /// newer ones when these near their end.
    pub credentials: Credentials,
    /// The account ID that STS named.
    pub id: String,
    /// The caller's ARN that STS named.
    pub arn: String,
    /// The region.
    pub region: String,
}

impl Account {
    /// Gives a child process these credentials and none of the caller's own.
    #[must_use]
    pub fn lend(&self, program: Program) -> Program {
        let secret = |value: &str| Secret::new(value.to_owned());
        let mut program = program
            .env("AWS_ACCESS_KEY_ID", self.credentials.access_key_id())
            .secret(
                "AWS_SECRET_ACCESS_KEY",
                secret(self.credentials.secret_access_key()),
            )
            .env("AWS_REGION", &self.region)
            .env("AWS_DEFAULT_REGION", &self.region)
            .without("AWS_PROFILE")
            .without("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            .without("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            .without("AWS_WEB_IDENTITY_TOKEN_FILE");
        program = match self.credentials.session_token() {
            Some(token) => program.secret("AWS_SESSION_TOKEN", secret(token)),
            None => program.without("AWS_SESSION_TOKEN"),
        };
        program
    }
}

impl Net {
    /// Credentials for `target`: GitHub's OIDC token where the job has one, else the ambient
    /// credentials, from which the role is assumed. The caller is asked for at STS and compared
    /// before they are handed out.
    ///
    /// # Errors
    /// No credentials, a role that may not be assumed, long-lived keys, or another account than
    /// the contract's (exit 3).
    pub async fn account(&self, target: &Target) -> Result<Account> {
        let region = self.region(target)?;
        let (credentials, caller) = self.mint(target, &region).await?;
        let renewing = Renewing::new(self, target, &region, &credentials);
        let config = self.renewed(&region, renewing).await;
        // Of credentials that were found and not minted STS was asked already.
        let Caller { id, arn } = match caller {
            Some(caller) => caller,
            None => caller_of(&config).await?,
        };
        if let Some(wanted) = &target.account
            && *wanted != id
        {
            return Err(Error::refused(format!(
                "these credentials are for account {id}, not for {wanted}"
            ))
            .cause(format!("caller {arn}"))
            .hint("check the environment's `account` and role in the contract, or --account and --role where they were given"));
        }
        Ok(Account {
            config,
            credentials,
            id,
            arn,
            region,
        })
    }

    /// New credentials for `target`, and whose they are where STS was asked.
    pub(crate) async fn mint(
        &self,
        target: &Target,
        region: &str,
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

    fn region(&self, target: &Target) -> Result<String> {
        target
            .region
            .as_deref()
            .or_else(|| self.env.get("AWS_REGION"))
            .or_else(|| self.env.get("AWS_DEFAULT_REGION"))
            .map(str::to_owned)
            .ok_or_else(|| {
                Error::usage("no region is known")
                    .hint("set AWS_REGION, or name an environment of the contract")
            })
    }

    async fn config(&self, region: &str, credentials: Option<Credentials>) -> SdkConfig {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.aws.clone())
            .region(Region::new(region.to_owned()));
        match credentials {
            Some(credentials) => {
                loader.credentials_provider(SharedCredentialsProvider::new(credentials))
            }
            None => loader,
        }
        .load()
        .await
    }

    /// A configuration whose clients outlive a session of an hour.
    async fn renewed(&self, region: &str, renewing: Renewing) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.aws.clone())
            .region(Region::new(region.to_owned()))
            .identity_cache(renew::cache())
            .credentials_provider(SharedCredentialsProvider::new(renewing))
            .load()
            .await
    }

    async fn web_identity(&self, role: &str, region: &str) -> Result<Credentials> {
        let token = oidc::id_token(self, "sts.amazonaws.com").await?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.aws.clone())
            .region(Region::new(region.to_owned()))
            .no_credentials()
            .load()
            .await;
        let answer = aws_sdk_sts::Client::new(&config)
            .assume_role_with_web_identity()
            .role_arn(role)
            .role_session_name(session_name(&self.env))
            .web_identity_token(token.expose())
            .send()
            .await
            .map_err(|error| not_trusted(error, role))?;
        temporary(answer.credentials, role)
    }

    async fn chained(
        &self,
        role: &str,
        target: &Target,
        region: &str,
    ) -> Result<(Credentials, Option<Caller>)> {
        let (credentials, caller) = self.ambient(target, region).await?;
        if is_session_of(&caller.arn, role) {
            return Ok((credentials, Some(caller)));
        }
        let arn = caller.arn;
        let config = self.config(region, Some(credentials)).await;
        let answer = aws_sdk_sts::Client::new(&config)
            .assume_role()
            .role_arn(role)
            .role_session_name(session_name(&self.env))
            .send()
            .await
            .map_err(|error| not_chained(&error, role, &arn))?;
        Ok((temporary(answer.credentials, role)?, None))
    }

    async fn ambient(&self, target: &Target, region: &str) -> Result<(Credentials, Caller)> {
        let config = self.config(region, None).await;
        let provider = config.credentials_provider().ok_or_else(no_credentials)?;
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| match error {
                // The chain's own words list every place that was looked at.
                CredentialsError::CredentialsNotLoaded(_) => no_credentials(),
                other => no_credentials().because(&other),
            })?;
        guard_credentials(&credentials, &target.allow_long_lived_keys)?;
        // Of these very ones, which a provider need not give twice.
        let config = self.config(region, Some(credentials.clone())).await;
        let caller = caller_of(&config).await?;
        Ok((credentials, caller))
    }
}

/// Whose credentials some are.
pub(crate) struct Caller {
    pub(crate) id: String,
    arn: String,
}

async fn caller_of(config: &SdkConfig) -> Result<Caller> {
    let caller = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await
        .cannot("ask STS whose credentials these are")?;
    Ok(Caller {
        id: caller.account.unwrap_or_default(),
        arn: caller.arn.unwrap_or_default(),
    })
}

fn no_credentials() -> Error {
    Error::usage("there are no AWS credentials")
        .hint("in GitHub: `permissions: {id-token: write}` and an environment of the contract")
        .hint("in CodeBuild: the project's service role; at a terminal: eval \"$(aws configure export-credentials --format env)\"")
}

/// STS refused one role to another, or could not be asked.
fn not_chained(error: &SdkError<AssumeRoleError, HttpResponse>, role: &str, arn: &str) -> Error {
    let mut failed = crate::error::cannot(error, &format!("assume {role} as {arn}"));
    if crate::error::code(error) == Some("AccessDenied") {
        failed.exit = kit::Exit::Refused;
        failed.hints = vec![format!(
            "two must allow it: the trust policy of {role} must name {0} or its account, and {0} needs sts:AssumeRole on that role",
            role_of(arn).unwrap_or_else(|| arn.to_owned())
        )];
    }
    failed
}

/// The role behind a session, as a policy names it; without its path, which STS leaves out.
fn role_of(caller: &str) -> Option<String> {
    let parts: Vec<&str> = caller.splitn(6, ':').collect();
    let ["arn", partition, "sts", _, account, session] = parts.as_slice() else {
        return None;
    };
    let name = session.strip_prefix("assumed-role/")?.split('/').next()?;
    Some(format!("arn:{partition}:iam::{account}:role/{name}"))
}

/// STS refused this job's identity, or could not be asked.
fn not_trusted(error: SdkError<AssumeRoleWithWebIdentityError, HttpResponse>, role: &str) -> Error {
    let refused = matches!(
        crate::error::code(&error),
        Some("AccessDenied" | "InvalidIdentityToken")
    );
    let mut error = crate::error::cannot(
        &error,
        &format!("assume {role} with this job's GitHub identity"),
    );
    if refused {
        error.exit = kit::Exit::Refused;
        error.hints = vec![
            "the role's trust policy does not accept this repository, branch, environment or workflow"
                .to_owned(),
        ];
    }
    error
}

fn temporary(
    credentials: Option<aws_sdk_sts::types::Credentials>,
    role: &str,
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

/// Refuses keys that have no end, unless the contract names them.
///
/// A key is temporary when it carries a session token; its prefix says the same (`ASIA`, against
/// `AKIA` for long-lived ones: IAM User Guide, "Unique identifiers").
///
/// # Errors
/// Long-lived keys (exit 3).
pub fn guard_credentials(credentials: &Credentials, allowed: &[String]) -> Result<()> {
    let id = credentials.access_key_id();
    if credentials.session_token().is_some() && !id.starts_with("AKIA") {
        return Ok(());
    }
    if allowed.iter().any(|name| name == id) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "access key {id} is long-lived; only temporary credentials are used"
    ))
    .hint("use GitHub's OIDC, a CodeBuild role, or the temporary keys of `aws configure export-credentials`")
    .hint("to allow this key all the same, name it under `allow-long-lived-keys` in the contract"))
}

/// Whether `text` is `arn:PARTITION:iam::ACCOUNT:role/NAME`, with a path or not (IAM User Guide,
/// "IAM identifiers").
pub fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return false;
    };
    !partition.is_empty()
        && AccountId::parse(account).is_some()
        && resource.strip_prefix("role/").is_some_and(|name| {
            name.split('/').all(|part| !part.is_empty()) && !name.contains(char::is_whitespace)
        })
}

/// Whether `caller` (`arn:aws:sts::1:assumed-role/NAME/SESSION`) is a session of `role`
/// (`arn:aws:iam::1:role/PATH/NAME`).
fn is_session_of(caller: &str, role: &str) -> bool {
    let caller: Vec<&str> = caller.splitn(6, ':').collect();
    let role: Vec<&str> = role.splitn(6, ':').collect();
    let ([_, _, _, _, account, session], [_, _, _, _, role_account, role]) =
        (caller.as_slice(), role.as_slice())
    else {
        return false;
    };
    let name = role.rsplit('/').next();
    account == role_account
        && session.starts_with("assumed-role/")
        && session.split('/').nth(1) == name
}

/// A session name that says which run this is, within STS's 2 to 64 of `[\w+=,.@-]`.
pub fn session_name(env: &kit::env::Env) -> String {
    let wanted = match (env.get("GITHUB_RUN_ID"), env.get("CODEBUILD_BUILD_ID")) {
        (Some(run), _) => format!(
            "gh-{run}-{}-{}",
            env.get("GITHUB_RUN_ATTEMPT").unwrap_or("1"),
            env.get("GITHUB_ACTOR").unwrap_or("unknown"),
        ),
        (None, Some(build)) => format!("cb-{build}"),
        (None, None) => format!("slipway-{}", env.get("USER").unwrap_or("unknown")),
    };
    wanted
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::env::Env;

    fn keys(id: &str, token: Option<&str>) -> Credentials {
        Credentials::new(id, "s", token.map(str::to_owned), None, "test")
    }

    #[test]
    fn long_lived_keys_are_refused_unless_named() {
        assert!(guard_credentials(&keys("ASIAX", Some("t")), &[]).is_ok());
        for long in [
            keys("AKIAX", None),
            keys("AKIAX", Some("t")),
            keys("ASIAX", None),
        ] {
            let error = guard_credentials(&long, &[]).unwrap_err();
            assert_eq!(error.exit, kit::Exit::Refused);
        }
        assert!(guard_credentials(&keys("AKIAX", None), &["AKIAX".to_owned()]).is_ok());
    }

    #[test]
    fn a_role_that_was_mistyped_is_found_before_any_call() {
        let chosen = |role| Target::chosen(None, Purpose::Read, Some(role), Some("eu-west-1"));
        for role in [
            "arn:aws:iam::111111111111:role/deploy",
            "arn:aws-cn:iam::111111111111:role/team/deploy",
        ] {
            let target = chosen(role).unwrap();
            assert_eq!(target.role.as_deref(), Some(role));
            assert_eq!(target.region.as_deref(), Some("eu-west-1"));
        }
        for typo in [
            "",
            "deploy",
            "arn:aws:iam::1111:role/deploy",
            "arn:aws:iam::111111111111:user/deploy",
            "arn:aws:iam::111111111111:role/",
            "arn:aws:iam::111111111111:role/deploy x",
            "arn:aws:sts::111111111111:assumed-role/deploy/session",
        ] {
            assert_eq!(chosen(typo).unwrap_err().exit, kit::Exit::Usage, "{typo}");
        }
    }

    #[test]
    fn a_session_is_matched_to_its_role_and_account() {
        let session = "arn:aws:sts::111111111111:assumed-role/deploy/gh-1";
        assert!(is_session_of(
            session,
            "arn:aws:iam::111111111111:role/team/deploy"
        ));
        assert!(!is_session_of(
            session,
            "arn:aws:iam::222222222222:role/deploy"
        ));
        assert!(!is_session_of(
            session,
            "arn:aws:iam::111111111111:role/deployer"
        ));
        assert!(!is_session_of(
            "arn:aws:iam::111111111111:user/deploy",
            "arn:aws:iam::111111111111:role/deploy"
        ));
    }

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
        let caller = "arn:aws:sts::111111111111:assumed-role/build/gh-1";
        let role = "arn:aws:iam::222222222222:role/deploy";
        let error = not_chained(&answer("AccessDenied"), role, caller);
        assert_eq!(error.exit, kit::Exit::Refused);
        assert_eq!(error.hints.len(), 1, "{error}");
        for piece in [
            "the trust policy of arn:aws:iam::222222222222:role/deploy",
            "arn:aws:iam::111111111111:role/build needs sts:AssumeRole",
        ] {
            assert!(error.hints[0].contains(piece), "{error}");
        }
        let error = not_chained(&answer("ExpiredToken"), role, caller);
        assert_eq!(error.exit, kit::Exit::Failed);
    }

    #[test]
    fn session_names_fit_sts() {
        let env = Env::from([("GITHUB_RUN_ID", "77"), ("GITHUB_ACTOR", "dependabot[bot]")]);
        assert_eq!(session_name(&env), "gh-77-1-dependabot-bot-");
        let long = "x".repeat(90);
        let env = Env::from([("CODEBUILD_BUILD_ID", long.as_str())]);
        assert_eq!(session_name(&env).len(), 64);
    }
}

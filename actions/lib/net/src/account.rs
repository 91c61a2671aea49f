//! Credentials for one account and one purpose, minted in memory, and the guard that makes sure
//! they are what the contract says before anything uses them.

use crate::http::Net;
use crate::mint::{Caller, caller_of};
use crate::renew::{self, Renewing};
use crate::target::Target;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use kit::Secret;
use kit::aws::{AccountId, Arn, Region, RoleArn};
use kit::child::Program;
use kit::error::{Error, Result};

/// Checked credentials for one account.
#[derive(Debug, Clone)]
pub struct Account {
    /// For the service clients; carries credentials, region, HTTP client and endpoint overrides.
    pub config: SdkConfig,
    /// The credentials as they were first minted, for a child process that needs them. Clients of `config` go on with
    /// newer ones when these near their end.
    pub credentials: Credentials,
    /// The account ID that STS named.
    pub id: AccountId,
    /// The caller's ARN that STS named.
    pub arn: Arn,
    /// The region.
    pub region: Region,
}

impl Account {
    /// The credentials as they are now: those that were first minted, or newer ones once these near
    /// their end.
    pub(crate) async fn now(&self) -> Result<Credentials> {
        let Some(provider) = self.config.credentials_provider() else {
            return Ok(self.credentials.clone());
        };
        provider
            .provide_credentials()
            .await
            .map_err(|error| Error::failed("cannot renew the credentials").because(error))
    }

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
            .env("AWS_REGION", self.region.as_str())
            .env("AWS_DEFAULT_REGION", self.region.as_str())
            .without("AWS_PROFILE")
            // botocore prefers this token, and takes this time for the end of whatever keys it finds
            // (credentials.py, EnvProvider); `aws configure export-credentials` sets the time.
            .without("AWS_SECURITY_TOKEN")
            .without("AWS_CREDENTIAL_EXPIRATION")
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

    /// Credentials of `role`, assumed by `from`, which was minted for `target`: the way into an account
    /// whose roles trust only the roles of another.
    ///
    /// # Errors
    /// The role may not be assumed, or its credentials are another account's (exit 3).
    pub async fn account_through(
        &self,
        from: &Account,
        target: &Target,
        role: &RoleArn,
    ) -> Result<Account> {
        if role.is_behind(&from.arn) {
            return Ok(from.clone());
        }
        let region = from.region.clone();
        let first = from.credentials.clone();
        let credentials = self.assume(role, first, &from.arn, &region).await?;
        let renewing = {
            let (net, target, role) = (self.clone(), target.clone(), role.clone());
            Renewing::with(credentials.clone(), move || {
                let (net, target, role) = (net.clone(), target.clone(), role.clone());
                Box::pin(async move {
                    let from = net.account(&target).await?;
                    let first = from.credentials.clone();
                    net.assume(&role, first, &from.arn, &from.region).await
                })
            })
        };
        let config = self.renewed(&region, renewing).await;
        let Caller { id, arn } = caller_of(&config).await?;
        if id != *role.account() {
            return Err(Error::refused(format!(
                "the credentials of {role} are for account {id}, not for {}",
                role.account()
            ))
            .cause(format!("caller {arn}")));
        }
        Ok(Account {
            config,
            credentials,
            id,
            arn,
            region,
        })
    }

    fn region(&self, target: &Target) -> Result<Region> {
        if let Some(region) = &target.region {
            return Ok(region.clone());
        }
        let set = ["AWS_REGION", "AWS_DEFAULT_REGION"]
            .into_iter()
            .find_map(|name| Some((name, self.env.get(name)?)));
        let Some((name, text)) = set else {
            return Err(Error::usage("the region is missing")
                .hint("set AWS_REGION, or give --environment NAME to take it from the contract"));
        };
        text.parse()
            .map_err(|invalid| Error::from(invalid).hint(format!("it is the value of {name}")))
    }

    pub(crate) async fn config(
        &self,
        region: &Region,
        credentials: Option<Credentials>,
    ) -> SdkConfig {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.aws.clone())
            .region(sdk(region));
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
    async fn renewed(&self, region: &Region, renewing: Renewing) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.aws.clone())
            .region(sdk(region))
            .identity_cache(renew::cache())
            .credentials_provider(SharedCredentialsProvider::new(renewing))
            .load()
            .await
    }
}

/// The region as the SDK has it.
pub(crate) fn sdk(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
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
    if id.starts_with("ASIA") && credentials.session_token().is_none() {
        return Err(Error::refused(format!(
            "access key {id} is temporary, but its session token is missing"
        ))
        .hint("set AWS_SESSION_TOKEN beside AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    }
    Err(Error::refused(format!(
        "access key {id} is long-lived; only temporary credentials are used"
    ))
    .hint("use GitHub's OIDC, a CodeBuild role, or the temporary keys of `aws configure export-credentials`")
    .hint("to allow this key all the same, name it under `allow-long-lived-keys` in the contract"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(error.exit(), kit::Exit::Refused);
        }
        assert!(guard_credentials(&keys("AKIAX", None), &["AKIAX".to_owned()]).is_ok());
        let error = guard_credentials(&keys("ASIAX", None), &[]).unwrap_err();
        assert!(
            error.message.contains("session token is missing"),
            "{error}"
        );
    }
}

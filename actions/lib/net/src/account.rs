//! Credentials for one account and one purpose, minted in memory, and the guard that makes sure
//! they are what the contract says before anything uses them.

use crate::config::sdk;
use crate::http::Net;
use crate::mint::{Caller, caller_of};
use crate::renew::{self, Renewing};
use crate::session::SessionTag;
use crate::target::Target;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use kit::Secret;
use kit::aws::{AccountId, Arn, Region, RoleArn};
use kit::child::Program;
use kit::error::{Error, Result};
use time::OffsetDateTime;

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
    /// The network that it is reached through.
    pub(crate) net: Net,
}

impl Account {
    /// As [`Net::time`].
    ///
    /// # Errors
    /// As [`Net::time`].
    pub fn time(&self) -> Result<OffsetDateTime> {
        self.net.time()
    }

    /// The credentials as they are now: those that were first minted, or newer ones once these near
    /// their end.
    pub(crate) async fn current_credentials(&self) -> Result<Credentials> {
        let Some(provider) = self.config.credentials_provider() else {
            return Ok(self.credentials.clone());
        };
        provider.provide_credentials().await.map_err(renew::failed)
    }

    /// Gives a child process these credentials and none of the caller's own.
    #[must_use]
    pub fn add_credentials(&self, program: Program) -> Program {
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
            net: self.clone(),
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
        self.through(from, target, role, &region, None).await
    }

    /// Credentials of `role` in `region`, assumed by `from`, which was minted for `target`, in a session
    /// with this tag: what the role's policies allow only where the role behind `from` vouches for it.
    ///
    /// # Errors
    /// The role may not be assumed so, or its credentials are another account's (exit 3).
    pub async fn account_tagged(
        &self,
        from: &Account,
        target: &Target,
        role: &RoleArn,
        region: &Region,
        tag: SessionTag,
    ) -> Result<Account> {
        self.through(from, target, role, region, Some(tag)).await
    }

    async fn through(
        &self,
        from: &Account,
        target: &Target,
        role: &RoleArn,
        region: &Region,
        tag: Option<SessionTag>,
    ) -> Result<Account> {
        let first = from.current_credentials().await?;
        let credentials = self
            .assume(role, first, &from.arn, region, tag.as_ref())
            .await?;
        let renewing = {
            let (net, target) = (self.clone(), target.clone());
            let (role, region) = (role.clone(), region.clone());
            Renewing::with(credentials.clone(), move || {
                let (net, target, role) = (net.clone(), target.clone(), role.clone());
                let (region, tag) = (region.clone(), tag.clone());
                Box::pin(async move {
                    let from = net.account(&target).await?;
                    let first = from.credentials.clone();
                    net.assume(&role, first, &from.arn, &region, tag.as_ref())
                        .await
                })
            })
        };
        let config = self.renewed(region, renewing).await;
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
            region: region.clone(),
            net: self.clone(),
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

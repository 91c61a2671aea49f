//! Credentials for longer than a session lasts: a role that was assumed by another ends after an hour, and a step may wait
//! for longer, for a rollout or a lock or an upload. So clients are not given a session but a way to the next one.

use crate::http::Net;
use crate::target::Target;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use kit::aws::Region;
use kit::error::{Error, Result};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// Credentials are not used for what begins later than this before their end.
const MARGIN: Duration = Duration::from_secs(120);

/// How long minting may take, with all its own tries.
const WITHIN: Duration = Duration::from_secs(120);

pub(crate) type Minting = Pin<Box<dyn Future<Output = Result<Credentials>> + Send>>;

/// Gives the credentials it holds until they near their end, then new ones.
#[derive(Clone)]
pub(crate) struct Renewing(Arc<Inner>);

struct Inner {
    mint: Box<dyn Fn() -> Minting + Send + Sync>,
    /// Behind a lock, so that many who find them old mint once.
    held: Mutex<Credentials>,
}

/// When a client asks its provider again.
pub(crate) fn cache() -> SharedIdentityCache {
    IdentityCache::lazy()
        .buffer_time(MARGIN)
        .load_timeout(WITHIN)
        .build()
}

impl Renewing {
    /// `first` was minted for `target`, in the same way as the next ones will be.
    pub(crate) fn new(net: &Net, target: &Target, region: &Region, first: &Credentials) -> Self {
        let (net, target, region) = (net.clone(), target.clone(), region.clone());
        Self::with(first.clone(), move || {
            let (net, target, region) = (net.clone(), target.clone(), region.clone());
            Box::pin(async move {
                let (credentials, caller) = net.mint(&target, &region).await?;
                // A role is of one account for ever; what is found in the surroundings need not be.
                match (caller, &target.account) {
                    (Some(caller), Some(wanted)) if caller.id != *wanted => {
                        Err(Error::refused(format!(
                            "the next credentials are for account {}, not for {wanted}",
                            caller.id
                        )))
                    }
                    _ => Ok(credentials),
                }
            })
        })
    }

    /// `first` was minted as `mint` will mint the next ones.
    pub(crate) fn with(
        first: Credentials,
        mint: impl Fn() -> Minting + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            mint: Box::new(mint),
            held: Mutex::new(first),
        }))
    }

    async fn give(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.0.held.lock().await;
        if !ends_within(&held, MARGIN) {
            return Ok(held.clone());
        }
        match (self.0.mint)().await {
            Ok(next) => {
                *held = next;
                Ok(held.clone())
            }
            // Their issuer may be away for a moment.
            Err(_) if !ends_within(&held, Duration::ZERO) => Ok(held.clone()),
            Err(error) => Err(CredentialsError::provider_error(error)),
        }
    }
}

/// The error of a renewal that failed. It keeps the kind of its cause, by which it is known whether to try again.
pub(crate) fn failed(error: CredentialsError) -> Error {
    let mut failed = Error::failed("cannot renew the credentials");
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(at) = cause {
        if let Some(minting) = at.downcast_ref::<Error>() {
            failed.kind = minting.kind;
            break;
        }
        cause = at.source();
    }
    failed.because(error)
}

fn ends_within(credentials: &Credentials, time: Duration) -> bool {
    credentials
        .expiry()
        .is_some_and(|end| end <= SystemTime::now() + time)
}

impl ProvideCredentials for Renewing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.give())
    }
}

impl fmt::Debug for Renewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;
    use kit::error::{ErrorKind, Failure};
    use std::sync::Mutex as Blocking;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn keys(number: u32, lives: Duration) -> Credentials {
        let end = SystemTime::now() + lives;
        Credentials::new(
            format!("ASIA{number}"),
            "s",
            Some("t".to_owned()),
            Some(end),
            "test",
        )
    }

    /// A provider whose first credentials live so long and the next ones an hour, and how many were minted.
    fn renewing(lives: Duration, fails: bool) -> (Renewing, Arc<AtomicU32>) {
        let minted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&minted);
        let renewing = Renewing::with(keys(0, lives), move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            Box::pin(async move {
                match fails {
                    true => Err(Error::failed("nobody answers")),
                    false => Ok(keys(number, Duration::from_secs(3600))),
                }
            })
        });
        (renewing, minted)
    }

    /// A service that keeps the signature of each request and always gives the same answer.
    #[derive(Debug, Clone, Default)]
    struct Service(Arc<Blocking<Vec<String>>>);

    impl HttpConnector for Service {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let signed = request.headers().get("authorization").unwrap_or_default();
            self.0.lock().unwrap().push(signed.to_owned());
            let answer = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
            HttpConnectorFuture::ready(Ok(HttpResponse::new(
                200.try_into().unwrap(),
                SdkBody::from(answer),
            )))
        }
    }

    #[tokio::test]
    async fn a_client_goes_on_with_the_next_session() {
        for (lives, wanted) in [(30, ["ASIA1", "ASIA1"]), (3600, ["ASIA0", "ASIA0"])] {
            let (renewing, minted) = renewing(Duration::from_secs(lives), false);
            let service = Service::default();
            let connector = SharedHttpConnector::new(service.clone());
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(aws_config::Region::new("eu-west-1"))
                .http_client(http_client_fn(move |_, _| connector.clone()))
                .identity_cache(cache())
                .credentials_provider(SharedCredentialsProvider::new(renewing))
                .build();
            let client = aws_sdk_sts::Client::new(&config);
            for _ in 0..2 {
                client.get_caller_identity().send().await.unwrap();
            }
            let signed = service.0.lock().unwrap().clone();
            for (signed, key) in signed.iter().zip(wanted) {
                assert!(signed.contains(&format!("Credential={key}/")), "{signed}");
            }
            assert_eq!(signed.len(), 2);
            assert_eq!(minted.load(Ordering::SeqCst), u32::from(lives < 120));
        }
    }

    #[test]
    fn a_renewal_that_failed_keeps_the_kind_of_its_cause() {
        for kind in [
            ErrorKind::Service(Failure::NoAnswer),
            ErrorKind::Service(Failure::Denied),
            ErrorKind::Refused,
        ] {
            let cause = Error::new(kind, "why");
            let error = failed(CredentialsError::provider_error(cause));
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.line().contains("why"), "{}", error.line());
        }
        let other = failed(CredentialsError::not_loaded("none"));
        assert_eq!(other.kind, ErrorKind::Failed);
    }

    #[tokio::test]
    async fn many_that_find_them_old_mint_once() {
        let (renewing, minted) = renewing(Duration::from_secs(1), false);
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let renewing = renewing.clone();
            all.spawn(async move { renewing.give().await.unwrap() });
        }
        for given in all.join_all().await {
            assert_eq!(given.access_key_id(), "ASIA1");
        }
        assert_eq!(minted.load(Ordering::SeqCst), 1);
        assert!(!format!("{renewing:?}").contains("ASIA"));
    }

    #[tokio::test]
    async fn unexpired_credentials_are_used_if_the_renewal_fails() {
        let (renewing, _) = renewing(Duration::from_secs(60), true);
        assert_eq!(renewing.give().await.unwrap().access_key_id(), "ASIA0");
        let (renewing, _) = self::renewing(Duration::ZERO, true);
        let error = renewing.give().await.unwrap_err();
        assert!(format!("{error:?}").contains("nobody answers"), "{error:?}");
    }
}

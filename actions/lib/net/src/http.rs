//! One TLS configuration and one resolver behind both HTTP stacks: the AWS SDK's and reqwest.

use crate::calls::{Logged, Owners};
use crate::clock::AwsClock;
use crate::dns::Dns;
use crate::roots;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use kit::clock::uptime;
use kit::env::Env;
use kit::error::{Context, Error, Result};
use kit::host::Host;
use kit::step::Cx;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The network as a step sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Net {
    pub(crate) env: Env,
    pub(crate) host: Host,
    pub(crate) aws: SharedHttpClient,
    pub(crate) owners: Owners,
    clock: AwsClock,
    http: reqwest::Client,
    transfer: reqwest::Client,
}

impl Net {
    /// Builds both clients. Opens no connection.
    ///
    /// # Errors
    /// An unreadable certificate bundle or a TLS set-up that fails.
    pub fn new(cx: &Cx) -> Result<Self> {
        crate::endpoint::check(&cx.env)?;
        let roots = roots::load(&cx.env)?;
        let dns = Dns::default();
        let context = TlsContext::builder()
            .with_trust_store(
                TrustStore::empty()
                    .with_native_roots(false)
                    .with_pem_certificate(roots::pem(&roots)),
            )
            .build()
            .context("cannot set up TLS")?;
        // `Builder::build_with_resolver` would drop the proxy settings without a word, so the
        // connector is built here, once, and shared by every client.
        let connector = SharedHttpConnector::new(
            Connector::builder()
                .connector_settings(
                    HttpConnectorSettings::builder()
                        .connect_timeout(CONNECT_TIMEOUT)
                        .read_timeout(READ_TIMEOUT)
                        .build(),
                )
                .proxy_config(ProxyConfig::from_env())
                .sleep_impl(aws_smithy_async_sleep())
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .tls_context(context)
                .build_with_resolver(dns.clone()),
        );
        let owners = Owners::default();
        let clock = AwsClock::default();
        let connector = SharedHttpConnector::new(Logged {
            inner: connector,
            owners: owners.clone(),
            clock: clock.clone(),
        });
        let aws = http_client_fn(move |_, _| connector.clone());

        let mut store = rustls::RootCertStore::empty();
        // Hosts carry odd certificates; those that do not parse are not trusted, no more.
        store.add_parsable_certificates(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("cannot set up TLS")?
            .with_root_certificates(store)
            .with_no_client_auth();
        let http = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(dns.clone())
                .connect_timeout(CONNECT_TIMEOUT)
                // A redirect could carry a token to another host.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
        };
        let built = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| Error::failed("cannot set up HTTP").because(error))
        };
        let transfer = built(http())?;
        let http = built(http().read_timeout(READ_TIMEOUT))?;
        Ok(Self {
            env: cx.env.clone(),
            host: cx.host.clone(),
            aws,
            owners,
            clock,
            http,
            transfer,
        })
    }

    /// By how much this machine's clock is ahead of AWS's, negative if it is behind, by the newest answer of AWS. Nothing if none said
    /// the time.
    pub fn ahead(&self) -> Option<time::Duration> {
        self.clock.ahead(OffsetDateTime::now_utc(), uptime())
    }

    /// AWS's time, by which everybody judges how old a permit or a plan is: nobody on this machine can set it.
    ///
    /// # Errors
    /// No answer of AWS said the time (exit 3).
    pub fn time(&self) -> Result<OffsetDateTime> {
        let time = self.clock.time(OffsetDateTime::now_utc(), uptime());
        time.ok_or_else(|| {
            Error::refused(
                "AWS's time is not known, so nothing that has a time limit can be judged",
            )
            .cause("no answer of AWS had a `Date` with a time")
            .hint("let the proxy between this machine and AWS pass the `Date` of answers on")
        })
    }

    /// [`crate::path_style`] for this process.
    pub fn path_style(&self) -> bool {
        crate::endpoint::path_style(&self.env)
    }

    /// The client for everything that is not AWS. It follows no redirects.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The same for long bodies, without a limit on time: reqwest counts its own from the request's start until the answer
    /// begins, so an upload of more than a minute would be cut off. The caller watches that bytes move.
    pub fn transfer(&self) -> &reqwest::Client {
        &self.transfer
    }
}

fn aws_smithy_async_sleep() -> aws_smithy_async::rt::sleep::SharedAsyncSleep {
    aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
        aws_smithy_async::rt::sleep::TokioSleep::new(),
    )
}

//! The only AWS endpoint of the sandbox. Every call arrives here, is attributed to an account and a role,
//! recorded, held to AWS's rules where the parts behind are kinder, and answered by moto, DynamoDB Local,
//! a backend given by the caller, or the gateway itself (STS, ECR's images and registry).
//! The registry's front speaks `/v2` on one loopback address per account and region, as ECR has one host each.

mod access;
mod accounts;
mod answer;
mod authenticated;
mod backups;
mod buckets;
mod builds;
mod calendars;
mod call;
mod condition;
mod control;
mod direct;
mod distribution;
mod dynamodb;
mod ecr;
mod ecr_repository;
mod error;
mod faults;
mod fitting;
mod front;
mod front_rules;
mod iam;
mod identity;
mod images;
mod invocations;
mod jwt;
mod kms;
mod leading;
mod moto;
mod mounts;
mod policy;
mod previews;
mod record;
mod registry_side;
mod replicas;
mod repositories;
mod route;
mod s3;
mod s3_operation;
mod scans;
mod sigv4;
mod stacks;
mod sts;
mod text;

use std::collections::HashMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use http::{HeaderMap, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;

/// Where DynamoDB Local listens.
#[derive(Clone, Debug)]
pub enum DynamoDb {
    /// `http://HOST:PORT`.
    Address(String),
    /// A unix socket, for a DynamoDB Local in a network namespace of its own.
    Socket(PathBuf),
}

/// The CNCF distribution behind the registry's front.
#[derive(Clone)]
pub struct Distribution {
    /// `http://HOST:PORT`.
    pub url: String,
    /// Its htpasswd user.
    pub user: String,
    /// Its htpasswd password.
    pub password: String,
}

/// The registry's front: one address per account and region, handed out in order from `first`.
#[derive(Clone, Copy, Debug)]
pub struct Front {
    /// The address of the first account and region; the last octet counts up to 254.
    pub first: Ipv4Addr,
    /// The port on each of them.
    pub port: u16,
}

/// An OIDC issuer, and where its keys are to be had in the sandbox.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` claim, such as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// The JWKS document's address.
    pub jwks: String,
}

/// The parts behind the gateway.
#[derive(Clone)]
pub struct Config {
    /// moto's `http://HOST:PORT`.
    pub moto: String,
    /// DynamoDB Local.
    pub dynamodb: DynamoDb,
    /// The registry's storage.
    pub distribution: Distribution,
    /// The registry's front.
    pub front: Front,
    /// botocore's `data` folder, with `ecr`, `cloudformation`, `codebuild`, `kms` and `ssm` in it.
    pub models: PathBuf,
    /// cfn-lint's folder `data/schemas`: the schemas of CloudFormation's resource types.
    pub schemas: PathBuf,
    /// Issuers whose web identity tokens are taken where an account registered them.
    pub issuers: Vec<Issuer>,
    /// Services answered by others, by their SigV4 name, such as `ecs` and `elasticloadbalancing`.
    pub backends: HashMap<String, Arc<dyn Backend>>,
}

/// A call for a [`Backend`], already authenticated.
#[derive(Clone, Debug)]
pub struct BackendCall {
    /// The SigV4 service name.
    pub service: String,
    /// The API operation.
    pub operation: String,
    /// The caller's 12-digit account.
    pub account: String,
    /// The region of the credential scope.
    pub region: String,
    /// The caller's ARN, of the session where it is one.
    pub principal: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's body; where method and path name the operation, its whole input as JSON.
    pub body: Bytes,
}

/// A [`Backend`]'s answer.
#[derive(Clone, Debug)]
pub struct BackendAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, Content-Type among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A stand-in that answers a whole service.
pub trait Backend: Send + Sync {
    /// Answers one call; errors are answers too, in the service's protocol.
    fn handle(&self, call: BackendCall)
    -> Pin<Box<dyn Future<Output = BackendAnswer> + Send + '_>>;

    /// Answers that did not fit the vendor's description, which were therefore not given.
    fn violations(&self) -> Vec<String>;
}

/// Everything the gateway knows, shared by all requests.
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) http: reqwest::Client,
    pub(crate) dynamodb: reqwest::Client,
    pub(crate) identities: identity::Identities,
    pub(crate) accounts: accounts::Accounts,
    pub(crate) issuers: HashMap<String, jwt::Keys>,
    pub(crate) recorder: record::Recorder,
    pub(crate) faults: faults::Faults,
    pub(crate) repositories: repositories::Repositories,
    pub(crate) stored: access::stored::Stored,
    pub(crate) keys: kms::Keys,
    pub(crate) buckets: buckets::Buckets,
    pub(crate) fronts: front::Fronts,
    pub(crate) direct: direct::Direct,
    pub(crate) images: images::Images,
    pub(crate) backups: backups::Backups,
    pub(crate) replicas: replicas::Replicas,
    pub(crate) mounts: mounts::Mounts,
    pub(crate) builds: builds::Builds,
    pub(crate) calendars: calendars::Calendars,
    pub(crate) previews: previews::Previews,
    pub(crate) scans: scans::Scans,
    pub(crate) tables: leading::Tables,
    pub(crate) stacks: standin_cloudformation::CloudFormation,
    pub(crate) ecr: standin_ecs::Shapes,
    pub(crate) codebuild: standin_ecs::Shapes,
    pub(crate) kms: standin_ecs::Shapes,
    pub(crate) ssm: standin_ecs::Shapes,
}

/// Serves the gateway on `listener` until the future is dropped; the registry's fronts start as accounts need them.
///
/// # Errors
/// When a client for the parts behind cannot be built or the listener fails.
pub async fn serve(config: Config, listener: TcpListener) -> std::io::Result<()> {
    let (base, socket) = match &config.dynamodb {
        DynamoDb::Address(_) => (client()?, None),
        DynamoDb::Socket(path) => (client()?, Some(path.clone())),
    };
    let dynamodb = match socket {
        Some(path) => builder()?
            .unix_socket(path)
            .build()
            .map_err(std::io::Error::other)?,
        None => base.clone(),
    };
    let issuers = config
        .issuers
        .iter()
        .map(|issuer| (issuer.issuer.clone(), jwt::Keys::new(issuer.jwks.clone())))
        .collect();
    let model = |service: &str| {
        standin_ecs::Shapes::load(&config.models, service).map_err(std::io::Error::other)
    };
    let (ecr, codebuild) = (model("ecr")?, model("codebuild")?);
    let (kms, ssm) = (model("kms")?, model("ssm")?);
    let stacks = standin_cloudformation::CloudFormation::start(&standin_cloudformation::Config {
        models: config.models.clone(),
        schemas: config.schemas.clone(),
        timings: standin_cloudformation::Timings::default(),
    })
    .map_err(std::io::Error::other)?;
    let gateway = Arc::new(Gateway {
        stacks,
        fronts: front::Fronts::new(config.front),
        direct: direct::Direct::default(),
        config,
        http: base,
        dynamodb,
        identities: identity::Identities::default(),
        accounts: accounts::Accounts::default(),
        issuers,
        recorder: record::Recorder::default(),
        faults: faults::Faults::default(),
        repositories: repositories::Repositories::default(),
        stored: access::stored::Stored::default(),
        keys: kms::Keys::default(),
        buckets: buckets::Buckets::default(),
        images: images::Images::default(),
        backups: backups::Backups::default(),
        replicas: replicas::Replicas::default(),
        mounts: mounts::Mounts::default(),
        builds: builds::Builds::default(),
        calendars: calendars::Calendars::default(),
        previews: previews::Previews::default(),
        scans: scans::Scans::default(),
        tables: leading::Tables::default(),
        ecr,
        codebuild,
        kms,
        ssm,
    });
    let _fronts_end_with_us = front::EndOnDrop(Arc::clone(&gateway));
    axum::serve(listener, route::router(gateway)).await
}

fn builder() -> std::io::Result<reqwest::ClientBuilder> {
    // Every part behind speaks plain HTTP on loopback. reqwest still wants a TLS configuration; this one trusts no certificate.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        // Shorter than any part's own, so that no call goes into a connection that is being closed.
        .pool_idle_timeout(std::time::Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none()))
}

fn client() -> std::io::Result<reqwest::Client> {
    builder()?.build().map_err(std::io::Error::other)
}

/// A lock whose holder never leaves data half changed, so a panic elsewhere does not poison it for us.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `2026-01-02T03:04:05.678Z`, milliseconds.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    let millis = time
        .replace_nanosecond(u32::from(time.millisecond()) * 1_000_000)
        .unwrap_or(time);
    millis.format(&Rfc3339).unwrap_or_default()
}

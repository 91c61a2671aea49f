//! Name resolution without the host's NSS modules, which a static binary cannot load.

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Why a name has no address.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unresolved {
    /// There is no server that could be asked.
    #[error("no DNS configuration (/etc/resolv.conf): {0}")]
    Unconfigured(Shared),
    /// The servers did not say one.
    #[error("cannot resolve {name}: {error}")]
    Failed { name: String, error: Shared },
}

/// An error of the resolver, which all callers get that wait for it.
type Shared = Arc<dyn std::error::Error + Send + Sync>;

/// A resolver shared by the AWS clients and reqwest. The system's configuration is read at the
/// first look-up, so that a call to an address needs no `/etc/resolv.conf`.
#[derive(Clone, Default)]
pub(crate) struct Dns(Arc<OnceLock<Result<TokioResolver, Unresolved>>>);

impl Dns {
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let resolver = self
            .0
            .get_or_init(|| {
                let mut builder = TokioResolver::builder_tokio()
                    .map_err(|error| Unresolved::Unconfigured(Arc::new(error)))?;
                let options = builder.options_mut();
                // The defaults let one AAAA query to a dead server outlast the SDK's connect
                // timeout.
                options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
                options.timeout = Duration::from_secs(1);
                options.attempts = 3;
                builder
                    .build()
                    .map_err(|error| Unresolved::Unconfigured(Arc::new(error)))
            })
            .as_ref()
            .map_err(Clone::clone)?;
        let found = resolver
            .lookup_ip(name)
            .await
            .map_err(|error| Unresolved::Failed {
                name: name.to_owned(),
                error: Arc::new(error),
            })?;
        Ok(found.iter().collect())
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}

impl ResolveDns for Dns {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { self.lookup(name).await.map_err(ResolveDnsError::new) })
    }
}

impl reqwest::dns::Resolve for Dns {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let dns = self.clone();
        Box::pin(async move {
            let found = dns.lookup(name.as_str()).await?;
            let addresses: reqwest::dns::Addrs =
                Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

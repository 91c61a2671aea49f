//! The name of a chain.

use kit::contract::reserved;
use kit::error::{Error, Result};
use std::fmt;

/// The name of a chain: one service in one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(String);

impl Chain {
    /// The chain of `service` in `environment`.
    ///
    /// # Errors
    /// A name is empty or contains `#`, with which two chains could share a key, or builds may write
    /// the key (exit 2).
    pub fn new(service: &str, environment: &str) -> Result<Self> {
        for name in [service, environment] {
            if name.is_empty() || name.contains('#') {
                return Err(Error::usage(format!(
                    "{name:?} cannot be part of a ledger chain's name"
                ))
                .hint("use a name that is not empty and contains no `#`"));
            }
        }
        reserved::service(service)?;
        Ok(Self(format!("{service}#{environment}")))
    }

    /// The partition key of the chain's items, `SERVICE#ENVIRONMENT`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The service.
    pub fn service(&self) -> &str {
        self.0.split_once('#').map_or("", |(service, _)| service)
    }

    /// The environment.
    pub fn environment(&self) -> &str {
        self.0.split_once('#').map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_services_cannot_share_a_chain_by_their_names() {
        let dev = Chain::new("storefront", "dev").unwrap();
        assert_eq!(dev.as_str(), "storefront#dev");
        assert_eq!((dev.service(), dev.environment()), ("storefront", "dev"));
        assert!(Chain::new("a#b", "c").is_err());
        assert!(Chain::new("a", "").is_err());
        // Builds may write every key that begins with `content#`.
        assert!(Chain::new("content", "dev").is_err());
    }
}

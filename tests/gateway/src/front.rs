//! The registry's front: one listener per account and region, as ECR has one host each, and the tokens that
//! open it. Requests are judged by `front_rules` and passed to the distribution.
//!
//! A pull is allowed to two: a principal of the repository's account, or one that the repository's policy names, exactly as
//! in AWS. So a task that runs in another account needs that policy, as it does there; there is no master key.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::error::AwsError;
use crate::front_rules::{self, Denied};
use crate::identity::{Principal, opaque};
use crate::registry_side::Side;
use crate::{Front, Gateway, lock};

/// The listeners and the tokens.
pub(crate) struct Fronts {
    config: Front,
    open: tokio::sync::Mutex<HashMap<(String, String), String>>,
    running: Mutex<Vec<AbortHandle>>,
    tokens: Mutex<HashMap<String, (Principal, OffsetDateTime)>>,
}

impl Fronts {
    pub(crate) fn new(config: Front) -> Self {
        Self {
            config,
            open: tokio::sync::Mutex::default(),
            running: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// A token for all registries the principal may reach, good for 12 hours.
    pub(crate) fn mint(&self, principal: &Principal) -> (String, OffsetDateTime) {
        let token = opaque(180);
        let expires = OffsetDateTime::now_utc() + Duration::hours(12);
        lock(&self.tokens).insert(token.clone(), (principal.clone(), expires));
        (token, expires)
    }

    pub(crate) fn expire(&self, token: &str) -> bool {
        match lock(&self.tokens).get_mut(token) {
            Some((_, expires)) => {
                *expires = OffsetDateTime::now_utc();
                true
            }
            None => false,
        }
    }

    /// Whose token the Basic authorization holds.
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Result<Principal, Denied> {
        let text = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let decoded = text
            .strip_prefix("Basic ")
            .and_then(|encoded| STANDARD.decode(encoded).ok());
        let pair = decoded
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        let token = pair.strip_prefix("AWS:").ok_or(Denied::Unknown)?;
        match lock(&self.tokens).get(token) {
            None => Err(Denied::Unknown),
            Some((_, expires)) if *expires <= OffsetDateTime::now_utc() => Err(Denied::Expired),
            Some((principal, _)) => Ok(principal.clone()),
        }
    }
}

/// The address that many behind the first one: all that the first one's last octet leaves, and as many again in another block of
/// the loopback network, since a whole run of the tests has more accounts than one block has addresses.
fn nth(first: Ipv4Addr, number: usize) -> Option<Ipv4Addr> {
    let [a, b, c, first] = first.octets();
    let block = usize::from(255 - first);
    let last = first + u8::try_from(number % block).ok()?;
    match number / block {
        0 => Some(Ipv4Addr::new(a, b, c, last)),
        1 => Some(Ipv4Addr::new(a, b ^ 0x80, c, last)),
        _ => None,
    }
}

/// `HOST:PORT` of an account's registry in a region, listening from now on.
pub(crate) async fn address(
    gateway: &Arc<Gateway>,
    account: &str,
    region: &str,
) -> Result<String, AwsError> {
    let fronts = &gateway.fronts;
    let mut open = fronts.open.lock().await;
    let key = (account.to_owned(), region.to_owned());
    if let Some(host) = open.get(&key) {
        return Ok(host.clone());
    }
    let next = nth(fronts.config.first, open.len()).ok_or_else(|| {
        AwsError::upstream(
            "registry",
            "there is no loopback address left for another account and region",
        )
    })?;
    let at = SocketAddr::from((next, fronts.config.port));
    let failed = |cause: std::io::Error| {
        AwsError::upstream("registry", format!("cannot listen on {at}: {cause}"))
    };
    let listener = TcpListener::bind(at).await.map_err(failed)?;
    let host = listener.local_addr().map_err(failed)?.to_string();
    let side = Side {
        gateway: Arc::clone(gateway),
        account: account.to_owned(),
        region: region.to_owned(),
        host: host.clone(),
    };
    let task = tokio::spawn(async move {
        // The listener's own failure ends this front alone; callers see a refused connection.
        let _ended = axum::serve(listener, front_rules::router(side)).await;
    });
    lock(&fronts.running).push(task.abort_handle());
    open.insert(key, host.clone());
    Ok(host)
}

/// Ends all listeners when the gateway's server ends.
pub(crate) struct EndOnDrop(pub(crate) Arc<Gateway>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        for task in lock(&self.0.fronts.running).drain(..) {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_an_address_of_its_own() {
        let first = Ipv4Addr::new(127, 1, 2, 2);
        let all: std::collections::BTreeSet<_> = (0..506).filter_map(|it| nth(first, it)).collect();
        assert_eq!(all.len(), 506);
        assert_eq!(nth(first, 0), Some(first));
        assert_eq!(nth(first, 252), Some(Ipv4Addr::new(127, 1, 2, 254)));
        assert_eq!(nth(first, 253), Some(Ipv4Addr::new(127, 129, 2, 2)));
        assert_eq!(nth(first, 506), None);
    }
}

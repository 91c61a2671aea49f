//! The pusher against a real registry (CNCF distribution) with a hostile proxy in between. Each test ends with what a second
//! run finds.

mod archives;
mod containerd;
mod copies;
mod hostile;
mod images;
mod pushed;
mod refusals;
mod registry;
mod stored;
mod uploads;

use super::{Delivered, Outcome, Target};
use crate::blob::Compression;
use crate::registry::{Client, Registry, RetryPolicy, Token};
use crate::source::Source;
use base64::Engine;
use hostile::Hostile;
use kit::env::Env;
use kit::host::Host;
use kit::step::{Common, Cx};
use kit::{Error, Secret};
use net::Net;
use registry::Distribution;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Tokens as the clients of these tests get them, the first one first.
const TOKENS: [&str; 3] = ["token-one", "token-two", "token-three"];

const RETRIES: RetryPolicy = RetryPolicy {
    tries: 5,
    first: Duration::from_millis(2),
    longest: Duration::from_millis(20),
    within: Duration::from_secs(300),
    stall: Duration::from_secs(10),
};

fn basic(token: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{token}"));
    format!("Basic {pair}")
}

/// A registry, a proxy before it, and how often a token was fetched.
struct Fixture {
    registry: Distribution,
    proxy: Hostile,
    fetched: Arc<AtomicUsize>,
}

impl Fixture {
    async fn new() -> Self {
        Self::of(Distribution::start()).await
    }

    async fn of(registry: Distribution) -> Self {
        let proxy = Hostile::new(registry.address, basic(registry::PASSWORD), &TOKENS).await;
        Self {
            registry,
            proxy,
            fetched: Arc::default(),
        }
    }

    /// A client as a step of its own would have one.
    fn client(&self) -> Client {
        client(self.proxy.address, Arc::clone(&self.fetched))
    }

    fn target(&self, tags: &[&str]) -> Target {
        target(&self.client(), "acme/app", tags)
    }

    /// The digest that a tag names, at the registry itself.
    async fn tagged(&self, repository: &str, tag: &str) -> Option<String> {
        let repo = self.client().repo(repository);
        let found = repo
            .client
            .retry(async |pass| repo.manifest(pass, tag).await)
            .await;
        found.ok().flatten().map(|found| found.digest.to_string())
    }
}

fn client(address: SocketAddr, fetched: Arc<AtomicUsize>) -> Client {
    with_policy(address, RETRIES, fetched)
}

fn with_policy(address: SocketAddr, policy: RetryPolicy, fetched: Arc<AtomicUsize>) -> Client {
    let env = Env::from([("NO_PROXY", "*")]);
    let net = Net::new(&Cx {
        host: host(),
        env,
        clock: kit::clock::Clock::System,
        common: Common {
            environment: None,
            contract: None,
            json: false,
            verbose: false,
        },
    })
    .unwrap();
    let first = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{}", TOKENS[0]));
    let registry = Registry::new(&format!("http://{address}"), &first).unwrap();
    Client::with_policy(&net, &registry, policy, move || {
        let number = fetched.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            let token = TOKENS
                .get(number)
                .ok_or_else(|| Error::failed("no more tokens"))?;
            Ok(Token {
                login: crate::credentials::Login {
                    username: "AWS".to_owned(),
                    secret: Secret::new((*token).to_owned()),
                },
                expires: None,
            })
        }
    })
    .unwrap()
}

fn host() -> Host {
    Host::detect(&Env::from([("NO_COLOR", "1")]))
}

fn target(client: &Client, repository: &str, tags: &[&str]) -> Target {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Target::new(client.repo(repository), tags)
}

async fn push(source: &Arc<Source>, targets: &[Target]) -> Vec<Outcome> {
    super::push(&host(), source, Compression::Gzip, targets).await
}

/// Pushes to one target, and sees to it that no error shows a token.
async fn push_one(source: &Arc<Source>, target: Target) -> kit::Result<Delivered> {
    let outcome = push(source, &[target]).await.remove(0);
    if let Err(error) = &outcome.result {
        says_no_token(error);
        assert!(error.message.contains(&outcome.name), "{error}");
        assert!(!error.hints.is_empty(), "{error}");
    }
    outcome.result
}

fn says_no_token(error: &Error) {
    let text = format!("{error} {error:?}");
    for token in TOKENS {
        assert!(
            !text.contains(token) && !text.contains(&basic(token)[6..]),
            "{text}"
        );
    }
}

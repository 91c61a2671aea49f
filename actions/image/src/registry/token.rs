//! The registry's token: in memory, fetched when it is first needed, and again when it nears its end or is refused.

use super::fault::Fault;
use crate::credentials::Login;
use kit::Result;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// A token is not used for what could begin later than this before its end, or in its last half.
const MARGIN: Duration = Duration::from_secs(30 * 60);

/// A login and its end.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) login: Login,
    pub(crate) expires: Option<SystemTime>,
}

/// A token as one request uses it.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(super) login: Login,
    generation: u64,
}

type Fetching = Pin<Box<dyn Future<Output = Result<Token>> + Send>>;
pub(super) type Fetch = Box<dyn Fn() -> Fetching + Send + Sync>;

/// Hands out the token. Fetching is behind a lock, so that many requests that find it stale fetch it once.
pub(super) struct Tokens {
    fetch: Fetch,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    pass: Option<Pass>,
    renew_at: Option<SystemTime>,
    generation: u64,
}

impl Tokens {
    /// Begins with a token that was fetched already.
    pub(super) fn new(first: Token, fetch: Fetch) -> Self {
        let mut held = Held::default();
        held.fill(first);
        Self {
            fetch,
            held: Mutex::new(held),
        }
    }

    pub(super) async fn get(&self) -> Result<Pass, Fault> {
        let mut held = self.held.lock().await;
        let stale = held.renew_at.is_some_and(|at| SystemTime::now() >= at);
        match &held.pass {
            Some(pass) if !stale => Ok(pass.clone()),
            _ => self.refill(&mut held).await,
        }
    }

    /// A token other than `refused`.
    pub(super) async fn renew(&self, refused: &Pass) -> Result<Pass, Fault> {
        let mut held = self.held.lock().await;
        match &held.pass {
            Some(pass) if pass.generation != refused.generation => Ok(pass.clone()),
            _ => self.refill(&mut held).await,
        }
    }

    async fn refill(&self, held: &mut Held) -> Result<Pass, Fault> {
        Ok(held.fill((self.fetch)().await?))
    }
}

impl Held {
    fn fill(&mut self, token: Token) -> Pass {
        self.generation += 1;
        let pass = Pass {
            login: token.login,
            generation: self.generation,
        };
        self.renew_at = token.expires.and_then(|at| renewal(SystemTime::now(), at));
        self.pass = Some(pass.clone());
        pass
    }
}

/// When to fetch a new token; `None` if the end is already past because clocks disagree: then the token is renewed when
/// the registry refuses it.
fn renewal(now: SystemTime, expires: SystemTime) -> Option<SystemTime> {
    let remaining = expires.duration_since(now).ok()?;
    Some(now + remaining.saturating_sub(MARGIN).max(remaining / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Secret;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn tokens(lives: Option<Duration>) -> (Tokens, Arc<AtomicU32>) {
        let fetched = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&fetched);
        let fetch: Fetch = Box::new(move || {
            let count = Arc::clone(&count);
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let number = count.fetch_add(1, Ordering::SeqCst);
                Ok(Token {
                    login: Login {
                        username: "AWS".to_owned(),
                        secret: Secret::new(format!("t{number}")),
                    },
                    expires: lives.map(|lives| SystemTime::now() + lives),
                })
            })
        });
        let first = Token {
            login: Login {
                username: "AWS".to_owned(),
                secret: Secret::new("first".to_owned()),
            },
            expires: lives.map(|lives| SystemTime::now() + lives),
        };
        (Tokens::new(first, fetch), fetched)
    }

    #[tokio::test]
    async fn many_that_are_refused_fetch_once() {
        let (tokens, fetched) = tokens(None);
        let first = tokens.get().await.unwrap();
        let all = futures_util::future::join_all((0..20).map(|_| tokens.renew(&first))).await;
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
        assert!(
            all.iter()
                .all(|pass| pass.as_ref().unwrap().login.secret.expose() == "t0")
        );
        assert_eq!(tokens.get().await.unwrap().login.secret.expose(), "t0");
        assert!(!format!("{first:?}").contains("\"first\""));
    }

    #[tokio::test]
    async fn one_that_nears_its_end_is_fetched_again() {
        let (tokens, fetched) = tokens(Some(Duration::from_millis(40)));
        tokens.get().await.unwrap();
        assert_eq!(fetched.load(Ordering::SeqCst), 0);
        tokio::time::sleep(Duration::from_millis(25)).await;
        tokens.get().await.unwrap();
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_margin_is_half_an_hour_or_half_of_what_is_left() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let after = |seconds| renewal(now, now + Duration::from_secs(seconds));
        let wanted = |seconds| Some(now + Duration::from_secs(seconds));
        assert_eq!(after(12 * 3600), wanted(12 * 3600 - 1800));
        assert_eq!(after(1800), wanted(900));
        assert_eq!(renewal(now, now - Duration::from_secs(1)), None);
    }
}

//! The name under which the engine pushes. An engine pushes an image only by a name that begins with the registry's address.

use super::super::engine::{ANSWER, Engine};
use kit::Result;
use serde::Deserialize;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How every repository here begins, so that a later run recognizes the names of one that was killed.
const PREFIX: &str = "slipway-push-";
const TAG: &str = "image";

/// `{"reference":["127.0.0.1:*/slipway-push-*"]}`, as a part of a URL.
const OURS: &str = "%7B%22reference%22%3A%5B%22127.0.0.1%3A%2A%2Fslipway-push-%2A%22%5D%7D";

/// The most that is read of a list of names.
const LIST: u64 = 16 << 20;

/// A connection on the loopback interface is made or refused at once.
const CONNECT: Duration = Duration::from_secs(1);

/// A name that only one push uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    port: u16,
    random: String,
}

impl Name {
    pub(super) fn new(port: u16) -> Self {
        Self {
            port,
            random: uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    /// The name in a reference of the engine's, if it is one of ours.
    fn parse(reference: &str) -> Option<Self> {
        let rest = reference.strip_prefix("127.0.0.1:")?;
        let (port, rest) = rest.split_once('/')?;
        let random = rest
            .strip_prefix(PREFIX)?
            .strip_suffix(TAG)?
            .strip_suffix(':')?;
        let is_random = random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = Self {
            port: port.parse().ok()?,
            random: random.to_owned(),
        };
        is_random.then_some(name)
    }

    /// The registry's address.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn repository(&self) -> String {
        format!("{PREFIX}{}", self.random)
    }

    /// The path at which the engine is asked to push.
    pub(super) fn push(&self) -> String {
        format!(
            "/images/{}/{}/push?tag={TAG}",
            self.host(),
            self.repository()
        )
    }

    /// True if nothing listens at its address any more.
    fn is_left(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        TcpStream::connect_timeout(&address, CONNECT).is_err()
    }

    fn remove(&self, engine: &Engine) -> Result<()> {
        let reference = format!("{}/{}:{TAG}", self.host(), self.repository());
        let target = format!("/images/{reference}?noprune=1");
        engine.ask("DELETE", &target, ANSWER).map(drop)
    }
}

/// The name at the engine, which goes away with this.
pub(super) struct Tag {
    engine: Engine,
    name: Name,
}

impl Tag {
    /// # Errors
    /// The engine refuses, or is gone.
    pub(super) fn put(engine: Engine, image: &str, name: Name) -> Result<Self> {
        let (repository, host) = (name.repository(), name.host());
        let target = format!("/images/{image}/tag?repo={host}/{repository}&tag={TAG}");
        // Made before the name, so that one whose answer is lost is removed too.
        let tag = Self { engine, name };
        tag.engine.ask("POST", &target, ANSWER)?;
        Ok(tag)
    }
}

impl Drop for Tag {
    /// Blocks for the moment that it takes. A name that cannot be removed is removed by a later run.
    fn drop(&mut self) {
        let _ = self.name.remove(&self.engine);
    }
}

/// Removes the names of runs that were killed. Only for a run that the engine got to: another one sees other ports.
///
/// # Errors
/// The engine does not answer.
pub(super) fn remove_leftovers(engine: &Engine, own: &Name) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Image {
        #[serde(default, deserialize_with = "crate::json::list")]
        repo_tags: Vec<String>,
    }
    let mut list = Vec::new();
    let answer = engine.ask("GET", &format!("/images/json?filters={OURS}"), ANSWER)?;
    answer
        .take(LIST)
        .read_to_end(&mut list)
        .map_err(|error| engine.no_answer(error))?;
    let images: Vec<Image> = serde_json::from_slice(&list).unwrap_or_default();
    let names = images.iter().flat_map(|image| &image.repo_tags);
    for name in names.filter_map(|name| Name::parse(name)) {
        if name != *own && name.is_left() {
            name.remove(engine)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_recognized_and_nobody_elses_is() {
        let name = Name::new(4711);
        let reference = format!("{}/{}:{TAG}", name.host(), name.repository());
        assert_eq!(Name::parse(&reference), Some(name));
        let random = "0123456789abcdef0123456789abcdef";
        for other in [
            "127.0.0.1:5000/app:image".to_owned(),
            "<none>:<none>".to_owned(),
            format!("127.0.0.1:5000/slipway-push-{random}:v1"),
            format!("127.0.0.1:5000/slipway-push-{}:image", &random[1..]),
            format!("127.0.0.1:x/slipway-push-{random}:image"),
            format!("127.0.0.2:5000/slipway-push-{random}:image"),
            format!("127.0.0.1:5000/a/slipway-push-{random}:image"),
        ] {
            assert_eq!(Name::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_name_is_left_once_nothing_listens_at_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let name = Name::new(listener.local_addr().unwrap().port());
        assert!(!name.is_left());
        drop(listener);
        assert!(name.is_left());
    }
}

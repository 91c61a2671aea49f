//! Docker: which client, with which configuration, how it is run, and what its failures mean.

mod arguments;
mod child;
mod client;
mod config;
mod trouble;

pub(crate) use client::{Builder, Client};

use crate::credentials::{HELPER, SOCKET, Server};
use crate::private_dir::PrivateDir;
use crate::registry::Registry;
use crate::request::Request;
use kit::env::Env;
use kit::host::Host;
use kit::{Context, Error, Result};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// A Docker client with a private configuration in which this binary is the credential helper.
pub(crate) struct Docker<'a> {
    host: &'a Host,
    env: &'a Env,
    client: Client,
    // Dropped before the folder, in which its socket is.
    _server: Server,
    dir: PrivateDir,
}

/// What a push said of itself.
pub(crate) struct Pushed {
    /// The digest that Docker claims to have pushed.
    pub(crate) digest: Option<String>,
    pub(crate) build: Duration,
    /// `None` where the builder pushes as part of the build.
    pub(crate) push: Option<Duration>,
}

/// Why nothing was pushed.
pub(crate) enum NotPushed {
    /// The tag is immutable and was taken in the meantime.
    TagTaken,
    /// The repository is not there (yet).
    NoRepository(Error),
    Failed(Error),
}

impl From<Error> for NotPushed {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Docker<'a> {
    pub(crate) fn new(
        host: &'a Host,
        env: &'a Env,
        client: Client,
        registry: &Registry,
    ) -> Result<Self> {
        let dir = PrivateDir::new()?;
        let (logins, warning) = config::write(&dir.path().join("config"), env, registry)?;
        if let Some(warning) = warning {
            host.warn(warning);
        }
        let bin = dir.path().join("bin");
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        std::fs::create_dir(&bin)
            .and_then(|()| {
                std::os::unix::fs::symlink(own, bin.join(format!("docker-credential-{HELPER}")))
            })
            .context(format!("cannot write {}", bin.display()))?;
        let server = Server::start(&dir.path().join("socket"), logins)?;
        Ok(Self {
            host,
            env,
            client,
            _server: server,
            dir,
        })
    }

    /// Builds, and pushes `reference`.
    pub(crate) async fn publish(
        &self,
        request: &Request,
        reference: &str,
    ) -> Result<Pushed, NotPushed> {
        let metadata = self.dir.path().join("metadata.json");
        let arguments = arguments::build(request, &self.client.builder, reference, &metadata);
        let started = Instant::now();
        let title = format!("{} build {reference}", self.client.name());
        let built = self.run(&title, &arguments).await?;
        if !built.success {
            return Err(self.failure("build", &built, request));
        }
        let build = started.elapsed();
        if matches!(self.client.builder, Builder::Buildx { .. }) {
            return Ok(Pushed {
                digest: buildx_digest(&metadata),
                build,
                push: None,
            });
        }
        let started = Instant::now();
        let arguments = ["push".into(), reference.into()];
        let title = format!("{} push {reference}", self.client.name());
        let pushed = self.run(&title, &arguments).await?;
        if !pushed.success {
            return Err(self.failure("push", &pushed, request));
        }
        Ok(Pushed {
            digest: pushed
                .tail
                .iter()
                .rev()
                .find_map(|line| pushed_digest(line)),
            build,
            push: Some(started.elapsed()),
        })
    }

    async fn run(&self, title: &str, arguments: &[OsString]) -> Result<child::Ended> {
        let mut command = Command::new(&self.client.path);
        command
            .args(arguments)
            .env_clear()
            .envs(self.env.for_child())
            .env("PATH", self.path()?)
            .env("DOCKER_CONFIG", self.dir.path().join("config"))
            .env("DOCKER_BUILDKIT", "1")
            .env(SOCKET, self.dir.path().join("socket"));
        let _group = self.host.group(title);
        let _verbatim = self.host.verbatim();
        child::run(command, |line| self.host.info(line))
            .await
            .context(format!("cannot run {}", self.client.path.display()))
    }

    fn path(&self) -> Result<OsString> {
        let own = self.dir.path().join("bin");
        let inherited = self.env.get("PATH").unwrap_or_default();
        std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(inherited)))
            .context("cannot put the credential helper on PATH")
    }

    fn failure(&self, what: &str, ended: &child::Ended, request: &Request) -> NotPushed {
        let tail = ended.tail.join("\n");
        if trouble::tag_taken(&tail) {
            return NotPushed::TagTaken;
        }
        let mut error = Error::failed(format!("docker {what} failed ({})", ended.how));
        error.causes = trouble::quoted(&ended.tail).to_vec();
        error.hints = trouble::hints(&tail, &request.dockerfile);
        if trouble::no_repository(&tail) {
            NotPushed::NoRepository(error)
        } else {
            NotPushed::Failed(error)
        }
    }
}

/// What buildx wrote to its metadata file: the digest the registry answered with.
fn buildx_digest(metadata: &Path) -> Option<String> {
    let text = std::fs::read(metadata).ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(metadata.get("containerimage.digest")?.as_str()?.to_owned())
}

/// The digest in the last line of `docker push`: `TAG: digest: sha256:… size: 528`.
fn pushed_digest(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("digest: ")?;
    let digest = rest.split(' ').next()?;
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_read_from_what_docker_says() {
        assert_eq!(
            pushed_digest("abc: digest: sha256:12ab size: 528").as_deref(),
            Some("sha256:12ab")
        );
        assert_eq!(pushed_digest("5f70bf18a086: Pushed"), None);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("metadata.json");
        assert_eq!(buildx_digest(&file), None);
        std::fs::write(&file, r#"{"containerimage.digest":"sha256:12ab"}"#).unwrap();
        assert_eq!(buildx_digest(&file).as_deref(), Some("sha256:12ab"));
    }
}

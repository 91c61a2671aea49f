//! Which Docker client builds: the first on PATH with buildx, else the first that carries
//! BuildKit itself. A client between the two (23 or later without the plug-in) cannot build.

use kit::env::Env;
use kit::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// How a client builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Builder {
    /// `docker buildx build`.
    Buildx { version: String },
    /// `docker build` with the BuildKit that clients before version 23 carry.
    BuildKit { version: String },
}

/// A client that can build.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) path: PathBuf,
    pub(crate) builder: Builder,
}

impl Client {
    /// The client to build with.
    ///
    /// # Errors
    /// None on PATH, or none that can build (exit 2).
    pub(crate) async fn find(env: &Env) -> Result<Self> {
        let candidates = candidates(env);
        for path in &candidates {
            if let Some(answer) = ask(path, env, &["buildx", "version"]).await {
                // `github.com/docker/buildx v0.13.1 788433953af10f2a698f5c07611dddce2e08c7a0`
                let version = answer
                    .split_whitespace()
                    .nth(1)
                    .unwrap_or("of unknown version");
                return Ok(Self {
                    path: path.clone(),
                    builder: Builder::Buildx {
                        version: version.to_owned(),
                    },
                });
            }
        }
        let mut without = Vec::new();
        for path in candidates {
            match ask(&path, env, &["version", "--format", "{{.Client.Version}}"]).await {
                Some(version) if carries_buildkit(&version) => {
                    return Ok(Self {
                        path,
                        builder: Builder::BuildKit { version },
                    });
                }
                version => without.push(format!(
                    "{} {} has no buildx plug-in",
                    path.display(),
                    version.unwrap_or_default()
                )),
            }
        }
        let mut error = Error::usage(if without.is_empty() {
            "there is no docker on PATH"
        } else {
            "no docker on PATH can build"
        })
        .hint("install Docker with its buildx plug-in (package docker-buildx-plugin or docker-buildx)");
        error.causes = without;
        Err(error)
    }

    /// Checks what can be checked before anything is changed: that the engine answers. Builders
    /// of buildx may be elsewhere, so there only the build itself can tell.
    ///
    /// # Errors
    /// No engine.
    pub(crate) async fn check(&self, env: &Env) -> Result<()> {
        if matches!(self.builder, Builder::Buildx { .. })
            || ask(&self.path, env, &["info", "--format", "{{.ServerVersion}}"])
                .await
                .is_some()
        {
            return Ok(());
        }
        Err(Error::failed("the Docker Engine does not answer")
            .cause(format!("asked with {}", self.path.display()))
            .hint(
                "start the engine, or point DOCKER_HOST at one; in CodeBuild set privileged mode",
            ))
    }

    /// How a report names it.
    pub(crate) fn name(&self) -> String {
        match &self.builder {
            Builder::Buildx { version } => format!("docker buildx {version}"),
            Builder::BuildKit { version } => format!("docker {version} (BuildKit)"),
        }
    }
}

fn carries_buildkit(version: &str) -> bool {
    version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| (18..23).contains(&major))
}

/// Every `docker` on PATH, each file once.
fn candidates(env: &Env) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    std::env::split_paths(env.get("PATH").unwrap_or_default())
        .map(|folder| folder.join("docker"))
        .filter(|path| match path.canonicalize() {
            Ok(file) if file.is_file() && !seen.contains(&file) => {
                seen.push(file);
                true
            }
            _ => false,
        })
        .collect()
}

/// The client's answer, if it had one. `docker version` prints its own version also where the
/// engine does not answer, but fails then.
async fn ask(path: &Path, env: &Env, arguments: &[&str]) -> Option<String> {
    let output = Command::new(path)
        .args(arguments)
        .env_clear()
        .envs(env.for_child())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let failed = !output.status.success() && arguments.first() != Some(&"version");
    (!failed && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn buildkit_left_the_client_with_version_23() {
        for (version, carries) in [
            ("20.10.24+dfsg1", true),
            ("18.09.1", true),
            ("23.0.0", false),
            ("28.2.2", false),
            ("", false),
        ] {
            assert_eq!(carries_buildkit(version), carries, "{version}");
        }
    }

    /// A folder with a `docker` that answers like one of `version` with or without buildx.
    fn folder(version: &str, buildx: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let script = format!(
            "#!/bin/sh\ncase $1 in\nbuildx) {}\n;;\nversion) echo {version}; exit 1\n;;\nesac\n",
            if buildx {
                "echo github.com/docker/buildx v0.13.1 788433"
            } else {
                "exit 1"
            }
        );
        let path = dir.path().join("docker");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    async fn find(folders: &[&tempfile::TempDir]) -> Result<Client> {
        let path = std::env::join_paths(folders.iter().map(|dir| dir.path())).unwrap();
        Client::find(&Env::from([("PATH", path.to_str().unwrap())])).await
    }

    #[tokio::test]
    async fn buildx_is_preferred_and_a_client_that_cannot_build_is_passed_over() {
        let (new, old, plugged) = (
            folder("28.2.2", false),
            folder("20.10.24", false),
            folder("27.0.0", true),
        );
        let found = find(&[&new, &old]).await.unwrap();
        assert_eq!(found.name(), "docker 20.10.24 (BuildKit)");
        assert!(found.path.starts_with(old.path()));
        let found = find(&[&new, &old, &plugged]).await.unwrap();
        assert_eq!(found.name(), "docker buildx v0.13.1");
        let error = find(&[&new]).await.unwrap_err();
        assert_eq!(error.exit, kit::Exit::Usage);
        assert!(error.causes[0].ends_with("docker 28.2.2 has no buildx plug-in"));
        let error = find(&[]).await.unwrap_err();
        assert_eq!(error.message, "there is no docker on PATH");
    }
}

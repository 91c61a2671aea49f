//! Finding a builder: docker with buildx, else a docker client that carries BuildKit itself, else buildah. The first that is
//! there and can work is taken, unless one is named.

use super::builder::{Builder, Driver, Kind, Sandbox, carries_buildkit, field};
use futures_util::future::join3;
use kit::env::Env;
use kit::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuilderName {
    /// `docker buildx`, any driver.
    Buildx,
    /// `docker build` of clients before version 23.
    Buildkit,
    /// `buildah`, without a daemon.
    Buildah,
}

impl BuilderName {
    /// All of them, in the order in which they are tried.
    pub(crate) const ALL: [Self; 3] = [Self::Buildx, Self::Buildkit, Self::Buildah];

    /// As an argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Buildx => "buildx",
            Self::Buildkit => "buildkit",
            Self::Buildah => "buildah",
        }
    }
}

/// Why one was not taken, and whether it was there at all.
struct Passed {
    there: bool,
    why: String,
}

impl Builder {
    /// The builder `named`, or the first that can work.
    ///
    /// # Errors
    /// None is there (exit 2), or none of those that are there can work (exit 1).
    pub(crate) async fn find(env: &Env, named: Option<BuilderName>) -> Result<Self> {
        let order = match named {
            Some(name) => vec![name],
            None => BuilderName::ALL.to_vec(),
        };
        let mut passed = Vec::new();
        for name in order {
            let found = match name {
                BuilderName::Buildx => buildx(env).await,
                BuilderName::Buildkit => buildkit(env).await,
                BuilderName::Buildah => buildah(env).await,
            };
            match found {
                Ok(builder) => return Ok(builder),
                Err(reasons) => passed.extend(reasons),
            }
        }
        Err(none(named, passed))
    }
}

fn none(named: Option<BuilderName>, mut passed: Vec<Passed>) -> Error {
    let there = passed.iter().any(|passed| passed.there);
    // Of what is not there nothing is worth saying once something is.
    passed.retain(|passed| passed.there || !there);
    let mut error = match (named, there) {
        (Some(name), _) => Error::usage(format!("--builder {} cannot be used here", name.name())),
        (None, false) => Error::usage("nothing on PATH can build an image"),
        (None, true) => Error::failed("no builder on PATH works"),
    };
    error = error.with_causes(passed.into_iter().map(|passed| passed.why));
    if there {
        error = error.hint(
            "start the Docker Engine, or point DOCKER_HOST at one; in CodeBuild set privileged mode",
        );
    }
    error.hint("install Docker with its buildx plug-in (package docker-buildx-plugin or docker-buildx), or buildah; or hand over what something else built: --layout PATH")
}

fn absent(why: &str) -> Vec<Passed> {
    vec![Passed {
        there: false,
        why: why.to_owned(),
    }]
}

async fn buildx(env: &Env) -> Result<Builder, Vec<Passed>> {
    let mut passed = Vec::new();
    for path in on_path(env, "docker") {
        let name = path.display().to_string();
        let mut pass = |why: String| {
            passed.push(Passed {
                there: true,
                why: format!("{name} {why}"),
            });
        };
        // `github.com/docker/buildx v0.13.1 788433953af10f2a698f5c07611dddce2e08c7a0`
        let engine = [
            "info",
            "--format",
            "{{.ServerVersion}} {{json .DriverStatus}}",
        ];
        // Each answer takes a client a tenth of a second or so.
        let (version, inspected, engine) = join3(
            ask(&path, env, &["buildx", "version"]),
            ask(&path, env, &["buildx", "inspect"]),
            ask(&path, env, &engine),
        )
        .await;
        let Some(answer) = version else {
            pass("has no buildx plug-in".to_owned());
            continue;
        };
        let version = answer
            .split_whitespace()
            .nth(1)
            .unwrap_or("of unknown version");
        let driver = inspected.and_then(|text| field(&text, &["driver"]));
        let driver = match driver.as_deref() {
            // A builder that is not asked about itself is the engine's own.
            Some("docker") | None => {
                match engine.filter(|answer| !answer.starts_with(' ') && answer.contains(' ')) {
                    Some(answer) if answer.contains("io.containerd.snapshotter") => {
                        let engine = answer.split(' ').next().unwrap_or_default();
                        Driver::Containerd(engine.to_owned())
                    }
                    Some(_) => Driver::Engine,
                    None => {
                        pass("has buildx, but its Docker Engine does not answer".to_owned());
                        continue;
                    }
                }
            }
            Some(other) => Driver::Other(other.to_owned()),
        };
        return Ok(Builder {
            path,
            version: version.to_owned(),
            kind: Kind::Buildx(driver),
        });
    }
    if passed.is_empty() {
        passed = absent("there is no docker on PATH");
    }
    Err(passed)
}

async fn buildkit(env: &Env) -> Result<Builder, Vec<Passed>> {
    let mut passed = Vec::new();
    for path in on_path(env, "docker") {
        let version = ask(&path, env, &["version", "--format", "{{.Client.Version}}"])
            .await
            .unwrap_or_default();
        let why = if !carries_buildkit(&version) {
            format!(
                "{version} has no BuildKit of its own, which only clients before version 23 have"
            )
        } else if ask(&path, env, &["info", "--format", "{{.ServerVersion}}"])
            .await
            .is_none()
        {
            format!("{version} carries BuildKit, but its Docker Engine does not answer")
        } else {
            return Ok(Builder {
                path,
                version,
                kind: Kind::BuildKit,
            });
        };
        passed.push(Passed {
            there: true,
            why: format!("{} {why}", path.display()),
        });
    }
    if passed.is_empty() {
        passed = absent("there is no docker on PATH");
    }
    Err(passed)
}

async fn buildah(env: &Env) -> Result<Builder, Vec<Passed>> {
    let Some(path) = on_path(env, "buildah").into_iter().next() else {
        return Err(absent("there is no buildah on PATH"));
    };
    // `buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)`
    let version = ask(&path, env, &["--version"])
        .await
        .and_then(|answer| answer.split_whitespace().nth(2).map(str::to_owned))
        .unwrap_or_else(|| "of unknown version".to_owned());
    let info = ["info", "--format", "{{.store.GraphDriverName}}"];
    // An overlay on an overlay, as in most containers, only shows when the store is opened.
    let storage = if ask(&path, env, &info).await.is_some() {
        None
    } else if ask(
        &path,
        env,
        &[&["--storage-driver", "vfs"], &info[..]].concat(),
    )
    .await
    .is_some()
    {
        Some("vfs".to_owned())
    } else {
        return Err(vec![Passed {
            there: true,
            why: format!(
                "{} {version} cannot open its storage, not even with the driver vfs",
                path.display()
            ),
        }]);
    };
    let isolation = (env.get("BUILDAH_ISOLATION").is_none() && !can_start_containers(env))
        .then(|| "chroot".to_owned());
    Ok(Builder {
        path,
        version,
        kind: Kind::Buildah(Sandbox { storage, isolation }),
    })
}

/// Returns whether buildah's default isolation works: a runtime is there, and this is neither an
/// unprivileged user nor a container, which as a rule may not make namespaces and mounts.
fn can_start_containers(env: &Env) -> bool {
    rustix::process::geteuid().is_root()
        && !Path::new("/.dockerenv").exists()
        && !Path::new("/run/.containerenv").exists()
        && env.get("container").is_none()
        && env.get("CODEBUILD_BUILD_ARN").is_none()
        && ["crun", "runc"]
            .iter()
            .any(|runtime| !on_path(env, runtime).is_empty())
}

/// Every program of this name on PATH, each file once.
fn on_path(env: &Env, name: &str) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    std::env::split_paths(env.get("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .filter(|path| match path.canonicalize() {
            Ok(file) if file.is_file() && !seen.contains(&file) => {
                seen.push(file);
                true
            }
            _ => false,
        })
        .collect()
}

/// The program's answer, if it had one. `docker version` prints its own version also where the
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
    let text = String::from_utf8(output.stdout).ok()?;
    let failed = !output.status.success() && arguments.first() != Some(&"version");
    (!failed && !text.trim().is_empty()).then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests;

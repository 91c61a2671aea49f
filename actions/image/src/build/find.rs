//! Finding a builder: docker with buildx, else a docker client that carries BuildKit itself, else buildah. The first that is
//! there and can work is taken, unless one is named.

use super::builder::{Builder, Driver, Kind, Sandbox, carries_buildkit, field};
use crate::args::BuilderName;
use futures_util::future::join3;
use kit::env::Env;
use kit::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

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
            None => vec![
                BuilderName::Buildx,
                BuilderName::Buildkit,
                BuilderName::Buildah,
            ],
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
        (Some(name), _) => Error::usage(format!("--builder {} cannot be used here", word(name))),
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

fn word(name: BuilderName) -> &'static str {
    match name {
        BuilderName::Buildx => "buildx",
        BuilderName::Buildkit => "buildkit",
        BuilderName::Buildah => "buildah",
    }
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
            format!("{version} carries no BuildKit of its own; clients before version 23 do")
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
                "{} {version} cannot open its storage, with the driver vfs neither",
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
mod tests {
    use super::*;

    /// A folder with a program of this name that runs `script`.
    fn folder(program: &str, script: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(program);
        step_job::program(&path, &format!("#!/bin/sh\n{script}\n"));
        dir
    }

    /// A `docker` that answers like one of `version`, with a buildx builder of this driver, before
    /// an engine that answers `info`.
    fn docker(version: &str, driver: Option<&str>, info: &str) -> tempfile::TempDir {
        let buildx = match driver {
            Some(driver) => format!(
                "case $2 in version) echo github.com/docker/buildx v0.13.1 788433;; inspect) echo 'Name: x'; echo 'Driver: {driver}';; esac"
            ),
            None => "exit 1".to_owned(),
        };
        let script = format!(
            "case $1 in\nbuildx) {buildx}\n;;\nversion) echo {version}; exit 1\n;;\ninfo) {info}\n;;\nesac"
        );
        folder("docker", &script)
    }

    const CLASSIC: &str = "echo '20.10.24 [[\"Backing Filesystem\",\"extfs\"]]'";
    const SNAPSHOTTER: &str = "echo '28.0.0 [[\"driver-type\",\"io.containerd.snapshotter.v1\"]]'";
    const SILENT: &str = "echo ' null'; exit 1";

    async fn find(folders: &[&tempfile::TempDir], named: Option<BuilderName>) -> Result<Builder> {
        let path = std::env::join_paths(folders.iter().map(|dir| dir.path())).unwrap();
        Builder::find(&Env::from([("PATH", path.to_str().unwrap())]), named).await
    }

    #[tokio::test]
    async fn buildx_is_preferred_and_a_client_that_cannot_build_is_passed_over() {
        let (new, old, plugged) = (
            docker("28.2.2", None, CLASSIC),
            docker("20.10.24", None, CLASSIC),
            docker("27.0.0", Some("docker"), CLASSIC),
        );
        let found = find(&[&new, &old], None).await.unwrap();
        assert_eq!(found.name(), "docker 20.10.24 (BuildKit)");
        assert!(found.path.starts_with(old.path()));
        let found = find(&[&new, &old, &plugged], None).await.unwrap();
        assert_eq!(found.name(), "docker buildx v0.13.1");
        assert_eq!(found.kind, Kind::Buildx(Driver::Engine));
        let error = find(&[&new], None).await.unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Failed);
        assert!(error.causes()[0].ends_with("has no buildx plug-in"));
        let error = find(&[], None).await.unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert_eq!(error.message, "nothing on PATH can build an image");
        assert_eq!(
            error.causes().last().unwrap(),
            "there is no buildah on PATH"
        );
    }

    #[tokio::test]
    async fn what_comes_out_depends_on_the_builder_s_driver() {
        for (driver, info, wanted) in [
            ("docker", CLASSIC, Driver::Engine),
            (
                "docker",
                SNAPSHOTTER,
                Driver::Containerd("28.0.0".to_owned()),
            ),
            (
                "docker-container",
                SILENT,
                Driver::Other("docker-container".to_owned()),
            ),
        ] {
            let dir = docker("28.2.2", Some(driver), info);
            let found = find(&[&dir], None).await.unwrap();
            assert_eq!(found.several_platforms(), wanted != Driver::Engine);
            assert_eq!(found.kind, Kind::Buildx(wanted));
        }
    }

    #[tokio::test]
    async fn without_an_engine_buildah_is_taken_with_the_storage_that_opens() {
        let docker = docker("28.2.2", Some("docker"), SILENT);
        let error = find(&[&docker], None).await.unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Failed);
        assert!(
            error.causes()[0].ends_with("has buildx, but its Docker Engine does not answer"),
            "{error}"
        );
        let buildah = folder(
            "buildah",
            "case $1 in\n--version) echo buildah version 1.28.2 '(x)';;\n--storage-driver) echo vfs;;\n*) exit 1;;\nesac",
        );
        let found = find(&[&docker, &buildah], None).await.unwrap();
        assert_eq!(found.name(), "buildah 1.28.2");
        let Kind::Buildah(sandbox) = found.kind else {
            panic!("it is buildah");
        };
        assert_eq!(sandbox.storage.as_deref(), Some("vfs"));
    }

    #[tokio::test]
    async fn one_that_is_named_is_taken_or_missed() {
        let dir = docker("20.10.24", Some("docker"), CLASSIC);
        let found = find(&[&dir], Some(BuilderName::Buildkit)).await.unwrap();
        assert_eq!(found.kind, Kind::BuildKit);
        for (name, message, cause) in [
            (
                BuilderName::Buildah,
                "--builder buildah cannot be used here",
                "there is no buildah on PATH",
            ),
            (
                BuilderName::Buildkit,
                "--builder buildkit cannot be used here",
                "there is no docker on PATH",
            ),
        ] {
            let error = find(&[], Some(name)).await.unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage);
            assert_eq!(error.message, message);
            assert_eq!(error.causes(), [cause]);
        }
    }
}

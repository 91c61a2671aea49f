//! Building: which program builds, with which configuration, how it is run, what its failures
//! mean, and where the built image is taken from. Nothing is pushed here.

mod arguments;
mod builder;
mod capabilities;
mod child;
mod config;
mod diagnose;
mod find;
mod kept;
#[cfg(test)]
mod tests;

pub(crate) use builder::Builder;
pub(crate) use find::BuilderName;
pub(crate) use kept::Kept;

use crate::blob::Compression;
use crate::builder_flags::Flag;
use crate::credentials::{HELPER, Logins, SOCKET, Server, is_ecr};
use crate::private_dir::PrivateDir;
use crate::request::Request;
use crate::source::Source;
use arguments::Output;
use builder::{Driver, Kind, Sandbox};
use kit::env::Env;
use kit::host::Host;
use kit::id::Digest;
use kit::{Context, Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The BuildKit that first left a base image's layers alone when it was told to rewrite times;
/// before, the base's blobs came out under other digests (moby/buildkit 4805). Engine 27 is the
/// first that carries it.
const REWRITES_OWN_LAYERS: (u32, u32) = (0, 14);
const ENGINE_REWRITES_OWN_LAYERS: u32 = 27;
/// The BuildKit that first wrote a layout as a folder (BuildKit 0.11, exporter option `tar`).
const WRITES_FOLDERS: (u32, u32) = (0, 11);

/// A built image, ready to be pushed. The files it is read from are removed when this is dropped.
pub(crate) struct Built {
    pub(crate) source: Source,
    pub(crate) builder: String,
    pub(crate) took: Duration,
    /// True if the same commit built again here, without a cache, gives the same image: it contains no time of the build. Steps
    /// that depend on the time, the network or chance can still make it differ.
    pub(crate) repeatable: bool,
    /// The image to remove from the builder once it was read.
    pub(crate) image: Option<Kept>,
    _dir: PrivateDir,
}

/// Checks what depends on who builds.
///
/// # Errors
/// Something this builder cannot do, or an engine that it builds into and that cannot be read from here (exit 2).
pub(crate) async fn check(env: &Env, request: &Request, builder: &Builder) -> Result<()> {
    capabilities::check(request, builder)?;
    match builder.kind {
        Kind::Buildx(Driver::Engine) | Kind::BuildKit => Source::readable(env).await,
        Kind::Buildx(_) | Kind::Buildah(_) => Ok(()),
    }
}

/// Builds. `logins` are those of the registries the step itself knows; the user's own are added.
///
/// # Errors
/// A build that failed, with the builder's last lines as cause.
pub(crate) async fn run(
    host: &Host,
    env: &Env,
    builder: &Builder,
    request: &Request,
    logins: &Logins,
) -> Result<Built> {
    let build = Build::new(host, env, builder, logins)?;
    let started = Instant::now();
    let (source, image, repeatable) = match &builder.kind {
        Kind::Buildx(Driver::Engine) | Kind::BuildKit => {
            let (source, image) = build.engine(request).await?;
            (source, Some(image), false)
        }
        Kind::Buildx(Driver::Containerd(engine)) if is_whole_in_store(request, engine) => {
            let (source, image) = build.engine(request).await?;
            (source, Some(image), false)
        }
        Kind::Buildx(driver) => {
            let (source, rewritten) = build.layout(request, driver).await?;
            (source, None, rewritten)
        }
        Kind::Buildah(sandbox) => {
            let source = build.buildah(request, sandbox).await?;
            (source, None, request.epoch.is_some())
        }
    };
    Ok(Built {
        source,
        builder: builder.name(),
        took: started.elapsed(),
        repeatable: repeatable && request.provenance_is_off(),
        image,
        _dir: build.dir,
    })
}

/// Returns whether the image comes out of the engine's own store of containerd's as the request wants it: one image that this
/// machine runs, with nothing beside it, compressed as the engine compresses, in the times of the build. Its layers are then
/// read from the engine while they are pushed; a layout would be written to disk before.
fn is_whole_in_store(request: &Request, engine: &str) -> bool {
    let annotates = request
        .flags
        .iter()
        .any(|(flag, _)| flag == Flag::Annotation);
    let rewrites =
        request.epoch.is_some() && builder::numbers(engine).0 >= ENGINE_REWRITES_OWN_LAYERS;
    request.platforms.is_empty()
        && request.provenance_is_off()
        && !annotates
        && !rewrites
        && request.compression == Compression::Gzip
}

/// A builder with a private configuration in which this binary is the credential helper.
struct Build<'a> {
    host: &'a Host,
    env: &'a Env,
    builder: &'a Builder,
    /// The hosts that the step has logins for.
    registries: Vec<String>,
    // Dropped before the folder, in which its socket is.
    _server: Server,
    dir: PrivateDir,
}

impl<'a> Build<'a> {
    fn new(host: &'a Host, env: &'a Env, builder: &'a Builder, logins: &Logins) -> Result<Self> {
        let dir = PrivateDir::create(env)?;
        let buildah = matches!(builder.kind, Kind::Buildah(_));
        let made = config::write(&dir.path().join("config"), env, logins, buildah)?;
        if let Some(warning) = made.warning {
            host.warn(warning);
        }
        let bin = dir.path().join("bin");
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        std::fs::create_dir(&bin)
            .and_then(|()| {
                std::os::unix::fs::symlink(own, bin.join(format!("docker-credential-{HELPER}")))
            })
            .context(format!("cannot write {}", bin.display()))?;
        let server = Server::start(&dir.path().join("socket"), made.logins)?;
        Ok(Self {
            host,
            env,
            builder,
            registries: logins.keys().cloned().collect(),
            _server: server,
            dir,
        })
    }

    /// Into the Docker Engine, under a name that only this run uses, by which the image can be
    /// removed again without another run losing it.
    async fn engine(&self, request: &Request) -> Result<(Source, Kept)> {
        let name = format!("slipway-build:{}", uuid::Uuid::new_v4().simple());
        let id = self.dir.path().join("id");
        // Made before the build, so that one that is stopped leaves nothing either.
        let kept = self.kept(&["image", "rm", "--force", &name].map(str::to_owned));
        let output = Output::Named {
            name: &name,
            id: &id,
        };
        self.build(request, &output).await?;
        let id =
            std::fs::read_to_string(&id).context("the builder did not say which image it built")?;
        let source = match self.builder.kind {
            // The engine calls an image by its manifest, and the builder by its configuration.
            Kind::Buildx(Driver::Containerd(_)) => {
                let config = Digest::parse(id.trim())?;
                Source::engine(self.env, &name, Some(config)).await?
            }
            _ => Source::engine(self.env, id.trim(), None).await?,
        };
        Ok((source, kept))
    }

    /// Into an OCI layout; with whether the times in it are the commit's.
    async fn layout(&self, request: &Request, driver: &Driver) -> Result<(Source, bool)> {
        // Distributions build engines that do not know their BuildKit's version.
        let buildkit = self.buildkit().await?.filter(|version| *version != (0, 0));
        let rewrites = match (buildkit, driver) {
            (Some(version), _) => version >= REWRITES_OWN_LAYERS,
            (None, Driver::Containerd(engine)) => {
                builder::numbers(engine).0 >= ENGINE_REWRITES_OWN_LAYERS
            }
            (None, _) => false,
        };
        let to = self.dir.path().join("layout");
        let output = Output::Layout {
            to: &to,
            tar: buildkit.is_some_and(|version| version < WRITES_FOLDERS),
            rewrite: request.epoch.is_some() && rewrites,
        };
        self.build(request, &output).await?;
        Ok((
            Source::open(&to, self.env)?,
            matches!(output, Output::Layout { rewrite: true, .. }),
        ))
    }

    /// Into buildah's storage, and from there into an OCI layout.
    async fn buildah(&self, request: &Request, sandbox: &Sandbox) -> Result<Source> {
        let name = format!("localhost/slipway-build:{}", uuid::Uuid::new_v4().simple());
        let id = self.dir.path().join("id");
        let several = request.platforms.len() > 1;
        let words = |more: &[&str]| -> Vec<String> {
            let storage = sandbox
                .storage
                .iter()
                .flat_map(|driver| ["--storage-driver", driver]);
            storage
                .chain(more.iter().copied())
                .map(str::to_owned)
                .collect()
        };
        let kept = match several {
            true => self.kept(&words(&["manifest", "rm", &name])),
            false => self.kept(&words(&["rmi", &name])),
        };
        let output = Output::Named {
            name: &name,
            id: &id,
        };
        self.build(request, &output).await?;
        let to = self.dir.path().join("layout");
        let target = format!("oci:{}", to.display());
        let push = match several {
            true => words(&["manifest", "push", "--all", &name, &target]),
            false => {
                let zstd: &[&str] = match request.compression {
                    Compression::Zstd => &["--compression-format", "zstd"],
                    Compression::Gzip => &[],
                };
                let push = ["push", "--quiet", "--format", "oci"];
                words(&[&push, zstd, &[&name, &target]].concat())
            }
        };
        let arguments: Vec<OsString> = push.iter().map(OsString::from).collect();
        let ended = self.run("write the image to a folder", &arguments).await?;
        if !ended.success {
            return Err(self.failure("push", &ended, request));
        }
        // The layout is complete; the storage needs the image no longer.
        drop(kept);
        Source::open(&to, self.env)
    }

    async fn build(&self, request: &Request, output: &Output<'_>) -> Result<()> {
        let ours = |host: &str| is_ecr(host) || self.registries.iter().any(|own| own == host);
        let arguments = arguments::build(request, self.builder, output, &ours);
        let title = format!("{} builds {}", self.builder.name(), request.commit);
        let built = self.run(&title, &arguments).await?;
        if built.success {
            return Ok(());
        }
        Err(self.failure("build", &built, request))
    }

    /// The version of the BuildKit that will build, starting it where that is needed. `None`
    /// where it does not tell.
    async fn buildkit(&self) -> Result<Option<(u32, u32)>> {
        let arguments = ["buildx", "inspect", "--bootstrap"].map(OsString::from);
        let ended = self.run("the builder", &arguments).await?;
        if !ended.success {
            let error = Error::failed(format!(
                "the buildx builder does not start ({})",
                ended.status
            ))
            .with_causes(diagnose::quoted(&ended.tail));
            return Err(error.hint("look at it: docker buildx inspect --bootstrap; the step uses the builder that is current, or that BUILDX_BUILDER names"));
        }
        let text = ended.tail.join("\n");
        Ok(builder::field(&text, &["buildkit version", "buildkit"])
            .map(|version| builder::numbers(&version)))
    }

    fn command(&self, arguments: &[OsString]) -> Result<Command> {
        Ok(Command::from(self.plain(arguments)?))
    }

    /// The command with everything it needs to find our configuration and helper.
    fn plain(&self, arguments: &[OsString]) -> Result<std::process::Command> {
        let config = self.dir.path().join("config");
        let mut command = std::process::Command::new(&self.builder.path);
        command
            .args(arguments)
            .env_clear()
            .envs(self.env.for_child())
            .env("PATH", self.path()?)
            .env("DOCKER_CONFIG", &config)
            .env("DOCKER_BUILDKIT", "1")
            // Where buildah looks for logins, before any file of the user's.
            .env("REGISTRY_AUTH_FILE", config.join("config.json"))
            .env(SOCKET, self.dir.path().join("socket"));
        Ok(command)
    }

    async fn run(&self, title: &str, arguments: &[OsString]) -> Result<child::Ended> {
        let command = self.command(arguments)?;
        let _group = self.host.group(title);
        let _verbatim = self.host.verbatim();
        child::run(command, |line| self.host.info(line))
            .await
            .context(format!("cannot run {}", self.builder.path.display()))
    }

    /// Runs these words of the builder when it is dropped.
    fn kept(&self, words: &[String]) -> Kept {
        let mut command = std::process::Command::new(&self.builder.path);
        command.args(words).env_clear().envs(self.env.for_child());
        Kept::new(command)
    }

    fn path(&self) -> Result<OsString> {
        let own: PathBuf = self.dir.path().join("bin");
        let inherited = self.env.get("PATH").unwrap_or_default();
        std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(inherited)))
            .context("cannot put the credential helper on PATH")
    }

    fn failure(&self, action: &str, ended: &child::Ended, request: &Request) -> Error {
        let tail = ended.tail.join("\n");
        let program = self
            .builder
            .path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut error = Error::failed(format!("{program} {action} failed ({})", ended.status))
            .with_causes(diagnose::quoted(&ended.tail));
        error.hints = diagnose::hints(&tail, &request.dockerfile);
        error
    }
}

//! Building and pushing: `slipway-image publish` beside `docker build && docker push`, `docker buildx build --push` and
//! `skopeo copy`, each to a registry of its own that nothing was ever pushed to, and then once more to the same, where nothing
//! is missing.
//!
//! The main rows are what most people have: an ordinary user, who cannot see the engine's folders, with an engine of either
//! store. The classic store's files read by root are a row of their own.
//!
//! For a fair comparison, ours is the whole step: its process, its calls to AWS with the login, the build, the push, and the check of the
//! result at the registry and in ECR. The peers are given a login. Every build is cached. A row compares building and pushing with the
//! same, and pushing with pushing; in the latter, ours leaves out only the seconds that the step itself reports for finding its builder and
//! building. All of them talk to the registry directly: behind the gateway's front, the front's own work would be measured. The column
//! `floor` is the lower bound on this machine.

mod contender;
mod floor;
mod fresh;
mod images;
mod user;
mod watched;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::measure::Call;
use super::row::{Row, median};
use super::stage::Stage;
use crate::fault::{Context, Fault, Result};
use crate::newer;
use crate::parts::{Account, engine};
use crate::say::{Progress, note};
use crate::world::aws::unless_there;
use crate::world::{control, http_client};
use contender::{Pair, Reading, Store, Tool};
use floor::Floors;
use fresh::Fresh;
use images::BenchImage;
use user::User;
use watched::{Watched, watched};

/// Rounds that count.
const ROUNDS: usize = 5;
/// Rounds before them that do not.
const WARM_UPS: usize = 1;
/// The ECR repository, and the name in the peers' registries.
const REPOSITORY: &str = "bench/image";
/// The most memory that ours may hold, whatever the image.
const MEMORY_MIB: f64 = 64.0;
/// The image whose push is held against the registry itself, and the most it may take of that.
const READY: (&str, f64) = ("a", 1.15);

/// The figures of one contender, over the rounds.
#[derive(Default)]
struct Figures {
    /// Milliseconds.
    first: Vec<f64>,
    /// Of them, without finding a builder and building.
    unbuilt: Vec<f64>,
    /// Of them, the push as the step itself measures it.
    push: Vec<f64>,
    again: Vec<f64>,
    /// MiB, of the first push.
    peak: Vec<f64>,
}

/// Where all of it happens.
struct Setup<'a> {
    stage: &'a Stage<'a>,
    folder: PathBuf,
    account: Account,
    user: User,
    http: reqwest::Client,
}

/// One engine with its image store.
struct BenchEngine {
    store: Store,
    socket: PathBuf,
}

impl BenchEngine {
    fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let input = json!({"repositoryName": REPOSITORY});
    let answer = stage
        .aws
        .json(
            "ecr",
            "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
            &input,
        )
        .await?;
    unless_there(
        answer,
        "creating the repository",
        &["RepositoryAlreadyExistsException"],
    )?;
    let folder = stage.instance.dir.join("bench-image");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context(format!("removing {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).context(format!("creating {}", folder.display()))?;
    let setup = Setup {
        stage,
        account: Account::create(folder.join("users"))?,
        user: User::create(&stage.build.folder.join("slipway-image"))?,
        folder: folder.clone(),
        http: http_client()?,
    };
    let rows = setup.run().await;
    setup.direct(None).await?;
    std::fs::remove_dir_all(&folder).context(format!("removing {}", folder.display()))?;
    rows
}

impl Setup<'_> {
    async fn run(&self) -> Result<Vec<Row>> {
        let progress = Progress::begin("bench", "the images that are pushed");
        let images = progress.finish(BenchImage::all(
            &self.folder,
            &self.stage.instance.id,
            &self.stage.environment,
        ))?;
        let newer = newer::Engine::start(self.stage.instance)?;
        let mut rows = Vec::new();
        for image in &images {
            image.build(Some(&newer.host()))?;
            for store in Store::ALL {
                let socket = match store {
                    Store::Classic => PathBuf::from(engine::SOCKET),
                    Store::Containerd => newer.socket(),
                };
                rows.extend(self.compared(image, &BenchEngine { store, socket }).await?);
            }
        }
        Ok(rows)
    }

    async fn compared(&self, image: &BenchImage, engine: &BenchEngine) -> Result<Vec<Row>> {
        let figures = self.figures(image, engine).await?;
        let cached = self.build(image, engine);
        let progress = Progress::begin("bench", &format!("{}, the floors", image.description));
        let floors = progress.finish(Floors::measure(
            image,
            &engine.socket,
            &self.account,
            || Ok(watched(&cached)?.wall),
            || self.fresh(),
        ))?;
        for (tool, figures) in &figures {
            note(&format!(
                "{}: {} {:.0} ms, again {:.0} ms, {:.0} MiB",
                image.description,
                tool.name(engine.store),
                median(&figures.first).unwrap_or_default(),
                median(&figures.again).unwrap_or_default(),
                median(&figures.peak).unwrap_or_default()
            ));
        }
        note(&format!(
            "{}: alone: {}",
            image.description,
            floors.in_words()
        ));
        rows_of(image, engine.store, &figures, &floors)
    }

    async fn figures(
        &self,
        image: &BenchImage,
        engine: &BenchEngine,
    ) -> Result<Vec<(Tool, Figures)>> {
        let contenders = engine.store.contenders();
        let mut figures: Vec<(Tool, Figures)> = contenders
            .iter()
            .map(|tool| (*tool, Figures::default()))
            .collect();
        let rounds = WARM_UPS + self.stage.rounds.unwrap_or(ROUNDS);
        for round in 0..rounds {
            let detail = format!(
                "{}, {:?} store, round {} of {}",
                image.description,
                engine.store,
                round + 1,
                rounds
            );
            let progress = Progress::begin("bench", &detail);
            let mut turns: Vec<_> = figures.iter_mut().collect();
            // The order alternates, so that no contender always follows the slowest.
            if round % 2 == 1 {
                turns.reverse();
            }
            let mut ran = Ok(());
            for (tool, kept) in turns {
                match self.turn(*tool, image, engine).await {
                    Ok((first, again)) if round >= WARM_UPS => {
                        kept.first.push(first.wall);
                        kept.unbuilt.push(first.wall - first.build);
                        kept.push.push(first.push);
                        kept.again.push(again.wall);
                        kept.peak.push(first.peak);
                    }
                    Ok(_) => {}
                    Err(fault) => {
                        ran = Err(fault);
                        break;
                    }
                }
            }
            progress.finish(ran)?;
        }
        Ok(figures)
    }

    fn fresh(&self) -> Result<Fresh> {
        let folder = self.folder.join("registry");
        Fresh::start(self.stage.instance, &folder, &self.account, &self.user)
    }

    /// One first push and one more to a registry of its own.
    async fn turn(
        &self,
        tool: Tool,
        image: &BenchImage,
        engine: &BenchEngine,
    ) -> Result<(Watched, Watched)> {
        let fresh = self.fresh()?;
        if tool.is_ours() {
            self.direct(Some(&fresh.host)).await?;
        }
        let name = format!("{}/{REPOSITORY}:{}", fresh.host, image.name);
        let host = engine.host();
        if tool == Tool::DockerPush {
            image.run("docker", &["tag", &image.reference, &name], Some(&host))?;
        }
        let outcome = (|| {
            let first = watched(&self.call(tool, image, &name, engine, &fresh.logins(), true))?;
            let again = watched(&self.call(tool, image, &name, engine, &fresh.logins(), false))?;
            Ok((first, again))
        })();
        if matches!(
            tool,
            Tool::DockerPush | Tool::BuildThenPush | Tool::BuildxPush
        ) {
            image.run("docker", &["image", "rm", "--force", &name], Some(&host))?;
        }
        outcome
    }

    fn call(
        &self,
        tool: Tool,
        image: &BenchImage,
        name: &str,
        engine: &BenchEngine,
        logins: &Path,
        first: bool,
    ) -> Call {
        let mut call = match tool {
            Tool::User | Tool::Root => {
                let context = image.context.display().to_string();
                let mut arguments = vec!["--context", &context];
                // Its content was published nowhere, and is not asked for: a peer knows no content key.
                if first {
                    arguments.push("--rebuild");
                }
                self.publish(image, &arguments)
            }
            Tool::Layout => {
                let layout = image.layout.display().to_string();
                self.publish(image, &["--layout", &layout])
            }
            _ => self.peer(tool, image, name, logins),
        };
        let variables = [
            ("DOCKER_HOST", engine.host()),
            ("DOCKER_CONFIG", logins.display().to_string()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        call.environment.extend(variables);
        match tool {
            Tool::Root => call,
            _ => self.user.call(call),
        }
    }

    fn publish(&self, image: &BenchImage, more: &[&str]) -> Call {
        let ours = [
            "publish",
            "--json",
            "--repository",
            REPOSITORY,
            "--commit",
            &image.commit,
        ];
        self.stage
            .step("image", &[&ours[..], more].concat(), "sha256:")
    }

    fn peer(&self, tool: Tool, image: &BenchImage, name: &str, logins: &Path) -> Call {
        let context = image.context.display().to_string();
        let docker = image.docker();
        let digest = "sha256:";
        match tool {
            Tool::BuildThenPush => {
                let script =
                    r#""$0" buildx build --quiet --load --tag "$1" "$2" && "$0" push "$1""#;
                let docker = docker.display().to_string();
                self.stage
                    .tool("/bin/sh", &["-ec", script, &docker, name, &context], digest)
            }
            Tool::BuildxPush => {
                let build = ["buildx", "build", "--push", "--tag", name, &context];
                self.stage.tool(docker, &build, digest)
            }
            Tool::SkopeoDaemon | Tool::SkopeoLayout => {
                let source = match tool {
                    Tool::SkopeoDaemon => format!("docker-daemon:{}", image.reference),
                    _ => format!("oci:{}:latest", image.layout.display()),
                };
                let logins = logins.join("config.json").display().to_string();
                let target = format!("docker://{name}");
                let words = ["copy", "--dest-tls-verify=false", "--authfile", &logins];
                let words = [&words[..], &[&source, &target]].concat();
                self.stage
                    .tool("/usr/bin/skopeo", &words, "Storing signatures")
            }
            _ => self.stage.tool(docker, &["push", name], digest),
        }
    }

    /// The build alone, as the step calls for it, all of it cached.
    fn build(&self, image: &BenchImage, engine: &BenchEngine) -> Call {
        let context = image.context.display().to_string();
        let words = ["buildx", "build", "--quiet", "--load", &context];
        let mut call = self.stage.tool(image.docker(), &words, "sha256:");
        call.environment
            .insert("DOCKER_HOST".to_owned(), engine.host());
        call
    }

    /// Sends the clients of the bench's account to this registry.
    async fn direct(&self, host: Option<&str>) -> Result<()> {
        let registry = host.map(|host| {
            json!({"url": format!("http://{host}"), "user": "AWS", "password": self.account.password})
        });
        let body = json!({"account": self.stage.account, "registry": registry});
        control::<serde_json::Value>(&self.http, self.stage.instance, "direct", &body)
            .await
            .map(drop)
    }
}

/// Ours beside each peer that does the same, beside the registry alone, and its memory beside the limit.
fn rows_of(
    image: &BenchImage,
    store: Store,
    figures: &[(Tool, Figures)],
    floors: &Floors,
) -> Result<Vec<Row>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let work = |tool: Tool, figure: &str| {
        format!(
            "{} {}, {}, {figure}",
            image.name,
            image.description,
            tool.name(store)
        )
    };
    let mut rows = Vec::new();
    for pair in store.pairs(image.kind) {
        let Pair {
            ours,
            reading,
            peer,
            goal,
        } = pair;
        let theirs = of(figures, peer)?;
        let (own, theirs) = match reading {
            Reading::BuildAndPush => (&of(figures, ours)?.first, &theirs.first),
            Reading::Push => (&of(figures, ours)?.unbuilt, &theirs.first),
            Reading::Unchanged => (&of(figures, ours)?.again, &theirs.again),
        };
        let figure = format!("{}, wall ms", reading.name());
        let row = Row::new(work(ours, &figure), own, peer.name(store), theirs, goal)?;
        rows.push(match floors.of(ours, store, reading, cores) {
            Some((name, alone)) => row.above(name, alone),
            None => row,
        });
    }
    for (tool, figures) in figures.iter().filter(|(tool, _)| tool.is_ours()) {
        let peak = work(*tool, "peak MiB");
        rows.push(Row::new(
            peak,
            &figures.peak,
            "the limit",
            &[MEMORY_MIB],
            1.0,
        )?);
        if *tool == Tool::Layout {
            let goal = (image.name == READY.0).then_some(READY.1);
            for (figure, own) in [
                ("only what the step calls its push, wall ms", &figures.push),
                ("push, wall ms", &figures.unbuilt),
            ] {
                let alone = "the registry alone for the ready blobs";
                rows.push(Row::new(
                    work(*tool, figure),
                    own,
                    alone,
                    &[floors.registry],
                    goal,
                )?);
            }
        }
    }
    Ok(rows)
}

fn of(figures: &[(Tool, Figures)], tool: Tool) -> Result<&Figures> {
    figures
        .iter()
        .find(|(there, _)| *there == tool)
        .map(|(_, figures)| figures)
        .ok_or_else(|| Fault::new(format!("{tool:?} was not measured")))
}

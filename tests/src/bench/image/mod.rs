//! Pushing: `slipway-image publish` beside `docker push` and `skopeo copy`, each to a registry of its own that nothing was
//! ever pushed to, and then once more to the same, where nothing is missing.
//!
//! What is fair. Ours from the engine is the whole step: its process, its calls of AWS with the login, a build in which
//! everything is cached, reading the layers, the push, and the proof at the registry and at ECR. The peers are given a login
//! and push, and no more. Both readings are judged by the same goals: "with a cached build" is the whole step against the
//! push alone, and "push" is the same runs without the seconds that the step itself says finding its builder and building
//! took, which is still more than a peer does. All of them speak to the registry itself: behind the gateway's front the
//! front's own work would be measured.

mod fresh;
mod limits;
mod pictures;
mod watched;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::measure::Call;
use super::row::{Row, median};
use super::stage::Stage;
use crate::fault::{Doing, Fault, Result};
use crate::parts::Account;
use crate::say::{Progress, note};
use crate::world::aws::unless_there;
use crate::world::{control, http_client};
use fresh::Fresh;
use pictures::Picture;
use watched::{Watched, watched};

/// Rounds that count.
const ROUNDS: usize = 5;
/// Rounds before them that do not.
const WARM_UPS: usize = 1;
/// The ECR repository, and the name in the peers' registries.
const REPOSITORY: &str = "bench/image";
/// The most memory that ours may hold, whatever the image.
const MEMORY_MIB: f64 = 64.0;

/// Whoever pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    FromEngine,
    FromLayout,
    DockerPush,
    SkopeoDaemon,
    SkopeoLayout,
}

/// What one of them came to, over the rounds.
#[derive(Default)]
struct Figures {
    /// Milliseconds.
    first: Vec<f64>,
    /// Of them, without a build.
    push: Vec<f64>,
    again: Vec<f64>,
    /// MiB, of the first push.
    peak: Vec<f64>,
}

impl Who {
    const ALL: [Self; 5] = [
        Self::FromEngine,
        Self::FromLayout,
        Self::DockerPush,
        Self::SkopeoDaemon,
        Self::SkopeoLayout,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::FromEngine => "from the engine",
            Self::FromLayout => "from a layout",
            Self::DockerPush => "docker push",
            Self::SkopeoDaemon => "skopeo copy docker-daemon:",
            Self::SkopeoLayout => "skopeo copy oci:",
        }
    }

    /// The most that ours may take of a peer's time for a first push.
    fn goal(self, peer: Self, shrinks: bool) -> Option<f64> {
        match (self, peer) {
            (Self::FromEngine, Self::DockerPush) => Some(if shrinks { 0.25 } else { 0.5 }),
            (Self::FromEngine, Self::SkopeoDaemon) => Some(if shrinks { 0.5 } else { 0.8 }),
            (Self::FromLayout, Self::SkopeoLayout) => Some(1.0),
            _ => None,
        }
    }

    fn is_ours(self) -> bool {
        matches!(self, Self::FromEngine | Self::FromLayout)
    }
}

/// Where all of it happens.
struct Ring<'a> {
    stage: &'a Stage<'a>,
    folder: PathBuf,
    account: Account,
    http: reqwest::Client,
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
    let folder = stage.place.dir.join("bench-image");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).doing(format!("removing {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).doing(format!("creating {}", folder.display()))?;
    let ring = Ring {
        stage,
        account: Account::create(folder.join("users"))?,
        folder: folder.clone(),
        http: http_client()?,
    };
    let rows = ring.run().await;
    ring.direct(None).await?;
    std::fs::remove_dir_all(&folder).doing(format!("removing {}", folder.display()))?;
    rows
}

impl Ring<'_> {
    async fn run(&self) -> Result<Vec<Row>> {
        let progress = Progress::begin("bench", "the images that are pushed");
        let pictures = progress.finish(Picture::all(
            &self.folder,
            &self.stage.place.id,
            &self.stage.environment,
        ))?;
        let mut rows = Vec::new();
        for picture in &pictures {
            let figures = self.figures(picture).await?;
            rows.extend(compared(picture, &figures)?);
            let limits = limits::measure(
                self.stage.place,
                &self.folder,
                &self.account,
                picture,
                &self.build(picture),
            )?;
            let push = median(&of(&figures, Who::FromEngine)?.push).unwrap_or_default();
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            note(&limits.said(push, cores));
        }
        Ok(rows)
    }

    async fn figures(&self, picture: &Picture) -> Result<Vec<(Who, Figures)>> {
        let mut figures: Vec<(Who, Figures)> = Who::ALL
            .iter()
            .map(|who| (*who, Figures::default()))
            .collect();
        for round in 0..WARM_UPS + ROUNDS {
            let progress = Progress::begin(
                "bench",
                &format!(
                    "{}, round {} of {}",
                    picture.what,
                    round + 1,
                    WARM_UPS + ROUNDS
                ),
            );
            let mut turns: Vec<_> = figures.iter_mut().collect();
            // Nobody is always the one who comes after the slowest.
            if round % 2 == 1 {
                turns.reverse();
            }
            let mut ran = Ok(());
            for (who, kept) in turns {
                match self.turn(*who, picture).await {
                    Ok((first, again)) if round >= WARM_UPS => {
                        kept.first.push(first.wall);
                        kept.push.push(first.wall - first.build);
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

    /// One first push and one more to a registry of its own.
    async fn turn(&self, who: Who, picture: &Picture) -> Result<(Watched, Watched)> {
        let fresh = Fresh::start(
            self.stage.place,
            &self.folder.join("registry"),
            &self.account,
        )?;
        if who.is_ours() {
            self.direct(Some(&fresh.host)).await?;
        }
        let name = format!("{}/{REPOSITORY}:{}", fresh.host, picture.name);
        if who == Who::DockerPush {
            picture.run("docker", &["tag", &picture.reference, &name])?;
        }
        let outcome = (|| {
            let first = watched(&self.call(who, picture, &name, fresh.logins(), true))?;
            let again = watched(&self.call(who, picture, &name, fresh.logins(), false))?;
            Ok((first, again))
        })();
        if who == Who::DockerPush {
            picture.run("docker", &["image", "rm", &name])?;
        }
        outcome
    }

    fn call(&self, who: Who, picture: &Picture, name: &str, logins: &Path, first: bool) -> Call {
        let context = picture.context.display().to_string();
        let layout = picture.layout.display().to_string();
        let logins_file = logins.join("config.json").display().to_string();
        let target = format!("docker://{name}");
        let ours = [
            "publish",
            "--json",
            "--repository",
            REPOSITORY,
            "--commit",
            &picture.commit,
        ];
        let skopeo = [
            "copy",
            "--dest-tls-verify=false",
            "--authfile",
            &logins_file,
        ];
        let digest = "sha256:";
        match who {
            Who::FromEngine => {
                let mut arguments = ours.to_vec();
                arguments.extend(["--context", &context]);
                // Its content was published nowhere, and is not asked for: a peer knows no content key.
                if first {
                    arguments.push("--rebuild");
                }
                self.stage.step("image", &arguments, digest)
            }
            Who::FromLayout => {
                let arguments = [&ours[..], &["--layout", &layout]].concat();
                self.stage.step("image", &arguments, digest)
            }
            Who::DockerPush => {
                let mut call = self.stage.tool("/usr/bin/docker", &["push", name], digest);
                call.environment
                    .insert("DOCKER_CONFIG".to_owned(), logins.display().to_string());
                call
            }
            Who::SkopeoDaemon => {
                let source = format!("docker-daemon:{}", picture.reference);
                let arguments = [&skopeo[..], &[&source, &target]].concat();
                self.stage
                    .tool("/usr/bin/skopeo", &arguments, "Storing signatures")
            }
            Who::SkopeoLayout => {
                let source = format!("oci:{layout}:latest");
                let arguments = [&skopeo[..], &[&source, &target]].concat();
                self.stage
                    .tool("/usr/bin/skopeo", &arguments, "Storing signatures")
            }
        }
    }

    /// The build alone, as the step calls for it, all of it cached.
    fn build(&self, picture: &Picture) -> Call {
        let docker = self.stage.place.bin().join("docker");
        let context = picture.context.display().to_string();
        self.stage.tool(
            docker.display().to_string(),
            &["buildx", "build", "--quiet", "--load", &context],
            "sha256:",
        )
    }

    /// Sends the clients of the bench's account to this registry.
    async fn direct(&self, host: Option<&str>) -> Result<()> {
        let registry = host.map(|host| {
            json!({"url": format!("http://{host}"), "user": "AWS", "password": self.account.password})
        });
        let body = json!({"account": self.stage.account, "registry": registry});
        control::<serde_json::Value>(&self.http, self.stage.place, "direct", &body)
            .await
            .map(drop)
    }
}

/// Ours beside each peer that does the same, and their memory beside the limit.
fn compared(picture: &Picture, figures: &[(Who, Figures)]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let of = |who: Who| of(figures, who);
    for who in Who::ALL.into_iter().filter(|who| who.is_ours()) {
        let ours = of(who)?;
        for peer in Who::ALL {
            let Some(goal) = who.goal(peer, picture.shrinks) else {
                continue;
            };
            let theirs = &of(peer)?.first;
            for (how, figures) in readings(who, ours) {
                let work = format!(
                    "{} {}, {}, {how}, wall ms",
                    picture.name,
                    picture.what,
                    who.name()
                );
                rows.push(Row::new(work, figures, peer.name(), theirs, goal)?);
            }
        }
        let docker = &of(Who::DockerPush)?.again;
        let work = format!("{} nothing changed, {}, wall ms", picture.name, who.name());
        rows.push(Row::new(
            work,
            &ours.again,
            Who::DockerPush.name(),
            docker,
            1.0,
        )?);
        let work = format!("{} {}, peak MiB", picture.name, who.name());
        rows.push(Row::new(work, &ours.peak, "the limit", &[MEMORY_MIB], 1.0)?);
    }
    let peaks: Vec<String> = figures
        .iter()
        .map(|(who, figures)| {
            format!(
                "{} {:.0} ms, again {:.0} ms, {:.0} MiB",
                who.name(),
                median(&figures.first).unwrap_or_default(),
                median(&figures.again).unwrap_or_default(),
                median(&figures.peak).unwrap_or_default()
            )
        })
        .collect();
    note(&format!("{}: {}", picture.what, peaks.join("; ")));
    Ok(rows)
}

fn of(figures: &[(Who, Figures)], who: Who) -> Result<&Figures> {
    figures
        .iter()
        .find(|(there, _)| *there == who)
        .map(|(_, figures)| figures)
        .ok_or_else(|| Fault::new(format!("{} was not measured", who.name())))
}

/// What of a first push is compared.
fn readings(who: Who, figures: &Figures) -> Vec<(&'static str, &[f64])> {
    match who {
        Who::FromEngine => vec![
            ("push", &figures.push),
            ("with a cached build", &figures.first),
        ],
        _ => vec![("push", &figures.first)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_ours_is_held_against_those_that_read_from_the_same_place() {
        let goals = |who: Who, shrinks| -> Vec<(&str, f64)> {
            Who::ALL
                .iter()
                .filter_map(|peer| Some((peer.name(), who.goal(*peer, shrinks)?)))
                .collect()
        };
        assert_eq!(
            goals(Who::FromEngine, true),
            [("docker push", 0.25), ("skopeo copy docker-daemon:", 0.5)]
        );
        assert_eq!(
            goals(Who::FromEngine, false),
            [("docker push", 0.5), ("skopeo copy docker-daemon:", 0.8)]
        );
        assert_eq!(goals(Who::FromLayout, true), [("skopeo copy oci:", 1.0)]);
        assert!(goals(Who::DockerPush, true).is_empty());
    }
}

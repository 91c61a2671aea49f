//! The deploy itself: plan, register, update, follow, and tell how it ended.

use crate::args::Deploy;
use crate::ecs;
use crate::evidence::Evidence;
use crate::follow::{Follow, Next, Verdict};
use crate::observe::World;
use crate::pace::Pace;
use crate::plan::{Plan, Revision, Update, container, decide, deployable};
use crate::proof::Wanted;
use crate::reference::{Registry, repository};
use crate::report::{self, Ended};
use crate::seen::{Seen, revision};
use aws_sdk_ecs::types::DesiredStatus;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::{Cx, Report};
use net::{Account, AwsContext, Net, Purpose, Target};
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// After so many looks in a row that AWS did not answer, following ends.
const LOST_AFTER: u32 = 3;
/// What is still missing is told this often while nothing else happens.
const REMIND: Duration = Duration::from_secs(10);

/// What was changed so far, for somebody who interrupts.
#[derive(Debug, Clone, Default)]
pub(crate) enum Stage {
    #[default]
    Untouched,
    Registered(String),
    Updating(String),
    Following {
        deployment: String,
        revision: String,
    },
}

/// Runs a digest in the service.
///
/// # Errors
/// Bad input, nothing to verify, or any verdict but success.
pub(crate) async fn deploy(args: Deploy, cx: &Cx, stage: &RefCell<Stage>) -> Result<Report> {
    let digest = Digest::parse(&args.digest)?;
    if args.timeout.is_zero() {
        return Err(
            Error::usage("--timeout is zero: no deployment is that fast")
                .hint("give it as long as the service needs to become healthy, such as 15m"),
        );
    }
    let resolved = cx.resolved()?;
    let contract = resolved.as_ref();
    let cluster = kit::step::required(
        "cluster",
        args.place.cluster,
        contract.map(|contract| contract.deploy.cluster.clone()),
    )?;
    let service = kit::step::required(
        "service",
        args.place.service,
        contract.map(|contract| contract.deploy.service.clone()),
    )?;
    let purpose = if args.dry_run {
        Purpose::Read
    } else {
        Purpose::Deploy
    };
    let target = Target::chosen(contract, purpose, None, None);
    let account = Net::new(cx)?.account(&target).await?;
    let world = World::new(&account, cluster, service);

    let before = world.service().await?;
    deployable(&before)?;
    let base = ecs::definition(&world.ecs, &before.task_definition).await?;
    let container = container(
        args.place
            .container
            .or(contract.map(|contract| contract.deploy.container.clone())),
        &base,
    )?;
    let (registry_account, region) = match contract {
        Some(contract) => (&contract.build.account, &contract.build.region),
        None => (&account.id, &account.region),
    };
    let repository = repository(
        args.repository
            .as_deref()
            .or(contract.map(|contract| contract.image.repository.as_str())),
        &base.image(&container).unwrap_or_default(),
        &Registry {
            host: args.registry.as_deref(),
            account: registry_account,
            region,
        },
    )?;
    let image = format!("{repository}@{digest}");
    let latest = ecs::definition(&world.ecs, &base.family()).await?;
    let latest = (latest.arn() != base.arn()).then_some(latest);
    let plan = decide(&before, &base, latest.as_ref(), &container, &image)?;
    if args.dry_run {
        return Ok(report::planned(&world, &plan));
    }
    for line in plan.lines() {
        cx.host.info(line);
    }

    let task_definition = revise(&world, &plan, stage).await?;
    let mut wanted = Wanted {
        deployment: String::new(),
        task_definition,
        container,
        digest,
        health_checked: base.health_checked(),
    };
    let before = world.look().await?;
    if before.service.task_definition != plan.base {
        return Err(Error::failed(format!(
            "service {} changed to {} meanwhile; nothing was updated",
            world.service,
            revision(&before.service.task_definition)
        ))
        .hint("somebody else deploys; run this again when they are done"));
    }
    stage.replace(Stage::Updating(wanted.task_definition.clone()));
    wanted.deployment = begin(&world, &plan, &before, &wanted.task_definition).await?;
    stage.replace(Stage::Following {
        deployment: wanted.deployment.clone(),
        revision: revision(&wanted.task_definition).to_owned(),
    });
    follow(cx, &world, &account, &plan, wanted, before, args.timeout).await
}

/// The revision to run, registered if need be.
async fn revise(world: &World, plan: &Plan, stage: &RefCell<Stage>) -> Result<String> {
    match &plan.revision {
        Revision::Keep => Ok(plan.base.clone()),
        Revision::Reuse(arn) => Ok(arn.clone()),
        Revision::Register(registration) => {
            let arn = ecs::register(&world.ecs, registration).await?;
            stage.replace(Stage::Registered(arn.clone()));
            Ok(arn)
        }
    }
}

/// Starts the deployment, or finds the one to verify; returns its ID.
async fn begin(world: &World, plan: &Plan, before: &Seen, task_definition: &str) -> Result<String> {
    let found = if plan.update == Update::None {
        before.service.primary().map(|primary| primary.id.clone())
    } else {
        // Cluster, service and task definition only: whatever else is sent would be set, the
        // desired count above all.
        let mut update = world
            .ecs
            .update_service()
            .cluster(&world.cluster)
            .service(&world.service)
            .task_definition(task_definition);
        if plan.update == Update::Again {
            // The same revision starts a new deployment only when it is forced to.
            update = update.force_new_deployment(true);
        }
        let answer = update.send().await.cannot(format!(
            "update service {} in cluster {}",
            world.service, world.cluster
        ))?;
        answer
            .service
            .and_then(|service| service.deployments)
            .unwrap_or_default()
            .into_iter()
            .find(|deployment| {
                deployment.status() == Some("PRIMARY")
                    && deployment.task_definition() == Some(task_definition)
            })
            .and_then(|deployment| deployment.id)
    };
    found.ok_or_else(|| {
        Error::failed(format!(
            "service {} was updated to {} and ECS names no deployment of it",
            world.service,
            revision(task_definition)
        ))
        .hint(look_hint(world))
    })
}

/// Looks until there is a verdict.
async fn follow(
    cx: &Cx,
    world: &World,
    account: &Account,
    plan: &Plan,
    wanted: Wanted,
    before: Seen,
    timeout: Duration,
) -> Result<Report> {
    let start = Instant::now();
    let mut evidence = Evidence::new(&wanted.deployment, &before);
    let mut follow = Follow::new(wanted.clone(), plan.base.clone(), timeout);
    let mut record = RecordApi::default();
    let mut pace = Pace::new();
    let mut told = Told::default();
    let mut lost = 0;
    cx.host.info(format!(
        "deployment {} of {}",
        wanted.deployment,
        revision(&wanted.task_definition)
    ));
    let (verdict, seen) = loop {
        let mut seen = match world.look().await {
            Ok(seen) => seen,
            Err(error) if lost + 1 >= LOST_AFTER => {
                return Err(error
                    .hint("the deployment goes on in ECS, but nobody watches it now")
                    .hint(look_hint(world)));
            }
            Err(error) => {
                lost += 1;
                cx.host.info(format!("{}; looking again", error.message));
                sleep(pace.next(false)).await;
                continue;
            }
        };
        lost = 0;
        seen.record = record.look(cx, world, &wanted.task_definition).await;
        let next = follow.next(start.elapsed(), &seen);
        let events = evidence.add(&seen);
        let missing = match &next {
            Next::Wait(missing) => missing.as_slice(),
            Next::Done(_) => &[],
        };
        let changed = told.tell(
            cx,
            &wanted.deployment,
            &seen,
            &events,
            missing,
            start.elapsed(),
        );
        // Stopped tasks are remembered by ECS for an hour at least; they are asked for when
        // something moved, so that a rollback of days of failing does not flood.
        if changed
            && seen
                .service
                .deployment(&wanted.deployment)
                .is_none_or(|ours| ours.failed > 0)
            && let Ok(tasks) = world.tasks(DesiredStatus::Stopped).await
        {
            evidence.stopped(tasks);
        }
        match next {
            Next::Wait(_) => sleep(pace.next(changed)).await,
            Next::Done(verdict) => break (verdict, seen),
        }
    };
    if verdict != Verdict::Succeeded
        && let Ok(tasks) = world.tasks(DesiredStatus::Stopped).await
    {
        evidence.stopped(tasks);
    }
    let address = match verdict {
        Verdict::Succeeded => world.address(&seen.service).await.unwrap_or_else(|error| {
            cx.host
                .warn(format!("the address is left out: {}", error.message));
            None
        }),
        _ => None,
    };
    report::ended(Ended {
        world,
        account,
        plan,
        wanted: &wanted,
        seen: &seen,
        evidence: &evidence,
        took: start.elapsed(),
        timeout,
        address,
        verdict,
    })
}

/// ECS's record of the deployment: read while it can be. Without it there is a verdict all the
/// same, only without the breaker's count.
#[derive(Debug, Default)]
struct RecordApi {
    arn: Option<String>,
    off: bool,
}

impl RecordApi {
    async fn look(
        &mut self,
        cx: &Cx,
        world: &World,
        task_definition: &str,
    ) -> Option<crate::seen::Record> {
        if self.off {
            return None;
        }
        match world.record(task_definition, &mut self.arn).await {
            Ok(record) => record,
            Err(code) if code.starts_with("Throttling") => None,
            Err(code) => {
                self.off = true;
                cx.host.info(format!(
                    "ECS's service deployments cannot be read ({code}); following without the circuit breaker's count"
                ));
                None
            }
        }
    }
}

/// What was told already, so that a line comes only when something changed.
#[derive(Debug, Default)]
struct Told {
    table: String,
    missing: Vec<String>,
    reminded: Option<(Duration, String)>,
}

impl Told {
    /// Returns whether anything moved since the last look.
    fn tell(
        &mut self,
        cx: &Cx,
        ours: &str,
        seen: &Seen,
        events: &[String],
        missing: &[String],
        now: Duration,
    ) -> bool {
        for event in events {
            cx.host.info(format!("  event: {event}"));
        }
        let table = report::progress(ours, seen);
        let moved = table != self.table || !events.is_empty() || missing != self.missing;
        if table != self.table {
            cx.host.info(format!("{:>5} s  {table}", now.as_secs()));
            self.table = table;
        }
        self.missing = missing.to_vec();
        let waiting = report::some(missing, 3).join("; ");
        let due = match &self.reminded {
            Some((at, told)) => now >= *at + REMIND && *told != waiting,
            None => true,
        };
        if due && !waiting.is_empty() {
            cx.host
                .info(format!("{:>5} s  waiting for {waiting}", now.as_secs()));
            self.reminded = Some((now, waiting));
        }
        moved
    }
}

/// What a person who interrupts must know.
pub(crate) fn interrupted(signal: &str, stage: &Stage, world: &str) -> Error {
    let error = Error::new(kit::Exit::Interrupted, format!("interrupted by {signal}"));
    match stage {
        Stage::Untouched => error.cause("nothing was changed"),
        Stage::Registered(arn) => error.cause(format!(
            "{} was registered and is used by nothing yet; the next deploy of this digest takes it",
            revision(arn)
        )),
        Stage::Updating(arn) => error
            .cause(format!(
                "the service was being updated to {}",
                revision(arn)
            ))
            .hint(format!("see what it runs: slipway-service status {world}")),
        Stage::Following {
            deployment,
            revision,
        } => error
            .cause(format!(
                "deployment {deployment} of {revision} goes on in ECS; nothing was taken back"
            ))
            .hint(format!("see how it ends: slipway-service status {world}"))
            .hint("or run the same deploy again: it follows the deployment that is under way"),
    }
}

pub(crate) fn look_hint(world: &World) -> String {
    format!(
        "see what it runs: slipway-service status --cluster {} --service {}",
        world.cluster, world.service
    )
}

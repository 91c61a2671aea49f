//! One command in a task of its own, such as a migration: with the revision that a deployment of the digest would run, in the
//! network of the service, followed to its end.

mod decide;
mod follow;
mod output;
mod report;
mod stage;

use crate::act;
use crate::args::{RunTask, Version};
use crate::decide::{Plan, Update, plan};
use crate::free::OtherDeployments;
use crate::interrupt::Progress;
use crate::observe::observe;
use crate::opening::{Opened, open};
use crate::permit::Work;
use crate::time::refuse_none;
use crate::under::UsedPermit;
use ecs::{Client, OneOff, RetryPolicy, Service};
use follow::Running;
use kit::contract::Resolved;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::{Cx, Defaults, Report};
use net::{Account, Net};
use output::Output;
use report::Outcome;
use stage::{Stage, TaskPlace};
use tokio::time::Instant;

/// Runs the command and reports how it ended. The first signal ends it where no task runs yet, and else has its task stopped;
/// the second one ends it anywhere.
///
/// # Errors
/// The command fails, or does not run. Its own exit code is kept.
pub(crate) async fn run_task(args: RunTask, cx: &Cx) -> Result<Report> {
    let arguments = args.version.selector.arguments(cx);
    let progress = Progress::default();
    progress.run(steps(args, cx, &progress), &arguments).await
}

async fn steps(args: RunTask, cx: &Cx, progress: &Progress<Stage>) -> Result<Report> {
    let version = &args.version;
    let digest = &version.digest;
    refuse_none(version.usual_time())?;
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let command = ledger::permit::command(&args.argv)?;
    let prepared = prepare(&args, cx, &net, &defaults, (digest, &command), progress).await?;
    let ready = match prepared {
        Prepared::DryRun(report) => return Ok(report),
        Prepared::Ready(ready) => ready,
    };
    let began = Instant::now();
    let client = ready.session.as_ref().unwrap_or(&ready.opened.client);
    let revision = ready.work.task_definition.as_str();
    let definition = client.definition(revision).await;
    let definition = definition.map_err(|error| ready.used_up(error.into()))?;
    progress.at(Stage::Starting(client.cluster.clone()));
    let arn = start(cx, client, &ready).await?;
    let task = TaskPlace {
        arn: arn.clone(),
        cluster: client.cluster.clone(),
    };
    progress.at(Stage::Running(task.clone()));
    let id = arn.rsplit('/').next().unwrap_or(&arn);
    let container = &ready.work.container;
    let account = &ready.opened.account;
    // A task that is to be stopped does not wait for what its log needs.
    let output = tokio::select! {
        biased;
        _ = progress.cancelled() => None,
        output = Output::open(cx, &net, account, &definition, container, id) => Some(output),
    };
    let running = Running {
        cx,
        client,
        task,
        container: container.clone(),
        timeout: version.usual_time(),
        output,
        progress,
        over: false,
    };
    let ended = running.follow().await?;
    let outcome = Outcome {
        client,
        account,
        plan: &ready.plan,
        work: &ready.work,
        under: ready.under.as_ref(),
        arn: &arn,
        timeout: version.usual_time(),
        took: began.elapsed(),
    };
    outcome.report(&ended)
}

enum Prepared<'a> {
    DryRun(Report),
    Ready(Box<Ready<'a>>),
}

/// The work, and the session in which it may be started.
struct Ready<'a> {
    opened: Opened<'a>,
    plan: Plan,
    work: OneOff,
    session: Option<Client>,
    under: Option<UsedPermit>,
}

impl Ready<'_> {
    /// The error of a task that was not started, with the permit that it cost.
    fn used_up(&self, error: Error) -> Error {
        match &self.under {
            Some(under) => error.cause(under.used_up()),
            None => error,
        }
    }
}

/// Everything before the task is started: the revision is registered, and the permit used up.
async fn prepare<'a>(
    args: &RunTask,
    cx: &Cx,
    net: &'a Net,
    defaults: &'a Defaults,
    (digest, command): (&'a Digest, &'a str),
    progress: &Progress<Stage>,
) -> Result<Prepared<'a>> {
    let version = &args.version;
    let contract = defaults.contract();
    let opened = open(cx, net, defaults, version, digest, Work::Task(command)).await?;
    let (client, account) = (&opened.client, &opened.account);
    let look = || planned(version, contract, account, client);
    let (service, mut plan) = look().await?;
    let container = container(version, contract, &plan)?;
    if version.dry_run {
        let missing = opened.missing.clone();
        let under = opened.under.as_ref();
        let report = report::planned(client, &plan, &container, under, missing);
        return Ok(Prepared::DryRun(report));
    }
    if let Some(why) = opened.under.as_ref().and_then(UsedPermit::closed) {
        return Err(
            Error::refused(why).hint("run the task under a new permit, before the deployment")
        );
    }
    // What the command changes belongs to a version that does not serve yet, unless it is the one that is being deployed.
    if plan.update != Update::None {
        let others = OtherDeployments {
            client,
            arguments: &version.selector.arguments(cx),
            container: Some(&container),
            replace: None,
            undone: "no task was started beside it",
        };
        if others.wait(cx, &service, version.usual_time()).await? {
            (_, plan) = look().await?;
        }
    }
    let lines = opened.under.iter().map(UsedPermit::start_line);
    for line in lines.chain(plan.revision_lines()) {
        cx.host.info(line);
    }
    let task_definition = act::revise(client, &plan, |arn| {
        progress.at(Stage::Registered(arn.name().to_owned()));
    })
    .await?;
    let (session, under) = match &opened.permit {
        Some(permit) => {
            let policy = RetryPolicy::within(version.usual_time());
            let session = permit.client(cx, client, &task_definition, policy).await?;
            // A migration is the first that a deployment changes, so it uses the permit up.
            progress.at(Stage::Beginning(permit.number()));
            let under = permit.start(task_definition.as_str()).await?;
            cx.host.info(under.used_up());
            (Some(session), Some(under))
        }
        None => (None, None),
    };
    let work = OneOff {
        task_definition,
        container,
        command: args.argv.clone(),
    };
    Ok(Prepared::Ready(Box::new(Ready {
        opened,
        plan,
        work,
        session,
        under,
    })))
}

/// The observed service, and the plan of a deployment of the version.
async fn planned(
    version: &Version,
    contract: Option<&Resolved>,
    account: &Account,
    client: &Client,
) -> Result<(Service, Plan)> {
    let observed = observe(client, version, contract, account, &version.digest).await?;
    let service = observed.seen.service;
    let (selection, image) = (observed.selection, &observed.image);
    let newest = observed.newest.as_ref();
    let plan = plan(&service, &observed.running, newest, selection, image)?;
    Ok((service, plan))
}

/// The container that runs the command.
///
/// # Errors
/// Several were named (exit 2).
fn container(version: &Version, contract: Option<&Resolved>, plan: &Plan) -> Result<String> {
    let named = version.selector.containers();
    if let [first, second, ..] = named.as_slice() {
        return Err(Error::usage(format!(
            "--container names {first} and {second}, and one container runs the command"
        )));
    }
    let containers = &plan.selection.containers;
    let usual = contract.map(|contract| &contract.deploy.container);
    let found = named
        .first()
        .or(usual.filter(|usual| containers.contains(usual)))
        .or(containers.first());
    found
        .cloned()
        .ok_or_else(|| Error::usage("--container is missing"))
}

/// Starts the task, or finds the same one that an earlier run left behind.
async fn start(cx: &Cx, client: &Client, ready: &Ready<'_>) -> Result<String> {
    let work = &ready.work;
    let found = client.find_task(work).await;
    if let Some(arn) = found.map_err(|error| ready.used_up(error.into()))? {
        cx.host.info(format!(
            "task {arn} runs the same command of {} already; following it",
            work.task_definition.name()
        ));
        return Ok(arn);
    }
    let token = uuid::Uuid::new_v4().to_string();
    let started = client.run_task(work, &token).await;
    let arn = started.map_err(|error| {
        let error = match error.is_passing() {
            true => {
                error.hint("run it again: if ECS started the task all the same, it is followed")
            }
            false => error,
        };
        ready.used_up(error.into())
    })?;
    cx.host.info(format!(
        "task {arn} runs the command in container {}",
        work.container
    ));
    Ok(arn)
}

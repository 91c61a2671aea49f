//! One command in a task of its own, such as a migration: with the revision that a deployment of the digest would run, in the
//! network of the service, followed to its end.

mod decide;
mod follow;
mod output;
mod report;

use crate::act;
use crate::args::{RunTask, Version};
use crate::decide::{Plan, plan};
use crate::deploy::refuse_no_time;
use crate::observe::observe;
use crate::opening::{Opened, open};
use crate::permit::Permit;
use crate::under::UsedPermit;
use ecs::{Client, OneOff, RetryPolicy};
use follow::Running;
use kit::aws::TaskDefinitionArn;
use kit::contract::Resolved;
use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
use kit::signal::Signals;
use kit::{Cx, Defaults, Report};
use net::Net;
use output::Output;
use report::Outcome;
use tokio::time::Instant;

/// Runs the command and reports how it ended.
///
/// # Errors
/// The command fails, or does not run. Its own exit code is kept.
pub(crate) async fn run_task(args: RunTask, cx: &Cx) -> Result<Report> {
    let version = &args.version;
    let digest = Digest::parse(&version.digest)?;
    refuse_no_time(version.timeout)?;
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    // Signals that come while a task is being started are answered when it runs.
    let Some(mut signals) = Signals::listen() else {
        return Err(Error::failed("cannot listen for signals"));
    };
    let prepared = tokio::select! {
        biased;
        signal = signals.next() => return Err(unstarted(signal, version)),
        prepared = prepare(&args, cx, &net, &defaults, &digest) => prepared?,
    };
    let ready = match prepared {
        Prepared::DryRun(report) => return Ok(report),
        Prepared::Ready(ready) => ready,
    };
    let began = Instant::now();
    let client = ready.session.as_ref().unwrap_or(&ready.opened.client);
    let revision = ready.work.task_definition.as_str();
    let definition = client.definition(revision).await?;
    let arn = start(cx, client, &ready).await?;
    let id = arn.rsplit('/').next().unwrap_or(&arn);
    let container = &ready.work.container;
    let output = Output::open(cx, &net, &ready.opened.account, &definition, container, id).await;
    let running = Running {
        cx,
        client,
        arn: arn.clone(),
        container: container.clone(),
        timeout: version.timeout,
        output,
    };
    let ended = running.follow(&mut signals).await?;
    let outcome = Outcome {
        client,
        account: &ready.opened.account,
        plan: &ready.plan,
        work: &ready.work,
        under: ready.under.as_ref(),
        arn: &arn,
        timeout: version.timeout,
        took: began.elapsed(),
    };
    outcome.report(&ended)
}

/// The error of a run that a signal ends before it starts a task.
fn unstarted(signal: &str, version: &Version) -> Error {
    let error = Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"))
        .cause("no task was started");
    match &version.permit {
        Some(permit) => error.hint(format!(
            "permit {permit} may be used up; on GitHub, run the failed jobs again: they go on under it"
        )),
        None => error,
    }
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

/// Everything before the task is started: the revision is registered, and the permit used up.
async fn prepare<'a>(
    args: &RunTask,
    cx: &Cx,
    net: &'a Net,
    defaults: &'a Defaults,
    digest: &'a Digest,
) -> Result<Prepared<'a>> {
    let version = &args.version;
    let contract = defaults.contract();
    let opened = open(cx, net, defaults, version, digest).await?;
    let (client, account) = (&opened.client, &opened.account);
    let observed = observe(client, version, contract, account, digest).await?;
    let plan = plan(
        &observed.seen.service,
        &observed.running,
        observed.newest.as_ref(),
        observed.selection.clone(),
        &observed.image,
    )?;
    let container = container(version, contract, &plan)?;
    if version.dry_run {
        let missing = opened.missing.clone();
        let under = opened.under.as_ref();
        let report = report::planned(client, &plan, &container, under, missing);
        return Ok(Prepared::DryRun(report));
    }
    if let Some(record) = opened.under.as_ref().and_then(|under| under.recorded) {
        return Err(Error::refused(format!(
            "this run recorded its deployment as healthy (record {record}), which closed its permit"
        ))
        .hint("run the task under a new permit, before the deployment"));
    }
    let lines = opened.under.iter().map(UsedPermit::start_line);
    for line in lines.chain(plan.revision_lines()) {
        cx.host.info(line);
    }
    let task_definition = act::revise(client, &plan, |_| ()).await?;
    let (session, under) = match &opened.permit {
        Some(permit) => {
            let policy = RetryPolicy::within(version.timeout);
            let (session, under) = begin(cx, permit, client, &task_definition, policy).await?;
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

/// Opens the session that may run tasks, and uses the permit up: a migration is the first that a deployment changes. The
/// deployment of the same run goes on under it.
async fn begin(
    cx: &Cx,
    permit: &Permit<'_>,
    client: &Client,
    task_definition: &TaskDefinitionArn,
    policy: RetryPolicy,
) -> Result<(Client, UsedPermit)> {
    let session = permit.session(task_definition.as_str()).await?;
    let (cluster, service) = (client.cluster.clone(), client.service.clone());
    let session = Client::new(&session, cluster, service, policy, &cx.host);
    let under = permit.start(task_definition.as_str(), cx).await?;
    cx.host.info(under.used_up());
    Ok((session, under))
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
    let Ready { work, under, .. } = ready;
    if let Some(arn) = client.find_task(work).await? {
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
        match under {
            Some(under) => Error::from(error).cause(under.used_up()),
            None => error.into(),
        }
    })?;
    cx.host.info(format!(
        "task {arn} runs the command in container {}",
        work.container
    ));
    Ok(arn)
}

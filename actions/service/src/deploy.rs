//! The deploy itself: observe, decide, act, follow, report.

use crate::act;
use crate::args::Deploy;
use crate::decide::{Plan, Revision, Update, decide, deployable};
use crate::observe::{Observed, observe};
use crate::permit::{self, Needs, Permit};
use crate::place::{Found, find};
use crate::report;
use crate::under::UsedPermit;
use crate::watch::Watch;
use ecs::{Client, Expected, RetryPolicy, Seen};
use kit::aws::TaskDefinitionArn;
use kit::contract::Resolved;
use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
use kit::{Cx, Report};
use net::{Account, Net, Purpose};
use std::cell::RefCell;
use std::time::Duration;

/// The changes made so far, for the message after an interrupt.
#[derive(Debug, Clone, Default)]
pub(crate) enum Progress {
    #[default]
    Unchanged,
    Registered(TaskDefinitionArn),
    Beginning {
        permit: u64,
        revision: String,
    },
    Updating(TaskDefinitionArn),
    Following {
        deployment: String,
        revision: String,
    },
}

/// Runs a digest in the service.
///
/// # Errors
/// Bad input, nothing to verify, or any verdict but success.
pub(crate) async fn deploy(args: Deploy, cx: &Cx, progress: &RefCell<Progress>) -> Result<Report> {
    let digest = Digest::parse(&args.digest)?;
    refuse_no_time(args.timeout)?;
    let defaults = cx.defaults()?;
    let contract = defaults.contract();
    let purpose = match args.dry_run {
        true => Purpose::Read,
        false => Purpose::Deploy,
    };
    let policy = || RetryPolicy::within(args.timeout);
    let net = Net::new(cx)?;
    let (permit, missing) = match permit::needs(&args, &defaults, &digest)? {
        Needs::Nothing => (None, None),
        Needs::Missing(refusal) if !args.dry_run => return Err(*refusal),
        Needs::Missing(refusal) => (None, Some(*refusal)),
        Needs::Permit(asked) => (Some(asked), None),
    };
    let Found { account, client } =
        find(cx, &net, &defaults, &args.selector, purpose, policy).await?;
    let permit = match permit {
        Some(asked) => Some(Permit::open(cx, &net, asked, &digest, args.dry_run).await?),
        None => None,
    };
    let under = match &permit {
        Some(permit) => Some(permit.check(cx).await?),
        None => None,
    };
    let (observed, plan) = planned(&client, &args, contract, &account, &digest).await?;
    let recorded = under.as_ref().and_then(|under| under.recorded);
    if let Some(record) = recorded {
        still_runs(&plan, record, contract)?;
    }
    if args.dry_run {
        return Ok(report::planned(&client, &plan, under.as_ref(), missing));
    }
    for line in under.iter().map(UsedPermit::start_line).chain(plan.lines()) {
        cx.host.info(line);
    }

    let task_definition = act::revise(&client, &plan, |arn| {
        progress.replace(Progress::Registered(arn.clone()));
    })
    .await?;
    let before = client.look().await?;
    unchanged(&before.service.task_definition, &plan)?;
    let permitted = match (&permit, under) {
        // It is closed, and the plan changes nothing.
        (Some(_), Some(under)) if recorded.is_some() => Some(PermittedUpdate {
            under,
            client: None,
        }),
        (Some(permit), _) => {
            let session = session(cx, permit, &plan, &task_definition, &client, policy()).await?;
            Some(begin(cx, permit, session, &task_definition, progress).await?)
        }
        (None, _) => None,
    };
    progress.replace(Progress::Updating(task_definition.clone()));
    let under = permitted.as_ref();
    let deployment = update(&client, under, &plan, &before, &task_definition).await?;
    // A rollback that began while the update was repeated has made its own, before this one or after it; and so has a
    // later attempt of this run, if this one was taken for dead.
    if let (Some(permit), Some(update)) = (&permit, under.filter(|it| it.client.is_some())) {
        permit
            .refuse_overtaken(&update.under, task_definition.name())
            .await?;
    }
    progress.replace(Progress::Following {
        deployment: deployment.clone(),
        revision: task_definition.name().to_owned(),
    });
    let expected = Expected {
        deployment,
        task_definition,
        digest: digest.clone(),
        containers: plan.selection.containers.clone(),
        health_checked: observed.base().health_checked(),
        allow_zero_tasks: args.allow_zero_tasks,
    };
    let watch = Watch::new(cx, &client, &plan, expected, before, args.timeout);
    let under = under.map(|permitted| &permitted.under);
    report::ended(&client, &account, &plan, under, watch.follow().await?)
}

fn refuse_no_time(timeout: Duration) -> Result<()> {
    if !timeout.is_zero() {
        return Ok(());
    }
    Err(
        Error::usage("--timeout is zero: no deployment is that fast")
            .hint("give it as long as the service needs to become healthy, such as 15m"),
    )
}

/// The observed service, and the plan of its changes.
async fn planned(
    client: &Client,
    args: &Deploy,
    contract: Option<&Resolved>,
    account: &Account,
    digest: &Digest,
) -> Result<(Observed, Plan)> {
    let observed = observe(client, args, contract, account, digest).await?;
    deployable(&observed.seen.service, args.allow_zero_tasks)?;
    let plan = decide(
        &observed.seen.service,
        &observed.running,
        observed.newest.as_ref(),
        observed.selection.clone(),
        &observed.image,
    )?;
    Ok((observed, plan))
}

/// A deployment that began under a permit.
struct PermittedUpdate {
    under: UsedPermit,
    /// The client that updates the service; `None` if the service stays as it is.
    client: Option<Client>,
}

/// Uses the permit up.
async fn begin(
    cx: &Cx,
    permit: &Permit<'_>,
    client: Option<Client>,
    task_definition: &TaskDefinitionArn,
    progress: &RefCell<Progress>,
) -> Result<PermittedUpdate> {
    progress.replace(Progress::Beginning {
        permit: permit.number(),
        revision: task_definition.name().to_owned(),
    });
    let under = permit.start(task_definition.as_str(), cx).await?;
    cx.host.info(under.used_up());
    Ok(PermittedUpdate { under, client })
}

/// The client that updates the service under a permit. It is made before the permit is used up, so that a refused session
/// does not cost the permit.
async fn session(
    cx: &Cx,
    permit: &Permit<'_>,
    plan: &Plan,
    task_definition: &TaskDefinitionArn,
    client: &Client,
    policy: RetryPolicy,
) -> Result<Option<Client>> {
    let (cluster, service) = (client.cluster.clone(), client.service.clone());
    Ok(match plan.update {
        Update::None => None,
        Update::Deploy | Update::Again => {
            let session = permit.session(task_definition.as_str()).await?;
            Some(Client::new(&session, cluster, service, policy, &cx.host))
        }
    })
}

/// Updates the service: in the session of the permit that the deployment began under, if there is one.
async fn update(
    client: &Client,
    permitted: Option<&PermittedUpdate>,
    plan: &Plan,
    before: &Seen,
    task_definition: &TaskDefinitionArn,
) -> Result<String> {
    let session = permitted.and_then(|permitted| permitted.client.as_ref());
    let client = session.unwrap_or(client);
    let updated = act::update(client, plan, before, task_definition).await;
    updated.map_err(|error| match permitted {
        Some(permitted) => error.cause(permitted.under.used_up()),
        None => error,
    })
}

/// Refuses to change anything under a permit that this same run closed.
fn still_runs(plan: &Plan, record: u64, contract: Option<&Resolved>) -> Result<()> {
    if let (Revision::Keep, Update::None) = (&plan.revision, plan.update) {
        return Ok(());
    }
    let environment = contract.map_or("NAME", |contract| contract.environment.as_str());
    Err(Error::refused(format!(
        "this run recorded its deployment as healthy (record {record}), which closed its permit, and a deployment now would change the service"
    ))
    .with_causes(plan.lines())
    .hint(format!(
        "deploy under a new permit: slipway-promote grant --environment {environment} --digest {}",
        plan.image.rsplit_once('@').map_or("DIGEST", |(_, digest)| digest)
    )))
}

/// Refuses if somebody else deployed since the plan was made.
fn unchanged(task_definition: &TaskDefinitionArn, plan: &Plan) -> Result<()> {
    if *task_definition == plan.running {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the service changed to {} meanwhile; nothing was updated",
        task_definition.name()
    ))
    .hint("another deployment is in progress; run this again when it has ended"))
}

/// The error of an interrupted deploy: how far it got, and what to do next.
pub(crate) fn interrupted(signal: &str, progress: &Progress, arguments: &str) -> Error {
    let error = Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"));
    match progress {
        Progress::Unchanged => error.cause("nothing was changed"),
        Progress::Registered(arn) => error.cause(format!(
            "{} was registered, but nothing uses it yet; the next deployment of this digest reuses it",
            arn.name()
        )),
        Progress::Beginning { permit, revision } => error
            .cause(format!(
                "the record that permit {permit} is used for {revision} was being written; the service was not updated"
            ))
            .hint("on GitHub, run the failed jobs again: they go on under it")
            .hint("anywhere else, record the failure and get a new permit: slipway-promote record --environment NAME --digest DIGEST --commit COMMIT --verdict failed"),
        Progress::Updating(arn) => error
            .cause(format!("the service was being updated to {}", arn.name()))
            .hint(format!("see what it runs: slipway-service status {arguments}")),
        Progress::Following {
            deployment,
            revision,
        } => error
            .cause(format!(
                "deployment {deployment} of {revision} continues in ECS; it was not rolled back"
            ))
            .hint(format!("see how it ends: slipway-service status {arguments}"))
            .hint("or run the same deploy again: it follows the deployment that is under way"),
    }
}

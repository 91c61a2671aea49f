//! The deploy itself: observe, decide, act, follow, report.

use crate::act;
use crate::args::Deploy;
use crate::decide::{Plan, Revision, Update, decide, deployable};
use crate::free::require_free;
use crate::interrupt::Progress;
use crate::logs;
use crate::observe::{Observed, observe};
use crate::opening::{Opened, open};
use crate::owner;
use crate::permit::{Permit, Work};
use crate::report;
use crate::stage::Stage;
use crate::time::{self, refuse_none};
use crate::under::UsedPermit;
use crate::verdict::{Rollback, Verdict};
use crate::watch::{Ended, Following, Watch};
use ecs::{Client, Expected, RetryPolicy, Seen};
use kit::aws::TaskDefinitionArn;
use kit::contract::Resolved;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::{Cx, Report};
use net::{Account, Net};

/// Runs a digest in the service. The first signal ends it where nothing runs yet, and else has its deployment rolled back;
/// the second one ends it anywhere.
///
/// # Errors
/// Bad input, nothing to verify, or any verdict but success.
pub(crate) async fn deploy(args: Deploy, cx: &Cx) -> Result<Report> {
    let arguments = args.version.selector.arguments(cx);
    let progress = Progress::default();
    progress.run(steps(args, cx, &progress), &arguments).await
}

pub(crate) async fn steps(args: Deploy, cx: &Cx, progress: &Progress<Stage>) -> Result<Report> {
    let version = &args.version;
    let digest = &version.digest;
    refuse_none(version.usual_time())?;
    let defaults = cx.defaults()?;
    let contract = defaults.contract();
    let net = Net::new(cx)?;
    let Opened {
        account,
        client,
        permit,
        under,
        missing,
    } = open(cx, &net, &defaults, version, digest, Work::Deploy).await?;
    let (observed, plan) = planned(&client, &args, contract, &account, digest).await?;
    let service = &observed.seen.service;
    let timeout = time::allowed(version.timeout, &service.strategy, plan.update)?;
    let closed = under.as_ref().and_then(UsedPermit::closed);
    if let Some(why) = &closed {
        still_runs(&plan, why, contract)?;
    }
    if version.dry_run {
        return Ok(report::planned(&client, &plan, under.as_ref(), missing));
    }
    require_free(&client, service, plan.update).await?;
    for line in under.iter().map(UsedPermit::start_line).chain(plan.lines()) {
        cx.host.info(line);
    }

    let task_definition = act::revise(&client, &plan, |arn| {
        progress.at(Stage::Registered(arn.clone()));
    })
    .await?;
    let before = client.look().await?;
    unchanged(&before.service.task_definition, &plan)?;
    require_free(&client, &before.service, plan.update).await?;
    let left = left(&args, &plan, &before, under.as_ref());
    let permitted = match (&permit, under) {
        // Nothing may be changed, and the plan changes nothing.
        (Some(_), Some(under)) if closed.is_some() => Some(PermittedUpdate {
            under,
            client: None,
        }),
        (Some(permit), _) => {
            let policy = RetryPolicy::within(timeout);
            let session = session(cx, permit, &plan, &task_definition, &client, policy).await?;
            Some(begin(cx, permit, session, &task_definition, progress).await?)
        }
        (None, _) => None,
    };
    progress.at(Stage::Updating {
        revision: task_definition.clone(),
        left: left.clone(),
    });
    let under = permitted.as_ref();
    let deployment = update(&client, under, &plan, &before, &task_definition).await?;
    // A rollback that began while the update was repeated has made its own, before this one or after it; and so has a
    // later attempt of this run, if this one was taken for dead.
    if let (Some(permit), Some(update)) = (&permit, under.filter(|it| it.client.is_some())) {
        permit
            .refuse_overtaken(&update.under, task_definition.name())
            .await?;
    }
    let following = Following {
        expected: Expected {
            allow_zero_tasks: args.allow_zero_tasks,
            ..expected(deployment, task_definition, digest, &plan, &observed)
        },
        before,
        timeout,
        left,
        answered: None,
    };
    let under = under.map(|permitted| &permitted.under);
    let (net, account, client) = (&net, &account, &client);
    let place = Place {
        net,
        account,
        client,
    };
    to_the_end(cx, &place, &plan, under, progress, following).await
}

/// What the deployment has to come to.
pub(crate) fn expected(
    deployment: String,
    task_definition: TaskDefinitionArn,
    digest: &Digest,
    plan: &Plan,
    observed: &Observed,
) -> Expected {
    Expected {
        deployment,
        task_definition,
        digest: digest.clone(),
        containers: plan.selection.containers.clone(),
        health_checked: observed.base().health_checked(),
        allow_zero_tasks: false,
    }
}

/// The way to the service.
pub(crate) struct Place<'a> {
    pub(crate) net: &'a Net,
    pub(crate) account: &'a Account,
    pub(crate) client: &'a Client,
}

/// Follows a deployment to its verdict, and reports that.
///
/// # Errors
/// Any verdict but success.
pub(crate) async fn to_the_end(
    cx: &Cx,
    place: &Place<'_>,
    plan: &Plan,
    under: Option<&UsedPermit>,
    progress: &Progress<Stage>,
    following: Following,
) -> Result<Report> {
    let Place {
        net,
        account,
        client,
    } = place;
    progress.at(Stage::Following {
        deployment: following.expected.deployment.clone(),
        revision: following.expected.task_definition.name().to_owned(),
        left: following.left.clone(),
    });
    let watch = Watch::new(cx, client, plan, progress, following);
    let mut ended = watch.follow().await?;
    add_logs(net, account, client, &mut ended).await;
    report::ended(client, account, plan, under, ended)
}

/// Adds the logs of the tasks of a deployment that did not become healthy.
async fn add_logs(net: &Net, account: &Account, client: &Client, ended: &mut Ended) {
    // The run that replaced it did not wait for its tasks, and one that is paused has not failed.
    if let Verdict::Succeeded | Verdict::Superseded { .. } | Verdict::Paused(_) = ended.verdict {
        return;
    }
    let (revision, evidence) = (&ended.expected.task_definition, &mut ended.evidence);
    let picked = logs::pick(evidence.stopped_tasks(), evidence.seen_tasks());
    evidence.logs = logs::collect(net, account, client, revision, picked).await;
}

/// Why the deployment is left to ECS where this run gives it up, if it is.
fn left(args: &Deploy, plan: &Plan, before: &Seen, under: Option<&UsedPermit>) -> Option<Rollback> {
    let began = under.and_then(UsedPermit::began);
    owner::left(args.no_rollback, plan.update, &before.service, began)
}

/// The observed service, and the plan of its changes.
async fn planned(
    client: &Client,
    args: &Deploy,
    contract: Option<&Resolved>,
    account: &Account,
    digest: &Digest,
) -> Result<(Observed, Plan)> {
    let observed = observe(client, &args.version, contract, account, digest).await?;
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
    progress: &Progress<Stage>,
) -> Result<PermittedUpdate> {
    progress.at(Stage::Beginning {
        permit: permit.number(),
        revision: task_definition.name().to_owned(),
    });
    let under = permit.start(task_definition.as_str()).await?;
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

/// Refuses to change anything under a permit that this same run closed, or took up too long ago.
fn still_runs(plan: &Plan, why: &str, contract: Option<&Resolved>) -> Result<()> {
    if let (Revision::Keep, Update::None) = (&plan.revision, plan.update) {
        return Ok(());
    }
    let environment = contract.map_or("NAME", |contract| contract.environment.as_str());
    Err(Error::refused(format!(
        "{why}, and a deployment now would change the service"
    ))
    .with_causes(plan.lines())
    .hint(format!(
        "deploy under a new permit: slipway-promote grant --environment {environment} --digest {}",
        plan.image
            .rsplit_once('@')
            .map_or("DIGEST", |(_, digest)| digest)
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

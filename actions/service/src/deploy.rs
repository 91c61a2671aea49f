//! The deploy itself: observe, decide, act, follow, report.

use crate::act;
use crate::args::Deploy;
use crate::decide::{Plan, Revision, Update, decide, deployable};
use crate::free::OtherDeployments;
use crate::interrupt::Progress;
use crate::logs;
use crate::observe::{Observed, observe};
use crate::opening::{Opened, open};
use crate::overtaken;
use crate::owner;
use crate::permit::Work;
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
use std::time::Duration;

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
    let opened = open(cx, &net, &defaults, version, digest, Work::Deploy).await?;
    let (client, under) = (&opened.client, opened.under.as_ref());
    let look = || planned(client, &args, contract, &opened.account, digest);
    let (mut observed, mut plan) = look().await?;
    let strategy = &observed.seen.service.strategy;
    let timeout = time::allowed(version.timeout, strategy, plan.update)?;
    let closed = under.and_then(UsedPermit::closed);
    if let Some(why) = &closed {
        still_runs(&plan, why, &version.digest, contract)?;
    }
    if version.dry_run {
        let missing = opened.missing.clone();
        return Ok(report::planned(client, &plan, under, missing));
    }
    let container = plan.selection.containers.first().cloned();
    let others = OtherDeployments {
        client,
        arguments: &version.selector.arguments(cx),
        container: container.as_deref(),
        replace: args.replace.as_ref(),
        undone: "nothing was deployed over it",
    };
    if plan.update != Update::None && others.wait(cx, &observed.seen.service, timeout).await? {
        (observed, plan) = look().await?;
    }
    for line in under
        .map(UsedPermit::start_line)
        .into_iter()
        .chain(plan.lines())
    {
        cx.host.info(line);
    }
    let ready = Ready {
        cx,
        args: &args,
        net: &net,
        opened: &opened,
        others: &others,
        observed: &observed,
        plan: &plan,
        timeout,
        closed: closed.is_some(),
        progress,
    };
    ready.deploy().await
}

/// A deployment that may begin.
struct Ready<'a> {
    cx: &'a Cx,
    args: &'a Deploy,
    net: &'a Net,
    opened: &'a Opened<'a>,
    others: &'a OtherDeployments<'a>,
    observed: &'a Observed,
    plan: &'a Plan,
    timeout: Duration,
    /// True if nothing may be changed under the permit any more.
    closed: bool,
    progress: &'a Progress<Stage>,
}

impl Ready<'_> {
    async fn deploy(&self) -> Result<Report> {
        let (client, plan) = (&self.opened.client, self.plan);
        let task_definition = act::revise(client, plan, |arn| {
            self.progress.at(Stage::Registered(arn.clone()));
        })
        .await?;
        let before = client.look().await?;
        unchanged(&before.service.task_definition, plan)?;
        if plan.update != Update::None {
            self.others.refuse(&before.service).await?;
        }
        let left = left(self.args, plan, &before, self.opened.under.as_ref());
        let permitted = self.begin(&task_definition).await?;
        self.progress.at(Stage::Updating {
            revision: task_definition.clone(),
            left: left.clone(),
        });
        let under = permitted.as_ref();
        // One of the same revision may be there, and the new one is not listed at once. A role may lack this call.
        let older = match plan.update {
            Update::None => None,
            Update::Deploy | Update::Again => client.newest_arn().await.unwrap_or_default(),
        };
        let deployment = update(client, under, plan, &before, &task_definition).await?;
        // A rollback that began while the update was repeated has made its own, before this one or after it; and so has a
        // later attempt of this run, if this one was taken for dead.
        let updated = under.filter(|it| it.client.is_some());
        let overtaken = match (&self.opened.permit, updated) {
            (Some(permit), Some(update)) => {
                let revision = task_definition.name();
                permit.overtaken(&update.under, revision).await
            }
            _ => None,
        };
        let digest = &self.args.version.digest;
        let following = Following {
            expected: Expected {
                allow_zero_tasks: self.args.allow_zero_tasks,
                ..expected(deployment, task_definition, digest, plan, self.observed)
            },
            before,
            timeout: self.timeout,
            left,
            answered: None,
            older,
        };
        let place = Place {
            net: self.net,
            account: &self.opened.account,
            client,
            arguments: self.others.arguments,
        };
        let under = under.map(|permitted| &permitted.under);
        let end = to_the_end(self.cx, &place, plan, under, self.progress, following).await;
        overtaken::found(self.cx, end, overtaken)
    }

    /// Uses the permit up, if there is one, after the session is open in which the service is updated.
    async fn begin(&self, task_definition: &TaskDefinitionArn) -> Result<Option<PermittedUpdate>> {
        let opened = self.opened;
        let (permit, checked) = match (&opened.permit, &opened.under) {
            // Nothing may be changed, and the plan changes nothing.
            (Some(_), Some(under)) if self.closed => {
                return Ok(Some(PermittedUpdate {
                    under: under.clone(),
                    client: None,
                }));
            }
            (Some(permit), checked) => (permit, checked),
            (None, _) => return Ok(None),
        };
        let policy = RetryPolicy::within(self.timeout);
        let client = match self.plan.update {
            Update::None => None,
            Update::Deploy | Update::Again => {
                let client = permit.client(self.cx, &opened.client, task_definition, policy);
                Some(client.await?)
            }
        };
        self.progress.at(Stage::Beginning {
            permit: permit.number(),
            revision: task_definition.name().to_owned(),
            record: checked
                .as_ref()
                .map(|under| under.record_failed.clone())
                .unwrap_or_default(),
        });
        let under = permit.start(task_definition.as_str()).await?;
        self.cx.host.info(under.used_up());
        Ok(Some(PermittedUpdate { under, client }))
    }
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
        wanted: Some(observed.seen.service.desired),
    }
}

/// The way to the service.
pub(crate) struct Place<'a> {
    pub(crate) net: &'a Net,
    pub(crate) account: &'a Account,
    pub(crate) client: &'a Client,
    /// The arguments that lead to it, for hints.
    pub(crate) arguments: &'a str,
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
        arguments,
    } = place;
    progress.at(Stage::Following {
        deployment: following.expected.deployment.clone(),
        revision: following.expected.task_definition.name().to_owned(),
        left: following.left.clone(),
    });
    let watch = Watch::new(cx, client, plan, progress, following);
    let mut ended = watch.follow().await?;
    add_logs(net, account, client, &mut ended).await;
    report::ended((client, arguments), account, plan, under, ended)
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
fn still_runs(plan: &Plan, why: &str, digest: &Digest, contract: Option<&Resolved>) -> Result<()> {
    if let (Revision::Keep, Update::None) = (&plan.revision, plan.update) {
        return Ok(());
    }
    let error = Error::refused(format!(
        "{why}, and a deployment now would change the service"
    ))
    .with_causes(plan.lines());
    // A permit is of an environment of the contract.
    Err(contract.into_iter().fold(error, |error, contract| {
        error.hint(format!(
            "deploy under a new permit: slipway-promote grant --environment {} --digest {digest}",
            contract.environment
        ))
    }))
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

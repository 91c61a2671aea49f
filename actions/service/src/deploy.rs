//! The deploy itself: observe, decide, act, follow, report.

use crate::act;
use crate::args::Deploy;
use crate::decide::{Plan, decide, deployable};
use crate::observe::observe;
use crate::place::{Found, find};
use crate::report;
use crate::watch::Watch;
use ecs::{Expected, RetryPolicy, revision};
use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
use kit::{Cx, Report};
use net::Purpose;
use std::cell::RefCell;

/// What was changed so far, for somebody who interrupts.
#[derive(Debug, Clone, Default)]
pub(crate) enum Progress {
    #[default]
    Unchanged,
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
pub(crate) async fn deploy(args: Deploy, cx: &Cx, progress: &RefCell<Progress>) -> Result<Report> {
    let digest = Digest::parse(&args.digest)?;
    if args.timeout.is_zero() {
        return Err(
            Error::usage("--timeout is zero: no deployment is that fast")
                .hint("give it as long as the service needs to become healthy, such as 15m"),
        );
    }
    let defaults = cx.defaults()?;
    let contract = defaults.contract();
    let purpose = match args.dry_run {
        true => Purpose::Read,
        false => Purpose::Deploy,
    };
    let policy = || RetryPolicy::within(args.timeout);
    let Found { account, client } = find(cx, &defaults, &args.place, purpose, policy).await?;

    let observed = observe(&client, &args, contract, &account, &digest).await?;
    deployable(&observed.seen.service, args.allow_zero_tasks)?;
    let plan = decide(
        &observed.seen.service,
        &observed.running,
        observed.newest.as_ref(),
        observed.selection.clone(),
        &observed.image,
    )?;
    if args.dry_run {
        return Ok(report::planned(&client, &plan));
    }
    for line in plan.lines() {
        cx.host.info(line);
    }

    let task_definition = act::revise(&client, &plan, |arn| {
        progress.replace(Progress::Registered(arn.to_owned()));
    })
    .await?;
    let before = client.look().await?;
    unchanged(&before.service.task_definition, &plan)?;
    progress.replace(Progress::Updating(task_definition.clone()));
    let deployment = act::update(&client, &plan, &before, &task_definition).await?;
    progress.replace(Progress::Following {
        deployment: deployment.clone(),
        revision: revision(&task_definition).to_owned(),
    });
    let expected = Expected {
        deployment,
        task_definition,
        digest,
        containers: plan.selection.containers.clone(),
        health_checked: observed.base().health_checked(),
        allow_zero_tasks: args.allow_zero_tasks,
    };
    let watch = Watch::new(cx, &client, &plan, expected, before, args.timeout);
    report::ended(&client, &account, &plan, watch.follow().await?)
}

/// Refuses if somebody else deployed since the plan was made.
fn unchanged(task_definition: &str, plan: &Plan) -> Result<()> {
    if task_definition == plan.running {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the service changed to {} meanwhile; nothing was updated",
        revision(task_definition)
    ))
    .hint("somebody else deploys; run this again when they are done"))
}

/// What a person who interrupts must know.
pub(crate) fn interrupted(signal: &str, progress: &Progress, place: &str) -> Error {
    let error = Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"));
    match progress {
        Progress::Unchanged => error.cause("nothing was changed"),
        Progress::Registered(arn) => error.cause(format!(
            "{} was registered and is used by nothing yet; the next deploy of this digest takes it",
            revision(arn)
        )),
        Progress::Updating(arn) => error
            .cause(format!(
                "the service was being updated to {}",
                revision(arn)
            ))
            .hint(format!("see what it runs: slipway-service status {place}")),
        Progress::Following {
            deployment,
            revision,
        } => error
            .cause(format!(
                "deployment {deployment} of {revision} goes on in ECS; nothing was taken back"
            ))
            .hint(format!("see how it ends: slipway-service status {place}"))
            .hint("or run the same deploy again: it follows the deployment that is under way"),
    }
}

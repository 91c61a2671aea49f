//! `diff`: what a deployment would change in what the service runs.

use crate::args::{Diff, Version};
use crate::compare::Difference;
use crate::decide::{Plan, Revision, plan};
use crate::free::describe;
use crate::locate::{Found, find};
use crate::observe::observe;
use crate::time::USUAL;
use ecs::{Client, RetryPolicy, containers};
use kit::contract::Resolved;
use kit::error::{Error, ErrorKind, Result};
use kit::{Cx, Report, markdown};
use net::{Account, Net, Purpose};

/// Compares, and reports.
///
/// # Errors
/// With `--exit-code`, there is a difference (exit 6). Otherwise bad input, or AWS does not answer.
pub(crate) async fn diff(args: Diff, cx: &Cx) -> Result<Report> {
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let policy = || RetryPolicy::within(USUAL);
    let found = find(cx, &net, &defaults, &args.selector, Purpose::Read, policy).await?;
    let Found { account, client } = found;
    let exit_code = args.exit_code;
    let plan = compared(&client, &account, args, defaults.contract()).await?;
    let report = report(&client, &plan, unfinished(cx, &client).await);
    match exit_code && differs(&plan) {
        false => Ok(report),
        true => {
            let mut error = Error::new(
                ErrorKind::Drifted,
                format!("service {} does not run this", client.service),
            );
            error.details = report.text;
            error.json = Some(report.json);
            Err(error.summary(report.summary))
        }
    }
}

/// The deployment in progress, whose version the service has already and does not run completely yet.
async fn unfinished(cx: &Cx, client: &Client) -> Option<String> {
    let found = match client.service().await {
        Ok(service) => client.in_progress(&service).await,
        Err(error) => Err(error),
    };
    found
        .unwrap_or_else(|error| {
            cx.host.info(format!(
                "{error}, which needs {}; whether a deployment is in progress is left out",
                error.permission
            ));
            None
        })
        .map(|found| describe(&found))
}

fn differs(plan: &Plan) -> bool {
    !matches!(plan.revision, Revision::Keep)
}

/// The plan of a deployment of the digest, or without one of the images that run.
async fn compared(
    client: &Client,
    account: &Account,
    args: Diff,
    contract: Option<&Resolved>,
) -> Result<Plan> {
    let Some(digest) = args.digest else {
        return of_what_runs(client, &args.selector.containers(), contract).await;
    };
    let version = Version {
        selector: args.selector,
        origin: args.origin,
        permit: None,
        timeout: None,
        dry_run: true,
        digest,
    };
    let observed = observe(client, &version, contract, account, &version.digest).await?;
    plan(
        &observed.seen.service,
        &observed.running,
        observed.newest.as_ref(),
        observed.selection.clone(),
        &observed.image,
    )
}

/// With the images that run, so that only what infrastructure registered since is a difference.
async fn of_what_runs(
    client: &Client,
    named: &[String],
    contract: Option<&Resolved>,
) -> Result<Plan> {
    let seen = client.look().await?;
    let running = client.definition(seen.service.task_definition.as_str());
    let running = running.await?;
    let newest = client.definition(&running.family()).await?;
    let newest = (newest.arn.revision() > running.arn.revision()).then_some(newest);
    let usual = contract.map(|contract| contract.deploy.container.as_str());
    let selection = containers(named, usual, None, &running, &running)?;
    let first = selection.containers.first();
    let image = first
        .and_then(|name| running.image(name))
        .unwrap_or_default();
    plan(&seen.service, &running, newest.as_ref(), selection, &image)
}

fn report(client: &Client, plan: &Plan, unfinished: Option<String>) -> Report {
    let title = match differs(plan) {
        false if unfinished.is_some() => format!(
            "service {} does not run this completely yet, and deploying it would change nothing",
            client.service
        ),
        false => format!("service {} runs this: no difference", client.service),
        true => format!("service {} would change", client.service),
    };
    let mut lines: Vec<String> = unfinished.iter().cloned().collect();
    if differs(plan) {
        lines.extend(plan.revision_lines());
    }
    let json = serde_json::json!({
        "service": client.service,
        "cluster": client.cluster,
        "differs": differs(plan),
        "in_progress": unfinished,
        "running": plan.running,
        "base": plan.base,
        "image": plan.image,
        "images": plan.images_before,
        "changes": plan.changes.iter().map(Difference::json).collect::<Vec<_>>(),
    });
    let text = match lines.is_empty() {
        true => title.clone(),
        false => format!("{title}:\n  {}", lines.join("\n  ")),
    };
    let mut summary = format!("### Difference: {}\n", markdown::code(&title));
    if !lines.is_empty() {
        let block = markdown::block("text", &lines.join("\n"));
        summary.push_str(&format!("\n{block}\n"));
    }
    Report {
        summary,
        text,
        json,
        ..Report::default()
    }
}

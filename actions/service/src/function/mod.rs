//! A Lambda function in the place of an ECS service: a version of a digest is published, and an alias serves it.

mod act;
mod alarms;
mod back;
mod deploy;
mod diff;
mod drive;
mod follow;
mod observe;
mod plan;
mod report;
mod set;
mod shift;
mod stage;
mod status;
mod verdict;

pub(crate) use shift::Shift;

use crate::args::{Args, ServiceSelector, Verb};
use kit::error::{Error, Result};
use kit::step::required;
use kit::{Cx, Defaults, Report};
use lambda::Client;
use net::{Account, Net, Purpose, RetryPolicy, Target};

/// The alias that is deployed to where none is named.
const ALIAS: &str = "live";

/// Does what the arguments say with the function that they name.
///
/// # Errors
/// Those of the verb, or one that only ECS has (exit 2).
pub(crate) async fn run(args: Args, cx: &Cx) -> Result<Report> {
    match args.verb {
        Verb::Deploy(args) => deploy::deploy(args, cx).await,
        Verb::Rollback(args) => back::roll_back(args, cx).await,
        Verb::Diff(args) => diff::diff(args, cx).await,
        Verb::Status(args) => status::status(&args, cx).await,
        Verb::Continue(args) => Err(Error::usage(
            "the deployment of a function never waits for an answer",
        )
        .hint(format!(
            "see how far it is: slipway-service status {}",
            args.version.selector.arguments(cx)
        ))),
        Verb::Verify(args) => Err(Error::usage(
            "`verify` looks at an ECS service, and this is a function",
        )
        .hint(format!(
            "see what a deployment would do: slipway-service deploy {} --digest {} --dry-run",
            args.selector.arguments(cx),
            args.digest
        ))),
        Verb::RunTask(_) => Err(Error::usage(
            "a command runs in a task of an ECS service, and this is a function",
        )
        .hint("give --cluster and --service of a service with the same image")),
    }
}

/// Returns true if the arguments name a function, or the contract does and the arguments name no service.
///
/// # Errors
/// The contract cannot be read, or an alias is given for a service (exit 2).
pub(crate) fn is_meant(verb: &Verb, cx: &Cx) -> Result<bool> {
    let selector = match verb {
        Verb::Deploy(args) => &args.version.selector,
        Verb::Continue(args) => &args.version.selector,
        Verb::RunTask(args) => &args.version.selector,
        Verb::Rollback(args) => &args.selector,
        Verb::Diff(args) => &args.selector,
        Verb::Verify(args) => &args.selector,
        Verb::Status(args) => args,
    };
    let named = selector.cluster.is_some() || selector.service.is_some();
    let defaults = cx.defaults()?;
    let declared = defaults
        .contract()
        .and_then(|it| it.deploy.function.as_ref());
    let meant = selector.function.is_some() || declared.is_some() && !named;
    match &selector.alias {
        Some(_) if !meant => Err(Error::usage("--alias is given, and no function")
            .hint("give --function NAME, or omit --alias")),
        _ => Ok(meant),
    }
}

/// The account with its credentials, and the calls for the function's alias.
struct Found {
    account: Account,
    client: Client,
}

/// Gets credentials for the account of the function.
///
/// # Errors
/// No function is named (exit 2), or the credentials are not what the contract says (exit 3).
async fn find(
    cx: &Cx,
    net: &Net,
    defaults: &Defaults,
    selector: &ServiceSelector,
    purpose: Purpose,
    policy: RetryPolicy,
) -> Result<Found> {
    let declared = defaults
        .contract()
        .and_then(|it| it.deploy.function.as_ref());
    let function = selector.function.as_ref().map(ToString::to_string);
    // An alias that is declared belongs to the function that is declared.
    let own = declared.filter(|it| function.as_ref().is_none_or(|name| *name == it.name));
    let alias = selector.alias.as_ref().map(ToString::to_string);
    let alias = alias.or_else(|| own.map(|it| it.alias.clone()));
    let function = required("function", function, declared.map(|it| it.name.clone()))?;
    let target = Target::chosen(defaults.contract(), purpose, None, None);
    let account = net.account(&target).await?;
    let client = Client::new(
        net,
        &account,
        &cx.host,
        policy,
        function,
        alias.unwrap_or_else(|| ALIAS.to_owned()),
    );
    Ok(Found { account, client })
}

/// The environment, if it has a gate.
fn gated(defaults: &Defaults) -> Option<&str> {
    let contract = defaults
        .contract()
        .filter(|contract| contract.gate.required);
    contract.map(|contract| contract.environment.as_str())
}

/// The command that shows what the alias serves, as a hint.
fn status_hint(client: &Client) -> String {
    format!(
        "see what it serves: slipway-service status --function {} --alias {}",
        client.function, client.alias
    )
}

//! The beginning of every verb that runs a version: the permit that it needs, the account, and the way to the service.

use crate::args::Version;
use crate::locate::{Found, find};
use crate::permit::{self, Needs, Permit, Work};
use crate::under::UsedPermit;
use ecs::{Client, RetryPolicy};
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::{Cx, Defaults};
use net::{Account, Net, Purpose};

/// A service, and the permit under which a version may run in it.
pub(crate) struct Opened<'a> {
    pub(crate) account: Account,
    pub(crate) client: Client,
    /// The permit that was given, if the environment has a gate.
    pub(crate) permit: Option<Permit<'a>>,
    /// The chain's answer to it.
    pub(crate) under: Option<UsedPermit>,
    /// The refusal of a gate, where a dry run has no permit.
    pub(crate) missing: Option<Error>,
}

/// Opens the account and the chain, and checks the permit for this work. Changes nothing.
///
/// # Errors
/// The permit is missing or not good (exit 3), or something cannot be read.
pub(crate) async fn open<'a>(
    cx: &Cx,
    net: &'a Net,
    defaults: &'a Defaults,
    args: &Version,
    digest: &'a Digest,
    work: Work<'a>,
) -> Result<Opened<'a>> {
    let purpose = match args.dry_run {
        true => Purpose::Read,
        false => Purpose::Deploy,
    };
    let policy = || RetryPolicy::within(args.usual_time());
    let (permit, missing) = match permit::needs(args, defaults, digest)? {
        Needs::Nothing => (None, None),
        Needs::Missing(refusal) if !args.dry_run => return Err(*refusal),
        Needs::Missing(refusal) => (None, Some(*refusal)),
        Needs::Permit(asked) => (Some(asked), None),
    };
    let Found { account, client } =
        find(cx, net, defaults, &args.selector, purpose, policy).await?;
    let permit = match permit {
        Some(asked) => Some(Permit::open(cx, net, asked, digest, work, args.dry_run).await?),
        None => None,
    };
    let under = match &permit {
        Some(permit) => Some(permit.check().await?),
        None => None,
    };
    Ok(Opened {
        account,
        client,
        permit,
        under,
        missing,
    })
}

//! The beginning of every verb that runs a version: the permit that it needs, the account, and the way to the service.

use crate::args::Version;
use crate::locate::{Found, find};
use crate::permit::{self, Asked, Needs, Permit, Work};
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

/// The permit under which a version may run.
pub(crate) struct Permission<'a> {
    /// The permit that was given, if the environment has a gate.
    pub(crate) permit: Option<Permit<'a>>,
    /// The chain's answer to it.
    pub(crate) under: Option<UsedPermit>,
    /// The refusal of a gate, where a dry run has no permit.
    pub(crate) missing: Option<Error>,
}

/// The permit that the arguments give, if one is needed, before anything is read.
pub(crate) struct Given<'a> {
    asked: Option<Asked<'a>>,
    missing: Option<Error>,
}

/// Reads whether a permit is needed and given.
///
/// # Errors
/// It is needed and not given, and this is not a dry run (exit 3); or it is given and not needed (exit 2).
pub(crate) fn permission<'a>(
    args: &Version,
    defaults: &'a Defaults,
    digest: &Digest,
) -> Result<Given<'a>> {
    let (asked, missing) = match permit::needs(args, defaults, digest)? {
        Needs::Nothing => (None, None),
        Needs::Missing(refusal) if !args.dry_run => return Err(*refusal),
        Needs::Missing(refusal) => (None, Some(*refusal)),
        Needs::Permit(asked) => (Some(asked), None),
    };
    Ok(Given { asked, missing })
}

impl<'a> Given<'a> {
    /// Opens the chain and checks the permit for this work. Changes nothing.
    ///
    /// # Errors
    /// The permit is not good (exit 3), or the chain cannot be read.
    pub(crate) async fn open(
        self,
        cx: &Cx,
        net: &'a Net,
        digest: &'a Digest,
        work: Work<'a>,
        dry_run: bool,
    ) -> Result<Permission<'a>> {
        let permit = match self.asked {
            Some(asked) => Some(Permit::open(cx, net, asked, digest, work, dry_run).await?),
            None => None,
        };
        let under = match &permit {
            Some(permit) => Some(permit.check().await?),
            None => None,
        };
        Ok(Permission {
            permit,
            under,
            missing: self.missing,
        })
    }
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
    let given = permission(args, defaults, digest)?;
    let Found { account, client } =
        find(cx, net, defaults, &args.selector, purpose, policy).await?;
    let Permission {
        permit,
        under,
        missing,
    } = given.open(cx, net, digest, work, args.dry_run).await?;
    Ok(Opened {
        account,
        client,
        permit,
        under,
        missing,
    })
}

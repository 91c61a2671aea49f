//! `record`: verifies the running service, appends to the ledger, mirrors the record on GitHub.

mod actor;
pub(crate) mod marks;
mod mirror;
mod report;
mod under;
mod write;

pub(crate) use actor::actor;
pub(crate) use write::{Written, after, healthy_until_now};

use crate::args::{Record as Args, Verdict as Asked};
use crate::environment_history::EnvironmentHistory;
use crate::live::{Live, Named};
use crate::setting::Setting;
use kit::clock::rfc3339;
use kit::error::{Error, Result};
use kit::hex::is_hex;
use kit::id::{CommitId, Digest};
use kit::{Cx, Report};
use ledger::{Actor, Chain, LOOK_BACK, Ledger, Record, Rollback, Verdict};
use net::Net;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<Report> {
    let (digest, commit) = (args.digest, args.commit);
    let mut expected = marks::expected(args.expect_head.as_deref())?;
    let setting = Setting::of(cx, &args.ledger)?;
    let verdict = match args.verdict {
        Asked::Healthy => Verdict::Healthy,
        Asked::Failed => Verdict::Failed,
        Asked::RolledBack => Verdict::RolledBack,
    };
    let accepts = args.accept_head.is_some();
    let uncovered = permitted(&setting, verdict, args.permit.is_some());
    let only_accepts = accepts && uncovered.is_err();
    if !only_accepts {
        uncovered?;
    }
    let named = Named {
        cluster: args.cluster.map(String::from),
        service: args.service.map(String::from),
        containers: args.container,
    };
    // Missing arguments are told before anything is asked.
    if verdict == Verdict::Healthy {
        named.check(&setting)?;
    }
    let net = Net::new(cx)?;
    let github = connected(cx, &net, &args.github)?;
    let ledger = setting.appending(&net, args.dry_run).await?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let live = match verdict {
        Verdict::Healthy => Some(Live::new(cx, &net, &setting, named).await?),
        _ => None,
    };
    let by = actor(cx, &net, github.as_ref(), &setting).await;
    let mut draft = draft(cx, &setting, &chain, (&digest, &commit), verdict, by)?;
    // The append finds out if another digest was there.
    draft.rollback = args.rollback.then_some(Rollback { from: None });
    let ledger = accepting(ledger, &setting, &chain, args.accept_head).await?;
    if let Some(reason) = args.break_glass {
        let history = EnvironmentHistory::read(&ledger, &chain).await?;
        let (by, now) = (&draft.actor, net.time()?);
        let broken = marks::break_glass_mark(&history, &setting, by, reason, now);
        draft.break_glass = Some(broken);
    }
    if let Some(number) = args.permit {
        let Some(permit) = under::permit(&ledger, &chain, number, &draft).await? else {
            return Ok(report::nothing_recorded(&setting, number));
        };
        expected = Some(permit.head.clone());
        draft = permit.marked(draft);
    }
    check_deployed_before(&ledger.clone().only_reading(), &setting, &draft).await?;
    let write = write::Write {
        ledger: &ledger,
        chain: &chain,
        live: live.as_ref().map(|live| (live, &digest)),
        expected: expected.as_deref(),
        only_accepts,
        net: &net,
        setting: &setting,
        dry_run: args.dry_run,
    };
    let written = write.append(draft).await?;
    if args.dry_run {
        return Ok(report::dry_run(&written));
    }
    let deployment = match &github {
        Some(github) => mirrored(cx, github, &written).await,
        None => {
            cx.host.info(
                "no GitHub token or repository: the record is only in the ledger, without a GitHub Deployment",
            );
            None
        }
    };
    Ok(report::report(&setting, &written, deployment))
}

/// The record of a deployment, before it is known what it ran under.
fn draft(
    cx: &Cx,
    setting: &Setting,
    chain: &Chain,
    (digest, commit): (&Digest, &CommitId),
    verdict: Verdict,
    actor: Actor,
) -> Result<Record> {
    let at = rfc3339(cx.clock.now());
    Ok(Record {
        run: cx.host.run_url(),
        account: setting.read.account.clone(),
        policy: Some(ledger::policy(&setting.gate)?),
        contract_path: setting.contract_path.clone(),
        ..Record::new(chain, digest.clone(), commit.clone(), verdict, actor, at)
    })
}

/// Refuses a healthy deployment that no permit covers, where the contract has a gate. A failure can make
/// nothing look better than it is. A head that a person accepts is not a chain that a permit rests on yet
/// ([`marks::check_accepts_only`]).
fn permitted(setting: &Setting, verdict: Verdict, covered: bool) -> Result<()> {
    let gated = setting.declared && !setting.asks_nothing();
    if covered || !gated || verdict != Verdict::Healthy {
        return Ok(());
    }
    let environment = &setting.environment;
    Err(Error::refused(format!(
        "{environment} has a gate, and no permit is given, so nothing was recorded"
    ))
    .hint(format!(
        "get a permit before a deployment: slipway-promote grant --environment {environment}; then --permit NUMBER here"
    ))
    .hint("to put a failed deployment on record: --verdict failed"))
}

/// A client for GitHub, if there is a token and a repository.
pub(crate) fn connected(
    cx: &Cx,
    net: &Net,
    given: &crate::args::GitHub,
) -> Result<Option<github::GitHub>> {
    if github::token(cx).is_none() {
        return Ok(None);
    }
    match github::GitHub::connect(cx, net, given.repository()) {
        Ok(github) => Ok(Some(github)),
        // A repository named by the caller must be valid; without one there is no mirror.
        Err(error) if given.github_repository.is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The ledger as the record goes to it: with the head that a person accepts, if one is named.
async fn accepting(
    ledger: Ledger,
    setting: &Setting,
    chain: &Chain,
    hash: Option<String>,
) -> Result<Ledger> {
    let Some(hash) = hash else {
        return Ok(ledger);
    };
    if setting.trust.is_empty() {
        return Err(Error::usage(
            "--accept-head is given, but neither a key nor an anchor is named",
        )
        .hint(
            "name `build.keys.ledger` or `build.anchor` in the contract, or omit --accept-head",
        ));
    }
    if !is_hex(&hash, 64) {
        return Err(
            Error::usage(format!("`{hash}` is not the hash of a record"))
                .hint("give the 64 digits that the refusal shows"),
        );
    }
    if ledger.is_proven(chain, &hash).await? {
        return Err(Error::refused(format!(
            "{hash} is the head of chain {chain} and proven, so there is nothing to accept"
        ))
        .hint("omit --accept-head"));
    }
    let ledger = ledger.accepting(Some(hash.clone()));
    let head = ledger.head(chain).await?;
    // Accepted by this record, or by the one that this run wrote before it was stopped.
    if ledger.accepts(chain, head.as_ref()) {
        return Ok(ledger);
    }
    let now = head.map_or_else(
        || "it has no record".to_owned(),
        |head| format!("its head is record {}, {}", head.seq, head.hash),
    );
    Err(Error::refused(format!(
        "{hash} is not the head of chain {chain}, so it was not accepted"
    ))
    .cause(now)
    .hint("omit --accept-head: it is given once, with the hash that a refusal shows"))
}

/// Checks that this digest was deployed to the previous environment with this commit. A digest can
/// have several commits: a commit that changes nothing in the image is not built again.
async fn check_deployed_before(ledger: &Ledger, setting: &Setting, draft: &Record) -> Result<()> {
    let Some(before) = &setting.follows else {
        return Ok(());
    };
    let chain = Chain::new(&setting.service, before)?;
    // Requests and permits name digests that may never have been deployed there.
    let there = |record: &Record| record.is_deployment() && record.digest == draft.digest;
    let Some(newest) = ledger.find(&chain, LOOK_BACK, there).await? else {
        return refuse_undeployed(before, draft);
    };
    let this = |record: &Record| there(record) && record.commit == draft.commit;
    if this(&newest) || ledger.find(&chain, LOOK_BACK, this).await?.is_some() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "{before} has this digest from commit {}, not {}",
        newest.commit, draft.commit
    ))
    .hint("give the `commit` output of `check`"))
}

/// Refuses a digest that the previous environment never had. A failure is always recorded; what a
/// rollback brings back was there long ago; and a break-glass is on record, to be reviewed.
fn refuse_undeployed(before: &str, draft: &Record) -> Result<()> {
    let past = draft.rollback.is_some() || draft.break_glass.is_some();
    if draft.verdict != Verdict::Healthy || past {
        return Ok(());
    }
    let environment = &draft.environment;
    Err(Error::refused(format!(
        "{before} has no record of {} among its newest {LOOK_BACK}, so it was not promoted to {environment}",
        draft.digest
    ))
    .hint(format!("deploy it to {before} first, and promote it from there"))
    .hint(format!(
        "to go back to what was healthy in {environment} before, give --rollback"
    )))
}

/// Mirrors the record. The mirror is only for display and the record is already in the ledger, so a
/// failure is a warning.
async fn mirrored(cx: &Cx, github: &github::GitHub, written: &Written) -> Option<u64> {
    let hash = written.hash.as_deref()?;
    match mirror::mirror(github, &written.record, hash).await {
        Ok(id) => Some(id),
        Err(unknown) => {
            cx.host.warn(format!(
                "record {} is in the ledger, but its GitHub Deployment is not complete: {unknown}",
                written.record.seq
            ));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{deployed, failed};

    #[test]
    fn a_digest_that_the_previous_environment_never_had_is_not_healthy_here() {
        let healthy = deployed('a');
        let error = refuse_undeployed("staging", &healthy).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        let rollback = Record {
            rollback: Some(Rollback { from: None }),
            ..healthy.clone()
        };
        let broken = Record {
            break_glass: Some(ledger::BreakGlass {
                reason: "the shop is down".to_owned(),
                by: healthy.actor.clone(),
                expires: "2026-11-21T19:00:00Z".to_owned(),
            }),
            ..healthy
        };
        let failed = failed('a');
        for draft in [rollback, broken, failed] {
            refuse_undeployed("staging", &draft).unwrap();
        }
    }

    #[test]
    fn behind_a_gate_a_healthy_deployment_is_recorded_only_under_a_permit() {
        use crate::check::tests::setting;
        let gated = setting();
        let mut alone = setting();
        alone.declared = false;
        let mut open = setting();
        open.follows = None;
        open.gate.required = false;
        for (setting, verdict, covered, wanted) in [
            (&gated, Verdict::Healthy, false, false),
            (&gated, Verdict::Healthy, true, true),
            (&gated, Verdict::Failed, false, true),
            (&gated, Verdict::RolledBack, false, true),
            (&alone, Verdict::Healthy, false, true),
            (&open, Verdict::Healthy, false, true),
        ] {
            let found = permitted(setting, verdict, covered);
            assert_eq!(found.is_ok(), wanted, "{verdict} {covered}");
            if let Err(error) = found {
                assert_eq!(error.exit(), kit::Exit::Refused);
                assert!(error.hints[0].contains("slipway-promote grant"));
            }
        }
    }
}

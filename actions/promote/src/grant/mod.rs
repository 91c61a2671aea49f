//! `grant`: judges as `check` does, and puts a permit for one deployment into the ledger.

mod again;
mod decide;

pub(crate) use decide::expires;

use crate::args::{Grant as Args, LedgerArgs};
use crate::check::{Allowed, Kept, allow, plan};
use crate::environment_history::EnvironmentHistory;
use crate::record::{Written, actor, after, connected, marks};
use crate::setting::Setting;
use kit::clock::rfc3339;
use kit::error::{Error, Result};
use kit::{Cx, Report};
use ledger::{Append, Chain, Permit, Record, Rollback, Verdict, permit};
use serde_json::json;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<Report> {
    if !cx.has_contract() {
        return Err(Error::usage(
            "a permit is for an environment's account, which only a contract names",
        )
        .hint("add a contract, or use check"));
    }
    let setting = Setting::of(cx, &LedgerArgs::default())?;
    if let Some(number) = args.permit
        && let Some(report) = again::reuse(number, &args, cx, &setting).await?
    {
        return Ok(report);
    }
    plan::needed(&setting, args.check.plan.as_ref(), args.check.rollback)?;
    let mut allowed = allow(&args.check, setting, cx, true).await?;
    let Some(history) = allowed.history.take() else {
        return Ok(without_a_gate(allowed));
    };
    for warning in unverified(&allowed.setting) {
        cx.host.warn(warning);
    }
    let github = connected(cx, &allowed.net, &args.check.github)?;
    let kept = kept(&allowed)?;
    let mut draft = draft(&args, cx, github.as_ref(), &allowed, &history).await?;
    if let (Some(permit), Some(bytes)) = (&mut draft.permit, &kept) {
        permit.evidence = Some(ledger::evidence_name(bytes));
    }
    let granted = append(&allowed, &history, draft, kept.as_deref(), &args).await?;
    Ok(report(allowed, &granted))
}

/// The warnings about what nobody can verify of a permit. A gate is only as strong as the proof that a permit comes from it.
fn unverified(setting: &Setting) -> Vec<String> {
    let environment = &setting.environment;
    let mut warnings = Vec::new();
    if setting.trust.key.is_none() {
        warnings.push(format!(
            "the contract names no `build.keys.ledger`, so permits of {environment} are not signed: whoever can write to table {} can write one. Create the key and name it: https://github.com/slipway-delivery/slipway/blob/main/docs/getting-started.md#3-the-ledger-in-the-build-account",
            setting.ledger
        ));
    }
    if setting.trust.anchor.is_none() {
        warnings.push(format!(
            "the contract names no `build.anchor`, so nothing shows that the newest records of {environment} were removed, and what this permit was granted on is not kept. Create the bucket and name it: https://github.com/slipway-delivery/slipway/blob/main/docs/ledger.md#the-anchor"
        ));
    }
    if setting.proofs.is_none() {
        warnings.push(format!(
            "the contract names no `build.keys.provenance`, so only the ledger says which commit an image in {environment} is of: whoever may publish images can give another one. Create the key and name it: https://github.com/slipway-delivery/slipway/blob/main/docs/provenance.md#switch-it-on"
        ));
    }
    warnings
}

/// The inputs of the decision, where they can be kept.
fn kept(allowed: &Allowed) -> Result<Option<Vec<u8>>> {
    let anchor = &allowed.setting.trust.anchor;
    let kept = allowed.kept.as_ref().filter(|_| anchor.is_some());
    kept.map(Kept::bytes).transpose()
}

/// The permit as it would be written now.
async fn draft(
    args: &Args,
    cx: &Cx,
    github: Option<&github::GitHub>,
    allowed: &Allowed,
    history: &EnvironmentHistory,
) -> Result<Record> {
    let setting = &allowed.setting;
    let now = allowed.net.time()?;
    let by = actor(cx, &allowed.net, github, setting).await;
    let broken = allowed.broken.clone();
    let commit = allowed.commit.clone().ok_or_else(|| {
        Error::refused(format!("the commit of {} is unknown", allowed.digest))
            .hint("run this in the workflow run or build of that commit")
    })?;
    let evidence = &allowed.evidence;
    Ok(Record {
        run: cx.host.run_url(),
        account: setting.read.account.clone(),
        policy: Some(ledger::policy(&setting.gate)?),
        contract_path: setting.contract_path.clone(),
        // The append finds out if another digest is there.
        rollback: args.check.rollback.then_some(Rollback { from: None }),
        break_glass: broken
            .map(|reason| marks::break_glass_mark(history, setting, &by, reason, now)),
        permit: Some(Permit {
            expires: decide::expires(now, evidence.until.as_deref()),
            head: history.head().to_owned(),
            contract: setting.contract_hash(),
            base: evidence.base.clone(),
            tip: evidence.tip.clone(),
            range: evidence.range.clone(),
            pulls: evidence.pulls.clone(),
            reviews: evidence.reviews.clone(),
            approvers: evidence.approvers.clone(),
            requests: evidence.requests.clone(),
            evidence: None,
            plan: allowed.plan.clone(),
        }),
        ..Record::new(
            &Chain::new(&setting.service, &setting.environment)?,
            allowed.digest.clone(),
            commit,
            Verdict::Permitted,
            by,
            rfc3339(now),
        )
    })
}

/// Appends the permit if what it was judged against still stands. If another run appends first, it
/// looks again.
async fn append(
    allowed: &Allowed,
    history: &EnvironmentHistory,
    draft: Record,
    kept: Option<&[u8]>,
    args: &Args,
) -> Result<Written> {
    let dry_run = args.dry_run;
    let again = args.permit.is_some();
    let setting = &allowed.setting;
    let ledger = setting.appending(&allowed.net, dry_run).await?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    for wait in ledger::attempts() {
        tokio::time::sleep(wait).await;
        let (head, records) = ledger.since_deployment(&chain).await?;
        decide::require_right_clock(allowed.net.ahead())?;
        if let Some(own) =
            decide::existing_permit(&records, history.last(), &draft, again, allowed.net.time()?)?
        {
            return Ok(Written::before(own));
        }
        let record = after(head.as_ref(), &records, draft.clone());
        // Before the record that names it; what no record names does no harm.
        if let Some(bytes) = kept.filter(|_| !dry_run) {
            ledger.keep_evidence(&chain, bytes).await?;
        }
        let hash = match dry_run {
            true => None,
            false => match ledger.append(&chain, head.as_ref(), record.clone()).await? {
                Append::Done(entry) => Some(entry.hash),
                Append::Conflict(_) => continue,
            },
        };
        return Ok(Written {
            record,
            hash,
            already: false,
        });
    }
    Err(ledger::busy(&chain, "no permit was granted"))
}

/// The report of a check where no permit is needed.
fn without_a_gate(allowed: Allowed) -> Report {
    let mut report = allowed.report;
    let line = format!(
        "{} has no gate, so no permit is needed",
        allowed.setting.environment
    );
    report.text.push_str(&format!("{line}\n"));
    report.summary.push_str(&format!("\n{line}\n"));
    report.json["permit"] = json!(null);
    report.output("permit", "")
}

/// The report of the check, and the permit.
fn report(allowed: Allowed, granted: &Written) -> Report {
    let Written {
        record,
        hash,
        already,
    } = granted;
    let mut report = allowed.report;
    let expires = record.permit.as_ref().map(|permit| permit.expires.as_str());
    let expires = expires.unwrap_or_default();
    let Some(hash) = hash else {
        report
            .text
            .push_str(&format!("would write:\n{:#}\n", json!(record)));
        report.json["dry_run"] = json!(true);
        report.json["record"] = json!(record);
        return report.output("permit", "");
    };
    let outcome = match already {
        true => "was already written",
        false => "written",
    };
    let plan = record.permit.as_ref().and_then(|it| it.plan.as_ref());
    let along = plan.map_or_else(String::new, |plan| format!(", and plan {plan}"));
    let by = permit::begins_by(record).map(rfc3339).unwrap_or_default();
    let mut permits = format!(
        "one deployment of {} that begins before {by}{along}",
        record.digest
    );
    if by != expires {
        permits.push_str(&format!(
            "; until {expires} with the permit of another judgment: slipway-promote grant --environment {} --digest {}{} --permit {}",
            record.environment,
            record.digest,
            plan.map_or_else(String::new, |plan| format!(" --plan {plan}")),
            record.seq
        ));
    }
    report.text.push_str(&format!(
        "permit {} {outcome}: {permits}\nhash {hash}\n",
        record.seq
    ));
    report.summary.push_str(&format!(
        "\n**Permit {}** {outcome}: {permits}\n",
        record.seq
    ));
    report.json["permit"] = json!({
        "record": record.seq,
        "hash": hash,
        "expires": expires,
        "begins_by": by,
        "already": already,
        "evidence": record.permit.as_ref().and_then(|permit| permit.evidence.as_ref()),
    });
    if let Some(plan) = plan {
        report.json["permit"]["plan"] = json!(plan);
    }
    report.output("permit", record.seq.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::aws::KmsKey;

    #[test]
    fn what_nobody_can_verify_of_a_permit_is_warned_about() {
        let mut setting = crate::check::tests::setting();
        let warnings = unverified(&setting);
        let named = [
            "`build.keys.ledger`",
            "`build.anchor`",
            "`build.keys.provenance`",
        ];
        assert_eq!(warnings.len(), named.len(), "{warnings:?}");
        for (warning, name) in warnings.iter().zip(named) {
            assert!(warning.contains(&format!("names no {name}")), "{warning}");
            assert!(warning.contains("production"), "{warning}");
        }
        setting.trust.key = Some("alias/slipway-ledger".parse::<KmsKey>().unwrap());
        setting.proofs = Some(crate::check::Proofs {
            key: "alias/slipway-provenance".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            workflow: None,
            project: None,
            prebuilt: false,
        });
        let warnings = unverified(&setting);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(named[1]), "{warnings:?}");
    }
}

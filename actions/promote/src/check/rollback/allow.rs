//! The verb: reads, judges, keeps and reports a rollback.

use super::{Judgement, RollbackInputs};
use crate::args::Check;
use crate::check::facts::Facts;
use crate::check::judging::require_own_contract;
use crate::check::{
    Allowed, Evidence, Kept, announce_break_glass, broken_reason, report, with_head,
};
use crate::person::logins;
use crate::setting::Setting;
use kit::Cx;
use kit::error::{Error, Result};
use kit::id::Digest;
use net::Net;

pub(in crate::check) async fn allow(
    args: &Check,
    cx: &Cx,
    net: Net,
    setting: Setting,
    digest: Option<Digest>,
    keeps: bool,
) -> Result<Allowed> {
    if args.from.is_some() {
        return Err(
            Error::usage("--from does not apply to a rollback").hint(format!(
                "omit --from: a rollback takes what was healthy in {}, whatever is frozen",
                setting.environment
            )),
        );
    }
    let (went, asked) = RollbackInputs::read(args, cx, &net, &setting, digest).await?;
    let history = went.history(&setting)?;
    require_own_contract(history.judging(), &setting)?;
    let judgement = went.judge(&setting, &history)?;
    let kept = match keeps && !setting.asks_nothing() {
        true => {
            let (decision, now) = (&judgement.decision, net.time()?);
            Some(Kept::rollback(&setting, &went, &asked, decision, now)?)
        }
        false => None,
    };
    let Judgement {
        subject,
        decision,
        people,
    } = judgement;
    let mut report = report::report(
        &setting,
        &subject,
        &Facts::none(),
        &decision,
        report::Occasion::Rollback,
    )?;
    if let Some((people, reason)) = people.zip(args.break_glass.as_deref()) {
        announce_break_glass(cx, &mut report, &logins(&people), reason);
    }
    let broken = broken_reason(args, &decision);
    let report = with_head(report, &history);
    // Where there is no gate, no permit is needed, nor taken by a deployment.
    let history = (!setting.asks_nothing()).then_some(history);
    Ok(Allowed {
        report: report.output("break-glass", broken.clone().unwrap_or_default()),
        net,
        setting,
        digest: subject.digest,
        commit: subject.commit,
        plan: None,
        history,
        evidence: Evidence::default(),
        kept,
        broken,
    })
}

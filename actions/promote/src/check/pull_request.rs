//! `check --pull-request`: before the merge, what the gate asks of one pull request. The rules are the gate's own; those that only
//! a merged commit can answer are left to the promotion.

mod contract;
mod decide;
mod observe;
mod report;
#[cfg(test)]
mod tests;

use crate::args::Ask;
use crate::setting::Setting;
use github::GitHub;
use kit::error::Result;
use kit::{Cx, Report};
use net::Net;

/// Judges a pull request as far as that can be done before its merge. Reads GitHub alone, and writes nothing.
///
/// # Errors
/// A rule refuses or is unknown (exit 3), or the set-up of this process is wrong.
pub(crate) async fn run(number: u64, args: &Ask, cx: &Cx) -> Result<Report> {
    let setting = Setting::of_changes(cx, &args.ledger)?.with_rules(&args.rules)?;
    if setting.asks_nothing() {
        return Ok(report::no_gate(&setting, number));
    }
    let github = GitHub::connect(cx, &Net::new(cx)?, args.check.github.repository())?;
    let seen = observe::observe(&github, &setting, number).await;
    let head = args.pull_request_head.as_ref();
    let decision = decide::decide(&setting, number, head, &seen);
    if let Some(Ok(change)) = &seen.contract
        && change.is_about_the_gate()
    {
        cx.host.warn(format!(
            "#{number} changes what {} is judged by: the branch's contract judged here, and the new one judges after the merge",
            setting.environment
        ));
    }
    report::report(&setting, number, &seen, &decision)
}

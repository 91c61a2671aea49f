//! The rule on the image: the digest was healthy in the previous environment. Pure.

use super::Context;
use crate::check::answer::{Finding, fail, not_asked, pass};
use ledger::Verdict;

impl Context<'_> {
    pub(super) fn digest(&self) -> Finding {
        let Some(before) = &self.setting.follows else {
            return not_asked(format!(
                "{} follows no environment",
                self.setting.environment
            ));
        };
        let deploy_first =
            format!("deploy it to {before} first and wait until it is healthy there");
        match &self.subject.evidence {
            None => fail(
                format!("no record of this digest in {before}"),
                deploy_first,
            ),
            Some(record) if record.verdict == Verdict::Healthy => pass(format!(
                "healthy in {before} since {} (record {})",
                record.at, record.seq
            )),
            Some(record) => fail(
                format!(
                    "its newest record in {before} is {}, from {} (record {})",
                    record.verdict, record.at, record.seq
                ),
                deploy_first,
            ),
        }
    }
}

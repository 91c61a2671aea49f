//! The rule that a promotion goes forward: nothing older than the running version. Pure.

use super::Conditions;
use crate::check::Subject;
use crate::check::answer::{Finding, fail, not_asked, not_examined, pass, unknown};
use crate::check::fact::Unknown;
use crate::check::people::short;
use crate::setting::Setting;

pub(super) fn forward(setting: &Setting, subject: &Subject, conditions: &Conditions) -> Finding {
    let environment = &setting.environment;
    let Some(commit) = &subject.commit else {
        return not_examined("no commit is known for this digest");
    };
    let Some(current) = conditions.history.current() else {
        let newest = conditions.history.newest();
        return match newest.and_then(|newest| newest.record.previous.as_ref()) {
            None => not_asked(format!("nothing was healthy in {environment} yet")),
            Some(previous) => unknown(&Unknown::new(
                format!("the record of {previous}, which runs in {environment}, is too far back"),
                format!(
                    "go back to it first: slipway-promote grant --environment {environment} --rollback --digest {previous}"
                ),
            )),
        };
    };
    let promoted = short(commit.as_str());
    let running = short(current.commit.as_str());
    match &conditions.ahead {
        _ if current.commit == *commit => pass(format!("{environment} runs {promoted} already")),
        None => not_examined("the commits were not compared"),
        Some(Err(reason)) => unknown(reason),
        Some(Ok(status)) if matches!(status.as_str(), "ahead" | "identical") => pass(format!(
            "{promoted} contains {running}, which {environment} runs"
        )),
        Some(Ok(status)) => {
            let fact = match status.as_str() {
                "behind" => format!("{promoted} is older than {running}, which {environment} runs"),
                other => format!(
                    "{promoted} does not contain {running}, which {environment} runs ({other})"
                ),
            };
            fail(
                fact,
                format!(
                    "to go back on purpose: slipway-promote grant --environment {environment} --rollback --digest {}",
                    subject.digest
                ),
            )
        }
    }
}

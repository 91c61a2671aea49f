//! The contract that a person answers by at a terminal, where no run says which commit it is of, beside the branch's.

use super::answer::Answer;
use super::host::ContractFile;
use super::policy::{Policy, compared};
use super::rules::judge_policy;
use super::{Fact, Unknown};
use crate::setting::Setting;
use github::GitHub;
use kit::Cx;
use kit::error::{Error, Result};
use kit::host::Kind;

/// Holds the contract that was read at a terminal against the branch's; answers why that was not done. Recovery and answers need AWS
/// alone, and the promotion counts an answer only by the branch's contract, so GitHub's silence refuses nothing here.
///
/// # Errors
/// It is not the branch's (exit 3).
pub(crate) async fn uncompared(
    cx: &Cx,
    setting: &Setting,
    github: Option<&GitHub>,
) -> Result<Option<Unknown>> {
    let (Kind::Terminal, Some(file)) = (cx.host.kind(), ContractFile::of(setting)) else {
        return Ok(None);
    };
    let branch = &setting.gate.branch;
    let policy = match github {
        Some(github) => beside_the_branch(github, branch, &file).await,
        None => Err(Unknown::new(
            "there is no GitHub token or repository",
            "set GITHUB_TOKEN and give --github-repository OWNER/NAME",
        )),
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(unknown) => return Ok(Some(unknown)),
    };
    let found = judge_policy(&policy, branch);
    if found.answer == Answer::Pass {
        return Ok(None);
    }
    let error = Error::refused(format!(
        "the contract here is not the one of {branch}, so nothing was recorded"
    ))
    .cause(found.fact);
    Err(found.next.into_iter().fold(error, Error::hint))
}

async fn beside_the_branch(github: &GitHub, branch: &str, file: &ContractFile) -> Fact<Policy> {
    let tip = github.tip(branch).await?;
    compared(github, &tip, tip.clone(), Some(file), None).await
}

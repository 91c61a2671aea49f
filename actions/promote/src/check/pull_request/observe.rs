//! Reads what can be known of a pull request before its merge, from GitHub alone.

use super::contract::ContractChange;
use crate::check::change::Change;
use crate::check::collect;
use crate::check::fact::{Fact, Unknown};
use crate::check::host::ContractFile;
use crate::check::policy::{self, Policy};
use crate::check::range::PullRequestsOfCommits;
use crate::setting::Setting;
use github::{GitHub, PullState};
use kit::contract;
use std::path::Path;

/// The facts about a pull request before its merge.
#[derive(Debug)]
pub(super) struct PullRequestFacts {
    pub(super) state: Fact<PullState>,
    /// The pull request with what the rules judge of it, in the form of a promotion of one pull request.
    pub(super) changes: Fact<Vec<Change>>,
    /// The comparison of the contract that judges with the branch's; `None` if none is read.
    pub(super) policy: Option<Fact<Policy>>,
    /// The change that the pull request makes to that contract; `None` if none is read.
    pub(super) contract: Option<Fact<ContractChange>>,
}

impl PullRequestFacts {
    /// The pull request, if GitHub told all of it.
    pub(super) fn change(&self) -> Option<&Change> {
        self.changes.as_ref().ok().and_then(|all| all.first())
    }
}

/// Reads it. A fact that cannot be known is `Unknown`.
pub(super) async fn observe(github: &GitHub, setting: &Setting, number: u64) -> PullRequestFacts {
    let file = ContractFile::of(setting);
    let numbers = [number];
    let (state, pulls, tip) = tokio::join!(
        github.pull_state(number),
        github.pulls(&numbers),
        github.tip(&setting.gate.branch)
    );
    let tip = tip.map_err(Unknown::from);
    let pulls = pulls.map_err(Unknown::from);
    let head = pulls.as_ref().map_err(Clone::clone).and_then(|pulls| {
        let pull = pulls.first();
        pull.map(|pull| pull.head.clone())
            .ok_or_else(|| Unknown::new(format!("GitHub leaves #{number} out"), "run this again"))
    });
    let changes = async {
        let landed = PullRequestsOfCommits::default();
        Ok(collect::detailed(github, setting, pulls?, &landed).await)
    };
    let policy = async {
        let file = file.as_ref()?;
        Some(match &tip {
            Err(unknown) => Err(unknown.clone()),
            Ok(tip) => policy::compared(github, tip, tip.clone(), Some(file), None).await,
        })
    };
    let contract = async {
        let file = file.as_ref()?;
        Some(match (&tip, &head) {
            (Err(unknown), _) | (_, Err(unknown)) => Err(unknown.clone()),
            (Ok(tip), Ok(head)) => contract_change(github, setting, file, tip, head).await,
        })
    };
    let (changes, policy, contract) = tokio::join!(changes, policy, contract);
    PullRequestFacts {
        state: state.map_err(Unknown::from),
        changes,
        policy,
        contract,
    }
}

/// The change that the pull request makes to the contract, compared with the commit where it left the branch: later changes of the branch
/// are not its own.
async fn contract_change(
    github: &GitHub,
    setting: &Setting,
    file: &ContractFile,
    tip: &str,
    head: &str,
) -> Fact<ContractChange> {
    let base = github.changes(tip, head).await?.base;
    let files = [base.as_str(), head].map(|commit| (commit.to_owned(), file.path.clone()));
    let contents = github.contents(&files).await?;
    let [before, after] = contents.as_slice() else {
        return Err(Unknown::new(
            format!("GitHub does not show {} of {head}", file.path),
            "run this again",
        ));
    };
    let environment = &setting.environment;
    Ok(ContractChange::between(
        before,
        after,
        environment,
        |text| contract::parse(Path::new(&file.path), text),
    ))
}

//! The host's description of the run that decides. It is kept with a decision, since the host cannot be asked again.

use super::fact::{Fact, Promoter, Unknown};
use crate::person::actor;
use crate::principal::Principal;
use crate::setting::Setting;
use github::{GitHub, Run};
use ledger::Actor;
use serde::{Deserialize, Serialize};

/// The run, as its host describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    pub(crate) run: OfHost,
    /// The contract that judges, if one is read.
    pub(crate) contract: Option<ContractFile>,
    /// The path of the infrastructure code's lock file in the repository, if the contract names the code.
    pub(crate) lock_file: Option<String>,
}

/// The contract, as it was parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContractFile {
    /// Its path in the repository.
    pub(crate) path: String,
    /// Its bytes, which are UTF-8.
    pub(crate) text: String,
}

impl ContractFile {
    /// The contract of the setting, if one was read.
    pub(super) fn of(setting: &Setting) -> Option<Self> {
        Some(Self {
            path: setting.contract_path.clone()?,
            text: setting.contract.clone()?,
        })
    }
}

/// The part that differs from host to host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum OfHost {
    /// The number of a workflow's run, by which GitHub is asked for everything else.
    GitHub { id: Option<u64> },
    /// A build, the commit of its source, and who started it.
    CodeBuild {
        build: String,
        commit: Option<String>,
        principal: Principal,
    },
    /// The holder of the credentials.
    Terminal { principal: Principal },
}

impl Host {
    /// The principal that runs this, as AWS names it; nothing on GitHub.
    pub(super) fn principal(&self) -> Option<&Principal> {
        match &self.run {
            OfHost::GitHub { .. } => None,
            OfHost::CodeBuild { principal, .. } | OfHost::Terminal { principal } => Some(principal),
        }
    }

    /// The person behind the principal. On GitHub that is GitHub's word.
    pub(super) fn person(&self, setting: &Setting) -> Option<Fact<Vec<Actor>>> {
        let login = self.principal()?.login(&setting.people);
        Some(login.map(|login| vec![Actor { login, id: None }]))
    }

    /// The people who promote. A person who uses break-glass need not be known to GitHub, unless the run is on GitHub.
    pub(super) fn promoters(
        &self,
        promoter: &Fact<Promoter>,
        setting: &Setting,
        breaks_glass: bool,
    ) -> Fact<Vec<Actor>> {
        let by_github = promoter
            .as_ref()
            .map(|it| it.accounts.iter().map(actor).collect());
        let own = match breaks_glass {
            true => self.person(setting),
            false => None,
        };
        by_github.or_else(|unknown| own.unwrap_or_else(|| Err(unknown.clone())))
    }

    /// Returns true if it says where the contract and the infrastructure's lock file are, as it does where a contract is read.
    pub(super) fn read_all(&self) -> bool {
        self.contract.is_some() && self.lock_file.is_some()
    }

    /// Returns true if this is the page of the run, in `repository` if GitHub was asked about it. A build without an ID has none that
    /// could be told.
    pub(super) fn is_page(&self, page: Option<&str>, repository: Option<&str>) -> bool {
        match (&self.run, page) {
            (OfHost::Terminal { .. } | OfHost::GitHub { id: None }, page) => page.is_none(),
            (OfHost::GitHub { id: Some(id) }, Some(page)) => {
                let run = page.rsplit_once("/attempts/").map_or(page, |(run, _)| run);
                let run = run.strip_suffix(&format!("/actions/runs/{id}"));
                let of = |repository: &str| {
                    let end = format!("/{}", repository.to_ascii_lowercase());
                    run.is_some_and(|run| run.to_ascii_lowercase().ends_with(&end))
                };
                run.is_some() && repository.is_none_or(of)
            }
            (OfHost::CodeBuild { build, .. }, Some(page)) => match build.rsplit_once(':') {
                Some((_, build)) => page.contains(build),
                None => true,
            },
            (OfHost::GitHub { .. } | OfHost::CodeBuild { .. }, None) => false,
        }
    }

    /// The workflow run, from GitHub's API: anybody can set a variable of the process.
    pub(super) async fn workflow(&self, github: &GitHub) -> Fact<Run> {
        match &self.run {
            OfHost::GitHub { id: Some(id) } => Ok(github.run(*id).await?),
            _ => Err(Unknown::new(
                "GITHUB_RUN_ID is not a run's ID",
                "run this in a workflow",
            )),
        }
    }
}

//! What the host says of the run that decides. Kept with a decision, since nobody can ask the host again.

use super::facts::{Fact, Unknown};
use super::{policy, providers};
use crate::principal::Principal;
use crate::setting::Setting;
use github::{GitHub, Run};
use kit::Cx;
use kit::host::Kind;
use net::Net;
use serde::{Deserialize, Serialize};

/// The run, as its host describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    pub(crate) run: OfHost,
    /// The contract's path in the repository, if one is read.
    pub(crate) contract: Option<String>,
    /// The path of the infrastructure code's lock file in the repository, if the contract names the code.
    pub(crate) lock_file: Option<String>,
}

/// What differs from host to host.
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
    /// Who holds the credentials.
    Terminal { principal: Principal },
}

impl Host {
    pub(super) async fn of(cx: &Cx, net: &Net, setting: &Setting) -> Self {
        let run = match cx.host.kind() {
            Kind::GitHub => OfHost::GitHub {
                id: cx.env.get("GITHUB_RUN_ID").and_then(|id| id.parse().ok()),
            },
            Kind::CodeBuild => OfHost::CodeBuild {
                build: cx
                    .env
                    .get("CODEBUILD_BUILD_ID")
                    .unwrap_or("this build")
                    .to_owned(),
                commit: match cx.host.commit() {
                    Ok(Some(commit)) => Some(commit.to_string()),
                    Ok(None) | Err(_) => None,
                },
                principal: Principal::of_run(cx, net, setting).await,
            },
            Kind::Terminal => OfHost::Terminal {
                principal: Principal::of_run(cx, net, setting).await,
            },
        };
        let contract = policy::contract(cx);
        let folder = setting.infrastructure.as_ref();
        Self {
            run,
            lock_file: folder.map(|folder| providers::path(&contract, folder)),
            contract: setting.declared.then_some(contract),
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

//! Workflow runs as GitHub Actions reads them: which jobs there are, what each may do, and where it deploys.

mod expression;
mod permissions;
mod workflow;

pub(crate) use expression::Context;
pub(crate) use permissions::{Access, Permissions};
pub(crate) use workflow::{Called, Files, plan};

/// One job of a run that has steps of its own. A job that calls a reusable workflow stands for the called jobs.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Also the id of its check run.
    pub(crate) id: u64,
    /// The key under `jobs:`, what runners put into `GITHUB_JOB`.
    pub(crate) key: String,
    /// As GitHub shows it: `caller / called` below a reusable workflow.
    pub(crate) name: String,
    /// Name of the workflow file the job stands in.
    pub(crate) workflow: String,
    pub(crate) permissions: Permissions,
    pub(crate) environment: Option<String>,
    /// False for `deployment: false`, an environment without a deployment.
    pub(crate) deploys: bool,
    /// `OWNER/NAME/PATH@REF` of the called workflow's file, where the job stands in one.
    pub(crate) workflow_ref: Option<String>,
    pub(crate) workflow_sha: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) status: &'static str,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: Option<String>,
    pub(crate) completed_at: Option<String>,
}

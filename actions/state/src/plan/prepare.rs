//! The inputs of a plan: the initialized folder, the tool's plan, and everything that it rests on.

use super::args::{self, Options};
use super::changes::Changes;
use super::envelope::Basis;
use super::options;
use super::private::Private;
use crate::access::{Access, access};
use crate::backend::Hold;
use crate::hash::{hashed, sha256};
use crate::history::explained;
use crate::hold::{self, Runs};
use crate::locate::LocatedState;
use crate::object::{Objects, StateFile};
use crate::tool::Tool;
use kit::contract::reserved::PLANS;
use kit::env::Env;
use kit::error::{Error, Result};
use kit::id::{CommitId, PlanId};
use kit::signal::unless_interrupted;
use kit::{Cx, Lenient};
use net::{Account, Net};
use std::path::Path;

/// Where the plan `id` of the state at `key` is kept.
pub(super) fn object_of(key: &str, id: &PlanId) -> String {
    format!("{PLANS}{key}/{id}")
}

/// Does the slow work that needs no lock: credentials and `init`.
pub(super) async fn prepare(tool: &Tool<'_>, located: &LocatedState, cx: &Cx) -> Result<()> {
    let role = located.backend.role.as_ref();
    let net = Net::new(cx)?;
    let access = unless_interrupted(access(&net, &located.target, role)).await?;
    init(tool, located, &access, cx).await
}

/// Makes the folder ready, for a workspace that is there: Terraform would make one that is not, and
/// lock it for itself while it is held here (hashicorp/terraform#36088).
pub(super) async fn init(
    tool: &Tool<'_>,
    located: &LocatedState,
    access: &Access,
    cx: &Cx,
) -> Result<()> {
    let account = &access.account;
    let objects = Objects::of(located, &access.state, cx);
    let Some(name) = located.backend.other_workspace() else {
        return run_init(tool, account, located, &objects, cx).await;
    };
    if unless_interrupted(objects.read()).await?.is_none() {
        return Err(Error::refused(format!(
            "there is no workspace `{name}`: {} does not exist",
            objects.name()
        ))
        .hint(format!(
            "create it: slipway-state run … -- sh -ec 'terraform init; terraform workspace new {name}'"
        )));
    }
    run_init(tool, account, located, &objects, cx).await?;
    if let Some(prefix) = tool.workspace_prefix()? {
        return Err(Error::refused(format!(
            "the state of workspace `{name}` is not at {}: the backend's workspace_key_prefix is `{prefix}`",
            objects.name()
        ))
        .hint("leave workspace_key_prefix out, or run the tool yourself: slipway-state run -- COMMAND"));
    }
    Ok(())
}

/// The tool's `init`, which reads the state.
async fn run_init(
    tool: &Tool<'_>,
    account: &Account,
    located: &LocatedState,
    objects: &Objects,
    cx: &Cx,
) -> Result<()> {
    let Err(error) = tool.init(account).await else {
        return Ok(());
    };
    Err(match hold::open(located, Hold::Native, cx).await {
        Ok(opened) => explained(error, objects, &opened.lock).await,
        Err(_) => error,
    })
}

pub(super) async fn make(
    tool: &Tool<'_>,
    further: &[String],
    env: &Env,
    private: &Private,
    runs: &mut Runs<'_, '_>,
) -> Result<Changes> {
    let path = private.plan();
    let out = format!("-out={}", path.display());
    let mut arguments: Vec<&str> = further.iter().map(String::as_str).collect();
    arguments.push(&out);
    let applyable = tool.plan(&arguments, runs).await?;
    let mut changes = Changes::of(&tool.show(&path, runs).await?, applyable);
    if changes.incomplete.is_none() && options::narrowed(&arguments, env) {
        changes.incomplete = Some("targeted".to_owned());
    }
    Ok(changes)
}

/// Everything a plan rests on, as it is now.
pub(super) async fn basis(
    objects: &Objects,
    tool: &Tool<'_>,
    salt: &str,
    options: &Options,
    commit: Option<CommitId>,
) -> Result<Basis> {
    let state = objects.read().await?;
    let variables = tool.variables()?;
    let pairs = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Basis {
        state: objects.name(),
        state_version: state.as_ref().map(StateFile::state_version),
        content: state.as_ref().map(|state| sha256(&state.bytes)),
        commit: commit.map(Lenient::Parsed),
        tool: tool.shown(),
        providers: providers(&tool.directory)?,
        variables: hashed(salt, pairs),
        workspace: tool.workspace().map(str::to_owned),
        options: options.chosen(salt, &tool.directory)?,
    })
}

/// The hash of the lock file, which says which build of each provider is used.
fn providers(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(".terraform.lock.hcl");
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(sha256(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::failed(format!("cannot read {}", path.display())).because(error)),
    }
}

pub(super) fn commit(code: &args::Code, cx: &Cx) -> Option<CommitId> {
    let host = || cx.host.commit().ok().flatten();
    code.commit.clone().or_else(host)
}

//! Terraform or OpenTofu as this step runs it: which one, in which version, with which environment.

pub(crate) mod name;
mod output;

use crate::backend::Backend;
use crate::dependencies::{self, Rule};
use crate::folder::{self, Folder};
use crate::hold::Runs;
use crate::locate::LocatedState;
use crate::shim::READONLY;
use kit::child::{self, Program};
use kit::error::{Context, Error, ErrorKind, Result};
use kit::lockfile::Lock;
use kit::step::Cx;
use name::Name;
use net::Account;
use output::{Diagnostics, printed};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// A tool in a folder of infrastructure code.
#[derive(Debug)]
pub(crate) struct Tool<'a> {
    name: Name,
    version: String,
    pub(crate) directory: PathBuf,
    located: &'a LocatedState,
    cx: &'a Cx,
}

impl<'a> Tool<'a> {
    /// The tool asked for, else the one that is on `PATH`, Terraform before OpenTofu.
    ///
    /// # Errors
    /// No such folder, a workspace, another backend, or no tool (exit 2 and 3).
    pub(crate) async fn find(
        name: Option<Name>,
        directory: Option<PathBuf>,
        located: &'a LocatedState,
        cx: &'a Cx,
    ) -> Result<Self> {
        let name = match name {
            Some(name) => name,
            None => [Name::Terraform, Name::Tofu]
                .into_iter()
                .find(|name| on_path(name.command(), cx))
                .ok_or_else(|| {
                    Error::usage("neither terraform nor tofu is on PATH")
                        .hint("install one, or name it with --tool")
                })?,
        };
        let directory = directory
            .or_else(|| located.directory.clone())
            .unwrap_or_else(|| PathBuf::from("."));
        if !directory.is_dir() {
            return Err(
                Error::usage(format!("`{}` is not a folder", directory.display()))
                    .hint("give --directory DIR, or set `state.directory` in the contract"),
            );
        }
        one_state(&directory, &located.backend, cx)?;
        let mut tool = Self {
            name,
            version: String::new(),
            directory,
            located,
            cx,
        };
        tool.require_this_state()?;
        tool.require_locking()?;
        let (status, output) = tool.bare(&["version", "-json"])?.capture(&cx.host).await?;
        ended(name.command(), status)?;
        // Both call it `terraform_version`.
        tool.version = printed(&output)
            .ok()
            .and_then(|output_json| Some(output_json["terraform_version"].as_str()?.to_owned()))
            .ok_or_else(|| {
                Error::failed(format!("{} does not say its version", name.command()))
                    .hint("`version -json` is there since Terraform 0.13")
            })?;
        Ok(tool)
    }

    /// Refuses code whose state is not the one that is locked.
    fn require_this_state(&self) -> Result<()> {
        let data_dir = self.cx.env.get("TF_DATA_DIR").unwrap_or(".terraform");
        Folder::before(&self.directory, data_dir, &self.located.backend).map(drop)
    }

    /// Refuses code that locks in another way than the step.
    fn require_locking(&self) -> Result<()> {
        let backend = &self.located.backend;
        let agreed = folder::agreed(&self.directory, backend, false, self.cx)?;
        if agreed == backend.locking {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the backend in {} sets use_lockfile, and the step locks with `{}`",
            self.directory.display(),
            backend.locking.name()
        ))
        .hint(format!("--locking {}", agreed.name())))
    }

    /// `terraform 1.11.4`.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.name.command(), self.version)
    }

    /// The workspace, unless it is the default one.
    pub(crate) fn workspace(&self) -> Option<&str> {
        self.located.backend.other_workspace()
    }

    /// Where the folder was initialised to keep the states of workspaces, if not where Terraform
    /// keeps them by itself.
    ///
    /// # Errors
    /// The folder was not initialised, or for what cannot be read.
    pub(crate) fn workspace_prefix(&self) -> Result<Option<String>> {
        let data_dir = self.cx.env.get("TF_DATA_DIR").unwrap_or(".terraform");
        let path = self.directory.join(data_dir).join("terraform.tfstate");
        let text = std::fs::read(&path).context(format!("cannot read {}", path.display()))?;
        let state: Value =
            serde_json::from_slice(&text).context(format!("{} is not JSON", path.display()))?;
        let prefix = state["backend"]["config"]["workspace_key_prefix"].as_str();
        Ok(prefix
            .filter(|it| !matches!(*it, "" | "env:"))
            .map(str::to_owned))
    }

    /// The tool without credentials. Besides its arguments it gets the backend, variables, and that this run holds the lock.
    fn bare(&self, arguments: &[&str]) -> Result<Program> {
        let command: Vec<String> = std::iter::once(self.name.command())
            .chain(arguments.iter().copied())
            .map(str::to_owned)
            .collect();
        let program = self.located.program(&command, &self.directory, self.cx)?;
        Ok(program.env("CHECKPOINT_DISABLE", "1"))
    }

    /// The tool with credentials.
    ///
    /// # Errors
    /// Never but for a program without a name.
    pub(crate) fn program(&self, arguments: &[&str], account: &Account) -> Result<Program> {
        Ok(account.add_credentials(self.bare(arguments)?))
    }

    /// Every variable the tool sees, secrets of ours apart.
    pub(crate) fn variables(&self) -> Result<Vec<(String, String)>> {
        let program = self.bare(&["version"])?;
        let names: std::collections::BTreeSet<String> = self
            .cx
            .env
            .for_child()
            .map(|(name, _)| name.to_owned())
            .chain(self.located.terraform_variables().map(|(name, _)| name))
            .filter(|name| name.starts_with("TF_VAR_"))
            .collect();
        Ok(names
            .into_iter()
            .filter_map(|name| {
                let value = program.get(&name)?.to_owned();
                Some((name, value))
            })
            .collect())
    }

    /// `init` with the contract's backend. It takes no lock of the state. Where the environment has a gate, it
    /// installs only what is pinned.
    ///
    /// # Errors
    /// The tool's, or a folder that ends up with another backend, or code that is not pinned (exit 3).
    pub(crate) async fn init(&self, account: &Account) -> Result<()> {
        let path_style = net::path_style(&self.cx.env);
        let settings = self.located.backend.arguments(path_style);
        let mut arguments = vec!["init", "-no-color", "-input=false"];
        let rule = Rule::of(self.located.resolved.as_ref());
        let tofu = self.name == Name::Tofu;
        let folder = std::fs::canonicalize(&self.directory)
            .context(format!("cannot see {}", self.directory.display()))?;
        let mut before = Lock::new();
        if let Some(rule) = &rule {
            let found = dependencies::declared(&folder, tofu);
            dependencies::pinned(rule, &found)?;
            if let Ok(found) = found {
                before = found.locked();
                if rule.keeps_lock(&found) {
                    arguments.push(READONLY);
                }
            }
        }
        arguments.extend(settings.iter().map(String::as_str));
        let program = self.program(&arguments, account)?;
        let title = format!("{} init", self.name.command());
        let _folded = self.cx.host.group(&title);
        let mut running = program.start_in_log(&self.cx.host)?;
        let status = running.wait().await?;
        drop(running);
        ended(&title, status)?;
        if let Some(rule) = &rule {
            let data = folder.join(self.cx.env.get("TF_DATA_DIR").unwrap_or(".terraform"));
            let found = dependencies::installed(&folder, &data, tofu);
            dependencies::pinned(rule, &found)?;
            let now = found.map(|found| found.locked()).unwrap_or_default();
            dependencies::unmoved(rule, &before, &now)?;
        }
        self.require_this_state()
    }

    /// Runs the tool's `plan`; a failure has the tool's own messages. The rest of the output is not shown, because it has
    /// values in plain text that are marked sensitive. Returns whether the tool found something to apply.
    ///
    /// # Errors
    /// The tool's.
    pub(crate) async fn plan(&self, arguments: &[&str], runs: &mut Runs<'_, '_>) -> Result<bool> {
        // Somebody may ask for this exit code by `TF_CLI_ARGS_plan`, so that 2 is never a failure here.
        let mut all = vec![
            "plan",
            "-json",
            "-input=false",
            "-lock=false",
            "-detailed-exitcode",
        ];
        all.extend(arguments);
        let program = self.program(&all, runs.account())?;
        let (status, output) = runs.capture(program, self.cx).await?;
        let diagnostics = Diagnostics::of(&output);
        for warning in &diagnostics.warnings {
            self.cx.host.warn(warning);
        }
        match status.code() {
            Some(0) => Ok(false),
            Some(2) => Ok(true),
            _ => Err(self.failed(status, diagnostics)),
        }
    }

    fn failed(&self, status: ExitStatus, diagnostics: Diagnostics) -> Error {
        let title = format!("{} plan", self.name.command());
        let mut error = ended(&title, status)
            .err()
            .unwrap_or_else(|| Error::failed(format!("`{title}` failed")));
        error = error.with_causes(diagnostics.errors);
        for mut location in diagnostics.locations {
            let path = self.directory.join(&location.file);
            // GitHub knows files by their path from the top, without a dot in front.
            let path = path.strip_prefix(".").unwrap_or(&path);
            location.file = path.display().to_string();
            error.locations.push(location);
        }
        error
    }

    /// A saved plan as the tool describes it.
    ///
    /// # Errors
    /// The tool's.
    pub(crate) async fn show(&self, plan: &Path, runs: &mut Runs<'_, '_>) -> Result<Value> {
        let path = plan.display().to_string();
        let program = self.program(&["show", "-json", &path], runs.account())?;
        let (status, output) = runs.capture(program, self.cx).await?;
        ended(&format!("{} show", self.name.command()), status)?;
        printed(&output).map_err(|error| {
            Error::failed(format!("{} shows a plan that is not JSON", self.shown())).because(error)
        })
    }
}

/// How a call of the tool that this step makes by itself ended. The tool's exit codes are not the
/// step's, of which 2, 4 and 6 mean something else.
///
/// # Errors
/// It failed (exit 1).
pub(crate) fn ended(title: &str, status: ExitStatus) -> Result<()> {
    child::verdict(title, status).map_err(|mut error| {
        error.kind = ErrorKind::Failed;
        error
    })
}

/// Refuses a folder whose state is not the one that is locked.
fn one_state(directory: &Path, backend: &Backend, cx: &Cx) -> Result<()> {
    let data_dir = cx.env.get("TF_DATA_DIR").unwrap_or(".terraform");
    let workspace = match (&backend.workspace, cx.env.get("TF_WORKSPACE")) {
        // The tool gets the workspace of the state that is locked.
        (Some(_), _) => "default".to_owned(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => crate::shim::selected(&directory.join(data_dir).join("environment"))
            .map_err(|unseen| Error::refused(unseen.to_string()))?,
    };
    let reason = if workspace != "default" {
        format!("workspace `{workspace}` has a state of its own, which this lock would not cover")
    } else if directory.join("cdktf.json").exists() {
        "an application of cdktf or cdktn has a state for each stack, which this lock would not cover"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(Error::usage(reason)
        .hint("where it is a workspace: --workspace NAME")
        .hint("otherwise run the tool yourself: slipway-state run -- COMMAND"))
}

fn on_path(command: &str, cx: &Cx) -> bool {
    cx.env.get("PATH").is_some_and(|path| {
        std::env::split_paths(path).any(|folder| folder.join(command).is_file())
    })
}

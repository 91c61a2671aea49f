//! Runs one workflow of the example repository under act, with GitHub's strictness where act is kinder: a job output that
//! holds a masked value fails the run, and every call of a job is judged by the permissions the job declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use regex_lite::Regex;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::export::{CALLABLE, Export, REPOSITORY, readable_by_act};
use super::git::git;
use super::hub::{Hub, Run};
use super::log::Log;
use super::story::repository_folder;
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::world::World;
use crate::world::runner::{Variables, without_lock_tables};

/// Longer than any run of the example takes; a run that hangs must not hang its caller.
const DEADLINE: Duration = Duration::from_secs(600);

/// The event that makes GitHub run a workflow.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Path of the workflow in the repository.
    pub workflow: String,
    /// `push`, `workflow_dispatch` or `pull_request`.
    pub event: String,
    /// Whose doing it is.
    pub actor: String,
    /// The branch it runs on; of a pull request, its head.
    pub branch: String,
    /// The pull request's number.
    pub pull: Option<u64>,
    /// The inputs of a dispatch.
    pub inputs: BTreeMap<String, String>,
    /// The secrets that the jobs see, beside the run's token.
    pub secrets: BTreeMap<String, String>,
    /// True if GitHub's API answers nobody, while Actions runs jobs and gives them identity tokens.
    pub github_is_down: bool,
}

impl Trigger {
    /// A push to a branch, such as a merge to main.
    pub fn push(actor: &str, workflow: &str) -> Self {
        Self {
            workflow: format!(".github/workflows/{workflow}"),
            event: "push".to_owned(),
            actor: actor.to_owned(),
            branch: "main".to_owned(),
            pull: None,
            inputs: BTreeMap::new(),
            secrets: BTreeMap::new(),
            github_is_down: false,
        }
    }

    /// A dispatch by hand.
    pub fn dispatch(actor: &str, workflow: &str, inputs: &[(&str, &str)]) -> Self {
        Self {
            event: "workflow_dispatch".to_owned(),
            inputs: inputs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Self::push(actor, workflow)
        }
    }

    /// A pull request that was opened, or pushed to.
    pub fn pull(actor: &str, workflow: &str, number: u64, branch: &str) -> Self {
        Self {
            event: "pull_request".to_owned(),
            pull: Some(number),
            ..Self::push(actor, workflow).on(branch)
        }
    }

    /// While GitHub's API does not answer.
    #[must_use]
    pub fn without_github(mut self) -> Self {
        self.github_is_down = true;
        self
    }

    /// With a secret that the workflow may pass on.
    #[must_use]
    pub fn with_secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// On another branch than main.
    #[must_use]
    pub fn on(mut self, branch: &str) -> Self {
        branch.clone_into(&mut self.branch);
        self
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// True if every job succeeded.
    pub success: bool,
    /// Everything the run showed.
    pub log: Log,
    /// The run, as GitHub knows it.
    pub run: Run,
    /// The folder with `log.txt` and `summary.md`.
    pub folder: PathBuf,
}

/// Runs a workflow of the hub's repository to its end. `show` gets each line of the log as it comes.
pub async fn run(
    instance: &Instance,
    world: &World,
    hub: &Hub,
    export: &Export,
    trigger: &Trigger,
    show: &mut dyn FnMut(&str),
) -> Result<Ended> {
    let called = called(export)?;
    let run = hub
        .start(&json!({
            "workflow": trigger.workflow,
            "event": trigger.event,
            "actor": trigger.actor,
            "branch": trigger.branch,
            "pull": trigger.pull,
            "inputs": trigger.inputs,
            "vars": without_lock_tables(world.repository_variables()),
            "workflows": called,
        }))
        .await?;
    let folder = instance
        .dir
        .join("worlds")
        .join(&world.name)
        .join(format!("run-{}", run.run_id));
    fs::create_dir_all(&folder).context("making the run's folder")?;
    let mut hidden = vec![run.token.clone(), run.oidc_request_token.clone()];
    hidden.extend(trigger.secrets.values().cloned());
    let mut log = Log::hiding(hidden);
    let ended = execute(
        instance, world, hub, export, trigger, &run, &folder, &mut log, show,
    )
    .await;
    let mut success = ended.as_ref().is_ok_and(|success| *success);
    if let Some(tainted) = tainted(&folder.join("repository").join(&trigger.workflow), &log)? {
        show(&tainted);
        log.text.push_str(&format!("{tainted}\n"));
        success = false;
    }
    fs::write(folder.join("log.txt"), &log.text).context("writing the log")?;
    fs::write(folder.join("summary.md"), &log.summary).context("writing the summary")?;
    let conclusion = if success { "success" } else { "failure" };
    hub.finish(&run, conclusion, &log.jobs).await?;
    ended?;
    Ok(Ended {
        success,
        log,
        run,
        folder,
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one run, used here alone"
)]
async fn execute(
    instance: &Instance,
    world: &World,
    hub: &Hub,
    export: &Export,
    trigger: &Trigger,
    run: &Run,
    folder: &Path,
    log: &mut Log,
    show: &mut dyn FnMut(&str),
) -> Result<bool> {
    let repository = check_out(instance, world, hub, trigger, run, folder).await?;
    let workflow = repository.join(&trigger.workflow);
    let text = fs::read_to_string(&workflow).context(format!("reading {}", trigger.workflow))?;
    fs::write(&workflow, readable_by_act(&text, &export.pin))
        .context("preparing the workflow for act")?;
    let checkout = folder.join("checkout");
    fs::create_dir_all(&checkout).context("making an action")?;
    let origins = origins(instance, world, hub, folder)?;
    let action = include_str!("checkout.yml").replace("ORIGINS", &origins.display().to_string());
    fs::write(checkout.join("action.yml"), action).context("making an action")?;
    let event = folder.join("event.json");
    let head = git(
        &repository,
        &["rev-parse", &format!("origin/{}", trigger.branch)],
    )
    .await?;
    let payload = payload(hub, trigger, run, &head);
    fs::write(&event, payload.to_string()).context("writing the event")?;
    let home = folder.join("home");
    fs::create_dir_all(&home).context("making the run's home")?;

    let variables = variables(world, run)?;
    let jobs_see = jobs_see(instance, world, hub, trigger, run, &home);
    let mut command = command(instance, export, trigger, folder);
    command
        .arg("--eventpath")
        .arg(&event)
        .current_dir(&repository)
        // act takes a secret named without a value from its own environment, and variables from a file that can be
        // a pipe, so that no token shows in its arguments or on disk.
        .env("GITHUB_TOKEN", &run.token)
        .envs(&trigger.secrets)
        .env("PATH", &jobs_see["PATH"])
        .env("HOME", &home)
        .args(["--env-file", "/dev/stdin"]);
    for (name, value) in &variables {
        command.args(["--var", &format!("{name}={value}")]);
    }
    let file: String = jobs_see
        .iter()
        .map(|(name, value)| format!("{name}='{value}'\n"))
        .collect();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("starting act")?;
    let mut input = child
        .stdin
        .take()
        .ok_or_else(|| Fault::new("act has no input"))?;
    input
        .write_all(file.as_bytes())
        .await
        .context("handing act its variables")?;
    drop(input);
    follow(child, log, show).await
}

/// The variables that the jobs see under `vars`. act knows no environments, so those of the one that the run's jobs name
/// come from here, over the repository's, as GitHub layers them. An environment and that of its infrastructure job have the
/// same variables.
fn variables(world: &World, run: &Run) -> Result<Variables> {
    let mut variables = world.repository_variables();
    let mut named: Vec<&str> = run
        .jobs
        .iter()
        .filter_map(|job| job.environment.as_deref())
        .map(|name| name.strip_suffix("-infrastructure").unwrap_or(name))
        .collect();
    named.dedup();
    match named.as_slice() {
        [] => {}
        [one] => {
            if let Ok(environment) = world.environment(one) {
                variables.extend(world.environment_variables(environment));
            }
        }
        many => {
            return Err(Fault::new(format!(
                "act cannot run jobs of several environments at once: {many:?}"
            )));
        }
    }
    Ok(without_lock_tables(variables))
}

/// The environment of every job.
fn jobs_see(
    instance: &Instance,
    world: &World,
    hub: &Hub,
    trigger: &Trigger,
    run: &Run,
    home: &Path,
) -> Variables {
    let mut jobs_see = world.variables(instance);
    jobs_see.insert("HOME".to_owned(), home.display().to_string());
    for (name, value) in [
        ("GITHUB_RUN_ID", run.run_id.to_string()),
        ("GITHUB_RUN_NUMBER", run.run_number.to_string()),
        // act does not set it.
        (
            "GITHUB_WORKFLOW_REF",
            format!(
                "{}/{}@refs/heads/{}",
                hub.repository, trigger.workflow, trigger.branch
            ),
        ),
        ("GITHUB_RUN_ATTEMPT", run.run_attempt.to_string()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", run.oidc_request_url.clone()),
        (
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            run.oidc_request_token.clone(),
        ),
    ] {
        jobs_see.insert(name.to_owned(), value);
    }
    if trigger.github_is_down {
        jobs_see.extend(nowhere());
    }
    jobs_see
}

/// Where GitHub's API is looked for and nothing answers.
pub(crate) fn nowhere() -> Variables {
    [
        ("GITHUB_API_URL", "http://127.0.0.1:1"),
        ("GITHUB_GRAPHQL_URL", "http://127.0.0.1:1/graphql"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The commit of actions/checkout that our workflows pin.
const CHECKOUT: &str = "08c6903cd8c0fde910a37f88322edcfb5dd907a8";

/// act for this trigger, with an empty environment.
fn command(instance: &Instance, export: &Export, trigger: &Trigger, folder: &Path) -> Command {
    let mut command = Command::new(instance.bin().join("act"));
    command
        .arg(&trigger.event)
        .args([
            "--json",
            "--concurrent-jobs",
            "1",
            "--no-cache-server",
            "--no-recurse",
        ])
        .args([
            "--platform",
            "ubuntu-latest=-self-hosted",
            "--artifact-server-addr",
            "127.0.0.1",
        ])
        .args(["--actor", &trigger.actor, "--secret", "GITHUB_TOKEN"])
        .arg("--workflows")
        .arg(&trigger.workflow)
        .arg("--local-repository")
        .arg(format!(
            "{REPOSITORY}@{}={}",
            export.pin,
            export.folder.display()
        ))
        .arg("--local-repository")
        .arg(format!(
            "actions/checkout@{CHECKOUT}={}",
            folder.join("checkout").display()
        ))
        .env_clear()
        .env("XDG_CACHE_HOME", folder.join("cache"));
    for name in trigger.secrets.keys() {
        command.args(["--secret", name]);
    }
    for (name, value) in &trigger.inputs {
        command.args(["--input", &format!("{name}={value}")]);
    }
    command
}

/// Shows what act writes until it is over, and ends it at the deadline.
async fn follow(mut child: Child, log: &mut Log, show: &mut dyn FnMut(&str)) -> Result<bool> {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let work = async {
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| Fault::new("act has no output"))?;
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| Fault::new("act has no output"))?;
        let (mut out, mut err) = (
            BufReader::new(stdout).lines(),
            BufReader::new(stderr).lines(),
        );
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let line = tokio::select! {
                line = out.next_line(), if out_open => { out_open = matches!(line, Ok(Some(_))); line }
                line = err.next_line(), if err_open => { err_open = matches!(line, Ok(Some(_))); line }
            };
            if let Ok(Some(line)) = line
                && let Some(shown) = log.take(&line)
            {
                show(&shown);
            }
        }
        child.wait().await.context("waiting for act")
    };
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(status) => Ok(status?.success()),
        Err(_) => {
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            Err(Fault::new(format!(
                "the run was not over after {} s",
                DEADLINE.as_secs()
            )))
        }
    }
}

/// A folder in which each repository that a job may check out is at `OWNER/NAME.git`: the run's and the code's.
fn origins(instance: &Instance, world: &World, hub: &Hub, folder: &Path) -> Result<PathBuf> {
    let origins = folder.join("origins");
    for repository in BTreeSet::from([&hub.repository, &world.repository]) {
        let link = origins.join(format!("{repository}.git"));
        fs::create_dir_all(link.parent().unwrap_or(&origins)).context("linking a repository")?;
        std::os::unix::fs::symlink(repository_folder(instance, world, repository), link)
            .context("linking a repository")?;
    }
    Ok(origins)
}

/// The repository at the run's commit, on its branch, with a remote of the name GitHub gave it.
async fn check_out(
    instance: &Instance,
    world: &World,
    hub: &Hub,
    trigger: &Trigger,
    run: &Run,
    folder: &Path,
) -> Result<PathBuf> {
    let target = folder.join("repository");
    let origin = repository_folder(instance, world, &hub.repository);
    git(
        folder,
        &[
            "clone",
            "--quiet",
            &origin.display().to_string(),
            "repository",
        ],
    )
    .await?;
    if let Some(number) = trigger.pull {
        let merge = format!("refs/pull/{number}/merge");
        git(&target, &["fetch", "--quiet", "origin", &merge]).await?;
        git(&target, &["checkout", "--quiet", "--detach", &run.sha]).await?;
    } else {
        git(
            &target,
            &["checkout", "--quiet", "-B", &trigger.branch, &run.sha],
        )
        .await?;
    }
    let url = format!("https://github.com/{}.git", hub.repository);
    git(&target, &["remote", "set-url", "origin", &url]).await?;
    Ok(target)
}

fn payload(hub: &Hub, trigger: &Trigger, run: &Run, head: &str) -> Value {
    let mut payload = json!({
        "repository": {"full_name": hub.repository, "default_branch": "main"},
        "sender": {"login": trigger.actor},
    });
    // The members that GitHub documents for each event, as far as the workflows read them.
    payload["inputs"] = json!(trigger.inputs);
    if let Some(number) = trigger.pull {
        payload["action"] = json!("synchronize");
        payload["number"] = json!(number);
        payload["pull_request"] = json!({
            "number": number,
            "head": {"ref": trigger.branch, "sha": head},
            "base": {"ref": "main"},
        });
    } else {
        payload["ref"] = json!(format!("refs/heads/{}", trigger.branch));
        payload["after"] = json!(run.sha);
    }
    payload
}

/// The callable workflows by the name users call them with.
fn called(export: &Export) -> Result<BTreeMap<String, String>> {
    CALLABLE
        .iter()
        .map(|file| {
            let path = format!(".github/workflows/{file}");
            let text =
                fs::read_to_string(export.folder.join(&path)).context(format!("reading {path}"))?;
            Ok((format!("{REPOSITORY}/{path}@{}", export.pin), text))
        })
        .collect()
}

/// The first job output that holds a masked value. GitHub would drop it and go on with nothing; here the run fails, so
/// that nobody builds on it.
fn tainted(workflow: &Path, log: &Log) -> Result<Option<String>> {
    let Ok(text) = fs::read_to_string(workflow) else {
        return Ok(None);
    };
    let workflow: Value = serde_yaml::from_str(&text).context("reading the workflow")?;
    let reference = Regex::new(r"steps\.([\w-]+)\.outputs\.([\w-]+)").context("a pattern")?;
    let none = serde_json::Map::new();
    for (job, body) in workflow["jobs"].as_object().unwrap_or(&none) {
        for (output, expression) in body["outputs"].as_object().unwrap_or(&none) {
            for found in reference.captures_iter(expression.as_str().unwrap_or_default()) {
                let key = (job.clone(), found[1].to_owned(), found[2].to_owned());
                if log
                    .outputs
                    .get(&key)
                    .is_some_and(|value| log.holds_masked(value))
                {
                    return Ok(Some(format!(
                        "GitHub would drop the output {output} of job {job}: steps.{}.outputs.{} holds a masked value",
                        &found[1], &found[2]
                    )));
                }
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_job_output_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.yml");
        fs::write(
            &path,
            "jobs:\n  a:\n    outputs:\n      ref: ${{ steps.image.outputs.ref }}\n",
        )
        .unwrap();
        let mut log = Log::default();
        let line = json!({"command": "set-output", "name": "ref", "arg": "123.dkr/x", "stepID": ["image"], "jobID": "a"});
        log.take(&line.to_string());
        assert_eq!(tainted(&path, &log).unwrap(), None);
        log.take(r#"{"command":"add-mask","arg":"123.dkr","jobID":"a"}"#);
        assert!(
            tainted(&path, &log)
                .unwrap()
                .unwrap()
                .contains("output ref of job a")
        );
    }
}

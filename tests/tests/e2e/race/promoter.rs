//! One run of the promotion's workflow: the steps of its jobs, what befalls it, and how it goes on.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use sandbox::runner::hub::Run;
use sandbox::runner::story::RELEASER;
use serde_json::{Value, json};

use super::fate::{Fate, Kill, Returns, Theme};
use super::history::Step;
use super::scene::Scene;
use crate::job::Job;
use crate::support::{TIMEOUT, instance, read, until, wait};

const WORKFLOW: &str = ".github/workflows/promote.yml";
const PERMISSIONS: &str =
    "{actions: read, checks: read, contents: read, deployments: write, pull-requests: read}";
/// The message of a deployment once its beginning is on record.
const USED_UP: &str = "is used up by record";

/// A run of the workflow at one of its attempts.
pub(super) struct Promoter<'s> {
    scene: &'s Scene,
    theme: Theme,
    fate: Fate,
    /// True if it rolls back to the digest that was healthy before, instead of promoting a change of its round.
    rolls_back: bool,
    digest: String,
    commit: String,
    run: Run,
}

/// How a step ended.
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    /// True if the test killed it.
    pub(super) killed: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Scene {
    /// One run of the workflow, which has asked for a permit, also once more if it was killed.
    pub(super) fn grants(
        &self,
        round: usize,
        index: usize,
        theme: Theme,
    ) -> (Promoter<'_>, Option<u64>) {
        let fate = Fate::of(theme, round, index);
        let mut promoter = Promoter::new(self, (round, index), theme, fate);
        let mut permit = promoter.grant();
        if permit.is_err() && promoter.fate.returns != Returns::Never {
            promoter.again();
            permit = promoter.grant();
        }
        (promoter, permit.ok().flatten())
    }

    pub(super) fn promotes_undisturbed(&self, round: usize) {
        let mut promoter = Promoter::new(self, (round, 0), Theme::Ends, Fate::UNDISTURBED);
        let permit = promoter.grant().unwrap();
        promoter.deploys(permit.unwrap());
    }

    /// One run that rolls back, as soon as a deployment is under way.
    pub(super) fn rolls_back(&self, round: usize) {
        until("a deployment is under way", TIMEOUT, || {
            (self.newest("permitted")["verdict"] == "started").then_some(())
        });
        let mut promoter = Promoter::new(self, (round, 0), Theme::RollsBack, Fate::UNDISTURBED);
        promoter.rolls_back = true;
        if let Some(permit) = promoter.grant().unwrap() {
            self.struck.lock().unwrap().push(Theme::RollsBack);
            promoter.deploys(permit);
        }
    }
}

impl<'s> Promoter<'s> {
    pub(super) fn new(
        scene: &'s Scene,
        (round, index): (usize, usize),
        theme: Theme,
        fate: Fate,
    ) -> Self {
        let (digest, commit) = scene.change(round, index);
        let text = format!(
            "on: workflow_dispatch\njobs:\n  promote:\n    runs-on: x\n    permissions: {PERMISSIONS}\n    steps: [{{run: x}}]\n"
        );
        let body = json!({
            "workflow": WORKFLOW, "event": "workflow_dispatch", "actor": RELEASER, "workflows": {WORKFLOW: text},
        });
        Self {
            scene,
            theme,
            fate,
            rolls_back: false,
            digest: digest.to_owned(),
            commit: commit.to_owned(),
            run: wait(TIMEOUT, scene.hub.start(&body)).unwrap(),
        }
    }

    /// Runs it again, once. Nothing befalls it then.
    pub(super) fn again(&mut self) {
        self.fate = Fate::UNDISTURBED;
        let hub = &self.scene.hub;
        let path = format!("runs/{}/rerun", self.run.run_id);
        let answer = wait(TIMEOUT, async {
            hub.finish(&self.run, "failure", &[].into()).await.unwrap();
            hub.call(&path, &json!({"user": RELEASER})).await.unwrap()
        });
        self.run = serde_json::from_value(answer).unwrap();
    }

    /// Asks for a permit. An error if the step was killed; nothing if it was refused.
    pub(super) fn grant(&mut self) -> Result<Option<u64>, ()> {
        let ended = self.step("grant", None, "", self.fate.grant);
        let json: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        let permit = json["permit"]["record"].as_u64();
        if let (true, Some(_)) = (self.rolls_back, permit) {
            let text = |name: &str| json[name].as_str().unwrap().to_owned();
            (self.digest, self.commit) = (text("digest"), text("commit"));
        }
        self.note("grant", permit, &ended);
        match ended.killed {
            true => Err(()),
            false => Ok(permit),
        }
    }

    /// Deploys and records, and does so again if that is killed and the run is run again.
    pub(super) fn deploys(&mut self, permit: u64) {
        if self.deploy(permit).is_ok() {
            return;
        }
        let permit = match self.fate.returns {
            Returns::Never => return,
            Returns::FailedJobs => {
                self.again();
                Some(permit)
            }
            Returns::AllJobs => {
                self.again();
                self.grant().unwrap()
            }
        };
        if let Some(permit) = permit {
            self.deploy(permit).unwrap();
        }
    }

    /// The job that deploys and records. An error if it was killed.
    pub(super) fn deploy(&self, permit: u64) -> Result<(), ()> {
        let ended = self.deploy_alone(permit);
        if ended.killed {
            if ended.stderr.contains(USED_UP) {
                self.struck();
            }
            return Err(());
        }
        let verdict = match ended.code {
            Some(0) => "healthy",
            _ => "failed",
        };
        let ended = self.step("record", Some(permit), verdict, self.fate.record);
        if !ended.killed {
            return Ok(());
        }
        if verdict == "healthy" {
            self.struck();
        }
        Err(())
    }

    /// The record of a healthy deployment alone. An error if it did not end well.
    pub(super) fn record(&self, permit: u64) -> Result<(), ()> {
        let ended = self.step("record", Some(permit), "healthy", self.fate.record);
        (ended.code == Some(0)).then_some(()).ok_or(())
    }

    /// The deployment without its record.
    pub(super) fn deploy_alone(&self, permit: u64) -> Ended {
        self.step("deploy", Some(permit), "", self.fate.deploy)
    }

    fn struck(&self) {
        self.scene.struck.lock().unwrap().push(self.theme);
    }

    pub(super) fn note(&self, verb: &'static str, permit: Option<u64>, ended: &Ended) {
        let repository = &self.scene.gate.world.repository;
        let Run {
            run_id,
            run_attempt,
            ..
        } = self.run;
        let step = Step {
            run: format!(
                "https://github.com/{repository}/actions/runs/{run_id}/attempts/{run_attempt}"
            ),
            verb,
            digest: self.digest.clone(),
            permit,
            code: ended.code,
            killed: ended.killed,
            stderr: ended.stderr.clone(),
        };
        self.scene.steps.lock().unwrap().push(step);
    }

    /// A step with its arguments, as the history names it.
    pub(super) fn arguments(
        &self,
        verb: &str,
        permit: Option<u64>,
        verdict: &str,
    ) -> (&'static str, Vec<String>) {
        let number = permit.unwrap_or_default().to_string();
        let digest = ["--digest", &self.digest];
        let (name, own) = match (verb, verdict) {
            ("grant", _) if self.rolls_back => ("grant", vec!["--rollback"]),
            ("grant", _) => ("grant", digest.to_vec()),
            ("deploy", _) => ("deploy", [&digest[..], &["--permit", &number]].concat()),
            (_, verdict) => {
                let name = if verdict == "healthy" {
                    "record healthy"
                } else {
                    "record failed"
                };
                let own = [
                    "--digest",
                    &self.digest,
                    "--commit",
                    &self.commit,
                    "--permit",
                    &number,
                    "--verdict",
                    verdict,
                ];
                (name, own.to_vec())
            }
        };
        let environment = ["--environment", "production", "--json"];
        let all = [&[verb], &own[..], &environment].concat();
        (name, all.into_iter().map(str::to_owned).collect())
    }

    /// One step in the run's job.
    fn step(&self, verb: &str, permit: Option<u64>, verdict: &str, kill: Kill) -> Ended {
        let (name, arguments) = self.arguments(verb, permit, verdict);
        let (job, mut command) = self.command(name, &arguments);
        let ended = until_killed(&job, &mut command, kill);
        if name != "grant" {
            self.note(name, permit, &ended);
        }
        ended
    }

    /// The command of a step, and its job.
    pub(super) fn command(&self, verb: &str, arguments: &[String]) -> (Job, Command) {
        let binary = match verb {
            "deploy" => "slipway-service",
            _ => "slipway-promote",
        };
        let world = &self.scene.gate.world;
        let name = format!("run-{}", self.run.run_id);
        let keys = wait(
            TIMEOUT,
            world.codebuild_session(instance(), "production", &name),
        );
        let mut variables = world.variables(instance());
        variables.extend(world.repository_variables());
        variables.extend(world.environment_variables(world.environment("production").unwrap()));
        variables.extend(keys.unwrap().variables());
        let mut job = Job::new(variables);
        for (name, value) in [
            ("GITHUB_API_URL", Scene::hub_url()),
            (
                "GITHUB_GRAPHQL_URL",
                format!("{}/graphql", Scene::hub_url()),
            ),
            ("GITHUB_REPOSITORY", world.repository.clone()),
            ("GITHUB_TOKEN", self.run.token.clone()),
            ("GITHUB_JOB", "promote".to_owned()),
            ("GITHUB_RUN_ID", self.run.run_id.to_string()),
            ("GITHUB_RUN_ATTEMPT", self.run.run_attempt.to_string()),
            ("GITHUB_ACTOR", RELEASER.to_owned()),
            ("GITHUB_SHA", self.run.sha.clone()),
            ("GITHUB_EVENT_NAME", "workflow_dispatch".to_owned()),
        ] {
            job.set(name, &value);
        }
        let contract = self.scene.gate.folder.path().join("delivery.yaml");
        std::fs::copy(contract, job.file("delivery.yaml")).unwrap();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let command = job.command(binary, &arguments);
        (job, command)
    }
}

/// Runs a step to its end, or to when it is to be killed.
fn until_killed(job: &Job, command: &mut Command, kill: Kill) -> Ended {
    use std::os::unix::process::CommandExt;
    let (stdout, stderr) = (job.file("stdout"), job.file("stderr"));
    let child = command
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&stdout).unwrap())
        .stderr(std::fs::File::create(&stderr).unwrap())
        .process_group(0)
        .spawn();
    let mut child = child.unwrap();
    let deadline = Instant::now() + TIMEOUT;
    // The moment counts from when what it waits for was seen.
    let mut seen = None;
    let (status, killed) = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break (status, false);
        }
        let after = match kill {
            Kill::Never => None,
            Kill::Started(after) => Some((true, after)),
            Kill::Recorded(after) => {
                Some((seen.is_some() || read(&stderr).contains(USED_UP), after))
            }
        };
        if let Some((true, after)) = after {
            let since: &mut Instant = seen.get_or_insert_with(Instant::now);
            if since.elapsed() >= after {
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let status = child.wait().unwrap();
                // It may have ended in the same moment.
                break (status, status.code().is_none());
            }
        }
        if Instant::now() > deadline {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
            panic!("not over after {} s: {}", TIMEOUT.as_secs(), read(&stderr));
        }
        sleep(Duration::from_millis(10));
    };
    Ended {
        code: status.code(),
        killed,
        stdout: read(&stdout),
        stderr: read(&stderr),
    }
}

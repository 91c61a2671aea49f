//! One build from its buildspec to its exported variables.

use std::fs;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use super::container::Container;
use super::credentials::Endpoint;
use super::log::Log;
use super::phases::{Phase, Status, next};
use super::source::WEBHOOK;
use super::spec::{Block, Spec};
use super::stored;
use super::variables::{Given, exported, layered};
use super::{Build, Ended};
use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, port};
use crate::world::runner::Variables;
use crate::world::{World, http_client};

/// Runs a build to its end. `show` gets each line of the log as it comes. A build that failed is not an error; that it
/// could not be run is.
pub async fn run(
    instance: &Instance,
    world: &World,
    build: &Build,
    show: &mut dyn FnMut(&str),
) -> Result<Ended> {
    let mut log = Log::new(show)?;
    let id = uuid::Uuid::new_v4().to_string();
    tell(instance, world, build, &id, None).await?;
    let ended = go(instance, world, build, &id, &mut log).await;
    let status = match &ended {
        Ok((phases, _)) => build_status(phases),
        Err(_) => "FAULT",
    };
    tell(instance, world, build, &id, Some(status)).await?;
    fs::write(build.folder.join("log.txt"), &log.text).context("writing the log")?;
    let (phases, exported) = ended?;
    Ok(Ended {
        success: phases
            .iter()
            .all(|(_, status)| *status == Status::Succeeded),
        phases,
        exported,
        log: log.text,
        folder: build.folder.clone(),
    })
}

/// The phases that were entered, and what is exported.
type Outcome = (Vec<(Phase, Status)>, Variables);

/// How the build has ended, as CodeBuild says it (CodeBuild API Reference, `Build`).
fn build_status(phases: &[(Phase, Status)]) -> &'static str {
    let any = |wanted: Status| phases.iter().any(|(_, status)| *status == wanted);
    if any(Status::TimedOut) {
        "TIMED_OUT"
    } else if any(Status::Failed) {
        "FAILED"
    } else {
        "SUCCEEDED"
    }
}

/// Registers the build's status with CodeBuild's API: that it runs, or how it ended.
async fn tell(
    instance: &Instance,
    world: &World,
    build: &Build,
    id: &str,
    ended: Option<&str>,
) -> Result<()> {
    let url = format!("{}/_sandbox/builds", instance.url(port::GATEWAY));
    let id = format!("{}:{id}", build.project);
    let account = &world.build.id;
    let body = json!({"account": account, "region": world.region, "build": {
        "id": id,
        "arn": world.arn(account, "codebuild", &format!("build/{id}")),
        "buildNumber": build.number,
        "projectName": build.project,
        "initiator": build.initiator,
        "sourceVersion": build.version,
        "buildStatus": ended.unwrap_or("IN_PROGRESS"),
        "buildComplete": ended.is_some(),
    }});
    let answer = http_client()?.post(&url).json(&body).send().await;
    let answer = answer.context(format!("asking {url}"))?;
    answer
        .error_for_status()
        .context("telling of a build")
        .map(drop)
}

async fn go(
    instance: &Instance,
    world: &World,
    build: &Build,
    id: &str,
    log: &mut Log<'_>,
) -> Result<Outcome> {
    let home = build.folder.join("home");
    fs::create_dir_all(&home).context(format!("making {}", home.display()))?;
    // Not below the build's folder: programs put sockets into it, whose paths must be short (unix(7)).
    let scratch = tempfile::Builder::new()
        .prefix("slipway-build-")
        .tempdir()
        .context("making the build's temporary folder")?;
    log.note(&format!("Phase is {}", Phase::DownloadSource));
    log.note(&format!("CODEBUILD_SRC_DIR={}", build.source().display()));
    log.note(&format!("YAML location is {}", build.buildspec.display()));
    let text = fs::read_to_string(&build.buildspec)
        .context(format!("reading {}", build.buildspec.display()))?;
    let layered = Spec::parse(&text).and_then(|spec| {
        let given = layered(
            &spec.variables,
            &build.project_variables,
            &build.start_variables,
        )?;
        Ok((spec, given))
    });
    let (spec, given) = match layered {
        Ok(layered) => layered,
        Err(fault) => {
            return Ok((
                failed_to_begin(log, "YAML_FILE_ERROR", &fault),
                Variables::new(),
            ));
        }
    };

    log.note("Processing environment variables");
    // The service prefixes its session names so (CodeBuild User Guide, "Logging API calls with CloudTrail").
    let keys = world
        .codebuild_session(instance, &build.stage, &format!("AWSCodeBuild-{id}"))
        .await?;
    let values = match stored::fetch(&world.caller(instance, keys.clone())?, &given).await {
        Ok(values) => values,
        Err(fault) => {
            return Ok((
                failed_to_begin(log, "CLIENT_ERROR", &fault),
                Variables::new(),
            ));
        }
    };
    log.hide(&values.hidden);
    let credentials = Endpoint::serve(&keys).await?;

    let mut environment = world.variables(instance);
    environment.insert("HOME".to_owned(), home.display().to_string());
    environment.insert("TMPDIR".to_owned(), scratch.path().display().to_string());
    environment.extend(values.all);
    environment.extend(own(world, build, id));
    environment.insert(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
        credentials.url.clone(),
    );
    let mut container = Container::start(scratch.path(), spec.shell, environment, &build.source())?;
    complete(log, Phase::DownloadSource, Status::Succeeded, "", "");
    execute(&spec, &given, &mut container, log, build.timeout).await
}

/// A build whose buildspec or variables are wrong fails before its first command.
fn failed_to_begin(log: &mut Log<'_>, code: &str, fault: &Fault) -> Vec<(Phase, Status)> {
    complete(
        log,
        Phase::DownloadSource,
        Status::Failed,
        code,
        &fault.to_string(),
    );
    vec![(Phase::DownloadSource, Status::Failed)]
}

fn complete(log: &mut Log<'_>, phase: Phase, status: Status, code: &str, message: &str) {
    log.note(&format!("Phase complete: {phase} State: {status}"));
    log.note(&format!(
        "Phase context status code: {code} Message: {message}"
    ));
}

/// The variables that CodeBuild sets about itself, except CODEBUILD_BUILD_SUCCEEDING.
fn own(world: &World, build: &Build, id: &str) -> Variables {
    let account = &world.build.id;
    let region = &world.region;
    let project = &build.project;
    let build_id = format!("{project}:{id}");
    let mut variables: Variables = [
        ("CODEBUILD_BUILD_ARN", world.arn(account, "codebuild", &format!("build/{build_id}"))),
        ("CODEBUILD_BUILD_ID", build_id),
        ("CODEBUILD_BUILD_IMAGE", "sandbox".to_owned()),
        ("CODEBUILD_BUILD_NUMBER", build.number.to_string()),
        (
            "CODEBUILD_BUILD_URL",
            format!(
                "https://{region}.console.aws.amazon.com/codesuite/codebuild/{account}/projects/{project}/build/{project}%3A{id}"
            ),
        ),
        ("CODEBUILD_INITIATOR", build.initiator.clone()),
        ("CODEBUILD_KMS_KEY_ID", world.arn(account, "kms", "alias/aws/s3")),
        ("CODEBUILD_LOG_PATH", id.to_owned()),
        ("CODEBUILD_PROJECT_ARN", world.arn(account, "codebuild", &format!("project/{project}"))),
        ("CODEBUILD_SOURCE_REPO_URL", format!("https://github.com/{}.git", world.repository)),
        ("CODEBUILD_SOURCE_VERSION", build.version.clone()),
        ("CODEBUILD_SRC_DIR", build.source().display().to_string()),
        ("CODEBUILD_START_TIME", (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(commit) = &build.commit {
        variables.insert(
            "CODEBUILD_RESOLVED_SOURCE_VERSION".to_owned(),
            commit.clone(),
        );
    }
    if build.initiator == WEBHOOK {
        let trigger = match build.version.starts_with("pr/") {
            true => build.version.clone(),
            false => format!("branch/{}", build.version),
        };
        variables.insert("CODEBUILD_WEBHOOK_TRIGGER".to_owned(), trigger);
    }
    variables
}

/// Goes from phase to phase until the documented transitions lead nowhere.
async fn execute(
    spec: &Spec,
    given: &Given,
    container: &mut Container,
    log: &mut Log<'_>,
    timeout: Duration,
) -> Result<Outcome> {
    let deadline = Instant::now() + timeout;
    let mut phases = vec![(Phase::DownloadSource, Status::Succeeded)];
    let mut succeeding = true;
    let nothing = Block::default();
    let mut upcoming = next(Phase::DownloadSource, Status::Succeeded, None);
    while let Some(phase) = upcoming {
        let block = spec.phases.get(&phase).unwrap_or(&nothing);
        log.note(&format!("Entering phase {phase}"));
        let failure = run_block(block, container, log, deadline, &mut succeeding).await?;
        let (status, code, message) = match failure {
            None => (Status::Succeeded, "", String::new()),
            Some(Failure::Command(message)) => (Status::Failed, "COMMAND_EXECUTION_ERROR", message),
            Some(Failure::Time) => (
                Status::TimedOut,
                "BUILD_TIMED_OUT",
                format!("the build was not over after {} s", timeout.as_secs()),
            ),
        };
        complete(log, phase, status, code, &message);
        phases.push((phase, status));
        upcoming = next(phase, status, block.on_failure);
    }
    let (exported, skipped) = exported(&spec.exported, given, &container.environment);
    for (name, why) in skipped {
        log.note(&format!("{name} is not exported: {why}"));
    }
    Ok((phases, exported))
}

/// Why a phase failed.
enum Failure {
    Command(String),
    Time,
}

/// Runs the commands up to the first that fails, then the `finally` commands up to the first of theirs that does.
async fn run_block(
    block: &Block,
    container: &mut Container,
    log: &mut Log<'_>,
    deadline: Instant,
    succeeding: &mut bool,
) -> Result<Option<Failure>> {
    let mut failure = None;
    for commands in [&block.commands, &block.finally] {
        for command in commands {
            let shown = command.trim_end();
            container.environment.insert(
                "CODEBUILD_BUILD_SUCCEEDING".to_owned(),
                i32::from(*succeeding).to_string(),
            );
            log.note(&format!("Running command {shown}"));
            let Ok(status) =
                timeout_at(deadline, container.run(command, &mut |line| log.line(line))).await
            else {
                *succeeding = false;
                return Ok(Some(Failure::Time));
            };
            let status = status?;
            if status != 0 {
                *succeeding = false;
                log.note(&format!(
                    "Command did not exit successfully {shown} exit status {status}"
                ));
                let message =
                    format!("Error while executing command: {shown}. Reason: exit status {status}");
                failure.get_or_insert(Failure::Command(message));
                break;
            }
        }
    }
    Ok(failure)
}

#[cfg(test)]
mod tests;

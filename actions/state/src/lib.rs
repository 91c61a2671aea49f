//! The state lock: the item Terraform itself would write, held around a command, so that no two
//! runs change one state from any machine, and given back whatever happens to the run.

mod args;
mod backend;
mod bootstrap;
mod folder;
mod hold;
mod info;
mod lock;
mod place;
mod report;

use args::{Args, Verb};
use folder::Folder;
use info::LockInfo;
use kit::action::Action;
use kit::child::{self, Program, Running};
use kit::error::{Error, Result};
use kit::group::Group;
use kit::signal::unless_interrupted;
use kit::{Cx, Report, Step};
use lock::{Lock, Release};
use net::{Account, Net};
use place::Placed;
use std::path::PathBuf;
use std::process::ExitStatus;

/// The step.
pub struct State;

impl Step for State {
    type Args = Args;

    const ACTION: Action = Action {
        name: "state",
        description: "The Terraform state lock, held around a command and given back after success, failure and cancellation",
        icon: "archive",
        outputs: &[
            ("lock-id", "ID of the lock that is held (for lock)"),
            (
                "holder",
                "Who holds the lock, empty when nobody does (for status)",
            ),
        ],
        secrets: &[],
        post: true,
    };

    fn handles_signals(args: &Args) -> bool {
        matches!(args.verb, Verb::Run { .. } | Verb::Lock { .. })
    }

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        match args.verb {
            Verb::Run {
                place,
                object,
                wait,
                directory,
                command,
            } => {
                let placed = place::find(&place, &object, cx)?;
                run(&placed, wait.lock_timeout, directory, &command, cx).await
            }
            Verb::Lock {
                place,
                object,
                wait,
            } => {
                let placed = place::find(&place, &object, cx)?;
                let (account, lock) = unless_interrupted(open(&placed, cx)).await?;
                let info = take(&lock, &account, "lock", wait.lock_timeout, &placed, cx).await?;
                Ok(report::locked(&lock, &info))
            }
            Verb::Unlock {
                place,
                object,
                lock_id,
            } => {
                let (_, lock) = open(&place::find(&place, &object, cx)?, cx).await?;
                match lock.release(&lock_id).await? {
                    Release::Released => Ok(report::unlocked(&lock, "given back")),
                    Release::Absent => Ok(report::unlocked(&lock, "held by nobody already")),
                    Release::NotOurs(held) => Err(Error::refused(format!(
                        "the lock {} is not the one with ID {lock_id}",
                        lock.id
                    ))
                    .cause(format!("held by {held}"))),
                }
            }
            Verb::Status { place, object } => {
                let (_, lock) = open(&place::find(&place, &object, cx)?, cx).await?;
                Ok(report::status(&lock, lock.look().await?.as_ref()))
            }
            Verb::Bootstrap { place, dry_run } => {
                let store = place::store(&place, cx)?;
                let account = Net::new(cx)?.account(&store.target).await?;
                bootstrap::run(&account, &store, dry_run, cx).await
            }
        }
    }

    /// Releases what a cancelled step left behind. Fresh credentials: the step's may have ended.
    async fn post(cx: &Cx) -> Result<()> {
        let Some(left) = place::remembered(cx)? else {
            return Ok(());
        };
        let (_, lock) = open(&left.placed, cx).await?;
        if let Some(command) = left.command
            && lock
                .look()
                .await?
                .is_some_and(|held| held.is(&left.lock_id))
        {
            end(command, &lock, &left.lock_id, cx).await?;
        }
        match lock.release(&left.lock_id).await? {
            Release::Released => cx.host.warn(format!(
                "released the state lock {} that the step left behind",
                lock.id
            )),
            Release::Absent => {}
            Release::NotOurs(held) => cx
                .host
                .info(format!("{} is somebody else's by now: {held}", lock.id)),
        }
        Ok(())
    }
}

/// Ends the command of a step that was killed: while it runs it may write the state, and the lock
/// is what keeps others away.
async fn end(command: Group, lock: &Lock, lock_id: &str, cx: &Cx) -> Result<()> {
    if command.runs()? {
        cx.host.info(format!(
            "the step was killed and its command runs on: ending it before {} is given back",
            lock.id
        ));
    }
    match command.end().await {
        Ok(true) => {
            cx.host.warn(
                "ended the command that the step left behind; compare the state with what was planned before the next apply: terraform plan",
            );
            Ok(())
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error
            .cause(format!("so the lock {} stays", lock.id))
            .hint(format!(
                "once the command is over for certain: {}",
                lock.unlock_command(lock_id)
            ))),
    }
}

async fn open(placed: &Placed, cx: &Cx) -> Result<(Account, Lock)> {
    let account = Net::new(cx)?.account(&placed.target).await?;
    let lock = Lock {
        client: aws_sdk_dynamodb::Client::new(&account.config),
        table: placed.backend.table.clone(),
        id: placed.backend.lock_id(),
    };
    Ok((account, lock))
}

/// Takes the lock and tells the post step of it, in the other order: between a lock that was
/// taken and a note of it the job could be killed.
async fn take(
    lock: &Lock,
    account: &Account,
    what: &str,
    timeout: std::time::Duration,
    placed: &Placed,
    cx: &Cx,
) -> Result<LockInfo> {
    let who = cx.host.actor().unwrap_or_else(|| account.arn.clone());
    let run = cx.host.run_url().unwrap_or_default();
    let info = LockInfo::new(
        lock.id.clone(),
        &format!("slipway-state {what}"),
        run,
        who,
        cx.clock.now(),
    );
    place::remember(placed, &info.id, None, cx)?;
    tokio::select! {
        taken = hold::acquire(lock, &info, timeout, cx) => taken?,
        signal = kit::signal::interrupted() => {
            // The write may be under way: whatever stands there with our ID is removed.
            lock.release(&info.id).await?;
            return Err(Error::new(
                kit::Exit::Interrupted,
                format!("interrupted by {signal} while waiting for {}", lock.id),
            ));
        }
    }
    cx.host
        .info(format!("holding {} with lock ID {}", lock.id, info.id));
    Ok(info)
}

async fn run(
    placed: &Placed,
    timeout: std::time::Duration,
    directory: Option<PathBuf>,
    command: &[String],
    cx: &Cx,
) -> Result<Report> {
    if cx
        .env
        .get("TF_WORKSPACE")
        .is_some_and(|name| name != "default")
    {
        return Err(Error::usage("TF_WORKSPACE is set: a workspace's state has another key, which this lock does not cover")
            .hint("use the contract's environment-scoped keys instead of workspaces"));
    }
    let directory = directory
        .or_else(|| placed.directory.clone())
        .unwrap_or_else(|| PathBuf::from("."));
    if !directory.is_dir() {
        return Err(
            Error::usage(format!("{} is no folder", directory.display()))
                .hint("--directory DIR, or `state.directory` in the contract"),
        );
    }
    let data_dir = cx.env.get("TF_DATA_DIR").unwrap_or(".terraform").to_owned();
    let folder = Folder::before(&directory, &data_dir, &placed.backend)?;
    let mut program = placed
        .backend
        .configure(Program::new(command, &cx.env)?, net::path_style(&cx.env))
        .directory(directory.clone());
    if let Some(resolved) = &placed.resolved {
        for (name, value) in resolved.terraform_variables() {
            program = program.env(name, value);
        }
    }

    let (account, lock) = unless_interrupted(open(placed, cx)).await?;
    let program = account.lend(program);
    let info = take(&lock, &account, "run", timeout, placed, cx).await?;
    let ended = match program.start(&cx.host) {
        Ok(running) => attend(running, placed, &info, cx).await,
        Err(error) => Err(error),
    };
    // Whatever became of the command, the lock goes back first.
    let released = lock.release(&info.id).await;
    let (status, interrupted) = ended?;
    let verdict = child::verdict(program.shown(), status);
    match (verdict, released) {
        (Err(error), Ok(Release::Released)) => Err(error.cause(if interrupted {
            "it was interrupted; the lock was given back"
        } else {
            "the lock was given back"
        })),
        (Err(error), _) => Err(error.cause(format!(
            "and the lock {} with ID {} could not be given back",
            lock.id, info.id
        ))),
        (Ok(()), Ok(Release::Released)) => {
            folder.after()?;
            Ok(report::ran(program.shown(), &lock, &info))
        }
        (Ok(()), Ok(lost)) => Err(lost_lock(&lock, &info, &lost)),
        (Ok(()), Err(error)) => Err(error.hint(format!(
            "the command succeeded; give the lock back: {}",
            lock.unlock_command(&info.id)
        ))),
    }
}

/// Waits for the command. Where this process is killed, the post step must not give the lock back
/// while the command runs, so it is told where to find it, and whether it was interrupted before.
async fn attend(
    mut running: Running,
    placed: &Placed,
    info: &LockInfo,
    cx: &Cx,
) -> Result<(ExitStatus, bool)> {
    let group = running.group();
    let told = place::remember(placed, &info.id, group, cx);
    if told.is_err() {
        running.interrupted();
    }
    let status = running
        .wait_telling(|| {
            let interrupted = group.map(Group::interrupted);
            // The signal is handed on all the same; the earlier note still finds the command.
            let _ = place::remember(placed, &info.id, interrupted, cx);
        })
        .await;
    told?;
    Ok((status?, running.was_interrupted()))
}

/// Somebody removed the lock while the command ran: two may have changed the state at once.
fn lost_lock(lock: &Lock, info: &LockInfo, release: &Release) -> Error {
    let error = Error::failed(format!(
        "the lock {} was taken away while the command ran",
        lock.id
    ));
    match release {
        Release::NotOurs(held) => error.cause(format!("held by {held}")),
        Release::Absent | Release::Released => error.cause(format!(
            "nobody holds it now; somebody forced lock ID {} open",
            info.id
        )),
    }
    .hint("compare the state with what was planned before the next apply: terraform plan")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_and_readme_say_what_the_arguments_say() {
        kit::action::check::<State>(env!("CARGO_MANIFEST_DIR")).unwrap();
    }
}

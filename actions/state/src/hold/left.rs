//! The post step: what it does about the lock that its step took, and about a command that the step left
//! running.

use super::opened::{Opened, open};
use super::post::{self, Condition, Settling, settling};
use super::repair::repair;
use crate::guard::MARK;
use crate::lease::{Lease, Phase};
use crate::lock::{Changed, Held, Lock, Record};
use crate::note::{self, Remembered, Work};
use crate::rescue::{self, Copies, Origin};
use crate::shim;
use kit::error::{Error, Result};
use kit::group::Group;
use kit::step::Cx;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A lease as this job would write it, for comparison.
pub(super) fn own_lease(cx: &Cx) -> Lease {
    Lease::new(Phase::Kept, Duration::ZERO, None, cx)
}

/// The post step: releases what its step left behind. Its job may have handed the lock on, which
/// then is no longer its own.
pub(crate) async fn release_left(cx: &Cx) -> Result<()> {
    let Some(remembered) = note::remembered(cx)? else {
        return Ok(());
    };
    let opened = open(&remembered.located, remembered.hold, cx).await?;
    let lock = &opened.lock;
    // A command that outlives its step sends no heartbeats; nothing else changes the lock.
    for _ in 0..3 {
        let seen = lock.look().await?;
        let files = || {
            remembered
                .work
                .as_ref()
                .map(Work::errored_states)
                .unwrap_or_default()
        };
        let condition = post::condition(
            seen.as_ref(),
            &remembered.lock_id,
            &own_lease(cx),
            !files().is_empty(),
        );
        let Some(held) = seen else {
            return Ok(());
        };
        match condition {
            Condition::Ours => {}
            Condition::Broken => {
                warn_lock_stays(lock, &remembered.lock_id, &held.rescued(), cx);
                return Ok(());
            }
            Condition::Released => return Ok(()),
            Condition::AnotherHolder => {
                cx.host.info(format!(
                    "the lock {} was acquired by somebody else meanwhile: {held}",
                    lock.id
                ));
                return Ok(());
            }
            Condition::Parked => {
                cx.host.info(format!(
                    "{} is parked, and left to the job that adopts it",
                    lock.id
                ));
                return Ok(());
            }
            Condition::Adopted => {
                cx.host.info(format!("{} was adopted by {held}", lock.id));
                return Ok(());
            }
        }
        if let Some(work) = &remembered.work {
            end_command(work.command, lock, &remembered.lock_id, cx).await?;
        }
        if settle(&opened, &remembered, &held, &files(), cx).await? {
            return Ok(());
        }
    }
    Err(Error::failed(format!(
        "the lock {} changes while it is being released",
        lock.id
    ))
    .hint(lock.command("status")))
}

/// Releases what is left, or keeps a state that could not be written. `false`: it changed since it
/// was seen.
async fn settle(
    opened: &Opened,
    remembered: &Remembered,
    held: &Held,
    files: &[PathBuf],
    cx: &Cx,
) -> Result<bool> {
    let lock = &opened.lock;
    let meant = match (settling(held, !files.is_empty()), &held.info, &held.lease) {
        (Settling::Rescue, Some(info), Some(lease)) => {
            let rescued = rescue(opened, remembered, files, cx).await;
            let mut record = Record {
                info: (**info).clone(),
                lease: lease.renewed(),
            };
            record.lease.phase = Phase::NeedsRepair;
            if let Ok(copies) = &rescued {
                record.lease.rescued.add(copies.clone());
            }
            if lock.replace(held, &record).await? != Changed::Done {
                return Ok(false);
            }
            warn_lock_stays(lock, &remembered.lock_id, &record.lease.rescued, cx);
            return rescued.map(|_| true);
        }
        (Settling::Release { meant }, _, _) => meant,
        (Settling::Rescue, _, _) => false,
    };
    if lock.remove(held).await? != Changed::Done {
        return Ok(false);
    }
    let line = format!(
        "released the state lock {} that the step left behind",
        lock.id
    );
    match meant {
        true => cx.host.info(line),
        false => cx.host.warn(line),
    }
    Ok(true)
}

fn warn_lock_stays(lock: &Lock, lock_id: &str, copies: &Copies, cx: &Cx) {
    cx.host.warn(format!(
        "{} stays locked until its state is repaired: {}",
        lock.id,
        repair(lock, lock_id, copies)
    ));
}

/// Keeps the states that the command of a killed step could not write. Returns the copies.
async fn rescue(
    opened: &Opened,
    remembered: &Remembered,
    files: &[PathBuf],
    cx: &Cx,
) -> Result<Copies> {
    let backend = &remembered.located.backend;
    let files: Vec<Origin> = files
        .iter()
        .map(|file| {
            let folder = file.parent().unwrap_or(Path::new("."));
            let state = shim::state_in(folder, backend.workspace.as_deref());
            Origin::new(file, state)
        })
        .collect();
    let copies = rescue::keep(&opened.s3, backend, &remembered.lock_id, &files).await?;
    if files.iter().any(|file| !file.complete) {
        cx.host.warn(format!(
            "the step left only a part of a state that its command could not write, kept at {copies}: {}",
            rescue::IN_THE_LOG
        ));
    } else if !files.is_empty() {
        cx.host.warn(format!(
            "the step left a state that its command could not write: rescued to {copies}"
        ));
    }
    Ok(copies)
}

/// Ends the command of a step that was killed: while it runs it may write the state, and the lock
/// is what keeps others away.
pub(super) async fn end_command(
    command: Option<Group>,
    lock: &Lock,
    lock_id: &str,
    cx: &Cx,
) -> Result<()> {
    // A step that was killed while it started its command could not note which it is. The guard has
    // interrupted that one.
    let command = match command {
        Some(command) => Some(command),
        None => Group::marked(MARK, lock_id)?.map(Group::interrupted),
    };
    let Some(command) = command else {
        return Ok(());
    };
    if command.runs()? {
        cx.host.info(format!(
            "the step was killed but its command is still running: ending it before {} is released",
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
                "once you are certain that the command has ended: {}",
                lock.command(&format!("force-unlock --lock-id {lock_id}"))
            ))),
    }
}

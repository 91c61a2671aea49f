//! The final reports of slipway-state.

use crate::backend::Locking;
use crate::dependencies::Notes;
use crate::lock::{Held, Lock, Record};
use kit::markdown;
use kit::report::{Report, count};
use serde_json::json;

pub(crate) fn locked(lock: &Lock, record: &Record) -> Report {
    kept(
        lock,
        record,
        format!("{} is yours until unlock or the end of the job", lock.id),
    )
}

pub(crate) fn parked(lock: &Lock, record: &Record) -> Report {
    let until = record.lease.ends().map_or_else(String::new, |end| {
        format!(" until {}", kit::clock::rfc3339(end))
    });
    kept(
        lock,
        record,
        format!(
            "{} is parked{until}, and left to the job that adopts it",
            lock.id
        ),
    )
}

fn kept(lock: &Lock, record: &Record, headline: String) -> Report {
    let (id, rvn) = (&record.info.id, &record.lease.rvn);
    Report {
        text: format!("{headline}\nlock ID {id}, version number {rvn}"),
        json: json!({ "lock": lock.id, "lock_id": id, "rvn": rvn, "until": record.lease.until }),
        ..Report::default()
    }
    .output("lock-id", id)
    .output("rvn", rvn)
}

pub(crate) fn unlocked(lock: &Lock, outcome: &str) -> Report {
    Report {
        text: format!("{} is {outcome}", lock.id),
        json: json!({ "lock": lock.id, "result": outcome }),
        ..Report::default()
    }
}

pub(crate) fn forced(lock: &Lock, held: &Held, by: Option<String>) -> Report {
    Report {
        text: format!("removed the lock of {held}"),
        summary: format!(
            "### State\n\n{}",
            markdown::table(
                &["state", "lock removed by force", "by"],
                &[vec![
                    lock.id.clone(),
                    held.to_string(),
                    by.clone().unwrap_or_default()
                ]],
            )
        ),
        json: json!({ "lock": lock.id, "removed": held.info, "by": by }),
        ..Report::default()
    }
}

/// One lock as `status` found it.
pub(crate) struct LockStatus<'a> {
    pub(crate) lock: &'a Lock,
    pub(crate) held: Option<Held>,
    /// The holder's condition (alive or gone), as far as it can be known here.
    pub(crate) known: Option<String>,
    pub(crate) waiting: u64,
    /// The mismatch between the lock table and the lock object, if the lock should be in both.
    pub(crate) half: Option<String>,
}

pub(crate) fn status(native: &LockStatus<'_>, beside: &LockStatus<'_>) -> Report {
    let mut lines = vec![line(native)];
    if beside.held.is_some() || beside.waiting > 0 {
        lines.push(line(beside));
    }
    let held = native.held.as_ref().or(beside.held.as_ref());
    let mut json = json(native);
    json["beside"] = self::json(beside);
    Report {
        text: lines.join("\n"),
        json,
        ..Report::default()
    }
    .output("holder", held.map(ToString::to_string).unwrap_or_default())
}

fn line(seen: &LockStatus<'_>) -> String {
    let id = &seen.lock.id;
    let mut lines = match &seen.held {
        None => vec![format!("{id} is free")],
        Some(held) => vec![format!("{id} is held by {held}")],
    };
    if let Some(lease) = seen.held.as_ref().and_then(|held| held.lease.as_ref()) {
        let phase = serde_json::to_value(lease.phase).unwrap_or_default();
        let mut line = format!(
            "  {}",
            phase.as_str().unwrap_or("unknown").replace('-', " ")
        );
        if let Some(end) = lease.ends() {
            line.push_str(&format!(" until {}", kit::clock::rfc3339(end)));
        }
        if !lease.rescued.is_empty() {
            line.push_str(&format!("; its state was rescued to {}", lease.rescued));
        }
        lines.push(line);
    }
    lines.extend(seen.known.iter().map(|known| format!("  {known}")));
    if seen.held.as_ref().is_some_and(|held| held.id().is_empty()) {
        let force = seen.lock.command("force-unlock --lock-id \"\"");
        lines.push(format!(
            "  it has no lock ID; only if you are certain that nobody uses it: {force}"
        ));
    }
    if seen.waiting > 0 {
        lines.push(format!(
            "  up to {} waiting",
            count(usize::try_from(seen.waiting).unwrap_or(usize::MAX), "run")
        ));
    }
    lines.extend(
        seen.half
            .iter()
            .map(|half| format!("  half a lock: {half}")),
    );
    lines.join("\n")
}

fn json(seen: &LockStatus<'_>) -> serde_json::Value {
    let lease = seen.held.as_ref().and_then(|held| held.lease.as_ref());
    json!({
        "lock": seen.lock.id,
        "table": seen.lock.item().map(|item| &item.table),
        "held": seen.held.is_some(),
        "info": seen.held.as_ref().and_then(|held| held.info.as_ref()),
        "run": lease.and_then(|lease| lease.run_url.as_ref()),
        "lease": lease,
        "alive": seen.known,
        "waiting": seen.waiting,
        "half": seen.half,
    })
}

pub(crate) fn ran(
    shown: &str,
    lock: &Lock,
    record: &Record,
    adopted: bool,
    notes: &Notes,
) -> Report {
    let first = shown.lines().next().unwrap_or_default();
    let (id, rvn) = (&record.info.id, &record.lease.rvn);
    let (text, outcome) = if adopted {
        ("and is kept", "kept")
    } else {
        ("and released", "released")
    };
    let noted: String = notes
        .lines()
        .iter()
        .map(|line| format!("- {}\n", markdown::text(line)))
        .collect();
    let report = Report {
        text: format!("{} was held around the command {text}", lock.id),
        summary: format!(
            "### State\n\n{}\n{noted}",
            markdown::table(
                &["state", "lock", "command"],
                &[vec![
                    lock.id.clone(),
                    format!("held and {outcome}, ID {id}"),
                    first.to_owned()
                ]],
            )
        ),
        json: json!({
            "lock": lock.id, "lock_id": id, "command": shown, "kept": adopted, "dependencies": notes,
        }),
        ..Report::default()
    };
    if adopted {
        report.output("lock-id", id).output("rvn", rvn)
    } else {
        report
    }
}

pub(crate) fn moved(lock: &Lock, to: Locking, before: bool) -> Report {
    let next = match to {
        Locking::Both => {
            "in the backend, set use_lockfile = true beside dynamodb_table, and give --locking both here, wherever this state is used; then: slipway-state move-lock --to file"
        }
        Locking::File => {
            "in the backend, remove dynamodb_table and keep use_lockfile = true; here, remove `table` from the contract and leave --table, TF_LOCK_TABLE and --locking out; clients that still lock with the table alone are refused with this reason"
        }
        Locking::Dynamodb => {
            "in the backend, remove use_lockfile and keep dynamodb_table; here, name the table in the contract or with --table, and leave --locking out. Terraform calls dynamodb_table deprecated"
        }
    };
    let done = if before {
        "already uses"
    } else {
        "can be locked with"
    };
    Report {
        text: format!("{} {done} {}\nnext: {next}", lock.id, to.words()),
        json: json!({ "lock": lock.id, "locking": to.name(), "next": next }),
        ..Report::default()
    }
}

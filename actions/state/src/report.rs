//! What slipway-state says when it is done.

use crate::info::LockInfo;
use crate::lock::{Holder, Lock};
use kit::report::{Report, markdown_table};

pub(crate) fn locked(lock: &Lock, info: &LockInfo) -> Report {
    Report {
        text: format!(
            "{} is yours until unlock or the end of the job\nlock ID {}",
            lock.id, info.id
        ),
        json: serde_json::json!({ "lock": lock.id, "lock_id": info.id, "table": lock.table }),
        ..Report::default()
    }
    .output("lock-id", &info.id)
}

pub(crate) fn unlocked(lock: &Lock, how: &str) -> Report {
    Report {
        text: format!("{} is {how}", lock.id),
        json: serde_json::json!({ "lock": lock.id, "result": how }),
        ..Report::default()
    }
}

pub(crate) fn status(lock: &Lock, held: Option<&Holder>) -> Report {
    let (text, json) = match held {
        None => (
            format!("{} is free", lock.id),
            serde_json::json!({ "lock": lock.id, "table": lock.table, "held": false }),
        ),
        Some(holder) => {
            let (info, run) = match holder {
                Holder::Known { info, run } => (Some(info), run.as_ref()),
                Holder::Unreadable => (None, None),
            };
            (
                format!("{} is held by {holder}", lock.id),
                serde_json::json!({
                    "lock": lock.id, "table": lock.table, "held": true, "info": info, "run": run,
                }),
            )
        }
    };
    Report {
        text,
        json,
        ..Report::default()
    }
    .output("holder", held.map(ToString::to_string).unwrap_or_default())
}

pub(crate) fn ran(shown: &str, lock: &Lock, info: &LockInfo) -> Report {
    let first = shown.lines().next().unwrap_or_default();
    Report {
        text: format!("{} was held around the command and given back", lock.id),
        summary: format!(
            "### State\n\n{}",
            markdown_table(
                &["state", "lock", "command"],
                &[vec![
                    lock.id.clone(),
                    format!("held and released, ID {}", info.id),
                    first.to_owned()
                ]],
            )
        ),
        json: serde_json::json!({ "lock": lock.id, "lock_id": info.id, "command": shown }),
        ..Report::default()
    }
}

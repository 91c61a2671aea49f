//! The reports of the verbs about the history of a state.

use super::seen::{Known, Looked, StateRollback, Verdict};
use crate::object::{Objects, StateFile, StateVersion};
use aws_sdk_s3::primitives::DateTimeFormat;
use kit::error::{Error, Result};
use kit::markdown;
use kit::report::{Report, count, text_table};
use serde_json::json;

pub(super) fn versions(state: &str, known: &[Known], digest: Option<&str>) -> Report {
    let marks = |known: &Known| {
        let version = &known.version;
        let of_digest = known
            .state
            .as_ref()
            .is_some_and(|state| Some(state.digest().as_str()) == digest);
        let mut marks = Vec::new();
        for (is, word) in [
            (version.latest, "current"),
            (of_digest, "digest"),
            (version.deleted, "deleted"),
            (known.state.is_none() && !version.deleted, "not a state"),
        ] {
            if is {
                marks.push(word);
            }
        }
        marks.join(", ")
    };
    let rows: Vec<Vec<String>> = known
        .iter()
        .map(|known| {
            let of_state =
                |read: fn(&StateFile) -> String| known.state.as_ref().map(read).unwrap_or_default();
            vec![
                known.version.id.clone(),
                when(known),
                of_state(|state| state.serial.to_string()),
                of_state(|state| state.lineage.chars().take(8).collect()),
                of_state(|state| state.version.clone()),
                of_state(|state| state.bytes.len().to_string()),
                marks(known),
            ]
        })
        .collect();
    let header = [
        "version", "when", "serial", "lineage", "tool", "bytes", "what",
    ];
    Report {
        text: if rows.is_empty() {
            format!("{state} has no versions")
        } else {
            text_table(&header, &rows)
        },
        summary: format!(
            "### Versions of the state\n\n{}",
            markdown::table(&header, &rows)
        ),
        json: json!({
            "state": state,
            "digest": digest,
            "versions": known.iter().map(|known| json!({
                "version": known.version.id,
                "when": when(known),
                "current": known.version.latest,
                "deleted": known.version.deleted,
                "serial": known.state.as_ref().map(|state| state.serial),
                "lineage": known.state.as_ref().map(|state| &state.lineage),
                "tool": known.state.as_ref().map(|state| &state.version),
                "md5": known.state.as_ref().map(StateFile::digest),
            })).collect::<Vec<_>>(),
        }),
        ..Report::default()
    }
}

fn when(known: &Known) -> String {
    known
        .version
        .when
        .and_then(|at| at.fmt(DateTimeFormat::DateTime).ok())
        .unwrap_or_default()
}

/// How state and digest relate, and the command that restores the version of the digest.
fn compared(objects: &Objects, looked: &Looked) -> (String, Option<String>) {
    let kept = looked.kept.as_deref().unwrap_or_default();
    let whose = |version: &Option<(String, StateVersion)>| match version {
        Some((id, version)) => format!(
            "version {id} (serial {}, lineage {})",
            version.serial, version.lineage
        ),
        None => "none of the newest versions".to_owned(),
    };
    let back = |version: &Option<(String, StateVersion)>| {
        version
            .as_ref()
            .map(|(id, _)| objects.command(&format!("rollback --to-version {id}")))
    };
    match &looked.verdict {
        Verdict::Nothing => ("there is no state and no digest".to_owned(), None),
        Verdict::Same => (format!("the digest matches the state ({kept})"), None),
        Verdict::Missing => (
            "there is a state and no digest, so Terraform checks nothing".to_owned(),
            None,
        ),
        Verdict::Other(version) => (
            format!("the digest {kept} is that of {}", whose(version)),
            back(version),
        ),
        Verdict::NoState(version) => (
            format!(
                "{}; the digest {kept} is that of {}",
                match looked.found.stored() {
                    Some(_) => "the object is empty, which Terraform takes for no state",
                    None => "there is no state",
                },
                whose(version)
            ),
            back(version),
        ),
        Verdict::NotAState(why, version) => (
            match kept {
                "" => format!("the object is not a state ({why}), and there is no digest"),
                kept => format!(
                    "the object is not a state ({why}); the digest {kept} is that of {}",
                    whose(version)
                ),
            },
            back(version),
        ),
    }
}

fn json_of(state: &str, looked: &Looked) -> serde_json::Value {
    json!({
        "state": state,
        "digest": looked.kept,
        "md5": looked.found.state().map(StateFile::digest),
        "serial": looked.found.state().map(|it| it.serial),
        "ok": matches!(looked.verdict, Verdict::Nothing | Verdict::Same),
    })
}

/// # Errors
/// Digest and state do not belong together (exit 3).
pub(super) fn verified(objects: &Objects, looked: &Looked) -> Result<Report> {
    let state = &objects.name();
    let (text, back) = compared(objects, looked);
    let json = json_of(state, looked);
    if matches!(looked.verdict, Verdict::Nothing | Verdict::Same) {
        return Ok(Report {
            text: format!("{state}: {text}"),
            json,
            ..Report::default()
        });
    }
    let mut error = Error::refused(format!("state and digest of {state} do not agree")).cause(text);
    if let Some(now) = looked.found.state() {
        error = error
            .cause(format!(
                "the state's is {}; it has serial {}, lineage {}",
                now.digest(),
                now.serial,
                now.lineage
            ))
            .hint(format!(
                "if the state is right: {}",
                objects.command("repair-digest")
            ));
    }
    if matches!(looked.verdict, Verdict::NoState(_)) {
        error = error.hint(format!(
            "if the state was deleted on purpose: {}",
            objects.command("repair-digest --accept-current")
        ));
    }
    error = match back {
        Some(back) => error.hint(format!("if that version is right: {back}")),
        None => error.hint(earlier(objects)),
    };
    error.json = Some(json);
    Err(error)
}

fn earlier(objects: &Objects) -> String {
    format!("see the earlier versions: {}", objects.command("versions"))
}

/// Nobody can say by looking which of the two is right.
pub(super) fn unproven(objects: &Objects, looked: &Looked) -> Error {
    let state = &objects.name();
    let (text, back) = compared(objects, looked);
    let accept = objects.command("repair-digest --accept-current");
    let mut error = Error::refused(format!(
        "nothing proves that {state} as it is now is the right one; the digest was not changed"
    ))
    .cause(text)
    .hint(earlier(objects))
    .hint(match looked.verdict {
        Verdict::NoState(_) => {
            format!("if it was deleted on purpose, remove the digest: {accept}")
        }
        _ => format!("accept it as it is: {accept}"),
    });
    if let Some(back) = back {
        error = error.hint(format!("or go back to the digest's version: {back}"));
    }
    error.json = Some(json_of(state, looked));
    error
}

pub(super) fn repaired(state: &str, looked: &Looked) -> Report {
    let before = looked.kept.as_deref().unwrap_or("none");
    let now = looked.found.state();
    let digest = now.map(StateFile::digest);
    let text = match &digest {
        Some(digest) => format!("{state}: the digest is {digest} now, it was {before}"),
        None => format!("{state}: there is no state, and its digest {before} was removed"),
    };
    let serial = now.map(|it| it.serial);
    let none = || "none".to_owned();
    Report {
        text,
        summary: format!(
            "### State digest repaired\n\n{}",
            markdown::table(
                &["state", "serial", "digest before", "digest now"],
                &[vec![
                    state.to_owned(),
                    serial.map_or_else(none, |serial| serial.to_string()),
                    before.to_owned(),
                    digest.clone().unwrap_or_else(none),
                ]],
            )
        ),
        json: json!({ "state": state, "before": looked.kept, "digest": digest, "serial": serial }),
        ..Report::default()
    }
}

pub(super) fn rolled_back(
    objects: &Objects,
    back: Option<&StateRollback>,
    dry_run: bool,
) -> Report {
    let state = &objects.name();
    let Some(back) = back else {
        return Report {
            text: format!("{state} already has that version's content"),
            json: json!({ "state": state, "dry_run": dry_run, "changed": false }),
            ..Report::default()
        };
    };
    let did = if dry_run { "would become" } else { "is now" };
    let head = format!(
        "{state} {did} version {}, restored as serial {}: {}",
        back.version,
        back.next.serial,
        match back.lines.len() {
            0 => "no resource and no output differs".to_owned(),
            number => count(number, "difference"),
        }
    );
    let mut text = format!("{head}\n");
    let replaced = back.replaced();
    if let Some(replaced) = &replaced {
        text.push_str(&format!("in place of {replaced}\n"));
    }
    for line in &back.lines {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(&format!(
        "the infrastructure was not changed; see how it differs: {}\n",
        objects.command("plan")
    ));
    Report {
        summary: crate::plan::markdown(
            if dry_run {
                "State: would be rolled back"
            } else {
                "State: rolled back"
            },
            &[
                ("state", state.to_owned()),
                ("version", back.version.clone()),
                ("serial", back.next.serial.to_string()),
                (
                    "in place of",
                    replaced.unwrap_or_else(|| "nothing".to_owned()),
                ),
            ],
            &back.lines,
        ),
        text,
        json: json!({
            "state": state, "version": back.version, "serial": back.next.serial, "dry_run": dry_run,
            "changed": !dry_run, "differences": back.lines,
            "replaced": back.current.stored().map(|it| &it.version),
        }),
        ..Report::default()
    }
}

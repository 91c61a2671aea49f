//! The notes on the dependencies of the infrastructure code that the user gets before any of them is installed.

use super::rule::Rule;
use super::since::since;
use super::tree::Dependencies;
use super::unreadable::Unreadable;
use super::{declared, is_for_tofu};
use crate::locate::LocatedState;
use kit::Cx;
use kit::error::{Error, Result};
use kit::id::CommitId;
use kit::lockfile::Lock;
use serde::Serialize;
use std::path::Path;

/// The findings about the dependencies that the user should look at.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Notes {
    /// The new and changed dependencies since the commit that was named.
    pub(crate) new: Vec<String>,
    /// The dependencies that are not pinned and need not be.
    pub(crate) unpinned: Vec<String>,
    /// Why it is unknown what is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unknown: Option<String>,
}

impl Notes {
    /// Looks at the code in `folder`.
    ///
    /// # Errors
    /// The environment has a gate, and something is not pinned or cannot be read (exit 3).
    pub(crate) fn of(
        located: &LocatedState,
        folder: &Path,
        base: Option<&CommitId>,
        cx: &Cx,
    ) -> Result<Self> {
        let rule = Rule::of(located.resolved.as_ref());
        if rule.is_none() && base.is_none() {
            return Ok(Self::default());
        }
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let tofu = is_for_tofu(&folder);
        let found = declared(&folder, tofu);
        let mut notes = Self::default();
        if let Some(rule) = &rule {
            pinned(rule, &found)?;
            notes.unpinned = found
                .as_ref()
                .map(|it| rule.exceptions(it))
                .unwrap_or_default();
        }
        if let Some(base) = base {
            match found.and_then(|found| since(base, &folder, &found, tofu, &cx.env)) {
                Ok(new) => notes.new = new,
                Err(why) => notes.unknown = Some(format!("what is new since {base}: {why}")),
            }
        }
        for line in notes.lines() {
            cx.host.info(line);
        }
        Ok(notes)
    }

    /// Each in a line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let unpinned = self.unpinned.iter();
        let unpinned = unpinned.map(|it| format!("not pinned, as the contract allows: {it}"));
        let unknown = self.unknown.iter().map(|it| format!("unknown: {it}"));
        self.new
            .iter()
            .cloned()
            .chain(unpinned)
            .chain(unknown)
            .collect()
    }
}

/// Refuses a lock file in which `init` wrote down more than the contract excepts.
///
/// # Errors
/// It did (exit 3).
pub(crate) fn unmoved(rule: &Rule, before: &Lock, now: &Lock) -> Result<()> {
    let moved = rule.moved(before, now);
    if moved.is_empty() {
        return Ok(());
    }
    let mut error = Error::refused(rule.refusal());
    error.json = Some(serde_json::json!({ "unpinned": moved }));
    let error = error.with_causes(moved);
    Err(rule.hints().into_iter().fold(error, Error::hint))
}

/// Refuses what is not pinned.
///
/// # Errors
/// There is something, or something cannot be read (exit 3).
pub(crate) fn pinned(rule: &Rule, found: &Result<Dependencies, Unreadable>) -> Result<()> {
    let faults = match found {
        Ok(found) => rule.faults(found),
        Err(why) => vec![why.to_string()],
    };
    if faults.is_empty() {
        return Ok(());
    }
    let mut error = Error::refused(rule.refusal());
    error.json = Some(serde_json::json!({ "unpinned": faults }));
    let error = error.with_causes(faults);
    Err(rule.hints().into_iter().fold(error, Error::hint))
}

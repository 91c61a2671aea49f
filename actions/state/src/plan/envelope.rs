//! The envelope of a saved plan. The plan ID is the SHA-256 of the envelope, which holds the SHA-256 of the plan's
//! bytes: approving an ID approves this plan, for this state, and no other. Pure.

use super::options::Chosen;
use crate::hash::sha256;
use crate::object::StateVersion;
use kit::Lenient;
use kit::clock::{instant, rfc3339};
use kit::id::{CommitId, PlanId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use time::OffsetDateTime;

/// The form of the envelope. Another one is refused rather than half understood.
const VERSION: u32 = 3;

/// The inputs of a plan, which must be the same when it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    /// `bucket/key` of the state.
    pub(crate) state: String,
    /// The version of the state, if there was one.
    pub(crate) state_version: Option<StateVersion>,
    /// SHA-256 of the state, since a number can come round again: a version that was brought back, or
    /// `state push -force`.
    pub(crate) content: Option<String>,
    /// The commit of the infrastructure code.
    pub(crate) commit: Option<Lenient<CommitId>>,
    /// `terraform 1.11.4`.
    pub(crate) tool: String,
    /// SHA-256 of `.terraform.lock.hcl`, where there is one.
    pub(crate) providers: Option<String>,
    /// Salted SHA-256 of each `TF_VAR_*`, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// Workspace of the state, where one was named.
    pub(crate) workspace: Option<String>,
    pub(crate) options: Chosen,
}

/// The envelope around a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    version: u32,
    /// SHA-256 of the plan's bytes.
    pub(crate) plan: String,
    /// The salt of the variables' hashes, so that the hashes of two plans cannot be compared.
    pub(crate) salt: String,
    pub(crate) basis: Basis,
    /// The numbers of changes, for people.
    pub(crate) counts: String,
    /// The person who made it.
    pub(crate) who: String,
    /// The run it was made in.
    pub(crate) run: Option<String>,
    created: String,
    expires: String,
}

/// Why an object is not the saved plan.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// It has no first line.
    NoEnvelope,
    /// Its envelope has this ID.
    OtherId(PlanId),
    /// Its envelope is not of the form.
    Unreadable(serde_json::Error),
    /// Its envelope has this form.
    OtherVersion(u32),
    /// Its envelope is for other bytes than the plan's.
    OtherPlan { seen: String, stated: String },
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEnvelope => f.write_str("it has no envelope"),
            Self::OtherId(seen) => write!(f, "its envelope has the ID {seen}"),
            Self::Unreadable(error) => write!(f, "its envelope cannot be read: {error}"),
            Self::OtherVersion(version) => write!(
                f,
                "its envelope has version {version}, this program reads {VERSION}"
            ),
            Self::OtherPlan { seen, stated } => write!(
                f,
                "the plan's bytes have the SHA-256 {seen}, the envelope says {stated}"
            ),
        }
    }
}

impl std::error::Error for Unopened {}

impl Envelope {
    pub(crate) fn new(
        plan: &[u8],
        salt: String,
        basis: Basis,
        now: OffsetDateTime,
        valid_for: std::time::Duration,
    ) -> Self {
        Self {
            version: VERSION,
            plan: sha256(plan),
            salt,
            basis,
            counts: String::new(),
            who: String::new(),
            run: None,
            created: rfc3339(now),
            expires: rfc3339(now + valid_for),
        }
    }

    pub(crate) fn expires(&self) -> &str {
        &self.expires
    }

    /// The object that is kept: one line of JSON, then the plan as it is. And its ID.
    pub(crate) fn seal(&self, plan: &[u8]) -> (PlanId, Vec<u8>) {
        let mut object = serde_json::to_vec(self).unwrap_or_default();
        let id = PlanId::of(&object);
        object.push(b'\n');
        object.extend_from_slice(plan);
        (id, object)
    }

    /// Takes an object apart, if it is the one that `id` stands for.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn open<'a>(id: &PlanId, object: &'a [u8]) -> Result<(Self, &'a [u8]), Unopened> {
        let end = object
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(Unopened::NoEnvelope)?;
        let (head, plan) = (&object[..end], &object[end + 1..]);
        let seen = PlanId::of(head);
        if seen != *id {
            return Err(Unopened::OtherId(seen));
        }
        let envelope: Self = serde_json::from_slice(head).map_err(Unopened::Unreadable)?;
        if envelope.version != VERSION {
            return Err(Unopened::OtherVersion(envelope.version));
        }
        let seen = sha256(plan);
        if seen != envelope.plan {
            let stated = envelope.plan;
            return Err(Unopened::OtherPlan { seen, stated });
        }
        Ok((envelope, plan))
    }

    /// Everything that changed since the plan was made, one line each; empty if the plan may be applied.
    pub(crate) fn moved(&self, seen: &Basis, now: OffsetDateTime) -> Vec<String> {
        let planned = &self.basis;
        let mut moved = Vec::new();
        let value_or =
            |value: &Option<String>, none: &str| value.clone().unwrap_or(none.to_owned());
        let commit = |it: &Basis| match &it.commit {
            Some(commit) => commit.to_string(),
            None => "no commit".to_owned(),
        };
        let version = |it: &Basis| match &it.state_version {
            Some(state_version) => (
                state_version.lineage.clone(),
                state_version.serial.to_string(),
            ),
            None => ("none".to_owned(), "none".to_owned()),
        };
        let ((lineage, serial), (lineage_now, serial_now)) = (version(planned), version(seen));
        let mut differ = |name: &str, before: String, after: String| {
            if before != after {
                moved.push(format!("{name}: planned with {before}, now {after}"));
            }
        };
        differ("the state", planned.state.clone(), seen.state.clone());
        if planned.state_version == seen.state_version {
            let (content, content_now) = (
                value_or(&planned.content, "none"),
                value_or(&seen.content, "none"),
            );
            differ(
                "the state's content under the same serial",
                content,
                content_now,
            );
        }
        differ("the state's lineage", lineage, lineage_now);
        differ("the state's serial", serial, serial_now);
        differ("the commit", commit(planned), commit(seen));
        differ("the tool", planned.tool.clone(), seen.tool.clone());
        differ(
            "the provider lock file .terraform.lock.hcl",
            value_or(&planned.providers, "none"),
            value_or(&seen.providers, "none"),
        );
        differ(
            "the workspace",
            value_or(&planned.workspace, "none"),
            value_or(&seen.workspace, "none"),
        );
        differ(
            "the options",
            value_or(&planned.options.shown(), "none"),
            value_or(&seen.options.shown(), "none"),
        );
        for (kind, planned, seen) in [
            ("the variable", &planned.variables, &seen.variables),
            (
                "the file of values",
                &planned.options.var_files,
                &seen.options.var_files,
            ),
        ] {
            moved.extend(
                other_hashes(planned, seen)
                    .map(|(name, difference)| format!("{kind} {name}: {difference}")),
            );
        }
        match instant(&self.expires) {
            Some(expires) if now < expires => {}
            Some(_) => moved.push(format!(
                "the time: the plan was valid until {}",
                self.expires
            )),
            // An end that cannot be read counts as past.
            None => moved.push(format!("the time: {:?} is not a time", self.expires)),
        }
        moved
    }
}

/// Values of which only the hashes are known, where they differ.
fn other_hashes<'a>(
    planned: &'a BTreeMap<String, String>,
    seen: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (&'a str, &'static str)> {
    let names: std::collections::BTreeSet<&String> = planned.keys().chain(seen.keys()).collect();
    names.into_iter().filter_map(move |name| {
        let difference = match (planned.get(name), seen.get(name)) {
            (Some(_), None) => "planned with a value, now it is not set",
            (None, Some(_)) => "planned without it, now it is set",
            (before, after) if before != after => "planned with another value",
            _ => return None,
        };
        Some((name.as_str(), difference))
    })
}

#[cfg(test)]
mod tests;

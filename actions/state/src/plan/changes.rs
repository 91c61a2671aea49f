//! The changes that a plan would make, read from `terraform show -json` (format 1.x: developer.hashicorp.com,
//! "JSON Output Format"; OpenTofu writes the same). Pure.

use super::attributes::{self, actions};
use super::hidden::Hidden;
use kit::report::count;
use serde_json::Value;

/// The kinds of change to a resource, the most dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Something that this version knows nothing of.
    Other,
    Replace,
    Destroy,
    Forget,
    Change,
    Import,
    Move,
    Create,
}

impl Kind {
    /// Terraform's own sign, as a diff would colour it.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Kind::Other => "?  ",
            Kind::Replace => "-/+",
            Kind::Destroy => "-  ",
            Kind::Forget => "#  ",
            Kind::Change => "!  ",
            Kind::Import => "+> ",
            Kind::Move => "=> ",
            Kind::Create => "+  ",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::Other => "to do something else",
            Kind::Replace => "to replace",
            Kind::Destroy => "to destroy",
            Kind::Forget => "to forget",
            Kind::Change => "to change",
            Kind::Import => "to import",
            Kind::Move => "to move",
            Kind::Create => "to add",
        }
    }

    const ALL: [Kind; 8] = [
        Kind::Other,
        Kind::Replace,
        Kind::Destroy,
        Kind::Forget,
        Kind::Change,
        Kind::Import,
        Kind::Move,
        Kind::Create,
    ];
}

/// One resource that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) address: String,
    /// The address it had before, or the ID it is imported by.
    pub(crate) from: Option<String>,
    /// One line for each attribute that changes.
    pub(crate) lines: Vec<String>,
}

/// An output that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    /// `added`, `changed` or `removed`.
    pub(crate) action: &'static str,
    pub(crate) lines: Vec<String>,
}

/// A check that does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) address: String,
    pub(crate) message: String,
}

/// Everything a plan would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The most dangerous first.
    pub(crate) resources: Vec<Resource>,
    pub(crate) outputs: Vec<Output>,
    /// Resources that differ from the state already.
    pub(crate) drift: Vec<Resource>,
    /// Checks and conditions that failed.
    pub(crate) failed: Vec<Check>,
    /// `check` blocks whose answer depends on something that is not known before the apply.
    pub(crate) undecided: Vec<String>,
    /// Why the infrastructure is not as the code says after this plan was applied.
    pub(crate) incomplete: Option<String>,
    /// True if the tool found something to apply.
    pub(super) applyable: bool,
}

impl Changes {
    /// Reads the plan's JSON. `applyable`: whether the tool's exit code says that it found something to
    /// apply. A wrapper may turn that code into 0, as setup-terraform's does; since 1.8 Terraform's JSON
    /// says so as well.
    pub(crate) fn of(plan: &Value, applyable: bool) -> Self {
        let applyable = applyable || plan["applyable"] == true;
        let hidden = Hidden::of(plan);
        let changed = |name: &str| {
            let found = list(plan, name).filter_map(|change| resource(change, &hidden));
            sorted(found.collect())
        };
        let mut resources = changed("resource_changes");
        resources.extend(other_changes(plan, &hidden));
        let (failed, undecided) = checks(plan, &hidden);
        Self {
            resources: sorted(resources),
            outputs: outputs(plan, &hidden),
            drift: changed("resource_drift"),
            failed,
            undecided,
            incomplete: incomplete(plan),
            applyable,
        }
    }

    /// Returns true if applying would do anything at all.
    pub(crate) fn any(&self) -> bool {
        !self.resources.is_empty() || !self.outputs.is_empty() || self.applyable
    }

    /// Returns true if applying would only write into the state what is there already.
    pub(crate) fn refreshes(&self) -> bool {
        self.applyable && self.resources.is_empty() && !self.drift.is_empty()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.resources.iter().filter(|it| it.kind == kind).count()
    }

    /// `1 to replace, 2 to destroy, 3 to add`.
    pub(crate) fn counts(&self) -> String {
        let mut parts: Vec<String> = Kind::ALL
            .into_iter()
            .map(|kind| (kind, self.count(kind)))
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{count} {}", kind.words()))
            .collect();
        if self.refreshes() {
            let resources = count(self.drift.len(), "resource");
            parts.push(format!("{resources} to refresh in the state"));
        }
        if parts.is_empty() && !self.outputs.is_empty() {
            parts.push(count(self.outputs.len(), "changed output"));
        }
        if parts.is_empty() {
            parts.push("no changes".to_owned());
        }
        parts.join(", ")
    }

    /// The counts, with the warnings that an approver must not overlook.
    pub(crate) fn headline(&self) -> String {
        let mut headline = self.counts();
        if !self.failed.is_empty() {
            headline.push_str(&format!(", {} failed", count(self.failed.len(), "check")));
        }
        if let Some(why) = &self.incomplete {
            headline.push_str(&format!(" (incomplete: {why})"));
        }
        headline
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn sorted(mut resources: Vec<Resource>) -> Vec<Resource> {
    resources.sort_by(|a, b| (a.kind, &a.address).cmp(&(b.kind, &b.address)));
    resources
}

fn outputs(plan: &Value, hidden: &Hidden) -> Vec<Output> {
    let changes = plan["output_changes"].as_object().into_iter().flatten();
    changes
        .filter_map(|(name, change)| {
            let action = match actions(change).as_slice() {
                ["create"] => "added",
                ["update"] | ["delete", "create"] | ["create", "delete"] => "changed",
                ["delete"] => "removed",
                _ => return None,
            };
            Some(Output {
                name: name.clone(),
                action,
                lines: attributes::lines(change, hidden),
            })
        })
        .collect()
}

/// Checks, preconditions and postconditions: the ones that failed, and the `check` blocks that
/// nobody can answer yet. Conditions of what is yet to be created never can be.
fn checks(plan: &Value, hidden: &Hidden) -> (Vec<Check>, Vec<String>) {
    let (mut failed, mut undecided) = (Vec::new(), Vec::new());
    let shown = |it: &Value| {
        let address = it["address"]["to_display"].as_str();
        hidden.scrub(address.unwrap_or("(no address)"))
    };
    for check in list(plan, "checks") {
        match check["status"].as_str() {
            Some("pass") => {}
            Some("unknown") if check["address"]["kind"] != "check" => {}
            Some("unknown") => undecided.push(shown(check)),
            _ => {
                let problems = list(check, "instances")
                    .flat_map(|instance| list(instance, "problems").map(move |it| (instance, it)));
                let before = failed.len();
                failed.extend(problems.map(|(instance, problem)| Check {
                    address: shown(instance),
                    message: hidden.scrub(problem["message"].as_str().unwrap_or_default()),
                }));
                if failed.len() == before {
                    failed.push(Check {
                        address: shown(check),
                        message: "the tool gives no reason".to_owned(),
                    });
                }
            }
        }
    }
    (failed, undecided)
}

/// Why a plan leaves something out, where it does. OpenTofu and Terraform before 1.8 do not say so
/// here; their arguments do.
fn incomplete(plan: &Value) -> Option<String> {
    match list(plan, "deferred_changes").count() {
        0 if plan["complete"] == false => Some("targeted".to_owned()),
        0 => None,
        number => Some(format!("{} deferred", count(number, "change"))),
    }
}

/// Parts of a plan beside changes of resources: actions that providers carry out, and changes that
/// can be planned only after this one (terraform `internal/command/jsonplan`).
fn other_changes(plan: &Value, hidden: &Hidden) -> Vec<Resource> {
    let other = |address: &Value, lines: Vec<String>| Resource {
        kind: Kind::Other,
        address: hidden.scrub(address.as_str().unwrap_or("(no address)")),
        from: None,
        lines,
    };
    let actions = list(plan, "action_invocations")
        .map(|it| other(&it["address"], vec!["an action is invoked".to_owned()]));
    let deferred = list(plan, "deferred_changes").map(|change| {
        let entry = &change["resource_change"];
        let why = change["reason"].as_str().unwrap_or("no reason is given");
        let mut lines = vec![format!("deferred to a later plan: {}", hidden.scrub(why))];
        lines.extend(attributes::lines(&entry["change"], hidden));
        other(&entry["address"], lines)
    });
    actions.chain(deferred).collect()
}

fn resource(entry: &Value, hidden: &Hidden) -> Option<Resource> {
    // A data source is read, which changes nothing.
    if entry["mode"] == "data" {
        return None;
    }
    let change = &entry["change"];
    let imported = change["importing"]["id"].as_str();
    let moved = entry["previous_address"].as_str();
    let kind = match actions(change).as_slice() {
        ["create"] => Kind::Create,
        ["update"] => Kind::Change,
        ["delete"] => Kind::Destroy,
        ["forget"] => Kind::Forget,
        ["delete" | "forget", "create"] | ["create", "delete" | "forget"] => Kind::Replace,
        ["no-op"] if imported.is_some() => Kind::Import,
        ["no-op"] if moved.is_some() => Kind::Move,
        ["no-op" | "read"] => return None,
        // Unknown actions are listed too, because the approver has to see that there is a change.
        _ => Kind::Other,
    };
    Some(Resource {
        kind,
        address: hidden.scrub(entry["address"].as_str().unwrap_or("(no address)")),
        from: moved.or(imported).map(|from| hidden.scrub(from)),
        // A resource that is forgotten stays as it is.
        lines: match kind {
            Kind::Forget => Vec::new(),
            _ => attributes::lines(change, hidden),
        },
    })
}

#[cfg(test)]
mod tests;

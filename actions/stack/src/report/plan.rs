//! The report of `plan`.

use crate::changes::{Planned, counts};
use crate::fit::until;
use crate::hidden::{masked, parameter};
use crate::identity::{AsItIs, Made};
use crate::inputs::differences;
use crate::protect::is_same;
use crate::seen::{ChangeSet, Stack};
use crate::settings::{Protection, Settings};
use crate::text;
use kit::Report;
use kit::clock::rfc3339;
use kit::error::Error;
use kit::id::PlanId;
use kit::markdown;
use net::Account;
use serde_json::{Value, json};

/// The part of a summary that GitHub takes: 1 MiB a step (docs.github.com, "Step isolation and limits"); what else a job writes
/// there needs room too.
const SUMMARY_LIMIT: usize = 900_000;

/// The plan of a pull request.
const LOOKED: &str = "for a pull request: its change set is deleted, and it cannot be applied";

/// The subject of a plan, and its sources.
pub(crate) struct Subject<'a> {
    pub(crate) account: &'a Account,
    pub(crate) name: &'a str,
    /// The stack as it is; `None` if there is none yet.
    pub(crate) stack: Option<&'a Stack>,
    pub(crate) protection: &'a Protection,
    pub(crate) settings: &'a Settings,
    /// The settings that CloudFormation does not tell: the commit, the role, and so on.
    pub(crate) made: &'a Made,
    /// The parameters that keep the value that the stack has.
    pub(crate) kept: Vec<String>,
    /// True if it only shows what a pull request would change.
    pub(crate) look: bool,
}

/// A plan in one region.
pub(crate) struct Part {
    pub(crate) report: Report,
    pub(crate) made: MadeHere,
}

/// What was made in a region.
pub(crate) enum MadeHere {
    /// A change set, by its ARN, with the ID of the plan unless it was only shown.
    ChangeSet { id: String, plan: Option<PlanId> },
    /// Nothing, since the stack is as the template says.
    Unchanged(Box<AsItIs>),
}

/// The parts as one plan, and how it is applied. Without an ID it was only shown. `gate` is the environment whose gate lets a plan be
/// applied only under a permit.
pub(crate) fn whole(
    parts: Vec<Part>,
    id: Option<&str>,
    arguments: &str,
    gate: Option<&str>,
) -> Report {
    let mut whole = Report::default();
    let (mut changes, mut data, mut stack) = (0, Vec::new(), String::new());
    for Part { report, .. } in parts {
        if !whole.text.is_empty() {
            whole.text.push('\n');
            whole.summary.push('\n');
        }
        whole.text.push_str(&report.text);
        whole.summary.push_str(&report.summary);
        changes += report.json["changes"].as_array().map_or(0, Vec::len);
        if stack.is_empty() {
            stack.push_str(report.json["stack_id"].as_str().unwrap_or_default());
        }
        data.push(report.json);
    }
    // A change set can change outputs alone.
    let has_changes = data.iter().any(|one| one["change_set"].is_string());
    whole.json = match data.len() {
        1 => data.remove(0),
        _ => json!({"regions": data}),
    };
    whole.json["plan_id"] = json!(id);
    if let Some(id) = id {
        whole
            .text
            .push_str(&format!("plan {id}\n{}", next(id, arguments, gate)));
        whole
            .summary
            .push_str(&format!("\nPlan {}\n", markdown::code(id)));
    }
    whole
        .output("plan-id", id.unwrap_or_default())
        .output("has-changes", has_changes.to_string())
        .output("changes", changes.to_string())
        .output("stack-id", stack)
}

/// How a plan is applied, with the same account and role, and under the same gate.
fn next(id: &str, arguments: &str, gate: Option<&str>) -> String {
    let apply = format!("slipway-stack apply {arguments} --plan {id}");
    match gate {
        None => format!("apply it: {apply}\n"),
        Some(environment) => format!(
            "let it be permitted: slipway-promote grant --environment {environment} --digest DIGEST --plan {id}\n\
             then apply it: {apply} --permit NUMBER\n"
        ),
    }
}

/// A plan that changes something.
pub(crate) fn planned(
    subject: &Subject<'_>,
    set: &ChangeSet,
    all: &[Planned<'_>],
    policy: Option<&str>,
) -> Report {
    let settings = subject.settings(set, policy);
    let mut lines = subject.lines(all, &settings);
    let title = format!("plan of the stack {}: {}", subject.name, counts(all));
    let mut json = subject.json(all, &settings);
    json["change_set"] = set.name.clone().into();
    json["stack_id"] = set.stack_id.clone().into();
    let commit = subject.made.commit.as_ref();
    let until = until(set).map(rfc3339).unwrap_or_default();
    json["commit"] = json!(commit);
    json["until"] = json!(until);
    let commit = commit.map_or_else(
        || "an unknown commit".to_owned(),
        |it| format!("commit {it}"),
    );
    let shown = lines.join("\n");
    let limits = match subject.look {
        false => format!("it is of {commit}, and can be applied until {until}"),
        true => format!("it is of {commit}, {LOOKED}"),
    };
    lines.push(limits.clone());
    Report {
        summary: summary(&title, subject, &lines),
        text: format!(
            "{title}\naccount {}, {}{}\n\n{shown}\n\nchange set {}\n{limits}\n",
            subject.account.id,
            subject.account.region,
            if subject.stack.is_none() {
                ", a new stack"
            } else {
                ""
            },
            set.name,
        ),
        json,
        ..Report::default()
    }
}

/// A plan that changes nothing.
pub(crate) fn unchanged(subject: &Subject<'_>, stack: &Stack, policy: Option<&str>) -> Report {
    let mut settings = subject.protection_lines(stack.termination_protection, policy);
    // CloudFormation executes nothing here, so it takes no other role either.
    if let Some(role) = &subject.made.role
        && stack.role.as_deref() != Some(role)
    {
        settings.push(format!(
            "role: the stack keeps {} until a plan changes something, and has {role} from then on",
            stack.role.as_deref().unwrap_or("none")
        ));
    }
    let title = format!("plan of the stack {}: no changes", subject.name);
    let matches = "the stack already matches the template".to_owned();
    let head = settings.is_empty().then_some(matches);
    settings.extend(subject.settings.notes.iter().cloned());
    let mut json = subject.json(&[], &settings);
    json["stack_id"] = stack.id.clone().into();
    let settings = settings.iter().map(|line| text::visible(line));
    let lines: Vec<String> = head.into_iter().chain(settings).collect();
    Report {
        summary: summary(&title, subject, &lines),
        text: format!(
            "{title}\naccount {}, {}\n\n{}\n\n",
            subject.account.id,
            subject.account.region,
            lines.join("\n"),
        ),
        json,
        ..Report::default()
    }
}

/// The error of a plan that is refused, with everything that it would change.
pub(crate) fn refused(
    subject: &Subject<'_>,
    all: &[Planned<'_>],
    policy: Option<&str>,
    error: Error,
) -> Error {
    let settings = subject.stack.map_or_else(Vec::new, |stack| {
        subject.protection_lines(stack.termination_protection, policy)
    });
    let lines = subject.lines(all, &settings);
    let mut error = error;
    let mut json = subject.json(all, &settings);
    json["refused"] = error.message.clone().into();
    error.summary = Some(summary(
        &format!("refused: {}", error.message),
        subject,
        &lines,
    ));
    error.details = lines.join("\n");
    error.json = Some(json);
    error
}

fn summary(title: &str, subject: &Subject<'_>, lines: &[String]) -> String {
    let mut text = lines.join("\n");
    if text.len() > SUMMARY_LIMIT {
        let end = (0..=SUMMARY_LIMIT)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or_default();
        text.truncate(end);
        text.push_str("\n… the rest is in the step's log");
    }
    format!(
        "### {}\n\nAccount {} in {}\n\n{}",
        markdown::text(title),
        subject.account.id,
        subject.account.region,
        markdown::block("text", &text)
    )
}

/// A page of this file, shortened to so many bytes. `rest` says where the whole is.
pub(crate) fn fitting(page: &str, limit: usize, rest: &str) -> String {
    if page.len() <= limit {
        return page.to_owned();
    }
    // The page ends with the fence of its block.
    let fence = page.trim_end().rsplit('\n').next().unwrap_or_default();
    let end = format!("\n… the rest is in {rest}\n{fence}\n");
    let room = limit.saturating_sub(end.len());
    let cut = (0..=room).rev().find(|at| page.is_char_boundary(*at));
    let head = &page[..cut.unwrap_or_default()];
    let head = head.rsplit_once('\n').map_or(head, |(whole, _)| whole);
    format!("{head}{end}")
}

impl Subject<'_> {
    fn secrets(&self) -> Vec<String> {
        let secrets = self.settings.given.secret.values();
        secrets.map(|secret| secret.expose().to_owned()).collect()
    }

    /// The changes of the resources, then everything else that changes.
    fn lines(&self, all: &[Planned<'_>], settings: &[String]) -> Vec<String> {
        let secrets = self.secrets();
        let none = all
            .is_empty()
            .then(|| "no resource changes; outputs or other parts of the template do".to_owned());
        let changes = all
            .iter()
            .flat_map(|planned| text::lines(planned, &secrets));
        none.into_iter()
            .chain(changes)
            .chain(
                settings
                    .iter()
                    .map(|line| text::visible(&masked(line, &secrets))),
            )
            .collect()
    }

    /// The changes of parameters, tags, role and protection.
    fn settings(&self, set: &ChangeSet, policy: Option<&str>) -> Vec<String> {
        let none = Stack::default();
        let before = self.stack.unwrap_or(&none);
        let mut lines = differences("parameter", &before.parameters, &set.parameters, parameter);
        for name in self.settings.given.secret.keys() {
            lines.push(format!(
                "parameter {name}: a secret that this plan was given"
            ));
        }
        for (name, variable) in &self.settings.unset {
            lines.push(format!(
                "parameter {name}: the template's default, because the variable {variable} is not set"
            ));
        }
        for name in &self.made.readable {
            lines.push(format!(
                "[READABLE] parameter {name}: everybody who may describe the stack can read its value from here on, because the template has no NoEcho for it any more"
            ));
        }
        for name in &self.kept {
            lines.push(format!("parameter {name}: kept as the stack has it"));
        }
        let tags_before = &before.tags;
        if !self.settings.tags.is_empty() {
            lines.extend(differences("tag", tags_before, &set.tags, |_, value| {
                value.to_owned()
            }));
        }
        lines.extend(self.role_line(before.role.as_deref()));
        for capability in &set.capabilities {
            if !before.capabilities.contains(capability) {
                lines.push(format!("capability {capability} (new)"));
            }
        }
        lines.extend(self.protection_lines(before.termination_protection, policy));
        lines.extend(self.settings.notes.iter().cloned());
        lines
    }

    /// The role with which CloudFormation changes the resources, unless it is the one that the stack has and that was given again.
    fn role_line(&self, before: Option<&str>) -> Option<String> {
        match (self.made.role.as_deref(), self.made.kept_role.as_deref()) {
            (Some(role), _) if Some(role) == before => None,
            (Some(role), _) => Some(match before {
                Some(old) => format!("role: {old} → {role}"),
                None => format!("role: {role} (new)"),
            }),
            (None, Some(role)) => Some(format!(
                "role: {role}, which the stack has from before, because none was given"
            )),
            (None, None) => Some(
                "role: none; CloudFormation changes the resources with the permissions of the role that applies the plan"
                    .to_owned(),
            ),
        }
    }

    fn protection_lines(&self, protected: bool, policy: Option<&str>) -> Vec<String> {
        let word = |on: bool| if on { "on" } else { "off" };
        let mut lines = Vec::new();
        if let Some(on) = self.protection.termination.filter(|on| *on != protected) {
            lines.push(format!(
                "termination protection: {} → {}",
                word(protected),
                word(on)
            ));
        }
        if let Some(wanted) = &self.protection.policy
            && !is_same(policy, wanted)
        {
            let state = if policy.is_some() { "changes" } else { "(new)" };
            // In one line, since it is JSON.
            let policy = serde_json::from_str::<Value>(wanted);
            let policy = policy.map_or_else(|_| wanted.clone(), |policy| policy.to_string());
            lines.push(format!("stack policy {state}: {policy}"));
        }
        lines
    }

    fn json(&self, all: &[Planned<'_>], settings: &[String]) -> Value {
        let secrets = self.secrets();
        json!({
            "stack": self.name,
            "account": self.account.id,
            "region": self.account.region,
            "new": self.stack.is_none(),
            "role": self.made.effective_role(),
            "role_kept": self.made.kept_role.is_some(),
            "readable": self.made.readable,
            "counts": counts(all),
            "changes": all.iter().map(|planned| text::json(planned, &secrets)).collect::<Vec<_>>(),
            "settings": settings.iter().map(|line| masked(line, &secrets)).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_page_keeps_its_fence_and_says_where_the_rest_is() {
        let lines = vec!["one change of a resource"; 40].join("\n");
        let page = format!("### plan\n\n{}", markdown::block("text", &lines));
        assert_eq!(fitting(&page, page.len(), "the run"), page);
        let short = fitting(&page, 300, "the run: https://example.com/1");
        assert!(short.len() <= 300, "{short}");
        let end =
            "one change of a resource\n… the rest is in the run: https://example.com/1\n~~~\n";
        assert!(short.ends_with(end), "{short}");
    }
}

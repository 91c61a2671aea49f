//! The reports of `plan`, `apply` and `drift`.

use super::changes::{Changes, Kind};
use super::envelope::Envelope;
use super::render::{self, Fact};
use crate::dependencies::Notes;
use crate::hash::sha256;
use crate::object::StateVersion;
use kit::error::{Error, ErrorKind, Result};
use kit::id::{CommitId, PlanId};
use kit::{Cx, Report};
use ledger::applied::AppliedPermit;
use serde_json::json;

/// GitHub takes 1 MiB of summary a step (docs.github.com, "Step isolation and limits"); what else a
/// job writes there needs room too.
const SUMMARY_LIMIT: usize = 900_000;

/// A plan that was made.
pub(crate) struct Planned {
    pub(crate) changes: Changes,
    pub(crate) notes: Notes,
    pub(crate) state: String,
    pub(crate) tool: String,
    pub(crate) commit: Option<CommitId>,
    /// How it differs from a plain plan.
    pub(crate) options: Option<String>,
    /// Nothing for one that cannot be applied.
    pub(crate) kept: Option<Kept>,
}

/// The plan ID that `apply` takes, and when it expires.
pub(crate) struct Kept {
    pub(crate) id: PlanId,
    pub(crate) expires: String,
}

impl Planned {
    fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![("state", self.state.clone())];
        facts.extend(
            self.commit
                .iter()
                .map(|commit| ("commit", commit.to_string())),
        );
        facts.push(("tool", self.tool.clone()));
        facts.extend(self.options.clone().map(|options| ("options", options)));
        for check in &self.changes.failed {
            facts.push((
                "failed check",
                format!("{}: {}", check.address, check.message),
            ));
        }
        if !self.changes.undecided.is_empty() {
            let undecided = self.changes.undecided.join(", ");
            facts.push(("checks known only after apply", undecided));
        }
        if let Some(why) = &self.changes.incomplete {
            facts.push((
                "incomplete",
                format!("{why}; plan again after this one was applied"),
            ));
        }
        let notes = self.notes.lines();
        facts.extend(notes.into_iter().map(|line| ("dependencies", line)));
        match &self.kept {
            Some(kept) => {
                facts.push(("plan", kept.id.to_string()));
                facts.push(("valid until", kept.expires.clone()));
            }
            None => facts.push((
                "read-only",
                "planned without the lock, so the state may move; it cannot be applied".to_owned(),
            )),
        }
        facts
    }

    fn markdown(&self, limit: usize, rest: &str) -> String {
        render::page(
            &format!("Plan: {}", self.changes.headline()),
            &self.facts(),
            &render::lines(&self.changes),
            limit,
            rest,
        )
    }

    fn report(&self) -> Report {
        let mut text = format!("plan: {}\n", self.changes.headline());
        for (name, value) in self.facts() {
            text.push_str(&format!("{name}: {value}\n"));
        }
        for line in render::lines(&self.changes) {
            text.push_str(&format!("{line}\n"));
        }
        let kept = self.kept.as_ref();
        Report {
            text,
            summary: self.markdown(SUMMARY_LIMIT, "the step's log has them all"),
            json: json!({
                "state": self.state,
                "plan": kept.map(|kept| &kept.id),
                "expires": kept.map(|kept| &kept.expires),
                "commit": self.commit,
                "tool": self.tool,
                "options": self.options,
                "dependencies": self.notes,
                "changes": resources(&self.changes),
                "outputs": self.changes.outputs.iter().map(|it| json!({"name": it.name, "how": it.action, "attributes": it.lines})).collect::<Vec<_>>(),
                "failed_checks": self.changes.failed.iter().map(|it| json!({"check": it.address, "message": it.message})).collect::<Vec<_>>(),
                "undecided_checks": self.changes.undecided,
                "incomplete": self.changes.incomplete,
                "destroys": self.changes.count(Kind::Destroy) + self.changes.count(Kind::Replace),
            }),
            ..Report::default()
        }
        .output("plan-id", kept.map(|kept| kept.id.to_string()).unwrap_or_default())
        .output("has-changes", self.changes.any().to_string())
        .output("exitcode", if self.changes.any() { "2" } else { "0" })
        .output("counts", self.changes.headline())
    }
}

/// Facts and lines for the run's page.
pub(crate) fn markdown(title: &str, facts: &[Fact], lines: &[String]) -> String {
    render::page(
        title,
        facts,
        lines,
        SUMMARY_LIMIT,
        "the step's log has them all",
    )
}

fn resources(changes: &Changes) -> serde_json::Value {
    changes
        .resources
        .iter()
        .map(|it| json!({"address": it.address, "what": it.kind.words().trim_start_matches("to "), "from": it.from, "attributes": it.lines}))
        .collect()
}

/// The report, and the same on the pull request: one comment for each state, changed when the plan
/// changes. A comment that cannot be written is reported and does not fail the plan.
pub(crate) async fn comment(planned: Planned, pull: Option<u64>, cx: &Cx) -> Report {
    let report = planned.report();
    let Some(number) = pull else {
        return report;
    };
    // A key may hold what would end an HTML comment, its hash does not.
    let marker = format!(
        "<!-- slipway-state plan {} -->",
        &sha256(planned.state.as_bytes())[..16]
    );
    let rest = cx
        .host
        .run_url()
        .map_or("the run's log has them all".to_owned(), |url| {
            format!("the run has them all: {url}")
        });
    github::comment_plan(cx, number, &marker, |limit| planned.markdown(limit, &rest)).await;
    report
}

pub(super) fn applied(
    state: &str,
    id: &PlanId,
    envelope: &Envelope,
    now: &StateVersion,
    under: Option<&AppliedPermit>,
) -> Report {
    let mut facts = vec![
        ("state", state.to_owned()),
        ("serial", now.serial.to_string()),
        ("plan", id.to_string()),
        ("planned by", envelope.who.clone()),
    ];
    facts.extend(under.map(|under| ("permit", under.line())));
    let mut text = format!("applied: {}\n", envelope.counts);
    for (name, value) in &facts {
        text.push_str(&format!("{name}: {value}\n"));
    }
    Report {
        text,
        summary: markdown(&format!("Applied: {}", envelope.counts), &facts, &[]),
        json: json!({
            "state": state, "plan": id, "serial": now.serial, "lineage": now.lineage,
            "counts": envelope.counts, "permit": under.map(AppliedPermit::json),
        }),
        ..Report::default()
    }
    .output("counts", envelope.counts.clone())
}

/// # Errors
/// There is drift (exit 6).
pub(crate) fn drift(state: &str, changes: &Changes) -> Result<Report> {
    let lines = render::drifted(changes);
    let json = json!({
        "state": state,
        "drifted": changes.drift.iter().map(|it| &it.address).collect::<Vec<_>>(),
        "outputs": changes.outputs.iter().map(|it| &it.name).collect::<Vec<_>>(),
    });
    if lines.is_empty() {
        return Ok(Report {
            text: format!("{state} says what is there"),
            json,
            ..Report::default()
        });
    }
    let mut parts = Vec::new();
    for (number, what) in [
        (changes.drift.len(), "resource"),
        (changes.outputs.len(), "output"),
    ] {
        if number > 0 {
            parts.push(kit::report::count(number, what));
        }
    }
    let title = format!("Drift: {}", parts.join(" and "));
    let facts = [("state", state.to_owned())];
    let mut error = Error::new(
        ErrorKind::Drifted,
        format!(
            "{} differ{} from what {state} says",
            parts.join(" and "),
            if changes.drift.len() + changes.outputs.len() == 1 {
                "s"
            } else {
                ""
            }
        ),
    )
    .hint(
        "accept the changes with `terraform apply -refresh-only`, or undo them: slipway-state plan",
    )
    .summary(markdown(&title, &facts, &lines));
    error.details = lines.join("\n");
    error.json = Some(json);
    Err(error)
}

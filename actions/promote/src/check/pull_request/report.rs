//! The report on a pull request before its merge, for people and machines.

use super::observe::PullRequestFacts;
use crate::check::answer::Decision;
use crate::check::report::{HEADER, rows};
use crate::check::rules::people_of;
use crate::setting::Setting;
use kit::Report;
use kit::error::{Error, Result};
use kit::markdown;
use kit::report::{markdown_table, text_table};
use serde_json::{Value, json};

/// A report if what can be judged passes, a refusal (exit 3) if it does not.
pub(super) fn report(
    setting: &Setting,
    number: u64,
    seen: &PullRequestFacts,
    decision: &Decision,
) -> Result<Report> {
    let environment = &setting.environment;
    let passes = decision.allowed();
    let title = match passes {
        true => format!("{environment} would allow #{number}, as far as it can be judged now"),
        false => format!("{environment} would refuse #{number}"),
    };
    let change = seen.change();
    let what = change.map_or_else(String::new, |change| {
        format!("{}, at its head {}", change.pull.title, change.pull.head)
    });
    let next = match (decision.next(), passes) {
        (Some(next), _) => next,
        (None, true) => format!("merge #{number}; a push before that needs new approvals"),
        (None, false) => "see the table".to_owned(),
    };
    let rows = rows(decision);
    let line = |text: &str| match text {
        "" => String::new(),
        text => format!("{text}\n"),
    };
    let text = format!(
        "{title}\n{}\n{}\nnext: {next}\n",
        line(&what),
        text_table(&HEADER, &rows)
    );
    let summary = format!(
        "### {}\n\n{}\n{}\n**Next:** {}\n",
        markdown::text(&title),
        line(&markdown::text(&what)),
        markdown_table(&HEADER, &rows),
        markdown::text(&next),
    );
    let json = json!({
        "allowed": passes,
        "environment": environment,
        "service": setting.service,
        "pull_request": pull_request(setting, number, seen),
        "rules": decision.rules,
        "next": next,
    });
    let Some(rule) = decision.obstacle() else {
        return Ok(Report {
            summary,
            text,
            json,
            ..Report::default()
        });
    };
    let mut error = Error::refused(format!(
        "{environment} would refuse #{number}: {}: {}",
        rule.rule, rule.fact
    ));
    error.details = text;
    error.json = Some(json);
    Err(error.summary(summary))
}

/// The pull request, with those who contributed and those whose approval counts; nothing in place of what is unknown.
fn pull_request(setting: &Setting, number: u64, seen: &PullRequestFacts) -> Value {
    let Some(change) = seen.change() else {
        return json!({"number": number});
    };
    let people = people_of(change, setting);
    json!({
        "number": number,
        "title": change.pull.title,
        "url": change.pull.url,
        "head": change.pull.head,
        "authors": people.authors,
        "approvers": people.approvers,
    })
}

/// The report where nothing is asked of a pull request.
pub(super) fn no_gate(setting: &Setting, number: u64) -> Report {
    let line = format!(
        "{} has no gate, so nothing is asked of #{number}",
        setting.environment
    );
    Report {
        summary: format!("### {}\n", markdown::text(&line)),
        json: json!({
            "allowed": true,
            "environment": setting.environment,
            "service": setting.service,
            "pull_request": {"number": number},
            "rules": [],
            "next": Value::Null,
        }),
        text: format!("{line}\n"),
        ..Report::default()
    }
}

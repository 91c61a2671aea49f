//! The report of a decision, for people and machines.

use super::Subject;
use super::answer::Decision;
use super::change::Change;
use super::facts::Facts;
use super::people::short;
use super::range::pulls;
use super::rules::people_of;
use crate::setting::Setting;
use github::RangeCommit;
use kit::error::{Error, Result};
use kit::id::CommitId;
use kit::markdown;
use kit::report::{Report, count, markdown_table, text_table};
use serde_json::{Value, json};

/// How many commits a summary lists.
const LISTED: usize = 50;

pub(super) const HEADER: [&str; 3] = ["rule", "answer", "fact"];

/// The subject of the decision.
#[derive(Debug, Clone)]
pub(super) enum Occasion {
    /// A promotion.
    Promotion,
    /// A promotion before whose deployment this has to be done.
    PromotionAfter(String),
    /// A rollback.
    Rollback,
}

/// A report if the gate allows it, a refusal (exit 3) if it does not.
pub(super) fn report(
    setting: &Setting,
    subject: &Subject,
    facts: &Facts,
    decision: &Decision,
    occasion: Occasion,
) -> Result<Report> {
    let rows = rows(decision);
    let digest = &subject.digest;
    let commit = subject
        .commit
        .as_ref()
        .map(CommitId::as_str)
        .unwrap_or_default();
    let environment = &setting.environment;
    let verdict = verdict(decision, &occasion);
    let obstacle = decision.obstacle();
    let next = match (obstacle, occasion) {
        (None, Occasion::PromotionAfter(first)) => first,
        (None, _) => format!("deploy {digest} to {environment}, then record it"),
        (Some(_), _) => decision
            .next()
            .unwrap_or_else(|| "see the table".to_owned()),
    };
    let brought = brought(setting, facts);
    let lines = &brought.text;
    let (of, of_markdown) = of(subject);
    let (built, built_markdown) = built(subject);
    let plan = subject.plan.as_deref();
    let planned = plan.map_or_else(String::new, |id| format!("infrastructure plan {id}\n"));
    let planned_markdown =
        plan.map_or_else(String::new, |id| format!(", infrastructure plan `{id}`"));
    let text = format!(
        "{environment} {verdict} {digest}\n{of}\n{built}{planned}{lines}\n{}\nnext: {next}\n",
        text_table(&HEADER, &rows)
    );
    let summary = format!(
        "### {environment} {verdict} `{digest}`\n\n{of_markdown}{built_markdown}{planned_markdown}\n\n{}\n{}\n**Next:** {}\n",
        brought.markdown,
        markdown_table(&HEADER, &rows),
        markdown::text(&next),
    );
    let json = json!({
        "allowed": decision.allowed(),
        "environment": environment,
        "service": setting.service,
        "digest": digest,
        "commit": subject.commit,
        "plan": subject.plan,
        "built_for": subject.built_for,
        "from": setting.follows,
        "rules": decision.rules,
        "base": facts.base(subject).commit(),
        "commits": brought.commits,
        "changes": brought.changes,
        "providers": facts.providers.as_ref().ok(),
        "next": next,
    });
    if let Some(rule) = obstacle {
        let mut error = Error::refused(format!(
            "{environment} refuses {digest}: {}: {}",
            rule.rule, rule.fact
        ));
        error.details = text;
        error.json = Some(json);
        return Err(error.summary(summary));
    }
    Ok(Report {
        summary,
        text,
        json,
        ..Report::default()
    }
    .output("digest", digest)
    .output("commit", commit)
    .output(
        "repository",
        setting.image_repository.clone().unwrap_or_default(),
    )
    .output("plan", subject.plan.clone().unwrap_or_default())
    .output("from", setting.follows.clone().unwrap_or_default())
    .output("base", facts.base(subject).commit().unwrap_or_default()))
}

/// The gate's verdict, as the words before the digest.
fn verdict(decision: &Decision, occasion: &Occasion) -> &'static str {
    match (decision.allowed(), occasion) {
        (true, Occasion::Rollback) => "allows a rollback to",
        (false, Occasion::Rollback) => "refuses a rollback to",
        (true, _) => "allows",
        (false, _) => "refuses",
    }
}

/// The commit of the digest, as text and as Markdown.
fn of(subject: &Subject) -> (String, String) {
    match &subject.commit {
        Some(commit) => (format!("commit {commit}"), format!("Commit `{commit}`")),
        None => (
            "no commit is known for it".to_owned(),
            "No commit is known for it".to_owned(),
        ),
    }
}

/// The commit that the image was built for, as text and as Markdown: an image is built once, for the first commit with
/// its content.
fn built(subject: &Subject) -> (String, String) {
    match &subject.built_for {
        Some(first) => (
            format!("built for commit {first}, which has the same content\n"),
            format!(" (built for `{first}`, which has the same content)"),
        ),
        None => Default::default(),
    }
}

/// The changes and commits of a promotion, for people and machines.
#[derive(Debug, Default)]
pub(super) struct ChangeReport {
    pub(super) text: String,
    pub(super) markdown: String,
    pub(super) changes: Vec<Value>,
    pub(super) commits: Vec<Value>,
}

pub(super) fn brought(setting: &Setting, facts: &Facts) -> ChangeReport {
    let changes = changes(facts, setting);
    let commits = commits(facts);
    let mut text = lines(&changes, &commits);
    let mut markdown = markdown_changes(&changes, &commits);
    for (number, line) in providers(facts).iter().enumerate() {
        text.push_str(&format!("{line}\n"));
        // A list ends the table above it only after an empty line.
        let before = if number == 0 { "\n" } else { "" };
        markdown.push_str(&format!("{before}- {}\n", markdown::text(line)));
    }
    ChangeReport {
        text,
        markdown,
        changes,
        commits,
    }
}

/// A row for each rule.
pub(super) fn rows(decision: &Decision) -> Vec<Vec<String>> {
    decision
        .rules
        .iter()
        .map(|rule| {
            vec![
                rule.rule.to_owned(),
                rule.answer.as_str().to_owned(),
                rule.fact.clone(),
            ]
        })
        .collect()
}

/// A line for each provider of the infrastructure code that is new, or why that is unknown.
fn providers(facts: &Facts) -> Vec<String> {
    match (&facts.range, &facts.providers) {
        (Err(_), _) => Vec::new(),
        (Ok(_), Ok(new)) => new.clone(),
        (Ok(_), Err(unknown)) => vec![format!(
            "which providers are new is unknown: {}",
            unknown.why
        )],
    }
}

/// A line for each pull request, and for each commit that none brought.
fn lines(changes: &[Value], commits: &[Value]) -> String {
    let pulls = changes.iter().map(|change| {
        format!(
            "#{} {}, by {}, approved by {}\n",
            plain(&change["number"]),
            plain(&change["title"]),
            plain(&change["authors"]),
            plain(&change["approvers"]),
        )
    });
    let alone = commits
        .iter()
        .filter(|commit| commit["pull_request"].is_null());
    let alone = alone.map(|commit| {
        format!(
            "{} {}, by {}, without a pull request\n",
            plain(&commit["commit"]),
            plain(&commit["subject"]),
            plain(&commit["author"]),
        )
    });
    pulls.chain(alone).collect()
}

/// The pull requests being promoted.
fn changes(facts: &Facts, setting: &Setting) -> Vec<Value> {
    let changes = facts.changes.as_deref().unwrap_or_default();
    let row = |change: &Change| {
        let people = people_of(change, setting);
        json!({
            "number": change.pull.number,
            "title": change.pull.title,
            "url": change.pull.url,
            "author": change.pull.author.as_ref().map(|user| &user.login),
            "authors": people.authors,
            "approvers": people.approvers,
        })
    };
    changes.iter().map(row).collect()
}

/// The commits being promoted, oldest first.
fn commits(facts: &Facts) -> Vec<Value> {
    let (Ok(range), Ok(changes)) = (&facts.range, &facts.changes) else {
        return Vec::new();
    };
    let brought = range.brought(pulls(changes));
    let row = |commit: &RangeCommit| {
        json!({
            "commit": commit.sha,
            "subject": commit.message.lines().next(),
            "author": commit.author,
            "pull_request": brought.by.get(&commit.sha),
        })
    };
    range.commits.iter().map(row).collect()
}

/// The pull requests, and below them the commits.
fn markdown_changes(changes: &[Value], commits: &[Value]) -> String {
    let tables = [markdown_pulls(changes, commits), markdown_commits(commits)];
    let tables: Vec<String> = tables.into_iter().filter(|it| !it.is_empty()).collect();
    tables.join("\n")
}

/// A row for each commit, oldest first. Where there are more than are listed, those without a pull request come before others.
fn markdown_commits(commits: &[Value]) -> String {
    if commits.is_empty() {
        return String::new();
    }
    let mut listed: Vec<(usize, &Value)> = commits.iter().enumerate().collect();
    listed.sort_by_key(|(_, commit)| !commit["pull_request"].is_null());
    listed.truncate(LISTED);
    listed.sort_by_key(|(index, _)| *index);
    let row = |commit: &Value| {
        let pull = match &commit["pull_request"] {
            Value::Null => "none".to_owned(),
            number => format!("#{}", plain(number)),
        };
        let sha = plain(&commit["commit"]);
        vec![
            short(&sha).to_owned(),
            plain(&commit["subject"]),
            pull,
            plain(&commit["author"]),
        ]
    };
    let rows: Vec<Vec<String>> = listed.iter().map(|(_, commit)| row(commit)).collect();
    let mut table = markdown_table(&["commit", "title", "pull request", "author"], &rows);
    let more = commits.len() - listed.len();
    if more > 0 {
        let all = "`--json` has all of them";
        table.push_str(&format!("\nand {}; {all}\n", count(more, "more commit")));
    }
    table
}

fn markdown_pulls(changes: &[Value], commits: &[Value]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let own = |commit: &&Value| commit["pull_request"] == change["number"];
            let count = commits.iter().filter(own).count();
            let mut row = ["number", "title", "authors", "approvers"]
                .map(|name| plain(&change[name]))
                .to_vec();
            row.push(count.to_string());
            row
        })
        .collect();
    markdown_table(
        &["pull request", "title", "authors", "approved by", "commits"],
        &rows,
    )
}

/// A JSON value as plain text.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "nobody".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn commit(number: usize, pull: Option<u64>) -> Value {
        json!({
            "commit": format!("{number:07x}{}", "0".repeat(33)),
            "subject": format!("Change | {number}"),
            "author": "ada",
            "pull_request": pull,
        })
    }

    #[test]
    fn a_digest_without_a_commit_has_words_in_place_of_it() {
        let mut whole = crate::check::tests::Promotion::new();
        whole.subject.commit = None;
        let decision = crate::check::decide::decide(&whole.setting, &whole.subject, &whole.facts);
        let error = report(
            &whole.setting,
            &whole.subject,
            &whole.facts,
            &decision,
            Occasion::Promotion,
        );
        let error = error.unwrap_err();
        let text = error.details.to_string();
        assert!(text.contains("\nno commit is known for it\n"), "{text}");
        let summary = error.summary.unwrap();
        assert!(
            summary.contains("\n\nNo commit is known for it\n"),
            "{summary}"
        );
        assert!(!summary.contains("``"), "{summary}");
    }

    #[test]
    fn each_commit_is_listed_also_without_a_pull_request() {
        assert_eq!(markdown_changes(&[], &[]), "");
        let commits = [commit(1, Some(7)), commit(2, None)];
        expect![[r#"
            | commit | title | pull request | author |
            | --- | --- | --- | --- |
            | 0000001 | Change \| 1 | #<!-- -->7 | ada |
            | 0000002 | Change \| 2 | none | ada |
        "#]]
        .assert_eq(&markdown_changes(&[], &commits));
    }

    #[test]
    fn a_large_range_hides_no_commit_that_came_without_a_pull_request() {
        let mut commits: Vec<Value> = (0..60).map(|number| commit(number, Some(7))).collect();
        commits[59] = commit(59, None);
        let shown = markdown_changes(&[], &commits);
        assert_eq!(shown.matches("7 | ada").count(), 49, "{shown}");
        assert_eq!(shown.matches("| none |").count(), 1, "{shown}");
        let last = "and 10 more commits; `--json` has all of them\n";
        assert!(shown.ends_with(last), "{shown}");
    }
}

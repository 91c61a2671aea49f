//! The outcome of a function's deployment: the report of a success, or the error of anything else.

use super::plan::{Plan, Version};
use super::status_hint;
use super::verdict::{Back, Verdict};
use crate::progress::first_few;
use crate::under::UsedPermit;
use crate::verdict::Why;
use kit::Report;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::markdown;
use kit::report::{markdown_table, text_table};
use lambda::{Client, Configuration};
use net::Account;
use serde_json::{Value, json};
use std::time::Duration;

/// A deployment that came to a verdict.
pub(super) struct Outcome<'a> {
    pub(super) client: &'a Client,
    pub(super) account: &'a Account,
    pub(super) plan: &'a Plan,
    pub(super) target: &'a Configuration,
    pub(super) under: Option<&'a UsedPermit>,
    pub(super) verdict: Verdict,
    /// The alarms that rang from before the beginning to the end.
    pub(super) not_watched: Vec<String>,
    pub(super) took: Duration,
    pub(super) timeout: Duration,
}

/// The report of a dry run. `missing` is the refusal that a deployment would meet.
pub(super) fn planned(
    client: &Client,
    plan: &Plan,
    under: Option<&UsedPermit>,
    missing: Option<Error>,
) -> Report {
    let refused = missing.iter().flat_map(|refusal| {
        let message = format!("refused: {}", refusal.message);
        std::iter::once(message).chain(refusal.hints.iter().cloned())
    });
    let lines: Vec<String> = refused
        .chain(under.iter().map(|under| under.start_line()))
        .chain(plan.lines())
        .collect();
    let title = format!(
        "would deploy to alias {} of function {}",
        client.alias, client.function
    );
    let mut json = plan.json();
    json["function"] = client.function.clone().into();
    json["alias"] = client.alias.clone().into();
    json["permit"] = under.map(UsedPermit::json).into();
    json["refused"] = missing.map(|refusal| refusal.message).into();
    Report {
        summary: format!("### Dry run: {title}\n\n- {}\n", lines.join("\n- ")),
        text: format!("{title}:\n  {}", lines.join("\n  ")),
        json,
        ..Report::default()
    }
}

/// The report of a success, or the error of any other end.
///
/// # Errors
/// Every verdict but success.
pub(super) fn ended(outcome: &Outcome<'_>) -> Result<Report> {
    let facts = outcome.facts();
    let Outcome {
        client,
        target,
        verdict,
        ..
    } = outcome;
    let function = &client.function;
    if *verdict == Verdict::Succeeded {
        let report = Report {
            summary: format!(
                "### Function {function}: deployed\n\n{}{}",
                markdown_table(&["what", "value"], &facts),
                outcome.changes()
            ),
            text: text_table(&["function", function], &facts),
            json: outcome.json(),
            ..Report::default()
        };
        return Ok(report
            .output("function-version-arn", &target.function_arn)
            .output("digest", outcome.plan.digest.as_str())
            .output("verdict", "healthy"));
    }
    let mut error = outcome.error().hint(status_hint(client));
    let summary = format!(
        "### Function {function}: {}\n\n{}\n\n{}{}",
        verdict.word().replace('_', " "),
        markdown::code(&error.message),
        markdown_table(&["what", "value"], &facts),
        outcome.changes()
    );
    error.json = Some(outcome.json());
    let error = error
        .summary(summary)
        .output("function-version-arn", &target.function_arn)
        .output("digest", outcome.plan.digest.as_str());
    Err(match verdict.recorded() {
        Some(recorded) => error.output("verdict", recorded),
        None => error,
    })
}

impl Outcome<'_> {
    fn error(&self) -> Error {
        let (version, before) = (&self.target.version, &self.plan.before);
        match &self.verdict {
            Verdict::Succeeded => Error::failed("succeeded"),
            Verdict::RolledBack { reason } => Error::new(
                ErrorKind::RolledBack,
                format!("version {version} did not become healthy and was rolled back: the alias serves version {before} again"),
            )
            .cause(reason.clone()),
            Verdict::Superseded { serves } => Error::new(
                ErrorKind::Superseded,
                format!("another deployment superseded this one: the alias serves {serves}"),
            )
            .cause(format!("version {version} was to be served")),
            Verdict::Failed { reason, causes } => {
                Error::failed(format!("the deployment of version {version} failed"))
                    .cause(reason.clone())
                    .with_causes(first_few(causes, 10))
                    .hint("deploy the version that should run")
            }
            Verdict::GivenUp { why, back } => self.given_up(why, back),
        }
    }

    fn given_up(&self, why: &Why, back: &Back) -> Error {
        let (version, before) = (&self.target.version, &self.plan.before);
        let error = match why {
            Why::TimedOut { waited_for } => Error::new(
                ErrorKind::TimedOut,
                format!(
                    "version {version} did not become healthy within {}",
                    human(self.timeout)
                ),
            )
            .with_causes(first_few(waited_for, 10)),
            Why::Cancelled { signal } => {
                Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"))
            }
        };
        match back {
            Back::Unwanted if matches!(self.plan.version, Version::End(_)) => error.hint(
                "the alias was left as it is; run the same deploy again to go on",
            ),
            Back::Unwanted => error.hint(
                "the alias was left as it is, because of --no-rollback; run the same deploy again to go on",
            ),
            Back::NotOurs => error.hint("the alias was left as it is, because this run did not change it"),
            Back::Completed => error.cause(format!(
                "the deployment was rolled back: the alias serves version {before} again"
            )),
            Back::Failed(causes) => error
                .cause("the rollback was not completed")
                .with_causes(first_few(causes, 10))
                .hint("deploy the version that should run"),
        }
    }

    /// The settings that came with this deployment, for the summary page.
    fn changes(&self) -> String {
        if self.plan.changes.is_empty() {
            return String::new();
        }
        let lines: Vec<String> = self.plan.changes.iter().map(lambda::Change::line).collect();
        format!(
            "\n**Changed with it**\n\n{}\n",
            markdown::block("text", &lines.join("\n"))
        )
    }

    fn facts(&self) -> Vec<Vec<String>> {
        let mut facts = vec![
            ("verdict", self.verdict.word().replace('_', " ")),
            ("image", self.plan.image.clone()),
            ("alias", self.client.alias.clone()),
            ("version", self.target.version.clone()),
            ("version before", self.plan.before.clone()),
            (
                "account",
                format!("{} in {}", self.account.id, self.account.region),
            ),
            ("took", human(self.took)),
        ];
        if let Some(under) = self.under {
            facts.insert(1, ("permit", under.line()));
        }
        if !self.not_watched.is_empty() {
            facts.push(("alarms not watched", self.not_watched.join(", ")));
        }
        let facts = facts.into_iter();
        facts
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect()
    }

    fn json(&self) -> Value {
        let mut json = self.plan.json();
        let own = json!({
            "verdict": self.verdict.word(),
            "verified": self.verdict == Verdict::Succeeded,
            "function": self.client.function,
            "alias": self.client.alias,
            "account": self.account.id,
            "region": self.account.region,
            "version": self.target.version,
            "version_arn": self.target.function_arn,
            "seconds": self.took.as_secs(),
            "permit": self.under.map(UsedPermit::json),
            "alarms_not_watched": self.not_watched,
        });
        let more = match &self.verdict {
            Verdict::Succeeded => json!({}),
            Verdict::RolledBack { reason } => {
                json!({"reason": reason, "rolled_back_to": self.plan.before})
            }
            Verdict::Superseded { serves } => json!({"serves": serves}),
            Verdict::Failed { reason, causes } => json!({"reason": reason, "missing": causes}),
            Verdict::GivenUp { why, back } => json!({
                "rollback": match back {
                    Back::Unwanted => "unwanted",
                    Back::NotOurs => "not_ours",
                    Back::Completed => "completed",
                    Back::Failed(_) => "failed",
                },
                "waited_for": match why {
                    Why::TimedOut { waited_for } => Some(waited_for),
                    Why::Cancelled { .. } => None,
                },
            }),
        };
        for part in [own, more] {
            if let (Some(json), Value::Object(part)) = (json.as_object_mut(), part) {
                json.extend(part);
            }
        }
        json
    }
}

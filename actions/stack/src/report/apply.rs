//! The report of `apply`.

use crate::cause::Causes;
use crate::follow::Verdict;
use crate::seen::Stack;
use crate::watch::Ended;
use kit::Report;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::id::PlanId;
use kit::markdown;
use kit::report::{markdown_table, text_table};
use ledger::applied::AppliedPermit;
use net::Account;
use serde_json::{Value, json};
use std::time::Duration;

/// An execution, as far as it is reported.
pub(crate) struct Applied<'a> {
    pub(crate) account: &'a Account,
    pub(crate) name: &'a str,
    pub(crate) plan: &'a PlanId,
    pub(crate) timeout: Duration,
    pub(crate) arguments: &'a str,
    /// The settings that were changed beside the resources.
    pub(crate) enforced: Vec<String>,
    pub(crate) under: Option<AppliedPermit>,
}

/// The report of a plan that changes nothing.
pub(crate) fn nothing(applied: &Applied<'_>, stack: &Stack) -> Report {
    applied.success("no changes", stack, None, &[])
}

/// The report of an execution that succeeded, or the error of any other end.
///
/// # Errors
/// Every verdict but success.
pub(crate) fn ended(applied: &Applied<'_>, ended: Ended) -> Result<Report> {
    let name = applied.name;
    let status = ended
        .stack
        .as_ref()
        .map_or("deleted", |stack| stack.status.as_str())
        .to_owned();
    let error = match (&ended.verdict, &ended.stack) {
        (Verdict::Succeeded, Some(stack)) => {
            return Ok(applied.success("applied", stack, Some(ended.took), &ended.causes.left));
        }
        (Verdict::Succeeded, None) => Error::failed(format!(
            "plan {} succeeded, and the stack {name} is gone",
            applied.plan
        )),
        (Verdict::RolledBack, _) => {
            let error = Error::new(
                ErrorKind::RolledBack,
                format!("the stack {name} was rolled back: {status}"),
            );
            match status.as_str() {
                "ROLLBACK_COMPLETE" => error.hint(format!(
                    "it never worked, so CloudFormation can only delete it: aws cloudformation delete-stack --stack-name {name}"
                )),
                _ => error,
            }
        }
        (Verdict::Failed, _) => {
            Error::failed(format!("the plan of the stack {name} failed: {status}"))
        }
        (Verdict::Superseded { status, applied: was }, _) => Error::new(
            ErrorKind::Superseded,
            match was {
                true => format!(
                    "plan {} was applied, and another operation changed the stack {name} since: {status}",
                    applied.plan
                ),
                false => format!(
                    "another operation on the stack {name} began before plan {} was applied: {status}",
                    applied.plan
                ),
            },
        )
        .hint(
            "the stack is not as it was planned; find out who else changes it",
        ),
    };
    let causes = &ended.causes;
    let why = why(causes);
    let mut json = applied.json(&status, ended.stack.as_ref());
    json["root_cause"] = causes.root.clone().into();
    json["also"] = causes.others.clone().into();
    json["cancelled"] = causes.cancelled.into();
    json["not_rolled_back"] = causes.rollback.clone().into();
    let mut error = error.with_causes(why.clone()).hint(format!(
        "see how it stands: slipway-stack status {}",
        applied.arguments
    ));
    error.summary = Some(format!(
        "### {}\n\n{}\n{}",
        markdown::text(&error.message),
        markdown_table(
            &["what", "value"],
            &applied.facts(word(&ended.verdict), &status, Some(ended.took))
        ),
        if why.is_empty() {
            String::new()
        } else {
            format!("**Why**\n\n{}", markdown::block("text", &why.join("\n")))
        }
    ));
    error.json = Some(json);
    if let Some(stack) = &ended.stack {
        error = error.output("stack-id", &stack.id);
    }
    Err(error)
}

/// The causes as lines, the root cause first.
pub(super) fn why(causes: &Causes) -> Vec<String> {
    let root = causes.root.iter().map(|line| format!("root cause: {line}"));
    let others = causes.others.iter().map(|line| format!("also: {line}"));
    let cancelled = (causes.cancelled > 0).then(|| {
        let number = kit::report::count(causes.cancelled, "resource");
        format!("{number} cancelled because of that")
    });
    let rollback = causes.rollback.iter();
    let rollback = rollback.map(|line| format!("not rolled back: {line}"));
    root.chain(others)
        .chain(cancelled)
        .chain(rollback)
        .collect()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "applied",
        Verdict::RolledBack => "rolled back",
        Verdict::Failed => "failed",
        Verdict::Superseded { .. } => "superseded",
    }
}

impl Applied<'_> {
    fn success(
        &self,
        what: &str,
        stack: &Stack,
        took: Option<Duration>,
        left: &[String],
    ) -> Report {
        let mut facts = self.facts(what, &stack.status, took);
        let row = |line: &String| vec!["left behind".to_owned(), line.clone()];
        facts.extend(left.iter().map(row));
        let outputs: Vec<Vec<String>> = stack
            .outputs
            .iter()
            .map(|(name, value)| vec![name.clone(), value.clone()])
            .collect();
        let mut text = text_table(&["stack", self.name], &facts);
        let mut summary = format!(
            "### Stack {}: {what}\n\n{}",
            self.name,
            markdown_table(&["what", "value"], &facts)
        );
        if stack.status == "IMPORT_COMPLETE" {
            text.push_str(&format!(
                "\ncompare what was taken over with the template: slipway-stack drift {}\n",
                self.arguments
            ));
        }
        if !outputs.is_empty() {
            text.push_str(&format!("\n{}", text_table(&["output", "value"], &outputs)));
            summary.push_str(&format!(
                "\n{}",
                markdown_table(&["output", "value"], &outputs)
            ));
        }
        Report {
            summary,
            text,
            json: {
                let mut json = self.json(&stack.status, Some(stack));
                json["left_behind"] = left.into();
                json["result"] = what.into();
                json
            },
            ..Report::default()
        }
        .output("stack-id", &stack.id)
        .output("outputs", json!(stack.outputs).to_string())
    }

    fn facts(&self, result: &str, status: &str, took: Option<Duration>) -> Vec<Vec<String>> {
        let mut facts = vec![
            ("result", result.to_owned()),
            ("status", status.to_owned()),
            ("plan", self.plan.to_string()),
            (
                "account",
                format!("{} in {}", self.account.id, self.account.region),
            ),
        ];
        facts.extend(took.map(|took| ("took", human(took))));
        if let Some(under) = &self.under {
            facts.insert(3, ("permit", under.line()));
        }
        for line in &self.enforced {
            facts.push(("protection", line.clone()));
        }
        facts
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect()
    }

    fn json(&self, status: &str, stack: Option<&Stack>) -> Value {
        json!({
            "stack": self.name,
            "stack_id": stack.map(|stack| stack.id.as_str()),
            "plan_id": self.plan,
            "account": self.account.id,
            "region": self.account.region,
            "status": status,
            "outputs": stack.map(|stack| &stack.outputs),
            "enforced": self.enforced,
            "permit": self.under.as_ref().map(AppliedPermit::json),
            "timeout_seconds": self.timeout.as_secs(),
        })
    }
}

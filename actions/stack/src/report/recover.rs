//! The report of `recover`.

use super::apply::why;
use crate::follow::Verdict;
use crate::watch::Ended;
use kit::Report;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::markdown;
use kit::report::{markdown_table, text_table};
use net::Account;
use serde_json::json;

/// A rollback that went on.
pub(crate) struct Recovered<'a> {
    pub(crate) account: &'a Account,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a str,
    pub(crate) skipped: &'a [String],
    /// The resources that could not be rolled back this time, by the names that CloudFormation takes.
    pub(crate) failed: &'a [String],
}

/// The report of a rollback that is complete now, or the error of any other end.
///
/// # Errors
/// It failed again (exit 1), or another operation changed the stack (exit 7).
pub(crate) fn report(recovered: &Recovered<'_>, ended: Ended) -> Result<Report> {
    let Recovered {
        account,
        name,
        arguments,
        skipped,
        failed,
    } = recovered;
    let status = ended
        .stack
        .as_ref()
        .map_or("deleted", |stack| stack.status.as_str())
        .to_owned();
    let json = json!({
        "stack": name,
        "stack_id": ended.stack.as_ref().map(|stack| stack.id.as_str()),
        "account": account.id,
        "region": account.region,
        "status": status,
        "skipped": skipped,
        "not_rolled_back": ended.causes.rollback,
        "can_be_skipped": failed,
    });
    let next = format!("slipway-stack status {arguments}");
    let mut error = match &ended.verdict {
        Verdict::RolledBack => {
            let mut facts = vec![
                vec!["result".to_owned(), "rolled back".to_owned()],
                vec!["status".to_owned(), status],
                vec![
                    "account".to_owned(),
                    format!("{} in {}", account.id, account.region),
                ],
                vec!["took".to_owned(), human(ended.took)],
            ];
            for skipped in *skipped {
                facts.push(vec![
                    "left as it is".to_owned(),
                    format!("{skipped}: the stack says what it was before, which may not be what is there"),
                ]);
            }
            let mut text = text_table(&["stack", name], &facts);
            if !skipped.is_empty() {
                text.push_str(&format!(
                    "\nsee what is not as the template says: slipway-stack drift {arguments}\n"
                ));
            }
            return Ok(Report {
                summary: format!(
                    "### Stack {}: rolled back\n\n{}",
                    markdown::text(name),
                    markdown_table(&["what", "value"], &facts)
                ),
                text,
                json,
                ..Report::default()
            });
        }
        Verdict::Failed => Error::failed(format!(
            "the rollback of the stack {name} failed again: {status}"
        ))
        .hint(format!("see which resource stops it, and fix that: {next}"))
        .hint(leave(arguments, skipped, failed)),
        Verdict::Succeeded | Verdict::Superseded { .. } => Error::new(
            ErrorKind::Superseded,
            format!("another operation changed the stack {name} meanwhile: {status}"),
        )
        .hint(format!("find out who else changes it: {next}")),
    };
    error = error.with_causes(why(&ended.causes));
    if !skipped.is_empty() {
        error = error.cause(format!("left as it is: {}", skipped.join(", ")));
    }
    error.json = Some(json);
    Err(error)
}

/// The command that also leaves what failed this time as it is.
fn leave(arguments: &str, skipped: &[String], failed: &[String]) -> String {
    let new = failed.iter().filter(|name| !skipped.contains(name));
    let flags: Vec<String> = skipped
        .iter()
        .chain(new)
        .map(|name| format!(" --skip {name}"))
        .collect();
    format!(
        "or leave them as they are: slipway-stack recover {arguments}{}",
        flags.concat()
    )
}

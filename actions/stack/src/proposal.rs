//! The plan of a pull request: the same change set, made by the role that only reads, shown as one comment and deleted again.

use crate::args;
use crate::imports::Wanted;
use crate::plan::plan as make;
use crate::progress::Progress;
use crate::report::plan::fitting;
use kit::error::{Error, Result};
use kit::{Cx, Report, markdown};
use std::cell::RefCell;

/// # Errors
/// Those of any plan.
pub(crate) async fn plan(
    args: &args::Plan,
    imports: &[Wanted],
    cx: &Cx,
    progress: &RefCell<Progress>,
) -> Result<Report> {
    let Some(run) = github::pull_run(&cx.env) else {
        return make(args, imports, cx, progress, false).await;
    };
    let stack = args.stack.arguments(cx);
    let planned = make(args, imports, cx, progress, true).await;
    if let Some(number) = run.number {
        // The arguments may hold what would end an HTML comment, their hash does not.
        let marker = format!(
            "<!-- slipway-stack plan {} -->",
            &ledger::sha256(stack.as_bytes())[..16]
        );
        let page = match &planned {
            Ok(report) => report.summary.clone(),
            Err(error) => error.summary.clone().unwrap_or_else(|| told(error)),
        };
        let rest = cx.host.run_url();
        let rest = rest.map_or("the run's log".to_owned(), |url| format!("the run: {url}"));
        github::comment_plan(cx, number, &marker, |limit| fitting(&page, limit, &rest)).await;
    }
    planned
}

/// An error without a page of its own: an old plan must not stay in its place.
fn told(error: &Error) -> String {
    format!(
        "### No plan: {}\n\n{}",
        markdown::text(&error.message),
        markdown::block("text", &error.to_string())
    )
}

//! `board`: one static page with every environment, for people who do not read the ledger.

mod next;
mod page;
#[cfg(test)]
mod tests;

use crate::args::Board as Args;
use crate::setting::Setting;
use crate::status;
use kit::error::{Context, Error, Result};
use kit::report::count;
use kit::{Cx, Report};
use ledger::{Chain, Recorded};
use net::Net;
use next::Next;
use page::{Environment, Page};
use serde_json::json;
use std::fs;
use std::path::Path;

/// How many of an environment's newest records are read for the list of its deployments.
const RECORDS: usize = 60;
/// How many deployments are listed.
const DEPLOYMENTS: usize = 8;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<Report> {
    let contract = cx.contract()?;
    let mut settings = status::all(cx, &args.ledger)?;
    if let Some(last) = &cx.common.environment {
        settings = up_to(settings, last);
    }
    let net = Net::new(cx)?;
    let mut environments: Vec<Environment> = Vec::new();
    for setting in &settings {
        cx.host.info(format!("reads {}", setting.environment));
        let account = net.account(&setting.ledger_reader).await?;
        let ledger = setting.ledger(&net, &account);
        let row = status::observe(cx, &net, &ledger, setting, true).await?;
        let chain = Chain::new(&setting.service, &setting.environment)?;
        let records = ledger.recent(&chain, RECORDS, |_| false).await?;
        let before = setting.follows.as_ref().and_then(|before| {
            let mut rows = environments.iter().map(|it| &it.row);
            rows.find(|row| row.environment == *before)
        });
        let next = match before {
            None => None,
            Some(before) => {
                let repository = args.github.repository();
                Some(next::observe(cx, &net, setting, repository, before, &row).await)
            }
        };
        environments.push(Environment {
            row,
            follows: setting.follows.clone(),
            deployments: deployments(records),
            next,
        });
    }
    let page = Page {
        service: contract.service().to_owned(),
        now: status::shown_time(cx, &net),
        environments,
    };
    write(&args.page, &page.html()?)?;
    Ok(report(&args.page, &page))
}

/// The environment that is named, and those that a promotion to it comes through.
fn up_to(settings: Vec<Setting>, last: &str) -> Vec<Setting> {
    let mut wanted = vec![last.to_owned()];
    let mut kept: Vec<Setting> = settings
        .into_iter()
        .rev()
        .filter_map(|setting| {
            if !wanted.contains(&setting.environment) {
                return None;
            }
            wanted.extend(setting.follows.clone());
            Some(setting)
        })
        .collect();
    kept.reverse();
    kept
}

/// The newest deployments, each with the permit that it ran under where that was read.
fn deployments(records: Vec<Recorded>) -> Vec<page::Deployment> {
    let permit = |number: u64| {
        let mut all = records.iter().map(|it| &it.record);
        all.find(|record| record.seq == number).cloned()
    };
    records
        .iter()
        .filter(|recorded| recorded.record.is_deployment())
        .take(DEPLOYMENTS)
        .map(|recorded| page::Deployment {
            record: recorded.record.clone(),
            permit: recorded.record.under.and_then(permit),
        })
        .collect()
}

/// Replaces the page as a whole, so that nobody reads half of one.
fn write(path: &Path, html: &str) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or_else(|| {
        Error::usage(format!("{} names no file", path.display()))
            .hint("give --page the name of the page, such as board.html")
    })?;
    let mut draft = name.to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = folder.join(draft);
    let written = fs::write(&draft, html).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // A draft that was written in part is useless.
        let _ = fs::remove_file(&draft);
    }
    written.context(format!("cannot write {}", path.display()))
}

fn report(path: &Path, page: &Page) -> Report {
    let environments = count(page.environments.len(), "environment");
    let path = path.display();
    let json: Vec<_> = page
        .environments
        .iter()
        .map(|it| json!({ "environment": it.row.environment, "next": it.next.as_ref().map(Next::json) }))
        .collect();
    Report {
        text: format!("wrote {path}: {environments}\n"),
        summary: format!("### Wrote the board, {environments}\n"),
        json: json!({ "page": path.to_string(), "environments": json }),
        ..Report::default()
    }
}

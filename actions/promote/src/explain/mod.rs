//! `explain`: what the gate of an environment asks, from the contract alone. Asks neither AWS nor GitHub.

mod rules;

use crate::args::Explain as Args;
use crate::setting::Setting;
use kit::error::Result;
use kit::markdown;
use kit::report::markdown_table;
use kit::{Cx, Report};
use rules::Explained;
use serde_json::json;

const HEADER: [&str; 4] = ["rule", "asks", "reads", "how to resolve"];

pub(crate) fn run(args: &Args, cx: &Cx) -> Result<Report> {
    let setting = Setting::of(cx, &args.ledger)?.with_rules(&args.rules)?;
    Ok(report(&setting))
}

fn report(setting: &Setting) -> Report {
    let environment = &setting.environment;
    if setting.asks_nothing() {
        let line = format!("{environment} has no gate: everything may be deployed to it");
        return Report {
            summary: format!("### {}\n", markdown::text(&line)),
            json: json!({"environment": environment, "gate": false, "rules": [], "besides": {}}),
            text: format!("{line}\n"),
            ..Report::default()
        };
    }
    let rules = rules::of(setting);
    let besides = rules::besides(setting);
    let title = match &setting.follows {
        Some(before) => format!("what {environment} asks of a promotion from {before}"),
        None => format!("what {environment} asks of a deployment"),
    };
    let mut text = format!("{title}\n");
    for Explained {
        rule,
        asked,
        asks,
        reads,
        lifts,
    } in &rules
    {
        match asked {
            true => text.push_str(&format!(
                "\n{rule}\n  asks: {asks}\n  reads: {reads}\n  if refused: {lifts}\n"
            )),
            false => text.push_str(&format!("\n{rule}\n  not asked: {asks}\n")),
        }
    }
    for (topic, explanation) in &besides {
        text.push_str(&format!("\n{topic}\n  {explanation}\n"));
    }
    let row = |explained: &Explained| {
        let asks = match explained.asked {
            true => explained.asks.clone(),
            false => format!("not asked: {}", explained.asks),
        };
        vec![
            explained.rule.to_owned(),
            asks,
            explained.reads.clone(),
            explained.lifts.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = rules.iter().map(row).collect();
    let besides_rows: Vec<Vec<String>> = besides
        .iter()
        .map(|(topic, explanation)| vec![(*topic).to_owned(), explanation.clone()])
        .collect();
    let summary = format!(
        "### {}\n\n{}\n{}",
        markdown::text(&title),
        markdown_table(&HEADER, &rows),
        markdown_table(&["besides", ""], &besides_rows)
    );
    let besides: serde_json::Map<String, serde_json::Value> = besides
        .into_iter()
        .map(|(topic, explanation)| (topic.to_owned(), json!(explanation)))
        .collect();
    Report {
        text,
        summary,
        json: json!({"environment": environment, "gate": true, "rules": rules, "besides": besides}),
        ..Report::default()
    }
}

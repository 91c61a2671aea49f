//! A plan as people read it: counts, what destroys in front, one line for each resource and below it
//! what changes. All of it stands in a fence that nothing in it can end, and is cut by whole lines.

use super::changes::{Changes, Resource};
use kit::markdown;
use kit::report::count;

/// One line about the plan's circumstances.
pub(crate) type Fact = (&'static str, String);

/// The lines of a plan, most dangerous first.
pub(crate) fn lines(changes: &Changes) -> Vec<String> {
    match changes.refreshes() {
        true => drifted(changes),
        false => listed(&changes.resources, changes),
    }
}

/// The lines of what differs already.
pub(crate) fn drifted(changes: &Changes) -> Vec<String> {
    listed(&changes.drift, changes)
}

fn listed(resources: &[Resource], changes: &Changes) -> Vec<String> {
    let mut lines = Vec::new();
    for resource in resources {
        push(resource, &mut lines);
    }
    for output in &changes.outputs {
        lines.push(format!("!   output {} {}", output.name, output.action));
        lines.extend(output.lines.iter().map(|line| format!("      {line}")));
    }
    lines
}

fn push(resource: &Resource, lines: &mut Vec<String>) {
    let from = match &resource.from {
        Some(from) => format!("  (from {from})"),
        None => String::new(),
    };
    lines.push(format!(
        "{} {}{from}",
        resource.kind.sign(),
        resource.address
    ));
    for line in &resource.lines {
        lines.push(format!("      {line}"));
    }
}

/// Markdown of at most `limit` bytes; `rest` says where what was cut can be read.
pub(crate) fn page(
    title: &str,
    facts: &[Fact],
    lines: &[String],
    limit: usize,
    rest: &str,
) -> String {
    let mut head = format!("### {}\n\n", markdown::text(title));
    for (name, value) in facts {
        head.push_str(&format!("- {name}: {}\n", markdown::text(value)));
    }
    if lines.is_empty() {
        return head;
    }
    let fence = markdown::fence(&lines.join("\n"));
    let open = format!("\n{fence}diff\n");
    // Room for the fence's end and the line that says what is missing.
    let mut left = limit.saturating_sub(head.len() + open.len() + fence.len() + rest.len() + 80);
    let mut body = String::new();
    let mut shown = 0;
    for line in lines {
        let Some(room) = left.checked_sub(line.len() + 1) else {
            break;
        };
        left = room;
        body.push_str(line);
        body.push('\n');
        shown += 1;
    }
    let cut = match lines.len() - shown {
        0 => String::new(),
        missing => format!("\n**{} not shown**: {rest}\n", count(missing, "more line")),
    };
    format!("{head}{open}{body}{fence}\n{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::changes::{Kind, Output};
    use expect_test::expect;

    fn changes() -> Changes {
        let resource = |kind, address: &str, lines: &[&str]| Resource {
            kind,
            address: address.to_owned(),
            from: None,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        Changes {
            resources: vec![
                resource(
                    Kind::Replace,
                    "aws_db.main",
                    &["engine: \"14\" → \"15\"  # forces replacement"],
                ),
                resource(Kind::Destroy, "a.b[\"~~~~\"]", &[]),
                resource(Kind::Create, "a.c", &[]),
            ],
            outputs: vec![Output {
                name: "o".to_owned(),
                action: "changed",
                lines: vec!["value: 1 → 2".to_owned()],
            }],
            ..Changes::default()
        }
    }

    #[test]
    fn a_person_reads_the_danger_first() {
        let changes = changes();
        let title = format!("Plan: {}", changes.counts());
        let facts = [("state", "b/shop_dev/x.tfstate".to_owned())];
        expect![[r#"
            ### Plan: 1 to replace, 1 to destroy, 1 to add

            - state: b/shop_dev/x.tfstate

            ~~~~~diff
            -/+ aws_db.main
                  engine: "14" → "15"  # forces replacement
            -   a.b["~~~~"]
            +   a.c
            !   output o changed
                  value: 1 → 2
            ~~~~~
        "#]]
        .assert_eq(&page(&title, &facts, &lines(&changes), 9999, "the log"));
    }

    #[test]
    fn a_long_plan_is_cut_by_whole_lines_and_says_where_the_rest_is() {
        let lines: Vec<String> = (0..5000).map(|n| format!("+   a.b[{n}]é")).collect();
        let text = page("Plan", &[], &lines, 2000, "https://example/run");
        assert!(text.len() <= 2000, "{}", text.len());
        let shown = text.lines().filter(|line| line.starts_with("+ ")).count();
        assert!(
            text.ends_with(&format!(
                "~~~\n\n**{} more lines not shown**: https://example/run\n",
                5000 - shown
            )),
            "{text}"
        );
    }
}

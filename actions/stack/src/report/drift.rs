//! The report of `drift`.

use crate::client::{Detection, Drifted};
use crate::hidden::shown;
use crate::unchecked::{Unchecked, unknown};
use kit::Report;
use kit::error::{Error, ErrorKind, Result};
use kit::markdown;
use net::Account;
use serde_json::{Value, json};

/// A stack as CloudFormation compared it with its template.
pub(crate) struct Compared<'a> {
    pub(crate) account: &'a Account,
    pub(crate) name: &'a str,
    pub(crate) stack: &'a str,
    pub(crate) detection: Detection,
    pub(crate) drifted: Vec<Drifted>,
    /// The resources that it did not compare.
    pub(crate) unchecked: Vec<Unchecked>,
}

/// The report of a stack that is as its template says, or the error of one that is not, or of which that is not known.
///
/// # Errors
/// It has drifted (exit 6), or something of it was not compared (exit 3).
pub(crate) fn report(compared: &Compared<'_>) -> Result<Report> {
    let name = compared.name;
    let mut lines: Vec<String> = compared.drifted.iter().flat_map(resource_lines).collect();
    if let Some(reason) = compared
        .detection
        .reason
        .as_ref()
        .filter(|reason| !reason.is_empty())
    {
        lines.push(format!("CloudFormation: {reason}"));
    }
    lines.extend(compared.unchecked.iter().map(Unchecked::line));
    let unknown = unknown(&compared.detection, &compared.unchecked);
    let number = compared.drifted.len();
    let title = match number {
        0 if unknown.is_empty() => format!("the stack {name} is as its template says"),
        0 => format!("it is not known whether the stack {name} has drifted"),
        _ => format!(
            "the stack {name} has drifted: {}",
            kit::report::count(number, "resource")
        ),
    };
    let body = match lines.is_empty() {
        true => String::new(),
        false => markdown::block("text", &lines.join("\n")),
    };
    let summary = format!(
        "### {}\n\nAccount {} in {}\n\n{body}",
        markdown::text(&title),
        compared.account.id,
        compared.account.region
    );
    if number == 0 && !unknown.is_empty() {
        return Err(unseen(compared, title, unknown, summary));
    }
    if number == 0 {
        return Ok(Report {
            summary,
            text: format!(
                "{title}\n{}",
                lines
                    .iter()
                    .map(|line| format!("{line}\n"))
                    .collect::<String>()
            ),
            json: json(compared),
            ..Report::default()
        }
        .output("stack-id", compared.stack)
        .output("drifted", "false"));
    }
    let mut error = Error::new(ErrorKind::Drifted, title)
        .hint("find out who changed it: AWS CloudTrail has the calls")
        .hint("undo the change by hand, or take it into the template; a plan does not see it")
        .summary(summary)
        .output("stack-id", compared.stack)
        .output("drifted", "true");
    error.details = lines.join("\n");
    error.json = Some(json(compared));
    Err(error)
}

/// The refusal to call a stack unchanged of which a part was not compared.
fn unseen(compared: &Compared<'_>, title: String, why: Vec<String>, summary: String) -> Error {
    let mut error = Error::refused(title).with_causes(why);
    if compared.detection.status != "DETECTION_COMPLETE" {
        error =
            error.hint("the role that asks needs the permissions to read the stack's resources");
    }
    let left = || compared.unchecked.iter().filter(|it| !it.allowed);
    for nested in left().filter_map(Unchecked::nested_name) {
        error = error.hint(format!(
            "compare the nested stack by itself: slipway-stack drift --name {nested}"
        ));
    }
    let flags: Vec<String> = left()
        .map(|it| format!("--unchecked {}", it.logical_id))
        .collect();
    if !flags.is_empty() {
        error = error.hint(format!(
            "to do without the comparison of these: {}",
            flags.join(" ")
        ));
    }
    error.json = Some(json(compared));
    error
        .summary(summary)
        .output("stack-id", compared.stack)
        .output("drifted", "unknown")
}

fn resource_lines(drifted: &Drifted) -> Vec<String> {
    let physical = drifted.physical_id.as_deref().unwrap_or_default();
    let mut lines = vec![format!(
        "{} {} ({}) {physical}",
        drifted.status.to_lowercase(),
        drifted.logical_id,
        drifted.kind
    )];
    for difference in &drifted.differences {
        let path = format!("/Properties{}", difference.path);
        let value = |text: &Option<String>| {
            let text = text.as_deref();
            text.map_or_else(
                || "nothing".to_owned(),
                |text| shown(&drifted.kind, &path, text, &[]),
            )
        };
        lines.push(format!(
            "    {}: {} → {}",
            difference.path.trim_start_matches('/').replace('/', "."),
            value(&difference.expected),
            value(&difference.actual)
        ));
    }
    lines
}

fn json(compared: &Compared<'_>) -> Value {
    json!({
        "stack": compared.name,
        "stack_id": compared.stack,
        "account": compared.account.id,
        "region": compared.account.region,
        "drifted": !compared.drifted.is_empty(),
        "detection": compared.detection.status,
        "reason": compared.detection.reason,
        "not_compared": compared.unchecked.iter().map(|it| json!({
            "logical_id": it.logical_id, "type": it.kind, "status": it.status, "allowed": it.allowed,
        })).collect::<Vec<_>>(),
        "resources": compared.drifted.iter().map(|drifted| json!({
            "logical_id": drifted.logical_id,
            "physical_id": drifted.physical_id,
            "type": drifted.kind,
            "status": drifted.status,
            "at": drifted.at,
            "differences": drifted.differences.iter().map(|difference| {
                let path = format!("/Properties{}", difference.path);
                let value = |text: &Option<String>| text.as_deref().map(|text| shown(&drifted.kind, &path, text, &[]));
                json!({"path": difference.path, "expected": value(&difference.expected), "actual": value(&difference.actual)})
            }).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Difference;

    #[test]
    fn a_difference_is_shown_unless_it_is_a_secret() {
        let difference = |path: &str, expected: Option<&str>, actual: Option<&str>| Difference {
            path: path.to_owned(),
            expected: expected.map(str::to_owned),
            actual: actual.map(str::to_owned),
        };
        let drifted = Drifted {
            logical_id: "Database".to_owned(),
            physical_id: Some("db".to_owned()),
            kind: "AWS::RDS::DBInstance".to_owned(),
            status: "MODIFIED".to_owned(),
            differences: vec![
                difference("/AllocatedStorage", Some("20"), Some("40")),
                difference("/MasterUserPassword", Some("hunter2"), None),
            ],
            at: None,
        };
        assert_eq!(
            resource_lines(&drifted),
            [
                "modified Database (AWS::RDS::DBInstance) db",
                "    AllocatedStorage: 20 → 40",
                "    MasterUserPassword: (hidden) → nothing",
            ]
        );
    }
}

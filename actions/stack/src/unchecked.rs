//! The parts of a stack that CloudFormation did not compare with the template, of which nobody knows whether they differ. Pure.

use crate::client::{Detection, Resource};
use crate::seen::STACK;

/// A resource that was not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unchecked {
    pub(crate) logical_id: String,
    pub(crate) kind: String,
    /// `NOT_CHECKED`, `UNKNOWN` or another; empty if CloudFormation says nothing.
    pub(crate) status: String,
    /// The ARN of a nested stack.
    pub(crate) nested: Option<String>,
    /// True if a person said that it need not be compared.
    pub(crate) allowed: bool,
}

/// The resources that were not compared. What is in a nested stack never is: the detection of its parent does not look into it
/// (User Guide, "Detect drift on an entire CloudFormation stack").
pub(crate) fn unchecked(resources: &[Resource], allowed: &[String]) -> Vec<Unchecked> {
    let compared = |it: &&Resource| {
        it.kind != STACK && matches!(it.drift.as_str(), "IN_SYNC" | "MODIFIED" | "DELETED")
    };
    let gone = |it: &&Resource| it.status == "DELETE_COMPLETE";
    let left = resources.iter().filter(|it| !compared(it) && !gone(it));
    left.map(|it| Unchecked {
        logical_id: it.logical_id.clone(),
        kind: it.kind.clone(),
        status: it.drift.clone(),
        nested: it.physical_id.clone().filter(|_| it.kind == STACK),
        allowed: allowed.contains(&it.logical_id),
    })
    .collect()
}

/// Why a stack of which nothing was found to differ is not known to be as its template says, each reason as a line.
pub(crate) fn unknown(detection: &Detection, unchecked: &[Unchecked]) -> Vec<String> {
    let mut lines = Vec::new();
    match (detection.status.as_str(), detection.drift.as_deref()) {
        ("DETECTION_COMPLETE", Some("IN_SYNC")) => {}
        (status, drift) => {
            let result = drift.unwrap_or("no result");
            let reason = detection.reason.as_deref().filter(|it| !it.is_empty());
            let reason = reason.map_or_else(String::new, |it| format!(": {it}"));
            lines.push(format!(
                "the detection ended with {status}, {result}{reason}"
            ));
        }
    }
    let denied = unchecked.iter().filter(|it| !it.allowed);
    lines.extend(denied.map(Unchecked::line));
    lines
}

impl Unchecked {
    /// The resource as a line.
    pub(crate) fn line(&self) -> String {
        let status = match self.status.as_str() {
            "" => String::new(),
            status => format!(": {status}"),
        };
        let allowed = if self.allowed { ", by --unchecked" } else { "" };
        let inside = match &self.nested {
            Some(_) => ", what is in a nested stack is compared by itself",
            None => "",
        };
        format!(
            "not compared: {} ({}){status}{inside}{allowed}",
            self.logical_id, self.kind
        )
    }

    /// The name of the nested stack, which its ARN has.
    pub(crate) fn nested_name(&self) -> Option<&str> {
        self.nested.as_deref()?.split('/').nth(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: &str, kind: &str, drift: &str) -> Resource {
        Resource {
            logical_id: id.to_owned(),
            kind: kind.to_owned(),
            status: "CREATE_COMPLETE".to_owned(),
            drift: drift.to_owned(),
            physical_id: Some("arn:aws:cloudformation:r:1:stack/shop-Inner-1/u".to_owned()),
        }
    }

    fn detection(status: &str, drift: Option<&str>) -> Detection {
        Detection {
            status: status.to_owned(),
            reason: Some("because".to_owned()),
            drift: drift.map(str::to_owned),
        }
    }

    #[test]
    fn only_a_complete_comparison_of_everything_is_one() {
        let whole = detection("DETECTION_COMPLETE", Some("IN_SYNC"));
        assert_eq!(unknown(&whole, &[]), Vec::<String>::new());
        for (status, drift) in [
            ("DETECTION_FAILED", Some("IN_SYNC")),
            ("DETECTION_COMPLETE", Some("UNKNOWN")),
            ("DETECTION_COMPLETE", Some("NOT_CHECKED")),
            ("DETECTION_COMPLETE", Some("DRIFTED")),
            ("DETECTION_COMPLETE", None),
        ] {
            let lines = unknown(&detection(status, drift), &[]);
            assert!(lines[0].contains("because"), "{status} {drift:?}");
        }
        let topic = "AWS::SNS::Topic";
        for (kind, drift, line) in [
            (topic, "IN_SYNC", ""),
            (topic, "MODIFIED", ""),
            (
                topic,
                "NOT_CHECKED",
                "not compared: A (AWS::SNS::Topic): NOT_CHECKED",
            ),
            (
                topic,
                "UNKNOWN",
                "not compared: A (AWS::SNS::Topic): UNKNOWN",
            ),
            (topic, "", "not compared: A (AWS::SNS::Topic)"),
            (
                STACK,
                "IN_SYNC",
                "not compared: A (AWS::CloudFormation::Stack): IN_SYNC, what is in a nested stack is compared by itself",
            ),
        ] {
            let found = unchecked(&[resource("A", kind, drift)], &[]);
            assert_eq!(unknown(&whole, &found).join("; "), line, "{kind} {drift}");
            let named = unchecked(&[resource("A", kind, drift)], &["A".to_owned()]);
            assert_eq!(unknown(&whole, &named), Vec::<String>::new());
        }
    }

    #[test]
    fn a_nested_stack_is_named_so_that_it_can_be_compared() {
        let found = unchecked(&[resource("Inner", STACK, "NOT_CHECKED")], &[]);
        assert_eq!(found[0].nested_name(), Some("shop-Inner-1"));
        let mut gone = resource("Old", "AWS::SNS::Topic", "");
        gone.status = "DELETE_COMPLETE".to_owned();
        assert_eq!(unchecked(&[gone], &[]), []);
    }
}

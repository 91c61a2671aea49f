//! Judges whether a plan may be executed: the data it loses, and the changes that the stack policy forbids. Pure.

use crate::changes::{Planned, refused};
use crate::policy::Policy;
use kit::error::Error;

/// Refuses changes that lose data or that the stack policy in force forbids; returns the allowances that were not needed.
///
/// # Errors
/// Exit 3, with every such change.
pub(crate) fn judge<'a>(
    stack: &str,
    all: &[Planned<'_>],
    allowed: &'a [String],
    policy: Option<&str>,
) -> Result<Vec<&'a str>, Box<Error>> {
    let (lost, unused) = refused(all, allowed);
    if !lost.is_empty() {
        let line = |planned: &&Planned<'_>| {
            let Planned {
                path,
                effect,
                change,
            } = planned;
            let holding = planned.holding();
            format!("{} {path} ({}){holding}", effect.word(), change.kind)
        };
        let flags: Vec<String> = lost
            .iter()
            .map(|planned| format!("--allow-replace {}", planned.path))
            .collect();
        return Err(Box::new(
            Error::refused(format!("the plan of the stack {stack} loses data, which is not allowed"))
                .with_causes(lost.iter().map(line))
                .hint("to keep the data: undo what makes CloudFormation replace the resource; to remove a resource from the stack and keep it, deploy `DeletionPolicy: Retain` first")
                .hint(format!("to lose it on purpose: {}", flags.join(" "))),
        ));
    }
    let Some(text) = policy else {
        return Ok(unused);
    };
    let policy = Policy::parse(text).map_err(|problem| {
        let message = format!("the stack policy of {stack} cannot be read: {problem}");
        Box::new(
            Error::refused(message)
                .hint("set one that can be read: `policy` of the contract's `stack`"),
        )
    })?;
    let forbidden = policy.forbidden(all);
    if forbidden.is_empty() {
        return Ok(unused);
    }
    Err(Box::new(
        Error::refused(format!("the stack policy of {stack} forbids the plan"))
            .with_causes(forbidden)
            .hint("if the change is right, allow it in the policy: `policy` of the contract's `stack`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::ordered;
    use crate::seen::{Change, ChangeSet};
    use kit::Exit;

    #[test]
    fn lost_data_and_a_policy_refuse_and_say_what_lifts_it() {
        let set = ChangeSet {
            changes: vec![Change {
                logical_id: "Table".to_owned(),
                kind: "AWS::DynamoDB::Table".to_owned(),
                action: "Modify".to_owned(),
                replacement: Some("True".to_owned()),
                ..Change::default()
            }],
            ..ChangeSet::default()
        };
        let all = ordered(&set);
        let allow = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let (none, table, both) = (allow(&[]), allow(&["Table"]), allow(&["Table", "Other"]));
        let deny = r#"{"Statement":[{"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*"}]}"#;
        let permit = deny.replace("Deny", "Allow");
        for (allowed, policy, wanted) in [
            (&none, None, Err("--allow-replace Table")),
            (&both, None, Ok(vec!["Other"])),
            (&table, Some(permit.as_str()), Ok(vec![])),
            (
                &table,
                Some(deny),
                Err("Update:Replace of Table (AWS::DynamoDB::Table) is not allowed"),
            ),
            (&table, Some("{"), Err("cannot be read")),
        ] {
            match (judge("shop", &all, allowed, policy), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
                (Err(error), Err(wanted)) => {
                    assert_eq!(error.exit(), Exit::Refused);
                    assert!(error.to_string().contains(wanted), "{error}");
                }
                (found, _) => panic!("{allowed:?} {policy:?}: {found:?}"),
            }
        }
    }
}

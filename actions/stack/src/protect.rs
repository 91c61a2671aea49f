//! Setting termination protection and the stack policy, each only where it is not as it should be, and read back afterwards.

use crate::client::Client;
use crate::settings::Protection;
use kit::error::{Error, Result};
use serde_json::Value;

/// The part of the protection that the stack does not have.
///
/// # Errors
/// CloudFormation does not answer.
pub(crate) async fn missing(
    client: &Client,
    stack: &str,
    wanted: &Protection,
) -> Result<Protection> {
    let mut missing = Protection::default();
    if let Some(on) = wanted.termination
        && is_protected(client, stack).await? != on
    {
        missing.termination = Some(on);
    }
    if let Some(policy) = &wanted.policy
        && !is_same(client.policy(stack).await?.as_deref(), policy)
    {
        missing.policy = Some(policy.clone());
    }
    Ok(missing)
}

/// Sets what is missing; returns a line for each that was changed.
///
/// # Errors
/// One cannot be set, or is not what was set.
pub(crate) async fn enforce(
    client: &Client,
    stack: &str,
    wanted: &Protection,
) -> Result<Vec<String>> {
    let missing = missing(client, stack, wanted).await?;
    let mut lines = Vec::new();
    if let Some(on) = missing.termination {
        client.protect(stack, on).await?;
        if is_protected(client, stack).await? != on {
            return Err(
                Error::failed("the termination protection is not what was set")
                    .hint("find out who else changes it, and run this again"),
            );
        }
        lines.push(termination_line(on));
    }
    if let Some(policy) = &missing.policy {
        client.set_policy(stack, policy).await?;
        if !is_same(client.policy(stack).await?.as_deref(), policy) {
            return Err(Error::failed("the stack policy is not what was set")
                .hint("find out who else changes it, and run this again"));
        }
        lines.push("stack policy set".to_owned());
    }
    Ok(lines)
}

async fn is_protected(client: &Client, stack: &str) -> Result<bool> {
    let found = client.stack(stack).await?;
    let found = found.ok_or_else(|| Error::failed(format!("the stack {stack} is gone")))?;
    Ok(found.termination_protection)
}

/// Returns true if both policies say the same, whatever their spaces.
pub(crate) fn is_same(policy: Option<&str>, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    policy.is_some_and(|policy| {
        policy == other || (read(policy).is_some() && read(policy) == read(other))
    })
}

fn termination_line(on: bool) -> String {
    format!(
        "termination protection switched {}",
        if on { "on" } else { "off" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_compared_by_what_they_say() {
        for (policy, other, same) in [
            (Some("{\"a\": [1]}"), "{ \"a\":[1] }", true),
            (Some("{\"a\":1}"), "{\"a\":2}", false),
            (Some("{"), "}", false),
            (Some("{"), "{", true),
            (None, "{}", false),
        ] {
            assert_eq!(is_same(policy, other), same, "{policy:?} {other}");
        }
    }
}

//! The facts that an approval is bound to. Pure.

use crate::setting::Setting;
use kit::Lenient;
use kit::aws::AccountId;
use kit::error::{Context, Result};
use kit::id::{CommitId, Digest};
use ledger::{Record, Request, sha256};
use serde::Serialize;

/// Everything that an approval is for, beside the time until which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) service: String,
    pub(crate) environment: String,
    /// The environment's AWS account.
    pub(crate) account: Option<AccountId>,
    pub(crate) digest: Digest,
    pub(crate) commit: CommitId,
    /// The hash of the environment's newest deployment.
    pub(crate) head: String,
    /// The commit where the range begins.
    pub(crate) base: Option<Lenient<CommitId>>,
    /// The hash over the commits of the range.
    pub(crate) range: String,
    /// The hash over the gate's rules, as records have it.
    pub(crate) policy: String,
    /// The hash over the people and apps.
    pub(crate) people: String,
    /// The ID of the infrastructure plan that is promoted along.
    pub(crate) plan: Option<String>,
}

impl Parts {
    /// The parts of a request, if it has them all.
    pub(crate) fn of(record: &Record, request: &Request) -> Option<Self> {
        Some(Self {
            service: record.service.clone(),
            environment: record.environment.clone(),
            account: record.account.clone(),
            digest: record.digest.clone(),
            commit: record.commit.clone(),
            head: request.head.clone(),
            base: request.base.clone(),
            range: request.range.clone(),
            policy: record.policy.clone()?,
            people: request.people.clone(),
            plan: request.plan.clone(),
        })
    }

    /// The binding: SHA-256 over the parts and the expiry, as JSON without white space, its members
    /// in alphabetical order.
    pub(crate) fn binding(&self, expires: &str) -> Result<String> {
        #[derive(Serialize)]
        struct Bound<'a> {
            account: Option<&'a AccountId>,
            base: Option<&'a Lenient<CommitId>>,
            commit: &'a CommitId,
            digest: &'a Digest,
            environment: &'a str,
            expires: &'a str,
            head: &'a str,
            people: &'a str,
            // Without one, the binding is what it was before plans were bound.
            #[serde(skip_serializing_if = "Option::is_none")]
            plan: Option<&'a str>,
            policy: &'a str,
            range: &'a str,
            service: &'a str,
        }
        let bound = Bound {
            account: self.account.as_ref(),
            base: self.base.as_ref(),
            commit: &self.commit,
            digest: &self.digest,
            environment: &self.environment,
            expires,
            head: &self.head,
            people: &self.people,
            plan: self.plan.as_deref(),
            policy: &self.policy,
            range: &self.range,
            service: &self.service,
        };
        let json = serde_json::to_vec(&bound).context("cannot write what is bound as JSON")?;
        Ok(sha256(&json))
    }

    /// Names the parts that differ in `other`, for people.
    pub(crate) fn changed(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            service,
            environment,
            account,
            digest,
            commit,
            head,
            base,
            range,
            policy,
            people,
            plan,
        } = self;
        let compared = [
            ("the service", *service == other.service),
            ("the environment", *environment == other.environment),
            ("the environment's account", *account == other.account),
            ("the digest", *digest == other.digest),
            ("the commit", *commit == other.commit),
            ("the newest deployment", *head == other.head),
            (
                "the commits that it brings",
                *range == other.range && *base == other.base,
            ),
            ("the contract's gate", *policy == other.policy),
            ("the contract's people", *people == other.people),
            ("the infrastructure plan", *plan == other.plan),
        ];
        let different = compared.into_iter().filter(|(_, matches)| !matches);
        different.map(|(part, _)| part).collect()
    }
}

/// SHA-256 over the commits of a range, in order, each with a line feed.
pub(crate) fn range_hash<'a>(commits: impl Iterator<Item = &'a str>) -> String {
    let lines: String = commits.map(|sha| format!("{sha}\n")).collect();
    sha256(lines.as_bytes())
}

/// SHA-256 over who is who in the contract.
pub(crate) fn people_hash(setting: &Setting) -> Result<String> {
    let all = serde_json::json!({ "apps": setting.apps, "people": setting.people });
    let json = serde_json::to_vec(&all).context("cannot write the people as JSON")?;
    Ok(sha256(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests that are open when a plan is first named keep what they were approved for.
    #[test]
    fn a_binding_without_a_plan_is_what_it_was_before_plans_were_bound() {
        let text = |text: &str| text.to_owned();
        let parts = Parts {
            service: text("s"),
            environment: text("e"),
            account: None,
            digest: Digest::sha256([0xdd; 32]),
            commit: "c".repeat(40).parse().unwrap(),
            head: text("h"),
            base: None,
            range: text("r"),
            policy: text("q"),
            people: text("p"),
            plan: None,
        };
        let (commit, digest) = ("c".repeat(40), "d".repeat(64));
        let json = |plan: &str| {
            format!(
                r#"{{"account":null,"base":null,"commit":"{commit}","digest":"sha256:{digest}","environment":"e","expires":"t","head":"h","people":"p",{plan}"policy":"q","range":"r","service":"s"}}"#
            )
        };
        assert_eq!(parts.binding("t").unwrap(), sha256(json("").as_bytes()));
        let planned = Parts {
            plan: Some(text("x")),
            ..parts.clone()
        };
        assert_eq!(
            planned.binding("t").unwrap(),
            sha256(json(r#""plan":"x","#).as_bytes())
        );
        assert_eq!(parts.changed(&planned), ["the infrastructure plan"]);
    }
}

//! Decides whether a call is permitted, as AWS evaluates it: identity policies, permissions boundaries, session policies and the
//! resource's own policy; across accounts both sides. There are no organizations here, and so no policies of theirs.
//! Source: IAM User Guide, "Policy evaluation logic".

pub(crate) mod needs;
pub(crate) mod permit;
pub(crate) mod stored;

use time::OffsetDateTime;

use crate::condition::Context;
use crate::identity::Principal;
use crate::policy::{Decision, Grant, Question, Requester, decide, decide_identity};

/// The policies that a caller brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policies {
    /// Inline and attached ones of the role or user, and of a user's groups.
    pub(crate) identity: Vec<String>,
    /// The permissions boundary of the role or user.
    pub(crate) boundary: Option<String>,
    /// The session policies; empty where the session was opened without.
    pub(crate) session: Vec<String>,
}

/// The policy of the resource itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own<'a> {
    /// It has none.
    None,
    /// It counts beside the identity policies: buckets, repositories.
    Beside(&'a str),
    /// Nothing goes without it: keys of KMS, roles that are assumed.
    Required(&'a str),
}

/// One action on one resource.
pub(crate) struct Request<'a> {
    pub(crate) requester: &'a Requester,
    /// `SERVICE:Action`.
    pub(crate) action: &'a str,
    /// The ARN, or `*`.
    pub(crate) resource: &'a str,
    /// The account that the resource belongs to.
    pub(crate) owner: &'a str,
    pub(crate) context: &'a Context,
}

/// The kinds of policies, as AWS's messages name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Identity,
    Boundary,
    Session,
    Resource,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Resource => "resource-based policy",
        }
    }

    fn article(self) -> &'static str {
        match self {
            Self::Identity => "an",
            _ => "a",
        }
    }
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A statement denies it.
    Explicit(Source),
    /// Nothing of this kind allows it.
    Implicit(Source),
}

impl Refusal {
    /// AWS's own sentence. Source: IAM User Guide, "Troubleshoot access denied error messages".
    pub(crate) fn message(self, caller: &str, action: &str, resource: &str) -> String {
        let why = match self {
            Self::Explicit(source) => {
                format!(
                    "with an explicit deny in {} {}",
                    source.article(),
                    source.name()
                )
            }
            Self::Implicit(source) => {
                format!("because no {} allows the {action} action", source.name())
            }
        };
        format!(
            "User: {caller} is not authorized to perform: {action} on resource: {resource} {why}"
        )
    }
}

/// Decides one request.
pub(crate) fn evaluate(
    request: &Request<'_>,
    policies: &Policies,
    own: Own<'_>,
) -> Result<(), Refusal> {
    let question = Question {
        action: request.action,
        resource: Some(request.resource),
        requester: request.requester,
        context: request.context,
    };
    let all = |documents: &[String]| {
        let decisions = documents
            .iter()
            .map(|text| decide_identity(text, &question));
        strongest(decisions)
    };
    let identity = all(&policies.identity);
    let boundary = policies
        .boundary
        .as_ref()
        .map(|text| decide_identity(text, &question));
    let session = (!policies.session.is_empty()).then(|| all(&policies.session));
    let resource = match own {
        Own::None => Decision::Silent,
        Own::Beside(text) | Own::Required(text) => decide(text, &question),
    };
    for (source, decision) in [
        (Source::Identity, Some(identity)),
        (Source::Boundary, boundary),
        (Source::Session, session),
        (Source::Resource, Some(resource)),
    ] {
        if decision == Some(Decision::Deny) {
            return Err(Refusal::Explicit(source));
        }
    }
    let within = || {
        let limits = [(Source::Boundary, boundary), (Source::Session, session)];
        let over = limits
            .into_iter()
            .find(|(_, decision)| decision.is_some_and(|decision| !decision.allows()));
        over.map_or(Ok(()), |(source, _)| Err(Refusal::Implicit(source)))
    };
    let by_identity = || match identity.allows() {
        true => within(),
        false => Err(Refusal::Implicit(Source::Identity)),
    };
    let grant = match resource {
        Decision::Allow(grant) => Some(grant),
        _ => None,
    };
    let same = request.requester.account.as_deref() == Some(request.owner);
    match (grant, own) {
        (None, Own::Required(_)) => Err(Refusal::Implicit(Source::Resource)),
        // A grant to the session itself is not limited by the policies of the session or its role.
        (Some(Grant::Session), _) if same => Ok(()),
        (Some(Grant::Principal), _) if same => within(),
        (None, _) if !same => {
            by_identity()?;
            Err(Refusal::Implicit(Source::Resource))
        }
        _ => by_identity(),
    }
}

fn strongest(decisions: impl Iterator<Item = Decision>) -> Decision {
    decisions.fold(Decision::Silent, |found, next| match (found, next) {
        (Decision::Deny, _) | (_, Decision::Deny) => Decision::Deny,
        (Decision::Allow(_), _) => found,
        _ => next,
    })
}

/// A caller as policies may name it.
pub(crate) fn requester(principal: &Principal) -> Requester {
    let mut arns = vec![principal.arn.clone()];
    arns.extend(principal.role.clone());
    Requester {
        account: Some(principal.account.clone()),
        arns,
        ..Requester::default()
    }
}

/// The condition keys that every signed request carries. `aws:PrincipalArn` of a session is its role.
/// Source: IAM User Guide, "AWS global condition context keys".
pub(crate) fn context(principal: &Principal) -> Context {
    let mut context = Context::default();
    let mut set = |key: &str, value: String| context.set(key, vec![value]);
    let arn = principal.role.as_ref().unwrap_or(&principal.arn);
    let kind = match principal.role {
        Some(_) => "AssumedRole",
        None => "User",
    };
    let now = OffsetDateTime::now_utc();
    set("aws:PrincipalAccount", principal.account.clone());
    set("aws:PrincipalArn", arn.clone());
    set("aws:PrincipalType", kind.to_owned());
    set("aws:PrincipalIsAWSService", "false".to_owned());
    set("aws:userid", principal.user_id.clone());
    if let Some((_, name)) = arn.split_once(":user/") {
        set("aws:username", name.to_owned());
    }
    for (key, value) in &principal.tags {
        set(&format!("aws:PrincipalTag/{key}"), value.clone());
    }
    set("aws:CurrentTime", crate::rfc3339(now));
    set("aws:EpochTime", now.unix_timestamp().to_string());
    // The sandbox's address stands for AWS's https endpoints, which have no other names here.
    set("aws:SecureTransport", "true".to_owned());
    context
}

#[cfg(test)]
mod tests;

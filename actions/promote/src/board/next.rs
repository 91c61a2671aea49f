//! The digest that would be promoted to an environment next, and the rule that refuses it.

use crate::check::{Judged, Question, judge, plan};
use crate::setting::Setting;
use crate::status::Row;
use kit::Cx;
use kit::id::Digest;
use net::Net;
use serde_json::{Value, json};

/// Rules about the person and the run that promote. The board is neither, so they are judged then.
const THEN: [&str; 3] = ["promoter", "separation", "run"];

/// The next promotion, as the gate judges it.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing is healthy in the previous environment.
    Nothing,
    /// The digest that is healthy in the previous environment runs here already.
    Same,
    /// The gate would allow it.
    Ready(Digest),
    /// A rule refuses, or could not be answered.
    Refused {
        digest: Digest,
        rule: &'static str,
        fact: String,
        next: Option<String>,
    },
    /// It could not be judged.
    Unknown { digest: Digest, why: String },
}

/// Judges the newest healthy digest of the previous environment.
pub(super) async fn observe(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    repository: Option<&str>,
    before: &Row,
    row: &Row,
) -> Next {
    let Some(candidate) = &before.healthy else {
        return Next::Nothing;
    };
    let digest = candidate.digest.clone();
    if row.healthy.as_ref().is_some_and(|it| it.digest == digest) {
        return Next::Same;
    }
    let question = Question {
        digest: Some(digest.clone()),
        from: None,
        plan: None,
        repository,
        breaks_glass: false,
        by_nobody: true,
        keeps: false,
    };
    match judge(cx, net, setting, question).await {
        Ok(judged) => decided(digest, judged, setting),
        Err(error) => Next::Unknown {
            digest,
            why: error.line(),
        },
    }
}

fn decided(digest: Digest, judged: Judged, setting: &Setting) -> Next {
    let mut decision = judged.decision;
    decision.rules.retain(|rule| !THEN.contains(&rule.rule));
    match decision.obstacle() {
        // Without a plan nothing asks for the approvals, which are for one.
        None if plan::missing(setting, None, false) => Next::Refused {
            digest,
            rule: "plan",
            fact: "the gate says `plan: true`, and no plan is made yet".to_owned(),
            next: Some(plan::next(&setting.environment)),
        },
        None => Next::Ready(digest),
        Some(rule) => Next::Refused {
            digest,
            rule: rule.rule,
            fact: rule.fact.clone(),
            next: decision.next(),
        },
    }
}

impl Next {
    pub(super) fn json(&self) -> Value {
        match self {
            Next::Nothing | Next::Same => Value::Null,
            Next::Ready(digest) => json!({ "digest": digest, "answer": "ready" }),
            Next::Refused {
                digest,
                rule,
                fact,
                next,
            } => {
                json!({ "digest": digest, "answer": "refused", "rule": rule, "fact": fact, "next": next })
            }
            Next::Unknown { digest, why } => {
                json!({ "digest": digest, "answer": "unknown", "why": why })
            }
        }
    }
}

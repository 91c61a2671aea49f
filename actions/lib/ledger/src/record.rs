//! A record of the ledger: what was deployed where, how it ended, and who caused it.

use crate::chain::Chain;
use crate::strict::object;
use kit::Lenient;
use kit::aws::AccountId;
use kit::id::{CommitId, Digest};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The kind of a record: how a deployment ended, or something that is not a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The service runs the digest, verified at the source.
    Healthy,
    /// It did not become healthy.
    Failed,
    /// It did not become healthy, and the previous version is back.
    RolledBack,
    /// Not a deployment: somebody reviewed what happened to the digest here.
    Reviewed,
    /// Not a deployment: somebody asks for the approvals that a promotion needs.
    Requested,
    /// Not a deployment: somebody approves a request.
    Approved,
    /// Not a deployment: somebody rejects a request.
    Rejected,
    /// Not a deployment: whoever asked no longer does.
    Withdrawn,
    /// Not a deployment: the gate permits one, until a time.
    Permitted,
    /// Not a deployment yet: one began under a permit, which is used up by this record.
    Started,
    /// Written by a newer version; never counts as healthy.
    #[serde(other)]
    Other,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Healthy => "healthy",
            Verdict::Failed => "failed",
            Verdict::RolledBack => "rolled back",
            Verdict::Reviewed => "reviewed",
            Verdict::Requested => "requested",
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
            Verdict::Withdrawn => "withdrawn",
            Verdict::Permitted => "permitted",
            Verdict::Started => "started",
            Verdict::Other => "unknown to this version",
        })
    }
}

/// The person, app or role that caused a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// The GitHub login, or the ARN of the AWS principal if no login is known.
    pub login: String,
    /// GitHub's numeric user ID, which does not change when a login is renamed or reassigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            login: String,
            #[serde(default)]
            id: Option<u64>,
        }
        let members: Option<Members> = object(deserializer)?;
        let Members { login, id } = members.ok_or_else(|| Error::custom("an actor is not null"))?;
        Ok(Self { login, id })
    }
}

/// One record. Unknown fields are ignored on reading, so that an old binary can read what a newer
/// one wrote; the bytes themselves are kept as they were written and are what the chain hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its position in the chain, from 1.
    pub seq: u64,
    /// When it was written, RFC 3339 in UTC.
    pub at: String,
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The image's manifest digest.
    pub digest: Digest,
    /// The commit the image was built from.
    pub commit: CommitId,
    /// How the deployment ended, or what else this is.
    pub verdict: Verdict,
    /// The one who caused it.
    pub actor: Actor,
    /// The page of the run that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The AWS account the environment lives in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// ARN of the task definition that was seen running with the digest; in a `started` record the one
    /// that is to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// The digest that was healthy here before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// SHA-256 of the gate's rules in force, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// In a permit and a deployment the path, in its repository, of the contract that the gate's rules are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_path: Option<String>,
    /// Set if this deployment restored a digest that was healthy here before.
    #[serde(
        default,
        deserialize_with = "object",
        skip_serializing_if = "Option::is_none"
    )]
    pub rollback: Option<Rollback>,
    /// Set if this deployment overrode rules that refused it.
    #[serde(
        default,
        deserialize_with = "object",
        skip_serializing_if = "Option::is_none"
    )]
    pub break_glass: Option<BreakGlass>,
    /// The reason that the person of a `reviewed`, `requested`, `approved`, `rejected` or `withdrawn` record gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The promotion that a `requested` record asks approval for.
    #[serde(
        default,
        deserialize_with = "object",
        skip_serializing_if = "Option::is_none"
    )]
    pub request: Option<Request>,
    /// The request's record that an `approved`, `rejected` or `withdrawn` one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<u64>,
    /// The permit that a `permitted` record grants.
    #[serde(
        default,
        deserialize_with = "object",
        skip_serializing_if = "Option::is_none"
    )]
    pub permit: Option<Permit>,
    /// The permit's record that a `started` one uses up, and that the deployment ran under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<u64>,
    /// Set in a `started` record with which no deployment began but a one-off task before it: the hash of the task's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Record {
    /// A record of a chain with nothing but what every record has. Its position is known when it is appended.
    pub fn new(
        chain: &Chain,
        digest: Digest,
        commit: CommitId,
        verdict: Verdict,
        actor: Actor,
        at: String,
    ) -> Self {
        Self {
            seq: 0,
            at,
            service: chain.service().to_owned(),
            environment: chain.environment().to_owned(),
            digest,
            commit,
            verdict,
            actor,
            run: None,
            account: None,
            task_definition: None,
            previous: None,
            policy: None,
            contract_path: None,
            rollback: None,
            break_glass: None,
            reason: None,
            request: None,
            answers: None,
            permit: None,
            under: None,
            command: None,
        }
    }

    /// Returns true if something was deployed, whatever became of it.
    pub fn is_deployment(&self) -> bool {
        match self.verdict {
            Verdict::Healthy | Verdict::Failed | Verdict::RolledBack | Verdict::Other => true,
            Verdict::Reviewed
            | Verdict::Requested
            | Verdict::Approved
            | Verdict::Rejected
            | Verdict::Withdrawn
            | Verdict::Permitted
            | Verdict::Started => false,
        }
    }
}

/// The subject of a request for approval: exactly the promotion that was judged. Any other promotion has another
/// `binding`, and approvals of this one do not count for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// SHA-256, in hexadecimal, over what is bound: service, environment and its account, digest, commit,
    /// head, base and range, policy, people, plan, expiry.
    pub binding: String,
    /// Until when it can be approved and used, RFC 3339 in UTC.
    pub expires: String,
    /// The hash of the environment's newest deployment that it was judged against; 64 zeros where
    /// there was none.
    pub head: String,
    /// The commit that the environment ran, if any, where the range begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Lenient<CommitId>>,
    /// How many commits are in the range.
    pub commits: usize,
    /// SHA-256, in hexadecimal, over the commits of the range, in order, each with a line feed.
    pub range: String,
    /// SHA-256, in hexadecimal, over the people and apps of the contract, as JSON.
    pub people: String,
    /// The repository on GitHub that has the range, OWNER/NAME. A run of another one does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The pull requests that brought the range.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_requests: Vec<u64>,
    /// The ID of the infrastructure plan that is promoted along, where the gate asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The authors of what is promoted: people by their name in the contract, without a number, and other
    /// accounts with their number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributors: Vec<Actor>,
    /// Contributors to what is promoted that belong to nobody known, such as an app that the contract does not
    /// list. With any of them, one approval more is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unattributed: Vec<String>,
}

/// That the gate permits one deployment of the record's digest, and what that rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Until when a deployment can begin under it, RFC 3339 in UTC.
    pub expires: String,
    /// The hash of the environment's newest deployment that the gate judged against; 64 zeros where
    /// there was none. If there is a newer one, the permit is void.
    pub head: String,
    /// The contract that judged: `sha256:` and the hash of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// The commit from which the gate examined what the promotion brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Lenient<CommitId>>,
    /// The newest commit of the gate's branch when it was judged; nothing for a rollback, or where GitHub did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<Lenient<CommitId>>,
    /// SHA-256, in hexadecimal, over the commits of the range, as in a request; nothing for a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The pull requests that it brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pulls: Vec<u64>,
    /// GitHub's numbers of the reviews that approved them and counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<u64>,
    /// The people who gave those reviews.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Actor>,
    /// The requests in this chain whose approvals counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<u64>,
    /// The evidence that the gate decided from, kept in the anchor's bucket: `sha256:` and the hash of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The ID of the one infrastructure plan that may be applied under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// That a deployment is a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The digest that was rolled back from, if another one was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
}

/// That somebody promoted although rules refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// Why.
    pub reason: String,
    /// The person.
    pub by: Actor,
    /// Until when the same may go on before somebody else must have reviewed it, RFC 3339 in UTC.
    pub expires: String,
}

/// The fields of a record about the signed part of its chain, besides those about the deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SignedPart {
    /// In a signed record, the first record that has to be signed: 1, or the one with which a person
    /// accepted a chain that had begun before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signed_from: Option<u64>,
    /// The hash of the head that a person accepted with this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accepted_head: Option<String>,
}

/// The bytes of a record.
pub(crate) fn write(record: &Record, part: Option<&SignedPart>) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Written<'a> {
        #[serde(flatten)]
        record: &'a Record,
        #[serde(flatten)]
        part: &'a SignedPart,
    }
    match part {
        // Records from before there were keys keep their form to the byte.
        None => serde_json::to_string(record),
        Some(part) => serde_json::to_string(&Written { record, part }),
    }
}

#[cfg(test)]
pub(crate) fn sample(seq: u64, digest: u8) -> Record {
    let record = Record::new(
        &Chain::new("storefront", "dev").unwrap(),
        Digest::sha256(std::array::from_fn(|_| digest)),
        CommitId::parse(&"c".repeat(40)).unwrap(),
        Verdict::Healthy,
        Actor {
            login: "alice".to_owned(),
            id: Some(1),
        },
        format!("2026-11-21T18:{:02}:{:02}Z", seq / 60 % 60, seq % 60),
    );
    Record { seq, ..record }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_written_form_is_fixed() {
        let text = serde_json::to_string(&sample(1, 0xaa)).unwrap();
        expect![[r#"{"seq":1,"at":"2026-11-21T18:00:01Z","service":"storefront","environment":"dev","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","commit":"cccccccccccccccccccccccccccccccccccccccc","verdict":"healthy","actor":{"login":"alice","id":1}}"#]]
            .assert_eq(&text);
        let verdicts = [
            Verdict::Healthy,
            Verdict::Failed,
            Verdict::RolledBack,
            Verdict::Reviewed,
            Verdict::Requested,
            Verdict::Approved,
            Verdict::Rejected,
            Verdict::Withdrawn,
            Verdict::Permitted,
            Verdict::Started,
        ];
        let words = "healthy failed rolled_back reviewed requested approved rejected withdrawn permitted started";
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(
            serde_json::to_value(verdicts).unwrap(),
            serde_json::json!(words)
        );
    }

    #[test]
    fn a_record_of_a_proven_chain_says_from_where_on() {
        let plain = write(&sample(1, 0xaa), None).unwrap();
        assert_eq!(plain, serde_json::to_string(&sample(1, 0xaa)).unwrap());
        let part = SignedPart {
            signed_from: Some(1),
            accepted_head: Some("h".to_owned()),
        };
        let text = write(&sample(1, 0xaa), Some(&part)).unwrap();
        let end = r#","signed_from":1,"accepted_head":"h"}"#;
        assert_eq!(text, plain.trim_end_matches('}').to_owned() + "}" + end);
        assert_eq!(
            write(&sample(1, 0xaa), Some(&SignedPart::default())).unwrap(),
            plain
        );
    }

    #[test]
    fn a_record_is_written_as_it_was_read() {
        let text = format!(
            r#"{{"seq":7,"at":"2026-11-21T18:00:01Z","service":"storefront","environment":"dev","digest":"sha256:{0}","commit":"{1}","verdict":"rolled_back","actor":{{"login":"alice"}},"run":"r","account":"012345678901","task_definition":"arn:aws:ecs:ca-central-1:012345678901:task-definition/web:3","previous":"sha256:{0}","policy":"sha256:x"}}"#,
            "a".repeat(64),
            "c".repeat(40),
        );
        let record: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        // A tag in the place of a digest makes it no record.
        let tagged = text.replace(&format!("sha256:{}", "a".repeat(64)), "latest");
        assert!(serde_json::from_str::<Record>(&tagged).is_err());
    }

    #[test]
    fn a_base_that_is_not_a_commit_keeps_a_record_readable_and_its_bytes() {
        let head = "0".repeat(64);
        for base in ["c".repeat(40), "v1.2".to_owned(), String::new()] {
            let plain = serde_json::to_string(&sample(7, 0xaa)).unwrap();
            let plain = plain.trim_end_matches('}').to_owned() + "}";
            let request = format!(
                r#"{{"binding":"b","expires":"e","head":"{head}","base":"{base}","commits":1,"range":"r","people":"p"}}"#
            );
            let permit = format!(r#"{{"expires":"e","head":"{head}","base":"{base}"}}"#);
            let text = format!(r#"{plain},"request":{request},"permit":{permit}}}"#);
            assert!(crate::strict::envelope(&text).is_some(), "it verifies");
            let record: Record = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&record).unwrap(), text);
            let of_request = record.request.unwrap().base.unwrap();
            assert_eq!(of_request.as_str(), base);
            assert_eq!(Some(of_request), record.permit.unwrap().base);
        }
    }

    #[test]
    fn the_marks_of_a_record_are_serialized_last() {
        let mut record = sample(1, 0xaa);
        record.rollback = Some(Rollback {
            from: Some(Digest::sha256([0xbb; 32])),
        });
        record.break_glass = Some(BreakGlass {
            reason: "the shop is down".to_owned(),
            by: record.actor.clone(),
            expires: "2026-11-21T19:00:00Z".to_owned(),
        });
        record.reason = Some("seen".to_owned());
        let text = serde_json::to_string(&record).unwrap();
        let (_, marks) = text.split_once(r#""id":1},"#).unwrap();
        expect![[r#""rollback":{"from":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},"break_glass":{"reason":"the shop is down","by":{"login":"alice","id":1},"expires":"2026-11-21T19:00:00Z"},"reason":"seen"}"#]]
            .assert_eq(marks);
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn an_old_reader_reads_a_newer_record_and_trusts_no_new_verdict() {
        let mut newer = serde_json::to_value(sample(1, 0xaa)).unwrap();
        newer["witness"] = "x".into();
        newer["verdict"] = "splendid".into();
        let record: Record = serde_json::from_value(newer).unwrap();
        assert_eq!(record.verdict, Verdict::Other);
    }
}

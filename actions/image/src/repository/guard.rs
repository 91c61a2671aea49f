//! The check that a lifecycle policy expires no image that an environment runs or would roll back to.

use super::api;
use super::lifecycle::{Image, Policy};
use super::preview::{Taken, preview};
use crate::ecr::Ecr;
use crate::primary::LedgerTable;
use kit::id::Digest;
use kit::step::Cx;
use kit::{Error, ErrorKind, Failure, Result};
use ledger::{Chain, LOOK_BACK, Ledger, Record, Recorded, Verdict, permit};
use net::Net;
use std::collections::HashMap;
use time::OffsetDateTime;

/// An image that must not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) digest: Digest,
    pub(crate) environment: String,
    /// Why, as a sentence about the image.
    pub(crate) why: &'static str,
}

/// The result of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    /// No lifecycle policy was asked for.
    NotAsked,
    /// No contract names a ledger, so the live images are unknown.
    NoLedger,
    /// So many images are live, and the policy takes none now; what it takes later.
    Safe { live: usize, later: Vec<String> },
}

/// Checks the policy against the ledger's live images.
///
/// # Errors
/// ECR does not take the policy (exit 2), or it would take a live image, or that is not known (exit 3).
pub(crate) async fn check(
    cx: &Cx,
    net: &Net,
    ecr: &Ecr,
    exists: bool,
    policy: Option<&Policy>,
    ledger: Option<&LedgerTable>,
) -> Result<Checked> {
    let Some(policy) = policy else {
        return Ok(Checked::NotAsked);
    };
    // ECR judges the policy for a preview, so it is asked for one whatever is live.
    let taken = match exists {
        true => preview(cx, ecr, policy).await?,
        false => HashMap::new(),
    };
    let Some(table) = ledger else {
        return Ok(Checked::NoLedger);
    };
    let read = read(net, table).await;
    let now = cx.clock.now();
    let mut live = Vec::new();
    for seen in read.map_err(|error| unread(error, table))? {
        live.extend(seen.live(now)?);
    }
    let images = match exists && !live.is_empty() {
        true => api::images(ecr).await?,
        false => Vec::new(),
    };
    let live = with_provenance(live, &images);
    judge(policy, &taken, &live, &images, now)
}

/// The live images with their provenance, without which they could not be promoted again.
fn with_provenance(mut live: Vec<Live>, images: &[Image]) -> Vec<Live> {
    let mut provenance = Vec::new();
    for live_image in &live {
        let prefix = attest::tag_prefix(&live_image.digest);
        let own = images
            .iter()
            .filter(|image| image.tags.iter().any(|tag| tag.starts_with(&prefix)));
        provenance.extend(own.map(|image| Live {
            digest: image.digest.clone(),
            environment: live_image.environment.clone(),
            why: "proves an image that is live",
        }));
    }
    live.extend(provenance);
    live
}

/// Says what cannot be known. Only a denial refuses, as it does of the preview: whatever else failed keeps its kind and its hint.
fn unread(error: Error, table: &LedgerTable) -> Error {
    let denied = error.failure() == Some(Failure::Denied);
    let mut error = error.under(format!(
        "the lifecycle policy is not set: the ledger {} cannot be read, so what it would expire may be live",
        table.table
    ));
    if !denied {
        return error;
    }
    error.kind = ErrorKind::Refused;
    let role = table.reader.role.as_ref();
    let role = role.map_or("the caller", kit::aws::RoleArn::as_str);
    error.hint(format!(
        "{role} needs dynamodb:Query on table {}, and this run must be trusted by it",
        table.table
    ))
}

/// An environment's chain in the ledger, as far as it was read.
#[derive(Debug)]
struct ReadChain {
    chain: Chain,
    /// The records since the newest deployment, newest first and with that one.
    records: Vec<Recorded>,
    /// The newest healthy one.
    healthy: Option<Record>,
}

async fn read(net: &Net, table: &LedgerTable) -> Result<Vec<ReadChain>> {
    let account = net.account(&table.reader).await?;
    let ledger = Ledger::new(&account, &table.table).trusting(net, &account, &table.trust);
    let mut all = Vec::new();
    for environment in &table.environments {
        let chain = Chain::new(&table.service, environment)?;
        let records = ledger
            .recent(&chain, LOOK_BACK, Record::is_deployment)
            .await?;
        let healthy = |record: &Record| record.verdict == Verdict::Healthy;
        let healthy = ledger.find(&chain, LOOK_BACK, healthy).await?;
        all.push(ReadChain {
            chain,
            records,
            healthy,
        });
    }
    Ok(all)
}

impl ReadChain {
    /// The digests that the environment runs or may run soon, and those that a rollback would bring back,
    /// each once.
    ///
    /// # Errors
    /// The record of the image that runs there is too far back in the chain to be seen (exit 3).
    fn live(&self, now: OffsetDateTime) -> Result<Vec<Live>> {
        permit::require_deployment(&self.chain, &self.records)
            .map_err(|error| error.under("the lifecycle policy is not set"))?;
        let environment = self.chain.environment();
        let newest = self.records.first().map_or(0, |newest| newest.record.seq);
        if self.healthy.is_none() && newest > LOOK_BACK as u64 {
            return Err(Error::refused(format!(
                "the lifecycle policy is not set: none of the newest {LOOK_BACK} records of {environment} is healthy, so what runs there is unknown"
            ))
            .hint("deploy what runs there once more, and record it"));
        }
        let mut live: Vec<Live> = Vec::new();
        let mut add = |digest: Option<&Digest>, why| {
            if let Some(digest) = digest
                && !live.iter().any(|there| there.digest == *digest)
            {
                live.push(Live {
                    digest: digest.clone(),
                    environment: environment.to_owned(),
                    why,
                });
            }
        };
        let healthy = self.healthy.as_ref();
        let records = || self.records.iter().map(|it| &it.record);
        let last = records().find(|record| record.is_deployment());
        add(healthy.map(|record| &record.digest), "runs there");
        // A failed deployment need not have ended: its tasks may still be starting from it.
        add(last.map(|record| &record.digest), "was deployed there last");
        for record in healthy.into_iter().chain(last) {
            add(record.previous.as_ref(), "is what a rollback brings back");
        }
        for record in records().take_while(|record| !record.is_deployment()) {
            let open = |content| !permit::expired(content, now);
            match record.verdict {
                Verdict::Started => add(Some(&record.digest), "began to be deployed there"),
                Verdict::Permitted if record.permit.as_ref().is_some_and(open) => {
                    add(Some(&record.digest), "may be deployed there under a permit");
                }
                _ => {}
            }
        }
        Ok(live)
    }
}

/// Refuses a policy by which ECR would take a live image now, and tells what it will take later.
fn judge(
    policy: &Policy,
    preview: &HashMap<Digest, Taken>,
    live: &[Live],
    images: &[Image],
    now: OffsetDateTime,
) -> Result<Checked> {
    let (mut taken, mut later) = (Vec::new(), Vec::new());
    for live_image in live {
        let Live {
            digest,
            environment,
            why,
        } = live_image;
        if let Some(Taken { rule, action }) = preview.get(digest) {
            taken.push(format!(
                "rule {rule} would {action} {digest}, which {why} ({environment})"
            ));
        } else if let Some((rule, when)) = policy.later(digest, images, now) {
            later.push(format!(
                "rule {rule} takes {digest} {when}, if it is still live then: it {why} ({environment})"
            ));
        }
    }
    if taken.is_empty() {
        return Ok(Checked::Safe {
            live: live.len(),
            later,
        });
    }
    let mut error =
        Error::refused("the lifecycle policy is not set: it would take images that are live");
    for line in taken {
        error = error.cause(line);
    }
    Err(error
        .hint("ECR counts an image's age from its push, however often it was tagged or promoted since")
        .hint("raise the rule's countNumber, or put a rule before it that selects these images' tags and keeps many"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{Actor, Permit};
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn digest_of(digit: &str) -> Digest {
        format!("sha256:{}", digit.repeat(64)).parse().unwrap()
    }

    fn record(digest: &str, verdict: Verdict, previous: Option<&str>) -> Record {
        let chain = Chain::new("shop", "dev").unwrap();
        let ada = Actor {
            login: "ada".to_owned(),
            id: None,
        };
        let commit = "c".repeat(40).parse().unwrap();
        Record {
            previous: previous.map(digest_of),
            ..Record::new(
                &chain,
                digest_of(digest),
                commit,
                verdict,
                ada,
                String::new(),
            )
        }
    }

    /// A chain with these records, newest first, and this newest healthy one.
    fn seen(records: &[&Record], healthy: Option<&Record>) -> ReadChain {
        let recorded = |record: &&Record| Recorded {
            hash: String::new(),
            record: (*record).clone(),
        };
        ReadChain {
            chain: Chain::new("shop", "dev").unwrap(),
            records: records.iter().map(recorded).collect(),
            healthy: healthy.cloned(),
        }
    }

    fn digests(records: &[&Record], healthy: Option<&Record>) -> Vec<String> {
        let live = seen(records, healthy).live(NOW).unwrap();
        let short = |live: Live| live.digest.hex()[..1].to_owned();
        live.into_iter().map(short).collect()
    }

    #[test]
    fn running_digests_and_rollback_targets_are_live() {
        let healthy = record("b", Verdict::Healthy, Some("a"));
        assert_eq!(digests(&[&healthy], Some(&healthy)), ["b", "a"]);
        let failed = record("c", Verdict::Failed, Some("b"));
        assert_eq!(digests(&[&failed], Some(&healthy)), ["b", "c", "a"]);
        let again = record("b", Verdict::Healthy, Some("b"));
        assert_eq!(digests(&[&again], Some(&again)), ["b"]);
        // Nothing healthy among those looked at: what the last one was to go back to.
        assert_eq!(digests(&[&failed], None), ["c", "b"]);
        let first = record("a", Verdict::Other, None);
        assert_eq!(digests(&[&first], None), ["a"]);
        assert_eq!(digests(&[], None), [] as [&str; 0]);
    }

    #[test]
    fn digests_of_started_deployments_and_open_permits_are_live() {
        let healthy = record("a", Verdict::Healthy, None);
        let began = record("b", Verdict::Started, Some("a"));
        let permit = |digest: &str, expires: &str| Record {
            permit: Some(Permit {
                expires: expires.to_owned(),
                head: String::new(),
                contract: None,
                base: None,
                tip: None,
                range: None,
                pulls: Vec::new(),
                reviews: Vec::new(),
                approvers: Vec::new(),
                requests: Vec::new(),
                evidence: None,
                plan: None,
            }),
            ..record(digest, Verdict::Permitted, Some("a"))
        };
        let open = permit("c", "2026-11-21T12:00:01Z");
        let expired = permit("d", "2026-11-21T12:00:00Z");
        let asked = record("e", Verdict::Requested, Some("a"));
        let records = [&asked, &expired, &open, &began, &healthy];
        assert_eq!(digests(&records, Some(&healthy)), ["a", "c", "b"]);
    }

    /// Requests and permits by the thousand must not make a running image look like one that nobody needs.
    #[test]
    fn an_environment_whose_running_digest_is_unknown_refuses() {
        let mut asked = record("b", Verdict::Requested, Some("a"));
        asked.seq = 30_000;
        let error = seen(&[&asked], None).live(NOW).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert!(!error.hints.is_empty(), "{error}");
        let mut failed = record("c", Verdict::Failed, None);
        failed.seq = 30_000;
        let error = seen(&[&failed], None).live(NOW).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
    }

    fn policy(number: i64) -> Policy {
        let text = format!(
            r#"{{"rules": [{{"rulePriority": 7, "selection": {{"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": {number}}}, "action": {{"type": "expire"}}}}]}}"#
        );
        Policy::parse(&text, "it").unwrap()
    }

    /// ECR takes this image by rule 7.
    fn expired(digest: &Digest) -> HashMap<Digest, Taken> {
        let taken = Taken {
            rule: 7,
            action: "expire".to_owned(),
        };
        HashMap::from([(digest.clone(), taken)])
    }

    #[test]
    fn the_provenance_of_a_live_image_is_live() {
        let tagged = |digest: &Digest, image: &Digest| Image {
            tags: vec![format!("{}{}", attest::tag_prefix(image), "c".repeat(40))],
            ..self::image(digest, 9)
        };
        let [runs, gone, proof] = ["a", "b", "c"].map(digest_of);
        let images = [
            image(&runs, 9),
            tagged(&proof, &runs),
            tagged(&digest_of("d"), &gone),
        ];
        let live = vec![Live {
            digest: runs.clone(),
            environment: "production".to_owned(),
            why: "runs there",
        }];
        let live = with_provenance(live, &images);
        let digests: Vec<&Digest> = live.iter().map(|one| &one.digest).collect();
        assert_eq!(digests, [&runs, &proof]);
        let error = judge(&policy(9), &expired(&proof), &live, &images, NOW).unwrap_err();
        assert_eq!(
            error.causes(),
            [format!(
                "rule 7 would expire {proof}, which proves an image that is live (production)"
            )]
        );
    }

    fn image(digest: &Digest, days: i64) -> Image {
        Image {
            digest: digest.clone(),
            tags: Vec::new(),
            pushed: Some(NOW - Duration::days(days)),
            pulled: None,
            archived: false,
        }
    }

    #[test]
    fn a_live_image_that_a_rule_takes_is_named_with_rule_and_environment() {
        let [new, old] = ["a", "b"].map(digest_of);
        let images = [image(&new, 1), image(&old, 9)];
        let live = [Live {
            digest: old.clone(),
            environment: "production".to_owned(),
            why: "runs there",
        }];
        let error = judge(&policy(1), &expired(&old), &live, &images, NOW).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert_eq!(
            error.causes(),
            [format!(
                "rule 7 would expire {old}, which runs there (production)"
            )]
        );
        let checked = judge(&policy(3), &HashMap::new(), &live, &images, NOW).unwrap();
        let Checked::Safe { live: 1, later } = checked else {
            panic!("{checked:?}");
        };
        assert_eq!(
            later,
            [format!(
                "rule 7 takes {old} once 2 more are pushed that it selects, if it is still live then: it runs there (production)"
            )]
        );
        // An image that is not live may be expired.
        let safe = judge(&policy(1), &expired(&old), &[], &images, NOW).unwrap();
        assert_eq!(
            safe,
            Checked::Safe {
                live: 0,
                later: vec![]
            }
        );
    }
}

//! Records as in-toto statements with SLSA's verification summary (slsa.dev/spec/v1.0,
//! "Verification Summary Attestation"; in-toto/attestation, "Statement" v1), one for each deployment
//! and each permit.

use super::{Sink, unsound};
use crate::decisions::{Beside, Decisions};
use attest::{Envelope, Signer};
use kit::error::Result;
use ledger::{Chain, Entry, Ledger, Record, Verdict};
use serde_json::{Value, json};

/// The media type of a statement, which its signature covers.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Writes a statement for each deployment and permit, signed if there is a key. Nothing is written about a chain
/// that is not sound, nor about a permit whose decision could not be made again where evidence is kept.
pub(super) async fn write(
    ledger: &Ledger,
    chain: &Chain,
    signer: Option<&Signer>,
    sink: &mut Sink,
) -> Result<u64> {
    let mut entries = Vec::new();
    let mut decisions = Decisions::default();
    let mut audit = ledger
        .audit(chain, |entry| {
            entries.push(entry.clone());
            decisions.add(chain, entry);
            Ok(())
        })
        .await?;
    let decided = match ledger.keeps_evidence() {
        false => None,
        true => {
            let beside = Beside {
                key: ledger.public_key().await?,
                accepted: u64::MAX,
                ..Beside::default()
            };
            let read = async |hash: &str| ledger.evidence(chain, hash).await;
            let (decided, faults) = decisions.judge(chain, beside, read).await;
            audit.walked.find(faults);
            Some(decided)
        }
    };
    if !audit.walked.faults.is_empty() {
        return Err(unsound(chain, &audit.walked.faults));
    }
    let mut written = 0;
    for entry in &entries {
        let record = entry
            .record(chain)
            .map_err(|fault| unsound(chain, &[fault]))?;
        // A statement is about an image; a review or a request says nothing of its own about one.
        if !record.is_deployment() && record.verdict != Verdict::Permitted {
            continue;
        }
        let permit = record.verdict == Verdict::Permitted;
        if permit && decided.as_ref().is_some_and(|it| !it.has(record.seq)) {
            continue;
        }
        written += 1;
        let statement = statement(entry, &record).to_string();
        let line = match signer {
            Some(signer) => {
                let signature = signer.sign(PAYLOAD_TYPE, statement.as_bytes()).await?;
                Envelope::new(PAYLOAD_TYPE, statement.as_bytes(), signature).to_json()
            }
            None => statement,
        };
        sink.line(&format!("{line}\n"))?;
    }
    Ok(written)
}

/// The statement about one record.
fn statement(entry: &Entry, record: &Record) -> Value {
    let chain = format!("{}/{}", record.service, record.environment);
    let mut policy = json!({ "uri": format!("slipway:gate/{chain}") });
    // A rollback is asked few of the gate's rules.
    let judged = record
        .policy
        .as_deref()
        .filter(|_| record.rollback.is_none());
    if let Some(hex) = judged.and_then(|policy| policy.strip_prefix("sha256:")) {
        policy["digest"] = json!({ "sha256": hex });
    }
    // Rules refused what a person overrode them for, however it ended.
    let passed = matches!(record.verdict, Verdict::Healthy | Verdict::Permitted)
        && record.break_glass.is_none();
    let mut inputs = vec![json!({
        "uri": format!("slipway:ledger/{chain}/{}", record.seq),
        "digest": { "sha256": entry.hash },
    })];
    let permit = record.permit.as_ref();
    let evidence = permit.and_then(|permit| permit.evidence.as_deref());
    if let Some(hash) = evidence.and_then(ledger::evidence_hash) {
        inputs.push(json!({
            "uri": format!("slipway:evidence/{chain}/{hash}"),
            "digest": { "sha256": hash },
        }));
    }
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": record.service, "digest": { "sha256": record.digest.hex() } }],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {
                "id": "https://github.com/slipway-delivery/slipway/actions/promote",
                "version": { "slipway": env!("CARGO_PKG_VERSION") },
            },
            "timeVerified": record.at,
            "resourceUri": format!("slipway:service/{chain}"),
            "policy": policy,
            "inputAttestations": inputs,
            "verificationResult": if passed { "PASSED" } else { "FAILED" },
            // The ledger says what ran, not how it was built.
            "verifiedLevels": ["SLSA_BUILD_LEVEL_UNEVALUATED"],
            "slsaVersion": "1.0",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "the whole statement, as it is written"
    )]
    fn a_statement_says_what_slsa_asks_for() {
        let text = format!(
            r#"{{"seq":7,"at":"2026-11-21T18:00:01Z","service":"storefront","environment":"dev","digest":"sha256:{}","commit":"{}","verdict":"healthy","actor":{{"login":"alice"}},"policy":"sha256:bb"}}"#,
            "a".repeat(64),
            "c".repeat(40),
        );
        let record: Record = serde_json::from_str(&text).unwrap();
        let entry = Entry {
            seq: 7,
            prev: "0".repeat(64),
            hash: "ee".to_owned(),
            bytes: text,
            signature: None,
        };
        expect![[r#"
            {
              "_type": "https://in-toto.io/Statement/v1",
              "subject": [
                {
                  "name": "storefront",
                  "digest": {
                    "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  }
                }
              ],
              "predicateType": "https://slsa.dev/verification_summary/v1",
              "predicate": {
                "verifier": {
                  "id": "https://github.com/slipway-delivery/slipway/actions/promote",
                  "version": {
                    "slipway": "0.1.0"
                  }
                },
                "timeVerified": "2026-11-21T18:00:01Z",
                "resourceUri": "slipway:service/storefront/dev",
                "policy": {
                  "uri": "slipway:gate/storefront/dev",
                  "digest": {
                    "sha256": "bb"
                  }
                },
                "inputAttestations": [
                  {
                    "uri": "slipway:ledger/storefront/dev/7",
                    "digest": {
                      "sha256": "ee"
                    }
                  }
                ],
                "verificationResult": "PASSED",
                "verifiedLevels": [
                  "SLSA_BUILD_LEVEL_UNEVALUATED"
                ],
                "slsaVersion": "1.0"
              }
            }"#]]
        .assert_eq(&format!("{:#}", statement(&entry, &record)));
        let result = |record: &Record| {
            let statement = statement(&entry, record);
            statement["predicate"]["verificationResult"].clone()
        };
        let failed = Record {
            verdict: Verdict::Failed,
            ..record.clone()
        };
        assert_eq!(result(&failed), "FAILED");
        // A promotion that overrode rules did not pass by them.
        for verdict in [Verdict::Permitted, Verdict::Healthy] {
            let mut broken = Record {
                verdict,
                ..record.clone()
            };
            assert_eq!(result(&broken), "PASSED");
            broken.break_glass = Some(ledger::BreakGlass {
                reason: "the shop is down".to_owned(),
                by: record.actor.clone(),
                expires: record.at.clone(),
            });
            assert_eq!(result(&broken), "FAILED");
        }
        let back = Record {
            rollback: Some(ledger::Rollback { from: None }),
            ..record
        };
        let policy = &statement(&entry, &back)["predicate"]["policy"];
        assert_eq!(*policy, json!({ "uri": "slipway:gate/storefront/dev" }));
        assert_eq!(result(&back), "PASSED");
    }
}

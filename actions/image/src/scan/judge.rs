//! From findings to a verdict. Pure.

use super::scanned::{Finding, NotPerformed, Outcome, Scanned, Severities};
use super::waiver::Waivers;
use crate::scan::Severity;
use std::collections::BTreeSet;
use time::Date;

/// The three results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Clean,
    Findings,
    NotPerformed,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Findings => "findings",
            Verdict::NotPerformed => "not-performed",
        }
    }
}

/// A finding in one image, and what becomes of it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) platform: Option<String>,
    pub(crate) finding: Finding,
    /// It passes until this day.
    pub(crate) waived: Option<Date>,
    /// It is as severe as what is refused, and nothing lets it pass.
    pub(crate) refused: bool,
}

/// All that is to be said.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) counts: Severities,
    /// The severest first.
    pub(crate) findings: Vec<Judged>,
    /// The images without a scan, by name.
    pub(crate) not_performed: Vec<(String, NotPerformed)>,
    pub(crate) notes: Vec<String>,
}

pub(super) fn judge(scanned: Vec<Scanned>, fail_on: Severity, waivers: &Waivers) -> Judgement {
    let (mut findings, mut not_performed) = (Vec::new(), Vec::new());
    let mut counts = Severities::default();
    for Scanned { part, outcome } in scanned {
        match outcome {
            Outcome::NotPerformed(why) => not_performed.push((part.name(), why)),
            Outcome::Findings(all) => {
                for finding in all {
                    counts.add(finding.severity, 1);
                    let waived = waivers.passes(&finding.id);
                    findings.push(Judged {
                        platform: part.platform.clone(),
                        // The severest comes first in the order of severities.
                        refused: finding.severity <= fail_on && waived.is_none(),
                        waived,
                        finding,
                    });
                }
            }
        }
    }
    findings.sort_by(|a, b| {
        let key = |judged: &Judged| {
            (
                !judged.refused,
                judged.finding.severity,
                judged.finding.id.clone(),
                judged.platform.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    let verdict = if findings.iter().any(|judged| judged.refused) {
        Verdict::Findings
    } else if !not_performed.is_empty() {
        Verdict::NotPerformed
    } else {
        Verdict::Clean
    };
    let ids: BTreeSet<&str> = findings
        .iter()
        .map(|judged| judged.finding.id.as_str())
        .collect();
    Judgement {
        verdict,
        counts,
        notes: waivers.notes(&ids),
        findings,
        not_performed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::follow::not_performed;
    use super::super::scanned::Part;
    use super::*;
    use time::macros::date;

    fn finding(id: &str, severity: Severity) -> Finding {
        Finding {
            id: id.to_owned(),
            severity,
            package: None,
            version: None,
            fixed: None,
            uri: None,
        }
    }

    fn scanned(findings: &[Finding]) -> Scanned {
        Scanned {
            part: part(),
            outcome: Outcome::Findings(findings.to_vec()),
        }
    }

    fn part() -> Part {
        Part {
            digest: kit::id::Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap(),
            platform: None,
        }
    }

    fn failed() -> Scanned {
        Scanned {
            part: part(),
            outcome: Outcome::NotPerformed(not_performed("FAILED", None)),
        }
    }

    fn waivers(texts: &[&str]) -> Waivers {
        let texts: Vec<String> = texts.iter().map(|one| (*one).to_owned()).collect();
        Waivers::parse(&texts, date!(2026 - 11 - 21)).unwrap()
    }

    #[test]
    fn findings_at_or_above_the_threshold_are_refused() {
        use Severity::{Critical, High, Low, Medium, Undefined};
        for (severity, fail_on, verdict) in [
            (Critical, High, Verdict::Findings),
            (High, High, Verdict::Findings),
            (Medium, High, Verdict::Clean),
            (High, Critical, Verdict::Clean),
            (Undefined, Low, Verdict::Clean),
            (Undefined, Undefined, Verdict::Findings),
        ] {
            let all = vec![scanned(&[finding("CVE-1", severity)])];
            let judged = judge(all, fail_on, &waivers(&[]));
            assert_eq!(judged.verdict, verdict, "{severity:?} {fail_on:?}");
            assert_eq!(judged.counts.of(severity), 1);
        }
        assert_eq!(
            judge(vec![scanned(&[])], High, &waivers(&[])).verdict,
            Verdict::Clean
        );
    }

    #[test]
    fn a_waiver_lets_its_finding_pass_until_it_ends() {
        let found = [
            finding("CVE-1", Severity::High),
            finding("CVE-2", Severity::Critical),
        ];
        let of = |texts| judge(vec![scanned(&found)], Severity::High, &waivers(texts));
        let both = of(&["CVE-1=2026-12-01", "CVE-2=2026-11-21"][..]);
        assert_eq!(both.verdict, Verdict::Clean);
        assert_eq!(both.notes, [""; 0]);
        let ended = of(&["CVE-1=2026-12-01", "CVE-2=2026-11-20"]);
        assert_eq!(ended.verdict, Verdict::Findings);
        assert_eq!(ended.findings[0].finding.id, "CVE-2");
        assert!(!ended.findings[1].refused);
        assert_eq!(ended.notes.len(), 1);
    }

    #[test]
    fn one_platform_that_was_not_scanned_is_not_clean() {
        let of = |all| judge(all, Severity::High, &waivers(&[])).verdict;
        let bad = [finding("CVE-1", Severity::High)];
        assert_eq!(of(vec![scanned(&[]), failed()]), Verdict::NotPerformed);
        assert_eq!(of(vec![failed(), scanned(&bad)]), Verdict::Findings);
        assert_eq!(of(vec![scanned(&[]), scanned(&[])]), Verdict::Clean);
    }
}

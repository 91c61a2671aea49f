//! Following one image's scan from look to look, until there is something to judge. Pure.

use super::scanned::{Finding, NotPerformed, Outcome, Severities};
use std::fmt;
use time::{Duration, OffsetDateTime};

/// How long a scan that ended without findings is looked at again. ECR has been seen to say COMPLETE, with no finding and
/// no count, some moments before the findings came (aws/aws-sdk issue 289).
const SETTLE: Duration = Duration::seconds(20);

/// The scan at one look.
#[derive(Debug, Clone)]
pub(crate) enum Look {
    /// There is no scan.
    None,
    Scan(Scan),
}

/// ECR's answer about a scan, all pages of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scan {
    /// ECR API Reference, `ImageScanStatus`.
    pub(crate) status: String,
    pub(crate) description: Option<String>,
    pub(crate) completed: Option<OffsetDateTime>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) counts: Severities,
}

/// How asking for a scan went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Started {
    Yes,
    /// Amazon Inspector scans the repository by itself, and a scan cannot be requested.
    ByItself,
    /// With what ECR said.
    No(NotPerformed),
}

/// The next step.
#[derive(Debug)]
pub(crate) enum Step {
    Start,
    Wait,
    Done(Outcome),
}

/// The state of one image's scan so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    asked: bool,
    by_itself: bool,
    /// When the scan was first seen as complete with too few findings.
    thin_since: Option<OffsetDateTime>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unseen,
    None,
    Running(String),
    Thin(String),
}

impl Watch {
    /// Decides what a look means.
    pub(crate) fn step(&mut self, look: Look, now: OffsetDateTime) -> Step {
        let scan = match look {
            Look::None => {
                self.state = State::None;
                return if self.asked { Step::Wait } else { Step::Start };
            }
            Look::Scan(scan) => scan,
        };
        match scan.status.as_str() {
            "PENDING" | "IN_PROGRESS" => {
                self.state = State::Running(scan.status);
                Step::Wait
            }
            // ACTIVE: enhanced scanning watches the image, and looks again with each new advisory.
            "COMPLETE" | "ACTIVE" => self.ended(scan, now),
            _ => Step::Done(Outcome::NotPerformed(not_performed(
                &scan.status,
                scan.description,
            ))),
        }
    }

    fn ended(&mut self, scan: Scan, now: OffsetDateTime) -> Step {
        let missing = scan.counts.beyond(&scan.findings);
        let empty = scan.findings.is_empty() && missing == 0;
        if !empty && missing == 0 {
            return done(scan);
        }
        // A scan that ended long ago has settled, even if this is the first look.
        let since = *self.thin_since.get_or_insert(match scan.completed {
            Some(completed) if empty => completed.min(now),
            _ => now,
        });
        if now - since < SETTLE {
            self.state = State::Thin(scan.status);
            return Step::Wait;
        }
        if empty {
            return done(scan);
        }
        Step::Done(Outcome::NotPerformed(NotPerformed {
            why: format!("ECR counts {missing} findings more than it lists"),
            hint: "run the step again; if that stays so, look at the findings in the AWS console"
                .to_owned(),
            status: scan.status,
        }))
    }

    /// Records the result of requesting a scan; returns the outcome if there will be no scan.
    pub(crate) fn started(&mut self, started: Started) -> Option<Outcome> {
        self.asked = true;
        match started {
            Started::Yes => None,
            Started::ByItself => {
                self.by_itself = true;
                None
            }
            Started::No(why) => Some(Outcome::NotPerformed(why)),
        }
    }

    /// Where the scan is, in words.
    pub(crate) fn state(&self) -> impl fmt::Display {
        match &self.state {
            State::Unseen => "not looked at yet".to_owned(),
            State::None if self.by_itself => {
                "enhanced scanning is on and has not begun with it".to_owned()
            }
            State::None => "it has not begun".to_owned(),
            State::Running(status) => status.clone(),
            State::Thin(status) => {
                format!("{status}, but its findings are not all there yet; looking again")
            }
        }
    }
}

fn done(scan: Scan) -> Step {
    Step::Done(Outcome::Findings(scan.findings))
}

/// The ends at which ECR has no findings (ECR API Reference, `ImageScanStatus`).
pub(crate) fn not_performed(status: &str, description: Option<String>) -> NotPerformed {
    let (why, hint) = match status {
        "FAILED" => (
            "ECR's scan failed",
            "ask for another one 24 hours after the first: aws ecr start-image-scan; if it fails again, AWS Support can say why",
        ),
        "UNSUPPORTED_IMAGE" => (
            "ECR cannot scan such an image: it knows neither its operating system nor its packages",
            "see \"Scan images for software vulnerabilities\" in the Amazon ECR User Guide for what it knows; an image from scratch has no packages to look up",
        ),
        "SCAN_ELIGIBILITY_EXPIRED" => (
            "enhanced scanning no longer watches the image: it is older than the registry's scan duration",
            "lengthen the re-scan duration in Amazon Inspector's settings, or build the image anew",
        ),
        "FINDINGS_UNAVAILABLE" => (
            "there was a scan, but its findings are no longer available",
            "scan again: aws ecr start-image-scan, or with enhanced scanning push the image again",
        ),
        "LIMIT_EXCEEDED" => (
            "ECR's limit on scans is reached",
            "ECR scans an image once in 24 hours on request; wait, or raise the quota",
        ),
        "IMAGE_SIZE_EXCEEDED" => (
            "the image is larger than what ECR scans",
            "make the image smaller, or scan it by other means before it is pushed",
        ),
        "IMAGE_ARCHIVED" => (
            "the image is in the archive, where nothing is scanned",
            "restore it: aws ecr update-image-storage-class --target-storage-class STANDARD",
        ),
        _ => (
            "the scan ended in a way this version does not know",
            "use a newer version of slipway-image",
        ),
    };
    NotPerformed {
        status: status.to_owned(),
        why: match description {
            Some(words) if !words.trim().is_empty() => format!("{why} ({})", words.trim()),
            _ => why.to_owned(),
        },
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Severity;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn finding(severity: Severity) -> Finding {
        Finding {
            id: "CVE-1".to_owned(),
            severity,
            package: None,
            version: None,
            fixed: None,
            uri: None,
        }
    }

    fn scan(status: &str, findings: usize, counted: Option<u32>) -> Look {
        Look::Scan(Scan {
            status: status.to_owned(),
            findings: vec![finding(Severity::High); findings],
            counts: counted
                .map(|number| Severities::from([(Severity::High, number)]))
                .unwrap_or_default(),
            completed: Some(NOW),
            description: None,
        })
    }

    /// The step that follows a look so many seconds after [`NOW`].
    fn at(watch: &mut Watch, seconds: i64, look: Look) -> String {
        match watch.step(look, NOW + Duration::seconds(seconds)) {
            Step::Start => "start".to_owned(),
            Step::Wait => "wait".to_owned(),
            Step::Done(Outcome::Findings(findings)) => format!("{} found", findings.len()),
            Step::Done(Outcome::NotPerformed(why)) => format!("not performed: {}", why.status),
        }
    }

    #[test]
    fn a_scan_is_waited_for_from_its_start_to_its_findings() {
        let mut watch = Watch::default();
        assert_eq!(at(&mut watch, 0, Look::None), "start");
        assert!(watch.started(Started::Yes).is_none());
        assert_eq!(at(&mut watch, 1, Look::None), "wait");
        assert_eq!(at(&mut watch, 2, scan("PENDING", 0, None)), "wait");
        assert_eq!(at(&mut watch, 3, scan("IN_PROGRESS", 0, None)), "wait");
        assert_eq!(at(&mut watch, 4, scan("COMPLETE", 2, Some(2))), "2 found");
    }

    #[test]
    fn complete_but_empty_is_not_clean_until_it_has_settled() {
        for status in ["COMPLETE", "ACTIVE"] {
            for counted in [None, Some(0)] {
                let mut watch = Watch::default();
                assert_eq!(at(&mut watch, 1, scan(status, 0, counted)), "wait");
                assert_eq!(at(&mut watch, 19, scan(status, 0, counted)), "wait");
                assert_eq!(at(&mut watch, 20, scan(status, 0, counted)), "0 found");
            }
            let mut watch = Watch::default();
            assert_eq!(at(&mut watch, 1, scan(status, 0, None)), "wait");
            assert_eq!(at(&mut watch, 5, scan(status, 1, Some(1))), "1 found");
            // An hour later it has long settled, and nobody waits.
            assert_eq!(
                at(&mut Watch::default(), 3600, scan(status, 0, None)),
                "0 found"
            );
        }
    }

    #[test]
    fn findings_that_are_counted_and_not_listed_are_not_clean() {
        let mut watch = Watch::default();
        assert_eq!(at(&mut watch, 3600, scan("COMPLETE", 0, Some(3))), "wait");
        assert_eq!(at(&mut watch, 3610, scan("COMPLETE", 2, Some(3))), "wait");
        assert_eq!(
            at(&mut watch, 3620, scan("COMPLETE", 2, Some(3))),
            "not performed: COMPLETE"
        );
        let mut watch = Watch::default();
        assert_eq!(at(&mut watch, 0, scan("COMPLETE", 2, Some(3))), "wait");
        assert_eq!(at(&mut watch, 1, scan("COMPLETE", 3, Some(3))), "3 found");
    }

    #[test]
    fn scan_statuses_without_findings_are_distinguished() {
        let mut distinct = std::collections::BTreeSet::new();
        for status in [
            "FAILED",
            "UNSUPPORTED_IMAGE",
            "SCAN_ELIGIBILITY_EXPIRED",
            "FINDINGS_UNAVAILABLE",
            "LIMIT_EXCEEDED",
            "IMAGE_SIZE_EXCEEDED",
            "IMAGE_ARCHIVED",
            "SOMETHING_NEW",
        ] {
            assert_eq!(
                at(&mut Watch::default(), 0, scan(status, 0, None)),
                format!("not performed: {status}")
            );
            let reason = not_performed(status, Some("words of ECR".to_owned()));
            assert!(reason.why.ends_with("(words of ECR)"), "{reason:?}");
            distinct.insert((reason.why, reason.hint));
        }
        assert_eq!(distinct.len(), 8);
    }

    #[test]
    fn only_a_scan_that_can_start_is_waited_for() {
        let mut watch = Watch::default();
        assert_eq!(at(&mut watch, 0, Look::None), "start");
        let why = not_performed("LIMIT_EXCEEDED", None);
        assert!(watch.started(Started::No(why)).is_some());

        let mut watch = Watch::default();
        assert_eq!(at(&mut watch, 0, Look::None), "start");
        assert!(watch.started(Started::ByItself).is_none());
        assert_eq!(at(&mut watch, 60, Look::None), "wait");
        assert_eq!(
            watch.state().to_string(),
            "enhanced scanning is on and has not begun with it"
        );
    }
}

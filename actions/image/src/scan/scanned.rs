//! Scans that ended, with their findings.

use crate::scan::Severity;
use kit::id::Digest;
use std::collections::BTreeMap;

/// One image that the digest stands for: itself, or an index's for a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) digest: Digest,
    pub(crate) platform: Option<String>,
}

impl Part {
    pub(crate) fn name(&self) -> String {
        match &self.platform {
            Some(platform) => format!("{} ({platform})", self.digest),
            None => self.digest.to_string(),
        }
    }
}

/// One image of those the digest stands for, and how its scan ended.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) part: Part,
    pub(crate) outcome: Outcome,
}

/// Why there is nothing to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotPerformed {
    pub(crate) status: String,
    pub(crate) why: String,
    pub(crate) hint: String,
}

/// How a scan ended.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Findings(Vec<Finding>),
    NotPerformed(NotPerformed),
}

/// A finding of ECR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `CVE-…`, or what the finding is called instead.
    pub(crate) id: String,
    pub(crate) severity: Severity,
    pub(crate) package: Option<String>,
    pub(crate) version: Option<String>,
    /// The version it is fixed in; basic scans do not say.
    pub(crate) fixed: Option<String>,
    pub(crate) uri: Option<String>,
}

/// The number of findings of each severity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Severities(BTreeMap<Severity, u32>);

impl<const N: usize> From<[(Severity, u32); N]> for Severities {
    fn from(counts: [(Severity, u32); N]) -> Self {
        Self(BTreeMap::from(counts))
    }
}

impl Severities {
    pub(crate) fn add(&mut self, severity: Severity, number: u32) {
        *self.0.entry(severity).or_default() += number;
    }

    pub(crate) fn of(&self, severity: Severity) -> u32 {
        self.0.get(&severity).copied().unwrap_or_default()
    }

    /// How many of those counted here are not among the findings.
    pub(crate) fn beyond(&self, findings: &[Finding]) -> u32 {
        self.0
            .iter()
            .map(|(severity, number)| {
                let listed = findings
                    .iter()
                    .filter(|one| one.severity == *severity)
                    .count();
                number.saturating_sub(u32::try_from(listed).unwrap_or(u32::MAX))
            })
            .sum()
    }
}

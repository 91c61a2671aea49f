//! The lease that Slipway writes beside Terraform's own `Info`: who holds the lock in which run, and for how long
//! without a heartbeat. It is in attributes of the DynamoDB item, or in one more member of `.tflock`, which
//! Terraform and OpenTofu leave alone. The names are those of AWS's own lock client where it has
//! them (awslabs/amazon-dynamodb-lock-client: a version number and a length, never a point in time).

use crate::rescue::Copies;
use kit::Lenient;
use kit::aws::Arn;
use kit::host::Kind;
use kit::id::CommitId;
use kit::step::Cx;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use time::OffsetDateTime;

/// The phase of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// A process holds it and renews it.
    Running,
    /// A job keeps it from step to step; it is not renewed.
    Kept,
    /// It waits for a later job to adopt it; it is not renewed.
    Parked,
    /// A command could not write its state, which was rescued; nothing else may run before a
    /// person has looked.
    NeedsRepair,
    /// A command repairs such a state. If the command dies, the state still needs repair.
    Repairing,
    /// It is not held: locking has moved to `.tflock`, and clients that still lock here are stopped.
    Moved,
    /// The lease of a ticket, whose run waits for the lock.
    Waiting,
    /// Something a later version wrote.
    #[serde(other)]
    Unknown,
}

impl Phase {
    /// Returns true if the state may not match the infrastructure, so that a person has to look.
    pub(crate) fn is_broken(self) -> bool {
        matches!(self, Phase::NeedsRepair | Phase::Repairing)
    }
}

/// The lease of a holder that uses Slipway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Lease {
    /// Changes with every renewal.
    pub(crate) rvn: String,
    pub(crate) phase: Phase,
    /// How long without a renewal the holder counts as alive, where it renews at all.
    pub(crate) lease_secs: u64,
    /// The end of a hold that is not renewed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run_url: Option<String>,
    /// `OWNER/NAME/RUN/ATTEMPT`, of GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) build_arn: Option<Lenient<Arn>>,
    /// The job within the run, so that one job's post step leaves another's hold alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<String>,
    /// The runner it is on: all legs of a matrix have one job's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<Lenient<CommitId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<String>,
    /// The copies of states that were rescued.
    #[serde(default, skip_serializing_if = "Copies::is_empty")]
    pub(crate) rescued: Copies,
    /// For an object: the lock is in the table as well, and the table's item decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) second_half: bool,
}

impl Lease {
    /// This run's.
    pub(crate) fn new(phase: Phase, length: Duration, actor: Option<String>, cx: &Cx) -> Self {
        let variable = |name: &str| cx.env.get(name).map(str::to_owned);
        let attempt = (cx.host.kind() == Kind::GitHub)
            .then(|| {
                Some(format!(
                    "{}/{}/{}",
                    cx.env.get("GITHUB_REPOSITORY")?,
                    cx.env.get("GITHUB_RUN_ID")?,
                    cx.env.get("GITHUB_RUN_ATTEMPT").unwrap_or("1")
                ))
            })
            .flatten();
        Self {
            rvn: new_rvn(),
            phase,
            lease_secs: length.as_secs(),
            until: None,
            run_url: cx.host.run_url(),
            attempt,
            build_arn: (cx.host.kind() == Kind::CodeBuild)
                .then(|| cx.env.get("CODEBUILD_BUILD_ARN"))
                .flatten()
                .map(Lenient::from),
            job: (cx.host.kind() == Kind::GitHub)
                .then(|| variable("GITHUB_JOB"))
                .flatten(),
            runner: (cx.host.kind() == Kind::GitHub)
                .then(|| variable("RUNNER_NAME"))
                .flatten(),
            commit: cx.host.commit().ok().flatten().map(Lenient::Parsed),
            actor,
            rescued: Copies::default(),
            second_half: false,
        }
    }

    /// The same holder, after one more sign of life.
    pub(crate) fn renewed(&self) -> Self {
        Self {
            rvn: new_rvn(),
            ..self.clone()
        }
    }

    /// Returns true if the hold belongs to the same job as `other`: its run, attempt, job and leg.
    pub(crate) fn same_job(&self, other: &Lease) -> bool {
        (&self.attempt, &self.build_arn, &self.job, &self.runner)
            == (&other.attempt, &other.build_arn, &other.job, &other.runner)
    }

    /// Returns true if anybody can tell its run from others.
    pub(crate) fn is_of_a_run(&self) -> bool {
        self.attempt.is_some() || self.build_arn.is_some()
    }

    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.lease_secs)
    }

    pub(crate) fn ends(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.until?).ok()
    }

    /// As names and values, texts and numbers only.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// Back from names and values, whatever else is among them. `None` where it is not a lease.
    pub(crate) fn from_fields(fields: Map<String, Value>) -> Option<Self> {
        serde_json::from_value(Value::Object(fields)).ok()
    }
}

pub(crate) fn new_rvn() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn lease(phase: Phase) -> Lease {
        Lease {
            rvn: "r1".into(),
            phase,
            lease_secs: 60,
            until: None,
            run_url: Some("https://github.com/acme/shop/actions/runs/7/attempts/1".into()),
            attempt: Some("acme/shop/7/1".into()),
            build_arn: None,
            job: Some("deploy".into()),
            runner: Some("runner-1".into()),
            commit: None,
            actor: Some("ada".into()),
            rescued: Copies::default(),
            second_half: false,
        }
    }

    #[test]
    fn a_lease_comes_back_from_its_fields_among_others() {
        let lease = lease(Phase::NeedsRepair);
        let mut fields = lease.fields();
        assert_eq!(fields["LeaseSecs"], 60);
        assert_eq!(fields["Phase"], "needs-repair");
        fields.insert("Info".into(), "{}".into());
        assert_eq!(Lease::from_fields(fields), Some(lease));
    }

    #[test]
    fn a_lease_with_odd_names_is_still_a_lease() {
        let mut fields = lease(Phase::Running).fields();
        fields.insert("Commit".into(), "v1.2".into());
        fields.insert("BuildArn".into(), "not an ARN".into());
        let lease = Lease::from_fields(fields.clone()).unwrap();
        assert_eq!(lease.fields(), fields);
    }

    #[test]
    fn a_phase_of_a_later_version_is_read_as_unknown() {
        let mut fields = lease(Phase::Running).fields();
        fields.insert("Phase".into(), "frozen".into());
        assert_eq!(Lease::from_fields(fields).unwrap().phase, Phase::Unknown);
        assert_eq!(Lease::from_fields(Map::new()), None);
    }

    #[test]
    fn another_job_attempt_or_run_is_not_the_same_job() {
        let ours = lease(Phase::Kept);
        assert!(ours.same_job(&ours.renewed()));
        for (attempt, job) in [("acme/shop/7/2", "deploy"), ("acme/shop/7/1", "plan")] {
            let other = Lease {
                attempt: Some(attempt.into()),
                job: Some(job.into()),
                ..ours.clone()
            };
            assert!(!ours.same_job(&other));
        }
        // Two legs of a matrix.
        let other = Lease {
            runner: Some("runner-2".into()),
            ..ours.clone()
        };
        assert!(!ours.same_job(&other));
    }
}

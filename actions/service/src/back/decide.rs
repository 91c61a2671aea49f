//! Decides how a service goes back. Pure.
//!
//! Going back twice is going back once: what already goes back, or went back, is followed or verified, and never stopped.
//! Otherwise the second of two rollbacks would end at the version that the first one left.

use super::served::{Served, Version};
use kit::aws::TaskDefinitionArn;
use std::collections::BTreeSet;

/// What is done so that the service goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// The deployment in progress goes back itself, for this reason: it is followed.
    Follow(&'static str),
    /// The deployment in progress is stopped, and ECS goes back to what ran before it.
    Stop,
    /// This digest is deployed.
    Deploy(Version),
    /// It went back before, for this reason: what runs is verified.
    Verify(&'static str),
    /// Nothing, for this reason.
    Refuse(String),
}

/// The deployment in progress.
#[derive(Debug, Clone)]
pub(crate) struct Current<'a> {
    /// The status of ECS's record.
    pub(crate) status: &'a str,
    /// The version that it deploys, where it is known.
    pub(crate) deploys: Option<&'a str>,
    /// True if another revision was in service before it.
    pub(crate) replaces: bool,
}

/// How the newest deployment that is over ended, apart from those that another one replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastEnd {
    /// It succeeded, or nobody knows any.
    Succeeded,
    /// It did not, and the version before it runs.
    RolledBack,
    /// It did not, and neither did the way back.
    Stuck,
}

/// What is known of the deployments that are over.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    pub(crate) served: Served,
    pub(crate) last_end: LastEnd,
    /// The versions that the ledger has records of, and none that they were healthy.
    pub(crate) unhealthy: BTreeSet<Version>,
}

/// What is done about a deployment in progress.
pub(crate) fn in_progress(current: &Current<'_>, past: &Past) -> Action {
    if current.status.starts_with("ROLLBACK") || current.status.starts_with("STOP") {
        return Action::Follow("ECS rolls it back already");
    }
    if !current.replaces {
        return Action::Refuse(
            "it is the first deployment of the service, so ECS has nothing to go back to"
                .to_owned(),
        );
    }
    let Some(deploys) = current.deploys else {
        return Action::Refuse(
            "ECS does not show which version the deployment in progress is of, so it may be a rollback itself"
                .to_owned(),
        );
    };
    // It goes back itself only if going back had to deploy the very same version. One that deploys another version which
    // served once, such as one that was left before, is to be stopped like any other.
    let serving = past.served.newest().map(String::as_str);
    match at_rest(serving, past) {
        Action::Deploy(version) if version == deploys => {
            Action::Follow("it deploys the version that going back has to deploy")
        }
        _ => Action::Stop,
    }
}

/// What is done where nothing is in progress and this version runs.
pub(crate) fn at_rest(runs: Option<&str>, past: &Past) -> Action {
    let served = &past.served;
    let Some(serving) = served.newest() else {
        return Action::Refuse(
            "no version is known to have been healthy: neither to the ledger of an environment nor to ECS, which keeps deployments for 90 days"
                .to_owned(),
        );
    };
    let healthy = |version: &&Version| !past.unhealthy.contains(*version);
    match runs {
        None => return Action::Refuse("nobody names the digest that runs".to_owned()),
        // What runs never succeeded, so the newest version that did is the one before it.
        Some(runs) if runs != serving => {
            let mut known = std::iter::once(serving).chain(served.earlier());
            return deploy(known.find(healthy));
        }
        Some(_) => {}
    }
    match past.last_end {
        // The same version once more: the one before it would be two versions back.
        LastEnd::Stuck => return deploy(Some(serving)),
        LastEnd::RolledBack => {
            return Action::Verify(
                "the last deployment did not succeed, and the version before it runs",
            );
        }
        LastEnd::Succeeded => {}
    }
    if served.went_back() {
        return Action::Verify("the last deployment went back itself");
    }
    deploy(served.earlier().find(healthy))
}

fn deploy(version: Option<&Version>) -> Action {
    match version {
        None => Action::Refuse("no other version of the service was ever healthy".to_owned()),
        Some(version) if version.starts_with("sha256:") => Action::Deploy(version.clone()),
        Some(version) => Action::Refuse(format!(
            "the version before is {version}, and nobody names the digest of its image"
        )),
    }
}

/// The revision that has to run where a service went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The one that runs: nothing was in progress.
    Any,
    Is(TaskDefinitionArn),
    /// Another one than was deployed: ECS's record does not name the one that it went back to.
    Not(TaskDefinitionArn),
}

impl Wanted {
    /// The revision after ECS went back from a deployment; `None` where nothing is known by which one could be told.
    pub(crate) fn after(
        went_back_to: Option<TaskDefinitionArn>,
        deployed: Option<TaskDefinitionArn>,
    ) -> Option<Self> {
        went_back_to.map(Self::Is).or(deployed.map(Self::Not))
    }

    /// What is missing while the service runs this.
    pub(crate) fn missing(&self, runs: &TaskDefinitionArn) -> Option<String> {
        match self {
            Self::Is(to) if to != runs => Some(format!(
                "the service to run {}: it has {}",
                to.name(),
                runs.name()
            )),
            Self::Not(deployed) if deployed == runs => Some(format!(
                "the service to run another revision than {}",
                deployed.name()
            )),
            Self::Any | Self::Is(_) | Self::Not(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_not_taken_for_the_way_back_unseen() {
        let revision = |number: u32| -> TaskDefinitionArn {
            let arn = format!("arn:aws:ecs:eu-west-1:111111111111:task-definition/web:{number}");
            arn.parse().unwrap()
        };
        let back = |to: Option<u32>, deployed: Option<u32>, runs| {
            let wanted = Wanted::after(to.map(revision), deployed.map(revision))?;
            Some(wanted.missing(&revision(runs)).is_none())
        };
        for (to, deployed, runs, wanted) in [
            (Some(1), Some(2), 1, Some(true)),
            (Some(1), Some(2), 2, Some(false)),
            (Some(1), Some(2), 3, Some(false)),
            (None, Some(2), 2, Some(false)),
            (None, Some(2), 1, Some(true)),
            (None, None, 2, None),
        ] {
            let found = back(to, deployed, runs);
            assert_eq!(found, wanted, "{to:?} {deployed:?} {runs}");
        }
        assert_eq!(Wanted::Any.missing(&revision(2)), None);
    }

    /// Versions by one letter each.
    fn versions(names: &str) -> Vec<Version> {
        let names = names.split_whitespace();
        names.map(|name| format!("sha256:{name}")).collect()
    }

    /// What is over, by the successes, oldest first.
    fn past(successes: &str, last_end: LastEnd, unhealthy: &str) -> Past {
        Past {
            served: Served::by(versions(successes)),
            last_end,
            unhealthy: versions(unhealthy).into_iter().collect(),
        }
    }

    /// An action as one word, with the version that it deploys.
    fn word(action: Action) -> String {
        match action {
            Action::Follow(_) => "follow".to_owned(),
            Action::Stop => "stop".to_owned(),
            Action::Deploy(version) => version.replace("sha256:", "deploy "),
            Action::Verify(_) => "verify".to_owned(),
            Action::Refuse(_) => "refuse".to_owned(),
        }
    }

    #[test]
    fn a_deployment_in_progress_is_stopped_unless_going_back_deploys_the_same() {
        use LastEnd::{RolledBack, Stuck, Succeeded};
        // Status, what it deploys, what succeeded before (oldest first), and how the last one ended.
        for (status, deploys, successes, last_end, wanted) in [
            ("IN_PROGRESS", Some("c"), "a b", Succeeded, "stop"),
            ("PENDING", Some("b"), "a", Succeeded, "stop"),
            // Infrastructure's change of the version that runs.
            ("IN_PROGRESS", Some("b"), "a b", Succeeded, "stop"),
            ("IN_PROGRESS", Some("a"), "a b", Succeeded, "follow"),
            // Two versions back, which nobody asks a rollback for.
            ("IN_PROGRESS", Some("a"), "a b c", Succeeded, "stop"),
            ("IN_PROGRESS", Some("b"), "a b c", Succeeded, "follow"),
            // The bad version was left for the one before it, and comes again.
            ("IN_PROGRESS", Some("b"), "a b a", Succeeded, "stop"),
            ("IN_PROGRESS", Some("b"), "a b a c", Succeeded, "stop"),
            ("IN_PROGRESS", Some("a"), "a b a c", Succeeded, "follow"),
            // It was rolled back, and comes again.
            ("IN_PROGRESS", Some("c"), "a b", RolledBack, "stop"),
            ("IN_PROGRESS", Some("a"), "a b", RolledBack, "stop"),
            // What a rollback deploys after a way back that failed.
            ("IN_PROGRESS", Some("b"), "a b", Stuck, "follow"),
            ("ROLLBACK_REQUESTED", Some("c"), "a b", Succeeded, "follow"),
            ("ROLLBACK_IN_PROGRESS", None, "", Succeeded, "follow"),
            ("STOP_REQUESTED", Some("c"), "b", Succeeded, "follow"),
            // What ran before was deployed so long ago that nobody knows it any more.
            ("IN_PROGRESS", Some("a"), "", Succeeded, "stop"),
            ("IN_PROGRESS", None, "a b", Succeeded, "refuse"),
        ] {
            let deploys = deploys.map(|name| format!("sha256:{name}"));
            let current = Current {
                status,
                deploys: deploys.as_deref(),
                replaces: true,
            };
            let found = word(in_progress(&current, &past(successes, last_end, "")));
            assert_eq!(found, wanted, "{status} {deploys:?} {successes}");
        }
        let first = Current {
            status: "IN_PROGRESS",
            deploys: Some("sha256:a"),
            replaces: false,
        };
        let nothing = past("", Succeeded, "");
        assert_eq!(word(in_progress(&first, &nothing)), "refuse");
    }

    #[test]
    fn at_rest_it_goes_back_one_version_and_never_two() {
        use LastEnd::{RolledBack, Stuck, Succeeded};
        for (runs, last_end, successes, unhealthy, wanted) in [
            (Some("b"), Succeeded, "a b", "", "deploy a"),
            (Some("b"), Succeeded, "a b b", "", "deploy a"),
            (Some("d"), Succeeded, "a b c b d", "", "deploy b"),
            // What runs never succeeded, and so the newest that did is the one before it.
            (Some("c"), Stuck, "a b", "", "deploy b"),
            (Some("c"), RolledBack, "a b", "", "deploy b"),
            (Some("c"), Succeeded, "a b", "", "deploy b"),
            (Some("c"), Succeeded, "a b", "b", "deploy a"),
            (Some("b"), Stuck, "a b", "", "deploy b"),
            // It went back, by ECS or by a deployment: once more is once.
            (Some("b"), RolledBack, "a b", "", "verify"),
            (Some("a"), Succeeded, "a b a", "", "verify"),
            (Some("b"), Succeeded, "a b c b", "", "verify"),
            (Some("a"), Succeeded, "a b b c a", "", "verify"),
            // The bad version came again after it was left.
            (Some("b"), Succeeded, "a b a b", "", "deploy a"),
            // The ledger knows that the version before was not healthy.
            (Some("c"), Succeeded, "a b c", "b", "deploy a"),
            (Some("b"), Succeeded, "a b", "a", "refuse"),
            (Some("a"), Succeeded, "a", "", "refuse"),
            (Some("a"), Succeeded, "a a", "", "refuse"),
            (Some("a"), Succeeded, "", "", "refuse"),
            (None, Succeeded, "a b", "", "refuse"),
        ] {
            let runs = runs.map(|name| format!("sha256:{name}"));
            let past = past(successes, last_end, unhealthy);
            let found = word(at_rest(runs.as_deref(), &past));
            assert_eq!(found, wanted, "{runs:?} {last_end:?} {successes}");
        }
    }

    #[test]
    fn a_version_without_a_digest_is_not_passed_over() {
        let past = Past {
            served: Served::by(["sha256:a", "web:7", "sha256:c"].map(str::to_owned)),
            last_end: LastEnd::Succeeded,
            unhealthy: BTreeSet::new(),
        };
        let found = at_rest(Some("sha256:c"), &past);
        assert!(
            matches!(&found, Action::Refuse(reason) if reason.contains("web:7")),
            "{found:?}"
        );
    }
}

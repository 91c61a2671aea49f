//! Decides how a service goes back. Pure.
//!
//! Going back twice is going back once: what already goes back, or went back, is followed or verified, and never stopped.
//! Otherwise the second of two rollbacks would end at the version that the first one left.

/// How the service goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// The deployment in progress goes back itself; for this reason.
    Follow(&'static str),
    /// The deployment in progress is stopped, and ECS goes back to what ran before it.
    Stop,
    /// This digest is deployed.
    Deploy(String),
    /// It went back before: what runs is verified.
    Verify(&'static str),
    /// It cannot go back; for this reason.
    No(&'static str),
}

/// A version that was deployed successfully: its digest, or where nobody names one, its task definition.
pub(crate) type Version = String;

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

/// How the newest deployment that is over ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It succeeded, or nobody knows any.
    Well,
    /// It did not, and the version before it came back or was never gone.
    Back,
    /// It did not, and neither did the way back.
    Stuck,
}

/// The way back from a deployment in progress, by the versions that were deployed successfully before it, newest first.
pub(crate) fn from_running(current: &Current<'_>, successes: &[Version]) -> Way {
    if current.status.starts_with("ROLLBACK") || current.status.starts_with("STOP") {
        return Way::Follow("ECS rolls it back already");
    }
    if !current.replaces {
        return Way::No(
            "it is the first deployment of the service, so ECS has nothing to go back to",
        );
    }
    let Some(deploys) = current.deploys else {
        return Way::No(
            "ECS does not show which version the deployment in progress is of, so it may be a rollback itself",
        );
    };
    // The same image with other settings is a new version, and not a way back.
    let serves = successes.first().is_some_and(|serving| serving == deploys);
    if !serves && successes.iter().any(|version| version == deploys) {
        return Way::Follow(
            "it deploys a version that was deployed successfully before, so it goes back itself",
        );
    }
    Way::Stop
}

/// The way back from what runs where nothing is in progress, by the versions that were healthy, newest first.
pub(crate) fn from_rest(runs: Option<&str>, ended: Ended, healthy: &[Version]) -> Way {
    let Some(last) = healthy.first() else {
        return Way::No(
            "no version is known to have been healthy: neither to the ledger of an environment nor to ECS, which keeps deployments for 90 days",
        );
    };
    match runs {
        None => return Way::No("nobody names the digest that runs"),
        // What runs was never healthy.
        Some(runs) if runs != last => return Way::Deploy(last.clone()),
        Some(_) => {}
    }
    match ended {
        Ended::Well => {}
        Ended::Back => {
            return Way::Verify(
                "the last deployment did not succeed, and the version before it runs",
            );
        }
        // Once more to the same version: the one before it would be two versions back.
        Ended::Stuck => return Way::Deploy(last.clone()),
    }
    let earlier = &healthy[1..];
    let other = earlier.iter().position(|version| version != last);
    let Some(other) = other else {
        return Way::No("no other version of the service was ever healthy");
    };
    match earlier[other..].contains(last) {
        true => Way::Verify("the last deployment went back itself"),
        false => Way::Deploy(earlier[other].clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(names: &str) -> Vec<Version> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_deployment_in_progress_is_stopped_unless_it_goes_back_itself() {
        // Status, what it deploys, what succeeded before (newest first), and the first word of the way.
        for (status, deploys, successes, wanted) in [
            ("IN_PROGRESS", Some("c"), "b a", "Stop"),
            ("PENDING", Some("b"), "a", "Stop"),
            // Infrastructure's change of the version that runs.
            ("IN_PROGRESS", Some("b"), "b a", "Stop"),
            ("IN_PROGRESS", Some("a"), "b a", "Follow"),
            ("IN_PROGRESS", Some("a"), "c b a", "Follow"),
            ("ROLLBACK_REQUESTED", Some("c"), "b a", "Follow"),
            ("ROLLBACK_IN_PROGRESS", None, "", "Follow"),
            ("STOP_REQUESTED", Some("c"), "b", "Follow"),
            // What ran before was deployed so long ago that nobody knows it any more.
            ("IN_PROGRESS", Some("a"), "", "Stop"),
            ("IN_PROGRESS", None, "b a", "No"),
        ] {
            let current = Current {
                status,
                deploys,
                replaces: true,
            };
            let found = format!("{:?}", from_running(&current, &versions(successes)));
            assert!(
                found.starts_with(wanted),
                "{status} {deploys:?} {successes}: {found}"
            );
        }
        let first = Current {
            status: "IN_PROGRESS",
            deploys: Some("a"),
            replaces: false,
        };
        assert!(matches!(from_running(&first, &[]), Way::No(_)));
    }

    #[test]
    fn at_rest_it_goes_back_one_version_and_never_two() {
        use Ended::{Back, Stuck, Well};
        let deploy = |version: &str| format!("Deploy({version:?})");
        for (runs, ended, healthy, wanted) in [
            (Some("b"), Well, "b a", deploy("a")),
            (Some("b"), Well, "b b a", deploy("a")),
            // What runs was never healthy, and so the newest that was is the one before it.
            (Some("c"), Stuck, "b a", deploy("b")),
            (Some("c"), Back, "b a", deploy("b")),
            (Some("c"), Well, "b a", deploy("b")),
            (Some("b"), Stuck, "b a", deploy("b")),
            // It went back, by ECS or by a deployment: once more is once.
            (Some("b"), Back, "b a", "Verify".to_owned()),
            (Some("a"), Well, "a b a", "Verify".to_owned()),
            (Some("a"), Well, "a b b c a", "Verify".to_owned()),
            (Some("a"), Well, "a", "No".to_owned()),
            (Some("a"), Well, "a a", "No".to_owned()),
            (Some("a"), Well, "", "No".to_owned()),
            (None, Well, "b a", "No".to_owned()),
        ] {
            let found = format!("{:?}", from_rest(runs, ended, &versions(healthy)));
            assert!(
                found.starts_with(&wanted),
                "{runs:?} {ended:?} {healthy}: {found}"
            );
        }
    }
}

//! The order of the phases.

use std::fmt;

/// A phase of a build that this runner goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Reads the buildspec and the stored variables.
    DownloadSource,
    /// `install`.
    Install,
    /// `pre_build`.
    PreBuild,
    /// `build`.
    Build,
    /// `post_build`.
    PostBuild,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
        })
    }
}

/// How a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Every command of it succeeded.
    Succeeded,
    /// A command failed.
    Failed,
    /// The build's time was up.
    TimedOut,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
        })
    }
}

/// The reaction that a phase's `on-failure` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// End the build.
    Abort,
    /// Go on with the next phase.
    Continue,
}

/// The phase that comes next; `None` is FINALIZING. Without `on-failure` a failure ends the build, except that
/// `post_build` is reached from `build` either way.
pub(super) fn next(phase: Phase, status: Status, on_failure: Option<OnFailure>) -> Option<Phase> {
    let following = match phase {
        Phase::DownloadSource => Some(Phase::Install),
        Phase::Install => Some(Phase::PreBuild),
        Phase::PreBuild => Some(Phase::Build),
        Phase::Build => Some(Phase::PostBuild),
        Phase::PostBuild => None,
    };
    match (status, on_failure) {
        (Status::Succeeded, _) | (Status::Failed, Some(OnFailure::Continue)) => following,
        (Status::Failed, None) if phase == Phase::Build => following,
        (Status::Failed | Status::TimedOut, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::OnFailure::{Abort, Continue};
    use super::Phase::{Build, DownloadSource, Install, PostBuild, PreBuild};
    use super::Status::{Failed, Succeeded, TimedOut};
    use super::*;

    #[test]
    fn the_transitions_are_the_documented_ones() {
        for (phase, status, on_failure, expected) in [
            (DownloadSource, Succeeded, None, Some(Install)),
            (DownloadSource, Failed, None, None),
            (Install, Succeeded, None, Some(PreBuild)),
            (Install, Failed, None, None),
            (Install, Failed, Some(Continue), Some(PreBuild)),
            (PreBuild, Succeeded, Some(Abort), Some(Build)),
            (PreBuild, Failed, None, None),
            (PreBuild, Failed, Some(Abort), None),
            (PreBuild, Failed, Some(Continue), Some(Build)),
            (Build, Succeeded, None, Some(PostBuild)),
            (Build, Failed, None, Some(PostBuild)),
            (Build, Failed, Some(Continue), Some(PostBuild)),
            (Build, Failed, Some(Abort), None),
            (Build, TimedOut, Some(Continue), None),
            (PostBuild, Succeeded, None, None),
            (PostBuild, Failed, Some(Continue), None),
        ] {
            assert_eq!(
                next(phase, status, on_failure),
                expected,
                "{phase} {status} {on_failure:?}"
            );
        }
    }
}

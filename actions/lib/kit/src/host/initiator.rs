//! The initiator of a build in CodeBuild.

use crate::aws::{Arn, Principal};
use crate::env::Env;
use std::fmt;

/// The initiator of a build, according to `CODEBUILD_INITIATOR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initiator {
    /// A session of a role, or a user, of the build's account.
    Principal(Principal),
    /// A pipeline, a rule, a webhook, or a name that cannot be read.
    Other(String),
}

/// The parts before the `/` in the names of initiators that are not people (CodeBuild User Guide, "Environment variables
/// in build environments"). A role with such a name cannot be told apart from them.
const MACHINES: [&str; 5] = [
    "codepipeline",
    "rule",
    "GitHub-Hookshot",
    "GitLab-Hookshot",
    "Bitbucket-Hookshot",
];

impl Initiator {
    /// The initiator of this build. CodeBuild writes a session as ROLE/SESSION and a user as NAME. Both belong to the
    /// account in the build's ARN, since only its own principals may start a project's builds.
    pub(super) fn of(env: &Env) -> Option<Self> {
        let name = env.get("CODEBUILD_INITIATOR")?;
        let build = env.get("CODEBUILD_BUILD_ARN").map(str::parse::<Arn>);
        let principal = || {
            let build = build?.ok()?;
            let account = build.account.as_ref()?;
            let found = match name.split_once('/') {
                Some((machine, _)) if MACHINES.contains(&machine) => return None,
                Some((role, session)) => {
                    Principal::session(build.partition, account, role, session)
                }
                // The plugin of Jenkins has a name like a user's.
                None if name == "CodeBuild-Jenkins-Plugin" => return None,
                None => Principal::user(build.partition, account, name),
            };
            found.ok()
        };
        Some(match principal() {
            Some(principal) => Self::Principal(principal),
            None => Self::Other(name.to_owned()),
        })
    }
}

impl fmt::Display for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(principal) => principal.fmt(f),
            // Never a name by itself, which could be a person's login.
            Self::Other(name) => write!(f, "{name} (CODEBUILD_INITIATOR)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, build: &str) -> String {
        let env = Env::from([
            ("CODEBUILD_INITIATOR", name),
            ("CODEBUILD_BUILD_ARN", build),
        ]);
        match Initiator::of(&env).unwrap() {
            Initiator::Principal(principal) => principal.to_string(),
            other @ Initiator::Other(_) => format!("other: {other}"),
        }
    }

    #[test]
    fn an_initiator_is_a_principal_of_the_builds_account_or_nobody() {
        let build = "arn:aws-cn:codebuild:cn-north-1:012345678901:build/promote:1";
        for (name, wanted) in [
            (
                "Operators/ada@acme.example",
                "arn:aws-cn:sts::012345678901:assumed-role/Operators/ada@acme.example",
            ),
            ("ada", "arn:aws-cn:iam::012345678901:user/ada"),
            (
                "codepipeline/ada@acme.example",
                "other: codepipeline/ada@acme.example (CODEBUILD_INITIATOR)",
            ),
            ("rule/ada", "other: rule/ada (CODEBUILD_INITIATOR)"),
            (
                "GitHub-Hookshot/abc1234",
                "other: GitHub-Hookshot/abc1234 (CODEBUILD_INITIATOR)",
            ),
            (
                "CodeBuild-Jenkins-Plugin",
                "other: CodeBuild-Jenkins-Plugin (CODEBUILD_INITIATOR)",
            ),
            (
                "team/Operators/ada",
                "other: team/Operators/ada (CODEBUILD_INITIATOR)",
            ),
        ] {
            assert_eq!(of(name, build), wanted);
        }
        for build in ["", "build", "arn:aws:codebuild:us-east-1::build/x"] {
            assert_eq!(of("ada", build), "other: ada (CODEBUILD_INITIATOR)");
        }
        assert_eq!(Initiator::of(&Env::default()), None);
    }
}

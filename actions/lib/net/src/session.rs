//! The name of a session, by which CloudTrail and a lock's holder can be traced to a run, and the tag that a role's policies
//! can ask for.

use aws_sdk_sts::types::Tag;
use kit::error::{Context, Error, Result};
use std::fmt;

/// The most characters that the value of a session tag may have (STS API Reference, `Tag`).
const LONGEST: usize = 256;

/// A tag of a session: what its opener vouches for, which policies read as `aws:PrincipalTag/KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTag {
    /// The key.
    pub key: &'static str,
    /// The value.
    pub value: String,
}

impl SessionTag {
    /// The tag for a request.
    ///
    /// # Errors
    /// STS takes no such value (exit 3).
    pub(crate) fn for_sts(&self) -> Result<Tag> {
        if self.value.chars().count() > LONGEST {
            return Err(Error::refused(format!(
                "the session tag {self} is longer than the {LONGEST} characters that STS takes"
            ))
            .hint("shorten the name of the task definition's family"));
        }
        let tag = Tag::builder().key(self.key).value(&self.value);
        tag.build().context("cannot build a session tag")
    }
}

impl fmt::Display for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// A session name that says which run this is, within STS's 2 to 64 of `[\w+=,.@-]`.
pub fn session_name(env: &kit::env::Env) -> String {
    let wanted = match (env.get("GITHUB_RUN_ID"), env.get("CODEBUILD_BUILD_ID")) {
        (Some(run), _) => format!(
            "gh-{run}-{}-{}",
            env.get("GITHUB_RUN_ATTEMPT").unwrap_or("1"),
            env.get("GITHUB_TRIGGERING_ACTOR")
                .or_else(|| env.get("GITHUB_ACTOR"))
                .unwrap_or("unknown"),
        ),
        (None, Some(build)) => format!("cb-{build}"),
        (None, None) => format!("slipway-{}", env.get("USER").unwrap_or("unknown")),
    };
    wanted
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::env::Env;

    #[test]
    fn a_tag_that_sts_does_not_take_is_refused_before_it_is_asked() {
        let tag = |length| SessionTag {
            key: "slipway-revision",
            value: "x".repeat(length),
        };
        assert_eq!(tag(256).for_sts().unwrap().key(), "slipway-revision");
        let error = tag(257).for_sts().unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        let hint = "shorten the name of the task definition's family";
        assert_eq!(error.hints, [hint]);
    }

    #[test]
    fn session_names_fit_sts() {
        let env = Env::from([("GITHUB_RUN_ID", "77"), ("GITHUB_ACTOR", "dependabot[bot]")]);
        assert_eq!(session_name(&env), "gh-77-1-dependabot-bot-");
        let env = Env::from([
            ("GITHUB_RUN_ID", "77"),
            ("GITHUB_RUN_ATTEMPT", "2"),
            ("GITHUB_ACTOR", "ada"),
            ("GITHUB_TRIGGERING_ACTOR", "linus"),
        ]);
        assert_eq!(session_name(&env), "gh-77-2-linus");
        let long = "x".repeat(90);
        let env = Env::from([("CODEBUILD_BUILD_ID", long.as_str())]);
        assert_eq!(session_name(&env).len(), 64);
    }
}

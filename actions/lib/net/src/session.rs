//! The name of a session, by which CloudTrail and a lock's holder can be traced to a run.

/// A session name that says which run this is, within STS's 2 to 64 of `[\w+=,.@-]`.
pub fn session_name(env: &kit::env::Env) -> String {
    let wanted = match (env.get("GITHUB_RUN_ID"), env.get("CODEBUILD_BUILD_ID")) {
        (Some(run), _) => format!(
            "gh-{run}-{}-{}",
            env.get("GITHUB_RUN_ATTEMPT").unwrap_or("1"),
            env.get("GITHUB_ACTOR").unwrap_or("unknown"),
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
    fn session_names_fit_sts() {
        let env = Env::from([("GITHUB_RUN_ID", "77"), ("GITHUB_ACTOR", "dependabot[bot]")]);
        assert_eq!(session_name(&env), "gh-77-1-dependabot-bot-");
        let long = "x".repeat(90);
        let env = Env::from([("CODEBUILD_BUILD_ID", long.as_str())]);
        assert_eq!(session_name(&env).len(), 64);
    }
}

//! Tells whether this run is about a pull request, whose code is not accepted yet.

use kit::env::Env;

/// A run that is about a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullRun {
    /// The pull request's number, where the host says it.
    pub number: Option<u64>,
}

/// The pull request that this run is about, if it is about one. Sources: docs.github.com, "Events that
/// trigger workflows" and "Variables reference"; CodeBuild User Guide, "Environment variables in
/// build environments".
pub fn pull_run(env: &Env) -> Option<PullRun> {
    if let Some(event) = env.get("GITHUB_EVENT_NAME") {
        if !event.starts_with("pull_request") {
            return None;
        }
        let number = event_number(env).or_else(|| {
            let rest = env.get("GITHUB_REF")?.strip_prefix("refs/pull/")?;
            rest.split('/').next()?.parse().ok()
        });
        return Some(PullRun { number });
    }
    // `pr/NUMBER`, set for builds that a webhook started.
    let number = env.get("CODEBUILD_WEBHOOK_TRIGGER")?.strip_prefix("pr/")?;
    Some(PullRun {
        number: number.parse().ok(),
    })
}

/// `pull_request_target` has the base branch as its ref; the event's own file knows the number.
fn event_number(env: &Env) -> Option<u64> {
    let text = std::fs::read(env.get("GITHUB_EVENT_PATH")?).ok()?;
    let event: serde_json::Value = serde_json::from_slice(&text).ok()?;
    event["pull_request"]["number"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_is_known_by_its_event() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            pull_run(&pairs.collect::<Env>())
        };
        let event = "GITHUB_EVENT_NAME";
        assert_eq!(of(&[]), None);
        assert_eq!(
            of(&[(event, "push"), ("GITHUB_REF", "refs/heads/main")]),
            None
        );
        assert_eq!(
            of(&[(event, "pull_request"), ("GITHUB_REF", "refs/pull/7/merge")]),
            Some(PullRun { number: Some(7) })
        );
        // Without a number it still is one, and gets no rights of main.
        assert_eq!(
            of(&[(event, "pull_request_target")]),
            Some(PullRun { number: None })
        );
        assert_eq!(
            of(&[("CODEBUILD_WEBHOOK_TRIGGER", "pr/12")]),
            Some(PullRun { number: Some(12) })
        );
        assert_eq!(of(&[("CODEBUILD_WEBHOOK_TRIGGER", "branch/main")]), None);
    }

    #[test]
    fn the_events_file_knows_the_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"pull_request":{"number":9}}"#).unwrap();
        let path = file.path().to_str().unwrap();
        let env = Env::from([
            ("GITHUB_EVENT_NAME", "pull_request_target"),
            ("GITHUB_EVENT_PATH", path),
        ]);
        assert_eq!(pull_run(&env), Some(PullRun { number: Some(9) }));
    }
}

//! The status of a holder's run, from its host: GitHub for a workflow's attempt, CodeBuild for a build. A run whose
//! status is unknown never counts as ended.

use crate::lease::Lease;
use github::GitHub;
use kit::Lenient;
use kit::aws::{AccountId, Arn, Region};
use kit::error::Result;
use kit::step::Cx;
use net::{Net, Target};

/// The status of the holder's run, from its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Run {
    /// It has ended; whether it succeeded.
    Ended { summary: String, succeeded: bool },
    /// It has not ended.
    Active(String),
    /// Its status could not be determined, and why.
    Unknown(String),
}

/// Asks the hosts of runs with the credentials that this process has.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    cx: &'a Cx,
    net: &'a Net,
    /// Access keys without an end that are allowed all the same.
    allowed: Vec<String>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(cx: &'a Cx, net: &'a Net, allowed: Vec<String>) -> Self {
        Self { cx, net, allowed }
    }

    pub(crate) async fn ask(&self, lease: &Lease) -> Run {
        match (&lease.attempt, &lease.build_arn) {
            (Some(attempt), _) => self.github(attempt, lease.run_url.as_deref()).await,
            (None, Some(arn)) => match self.codebuild(arn).await {
                Ok(run) => run,
                Err(error) => {
                    let causes = error.causes().join(": ");
                    Run::Unknown(format!("{} ({causes})", error.message))
                }
            },
            (None, None) => Run::Unknown("it runs at somebody's terminal".to_owned()),
        }
    }

    async fn github(&self, attempt: &str, url: Option<&str>) -> Run {
        let Some((repository, run, number)) = parse_attempt(attempt) else {
            return Run::Unknown(format!("`{attempt}` names no attempt of a run"));
        };
        let server = self
            .cx
            .env
            .get("GITHUB_SERVER_URL")
            .unwrap_or("https://github.com");
        // Two servers can use the same run number.
        if url.is_none_or(|url| !url.starts_with(&format!("{server}/"))) {
            return Run::Unknown(format!("it runs on another GitHub than {server}"));
        }
        let github = match GitHub::connect(self.cx, self.net, Some(repository)) {
            Ok(github) => github,
            Err(error) => return Run::Unknown(error.message),
        };
        match github.attempt(run, number).await {
            Ok(found) if found.id == run && found.run_attempt == Some(number) => {
                match found.status.as_deref() {
                    Some("completed") => {
                        let conclusion = found.conclusion.as_deref().unwrap_or("completed");
                        Run::Ended {
                            summary: format!("attempt {number} of run {run} is over: {conclusion}"),
                            succeeded: conclusion == "success",
                        }
                    }
                    status => Run::Active(format!(
                        "attempt {number} of run {run} is {}",
                        status.unwrap_or("there").replace('_', " ")
                    )),
                }
            }
            Ok(_) => Run::Unknown("GitHub answered with another run".to_owned()),
            Err(unknown) => Run::Unknown(unknown.to_string()),
        }
    }

    /// Asks CodeBuild in the account of the build, which has credentials for that account itself.
    async fn codebuild(&self, arn: &Lenient<Arn>) -> Result<Run> {
        let Some((region, account, id)) = arn.parsed().and_then(parse_build) else {
            return Ok(Run::Unknown(format!("`{arn}` is not a build")));
        };
        let target = Target {
            account: Some(account.clone()),
            role: None,
            region: Some(region.clone()),
            allow_long_lived_keys: self.allowed.clone(),
        };
        let account = self.net.account(&target).await?;
        let target = "CodeBuild_20161006.BatchGetBuilds";
        let input = serde_json::json!({ "ids": [id] });
        let answer = self.net.json(&account, "codebuild", target, &input).await?;
        Ok(build(arn.as_str(), id, &answer["builds"][0]))
    }
}

/// The status of a build from CodeBuild's answer (CodeBuild API Reference, Build). A build that it does not know
/// was deleted or never existed; the answer does not say which.
fn build(arn: &str, id: &str, build: &serde_json::Value) -> Run {
    if build["arn"].as_str() != Some(arn) {
        return Run::Unknown(format!("CodeBuild does not know {id}"));
    }
    let status = build["buildStatus"].as_str().unwrap_or("unknown");
    if build["buildComplete"].as_bool() == Some(true) {
        Run::Ended {
            summary: format!("build {id} is over: {status}"),
            succeeded: status == "SUCCEEDED",
        }
    } else {
        Run::Active(format!("build {id} is {status}"))
    }
}

/// `OWNER/NAME/RUN/ATTEMPT`.
fn parse_attempt(text: &str) -> Option<(&str, u64, u64)> {
    let (rest, attempt) = text.rsplit_once('/')?;
    let (repository, run) = rest.rsplit_once('/')?;
    Some((repository, run.parse().ok()?, attempt.parse().ok()?))
}

/// Region, account and ID of `arn:aws:codebuild:REGION:ACCOUNT:build/ID`.
fn parse_build(arn: &Arn) -> Option<(&Region, &AccountId, &str)> {
    let id = arn.resource.strip_prefix("build/")?;
    (arn.service == "codebuild").then_some((arn.region.as_ref()?, arn.account.as_ref()?, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_build_of_that_very_name_is_over() {
        let arn = "arn:aws:codebuild:eu-west-1:111111111111:build/deploy:6f-1";
        let answer = |arn: &str, status: &str, complete: bool| serde_json::json!({ "arn": arn, "buildStatus": status, "buildComplete": complete });
        let run = |answer| build(arn, "deploy:6f-1", &answer);
        for (status, ended_well) in [("STOPPED", false), ("SUCCEEDED", true)] {
            assert!(
                matches!(run(answer(arn, status, true)), Run::Ended { succeeded, .. } if succeeded == ended_well)
            );
        }
        assert!(matches!(
            run(answer(arn, "IN_PROGRESS", false)),
            Run::Active(_)
        ));
        for unknown in [serde_json::Value::Null, answer("arn:x", "STOPPED", true)] {
            assert!(matches!(run(unknown), Run::Unknown(_)));
        }
    }

    #[test]
    fn names_of_runs_are_taken_apart() {
        assert_eq!(
            parse_attempt("acme/shop/4711/2"),
            Some(("acme/shop", 4711, 2))
        );
        for wrong in ["", "acme/shop", "acme/shop/x/1", "4711/2"] {
            assert_eq!(parse_attempt(wrong), None, "{wrong}");
        }
        let resource = |resource: &str| -> Arn {
            let arn = format!("arn:aws:codebuild:eu-west-1:111111111111:{resource}");
            arn.parse().unwrap()
        };
        let build = resource("build/deploy:6f-1");
        let (region, account, id) = parse_build(&build).unwrap();
        let found = (region.as_str(), account.as_str(), id);
        assert_eq!(found, ("eu-west-1", "111111111111", "deploy:6f-1"));
        assert_eq!(parse_build(&resource("project/deploy")), None);
    }
}

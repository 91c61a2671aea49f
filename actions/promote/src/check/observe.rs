//! Collects the facts for the rules from GitHub, STS and the host.

use super::Subject;
use super::facts::{Change, Fact, Facts, Promoter, RunKind, Unknown};
use super::people::{names_co_authors, opinions};
use super::rules::brought_in;
use crate::principal::Principal;
use crate::setting::Setting;
use github::{GitHub, Pull, Repository, User};
use kit::Cx;
use kit::error::Result;
use kit::host::Kind;
use net::Net;
use std::collections::BTreeMap;

/// Collects all facts. A fact that cannot be determined is `Unknown`, not an error.
///
/// # Errors
/// The set-up of this process is wrong, for example its credentials.
pub(super) async fn facts(
    cx: &Cx,
    net: &Net,
    github: &GitHub,
    setting: &Setting,
    subject: &Subject,
) -> Result<Facts> {
    let (run, promoter) = run_and_promoter(cx, net, github, setting).await;
    let Some(commit) = &subject.commit else {
        return Ok(Facts {
            promoter,
            run,
            ..Facts::none()
        });
    };
    let (standing, pulls) = tokio::join!(
        github.compare(commit.as_str(), &setting.gate.branch),
        github.pulls_of(commit.as_str())
    );
    let mut changes = Vec::new();
    if let Ok(pulls) = &pulls {
        let repository = github.repository().as_str();
        for pull in brought_in(pulls, repository, &setting.gate.branch, commit.as_str()) {
            changes.push(change(github, pull).await);
        }
    }
    Ok(Facts {
        standing: standing
            .map(|comparison| comparison.status)
            .map_err(Unknown::from),
        pulls: pulls.map_err(Unknown::from),
        changes,
        promoter,
        run,
    })
}

async fn change(github: &GitHub, pull: &Pull) -> Change {
    let number = pull.number;
    let (commits, reviews, pushes, checks) = tokio::join!(
        github.pull_commits(number),
        github.reviews(number),
        pushes(github, pull),
        github.check_runs(&pull.head.sha),
    );
    let co_authors = match &commits {
        Ok(commits) if commits.iter().any(names_co_authors) => {
            github.pull_authors(number).await.map_err(Unknown::from)
        }
        _ => Ok(Vec::new()),
    };
    let mut permissions = BTreeMap::new();
    if let Ok(reviews) = &reviews {
        for (user, _) in opinions(reviews) {
            if user.is_person() {
                let permission = github.permission(&user.login).await;
                permissions.insert(user.id, permission.map_err(Unknown::from));
            }
        }
    }
    Change {
        pull: pull.clone(),
        commits: commits.map_err(Unknown::from),
        co_authors,
        pushes,
        reviews: reviews.map_err(Unknown::from),
        checks: checks.map_err(Unknown::from),
        permissions,
    }
}

async fn pushes(github: &GitHub, pull: &Pull) -> Fact<Vec<github::Activity>> {
    let source = pull
        .head
        .repo
        .as_ref()
        .and_then(|repository| Repository::parse(&repository.full_name))
        .ok_or_else(|| {
            Unknown::new(
                format!(
                    "the fork that #{} came from no longer exists, so its pushes are unknown",
                    pull.number
                ),
                "open a new pull request with the change",
            )
        })?;
    Ok(github.activity(&source, &pull.head.branch).await?)
}

/// The run and its promoter. On GitHub both come from the API, since anybody can set a variable of
/// the process.
async fn run_and_promoter(
    cx: &Cx,
    net: &Net,
    github: &GitHub,
    setting: &Setting,
) -> (RunKind, Fact<Promoter>) {
    match cx.host.kind() {
        Kind::GitHub => {
            let id = cx.env.get("GITHUB_RUN_ID").and_then(|id| id.parse().ok());
            let run = match id {
                Some(id) => github.run(id).await.map_err(Unknown::from),
                None => Err(Unknown::new(
                    "GITHUB_RUN_ID is not a run's ID",
                    "run this in a workflow",
                )),
            };
            let promoter = run.clone().and_then(|run| {
                let mut accounts: Vec<User> = [run.actor, run.triggering_actor]
                    .into_iter()
                    .flatten()
                    .collect();
                if accounts.len() < 2 {
                    return Err(Unknown::new(
                        format!("GitHub does not report who started run {}", run.id),
                        "start the workflow again",
                    ));
                }
                accounts.dedup_by_key(|user| user.id);
                Ok(Promoter {
                    accounts,
                    source: format!("according to GitHub's record of run {}", run.id),
                })
            });
            (RunKind::GitHub(run), promoter)
        }
        Kind::CodeBuild => {
            let build = cx.env.get("CODEBUILD_BUILD_ID").unwrap_or("this build");
            let promoter =
                mapped(github, setting, &Principal::of_run(cx, net, setting).await).await;
            (RunKind::CodeBuild(format!("build {build}")), promoter)
        }
        Kind::Terminal => {
            let promoter =
                mapped(github, setting, &Principal::of_run(cx, net, setting).await).await;
            (RunKind::Terminal, promoter)
        }
    }
}

/// The GitHub account of an AWS principal, by the contract's `people`.
async fn mapped(github: &GitHub, setting: &Setting, principal: &Principal) -> Fact<Promoter> {
    let login = principal.login(&setting.people)?;
    let account = github.permission(&login).await?.user.ok_or_else(|| {
        Unknown::new(
            format!("GitHub returns no account for {login}"),
            format!("correct {login} under `people` in the contract"),
        )
    })?;
    Ok(Promoter {
        accounts: vec![account],
        source: format!("listed in the contract as {principal}"),
    })
}

//! Who acts, and whether two who acted are one person.

use crate::check::{Fact, Unknown};
use crate::principal::Principal;
use crate::setting::Setting;
use github::{GitHub, Run, User};
use kit::Cx;
use kit::error::{Error, Result};
use kit::host::Kind;
use ledger::Actor;
use net::Net;

/// Whether two actors are the same person: by number where both have one, since a login can pass to
/// somebody else, and otherwise by login, which is all that a principal of AWS is mapped to.
pub(crate) fn same(one: &Actor, other: &Actor) -> bool {
    match (one.id, other.id) {
        (Some(one), Some(other)) => one == other,
        _ => one.login.eq_ignore_ascii_case(&other.login),
    }
}

/// Whether none of the `actors` is `somebody`.
pub(crate) fn is_other(somebody: &Actor, actors: &[Actor]) -> bool {
    actors.iter().all(|actor| !same(actor, somebody))
}

/// Logins, separated by commas.
pub(crate) fn logins<'a>(actors: impl IntoIterator<Item = &'a Actor>) -> String {
    let logins: Vec<&str> = actors
        .into_iter()
        .map(|actor| actor.login.as_str())
        .collect();
    logins.join(", ")
}

pub(crate) fn actor(user: &User) -> Actor {
    Actor {
        login: user.login.clone(),
        id: Some(user.id),
    }
}

/// The people behind this run, proven: on GitHub who started it and who re-ran it, from the API,
/// since anybody can set a variable of the process; elsewhere the person that the contract maps the
/// principal to.
pub(crate) async fn of_run(
    cx: &Cx,
    net: &Net,
    github: Option<&GitHub>,
    setting: &Setting,
) -> Fact<Vec<Actor>> {
    if cx.host.kind() != Kind::GitHub {
        return of_principal(cx, net, setting).await;
    }
    of_workflow(run_of(cx, github).await?)
}

/// The one person whose word this run is.
///
/// # Errors
/// The person is not known, or the run need not be that person's will (exit 3).
pub(crate) async fn speaker(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    repository: Option<&str>,
    what: &str,
) -> Result<Actor> {
    let people = match cx.host.kind() {
        Kind::GitHub => {
            let github = GitHub::connect(cx, net, repository)?;
            match run_of(cx, Some(&github)).await {
                Ok(run) => {
                    on_purpose(&run, &setting.gate.branch, what)?;
                    of_workflow(run)
                }
                Err(unknown) => Err(unknown),
            }
        }
        Kind::CodeBuild | Kind::Terminal => of_principal(cx, net, setting).await,
    };
    let people = people.map_err(|unknown| {
        Error::refused("the person behind this run is not known, so nothing was recorded")
            .cause(unknown.why)
            .hint(unknown.next)
    })?;
    one(people, what)
}

/// Refuses a workflow run that need not be the will of the person whom GitHub names: an event may have
/// started it, and whoever can push to another branch may have written its workflow.
fn on_purpose(run: &Run, branch: &str, what: &str) -> Result<()> {
    let from = run.head_branch.as_deref().unwrap_or("no branch");
    let wrong = if run.event != "workflow_dispatch" {
        format!(
            "this run was started by {}, so it is nobody's {what}",
            run.event
        )
    } else if from != branch {
        format!("this run's workflow comes from {from}, so it is nobody's {what}")
    } else {
        return Ok(());
    };
    Err(Error::refused(wrong).hint(format!(
        "start {} on {branch} by workflow_dispatch",
        run.file()
    )))
}

/// The workflow run that this process is part of, from GitHub's API.
pub(crate) async fn run_of(cx: &Cx, github: Option<&GitHub>) -> Fact<Run> {
    let github = github.ok_or_else(|| {
        Unknown::new(
            "GitHub cannot be asked who started this run",
            "give the job's token: the input `github-token`, or GITHUB_TOKEN",
        )
    })?;
    let id = cx.env.get("GITHUB_RUN_ID").and_then(|id| id.parse().ok());
    let id = id
        .ok_or_else(|| Unknown::new("GITHUB_RUN_ID is not a run's ID", "run this in a workflow"))?;
    Ok(github.run(id).await?)
}

/// The people behind a workflow run.
pub(crate) fn of_workflow(run: Run) -> Fact<Vec<Actor>> {
    let users: Vec<User> = [run.actor, run.triggering_actor]
        .into_iter()
        .flatten()
        .collect();
    if users.len() < 2 {
        return Err(Unknown::new(
            format!("GitHub does not report who started run {}", run.id),
            "start the workflow again",
        ));
    }
    if let Some(bot) = users.iter().find(|user| !user.is_person()) {
        return Err(Unknown::new(
            format!("{} is not a person", bot.login),
            "have a person start the run",
        ));
    }
    let mut actors: Vec<Actor> = users.iter().map(actor).collect();
    actors.dedup_by(|one, other| same(one, other));
    Ok(actors)
}

/// The one person behind a record that is one person's word. Whoever re-runs somebody else's run is
/// not that person.
///
/// # Errors
/// There are several, or none (exit 3).
pub(crate) fn one(people: Vec<Actor>, what: &str) -> Result<Actor> {
    let mut people = people.into_iter();
    match (people.next(), people.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => Err(Error::refused(format!(
            "{} started this run and {} ran it again, so it is nobody's {what}",
            first.login, second.login
        ))
        .hint("start a new run")),
        (None, _) => Err(
            Error::refused("nobody is known to run this, so nothing was recorded")
                .hint("start a new run"),
        ),
    }
}

/// The people behind this run as far as they can be known without GitHub.
pub(crate) async fn without_github(cx: &Cx, net: &Net, setting: &Setting) -> Fact<Vec<Actor>> {
    if cx.host.kind() != Kind::GitHub {
        return of_principal(cx, net, setting).await;
    }
    // The runner sets these. A rollback goes only to what was healthy, and whoever can change the
    // job's variables can change its commands as well.
    let started = cx.host.actor().map(|login| Actor {
        login,
        id: cx.env.get("GITHUB_ACTOR_ID").and_then(|id| id.parse().ok()),
    });
    let rerun = cx.env.get("GITHUB_TRIGGERING_ACTOR").map(|login| Actor {
        login: login.to_owned(),
        id: None,
    });
    let mut actors: Vec<Actor> = started.into_iter().chain(rerun).collect();
    actors.dedup_by(|one, other| same(one, other));
    if actors.is_empty() {
        return Err(Unknown::new(
            "the runner does not say who started this run",
            "run this in a workflow",
        ));
    }
    Ok(actors)
}

async fn of_principal(cx: &Cx, net: &Net, setting: &Setting) -> Fact<Vec<Actor>> {
    let login = Principal::of_run(cx, net, setting)
        .await
        .login(&setting.people)?;
    Ok(vec![Actor { login, id: None }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dispatch_of_the_branch_is_a_persons_word() {
        let run = |event: &str, branch: &str| {
            let text = serde_json::json!({
                "id": 5, "event": event, "path": ".github/workflows/approve.yml",
                "head_branch": branch, "head_sha": "c", "html_url": "",
            });
            serde_json::from_value::<Run>(text).unwrap()
        };
        on_purpose(&run("workflow_dispatch", "main"), "main", "approval").unwrap();
        for (event, branch) in [
            ("push", "main"),
            ("schedule", "main"),
            ("workflow_dispatch", "theirs"),
        ] {
            let error = on_purpose(&run(event, branch), "main", "approval").unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
            assert!(error.message.ends_with("nobody's approval"), "{error}");
        }
    }

    #[test]
    fn a_person_is_a_number_or_else_a_login() {
        let actor = |login: &str, id| Actor {
            login: login.to_owned(),
            id,
        };
        for (one, other, wanted) in [
            (actor("ada", Some(1)), actor("ada", Some(1)), true),
            (actor("ada", Some(1)), actor("lovelace", Some(1)), true),
            (actor("ada", Some(1)), actor("ada", Some(2)), false),
            (actor("Ada", Some(1)), actor("ada", None), true),
            (actor("ada", None), actor("ADA", None), true),
            (actor("ada", None), actor("grace", None), false),
        ] {
            assert_eq!(same(&one, &other), wanted, "{one:?} {other:?}");
            assert_eq!(is_other(&one, &[other]), !wanted);
        }
    }
}

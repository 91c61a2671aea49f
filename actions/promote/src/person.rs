//! Who acts, and whether two who acted are one person.

use crate::check::{Fact, Unknown};
use crate::principal::Principal;
use crate::setting::Setting;
use github::{GitHub, User};
use kit::Cx;
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
    let github = github.ok_or_else(|| {
        Unknown::new(
            "GitHub cannot be asked who started this run",
            "give the job's token: the input `github-token`, or GITHUB_TOKEN",
        )
    })?;
    let id = cx.env.get("GITHUB_RUN_ID").and_then(|id| id.parse().ok());
    let id = id
        .ok_or_else(|| Unknown::new("GITHUB_RUN_ID is not a run's ID", "run this in a workflow"))?;
    let run = github.run(id).await?;
    let users: Vec<User> = [run.actor, run.triggering_actor]
        .into_iter()
        .flatten()
        .collect();
    if users.len() < 2 {
        return Err(Unknown::new(
            format!("GitHub does not report who started run {id}"),
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

//! The people who act, and whether two of them are one person.

use crate::check::{Fact, Key, Persons, Unknown};
use crate::principal::Principal;
use crate::setting::Setting;
use github::{GitHub, Run, User};
use kit::Cx;
use kit::contract::{Person, StandsFor};
use kit::error::{Error, Result};
use kit::host::Kind;
use ledger::Actor;
use net::Net;

impl Persons<'_> {
    /// The person who acted: by the account's number, else by a login or a principal in AWS that the
    /// contract gives to somebody.
    pub(crate) fn of(&self, actor: &Actor) -> Key {
        let Some(id) = actor.id else {
            let known = self.by_name(&actor.login).cloned();
            return known.map_or_else(|| Key::Name(actor.login.to_lowercase()), Key::Listed);
        };
        if let Some(StandsFor::Person(login)) = self.apps.get(&id)
            && self.people.contains_key(login)
        {
            return Key::Listed(login.clone());
        }
        let login = actor.login.clone();
        let kind = String::new();
        self.key(&User { login, id, kind })
    }

    /// The entry of `people` that a name without a number belongs to.
    fn by_name(&self, name: &str) -> Option<&String> {
        let is = |login: &str| login.eq_ignore_ascii_case(name);
        let principal = name.parse::<kit::aws::Principal>().ok();
        let owns = |login: &str, person: &Person| {
            is(login)
                || person.accounts.keys().any(|account| is(account))
                || principal.iter().any(|one| person.aws.contains(one))
        };
        let mut people = self.people.iter();
        let found = people.find(|(login, person)| owns(login, person));
        found.map(|(login, _)| login)
    }

    /// Returns true if two actors are, or may be, one person. Where one of them has no number, the same name is
    /// enough, whatever number the other one has.
    pub(crate) fn same(&self, one: &Actor, other: &Actor) -> bool {
        let by_name = one.id.is_none() || other.id.is_none();
        self.of(one) == self.of(other) || by_name && one.login.eq_ignore_ascii_case(&other.login)
    }

    /// Returns true if none of the `actors` is `somebody`.
    pub(crate) fn is_other(&self, somebody: &Actor, actors: &[Actor]) -> bool {
        actors.iter().all(|actor| !self.same(actor, somebody))
    }

    /// Returns true if an actor is the person whom a list of the contract calls `login`. If `people` gives that
    /// person a number, no other account of that login is.
    pub(crate) fn is(&self, actor: &Actor, login: &str) -> bool {
        match self.of(actor) {
            Key::Listed(known) => known.eq_ignore_ascii_case(login),
            Key::Account(_) | Key::Name(_) => {
                let mut people = self.people.keys();
                let listed = people.any(|known| known.eq_ignore_ascii_case(login));
                !listed && actor.login.eq_ignore_ascii_case(login)
            }
        }
    }

    /// The first actor of each person.
    pub(crate) fn distinct<'a>(
        &self,
        actors: impl IntoIterator<Item = &'a Actor>,
    ) -> Vec<&'a Actor> {
        let mut found: Vec<&Actor> = Vec::new();
        for actor in actors {
            if !found.iter().any(|other| self.same(other, actor)) {
                found.push(actor);
            }
        }
        found
    }
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
    of_workflow(setting.persons(), run_of(cx, github).await?)
}

/// The one person whose word this run is.
///
/// # Errors
/// The person is not known, or the run need not be that person's will (exit 3).
pub(crate) async fn acting_person(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    repository: Option<&str>,
    act: &str,
) -> Result<Actor> {
    let people = match cx.host.kind() {
        Kind::GitHub => {
            let github = GitHub::connect(cx, net, repository)?;
            match dispatched(cx, &github, setting).await {
                Ok((run, branch)) => {
                    require_intent(&run, &branch, act)?;
                    of_workflow(setting.persons(), run)
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
    single_person(people, act)
}

/// This run, and the branch that its workflow must come from: the gate's, or in the repository for
/// approvals the default branch of that.
async fn dispatched(cx: &Cx, github: &GitHub, setting: &Setting) -> Fact<(Run, String)> {
    let run = run_of(cx, Some(github)).await?;
    let branch = match setting.is_for_approvals(github.repository().as_str()) {
        true => github.default_branch().await?,
        false => setting.gate.branch.clone(),
    };
    Ok((run, branch))
}

/// Refuses a workflow run that need not be the will of the person whom GitHub names: an event may have
/// started it, and whoever can push to another branch may have written its workflow.
fn require_intent(run: &Run, branch: &str, act: &str) -> Result<()> {
    let from = run.head_branch.as_deref().unwrap_or("no branch");
    // Its number is a variable of this process, so a run that is over may be anybody's.
    let wrong = if run.is_over() == Some(true) {
        format!("run {} is over", run.id)
    } else if run.is_over().is_none() {
        format!("GitHub does not say whether run {} is over", run.id)
    } else if run.event != "workflow_dispatch" {
        format!("this run was started by {}", run.event)
    } else if from != branch {
        format!("this run's workflow comes from {from}")
    } else {
        return Ok(());
    };
    let user = run.triggering_actor.as_ref().or(run.actor.as_ref());
    let by = user.map_or("a person", |user| user.login.as_str());
    let counts = does_not_count(act, by);
    Err(Error::refused(format!("{wrong}, {counts}")).hint(format!(
        "start {} on {branch} by workflow_dispatch",
        run.file()
    )))
}

/// The clause of a refusal by which the run does not count as an `act` of `by`, such as an approval.
fn does_not_count(act: &str, by: &str) -> String {
    let article = match act.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    };
    format!("so it does not count as {article} {act} by {by}")
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

/// The account that started a workflow run, and the one that ran it again or the same.
pub(crate) fn accounts(run: Run) -> Fact<[User; 2]> {
    match (run.actor, run.triggering_actor) {
        (Some(first), Some(last)) => Ok([first, last]),
        _ => Err(Unknown::new(
            format!("GitHub does not report who started run {}", run.id),
            "start the workflow again",
        )),
    }
}

/// The people behind a workflow run.
fn of_workflow(persons: Persons<'_>, run: Run) -> Fact<Vec<Actor>> {
    let users = accounts(run)?;
    if let Some(bot) = users.iter().find(|user| !user.is_person()) {
        return Err(Unknown::new(
            format!("{} is not a person", bot.login),
            "have a person start the run",
        ));
    }
    let mut actors: Vec<Actor> = users.iter().map(actor).collect();
    actors.dedup_by(|one, other| persons.same(one, other));
    Ok(actors)
}

/// The one person behind a record that speaks for one person. A run that one person started and another one re-ran counts as neither's.
///
/// # Errors
/// There are several, or none (exit 3).
pub(crate) fn single_person(people: Vec<Actor>, act: &str) -> Result<Actor> {
    let mut people = people.into_iter();
    match (people.next(), people.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => Err(Error::refused(format!(
            "{} started this run and {} ran it again, {}",
            first.login,
            second.login,
            does_not_count(act, "either of them")
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
    match cx.host.kind() {
        Kind::GitHub => of_runner(cx, setting),
        Kind::CodeBuild | Kind::Terminal => of_principal(cx, net, setting).await,
    }
}

/// The people behind a workflow run as its runner names them.
pub(crate) fn of_runner(cx: &Cx, setting: &Setting) -> Fact<Vec<Actor>> {
    // The runner sets these. A rollback goes only to what was healthy, and whoever can change the
    // job's variables can change its commands as well.
    let started = cx.env.get("GITHUB_ACTOR").map(|login| Actor {
        login: login.to_owned(),
        id: cx.env.get("GITHUB_ACTOR_ID").and_then(|id| id.parse().ok()),
    });
    let rerun = cx.env.get("GITHUB_TRIGGERING_ACTOR").map(|login| Actor {
        login: login.to_owned(),
        id: None,
    });
    let mut actors: Vec<Actor> = started.into_iter().chain(rerun).collect();
    let persons = setting.persons();
    actors.dedup_by(|one, other| persons.same(one, other));
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
    use crate::principal::tests::session;
    use std::collections::BTreeMap;

    fn actor(login: &str, id: impl Into<Option<u64>>) -> Actor {
        Actor {
            login: login.to_owned(),
            id: id.into(),
        }
    }

    /// Returns true if the contract's people make one person of two actors.
    fn same(people: &[(&str, Person)], one: &Actor, other: &Actor) -> bool {
        let people = people.iter().cloned();
        let people = people.map(|(login, person)| (login.to_owned(), person));
        let people = people.collect();
        let apps = BTreeMap::from([(50, StandsFor::Person("grace".to_owned()))]);
        let persons = Persons {
            people: &people,
            apps: &apps,
        };
        let same = persons.same(one, other);
        assert_eq!(persons.is_other(one, std::slice::from_ref(other)), !same);
        let distinct = persons.distinct([one, other]).len();
        assert_eq!(distinct, if same { 1 } else { 2 });
        same
    }

    #[test]
    fn only_a_workflow_dispatch_of_the_branch_counts_as_a_persons_decision() {
        let run = |event: &str, branch: &str, status: &str| {
            // GitHub says null where it does not say.
            let status = (!status.is_empty()).then_some(status);
            let text = serde_json::json!({
                "id": 5, "event": event, "status": status, "path": ".github/workflows/approve.yml",
                "head_branch": branch, "head_sha": "c", "html_url": "",
                "triggering_actor": {"login": "ada", "id": 1, "type": "User"},
            });
            serde_json::from_value::<Run>(text).unwrap()
        };
        let ours = run("workflow_dispatch", "main", "in_progress");
        require_intent(&ours, "main", "approval").unwrap();
        for (event, branch, status) in [
            ("push", "main", "in_progress"),
            ("schedule", "main", "in_progress"),
            ("workflow_dispatch", "theirs", "in_progress"),
            ("workflow_dispatch", "main", "completed"),
            ("workflow_dispatch", "main", ""),
        ] {
            let run = run(event, branch, status);
            let error = require_intent(&run, "main", "approval").unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
            let counts = ", so it does not count as an approval by ada";
            assert!(error.message.ends_with(counts), "{error}");
        }
        let alone = single_person(vec![actor("ada", 1)], "request");
        assert_eq!(alone.unwrap(), actor("ada", 1));
        let nobody = single_person(Vec::new(), "request").unwrap_err();
        assert_eq!(nobody.exit(), kit::Exit::Refused);
        let again = single_person(vec![actor("ada", 1), actor("linus", 3)], "request").unwrap_err();
        assert_eq!(
            again.message,
            "ada started this run and linus ran it again, so it does not count as a request by either of them"
        );
    }

    #[test]
    fn the_people_behind_a_run_are_all_known_and_no_bots() {
        let user = |login: &str, id: u64, kind: &str| {
            Some(serde_json::json!({"login": login, "id": id, "type": kind}))
        };
        let people = |first: Option<serde_json::Value>, last: Option<serde_json::Value>| {
            let run = serde_json::json!({
                "id": 5, "event": "workflow_dispatch", "path": ".github/workflows/promote.yml",
                "head_branch": "main", "head_sha": "c", "html_url": "", "actor": first, "triggering_actor": last,
            });
            let people = BTreeMap::new();
            let apps = BTreeMap::from([(7, StandsFor::Person("ada".to_owned()))]);
            let persons = Persons {
                people: &people,
                apps: &apps,
            };
            let found = of_workflow(persons, serde_json::from_value(run).unwrap());
            found.map(|all| logins(&all)).map_err(|unknown| unknown.why)
        };
        let ada = || user("ada", 1, "User");
        let linus = || user("linus", 3, "User");
        let bot = || user("helper[bot]", 7, "Bot");
        assert_eq!(people(ada(), ada()).unwrap(), "ada");
        assert_eq!(people(ada(), linus()).unwrap(), "ada, linus");
        for (first, last) in [(bot(), ada()), (ada(), bot())] {
            let why = people(first, last).unwrap_err();
            assert_eq!(why, "helper[bot] is not a person");
        }
        for (first, last) in [(None, ada()), (ada(), None)] {
            let why = people(first, last).unwrap_err();
            assert_eq!(why, "GitHub does not report who started run 5");
        }
    }

    #[test]
    fn a_person_whom_the_contract_does_not_list_is_a_number_or_else_a_login() {
        for (one, other, wanted) in [
            (actor("ada", 1), actor("ada", 1), true),
            (actor("ada", 1), actor("lovelace", 1), true),
            (actor("ada", 1), actor("ada", 2), false),
            (actor("Ada", 1), actor("ada", None), true),
            (actor("ada", None), actor("ADA", None), true),
            (actor("ada", None), actor("grace", None), false),
        ] {
            assert_eq!(same(&[], &one, &other), wanted, "{one:?} {other:?}");
        }
    }

    fn grace() -> Person {
        Person {
            id: Some(1001),
            accounts: BTreeMap::from([("grace-admin".to_owned(), 1002)]),
            emails: Vec::new(),
            aws: vec![session("Operators/grace").parse().unwrap()],
        }
    }

    #[test]
    fn everything_that_the_contract_gives_to_one_person_is_one_person() {
        let people = [("grace", grace()), ("linus", Person::default())];
        let all = [
            actor("grace", 1001),
            actor("renamed", 1001),
            actor("grace-admin", 1002),
            actor("grace", None),
            actor("Grace-Admin", None),
            actor(&session("Operators/grace"), None),
            actor("helper[bot]", 50),
        ];
        for one in &all {
            for other in &all {
                assert!(same(&people, one, other), "{one:?} {other:?}");
            }
            for other in [
                actor("linus", 3),
                actor("linus", None),
                // A session's name is anybody's.
                actor(&session("Builders/grace"), None),
                actor("Operators/grace", None),
                actor("codepipeline/grace", None),
                // The login passed to somebody else.
                actor("grace-admin", 7),
            ] {
                // Where one has no number, the same name is enough.
                let by_name = one.id.is_none() && one.login.eq_ignore_ascii_case(&other.login);
                assert_eq!(same(&people, one, &other), by_name, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_list_of_the_contract_means_the_person_and_not_the_login() {
        let people = BTreeMap::from([
            ("grace".to_owned(), grace()),
            ("linus".to_owned(), Person::default()),
        ]);
        let persons = Persons {
            people: &people,
            apps: &BTreeMap::new(),
        };
        for (one, login, wanted) in [
            (actor("grace", 1001), "grace", true),
            (actor("grace-admin", 1002), "grace", true),
            (actor("grace", None), "grace", true),
            (actor("grace", 7), "grace", false),
            (actor("linus", 3), "Linus", true),
            (actor("linus", 3), "grace", false),
            // Nothing but the login is known of whom `people` does not list.
            (actor("Ada", 5), "ada", true),
            (actor("ada", None), "ada", true),
        ] {
            assert_eq!(persons.is(&one, login), wanted, "{one:?} {login}");
        }
    }
}

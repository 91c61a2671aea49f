//! The actor that a record names as its cause.

use crate::principal::Principal;
use crate::setting::Setting;
use kit::Cx;
use kit::contract::Person;
use kit::host::Kind;
use ledger::Actor;
use net::Net;
use std::collections::BTreeMap;

/// The actor to record: on GitHub the account from the API, else the principal of the run.
pub(crate) async fn actor(
    cx: &Cx,
    net: &Net,
    github: Option<&github::GitHub>,
    setting: &Setting,
) -> Actor {
    let host = cx.host.actor().unwrap_or_else(|| "unknown".to_owned());
    if cx.host.kind() != Kind::GitHub {
        let principal = Principal::of_run(cx, net, setting).await;
        return person(&principal, &setting.people, host);
    }
    let run = cx.env.get("GITHUB_RUN_ID").and_then(|id| id.parse().ok());
    if let (Some(github), Some(run)) = (github, run)
        && let Ok(run) = github.run(run).await
        && let Some(user) = run.triggering_actor
    {
        return Actor {
            login: user.login,
            id: Some(user.id),
        };
    }
    Actor {
        login: host,
        id: cx.host.actor_id(),
    }
}

/// The person that the contract maps the principal to, else the principal, else the host's name.
fn person(principal: &Principal, people: &BTreeMap<String, Person>, host: String) -> Actor {
    let known = principal.login(people).ok();
    Actor {
        login: known.or_else(|| principal.name()).unwrap_or(host),
        id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::{people, principal, session};

    #[test]
    fn a_principal_without_a_known_person_is_recorded_as_itself() {
        let [alice, mallory, both] =
            ["alice@acme", "mallory", "both"].map(|name| session(&format!("Operators/{name}")));
        for (name, login) in [
            (Some(alice.as_str()), "alice"),
            (Some(&mallory), mallory.as_str()),
            (Some(&both), &both),
            // Not a name that could be somebody's login.
            (Some("alice"), "alice (STS)"),
            (None, "host"),
        ] {
            let actor = person(&principal(name), &people(), "host".to_owned());
            assert_eq!(actor.login, login);
        }
    }
}

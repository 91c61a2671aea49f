//! The people who approve promotions to an environment: those whom the gate names, and the members of its
//! teams. Pure, except for reading the teams.

use crate::check::{Fact, Key, Persons, Unknown};
use github::{GitHub, User};
use kit::contract::Approve;
use ledger::Actor;

/// The people who may approve, each once, with a name for reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Approvers(Vec<(Key, String)>);

impl Approvers {
    /// Whom the gate names, and these members of its teams.
    pub(crate) fn of(approve: &Approve, persons: &Persons<'_>, members: &[User]) -> Self {
        let mut all = Self::default();
        for name in &approve.people {
            all.add(Key::Listed(name.clone()), name);
        }
        for member in members.iter().filter(|member| member.is_person()) {
            let key = persons.key(member);
            let name = match &key {
                Key::Listed(name) => name.clone(),
                Key::Account(_) | Key::Name(_) => member.login.clone(),
            };
            all.add(key, &name);
        }
        all
    }

    /// Whom the gate names, and whoever approved already, where nobody asks GitHub for a team: `approve`
    /// took nobody's word who was not in one, and `check` looks again.
    pub(crate) fn recorded<'a>(
        approve: &Approve,
        persons: &Persons<'_>,
        approved: impl Iterator<Item = &'a Actor>,
    ) -> Self {
        let mut all = Self::of(approve, persons, &[]);
        for actor in approved.filter(|_| !approve.teams.is_empty()) {
            all.add(persons.of(actor), &actor.login);
        }
        all
    }

    fn add(&mut self, key: Key, name: &str) {
        if self.name(&key).is_none() {
            self.0.push((key, name.to_owned()));
        }
    }

    /// The name of a person who is one of them.
    pub(crate) fn name(&self, person: &Key) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == person);
        found.map(|(_, name)| name.as_str())
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &str)> {
        self.0.iter().map(|(key, name)| (key, name.as_str()))
    }

    /// Their names.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.iter().map(|(_, name)| name).collect();
        names.join(", ")
    }
}

/// The members of teams. Unknown if one of them cannot be read.
pub(crate) async fn members(github: Option<&GitHub>, teams: &[String]) -> Fact<Vec<User>> {
    let mut all = Vec::new();
    for team in teams {
        let github = github.ok_or_else(|| unseen(team, "GitHub cannot be asked"))?;
        let Some((organization, slug)) = team.split_once('/') else {
            return Err(unseen(team, "it is not ORGANIZATION/TEAM"));
        };
        let found = github.team(organization, slug).await;
        all.extend(found.map_err(|unknown| Unknown {
            permission: unknown.permission.clone(),
            ..unseen(team, &unknown.to_string())
        })?);
    }
    Ok(all)
}

fn unseen(team: &str, why: &str) -> Unknown {
    Unknown::new(
        format!("it is not known who is in {team}: {why}"),
        format!(
            "give a token that may read the members of {team}, such as an app's with the organization permission `members: read`, as the secret `SLIPWAY_GITHUB_TOKEN` of the callable workflow, or as the input `github-token` of the action: the token of a job never may. Or name people instead of the team"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::tests::{account, asking};

    fn user(login: &str, id: u64, kind: &str) -> User {
        User {
            login: login.to_owned(),
            id,
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn members_are_people_by_number_each_once() {
        let setting = asking();
        let mut approve = setting.gate.approve.clone().unwrap();
        approve.people = vec!["ada".to_owned()];
        let members = [
            // A second account of grace's, and grace.
            user("grace-admin", 22, "User"),
            user("grace", 2, "User"),
            // The login passed to somebody else.
            user("linus", 99, "User"),
            user("ada", 1, "User"),
            user("deploy[bot]", 7, "Bot"),
        ];
        let approvers = Approvers::of(&approve, &setting.persons(), &members);
        assert_eq!(approvers.names(), "ada, grace, linus");
        assert_eq!(
            approvers.name(&Key::Listed("grace".to_owned())),
            Some("grace")
        );
        assert_eq!(approvers.name(&Key::Account(99)), Some("linus"));
        assert_eq!(approvers.name(&Key::Listed("linus".to_owned())), None);
    }

    #[test]
    fn without_github_unlisted_approvers_count_only_if_a_team_is_declared() {
        let setting = asking();
        let persons = setting.persons();
        let mut approve = setting.gate.approve.clone().unwrap();
        let eve = account("eve", 5);
        let recorded =
            |approve: &Approve| Approvers::recorded(approve, &persons, [&eve].into_iter()).names();
        assert_eq!(recorded(&approve), "ada, grace, linus");
        approve.teams = vec!["acme/release".to_owned()];
        assert_eq!(recorded(&approve), "ada, grace, linus, eve");
    }
}

//! Persons: the accounts, addresses and apps that belong to one person, as the contract lists them. Pure.

use github::User;
use kit::contract::{Person, StandsFor};
use std::collections::BTreeMap;

/// One person: an entry of the contract's `people`, else an account by its number, else a name alone,
/// in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Listed(String),
    Account(u64),
    Name(String),
}

/// The persons and apps that the contract lists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Persons<'a> {
    pub(crate) people: &'a BTreeMap<String, Person>,
    pub(crate) apps: &'a BTreeMap<u64, StandsFor>,
}

/// Whom an account belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AccountOwner {
    Person(Key),
    /// An app that the contract says nobody stands behind, such as one that updates dependencies.
    Nobody,
    /// An app that the contract does not list.
    Unattributed,
}

impl Persons<'_> {
    /// The person an account belongs to. A number in the contract decides; a login alone only where
    /// the contract gives that person no number, because a login can pass to another account.
    pub(crate) fn key(&self, user: &User) -> Key {
        let by_number = self.people.iter().find(|(_, person)| {
            person.id == Some(user.id) || person.accounts.values().any(|id| *id == user.id)
        });
        let by_login = || {
            self.people.iter().find(|(login, person)| {
                person.id.is_none() && login.eq_ignore_ascii_case(&user.login)
            })
        };
        match by_number.or_else(by_login) {
            Some((login, _)) => Key::Listed(login.clone()),
            None => Key::Account(user.id),
        }
    }

    /// The person an e-mail address belongs to, according to the contract.
    pub(crate) fn by_email(&self, email: &str) -> Option<(Key, String)> {
        let owns = |person: &Person| {
            person
                .emails
                .iter()
                .any(|own| own.eq_ignore_ascii_case(email))
        };
        let found = self.people.iter().find(|(_, person)| owns(person));
        found.map(|(login, _)| (Key::Listed(login.clone()), login.clone()))
    }

    /// Whom an account belongs to.
    pub(crate) fn owner(&self, user: &User) -> AccountOwner {
        if user.is_person() {
            return AccountOwner::Person(self.key(user));
        }
        match self.apps.get(&user.id) {
            Some(StandsFor::Nobody) => AccountOwner::Nobody,
            Some(StandsFor::Person(login)) if self.people.contains_key(login) => {
                AccountOwner::Person(Key::Listed(login.clone()))
            }
            Some(StandsFor::Person(_)) | None => AccountOwner::Unattributed,
        }
    }
}

/// The account of the app whose address this is. GitHub gives each app one, which it does not resolve
/// to an account in GraphQL ("About commit email addresses").
pub(crate) fn app_of(email: &str) -> Option<User> {
    let name = email.strip_suffix("@users.noreply.github.com")?;
    let (id, login) = name.split_once('+')?;
    login.ends_with("[bot]").then_some(())?;
    Some(User {
        login: login.to_owned(),
        id: id.parse().ok()?,
        kind: "Bot".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(login: &str, id: u64, kind: &str) -> User {
        User {
            login: login.to_owned(),
            id,
            kind: kind.to_owned(),
        }
    }

    fn people() -> BTreeMap<String, Person> {
        let bob = Person {
            id: Some(2),
            accounts: BTreeMap::from([("bob-work".to_owned(), 22)]),
            emails: vec!["Bob@Old.example".to_owned()],
            aws: Vec::new(),
        };
        BTreeMap::from([
            ("alice".to_owned(), Person::default()),
            ("bob".to_owned(), bob),
        ])
    }

    #[test]
    fn accounts_of_one_person_have_one_key() {
        let (people, apps) = (people(), BTreeMap::new());
        let persons = Persons {
            people: &people,
            apps: &apps,
        };
        let bob = Key::Listed("bob".to_owned());
        for (login, id, wanted) in [
            ("bob", 2, bob.clone()),
            ("bob-work", 22, bob.clone()),
            ("renamed", 22, bob.clone()),
            // The login passed to somebody else.
            ("bob", 7, Key::Account(7)),
            ("bob-work", 7, Key::Account(7)),
            ("Alice", 1, Key::Listed("alice".to_owned())),
            ("carol", 3, Key::Account(3)),
        ] {
            assert_eq!(persons.key(&user(login, id, "User")), wanted, "{login}");
        }
        assert_eq!(persons.by_email("bob@old.example").unwrap().0, bob);
        assert_eq!(persons.by_email("bob@new.example"), None);
    }

    #[test]
    fn an_app_is_the_person_it_stands_for_or_unattributed() {
        let people = people();
        let apps = BTreeMap::from([
            (50, StandsFor::Person("bob".to_owned())),
            (51, StandsFor::Nobody),
        ]);
        let persons = Persons {
            people: &people,
            apps: &apps,
        };
        let owner = |id| persons.owner(&user("x[bot]", id, "Bot"));
        assert_eq!(
            owner(50),
            AccountOwner::Person(Key::Listed("bob".to_owned()))
        );
        assert_eq!(owner(51), AccountOwner::Nobody);
        assert_eq!(owner(52), AccountOwner::Unattributed);
    }

    #[test]
    fn an_apps_address_names_its_account() {
        let app = app_of("49699333+dependabot[bot]@users.noreply.github.com").unwrap();
        assert_eq!(
            (app.login.as_str(), app.id),
            ("dependabot[bot]", 49_699_333)
        );
        for other in [
            "bob@acme.example",
            "2+bob@users.noreply.github.com",
            "x+y[bot]@users.noreply.github.com",
        ] {
            assert_eq!(app_of(other), None, "{other}");
        }
    }
}

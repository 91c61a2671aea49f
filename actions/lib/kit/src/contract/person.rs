//! The people of a contract: the accounts, addresses and principals under which each is seen, and the
//! apps that act for them.

use super::declared::{Declared, DeclaredPerson};
use super::diagnostics::{At, Mistake, Mistakes, nearest};
use super::model::{Person, StandsFor};
use super::text::{Principal, Text};
use crate::aws;
use std::collections::BTreeMap;

/// The value for an app that acts for nobody.
const NOBODY: &str = "nobody";

/// The people, by login.
pub(super) fn people(declared: &Declared) -> BTreeMap<String, Person> {
    let all = declared.people.iter().flat_map(|people| &people.0);
    all.map(|(login, entry)| (login.value.0.clone(), person(&entry.0)))
        .collect()
}

fn person(declared: &DeclaredPerson) -> Person {
    let accounts = declared.accounts.iter().flat_map(|all| &all.0);
    Person {
        id: declared.id.as_ref().map(|id| u64::from(id.value)),
        accounts: accounts
            .map(|(login, id)| (login.value.0.clone(), u64::from(id.value)))
            .collect(),
        emails: texts(declared.emails.as_ref()),
        aws: principals(declared.aws.as_ref()),
    }
}

/// The principals, as they are compared. The pattern of the text lets nothing else in.
fn principals(list: Option<&Vec<At<Text<Principal>>>>) -> Vec<aws::Principal> {
    texts(list)
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

fn texts<K>(list: Option<&Vec<At<Text<K>>>>) -> Vec<String> {
    let items = list.into_iter().flatten();
    items.map(|text| text.value.0.clone()).collect()
}

/// Whom each app stands for, by the number of its account.
pub(super) fn apps(declared: &Declared) -> BTreeMap<u64, StandsFor> {
    let all = declared.apps.iter().flat_map(|apps| &apps.0);
    all.filter_map(|(id, person)| {
        let stands_for = match person.value.0.as_str() {
            NOBODY => StandsFor::Nobody,
            login => StandsFor::Person(login.to_owned()),
        };
        Some((id.value.0.parse().ok()?, stands_for))
    })
    .collect()
}

/// An app stands for somebody in `people`; no account, address or principal belongs to two.
pub(super) fn check(declared: &Declared, mistakes: &mut Mistakes) {
    let people = declared.people.iter().flat_map(|people| &people.0);
    let people: Vec<_> = people.collect();
    let logins: Vec<&str> = people
        .iter()
        .map(|(login, _)| login.value.0.as_str())
        .collect();
    for (_, person) in declared.apps.iter().flat_map(|apps| &apps.0) {
        let login = person.value.0.as_str();
        if login.is_empty() || login == NOBODY || logins.contains(&login) {
            continue;
        }
        let hint = match nearest(login, logins.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("list the person under `people`, or write `{NOBODY}`"),
        };
        let message = format!("`people` does not list {login}");
        mistakes.add(Mistake::new(person.span.clone(), message).hint(hint));
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (_, entry)) in people.iter().enumerate() {
        let entry = &entry.0;
        let accounts = entry.accounts.iter().flat_map(|all| &all.0);
        let numbers = accounts.map(|(_, id)| id).chain(&entry.id);
        let numbers = numbers.map(|id| (format!("account {}", id.value), id.span.clone()));
        let emails = entry.emails.iter().flatten();
        let emails = emails.map(|email| (email.value.0.to_ascii_lowercase(), email.span.clone()));
        let principals = entry.aws.iter().flatten().filter_map(|arn| {
            let principal: aws::Principal = arn.value.0.parse().ok()?;
            Some((principal.to_string(), arn.span.clone()))
        });
        for (name, span) in numbers.chain(emails).chain(principals) {
            let owner = *seen.entry(name.clone()).or_insert(index);
            if owner != index {
                let message = format!("{name} belongs to two people");
                let hint = "give it to one of them";
                mistakes.add(Mistake::new(span, message).hint(hint));
            }
        }
    }
}

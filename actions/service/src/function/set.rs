//! Has the alias serve something, if it still serves what this run knows. Lambda may answer for a while with the alias as it was
//! before a change; such an answer is known by its revision ID, and says nothing.

use kit::error::Result;
use lambda::{Alias, Client, Moved, code, moves};
use net::PollInterval;
use std::cell::RefCell;
use std::collections::BTreeSet;
use tokio::time::{Instant, sleep};

/// The revision IDs that changes of this run replaced. Lambda gives none of them twice.
#[derive(Debug, Default)]
pub(super) struct Replaced(RefCell<BTreeSet<String>>);

impl Replaced {
    fn add(&self, revisions: impl IntoIterator<Item = Option<String>>) {
        self.0.borrow_mut().extend(revisions.into_iter().flatten());
    }

    /// Returns true if this is the alias as it was before a change that this run made.
    pub(super) fn has(&self, alias: &Alias) -> bool {
        let revision = alias.revision_id.as_ref();
        revision.is_some_and(|revision| self.0.borrow().contains(revision))
    }
}

/// The outcome of an attempt to have the alias serve something.
#[derive(Debug)]
pub(super) enum Set {
    Done,
    /// Somebody else had it serve something else.
    Taken(Box<Alias>),
    /// It did not take the change in time; with what it serves.
    Late(String),
}

/// Has the alias serve `to`, if it still serves one of `from`. An alias that serves `to` already is left as it is, since the answer to
/// an earlier try may have been lost.
///
/// # Errors
/// Lambda refuses, or does not answer.
pub(super) async fn set(
    client: &Client,
    replaced: &Replaced,
    from: &[Moved],
    to: &Moved,
    until: Instant,
) -> Result<Set> {
    let mut interval = PollInterval::new();
    let mut tried = Vec::new();
    loop {
        let alias = client.alias().await?;
        match next(&alias, replaced, from, to) {
            Next::Done => {
                replaced.add(tried);
                return Ok(Set::Done);
            }
            Next::Taken => return Ok(Set::Taken(Box::new(alias))),
            Next::Look => {}
            Next::Update => {
                let revision = alias.revision_id.as_deref();
                match client.update_alias(to, revision).await {
                    Ok(_) => {
                        replaced.add([alias.revision_id]);
                        return Ok(Set::Done);
                    }
                    // An earlier try was done and its answer lost, or a permission was added to the alias, which changes its
                    // revision ID too. The next look tells.
                    Err(error) if code(&error) == Some("PreconditionFailedException") => {
                        tried.push(alias.revision_id.clone());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        if Instant::now() >= until {
            return Ok(Set::Late(alias.line()));
        }
        sleep(interval.next(false)).await;
    }
}

/// The next action after one look at the alias.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done,
    Taken,
    Update,
    /// The look was of the alias before a change of this run.
    Look,
}

fn next(alias: &Alias, replaced: &Replaced, from: &[Moved], to: &Moved) -> Next {
    if replaced.has(alias) {
        return Next::Look;
    }
    if moves(alias, to) {
        return Next::Done;
    }
    match from.iter().any(|from| serves(alias, from)) {
        true => Next::Update,
        false => Next::Taken,
    }
}

/// Returns true if the alias serves this, or did a moment ago: while provisioned concurrency moves to another version, Lambda
/// gives the version before all of the traffic by a weight of its own (hashicorp/terraform-provider-aws#48116).
pub(super) fn serves(alias: &Alias, wanted: &Moved) -> bool {
    let moving = wanted.weight.is_none() && alias.weight().is_some_and(|(_, weight)| weight >= 1.0);
    moves(alias, wanted) || moving && alias.function_version == wanted.version
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_alias_is_ours_while_it_serves_what_we_wrote() {
        let alias = |version: &str, weights: Value| -> Alias {
            let routing = json!({ "AdditionalVersionWeights": weights });
            let alias = json!({"FunctionVersion": version, "RoutingConfig": routing});
            serde_json::from_value(alias).unwrap()
        };
        let moved = |version: &str, weight: Option<(&str, f64)>| Moved {
            version: version.to_owned(),
            weight: weight.map(|(version, weight)| (version.to_owned(), weight)),
        };
        for (alias, wanted, is) in [
            (alias("2", json!({})), moved("2", None), true),
            (alias("2", json!({"1": 1.0})), moved("2", None), true),
            (alias("2", json!({"1": 0.5})), moved("2", None), false),
            (alias("1", json!({})), moved("2", None), false),
            (
                alias("1", json!({"2": 0.1})),
                moved("1", Some(("2", 0.1))),
                true,
            ),
            (
                alias("1", json!({"2": 0.2})),
                moved("1", Some(("2", 0.1))),
                false,
            ),
            (
                alias("1", json!({"3": 0.1})),
                moved("1", Some(("2", 0.1))),
                false,
            ),
        ] {
            assert_eq!(serves(&alias, &wanted), is, "{alias:?} {wanted:?}");
        }
    }

    #[test]
    fn an_answer_from_before_a_change_of_this_run_is_never_somebody_elses() {
        let alias = |version: &str, revision: &str| -> Alias {
            let alias = json!({"FunctionVersion": version, "RevisionId": revision});
            serde_json::from_value(alias).unwrap()
        };
        let version = |version: &str| Moved {
            version: version.to_owned(),
            weight: None,
        };
        let replaced = Replaced::default();
        replaced.add([Some("a".to_owned()), None]);
        for (seen, from, to, wanted) in [
            (alias("1", "b"), "1", "2", Next::Update),
            (alias("2", "b"), "1", "2", Next::Done),
            (alias("3", "b"), "1", "2", Next::Taken),
            // The alias serves 2 by now, and this is what it served before.
            (alias("1", "a"), "2", "1", Next::Look),
            (alias("1", "a"), "2", "3", Next::Look),
        ] {
            let found = next(&seen, &replaced, &[version(from)], &version(to));
            assert_eq!(found, wanted, "{seen:?} {from} {to}");
        }
    }
}

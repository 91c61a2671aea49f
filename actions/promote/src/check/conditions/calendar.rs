//! SSM Change Calendars: what they say now, and the rule about them.

use super::Conditions;
use crate::check::Subject;
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::fact::{Fact, Unknown};
use crate::check::rules::worst;
use crate::setting::Setting;
use kit::backoff::{self, Retryable};
use kit::error::{Error, ErrorKind};
use net::{Account, Net};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The state of a change calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calendar {
    pub(crate) state: State,
    /// When that changes, as AWS writes it.
    pub(crate) next: Option<String>,
}

/// The state of a change calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Open,
    Closed,
}

/// Attempts of a call that AWS does not answer or throttles.
const ATTEMPTS: usize = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Asks one calendar for its state now (AWS Systems Manager API Reference, `GetCalendarState`). Each
/// is asked by itself, because the answer for several does not tell which of them is closed.
pub(crate) async fn look(net: &Net, account: &Account, name: &str) -> Fact<Calendar> {
    let input = json!({"CalendarNames": [name]});
    let ask = || net.json(account, "ssm", "AmazonSSM.GetCalendarState", &input);
    let answer = ask
        .retry(backoff::policy(ATTEMPTS, FIRST_WAIT))
        .when(passes)
        .await
        .map_err(|error| unseen(name, account, &error))?;
    read(&answer).ok_or_else(|| {
        Unknown::new(
            format!("the state of change calendar {name} is neither OPEN nor CLOSED"),
            "see the calendar in AWS Systems Manager",
        )
    })
}

fn passes(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Service(failure) if failure.is_transient())
}

fn unseen(name: &str, account: &Account, error: &Error) -> Unknown {
    let causes = error.causes().join("; ");
    Unknown::new(
        format!("cannot read change calendar {name}: {causes}"),
        format!(
            "let the role `read` of account {} call ssm:GetCalendarState on it, and see that the calendar exists",
            account.id
        ),
    )
}

fn read(answer: &Value) -> Option<Calendar> {
    let state = match answer["State"].as_str()? {
        "OPEN" => State::Open,
        "CLOSED" => State::Closed,
        _ => return None,
    };
    Some(Calendar {
        state,
        next: answer["NextTransitionTime"].as_str().map(str::to_owned),
    })
}

/// Every calendar must be open: one that is closed refuses, whatever the others say.
pub(super) fn calendars(setting: &Setting, _: &Subject, conditions: &Conditions) -> Finding {
    if setting.gate.calendars.is_empty() {
        return not_asked("the contract names no change calendar");
    }
    let looked: Vec<&str> = conditions
        .calendars
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    if looked != setting.gate.calendars {
        return unknown(&Unknown::new(
            "not every change calendar was read",
            "run this again",
        ));
    }
    worst(conditions.calendars.iter().map(|(name, seen)| match seen {
        Err(reason) => unknown(reason),
        Ok(Calendar {
            state: State::Open,
            next,
        }) => pass(match next {
            Some(next) => format!("{name} is open until {next}"),
            None => format!("{name} is open"),
        }),
        Ok(Calendar {
            state: State::Closed,
            next,
        }) => fail(
            format!("change calendar {name} is closed"),
            match next {
                Some(next) => format!("promote after {next}, when {name} opens"),
                None => format!("see in AWS Systems Manager when {name} opens"),
            },
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_open_or_closed_or_not_known() {
        let state = |state: &str| read(&json!({ "State": state })).map(|found| found.state);
        assert_eq!(state("OPEN"), Some(State::Open));
        assert_eq!(state("CLOSED"), Some(State::Closed));
        assert_eq!(state("AJAR"), None);
        assert_eq!(read(&json!({})), None);
        let closed =
            read(&json!({"State": "CLOSED", "NextTransitionTime": "2026-12-01T00:00:00Z"}));
        assert_eq!(
            closed.unwrap().next.as_deref(),
            Some("2026-12-01T00:00:00Z")
        );
    }
}

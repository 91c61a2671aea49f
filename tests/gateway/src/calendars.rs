//! Change calendars of Systems Manager. The control interface sets a calendar's state; the answer combines the states of
//! all calendars that a call names. Settings, requests and answers must fit AWS's own model of SSM.
//! Source: AWS Systems Manager API Reference, `GetCalendarState`.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};
use standin_ecs::{Shapes, drop_null_members};
use time::OffsetDateTime;

use crate::answer::Answer;
use crate::error::AwsError;
use crate::fitting::fitting;
use crate::lock;

const OPERATION: &str = "GetCalendarState";

/// A calendar, as it is now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    account: String,
    region: String,
    name: String,
    /// `OPEN` or `CLOSED`.
    state: String,
    /// When that changes, ISO 8601.
    next: Option<String>,
}

/// The state of a calendar, and when it changes.
struct Calendar {
    state: String,
    next: Option<String>,
}

/// The known calendars, by account, region and name.
#[derive(Default)]
pub(crate) struct Calendars(Mutex<HashMap<[String; 3], Calendar>>);

impl Calendars {
    /// Replaces what was known of a calendar, or says why it can be none.
    pub(crate) fn set(&self, model: &Shapes, setting: Setting) -> Result<(), String> {
        let mut answer = json!({"State": setting.state, "NextTransitionTime": setting.next});
        drop_null_members(&mut answer);
        let faults = model.output_faults(OPERATION, &answer);
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let key = [setting.account, setting.region, setting.name];
        let calendar = Calendar {
            state: setting.state,
            next: setting.next,
        };
        lock(&self.0).insert(key, calendar);
        Ok(())
    }

    /// Answers `GetCalendarState`. A calendar of another account is named by its ARN.
    pub(crate) fn answer(
        &self,
        model: &Shapes,
        account: &str,
        region: &str,
        mut input: Value,
    ) -> Result<Answer, AwsError> {
        drop_null_members(&mut input);
        if let Some(fault) = model.input_faults(OPERATION, &input).first() {
            // An error of the protocol, which no operation lists.
            return Err(AwsError::new(400, "ValidationException", fault.clone()));
        }
        let output = self.state(account, region, &input);
        fitting(model, OPERATION, output).map(|output| Answer::json(&output))
    }

    fn state(&self, account: &str, region: &str, input: &Value) -> Result<Value, AwsError> {
        let known = lock(&self.0);
        let mut states = Vec::new();
        for name in input["CalendarNames"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            let parts: Vec<&str> = name.splitn(6, ':').collect();
            let key = match parts.as_slice() {
                ["arn", _, "ssm", region, account, document] => {
                    let name = document.strip_prefix("document/").unwrap_or(document);
                    [*account, *region, name]
                }
                _ => [account, region, name],
            };
            let state = known.get(&key.map(str::to_owned)).ok_or_else(|| {
                AwsError::new(
                    400,
                    "InvalidDocument",
                    format!("Document with name {name} does not exist."),
                )
            })?;
            states.push(state);
        }
        let closed = states.iter().filter(|calendar| calendar.state != "OPEN");
        let closed: Vec<_> = closed.collect();
        let next = match closed.is_empty() {
            // They are open together until the first closes.
            true => states
                .iter()
                .filter_map(|calendar| calendar.next.as_ref())
                .min(),
            false => closed
                .iter()
                .filter_map(|calendar| calendar.next.as_ref())
                .max(),
        };
        let mut answer = json!({
            "State": if closed.is_empty() { "OPEN" } else { "CLOSED" },
            "AtTime": crate::rfc3339(OffsetDateTime::now_utc()),
            "NextTransitionTime": next,
        });
        drop_null_members(&mut answer);
        Ok(answer)
    }
}

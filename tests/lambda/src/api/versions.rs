//! Versions: what was published of `$LATEST`, which nothing changes later.

use std::time::Duration;

use serde_json::{Value, json};

use super::Call;
use crate::error::{Answer, ApiError};
use crate::state::{Function, Revision};

/// The most versions on one page (AWS Lambda API Reference, "ListVersionsByFunction").
const PAGE: usize = 50;

/// Publishes `$LATEST`; answers the number. Code and configuration that did not change since the newest version are that
/// version (AWS Lambda API Reference, "PublishVersion").
pub(super) fn add(function: &mut Function, takes: Duration) -> String {
    let newest = function.versions.last_key_value();
    let same = newest.filter(|(_, newest)| {
        newest.image == function.latest.image && newest.settings == function.latest.settings
    });
    if let Some((number, _)) = same {
        return number.to_string();
    }
    let number = function.next;
    function.next += 1;
    let Revision {
        settings,
        image,
        asked,
        ..
    } = function.latest.clone();
    let version = Revision::new(settings, image, asked, takes);
    function.versions.insert(number, version);
    number.to_string()
}

pub(super) fn publish(call: &Call<'_>) -> Answer {
    let takes = call.inner.config.timings.update;
    call.with(|function| {
        call.settled(function)?;
        let (given, current) = (call.text("CodeSha256"), function.latest.sha256());
        if !given.is_empty() && given != current {
            return Err(ApiError::invalid(format!(
                "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). Please try again with the CodeSHA256 in $LATEST."
            )));
        }
        let version = add(function, takes);
        Ok(function.configuration(call.scope, &version, &version))
    })
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let after = call.text("Marker").parse::<u64>().unwrap_or_default();
    let most = call.input["MaxItems"].as_u64();
    let most = most
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(PAGE)
        .min(PAGE);
    call.with(|function| {
        let numbers: Vec<u64> = function.versions.keys().copied().collect();
        let numbers: Vec<u64> = numbers.into_iter().filter(|it| *it > after).collect();
        let mut listed: Vec<Value> = Vec::new();
        if after == 0 {
            listed.push(function.configuration(call.scope, "$LATEST", "$LATEST"));
        }
        for number in numbers.iter().take(most) {
            let version = number.to_string();
            listed.push(function.configuration(call.scope, &version, &version));
        }
        let mut answer = json!({ "Versions": listed });
        if numbers.len() > most {
            answer["NextMarker"] = json!(numbers[most - 1].to_string());
        }
        Ok(answer)
    })
}

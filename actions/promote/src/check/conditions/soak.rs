//! The rules that the digest was healthy for long enough in the previous environment, and still is. Pure.

use super::Conditions;
use crate::check::Subject;
use crate::check::answer::{Finding, fail, not_asked, not_examined, pass, unknown};
use crate::check::fact::Unknown;
use crate::environment_history::at;
use crate::setting::Setting;
use kit::clock::{human, rfc3339, seconds_after};
use std::time::Duration;
use time::OffsetDateTime;

/// The time counts from the record that the digest was healthy, as long as no failure of it
/// followed. Other digests may have replaced it meanwhile: an environment that is deployed to all
/// day would otherwise let nothing pass.
pub(super) fn soak(setting: &Setting, subject: &Subject, conditions: &Conditions) -> Finding {
    let (Some(seconds), Some(before)) = (setting.gate.soak, &setting.follows) else {
        return not_asked("the contract asks for no soak");
    };
    let wanted = Duration::from_secs(seconds);
    let Some(since) = &subject.trail.healthy_since else {
        return not_examined("the digest is not healthy in the previous environment");
    };
    let anchored = match &conditions.anchored {
        None => None,
        Some(Err(reason)) => return unknown(reason),
        Some(Ok(anchored)) => Some(anchored),
    };
    // A record may say any time, but it was written after those before it, and before its hash was anchored only by moments.
    let bounds = [anchored, subject.trail.not_before.as_ref()];
    let bounds = bounds.into_iter().flatten();
    if bounds.clone().next().is_none() && since.seq > 1 {
        return unknown(&Unknown::new(
            format!(
                "nothing but record {} of {before} itself says since when that is",
                since.seq
            ),
            "run this again, or have the digest deployed there once more",
        ));
    }
    let bounds = bounds.filter_map(|text| at(text));
    let began = at(&since.at).map(|own| bounds.fold(own, OffsetDateTime::max));
    let elapsed = began.and_then(|began| Duration::try_from(conditions.now - began).ok());
    let (Some(began), Some(elapsed)) = (began, elapsed) else {
        return unknown(&Unknown::new(
            format!(
                "record {} of {before} is from {}, and now it is {}",
                since.seq,
                since.at,
                rfc3339(conditions.now)
            ),
            "set the clocks of the machines that run this step",
        ));
    };
    let written = match at(&since.at) == Some(began) {
        true => String::new(),
        false => format!(
            ", which says {} and was written at {} or later",
            since.at,
            rfc3339(began)
        ),
    };
    let fact = format!(
        "healthy in {before} for {} (record {}{written}); {} are asked",
        human(elapsed),
        since.seq,
        human(wanted)
    );
    if elapsed >= wanted {
        return pass(fact);
    }
    fail(
        fact,
        match seconds_after(began, seconds) {
            Some(after) => format!("promote it after {}", rfc3339(after)),
            None => "shorten `soak` in the contract: it never ends".to_owned(),
        },
    )
}

/// Judges whether the previous environment runs the digest now.
pub(super) fn still_running(setting: &Setting, _: &Subject, conditions: &Conditions) -> Finding {
    let before = setting.follows.as_deref().unwrap_or_default();
    match &conditions.missing_before {
        None if setting.gate.still_running && setting.follows.is_some() => unknown(&Unknown::new(
            format!("nobody looked at what {before} runs"),
            "run this again",
        )),
        None => not_asked("the contract does not ask for it"),
        Some(Err(reason)) => unknown(reason),
        Some(Ok(missing)) if missing.is_empty() => pass(format!("{before} runs it, healthy")),
        Some(Ok(missing)) => {
            let some: Vec<&str> = missing.iter().take(3).map(String::as_str).collect();
            fail(
                format!("{before} does not run it healthy: {}", some.join("; ")),
                format!("promote the digest that {before} runs, or deploy this one there again"),
            )
        }
    }
}

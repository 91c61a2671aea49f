//! Collects the facts of these rules.

use super::Conditions;
use super::calendar::look;
use super::contributors::contributors_by_digest;
use crate::args::LedgerArgs;
use crate::check::Subject;
use crate::check::fact::{Fact, Unknown};
use crate::environment_history::EnvironmentHistory;
use crate::live::{Live, Named};
use crate::requests::members;
use crate::setting::Setting;
use futures_util::future::join_all;
use github::GitHub;
use kit::Cx;
use kit::clock::rfc3339;
use kit::error::{Error, Result};
use ledger::{Actor, Chain};
use net::Net;

/// Collects them, beside where the environment stands. A fact that cannot be determined is `Unknown`.
///
/// # Errors
/// AWS's time, by which they are judged, is not known (exit 3).
pub(crate) async fn observe(
    cx: &Cx,
    net: &Net,
    github: Option<&GitHub>,
    setting: &Setting,
    subject: &Subject,
    history: EnvironmentHistory,
    promoter: Fact<Vec<Actor>>,
) -> Result<Conditions> {
    let (anchored, ahead, contributors, calendars, missing_before, members) = tokio::join!(
        anchored(net, setting, subject),
        ahead(github, &history, subject),
        contributors_by_digest(github, setting, &history, subject),
        calendars(net, setting),
        missing_before(cx, net, setting, subject),
        members(github, setting.teams()),
    );
    Ok(Conditions {
        now: net.time()?,
        history,
        anchored,
        missing_before,
        calendars,
        ahead,
        contributors,
        members,
        promoter,
    })
}

/// GitHub's status for what runs...what is promoted; only if something else runs.
pub(in crate::check) async fn ahead(
    github: Option<&GitHub>,
    history: &EnvironmentHistory,
    subject: &Subject,
) -> Option<Fact<String>> {
    let (commit, current) = (subject.commit.as_ref()?, history.current()?);
    if *commit == current.commit {
        return None;
    }
    let Some(github) = github else {
        return Some(Err(Unknown::new(
            "GitHub cannot be asked whether this is newer than what runs",
            "give a token: the input `github-token`, or GITHUB_TOKEN",
        )));
    };
    let compared = github
        .compare(current.commit.as_str(), commit.as_str())
        .await;
    Some(match compared {
        Ok(comparison) => Ok(comparison.status),
        Err(unknown) => Err(Unknown::from(unknown)),
    })
}

async fn calendars(net: &Net, setting: &Setting) -> Vec<(String, Fact<super::Calendar>)> {
    let names = &setting.gate.calendars;
    if names.is_empty() {
        return Vec::new();
    }
    let account = net.account(&setting.read).await;
    let seen = names.iter().map(|name| async {
        let fact = match &account {
            Ok(account) => look(net, account, name).await,
            Err(error) => Err(without(error, &setting.environment)),
        };
        (name.clone(), fact)
    });
    join_all(seen).await
}

/// When the anchor got the record since which the digest is healthy. Who may write records may write any time into one, and not into S3.
async fn anchored(net: &Net, setting: &Setting, subject: &Subject) -> Option<Fact<String>> {
    let (before, since) = setting
        .follows
        .as_ref()
        .zip(subject.trail.healthy_since.as_ref())?;
    if setting.gate.soak.is_none() || setting.trust.anchor.is_none() {
        return None;
    }
    let looked = async {
        let account = net.account(&setting.ledger_reader).await?;
        let chain = Chain::new(&setting.service, before)?;
        setting
            .ledger(net, &account)
            .anchored_at(&chain, since.seq)
            .await
    };
    Some(match looked.await {
        Ok(Some(at)) => Ok(rfc3339(at)),
        Ok(None) => Err(Unknown::new(
            format!(
                "the anchor does not have record {} of {before}, so nothing shows when it was written",
                since.seq
            ),
            format!("deploy the digest to {before} once more"),
        )),
        Err(error) => Err(without(&error, before)),
    })
}

/// The reasons why the previous environment does not count as healthy with the digest, if the gate asks.
async fn missing_before(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    subject: &Subject,
) -> Option<Fact<Vec<String>>> {
    let before = setting.follows.as_ref()?;
    if !setting.gate.still_running {
        return None;
    }
    let looked = async {
        let resolved = cx.contract()?.resolve(before, &cx.env)?;
        let before = Setting::from_contract(&resolved, &LedgerArgs::default())?;
        let live = Live::new(cx, net, &before, Named::default()).await?;
        live.look(&subject.digest).await
    };
    Some(match looked.await {
        Ok(seen) => Ok(seen.missing),
        Err(error) => Err(without(&error, before)),
    })
}

/// A fact about an environment that AWS did not give.
pub(crate) fn without(error: &Error, environment: &str) -> Unknown {
    let mut why = error.message.clone();
    for cause in error.causes() {
        why.push_str(&format!(": {cause}"));
    }
    let next = error.hints.first().cloned();
    Unknown::new(
        why,
        next.unwrap_or_else(|| format!("let the role `read` of {environment} look at it")),
    )
}

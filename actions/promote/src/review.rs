//! `review`: records that a person looked at a digest, after a rollback from it or a break-glass for it, or before a rollback to it that
//! needs reviews.

use crate::args::Review as Args;
use crate::check::Persons;
use crate::environment_history::{Debt, EnvironmentHistory};
use crate::person::{acting_person, logins};
use crate::record::healthy_until_now;
use crate::setting::Setting;
use kit::clock::rfc3339;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::report::markdown_table;
use kit::{Cx, Report};
use ledger::{Actor, Append, Chain, Entry, LOOK_BACK, Ledger, Record, Verdict};
use net::Net;
use serde_json::json;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<Report> {
    let digest = args.digest;
    let setting = Setting::of(cx, &args.ledger)?;
    let net = Net::new(cx)?;
    let reviewer = acting_person(cx, &net, &setting, args.github.repository(), "review").await?;
    let ledger = setting.appending(&net, args.dry_run).await?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let history = EnvironmentHistory::read(&ledger, &chain).await?;
    own_debt(setting.persons(), &history, &digest, &reviewer)?;
    // A deployment that began under a permit counts, although its end was never recorded.
    let deployed = |record: &Record| {
        let began = record.verdict == Verdict::Started;
        record.digest == digest && (record.is_deployment() || began)
    };
    let deployed = ledger.find(&chain, LOOK_BACK, deployed).await?;
    let deployed = deployed.ok_or_else(|| {
        Error::refused(format!(
            "{digest} was never deployed to {}, so there is nothing to review",
            setting.environment
        ))
        .hint(format!(
            "see what was: slipway-promote history --environment {}",
            setting.environment
        ))
    })?;
    let draft = Record {
        at: rfc3339(net.time()?),
        verdict: Verdict::Reviewed,
        actor: reviewer,
        run: cx.host.run_url(),
        task_definition: None,
        policy: None,
        rollback: None,
        break_glass: None,
        reason: Some(args.reason),
        under: None,
        ..deployed
    };
    if args.dry_run {
        let record = json!(draft);
        return Ok(Report {
            text: format!("would record:\n{record:#}\n"),
            json: json!({ "dry_run": true, "record": record }),
            ..Report::default()
        });
    }
    let (entry, record) = append(&ledger, &chain, draft).await?;
    Ok(report(&setting, &entry, &record))
}

/// Refuses a reviewer who used break-glass for the digest.
fn own_debt(
    persons: Persons<'_>,
    history: &EnvironmentHistory,
    digest: &Digest,
    reviewer: &Actor,
) -> Result<()> {
    let own =
        |debt: &&Debt| debt.record.digest == *digest && persons.same(&debt.glass.by, reviewer);
    match history.open_debts(persons).find(own) {
        None => Ok(()),
        Some(debt) => Err(Error::refused(format!(
            "{} used break-glass for {digest} (record {}), so somebody else must review it",
            reviewer.login, debt.record.seq
        ))
        .hint(format!(
            "have somebody other than {} run this",
            reviewer.login
        ))),
    }
}

/// Appends the review. A deployment that is recorded meanwhile does not matter to it.
async fn append(ledger: &Ledger, chain: &Chain, draft: Record) -> Result<(Entry, Record)> {
    let mut head = ledger.head(chain).await?;
    for wait in ledger::attempts() {
        tokio::time::sleep(wait).await;
        let mut record = draft.clone();
        if let Some(entry) = &head {
            let before = entry.record(chain).map_err(|fault| {
                Error::refused(format!("the ledger is broken in {chain}: {fault}"))
            })?;
            if is_same(&before, &draft) {
                return Ok((entry.clone(), before));
            }
            record.previous = healthy_until_now(&before);
        }
        match ledger.append(chain, head.as_ref(), record.clone()).await? {
            Append::Done(entry) => {
                record.seq = entry.seq;
                return Ok((entry, record));
            }
            Append::Conflict(newer) => head = newer,
        }
    }
    Err(ledger::busy(chain, "nothing was recorded"))
}

/// Returns true if the head is this review already, from a run that was stopped.
fn is_same(head: &Record, draft: &Record) -> bool {
    head.verdict == Verdict::Reviewed
        && head.digest == draft.digest
        && head.reason == draft.reason
        && head.actor == draft.actor
        && head.run == draft.run
}

fn report(setting: &Setting, entry: &Entry, record: &Record) -> Report {
    let environment = &setting.environment;
    let reason = record.reason.clone().unwrap_or_default();
    let by = logins([&record.actor]);
    let rows: Vec<Vec<String>> = [
        ("digest", record.digest.to_string()),
        ("by", by.clone()),
        ("review", reason.clone()),
        ("hash", entry.hash.clone()),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.to_owned(), value])
    .collect();
    Report {
        text: format!(
            "record {} of {} in {environment} written: {by} reviewed {}: {reason}\nhash {}\n",
            record.seq, record.service, record.digest, entry.hash
        ),
        summary: format!(
            "### {environment}: record {} written\n\n{}",
            record.seq,
            markdown_table(&["", ""], &rows)
        ),
        json: json!({ "record": record, "hash": entry.hash }),
        ..Report::default()
    }
    .output("record", record.seq.to_string())
    .output("hash", entry.hash.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::setting;
    use crate::environment_history::tests::{actor, digest, forced, history, reviewed};

    #[test]
    fn the_person_who_used_break_glass_cannot_review_it() {
        let setting = setting();
        let own_debt = |history: &EnvironmentHistory, digest: &Digest, reviewer: &Actor| {
            own_debt(setting.persons(), history, digest, reviewer)
        };
        let open = history(&[forced('b', "eve")]);
        let own = own_debt(&open, &digest('b'), &actor("Eve")).unwrap_err();
        assert_eq!(own.exit(), kit::Exit::Refused);
        own_debt(&open, &digest('b'), &actor("ada")).unwrap();
        own_debt(&open, &digest('a'), &actor("eve")).unwrap();
        let settled = history(&[forced('b', "eve"), reviewed('b', "ada")]);
        own_debt(&settled, &digest('b'), &actor("eve")).unwrap();
    }

    #[test]
    fn the_same_run_reviews_once() {
        let review = reviewed('a', "ada");
        assert!(is_same(&review, &review));
        let mut other = review.clone();
        other.run = Some("https://ci.example/2".to_owned());
        assert!(!is_same(&review, &other));
        let mut other = review.clone();
        other.reason = Some("looked again".to_owned());
        assert!(!is_same(&review, &other));
        assert!(!is_same(&review, &reviewed('b', "ada")));
        assert!(!is_same(&review, &reviewed('a', "eve")));
        assert!(!is_same(&forced('a', "ada"), &review));
    }
}

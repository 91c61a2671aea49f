//! `check`: observe, decide, report.

mod answer;
mod approvals;
mod decide;
mod facts;
mod observe;
mod people;
mod report;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use facts::{Fact, Unknown};

use crate::args::Check;
use crate::setting::Setting;
use kit::error::{Error, Result};
use kit::id::{CommitId, Digest};
use kit::{Cx, Report};
use ledger::{Chain, Ledger, Record, Verdict};
use net::Net;

/// How many of a chain's newest records are searched for a digest.
const LOOK_BACK: usize = 1000;

pub(crate) async fn run(args: Check, cx: &Cx) -> Result<Report> {
    let digest = args.digest.as_deref().map(Digest::parse).transpose()?;
    let mut setting = Setting::of(cx, &args.ledger)?.with_rules(&args.rules)?;
    if !setting.declared {
        setting.follows.clone_from(&args.from);
    }
    let net = Net::new(cx)?;
    let subject = subject(cx, &net, &setting, digest, args.from.as_deref()).await?;
    let facts = if decide::asks_nothing(&setting) {
        facts::Facts::none()
    } else {
        let github = github::GitHub::connect(cx, &net, args.github.repository())?;
        observe::facts(cx, &net, &github, &setting, &subject).await?
    };
    let decision = decide::decide(&setting, &subject, &facts);
    report::report(&setting, &subject, &facts, &decision)
}

/// The digest to promote, and its records in the ledger.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) digest: Digest,
    /// From the ledger's record of the digest; in the first environment the commit of this run.
    pub(crate) commit: Option<CommitId>,
    /// The newest record of the digest in the previous environment.
    pub(crate) evidence: Option<Record>,
    /// The commit that the image was built for, if that is another commit with the same content. It
    /// is reported but no rule depends on it, because a build can write it.
    pub(crate) built_for: Option<CommitId>,
}

async fn subject(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    digest: Option<Digest>,
    from: Option<&str>,
) -> Result<Subject> {
    let Some(follows) = &setting.follows else {
        if let Some(from) = from {
            return Err(Error::usage(format!(
                "{} follows no environment, so `--from {from}` does not apply",
                setting.environment
            ))
            .hint("give --digest instead"));
        }
        let digest = digest.ok_or_else(|| {
            Error::usage("--digest is missing").hint(format!(
                "{} follows no environment that a digest could come from: give --digest",
                setting.environment
            ))
        })?;
        let commit = match cx.host.commit() {
            // No rule looks at it, and a build whose source is not a commit may deploy here.
            Err(_) if decide::asks_nothing(setting) => None,
            commit => commit?,
        };
        if commit.is_none() && !decide::asks_nothing(setting) {
            return Err(Error::usage(format!(
                "the commit of {digest} is unknown: the ledger has no record, and this run has no commit"
            ))
            .hint("run this in the workflow run or build of that commit"));
        }
        return Ok(Subject {
            digest,
            commit,
            evidence: None,
            built_for: None,
        });
    };
    let account = net.account(&setting.permit).await?;
    let ledger = Ledger::new(&account, &setting.ledger);
    let before = Chain::new(&setting.service, follows)?;
    let digest = match digest {
        Some(digest) => digest,
        None => {
            let from = from.unwrap_or(follows);
            let chain = Chain::new(&setting.service, from)?;
            // After a failed deployment, the previous healthy one runs or may be restored.
            let healthy = |record: &Record| record.verdict == Verdict::Healthy;
            let last = ledger.find(&chain, LOOK_BACK, healthy).await?;
            last.ok_or_else(|| {
                Error::refused(format!("no digest is recorded as healthy in {from}"))
                    .hint(format!("deploy to {from} first, or give --digest"))
            })?
            .digest
        }
    };
    let evidence = ledger
        .find(&before, LOOK_BACK, |record| record.digest == digest)
        .await?;
    let commit = evidence.as_ref().map(|record| record.commit.clone());
    let built_for = match &commit {
        Some(commit) => built_for(cx, &ledger, &setting.service, &digest, commit).await,
        None => None,
    };
    Ok(Subject {
        digest,
        commit,
        evidence,
        built_for,
    })
}

/// The commit that the image of `commit` was built for, if the ledger's notes name another one. If
/// they cannot be read, that is only a warning, because no rule depends on them.
async fn built_for(
    cx: &Cx,
    ledger: &Ledger,
    service: &str,
    digest: &Digest,
    commit: &CommitId,
) -> Option<CommitId> {
    match ledger.contents(service, digest).await {
        Ok(notes) => notes
            .into_iter()
            .find(|note| note.commit == *commit)
            .and_then(|note| CommitId::parse(&note.first_commit).ok())
            .filter(|first| first != commit),
        Err(error) => {
            cx.host.warn(format!(
                "cannot determine the commit that the image was built for: {}",
                error.message
            ));
            None
        }
    }
}

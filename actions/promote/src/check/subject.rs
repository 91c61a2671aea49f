//! What is promoted: the digest, its commit, its records in the environment before, and what the environment runs.

use super::decide;
use super::range::Base;
use super::trail::Trail;
use crate::setting::Setting;
use crate::standing::at;
use kit::Cx;
use kit::error::{Error, Result};
use kit::id::{CommitId, Digest};
use ledger::{Chain, LOOK_BACK, Ledger, Record, Verdict};
use net::Net;

/// The digest to promote, and its records in the ledger.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) digest: Digest,
    /// From the ledger's record of the digest; in the first environment the commit of this run.
    pub(crate) commit: Option<CommitId>,
    /// The newest deployment of the digest in the previous environment.
    pub(crate) evidence: Option<Record>,
    /// What else happened to it there.
    pub(crate) trail: Trail,
    /// The commit that the image was built for, if that is another commit with the same content. It
    /// is reported but no rule depends on it, because a build can write it.
    pub(crate) built_for: Option<CommitId>,
    /// Where the commits that the promotion brings begin.
    pub(crate) base: Base,
}

/// Refuses, before anything is read, arguments that do not fit the environment.
pub(super) fn usable(setting: &Setting, digest: Option<&Digest>, from: Option<&str>) -> Result<()> {
    match (&setting.follows, from) {
        (Some(_), _) => Ok(()),
        (None, Some(from)) => Err(Error::usage(format!(
            "{} follows no environment, so `--from {from}` does not apply",
            setting.environment
        ))
        .hint("give --digest instead")),
        (None, None) => digest.map(|_| ()).ok_or_else(|| no_digest(setting)),
    }
}

fn no_digest(setting: &Setting) -> Error {
    Error::usage("--digest is missing").hint(format!(
        "{} follows no environment that a digest could come from: give --digest",
        setting.environment
    ))
}

/// Reads what is promoted from the ledger.
///
/// # Errors
/// No digest is given or recorded, its commit is unknown, or the ledger cannot be read.
pub(super) async fn subject(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    digest: Option<Digest>,
    from: Option<&str>,
) -> Result<Subject> {
    let Some(follows) = &setting.follows else {
        let digest = digest.ok_or_else(|| no_digest(setting))?;
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
        let base = match decide::asks_nothing(setting) {
            true => Base::Nothing,
            false => {
                let account = net.account(&setting.ledger_reader).await?;
                base(&setting.ledger(net, &account), setting).await?
            }
        };
        return Ok(Subject {
            digest,
            commit,
            evidence: None,
            trail: Trail::default(),
            built_for: None,
            base,
        });
    };
    let account = net.account(&setting.ledger_reader).await?;
    let ledger = setting.ledger(net, &account);
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
    // Far enough back to know for how long it was healthy.
    let now = cx.clock.now();
    let enough = |record: &Record| {
        let soak = time::Duration::seconds(setting.gate.soak.unwrap_or(0).cast_signed());
        let old = at(&record.at).is_some_and(|at| now - at >= soak);
        record.is_deployment()
            && record.digest == digest
            && (old || record.verdict != Verdict::Healthy)
    };
    let records = ledger.recent(&before, LOOK_BACK, enough).await?;
    let (evidence, trail) = Trail::of(&records, &digest);
    let commit = evidence.as_ref().map(|record| record.commit.clone());
    let built_for = match &commit {
        Some(commit) => built_for(cx, &ledger, &setting.service, &digest, commit).await,
        None => None,
    };
    Ok(Subject {
        base: base(&ledger, setting).await?,
        digest,
        commit,
        evidence,
        trail,
        built_for,
    })
}

/// What the environment runs: the newest healthy record of its chain. Before the first one, the
/// contract may name a commit to begin from.
async fn base(ledger: &Ledger, setting: &Setting) -> Result<Base> {
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let mut read = 0;
    let healthy = |record: &Record| record.verdict == Verdict::Healthy;
    if let Some(record) = ledger.find(&chain, LOOK_BACK, healthy).await? {
        return Ok(Base::Record {
            commit: record.commit.to_string(),
            seq: record.seq,
        });
    }
    if let Some(head) = ledger.head(&chain).await? {
        read = head.seq;
    }
    // Failures must not push the version that runs out of sight.
    if read > LOOK_BACK as u64 {
        return Err(Error::refused(format!(
            "none of the newest {} records of {} is healthy, so what runs there is unknown",
            LOOK_BACK, setting.environment
        ))
        .hint("deploy what runs there once more, and record it"));
    }
    Ok(match &setting.gate.since {
        Some(commit) => Base::Since(commit.clone()),
        None => Base::Nothing,
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

//! The subject of a promotion: the digest, and the ledger's records of it and of the environment. The records are read as they
//! are stored; everything else follows from them alone.

use super::range::Base;
use super::trail::Trail;
use crate::environment_history::{EnvironmentHistory, at, far_enough};
use crate::setting::Setting;
use kit::Cx;
use kit::error::{Error, Result};
use kit::id::{CommitId, Digest};
use ledger::{Chain, Entry, Fault, LOOK_BACK, Ledger, Record, Recorded, Verdict, permit};
use net::Net;
use time::OffsetDateTime;

/// The digest to promote, and its records in the ledger.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) digest: Digest,
    /// From the ledger's record of the digest; in the first environment the commit of this run.
    pub(crate) commit: Option<CommitId>,
    /// The newest deployment of the digest in the previous environment.
    pub(crate) evidence: Option<Record>,
    /// The digest's further history there.
    pub(crate) trail: Trail,
    /// The commit that the image was built for, if that is another commit with the same content. It
    /// is reported but no rule depends on it, because a build can write it.
    pub(crate) built_for: Option<CommitId>,
    /// The infrastructure plan that is promoted along.
    pub(crate) plan: Option<String>,
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

/// The inputs read for a promotion, newest record first.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) digest: Digest,
    /// The commit of this run, where no environment comes before.
    pub(crate) commit: Option<CommitId>,
    /// As [`Subject::built_for`].
    pub(crate) built_for: Option<CommitId>,
    /// As [`Subject::plan`].
    pub(crate) plan: Option<String>,
    /// The environment's own records; none where there is no gate.
    pub(crate) own: Vec<Entry>,
    /// The records of the previous environment.
    pub(crate) before: Vec<Entry>,
}

impl Read {
    /// Reads the ledger.
    ///
    /// # Errors
    /// It cannot be read or is broken, or there is no digest to promote.
    pub(crate) async fn of(
        cx: &Cx,
        net: &Net,
        setting: &Setting,
        digest: Option<Digest>,
        from: Option<&str>,
    ) -> Result<Self> {
        let Some(follows) = &setting.follows else {
            return Self::of_first_environment(cx, net, setting, digest).await;
        };
        let account = net.account(&setting.ledger_reader).await?;
        let ledger = setting.ledger(net, &account);
        let before = Chain::new(&setting.service, follows)?;
        let digest = match digest {
            Some(digest) => digest,
            None => newest_healthy(&ledger, setting, from.unwrap_or(follows)).await?,
        };
        let now = net.time()?;
        let enough = |records: &[Recorded]| settle_health(setting, &digest, records, now);
        let own = Chain::new(&setting.service, &setting.environment)?;
        let (before, own) = tokio::join!(
            ledger.entries_until(&before, LOOK_BACK, enough),
            ledger.entries_until(&own, LOOK_BACK, far_enough)
        );
        let mut read = Self {
            digest,
            commit: None,
            built_for: None,
            plan: None,
            own: own?,
            before: before?,
        };
        let (deployed, _) = Trail::of(&read.before(setting)?, &read.digest);
        if let Some(commit) = deployed.map(|record| record.commit) {
            read.built_for = built_for(cx, &ledger, &setting.service, &read.digest, &commit).await;
        }
        Ok(read)
    }

    async fn of_first_environment(
        cx: &Cx,
        net: &Net,
        setting: &Setting,
        digest: Option<Digest>,
    ) -> Result<Self> {
        let digest = digest.ok_or_else(|| no_digest(setting))?;
        let mut read = Self {
            digest,
            commit: None,
            built_for: None,
            plan: None,
            own: Vec::new(),
            before: Vec::new(),
        };
        if setting.asks_nothing() {
            // No rule looks at it, and a build whose source is not a commit may deploy here.
            read.commit = cx.host.commit().unwrap_or_default();
            return Ok(read);
        }
        read.commit = cx.host.commit()?;
        if read.commit.is_none() {
            return Err(Error::usage(format!(
                "the commit of {} is unknown: the ledger has no record, and this run has no commit",
                read.digest
            ))
            .hint("run this in the workflow run or build of that commit"));
        }
        let account = net.account(&setting.ledger_reader).await?;
        let ledger = setting.ledger(net, &account);
        let own = Chain::new(&setting.service, &setting.environment)?;
        read.own = ledger.entries_until(&own, LOOK_BACK, far_enough).await?;
        Ok(read)
    }

    /// Where the environment stands by its own records.
    ///
    /// # Errors
    /// As [`history`].
    pub(crate) fn history(&self, setting: &Setting) -> Result<EnvironmentHistory> {
        let chain = Chain::new(&setting.service, &setting.environment)?;
        history(&chain, &self.own)
    }

    /// The records of the previous environment.
    fn before(&self, setting: &Setting) -> Result<Vec<Recorded>> {
        match &setting.follows {
            None => Ok(Vec::new()),
            Some(follows) => recorded(&Chain::new(&setting.service, follows)?, &self.before),
        }
    }

    /// Derives the subject from the records.
    ///
    /// # Errors
    /// One of them is not a record, or the record of what the environment runs is too far back (exit 3).
    pub(crate) fn subject(
        &self,
        setting: &Setting,
        history: &EnvironmentHistory,
    ) -> Result<Subject> {
        let (evidence, trail) = Trail::of(&self.before(setting)?, &self.digest);
        let recorded = evidence.as_ref().map(|record| record.commit.clone());
        Ok(Subject {
            digest: self.digest.clone(),
            commit: match setting.follows {
                Some(_) => recorded,
                None => self.commit.clone(),
            },
            evidence,
            trail,
            built_for: self.built_for.clone(),
            plan: self.plan.clone(),
            base: match setting.asks_nothing() {
                true => Base::Nothing,
                false => base(setting, history)?,
            },
        })
    }
}

/// Returns true if the records of the environment before, newest first, say for how long the digest was healthy: besides as in
/// [`settles_health`], there is one before that since which it is, as it was not written earlier than that one.
fn settle_health(
    setting: &Setting,
    digest: &Digest,
    records: &[Recorded],
    now: OffsetDateTime,
) -> bool {
    let mut all = records.iter().map(|it| &it.record);
    let oldest = records.last().map_or(0, |it| it.record.seq);
    let bounded = || {
        let since = Trail::of(records, digest).1.healthy_since;
        since.is_none_or(|since| since.seq == 1 || oldest < since.seq)
    };
    all.any(|record| settles_health(setting, digest, record, now)) && bounded()
}

/// Returns true if the records of the environment before, newest first, need not be read further back than this one: by
/// now it is known for how long the digest was healthy.
fn settles_health(
    setting: &Setting,
    digest: &Digest,
    record: &Record,
    now: OffsetDateTime,
) -> bool {
    let soak = time::Duration::seconds(setting.gate.soak.unwrap_or(0).cast_signed());
    let old = at(&record.at).is_some_and(|at| now - at >= soak);
    record.is_deployment()
        && record.digest == *digest
        && (old || record.verdict != Verdict::Healthy)
}

/// The records of entries.
pub(super) fn recorded(chain: &Chain, entries: &[Entry]) -> Result<Vec<Recorded>> {
    let broken = |fault: Fault| Error::refused(format!("chain {chain} is broken: {fault}"));
    let all = entries.iter().map(|entry| entry.recorded(chain));
    all.collect::<Result<_, _>>().map_err(broken)
}

/// Where an environment stands by its newest records, newest first.
///
/// # Errors
/// One of them is not a record, or as [`permit::require_deployment`].
pub(super) fn history(chain: &Chain, own: &[Entry]) -> Result<EnvironmentHistory> {
    let records = recorded(chain, own)?;
    permit::require_deployment(chain, &records)?;
    Ok(EnvironmentHistory::of(records))
}

async fn newest_healthy(ledger: &Ledger, setting: &Setting, from: &str) -> Result<Digest> {
    let chain = Chain::new(&setting.service, from)?;
    // After a failed deployment, the previous healthy one runs or may be restored.
    let healthy = |record: &Record| record.verdict == Verdict::Healthy;
    let last = ledger.find(&chain, LOOK_BACK, healthy).await?;
    let last = last.ok_or_else(|| {
        Error::refused(format!("no digest is recorded as healthy in {from}"))
            .hint(format!("deploy to {from} first, or give --digest"))
    })?;
    Ok(last.digest)
}

/// The commit of the newest version that a regular promotion brought to the environment. Before the first one, the contract may name
/// a commit to begin from.
fn base(setting: &Setting, history: &EnvironmentHistory) -> Result<Base> {
    if let Some(record) = history.examined() {
        let current = history.current();
        return Ok(Base::Record {
            commit: record.commit.to_string(),
            seq: record.seq,
            runs: current.is_some_and(|current| current.commit == record.commit),
        });
    }
    // Failures must not push the version that was examined out of sight.
    if history.last() > LOOK_BACK as u64 {
        return Err(Error::refused(format!(
            "none of the newest {} records of {} is of a healthy regular promotion, so where to begin is unknown",
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
            .and_then(|note| note.first_commit.parsed().cloned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::setting;
    use crate::environment_history::tests::{
        chain, deployed, digest, failed, forced, history, reviewed, rolled_back, stored,
    };

    #[test]
    fn only_where_something_comes_before_can_a_digest_be_left_out() {
        let mut first = setting();
        first.follows = None;
        let digest = digest('a');
        for (setting, digest, from, wanted) in [
            (&setting(), None, None, Ok(())),
            (&setting(), None, Some("dev"), Ok(())),
            (&first, Some(&digest), None, Ok(())),
            (&first, None, None, Err("--digest is missing")),
            (
                &first,
                Some(&digest),
                Some("dev"),
                Err("production follows no environment, so `--from dev` does not apply"),
            ),
        ] {
            let found = usable(setting, digest, from);
            let message = found
                .as_ref()
                .map_or_else(|error| error.message.as_str(), |()| "");
            assert_eq!(message, wanted.err().unwrap_or_default());
            assert!(
                found
                    .err()
                    .is_none_or(|error| error.exit() == kit::Exit::Usage)
            );
        }
    }

    #[test]
    fn records_are_read_until_it_is_known_for_how_long_the_digest_was_healthy() {
        let mut setting = setting();
        setting.gate.soak = Some(3600);
        let of = |record: Record, now: &str| {
            let now = at(now).unwrap();
            settles_health(&setting, &digest('a'), &record, now)
        };
        let (early, late) = ("2026-11-21T18:59:59Z", "2026-11-21T19:00:00Z");
        assert!(of(deployed('a'), late));
        assert!(!of(deployed('a'), early));
        assert!(of(failed('a'), early));
        for other in [deployed('b'), failed('b'), reviewed('a', "ada")] {
            assert!(!of(other, late));
        }
        // A record may say any time, so that one is asked for which is older, where there is one.
        let records = chain(&[deployed('b'), deployed('a'), deployed('b')]);
        let enough = |count: usize| {
            settle_health(&setting, &digest('a'), &records[..count], at(late).unwrap())
        };
        assert_eq!(
            (0..=3).map(enough).collect::<Vec<bool>>(),
            [false, false, false, true]
        );
        let first = chain(&[deployed('a')]);
        assert!(settle_health(
            &setting,
            &digest('a'),
            &first,
            at(late).unwrap()
        ));
    }

    #[test]
    fn the_evidence_is_of_the_environment_before_and_the_base_of_this_one() {
        let before = Record {
            environment: "staging".to_owned(),
            ..deployed('a')
        };
        let mut read = Read {
            digest: digest('a'),
            commit: Some("e".repeat(40).parse().unwrap()),
            built_for: None,
            plan: None,
            own: stored(&[deployed('b')]),
            before: stored(std::slice::from_ref(&before)),
        };
        let mut setting = setting();
        let history = read.history(&setting).unwrap();
        let subject = read.subject(&setting, &history).unwrap();
        assert_eq!(
            subject.evidence.map(|it| it.environment),
            Some("staging".to_owned())
        );
        assert_eq!(subject.commit, Some(before.commit.clone()));
        let base = Base::Record {
            commit: "b".repeat(40),
            seq: 1,
            runs: true,
        };
        assert_eq!(subject.base, base);
        // A record of another environment is not one of the environment before.
        read.before = stored(&[deployed('a')]);
        let error = read.subject(&setting, &history).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        // Where nothing comes before, it is the commit of the run.
        read.before = stored(&[before]);
        setting.follows = None;
        let subject = read.subject(&setting, &history).unwrap();
        assert_eq!((subject.evidence, subject.commit), (None, read.commit));
    }

    #[test]
    fn the_base_came_by_the_rules() {
        let setting = setting();
        let of = |records: &[Record]| base(&setting, &history(records)).unwrap();
        let from = |digit: char, seq: u64, runs: bool| Base::Record {
            commit: digit.to_string().repeat(40),
            seq,
            runs,
        };
        let by_the_rules = [deployed('a'), deployed('b')];
        let then = |more: &[Record]| of(&[&by_the_rules[..], more].concat());
        assert_eq!(then(&[]), from('b', 2, true));
        assert_eq!(then(&[failed('c')]), from('b', 2, true));
        // A review settles the debt, but nobody examined the commits.
        let broken = [forced('c', "eve"), reviewed('c', "ada")];
        assert_eq!(then(&broken), from('b', 2, false));
        let again = [forced('c', "eve"), rolled_back('b', 'c')];
        assert_eq!(then(&again), from('b', 2, true));
        // The version that a rollback went to may have been forced.
        assert_eq!(then(&[rolled_back('a', 'b')]), from('b', 2, false));
        assert_eq!(
            then(&[forced('c', "eve"), deployed('d')]),
            from('d', 4, true)
        );
        assert_eq!(of(&[forced('c', "eve")]), Base::Nothing);
    }

    #[test]
    fn failures_do_not_push_out_of_sight_what_runs() {
        let mut setting = setting();
        let with = |seq: u64| {
            EnvironmentHistory::of(vec![Recorded {
                record: Record { seq, ..failed('a') },
                hash: String::new(),
            }])
        };
        let seen = LOOK_BACK as u64;
        assert_eq!(base(&setting, &with(seen)).unwrap(), Base::Nothing);
        let error = base(&setting, &with(seen + 1)).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        setting.gate.since = Some("c".repeat(40));
        let since = base(&setting, &with(seen)).unwrap();
        assert_eq!(since, Base::Since("c".repeat(40)));
    }
}

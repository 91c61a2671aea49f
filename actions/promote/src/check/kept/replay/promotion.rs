//! A promotion's decision, made again.

use super::{Replayed, ReplayedDecision, all_kept, differs, no_repository, unreadable};
use crate::check::conditions::{Conditions, ahead, contributors_by_digest};
use crate::check::fact::Fact;
use crate::check::facts::Facts;
use crate::check::host::Host;
use crate::check::kept::{Promotion, Proof};
use crate::check::provenance::Found;
use crate::check::trail::Trail;
use crate::check::{Evidence, Read, break_glass, decide, observe};
use crate::requests::members;
use crate::setting::Setting;
use attest::PublicKey;
use kit::id::Digest;
use ledger::{Chain, Entry};
use time::OffsetDateTime;

impl Promotion {
    pub(super) async fn decide_again(
        &mut self,
        setting: &Setting,
        read: &Read,
        host: &Host,
        now: OffsetDateTime,
    ) -> Result<ReplayedDecision, Replayed> {
        let broken = |error: kit::Error| differs(error.message);
        let history = read.history(setting).map_err(broken)?;
        let subject = read.subject(setting, &history).map_err(broken)?;
        let proof = match &self.provenance {
            None => None,
            Some(fact) => Some(found(fact)?),
        };
        let (github, facts) = match &mut self.github {
            None => (None, Facts::none()),
            Some(answers) => {
                let github = answers.client().ok_or_else(no_repository)?;
                let facts = observe::facts(&github, host, setting, &subject, &history).await;
                (Some(github), facts)
            }
        };
        let promoter = host.promoters(&facts.promoter, setting, self.break_glass.is_some());
        let conditions = Conditions {
            now,
            ahead: ahead(github.as_ref(), &history, &subject).await,
            contributors: contributors_by_digest(github.as_ref(), setting, &history, &subject)
                .await,
            members: members(github.as_ref(), setting.teams()).await,
            history,
            anchored: self.anchored.clone(),
            missing_before: self.missing_before.clone(),
            calendars: self.calendars.clone(),
            promoter,
        };
        github.iter().try_for_each(all_kept)?;
        let mut decision =
            decide::all(setting, &subject, &facts, Some(&conditions), proof.as_ref());
        if let Some(reason) = &self.break_glass {
            break_glass::apply_break_glass(
                &mut decision,
                reason,
                setting,
                &subject,
                Some(&conditions),
            );
        }
        let evidence = Evidence::of(setting, &subject, &facts, Some(&conditions));
        Ok(ReplayedDecision {
            decision,
            commit: subject.commit,
            evidence,
            history: conditions.history,
            promoter: conditions.promoter,
        })
    }
}

impl Promotion {
    /// Checks that the evidence says when the anchor got the record that a soak counts from. Where evidence is kept there is an anchor,
    /// so it was asked, and without it the soak would count from the time that the record itself says.
    pub(super) fn says_when_anchored(
        &self,
        setting: &Setting,
        digest: &Digest,
        before: &[Entry],
    ) -> Result<(), Replayed> {
        let (Some(_), Some(follows)) = (setting.gate.soak, &setting.follows) else {
            return Ok(());
        };
        let chain = Chain::new(&setting.service, follows).map_err(|it| differs(it.message))?;
        let records = before.iter().filter_map(|line| line.recorded(&chain).ok());
        let (_, trail) = Trail::of(&records.collect::<Vec<_>>(), digest);
        match (trail.healthy_since, &self.anchored) {
            (Some(since), None) => Err(differs(format!(
                "its evidence does not say when record {} of {follows} was anchored, and the gate asks for a soak",
                since.seq
            ))),
            _ => Ok(()),
        }
    }
}

/// The provenance that was found.
fn found(fact: &Fact<Proof>) -> Result<Fact<Found>, Replayed> {
    let proof = match fact {
        Ok(proof) => proof,
        Err(unknown) => return Ok(Err(unknown.clone())),
    };
    Ok(Ok(Found {
        key: PublicKey::from_pem(&proof.key).map_err(|error| unreadable(error.message))?,
        repository: proof.repository.clone(),
        manifest: proof.manifest.clone().map(String::into_bytes),
    }))
}

//! The contract that an environment is judged by: the file at one path of the repository. Pure.
//!
//! A person who starts a run may be able to choose the contract that it reads. Rules that were reviewed for something else, in a file that
//! lies anywhere on the branch, must not judge in place of the environment's own.

use crate::entry::Recorded;
use crate::record::{Record, Verdict};

/// The path of the contract that judged where a permit does not say it, because it is of a version that did not keep it: a contract's
/// path by default.
const UNSAID: &str = "delivery.yaml";

/// The path of the contract that a permit was judged by, or that a deployment was recorded by. Nothing for a deployment without a
/// permit that does not say it.
pub fn contract_path(record: &Record) -> Option<&str> {
    let judged = record.verdict == Verdict::Permitted || record.under.is_some();
    match &record.contract_path {
        Some(path) => Some(path),
        None => judged.then_some(UNSAID),
    }
}

/// The newest permit or deployment that says which contract judged, with its path, from records that are newest first. Nothing if none
/// says it: then none judged before.
pub fn judging(records: &[Recorded]) -> Option<(&Record, &str)> {
    let records = records.iter().map(|it| &it.record);
    let mut paths = records
        .filter(|record| record.verdict == Verdict::Permitted || record.is_deployment())
        .filter_map(|record| Some((record, contract_path(record)?)));
    paths.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    fn by(verdict: Verdict, path: Option<&str>, under: Option<u64>) -> Record {
        Record {
            verdict,
            contract_path: path.map(str::to_owned),
            under,
            ..sample(0, 1)
        }
    }

    /// The path that judged, by records from the oldest to the newest.
    fn judged(records: &[Record]) -> Option<String> {
        let newest_first = records.iter().rev().map(|record| Recorded {
            hash: String::new(),
            record: record.clone(),
        });
        let records: Vec<Recorded> = newest_first.collect();
        judging(&records).map(|(_, path)| path.to_owned())
    }

    #[test]
    fn the_newest_permit_or_deployment_that_says_it_names_the_contract() {
        use Verdict::{Failed, Healthy, Permitted, Requested, Reviewed, Started};
        let (a, b) = (Some("a.yaml"), Some("b.yaml"));
        for (records, wanted) in [
            (vec![], None),
            // Without a permit, and from a version that kept no path, nobody knows which one judged, if any did.
            (vec![by(Healthy, None, None)], None),
            (vec![by(Permitted, a, None)], a),
            (vec![by(Permitted, a, None), by(Healthy, b, Some(1))], b),
            (vec![by(Healthy, a, None), by(Failed, None, None)], a),
            (vec![by(Failed, a, None), by(Permitted, b, None)], b),
            // An earlier version did not keep it.
            (vec![by(Permitted, None, None)], Some("delivery.yaml")),
            (
                vec![by(Permitted, a, None), by(Healthy, None, Some(1))],
                Some("delivery.yaml"),
            ),
            // A record that is neither says nothing.
            (vec![by(Permitted, a, None), by(Started, None, Some(1))], a),
            (vec![by(Reviewed, b, None), by(Requested, b, None)], None),
        ] {
            assert_eq!(judged(&records).as_deref(), wanted, "{records:?}");
        }
    }
}

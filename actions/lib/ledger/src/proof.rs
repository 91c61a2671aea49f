//! The proof that a reader needs before it believes a chain: the head signed by the ledger's key, and the head in the anchor. Pure.

use crate::anchor::AnchorContent;
use crate::chain::Chain;
use crate::entry::{Entry, Signed};
use crate::fault::Fault;
use attest::PublicKey;

/// The result of checking the head's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeadProof {
    /// No key is named, or there is no record yet.
    NotAsked,
    /// The key signed the head, and everything read that has to be signed.
    Proven,
    /// The head has no good signature, and a person named its hash and accepts it.
    Accepted,
}

/// Holds the newest entries of a chain, newest first, against the key. They were walked already, so
/// the head's signature covers each of them.
pub(crate) fn signatures(
    chain: &Chain,
    entries: &[Entry],
    key: &PublicKey,
    accept: Option<&str>,
) -> Result<HeadProof, Vec<Fault>> {
    let Some(head) = entries.first() else {
        return Ok(HeadProof::NotAsked);
    };
    let walked = crate::walk::walk(chain, entries.iter().rev(), false, Some(key));
    let proven = head.signed(chain, key) == Signed::Valid;
    if proven && walked.faults.is_empty() {
        return Ok(HeadProof::Proven);
    }
    // A person vouches for the head that has no good signature, and so for what it covers.
    if !proven && accept == Some(head.hash.as_str()) {
        return Ok(HeadProof::Accepted);
    }
    if !proven {
        let seq = head.seq;
        return Err(vec![match head.signature {
            None => Fault::Unsigned { seq },
            Some(_) => Fault::Forged { seq },
        }]);
    }
    Err(walked.faults)
}

/// The result of comparing the head with the anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Anchored {
    /// The anchor has the head, and nothing after it.
    Yes,
    /// The anchor has a later record: either the table has a newer head by now, or its end is gone.
    Later(u64),
    /// The anchor has no hash of the head; what it has of the record before decides.
    Missing,
    /// The anchor contradicts the head.
    No(Fault),
}

/// Holds the head against what the anchor has of it.
pub(crate) fn anchored(head: Option<&Entry>, seen: &AnchorContent) -> Anchored {
    if let Some(later) = seen.later {
        return Anchored::Later(later);
    }
    let Some(head) = head else {
        return Anchored::Yes;
    };
    let replaced = Anchored::No(Fault::Replaced { seq: head.seq });
    match &seen.hash {
        _ if seen.rewritten => replaced,
        Some(hash) if *hash == head.hash => Anchored::Yes,
        Some(_) => replaced,
        None => Anchored::Missing,
    }
}

/// Returns true if a reader may write the missing hash of the head: the run that appended the record
/// may have been killed before it did so. `before` is what the anchor has of the record before, and
/// `empty` whether it has nothing of the chain at all.
pub(crate) fn may_complete(
    head: &Entry,
    before: Option<&str>,
    empty: bool,
    head_proof: &HeadProof,
    accept: Option<&str>,
) -> Result<(), Fault> {
    let unanchored = Err(Fault::Unanchored { seq: head.seq });
    match before {
        _ if head.seq == 1 && empty => Ok(()),
        Some(hash) if hash == head.prev => Ok(()),
        Some(_) => Err(Fault::Replaced { seq: head.seq - 1 }),
        // The anchor is new, and the chain is not.
        None if empty => match head_proof {
            HeadProof::Proven | HeadProof::Accepted => Ok(()),
            HeadProof::NotAsked if accept == Some(head.hash.as_str()) => Ok(()),
            HeadProof::NotAsked => unanchored,
        },
        None => unanchored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    fn entries(count: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for seq in 1..=count {
            let bytes = serde_json::to_string(&sample(seq, 1)).unwrap();
            entries.push(Entry::after(entries.last(), bytes));
        }
        entries.reverse();
        entries
    }

    #[test]
    fn a_head_without_a_signature_needs_a_person_who_names_its_hash() {
        let dev = Chain::new("storefront", "dev").unwrap();
        let signer = attest::Signer::local();
        let key = signer.public_key();
        let entries = entries(3);
        let hash = entries[0].hash.clone();
        let unsigned = Err(vec![Fault::Unsigned { seq: 3 }]);
        assert_eq!(signatures(&dev, &[], key, None), Ok(HeadProof::NotAsked));
        assert_eq!(signatures(&dev, &entries, key, None), unsigned);
        let older = Some(entries[1].hash.as_str());
        assert_eq!(signatures(&dev, &entries, key, older), unsigned);
        let accepted = signatures(&dev, &entries, key, Some(&hash));
        assert_eq!(accepted, Ok(HeadProof::Accepted));
    }

    #[tokio::test]
    async fn a_good_head_does_not_stand_for_a_record_that_has_to_be_signed() {
        let dev = Chain::new("storefront", "dev").unwrap();
        let signer = attest::Signer::local();
        let mut entries = crate::walk::tests::signed(3, 2, &signer).await;
        entries.reverse();
        let hash = entries[0].hash.clone();
        let of = |entries: &[Entry], accept: Option<&str>| {
            signatures(&dev, entries, signer.public_key(), accept)
        };
        assert_eq!(of(&entries, None), Ok(HeadProof::Proven));
        let unsigned = entries[1].signature.take();
        let fault = Err(vec![Fault::Unsigned { seq: 2 }]);
        assert_eq!(of(&entries, None), fault);
        assert_eq!(of(&entries, Some(&hash)), fault);
        // A signature of another record.
        entries[0].signature = unsigned;
        assert_eq!(of(&entries, None), Err(vec![Fault::Forged { seq: 3 }]));
    }

    #[test]
    fn the_anchor_has_the_head_and_nothing_after_it() {
        let entries = entries(2);
        let (head, hash) = (Some(&entries[0]), Some(entries[0].hash.clone()));
        let replaced = Anchored::No(Fault::Replaced { seq: 2 });
        for (head, seen, wanted) in [
            (None, AnchorContent::default(), Anchored::Yes),
            (
                None,
                AnchorContent {
                    later: Some(1),
                    ..AnchorContent::default()
                },
                Anchored::Later(1),
            ),
            (head, AnchorContent::default(), Anchored::Missing),
            (
                head,
                AnchorContent {
                    hash: hash.clone(),
                    ..AnchorContent::default()
                },
                Anchored::Yes,
            ),
            (
                head,
                AnchorContent {
                    hash: Some("0".repeat(64)),
                    ..AnchorContent::default()
                },
                replaced.clone(),
            ),
            (
                head,
                AnchorContent {
                    hash: hash.clone(),
                    rewritten: true,
                    later: None,
                },
                replaced.clone(),
            ),
            // It was deleted.
            (
                head,
                AnchorContent {
                    hash: None,
                    rewritten: true,
                    later: None,
                },
                replaced,
            ),
            (
                head,
                AnchorContent {
                    hash,
                    rewritten: false,
                    later: Some(3),
                },
                Anchored::Later(3),
            ),
        ] {
            assert_eq!(anchored(head, &seen), wanted, "{seen:?}");
        }
    }

    #[test]
    fn a_reader_completes_the_anchor_of_a_head_that_follows_what_is_anchored() {
        use HeadProof::{Accepted, NotAsked, Proven};
        let entries = entries(2);
        let (second, first) = (&entries[0], &entries[1]);
        let (own, other) = (first.hash.as_str(), "0".repeat(64));
        let unanchored = |seq| Err(Fault::Unanchored { seq });
        for (head, before, empty, head_proof, accept, wanted) in [
            (first, None, true, NotAsked, None, Ok(())),
            (first, None, false, Proven, None, unanchored(1)),
            (second, Some(own), false, NotAsked, None, Ok(())),
            (
                second,
                Some(other.as_str()),
                false,
                Proven,
                None,
                Err(Fault::Replaced { seq: 1 }),
            ),
            // Something is anchored, but not the record before: a hash is gone.
            (second, None, false, Proven, None, unanchored(2)),
            // The bucket was named when the chain had begun.
            (second, None, true, NotAsked, None, unanchored(2)),
            (second, None, true, NotAsked, Some(own), unanchored(2)),
            (
                second,
                None,
                true,
                NotAsked,
                Some(second.hash.as_str()),
                Ok(()),
            ),
            (second, None, true, Proven, None, Ok(())),
            (second, None, true, Accepted, None, Ok(())),
        ] {
            let found = may_complete(head, before, empty, &head_proof, accept);
            assert_eq!(found, wanted, "{head:?} {before:?} {empty} {head_proof:?}");
        }
    }
}

use super::*;
use crate::entry::{PAYLOAD_TYPE, link, payload};
use crate::record::{SignedPart, sample, write};
use attest::Signer;

fn dev() -> Chain {
    Chain::new("storefront", "dev").unwrap()
}

fn chain(digests: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (seq, digest) in (1..).zip(digests) {
        let bytes = serde_json::to_string(&sample(seq, *digest)).unwrap();
        entries.push(Entry::after(entries.last(), bytes));
    }
    entries
}

async fn sign(entry: &mut Entry, signer: &Signer) {
    let payload = payload(&dev(), entry.seq, &entry.hash);
    let signature = signer.sign(PAYLOAD_TYPE, payload.as_bytes()).await;
    entry.signature = Some(signature.unwrap());
}

/// A chain whose records from `from` on are signed.
pub(crate) async fn signed(records: u64, from: u64, signer: &Signer) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for seq in 1..=records {
        let part = (seq >= from).then_some(SignedPart {
            signed_from: Some(from),
            accepted_head: None,
        });
        let bytes = write(&sample(seq, 1), part.as_ref()).unwrap();
        let mut entry = Entry::after(entries.last(), bytes);
        if seq >= from {
            sign(&mut entry, signer).await;
        }
        entries.push(entry);
    }
    entries
}

fn faults(entries: &[Entry]) -> Vec<Fault> {
    walk(&dev(), entries, true, None).faults
}

#[test]
fn an_untouched_chain_has_no_fault() {
    let entries = chain(&[1, 2, 3, 4]);
    let walked = walk(&dev(), &entries, true, None);
    assert_eq!(walked.faults, []);
    assert_eq!((walked.records, walked.signed_from), (4, None));
    assert_eq!(walked.head, Some((4, entries[3].hash.clone())));
    assert_eq!(faults(&[]), []);
}

#[test]
fn an_altered_record_is_named() {
    let mut entries = chain(&[1, 2, 3, 4]);
    entries[1].bytes = entries[1].bytes.replace("alice", "mallory");
    assert_eq!(faults(&entries), [Fault::Altered { seq: 2 }]);
}

#[test]
fn altering_a_record_and_its_hash_breaks_the_next() {
    let mut entries = chain(&[1, 2, 3, 4]);
    let bytes = entries[1].bytes.replace("alice", "mallory");
    entries[1] = Entry::after(Some(&entries[0].clone()), bytes);
    assert_eq!(faults(&entries), [Fault::Forked { seq: 3 }]);
}

#[test]
fn missing_records_are_named_wherever_they_were() {
    let mut entries = chain(&[1, 2, 3, 4, 5]);
    entries.drain(1..3);
    assert_eq!(faults(&entries), [Fault::Missing { from: 2, to: 3 }]);
    let mut entries = chain(&[1, 2, 3]);
    entries.remove(0);
    assert_eq!(faults(&entries), [Fault::Missing { from: 1, to: 1 }]);
    assert_eq!(walk(&dev(), &entries, false, None).faults, []);
}

#[test]
fn swapped_contents_are_named() {
    let mut entries = chain(&[1, 2, 3, 4]);
    let (second, third) = (entries[1].clone(), entries[2].clone());
    entries[1] = Entry { seq: 2, ..third };
    entries[2] = Entry { seq: 3, ..second };
    let faults = faults(&entries);
    assert!(faults.contains(&Fault::Reordered { seq: 2 }), "{faults:?}");
    assert!(faults.contains(&Fault::Reordered { seq: 3 }), "{faults:?}");
}

#[test]
fn swapped_entries_are_named_once_and_the_others_are_sound() {
    let mut entries = chain(&[1, 2, 3, 4, 5]);
    entries.swap(2, 3);
    let wanted = [
        Fault::Missing { from: 3, to: 3 },
        Fault::Reordered { seq: 3 },
    ];
    assert_eq!(faults(&entries), wanted);
    let mut entries = chain(&[1, 2]);
    entries.push(entries[1].clone());
    assert_eq!(faults(&entries), [Fault::Reordered { seq: 2 }]);
}

#[test]
fn two_histories_are_named_where_they_part() {
    // The end was written on another beginning.
    let mut entries = chain(&[1, 2, 3]);
    entries[2] = chain(&[9, 2, 3])[2].clone();
    assert_eq!(faults(&entries), [Fault::Forked { seq: 3 }]);

    let mut entries = chain(&[1]);
    entries[0].prev = "1".repeat(64);
    entries[0].hash = link(&entries[0].prev, &entries[0].bytes);
    assert_eq!(faults(&entries), [Fault::Forked { seq: 1 }]);
}

#[test]
fn a_record_carried_over_from_another_environment_is_not_in_its_place() {
    let production = Chain::new("storefront", "production").unwrap();
    let walked = walk(&production, chain(&[1]), true, None);
    assert_eq!(walked.faults, [Fault::Reordered { seq: 1 }]);
}

#[tokio::test]
async fn every_record_of_a_signed_chain_has_to_be_signed_by_the_key() {
    let signer = Signer::local();
    let key = signer.public_key();
    let faults = |entries: &[Entry]| walk(&dev(), entries, true, Some(key)).faults;
    let good = signed(4, 1, &signer).await;
    assert_eq!(faults(&good), []);

    let mut entries = good.clone();
    entries[1].signature = None;
    assert_eq!(faults(&entries), [Fault::Unsigned { seq: 2 }]);

    // Another key, another record's signature, and one in the other alphabet.
    let other = Signer::local();
    sign(&mut entries[1], &other).await;
    assert_eq!(faults(&entries), [Fault::Forged { seq: 2 }]);
    entries[1].signature = good[2].signature.clone();
    assert_eq!(faults(&entries), [Fault::Forged { seq: 2 }]);

    // The head is replaced by somebody who can write the table and has no key: hashes fit.
    let mut entries = good.clone();
    let bytes = entries[3].bytes.replace("healthy", "failed");
    let replaced = Entry::after(Some(&entries[2]), bytes);
    entries[3] = Entry {
        signature: good[3].signature.clone(),
        ..replaced.clone()
    };
    assert_eq!(faults(&entries), [Fault::Forged { seq: 4 }]);
    entries[3] = replaced;
    assert_eq!(faults(&entries), [Fault::Unsigned { seq: 4 }]);
}

#[tokio::test]
async fn records_before_the_signed_part_need_no_signature_and_are_covered_by_it() {
    let signer = Signer::local();
    let key = Some(signer.public_key());
    let good = signed(5, 3, &signer).await;
    let walked = walk(&dev(), &good, true, key);
    assert_eq!((walked.faults, walked.signed_from), (vec![], Some(3)));
    // Whole or from anywhere, what was altered before it is found.
    let mut entries = good.clone();
    let bytes = entries[1].bytes.replace("alice", "mallory");
    entries[1] = Entry::after(Some(&entries[0].clone()), bytes);
    let walked = walk(&dev(), &entries, true, key);
    assert_eq!(walked.faults, [Fault::Forked { seq: 3 }]);
    // A later record that nobody signed is not excused by it.
    let mut entries = good;
    let bytes = serde_json::to_string(&sample(6, 1)).unwrap();
    entries.push(Entry::after(entries.last(), bytes));
    let walked = walk(&dev(), &entries, true, key);
    assert_eq!(walked.faults, [Fault::Unsigned { seq: 6 }]);
}

#[tokio::test]
async fn a_chain_that_nobody_signed_has_no_signed_part() {
    let signer = Signer::local();
    let walked = walk(&dev(), chain(&[1, 2]), true, Some(signer.public_key()));
    assert_eq!(walked.signed_from, None);
    assert_eq!(
        walked.faults,
        [Fault::Unsigned { seq: 1 }, Fault::Unsigned { seq: 2 }]
    );
}

#[tokio::test]
async fn an_altered_record_does_not_move_the_beginning_of_the_signed_part() {
    let signer = Signer::local();
    let mut entries = signed(4, 3, &signer).await;
    // Its signature covers the hash, and not these bytes.
    entries[3].bytes = entries[3].bytes.replace("alice", "mallory");
    let walked = walk(&dev(), &entries, true, Some(signer.public_key()));
    assert_eq!(walked.faults, [Fault::Altered { seq: 4 }]);
    assert_eq!(walked.signed_from, Some(3));
}

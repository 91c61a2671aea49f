//! Cases of the rules about rollbacks and break-glass that nobody else has reviewed yet.

use super::*;

pub(super) const FAILING: &[Case] = &[
    (
        "rolled back from here",
        "rolled back",
        "nobody has reviewed",
        "promote review --environment production",
        |s| {
            s.after(&[deployed('a'), deployed('c'), rolled_back('a', 'c')]);
        },
    ),
    (
        "reviewed by the promoter alone",
        "rolled back",
        "only dora has reviewed",
        "who neither promotes it nor contributed to it",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                reviewed('c', "Dora"),
            ]);
        },
    ),
    (
        "reviewed by its author alone",
        "rolled back",
        "only alice, who contributed to it, has reviewed",
        "who neither promotes it nor contributed to it",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                reviewed('c', "alice"),
            ]);
        },
    ),
    (
        "reviewed by the person who had forced it through",
        "rolled back",
        "only eve, who forced it through, has reviewed",
        "who neither promotes it nor contributed to it",
        |s| {
            s.after(&[
                deployed('a'),
                forced('c', "eve"),
                reviewed('c', "ada"),
                rolled_back('a', 'c'),
                reviewed('c', "eve"),
            ]);
        },
    ),
    (
        "an app among its contributors, and one reviewer",
        "rolled back",
        "only ada has reviewed that, and 2 people have to: renovate[bot] contributed to it",
        "say under `apps` of the contract who stands for renovate[bot]",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                reviewed('c', "alice"),
                reviewed('c', "ada"),
                reviewed('c', "ADA"),
            ]);
            let contributors = Ok(by_alice(&["renovate[bot]"]));
            s.conditions.contributors.insert(digest('c'), contributors);
        },
    ),
    (
        "rolled back from, and another digest forced through since",
        "rolled back",
        "and nobody has reviewed that",
        "somebody review this one",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                forced('b', "eve"),
                reviewed('b', "ada"),
            ]);
        },
    ),
    (
        "rolled back from in staging",
        "rolled back",
        "staging was rolled back from it",
        "deploy this one to staging again",
        |s| {
            s.subject.trail.rolled_back = Some(rolled_back('a', 'c'));
        },
    ),
    (
        "a glass nobody reviewed",
        "debt",
        "eve used break-glass for sha256:bb",
        "somebody other than eve",
        |s| {
            s.after(&[deployed('a'), forced('b', "eve")]);
        },
    ),
    (
        "a glass that its author reviewed",
        "debt",
        "only alice, who contributed to it, has reviewed",
        "who neither wrote, committed nor pushed any of it",
        |s| {
            let reviews = [reviewed('b', "eve"), reviewed('b', "alice")];
            let broken = [deployed('a'), forced('b', "eve")];
            s.after(&[&broken[..], &reviews].concat());
        },
    ),
    (
        "a glass with an app among its contributors, and one reviewer",
        "debt",
        "only ada has reviewed that, and 2 people have to: renovate[bot] contributed to it",
        "say under `apps` of the contract who stands for renovate[bot]",
        |s| {
            s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "ada")]);
            let contributors = Ok(by_alice(&["renovate[bot]"]));
            s.conditions.contributors.insert(digest('b'), contributors);
        },
    ),
    (
        "a glass that failed",
        "debt",
        "eve used break-glass",
        "somebody other than eve",
        |s| {
            let mut record = forced('b', "eve");
            record.verdict = ledger::Verdict::Failed;
            s.after(&[deployed('a'), record]);
        },
    ),
];

pub(super) const HIDDEN: &[Hidden] = &[
    ("who wrote what was forced through", "debt", |s| {
        s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "ada")]);
        let contributors = &mut s.conditions.contributors;
        contributors.insert(digest('b'), Err(unseen()));
    }),
    ("who wrote it was not asked", "debt", |s| {
        s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "ada")]);
        s.conditions.contributors.clear();
    }),
    ("who wrote what was rolled back", "rolled back", |s| {
        s.after(&[deployed('c'), rolled_back('a', 'c'), reviewed('c', "ada")]);
        s.conditions.contributors.clear();
    }),
    ("whether the promoter is the reviewer", "rolled back", |s| {
        s.after(&[deployed('c'), rolled_back('a', 'c'), reviewed('c', "ada")]);
        s.conditions.promoter = Err(unseen());
    }),
];

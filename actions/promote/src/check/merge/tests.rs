//! Merges that are proven, and merges that are not.

use super::*;
use crate::check::tests::{commit, on_branch, pull};
use github::Entry;

/// A pull request that was opened on `base` and merged on `direct` as `m`.
fn late() -> (BTreeMap<String, RangeCommit>, Pull) {
    let commits = [
        on_branch("a", "tree a", &["base"]),
        on_branch("direct", "tree d", &["base"]),
        on_branch("m", "tree m", &["direct", "a"]),
    ];
    let known = commits
        .into_iter()
        .map(|one| (one.sha.clone(), one))
        .collect();
    let pull = Pull {
        head: "a".to_owned(),
        merge_commit: Some("m".to_owned()),
        commits: vec![commit("a", "base", "alice")],
        ..pull()
    };
    (known, pull)
}

fn judge(sides: Option<&Sides>) -> Result<(), Unproven> {
    let (known, pull) = late();
    let landing = landing(&known, &pull).unwrap();
    proven(&landing, &pull, &known, sides)
}

#[test]
fn an_up_to_date_head_is_merged_as_it_is() {
    let (mut known, pull) = late();
    let merge = known.get_mut("m").unwrap();
    merge.parents[0] = "base".to_owned();
    merge.tree = "tree of a".to_owned();
    let ok = landing(&known, &pull).unwrap();
    assert!(ok.up_to_date);
    proven(&ok, &pull, &known, None).unwrap();
    known.get_mut("m").unwrap().tree = "more".to_owned();
    let why = proven(&ok, &pull, &known, None).unwrap_err();
    assert!(matches!(why, Unproven::OtherContent { .. }), "{why}");
    assert_eq!(
        why.to_string(),
        format!(
            "#{}: the content of m is not that of its final head a",
            pull.number
        )
    );
}

/// The head's tree is not enough where the branch had more: the merge would take that away.
#[test]
fn a_late_merge_is_compared_with_both_sides() {
    let why = judge(None).unwrap_err();
    assert!(matches!(why, Unproven::NotCompared { .. }), "{why}");
    // Nothing was read of it.
    judge(Some(&Sides::default())).unwrap_err();
    let root = |commit: usize, entries: &[&str]| {
        let entry = |name: &&str| Entry {
            key: (*name).to_owned(),
            name: (*name).to_owned(),
            mode: 0o100_644,
            oid: "blob".to_owned(),
        };
        ((commit, String::new()), entries.iter().map(entry).collect())
    };
    let sides = |made: &[&str]| Sides {
        directories: [
            root(0, &["a"]),
            root(1, &["a", "ours"]),
            root(2, &["a", "theirs"]),
            root(3, made),
        ]
        .into(),
        ..Sides::default()
    };
    judge(Some(&sides(&["a", "ours", "theirs"]))).unwrap();
    let made = ["a", "ours", "theirs", "z1", "z2", "z3", "z4"];
    let why = judge(Some(&sides(&made))).unwrap_err();
    let words = "`z1`, `z2`, `z3` and 1 more is not what merging its final head a gives";
    assert!(why.to_string().contains(words), "{why}");
}

#[test]
fn a_merge_of_another_commit_is_named() {
    let (mut known, pull) = late();
    known.get_mut("m").unwrap().parents[1] = "other".to_owned();
    let why = |known: &_| landing(known, &pull).unwrap_err().to_string();
    assert_eq!(why(&known), "m merges other, not its final head a");
    known.get_mut("m").unwrap().parents.clear();
    assert_eq!(why(&known), "m has no parent");
}

/// A commit that was on the branch before may have the same message, such as "wip".
#[test]
fn a_rebase_ends_where_message_or_time_are_others() {
    let (_, mut pull) = late();
    pull.commits = vec![commit("a1", "base", "alice"), commit("a", "a1", "alice")];
    let made = |sha: &str, parent: &str, of: &PullCommit| RangeCommit {
        message: of.message.clone(),
        authored_at: of.authored_at.clone(),
        ..on_branch(sha, "t", &[parent])
    };
    let series = |spoil: fn(&mut RangeCommit)| {
        let mut first = made("m1", "base", &pull.commits[0]);
        spoil(&mut first);
        let all = [first, made("m", "m1", &pull.commits[1])];
        let known = all.into_iter().map(|one| (one.sha.clone(), one)).collect();
        landing(&known, &pull).unwrap().commits
    };
    assert_eq!(series(|_| ()), ["m", "m1"]);
    assert_eq!(series(|one| one.message = "wip".to_owned()), ["m"]);
    assert_eq!(series(|one| one.authored_at = String::new()), ["m"]);
}

#[test]
fn only_a_merge_of_the_branch_is_an_update() {
    let mut update = commit("u", "a", "bob");
    update.parents.push("main".to_owned());
    let mut own = commit("w", "u", "bob");
    own.parents.push("a".to_owned());
    let pull = Pull {
        commits: vec![commit("a", "base", "alice"), update, own],
        ..pull()
    };
    let found: Vec<&str> = updates(&pull).iter().map(|one| one.sha.as_str()).collect();
    assert_eq!(found, ["u"]);
}

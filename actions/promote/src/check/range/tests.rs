//! The commits that a pull request explains, for each way to merge.

use super::*;
use crate::check::tests::{commit, on_branch, pull};

/// A pull request with these commits, each on the one before, from `base` on.
fn request(number: u64, base: &str, commits: &[&str], merge: &str) -> Pull {
    let parents = std::iter::once(base).chain(commits.iter().copied());
    let commits: Vec<_> = commits
        .iter()
        .zip(parents)
        .map(|(sha, parent)| commit(sha, parent, "alice"))
        .collect();
    Pull {
        number,
        head: commits.last().unwrap().sha.clone(),
        merge_commit: Some(merge.to_owned()),
        commits,
        ..pull()
    }
}

/// A rebased copy of a commit.
fn copy(sha: &str, of: &str, parent: &str) -> RangeCommit {
    let own = commit(of, "", "alice");
    RangeCommit {
        message: own.message,
        authored_at: own.authored_at,
        ..on_branch(sha, "t", &[parent])
    }
}

fn range(commits: Vec<RangeCommit>) -> Range {
    Range::new(Base::Nothing, "ahead", commits, Vec::new())
}

#[track_caller]
fn unexplained(range: &Range, pulls: &[Pull], wanted: &[&str]) {
    let brought = range.brought(pulls.iter());
    let found = range.unexplained(&brought);
    let found: Vec<&str> = found.iter().map(|one| one.sha.as_str()).collect();
    assert_eq!(found, wanted, "{brought:?}");
}

#[test]
fn a_merge_explains_itself_and_the_commits_of_its_pull_request() {
    let range = range(vec![
        on_branch("a", "", &["base"]),
        on_branch("b", "", &["a"]),
        on_branch("direct", "", &["base"]),
        on_branch("m", "", &["direct", "b"]),
    ]);
    unexplained(&range, &[request(1, "base", &["a", "b"], "m")], &["direct"]);
    // The head that was merged is not the final one.
    unexplained(
        &range,
        &[request(1, "base", &["a", "b", "c"], "m")],
        &["a", "b", "direct", "m"],
    );
    unexplained(&range, &[], &["a", "b", "direct", "m"]);
}

#[test]
fn a_commit_inside_a_merge_that_its_pull_request_does_not_list_is_named() {
    let range = range(vec![
        on_branch("hidden", "", &["base"]),
        on_branch("a", "", &["hidden"]),
        on_branch("m", "", &["base", "a"]),
    ]);
    unexplained(&range, &[request(1, "hidden", &["a"], "m")], &["hidden"]);
}

#[test]
fn a_squash_explains_one_commit() {
    let range = range(vec![
        on_branch("direct", "", &["base"]),
        on_branch("s", "", &["direct"]),
    ]);
    unexplained(&range, &[request(1, "base", &["a", "b"], "s")], &["direct"]);
}

#[test]
fn a_rebase_explains_the_copies_of_its_commits_and_no_more() {
    let range = range(vec![
        on_branch("direct", "", &["base"]),
        copy("a2", "a", "direct"),
        copy("b2", "b", "a2"),
    ]);
    unexplained(
        &range,
        &[request(1, "base", &["a", "b"], "b2")],
        &["direct"],
    );
    let brought = range.brought([request(1, "base", &["a", "b"], "b2")].iter());
    assert_eq!(brought.landings[&1].parent, "direct");
    // One of the commits was on the branch already, so that the rebase left it out.
    unexplained(
        &range,
        &[request(1, "base", &["b"], "b2")],
        &["direct", "a2"],
    );
}

#[test]
fn a_branch_that_was_moved_to_the_head_explains_its_commits() {
    let range = range(vec![
        on_branch("direct", "", &["base"]),
        on_branch("a", "", &["direct"]),
        on_branch("b", "", &["a"]),
    ]);
    let mut moved = request(1, "direct", &["a", "b"], "b");
    unexplained(&range, std::slice::from_ref(&moved), &["direct"]);
    moved.merge_commit = None;
    unexplained(&range, &[moved], &["direct"]);
}

#[test]
fn a_merge_queue_puts_one_pull_request_on_the_other() {
    let range = range(vec![
        on_branch("a", "", &["base"]),
        on_branch("b", "", &["base"]),
        on_branch("m1", "", &["base", "a"]),
        on_branch("m2", "", &["m1", "b"]),
    ]);
    let pulls = [
        request(1, "base", &["a"], "m1"),
        request(2, "base", &["b"], "m2"),
    ];
    unexplained(&range, &pulls, &[]);
    let brought = range.brought(pulls.iter());
    assert_eq!(brought.ended_in("m2"), [2]);
    assert_eq!(brought.ended_in("b"), [2]);
    assert!(brought.landings[&1].up_to_date);
    assert!(!brought.landings[&2].up_to_date);
}

#[test]
fn the_first_parents_lead_back_to_the_base() {
    let range = range(vec![
        on_branch("a", "", &["base"]),
        on_branch("m1", "", &["base", "a"]),
        on_branch("s", "", &["m1"]),
    ]);
    assert_eq!(range.first_parents("s"), ["s", "m1"]);
}

#[test]
fn a_first_promotion_is_examined_from_the_branchs_first_commit() {
    let merge = on_branch("m", "m", &["b", "side"]);
    let all = vec![
        merge.clone(),
        // Another history without a beginning in this one: it came with a pull request, or not at all.
        on_branch("side", "s", &["other"]),
        on_branch("other", "o", &[]),
        on_branch("b", "b", &["a"]),
        on_branch("a", "a", &[]),
    ];
    let range = Range::from_the_first(all.clone(), "m").unwrap();
    let shas: Vec<&str> = range.commits.iter().map(|one| one.sha.as_str()).collect();
    assert_eq!(shas, ["b", "other", "side", "m"]);
    assert_eq!(range.base, Base::First("a".to_owned()));
    assert!(range.known.contains_key("a"));
    assert_eq!(range.first_parents("m"), ["m", "b"]);
    // The first commit itself is promoted, so it is examined.
    let alone = Range::from_the_first(vec![on_branch("a", "a", &[])], "a").unwrap();
    assert_eq!(alone.commits.len(), 1);
    // GitHub's list does not reach the beginning.
    assert!(Range::from_the_first(vec![merge], "m").is_none());
    assert!(Range::from_the_first(all, "elsewhere").is_none());
}

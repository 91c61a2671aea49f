//! Whose pushes count.

use super::*;
use crate::check::tests::{commit, pull, push, pushes};

fn request() -> Pull {
    Pull {
        head: "h".to_owned(),
        commits: vec![commit("g", "base", "alice"), commit("h", "g", "alice")],
        ..pull()
    }
}

fn pusher_logins(activity: &[Activity], pure: &[&str]) -> Vec<String> {
    let pure = pure.iter().map(|&sha| sha.to_owned()).collect();
    let users = pushers(&request(), activity, &pure).unwrap();
    users.into_iter().map(|user| user.login).collect()
}

fn forced(login: &str, before: &str, after: &str) -> Activity {
    Activity {
        activity_type: "force_push".to_owned(),
        ..push(login, before, after)
    }
}

#[test]
fn a_push_that_was_replaced_counts() {
    let mut all = vec![forced("alice", "x2", "h")];
    all.extend(pushes(&[("bob", "x2"), ("carol", "x1"), ("alice", "g")]));
    assert_eq!(pusher_logins(&all, &[]), ["alice", "bob", "carol", "alice"]);
    // Also where the branch was first set back to what was merged.
    let mut reset = vec![push("alice", "base", "h"), forced("alice", "x2", "base")];
    reset.extend(pushes(&[("bob", "x2"), ("alice", "base")]));
    assert_eq!(
        pusher_logins(&reset, &[]),
        ["alice", "alice", "bob", "alice"]
    );
}

#[test]
fn pushes_before_the_previous_merge_of_the_branch_do_not_count() {
    let mut all = vec![push("alice", "base", "h")];
    all.extend(pushes(&[("bob", "base"), ("bob", "older")]));
    assert_eq!(pusher_logins(&all, &[]), ["alice"]);
    // While the pull request is open, everything counts.
    all[1].timestamp = "2026-11-21T16:20:00Z".to_owned();
    assert_eq!(pusher_logins(&all, &[]), ["alice", "bob", "bob"]);
}

#[test]
fn another_branch_of_the_same_name_does_not_count() {
    let mut all = pushes(&[("alice", "h"), ("alice", "g")]);
    all.extend(pushes(&[("bob", "x")]));
    assert_eq!(pusher_logins(&all, &[]), ["alice", "alice"]);
}

/// The button "Restore branch", on a pull request that is open or merged.
#[test]
fn a_branch_that_is_deleted_and_restored_keeps_its_pushes() {
    let at = |kind: &str, time: &str, activity: Activity| Activity {
        activity_type: kind.to_owned(),
        timestamp: format!("2026-11-21T{time}Z"),
        ..activity
    };
    let none = "0".repeat(40);
    let restored = |deleted: &str, restored: &str| {
        let mut all = vec![
            at("branch_creation", restored, push("alice", &none, "h")),
            at("branch_deletion", deleted, push("carol", "h", &none)),
        ];
        all.extend(pushes(&[("bob", "h"), ("alice", "g")]));
        all
    };
    let kept = restored("16:20:00", "16:30:00");
    assert_eq!(pusher_logins(&kept, &[]), ["alice", "bob", "alice"]);
    // In the second in which the pull request was opened.
    let kept = restored("16:10:00", "16:10:00");
    assert_eq!(pusher_logins(&kept, &[]), ["alice", "bob", "alice"]);
    // Before there was a pull request, it was another branch.
    let other = restored("16:05:00", "16:06:00");
    assert_eq!(pusher_logins(&other, &[]), ["alice"]);
    // A time that GitHub leaves out is not an earlier one.
    let mut unknown = restored("16:05:00", "16:06:00");
    unknown[0].timestamp.clear();
    unknown[1].timestamp.clear();
    assert_eq!(pusher_logins(&unknown, &[]), ["alice", "bob", "alice"]);
}

#[test]
fn pushes_after_the_final_head_do_not_count() {
    let mut all = vec![push("bob", "h", "later")];
    all.extend(pushes(&[("alice", "h"), ("alice", "g")]));
    assert_eq!(pusher_logins(&all, &[]), ["alice", "alice"]);
}

#[test]
fn a_push_of_nothing_but_a_proven_update_does_not_count() {
    let all = pushes(&[("bob", "h"), ("alice", "g")]);
    assert_eq!(pusher_logins(&all, &["h"]), ["alice"]);
    let more = pushes(&[("bob", "h"), ("alice", "f")]);
    assert_eq!(pusher_logins(&more, &["h"]), ["bob"]);
}

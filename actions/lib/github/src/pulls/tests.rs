//! Lists that go on, and lists that are not whole.

use super::*;
use crate::pull::Event;

fn answer(commits: usize, total: usize, next: Option<&str>) -> Lists {
    let signer = json!({"email": "a@acme.example", "user": {"login": "alice", "databaseId": 1}});
    let node = |at: usize| {
        json!({"commit": {
            "oid": format!("c{at}"), "message": "m", "authoredDate": "2026-11-21T18:00:00Z",
            "committedViaWeb": false, "tree": {"oid": "t"},
            "parents": {"totalCount": 1, "nodes": [{"oid": "p"}]},
            "author": signer, "committer": signer,
            "authors": {"totalCount": 2, "nodes": [signer, {"email": "b@acme.example", "user": null}]},
        }})
    };
    let nodes: Vec<_> = (0..commits).map(node).collect();
    let end = json!({"hasNextPage": false, "endCursor": null});
    serde_json::from_value(json!({
        "commits": {"totalCount": total, "nodes": nodes,
            "pageInfo": {"hasNextPage": next.is_some(), "endCursor": next}},
        "reviews": {"totalCount": 0, "nodes": [], "pageInfo": end},
        "timelineItems": {"nodes": [
            {"__typename": "ReviewDismissedEvent", "actor": {"__typename": "Bot", "login": "ci", "databaseId": 5},
             "previousReviewState": "CHANGES_REQUESTED", "review": {"databaseId": 9}},
        ], "pageInfo": end},
    }))
    .unwrap()
}

fn reading(lists: Lists) -> Result<Reading, Unknown> {
    Reading::begin(Answered {
        number: 7,
        url: String::new(),
        title: String::new(),
        merged: true,
        created_at: String::new(),
        base_ref_name: "main".to_owned(),
        head_ref_name: "topic".to_owned(),
        head_ref_oid: "c1".to_owned(),
        is_cross_repository: false,
        base_repository: None,
        head_repository: None,
        merge_commit: None,
        author: None,
        lists,
    })
}

#[test]
fn an_author_is_not_listed_again_as_a_co_author() {
    let pull = reading(answer(2, 2, None)).unwrap().complete().unwrap();
    let emails: Vec<_> = pull.commits[0]
        .co_authors
        .iter()
        .map(|signer| signer.email.as_deref())
        .collect();
    assert_eq!(emails, [Some("b@acme.example")]);
    let Event::Dismissed { actor, review, .. } = &pull.events[0] else {
        panic!("{pull:?}")
    };
    assert_eq!(actor.as_ref().unwrap().login, "ci[bot]");
    assert_eq!(*review, Some(9));
}

#[test]
fn a_list_that_goes_on_is_asked_for_alone() {
    let reading = reading(answer(2, 3, Some("x\"y"))).unwrap();
    assert!(!reading.cursors.ended());
    let selection = reading.cursors.selection();
    assert!(
        selection.contains(r#"commits(first:50,after:"x\"y")"#),
        "{selection}"
    );
    assert!(!selection.contains("reviews("), "{selection}");
}

#[test]
fn fewer_entries_than_github_counts_are_unknown() {
    let unknown = reading(answer(250, 300, None))
        .unwrap()
        .complete()
        .unwrap_err();
    assert!(
        unknown.to_string().contains("250 of its 300 commits"),
        "{unknown}"
    );
    // The list ends before the head.
    let unknown = reading(answer(1, 1, None)).unwrap().complete().unwrap_err();
    assert!(
        unknown
            .to_string()
            .contains("its head c1 is not among the 1 commits"),
        "{unknown}"
    );
    // The same cursor again would never end.
    let mut reading = reading(answer(1, 3, Some("x"))).unwrap();
    let again = Lists {
        reviews: None,
        timeline_items: None,
        ..answer(1, 3, Some("x"))
    };
    reading.take(again).unwrap_err();
}

/// Kept answers are given as often as they are asked for.
#[test]
fn cursors_that_lead_round_in_a_circle_end() {
    for commits in [0, 1, 50] {
        let mut reading = reading(answer(commits, 3, Some("x"))).unwrap();
        let mut rounds = ["y", "x"].into_iter().cycle().take(1000);
        let ended = rounds.find_map(|next| {
            let again = Lists {
                reviews: None,
                timeline_items: None,
                ..answer(commits, 3, Some(next))
            };
            reading.take(again).err()
        });
        ended.unwrap();
    }
}

//! Pull requests from the first push to the merge, and the checks and comments on them.

use serde_json::json;

use crate::support::World;

#[test]
fn a_merge_makes_a_real_commit_with_two_parents() {
    let world = World::new();
    let before = world.git(&["rev-parse", "main"]).unwrap();
    let number = world.pull("ana", "topic");
    let head = world.git(&["rev-parse", "topic"]).unwrap();
    world.act(
        &format!("pulls/{number}/reviews"),
        json!({"user": "ben", "state": "APPROVED"}),
    );
    let sha = world.act(&format!("pulls/{number}/merge"), json!({"user": "ben"}))["sha"]
        .as_str()
        .unwrap()
        .to_owned();

    assert_eq!(world.git(&["rev-parse", "main"]), Some(sha.clone()));
    assert_eq!(
        world.git(&["log", "-1", "--format=%P|%ae|%ce", "main"]),
        Some(format!("{before} {head}|ben@acme.test|noreply@github.com"))
    );
    let pull = world.get(&format!("pulls/{number}")).expect(200);
    assert_eq!(
        (
            &pull["merged"],
            &pull["merged_by"]["id"],
            &pull["merge_commit_sha"]
        ),
        (&json!(true), &json!(102), &json!(sha))
    );
    assert_eq!(
        (&pull["head"]["sha"], &pull["base"]["sha"], &pull["state"]),
        (&json!(head), &json!(before), &json!("closed"))
    );
    let latest = world.get("activity").expect(200)[0].clone();
    assert_eq!(
        (&latest["activity_type"], &latest["actor"]["login"]),
        (&json!("pr_merge"), &json!("ben"))
    );
    for commit in [&sha, &head] {
        let pulls = world.get(&format!("commits/{commit}/pulls")).expect(200);
        assert_eq!(
            (pulls.as_array().unwrap().len(), &pulls[0]["number"]),
            (1, &json!(number))
        );
    }
    assert_eq!(
        world.get(&format!("commits/{before}/pulls")).expect(200),
        json!([]),
        "pushed straight to main"
    );
    let committer = world.get(&format!("commits/{sha}")).expect(200)["committer"]["login"].clone();
    assert_eq!(committer, "web-flow");
}

#[test]
fn a_squash_hides_the_commits_and_names_the_other_authors() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    world.push("ben", "topic", &[("more.txt", "x\n")]);
    let sha = world.act(
        &format!("pulls/{number}/merge"),
        json!({"user": "rita", "method": "squash"}),
    )["sha"]
        .as_str()
        .unwrap()
        .to_owned();
    let message = world
        .git(&["log", "-1", "--format=%an %cn%n%B", "main"])
        .unwrap();
    assert_eq!(
        message,
        format!("ana GitHub\nAdd topic (#{number})\n\nCo-authored-by: ben <ben@acme.test>")
    );
    let commits = world.get(&format!("pulls/{number}/commits")).expect(200);
    let authors: Vec<_> = commits
        .as_array()
        .unwrap()
        .iter()
        .map(|commit| commit["author"]["login"].clone())
        .collect();
    assert_eq!(authors, ["ana", "ben"], "the pull request still knows them");
    assert_eq!(
        world.get(&format!("commits/{sha}/pulls")).expect(200)[0]["merge_commit_sha"],
        sha
    );
}

#[test]
fn a_conflict_and_a_second_merge_are_refused() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    world.push("ben", "main", &[("topic.txt", "other\n")]);
    assert_eq!(
        world.get(&format!("pulls/{number}")).expect(200)["mergeable"],
        false
    );
    assert_eq!(
        world
            .refused(&format!("pulls/{number}/merge"), json!({"user": "ben"}))
            .0,
        405
    );
    let clean = world.pull("ana", "clean");
    world.act(&format!("pulls/{clean}/merge"), json!({"user": "ben"}));
    assert_eq!(
        world
            .refused(&format!("pulls/{clean}/merge"), json!({"user": "ben"}))
            .0,
        405
    );
}

#[test]
fn reviews_stay_with_the_commit_they_were_given_on() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    let first = world.git(&["rev-parse", "topic"]).unwrap();
    let review = world.act(
        &format!("pulls/{number}/reviews"),
        json!({"user": "ben", "state": "APPROVED"}),
    )["id"]
        .clone();
    let second = world.push("ana", "topic", &[("more.txt", "x\n")]);
    world.act(
        &format!("pulls/{number}/reviews"),
        json!({"user": "rita", "state": "COMMENTED"}),
    );
    let reviews = world.get(&format!("pulls/{number}/reviews")).expect(200);
    assert_eq!(
        (&reviews[0]["commit_id"], &reviews[0]["user"]["id"]),
        (&json!(first), &json!(102))
    );
    assert_eq!(
        (&reviews[1]["commit_id"], &reviews[1]["state"]),
        (&json!(second), &json!("COMMENTED"))
    );
    world.act(
        &format!("pulls/{number}/reviews/{review}/dismiss"),
        json!({}),
    );
    assert_eq!(
        world.get(&format!("pulls/{number}/reviews")).expect(200)[0]["state"],
        "DISMISSED"
    );
    let own = world.refused(
        &format!("pulls/{number}/reviews"),
        json!({"user": "ana", "state": "APPROVED"}),
    );
    assert_eq!(
        own,
        (422, "Can not approve your own pull request".to_owned())
    );
}

#[test]
fn an_open_pull_request_is_found_by_its_branch_and_its_commits() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    let head = world.git(&["rev-parse", "topic"]).unwrap();
    for name in ["topic", &head] {
        assert_eq!(
            world.get(&format!("commits/{name}/pulls")).expect(200)[0]["number"],
            number,
            "{name}"
        );
    }
    assert_eq!(
        world.get("pulls?head=acme:topic").expect(200)[0]["number"],
        number
    );
    world.act(&format!("pulls/{number}/close"), json!({}));
    assert_eq!(
        world.get(&format!("commits/{head}/pulls")).expect(200),
        json!([])
    );
    assert_eq!(world.get("pulls").expect(200), json!([]));
    assert_eq!(
        world.get("pulls?state=closed").expect(200)[0]["number"],
        number
    );
    assert_eq!(world.get("pulls/99").status, 404);
}

#[test]
fn checks_and_statuses_carry_their_app_and_the_latest_counts() {
    let world = World::new();
    assert_eq!(
        world.get("commits/main/status").expect(200)["state"],
        "pending",
        "nothing reported yet"
    );
    world.act(
        "check-runs",
        json!({"ref": "main", "name": "test", "conclusion": "failure"}),
    );
    world.act(
        "check-runs",
        json!({"ref": "main", "name": "test", "conclusion": "success"}),
    );
    world.act(
        "check-runs",
        json!({"ref": "main", "name": "test", "app_id": 99, "conclusion": "success"}),
    );
    world.act(
        "check-runs",
        json!({"ref": "main", "name": "slow", "status": "in_progress"}),
    );
    let latest = world
        .get("commits/main/check-runs?check_name=test")
        .expect(200);
    let mut seen: Vec<_> = latest["check_runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            (
                run["app"]["id"].as_u64().unwrap(),
                run["conclusion"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [(99, "success".to_owned()), (15368, "success".to_owned())]
    );
    assert_eq!(
        world.get("commits/main/check-runs?filter=all").expect(200)["total_count"],
        4
    );
    assert_eq!(
        world
            .get("commits/main/check-runs?status=in_progress")
            .expect(200)["check_runs"][0]["conclusion"],
        json!(null)
    );

    world.act(
        "statuses",
        json!({"ref": "main", "context": "ci", "state": "failure"}),
    );
    assert_eq!(
        world.get("commits/main/status").expect(200)["state"],
        "failure"
    );
    world.act(
        "statuses",
        json!({"ref": "main", "context": "ci", "state": "success"}),
    );
    let combined = world.get("commits/main/status").expect(200);
    assert_eq!(
        (&combined["state"], &combined["total_count"]),
        (&json!("success"), &json!(1))
    );
}

#[test]
fn comments_are_written_read_and_changed() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    let path = format!("issues/{number}/comments");
    let made = world
        .call("POST", &path, Some(json!({"body": "first"})))
        .expect(201);
    let id = &made["id"];
    world
        .call(
            "PATCH",
            &format!("issues/comments/{id}"),
            Some(json!({"body": "second"})),
        )
        .expect(200);
    let all = world.get(&path).expect(200);
    assert_eq!(
        (
            all.as_array().unwrap().len(),
            &all[0]["body"],
            &all[0]["user"]["login"]
        ),
        (1, &json!("second"), &json!("ana"))
    );
    assert_eq!(
        world.call("POST", &path, Some(json!({"text": "x"}))).status,
        422,
        "GitHub wants `body`"
    );
    assert_eq!(
        world
            .call("POST", "issues/99/comments", Some(json!({"body": "x"})))
            .status,
        404
    );
}

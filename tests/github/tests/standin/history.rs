//! Commits, comparisons, contents, branches and activity of a real repository.

use serde_json::json;

use crate::support::World;

/// 260 commits on main in one go.
fn many(world: &World, branch: &str, count: usize) {
    let mut stream = String::new();
    for index in 0..count {
        let from = if index == 0 {
            "from refs/heads/main^0\n"
        } else {
            ""
        };
        stream.push_str(&format!(
            "commit refs/heads/{branch}\ncommitter ana <ana@acme.test> {} +0000\ndata 8\nchange {}\n{from}M 100644 inline n.txt\ndata {}\n{index}\n\n",
            1_800_000_000 + index,
            index % 10,
            index.to_string().len() + 1
        ));
    }
    let mut import = std::process::Command::new("git")
        .arg("-C")
        .arg(&world.git)
        .args(["fast-import", "--quiet"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut import.stdin.take().unwrap(), stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    world.act("push", json!({"user": "ana", "branch": branch}));
}

#[test]
fn a_comparison_counts_both_sides_as_git_does() {
    let world = World::new();
    let base = world.git(&["rev-parse", "main"]).unwrap();
    let side = world.push("ben", "side", &[("side.txt", "s\n")]);
    assert_eq!(
        world.get(&format!("compare/{base}...{base}")).expect(200)["status"],
        "identical"
    );
    assert_eq!(
        world.get("compare/main...side").expect(200)["status"],
        "ahead"
    );
    assert_eq!(
        world.get("compare/side...main").expect(200)["status"],
        "behind"
    );
    world.push("ana", "main", &[("README.md", "bye\n")]);
    let diverged = world.get("compare/main...side").expect(200);
    assert_eq!(
        (
            &diverged["status"],
            &diverged["ahead_by"],
            &diverged["behind_by"]
        ),
        (&json!("diverged"), &json!(1), &json!(1))
    );
    assert_eq!(diverged["merge_base_commit"]["sha"], base);
    assert_eq!(diverged["commits"][0]["sha"], side);
    assert_eq!(diverged["commits"][0]["author"]["id"], 102);
    assert_eq!(diverged["files"][0]["filename"], "side.txt");
    assert_eq!(world.get("compare/main...absent").status, 404);
}

#[test]
fn an_unpaged_comparison_stops_at_250_commits_and_paging_reaches_all() {
    let world = World::new();
    many(&world, "long", 260);
    let all = world.get("compare/main...long").expect(200);
    assert_eq!(
        (
            all["total_commits"].as_u64(),
            all["commits"].as_array().unwrap().len()
        ),
        (Some(260), 250)
    );
    assert_eq!(
        all["commits"][249]["sha"],
        json!(world.git(&["rev-parse", "long"])),
        "the newest is the last"
    );

    let pages = world.pages("compare/main...long?per_page=100");
    let sizes: Vec<usize> = pages
        .iter()
        .map(|page| page.body["commits"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [100, 100, 60]);
    let files: Vec<bool> = pages
        .iter()
        .map(|page| page.body["files"].is_array())
        .collect();
    assert_eq!(
        files,
        [true, false, false],
        "files stand on the first page only"
    );
    assert_eq!(
        json!(
            world
                .git(&["rev-list", "--reverse", "main..long"])
                .unwrap()
                .lines()
                .next()
        ),
        pages[0].body["commits"][0]["sha"]
    );

    let number = world.act(
        "pulls",
        json!({"user": "ana", "head": "long", "title": "Much"}),
    )["number"]
        .clone();
    let listed: usize = world
        .pages(&format!("pulls/{number}/commits?per_page=100"))
        .into_iter()
        .map(|page| page.expect(200).as_array().unwrap().len())
        .sum();
    assert_eq!(
        listed, 250,
        "a pull request lists no more, and says so nowhere but here"
    );
    assert_eq!(
        world.get(&format!("pulls/{number}")).expect(200)["commits"],
        260
    );
}

#[test]
fn a_page_holds_30_and_at_most_100() {
    let world = World::new();
    many(&world, "long", 120);
    let number = world.act(
        "pulls",
        json!({"user": "ana", "head": "long", "title": "Much"}),
    )["number"]
        .clone();
    let size = |query: &str| {
        world
            .get(&format!("pulls/{number}/commits{query}"))
            .expect(200)
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        (size(""), size("?per_page=500"), size("?page=5")),
        (30, 100, 0)
    );
    let link = world.get(&format!("pulls/{number}/commits?page=2")).headers["link"].clone();
    for relation in ["prev", "next", "last", "first"] {
        assert!(link.contains(&format!("rel=\"{relation}\"")), "{link}");
    }
}

#[test]
fn commits_branches_and_contents_come_from_git() {
    let world = World::new();
    let sha = world.push("ana", "feature/x", &[("docs/a b.md", "text\n")]);
    let commit = world.get("commits/feature/x").expect(200);
    assert_eq!(
        (&commit["sha"], &commit["stats"]["additions"]),
        (&json!(sha), &json!(1))
    );
    assert_eq!(commit["commit"]["author"]["email"], "ana@acme.test");
    assert_eq!(
        world.get("branches/feature%2Fx").expect(200)["commit"]["sha"],
        sha
    );
    assert_eq!(world.get("branches/absent").status, 404);
    assert_eq!(
        world
            .get(&format!("commits/{}", "0".repeat(40)))
            .expect(422)["message"],
        format!("No commit found for SHA: {}", "0".repeat(40))
    );

    let file = world
        .get("contents/docs/a%20b.md?ref=feature/x")
        .expect(200);
    assert_eq!(
        (&file["content"], &file["encoding"]),
        (&json!("dGV4dAo=\n"), &json!("base64"))
    );
    assert_eq!(
        world.get("contents/docs?ref=feature/x").expect(200)[0]["path"],
        "docs/a b.md"
    );
    assert_eq!(world.get("contents/docs").status, 404, "main has no docs");
    assert_eq!(
        world.get("contents/?ref=main").expect(200)[0]["name"],
        "README.md"
    );
    let root = world.get("commits/main").expect(200);
    assert_eq!(root["parents"], json!([]));
}

#[test]
fn activity_tells_who_pushed_and_how() {
    let world = World::new();
    world.push("ana", "topic", &[("a.txt", "1\n")]);
    world.push("ben", "topic", &[("a.txt", "2\n")]);
    world.act("push", json!({"user": "ben", "branch": "topic", "files": {"a.txt": "3\n"}, "from": "main", "force": true}));
    let kinds = |path: &str| -> Vec<(String, u64)> {
        let pages = world.pages(path);
        let all = pages
            .into_iter()
            .flat_map(|page| page.expect(200).as_array().unwrap().clone());
        all.map(|activity| {
            (
                activity["activity_type"].as_str().unwrap().to_owned(),
                activity["actor"]["id"].as_u64().unwrap(),
            )
        })
        .collect()
    };
    let expected = [("force_push", 102), ("push", 102), ("branch_creation", 101)]
        .map(|(kind, id)| (kind.to_owned(), id));
    assert_eq!(kinds("activity?ref=refs/heads/topic"), expected);
    assert_eq!(
        kinds("activity?ref=topic&per_page=1"),
        expected,
        "cursor pages lose nothing"
    );
    assert_eq!(kinds("activity?ref=topic&actor=ana"), expected[2..]);
    assert_eq!(
        kinds("activity?activity_type=push&direction=asc"),
        expected[1..2]
    );
}

#[test]
fn rules_and_collaborators_are_as_registered() {
    let world = World::new();
    let checks = json!({"required_status_checks": [{"context": "test", "integration_id": 15368}], "strict_required_status_checks_policy": true});
    let review = json!({"dismiss_stale_reviews_on_push": true, "require_code_owner_review": false, "require_last_push_approval": true, "required_approving_review_count": 1, "required_review_thread_resolution": false});
    world.act("rules", json!({"branch": "main", "rules": [{"type": "required_status_checks", "parameters": checks}, {"type": "pull_request", "parameters": review}]}));
    let rules = world.get("rules/branches/main").expect(200);
    assert_eq!(rules[0]["parameters"], checks);
    assert_eq!(world.get("rules/branches/other").expect(200), json!([]));
    assert_eq!(world.get("branches/main").expect(200)["protected"], true);

    let ben = world.get("collaborators/ben/permission").expect(200);
    assert_eq!(
        (&ben["permission"], &ben["role_name"], &ben["user"]["id"]),
        (&json!("write"), &json!("maintain"), &json!(102))
    );
    assert_eq!(
        world.get("collaborators/rita/permission").expect(200)["permission"],
        "read"
    );
    assert_eq!(world.get("collaborators/nobody/permission").status, 404);
    assert_eq!(world.get("/user").expect(200)["id"], 101);
    assert_eq!(world.get("/users/ben").expect(200)["id"], 102);
}

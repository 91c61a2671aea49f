//! The people and apps that contributed to a range, and the people whose approvals count.

use super::*;

/// Each change is approved by somebody whose approval does not count, and the rule says why.
#[test]
fn an_approval_by_a_contributor_does_not_count() {
    let scene = Scene::new("range-hands");
    let refused = |number: u64, method: &str, words: &str| {
        let tip = scene.merge(number, method);
        scene.check(&tip).refused("approvals", "fail", words);
        let accepted = scene.review(number, "dora", "APPROVED");
        assert!(accepted > 0);
        scene.check(&tip).passes();
    };
    wait(TIMEOUT, scene.story.hub.user("dora", "User")).unwrap();
    scene.act("collaborators", &json!({"login": "dora", "role": "write"}));

    // A squash names one author; the pull request had two.
    let number = scene.propose(AUTHOR, "squashed");
    scene.push(AUTHOR, "squashed", "more.txt", &json!({"author": REVIEWER}));
    scene.approve(number);
    refused(number, "squash", &format!("{REVIEWER} contributed"));

    // Pushed, then replaced by somebody else's commit.
    let number = scene.propose(AUTHOR, "replaced");
    scene.push(REVIEWER, "replaced", "mine.txt", &json!({}));
    scene.push(
        AUTHOR,
        "replaced",
        "mine.txt",
        &json!({"from": "main", "force": true}),
    );
    scene.approve(number);
    refused(number, "merge", &format!("{REVIEWER} contributed"));

    // A merge of main, with something of one's own in it.
    let number = scene.propose(AUTHOR, "evil-update");
    scene.change("meanwhile", "squash");
    let update = json!({"user": REVIEWER, "files": {"own.txt": "own\n"}});
    scene.act(&format!("pulls/{number}/update-branch"), &update);
    scene.approve(number);
    refused(number, "merge", &format!("{REVIEWER} contributed"));

    // Approved, then changed.
    let number = scene.propose(AUTHOR, "changed");
    scene.approve(number);
    scene.push(AUTHOR, "changed", "later.txt", &json!({}));
    refused(number, "merge", "is not the final head");

    // Approved for another branch.
    scene.push(AUTHOR, "release", "release.txt", &json!({"from": "main"}));
    let number = scene.propose(AUTHOR, "retargeted");
    let pull = format!("pulls/{number}/base");
    scene.act(&pull, &json!({"user": AUTHOR, "base": "release"}));
    scene.approve(number);
    scene.act(&pull, &json!({"user": AUTHOR, "base": "main"}));
    let tip = scene.merge(number, "merge");
    let answer = scene.check(&tip);
    answer.refused("approvals", "fail", "before it was pointed at main");
    scene.no_violations();
}

#[test]
fn an_update_of_the_branch_by_the_approver_is_not_a_contribution() {
    let scene = Scene::new("range-update");
    let number = scene.propose(AUTHOR, "updated");
    scene.change("meanwhile", "merge");
    scene.act(
        &format!("pulls/{number}/update-branch"),
        &json!({"user": REVIEWER}),
    );
    scene.approve(number);
    let tip = scene.merge(number, "merge");
    scene.check(&tip).passes();
}

#[test]
fn persons_count_and_not_accounts() {
    let scene = Scene::new("range-persons");
    let tip = scene.change("one", "merge");
    scene.check(&tip).passes();
    let id = scene.id(REVIEWER);
    let principal = scene.releaser();
    let releaser = format!("people:\n  {RELEASER}: [{principal}]\n");
    let second = |login: &str| format!("  {login}: {{ accounts: {{ {REVIEWER}: {id} }} }}\n");
    scene.contract("", &format!("{releaser}{}", second(AUTHOR)));
    let words = format!("{REVIEWER} is {AUTHOR}, who contributed");
    scene.check(&tip).refused("approvals", "fail", &words);
    let releaser = format!(
        "people:\n  {RELEASER}: {{ aws: [{principal}], accounts: {{ {REVIEWER}: {id} }} }}\n"
    );
    scene.contract("", &releaser);
    scene
        .check(&tip)
        .refused("separation", "fail", "is the only approver");
    // Two who review each other: one of them promotes.
    scene.contract("", "");
    let number = scene.propose(REVIEWER, "other-way");
    scene.review(number, RELEASER, "APPROVED");
    let tip = scene.merge(number, "merge");
    scene.check(&tip).passes();
}

#[test]
fn a_change_by_an_unattributed_app_needs_one_more_approval() {
    let scene = Scene::new("range-app");
    let app = format!(
        "renovate-{}[bot]",
        &scene.setting.world.name[..8.min(scene.setting.world.name.len())]
    );
    let app = app.replace("--", "-");
    let user = json!({"login": app, "type": "Bot"});
    let id = wait(TIMEOUT, scene.story.hub.call("users", &user)).map_or_else(
        |_| scene.id(&app.replace('[', "%5B").replace(']', "%5D")),
        |user| user["id"].as_u64().unwrap(),
    );
    let number = scene.propose(&app, "bump");
    scene.approve(number);
    let tip = scene.merge(number, "squash");
    let answer = scene.check(&tip);
    answer.refused(
        "approvals",
        "fail",
        &format!("no person is known for {app}"),
    );
    scene.contract("", &format!("apps:\n  {id}: nobody\n"));
    scene.check(&tip).passes();
    scene.contract("", "");
    scene.review(number, RELEASER, "APPROVED");
    scene.check(&tip).passes();
}

#[test]
fn a_fork_is_promotable_and_one_that_cannot_be_seen_needs_one_more_approval() {
    let scene = Scene::new("range-fork");
    for (index, private) in [false, true].into_iter().enumerate() {
        let owner = format!("{}-fork{index}", scene.setting.world.name);
        let fork = format!("{owner}/storefront");
        let bare = git_folder(instance(), &scene.setting.world);
        let git = bare.with_file_name(format!("fork{index}.git"));
        let from = bare.display().to_string();
        let to = git.display().to_string();
        scene.git(&["clone", "--quiet", "--bare", &from, &to]);
        let call = |path: &str, body: &Value| {
            wait(TIMEOUT, scene.story.hub.call(path, body)).unwrap();
        };
        call(
            "repos",
            &json!({"repository": fork, "git": git, "private": private}),
        );
        let push = json!({"user": AUTHOR, "branch": "topic", "from": "main",
            "files": {format!("fork{index}.txt"): "x\n"}});
        call(&format!("repos/{fork}/push"), &push);
        let open =
            json!({"user": AUTHOR, "head": "topic", "head_repository": fork, "title": "Fork"});
        let number = scene.act("pulls", &open)["number"].as_u64().unwrap();
        scene.approve(number);
        let tip = scene.merge(number, "merge");
        let answer = scene.check(&tip);
        if private {
            answer.refused("approvals", "fail", &format!("a push to {fork}"));
            scene.review(number, RELEASER, "APPROVED");
            scene.check(&tip).passes();
        } else {
            answer.passes();
        }
    }
}

//! `check --pull-request`, by the real binary against the GitHub stand-in: what it says before the merge. AWS does not answer here and
//! the contract's variables have no values, so nothing of both is asked.

use sandbox::instance::port;
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, contract_on_branch, git_folder};
use serde_json::{Value, json};

use super::{Answer, Scene};
use crate::support::{TIMEOUT, instance, wait};

/// Somebody else who may push.
const OTHER: &str = "dora";

impl Scene {
    /// A repository whose branch has the contract of the folder, which asks for an approval and a check.
    fn of_pull_requests(what: &str) -> Self {
        let scene = Self::new(what);
        scene.contract(", checks: [test]", "");
        scene.writer(OTHER, "User");
        scene.put_the_contract();
        scene
    }

    /// Puts the contract of the folder on the branch for good.
    fn put_the_contract(&self) {
        let file = self.setting.job.file("delivery.yaml");
        let put = contract_on_branch(instance(), &self.setting.world, &file, "delivery.yaml");
        wait(TIMEOUT, put).unwrap();
    }

    /// The answer to a check of a pull request before its merge.
    fn check_pull(&self, number: u64) -> Answer {
        self.check_pull_with(number, &[])
    }

    fn check_pull_with(&self, number: u64, more: &[&str]) -> Answer {
        let number = number.to_string();
        let arguments = ["check", "--environment", "dev", "--pull-request", &number];
        let job = &self.setting.job;
        let mut command = job.command("slipway-promote", &[&arguments[..], more].concat());
        let github = instance().url(port::GITHUB);
        command
            .arg("--json")
            .env("GITHUB_REPOSITORY", &self.setting.world.repository)
            .env("GITHUB_TOKEN", &self.token)
            .env("GITHUB_API_URL", &github)
            .env("GITHUB_GRAPHQL_URL", format!("{github}/graphql"))
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .env_remove("BUILD_ACCOUNT_ID")
            .env_remove("DEV_ACCOUNT_ID");
        Answer::of(&job.run(&mut command))
    }

    /// The head of a pull request's branch succeeds in the check that the gate names.
    fn succeed(&self, branch: &str, conclusion: &str) {
        let head = self.git(&["rev-parse", branch]);
        let check = json!({"ref": head, "name": "test", "conclusion": conclusion});
        self.act("check-runs", &check);
    }

    /// A pull request whose check succeeded, not approved.
    fn tested(&self, branch: &str) -> u64 {
        let number = self.propose(AUTHOR, branch);
        self.succeed(branch, "success");
        number
    }

    /// Refused for want of an approval that counts, until somebody else approves.
    #[track_caller]
    fn refused_until_somebody_else_approves(&self, number: u64, words: &str) {
        let refused = self.check_pull(number);
        refused.refused("approvals", "fail", words);
        let next = refused.json["next"].as_str().unwrap();
        assert!(next.contains("who did not contribute to it"), "{next}");
        self.review(number, OTHER, "APPROVED");
        self.check_pull(number).passes();
    }
}

#[test]
fn check_reports_before_the_merge_what_the_merge_would_be_judged_by() {
    let scene = Scene::of_pull_requests("pull-open");
    // Approved and tested.
    let number = scene.tested("clean");
    scene.approve(number);
    let clean = scene.check_pull(number);
    clean.passes();
    assert_eq!(clean.json["allowed"], true, "{}", clean.shown);
    let found = &clean.json["pull_request"];
    assert_eq!(found["authors"], json!([AUTHOR]), "{}", clean.shown);
    assert_eq!(found["approvers"], json!([REVIEWER]), "{}", clean.shown);
    let fact = |answer: &Answer, name: &str| answer.rule(name)["fact"].as_str().unwrap().to_owned();
    assert!(fact(&clean, "policy").ends_with("of main, whose delivery.yaml judged"));
    let unchanged = format!("#{number} leaves the contract as it is");
    assert_eq!(fact(&clean, "contract"), unchanged);
    for name in [
        "provenance",
        "digest",
        "range",
        "merge",
        "promoter",
        "separation",
        "freeze",
    ] {
        let rule = clean.rule(name);
        assert_eq!(rule["answer"], "not asked", "{}", clean.shown);
        assert_eq!(rule["fact"], "judged after the merge", "{}", clean.shown);
    }
    let summary = scene.setting.job.read("summary");
    assert!(summary.starts_with("### dev would allow #"), "{summary}");

    // The check, at the head: missing, under way, failed.
    let number = scene.propose(AUTHOR, "untested");
    scene.approve(number);
    let missing = scene.check_pull(number);
    missing.refused("checks", "fail", "`test` did not run");
    scene.succeed("untested", "failure");
    let failed = scene.check_pull(number);
    failed.refused("checks", "fail", "is failure");
    let next = failed.json["next"].as_str().unwrap();
    assert!(next.starts_with("make `test` succeed"), "{next}");
    scene.contract(", checks: [test@99]", "");
    scene.put_the_contract();
    let words = "`test` comes from app 15368, not 99";
    scene.check_pull(number).refused("checks", "fail", words);
    scene.contract(", checks: [test]", "");
    scene.put_the_contract();

    // Pushed after the approval.
    let number = scene.tested("stale");
    scene.approve(number);
    scene.push(AUTHOR, "stale", "later.txt", &json!({}));
    scene.succeed("stale", "success");
    scene.refused_until_somebody_else_approves(number, "which is not the final head");

    // Dismissed, and approved for another branch.
    let number = scene.tested("dismissed");
    let review = scene.review(number, REVIEWER, "APPROVED");
    let dismiss = format!("pulls/{number}/reviews/{review}/dismiss");
    scene.act(&dismiss, &json!({"user": RELEASER}));
    scene.refused_until_somebody_else_approves(number, "review was dismissed");
    scene.push(AUTHOR, "release", "release.txt", &json!({"from": "main"}));
    let number = scene.tested("retargeted");
    let base = format!("pulls/{number}/base");
    scene.act(&base, &json!({"user": AUTHOR, "base": "release"}));
    scene.approve(number);
    let elsewhere = scene.check_pull(number);
    let rule = elsewhere.rule("pull request");
    let fact = rule["fact"].as_str().unwrap();
    assert_eq!(rule["answer"], "fail", "{}", elsewhere.shown);
    assert!(fact.contains("goes to release"), "{fact}");
    scene.act(&base, &json!({"user": AUTHOR, "base": "main"}));
    let words = "before it was pointed at main";
    scene.check_pull(number).refused("approvals", "fail", words);

    // An objection stands until its author approves.
    let number = scene.tested("objected");
    scene.review(number, REVIEWER, "CHANGES_REQUESTED");
    scene.review(number, OTHER, "APPROVED");
    let objected = scene.check_pull(number);
    objected.refused("approvals", "fail", "requested changes");
    scene.no_violations();
}

#[test]
fn the_contributors_to_a_pull_request_are_named_before_its_merge() {
    let scene = Scene::of_pull_requests("pull-hands");
    // The author's own approval, of what somebody else opened.
    scene.push(AUTHOR, "own", "own.txt", &json!({"from": "main"}));
    scene.succeed("own", "success");
    let number = scene.open(RELEASER, "own");
    scene.review(number, AUTHOR, "APPROVED");
    let words = format!("{AUTHOR} contributed to the change");
    scene.refused_until_somebody_else_approves(number, &words);

    // A co-author's.
    let message = format!("Together\n\nCo-authored-by: {REVIEWER} <{REVIEWER}@acme.example>");
    let more = json!({"from": "main", "message": message});
    scene.push(AUTHOR, "together", "together.txt", &more);
    scene.succeed("together", "success");
    let number = scene.open(AUTHOR, "together");
    scene.approve(number);
    let words = format!("{REVIEWER} contributed to the change");
    scene.refused_until_somebody_else_approves(number, &words);

    // An address that belongs to no account, until the contract lists it.
    scene.push(AUTHOR, "base", "stranger.txt", &json!({"from": "main"}));
    let stranger = ["-c", "user.name=Sam", "-c", "user.email=sam@home.example"];
    let make = ["commit-tree", "base^{tree}", "-p", "main", "-m", "By Sam"];
    let head = scene.git(&[&stranger[..], &make[..]].concat());
    scene.git(&["update-ref", "refs/heads/stranger", &head]);
    scene.act("push", &json!({"user": AUTHOR, "branch": "stranger"}));
    scene.succeed("stranger", "success");
    let number = scene.open(AUTHOR, "stranger");
    scene.approve(number);
    let unknown = scene.check_pull(number);
    let words = "sam@home.example, does not belong to a GitHub account";
    unknown.refused("contributors", "unknown", words);
    let next = unknown.json["next"].as_str().unwrap();
    assert!(
        next.starts_with("list sam@home.example under `people`"),
        "{next}"
    );
    let people = format!(
        "people:\n  {RELEASER}: [{}]\n  {AUTHOR}: {{emails: [sam@home.example]}}\n",
        scene.releaser()
    );
    scene.contract(", checks: [test]", &people);
    scene.put_the_contract();
    scene.check_pull(number).passes();

    // "Update branch", clicked by the one who approves.
    let number = scene.tested("updated");
    scene.change("meanwhile", "merge");
    let update = format!("pulls/{number}/update-branch");
    scene.act(&update, &json!({"user": REVIEWER}));
    scene.succeed("updated", "success");
    scene.approve(number);
    scene.check_pull(number).passes();
    scene.no_violations();
}

#[test]
fn an_app_and_a_fork_need_one_more_approval_before_the_merge_too() {
    let scene = Scene::of_pull_requests("pull-app");
    let bot = "bumper[bot]";
    scene.writer(bot, "Bot");
    let more = json!({"from": "main", "author": AUTHOR});
    scene.push(bot, "bump", "bump.txt", &more);
    scene.succeed("bump", "success");
    let number = scene.open(bot, "bump");
    scene.approve(number);
    let words = format!("has 1 of 2 approvals, one of them because no person is known for {bot}");
    scene.refused_until_somebody_else_approves(number, &words);
    let contributors = scene.check_pull(number);
    let fact = contributors.rule("contributors")["fact"].as_str().unwrap();
    assert!(fact.contains("so one more has to approve"), "{fact}");

    for (index, private) in [false, true].into_iter().enumerate() {
        let fork = format!("{}-fork{index}/storefront", scene.setting.world.name);
        let bare = git_folder(instance(), &scene.setting.world);
        let git = bare.with_file_name(format!("fork{index}.git"));
        let (from, to) = (bare.display().to_string(), git.display().to_string());
        scene.git(&["clone", "--quiet", "--bare", &from, &to]);
        let call = |path: &str, body: &Value| {
            wait(TIMEOUT, scene.story.hub.call(path, body)).unwrap();
        };
        let repository = json!({"repository": fork, "git": git, "private": private});
        call("repos", &repository);
        let files = json!({format!("fork{index}.txt"): "x\n"});
        let push = json!({"user": AUTHOR, "branch": "topic", "from": "main", "files": files});
        call(&format!("repos/{fork}/push"), &push);
        let open =
            json!({"user": AUTHOR, "head": "topic", "head_repository": fork, "title": "Fork"});
        let pull = scene.act("pulls", &open);
        let check = json!({"ref": pull["head_sha"], "name": "test", "conclusion": "success"});
        scene.act("check-runs", &check);
        let number = pull["number"].as_u64().unwrap();
        scene.approve(number);
        match private {
            false => scene.check_pull(number).passes(),
            true => {
                let words = format!("no person is known for a push to {fork}");
                scene.refused_until_somebody_else_approves(number, &words);
            }
        }
        scene.act(&format!("pulls/{number}/close"), &json!({}));
    }
    scene.no_violations();
}

#[test]
fn what_cannot_be_merged_any_more_or_yet_is_refused_with_what_to_run() {
    let scene = Scene::of_pull_requests("pull-state");
    scene.push(AUTHOR, "draft", "draft.txt", &json!({"from": "main"}));
    scene.succeed("draft", "success");
    let draft = json!({"user": AUTHOR, "head": "draft", "title": "Draft", "draft": true});
    let number = scene.act("pulls", &draft)["number"].as_u64().unwrap();
    scene.approve(number);
    let words = format!("#{number} is a draft");
    scene
        .check_pull(number)
        .refused("pull request", "fail", &words);
    scene.act(&format!("pulls/{number}/ready"), &json!({}));
    scene.check_pull(number).passes();

    let number = scene.tested("closed");
    scene.approve(number);
    scene.act(&format!("pulls/{number}/close"), &json!({}));
    let words = "was closed without a merge";
    scene
        .check_pull(number)
        .refused("pull request", "fail", words);

    let number = scene.tested("merged");
    scene.approve(number);
    let tip = scene.merge(number, "squash");
    let merged = scene.check_pull(number);
    merged.refused("pull request", "fail", "is merged already");
    let next = merged.json["next"].as_str().unwrap();
    assert!(next.contains(&tip), "{next}");
    let run = "slipway-promote check --environment dev --digest DIGEST";
    assert!(next.ends_with(run), "{next}");

    let nothing = scene.check_pull(9999);
    nothing.refused("pull request", "unknown", "9999");
    let both = scene.check_pull_with(1, &["--digest", super::DIGEST]);
    assert_eq!(both.exit, Some(2), "{}", both.shown);
    assert!(both.shown.contains("cannot be used with"), "{}", both.shown);
    scene.no_violations();
}

#[test]
fn the_branchs_contract_judges_and_a_change_of_the_gate_is_named() {
    let scene = Scene::of_pull_requests("pull-contract");
    let before = scene.setting.job.read("delivery.yaml");
    let with = |branch: &str, text: &str| {
        let more = json!({"from": "main", "files": {"delivery.yaml": text}});
        scene.push(AUTHOR, branch, "delivery.yaml", &more);
        scene.succeed(branch, "success");
        scene.open(AUTHOR, branch)
    };
    // A pull request cannot lower what it is judged by.
    let weaker = before.replace("approvals: 1, since", "approvals: 0, since");
    assert_ne!(weaker, before);
    let number = with("weaker", &weaker);
    let refused = scene.check_pull(number);
    refused.refused("approvals", "fail", "has 0 of 1 approvals");
    scene.approve(number);
    let named = scene.check_pull(number);
    named.passes();
    let fact = named.rule("contract")["fact"].as_str().unwrap();
    let words = format!("#{number} changes what dev is judged by: gate.approvals from 1 to 0;");
    assert!(fact.starts_with(&words), "{fact}");
    let warning = "the branch's contract judged here, and the new one judges after the merge";
    assert!(named.shown.contains(warning), "{}", named.shown);

    // The contract of its head judges nobody, even if it is checked out.
    let file = scene.setting.job.file("delivery.yaml");
    std::fs::write(&file, &weaker).unwrap();
    let own = scene.check_pull(number);
    own.refused("policy", "fail", "is not the one in");
    std::fs::write(&file, &before).unwrap();

    let number = with("broken", &before.replace("version: 1", "version: 9"));
    scene.approve(number);
    let broken = scene.check_pull(number);
    broken.refused("contract", "fail", "nobody can be judged by the contract");

    // Changes of the branch meanwhile are not the pull request's doing.
    let number = scene.tested("late");
    scene.approve(number);
    scene.contract(", checks: [test]", "# Added meanwhile.\n");
    scene.put_the_contract();
    let late = scene.check_pull(number);
    late.passes();
    let fact = late.rule("contract")["fact"].as_str().unwrap();
    assert!(fact.ends_with("leaves the contract as it is"), "{fact}");
    scene.no_violations();
}

/// A run that is run again after a push is for the head that it began with, and its result is shown there.
#[test]
fn a_run_for_an_earlier_head_does_not_judge_the_newest() {
    let scene = Scene::of_pull_requests("pull-head");
    let number = scene.tested("stale");
    scene.push(AUTHOR, "stale", "later.txt", &json!({}));
    scene.succeed("stale", "success");
    scene.approve(number);
    let head = scene.git(&["rev-parse", "stale"]);
    let same = scene.check_pull_with(number, &["--pull-request-head", &head]);
    same.passes();
    let earlier = scene.git(&["rev-parse", "stale^"]);
    let old = scene.check_pull_with(number, &["--pull-request-head", &earlier]);
    let words = format!("#{number} has the head {head} by now");
    old.refused("pull request", "fail", &words);
    let alone = [
        "check",
        "--environment",
        "dev",
        "--pull-request-head",
        &head,
    ];
    let job = &scene.setting.job;
    let alone = Answer::of(&job.run(&mut job.command("slipway-promote", &alone)));
    assert_eq!(alone.exit, Some(2), "{}", alone.shown);
}

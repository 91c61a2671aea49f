//! Attacks on the gate, each of them in full: GitHub answers as it would, and the step refuses and names the fact. After each
//! one, what was missing is done, so that nothing but the attack was refused.

use sandbox::instance::port;
use sandbox::runner::hub::Hub;
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, Story, git_folder};
use sandbox::world::http_client;
use serde_json::{Value, json};

use super::policy::{TEXT, WORKFLOW};
use super::{Answer, Scene};
use crate::gate::{Gate, digest};
use crate::support::{TIMEOUT, instance, wait};

/// Approves what others may not.
const OTHER: &str = "dora";

impl Scene {
    /// An account that may write to the repository.
    pub(super) fn writer(&self, login: &str, kind: &str) {
        wait(TIMEOUT, self.story.hub.user(login, kind)).unwrap();
        self.act("collaborators", &json!({"login": login, "role": "write"}));
    }

    /// Lets the pull request be merged, which is refused until somebody else approves it.
    #[track_caller]
    fn refused_until_another_approves(&self, number: u64, merge: &Value, words: &str) {
        let merged = self.act(&format!("pulls/{number}/merge"), merge);
        let tip = merged["sha"].as_str().unwrap();
        self.check(tip).refused("approvals", "fail", words);
        self.review(number, OTHER, "APPROVED");
        self.check(tip).passes();
    }

    /// Moves main to what another branch has, by a push.
    fn push_to_main(&self, commit: &str) {
        self.git(&["update-ref", "refs/heads/main", commit]);
        self.act("push", &json!({"user": AUTHOR, "branch": "main"}));
    }

    /// A workflow run, ended and started again by another account.
    fn rerun(&self, run: u64, user: &str) {
        let call = |action: &str, body: &Value| {
            let path = format!("runs/{run}/{action}");
            wait(TIMEOUT, self.story.hub.call(&path, body)).unwrap();
        };
        call("finish", &json!({"conclusion": "failure"}));
        call("rerun", &json!({"user": user}));
    }
}

impl Answer {
    /// Refused by these rules, of which the first says this.
    #[track_caller]
    fn refused_by(&self, rules: &[&str], words: &str) {
        assert_eq!(self.exit, Some(3), "{}", self.shown);
        for rule in rules {
            assert_eq!(self.rule(rule)["answer"], "fail", "{}", self.shown);
        }
        let fact = self.rule(rules[0])["fact"].as_str().unwrap();
        assert!(fact.contains(words), "{fact}: {}", self.shown);
    }
}

#[test]
fn an_approval_that_no_other_person_stands_behind_does_not_count() {
    let scene = Scene::new("attack-approval");
    scene.writer(OTHER, "User");
    scene.writer("github-actions[bot]", "Bot");
    let by_releaser = json!({"user": RELEASER});

    // A workflow approves, with the token of its job.
    let number = scene.propose(AUTHOR, "by-workflow");
    scene.review(number, "github-actions[bot]", "APPROVED");
    let words = "has 0 of 1 approvals (github-actions[bot] is not a person)";
    scene.refused_until_another_approves(number, &by_releaser, words);

    // The person who merges may have dismissed the approval first.
    let number = scene.propose(AUTHOR, "dismissed");
    let review = scene.review(number, REVIEWER, "APPROVED");
    let dismiss = format!("pulls/{number}/reviews/{review}/dismiss");
    scene.act(&dismiss, &by_releaser);
    let words = format!("{REVIEWER}'s review was dismissed");
    scene.refused_until_another_approves(number, &by_releaser, &words);

    // Another head than the approved one, of the same branch.
    let number = scene.propose(AUTHOR, "replaced");
    scene.approve(number);
    let force = json!({"from": "main", "force": true});
    scene.push(AUTHOR, "replaced", "other.txt", &force);
    scene.refused_until_another_approves(number, &by_releaser, "which is not the final head");

    // The author's work, committed by the only one who approves it.
    scene.push(AUTHOR, "wrote", "wrote.txt", &json!({"from": "main"}));
    let person = |role: &str, login: &str| {
        [
            format!("{role}.name={login}"),
            format!("{role}.email={login}@acme.example"),
        ]
    };
    let [author, author_email] = person("author", AUTHOR);
    let [committer, committer_email] = person("committer", REVIEWER);
    let mut arguments = Vec::new();
    for setting in [&author, &author_email, &committer, &committer_email] {
        arguments.extend(["-c", setting]);
    }
    arguments.extend([
        "commit-tree",
        "wrote^{tree}",
        "-p",
        "main",
        "-m",
        "Wrote it",
    ]);
    let head = scene.git(&arguments);
    scene.git(&["update-ref", "refs/heads/committed", &head]);
    scene.act("push", &json!({"user": AUTHOR, "branch": "committed"}));
    let number = scene.open(AUTHOR, "committed");
    scene.approve(number);
    let words = format!("{REVIEWER} contributed to the change");
    scene.refused_until_another_approves(number, &by_releaser, &words);

    // Wrote part of it, approved it, and squashed it into one commit of the author's.
    let number = scene.propose(AUTHOR, "squashed");
    scene.push(RELEASER, "squashed", "more.txt", &json!({}));
    scene.review(number, RELEASER, "APPROVED");
    let squash = json!({"user": RELEASER, "method": "squash"});
    let words = format!("{RELEASER} contributed to the change");
    scene.refused_until_another_approves(number, &squash, &words);

    // Approved, and then not any more: until that person approves again, nobody else's approval is enough.
    let number = scene.propose(AUTHOR, "changed-mind");
    scene.approve(number);
    scene.review(number, REVIEWER, "CHANGES_REQUESTED");
    scene.review(number, OTHER, "APPROVED");
    let tip = scene.merge(number, "merge");
    let words = format!("{REVIEWER} requested changes");
    scene.check(&tip).refused("approvals", "fail", &words);
    scene.approve(number);
    scene.check(&tip).passes();
    scene.no_violations();
}

/// A bot may merge, which needs no judgment, and what it merges is what was approved.
#[test]
fn a_merge_by_a_bot_brings_what_was_approved_and_nothing_else() {
    let scene = Scene::new("attack-bot");
    scene.writer("merger[bot]", "Bot");
    let merge = |branch: &str, more: Value| {
        let number = scene.propose(AUTHOR, branch);
        scene.approve(number);
        let mut body = json!({"user": "merger[bot]"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let merged = scene.act(&format!("pulls/{number}/merge"), &body);
        merged["sha"].as_str().unwrap().to_owned()
    };
    for method in ["merge", "squash", "rebase"] {
        let tip = merge(method, json!({"method": method}));
        scene.check(&tip).passes();
    }
    let tip = merge("more", json!({"files": {"more.evil": "evil\n"}}));
    let answer = scene.check(&tip);
    answer.refused("merge", "fail", "is not that of its final head");
    scene.no_violations();
}

/// A review for another branch, or in another repository, is none of this branch.
#[test]
fn a_commit_of_another_pull_request_is_one_without_any() {
    let scene = Scene::new("attack-pull");
    let without = |commit: &str| {
        let answer = scene.check(commit);
        let words = "no pull request merged into main brought ";
        answer.refused_by(&["range", "pull request"], words);
        answer.refused_by(&["range"], &format!("{} by ", &commit[..7]));
    };
    // Merged into the main of a fork, where whoever owns it says who approves. GitHub knows the fork's pull requests of a commit
    // that both have.
    let bare = git_folder(instance(), &scene.setting.world);
    let git = bare.with_file_name("fork.git");
    let (from, to) = (bare.display().to_string(), git.display().to_string());
    scene.git(&["clone", "--quiet", "--bare", &from, &to]);
    let fork = format!("{}-fork/storefront", scene.setting.world.name);
    let call = |path: &str, body: &Value| wait(TIMEOUT, scene.story.hub.call(path, body)).unwrap();
    let of = &scene.setting.world.repository;
    call(
        "repos",
        &json!({"repository": fork, "git": git, "private": false, "fork_of": of}),
    );
    let push =
        json!({"user": AUTHOR, "branch": "topic", "from": "main", "files": {"fork.txt": "x\n"}});
    call(&format!("repos/{fork}/push"), &push);
    let open = json!({"user": AUTHOR, "head": "topic", "title": "Fork"});
    let pull = format!(
        "repos/{fork}/pulls/{}",
        call(&format!("repos/{fork}/pulls"), &open)["number"]
    );
    let approve = json!({"user": REVIEWER, "state": "APPROVED"});
    call(&format!("{pull}/reviews"), &approve);
    let merged = call(&format!("{pull}/merge"), &json!({"user": RELEASER}));
    let merged = merged["sha"].as_str().unwrap().to_owned();
    scene.git(&["fetch", "--quiet", &to, "main"]);
    scene.push_to_main(&merged);
    without(&merged);
    let accepted = scene.git(&["rev-list", "main", "--not", "main~1"]);
    let mut accepted: Vec<String> = accepted.lines().map(|sha| format!("'{sha}'")).collect();

    // Merged into another branch, with reviewers who do not answer for main.
    scene.git(&["branch", "release", "main"]);
    scene.push(AUTHOR, "fix", "fix.txt", &json!({"from": "release"}));
    let open = json!({"user": AUTHOR, "head": "fix", "base": "release", "title": "Fix"});
    let number = scene.act("pulls", &open)["number"].as_u64().unwrap();
    scene.approve(number);
    let released = scene.merge(number, "merge");
    scene.push_to_main(&released);
    let gate = format!(", accepted-commits: [{}]", accepted.join(", "));
    scene.contract(&gate, "");
    without(&released);
    accepted.push(format!("'{released}'"));
    accepted.push(format!("'{}'", scene.git(&["rev-parse", "fix"])));
    let gate = format!(", accepted-commits: [{}]", accepted.join(", "));
    scene.contract(&gate, "");
    // Commits that the contract accepts may come along with a change to main.
    scene.check(&scene.change("honest", "squash")).passes();
    scene.no_violations();
}

/// A commit that was reviewed elsewhere may ride along with a pull request, but nothing is promoted that no pull request ended in.
#[test]
fn a_commit_that_the_contract_accepts_is_not_promoted_by_itself() {
    let scene = Scene::new("range-alone");
    scene.change("one", "merge");
    let direct = scene.push(AUTHOR, "main", "direct.txt", &json!({}));
    scene.contract(&format!(", accepted-commits: ['{direct}']"), "");
    let alone = scene.check(&direct);
    alone.refused("pull request", "fail", "no pull request");
    scene.no_violations();
}

#[test]
fn a_run_that_no_person_started_from_the_branch_does_not_promote() {
    let scene = Scene::new("attack-run");
    let tip = scene.reviewed("workflow", &json!({WORKFLOW: TEXT}));
    scene.writer("promoter[bot]", "Bot");
    let bot = scene.id("promoter%5Bbot%5D");
    let words = "promoter[bot] is not a person";

    // Whomever the contract says the bot stands for.
    let run = scene.start(&json!({"actor": "promoter[bot]"}));
    for apps in [
        String::new(),
        format!("apps:\n  {bot}: {RELEASER}\n"),
        format!("apps:\n  {bot}: nobody\n"),
    ] {
        scene.contract("", &apps);
        scene.check_in(&run).refused("promoter", "fail", words);
    }
    // A person's run, which the bot starts again.
    let run = scene.start(&json!({}));
    scene.check_in(&run).passes();
    scene.rerun(run.run_id, "promoter[bot]");
    scene.check_in(&run).refused("promoter", "fail", words);
    // The same by the only one who approved.
    let run = scene.start(&json!({}));
    scene.rerun(run.run_id, REVIEWER);
    let words = format!("{REVIEWER} promotes #1 and is the only approver");
    scene.check_in(&run).refused("separation", "fail", &words);

    // From another branch, without and with another workflow than main's.
    scene.git(&["branch", "theirs", "main"]);
    let run = scene.start(&json!({"branch": "theirs"}));
    assert_eq!(run.sha, tip);
    let words = "the workflow comes from theirs";
    scene.check_in(&run).refused("run", "fail", words);
    let edited = json!({"files": {WORKFLOW: TEXT.replace("'true'", "'false'")}});
    scene.push(RELEASER, "theirs", WORKFLOW, &edited);
    let run = scene.start(&json!({"branch": "theirs"}));
    scene.check_in(&run).refused_by(&["run", "policy"], words);

    // A process that gives itself the number of a run which is over.
    let run = scene.start(&json!({}));
    wait(TIMEOUT, scene.story.hub.finish(&run, "success", &[].into())).unwrap();
    let words = format!("run {} is over, so this is not part of it", run.run_id);
    scene.check_in(&run).refused("run", "fail", &words);
    scene.no_violations();
}

#[test]
fn a_check_of_the_right_name_by_another_app_does_not_count() {
    let scene = Scene::new("attack-check");
    scene.contract(", checks: ['quality@15368']", "");
    let number = scene.propose(AUTHOR, "forged");
    let report = |app: u64| {
        let run =
            json!({"ref": "forged", "name": "quality", "app_id": app, "conclusion": "success"});
        scene.act("check-runs", &run);
    };
    report(99);
    scene.approve(number);
    let tip = scene.merge(number, "merge");
    let words = "`quality` comes from app 99, not 15368";
    scene.check(&tip).refused("checks", "fail", words);
    report(15368);
    scene.check(&tip).passes();
    scene.no_violations();
}

/// A person who may write deployments on GitHub says that staging is healthy, or moves a tag to a digest that nobody tested.
#[test]
fn neither_a_deployment_on_github_nor_a_tag_stands_for_a_record() {
    let gate = Gate::new("attack-evidence");
    gate.declare("");
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    let hub = Hub::new(instance(), &gate.world.repository).unwrap();
    let check = |digest: &str| gate.run("linus", &["check", "--digest", digest]);
    let forged = digest('2');
    let payload = json!({
        "service": "storefront", "digest": forged, "verdict": "healthy", "seq": 1, "hash": "a".repeat(64),
    });
    let deployment = json!({
        "ref": gate.commits[1], "environment": "staging", "auto_merge": false, "required_contexts": [],
        "payload": payload,
    });
    let url = format!(
        "{}/repos/{}/deployments",
        instance().url(port::GITHUB),
        gate.world.repository
    );
    wait(TIMEOUT, async {
        let token = hub.token(REVIEWER).await.unwrap();
        let http = http_client().unwrap();
        let post = async |url: &str, body: &Value| -> Value {
            let request = http.post(url).header("user-agent", "e2e");
            let answer = request.bearer_auth(&token).json(body).send().await.unwrap();
            assert_eq!(answer.status(), 201, "{answer:?}");
            answer.json().await.unwrap()
        };
        let made = post(&url, &deployment).await;
        let status = json!({"state": "success"});
        post(&format!("{url}/{}/statuses", made["id"]), &status).await;
    });
    let words = "no record of this digest in staging";
    check(&forged).is(3, &[words]);
    gate.plant("staging", &[gate.healthy(&forged, 1)]);
    check(&forged).is(0, &[]);

    // The tag named what staging runs when it was checked.
    let moved = gate.image("moved");
    check(&moved).is(3, &[words]);
    for tag in ["storefront:latest", "latest"] {
        check(tag).is(2, &["is not a digest"]);
        let grant = ["grant", "--digest", tag];
        gate.run("linus", &grant).is(2, &["is not a digest"]);
    }
}

/// Production runs a commit that is not an ancestor of the promoted one, so nothing says what would be lost.
#[test]
fn a_promotion_from_another_line_of_commits_is_refused() {
    let gate = Gate::new("attack-line");
    gate.declare("");
    let hub = Hub::new(instance(), &gate.world.repository).unwrap();
    let push = json!({
        "user": AUTHOR, "branch": "hotfix", "from": gate.commits[0], "files": {"hotfix.txt": "x\n"},
    });
    let pushed = wait(TIMEOUT, hub.act("push", &push)).unwrap();
    let hotfix = pushed["after"].as_str().unwrap();
    let mut running = gate.healthy(&digest('1'), 0);
    running["commit"] = json!(hotfix);
    gate.plant("production", &[running]);
    gate.plant("staging", &[gate.healthy(&digest('2'), 1)]);
    let check = gate.run("linus", &["check", "--digest", &digest('2')]);
    let words = format!(
        "production runs {}, which {} does not follow",
        &hotfix[..7],
        &gate.commits[1][..7]
    );
    check.is(3, &[&words]);
    assert_eq!(check.refusing(), ["range", "forward"], "{}", check.text);
}

/// A review settles the break-glass, but it is of the image: nobody reviewed the commit that came with it.
#[test]
fn commits_of_a_break_glass_come_with_the_next_promotion() {
    let gate = Gate::new("attack-glass");
    gate.declare("");
    let story = Story {
        hub: Hub::new(instance(), &gate.world.repository).unwrap(),
    };
    let push = json!({"user": AUTHOR, "branch": "main", "files": {"fix.txt": "x\n"}});
    let (fix, next) = wait(TIMEOUT, async {
        let pushed = story.hub.act("push", &push).await.unwrap();
        let notes = [("NOTES.md", "The fourth")];
        let next = story.change(AUTHOR, REVIEWER, "The fourth", &notes).await;
        (pushed["after"].as_str().unwrap().to_owned(), next.unwrap())
    });
    let of = |character: char, commit: &str| {
        let mut record = gate.healthy(&digest(character), 0);
        record["commit"] = json!(commit);
        record
    };
    let mut forced = of('2', &fix);
    forced["break_glass"] = json!({
        "reason": "the shop is down", "by": forced["actor"], "expires": "2026-11-21T19:00:00Z",
    });
    let mut review = of('2', &fix);
    review["verdict"] = json!("reviewed");
    review["actor"] = json!({"login": "grace"});
    review["reason"] = json!("right to do so");
    gate.plant(
        "production",
        &[gate.healthy(&digest('1'), 2), forced, review],
    );
    gate.plant("staging", &[of('3', &next)]);
    let check = || gate.run("linus", &["check", "--digest", &digest('3')]);
    let words = format!("no pull request merged into main brought {}", &fix[..7]);
    let refused = check();
    refused.is(3, &[&words, "list it under `accepted-commits`"]);
    assert_eq!(refused.refusing(), ["range"], "{}", refused.text);
    gate.declare(&format!(", accepted-commits: ['{fix}']"));
    check().is(0, &["since", "(record 1 of production)"]);
}

//! The gate over a whole range, by the real binary against the GitHub stand-in: what it lets pass and what it refuses.

mod attacks;
mod checks;
mod contributors;
mod first;
mod many;
mod policy;
mod pull_request;
mod renamed;
mod sides;

use std::process::{Command, Output};

use sandbox::instance::port;
use sandbox::runner::story::{
    AUTHOR, RELEASER, REVIEWER, Story, contract_on_branch, git_folder, unproven,
};
use sandbox::world::http_client;
use serde_json::{Value, json};

use crate::ecr::Setting;
use crate::support::{TIMEOUT, instance, log, wait};

const CONTRACT: &str = include_str!("../../../docs/examples/storefront/delivery.yaml");
const DIGEST: &str = "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

/// A repository with its people, and a gate on the first environment that begins at the repository's first commit.
struct Scene {
    setting: Setting,
    story: Story,
    token: String,
}

/// The exit code and the output of a check.
struct Answer {
    exit: Option<i32>,
    json: Value,
    shown: String,
}

impl Answer {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut json: Value = serde_json::from_str(&text).unwrap_or_default();
        // A refusal stands beside the error.
        if json["details"].is_object() {
            json = json["details"].take();
        }
        Self {
            exit: output.status.code(),
            json,
            shown: format!("{text}{}", log(output)),
        }
    }

    fn rule(&self, name: &str) -> &Value {
        let rules = self.json["rules"].as_array();
        let found = rules.and_then(|all| all.iter().find(|rule| rule["rule"] == name));
        found.unwrap_or_else(|| panic!("no rule {name}: {}", self.shown))
    }

    #[track_caller]
    fn passes(&self) {
        assert_eq!(self.exit, Some(0), "{}", self.shown);
    }

    /// Refused by this rule alone, with these words in its fact.
    #[track_caller]
    fn refused(&self, name: &str, answer: &str, words: &str) {
        assert_eq!(self.exit, Some(3), "{}", self.shown);
        let rule = self.rule(name);
        assert_eq!(rule["answer"], answer, "{}", self.shown);
        let fact = rule["fact"].as_str().unwrap();
        assert!(fact.contains(words), "{fact}: {}", self.shown);
        assert!(rule["next"].is_string(), "{}", self.shown);
        let failing = self.json["rules"].as_array().unwrap().iter();
        let failing: Vec<&Value> = failing
            .filter(|rule| rule["answer"] == "fail")
            .map(|rule| &rule["rule"])
            .collect();
        let alone: &[&str] = if answer == "fail" { &[name] } else { &[] };
        assert_eq!(failing, alone, "{}", self.shown);
    }
}

impl Scene {
    fn new(name: &str) -> Self {
        let setting = Setting::new(name);
        let (story, token) = wait(TIMEOUT, async {
            let story = Story::begin(instance(), &setting.world).await.unwrap();
            let token = story.hub.token(RELEASER).await.unwrap();
            (story, token)
        });
        let scene = Self {
            setting,
            story,
            token,
        };
        scene.contract("", "");
        scene
    }

    /// Writes the contract, with more in the gate and at its end.
    fn contract(&self, gate: &str, more: &str) {
        let first = self.git(&["rev-list", "--max-parents=0", "--all"]);
        let gate = format!("    gate: {{ approvals: 1, since: '{first}'{gate} }}\n");
        let dev = "    account: var:DEV_ACCOUNT_ID\n";
        assert!(CONTRACT.contains(dev));
        let text = CONTRACT.replacen(dev, &format!("{dev}{gate}"), 1);
        // Provenance is another rule's matter, and nothing was built here.
        let text = unproven(&text);
        let people = match more.contains("people:") {
            true => String::new(),
            false => format!("people:\n  {RELEASER}: [{}]\n", self.releaser()),
        };
        let file = self.setting.job.file("delivery.yaml");
        std::fs::write(file, format!("{text}\n{people}{more}")).unwrap();
    }

    /// The principal that starts the builds.
    fn releaser(&self) -> String {
        self.setting.world.principal("Operators", RELEASER)
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(git_folder(instance(), &self.setting.world))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[track_caller]
    fn act(&self, action: &str, body: &Value) -> Value {
        wait(TIMEOUT, self.story.hub.act(action, body)).unwrap()
    }

    fn push(&self, user: &str, branch: &str, file: &str, more: &Value) -> String {
        let mut body =
            json!({"user": user, "branch": branch, "files": {file: format!("{user}\n")}});
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        self.act("push", &body)["after"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A pull request of one commit by `author`, not approved.
    fn propose(&self, author: &str, branch: &str) -> u64 {
        self.push(author, branch, branch, &json!({"from": "main"}));
        self.open(author, branch)
    }

    fn open(&self, author: &str, branch: &str) -> u64 {
        let body = json!({"user": author, "head": branch, "title": format!("Add {branch}")});
        self.act("pulls", &body)["number"].as_u64().unwrap()
    }

    fn review(&self, number: u64, user: &str, state: &str) -> u64 {
        let body = json!({"user": user, "state": state});
        let review = self.act(&format!("pulls/{number}/reviews"), &body);
        review["id"].as_u64().unwrap()
    }

    fn approve(&self, number: u64) {
        self.review(number, REVIEWER, "APPROVED");
    }

    fn merge(&self, number: u64, method: &str) -> String {
        let body = json!({"user": RELEASER, "method": method});
        let merged = self.act(&format!("pulls/{number}/merge"), &body);
        merged["sha"].as_str().unwrap().to_owned()
    }

    /// A reviewed change, merged.
    fn change(&self, branch: &str, method: &str) -> String {
        let number = self.propose(AUTHOR, branch);
        self.approve(number);
        self.merge(number, method)
    }

    fn run(&self, commit: &str) -> Output {
        let arguments = [
            "check",
            "--environment",
            "dev",
            "--digest",
            DIGEST,
            "--json",
        ];
        let job = &self.setting.job;
        let mut command = job.command("slipway-promote", &arguments);
        let world = &self.setting.world;
        let build = world.arn(&world.build.id, "codebuild", "build/promote:1");
        command
            .env("GITHUB_ACTIONS", "")
            .env("GITHUB_REPOSITORY", &self.setting.world.repository)
            .env("GITHUB_TOKEN", &self.token)
            .env("GITHUB_API_URL", instance().url(port::GITHUB))
            .env(
                "GITHUB_GRAPHQL_URL",
                format!("{}/graphql", instance().url(port::GITHUB)),
            )
            .env("CODEBUILD_BUILD_ARN", build)
            .env("CODEBUILD_BUILD_ID", "promote:1")
            .env(
                "CODEBUILD_INITIATOR",
                format!("Operators/{RELEASER}@acme.example"),
            )
            .env("CODEBUILD_RESOLVED_SOURCE_VERSION", commit);
        job.run(&mut command)
    }

    /// The check in a build of this commit, while the branch has the contract of the folder.
    fn check(&self, commit: &str) -> Answer {
        self.with_contract(|| self.check_as_is(commit))
    }

    /// Asks while the branch has the folder's contract, in a commit that no run promotes.
    fn with_contract(&self, ask: impl FnOnce() -> Answer) -> Answer {
        let world = &self.setting.world;
        let file = self.setting.job.file("delivery.yaml");
        let put = contract_on_branch(instance(), world, &file, "delivery.yaml");
        let (branch, tip) = wait(TIMEOUT, put).unwrap();
        let answer = ask();
        self.git(&["update-ref", &branch, &tip]);
        answer
    }

    /// The same with what the branch has.
    fn check_as_is(&self, commit: &str) -> Answer {
        Answer::of(&self.run(commit))
    }

    /// A user's number.
    fn id(&self, login: &str) -> u64 {
        let url = format!("{}/users/{login}", instance().url(port::GITHUB));
        wait(TIMEOUT, async {
            let client = http_client().unwrap();
            let request = client.get(&url).header("user-agent", "e2e");
            let request = request.bearer_auth(&self.token);
            let user: Value = request.send().await.unwrap().json().await.unwrap();
            user["id"].as_u64().unwrap()
        })
    }

    /// A fault on this repository's next queries.
    fn fault(&self, fault: Value) {
        let (owner, _) = self.setting.world.repository.split_once('/').unwrap();
        let holds = format!("\"owner\":\"{owner}\"");
        let mut body = json!({"path": "/graphql", "holds": holds});
        let fields = body.as_object_mut().unwrap();
        fields.extend(fault.as_object().unwrap().clone());
        wait(TIMEOUT, self.story.hub.call("faults", &body)).unwrap();
    }

    /// GitHub's description was broken by nothing that was asked.
    fn no_violations(&self) {
        let found = wait(TIMEOUT, self.story.hub.violations()).unwrap();
        assert_eq!(found, [] as [Value; 0]);
    }
}

#[test]
fn reviewed_changes_pass_however_they_were_merged() {
    let scene = Scene::new("range");
    scene.change("one", "merge");
    // Three that are open while another is merged, so that they meet a newer branch. All of them change one more file, in the
    // same way, so that the last two merges find that the branch has this change already.
    let late = ["late-merge", "late-squash", "late-rebase"].map(|branch| {
        let number = scene.propose(AUTHOR, branch);
        scene.push(AUTHOR, branch, "README.md", &json!({}));
        scene.approve(number);
        number
    });
    scene.change("two", "squash");
    let [merged, squashed, rebased] = late;
    scene.merge(merged, "merge");
    scene.merge(squashed, "squash");
    let tip = scene.merge(rebased, "rebase");
    let answer = scene.check(&tip);
    answer.passes();
    let changes = answer.json["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 5, "{}", answer.shown);
    assert_eq!(changes[0]["approvers"], json!([REVIEWER]));
    assert_eq!(changes[0]["authors"], json!([AUTHOR]));
    let commits = answer.json["commits"].as_array().unwrap();
    assert!(
        commits.iter().all(|one| one["pull_request"].is_u64()),
        "{}",
        answer.shown
    );
    scene.no_violations();
}

/// A check names new providers, so that an approver knows whose builds will run with the deploy role.
#[test]
fn new_providers_of_the_infrastructure_are_named() {
    let scene = Scene::new("range-providers");
    let lock = |version: &str, hash: &str| {
        format!(
            "provider \"registry.terraform.io/hashicorp/null\" {{\n  version = \"{version}\"\n  hashes = [\n    \"h1:{hash}\",\n  ]\n}}\n"
        )
    };
    let file = "infra/.terraform.lock.hcl";
    let bring = |branch: &str, text: &str| {
        let more = json!({"from": "main", "files": {file: text}});
        scene.push(AUTHOR, branch, file, &more);
        let number = scene.open(AUTHOR, branch);
        scene.approve(number);
        scene.merge(number, "squash")
    };
    let answer = scene.check(&scene.change("other", "squash"));
    answer.passes();
    assert_eq!(answer.json["providers"], json!([]), "{}", answer.shown);
    let answer = scene.check(&bring("locked", &lock("3.2.1", "a")));
    answer.passes();
    let new = "provider hashicorp/null 3.2.1 is new";
    assert_eq!(answer.json["providers"], json!([new]), "{}", answer.shown);
    // An unreadable lock file leaves the providers unknown, and no rule depends on them.
    let answer = scene.check(&bring("garbled", "<<<<<<< HEAD\n"));
    answer.passes();
    assert_eq!(answer.json["providers"], Value::Null, "{}", answer.shown);
    scene.no_violations();
}

#[test]
fn a_push_in_the_middle_is_named_until_the_contract_accepts_it() {
    let scene = Scene::new("range-push");
    scene.change("one", "merge");
    let direct = scene.push(
        AUTHOR,
        "main",
        "direct.txt",
        &json!({"message": "Just this once"}),
    );
    let tip = scene.change("two", "squash");
    let answer = scene.check(&tip);
    answer.refused(
        "range",
        "fail",
        &format!("{} by {AUTHOR} (Just this once)", &direct[..7]),
    );
    scene.contract(&format!(", accepted-commits: ['{direct}']"), "");
    scene.check(&tip).passes();
}

#[test]
fn a_manual_merge_with_changes_beyond_its_head_is_named() {
    let scene = Scene::new("range-evil");
    let evil = |branch: &str, meanwhile: bool| {
        let number = scene.propose(AUTHOR, branch);
        scene.approve(number);
        if meanwhile {
            scene.change(&format!("{branch}-meanwhile"), "squash");
        }
        let files = json!({"user": RELEASER, "files": {format!("{branch}.evil"): "evil\n"}});
        let merged = scene.act(&format!("pulls/{number}/merge"), &files);
        merged["sha"].as_str().unwrap().to_owned()
    };
    let first = evil("evil", false);
    let answer = scene.check(&first);
    answer.refused("merge", "fail", "is not that of its final head");
    scene.contract(&format!(", accepted-commits: ['{first}']"), "");
    let second = evil("late", true);
    scene
        .check(&second)
        .refused("merge", "fail", "`late.evil` is not what merging");
}

#[test]
fn github_that_fails_or_answers_in_part_is_refused() {
    let scene = Scene::new("range-faults");
    let number = scene.propose(AUTHOR, "objected");
    scene.review(number, REVIEWER, "CHANGES_REQUESTED");
    wait(TIMEOUT, scene.story.hub.user("dora", "User")).unwrap();
    scene.act("collaborators", &json!({"login": "dora", "role": "write"}));
    scene.review(number, "dora", "APPROVED");
    let tip = scene.merge(number, "merge");
    scene
        .check(&tip)
        .refused("approvals", "fail", "requested changes");
    let pull = format!("/data/repository/p{number}");
    let limited =
        json!({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]});
    let denied = json!({"errors": [{"type": "FORBIDDEN", "message": "Resource not accessible by integration"}]});
    for (fault, words) in [
        (json!({"status": 502, "times": 3}), "502"),
        (
            json!({"status": 403, "headers": {"retry-after": "60"}, "body": {"message": "You have exceeded a secondary rate limit"}}),
            "a rate limit",
        ),
        (
            json!({"status": 200, "body": limited}),
            "API rate limit exceeded",
        ),
        (json!({"status": 200, "body": denied}), "not accessible"),
        (
            json!({"status": 200, "body": {"data": null}}),
            "contains no data",
        ),
    ] {
        // The order of the queries is not promised.
        let mut fault = fault;
        fault["asks"] = json!("associatedPullRequests");
        scene.fault(fault);
        let answer = scene.check(&tip);
        answer.refused("range", "unknown", words);
        if words == "not accessible" {
            assert_eq!(
                answer.rule("range")["permission"],
                "contents: read, pull-requests: read"
            );
        }
    }
    // The objection is left out of a page, and the page's count is not.
    for list in ["reviews", "commits"] {
        let pointer = format!("{pull}/{list}/nodes/0");
        scene.fault(json!({"remove": pointer, "asks": format!("{list}("), "times": 2}));
        let answer = scene.check(&tip);
        answer.refused(
            "range",
            "unknown",
            &format!(
                "of its {}",
                if list == "reviews" {
                    "2 reviews"
                } else {
                    "1 commits"
                }
            ),
        );
        // The second hit, if it is still there, is played out.
        scene.check(&tip);
    }
    // A failure that passes, and slowness, are waited for.
    scene.fault(json!({"status": 502}));
    scene.fault(json!({"delay_ms": 1500}));
    scene
        .check(&tip)
        .refused("approvals", "fail", "requested changes");
    // An author who dismisses an objection to their own change does not lift it.
    let review = scene.review(number, REVIEWER, "CHANGES_REQUESTED");
    let dismiss = format!("pulls/{number}/reviews/{review}/dismiss");
    scene.act(&dismiss, &json!({"user": AUTHOR}));
    scene
        .check(&tip)
        .refused("approvals", "fail", "who contributed, dismissed that");
}

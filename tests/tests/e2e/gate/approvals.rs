//! Approvals of a promotion: who asks, who answers, what counts, and what voids it.

use std::process::Command;

use sandbox::instance::{port, sha256};
use sandbox::runner::hub::{Hub, Run};
use sandbox::world::{World, http_client};
use serde_json::{Value, json};

use super::{ALLOWED, Ended, Gate, digest, ended};
use crate::support::{Started, TIMEOUT, instance, wait};

const WORKFLOW: &str = ".github/workflows/approve.yml";
pub(super) const WHY: &str = "the new prices";

/// Two of ada, grace, dora and eve approve. ada wrote every change.
const APPROVE: &str = ", approve: {count: 2, people: [ada, grace, dora, eve]}";

/// The digest that staging runs and production could get, after the first change.
pub(super) fn next() -> String {
    digest('2')
}

/// A gate where a change waits to be asked for.
pub(super) fn asking(name: &str) -> Gate {
    let gate = Gate::new(name);
    gate.plant("staging", &[gate.healthy(&next(), 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    let hub = sandbox::runner::hub::Hub::new(instance(), &gate.world.repository).unwrap();
    wait(TIMEOUT, hub.user("dora", "User")).unwrap();
    gate
}

impl Gate {
    fn request(&self, person: &str) -> Ended {
        self.run(person, &["request", "--reason", WHY])
    }

    /// Asks, and expects that it becomes this record.
    #[track_caller]
    fn asked(&self, person: &str, number: u64) {
        let asked = self.request(person);
        asked.is(0, &[]);
        assert_eq!(asked.json["record"]["seq"], number, "{}", asked.text);
        assert_eq!(asked.json["written"], true, "{}", asked.text);
    }

    fn answer(&self, person: &str, verb: &str, number: u64) -> Ended {
        let number = number.to_string();
        let mut arguments = vec![verb, "--request", &number];
        if verb != "approve" {
            arguments.extend(["--reason", "not on a Friday"]);
        }
        self.run(person, &arguments)
    }

    pub(super) fn check(&self, person: &str) -> Ended {
        self.run(person, &["check"])
    }

    /// The check refuses for want of approvals and for nothing else.
    #[track_caller]
    fn unapproved(&self, expected: &[&str]) {
        let check = self.check("linus");
        check.is(3, expected);
        assert_eq!(check.refusing(), ["approved"], "{}", check.text);
    }
}

/// One story, as long as it has steps: each of them rests on the records of those before it.
#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, each step of which needs the one before it"
)]
fn two_of_four_approve_exactly_one_promotion() {
    let gate = asking("gate-approved");
    gate.declare(APPROVE);
    gate.unapproved(&[
        "nobody has asked for the 2 approvals",
        "slipway-promote request",
    ]);

    gate.asked("linus", 2);
    let hub = Hub::new(instance(), &gate.world.repository).unwrap();
    wait(TIMEOUT, hub.user("dora", "User")).unwrap();
    let again = gate.request("dora");
    again.is(0, &["ada wrote part of it"]);
    let found = ["written", "may_approve"].map(|name| again.json[name].clone());
    let may = json!(["grace", "dora", "eve"]);
    assert_eq!(found, [json!(false), may.clone()], "{}", again.text);
    assert_eq!(again.json["record"]["seq"], 2, "{}", again.text);
    let status = gate.run("eve", &["status"]);
    let waiting = &status.json["environments"][0]["requests"][0];
    assert_eq!(waiting["missing"], 2, "{}", status.text);
    assert_eq!(waiting["may_approve"], may, "{}", status.text);

    gate.answer("linus", "approve", 2)
        .is(3, &["linus may not approve for production"]);
    gate.answer("ada", "approve", 2)
        .is(3, &["ada wrote part of it, so somebody else must approve"]);
    gate.answer("grace", "approve", 1)
        .is(3, &["record 1 of production is not a request"]);
    gate.answer("grace", "approve", 9)
        .is(3, &["production has no request 9"]);
    let other = digest('9');
    gate.run("grace", &["approve", "--request", "2", "--digest", &other])
        .is(3, &["request 2 is for sha256:2222"]);

    gate.answer("grace", "approve", 2).is(
        0,
        &["1 of 2 approvals (grace); the request waits for 1 more of dora, eve"],
    );
    let twice = gate.answer("grace", "approve", 2);
    twice.is(0, &["\"seq\": 3", "\"written\": false"]);
    gate.unapproved(&[
        "1 of 2 approvals (grace)",
        "have 1 more of dora, eve approve it",
    ]);
    gate.run("dora", &["approve", "--request", "2", "--digest", &next()])
        .is(0, &["2 of 2 approvals (grace, dora)"]);
    let check = gate.check("linus");
    check.is(0, &[ALLOWED, "2 of 2 approvals (grace, dora)"]);
    assert_eq!(check.answer("approved"), "pass");

    // Another contract voids them, and the same one again does not.
    gate.declare(&format!("{APPROVE}, soak: 1m"));
    gate.unapproved(&["request 2 is void: since it was made, the contract's gate changed"]);
    gate.answer("eve", "approve", 2).is(
        3,
        &["request 2 is void: since it was made, the contract's gate changed"],
    );
    gate.declare(APPROVE);
    gate.check("linus").is(0, &[ALLOWED]);

    // An approver may see on the board what other people could promote.
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("board.html");
    let board = gate.run("dora", &["board", "--page", page.to_str().unwrap()]);
    board.is(0, &[]);
    let possible = &board.json["environments"][1]["next"];
    assert_eq!(possible["answer"], "ready", "{}", board.text);
    // An approver cannot promote on their own approval.
    let own = gate.check("dora");
    own.is(3, &["not counted: dora promotes it"]);
    assert_eq!(own.refusing(), ["approved"]);

    let granted = gate.run("linus", &["grant"]);
    granted.is(0, &[ALLOWED]);
    let history = gate.run("linus", &["history"]);
    let permit = &history.json["records"][0]["permit"];
    assert_eq!(permit["requests"], json!([2]), "{}", history.text);

    // A deployment voids them, even one that failed.
    let commit = gate.commits[1].clone();
    let arguments = [
        "--digest",
        &next(),
        "--commit",
        &commit,
        "--verdict",
        "failed",
    ];
    gate.run("linus", &[&["record"][..], &arguments].concat())
        .is(0, &[]);
    gate.unapproved(&["request 2 is void: since it was made, the newest deployment changed"]);
    gate.answer("eve", "approve", 2)
        .is(3, &["the newest deployment changed"]);
}

#[test]
fn a_request_ends_by_rejection_withdrawal_and_time() {
    let gate = asking("gate-ended");
    gate.declare(APPROVE);
    gate.asked("linus", 2);
    gate.answer("grace", "approve", 2).is(0, &[]);
    gate.run("dora", &["reject", "--request", "2"])
        .is(2, &["--reason is missing"]);
    gate.answer("linus", "reject", 2)
        .is(3, &["linus may not reject"]);
    gate.answer("ada", "reject", 2)
        .is(0, &["request 2 promotes nothing"]);
    let rejected = "ada rejected request 2 at ";
    gate.answer("eve", "approve", 2)
        .is(3, &[rejected, "not on a Friday", "ask again"]);
    gate.unapproved(&[rejected, "not on a Friday"]);

    // The approval of the first one does not count for the second.
    gate.asked("linus", 5);
    gate.answer("dora", "approve", 5).is(0, &[]);
    gate.unapproved(&["request 5", "1 of 2 approvals (dora)"]);
    gate.answer("linus", "withdraw", 5)
        .is(0, &["request 5 promotes nothing"]);
    gate.answer("eve", "approve", 5)
        .is(3, &["linus withdrew request 5"]);
    gate.unapproved(&["linus withdrew request 5"]);

    let other = Gate::new("gate-expired");
    other.declare(APPROVE);
    other.plant("staging", &[other.healthy(&next(), 1)]);
    let mut expired = other.healthy(&next(), 1);
    expired["verdict"] = json!("requested");
    expired["reason"] = json!(WHY);
    expired["request"] = json!({
        "binding": "0".repeat(64), "expires": "2026-11-22T18:00:00Z", "head": "0".repeat(64),
        "commits": 1, "range": "0".repeat(64), "people": "0".repeat(64),
    });
    other.plant("production", &[other.healthy(&digest('1'), 0), expired]);
    let late = "request 2 expired at 2026-11-22T18:00:00Z";
    other.answer("grace", "approve", 2).is(3, &[late]);
    other.unapproved(&[late]);
    other.asked("linus", 3);
}

#[test]
fn approvals_that_come_at_the_same_time_both_count() {
    let gate = asking("gate-race");
    gate.declare(APPROVE);
    gate.asked("linus", 2);
    let arguments = ["approve", "--request", "2"];
    let started = ["grace", "dora", "eve"].map(|person| {
        let mut command = gate.command(person, &arguments);
        Started::new(&mut command)
    });
    for run in started {
        let output = run.end(TIMEOUT);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    gate.check("linus")
        .is(0, &[ALLOWED, "3 of 2 approvals (grace, dora, eve)"]);
    gate.run("linus", &["verify"]).is(0, &[]);

    // Until a deployment begins, a rejection takes the permit back as well.
    let permits = || {
        let status = gate.run("linus", &["status"]);
        let deploying = &status.json["environments"][0]["deploying"];
        deploying.as_array().unwrap().len()
    };
    gate.run("linus", &["grant"]).is(0, &[ALLOWED]);
    assert_eq!(permits(), 1);
    gate.answer("eve", "reject", 2).is(0, &[]);
    assert_eq!(permits(), 0);
    gate.unapproved(&["eve rejected request 2"]);
}

/// People as GitHub knows them, by the number of their accounts.
pub(super) struct OnGitHub {
    pub(super) gate: Gate,
    pub(super) hub: Hub,
}

impl OnGitHub {
    fn new(name: &str) -> Self {
        Self::with(name, "")
    }

    /// The same with more about the approvals.
    pub(super) fn with(name: &str, more: &str) -> Self {
        Self::approved_by(name, "[dora, grace, linus]", more)
    }

    /// The same where these approve; OWNER stands for the repository's owner.
    pub(super) fn approved_by(name: &str, approvers: &str, more: &str) -> Self {
        let gate = asking(name);
        let hub = Hub::new(instance(), &gate.world.repository).unwrap();
        let scene = Self { gate, hub };
        for (login, kind) in [
            ("dora", "User"),
            ("dora-admin", "User"),
            ("mallory", "User"),
            ("approver[bot]", "Bot"),
        ] {
            wait(TIMEOUT, scene.hub.user(login, kind)).unwrap();
        }
        let people = format!(
            "  dora: {{id: {}, accounts: {{dora-admin: {}}}}}\n  grace: {{id: {}}}\n  linus: {{id: {}, aws: [{}]}}\n",
            scene.id("dora"),
            scene.id("dora-admin"),
            scene.id("grace"),
            scene.id("linus"),
            scene.gate.principal("linus"),
        );
        let owner = scene.gate.world.repository.split('/').next();
        let approve = format!(", approve: {{people: {approvers}{more}}}");
        let approve = approve.replace("OWNER", owner.unwrap_or_default());
        scene.gate.declare_among(&people, &approve);
        scene
    }

    pub(super) fn id(&self, login: &str) -> u64 {
        let url = format!("{}/users/{login}", instance().url(port::GITHUB));
        wait(TIMEOUT, async {
            let client = http_client().unwrap();
            let request = client.get(&url).header("user-agent", "e2e");
            let request = request.bearer_auth(&self.gate.token);
            let user: Value = request.send().await.unwrap().json().await.unwrap();
            user["id"].as_u64().unwrap()
        })
    }

    /// A run that this account starts, with more of what the stand-in takes.
    fn start(&self, actor: &str, more: &Value) -> u64 {
        self.started(actor, "{}", more).run_id
    }

    fn started(&self, actor: &str, permissions: &str, more: &Value) -> Run {
        let text = format!(
            "on: [workflow_dispatch, push]\njobs:\n  approve:\n    runs-on: x\n    permissions: {permissions}\n    steps: [{{run: x}}]\n"
        );
        let mut body = json!({
            "workflow": WORKFLOW, "event": "workflow_dispatch", "actor": actor, "workflows": {WORKFLOW: text},
        });
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        self.gate.contract_on_branch();
        wait(TIMEOUT, self.hub.start(&body)).unwrap()
    }

    /// The step in a dispatch by this account, with the token of a job that declares these permissions.
    pub(super) fn declaring(&self, permissions: &str, actor: &str, arguments: &[&str]) -> Ended {
        let run = self.started(actor, permissions, &json!({}));
        let mut command = self.inside(run.run_id, arguments);
        command.env("GITHUB_TOKEN", run.token);
        command.env("GITHUB_JOB", "approve");
        ended(&mut command)
    }

    /// The step in that run.
    fn within(&self, run: u64, arguments: &[&str]) -> Ended {
        ended(&mut self.inside(run, arguments))
    }

    pub(super) fn inside(&self, run: u64, arguments: &[&str]) -> Command {
        let mut command = self.gate.command("linus", arguments);
        let file = |name: &str| self.gate.folder.path().join(name);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_RUN_ID", run.to_string())
            .env("GITHUB_RUN_ATTEMPT", "1")
            // The step ignores variables that anybody could set.
            .env("GITHUB_ACTOR", "grace")
            .env("GITHUB_ACTOR_ID", "1")
            .env("GITHUB_EVENT_NAME", "workflow_dispatch");
        for name in ["OUTPUT", "ENV", "STATE", "STEP_SUMMARY"] {
            command.env(format!("GITHUB_{name}"), file(name));
        }
        command
    }

    /// The step in a dispatch by this account.
    pub(super) fn dispatched(&self, actor: &str, arguments: &[&str]) -> Ended {
        self.within(self.start(actor, &json!({})), arguments)
    }
}

#[test]
fn on_github_a_person_is_an_account_by_its_number_and_a_dispatch_on_purpose() {
    let scene = OnGitHub::new("gate-github");
    let asked = scene.dispatched("dora", &["request", "--reason", WHY]);
    asked.is(0, &["gh workflow run approve.yml", "-f request=2"]);
    let record = &asked.json["record"];
    assert_eq!(record["actor"]["id"], scene.id("dora"), "{}", asked.text);
    assert_eq!(record["seq"], 2);
    let approve = ["approve", "--request", "2"];
    for (actor, words) in [
        ("dora", "dora asked for it, so somebody else must approve"),
        ("dora-admin", "dora-admin is dora, who asked for it"),
        ("mallory", "mallory may not approve for production"),
        ("approver[bot]", "approver[bot] is not a person"),
    ] {
        scene.dispatched(actor, &approve).is(3, &[words]);
    }
    let pushed = scene.start("grace", &json!({"event": "push"}));
    scene.within(pushed, &approve).is(
        3,
        &["started by push, so it does not count as an approval by"],
    );
    let theirs = json!({"user": "ada", "branch": "theirs", "from": "main", "files": {"x": "x\n"}});
    wait(TIMEOUT, scene.hub.act("push", &theirs)).unwrap();
    let other_branch = scene.start("grace", &json!({"branch": "theirs"}));
    scene.within(other_branch, &approve).is(
        3,
        &["workflow comes from theirs, so it does not count as an approval by"],
    );
    let again = scene.start("grace", &json!({}));
    wait(TIMEOUT, async {
        let finish = json!({"conclusion": "failure", "jobs": {}});
        let run = format!("runs/{again}");
        scene
            .hub
            .call(&format!("{run}/finish"), &finish)
            .await
            .unwrap();
        let by = json!({"user": "mallory"});
        scene.hub.call(&format!("{run}/rerun"), &by).await.unwrap();
    });
    scene
        .within(again, &approve)
        .is(3, &["grace started this run and mallory ran it again"]);
    // A person with the permit role at a terminal can name any run that is over, whoever started it.
    let over = scene.start("grace", &json!({}));
    let finish = json!({"conclusion": "success", "jobs": {}});
    let path = format!("runs/{over}/finish");
    wait(TIMEOUT, scene.hub.call(&path, &finish)).unwrap();
    let why = format!("run {over} is over, so it does not count as an approval by grace");
    scene.within(over, &approve).is(3, &[&why]);
    // Nothing of this was written.
    let history = scene.gate.run("linus", &["history"]);
    assert_eq!(history.json["records"][0]["seq"], 2, "{}", history.text);

    scene
        .dispatched("grace", &approve)
        .is(0, &["1 of 1 approvals (grace)"]);
    scene.gate.check("linus").is(0, &[ALLOWED]);
    let found = wait(TIMEOUT, scene.hub.violations()).unwrap();
    assert_eq!(found, [] as [Value; 0]);
}

/// A person who can write the table but not sign puts an approval at the end of the chain.
#[test]
fn a_planted_approval_is_refused_by_the_chains_proof() {
    let gate = Gate::new("gate-planted");
    gate.declare(APPROVE);
    let file = gate.folder.path().join("delivery.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let signed = format!("ca-central-1, keys: {{ledger: {}}}}}", World::LEDGER_KEY);
    std::fs::write(&file, text.replace("ca-central-1}", &signed)).unwrap();
    let commit = gate.commits[1].clone();
    let record = [
        "record",
        "--digest",
        &next(),
        "--commit",
        &commit,
        "--verdict",
        "failed",
    ];
    gate.run("linus", &record).is(0, &[]);

    let key = json!({"chain": {"S": "storefront#production"}, "seq": {"N": "1"}});
    let call = |operation: &str, mut input: Value| {
        input["TableName"] = json!(World::LEDGER);
        let target = format!("DynamoDB_20120810.{operation}");
        wait(TIMEOUT, gate.build.json("dynamodb", &target, &input))
            .unwrap()
            .unwrap()
    };
    let first = call("GetItem", json!({"Key": key}))["Item"].clone();
    let prev = first["hash"]["S"].as_str().unwrap();
    let mut approval: Value = serde_json::from_str(first["record"]["S"].as_str().unwrap()).unwrap();
    approval["seq"] = json!(2);
    approval["verdict"] = json!("approved");
    approval["answers"] = json!(1);
    let bytes = approval.to_string();
    let item = json!({
        "chain": {"S": "storefront#production"}, "seq": {"N": "2"}, "record": {"S": bytes},
        "prev": {"S": prev}, "hash": {"S": sha256(format!("{prev}{bytes}").as_bytes())},
    });
    call("PutItem", json!({"Item": item}));
    let digest = next();
    for arguments in [
        &["check", "--digest", &digest][..],
        &["grant", "--digest", &digest],
        &["approve", "--request", "1"],
        &["status"],
    ] {
        gate.run("grace", arguments)
            .is(3, &["record 2 is not signed"]);
    }
}

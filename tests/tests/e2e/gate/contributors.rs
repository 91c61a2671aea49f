//! Contributors to what is promoted, and the effect on the approvals of the promotion.

use sandbox::runner::hub::Hub;
use serde_json::{Value, json};

use super::approvals::{OnGitHub, WHY};
use super::teams::team;
use super::{ALLOWED, Ended, Gate, digest};
use crate::support::{TIMEOUT, instance, wait};

const APPROVE: &str = ", approve: {count: 2, people: [ada, grace, dora, eve]}";
const BOT: &str = "renovate[bot]";

/// A gate whose production runs all three changes.
struct Scene {
    gate: Gate,
    hub: Hub,
}

impl Scene {
    fn new(name: &str) -> Self {
        let gate = Gate::new(name);
        let hub = Hub::new(instance(), &gate.world.repository).unwrap();
        gate.plant("production", &[gate.healthy(&digest('1'), 2)]);
        Self { gate, hub }
    }

    fn act(&self, action: &str, body: &Value) -> Value {
        wait(TIMEOUT, self.hub.act(action, body)).unwrap()
    }

    /// A change that an app pushes and proposes, and that two people approve.
    fn by_an_app(&self) -> String {
        wait(TIMEOUT, self.hub.user(BOT, "Bot")).unwrap();
        let files = json!({"package.json": "{}\n"});
        let push = json!({"user": BOT, "author": "margaret", "branch": "update", "from": "main", "files": files});
        self.act("push", &push);
        let open = json!({"user": BOT, "head": "update", "title": "Update"});
        let pull = self.act("pulls", &open);
        let check = json!({"ref": pull["head_sha"], "name": "test", "conclusion": "success"});
        self.act("check-runs", &check);
        let number = pull["number"].as_u64().unwrap();
        for user in ["grace", "linus"] {
            let review = json!({"user": user, "state": "APPROVED"});
            self.act(&format!("pulls/{number}/reviews"), &review);
        }
        let merged = self.act(&format!("pulls/{number}/merge"), &json!({"user": "linus"}));
        merged["sha"].as_str().unwrap().to_owned()
    }

    /// Makes this commit what staging runs.
    fn stage(&mut self, commit: String) {
        self.gate.commits.push(commit);
        let newest = self.gate.commits.len() - 1;
        let healthy = self.gate.healthy(&digest('2'), newest);
        self.gate.plant("staging", &[healthy]);
    }

    fn ask(&self) -> Ended {
        self.gate.run("linus", &["request", "--reason", "updates"])
    }

    fn approve(&self, person: &str) -> Ended {
        self.gate.run(person, &["approve", "--request", "2"])
    }
}

/// The person who made an app write a change might be one of the approvers.
#[test]
fn a_promotion_an_app_contributed_to_needs_one_more_approval() {
    let mut scene = Scene::new("gate-app");
    let commit = scene.by_an_app();
    scene.stage(commit);
    scene.gate.declare(APPROVE);
    scene.ask().is(0, &[]);
    scene.approve("grace").is(0, &["1 of 3 approvals (grace)"]);
    scene
        .approve("dora")
        .is(0, &["waits for 1 more of ada, eve"]);
    let check = scene.gate.check("linus");
    check.is(
        3,
        &["2 of 3 approvals (grace, dora), one of them because no person is known for renovate[bot]"],
    );
    assert_eq!(check.refusing(), ["approved"], "{}", check.text);
    scene.approve("eve").is(0, &["3 of 3 approvals"]);
    scene.gate.check("linus").is(0, &[ALLOWED]);
    let found = wait(TIMEOUT, scene.hub.violations()).unwrap();
    assert_eq!(found, [] as [Value; 0]);
}

/// Nobody reviewed such a commit, so whoever wrote, committed or helped with it does not approve it either.
#[test]
fn a_contributor_to_an_accepted_commit_cannot_approve_it() {
    let scene = OnGitHub::approved_by("gate-accepted", "[OWNER/release]", "");
    for login in ["helga", "vera"] {
        wait(TIMEOUT, scene.hub.user(login, "User")).unwrap();
    }
    team(&scene, &["mallory", "helga", "vera", "grace"], &["grace"]);
    let act = |action: &str, body: &Value| wait(TIMEOUT, scene.hub.act(action, body)).unwrap();
    // Of these, only the first is known by its login in a list of commits.
    let direct = act(
        "push",
        &json!({
            "user": "mallory", "branch": "main", "files": {"direct.txt": "x\n"},
            "message": "Just this once\n\nCo-authored-by: Helga <helga@acme.example>",
        }),
    );
    let direct = direct["after"].as_str().unwrap().to_owned();
    act(
        "push",
        &json!({"user": "ada", "branch": "more", "from": "main", "files": {"more.txt": "x\n"}}),
    );
    let pull = act(
        "pulls",
        &json!({"user": "ada", "head": "more", "title": "More"}),
    );
    let check = json!({"ref": pull["head_sha"], "name": "test", "conclusion": "success"});
    act("check-runs", &check);
    let number = pull["number"].as_u64().unwrap();
    let review = json!({"user": "grace", "state": "APPROVED"});
    act(&format!("pulls/{number}/reviews"), &review);
    let merged = act(&format!("pulls/{number}/merge"), &json!({"user": "linus"}));
    let tip = merged["sha"].as_str().unwrap();

    let mut healthy = scene.gate.healthy(&digest('2'), 0);
    healthy["commit"] = json!(tip);
    scene.gate.plant("staging", &[healthy]);
    let file = scene.gate.folder.path().join("delivery.yaml");
    let contract = std::fs::read_to_string(&file).unwrap();
    let gate = "gate: {approvals: 1,";
    assert!(contract.contains(gate), "{contract}");
    let accepted = format!("{gate} accepted-commits: ['{direct}'],");
    std::fs::write(&file, contract.replace(gate, &accepted)).unwrap();

    let asked = scene.dispatched("linus", &["request", "--reason", WHY]);
    asked.is(0, &[]);
    assert_eq!(
        asked.json["may_approve"],
        json!(["vera", "grace"]),
        "{}",
        asked.text
    );
    let approve = ["approve", "--request", "2"];
    for login in ["mallory", "helga"] {
        let wrote = format!("{login} wrote part of it, so somebody else must approve");
        scene.dispatched(login, &approve).is(3, &[&wrote]);
    }
    scene
        .dispatched("vera", &approve)
        .is(0, &["1 of 1 approvals (vera)"]);
    scene.gate.check("linus").is(0, &[ALLOWED]);
    let found = wait(TIMEOUT, scene.hub.violations()).unwrap();
    assert_eq!(found, [] as [Value; 0]);
}

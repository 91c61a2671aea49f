//! GitHub that fails, limits, answers in part, is slow or never answers, under each verb that asks it: the verb refuses and
//! writes nothing, or ends right. Nothing passes because it could not be seen.

use sandbox::runner::hub::Hub;
use serde_json::{Value, json};

use super::{ALLOWED, Ended, Gate, digest, ended};
use crate::support::{TIMEOUT, instance, now, wait};

const APPROVE: &str = ", approve: {people: [grace, dora]}";

/// The faults that GitHub can have, each with its name. Each one lasts until it is cleared.
fn kinds() -> [(&'static str, Value); 8] {
    let says = |message: &str| json!({"message": message});
    let secondary = says("You have exceeded a secondary rate limit. Please wait a few minutes.");
    [
        ("fails", json!({"status": 500})),
        (
            "is unavailable",
            json!({"status": 503, "headers": {"content-type": "text/html"}, "body": "<html>"}),
        ),
        (
            "limits the burst",
            json!({"status": 403, "headers": {"retry-after": "60"}, "body": secondary}),
        ),
        (
            "limits the hour",
            json!({"status": 403, "headers": {"x-ratelimit-remaining": "0"}, "body": says("API rate limit exceeded")}),
        ),
        (
            "is asked too much",
            json!({"status": 429, "body": says("Too many requests")}),
        ),
        ("cuts its answer short", json!({"cut": 30})),
        ("sends no body", json!({"cut": 0})),
        ("answers something else", json!({"status": 200, "body": {}})),
    ]
}

struct Outage {
    gate: Gate,
    hub: Hub,
}

impl Outage {
    fn new(name: &str) -> Self {
        let gate = Gate::new(name);
        let hub = Hub::new(instance(), &gate.world.repository).unwrap();
        Self { gate, hub }
    }

    fn owner(&self) -> &str {
        self.gate.world.repository.split_once('/').unwrap().0
    }

    /// A fault of the repository's next requests below a path, and of its next queries that ask for something.
    fn add_faults(&self, path: Option<&str>, asks: Option<&str>, times: u32, kind: &Value) {
        let with = |fault: Value| {
            let mut fault = fault;
            fault["times"] = json!(times);
            let members = fault.as_object_mut().unwrap();
            members.extend(kind.as_object().unwrap().clone());
            wait(TIMEOUT, self.hub.call("faults", &fault)).unwrap();
        };
        if let Some(path) = path {
            with(json!({"path": format!("/repos/{}{path}", self.gate.world.repository)}));
        }
        if let Some(asks) = asks {
            let holds = format!("\"owner\":\"{}\"", self.owner());
            with(json!({"path": "/graphql", "holds": holds, "asks": asks}));
        }
    }

    /// Everything that is asked about the repository.
    fn add_faults_everywhere(&self, times: u32, kind: &Value) {
        self.add_faults(Some(""), Some("query"), times, kind);
    }

    fn clear_faults(&self) {
        let about = json!({"about": self.owner()});
        wait(TIMEOUT, self.hub.call("faults/clear", &about)).unwrap();
    }

    /// Under each fault of everything, the verb refuses and writes nothing.
    fn refuses(&self, person: &str, arguments: &[&str]) {
        for (name, kind) in kinds() {
            let before = self.gate.chain().len();
            self.add_faults_everywhere(100_000, &kind);
            let refused = self.gate.run(person, arguments);
            self.clear_faults();
            // A fault of GitHub is not taken for a missing permission, nor for an error of the step.
            assert!(
                matches!(refused.exit, Some(1 | 3)),
                "{name}: {arguments:?}: {}",
                refused.text
            );
            assert_eq!(self.gate.chain().len(), before, "{name}: {arguments:?}");
        }
    }

    /// Runs the verb during faults that pass by themselves, for which it waits.
    fn run_through_faults(&self, person: &str, arguments: &[&str]) -> Ended {
        self.add_faults(Some(""), Some("query"), 1, &json!({"status": 502}));
        self.add_faults(Some(""), Some("query"), 1, &json!({"delay_ms": 1500}));
        let ended = self.gate.run(person, arguments);
        self.clear_faults();
        ended.is(0, &[]);
        ended
    }

    /// The requests to GitHub that the verbs make while nobody disturbs them, each once: what a fault that hits it alone has to match.
    fn asked(&self, verbs: &[&[&str]]) -> Vec<Value> {
        let since = wait(TIMEOUT, self.hub.calls()).unwrap().len();
        for verb in verbs {
            self.gate.run("linus", verb).is(0, &[]);
        }
        let calls = wait(TIMEOUT, self.hub.calls()).unwrap();
        let mut all: Vec<Value> = Vec::new();
        for call in &calls[since..] {
            let one = match call["asked"].as_str() {
                Some(asked) => json!({"path": "/graphql", "asks": asked}),
                None => json!({"path": call["path"], "query": call["query"]}),
            };
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }
}

#[test]
fn each_verb_refuses_or_ends_right_whatever_github_answers() {
    let outage = Outage::new("outage");
    let gate = &outage.gate;
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let fix = gate.image("fix");
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare(APPROVE);

    let request = ["request", "--digest", &fix, "--reason", "the new prices"];
    outage.refuses("linus", &request);
    outage.run_through_faults("linus", &request);
    let approve = ["approve", "--request", "2"];
    // The approver and the subject of the answer are known without GitHub.
    outage.add_faults_everywhere(100_000, &kinds()[0].1);
    gate.run("grace", &approve).is(0, &["1 of 1 approvals"]);
    outage.clear_faults();
    let grant = ["grant", "--digest", &fix];
    outage.refuses("linus", &["check", "--digest", &fix]);
    outage.refuses("linus", &grant);
    let granted = outage.run_through_faults("linus", &grant);
    let permit = granted.permit();
    gate.begin(permit, "linus", None, &now());
    gate.deploy(&fix);

    // The ledger has the record all the same; the step reports that it could not show it on GitHub.
    let number = permit.to_string();
    let record = [
        "record",
        "--digest",
        &fix,
        "--commit",
        &gate.commits[1],
        "--permit",
        &number,
    ];
    for (name, kind) in kinds() {
        outage.add_faults_everywhere(100_000, &kind);
        let recorded = gate.run("linus", &record);
        outage.clear_faults();
        assert_eq!(recorded.exit, Some(0), "{name}: {}", recorded.text);
        let reported = recorded
            .text
            .contains("its GitHub Deployment is not complete");
        assert!(reported, "{name}: {}", recorded.text);
    }
    outage
        .run_through_faults("linus", &record)
        .is(0, &["\"already\": true"]);
    let chain = gate.chain();
    let verdicts: Vec<&str> = chain
        .iter()
        .map(|(it, _)| it["verdict"].as_str().unwrap())
        .collect();
    let wanted = [
        "healthy",
        "requested",
        "approved",
        "permitted",
        "started",
        "healthy",
    ];
    assert_eq!(verdicts, wanted);
}

/// Each request that the journal has of an undisturbed run fails by itself, while GitHub answers all others.
#[test]
fn a_grant_refuses_without_each_single_answer_that_it_asks_for() {
    let outage = Outage::new("outage-one");
    let gate = &outage.gate;
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    let grant = ["grant", "--digest", &fix];
    let all = outage.asked(&[
        &["check", "--digest", &fix],
        &["grant", "--digest", &fix, "--dry-run"],
    ]);
    let queries = all.iter().filter(|one| one["path"] == "/graphql").count();
    assert!(queries > 2 && all.len() > queries + 4, "{all:#?}");
    let kinds = kinds();
    let slow = ("is slow", json!({"delay_ms": 3000}));
    for (index, request) in all.iter().enumerate() {
        let two = [index, index + 5].map(|kind| &kinds[kind % kinds.len()]);
        for (name, kind) in two.into_iter().chain([&slow]) {
            let mut fault = request.clone();
            fault["times"] = json!(100_000);
            let members = fault.as_object_mut().unwrap();
            members.extend(kind.as_object().unwrap().clone());
            wait(TIMEOUT, outage.hub.call("faults", &fault)).unwrap();
            // What the lock files bring is shown, and no rule asks for it.
            let asks = request["asks"].as_str().unwrap_or_default();
            let shown = asks.contains(".terraform.lock.hcl");
            let dry = ["grant", "--digest", &fix, "--dry-run"];
            let passes = shown || *name == slow.0;
            let ended = gate.run("linus", if passes { &dry } else { &grant });
            let about = json!({"about": request["path"]});
            wait(TIMEOUT, outage.hub.call("faults/clear", &about)).unwrap();
            if passes {
                ended.is(0, &[ALLOWED]);
                continue;
            }
            assert_eq!(ended.exit, Some(3), "{request:#} {name}: {}", ended.text);
            assert!(!ended.refusing().is_empty(), "{}", ended.text);
        }
    }
    // A list that says that it goes on, and is empty.
    let link = format!(
        "<{}/x?page=2>; rel=\"next\"",
        instance().url(sandbox::instance::port::GITHUB)
    );
    let empty = json!({"status": 200, "headers": {"link": link}, "body": {"total_count": 0, "check_runs": [], "statuses": []}});
    outage.add_faults(Some("/commits"), None, 100_000, &empty);
    gate.run("linus", &grant).is(3, &[]);
    outage.clear_faults();
    assert_eq!(gate.chain().len(), 1);
    // A request that never comes back is given up, and asked again.
    outage.add_faults(None, Some("reviews("), 1, &json!({"delay_ms": 3_600_000}));
    gate.run("linus", &grant).is(0, &[ALLOWED]);
}

/// A rollback does not wait for GitHub: the ledger tells by which gate it is judged.
#[test]
fn a_rollback_needs_the_ledger_and_aws_alone_whatever_github_does() {
    let outage = Outage::new("outage-back");
    let gate = &outage.gate;
    gate.plant(
        "production",
        &[gate.healthy(&digest('1'), 0), gate.healthy(&digest('2'), 1)],
    );
    gate.declare("");
    let never = ("never answers", json!({"delay_ms": 3_600_000}));
    for (index, (name, kind)) in kinds().into_iter().chain([never]).enumerate() {
        outage.add_faults_everywhere(100_000, &kind);
        let build = index.to_string();
        let back = ended(&mut gate.built("linus", &build, &["grant", "--rollback"]));
        outage.clear_faults();
        assert_eq!(back.exit, Some(0), "{name}: {}", back.text);
        assert_eq!(back.permit(), index as u64 + 3, "{name}");
    }
}

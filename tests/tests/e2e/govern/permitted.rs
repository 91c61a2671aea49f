//! Plans in an environment whose gate says `plan: true`: applied only under a permit that names them, read from the chain with
//! the role that only reads it. Permits are planted as `slipway-promote grant` writes them.

mod killed;

use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbox::instance::sha256;
use sandbox::world::World;
use sandbox::world::aws::Aws;
use serde_json::{Value, json};

use super::{DEADLINE, Governed};
use crate::gateway;
use crate::job::Job;
use crate::support::{ago, instance, log, now, wait};

const QUERY: &str = "DynamoDB_20120810.Query";
const PUT: &str = "DynamoDB_20120810.PutItem";
/// The commit of a job, which plans are made of.
const COMMIT: &str = "4711471147114711471147114711471147114711";

/// A state of dev, whose gate asks for plans, and dev's chain.
pub(crate) struct Planned {
    state: Governed,
    build: Aws,
    /// The hash of the gate's rules, as the steps write it.
    policy: String,
    /// Tests share the chain, but for those in a world of their own.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Planned {
    pub(crate) fn new(world: &'static World, name: &str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self::in_turn(world, name, Some(turn))
    }

    /// The same in a world that no other test uses.
    fn alone(world: &'static World, name: &str) -> Self {
        Self::in_turn(world, name, None)
    }

    fn in_turn(world: &'static World, name: &str, turn: Option<MutexGuard<'static, ()>>) -> Self {
        let state = Governed::of(world, name);
        let build = wait(DEADLINE, world.administrator(instance(), &world.build)).unwrap();
        let mut planned = Self {
            state,
            build,
            policy: String::new(),
            _turn: turn,
        };
        planned.deployed();
        planned.policy = planned.chain()[0].0["policy"].as_str().unwrap().to_owned();
        planned
    }

    /// The newest deployment, which is a failed one, as the step records it: what is permitted rests on it.
    fn deployed(&self) {
        let job = self.job("shop.example");
        let digest = format!("sha256:{}", "1".repeat(64));
        let failed = ["record", "--environment", "dev", "--digest", &digest];
        let mut record = job.command("slipway-promote", &failed);
        record
            .args(["--commit", COMMIT, "--verdict", "failed"])
            .env("GITHUB_API_URL", "http://127.0.0.1:1");
        let ended = job.run(&mut record);
        assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
    }

    /// A job of an environment whose gate asks for plans, and for `more`.
    fn job_with(&self, domain: &str, more: &str) -> Job {
        let job = self.state.job(domain);
        let contract = job.file("delivery.yaml");
        let text = std::fs::read_to_string(&contract).unwrap();
        let dev = "dev: {account: var:DEV_ACCOUNT_ID";
        assert!(text.contains(dev), "{text}");
        let gate = format!("{dev}, gate: {{plan: true{more}}}");
        std::fs::write(contract, text.replace(dev, &gate)).unwrap();
        job
    }

    fn job(&self, domain: &str) -> Job {
        self.job_with(domain, "")
    }

    /// The records of dev's chain with their hashes, newest first.
    fn chain(&self) -> Vec<(Value, String)> {
        let input = json!({
            "TableName": World::LEDGER, "ScanIndexForward": false, "ConsistentRead": true,
            "KeyConditionExpression": "#c = :c", "ExpressionAttributeNames": {"#c": "chain"},
            "ExpressionAttributeValues": {":c": {"S": "storefront#dev"}},
        });
        let asked = self.build.json("dynamodb", QUERY, &input);
        let found = wait(DEADLINE, asked).unwrap().unwrap();
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
        let items = found["Items"].as_array().unwrap().iter();
        items
            .map(|item| {
                let record = serde_json::from_str(&text(item, "record")).unwrap();
                (record, text(item, "hash"))
            })
            .collect()
    }

    /// Appends a record as a run of the permit role would; answers its number.
    fn plant(&self, record: &Value) -> u64 {
        let chain = self.chain();
        let (seq, prev) = (chain.len() as u64 + 1, &chain[0].1);
        let mut content = json!({
            "seq": seq, "at": "2026-11-21T18:00:00Z", "service": "storefront", "environment": "dev",
            "digest": format!("sha256:{}", "2".repeat(64)), "commit": COMMIT, "actor": {"login": "linus"},
            "policy": self.policy, "account": self.state.account(),
        });
        for (name, value) in record.as_object().unwrap() {
            content[name] = value.clone();
        }
        let bytes = content.to_string();
        let item = json!({
            "chain": {"S": "storefront#dev"}, "seq": {"N": seq.to_string()}, "record": {"S": bytes},
            "hash": {"S": sha256(format!("{prev}{bytes}").as_bytes())}, "prev": {"S": prev},
        });
        let input = json!({"TableName": World::LEDGER, "Item": item});
        let put = self.build.json("dynamodb", PUT, &input);
        wait(DEADLINE, put).unwrap().unwrap();
        seq
    }

    /// A permit for a plan, with these members of its own; answers its number.
    pub(crate) fn permit(&self, plan: &str, more: &Value) -> String {
        let chain = self.chain();
        let ends = |record: &Value| record["verdict"] == "failed";
        let head = &chain.iter().find(|(record, _)| ends(record)).unwrap().1;
        let mut record = json!({
            "verdict": "permitted", "at": now(),
            "permit": {"expires": "2999-01-01T00:00:00Z", "head": head, "plan": plan},
        });
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Object(members) if name == "permit" => {
                    for (name, value) in members {
                        record["permit"][name] = value.clone();
                    }
                }
                value => record[name] = value.clone(),
            }
        }
        self.plant(&record).to_string()
    }

    /// Applies a plan under a permit, and expects a refusal with these texts that changes nothing.
    #[track_caller]
    fn refused(&self, job: &Job, plan: &str, permit: &str, expected: &[&str]) {
        let before = self.state.digest();
        let mut apply = vec!["apply", "--plan", plan];
        if !permit.is_empty() {
            apply.extend(["--permit", permit]);
        }
        let text = self.state.refused(job, &apply);
        for piece in expected {
            assert!(text.contains(piece), "no {piece:?} in\n{text}");
        }
        assert_eq!(self.state.digest(), before, "something was applied");
    }

    fn object(&self, plan: &str) -> String {
        let bucket = self.state.bucket();
        format!("/{bucket}/slipway-plans/{}/{plan}", self.state.key)
    }
}

fn shared() -> &'static World {
    use std::sync::OnceLock;
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| wait(crate::support::TIMEOUT, crate::support::world("permitted")))
}

#[test]
fn a_plan_is_applied_only_under_a_permit_that_names_it() {
    let planned = Planned::new(shared(), "names");
    let job = planned.job("shop.example");
    let plan = planned.state.planned(&job);
    let (other, zeros) = ("9".repeat(64), "0".repeat(40));
    let grant = "slipway-promote grant --environment dev --digest DIGEST --plan";
    let missing = ["the gate of dev says `plan: true`", grant];
    planned.refused(&job, &plan, "", &missing);
    for (more, expected) in [
        (
            json!({"permit": {"plan": other}}),
            format!("it permits plan {other}"),
        ),
        (
            json!({"permit": {"plan": null}}),
            "it names no plan".to_owned(),
        ),
        (
            json!({"commit": zeros}),
            format!("it permits commit {zeros}"),
        ),
        (
            json!({"account": "000000000001"}),
            "it permits account 000000000001".to_owned(),
        ),
        (
            json!({"contract_path": "other.yaml"}),
            "it was judged by the contract other.yaml, and this one is delivery.yaml".to_owned(),
        ),
        (
            json!({"permit": {"expires": "2000-01-01T00:00:00Z"}}),
            "it expired at 2000-01-01T00:00:00Z".to_owned(),
        ),
        (
            json!({"at": ago(11)}),
            "in a workflow, run all of its jobs again".to_owned(),
        ),
        (
            json!({"permit": {"head": "1".repeat(64)}}),
            "another deployment was recorded".to_owned(),
        ),
        (
            json!({"policy": "sha256:0"}),
            "gate of dev has changed".to_owned(),
        ),
        (
            json!({"verdict": "reviewed", "reason": "seen"}),
            "is not a permit: reviewed".to_owned(),
        ),
    ] {
        let permit = planned.permit(&plan, &more);
        let title = format!("permit {permit} does not let plan {plan} be applied to dev");
        planned.refused(&job, &plan, &permit, &[&title, &expected]);
    }
    let unknown = (planned.chain().len() + 1).to_string();
    let expected = format!("has no record {unknown}");
    planned.refused(&job, &plan, &unknown, &[&expected]);
    // The gate became stricter, or a request that the permit rests on was taken back.
    let permit = planned.permit(&plan, &json!({"permit": {"requests": [77]}}));
    let stricter = planned.job_with("shop.example", ", approvals: 2");
    planned.refused(&stricter, &plan, &permit, &["gate of dev has changed"]);
    planned.plant(&json!({"verdict": "withdrawn", "answers": 77, "reason": "no"}));
    planned.refused(&job, &plan, &permit, &["request 77 was withdrawn"]);

    // The one that names it lets it be applied, and a deployment that was recorded closes it.
    let closed = planned.permit(&plan, &json!({}));
    planned.plant(&json!({"verdict": "failed", "under": 1}));
    planned.refused(
        &job,
        &plan,
        &closed,
        &["another deployment was recorded since it was granted"],
    );
    let permit = planned.permit(&plan, &json!({}));
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    let applied = planned.state.run_json(&job, &apply);
    assert_eq!(applied["permit"]["record"].to_string(), permit, "{applied}");
    assert_eq!(applied["permit"]["granted_by"], "linus", "{applied}");
    let summary = job.read("summary");
    let under = format!("permit: {permit}, granted by linus at 20");
    assert!(summary.contains(&under), "{summary}");
    assert!(planned.state.digest().is_some());
    // It writes nothing of its own: the permit is the deployment's to use.
    assert_eq!(planned.chain()[0].0["verdict"], "permitted");
}

#[test]
fn a_plan_is_used_up_by_being_applied_and_is_what_was_kept() {
    let planned = Planned::new(shared(), "used-up");
    let job = planned.job("shop.example");
    let plan = planned.state.planned(&job);
    let permit = planned.permit(&plan, &json!({}));
    // Two more plans of the same state, with permits of their own.
    let second = planned.state.planned(&planned.job("new.example"));
    let of_second = planned.permit(&second, &json!({}));
    let replaced = planned.state.planned(&job);
    let of_replaced = planned.permit(&replaced, &json!({}));
    // Somebody who can write to the bucket has another plan in the place of this one.
    let other = "{}\nanother plan".to_owned();
    let object = planned.object(&replaced);
    let put = planned.state.aws.put(&object, other);
    wait(DEADLINE, put).unwrap().unwrap();
    let swapped = ["is not what was kept"];
    planned.refused(&job, &replaced, &of_replaced, &swapped);
    // The plan stays where it is, because nobody may delete it just then.
    let fault =
        json!({"kind": "status", "status": 400, "code": "InvalidRequest", "message": "not now"});
    gateway::tell(
        "faults",
        &json!({
            "account": planned.state.account(), "service": "s3", "operation": "DeleteObject", "times": 1, "fault": fault,
        }),
    );
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    let applied = log(&planned.state.ends(&job, &apply, 0));
    assert!(applied.contains("still in the bucket"), "{applied}");
    // The permit is good, and the state has moved on.
    let moved = ["no longer fits", "the state's serial"];
    planned.refused(&job, &plan, &permit, &moved);
    let later = planned.job("new.example");
    planned.refused(&later, &second, &of_second, &moved);
    // Another state of the environment has no such plan.
    let other_state = Governed::of(shared(), "used-up-elsewhere");
    let there = planned.job("shop.example");
    let contract = there.file("delivery.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    std::fs::write(contract, text.replace(&planned.state.key, &other_state.key)).unwrap();
    let stderr = other_state.refused(&there, &apply);
    assert!(stderr.contains("there is no plan"), "{stderr}");
}

#[test]
fn a_command_changes_nothing_where_only_permitted_plans_are_applied() {
    let planned = Planned::new(shared(), "commands");
    let job = planned.job("shop.example");
    let runs = |script: &str, exit: i32, expected: &[&str]| {
        let mut step = planned.state.step(&job, &["run"]);
        step.args(["--", "bash", "-euo", "pipefail", "-c", script]);
        let ended = job.run(&mut step);
        let text = format!("{}{}", log(&ended), String::from_utf8_lossy(&ended.stdout));
        assert_eq!(ended.status.code(), Some(exit), "{script}: {text}");
        assert_eq!(planned.state.lock(), None, "{script} left the lock");
        for piece in expected {
            assert!(text.contains(piece), "no {piece:?} in\n{text}");
        }
    };
    let init = "terraform init -no-color";
    let refused = [
        "`apply` may change a state or infrastructure, and the gate of dev says `plan: true`",
        "slipway-state apply --environment dev --plan ID --permit NUMBER",
    ];
    runs(
        &format!("{init}; terraform apply -no-color -auto-approve"),
        3,
        &refused,
    );
    // The step refuses even if the script ignores the error.
    let or_else = format!("{init}; terraform apply -no-color -auto-approve || true; touch went-on");
    runs(&or_else, 3, &["ignored the refusal"]);
    assert!(job.file("infra/went-on").exists());
    for call in [
        "destroy -auto-approve",
        "import terraform_data.network x",
        "state rm terraform_data.network",
        "taint terraform_data.network",
        "workspace delete -force blue",
    ] {
        let expected = ["says `plan: true`"];
        runs(&format!("terraform {call}"), 3, &expected);
    }
    assert_eq!(planned.state.digest(), None);
    // Looking, and planning by hand, changes nothing.
    let looks = format!(
        "{init}; terraform validate -no-color; terraform plan -no-color -out=plan; terraform show -json plan >shown"
    );
    runs(&looks, 0, &["terraform_data.network"]);
    assert_eq!(planned.state.digest(), None);
    // Where the gate does not ask for plans, a permit has nothing to say.
    let free = planned.state.job("shop.example");
    let id = "a".repeat(64);
    let given = ["apply", "--plan", &id, "--permit", "1"];
    let stderr = log(&planned.state.ends(&free, &given, 2));
    assert!(stderr.contains("omit --permit"), "{stderr}");
}

/// The job that applies has the role that deploys. It needs the one that reads the ledger too, and never one that writes it.
#[test]
fn the_job_that_applies_reads_the_ledger_and_writes_nothing_to_it() {
    let world = Box::leak(Box::new(wait(
        crate::support::TIMEOUT,
        crate::support::world("permitted-roles"),
    )));
    let planned = Planned::new(world, "roles");
    let keys = world.codebuild_session(instance(), "dev-infrastructure", "code");
    let keys = wait(DEADLINE, keys).unwrap();
    let mut job = planned.job("shop.example");
    for (name, value) in keys.variables() {
        job.set(&name, &value);
    }
    let plan = planned.state.planned(&job);
    let permit = planned.permit(&plan, &json!({}));
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    let denied = planned.state.step(&job, &apply);
    let ended = job.run(&mut { denied });
    assert_ne!(ended.status.code(), Some(0), "{}", log(&ended));
    let stderr = log(&ended);
    for piece in ["slipway-read", "docs/getting-started.md"] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
    assert_eq!(planned.state.digest(), None);

    let dev = world.environment("dev").unwrap();
    let reads = world.infrastructure_reads_ledger(instance(), dev);
    wait(DEADLINE, reads).unwrap();
    let grant = ["record", "--environment", "dev", "--verdict", "failed"];
    let digest = format!("sha256:{}", "2".repeat(64));
    let mut write = job.command("slipway-promote", &grant);
    write
        .args(["--digest", &digest, "--commit", COMMIT])
        .env("GITHUB_API_URL", "http://127.0.0.1:1");
    let refused = job.run(&mut write);
    assert_ne!(refused.status.code(), Some(0), "{}", log(&refused));
    assert!(
        log(&refused).contains("slipway-permit-dev"),
        "{}",
        log(&refused)
    );
    let applied = planned.state.run_json(&job, &apply);
    assert_eq!(applied["permit"]["record"].to_string(), permit, "{applied}");
}

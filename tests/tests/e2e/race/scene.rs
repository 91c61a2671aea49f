//! The environment that a race is for, what is promoted to it, and what is known of it afterwards.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;

use sandbox::instance::port;
use sandbox::runner::hub::Hub;
use sandbox::runner::story::{AUTHOR, REVIEWER, Story};
use sandbox::world::World;
use sandbox::world::aws::Aws;
use serde_json::{Value, json};

use super::fate::Theme;
use super::history::{History, Item, Span, Step};
use crate::gate::{Gate, digest};
use crate::gateway;
use crate::record::{Call, calls, open};
use crate::support::{TIMEOUT, ends, instance, until, wait};

const ECS: &str = "AmazonEC2ContainerServiceV20141113";
const CHAIN: &str = "storefront#production";

pub(super) struct Scene {
    pub(super) gate: Gate,
    pub(super) hub: Hub,
    /// The administrator of production's account.
    aws: Aws,
    /// The digests that can be promoted in each round, and their commit, which is newer than that of the round before.
    changes: Vec<(Vec<String>, String)>,
    /// How many records were there before the race.
    given: u64,
    /// The task definition that ran before.
    first: String,
    pub(super) steps: Mutex<Vec<Step>>,
    pub(super) struck: Mutex<Vec<Theme>>,
}

impl Scene {
    /// With as many rounds, and one more promotion; the runs of each promote as many digests.
    pub(super) fn new(name: &str, rounds: usize, digests: usize) -> Self {
        let gate = Gate::new(name);
        let hub = Hub::new(instance(), &gate.world.repository).unwrap();
        let story = Story { hub: hub.clone() };
        let production = gate.world.environment("production").unwrap();
        let aws = wait(TIMEOUT, async {
            gate.world.serve(instance()).await.unwrap();
            let account = &production.account;
            gate.world.administrator(instance(), account).await.unwrap()
        });
        let changes: Vec<(Vec<String>, String)> = (0..=rounds)
            .map(|round| {
                let title = format!("Change {round}");
                let notes = [("NOTES.md", title.as_str())];
                let change = story.change(AUTHOR, REVIEWER, &title, &notes);
                let commit = wait(TIMEOUT, change).unwrap();
                let image = |number| gate.image(&format!("{name}-{round}-{number}"));
                ((0..digests).map(image).collect(), commit)
            })
            .collect();
        let mut scene = Self {
            gate,
            hub,
            aws,
            changes,
            given: 0,
            first: String::new(),
            steps: Mutex::default(),
            struck: Mutex::default(),
        };
        scene.declare();
        scene.begin();
        scene
    }

    pub(super) fn change(&self, round: usize, index: usize) -> (&str, &str) {
        let (digests, commit) = &self.changes[round];
        (&digests[index % digests.len()], commit)
    }

    /// A contract with everything that proves a chain.
    fn declare(&self) {
        self.gate.declare("");
        let file = self.gate.folder.path().join("delivery.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let proofs = format!(
            "region: ca-central-1, keys: {{ledger: {}}}, anchor: {{bucket: {}, prefix: slipway}}}}",
            World::LEDGER_KEY,
            self.gate.world.anchor_bucket()
        );
        let build = "region: ca-central-1}";
        assert!(text.contains(build), "{text}");
        std::fs::write(&file, text.replace(build, &proofs)).unwrap();
        self.gate.contract_on_branch();
    }

    /// Everything is healthy in staging, and production runs something older. A person accepts both.
    fn begin(&mut self) {
        let healthy = |digest: &String, commit: &String| {
            let mut record = self.gate.healthy(digest, 0);
            record["commit"] = json!(commit);
            record
        };
        let changes = self.changes.iter();
        let staged: Vec<Value> = changes
            .flat_map(|(digests, commit)| digests.iter().map(move |digest| healthy(digest, commit)))
            .collect();
        let old = self.gate.healthy(&digest('1'), 0);
        for (environment, records) in [("staging", staged), ("production", vec![old])] {
            let head = self.gate.plant(environment, &records);
            let accept = ["--accept-head", &head];
            let (digest, commit) = (digest('1'), &self.gate.commits[0]);
            ends(
                &mut self.fails(environment, &digest, commit, &accept),
                0,
                &[],
            );
        }
        self.given = self.items().len() as u64;
        self.first = self.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .to_owned();
    }

    /// A person at a terminal puts on record that a deployment failed.
    fn fails(&self, environment: &str, digest: &str, commit: &str, more: &[&str]) -> Command {
        let own = [
            "record",
            "--environment",
            environment,
            "--digest",
            digest,
            "--commit",
            commit,
            "--verdict",
            "failed",
        ];
        let keys = self
            .gate
            .world
            .codebuild_session(instance(), environment, "linus@acme.example");
        let keys = wait(TIMEOUT, keys).unwrap();
        let mut command = Command::new(instance().built().join("slipway-promote"));
        command
            .args(own)
            .args(more)
            .current_dir(self.gate.folder.path())
            .env_clear()
            .envs(self.gate.world.variables(instance()))
            .envs(self.gate.world.repository_variables())
            .envs(keys.variables());
        command
    }

    /// Records the end of a deployment whose run is not repeated, as the refusals suggest.
    pub(super) fn close_interrupted(&self, round: usize, theme: Theme) {
        // A call of a killed run may still be in progress.
        until("no call is being done", TIMEOUT, || {
            (wait(TIMEOUT, open(&self.gate.world)) == 0).then_some(())
        });
        let last = self.newest("permitted");
        if last["verdict"] != "started" {
            return;
        }
        let text = |name: &str| last[name].as_str().unwrap().to_owned();
        let (digest, commit) = (text("digest"), text("commit"));
        // A rollback is not recorded as healthy if what it overtook updated the service after all.
        assert!(theme == Theme::RollsBack || commit == self.changes[round].1);
        ends(
            &mut self.fails("production", &digest, &commit, &[]),
            0,
            &["written"],
        );
    }

    /// The chain's records, oldest first.
    fn records(&self) -> Vec<Value> {
        let items = self.items();
        let record = |item: &Value| serde_json::from_str(item["record"]["S"].as_str().unwrap());
        items.iter().map(|item| record(item).unwrap()).collect()
    }

    /// The newest record with another verdict.
    pub(super) fn newest(&self, but: &str) -> Value {
        let records = self.records();
        let newest = records.iter().rfind(|record| record["verdict"] != but);
        newest.unwrap().clone()
    }

    pub(super) fn newest_deployment(&self) -> Value {
        let records = self.records();
        let deploys = |it: &&Value| it["verdict"] != "permitted" && it["verdict"] != "started";
        records.iter().rfind(deploys).unwrap().clone()
    }

    pub(super) fn verifies(&self) {
        self.gate
            .run("grace", &["verify"])
            .is(0, &["\"faults\": []"]);
    }

    /// Production's account.
    pub(super) fn production(&self) -> &str {
        let production = self.gate.world.environment("production");
        &production.unwrap().account.id
    }

    /// Lets the first update of the service in a round arrive late, so that somebody else overtakes it.
    pub(super) fn delays_an_update(&self) {
        let account = self.production();
        let fault = json!({"service": "ecs", "operation": "UpdateService", "account": account, "times": 1,
                           "fault": {"kind": "delay", "millis": 10_000}});
        gateway::tell("faults", &fault);
    }

    /// Returns true if the event that a round tests happened.
    pub(super) fn struck(&self, theme: Theme) -> bool {
        self.struck.lock().unwrap().contains(&theme)
    }

    /// The chain's items, oldest first.
    fn items(&self) -> Vec<Value> {
        let mut found = Vec::new();
        let mut input = json!({
            "TableName": World::LEDGER, "ConsistentRead": true,
            "KeyConditionExpression": "#c = :c", "ExpressionAttributeNames": {"#c": "chain"},
            "ExpressionAttributeValues": {":c": {"S": CHAIN}},
        });
        loop {
            let asked = self
                .gate
                .build
                .json("dynamodb", "DynamoDB_20120810.Query", &input);
            let answer = wait(TIMEOUT, asked).unwrap().unwrap();
            found.extend(answer["Items"].as_array().unwrap().iter().cloned());
            match answer.get("LastEvaluatedKey") {
                None => return found,
                Some(last) => input["ExclusiveStartKey"] = last.clone(),
            }
        }
    }

    fn ecs(&self, operation: &str, input: &Value) -> Value {
        let target = format!("{ECS}.{operation}");
        wait(TIMEOUT, self.aws.json("ecs", &target, input))
            .unwrap()
            .unwrap()
    }

    fn service_key(&self) -> Value {
        let world = &self.gate.world;
        let production = world.environment("production").unwrap();
        json!({"cluster": production.cluster(&world.service), "service": world.service})
    }

    fn service(&self) -> Value {
        let key = self.service_key();
        let input = json!({"cluster": key["cluster"], "services": [key["service"]]});
        self.ecs("DescribeServices", &input)["services"][0].clone()
    }

    /// The task definitions of the service's deployments, oldest first.
    fn rollouts(&self) -> Vec<String> {
        let mut input = self.service_key();
        let mut arns = Vec::new();
        loop {
            let answer = self.ecs("ListServiceDeployments", &input);
            let page = answer["serviceDeployments"].as_array().unwrap();
            arns.extend(page.iter().map(|deployment| {
                let target = deployment["targetServiceRevisionArn"].as_str().unwrap();
                (deployment["createdAt"].as_f64().unwrap(), target.to_owned())
            }));
            match answer.get("nextToken") {
                None => break,
                Some(token) => input["nextToken"] = token.clone(),
            }
        }
        arns.sort_by(|one, other| one.0.total_cmp(&other.0));
        let revisions = arns.iter().map(|(_, arn)| {
            let input = json!({"serviceRevisionArns": [arn]});
            let answer = self.ecs("DescribeServiceRevisions", &input);
            answer["serviceRevisions"][0]["taskDefinition"]
                .as_str()
                .unwrap()
                .to_owned()
        });
        revisions.collect()
    }

    fn image(&self, revision: &str) -> String {
        let found = self.ecs(
            "DescribeTaskDefinition",
            &json!({"taskDefinition": revision}),
        );
        let image = &found["taskDefinition"]["containerDefinitions"][0]["image"];
        let image = image.as_str().unwrap();
        image
            .split_once('@')
            .map_or(image, |(_, digest)| digest)
            .to_owned()
    }

    pub(super) fn history(&self) -> History {
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
        let items: Vec<Item> = self
            .items()
            .iter()
            .map(|item| Item {
                record: text(item, "record"),
                hash: text(item, "hash"),
                prev: text(item, "prev"),
            })
            .collect();
        let calls = wait(TIMEOUT, calls(&self.gate.world));
        let span = |call: &Call| Span {
            began: call.began,
            ended: call.seq,
        };
        let done = || calls.iter().filter(|call| !call.failed());
        let mut appends: Vec<Span> = done()
            .filter(|call| call.operation == "TransactWriteItems" && call.is_about(CHAIN))
            .map(span)
            .collect();
        // A step reads the previous record before it appends, so appends begin in the order of the chain.
        appends.sort_by_key(|span| span.began);
        // The first of them accepted what was there.
        let appends = appends.split_off(1);
        let account = self.production();
        let updates: Vec<(Span, String)> = done()
            .filter(|call| {
                call.operation == "UpdateService" && call.account.as_deref() == Some(account)
            })
            .filter_map(|call| Some((span(call), call.task_definition.clone()?)))
            .collect();
        let runs = self.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .to_owned();
        let rollouts = self.rollouts();
        let all = updates
            .iter()
            .map(|(_, revision)| revision)
            .chain([&runs, &self.first]);
        let images: BTreeMap<String, String> = all
            .map(|revision| (revision.clone(), self.image(revision)))
            .collect();
        History {
            items,
            given: self.given,
            appends,
            updates,
            rollouts,
            images,
            runs,
            steps: self.steps.lock().unwrap().clone(),
        }
    }

    /// The URL of the GitHub stand-in, for the runs of a promotion's workflow.
    pub(super) fn hub_url() -> String {
        instance().url(port::GITHUB)
    }
}

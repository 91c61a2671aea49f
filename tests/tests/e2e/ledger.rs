//! The ledger's proofs: what somebody with the table in hand can do to a chain, and that each reader refuses it.

mod locked;

use std::process::Command;

use sandbox::instance::sha256;
use sandbox::world::World;
use serde_json::{Value, json};

use crate::ecr::Setting;
use crate::gateway;
use crate::support::{Started, TIMEOUT, clocked, instance, log, now, wait};

const DYNAMODB: &str = "DynamoDB_20120810";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The proofs that the contract names beside the table.
#[derive(Clone, Copy)]
struct Proof {
    key: bool,
    anchor: bool,
}

const NONE: Proof = Proof {
    key: false,
    anchor: false,
};
const KEY: Proof = Proof {
    key: true,
    anchor: false,
};
const ANCHOR: Proof = Proof {
    key: false,
    anchor: true,
};
const BOTH: Proof = Proof {
    key: true,
    anchor: true,
};

/// The ledger of a world, seen from a job of its first environment.
struct Scene {
    setting: Setting,
}

impl Scene {
    fn new(name: &str, proof: Proof) -> Self {
        let scene = Self {
            setting: Setting::new(name),
        };
        scene.contract(proof, World::LEDGER);
        scene
    }

    /// Writes a contract that names the table and these proofs.
    fn contract(&self, proof: Proof, table: &str) {
        let world = &self.setting.world;
        let mut build = format!(
            "build:\n  account: '{}'\n  region: {}\n  ledger: {table}\n",
            world.build.id, world.region
        );
        if proof.key {
            build.push_str(&format!("  keys: {{ ledger: {} }}\n", World::LEDGER_KEY));
        }
        if proof.anchor {
            let bucket = &world.anchor_bucket();
            build.push_str(&format!(
                "  anchor: {{ bucket: {bucket}, prefix: slipway }}\n"
            ));
        }
        let account = |name: &str| world.environment(name).unwrap().account.id.clone();
        let text = format!(
            "version: 1\nservice: storefront\n{build}environments:\n  dev: {{ account: '{}' }}\n  staging: {{ account: '{}', follows: dev }}\n",
            account("dev"),
            account("staging")
        );
        std::fs::write(self.setting.job.file("delivery.yaml"), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.setting.job.command("slipway-promote", arguments);
        // A check needs a token before it reads the ledger, which is what this is about.
        command.env("GITHUB_TOKEN", "ghs_nobodys").env(
            "GITHUB_API_URL",
            instance().url(sandbox::instance::port::GITHUB),
        );
        command
    }

    /// Runs the step and expects its exit code; answers what it printed and what it logged.
    fn promote(&self, arguments: &[&str], exit: i32) -> (String, String) {
        let ended = self.setting.job.run(&mut self.command(arguments));
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        let logged = log(&ended);
        assert_eq!(
            ended.status.code(),
            Some(exit),
            "{arguments:?}: {text}{logged}"
        );
        (text, logged)
    }

    fn json(&self, arguments: &[&str], exit: i32) -> Value {
        let (text, _) = self.promote(&[arguments, &["--json"]].concat(), exit);
        serde_json::from_str(&text).unwrap()
    }

    fn record(&self, commit: &str, more: &[&str], exit: i32) -> (String, String) {
        let commit = commit.repeat(40);
        self.promote(&[&recorded(&commit), more].concat(), exit)
    }

    /// The faults that `verify` finds; it refuses if there are any.
    fn faults(&self) -> Value {
        let sound = ["verify", "--environment", "dev", "--json"];
        let ended = self.setting.job.run(&mut self.command(&sound));
        let found: Value =
            serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{}", log(&ended)));
        // A refusal has it beside the error.
        let found = match found.get("details") {
            Some(details) => details.clone(),
            None => found,
        };
        let faults = found["faults"].clone();
        let exit = if faults == json!([]) { 0 } else { 3 };
        assert_eq!(ended.status.code(), Some(exit), "{found}");
        faults
    }

    /// Every verb that reads dev's chain refuses it with these words.
    fn refused(&self, words: &str) {
        for arguments in [
            &["status", "--environment", "dev"][..],
            &["history", "--environment", "dev"],
            &["check", "--environment", "staging", "--digest", DIGEST],
            &recorded(&"e".repeat(40)),
        ] {
            let (_, stderr) = self.promote(arguments, 3);
            assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        }
    }

    fn call(&self, operation: &str, input: &Value) -> Value {
        let target = format!("{DYNAMODB}.{operation}");
        let call = self.setting.aws.json("dynamodb", &target, input);
        wait(TIMEOUT, call).unwrap().unwrap()
    }

    /// Lets a role of the build account do anything with a table.
    fn allow(&self, role: &str, table: &str) {
        let world = &self.setting.world;
        let table = format!(
            "arn:aws:dynamodb:{}:{}:table/{table}",
            world.region, world.build.id
        );
        let document = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["dynamodb:*"], "Resource": [table]}],
        })
        .to_string();
        let parameters = [
            ("RoleName", role),
            ("PolicyName", "another-table"),
            ("PolicyDocument", &document),
        ];
        let aws = &self.setting.aws;
        let call = aws.query("iam", "2010-05-08", "PutRolePolicy", &parameters);
        wait(TIMEOUT, call).unwrap().unwrap();
    }

    fn key(seq: u64) -> Value {
        json!({"chain": {"S": "storefront#dev"}, "seq": {"N": seq.to_string()}})
    }

    fn item(&self, seq: u64) -> Value {
        let input =
            json!({"TableName": World::LEDGER, "Key": Self::key(seq), "ConsistentRead": true});
        self.call("GetItem", &input)["Item"].clone()
    }

    fn put(&self, table: &str, item: &Value) {
        self.call("PutItem", &json!({"TableName": table, "Item": item}));
    }

    fn delete(&self, seq: u64) {
        let input = json!({"TableName": World::LEDGER, "Key": Self::key(seq)});
        self.call("DeleteItem", &input);
    }

    /// The item with `from` replaced in its record, and a hash that fits.
    fn rewritten(item: &Value, from: &str, to: &str) -> Value {
        let record = item["record"]["S"].as_str().unwrap();
        let changed = record.replace(from, to);
        assert_ne!(changed, record);
        let prev = item["prev"]["S"].as_str().unwrap();
        let mut item = item.clone();
        item["hash"]["S"] = sha256(format!("{prev}{changed}").as_bytes()).into();
        item["record"]["S"] = changed.into();
        item
    }

    /// Starts a `record` and kills it while it waits for the answer to this call.
    fn kill_at(&self, service: &str, operation: &str, commit: &str) {
        let account = &self.setting.world.build.id;
        let commit = commit.repeat(40);
        let mut command = self.command(&recorded(&commit));
        gateway::killed(account, service, operation, &mut command);
    }
}

fn recorded(commit: &str) -> [&str; 9] {
    [
        "record",
        "--environment",
        "dev",
        "--digest",
        DIGEST,
        "--commit",
        commit,
        "--verdict",
        "failed",
    ]
}

/// The head is put again, unconditionally, with another verdict and the hash that fits.
#[test]
fn a_replaced_head_is_refused_by_every_reader() {
    for (name, proof, words, fault) in [
        (
            "ledger-key",
            KEY,
            "record 2 is signed, but not by the ledger's key",
            "forged",
        ),
        (
            "ledger-anchor",
            ANCHOR,
            "record 2 is not the one that was anchored",
            "replaced",
        ),
    ] {
        let scene = Scene::new(name, proof);
        scene.record("1", &[], 0);
        scene.record("2", &[], 0);
        scene.promote(&["status", "--environment", "dev"], 0);
        assert_eq!(scene.faults(), json!([]));
        let item = scene.item(2);
        let replaced = Scene::rewritten(&item, "failed", "healthy");
        scene.put(World::LEDGER, &replaced);
        scene.refused(words);
        assert_eq!(scene.faults(), json!([{"fault": fault, "seq": 2}]));
        // It is refused without a signature too, or with the signature and hash of the true one.
        let mut unsigned = replaced.clone();
        unsigned.as_object_mut().unwrap().remove("signature");
        scene.put(World::LEDGER, &unsigned);
        if proof.key {
            scene.refused("record 2 is not signed");
        }
        let mut mixed = item.clone();
        mixed["record"] = replaced["record"].clone();
        scene.put(World::LEDGER, &mixed);
        scene.refused("record 2 was altered");
        scene.put(World::LEDGER, &item);
        scene.record("3", &[], 0);
        assert_eq!(scene.faults(), json!([]));
    }
}

/// A record is planted at the end by somebody who can write the table and cannot sign.
#[test]
fn a_planted_record_is_refused() {
    let scene = Scene::new("ledger-planted", BOTH);
    scene.record("1", &[], 0);
    let head = scene.item(1);
    let mut planted = head.clone();
    planted["seq"]["N"] = "2".into();
    planted["prev"] = head["hash"].clone();
    let planted = Scene::rewritten(&planted, "\"seq\":1", "\"seq\":2");
    scene.put(World::LEDGER, &planted);
    scene.refused("record 2 is signed, but not by the ledger's key");
    let (_, stderr) = scene.promote(&["status", "--environment", "dev"], 3);
    let hash = planted["hash"]["S"].as_str().unwrap();
    assert!(
        stderr.contains(&format!("--accept-head {hash}")),
        "{stderr}"
    );
    let faults = scene.faults();
    assert!(
        faults
            .as_array()
            .unwrap()
            .contains(&json!({"fault": "forged", "seq": 2})),
        "{faults}"
    );
}

/// A permit that the key did not sign is refused too.
#[test]
fn a_planted_permit_is_refused() {
    let scene = Scene::new("ledger-permit", BOTH);
    scene.record("1", &[], 0);
    let head = scene.item(1);
    let mut record: Value = serde_json::from_str(head["record"]["S"].as_str().unwrap()).unwrap();
    record["seq"] = 2.into();
    record["verdict"] = "permitted".into();
    record["permit"] = json!({"expires": "2998-12-31T00:00:00Z", "head": head["hash"]["S"]});
    let prev = head["hash"]["S"].as_str().unwrap();
    let mut planted = head.clone();
    planted["seq"]["N"] = "2".into();
    planted["prev"] = head["hash"].clone();
    planted["hash"]["S"] = sha256(format!("{prev}{record}").as_bytes()).into();
    planted["record"]["S"] = record.to_string().into();
    for (signed, words) in [
        (true, "record 2 is signed, but not by the ledger's key"),
        (false, "record 2 is not signed"),
    ] {
        if !signed {
            planted.as_object_mut().unwrap().remove("signature");
        }
        scene.put(World::LEDGER, &planted);
        let (_, stderr) = scene.record("1", &["--permit", "2"], 3);
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn a_chain_that_was_cut_off_or_written_elsewhere_is_refused() {
    let scene = Scene::new("ledger-cut", BOTH);
    for commit in ["1", "2", "3"] {
        scene.record(commit, &[], 0);
    }
    let items = [scene.item(2), scene.item(3)];
    scene.delete(3);
    scene.refused("records after 2 were removed");
    assert_eq!(scene.faults(), json!([{"fault": "cut-off", "seq": 2}]));
    scene.delete(2);
    scene.refused("records after 1 were removed");
    for item in &items {
        scene.put(World::LEDGER, item);
    }
    assert_eq!(scene.faults(), json!([]));
    // Another table, which is empty, and then one with an older state of the chain.
    let other = "another-ledger";
    scene.call(
        "CreateTable",
        &json!({
            "TableName": other,
            "KeySchema": [{"AttributeName": "chain", "KeyType": "HASH"}, {"AttributeName": "seq", "KeyType": "RANGE"}],
            "AttributeDefinitions": [{"AttributeName": "chain", "AttributeType": "S"}, {"AttributeName": "seq", "AttributeType": "N"}],
            "BillingMode": "PAY_PER_REQUEST",
        }),
    );
    // A person who shows another table lets the roles use it.
    for role in ["slipway-read", "slipway-permit-dev"] {
        scene.allow(role, other);
    }
    scene.contract(BOTH, other);
    scene.refused("all records were removed");
    scene.put(other, &scene.item(1));
    scene.refused("records after 1 were removed");
}

/// Runs that are killed between the record and its anchor leave a head whose anchor the next record completes.
#[test]
fn a_record_that_is_killed_at_any_call_is_written_once() {
    let scene = Scene::new("ledger-killed", BOTH);
    scene.record("1", &[], 0);
    for (service, operation, commit, written) in [
        ("dynamodb", "Query", "2", false),
        ("kms", "GetPublicKey", "2", false),
        ("s3", "GetObject", "2", false),
        ("s3", "ListObjectVersions", "2", false),
        ("kms", "Sign", "2", false),
        ("dynamodb", "TransactWriteItems", "2", false),
        ("s3", "PutObject", "2", true),
    ] {
        scene.kill_at(service, operation, commit);
        assert_eq!(scene.item(2).is_object(), written, "{operation}");
    }
    assert_eq!(scene.faults(), json!([{"fault": "unanchored", "seq": 2}]));
    // A reader believes it. The next record of the same run completes it, and writes nothing twice.
    scene.promote(&["status", "--environment", "dev"], 0);
    let (stdout, _) = scene.record("2", &[], 0);
    assert!(
        stdout.contains("record 2") && stdout.contains("already"),
        "{stdout}"
    );
    scene.kill_at("s3", "PutObject", "3");
    scene.record("3", &[], 0);
    scene.record("4", &[], 0);
    assert_eq!(scene.faults(), json!([]));
    let history = scene.json(&["history", "--environment", "dev", "--limit", "3"], 0);
    let numbers: Vec<&Value> = history["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| &record["seq"])
        .collect();
    assert_eq!(numbers, [4, 3, 2]);
    assert_eq!(history["older"], true);
}

/// A soak counts from what a record says, so a machine's clock does not decide that: AWS's does.
#[test]
fn a_record_of_a_machine_with_a_wrong_clock_says_the_right_time() {
    let scene = Scene::new("ledger-clock", BOTH);
    let clock = scene.setting.job.file("clock");
    for (seconds, commit) in [("-1800", "1"), ("1800", "2")] {
        std::fs::write(&clock, seconds).unwrap();
        let began = now();
        let mut plain = scene.command(&recorded(&commit.repeat(40)));
        plain.current_dir(scene.setting.job.file(""));
        let mut command = clocked(&clock, &plain);
        let ended = scene.setting.job.run(&mut command);
        assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
        let history = scene.json(&["history", "--environment", "dev"], 0);
        let at = history["records"][0]["at"].as_str().unwrap();
        // The dates of answers are whole seconds.
        let apart = |one: &str, other: &str| {
            let of = |text: &str| {
                let format = &time::format_description::well_known::Rfc3339;
                time::OffsetDateTime::parse(text, format).unwrap()
            };
            (of(one) - of(other)).whole_seconds()
        };
        assert!(
            apart(&began, at) <= 2 && apart(at, &now()) <= 2,
            "{at} {history}"
        );
        assert_eq!(scene.faults(), json!([]), "{seconds}");
    }
}

/// A person accepts the records from before the contract named a key or a bucket, once, by the hash of the head.
#[test]
fn a_chain_that_began_before_is_accepted_by_its_hash() {
    let scene = Scene::new("ledger-accept", NONE);
    scene.record("1", &[], 0);
    scene.record("2", &[], 0);
    scene.contract(BOTH, World::LEDGER);
    scene.refused("record 2 is not signed");
    let hash = scene.item(2)["hash"]["S"].as_str().unwrap().to_owned();
    let (_, stderr) = scene.record("3", &["--accept-head", &"0".repeat(64)], 3);
    assert!(stderr.contains("record 2 is not signed"), "{stderr}");
    let accept = ["--accept-head", hash.as_str()];
    scene.record("3", &accept, 0);
    // The same command again: written already.
    let (stdout, _) = scene.record("3", &accept, 0);
    assert!(stdout.contains("already"), "{stdout}");
    let record: Value =
        serde_json::from_str(scene.item(3)["record"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&record["signed_from"], &record["accepted_head"]),
        (&json!(3), &json!(hash))
    );
    scene.record("4", &[], 0);
    // A proven head needs no acceptance.
    let proven = scene.item(4)["hash"]["S"].as_str().unwrap().to_owned();
    let (_, stderr) = scene.record("5", &["--accept-head", &proven], 3);
    assert!(stderr.contains("there is nothing to accept"), "{stderr}");
    // Later heads are not accepted by it.
    let (_, stderr) = scene.record("5", &accept, 3);
    assert!(stderr.contains("is not the head"), "{stderr}");
    assert_eq!(scene.faults(), json!([]));
    let verified = scene.json(&["verify", "--environment", "dev"], 0);
    assert_eq!(verified["signatures"]["from"], 3);
    assert_eq!(verified["anchor"]["from"], 2);
}

#[test]
fn thirty_two_records_at_once_make_one_chain() {
    let scene = Scene::new("ledger-race", BOTH);
    let commits: Vec<String> = (0..32).map(|number| format!("{number:040x}")).collect();
    let started: Vec<Started> = commits
        .iter()
        .map(|commit| Started::new(&mut scene.command(&recorded(commit))))
        .collect();
    for run in started {
        let ended = run.end(TIMEOUT);
        assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
    }
    let verified = scene.json(&["verify", "--environment", "dev"], 0);
    assert_eq!(verified["records"], 32);
    assert_eq!(verified["anchor"]["compared"], 32);
    let history = scene.json(&["history", "--environment", "dev", "--limit", "50"], 0);
    let mut there: Vec<&str> = history["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["commit"].as_str().unwrap())
        .collect();
    there.sort_unstable();
    assert_eq!(there, commits);
}

/// An export is verified without AWS, by the key that `verify` says, and a changed one is refused.
#[test]
fn an_export_is_verified_without_aws() {
    let scene = Scene::new("ledger-export", BOTH);
    for commit in ["1", "2", "3"] {
        scene.record(commit, &[], 0);
    }
    let file = scene.setting.job.file("chain.jsonl");
    let name = file.display().to_string();
    scene.promote(&["export", "--environment", "dev", "--output", &name], 0);
    let target = "TrentService.GetPublicKey";
    let input = json!({"KeyId": World::LEDGER_KEY});
    let call = scene.setting.aws.json("kms", target, &input);
    let answer = wait(TIMEOUT, call).unwrap().unwrap();
    let body = answer["PublicKey"].as_str().unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    std::fs::write(scene.setting.job.file("key.pem"), pem).unwrap();

    let verify = |more: &[&str], exit: i32| {
        let mut arguments = vec!["verify", "--export", name.as_str(), "--json"];
        arguments.extend(more);
        let mut command = scene.command(&arguments);
        // Nothing of AWS is left in the environment.
        command.env_clear().current_dir(scene.setting.job.file(""));
        let ended = scene.setting.job.run(&mut command);
        assert_eq!(ended.status.code(), Some(exit), "{}", log(&ended));
        serde_json::from_slice::<Value>(&ended.stdout).unwrap()
    };
    let found = verify(&["--key", "key.pem"], 0);
    assert_eq!(
        (&found["records"], &found["signatures"]["checked"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(found["anchor"]["checked"], false);
    let found = verify(&[], 0);
    assert_eq!(found["signatures"]["checked"], false);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("failed", "healthy", 1)).unwrap();
    let found = verify(&["--key", "key.pem"], 3);
    assert_eq!(
        found["details"]["faults"],
        json!([{"fault": "altered", "seq": 1}])
    );

    let (statements, _) = scene.promote(&["export", "--environment", "dev", "--format", "vsa"], 0);
    assert_eq!(statements.lines().count(), 3);
    let envelope: Value = serde_json::from_str(statements.lines().next().unwrap()).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
}

//! `verify` and the GitHub Deployments that mirror records: a chain without key or anchor that was altered, cut off or written
//! anew is found by them, and what GitHub does not show in full is never taken for compared.

use sandbox::instance::port;
use sandbox::runner::hub::Hub;
use sandbox::world::{World, http_client};
use serde_json::{Value, json};

use super::{Ended, Gate, digest};
use crate::support::{TIMEOUT, instance, wait};

/// Three failures on record, each with its GitHub Deployment.
struct Mirrored {
    gate: Gate,
    hub: Hub,
}

impl Mirrored {
    fn new(name: &str) -> Self {
        let gate = Gate::new(name);
        gate.declare("");
        let hub = Hub::new(instance(), &gate.world.repository).unwrap();
        let mirrored = Self { gate, hub };
        for (digit, commit) in [('1', 0), ('2', 1), ('3', 2)] {
            let recorded = mirrored.record(digit, commit);
            recorded.is(0, &["\"deployment\": "]);
            assert!(!recorded.json["deployment"].is_null(), "{}", recorded.text);
        }
        mirrored
    }

    fn record(&self, digit: char, commit: usize) -> Ended {
        let (digest, commit) = (digest(digit), &self.gate.commits[commit]);
        let record = ["record", "--digest", &digest, "--commit", commit];
        let failed = [&record[..], &["--verdict", "failed"]].concat();
        self.gate.run("linus", &failed)
    }

    fn verify(&self, more: &[&str]) -> Ended {
        self.gate.run("grace", &[&["verify"], more].concat())
    }

    /// The findings of verify, without the numbers that GitHub gave.
    fn faults(&self) -> Vec<(String, u64)> {
        let found = self.verify(&[]);
        let faults = found.json["faults"].as_array().unwrap().iter();
        let faults: Vec<(String, u64)> = faults
            .map(|it| {
                (
                    it["fault"].as_str().unwrap().to_owned(),
                    it["seq"].as_u64().unwrap(),
                )
            })
            .collect();
        let exit = if faults.is_empty() { 0 } else { 3 };
        found.is(exit, &[]);
        faults
    }

    fn call(&self, operation: &str, input: &Value) -> Value {
        let target = format!("DynamoDB_20120810.{operation}");
        let call = self.gate.build.json("dynamodb", &target, input);
        wait(TIMEOUT, call).unwrap().unwrap()
    }

    fn key(seq: u64) -> Value {
        json!({"chain": {"S": "storefront#production"}, "seq": {"N": seq.to_string()}})
    }

    fn item(&self, seq: u64) -> Value {
        let input =
            json!({"TableName": World::LEDGER, "Key": Self::key(seq), "ConsistentRead": true});
        self.call("GetItem", &input)["Item"].clone()
    }

    fn put(&self, item: &Value) {
        self.call(
            "PutItem",
            &json!({"TableName": World::LEDGER, "Item": item}),
        );
    }

    fn delete(&self, seq: u64) {
        let input = json!({"TableName": World::LEDGER, "Key": Self::key(seq)});
        self.call("DeleteItem", &input);
    }

    /// Somebody who may write Deployments writes this many.
    fn deployments(&self, payload: &Value, count: usize) {
        let body = json!({
            "ref": self.gate.commits[0], "environment": "production", "auto_merge": false,
            "required_contexts": [], "payload": payload,
        });
        let url = format!(
            "{}/repos/{}/deployments",
            instance().url(port::GITHUB),
            self.gate.world.repository
        );
        wait(TIMEOUT, async {
            let http = http_client().unwrap();
            for _ in 0..count {
                let request = http.post(&url).header("user-agent", "e2e").json(&body);
                let answer = request.bearer_auth(&self.gate.token).send().await.unwrap();
                assert_eq!(answer.status(), 201, "{answer:?}");
            }
        });
    }

    /// Sets GitHub's next answers to questions about Deployments.
    fn strikes(&self, times: u32, kind: &Value) {
        let mut fault = kind.clone();
        fault["path"] = json!(format!("/repos/{}/deployments", self.gate.world.repository));
        fault["times"] = json!(times);
        wait(TIMEOUT, self.hub.call("faults", &fault)).unwrap();
    }

    fn ends(&self) {
        let about = json!({"about": self.gate.world.repository});
        wait(TIMEOUT, self.hub.call("faults/clear", &about)).unwrap();
    }
}

fn fault(name: &str, seq: u64) -> (String, u64) {
    (name.to_owned(), seq)
}

/// Neither key nor anchor is named, and every hash of what is left is right.
#[test]
fn a_chain_that_was_cut_off_altered_or_written_anew_is_not_what_github_deployments_name() {
    let mirrored = Mirrored::new("mirrored");
    let sound = mirrored.verify(&[]);
    sound.is(0, &[]);
    let wanted = json!({"compared": 3, "newest": 3, "repository": mirrored.gate.world.repository});
    assert_eq!(sound.json["github"], wanted, "{}", sound.text);
    // Records that deploy nothing have no Deployment, so that none shows the end of the chain.
    assert_eq!(sound.json["end"]["checked"], false, "{}", sound.text);
    let items = [1, 2, 3].map(|seq| mirrored.item(seq));

    mirrored.delete(3);
    assert_eq!(mirrored.faults(), [fault("lost", 3)]);
    let verified = mirrored.verify(&[]);
    verified.is(
        3,
        &[
            "record 3 is not in the chain",
            "GitHub Deployment",
            "deployments: write",
        ],
    );
    mirrored.delete(2);
    mirrored.delete(1);
    assert_eq!(mirrored.faults(), [1, 2, 3].map(|seq| fault("lost", seq)));

    // The newest one is replaced, and then all of them.
    for item in &items {
        mirrored.put(item);
    }
    assert_eq!(mirrored.faults(), []);
    let prev = items[2]["prev"]["S"].as_str().unwrap();
    let text = items[2]["record"]["S"].as_str().unwrap();
    let text = text.replace("failed", "healthy");
    let mut replaced = items[2].clone();
    replaced["hash"]["S"] = json!(sandbox::instance::sha256(
        format!("{prev}{text}").as_bytes()
    ));
    replaced["record"]["S"] = json!(text);
    mirrored.put(&replaced);
    assert_eq!(mirrored.faults(), [fault("mismatched", 3)]);
    let anew = ['4', '5', '6'].map(|digit| mirrored.gate.healthy(&digest(digit), 0));
    mirrored.gate.plant("production", &anew);
    assert_eq!(
        mirrored.faults(),
        [1, 2, 3].map(|seq| fault("mismatched", seq))
    );
    // A record that was altered without its hash is found by that.
    for item in &items {
        mirrored.put(item);
    }
    let mut altered = items[1].clone();
    altered["record"] = items[0]["record"].clone();
    mirrored.put(&altered);
    assert_eq!(mirrored.faults(), [fault("altered", 2)]);
}

/// A list of more than one page is read to its end, and Deployments that mirror nothing of this chain do not count.
#[test]
fn deployments_are_read_to_the_last_page_and_others_do_not_count() {
    let mirrored = Mirrored::new("mirrored-pages");
    mirrored.deployments(&json!({}), 60);
    mirrored.deployments(&json!("text of another tool"), 40);
    mirrored.deployments(
        &json!({"service": "another", "record": 9, "hash": "9".repeat(64)}),
        5,
    );
    let sound = mirrored.verify(&[]);
    sound.is(0, &[]);
    assert_eq!(sound.json["github"]["compared"], 3, "{}", sound.text);
    // A page without the rest of the list, and one that is empty before the last.
    let link = format!("<{}/x?page=2>; rel=\"next\"", instance().url(port::GITHUB));
    let empty = json!({"status": 200, "headers": {"link": link}, "body": []});
    for kind in [json!({"cut": 300}), empty] {
        mirrored.strikes(100, &kind);
        mirrored
            .verify(&[])
            .is(0, &["is not compared with the GitHub Deployments"]);
        mirrored.ends();
    }
    // Anybody with `deployments: write` can write one; it is something to look at.
    let hash = "0".repeat(64);
    mirrored.deployments(
        &json!({"service": "storefront", "record": 9, "hash": hash}),
        1,
    );
    assert_eq!(mirrored.faults(), [fault("lost", 9)]);
}

/// It is said that nothing was compared, and refused where the repository is named.
#[test]
fn what_github_does_not_show_is_not_compared_and_refused_if_it_was_asked_for() {
    let mirrored = Mirrored::new("mirrored-unseen");
    let repository = mirrored.gate.world.repository.clone();
    let named = ["--github-repository", repository.as_str()];
    mirrored.verify(&named).is(0, &[]);
    let denied =
        json!({"status": 403, "body": {"message": "Resource not accessible by integration"}});
    let never = json!({"delay_ms": 3_600_000});
    for (kind, words) in [
        (denied, "deployments: read"),
        (json!({"status": 500}), "GitHub answered 500"),
        (
            json!({"status": 200, "body": {}}),
            "cannot read the deployments",
        ),
    ] {
        mirrored.strikes(100, &kind);
        let silent = mirrored.verify(&[]);
        silent.is(0, &["is not compared with the GitHub Deployments", words]);
        let github = &silent.json["github"];
        assert!(
            github["compared"].is_null() && github["why"].is_string(),
            "{}",
            silent.text
        );
        assert_eq!(silent.json["end"]["checked"], false, "{}", silent.text);
        mirrored
            .verify(&named)
            .is(3, &["was not compared with the GitHub Deployments", words]);
        mirrored.ends();
    }
    // Slow is waited for, and what never comes is asked for again.
    mirrored.strikes(1, &json!({"delay_ms": 1500}));
    mirrored.verify(&named).is(0, &[]);
    mirrored.strikes(1, &never);
    mirrored.verify(&named).is(0, &[]);

    let mut nobody = mirrored.gate.command("grace", &["verify"]);
    nobody.env_remove("GITHUB_TOKEN");
    super::ended(&mut nobody).is(0, &["there is no GitHub token or repository"]);
    let mut nobody = mirrored
        .gate
        .command("grace", &[&["verify"], &named[..]].concat());
    nobody.env_remove("GITHUB_TOKEN");
    super::ended(&mut nobody).is(2, &["there is no GitHub token"]);
    let export = ["verify", "--export", "x.jsonl", named[0], named[1]];
    mirrored.gate.run("grace", &export).is(2, &["an export"]);
}

//! Evidence: what a permit was granted on is kept beside the anchor, and `verify` makes each decision again from it.

use std::path::{Path, PathBuf};

use sandbox::instance::sha256;
use serde_json::{Value, json};

use super::{ALLOWED, Ended, Gate, digest};
use crate::support::{TIMEOUT, instance, wait};

impl Gate {
    /// Names the anchor in the contract.
    pub(super) fn anchor(&self) {
        let file = self.folder.path().join("delivery.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let build = "region: ca-central-1}";
        assert!(text.contains(build), "{text}");
        let bucket = self.world.anchor_bucket();
        let anchored =
            format!("region: ca-central-1, anchor: {{bucket: {bucket}, prefix: slipway}}}}");
        std::fs::write(file, text.replace(build, &anchored)).unwrap();
    }

    /// Puts records into an environment's chain, and the hash of the last one into the anchor.
    pub(super) fn plant_anchored(&self, environment: &str, records: &[Value]) {
        let hash = self.plant(environment, records);
        let seq = records.len();
        let path = format!(
            "/{}/slipway/storefront/{environment}/{seq:020}",
            self.world.anchor_bucket()
        );
        let put = self.build.create(&path, format!("{hash}\n"));
        wait(TIMEOUT, put).unwrap().unwrap();
    }

    /// Writes the chain and its evidence to a folder.
    pub(super) fn exported(&self, name: &str) -> (String, PathBuf) {
        let file = format!("{name}.jsonl");
        let export = ["export", "--output", &file, "--evidence", name];
        self.run("grace", &export).is(0, &[]);
        let text = std::fs::read_to_string(self.folder.path().join(&file)).unwrap();
        (text, self.folder.path().join(name))
    }

    /// The outcome of `verify` for an export.
    pub(super) fn verified(&self, export: &str, evidence: &Path) -> Ended {
        let file = self.folder.path().join("given.jsonl");
        std::fs::write(&file, export).unwrap();
        let (file, evidence) = (file.to_str().unwrap(), evidence.to_str().unwrap());
        self.run(
            "grace",
            &["verify", "--export", file, "--evidence", evidence],
        )
    }

    /// The output of the second verifier for it.
    pub(super) fn second(&self, export: &str, evidence: &Path) -> Value {
        let file = self.folder.path().join("second.jsonl");
        std::fs::write(&file, export).unwrap();
        let script = instance()
            .checkout
            .join("actions/lib/ledger/src/export/second.py");
        let output = std::process::Command::new("python3")
            .arg(script)
            .arg("--evidence")
            .args([evidence, &file])
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&stdout)
            .unwrap_or_else(|_| panic!("{stdout}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Evidence of permit 2 that is changed, or gone.
    fn changed_or_gone(&self, export: &str, evidence: &Path, hash: &str) {
        let file = evidence.join(format!("{hash}.json"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("acme", "evil", 1)).unwrap();
        let swapped = self.verified(export, evidence);
        swapped.is(
            3,
            &["the evidence of record 2 is not the one that it names"],
        );
        // It may be the only copy of what it is, and is not replaced.
        let folder = evidence.to_str().unwrap();
        let again = |file: &str| {
            let export = ["export", "--output", file, "--evidence", folder];
            self.run("grace", &export)
        };
        again("again.jsonl").is(2, &["is not the evidence that its name says"]);
        let second = |export: &str| self.second(export, evidence)["faults"].clone();
        assert_eq!(second(export), json!([["evidence-replaced", 2]]));
        std::fs::remove_file(&file).unwrap();
        let gone = self.verified(export, evidence);
        gone.is(3, &["the evidence of record 2 is missing"]);
        assert_eq!(second(export), json!([["evidence-missing", 2]]));
        let vsa = |file: &str| {
            let export = ["export", "--format", "vsa", "--output", file];
            self.run("grace", &export)
        };
        vsa("statements.jsonl").is(0, &[]);
        let statements = self.folder.path().join("statements.jsonl");
        let statements = std::fs::read_to_string(statements).unwrap();
        let named = format!("slipway:evidence/storefront/production/{hash}");
        assert!(statements.contains(&named), "{statements}");
        again("third.jsonl").is(0, &[]);
        assert!(file.exists());
        again("fourth.jsonl").is(0, &[]);
        std::fs::remove_file(&file).unwrap();
        let object = format!(
            "/{}/slipway/evidence/storefront/production/{hash}",
            self.world.anchor_bucket()
        );
        wait(TIMEOUT, self.build.delete(&object)).unwrap().unwrap();
        self.run("grace", &["verify"])
            .is(3, &["the evidence of record 2 is missing"]);
        again("last.jsonl").is(3, &["the export is written, but without evidence", hash]);
        let unsound = ["not sound", "the evidence of record 2 is missing"];
        vsa("none.jsonl").is(3, &unsound);
    }
}

/// The export up to a permit as somebody with the key could have written it, had its evidence been another one.
pub(super) fn lied(
    export: &str,
    evidence: &Path,
    permit: usize,
    lie: impl Fn(String) -> String,
) -> String {
    let lines: Vec<&str> = export.lines().collect();
    // A header comes first.
    let line: Value = serde_json::from_str(lines[permit]).unwrap();
    let record: Value = serde_json::from_str(line["record"].as_str().unwrap()).unwrap();
    let named = record["permit"]["evidence"].as_str().unwrap();
    let old = named.strip_prefix("sha256:").unwrap();
    let text = std::fs::read_to_string(evidence.join(format!("{old}.json"))).unwrap();
    let lied = lie(text.clone());
    assert_ne!(lied, text);
    let new = sha256(lied.as_bytes());
    std::fs::write(evidence.join(format!("{new}.json")), lied).unwrap();
    let record = line["record"].as_str().unwrap().replace(old, &new);
    ends_with(&lines[..permit], line, &record)
}

/// The export up to a permit as somebody with the key could have written it, with this in the permit's record.
fn altered(export: &str, permit: usize, tell: impl Fn(&mut Value)) -> String {
    let lines: Vec<&str> = export.lines().collect();
    let line: Value = serde_json::from_str(lines[permit]).unwrap();
    let mut record: Value = serde_json::from_str(line["record"].as_str().unwrap()).unwrap();
    tell(&mut record["permit"]);
    ends_with(&lines[..permit], line, &record.to_string())
}

/// The lines of an export, and after them this line with another record in it, whose hash is right, and the end.
fn ends_with(before: &[&str], mut line: Value, record: &str) -> String {
    let prev = line["prev"].as_str().unwrap();
    let hash = sha256(format!("{prev}{record}").as_bytes());
    line["record"] = json!(record);
    line["hash"] = json!(hash);
    let end = json!({"end": before.len(), "head": hash});
    format!("{}\n{line}\n{end}\n", before.join("\n"))
}

/// With the first of these words replaced.
pub(super) fn instead(from: &str, to: &str) -> impl Fn(String) -> String {
    move |text: String| text.replacen(from, to, 1)
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, each step of which needs the one before it"
)]
fn each_decision_follows_from_its_evidence_or_is_named() {
    let gate = Gate::new("evidence");
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare(", break-glass: {people: [linus], expires: 1h}");
    gate.anchor();
    let granted = gate.run("linus", &["grant", "--digest", &fix]);
    granted.is(0, &[ALLOWED]);
    assert!(
        granted.json["permit"]["evidence"].is_string(),
        "{}",
        granted.text
    );
    let back = ["grant", "--rollback", "--digest", &digest('1')];
    gate.run("linus", &back).is(0, &[]);
    let glass = [
        "grant",
        "--digest",
        &fix,
        "--break-glass",
        "the shop is down",
    ];
    gate.without_github("linus", &glass).is(0, &[ALLOWED]);
    let all = json!({"permits": 3, "followed": 3, "left": [], "otherwise": []});
    let online = gate.run("grace", &["verify"]);
    online.is(0, &[]);
    assert_eq!(online.json["decisions"], all, "{}", online.text);
    let (export, evidence) = gate.exported("sound");
    let offline = gate.verified(&export, &evidence);
    offline.is(0, &[]);
    assert_eq!(offline.json["decisions"], all, "{}", offline.text);
    assert_eq!(gate.second(&export, &evidence)["faults"], json!([]));

    // Somebody who may sign writes what does not follow.
    for (from, to, why) in [
        // Forged answers of GitHub that a rule contradicts.
        (
            r#"\"state\":\"APPROVED\""#,
            r#"\"state\":\"COMMENTED\""#,
            "approvals",
        ),
        (
            r#"\"conclusion\":\"success\""#,
            r#"\"conclusion\":\"failure\""#,
            "checks",
        ),
        (
            r#"\"approvals\":1"#,
            r#"\"approvals\":0"#,
            "of another policy",
        ),
        (
            r#""own":[{"seq":1"#,
            r#""own":[{"seq":9"#,
            "record 9 is not what it was judged by",
        ),
        (
            r#""rule":"range","answer":"pass""#,
            r#""rule":"range","answer":"not asked""#,
            "range answers pass",
        ),
    ] {
        let forged = lied(&export, &evidence, 2, instead(from, to));
        let found = gate.verified(&forged, &evidence);
        found.is(3, &["does not follow from its evidence", why]);
        // The second verifier knows no rules.
        let shown = why == "of another policy" || why.starts_with("record 9");
        let second = match shown {
            true => json!([["decision-differs", 2]]),
            false => json!([]),
        };
        assert_eq!(gate.second(&forged, &evidence)["faults"], second, "{why}");
    }
    // The permit is for the commits that GitHub listed.
    for (member, value) in [
        ("range", json!("5".repeat(64))),
        ("range", Value::Null),
        ("base", json!("5".repeat(40))),
    ] {
        let altered = altered(&export, 2, |permit| permit[member] = value.clone());
        let why = format!("its `{member}` is another one");
        gate.verified(&altered, &evidence)
            .is(3, &["does not follow from its evidence", &why]);
        assert_eq!(
            gate.second(&altered, &evidence)["faults"],
            json!([["decision-differs", 2]]),
            "{why}"
        );
    }
    let shorter = |text: String| {
        let mut kept: Value = serde_json::from_str(&text).unwrap();
        let github = &mut kept["judged"]["promotion"]["github"];
        let mut exchanges = github["exchanges"].as_array_mut().unwrap().iter_mut();
        let asked = |it: &&mut Value| {
            let request = it["request"].as_str().unwrap();
            request.contains("/compare/") && request.ends_with("?per_page=100&page=1")
        };
        let listed = exchanges.find(asked).unwrap();
        let mut answer: Value = serde_json::from_str(listed["answer"].as_str().unwrap()).unwrap();
        let commits = answer["commits"].as_array_mut().unwrap();
        commits.remove(0);
        answer["total_commits"] = json!(commits.len());
        listed["answer"] = json!(answer.to_string());
        kept.to_string()
    };
    let altered = lied(&export, &evidence, 2, shorter);
    gate.verified(&altered, &evidence)
        .is(3, &["does not follow from its evidence"]);
    assert_eq!(
        gate.second(&altered, &evidence)["faults"],
        json!([["decision-differs", 2]])
    );
    // This version answers its own questions, and writes no other form.
    for (from, to, why) in [
        (
            "slipway-evidence/6",
            "slipway-evidence/7",
            "it has the form",
        ),
        (
            "\"request\":\"GET ",
            "\"request\":\"GET /elsewhere",
            "asks GitHub something else",
        ),
    ] {
        let found = gate.verified(&lied(&export, &evidence, 2, instead(from, to)), &evidence);
        found.is(3, &["does not follow from its evidence", why]);
    }
    let named = granted.json["permit"]["evidence"].as_str().unwrap();
    gate.changed_or_gone(&export, &evidence, named.strip_prefix("sha256:").unwrap());
}

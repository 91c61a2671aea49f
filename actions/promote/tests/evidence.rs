//! The faults that `verify` reports in an export whose permits do not follow from their evidence. Every hash in these
//! files is right: a writer who may append, sign and keep evidence could have made them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "evidence/chain.rs"]
mod chain;
#[path = "evidence/person.rs"]
mod person;
#[path = "evidence/stated.rs"]
mod stated;
#[path = "evidence/times.rs"]
mod times;

use chain::{ACCOUNT, Chain, NOW, RUN, commit, digest, with};
use serde_json::{Value, json};
use step_job::Job;

const VERIFY: [&str; 5] = [
    "verify",
    "--export",
    "chain.jsonl",
    "--evidence",
    "evidence",
];
const GATE: &str = r#"{"required":true,"branch":"main","approvals":0,"checks":[],"workflow":null}"#;
const NO_GATE: &str =
    r#"{"required":false,"branch":"main","approvals":0,"checks":[],"workflow":null}"#;
/// The rules of a promotion.
const RULES: [&str; 20] = [
    "provenance",
    "digest",
    "branch",
    "pull request",
    "range",
    "merge",
    "approvals",
    "checks",
    "promoter",
    "separation",
    "run",
    "policy",
    "forward",
    "soak",
    "still running",
    "freeze",
    "calendar",
    "rolled back",
    "debt",
    "approved",
];

fn policy(gate: &str) -> String {
    format!("sha256:{}", ledger::sha256(gate.as_bytes()))
}

fn answers(rules: &[(&str, &str)]) -> Value {
    let rules = rules.iter();
    rules
        .map(|(rule, answer)| json!({"rule": rule, "answer": answer, "fact": ""}))
        .collect()
}

fn silent() -> Value {
    json!({"Err": {"why": "GitHub does not answer", "next": "wait", "permission": null}})
}

/// A run on GitHub.
fn host() -> Value {
    json!({
        "run": {"git_hub": {"id": 7}},
        "contract": {"path": "delivery.yaml", "text": chain::text()},
        "lock_file": "infra/.terraform.lock.hcl",
    })
}

/// A build that a session of AWS started.
fn build(initiator: &str) -> Value {
    let principal = json!({"who": {"principal": initiator}, "source": "CODEBUILD_INITIATOR"});
    let build = json!({"build": "shop:7", "commit": null, "principal": principal});
    with(host(), &json!({"run": {"code_build": build}}))
}

fn evidence(gate: &str, own: &[Value], digit: char, judged: &Value, rules: &Value) -> Value {
    json!({
        "format": "slipway-evidence/6",
        "version": env!("CARGO_PKG_VERSION"),
        "contract": {
            "declared": true, "service": "shop", "environment": "production", "follows": null,
            "account": ACCOUNT, "gate": gate, "people": {}, "apps": {}, "provenance": null,
        },
        "digest": digest(digit),
        "commit": null,
        "host": host(),
        "now": NOW,
        "own": own,
        "before": [],
        "judged": judged,
        "rules": rules,
    })
}

/// The facts by which a rollback is judged while GitHub does not answer.
fn rollback_inputs(more: &Value) -> Value {
    let judged = json!({
        "break_glass": null,
        "promoter": {"Ok": [{"login": "dora"}]},
        "github": silent(),
        "healthy": null,
        "newest": null,
        "by_this_gate": null,
    });
    json!({ "rollback": with(judged, more) })
}

fn rollback_rules() -> Value {
    answers(&[
        ("digest", "pass"),
        ("rolled back", "not asked"),
        ("approvals", "not asked"),
        ("policy", "pass"),
    ])
}

fn rollback_permit() -> Value {
    json!({"policy": policy(GATE), "rollback": {}})
}

/// Two healthy deployments by the gate, to the first of which production goes back.
fn two_deployments() -> Chain {
    let mut chain = Chain::default();
    for digit in ['a', 'b'] {
        chain.add(digit, "healthy", &json!({"policy": policy(GATE)}));
    }
    chain
}

/// A rollback's evidence on all records of the chain.
fn rollback(chain: &Chain, more: &Value) -> Value {
    let judged = rollback_inputs(more);
    evidence(GATE, &chain.newest_first(), 'a', &judged, &rollback_rules())
}

/// A rollback that is granted as it should be, but for what `change` does to its evidence and its record.
fn changed(evidence: &Value, record: &Value) -> Chain {
    let mut chain = two_deployments();
    let evidence = with(rollback(&chain, &json!({})), evidence);
    let (head, name) = (chain.head(), chain.keep(&evidence));
    chain.permit('a', &head, Some(&name), &with(rollback_permit(), record));
    chain
}

fn sound() -> Chain {
    changed(&json!({}), &json!({}))
}

/// A promotion of `e` to an environment whose evidence says that there is no gate.
fn without_a_gate(contract: &Value) -> Chain {
    let mut chain = Chain::default();
    chain.add('a', "healthy", &json!({}));
    let judged = json!({"promotion": {
        "break_glass": null, "calendars": [], "missing_before": null,
        "provenance": null, "github": null,
    }});
    let rules = answers(&RULES.map(|rule| (rule, "not asked")));
    let mut kept = evidence(NO_GATE, &chain.newest_first(), 'e', &judged, &rules);
    kept["commit"] = json!(commit('e'));
    kept["contract"] = with(kept["contract"].clone(), contract);
    let (head, name) = (chain.head(), chain.keep(&kept));
    let record = json!({"policy": policy(NO_GATE)});
    chain.permit('e', &head, Some(&name), &record);
    chain
}

#[track_caller]
fn verified(chain: &Chain, more: &[&str], exit: i32, words: &str) -> Value {
    let job = Job::new(env!("CARGO_BIN_EXE_slipway-promote"));
    chain.write(&job);
    let output = job.run(&[&VERIFY[..], more, &["--json"]].concat(), &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(exit),
        "{words}: {stderr}{stdout}"
    );
    assert!(
        (stderr.clone() + &stdout).contains(words),
        "{words} is not in: {stderr}{stdout}"
    );
    serde_json::from_str(&stdout).unwrap_or_default()
}

#[test]
fn a_rollback_that_follows_is_sound() {
    let report = verified(&sound(), &[], 0, "");
    let wanted = json!({"permits": 1, "followed": 1, "left": [], "otherwise": []});
    assert_eq!(report["decisions"], wanted, "{report}");
}

#[test]
fn a_permit_that_cannot_be_decided_again_refuses_until_a_person_accepts_it() {
    // Before any permit named evidence: a person has to accept it.
    let mut before = two_deployments();
    let head = before.head();
    before.permit('a', &head, None, &rollback_permit());
    let flag = "--undecided-up-to";
    verified(
        &before,
        &[],
        3,
        "record 3 cannot be decided again: it names no evidence",
    );
    verified(&before, &[], 3, "--undecided-up-to 3");
    verified(&before, &[flag, "2"], 3, "record 3 cannot be decided again");
    let report = verified(&before, &[flag, "3"], 0, "");
    assert_eq!(report["decisions"]["left"][0]["seq"], 3, "{report}");

    // Evidence of another form, and evidence that another version of the step reads.
    let other = changed(
        &json!({"format": "slipway-evidence/7", "version": "9.0.0"}),
        &json!({}),
    );
    verified(&other, &[], 3, "it has the form slipway-evidence/7");
    verified(&other, &[flag, "3"], 0, "");
    let newer = json!({"version": "9.0.0", "of_a_newer_version": true});
    verified(
        &changed(&newer, &json!({})),
        &[],
        3,
        "cannot be decided again",
    );
    verified(&changed(&newer, &json!({})), &[flag, "3"], 0, "");
}

#[test]
fn nobody_accepts_what_should_have_evidence() {
    // After a permit that names evidence, every permit has some.
    for name in [None, Some("sha512:zz")] {
        let mut chain = sound();
        let head = chain.lines[1]["hash"].as_str().unwrap().to_owned();
        chain.permit('a', &head, name, &rollback_permit());
        let words = "the evidence of record 4 is missing";
        verified(&chain, &["--undecided-up-to", "4"], 3, words);
    }
    // This version can read whatever it wrote itself.
    let accepted = ["--undecided-up-to", "9"];
    for (evidence, words) in [
        (
            json!({"own": 5}),
            "record 3 does not follow from its evidence",
        ),
        (
            json!({"of_a_newer_version": true}),
            "record 3 does not follow from its evidence",
        ),
        (json!({"now": "yesterday"}), "its time is not one"),
        (
            json!({"format": "slipway-evidence/7"}),
            "it has the form slipway-evidence/7",
        ),
        (
            json!({"contract": {}}),
            "record 3 does not follow from its evidence",
        ),
    ] {
        verified(&changed(&evidence, &json!({})), &accepted, 3, words);
    }
    // Facts that need no rules are checked against the chain, whichever version wrote the evidence.
    let newer = |own: Value| json!({"version": "9.0.0", "now": "yesterday", "own": own});
    let left_out = newer(json!([]));
    let words = "it was judged before deployment 1 was recorded";
    verified(&changed(&left_out, &json!({})), &accepted, 3, words);
    let other = json!({"version": "9.0.0", "now": "yesterday", "digest": digest('f')});
    verified(
        &changed(&other, &json!({})),
        &accepted,
        3,
        "of another digest",
    );
}

#[test]
fn evidence_does_not_bring_its_own_lack_of_a_gate() {
    let words = "its evidence says that production has no gate";
    verified(&without_a_gate(&json!({})), &[], 3, words);
    let undeclared = json!({"declared": false, "follows": "staging"});
    verified(
        &without_a_gate(&undeclared),
        &[],
        3,
        "its evidence is of no contract",
    );
}

#[test]
fn a_record_that_no_reader_reads_is_named() {
    let permit = json!({"permit": {"expires": 5, "evidence": digest('1')}});
    let mut dropped = two_deployments();
    dropped.add('e', "permitted", &permit);
    verified(&dropped, &[], 3, "record 3 was altered");
    // It is a deployment all the same: what was judged before it is void.
    let mut chain = two_deployments();
    let evidence = rollback(&chain, &json!({}));
    let (head, name) = (chain.head(), chain.keep(&evidence));
    chain.add('f', "healthy", &json!({"rollback": {"from": 5}}));
    chain.permit('a', &head, Some(&name), &rollback_permit());
    verified(&chain, &[], 3, "record 3 was altered");
    verified(
        &chain,
        &[],
        3,
        "it was judged before deployment 3 was recorded",
    );
}

/// While GitHub is silent, the chain tells by which gates promotions passed: all of it, and not what evidence takes of it.
#[test]
fn a_gate_that_a_newer_one_followed_is_found_whatever_was_left_out() {
    let mut chain = Chain::default();
    let own = chain.add('a', "healthy", &json!({"policy": policy(GATE)}));
    let newest = chain.add('b', "healthy", &json!({"policy": digest('9')}));
    for (facts, words) in [
        (
            json!({"newest": newest, "by_this_gate": own}),
            "record 3 does not follow from its evidence: policy",
        ),
        (
            json!({"newest": newest}),
            "the newest records that passed a gate",
        ),
        (
            json!({"by_this_gate": own}),
            "the newest records that passed a gate",
        ),
        (json!({}), "the newest records that passed a gate"),
    ] {
        let mut chain = chain.clone();
        let evidence = rollback(&chain, &facts);
        let (head, name) = (chain.head(), chain.keep(&evidence));
        chain.permit('a', &head, Some(&name), &rollback_permit());
        verified(&chain, &[], 3, words);
    }
}

#[test]
fn records_between_judgement_and_permit_are_judged_too() {
    for verdict in ["rejected", "withdrawn"] {
        let mut chain = two_deployments();
        let evidence = rollback(&chain, &json!({}));
        let (head, name) = (chain.head(), chain.keep(&evidence));
        chain.add('c', verdict, &json!({"answers": 1}));
        chain.permit('a', &head, Some(&name), &rollback_permit());
        verified(&chain, &[], 3, "a request was closed in between (record 3)");
    }
    // Another run's deployment, begun less than an hour before.
    for (at, run, exit, words) in [
        (
            "2024-11-21T18:20:00Z",
            "https://ci.example/1",
            3,
            "a deployment was under way (record 2)",
        ),
        (
            "2024-11-21T17:20:00Z",
            "https://ci.example/1",
            3,
            "has no gate",
        ),
        ("2024-11-21T18:20:00Z", RUN, 3, "has no gate"),
    ] {
        let whole = without_a_gate(&json!({}));
        let mut chain = whole.clone();
        chain.lines.truncate(1);
        let permit: Value =
            serde_json::from_str(whole.lines[1]["record"].as_str().unwrap()).unwrap();
        let began = json!({"under": 1, "at": at, "run": run});
        chain.add('b', "started", &began);
        let name = permit["permit"]["evidence"].as_str().unwrap();
        let head = permit["permit"]["head"].as_str().unwrap();
        let record = json!({"policy": permit["policy"]});
        chain.permit('e', head, Some(name), &record);
        verified(&chain, &[], exit, words);
    }
}

/// The second verifier agrees where no rule is asked.
#[test]
fn the_second_verifier_names_the_same_permits() {
    let none = json!({});
    let mut unnamed = sound();
    let head = unnamed.lines[1]["hash"].as_str().unwrap().to_owned();
    unnamed.permit('a', &head, None, &rollback_permit());
    let mut closed = two_deployments();
    let evidence = rollback(&closed, &none);
    let (head, name) = (closed.head(), closed.keep(&evidence));
    closed.add('c', "rejected", &json!({"answers": 1}));
    closed.permit('a', &head, Some(&name), &rollback_permit());
    let mut unread = two_deployments();
    unread.add(
        'e',
        "permitted",
        &json!({"permit": {"expires": 5, "head": "x"}}),
    );
    for (chain, wanted) in [
        (sound(), json!([])),
        (unread, json!([["altered", 3]])),
        (unnamed, json!([["evidence-missing", 4]])),
        (closed, json!([["decision-differs", 4]])),
        (without_a_gate(&none), json!([["decision-differs", 2]])),
        (
            changed(&json!({"digest": digest('f')}), &none),
            json!([["decision-differs", 3]]),
        ),
        (
            changed(&json!({"own": []}), &none),
            json!([["decision-differs", 3]]),
        ),
        (
            changed(&none, &json!({"rollback": {"from": digest('c')}})),
            json!([["decision-differs", 3]]),
        ),
        (
            changed(&none, &json!({"previous": null})),
            json!([["decision-differs", 3]]),
        ),
        (
            changed(&json!({"now": "2024-11-21T16:00:00Z"}), &none),
            json!([["decision-differs", 3]]),
        ),
        (
            changed(
                &json!({"format": "slipway-evidence/7", "version": "9.0.0"}),
                &none,
            ),
            json!([["undecided", 3]]),
        ),
    ] {
        let job = Job::new(env!("CARGO_BIN_EXE_slipway-promote"));
        chain.write(&job);
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../lib/ledger/src/export/second.py"
        );
        let output = std::process::Command::new("python3")
            .args(["-B", script, "--evidence", "evidence", "chain.jsonl"])
            .current_dir(job.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
        assert_eq!(report["faults"], wanted, "{errors}");
        let exit = if wanted == json!([]) { 0 } else { 3 };
        let ours = verified(&chain, &[], exit, "");
        let ours = if exit == 0 { &ours } else { &ours["details"] };
        let faults = ours["faults"].as_array().unwrap().iter();
        let faults: Vec<Value> = faults.map(|it| json!([it["fault"], it["seq"]])).collect();
        assert_eq!(json!(faults), wanted, "{ours}");
    }
}

#[test]
fn evidence_that_is_too_large_is_its_permits_fault_alone() {
    let job = Job::new(env!("CARGO_BIN_EXE_slipway-promote"));
    let mut chain = sound();
    let head = chain.lines[1]["hash"].as_str().unwrap().to_owned();
    let large = digest('7');
    chain.permit('a', &head, Some(&large), &rollback_permit());
    chain.write(&job);
    let name = large.replace("sha256:", "evidence/") + ".json";
    let file = std::fs::File::create(job.file(&name)).unwrap();
    file.set_len((32 << 20) + 1).unwrap();
    let output = job.run(&[&VERIFY[..], &["--json"]].concat(), &[]);
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = &report["details"];
    assert_eq!(report["decisions"]["followed"], 1, "{report}");
    assert_eq!(report["faults"][0]["fault"], "undecided", "{report}");
    let why = report["faults"][0]["why"].as_str().unwrap();
    assert!(why.contains("has more than 33554432 bytes"), "{why}");
}

/// A pipe can be read once.
#[test]
fn an_export_is_read_from_a_pipe() {
    let job = Job::new(env!("CARGO_BIN_EXE_slipway-promote"));
    sound().write(&job);
    let arguments = [
        "verify",
        "--export",
        "/dev/stdin",
        "--evidence",
        "evidence",
        "--json",
    ];
    let mut child = job
        .command(&arguments, &[])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, sound().export().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["decisions"]["permits"], 1, "{report}");
}

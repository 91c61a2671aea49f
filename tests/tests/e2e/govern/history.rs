//! Digests that were lost, states that were put there, and the way back.

use serde_json::{Value, json};

use super::{CODE, DEADLINE, Governed, SECRET};
use crate::job::Job;
use crate::support::{log, wait};

impl Governed {
    fn applied(&self, job: &Job) {
        let plan = self.planned(job);
        self.run_json(job, &["apply", "--plan", &plan]);
    }

    /// The versions that the step shows, the newest first.
    fn versions(&self, job: &Job) -> Vec<Value> {
        let answer = self.run_json(job, &["versions"]);
        answer["versions"].as_array().unwrap().clone()
    }

    /// The state's bytes now.
    fn state(&self) -> String {
        let path = format!("/{}/{}", self.bucket(), self.key);
        wait(DEADLINE, self.aws.get(&path)).unwrap().unwrap()
    }

    fn put_state(&self, text: String) {
        let path = format!("/{}/{}", self.bucket(), self.key);
        wait(DEADLINE, self.aws.put(&path, text)).unwrap().unwrap();
    }
}

#[test]
fn an_earlier_state_comes_back_counted_on_and_terraform_goes_on_with_it() {
    let state = Governed::new("back");
    let first = state.job("one.example");
    state.applied(&first);
    let before: Value = serde_json::from_str(&state.state()).unwrap();
    let second = state.job("two.example");
    let more = format!("{CODE}\nresource \"terraform_data\" \"more\" {{}}\n");
    std::fs::write(second.file("infra/main.tf"), more).unwrap();
    state.applied(&second);
    let versions = state.versions(&second);
    let serials: Vec<u64> = versions
        .iter()
        .map(|it| it["serial"].as_u64().unwrap())
        .collect();
    assert_eq!(serials, [2, 1]);
    assert_eq!(versions[0]["current"], true);
    assert_eq!(versions[0]["md5"], json!(state.digest().unwrap()));
    let id = versions[1]["version"].as_str().unwrap();
    let back = ["rollback", "--to-version", id];

    let was = state.state();
    let dry = state.ends(&second, &[back[0], back[1], back[2], "--dry-run"], 0);
    let stdout = String::from_utf8_lossy(&dry.stdout).into_owned();
    for piece in [
        "would become version",
        "-   terraform_data.more",
        "!   terraform_data.network: input, output",
    ] {
        assert!(stdout.contains(piece), "no {piece} in\n{stdout}");
    }
    assert!(
        !stdout.contains(SECRET) && !stdout.contains("two.example"),
        "{stdout}"
    );
    assert_eq!(state.state(), was, "a dry run writes nothing");

    let done = state.ends(&second, &back, 0);
    let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(stdout.contains("restored as serial 3"), "{stdout}");
    let mut now: Value = serde_json::from_str(&state.state()).unwrap();
    assert_eq!(now["serial"], 3);
    now["serial"] = before["serial"].clone();
    assert_eq!(now, before);
    state.ends(&second, &["verify-digest"], 0);
    let again = state.run_json(&second, &back);
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(state.versions(&second).len(), 3);

    // Terraform itself takes it for its own, digest and all.
    state.init_by_hand(&first);
    let arguments = [
        "plan",
        "-no-color",
        "-detailed-exitcode",
        "-var",
        "domain=one.example",
    ];
    let plan = state.by_hand(&first, &arguments);
    assert_eq!(plan.status.code(), Some(0), "{plan:?}");

    // No version at all.
    let none = "00000000-0000-0000-0000-000000000000";
    let stderr = state.refused(&second, &["rollback", "--to-version", none]);
    assert!(stderr.contains("has no version"), "{stderr}");
}

/// Whatever stands there, the version that a person names comes back, and nothing is lost.
#[test]
fn a_good_version_comes_back_whatever_took_its_place() {
    let state = Governed::new("spoiled");
    let job = state.job("one.example");
    state.applied(&job);
    let good = state.state();
    let read: Value = serde_json::from_str(&good).unwrap();
    let lineage = read["lineage"].as_str().unwrap();
    let id = state.versions(&job)[0]["version"].clone();
    let back = ["rollback", "--to-version", id.as_str().unwrap()];
    for (spoiled, why) in [
        (String::new(), "it is empty"),
        ("<html>Gateway Timeout</html>".to_owned(), "expected value"),
        (
            good.replace(lineage, "another"),
            "lineage another, which is another state",
        ),
    ] {
        state.put_state(spoiled.clone());
        let current = state.versions(&job)[0]["version"].clone();
        let current = current.as_str().unwrap();
        let stderr = state.refused(&job, &["verify-digest"]);
        assert!(
            stderr.contains(back[2]) || stderr.contains("rollback --to-version"),
            "{stderr}"
        );
        let done = state.ends(&job, &back, 0);
        let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
        let replaced = format!("in place of version {current}, ");
        for piece in [replaced.as_str(), why] {
            assert!(stdout.contains(piece), "no {piece} in\n{stdout}");
        }
        assert!(job.read("summary").contains(current), "{stdout}");
        state.ends(&job, &["verify-digest"], 0);
        let mut now: Value = serde_json::from_str(&state.state()).unwrap();
        assert!(now["serial"].as_u64() > read["serial"].as_u64());
        now["serial"] = read["serial"].clone();
        assert_eq!(now, read);
        let kept = format!("/{}/{}?versionId={current}", state.bucket(), state.key);
        assert_eq!(
            wait(DEADLINE, state.aws.get(&kept)).unwrap().unwrap(),
            spoiled
        );
    }
    // A version that is not a state is refused.
    state.put_state("<html></html>".to_owned());
    let versions = state.versions(&job);
    let id = versions[0]["version"].as_str().unwrap();
    let stderr = state.refused(&job, &["rollback", "--to-version", id]);
    assert!(stderr.contains("is not a state"), "{stderr}");
}

#[test]
fn the_digest_of_a_state_that_was_deleted_on_purpose_is_removed() {
    let state = Governed::new("deleted");
    let job = state.job("one.example");
    state.applied(&job);
    let path = format!("/{}/{}", state.bucket(), state.key);
    wait(DEADLINE, state.aws.delete(&path)).unwrap().unwrap();
    for arguments in [&["verify-digest"][..], &["repair-digest"]] {
        let stderr = state.refused(&job, arguments);
        for piece in [
            "there is no state",
            "repair-digest --accept-current",
            "rollback --to-version",
        ] {
            assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
        }
    }
    assert!(state.digest().is_some());
    let accept = ["repair-digest", "--accept-current"];
    let ended = state.ends(&job, &accept, 0);
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(stdout.contains("was removed"), "{stdout}");
    assert_eq!(state.item("-md5"), None);
    state.ends(&job, &["verify-digest"], 0);
    state.ends(&job, &accept, 0);
    // Terraform begins anew.
    state.applied(&job);
    state.ends(&job, &["verify-digest"], 0);
}

#[test]
fn a_digest_that_was_not_written_is_found_and_repaired() {
    let state = Governed::with_faults("digest");
    let job = state.job("one.example");
    state.applied(&job);
    state.ends(&job, &["verify-digest"], 0);
    // By hand, as somebody does whose network breaks: Terraform only logs that the digest was not written.
    let code = format!(
        "{CODE}\nresource \"terraform_data\" \"fault\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n",
        json!(state.strike("dynamodb", "PutItem"))
    );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    state.init_by_hand(&job);
    let apply = [
        "apply",
        "-auto-approve",
        "-no-color",
        "-var",
        "domain=one.example",
    ];
    let done = state.by_hand(&job, &apply);
    assert!(done.status.success(), "{done:?}");

    let stderr = state.refused(&job, &["verify-digest"]);
    assert!(
        stderr.contains("is that of version") && stderr.contains("(serial 1, "),
        "{stderr}"
    );
    let plan = [
        "plan",
        "-no-color",
        "-lock=false",
        "-var",
        "domain=one.example",
    ];
    let broken = state.by_hand(&job, &plan);
    assert!(
        log(&broken).contains("does not have the expected content"),
        "{broken:?}"
    );

    let mut run = state.step(&job, &["run"]);
    run.args([
        "--",
        "terraform",
        "plan",
        "-no-color",
        "-var",
        "domain=one.example",
    ]);
    let ran = job.run(&mut run);
    assert_eq!(ran.status.code(), Some(1), "{}", log(&ran));
    let drift = state.ends(&job, &["drift"], 1);
    let plan_step = state.ends(&job, &["plan"], 1);
    for stderr in [log(&ran), log(&drift), log(&plan_step)] {
        for piece in ["do not agree", "the digest is", "repair-digest"] {
            assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
        }
    }

    state.ends(&job, &["repair-digest"], 0);
    state.ends(&job, &["verify-digest"], 0);
    let whole = state.by_hand(&job, &plan);
    assert!(whole.status.success(), "{whole:?}");
    // Again: nothing to do.
    state.ends(&job, &["repair-digest"], 0);
}

#[test]
fn a_replaced_state_gets_no_digest_without_a_persons_consent() {
    let state = Governed::new("put");
    let job = state.job("one.example");
    state.applied(&job);
    let old = state.state();
    let later = state.job("two.example");
    state.applied(&later);
    let right = state.digest();
    state.put_state(old);
    let stderr = state.refused(&later, &["repair-digest"]);
    for piece in [
        "nothing proves",
        "serial 2, lineage",
        "--accept-current",
        "rollback --to-version",
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
    assert_eq!(state.digest(), right);
    state.ends(&later, &["repair-digest", "--accept-current"], 0);
    assert_ne!(state.digest(), right);
    state.ends(&later, &["verify-digest"], 0);
}

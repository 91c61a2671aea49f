//! Plans and applies that are cancelled, or lose their lock or digest on the way.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::super::{CODE, DEADLINE, Governed};
use crate::gateway;
use crate::support::{Started, instance, log, until, wait};

#[test]
fn an_apply_whose_digest_was_not_written_fails() {
    let state = Governed::with_faults("swallowed");
    let job = state.job("shop.example");
    // Terraform logs a digest that it cannot write, and goes on.
    let code = CODE.to_owned()
        + &format!(
            "\nresource \"terraform_data\" \"fault\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n",
            json!(state.strike("dynamodb", "PutItem"))
        );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    let plan = state.planned(&job);
    let ended = state.ends(&job, &["apply", "--plan", &plan], 1);
    let stderr = log(&ended);
    assert!(
        stderr.contains("applied, but the state's digest in"),
        "{stderr}"
    );
    assert!(stderr.contains("is missing"), "{stderr}");
    assert!(stderr.contains("slipway-state repair-digest"), "{stderr}");
    // Terraform takes the state as it is: it has no changes, and an apply of none would not write a digest.
    std::fs::write(job.file("infra/main.tf"), CODE).unwrap();
    for arguments in [&["plan"][..], &["apply", "--plan", &plan]] {
        let stderr = state.refused(&job, arguments);
        for piece in [
            "state and digest of",
            "is missing, in",
            "slipway-state repair-digest",
        ] {
            assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
        }
    }
    // Nothing is written by those that only look, so they do and say it.
    let stderr = log(&state.ends(&job, &["plan", "--read-only"], 0));
    assert!(stderr.contains("slipway-state repair-digest"), "{stderr}");
    state.ends(&job, &["repair-digest"], 0);
    state.planned(&job);
}

/// The lock is forced away while a provisioner is at work, and then the state cannot be written.
#[test]
fn an_apply_that_lost_its_lock_still_says_where_the_state_is_that_it_could_not_write() {
    let state = Governed::alone("lost");
    let job = state.job("shop.example");
    let denied = json!({
        "service": "s3", "operation": "PutObject", "account": state.account(), "times": 1000,
        "fault": {"kind": "status", "status": 403, "code": "AccessDenied", "message": "no"},
    });
    let provisioner = format!(
        ": > applying; until [ -e {} ]; do sleep 0.1; done",
        job.file("go").display()
    );
    let code = format!(
        "{}\nresource \"terraform_data\" \"slow\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n",
        CODE,
        json!(provisioner)
    );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    // The plan is written, and the answer lost: the second attempt finds that very plan there.
    gateway::tell(
        "faults",
        &json!({
            "service": "s3", "operation": "PutObject", "account": state.account(), "times": 1,
            "fault": {"kind": "lost_answer"},
        }),
    );
    let plan = state.planned(&job);
    let mut step = state.step(&job, &["apply", "--plan", &plan, "--lease", "10s"]);
    let applying = Started::new(&mut step);
    until("the provisioner is at work", DEADLINE, || {
        job.file("infra/applying").exists().then_some(())
    });
    gateway::tell("faults", &denied);
    let info: serde_json::Value =
        serde_json::from_str(state.lock().unwrap()["Info"]["S"].as_str().unwrap()).unwrap();
    let other = state.job("shop.example");
    let id = info["ID"].as_str().unwrap();
    state.ends(&other, &["force-unlock", "--lock-id", id], 0);
    let ended = applying.end(DEADLINE);
    state.clear_faults();
    let stderr = log(&ended);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    for piece in [
        "was removed while the command ran",
        "the state could not be written to s3://",
        ", and was left in",
        "errored.tfstate",
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
    assert!(job.file("infra/errored.tfstate").exists());
    assert_eq!(state.lock(), None);
}

/// As GitHub's runner cancels: SIGINT, and SIGTERM 7.5 s later. Returns how it ended.
fn cancelled(running: Started, interrupted: impl Fn() -> bool, go: &Path) -> std::process::Output {
    running.signal(Signal::INT);
    until("the interrupt arrives", DEADLINE, || {
        interrupted().then_some(())
    });
    std::thread::sleep(Duration::from_millis(7500));
    running.signal(Signal::TERM);
    std::fs::write(go, "").unwrap();
    running.end(DEADLINE)
}

#[test]
fn a_cancelled_plan_keeps_no_plan_and_a_cancelled_apply_writes_its_state() {
    std::thread::scope(|scope| {
        scope.spawn(cancelled_plan);
        scope.spawn(cancelled_apply);
    });
}

fn cancelled_plan() {
    let state = Governed::new("cancelled-plan");
    let job = state.job("shop.example");
    let bin = job.file("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = instance().bin().join("terraform");
    let file = |name: &str| job.file(name).display().to_string();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = plan ] || exec {} \"$@\"\ntrap 'echo INT >> {signals}' INT\ntrap 'echo TERM >> {signals}' TERM\n\
         touch {}\nuntil [ -e {} ]; do sleep 0.1; done\nexit 1\n",
        real.display(),
        file("planning"),
        file("go"),
        signals = file("signals"),
    );
    step_job::program(&bin.join("terraform"), &script);
    let mut step = state.step(&job, &["plan"]);
    let path = state.world.variables(instance())["PATH"].clone();
    step.env("PATH", format!("{}:{path}", bin.display()));
    let planning = Started::new(&mut step);
    until("it plans", DEADLINE, || {
        job.file("planning").exists().then_some(())
    });
    assert!(state.lock().is_some());
    let interrupted = || job.file("signals").exists();
    let ended = cancelled(planning, interrupted, &job.file("go"));
    assert_eq!(ended.status.code(), Some(1), "{}", log(&ended));
    assert_eq!(job.read("signals"), "INT\n");
    assert_eq!(job.read("output"), "");
    assert_eq!(state.lock(), None);
}

fn cancelled_apply() {
    let state = Governed::new("cancelled-apply");
    let job = state.job("shop.example");
    let go = job.file("go");
    let provisioner = format!(
        "trap '' INT TERM; : > applying; until [ -e {} ]; do sleep 0.1; done",
        go.display()
    );
    let code = format!(
        "terraform {{\n  backend \"s3\" {{}}\n}}\nvariable \"domain\" {{}}\nvariable \"environment\" {{}}\n\
         resource \"terraform_data\" \"first\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n\
         resource \"terraform_data\" \"second\" {{\n  depends_on = [terraform_data.first]\n}}\n",
        json!(provisioner)
    );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    let plan = state.planned(&job);
    let applying = Started::new(&mut state.step(&job, &["apply", "--plan", &plan]));
    until("it applies", DEADLINE, || {
        job.file("infra/applying").exists().then_some(())
    });
    let ended = cancelled(applying, || true, &go);
    let stderr = log(&ended);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("Two interrupts received"), "{stderr}");
    assert!(stderr.contains("the lock was released"), "{stderr}");
    assert_eq!(state.lock(), None);
    let path = format!("/{}/{}", state.bucket(), state.key);
    let text = wait(DEADLINE, state.aws.get(&path)).unwrap().unwrap();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["resources"][0]["name"], "first", "{text}");
    assert_eq!(written["resources"].as_array().unwrap().len(), 1, "{text}");
}

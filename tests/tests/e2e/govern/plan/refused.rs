//! Plans that no longer fit what they were made of.

use super::super::{DEADLINE, Governed, SECRET};
use crate::job::Job;
use crate::support::{instance, log, wait};

#[test]
fn a_plan_is_refused_with_the_name_of_each_thing_that_moved() {
    let state = Governed::new("moved");
    let job = state.job("shop.example");
    let first = state.planned(&job);
    state.run_json(&job, &["apply", "--plan", &first]);
    let changed = state.job("new.example");
    let plan = state.planned(&changed);
    let apply = ["apply", "--plan", &plan];
    the_inputs_moved(&state, &job, &changed, &plan);
    the_tool_moved(&state, &apply);
    the_plan_moved(&state, &changed, &plan);
    the_state_moved(&state, &changed);
}

/// Expects that a plan is refused because of one thing.
#[track_caller]
fn refused(state: &Governed, job: &Job, arguments: &[&str], moved: &str) -> String {
    let stderr = state.refused(job, arguments);
    assert!(stderr.contains(moved), "no {moved} in\n{stderr}");
    assert!(stderr.contains("no longer fits"), "{stderr}");
    stderr
}

fn the_inputs_moved(state: &Governed, job: &Job, changed: &Job, plan: &str) {
    let apply = ["apply", "--plan", plan];
    // The variable from the contract, and one from the job's environment.
    let stderr = refused(
        state,
        job,
        &apply,
        "the variable TF_VAR_domain: planned with another value",
    );
    let named = stderr.lines().filter(|line| line.starts_with("  the "));
    assert_eq!(
        named.filter(|line| line.contains("planned")).count(),
        1,
        "{stderr}"
    );
    let other = state.job_with("new.example", &[("TF_VAR_password", "another")]);
    let stderr = refused(
        state,
        &other,
        &apply,
        "the variable TF_VAR_password: planned with another value",
    );
    assert!(
        !stderr.contains("another\n") && !stderr.contains(SECRET),
        "{stderr}"
    );
    // The commit.
    let commit = "0815".repeat(10);
    let other = ["apply", "--plan", plan, "--commit", &commit];
    refused(state, changed, &other, "the commit: planned with 4711");
    // The build of a provider.
    let locked = state.job("new.example");
    std::fs::write(locked.file("infra/.terraform.lock.hcl"), "# pinned\n").unwrap();
    refused(
        state,
        &locked,
        &apply,
        "the provider lock file .terraform.lock.hcl: planned with none",
    );
}

fn the_tool_moved(state: &Governed, apply: &[&str]) {
    // The tool's version, told by a stand-in for the tool that is the real one in all else.
    let newer = state.job("new.example");
    let bin = newer.file("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = instance().bin().join("terraform");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = version ] && exec echo '{{\"terraform_version\":\"1.99.0\"}}'\nexec {} \"$@\"\n",
        real.display()
    );
    step_job::program(&bin.join("terraform"), &script);
    let mut step = state.step(&newer, apply);
    let path = state.world.variables(instance())["PATH"].clone();
    step.env("PATH", format!("{}:{path}", bin.display()));
    let ended = newer.run(&mut step);
    assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
    assert!(
        log(&ended).contains("now terraform 1.99.0"),
        "{}",
        log(&ended)
    );
    // Another state: the plan is not there at all.
    let other_state = Governed::new("moved-elsewhere");
    let stderr = other_state.refused(&other_state.job("new.example"), apply);
    assert!(stderr.contains("there is no plan"), "{stderr}");
}

fn the_plan_moved(state: &Governed, changed: &Job, plan: &str) {
    // Time.
    let soon = state.run_json(changed, &["plan", "--valid-for", "0s"]);
    let soon = soon["plan"].as_str().unwrap();
    refused(
        state,
        changed,
        &["apply", "--plan", soon],
        "the time: the plan was valid until",
    );
    // Bytes: somebody wrote another plan in its place.
    let object = format!("/{}/slipway-plans/{}/{plan}", state.bucket(), state.key);
    let put = state.aws.put(&object, "{}\nanother plan".to_owned());
    wait(DEADLINE, put).unwrap().unwrap();
    let stderr = state.refused(changed, &["apply", "--plan", plan]);
    assert!(
        stderr.contains("is not what was kept") && stderr.contains("its envelope has the ID"),
        "{stderr}"
    );
}

/// Terraform by hand, with its own lock, in the same state.
fn the_state_moved(state: &Governed, changed: &Job) {
    let kept = state.planned(changed);
    let hand = state.job("hand.example");
    state.init_by_hand(&hand);
    let done = state.by_hand(
        &hand,
        &[
            "apply",
            "-auto-approve",
            "-no-color",
            "-var",
            "domain=hand.example",
        ],
    );
    assert!(done.status.success(), "{done:?}");
    let before = state.digest();
    refused(
        state,
        changed,
        &["apply", "--plan", &kept],
        "the state's serial: planned with ",
    );
    assert_eq!(state.digest(), before, "nothing was applied");
}

//! Holds that pass from step to step and from job to job, and the post steps that give them back.

use super::*;

#[test]
fn a_lock_passes_from_job_to_job_and_each_post_step_knows_its_owner() {
    let state = State::new("handed-over");
    let (plan, other, apply) = (job(&state, "plan"), state.job(), job(&state, "apply"));
    ends(
        &state,
        &plan,
        &["lock", "--max", "1h"],
        0,
        &["is yours until unlock"],
    );
    let (id, rvn) = (output(&plan, "lock-id"), output(&plan, "rvn"));
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "kept");
    // A command under the hold, which stays.
    ends(
        &state,
        &plan,
        &["run", "--lock-id", &id, "--rvn", &rvn, "--", "true"],
        0,
        &["and is kept"],
    );
    assert_ne!(output(&plan, "rvn"), rvn);
    ends(
        &state,
        &plan,
        &[
            "run",
            "--lock-id",
            &id,
            "--rvn",
            &rvn,
            "--",
            "touch",
            "stale",
        ],
        3,
        &["was used since"],
    );
    assert!(!plan.file("stale").exists());
    ends(
        &state,
        &other,
        &["run", "--lock-timeout", "0s", "--", "true"],
        4,
        &["still held"],
    );

    ends(
        &state,
        &plan,
        &["park", "--lock-id", &id, "--max", "4h"],
        0,
        &["is parked until"],
    );
    let rvn = output(&plan, "rvn");
    let ended = plan.run(&mut post(&state, &plan));
    assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
    assert!(
        log(&ended).contains("is parked, and left"),
        "{}",
        log(&ended)
    );
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "parked");
    let text = ends(&state, &other, &["status"], 0, &["parked until"]);
    assert!(
        text.contains("cannot tell whether its run is still active"),
        "{text}"
    );
    adopted(&state, &plan, &apply, &id, &rvn);
}

/// The other job adopts it; now the first job's post step must not touch it.
fn adopted(state: &State, plan: &Job, apply: &Job, id: &str, rvn: &str) {
    ends(
        state,
        apply,
        &["lock", "--lock-id", id, "--rvn", rvn],
        0,
        &["is yours"],
    );
    let ended = plan.run(&mut post(state, plan));
    assert!(log(&ended).contains("was adopted by"), "{}", log(&ended));
    assert_eq!(state.lock().unwrap()["Job"]["S"], "apply");
    let info = state.lock().unwrap()["Info"].clone();
    ends(
        state,
        apply,
        &["run", "--lock-id", id, "--", "touch", "applied"],
        0,
        &[],
    );
    assert!(apply.file("applied").exists());
    assert_eq!(state.lock().unwrap()["Info"], info);
    ends(state, apply, &["unlock", "--lock-id", id], 0, &["released"]);
    ends(
        state,
        apply,
        &["unlock", "--lock-id", id],
        0,
        &["already free"],
    );
    assert_eq!(state.lock(), None);
}

#[test]
fn a_kept_lock_is_released_by_the_post_step_of_its_job() {
    let state = State::new("kept");
    let job = job(&state, "plan");
    ends(&state, &job, &["lock"], 0, &[]);
    let ended = job.run(&mut post(&state, &job));
    assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
    assert!(
        log(&ended).contains("released the state lock"),
        "{}",
        log(&ended)
    );
    assert_eq!(state.lock(), None);
}

/// Where Terraform locks another key, or despite `-lock=false`, it locks for itself.
#[test]
fn a_workspace_that_does_not_exist_yet_is_made_without_a_deadlock() {
    let state = State::new("workspace");
    let job = state.job();
    std::fs::write(
        job.file("main.tf"),
        "terraform {\n  backend \"s3\" {}\n}\nresource \"terraform_data\" \"it\" {}\n",
    )
    .unwrap();
    let bin = instance().bin().display().to_string();
    let script = "terraform init -no-color >&2; terraform apply -auto-approve -no-color >&2";
    let mut command = verb(&state, &job, &["run", "--", "/bin/sh", "-ec", script]);
    command
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_WORKSPACE", "blue");
    let ended = job.run(&mut command);
    assert!(ended.status.success(), "{}", log(&ended));
    let piece = "`apply` locks for itself: it works on s3://";
    assert!(log(&ended).contains(piece), "{}", log(&ended));
    assert_eq!(state.lock(), None);
}

/// The code asks for the lock file as well, and the lock was taken in the table alone: somebody with the file would not see it.
#[test]
fn half_of_a_lock_is_not_adopted() {
    let state = State::new("half-adopted");
    let job = state.job();
    ends(&state, &job, &["lock", "--max", "1h"], 0, &[]);
    let id = output(&job, "lock-id");
    let code = "terraform {\n  backend \"s3\" {\n    use_lockfile = true\n  }\n}\n";
    std::fs::write(job.file("main.tf"), code).unwrap();
    let run = ["run", "--lock-id", &id, "--", "touch", "began"];
    ends(&state, &job, &run, 3, &["is in the lock table alone"]);
    assert!(!job.file("began").exists());
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "kept");
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        0,
        &["released"],
    );
}

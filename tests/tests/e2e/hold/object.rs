//! `.tflock` alone, and beside the table.

use super::*;

fn with<'a>(locking: &'a str, script: &'a str) -> [&'a str; 9] {
    let timeout = "--lock-timeout";
    [
        "run",
        "--locking",
        locking,
        timeout,
        "0s",
        "--",
        "sh",
        "-c",
        script,
    ]
}

/// The lock file of a state.
pub(crate) fn object(state: &State) -> Option<Value> {
    let path = format!("/{}/{}.tflock", state.bucket(), state.key);
    let answer = wait(DEADLINE, state.aws.get(&path)).unwrap();
    answer.ok().map(|text| serde_json::from_str(&text).unwrap())
}

#[test]
fn terraform_and_we_respect_one_another_through_the_object() {
    for locking in ["file", "both"] {
        let state = State::new(&format!("object-{locking}"));
        let folder = state.infrastructure_locking(
            ": > holding; while [ ! -e go ]; do sleep 0.1; done",
            locking,
        );
        let job = state.job();
        let running = Started::new(&mut verb(&state, &job, &with(locking, HOLDING)));
        started(&job);
        let held = object(&state).unwrap();
        assert_eq!(held["Slipway"]["Phase"], "running");
        assert_eq!(state.lock().is_some(), locking == "both");
        let refused = Started::new(&mut state.terraform(folder.path(), &APPLY)).end(DEADLINE);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        for piece in [
            "Error acquiring the state lock",
            "actions/runs/4711/attempts/2",
            held["ID"].as_str().unwrap(),
        ] {
            assert!(
                log(&refused).contains(piece),
                "no {piece} in\n{}",
                log(&refused)
            );
        }
        release_command(&job);
        let ended = running.end(DEADLINE);
        assert!(ended.status.success(), "{}", log(&ended));
        assert_eq!(object(&state), None);
        assert_eq!(state.lock(), None);

        let apply = Started::new(&mut state.terraform(folder.path(), &APPLY));
        until("terraform applies", DEADLINE, || {
            folder.path().join("holding").exists().then_some(())
        });
        let id = object(&state).unwrap()["ID"].as_str().unwrap().to_owned();
        let job = state.job();
        ends(
            &state,
            &job,
            &with(locking, ": > started"),
            4,
            &["OperationTypeApply", &id, "force-unlock --lock-id"],
        );
        assert!(!job.file("started").exists());
        ends(
            &state,
            &job,
            &["force-unlock", "--locking", locking, "--lock-id", &id],
            0,
            &[&id],
        );
        assert_eq!(object(&state), None);
        assert_eq!(state.lock(), None);
        std::fs::write(folder.path().join("go"), "").unwrap();
        apply.end(DEADLINE);
    }
}

#[test]
fn the_lock_file_in_s3_is_used_if_no_table_is_named() {
    let state = State::new("object-default");
    let job = state.job();
    let object_flags = ["--bucket", state.bucket(), "--key", &state.key];
    let arguments = [&["run"][..], &object_flags, &["--", "sh", "-c", HOLDING]].concat();
    let mut command = job.command("slipway-state", &arguments);
    let running = Started::new(command.env_remove("TF_LOCK_TABLE"));
    started(&job);
    assert_eq!(object(&state).unwrap()["Slipway"]["Phase"], "running");
    assert_eq!(state.lock(), None);
    release_command(&job);
    let ended = running.end(DEADLINE);
    let stderr = log(&ended);
    assert!(ended.status.success(), "{stderr}");
    let text = format!(
        "no lock table is named: the lock is s3://{}/{}.tflock",
        state.bucket(),
        state.key
    );
    assert!(stderr.contains(&text), "{stderr}");
    assert_eq!(object(&state), None);
}

#[test]
fn terraforms_force_unlock_opens_our_object() {
    let state = State::new("object-forced");
    let folder = state.infrastructure_locking("true", "file");
    let job = state.job();
    ends(&state, &job, &["lock", "--locking", "file"], 0, &[]);
    let id = output(&job, "lock-id");
    let forced =
        Started::new(&mut state.terraform(folder.path(), &["force-unlock", "-force", &id]))
            .end(DEADLINE);
    assert!(forced.status.success(), "{forced:?}");
    assert_eq!(object(&state), None);
}

#[test]
fn an_object_that_died_with_its_run_is_followed_after_its_lease() {
    let state = State::new("object-died");
    let (dead, next) = (state.job(), state.job());
    killed(&state, &dead, &["--locking", "file", "--lease", "12s"]);
    let pid: i32 = dead.read("pid").trim().parse().unwrap();
    let _ = kill_process_group(Pid::from_raw(pid).unwrap(), Signal::KILL);
    let arguments = [
        "run",
        "--locking",
        "file",
        "--lease",
        "12s",
        "--lock-timeout",
        "10m",
        "--",
        "touch",
        "started",
    ];
    ends(
        &state,
        &next,
        &arguments,
        0,
        &["took over the lock of", "no heartbeat for 12 s"],
    );
    assert_eq!(object(&state), None);
}

#[test]
fn half_a_lock_is_found_and_does_not_last() {
    let state = State::new("half");
    let (dead, job) = (state.job(), state.job());
    killed(&state, &dead, &["--locking", "both", "--lease", "20s"]);
    // Somebody who knows of the table alone takes its half away.
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    ends(&state, &job, &["force-unlock", "--lock-id", &id], 0, &[]);
    assert!(object(&state).is_some());
    ends(
        &state,
        &job,
        &["status", "--locking", "both"],
        0,
        &["is free", "half a lock: only the object names"],
    );
    ends(
        &state,
        &job,
        &["run", "--locking", "both", "--", "touch", "started"],
        0,
        &[],
    );
    assert_eq!(object(&state), None);
}

/// Locking does not move while somebody holds beside the state, with these arguments.
fn stays_while_held(state: &State, holding: &[&str], to: &str) {
    let worker = state.job();
    let hold = ["run", "--hold", "beside"];
    let hold = [&hold[..], holding, &["--", "sh", "-c", HOLDING]].concat();
    let running = Started::new(&mut verb(state, &worker, &hold));
    started(&worker);
    let job = state.job();
    ends(
        state,
        &job,
        &["move-lock", "--to", to],
        4,
        &["#hold is held"],
    );
    release_command(&worker);
    assert!(running.end(DEADLINE).status.success());
}

#[test]
fn locking_moves_to_the_object_and_back_and_nobody_is_left_on_the_old_way() {
    let state = State::new("moved");
    let job = state.job();
    let old = state.infrastructure("true");
    ends(
        &state,
        &job,
        &["move-lock", "--to", "both"],
        0,
        &["can be locked with both", "next: in the backend"],
    );
    ends(
        &state,
        &job,
        &["move-lock", "--to", "file"],
        0,
        &["can be locked with the lock file"],
    );
    // A user who was not told about the move is stopped, and the error tells them.
    let stopped = Started::new(&mut state.terraform(old.path(), &APPLY)).end(DEADLINE);
    assert_eq!(stopped.status.code(), Some(1));
    assert!(
        log(&stopped).contains("use_lockfile = true"),
        "{}",
        log(&stopped)
    );
    ends(
        &state,
        &job,
        &["run", "--lock-timeout", "0s", "--", "true"],
        4,
        &["locking has moved to .tflock"],
    );
    let beside = |locking: &str, exit: i32, expected: &[&str]| {
        let arguments = ["run", "--hold", "beside", "--locking", locking];
        let arguments = [&arguments[..], &["--lock-timeout", "0s", "--", "true"]];
        ends(&state, &job, &arguments.concat(), exit, expected);
    };
    beside("dynamodb", 4, &["locking has moved to .tflock"]);
    beside("both", 4, &["locking has moved to .tflock"]);
    beside("file", 0, &[]);
    ends(
        &state,
        &job,
        &["run", "--locking", "file", "--", "true"],
        0,
        &[],
    );
    ends(
        &state,
        &job,
        &["move-lock", "--to", "file"],
        0,
        &["already uses"],
    );
    // Not while somebody holds in the new way what could be held in the old one then.
    stays_while_held(&state, &["--locking", "file"], "dynamodb");
    ends(
        &state,
        &job,
        &["move-lock", "--to", "dynamodb"],
        0,
        &["can be locked with the lock table"],
    );
    // It is refused too while a run holds the lock in the old way.
    stays_while_held(&state, &[], "file");
    assert_eq!(object(&state), None);
    let applied = Started::new(&mut state.terraform(old.path(), &APPLY)).end(DEADLINE);
    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(state.lock(), None);
}

/// A post step has seen a hold of its job's, and another job adopts it before it is removed.
#[test]
fn a_hold_that_is_adopted_while_it_is_removed_keeps_both_halves() {
    let state = alone("both-adopted");
    let (plan, apply) = (job(&state, "plan"), job(&state, "apply"));
    ends(&state, &plan, &["lock", "--locking", "both"], 0, &[]);
    let id = output(&plan, "lock-id");
    // A call without an answer is given up after 10 s and made again, four times: long enough for the other job.
    for _ in 0..3 {
        fault(
            &state,
            json!({"service": "dynamodb", "operation": "DeleteItem", "fault": {"kind": "delay", "millis": 60000}}),
        );
    }
    let mut command = post(&state, &plan);
    let removing = Started::new(command.env("INPUT_LOCKING", "both"));
    until("it is about to remove it", DEADLINE, || {
        (waiting_faults(&state).len() < 3).then_some(())
    });
    let adopt = [
        "run",
        "--locking",
        "both",
        "--lock-id",
        &id,
        "--",
        "sh",
        "-c",
        HOLDING,
    ];
    let running = Started::new(&mut verb(&state, &apply, &adopt));
    started(&apply);
    let removed = removing.end(DEADLINE);
    assert_eq!(removed.status.code(), Some(0), "{}", log(&removed));
    assert!(
        log(&removed).contains("was adopted by"),
        "{}",
        log(&removed)
    );
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "running");
    assert_eq!(object(&state).unwrap()["ID"], id);
    release_command(&apply);
    let ended = running.end(DEADLINE);
    assert!(ended.status.success(), "{}", log(&ended));
    ends(
        &state,
        &apply,
        &["unlock", "--locking", "both", "--lock-id", &id],
        0,
        &[],
    );
    assert_eq!((state.lock(), object(&state)), (None, None));
}

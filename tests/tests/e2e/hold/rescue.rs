//! States that could not be written, and commands that were cancelled: what is there afterwards.

use super::*;

/// The cancellation comes while the hold is adopted: nobody waits for a signal just then.
#[test]
fn a_signal_between_two_steps_of_the_work_starts_nothing() {
    let state = alone("between");
    let (keeper, job) = (state.job(), state.job());
    ends(&state, &keeper, &["lock"], 0, &[]);
    let id = output(&keeper, "lock-id");
    fault(
        &state,
        json!({"service": "dynamodb", "operation": "PutItem", "fault": {"kind": "delay", "millis": 9000}}),
    );
    let arguments = ["run", "--lock-id", &id, "--", "touch", "started"];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    // The note to the post step comes before the write.
    until("it adopts", DEADLINE, || {
        (!job.state().is_empty()).then_some(())
    });
    running.signal(Signal::INT);
    let ended = running.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(130), "{}", log(&ended));
    assert!(
        log(&ended).contains("interrupted by SIGINT"),
        "{}",
        log(&ended)
    );
    assert!(!job.file("started").exists());
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "kept");
}

/// A step that was killed leaves what Terraform could not write; the post step brings it to safety.
#[test]
fn a_state_that_a_killed_step_left_is_rescued_by_its_post_step() {
    let state = State::new("left-state");
    let job = state.job();
    let script = "echo '{\"serial\":1}' > errored.tfstate; : > started; exec sleep 300";
    let mut command = state.step(&job, script, "0s");
    let running = Started::new(&mut command);
    started(&job);
    running.signal(Signal::KILL);
    let mut command = state.step(&job, script, "0s");
    command.env("SLIPWAY_PHASE", "post").envs(job.state());
    let post = job.run(&mut command);
    assert_eq!(post.status.code(), Some(0), "{}", log(&post));
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    let kept = format!("{}/{}.errored-{id}", state.bucket(), state.key);
    for piece in [
        "rescued to s3://",
        "stays locked until its state is repaired",
    ] {
        assert!(log(&post).contains(piece), "no {piece} in\n{}", log(&post));
    }
    let lock = state.lock().unwrap();
    assert_eq!(lock["Phase"]["S"], "needs-repair");
    assert_eq!(lock["Rescued"]["S"], format!("s3://{kept}"));
    let text = wait(DEADLINE, state.aws.get(&format!("/{kept}"))).unwrap();
    assert_eq!(text.unwrap(), "{\"serial\":1}\n");
    ends(&state, &job, &["force-unlock", "--lock-id", &id], 0, &[]);
    assert_eq!(running.end(DEADLINE).status.code(), None);
}

/// Runs an apply whose state S3 refuses, and returns the step's log.
fn apply_that_cannot_write(state: &State, job: &Job) -> String {
    let faults = format!("{}/_sandbox/faults", instance().url(port::GATEWAY));
    let account = &state.world.environment("dev").unwrap().account.id;
    let denied = json!({"service": "s3", "operation": "PutObject", "account": account, "times": 1000,
        "fault": {"kind": "status", "status": 403, "code": "AccessDenied", "message": "no"}});
    std::fs::write(job.file("denied.json"), denied.to_string()).unwrap();
    std::fs::write(
        job.file("main.tf"),
        "terraform {\n  backend \"s3\" {}\n}\nresource \"terraform_data\" \"it\" {\n  input = \"made\"\n}\n",
    )
    .unwrap();
    let script = format!(
        "terraform init -no-color >&2
         curl -fsS -X POST -H 'content-type: application/json' -d @denied.json {faults}
         code=0; terraform apply -auto-approve -no-color >&2 || code=$?
         curl -fsS -X DELETE '{faults}?account={account}'
         exit $code"
    );
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let arguments = ["run", "--", "sh", "-c", &script];
    let failed = job.run(&mut with_terraform(state, job, &arguments, path));
    let stderr = log(&failed);
    assert_eq!(failed.status.code(), Some(1), "{stderr}");
    stderr
}

/// A call of the step that finds Terraform, and what else is in `path`.
fn with_terraform(state: &State, job: &Job, arguments: &[&str], path: &str) -> Command {
    let bin = instance().bin().display().to_string();
    let mut command = verb(state, job, arguments);
    command
        .env("PATH", format!("{bin}:{path}"))
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1");
    command
}

#[test]
fn a_state_that_terraform_could_not_write_is_rescued_and_keeps_its_lock() {
    let state = alone("rescued");
    let job = state.job();
    let stderr = apply_that_cannot_write(&state, &job);
    for piece in [
        "the state could not be written",
        "rescued to s3://",
        "is kept, so that nothing else runs",
        "state push",
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
    let lock = state.lock().unwrap();
    assert_eq!(lock["Phase"]["S"], "needs-repair");
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    let place_of = lock["Rescued"]["S"].as_str().unwrap();
    assert_eq!(
        place_of,
        format!("s3://{}/{}.errored-{id}", state.bucket(), state.key)
    );
    ends(
        &state,
        &job,
        &["status"],
        0,
        &["needs repair", place_of, "a person has to look"],
    );
    ends(
        &state,
        &state.job(),
        &["run", "--lock-timeout", "0s", "--", "true"],
        4,
        &[place_of],
    );

    repairs_that_fail(&state, &job, &id);
    assert_eq!(state.lock().unwrap()["Rescued"]["S"], place_of);
    repair_by_push(&state, &job, &id);
}

/// Neither somebody's mistake nor a repair that failed, or died, makes it a usual lock again.
fn repairs_that_fail(state: &State, job: &Job, id: &str) {
    ends(
        state,
        job,
        &["unlock", "--lock-id", id],
        3,
        &["stays until its state is repaired", "state push"],
    );
    let failed = ["run", "--lock-id", id, "--lease", "20s", "--", "false"];
    ends(
        state,
        job,
        &failed,
        1,
        &["stays until its state is repaired"],
    );
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "needs-repair");
    let died = [
        "run",
        "--lock-id",
        id,
        "--lease",
        "20s",
        "--",
        "sh",
        "-c",
        HOLDING,
    ];
    let running = Started::new(&mut verb(state, job, &died));
    started(job);
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "repairing");
    running.signal(Signal::KILL);
    assert_eq!(running.end(DEADLINE).status.code(), None);
    ends(
        state,
        &state.job(),
        &["run", "--lock-timeout", "5s", "--", "true"],
        4,
        &["a command repairs its state"],
    );
}

/// The way back that the message names, once the command that died was silent for its lease.
fn repair_by_push(state: &State, job: &Job, id: &str) {
    let push = [
        "run",
        "--lock-id",
        id,
        "--",
        "terraform",
        "state",
        "push",
        "errored.tfstate",
    ];
    let pushed = job.run(&mut with_terraform(state, job, &push, ""));
    assert!(pushed.status.success(), "{}", log(&pushed));
    let stderr = log(&pushed);
    assert!(
        stderr.contains("watching for 20 s whether that command lives"),
        "{stderr}"
    );
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "kept");
    assert!(state.lock().unwrap().get("Rescued").is_none());
    // A person may forget to release the lock after the repair, and a terminal has no run whose end is proof, so the lock has an end.
    let end = &state.lock().unwrap()["Until"]["N"];
    assert!(end.is_string(), "{end}");
    let output = ["run", "--lock-id", id, "--", "terraform", "output"];
    let output = job.run(&mut with_terraform(state, job, &output, ""));
    assert!(output.status.success(), "{}", log(&output));
    ends(state, job, &["unlock", "--lock-id", id], 0, &["released"]);
}

/// The script selects a workspace of its own, and a fresh checkout has another one selected.
#[test]
fn a_rescued_state_of_a_workspace_goes_back_into_that_workspace_only() {
    let state = alone("blue");
    let faults = format!("{}/_sandbox/faults", instance().url(port::GATEWAY));
    let account = &state.world.environment("dev").unwrap().account.id;
    let code = "terraform {\n  backend \"s3\" {}\n}\nresource \"terraform_data\" \"it\" {\n  input = \"made\"\n}\n";
    let denied = json!({"service": "s3", "operation": "PutObject", "account": account, "times": 1000,
        "fault": {"kind": "status", "status": 403, "code": "AccessDenied", "message": "no"}});
    let bin = instance().bin().display().to_string();
    let path = format!("{bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let run = |job: &Job, arguments: &[&str]| {
        std::fs::write(job.file("main.tf"), code).unwrap();
        let mut command = verb(&state, job, arguments);
        command
            .env("PATH", &path)
            .env("HOME", job.file(""))
            .env("CHECKPOINT_DISABLE", "1");
        job.run(&mut command)
    };
    let job = state.job();
    std::fs::write(job.file("denied.json"), denied.to_string()).unwrap();
    let script = format!(
        "terraform init -no-color >&2; terraform workspace new -no-color blue >&2
         curl -fsS -X POST -H 'content-type: application/json' -d @denied.json {faults}
         code=0; terraform apply -auto-approve -no-color >&2 || code=$?
         curl -fsS -X DELETE '{faults}?account={account}'
         exit $code"
    );
    let failed = run(&job, &["run", "--", "sh", "-c", &script]);
    let stderr = log(&failed);
    assert_eq!(failed.status.code(), Some(1), "{stderr}");
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    let blue = format!("{}/env:/blue/{}", state.bucket(), state.key);
    for piece in [
        &format!("could not be written to s3://{blue} (workspace `blue`)")[..],
        &format!("rescued to s3://{blue}.errored-{id}"),
        &format!("in the folder of s3://{blue}: "),
        "terraform workspace select blue; terraform state push errored.tfstate",
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }

    let fresh = state.job();
    std::fs::copy(job.file("errored.tfstate"), fresh.file("errored.tfstate")).unwrap();
    let repair = |script: &str| {
        run(
            &fresh,
            &["run", "--lock-id", &id, "--", "sh", "-ec", script],
        )
    };
    let refused = repair("terraform init; terraform state push errored.tfstate");
    let stderr = log(&refused);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&format!("belongs to s3://{blue}")),
        "{stderr}"
    );
    let object = |key: &str| {
        let path = format!("/{}/{key}", state.bucket());
        wait(DEADLINE, state.aws.get(&path)).unwrap()
    };
    assert!(
        object(&state.key).is_err(),
        "the default workspace has a state"
    );
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "needs-repair");
    let back = repair(
        "terraform init; terraform workspace select blue; terraform state push errored.tfstate
         terraform state pull > pulled.json",
    );
    assert!(back.status.success(), "{}", log(&back));
    let pulled = std::fs::read_to_string(fresh.file("pulled.json")).unwrap();
    assert!(pulled.contains("made"), "{pulled}");
    ends(
        &state,
        &fresh,
        &["unlock", "--lock-id", &id],
        0,
        &["released"],
    );
}

#[test]
fn credentials_that_end_before_the_command_had_its_time_are_refused() {
    let state = State::new("budget");
    let job = state.job();
    ends(
        &state,
        &job,
        &["run", "--budget", "1h", "--", "touch", "started"],
        3,
        &["it is unknown whether these credentials last"],
    );
    assert!(!job.file("started").exists());
    assert_eq!(state.lock(), None);
}

/// As GitHub's runner cancels: SIGINT, and SIGTERM 7.5 s later, while Terraform is at work.
#[test]
fn a_cancelled_apply_writes_its_state_and_releases_the_lock() {
    let state = State::new("cancelled-apply");
    let job = state.job();
    std::fs::write(
        job.file("main.tf"),
        "terraform {\n  backend \"s3\" {}\n}\n
         resource \"terraform_data\" \"first\" {\n  provisioner \"local-exec\" {\n    command = \": > started; trap '' INT TERM; sleep 12\"\n  }\n}\n
         resource \"terraform_data\" \"second\" {\n  depends_on = [terraform_data.first]\n}\n",
    )
    .unwrap();
    let bin = instance().bin().display().to_string();
    let script = "terraform init -no-color >&2; exec terraform apply -auto-approve -no-color >&2";
    let mut command = verb(&state, &job, &["run", "--", "/bin/sh", "-ec", script]);
    command
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1");
    let running = Started::new(&mut command);
    started(&job);
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(7500));
    running.signal(Signal::TERM);
    let ended = running.end(DEADLINE);
    let stderr = log(&ended);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("Two interrupts received"), "{stderr}");
    assert!(stderr.contains("the lock was released"), "{stderr}");
    assert_eq!(state.lock(), None);
    let path = format!("/{}/{}", state.bucket(), state.key);
    let text = wait(DEADLINE, state.aws.get(&path)).unwrap().unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["resources"][0]["name"], "first", "{text}");
    assert_eq!(written["resources"].as_array().unwrap().len(), 1, "{text}");
}

/// A wrapper that is over at once leaves a Terraform at work; nobody gets the lock before that one has written its state.
#[test]
fn processes_that_a_command_left_running_end_before_the_lock_is_released() {
    let state = State::new("left-running");
    let job = state.job();
    // A shell's background commands ignore the interrupt; this one, as Terraform, listens to it again.
    let script = "perl -e '$SIG{INT} = sub { sleep 1; open F, \">over\"; exit }; open S, \">started\"; sleep 1 while 1' &
        while [ ! -e started ]; do sleep 0.1; done";
    let text = ends(
        &state,
        &job,
        &["run", "--lease", "20s", "--", "bash", "-c", script],
        0,
        &["ending what the command left running"],
    );
    assert!(job.file("over").exists(), "{text}");
    assert_eq!(state.lock(), None);
}

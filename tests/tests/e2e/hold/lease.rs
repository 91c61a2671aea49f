//! Leases: kept alive while a command runs, lost, and followed when their holder has died.

use sandbox::runner::hub::Run;

use super::*;

#[test]
fn the_lease_is_renewed_while_the_command_runs_and_terraforms_part_never_changes() {
    let state = State::new("renewed");
    let job = state.job();
    let arguments = ["run", "--lease", "20s", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    let first = state.lock().unwrap();
    assert_eq!(first["Phase"]["S"], "running");
    assert_eq!(first["LeaseSecs"]["N"], "20");
    assert_eq!(first["Attempt"]["S"], "acme/storefront/4711/2");
    let later = until("it is renewed", DEADLINE, || {
        state.lock().filter(|later| later["Rvn"] != first["Rvn"])
    });
    assert_eq!(later["Info"], first["Info"]);
    // Another run cannot release a lock by mistake while a command runs under it.
    let other = self::job(&state, "other");
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    ends(
        &state,
        &other,
        &["unlock", "--lock-id", &id],
        3,
        &[
            "a command runs under the lock",
            &format!("force-unlock --lock-id {id}"),
        ],
    );
    assert!(state.lock().is_some());
    release_command(&job);
    let ended = running.end(DEADLINE);
    assert!(ended.status.success(), "{}", log(&ended));
    assert_eq!(state.lock(), None);
}

#[test]
fn a_holder_that_died_is_followed_after_its_whole_lease_and_not_before() {
    let state = State::new("died");
    let (dead, next) = (state.job(), state.job());
    // It is the guard that ends the command, long before the lease does.
    killed(&state, &dead, &["--lease", "12s"]);
    let arguments = ["run", "--lock-timeout", "10m", "--", "touch", "started"];
    let text = ends(
        &state,
        &next,
        &arguments,
        0,
        &["took over the lock of ada", "sent no heartbeat for 12 s"],
    );
    assert!(
        text.contains("cannot tell whether its run is still active"),
        "{text}"
    );
    assert!(next.file("started").exists());
    assert_eq!(state.lock(), None);
}

#[test]
fn a_command_does_not_outlive_its_run_that_was_killed_alone() {
    let state = State::new("orphan");
    let job = state.job();
    let script = "echo $$ > pid; trap 'echo stopped > how; exit 1' INT; : > started
        for i in $(seq 6000); do sleep 0.1; done";
    let arguments = ["run", "--lease", "30s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    running.signal(Signal::KILL);
    until("the command was interrupted", DEADLINE, || {
        (job.read("how").trim() == "stopped").then_some(())
    });
    // A job may release a lock that it left behind itself.
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        0,
        &["released"],
    );
    assert_eq!(state.lock(), None);
}

/// A machine that sleeps, or a debugger: the run itself does nothing while its lease goes by.
#[test]
fn a_run_that_was_stopped_past_its_lease_has_no_command_left_when_the_next_begins() {
    let state = State::new("stopped");
    let (slow, next) = (state.job(), state.job());
    let script = "echo $$ > pid; : > started; trap '' INT
        for i in $(seq 6000); do sleep 0.1; date +%s%N > now; mv now alive; done";
    let arguments = ["run", "--lease", "10s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &slow, &arguments));
    started(&slow);
    running.signal(Signal::STOP);
    let arguments = [
        "run",
        "--lock-timeout",
        "10m",
        "--",
        "sh",
        "-c",
        "date +%s%N > began",
    ];
    ends(&state, &next, &arguments, 0, &["took over the lock of"]);
    let number = |text: String| text.trim().parse::<u128>().unwrap();
    let (alive, began) = (number(slow.read("alive")), number(next.read("began")));
    assert!(alive < began, "the command lived on: {alive} {began}");
    running.signal(Signal::CONT);
    let ended = running.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(137), "{}", log(&ended));
}

/// A job of a run on GitHub, with the run's token or without one.
fn job_of(state: &State, run: &Run, token: bool) -> Job {
    let mut variables = state.world.variables(instance());
    variables.extend(state.keys.variables());
    for (name, value) in [
        ("GITHUB_REPOSITORY", state.world.repository.clone()),
        ("GITHUB_RUN_ID", run.run_id.to_string()),
        ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
        ("GITHUB_JOB", "dev".to_owned()),
        ("GITHUB_API_URL", instance().url(port::GITHUB)),
    ] {
        variables.insert(name.to_owned(), value);
    }
    if token {
        variables.insert("GITHUB_TOKEN".to_owned(), run.token.clone());
    } else {
        variables.remove("GITHUB_TOKEN");
    }
    Job::new(variables)
}

/// GitHub says that the run is over, so nobody waits for a lease of an hour.
#[test]
fn a_run_that_github_calls_over_is_followed_at_once_and_one_that_goes_on_never() {
    let state = State::new("over");
    let instance = instance();
    let (story, run, mine) = wait(TIMEOUT, async {
        let story = Story::begin(instance, state.world).await.unwrap();
        let start = |event: &'static str| {
            json!({"workflow": ".github/workflows/deliver.yml", "event": event, "actor": "ada",
                "workflows": {}})
        };
        let workflow = "name: x\non: workflow_dispatch\npermissions: {actions: read}\njobs:\n  dev:\n    runs-on: x\n    permissions: {actions: read}\n    steps: [{run: true}]\n";
        let title = "A workflow that does nothing";
        let files = [(".github/workflows/deliver.yml", workflow)];
        story.change("ada", "grace", title, &files).await.unwrap();
        let run = story.hub.start(&start("workflow_dispatch")).await.unwrap();
        let mine = story.hub.start(&start("workflow_dispatch")).await.unwrap();
        (story, run, mine)
    });
    let job = |run: &Run, token: bool| job_of(&state, run, token);
    let (holder, waiter, blind) = (job(&run, true), job(&mine, true), job(&mine, false));
    ends(&state, &holder, &["lock", "--lease", "1h"], 0, &[]);
    let arguments = ["run", "--lock-timeout", "0s", "--", "touch", "started"];
    ends(&state, &waiter, &arguments, 4, &["of run", "is queued"]);
    ends(
        &state,
        &blind,
        &arguments,
        4,
        &[
            "cannot tell whether its run is still active",
            "no GitHub token",
        ],
    );
    wait(
        DEADLINE,
        story
            .hub
            .finish(&run, "cancelled", &std::collections::BTreeMap::new()),
    )
    .unwrap();
    // The same fact, and nobody who could see it.
    ends(
        &state,
        &blind,
        &arguments,
        4,
        &["cannot tell whether its run is still active"],
    );
    ends(
        &state,
        &waiter,
        &arguments,
        0,
        &["is over: cancelled", "took over the lock of"],
    );
    assert!(waiter.file("started").exists());
    assert_eq!(state.lock(), None);

    // Parked for another run: whoever parks ends soon, and while people decide nobody takes its place.
    for (conclusion, exit) in [("success", 4), ("failure", 0)] {
        let start = json!({"workflow": ".github/workflows/deliver.yml", "event": "workflow_dispatch",
            "actor": "ada", "workflows": {}});
        let run = wait(DEADLINE, story.hub.start(&start)).unwrap();
        let parker = job(&run, true);
        ends(&state, &parker, &["lock"], 0, &[]);
        let id = output(&parker, "lock-id");
        ends(&state, &parker, &["park", "--lock-id", &id], 0, &[]);
        let jobs = std::collections::BTreeMap::new();
        wait(DEADLINE, story.hub.finish(&run, conclusion, &jobs)).unwrap();
        let over = format!("is over: {conclusion}");
        ends(&state, &waiter, &arguments, exit, &[&over]);
        if exit == 4 {
            ends(&state, &waiter, &["lock", "--lock-id", &id], 0, &[]);
            ends(&state, &waiter, &["unlock", "--lock-id", &id], 0, &[]);
        }
    }
    assert_eq!(state.lock(), None);
    let broken = wait(DEADLINE, story.hub.violations()).unwrap();
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn without_answers_from_dynamodb_the_command_is_stopped_before_the_lease_ends() {
    let state = alone("cut");
    let job = state.job();
    let script = "trap 'exit 3' INT; : > started; for i in $(seq 6000); do sleep 0.1; done";
    let arguments = ["run", "--lease", "20s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    fault(
        &state,
        json!({"service": "dynamodb", "operation": "PutItem", "times": 1000, "fault": {"kind": "cut"}}),
    );
    let ended = running.end(DEADLINE);
    // Interrupted half way, and not killed at the end.
    assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
    let stderr = log(&ended);
    assert!(
        stderr.contains("could not be renewed for half of its lease"),
        "{stderr}"
    );
    assert!(stderr.contains("the lock was released"), "{stderr}");
    assert_eq!(state.lock(), None);
}

/// Each fault strikes the call it is meant for: the take, a renewal, the release.
#[test]
fn throttling_and_lost_answers_cost_no_hold() {
    let state = alone("throttled");
    let job = state.job();
    let refused =
        |code: &str| json!({"kind": "status", "status": 400, "code": code, "message": "slow down"});
    let add_fault = |operation: &str, kind: Value, times: u32| {
        fault(
            &state,
            json!({"service": "dynamodb", "operation": operation, "times": times, "fault": kind}),
        );
    };
    let struck = |description: &str| {
        until(description, DEADLINE, || {
            waiting_faults(&state).is_empty().then_some(())
        });
    };
    let lost = || json!({"kind": "lost_answer"});
    add_fault("PutItem", lost(), 1);
    let arguments = ["run", "--lease", "16s", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    struck("the take lost its answer");
    for kind in [
        refused("ThrottlingException"),
        refused("ProvisionedThroughputExceededException"),
        refused("RequestLimitExceeded"),
        lost(),
    ] {
        let before = state.lock().unwrap()["Rvn"].clone();
        add_fault("PutItem", kind, 1);
        struck("a renewal was struck");
        until("it is renewed all the same", DEADLINE, || {
            state.lock().filter(|lock| lock["Rvn"] != before)
        });
    }
    for kind in [
        lost(),
        refused("ProvisionedThroughputExceededException"),
        refused("RequestLimitExceeded"),
    ] {
        add_fault("DeleteItem", kind, 1);
    }
    release_command(&job);
    let ended = running.end(DEADLINE);
    assert!(ended.status.success(), "{}", log(&ended));
    struck("the release was struck");
    assert!(!log(&ended).contains("was removed"), "{}", log(&ended));
    assert_eq!(state.lock(), None);
}

/// The answer to a release is lost, and before it is asked for again the next in line has the lock.
#[test]
fn an_unanswered_release_counts_even_if_the_next_holder_follows_at_once() {
    let state = alone("followed");
    let (first, second) = (state.job(), state.job());
    let hold = ["run", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &first, &hold));
    started(&first);
    let next = ["run", "--lock-timeout", "10m", "--", "sh", "-c", HOLDING];
    let waiting = Started::new(&mut verb(&state, &second, &next));
    let ticket = format!("{}/{}#q/0", state.bucket(), state.key);
    until("it stands in line", DEADLINE, || {
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &ticket))
    });
    for kind in [
        json!({"kind": "lost_answer"}),
        json!({"kind": "delay", "millis": 4000}),
    ] {
        fault(
            &state,
            json!({"service": "dynamodb", "operation": "DeleteItem", "times": 1, "fault": kind}),
        );
    }
    release_command(&first);
    started(&second);
    let ended = running.end(DEADLINE);
    assert!(ended.status.success(), "{}", log(&ended));
    assert_eq!(waiting_faults(&state), [Value::Null; 0]);
    release_command(&second);
    assert!(waiting.end(DEADLINE).status.success());
    assert_eq!(state.lock(), None);
}

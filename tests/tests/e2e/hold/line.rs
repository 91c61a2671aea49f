//! The line of those who wait.

use super::*;

#[test]
fn those_who_wait_get_the_lock_in_the_order_in_which_they_came() {
    let state = State::new("line");
    let holder = state.job();
    let running = Started::new(&mut verb(
        &state,
        &holder,
        &["run", "--", "sh", "-c", HOLDING],
    ));
    started(&holder);
    let order = holder.file("order");
    let id = format!("{}/{}#q", state.bucket(), state.key);
    let mut waiting = Vec::new();
    for number in 0..4 {
        let job = state.job();
        let script = format!("echo {number} >> {}", order.display());
        let arguments = ["run", "--lock-timeout", "10m", "--", "sh", "-c", &script];
        let waiter = Started::new(&mut verb(&state, &job, &arguments));
        until("it stands in line", DEADLINE, || {
            let line = wait(DEADLINE, item(&state.aws, state.table(), "LockID", &id))?;
            (line["Next"]["N"] == format!("{}", number + 1).as_str()).then_some(())
        });
        waiting.push((job, waiter));
    }
    let job = state.job();
    ends(&state, &job, &["status"], 0, &["up to 4 runs waiting"]);
    // One who gives up leaves no gap that anybody waits behind.
    let (_, second) = &waiting[1];
    second.signal(Signal::INT);
    let (_, second) = waiting.remove(1);
    assert_eq!(second.end(DEADLINE).status.code(), Some(130));
    release_command(&holder);
    assert!(running.end(DEADLINE).status.success());
    let logs: Vec<String> = waiting
        .into_iter()
        .map(|(_, waiter)| {
            let ended = waiter.end(DEADLINE);
            assert!(ended.status.success(), "{}", log(&ended));
            log(&ended)
        })
        .collect();
    assert_eq!(std::fs::read_to_string(&order).unwrap(), "0\n2\n3\n");
    assert!(logs[0].contains("next in the queue"), "{}", logs[0]);
    assert!(logs[2].contains("place 4 in the queue"), "{}", logs[2]);
    assert!(
        logs[2].contains("https://github.com/acme/storefront/actions/runs/4711/attempts/2"),
        "{}",
        logs[2]
    );
    // Nothing of the line stays behind.
    assert_eq!(
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &id)),
        None
    );
    assert_eq!(state.lock(), None);
}

#[test]
fn a_dead_ticket_does_not_hold_the_line_up() {
    let state = State::new("dead-ticket");
    let (holder, dead, next) = (state.job(), state.job(), state.job());
    let running = Started::new(&mut verb(
        &state,
        &holder,
        &["run", "--", "sh", "-c", HOLDING],
    ));
    started(&holder);
    let ticket = format!("{}/{}#q/0", state.bucket(), state.key);
    let arguments = [
        "run",
        "--lease",
        "3s",
        "--lock-timeout",
        "10m",
        "--",
        "touch",
        "started",
    ];
    let waiter = Started::new(&mut verb(&state, &dead, &arguments));
    until("it stands in line", DEADLINE, || {
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &ticket))
    });
    waiter.signal(Signal::KILL);
    waiter.end(DEADLINE);
    release_command(&holder);
    assert!(running.end(DEADLINE).status.success());
    // It does not block a run either that waits for less than a ticket's lifetime.
    let hurried = state.job();
    let at_once = ["run", "--lock-timeout", "0s", "--", "touch", "started"];
    ends(&state, &hurried, &at_once, 0, &[]);
    let second = Started::new(&mut verb(&state, &next, &arguments));
    let ended = second.end(DEADLINE);
    assert!(ended.status.success(), "{}", log(&ended));
    assert!(!dead.file("started").exists());
    assert_eq!(
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &ticket)),
        None
    );
}

/// The queue as two waiters leave it at the same moment: a beginning and an end, and nobody in it.
#[test]
fn a_line_that_all_have_left_keeps_nobody_away() {
    let state = State::new("left-line");
    let id = format!("{}/{}#q", state.bucket(), state.key);
    let pointer = json!({"TableName": state.table(), "Item": {
        "LockID": {"S": id}, "Head": {"N": "1"}, "Next": {"N": "3"}}});
    let put = state
        .aws
        .json("dynamodb", "DynamoDB_20120810.PutItem", &pointer);
    wait(DEADLINE, put).unwrap().unwrap();
    let job = state.job();
    let arguments = ["run", "--lock-timeout", "0s", "--", "touch", "started"];
    ends(&state, &job, &arguments, 0, &[]);
    assert!(job.file("started").exists());
    assert_eq!(
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &id)),
        None
    );
}

/// A runner that cancels sends SIGINT, SIGTERM after 7.5 s, and kills the step 2.5 s later.
#[test]
fn one_who_waits_leaves_the_line_though_a_second_signal_comes_while_it_does() {
    let state = alone("cancelled-in-line");
    let (holder, waiter) = (state.job(), state.job());
    let hold = ["run", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &holder, &hold));
    started(&holder);
    let held = state.holder();
    let arguments = ["run", "--lock-timeout", "10m", "--", "touch", "started"];
    let mut waiting = Started::new(&mut verb(&state, &waiter, &arguments));
    let line = format!("{}/{}#q", state.bucket(), state.key);
    let there = |id: &str| wait(DEADLINE, item(&state.aws, state.table(), "LockID", id));
    let ticket = format!("{line}/0");
    until("it stands in line", DEADLINE, || there(&ticket));
    // Leaving takes longer than the runner waits.
    fault(
        &state,
        json!({"service": "dynamodb", "operation": "DeleteItem", "fault": {"kind": "delay", "millis": 9000}}),
    );
    waiting.signal(Signal::INT);
    until("it leaves", DEADLINE, || {
        waiting_faults(&state).is_empty().then_some(())
    });
    assert!(!waiting.ended(), "it did not wait to have left");
    waiting.signal(Signal::TERM);
    let ended = waiting.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(130), "{}", log(&ended));
    assert!(!waiter.file("started").exists());
    assert_eq!((there(&ticket), there(&line)), (None, None));
    assert_eq!(state.holder(), held);
    release_command(&holder);
    assert!(running.end(DEADLINE).status.success());
}

/// A signal may come while the ticket is written or renewed: it stands there, and the step does not
/// know of it yet.
#[test]
fn one_who_is_cancelled_while_its_ticket_is_written_leaves_nothing() {
    for (operation, renewed) in [("TransactWriteItems", false), ("PutItem", true)] {
        let state = alone(&format!("late-{renewed}"));
        let (holder, waiter) = (state.job(), state.job());
        let hold = ["run", "--", "sh", "-c", HOLDING];
        let running = Started::new(&mut verb(&state, &holder, &hold));
        started(&holder);
        let line = format!("{}/{}#q", state.bucket(), state.key);
        let there = |id: &str| wait(DEADLINE, item(&state.aws, state.table(), "LockID", id));
        let ticket = format!("{line}/0");
        let late = json!({"service": "dynamodb", "operation": operation,
                          "fault": {"kind": "late_answer", "millis": 3000}});
        if !renewed {
            fault(&state, late.clone());
        }
        let arguments = [
            "run",
            "--lock-timeout",
            "10m",
            "--lease",
            "20s",
            "--",
            "touch",
            "started",
        ];
        let waiting = Started::new(&mut verb(&state, &waiter, &arguments));
        until("it stands in line", DEADLINE, || there(&ticket));
        if renewed {
            let before = there(&ticket);
            fault(&state, late);
            until("it is renewed", DEADLINE, || {
                (there(&ticket) != before).then_some(())
            });
        }
        waiting.signal(Signal::INT);
        let ended = waiting.end(DEADLINE);
        assert_eq!(ended.status.code(), Some(130), "{}", log(&ended));
        assert!(!waiter.file("started").exists());
        assert_eq!((there(&ticket), there(&line)), (None, None), "{operation}");
        release_command(&holder);
        assert!(running.end(DEADLINE).status.success());
    }
}

/// A waiter that leaves records where the queue begins, so that later ones need not look up every waiter before them.
#[test]
fn one_far_back_in_line_learns_its_place_and_its_turn_from_where_the_line_begins() {
    let state = State::new("far-back");
    let (holder, waiter) = (state.job(), state.job());
    let hold = ["run", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &holder, &hold));
    started(&holder);
    let line = format!("{}/{}#q", state.bucket(), state.key);
    let change = |operation: &str, input: Value| {
        let target = format!("DynamoDB_20120810.{operation}");
        wait(DEADLINE, state.aws.json("dynamodb", &target, &input))
            .unwrap()
            .unwrap();
    };
    let begins = |head: u32, next: u32| {
        let pointer = json!({"LockID": {"S": line}, "Head": {"N": head.to_string()}, "Next": {"N": next.to_string()}});
        change(
            "PutItem",
            json!({"TableName": state.table(), "Item": pointer}),
        );
    };
    // Forty were there before, of whom the last still is.
    begins(0, 40);
    let mut ticket = state.lock().unwrap();
    ticket.as_object_mut().unwrap().remove("Info");
    for (name, value) in [
        ("LockID", json!({"S": format!("{line}/39")})),
        ("Phase", json!({"S": "waiting"})),
        ("LeaseSecs", json!({"N": "600"})),
    ] {
        ticket[name] = value;
    }
    change(
        "PutItem",
        json!({"TableName": state.table(), "Item": ticket}),
    );
    let arguments = [
        "run",
        "--lease",
        "20s",
        "--lock-timeout",
        "10m",
        "--",
        "touch",
        "started",
    ];
    let waiting = Started::new(&mut verb(&state, &waiter, &arguments));
    let own = format!("{line}/40");
    until("it stands in line", DEADLINE, || {
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &own))
    });
    let looked = |id: &str| {
        let calls = wait(DEADLINE, crate::record::calls(state.world));
        let at = |call: &&crate::record::Call| call.is_about(id) && call.operation == "GetItem";
        calls.iter().filter(at).count()
    };
    // Some runs left the queue, so its item names another beginning.
    begins(37, 41);
    let before = looked(&line);
    until("it looks where the line begins", DEADLINE, || {
        (looked(&line) > before + 1).then_some(())
    });
    // The last one goes.
    change(
        "DeleteItem",
        json!({"TableName": state.table(), "Key": {"LockID": {"S": format!("{line}/39")}}}),
    );
    begins(40, 41);
    release_command(&holder);
    assert!(running.end(DEADLINE).status.success());
    let ended = waiting.end(DEADLINE);
    let stderr = log(&ended);
    assert!(ended.status.success(), "{stderr}");
    assert!(stderr.contains("place 4 in the queue"), "{stderr}");
    for gone in 0..39 {
        let id = format!("{line}/{gone}");
        assert_eq!(looked(&id), 0, "it looked for {id}");
    }
}

/// Queued builds that are all stopped leave nobody to wait for, and are not waited for one after the other.
#[test]
fn the_time_of_several_dead_tickets_runs_at_once() {
    let state = State::new("dead-line");
    let (holder, waiter) = (state.job(), state.job());
    let hold = ["run", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &holder, &hold));
    started(&holder);
    let line = format!("{}/{}#q", state.bucket(), state.key);
    let there = |number: u32| {
        let id = format!("{line}/{number}");
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &id))
    };
    let next = [
        "run",
        "--lease",
        "8s",
        "--lock-timeout",
        "10m",
        "--",
        "touch",
        "started",
    ];
    for number in 0..3 {
        let job = state.job();
        let dead = Started::new(&mut verb(&state, &job, &next));
        until("it stands in line", DEADLINE, || there(number));
        dead.signal(Signal::KILL);
        dead.end(DEADLINE);
    }
    let before = wait(DEADLINE, crate::record::calls(state.world)).len();
    let waiting = Started::new(&mut verb(&state, &waiter, &next));
    until("it stands in line", DEADLINE, || there(3));
    release_command(&holder);
    assert!(running.end(DEADLINE).status.success());
    let ended = waiting.end(DEADLINE);
    assert!(ended.status.success(), "{}", log(&ended));
    // The waiter's own: the others are dead, and the test looks as an administrator.
    let calls = wait(DEADLINE, crate::record::calls(state.world)).split_off(before);
    let calls = crate::record::of_steps(calls);
    let when = |operation: &str, number: u32| {
        let id = format!("{line}/{number}");
        calls
            .iter()
            .position(|call| call.operation == operation && call.is_about(&id))
            .unwrap()
    };
    // Those before the last were watched before it was taken out: their leases run at the same time, however slow the
    // machine is.
    for number in [0, 1] {
        assert!(when("GetItem", number) < when("DeleteItem", 2), "{number}");
    }
}

/// Where several leave at once, a line can be taken away under somebody who has just joined it.
#[test]
fn no_two_waiters_get_the_same_number() {
    let state = State::new("same-number");
    let (holder, waiter) = (state.job(), state.job());
    let hold = ["run", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &holder, &hold));
    started(&holder);
    let ticket = |number: u32| format!("{}/{}#q/{number}", state.bucket(), state.key);
    let there = |number: u32| {
        wait(
            DEADLINE,
            item(&state.aws, state.table(), "LockID", &ticket(number)),
        )
    };
    let change = |operation: &str, input: Value| {
        let target = format!("DynamoDB_20120810.{operation}");
        let answer = wait(DEADLINE, state.aws.json("dynamodb", &target, &input));
        answer.unwrap().unwrap();
    };
    let mut standing = state.lock().unwrap();
    standing.as_object_mut().unwrap().remove("Info");
    standing["LockID"] = json!({"S": ticket(0)});
    standing["Phase"] = json!({"S": "waiting"});
    change(
        "PutItem",
        json!({"TableName": state.table(), "Item": standing}),
    );
    let next = ["run", "--lock-timeout", "10m", "--", "touch", "started"];
    let waiting = Started::new(&mut verb(&state, &waiter, &next));
    until("it stands behind that one", DEADLINE, || there(1));
    assert_eq!(there(0), Some(standing));
    release_command(&holder);
    assert!(running.end(DEADLINE).status.success());
    assert!(!waiter.file("started").exists());
    let key = json!({"LockID": {"S": ticket(0)}});
    change(
        "DeleteItem",
        json!({"TableName": state.table(), "Key": key}),
    );
    let ended = waiting.end(DEADLINE);
    assert!(ended.status.success(), "{}", log(&ended));
}

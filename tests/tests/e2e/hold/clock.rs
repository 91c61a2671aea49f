//! Wall clocks that are an hour off, from the start or by a jump, of whoever holds a lock and of whoever waits for it.

use super::*;

/// A command of the job whose clock is wrong by so many seconds, until it jumps.
fn clocked(job: &Job, by: i64, command: &Command) -> Command {
    jump(job, by);
    crate::support::clocked(&job.file("clock"), command)
}

fn jump(job: &Job, by: i64) {
    // A rename is atomic, so a reader never sees half the file.
    std::fs::write(job.file("new"), by.to_string()).unwrap();
    std::fs::rename(job.file("new"), job.file("clock")).unwrap();
}

/// How far off a time is, in whole hours.
fn hours_off(at: OffsetDateTime) -> i64 {
    let off = (at - OffsetDateTime::now_utc()).as_seconds_f64() / 3600.0;
    off.round() as i64
}

const HOUR: i64 = 3600;

#[test]
fn a_wall_clock_that_is_an_hour_off_or_jumps_breaks_no_lock_and_loses_none() {
    // The holder's clock at first and after a jump, and the waiter's.
    let rows = [
        ("ahead", [HOUR, HOUR], [0, 0]),
        ("behind", [-HOUR, -HOUR], [0, 0]),
        ("waiter-ahead", [0, 0], [HOUR, HOUR]),
        ("waiter-behind", [0, 0], [-HOUR, -HOUR]),
        ("apart", [0, HOUR], [0, -HOUR]),
        ("together", [0, -HOUR], [0, HOUR]),
    ];
    std::thread::scope(|scope| {
        for (name, holders, waiters) in rows {
            scope.spawn(move || off(name, holders, waiters));
        }
    });
}

fn off(name: &str, holders: [i64; 2], waiters: [i64; 2]) {
    let state = State::new(&format!("clock-{name}"));
    let (holder, waiter) = (state.job(), state.job());
    let script = format!("{HOLDING}; date +%s > time");
    let hold = ["run", "--lease", "12s", "--", "sh", "-c", &script];
    let hold = verb(&state, &holder, &hold);
    let holding = Started::new(&mut clocked(&holder, holders[0], &hold));
    started(&holder);
    let created = state.holder().unwrap()["Created"]
        .as_str()
        .unwrap()
        .to_owned();
    let created = OffsetDateTime::parse(&created, &Rfc3339).unwrap();
    assert_eq!(hours_off(created) * HOUR, holders[0], "{name}: {created}");

    let script = "date +%s > time";
    let wait_for = [
        "run",
        "--lease",
        "12s",
        "--lock-timeout",
        "10m",
        "--",
        "sh",
        "-c",
        script,
    ];
    let wait_for = verb(&state, &waiter, &wait_for);
    let waiting = Started::new(&mut clocked(&waiter, waiters[0], &wait_for));
    let ticket = format!("{}/{}#q/0", state.bucket(), state.key);
    until("the other stands in line", DEADLINE, || {
        wait(DEADLINE, item(&state.aws, state.table(), "LockID", &ticket))
    });
    // Renewed four times a lease: long enough for whoever thinks that one went by. The clocks jump there and back while
    // the waiter has looked at the same renewal more than once.
    let mut seen = Vec::new();
    until("it is renewed for two leases", DEADLINE, || {
        let rvn = state.lock().map(|lock| lock["Rvn"].clone());
        if !seen.contains(&rvn) {
            seen.push(rvn);
            std::thread::sleep(Duration::from_secs(1));
            let now = seen.len() % 2;
            jump(&holder, holders[now]);
            jump(&waiter, waiters[now]);
        }
        (seen.len() > 8 || waiter.file("time").exists()).then_some(())
    });
    assert!(
        !waiter.file("time").exists(),
        "{name}: it broke a live lock"
    );
    release_command(&holder);
    for (started, job, clock) in [(holding, &holder, holders), (waiting, &waiter, waiters)] {
        let ended = started.end(DEADLINE);
        let stderr = log(&ended);
        assert!(ended.status.success(), "{name}: {stderr}");
        assert!(!stderr.contains("took over"), "{name}: {stderr}");
        let at: i64 = job.read("time").trim().parse().unwrap();
        let at = OffsetDateTime::from_unix_timestamp(at).unwrap();
        assert_eq!(hours_off(at) * HOUR, clock[1], "{name}: {at}");
    }
    assert_eq!(state.lock(), None);
}

/// The release is the first call after the jump, which AWS refuses for its time.
#[test]
fn a_clock_that_jumps_while_the_command_runs_leaves_no_lock() {
    // The last one was wrong, and is set while the command runs.
    for (name, from, by) in [
        ("jump-ahead", 0, HOUR),
        ("jump-behind", 0, -HOUR),
        ("set", HOUR, 0),
    ] {
        for file in [false, true] {
            let state = State::new(&format!("clock-{name}-{file}"));
            let job = state.job();
            let mut hold = vec!["run", "--lease", "10m"];
            if file {
                hold.extend(["--locking", "file"]);
            }
            hold.extend(["--", "sh", "-c", HOLDING]);
            let hold = verb(&state, &job, &hold);
            let holding = Started::new(&mut clocked(&job, from, &hold));
            started(&job);
            jump(&job, by);
            release_command(&job);
            let ended = holding.end(DEADLINE);
            let stderr = log(&ended);
            assert!(ended.status.success(), "{name} {file}: {stderr}");
            assert_eq!(state.lock(), None, "{name}");
            ends(&state, &job, &["status"], 0, &["free"]);
        }
    }
}

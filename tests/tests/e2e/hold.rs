//! The state's hold against real Terraform, DynamoDB Local and S3: leases that are kept, lost and taken over, the line of
//! those who wait, holds that pass from job to job, and the three ways of locking.

mod newer;

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use sandbox::place::port;
use sandbox::runner::story::Story;
use sandbox::world::http_client;
use serde_json::{Value, json};

use crate::cancel::{APPLY, State};
use crate::job::Job;
use crate::support::{PATIENCE, Started, item, log, place, until, wait, world};

const SOON: Duration = Duration::from_secs(90);
/// Runs until the test lets it go.
const HOLDING: &str = "touch started; while [ ! -e go ]; do sleep 0.1; done";

/// A verb about a state, as a person types it.
pub(crate) fn verb(state: &State, job: &Job, arguments: &[&str]) -> Command {
    let (first, rest) = arguments.split_first().unwrap();
    let mut all = vec![
        *first,
        "--bucket",
        state.bucket(),
        "--table",
        state.table(),
        "--key",
        &state.key,
    ];
    all.extend(rest);
    job.command("slipway-state", &all)
}

/// Runs a verb and expects its end.
#[track_caller]
fn ends(state: &State, job: &Job, arguments: &[&str], exit: i32, said: &[&str]) -> String {
    let output = job.run(&mut verb(state, job, arguments));
    let text = format!(
        "{}{}",
        log(&output),
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    for piece in said {
        assert!(
            text.contains(piece),
            "{arguments:?}: no {piece:?} in\n{text}"
        );
    }
    text
}

pub(crate) fn started(job: &Job) {
    until("the command runs", SOON, || {
        job.file("started").exists().then_some(())
    });
}

pub(crate) fn let_go(job: &Job) {
    std::fs::write(job.file("go"), "").unwrap();
}

/// An output of the job's last step that named it.
fn output(job: &Job, name: &str) -> String {
    let text = job.read("output");
    let mut lines = text.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        if line.starts_with(&format!("{name}<<")) {
            found = lines.next();
        }
    }
    found.unwrap().to_owned()
}

/// A job of the same run with another name.
fn job(state: &State, name: &str) -> Job {
    let mut variables = state.world.variables(place());
    variables.extend(state.keys.variables());
    variables.insert("GITHUB_JOB".to_owned(), name.to_owned());
    Job::new(variables)
}

/// The post step of a step that ran `lock`: its inputs, and what it left for it.
fn post(state: &State, job: &Job) -> Command {
    let mut command = job.command("slipway-state", &[]);
    command.envs([
        ("SLIPWAY_PHASE", "post"),
        ("INPUT_COMMAND", "lock"),
        ("INPUT_BUCKET", state.bucket()),
        ("INPUT_TABLE", state.table()),
        ("INPUT_KEY", &state.key),
    ]);
    command.envs(job.state());
    command
}

/// Faults of the gateway for dev's account of the world of these tests.
pub(crate) fn fault(state: &State, body: Value) {
    let account = &state.world.environment("dev").unwrap().account.id;
    let mut body = body;
    body["account"] = json!(account);
    let url = format!("{}/_sandbox/faults", place().url(port::GATEWAY));
    let answer = wait(SOON, async {
        http_client()
            .unwrap()
            .post(&url)
            .json(&body)
            .send()
            .await
            .unwrap()
    });
    assert!(answer.status().is_success(), "{answer:?}");
}

/// The faults of that account which no call has met yet.
pub(crate) fn waiting_faults(state: &State) -> Vec<Value> {
    let account = &state.world.environment("dev").unwrap().account.id;
    let url = format!(
        "{}/_sandbox/faults?account={account}",
        place().url(port::GATEWAY)
    );
    wait(SOON, async {
        let answer = http_client().unwrap().get(&url).send().await.unwrap();
        answer.json().await.unwrap()
    })
}

/// A world of its own: faults strike an account, and others work in the usual one.
pub(crate) fn alone(what: &str) -> State {
    let world: &'static _ = Box::leak(Box::new(wait(PATIENCE, world(what))));
    State::of(world, what)
}

#[test]
fn the_lease_is_renewed_while_the_command_runs_and_terraforms_part_never_changes() {
    let state = State::new("renewed");
    let job = state.job();
    let arguments = ["run", "--lease", "4s", "--", "sh", "-c", HOLDING];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    let first = state.lock().unwrap();
    assert_eq!(first["Phase"]["S"], "running");
    assert_eq!(first["LeaseSecs"]["N"], "4");
    assert_eq!(first["Attempt"]["S"], "acme/storefront/4711/2");
    let later = until("it is renewed", SOON, || {
        state.lock().filter(|later| later["Rvn"] != first["Rvn"])
    });
    assert_eq!(later["Info"], first["Info"]);
    // Nobody else gives back a lock that a command runs under, not by mistake.
    let other = self::job(&state, "other");
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    ends(
        &state,
        &other,
        &["unlock", "--lock-id", &id],
        3,
        &[
            "a command runs under the lock",
            &format!("force-unlock --id {id}"),
        ],
    );
    assert!(state.lock().is_some());
    let_go(&job);
    let ended = running.end(SOON);
    assert!(ended.status.success(), "{}", log(&ended));
    assert_eq!(state.lock(), None);
}

#[test]
fn a_holder_that_died_is_followed_after_its_whole_lease_and_not_before() {
    let state = State::new("died");
    let (dead, next) = (state.job(), state.job());
    let arguments = [
        "run",
        "--lease",
        "6s",
        "--",
        "sh",
        "-c",
        "touch started; exec sleep 300",
    ];
    let running = Started::new(&mut verb(&state, &dead, &arguments));
    started(&dead);
    running.signal(Signal::KILL);
    // It is the guard that ends the command, long before the lease does.
    drop(running);
    let began = std::time::Instant::now();
    let arguments = ["run", "--lock-timeout", "1m", "--", "touch", "started"];
    let text = ends(
        &state,
        &next,
        &arguments,
        0,
        &["took the place of ada", "gave no sign of life for 6 s"],
    );
    assert!(began.elapsed() >= Duration::from_secs(6), "{text}");
    assert!(text.contains("cannot be seen from here"), "{text}");
    assert!(next.file("started").exists());
    assert_eq!(state.lock(), None);
}

#[test]
fn a_command_does_not_outlive_its_run_that_was_killed_alone() {
    let state = State::new("orphan");
    let job = state.job();
    let script = "echo $$ > pid; trap 'echo stopped > how; exit 1' INT; touch started
        for i in $(seq 600); do sleep 0.1; done";
    let arguments = ["run", "--lease", "5s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    running.signal(Signal::KILL);
    until("the command was interrupted", SOON, || {
        (job.read("how").trim() == "stopped").then_some(())
    });
    // What its own job left behind, the job may give back.
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        0,
        &["given back"],
    );
    assert_eq!(state.lock(), None);
}

/// A machine that sleeps, or a debugger: the run itself does nothing while its lease goes by.
#[test]
fn a_run_that_was_stopped_past_its_lease_has_no_command_left_when_the_next_begins() {
    let state = State::new("stopped");
    let (slow, next) = (state.job(), state.job());
    let script = "echo $$ > pid; touch started; trap '' INT
        for i in $(seq 600); do sleep 0.1; date +%s%N > now; mv now alive; done";
    let arguments = ["run", "--lease", "4s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &slow, &arguments));
    started(&slow);
    running.signal(Signal::STOP);
    let arguments = [
        "run",
        "--lock-timeout",
        "1m",
        "--",
        "sh",
        "-c",
        "date +%s%N > began",
    ];
    ends(&state, &next, &arguments, 0, &["took the place of"]);
    let number = |text: String| text.trim().parse::<u128>().unwrap();
    let (alive, began) = (number(slow.read("alive")), number(next.read("began")));
    assert!(alive < began, "the command lived on: {alive} {began}");
    running.signal(Signal::CONT);
    let ended = running.end(SOON);
    assert_eq!(ended.status.code(), Some(137), "{}", log(&ended));
}

#[test]
fn terraforms_force_unlock_stops_the_command_of_the_run_that_held_the_lock() {
    let state = State::new("forced-by-terraform");
    let job = state.job();
    let folder = state.infrastructure("true");
    let script = "trap 'touch interrupted; exit 9' INT; touch started
        for i in $(seq 600); do sleep 0.1; done";
    let arguments = ["run", "--lease", "8s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    let forced =
        Started::new(&mut state.terraform(folder.path(), &["force-unlock", "-force", &id]));
    let forced = forced.end(SOON);
    assert!(forced.status.success(), "{forced:?}");
    let ended = running.end(SOON);
    assert_eq!(ended.status.code(), Some(9), "{}", log(&ended));
    for piece in [
        "was taken away while the command ran",
        "somebody forced lock ID",
    ] {
        assert!(log(&ended).contains(piece), "{}", log(&ended));
    }
}

#[test]
fn terraforms_own_lock_is_removed_only_by_force_and_only_by_the_id_that_was_seen() {
    let state = State::new("foreign");
    let folder = state.infrastructure("touch holding; while [ ! -e go ]; do sleep 0.1; done");
    let apply = Started::new(&mut state.terraform(folder.path(), &APPLY));
    until("terraform applies", SOON, || {
        folder.path().join("holding").exists().then_some(())
    });
    let job = state.job();
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    // However long one waits: nothing proves that Terraform is gone.
    let waiting = [
        "run",
        "--lease",
        "2s",
        "--lock-timeout",
        "6s",
        "--",
        "touch",
        "started",
    ];
    let force = format!("force-unlock --id {id}");
    ends(
        &state,
        &job,
        &waiting,
        4,
        &[
            "Terraform took this lock itself",
            "OperationTypeApply",
            &force,
        ],
    );
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        3,
        &["none of slipway-state's", &force],
    );
    ends(
        &state,
        &job,
        &["force-unlock", "--id", "4711"],
        3,
        &["is not the one with ID 4711", &id],
    );
    assert!(state.lock().is_some());
    ends(
        &state,
        &job,
        &["force-unlock", "--id", &id],
        0,
        &["removed the lock of", &id],
    );
    assert_eq!(state.lock(), None);
    std::fs::write(folder.path().join("go"), "").unwrap();
    apply.end(SOON);
}

/// Go's `json.Marshal` of Terraform's lock information, as OpenTofu makes it of what it has read.
fn marshalled(text: &str) -> String {
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Info {
        #[serde(rename = "ID")]
        id: String,
        operation: String,
        info: String,
        who: String,
        version: String,
        created: String,
        path: String,
    }
    let info: Info = serde_json::from_str(text).unwrap();
    let text = serde_json::to_string(&info).unwrap();
    [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")]
        .into_iter()
        .fold(text, |text, (character, escape)| {
            text.replace(character, escape)
        })
}

/// OpenTofu removes a lock on the condition that its `Info` is what it has read and written again.
#[test]
fn opentofus_conditional_unlock_works_on_our_lock() {
    let state = State::new("tofu");
    let job = state.job();
    let mut lock = verb(&state, &job, &["lock"]);
    let locked = job.run(lock.env("GITHUB_ACTOR", "<ada & \"grace\">"));
    assert!(locked.status.success(), "{}", log(&locked));
    let stored = state.lock().unwrap()["Info"]["S"].clone();
    let info = marshalled(stored.as_str().unwrap());
    assert_eq!(stored, info);
    let id = format!("{}/{}", state.bucket(), state.key);
    let delete = |info: &str| {
        let input = json!({"TableName": state.table(), "Key": {"LockID": {"S": id}},
            "ConditionExpression": "Info = :info", "ExpressionAttributeValues": {":info": {"S": info}}});
        let call = state
            .aws
            .json("dynamodb", "DynamoDB_20120810.DeleteItem", &input);
        wait(SOON, call).unwrap()
    };
    assert!(delete(&info.replace("ada", "eve")).is_err());
    assert!(state.lock().is_some());
    delete(&info).unwrap();
    assert_eq!(state.lock(), None);
}

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
        let arguments = [
            "run",
            "--lease",
            "10s",
            "--lock-timeout",
            "2m",
            "--",
            "sh",
            "-c",
            &script,
        ];
        let one = Started::new(&mut verb(&state, &job, &arguments));
        until("it stands in line", SOON, || {
            let line = wait(SOON, item(&state.aws, state.table(), "LockID", &id))?;
            (line["Next"]["N"] == format!("{}", number + 1).as_str()).then_some(())
        });
        waiting.push((job, one));
    }
    let job = state.job();
    ends(&state, &job, &["status"], 0, &["4 in line at most"]);
    // One who gives up leaves no gap that anybody waits behind.
    let (_, second) = &waiting[1];
    second.signal(Signal::INT);
    let (_, second) = waiting.remove(1);
    assert_eq!(second.end(SOON).status.code(), Some(130));
    let_go(&holder);
    assert!(running.end(SOON).status.success());
    let logs: Vec<String> = waiting
        .into_iter()
        .map(|(_, one)| {
            let ended = one.end(SOON);
            assert!(ended.status.success(), "{}", log(&ended));
            log(&ended)
        })
        .collect();
    assert_eq!(std::fs::read_to_string(&order).unwrap(), "0\n2\n3\n");
    assert!(logs[0].contains("next in line"), "{}", logs[0]);
    assert!(logs[2].contains("place 4 in line"), "{}", logs[2]);
    assert!(
        logs[2].contains("https://github.com/acme/storefront/actions/runs/4711/attempts/2"),
        "{}",
        logs[2]
    );
    // Nothing of the line stays behind.
    assert_eq!(
        wait(SOON, item(&state.aws, state.table(), "LockID", &id)),
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
        "2m",
        "--",
        "touch",
        "started",
    ];
    let one = Started::new(&mut verb(&state, &dead, &arguments));
    until("it stands in line", SOON, || {
        wait(SOON, item(&state.aws, state.table(), "LockID", &ticket))
    });
    one.signal(Signal::KILL);
    one.end(SOON);
    let_go(&holder);
    assert!(running.end(SOON).status.success());
    // Nor does it keep away whoever does not wait for as long as a ticket lives.
    let hurried = state.job();
    let at_once = ["run", "--lock-timeout", "0s", "--", "touch", "started"];
    ends(&state, &hurried, &at_once, 0, &[]);
    let two = Started::new(&mut verb(&state, &next, &arguments));
    let ended = two.end(SOON);
    assert!(ended.status.success(), "{}", log(&ended));
    assert!(!dead.file("started").exists());
    assert_eq!(
        wait(SOON, item(&state.aws, state.table(), "LockID", &ticket)),
        None
    );
}

/// What two leave behind who leave the line in the same moment: where it begins and ends, and nobody in it.
#[test]
fn a_line_that_all_have_left_keeps_nobody_away() {
    let state = State::new("left-line");
    let id = format!("{}/{}#q", state.bucket(), state.key);
    let pointer = json!({"TableName": state.table(), "Item": {
        "LockID": {"S": id}, "Head": {"N": "1"}, "Next": {"N": "3"}}});
    let put = state
        .aws
        .json("dynamodb", "DynamoDB_20120810.PutItem", &pointer);
    wait(SOON, put).unwrap().unwrap();
    let job = state.job();
    let arguments = ["run", "--lock-timeout", "0s", "--", "touch", "started"];
    ends(&state, &job, &arguments, 0, &[]);
    assert!(job.file("started").exists());
    assert_eq!(
        wait(SOON, item(&state.aws, state.table(), "LockID", &id)),
        None
    );
}

/// A hold keeps others away from one key; a command that changes another one needs another lock.
#[test]
fn a_command_is_refused_under_a_lock_that_does_not_cover_it() {
    let state = State::new("uncovered");
    let job = state.job();
    ends(&state, &job, &["lock"], 0, &["told not to lock"]);
    let id = output(&job, "lock-id");
    let under = ["run", "--lock-id", &id, "--", "touch", "started"];
    let refuses = |command: &mut Command, said: &str| {
        let ended = job.run(command);
        assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
        for piece in ["is not the one that this command needs", said] {
            assert!(
                log(&ended).contains(piece),
                "no {piece} in\n{}",
                log(&ended)
            );
        }
        assert!(!job.file("started").exists());
        assert_eq!(state.lock().unwrap()["Phase"]["S"], "kept");
    };
    refuses(
        verb(&state, &job, &under).env("TF_WORKSPACE", "blue"),
        "workspace `blue` has a state of its own",
    );
    std::fs::create_dir(job.file("app")).unwrap();
    std::fs::write(job.file("app/cdktf.json"), "{}").unwrap();
    let mut led = under.to_vec();
    led.extend(["-chdir=app"]);
    refuses(
        &mut verb(&state, &job, &led),
        "an application of cdktf or cdktn has a state for each stack",
    );
    // A plan that was saved for another state. Terraform applies it where the plan says.
    let other = State::new("uncovered-other");
    let folder = other.infrastructure("true");
    let plan = ["plan", "-no-color", "-out=saved"];
    let planned = Started::new(&mut other.terraform(folder.path(), &plan)).end(SOON);
    assert!(planned.status.success(), "{planned:?}");
    let saved = folder.path().join("saved").display().to_string();
    let mut applied = under.to_vec();
    applied.extend([saved.as_str()]);
    let about = format!("the saved plan is for {}/{}", other.bucket(), other.key);
    refuses(&mut verb(&state, &job, &applied), &about);
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        0,
        &["given back"],
    );
    let arguments = ["run", "--lock-timeout", "0s", "--", "ls", &saved];
    ends(&state, &job, &arguments, 0, &["#hold", &about]);
    // The same plan under the lock of its own state.
    ends(&other, &job, &arguments, 0, &["told not to lock"]);
}

/// The cancellation comes while the hold is adopted: nobody waits for a signal just then.
#[test]
fn a_signal_between_two_steps_of_the_work_starts_nothing() {
    let state = alone("between");
    let (keeper, job) = (state.job(), state.job());
    ends(&state, &keeper, &["lock"], 0, &[]);
    let id = output(&keeper, "lock-id");
    fault(
        &state,
        json!({"service": "dynamodb", "operation": "PutItem", "fault": {"kind": "delay", "millis": 4000}}),
    );
    let arguments = ["run", "--lock-id", &id, "--", "touch", "started"];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    // The note to the post step comes before the write.
    until("it adopts", SOON, || {
        (!job.state().is_empty()).then_some(())
    });
    running.signal(Signal::INT);
    let ended = running.end(SOON);
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
    let script = "echo '{\"serial\":1}' > errored.tfstate; touch started; exec sleep 300";
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
    let text = wait(SOON, state.aws.get(&format!("/{kept}"))).unwrap();
    assert_eq!(text.unwrap(), "{\"serial\":1}\n");
    ends(&state, &job, &["force-unlock", "--id", &id], 0, &[]);
    assert_eq!(running.end(SOON).status.code(), None);
}

#[test]
fn a_hold_passes_from_job_to_job_and_each_post_step_knows_whose_it_is() {
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
    let left = plan.run(&mut post(&state, &plan));
    assert_eq!(left.status.code(), Some(0), "{}", log(&left));
    assert!(log(&left).contains("is parked, and left"), "{}", log(&left));
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "parked");
    let text = ends(&state, &other, &["status"], 0, &["parked until"]);
    assert!(text.contains("cannot be seen from here"), "{text}");

    // The other job adopts it; now the first job's post step must not touch it.
    ends(
        &state,
        &apply,
        &["lock", "--lock-id", &id, "--rvn", &rvn],
        0,
        &["is yours"],
    );
    let left = plan.run(&mut post(&state, &plan));
    assert!(log(&left).contains("was adopted by"), "{}", log(&left));
    assert_eq!(state.lock().unwrap()["Job"]["S"], "apply");
    let info = state.lock().unwrap()["Info"].clone();
    ends(
        &state,
        &apply,
        &["run", "--lock-id", &id, "--", "touch", "applied"],
        0,
        &[],
    );
    assert!(apply.file("applied").exists());
    assert_eq!(state.lock().unwrap()["Info"], info);
    ends(
        &state,
        &apply,
        &["unlock", "--lock-id", &id],
        0,
        &["given back"],
    );
    ends(
        &state,
        &apply,
        &["unlock", "--lock-id", &id],
        0,
        &["held by nobody already"],
    );
    assert_eq!(state.lock(), None);
}

#[test]
fn a_kept_hold_is_given_back_by_the_post_step_of_its_job() {
    let state = State::new("kept");
    let job = job(&state, "plan");
    ends(&state, &job, &["lock"], 0, &[]);
    let left = job.run(&mut post(&state, &job));
    assert_eq!(left.status.code(), Some(0), "{}", log(&left));
    assert!(
        log(&left).contains("released the state lock"),
        "{}",
        log(&left)
    );
    assert_eq!(state.lock(), None);
}

/// GitHub says that the run is over, so nobody waits for a lease of an hour.
#[test]
fn a_run_that_github_calls_over_is_followed_at_once_and_one_that_goes_on_never() {
    let state = State::new("over");
    let place = place();
    let (story, run, mine) = wait(PATIENCE, async {
        let story = Story::begin(place, state.world).await.unwrap();
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
    let job = |run: &sandbox::runner::hub::Run, token: bool| {
        let mut variables = state.world.variables(place);
        variables.extend(state.keys.variables());
        for (name, value) in [
            ("GITHUB_REPOSITORY", state.world.repository.clone()),
            ("GITHUB_RUN_ID", run.run_id.to_string()),
            ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
            ("GITHUB_JOB", "dev".to_owned()),
            ("GITHUB_API_URL", place.url(port::GITHUB)),
        ] {
            variables.insert(name.to_owned(), value);
        }
        if token {
            variables.insert("GITHUB_TOKEN".to_owned(), run.token.clone());
        } else {
            variables.remove("GITHUB_TOKEN");
        }
        Job::new(variables)
    };
    let (holder, waiter, blind) = (job(&run, true), job(&mine, true), job(&mine, false));
    ends(&state, &holder, &["lock", "--lease", "1h"], 0, &[]);
    let arguments = ["run", "--lock-timeout", "0s", "--", "touch", "started"];
    ends(&state, &waiter, &arguments, 4, &["of run", "is queued"]);
    ends(
        &state,
        &blind,
        &arguments,
        4,
        &["cannot be seen from here", "no GitHub token"],
    );
    wait(
        SOON,
        story
            .hub
            .finish(&run, "cancelled", &std::collections::BTreeMap::new()),
    )
    .unwrap();
    // The same fact, and nobody who could see it.
    ends(&state, &blind, &arguments, 4, &["cannot be seen from here"]);
    ends(
        &state,
        &waiter,
        &arguments,
        0,
        &["is over: cancelled", "took the place of"],
    );
    assert!(waiter.file("started").exists());
    assert_eq!(state.lock(), None);

    // Parked for another run: whoever parks ends soon, and while people decide nobody takes its place.
    for (conclusion, exit) in [("success", 4), ("failure", 0)] {
        let start = json!({"workflow": ".github/workflows/deliver.yml", "event": "workflow_dispatch",
            "actor": "ada", "workflows": {}});
        let run = wait(SOON, story.hub.start(&start)).unwrap();
        let parker = job(&run, true);
        ends(&state, &parker, &["lock"], 0, &[]);
        let id = output(&parker, "lock-id");
        ends(&state, &parker, &["park", "--lock-id", &id], 0, &[]);
        let jobs = std::collections::BTreeMap::new();
        wait(SOON, story.hub.finish(&run, conclusion, &jobs)).unwrap();
        let over = format!("is over: {conclusion}");
        ends(&state, &waiter, &arguments, exit, &[&over]);
        if exit == 4 {
            ends(&state, &waiter, &["lock", "--lock-id", &id], 0, &[]);
            ends(&state, &waiter, &["unlock", "--lock-id", &id], 0, &[]);
        }
    }
    assert_eq!(state.lock(), None);
    let broken = wait(SOON, story.hub.violations()).unwrap();
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn without_answers_from_dynamodb_the_command_is_stopped_before_the_lease_ends() {
    let state = alone("cut");
    let job = state.job();
    let script = "trap 'date +%s%N > stopped; exit 3' INT; date +%s%N > began; touch started
        for i in $(seq 600); do sleep 0.1; done";
    let arguments = ["run", "--lease", "8s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    fault(
        &state,
        json!({"service": "dynamodb", "operation": "PutItem", "times": 1000, "fault": {"kind": "cut"}}),
    );
    let ended = running.end(SOON);
    assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
    let said = log(&ended);
    assert!(
        said.contains("could not be renewed for half of its lease"),
        "{said}"
    );
    assert!(said.contains("the lock was given back"), "{said}");
    let number = |name: &str| job.read(name).trim().parse::<u64>().unwrap();
    let lived = Duration::from_nanos(number("stopped") - number("began"));
    assert!(lived < Duration::from_secs(8), "{lived:?}");
    assert_eq!(state.lock(), None);
}

/// Each fault strikes the call it is meant for: the take, a renewal, the release.
#[test]
fn throttling_and_lost_answers_cost_no_hold() {
    let state = alone("throttled");
    let job = state.job();
    let refused =
        |code: &str| json!({"kind": "status", "status": 400, "code": code, "message": "slow down"});
    let strikes = |operation: &str, kind: Value, times: u32| {
        fault(
            &state,
            json!({"service": "dynamodb", "operation": operation, "times": times, "fault": kind}),
        );
    };
    let struck = |what: &str| {
        until(what, SOON, || {
            waiting_faults(&state).is_empty().then_some(())
        });
    };
    let lost = || json!({"kind": "lost_answer"});
    strikes("PutItem", lost(), 1);
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
        strikes("PutItem", kind, 1);
        struck("a renewal was struck");
        until("it is renewed all the same", SOON, || {
            state.lock().filter(|lock| lock["Rvn"] != before)
        });
    }
    for kind in [
        lost(),
        refused("ProvisionedThroughputExceededException"),
        refused("RequestLimitExceeded"),
    ] {
        strikes("DeleteItem", kind, 1);
    }
    let_go(&job);
    let ended = running.end(SOON);
    assert!(ended.status.success(), "{}", log(&ended));
    struck("the release was struck");
    assert!(!log(&ended).contains("taken away"), "{}", log(&ended));
    assert_eq!(state.lock(), None);
}

#[test]
fn a_state_that_terraform_could_not_write_is_rescued_and_keeps_its_lock() {
    let state = alone("rescued");
    let job = state.job();
    let faults = format!("{}/_sandbox/faults", place().url(port::GATEWAY));
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
    let bin = place().bin().display().to_string();
    let arguments = ["run", "--", "sh", "-c", &script];
    let mut command = verb(&state, &job, &arguments);
    command
        .env(
            "PATH",
            format!("{bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        )
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1");
    let failed = job.run(&mut command);
    let said = log(&failed);
    assert_eq!(failed.status.code(), Some(1), "{said}");
    for piece in [
        "the state could not be written",
        "rescued to s3://",
        "is kept, so that nothing else runs",
        "state push",
    ] {
        assert!(said.contains(piece), "no {piece} in\n{said}");
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

    // Neither somebody's mistake nor a repair that failed, or died, makes it a usual lock again.
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        3,
        &["stays until its state is repaired", "state push"],
    );
    let failed = ["run", "--lock-id", &id, "--lease", "3s", "--", "false"];
    ends(
        &state,
        &job,
        &failed,
        1,
        &["stays until its state is repaired"],
    );
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "needs-repair");
    assert_eq!(state.lock().unwrap()["Rescued"]["S"], place_of);
    let died = [
        "run",
        "--lock-id",
        &id,
        "--lease",
        "3s",
        "--",
        "sh",
        "-c",
        HOLDING,
    ];
    let running = Started::new(&mut verb(&state, &job, &died));
    started(&job);
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "repairing");
    running.signal(Signal::KILL);
    assert_eq!(running.end(SOON).status.code(), None);
    ends(
        &state,
        &state.job(),
        &["run", "--lock-timeout", "5s", "--", "true"],
        4,
        &["a command repairs its state"],
    );

    // The way back that the message names, once the command that died was silent for its lease.
    let push = [
        "run",
        "--lock-id",
        &id,
        "--",
        "terraform",
        "state",
        "push",
        "errored.tfstate",
    ];
    let mut command = verb(&state, &job, &push);
    command
        .env("PATH", &bin)
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1");
    let pushed = job.run(&mut command);
    assert!(pushed.status.success(), "{}", log(&pushed));
    let said = log(&pushed);
    assert!(
        said.contains("watching for 3 s whether that command lives"),
        "{said}"
    );
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "kept");
    assert!(state.lock().unwrap().get("Rescued").is_none());
    let mut command = verb(
        &state,
        &job,
        &[
            "run",
            "--lock-id",
            &id,
            "--",
            "terraform",
            "output",
            "-no-color",
        ],
    );
    command
        .env("PATH", &bin)
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1");
    assert!(job.run(&mut command).status.success());
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        0,
        &["given back"],
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
        &["nobody can tell whether these credentials last"],
    );
    assert!(!job.file("started").exists());
    assert_eq!(state.lock(), None);
}

/// `.tflock` alone, and beside the table.
mod object {
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

    fn object(state: &State) -> Option<Value> {
        let path = format!("/{}/{}.tflock", state.bucket(), state.key);
        let answer = wait(SOON, state.aws.get(&path)).unwrap();
        answer.ok().map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn terraform_and_we_respect_one_another_through_the_object() {
        for locking in ["file", "both"] {
            let state = State::new(&format!("object-{locking}"));
            let folder = state.infrastructure_locking(
                "touch holding; while [ ! -e go ]; do sleep 0.1; done",
                locking,
            );
            let job = state.job();
            let running = Started::new(&mut verb(&state, &job, &with(locking, HOLDING)));
            started(&job);
            let held = object(&state).unwrap();
            assert_eq!(held["Slipway"]["Phase"], "running");
            assert_eq!(state.lock().is_some(), locking == "both");
            let refused = Started::new(&mut state.terraform(folder.path(), &APPLY)).end(SOON);
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
            let_go(&job);
            let ended = running.end(SOON);
            assert!(ended.status.success(), "{}", log(&ended));
            assert_eq!(object(&state), None);
            assert_eq!(state.lock(), None);

            let apply = Started::new(&mut state.terraform(folder.path(), &APPLY));
            until("terraform applies", SOON, || {
                folder.path().join("holding").exists().then_some(())
            });
            let id = object(&state).unwrap()["ID"].as_str().unwrap().to_owned();
            let job = state.job();
            ends(
                &state,
                &job,
                &with(locking, "touch started"),
                4,
                &["OperationTypeApply", &id, "force-unlock --id"],
            );
            assert!(!job.file("started").exists());
            ends(
                &state,
                &job,
                &["force-unlock", "--locking", locking, "--id", &id],
                0,
                &[&id],
            );
            assert_eq!(object(&state), None);
            assert_eq!(state.lock(), None);
            std::fs::write(folder.path().join("go"), "").unwrap();
            apply.end(SOON);
        }
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
                .end(SOON);
        assert!(forced.status.success(), "{forced:?}");
        assert_eq!(object(&state), None);
    }

    #[test]
    fn an_object_that_died_with_its_run_is_followed_after_its_lease() {
        let state = State::new("object-died");
        let (dead, next) = (state.job(), state.job());
        let arguments = [
            "run",
            "--locking",
            "file",
            "--lease",
            "4s",
            "--",
            "sh",
            "-c",
            "echo $$ > pid; touch started; exec sleep 300",
        ];
        let running = Started::new(&mut verb(&state, &dead, &arguments));
        started(&dead);
        running.signal(Signal::KILL);
        let pid: i32 = dead.read("pid").trim().parse().unwrap();
        let _ = kill_process_group(Pid::from_raw(pid).unwrap(), Signal::KILL);
        drop(running);
        let arguments = [
            "run",
            "--locking",
            "file",
            "--lease",
            "4s",
            "--lock-timeout",
            "1m",
            "--",
            "touch",
            "started",
        ];
        ends(
            &state,
            &next,
            &arguments,
            0,
            &["took the place of", "no sign of life for 4 s"],
        );
        assert_eq!(object(&state), None);
    }

    #[test]
    fn half_a_lock_is_found_and_does_not_last() {
        let state = State::new("half");
        let (dead, job) = (state.job(), state.job());
        let arguments = [
            "run",
            "--locking",
            "both",
            "--lease",
            "3s",
            "--",
            "sh",
            "-c",
            "touch started; exec sleep 300",
        ];
        let running = Started::new(&mut verb(&state, &dead, &arguments));
        started(&dead);
        running.signal(Signal::KILL);
        drop(running);
        // Somebody who knows of the table alone takes its half away.
        let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
        ends(&state, &job, &["force-unlock", "--id", &id], 0, &[]);
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
            &["can be locked with file"],
        );
        // Whoever was not told is stopped, and told.
        let stopped = Started::new(&mut state.terraform(old.path(), &APPLY)).end(SOON);
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
            &["was moved already"],
        );
        ends(
            &state,
            &job,
            &["move-lock", "--to", "dynamodb"],
            0,
            &["can be locked with dynamodb"],
        );
        let applied = Started::new(&mut state.terraform(old.path(), &APPLY)).end(SOON);
        assert!(applied.status.success(), "{applied:?}");
        assert_eq!(state.lock(), None);
    }
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
    let bin = place().bin().display().to_string();
    let script = "terraform init -no-color >&2; terraform apply -auto-approve -no-color >&2";
    let mut command = verb(&state, &job, &["run", "--", "/bin/sh", "-ec", script]);
    command
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_WORKSPACE", "blue");
    let ended = job.run(&mut command);
    assert!(ended.status.success(), "{}", log(&ended));
    for piece in ["#hold", "since workspace `blue` has a state of its own"] {
        assert!(log(&ended).contains(piece), "{}", log(&ended));
    }
    assert_eq!(state.lock(), None);
}

/// As GitHub's runner cancels: SIGINT, and SIGTERM 7.5 s later, while Terraform is at work.
#[test]
fn a_cancelled_apply_writes_its_state_and_gives_the_lock_back() {
    let state = State::new("cancelled-apply");
    let job = state.job();
    std::fs::write(
        job.file("main.tf"),
        "terraform {\n  backend \"s3\" {}\n}\n
         resource \"terraform_data\" \"first\" {\n  provisioner \"local-exec\" {\n    command = \"touch started; trap '' INT TERM; sleep 12\"\n  }\n}\n
         resource \"terraform_data\" \"second\" {\n  depends_on = [terraform_data.first]\n}\n",
    )
    .unwrap();
    let bin = place().bin().display().to_string();
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
    let ended = running.end(SOON);
    let said = log(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(!said.contains("Two interrupts received"), "{said}");
    assert!(said.contains("the lock was given back"), "{said}");
    assert_eq!(state.lock(), None);
    let path = format!("/{}/{}", state.bucket(), state.key);
    let text = wait(SOON, state.aws.get(&path)).unwrap().unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["resources"][0]["name"], "first", "{text}");
    assert_eq!(written["resources"].as_array().unwrap().len(), 1, "{text}");
}

//! Terraform and OpenTofu beside us: each respects the other's lock, and each can be forced by the ID alone.

use super::*;

#[test]
fn terraforms_force_unlock_stops_the_command_of_the_run_that_held_the_lock() {
    let state = State::new("forced-by-terraform");
    let job = state.job();
    let folder = state.infrastructure("true");
    let script = "trap ': > interrupted; exit 9' INT; : > started
        for i in $(seq 6000); do sleep 0.1; done";
    let arguments = ["run", "--lease", "20s", "--", "sh", "-c", script];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    let forced =
        Started::new(&mut state.terraform(folder.path(), &["force-unlock", "-force", &id]));
    let forced = forced.end(DEADLINE);
    assert!(forced.status.success(), "{forced:?}");
    let ended = running.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(9), "{}", log(&ended));
    for piece in [
        "was removed while the command ran",
        "nobody holds it now: lock ID",
    ] {
        assert!(log(&ended).contains(piece), "{}", log(&ended));
    }
}

/// The holder renews the lock between the look of `force-unlock` and its removal.
#[test]
fn a_lock_that_is_renewed_meanwhile_is_removed_by_its_id() {
    let state = alone("forced-renewed");
    let job = state.job();
    let script = "trap 'exit 9' INT; : > started; for i in $(seq 6000); do sleep 0.1; done";
    let arguments = ["run", "--lease", "6s", "--", "bash", "-c", script];
    let running = Started::new(&mut verb(&state, &job, &arguments));
    started(&job);
    let id = state.holder().unwrap()["ID"].as_str().unwrap().to_owned();
    let late = json!({"service": "dynamodb", "operation": "GetItem", "times": 1,
        "fault": {"kind": "late_answer", "millis": 4000}});
    fault(&state, late);
    let forced = ["force-unlock", "--lock-id", &id];
    ends(&state, &job, &forced, 0, &["removing the lock of"]);
    let ended = running.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(9), "{}", log(&ended));
    assert!(
        log(&ended).contains("was removed while the command ran"),
        "{}",
        log(&ended)
    );
}

#[test]
fn terraforms_own_lock_is_removed_only_by_force_and_only_by_the_id_that_was_seen() {
    let state = State::new("foreign");
    let folder = state.infrastructure(": > holding; while [ ! -e go ]; do sleep 0.1; done");
    let apply = Started::new(&mut state.terraform(folder.path(), &APPLY));
    until("terraform applies", DEADLINE, || {
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
    let force = format!("force-unlock --lock-id {id}");
    ends(
        &state,
        &job,
        &waiting,
        4,
        &[
            "Terraform acquired this lock itself",
            "OperationTypeApply",
            &force,
        ],
    );
    ends(
        &state,
        &job,
        &["unlock", "--lock-id", &id],
        3,
        &["was not taken by slipway-state", &force],
    );
    ends(
        &state,
        &job,
        &["force-unlock", "--lock-id", "4711"],
        3,
        &["is not the one with ID 4711", &id],
    );
    assert!(state.lock().is_some());
    ends(
        &state,
        &job,
        &["force-unlock", "--lock-id", &id],
        0,
        &["removed the lock of", &id],
    );
    assert_eq!(state.lock(), None);
    std::fs::write(folder.path().join("go"), "").unwrap();
    apply.end(DEADLINE);
}

/// A script wrote the item: the status says how to remove an item without an ID.
#[test]
fn a_lock_without_an_id_is_removed_as_its_status_says() {
    let state = State::new("nameless");
    let job = state.job();
    let id = format!("{}/{}", state.bucket(), state.key);
    for info in [None, Some("not JSON"), Some(r#"{"Who":"a script"}"#)] {
        let mut item = json!({"LockID": {"S": id}});
        if let Some(info) = info {
            item["Info"] = json!({"S": info});
        }
        let input = json!({"TableName": state.table(), "Item": item});
        let call = state
            .aws
            .json("dynamodb", "DynamoDB_20120810.PutItem", &input);
        wait(DEADLINE, call).unwrap().unwrap();
        let typed = "force-unlock --lock-id \"\" --region";
        let status = job.run(&mut verb(&state, &job, &["status"]));
        let stdout = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(stdout.contains(typed), "{info:?}: {stdout}");
        let busy = ["run", "--lock-timeout", "0s", "--", "true"];
        ends(&state, &job, &busy, 4, &[typed]);
        let other = ["force-unlock", "--lock-id", "4711"];
        ends(&state, &job, &other, 3, &["give --lock-id \"\""]);
        let force = ["force-unlock", "--lock-id", ""];
        ends(&state, &job, &force, 0, &["removed the lock of"]);
        assert_eq!(state.lock(), None);
    }
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
        wait(DEADLINE, call).unwrap()
    };
    assert!(delete(&info.replace("ada", "eve")).is_err());
    assert!(state.lock().is_some());
    delete(&info).unwrap();
    assert_eq!(state.lock(), None);
}

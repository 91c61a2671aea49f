//! The tests' instructions to the sandbox's gateway, above all which calls to AWS fail.

use std::process::Command;

use sandbox::instance::port;
use sandbox::world::http_client;
use serde_json::{Value, json};

use crate::support::{Started, TIMEOUT, instance, until, wait};

/// How long a call hangs during which a step is killed.
pub(crate) const HANGS: u64 = 3_600_000;

fn url(path: &str) -> String {
    format!("{}/_sandbox/{path}", instance().url(port::GATEWAY))
}

/// Tells the gateway something over its control interface.
pub(crate) fn tell(path: &str, body: &Value) {
    wait(TIMEOUT, async {
        let http = http_client().unwrap();
        let answer = http.post(url(path)).json(body).send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap()
        );
    });
}

/// The faults that no call of the account has met yet.
pub(crate) fn waiting_faults(account: &str) -> Vec<Value> {
    let url = url(&format!("faults?account={account}"));
    wait(TIMEOUT, async {
        let answer = http_client().unwrap().get(&url).send().await.unwrap();
        answer.json().await.unwrap()
    })
}

/// Takes back the account's faults that no call has met yet.
pub(crate) fn clear_faults(account: &str) {
    let url = url(&format!("faults?account={account}"));
    let answer = wait(TIMEOUT, async {
        http_client().unwrap().delete(&url).send().await.unwrap()
    });
    assert!(answer.status().is_success(), "{answer:?}");
}

/// Kills a step while it waits for the answer to its first call of an operation.
pub(crate) fn killed(account: &str, service: &str, operation: &str, command: &mut Command) {
    tell(
        "faults",
        &json!({"service": service, "operation": operation, "account": account,
                "times": 1, "fault": {"kind": "delay", "millis": HANGS}}),
    );
    let mut started = Started::new(command);
    until(operation, TIMEOUT, || {
        assert!(!started.ended(), "it ended before {operation}");
        waiting_faults(account).is_empty().then_some(())
    });
    started.kill();
}

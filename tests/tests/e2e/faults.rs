//! Calls to AWS that fail at each point of a hold: the connection is cut before the call or after it, or taken and never
//! answered, once or for good.
//! Whatever fails, everything ends, with the right exit code, never two hold the lock, and it is free within a lease.

use std::process::Command;
use std::time::Duration;

use sandbox::instance::port;
use serde_json::{Value, json};

use crate::cancel::State;
use crate::gateway;
use crate::hold::{alone, fault, verb, waiting_faults};
use crate::job::Job;
use crate::support::{Started, instance, item, log, until, wait};

const DEADLINE: Duration = Duration::from_secs(240);
/// The connection breaks, or it is taken and nothing ever comes.
const KINDS: [&str; 3] = ["cut", "lost_answer", "hang"];

/// A lease whose end a test can wait for.
const SHORT: &str = "6s";

/// Reports another process inside, stays until `go` exists, and stops on a signal.
const WORK: &str = r#"
alive() { s=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null); [ -n "$s" ] && [ "$s" != Z ] && [ "$s" != X ]; }
trap 'exit 9' INT
other=$(cat "$ROW/inside" 2>/dev/null || true)
if [ -n "$other" ] && alive "$other"; then touch "$ROW/overlap"; fi
echo $$ > "$ROW/inside"
touch "$ROW/started"
until [ -e "$ROW/go" ]; do sleep 0.05; done
"#;

/// A way of locking, and the services that it calls.
const WAYS: [(&str, &[&str]); 3] = [
    ("dynamodb", &["dynamodb"]),
    ("file", &["s3"]),
    ("both", &["dynamodb", "s3"]),
];

/// The operations of a service that a hold calls, beside those on the state itself.
fn operations(service: &str) -> &'static [&'static str] {
    match service {
        "dynamodb" => &["PutItem", "GetItem", "DeleteItem"],
        _ => &["PutObject", "GetObject", "DeleteObject"],
    }
}

/// One state, one folder, and a command that ends once `go` exists.
struct Row {
    state: State,
    locking: &'static str,
    folder: tempfile::TempDir,
}

impl Row {
    fn new(world: &State, locking: &'static str, name: &str) -> Self {
        Self {
            state: State::of(world.world, name),
            locking,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, job: &Job, lease: &str, timeout: &str) -> Command {
        let arguments = [
            "run",
            "--locking",
            self.locking,
            "--lease",
            lease,
            "--lock-timeout",
            timeout,
            "--",
            "/bin/sh",
            "-ec",
            WORK,
        ];
        let mut command = verb(&self.state, job, &arguments);
        command.env("ROW", self.folder.path());
        command
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn release(&self) {
        std::fs::write(self.file("go"), "").unwrap();
    }

    /// The next run gets the lock, and no other run is inside.
    fn is_free(&self, name: &str) {
        let job = self.state.job();
        let ended = job.run(&mut self.run(&job, "3m", "1m"));
        assert!(ended.status.success(), "{name}: {}", log(&ended));
        assert!(!self.file("overlap").exists(), "{name}: two were inside");
        self.is_gone(name);
    }

    fn is_gone(&self, name: &str) {
        assert_eq!(self.state.lock(), None, "{name}");
        let queue = format!("{}/{}#q", self.state.bucket(), self.state.key);
        let line = item(&self.state.aws, self.state.table(), "LockID", &queue);
        assert_eq!(wait(DEADLINE, line), None, "{name}");
        let object = format!("/{}/{}.tflock", self.state.bucket(), self.state.key);
        let object = wait(DEADLINE, self.state.aws.get(&object)).unwrap();
        assert!(object.is_err(), "{name}: {object:?}");
    }
}

fn add_fault(state: &State, service: &str, operation: Option<&str>, kind: &str, times: u32) {
    let kind = match kind {
        "hang" => json!({"kind": "delay", "millis": 3_600_000}),
        kind => json!({"kind": kind}),
    };
    let mut body = json!({"service": service, "times": times, "fault": kind});
    if let Some(operation) = operation {
        body["operation"] = json!(operation);
    }
    fault(state, body);
}

/// The network is back.
fn clear_faults(state: &State) {
    gateway::clear_faults(&state.world.environment("dev").unwrap().account.id);
}

/// Runs the test for each way of locking concurrently, each in a world of its own.
fn for_each_locking(
    name: &str,
    test: impl Fn(&State, &'static str, &'static [&'static str]) + Sync,
) {
    std::thread::scope(|scope| {
        for (locking, services) in WAYS {
            let test = &test;
            scope.spawn(move || test(&alone(&format!("{name}-{locking}")), locking, services));
        }
    });
}

#[test]
fn a_call_that_fails_once_costs_neither_the_command_nor_the_lock() {
    for_each_locking("once", |world, locking, services| {
        for service in services {
            for operation in operations(service) {
                for kind in KINDS {
                    let name = format!("{locking}-{service}-{operation}-{kind}");
                    let row = Row::new(world, locking, &name);
                    row.release();
                    add_fault(&row.state, service, Some(operation), kind, 1);
                    if *operation == "GetObject" {
                        // A hold remembers what it wrote. It looks only if it does not know whether it wrote.
                        add_fault(&row.state, service, Some("PutObject"), "lost_answer", 1);
                    }
                    let job = row.state.job();
                    let ended = job.run(&mut row.run(&job, "3m", "0s"));
                    assert!(ended.status.success(), "{name}: {}", log(&ended));
                    let waiting = waiting_faults(&row.state);
                    assert_eq!(waiting, Vec::<Value>::new(), "{name}: nothing was struck");
                    row.is_gone(&name);
                }
            }
        }
    });
}

#[test]
fn without_the_network_everything_ends_and_the_lock_is_free_within_a_lease() {
    for_each_locking("cut", |world, locking, services| {
        for kind in KINDS {
            // From the start on: there is no hold.
            let name = format!("{locking}-{kind}-start");
            let row = Row::new(world, locking, &name);
            for service in services {
                add_fault(&row.state, service, None, kind, 10_000);
            }
            let job = row.state.job();
            let ended = job.run(&mut row.run(&job, SHORT, "0s"));
            assert_eq!(ended.status.code(), Some(1), "{name}: {}", log(&ended));
            assert!(!row.file("started").exists(), "{name}");
            clear_faults(&row.state);
            row.release();
            row.is_free(&name);

            // In the middle: the command is stopped before the next can begin.
            let name = format!("{locking}-{kind}-middle");
            let row = Row::new(world, locking, &name);
            let job = row.state.job();
            let running = Started::new(&mut row.run(&job, SHORT, "0s"));
            until("the command runs", DEADLINE, || {
                row.file("started").exists().then_some(())
            });
            for service in services {
                add_fault(&row.state, service, None, kind, 10_000);
            }
            let ended = running.end(DEADLINE);
            assert_eq!(ended.status.code(), Some(9), "{name}: {}", log(&ended));
            let stderr = log(&ended);
            assert!(stderr.contains("could not be renewed"), "{name}: {stderr}");
            clear_faults(&row.state);
            row.release();
            row.is_free(&name);
        }
    });
}

/// Terraform's own calls are struck as well, and ours between them.
#[test]
fn plan_and_apply_go_through_a_call_that_fails_once() {
    for_each_locking("governed", |world, locking, services| {
        // How long Terraform waits for an answer is its own affair.
        for kind in ["cut", "lost_answer"] {
            let name = format!("{locking}-{kind}");
            let row = Row::new(world, locking, &name);
            let job = row.state.job();
            // The state is written under faults too: the apply itself asks for them.
            let asks: Vec<String> = faults(&row.state, services, kind)
                .iter()
                .map(|fault| format!("curl -fsS -X POST -H 'content-type: application/json' -d '{fault}' {}/_sandbox/faults", instance().url(port::GATEWAY)))
                .collect();
            write(&job, &asks.join(" && "));
            for body in faults(&row.state, services, kind) {
                fault(&row.state, body);
            }
            let planned = governed(&row, &job, &["plan", "--json"]);
            let plan: Value = serde_json::from_slice(&planned.stdout).unwrap();
            clear_faults(&row.state);
            row.is_gone(&name);
            let plan = plan["plan"].as_str().unwrap();
            governed(&row, &job, &["apply", "--plan", plan]);
            clear_faults(&row.state);
            row.is_gone(&name);
            let path = format!("/{}/{}", row.state.bucket(), row.state.key);
            let state = wait(DEADLINE, row.state.aws.get(&path)).unwrap().unwrap();
            let state: Value = serde_json::from_str(&state).unwrap();
            assert_eq!(state["resources"].as_array().unwrap().len(), 1, "{name}");
        }
    });
}

/// One fault for each operation of the services.
fn faults(state: &State, services: &[&str], kind: &str) -> Vec<Value> {
    let account = &state.world.environment("dev").unwrap().account.id;
    services
        .iter()
        .flat_map(|service| {
            operations(service).iter().map(move |operation| {
                json!({"service": service, "operation": operation, "account": account,
                    "times": 1, "fault": {"kind": kind}})
            })
        })
        .collect()
}

fn write(job: &Job, provisioner: &str) {
    let code = format!(
        "terraform {{\n  backend \"s3\" {{}}\n}}\nresource \"terraform_data\" \"it\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n",
        json!(provisioner)
    );
    std::fs::write(job.file("main.tf"), code).unwrap();
}

#[track_caller]
fn governed(row: &Row, job: &Job, arguments: &[&str]) -> std::process::Output {
    let commit = "4711".repeat(10);
    let mut all = arguments.to_vec();
    all.extend(["--locking", row.locking, "--commit", &commit]);
    let mut command = verb(&row.state, job, &all);
    command
        .env("HOME", job.file(""))
        .env("CHECKPOINT_DISABLE", "1");
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        instance().bin().display()
    );
    let ended = job.run(command.env("PATH", path));
    assert!(
        ended.status.success(),
        "{arguments:?} {}: {}",
        row.locking,
        log(&ended)
    );
    ended
}

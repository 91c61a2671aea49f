//! An application of two stacks, synthesised and deployed by cdktn under the lock: each stack keeps a state of its own.

use serde_json::{Value, json};

use super::{DEADLINE, Governed};
use crate::job::Job;
use crate::support::{Started, TIMEOUT, heavy, instance, log, until, wait};

const APPLICATION: &str = r#"
const { App, DataResource, S3Backend, TerraformOutput, TerraformStack, TerraformVariable } = require("cdktn");

class Stack extends TerraformStack {
  constructor(app, name, provisioners) {
    super(app, name);
    // Bucket, region and table come from the step; the key is the stack's own.
    new S3Backend(this, { bucket: "given-by-the-step", key: `${process.env.STACKS}/${name}.tfstate` });
    const environment = new TerraformVariable(this, "environment", { type: "string" });
    const it = new DataResource(this, "it", { input: `${environment.stringValue}-${name}`, provisioners });
    new TerraformOutput(this, "name", { value: it.output });
  }
}

const app = new App();
const wait = "touch ../../../started; while [ ! -e ../../../go ]; do sleep 0.1; done";
const network = new Stack(app, "network", [{ type: "local-exec", command: wait }]);
const service = new Stack(app, "service");
service.addDependency(network);
app.synth();
"#;

fn application(state: &Governed) -> Job {
    let bin = instance().cdktn().join("node_modules/.bin");
    let path = format!(
        "{}:{}",
        bin.display(),
        state.world.variables(instance())["PATH"]
    );
    let job = state.job_with(
        "shop.example",
        &[
            ("PATH", &path),
            ("CI", "1"),
            ("CHECKPOINT_DISABLE", "1"),
            ("DISABLE_VERSION_CHECK", "1"),
            ("STACKS", &state.key),
        ],
    );
    std::fs::remove_file(job.file("infra/main.tf")).unwrap();
    std::fs::write(job.file("infra/main.js"), APPLICATION).unwrap();
    let project = json!({"language": "typescript", "app": "node main.js", "projectId": "two", "sendCrashReports": "false"});
    std::fs::write(job.file("infra/cdktf.json"), project.to_string()).unwrap();
    let modules = instance().cdktn().join("node_modules");
    std::os::unix::fs::symlink(modules, job.file("infra/node_modules")).unwrap();
    job
}

fn deploy(state: &Governed, job: &Job, timeout: &str) -> Started {
    let script = "cdktn deploy --auto-approve network service";
    let mut step = state.step(
        job,
        &["run", "--override-backend", "--lock-timeout", timeout],
    );
    step.args(["--", "bash", "-euo", "pipefail", "-c", script]);
    step.env("HOME", job.file("home"));
    Started::new(&mut step)
}

#[test]
fn two_stacks_are_deployed_under_one_hold_into_states_of_their_own() {
    let _turn = heavy();
    sandbox::install::cdktn(instance()).unwrap();
    let state = Governed::new("stacks");
    let (first, second) = (application(&state), application(&state));
    let mut deploying = deploy(&state, &first, "0s");
    let made = || first.file("infra/started").exists();
    until("the first stack is being made", TIMEOUT, || {
        (made() || deploying.ended()).then_some(())
    });
    if !made() {
        let ended = deploying.end(DEADLINE);
        let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
        panic!("{}{printed}", log(&ended));
    }
    // A run that starts now does not get the lock between the stacks.
    let other = deploy(&state, &second, "0s").end(DEADLINE);
    assert_eq!(other.status.code(), Some(4), "{}", log(&other));
    std::fs::write(first.file("infra/go"), "").unwrap();
    let deployed = deploying.end(TIMEOUT);
    let output = format!(
        "{}{}",
        log(&deployed),
        String::from_utf8_lossy(&deployed.stdout)
    );
    assert!(deployed.status.success(), "{output}");
    assert!(
        output.contains("locks for itself: it works on s3://"),
        "{output}"
    );
    assert_eq!(state.item(""), None, "the lock was released");

    let states = || {
        ["network", "service"].map(|name| {
            let path = format!("/{}/{}/{name}.tfstate", state.bucket(), state.key);
            let text = wait(DEADLINE, state.aws.get(&path)).unwrap().unwrap();
            let found: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(found["outputs"]["name"]["value"], format!("dev-{name}"));
            assert_eq!(found["resources"].as_array().unwrap().len(), 1, "{text}");
            found["resources"][0]["instances"][0]["attributes"]["id"].clone()
        })
    };
    let made = states();
    let own = format!("/{}/{}", state.bucket(), state.key);
    let none = wait(DEADLINE, state.aws.get(&own)).unwrap();
    assert_eq!(
        none.unwrap_err().status,
        404,
        "nothing under the contract's key"
    );

    // Again: nothing to do, and nothing is destroyed.
    std::fs::write(second.file("infra/go"), "").unwrap();
    let again = deploy(&state, &second, "1m").end(TIMEOUT);
    let output = format!("{}{}", log(&again), String::from_utf8_lossy(&again.stdout));
    assert!(again.status.success(), "{output}");
    assert_eq!(states(), made, "the same resources as before");
}

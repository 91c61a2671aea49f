//! A state in another account than the environment's: bucket and table are in the build account, and the
//! infrastructure in dev's.

use sandbox::world::States;
use sandbox::world::aws::Aws;
use serde_json::Value;

use super::{DEADLINE, Governed};
use crate::job::Job;
use crate::support::{TIMEOUT, instance, item, log, wait};

/// A state in the build account, and an administrator of that account.
struct BuildAccountState {
    state: Governed,
    build: Aws,
    states: States,
}

impl BuildAccountState {
    fn new(name: &str) -> Self {
        let state = Governed::new(name);
        let dev = state.world.environment("dev").unwrap();
        wait(TIMEOUT, async {
            Self {
                states: state.world.states(instance(), dev, name).await.unwrap(),
                build: state
                    .world
                    .administrator(instance(), &state.world.build)
                    .await
                    .unwrap(),
                state,
            }
        })
    }

    /// A checkout whose contract says where the state is, with `more` of it.
    fn job(&self, more: &str) -> Job {
        let job = self.state.job("one.example");
        let text = job.read("delivery.yaml");
        let States { bucket, key, .. } = &self.states;
        let state = format!(
            "state: {{key: {}, bucket: {bucket}, account: var:BUILD_ACCOUNT_ID, kms-key-id: \"{key}\"{more}}}",
            self.state.key
        );
        let text: Vec<&str> = text
            .lines()
            .map(|line| match line.starts_with("state: ") {
                true => state.as_str(),
                false => line,
            })
            .collect();
        std::fs::write(job.file("delivery.yaml"), text.join("\n")).unwrap();
        job
    }

    /// The same with roles of the build account, and a table.
    fn job_with_roles(&self) -> Job {
        self.job(&format!(
            ", table: {}, roles: {{read: \"states-read-{{environment}}\", deploy: \"states-{{environment}}\"}}",
            self.states.table
        ))
    }

    /// The serial of the state, as the build account's bucket has it.
    fn serial(&self) -> u64 {
        let path = format!("/{}/{}", self.states.bucket, self.state.key);
        let text = wait(DEADLINE, self.build.get(&path)).unwrap().unwrap();
        let state: Value = serde_json::from_str(&text).unwrap();
        state["serial"].as_u64().unwrap()
    }

    /// The state's item with this suffix in the build account's table.
    fn item(&self, suffix: &str) -> Option<Value> {
        let id = format!("{}/{}{suffix}", self.states.bucket, self.state.key);
        wait(
            DEADLINE,
            item(&self.build, &self.states.table, "LockID", &id),
        )
    }

    /// Runs a step that succeeds. Nothing of the state is in dev's account.
    fn run_json(&self, job: &Job, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        let at = all.iter().position(|word| *word == "--");
        all.splice(
            at.unwrap_or(all.len())..at.unwrap_or(all.len()),
            ["--environment", "dev", "--json"],
        );
        let ended = job.run(&mut job.command("slipway-state", &all));
        let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(
            ended.status.success(),
            "{arguments:?}\n{}{stdout}",
            log(&ended)
        );
        assert_eq!(self.item(""), None, "{arguments:?} left the lock");
        let id = format!("{}/{}-md5", self.states.bucket, self.state.key);
        let own = wait(
            DEADLINE,
            item(&self.state.aws, self.state.table(), "LockID", &id),
        );
        assert_eq!(own, None, "{arguments:?} used dev's table");
        // A command's own output precedes the result, which then does not parse.
        serde_json::from_str(&stdout).unwrap_or_default()
    }
}

const APPLY: &str = "terraform init -no-color; terraform apply -no-color -auto-approve";

#[test]
fn terraform_and_the_step_reach_a_state_in_the_build_account_by_its_role() {
    let central = BuildAccountState::new("in-build");
    let job = central.job_with_roles();
    // The bucket's policy refuses each object that does not ask for the key: state, lock file and plan.
    let both = ["--locking", "both"];
    central.run_json(
        &job,
        &[&["run"], &both[..], &["--", "sh", "-ec", APPLY]].concat(),
    );
    assert_eq!(central.serial(), 1);
    assert!(
        central.item("-md5").is_some(),
        "the digest is in the build account's table"
    );

    let more = format!(
        "{}\nresource \"terraform_data\" \"more\" {{}}\n",
        super::CODE
    );
    std::fs::write(job.file("infra/main.tf"), more).unwrap();
    let planned = central.run_json(&job, &[&["plan"], &both[..]].concat());
    let plan = planned["plan"].as_str().unwrap();
    central.run_json(&job, &[&["apply", "--plan", plan], &both[..]].concat());
    assert_eq!(central.serial(), 2);

    let versions = central.run_json(&job, &["versions"]);
    let first = versions["versions"][1]["version"]
        .as_str()
        .unwrap()
        .to_owned();
    central.run_json(
        &job,
        &[&["rollback", "--to-version", &first], &both[..]].concat(),
    );
    assert_eq!(central.serial(), 3);
    central.run_json(&job, &["verify-digest"]);

    // A read-only plan uses a role that can only read, in a checkout of its own.
    let looking = central.job_with_roles();
    let looked = looking.run(&mut looking.command(
        "slipway-state",
        &["plan", "--read-only", "--environment", "dev", "--verbose"],
    ));
    let stderr = log(&looked);
    assert!(looked.status.success(), "{stderr}");
    assert!(stderr.contains("role/states-read-dev"), "{stderr}");
    // One that was initialised for another role is not used.
    let again = job.run(&mut job.command(
        "slipway-state",
        &["plan", "--read-only", "--environment", "dev"],
    ));
    assert_eq!(again.status.code(), Some(3), "{}", log(&again));
    assert!(log(&again).contains("another role"), "{}", log(&again));
}

#[test]
fn a_lock_in_the_build_account_is_released_by_the_post_step() {
    let central = BuildAccountState::new("left-in-build");
    let job = central.job_with_roles();
    let lock = ["lock", "--environment", "dev"];
    let taken = job.run(&mut job.command("slipway-state", &lock));
    assert!(taken.status.success(), "{}", log(&taken));
    assert!(central.item("").is_some());
    let mut post = job.command("slipway-state", &[]);
    post.envs([("SLIPWAY_PHASE", "post"), ("INPUT_COMMAND", "lock")]);
    post.env("INPUT_ENVIRONMENT", "dev").envs(job.state());
    let ended = job.run(&mut post);
    assert!(ended.status.success(), "{}", log(&ended));
    assert_eq!(central.item(""), None);
}

#[test]
fn a_bucket_that_admits_the_environments_role_needs_no_other() {
    let central = BuildAccountState::new("admitted");
    let job = central.job("");
    let file = ["--locking", "file"];
    central.run_json(
        &job,
        &[&["run"], &file[..], &["--", "sh", "-ec", APPLY]].concat(),
    );
    assert_eq!(central.serial(), 1);
    let planned = central.run_json(&job, &[&["plan"], &file[..]].concat());
    assert_eq!(
        planned["changes"].as_array().map(Vec::len),
        Some(0),
        "{planned}"
    );
    let versions = central.run_json(&job, &[&["versions"], &file[..]].concat());
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_role_that_may_not_be_assumed_is_refused_before_anything_runs() {
    let central = BuildAccountState::new("not-trusted");
    // Its trust policy names production's jobs, and not dev's role.
    let job = central
        .job(", roles: {read: slipway-permit-production, deploy: slipway-permit-production}");
    let ended = job.run(&mut job.command(
        "slipway-state",
        &[
            "run",
            "--locking",
            "file",
            "--environment",
            "dev",
            "--",
            "sh",
            "-c",
            ": > ran",
        ],
    ));
    let stderr = log(&ended);
    assert_eq!(ended.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("two must allow it"), "{stderr}");
    assert!(!job.file("infra/ran").exists(), "{stderr}");
}

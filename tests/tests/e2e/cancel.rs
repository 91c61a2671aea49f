//! The state lock when a run is cancelled or killed, and between `slipway-state` and Terraform itself.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use sandbox::demo;
use sandbox::runner::act::{self, Trigger};
use sandbox::runner::export::{REPOSITORY, export};
use sandbox::runner::story::{AUTHOR, REVIEWER, Story};
use sandbox::world::World;
use sandbox::world::aws::{Aws, Keys};
use serde_json::Value;

use crate::job::Job;
use crate::support::{
    Started, TIMEOUT, heavy, instance, item, log, read, session, until, wait, world,
};

/// Longer than anything here takes on a machine that others keep busy.
const DEADLINE: Duration = Duration::from_secs(600);

/// One state of dev's account, with credentials that may change it.
pub(crate) struct State {
    pub(crate) world: &'static World,
    pub(crate) keys: Keys,
    pub(crate) aws: Aws,
    pub(crate) key: String,
}

impl State {
    /// A state of the test's own in the one world of these tests.
    pub(crate) fn new(key: &str) -> Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        let world = WORLD.get_or_init(|| wait(TIMEOUT, world("cancel")));
        Self::of(world, key)
    }

    /// A state in a world of the caller's.
    pub(crate) fn of(world: &'static World, key: &str) -> Self {
        wait(DEADLINE, async {
            let dev = world.environment("dev").unwrap();
            Self {
                world,
                keys: session(world, "dev", "slipway-deploy").await,
                aws: world.administrator(instance(), &dev.account).await.unwrap(),
                key: format!("{key}/terraform.tfstate"),
            }
        })
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.world.environment("dev").unwrap().state_bucket
    }

    pub(crate) fn table(&self) -> &str {
        &self.world.environment("dev").unwrap().lock_table
    }

    /// The lock's item, as DynamoDB has it.
    pub(crate) fn lock(&self) -> Option<Value> {
        let id = format!("{}/{}", self.bucket(), self.key);
        wait(DEADLINE, item(&self.aws, self.table(), "LockID", &id))
    }

    /// The same without what a heartbeat changes: equal as long as the same holder has the lock.
    pub(crate) fn held(&self) -> Option<Value> {
        let mut lock = self.lock()?;
        lock.as_object_mut().unwrap().remove("Rvn");
        Some(lock)
    }

    /// The holder's description of itself in the lock.
    pub(crate) fn holder(&self) -> Option<Value> {
        let lock = self.lock()?;
        Some(serde_json::from_str(lock["Info"]["S"].as_str().unwrap()).unwrap())
    }

    pub(crate) fn job(&self) -> Job {
        let mut variables = self.world.variables(instance());
        variables.extend(self.keys.variables());
        Job::new(variables)
    }

    /// The step `state` with `command: run`, as a workflow has it: its inputs in the environment.
    pub(crate) fn step(&self, job: &Job, script: &str, timeout: &str) -> Command {
        let mut command = job.command("slipway-state", &[]);
        command.envs([
            ("INPUT_COMMAND", "run"),
            ("INPUT_RUN", script),
            ("INPUT_BUCKET", self.bucket()),
            ("INPUT_TABLE", self.table()),
            ("INPUT_KEY", &self.key),
            ("INPUT_LOCK-TIMEOUT", timeout),
        ]);
        command
    }

    /// Its post step, with what the step left for it.
    pub(crate) fn post(&self, job: &Job, script: &str) -> Output {
        let mut command = self.step(job, script, "0s");
        command.env("SLIPWAY_PHASE", "post").envs(job.state());
        job.run(&mut command)
    }

    /// The post step of a step whose command is to write `over` at its end; the lock must stay until then.
    pub(crate) fn clean_up(&self, job: &Job, script: &str) -> Output {
        let mut command = self.step(job, script, "0s");
        command.env("SLIPWAY_PHASE", "post").envs(job.state());
        let post = Started::new(&mut command);
        until("the lock is released", DEADLINE, || {
            self.lock().is_none().then_some(())
        });
        assert!(job.file("over").exists(), "the command was not over yet");
        post.end(DEADLINE)
    }

    /// Terraform with this state, in a folder of its own, as somebody without us runs it.
    pub(crate) fn terraform(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(instance().bin().join("terraform"));
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(self.world.variables(instance()))
            .envs(self.keys.variables())
            .env("HOME", folder)
            .env("CHECKPOINT_DISABLE", "1");
        command
    }

    /// A folder that Terraform was initialised in, with one resource whose creation runs `provisioner`.
    pub(crate) fn infrastructure(&self, provisioner: &str) -> tempfile::TempDir {
        self.infrastructure_locking(provisioner, "dynamodb")
    }

    /// The same, locked as `--locking` says.
    pub(crate) fn infrastructure_locking(
        &self,
        provisioner: &str,
        locking: &str,
    ) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let code = format!(
            "terraform {{\n  backend \"s3\" {{}}\n}}\n\nresource \"terraform_data\" \"it\" {{\n  \
             provisioner \"local-exec\" {{\n    command = \"{provisioner}\"\n  }}\n}}\n"
        );
        std::fs::write(folder.path().join("main.tf"), code).unwrap();
        let settings = [
            ("bucket", self.bucket()),
            ("key", &self.key),
            ("region", &self.world.region),
            ("dynamodb_table", self.table()),
            ("use_path_style", "true"),
            ("use_lockfile", "true"),
        ]
        .into_iter()
        .filter(|(name, _)| match *name {
            "dynamodb_table" => locking != "file",
            "use_lockfile" => locking != "dynamodb",
            _ => true,
        })
        .map(|(name, value)| format!("-backend-config={name}={value}"))
        .collect::<Vec<_>>();
        let mut arguments = vec!["init", "-no-color"];
        arguments.extend(settings.iter().map(String::as_str));
        let output = Started::new(&mut self.terraform(folder.path(), &arguments)).end(DEADLINE);
        assert!(output.status.success(), "{output:?}");
        folder
    }
}

pub(crate) const APPLY: [&str; 3] = ["apply", "-auto-approve", "-no-color"];

#[test]
fn a_killed_steps_lock_is_released_by_its_post_step() {
    let state = State::new("killed");
    let job = state.job();
    let script = "echo $$ > child; exec sleep 300";
    let started = Started::new(&mut state.step(&job, script, "0s"));
    let child = until("the command runs", DEADLINE, || {
        job.read("child").trim().parse().ok()
    });
    let held = state.holder().unwrap();
    started.signal(Signal::KILL);
    // The command goes on without us and holds our output; a runner ends what is left of the job.
    let _ = kill_process_group(Pid::from_raw(child).unwrap(), Signal::KILL);
    let ended = started.end(DEADLINE);
    assert_eq!(ended.status.code(), None, "{ended:?}");
    assert_eq!(state.holder(), Some(held.clone()), "nobody released it yet");

    let post = state.post(&job, script);
    assert_eq!(post.status.code(), Some(0), "{}", log(&post));
    assert!(
        log(&post).contains("::warning::released the state lock"),
        "{}",
        log(&post)
    );
    assert_eq!(state.lock(), None);

    // The runner may run it again, and there may be nothing left to do.
    let post = state.post(&job, script);
    assert_eq!((post.status.code(), log(&post).as_str()), (Some(0), ""));
}

/// The step alone is killed; what it started writes the state for some time yet.
#[test]
fn a_killed_steps_command_is_ended_before_its_lock_is_released() {
    let state = State::new("outlived");
    let job = state.job();
    // The guard interrupts it at once, and the post step has to find it running.
    let script = "trap 'sleep 30; : > over; exit 0' INT; : > started
        while true; do sleep 0.1 || true; done";
    let started = Started::new(&mut state.step(&job, script, "0s"));
    until("the command runs", DEADLINE, || {
        job.file("started").exists().then_some(())
    });
    started.signal(Signal::KILL);
    let post = state.clean_up(&job, script);
    assert_eq!(post.status.code(), Some(0), "{}", log(&post));
    assert!(
        log(&post).contains("::warning::ended the command that the step left behind"),
        "{}",
        log(&post)
    );
    assert_eq!(started.end(DEADLINE).status.code(), None);
}

/// A runner that cancels interrupts the step, and kills it ten seconds later. Terraform is still running then, and a second signal would
/// make it exit at once and lose state.
#[test]
fn a_command_that_was_interrupted_before_its_step_was_killed_is_waited_for() {
    let state = State::new("finishing");
    let job = state.job();
    let script = "trap 'echo INT >> signals' INT; trap 'echo TERM >> signals' TERM; : > started
        for i in $(seq 150); do sleep 0.1 || true; done; : > over";
    let started = Started::new(&mut state.step(&job, script, "0s"));
    until("the command runs", DEADLINE, || {
        job.file("started").exists().then_some(())
    });
    started.signal(Signal::INT);
    until("the interrupt arrives", DEADLINE, || {
        job.file("signals").exists().then_some(())
    });
    started.signal(Signal::KILL);
    let post = state.clean_up(&job, script);
    assert_eq!(post.status.code(), Some(0), "{}", log(&post));
    assert_eq!(job.read("signals"), "INT\n");
    assert_eq!(started.end(DEADLINE).status.code(), None);
}

#[test]
fn a_post_step_leaves_somebody_elses_lock_alone() {
    let state = State::new("somebody-elses");
    let (ours, theirs) = (state.job(), state.job());
    let done = ours.run(&mut state.step(&ours, "true", "0s"));
    assert!(done.status.success(), "{}", log(&done));
    let script = ": > started; while [ ! -e go ]; do sleep 0.1; done";
    let started = Started::new(&mut state.step(&theirs, script, "0s"));
    until("the other command runs", DEADLINE, || {
        theirs.file("started").exists().then_some(())
    });
    let held = state.held();
    assert!(held.is_some());

    let post = state.post(&ours, "true");
    assert_eq!(post.status.code(), Some(0), "{}", log(&post));
    assert!(
        log(&post).contains("was acquired by somebody else meanwhile: ada (slipway-state run)"),
        "{}",
        log(&post)
    );
    assert_eq!(state.held(), held);
    std::fs::write(theirs.file("go"), "").unwrap();
    assert!(started.end(DEADLINE).status.success());
    assert_eq!(state.lock(), None);
}

/// A runner that cancels sends SIGINT, and SIGTERM a while later; Terraform takes a second signal for leave to lose state.
#[test]
fn a_cancelled_command_gets_one_interrupt_and_the_lock_is_released() {
    let state = State::new("cancelled");
    let job = state.job();
    let script = "n=0; trap 'n=$((n+1)); : > interrupted' INT TERM; : > started
        while [ ! -e go ]; do sleep 0.1 || true; done; exit $((10 + n))";
    let started = Started::new(&mut state.step(&job, script, "0s"));
    until("the command runs", DEADLINE, || {
        job.file("started").exists().then_some(())
    });
    assert!(state.lock().is_some());
    started.signal(Signal::INT);
    until("the interrupt arrives", DEADLINE, || {
        job.file("interrupted").exists().then_some(())
    });
    started.signal(Signal::TERM);
    // Were it passed on, the command would count it in this time.
    std::thread::sleep(Duration::from_secs(1));
    std::fs::write(job.file("go"), "").unwrap();
    let ended = started.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(11), "{}", log(&ended));
    for expected in ["it was interrupted", "the lock was released"] {
        assert!(log(&ended).contains(expected), "{}", log(&ended));
    }
    assert_eq!(state.lock(), None);
    let post = state.post(&job, script);
    assert_eq!((post.status.code(), log(&post).as_str()), (Some(0), ""));
}

#[test]
fn a_command_that_dies_of_the_interrupt_ends_as_130() {
    let state = State::new("dies");
    let job = state.job();
    let started = Started::new(&mut state.step(&job, ": > started; exec sleep 300", "0s"));
    until("the command runs", DEADLINE, || {
        job.file("started").exists().then_some(())
    });
    started.signal(Signal::INT);
    let ended = started.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(130), "{}", log(&ended));
    assert_eq!(state.lock(), None);
}

#[test]
fn one_who_waits_for_the_lock_can_be_cancelled_and_leaves_nothing() {
    let state = State::new("waits");
    let (holder, waiter) = (state.job(), state.job());
    let script = ": > started; while [ ! -e go ]; do sleep 0.1; done";
    let holding = Started::new(&mut state.step(&holder, script, "0s"));
    until("the holder runs", DEADLINE, || {
        holder.file("started").exists().then_some(())
    });
    let held = state.held();
    let waiting = Started::new(&mut state.step(&waiter, ": > started", "5m"));
    let ticket = format!("{}/{}#q/0", state.bucket(), state.key);
    let ticket = || wait(DEADLINE, item(&state.aws, state.table(), "LockID", &ticket));
    until("the other stands in line", DEADLINE, ticket);
    waiting.signal(Signal::INT);
    let ended = waiting.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(130), "{}", log(&ended));
    assert!(!waiter.file("started").exists());
    assert_eq!((state.held(), ticket()), (held, None));
    std::fs::write(holder.file("go"), "").unwrap();
    assert!(holding.end(DEADLINE).status.success());
}

#[test]
fn terraform_is_refused_while_a_run_holds_the_lock_and_names_that_run() {
    let state = State::new("refused");
    let job = state.job();
    let folder = state.infrastructure("true");
    let script = ": > started; while [ ! -e go ]; do sleep 0.1; done";
    let started = Started::new(&mut state.step(&job, script, "0s"));
    until("the command runs", DEADLINE, || {
        job.file("started").exists().then_some(())
    });
    let holder = state.holder().unwrap();

    let apply = Started::new(&mut state.terraform(folder.path(), &APPLY)).end(DEADLINE);
    assert_eq!(apply.status.code(), Some(1), "{apply:?}");
    let stderr = log(&apply);
    for piece in [
        "Error acquiring the state lock",
        "https://github.com/acme/storefront/actions/runs/4711/attempts/2",
        "slipway-state run",
        "ada",
        holder["ID"].as_str().unwrap(),
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }

    std::fs::write(job.file("go"), "").unwrap();
    assert!(started.end(DEADLINE).status.success());
    let apply = Started::new(&mut state.terraform(folder.path(), &APPLY)).end(DEADLINE);
    assert!(apply.status.success(), "{apply:?}");
}

#[test]
fn a_run_is_refused_while_terraform_holds_the_lock_and_names_that_holder() {
    let state = State::new("held");
    let folder = state.infrastructure(": > holding; while [ ! -e go ]; do sleep 0.1; done");
    let apply = Started::new(&mut state.terraform(folder.path(), &APPLY));
    until("terraform applies", DEADLINE, || {
        folder.path().join("holding").exists().then_some(())
    });
    let holder = state.holder().unwrap();
    assert_eq!(holder["Operation"], "OperationTypeApply");

    let job = state.job();
    let refused = job.run(&mut state.step(&job, ": > started", "0s"));
    let stderr = log(&refused);
    assert_eq!(refused.status.code(), Some(4), "{stderr}");
    for piece in ["Who", "ID"].map(|name| holder[name].as_str().unwrap()) {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
    assert!(stderr.contains("(OperationTypeApply)"), "{stderr}");
    assert!(!job.file("started").exists());
    assert_eq!(
        state.holder(),
        Some(holder),
        "the lock is still terraform's"
    );

    // One that waits gets its turn when Terraform is done.
    let patient = state.job();
    let waiting = Started::new(&mut state.step(&patient, ": > started", "10m"));
    until("the other waits", DEADLINE, || {
        (!patient.state().is_empty()).then_some(())
    });
    std::fs::write(folder.path().join("go"), "").unwrap();
    let applied = apply.end(DEADLINE);
    assert!(applied.status.success(), "{applied:?}");
    let waited = waiting.end(DEADLINE);
    assert!(waited.status.success(), "{}", log(&waited));
    assert!(patient.file("started").exists());
    assert_eq!(state.lock(), None);
}

#[test]
fn a_lock_taken_at_a_terminal_names_the_user_and_the_machine() {
    let state = State::new("terminal");
    let job = state.job();
    let backend = [
        "--bucket",
        state.bucket(),
        "--table",
        state.table(),
        "--key",
        &state.key,
    ];
    let run = |arguments: &[&str]| {
        let mut command = job.command("slipway-state", &[arguments, &backend].concat());
        let ran = job.run(command.env_remove("GITHUB_ACTIONS").env("USER", "ada"));
        assert_eq!(ran.status.code(), Some(0), "{}", log(&ran));
    };
    run(&["lock"]);
    let holder = state.holder().unwrap();
    let machine = read(Path::new("/proc/sys/kernel/hostname"));
    assert_eq!(holder["Who"], format!("ada@{}", machine.trim()));
    run(&["unlock", "--lock-id", holder["ID"].as_str().unwrap()]);
    assert_eq!(state.lock(), None);
}

/// Real Terraform without a backend keeps its state in a file, which is gone with the job.
#[test]
fn a_run_whose_state_stayed_in_the_folder_has_failed() {
    let state = State::new("local");
    let job = state.job();
    let terraform = instance().bin().join("terraform");
    let script = format!(
        "export CHECKPOINT_DISABLE=1; printf 'resource \"terraform_data\" \"it\" {{}}\\n' > main.tf
        {0} init -no-color; {0} apply -auto-approve -no-color",
        terraform.display()
    );
    let ran = job.run(&mut state.step(&job, &script, "0s"));
    let stderr = log(&ran);
    assert_eq!(ran.status.code(), Some(1), "{stderr}");
    for piece in [
        "the command wrote a state into .",
        &format!("s3://{}/{}", state.bucket(), state.key),
        "backend \"s3\" {}",
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
    assert_eq!(state.lock(), None);
    // Now the code is there to be looked at first.
    let script = script.replace("export", ": > again; export");
    let refused = job.run(&mut state.step(&job, &script, "0s"));
    assert_eq!(refused.status.code(), Some(3), "{}", log(&refused));
    assert!(!job.file("again").exists());
}

/// The whole way: workflow, launcher, binary, and a step that dies while it holds the lock.
#[test]
fn a_workflows_post_step_releases_the_lock_of_a_killed_step() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let world = world("killed").await;
        let story = Story::begin(instance, &world).await.unwrap();
        let export = export(instance).unwrap();
        let uses = format!("{REPOSITORY}/actions/state@{}", export.pin);
        let workflow = include_str!("cancel/killed.yml").replace("STATE", &uses);
        let path = ".github/workflows/deliver.yml";
        let files = [(path, workflow.as_str())];
        let title = "Kill the step";
        story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        let trigger = Trigger::push(REVIEWER, "deliver.yml");
        let ended = act::run(instance, &world, &story.hub, &export, &trigger, &mut |_| {}).await;
        let ended = ended.unwrap();
        assert!(!ended.success, "{}", ended.log.text);
        for piece in ["holding ", "released the state lock "] {
            assert!(
                ended.log.text.contains(piece),
                "no {piece} in\n{}",
                ended.log.text
            );
        }
        let dev = world.environment("dev").unwrap();
        let aws = world.administrator(instance, &dev.account).await.unwrap();
        let lock = format!(
            "/{}/storefront/dev/terraform.tfstate.tflock",
            dev.state_bucket
        );
        assert!(aws.get(&lock).await.unwrap().is_err());
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

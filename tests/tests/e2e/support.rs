//! Shared parts of the tests: the sandbox, built and started once; runs of the demo; turns for heavy tests; deadlines.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use sandbox::demo::{self, Host, Ran};
use sandbox::fault::Result;
use sandbox::instance::{Instance, port};
use sandbox::runner::hub::Hub;
use sandbox::runner::story::AUTHOR;
use sandbox::users::User;
use sandbox::world::aws::{Aws, Keys};
use sandbox::world::{InUse, World};
use sandbox::{steps, supervisor};

/// Longer than anything a test waits for, even while other tests use the machine; shorter than `cargo verify` lets a test run,
/// so that the test itself says what it waited for.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(540);

/// The running sandbox, with the steps built.
pub(crate) fn instance() -> &'static Instance {
    static INSTANCE: OnceLock<Result<(Instance, User)>> = OnceLock::new();
    let found = waited(INSTANCE.get().is_some(), || {
        INSTANCE.get_or_init(|| {
            let instance = Instance::find()?;
            steps::build(&instance)?;
            let user = supervisor::enter(&instance)?;
            Ok((instance, user))
        })
    });
    &found.as_ref().unwrap().0
}

/// Gets what another test may be busy with, and says when it begins and ends to wait: `cargo verify` leaves that out of the
/// test's own time. Says nothing where `free` finds that there is nothing to wait for.
fn waited<T>(free: bool, get: impl FnOnce() -> T) -> T {
    if free {
        return get();
    }
    let test = std::thread::current();
    let name = test.name().unwrap_or_default();
    sandbox::say::note(&format!("test {name} waits"));
    let began = Instant::now();
    let got = get();
    let waited = began.elapsed().as_secs_f64();
    sandbox::say::note(&format!("test {name} waited {waited:.1} s"));
    got
}

/// Runs to the end, or fails after `timeout`.
pub(crate) fn wait<F: Future>(timeout: Duration, future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::time::timeout(timeout, future).await })
        .unwrap_or_else(|_| panic!("not over after {} s", timeout.as_secs()))
}

/// The turn of a test that keeps a processor busy: a workflow run, a build. There are as many turns as processors.
pub(crate) fn heavy() -> Turn {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    let taken = || TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = *taken() < processors;
    waited(free, || {
        let mut taken = taken();
        while *taken >= processors {
            taken = FREE.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
    });
    Turn(())
}

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREE: Condvar = Condvar::new();

/// A turn, which ends when it is dropped. So a test that fails in its turn does not take it away from the others.
pub(crate) struct Turn(());

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREE.notify_one();
    }
}

/// A world of the test's own, for as long as the tests run; it retires those of earlier runs.
pub(crate) async fn world(purpose: &str) -> World {
    static IN_USE: Mutex<Vec<InUse>> = Mutex::new(Vec::new());
    let family = format!("e2e-{purpose}-");
    let name = format!(
        "{family}{}",
        &uuid::Uuid::new_v4().simple().to_string()[..6]
    );
    let in_use = World::replace_earlier(instance(), &family, &name)
        .await
        .unwrap();
    IN_USE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(in_use);
    // Only a world with a folder is found again when it is to be retired.
    std::fs::create_dir_all(instance().dir.join("worlds").join(&name)).unwrap();
    World::create(instance(), &name).await.unwrap()
}

/// The demo on a host, run once for all tests that look at what it leaves.
pub(crate) fn demo(host: Host) -> &'static Ran {
    static GITHUB: (Mutex<()>, OnceLock<Result<Ran>>) = (Mutex::new(()), OnceLock::new());
    static CODEBUILD: (Mutex<()>, OnceLock<Result<Ran>>) = (Mutex::new(()), OnceLock::new());
    let (alone, once) = match host {
        Host::Github => &GITHUB,
        Host::Codebuild => &CODEBUILD,
    };
    let instance = instance();
    let free = alone.try_lock().is_ok();
    let _alone = waited(free, || {
        alone.lock().unwrap_or_else(PoisonError::into_inner)
    });
    let ran = once.get_or_init(|| {
        let _turn = heavy();
        wait(TIMEOUT, demo::run(instance, host))
    });
    ran.as_ref().unwrap()
}

/// A session of a role of one of the world's environments, got as the stage of that environment gets it.
pub(crate) async fn session(world: &World, environment: &str, role: &str) -> Keys {
    let keys = world
        .codebuild_session(instance(), environment, "e2e")
        .await
        .unwrap();
    let stage = world.caller(instance(), keys).unwrap();
    let account = &world.environment(environment).unwrap().account.id;
    let arn = format!("arn:aws:iam::{account}:role/{role}");
    let parameters = [("RoleArn", arn.as_str()), ("RoleSessionName", "e2e")];
    let answer = stage.query("sts", "2011-06-15", "AssumeRole", &parameters);
    let xml = answer.await.unwrap().unwrap();
    Keys {
        access_key_id: element(&xml, "AccessKeyId").unwrap(),
        secret_access_key: element(&xml, "SecretAccessKey").unwrap(),
        session_token: element(&xml, "SessionToken"),
    }
}

/// The text of an XML element's first occurrence.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
}

/// An item of a table by its one key attribute.
pub(crate) async fn item(
    aws: &Aws,
    table: &str,
    key: &str,
    value: &str,
) -> Option<serde_json::Value> {
    let input =
        serde_json::json!({"TableName": table, "Key": {key: {"S": value}}, "ConsistentRead": true});
    let answer = aws.json("dynamodb", "DynamoDB_20120810.GetItem", &input);
    let answer = answer.await.unwrap().unwrap();
    answer.get("Item").cloned()
}

/// The texts of a pull request's comments, as anybody in the repository reads them.
pub(crate) async fn comments(hub: &Hub, number: u64) -> Vec<String> {
    let token = hub.token(AUTHOR).await.unwrap();
    let url = format!(
        "{}/repos/{}/issues/{number}/comments",
        instance().url(port::GITHUB),
        hub.repository
    );
    let answer = sandbox::world::http_client()
        .unwrap()
        .get(url)
        .bearer_auth(token)
        .header("user-agent", "e2e")
        .send()
        .await
        .unwrap();
    let found: serde_json::Value = answer.json().await.unwrap();
    let bodies = found.as_array().unwrap().iter();
    bodies
        .map(|comment| comment["body"].as_str().unwrap().to_owned())
        .collect()
}

/// Looks again and again until there is something to see.
pub(crate) fn until<T>(
    description: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "{description}: not after {} s",
            timeout.as_secs()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program that was started in a process group of its own, which does not outlive the test.
pub(crate) struct Started(Option<Running>);

struct Running {
    child: std::process::Child,
    /// Read from the start, because a program stops where nobody reads its output: a run that waits for a lock fills a pipe in half
    /// an hour.
    stdout: Reader,
    stderr: Reader,
}

type Reader = std::thread::JoinHandle<std::io::Result<Vec<u8>>>;

fn read_all(mut stream: impl std::io::Read + Send + 'static) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    })
}

impl Started {
    /// Starts it without any input, its output kept.
    pub(crate) fn new(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Self(Some(Running {
            stdout: read_all(child.stdout.take().unwrap()),
            stderr: read_all(child.stderr.take().unwrap()),
            child,
        }))
    }

    /// The program's process.
    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().child.id()
    }

    /// Signals the program alone, as a runner does.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// The same, where it may have ended already.
    pub(crate) fn try_signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    /// Returns true if it has ended already.
    pub(crate) fn ended(&mut self) -> bool {
        let running = self.0.as_mut().unwrap();
        running.child.try_wait().unwrap().is_some()
    }

    /// Kills the program alone, and waits for its end.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.end(TIMEOUT);
    }

    /// Waits for its end.
    pub(crate) fn end(mut self, timeout: Duration) -> Output {
        let pid = self.pid();
        let mut running = self.0.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            sender.send(Output {
                status: running.child.wait().unwrap(),
                stdout: running.stdout.join().unwrap().unwrap(),
                stderr: running.stderr.join().unwrap().unwrap(),
            })
        });
        match receiver.recv_timeout(timeout) {
            Ok(output) => output,
            Err(_) => {
                let _ = kill_process_group(pid, Signal::KILL);
                panic!("not over after {} s", timeout.as_secs());
            }
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(Running { mut child, .. }) = self.0.take() {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
        }
    }
}

/// Runs the command, and expects the exit code and these texts in its output.
#[track_caller]
pub(crate) fn ends(command: &mut Command, exit: i32, expected: &[&str]) -> String {
    let output = Started::new(command).end(TIMEOUT);
    let text = format!(
        "{}{}",
        log(&output),
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(output.status.code(), Some(exit), "{command:?}: {text}");
    for piece in expected {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
    text
}

/// A program's log, which is its standard error.
pub(crate) fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The time, as records have it.
pub(crate) fn now() -> String {
    ago(0)
}

/// The time these minutes ago, as records have it.
pub(crate) fn ago(minutes: i64) -> String {
    let time = time::OffsetDateTime::now_utc() - time::Duration::minutes(minutes);
    let time = time.replace_nanosecond(0).unwrap();
    time.format(&time::format_description::well_known::Rfc3339)
        .unwrap()
}

/// A command whose wall clock is off by as many seconds as a file says.
pub(crate) fn clocked(file: &Path, command: &Command) -> Command {
    let mut clocked = Command::new(instance().built().join("sandbox"));
    clocked
        .arg("clock")
        .arg(file)
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    clocked
}

/// The text of a file, nothing where there is no file.
pub(crate) fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

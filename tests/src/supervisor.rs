//! Starts the parts, finds them again, and ends them.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::fault::{Context, Fault, Result};
use crate::install;
use crate::instance::{Instance, port};
use crate::parts::{self, Part, engine};
use crate::process::{MARK, Process, marked, tail};
use crate::say::{note, seconds};
use crate::state::{Started, State, lock};
use crate::users::{self, Other, User};

/// How long a part that is already running may take to answer before it counts as hung. On a busy machine one that is
/// ended for being slow would take what it holds with it.
const ANSWER: Duration = Duration::from_secs(120);

/// Installs and starts the parts that are missing. Safe to call from several programs at once.
///
/// # Errors
/// A part that does not start, or one that would have to be replaced while another command uses it.
pub fn up(instance: &Instance) -> Result<()> {
    let _held = lock(&instance.dir.join("lock"))?;
    start_missing(instance)
}

/// Installs what is missing and starts nothing.
pub(crate) fn install(instance: &Instance) -> Result<()> {
    let _held = lock(&instance.dir.join("lock"))?;
    may_install(instance)?;
    prepare(instance)
}

/// Does what [`up`] does, and keeps others from replacing or ending a part for as long as the returned value lives.
///
/// # Errors
/// As for [`up`].
pub fn enter(instance: &Instance) -> Result<User> {
    let _held = lock(&instance.dir.join("lock"))?;
    start_missing(instance)?;
    users::register(instance)
}

fn prepare(instance: &Instance) -> Result<()> {
    for folder in ["home", "logs"] {
        let folder = instance.dir.join(folder);
        fs::create_dir_all(&folder).context(format!("creating {}", folder.display()))?;
    }
    install::ensure(instance)
}

fn start_missing(instance: &Instance) -> Result<()> {
    let began = Instant::now();
    may_install(instance)?;
    prepare(instance)?;
    let mut supervisor = Supervisor {
        instance,
        state: State::read(&instance.dir),
    };
    let mut started = supervisor.engine()?;
    started += supervisor.parts(&parts::all(instance, sandbox_program(instance)?)?)?;
    note(&format!(
        "sandbox {} is up at {} ({} in {:.2} s)",
        instance.id,
        instance.url(port::GATEWAY),
        if started == 0 {
            "found running".to_owned()
        } else {
            format!("{started} started")
        },
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Ends every part of the sandbox, its containers, and its engine where nobody else needs it.
///
/// # Errors
/// Another command uses the sandbox, and `force` is not set; or something does not end.
pub fn down(instance: &Instance, force: bool) -> Result<()> {
    let _held = lock(&instance.dir.join("lock"))?;
    let other_users = users::other_users(instance)?;
    if !force && !other_users.is_empty() {
        return Err(in_use(format!("sandbox {}", instance.id), &other_users)
            .hint("end it under its user: cargo sandbox down --force"));
    }
    let mut supervisor = Supervisor {
        instance,
        state: State::read(&instance.dir),
    };
    let names: Vec<String> = supervisor
        .state
        .parts
        .keys()
        .filter(|name| *name != "docker")
        .cloned()
        .collect();
    for name in names {
        supervisor.stop(&name, Duration::from_secs(10))?;
    }
    if engine::part(instance).ready(ANSWER) {
        engine::remove_containers(instance)?;
    }
    supervisor.engine_down()?;
    // Processes that a lost state file or a killed test left behind still carry the sandbox's mark.
    for process in marked(&format!("{}/", instance.id))
        .into_iter()
        .filter_map(Process::of)
    {
        process.kill();
    }
    note(&format!("sandbox {} is down", instance.id));
    Ok(())
}

/// Checks that nobody uses the programs that an installation would replace.
fn may_install(instance: &Instance) -> Result<()> {
    if install::is_complete(instance)? {
        return Ok(());
    }
    let other_users = users::other_users(instance)?;
    match other_users.is_empty() {
        true => Ok(()),
        false => {
            let subject = "the sandbox's installation, which differs from tests/parts.toml,";
            Err(in_use(subject.to_owned(), &other_users))
        }
    }
}

fn in_use(subject: String, other_users: &[Other]) -> Fault {
    let names: Vec<String> = other_users.iter().map(Other::to_string).collect();
    let pids: Vec<String> = other_users
        .iter()
        .map(|other| other.pid.to_string())
        .collect();
    Fault::new(format!("{subject} is in use by {}", names.join(", "))).hint(format!(
        "wait until it has ended, or end it: kill {}",
        pids.join(" ")
    ))
}

/// The program that hosts the stand-ins: this very one, or, when a test program asks, the one built beside it.
fn sandbox_program(instance: &Instance) -> Result<PathBuf> {
    let exe = std::env::current_exe().context("finding the running program")?;
    if exe.file_name().is_some_and(|name| name == "sandbox") {
        return Ok(exe);
    }
    exe.ancestors()
        .take_while(|folder| *folder != instance.target)
        .map(|folder| folder.join("sandbox"))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            Fault::new("the program `sandbox` is not built")
                .hint("cargo build --package sandbox --bins")
        })
}

struct Supervisor<'a> {
    instance: &'a Instance,
    state: State,
}

impl Supervisor<'_> {
    /// Sees to an engine; returns how many were started.
    fn engine(&mut self) -> Result<usize> {
        let part = engine::part(self.instance);
        if part.ready(ANSWER) {
            return Ok(0);
        }
        let _held = lock(engine::LOCK.as_ref())?;
        if part.ready(ANSWER) {
            return Ok(0);
        }
        let process = self.start(&part)?;
        self.wait(&part, process)?;
        Ok(1)
    }

    fn engine_down(&mut self) -> Result<()> {
        if !self.state.parts.contains_key("docker") {
            return Ok(());
        }
        let _held = lock(engine::LOCK.as_ref())?;
        if engine::part(self.instance).ready(ANSWER) {
            if let Some(other) = users::other_engine_users()?.first() {
                note(&format!("the Docker Engine stays: {other} uses it"));
                return Ok(());
            }
            let containers = engine::running()?;
            if !containers.is_empty() {
                note(&format!(
                    "the Docker Engine stays: {} containers of others run on it",
                    containers.len()
                ));
                return Ok(());
            }
        }
        self.stop("docker", Duration::from_secs(20))
    }

    /// Returns true if the part runs already, in the wanted version.
    fn found(&self, part: &Part) -> bool {
        self.state.parts.get(part.name).is_some_and(|started| {
            started.fingerprint == part.fingerprint()
                && started.process.runs()
                && part.ready(ANSWER)
        })
    }

    /// Sees to the parts; returns how many were started. All of them keep in memory what the others refer to: moto the
    /// repository whose policy the gateway enforces, the registry the image that a key in the gateway signed. So they
    /// begin together, with nothing in them.
    fn parts(&mut self, parts: &[Part]) -> Result<usize> {
        let Some(missing) = parts.iter().find(|part| !self.found(part)) else {
            return Ok(0);
        };
        for part in parts {
            self.may_replace(part, missing)?;
        }
        for part in parts {
            self.stop(part.name, Duration::from_secs(10))?;
        }
        parts::forget(self.instance)?;
        let mut waiting = Vec::new();
        for part in parts {
            waiting.push((part, self.start(part)?));
        }
        for (part, process) in waiting {
            self.wait(part, process)?;
        }
        Ok(parts.len())
    }

    /// Checks that the part may be started in the place of one that runs, which nobody else may be using then, because
    /// `missing` is not there.
    fn may_replace(&self, part: &Part, missing: &Part) -> Result<()> {
        let Some(started) = self.state.parts.get(part.name) else {
            return Ok(());
        };
        let other_users = users::other_users(self.instance)?;
        if other_users.is_empty() || !started.process.runs() {
            return Ok(());
        }
        let why = if started.fingerprint != part.fingerprint() {
            "was started from another build or configuration".to_owned()
        } else if part.name == missing.name {
            "does not answer".to_owned()
        } else {
            format!("has to begin anew with {}", missing.name)
        };
        Err(in_use(format!("{}, which {why},", part.name), &other_users))
    }

    /// Starts a part and replaces the one that runs, if any.
    fn start(&mut self, part: &Part) -> Result<Process> {
        self.stop(part.name, Duration::from_secs(10))?;
        let mut environment = part.environment.clone();
        environment.insert(MARK.to_owned(), self.mark(part.name));
        let log = self.instance.log(part.name);
        let process = Process::start(&part.program, &part.arguments, &environment, &log).map_err(
            |fault| Fault::new(format!("{} did not start: {fault}", part.name)).hint(&part.hint),
        )?;
        let started = Started {
            process,
            fingerprint: part.fingerprint(),
        };
        self.state.parts.insert(part.name.to_owned(), started);
        self.state.write(&self.instance.dir)?;
        Ok(process)
    }

    fn wait(&mut self, part: &Part, process: Process) -> Result<()> {
        let began = Instant::now();
        let why = loop {
            // A stranger on the part's port may answer in its stead, so the process is asked first.
            if !process.runs() {
                break format!("it ended after {:.1} s", began.elapsed().as_secs_f64());
            }
            if part.ready(Duration::from_secs(1)) && process.runs() {
                note(&format!(
                    "{:<12} is ready ({})",
                    part.name,
                    seconds(began.elapsed())
                ));
                return Ok(());
            }
            if began.elapsed() > part.timeout {
                break format!("it does not answer after {} s", part.timeout.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        self.stop(part.name, Duration::from_secs(10))?;
        let log = self.instance.log(part.name);
        Err(Fault::new(format!(
            "{} did not start: {why}; the last lines of {}:\n{}",
            part.name,
            log.display(),
            tail(&log, 12)
        ))
        .hint(&part.hint))
    }

    fn stop(&mut self, name: &str, timeout: Duration) -> Result<()> {
        if let Some(started) = self.state.parts.get(name) {
            started.process.stop(&self.mark(name), timeout)?;
            self.state.parts.remove(name);
            self.state.write(&self.instance.dir)?;
        }
        Ok(())
    }

    fn mark(&self, name: &str) -> String {
        format!("{}/{name}", self.instance.id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::probe::{Endpoint, Probe};

    fn part(instance: &Instance, script: &str, probe: bool) -> Part {
        let at = Endpoint::Unix(instance.dir.join("nobody.sock"));
        Part {
            name: "moto",
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: BTreeMap::new(),
            probes: if probe {
                vec![Probe {
                    at,
                    path: "/",
                    status: 200,
                }]
            } else {
                Vec::new()
            },
            timeout: Duration::from_secs(10),
            hint: "free the port".to_owned(),
            inputs: String::new(),
        }
    }

    fn start(instance: &Instance, part: &Part) -> (Result<()>, State) {
        let mut supervisor = Supervisor {
            instance,
            state: State::default(),
        };
        let process = supervisor.start(part).unwrap();
        let result = supervisor.wait(part, process);
        (result, supervisor.state)
    }

    #[test]
    fn a_part_that_ends_says_its_name_its_last_words_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let script = "echo Address already in use >&2; exit 1";
        let part = Part {
            timeout: Duration::from_secs(300),
            ..part(&instance, script, true)
        };
        let (result, state) = start(&instance, &part);
        let message = result.unwrap_err().to_string();
        for piece in [
            "moto did not start: it ended after",
            "sandbox/logs/moto.log:\n    Address already in use",
            "\n\nhint: free the port",
        ] {
            assert!(message.contains(piece), "{message}");
        }
        assert!(state.parts.is_empty());
    }

    #[test]
    fn a_part_that_never_answers_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let (result, state) = start(
            &instance,
            &part(&instance, "echo thinking; sleep 600", true),
        );
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("it does not answer after 10 s"),
            "{message}"
        );
        assert!(message.contains("    thinking"), "{message}");
        assert!(state.parts.is_empty());
        assert_eq!(marked(&format!("{}/", instance.id)), Vec::<u32>::new());
    }

    #[test]
    fn a_missing_program_is_reported_with_the_hint() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let mut supervisor = Supervisor {
            instance: &instance,
            state: State::default(),
        };
        let part = Part {
            program: PathBuf::from("/no/such"),
            ..part(&instance, "", false)
        };
        let message = supervisor.start(&part).unwrap_err().to_string();
        assert!(
            message.contains("moto did not start: starting /no/such: No such file"),
            "{message}"
        );
        assert!(message.ends_with("hint: free the port"), "{message}");
    }

    #[test]
    fn a_running_part_is_found_again_and_a_changed_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let part = part(&instance, "sleep 60", false);
        let mut supervisor = Supervisor {
            instance: &instance,
            state: State::default(),
        };
        supervisor.start(&part).unwrap();
        let mut again = Supervisor {
            instance: &instance,
            state: State::read(&instance.dir),
        };
        assert!(again.found(&part));
        assert!(!again.found(&Part {
            inputs: "another".to_owned(),
            ..part
        }));
        again.stop("moto", Duration::from_secs(5)).unwrap();
        assert_eq!(marked(&format!("{}/", instance.id)), Vec::<u32>::new());
    }

    #[test]
    fn parts_that_refer_to_one_another_begin_together() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let named = |name, inputs: &str| Part {
            name,
            inputs: inputs.to_owned(),
            ..part(&instance, "sleep 60", false)
        };
        let mut supervisor = Supervisor {
            instance: &instance,
            state: State::default(),
        };
        let before = [named("moto", ""), named("serve", "built")];
        assert_eq!(supervisor.parts(&before).unwrap(), 2);
        let stored = instance.dir.join("registry/data/blob");
        std::fs::write(&stored, "").unwrap();
        assert_eq!(supervisor.parts(&before).unwrap(), 0);
        let moto = supervisor.state.parts["moto"].process;
        assert!(moto.runs() && stored.exists());
        let after = [named("moto", ""), named("serve", "built again")];
        assert_eq!(supervisor.parts(&after).unwrap(), 2);
        assert!(!moto.runs() && !stored.exists());
        for name in ["moto", "serve"] {
            supervisor.stop(name, Duration::from_secs(5)).unwrap();
        }
    }

    #[test]
    fn nothing_is_installed_anew_while_somebody_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let mut user = users::holder(&instance);
        std::fs::write(instance.dir.join("installed"), "by other parts").unwrap();
        let message = up(&instance).unwrap_err().to_string();
        let expected = format!(
            "the sandbox's installation, which differs from tests/parts.toml, is in use by process {} (e2e --exact)",
            user.id()
        );
        assert!(message.starts_with(&expected), "{message}");
        user.kill().unwrap();
        user.wait().unwrap();
    }

    #[test]
    fn a_part_in_use_is_neither_replaced_nor_ended() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let part = part(&instance, "sleep 60", false);
        let mut supervisor = Supervisor {
            instance: &instance,
            state: State::default(),
        };
        let process = supervisor.start(&part).unwrap();
        let mut user = users::holder(&instance);
        let changed = Part {
            inputs: "another".to_owned(),
            ..part
        };
        let message = supervisor
            .may_replace(&changed, &changed)
            .unwrap_err()
            .to_string();
        let expected = format!(
            "moto, which was started from another build or configuration, is in use by process {} (e2e --exact)",
            user.id()
        );
        assert!(message.starts_with(&expected), "{message}");
        let message = down(&instance, false).unwrap_err().to_string();
        assert!(message.contains(" is in use by process "), "{message}");
        assert!(message.contains("cargo sandbox down --force"), "{message}");
        assert!(process.runs());
        // A part that has ended is not in use, and a user that has ended uses none.
        process.kill();
        process.stop("none", Duration::from_secs(5)).unwrap();
        supervisor.may_replace(&changed, &changed).unwrap();
        user.kill().unwrap();
        user.wait().unwrap();
        assert_eq!(users::other_users(&instance).unwrap(), []);
    }
}

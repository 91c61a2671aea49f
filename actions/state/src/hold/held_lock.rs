//! The lock that this run holds: the surroundings that commands under it get, and what is known of them.

use super::keep::Keeper;
use super::opened::{Opened, expired, open};
use crate::backend::Hold;
use crate::dependencies::Rule;
use crate::guard::{Guard, MARK};
use crate::locate::LocatedState;
use crate::lock::{Changed, Held, Record};
use crate::note::{self, Work};
use crate::shim::{self, CallServer, Calls, Ours};
use kit::child::{self, Program};
use kit::error::Result;
use kit::group::Group;
use kit::host::Host;
use kit::step::Cx;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Variables that [`net::Account::add_credentials`] removes.
const REPLACED: [&str; 2] = ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"];

/// Where a command without a `PATH` finds its tools.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The stage of a hold, which decides what happens to the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No command is at work: the lock goes back.
    Idle,
    /// A command was started, and was not seen to be over: the lock stays until its lease ends.
    AtWork,
    /// A command left a state that it could not write: the lock stays until it is repaired.
    Broken,
}

/// The lock that this run holds, while commands run under it.
pub(crate) struct HeldLock<'a> {
    pub(super) opened: Opened,
    pub(super) record: Record,
    /// Since when the lease counts.
    pub(super) since: Duration,
    /// An earlier step's hold, which is kept for a later one.
    pub(super) adopted: bool,
    /// The command that was started last.
    pub(super) work: Option<Work>,
    /// The calls of Terraform that the last command made.
    pub(super) calls: Calls,
    /// True if the commands are the user's own, which a gate with `plan: true` lets change nothing.
    pub(super) free: bool,
    pub(super) stage: Stage,
    pub(super) located: &'a LocatedState,
    pub(super) cx: &'a Cx,
}

/// The guard and the call server of a command that is about to start.
pub(super) struct Watchers {
    pub(super) guard: Guard,
    /// Where the calls of Terraform that it makes ask what becomes of them.
    pub(super) calls: CallServer,
}

impl Watchers {
    /// Returns the started command with its watchers, or dismisses the guard if it did not start.
    pub(super) fn unless_failed<T>(self, started: Result<T>, host: &Host) -> Result<(T, Self)> {
        match started {
            Ok(started) => Ok((started, self)),
            Err(error) => {
                self.guard.dismiss(host);
                Err(error)
            }
        }
    }
}

/// The command's exit status, and the reason for its end.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) ending: Ending,
}

/// The reason for a command's end.
pub(super) enum Ending {
    /// It ended by itself.
    Exited,
    /// The host or a person interrupted it.
    Interrupted,
    /// It was stopped, because no renewal succeeded for so long that another run may have the lock.
    NotRenewed,
    /// The lock was removed, and this one was found in its place.
    LockLost(Option<Held>),
}

impl<'a> HeldLock<'a> {
    /// A hold that was taken at `since`.
    pub(super) fn new(
        opened: Opened,
        record: Record,
        since: Duration,
        located: &'a LocatedState,
        cx: &'a Cx,
    ) -> Self {
        Self {
            opened,
            record,
            since,
            adopted: false,
            work: None,
            calls: Calls::default(),
            free: false,
            stage: Stage::Idle,
            located,
            cx,
        }
    }
}

impl HeldLock<'_> {
    /// Makes ready for a command what ends it where this process is killed, from its first moment
    /// on: the post step is told where it works, and a guard watches over it.
    pub(super) fn begin(&mut self, program: Program) -> Result<(Program, Watchers)> {
        let id = self.record.info.id.clone();
        let work = Work::new(program.folder().unwrap_or(Path::new(".")));
        self.note(Some(&work))?;
        self.work = Some(work);
        let end = Keeper::new(self.record.lease.length(), self.since).end();
        // At a terminal the command shares our process group, and only calls that take no lock of
        // their own can be ended one by one.
        let guard = Guard::start(child::leads_group().then_some(&id), end)?;
        let calls = match CallServer::open(self.ours(&program), guard.clone(), end, self.cx) {
            Ok(calls) => calls,
            Err(error) => {
                guard.dismiss(&self.cx.host);
                return Err(error);
            }
        };
        let path = program.get("PATH").unwrap_or(DEFAULT_PATH);
        let path = format!("{}:{path}", calls.folder().display());
        let program = program.env("PATH", path).env(MARK, id);
        Ok((program, Watchers { guard, calls }))
    }

    /// The held state, against which the calls of `program` are judged.
    fn ours(&self, program: &Program) -> Ours {
        let folder = program.folder().unwrap_or(Path::new("."));
        // Those that the credentials of the command replace are not handed on.
        let mut variables: BTreeMap<String, String> = self
            .cx
            .env
            .for_child()
            .filter(|(name, _)| shim::is_identity(name) && !REPLACED.contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let key = self.opened.access.account.credentials.access_key_id();
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), key.to_owned());
        Ours {
            backend: self.located.backend.clone(),
            native: self.opened.hold == Hold::Native,
            lock_id: self.record.info.id.clone(),
            account: self.opened.access.state.id.clone(),
            caller: self.opened.access.account.id.clone(),
            variables,
            folder: std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()),
            overrides: self.located.overrides,
            path_style: net::path_style(&self.cx.env),
            to_repair: self.record.lease.rescued.origins(),
            rule: Rule::of(self.located.resolved.as_ref()),
            plans: self.plans_alone(),
        }
    }

    /// The environment, if only a permitted plan may change anything there and the commands are the user's own.
    fn plans_alone(&self) -> Option<String> {
        let resolved = self.located.resolved.as_ref().filter(|_| self.free)?;
        let contract = &resolved.resolved;
        contract.gate.plan.then(|| contract.environment.clone())
    }

    /// States that the last command left behind.
    pub(super) fn errored_states(&self) -> Vec<PathBuf> {
        self.work
            .as_ref()
            .map(Work::errored_states)
            .unwrap_or_default()
    }

    /// Tells guard and post step which command has started.
    pub(super) fn tell(&mut self, group: Option<Group>, guard: &Guard) -> Result<()> {
        let (Some(group), Some(work)) = (group, &mut self.work) else {
            return Ok(());
        };
        guard.guards(group)?;
        // The guard interrupts the command of a run that was killed, so the post step need not.
        work.command = Some(group.interrupted());
        self.note(self.work.as_ref())
    }

    fn note(&self, work: Option<&Work>) -> Result<()> {
        let id = &self.record.info.id;
        note::remember(self.located, id, self.opened.hold, work, self.cx)
    }

    pub(super) async fn renew(&mut self, renewed: &Record) -> Result<Changed> {
        match self.opened.lock.renew(&self.record, renewed).await {
            Err(error) if expired(&error) => {
                self.opened = open(self.located, self.opened.hold, self.cx).await?;
                self.opened.lock.renew(&self.record, renewed).await
            }
            answer => answer,
        }
    }
}

//! The frame around every step: arguments in, one report out, and nothing printed twice.

use crate::action::Action;
use crate::arguments::{self, Cli, argv, know_inputs, refuse_arguments, runs_a_command};
use crate::clock::Clock;
use crate::contract::{self, Complete, Contract, WithStack};
use crate::defaults::Defaults;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Exit;
use crate::host::Host;
use crate::paths;
use crate::report::Report;
use crate::signal;
use clap::{Args, Command, FromArgMatches};
use std::path::PathBuf;
use std::process::ExitCode;

pub use crate::arguments::Common;
pub use crate::defaults::required;

/// One delivery step: its arguments, its action, its work.
pub trait Step {
    /// The arguments, with subcommands where the step has several verbs.
    type Args: Args;

    /// The parts of the action that clap does not know: outputs, branding, expression defaults.
    const ACTION: Action;

    /// The shell that runs the script of the input `run`, to which the script is added. A step that hands it to another
    /// machine names what is there.
    const SHELL: &'static [&'static str] = &["bash", "-euo", "pipefail", "-c"];

    /// Returns true if `run` handles SIGINT and SIGTERM itself with these arguments. Otherwise it is
    /// dropped where it waits and the process ends with exit 130.
    fn handles_signals(_args: &Self::Args) -> bool {
        false
    }

    /// Does the work.
    ///
    /// # Errors
    /// Any failure; nothing has been exported then but the outputs that the error itself has.
    fn run(args: Self::Args, cx: &Cx) -> impl Future<Output = Result<Report>>;

    /// Runs after the job, also after failure and cancellation. Inputs are as in the step.
    ///
    /// # Errors
    /// Something could not be cleaned up.
    fn post(_cx: &Cx) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }
}

/// The context of a step: the host, the environment, the clock, and the common arguments.
#[derive(Debug, Clone)]
pub struct Cx {
    /// Where the step runs.
    pub host: Host,
    /// The process environment.
    pub env: Env,
    /// The time.
    pub clock: Clock,
    /// The arguments every step shares.
    pub common: Common,
}

impl Cx {
    /// The contract's path, given or by convention.
    pub fn contract_path(&self) -> PathBuf {
        self.common
            .contract
            .clone()
            .unwrap_or_else(|| PathBuf::from("delivery.yaml"))
    }

    /// Returns true if there is a contract: one was named, or something is in its usual place.
    pub fn has_contract(&self) -> bool {
        self.common.contract.is_some() || self.contract_path().exists()
    }

    /// The contract as a whole, for what is the same in all its environments: the one that is named or whose environment is,
    /// or, for a step that `needs` one, the one that is there.
    ///
    /// # Errors
    /// It is wrong, or has no environment of the name that was given (exit 2).
    pub fn whole_contract(&self, needs: bool) -> Result<Defaults<Contract>> {
        let named = self.common.environment.is_some() || self.common.contract.is_some();
        let there = named || (needs && self.has_contract());
        if !there {
            return Ok(Defaults::None);
        }
        let contract = self.contract()?;
        if let Some(environment) = &self.common.environment {
            contract.has(environment)?;
        }
        Ok(Defaults::Contract(Box::new(contract)))
    }

    /// Reads and checks the contract.
    ///
    /// # Errors
    /// No such file, or every mistake in it (exit 2).
    pub fn contract(&self) -> Result<Contract> {
        let path = self.contract_path();
        let repository_path = paths::in_repository(self.host.kind(), &self.env, &path);
        Ok(contract::load(&path)?.at(repository_path))
    }

    /// Where the step takes what no argument gives: the contract, for the environment that was
    /// named, or nothing.
    ///
    /// # Errors
    /// A contract was named without an environment, or is wrong (exit 2).
    pub fn defaults(&self) -> Result<Defaults> {
        self.declared(|contract, environment| contract.resolve(environment, &self.env))
    }

    /// The same with everything that an infrastructure run needs.
    ///
    /// # Errors
    /// A contract was named without an environment, or is wrong (exit 2).
    pub fn defaults_all(&self) -> Result<Defaults<Complete>> {
        self.declared(|contract, environment| contract.resolve_all(environment, &self.env))
    }

    /// The same with the stack that the contract declares.
    ///
    /// # Errors
    /// A contract was named without an environment, or is wrong (exit 2).
    pub fn defaults_stack(&self) -> Result<Defaults<WithStack>> {
        self.declared(|contract, environment| contract.resolve_stack(environment, &self.env))
    }

    fn declared<T>(
        &self,
        resolve: impl FnOnce(&Contract, &str) -> Result<T>,
    ) -> Result<Defaults<T>> {
        match (&self.common.environment, &self.common.contract) {
            (Some(environment), _) => {
                let resolved = resolve(&self.contract()?, environment)?;
                Ok(Defaults::Contract(Box::new(resolved)))
            }
            (None, Some(path)) => Err(Error::usage(format!(
                "{} was given without an environment",
                path.display()
            ))
            .hint("add --environment NAME")),
            (None, None) => Ok(Defaults::None),
        }
    }
}

/// The process: parses, runs, writes, and turns the end into an exit code.
pub fn main<S: Step>() -> ExitCode {
    harden();
    let env = Env::process();
    let host = Host::detect(&env);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            host.error(
                S::ACTION.name,
                &Error::failed("cannot start the runtime").because(error),
            );
            return ExitCode::from(Exit::Failed.code());
        }
    };
    let exit = runtime.block_on(run::<S>(env, host));
    // A cancelled blocking read (standard input, DNS) must not keep the process from ending.
    runtime.shutdown_background();
    ExitCode::from(exit.code())
}

/// The clap command, every argument of which also comes as an action input or as `SLIPWAY_*`.
pub fn command<S: Step>(env: &Env) -> Command {
    arguments::command::<S::Args>(&S::ACTION, env)
}

async fn run<S: Step>(env: Env, host: Host) -> Exit {
    let command = command::<S>(&env);
    // Only the launcher starts a post step, and it gives no arguments: elsewhere one variable too
    // many would turn a gate into a step that does nothing and succeeds.
    let phase = env.get("SLIPWAY_PHASE").filter(|_| host.is_launched());
    let post = phase == Some("post");
    if phase == Some("main")
        && let Err(error) = know_inputs(&S::ACTION, &command, &env, &host)
    {
        host.error(S::ACTION.name, &error);
        return error.exit();
    }
    let argv = argv(&env, S::SHELL);
    let usage = if runs_a_command(&command, &argv) {
        ErrorKind::UsageBesideCommand
    } else {
        ErrorKind::Usage
    };
    let parsed = command
        .try_get_matches_from(argv)
        .and_then(|matches| Cli::<S::Args>::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments::<S::Args>(&S::ACTION, &host, &error, usage),
    };
    host.log_calls(cli.common.verbose);
    let cx = Cx {
        host,
        env,
        clock: Clock::System,
        common: cli.common,
    };
    let handles_signals = !post && S::handles_signals(&cli.args);
    cx.host.watch_files();
    let work = async {
        if post {
            return S::post(&cx).await.map(|()| None);
        }
        cx.host.preflight()?;
        S::run(cli.args, &cx).await.map(Some)
    };
    let done = if handles_signals {
        work.await
    } else {
        signal::unless_interrupted(work).await
    };
    let result = cx.host.check_files(done).and_then(|report| match report {
        Some(report) => cx.host.write(S::ACTION.name, &report, cx.common.json),
        None => Ok(()),
    });
    match result {
        Ok(()) => Exit::Done,
        Err(mut error) => {
            if error.kind == ErrorKind::Usage {
                error.kind = usage;
            }
            cx.host.error(S::ACTION.name, &error);
            cx.host.write_outputs(S::ACTION.name, &error.outputs);
            if cx.common.json {
                cx.host.error_json(&error);
            }
            error.exit()
        }
    }
}

/// Keeps secrets out of core dumps and away from other processes of the same user, and turns a
/// panic into one readable report and exit 70.
pub fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Both fail only in a sandbox that already forbids more than they would.
    let _ = rustix::process::setrlimit(Resource::Core, none);
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write;
        // The panic's message is left out: it may quote a value.
        let location = panic
            .location()
            .map(|location| format!("{}:{}", location.file(), location.line()))
            .unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "error: this is a bug in Slipway ({location})\n\nhint: report it at {}/issues with the command and this line",
            env!("CARGO_PKG_REPOSITORY"),
        );
        #[expect(clippy::exit, reason = "a panic must end as exit 70, not as a signal")]
        std::process::exit(Exit::Bug.code().into());
    }));
}

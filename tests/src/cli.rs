//! The command line: `cargo sandbox`, `cargo demo`, `cargo verify`, `cargo dist`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(target_arch = "x86_64")]
use crate::clock;
use crate::fault::{Context, Result};
use crate::instance::Instance;
use crate::{bench, bridge, demo, dist, exports, say, serve, steps, supervisor, verify};

/// Runs real parts on this machine that stand for AWS and GitHub.
#[derive(Debug, Parser)]
#[command(name = "sandbox", bin_name = "cargo sandbox")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install and start whatever is not there yet
    Up,
    /// End everything the sandbox started
    Down {
        /// Also while another command uses it
        #[arg(long)]
        force: bool,
    },
    /// Print the variables that lead a shell to the sandbox: eval "$(cargo sandbox env)"
    Env,
    /// Ship the example repository from a merge to production, and see refused what must be
    Demo {
        /// Whose runner ships it
        #[arg(long, value_enum, default_value_t = demo::Host::Github)]
        host: demo::Host,
    },
    /// Run everything that checks the project, or only the named steps
    Verify {
        /// Steps to run [default: all]
        steps: Vec<String>,
        /// List the steps instead
        #[arg(long, conflicts_with = "steps")]
        list: bool,
    },
    /// Measure the steps beside other tools; without a name, say what can be measured
    Bench {
        /// Benchmark to run
        #[arg(value_enum)]
        name: Option<bench::Benchmark>,
        /// Print one JSON object a row
        #[arg(long, requires = "name")]
        json: bool,
        /// Rounds that count [default: the benchmark's own]
        #[arg(long, requires = "name", value_parser = clap::value_parser!(u16).range(1..))]
        rounds: Option<u16>,
    },
    /// Build the static binaries of this machine's architecture into target/dist
    Dist,
    /// Host the stand-ins (started by `up`)
    #[command(hide = true)]
    Serve,
    /// Host DynamoDB Local in this network namespace (started by `up`)
    #[command(hide = true)]
    Dynamodb { socket: PathBuf, emulator: PathBuf },
    /// Run a command whose wall clock is wrong by as many seconds as FILE says (used by tests)
    #[cfg(target_arch = "x86_64")]
    #[command(hide = true)]
    Clock {
        file: PathBuf,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(fault) => {
            say::note(&format!("error: {fault}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    #[cfg(target_arch = "x86_64")]
    if let Command::Clock { file, command } = &command {
        return clock::run(file, command);
    }
    let instance = Instance::find()?;
    match command {
        // It needs no sandbox.
        #[cfg(target_arch = "x86_64")]
        Command::Clock { .. } => {}
        Command::Up => supervisor::up(&instance)?,
        Command::Down { force } => supervisor::down(&instance, force)?,
        Command::Env => {
            steps::build(&instance)?;
            supervisor::up(&instance)?;
            say::data(&wait(exports::shell(&instance))??);
        }
        Command::Demo { host } => {
            steps::build(&instance)?;
            let _user = supervisor::enter(&instance)?;
            wait(demo::run(&instance, host))??;
            wait(demo::in_two_regions(&instance))??;
        }
        Command::Verify { list: true, .. } => verify::list(&instance)?,
        Command::Verify { steps, .. } => return verify::run(&instance, &steps),
        Command::Bench { name: None, .. } => bench::list(),
        Command::Bench {
            name: Some(name),
            json,
            rounds,
        } => {
            let _user = supervisor::enter(&instance)?;
            wait(bench::run(&instance, name, json, rounds.map(usize::from)))??;
        }
        Command::Dist => dist::run(&instance)?,
        Command::Serve => wait(serve::run(&instance))??,
        Command::Dynamodb { socket, emulator } => wait(bridge::run(&socket, &emulator))??,
    }
    Ok(ExitCode::SUCCESS)
}

fn wait<F: Future>(future: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    Ok(runtime.block_on(future))
}

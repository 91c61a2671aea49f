//! `cargo sandbox bench`: the steps beside the tools a team would use instead, run in turns on the same machine. Figures
//! are printed and never asserted: what one machine measures says nothing about another but for the ratio.

mod build;
mod chains;
mod identity;
mod image;
mod ledger;
mod measure;
mod promote;
mod race;
mod row;
mod secrets;
mod service;
mod signed;
mod stack;
mod stage;
mod start;
mod state;
mod verdict;

use clap::ValueEnum;

use crate::fault::Result;
use crate::install;
use crate::instance::Instance;
use crate::say::{data, note};
use measure::Measure;
use race::Race;
use row::Row;
use stage::Stage;

/// The benchmarks. The file of each says what it compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// Each binary printing its version, beside an empty program in node and the AWS CLI
    Start,
    /// Whose credentials these are, beside the AWS CLI
    Identity,
    /// Building and pushing an image, for the first time and again, beside docker and skopeo
    Image,
    /// 10 and 50 parameters of SSM, beside the AWS CLI
    Secrets,
    /// The state lock taken, handed over, waited for and released, beside the AWS CLI and Terraform
    State,
    /// A deployment of ECS followed to its verdict, healthy and rolled back, beside the AWS CLI's `wait services-stable`
    Service,
    /// A small change of a stack, none, a slow and a failing one, beside `aws cloudformation deploy`
    Stack,
    /// The gate over 1, 20 and 200 pull requests, beside the same facts fetched one call after the other
    Promote,
    /// Checking, reading and appending with 1,000 and 100,000 records in a chain, beside 10, and verifying an export
    Ledger,
}

impl Benchmark {
    /// The step that is measured; `None` for all of them.
    fn step(self) -> Option<&'static str> {
        match self {
            Self::Start => None,
            Self::Identity => Some("identity"),
            Self::Image => Some("image"),
            Self::Secrets => Some("secrets"),
            Self::State => Some("state"),
            Self::Service => Some("service"),
            Self::Stack => Some("stack"),
            Self::Promote | Self::Ledger => Some("promote"),
        }
    }

    /// The measures of its rows. Memory and other tools take programs that only benchmarks install.
    fn measures(self) -> &'static [Measure] {
        match self {
            Self::Promote | Self::Ledger => &[Measure::Wall, Measure::Cpu],
            _ => &Measure::ALL,
        }
    }

    /// Returns true if it compares with tools that only benchmarks install.
    fn needs_peers(self) -> bool {
        self.measures().contains(&Measure::Peak)
    }

    async fn rows(self, stage: &Stage<'_>) -> Result<Vec<Row>> {
        let races: Vec<Race> = match self {
            Self::Start => start::races(stage)?,
            Self::Identity => identity::races(stage),
            // Every push needs a registry of its own, which no race has.
            Self::Image => return image::rows(stage).await,
            // A range races against a script in a world of its own.
            Self::Promote => return promote::rows(stage).await,
            // A long chain races against a short one.
            Self::Ledger => return ledger::rows(stage).await,
            // The event that ends a deployment comes when the sandbox is ready for it.
            Self::Service => return service::rows(stage).await,
            Self::Stack => return stack::rows(stage).await,
            Self::Secrets => secrets::races(stage).await?,
            Self::State => state::races(stage).await?,
        };
        let mut rows = Vec::new();
        for race in races {
            rows.extend(race.run(stage.rounds)?);
        }
        // A hand-over and a crowd are not races of two commands.
        if matches!(self, Self::State) {
            rows.extend(state::rows(stage).await?);
        }
        Ok(rows)
    }
}

/// Prints what can be measured.
pub(crate) fn list() {
    for value in Benchmark::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
    {
        let about = value.get_help().map(ToString::to_string);
        data(&format!(
            "{:<10} {}",
            value.get_name(),
            about.unwrap_or_default()
        ));
    }
}

/// Runs a benchmark on the running sandbox: a table, or with `json` a row a line.
pub(crate) async fn run(
    instance: &Instance,
    benchmark: Benchmark,
    json: bool,
    rounds: Option<usize>,
) -> Result<()> {
    if benchmark.needs_peers() {
        install::peers(instance)?;
    }
    let stage = Stage::open(instance, benchmark.step(), rounds).await?;
    note(&format!("measured: {}", stage.build));
    note(&format!(
        "an empty program: {}",
        race::floor(benchmark.measures())?
    ));
    let rows = benchmark.rows(&stage).await?;
    note(&load());
    let lines = if json {
        rows.iter().map(Row::json).collect()
    } else {
        row::table(&rows)
    };
    for line in lines {
        data(&line);
    }
    Ok(())
}

/// How busy the machine was. Somebody else's work delays long programs more than short ones.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let busy = load
        .parse::<f64>()
        .is_ok_and(|load| load > processors as f64);
    let verdict = if busy {
        ": BUSY, wall ratios flatter whoever is quicker; CPU ratios hold"
    } else {
        ""
    };
    format!("load {load} on {processors} processors{verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_says_what_it_measures_beside_what() {
        for benchmark in Benchmark::value_variants() {
            let value = benchmark.to_possible_value().unwrap();
            let about = value.get_help().expect("a description").to_string();
            assert!(about.contains("beside"), "{}", value.get_name());
        }
    }
}

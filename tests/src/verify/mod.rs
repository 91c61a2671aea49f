//! `cargo verify`: runs everything that checks the project, what can run side by side side by side, each step with its log.

mod again;
mod alone;
mod busy;
mod end;
mod failures;
mod hang;
mod run;
mod steps;
mod times;

use std::process::ExitCode;
use std::time::Instant;

use crate::fault::{Fault, Result};
use crate::instance::Instance;
use crate::say::{data, note, seconds};
use crate::users;
use busy::Processors;
use run::{Outcome, Runner};
use steps::{Needs, Step, stages};
use times::Test;

/// How many of the slowest tests are named.
const SLOWEST: usize = 20;

/// Writes what `run` can be asked for.
pub(crate) fn list(instance: &Instance) -> Result<()> {
    for (index, stage) in stages(instance)?.iter().enumerate() {
        for step in stage {
            let demand = if step.on_demand {
                " (only if named)"
            } else {
                ""
            };
            let (number, name, about) = (index + 1, step.name, step.about);
            data(&format!("{number} {name:<12} {about}{demand}"));
        }
    }
    note("\nSteps with the same number run side by side. cargo verify STEP... runs only those.");
    Ok(())
}

/// Runs the steps of these names, or all of them. A step that fails does not keep the others from running.
pub(crate) fn run(instance: &Instance, wanted: &[String]) -> Result<ExitCode> {
    let (began, processors) = (Instant::now(), Processors::now());
    let stages = selected(stages(instance)?, wanted)?;
    end::watch()?;
    // Another checkout must not end the machine's Docker Engine while tests use it.
    let _engine = users::of_engine()?;
    let runner = Runner::new(instance);
    let mut outcomes: Vec<(&str, Outcome)> = Vec::new();
    for stage in &stages {
        let unbuilt = outcomes
            .iter()
            .any(|(name, outcome)| *name == "build" && !matches!(outcome, Outcome::Passed(_)));
        if unbuilt {
            let why = "not run, because the build failed";
            outcomes.extend(stage.iter().map(|step| {
                note(&format!("{:<12} {why}", step.name));
                (step.name, Outcome::NotRun)
            }));
            continue;
        }
        let wants_sandbox = |step: &Step| step.needs == Needs::Sandbox;
        let later = stages.iter().flatten().any(wants_sandbox) && !stage.iter().any(wants_sandbox);
        std::thread::scope(|scope| -> Result<()> {
            if later {
                scope.spawn(|| runner.install());
            }
            let running: Vec<_> = stage
                .iter()
                .map(|step| (step.name, scope.spawn(|| runner.step(step))))
                .collect();
            for (name, thread) in running {
                let outcome = thread.join();
                let outcome = outcome.map_err(|_| Fault::new(format!("{name}: a bug")))?;
                outcomes.push((name, outcome));
            }
            Ok(())
        })?;
    }
    slowest(&outcomes);
    let mut took = seconds(began.elapsed());
    if let Some(busy) = busy::since(processors) {
        took.push_str(&format!(", {busy}"));
    }
    note(&format!("\nverified in {took}"));
    if !wanted.is_empty() {
        note("only the named steps ran; cargo verify runs all");
    }
    // Again at the end, which is where people look first, and what services keep of a long log.
    for (name, outcome) in &outcomes {
        let (end, summary) = match outcome {
            Outcome::Failed(_, summary) => ("failed", summary),
            Outcome::Unsteady(_, summary) => ("failed first and passed by itself", summary),
            Outcome::Passed(_) | Outcome::NotRun => continue,
        };
        note(&format!("{end}: {name}, see target/verify/{name}.log"));
        summary.iter().for_each(|line| note(&format!("  {line}")));
    }
    let (line, passed) = verdict(&outcomes);
    data(&line);
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Keeps the steps that were asked for, in their own order.
fn selected(stages: Vec<Vec<Step>>, wanted: &[String]) -> Result<Vec<Vec<Step>>> {
    let names: Vec<&str> = stages.iter().flatten().map(|step| step.name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(
            Fault::new(format!("`{unknown}` is not a step of cargo verify"))
                .hint(format!("the steps are {}", names.join(", "))),
        );
    }
    let keep = |step: &Step| {
        let named = wanted.iter().any(|name| name == step.name);
        named || (wanted.is_empty() && !step.on_demand)
    };
    Ok(stages
        .into_iter()
        .map(|stage| stage.into_iter().filter(keep).collect::<Vec<_>>())
        .filter(|stage| !stage.is_empty())
        .collect())
}

/// Names the tests that took longest, of all steps together.
fn slowest(outcomes: &[(&str, Outcome)]) {
    let mut tests: Vec<&Test> = outcomes
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Passed(tally) | Outcome::Unsteady(tally, _) | Outcome::Failed(tally, _) => {
                Some(&tally.tests)
            }
            Outcome::NotRun => None,
        })
        .flatten()
        .collect();
    tests.sort_by_key(|test| std::cmp::Reverse(test.time));
    if tests.is_empty() {
        return;
    }
    note("\nthe slowest tests:");
    for test in tests.iter().take(SLOWEST) {
        note(&format!("{:>9}  {}", seconds(test.time), test.name));
    }
}

/// Counts the steps, and whether all passed. One that did not run is as bad as one that failed.
fn verdict(outcomes: &[(&str, Outcome)]) -> (String, bool) {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, one)| is(one)).count();
    let passed = count(|one| matches!(one, Outcome::Passed(_) | Outcome::Unsteady(..)));
    let failed = count(|one| matches!(one, Outcome::Failed(..)));
    let not_run = count(|one| matches!(one, Outcome::NotRun));
    let mut line = format!("{passed} passed, {failed} failed");
    if not_run > 0 {
        line.push_str(&format!(", {not_run} not run"));
    }
    let unsteady: usize = outcomes.iter().map(|(_, one)| one.unsteady()).sum();
    if unsteady > 0 {
        line.push_str(&format!(", {unsteady} unsteady"));
    }
    (line, passed > 0 && passed == outcomes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn only_known_steps_can_be_asked_for_and_keep_their_order() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let instance = Instance::of(checkout, &checkout.join("target"));
        let names = |wanted: &[&str]| -> Result<Vec<Vec<&str>>> {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let stages = selected(stages(&instance)?, &wanted)?;
            Ok(stages
                .iter()
                .map(|stage| stage.iter().map(|step| step.name).collect())
                .collect())
        };
        assert_eq!(
            names(&["e2e", "zizmor", "format"]).unwrap(),
            [vec!["format", "zizmor"], vec!["e2e"]]
        );
        let all = names(&[]).unwrap();
        for on_demand in ["advisories", "alone", "release"] {
            assert!(!all.concat().contains(&on_demand), "{all:?}");
        }
        assert_eq!(all[1..], [vec!["standins", "unit"], vec!["e2e", "clippy"]]);
        let fault = names(&["lint"]).unwrap_err().to_string();
        assert!(fault.contains("`lint` is not a step"), "{fault}");
        assert!(fault.contains("zizmor, "), "{fault}");
    }

    #[test]
    fn only_steps_that_ran_and_passed_make_a_success() {
        let tally = times::Tally::default;
        let passed = || ("a", Outcome::Passed(tally()));
        let (line, success) = verdict(&[passed(), passed()]);
        assert_eq!((line.as_str(), success), ("2 passed, 0 failed", true));
        let (line, success) = verdict(&[passed(), ("b", Outcome::NotRun)]);
        let expected = ("1 passed, 0 failed, 1 not run", false);
        assert_eq!((line.as_str(), success), expected);
        let (line, success) = verdict(&[passed(), ("b", Outcome::Failed(tally(), Vec::new()))]);
        assert_eq!((line.as_str(), success), ("1 passed, 1 failed", false));
        let unsteady = Outcome::Unsteady(tally(), vec!["a::b: slow".to_owned()]);
        let (line, success) = verdict(&[passed(), ("b", unsteady)]);
        let expected = ("2 passed, 0 failed, 1 unsteady", true);
        assert_eq!((line.as_str(), success), expected);
        assert!(!verdict(&[]).1);
    }
}

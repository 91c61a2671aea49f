//! Every benchmark in its smallest form: it ends and prints its rows. No figure is asserted.

use std::process::Command;

use serde_json::Value;

use crate::support::{Started, TIMEOUT, heavy, instance};

/// The benchmarks that run here, each with the variable that names its smallest size.
const SMALLEST: [(&str, &str, &str); 2] = [
    ("promote", "SLIPWAY_PULL_REQUESTS", "1"),
    ("ledger", "SLIPWAY_RECORDS", "20"),
];

/// The benchmarks that do not run here, and why.
const LEFT_OUT: [(&str, &str); 7] = [
    ("start", AWS_CLI),
    ("identity", AWS_CLI),
    ("secrets", AWS_CLI),
    ("state", AWS_CLI),
    ("service", AWS_CLI),
    ("stack", AWS_CLI),
    (
        "image",
        "it pushes hundreds of MiB to two engines with each tool, for minutes, and measures memory with a tool that only benchmarks \
         install",
    ),
];

/// Why a benchmark that compares with the AWS CLI is left out.
const AWS_CLI: &str = "it compares with the AWS CLI, which only `cargo sandbox bench` installs and no other check needs";

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    command.arg("bench").args(arguments);
    command
}

#[test]
fn each_benchmark_runs_here_or_is_left_out_for_a_reason() {
    let listed = bench(&[]).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut listed: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let run = SMALLEST.iter().map(|(name, ..)| *name);
    let left_out = LEFT_OUT.iter().map(|(name, _)| *name);
    let mut known: Vec<&str> = run.chain(left_out).collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn the_smallest_form_of_a_benchmark_prints_its_rows() {
    instance();
    let _turn = heavy();
    for (name, variable, size) in SMALLEST {
        let mut command = bench(&[name, "--json", "--rounds", "1"]);
        let ended = Started::new(command.env(variable, size)).end(TIMEOUT);
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{name}: {errors}");
        let rows = String::from_utf8(ended.stdout).unwrap();
        assert!(!rows.is_empty(), "{name}: {errors}");
        for row in rows.lines() {
            let row: Value = serde_json::from_str(row).unwrap();
            assert!(row["work"].is_string(), "{name}: {row}");
        }
    }
}

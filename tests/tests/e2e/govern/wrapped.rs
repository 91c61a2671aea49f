//! Plans by a Terraform behind the wrapper that setup-terraform installs by default: it prints commands for the runner on
//! the same standard output, and turns the exit code that says "something to apply" into 0.

use super::*;

/// The part of setup-terraform 3's `wrapper/terraform.js` that matters here, and the line that older versions print before the output.
const WRAPPER: &str = r#"#!/bin/sh
echo "[command]/opt/terraform-bin $*"
"$REAL" "$@"
code=$?
printf '\n::set-output name=stdout::{"not": "this"}\n\n::set-output name=exitcode::%s\n' "$code"
[ "$code" = 2 ] && exit 0
exit "$code"
"#;

#[test]
fn a_plan_and_its_drift_are_read_through_setup_terraforms_wrapper() {
    let state = Governed::new("wrapped");
    let job = state.job("shop.example");
    let bin = job.file("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = instance().bin().join("terraform").display().to_string();
    step_job::program(&bin.join("terraform"), &WRAPPER.replace("$REAL", &real));
    let path = format!(
        "{}:{}",
        bin.display(),
        state.world.variables(instance())["PATH"]
    );
    let step = |arguments: &[&str], exit: i32| {
        let mut step = state.step(&job, arguments);
        let ended = job.run(step.env("PATH", &path));
        assert_eq!(ended.status.code(), Some(exit), "{}", log(&ended));
        ended
    };
    let planned = step(&["plan", "--json"], 0);
    let planned: Value = serde_json::from_slice(&planned.stdout).unwrap();
    assert_eq!(
        planned["changes"].as_array().map(Vec::len),
        Some(2),
        "{planned}"
    );
    step(&["apply", "--plan", planned["plan"].as_str().unwrap()], 0);
    step(&["drift"], 0);
    assert_eq!(state.lock(), None);
}

//! Plans with the newer Terraform, and between the two.

use super::*;

/// A folder in which `terraform` is the newer one, in front of a job's PATH.
fn path(job: &Job, state: &Governed) -> String {
    let bin = job.file("bin");
    std::fs::create_dir(&bin).unwrap();
    let newer = instance().bin().join("terraform-newer");
    std::os::unix::fs::symlink(newer, bin.join("terraform")).unwrap();
    format!(
        "{}:{}",
        bin.display(),
        state.world.variables(instance())["PATH"]
    )
}

#[test]
fn a_plan_of_the_newer_terraform_is_applied_by_it_and_by_no_other() {
    let state = Governed::new("newer");
    let older = state.job("shop.example");
    let plan = state.planned(&older);
    state.run_json(&older, &["apply", "--plan", &plan]);

    let newer = state.job("new.example");
    let path = path(&newer, &state);
    let step = |arguments: &[&str], exit: i32| {
        let mut step = state.step(&newer, arguments);
        let ended = newer.run(step.env("PATH", &path));
        assert_eq!(ended.status.code(), Some(exit), "{}", log(&ended));
        ended
    };
    let planned = step(&["plan", "--json"], 0);
    let planned: Value = serde_json::from_slice(&planned.stdout).unwrap();
    let plan = planned["plan"].as_str().unwrap();
    let same = state.job("new.example");
    let refused = state.refused(&same, &["apply", "--plan", plan]);
    assert!(refused.contains("planned with terraform 1.15"), "{refused}");
    step(&["apply", "--plan", plan], 0);
    // The state is the newer one's now; drift is looked for with it as well.
    step(&["drift"], 0);
    assert_eq!(state.lock(), None);
}

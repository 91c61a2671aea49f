//! Commits of one content: the image of the first is the others' too, wherever it goes.

use crate::ecr::Setting;
use crate::job::Job;
use crate::support::{PATIENCE, log, place, wait};

/// A job in another environment's stage, beside the same contract.
fn stage(setting: &Setting, environment: &str) -> Job {
    let world = &setting.world;
    let keys = wait(
        PATIENCE,
        world.codebuild_session(place(), environment, "e2e"),
    );
    let mut variables = world.variables(place());
    variables.extend(world.repository_variables());
    variables.extend(world.environment_variables(world.environment(environment).unwrap()));
    variables.extend(keys.unwrap().variables());
    let job = Job::new(variables);
    std::fs::copy(setting.job.file("delivery.yaml"), job.file("delivery.yaml")).unwrap();
    job
}

/// A promotion takes a while. A commit that changes nothing in the image may come to the first environment meanwhile, and is
/// then the newest there that has this digest.
#[test]
fn a_digest_is_any_commits_that_it_was_recorded_with_before() {
    let setting = Setting::new("content");
    let staging = stage(&setting, "staging");
    let digest = format!("sha256:{}", "d".repeat(64));
    let [first, second, never] = ["1", "2", "3"].map(|digit| digit.repeat(40));
    let record = |job: &Job, environment: &str, commit: &str, exit: i32| {
        let arguments = [
            "record",
            "--environment",
            environment,
            "--digest",
            &digest,
            "--commit",
            commit,
            "--verdict",
            "failed",
        ];
        let ended = job.run(&mut job.command("slipway-promote", &arguments));
        let said = log(&ended);
        assert_eq!(
            ended.status.code(),
            Some(exit),
            "{environment} {commit}: {said}"
        );
        said
    };
    for commit in [&first, &second] {
        record(&setting.job, "dev", commit, 0);
    }
    for commit in [&first, &second] {
        record(&staging, "staging", commit, 0);
    }
    let refused = record(&staging, "staging", &never, 3);
    let said = format!("dev has this digest from commit {second}, not {never}");
    assert!(refused.contains(&said), "{refused}");
}

//! Commits of one content: the image of the first is the others' too, wherever it goes.

use sandbox::instance::port;
use sandbox::world::World;
use serde_json::json;

use crate::ecr::Setting;
use crate::job::Job;
use crate::support::{TIMEOUT, instance, log, wait};

/// A job in another environment's stage, beside the same contract.
pub(crate) fn stage(setting: &Setting, environment: &str) -> Job {
    let world = &setting.world;
    let keys = wait(
        TIMEOUT,
        world.codebuild_session(instance(), environment, "e2e"),
    );
    let mut variables = world.variables(instance());
    variables.extend(world.repository_variables());
    variables.extend(world.environment_variables(world.environment(environment).unwrap()));
    variables.extend(keys.unwrap().variables());
    variables.insert("GITHUB_REPOSITORY".to_owned(), world.repository.clone());
    // GitHub is asked for everything else, which is not what this is about.
    variables.insert("GITHUB_TOKEN".to_owned(), "ghs_nobodys".to_owned());
    variables.insert("GITHUB_API_URL".to_owned(), instance().url(port::GITHUB));
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
        let stderr = log(&ended);
        assert_eq!(
            ended.status.code(),
            Some(exit),
            "{environment} {commit}: {stderr}"
        );
        stderr
    };
    for commit in [&first, &second] {
        record(&setting.job, "dev", commit, 0);
    }
    for commit in [&first, &second] {
        record(&staging, "staging", commit, 0);
    }
    let refused = record(&staging, "staging", &never, 3);
    let stderr = format!("dev has this digest from commit {second}, not {never}");
    assert!(refused.contains(&stderr), "{refused}");
}

/// A build writes the notes itself, so a check shows them and no rule depends on them, even where they are nonsense.
#[test]
fn a_check_names_the_commit_an_image_was_built_for_and_rests_on_nothing_of_it() {
    let setting = Setting::new("built-for");
    let staging = stage(&setting, "staging");
    let [first, second] = ["1", "2"].map(|digit| digit.repeat(40));
    let table = World::LEDGER;
    for (fill, noted, expected) in [
        (
            "a",
            json!({
                "service": "storefront", "digest": format!("sha256:{}", "a".repeat(64)), "commit": second,
                "key": "c".repeat(64), "first_commit": first, "at": "2026-11-21T18:00:00Z",
            }),
            format!("built for commit {first}, which has the same content"),
        ),
        (
            "b",
            json!("nonsense"),
            "cannot determine the commit that the image was built for".to_owned(),
        ),
    ] {
        let digest = format!("sha256:{}", fill.repeat(64));
        let record = [
            "record",
            "--environment",
            "dev",
            "--digest",
            &digest,
            "--commit",
            &second,
            "--verdict",
            "failed",
        ];
        let recorded = setting
            .job
            .run(&mut setting.job.command("slipway-promote", &record));
        assert_eq!(recorded.status.code(), Some(0), "{}", log(&recorded));
        let item = json!({
            "chain": {"S": format!("content#storefront#{digest}")},
            "seq": {"N": "1"},
            "content": {"S": noted.to_string()},
        });
        let put = json!({"TableName": table, "Item": item});
        let put = setting
            .aws
            .json("dynamodb", "DynamoDB_20120810.PutItem", &put);
        wait(TIMEOUT, put).unwrap().unwrap();
        let check = ["check", "--environment", "staging", "--digest", &digest];
        let ended = staging.run(&mut staging.command("slipway-promote", &check));
        let text = format!("{}{}", String::from_utf8_lossy(&ended.stdout), log(&ended));
        assert!(text.contains(&expected), "{text}");
        // The record refuses, not the note.
        assert_eq!(ended.status.code(), Some(3), "{text}");
        assert!(
            text.contains("its newest record in dev is failed"),
            "{text}"
        );
    }
}

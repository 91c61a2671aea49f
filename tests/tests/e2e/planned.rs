//! A promotion with an infrastructure plan that people approved by its ID, on both hosts, by what the example and the buildspecs ship.

use sandbox::codebuild::chain::planned;
use sandbox::demo;
use sandbox::runner::act::{self, Trigger};
use sandbox::runner::base;
use sandbox::runner::export::export;
use sandbox::runner::ledger::{row, status, verify};
use sandbox::runner::story::{
    AUTHOR, RELEASER, REVIEWER, Story, contract_with_plans, git_folder, known,
};
use sandbox::world::World;

use crate::support::{TIMEOUT, heavy, instance, read, wait, world};

const STAGING: &str = "staging";

/// A world in which staging's infrastructure may read the ledger, and the base image of the example is known.
async fn prepared(what: &str) -> (World, Story) {
    let instance = instance();
    let mut world = world(what).await;
    world.serve(instance).await.unwrap();
    let image = base::image(instance).await.unwrap();
    world.extra.insert("NODE_IMAGE".to_owned(), image);
    let environment = world.environment(STAGING).unwrap();
    let reads = world.infrastructure_reads_ledger(instance, environment);
    reads.await.unwrap();
    let story = Story::begin(instance, &world).await.unwrap();
    (world, story)
}

/// Staging runs the commit, its newest record is healthy, and every decision about it can be made again.
async fn runs_in_staging(world: &World, commit: &str) {
    let checkout = tempfile::tempdir().unwrap();
    let clone = std::process::Command::new("git")
        .args(["clone", "--quiet"])
        .arg(git_folder(instance(), world))
        .arg(checkout.path())
        .output()
        .unwrap();
    assert!(clone.status.success(), "{clone:?}");
    let ledger = status(instance(), world, checkout.path()).await.unwrap();
    let record = row(&ledger, STAGING).unwrap();
    assert_eq!(record["commit"], commit, "{record}");
    assert_eq!(record["verdict"], "healthy", "{record}");
    let found = verify(instance(), world, checkout.path(), STAGING).await;
    let found = &found.unwrap()["decisions"];
    assert_eq!(found["followed"], found["permits"], "{found}");
}

/// The example's own promote.yml and approve.yml.
#[test]
fn the_examples_promotion_applies_the_plan_that_was_approved_by_its_id() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let (world, story) = prepared("planned").await;
        let export = export(instance).unwrap();
        let example = instance.checkout.join("docs/examples/storefront");
        let contract = contract_with_plans(&read(&example.join("delivery.yaml"))).unwrap();
        let contract = format!("{contract}\npeople:\n{}", known([REVIEWER, RELEASER]));
        let files = [("delivery.yaml", contract.as_str())];
        let title = "Approve plans";
        let commit = story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        let run = async |person: &str, workflow: &str, inputs: &[(&str, &str)]| {
            let inputs = [&[("environment", STAGING)], inputs].concat();
            let trigger = match workflow {
                "deliver.yml" => Trigger::push(person, workflow),
                _ => Trigger::dispatch(person, workflow, &inputs),
            };
            let hub = &story.hub;
            let ended = act::run(instance, &world, hub, &export, &trigger, &mut |_| {}).await;
            ended.unwrap()
        };
        let succeeds = async |person: &str, workflow: &str, inputs: &[(&str, &str)]| {
            let ended = run(person, workflow, inputs).await;
            assert!(ended.success, "{workflow} {inputs:?}:\n{}", ended.log.text);
            ended
        };
        succeeds(REVIEWER, "deliver.yml", &[]).await;

        // The plan is made and shown, and nobody has approved it.
        let new = [("plan", "new")];
        let refused = run(RELEASER, "promote.yml", &new).await;
        assert!(!refused.success, "{}", refused.log.text);
        let ended = |job: &str| refused.log.jobs.get(job).map(String::as_str);
        let jobs = ["check", "plan", "gate"].map(ended);
        assert_eq!(jobs, [Some("success"), Some("success"), Some("failure")]);
        let output = |job: &str, name: &str| {
            let key = (job.to_owned(), job.to_owned(), name.to_owned());
            refused.log.outputs[&key].clone()
        };
        let (digest, plan) = (output("check", "digest"), output("plan", "plan-id"));
        let summary = &refused.log.summary;
        for piece in [plan.as_str(), "nobody has asked for the 1 approval"] {
            assert!(summary.contains(piece), "no {piece} in {summary}");
        }

        let (digest, plan) = (digest.as_str(), plan.as_str());
        let request = [
            ("command", "request"),
            ("digest", digest),
            ("plan", plan),
            ("reason", "the new prices"),
        ];
        let asked = succeeds(RELEASER, "approve.yml", &request).await;
        let said = "request 1 of storefront in staging written";
        assert!(asked.log.text.contains(said), "{}", asked.log.text);
        let approve = [("command", "approve"), ("request", "1"), ("digest", digest)];
        succeeds(REVIEWER, "approve.yml", &approve).await;

        let approved = [("digest", digest), ("plan", plan)];
        let promoted = succeeds(RELEASER, "promote.yml", &approved).await;
        let log = &promoted.log;
        assert!(
            !log.jobs.contains_key("plan") || log.jobs["plan"] != "success",
            "{:?}",
            log.jobs
        );
        for piece in [&format!("applying plan {plan}"), ", under permit "] {
            assert!(log.text.contains(piece), "no {piece} in {}", log.text);
        }
        assert!(
            !log.text.contains("terraform apply -auto-approve"),
            "{}",
            log.text
        );
        runs_in_staging(&world, &commit).await;
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

/// The buildspecs.
#[test]
fn the_buildspecs_apply_the_plan_that_was_approved_by_its_id() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let (world, story) = prepared("planned-codebuild").await;
        let shipped = planned::ship(instance, &world, &story).await.unwrap();
        let log = &shipped.applied.log;
        for piece in [
            &format!("applying plan {}", shipped.plan),
            ", under permit ",
        ] {
            assert!(log.contains(piece), "no {piece} in {log}");
        }
        runs_in_staging(&world, &shipped.commit).await;
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

//! The demo by GitHub Actions, and what it leaves on record: in AWS, on GitHub, in the ledger, on the runs' pages.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sandbox::demo::{Host, Ran};
use sandbox::runner::hub::Hub;
use sandbox::runner::ledger::{row, status};
use serde_json::{Value, json};

use crate::chains;
use crate::record::{self, calls, images, pushed};
use crate::support::{TIMEOUT, demo, instance, read, wait};

fn ran() -> &'static Ran {
    demo(Host::Github)
}

/// The runs that deploy before the refused ones: the merge, the two promotions, the second merge.
const BEFORE: usize = 4;
/// Those after them: the second promotion, the break-glass, and the rollback, during which GitHub did not answer.
const AFTER: usize = 3;

/// A run's description and its folder.
type Run = &'static (String, PathBuf);

/// The runs that deploy, and those that are refused.
fn by_success() -> (Vec<Run>, Vec<Run>) {
    let runs = &ran().shipped.runs;
    let last = runs.len() - AFTER;
    let all = runs.iter().enumerate();
    let (deployed, refused): (Vec<_>, Vec<_>) =
        all.partition(|(index, _)| *index < BEFORE || *index >= last);
    let only = |runs: Vec<(usize, Run)>| runs.into_iter().map(|(_, run)| run);
    (only(deployed).collect(), only(refused).collect())
}

#[test]
fn every_call_is_made_in_the_account_and_by_the_role_of_its_purpose() {
    let ran = ran();
    let calls = wait(TIMEOUT, calls(&ran.world));
    record::keeps_to_the_contract(&ran.world, &calls, &[]);
}

#[test]
fn no_step_lacks_a_permission() {
    let ran = ran();
    wait(TIMEOUT, async {
        record::nothing_was_denied(&calls(&ran.world).await);
    });
}

/// A session is named after the run and the person, so that an account's own trail leads back to both.
#[test]
fn every_session_is_named_after_its_run_and_the_person_who_started_it() {
    let ran = ran();
    let calls = wait(TIMEOUT, calls(&ran.world));
    let runs: BTreeSet<String> = ran
        .shipped
        .runs
        .iter()
        .map(|(_, folder)| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            name.replacen("run-", "gh-", 1)
        })
        .collect();
    let mut seen = BTreeSet::new();
    for call in record::deliveries(&calls) {
        let (Some(session), Some(role)) = (&call.session, call.role()) else {
            continue;
        };
        if role.ends_with("-execution") {
            assert_eq!(session, "ecs", "{call:?}");
            continue;
        }
        let run = session.splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
        assert!(runs.contains(&run), "{call:?} is of no run in {runs:?}");
        let person = session.rsplit('-').next().unwrap_or_default();
        assert!(["grace", "linus"].contains(&person), "{call:?}");
        seen.insert(run);
    }
    // The run on an unmerged branch gets no session at all.
    assert_eq!(seen.len(), runs.len() - 1, "{seen:?}");
}

#[test]
fn no_job_calls_github_beyond_its_permissions() {
    let ran = ran();
    let hub = Hub::new(instance(), &ran.world.repository).unwrap();
    let calls = wait(TIMEOUT, hub.calls()).unwrap();
    let of_runs: Vec<&Value> = calls
        .iter()
        .filter(|call| {
            call["caller"]
                .as_str()
                .is_some_and(|caller| caller.starts_with("run "))
        })
        .collect();
    assert!(of_runs.len() > BEFORE + AFTER, "{calls:?}");
    // REST does not return a commit's co-authors, so the steps ask GraphQL.
    assert!(of_runs.iter().any(|call| call["path"] == "/graphql"));
    let refused: Vec<&Value> = of_runs
        .into_iter()
        .filter(|call| {
            call["status"] == 403
                || call["permission"]
                    .as_str()
                    .is_none_or(|permission| permission.starts_with("refused"))
        })
        .collect();
    assert_eq!(refused, [&json!(null); 0]);
}

#[test]
fn two_builds_make_what_three_environments_run() {
    let ran = ran();
    let (world, shipped) = (&ran.world, &ran.shipped);
    wait(TIMEOUT, async {
        let calls = calls(world).await;
        let commits = [shipped.first.as_str(), shipped.second.as_str()];
        assert_eq!(pushed(&calls), images(world, &commits).await);

        let (_, folder) = shipped.runs.last().unwrap();
        let ledger = status(instance(), world, &folder.join("repository"))
            .await
            .unwrap();
        let digest = |environment: &str| {
            let record = row(&ledger, environment).unwrap();
            record["digest"].as_str().unwrap().to_owned()
        };
        assert_eq!(digest("dev"), digest("staging"));
        assert_ne!(digest("staging"), digest("production"));
        for environment in &world.environments {
            let running = running(world, environment).await;
            assert!(
                running.ends_with(&format!("@{}", digest(&environment.name))),
                "{} runs {running}, the ledger says {}",
                environment.name,
                digest(&environment.name)
            );
        }
        // Production runs the very image that the first merge built, not another build of the same commit.
        let built = outputs(&shipped.runs[0].1);
        assert_eq!(built, digest("production"));
    });
}

/// GitHub's pages of the environments tell what the ledger tells, and keep its hashes elsewhere.
#[test]
fn every_record_has_one_deployment_on_github_and_only_the_last_is_live() {
    let ran = ran();
    let world = &ran.world;
    wait(TIMEOUT, async {
        let mut all = 0;
        for environment in &world.environments {
            let records = chains::records(world, &environment.name).await;
            let mirrors = chains::mirrors(world, &environment.name).await;
            let mut states = Vec::new();
            for (record, hash) in &records {
                if !["healthy", "failed", "rolled_back"]
                    .contains(&record["verdict"].as_str().unwrap())
                {
                    continue;
                }
                all += 1;
                // GitHub did not answer when the rollback was recorded.
                if record["rollback"].is_object() {
                    continue;
                }
                states.push(chains::state_of(&mirrors, record, hash));
            }
            let live = states.pop();
            assert_eq!(live, Some("success"), "{}", environment.name);
            assert!(
                states.iter().all(|state| *state == "inactive"),
                "{states:?}"
            );
        }
        assert_eq!(all, BEFORE + AFTER);
    });
}

#[test]
fn production_gets_three_pull_requests_that_two_people_approved() {
    wait(TIMEOUT, chains::production_took_a_range(&ran().world));
}

#[test]
fn every_record_is_signed_and_anchored_and_every_decision_can_be_made_again() {
    wait(TIMEOUT, chains::all_are_sound(ran()));
}

#[test]
fn every_run_has_a_summary_that_says_what_came_where() {
    let (deployed, refused) = by_success();
    let built = outputs(&deployed[0].1);
    for (title, folder) in &deployed {
        let summary = read(&folder.join("summary.md"));
        for piece in ["### Service storefront: deployed", " written"] {
            assert!(summary.contains(piece), "{title}: no {piece} in\n{summary}");
        }
        let back = title.starts_with("roll");
        assert_eq!(summary.contains("### State"), !back, "{title}:\n{summary}");
    }
    let back = deployed.last().unwrap();
    for (title, folder) in [deployed[1], deployed[2], *back] {
        let summary = read(&folder.join("summary.md"));
        assert!(
            summary.contains(&built),
            "{title}: no {built} in\n{summary}"
        );
    }
    for (title, folder) in refused {
        let summary = read(&folder.join("summary.md"));
        assert!(!summary.contains(" written"), "{title}:\n{summary}");
    }
}

/// The image in the task definition of the service's one running deployment.
async fn running(
    world: &sandbox::world::World,
    environment: &sandbox::world::Environment,
) -> String {
    let aws = world
        .administrator(instance(), &environment.account)
        .await
        .unwrap();
    let ecs = async |operation: &str, input: Value| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        aws.json("ecs", &target, &input).await.unwrap().unwrap()
    };
    let cluster = environment.cluster(&world.service);
    let input = json!({"cluster": cluster, "services": [world.service]});
    let service = ecs("DescribeServices", input).await["services"][0].clone();
    assert_eq!(
        service["deployments"].as_array().unwrap().len(),
        1,
        "{service}"
    );
    assert_eq!(service["runningCount"], 1, "{service}");
    let input = json!({"taskDefinition": service["taskDefinition"]});
    let definition = ecs("DescribeTaskDefinition", input).await;
    let image = &definition["taskDefinition"]["containerDefinitions"][0]["image"];
    image.as_str().unwrap().to_owned()
}

/// The digest that a delivery says it published, from its summary.
fn outputs(folder: &std::path::Path) -> String {
    let summary = read(&folder.join("summary.md"));
    let line = summary.lines().find(|line| line.starts_with("| digest |"));
    let digest = line.unwrap().trim_matches(['|', ' ']).rsplit(' ').next();
    digest.unwrap().to_owned()
}

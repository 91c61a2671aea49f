//! The documented workflow of a repository for approvals, run by act: people without access to the code answer there.

use std::path::Path;

use sandbox::demo;
use sandbox::runner::act::{self, Trigger};
use sandbox::runner::export::{Export, export};
use sandbox::runner::hub::Hub;
use sandbox::runner::story::{
    AUTHOR, RELEASER, REVIEWER, Story, known, repository_folder, unproven,
};
use sandbox::world::World;
use serde_json::json;

use super::healthy_in;
use crate::gate::elsewhere::documented;
use crate::support::{TIMEOUT, heavy, instance, read, wait, world};

/// Approves promotions and has no access to the code.
const APPROVER: &str = "dora";

const TOKEN: &str = "CONTRACT_TOKEN";

/// A repository that has nothing but the documented workflow.
async fn repository(world: &World, export: &Export, name: &str) -> Hub {
    let bare = repository_folder(instance(), world, name);
    let folder = tempfile::tempdir().unwrap();
    let git = |folder: &Path, arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        let ended = command.args(arguments).current_dir(folder).status();
        assert!(ended.unwrap().success(), "{arguments:?}");
    };
    let workflow = folder.path().join(".github/workflows/approve.yml");
    std::fs::create_dir_all(workflow.parent().unwrap()).unwrap();
    let text = documented(&world.repository).replace("COMMIT", &export.pin);
    std::fs::write(workflow, text).unwrap();
    git(folder.path(), &["init", "--quiet", "-b", "main"]);
    git(folder.path(), &["add", "--all"]);
    let (name_of, email) = ("user.name=dora", "user.email=dora@acme.example");
    let commit = ["-c", name_of, "-c", email, "commit", "-qm", "Approvals"];
    git(folder.path(), &commit);
    let target = bare.display().to_string();
    git(folder.path(), &["clone", "--quiet", "--bare", ".", &target]);
    let hub = Hub::new(instance(), name).unwrap();
    let new = json!({
        "repository": name, "git": bare, "created_at": "2024-03-01T09:00:00Z", "collaborators": {APPROVER: "write"},
    });
    hub.call("repos", &new).await.unwrap();
    let environment = json!({"name": "staging"});
    hub.act("environments", &environment).await.unwrap();
    hub
}

/// A gate of staging that the approver may answer from `repository`.
fn contract(repository: &str) -> String {
    let example = instance().checkout.join("docs/examples/storefront");
    // Provenance is another rule's matter, and nothing is built here.
    let text = unproven(&read(&example.join("delivery.yaml")));
    let gate = "    gate: { approvals: 1, workflow";
    assert!(text.contains(gate), "{text}");
    let approve = format!("approve: {{ people: [{APPROVER}], repository: {repository} }}");
    let text = text.replacen(
        gate,
        &format!("    gate: {{ {approve}, approvals: 1, workflow"),
        1,
    );
    format!("{text}\npeople:\n{}", known([APPROVER, RELEASER]))
}

#[test]
fn a_person_without_access_to_the_code_rejects_and_approves_in_a_repository_for_approvals() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let world = world("approvers").await;
        let story = Story::begin(instance, &world).await.unwrap();
        story.hub.user(APPROVER, "User").await.unwrap();
        let export = export(instance).unwrap();
        let approvals = world.approvals_repository();
        let approvers = repository(&world, &export, &approvals).await;
        let owner = approvals.split('/').next().unwrap();
        let other = repository(&world, &export, &format!("{owner}/other")).await;
        let contract = contract(&approvals);
        let files = [("delivery.yaml", contract.as_str())];
        let title = "Ask for approvals elsewhere";
        let commit = story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        let digest = format!("sha256:{}", "2".repeat(64));
        healthy_in(&world, "dev", &digest, &commit).await;
        let reader = story.hub.token(AUTHOR).await.unwrap();
        let stranger = story.hub.token(APPROVER).await.unwrap();

        let run = async |hub: &Hub, trigger: &Trigger| {
            let ended = act::run(instance, &world, hub, &export, trigger, &mut |_| {}).await;
            let ended = ended.unwrap();
            (ended.success, ended.log.text)
        };
        let succeeds = async |hub: &Hub, trigger: &Trigger, expected: &str| {
            let (success, log) = run(hub, trigger).await;
            assert!(success && log.contains(expected), "no {expected} in {log}");
        };
        // act may lose what a step that fails said last, since it does not wait for the end of its output.
        let fails = async |hub: &Hub, trigger: &Trigger, expected: &str| {
            for _ in 0..5 {
                let (success, log) = run(hub, trigger).await;
                assert!(!success, "{log}");
                if log.contains(expected) {
                    return;
                }
            }
            panic!("no run says that {expected}");
        };
        let in_staging = |person: &str, command: &str, more: &[(&str, &str)]| {
            let common = [("environment", "staging"), ("command", command)];
            Trigger::dispatch(person, "approve.yml", &[&common[..], more].concat())
        };
        let asks = in_staging(RELEASER, "request", &[("reason", "the new prices")]);
        let answers = |command: &str, request: &str| {
            let more = [
                ("request", request),
                ("digest", digest.as_str()),
                ("reason", "not on a Friday"),
            ];
            in_staging(APPROVER, command, &more)
        };

        let written = "of storefront in staging written";
        let expected = format!("request 1 {written}: 0 of 1 approvals");
        succeeds(&story.hub, &asks, &expected).await;
        // The code is private, so an account without access does not get the contract.
        let blind = answers("approve", "1").with_secret(TOKEN, &stranger);
        fails(&approvers, &blind, "the token does not read").await;
        // A repository that the contract does not name gets no credentials.
        let foreign = answers("approve", "1").with_secret(TOKEN, &reader);
        fails(&other, &foreign, "AssumeRoleWithWebIdentity").await;
        let rejects = answers("reject", "1").with_secret(TOKEN, &reader);
        let expected = format!("record 2 {written}: {APPROVER} rejected request 1");
        succeeds(&approvers, &rejects, &expected).await;

        let expected = format!("request 3 {written}: 0 of 1 approvals");
        succeeds(&story.hub, &asks, &expected).await;
        let refused = Trigger::dispatch(RELEASER, "promote.yml", &[("environment", "staging")]);
        fails(&story.hub, &refused, "0 of 1 approvals").await;
        let approves = answers("approve", "3").with_secret(TOKEN, &reader);
        let expected = format!("record 4 {written}: {APPROVER} approved request 3");
        succeeds(&approvers, &approves, &expected).await;
        // Nothing was built that could be deployed, so the run fails after its permit.
        fails(&story.hub, &refused, "1 of 1 approvals (dora)").await;
        for hub in [&approvers, &other] {
            assert!(hub.violations().await.unwrap().is_empty());
        }
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

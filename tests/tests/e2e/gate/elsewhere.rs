//! Answers from a repository for approvals: people without access to the code approve there.

use std::process::Command;

use sandbox::runner::export::REPOSITORY;
use sandbox::runner::hub::{Hub, Run};
use sandbox::runner::story::git_folder;
use serde_json::{Value, json};

use super::approvals::{OnGitHub, WHY};
use super::ended;
use crate::support::{TIMEOUT, instance, read, wait};

const WORKFLOW: &str = ".github/workflows/approve.yml";
const APPROVE: [&str; 3] = ["approve", "--request", "2"];

/// The workflow of such a repository, as the documentation gives it to a user whose code is in `code`.
pub(crate) fn documented(code: &str) -> String {
    let guide = read(&instance().checkout.join("docs/getting-started.md"));
    let (_, chapter) = guide
        .split_once("## Approvers without access to the code")
        .unwrap();
    let (_, block) = chapter.split_once("```yaml\n").unwrap();
    let block = block.split_once("```").unwrap().0;
    block.replace("ACME/storefront", code)
}

/// A repository beside the world's own, with the same people.
struct ApproverRepository {
    hub: Hub,
    repository: String,
    _folder: tempfile::TempDir,
}

impl ApproverRepository {
    fn new(scene: &OnGitHub, repository: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bare = folder.path().join("elsewhere.git");
        let from = git_folder(instance(), &scene.gate.world);
        let cloned = Command::new("git")
            .args(["clone", "--quiet", "--bare"])
            .args([&from, &bare])
            .status();
        assert!(cloned.unwrap().success());
        let hub = Hub::new(instance(), repository).unwrap();
        let new =
            json!({"repository": repository, "git": bare, "created_at": "2024-03-01T09:00:00Z"});
        wait(TIMEOUT, hub.call("repos", &new)).unwrap();
        Self {
            hub,
            repository: repository.to_owned(),
            _folder: folder,
        }
    }

    /// A run of the documented workflow, which calls ours.
    fn start(&self, actor: &str, more: &Value) -> Run {
        let called = format!("{REPOSITORY}/{WORKFLOW}@COMMIT");
        let ours = read(&instance().checkout.join(WORKFLOW));
        let mut body = json!({
            "workflow": WORKFLOW, "event": "workflow_dispatch", "actor": actor,
            "inputs": {"command": "approve", "environment": "production", "request": "2", "digest": "", "reason": ""},
            "workflows": {WORKFLOW: documented("acme/storefront"), called: ours},
        });
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        wait(TIMEOUT, self.hub.start(&body)).unwrap()
    }

    /// The step in that run, with what GitHub gives the job.
    fn command(&self, scene: &OnGitHub, run: &Run, arguments: &[&str]) -> Command {
        let mut command = scene.inside(run.run_id, arguments);
        command
            .env("GITHUB_REPOSITORY", &self.repository)
            .env("GITHUB_TOKEN", &run.token)
            .env("GITHUB_JOB", "answer");
        command
    }

    /// The same as the role that trusts the job's identity, with no other credentials.
    fn identified(&self, scene: &OnGitHub, run: &Run, arguments: &[&str]) -> Command {
        let mut command = self.command(scene, run, arguments);
        command
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", &run.oidc_request_url)
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &run.oidc_request_token);
        for name in ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"] {
            command.env_remove(format!("AWS_{name}"));
        }
        command
    }
}

#[test]
fn people_without_access_to_the_code_approve_in_a_repository_of_their_own() {
    let scene = OnGitHub::with("approve-elsewhere", ", repository: OWNER/approvals");
    let approvals = scene.gate.world.approvals_repository();
    let asked = scene.dispatched("dora", &["request", "--reason", WHY]);
    let command = format!("gh workflow run approve.yml --repo {approvals} -f command=approve");
    asked.is(0, &[&command]);

    let approvers = ApproverRepository::new(&scene, &approvals);
    let run = approvers.start("grace", &json!({}));
    let ask = ["request", "--reason", WHY];
    ended(&mut approvers.identified(&scene, &run, &ask)).is(3, &["is only for answers"]);
    let pushed = json!({"user": "ada", "branch": "theirs", "from": "main", "files": {"x": "x\n"}});
    wait(TIMEOUT, approvers.hub.act("push", &pushed)).unwrap();
    let theirs = approvers.start("grace", &json!({"branch": "theirs"}));
    ended(&mut approvers.identified(&scene, &theirs, &APPROVE)).is(
        3,
        &["workflow comes from theirs, so it does not count as an approval by"],
    );
    let dora = approvers.start("dora", &json!({}));
    ended(&mut approvers.identified(&scene, &dora, &APPROVE))
        .is(3, &["dora asked for it, so somebody else must approve"]);

    // A repository that the contract does not name: neither AWS nor the step takes its word.
    let owner = approvals.split('/').next().unwrap();
    let other = ApproverRepository::new(&scene, &format!("{owner}/other"));
    let stranger = other.start("grace", &json!({}));
    let refused = ended(&mut other.identified(&scene, &stranger, &APPROVE));
    assert_ne!(refused.exit, Some(0), "{}", refused.text);
    assert!(
        refused.text.contains("AssumeRoleWithWebIdentity"),
        "{}",
        refused.text
    );
    ended(&mut other.command(&scene, &stranger, &APPROVE))
        .is(3, &["so a run of", "does not answer it"]);

    let approved = ended(&mut approvers.identified(&scene, &run, &APPROVE));
    approved.is(0, &["1 of 1 approvals (grace)"]);
    let record = &approved.json["record"];
    assert_eq!(
        record["actor"]["id"],
        scene.id("grace"),
        "{}",
        approved.text
    );
    let page = record["run"].as_str().unwrap();
    assert!(page.contains(&approvals), "{page}");
    scene.gate.check("linus").is(0, &["\"allowed\": true"]);
    let found = wait(TIMEOUT, approvers.hub.violations()).unwrap();
    assert_eq!(found, [] as [Value; 0]);
}

#[test]
fn a_request_from_outside_github_is_answered_only_where_the_code_is() {
    let scene = OnGitHub::with("approve-outside", ", repository: OWNER/approvals");
    // At a terminal, so that no run on GitHub asked.
    let asked = scene.gate.run("linus", &["request", "--reason", WHY]);
    asked.is(0, &[]);
    let owner = scene.gate.world.repository.split('/').next().unwrap();
    let other = ApproverRepository::new(&scene, &format!("{owner}/other"));
    let stranger = other.start("grace", &json!({}));
    let refused = ["so a run of", "does not answer it"];
    ended(&mut other.command(&scene, &stranger, &APPROVE)).is(3, &refused);
    // The run is looked up in the other repository, whatever the job's variables say.
    let own = &scene.gate.world.repository;
    let mut lies = other.command(&scene, &stranger, &APPROVE);
    lies.env("GITHUB_REPOSITORY", own)
        .args(["--github-repository", &other.repository]);
    ended(&mut lies).is(3, &refused);

    scene
        .dispatched("grace", &APPROVE)
        .is(0, &["1 of 1 approvals (grace)"]);
    let approvals = scene.gate.world.approvals_repository();
    let approvers = ApproverRepository::new(&scene, &approvals);
    let run = approvers.start("dora", &json!({}));
    ended(&mut approvers.identified(&scene, &run, &APPROVE)).is(0, &["2 of 1 approvals"]);
    // A person who asked for the promotion cannot approve it, also from a session outside GitHub.
    scene
        .gate
        .run("linus", &APPROVE)
        .is(3, &["linus asked for it"]);
    let found = wait(TIMEOUT, approvers.hub.violations()).unwrap();
    assert_eq!(found, [] as [Value; 0]);
}

//! A pull request of the example: it is tested, and shows what it would change in dev, with a role that can only read.

use sandbox::demo;
use sandbox::runner::act::{self, Ended, Trigger};
use sandbox::runner::export::{Export, REPOSITORY, export};
use sandbox::runner::story::{AUTHOR, REVIEWER, Story};
use sandbox::world::World;
use serde_json::json;

use crate::support::{TIMEOUT, comments, heavy, instance, wait, world};

const BRANCH: &str = "a-wider-network";

struct Scene {
    world: World,
    story: Story,
    export: Export,
    number: u64,
}

impl Scene {
    /// A pull request that widens the network.
    async fn begin() -> Self {
        let world = world("proposal").await;
        let story = Story::begin(instance(), &world).await.unwrap();
        let peering = "resource \"terraform_data\" \"peering\" {}\n";
        let files = [("infra/more.tf", peering)];
        let number = story.propose(AUTHOR, "A wider network", &files).await;
        Self {
            number: number.unwrap(),
            export: export(instance()).unwrap(),
            world,
            story,
        }
    }

    async fn runs(&self, workflow: &str) -> Ended {
        self.runs_by(&Trigger::pull(AUTHOR, workflow, self.number, BRANCH))
            .await
    }

    async fn runs_by(&self, trigger: &Trigger) -> Ended {
        let (world, hub) = (&self.world, &self.story.hub);
        let ended = act::run(instance(), world, hub, &self.export, trigger, &mut |_| {}).await;
        ended.unwrap()
    }

    /// The example's `check.yml` says what production's gate would answer, once when it was opened and once when it was approved.
    async fn is_judged_before_its_merge(&self) {
        let refused = self.runs("check.yml").await;
        assert!(!refused.success, "{}", refused.log.text);
        let summary = &refused.log.summary;
        for piece in [
            "### production would refuse #",
            "of 1 approvals",
            "judged after the merge",
        ] {
            let log = &refused.log.text;
            assert!(summary.contains(piece), "no {piece} in {summary}: {log}");
        }
        let review = json!({"user": REVIEWER, "state": "APPROVED"});
        let path = format!("pulls/{}/reviews", self.number);
        self.story.hub.act(&path, &review).await.unwrap();
        let reviewed = Trigger {
            event: "pull_request_review".to_owned(),
            ..Trigger::pull(REVIEWER, "check.yml", self.number, BRANCH)
        };
        let allowed = self.runs_by(&reviewed).await;
        let summary = &allowed.log.summary;
        assert!(allowed.success, "{}\n{summary}", allowed.log.text);
        let title = "### production would allow #";
        assert!(summary.contains(title), "{summary}");
    }

    /// Pushes to the pull request's branch.
    async fn push(&self, path: &str, text: &str) {
        let push = json!({"user": AUTHOR, "branch": BRANCH, "files": {(path): text}, "message": "Once more"});
        self.story.hub.act("push", &push).await.unwrap();
    }
}

#[test]
fn a_pull_request_is_tested_and_shows_its_plan_while_somebody_else_holds_the_lock() {
    let instance = instance();
    let _turn = heavy();
    let scene = wait(TIMEOUT, Scene::begin());
    let dev = scene.world.environment("dev").unwrap();
    let lock = format!(
        "/{}/storefront/dev/terraform.tfstate.tflock",
        dev.state_bucket
    );
    wait(TIMEOUT, async {
        let account = scene
            .world
            .administrator(instance, &dev.account)
            .await
            .unwrap();
        let info = json!({"ID": "11111111-2222-3333-4444-555555555555", "Operation": "OperationTypeApply", "Who": "ada@laptop"});
        let held = info.to_string();
        account.put(&lock, held.clone()).await.unwrap().unwrap();

        let tested = scene.runs("test.yml").await;
        assert!(tested.success, "{}", tested.log.text);
        assert!(tested.log.text.contains("pass 2"), "{}", tested.log.text);

        scene.is_judged_before_its_merge().await;

        let planned = scene.runs("plan.yml").await;
        assert!(planned.success, "{}", planned.log.text);
        for piece in [":assumed-role/slipway-read/", "without the lock"] {
            assert!(
                planned.log.text.contains(piece),
                "{piece}: {}",
                planned.log.text
            );
        }
        assert!(
            planned.log.summary.contains("terraform_data.peering"),
            "{}",
            planned.log.summary
        );
        let there = comments(&scene.story.hub, scene.number);
        let [comment] = &there.await[..] else {
            panic!("one comment");
        };
        assert!(comment.contains("+   terraform_data.peering"), "{comment}");
        assert!(comment.contains("cannot be applied"), "{comment}");

        // The next push changes that comment; the callable workflow does the same.
        let call = format!(
            "on: pull_request\njobs:\n  plan:\n    permissions: {{contents: read, id-token: write, pull-requests: write}}\n    \
             uses: {REPOSITORY}/.github/workflows/plan.yml@{}\n",
            scene.export.pin
        );
        scene.push(".github/workflows/plan.yml", &call).await;
        scene.push("infra/more.tf", "# nothing more\n").await;
        let planned = scene.runs("plan.yml").await;
        assert!(planned.success, "{}", planned.log.text);
        let there = comments(&scene.story.hub, scene.number).await;
        assert_eq!(there.len(), 1, "{there:?}");
        assert!(!there[0].contains("peering"), "{}", there[0]);

        assert_eq!(account.get(&lock).await.unwrap().unwrap(), held);

        // A run on a pull request executes its author's code, so it may only read.
        let takes = format!(
            "on: pull_request\nenv: {{SLIPWAY_VARS: \"${{{{ toJSON(vars) }}}}\"}}\njobs:\n  plan:\n    runs-on: ubuntu-latest\n    permissions: {{contents: read, id-token: write}}\n    \
             steps:\n      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8\n      \
             - uses: {REPOSITORY}/actions/identity@{}\n        with: {{command: check, environment: dev}}\n",
            scene.export.pin
        );
        scene.push(".github/workflows/plan.yml", &takes).await;
        let refused = scene.runs("plan.yml").await;
        assert!(!refused.success, "{}", refused.log.text);
        // act can lose the last lines of a step that ends at once; the summary is a file, and whole.
        let shown = format!("{}\n{}", refused.log.text, refused.log.summary);
        let piece = "role/slipway-deploy with this job's GitHub identity";
        assert!(shown.contains(piece), "{shown}");
        demo::kept_to_the_rules(instance, &scene.story)
            .await
            .unwrap();
    });
}

//! The buildspec of a stack: it plans and applies in one build, or, where the gate asks for a permit, in builds around the gate's.

use sandbox::codebuild::chain::{contract_with_people, person, store_token};
use sandbox::codebuild::{Ended, Project, Variable};
use sandbox::demo;
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, Story, unproven};
use sandbox::world::World;
use sandbox::world::runner::Variables;
use serde_json::json;

use crate::callable::healthy_in;
use crate::support::{TIMEOUT, comments, heavy, instance, wait, world};

const FILE: &str = "infra/stack.yaml";
const BRANCH: &str = "another-name";

/// A template whose topic has this name for display.
fn named(name: &str) -> String {
    format!(
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {{DisplayName: {name}}}\n"
    )
}

/// The builds of a team whose stack is described in the branch's contract and template.
struct Builds {
    world: World,
    story: Story,
    token: Variable,
    /// The commit that described the stack, and its pull request.
    commit: String,
    described: u64,
}

impl Builds {
    async fn begin(name: &str) -> Self {
        let instance = instance();
        let world = world(name).await;
        for name in ["dev", "staging"] {
            let environment = world.environment(name).unwrap();
            world.has_stacks(instance, environment).await.unwrap();
        }
        let staging = world.environment("staging").unwrap();
        world.permits_stacks(instance, staging).await.unwrap();
        let story = Story::begin(instance, &world).await.unwrap();
        let token = store_token(instance, &world, &story).await.unwrap();
        let contract = unproven(&contract_with_people(instance, &world).unwrap());
        let gate = "    gate: { approvals: 1, workflow";
        assert!(contract.contains(gate), "{contract}");
        let asks = "    gate: { plan: true, approvals: 1, workflow";
        let contract = format!(
            "{}\nstack: {{ name: \"{{service}}-{{environment}}-infra\", role: \"{{service}}-{{environment}}-stack\" }}\n",
            contract.replacen(gate, asks, 1)
        );
        let files = [("delivery.yaml", contract.as_str()), (FILE, &named("one"))];
        let title = "Describe the stack";
        let described = story.propose(AUTHOR, title, &files).await.unwrap();
        let builds = Self {
            world,
            story,
            token,
            commit: String::new(),
            described,
        };
        builds.reviewed(REVIEWER, "APPROVED").await;
        let commit = builds.story.merge(described, REVIEWER).await.unwrap();
        Self { commit, ..builds }
    }

    /// Somebody reviews the change that described the stack.
    async fn reviewed(&self, by: &str, state: &str) {
        let review = json!({"user": by, "state": state});
        let path = format!("pulls/{}/reviews", self.described);
        self.story.hub.act(&path, &review).await.unwrap();
    }

    async fn build(&self, project: &Project) -> Ended {
        let mut show = |_: &str| {};
        let build = project.build_once(instance(), &self.world, &self.token, &mut show);
        build.await.unwrap()
    }

    async fn run(&self, buildspec: &'static str, environment: &str, start: Variables) -> Ended {
        let project = Project::of(buildspec, environment, &person(RELEASER), start);
        self.build(&project).await
    }

    async fn succeeds(
        &self,
        buildspec: &'static str,
        environment: &str,
        start: Variables,
    ) -> Ended {
        let ended = self.run(buildspec, environment, start).await;
        assert!(ended.success, "{buildspec}:\n{}", ended.log);
        ended
    }

    /// It ends without a change of the stack.
    async fn refuses(&self, start: Variables, why: &str) {
        let refused = self.run("stack.yml", "staging", start).await;
        let is_refused = !refused.success && !refused.log.contains("CREATE_COMPLETE");
        assert!(
            is_refused && refused.log.contains(why),
            "no {why} in {}",
            refused.log
        );
    }
}

/// A variable that a build is started with.
fn of(name: &str, value: &str) -> Variables {
    Variables::from([(name.to_owned(), value.to_owned())])
}

#[test]
fn builds_plan_and_apply_a_stack_and_under_a_gate_the_plan_that_its_permit_names() {
    let _turn = heavy();
    wait(TIMEOUT, async {
        let builds = Builds::begin("stack-built").await;
        let digest = format!("sha256:{}", "2".repeat(64));
        healthy_in(&builds.world, "dev", &digest, &builds.commit).await;
        let applied = builds.succeeds("stack.yml", "dev", Variables::new()).await;
        assert!(applied.log.contains("CREATE_COMPLETE"), "{}", applied.log);

        // In staging the gate says which commit is planned, and its permit names the plan.
        let asked = builds.succeeds("gate.yml", "staging", of("PLAN", "new"));
        let asked = asked.await.exported;
        let planned = builds.succeeds("stack.yml", "staging", asked).await;
        let plan = planned.exported["PLAN"].clone();
        assert!(!planned.log.contains("CREATE_COMPLETE"), "{}", planned.log);
        let asks = "the gate of staging says `plan: true`";
        builds.refuses(of("PLAN", &plan), asks).await;
        let mut start = of("PLAN", &plan);
        start.extend(of("DIGEST", &digest));
        let granted = builds.succeeds("gate.yml", "staging", start).await.exported;

        // Somebody objects to the change after the gate, and takes that back.
        builds.reviewed(RELEASER, "CHANGES_REQUESTED").await;
        builds.refuses(granted.clone(), "requested changes").await;
        builds.reviewed(RELEASER, "APPROVED").await;
        let applied = builds.succeeds("stack.yml", "staging", granted).await;
        for piece in [", under permit ", "CREATE_COMPLETE"] {
            assert!(applied.log.contains(piece), "no {piece} in {}", applied.log);
        }
        demo::kept_to_the_rules(instance(), &builds.story)
            .await
            .unwrap();
    });
}

#[test]
fn a_build_for_a_pull_request_shows_in_one_comment_what_it_would_change() {
    let _turn = heavy();
    wait(TIMEOUT, async {
        let builds = Builds::begin("stack-proposed").await;
        let applied = builds.succeeds("stack.yml", "dev", Variables::new()).await;
        assert!(applied.log.contains("CREATE_COMPLETE"), "{}", applied.log);
        let draft = named("draft");
        let proposal = [(FILE, draft.as_str())];
        let hub = &builds.story.hub;
        let number = builds.story.propose(AUTHOR, "Another name", &proposal);
        let number = number.await.unwrap();
        for name in ["two", "three"] {
            let push = json!({"user": AUTHOR, "branch": BRANCH, "files": {FILE: named(name)}, "message": name});
            hub.act("push", &push).await.unwrap();
            let project = Project::of("stack.yml", "dev", "", Variables::new());
            let planned = builds
                .build(&project.for_pull_request(number, BRANCH))
                .await;
            assert!(planned.success, "{}", planned.log);
            assert!(!planned.log.contains("UPDATE_COMPLETE"), "{}", planned.log);
            let there = comments(hub, number).await;
            assert_eq!(there.len(), 1, "{there:?}");
            let change = format!("DisplayName: one → {name}");
            for piece in [change.as_str(), "it cannot be applied"] {
                assert!(there[0].contains(piece), "no {piece} in {}", there[0]);
            }
        }
        demo::kept_to_the_rules(instance(), &builds.story)
            .await
            .unwrap();
    });
}

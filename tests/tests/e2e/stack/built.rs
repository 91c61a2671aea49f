//! The buildspec of a stack: it plans and applies in one build, or, where the gate asks for a permit, in builds around the gate's.

use sandbox::codebuild::chain::{contract_with_people, person, store_token};
use sandbox::codebuild::{Ended, Project};
use sandbox::demo;
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, Story, unproven};
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

#[test]
fn builds_plan_and_apply_a_stack_and_under_a_gate_the_plan_that_its_permit_names() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let world = world("stack-built").await;
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
        let commit = story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        // The first pull request of the repository.
        let described = 1;
        let digest = format!("sha256:{}", "2".repeat(64));
        healthy_in(&world, "dev", &digest, &commit).await;

        let run = async |buildspec, environment, start: Variables| -> Ended {
            let project = Project::of(buildspec, environment, &person(RELEASER), start);
            let mut show = |_: &str| {};
            let build = project.build_once(instance, &world, &token, &mut show);
            build.await.unwrap()
        };
        let succeeds = async |buildspec, environment, start: Variables| -> Ended {
            let ended = run(buildspec, environment, start).await;
            assert!(ended.success, "{buildspec}:\n{}", ended.log);
            ended
        };
        let of = |name: &str, value: &str| Variables::from([(name.to_owned(), value.to_owned())]);
        let applied = succeeds("stack.yml", "dev", Variables::new()).await;
        assert!(applied.log.contains("CREATE_COMPLETE"), "{}", applied.log);

        // A pull request says what it would change, in one comment however often it is pushed to.
        let proposed = named("draft");
        let proposal = [(FILE, proposed.as_str())];
        let number = story.propose(AUTHOR, "Another name", &proposal).await;
        let number = number.unwrap();
        for name in ["two", "three"] {
            let push = json!({"user": AUTHOR, "branch": BRANCH, "files": {FILE: named(name)}, "message": name});
            story.hub.act("push", &push).await.unwrap();
            let project = Project::of("stack.yml", "dev", "", Variables::new());
            let project = project.for_pull_request(number, BRANCH);
            let mut show = |_: &str| {};
            let build = project.build_once(instance, &world, &token, &mut show);
            let planned = build.await.unwrap();
            assert!(planned.success, "{}", planned.log);
            let there = comments(&story.hub, number).await;
            assert_eq!(there.len(), 1, "{there:?}");
            let change = format!("DisplayName: one → {name}");
            for piece in [change.as_str(), "it cannot be applied"] {
                assert!(there[0].contains(piece), "no {piece} in {}", there[0]);
            }
            assert!(!planned.log.contains("UPDATE_COMPLETE"), "{}", planned.log);
        }

        // In staging the gate says which commit is planned, and its permit names the plan.
        let asked = succeeds("gate.yml", "staging", of("PLAN", "new")).await;
        let planned = succeeds("stack.yml", "staging", asked.exported).await;
        let plan = planned.exported["PLAN"].clone();
        assert!(!planned.log.contains("CREATE_COMPLETE"), "{}", planned.log);
        let refused = run("stack.yml", "staging", of("PLAN", &plan)).await;
        let asks = "the gate of staging says `plan: true`";
        assert!(
            !refused.success && refused.log.contains(asks),
            "{}",
            refused.log
        );
        let mut start = of("PLAN", &plan);
        start.extend(of("DIGEST", &digest));
        let granted = succeeds("gate.yml", "staging", start).await;
        // Somebody objects to the change after the gate, and takes that back.
        let reviews = format!("pulls/{described}/reviews");
        let says = async |state: &str| {
            let review = json!({"user": RELEASER, "state": state});
            story.hub.act(&reviews, &review).await.unwrap();
        };
        says("CHANGES_REQUESTED").await;
        let refused = run("stack.yml", "staging", granted.exported.clone()).await;
        assert!(
            !refused.success
                && refused.log.contains("requested changes")
                && !refused.log.contains("CREATE_COMPLETE"),
            "{}",
            refused.log
        );
        says("APPROVED").await;
        let applied = succeeds("stack.yml", "staging", granted.exported).await;
        for piece in [", under permit ", "CREATE_COMPLETE"] {
            assert!(applied.log.contains(piece), "no {piece} in {}", applied.log);
        }
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

//! The callable workflow of a stack: a pull request gets one comment, a merge is applied, and a gate permits.

use sandbox::demo;
use sandbox::runner::act::{self, Trigger};
use sandbox::runner::export::{REPOSITORY, export};
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, Story, unproven};

use crate::callable::healthy_in;
use crate::support::{TIMEOUT, comments, heavy, instance, read, wait, world};

const TEMPLATE: &str =
    "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: one}\n";
const FILE: &str = "infra/stack.yaml";
const BRANCH: &str = "another-name";

#[test]
fn a_pull_request_is_planned_a_merge_applied_and_a_gate_asked() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let world = world("stack-callable").await;
        for name in ["dev", "staging"] {
            let environment = world.environment(name).unwrap();
            world.has_stacks(instance, environment).await.unwrap();
        }
        let staging = world.environment("staging").unwrap();
        world.permits_stacks(instance, staging).await.unwrap();
        let story = Story::begin(instance, &world).await.unwrap();
        let export = export(instance).unwrap();
        let example = instance.checkout.join("docs/examples/storefront");
        let contract = unproven(&read(&example.join("delivery.yaml")));
        let gate = "    gate: { approvals: 1, workflow: .github/workflows/promote.yml }";
        assert!(contract.contains(gate), "{contract}");
        let asked = "    gate: { plan: true, approvals: 1, workflow: .github/workflows/stack.yml }";
        let contract = format!(
            "{}\nstack: {{ name: \"{{service}}-{{environment}}-infra\", role: \"{{service}}-{{environment}}-stack\" }}\n",
            contract.replacen(gate, asked, 1)
        );
        let workflow = format!(
            "on:\n  push: {{branches: [main]}}\n  pull_request:\n  workflow_dispatch: {{inputs: {{environment: {{type: string}}}}}}\n\
             permissions: {{}}\njobs:\n  stack:\n    \
             permissions: {{actions: read, checks: read, contents: read, id-token: write, pull-requests: write}}\n    \
             uses: {REPOSITORY}/.github/workflows/stack.yml@{}\n    with:\n      \
             environment: ${{{{ inputs.environment || 'dev' }}}}\n      permit: ${{{{ github.event_name == 'workflow_dispatch' }}}}\n",
            export.pin
        );
        let files = [
            ("delivery.yaml", contract.as_str()),
            (FILE, TEMPLATE),
            (".github/workflows/stack.yml", workflow.as_str()),
        ];
        let title = "Describe the stack";
        let commit = story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        let run = async |trigger: Trigger| {
            let ended =
                act::run(instance, &world, &story.hub, &export, &trigger, &mut |_| {}).await;
            let ended = ended.unwrap();
            assert!(ended.success, "{}:\n{}", trigger.workflow, ended.log.text);
            ended.log.text
        };
        let log = run(Trigger::push(REVIEWER, "stack.yml")).await;
        assert!(log.contains("CREATE_COMPLETE"), "{log}");

        // A pull request says what it would change, in one comment however often it is pushed to.
        let two = TEMPLATE.replace("one", "two");
        let proposal = [(FILE, two.as_str())];
        let number = story.propose(AUTHOR, "Another name", &proposal).await;
        let number = number.unwrap();
        run(Trigger::pull(AUTHOR, "stack.yml", number, BRANCH)).await;
        let there = comments(&story.hub, number).await;
        assert_eq!(there.len(), 1, "{there:?}");
        for piece in ["DisplayName: one → two", "it cannot be applied"] {
            assert!(there[0].contains(piece), "no {piece} in {}", there[0]);
        }
        let three = TEMPLATE.replace("one", "three");
        let push = serde_json::json!({"user": AUTHOR, "branch": BRANCH, "files": {FILE: three}, "message": "Once more"});
        story.hub.act("push", &push).await.unwrap();
        run(Trigger::pull(AUTHOR, "stack.yml", number, BRANCH)).await;
        let there = comments(&story.hub, number).await;
        assert_eq!(there.len(), 1, "{there:?}");
        assert!(there[0].contains("one → three"), "{}", there[0]);

        // In staging the gate is asked first, and its permit names the plan.
        let digest = format!("sha256:{}", "2".repeat(64));
        healthy_in(&world, "dev", &digest, &commit).await;
        let inputs = [("environment", "staging")];
        let log = run(Trigger::dispatch(RELEASER, "stack.yml", &inputs)).await;
        for piece in [", under permit ", "CREATE_COMPLETE"] {
            assert!(log.contains(piece), "no {piece} in {log}");
        }
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

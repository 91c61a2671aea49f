//! The callable workflows, called as the README tells a user to: ten lines in the repository, everything else ours.

mod approvers;

use sandbox::demo;
use sandbox::instance::sha256;
use sandbox::runner::act::{self, Trigger};
use sandbox::runner::base;
use sandbox::runner::export::{REPOSITORY, export};
use sandbox::runner::ledger::{row, status};
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, Story, known, unproven};

use sandbox::world::World;
use serde_json::{Value, json};

use crate::ecr::THERE;
use crate::support::{TIMEOUT, heavy, instance, log, read, wait, world};

/// The first YAML block of the README's chapter for a user's repository.
fn ten_lines(readme: &str) -> &str {
    let (_, chapter) = readme
        .split_once("## Ten lines for your repository")
        .unwrap();
    let (_, block) = chapter.split_once("```yaml\n").unwrap();
    block.split_once("```").unwrap().0
}

/// The engine's base image where a user's is: in a registry, which says its digest before anything is built.
async fn in_registry(world: &World, image: &str) -> String {
    let aws = world.administrator(instance(), &world.build).await.unwrap();
    let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
    let answer = aws.json("ecr", target, &json!({})).await.unwrap().unwrap();
    let token = &answer["authorizationData"][0]["authorizationToken"];
    let folder = tempfile::tempdir().unwrap();
    let logins = folder.path().join("config.json");
    let auths = json!({"auths": {&world.registry: {"auth": token}}});
    std::fs::write(&logins, auths.to_string()).unwrap();
    let reference = format!("{}/{THERE}:node", world.registry);
    let output = std::process::Command::new("skopeo")
        .args(["copy", "--dest-tls-verify=false", "--authfile"])
        .arg(&logins)
        .arg(format!("docker-daemon:{image}"))
        .arg(format!("docker://{reference}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", log(&output));
    reference
}

/// The migration came after the infrastructure was `applied`, and before the deployment.
fn migrated_between(log: &str, applied: &str) {
    let at = |job: &str| {
        let found = log.find(job);
        found.unwrap_or_else(|| panic!("no {job} in {log}"))
    };
    let migrated = at("nothing to migrate on db.");
    assert!(at(applied) < migrated, "{log}");
    assert!(migrated < at("deployment ecs-svc/"), "{log}");
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, each step of which needs the one before it"
)]
fn the_ten_lines_of_the_readme_deliver_and_their_sibling_promotes() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let world = world("callable").await;
        world.serve(instance).await.unwrap();
        let story = Story::begin(instance, &world).await.unwrap();
        let export = export(instance).unwrap();
        let readme = read(&instance.checkout.join("README.md"));
        let called = format!("uses: {REPOSITORY}/.github/workflows/deliver.yml@");
        assert!(
            ten_lines(&readme).contains(&format!("{called}COMMIT")),
            "{readme}"
        );
        let deliver = ten_lines(&readme).replace("COMMIT", &export.pin);
        let deliver = format!("{deliver}    with: {{ migrate: node migrate.js }}\n");
        let promote = include_str!("callable/promote.yml").replace("COMMIT", &export.pin);
        // A Dockerfile names the image it builds on, as a user's does; here it is one in the world's registry.
        let dockerfile = read(
            &instance
                .checkout
                .join("docs/examples/storefront/Dockerfile"),
        );
        let base = in_registry(&world, &base::image(instance).await.unwrap()).await;
        let published = "public.ecr.aws/docker/library/node:24-slim";
        assert!(dockerfile.contains(published), "{dockerfile}");
        let dockerfile = dockerfile.replace(published, &base);
        let files = [
            (".github/workflows/deliver.yml", deliver.as_str()),
            (".github/workflows/promote.yml", promote.as_str()),
            ("Dockerfile", dockerfile.as_str()),
        ];
        let title = "Call the workflows";
        let first = story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        let run = async |trigger: Trigger| {
            let ended =
                act::run(instance, &world, &story.hub, &export, &trigger, &mut |_| {}).await;
            let ended = ended.unwrap();
            assert!(ended.success, "{}:\n{}", trigger.workflow, ended.log.text);
            ended
        };
        let merged = run(Trigger::push(REVIEWER, "deliver.yml")).await;
        let ledger = status(instance, &world, &merged.folder.join("repository")).await;
        let built = row(&ledger.unwrap(), "dev").unwrap()["digest"].clone();

        // Nothing of this goes into the image, so the first commit's is this one's too, from here to wherever it goes.
        let readme = [("README.md", "# A shop\n")];
        let title = "Say what it is";
        let commit = story
            .change(AUTHOR, REVIEWER, title, &readme)
            .await
            .unwrap();
        let merged = run(Trigger::push(REVIEWER, "deliver.yml")).await;
        migrated_between(&merged.log.text, "Apply complete!");
        let expected = format!("{first}, of the same content; nothing was built");
        assert!(merged.log.text.contains(&expected), "{}", merged.log.text);
        let staging = [("environment", "staging")];
        let promoted = run(Trigger::dispatch(RELEASER, "promote.yml", &staging)).await;
        migrated_between(&promoted.log.text, "Apply complete!");
        let expected = format!("built for commit {first}, which has the same content");
        assert!(
            promoted.log.text.contains(&expected),
            "{}",
            promoted.log.text
        );
        let repository = promoted.folder.join("repository");
        let ledger = status(instance, &world, &repository).await.unwrap();
        let [dev, staging] = ["dev", "staging"].map(|name| row(&ledger, name).unwrap());
        for record in [dev, staging] {
            assert_eq!(record["commit"], commit.as_str(), "{record}");
            assert_eq!(record["verdict"], "healthy", "{record}");
            assert_eq!(record["digest"], built, "{record}");
        }
        assert!(row(&ledger, "production").is_none(), "{ledger}");

        // From now on staging's infrastructure is applied as the plan that its permit names.
        let environment = world.environment("staging").unwrap();
        let reads = world.infrastructure_reads_ledger(instance, environment);
        reads.await.unwrap();
        let contract = read(
            &instance
                .checkout
                .join("docs/examples/storefront/delivery.yaml"),
        );
        let gate = "    gate: { approvals: 1, workflow";
        assert!(contract.contains(gate), "{contract}");
        let contract = contract.replacen(gate, "    gate: { plan: true, approvals: 1, workflow", 1);
        let files = [("delivery.yaml", contract.as_str())];
        let title = "Permit plans";
        let commit = story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        run(Trigger::push(REVIEWER, "deliver.yml")).await;
        let new = [("environment", "staging"), ("plan", "new")];
        let promoted = run(Trigger::dispatch(RELEASER, "promote.yml", &new)).await;
        let text = &promoted.log.text;
        migrated_between(text, "applying plan ");
        for expected in ["applying plan ", ", under permit "] {
            assert!(text.contains(expected), "no {expected} in {text}");
        }
        assert!(!text.contains("terraform apply -auto-approve"), "{text}");
        let repository = promoted.folder.join("repository");
        let ledger = status(instance, &world, &repository).await.unwrap();
        let record = row(&ledger, "staging").unwrap();
        assert_eq!(record["commit"], commit.as_str(), "{record}");
        assert_eq!(record["verdict"], "healthy", "{record}");
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

/// The example's own `approve.yml`, which calls ours: one asks, another approves, and who asked does not.
#[test]
fn the_examples_approvals_are_short_runs_that_write_to_the_ledger() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let world = world("approve").await;
        let story = Story::begin(instance, &world).await.unwrap();
        let export = export(instance).unwrap();
        let example = instance.checkout.join("docs/examples/storefront");
        let text = read(&example.join("delivery.yaml"));
        // Provenance is another rule's matter, and nothing is built here.
        let text = unproven(&text);
        let gate = "    gate: { approvals: 1, workflow";
        assert!(text.contains(gate), "{text}");
        let approve = "    gate: { approve: { people: [grace, linus] }, approvals: 1, workflow";
        let contract = text.replacen(gate, approve, 1);
        let contract = format!("{contract}\npeople:\n{}", known([REVIEWER, RELEASER]));
        let files = [("delivery.yaml", contract.as_str())];
        let title = "Ask for approvals";
        let commit = story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        let [before, digest] = ["1", "2"].map(|digit| format!("sha256:{}", digit.repeat(64)));
        healthy_in(&world, "dev", &digest, &commit).await;
        healthy_in(&world, "staging", &before, &commit).await;

        let run = async |person: &str, more: &[(&str, &str)]| {
            let inputs = [&[("environment", "staging")], more].concat();
            let trigger = Trigger::dispatch(person, "approve.yml", &inputs);
            let ended =
                act::run(instance, &world, &story.hub, &export, &trigger, &mut |_| {}).await;
            let ended = ended.unwrap();
            (ended.success, ended.log.text)
        };
        let ask = [("command", "request"), ("reason", "the new prices")];
        let (asked, log) = run(RELEASER, &ask).await;
        let expected = "request 2 of storefront in staging written: 0 of 1 approvals";
        assert!(asked && log.contains(expected), "{log}");
        let approve = [
            ("command", "approve"),
            ("request", "2"),
            ("digest", &digest),
        ];
        // act may lose what a step that fails said last, since it does not wait for the end of its output.
        let expected = "linus asked for it, so somebody else must approve request 2";
        let mut heard = false;
        for _ in 0..5 {
            let (approved, log) = run(RELEASER, &approve).await;
            assert!(!approved, "{log}");
            heard |= log.contains(expected);
            if heard {
                break;
            }
        }
        assert!(heard, "no run says that {expected}");
        let (approved, log) = run(REVIEWER, &approve).await;
        let expected = "record 3 of storefront in staging written: grace approved request 2";
        assert!(approved && log.contains(expected), "{log}");

        // A rollback needs the review of somebody else first.
        let review = [
            ("command", "review"),
            ("digest", &before),
            ("reason", "bring it back"),
        ];
        let (reviewed, log) = run(REVIEWER, &review).await;
        let expected =
            format!("record 4 of storefront in staging written: grace reviewed {before}");
        assert!(reviewed && log.contains(&expected), "{log}");
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

/// The secrets that a callable workflow takes.
fn taken(workflow: &str) -> Vec<String> {
    let file = format!(".github/workflows/{workflow}");
    let text = read(&instance().checkout.join(file));
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    let secrets = workflow["on"]["workflow_call"]["secrets"].as_object();
    secrets
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

/// GitHub reads a secret of the environment that a job names only under a name that the called workflow takes, and
/// its names have no dashes ("Using secrets in GitHub Actions", naming your secrets).
#[test]
fn an_environment_can_hold_the_secrets_that_the_workflows_take() {
    let is_name = |name: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.chars().all(fine)
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.to_ascii_uppercase().starts_with("GITHUB_")
    };
    let mut all = 0;
    for workflow in [
        "approve.yml",
        "check.yml",
        "deliver.yml",
        "plan.yml",
        "promote.yml",
        "stack.yml",
    ] {
        let text = read(&instance().checkout.join(".github/workflows").join(workflow));
        for name in taken(workflow) {
            assert!(is_name(&name), "{workflow} takes {name}");
            assert!(
                text.contains(&format!("secrets.{name} ")),
                "{workflow}: {name}"
            );
            all += 1;
        }
    }
    assert!(all > 0);
    // The documented caller passes what ours takes, under the same name.
    let guide = read(&instance().checkout.join("docs/getting-started.md"));
    let caller = guide
        .split("```yaml\n")
        .filter_map(|it| it.split("```").next());
    let caller = caller
        .filter(|it| it.contains("/workflows/approve.yml@"))
        .last();
    let caller: Value = serde_yaml::from_str(caller.unwrap()).unwrap();
    let passed = caller["jobs"]["approve"]["secrets"].as_object().unwrap();
    for (name, value) in passed {
        assert!(taken("approve.yml").contains(name), "{name}");
        assert_eq!(*value, json!(format!("${{{{ secrets.{name} }}}}")));
    }
}

/// Puts a healthy record at the start of an environment's chain, as a delivery writes it.
pub(crate) async fn healthy_in(world: &World, environment: &str, digest: &str, commit: &str) {
    let record = json!({
        "seq": 1, "at": "2026-11-21T18:00:00Z", "service": "storefront", "environment": environment, "digest": digest,
        "commit": commit, "verdict": "healthy", "actor": {"login": RELEASER},
    });
    let (prev, record) = ("0".repeat(64), record.to_string());
    let hash = sha256(format!("{prev}{record}").as_bytes());
    let item = json!({
        "chain": {"S": format!("storefront#{environment}")}, "seq": {"N": "1"}, "record": {"S": record}, "hash": {"S": hash}, "prev": {"S": prev},
    });
    let aws = world.administrator(instance(), &world.build).await.unwrap();
    let input = json!({"TableName": World::LEDGER, "Item": item});
    let put = aws.json("dynamodb", "DynamoDB_20120810.PutItem", &input);
    put.await.unwrap().unwrap();
}

//! The jobs of the example's workflows: what each may have, and what happens to the next where one fails.

use sandbox::demo;
use sandbox::runner::act::{self, Ended, Trigger};
use sandbox::runner::base;
use sandbox::runner::export::export;
use sandbox::runner::ledger::{row, status};
use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, Story};

use serde_json::Value;

use crate::chains;
use crate::support::{TIMEOUT, heavy, instance, read, wait, world};

/// A step in which code in the infrastructure job tries to get other roles with the job's own identity token.
const ASKS: &str = "      - name: ask for more
        run: |
          for purpose in permit publish; do
            ! slipway-identity check --environment dev --purpose \"$purpose\" || exit 1
          done
";
/// Migrations that work in dev, and not in staging.
const MIGRATES: &str = "
if (process.env.DATABASE_URL.includes('db.staging')) {
  console.error('the migration failed');
  process.exit(1);
}
";

#[test]
fn infrastructure_code_gets_no_other_role_and_nothing_is_deployed_where_it_fails() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let mut world = world("jobs").await;
        world.serve(instance).await.unwrap();
        let node = base::image(instance).await.unwrap();
        world.extra.insert("NODE_IMAGE".to_owned(), node);
        let story = Story::begin(instance, &world).await.unwrap();
        let export = export(instance).unwrap();
        let example = instance.checkout.join("docs/examples/storefront");
        let deliver = read(&example.join(".github/workflows/deliver.yml"));
        let state = "      - name: slipway-state run\n";
        assert_eq!(deliver.matches(state).count(), 1, "{deliver}");
        let deliver = deliver.replace(state, &format!("{ASKS}{state}"));
        let migrate = read(&example.join("migrate.js")) + MIGRATES;
        let files = [
            (".github/workflows/deliver.yml", deliver.as_str()),
            ("migrate.js", &migrate),
        ];
        let title = "Migrate, and ask for more";
        story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
        let run = async |trigger: Trigger| -> Ended {
            let ended =
                act::run(instance, &world, &story.hub, &export, &trigger, &mut |_| {}).await;
            ended.unwrap()
        };

        let delivered = run(Trigger::push(REVIEWER, "deliver.yml")).await;
        let text = &delivered.log.text;
        assert!(delivered.success, "{text}");
        for role in ["slipway-permit-dev", "slipway-publish"] {
            let refused = |line: &str| line.contains("error: cannot assume") && line.contains(role);
            assert!(text.lines().any(refused), "{role}:\n{text}");
        }
        assert!(text.contains("trust policy does not accept"), "{text}");

        let staging = [("environment", "staging")];
        let failed = run(Trigger::dispatch(RELEASER, "promote.yml", &staging)).await;
        let text = &failed.log.text;
        assert!(!failed.success, "{text}");
        assert!(text.contains("the migration failed"), "{text}");
        let ended = |job: &str| failed.log.jobs.get(job).map(String::as_str);
        assert_eq!(ended("gate"), Some("success"), "{text}");
        assert_eq!(ended("infrastructure"), Some("failure"), "{text}");
        assert!(matches!(ended("deploy"), None | Some("skipped")), "{text}");
        let repository = failed.folder.join("repository");
        let ledger = status(instance, &world, &repository).await.unwrap();
        assert!(row(&ledger, "dev").is_some(), "{ledger}");
        assert!(row(&ledger, "staging").is_none(), "{ledger}");

        // A version that crashes goes back by itself. That is what is recorded of it, and what GitHub's page says.
        let crashes = read(&example.join("server.js")) + "process.exit(3);\n";
        let files = [("server.js", crashes.as_str())];
        let crash = story.change(AUTHOR, REVIEWER, "Crash", &files).await;
        let crash = crash.unwrap();
        let failed = run(Trigger::push(REVIEWER, "deliver.yml")).await;
        assert!(!failed.success, "{}", failed.log.text);
        let records = chains::records(&world, "dev").await;
        let verdicts: Vec<&Value> = records.iter().map(|(it, _)| &it["verdict"]).collect();
        assert_eq!(verdicts, ["healthy", "rolled_back"], "{records:?}");
        assert_eq!(records[1].0["commit"], crash.as_str(), "{records:?}");
        let mirrors = chains::mirrors(&world, "dev").await;
        let state = |index: usize| {
            let (record, hash) = &records[index];
            chains::state_of(&mirrors, record, hash)
        };
        assert_eq!([state(0), state(1)], ["success", "failure"], "{mirrors:?}");
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

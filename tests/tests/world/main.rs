//! Worlds on the running sandbox (`cargo sandbox up` first): made twice they are the same, two share nothing, and what is
//! in them works as it does in AWS.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sandbox::instance::Instance;
use sandbox::users::User;
use sandbox::world::World;
use sandbox::world::aws::Aws;
use serde_json::json;

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn instance() -> &'static Instance {
    static INSTANCE: OnceLock<(Instance, User)> = OnceLock::new();
    let (instance, _) = INSTANCE.get_or_init(|| {
        let instance = Instance::find().unwrap();
        let user = sandbox::supervisor::enter(&instance).unwrap();
        (instance, user)
    });
    instance
}

fn name() -> String {
    format!("world-{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
}

async fn secret(aws: &Aws, environment: &str) -> Option<String> {
    let names = json!({"Names": [format!("/storefront/{environment}/database-url")], "WithDecryption": true});
    let answer = aws
        .json("ssm", "AmazonSSM.GetParameters", &names)
        .await
        .unwrap()
        .unwrap();
    answer["Parameters"][0]["Value"].as_str().map(str::to_owned)
}

#[test]
fn two_worlds_share_nothing_and_each_is_found_again() {
    let instance = instance();
    run(async {
        let (one, two) = (name(), name());
        let first = World::create(instance, &one).await.unwrap();
        let second = World::create(instance, &two).await.unwrap();
        let again = World::create(instance, &one).await.unwrap();
        assert_eq!(first.registry, again.registry);
        assert_ne!(first.registry, second.registry);
        for (mine, other) in first.environments.iter().zip(&second.environments) {
            assert_ne!(mine.account.id, other.account.id);
        }
        let dev = first.environment("dev").unwrap();
        let aws = first.administrator(instance, &dev.account).await.unwrap();
        assert_eq!(secret(&aws, "dev").await, Some(first.database_url(dev)));
        assert_eq!(secret(&aws, "staging").await, None);
        assert_ne!(
            first.database_url(dev),
            second.database_url(second.environment("dev").unwrap())
        );
    });
}

#[test]
fn a_new_worlds_service_answers_behind_its_load_balancer() {
    let instance = instance();
    run(async {
        let name = name();
        let _in_use = World::replace_earlier(instance, "world-", &name)
            .await
            .unwrap();
        std::fs::create_dir_all(instance.dir.join("worlds").join(&name)).unwrap();
        let world = World::create(instance, &name).await.unwrap();
        world.serve(instance).await.unwrap();
        let address = world
            .address(instance, world.environment("production").unwrap())
            .await
            .unwrap();
        let probe = address.strip_prefix("http://").unwrap().parse().unwrap();
        let probe = sandbox::probe::Probe {
            at: sandbox::probe::Endpoint::Tcp(probe),
            path: "/healthz",
            status: 200,
        };
        let deadline = Instant::now() + Duration::from_secs(300);
        while !probe.answers(Duration::from_secs(2)) {
            assert!(Instant::now() < deadline, "{address} does not answer");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

#[test]
fn a_codebuild_stage_reaches_its_own_environment_and_no_other() {
    let instance = instance();
    run(async {
        let world = World::create(instance, &name()).await.unwrap();
        for (stage, account, role, allowed) in [
            ("dev", "dev", "slipway-deploy", true),
            ("dev", "staging", "slipway-deploy", false),
            ("dev", "production", "slipway-deploy", false),
            ("dev", "production", "slipway-read", true),
            ("dev", "build", "slipway-permit-dev", true),
            ("dev", "build", "slipway-permit-staging", false),
            ("dev", "build", "slipway-publish", false),
            // The stage that runs the repository's own code.
            ("staging-infrastructure", "staging", "slipway-deploy", true),
            ("staging-infrastructure", "dev", "slipway-deploy", false),
            (
                "staging-infrastructure",
                "build",
                "slipway-permit-staging",
                false,
            ),
            ("staging-infrastructure", "build", "slipway-publish", false),
            ("build", "build", "slipway-publish", true),
            ("build", "build", "slipway-permit-dev", false),
            ("build", "dev", "slipway-deploy", false),
        ] {
            let keys = world.codebuild_session(instance, stage, "build-1").await;
            let aws = world.caller(instance, keys.unwrap()).unwrap();
            let account = match account {
                "build" => &world.build.id,
                environment => &world.environment(environment).unwrap().account.id,
            };
            let arn = format!("arn:aws:iam::{account}:role/{role}");
            let parameters = [("RoleArn", arn.as_str()), ("RoleSessionName", "build-1")];
            let answer = aws
                .query("sts", "2011-06-15", "AssumeRole", &parameters)
                .await
                .unwrap();
            assert_eq!(answer.is_ok(), allowed, "{stage} {role}: {answer:?}");
        }
    });
}

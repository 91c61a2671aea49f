//! The serverless example: one image, a stack in each of two regions, one after the other, and an address in each at which notes are
//! written and read. The functions really run, with the permissions of their roles and nothing else.

use std::process::Command;

use sandbox::runner::base;
use sandbox::runner::vault::{CANADA, IRELAND, application, parameters};
use sandbox::world::aws::Aws;
use serde_json::{Value, json};

use super::{DEADLINE, Stacked, VERSION};
use crate::job::Job;
use crate::support::{TIMEOUT, ends, heavy, instance, log, session, until, wait};

const SHARED: &str = include_str!("../../../../docs/examples/vault/infra/shared/template.yaml");
const REGIONAL: &str = include_str!("../../../../docs/examples/vault/infra/region/template.yaml");

struct Vault {
    stack: Stacked,
    /// What both regions share.
    shared: Stacked,
    /// A checkout with the example's application.
    checkout: Job,
}

impl Vault {
    fn new() -> Self {
        let stack = Stacked::alone("vault");
        let world = stack.world;
        let shared = Stacked::of(world, "vault-shared");
        wait(TIMEOUT, async {
            let dev = world.environment("dev").unwrap();
            world.expects_vault(instance(), dev).await.unwrap();
            world.first_stage_publishes(instance()).await.unwrap();
            world.publishes_anywhere(instance()).await.unwrap();
            parameters(instance(), world, &stack.aws).await.unwrap();
        });
        let checkout = stack.job("", "");
        application(instance(), &checkout.file("app")).unwrap();
        Self {
            stack,
            shared,
            checkout,
        }
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .current_dir(self.checkout.file(""));
        ends(&mut git, 0, &[])
    }

    /// Commits what is there and publishes it to both regions; answers the digest.
    fn published(&self, message: &str) -> String {
        self.git(&["init", "--quiet"]);
        self.git(&["add", "--force", "app"]);
        self.git(&["commit", "--quiet", "--message", message]);
        let commit = self.git(&["rev-parse", "HEAD"]);
        let base = wait(TIMEOUT, base::lambda_image(instance())).unwrap();
        let argument = format!("LAMBDA_IMAGE={base}");
        let arguments = [
            "publish",
            "--environment",
            "dev",
            "--commit",
            commit.trim(),
            "--repository",
            "vault",
            "--context",
            "app",
            "--file",
            "app/Dockerfile",
            "--build-arg",
            &argument,
            "--to",
            IRELAND,
            "--json",
        ];
        let mut publish = self.checkout.command("slipway-image", &arguments);
        let ended = self.checkout.run(&mut publish);
        assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
        let published: Value = serde_json::from_slice(&ended.stdout).unwrap();
        published["digest"].as_str().unwrap().to_owned()
    }

    /// The stack that both regions need, in the first of them; answers the ARN of its key.
    fn shared(&self) -> String {
        let shared = &self.shared;
        let job = shared.job(SHARED, ", parameters: {Environment: dev}");
        shared.applied(&job);
        let outputs = shared.json(&job, &["status"])["outputs"].clone();
        assert_eq!(outputs["TableName"], "vault-dev");
        outputs["KeyArn"].as_str().unwrap().to_owned()
    }

    /// A job whose contract has the stack of each region.
    fn regional(&self, key: &str, digest: &str) -> Job {
        let settings = format!(
            ", regions: [{CANADA}, {IRELAND}], capabilities: [CAPABILITY_NAMED_IAM], \
             parameters: {{Environment: dev, Digest: \"{digest}\", SharedKeyArn: \"{key}\"}}"
        );
        self.stack.job(REGIONAL, &settings)
    }

    /// The address of a region, as the stack says it.
    fn url(&self, job: &Job, region: &str) -> String {
        let status = self.stack.json(job, &["status", "--region", region]);
        status["outputs"]["Url"].as_str().unwrap().to_owned()
    }

    /// A caller of a region's API.
    fn caller(&self, url: &str, region: &str) -> Aws {
        self.stack.aws.in_region(region).at(url)
    }

    /// Deletes what is left of a stack that was never made whole.
    fn delete(&self, region: &str) {
        let aws = self.stack.aws.in_region(region);
        let named = [("StackName", self.stack.name.as_str())];
        let call = aws.query("cloudformation", VERSION, "DeleteStack", &named);
        wait(DEADLINE, call).unwrap().unwrap();
        until("the deletion", DEADLINE, || {
            let call = aws.query("cloudformation", VERSION, "DescribeStacks", &named);
            wait(DEADLINE, call).unwrap().is_err().then_some(())
        });
    }
}

/// Status and body of a request that nobody signed.
fn get(url: &str) -> (u16, String) {
    wait(TIMEOUT, async {
        let answer = sandbox::world::http_client().unwrap().get(url).send().await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

fn put(caller: &Aws, name: &str, note: &str) {
    let path = format!("/notes/{name}");
    let note = json!(note);
    let call = caller.rest("execute-api", "PUT", &path, Some(&note));
    wait(TIMEOUT, call)
        .unwrap()
        .unwrap_or_else(|refused| panic!("{path}: {}", refused.body));
}

fn read(caller: &Aws, name: &str) -> Value {
    let path = format!("/notes/{name}");
    let call = caller.rest("execute-api", "GET", &path, None);
    wait(TIMEOUT, call)
        .unwrap()
        .unwrap_or_else(|refused| panic!("{path}: {}", refused.body))
}

#[test]
fn two_regions_are_made_one_after_the_other_and_answer_with_each_others_notes() {
    let _turn = heavy();
    let vault = Vault::new();
    let digest = vault.published("first");
    let key = vault.shared();
    let job = vault.regional(&key, &digest);

    // The second region fails. The first has its stack, and answers.
    let plan = vault.stack.planned(&job, &[]);
    let reason = json!({"reason": "the replica says no"});
    vault.stack.strike("KeyReplica", "create", &reason);
    let apply = ["apply", "--plan", &plan];
    let expected = [
        "region 1 of 2: ca-central-1",
        "region 2 of 2: eu-west-1",
        "applied, CREATE_COMPLETE",
        "the replica says no",
        "ROLLBACK_COMPLETE",
    ];
    vault.stack.ends(&job, &apply, 5, &expected);
    let canada = vault.url(&job, CANADA);
    let (status, body) = get(&format!("{canada}/healthz"));
    assert_eq!(status, 200, "{body}");
    vault.delete(IRELAND);

    let plan = vault.stack.planned(&job, &[]);
    let apply = ["apply", "--plan", &plan];
    let expected = ["no changes", "applied, CREATE_COMPLETE"];
    vault.stack.ends(&job, &apply, 0, &expected);
    let ireland = vault.url(&job, IRELAND);
    answers(&vault, &[(CANADA, &canada), (IRELAND, &ireland)]);
    keeps(&vault);
    delivers(&vault, &job, &[(CANADA, &canada), (IRELAND, &ireland)]);
    let violations = wait(TIMEOUT, sandbox::world::violations(instance()));
    assert_eq!(violations.unwrap(), Vec::<String>::new());
}

/// Each region answers for itself, and with what was written in the other.
fn answers(vault: &Vault, regions: &[(&str, &str); 2]) {
    for (region, url) in regions {
        let (status, body) = get(&format!("{url}/healthz"));
        assert!(status == 200 && body.contains(region), "{status} {body}");
        let (status, body) = get(&format!("{url}/"));
        assert!(status == 200 && body.contains(region), "{status} {body}");
        assert_eq!(get(&format!("{url}/notes/a")).0, 403);
        assert_eq!(get(&format!("{url}/nothing")).0, 404);
    }
    let [canada, ireland] = regions.map(|(region, url)| vault.caller(url, region));
    put(&canada, "north", "snow");
    put(&ireland, "east", "rain");
    assert_eq!(read(&ireland, "north"), "snow");
    assert_eq!(read(&canada, "east"), "rain");
    // A signature is good in its own region alone.
    let elsewhere = vault.caller(regions[1].1, CANADA);
    let call = elsewhere.rest("execute-api", "GET", "/notes/north", None);
    assert_eq!(wait(TIMEOUT, call).unwrap().unwrap_err().status, 403);
    let gone = canada.rest("execute-api", "DELETE", "/notes/north", None);
    wait(TIMEOUT, gone).unwrap().unwrap();
    let call = ireland.rest("execute-api", "GET", "/notes/north", None);
    assert_eq!(wait(TIMEOUT, call).unwrap().unwrap_err().status, 404);
}

/// The notes are encrypted, and recovery and retention are what the templates say, in each region.
fn keeps(vault: &Vault) {
    for region in [CANADA, IRELAND] {
        let aws = vault.stack.aws.in_region(region);
        let ask = |service: &str, target: &str, input: Value| {
            wait(TIMEOUT, aws.json(service, target, &input))
                .unwrap()
                .unwrap()
        };
        let table = json!({"TableName": "vault-dev"});
        let scan = ask("dynamodb", "DynamoDB_20120810.Scan", table.clone());
        assert_eq!(scan["Items"][0]["name"]["S"], "east", "{scan}");
        let note = scan["Items"][0]["note"]["B"].as_str().unwrap();
        assert!(note.len() > 40, "{scan}");
        let backups = ask(
            "dynamodb",
            "DynamoDB_20120810.DescribeContinuousBackups",
            table.clone(),
        );
        let recovery = &backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
        assert_eq!(recovery["RecoveryPeriodInDays"], 7, "{backups}");
        let described = ask("dynamodb", "DynamoDB_20120810.DescribeTable", table);
        assert_eq!(described["Table"]["Replicas"].as_array().unwrap().len(), 1);
        let groups = ask("logs", "Logs_20140328.DescribeLogGroups", json!({}));
        let groups = groups["logGroups"].as_array().unwrap();
        assert_eq!(groups.len(), 5);
        assert!(
            groups.iter().all(|group| group["retentionInDays"] == 3),
            "{groups:?}"
        );
    }
}

/// A new digest comes to the functions by the step that deploys, in each region, and the stack leaves it there.
fn delivers(vault: &Vault, job: &Job, regions: &[(&str, &str); 2]) {
    let page = vault.checkout.file("app/components/page/index.js");
    let text = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, text.replace("<h1>Vault</h1>", "<h1>Second</h1>")).unwrap();
    let digest = vault.published("second");
    let keys = wait(
        DEADLINE,
        session(vault.stack.world, "dev", "slipway-deploy"),
    );
    for (region, url) in regions {
        assert!(get(&format!("{url}/")).1.contains("<h1>Vault</h1>"));
        let arguments = [
            "deploy",
            "--function",
            "vault-dev-page",
            "--digest",
            &digest,
        ];
        let mut deploy = job.command("slipway-service", &arguments);
        deploy.envs(keys.variables()).env("AWS_REGION", region);
        ends(&mut deploy, 0, &["published version 2"]);
        assert!(get(&format!("{url}/")).1.contains("<h1>Second</h1>"));
    }
    // A change of the infrastructure moves no alias.
    let quiet = REGIONAL.replace("Timeout: 10", "Timeout: 9");
    std::fs::write(job.file("stack.yaml"), quiet).unwrap();
    vault.stack.applied(job);
    for (_, url) in regions {
        assert!(get(&format!("{url}/")).1.contains("<h1>Second</h1>"));
    }
}

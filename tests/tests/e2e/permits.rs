//! Deployments under a permit, with the roles as the documentation gives them: what the role that deploys cannot do by itself,
//! what a permit opens, once, and what a killed run leaves. Nothing of GitHub answers here.

mod attempts;
mod continued;
mod function;
mod given_up;
mod killed;
mod paused;
pub(crate) mod roles;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sandbox::instance::sha256;
use sandbox::world::World;
use sandbox::world::aws::Aws;
use serde_json::{Value, json};

use crate::gateway;
use crate::job::Job;
use crate::support::{TIMEOUT, ago, clocked, ends, instance, now, wait, world};

const ECS: &str = "AmazonEC2ContainerServiceV20141113";
const QUERY: &str = "DynamoDB_20120810.Query";
const PUT: &str = "DynamoDB_20120810.PutItem";
/// What an image runs that answers the load balancer.
const SERVES: &str = "exec busybox httpd -f -p 8080 -h /www";
/// When permits of these tests end, unless a test says otherwise.
const LATER: &str = "2999-01-01T00:00:00Z";

/// One gated environment, its chain, and the job that deploys there.
struct Setting {
    world: &'static World,
    environment: &'static str,
    /// The administrators of the environment's account and of the build account.
    aws: Aws,
    build: Aws,
    job: Job,
    /// A digest that serves, which the environment does not run.
    digest: String,
    /// The hash of the gate's rules, as the steps write it.
    policy: String,
    /// Tests of one environment share its service and its chain.
    _turn: MutexGuard<'static, ()>,
}

impl Setting {
    /// With a digest that serves, and differs by this mark from others.
    fn new(environment: &'static str, mark: &str) -> Self {
        Self::of(environment, SERVES, mark)
    }

    /// Goes on with another digest that serves.
    fn another(&mut self, mark: &str) {
        let runs = ["/bin/busybox", "sh", "-c", SERVES, mark];
        let image = wait(TIMEOUT, self.world.image(instance(), &runs)).unwrap();
        image
            .split_once('@')
            .unwrap()
            .1
            .clone_into(&mut self.digest);
    }

    /// With a digest that never answers the load balancer.
    fn silent(environment: &'static str, mark: &str) -> Self {
        Self::of(environment, "exec sleep 600", mark)
    }

    fn of(environment: &'static str, script: &str, mark: &str) -> Self {
        static TURNS: [Mutex<()>; 3] = [const { Mutex::new(()) }; 3];
        static WORLD: OnceLock<World> = OnceLock::new();
        let names = World::ENVIRONMENTS.iter();
        let index = names.take_while(|name| **name != environment).count();
        let turn = TURNS[index].lock().unwrap_or_else(PoisonError::into_inner);
        let world = WORLD.get_or_init(|| {
            wait(TIMEOUT, async {
                let world = world("permits").await;
                world.serve(instance()).await.unwrap();
                world
            })
        });
        let runs = ["/bin/busybox", "sh", "-c", script, mark];
        let (aws, build, keys, image) = wait(TIMEOUT, async {
            let account = &world.environment(environment).unwrap().account;
            (
                world.administrator(instance(), account).await.unwrap(),
                world.administrator(instance(), &world.build).await.unwrap(),
                world
                    .codebuild_session(instance(), environment, "e2e")
                    .await
                    .unwrap(),
                world.image(instance(), &runs).await.unwrap(),
            )
        });
        let mut variables = world.variables(instance());
        variables.extend(world.repository_variables());
        variables.extend(world.environment_variables(world.environment(environment).unwrap()));
        variables.extend(keys.variables());
        variables.insert("GITHUB_API_URL".to_owned(), "http://127.0.0.1:1".to_owned());
        let job = Job::new(variables);
        std::fs::write(job.file("delivery.yaml"), CONTRACT).unwrap();
        let mut setting = Self {
            world,
            environment,
            aws,
            build,
            job,
            digest: image.split_once('@').unwrap().1.to_owned(),
            policy: String::new(),
            _turn: turn,
        };
        // Earlier tests closed the deployments that they began here, and this record is the newest deployment.
        let commit = "c".repeat(40);
        let failed = [
            "record",
            "--environment",
            environment,
            "--digest",
            &setting.digest,
            "--commit",
            &commit,
            "--verdict",
            "failed",
        ];
        ends(&mut setting.job.command("slipway-promote", &failed), 0, &[]);
        setting.policy = setting.chain()[0]["policy"].as_str().unwrap().to_owned();
        setting
    }

    fn name(&self) -> String {
        format!("{}#{}", self.world.service, self.environment)
    }

    /// The items of the chain, newest first.
    fn items(&self) -> Vec<Value> {
        let input = json!({
            "TableName": World::LEDGER, "ScanIndexForward": false, "ConsistentRead": true,
            "KeyConditionExpression": "#c = :c", "ExpressionAttributeNames": {"#c": "chain"},
            "ExpressionAttributeValues": {":c": {"S": self.name()}},
        });
        let asked = self.build.json("dynamodb", QUERY, &input);
        wait(TIMEOUT, asked).unwrap().unwrap()["Items"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The records of the chain, newest first.
    fn chain(&self) -> Vec<Value> {
        let record = |item: &Value| serde_json::from_str(item["record"]["S"].as_str().unwrap());
        self.items()
            .iter()
            .map(|item| record(item).unwrap())
            .collect()
    }

    /// Appends a record as a run of the permit role would; answers its number.
    fn plant(&self, record: &Value) -> u64 {
        let items = self.items();
        let head = items.first();
        let prev = head.map_or("0".repeat(64), |item| {
            item["hash"]["S"].as_str().unwrap().to_owned()
        });
        let seq = items.len() as u64 + 1;
        let mut content = json!({
            "seq": seq, "at": "2026-11-21T18:00:00Z", "service": self.world.service,
            "environment": self.environment, "digest": self.digest, "commit": "c".repeat(40),
            "actor": {"login": "linus"}, "policy": self.policy,
            "account": self.world.environment(self.environment).unwrap().account.id,
        });
        for (name, value) in record.as_object().unwrap() {
            content[name] = value.clone();
        }
        let bytes = content.to_string();
        let item = json!({
            "chain": {"S": self.name()}, "seq": {"N": seq.to_string()}, "record": {"S": bytes},
            "hash": {"S": sha256(format!("{prev}{bytes}").as_bytes())}, "prev": {"S": prev},
        });
        let input = json!({"TableName": World::LEDGER, "Item": item});
        let put = self.build.json("dynamodb", PUT, &input);
        wait(TIMEOUT, put).unwrap().unwrap();
        seq
    }

    /// Appends a permit that was judged against the newest deployment, with these members of its own; answers its number.
    fn permit(&self, more: &Value) -> u64 {
        let verdicts = ["healthy", "failed", "rolled_back"];
        let items = self.items();
        let records = self.chain();
        let mut both = items.iter().zip(&records);
        let newest =
            both.find(|(_, record)| verdicts.contains(&record["verdict"].as_str().unwrap()));
        let head = newest.unwrap().0["hash"]["S"].clone();
        let mut record = json!({"verdict": "permitted", "at": now(), "permit": {"expires": LATER, "head": head}});
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Object(members) if name == "permit" => {
                    for (name, value) in members {
                        record["permit"][name] = value.clone();
                    }
                }
                value => record[name] = value.clone(),
            }
        }
        self.plant(&record)
    }

    /// A verb for the digest, under a permit if its number is not empty.
    fn under(&self, verb: &str, permit: &str, further: &[&str]) -> Command {
        let mut all = vec![
            verb,
            "--environment",
            self.environment,
            "--digest",
            &self.digest,
        ];
        if !permit.is_empty() {
            all.extend(["--permit", permit]);
        }
        all.extend(further);
        self.job.command("slipway-service", &all)
    }

    fn deploy(&self, permit: &str, further: &[&str]) -> Command {
        self.under("deploy", permit, further)
    }

    /// The same in another run.
    fn deploy_again(&self, permit: &str) -> Command {
        let mut command = self.deploy(permit, &[]);
        command
            .env("GITHUB_RUN_ID", "4712")
            .env("GITHUB_ACTOR", "grace");
        command
    }

    /// Records how the deployment under a permit ended.
    fn record(&self, permit: &str, verdict: &str) -> Command {
        let commit = "c".repeat(40);
        let all = [
            "record",
            "--environment",
            self.environment,
            "--digest",
            &self.digest,
            "--commit",
            &commit,
            "--permit",
            permit,
            "--verdict",
            verdict,
        ];
        self.job.command("slipway-promote", &all)
    }

    fn ecs(&self, operation: &str, input: &Value) -> Value {
        let target = format!("{ECS}.{operation}");
        let call = self.aws.json("ecs", &target, input);
        wait(TIMEOUT, call).unwrap().unwrap()
    }

    fn service(&self) -> Value {
        let input = json!({"cluster": self.cluster(), "services": [self.world.service]});
        self.ecs("DescribeServices", &input)["services"][0].clone()
    }

    fn cluster(&self) -> String {
        format!("{}-{}", self.world.service, self.environment)
    }

    /// The image that the service's task definition names.
    fn image(&self) -> String {
        let definition = json!({"taskDefinition": self.service()["taskDefinition"]});
        let found = self.ecs("DescribeTaskDefinition", &definition);
        let image = &found["taskDefinition"]["containerDefinitions"][0]["image"];
        image.as_str().unwrap().to_owned()
    }

    /// How many deployments are on record as begun under a permit.
    fn started(&self, permit: u64) -> Vec<Value> {
        let under = |record: &Value| record["verdict"] == "started" && record["under"] == permit;
        self.chain().into_iter().filter(under).collect()
    }

    /// Sets a fault for the next calls of an operation in the environment's account.
    fn fault(&self, operation: &str, times: u32, fault: &Value) {
        let account = &self.world.environment(self.environment).unwrap().account.id;
        let body = json!({"account": account, "service": "ecs", "operation": operation,
                          "times": times, "fault": fault});
        gateway::tell("faults", &body);
    }

    fn no_fault(&self) {
        gateway::clear_faults(&self.world.environment(self.environment).unwrap().account.id);
    }
}

const CONTRACT: &str = "version: 1\nservice: storefront\nimage: {repository: placeholder}\n\
    build: {account: var:BUILD_ACCOUNT_ID, region: ca-central-1}\n\
    environments:\n  dev: {account: var:DEV_ACCOUNT_ID}\n  \
    staging: {account: var:STAGING_ACCOUNT_ID, follows: dev, gate: {rollback: {approvals: 0}}}\n  \
    production: {account: var:PRODUCTION_ACCOUNT_ID, follows: staging}\n";

#[test]
fn a_permit_is_used_once_and_by_one_run() {
    let setting = Setting::new("production", "used-once");
    let approvers = json!([{"login": "ada"}, {"login": "grace"}]);
    let number = setting.permit(&json!({"permit": {"approvers": approvers}}));
    let permit = number.to_string();
    let at = setting.chain()[0]["at"].as_str().unwrap().to_owned();
    let granted = format!(
        "under permit {permit}, granted by linus at {at}, pull requests approved by ada, grace"
    );

    // To look costs nothing.
    let before = setting.service()["taskDefinition"].clone();
    ends(
        &mut setting.deploy(&permit, &["--dry-run"]),
        0,
        &[&granted, "it must begin before"],
    );
    assert_eq!(setting.chain()[0]["verdict"], "permitted");
    assert_eq!(setting.service()["taskDefinition"], before);

    let used = format!("permit {permit} is used up by record {}", number + 1);
    ends(
        &mut setting.deploy(&permit, &[]),
        0,
        &[&granted, &used, "succeeded"],
    );
    assert!(
        setting.image().ends_with(&setting.digest),
        "{}",
        setting.image()
    );
    let head = &setting.chain()[0];
    assert_eq!(
        (&head["verdict"], &head["under"]),
        (&json!("started"), &json!(number))
    );
    assert_eq!(head["actor"]["login"], "ada");
    // The revision that the session may update the service to is on record too.
    assert_eq!(head["task_definition"], setting.service()["taskDefinition"]);
    let summary = setting.job.read("summary");
    assert!(summary.contains("granted by linus"), "{summary}");

    // The same run continues; another run is refused, and the error names the run that began.
    let output = ends(
        &mut setting.deploy(&permit, &["--json"]),
        0,
        &["this run began the deployment before"],
    );
    let json: Value =
        serde_json::from_str(output.get(output.find("\n{").unwrap()..).unwrap()).unwrap();
    assert_eq!(json["permit"]["record"], number, "{json}");
    assert_eq!(json["permit"]["reviewed_by"], json!(["ada", "grace"]));
    assert_eq!(setting.started(number).len(), 1);
    let refused = [
        "ada at 20",
        "in https://github.com/acme/storefront/actions/runs/4711/attempts/2",
        "began a deployment under it",
        "slipway-promote grant --environment production",
    ];
    ends(&mut setting.deploy_again(&permit), 3, &refused);
    // A run with another permit is refused too, until the first is recorded; then that permit is void.
    let other = setting.permit(&json!({})).to_string();
    ends(
        &mut setting.deploy_again(&other),
        3,
        &["which is not recorded yet"],
    );
    setting.plant(&json!({"verdict": "failed", "under": number}));
    let newer = ["another deployment was recorded since it was granted"];
    ends(&mut setting.deploy_again(&other), 3, &newer);
}

/// A job that can set its machine's clock must not choose how long a permit lasts.
#[test]
fn a_machine_whose_clock_is_behind_uses_no_expired_permit() {
    let setting = Setting::new("staging", "behind");
    let off = setting.job.file("clock");
    let deploy = |by: i64, permit: &str| {
        std::fs::write(&off, by.to_string()).unwrap();
        clocked(&off, &setting.deploy(permit, &[]))
    };
    let twenty = 20 * 60;
    let expired = json!({"at": ago(70), "permit": {"expires": ago(10)}});
    let expired = setting.permit(&expired).to_string();
    ends(&mut deploy(-twenty, &expired), 3, &["it expired at"]);
    let stale = json!({"at": ago(15), "permit": {"expires": ago(-45)}});
    let stale = setting.permit(&stale).to_string();
    let judged = ["must be judged at most 10 minutes before"];
    ends(&mut deploy(-twenty, &stale), 3, &judged);
    // One that is in force is used, and the record of that says AWS's time.
    let permit = setting.permit(&json!({})).to_string();
    ends(&mut deploy(twenty, &permit), 0, &["succeeded"]);
    let records = setting.chain();
    let started = records.iter().find(|it| it["verdict"] == "started");
    let at = started.unwrap()["at"].as_str().unwrap();
    assert!((ago(5).as_str()..=now().as_str()).contains(&at), "{at}");
}

#[test]
fn a_permit_is_for_one_digest_in_one_account_until_a_time() {
    let setting = Setting::new("staging", "refused");
    let running = setting.service()["taskDefinition"].clone();
    let other = format!("sha256:{}", "9".repeat(64));
    let account = &setting.world.environment("production").unwrap().account.id;
    for (more, expected) in [
        (json!({"digest": other}), format!("it permits {other}")),
        (
            json!({"account": account}),
            format!("it permits account {account}"),
        ),
        (
            json!({"permit": {"expires": "2000-01-01T00:00:00Z"}}),
            "it expired at 2000-01-01T00:00:00Z".to_owned(),
        ),
        (
            json!({"permit": {"head": "1".repeat(64)}}),
            "another deployment was recorded".to_owned(),
        ),
        (
            json!({"contract_path": "other.yaml"}),
            "it was judged by the contract other.yaml, and this one is delivery.yaml".to_owned(),
        ),
        (
            json!({"policy": "sha256:0"}),
            "gate of staging has changed".to_owned(),
        ),
        (
            json!({"verdict": "reviewed", "reason": "seen"}),
            "is not a permit: reviewed".to_owned(),
        ),
    ] {
        let permit = setting.permit(&more).to_string();
        let begun = format!("permit {permit} does not let {}", setting.digest);
        ends(&mut setting.deploy(&permit, &[]), 3, &[&begun, &expected]);
        ends(
            &mut setting.deploy(&permit, &["--dry-run"]),
            3,
            &[&expected],
        );
    }
    let permit = (setting.items().len() + 1).to_string();
    let unknown = format!("has no record {permit}");
    ends(&mut setting.deploy(&permit, &[]), 3, &[&unknown]);
    assert_eq!(setting.service()["taskDefinition"], running);
    let begun =
        |record: &Value| record["verdict"] == "started" && record["digest"] == setting.digest;
    assert!(!setting.chain().iter().any(begun));
}

/// By the real gate, while nothing of GitHub answers.
#[test]
fn a_rollback_is_granted_deployed_and_recorded() {
    let setting = Setting::new("staging", "rolled-back-to");
    let replaced = format!("sha256:{}", "8".repeat(64));
    setting.plant(&json!({"verdict": "healthy"}));
    setting.plant(&json!({"verdict": "healthy", "digest": replaced, "previous": setting.digest}));
    let promote = |verb: &[&str]| {
        let target = ["--environment", "staging", "--digest", &setting.digest];
        setting
            .job
            .command("slipway-promote", &[verb, &target].concat())
    };
    ends(&mut promote(&["grant", "--rollback"]), 0, &["permit"]);
    let granted = setting.chain()[0].clone();
    assert_eq!(granted["verdict"], "permitted", "{granted}");
    let permit = granted["seq"].to_string();
    let expected = [", a rollback", "succeeded"];
    ends(&mut setting.deploy(&permit, &[]), 0, &expected);
    let commit = "c".repeat(40);
    let record = ["record", "--commit", &commit, "--permit", &permit];
    ends(&mut promote(&record), 0, &["written"]);
    let newest = &setting.chain()[0];
    assert_eq!(
        (&newest["verdict"], &newest["under"]),
        (&json!("healthy"), &granted["seq"])
    );
    assert_eq!(newest["rollback"]["from"], json!(replaced));
}

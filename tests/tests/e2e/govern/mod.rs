//! Work on a state beside holding its lock: plans that are saved and applied, drift, the bucket and the table, digests and versions. With
//! real Terraform.

mod bootstrap;
mod cdktn;
mod elsewhere;
mod history;
mod newer;
pub(crate) mod permitted;
mod pinned;
mod plan;
mod wrapped;

use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use sandbox::instance::port;
use sandbox::world::World;
use sandbox::world::aws::{Aws, Keys};
use serde_json::{Value, json};

use crate::gateway;
use crate::job::Job;
use crate::support::{Started, TIMEOUT, instance, item, log, session, wait, world};

const DEADLINE: Duration = Duration::from_secs(120);
/// The value of a sensitive variable, which must turn up nowhere.
const SECRET: &str = "correct-horse-battery";

/// Infrastructure of built-in resources, one of which leads a sensitive value through an output that Terraform does not
/// know to be sensitive.
const CODE: &str = r#"
terraform {
  backend "s3" {}
}

variable "domain" {
  type = string
}

variable "environment" {
  type = string
}

variable "password" {
  type      = string
  sensitive = true
  default   = "unset"
}

resource "terraform_data" "network" {
  input = "${var.environment}.${var.domain}"
}

resource "terraform_data" "database" {
  input            = var.password
  triggers_replace = var.domain
}

output "password" {
  value     = terraform_data.database.output
  sensitive = true
}
"#;

/// One state of dev's account, under a key of the test's own, and a repository that describes it.
struct Governed {
    world: &'static World,
    aws: Aws,
    stage: Keys,
    key: String,
}

impl Governed {
    fn new(name: &str) -> Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        Self::of(WORLD.get_or_init(|| wait(TIMEOUT, world("govern"))), name)
    }

    /// A state in a world where calls to AWS fail, which would strike the others' too.
    fn with_faults(name: &str) -> Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        Self::of(WORLD.get_or_init(|| wait(TIMEOUT, world("struck"))), name)
    }

    /// The same, where calls fail that others make too.
    fn alone(name: &str) -> Self {
        Self::of(Box::leak(Box::new(wait(TIMEOUT, world(name)))), name)
    }

    fn of(world: &'static World, name: &str) -> Self {
        wait(DEADLINE, async {
            let dev = world.environment("dev").unwrap();
            Self {
                world,
                aws: world.administrator(instance(), &dev.account).await.unwrap(),
                stage: world
                    .codebuild_session(instance(), "dev", "e2e")
                    .await
                    .unwrap(),
                key: format!("{name}/terraform.tfstate"),
            }
        })
    }

    fn bucket(&self) -> &str {
        &self.world.environment("dev").unwrap().state_bucket
    }

    fn table(&self) -> &str {
        &self.world.environment("dev").unwrap().lock_table
    }

    fn account(&self) -> &str {
        &self.world.environment("dev").unwrap().account.id
    }

    /// A job in a checkout, with the identity of dev's stage: the step assumes the role it needs by itself.
    fn job(&self, domain: &str) -> Job {
        self.job_with(domain, &[])
    }

    fn job_with(&self, domain: &str, further: &[(&str, &str)]) -> Job {
        let dev = self.world.environment("dev").unwrap();
        let mut variables = self.world.variables(instance());
        variables.extend(self.world.repository_variables());
        variables.extend(self.world.environment_variables(dev));
        variables.extend(self.stage.variables());
        let own = [("TF_VAR_password", SECRET)];
        for (name, value) in own.iter().chain(further) {
            variables.insert((*name).to_owned(), (*value).to_owned());
        }
        let job = Job::new(variables);
        let contract = format!(
            "version: 1\nservice: storefront\nbuild: {{account: var:BUILD_ACCOUNT_ID, region: {}}}\n\
             environments:\n  dev: {{account: var:DEV_ACCOUNT_ID}}\n\
             state: {{key: {}, table: var:TF_LOCK_TABLE}}\nvariables:\n  domain: {{type: domain, value: {domain}}}\n",
            self.world.region, self.key
        );
        std::fs::write(job.file("delivery.yaml"), contract).unwrap();
        std::fs::create_dir(job.file("infra")).unwrap();
        std::fs::write(job.file("infra/main.tf"), CODE).unwrap();
        job
    }

    /// `slipway-state ARGUMENTS --environment dev` in a job.
    fn step(&self, job: &Job, arguments: &[&str]) -> Command {
        let mut all = arguments.to_vec();
        all.extend(["--environment", "dev"]);
        job.command("slipway-state", &all)
    }

    fn ends(&self, job: &Job, arguments: &[&str], exit: i32) -> Output {
        let ended = job.run(&mut self.step(job, arguments));
        let stdout = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(
            ended.status.code(),
            Some(exit),
            "{arguments:?}\n{}{stdout}",
            log(&ended)
        );
        assert_eq!(self.lock(), None, "{arguments:?} left the lock");
        ended
    }

    /// Runs a step that succeeds, and answers its result as JSON.
    fn run_json(&self, job: &Job, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        serde_json::from_slice(&self.ends(job, &all, 0).stdout).unwrap()
    }

    /// Plans and answers the plan's ID.
    fn planned(&self, job: &Job) -> String {
        let plan = self.run_json(job, &["plan"])["plan"].clone();
        plan.as_str().unwrap().to_owned()
    }

    /// Runs a step that is refused, and answers its log.
    fn refused(&self, job: &Job, arguments: &[&str]) -> String {
        log(&self.ends(job, arguments, 3))
    }

    fn lock(&self) -> Option<Value> {
        self.item("")
    }

    /// The digest that Terraform keeps beside the lock.
    fn digest(&self) -> Option<String> {
        let item = self.item("-md5")?;
        item["Digest"]["S"].as_str().map(str::to_owned)
    }

    fn item(&self, suffix: &str) -> Option<Value> {
        let id = format!("{}/{}{suffix}", self.bucket(), self.key);
        wait(DEADLINE, item(&self.aws, self.table(), "LockID", &id))
    }

    /// Terraform in a job's checkout, as somebody runs it by hand, with the lock it takes itself.
    fn by_hand(&self, job: &Job, arguments: &[&str]) -> Output {
        let keys = wait(DEADLINE, session(self.world, "dev", "slipway-deploy"));
        let terraform = instance().bin().join("terraform").display().to_string();
        let mut command = job.command(&terraform, arguments);
        command
            .current_dir(job.file("infra"))
            .envs(keys.variables())
            .env("TF_VAR_environment", "dev");
        Started::new(&mut command).end(DEADLINE)
    }

    /// Initialises by hand, so that the next command can be anything.
    fn init_by_hand(&self, job: &Job) {
        let settings = [
            ("bucket", self.bucket()),
            ("key", self.key.as_str()),
            ("region", self.world.region.as_str()),
            ("dynamodb_table", self.table()),
            ("use_path_style", "true"),
        ]
        .map(|(name, value)| format!("-backend-config={name}={value}"));
        let mut arguments = vec!["init", "-no-color"];
        arguments.extend(settings.iter().map(String::as_str));
        let done = self.by_hand(job, &arguments);
        assert!(done.status.success(), "{done:?}");
    }

    /// Takes back the faults that wait for a call to strike.
    fn clear_faults(&self) {
        gateway::clear_faults(self.account());
    }

    /// A command that makes the next matching call to AWS of dev's account fail.
    fn strike(&self, service: &str, operation: &str) -> String {
        let fault = json!({
            "service": service, "operation": operation, "account": self.account(),
            "fault": {"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "swallowed"},
        });
        format!(
            "curl --silent --fail --request POST --header 'content-type: application/json' --data '{fault}' {}/_sandbox/faults",
            instance().url(port::GATEWAY)
        )
    }
}

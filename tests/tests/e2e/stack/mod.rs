//! CloudFormation stacks, planned and applied by the step, on the sandbox's own resources.

mod assembly;
mod built;
mod callable;
mod drift;
mod failures;
mod imported;
mod killed;
mod large;
mod life;
mod nested;
mod permitted;
mod proposed;
mod protected;
mod refused;
mod regions;
mod runtime;
mod secrets;
mod vault;

use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use sandbox::world::World;
use sandbox::world::aws::{Aws, Keys};
use serde_json::{Value, json};

use crate::gateway;
use crate::job::Job;
use crate::support::{TIMEOUT, instance, log, session, until, wait, world};

const DEADLINE: Duration = Duration::from_secs(120);
const VERSION: &str = "2010-05-15";

/// A queue, which holds data, and a topic, which holds none.
const TEMPLATE: &str = r"
Parameters:
  Delay: {Type: Number, Default: 5}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: {DelaySeconds: !Ref Delay}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: one}
Outputs:
  QueueUrl: {Value: !Ref Queue}
";

/// One stack of dev's account.
struct Stacked {
    world: &'static World,
    aws: Aws,
    stage: Keys,
    role: String,
    name: String,
}

impl Stacked {
    fn new(name: &str) -> Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        Self::of(WORLD.get_or_init(|| wait(TIMEOUT, world("stack"))), name)
    }

    /// A stack in a world of its own, where calls fail that others make too.
    fn alone(name: &str) -> Self {
        let purpose = format!("stack-{name}");
        Self::of(Box::leak(Box::new(wait(TIMEOUT, world(&purpose)))), name)
    }

    /// The same where change sets are executed only under permits.
    fn permitted(name: &str) -> Self {
        let stack = Self::alone(name);
        let dev = stack.world.environment("dev").unwrap();
        wait(DEADLINE, stack.world.permits_stacks(instance(), dev)).unwrap();
        stack
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
                role: world.has_stacks(instance(), dev).await.unwrap(),
                name: format!("{}-{name}", dev.cluster(&world.service)),
            }
        })
    }

    fn account(&self) -> &str {
        &self.world.environment("dev").unwrap().account.id
    }

    /// A job in a checkout with this template, whose contract has these further settings of the stack.
    fn job(&self, template: &str, settings: &str) -> Job {
        let dev = self.world.environment("dev").unwrap();
        let mut variables = self.world.variables(instance());
        variables.extend(self.world.repository_variables());
        variables.extend(self.world.environment_variables(dev));
        variables.extend(self.stage.variables());
        let job = Job::new(variables);
        let contract = format!(
            "version: 1\nservice: storefront\nbuild: {{account: var:BUILD_ACCOUNT_ID, region: {}}}\n\
             environments:\n  dev: {{account: var:DEV_ACCOUNT_ID}}\n\
             secrets: {{NOTE: env:NOTE}}\n\
             stack: {{name: {}, template: stack.yaml, role: {}{settings}}}\n",
            self.world.region, self.name, self.role
        );
        std::fs::write(job.file("delivery.yaml"), contract).unwrap();
        std::fs::write(job.file("stack.yaml"), template).unwrap();
        job
    }

    /// `slipway-stack ARGUMENTS --environment dev` in a job.
    fn step(&self, job: &Job, arguments: &[&str]) -> Command {
        let mut all = arguments.to_vec();
        all.extend(["--environment", "dev"]);
        job.command("slipway-stack", &all)
    }

    /// Runs the step, and answers what a person sees of it.
    #[track_caller]
    fn ends(&self, job: &Job, arguments: &[&str], exit: i32, expected: &[&str]) -> String {
        let ended = job.run(&mut self.step(job, arguments));
        shows(&ended, arguments, exit, expected)
    }

    /// Runs a step that succeeds, and answers its result as JSON.
    #[track_caller]
    fn json(&self, job: &Job, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let ended = job.run(&mut self.step(job, &all));
        shows(&ended, &all, 0, &[]);
        serde_json::from_slice(&ended.stdout).unwrap()
    }

    /// Plans, and answers the plan's ID.
    #[track_caller]
    fn planned(&self, job: &Job, more: &[&str]) -> String {
        let plan = self.json(job, &[&["plan"], more].concat())["plan_id"].clone();
        plan.as_str().unwrap().to_owned()
    }

    /// Plans and applies.
    #[track_caller]
    fn applied(&self, job: &Job) {
        let plan = self.planned(job, &[]);
        self.ends(job, &["apply", "--plan", &plan], 0, &[]);
    }

    /// Sets a fault that an operation on a resource of the stack meets.
    fn strike(&self, resource: &str, operation: &str, more: &Value) {
        let mut fault = json!({
            "account": self.account(), "stack": self.name, "resource": resource, "operation": operation,
        });
        for (name, value) in more.as_object().unwrap() {
            fault[name] = value.clone();
        }
        gateway::tell("stacks", &fault);
    }

    /// A call to CloudFormation by the account's administrator.
    fn call(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let call = self
            .aws
            .query("cloudformation", VERSION, action, parameters);
        wait(DEADLINE, call)
            .unwrap()
            .unwrap_or_else(|refused| panic!("{action}: {}", refused.body))
    }

    fn described(&self) -> String {
        self.call("DescribeStacks", &[("StackName", self.name.as_str())])
    }

    /// The change sets of the stack.
    fn change_sets(&self) -> String {
        self.call("ListChangeSets", &[("StackName", self.name.as_str())])
    }

    /// Waits until the stack has this status.
    fn becomes(&self, status: &str) {
        until(status, DEADLINE, || {
            self.described()
                .contains(&format!("<StackStatus>{status}</StackStatus>"))
                .then_some(())
        });
    }
}

/// Expects the exit code and these texts in what a person sees; answers that.
#[track_caller]
fn shows(ended: &Output, arguments: &[&str], exit: i32, expected: &[&str]) -> String {
    let text = format!("{}{}", log(ended), String::from_utf8_lossy(&ended.stdout));
    assert_eq!(ended.status.code(), Some(exit), "{arguments:?}: {text}");
    for piece in expected {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
    text
}

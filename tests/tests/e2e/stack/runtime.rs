//! The example's runtime as CloudFormation: made by this step, delivered to by the service step, and changed again, by roles that
//! have what the documents say and nothing else.

use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use super::{DEADLINE, Stacked};
use crate::job::Job;
use crate::support::{TIMEOUT, element, ends, heavy, instance, session, until, wait};

const TEMPLATE: &str =
    include_str!("../../../../docs/examples/storefront/infra-cloudformation/template.yaml");
const DOMAIN: &str = "dev.storefront.example";
const ECS: &str = "AmazonEC2ContainerServiceV20141113";

/// The runtime's stack in an account where nothing of it is there yet.
struct Runtime {
    stack: Stacked,
    zone: String,
}

impl Runtime {
    fn new() -> Self {
        let stack = Stacked::alone("runtime");
        let body = "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                    <Name>storefront.example</Name><CallerReference>runtime</CallerReference></CreateHostedZoneRequest>";
        let asked = stack
            .aws
            .names(Method::POST, "/2013-04-01/hostedzone", body.to_owned());
        let answer = wait(DEADLINE, asked)
            .unwrap()
            .unwrap_or_else(|refused| panic!("{}", refused.body));
        let id = element(&answer, "Id").unwrap();
        let zone = id.rsplit('/').next().unwrap().to_owned();
        let dev = stack.world.environment("dev").unwrap();
        wait(
            DEADLINE,
            stack.world.expects_runtime(instance(), dev, &zone),
        )
        .unwrap();
        Self { stack, zone }
    }

    /// A job with this template, whose contract delivers this image.
    fn job(&self, template: &str, image: &str) -> Job {
        let settings = format!(
            ", capabilities: [CAPABILITY_NAMED_IAM], parameters: {{Environment: dev, Domain: {DOMAIN}, \
             HostedZoneId: {}, BuildAccount: \"{}\", Repository: placeholder{image}}}",
            self.zone, self.stack.world.build.id
        );
        self.stack.job(template, &settings)
    }

    /// The same with an image.
    fn delivering(&self, template: &str, image: &str) -> Job {
        self.job(template, &format!(", Image: \"{image}\""))
    }

    /// An image that serves the page, with something in its command that makes it another one.
    fn image(&self, more: &[&str]) -> String {
        let mut command = vec!["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"];
        command.extend(more);
        wait(TIMEOUT, self.stack.world.image(instance(), &command)).unwrap()
    }

    fn ecs(&self, operation: &str, input: &Value) -> Value {
        let target = format!("{ECS}.{operation}");
        let call = self.stack.aws.json("ecs", &target, input);
        wait(DEADLINE, call).unwrap().unwrap()
    }

    fn service(&self) -> Value {
        let input = json!({"cluster": "storefront-dev", "services": ["storefront"]});
        self.ecs("DescribeServices", &input)["services"][0].clone()
    }

    /// Image and memory of the revision that the service runs.
    fn runs(&self) -> (String, String) {
        let input = json!({"taskDefinition": self.service()["taskDefinition"]});
        let definition = self.ecs("DescribeTaskDefinition", &input)["taskDefinition"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let image = text(&definition["containerDefinitions"][0]["image"]);
        (image, text(&definition["memory"]))
    }

    /// Deploys an image as a job without a contract does.
    fn deploy(&self, job: &Job, image: &str) -> String {
        let (_, digest) = image.split_once('@').unwrap();
        let mut command = job.command(
            "slipway-service",
            &[
                "deploy",
                "--cluster",
                "storefront-dev",
                "--service",
                "storefront",
                "--digest",
                digest,
            ],
        );
        let keys = wait(DEADLINE, session(self.stack.world, "dev", "slipway-deploy"));
        command.envs(keys.variables());
        ends(&mut command, 0, &["succeeded"])
    }

    fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let call = self
            .stack
            .aws
            .query("ec2", "2016-11-15", action, parameters);
        wait(DEADLINE, call)
            .unwrap()
            .unwrap_or_else(|refused| panic!("{action}: {}", refused.body))
    }

    fn outputs(&self, job: &Job) -> Value {
        self.stack.json(job, &["status"])["outputs"].clone()
    }
}

/// Head and body of an answer. The certificate is the sandbox's own, so it is not looked at.
fn get(url: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--include", url]);
    ends(&mut curl, 0, &[])
}

#[test]
fn the_runtime_is_made_and_later_changes_leave_the_delivered_image_alone() {
    let _turn = heavy();
    let runtime = Runtime::new();
    let (first, second) = (runtime.image(&[]), runtime.image(&["-v"]));

    // A plan that does not say which image is delivered is not made.
    let silent = runtime.job(TEMPLATE, "");
    runtime.stack.ends(&silent, &["plan"], 2, &["Image"]);

    let job = runtime.delivering(TEMPLATE, &first);
    let plan = runtime.stack.planned(&job, &[]);
    let apply = ["apply", "--plan", &plan];
    runtime.stack.ends(&job, &apply, 0, &["CREATE_COMPLETE"]);
    answers_over_tls(&runtime, &job);
    lets_in_what_it_has_to(&runtime);
    assert_eq!(runtime.runs(), (first.clone(), "512".to_owned()));

    runtime.deploy(&job, &second);
    assert_eq!(runtime.runs(), (second.clone(), "512".to_owned()));

    // More memory, and by mistake the image from before: the service does not notice until the next deployment, which brings
    // the memory and its own image.
    let larger = TEMPLATE.replace("Memory: \"512\"", "Memory: \"1024\"");
    let job = runtime.delivering(&larger, &first);
    let before = runtime.service()["taskDefinition"].clone();
    let text = runtime.stack.ends(&job, &["plan"], 0, &["TaskDefinition"]);
    assert!(!text.contains("FargateService"), "{text}");
    runtime.stack.applied(&job);
    assert_eq!(runtime.service()["taskDefinition"], before);
    runtime.deploy(&job, &second);
    assert_eq!(runtime.runs(), (second.clone(), "1024".to_owned()));

    // A change of the service itself starts tasks of the newest revision, and that has the image that is delivered.
    let patient = TEMPLATE.replace("GracePeriodSeconds: 60", "GracePeriodSeconds: 61");
    let job = runtime.delivering(&patient, &second);
    runtime.stack.applied(&job);
    assert_eq!(runtime.service()["healthCheckGracePeriodSeconds"], 61);
    assert_eq!(runtime.runs(), (second, "512".to_owned()));
    answers_over_tls(&runtime, &job);
    goes(&runtime);
}

/// The load balancer sends HTTP to HTTPS, and a task answers there; the domain's record names the load balancer.
fn answers_over_tls(runtime: &Runtime, job: &Job) {
    let outputs = runtime.outputs(job);
    let balancer = outputs["LoadBalancerDnsName"].as_str().unwrap();
    let redirect = get(&format!("http://{balancer}/healthz?a=b"));
    assert!(redirect.starts_with("HTTP/1.1 301"), "{redirect}");
    let mut lines = redirect.lines();
    let location = lines
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap();
    assert!(location.starts_with("https://"), "{location}");
    assert!(location.ends_with("/healthz?a=b"), "{location}");
    until("the service answers over TLS", DEADLINE, || {
        get(location).starts_with("HTTP/1.1 200").then_some(())
    });
    let path = format!("/2013-04-01/hostedzone/{}/rrset", runtime.zone);
    let asked = runtime.stack.aws.names(Method::GET, &path, String::new());
    let records = wait(DEADLINE, asked).unwrap().unwrap();
    let alias = format!("<DNSName>{balancer}</DNSName>");
    assert!(records.contains(&alias), "{records}");
    assert!(records.contains("acm-validations"), "{records}");
}

/// Everybody reaches the load balancer, it reaches the tasks and nothing else, and nothing but it reaches the tasks.
fn lets_in_what_it_has_to(runtime: &Runtime) {
    let group = |description: &str| {
        let filter = [
            ("Filter.1.Name", "description"),
            ("Filter.1.Value.1", description),
        ];
        runtime.ec2("DescribeSecurityGroups", &filter)
    };
    let tasks = group("The load balancer to the tasks");
    let balancer = group("Everybody to the load balancer");
    let id = element(&balancer, "groupId").unwrap();
    let (ingress, _) = rules(&tasks);
    assert!(ingress.contains("<fromPort>8080</fromPort>"), "{ingress}");
    assert!(
        ingress.contains(&id) && !ingress.contains("cidrIp"),
        "{ingress}"
    );
    let (ingress, egress) = rules(&balancer);
    for port in ["443", "80"] {
        let open = format!("<toPort>{port}</toPort>");
        assert!(ingress.contains(&open), "{ingress}");
    }
    let to = element(&tasks, "groupId").unwrap();
    assert!(
        egress.contains(&to) && !egress.contains("0.0.0.0/0"),
        "{egress}"
    );
}

/// The rules of a group, in and out.
fn rules(group: &str) -> (String, String) {
    let part = |name: &str| element(group, name).unwrap_or_default();
    (part("ipPermissions"), part("ipPermissionsEgress"))
}

/// The stack can be torn down, and with it everything that it made.
fn goes(runtime: &Runtime) {
    let stack = &runtime.stack;
    let id = element(&stack.described(), "StackId").unwrap();
    stack.call("DeleteStack", &[("StackName", &stack.name)]);
    until("the stack is gone", DEADLINE, || {
        let described = stack.call("DescribeStacks", &[("StackName", &id)]);
        let status = element(&described, "StackStatus").unwrap();
        assert_ne!(status, "DELETE_FAILED", "{described}");
        (status == "DELETE_COMPLETE").then_some(())
    });
    let left = runtime.ec2(
        "DescribeVpcs",
        &[
            ("Filter.1.Name", "cidr"),
            ("Filter.1.Value.1", "10.20.0.0/16"),
        ],
    );
    assert!(!left.contains("<vpcId>"), "{left}");
}

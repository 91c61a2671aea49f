//! The service step and Lambda functions: what runs behind an alias after a deployment, and how those end that do not go well.
//! The functions' images run as they are, and ask the sandbox's Runtime API for events.

mod back;
mod ends;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sandbox::world::World;
use sandbox::world::aws::Aws;
use serde_json::{Value, json};

use crate::gateway;
use crate::job::Job;
use crate::support::{TIMEOUT, ends, instance, session, until, wait, world};

/// A runtime: asks for events, and answers each with its word and its version.
const RUNTIME: &str = r#"b=/bin/busybox; api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
  id=$($b wget -S -O /dev/null $api/next 2>&1 | $b sed -n 's/.*equest-[Ii]d: *//p' | $b tr -d '\r')
  [ -n "$id" ] || { $b sleep 1; continue; }
  $b wget -q -O /dev/null --post-data "\"WORD $AWS_LAMBDA_FUNCTION_VERSION\"" $api/$id/response
done"#;

/// A function in the development account of the world of these tests, and a job that may deploy to it.
struct Setting {
    world: &'static World,
    aws: Aws,
    job: Job,
    function: String,
    /// A fault strikes whichever function's call comes first: one test at a time.
    _turn: MutexGuard<'static, ()>,
}

impl Setting {
    /// A function of its own, whose version 1 answers `first 1`.
    fn new(name: &str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        static WORLD: OnceLock<World> = OnceLock::new();
        let world = WORLD.get_or_init(|| wait(TIMEOUT, world("function")));
        let image = image(world, "first");
        let (aws, keys, function) = wait(TIMEOUT, async {
            let environment = world.environment("dev").unwrap();
            let account = &environment.account;
            let aws = world.administrator(instance(), account).await.unwrap();
            let made = world.has_function(instance(), environment, name, &image);
            let function = made.await.unwrap();
            (aws, session(world, "dev", "slipway-deploy").await, function)
        });
        let mut variables = world.variables(instance());
        variables.extend(keys.variables());
        let setting = Self {
            world,
            aws,
            job: Job::new(variables),
            function,
            _turn: turn,
        };
        until("version 1 can be invoked", TIMEOUT, || {
            let version = setting.call("GET", "/configuration?Qualifier=1", None);
            (version["State"] == "Active").then_some(())
        });
        setting
    }

    /// The digest of a new image that answers with this word.
    fn image(&self, word: &str) -> String {
        let reference = image(self.world, word);
        reference.split_once('@').unwrap().1.to_owned()
    }

    fn command(&self, verb: &str, further: &[&str]) -> Command {
        let mut all = vec![verb, "--function", &self.function];
        all.extend(further);
        self.job.command("slipway-service", &all)
    }

    fn deploy(&self, digest: &str, further: &[&str]) -> Command {
        let mut all = vec!["--digest", digest];
        all.extend(further);
        self.command("deploy", &all)
    }

    fn call(&self, method: &str, rest: &str, input: Option<&Value>) -> Value {
        let path = format!("/2015-03-31/functions/{}{rest}", self.function);
        let call = self.aws.rest("lambda", method, &path, input);
        wait(TIMEOUT, call).unwrap().unwrap()
    }

    fn alias(&self) -> Value {
        self.call("GET", "/aliases/live", None)
    }

    /// The version that the alias serves, and the weight of the other one.
    fn serves(&self) -> (String, Value) {
        let alias = self.alias();
        let weights = alias["RoutingConfig"]["AdditionalVersionWeights"].clone();
        (
            alias["FunctionVersion"].as_str().unwrap().to_owned(),
            weights,
        )
    }

    fn invoke(&self) -> Value {
        let input = json!({"hello": "world"});
        self.call("POST", "/invocations?Qualifier=live", Some(&input))
    }

    fn versions(&self) -> usize {
        let versions = self.call("GET", "/versions", None);
        versions["Versions"].as_array().unwrap().len() - 1
    }

    /// Sets a fault for the next calls of one operation.
    fn fault(&self, operation: &str, times: u32, fault: &Value) {
        let account = &self.world.environment("dev").unwrap().account.id;
        let body = json!({"account": account, "service": "lambda", "operation": operation,
                          "times": times, "fault": fault});
        gateway::tell("faults", &body);
    }

    fn no_fault(&self) {
        gateway::clear_faults(&self.world.environment("dev").unwrap().account.id);
    }

    /// The output `verdict` of the last run.
    fn verdict(&self) -> Option<String> {
        self.output("verdict")
    }

    /// An output of the last run that has it.
    fn output(&self, wanted: &str) -> Option<String> {
        let outputs = step_job::entries(&self.job.read("output"));
        let mut values = outputs.into_iter().filter(|(name, _)| name == wanted);
        values.next_back().map(|(_, value)| value)
    }
}

fn image(world: &World, word: &str) -> String {
    let script = RUNTIME.replace("WORD", word);
    let command = ["/bin/busybox", "sh", "-c", &script];
    wait(TIMEOUT, world.image(instance(), &command)).unwrap()
}

#[test]
fn a_digest_is_published_and_served_and_the_function_answers_with_it() {
    let setting = Setting::new("served");
    assert_eq!(setting.invoke(), "first 1");
    let digest = setting.image("second");
    let differs = setting.command("diff", &["--digest", &digest, "--exit-code"]);
    ends(&mut { differs }, 6, &["does not serve this"]);
    let planned = ["would deploy to alias live", "in place of version 1"];
    ends(&mut setting.deploy(&digest, &["--dry-run"]), 0, &planned);
    assert_eq!(setting.serves().0, "1");
    let expected = [
        "published version 2",
        "\"verdict\": \"succeeded\"",
        "\"verified\": true",
    ];
    ends(&mut setting.deploy(&digest, &["--json"]), 0, &expected);
    assert_eq!(setting.verdict().as_deref(), Some("healthy"));
    assert_eq!(setting.output("digest").as_deref(), Some(&*digest));
    assert_eq!(setting.serves(), ("2".to_owned(), Value::Null));
    assert_eq!(setting.invoke(), "second 2");
    // Once more is a verification, and publishes nothing.
    let expected = ["serves version 2", "which stays"];
    ends(&mut setting.deploy(&digest, &[]), 0, &expected);
    assert_eq!(setting.versions(), 2);
    ends(
        &mut setting.command("status", &[]),
        0,
        &["serves version 2: healthy", &digest],
    );
    let same = setting.command("diff", &["--digest", &digest, "--exit-code"]);
    ends(&mut { same }, 0, &["no difference"]);
    // Going back to what was published before uses that version again.
    let first = setting.call("GET", "?Qualifier=1", None);
    let first = first["Code"]["ResolvedImageUri"].as_str().unwrap();
    let first = first.split_once('@').unwrap().1;
    let expected = ["version 1 was published before"];
    ends(&mut setting.deploy(first, &[]), 0, &expected);
    assert_eq!(
        (setting.versions(), setting.invoke()),
        (2, json!("first 1"))
    );
    let violations = wait(TIMEOUT, sandbox::world::violations(instance()));
    assert_eq!(violations.unwrap(), Vec::<String>::new());
}

/// The infrastructure changes settings of `$LATEST` alone; they arrive with the next deployment, and are shown.
#[test]
fn settings_that_changed_arrive_with_the_next_deployment() {
    let setting = Setting::new("settings");
    let input = json!({"MemorySize": 256, "Environment": {"Variables": {"TOKEN": "hunter2"}}});
    setting.call("PUT", "/configuration", Some(&input));
    let expected = ["MemorySize: 128 → 256", "Environment.TOKEN: changed"];
    let text = ends(&mut setting.command("diff", &[]), 0, &expected);
    assert!(!text.contains("hunter2"), "{text}");
    let digest = setting.image("second");
    ends(&mut setting.deploy(&digest, &[]), 0, &expected);
    let served = setting.call("GET", "/configuration?Qualifier=live", None);
    assert_eq!(
        (&served["MemorySize"], &served["Version"]),
        (&json!(256), &json!("2"))
    );
}

#[test]
fn what_could_not_be_undone_or_followed_is_refused() {
    let setting = Setting::new("refused");
    let digest = setting.image("second");
    let answered = ["--digest", &digest, "--hook", "h"];
    let expected = ["never waits for an answer"];
    ends(&mut setting.command("continue", &answered), 2, &expected);
    let expected = ["looks at an ECS service"];
    ends(&mut setting.command("verify", &answered[..2]), 2, &expected);
    ends(
        &mut setting.deploy(&digest, &["--cluster", "c"]),
        2,
        &["--function", "--cluster"],
    );
    let missing = format!("sha256:{}", "0".repeat(64));
    let expected = [
        "does not exist",
        "it serves version 1",
        "alias was not changed",
    ];
    ends(&mut setting.deploy(&missing, &[]), 1, &expected);
    let expected = ["no traffic", "nothing to end"];
    ends(&mut setting.command("rollback", &[]), 3, &expected);
    let to_latest = json!({"FunctionVersion": "$LATEST"});
    setting.call("PUT", "/aliases/live", Some(&to_latest));
    let expected = ["serves $LATEST", "publish-version"];
    ends(&mut setting.deploy(&digest, &[]), 3, &expected);
    let expected = ["create-alias"];
    ends(
        &mut setting.deploy(&digest, &["--alias", "other"]),
        1,
        &expected,
    );
}

/// In an environment with a gate, the role that deploys changes the alias only in a session that the permit role opened.
#[test]
fn without_a_permit_the_role_cannot_move_the_alias() {
    let setting = Setting::new("first");
    let (denied, function) = wait(TIMEOUT, async {
        let environment = setting.world.environment("staging").unwrap();
        let image = setting.world.image(instance(), &["/bin/busybox", "true"]);
        let image = image.await.unwrap();
        let made = setting
            .world
            .has_function(instance(), environment, "gated", &image);
        let function = made.await.unwrap();
        let keys = session(setting.world, "staging", "slipway-deploy").await;
        let aws = setting.world.caller(instance(), keys).unwrap();
        let path = format!("/2015-03-31/functions/{function}/aliases/live");
        let input = json!({"FunctionVersion": "1"});
        let read = aws.rest("lambda", "GET", &path, None).await.unwrap();
        read.unwrap();
        let denied = aws.rest("lambda", "PUT", &path, Some(&input)).await;
        (denied.unwrap().unwrap_err(), function)
    });
    assert_eq!(denied.status, 403, "{function}: {}", denied.body);
}

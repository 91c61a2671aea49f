//! A Lambda function in an environment with a gate: its alias is changed under a permit, and the record reads the alias.

use serde_json::{Value, json};

use super::{CONTRACT, Setting};
use crate::support::{Started, TIMEOUT, ends, instance, until, wait};

/// A function in the setting's environment, which the contract declares.
fn declared(setting: &Setting, name: &str) -> String {
    let (world, environment) = (setting.world, setting.world.environment("staging").unwrap());
    let function = wait(TIMEOUT, async {
        let image = world
            .image(instance(), &["/bin/busybox", "true"])
            .await
            .unwrap();
        let made = world.has_function(instance(), environment, name, &image);
        made.await.unwrap()
    });
    let declared = format!("staging: {{deploy: {{function: {function}}}, ");
    let contract = CONTRACT.replace("staging: {", &declared);
    std::fs::write(setting.job.file("delivery.yaml"), contract).unwrap();
    function
}

fn call(
    setting: &Setting,
    function: &str,
    method: &str,
    rest: &str,
    input: Option<&Value>,
) -> Value {
    let path = format!("/2015-03-31/functions/{function}{rest}");
    wait(TIMEOUT, setting.aws.rest("lambda", method, &path, input))
        .unwrap()
        .unwrap()
}

/// A run that was killed left a bad version with a share of the traffic.
#[test]
fn a_canary_that_was_left_is_taken_back_under_a_permit_to_go_back() {
    let setting = Setting::new("staging", "left-canary");
    let function = declared(&setting, "canary");
    let alias = || call(&setting, &function, "GET", "/aliases/live", None);
    let number = setting.permit(&json!({"rollback": {}})).to_string();
    let started = Started::new(&mut setting.deploy(&number, &["--shift", "canary:10:1h"]));
    until("the canary has traffic", TIMEOUT, || {
        (alias()["RoutingConfig"]["AdditionalVersionWeights"]["2"] == 0.1).then_some(())
    });
    started.kill();
    let served = call(&setting, &function, "GET", "?Qualifier=1", None);
    let served = served["Code"]["ResolvedImageUri"].as_str().unwrap();
    let served = served.split_once('@').unwrap().1;
    let grant = format!("grant --environment staging --digest {served} --rollback");
    let rollback = ["rollback", "--environment", "staging"];
    ends(
        &mut setting.job.command("slipway-service", &rollback),
        3,
        &["has a gate", &grant],
    );
    let deploy = |permit: u64| {
        let permit = permit.to_string();
        let all = [
            "deploy",
            "--environment",
            "staging",
            "--digest",
            served,
            "--permit",
            &permit,
        ];
        setting.job.command("slipway-service", &all)
    };
    let promotion = setting.permit(&json!({"digest": served}));
    ends(
        &mut deploy(promotion),
        4,
        &["moves to another version", &grant],
    );
    let back = setting.permit(&json!({"digest": served, "rollback": {}}));
    let expected = [
        "gets all of the traffic back from version 2",
        "version 1 has all of the traffic",
        "succeeded",
    ];
    ends(&mut deploy(back), 0, &expected);
    assert_eq!(
        (&alias()["FunctionVersion"], &alias()["RoutingConfig"]),
        (&json!("1"), &Value::Null)
    );
}

#[test]
fn a_function_is_deployed_under_a_permit_and_recorded_by_what_its_alias_serves() {
    let setting = Setting::new("staging", "function");
    let function = declared(&setting, "gated");
    let alias = || call(&setting, &function, "GET", "/aliases/live", None);
    ends(
        &mut setting.deploy("", &[]),
        3,
        &["has a gate", "slipway-promote grant"],
    );
    setting.plant(&json!({"verdict": "healthy"}));
    // The permitted digest was never in dev; a rollback does not require that.
    let number = setting.permit(&json!({"rollback": {}}));
    let permit = number.to_string();
    let record = |verdict: &str| setting.record(&permit, verdict);
    let used = format!("permit {permit} is used up by record {}", number + 1);
    ends(
        &mut setting.deploy(&permit, &[]),
        0,
        &["published version 2", &used, "succeeded"],
    );
    assert_eq!(alias()["FunctionVersion"], "2");
    let started = setting.chain()[0]["task_definition"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        started.ends_with(&format!(":function:{function}:2")),
        "{started}"
    );
    // Another run is refused, as with a service.
    ends(
        &mut setting.deploy_again(&permit),
        3,
        &["began a deployment under it"],
    );
    ends(&mut record("healthy"), 0, &[]);
    let head = &setting.chain()[0];
    assert_eq!(
        (&head["verdict"], &head["task_definition"]),
        (&json!("healthy"), &json!(started))
    );
}

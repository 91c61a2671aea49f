//! A Lambda function in an environment with a gate: its alias is changed under a permit, and the record reads the alias.

use serde_json::{Value, json};

use super::{CONTRACT, Setting};
use crate::support::{TIMEOUT, ends, instance, wait};

#[test]
fn a_function_is_deployed_under_a_permit_and_recorded_by_what_its_alias_serves() {
    let setting = Setting::new("staging", "function");
    let (world, environment) = (setting.world, setting.world.environment("staging").unwrap());
    let function = wait(TIMEOUT, async {
        let image = world
            .image(instance(), &["/bin/busybox", "true"])
            .await
            .unwrap();
        let made = world.has_function(instance(), environment, "gated", &image);
        made.await.unwrap()
    });
    let declared = format!("staging: {{deploy: {{function: {function}}}, ");
    let contract = CONTRACT.replace("staging: {", &declared);
    std::fs::write(setting.job.file("delivery.yaml"), contract).unwrap();
    let alias = || -> Value {
        let path = format!("/2015-03-31/functions/{function}/aliases/live");
        wait(TIMEOUT, setting.aws.rest("lambda", "GET", &path, None))
            .unwrap()
            .unwrap()
    };
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

//! Deployments that meet another one which shifts traffic, and how a service is deployed whose deployment never ends.

use super::*;

#[test]
fn another_deployment_is_waited_for_or_named_to_be_replaced() {
    let setting = Setting::new("production");
    let shifting = Shifting::new(&setting, "over", &blue_green(0));
    shifting.configure(&blue_green(5));
    let [second, third, fourth, fifth] = ["2", "3", "4", "5"].map(|word| shifting.version(word));
    let other = Started::new(&mut shifting.deploy(&second, &[]));
    shifting.at_stage("BAKE_TIME");
    let waits = [
        "waiting until it is over: a deployment of over:2 is in progress",
        "container web runs",
        &second,
        "succeeded",
    ];
    ends(&mut shifting.deploy(&third, &[]), 0, &waits);
    // The one that waited may begin before the first run has looked at its own deployment again.
    let first = other.end(TIMEOUT);
    let says = match first.status.code() {
        Some(0) => "succeeded",
        Some(7) => "superseded this one",
        code => panic!("{code:?}"),
    };
    let printed = [first.stdout, first.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(printed.contains(says), "{printed}");
    assert_eq!(shifting.runs(), third);

    shifting.configure(&blue_green(100));
    let other = Started::new(&mut shifting.deploy(&fourth, &[]));
    shifting.at_stage("BAKE_TIME");
    let record = shifting.record()["serviceDeploymentArn"].clone();
    let record = record.as_str().unwrap();
    let wrong = format!("{record}0");
    let refused = [
        "so nothing was deployed over it",
        "--replace names another one",
        record,
    ];
    let over = |named: &str| shifting.deploy(&fifth, &["--replace", named]);
    ends(&mut over(&wrong), 4, &refused);
    let mut replacing = Started::new(&mut over(record));
    assert_eq!(other.end(TIMEOUT).status.code(), Some(7));
    assert!(!replacing.ended());
    ends(&mut shifting.run("rollback", &[]), 0, &["rolled back"]);
    assert_eq!(replacing.end(TIMEOUT).status.code(), Some(5));
    assert_eq!(shifting.runs(), third);
}

/// Nothing served before it, so nothing can be gone back to, and a version that works takes its place.
#[test]
fn a_first_deployment_that_never_ends_is_deployed_over() {
    let setting = Setting::new("production");
    let silent = setting.image(&["/bin/busybox", "sleep", "721"]);
    let configuration = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0});
    let shifting = Shifting::create(&setting, "first", &configuration, &silent);
    until("it is in progress", TIMEOUT, || {
        (shifting.record()["status"] == "IN_PROGRESS").then_some(())
    });
    let nothing = [
        "it is the first deployment of the service",
        "deploy a version that works in its place",
    ];
    ends(&mut shifting.run("rollback", &[]), 3, &nothing);
    let serves = shifting.version("2");
    ends(&mut shifting.deploy(&serves, &[]), 0, &["succeeded"]);
    assert_eq!(shifting.runs(), serves);
}

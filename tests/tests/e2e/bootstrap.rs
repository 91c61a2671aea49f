//! The state bucket and the lock table, made by `slipway-state bootstrap`.

use std::time::Duration;

use crate::job::Job;
use crate::support::{PATIENCE, log, place, session, wait, world};

#[test]
fn a_bucket_and_table_are_made_once_and_found_as_they_should_be_then() {
    let world = wait(PATIENCE, world("bootstrap"));
    let keys = wait(
        Duration::from_secs(60),
        session(&world, "dev", "slipway-deploy"),
    );
    let mut variables = world.variables(place());
    variables.extend(keys.variables());
    let job = Job::new(variables);
    let name = format!("fresh-{}", world.environment("dev").unwrap().state_bucket);
    let arguments = ["bootstrap", "--bucket", &name, "--table", &name];
    let dry = [&arguments[..], &["--dry-run"]].concat();
    let run = |arguments: &[&str]| {
        let ran = job.run(&mut job.command("slipway-state", arguments));
        assert_eq!(ran.status.code(), Some(0), "{}", log(&ran));
        String::from_utf8(ran.stdout).unwrap()
    };
    let would = run(&dry);
    assert!(would.contains("create the bucket"), "{would}");
    let did = run(&arguments);
    assert_eq!(did, would.replacen("would", "did", 1));
    assert!(run(&arguments).contains("are as they should be"));
    assert!(run(&dry).contains("are as they should be"));
}

//! Going back once, twice, and with nothing to go back to.

use super::*;

#[test]
fn going_back_twice_is_going_back_once() {
    let setting = Setting::new("production");
    let shifting = Shifting::new(&setting, "back", &blue_green(0));
    let first = shifting.runs();
    let refused = [
        "cannot be rolled back",
        "no other version of the service was ever healthy",
    ];
    ends(&mut shifting.run("rollback", &[]), 3, &refused);

    // A deployment in progress is stopped, and what ran before it is back.
    shifting.configure(&blue_green(100));
    let second = shifting.version("2");
    let started = Started::new(&mut shifting.deploy(&second, &[]));
    shifting.at_stage("BAKE_TIME");
    let stopped = ["stop the deployment of back:2", "rolled back", "back:1"];
    ends(&mut shifting.run("rollback", &["--json"]), 0, &stopped[..1]);
    assert_eq!(shifting.runs(), first);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("rolled-back"));
    assert_eq!(output(&setting, "digest").as_ref(), Some(&second));
    let over = started.end(TIMEOUT);
    assert_eq!(
        over.status.code(),
        Some(5),
        "{}",
        crate::support::log(&over)
    );
    let verified = [
        "verify what runs: the last deployment did not succeed",
        "rolled back",
    ];
    ends(&mut shifting.run("rollback", &[]), 0, &verified);
    assert_eq!(shifting.runs(), first);

    // One that has completed is replaced by the version before it.
    shifting.configure(&blue_green(0));
    ends(&mut shifting.deploy(&second, &[]), 0, &["succeeded"]);
    ends(
        &mut shifting.run("rollback", &["--dry-run"]),
        0,
        &["would roll back", &first],
    );
    assert_eq!(shifting.runs(), second);
    shifting.configure(&blue_green(20));
    let started = Started::new(&mut shifting.run("rollback", &[]));
    shifting.at_stage("BAKE_TIME");
    // A second rollback follows the first and does not stop it, and a cancelled one leaves it.
    let mut follower = Started::new(&mut shifting.run("rollback", &["--timeout", "5m"]));
    started.signal(rustix::process::Signal::INT);
    let over = started.end(TIMEOUT);
    assert_eq!(
        over.status.code(),
        Some(130),
        "{}",
        crate::support::log(&over)
    );
    assert_eq!(shifting.record()["status"], "IN_PROGRESS");
    assert!(!follower.ended());
    let text = crate::support::log(&follower.end(TIMEOUT));
    assert!(
        text.contains("it deploys the version that going back has to deploy"),
        "{text}"
    );
    assert_eq!(shifting.record()["status"], "SUCCESSFUL");
    assert_eq!(shifting.runs(), first);
    ends(
        &mut shifting.run("rollback", &[]),
        0,
        &["the last deployment went back itself"],
    );
    assert_eq!(shifting.runs(), first);
    assert_eq!(output(&setting, "verdict").as_deref(), Some("healthy"));
    assert_eq!(output(&setting, "digest").as_ref(), Some(&first));

    // The version that was left comes again, although it served once: that does not go back.
    shifting.configure(&blue_green(100));
    let started = Started::new(&mut shifting.deploy(&second, &[]));
    shifting.at_stage("BAKE_TIME");
    ends(
        &mut shifting.run("rollback", &[]),
        0,
        &["stop the deployment of back:", "rolled back"],
    );
    assert_eq!(shifting.runs(), first);
    assert_eq!(started.end(TIMEOUT).status.code(), Some(5));
}

#[test]
fn a_rollback_that_is_cancelled_says_what_goes_on_and_ecs_ends_it() {
    let setting = Setting::new("production");
    let shifting = Shifting::new(&setting, "cancels", &blue_green(0));
    let first = shifting.runs();
    shifting.configure(&blue_green(100));
    let second = shifting.version("2");
    let deploying = Started::new(&mut shifting.deploy(&second, &[]));
    shifting.at_stage("BAKE_TIME");
    let started = Started::new(&mut shifting.run("rollback", &[]));
    until("ECS goes back", TIMEOUT, || {
        let status = shifting.record()["status"].clone();
        status.as_str()?.starts_with("ROLLBACK").then_some(())
    });
    started.try_signal(rustix::process::Signal::INT);
    let over = started.end(TIMEOUT);
    let text = crate::support::log(&over);
    // ECS may have been faster.
    if over.status.code() != Some(0) {
        assert_eq!(over.status.code(), Some(130), "{text}");
        assert!(!text.contains("nothing was changed"), "{text}");
        assert!(text.contains("of cancels:2"), "{text}");
    }
    assert_eq!(deploying.end(TIMEOUT).status.code(), Some(5));
    let verified = ["verify what runs: the last deployment did not succeed"];
    ends(&mut shifting.run("rollback", &[]), 0, &verified);
    assert_eq!(shifting.runs(), first);
}

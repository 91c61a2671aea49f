//! An attempt of a run that was taken for dead while its update of the service was under way, and wakes up when the run's next
//! attempt has gone on.

use rustix::process::Signal;
use serde_json::json;

use super::Setting;
use crate::support::{Started, TIMEOUT, ends, log, until};

/// The progress of the next attempt when the earlier one wakes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Deployed,
    RecordedHealthy,
    RecordedFailed,
}

#[test]
fn an_attempt_that_wakes_up_after_the_next_one_has_gone_on_fails_and_ends_nothing() {
    for (next, mark, expected) in [
        (
            Next::Deployed,
            "woke-deployed",
            "/attempts/2 went on with it",
        ),
        (Next::RecordedHealthy, "woke-healthy", ", healthy"),
        (Next::RecordedFailed, "woke-failed", ", failed"),
    ] {
        let setting = Setting::new("staging", mark);
        setting.plant(&json!({"verdict": "healthy"}));
        // The permitted digest was never in dev; a rollback does not require that.
        let number = setting.permit(&json!({"rollback": {}}));
        let permit = number.to_string();
        let in_attempt = |attempt: &str, mut command: std::process::Command| {
            command.env("GITHUB_RUN_ATTEMPT", attempt);
            command
        };
        let deploy = |attempt: &str| in_attempt(attempt, setting.deploy(&permit, &[]));
        let record =
            |attempt: &str, verdict: &str| in_attempt(attempt, setting.record(&permit, verdict));

        let fails = json!({"kind": "status", "status": 500, "code": "ServerException", "message": "Server error."});
        setting.fault("UpdateService", 100_000, &fails);
        let hanging = Started::new(&mut deploy("1"));
        until("the deployment is on record as begun", TIMEOUT, || {
            (setting.started(number).len() == 1).then_some(())
        });
        hanging.signal(Signal::STOP);
        setting.no_fault();
        let goes_on = ["this run began the deployment before", "succeeded"];
        ends(&mut deploy("2"), 0, &goes_on);
        // Each attempt puts on record that it begins.
        assert_eq!(setting.started(number).len(), 2);
        match next {
            Next::Deployed => {}
            Next::RecordedHealthy => drop(ends(&mut record("2", "healthy"), 0, &["written"])),
            Next::RecordedFailed => drop(ends(&mut record("2", "failed"), 0, &["written"])),
        }

        hanging.signal(Signal::CONT);
        let output = hanging.end(TIMEOUT);
        let text = log(&output);
        assert_eq!(output.status.code(), Some(1), "{next:?}: {text}");
        for piece in [
            "although another deployment to staging had superseded this one",
            expected,
        ] {
            assert!(text.contains(piece), "{next:?}: no {piece:?} in\n{text}");
        }
        // Its job puts on record that it failed, which is not the end of what the next attempt does.
        let records = setting.chain().len();
        ends(&mut record("1", "failed"), 3, &["attempts/2"]);
        ends(&mut deploy("1"), 3, &["permit"]);
        assert_eq!(setting.chain().len(), records, "{next:?}");
        if next == Next::Deployed {
            ends(&mut record("2", "healthy"), 0, &["written"]);
        }
    }
}

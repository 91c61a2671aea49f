//! Ways back that do not go as planned: an alarm that was set off before a run was killed, calls that fail on the way, and a
//! signal while AWS answers nothing.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::Setting;
use super::ends::{SLOWLY, alarm, moving, moving_to, went_back};
use crate::support::{Started, TIMEOUT, ends, log, until};

/// The second run has nothing but the alias to see that the alarm is of this deployment.
#[test]
fn an_alarm_that_the_killed_run_set_off_takes_the_traffic_back() {
    let setting = Setting::new("heard");
    alarm(&setting, "heard", "OK");
    let digest = setting.image("second");
    let watched = ["--alarm", "heard"];
    moving_to(&setting, &digest, &[&SLOWLY[..], &watched].concat()).kill();
    alarm(&setting, "heard", "ALARM");
    let expected = ["alarms went off: heard", "serves version 1 again"];
    ends(&mut setting.deploy(&digest, &watched), 5, &expected);
    went_back(&setting);
    // The alarm is still in ALARM, so a deployment that begins now would be watched by nothing.
    let expected = [
        "every alarm that was given is in ALARM already",
        "omit --alarm",
    ];
    ends(&mut setting.deploy(&digest, &watched), 3, &expected);
    went_back(&setting);
}

#[test]
fn why_it_went_back_is_told_although_a_call_on_the_way_fails() {
    let setting = Setting::new("stuck");
    alarm(&setting, "stuck", "OK");
    let started = moving(&setting, &[&SLOWLY[..], &["--alarm", "stuck"]].concat());
    let refused = json!({"kind": "status", "status": 400, "code": "InvalidParameterValueException", "message": "no"});
    setting.fault("UpdateAlias", 1, &refused);
    alarm(&setting, "stuck", "ALARM");
    let output = started.end(TIMEOUT);
    let text = log(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for piece in ["alarms went off: stuck", "InvalidParameterValueException"] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    assert_eq!(setting.verdict().as_deref(), Some("failed"));
}

#[test]
fn a_signal_is_heard_while_aws_takes_no_call() {
    let setting = Setting::new("unheard");
    let throttled = json!({"kind": "status", "status": 429, "code": "TooManyRequestsException", "message": "Rate exceeded"});
    setting.fault("UpdateAlias", 1000, &throttled);
    let digest = setting.image("second");
    let started = Started::new(&mut setting.deploy(&digest, &[]));
    until("version 2 is published", TIMEOUT, || {
        (setting.versions() == 2).then_some(())
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    started.signal(Signal::TERM);
    let output = started.end(std::time::Duration::from_secs(30));
    setting.no_fault();
    let text = log(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("serves version 1 again"), "{text}");
    assert_eq!(setting.serves(), ("1".to_owned(), Value::Null));
}

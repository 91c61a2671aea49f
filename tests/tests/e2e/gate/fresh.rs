//! A promotion is deployed only if it was judged right before, by the real binaries: a permit is granted for an hour, and what it
//! was judged by may change within it.

use std::process::Command;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{ALLOWED, Ended, Gate, digest, ended};
use crate::support::{TIMEOUT, clocked, instance, wait};

/// Eleven minutes, in seconds.
const ELEVEN: i64 = 660;

impl Gate {
    /// The build's command with a clock that is off by so many seconds.
    fn off(&self, by: i64, command: &Command) -> Ended {
        let file = self.folder.path().join("clock");
        std::fs::write(&file, by.to_string()).unwrap();
        ended(&mut clocked(&file, command))
    }

    /// Gives the newest record, a permit that nobody signed, a time that is off by so many seconds.
    fn redate(&self, by: i64) {
        let (mut record, _) = self.chain().pop().unwrap();
        let time =
            |value: &Value| OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap();
        for value in ["/at", "/permit/expires"] {
            let value = record.pointer_mut(value).unwrap();
            let moved = time(value) + time::Duration::seconds(by);
            *value = json!(moved.format(&Rfc3339).unwrap());
        }
        self.replace_newest(&record);
    }

    /// The deployment under a permit in a build of production's stage.
    fn deployed(&self, build: &str, digest: &str, permit: u64) -> Ended {
        let permit = permit.to_string();
        let arguments = ["deploy", "--digest", digest, "--permit", &permit];
        let step = self.built("linus", build, &arguments);
        let mut deploy = Command::new(instance().built().join("slipway-service"));
        deploy
            .args(step.get_args())
            .current_dir(self.folder.path())
            .env_clear()
            .envs(
                step.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        ended(&mut deploy)
    }
}

/// A served environment, and an image that is healthy in staging and not yet in production.
fn with_a_fix(name: &str) -> (Gate, String) {
    let gate = Gate::new(name);
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let fix = gate.image("fix");
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    (gate, fix)
}

#[test]
fn a_permit_of_eleven_minutes_deploys_only_after_another_judgement() {
    let (gate, fix) = with_a_fix("permit-fresh");
    let grant = ["grant", "--digest", &fix];
    let granted = ended(&mut gate.built("linus", "1", &grant));
    granted.is(0, &[ALLOWED]);
    assert_eq!(granted.permit(), 2);
    gate.redate(-ELEVEN);

    let hint = format!("slipway-promote grant --environment production --digest {fix} --permit 2");
    let old = gate.deployed("1", &fix, 2);
    old.is(3, &["must be judged at most 10 minutes before", &hint]);
    assert_eq!(gate.chain().len(), 2, "nothing began");
    // The same step for the same build, without the permit, grants another one too.
    let anew = ended(&mut gate.built("linus", "1", &grant));
    anew.is(0, &[ALLOWED]);
    assert_eq!(anew.permit(), 3);
    let again = [&grant[..], &["--permit", "2"]].concat();
    let judged = ended(&mut gate.built("linus", "1", &again));
    judged.is(0, &[ALLOWED]);
    assert_eq!(judged.permit(), 4);
    gate.deployed("1", &fix, 4).is(0, &["succeeded"]);

    // A deployment that a build began goes on without another judgement.
    let began = ended(&mut gate.built("linus", "1", &again));
    began.is(0, &["this run began its deployment under it"]);
    assert_eq!(began.permit(), 4);
    gate.run("grace", &["verify"]).is(0, &[]);
}

#[test]
fn a_permit_by_a_clock_that_is_ahead_is_neither_used_nor_judged_again() {
    let (gate, fix) = with_a_fix("permit-ahead");
    let grant = ["grant", "--digest", &fix];
    // Nobody is granted one by such a clock, in either direction.
    for (off, said) in [
        (ELEVEN, "seconds ahead of AWS's"),
        (-ELEVEN, "seconds behind AWS's"),
    ] {
        let refused = gate.off(off, &gate.built("linus", "1", &grant));
        refused.is(3, &[said, "set the clock"]);
    }
    assert_eq!(gate.chain().len(), 1, "nothing was written");
    // A person who writes one all the same gains nothing.
    let granted = ended(&mut gate.built("linus", "1", &grant));
    granted.is(0, &[ALLOWED]);
    gate.redate(ELEVEN);
    let ahead = ["which AWS's clock has not reached", "set the clock"];
    gate.deployed("1", &fix, granted.permit()).is(3, &ahead);
    let again = [&grant[..], &["--permit", "2"]].concat();
    ended(&mut gate.built("linus", "1", &again)).is(3, &ahead);
    assert_eq!(gate.chain().len(), 2, "nothing began");
}

/// The deciders judge by AWS's time, so what is shown of a permit's end goes by it too.
#[test]
fn status_and_board_show_a_permit_by_awss_clock() {
    let (gate, fix) = with_a_fix("permit-shown");
    let granted = ended(&mut gate.built("linus", "1", &["grant", "--digest", &fix]));
    granted.is(0, &[ALLOWED]);
    // By this clock it is over for an hour.
    let off = 2 * 3600;
    let shown = gate.off(off, &gate.built("linus", "1", &["status"]));
    shown.is(0, &["permit 2 of linus"]);
    let page = gate.folder.path().join("board.html");
    let board = ["board", "--page", page.to_str().unwrap()];
    gate.off(off, &gate.built("linus", "1", &board)).is(0, &[]);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("permit 2 of linus"), "{html}");
}

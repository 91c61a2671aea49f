//! An apply under a permit that is killed while it waits for the answer to a call, at each call that writes something. The runs after
//! it end with the plan applied once and the permit used, or name the command that comes first.

use serde_json::{Value, json};

use super::Planned;
use crate::gateway;
use crate::govern::CODE;
use crate::job::Job;
use crate::record::calls;
use crate::support::{Started, TIMEOUT, log, wait, world};

/// A call that writes something: its service and operation, and which such call of the apply it is, counted from 1.
type Point = (&'static str, &'static str, u32);

/// Where the apply is killed. Before the answer to a call, it is not known whether the call was done: here it was not, and that it
/// was is the point of the next call.
const POINTS: [Point; 6] = [
    // The lock, and its lease when the command begins.
    ("dynamodb", "PutItem", 1),
    ("dynamodb", "PutItem", 2),
    // The state, and the digest beside the lock.
    ("s3", "PutObject", 1),
    ("dynamodb", "PutItem", 3),
    // The plan, which is used up, and the lock.
    ("s3", "DeleteObject", 1),
    ("dynamodb", "DeleteItem", 1),
];

/// Long enough that no heartbeat counts among the writes, and short enough to wait for.
const LEASE: &str = "30s";

impl Planned {
    /// A job whose infrastructure notes each time that it is made.
    fn counting(&self) -> Job {
        let job = self.job("shop.example");
        let code = format!(
            "{CODE}\nresource \"terraform_data\" \"counted\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n",
            json!(format!("echo made >>{}", job.file("made").display()))
        );
        std::fs::write(job.file("infra/main.tf"), code).unwrap();
        job
    }

    /// Appends the record of a deployment, which closes all permits.
    pub(crate) fn closed(&self) {
        self.plant(&json!({"verdict": "failed", "under": 1}));
    }

    /// The last call so far.
    pub(crate) fn so_far(&self) -> u64 {
        let all = wait(TIMEOUT, calls(self.state.world));
        all.iter().map(|call| call.seq).max().unwrap_or_default()
    }

    /// What the steps have written in dev's account since a call.
    pub(crate) fn written(&self, since: u64) -> Vec<(String, String, u32)> {
        let mut written: Vec<(String, String, u32)> = Vec::new();
        let all = wait(TIMEOUT, calls(self.state.world));
        let ours = |call: &&crate::record::Call| {
            call.seq > since
                && call.is_write()
                && call.account.as_deref() == Some(self.state.account())
        };
        for call in all.iter().filter(ours) {
            let same = written.iter().filter(|(service, operation, _)| {
                (service, operation) == (&call.service, &call.operation)
            });
            let nth = u32::try_from(same.count()).unwrap() + 1;
            written.push((call.service.clone(), call.operation.clone(), nth));
        }
        written
    }

    /// Kills an apply at a point, and lets the following runs end it.
    fn killed_at(&self, (service, operation, nth): Point) {
        let at = format!("{service} {operation} {nth}");
        let job = self.counting();
        let plan = self.state.planned(&job);
        let permit = self.permit(&plan, &json!({}));
        let apply = [
            "apply", "--plan", &plan, "--permit", &permit, "--lease", LEASE,
        ];
        if nth > 1 {
            let passes = json!({"service": service, "operation": operation, "account": self.state.account(),
                                "times": nth - 1, "fault": {"kind": "late_answer", "millis": 0}});
            gateway::tell("faults", &passes);
        }
        let mut step = self.state.step(&job, &apply);
        gateway::killed(self.state.account(), service, operation, &mut step);

        let ended = Started::new(&mut self.state.step(&job, &apply)).end(TIMEOUT);
        let text = log(&ended);
        let names = |pieces: &[&str]| pieces.iter().all(|piece| text.contains(piece));
        match ended.status.code() {
            Some(0) => {}
            // The state was written, and its digest was not.
            Some(3) if names(&["state and digest of", "slipway-state repair-digest"]) => {
                self.state.ends(&job, &["repair-digest"], 0);
                let moved = self.state.refused(&job, &apply);
                assert!(moved.contains("no longer fits"), "{at}: {moved}");
            }
            Some(3) => {
                let moved = names(&["no longer fits"]) || names(&["there is no plan"]);
                assert!(moved && names(&["slipway-state plan"]), "{at}: {text}");
            }
            _ => panic!("{at}: {text}"),
        }
        // Terraform makes again what no state ever held.
        let made = job.read("made").lines().count();
        let most = if operation == "PutObject" { 2 } else { 1 };
        assert!(
            (1..=most).contains(&made),
            "{at}: made {made} times\n{text}"
        );

        // Nothing is left to change, and the deployment's record closes the permits.
        let plan = self.state.planned(&job);
        let permit = self.permit(&plan, &json!({}));
        let apply = ["apply", "--plan", &plan, "--permit", &permit];
        self.state.ends(&job, &apply, 0);
        assert_eq!(job.read("made").lines().count(), made, "{at}");
        self.state.ends(&job, &["verify-digest"], 0);
        let last = self.state.planned(&job);
        let permit = self.permit(&last, &json!({}));
        self.closed();
        self.refused(&job, &last, &permit, &["another deployment was recorded"]);
        self.verifies(&job);
    }

    /// The chain is whole.
    pub(crate) fn verifies(&self, job: &Job) {
        let mut verify = job.command(
            "slipway-promote",
            &["verify", "--environment", "dev", "--json"],
        );
        let ended = job.run(verify.env("GITHUB_API_URL", "http://127.0.0.1:1"));
        let text = log(&ended);
        assert_eq!(ended.status.code(), Some(0), "{text}");
        let found: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(found["records"], self.chain().len(), "{found}");
    }
}

#[test]
fn an_apply_under_a_permit_that_is_killed_at_any_write_is_done_once_or_names_what_comes_first() {
    let alone = |name: &str| {
        let world = Box::leak(Box::new(wait(TIMEOUT, world(name))));
        Planned::alone(world, name)
    };
    let planned = alone("killed-apply");
    let job = planned.counting();
    let plan = planned.state.planned(&job);
    let permit = planned.permit(&plan, &json!({}));
    let before = planned.so_far();
    planned
        .state
        .ends(&job, &["apply", "--plan", &plan, "--permit", &permit], 0);
    let written = planned.written(before);
    for (service, operation, nth) in &written {
        let has = |point: &&Point| {
            (point.0, point.1, point.2) == (service.as_str(), operation.as_str(), *nth)
        };
        assert!(
            POINTS.iter().any(|point| has(&point)),
            "no point at {service} {operation} {nth}: {written:?}"
        );
    }
    std::thread::scope(|scope| {
        for (index, point) in POINTS.iter().enumerate() {
            scope.spawn(move || alone(&format!("killed-apply-{index}")).killed_at(*point));
        }
    });
}

//! One promotion that is killed while it waits for the answer to a call, at each call between the permit and the record that
//! writes something. The next run ends right: the same one in its next attempt, or another one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fate::{Fate, Returns, Theme};
use super::history::check;
use super::promoter::{Ended, Promoter};
use super::scene::Scene;
use crate::gateway;
use crate::record::calls;
use crate::support::{Started, TIMEOUT, until, wait};

/// A call that writes something: the verb of the step that makes it, its service and operation (of GitHub the end of its path), and
/// which such call of the step it is, counted from 1.
type Write = (&'static str, String, String, u32);

/// Where a step is killed, while it waits for the answer.
struct Point {
    verb: &'static str,
    service: &'static str,
    operation: &'static str,
    nth: u32,
    /// How it goes on; [`Returns::Never`] stands for another run.
    returns: Returns,
}

fn points() -> Vec<Point> {
    use Returns::{AllJobs, FailedJobs, Never};
    let rows = [
        ("grant", "kms", "Sign", 1, AllJobs),
        ("grant", "dynamodb", "TransactWriteItems", 1, AllJobs),
        ("grant", "dynamodb", "TransactWriteItems", 1, Never),
        // The evidence, and the anchor of the permit.
        ("grant", "s3", "PutObject", 1, AllJobs),
        ("grant", "s3", "PutObject", 2, AllJobs),
        ("grant", "s3", "PutObject", 2, Never),
        ("deploy", "ecs", "RegisterTaskDefinition", 1, FailedJobs),
        ("deploy", "ecs", "RegisterTaskDefinition", 1, Never),
        ("deploy", "kms", "Sign", 1, FailedJobs),
        ("deploy", "dynamodb", "TransactWriteItems", 1, AllJobs),
        ("deploy", "dynamodb", "TransactWriteItems", 1, Never),
        // The anchor of what began.
        ("deploy", "s3", "PutObject", 1, FailedJobs),
        ("deploy", "s3", "PutObject", 1, Never),
        ("deploy", "ecs", "UpdateService", 1, FailedJobs),
        ("deploy", "ecs", "UpdateService", 1, AllJobs),
        ("deploy", "ecs", "UpdateService", 1, Never),
        ("record", "kms", "Sign", 1, FailedJobs),
        ("record", "dynamodb", "TransactWriteItems", 1, AllJobs),
        ("record", "dynamodb", "TransactWriteItems", 1, Never),
        ("record", "s3", "PutObject", 1, FailedJobs),
        ("record", "s3", "PutObject", 1, Never),
        // The GitHub Deployment, that it succeeded, and that the one before is inactive.
        ("record", GITHUB, "/deployments", 1, FailedJobs),
        ("record", GITHUB, "/deployments", 1, Never),
        ("record", GITHUB, "/statuses", 1, FailedJobs),
        ("record", GITHUB, "/statuses", 1, Never),
        ("record", GITHUB, "/statuses", 2, FailedJobs),
        ("record", GITHUB, "/statuses", 2, Never),
    ];
    rows.map(|(verb, service, operation, nth, returns)| Point {
        verb,
        service,
        operation,
        nth,
        returns,
    })
    .into()
}

const GITHUB: &str = "github";

impl Scene {
    /// Lets a step wait at the point, and kills it.
    fn kill_step(&self, point: &Point, promoter: &Promoter<'_>, permit: Option<u64>) {
        let (verb, arguments) = promoter.arguments(point.verb, permit, "healthy");
        let (_job, mut command) = promoter.command(verb, &arguments);
        if point.service == GITHUB {
            self.killed_at_github(point, &mut command);
        } else {
            self.killed_at_aws(point, &mut command);
        }
        let killed = Ended {
            code: None,
            killed: true,
            stdout: String::new(),
            stderr: String::new(),
        };
        promoter.note(verb, permit, &killed);
    }

    fn killed_at_aws(&self, point: &Point, command: &mut std::process::Command) {
        let account = match point.service {
            "ecs" => self.production(),
            _ => &self.gate.world.build.id,
        };
        if point.nth > 1 {
            let passes = json!({"kind": "late_answer", "millis": 0});
            let fault = json!({"service": point.service, "operation": point.operation, "account": account,
                               "times": point.nth - 1, "fault": passes});
            gateway::tell("faults", &fault);
        }
        gateway::killed(account, point.service, point.operation, command);
    }

    /// The call never happens: the stand-in drops it with its caller. That it happened and nobody heard of it is the point of the next
    /// call.
    fn killed_at_github(&self, point: &Point, command: &mut std::process::Command) {
        let below = match point.operation {
            "/statuses" => "/deployments/",
            path => path,
        };
        let path = format!("/repos/{}{below}", self.gate.world.repository);
        for (times, millis) in [(point.nth - 1, 0), (1, gateway::HANGS)] {
            if times > 0 {
                let fault =
                    json!({"method": "POST", "path": path, "times": times, "delay_ms": millis});
                wait(TIMEOUT, self.hub.call("faults", &fault)).unwrap();
            }
        }
        let mut started = Started::new(command);
        until(point.operation, TIMEOUT, || {
            assert!(!started.ended(), "it ended before {}", point.operation);
            wait(TIMEOUT, self.hub.faults())
                .unwrap()
                .is_empty()
                .then_some(())
        });
        started.kill();
    }

    /// The calls to AWS and to GitHub so far.
    fn so_far(&self) -> (u64, u64) {
        let aws = wait(TIMEOUT, calls(&self.gate.world));
        let github = wait(TIMEOUT, self.hub.calls()).unwrap();
        (
            aws.iter().map(|call| call.seq).max().unwrap_or_default(),
            github
                .iter()
                .filter_map(|call| call["sequence"].as_u64())
                .max()
                .unwrap_or_default(),
        )
    }

    /// What a step of this verb has written since.
    fn written_since(&self, verb: &'static str, (aws, github): (u64, u64)) -> Vec<Write> {
        let done = wait(TIMEOUT, calls(&self.gate.world));
        let done = done.iter().filter(|call| call.seq > aws && call.is_write());
        let to_aws = done.map(|call| (call.service.clone(), call.operation.clone()));
        let done = wait(TIMEOUT, self.hub.calls()).unwrap();
        let changes = |call: &&Value| call["method"] != "GET" && call["path"] != "/graphql";
        let done = done
            .iter()
            .filter(|call| call["sequence"].as_u64() > Some(github));
        let to_github = done.filter(changes).map(|call| {
            let path = call["path"].as_str().unwrap();
            let end = path.rfind('/').unwrap();
            (GITHUB.to_owned(), path[end..].to_owned())
        });
        let mut counts = BTreeMap::new();
        to_aws
            .chain(to_github)
            .map(|(service, operation)| {
                let nth = counts
                    .entry((service.clone(), operation.clone()))
                    .or_insert(0);
                *nth += 1;
                (verb, service, operation, *nth)
            })
            .collect()
    }

    /// A promotion that nobody disturbs; answers what it writes.
    fn undisturbed(&self) -> Vec<Write> {
        let mut promoter = Promoter::new(self, (0, 5), Theme::Ends, Fate::UNDISTURBED);
        let mut all = Vec::new();
        let before = self.so_far();
        let permit = promoter.grant().unwrap().unwrap();
        all.extend(self.written_since("grant", before));
        let before = self.so_far();
        assert_eq!(promoter.deploy_alone(permit).code, Some(0));
        all.extend(self.written_since("deploy", before));
        let before = self.so_far();
        promoter.record(permit).unwrap();
        all.extend(self.written_since("record", before));
        all
    }

    /// One promotion, and what follows on it.
    fn check_end(&self, index: usize, point: &Point) {
        let fate = Fate {
            returns: point.returns,
            ..Fate::UNDISTURBED
        };
        let new = |index| Promoter::new(self, (0, index), Theme::Ends, fate);
        // A digest that was deployed before is registered already, so a kill at that call needs a new one.
        let digest = match (point.operation, point.returns) {
            ("RegisterTaskDefinition", Returns::Never) => 4,
            ("RegisterTaskDefinition", _) => 3,
            // Never the one that runs.
            _ => 2 * index % 3,
        };
        let mut promoter = new(digest);
        let mut permit = None;
        if point.verb != "grant" {
            permit = promoter.grant().unwrap();
            assert!(permit.is_some(), "{index}");
        }
        if point.verb == "record" {
            assert_eq!(
                promoter.deploy_alone(permit.unwrap()).code,
                Some(0),
                "{index}"
            );
        }
        let before = self.so_far();
        self.kill_step(point, &promoter, permit);
        if point.returns == Returns::Never {
            // It may have to wait until a person has closed what died.
            let mut other = new(if digest < 3 {
                (digest + 1) % 3
            } else {
                digest + 1
            });
            let mut permit = other.grant().unwrap();
            if permit.is_none() {
                self.close_interrupted(0, Theme::Ends);
                permit = other.grant().unwrap();
            }
            other.deploy(permit.unwrap()).unwrap();
            return;
        }
        promoter.again();
        if point.returns == Returns::AllJobs {
            permit = promoter.grant().unwrap();
        }
        let permit = permit.unwrap();
        promoter.deploy(permit).unwrap();
        // Also what was recorded before it was killed is deployed and recorded, and the run ends well.
        for step in self.steps.lock().unwrap().iter().rev().take(2) {
            assert_eq!(step.code, Some(0), "{index}: {step:#?}");
        }
        if point.verb == "record" {
            let written = self.written_since("record", before);
            let mirrors = written
                .iter()
                .filter(|(_, _, end, _)| end == "/deployments");
            assert_eq!(mirrors.count(), 1, "{index}: {written:#?}");
        }
    }
}

#[test]
fn a_promotion_that_is_killed_at_any_call_ends_right_when_it_is_run_again_or_another_one_is() {
    let scene = Scene::new("race-killed", 0, 6);
    // Whatever a promotion writes, it is killed there.
    let written = scene.undisturbed();
    for (verb, service, operation, nth) in &written {
        let has = |point: &Point| {
            (point.verb, point.service, point.operation, point.nth)
                == (*verb, service.as_str(), operation.as_str(), *nth)
        };
        assert!(
            points().iter().any(has),
            "no point at {verb} {service} {operation} {nth}: {written:#?}"
        );
    }
    for (index, point) in points().iter().enumerate() {
        scene.check_end(index, point);
        let newest = scene.newest_deployment();
        let Point {
            verb,
            service,
            operation,
            returns,
            ..
        } = point;
        assert_eq!(
            newest["verdict"], "healthy",
            "{verb} {service} {operation} {returns:?}: {newest}"
        );
    }
    scene.verifies();
    let history = scene.history();
    let wrong = check(&history);
    assert!(wrong.is_empty(), "{wrong:#?}\n{history:#?}");
}

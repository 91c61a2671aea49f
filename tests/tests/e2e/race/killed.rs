//! One promotion that is killed while it waits for the answer to a call, at each call between the permit and the record that
//! writes something. The next run ends right: the same one in its next attempt, or another one.

use serde_json::json;

use super::fate::{Fate, Returns, Theme};
use super::history::check;
use super::promoter::{Ended, Promoter};
use super::scene::Scene;
use crate::gateway;

/// Where a step is killed: at this call of the operation, counted from 1.
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

impl Scene {
    /// Lets a step wait at the point, and kills it.
    fn kill_step(&self, point: &Point, promoter: &Promoter<'_>, permit: Option<u64>) {
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
        let (verb, arguments) = promoter.arguments(point.verb, permit, "healthy");
        let (_job, mut command) = promoter.command(verb, &arguments);
        gateway::killed(account, point.service, point.operation, &mut command);
        let killed = Ended {
            code: None,
            killed: true,
            stdout: String::new(),
            stderr: String::new(),
        };
        promoter.note(verb, permit, &killed);
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
    }
}

#[test]
fn a_promotion_that_is_killed_at_any_call_ends_right_when_it_is_run_again_or_another_one_is() {
    let scene = Scene::new("race-killed", 0, 6);
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

//! Going back in an environment that has a ledger and no gate: by the deployments that ECS completed, whoever recorded them.

use std::process::Command;

use serde_json::json;

use super::pair::Pair;
use super::recorded::{job_of, records_as};
use super::{Setting, ends};
use crate::job::Job;
use crate::support::{TIMEOUT, instance, read, until, wait};

/// A service with a chain of its own, and the job that deploys and records it.
struct Chained<'a> {
    setting: &'a Setting,
    pair: Pair<'a>,
    name: &'static str,
    job: Job,
}

impl<'a> Chained<'a> {
    fn new(setting: &'a Setting, name: &'static str) -> Self {
        let world = setting.world;
        wait(TIMEOUT, async {
            records_as(world, name).await;
            let document = json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["ecs:Describe*", "ecs:List*"], "Resource": "*"},
            ]});
            let document = document.to_string();
            let parameters = [
                ("RoleName", "slipway-read"),
                ("PolicyName", name),
                ("PolicyDocument", document.as_str()),
            ];
            let aws = world.administrator(instance(), &world.environment("dev").unwrap().account);
            let aws = aws.await.unwrap();
            let put = aws.query("iam", "2010-05-08", "PutRolePolicy", &parameters);
            put.await.unwrap().unwrap();
        });
        // Images of these tests are not in a repository of the service's name.
        let job = job_of(world, "dev", name);
        let contract = read(&job.file("delivery.yaml"));
        let contract = format!("{contract}\nimage: {{ repository: placeholder }}\n");
        std::fs::write(job.file("delivery.yaml"), contract).unwrap();
        Self {
            setting,
            pair: Pair::new(setting, name, [100, 200], 1),
            name,
            job,
        }
    }

    fn command(&self, step: &str, verb: &str, further: &[&str]) -> Command {
        let cluster = self.setting.cluster();
        let place = [
            verb,
            "--environment",
            "dev",
            "--cluster",
            &cluster,
            "--service",
            self.name,
            "--container",
            "web",
        ];
        self.job.command(step, &[&place[..], further].concat())
    }

    fn record(&self, digest: &str, verdict: &str) {
        let commit = "c".repeat(40);
        let record = [
            "--digest",
            digest,
            "--commit",
            &commit,
            "--verdict",
            verdict,
        ];
        ends(
            &mut self.command("slipway-promote", "record", &record),
            0,
            &[],
        );
    }

    fn roll_back(&self, further: &[&str]) -> Command {
        self.command("slipway-service", "rollback", further)
    }

    /// A new digest, deployed.
    fn deploy(&self, seconds: &str) -> String {
        let digest = self.setting.image(&["/bin/busybox", "sleep", seconds]);
        let deploy = ["--digest", &digest];
        let mut deploy = self.command("slipway-service", "deploy", &deploy);
        ends(&mut deploy, 0, &["succeeded"]);
        digest
    }

    fn runs(&self) -> String {
        let containers = self.pair.containers();
        let image = containers[0]["image"].as_str().unwrap();
        image.split_once('@').unwrap().1.to_owned()
    }
}

/// Nobody records what a rollback deploys, so the newest record of the ledger is of the version that was left.
#[test]
fn a_second_rollback_stays_where_the_first_one_went_whatever_the_ledger_has() {
    let setting = Setting::new("dev");
    let chained = Chained::new(&setting, "goes-back");
    let first = chained.runs();
    chained.record(&first, "healthy");
    let second = chained.deploy("711");
    chained.record(&second, "healthy");
    let third = chained.deploy("712");
    chained.record(&third, "healthy");
    let deploys = format!("deploy {second}, which was healthy last");
    ends(&mut chained.roll_back(&["--dry-run"]), 0, &[&deploys]);
    ends(&mut chained.roll_back(&[]), 0, &[&deploys]);
    assert_eq!(chained.runs(), second);
    for _ in 0..2 {
        let stays = ["verify what runs: the last deployment went back itself"];
        ends(&mut chained.roll_back(&[]), 0, &stays);
        assert_eq!(chained.runs(), second);
    }
    // The next version is gone back from to the one that served before it, and not to the one that was left.
    let fourth = chained.deploy("713");
    chained.record(&fourth, "failed");
    ends(&mut chained.roll_back(&["--dry-run"]), 0, &[&deploys]);
    // A version that the ledger has as failed alone is passed over.
    chained.deploy("714");
    ends(&mut chained.roll_back(&["--dry-run"]), 0, &[&deploys]);
}

/// ECS knows nothing of a service from before it was created, and the ledger does.
#[test]
fn what_ecs_has_forgotten_is_known_by_the_ledger() {
    let setting = Setting::new("dev");
    let chained = Chained::new(&setting, "forgotten");
    let first = chained.runs();
    chained.record(&first, "healthy");
    let service = json!({"cluster": setting.cluster(), "service": "forgotten", "force": true});
    setting.ecs("DeleteService", &service);
    until("the service is gone", TIMEOUT, || {
        (chained.pair.service()["status"] == "INACTIVE").then_some(())
    });
    // A record and a deployment of one second have no order.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let second = setting.image(&["/bin/busybox", "sleep", "715"]);
    chained.pair.create(&second, [100, 200], 1);
    let deploys = format!("deploy {first}, which was healthy last");
    ends(&mut chained.roll_back(&[]), 0, &[&deploys]);
    assert_eq!(chained.runs(), first);
    let stays = ["verify what runs: the last deployment went back itself"];
    ends(&mut chained.roll_back(&[]), 0, &stays);
}

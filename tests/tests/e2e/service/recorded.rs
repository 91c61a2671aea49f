//! Records of a service's deployments, and promotions from them.

use sandbox::instance::port;
use sandbox::runner::story::unproven;
use sandbox::world::World;
use serde_json::json;

use super::pair::Pair;
use super::{Setting, ends, fault};
use crate::job::Job;
use crate::support::{TIMEOUT, instance, log, until, wait};

/// Lets the world's permit role of dev record a service of another name too.
pub(super) async fn records_as(world: &World, service: &str) {
    let aws = world.administrator(instance(), &world.build).await.unwrap();
    let document = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Action": ["dynamodb:PutItem", "dynamodb:ConditionCheckItem"],
        "Resource": "*",
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [format!("{service}#dev")]}},
    }]});
    let document = document.to_string();
    let parameters = [
        ("RoleName", "slipway-permit-dev"),
        ("PolicyName", service),
        ("PolicyDocument", document.as_str()),
    ];
    let put = aws.query("iam", "2010-05-08", "PutRolePolicy", &parameters);
    put.await.unwrap().unwrap();
}

/// A job of one stage that promotes a service of another name, whose ledger no other test of this world writes.
fn job(world: &World, environment: &str) -> Job {
    job_of(world, environment, "recorded")
}

/// The same for this service.
pub(super) fn job_of(world: &World, environment: &str, service: &str) -> Job {
    let stage = world.codebuild_session(instance(), environment, "e2e");
    let mut variables = world.variables(instance());
    variables.extend(world.repository_variables());
    variables.extend(world.environment_variables(world.environment(environment).unwrap()));
    variables.extend(wait(TIMEOUT, stage).unwrap().variables());
    // GitHub is asked for everything else, which is not what this is about.
    variables.insert("GITHUB_TOKEN".to_owned(), "ghs_nobodys".to_owned());
    variables.insert("GITHUB_API_URL".to_owned(), instance().url(port::GITHUB));
    let job = Job::new(variables);
    let contract = include_str!("../../../../docs/examples/storefront/delivery.yaml");
    let contract = contract.replace("service: storefront", &format!("service: {service}"));
    // Nothing was built here, so nothing is signed.
    std::fs::write(job.file("delivery.yaml"), unproven(&contract)).unwrap();
    job
}

/// After a deployment that failed, the service runs what it ran before: that is what is promoted, not what failed.
#[test]
fn a_promotion_without_a_digest_takes_what_ran_healthy_last() {
    let setting = Setting::new("dev");
    let world = setting.world;
    wait(TIMEOUT, records_as(world, "recorded"));
    let (dev, staging) = (job(world, "dev"), job(world, "staging"));
    until("dev's service is as it should be", TIMEOUT, || {
        let deployments = &setting.service()["deployments"];
        let steady = deployments[0]["rolloutState"] == "COMPLETED";
        (steady && deployments.as_array()?.len() == 1).then_some(())
    });
    let running = setting.service()["taskDefinition"].clone();
    let running = setting.ecs(
        "DescribeTaskDefinition",
        &json!({"taskDefinition": running}),
    );
    let image = running["taskDefinition"]["containerDefinitions"][0]["image"].clone();
    let healthy = image
        .as_str()
        .unwrap()
        .split_once('@')
        .unwrap()
        .1
        .to_owned();
    let failed = format!("sha256:{}", "f".repeat(64));
    let commit = "4711".repeat(10);
    let record = |digest: &str, verdict: &str| {
        let record = [
            "record",
            "--environment",
            "dev",
            "--digest",
            digest,
            "--verdict",
            verdict,
            "--commit",
            &commit,
            "--cluster",
            &setting.cluster(),
            "--service",
            &world.service,
            "--container",
            &world.service,
        ];
        dev.command("slipway-promote", &record)
    };
    let refusal = [
        "is not healthy on",
        "expected sha256:ffff",
        "nothing was recorded",
    ];
    ends(&mut record(&failed, "healthy"), 3, &refusal);
    let denied =
        json!({"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "no"});
    for (service, operation) in [
        ("ecs", "DescribeTasks"),
        ("elasticloadbalancing", "DescribeTargetHealth"),
    ] {
        fault(&setting, service, operation, 1, &denied);
        let needs = format!("the call needs {service}:{operation}");
        ends(&mut record(&healthy, "healthy"), 1, &[&needs]);
    }
    ends(&mut record(&healthy, "healthy"), 0, &[&healthy]);
    ends(&mut record(&failed, "failed"), 0, &[&failed]);
    let check = ["check", "--environment", "staging", "--json"];
    let ended = staging.run(&mut staging.command("slipway-promote", &check));
    let output = format!("{}{}", String::from_utf8_lossy(&ended.stdout), log(&ended));
    assert!(
        output.contains(&healthy) && !output.contains(&failed),
        "{output}"
    );
}

/// A deployment to no task can be asked for, and succeeds; healthy it is for nobody.
#[test]
fn a_service_without_tasks_is_never_recorded_as_healthy() {
    let setting = Setting::new("dev");
    let dev = job(setting.world, "dev");
    wait(TIMEOUT, async {
        let document = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["ecs:DescribeServices", "ecs:ListTasks"], "Resource": "*"},
        ]});
        let document = document.to_string();
        let parameters = [
            ("RoleName", "slipway-read"),
            ("PolicyName", "without-tasks"),
            ("PolicyDocument", document.as_str()),
        ];
        let put = setting
            .aws
            .query("iam", "2010-05-08", "PutRolePolicy", &parameters);
        put.await.unwrap().unwrap();
    });
    let idle = Pair::new(&setting, "without-tasks", [100, 200], 0);
    let digest = setting.image(&["/bin/busybox", "sleep", "606"]);
    let accepted = ["0 of 0 running, as --allow-zero-tasks accepts"];
    ends(
        &mut idle.deploy(&digest, &["--allow-zero-tasks"]),
        0,
        &accepted,
    );
    let missing = "the desired count is 0";
    let reason = format!("not healthy: {missing}");
    ends(
        &mut setting.command("status", "without-tasks", &[]),
        0,
        &[&reason],
    );
    let commit = "4711".repeat(10);
    let cluster = setting.cluster();
    let record = [
        "record",
        "--environment",
        "dev",
        "--digest",
        &digest,
        "--verdict",
        "healthy",
        "--commit",
        &commit,
        "--cluster",
        &cluster,
        "--service",
        "without-tasks",
        "--container",
        "web",
    ];
    ends(
        &mut dev.command("slipway-promote", &record),
        3,
        &["is not healthy on", missing, "nothing was recorded"],
    );
}

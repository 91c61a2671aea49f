//! What `verify` says before a deployment.

use serde_json::json;

use super::recorded::job_of;
use super::{Setting, ends};
use crate::support::{TIMEOUT, instance, wait};

#[test]
fn a_version_that_could_run_is_verified_and_one_without_an_image_is_not() {
    let setting = Setting::new("staging");
    // The documented policy names the service's own repository.
    wait(TIMEOUT, async {
        let document = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["ecr:BatchGetImage"], "Resource": "*"},
        ]});
        let document = document.to_string();
        let parameters = [
            ("RoleName", "slipway-read"),
            ("PolicyName", "placeholder"),
            ("PolicyDocument", document.as_str()),
        ];
        let build = setting
            .world
            .administrator(instance(), &setting.world.build);
        let build = build.await.unwrap();
        let put = build.query("iam", "2010-05-08", "PutRolePolicy", &parameters);
        put.await.unwrap().unwrap();
    });
    let job = job_of(setting.world, "staging", &setting.world.service);
    let cluster = setting.cluster();
    let verify = |digest: &str| {
        let named = ["--environment", "staging", "--cluster", &cluster];
        let image = ["--repository", "placeholder", "--digest", digest];
        let all = [&["verify"], &named[..], &image[..]].concat();
        job.command("slipway-service", &all)
    };
    let digest = setting.image(&["/bin/busybox", "sleep", "731"]);
    let met = [
        "conditions are met",
        "the service can be deployed to",
        "met",
    ];
    let output = ends(&mut verify(&digest), 0, &met);
    assert!(!output.contains(&setting.secret()), "{output}");
    let missing = format!("sha256:{}", "0".repeat(64));
    let unmet = [
        "would not become healthy",
        &format!("@{missing}: not met: it is not there"),
    ];
    ends(&mut verify(&missing), 3, &unmet);
    // A deployment runs by the same roles and settings.
    assert_eq!(
        setting.service()["deployments"].as_array().unwrap().len(),
        1
    );
}

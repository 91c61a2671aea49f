//! What `verify` says before a deployment.

use super::recorded::job_of;
use super::{Setting, ends};

#[test]
fn a_version_that_could_run_is_verified_and_one_without_an_image_is_not() {
    let setting = Setting::new("staging");
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

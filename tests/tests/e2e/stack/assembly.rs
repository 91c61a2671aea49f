//! Stacks of a CDK app, from the cloud assembly that it was synthesised to.

use std::fs;
use std::path::Path;

use super::{DEADLINE, Stacked};
use crate::job::Job;
use crate::permits::roles::assumed;
use crate::support::{instance, wait};

/// The assembly whose stacks are `NAME` and others that begin like it.
const SYNTHESISED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../actions/stack/tests/assembly/cdk.out"
);
const RULES: &str = "d4aa08f3ea23e94f9a322e5cbefbe00493b5a55637c6439991be8d4c02763789.json";

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copied(&path, &to),
            false => drop(fs::copy(&path, &to).unwrap()),
        }
    }
}

/// A job whose contract names the app's assembly.
pub(super) fn synthesised(stack: &Stacked, settings: &str) -> Job {
    let job = stack.job("", settings);
    let contract = job.file("delivery.yaml");
    let text = fs::read_to_string(&contract).unwrap();
    let text = text.replace("template: stack.yaml", "template: cdk.out");
    fs::write(&contract, text).unwrap();
    copied(Path::new(SYNTHESISED), &job.file("cdk.out"));
    change(&job, "NAME", &stack.name);
    job
}

/// Changes the manifest.
fn change(job: &Job, from: &str, to: &str) {
    let manifest = job.file("cdk.out/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&manifest, text.replace(from, to)).unwrap();
}

/// The bucket of CDK's bootstrap stack, of which nothing else is there.
pub(super) fn bucket(stack: &Stacked) -> String {
    let name = format!(
        "cdk-hnb659fds-assets-{}-{}",
        stack.account(),
        stack.world.region
    );
    let body = format!(
        "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
        stack.world.region
    );
    let made = wait(DEADLINE, stack.aws.put(&format!("/{name}"), body));
    made.unwrap().unwrap();
    name
}

#[test]
fn an_app_is_deployed_from_its_assembly() {
    let stack = Stacked::alone("cdk");
    let job = synthesised(&stack, "");
    let asks = [
        "the app asks for termination protection",
        "add `termination-protection: true`",
    ];
    stack.ends(&job, &["plan"], 2, &asks);
    let job = synthesised(&stack, ", termination-protection: true");
    let missing = [
        "cannot publish the asset Rules",
        "fileAssetsBucketName",
        "NoSuchBucket",
    ];
    stack.ends(&job, &["plan"], 1, &missing);
    let bucket = bucket(&stack);
    let expected = [
        "2 to add".to_owned(),
        format!("asset Rules: s3://{bucket}/{RULES}, published"),
        "asset Settings: s3://".to_owned(),
        "none of CDK's bootstrap roles".to_owned(),
        "without the check of the bootstrap stack's version".to_owned(),
        format!(
            "the stack depends on the stack {}-base, which is not deployed",
            stack.name
        ),
        "tag team: \"shop\" (new)".to_owned(),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    stack.ends(&job, &["plan"], 0, &expected[1..]);
    let rules = wait(DEADLINE, stack.aws.get(&format!("/{bucket}/{RULES}")));
    assert_eq!(rules.unwrap().unwrap(), "{\"rules\":[]}\n");
    // The stack that it depends on is another one of the same assembly.
    let base = format!("{}-base", stack.name);
    let plan = stack.planned(&job, &["--name", &base]);
    stack.ends(
        &job,
        &["apply", "--plan", &plan, "--name", &base],
        0,
        &["CREATE_COMPLETE"],
    );
    let text = stack.ends(&job, &["plan"], 0, &["already there, SHA-256"]);
    assert!(!text.contains("depends on"), "{text}");
    let plan = stack.planned(&job, &[]);
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        0,
        &["CREATE_COMPLETE", "termination protection switched on"],
    );
    assert!(stack.described().contains("<Value>shop</Value>"));
    stack.ends(&job, &["plan"], 0, &["no changes", "asset Rules"]);
    // The role that plans cannot change an asset.
    let deploy = format!("arn:aws:iam::{}:role/slipway-deploy", stack.account());
    let stage = stack.world.caller(instance(), stack.stage.clone()).unwrap();
    let code = assumed(stack.world, &stage, &deploy, None).unwrap();
    let path = format!("/{bucket}/{RULES}");
    for refused in [
        wait(DEADLINE, code.put(&path, "{}".to_owned())).unwrap(),
        wait(DEADLINE, code.delete(&path)).unwrap(),
    ] {
        let refused = format!("{:?}", refused.unwrap_err());
        assert!(refused.contains("AccessDenied"), "{refused}");
    }
    // Another object where an asset goes.
    let changed = stack.aws.put(&path, "{}".to_owned());
    wait(DEADLINE, changed).unwrap().unwrap();
    stack.ends(
        &job,
        &["plan"],
        3,
        &[
            "cannot publish the asset Rules",
            "is not what its name says",
        ],
    );
}

#[test]
fn an_assembly_that_is_not_for_here_or_not_whole_is_refused() {
    let stack = Stacked::new("cdk-refused");
    let job = synthesised(&stack, "");
    let live = ["plan", "--name", "live-base"];
    stack.ends(
        &job,
        &live,
        3,
        &["is for account 999999999999, region eu-west-1"],
    );
    let none = ["plan", "--name", "none"];
    stack.ends(&job, &none, 2, &["has no stack none", "live-base"]);
    let image = format!("{}-image", stack.name);
    stack.ends(
        &job,
        &["plan", "--name", &image],
        3,
        &[
            "the image Image of the cloud assembly is not at",
            "slipway-image publish",
        ],
    );
    change(&job, "\"55.0.0\"", "\"56.0.0\"");
    stack.ends(
        &job,
        &["plan"],
        2,
        &["reads up to 55", "use a newer slipway-stack"],
    );
    fs::remove_file(job.file("cdk.out/manifest.json")).unwrap();
    stack.ends(&job, &["plan"], 2, &["is not a cloud assembly"]);
}

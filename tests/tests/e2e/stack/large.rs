//! Templates that do not fit into a request.

use super::{DEADLINE, Stacked, TEMPLATE};
use crate::support::wait;
use sandbox::instance::sha256;

/// The template with so many bytes of comments.
fn padded(bytes: usize) -> String {
    let line = "# a comment that says nothing, in a template that says too much\n";
    format!("{}{TEMPLATE}", line.repeat(bytes / line.len() + 1))
}

#[test]
fn a_large_template_goes_through_the_bucket_under_its_hash() {
    let stack = Stacked::new("large");
    let large = padded(51_200);
    let refused = ["a request to CloudFormation takes 51200", "--bucket NAME"];
    stack.ends(&stack.job(&large, ""), &["plan"], 2, &refused);
    let bucket = stack.world.environment("dev").unwrap().state_bucket.clone();
    let settings = format!(", bucket: {bucket}");
    let job = stack.job(&large, &settings);
    let key = format!("slipway/{}.template", sha256(large.as_bytes()));
    let through = format!("CloudFormation reads it from s3://{bucket}/{key}");
    stack.ends(&job, &["plan"], 0, &[&through, "2 to add"]);
    // Once more: it is there already.
    let plan = stack.planned(&job, &[]);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &["CREATE_COMPLETE"]);
    let path = format!("/{bucket}/{key}");
    let kept = wait(DEADLINE, stack.aws.get(&path));
    assert_eq!(kept.unwrap().unwrap(), large);

    // Somebody puts another template where the next one goes.
    let larger = padded(60_000).replace("one", "two");
    let key = format!("slipway/{}.template", sha256(larger.as_bytes()));
    let other = padded(60_000).replace("one", "six");
    let path = format!("/{bucket}/{key}");
    wait(DEADLINE, stack.aws.put(&path, other))
        .unwrap()
        .unwrap();
    let job = stack.job(&larger, &settings);
    stack.ends(&job, &["plan"], 3, &["is not what its name says"]);
    let too_large = stack.job(&padded(1_000_000), &settings);
    let refused = ["CloudFormation takes 1000000"];
    stack.ends(&too_large, &["plan"], 2, &refused);
}

#[test]
fn a_large_template_of_a_pull_request_has_a_folder_of_its_own() {
    let stack = Stacked::new("large-pull");
    let large = padded(51_200);
    let environment = stack.world.environment("dev").unwrap();
    let settings = format!(", bucket: {}", environment.state_bucket);
    let mut job = stack.job(&large, &settings);
    job.set("GITHUB_EVENT_NAME", "pull_request");
    let key = format!("slipway-pull/{}.template", sha256(large.as_bytes()));
    stack.ends(&job, &["plan"], 0, &[&key, "it cannot be applied"]);
}

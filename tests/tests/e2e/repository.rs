//! The image repository: its plan, who creates it first, what it refuses, and that it outlives an environment.

use std::process::Command;

use sandbox::world::World;
use serde_json::{Value, json};

use crate::ecr::{Setting, THERE};
use crate::gateway;
use crate::support::{Started, TIMEOUT, instance, log, wait};

const NAME: &str = "acme/plan";

fn policy(number: u32) -> String {
    json!({"rules": [{
        "rulePriority": 3,
        "description": "keep the newest",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": number},
        "action": {"type": "expire"},
    }]})
    .to_string()
}

/// The settings that a plan changes, in its order.
fn settings(report: &Value) -> Vec<String> {
    let changes = report["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| change["setting"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_plan_is_shown_done_and_then_empty_until_something_drifts() {
    let setting = Setting::new("plan");
    setting.write("lifecycle.json", &policy(100));
    let arguments = [
        "repository",
        "--environment",
        "dev",
        "--repository",
        NAME,
        "--mutable-tag",
        "cache-*\nlatest",
        "--lifecycle-policy",
        "lifecycle.json",
        "--resource-tag",
        "team=web",
    ];
    let all = [
        "repository",
        "pulled by",
        "lifecycle policy",
        "resource tag team",
    ];
    let dry = [&arguments[..], &["--dry-run"]].concat();
    let plan = setting.json(&dry, 0);
    assert_eq!(settings(&plan), all, "{plan}");
    assert_eq!(plan["dry_run"], true);
    let named = json!({"repositoryNames": [NAME]});
    let missing = setting.ecr("DescribeRepositories", &named).unwrap_err();
    assert!(missing.contains("RepositoryNotFoundException"), "{missing}");

    let done = setting.json(&arguments, 0);
    assert_eq!(settings(&done), all, "{done}");
    assert_eq!(done["created"], true);
    let found = setting.ecr("DescribeRepositories", &named).unwrap();
    let found = &found["repositories"][0];
    assert_eq!(found["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(
        found["imageTagMutabilityExclusionFilters"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let arn = json!({"resourceArn": found["repositoryArn"]});
    let tags = setting.ecr("ListTagsForResource", &arn).unwrap()["tags"].to_string();
    for tag in ["managed-by", "slipway", "team", "web"] {
        assert!(tags.contains(tag), "{tags}");
    }

    let again = setting.json(&arguments, 0);
    assert_eq!(settings(&again), [""; 0], "{again}");

    let drift = json!({"repositoryName": NAME, "imageTagMutability": "MUTABLE"});
    setting.ecr("PutImageTagMutability", &drift).unwrap();
    let plan = setting.json(&dry, 0);
    assert_eq!(
        plan["changes"],
        json!([{"setting": "tags", "from": "mutable tags", "to": "immutable tags, but cache-*, latest may move"}])
    );
    let unchanged = setting.json(
        &["repository", "--environment", "dev", "--repository", NAME],
        0,
    );
    assert_eq!(settings(&unchanged), [""; 0]);
    assert!(
        unchanged["notes"].to_string().contains("can be moved"),
        "{unchanged}"
    );
    setting.image(&arguments, 0);
    assert_eq!(settings(&setting.json(&dry, 0)), [""; 0]);

    let key = format!("arn:aws:kms:ca-central-1:{}:key/1", setting.world.build.id);
    let other = [&arguments[..], &["--kms-key", &key]].concat();
    let error = log(&setting.image(&other, 3));
    assert!(error.contains("is encrypted by ECR itself"), "{error}");
    assert!(error.contains("copy --to-repository"), "{error}");
}

#[test]
fn of_two_that_create_a_repository_at_once_both_succeed() {
    let setting = Setting::new("race");
    let commands: Vec<Command> = ["web", "ops"]
        .iter()
        .map(|team| {
            let tag = format!("{team}=yes");
            let arguments = [
                "repository",
                "--environment",
                "dev",
                "--repository",
                "acme/race",
                "--resource-tag",
                &tag,
            ];
            setting.job.command("slipway-image", &arguments)
        })
        .collect();
    let started: Vec<Started> = commands
        .into_iter()
        .map(|mut command| Started::new(&mut command))
        .collect();
    for run in started {
        let output = run.end(TIMEOUT);
        assert!(output.status.success(), "{}", log(&output));
    }
    let named = json!({"repositoryNames": ["acme/race"]});
    let found = setting.ecr("DescribeRepositories", &named).unwrap();
    let arn = json!({"resourceArn": found["repositories"][0]["repositoryArn"]});
    let tags = setting.ecr("ListTagsForResource", &arn).unwrap()["tags"].to_string();
    assert!(tags.contains("web") && tags.contains("ops"), "{tags}");
}

/// Writes what promote would: one healthy record, the first of its chain.
fn record(setting: &Setting, environment: &str, digest: &str) {
    let bytes = json!({
        "seq": 1, "at": "2026-11-21T18:00:00Z", "service": "storefront", "environment": environment, "digest": digest,
        "commit": "c".repeat(40), "verdict": "healthy", "actor": {"login": "ada"},
    })
    .to_string();
    let prev = "0".repeat(64);
    let hash = sandbox::instance::sha256(format!("{prev}{bytes}").as_bytes());
    let item = json!({"TableName": World::LEDGER, "Item": {
        "chain": {"S": format!("storefront#{environment}")}, "seq": {"N": "1"},
        "record": {"S": bytes}, "prev": {"S": prev}, "hash": {"S": hash},
    }});
    let put = setting
        .aws
        .json("dynamodb", "DynamoDB_20120810.PutItem", &item);
    wait(TIMEOUT, put).unwrap().unwrap();
}

#[test]
fn a_lifecycle_policy_that_would_take_a_live_image_is_refused() {
    let setting = Setting::new("lifecycle");
    let (live, _) = setting.first();
    for name in ["one", "two"] {
        setting.another(name, Some(name));
    }
    record(&setting, "production", &live);
    let run = |number: u32, more: &[&str], exit: i32| {
        setting.write("lifecycle.json", &policy(number));
        let arguments = [
            "repository",
            "--repository",
            THERE,
            "--lifecycle-policy",
            "lifecycle.json",
        ];
        setting.image(&[&arguments[..], more].concat(), exit)
    };
    let contract = ["--environment", "dev"];
    let named = json!({"repositoryName": THERE});
    for more in [&contract[..], &["--environment", "dev", "--dry-run"]] {
        let error = log(&run(1, more, 3));
        assert!(
            error.contains(&format!(
                "rule 3 would expire {live}, which runs there (production)"
            )),
            "{error}"
        );
    }
    let none = setting.ecr("GetLifecyclePolicy", &named).unwrap_err();
    assert!(none.contains("LifecyclePolicyNotFoundException"), "{none}");

    // Any image could be live while the ledger cannot be read.
    setting.tell(
        "faults",
        &json!({"service": "dynamodb", "operation": "Query", "account": setting.world.build.id, "times": 9,
                "fault": {"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "no"}}),
    );
    let error = log(&run(100, &contract, 3));
    assert!(
        error.contains("needs dynamodb:Query on table slipway-ledger"),
        "{error}"
    );
    gateway::clear_faults(&setting.world.build.id);

    let done = run(100, &contract, 0);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        text.contains("takes none of the 1 image the ledger calls live"),
        "{text}"
    );
    let set = setting.ecr("GetLifecyclePolicy", &named).unwrap();
    assert!(set["lifecyclePolicyText"].as_str().unwrap().contains("100"));

    // Without a contract nobody knows what is live, and the report says so.
    let unchecked = run(50, &[], 0);
    let text = String::from_utf8_lossy(&unchecked.stdout).into_owned();
    assert!(text.contains("was not checked"), "{text}");
}

/// Only ECR's own preview counts as the images that a policy takes: no other answer replaces it, and all of its pages are read.
#[test]
fn ecr_itself_says_what_a_lifecycle_policy_takes() {
    let setting = Setting::new("preview");
    // ECR lists 100 images on a page, and the oldest last.
    let live = setting.another("live", None);
    for number in 1..102 {
        setting.another(&number.to_string(), None);
    }
    let run = |text: &str, exit: i32| {
        setting.write("lifecycle.json", text);
        let arguments = [
            "repository",
            "--environment",
            "dev",
            "--repository",
            THERE,
            "--lifecycle-policy",
            "lifecycle.json",
        ];
        log(&setting.image(&arguments, exit))
    };
    let rule = |status: &str, number: u32| {
        let mut policy: Value = serde_json::from_str(&policy(number)).unwrap();
        policy["rules"][0]["selection"]["tagStatus"] = json!(status);
        policy
    };
    let named = json!({"repositoryName": THERE});
    // While nothing is live, ECR judges the policy all the same.
    let error = run(&rule("some", 1).to_string(), 2);
    assert!(
        error.contains("does not take the lifecycle policy"),
        "{error}"
    );
    let none = setting.ecr("GetLifecyclePolicy", &named).unwrap_err();
    assert!(none.contains("LifecyclePolicyNotFoundException"), "{none}");

    record(&setting, "production", &live);
    for operation in ["StartLifecyclePolicyPreview", "GetLifecyclePolicyPreview"] {
        setting.tell(
            "faults",
            &json!({"service": "ecr", "operation": operation, "account": setting.world.build.id, "times": 9,
                    "fault": {"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "no"}}),
        );
        let error = run(&policy(900), 3);
        assert!(error.contains(&format!("ecr:{operation}")), "{error}");
        gateway::clear_faults(&setting.world.build.id);
    }
    // Somebody else's preview is in progress, and it is of another policy.
    let theirs = json!({"repositoryName": THERE, "lifecyclePolicyText": policy(901)});
    std::thread::sleep(std::time::Duration::from_secs(1));
    setting.ecr("StartLifecyclePolicyPreview", &theirs).unwrap();
    let error = run(&rule("untagged", 1).to_string(), 3);
    let wanted = format!("rule 3 would expire {live}, which runs there (production)");
    assert!(error.contains(&wanted), "{error}");
    assert!(error.contains("waiting for ECR's preview"), "{error}");

    let error = run(&rule("some", 1).to_string(), 2);
    assert!(error.contains("InvalidParameterException"), "{error}");
    let none = setting.ecr("GetLifecyclePolicy", &named).unwrap_err();
    assert!(none.contains("LifecyclePolicyNotFoundException"), "{none}");
    let done = run(&policy(900), 0);
    assert!(done.contains("more are pushed that it selects"), "{done}");
}

/// Right after a preview was begun, the one before may still be shown: of another policy, or of the same policy and of the images that
/// were there then.
#[test]
fn a_preview_that_was_there_before_is_not_taken_for_the_new_one() {
    let setting = Setting::new("stale");
    let (live, _) = setting.first();
    record(&setting, "production", &live);
    setting.another("one", Some("one"));
    let run = |number: u32, exit: i32| {
        setting.write("lifecycle.json", &policy(number));
        let arguments = [
            "repository",
            "--environment",
            "dev",
            "--repository",
            THERE,
            "--lifecycle-policy",
            "lifecycle.json",
        ];
        log(&setting.image(&arguments, exit))
    };
    let preview = |number: u32| {
        let asked = json!({"repositoryName": THERE, "lifecyclePolicyText": policy(number)});
        setting.ecr("StartLifecyclePolicyPreview", &asked).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
    };
    preview(2);
    setting.another("two", Some("two"));
    let error = run(2, 3);
    assert!(
        error.contains(&format!("rule 3 would expire {live}")),
        "{error}"
    );

    preview(9);
    let error = run(2, 3);
    assert!(
        error.contains(&format!("rule 3 would expire {live}")),
        "{error}"
    );
    let done = run(3, 0);
    assert!(done.contains("more are pushed that it selects"), "{done}");
}

#[test]
fn repository_and_images_outlive_an_environments_infrastructure() {
    let setting = Setting::new("outlive");
    wait(TIMEOUT, setting.world.serve(instance())).unwrap();
    setting.image(&["repository", "--environment", "dev"], 0);
    let digest = setting.another("kept", Some("kept"));
    let infra = setting.job.file("infra");
    std::fs::create_dir(&infra).unwrap();
    std::fs::write(
        infra.join("main.tf"),
        include_str!("../../../docs/examples/storefront/infra/main.tf"),
    )
    .unwrap();
    let terraform = |script: &str| {
        let arguments = ["run", "--environment", "dev", "--", "bash", "-ec", script];
        let mut command = setting.job.command("slipway-state", &arguments);
        let output = setting.job.run(
            command
                .env("CHECKPOINT_DISABLE", "1")
                .env("HOME", setting.job.file("")),
        );
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            log(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let still_there = || {
        let images = json!({"repositoryName": THERE, "imageIds": [{"imageDigest": digest}]});
        let found = setting.ecr("DescribeImages", &images).unwrap();
        assert_eq!(found["imageDetails"][0]["imageTags"], json!(["kept"]));
        let again = setting.json(&["repository", "--environment", "dev"], 0);
        assert_eq!(settings(&again), [""; 0]);
        assert_eq!(again["created"], false);
    };
    let go = "cd \"${TF_DIR:-.}\"; test -e main.tf || cd infra; terraform init -input=false -no-color >/dev/null";
    let up = format!("{go}; terraform apply -input=false -no-color -auto-approve");
    assert!(terraform(&up).contains("2 added"));
    let down = terraform(&format!(
        "{go}; terraform destroy -input=false -no-color -auto-approve"
    ));
    assert!(down.contains("2 destroyed"), "{down}");
    let environment = setting.world.environment("dev").unwrap();
    wait(TIMEOUT, setting.world.tear_down(instance(), environment)).unwrap();
    still_there();
    let deploy = |exit: i32| {
        let mut command = setting.job.command(
            "slipway-service",
            &[
                "deploy",
                "--environment",
                "dev",
                "--repository",
                THERE,
                "--digest",
                &digest,
            ],
        );
        let output = setting.job.run(&mut command);
        assert_eq!(output.status.code(), Some(exit), "{}", log(&output));
    };
    // There is nothing left to deploy to.
    deploy(1);
    assert!(terraform(&up).contains("2 added"));
    wait(TIMEOUT, setting.world.serve(instance())).unwrap();
    still_there();
    // The image that was kept is what runs in what was built anew.
    deploy(0);
}

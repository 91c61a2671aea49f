//! Bucket and table: made once, by however many, from whatever is there; and the doctor that only looks.

use serde_json::{Value, json};

use super::{DEADLINE, Governed};
use crate::gateway;
use crate::job::Job;
use crate::support::{Started, log, wait};

/// The bucket and the table to create in dev's account, under the test's own names.
struct Site {
    state: Governed,
    bucket: String,
    table: String,
}

impl Site {
    fn new(purpose: &str) -> Self {
        let state = Governed::new(purpose);
        let name = format!("{purpose}-{}", state.account());
        Self {
            bucket: format!("boot-{name}"),
            table: format!("locks-{name}"),
            state,
        }
    }

    fn job(&self) -> Job {
        let mut variables = self.state.world.variables(crate::support::instance());
        // An administrator sets up the state before the first delivery.
        variables.extend(self.state.aws.variables());
        Job::new(variables)
    }

    fn command(&self, job: &Job, verb: &str, further: &[&str]) -> std::process::Command {
        let bucket = format!("--bucket={}", self.bucket);
        let table = format!("--table={}", self.table);
        let mut all = vec![verb, &bucket, &table, "--json"];
        all.extend(further);
        job.command("slipway-state", &all)
    }

    fn ends(&self, verb: &str, further: &[&str], exit: i32) -> Value {
        let job = self.job();
        let ended = job.run(&mut self.command(&job, verb, further));
        assert_eq!(ended.status.code(), Some(exit), "{}", log(&ended));
        serde_json::from_slice(&ended.stdout).unwrap()
    }

    /// The doctor's findings that are not ok.
    fn findings(&self) -> Vec<String> {
        let job = self.job();
        let ended = job.run(&mut self.command(&job, "doctor", &[]));
        let advice = "slipway-state move-lock moves the lock to the file";
        assert!(log(&ended).contains(advice), "{}", log(&ended));
        let answer: Value = serde_json::from_slice(&ended.stdout).unwrap();
        let (found, exit) = match ended.status.code() {
            Some(0) => (&answer["findings"], 0),
            _ => (&answer["details"]["findings"], 3),
        };
        assert_eq!(ended.status.code(), Some(exit), "{}", log(&ended));
        found
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["result"] != "ok")
            .map(|finding| {
                format!(
                    "{}: {}",
                    finding["result"].as_str().unwrap(),
                    finding["what"].as_str().unwrap()
                )
            })
            .collect()
    }

    fn put(&self, path: &str, body: &str) {
        let path = format!("/{}{path}", self.bucket);
        let put = self.state.aws.put(&path, body.to_owned());
        wait(DEADLINE, put).unwrap().unwrap();
    }

    fn dynamodb(&self, operation: &str, input: &Value) -> Value {
        let target = format!("DynamoDB_20120810.{operation}");
        let call = self.state.aws.json("dynamodb", &target, input);
        wait(DEADLINE, call).unwrap().unwrap()
    }
}

#[test]
fn two_at_once_make_one_whole_and_a_third_finds_nothing_to_do() {
    let site = Site::new("two");
    let all = site.findings();
    assert!(all.len() >= 9, "{all:?}");
    let would = site.ends("bootstrap", &["--dry-run"], 0);
    assert!(would["changes"].as_array().unwrap().len() >= 9, "{would}");
    assert_eq!(site.findings(), all, "a dry run changes nothing");

    let jobs = [site.job(), site.job(), site.job()];
    let started: Vec<Started> = jobs
        .iter()
        .map(|job| Started::new(&mut site.command(job, "bootstrap", &[])))
        .collect();
    for started in started {
        let ended = started.end(DEADLINE);
        assert!(ended.status.success(), "{}", log(&ended));
    }
    assert_eq!(site.findings(), [""; 0]);
    let again = site.ends("bootstrap", &[], 0);
    assert_eq!(again["changes"], json!([]));
}

/// Terraform uses the new bucket, also from a job that works in another region.
#[test]
fn terraform_keeps_its_state_in_what_was_made_and_works_in_its_own_region() {
    let site = Site::new("used");
    let region = "--region=eu-central-1";
    site.ends("bootstrap", &[region], 0);
    let job = site.job();
    std::fs::write(
        job.file("main.tf"),
        "terraform {\n  backend \"s3\" {}\n}\nresource \"terraform_data\" \"it\" {\n  input = 1\n}\n",
    )
    .unwrap();
    let key = "--key=used/terraform.tfstate";
    let script = "echo region=$AWS_REGION; terraform init -no-color; terraform apply -no-color -auto-approve";
    let run = [region, key, "--", "sh", "-ec", script];
    let ran = job.run(&mut site.command(&job, "run", &run));
    let output = format!("{}{}", log(&ran), String::from_utf8_lossy(&ran.stdout));
    assert_eq!(ran.status.code(), Some(0), "{output}");
    let own = format!("region={}", site.state.world.region);
    for piece in [own.as_str(), "Apply complete! Resources: 1 added"] {
        assert!(output.contains(piece), "no {piece} in\n{output}");
    }
    for verb in ["status", "verify-digest"] {
        let ended = job.run(&mut site.command(&job, verb, &[region, key]));
        assert_eq!(ended.status.code(), Some(0), "{verb}: {}", log(&ended));
    }
    // The lock and the digest are in the state's region, and nowhere else.
    let checked = job.run(&mut site.command(&job, "verify-digest", &[key]));
    assert_eq!(checked.status.code(), Some(1), "{}", log(&checked));
}

#[test]
fn settings_that_somebody_undid_are_restored_and_others_stay() {
    let site = Site::new("undone");
    site.ends("bootstrap", &[], 0);
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", site.state.account())},
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/*", site.bucket),
    }]});
    site.put("?policy", &policy.to_string());
    site.put(
        "?lifecycle",
        "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ID>theirs</ID>\
         <Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>\
         </LifecycleConfiguration>",
    );
    site.put(
        "?versioning",
        "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Suspended</Status></VersioningConfiguration>",
    );
    site.dynamodb(
        "UpdateTable",
        &json!({"TableName": site.table, "DeletionProtectionEnabled": false}),
    );
    assert_eq!(
        site.findings(),
        [
            "missing: it keeps old versions of objects",
            "missing: a policy denies requests without TLS",
            "missing: old versions and old plans are removed in time",
            "missing: it is protected from deletion",
        ]
    );
    let did = site.ends("bootstrap", &[], 0);
    assert_eq!(did["changes"].as_array().unwrap().len(), 4, "{did}");
    assert_eq!(site.findings(), [""; 0]);
    let aws = &site.state.aws;
    for (setting, theirs) in [("policy", "Theirs"), ("lifecycle", "logs/")] {
        let path = format!("/{}?{setting}", site.bucket);
        let text = wait(DEADLINE, aws.get(&path)).unwrap().unwrap();
        assert!(text.contains(theirs), "{text}");
    }
}

#[test]
fn settings_that_may_not_be_read_are_never_overwritten() {
    let state = Governed::with_faults("unseen");
    let site = Site {
        bucket: format!("boot-unseen-{}", state.account()),
        table: format!("locks-unseen-{}", state.account()),
        state,
    };
    site.ends("bootstrap", &[], 0);
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    site.put("?policy", policy);
    let denied = |times: u32| {
        let fault = json!({
            "service": "s3", "operation": "GetBucketPolicy", "account": site.state.account(), "times": times,
            "fault": {"kind": "status", "status": 403, "code": "AccessDenied", "message": "no"},
        });
        gateway::tell("faults", &fault);
    };
    denied(1);
    let answer = site.ends("bootstrap", &[], 3);
    let causes = answer["error"]["causes"].to_string();
    assert!(
        causes.contains("cannot be checked: needs s3:GetBucketPolicy"),
        "{answer}"
    );
    denied(1);
    assert_eq!(
        site.findings(),
        ["unknown: a policy denies requests without TLS"]
    );
    assert_eq!(
        site.findings(),
        ["missing: a policy denies requests without TLS"]
    );
}

#[test]
fn a_table_with_another_key_and_a_bucket_of_another_account_are_refused() {
    let site = Site::new("wrong");
    site.dynamodb(
        "CreateTable",
        &json!({
            "TableName": site.table, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        }),
    );
    let answer = site.ends("bootstrap", &[], 3);
    assert!(
        answer["error"]["causes"]
            .to_string()
            .contains("has another key"),
        "{answer}"
    );
    assert!(
        site.findings()
            .contains(&"missing: the bucket exists in this account".to_owned())
    );

    let mut site = Site::new("theirs");
    site.bucket = site
        .state
        .world
        .environment("staging")
        .unwrap()
        .state_bucket
        .clone();
    let answer = site.ends("bootstrap", &[], 3);
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("does not belong to account"),
        "{answer}"
    );
}

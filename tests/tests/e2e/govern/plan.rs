//! Plans: kept, approved, applied, or refused with the name of what moved.

mod interrupted;
mod pull_request;
mod refused;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{DEADLINE, Governed, SECRET};
use crate::job::Job;
use crate::support::log;

/// Everything a step left that somebody may read: log, result, outputs, summary.
fn everything_written(job: &Job, ended: &std::process::Output) -> String {
    let files = ["output", "env", "state", "summary"].map(|file| job.read(file));
    format!(
        "{}{}{}",
        log(ended),
        String::from_utf8_lossy(&ended.stdout),
        files.concat()
    )
}

#[test]
fn the_saved_plan_is_applied_and_no_secret_is_shown() {
    let before = plans();
    let state = Governed::new("happy");
    let job = state.job("shop.example");
    let planned = state.ends(&job, &["plan"], 0);
    let shown = everything_written(&job, &planned);
    for piece in [
        "### Plan: 2 to add",
        "+   terraform_data.network",
        "!   output password added",
        "terraform 1.",
        &format!("{}/{}", state.bucket(), state.key),
    ] {
        assert!(shown.contains(piece), "no {piece} in\n{shown}");
    }
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(state.digest(), None, "nothing was applied yet");

    let plan = state.planned(&job);
    let later = state.job("shop.example");
    let applied = state.ends(&later, &["apply", "--plan", &plan], 0);
    let shown = everything_written(&later, &applied);
    assert!(shown.contains("### Applied: 2 to add"), "{shown}");
    assert!(
        shown.contains("Apply complete! Resources: 2 added"),
        "{shown}"
    );
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(state.digest().is_some());

    // Terraform's own plan shows this value in plain text: it has lost the mark on `output`.
    let changed = state.job("new.example");
    let planned = state.ends(&changed, &["plan"], 0);
    let shown = everything_written(&changed, &planned);
    for piece in [
        "### Plan: 1 to replace, 1 to change",
        "-/+ terraform_data.database",
        "# forces replacement",
        r#"input: "dev.shop.example" → "dev.new.example""#,
        "output: (sensitive value) → (known after apply)",
    ] {
        assert!(shown.contains(piece), "no {piece} in\n{shown}");
    }
    assert!(!shown.contains(SECRET), "{shown}");
    let at = |piece: &str| shown.find(piece).unwrap();
    assert!(at("-/+ terraform_data.database") < at("terraform_data.network"));

    let again = state.refused(&later, &["apply", "--plan", &plan]);
    assert!(
        again.contains("there is no plan") && again.contains("it was applied"),
        "{again}"
    );
    assert_eq!(plans_left(&before), Vec::<PathBuf>::new());
}

/// The approver of a plan sees what it opens, what fails, and what it leaves out, and no secret.
#[test]
fn an_approver_sees_new_attributes_failed_checks_and_what_is_left_out() {
    let state = Governed::new("approver");
    let job = state.job("shop.example");
    let code = format!(
        "{}{}",
        super::CODE,
        r#"
resource "terraform_data" "firewall" {
  input = {
    ingress = [{ cidr_blocks = ["0.0.0.0/0"], port = 22, key = var.password }]
    policy  = jsonencode({ Statement = [{ Principal = "*" }] })
  }
}

check "open" {
  assert {
    condition     = !contains(terraform_data.firewall.input.ingress[0].cidr_blocks, "0.0.0.0/0")
    error_message = "the firewall is open to the world"
  }
}
"#
    );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    // Somebody who reads exit codes has set this for every plan.
    let mut step = state.step(&job, &["plan"]);
    step.env("TF_CLI_ARGS_plan", "-detailed-exitcode");
    let planned = job.run(&mut step);
    assert_eq!(planned.status.code(), Some(0), "{}", log(&planned));
    let shown = everything_written(&job, &planned);
    let summary = job.read("summary");
    for piece in [
        "### Plan: 3 to add, 1 check failed",
        "- failed check: check.open: the firewall is open to the world",
        r#"input.ingress[0].cidr_blocks[0]: "0.0.0.0/0""#,
        "input.ingress[0].key: (sensitive value)",
        "input.ingress[0].port: 22",
        r#"input.policy.Statement[0].Principal: "*""#,
    ] {
        assert!(summary.contains(piece), "no {piece} in\n{summary}");
    }
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(output(&job, "exitcode"), "2");

    // A part of it, chosen past the step.
    let mut step = state.step(&job, &["plan", "--json"]);
    step.env("TF_CLI_ARGS_plan", "-target=terraform_data.network");
    let planned = job.run(&mut step);
    assert_eq!(planned.status.code(), Some(0), "{}", log(&planned));
    let summary = job.read("summary");
    for piece in [
        "### Plan: 1 to add (incomplete: targeted)",
        "- incomplete: targeted; plan again",
    ] {
        assert!(summary.contains(piece), "no {piece} in\n{summary}");
    }
    let plan: serde_json::Value = serde_json::from_slice(&planned.stdout).unwrap();
    assert_eq!(plan["incomplete"], "targeted");
    let plan = plan["plan"].as_str().unwrap();
    state.run_json(&job, &["apply", "--plan", plan]);

    // The same again changes nothing.
    let same = state.job("shop.example");
    let plan = state.planned(&same);
    state.run_json(&same, &["apply", "--plan", &plan]);
    state.run_json(&same, &["plan"]);
    assert_eq!(output(&same, "exitcode"), "0");
}

/// The last value of one of the job's outputs.
fn output(job: &Job, name: &str) -> String {
    let text = job.read("output");
    let start = format!("{name}<<");
    let mut lines = text.lines();
    let mut found = String::new();
    while let Some(line) = lines.next() {
        if line.starts_with(&start) {
            found = lines.next().unwrap_or_default().to_owned();
        }
    }
    found
}

/// A plan is of one workspace, with the options that were approved, and is applied as nothing else.
#[test]
fn a_plan_of_a_workspace_is_applied_there_with_its_own_options() {
    let state = Governed::new("workspace");
    let job = state.job("shop.example");
    state.init_by_hand(&job);
    let made = state.by_hand(&job, &["workspace", "new", "blue"]);
    assert!(made.status.success(), "{made:?}");
    let wrong = job.run(&mut state.step(&job, &["plan"]));
    assert_eq!(wrong.status.code(), Some(2), "{}", log(&wrong));
    assert!(log(&wrong).contains("--workspace NAME"), "{}", log(&wrong));
    let stderr = state.refused(&job, &["plan", "--workspace", "green"]);
    assert!(stderr.contains("there is no workspace `green`"), "{stderr}");

    let values = |domain: &str| {
        let text = format!("domain = \"{domain}\"\n");
        std::fs::write(job.file("infra/blue.tfvars"), text).unwrap();
    };
    values("blue.example");
    let blue = ["--workspace", "blue"];
    let part = [
        "--var-file",
        "blue.tfvars",
        "--target",
        "terraform_data.network",
    ];
    let with = |verb: &[&'static str], options: &[&[&'static str]]| {
        let mut all: Vec<&str> = verb.to_vec();
        all.extend(options.concat());
        all
    };
    let planned = state.run_json(&job, &with(&["plan"], &[&blue, &part]));
    let id = planned["plan"].as_str().unwrap().to_owned();
    let summary = job.read("summary");
    for piece in [
        "### Plan: 1 to add (incomplete: targeted)",
        "/env:/blue/workspace/terraform.tfstate",
        "- options: --var-file blue.tfvars --target terraform_data.network",
        r#"input: "dev.blue.example""#,
    ] {
        assert!(summary.contains(piece), "no {piece} in\n{summary}");
    }
    let apply = |options: &[&[&'static str]]| {
        let mut all = vec!["apply", "--plan", &id];
        all.extend(options.concat());
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |options: &[&[&'static str]], why: &str| {
        let arguments = apply(options);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let stderr = state.refused(&job, &arguments);
        assert!(stderr.contains(why), "no {why} in\n{stderr}");
    };
    let default = ["--workspace", "default"];
    refused(&[&default, &part], "there is no plan");
    refused(
        &[&blue],
        "the options: planned with --var-file blue.tfvars --target",
    );
    values("other.example");
    refused(
        &[&blue, &part],
        "the file of values 1. blue.tfvars: planned with another value",
    );
    values("blue.example");
    let arguments = apply(&[&blue, &part]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let applied = state.run_json(&job, &arguments);
    assert_eq!(applied["counts"], "1 to add (incomplete: targeted)");
    assert_eq!(state.digest(), None, "the default workspace has no state");
    state.ends(&job, &with(&["verify-digest"], &[&blue]), 0);

    a_command_gets_the_workspace(&state, &job);
    everything_goes(&state, &job);
}

/// A command gets the workspace too, under that workspace's lock.
fn a_command_gets_the_workspace(state: &Governed, job: &Job) {
    let mut step = state.step(job, &["run", "--workspace", "blue"]);
    step.args([
        "--",
        "sh",
        "-ec",
        "terraform init -no-color; terraform workspace show; terraform state list",
    ]);
    let ran = job.run(&mut step);
    let output = format!("{}{}", log(&ran), String::from_utf8_lossy(&ran.stdout));
    assert_eq!(ran.status.code(), Some(0), "{output}");
    assert!(
        output.contains("blue\nterraform_data.network\n"),
        "{output}"
    );
    assert!(
        output.contains("/env:/blue/workspace/terraform.tfstate was held"),
        "{output}"
    );
}

/// Everything goes, and only where that was approved.
fn everything_goes(state: &Governed, job: &Job) {
    let planned = state.run_json(job, &["plan", "--workspace", "blue", "--destroy"]);
    let plan = planned["plan"].as_str().unwrap();
    let summary = job.read("summary");
    assert!(summary.contains("### Plan: 1 to destroy\n"), "{summary}");
    let stderr = state.refused(job, &["apply", "--plan", plan, "--workspace", "blue"]);
    assert!(
        stderr.contains("the options: planned with --destroy, now none"),
        "{stderr}"
    );
    let apply = ["apply", "--plan", plan, "--workspace", "blue", "--destroy"];
    state.run_json(job, &apply);
}

/// Folders with plans in them that a step forgot, beside those that were there before.
fn plans_left(before: &[PathBuf]) -> Vec<PathBuf> {
    let mut remaining = plans();
    remaining.retain(|path| !before.contains(path));
    // Another test's step may be at work just now.
    for _ in 0..100 {
        if remaining.is_empty() {
            break;
        }
        std::thread::sleep(DEADLINE / 100);
        remaining.retain(|path| path.join("plan").exists());
    }
    remaining
}

fn plans() -> Vec<PathBuf> {
    [Path::new("/dev/shm"), &std::env::temp_dir()]
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("plan").exists())
        .collect()
}

#[test]
fn a_mistake_in_the_code_is_reported_with_its_place_and_the_lock_is_released() {
    let state = Governed::new("mistake");
    let job = state.job("shop.example");
    let code = format!("{}\noutput \"x\" {{\n  value = var.nope\n}}\n", super::CODE);
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    let ended = state.ends(&job, &["plan"], 1);
    let stderr = log(&ended);
    for piece in [
        "Reference to undeclared input variable",
        "::error file=infra/main.tf,line=35,",
        "the lock was released",
    ] {
        assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
    }
}

#[test]
fn drift_has_its_own_exit_code_and_changes_nothing() {
    let state = Governed::new("drift");
    let job = state.job("shop.example");
    let other = job.file("other.tfstate");
    let remote = |value: &str| {
        let text = json!({
            "version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "l",
            "outputs": {"it": {"value": value, "type": "string"}}, "resources": [],
        });
        std::fs::write(&other, text.to_string()).unwrap();
    };
    remote("one");
    let code = format!(
        "{}\ndata \"terraform_remote_state\" \"other\" {{\n  backend = \"local\"\n  config  = {{ path = {} }}\n}}\n\
         output \"other\" {{\n  value = data.terraform_remote_state.other.outputs.it\n}}\n",
        super::CODE,
        json!(other)
    );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    let plan = state.planned(&job);
    state.run_json(&job, &["apply", "--plan", &plan]);
    let before = state.digest();
    let same = state.run_json(&job, &["drift"]);
    assert_eq!(same["outputs"], json!([]));

    remote("two");
    let ended = state.ends(&job, &["drift"], 6);
    let stderr = log(&ended);
    assert!(stderr.contains("1 output differs from what"), "{stderr}");
    assert!(stderr.contains("output other changed"), "{stderr}");
    assert!(
        job.read("summary").contains("### Drift: 1 output"),
        "{stderr}"
    );
    assert_eq!(state.digest(), before);
}

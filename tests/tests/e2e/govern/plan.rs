//! Plans: kept, approved, applied, or refused with the name of what moved.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use sandbox::runner::story::{AUTHOR, Story};
use serde_json::json;

use super::{Governed, SECRET, SOON};
use crate::job::Job;
use crate::support::{PATIENCE, Started, comments, log, place, until, wait, world};

/// Everything a step left that somebody may read: log, result, outputs, summary.
fn said(job: &Job, ended: &std::process::Output) -> String {
    let files = ["output", "env", "state", "summary"].map(|file| job.read(file));
    format!(
        "{}{}{}",
        log(ended),
        String::from_utf8_lossy(&ended.stdout),
        files.concat()
    )
}

#[test]
fn what_was_planned_is_what_is_applied_and_no_secret_is_shown() {
    let state = Governed::new("happy");
    let job = state.job("shop.example");
    let planned = state.ends(&job, &["plan"], 0);
    let shown = said(&job, &planned);
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
    let shown = said(&later, &applied);
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
    let shown = said(&changed, &planned);
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
    assert_eq!(plans_left(), Vec::<String>::new());
}

/// Whoever approves a plan sees what it opens, what fails, and what it leaves out, and no secret.
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
    let shown = said(&job, &planned);
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
    state.does(&job, &["apply", "--plan", plan]);

    // The same again changes nothing.
    let same = state.job("shop.example");
    let plan = state.planned(&same);
    state.does(&same, &["apply", "--plan", &plan]);
    state.does(&same, &["plan"]);
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
    let said = state.refused(&job, &["plan", "--workspace", "green"]);
    assert!(said.contains("there is no workspace `green`"), "{said}");

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
    let planned = state.does(&job, &with(&["plan"], &[&blue, &part]));
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
        let said = state.refused(&job, &arguments);
        assert!(said.contains(why), "no {why} in\n{said}");
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
    let applied = state.does(&job, &arguments);
    assert_eq!(applied["counts"], "1 to add (incomplete: targeted)");
    assert_eq!(state.digest(), None, "the default workspace has no state");
    state.ends(&job, &with(&["verify-digest"], &[&blue]), 0);

    // A command gets the workspace too, under that workspace's lock.
    let show = with(&["run"], &[&blue]);
    let mut step = state.step(&job, &show);
    step.args([
        "--",
        "sh",
        "-ec",
        "terraform init -no-color; terraform workspace show; terraform state list",
    ]);
    let ran = job.run(&mut step);
    let said = format!("{}{}", log(&ran), String::from_utf8_lossy(&ran.stdout));
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(said.contains("blue\nterraform_data.network\n"), "{said}");
    assert!(
        said.contains("/env:/blue/workspace/terraform.tfstate was held"),
        "{said}"
    );

    // Everything goes, and only where that was approved.
    let destroy = ["--destroy"];
    let planned = state.does(&job, &with(&["plan"], &[&blue, &destroy]));
    let plan = planned["plan"].as_str().unwrap();
    let summary = job.read("summary");
    assert!(summary.contains("### Plan: 1 to destroy\n"), "{summary}");
    let said = state.refused(&job, &["apply", "--plan", plan, "--workspace", "blue"]);
    assert!(
        said.contains("the options: planned with --destroy, now none"),
        "{said}"
    );
    let apply = ["apply", "--plan", plan, "--workspace", "blue", "--destroy"];
    state.does(&job, &apply);
}

/// Folders with plans in them that a step forgot.
fn plans_left() -> Vec<String> {
    [Path::new("/dev/shm"), &std::env::temp_dir()]
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("plan").exists())
        // Another test's step may be at work just now.
        .filter(|path| {
            std::thread::sleep(SOON / 10);
            path.join("plan").exists()
        })
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn a_plan_is_refused_with_the_name_of_each_thing_that_moved() {
    let state = Governed::new("moved");
    let job = state.job("shop.example");
    let first = state.planned(&job);
    state.does(&job, &["apply", "--plan", &first]);
    let changed = state.job("new.example");
    let plan = state.planned(&changed);
    let apply = ["apply", "--plan", &plan];
    let refused = |job: &Job, arguments: &[&str], moved: &str| {
        let said = state.refused(job, arguments);
        assert!(said.contains(moved), "no {moved} in\n{said}");
        assert!(said.contains("no longer fits"), "{said}");
        said
    };

    // The variable from the contract, and one from the job's environment.
    let said = refused(
        &job,
        &apply,
        "the variable TF_VAR_domain: planned with another value",
    );
    let named = said.lines().filter(|line| line.starts_with("  the "));
    assert_eq!(
        named.filter(|line| line.contains("planned")).count(),
        1,
        "{said}"
    );
    let other = state.job_with("new.example", &[("TF_VAR_password", "another")]);
    let said = refused(
        &other,
        &apply,
        "the variable TF_VAR_password: planned with another value",
    );
    assert!(
        !said.contains("another\n") && !said.contains(SECRET),
        "{said}"
    );
    // The commit.
    let said = ["apply", "--plan", &plan, "--commit", "0815"];
    refused(&changed, &said, "the commit: planned with 4711");
    // The build of a provider.
    let locked = state.job("new.example");
    std::fs::write(locked.file("infra/.terraform.lock.hcl"), "# pinned\n").unwrap();
    refused(
        &locked,
        &apply,
        "the provider lock file .terraform.lock.hcl: planned with none",
    );
    // The tool's version, told by a stand-in for the tool that is the real one in all else.
    let newer = state.job("new.example");
    let bin = newer.file("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = place().bin().join("terraform");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = version ] && exec echo '{{\"terraform_version\":\"1.99.0\"}}'\nexec {} \"$@\"\n",
        real.display()
    );
    step_job::program(&bin.join("terraform"), &script);
    let mut step = state.step(&newer, &apply);
    let path = state.world.variables(place())["PATH"].clone();
    step.env("PATH", format!("{}:{path}", bin.display()));
    let ended = newer.run(&mut step);
    assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
    assert!(
        log(&ended).contains("now terraform 1.99.0"),
        "{}",
        log(&ended)
    );
    // Another state: the plan is not there at all.
    let elsewhere = Governed::new("moved-elsewhere");
    let said = elsewhere.refused(&elsewhere.job("new.example"), &apply);
    assert!(said.contains("there is no plan"), "{said}");
    // Time.
    let soon = state.does(&changed, &["plan", "--valid-for", "0s"]);
    let soon = soon["plan"].as_str().unwrap();
    refused(
        &changed,
        &["apply", "--plan", soon],
        "the time: the plan was valid until",
    );
    // Bytes: somebody wrote another plan in its place.
    let object = format!("/{}/slipway-plans/{}/{plan}", state.bucket(), state.key);
    let put = state.aws.put(&object, "{}\nanother plan".to_owned());
    let kept = state.planned(&changed);
    wait(SOON, put).unwrap().unwrap();
    let said = state.refused(&changed, &apply);
    assert!(
        said.contains("is not what was kept") && said.contains("its envelope has the ID"),
        "{said}"
    );

    // Behind our back: Terraform by hand, with its own lock, in the same state.
    let hand = state.job("hand.example");
    state.init_by_hand(&hand);
    let done = state.by_hand(
        &hand,
        &[
            "apply",
            "-auto-approve",
            "-no-color",
            "-var",
            "domain=hand.example",
        ],
    );
    assert!(done.status.success(), "{done:?}");
    let before = state.digest();
    refused(
        &changed,
        &["apply", "--plan", &kept],
        "the state's serial: planned with ",
    );
    assert_eq!(state.digest(), before, "nothing was applied");
}

#[test]
fn an_apply_whose_digest_was_swallowed_is_no_success() {
    let state = Governed::struck("swallowed");
    let job = state.job("shop.example");
    // Terraform logs a digest that it cannot write, and goes on.
    let code = super::CODE.to_owned()
        + &format!(
            "\nresource \"terraform_data\" \"fault\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n",
            json!(state.strike("dynamodb", "PutItem"))
        );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    let plan = state.planned(&job);
    let ended = state.ends(&job, &["apply", "--plan", &plan], 1);
    let said = log(&ended);
    assert!(
        said.contains("applied, but the state's digest in"),
        "{said}"
    );
    assert!(said.contains("is missing"), "{said}");
    assert!(said.contains("slipway-state repair-digest"), "{said}");
}

/// The lock is forced away while a provisioner is at work, and then the state cannot be written.
#[test]
fn an_apply_that_lost_its_lock_still_says_where_the_state_is_that_it_could_not_write() {
    let state = Governed::alone("lost");
    let job = state.job("shop.example");
    let denied = json!({
        "service": "s3", "operation": "PutObject", "account": state.account(), "times": 1000,
        "fault": {"kind": "status", "status": 403, "code": "AccessDenied", "message": "no"},
    });
    let provisioner = format!(
        "touch applying; until [ -e {} ]; do sleep 0.1; done",
        job.file("go").display()
    );
    let code = format!(
        "{}\nresource \"terraform_data\" \"slow\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n",
        super::CODE,
        json!(provisioner)
    );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    // The plan is written, and the answer lost: the second attempt finds that very plan there.
    state.fault(&json!({
        "service": "s3", "operation": "PutObject", "account": state.account(), "times": 1,
        "fault": {"kind": "lost_answer"},
    }));
    let plan = state.planned(&job);
    let mut step = state.step(&job, &["apply", "--plan", &plan, "--lease", "10s"]);
    let applying = Started::new(&mut step);
    until("the provisioner is at work", SOON, || {
        job.file("infra/applying").exists().then_some(())
    });
    state.fault(&denied);
    let info: serde_json::Value =
        serde_json::from_str(state.lock().unwrap()["Info"]["S"].as_str().unwrap()).unwrap();
    let other = state.job("shop.example");
    let id = info["ID"].as_str().unwrap();
    state.ends(&other, &["force-unlock", "--lock-id", id], 0);
    let ended = applying.end(SOON);
    state.clear_faults();
    let said = log(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for piece in [
        "was taken away while the command ran",
        "the state could not be written to s3://",
        ", and was left in",
        "errored.tfstate",
    ] {
        assert!(said.contains(piece), "no {piece} in\n{said}");
    }
    assert!(job.file("infra/errored.tfstate").exists());
    assert_eq!(state.lock(), None);
}

/// As GitHub's runner cancels: SIGINT, and SIGTERM 7.5 s later. Returns how it ended.
fn cancelled(running: Started, interrupted: impl Fn() -> bool, go: &Path) -> std::process::Output {
    running.signal(Signal::INT);
    until("the interrupt arrives", SOON, || {
        interrupted().then_some(())
    });
    std::thread::sleep(Duration::from_millis(7500));
    running.signal(Signal::TERM);
    std::fs::write(go, "").unwrap();
    running.end(SOON)
}

#[test]
fn a_cancelled_plan_keeps_no_plan_and_a_cancelled_apply_writes_its_state() {
    std::thread::scope(|scope| {
        scope.spawn(cancelled_plan);
        scope.spawn(cancelled_apply);
    });
}

fn cancelled_plan() {
    let state = Governed::new("cancelled-plan");
    let job = state.job("shop.example");
    let bin = job.file("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = place().bin().join("terraform");
    let file = |name: &str| job.file(name).display().to_string();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = plan ] || exec {} \"$@\"\ntrap 'echo INT >> {signals}' INT\ntrap 'echo TERM >> {signals}' TERM\n\
         touch {}\nuntil [ -e {} ]; do sleep 0.1; done\nexit 1\n",
        real.display(),
        file("planning"),
        file("go"),
        signals = file("signals"),
    );
    step_job::program(&bin.join("terraform"), &script);
    let mut step = state.step(&job, &["plan"]);
    let path = state.world.variables(place())["PATH"].clone();
    step.env("PATH", format!("{}:{path}", bin.display()));
    let planning = Started::new(&mut step);
    until("it plans", SOON, || {
        job.file("planning").exists().then_some(())
    });
    assert!(state.lock().is_some());
    let interrupted = || job.file("signals").exists();
    let ended = cancelled(planning, interrupted, &job.file("go"));
    assert_eq!(ended.status.code(), Some(1), "{}", log(&ended));
    assert_eq!(job.read("signals"), "INT\n");
    assert_eq!(job.read("output"), "");
    assert_eq!(state.lock(), None);
}

fn cancelled_apply() {
    let state = Governed::new("cancelled-apply");
    let job = state.job("shop.example");
    let go = job.file("go");
    let provisioner = format!(
        "trap '' INT TERM; touch applying; until [ -e {} ]; do sleep 0.1; done",
        go.display()
    );
    let code = format!(
        "terraform {{\n  backend \"s3\" {{}}\n}}\nvariable \"domain\" {{}}\nvariable \"environment\" {{}}\n\
         resource \"terraform_data\" \"first\" {{\n  provisioner \"local-exec\" {{\n    command = {}\n  }}\n}}\n\
         resource \"terraform_data\" \"second\" {{\n  depends_on = [terraform_data.first]\n}}\n",
        json!(provisioner)
    );
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    let plan = state.planned(&job);
    let applying = Started::new(&mut state.step(&job, &["apply", "--plan", &plan]));
    until("it applies", SOON, || {
        job.file("infra/applying").exists().then_some(())
    });
    let ended = cancelled(applying, || true, &go);
    let said = log(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(!said.contains("Two interrupts received"), "{said}");
    assert!(said.contains("the lock was given back"), "{said}");
    assert_eq!(state.lock(), None);
    let path = format!("/{}/{}", state.bucket(), state.key);
    let text = wait(SOON, state.aws.get(&path)).unwrap().unwrap();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["resources"][0]["name"], "first", "{text}");
    assert_eq!(written["resources"].as_array().unwrap().len(), 1, "{text}");
}

#[test]
fn a_mistake_in_the_code_is_told_with_its_place_and_the_lock_goes_back() {
    let state = Governed::new("mistake");
    let job = state.job("shop.example");
    let code = format!("{}\noutput \"x\" {{\n  value = var.nope\n}}\n", super::CODE);
    std::fs::write(job.file("infra/main.tf"), code).unwrap();
    let ended = state.ends(&job, &["plan"], 1);
    let said = log(&ended);
    for piece in [
        "Reference to undeclared input variable",
        "::error file=infra/main.tf,line=35,",
        "the lock was given back",
    ] {
        assert!(said.contains(piece), "no {piece} in\n{said}");
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
    state.does(&job, &["apply", "--plan", &plan]);
    let before = state.digest();
    let same = state.does(&job, &["drift"]);
    assert_eq!(same["outputs"], json!([]));

    remote("two");
    let ended = state.ends(&job, &["drift"], 6);
    let said = log(&ended);
    assert!(said.contains("1 output differs from what"), "{said}");
    assert!(said.contains("output other changed"), "{said}");
    assert!(
        job.read("summary").contains("### Drift: 1 output"),
        "{said}"
    );
    assert_eq!(state.digest(), before);
}

/// A pull request's run: nothing but the role `read`, nobody's lock, nothing to apply, and one comment that is changed.
#[test]
fn a_pull_request_gets_a_read_only_plan_in_one_comment() {
    let (story, number, run) = wait(PATIENCE, async {
        let world = world("comment").await;
        let story = Story::begin(place(), &world).await.unwrap();
        let files = [("infra/more.tf", "# more\n")];
        let number = story.propose(AUTHOR, "More of it", &files).await.unwrap();
        let workflow = "on: pull_request\njobs:\n  plan:\n    runs-on: ubuntu-latest\n    permissions: {pull-requests: write, contents: read}\n    steps: [{run: 'true'}]\n";
        let path = ".github/workflows/plan.yml";
        let run = json!({
            "workflow": path, "event": "pull_request", "actor": AUTHOR, "pull": number,
            "workflows": {(path): workflow},
        });
        let run = story.hub.start(&run).await.unwrap();
        (story, number, run)
    });
    let state = Governed::new("comment");
    let main = state.job("shop.example");
    let plan = state.planned(&main);
    state.does(&main, &["apply", "--plan", &plan]);

    let reference = format!("refs/pull/{number}/merge");
    let id = run.run_id.to_string();
    let of_pull = |domain: &str| {
        state.job_with(
            domain,
            &[
                ("GITHUB_REPOSITORY", &story.hub.repository),
                ("GITHUB_RUN_ID", &id),
                ("GITHUB_JOB", "plan"),
                ("GITHUB_EVENT_NAME", "pull_request"),
                ("GITHUB_REF", &reference),
                ("INPUT_GITHUB-TOKEN", &run.token),
            ],
        )
    };
    let comments = || wait(SOON, comments(&story.hub, number));
    let job = of_pull("new.example");
    // Somebody else holds the lock for all that time, and is not disturbed.
    let holder = state.job("shop.example");
    let lock = holder.run(&mut state.step(&holder, &["lock"]));
    assert!(lock.status.success(), "{}", log(&lock));
    let held = state.lock();
    let plan = || {
        let ended = job.run(&mut state.step(&job, &["plan"]));
        assert!(ended.status.success(), "{}", log(&ended));
        assert_eq!(state.lock(), held);
        said(&job, &ended)
    };
    let said = plan();
    assert!(said.contains("and without the lock"), "{said}");
    assert!(said.contains(":assumed-role/slipway-read/"), "{said}");
    assert!(
        said.contains("plan-id<<") && !said.contains("valid until"),
        "{said}"
    );
    let first = comments();
    assert_eq!(first.len(), 1, "{first:?}");
    for piece in [
        "### Plan: 1 to replace, 1 to change",
        "-/+ terraform_data.database",
        "cannot be applied",
    ] {
        assert!(first[0].contains(piece), "no {piece} in\n{}", first[0]);
    }
    plan();
    assert_eq!(comments(), first, "the same plan is the same comment");

    let job = of_pull("shop.example");
    let ended = job.run(&mut state.step(&job, &["plan"]));
    assert!(ended.status.success(), "{}", log(&ended));
    let now = comments();
    assert_eq!(now.len(), 1, "{now:?}");
    assert!(now[0].contains("### Plan: no changes"), "{}", now[0]);
    assert!(!first[0].contains(SECRET) && !now[0].contains(SECRET));

    // A long plan is cut where GitHub ends, and says where the rest is.
    let job = of_pull("shop.example");
    let many = format!(
        "{}\nresource \"terraform_data\" \"many\" {{\n  count = 3000\n}}\n",
        super::CODE
    );
    std::fs::write(job.file("infra/main.tf"), many).unwrap();
    let ended = job.run(&mut state.step(&job, &["plan"]));
    assert!(ended.status.success(), "{}", log(&ended));
    let now = comments();
    assert_eq!(now.len(), 1, "{now:?}");
    assert!(
        (50_000..=65_536).contains(&now[0].len()),
        "{}",
        now[0].len()
    );
    assert!(now[0].contains("more lines not shown**: the run has them all: https://github.com/"));
    assert!(job.read("summary").contains("terraform_data.many[2999]"));

    // A job that may not comment says so, and has its plan all the same.
    let job = of_pull("shop.example");
    let mut step = state.step(&job, &["plan"]);
    step.env("INPUT_GITHUB-TOKEN", "ghs_unknown");
    let ended = job.run(&mut step);
    assert!(ended.status.success(), "{}", log(&ended));
    assert!(
        log(&ended).contains("gets no comment with the plan"),
        "{}",
        log(&ended)
    );

    let job = of_pull("shop.example");
    let plan = "0".repeat(64);
    let ended = job.run(&mut state.step(&job, &["apply", "--plan", &plan]));
    assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
    let unlock = serde_json::to_value(&held).unwrap()["Info"]["S"].clone();
    let info: serde_json::Value = serde_json::from_str(unlock.as_str().unwrap()).unwrap();
    state.ends(
        &holder,
        &["unlock", "--lock-id", info["ID"].as_str().unwrap()],
        0,
    );
}

//! Providers and modules that are not pinned: in an environment with a gate, real Terraform neither installs nor uses them.

use std::path::Path;
use std::process::{Command, Output};

use super::Governed;
use crate::job::Job;
use crate::support::log;

const APPLY: &str = "terraform init -no-color; terraform apply -no-color -auto-approve";

/// A job whose environment has a gate, with what `gate` holds.
fn gated(state: &Governed, gate: &str) -> Job {
    let job = state.job("shop.example");
    let contract = job.file("delivery.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    let dev = "dev: {account: var:DEV_ACCOUNT_ID";
    assert!(text.contains(dev), "{text}");
    let text = text.replace(dev, &format!("{dev}, gate: {{{gate}}}"));
    std::fs::write(contract, text).unwrap();
    job
}

fn add(job: &Job, file: &str, text: &str) {
    let path = job.file(file);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(path, format!("{before}\n{text}")).unwrap();
}

/// Runs a script under the lock, and answers what it printed.
fn runs(state: &Governed, job: &Job, arguments: &[&str], script: &str) -> (Option<i32>, String) {
    let mut step = state.step(job, &[&["run"], arguments].concat());
    step.args(["--", "bash", "-euo", "pipefail", "-c", script]);
    let ended = job.run(&mut step);
    assert_eq!(state.lock(), None, "{script} left the lock");
    (ended.status.code(), text_of(&ended))
}

fn text_of(ended: &Output) -> String {
    format!("{}{}", log(ended), String::from_utf8_lossy(&ended.stdout))
}

/// git in a repository; answers what it prints.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@acme.example"])
        .args(["-c", "init.defaultBranch=main", "-C"])
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with a module in it. Answers its address and its commit.
fn module(job: &Job, name: &str, code: &str) -> (String, String) {
    let folder = job.file(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("main.tf"), code).unwrap();
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-qm", name]);
    let address = format!("git::file://{}", folder.display());
    (address, git(&folder, &["rev-parse", "HEAD"]))
}

fn call(name: &str, source: &str) -> String {
    format!("module \"{name}\" {{\n  source = \"{source}\"\n}}\n")
}

#[test]
fn a_provider_that_is_not_locked_is_not_installed() {
    let state = Governed::new("unlocked");
    let job = gated(&state, "");
    add(
        &job,
        "infra/main.tf",
        "resource \"null_resource\" \"it\" {}\n",
    );
    let (exit, printed) = runs(&state, &job, &[], "touch ran");
    assert_eq!(exit, Some(3), "{printed}");
    for piece in [
        "dev has a gate, and its infrastructure code is not pinned",
        "provider hashicorp/null",
        "there is no .terraform.lock.hcl",
        "`unpinned` in the gate of dev",
    ] {
        assert!(printed.contains(piece), "no {piece} in\n{printed}");
    }
    assert!(!job.file("infra/ran").exists());
    // Neither by a plan, kept or not.
    for arguments in [&["plan"][..], &["plan", "--read-only"]] {
        let printed = state.refused(&job, arguments);
        assert!(printed.contains("provider hashicorp/null"), "{printed}");
    }
    // A script goes to other folders.
    let other = gated(&state, "");
    std::fs::create_dir(other.file("infra/other")).unwrap();
    let code = "terraform {\n  backend \"s3\" {}\n}\nresource \"null_resource\" \"it\" {}\n";
    std::fs::write(other.file("infra/other/main.tf"), code).unwrap();
    let (exit, printed) = runs(&state, &other, &[], &format!("cd other; {APPLY}"));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(
        printed.contains("terraform was not started: dev has a gate"),
        "{printed}"
    );
    assert!(!printed.contains("Initializing"), "{printed}");
    // Without a gate nothing is asked.
    let free = state.job("shop.example");
    add(
        &free,
        "infra/main.tf",
        "resource \"null_resource\" \"it\" {}\n",
    );
    let (exit, printed) = runs(&state, &free, &[], "touch ran");
    assert_eq!(exit, Some(0), "{printed}");
}

#[test]
fn terraform_leaves_the_lock_file_as_the_commit_has_it() {
    let state = Governed::new("readonly");
    let job = gated(&state, "");
    let lock = "provider \"registry.terraform.io/hashicorp/null\" {\n  version = \"3.2.1\"\n  hashes = [\n    \"h1:FbGfc+muBsC17Ohy5g806iuI1hQc4SIexpYCrQHQd8w=\",\n  ]\n}\n";
    std::fs::write(job.file("infra/.terraform.lock.hcl"), lock).unwrap();
    // The code needs none, so `init` would take it out of the file.
    let (exit, printed) = runs(&state, &job, &[], APPLY);
    assert_eq!(exit, Some(1), "{printed}");
    assert!(
        printed.contains("Provider dependency changes detected"),
        "{printed}"
    );
    let (exit, printed) = runs(&state, &job, &[], "terraform init -no-color -upgrade");
    assert_eq!(exit, Some(1), "{printed}");
    assert!(
        printed.contains("`init -upgrade` takes other versions"),
        "{printed}"
    );
    let kept = std::fs::read_to_string(job.file("infra/.terraform.lock.hcl")).unwrap();
    assert_eq!(kept, lock);
    let failed = text_of(&state.ends(&job, &["plan"], 1));
    assert!(
        failed.contains("Provider dependency changes detected"),
        "{failed}"
    );
}

/// An entry that one step leaves in the lock file would pass for the commit's in the next step.
#[test]
fn a_lock_file_that_gains_a_provider_is_neither_used_nor_left_in_silence() {
    let state = Governed::new("gained");
    let gains = "terraform init -no-color; cat >> .terraform.lock.hcl < ../gained";
    let entry = "provider \"registry.terraform.io/evil/it\" {\n  version = \"1.0.0\"\n  hashes = [\n    \"h1:e\",\n  ]\n}\n";
    let reason = "provider evil/it 1.0.0 was not locked before `init`";
    let job = gated(&state, "");
    std::fs::write(job.file("gained"), entry).unwrap();
    let script = format!("{gains}; terraform apply -no-color -auto-approve");
    let (exit, printed) = runs(&state, &job, &[], &script);
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains(&format!("terraform was not started: dev has a gate, and its infrastructure code is not pinned: {reason}")), "{printed}");
    let job = gated(&state, "");
    std::fs::write(job.file("gained"), entry).unwrap();
    let (exit, printed) = runs(&state, &job, &[], gains);
    assert_eq!(exit, Some(3), "{printed}");
    assert!(printed.contains(reason), "{printed}");
    // A provider that the contract excepts may be added to the lock file.
    let job = gated(&state, "unpinned: [evil/it]");
    std::fs::write(job.file("gained"), entry).unwrap();
    let (exit, printed) = runs(&state, &job, &[], gains);
    assert_eq!(exit, Some(0), "{printed}");
}

#[test]
fn a_module_is_used_at_the_commit_that_its_source_names() {
    let state = Governed::new("modules");
    let job = gated(&state, "");
    let (far, far_commit) = module(&job, "far", "resource \"terraform_data\" \"far\" {}\n");
    let near = call("far", &format!("{far}?ref=main"));
    let (near, near_commit) = module(&job, "near", &near);

    add(
        &job,
        "infra/main.tf",
        &call("near", &format!("{near}?ref=main")),
    );
    let (exit, printed) = runs(&state, &job, &[], APPLY);
    assert_eq!(exit, Some(3), "{printed}");
    for piece in [
        "module `near` (main.tf:",
        &format!("): {near} names no commit"),
    ] {
        assert!(printed.contains(piece), "no {piece} in\n{printed}");
    }

    // It is pinned, and what it calls is not. That is seen once it is there, and not applied.
    let job = gated(&state, "");
    add(
        &job,
        "infra/main.tf",
        &call("near", &format!("{near}?ref={near_commit}")),
    );
    let (exit, printed) = runs(&state, &job, &[], APPLY);
    assert_eq!(exit, Some(1), "{printed}");
    let fault =
        format!("module `near.far` (.terraform/modules/near/main.tf:1): {far} names no commit");
    assert!(printed.contains(&fault), "no {fault} in\n{printed}");
    assert!(!printed.contains("Apply complete"), "{printed}");
    let printed = state.refused(&job, &["plan"]);
    assert!(printed.contains(&fault), "no {fault} in\n{printed}");

    // All of it is pinned; what is new since another commit is named.
    let job = gated(&state, "");
    git(&job.file("."), &["init", "-q"]);
    git(&job.file("."), &["add", "infra"]);
    git(&job.file("."), &["commit", "-qm", "before"]);
    let base = git(&job.file("."), &["rev-parse", "HEAD"]);
    add(
        &job,
        "infra/main.tf",
        &call("far", &format!("{far}?ref={far_commit}")),
    );
    let (exit, printed) = runs(&state, &job, &["--base", &base], APPLY);
    assert_eq!(exit, Some(0), "{printed}");
    let new = format!("module `far` is new: {far} {far_commit}");
    assert!(printed.contains(&new), "no {new} in\n{printed}");
    let summary = job.read("summary");
    assert!(summary.contains("module \\`far\\` is new"), "{summary}");

    // Or the contract says that it need not be.
    let job = gated(&state, &format!("unpinned: ['{near}', '{far}']"));
    add(
        &job,
        "infra/main.tf",
        &call("near", &format!("{near}?ref=main")),
    );
    let (exit, printed) = runs(&state, &job, &[], APPLY);
    assert_eq!(exit, Some(0), "{printed}");
    let summary = job.read("summary");
    assert!(
        summary.contains("not pinned, as the contract allows: module \\`near\\`"),
        "{summary}"
    );
}

//! Programs of the user's between the step and Terraform, and what changes between the judgement of a call and Terraform's own
//! look: whatever they do, a state whose lock somebody else holds never changes.

use super::calls::Scene;
use super::*;

/// Puts a folder of the user's own behind the step's on PATH.
const OWN: &str = "exec >&2; export PATH=\"${PATH%%:*}:$PWD/own:${PATH#*:}\"";
const PREPARE: &str = "exec >&2; set -e; terraform init -no-color; terraform apply -auto-approve -no-color
    (cd envs/prod; terraform init -no-color; terraform apply -auto-approve -no-color)
    terraform workspace new blue; terraform apply -auto-approve -no-color; terraform workspace select default";

/// A scene whose other states exist, and are locked by somebody else from now on.
fn prepared(name: &str) -> (Scene, [Option<String>; 2]) {
    let scene = Scene::new(name);
    let (code, text) = scene.run(PREPARE);
    assert_eq!(code, Some(0), "{text}");
    let before = ["prod", "blue"].map(|name| scene.text(name));
    assert!(before.iter().all(Option::is_some), "{text}");
    scene.hold("prod");
    scene.hold("blue");
    (scene, before)
}

#[test]
fn a_wrapper_of_the_users_own_is_what_runs() {
    let scene = Scene::new("wrapper");
    let script =
        "#!/bin/sh\necho wrapped \"$@\" >> \"$TOP/wrapped\"\nexec \"$REAL/terraform\" \"$@\"\n";
    scene.program("own/terraform", script);
    let apply = "terraform init -no-color && terraform apply -auto-approve -no-color";
    let (code, text) = scene.run(&format!("{OWN}\n{apply}"));
    assert_eq!(code, Some(0), "{text}");
    let wrapped = scene.job.read("wrapped");
    assert!(
        wrapped.contains("wrapped apply -lock=false -auto-approve"),
        "{wrapped}"
    );
    assert!(
        wrapped.contains("wrapped init -backend-config=bucket="),
        "{wrapped}"
    );

    // One that starts the tool as a child, which it finds on PATH: the step's again.
    let script = "#!/bin/sh\n[ -z \"$WRAPPED\" ] || exec \"$REAL/terraform\" \"$@\"\n\
        WRAPPED=1 terraform \"$@\"\ncode=$?\necho over >> \"$TOP/over\"\nexit $code\n";
    scene.program("own/terraform", script);
    let before = scene.text("");
    let (code, text) = scene.run(&format!("{OWN}\nterraform apply -auto-approve -no-color"));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(scene.job.read("over"), "over\n");
    assert_ne!(scene.text(""), before, "{text}");
}

/// Between the judgement and Terraform's own look another workspace is selected, or the wrapper goes elsewhere.
#[test]
fn a_workspace_or_folder_changed_after_the_check_reaches_no_other_state() {
    let (scene, before) = prepared("after");
    for (action, works) in [
        ("printf blue > .terraform/environment", true),
        ("\"$REAL/terraform\" workspace select blue", true),
        ("cd envs/prod", false),
        (
            "cd envs/prod; \"$REAL/terraform\" init -no-color -reconfigure",
            false,
        ),
    ] {
        let script = format!(
            "#!/bin/sh\n[ \"$1\" != apply ] || {{ {action}; }} >> \"$TOP/did\" 2>&1\nexec \"$REAL/terraform\" \"$@\"\n"
        );
        scene.program("own/terraform", &script);
        let own = scene.text("");
        let (code, text) = scene.run(&format!(
            "{OWN}\nterraform apply -auto-approve -no-color; code=$?; rm -f .terraform/environment; exit $code"
        ));
        let after = ["prod", "blue"].map(|name| scene.text(name));
        assert_eq!(after, before, "{action}: {text}");
        assert_eq!(code == Some(0), works, "{action}: {text}");
        assert_eq!(scene.text("") != own, works, "{action}: {text}");
    }
}

/// A call that a provisioner starts works on the state it would without the step: nothing fixed for the outer call reaches it.
#[test]
fn a_call_below_a_call_is_judged_for_itself() {
    let (scene, before) = prepared("nested");
    let code = std::fs::read_to_string(scene.job.file("main.tf")).unwrap();
    let nested = "env | grep ^TF_WORKSPACE > seen-workspace; cd envs/prod && terraform apply -auto-approve -no-color > ../../nested 2>&1; true";
    let code = code.replace(
        "input = uuid()\n",
        &format!(
            "input = uuid()\n  provisioner \"local-exec\" {{\n    command = {nested:?}\n  }}\n"
        ),
    );
    std::fs::write(
        scene.job.file("main.tf"),
        code.replace("\"it\"", "\"other\""),
    )
    .unwrap();
    let (code, text) = scene.run("terraform apply -auto-approve -no-color >&2");
    assert_eq!(code, Some(0), "{text}");
    let nested = scene.job.read("nested");
    assert!(nested.contains("theirs-prod"), "{nested}");
    assert_eq!(["prod", "blue"].map(|name| scene.text(name)), before);
}

/// A wrapper that is over before the Terraform that it started: the next call waits for that one, and so does the lock.
#[test]
fn a_process_that_a_wrapper_started_counts_until_it_ends() {
    let (call, until) = ("terraform", "applying");
    outlives_its_wrapper("orphan", call, "setsid \"$REAL/terraform\"", until);
    // Found on PATH: the step's again, and then this wrapper, which steps aside.
    outlives_its_wrapper("orphan-on-path", call, "WRAPPED=1 setsid terraform", until);
    // The command ends before the wrapper, and that before its Terraform.
    outlives_its_wrapper(
        "orphan-late",
        "setsid -f terraform",
        "\"$REAL/terraform\"",
        "go",
    );
}

/// `call` calls a wrapper that does `start`, and is over once the file `until` is there.
fn outlives_its_wrapper(name: &str, call: &str, start: &str, until: &str) {
    let scene = Scene::new(name);
    std::fs::write(
        scene.job.file("main.tf"),
        "terraform {\n  backend \"s3\" {}\n}\nresource \"terraform_data\" \"it\" {\n  input = uuid()\n  \
         provisioner \"local-exec\" {\n    command = \": > applying; while [ ! -e go ]; do sleep 0.1; done\"\n  }\n}\n",
    )
    .unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1$WRAPPED\" = apply ] || exec \"$REAL/terraform\" \"$@\"\n\
         {start} \"$@\" > first 2>&1 &\nwhile [ ! -e {until} ]; do sleep 0.1; done\n"
    );
    scene.program("own/terraform", &script);
    let (code, text) = scene.run(&format!(
        "{OWN}
         terraform init -no-color; {call} apply -auto-approve -no-color > /dev/null 2>&1
         while [ ! -e applying ]; do sleep 0.1; done
         terraform plan -no-color > second 2>&1; echo $? > second.code
         setsid -f sh -c 'sleep 5; : > go' > /dev/null 2>&1"
    ));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(scene.job.read("second.code"), "1\n");
    let second = scene.job.read("second");
    assert!(
        second.contains("Error acquiring the state lock"),
        "{second}"
    );
    // It was interrupted, and had written its state before the lock went back.
    let first = scene.job.read("first");
    assert!(
        first.contains("Apply complete") || first.contains("Interrupt received"),
        "{first}"
    );
    assert!(scene.text("").is_some(), "{first}");
    assert_eq!(scene.state.lock(), None);
}

#[test]
fn a_call_that_goes_around_the_step_is_explained() {
    let scene = Scene::new("around");
    for command in [
        "\"$REAL/terraform\" apply -auto-approve",
        "PATH=\"$REAL:$PATH\" terraform apply -auto-approve",
    ] {
        let block = scene.run("terraform init -no-color >&2");
        assert_eq!(block.0, Some(0), "{}", block.1);
        let (code, text) = scene.run(command);
        assert_eq!(code, Some(1), "{text}");
        for piece in [
            "Error acquiring the state lock",
            "no call of terraform or tofu came to this step",
        ] {
            assert!(text.contains(piece), "no {piece} in\n{text}");
        }
    }
}

/// The folder in front of PATH holds a socket, whose path has a greatest length, and PATH knows no colon within a folder.
#[test]
fn any_temporary_folder_will_do() {
    let scene = Scene::new("tmpdir");
    for name in ["a".repeat(120), "with:colon".to_owned()] {
        let folder = scene.job.file(&name);
        std::fs::create_dir(&folder).unwrap();
        let apply = "terraform init -no-color >&2 && terraform apply -auto-approve -no-color >&2";
        let mut command = scene.command(&["run"], apply);
        let ended = scene.job.run(command.env("TMPDIR", &folder));
        assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
    }
}

/// A command cannot remove the lock it runs under, and no variable that Terraform cuts off hides a word from the step.
#[test]
fn calls_that_would_break_a_lock_do_not_begin() {
    let (scene, before) = prepared("break");
    let (code, text) = scene.run("terraform force-unlock -force \"$SLIPWAY_STATE_HELD\"");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("would remove the lock that this step holds"),
        "{text}"
    );
    let (code, text) = scene.run(
        "export TF_CLI_ARGS_workspace_delete='-lock=false -force ; x'; terraform workspace delete blue",
    );
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("TF_CLI_ARGS_workspace_delete"), "{text}");
    assert_eq!(["prod", "blue"].map(|name| scene.text(name)), before);
}

/// Terraform joins prefix, workspace and key as paths are joined, and does not find such a key again.
#[test]
fn a_key_with_dots_is_refused_with_a_workspace_and_says_where_terraform_writes() {
    let mut scene = Scene::new("dots");
    scene.state.key = "../dots-of-a-workspace".to_owned();
    let (code, text) = scene.run(
        "exec >&2; terraform init -no-color && terraform workspace new blue && terraform apply -auto-approve -no-color",
    );
    assert_eq!(code, Some(0), "{text}");
    let (code, refused) = scene.run_with(&["run", "--workspace", "blue"], ": > began");
    assert_eq!(code, Some(64), "{refused}");
    let written = "env:/dots-of-a-workspace";
    assert!(refused.contains(written), "{refused}");
    assert!(!scene.job.file("began").exists());
    scene.state.key = written.to_owned();
    assert!(scene.text("").is_some(), "{text}");
}

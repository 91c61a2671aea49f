//! Characters that steer a terminal, in whatever others wrote or named: none of them is printed or stands in a summary.

use super::calls::Scene;
use super::*;

/// Clears the screen, sets the window's title, colors by one character of C1, and begins a command of the runner's.
const STEERING: &str = "x\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}\r\n::error::injected";

/// Everything that a run printed and wrote for people.
fn shown(job: &Job, output: &std::process::Output) -> String {
    // The runner takes no command from a summary.
    let summary = job.read("summary").replace('\n', "\nsummary: ");
    format!(
        "{}\n{}\n{summary}",
        log(output),
        String::from_utf8(output.stdout.clone()).unwrap()
    )
}

#[track_caller]
fn steers_nothing(what: &str, text: &str) {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!text.contains(steers), "{what}: {text:?}");
    let begins = |line: &str| line.trim_start().starts_with("::error::injected");
    assert!(!text.lines().any(begins), "{what}: {text:?}");
}

#[test]
fn the_words_of_a_lock_steer_no_terminal() {
    for locking in ["dynamodb", "file"] {
        let state = State::new("control");
        let place = format!("{}/{}", state.bucket(), state.key);
        let info = json!({
            "ID": format!("theirs{STEERING}"), "Operation": STEERING, "Info": STEERING, "Who": format!("ada{STEERING}"),
            "Version": STEERING, "Created": STEERING, "Path": format!("{place}{STEERING}"),
        });
        match locking {
            "file" => {
                let path = format!("/{place}.tflock");
                let put = state.aws.put(&path, info.to_string());
                wait(DEADLINE, put).unwrap().unwrap();
            }
            _ => {
                let item = json!({"LockID": {"S": place}, "Info": {"S": info.to_string()}});
                let input = json!({"TableName": state.table(), "Item": item});
                let put = state
                    .aws
                    .json("dynamodb", "DynamoDB_20120810.PutItem", &input);
                wait(DEADLINE, put).unwrap().unwrap();
            }
        }
        let with = ["--locking", locking];
        let run = ["--lock-timeout", "0s", "--", "sh", "-c", ": > started"];
        let id = format!("theirs{STEERING}");
        for (arguments, exit) in [
            ([&["status"], &with[..]].concat(), 0),
            ([&["status"], &with[..], &["--json"]].concat(), 0),
            ([&["run"], &with[..], &run].concat(), 4),
            (
                [&["force-unlock"], &with[..], &["--lock-id", "other"]].concat(),
                3,
            ),
            (
                [&["force-unlock"], &with[..], &["--lock-id", &id]].concat(),
                0,
            ),
        ] {
            let job = state.job();
            let output = job.run(&mut verb(&state, &job, &arguments));
            let text = shown(&job, &output);
            assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
            assert!(text.contains("ada"), "{arguments:?}: {text}");
            // A hint to paste has the ID as one word.
            let typed = text.contains("force-unlock --lock-id 'theirsx");
            assert!(typed || exit != 4, "{arguments:?}: {text}");
            steers_nothing(&format!("{arguments:?}"), &text);
        }
    }
}

#[test]
fn keys_and_workspaces_steer_no_terminal() {
    let mut scene = Scene::new("control-names");
    let script = "exec >&2; terraform init -no-color; terraform apply -auto-approve -no-color; terraform workspace list -no-color";
    let (code, output) = scene.run(script);
    assert_eq!(code, Some(0), "{output}");
    // The step's message to a call, in the call's own output.
    let mut judged = 0;
    let name = "$'x\\x1b[2J\\x1b]0;title\\x07\\x7f\\r\\n::error::injected'";
    for call in [
        format!("export TF_WORKSPACE={name}; terraform apply -auto-approve -lock=false"),
        format!("terraform workspace new -lock=false {name}"),
        format!(
            "mkdir {name}; cd {name}; cp ../main.tf .; terraform apply -auto-approve -lock=false"
        ),
        format!(
            "printf %s {name} > .terraform/environment; terraform apply -lock=false; code=$?; rm .terraform/environment; exit $code"
        ),
        format!("terraform apply -lock=false {name}"),
    ] {
        let (code, output) = scene.run(&format!("({call}) > out 2>&1 < /dev/null; echo $? > code"));
        assert_eq!(code, Some(0), "{call}: {output}");
        let out = scene.job.read("out");
        assert_ne!(scene.job.read("code"), "0\n", "{call}: {out}");
        // The lines before are Terraform's own.
        if let Some(at) = out.find("slipway-state: ") {
            steers_nothing(&call, &out[at..]);
            judged += 1;
        }
    }
    assert!(judged >= 2, "{judged}");
    // The step's messages about its own names.
    scene.state.key = format!("control/{STEERING}");
    for verb in [
        &["run", "--", "terraform", "init"][..],
        &["status"],
        &["versions"],
        &["force-unlock", "--lock-id", "x"],
        &["status", "--workspace", STEERING],
        &["plan", "--workspace", STEERING],
        &["verify-digest"],
    ] {
        let job = scene.state.job();
        let output = job.run(&mut super::verb(&scene.state, &job, verb));
        steers_nothing(&format!("{verb:?}"), &shown(&job, &output));
    }
}

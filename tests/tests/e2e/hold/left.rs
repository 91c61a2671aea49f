//! States that a command left in unexpected folders, in part, or not at all.

use super::calls::Scene;
use super::*;

/// A call of Terraform in a folder, and the state that it leaves there.
const LEAVE: &str = "leave() { (cd \"$1\" && { terraform refresh -no-color > /dev/null 2>&1; echo \"{\\\"serial\\\":$2}\" > errored.tfstate; }); }";

/// Deep, linked and other folders.
fn leave_states(scene: &Scene) -> (tempfile::TempDir, String) {
    let other = tempfile::tempdir().unwrap();
    let folders = [
        scene.job.file("1/2/3/4/5/6"),
        other.path().join("linked"),
        other.path().join("other"),
    ];
    for folder in &folders {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("main.tf"), "terraform {}\n").unwrap();
    }
    std::os::unix::fs::symlink(&folders[1], scene.job.file("link")).unwrap();
    let script = format!(
        "{LEAVE}\nleave 1/2/3/4/5/6 1; leave link 2; leave {} 3; : > started",
        folders[2].display()
    );
    (other, script)
}

fn copies(scene: &Scene) -> Vec<String> {
    let lock = scene.state.lock().unwrap();
    assert_eq!(lock["Phase"]["S"], "needs-repair");
    let places = lock["Rescued"]["S"].as_str().unwrap().to_owned();
    let mut found: Vec<String> = places
        .split(", ")
        .map(|instance| {
            let path = instance.strip_prefix("s3:/").unwrap();
            wait(DEADLINE, scene.state.aws.get(path)).unwrap().unwrap()
        })
        .collect();
    found.sort();
    found
}

const ALL: [&str; 3] = ["{\"serial\":1}\n", "{\"serial\":2}\n", "{\"serial\":3}\n"];

#[test]
fn states_are_rescued_wherever_a_call_worked() {
    let scene = Scene::new("left-elsewhere");
    let (_other, script) = leave_states(&scene);
    let (code, text) = scene.run(&format!("{script}; exit 1"));
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(copies(&scene), ALL, "{text}");
}

#[test]
fn the_post_step_rescues_states_wherever_a_call_worked() {
    let scene = Scene::new("left-by-killed");
    let (_other, script) = leave_states(&scene);
    let mut command = scene.command(&["run"], &format!("{script}; exec sleep 300"));
    let running = Started::new(&mut command);
    started(&scene.job);
    running.signal(Signal::KILL);
    let post = scene.job.run(&mut post(&scene.state, &scene.job));
    assert_eq!(post.status.code(), Some(0), "{}", log(&post));
    assert_eq!(copies(&scene), ALL, "{}", log(&post));
    assert_eq!(running.end(DEADLINE).status.code(), None);
}

/// A full disk cuts the file off: that is not a rescued state.
#[test]
fn a_part_of_a_state_is_kept_and_called_a_part() {
    let scene = Scene::new("part");
    let (code, text) = scene.run("printf '{\"serial\": 1, \"resour' > errored.tfstate; exit 1");
    assert_eq!(code, Some(1), "{text}");
    for piece in [
        "only a part of it was left in",
        "saved only a part of the state, at s3://",
        "save it from the log as errored.tfstate",
    ] {
        assert!(text.contains(piece), "no {piece} in\n{text}");
    }
    assert!(!text.contains("rescued to"), "{text}");
    assert_eq!(copies(&scene), ["{\"serial\": 1, \"resour"]);
}

/// Where Terraform could leave no file, a failed command may have lost a state: nobody else comes in.
#[test]
fn a_failed_call_that_could_leave_its_state_nowhere_keeps_the_lock() {
    let scene = Scene::new("nowhere");
    let fails = "mkdir -p errored.tfstate; terraform init -no-color >&2; terraform apply -auto-approve -no-color -target=none >&2";
    let (code, text) = scene.run(fails);
    assert_eq!(code, Some(1), "{text}");
    for piece in [
        "Terraform can leave no errored.tfstate in",
        "save it from the log as errored.tfstate",
        "is kept, so that nothing else runs",
    ] {
        assert!(text.contains(piece), "no {piece} in\n{text}");
    }
    assert_eq!(scene.state.lock().unwrap()["Phase"]["S"], "needs-repair");
    let id = scene.state.holder().unwrap()["ID"]
        .as_str()
        .unwrap()
        .to_owned();
    ends(
        &scene.state,
        &scene.job,
        &["force-unlock", "--lock-id", &id],
        0,
        &[],
    );
    // A call that did not begin left nothing either.
    let (code, text) = scene.run("terraform apply -lock=true -auto-approve -no-color >&2");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("terraform was not started"), "{text}");
    assert_eq!(scene.state.lock(), None, "{text}");
    // A plan writes no state, and a folder that can be written to is as ever.
    let (code, text) = scene.run("terraform plan -no-color -target=none >&2");
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(scene.state.lock(), None, "{text}");
}

//! Builds of small buildspecs in real shells.

use std::path::Path;

use super::Status::{Failed, Succeeded, TimedOut};
use super::*;
use crate::codebuild::Variable;

/// What a build left.
struct Left {
    phases: Vec<(Phase, Status)>,
    exported: Variables,
    log: String,
}

impl Left {
    /// What the commands themselves showed.
    fn output(&self) -> Vec<&str> {
        self.log
            .lines()
            .filter(|line| !line.starts_with("[Container]"))
            .collect()
    }

    fn statuses(&self) -> Vec<Status> {
        self.phases
            .iter()
            .skip(1)
            .map(|(_, status)| *status)
            .collect()
    }
}

fn build_within(buildspec: &str, stored: &[(&str, &str)], timeout: Duration) -> Left {
    let spec = Spec::parse(buildspec).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Variables::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let mut given = Given::new();
    for (name, value) in stored {
        environment.insert((*name).to_owned(), (*value).to_owned());
        given.insert((*name).to_owned(), Variable::Secret("secret".to_owned()));
    }
    let mut show = |_: &str| {};
    let mut log = Log::new(&mut show).unwrap();
    log.hide(
        &stored
            .iter()
            .map(|(_, value)| (*value).to_owned())
            .collect::<Vec<_>>(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (phases, exported) = runtime
        .block_on(async {
            let mut container =
                Container::start(folder.path(), spec.shell, environment, Path::new("/")).unwrap();
            execute(&spec, &given, &mut container, &mut log, timeout).await
        })
        .unwrap();
    Left {
        phases,
        exported,
        log: log.text,
    }
}

fn build(buildspec: &str) -> Left {
    build_within(buildspec, &[], Duration::from_secs(300))
}

/// A buildspec whose four phases each say their name, with something more for one of them.
fn four(phase: &str, more: &str) -> String {
    let mut text = "version: 0.2\nphases:\n".to_owned();
    for name in ["install", "pre_build", "build", "post_build"] {
        text.push_str(&format!(
            "  {name}:\n    commands:\n      - echo {name} $CODEBUILD_BUILD_SUCCEEDING\n"
        ));
        if name == phase {
            text.push_str(more);
        }
    }
    text
}

#[test]
fn a_good_build_goes_through_all_phases() {
    let left = build(&four("", ""));
    assert_eq!(
        left.output(),
        ["install 1", "pre_build 1", "build 1", "post_build 1"]
    );
    assert_eq!(left.statuses(), [Succeeded; 4]);
}

#[test]
fn a_phase_without_commands_is_entered_and_succeeds() {
    let left = build("version: 0.2\nphases:\n  build:\n    commands: [echo b]\n");
    assert_eq!(left.statuses(), [Succeeded; 4]);
    assert_eq!(left.output(), ["b"]);
}

#[test]
fn post_build_runs_after_a_failed_build_and_knows_of_it() {
    let left = build(&four("build", "      - exit 3\n      - echo never\n"));
    assert_eq!(
        left.output(),
        ["install 1", "pre_build 1", "build 1", "post_build 0"]
    );
    assert_eq!(left.statuses(), [Succeeded, Succeeded, Failed, Succeeded]);
    assert!(
        left.log.contains("Phase complete: BUILD State: FAILED"),
        "{}",
        left.log
    );
    assert!(
        left.log
            .contains("Error while executing command: exit 3. Reason: exit status 3"),
        "{}",
        left.log
    );
}

#[test]
fn a_failed_install_or_pre_build_ends_the_build() {
    assert_eq!(
        build(&four("install", "      - 'false'\n")).statuses(),
        [Failed]
    );
    assert_eq!(
        build(&four("pre_build", "      - 'false'\n")).statuses(),
        [Succeeded, Failed]
    );
}

#[test]
fn on_failure_goes_before_the_usual_transitions() {
    let left = build(&four("build", "      - 'false'\n    on-failure: ABORT\n"));
    assert_eq!(left.statuses(), [Succeeded, Succeeded, Failed]);
    let left = build(&four(
        "pre_build",
        "      - 'false'\n    on-failure: CONTINUE\n",
    ));
    assert_eq!(left.statuses(), [Succeeded, Failed, Succeeded, Succeeded]);
    assert_eq!(
        left.output(),
        ["install 1", "pre_build 1", "build 0", "post_build 0"]
    );
}

#[test]
fn finally_runs_after_a_failure_and_its_own_failure_fails_the_phase() {
    let left = build(&four(
        "build",
        "      - 'false'\n      - echo never\n    finally:\n      - echo finally\n",
    ));
    assert_eq!(
        left.output(),
        [
            "install 1",
            "pre_build 1",
            "build 1",
            "finally",
            "post_build 0"
        ]
    );
    let left = build(&four(
        "pre_build",
        "    on-failure: ABORT\n    finally: [echo one, 'false', echo never]\n",
    ));
    assert_eq!(left.output(), ["install 1", "pre_build 1", "one"]);
    assert_eq!(left.statuses(), [Succeeded, Failed]);
}

#[test]
fn variables_and_folder_persist_over_phases() {
    let left = build(
        "version: 0.2\nenv: {shell: bash}\nphases:\n  install:\n    commands: [A=a, cd /usr]\n  build:\n    commands:\n      \
         - export B=b$A\n      - 'false'\n  post_build:\n    commands: ['echo $A $B $PWD']\n",
    );
    assert_eq!(left.output(), ["a ba /usr"]);
}

#[test]
fn exported_variables_hold_what_post_build_left_and_no_secret() {
    let left = build_within(
        "version: 0.2\nenv: {exported-variables: [TAG, TOKEN, AWS_THING, NEVER]}\nphases:\n  build:\n    commands:\n      \
         - export TAG=one AWS_THING=x\n  post_build:\n    commands: [TAG=two]\n",
        &[("TOKEN", "hunter2")],
        Duration::from_secs(300),
    );
    assert_eq!(
        left.exported,
        Variables::from([("TAG".to_owned(), "two".to_owned())])
    );
    for name in ["TOKEN", "AWS_THING", "NEVER"] {
        assert!(
            left.log.contains(&format!("{name} is not exported")),
            "{}",
            left.log
        );
    }
}

#[test]
fn a_stored_value_shows_nowhere_in_the_log() {
    let left = build_within(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"it is $TOKEN\"; echo \"$TOKEN\" >&2; env\n",
        &[("TOKEN", "hunter2")],
        Duration::from_secs(300),
    );
    assert!(!left.log.contains("hunter2"), "{}", left.log);
    assert_eq!(left.output()[..2], ["it is ***", "***"]);
}

#[test]
fn a_build_that_hangs_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let began = std::time::Instant::now();
    let left = build_within(
        &format!(
            "version: 0.2\nphases:\n  build:\n    commands:\n      - sleep 6000 & echo $! > {}; wait\n    finally: [echo never]\n  \
             post_build:\n    commands: [echo never]\n",
            file.display()
        ),
        &[],
        Duration::from_secs(15),
    );
    assert_eq!(left.statuses(), [Succeeded, Succeeded, TimedOut]);
    assert_eq!(left.output(), Vec::<&str>::new());
    assert!(left.log.contains("BUILD_TIMED_OUT"), "{}", left.log);
    let pid = std::fs::read_to_string(&file).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "the child outlived the build"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

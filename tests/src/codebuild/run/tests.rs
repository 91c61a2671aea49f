//! Builds of small buildspecs in real shells.

use std::path::Path;

use super::Status::{Failed, Succeeded, TimedOut};
use super::*;
use crate::codebuild::Variable;

/// The results of a build.
struct BuildResult {
    phases: Vec<(Phase, Status)>,
    exported: Variables,
    log: String,
}

impl BuildResult {
    /// The output of the commands themselves.
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

fn build_within(buildspec: &str, stored: &[(&str, &str)], timeout: Duration) -> BuildResult {
    let mut environment = Variables::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let mut given = Given::new();
    for (name, value) in stored {
        environment.insert((*name).to_owned(), (*value).to_owned());
        given.insert((*name).to_owned(), Variable::Secret("secret".to_owned()));
    }
    let hidden: Vec<String> = stored
        .iter()
        .map(|(_, value)| (*value).to_owned())
        .collect();
    build_in(buildspec, environment, &given, &hidden, timeout)
}

fn build_in(
    buildspec: &str,
    environment: Variables,
    given: &Given,
    hidden: &[String],
    timeout: Duration,
) -> BuildResult {
    let spec = Spec::parse(buildspec).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut show = |_: &str| {};
    let mut log = Log::new(&mut show).unwrap();
    log.hide(hidden);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (phases, exported) = runtime
        .block_on(async {
            let mut container =
                Container::start(folder.path(), spec.shell, environment, Path::new("/")).unwrap();
            execute(&spec, given, &mut container, &mut log, timeout).await
        })
        .unwrap();
    BuildResult {
        phases,
        exported,
        log: log.text,
    }
}

fn build(buildspec: &str) -> BuildResult {
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
    let result = build(&four("", ""));
    assert_eq!(
        result.output(),
        ["install 1", "pre_build 1", "build 1", "post_build 1"]
    );
    assert_eq!(result.statuses(), [Succeeded; 4]);
}

#[test]
fn a_phase_without_commands_is_entered_and_succeeds() {
    let result = build("version: 0.2\nphases:\n  build:\n    commands: [echo b]\n");
    assert_eq!(result.statuses(), [Succeeded; 4]);
    assert_eq!(result.output(), ["b"]);
}

#[test]
fn post_build_runs_after_a_failed_build_and_knows_of_it() {
    let result = build(&four("build", "      - exit 3\n      - echo never\n"));
    assert_eq!(
        result.output(),
        ["install 1", "pre_build 1", "build 1", "post_build 0"]
    );
    assert_eq!(result.statuses(), [Succeeded, Succeeded, Failed, Succeeded]);
    assert!(
        result.log.contains("Phase complete: BUILD State: FAILED"),
        "{}",
        result.log
    );
    assert!(
        result
            .log
            .contains("Error while executing command: exit 3. Reason: exit status 3"),
        "{}",
        result.log
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
    let result = build(&four("build", "      - 'false'\n    on-failure: ABORT\n"));
    assert_eq!(result.statuses(), [Succeeded, Succeeded, Failed]);
    let result = build(&four(
        "pre_build",
        "      - 'false'\n    on-failure: CONTINUE\n",
    ));
    assert_eq!(result.statuses(), [Succeeded, Failed, Succeeded, Succeeded]);
    assert_eq!(
        result.output(),
        ["install 1", "pre_build 1", "build 0", "post_build 0"]
    );
}

#[test]
fn finally_runs_after_a_failure_and_its_own_failure_fails_the_phase() {
    let result = build(&four(
        "build",
        "      - 'false'\n      - echo never\n    finally:\n      - echo finally\n",
    ));
    assert_eq!(
        result.output(),
        [
            "install 1",
            "pre_build 1",
            "build 1",
            "finally",
            "post_build 0"
        ]
    );
    let result = build(&four(
        "pre_build",
        "    on-failure: ABORT\n    finally: [echo one, 'false', echo never]\n",
    ));
    assert_eq!(result.output(), ["install 1", "pre_build 1", "one"]);
    assert_eq!(result.statuses(), [Succeeded, Failed]);
}

#[test]
fn variables_and_folder_persist_over_phases() {
    let result = build(
        "version: 0.2\nenv: {shell: bash}\nphases:\n  install:\n    commands: [A=a, cd /usr]\n  build:\n    commands:\n      \
         - export B=b$A\n      - 'false'\n  post_build:\n    commands: ['echo $A $B $PWD']\n",
    );
    assert_eq!(result.output(), ["a ba /usr"]);
}

#[test]
fn exported_variables_hold_what_post_build_left_and_no_secret() {
    let result = build_within(
        "version: 0.2\nenv: {exported-variables: [TAG, TOKEN, AWS_THING, NEVER]}\nphases:\n  build:\n    commands:\n      \
         - export TAG=one AWS_THING=x\n  post_build:\n    commands: [TAG=two]\n",
        &[("TOKEN", "hunter2")],
        Duration::from_secs(300),
    );
    assert_eq!(
        result.exported,
        Variables::from([("TAG".to_owned(), "two".to_owned())])
    );
    for name in ["TOKEN", "AWS_THING", "NEVER"] {
        assert!(
            result.log.contains(&format!("{name} is not exported")),
            "{}",
            result.log
        );
    }
}

#[test]
fn a_stored_value_shows_nowhere_in_the_log() {
    let result = build_within(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"it is $TOKEN\"; echo \"$TOKEN\" >&2; env\n",
        &[("TOKEN", "hunter2")],
        Duration::from_secs(300),
    );
    assert!(!result.log.contains("hunter2"), "{}", result.log);
    assert_eq!(result.output()[..2], ["it is ***", "***"]);
}

#[test]
fn a_build_that_hangs_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let began = std::time::Instant::now();
    let result = build_within(
        &format!(
            "version: 0.2\nphases:\n  build:\n    commands:\n      - sleep 6000 & echo $! > {}; wait\n    finally: [echo never]\n  \
             post_build:\n    commands: [echo never]\n",
            file.display()
        ),
        &[],
        Duration::from_secs(15),
    );
    assert_eq!(result.statuses(), [Succeeded, Succeeded, TimedOut]);
    assert_eq!(result.output(), Vec::<&str>::new());
    assert!(result.log.contains("BUILD_TIMED_OUT"), "{}", result.log);
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

/// A build of one of the shipped buildspecs, with programs that print how they are called in place of the steps.
fn shipped(buildspec: &str, variables: &[(&str, &str)], failing: &str) -> BuildResult {
    let folder = tempfile::tempdir().unwrap();
    for program in [
        "slipway-contract",
        "slipway-identity",
        "slipway-promote",
        "slipway-secrets",
        "slipway-service",
        "slipway-state",
    ] {
        let status = i32::from(program == failing);
        // How a deployment ended is what ENDED says, and of which digest it was OF.
        let output = match program {
            "slipway-service" => {
                "[ -z \"$ENDED\" ] || echo \"export SERVICE_VERDICT='$ENDED' SERVICE_DIGEST='$OF'\" >>\"$SLIPWAY_OUTPUT\"\n"
            }
            _ => "",
        };
        let script = format!("#!/bin/sh\necho \"{program} $*\"\n{output}exit {status}\n");
        step_job::program(&folder.path().join(program), &script);
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../buildspecs");
    let text = std::fs::read_to_string(own.join(buildspec)).unwrap();
    let start: Given = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Variable::Plain((*value).to_owned())))
        .collect();
    let spec = Spec::parse(&text).unwrap();
    let given = layered(&spec.variables, &Given::new(), &start).unwrap();
    let mut environment = Variables::from([
        (
            "PATH".to_owned(),
            format!("{}:/usr/bin:/bin", folder.path().display()),
        ),
        (
            "CODEBUILD_RESOLVED_SOURCE_VERSION".to_owned(),
            "c".repeat(40),
        ),
    ]);
    for (name, variable) in &given {
        if let Variable::Plain(value) = variable {
            environment.insert(name.clone(), value.clone());
        }
    }
    build_in(&text, environment, &given, &[], Duration::from_secs(300))
}

/// How the steps of a shipped buildspec were called. The text of a long command is indented.
fn calls(result: &BuildResult) -> Vec<&str> {
    let lines = result.output().into_iter().map(str::trim_end);
    lines.filter(|line| line.starts_with("slipway-")).collect()
}

/// Returns true if the build ended before the first step ran, with these words.
fn refuses(result: &BuildResult, words: &str) -> bool {
    result.statuses() == [Succeeded, Failed]
        && result.output().contains(&words)
        && calls(result).is_empty()
}

#[test]
fn a_rollback_is_true_or_false_and_nothing_else() {
    for wrong in ["True", "yes", "1", " true", "--rollback"] {
        for buildspec in ["gate.yml", "infrastructure.yml"] {
            let result = shipped(buildspec, &[("ROLLBACK", wrong)], "");
            let words = "ROLLBACK must be true or false";
            assert!(
                refuses(&result, words),
                "{buildspec}: {wrong}: {}",
                result.log
            );
        }
    }
    for (given, wanted) in [
        ("true", "slipway-promote grant --rollback"),
        ("false", "slipway-promote grant"),
        ("", "slipway-promote grant"),
    ] {
        // A project's variable with another name does not become an argument.
        let result = shipped("gate.yml", &[("ROLLBACK", given), ("WAY", "--dry-run")], "");
        assert_eq!(calls(&result).last(), Some(&wanted), "{given:?}");
    }
    // It leaves the infrastructure as it is, whatever plan the pipeline names.
    for plan in ["new", &"a".repeat(64)] {
        let result = shipped("gate.yml", &[("ROLLBACK", "true"), ("PLAN", plan)], "");
        let wanted = "slipway-promote grant --rollback";
        assert_eq!(calls(&result).last(), Some(&wanted), "{plan}");
    }
    let commit = "c".repeat(40);
    let result = shipped("infrastructure.yml", &[("ROLLBACK", "true")], "");
    let kept = "a rollback leaves the infrastructure as it is";
    assert_eq!(result.output().last(), Some(&kept));
    assert!(calls(&result).is_empty(), "{}", result.log);
    for promoting in ["false", ""] {
        let variables = [("ROLLBACK", promoting), ("IMAGE_COMMIT", commit.as_str())];
        let result = shipped("infrastructure.yml", &variables, "");
        let steps: Vec<_> = calls(&result)
            .iter()
            .map(|call| call.split(' ').next())
            .collect();
        assert_eq!(steps, [Some("slipway-state"), Some("slipway-secrets")]);
    }
    let result = shipped("infrastructure.yml", &[], "");
    assert!(
        refuses(
            &result,
            "IMAGE_COMMIT must be given; build.yml and gate.yml export it"
        ),
        "{}",
        result.log
    );
}

#[test]
fn nothing_is_deployed_that_could_not_be_recorded() {
    let (digest, commit) = (("IMAGE_DIGEST", "sha256:a"), ("IMAGE_COMMIT", "c"));
    for given in [vec![], vec![digest], vec![commit, ("IMAGE_DIGEST", "")]] {
        let result = shipped("deploy.yml", &given, "");
        let words =
            "IMAGE_DIGEST and IMAGE_COMMIT must be given; build.yml and gate.yml export them";
        assert!(refuses(&result, words), "{given:?}: {}", result.log);
    }
    // How a deployment ended is not for the project to say.
    for (failing, ended, verdict) in [
        ("", "healthy", "healthy"),
        ("slipway-service", "rolled-back", "rolled-back"),
        ("slipway-service", "failed", "failed"),
        ("slipway-service", "", "failed"),
    ] {
        let (recorded_verdict, ended) = (("SERVICE_VERDICT", "healthy"), ("ENDED", ended));
        let given = [digest, commit, recorded_verdict, ended, ("PERMIT", "7")];
        let result = shipped("deploy.yml", &given, failing);
        let recorded = format!(
            "slipway-promote record --digest sha256:a --commit c --verdict {verdict} --permit 7"
        );
        assert_eq!(calls(&result).last(), Some(&recorded.as_str()), "{failing}");
    }
}

#[test]
fn a_paused_deployment_is_recorded_when_its_end_was_seen() {
    let result = shipped("continue.yml", &[("IMAGE_DIGEST", "sha256:a")], "");
    let words = "IMAGE_DIGEST and IMAGE_COMMIT must be given, as the build that deployed had them";
    assert!(refuses(&result, words), "{}", result.log);
    let record = |verdict: &str, permit: &str| {
        let record = "slipway-promote record --digest sha256:a --commit c";
        format!("{record} --verdict {verdict}{permit}")
    };
    let answers = "slipway-service continue --digest sha256:a --hook h --permit 7";
    let goes_back = "slipway-service rollback";
    for (rollback, ended, of, called, recorded) in [
        (
            "",
            "healthy",
            "sha256:a",
            answers,
            Some(record("healthy", " --permit 7")),
        ),
        (
            "",
            "failed",
            "sha256:a",
            answers,
            Some(record("failed", " --permit 7")),
        ),
        ("", "paused", "sha256:a", answers, None),
        ("", "", "", answers, None),
        (
            "true",
            "rolled-back",
            "sha256:a",
            goes_back,
            Some(record("rolled-back", "")),
        ),
        // It went back from another version, or had gone back before.
        ("true", "healthy", "sha256:b", goes_back, None),
        ("true", "", "", goes_back, None),
    ] {
        let given = [
            ("IMAGE_DIGEST", "sha256:a"),
            ("IMAGE_COMMIT", "c"),
            ("HOOK", "h"),
            ("PERMIT", "7"),
            ("ROLLBACK", rollback),
            ("ENDED", ended),
            ("OF", of),
        ];
        let result = shipped("continue.yml", &given, "");
        let calls = calls(&result);
        assert_eq!(calls.first(), Some(&called), "{}", result.log);
        assert_eq!(calls.get(1).copied(), recorded.as_deref(), "{}", result.log);
    }
}

#[test]
fn a_request_is_not_given_the_number_of_another() {
    for command in ["request", "review"] {
        let given = [("COMMAND", command), ("REQUEST", "5"), ("REASON", "why")];
        let result = shipped("approve.yml", &given, "");
        // The step has no such argument, and its error names the argument.
        let call = calls(&result)[0].to_owned();
        assert!(call.contains(" --request 5 "), "{call}");
    }
    let result = shipped("approve.yml", &[("COMMAND", "aprove")], "");
    let words = "COMMAND must be request, approve, reject, withdraw or review";
    assert!(result.output().contains(&words), "{}", result.log);
    assert!(calls(&result).is_empty() && result.statuses().contains(&Failed));
}

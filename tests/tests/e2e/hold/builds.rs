//! Locks of CodeBuild's builds, which have no post step: followed once CodeBuild says that the build is over, and not before.

use sandbox::codebuild::{self, Build, Ended, Given};

use super::*;

/// Runs a build of dev's stage whose commands these are.
fn build(state: &State, number: u64, commands: &[String]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "version: 0.2\nphases:\n  build:\n    commands:\n".to_owned();
    for command in commands {
        text.push_str(&format!("      - {}\n", json!(command)));
    }
    let buildspec = folder.path().join("buildspec.yml");
    std::fs::write(&buildspec, text).unwrap();
    let build = Build {
        project: "storefront-deploy-dev".to_owned(),
        number,
        stage: "dev".to_owned(),
        buildspec,
        folder: folder.path().to_owned(),
        version: "main".to_owned(),
        commit: None,
        initiator: "Releaser/ada".to_owned(),
        project_variables: Given::new(),
        start_variables: Given::new(),
        timeout: TIMEOUT,
    };
    std::fs::create_dir(build.source()).unwrap();
    wait(TIMEOUT, async {
        codebuild::run(instance(), state.world, &build, &mut |_| {}).await
    })
    .unwrap()
}

#[test]
fn a_builds_lock_is_broken_once_the_build_is_over_and_not_while_it_runs() {
    let state = State::new("builds");
    let shared = tempfile::tempdir().unwrap();
    let file = |name: &str| shared.path().join(name);
    let account = &state.world.environment("dev").unwrap().account.id;
    let about = format!(
        "--role arn:aws:iam::{account}:role/slipway-deploy --bucket {} --table {} --key {}",
        state.bucket(),
        state.table(),
        state.key
    );
    let holds = [
        format!("slipway-state lock {about}"),
        format!("touch '{}'", file("started").display()),
        format!(
            "until [ -e '{}' ]; do sleep 0.1; done",
            file("go").display()
        ),
    ];
    let got = file("got");
    let wants = [format!(
        "slipway-state run {about} --lock-timeout 0s -- touch '{}'",
        got.display()
    )];
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| build(&state, 1, &holds));
        until("a build holds the lock", DEADLINE, || {
            file("started").exists().then_some(())
        });
        let early = build(&state, 2, &wants);
        // Whatever was found, the other build is to end.
        std::fs::write(file("go"), "").unwrap();
        assert!(!early.success && !got.exists(), "{}", early.log);
        for piece in ["exit status 4", "is IN_PROGRESS"] {
            assert!(early.log.contains(piece), "no {piece} in\n{}", early.log);
        }
        let held = holder.join().unwrap();
        assert!(held.success, "{}", held.log);
    });
    assert_eq!(state.lock().unwrap()["Phase"]["S"], "kept");
    let late = build(&state, 3, &wants);
    assert!(late.success && got.exists(), "{}", late.log);
    for piece in ["took over the lock of", "is over: SUCCEEDED"] {
        assert!(late.log.contains(piece), "no {piece} in\n{}", late.log);
    }
    assert_eq!(state.lock(), None);
}

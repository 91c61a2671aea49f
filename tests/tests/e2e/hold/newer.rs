//! The same with the newer Terraform, all three ways of locking: refused both ways, and opened by force both ways.

use super::*;

/// A person's command, with the newer of the two Terraform versions.
fn newer(usual: &Command) -> Command {
    let mut command = Command::new(instance().bin().join("terraform-newer"));
    command
        .args(usual.get_args())
        .current_dir(usual.get_current_dir().unwrap())
        .env_clear();
    for (name, value) in usual.get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

#[test]
fn it_is_refused_while_we_hold_and_we_while_it_holds_and_each_can_be_forced() {
    for locking in ["dynamodb", "file", "both"] {
        let state = State::new(&format!("newer-{locking}"));
        let folder = state.infrastructure_locking(
            ": > holding; while [ ! -e go ]; do sleep 0.1; done",
            locking,
        );
        let terraform = |arguments: &[&str]| newer(&state.terraform(folder.path(), arguments));
        let version = Started::new(&mut terraform(&["version"])).end(DEADLINE);
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        assert!(version.contains("Terraform v1.15"), "{version}");

        // Ours, which its own force-unlock opens.
        let job = state.job();
        ends(&state, &job, &["lock", "--locking", locking], 0, &[]);
        let id = output(&job, "lock-id");
        let refused = Started::new(&mut terraform(&APPLY)).end(DEADLINE);
        let stderr = log(&refused);
        assert_eq!(refused.status.code(), Some(1), "{stderr}");
        for piece in [
            "Error acquiring the state lock",
            "actions/runs/4711/attempts/2",
            &id,
        ] {
            assert!(stderr.contains(piece), "no {piece} in\n{stderr}");
        }
        let forced = Started::new(&mut terraform(&["force-unlock", "-force", &id])).end(DEADLINE);
        assert!(forced.status.success(), "{forced:?}");
        ends(
            &state,
            &job,
            &["status", "--locking", locking],
            0,
            &["is free"],
        );

        // Its own, which ours opens by the ID that was seen.
        let apply = Started::new(&mut terraform(&APPLY));
        until("terraform applies", DEADLINE, || {
            folder.path().join("holding").exists().then_some(())
        });
        let waiting = [
            "run",
            "--locking",
            locking,
            "--lock-timeout",
            "0s",
            "--",
            "true",
        ];
        let stderr = ends(&state, &job, &waiting, 4, &["OperationTypeApply"]);
        let (_, rest) = stderr.split_once("force-unlock --lock-id ").unwrap();
        let id = rest.split_whitespace().next().unwrap();
        ends(
            &state,
            &job,
            &["force-unlock", "--locking", locking, "--lock-id", id],
            0,
            &["removed the lock of", id],
        );
        ends(
            &state,
            &job,
            &["status", "--locking", locking],
            0,
            &["is free"],
        );
        std::fs::write(folder.path().join("go"), "").unwrap();
        apply.end(DEADLINE);
    }
}

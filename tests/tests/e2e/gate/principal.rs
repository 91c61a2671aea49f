//! The person behind a session in AWS: the whole principal decides, not the name that a session has.

use super::{ALLOWED, Ended, Gate, ROLE, digest, ended};

#[test]
fn a_session_of_another_role_or_account_with_a_persons_name_is_not_that_person() {
    let gate = Gate::new("gate-principal");
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    let check = ["check", "--digest", &fix];
    let initiated = |initiator: &str, account: &str| -> Ended {
        let build = gate.world.arn(account, "codebuild", "build/promote:1");
        let mut command = gate.built("linus", "1", &check);
        ended(
            command
                .env("CODEBUILD_INITIATOR", initiator)
                .env("CODEBUILD_BUILD_ARN", build),
        )
    };
    let own = gate.world.build.id.as_str();
    let linus = "linus@acme.example";
    initiated(&format!("{ROLE}/{linus}"), own).is(0, &[ALLOWED]);
    for (initiator, account, expected) in [
        // A person who may assume any role at all can choose the session's name freely.
        (
            format!("Builders/{linus}"),
            own,
            format!(
                "does not list {}",
                gate.world.principal("Builders", "linus")
            ),
        ),
        (
            format!("{ROLE}/{linus}"),
            "999999999999",
            format!("arn:aws:sts::999999999999:assumed-role/{ROLE}/{linus}"),
        ),
        (linus.to_owned(), own, format!("iam::{own}:user/{linus}")),
        // The login itself, as a user's name.
        ("linus".to_owned(), own, format!("iam::{own}:user/linus")),
        (
            format!("codepipeline/{linus}"),
            own,
            format!("codepipeline/{linus} (CODEBUILD_INITIATOR) is not a person"),
        ),
        (
            format!("x/{ROLE}/{linus}"),
            own,
            "is not a person".to_owned(),
        ),
    ] {
        let refused = initiated(&initiator, account);
        refused.is(3, &[&expected]);
        assert!(refused.refusing().contains(&"promoter"), "{initiator}");
    }
    // At a terminal, where STS names the session, it is not in the gate's list either.
    let mut other = gate.command("linus", &check);
    let keys = crate::support::wait(
        crate::support::TIMEOUT,
        gate.world
            .codebuild_session(crate::support::instance(), "staging", linus),
    );
    let staging = gate.world.principal("slipway-codebuild-staging", "linus");
    let refused = ended(other.envs(keys.unwrap().variables()));
    refused.is(3, &[&format!("does not list {staging}")]);
    // An old contract, which names sessions alone, is refused and says what to write.
    gate.declare_among("  linus: [linus@acme.example]\n", "");
    gate.run("linus", &check).is(
        2,
        &[
            "`linus@acme.example` is not a principal in AWS",
            "the whole ARN",
        ],
    );
}

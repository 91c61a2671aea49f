//! The rules between the parts of a contract.

use super::*;
use expect_test::expect;

#[test]
fn a_chain_must_lead_somewhere() {
    assert_error(
        &with("").replace("follows: dev", "follows: deev"),
        expect![[r#"
            error: there is no environment `deev`
             --> delivery.yaml:6:42
              |
            6 |   live: {account: 222222222222, follows: deev}
              |                                          ^^^^
              |
              = hint: did you mean `dev`?

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        &with("").replace("\"111111111111\"", "\"111111111111\", follows: live"),
        expect![[r#"
            error: environments follow one another in a circle: dev → live → dev
             --> delivery.yaml:5:43
              |
            5 |   dev: {account: "111111111111", follows: live}
              |                                           ^^^^
              |
              = hint: the first environment of a chain follows none

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        &with("").replace("follows: dev", "follows: live"),
        expect![[r#"
        error: environments follow one another in a circle: live → live
         --> delivery.yaml:6:42
          |
        6 |   live: {account: 222222222222, follows: live}
          |                                          ^^^^
          |
          = hint: the first environment of a chain follows none

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

#[test]
fn environments_do_not_share_what_one_would_overwrite() {
    assert_error(
        &with("state: {key: terraform.tfstate, bucket: shared}\ndeploy: {cluster: one}\n")
            .replace("222222222222", "\"111111111111\""),
        expect![[r#"
            error: `dev` and `live` share one state
             --> delivery.yaml:6:3
              |
            5 |   dev: {account: "111111111111"}
              |   --- the other
            6 |   live: {account: "111111111111", follows: dev}
              |   ^^^^
              |
              = hint: put {environment} into `state.key`

            error: `dev` and `live` deploy to one ECS service
             --> delivery.yaml:6:3
              |
            5 |   dev: {account: "111111111111"}
              |   --- the other
            6 |   live: {account: "111111111111", follows: dev}
              |   ^^^^
              |
              = hint: put {environment} into `deploy.cluster` or `deploy.service`

            error: delivery.yaml is wrong: 2 mistakes"#]],
    );
    // The same names in two accounts are two things.
    resolved(
        &with("state: {key: terraform.tfstate}\ndeploy: {cluster: one}\n"),
        "dev",
    );
}

#[test]
fn a_function_stands_alone_and_has_its_alias() {
    assert_error(
        &with("deploy: {function: one, cluster: c}\n"),
        expect![[r#"
            error: `function` is given beside the names of an ECS service
             --> delivery.yaml:7:20
              |
            7 | deploy: {function: one, cluster: c}
              |                    ^^^
              |
              = hint: leave out `cluster`, `service` and `container`, or the function

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        &with("deploy: {alias: live}\n"),
        expect![[r#"
        error: `alias` is given, and no function
         --> delivery.yaml:7:17
          |
        7 | deploy: {alias: live}
          |                 ^^^^
          |
          = hint: name the function: `function: NAME`

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

#[test]
fn environments_do_not_share_a_permit_role() {
    let roles = |permit: &str| {
        with("").replacen(
            "build: {",
            &format!("build: {{roles: {{permit: {permit}}}, "),
            1,
        )
    };
    assert_error(
        &roles("recorder"),
        expect![[r#"
        error: `dev` and `live` share one permit role
         --> delivery.yaml:3:25
          |
        3 | build: {roles: {permit: recorder}, account: 012345678901, region: ca-central-1}
          |                         ^^^^^^^^
          |
          = hint: put {environment} into `build.roles.permit`

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
    resolved(&roles("\"recorder-{environment}\""), "dev");
}

#[test]
fn a_role_of_another_account_is_refused() {
    let text = with("").replace(
        "follows: dev",
        "follows: dev, roles: {deploy: \"arn:aws:iam::111111111111:role/ship\"}",
    );
    let error = parse(path(), &text).unwrap_err();
    assert_eq!(
        error.locations[0].message,
        "this role is not in account 222222222222\nhint: a role's name is enough: its account is known"
    );
}

#[test]
fn a_key_of_another_account_is_refused() {
    let key = |account: &str| {
        with("").replace(
            "ca-central-1}",
            &format!(
                "ca-central-1, keys: {{ledger: \"arn:aws:kms:ca-central-1:{account}:key/1-2\"}}}}"
            ),
        )
    };
    let good = key("012345678901");
    assert!(good.contains("key/1-2"), "{good}");
    parse(path(), &good).unwrap();
    let error = parse(path(), &key("333333333333")).unwrap_err();
    assert_eq!(
        error.locations[0].message,
        "this key is not in account 012345678901 and region ca-central-1\nhint: a key's alias is enough: its account and region are known"
    );
}

#[test]
fn an_environment_that_is_not_there_is_guessed() {
    let error = storefront().resolve("prodction", &vars()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error: delivery.yaml has no environment `prodction`\n\nhint: did you mean `production`?"
    );
}

#[test]
fn an_environment_whose_permits_anothers_code_could_take_is_refused() {
    let text = with("").replace("live:", "dev-infrastructure:");
    assert_error(
        &text,
        expect![[r#"
        error: an environment cannot be named `dev-infrastructure`
         --> delivery.yaml:6:3
          |
        6 |   dev-infrastructure: {account: 222222222222, follows: dev}
          |   ^^^^^^^^^^^^^^^^^^
          |
          = hint: jobs that run the infrastructure code of `dev` name an environment of this name, and the role of its permits would trust them

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

#[test]
fn names_that_collide_with_what_the_steps_store_are_refused() {
    let text = with("state: {bucket: b0b, key: \"{environment}-md5\"}\n")
        .replace("service: shop", "service: content");
    assert_error(
        &text,
        expect![[r#"
        error: a service cannot be named `content`
         --> delivery.yaml:2:10
          |
        2 | service: content
          |          ^^^^^^^
          |
          = hint: the role that builds images may write every key of the ledger that begins with `content#`

        error: "dev-md5" cannot be the key of a state
         --> delivery.yaml:7:27
          |
        7 | state: {bucket: b0b, key: "{environment}-md5"}
          |                           ^^^^^^^^^^^^^^^^^^^
          |
          = hint: Terraform stores the digest of another state under a key that ends with `-md5`

        error: "live-md5" cannot be the key of a state
         --> delivery.yaml:7:27
          |
        7 | state: {bucket: b0b, key: "{environment}-md5"}
          |                           ^^^^^^^^^^^^^^^^^^^
          |
          = hint: Terraform stores the digest of another state under a key that ends with `-md5`

        error: delivery.yaml is wrong: 3 mistakes"#]],
    );
}

#[test]
fn a_table_in_another_account_needs_a_role_of_that_account() {
    let state = |more: &str| {
        with(&format!(
            "state: {{bucket: states, account: 111111111111, {more}}}\n"
        ))
    };
    let error = parse(path(), &state("table: locks")).unwrap_err();
    let messages: Vec<&str> = error
        .locations
        .iter()
        .map(|location| location.message.lines().next().unwrap())
        .collect();
    // It is dev's own account, and not live's.
    assert_eq!(
        messages,
        ["a lock table in another account needs `state.roles`"]
    );
    for fine in [
        "key: \"{environment}\"",
        "table: locks, roles: {read: a, deploy: b}",
    ] {
        parse(path(), &state(fine)).unwrap();
    }
    // An account that is not known yet is not another one.
    let unknown = "state: {bucket: states, account: var:STATES, table: locks}\n";
    parse(path(), &with(unknown)).unwrap();
}

#[test]
fn environments_with_one_state_in_one_account_are_refused() {
    let shared = with("state: {bucket: states, key: one, account: 012345678901}\n");
    let error = parse(path(), &shared).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`dev` and `live` share one state"),
        "{error}"
    );
}

#[test]
fn encryption_that_contradicts_itself_is_refused() {
    let key = "0d1f5c2e-8a4b-4c1d-9e55-3b7a60c2f914";
    for (more, message) in [
        (
            format!("encrypt: false, kms-key-id: {key}"),
            "`encrypt` is off, and `kms-key-id` names a key",
        ),
        (
            "kms-key-id: alias/states".to_owned(),
            "`alias/states` is not a KMS key",
        ),
        (
            "roles: {deploy: a}".to_owned(),
            "`state.roles` has no `read`",
        ),
    ] {
        let text = with(&format!("state: {{bucket: states, {more}}}\n"));
        let error = parse(path(), &text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

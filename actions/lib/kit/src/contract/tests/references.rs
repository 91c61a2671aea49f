//! Variables, secrets and accounts that a contract refers to.

use super::*;
use expect_test::expect;

#[test]
fn values_of_variables_are_checked_against_their_types() {
    assert_error(
        &with(
            "variables:\n  a: {type: cidr, default: 10.20.3.0/16}\n  b: {type: integer}\n  \
             c: {type: enum, value: x}\n  d: {type: pattern, pattern: \"(\", value: x}\n  \
             e: {type: strng, value: x}\n",
        ),
        expect![[r#"
            error: `10.20.3.0/16` is not a network
             --> delivery.yaml:8:28
              |
            8 |   a: {type: cidr, default: 10.20.3.0/16}
              |                            ^^^^^^^^^^^^
              |
              = hint: the network that holds this address is 10.20.0.0/16

            error: `b` has no value for dev, live
             --> delivery.yaml:9:3
              |
            9 |   b: {type: integer}
              |   ^
              |
              = hint: add `value:`, `default:`, or one for each under `environments:`

            error: type enum needs `values`
              --> delivery.yaml:10:3
               |
            10 |   c: {type: enum, value: x}
               |   ^
               |
               = hint: add `values: [small, large]`

            error: this is not a regular expression
              --> delivery.yaml:11:31
               |
            11 |   d: {type: pattern, pattern: "(", value: x}
               |                               ^^^
               |
               = hint: found open group without closing ')'

            error: `variables.e.type` cannot be `strng`
              --> delivery.yaml:12:13
               |
            12 |   e: {type: strng, value: x}
               |             ^^^^^
               |
               = hint: did you mean `string`?

            error: delivery.yaml is wrong: 5 mistakes"#]],
    );
}

#[test]
fn values_for_environments_defaults_and_placeholders_are_checked() {
    assert_error(
        &with(
            "variables:\n  f: {type: port, default: 99999, environments: {dev: 80, liv: 81}}\n  \
             g: {type: string, value: x, default: y}\n  h: {type: domain, value: \"{stage}.x.example\"}\n",
        ),
        expect![[r#"
            error: `99999` is not a port
             --> delivery.yaml:8:28
              |
            8 |   f: {type: port, default: 99999, environments: {dev: 80, liv: 81}}
              |                            ^^^^^
              |
              = hint: 1 to 65535

            error: there is no environment `liv`
             --> delivery.yaml:8:59
              |
            8 |   f: {type: port, default: 99999, environments: {dev: 80, liv: 81}}
              |                                                           ^^^
              |
              = hint: did you mean `live`?

            error: this default is never used
             --> delivery.yaml:9:40
              |
            9 |   g: {type: string, value: x, default: y}
              |                            -           ^
              |                            |
              |                            this is always there
              |
              = hint: `default` stands in for a `var:NAME` that is not set; keep one of the two

            error: there is no placeholder {stage}
              --> delivery.yaml:10:28
               |
            10 |   h: {type: domain, value: "{stage}.x.example"}
               |                            ^^^^^^^^^^^^^^^^^^^
               |
               = hint: here: {service}, {environment}, {account}, {region}; write {{ for a brace itself

            error: delivery.yaml is wrong: 4 mistakes"#]],
    );
}

#[test]
fn names_of_variables_are_valid_and_free() {
    assert_error(
        &with(
            "variables:\n  1x: {type: string, value: x}\n  region: {type: region, value: eu-west-1}\n",
        ),
        expect![[r#"
            error: `1x` is not a variable name
             --> delivery.yaml:8:3
              |
            8 |   1x: {type: string, value: x}
              |   ^^
              |
              = hint: letters, digits and underscores, not beginning with a digit

            error: `region` is set for every infrastructure run anyway
             --> delivery.yaml:9:3
              |
            9 |   region: {type: region, value: eu-west-1}
              |   ^^^^^^
              |
              = hint: give this variable another name, or remove it

            error: delivery.yaml is wrong: 2 mistakes"#]],
    );
}

#[test]
fn a_secret_names_a_source_and_is_never_repeated() {
    let text = with(
        "secrets:\n  A: hunter2\n  B: \"ssm:\"\n  C: var:C\n  PATH: env:PATH\n  E: ssm:/a b\n",
    );
    assert_error(
        &text,
        expect![[r#"
        error: this does not say where the secret comes from
         --> delivery.yaml:8:6
          |
        8 |   A: *******
          |      ^^^^^^^
          |
          = hint: write ssm:NAME, secretsmanager:NAME, secretsmanager:NAME#KEY or env:NAME

        error: the name after the colon is missing
         --> delivery.yaml:9:6
          |
        9 |   B: ******
          |      ^^^^^^
          |
          = hint: write ssm:NAME, secretsmanager:NAME, secretsmanager:NAME#KEY or env:NAME

        error: a repository variable is readable by everybody and holds no secret
          --> delivery.yaml:10:6
           |
        10 |   C: *****
           |      ^^^^^
           |
           = hint: write ssm:NAME, secretsmanager:NAME, secretsmanager:NAME#KEY or env:NAME

        error: `PATH` steers the shell or the runner and can hold no secret
          --> delivery.yaml:11:3
           |
        11 |   PATH: env:PATH
           |   ^^^^
           |
           = hint: give the secret another name

        error: nothing in AWS can have this name
          --> delivery.yaml:12:6
           |
        12 |   E: ssm:/a b
           |      ^^^^^^^^
           |
           = hint: parameter names are letters, digits and `_.-/`, with `:VERSION` or `:LABEL` at the end, or a whole ARN

        error: delivery.yaml is wrong: 5 mistakes"#]],
    );
    for text in [
        text,
        with("secrets:\n  A: hunter2: x\n"),
        with("secrets:\n  1A: hunter2\n"),
        with("secrets: {A: {value: hunter2}}\n"),
        with("secrets:\n  A: 1\n  A: hunter2\n"),
        with("secrets:\n  A: |\n    key\n    hunter2\n  B: {from: env:hunter2!}\n"),
    ] {
        let error = parse(path(), &text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn a_secret_names_sinks_that_can_take_it() {
    assert_error(
        &with("secrets:\n  D: {from: env:D, to: [task, task, disc]}\n  F: {to: []}\n"),
        expect![[r#"
            error: a task cannot refer to a variable of this process
             --> delivery.yaml:8:25
              |
            8 |   D: {from: env:D, to: [task, task, ****]}
              |                         ^^^^
              |
              = hint: keep the value in SSM or Secrets Manager, or remove `task`

            error: this is named twice
             --> delivery.yaml:8:31
              |
            8 |   D: {from: env:D, to: [task, task, ****]}
              |                         ----  ^^^^
              |                         |
              |                         first here

            error: a task cannot refer to a variable of this process
             --> delivery.yaml:8:31
              |
            8 |   D: {from: env:D, to: [task, task, ****]}
              |                               ^^^^
              |
              = hint: keep the value in SSM or Secrets Manager, or remove `task`

            error: `secrets.D.to` cannot be `disc`
             --> delivery.yaml:8:37
              |
            8 |   D: {from: env:D, to: [task, task, ****]}
              |                                     ^^^^
              |
              = hint: one of task, exec, env, file

            error: `secrets.F` has no `from`
             --> delivery.yaml:9:3
              |
            9 |   F: {to: []}
              |   ^
              |
              = hint: add `from:`, such as `ssm:/{service}/{environment}/NAME`

            error: `to` is empty, so the secret can go to no sink
             --> delivery.yaml:9:3
              |
            9 |   F: {to: []}
              |   ^
              |
              = hint: name at least one of task, exec, env, file

            error: delivery.yaml is wrong: 6 mistakes"#]],
    );
}

#[test]
fn a_reference_that_leads_nowhere_is_shown_where_it_stands() {
    let env = Env::from([("DEV_ACCOUNT_ID", "12345"), ("TF_LOCK_TABLE", "x")]);
    let text = format!("{STOREFRONT}\nstate: {{ table: var:TF_LOCK_TABLE }}\n");
    cannot_resolve(
        &text,
        "dev",
        &env,
        expect![[r#"
            error: `BUILD_ACCOUNT_ID` is not set
             --> delivery.yaml:6:12
              |
            6 |   account: var:BUILD_ACCOUNT_ID # the sandbox makes its accounts up; write yours as numbers, so that a change takes a review
              |            ^^^^^^^^^^^^^^^^^^^^
              |
              = hint: set it as a repository variable or in the environment: BUILD_ACCOUNT_ID

            error: `LEDGER_ANCHOR_BUCKET` is not set
             --> delivery.yaml:9:21
              |
            9 |   anchor: { bucket: var:LEDGER_ANCHOR_BUCKET, prefix: slipway } # keeps each record's hash, and what each permit was granted on
              |                     ^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = hint: set it as a repository variable or in the environment: LEDGER_ANCHOR_BUCKET

            error: `state.bucket` is not given, and `TF_STATE_BUCKET` is not set
              --> delivery.yaml:13:3
               |
            13 |   dev:
               |   ^^^
               |
               = hint: set it as a repository variable or in the environment: TF_STATE_BUCKET_DEV or TF_STATE_BUCKET

            error: `12345` in `DEV_ACCOUNT_ID` is not an account ID
              --> delivery.yaml:14:14
               |
            14 |     account: var:DEV_ACCOUNT_ID
               |              ^^^^^^^^^^^^^^^^^^
               |
               = hint: an account ID has twelve digits; leading zeros count

            error: `x` in `TF_LOCK_TABLE` is not a table name
              --> delivery.yaml:42:17
               |
            42 | state: { table: var:TF_LOCK_TABLE }
               |                 ^^^^^^^^^^^^^^^^^
               |
               = hint: it must match ^[A-Za-z0-9_.-]{3,255}$

            error: delivery.yaml cannot be resolved for `dev`: 5 mistakes"#]],
    );
}

#[test]
fn in_a_workflow_the_hint_is_to_pass_the_variables() {
    let env = Env::from([("GITHUB_ACTIONS", "true")]);
    let error = storefront().resolve("dev", &env).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`SLIPWAY_VARS: ${{ toJSON(vars) }}`"),
        "{error}"
    );
}

#[test]
fn an_account_that_is_not_known_names_variable_and_environment() {
    let env = Env::from([
        ("DEV_ACCOUNT_ID", "012345678901"),
        ("STAGING_ACCOUNT_ID", "12"),
    ]);
    let error = storefront().accounts(&env).unwrap_err();
    assert_eq!(error.exit(), crate::Exit::Usage);
    expect![[r#"
        error: `12` in `STAGING_ACCOUNT_ID` is not an account ID
          --> delivery.yaml:16:14
           |
        16 |     account: var:STAGING_ACCOUNT_ID
           |              ^^^^^^^^^^^^^^^^^^^^^^
           |
           = hint: an account ID has twelve digits; leading zeros count

        error: `PRODUCTION_ACCOUNT_ID` is not set
          --> delivery.yaml:20:14
           |
        20 |     account: var:PRODUCTION_ACCOUNT_ID
           |              ^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = hint: set it as a repository variable or in the environment: PRODUCTION_ACCOUNT_ID_PRODUCTION or PRODUCTION_ACCOUNT_ID

        error: delivery.yaml gives no account for staging, production: 2 mistakes"#]].assert_eq(&error.to_string());
}

#[test]
fn publishing_names_the_variable_that_is_not_set() {
    let error = storefront().publishing(&Env::default()).unwrap_err();
    assert_eq!(error.exit(), crate::Exit::Usage);
    expect![[r#"
        error: `BUILD_ACCOUNT_ID` is not set
         --> delivery.yaml:6:12
          |
        6 |   account: var:BUILD_ACCOUNT_ID # the sandbox makes its accounts up; write yours as numbers, so that a change takes a review
          |            ^^^^^^^^^^^^^^^^^^^^
          |
          = hint: set it as a repository variable or in the environment: BUILD_ACCOUNT_ID

        error: `LEDGER_ANCHOR_BUCKET` is not set
         --> delivery.yaml:9:21
          |
        9 |   anchor: { bucket: var:LEDGER_ANCHOR_BUCKET, prefix: slipway } # keeps each record's hash, and what each permit was granted on
          |                     ^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: set it as a repository variable or in the environment: LEDGER_ANCHOR_BUCKET

        error: delivery.yaml does not say where to publish: 2 mistakes"#]]
    .assert_eq(&error.to_string());
}

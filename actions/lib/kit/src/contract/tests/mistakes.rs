//! The messages about wrong contracts, and their positions.

use super::*;
use expect_test::expect;

#[test]
fn every_mistake_is_shown_at_once_with_its_place() {
    says(
        "version: 1\r\nservice: ü X\r\nbuild:\r\n  acount: 123\r\n  region: {service}\r\n  \
         region: mars\r\nenvironments:\r\n",
        expect![[r#"
            error: `ü X` is not a service name
             --> delivery.yaml:2:10
              |
            2 | service: ü X
              |          ^^^
              |
              = hint: lower-case letters, digits and hyphens, beginning with a letter, at most 40

            error: `build` has no key `acount`
             --> delivery.yaml:4:3
              |
            4 |   acount: 123
              |   ^^^^^^
              |
              = hint: did you mean `account`?

            error: `build.region` must be text, and is a mapping
             --> delivery.yaml:5:11
              |
            5 |   region: {service}
              |           ^^^^^^^^^
              |
              = hint: put text that begins with `{` in quotes: "{service}"

            error: `region` is written twice
             --> delivery.yaml:6:3
              |
            5 |   region: {service}
              |   ------ first here
            6 |   region: mars
              |   ^^^^^^
              |
              = hint: keep one of them

            error: `environments` must be a mapping, and is nothing
             --> delivery.yaml:7:1
              |
            7 | environments:
              | ^^^^^^^^^^^^
              |
              = hint: give it a value, or remove the key

            error: delivery.yaml is wrong: 5 mistakes"#]],
    );
}

#[test]
fn text_that_is_not_yaml_is_explained() {
    says(
        "version: 1\nbuild:\n\taccount: x\n",
        expect![[r#"
        error: a tab cannot indent YAML
         --> delivery.yaml:3:1
          |
        3 |     account: x
          | ^^^^
          |
          = hint: indent with spaces

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
    says(
        "version: 1\nservice:\tx\n",
        expect![[r#"
        error: a tab stands here, which YAML does not take for a space
         --> delivery.yaml:2:9
          |
        2 | service:    x
          |         ^^^^
          |
          = hint: replace it with a space, or put the text in quotes if it belongs to it

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
    says(
        "version: 1\nservice:\u{a0}x\n",
        expect![[r#"
            error: a no-break space (U+00A0) stands here, which YAML does not take for a space
             --> delivery.yaml:2:9
              |
            2 | service: x
              |         ^
              |
              = hint: replace it with a space, or put the text in quotes if it belongs to it

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
    says(
        "version: 1\nsecrets:\n  T: ssm:/x\u{200b}\n",
        expect![[r#"
            error: an invisible character (U+200B) stands here, which YAML does not take for a space
            --> delivery.yaml:3:12
             = hint: replace it with a space, or put the text in quotes if it belongs to it

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
    says(
        "version: 1\n  service: x\n",
        expect![[r#"
        error: this is not YAML: mapping values are not allowed in this context
         --> delivery.yaml:2:10
          |
        2 |   service: x
          |          ^
          |
          = hint: keys of one mapping stand in one column, and a colon is followed by a space

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
    says(
        "version: 1\nbucket: {service}-x\n",
        expect![[r#"
        error: this is not YAML: while parsing a block mapping, did not find expected key
         --> delivery.yaml:2:18
          |
        2 | bucket: {service}-x
          |                  ^
          |
          = hint: put text that begins with `{` in quotes: "{service}-…"

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

#[test]
fn what_is_no_contract_is_refused() {
    for (text, message) in [
        ("", "the contract is empty"),
        ("# nothing\n", "the contract is empty"),
        ("- a\n", "the contract must be a mapping, and is a list"),
        ("a: &x 1\n", "anchors are not read in a contract"),
        ("a: !!str 1\n", "tags are not read in a contract"),
        ("a: 1\n---\nb: 1\n", "a second document begins here"),
        (
            &"[".repeat(10_000),
            "this is not YAML: recursion limit exceeded",
        ),
        (&"- ".repeat(10_000), "this is nested too deeply"),
    ] {
        let error = parse(path(), text).unwrap_err();
        assert_eq!(error.locations[0].message.lines().next(), Some(message));
    }
    let error = parse(path(), &" ".repeat(MAX_BYTES + 1)).unwrap_err();
    assert_eq!(error.message, "delivery.yaml is larger than 1 MiB");
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    assert!(parse(path(), &format!("\u{feff}{STOREFRONT}")).is_ok());
    let error = parse(path(), "\u{feff}verzion: 1\n").unwrap_err();
    assert!(
        error.locations.iter().any(
            |place| (place.line, place.column) == (1, 1) && place.message.contains("`verzion`")
        )
    );
}

#[test]
fn a_chain_must_lead_somewhere() {
    says(
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
    says(
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
    says(
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
    says(
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
fn variables_are_checked_before_anybody_asks_for_them() {
    says(
        &with(
            "variables:\n  a: {type: cidr, default: 10.20.3.0/16}\n  b: {type: integer}\n  \
             c: {type: enum, value: x}\n  d: {type: pattern, pattern: \"(\", value: x}\n  \
             e: {type: strng, value: x}\n  f: {type: port, default: 99999, environments: {dev: 80, liv: 81}}\n  \
             g: {type: string, value: x, default: y}\n  h: {type: domain, value: \"{stage}.x.example\"}\n  \
             1x: {type: string, value: x}\n  region: {type: region, value: eu-west-1}\n",
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

            error: `99999` is not a port
              --> delivery.yaml:13:28
               |
            13 |   f: {type: port, default: 99999, environments: {dev: 80, liv: 81}}
               |                            ^^^^^
               |
               = hint: 1 to 65535

            error: there is no environment `liv`
              --> delivery.yaml:13:59
               |
            13 |   f: {type: port, default: 99999, environments: {dev: 80, liv: 81}}
               |                                                           ^^^
               |
               = hint: did you mean `live`?

            error: this default is never used
              --> delivery.yaml:14:40
               |
            14 |   g: {type: string, value: x, default: y}
               |                            -           ^
               |                            |
               |                            this is always there
               |
               = hint: `default` stands in for a `var:NAME` that is not set; keep one of the two

            error: there is no placeholder {stage}
              --> delivery.yaml:15:28
               |
            15 |   h: {type: domain, value: "{stage}.x.example"}
               |                            ^^^^^^^^^^^^^^^^^^^
               |
               = hint: here: {service}, {environment}, {account}, {region}; write {{ for a brace itself

            error: `1x` is not a variable name
              --> delivery.yaml:16:3
               |
            16 |   1x: {type: string, value: x}
               |   ^^
               |
               = hint: letters, digits and underscores, not beginning with a digit

            error: `region` is handed to every infrastructure run anyway
              --> delivery.yaml:17:3
               |
            17 |   region: {type: region, value: eu-west-1}
               |   ^^^^^^
               |
               = hint: give this variable another name, or remove it

            error: delivery.yaml is wrong: 11 mistakes"#]],
    );
}

#[test]
fn a_secret_says_where_it_is_and_is_never_repeated() {
    let text = with(
        "secrets:\n  A: hunter2\n  B: \"ssm:\"\n  C: var:C\n  D: {from: env:D, to: [task, task, disc]}\n  \
         PATH: env:PATH\n  E: ssm:/a b\n  F: {to: []}\n",
    );
    says(
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

        error: a task cannot refer to a variable of this process
          --> delivery.yaml:11:25
           |
        11 |   D: {from: env:D, to: [task, task, ****]}
           |                         ^^^^
           |
           = hint: keep the value in SSM or Secrets Manager, or remove `task`

        error: this is named twice
          --> delivery.yaml:11:31
           |
        11 |   D: {from: env:D, to: [task, task, ****]}
           |                         ----  ^^^^
           |                         |
           |                         first here

        error: a task cannot refer to a variable of this process
          --> delivery.yaml:11:31
           |
        11 |   D: {from: env:D, to: [task, task, ****]}
           |                               ^^^^
           |
           = hint: keep the value in SSM or Secrets Manager, or remove `task`

        error: `secrets.D.to` cannot be `disc`
          --> delivery.yaml:11:37
           |
        11 |   D: {from: env:D, to: [task, task, ****]}
           |                                     ^^^^
           |
           = hint: one of task, exec, env, file

        error: `PATH` steers the shell or the runner and can hold no secret
          --> delivery.yaml:12:3
           |
        12 |   PATH: env:PATH
           |   ^^^^
           |
           = hint: give the secret another name

        error: nothing in AWS can have this name
          --> delivery.yaml:13:6
           |
        13 |   E: ssm:/a b
           |      ^^^^^^^^
           |
           = hint: parameter names are letters, digits and `_.-/`, with `:VERSION` or `:LABEL` at the end

        error: `secrets.F` has no `from`
          --> delivery.yaml:14:3
           |
        14 |   F: {to: []}
           |   ^
           |
           = hint: add `from:`, such as `ssm:/{service}/{environment}/NAME`

        error: `to` is empty: this secret could go nowhere
          --> delivery.yaml:14:3
           |
        14 |   F: {to: []}
           |   ^
           |
           = hint: name at least one of task, exec, env, file

        error: delivery.yaml is wrong: 11 mistakes"#]],
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
fn a_reference_that_leads_nowhere_is_shown_where_it_stands() {
    let env = Env::from([("DEV_ACCOUNT_ID", "12345"), ("TF_LOCK_TABLE", "x")]);
    cannot_resolve(
        STOREFRONT,
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

            error: `state.bucket` is not given, and `TF_STATE_BUCKET` is not set
              --> delivery.yaml:10:3
               |
            10 |   dev:
               |   ^^^
               |
               = hint: set it as a repository variable or in the environment: TF_STATE_BUCKET_DEV or TF_STATE_BUCKET

            error: `12345` in `DEV_ACCOUNT_ID` is not an account ID
              --> delivery.yaml:11:14
               |
            11 |     account: var:DEV_ACCOUNT_ID
               |              ^^^^^^^^^^^^^^^^^^
               |
               = hint: an account ID has twelve digits; leading zeros count

            error: `x` in `TF_LOCK_TABLE` is not a table name
              --> delivery.yaml:28:10
               |
            28 |   table: var:TF_LOCK_TABLE # without it the lock is the file beside the state, `use_lockfile`
               |          ^^^^^^^^^^^^^^^^^
               |
               = hint: it must match ^[A-Za-z0-9_.-]{3,255}$

            error: delivery.yaml cannot be resolved for `dev`: 4 mistakes"#]],
    );
}

#[test]
fn in_a_workflow_the_hint_is_to_hand_the_variables_over() {
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
fn an_environment_that_is_not_there_is_guessed() {
    let error = storefront().resolve("prodction", &vars()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error: delivery.yaml has no environment `prodction`\n\nhint: did you mean `production`?"
    );
}

#[test]
fn names_that_collide_with_what_the_steps_store_are_refused() {
    let text = with("state: {bucket: b0b, key: \"{environment}-md5\"}\n")
        .replace("service: shop", "service: content");
    says(
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
fn one_slip_is_one_mistake() {
    for (text, message) in [
        (
            with("  dev: {account: \"111111111111\"}\n"),
            "`dev` is written twice",
        ),
        (
            with("secrets: {A: {to: [task]}}\n"),
            "`secrets.A` has no `from`",
        ),
        (
            with("").replace("service: shop", "service: Shop"),
            "`Shop` is not a service name",
        ),
        (
            with("variables: {a: {type: cidr, value: \"{x}\"}}\n"),
            "there is no placeholder {x}",
        ),
        (
            with("  pre: {account: 333333333333, follows: live}\n")
                .replace("dev: {", "dev: {follows: live, "),
            "environments follow one another in a circle: dev → live → dev",
        ),
        (
            with("").replace("account: 012345678901", "account: [1]"),
            "`build.account` must be text, and is a list",
        ),
    ] {
        let error = parse(path(), &text).unwrap_err();
        assert_eq!(error.locations.len(), 1, "{error}");
        assert_eq!(error.locations[0].message.lines().next(), Some(message));
    }
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
          --> delivery.yaml:13:14
           |
        13 |     account: var:STAGING_ACCOUNT_ID
           |              ^^^^^^^^^^^^^^^^^^^^^^
           |
           = hint: an account ID has twelve digits; leading zeros count

        error: `PRODUCTION_ACCOUNT_ID` is not set
          --> delivery.yaml:16:14
           |
        16 |     account: var:PRODUCTION_ACCOUNT_ID
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

        error: delivery.yaml does not say where to publish: 1 mistake"#]]
    .assert_eq(&error.to_string());
}

//! The results of resolving correct contracts.

use super::*;
use expect_test::expect;

/// The parts of the storefront's resolved contract whose names are in `names`, or with `rest` all others.
fn production(names: &[&str], rest: bool) -> String {
    let mut resolved = serde_json::to_value(complete(STOREFRONT, "production")).unwrap();
    let all = resolved.as_object_mut().unwrap();
    all.retain(|name, _| names.contains(&name.as_str()) != rest);
    serde_json::to_string_pretty(&resolved).unwrap()
}

const SETTINGS: [&str; 4] = ["gate", "secrets", "state", "variables"];

#[test]
fn a_usual_contract_resolves_accounts_roles_and_names() {
    expect![[r#"
        {
          "service": "storefront",
          "environment": "production",
          "directory": ".",
          "follows": "staging",
          "account": "222222222222",
          "region": "ca-central-1",
          "roles": {
            "read": "arn:aws:iam::222222222222:role/slipway-read",
            "deploy": "arn:aws:iam::222222222222:role/slipway-deploy"
          },
          "permit": "arn:aws:iam::000000000001:role/slipway-permit-production",
          "build": {
            "account": "000000000001",
            "region": "ca-central-1",
            "read": "arn:aws:iam::000000000001:role/slipway-read",
            "publish": "arn:aws:iam::000000000001:role/slipway-publish",
            "ledger": "slipway-ledger",
            "keys": {
              "ledger": "alias/slipway-ledger",
              "provenance": "alias/slipway-provenance"
            },
            "anchor": {
              "bucket": "acme-ledger",
              "prefix": "slipway"
            },
            "workflow": ".github/workflows/deliver.yml"
          },
          "image": {
            "repository": "storefront",
            "context": ".",
            "dockerfile": "Dockerfile",
            "platforms": []
          },
          "deploy": {
            "cluster": "storefront-production",
            "service": "storefront",
            "container": "storefront",
            "function": null
          },
          "people": {},
          "apps": {},
          "allow_long_lived_keys": []
        }"#]]
    .assert_eq(&production(&SETTINGS, true));
}

#[test]
fn a_usual_contract_resolves_gate_secrets_state_and_variables() {
    expect![[r#"
        {
          "gate": {
            "required": true,
            "branch": "main",
            "approvals": 1,
            "checks": [
              "test@15368"
            ],
            "workflow": ".github/workflows/promote.yml"
          },
          "secrets": [
            {
              "name": "DATABASE_URL",
              "source": {
                "ssm": "/storefront/production/database-url"
              },
              "sinks": [
                "task",
                "exec"
              ],
              "required": true
            },
            {
              "name": "API_TOKEN",
              "source": {
                "secretsmanager": {
                  "id": "storefront/production/api",
                  "key": "token"
                }
              },
              "sinks": [
                "exec"
              ],
              "required": true
            }
          ],
          "state": {
            "directory": "infra",
            "bucket": "acme-state-production",
            "key": "storefront/production/terraform.tfstate",
            "table": null,
            "account": "222222222222",
            "region": "ca-central-1",
            "roles": null,
            "encrypt": false,
            "kms_key_id": null
          },
          "variables": {
            "domain": "production.storefront.example",
            "vpc_cidr": "10.40.0.0/16"
          }
        }"#]]
    .assert_eq(&production(&SETTINGS, false));
}

#[test]
fn the_chain_is_listed_in_order_however_it_is_written() {
    let text = with("").replace(
        "  dev:",
        "  pre: {account: 333333333333, follows: live}\n  lab: {account: 444444444444}\n  dev:",
    );
    let contract = parse(path(), &text).unwrap();
    let names: Vec<String> = contract
        .environments()
        .into_iter()
        .map(|one| one.environment)
        .collect();
    assert_eq!(names, ["lab", "dev", "live", "pre"]);
}

#[test]
fn an_account_keeps_its_zeros_with_and_without_quotes() {
    let dev = resolved(&with(""), "dev");
    assert_eq!(dev.build.account.as_str(), "012345678901");
    assert_eq!(dev.account.as_str(), "111111111111");
}

#[test]
fn an_environment_overrides_what_stands_at_the_top() {
    let text = with("state: {bucket: top, table: \"{service}-locks\"}\n").replace(
        "follows: dev",
        "follows: dev, region: eu-west-1, state: {bucket: \"b-{account}-{region}\", key: k}, \
         deploy: {cluster: shared}, roles: {deploy: team/ship, read: \"arn:aws:iam::222222222222:role/look\"}",
    );
    let Complete {
        resolved: live,
        state,
        ..
    } = complete(&text, "live");
    assert_eq!(live.region, "eu-west-1");
    assert_eq!(live.build.region, "ca-central-1");
    assert_eq!(state.bucket, "b-222222222222-eu-west-1");
    assert_eq!(
        (state.table.as_deref(), state.key.as_str()),
        (Some("shop-locks"), "k")
    );
    assert_eq!(live.deploy.cluster, "shared");
    assert_eq!(live.deploy.container, "shop");
    assert_eq!(
        live.roles.deploy,
        "arn:aws:iam::222222222222:role/team/ship"
    );
    assert_eq!(live.roles.read, "arn:aws:iam::222222222222:role/look");
    assert_eq!(complete(&text, "dev").state.bucket, "top");
}

#[test]
fn a_function_takes_the_place_of_the_service() {
    let text = with("deploy: {function: \"{service}-{environment}\"}\n")
        .replace("follows: dev", "follows: dev, deploy: {alias: stable}");
    let named = |environment: &str| {
        let function = resolved(&text, environment).deploy.function.unwrap();
        (function.name, function.alias)
    };
    let name = |function: &str, alias: &str| (function.to_owned(), alias.to_owned());
    assert_eq!(named("dev"), name("shop-dev", "live"));
    assert_eq!(named("live"), name("shop-live", "stable"));
    assert!(resolved(&with(""), "dev").deploy.function.is_none());
}

#[test]
fn a_role_is_in_the_partition_of_its_region() {
    let china = with("").replace("ca-central-1", "cn-north-1");
    assert_eq!(
        resolved(&china, "dev").roles.read,
        "arn:aws-cn:iam::111111111111:role/slipway-read"
    );
    let government = with("").replace("ca-central-1", "us-gov-west-1");
    assert_eq!(
        resolved(&government, "dev").permit,
        "arn:aws-us-gov:iam::012345678901:role/slipway-permit-dev"
    );
}

#[test]
fn an_environment_that_follows_another_is_gated_and_a_first_one_when_it_says_so() {
    let open = resolved(&with(""), "dev").gate;
    assert!(!open.required);
    let gate = resolved(&with(""), "live").gate;
    assert!(gate.required);
    assert_eq!((gate.approvals, gate.branch.as_str()), (1, "main"));
    let asked = with("").replace("\"111111111111\"", "\"111111111111\", gate: {approvals: 2}");
    let gate = resolved(&asked, "dev").gate;
    assert!(gate.required);
    assert_eq!(gate.approvals, 2);
}

#[test]
fn a_value_is_the_environments_own_then_its_reference_then_the_default() {
    let text = with(
        "variables:\n  size: {type: integer, value: var:SIZE, default: 1, environments: {live: 3}}\n",
    );
    assert_eq!(complete(&text, "dev").variables["size"], "1");
    assert_eq!(complete(&text, "live").variables["size"], "3");
    let contract = parse(path(), &text).unwrap();
    let env = Env::from([("SLIPWAY_VARS", VARS), ("SIZE", "2")]);
    assert_eq!(
        contract.resolve_all("dev", &env).unwrap().variables["size"],
        "2"
    );
}

#[test]
fn the_infrastructure_run_gets_service_environment_region_and_variables() {
    let text = with("variables: {size: {type: integer, value: 1}}\n");
    let names: Vec<(String, String)> = complete(&text, "dev").terraform_variables();
    let pairs: Vec<(&str, &str)> = names
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("TF_VAR_service", "shop"),
            ("TF_VAR_environment", "dev"),
            ("TF_VAR_region", "ca-central-1"),
            ("TF_VAR_size", "1"),
        ]
    );
}

#[test]
fn a_dockerfile_is_looked_for_in_the_context() {
    let image = resolved(&with("image: {context: app/}\n"), "dev").image;
    assert_eq!(image.dockerfile, "app/Dockerfile");
    let image = resolved(&with("image: {context: app, dockerfile: x/D}\n"), "dev").image;
    assert_eq!(image.dockerfile, "x/D");
}

#[test]
fn secrets_default_to_sinks_that_store_nothing() {
    let text = with(
        "secrets:\n  A: ssm:/{service}/{environment}/a:3\n  B: env:B\n  \
         C: {from: \"secretsmanager:c#k\", to: [env, file], required: false}\n",
    );
    let secrets = resolved(&text, "live").secrets;
    assert_eq!(secrets[0].source, Source::Ssm("/shop/live/a:3".to_owned()));
    assert_eq!(secrets[0].sinks, [Sink::Task, Sink::Exec]);
    assert_eq!(secrets[1].sinks, [Sink::Exec]);
    assert_eq!(secrets[2].sinks, [Sink::Env, Sink::File]);
    assert!(secrets[0].required && !secrets[2].required);
}

#[test]
fn publishing_needs_nothing_of_an_environment() {
    let env = Env::from([
        ("BUILD_ACCOUNT_ID", "000000000001"),
        ("LEDGER_ANCHOR_BUCKET", "acme-ledger"),
    ]);
    let publishing = storefront().publishing(&env).unwrap();
    assert_eq!(publishing.build.account.as_str(), "000000000001");
    assert_eq!(
        publishing.build.publish,
        "arn:aws:iam::000000000001:role/slipway-publish"
    );
    let whole = storefront().resolve("production", &vars()).unwrap();
    assert_eq!(
        serde_json::to_value((&publishing.build, &publishing.image)).unwrap(),
        serde_json::to_value((&whole.build, &whole.image)).unwrap()
    );

    let text = with("allow-long-lived-keys: [AKIAIOSFODNN7EXAMPLE]\n");
    let publishing = parse(path(), &text)
        .unwrap()
        .publishing(&Env::default())
        .unwrap();
    assert_eq!(publishing.allow_long_lived_keys, ["AKIAIOSFODNN7EXAMPLE"]);
}

#[test]
fn accounts_are_those_of_all_environments_and_of_nothing_else() {
    let env = Env::from([
        ("DEV_ACCOUNT_ID", "012345678901"),
        ("STAGING_ACCOUNT_ID", "999999999999"),
        ("STAGING_ACCOUNT_ID_STAGING", "111111111111"),
        ("PRODUCTION_ACCOUNT_ID", "222222222222"),
    ]);
    let accounts = storefront().accounts(&env).unwrap();
    let accounts: Vec<_> = accounts.iter().map(crate::aws::AccountId::as_str).collect();
    assert_eq!(accounts, ["012345678901", "111111111111", "222222222222"]);
}

#[test]
fn a_step_that_runs_no_infrastructure_needs_neither_a_state_nor_its_variables() {
    let text = with("variables: {domain: {type: domain, value: \"var:DOMAIN\"}}\n");
    let contract = parse(path(), &text).unwrap();
    let env = Env::default();
    assert_eq!(contract.resolve("live", &env).unwrap().service, "shop");
    let error = contract.resolve_all("live", &env).unwrap_err().to_string();
    for missing in ["`DOMAIN`", "`TF_STATE_BUCKET`"] {
        assert!(error.contains(missing), "{missing}: {error}");
    }
}

const IN_BUILD: &str = "state: {bucket: states, account: 012345678901, table: locks, \
    roles: {read: \"look-{environment}\", deploy: \"states-{environment}\"}, encrypt: true}\n";

#[test]
fn a_state_may_be_in_an_account_and_under_roles_of_its_own() {
    let own = complete(&with("state: {bucket: states}\n"), "dev").state;
    assert_eq!((own.account.as_str(), own.encrypt), ("111111111111", false));
    assert!(own.roles.is_none() && own.kms_key_id.is_none());

    let Complete {
        resolved, state, ..
    } = complete(&with(IN_BUILD), "live");
    assert_eq!(state.account.as_str(), "012345678901");
    let roles = state.roles.unwrap();
    assert_eq!(roles.read, "arn:aws:iam::012345678901:role/look-live");
    assert_eq!(roles.deploy, "arn:aws:iam::012345678901:role/states-live");
    assert!(state.encrypt);
    // Everything else stays where it was.
    assert_eq!(resolved.account.as_str(), "222222222222");
    assert_eq!(
        resolved.roles.deploy,
        "arn:aws:iam::222222222222:role/slipway-deploy"
    );
}

#[test]
fn a_key_asks_for_encryption_by_itself() {
    let key = "arn:aws:kms:eu-west-1:012345678901:key/mrk-0123456789abcdef0123456789abcdef";
    let text = with(&format!(
        "state: {{bucket: states, kms-key-id: \"{key}\"}}\n"
    ));
    let state = complete(&text, "dev").state;
    assert!(state.encrypt);
    assert_eq!(state.kms_key_id.as_deref(), Some(key));
}

const STACK: &str = "secrets: {TOKEN: ssm:/token, OTHER: ssm:/other}
stack:
  parameters: {Size: 2, Image: var:IMAGE, Key: plain}
  secret-parameters: {Token: TOKEN}
  tags: {team: shop, stage: \"{environment}\"}
  capabilities: [CAPABILITY_NAMED_IAM]
  termination-protection: true
  role: stacks
";

fn stack(text: &str, environment: &str, env: &Env) -> Stack {
    let contract = parse(path(), text).unwrap_or_else(|error| panic!("{error}"));
    let found = contract.resolve_stack(environment, env);
    found
        .unwrap_or_else(|error| panic!("{error}"))
        .stack
        .unwrap()
}

#[test]
fn a_stack_has_default_names_and_what_the_environment_adds() {
    let text = with(STACK).replace(
        "follows: dev}",
        "follows: dev, stack: {template: live.yaml, parameters: {Size: 3, Token: none}, secret-parameters: {Key: OTHER}, tags: {team: ops}, capabilities: [], termination-protection: false, role: others}}",
    );
    let env = Env::from([("SLIPWAY_VARS", r#"{"IMAGE": "i", "IMAGE_LIVE": "l"}"#)]);
    expect![[r#"
        {"name":"shop-dev","template":"infra/stack.yaml","parameters":{"Image":"i","Key":"plain","Size":"2"},"secret_parameters":{"Token":"TOKEN"},"tags":{"stage":"dev","team":"shop"},"capabilities":["CAPABILITY_NAMED_IAM"],"termination_protection":true,"policy":null,"regions":[],"bucket":null,"role":"arn:aws:iam::111111111111:role/stacks"}
        {"name":"shop-live","template":"live.yaml","parameters":{"Image":"l","Size":"3","Token":"none"},"secret_parameters":{"Key":"OTHER"},"tags":{"stage":"live","team":"ops"},"capabilities":[],"termination_protection":false,"policy":null,"regions":[],"bucket":null,"role":"arn:aws:iam::222222222222:role/others"}"#]]
    .assert_eq(
        &["dev", "live"]
            .map(|name| serde_json::to_string(&stack(&text, name, &env)).unwrap())
            .join("\n"),
    );
}

#[test]
fn a_stacks_references_are_followed_only_for_the_stack() {
    let contract = parse(path(), &with(STACK)).unwrap();
    assert!(contract.resolve("dev", &Env::default()).is_ok());
    let error = contract.resolve_stack("dev", &Env::default()).unwrap_err();
    assert!(error.to_string().contains("`IMAGE` is not set"), "{error}");
    let none = parse(path(), &with("")).unwrap();
    let found = none.resolve_stack("dev", &Env::default()).unwrap();
    assert_eq!(found.stack, None);
}

#[test]
fn two_environments_do_not_share_a_stack() {
    let text = with("stack: {name: shop}").replace("222222222222", "\"111111111111\"");
    let text = text.replace("follows: dev}", "follows: dev, deploy: {cluster: c}}");
    let error = parse(path(), &text).unwrap_err().to_string();
    assert!(
        error.contains("`dev` and `live` share one stack"),
        "{error}"
    );
}

//! The schema against the decoder: both accept and refuse the same contracts.

use super::super::declared::DeclaredPerson;
use super::*;
use crate::contract::declared::{
    Anchor, Approve, BreakGlass, Build, BuildKeys, BuildRoles, Deploy, Environment, Formerly,
    Freeze, Gate, Image, Roles, Rollback, Stack, State, StateRoles, Variable,
};
use crate::contract::parse;
use crate::contract::secret::Secret;
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn keys<T: JsonSchema>(fields: &[(&'static str, &'static str)]) {
    let schema = schemars::schema_for!(T).to_value();
    let declared: BTreeSet<(&str, &str)> = fields.iter().copied().collect();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let derived: BTreeSet<(&str, &str)> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(|key| {
            let requirement = if required.contains(&key.as_str()) {
                "required"
            } else {
                "optional"
            };
            (key.as_str(), requirement)
        })
        .collect();
    assert_eq!(declared, derived);
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn decoder_and_schema_know_the_same_keys() {
    keys::<Declared>(Declared::KEYS);
    keys::<Build>(Build::KEYS);
    keys::<BuildRoles>(BuildRoles::KEYS);
    keys::<BuildKeys>(BuildKeys::KEYS);
    keys::<Anchor>(Anchor::KEYS);
    keys::<Environment>(Environment::KEYS);
    keys::<Gate>(Gate::KEYS);
    keys::<Freeze>(Freeze::KEYS);
    keys::<Rollback>(Rollback::KEYS);
    keys::<BreakGlass>(BreakGlass::KEYS);
    keys::<Formerly>(Formerly::KEYS);
    keys::<Approve>(Approve::KEYS);
    keys::<DeclaredPerson>(DeclaredPerson::KEYS);
    keys::<Roles>(Roles::KEYS);
    keys::<Variable>(Variable::KEYS);
    keys::<Secret>(Secret::KEYS);
    keys::<Image>(Image::KEYS);
    keys::<State>(State::KEYS);
    keys::<StateRoles>(StateRoles::KEYS);
    keys::<Deploy>(Deploy::KEYS);
    keys::<Stack>(Stack::KEYS);
}

/// One change to a contract that is right: the text that is replaced, and by what.
type Change = (&'static str, &'static str);

const BASE: &str = "\
version: 1
service: shop
build: {account: var:BUILD, region: ca-central-1}
environments:
  dev: {account: \"111111111111\"}
  live: {account: var:LIVE, follows: dev, gate: {approvals: 2}}
variables:
  size: {type: integer, value: 1}
secrets:
  TOKEN: ssm:/token
";

const ENVIRONMENTS: &str = "\
environments:
  dev: {account: \"111111111111\"}
  live: {account: var:LIVE, follows: dev, gate: {approvals: 2}}
";

const GOOD: &[Change] = &[
    ("", ""),
    ("account: var:BUILD", "account: 222222222222"),
    ("account: var:BUILD", "account: '022222222222'"),
    (
        "ca-central-1}",
        "ca-central-1, ledger: \"{service}-ledger\", roles: {publish: x}}",
    ),
    (
        "ca-central-1}",
        "ca-central-1, keys: {ledger: alias/l}, anchor: {bucket: \"{service}-anchor\", prefix: a/b}}",
    ),
    (
        "ca-central-1}",
        "ca-central-1, keys: {provenance: alias/p}, workflow: .github/workflows/deliver.yml}",
    ),
    ("ca-central-1}", "var:REGION}"),
    (
        "approvals: 2",
        "approvals: 0, checks: [test, build@15368], branch: release/1, workflow: .github/workflows/go.yml",
    ),
    (
        "approvals: 2",
        "soak: 1d2h, still-running: true, calendars: [freezes, 'arn:aws:ssm:ca-central-1:111111111111:document/x.y']",
    ),
    (
        "approvals: 2",
        "freeze: [{time-zone: America/Toronto, weekdays: [friday], from: \"16:00\", to: \"24:00\", reason: no}, \
         {time-zone: UTC, first: 2026-12-20, last: 2027-01-03}]",
    ),
    (
        "approvals: 2}}",
        "rollback: {approvals: 1}, break-glass: {people: [ada], expires: 30m}}}\npeople: {ada: {id: 1}}",
    ),
    ("value: 1", "default: var:SIZE, environments: {live: 3}"),
    ("type: integer, value: 1", "type: boolean, value: true"),
    ("type: integer, value: 1", "type: string, value: \"\""),
    (
        "type: integer, value: 1",
        "type: string, value: \"{{{environment}}}\"",
    ),
    (
        "type: integer, value: 1",
        "type: enum, values: [1, 2, x], value: x",
    ),
    (
        "type: integer, value: 1",
        "type: pattern, pattern: \"v.*\", value: v1",
    ),
    ("ssm:/token", "secretsmanager:{service}/x#key"),
    (
        "ssm:/token",
        "secretsmanager:arn:aws:secretsmanager:eu-west-1:111111111111:secret:x-AbCdEf",
    ),
    (
        "ssm:/token",
        "{from: env:TOKEN, to: [exec, env], required: false}",
    ),
    (
        "service: shop",
        "service: shop\nimage: {context: ., dockerfile: D, repository: team/x, platforms: [linux/arm64]}",
    ),
    (
        "service: shop",
        "service: shop\nstate: {directory: infra, bucket: var:B, table: ttt, key: \"{account}/{environment}\"}",
    ),
    (
        "service: shop",
        "service: shop\ndeploy: {cluster: \"{environment}\", service: s, container: c}",
    ),
    (
        "service: shop",
        "service: shop\npeople: {ada: [arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Release_0123456789abcdef/ada@acme.example]}\nallow-long-lived-keys: [AKIAIOSFODNN7EXAMPLE]",
    ),
    (
        "service: shop",
        "service: shop\npeople: {ada: {id: 1, accounts: {ada-work: 2}, emails: [a@old.example], aws: [arn:aws-us-gov:iam::111111111111:user/team/ada]}}\napps: {49699333: nobody, '7': ada}",
    ),
    (
        "approvals: 2}}",
        "approve: {count: 2, people: [ada, grace], expires: 2d, notify: sns:approvals, repository: acme/approvals}}}\npeople: {ada: {id: 1}, grace: {id: 2, aws: [arn:aws:sts::111111111111:assumed-role/Operators/grace]}, linus: [arn:aws:sts::111111111111:assumed-role/Operators/linus]}",
    ),
    (
        "approvals: 2}}",
        "approvals: 2, reviewers: [ada, grace, acme/release]}}\npeople: {ada: {id: 1}, grace: {id: 2}}",
    ),
    (
        "approvals: 2",
        "since: '1111111111111111111111111111111111111111', accepted-commits: [abcdefabcdefabcdefabcdefabcdefabcdefabcd]",
    ),
    (
        "approvals: 2",
        "unpinned: [hashicorp/aws, 'git::https://git.acme.example/network.git//vpc']",
    ),
    ("approvals: 2", "plan: true"),
    (
        "service: shop",
        "service: shop\nstack: {name: \"{service}-{environment}\", template: t.yaml, parameters: {Size: 2, On: true, Empty: \"\", Image: var:IMAGE}, secret-parameters: {Token: TOKEN}, tags: {cost center: shop, a/b.c: \"{environment}\"}, capabilities: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM], termination-protection: true, policy: p.json, role: stacks}",
    ),
    (
        "approvals: 2}",
        "approvals: 2}, stack: {parameters: {Size: 3}}",
    ),
];

/// Wrong in shape, which both must see.
const BAD: &[Change] = &[
    ("approvals: 2", "unpinned: hashicorp/aws"),
    ("approvals: 2", "plan: required"),
    ("approvals: 2", "unpinned: ['acme/vpc/aws?version=1']"),
    ("version: 1", "version: 2"),
    ("version: 1", "version: '1'"),
    ("version: 1\n", ""),
    ("service: shop", "service: Shop"),
    ("service: shop", "service: 7"),
    ("service: shop", "service:"),
    ("service: shop", "sevice: shop"),
    ("account: var:BUILD", "account: '22222222222'"),
    ("account: var:BUILD", "account: var:build"),
    ("account: var:BUILD", "account: \"{account}\""),
    ("account: var:BUILD", "account: true"),
    ("account: var:BUILD, ", ""),
    ("ca-central-1", "canada"),
    ("ca-central-1}", "ca-central-1, ledger: \"{environment}\"}"),
    ("ca-central-1}", "ca-central-1, ledger: ssm:/x}"),
    ("ca-central-1}", "ca-central-1, ledger: 7}"),
    ("ca-central-1}", "ca-central-1, workflow: deliver.yml}"),
    ("ca-central-1}", "ca-central-1, keys: alias/l}"),
    ("ca-central-1}", "ca-central-1, keys: {leger: alias/l}}"),
    ("ca-central-1}", "ca-central-1, anchor: {prefix: a}}"),
    ("ca-central-1}", "ca-central-1, anchor: bucket}"),
    ("  dev:", "  De_v:"),
    ("follows: dev", "follows: [dev]"),
    ("follows: dev", "follow: dev"),
    ("approvals: 2", "approvals: -1"),
    ("approvals: 2", "approvals: 101"),
    ("approvals: 2", "approvals: 1.5"),
    ("approvals: 2", "approvals: two"),
    ("approvals: 2", "checks: test"),
    ("approvals: 2", "checks: [7]"),
    ("approvals: 2", "branch: \"\""),
    ("approvals: 2", "workflow: go.yml"),
    ("approvals: 2", "soak: 600"),
    ("approvals: 2", "soak: 2 h"),
    ("approvals: 2", "still-running: dev"),
    ("approvals: 2", "freeze: {time-zone: UTC}"),
    ("approvals: 2", "freeze: [{from: \"16:00\"}]"),
    ("approvals: 2", "freeze: [{time-zone: UTC, weekdays: []}]"),
    (
        "approvals: 2",
        "freeze: [{time-zone: UTC, weekdays: [fri]}]",
    ),
    (
        "approvals: 2",
        "freeze: [{time-zone: UTC, from: \"25:00\"}]",
    ),
    (
        "approvals: 2",
        "freeze: [{time-zone: UTC, first: 2026-13-01, last: 2026-12-31}]",
    ),
    ("approvals: 2", "calendars: [x]"),
    ("approvals: 2", "rollback: {approvals: 101}"),
    ("approvals: 2", "rollback: 1"),
    ("approvals: 2", "break-glass: {expires: 1h}"),
    ("approvals: 2", "break-glass: {people: []}"),
    ("approvals: 2", "approve: {people: [ada], notify: mail}"),
    ("approvals: 2", "approve: {count: 1}"),
    ("approvals: 2", "approve: {people: []}"),
    ("approvals: 2", "approve: {people: ada}"),
    ("approvals: 2", "approve: {count: 0, people: [ada]}"),
    ("approvals: 2", "approve: [ada]"),
    ("approvals: 2", "reviewers: []"),
    ("approvals: 2", "reviewers: ada"),
    ("approvals: 2", "reviewers: {people: [ada]}"),
    ("type: integer", "type: number"),
    ("type: integer, ", ""),
    ("type: integer", "type: enum"),
    ("type: integer", "type: pattern"),
    ("value: 1", "value: 1, values: [1]"),
    ("value: 1", "value: 1, pattern: x"),
    ("value: 1", "value: [1]"),
    ("value: 1", "value: \"{size}\""),
    ("value: 1", "value: \"a}\""),
    ("value: 1", "value: null"),
    ("  size:", "  si-ze:"),
    ("ssm:/token", "/token"),
    ("ssm:/token", "'ssm:'"),
    ("ssm:/token", "var:TOKEN"),
    ("ssm:/token", "env:A-B"),
    ("ssm:/token", "secretsmanager:x#"),
    ("ssm:/token", "{to: [exec]}"),
    ("ssm:/token", "{from: ssm:/x, to: exec}"),
    ("ssm:/token", "{from: ssm:/x, to: []}"),
    ("ssm:/token", "{from: ssm:/x, to: [exec, exec]}"),
    ("ssm:/token", "{from: ssm:/x, to: [disk]}"),
    ("ssm:/token", "{from: ssm:/x, required: 'yes'}"),
    ("service: shop", "service: shop\nimage: {context: /x}"),
    (
        "service: shop",
        "service: shop\nimage: {platforms: [linux]}",
    ),
    ("service: shop", "service: shop\nstate: {tool: terraform}"),
    ("service: shop", "service: shop\nstate:"),
    ("service: shop", "service: shop\ndeploy: []"),
    (
        "service: shop",
        "service: shop\npeople: {ada: arn:aws:iam::111111111111:user/ada}",
    ),
    (
        "service: shop",
        "service: shop\npeople: {ada: [ada@acme.example]}",
    ),
    (
        "service: shop",
        "service: shop\npeople: {ada: [Operators/ada@acme.example]}",
    ),
    (
        "service: shop",
        "service: shop\npeople: {ada: [arn:aws:iam::111111111111:role/Operators]}",
    ),
    (
        "service: shop",
        "service: shop\npeople: {ada: [arn:aws-mars:iam::111111111111:user/ada]}",
    ),
    ("service: shop", "service: shop\npeople: {ada: {id: one}}"),
    (
        "service: shop",
        "service: shop\npeople: {ada: {mail: [a@b.example]}}",
    ),
    ("service: shop", "service: shop\napps: {dependabot: nobody}"),
    ("approvals: 2", "since: abc"),
    (
        "service: shop",
        "service: shop\nallow-long-lived-keys: [ASIAIOSFODNN7EXAMPLE]",
    ),
    ("service: shop", "service: shop\nextra: 1"),
    ("approvals: 2", "approvals: null"),
    ("approvals: 2", "branch: null"),
    ("service: shop", "service: shop\nstack: {stack-name: x}"),
    ("service: shop", "service: shop\nstack: {template: /t.yaml}"),
    ("service: shop", "service: shop\nstack: {parameters: [a]}"),
    (
        "service: shop",
        "service: shop\nstack: {parameters: {a_b: 1}}",
    ),
    (
        "service: shop",
        "service: shop\nstack: {parameters: {A: ssm:/x}}",
    ),
    (
        "service: shop",
        "service: shop\nstack: {capabilities: [CAPABILITY_ALL]}",
    ),
    (
        "service: shop",
        "service: shop\nstack: {termination-protection: enabled}",
    ),
    (
        "service: shop",
        "service: shop\nstack: {secret-parameters: {A: b-c}}",
    ),
    (ENVIRONMENTS, "environments: {}\n"),
    (ENVIRONMENTS, ""),
];

/// Wrong in what it says, which only the decoder can see.
const WRONG: &[Change] = &[
    ("follows: dev", "follows: test"),
    (
        "approvals: 2",
        "freeze: [{time-zone: America/Toronot, from: \"16:00\"}]",
    ),
    ("approvals: 2", "freeze: [{time-zone: UTC}]"),
    (
        "approvals: 2",
        "freeze: [{time-zone: UTC, first: 2026-02-30, last: 2026-03-01}]",
    ),
    ("approvals: 2", "break-glass: {people: [ada], expires: 2d}"),
    ("service: shop", "service: shop\napps: {7: ada}"),
    (
        "service: shop",
        "service: shop\npeople: {ada: {id: 1}, bob: {accounts: {x: 1}}}",
    ),
    (
        "service: shop",
        "service: shop\npeople: {ada: [arn:aws:iam::111111111111:user/x/ada], bob: [arn:aws:iam::111111111111:user/ada]}",
    ),
    ("value: 1", "value: one"),
    ("value: 1", "environments: {dev: 1}"),
    ("account: var:LIVE", "account: 7"),
    ("ca-central-1}", "ca-central-1, keys: {ledger: 1234abcd}}"),
    ("ca-central-1}", "ca-central-1, anchor: {bucket: B}}"),
    (
        "ca-central-1}",
        "ca-central-1, anchor: {bucket: bbb, prefix: a/}}",
    ),
    ("ssm:/token", "ssm:/to ken"),
    (
        "service: shop",
        "service: shop\nstack: {secret-parameters: {A: OTHER}}",
    ),
    (
        "service: shop",
        "service: shop\nstack: {parameters: {A: b}, secret-parameters: {A: TOKEN}}",
    ),
    ("service: shop", "service: shop\nstack: {tags: {aws:x: y}}"),
    ("service: shop", "service: shop\nstack: {name: a_b}"),
    ("ssm:/token", "{from: env:TOKEN, to: [task]}"),
];

fn decoded(text: &str) -> bool {
    parse(Path::new("delivery.yaml"), text).is_ok()
}

#[test]
fn decoder_and_schema_take_and_refuse_the_same() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let valid = |text: &str| validator.is_valid(&serde_yaml::from_str::<Value>(text).unwrap());
    let changed = |(from, to): &Change| {
        assert!(BASE.contains(from), "{from}");
        BASE.replacen(from, to, 1)
    };
    for change in GOOD {
        let text = changed(change);
        assert!(decoded(&text), "the decoder refuses {change:?}");
        assert!(valid(&text), "the schema refuses {change:?}");
    }
    for change in BAD {
        let text = changed(change);
        assert!(!decoded(&text), "the decoder takes {change:?}");
        assert!(!valid(&text), "the schema takes {change:?}");
    }
    for change in WRONG {
        let text = changed(change);
        assert!(!decoded(&text), "the decoder takes {change:?}");
        assert!(valid(&text), "the schema sees {change:?}: move it up");
    }
}

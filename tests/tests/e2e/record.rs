//! The gateway's record of a world: who called what as whom, held against what the contract says of each purpose.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::place::port;
use sandbox::world::World;
use serde::Deserialize;

use crate::support::{element, place};

/// The role of whoever opens an account: the sandbox when it makes a world, and looks at it.
const ADMINISTRATOR: &str = "OrganizationAccountAccessRole";

/// Without what a test itself does as an administrator once the world stands.
pub(crate) fn of_steps(calls: Vec<Call>) -> Vec<Call> {
    let made = |call: &Call| call.operation == "CreateService";
    calls
        .into_iter()
        .filter(|call| call.role() != Some(ADMINISTRATOR) || made(call))
        .collect()
}

/// One call, as CloudTrail would have it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) account: Option<String>,
    role: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) resource: Option<String>,
    /// The partitions of a table that it names.
    leading: Vec<String>,
    status: u16,
}

impl Call {
    /// The name of the role behind the call.
    pub(crate) fn role(&self) -> Option<&str> {
        self.role.as_deref()?.rsplit('/').next()
    }

    /// Whether it names this item of a table and no other.
    pub(crate) fn is_about(&self, partition: &str) -> bool {
        self.leading == [partition]
    }
}

/// All calls in a world's accounts, oldest first.
pub(crate) async fn calls(world: &World) -> Vec<Call> {
    #[derive(Deserialize)]
    struct Answer {
        calls: Vec<Call>,
    }
    let url = format!(
        "{}/_sandbox/calls?world={}",
        place().url(port::GATEWAY),
        world.name
    );
    let answer = sandbox::world::http_client().unwrap().get(url).send().await;
    answer.unwrap().json::<Answer>().await.unwrap().calls
}

/// Everything that was called after the world stood: without the calls that made it, and without what the demo does from
/// outside, as an administrator who stores a token, asks for the load balancers' addresses and looks into the ledger, and in a
/// session named `status` that reads the ledger too.
pub(crate) fn deliveries(calls: &[Call]) -> Vec<&Call> {
    let made = calls
        .iter()
        .rposition(|call| call.role() == Some(ADMINISTRATOR) && call.operation == "CreateService")
        .map_or(0, |last| last + 1);
    calls[made..]
        .iter()
        .filter(|call| {
            let outside = call.role() == Some(ADMINISTRATOR)
                && matches!(
                    call.operation.as_str(),
                    "CreateSecret" | "DescribeLoadBalancers" | "Query"
                );
            // The step that reads the ledger takes the role with a session name of its own.
            let status = matches!(call.session.as_deref(), Some("status" | "slipway-unknown"));
            !outside && !status
        })
        .collect()
}

/// The manifests that were put by their digest, as `REPOSITORY@DIGEST`: what was built and pushed, without the tags.
pub(crate) fn pushed(calls: &[Call]) -> Vec<&str> {
    calls
        .iter()
        .filter(|call| call.operation == "PutImage" && call.role() == Some("slipway-publish"))
        .filter_map(|call| call.resource.as_deref())
        .filter(|resource| resource.contains("@sha256:"))
        .collect()
}

/// What the tags of these commits name in the world's registry, as [`pushed`] has it.
pub(crate) async fn images(world: &World, commits: &[&str]) -> Vec<String> {
    let aws = world.administrator(place(), &world.build).await.unwrap();
    let target = "AmazonEC2ContainerRegistry_V20150921.DescribeImages";
    let mut found = Vec::new();
    for commit in commits {
        let input = serde_json::json!({"repositoryName": world.service, "imageIds": [{"imageTag": commit}]});
        let answer = aws.json("ecr", target, &input).await.unwrap().unwrap();
        let digest = answer["imageDetails"][0]["imageDigest"].as_str().unwrap();
        found.push(format!("{}@{digest}", world.service));
    }
    found
}

/// Who, by the contract, may make a call: account and role. Nobody where the contract knows no such call.
fn purpose<'w>(world: &'w World, call: &Call) -> Vec<(&'w str, String)> {
    let build = world.build.id.as_str();
    let resource = call.resource.as_deref().unwrap_or_default();
    let of = |environment: &'w sandbox::world::Environment, roles: &[&str]| {
        let account = environment.account.id.as_str();
        roles
            .iter()
            .map(|role| (account, (*role).to_owned()))
            .collect::<Vec<_>>()
    };
    let named = |name: &dyn Fn(&sandbox::world::Environment) -> bool| {
        world
            .environments
            .iter()
            .find(|environment| name(environment))
    };
    match call.service.as_str() {
        "dynamodb" if resource == World::LEDGER => {
            let content = |list: &String| list.starts_with("content#");
            let notes = !call.leading.is_empty() && call.leading.iter().all(content);
            // Who promotes reads in the notes what an image was built for, and who builds reads in the chains what is deployed.
            let permit = |environment: &str| format!("slipway-permit-{environment}");
            let every = world.environments.iter().map(|each| permit(&each.name));
            let [publish, read] = ["slipway-publish", "slipway-read"].map(str::to_owned);
            let roles: Vec<String> = match (call.operation.as_str(), call.leading.as_slice()) {
                ("Query" | "GetItem", _) => every.chain([publish, read]).collect(),
                _ if notes => vec![publish],
                // Each chain grows by the hand of its own environment's role.
                (_, [chain]) => chain
                    .strip_prefix(&format!("{}#", world.service))
                    .map(permit)
                    .into_iter()
                    .collect(),
                _ => Vec::new(),
            };
            roles.into_iter().map(|role| (build, role)).collect()
        }
        "dynamodb" => match named(&|environment| environment.lock_table == resource) {
            Some(environment) => of(environment, &["slipway-deploy"]),
            None => Vec::new(),
        },
        "s3" => match named(&|environment| {
            resource.split('/').next() == Some(environment.state_bucket.as_str())
        }) {
            Some(environment) => of(environment, &["slipway-deploy"]),
            None => Vec::new(),
        },
        // A project's token for GitHub, which CodeBuild fetches with the role of the build's stage.
        "secretsmanager" if resource == format!("{}/github-token", world.service) => world
            .environments
            .iter()
            .map(|environment| (build, format!("slipway-codebuild-{}", environment.name)))
            .collect(),
        "ssm" | "secretsmanager" => {
            match named(&|environment| {
                let scope = format!("{}/{}/", world.service, environment.name);
                resource.trim_start_matches('/').starts_with(&scope)
            }) {
                // The service's tasks get theirs from their execution role.
                Some(environment) => {
                    let mut may = of(environment, &["slipway-deploy"]);
                    may.push((&environment.account.id, execution(world, environment)));
                    may
                }
                None => Vec::new(),
            }
        }
        "ecr" => {
            let mut may = vec![(build, "slipway-publish".to_owned())];
            if matches!(
                call.operation.as_str(),
                "GetAuthorizationToken"
                    | "BatchGetImage"
                    | "GetDownloadUrlForLayer"
                    | "BatchCheckLayerAvailability"
            ) {
                may.extend(world.environments.iter().map(|environment| {
                    (
                        environment.account.id.as_str(),
                        execution(world, environment),
                    )
                }));
            }
            may
        }
        "ecs" | "elasticloadbalancing" => {
            let looks = ["Describe", "List"]
                .iter()
                .any(|verb| call.operation.starts_with(verb));
            let roles: &[&str] = if looks {
                &["slipway-deploy", "slipway-read"]
            } else {
                &["slipway-deploy"]
            };
            // An ARN or a name that says another environment is not this account's business.
            world
                .environments
                .iter()
                .filter(|environment| {
                    !World::ENVIRONMENTS.iter().any(|other| {
                        *other != environment.name
                            && resource.contains(&format!("{}-{other}", world.service))
                    })
                })
                .flat_map(|environment| of(environment, roles))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn execution(world: &World, environment: &sandbox::world::Environment) -> String {
    format!("{}-{}-execution", world.service, environment.name)
}

/// Fails unless each delivery call was made in the account and by the role the contract names for its purpose, and each
/// of those roles was at work. STS, which gives the roles out, is asked before there is one.
/// `stages` are the roles in the build account that the host's runs start with, where it gives them one.
pub(crate) fn keeps_to_the_contract(world: &World, calls: &[Call], stages: &[&str]) {
    let mut at_work = BTreeSet::new();
    let mut strangers = Vec::new();
    for call in deliveries(calls) {
        if call.service == "sts" {
            continue;
        }
        let caller = (call.account.as_deref(), call.role());
        let rightful = purpose(world, call)
            .iter()
            .any(|(account, role)| caller == (Some(account), Some(role.as_str())));
        if rightful {
            at_work.insert((
                caller.0.unwrap_or_default().to_owned(),
                caller.1.unwrap_or_default().to_owned(),
            ));
        } else {
            strangers.push(call);
        }
    }
    assert!(
        strangers.is_empty(),
        "not as the contract says: {strangers:#?}"
    );
    let mut wanted = BTreeSet::from(
        ["slipway-publish", "slipway-read"].map(|role| (world.build.id.clone(), role.to_owned())),
    );
    wanted.extend(world.environments.iter().map(|environment| {
        (
            world.build.id.clone(),
            format!("slipway-permit-{}", environment.name),
        )
    }));
    wanted.extend(
        stages
            .iter()
            .map(|role| (world.build.id.clone(), (*role).to_owned())),
    );
    for environment in &world.environments {
        for role in [
            "slipway-deploy".to_owned(),
            "slipway-read".to_owned(),
            execution(world, environment),
        ] {
            wanted.insert((environment.account.id.clone(), role));
        }
    }
    assert_eq!(at_work, wanted);
}

/// Fails unless every call is one that the role's own policy, as IAM has it, allows. The gateway lets every call through,
/// so what a role lacks would otherwise show in a real account only.
pub(crate) async fn is_allowed_by_policy(world: &World, calls: &[Call]) {
    let mut policies: BTreeMap<(String, String), serde_json::Value> = BTreeMap::new();
    let mut beyond = BTreeSet::new();
    for call in deliveries(calls) {
        // Whoever asks STS with a web identity has no role yet; whose credentials one has, one may always ask.
        let (Some(account), Some(role)) = (&call.account, call.role()) else {
            assert_eq!(call.operation, "AssumeRoleWithWebIdentity", "{call:?}");
            continue;
        };
        // Whoever was refused did nothing.
        if call.operation == "GetCallerIdentity" || call.status == 403 {
            continue;
        }
        let key = (account.clone(), role.to_owned());
        if !policies.contains_key(&key) {
            policies.insert(key.clone(), policy(world, account, role).await);
        }
        for action in actions(call) {
            if !allows(
                &policies[&key],
                &action,
                arn(world, call).as_deref(),
                &call.leading,
            ) {
                beyond.insert(format!(
                    "{role} may not {action} on {}",
                    call.resource.as_deref().unwrap_or("*")
                ));
            }
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}

/// What IAM calls the permission of a call, where its name differs from the call's.
/// Source: Service Authorization Reference, and "Actions, resources, and condition keys for Amazon DynamoDB" on
/// transactions.
fn actions(call: &Call) -> Vec<String> {
    let service = call.service.as_str();
    let names: &[&str] = match (service, call.operation.as_str()) {
        ("s3", "HeadObject") => &["GetObject"],
        ("s3", "ListObjectsV2") => &["ListBucket"],
        ("dynamodb", "TransactWriteItems") => &["PutItem", "ConditionCheckItem"],
        (_, operation) => &[operation],
    };
    names
        .iter()
        .map(|name| format!("{service}:{name}"))
        .collect()
}

/// The ARN of what a call is about, where the record says enough.
fn arn(world: &World, call: &Call) -> Option<String> {
    let resource = call.resource.as_deref()?;
    let account = call.account.as_deref()?;
    Some(match call.service.as_str() {
        "dynamodb" => world.arn(account, "dynamodb", &format!("table/{resource}")),
        "s3" => format!("arn:aws:s3:::{resource}"),
        "ssm" => world.arn(account, "ssm", &format!("parameter{resource}")),
        "secretsmanager" => world.arn(account, "secretsmanager", &format!("secret:{resource}")),
        "ecr" => {
            // Tags are asked for by ARN.
            if resource.starts_with("arn:") {
                return Some(resource.to_owned());
            }
            let repository = resource.split('@').next()?;
            world.arn(&world.build.id, "ecr", &format!("repository/{repository}"))
        }
        "sts" => resource.to_owned(),
        _ => return None,
    })
}

/// Whether a policy of `Allow` statements, with no condition but one on the partitions of a table, allows an action on a
/// resource; on any resource where none is named.
fn allows(
    policy: &serde_json::Value,
    action: &str,
    resource: Option<&str>,
    leading: &[String],
) -> bool {
    let texts = |value: &serde_json::Value| -> Vec<String> {
        match value {
            serde_json::Value::String(text) => vec![text.clone()],
            other => serde_json::from_value(other.clone()).unwrap_or_default(),
        }
    };
    policy["Statement"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|statement| {
            assert_eq!(statement["Effect"], "Allow", "{statement}");
            let condition = &statement["Condition"];
            // A condition on the aliases of keys is met by the keys that a world has; the gateway evaluates it itself.
            if !condition["ForAnyValue:StringEquals"]["kms:ResourceAliases"].is_null() {
                return texts(&statement["Action"])
                    .iter()
                    .any(|it| fits(it, action));
            }
            let lists = &condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
            let known =
                serde_json::json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": lists}});
            assert!(condition.is_null() || *condition == known, "{statement}");
            let lists = texts(lists);
            let met = condition.is_null()
                || !leading.is_empty()
                    && leading
                        .iter()
                        .all(|key| lists.iter().any(|list| fits(list, key)));
            met && texts(&statement["Action"])
                .iter()
                .any(|it| fits(it, action))
                && resource.is_none_or(|resource| {
                    texts(&statement["Resource"])
                        .iter()
                        .any(|it| fits(it, resource))
                })
        })
}

/// Whether a pattern with stars fits the whole text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| fits(rest, &text[at..]))
        }),
    }
}

/// The one policy of a role.
async fn policy(world: &World, account: &str, role: &str) -> serde_json::Value {
    let account = sandbox::world::Account {
        id: account.to_owned(),
    };
    let aws = world.administrator(place(), &account).await.unwrap();
    let parameters = [("RoleName", role), ("PolicyName", role)];
    let answer = aws.query("iam", "2010-05-08", "GetRolePolicy", &parameters);
    let xml = answer.await.unwrap().unwrap();
    let document = element(&xml, "PolicyDocument").unwrap();
    serde_json::from_str(&plain(&document)).unwrap()
}

/// What a percent-encoded text says.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let (b'%', [high, low, after @ ..]) = (first, tail) {
            let digits = [*high, *low];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_pattern_fits_the_whole_text_or_not_at_all() {
    for (pattern, text, wanted) in [
        ("*", "", true),
        ("a:b", "a:b", true),
        ("a:b", "a:bc", false),
        ("a:*", "a:b/c", true),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abcdef", false),
        ("table/*", "table", false),
    ] {
        assert_eq!(fits(pattern, text), wanted, "{pattern} {text}");
    }
}

#[test]
fn a_policy_allows_what_it_says_and_nothing_else() {
    let policy = serde_json::json!({"Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b"},
        {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*",
         "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["content#*"]}}},
    ]});
    let put = |leading: &[&str]| {
        let leading: Vec<String> = leading.iter().map(|key| (*key).to_owned()).collect();
        allows(&policy, "dynamodb:PutItem", Some("t"), &leading)
    };
    assert!(put(&["content#a"]));
    assert!(!put(&["content#a", "storefront#dev"]));
    assert!(!put(&[]));
    assert!(allows(
        &policy,
        "s3:GetObject",
        Some("arn:aws:s3:::b/k"),
        &[]
    ));
    assert!(allows(
        &policy,
        "s3:ListBucket",
        Some("arn:aws:s3:::b"),
        &[]
    ));
    assert!(allows(&policy, "s3:ListBucket", None, &[]));
    assert!(!allows(
        &policy,
        "s3:GetObject",
        Some("arn:aws:s3:::c/k"),
        &[]
    ));
    assert!(!allows(&policy, "s3:PutObject", None, &[]));
}

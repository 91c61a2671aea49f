//! The gateway's record of a world: who called what as whom, held against what the contract says of each purpose.

use std::collections::BTreeSet;

use sandbox::instance::port;
use sandbox::world::World;
use serde::Deserialize;

use crate::support::instance;

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
    /// Where its beginning and its end stand among those of all calls.
    pub(crate) began: u64,
    pub(crate) seq: u64,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) account: Option<String>,
    role: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) resource: Option<String>,
    /// The partitions of a table that it names.
    leading: Vec<String>,
    /// The revision that an update of a service asks for.
    pub(crate) task_definition: Option<String>,
    error: Option<String>,
}

impl Call {
    /// The name of the role behind the call.
    pub(crate) fn role(&self) -> Option<&str> {
        self.role.as_deref()?.rsplit('/').next()
    }

    /// Returns true if a step's role makes it to change something.
    pub(crate) fn is_write(&self) -> bool {
        const READS: [&str; 8] = [
            "Assume",
            "BatchCheck",
            "BatchGet",
            "Describe",
            "Get",
            "Head",
            "List",
            "Query",
        ];
        let reads = READS.iter().any(|reads| self.operation.starts_with(reads));
        let step = self.role().is_some_and(|role| role.starts_with("slipway-"));
        step && !reads
    }

    /// Returns true if it was refused or not done.
    pub(crate) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Returns true if it names this item of a table and no other.
    pub(crate) fn is_about(&self, partition: &str) -> bool {
        self.leading == [partition]
    }
}

/// All calls in a world's accounts, in the order in which they ended.
pub(crate) async fn calls(world: &World) -> Vec<Call> {
    recorded(world).await.calls
}

/// How many calls are being done in a world's accounts.
pub(crate) async fn open(world: &World) -> usize {
    recorded(world).await.open
}

#[derive(Deserialize)]
struct Recorded {
    calls: Vec<Call>,
    open: usize,
}

async fn recorded(world: &World) -> Recorded {
    let url = format!(
        "{}/_sandbox/calls?world={}",
        instance().url(port::GATEWAY),
        world.name
    );
    let answer = sandbox::world::http_client().unwrap().get(url).send().await;
    answer.unwrap().json::<Recorded>().await.unwrap()
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

/// The manifests that were put by their digest, as `REPOSITORY@DIGEST`: what was built and pushed, without the tags, and
/// without the provenance of images and the list of it, which follow a signature.
pub(crate) fn pushed(calls: &[Call]) -> Vec<&str> {
    let mut proves = false;
    calls
        .iter()
        .filter(|call| {
            match (call.operation.as_str(), call.role()) {
                ("Sign", Some("slipway-publish")) => proves = true,
                // The next build begins.
                ("GetPublicKey", Some("slipway-publish")) => proves = false,
                _ => {}
            }
            !proves
        })
        .filter(|call| call.operation == "PutImage" && call.role() == Some("slipway-publish"))
        .filter_map(|call| call.resource.as_deref())
        .filter(|resource| resource.contains("@sha256:"))
        .collect()
}

/// The images that the tags of these commits name in the world's registry, in the form of [`pushed`].
pub(crate) async fn images(world: &World, commits: &[&str]) -> Vec<String> {
    let aws = world.administrator(instance(), &world.build).await.unwrap();
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

/// The account and the role that may make a call by the contract. None where the contract knows no such call.
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
        "dynamodb" if resource == World::LEDGER => ledger(world, call),
        "dynamodb" => match named(&|environment| environment.lock_table == resource) {
            Some(environment) => of(environment, &["slipway-deploy"]),
            None => Vec::new(),
        },
        "s3" if resource.split('/').next() == Some(world.anchor_bucket().as_str()) => {
            anchor(world, call)
        }
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
        "kms" => keys(world, call),
        "ecr" => registry(world, call),
        "ecs" | "elasticloadbalancing" => {
            let mut verbs = ["Describe", "List"].iter();
            let looks = verbs.any(|verb| call.operation.starts_with(verb));
            let roles: &[&str] = match looks {
                true => &["slipway-deploy", "slipway-read"],
                false => &["slipway-deploy"],
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

/// The roles that may read and write the ledger.
fn ledger<'w>(world: &'w World, call: &Call) -> Vec<(&'w str, String)> {
    let build = world.build.id.as_str();
    let content = |list: &String| list.starts_with("content#");
    let notes = !call.leading.is_empty() && call.leading.iter().all(content);
    // The roles that promote read in the notes what an image was built for, and the one that builds reads in the chains what is deployed.
    let [publish, read] = ["slipway-publish", "slipway-read"].map(str::to_owned);
    let roles: Vec<String> = match (call.operation.as_str(), call.leading.as_slice()) {
        ("Query" | "GetItem", _) => permits(world).chain([publish, read]).collect(),
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

/// The roles that may use the keys: those that build and append sign, each with the key whose own policy names it, and those that read
/// verify.
fn keys<'w>(world: &'w World, call: &Call) -> Vec<(&'w str, String)> {
    let build = world.build.id.as_str();
    let [publish, read] = ["slipway-publish", "slipway-read"].map(str::to_owned);
    let roles: Vec<String> = match call.operation.as_str() {
        "Sign" => permits(world).chain([publish]).collect(),
        "GetPublicKey" => permits(world).chain([publish, read]).collect(),
        _ => Vec::new(),
    };
    roles.into_iter().map(|role| (build, role)).collect()
}

/// The roles that may use the ledger's anchor: each environment's keeps what is its chain's, and those that read a chain compare.
fn anchor<'w>(world: &'w World, call: &Call) -> Vec<(&'w str, String)> {
    let build = world.build.id.as_str();
    let object = call.resource.as_deref().unwrap_or_default();
    let [publish, read] = ["slipway-publish", "slipway-read"].map(str::to_owned);
    let folder = |kind: &str, name: &str| {
        let bucket = world.anchor_bucket();
        format!("{bucket}/slipway/{kind}{}/{name}/", world.service)
    };
    let roles: Vec<String> = match call.operation.as_str() {
        "PutObject" => {
            let own = |name: &str| {
                ["", "evidence/"]
                    .iter()
                    .any(|kind| object.starts_with(&folder(kind, name)))
            };
            let owner = world.environments.iter().find(|each| own(&each.name));
            owner.map(|each| permit(&each.name)).into_iter().collect()
        }
        _ => permits(world).chain([publish, read]).collect(),
    };
    roles.into_iter().map(|role| (build, role)).collect()
}

fn permit(environment: &str) -> String {
    format!("slipway-permit-{environment}")
}

/// The roles that append, one for each environment.
fn permits(world: &World) -> impl Iterator<Item = String> {
    world.environments.iter().map(|each| permit(&each.name))
}

/// The roles that may use the image repository: the one that builds, and the execution roles of the tasks.
fn registry<'w>(world: &'w World, call: &Call) -> Vec<(&'w str, String)> {
    let build = world.build.id.as_str();
    let mut may = vec![(build, "slipway-publish".to_owned())];
    if call.operation == "BatchGetImage" {
        may.push((build, "slipway-read".to_owned()));
    }
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

/// Fails if AWS refused a step anything for want of a permission: the gateway holds each call against the role's policies, and
/// a step that goes on without an answer has lost something. STS is asked on purpose for roles that it does not give.
pub(crate) fn nothing_was_denied(calls: &[Call]) {
    let denied: Vec<&Call> = deliveries(calls)
        .into_iter()
        .filter(|call| call.service != "sts")
        .filter(|call| {
            call.error
                .as_deref()
                .is_some_and(|code| code.starts_with("AccessDenied"))
        })
        .collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

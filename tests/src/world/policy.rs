//! The roles of a world: who may assume each, and what it may do. As small as the steps' READMEs tell a user to make them.

use serde_json::{Value, json};

use super::{Environment, World, keys};

/// GitHub's OIDC provider, without its scheme, as trust policies name it.
pub(crate) const GITHUB_ISSUER: &str = "token.actions.githubusercontent.com";
/// The audience that STS asks of GitHub's tokens.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";

/// A role to be made.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) trust: Value,
    pub(crate) permissions: Value,
}

/// The roles of the build account. A CodeBuild stage has a role of its own, so that only the stage behind an approval
/// reaches what the approval guards.
pub(crate) fn build(world: &World) -> Vec<Role> {
    let names: Vec<&str> = world
        .environments
        .iter()
        .map(|environment| environment.name.as_str())
        .collect();
    let first: Vec<&str> = names.iter().copied().take(1).collect();
    let repository = world.arn(
        &world.build.id,
        "ecr",
        &format!("repository/{}", world.service),
    );
    let ledger = world.arn(
        &world.build.id,
        "dynamodb",
        &format!("table/{}", World::LEDGER),
    );
    let mut roles = vec![Role {
        name: "slipway-publish".to_owned(),
        trust: trust(world, &world.build.id, &first, true),
        permissions: policy(&[
            allow(&["ecr:GetAuthorizationToken"], &["*".to_owned()]),
            allow(
                &[
                    "ecr:CreateRepository",
                    "ecr:DescribeRepositories",
                    "ecr:DescribeImages",
                    "ecr:BatchGetImage",
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:GetDownloadUrlForLayer",
                    "ecr:InitiateLayerUpload",
                    "ecr:UploadLayerPart",
                    "ecr:CompleteLayerUpload",
                    "ecr:PutImage",
                    "ecr:PutImageTagMutability",
                    "ecr:PutLifecyclePolicy",
                    "ecr:GetLifecyclePolicy",
                    "ecr:ListTagsForResource",
                    "ecr:BatchGetRepositoryScanningConfiguration",
                    "ecr:StartImageScan",
                    "ecr:DescribeImageScanFindings",
                    "ecr:SetRepositoryPolicy",
                    "ecr:GetRepositoryPolicy",
                    "ecr:TagResource",
                ],
                &[repository],
            ),
            // Base images, which builds start from.
            allow(
                &[
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                    "ecr:BatchCheckLayerAvailability",
                ],
                &[world.arn(
                    &world.build.id,
                    "ecr",
                    &format!("repository/{}", super::image::REPOSITORY),
                )],
            ),
            // To the ledger it adds only the notes of contents, which no gate reads.
            json!({
                "Effect": "Allow",
                "Action": ["dynamodb:PutItem"],
                "Resource": [ledger.clone()],
                "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["content#*"]}},
            }),
            allow(&["dynamodb:Query"], std::slice::from_ref(&ledger)),
            anchor_objects(world),
            anchor_list(world),
            verify(world),
        ]),
    }];
    roles.extend(names.iter().map(|name| Role {
        name: permit(name),
        trust: trust(world, &world.build.id, &[name], first.contains(name)),
        // No UpdateItem and no DeleteItem: the ledger only grows, and each role adds to the chain of its environment alone.
        permissions: policy(&[
            json!({
                "Effect": "Allow",
                "Action": ["dynamodb:PutItem", "dynamodb:ConditionCheckItem"],
                "Resource": [ledger.clone()],
                "Condition": {"ForAllValues:StringLike": {
                    "dynamodb:LeadingKeys": [format!("{}#{name}", world.service)],
                }},
            }),
            allow(
                &["dynamodb:GetItem", "dynamodb:Query"],
                std::slice::from_ref(&ledger),
            ),
            allow(
                &["s3:PutObject"],
                &[format!(
                    "arn:aws:s3:::{}/*/{}/{name}/*",
                    world.anchor_bucket(),
                    world.service
                )],
            ),
            anchor_objects(world),
            anchor_list(world),
            verify(world),
        ]),
    }));
    roles.push(Role {
        name: "slipway-read".to_owned(),
        trust: trust(world, &world.build.id, &names, true),
        permissions: policy(&[
            allow(
                &["dynamodb:GetItem", "dynamodb:Query"],
                std::slice::from_ref(&ledger),
            ),
            anchor_objects(world),
            anchor_list(world),
            verify(world),
        ]),
    });
    roles.extend(world.environments.iter().map(|environment| Role {
        name: codebuild(&environment.name),
        trust: service_trust("codebuild.amazonaws.com"),
        permissions: policy(&[
            allow(
                &["sts:AssumeRole"],
                &[
                    format!("arn:aws:iam::{}:role/slipway-publish", world.build.id),
                    format!(
                        "arn:aws:iam::{}:role/{}",
                        world.build.id,
                        permit(&environment.name)
                    ),
                    format!(
                        "arn:aws:iam::{}:role/slipway-deploy",
                        environment.account.id
                    ),
                    "arn:aws:iam::*:role/slipway-read".to_owned(),
                ],
            ),
            // The project's token for GitHub, which CodeBuild fetches before the first command.
            allow(
                &["secretsmanager:GetSecretValue"],
                &[world.arn(
                    &world.build.id,
                    "secretsmanager",
                    &format!("secret:{}/github-token*", world.service),
                )],
            ),
            // Whether the build is over that holds a lock.
            allow(
                &["codebuild:BatchGetBuilds"],
                &[world.arn(&world.build.id, "codebuild", "project/*")],
            ),
            verify(world),
        ]),
    }));
    roles
}

/// The roles of an environment's account.
pub(crate) fn environment(world: &World, environment: &Environment) -> Vec<Role> {
    let account = &environment.account.id;
    let names: Vec<&str> = world
        .environments
        .iter()
        .map(|environment| environment.name.as_str())
        .collect();
    // The first environment follows the main branch by itself; the others are reached from their own jobs only.
    let main = names.first() == Some(&environment.name.as_str());
    let cluster = environment.cluster(&world.service);
    let service = world.arn(
        account,
        "ecs",
        &format!("service/{cluster}/{}", world.service),
    );
    let parameter = world.arn(
        account,
        "ssm",
        &format!("parameter/{}/{}/*", world.service, environment.name),
    );
    let secret = world.arn(
        account,
        "secretsmanager",
        &format!("secret:{}/{}/*", world.service, environment.name),
    );
    let look = [
        "ecs:DescribeServices",
        "ecs:DescribeServiceDeployments",
        "ecs:ListServiceDeployments",
    ];
    let everywhere = [
        "ecs:DescribeServiceRevisions",
        "ecs:DescribeTaskDefinition",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
    ];
    let locks = world.arn(
        account,
        "dynamodb",
        &format!("table/{}", environment.lock_table),
    );
    let execution = role_name(world, environment, "execution");
    vec![
        Role {
            name: "slipway-read".to_owned(),
            trust: read_trust(world, account, &names),
            permissions: policy(&[
                allow(&look, std::slice::from_ref(&service)),
                allow(&everywhere, &["*".to_owned()]),
                // A plan without the lock: the state, and the digest it is compared with.
                allow(
                    &["s3:GetObject"],
                    &[format!("arn:aws:s3:::{}/*", environment.state_bucket)],
                ),
                allow(
                    &["s3:ListBucket"],
                    &[format!("arn:aws:s3:::{}", environment.state_bucket)],
                ),
                allow(&["dynamodb:GetItem"], std::slice::from_ref(&locks)),
                verify(world),
                // Whether changes are permitted now.
                allow(
                    &["ssm:GetCalendarState"],
                    &[world.arn(account, "ssm", "document/*")],
                ),
            ]),
        },
        Role {
            name: "slipway-deploy".to_owned(),
            trust: trust(world, account, &[&environment.name], main),
            permissions: policy(&[
                allow(&look, std::slice::from_ref(&service)),
                allow(&["ecs:UpdateService"], &[service]),
                allow(&everywhere, &["*".to_owned()]),
                allow(&["ecs:RegisterTaskDefinition"], &["*".to_owned()]),
                allow(
                    &["iam:PassRole"],
                    &["execution", "task"].map(|kind| {
                        format!(
                            "arn:aws:iam::{account}:role/{}",
                            role_name(world, environment, kind)
                        )
                    }),
                ),
                allow(&["ssm:GetParameters"], std::slice::from_ref(&parameter)),
                allow(
                    &["secretsmanager:GetSecretValue"],
                    std::slice::from_ref(&secret),
                ),
                allow(
                    &["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                    &[format!("arn:aws:s3:::{}/*", environment.state_bucket)],
                ),
                allow(
                    &["s3:ListBucket"],
                    &[format!("arn:aws:s3:::{}", environment.state_bucket)],
                ),
                allow(
                    &[
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:UpdateItem",
                    ],
                    &[locks],
                ),
                verify(world),
            ]),
        },
        Role {
            name: execution,
            trust: service_trust("ecs-tasks.amazonaws.com"),
            permissions: policy(&[
                allow(
                    &[
                        "ecr:GetAuthorizationToken",
                        "ecr:BatchGetImage",
                        "ecr:GetDownloadUrlForLayer",
                    ],
                    &["*".to_owned()],
                ),
                allow(&["ssm:GetParameters"], &[parameter]),
                allow(&["secretsmanager:GetSecretValue"], &[secret]),
                allow(
                    &["logs:CreateLogStream", "logs:PutLogEvents"],
                    &["*".to_owned()],
                ),
            ]),
        },
        // What the application itself may do: nothing, until it needs something.
        Role {
            name: role_name(world, environment, "task"),
            trust: service_trust("ecs-tasks.amazonaws.com"),
            permissions: policy(&[]),
        },
    ]
}

/// The role that reads the ledger and adds to an environment's chain.
pub(crate) fn permit(environment: &str) -> String {
    format!("slipway-permit-{environment}")
}

/// The role that CodeBuild runs an environment's stage with.
pub(crate) fn codebuild(environment: &str) -> String {
    format!("slipway-codebuild-{environment}")
}

/// The name of a service's `execution` or `task` role.
pub(crate) fn role_name(world: &World, environment: &Environment, kind: &str) -> String {
    format!("{}-{}-{kind}", world.service, environment.name)
}

/// Trusts, besides those who may change something, the plan of a pull request: anybody who may push a branch writes what runs
/// there, and so may read what this role reads, the state among it.
fn read_trust(world: &World, account: &str, names: &[&str]) -> Value {
    let repository = &world.repository;
    let mut trust = trust(world, account, names, true);
    let workflows = [
        format!("{repository}/.github/workflows/plan.yml@refs/pull/*"),
        "slipway-delivery/slipway/.github/workflows/plan.yml@*".to_owned(),
    ];
    if let Some(statements) = trust["Statement"].as_array_mut() {
        let pull = json!(format!("repo:{repository}:pull_request"));
        statements.push(github(account, &[("sub", pull)], &workflows));
    }
    trust
}

/// Trusts the repository's jobs in these environments, jobs of the main branch where asked for, and the CodeBuild
/// stages of the same environments.
fn trust(world: &World, account: &str, environments: &[&str], main: bool) -> Value {
    let repository = &world.repository;
    let mut subjects: Vec<String> = environments
        .iter()
        .map(|name| format!("repo:{repository}:environment:{name}"))
        .collect();
    if main {
        subjects.push(format!("repo:{repository}:ref:refs/heads/main"));
    }
    // The subject says which environment a job names, not which branch it is on: a branch that nobody reviewed could name
    // staging. So the branch counts too, and the workflow file, the repository's own or the one it calls.
    let workflows: Vec<String> = ["deliver.yml", "promote.yml"]
        .iter()
        .flat_map(|file| {
            [
                format!("{repository}/.github/workflows/{file}@refs/heads/main"),
                format!("slipway-delivery/slipway/.github/workflows/{file}@*"),
            ]
        })
        .collect();
    let stages: Vec<String> = environments
        .iter()
        .map(|name| format!("arn:aws:iam::{}:role/{}", world.build.id, codebuild(name)))
        .collect();
    json!({
        "Version": "2012-10-17",
        "Statement": [
            github(account, &[("sub", json!(subjects)), ("ref", json!("refs/heads/main"))], &workflows),
            {
                "Effect": "Allow",
                "Principal": {"AWS": stages},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            },
        ],
    })
}

/// Trusts GitHub's tokens with these claims, from jobs of these workflow files.
fn github(account: &str, claims: &[(&str, Value)], workflows: &[String]) -> Value {
    let mut equals = json!({(format!("{GITHUB_ISSUER}:aud")): AUDIENCE});
    for (claim, wanted) in claims {
        equals[format!("{GITHUB_ISSUER}:{claim}")] = wanted.clone();
    }
    json!({
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{account}:oidc-provider/{GITHUB_ISSUER}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": equals,
            "StringLike": {(format!("{GITHUB_ISSUER}:job_workflow_ref")): workflows},
        },
    })
}

fn service_trust(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    })
}

fn allow(actions: &[&str], resources: &[String]) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resources})
}

/// Reading and verifying with the keys of the build account. A policy of IAM names no alias as a resource, so the aliases are
/// a condition on its keys.
fn verify(world: &World) -> Value {
    json!({
        "Effect": "Allow",
        "Action": keys::READ,
        "Resource": [world.arn(&world.build.id, "kms", "key/*")],
        "Condition": {"ForAnyValue:StringEquals": {
            "kms:ResourceAliases": [World::PROVENANCE_KEY, World::LEDGER_KEY],
        }},
    })
}

/// Reading the hashes of records.
fn anchor_objects(world: &World) -> Value {
    allow(
        &["s3:GetObject"],
        &[format!("arn:aws:s3:::{}/*", world.anchor_bucket())],
    )
}

/// Finding them, with those that were written again.
fn anchor_list(world: &World) -> Value {
    allow(
        &["s3:ListBucket", "s3:ListBucketVersions"],
        &[format!("arn:aws:s3:::{}", world.anchor_bucket())],
    )
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(role: &Role) -> Vec<String> {
        let condition = &role.trust["Statement"][0]["Condition"]["StringEquals"];
        serde_json::from_value(condition[format!("{GITHUB_ISSUER}:sub")].clone()).unwrap()
    }

    #[test]
    fn only_the_first_environments_deploy_role_trusts_the_main_branch() {
        let world = World::named("w1", "127.1.2.3:4002");
        let deploys: Vec<Vec<String>> = world
            .environments
            .iter()
            .map(|each| {
                subjects(
                    environment(&world, each)
                        .iter()
                        .find(|role| role.name == "slipway-deploy")
                        .unwrap(),
                )
            })
            .collect();
        assert_eq!(
            deploys,
            [
                vec![
                    "repo:acme-w1/storefront:environment:dev",
                    "repo:acme-w1/storefront:ref:refs/heads/main"
                ],
                vec!["repo:acme-w1/storefront:environment:staging"],
                vec!["repo:acme-w1/storefront:environment:production"],
            ]
        );
    }

    #[test]
    fn who_publishes_may_add_nothing_but_notes_of_contents() {
        let world = World::named("w1", "127.1.2.3:4002");
        let publish = build(&world).swap_remove(0);
        assert_eq!(publish.name, "slipway-publish");
        let statements = publish.permissions["Statement"].as_array().unwrap().clone();
        let adds = writes(&statements);
        let [one] = adds.as_slice() else {
            panic!("{adds:?}");
        };
        assert_eq!(one["Action"], json!(["dynamodb:PutItem"]));
        let lists = &one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
        assert_eq!(*lists, json!(["content#*"]));
    }

    /// The statements that allow a change of a table.
    fn writes(statements: &[Value]) -> Vec<&Value> {
        let writes = |statement: &&Value| {
            statement["Action"]
                .to_string()
                .contains("\"dynamodb:PutItem\"")
        };
        statements.iter().filter(writes).collect()
    }

    #[test]
    fn a_permit_role_adds_to_the_chain_of_its_environment_and_trusts_that_environments_jobs_alone()
    {
        let world = World::named("w1", "127.1.2.3:4002");
        let roles = build(&world);
        for each in &world.environments {
            let role = roles
                .iter()
                .find(|role| role.name == permit(&each.name))
                .unwrap();
            let statements = role.permissions["Statement"].as_array().unwrap();
            let [one] = writes(statements)[..] else {
                panic!("{statements:?}");
            };
            assert_eq!(
                one["Condition"],
                json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [format!("storefront#{}", each.name)]}})
            );
            let other = |subject: &String| {
                world.environments.iter().any(|other| {
                    other.name != each.name
                        && subject.ends_with(&format!(":environment:{}", other.name))
                })
            };
            assert!(!subjects(role).iter().any(other), "{}", role.name);
        }
    }

    #[test]
    fn the_application_role_may_do_nothing_and_nobody_may_rewrite_the_ledger() {
        let world = World::named("w1", "127.1.2.3:4002");
        let task = environment(&world, &world.environments[0]).pop().unwrap();
        assert_eq!(task.permissions["Statement"], json!([]));
        for role in build(&world) {
            let text = role.permissions.to_string();
            assert!(
                !text.contains("DeleteItem") && !text.contains("UpdateItem"),
                "{}",
                role.name
            );
        }
    }
}

//! The roles of a world: who may assume each, and what it may do, which is what the documentation tells a user to permit.

use serde_json::{Value, json};

use super::{Environment, World};

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

/// The permissions of each role, as the documentation gives them to a user.
const PUBLISH: &str = include_str!("../../../docs/policies/publish.json");
const PERMIT: &str = include_str!("../../../docs/policies/permit.json");
const READ: &str = include_str!("../../../docs/policies/read.json");
const DEPLOY: &str = include_str!("../../../docs/policies/deploy.json");
const DEPLOY_UNGATED: &str = include_str!("../../../docs/policies/deploy-ungated.json");
const DEPLOY_STACK: &str = include_str!("../../../docs/policies/deploy-stack.json");
const DEPLOY_STACK_UNGATED: &str = include_str!("../../../docs/policies/deploy-stack-ungated.json");
const READ_STACK_PLAN: &str = include_str!("../../../docs/policies/read-stack-plan.json");
const DEPLOY_FUNCTION: &str = include_str!("../../../docs/policies/deploy-function.json");
const DEPLOY_FUNCTION_UNGATED: &str =
    include_str!("../../../docs/policies/deploy-function-ungated.json");
const READ_LEDGER: &str = include_str!("../../../docs/policies/read-ledger.json");
const EXECUTION: &str = include_str!("../../../docs/policies/execution.json");
const RUNTIME_STACK: &str =
    include_str!("../../../docs/examples/storefront/infra-cloudformation/stack-role.json");
const VAULT_STACK: &str = include_str!("../../../docs/examples/vault/infra/stack-role.json");
const CODEBUILD: &str = include_str!("../../../docs/policies/codebuild.json");
const CODEBUILD_INFRASTRUCTURE: &str =
    include_str!("../../../docs/policies/codebuild-infrastructure.json");
const CODEBUILD_INFRASTRUCTURE_PLAN: &str =
    include_str!("../../../docs/policies/codebuild-infrastructure-plan.json");
const CODEBUILD_BUILD: &str = include_str!("../../../docs/policies/codebuild-build.json");

/// The CodeBuild stage that builds, for every environment.
const BUILD: &str = "build";

/// The roles of the build account. A CodeBuild stage has a role of its own, so that only the stage behind an approval
/// reaches what the approval guards.
pub(crate) fn build(world: &World) -> Vec<Role> {
    let names: Vec<&str> = world
        .environments
        .iter()
        .map(|environment| environment.name.as_str())
        .collect();
    let account = &world.build.id;
    let mut roles = vec![
        Role {
            name: "slipway-publish".to_owned(),
            trust: publish_trust(world, account, &[BUILD]),
            permissions: filled(world, None, PUBLISH),
        },
        Role {
            name: "slipway-read".to_owned(),
            trust: trust(world, account, &names),
            permissions: filled(world, None, READ_LEDGER),
        },
    ];
    // Each adds to the chain of its environment alone.
    roles.extend(world.environments.iter().map(|environment| {
        let name = environment.name.as_str();
        Role {
            name: permit(name),
            trust: trust(world, account, &[name]),
            permissions: filled(world, Some(environment), PERMIT),
        }
    }));
    roles.push(Role {
        name: codebuild(BUILD),
        trust: service_trust("codebuild.amazonaws.com"),
        permissions: filled(world, None, CODEBUILD_BUILD),
    });
    roles.extend(world.environments.iter().flat_map(|environment| {
        [
            (environment.name.clone(), CODEBUILD),
            (infrastructure(&environment.name), CODEBUILD_INFRASTRUCTURE),
        ]
        .map(|(stage, permissions)| Role {
            name: codebuild(&stage),
            trust: service_trust("codebuild.amazonaws.com"),
            permissions: filled(world, Some(environment), permissions),
        })
    }));
    for environment in &world.environments {
        let name = permit(&environment.name);
        let role = roles.iter_mut().find(|role| role.name == name);
        if let Some(role) = role {
            trust_approvers(world, &environment.name, &mut role.trust);
        }
    }
    for role in &mut roles {
        if role.name == "slipway-read" || role.name.starts_with("slipway-permit-") {
            trust_approvals(world, &mut role.trust);
        }
    }
    roles
}

/// The permissions of the role `slipway-publish` on each repository of the build account: the documented ones, for all.
pub(crate) fn publish_anywhere(world: &World) -> Value {
    filled(
        world,
        None,
        &PUBLISH
            .replace("BASE_REPOSITORY", "*")
            .replace("REPOSITORY", "*"),
    )
}

/// The permissions of the role that appends to an environment's chain, for the chain of every service.
pub(crate) fn permit_any_service(world: &World, environment: &Environment) -> Value {
    let any = PERMIT
        .replace("SERVICE#ENVIRONMENT", "*#ENVIRONMENT")
        .replace("SERVICE/ENVIRONMENT", "*/ENVIRONMENT");
    filled(world, Some(environment), &any)
}

/// Trusts the workflow too that asks for the approvals of a promotion and takes the answers. It reaches the ledger alone.
fn trust_approvals(world: &World, trust: &mut Value) {
    let repository = &world.repository;
    let claim = format!("{GITHUB_ISSUER}:job_workflow_ref");
    let mut statements = trust["Statement"].as_array_mut().into_iter().flatten();
    let like = statements
        .find_map(|statement| statement["Condition"]["StringLike"][&claim].as_array_mut());
    if let Some(workflows) = like {
        workflows.push(json!(format!(
            "{repository}/.github/workflows/approve.yml@refs/heads/main"
        )));
        workflows.push(json!(
            "slipway-delivery/slipway/.github/workflows/approve.yml@*"
        ));
    }
}

/// Trusts the runs of the repository for approvals, and there only the workflow that slipway publishes.
fn trust_approvers(world: &World, environment: &str, trust: &mut Value) {
    let subject = json!(format!(
        "repo:{}:environment:{environment}",
        world.approvals_repository()
    ));
    let claims = [("sub", subject), ("ref", json!("refs/heads/main"))];
    let workflows = ["slipway-delivery/slipway/.github/workflows/approve.yml@*".to_owned()];
    if let Some(statements) = trust["Statement"].as_array_mut() {
        statements.push(github(&world.build.id, &claims, &workflows));
    }
}

/// The roles of an environment's account.
pub(crate) fn environment(world: &World, environment: &Environment) -> Vec<Role> {
    let account = &environment.account.id;
    let names: Vec<&str> = world
        .environments
        .iter()
        .map(|environment| environment.name.as_str())
        .collect();
    vec![
        Role {
            name: "slipway-read".to_owned(),
            trust: read_trust(world, account, &names),
            permissions: filled(world, Some(environment), READ),
        },
        Role {
            name: "slipway-deploy".to_owned(),
            trust: deploy_trust(world, environment),
            permissions: deploy(world, environment),
        },
        Role {
            name: role_name(world, environment, "execution"),
            trust: service_trust("ecs-tasks.amazonaws.com"),
            permissions: filled(world, Some(environment), EXECUTION),
        },
        // The application itself may do nothing, until it needs something.
        Role {
            name: role_name(world, environment, "task"),
            trust: service_trust("ecs-tasks.amazonaws.com"),
            permissions: json!({"Version": "2012-10-17", "Statement": []}),
        },
    ]
}

/// The role that reads the ledger and adds to an environment's chain.
pub(crate) fn permit(environment: &str) -> String {
    format!("slipway-permit-{environment}")
}

/// A documented policy with this world's names in the place of the words in capitals.
fn filled(world: &World, environment: Option<&Environment>, policy: &str) -> Value {
    let mut names = vec![
        ("BUILD_ACCOUNT", world.build.id.clone()),
        ("REGION", world.region.clone()),
        ("SERVICE", world.service.clone()),
        ("REPOSITORY", world.service.clone()),
        ("BASE_REPOSITORY", super::image::REPOSITORY.to_owned()),
        ("LEDGER_TABLE", World::LEDGER.to_owned()),
        ("ANCHOR_BUCKET", world.anchor_bucket()),
        ("ANCHOR_PREFIX", "slipway".to_owned()),
        ("APPROVALS_TOPIC", World::APPROVALS_TOPIC.to_owned()),
    ];
    if let Some(environment) = environment {
        let cluster = environment.cluster(&world.service);
        names.extend([
            ("ACCOUNT", environment.account.id.clone()),
            ("ENVIRONMENT", environment.name.clone()),
            ("CLUSTER", cluster.clone()),
            ("TASK_FAMILY", cluster),
            ("STATE_BUCKET", environment.state_bucket.clone()),
            ("LOCK_TABLE", environment.lock_table.clone()),
            ("EXECUTION_ROLE", role_name(world, environment, "execution")),
            ("TASK_ROLE", role_name(world, environment, "task")),
            ("STACK", environment.cluster(&world.service)),
            ("STACK_BUCKET", environment.state_bucket.clone()),
            ("STACK_ROLE", role_name(world, environment, "stack")),
            ("ASSET_BUCKET", bootstrapped(world, environment, "assets")),
            (
                "ASSET_REPOSITORY",
                bootstrapped(world, environment, "container-assets"),
            ),
            (
                "FUNCTION",
                format!("{}-*", environment.cluster(&world.service)),
            ),
        ]);
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut text = String::new();
    let mut rest = policy;
    while let Some(start) = rest.find(word) {
        let (before, from) = rest.split_at(start);
        let (this, after) = from.split_at(from.find(|c| !word(c)).unwrap_or(from.len()));
        let name = names.iter().find(|(placeholder, _)| *placeholder == this);
        text.push_str(before);
        text.push_str(name.map_or(this, |(_, name)| name));
        rest = after;
    }
    text.push_str(rest);
    serde_json::from_str(&text).unwrap_or_default()
}

/// The permissions of the role `slipway-deploy`: where there is a gate, it updates the service only to the permitted revision.
fn deploy(world: &World, environment: &Environment) -> Value {
    let own = filled(world, Some(environment), DEPLOY);
    if environment.name != World::ENVIRONMENTS[0] {
        return own;
    }
    both(own, filled(world, Some(environment), DEPLOY_UNGATED))
}

/// The permissions of the role `slipway-deploy` on each service of an environment's cluster: the documented ones without a
/// gate, for all.
pub(crate) fn deploy_anything(world: &World, environment: &Environment) -> Value {
    let [own, ungated] = [DEPLOY, DEPLOY_UNGATED].map(|policy| {
        let all = policy
            .replace("CLUSTER/SERVICE", "CLUSTER/*")
            .replace("TASK_FAMILY", "*");
        filled(world, Some(environment), &all)
    });
    both(own, ungated)
}

/// The permissions of the role `slipway-deploy` on the functions whose names begin like the environment's: the documented ones,
/// for all of these. Where there is a gate, it moves an alias only under a permit.
pub(crate) fn functions(world: &World, environment: &Environment) -> Value {
    let own = filled(world, Some(environment), DEPLOY_FUNCTION);
    if environment.name != World::ENVIRONMENTS[0] {
        return own;
    }
    both(
        own,
        filled(world, Some(environment), DEPLOY_FUNCTION_UNGATED),
    )
}

/// The role of an environment's functions.
pub(crate) fn function_role(world: &World, environment: &Environment) -> Role {
    Role {
        name: role_name(world, environment, "function"),
        trust: service_trust("lambda.amazonaws.com"),
        permissions: filled(world, Some(environment), EXECUTION),
    }
}

/// The trust of the role `slipway-deploy` where functions are deployed under permits: the role of the permits may tag a session
/// with a function's version, too.
pub(crate) fn function_trust(world: &World, environment: &Environment) -> Value {
    let mut trust = deploy_trust(world, environment);
    let functions = format!("function:{}-*", environment.cluster(&world.service));
    let versions = world.arn(&environment.account.id, "lambda", &functions);
    if let Some(statements) = trust["Statement"].as_array_mut() {
        statements.push(tagged(world, environment, "slipway-revision", &versions));
    }
    trust
}

/// The name that CDK's bootstrap stack gives to its bucket and its repository.
fn bootstrapped(world: &World, environment: &Environment, kind: &str) -> String {
    let (account, region) = (&environment.account.id, &world.region);
    format!("cdk-hnb659fds-{kind}-{account}-{region}")
}

/// The permissions of the roles `slipway-deploy` and `slipway-read` on the stacks whose names begin like the environment's: the
/// documented ones, for all of these. Where permits are asked for, the role that deploys executes a change set only under one.
pub(crate) fn stacks(world: &World, environment: &Environment, permitted: bool) -> [Value; 2] {
    let all = [DEPLOY_STACK, DEPLOY_STACK_UNGATED, READ, READ_STACK_PLAN];
    let [deploy, ungated, read, plan] = all.map(|policy| {
        // In every region, for stacks that have several.
        let all = policy
            .replace("stack/STACK/", "stack/STACK-*/")
            .replace(":cloudformation:REGION:", ":cloudformation:*:");
        filled(world, Some(environment), &all)
    });
    let deploy = match permitted {
        true => deploy,
        false => both(deploy, ungated),
    };
    // A stack's resources are compared with the permissions of whoever asks for it.
    let compared = json!({"Statement": [
        {"Effect": "Allow", "Action": ["sns:Get*", "sns:List*", "sqs:Get*", "sqs:List*"], "Resource": ["*"]},
    ]});
    [deploy, both(both(read, plan), compared)]
}

/// The role that CloudFormation changes an environment's stack with. It may do what the tests' templates need.
pub(crate) fn stack_role(world: &World, environment: &Environment) -> Role {
    Role {
        name: role_name(world, environment, "stack"),
        trust: service_trust("cloudformation.amazonaws.com"),
        permissions: json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["logs:*", "sns:*", "sqs:*", "ssm:*"], "Resource": ["*"]},
        ]}),
    }
}

/// The permissions of that role for the example's runtime, as the example gives them.
pub(crate) fn runtime_stack(world: &World, environment: &Environment, zone: &str) -> Value {
    let policy = RUNTIME_STACK.replace("HOSTED_ZONE", zone);
    filled(world, Some(environment), &policy)
}

/// The permissions of that role for the serverless example, as the example gives them.
pub(crate) fn vault_stack(world: &World, environment: &Environment) -> Value {
    filled(world, Some(environment), VAULT_STACK)
}

/// The permissions of the role that deploys on the example's functions, in every region, and on the parameters of its stacks, which
/// are read with the permissions of whoever plans.
pub(crate) fn vault_functions(world: &World, environment: &Environment) -> Value {
    let all = [DEPLOY_FUNCTION, DEPLOY_FUNCTION_UNGATED].map(|policy| {
        let name = format!("vault-{}-*", environment.name);
        let all = policy
            .replace(":lambda:REGION:", ":lambda:*:")
            .replace("FUNCTION", &name);
        filled(world, Some(environment), &all)
    });
    let [deploy, ungated] = all;
    let account = &environment.account.id;
    let parameters = format!("arn:aws:ssm:*:{account}:parameter/vault/*");
    let read = json!({"Statement": [
        {"Effect": "Allow", "Action": ["ssm:GetParameters"], "Resource": [parameters]},
    ]});
    both(both(deploy, ungated), read)
}

/// The role that stands for Lambda where it pulls images, by the policies of their repositories.
pub(crate) fn lambda(world: &World) -> Role {
    let repositories = format!("arn:aws:ecr:*:{}:repository/*", world.build.id);
    Role {
        name: World::LAMBDA.to_owned(),
        trust: service_trust("lambda.amazonaws.com"),
        permissions: json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]},
            {
                "Effect": "Allow",
                "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Resource": [repositories],
            },
        ]}),
    }
}

/// One policy with the statements of two.
fn both(mut policy: Value, mut other: Value) -> Value {
    if let (Some(all), Some(more)) = (
        policy["Statement"].as_array_mut(),
        other["Statement"].as_array_mut(),
    ) {
        all.append(more);
    }
    policy
}

/// The jobs and stages of an environment that run the repository's own code, and may therefore assume neither the role of its
/// permits nor the one that publishes.
pub(crate) fn infrastructure(environment: &str) -> String {
    format!("{environment}-infrastructure")
}

/// The role that CodeBuild runs a stage with: [`BUILD`], an environment, or an environment's infrastructure.
pub(crate) fn codebuild(stage: &str) -> String {
    format!("slipway-codebuild-{stage}")
}

/// The policies that let the first environment's CodeBuild stage publish too, which it may not by default: its own permission,
/// and the trust policy of the role that publishes.
pub(crate) fn first_stage_publishes(world: &World) -> (Value, Value) {
    let stages = [BUILD, World::ENVIRONMENTS[0]];
    let trust = publish_trust(world, &world.build.id, &stages);
    (filled(world, None, CODEBUILD_BUILD), trust)
}

/// The policies that let an environment's infrastructure read the ledger, which it has to where only permitted plans are applied:
/// a CodeBuild stage's permission, and the trust policy of the role that reads.
pub(crate) fn infrastructure_reads_ledger(
    world: &World,
    environment: &Environment,
) -> (Value, Value) {
    let code = infrastructure(&environment.name);
    let names = world.environments.iter().map(|each| each.name.as_str());
    let names: Vec<&str> = names.chain([code.as_str()]).collect();
    let mut trust = trust(world, &world.build.id, &names);
    trust_approvals(world, &mut trust);
    let permission = filled(world, Some(environment), CODEBUILD_INFRASTRUCTURE_PLAN);
    (permission, trust)
}

/// The name of a service's `execution` or `task` role.
pub(crate) fn role_name(world: &World, environment: &Environment, kind: &str) -> String {
    format!("{}-{}-{kind}", world.service, environment.name)
}

/// Trusts, besides those who may change something, the plan of a pull request: anybody who may push a branch writes what runs
/// there, and so may read what this role reads, the state among it.
fn read_trust(world: &World, account: &str, names: &[&str]) -> Value {
    let repository = &world.repository;
    let mut trust = trust(world, account, names);
    let workflows = [
        format!("{repository}/.github/workflows/plan.yml@refs/pull/*"),
        "slipway-delivery/slipway/.github/workflows/plan.yml@*".to_owned(),
        "slipway-delivery/slipway/.github/workflows/stack.yml@*".to_owned(),
    ];
    if let Some(statements) = trust["Statement"].as_array_mut() {
        let pull = json!(format!("repo:{repository}:pull_request"));
        statements.push(github(account, &[("sub", pull)], &workflows));
    }
    trust
}

/// Trusts the repository's jobs in these environments, and the CodeBuild stages of the same names.
fn trust(world: &World, account: &str, environments: &[&str]) -> Value {
    let repository = &world.repository;
    let subjects: Vec<String> = environments
        .iter()
        .map(|name| format!("repo:{repository}:environment:{name}"))
        .collect();
    // The subject says which environment a job names, not which branch it is on: a branch that nobody reviewed could name
    // staging. So the branch counts too, and the workflow file, the repository's own or the one it calls.
    let workflows: Vec<String> = ["continue.yml", "deliver.yml", "promote.yml", "stack.yml"]
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

/// Trusts an environment's jobs, those that run its infrastructure code among them, without session tags. In an environment
/// with a gate, which is every one but the first, only the role of its permits may tag a session: with the revision that a
/// permit was used up for, and with nothing else.
fn deploy_trust(world: &World, environment: &Environment) -> Value {
    let account = &environment.account.id;
    let code = infrastructure(&environment.name);
    let mut trust = trust(world, account, &[&environment.name, &code]);
    let Some(statements) = trust["Statement"].as_array_mut() else {
        return trust;
    };
    for statement in statements.iter_mut() {
        if statement["Principal"]["AWS"].is_array() {
            statement["Action"] = json!("sts:AssumeRole");
        }
    }
    if environment.name != World::ENVIRONMENTS[0] {
        let family = environment.cluster(&world.service);
        let revisions = world.arn(account, "ecs", &format!("task-definition/{family}:*"));
        statements.push(tagged(world, environment, "slipway-revision", &revisions));
    }
    trust
}

/// The same where the infrastructure is a stack whose change sets are executed under permits: then the role of the permits may tag a
/// session with the name of one, too.
pub(crate) fn stack_trust(world: &World, environment: &Environment) -> Value {
    let mut trust = deploy_trust(world, environment);
    if let Some(statements) = trust["Statement"].as_array_mut() {
        statements.push(tagged(
            world,
            environment,
            "slipway-change-set",
            "slipway-*",
        ));
    }
    trust
}

/// Lets the role of an environment's permits open sessions with this tag, and with nothing else.
fn tagged(world: &World, environment: &Environment, key: &str, values: &str) -> Value {
    let role = format!(
        "arn:aws:iam::{}:role/{}",
        world.build.id,
        permit(&environment.name)
    );
    json!({
        "Effect": "Allow",
        "Principal": {"AWS": role},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringLike": {(format!("aws:RequestTag/{key}")): values},
            "ForAllValues:StringEquals": {"aws:TagKeys": key, "sts:TransitiveTagKeys": key},
            "Null": {"sts:TransitiveTagKeys": "false"},
        },
    })
}

/// Trusts the one job that builds, and these CodeBuild stages. The job names no environment, so its subject is that of the
/// branch, which no other job has.
fn publish_trust(world: &World, account: &str, stages: &[&str]) -> Value {
    let repository = &world.repository;
    let subject = json!(format!("repo:{repository}:ref:refs/heads/main"));
    let workflows = [
        format!("{repository}/.github/workflows/deliver.yml@refs/heads/main"),
        "slipway-delivery/slipway/.github/workflows/deliver.yml@*".to_owned(),
    ];
    let mut trust = trust(world, account, stages);
    let claims = [("sub", subject), ("ref", json!("refs/heads/main"))];
    trust["Statement"][0] = github(account, &claims, &workflows);
    trust
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

#[cfg(test)]
mod tests;

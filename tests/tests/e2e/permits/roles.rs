//! The permissions of the roles themselves, whatever a workflow does.

use sandbox::world::World;
use sandbox::world::aws::{Aws, Keys};
use serde_json::{Value, json};

use super::{ECS, Setting, TIMEOUT, ends};
use crate::support::{element, instance, wait};

/// A session that the infrastructure's stage opens, as a step of such a job has it; or the code of the refusal.
pub(super) fn opened(setting: &Setting, role: &str, tag: Option<&str>) -> Result<Aws, String> {
    let stage = format!("{}-infrastructure", setting.environment);
    let keys = setting.world.codebuild_session(instance(), &stage, "code");
    let stage = wait(TIMEOUT, keys).unwrap();
    let stage = setting.world.caller(instance(), stage).unwrap();
    assumed(
        setting.world,
        &stage,
        role,
        tag.map(|tag| ("slipway-revision", tag)),
    )
}

/// A call to ECS in a session of the deploy role without a permit's tag, as code of an infrastructure job makes it; or the refusal.
pub(super) fn by_infrastructure(
    setting: &Setting,
    operation: &str,
    input: &Value,
) -> Result<Value, String> {
    let environment = setting.world.environment(setting.environment).unwrap();
    let account = &environment.account.id;
    let deploy = format!("arn:aws:iam::{account}:role/slipway-deploy");
    let code = opened(setting, &deploy, None).unwrap();
    let target = format!("{ECS}.{operation}");
    let answer = wait(TIMEOUT, code.json("ecs", &target, input));
    answer.unwrap().map_err(|refused| format!("{refused:?}"))
}

/// A role that a caller assumes, in a session with this tag; or the code of the refusal.
pub(crate) fn assumed(
    world: &World,
    caller: &Aws,
    role: &str,
    tag: Option<(&str, &str)>,
) -> Result<Aws, String> {
    let mut asked = vec![("RoleArn", role), ("RoleSessionName", "code")];
    if let Some((key, value)) = tag {
        asked.extend([
            ("Tags.member.1.Key", key),
            ("Tags.member.1.Value", value),
            ("TransitiveTagKeys.member.1", key),
        ]);
    }
    let answer = wait(
        TIMEOUT,
        caller.query("sts", "2011-06-15", "AssumeRole", &asked),
    );
    let xml = answer.unwrap().map_err(|refused| format!("{refused:?}"))?;
    let keys = Keys {
        access_key_id: element(&xml, "AccessKeyId").unwrap(),
        secret_access_key: element(&xml, "SecretAccessKey").unwrap(),
        session_token: element(&xml, "SessionToken"),
    };
    Ok(world.caller(instance(), keys).unwrap())
}

/// The input that registers the running task definition again, with another image.
fn attack(setting: &Setting, running: &str) -> Value {
    let found = setting.ecs(
        "DescribeTaskDefinition",
        &json!({"taskDefinition": running}),
    );
    let found = &found["taskDefinition"];
    let mut container = found["containerDefinitions"][0].clone();
    container["image"] = json!("attacker.example/storefront:latest");
    let mut registered = json!({"containerDefinitions": [container]});
    for name in [
        "family",
        "networkMode",
        "requiresCompatibilities",
        "cpu",
        "memory",
        "executionRoleArn",
    ] {
        registered[name] = found[name].clone();
    }
    registered
}

/// The code of an infrastructure job has the role that deploys, and neither the gate's nor the build's.
#[test]
fn code_of_the_infrastructure_cannot_change_which_version_runs() {
    let setting = Setting::new("production", "infrastructure");
    let account = &setting.world.environment("production").unwrap().account.id;
    let build = &setting.world.build.id;
    let deploy = format!("arn:aws:iam::{account}:role/slipway-deploy");
    let code = opened(&setting, &deploy, None).unwrap();
    let running = setting.service()["taskDefinition"]
        .as_str()
        .unwrap()
        .to_owned();
    for role in [
        "slipway-permit-production",
        "slipway-publish",
        "slipway-read",
    ] {
        let role = format!("arn:aws:iam::{build}:role/{role}");
        let refused = opened(&setting, &role, None).err().unwrap();
        assert!(refused.contains("AccessDenied"), "{refused}");
    }
    let refused = opened(&setting, &deploy, Some(&running)).err().unwrap();
    assert!(refused.contains("sts:TagSession"), "{refused}");

    // It registers a revision of another image, and cannot have the service run it.
    let registered = attack(&setting, &running);
    let call = |operation: &str, input: &Value| {
        let target = format!("{ECS}.{operation}");
        wait(TIMEOUT, code.json("ecs", &target, input)).unwrap()
    };
    let registered = call("RegisterTaskDefinition", &registered).unwrap();
    let own = &registered["taskDefinition"]["taskDefinitionArn"];
    let own = own.as_str().unwrap();
    let name = own.rsplit('/').next().unwrap();
    let family = name.split(':').next().unwrap();
    let update = |more: &Value| {
        let mut input = json!({"cluster": setting.cluster(), "service": setting.world.service});
        for (name, value) in more.as_object().unwrap() {
            input[name] = value.clone();
        }
        call("UpdateService", &input)
    };
    for revision in [own, name, family, running.as_str()] {
        let refused = update(&json!({"taskDefinition": revision})).unwrap_err();
        let refused = format!("{refused:?}");
        assert!(
            refused.contains("AccessDenied") && refused.contains("ecs:UpdateService"),
            "{refused}"
        );
    }
    // Other settings of the service are the infrastructure's.
    update(&json!({"desiredCount": 1})).unwrap();
    assert_eq!(setting.service()["taskDefinition"], running);
    setting.ecs("DeregisterTaskDefinition", &json!({"taskDefinition": own}));

    // The step without a permit is refused before anything is asked; and it says what to do.
    let expected = [
        "production has a gate",
        "slipway-promote grant --environment production --digest sha256:",
    ];
    ends(&mut setting.deploy("", &[]), 3, &expected);
    ends(
        &mut setting.deploy("", &["--dry-run"]),
        0,
        &["needs a permit"],
    );
}

/// A tag of the role itself would count as one of its sessions: code that manages roles must not reach those of the gate.
#[test]
fn code_that_manages_roles_leaves_those_of_the_gate_alone() {
    let setting = Setting::new("staging", "roles");
    let account = &setting.world.environment("staging").unwrap().account.id;
    let deploy = format!("arn:aws:iam::{account}:role/slipway-deploy");
    let iam = |aws: &Aws, action: &str, further: &[(&str, &str)]| {
        let mut all = vec![("RoleName", "slipway-deploy")];
        all.extend(further);
        wait(TIMEOUT, aws.query("iam", "2010-05-08", action, &all)).unwrap()
    };
    let statement = json!({"Effect": "Allow", "Action": "iam:*", "Resource": "*"});
    let document = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let named = [("PolicyName", "roles"), ("PolicyDocument", &document)];
    iam(&setting.aws, "PutRolePolicy", &named).unwrap();
    let code = opened(&setting, &deploy, None).unwrap();
    iam(&code, "GetRole", &[]).unwrap();
    let running = setting.service()["taskDefinition"].clone();
    let tag = [
        ("Tags.member.1.Key", "slipway-revision"),
        ("Tags.member.1.Value", running.as_str().unwrap()),
    ];
    let trust = [("PolicyDocument", document.as_str())];
    let own = [("PolicyName", "slipway-deploy")];
    let managed = [("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")];
    for (action, further) in [
        ("TagRole", &tag[..]),
        ("UpdateAssumeRolePolicy", &trust),
        ("PutRolePolicy", &named),
        ("DeleteRolePolicy", &own),
        ("AttachRolePolicy", &managed),
    ] {
        let refused = format!("{:?}", iam(&code, action, further).unwrap_err());
        assert!(refused.contains("explicit deny"), "{action}: {refused}");
    }
    iam(&setting.aws, "DeleteRolePolicy", &named[..1]).unwrap();
}

/// The role that deploys writes the table of locks in its own account, and neither writes nor changes a record or a permit.
#[test]
fn the_role_that_deploys_cannot_plant_a_record() {
    let setting = Setting::new("staging", "planted");
    let account = &setting.world.environment("staging").unwrap().account.id;
    let deploy = format!("arn:aws:iam::{account}:role/slipway-deploy");
    let code = opened(&setting, &deploy, None).unwrap();
    let before = setting.items();
    let ledger = format!(
        "arn:aws:dynamodb:{}:{}:table/{}",
        World::REGION,
        setting.world.build.id,
        World::LEDGER
    );
    // The newest record says that another run was healthy.
    let mut item = before[0].clone();
    let record = item["record"]["S"].as_str().unwrap();
    item["record"]["S"] = json!(record.replace("\"failed\"", "\"healthy\""));
    let key = json!({"chain": item["chain"], "seq": item["seq"]});
    let mut next = item.clone();
    next["seq"]["N"] = json!((before.len() + 1).to_string());
    let values = json!({":r": item["record"]});
    for (operation, mut input) in [
        ("PutItem", json!({"Item": item})),
        ("PutItem", json!({"Item": next})),
        (
            "UpdateItem",
            json!({"Key": key, "UpdateExpression": "SET #r = :r", "ExpressionAttributeNames": {"#r": "record"},
                "ExpressionAttributeValues": values}),
        ),
        ("DeleteItem", json!({"Key": key})),
    ] {
        input["TableName"] = json!(ledger);
        denied(&code, operation, &input);
    }
    let put = json!({"Put": {"TableName": ledger, "Item": next}});
    denied(
        &code,
        "TransactWriteItems",
        &json!({"TransactItems": [put]}),
    );
    let put = json!({"PutRequest": {"Item": next}});
    let many = json!({"RequestItems": {ledger.as_str(): [put]}});
    denied(&code, "BatchWriteItem", &many);
    assert_eq!(setting.items(), before);
}

/// The role that permits adds to its environment's chain. It neither changes what is there nor writes another environment's.
#[test]
fn the_role_that_permits_appends_to_its_own_chain_alone() {
    let setting = Setting::new("staging", "appended");
    let world = setting.world;
    let keys = wait(
        TIMEOUT,
        world.codebuild_session(instance(), "staging", "e2e"),
    );
    let stage = world.caller(instance(), keys.unwrap()).unwrap();
    let role = format!(
        "arn:aws:iam::{}:role/slipway-permit-staging",
        world.build.id
    );
    let permits = assumed(world, &stage, &role, None).unwrap();
    let before = setting.items();
    let mut next = before[0].clone();
    next["seq"]["N"] = json!((before.len() + 1).to_string());
    let key = json!({"chain": next["chain"], "seq": before[0]["seq"]});
    let mut other = next.clone();
    other["chain"]["S"] = json!(format!("{}#production", world.service));
    let values = json!({":r": next["record"]});
    for (operation, mut input) in [
        ("PutItem", json!({"Item": other})),
        (
            "UpdateItem",
            json!({"Key": key, "UpdateExpression": "SET #r = :r", "ExpressionAttributeNames": {"#r": "record"},
                "ExpressionAttributeValues": values}),
        ),
        ("DeleteItem", json!({"Key": key})),
    ] {
        input["TableName"] = json!(World::LEDGER);
        denied(&permits, operation, &input);
    }
    let put = |item: &Value| json!({"Put": {"TableName": World::LEDGER, "Item": item}});
    let both = json!({"TransactItems": [put(&next), put(&other)]});
    denied(&permits, "TransactWriteItems", &both);
    let many = json!({"RequestItems": {World::LEDGER: [{"PutRequest": {"Item": next}}]}});
    denied(&permits, "BatchWriteItem", &many);
    let image = json!({"repositoryName": world.service, "imageManifest": "{}", "imageTag": "v1"});
    let target = "AmazonEC2ContainerRegistry_V20150921.PutImage";
    let answer = wait(TIMEOUT, permits.json("ecr", target, &image)).unwrap();
    let refused = format!("{:?}", answer.unwrap_err());
    assert!(refused.contains("AccessDenied"), "{refused}");
    assert_eq!(setting.items(), before);

    // What it may do, it does: the refusals have no other reason.
    let added = json!({"TableName": World::LEDGER, "Item": next});
    let target = "DynamoDB_20120810.PutItem";
    let answer = wait(TIMEOUT, permits.json("dynamodb", target, &added));
    answer.unwrap().unwrap();
    assert_eq!(setting.items().len(), before.len() + 1);
}

/// Expects that a call of DynamoDB is refused for want of the permission.
#[track_caller]
fn denied(code: &Aws, operation: &str, input: &Value) {
    let target = format!("DynamoDB_20120810.{operation}");
    let answer = wait(TIMEOUT, code.json("dynamodb", &target, input)).unwrap();
    let refused = format!("{:?}", answer.unwrap_err());
    assert!(refused.contains("AccessDenied"), "{operation}: {refused}");
}

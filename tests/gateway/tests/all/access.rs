//! Permissions, enforced: what a role lacks it is refused in AWS's words, and what only one role may tag only that role opens.

use aws_credential_types::Credentials;
use serde_json::{Value, json};

use crate::support::{REGION, World, assume, refused, world};

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn trust(principals: &Value, actions: &Value) -> Value {
    policy(&[json!({"Effect": "Allow", "Principal": {"AWS": principals}, "Action": actions})])
}

/// A session of a fresh role in dev's account with this one policy.
async fn session(world: &World, name: &str, statements: &[Value]) -> Credentials {
    let account = &world.dev_id;
    let trusted = trust(&json!(account), &json!("sts:AssumeRole"));
    world.role(&world.dev, name, &trusted).await;
    world.permit(&world.dev, name, &policy(statements)).await;
    assume(
        world,
        &world.dev,
        &format!("arn:aws:iam::{account}:role/{name}"),
    )
    .await
}

async fn json_call(world: &World, by: &Credentials, target: &str, input: &Value) -> (u16, Value) {
    let service = match target.split('.').next().unwrap() {
        "AmazonEC2ContainerServiceV20141113" => "ecs",
        "secretsmanager" => "secretsmanager",
        _ => "ssm",
    };
    let headers = [
        ("x-amz-target", target),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let (status, text) = world.call(by, service, &headers, &input.to_string()).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn an_object_and_its_versions_need_permissions_of_their_own() {
    let world = world().await;
    let bucket = format!("state-{}", world.name);
    let own = aws_sdk_s3::Client::new(&world.sdk(&world.dev).await);
    let configuration = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(REGION.into())
        .build();
    let made = own.create_bucket().bucket(&bucket);
    made.create_bucket_configuration(configuration)
        .send()
        .await
        .unwrap();
    let put = own.put_object().bucket(&bucket).key("dev/a");
    put.body(b"1".to_vec().into()).send().await.unwrap();
    let reader = session(
        &world,
        "reader",
        &[json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/dev/*")})],
    )
    .await;
    let s3 = aws_sdk_s3::Client::new(&world.sdk(&reader).await);
    let get = |key: &str| s3.get_object().bucket(&bucket).key(key);
    get("dev/a").send().await.unwrap();
    let (code, message) = refused(get("dev/a").version_id("1").send().await);
    let why = format!(
        "is not authorized to perform: s3:GetObjectVersion on resource: \"arn:aws:s3:::{bucket}/dev/a\" because no identity-based policy allows the s3:GetObjectVersion action"
    );
    assert_eq!(code, "AccessDenied");
    assert!(message.ends_with(&why), "{message}");
    assert_eq!(refused(get("prod/a").send().await).0, "AccessDenied");
    // Without the permission to list, an object that is missing looks like one that is forbidden.
    assert_eq!(refused(get("dev/none").send().await).0, "AccessDenied");
    let list = json!({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{bucket}")});
    let read = json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"});
    world
        .permit(&world.dev, "reader", &policy(&[list, read]))
        .await;
    assert_eq!(refused(get("dev/none").send().await).0, "NoSuchKey");
}

#[tokio::test]
async fn an_explicit_denial_and_a_session_policy_outweigh_what_a_role_may_do() {
    let world = world().await;
    let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let secret = format!("arn:aws:ssm:{REGION}:{}:parameter/prod/*", world.dev_id);
    let not_prod = json!({"Effect": "Deny", "Action": "ssm:*", "Resource": secret});
    let broad = session(&world, "broad", &[everything, not_prod]).await;
    let ask = async |by: &Credentials, name: &str| {
        json_call(
            &world,
            by,
            "AmazonSSM.GetParameters",
            &json!({"Names": [name]}),
        )
        .await
    };
    assert_eq!(ask(&broad, "/dev/a").await.0, 200);
    let (status, answer) = ask(&broad, "/prod/a").await;
    assert_eq!(
        (status, &answer["__type"]),
        (400, &json!("AccessDeniedException"))
    );
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.ends_with("with an explicit deny in an identity-based policy"),
        "{message}"
    );
    let narrow = policy(&[json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})]);
    let sts = aws_sdk_sts::Client::new(&world.sdk(&world.dev).await);
    let role = format!("arn:aws:iam::{}:role/broad", world.dev_id);
    let opened = sts
        .assume_role()
        .role_arn(role)
        .role_session_name("narrow")
        .policy(narrow.to_string())
        .send()
        .await
        .unwrap();
    let (_, answer) = ask(&given(opened.credentials()), "/dev/a").await;
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.ends_with("because no session policy allows the ssm:GetParameters action"),
        "{message}"
    );
}

fn given(credentials: Option<&aws_sdk_sts::types::Credentials>) -> Credentials {
    let given = credentials.unwrap();
    Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token().to_owned()),
        None,
        "t",
    )
}

#[tokio::test]
async fn a_secret_is_known_by_the_arn_with_its_suffix() {
    let world = world().await;
    let target = "secretsmanager.CreateSecret";
    let made = json!({"Name": "shop/api", "SecretString": "x", "ClientRequestToken": uuid::Uuid::new_v4().to_string()});
    assert_eq!(json_call(&world, &world.dev, target, &made).await.0, 200);
    for (role, suffix, status) in [
        ("exact", "shop/api", 400),
        ("suffix", "shop/api-??????", 200),
    ] {
        let resource = format!(
            "arn:aws:secretsmanager:{REGION}:{}:secret:{suffix}",
            world.dev_id
        );
        let may = json!({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": resource});
        let by = session(&world, role, &[may]).await;
        let target = "secretsmanager.GetSecretValue";
        let asked = json_call(&world, &by, target, &json!({"SecretId": "shop/api"})).await;
        assert_eq!(asked.0, status, "{role}: {}", asked.1);
    }
}

/// A deploy role that may set a service to one revision only: the one that its session is tagged with. Its trust policy lets
/// only the permit role tag a session, with that tag and no other, and everybody else it trusts without any.
async fn gated(world: &World) -> (Credentials, Credentials, String) {
    let (build, dev) = (&world.build_id, &world.dev_id);
    let deploy = format!("arn:aws:iam::{dev}:role/deploy");
    let opens = json!({"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": deploy});
    let mut sessions = Vec::new();
    for name in ["permit", "stage"] {
        let trusted = trust(&json!(build), &json!("sts:AssumeRole"));
        world.role(&world.build, name, &trusted).await;
        let may = policy(std::slice::from_ref(&opens));
        world.permit(&world.build, name, &may).await;
        let role = format!("arn:aws:iam::{build}:role/{name}");
        sessions.push(assume(world, &world.build, &role).await);
    }
    let role = |name: &str| format!("arn:aws:iam::{build}:role/{name}");
    let trusted = policy(&[
        json!({"Effect": "Allow", "Principal": {"AWS": [role("permit"), role("stage")]}, "Action": "sts:AssumeRole"}),
        json!({
            "Effect": "Allow",
            "Principal": {"AWS": role("permit")},
            "Action": "sts:TagSession",
            "Condition": {
                "StringLike": {"aws:RequestTag/slipway-revision": "arn:aws:ecs:*:*:task-definition/*"},
                "ForAllValues:StringEquals": {"aws:TagKeys": "slipway-revision", "sts:TransitiveTagKeys": "slipway-revision"},
                "Null": {"sts:TransitiveTagKeys": "false"},
            },
        }),
    ]);
    world.role(&world.dev, "deploy", &trusted).await;
    let update = json!({
        "Effect": "Allow",
        "Action": "ecs:UpdateService",
        "Resource": format!("arn:aws:ecs:{REGION}:{dev}:service/shop-dev/shop"),
        "Condition": {"ArnEquals": {"ecs:task-definition": "${aws:PrincipalTag/slipway-revision}"}},
    });
    world.permit(&world.dev, "deploy", &policy(&[update])).await;
    let stage = sessions.pop().unwrap();
    (sessions.pop().unwrap(), stage, deploy)
}

/// Opens a session of a role with tags, of which `transitive` go on.
async fn tagged(
    world: &World,
    by: &Credentials,
    role: &str,
    tags: &[(&str, &str)],
    transitive: &[&str],
) -> Result<Credentials, String> {
    let sts = aws_sdk_sts::Client::new(&world.sdk(by).await);
    let mut ask = sts.assume_role().role_arn(role).role_session_name("next");
    for (key, value) in tags {
        let tag = aws_sdk_sts::types::Tag::builder().key(*key).value(*value);
        ask = ask.tags(tag.build().unwrap());
    }
    for key in transitive {
        ask = ask.transitive_tag_keys(*key);
    }
    match ask.send().await {
        Ok(opened) => Ok(given(opened.credentials())),
        refusal => Err(refused(refusal).1),
    }
}

#[tokio::test]
async fn only_a_session_that_the_permit_role_tagged_updates_the_service_to_that_revision() {
    let world = world().await;
    let (permit, stage, deploy) = gated(&world).await;
    let revision = format!(
        "arn:aws:ecs:{REGION}:{}:task-definition/shop-dev:7",
        world.dev_id
    );
    let tag = [("slipway-revision", revision.as_str())];
    let keys = ["slipway-revision"];

    // A role that is not a permit role cannot tag, and the permit role can tag with nothing else and cannot keep the tag back.
    let refusals = [
        tagged(&world, &stage, &deploy, &tag, &keys).await,
        tagged(&world, &permit, &deploy, &tag, &[]).await,
        tagged(
            &world,
            &permit,
            &deploy,
            &[("slipway-revision", "any")],
            &keys,
        )
        .await,
        tagged(&world, &permit, &deploy, &[tag[0], ("team", "shop")], &keys).await,
    ];
    for refusal in refusals {
        let message = refusal.unwrap_err();
        assert!(message.contains("sts:TagSession"), "{message}");
    }

    let plain = tagged(&world, &stage, &deploy, &[], &[]).await.unwrap();
    let permitted = tagged(&world, &permit, &deploy, &tag, &keys).await.unwrap();
    let update = async |by: &Credentials, definition: Option<&str>, service: &str| {
        let mut input = json!({"cluster": "shop-dev", "service": service});
        if let Some(definition) = definition {
            input["taskDefinition"] = json!(definition);
        }
        json_call(
            &world,
            by,
            "AmazonEC2ContainerServiceV20141113.UpdateService",
            &input,
        )
        .await
    };
    for definition in [Some(revision.as_str()), Some("shop-dev:7")] {
        let allowed = update(&permitted, definition, "shop").await;
        assert_eq!(allowed.0, 200, "{}", allowed.1);
    }
    for (by, definition, service) in [
        (&plain, Some("shop-dev:7"), "shop"),
        (&plain, Some("${aws:PrincipalTag/slipway-revision}"), "shop"),
        (&permitted, Some("shop-dev:8"), "shop"),
        (&permitted, Some("shop-dev"), "shop"),
        (&permitted, None, "shop"),
        (&permitted, Some("shop-dev:7"), "other"),
    ] {
        let (status, answer) = update(by, definition, service).await;
        assert_eq!(status, 400, "{definition:?} {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.contains(
                "is not authorized to perform: ecs:UpdateService on resource: arn:aws:ecs:"
            ) && message
                .ends_with("because no identity-based policy allows the ecs:UpdateService action"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_transitive_tag_goes_down_the_chain_and_cannot_be_set_again() {
    let world = world().await;
    let dev = &world.dev_id;
    let both = json!(["sts:AssumeRole", "sts:TagSession"]);
    for name in ["first", "second"] {
        let trusted = trust(&json!(dev), &both);
        world.role(&world.dev, name, &trusted).await;
    }
    let may = json!({"Effect": "Allow", "Action": both, "Resource": "*"});
    world.permit(&world.dev, "first", &policy(&[may])).await;
    let own = json!({"Effect": "Allow", "Action": "ssm:GetParameters",
                     "Resource": format!("arn:aws:ssm:{REGION}:{dev}:parameter/${{aws:PrincipalTag/team}}/*")});
    world.permit(&world.dev, "second", &policy(&[own])).await;
    let (first, second) = ["first", "second"]
        .map(|name| format!("arn:aws:iam::{dev}:role/{name}"))
        .into();
    let tag = [("team", "shop"), ("stage", "dev")];
    let by = tagged(&world, &world.dev, &first, &tag, &["team"])
        .await
        .unwrap();
    let refusal = tagged(&world, &by, &second, &[("team", "other")], &[]).await;
    let message = refusal.unwrap_err();
    assert!(
        message.contains("conflicts with a transitive tag key"),
        "{message}"
    );
    let absent = tagged(&world, &world.dev, &first, &tag, &["none"]).await;
    let message = absent.unwrap_err();
    assert!(message.contains("must be included"), "{message}");
    let last = tagged(&world, &by, &second, &[], &[]).await.unwrap();
    for (name, status) in [("/shop/a", 200), ("/dev/a", 400), ("/other/a", 400)] {
        let names = json!({"Names": [name]});
        let asked = json_call(&world, &last, "AmazonSSM.GetParameters", &names).await;
        assert_eq!(asked.0, status, "{name}: {}", asked.1);
    }
}

#[tokio::test]
async fn registering_a_task_definition_passes_its_roles() {
    let world = world().await;
    let dev = &world.dev_id;
    let family = format!("arn:aws:ecs:{REGION}:{dev}:task-definition/shop-dev:*");
    let register =
        json!({"Effect": "Allow", "Action": "ecs:RegisterTaskDefinition", "Resource": family});
    let pass = json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": format!("arn:aws:iam::{dev}:role/shop-*"),
                      "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}});
    let by = session(&world, "deploy", &[register, pass]).await;
    let task = format!("arn:aws:iam::{dev}:role/shop-task");
    let admin = format!("arn:aws:iam::{dev}:role/OrganizationAccountAccessRole");
    let other = format!("arn:aws:iam::{}:role/shop-task", world.build_id);
    for (input, denied) in [
        (
            json!({"family": "shop-dev", "taskRoleArn": task, "executionRoleArn": "shop-execution"}),
            None,
        ),
        (
            json!({"family": "shop-dev", "taskRoleArn": admin}),
            Some(format!("iam:PassRole on resource: {admin}")),
        ),
        (
            json!({"family": "shop-dev", "executionRoleArn": other}),
            Some(format!("iam:PassRole on resource: {other}")),
        ),
        (
            json!({"family": "shop-prod"}),
            Some(format!(
                "ecs:RegisterTaskDefinition on resource: arn:aws:ecs:{REGION}:{dev}:task-definition/shop-prod:*"
            )),
        ),
    ] {
        let target = "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition";
        let (status, answer) = json_call(&world, &by, target, &input).await;
        let message = answer["message"].as_str().unwrap_or_default();
        match denied {
            None => assert_eq!(status, 200, "{answer}"),
            Some(piece) => assert!(status == 400 && message.contains(&piece), "{answer}"),
        }
    }
}

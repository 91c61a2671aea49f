//! The identity behind a key, role chaining, and the form of a refusal in each protocol.

use aws_credential_types::Credentials;
use serde_json::json;

use crate::support::{World, assume, credentials, refused, world};

async fn sts(world: &World, credentials: &Credentials) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::new(&world.sdk(credentials).await)
}

/// The ARN of who the credentials are.
async fn caller(world: &World, credentials: &Credentials) -> String {
    let sts = sts(world, credentials).await;
    let me = sts.get_caller_identity().send().await.unwrap();
    me.arn().unwrap().to_owned()
}

/// The codes with which four services, each with a protocol of its own, refuse the credentials: SSM, DynamoDB, STS and S3.
async fn codes(world: &World, credentials: &Credentials) -> [String; 4] {
    codes_of(world.sdk(credentials).await).await
}

async fn codes_of(sdk: aws_config::SdkConfig) -> [String; 4] {
    let ssm = aws_sdk_ssm::Client::new(&sdk).describe_parameters();
    let dynamodb = aws_sdk_dynamodb::Client::new(&sdk).list_tables();
    let sts = aws_sdk_sts::Client::new(&sdk).get_caller_identity();
    let s3 = aws_sdk_s3::Client::new(&sdk).list_buckets();
    [
        refused(ssm.send().await).0,
        refused(dynamodb.send().await).0,
        refused(sts.send().await).0,
        refused(s3.send().await).0,
    ]
}

#[tokio::test]
async fn a_role_is_assumed_across_accounts_only_by_whom_it_names() {
    let world = world().await;
    let (build, dev) = (&world.build_id, &world.dev_id);
    let trust = |principal: String| json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}});
    world
        .role(
            &world.build,
            "ci",
            &trust(format!("arn:aws:iam::{build}:root")),
        )
        .await;
    world
        .role(
            &world.dev,
            "deploy",
            &trust(format!("arn:aws:iam::{build}:role/ci")),
        )
        .await;
    let deploy = format!("arn:aws:iam::{dev}:role/deploy");
    let (code, message) = refused(
        sts(&world, &world.build)
            .await
            .assume_role()
            .role_arn(&deploy)
            .role_session_name("next")
            .send()
            .await,
    );
    assert_eq!(code, "AccessDenied");
    assert!(
        message.ends_with(&format!(
            "is not authorized to perform: sts:AssumeRole on resource: {deploy}"
        )),
        "{message}"
    );
    let ci = assume(
        &world,
        &world.build,
        &format!("arn:aws:iam::{build}:role/ci"),
    )
    .await;
    // The role that is assumed trusts the other account's role, which needs the permission of its own account besides.
    let mut ask = sts(&world, &ci).await.assume_role();
    ask = ask.role_arn(&deploy).role_session_name("next");
    assert_eq!(refused(ask.send().await).0, "AccessDenied");
    let may = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": deploy}]});
    world.permit(&world.build, "ci", &may).await;
    let deploy = assume(&world, &ci, &deploy).await;
    assert_eq!(
        caller(&world, &deploy).await,
        format!("arn:aws:sts::{dev}:assumed-role/deploy/next")
    );
}

/// A user of dev's account that may assume every role, by an access key.
async fn user(world: &World, name: &str) -> Credentials {
    let version = ("Version", "2010-05-08");
    let create = [("Action", "CreateUser"), ("UserName", name), version];
    assert_eq!(world.query(&world.dev, "iam", &create).await.0, 200);
    let may = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]});
    let form = [
        ("Action", "PutUserPolicy"),
        version,
        ("UserName", name),
        ("PolicyName", name),
        ("PolicyDocument", &may.to_string()),
    ];
    assert_eq!(world.query(&world.dev, "iam", &form).await.0, 200);
    let create = [("Action", "CreateAccessKey"), ("UserName", name), version];
    let (_, xml) = world.query(&world.dev, "iam", &create).await;
    let part = |tag: &str| {
        let (_, rest) = xml.split_once(&format!("<{tag}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let (id, secret) = (part("AccessKeyId"), part("SecretAccessKey"));
    Credentials::new(id, secret, None, None, "t")
}

#[tokio::test]
async fn chaining_lasts_an_hour_at_most() {
    let world = world().await;
    let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": world.dev_id}, "Action": "sts:AssumeRole"}});
    let form = [
        ("Action", "CreateRole"),
        ("Version", "2010-05-08"),
        ("RoleName", "long"),
        ("MaxSessionDuration", "43200"),
        ("AssumeRolePolicyDocument", &trust.to_string()),
    ];
    assert_eq!(world.query(&world.dev, "iam", &form).await.0, 200);
    let role = format!("arn:aws:iam::{}:role/long", world.dev_id);
    let two_hours = sts(&world, &world.dev)
        .await
        .assume_role()
        .role_arn(&role)
        .role_session_name("next")
        .duration_seconds(7200);
    let (code, message) = refused(two_hours.clone().send().await);
    assert_eq!(code, "ValidationError");
    assert!(message.contains("role chaining"), "{message}");
    two_hours.duration_seconds(3600).send().await.unwrap();
    // A user is not chained: the same two hours are granted.
    let user = user(&world, "ops").await;
    assert_eq!(
        caller(&world, &user).await,
        format!("arn:aws:iam::{}:user/ops", world.dev_id)
    );
    sts(&world, &user)
        .await
        .assume_role()
        .role_arn(&role)
        .role_session_name("next")
        .duration_seconds(7200)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn an_external_id_must_be_the_one_asked_for() {
    let world = world().await;
    let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": world.build_id}, "Action": "sts:AssumeRole",
                                     "Condition": {"StringEquals": {"sts:ExternalId": "shop"}}}});
    world.role(&world.dev, "partner", &trust).await;
    let ask = sts(&world, &world.build)
        .await
        .assume_role()
        .role_arn(format!("arn:aws:iam::{}:role/partner", world.dev_id))
        .role_session_name("next");
    assert_eq!(refused(ask.clone().send().await).0, "AccessDenied");
    assert_eq!(
        refused(ask.clone().external_id("other").send().await).0,
        "AccessDenied"
    );
    ask.external_id("shop").send().await.unwrap();
}

#[tokio::test]
async fn session_tags_need_a_permission_of_their_own() {
    let world = world().await;
    let trust = |actions: serde_json::Value| json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": world.dev_id}, "Action": actions}});
    world
        .role(&world.dev, "plain", &trust(json!("sts:AssumeRole")))
        .await;
    world
        .role(
            &world.dev,
            "tagged",
            &trust(json!(["sts:AssumeRole", "sts:TagSession"])),
        )
        .await;
    let tag = aws_sdk_sts::types::Tag::builder()
        .key("team")
        .value("shop")
        .build()
        .unwrap();
    let sts = sts(&world, &world.dev).await;
    let ask = |role: &str| {
        sts.assume_role()
            .role_arn(format!("arn:aws:iam::{}:role/{role}", world.dev_id))
            .role_session_name("next")
            .tags(tag.clone())
    };
    let (code, message) = refused(ask("plain").send().await);
    assert_eq!(code, "AccessDenied");
    assert!(message.contains("sts:TagSession"), "{message}");
    ask("tagged").send().await.unwrap();
}

#[tokio::test]
async fn a_service_gets_a_session_only_of_a_role_that_trusts_it() {
    let world = world().await;
    let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}});
    world.role(&world.build, "codebuild", &trust).await;
    let mut ask = json!({"role_arn": format!("arn:aws:iam::{}:role/codebuild", world.build_id), "session_name": "AWSCodeBuild-1", "service": "codebuild.amazonaws.com"});
    let (status, answer) = world.control("sessions", &ask).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        caller(&world, &credentials(&answer)).await,
        format!(
            "arn:aws:sts::{}:assumed-role/codebuild/AWSCodeBuild-1",
            world.build_id
        )
    );
    ask["service"] = json!("ecs-tasks.amazonaws.com");
    assert_eq!(world.control("sessions", &ask).await.0, 403);
}

#[tokio::test]
async fn an_expired_session_is_refused_in_each_protocols_words() {
    let world = world().await;
    let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": world.dev_id}, "Action": "sts:AssumeRole"}});
    world.role(&world.dev, "short", &trust).await;
    let may = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:DescribeParameters", "Resource": "*"}]});
    world.permit(&world.dev, "short", &may).await;
    let session = assume(
        &world,
        &world.dev,
        &format!("arn:aws:iam::{}:role/short", world.dev_id),
    )
    .await;
    aws_sdk_ssm::Client::new(&world.sdk(&session).await)
        .describe_parameters()
        .send()
        .await
        .unwrap();
    assert_eq!(
        world
            .control("expire", &json!({"access_key_id": session.access_key_id()}))
            .await
            .0,
        204
    );
    assert_eq!(
        codes(&world, &session).await,
        [
            "ExpiredTokenException",
            "ExpiredTokenException",
            "ExpiredToken",
            "ExpiredToken"
        ]
    );
}

#[tokio::test]
async fn an_unknown_key_is_refused_in_each_protocols_words() {
    let world = world().await;
    let nobody = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "t");
    assert_eq!(
        codes(&world, &nobody).await,
        [
            "UnrecognizedClientException",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidAccessKeyId"
        ]
    );
}

#[tokio::test]
async fn a_key_without_its_token_or_with_another_secret_is_refused() {
    let world = world().await;
    let key = &world.dev;
    let bare = Credentials::new(
        key.access_key_id(),
        key.secret_access_key(),
        None,
        None,
        "t",
    );
    let wrong = Credentials::new(
        key.access_key_id(),
        "wrong",
        key.session_token().map(str::to_owned),
        None,
        "t",
    );
    let bare = sts(&world, &bare).await.get_caller_identity();
    assert_eq!(refused(bare.send().await).0, "InvalidClientTokenId");
    assert_eq!(
        codes(&world, &wrong).await,
        [
            "InvalidSignatureException",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "SignatureDoesNotMatch"
        ]
    );
}

/// A clock that is off by this many seconds.
#[derive(Debug)]
struct Off(i64);

impl aws_smithy_async::time::TimeSource for Off {
    fn now(&self) -> std::time::SystemTime {
        let off = std::time::Duration::from_secs(self.0.unsigned_abs());
        let now = std::time::SystemTime::now();
        match self.0 < 0 {
            true => now - off,
            false => now + off,
        }
    }
}

#[tokio::test]
async fn a_signature_of_another_time_is_refused_with_both_times() {
    let world = world().await;
    let clocked = async |seconds: i64, corrects: bool| {
        let sdk = world.sdk(&world.dev).await.into_builder();
        sdk.time_source(Off(seconds))
            .disable_clock_skew_correction(!corrects)
            .build()
    };
    for seconds in [-16 * 60, 16 * 60] {
        assert_eq!(
            codes_of(clocked(seconds, false).await).await,
            [
                "InvalidSignatureException",
                "InvalidSignatureException",
                "SignatureDoesNotMatch",
                "RequestTimeTooSkewed"
            ]
        );
    }
    // S3 takes what is off by less than 15 minutes, the others do not.
    for (seconds, words) in [
        (-6 * 60, "Signature expired: "),
        (6 * 60, "Signature not yet current: "),
    ] {
        let sdk = clocked(seconds, false).await;
        let buckets = aws_sdk_s3::Client::new(&sdk).list_buckets();
        buckets.send().await.unwrap();
        let (_, message) = refused(
            aws_sdk_sts::Client::new(&sdk)
                .get_caller_identity()
                .send()
                .await,
        );
        assert!(
            message.starts_with(words) && message.ends_with("5 min.)"),
            "{message}"
        );
    }
    let near = clocked(-4 * 60, false).await;
    let near = aws_sdk_sts::Client::new(&near).get_caller_identity();
    near.send().await.unwrap();
    // The SDK measures how far its clock is off, and signs the next request with that.
    let off = clocked(-3600, true).await;
    let corrected = aws_sdk_sts::Client::new(&off);
    refused(corrected.get_caller_identity().send().await);
    corrected.get_caller_identity().send().await.unwrap();
}

#[tokio::test]
async fn an_unsigned_call_is_refused() {
    let world = world().await;
    let answer = world
        .http
        .post(&world.parts.url)
        .header("x-amz-target", "AmazonSSM.GetParameter")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("MissingAuthenticationTokenException")
    );
    assert_eq!(
        world
            .http
            .get(format!("{}/moto-api/data.json", world.parts.url))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
}

#[tokio::test]
async fn an_account_belongs_to_one_world_and_keeps_its_credentials() {
    let world = world().await;
    let (status, again) = world
        .control(
            "accounts",
            &json!({"world": world.name, "accounts": [world.dev_id]}),
        )
        .await;
    assert_eq!(
        (status, again["accounts"][0]["access_key_id"].as_str()),
        (200, Some(world.dev.access_key_id()))
    );
    assert_eq!(
        world
            .control(
                "accounts",
                &json!({"world": "another", "accounts": [world.dev_id]})
            )
            .await
            .0,
        409
    );
    assert_eq!(
        world
            .control(
                "accounts",
                &json!({"world": "another", "accounts": ["12345"]})
            )
            .await
            .0,
        400
    );
}

//! KMS: keys that really sign, who may use them, and each refusal in AWS's words.

use aws_credential_types::Credentials;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::support::{REGION, World, assume, world};

async fn ask(world: &World, by: &Credentials, operation: &str, input: &Value) -> (u16, Value) {
    let target = format!("TrentService.{operation}");
    let headers = [
        ("x-amz-target", target.as_str()),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let (status, answer) = world.call(by, "kms", &headers, &input.to_string()).await;
    (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
}

#[track_caller]
fn good(answer: (u16, Value)) -> Value {
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1
}

#[track_caller]
fn refused(answer: &(u16, Value), code: &str, piece: &str) {
    let (status, body) = answer;
    let message = body["message"].as_str().unwrap_or_default();
    assert!(
        *status == 400 && body["__type"] == code && message.contains(piece),
        "{status}, not {code} {piece}: {body}"
    );
}

/// A key that signs, with an alias; answers its metadata.
async fn key(world: &World, alias: &str, policy: Option<Value>) -> Value {
    let mut input = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"});
    if let Some(policy) = policy {
        input["Policy"] = json!(policy.to_string());
    }
    let made = good(ask(world, &world.build, "CreateKey", &input).await);
    let metadata = made["KeyMetadata"].clone();
    let named = json!({"AliasName": alias, "TargetKeyId": metadata["KeyId"]});
    good(ask(world, &world.build, "CreateAlias", &named).await);
    metadata
}

fn message(key: &str, bytes: &[u8], kind: &str) -> Value {
    json!({"KeyId": key, "Message": STANDARD.encode(bytes), "MessageType": kind, "SigningAlgorithm": "ECDSA_SHA_256"})
}

#[tokio::test]
async fn a_key_signs_messages_and_digests_under_each_of_its_names() {
    let world = world().await;
    let metadata = key(&world, "alias/release", None).await;
    let (id, arn) = (metadata["KeyId"].clone(), metadata["Arn"].clone());
    let (id, arn) = (id.as_str().unwrap(), arn.as_str().unwrap());
    let alias = format!("arn:aws:kms:{REGION}:{}:alias/release", world.build_id);
    let text = b"a statement of provenance";
    let hash = digest(&SHA256, text);
    for name in [id, arn, "alias/release", &alias] {
        let by = &world.build;
        let described = good(ask(&world, by, "DescribeKey", &json!({"KeyId": name})).await);
        assert_eq!(described["KeyMetadata"]["Arn"], arn);
        assert_eq!(described["KeyMetadata"]["KeyState"], "Enabled");
        let public = good(ask(&world, by, "GetPublicKey", &json!({"KeyId": name})).await);
        assert_eq!(public["SigningAlgorithms"], json!(["ECDSA_SHA_256"]));
        let spki = STANDARD
            .decode(public["PublicKey"].as_str().unwrap())
            .unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[26..]);
        for (kind, bytes) in [("RAW", &text[..]), ("DIGEST", hash.as_ref())] {
            let mut input = message(name, bytes, kind);
            let signed = good(ask(&world, by, "Sign", &input).await);
            assert_eq!(signed["KeyId"], arn);
            let signature = signed["Signature"].as_str().unwrap();
            public
                .verify(text, &STANDARD.decode(signature).unwrap())
                .unwrap();
            input["Signature"] = json!(signature);
            let right = good(ask(&world, by, "Verify", &input).await);
            assert_eq!(right["SignatureValid"], true);
            let mut other = message(name, &[7; 32], kind);
            other["Signature"] = json!(signature);
            let wrong = ask(&world, by, "Verify", &other).await;
            refused(&wrong, "KMSInvalidSignatureException", "");
        }
    }
    let calls = world.calls().await;
    let signs = calls.iter().filter(|call| call["operation"] == "Sign");
    assert!(signs.clone().all(|call| call["resource"].is_string()));
    assert_eq!(signs.count(), 8);
}

#[tokio::test]
async fn messages_that_kms_does_not_sign_are_refused_in_its_words() {
    let world = world().await;
    key(&world, "alias/k", None).await;
    let by = &world.build;
    let other = format!("arn:aws:kms:eu-west-1:{}:alias/k", world.build_id);
    let mut rsa = message("alias/k", b"x", "RAW");
    rsa["SigningAlgorithm"] = json!("RSASSA_PSS_SHA_256");
    let mut grant = message("alias/k", b"x", "RAW");
    grant["GrantTokens"] = json!(["t"]);
    let mut unknown = message("alias/k", b"x", "RAW");
    unknown["Purpose"] = json!("x");
    for (input, code, piece) in [
        (
            message("alias/none", b"x", "RAW"),
            "NotFoundException",
            "alias/none is not found",
        ),
        (
            message("0-1", b"x", "RAW"),
            "NotFoundException",
            "key/0-1' does not exist",
        ),
        (
            message(&other, b"x", "RAW"),
            "NotFoundException",
            "Invalid arn eu-west-1",
        ),
        (
            message("alias/k", &[0; 4097], "RAW"),
            "ValidationException",
            "less than or equal to 4096",
        ),
        (
            message("alias/k", b"", "RAW"),
            "ValidationException",
            "greater than or equal to 1",
        ),
        (
            message("alias/k", &[0; 31], "DIGEST"),
            "ValidationException",
            "invalid length",
        ),
        (
            message("alias/k", &[0; 64], "EXTERNAL_MU"),
            "ValidationException",
            "EXTERNAL_MU",
        ),
        (
            message("alias/k", b"x", "WHOLE"),
            "ValidationException",
            "WHOLE",
        ),
        (rsa, "InvalidKeyUsageException", "incompatible"),
        (grant, "InvalidGrantTokenException", ""),
        (unknown, "ValidationException", "unknown member"),
        (
            json!({"KeyId": "alias/k"}),
            "ValidationException",
            "required member",
        ),
    ] {
        refused(&ask(&world, by, "Sign", &input).await, code, piece);
    }
    good(ask(&world, by, "Sign", &message("alias/k", &[0; 4096], "RAW")).await);
}

#[tokio::test]
async fn a_key_for_encryption_signs_nothing_and_takes_no_name_that_is_given() {
    let world = world().await;
    key(&world, "alias/k", None).await;
    let by = &world.build;
    let symmetric = good(ask(&world, by, "CreateKey", &json!({})).await);
    let symmetric = symmetric["KeyMetadata"]["KeyId"].as_str().unwrap();
    let signed = ask(&world, by, "Sign", &message(symmetric, b"x", "RAW")).await;
    let why = "ENCRYPT_DECRYPT which is not valid for Sign";
    refused(&signed, "InvalidKeyUsageException", why);
    let public = ask(&world, by, "GetPublicKey", &json!({"KeyId": symmetric})).await;
    refused(&public, "UnsupportedOperationException", "");
    let again = json!({"AliasName": "alias/k", "TargetKeyId": symmetric});
    let again = ask(&world, by, "CreateAlias", &again).await;
    refused(&again, "AlreadyExistsException", "alias/k already exists");
}

#[tokio::test]
async fn a_key_that_is_disabled_or_pending_deletion_does_not_sign() {
    let world = world().await;
    let metadata = key(&world, "alias/k", None).await;
    let by = &world.build;
    let arn = metadata["Arn"].as_str().unwrap();
    let sign = message("alias/k", b"x", "RAW");
    for (operation, input, code, piece) in [
        (
            "DisableKey",
            json!({"KeyId": arn}),
            "DisabledException",
            "is disabled.",
        ),
        (
            "ScheduleKeyDeletion",
            json!({"KeyId": arn, "PendingWindowInDays": 7}),
            "KMSInvalidStateException",
            "is pending deletion.",
        ),
        (
            "CancelKeyDeletion",
            json!({"KeyId": arn}),
            "DisabledException",
            "is disabled.",
        ),
    ] {
        good(ask(&world, by, operation, &input).await);
        refused(&ask(&world, by, "Sign", &sign).await, code, piece);
    }
    good(ask(&world, by, "EnableKey", &json!({"KeyId": arn})).await);
    good(ask(&world, by, "Sign", &sign).await);
    let missing = ask(&world, by, "ReEncrypt", &json!({})).await;
    refused(
        &missing,
        "UnknownOperationException",
        "does not implement kms:ReEncrypt",
    );
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A role that may do what its policy says, and a session of it.
async fn session(
    world: &World,
    by: &Credentials,
    account: &str,
    name: &str,
    may: &[Value],
) -> Credentials {
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}});
    world.role(by, name, &trust).await;
    if !may.is_empty() {
        world.permit(by, name, &policy(may)).await;
    }
    assume(world, by, &format!("arn:aws:iam::{account}:role/{name}")).await
}

#[tokio::test]
async fn a_keys_policy_decides_and_may_leave_the_decision_to_an_account() {
    let world = world().await;
    let (build, dev) = (&world.build_id, &world.dev_id);
    let readers = [build, dev].map(|account| format!("arn:aws:iam::{account}:root"));
    let statements = policy(&[
        json!({"Effect": "Allow", "Principal": {"AWS": readers[0]}, "Action": ["kms:PutKeyPolicy", "kms:CreateAlias"], "Resource": "*"}),
        json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{build}:role/publish")}, "Action": "kms:Sign", "Resource": "*",
               "Condition": {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}}}),
        json!({"Effect": "Allow", "Principal": {"AWS": readers}, "Action": ["kms:DescribeKey", "kms:GetPublicKey", "kms:Verify"], "Resource": "*"}),
    ]);
    key(&world, "alias/release", Some(statements)).await;
    let name = format!("arn:aws:kms:{REGION}:{build}:alias/release");
    let may = json!({"Effect": "Allow", "Action": "kms:*", "Resource": format!("arn:aws:kms:{REGION}:{build}:key/*"),
                     "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/release"}}});
    let publish = session(&world, &world.build, build, "publish", &[]).await;
    let permit = session(
        &world,
        &world.build,
        build,
        "permit",
        std::slice::from_ref(&may),
    )
    .await;
    let deploy = session(&world, &world.dev, dev, "deploy", &[may]).await;
    let bare = session(&world, &world.dev, dev, "bare", &[]).await;

    let sign = message(&name, b"x", "RAW");
    let signed = good(ask(&world, &publish, "Sign", &sign).await);
    let none = "because no resource-based policy allows the kms:Sign action";
    for (case, by) in [
        ("permit", &permit),
        ("deploy", &deploy),
        ("administrator", &world.build),
    ] {
        let answer = ask(&world, by, "Sign", &sign).await;
        assert_eq!(answer.1["__type"], "AccessDeniedException", "{case}");
        refused(&answer, "AccessDeniedException", none);
    }
    let mut verify = sign.clone();
    verify["Signature"] = signed["Signature"].clone();
    let named = json!({"KeyId": name});
    for by in [&permit, &deploy, &world.build, &world.dev] {
        good(ask(&world, by, "Verify", &verify).await);
        good(ask(&world, by, "DescribeKey", &named).await);
        good(ask(&world, by, "GetPublicKey", &named).await);
    }
    // The policy names accounts for it, so without a permission of its own a role has none.
    for by in [&publish, &bare] {
        let answer = ask(&world, by, "Verify", &verify).await;
        let none = "because no identity-based policy allows the kms:Verify action";
        refused(&answer, "AccessDeniedException", none);
    }
    let lock_out = policy(&[
        json!({"Effect": "Allow", "Principal": {"AWS": readers[1]}, "Action": "*", "Resource": "*"}),
    ]);
    let input = json!({"KeyId": name, "Policy": lock_out.to_string()});
    let answer = ask(&world, &world.build, "PutKeyPolicy", &input).await;
    refused(
        &answer,
        "MalformedPolicyDocumentException",
        "will not allow you",
    );
}

#[tokio::test]
async fn a_changed_role_policy_applies_at_once() {
    let world = world().await;
    let account = &world.build_id;
    key(&world, "alias/k", None).await;
    let by = session(&world, &world.build, account, "reader", &[]).await;
    let input = json!({"KeyId": "alias/k"});
    let none = "no identity-based policy allows the kms:DescribeKey action";
    let answer = ask(&world, &by, "DescribeKey", &input).await;
    refused(&answer, "AccessDeniedException", none);
    let may = json!({"Effect": "Allow", "Action": "kms:Describe*", "Resource": "*"});
    let document = policy(&[may]);
    world.permit(&world.build, "reader", &document).await;
    good(ask(&world, &by, "DescribeKey", &input).await);
    let form = [
        ("Action", "DeleteRolePolicy"),
        ("Version", "2010-05-08"),
        ("RoleName", "reader"),
        ("PolicyName", "reader"),
    ];
    assert_eq!(world.query(&world.build, "iam", &form).await.0, 200);
    let answer = ask(&world, &by, "DescribeKey", &input).await;
    refused(&answer, "AccessDeniedException", none);
    let made = ask(&world, &by, "CreateKey", &json!({})).await;
    refused(
        &made,
        "AccessDeniedException",
        "kms:CreateKey on resource: *",
    );
}

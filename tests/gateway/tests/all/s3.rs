//! S3 through the gateway with AWS's own SDK.

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::json;

use crate::support::{World, refused, world};

async fn client(world: &World, credentials: &Credentials) -> Client {
    Client::new(&world.sdk(credentials).await)
}

async fn bucket(world: &World, client: &Client) -> String {
    let name = format!("state-{}-{}", world.name, world.dev_id);
    let configuration = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(crate::support::REGION.into())
        .build();
    client
        .create_bucket()
        .bucket(&name)
        .create_bucket_configuration(configuration)
        .send()
        .await
        .unwrap();
    name
}

async fn object(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let got = client.get_object().bucket(bucket).key(key).send();
    let bytes = got.await.unwrap().body.collect().await.unwrap();
    bytes.into_bytes().to_vec()
}

#[tokio::test]
async fn a_large_object_streams_there_and_back() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    let bucket = bucket(&world, &dev).await;
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let key = "env:/dev/a key+with (odd) signs.tfstate";
    dev.put_object()
        .bucket(&bucket)
        .key(key)
        .body(ByteStream::from(bytes.clone()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        dev.head_object()
            .bucket(&bucket)
            .key(key)
            .send()
            .await
            .unwrap()
            .content_length(),
        Some(3_000_000)
    );
    let got = object(&dev, &bucket, key).await;
    assert!(got == bytes);
    assert_eq!(
        dev.list_objects_v2()
            .bucket(&bucket)
            .send()
            .await
            .unwrap()
            .contents()[0]
            .key(),
        Some(key)
    );
    // A file goes as aws-chunked, with its checksum in the trailer.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    dev.put_object()
        .bucket(&bucket)
        .key("chunked")
        .body(body)
        .send()
        .await
        .unwrap();
    let got = object(&dev, &bucket, "chunked").await;
    assert!(got == bytes);
}

#[tokio::test]
async fn one_of_many_conditional_writers_wins() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    let bucket = bucket(&world, &dev).await;
    for round in 0..5 {
        let key = format!("lock-{round}");
        let writers = (0..12).map(|n| {
            dev.put_object()
                .bucket(&bucket)
                .key(&key)
                .if_none_match("*")
                .body(ByteStream::from(vec![n]))
                .send()
        });
        let outcomes = futures_util::future::join_all(writers).await;
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "round {round}"
        );
    }
}

/// As `slipway-state bootstrap` writes it: the owner's own roles are bound by it too.
#[tokio::test]
async fn a_policy_that_asks_for_tls_denies_a_request_that_is_marked_plain() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    let bucket = bucket(&world, &dev).await;
    let get = || dev.get_bucket_policy().bucket(&bucket).send();
    assert_eq!(refused(get().await).0, "NoSuchBucketPolicy");
    let whole = format!("arn:aws:s3:::{bucket}");
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [whole, format!("{whole}/*")], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]});
    let put = |text: &str| dev.put_bucket_policy().bucket(&bucket).policy(text).send();
    assert_eq!(refused(put("no policy").await).0, "MalformedPolicy");
    put(&policy.to_string()).await.unwrap();
    assert_eq!(get().await.unwrap().policy, Some(policy.to_string()));
    let write = || {
        dev.put_object()
            .bucket(&bucket)
            .key("a")
            .body(ByteStream::from_static(b"state"))
            .customize()
    };
    write().send().await.unwrap();
    let plain = write().mutate_request(|request| {
        request.headers_mut().insert("x-sandbox-plain-http", "1");
    });
    let (code, message) = refused(plain.send().await);
    assert_eq!(code, "AccessDenied");
    assert!(message.contains("explicit deny"), "{message}");
    dev.delete_bucket_policy()
        .bucket(&bucket)
        .send()
        .await
        .unwrap();
    assert_eq!(refused(get().await).0, "NoSuchBucketPolicy");
}

#[tokio::test]
async fn another_accounts_bucket_opens_only_by_its_policy() {
    let world = world().await;
    let (dev, build) = (
        client(&world, &world.dev).await,
        client(&world, &world.build).await,
    );
    let bucket = bucket(&world, &dev).await;
    dev.put_object()
        .bucket(&bucket)
        .key("a")
        .body(ByteStream::from_static(b"state"))
        .send()
        .await
        .unwrap();
    let (code, message) = refused(build.get_object().bucket(&bucket).key("a").send().await);
    assert_eq!(code, "AccessDenied");
    assert!(
        message.contains("is not authorized to perform: s3:GetObject"),
        "{message}"
    );
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", world.build_id)},
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/a")}]});
    dev.put_bucket_policy()
        .bucket(&bucket)
        .policy(policy.to_string())
        .send()
        .await
        .unwrap();
    let got = object(&build, &bucket, "a").await;
    assert_eq!(got, b"state");
    assert_eq!(
        refused(
            build
                .put_object()
                .bucket(&bucket)
                .key("a")
                .body(ByteStream::from_static(b"x"))
                .send()
                .await
        )
        .0,
        "AccessDenied"
    );
}

#[tokio::test]
async fn the_versioning_status_of_a_bucket_is_answered_as_s3_does() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    let bucket = bucket(&world, &dev).await;
    let status = async || {
        let answer = dev.get_bucket_versioning().bucket(&bucket).send().await;
        answer.unwrap().status
    };
    assert_eq!(status().await, None);
    let enabled = aws_sdk_s3::types::BucketVersioningStatus::Enabled;
    let configuration = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(enabled.clone())
        .build();
    dev.put_bucket_versioning()
        .bucket(&bucket)
        .versioning_configuration(configuration)
        .send()
        .await
        .unwrap();
    assert_eq!(status().await, Some(enabled));
}

//! The permissions to pull and push, and the record of a call.

use super::*;

#[tokio::test]
async fn only_a_token_of_the_registry_opens_it() {
    let world = world().await;
    let (_, host, password) = shop(&world).await;
    let url = format!("http://{host}/v2/");
    let bare = world.http.get(&url).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(
        bare.headers()["www-authenticate"].to_str().unwrap(),
        format!("Basic realm=\"http://{host}/\",service=\"ecr.amazonaws.com\"")
    );
    let with = |user: &'static str, password: &str| {
        world.http.get(&url).basic_auth(user, Some(password)).send()
    };
    assert_eq!(with("AWS", "wrong").await.unwrap().status(), 401);
    assert_eq!(with("docker", &password).await.unwrap().status(), 401);
    assert_eq!(with("AWS", &password).await.unwrap().status(), 200);
    assert_eq!(
        world
            .control("expire", &json!({"registry_token": password}))
            .await
            .0,
        204
    );
    let expired = with("AWS", &password).await.unwrap();
    assert_eq!(expired.status(), 403);
    assert!(
        expired
            .text()
            .await
            .unwrap()
            .contains("Your authorization token has expired")
    );
}

#[tokio::test]
async fn a_repository_that_is_not_there_has_no_name() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let (host, password) = login(&ecr).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    let error = push(folder.path(), &host, &password, "absent:v1")
        .await
        .unwrap_err();
    let message = format!(
        "The repository with name 'absent' does not exist in the registry with id '{}'",
        world.build_id
    );
    assert!(
        error.contains("name unknown") && error.contains(&message),
        "{error}"
    );
}

#[tokio::test]
async fn another_account_pulls_only_by_the_repositorys_policy() {
    let world = world().await;
    let (build, dev) = (
        client(&world, &world.build).await,
        client(&world, &world.dev).await,
    );
    build
        .create_repository()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let (host, password) = login(&build).await;
    let (own, foreign) = login(&dev).await;
    assert_ne!(host, own, "each account has a registry of its own");
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "shop:v1")
        .await
        .unwrap();
    let error = digest_of(&host, &foreign, "shop:v1").await.unwrap_err();
    assert!(error.contains("denied") || error.contains("403"), "{error}");
    let cross_account = || {
        dev.describe_images()
            .registry_id(&world.build_id)
            .repository_name("shop")
    };
    assert_eq!(
        refused(cross_account().send().await).0,
        "AccessDeniedException"
    );
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", world.dev_id)},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:DescribeImages"]}]});
    build
        .set_repository_policy()
        .repository_name("shop")
        .policy_text(policy.to_string())
        .send()
        .await
        .unwrap();
    digest_of(&host, &foreign, "shop:v1").await.unwrap();
    assert_eq!(
        cross_account().send().await.unwrap().image_details().len(),
        1
    );
    let error = push(folder.path(), &host, &foreign, "shop:v2")
        .await
        .unwrap_err();
    assert!(error.contains("denied") || error.contains("403"), "{error}");
}

#[tokio::test]
async fn pushes_and_pulls_are_recorded_as_the_actions_they_need() {
    let world = world().await;
    let (_, host, password) = shop(&world).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "shop:v1")
        .await
        .unwrap();
    let calls = world.calls().await;
    let of_registry: Vec<&str> = calls
        .iter()
        .filter(|call| call["via"] == "registry")
        .map(|call| call["operation"].as_str().unwrap())
        .collect();
    for action in ["InitiateLayerUpload", "CompleteLayerUpload", "PutImage"] {
        assert!(
            of_registry.contains(&action),
            "{action} is not among {of_registry:?}"
        );
    }
    let put = calls
        .iter()
        .find(|call| call["operation"] == "PutImage")
        .unwrap();
    assert_eq!(
        (&put["resource"], &put["account"]),
        (&json!("shop@v1"), &json!(world.build_id))
    );
}

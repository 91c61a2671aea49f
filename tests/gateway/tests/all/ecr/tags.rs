//! The behavior of tags: some never move, some do, and a repository with tags is deleted only by force.

use super::*;

#[tokio::test]
async fn an_immutable_tag_is_pushed_again_only_as_what_it_is() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    ecr.create_repository()
        .repository_name("shop")
        .image_tag_mutability(ImageTagMutability::Immutable)
        .send()
        .await
        .unwrap();
    let (host, password) = login(&ecr).await;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(one.path(), "one");
    image(two.path(), "two");
    push(one.path(), &host, &password, "shop:v1").await.unwrap();
    push(one.path(), &host, &password, "shop:v1").await.unwrap();
    let error = push(two.path(), &host, &password, "shop:v1")
        .await
        .unwrap_err();
    assert!(
        error.contains("tag invalid")
            && error.contains("cannot be overwritten because the tag is immutable"),
        "{error}"
    );
    push(two.path(), &host, &password, "shop:v2").await.unwrap();
    let got = ecr
        .batch_get_image()
        .repository_name("shop")
        .image_ids(tag("v2"))
        .send()
        .await
        .unwrap();
    let moved = ecr
        .put_image()
        .repository_name("shop")
        .image_manifest(got.images()[0].image_manifest().unwrap())
        .image_tag("v1");
    assert_eq!(
        refused(moved.send().await).0,
        "ImageTagAlreadyExistsException"
    );
}

#[tokio::test]
async fn a_mutable_tag_moves_and_leaves_the_old_image_untagged() {
    let world = world().await;
    let (ecr, host, password) = shop(&world).await;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(one.path(), "one");
    image(two.path(), "two");
    push(one.path(), &host, &password, "shop:latest")
        .await
        .unwrap();
    let first = digest_of(&host, &password, "shop:latest").await.unwrap();
    push(two.path(), &host, &password, "shop:latest")
        .await
        .unwrap();
    let described = ecr
        .describe_images()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let untagged: Vec<_> = described
        .image_details()
        .iter()
        .filter(|detail| detail.image_tags().is_empty())
        .collect();
    assert_eq!((described.image_details().len(), untagged.len()), (2, 1));
    assert_eq!(untagged[0].image_digest(), Some(first.as_str()));
}

#[tokio::test]
async fn a_repository_with_images_is_deleted_only_by_force_and_comes_back_empty() {
    let world = world().await;
    let (ecr, host, password) = shop(&world).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "shop:v1")
        .await
        .unwrap();
    assert_eq!(
        refused(ecr.delete_repository().repository_name("shop").send().await).0,
        "RepositoryNotEmptyException"
    );
    ecr.delete_repository()
        .repository_name("shop")
        .force(true)
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused(ecr.describe_images().repository_name("shop").send().await).0,
        "RepositoryNotFoundException"
    );
    let again = ecr.create_repository().repository_name("shop");
    again.send().await.unwrap();
    assert_eq!(
        ecr.list_images()
            .repository_name("shop")
            .send()
            .await
            .unwrap()
            .image_ids()
            .len(),
        0
    );
}

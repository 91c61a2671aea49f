//! Blobs that one repository takes from another.

use super::*;

#[tokio::test]
async fn a_blob_is_mounted_only_where_the_account_says_so() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    for name in ["base", "shop", "other"] {
        let created = ecr.create_repository().repository_name(name).send().await;
        created.unwrap();
    }
    let (host, password) = login(&ecr).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "base:v1")
        .await
        .unwrap();
    let manifest = ecr
        .batch_get_image()
        .repository_name("base")
        .image_ids(tag("v1"))
        .send()
        .await
        .unwrap();
    let manifest = manifest.images()[0].image_manifest().unwrap();
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let mount = async |to: &str, from: &str| {
        let url = format!("http://{host}/v2/{to}/blobs/uploads/?mount={layer}&from={from}");
        let asked = world.http.post(url).basic_auth("AWS", Some(&password));
        asked.send().await.unwrap().status().as_u16()
    };
    let there = async |repository: &str| {
        let url = format!("http://{host}/v2/{repository}/blobs/{layer}");
        let asked = world.http.head(url).basic_auth("AWS", Some(&password));
        asked.send().await.unwrap().status().is_success()
    };
    let set = async |value: &str| {
        let set = ecr.put_account_setting().name("BLOB_MOUNTING").value(value);
        set.send().await.unwrap();
        let got = ecr.get_account_setting().name("BLOB_MOUNTING").send().await;
        assert_eq!(got.unwrap().value(), Some(value));
    };
    assert_eq!(mount("shop", "base").await, 202);
    set("ENABLED").await;
    // Not from what is not there, nor from where no manifest refers to it.
    for from in ["absent", "other"] {
        assert_eq!(mount("shop", from).await, 202, "{from}");
    }
    assert!(!there("shop").await);
    assert_eq!(mount("shop", "base").await, 201);
    assert!(there("shop").await);
    set("DISABLED").await;
    assert_eq!(mount("other", "base").await, 202);
    assert!(!there("other").await);
}

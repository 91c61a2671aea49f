//! Copies and tags.

use super::hostile::Act;
use super::images::{Folder, noise};
use super::{Fixture, host, push_one, target};
use crate::digest::digest;
use crate::push::{copy, retag};
use crate::registry::{Manifest, Repo, list_tag, listed, signer_tags};
use bytes::Bytes;
use kit::Exit;
use kit::id::Digest;
use serde_json::json;

const KIB: usize = 1 << 10;

async fn there(repo: &Repo, reference: &str) -> Option<Manifest> {
    let found = repo
        .client
        .retry(async |pass| repo.manifest(pass, reference).await);
    found.await.unwrap()
}

/// Puts a manifest with one small blob beside an image.
async fn attach(repo: &Repo, subject: Option<&Manifest>, tag: Option<&str>) -> Digest {
    let folder = Folder::new();
    let image = folder.image(&[&noise(u64::from(tag.is_some()) + 77, 100)], "none");
    let path = |digest: &str| folder.path().join("blobs").join(digest.replace(':', "/"));
    let text = std::fs::read(path(image["digest"].as_str().unwrap())).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    if let Some(subject) = subject {
        manifest["subject"] = json!({
            "mediaType": subject.media_type, "digest": subject.digest.as_str(), "size": subject.bytes.len(),
        });
    }
    for blob in [&manifest["config"], &manifest["layers"][0]] {
        let digest = Digest::parse(blob["digest"].as_str().unwrap()).unwrap();
        let bytes = Bytes::from(std::fs::read(path(digest.as_str())).unwrap());
        let descriptor = crate::blob::Descriptor {
            media_type: String::new(),
            size: bytes.len() as u64,
            digest,
        };
        let target = crate::push::Target::new(repo.clone(), Vec::new());
        let origin = crate::push::deliver::Origin::Bytes(bytes);
        crate::push::deliver::bring(
            &target,
            &descriptor,
            &origin,
            true,
            &crate::registry::Moved::default(),
        )
        .await
        .unwrap();
    }
    let bytes = Bytes::from(manifest.to_string());
    let manifest = Manifest {
        digest: digest(&bytes),
        media_type: manifest["mediaType"].as_str().unwrap().to_owned(),
        bytes,
    };
    let put = repo.client.retry(async |pass| {
        let reference = tag.unwrap_or(manifest.digest.as_str());
        repo.put_manifest(pass, reference, &manifest).await?;
        match subject {
            Some(subject) => repo.list_referrer(pass, &subject.digest, &manifest).await,
            None => Ok(()),
        }
    });
    put.await.unwrap();
    manifest.digest
}

#[tokio::test]
async fn an_index_is_copied_whole_with_what_refers_to_it() {
    let (from, to) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    let (shared, other) = (noise(1, 300 * KIB), noise(2, 40 * KIB));
    let children = [
        folder.image(&[&shared], "amd64"),
        folder.image(&[&shared, &other], "arm64"),
    ];
    let source = folder.opened(&[folder.index(&children)]);
    let pushed = push_one(&source, from.target(&["v1"])).await.unwrap();
    let root = pushed.manifest;
    let repo = from.client().repo("acme/app");
    let sbom = attach(&repo, Some(&root), None).await;
    let signature = attach(&repo, None, Some(&signer_tags(&root.digest)[0])).await;

    // To another registry, and to another repository of the same one, where all is mounted.
    let same = target(&repo.client, "acme/copy", &["release"]);
    let targets = [to.target(&["release"]), same];
    let all =
        super::super::all(copy(&host(), &repo, &root.digest, &targets).await.unwrap()).unwrap();
    assert!(all[0].counts.pushed > 340 * 1024, "{:?}", all[0].counts);
    assert!(
        all[1].counts.mounted > 340 * 1024 && all[1].counts.pushed == 0,
        "{:?}",
        all[1].counts
    );
    for target in &targets {
        let repo = &target.repo;
        for reference in ["release", root.digest.as_str()] {
            assert_eq!(there(repo, reference).await.unwrap(), root);
        }
        for child in listed(&root.bytes).iter().chain(std::iter::once(&sbom)) {
            let copied = there(repo, child.as_str()).await.unwrap();
            assert_eq!(digest(&copied.bytes), *child);
        }
        let list = there(repo, &list_tag(&root.digest)).await.unwrap();
        assert_eq!(listed(&list.bytes), std::slice::from_ref(&sbom));
        let signed = there(repo, &signer_tags(&root.digest)[0]).await.unwrap();
        assert_eq!(signed.digest, signature);
    }
    to.proxy.forget();
    let again = copy(&host(), &repo, &root.digest, &targets[..1])
        .await
        .unwrap();
    assert_eq!(super::super::all(again).unwrap()[0].counts.pushed, 0);
    assert_eq!(to.proxy.count("PUT", ""), 0);
}

#[tokio::test]
async fn a_list_of_referrers_that_is_stale_or_closed_ends_no_copy() {
    let (from, to) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    let source = folder.opened(&[folder.image(&[&noise(1, 10)], "amd64")]);
    let root = push_one(&source, from.target(&["v1"]))
        .await
        .unwrap()
        .manifest;
    let repo = from.client().repo("acme/app");
    let sbom = attach(&repo, Some(&root), None).await;
    // The registry has no list of its own; one that may not be asked for says 403.
    let denied = r#"{"errors":[{"code":"DENIED","message":"not authorized to perform: ecr:ListImageReferrers"}]}"#;
    from.proxy.rule(
        "GET",
        "/referrers/",
        usize::MAX,
        Act::Answer(403, "", denied.to_owned()),
    );
    let targets = [to.target(&["release"])];
    let copied = copy(&host(), &repo, &root.digest, &targets).await.unwrap();
    super::super::all(copied).unwrap();
    assert!(there(&targets[0].repo, sbom.as_str()).await.is_some());

    // Gone, and still on the list.
    let to = Fixture::new().await;
    let act = Act::Answer(
        404,
        "",
        r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#.to_owned(),
    );
    from.proxy
        .rule("GET", &format!("/manifests/{sbom}"), usize::MAX, act);
    let targets = [to.target(&["release"])];
    let copied = copy(&host(), &repo, &root.digest, &targets).await.unwrap();
    super::super::all(copied).unwrap();
    assert_eq!(there(&targets[0].repo, "release").await.unwrap(), root);
    assert!(there(&targets[0].repo, sbom.as_str()).await.is_none());
}

#[tokio::test]
async fn a_tag_is_put_on_the_very_bytes() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = folder.opened(&[folder.image(&[&noise(1, 10)], "amd64")]);
    let done = push_one(&source, fixture.target(&[])).await.unwrap();
    let tagged = fixture.target(&["release", "v1"]);
    retag(&tagged, &done.manifest.digest).await.unwrap();
    assert_eq!(there(&tagged.repo, "v1").await.unwrap(), done.manifest);
    let none = digest(b"none");
    let error = retag(&tagged, &none).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.message.contains(none.as_str()));
    let error = copy(&host(), &tagged.repo, &none, &[]).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
}

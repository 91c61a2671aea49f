//! Scans, and the settings of a repository.

use super::*;

#[tokio::test]
async fn a_scan_returns_the_scripted_findings_and_starts_once_a_day() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let create = ecr.create_repository().repository_name("team/scan");
    create.send().await.unwrap();
    let (host, password) = login(&ecr).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "scanned");
    push(folder.path(), &host, &password, "team/scan:v1")
        .await
        .unwrap();
    let digest = digest_of(&host, &password, "team/scan:v1").await.unwrap();
    let look = || {
        ecr.describe_image_scan_findings()
            .repository_name("team/scan")
            .image_id(tag("v1"))
    };
    let start = || {
        ecr.start_image_scan()
            .repository_name("team/scan")
            .image_id(tag("v1"))
    };
    assert_eq!(
        refused(look().send().await).0,
        "ScanNotFoundException".to_owned()
    );
    start().send().await.unwrap();
    assert_eq!(refused(start().send().await).0, "LimitExceededException");
    let status = |answer: &aws_sdk_ecr::operation::describe_image_scan_findings::DescribeImageScanFindingsOutput| {
        answer.image_scan_status().unwrap().status().unwrap().as_str().to_owned()
    };
    for wanted in ["IN_PROGRESS", "COMPLETE", "COMPLETE"] {
        assert_eq!(status(&look().send().await.unwrap()), wanted);
    }

    let finding = |id: &str| json!({"name": id, "severity": "HIGH"});
    let mut script = json!({
        "account": world.build_id, "region": crate::support::REGION, "repository": "team/scan", "digest": digest,
        "looks": [{"status": "COMPLETE", "findings": [finding("a"), finding("b"), finding("c")], "counts": {"HIGH": 3}}],
    });
    assert_eq!(world.control("scans", &script).await.0, 204);
    let first = look().max_results(2).send().await.unwrap();
    assert_eq!(first.image_scan_findings().unwrap().findings().len(), 2);
    let token = first.next_token().unwrap();
    let second = look()
        .max_results(2)
        .next_token(token)
        .send()
        .await
        .unwrap();
    assert_eq!(second.image_scan_findings().unwrap().findings().len(), 1);
    assert!(second.next_token().is_none());

    // An answer that ECR could not give is refused.
    script["looks"][0]["findings"] = json!([{"name": "a", "severity": "DREADFUL"}]);
    assert_eq!(world.control("scans", &script).await.0, 204);
    assert_eq!(
        refused(look().send().await).0,
        "StandInContractViolation".to_owned()
    );
}

#[tokio::test]
async fn a_preview_of_a_lifecycle_policy_takes_what_its_rules_select() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let create = ecr.create_repository().repository_name("team/preview");
    create.send().await.unwrap();
    let (host, password) = login(&ecr).await;
    for name in ["keep-1", "old-1", "old-2"] {
        let folder = tempfile::tempdir().unwrap();
        image(folder.path(), name);
        push(
            folder.path(),
            &host,
            &password,
            &format!("team/preview:{name}"),
        )
        .await
        .unwrap();
    }
    let look = || {
        ecr.get_lifecycle_policy_preview()
            .repository_name("team/preview")
    };
    let start = |policy: &serde_json::Value| {
        ecr.start_lifecycle_policy_preview()
            .repository_name("team/preview")
            .lifecycle_policy_text(policy.to_string())
    };
    assert_eq!(
        refused(look().send().await).0,
        "LifecyclePolicyPreviewNotFoundException"
    );
    let rule = |priority: u32, selection: serde_json::Value| json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}});
    let any = json!({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1});
    let kept = json!({"tagStatus": "tagged", "tagPrefixList": ["keep-"], "countType": "imageCountMoreThan", "countNumber": 9});
    let twice = json!({"rules": [rule(1, any.clone()), rule(1, kept.clone())]});
    assert_eq!(
        refused(start(&twice).send().await).0,
        "InvalidParameterException"
    );
    // The one that is kept is selected by the earlier rule alone, and counts as the oldest of three.
    let policy = json!({"rules": [rule(2, any), rule(1, kept)]});
    start(&policy).send().await.unwrap();
    assert_eq!(
        refused(start(&policy).send().await).0,
        "LifecyclePolicyPreviewInProgressException"
    );
    let mut page = look().send().await.unwrap();
    assert_eq!(page.status().unwrap().as_str(), "IN_PROGRESS");
    while page.status().unwrap().as_str() == "IN_PROGRESS" {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        page = look().max_results(1).send().await.unwrap();
    }
    assert_eq!(page.status().unwrap().as_str(), "COMPLETE");
    assert_eq!(page.lifecycle_policy_text().unwrap(), policy.to_string());
    let [result] = page.preview_results() else {
        panic!("{page:?}");
    };
    assert_eq!(result.applied_rule_priority(), Some(2));
    assert_eq!(result.image_tags(), ["old-1"]);
    assert!(page.next_token().is_none());
    // Another policy's preview replaces it, page by page.
    let all = json!({"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1});
    start(&json!({"rules": [rule(1, all)]}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused(look().max_results(101).send().await).0,
        "InvalidParameterException"
    );
}

#[tokio::test]
async fn settings_of_a_repository_are_taken_as_ecr_takes_them() {
    let world = world().await;
    let call = async |operation: &str, input: &serde_json::Value| {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
        ];
        let body = input.to_string();
        world.call(&world.build, "ecr", &headers, &body).await
    };
    let name = json!({"repositoryName": "team/settings"});
    assert_eq!(call("CreateRepository", &name).await.0, 200);
    let filters = |number: usize| {
        let filter = |n| json!({"filterType": "WILDCARD", "filter": format!("cache{n}-*")});
        let all: Vec<_> = (0..number).map(filter).collect();
        json!({"repositoryName": "team/settings", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
               "imageTagMutabilityExclusionFilters": all})
    };
    for (number, status) in [(5, 200), (6, 400)] {
        let (found, text) = call("PutImageTagMutability", &filters(number)).await;
        assert_eq!(found, status, "{text}");
    }
    // No shorter text can be a policy.
    let policy =
        json!({"repositoryName": "team/settings", "lifecyclePolicyText": "{\"rules\": []}"});
    let (status, text) = call("PutLifecyclePolicy", &policy).await;
    assert!(
        status == 400 && text.contains("InvalidParameterException"),
        "{text}"
    );
    let (status, text) = call("GetLifecyclePolicy", &name).await;
    assert!(
        status == 400 && text.contains("LifecyclePolicyNotFoundException"),
        "{text}"
    );
}

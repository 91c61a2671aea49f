//! ECR: repositories are moto's, tokens and images are the gateway's. The addresses in moto's answers
//! are replaced by that of the account's registry front.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use standin_ecs::drop_null_members;

use crate::answer::Answer;
use crate::call::Call;
use crate::ecr_repository::{Repository, arn, find, not_found};
use crate::error::AwsError;
use crate::fitting::fitting;
use crate::identity::Principal;
use crate::text::strings;
use crate::{Gateway, images, mounts, previews, scans};

/// Answers one ECR call.
pub(crate) async fn handle(
    gateway: &Arc<Gateway>,
    call: &Call,
    principal: &Principal,
) -> Result<Answer, AwsError> {
    let input = call.json();
    let account = input["registryId"]
        .as_str()
        .unwrap_or(&principal.account)
        .to_owned();
    match call.operation.as_str() {
        "GetAuthorizationToken" => return token(gateway, call, principal, &input).await,
        "GetAccountSetting" | "PutAccountSetting" => {
            return mounts::answer(gateway, call, principal, &input);
        }
        "CreateRepository" | "DescribeRepositories" | "DeleteRepository" => {}
        "DescribeImages"
        | "ListImages"
        | "BatchGetImage"
        | "BatchCheckLayerAvailability"
        | "DescribeImageScanFindings"
        | "StartImageScan"
        | "StartLifecyclePolicyPreview"
        | "GetLifecyclePolicyPreview"
        | "PutImage" => return of_images(gateway, call, &account, &input).await,
        // moto would speak of images it does not have.
        "BatchDeleteImage"
        | "GetDownloadUrlForLayer"
        | "InitiateLayerUpload"
        | "UploadLayerPart"
        | "CompleteLayerUpload"
        | "ListImageReferrers" => {
            return Err(AwsError::unimplemented(
                call.protocol,
                "ecr",
                &call.operation,
                "gateway",
            ));
        }
        _ => {}
    }
    of_repositories(gateway, call, principal, &account, &input).await
}

/// Answers a call on the images of a repository.
async fn of_images(
    gateway: &Arc<Gateway>,
    call: &Call,
    account: &str,
    input: &Value,
) -> Result<Answer, AwsError> {
    let name = input["repositoryName"].as_str().unwrap_or_default();
    let repository = find(gateway, account, &call.region, name)
        .await?
        .ok_or_else(|| not_found(account, name))?;
    let output = match call.operation.as_str() {
        "DescribeImages" => images::describe(gateway, &repository, input).await,
        "ListImages" => images::list(gateway, &repository, input).await,
        "BatchGetImage" => images::get(gateway, &repository, input).await,
        "BatchCheckLayerAvailability" => images::layers(gateway, &repository, input).await,
        "DescribeImageScanFindings" => scans::describe(gateway, &repository, input).await,
        "StartImageScan" => scans::start(gateway, &repository, input).await,
        "StartLifecyclePolicyPreview" | "GetLifecyclePolicyPreview" => {
            preview(gateway, call, &repository, input).await
        }
        _ => images::put(gateway, &repository, input).await,
    };
    let output = fitting(&gateway.ecr, &call.operation, output)?;
    Ok(Answer::json(&output))
}

/// Answers a call about the preview of a lifecycle policy.
async fn preview(
    gateway: &Gateway,
    call: &Call,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    check(gateway, call, input)?;
    let place = previews::Place {
        account: &repository.account,
        name: &repository.name,
        path: repository.path(),
    };
    if call.operation == "GetLifecyclePolicyPreview" {
        return previews::get(gateway, &place, input);
    }
    let images = images::all(gateway, repository).await?;
    previews::start(gateway, &place, images.into_values().collect(), input)
}

/// Lets moto answer a call on repositories and their settings, within the limits of ECR's model.
async fn of_repositories(
    gateway: &Arc<Gateway>,
    call: &Call,
    principal: &Principal,
    account: &str,
    input: &Value,
) -> Result<Answer, AwsError> {
    // moto answers for its own account, so that of the registry must have what is asked for.
    if account != principal.account {
        for name in strings(&input["repositoryNames"])
            .iter()
            .chain(&strings(&input["repositoryName"]))
        {
            find(gateway, account, &call.region, name)
                .await?
                .ok_or_else(|| not_found(account, name))?;
        }
    }
    if call.operation == "DeleteRepository" && input["force"] != true {
        empty(gateway, account, &call.region, input).await?;
    }
    if CHECKED.contains(&call.operation.as_str()) {
        check(gateway, call, input)?;
    }
    let mut answer = crate::moto::forward(gateway, call, account).await?;
    if answer.status.is_success() {
        let name = input["repositoryName"].as_str().unwrap_or_default();
        let arn = arn(account, &call.region, name);
        gateway.repositories.learn(&call.operation, arn, input);
    }
    if let Ok(mut output) = serde_json::from_str::<Value>(&answer.text()) {
        let host = crate::front::address(gateway, account, &call.region).await?;
        let amazon = format!("{account}.dkr.ecr.{}.amazonaws.com", call.region);
        rewrite(&mut output, &amazon, &host);
        if answer.status.is_success() && CHECKED.contains(&call.operation.as_str()) {
            drop_null_members(&mut output);
            output = fitting(&gateway.ecr, &call.operation, Ok(output))?;
        }
        answer.body = axum::body::Bytes::from(output.to_string()).into();
    }
    Ok(answer)
}

/// Refuses an input that ECR's model does not have.
fn check(gateway: &Gateway, call: &Call, input: &Value) -> Result<(), AwsError> {
    let mut input = input.clone();
    drop_null_members(&mut input);
    match gateway.ecr.input_faults(&call.operation, &input).first() {
        Some(fault) => Err(AwsError::new(
            400,
            "InvalidParameterException",
            format!("Invalid parameter: {fault}"),
        )),
        None => Ok(()),
    }
}

/// A repository's settings, of which moto takes and answers more than ECR does.
const CHECKED: [&str; 9] = [
    "CreateRepository",
    "DescribeRepositories",
    "PutImageTagMutability",
    "GetLifecyclePolicy",
    "PutLifecyclePolicy",
    "ListTagsForResource",
    "TagResource",
    "GetRepositoryPolicy",
    "SetRepositoryPolicy",
];

fn rewrite(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(uri) if name == "repositoryUri" => *uri = uri.replace(from, to),
                    _ => rewrite(value, from, to),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| rewrite(value, from, to)),
        _ => {}
    }
}

async fn empty(
    gateway: &Gateway,
    account: &str,
    region: &str,
    input: &Value,
) -> Result<(), AwsError> {
    let name = input["repositoryName"].as_str().unwrap_or_default();
    let Some(repository) = find(gateway, account, region, name).await? else {
        return Ok(());
    };
    let held = images::list(gateway, &repository, &json!({})).await?;
    if held["imageIds"]
        .as_array()
        .is_some_and(|ids| !ids.is_empty())
    {
        return Err(AwsError::new(
            400,
            "RepositoryNotEmptyException",
            format!(
                "The repository with name '{name}' in registry with id '{account}' cannot be deleted because it still contains images"
            ),
        ));
    }
    Ok(())
}

async fn token(
    gateway: &Arc<Gateway>,
    call: &Call,
    principal: &Principal,
    input: &Value,
) -> Result<Answer, AwsError> {
    let mut accounts = strings(&input["registryIds"]);
    if accounts.is_empty() {
        accounts.push(principal.account.clone());
    }
    let (token, expires) = gateway.fronts.mint(principal);
    let mut data = Vec::new();
    for account in accounts {
        if let Some(direct) = gateway.direct.of(&account) {
            let pair = format!("{}:{}", direct.user, direct.password);
            data.push(json!({
                "authorizationToken": STANDARD.encode(pair),
                "expiresAt": expires.unix_timestamp(),
                "proxyEndpoint": direct.url,
            }));
            continue;
        }
        let host = crate::front::address(gateway, &account, &call.region).await?;
        data.push(json!({
            "authorizationToken": STANDARD.encode(format!("AWS:{token}")),
            "expiresAt": expires.unix_timestamp(),
            "proxyEndpoint": format!("http://{host}"),
        }));
    }
    Ok(Answer::json(&json!({"authorizationData": data})))
}

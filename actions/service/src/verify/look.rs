//! Asks AWS whether what a task needs is there. No value of a secret is read.

use super::decide::{Answer, Needed, parameter_name};
use kit::aws::Arn;
use kit::contract::Resolved;
use kit::error::{Failure, Result};
use net::{Account, Net, Purpose, Target};
use serde_json::{Value, json};

/// Media types of manifests and indexes, of which one of any form is to be found.
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Whether it is there.
pub(super) async fn ask(net: &Net, account: &Account, needed: &Needed) -> Answer {
    let mut account = account.clone();
    match needed {
        Needed::LogGroup { name, region } => {
            if let Some(region) = region.as_ref().and_then(|region| region.parse().ok()) {
                account.region = region;
            }
            let input = json!({"logGroupNamePrefix": name});
            let target = "Logs_20140328.DescribeLogGroups";
            let found = net.json(&account, "logs", target, &input).await;
            answer(found, "logs:DescribeLogGroups", |found| {
                let groups = found["logGroups"].as_array().into_iter().flatten();
                groups.clone().any(|group| group["logGroupName"] == *name)
            })
        }
        Needed::Parameter(from) => {
            in_region_of(&mut account, from);
            let names = [parameter_name(from)];
            let filter = json!({"Key": "Name", "Option": "Equals", "Values": names});
            let input = json!({"ParameterFilters": [filter]});
            let target = "AmazonSSM.DescribeParameters";
            let found = net.json(&account, "ssm", target, &input).await;
            answer(found, "ssm:DescribeParameters", |found| {
                found["Parameters"]
                    .as_array()
                    .is_some_and(|it| !it.is_empty())
            })
        }
        Needed::Secret(id) => {
            in_region_of(&mut account, id);
            let target = "secretsmanager.DescribeSecret";
            let input = json!({"SecretId": id});
            let found = net.json(&account, "secretsmanager", target, &input).await;
            answer(found, "secretsmanager:DescribeSecret", |found| {
                found["DeletedDate"].is_null()
            })
        }
    }
}

/// What an ARN names is in its region.
fn in_region_of(account: &mut Account, named: &str) {
    if let Some(region) = named.parse::<Arn>().ok().and_then(|arn| arn.region) {
        account.region = region;
    }
}

/// Whether the image is in its repository of the build account.
pub(super) async fn image(
    net: &Net,
    account: &Account,
    contract: Option<&Resolved>,
    image: &str,
) -> Answer {
    let (repository, digest) = image.split_once('@').unwrap_or((image, ""));
    let mut reader = account.clone();
    if let Some(contract) = contract {
        // The role that reads the provenance of images may look them up.
        let target = Target::of(contract, Purpose::ReadLedger);
        reader = match net.account(&target).await {
            Ok(reader) => reader,
            Err(error) => return Answer::Unknown(error.line()),
        };
        reader.region = contract.build.region.clone();
    }
    let input = json!({
        "registryId": reader.id,
        "repositoryName": ecs::name_of(repository),
        "imageIds": [{"imageDigest": digest}],
        "acceptedMediaTypes": MANIFESTS,
    });
    let target = "AmazonEC2ContainerRegistry_V20150921.BatchGetImage";
    let found = net.json(&reader, "ecr", target, &input).await;
    answer(found, "ecr:BatchGetImage", |found| {
        found["images"].as_array().is_some_and(|it| !it.is_empty())
    })
}

/// The answer by AWS's, of which `is_there` reads a success.
fn answer(found: Result<Value>, permission: &str, is_there: impl FnOnce(&Value) -> bool) -> Answer {
    let absent = || Answer::Unmet("it is not there".to_owned());
    match found {
        Ok(found) if is_there(&found) => Answer::Met,
        Ok(_) => absent(),
        Err(error) => match error.service().map(|service| service.failure) {
            Some(Failure::Missing) => absent(),
            Some(Failure::Denied) => {
                Answer::Unknown(format!("{}; the role needs {permission}", error.line()))
            }
            _ => Answer::Unknown(error.line()),
        },
    }
}

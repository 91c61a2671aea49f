//! Asks AWS whether what a task needs is there. No value of a secret is read.

use super::decide::{Answer, Needed, parameter_name};
use kit::aws::Arn;
use kit::contract::Resolved;
use kit::error::{Error, Failure, Result};
use net::{Account, Net, Purpose, RetryPolicy, Target};
use serde_json::{Value, json};
use std::time::Duration;

/// Media types of manifests and indexes, of which one of any form is to be found.
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// How long one question is asked again while AWS does not take it.
const RETRY: Duration = Duration::from_secs(30);

/// The most pages that are read of one answer.
const PAGES: usize = 100;

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
            let send = async |input: &Value| net.json(&account, "logs", target, input).await;
            let found = paged(input, "nextToken", send, |page| {
                let groups = page["logGroups"].as_array().into_iter().flatten();
                groups.clone().any(|group| group["logGroupName"] == *name)
            });
            answer(found.await, "logs:DescribeLogGroups")
        }
        Needed::Parameter(from) => {
            in_region_of(&mut account, from);
            let names = [parameter_name(from)];
            let filter = json!({"Key": "Name", "Option": "Equals", "Values": names});
            let input = json!({"ParameterFilters": [filter]});
            let target = "AmazonSSM.DescribeParameters";
            let send = async |input: &Value| net.json(&account, "ssm", target, input).await;
            let found = paged(input, "NextToken", send, |page| {
                page["Parameters"]
                    .as_array()
                    .is_some_and(|it| !it.is_empty())
            });
            answer(found.await, "ssm:DescribeParameters")
        }
        Needed::Secret(id) => {
            in_region_of(&mut account, id);
            let target = "secretsmanager.DescribeSecret";
            let input = json!({"SecretId": id});
            let send = async || net.json(&account, "secretsmanager", target, &input).await;
            let found = asked(send).await;
            answer(
                found.map(|found| found["DeletedDate"].is_null()),
                "secretsmanager:DescribeSecret",
            )
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
    let found = asked(async || net.json(&reader, "ecr", target, &input).await).await;
    let is_there = |found: Value| found["images"].as_array().is_some_and(|it| !it.is_empty());
    answer(found.map(is_there), "ecr:BatchGetImage")
}

/// Asks once, and again while AWS throttles it or does not answer.
async fn asked(send: impl AsyncFn() -> Result<Value>) -> Result<Value> {
    let policy = RetryPolicy::within(RETRY);
    policy.run(|| send(), Error::failure, |_| ()).await
}

/// Asks page by page until it is there or there are no more pages. A page without anything may have another one behind it
/// (AWS Systems Manager API Reference, "DescribeParameters": "This process returns results on a best-effort basis").
async fn paged(
    mut input: Value,
    token: &str,
    send: impl AsyncFn(&Value) -> Result<Value>,
    is_there: impl Fn(&Value) -> bool,
) -> Result<bool> {
    for _ in 0..PAGES {
        let page = asked(async || send(&input).await).await?;
        if is_there(&page) {
            return Ok(true);
        }
        match page[token].as_str() {
            Some(next) => input[token] = next.into(),
            None => return Ok(false),
        }
    }
    Err(Error::failed(format!(
        "it is not in the first {PAGES} pages of AWS's answer, and there are more"
    )))
}

/// The answer by AWS's: whether it is there.
fn answer(found: Result<bool>, permission: &str) -> Answer {
    let absent = || Answer::Unmet("it is not there".to_owned());
    match found {
        Ok(true) => Answer::Met,
        Ok(false) => absent(),
        Err(error) => match error.service().map(|service| service.failure) {
            Some(Failure::Missing) => absent(),
            Some(Failure::Denied) => {
                Answer::Unknown(format!("{}; the role needs {permission}", error.line()))
            }
            _ => Answer::Unknown(error.line()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::error::ErrorKind;
    use std::cell::RefCell;

    /// What AWS answers, in order: a page, or how it fails.
    async fn found(answers: Vec<Result<Value, Failure>>) -> (Result<bool>, Vec<Value>) {
        let answers = RefCell::new(answers.into_iter());
        let asked = RefCell::new(Vec::new());
        let send = async |input: &Value| {
            asked.borrow_mut().push(input["NextToken"].clone());
            let next = answers.borrow_mut().next().unwrap();
            next.map_err(|failure| Error::new(ErrorKind::Service(failure), "no"))
        };
        let there = |page: &Value| page["Parameters"][0].is_string();
        let found = paged(json!({}), "NextToken", send, there).await;
        (found, asked.into_inner())
    }

    #[tokio::test]
    async fn an_empty_page_is_not_the_end() {
        let empty = || Ok(json!({"Parameters": [], "NextToken": "2"}));
        let (there, asked) = found(vec![empty(), Ok(json!({"Parameters": ["p"]}))]).await;
        assert!(there.unwrap());
        assert_eq!(asked, [Value::Null, json!("2")]);
        let (there, _) = found(vec![empty(), Ok(json!({"Parameters": []}))]).await;
        assert!(!there.unwrap());
    }

    #[tokio::test]
    async fn a_throttled_question_is_asked_again() {
        let (there, asked) = found(vec![
            Err(Failure::Throttled),
            Ok(json!({"Parameters": ["p"]})),
        ])
        .await;
        assert!(there.unwrap());
        assert_eq!(asked.len(), 2);
        let (there, asked) = found(vec![Err(Failure::Denied)]).await;
        assert!(there.is_err());
        assert_eq!(asked.len(), 1);
    }
}

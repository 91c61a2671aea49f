//! Blobs that one repository takes from another, where the account allows it (ECR API Reference, `PutAccountSetting` with
//! `BLOB_MOUNTING`; ECR User Guide, "Blob mounting"): in one account and region, from a repository that the caller may
//! download from, and only what a manifest there refers to. Where any of it is missing an upload begins instead.

use std::collections::HashSet;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::access;
use crate::answer::Answer;
use crate::call::Call;
use crate::ecr_repository::{Repository, find};
use crate::error::AwsError;
use crate::fitting::fitting;
use crate::identity::Principal;
use crate::registry_side::Side;
use crate::text::{pairs, value};
use crate::{Gateway, images, lock};

/// The one setting that is known here.
const NAME: &str = "BLOB_MOUNTING";

/// Accounts and regions in which blobs may be mounted.
#[derive(Default)]
pub(crate) struct Mounts(Mutex<HashSet<(String, String)>>);

/// `PutAccountSetting` and `GetAccountSetting`.
pub(crate) fn setting(
    gateway: &Gateway,
    call: &Call,
    principal: &Principal,
    input: &Value,
) -> Result<Value, AwsError> {
    if input["name"] != NAME {
        return Err(AwsError::unimplemented(
            call.protocol,
            "ecr",
            &call.operation,
            "gateway",
        ));
    }
    let mut enabled = lock(&gateway.mounts.0);
    let registry = (principal.account.clone(), call.region.clone());
    if call.operation == "PutAccountSetting" {
        match input["value"].as_str() {
            Some("ENABLED") => enabled.insert(registry.clone()),
            Some("DISABLED") => enabled.remove(&registry),
            _ => {
                return Err(AwsError::new(
                    400,
                    "InvalidParameterException",
                    "Invalid parameter at 'value': ENABLED or DISABLED",
                ));
            }
        };
    }
    let value = match enabled.contains(&registry) {
        true => "ENABLED",
        false => "DISABLED",
    };
    Ok(json!({"name": NAME, "value": value}))
}

/// The query that asks the distribution for a mount; `None` unless a mount is asked for and allowed.
pub(crate) async fn granted(
    side: &Side,
    principal: &Principal,
    query: &str,
) -> Result<Option<String>, AwsError> {
    let asked = pairs(query, false);
    let (Some(digest), Some(from)) = (value(&asked, "mount"), value(&asked, "from")) else {
        return Ok(None);
    };
    let registry = (side.account.clone(), side.region.clone());
    if !lock(&side.gateway.mounts.0).contains(&registry) {
        return Ok(None);
    }
    let gateway = &side.gateway;
    let Some(source) = find(gateway, &side.account, &side.region, from).await? else {
        return Ok(None);
    };
    let need = source.need("GetDownloadUrlForLayer");
    let may = access::permit::in_registry(gateway, principal, &need).await;
    if may.is_err() || !refers(gateway, &source, digest).await? {
        return Ok(None);
    }
    Ok(Some(format!("mount={digest}&from={}", source.path())))
}

async fn refers(gateway: &Gateway, source: &Repository, digest: &str) -> Result<bool, AwsError> {
    let manifests = images::manifests(gateway, source).await?;
    Ok(manifests.iter().any(|manifest| {
        let manifest = manifest.json();
        let layers = manifest["layers"].as_array().into_iter().flatten();
        layers
            .chain([&manifest["config"]])
            .any(|blob| blob["digest"] == digest)
    }))
}

/// The answer to a call about an account's settings.
pub(crate) fn answer(
    gateway: &Gateway,
    call: &Call,
    principal: &Principal,
    input: &Value,
) -> Result<Answer, AwsError> {
    let output = setting(gateway, call, principal, input);
    fitting(&gateway.ecr, &call.operation, output).map(|output| Answer::json(&output))
}
